"""Files that people bring to a page: looked at first, kept sealed meanwhile, then taken step by step or thrown away.

Rules kept here:
- A file is taken within the area of whoever brought it: rows of other posts are refused, whoever applies it.
- A run is seen by whom all posts of its area are in scope.
- A page answers while somebody waits: it takes short files (a regency's month is the command's affair), and takes them in
  steps of some seconds. Between two steps everything that was taken is stored, so whatever is cut short goes on there.
"""

import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import Select, and_, insert, select, update
from sqlalchemy.orm import Session

from server import audit
from server.context import AppContext
from server.crypto.vault import base64url, sha256
from server.database.ids import UUID_TEXT, new_id
from server.database.models import HealthPost, ImportChunk, ImportRun, table
from server.errors import Problem
from server.interchange.import_report import ImportReport
from server.interchange.import_runs import import_sheet
from server.interchange.import_store import (
    DONE,
    RUNNING,
    WAITING,
    Options,
    chunk_counts,
    chunk_purpose,
    run_row,
)
from server.interchange.sheets import Limits, SheetUnreadable
from server.review import Scope
from server.review.scope import posts_within

DISCARDED: Final = "discarded"
STATES: Final = (WAITING, RUNNING, DONE, DISCARDED)
PAGE_LIMITS: Final = Limits(bytes=8 * 1024 * 1024, unpacked_bytes=128 * 1024 * 1024, rows=5_000)
"""Of a file on a page: some five seconds of looking."""
STEP_SECONDS: Final = 3.0
"""After so long a step stops at the next chunk of rows."""
KEPT_DAYS: Final = 30
"""After so long a file that nobody applied is thrown away, when the next one is brought: it holds names."""
Accounts = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class RunView:
    """A file that was brought: how far it is, and what became of its rows (by outcome; of those that are done)."""

    id: str
    state: str
    scope_kind: str
    scope: str
    counts: Mapping[str, int]
    started_by: str
    started_at: datetime
    finished_at: datetime | None
    kept: bool

    @property
    def waits(self) -> bool:
        """Say whether it can still be applied or thrown away."""
        return self.state == WAITING

    @property
    def goes_on(self) -> bool:
        """Say whether it was begun here and can be gone on with."""
        return self.state == RUNNING and self.kept

    @property
    def done(self) -> int:
        """How many rows are done."""
        return sum(self.counts.values())

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            "id": self.id,
            "state": self.state,
            "scope": {"kind": self.scope_kind, "id": self.scope},
            "outcomes": dict(self.counts),
            "rows_done": self.done,
            "started_by": self.started_by,
            "started_at": self.started_at.isoformat(),
            "finished_at": self.finished_at.isoformat() if self.finished_at else None,
        }


@dataclass(frozen=True, slots=True)
class UploadPreview:
    """What would become of a file, as it stood at a moment: the report (`Report.wire`) and every row's account."""

    at: datetime
    report: Mapping[str, Any]
    accounts: Accounts


def receive(
    hub: AppContext,
    scope: Scope,
    content: bytes,
    *,
    post_id: str = "",
    add_posts: bool = False,
    actor: str,
    now: datetime,
) -> str:
    """Keep a file for whoever brought it, with what would become of it; give the id of its run. Nothing of it is taken yet.

    Parameters
    ----------
    post_id : the post of all rows, for sheets that name none
    add_posts : posyandu that are not here are to be added first: for who sees the whole district alone

    Raises
    ------
    Problem
        `sheet-unreadable` with the reason; `record-unknown` for a post outside the scope.
    """
    with hub.database.reading() as session:
        if post_id and not _is_mine(session, hub, scope, post_id):
            raise Problem("record-unknown")
    asked = {"post": post_id, "add_posts": add_posts and _is_whole(hub, scope.kind, scope.id)}
    foreseen = _look(hub, _options(hub, scope.kind, scope.id, asked), content, actor, now)
    run_id = new_id()
    options = _options(hub, scope.kind, scope.id, asked)
    file = base64url(sha256(content + options.key().encode()))
    with hub.database.transaction() as session:
        _forget_old(session, hub, actor, now)
        row = run_row(hub, run_id, file, WAITING, options, actor, now)
        row["sealed"] = _sealed(hub, run_id, asked, foreseen, content)
        session.execute(insert(table(ImportRun)), [row])
        details = {"run": run_id, "rows": foreseen.report["rows"], "file": file}
        _log(session, hub, "import.received", details, actor, now)
    return run_id


def _forget_old(session: Session, hub: AppContext, actor: str, now: datetime) -> None:
    old = and_(ImportRun.state == WAITING, ImportRun.started_at < now - timedelta(days=KEPT_DAYS))
    mine = select(ImportRun.id).where(ImportRun.district == hub.district, old)
    for run_id in session.scalars(mine).all():
        _discard(session, hub, run_id, actor, now)


def run_of(session: Session, hub: AppContext, scope: Scope, run_id: str) -> RunView:
    """Give a run.

    Raises
    ------
    Problem
        `record-unknown` outside the scope.
    """
    found = None
    if UUID_TEXT.fullmatch(run_id):
        found = session.execute(_runs(hub).where(ImportRun.id == run_id)).one_or_none()
    if found is None or not _covers(session, hub, scope, found):
        raise Problem("record-unknown")
    return _view(session, hub, found)


def runs(session: Session, hub: AppContext, scope: Scope, limit: int = 20) -> list[RunView]:
    """Give the newest runs in scope."""
    newest = _runs(hub).order_by(ImportRun.started_at.desc(), ImportRun.id.desc()).limit(10 * limit)
    found = session.execute(newest).all()
    return [_view(session, hub, run) for run in found if _covers(session, hub, scope, run)][:limit]


def foreseen(session: Session, hub: AppContext, run: RunView) -> UploadPreview:
    """Give what would become of a file that waits, as it stood when it was last looked at.

    Raises
    ------
    Problem
        `import-run-closed`: it is not kept any more.
    """
    return _kept(session, hub, run)[1]


def look_again(hub: AppContext, run: RunView, *, actor: str, now: datetime) -> None:
    """Look at a file that waits as things stand now: posts were added, rows decided, since.

    Raises
    ------
    Problem
        `import-run-closed`.
    """
    if not run.waits:
        raise Problem("import-run-closed")
    with hub.database.reading() as session:
        asked, _, content = _kept(session, hub, run)
    found = _look(hub, _options(hub, run.scope_kind, run.scope, asked), content, run.started_by, now)
    with hub.database.transaction() as session:
        values = {"sealed": _sealed(hub, run.id, asked, found, content)}
        mine = (ImportRun.district == hub.district, ImportRun.id == run.id, ImportRun.state == WAITING)
        session.execute(update(ImportRun).where(*mine).values(**values))
        _log(session, hub, "import.looked-at", {"run": run.id}, actor, now)


def rows_in_all(session: Session, hub: AppContext, run: RunView) -> int:
    """Say how many rows a file has, done or not."""
    if not run.waits and not run.goes_on:
        return run.done
    return int(_kept(session, hub, run)[1].report["rows"])


def step(hub: AppContext, run: RunView, *, actor: str, now: datetime) -> ImportReport:
    """Take a file that waits, or go on with it, for some seconds; `Report.whole` says whether all of it is done.

    Raises
    ------
    Problem
        `import-run-closed`: it was applied or thrown away already.
    """
    if not run.waits and not run.goes_on:
        raise Problem("import-run-closed")
    with hub.database.reading() as session:
        asked, _, content = _kept(session, hub, run)
    until = time.monotonic() + STEP_SECONDS
    return import_sheet(
        hub,
        content,
        _options(hub, run.scope_kind, run.scope, asked),
        apply=True,
        actor=actor,
        now=now,
        limits=PAGE_LIMITS,
        run_id=run.id,
        enough=lambda: time.monotonic() >= until,
    )


def discard(session: Session, hub: AppContext, run: RunView, *, actor: str, now: datetime) -> None:
    """Throw a file away that waits; that it was here stays in the log.

    Raises
    ------
    Problem
        `import-run-closed`.
    """
    if not _discard(session, hub, run.id, actor, now):
        raise Problem("import-run-closed")


def _discard(session: Session, hub: AppContext, run_id: str, actor: str, now: datetime) -> bool:
    mine = (ImportRun.district == hub.district, ImportRun.id == run_id, ImportRun.state == WAITING)
    values = {"state": DISCARDED, "sealed": None, "finished_at": now}
    done = session.execute(update(ImportRun).where(*mine).values(**values).returning(ImportRun.id)).all()
    if done:
        _log(session, hub, "import.discarded", {"run": run_id}, actor, now)
    return bool(done)


def accounts(session: Session, hub: AppContext, run: RunView) -> Accounts:
    """Give what became of the rows of a run, as far as it came, in the order of the file; of one that waits, what would."""
    if run.waits:
        return foreseen(session, hub, run).accounts
    c = table(ImportChunk).c
    mine = (c.district == hub.district, c.run_id == run.id)
    found: Accounts = []
    for chunk in session.execute(select(c.number, c.sealed).where(*mine).order_by(c.number)):
        packed = hub.vault.unseal_for_district(chunk.sealed, chunk_purpose(hub, run.id, chunk.number))
        found += [account for _, account in orjson.loads(zlib.decompress(packed))]
    return sorted(found, key=lambda account: int(account["row"]))


# -- what is kept of a file ----------------------------------------------------------------------


def _sealed(
    hub: AppContext, run_id: str, asked: Mapping[str, Any], found: UploadPreview, content: bytes
) -> bytes:
    """Seal a file with how it is to be taken and what would become of it."""
    told = {"at": found.at.isoformat(), "report": dict(found.report), "accounts": found.accounts}
    head = zlib.compress(orjson.dumps({**asked, "foreseen": told}), 1)
    return hub.vault.seal_for_district(
        len(head).to_bytes(4, "big") + head + content, file_purpose(hub, run_id)
    )


def _kept(session: Session, hub: AppContext, run: RunView) -> tuple[dict[str, Any], UploadPreview, bytes]:
    """Unseal what `_sealed` made."""
    stored = session.get(ImportRun, (hub.district, run.id))
    if stored is None or stored.sealed is None:
        raise Problem("import-run-closed")
    whole = hub.vault.unseal_for_district(stored.sealed, file_purpose(hub, run.id))
    end = 4 + int.from_bytes(whole[:4], "big")
    asked = orjson.loads(zlib.decompress(whole[4:end]))
    told = asked.pop("foreseen")
    return (
        asked,
        UploadPreview(datetime.fromisoformat(told["at"]), told["report"], told["accounts"]),
        whole[end:],
    )


def _look(hub: AppContext, options: Options, content: bytes, actor: str, now: datetime) -> UploadPreview:
    found: Accounts = []

    def each(some: Sequence[Mapping[str, Any]]) -> None:
        found.extend(dict(account) for account in some)

    try:
        report = import_sheet(
            hub, content, options, apply=False, actor=actor, now=now, each=each, limits=PAGE_LIMITS
        )
    except SheetUnreadable as error:
        raise Problem("sheet-unreadable", reason=str(error)) from error
    return UploadPreview(now, report.wire(), sorted(found, key=lambda account: int(account["row"])))


def _options(hub: AppContext, kind: str, scope: str, asked: Mapping[str, Any]) -> Options:
    allowed = None
    if not _is_whole(hub, kind, scope):
        with hub.database.reading() as session:
            whose = Scope(kind, scope, shows_names=True)
            allowed = frozenset(session.scalars(select(HealthPost.id).where(posts_within(hub, whose))))
    return Options(str(asked["post"]), bool(asked["add_posts"]), kind, scope, allowed)


# -- scope ----------------------------------------------------------------------------------------


def _is_whole(hub: AppContext, kind: str, scope: str) -> bool:
    return kind == "district" and scope == hub.district


def _is_mine(session: Session, hub: AppContext, scope: Scope, post_id: str) -> bool:
    if not UUID_TEXT.fullmatch(post_id):
        return False
    own = select(HealthPost.id).where(posts_within(hub, scope), HealthPost.id == post_id)
    return session.scalar(own) is not None


def _runs(hub: AppContext) -> "Select[*tuple[Any, ...]]":
    """Select runs without the files themselves."""
    c = ImportRun
    return select(
        *(c.id, c.state, c.scope_kind, c.scope, c.counts, c.started_by, c.started_at, c.finished_at),
        c.sealed.is_not(None).label("kept"),
    ).where(c.district == hub.district)


def _covers(session: Session, hub: AppContext, scope: Scope, run: Any) -> bool:
    """Say whether all posts of a run's area are in scope."""
    if _is_whole(hub, scope.kind, scope.id):
        return True
    if (scope.kind, scope.id) == (run.scope_kind, run.scope):
        return True
    theirs = set(session.scalars(select(HealthPost.id).where(posts_within(hub, scope))))
    whose = Scope(run.scope_kind, run.scope, shows_names=False)
    needed = set(session.scalars(select(HealthPost.id).where(posts_within(hub, whose))))
    return bool(needed) and needed <= theirs


def _view(session: Session, hub: AppContext, run: Any) -> RunView:
    counts = orjson.loads(run.counts)
    if run.state == RUNNING:
        counts = chunk_counts(session, hub, run.id)
    return RunView(
        *(run.id, run.state, run.scope_kind, run.scope, counts),
        *(run.started_by, run.started_at, run.finished_at, run.kept),
    )


def file_purpose(hub: AppContext, run_id: str) -> str:
    """Name what the seal of a file that waits is bound to."""
    return f"import-file/{hub.district}/{run_id}"


def _log(
    session: Session, hub: AppContext, action: str, details: Mapping[str, Any], actor: str, now: datetime
) -> None:
    audit.append(session, hub.district, audit.OFFICE, action, actor=actor, now=now, details=details)
