"""Files uploaded on a page: previewed first and kept sealed, then applied in steps or discarded.

Rules kept here:
- A file is imported within the area of the person who uploaded it: rows of other posts are refused, whoever applies it.
- A user sees a run if all posts of its area are in the user's scope.
- Somebody waits for the page, so it accepts short files only (larger files: `posyandu-sync import`) and applies them in
  steps of a few seconds. Each step stores what it has done, so an interrupted run continues from there.
"""

import time
import zlib
from collections.abc import Callable, Mapping, Sequence
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
from server.interchange.sheets import Cell, Limits, SheetUnreadable, read_rows
from server.review import Scope
from server.review.scope import posts_within

DISCARDED: Final = "discarded"
STATES: Final = (WAITING, RUNNING, DONE, DISCARDED)
PAGE_LIMITS: Final = Limits(bytes=8 * 1024 * 1024, unpacked_bytes=128 * 1024 * 1024, rows=5_000)
"""Limits of a file on a page: its preview takes about five seconds."""
STEP_SECONDS: Final = 3.0
"""A step stops at the first end of a chunk after this time."""
KEPT_DAYS: Final = 30
"""A file that nobody applied is discarded after this time, when the next file is uploaded: it holds names."""
Results = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class RunView:
    """An uploaded file: its state, and the number of its done rows by outcome. `kept`: the file is still stored."""

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
        """Whether it can still be applied or discarded."""
        return self.state == WAITING

    @property
    def goes_on(self) -> bool:
        """Whether it was started from a page and can be continued."""
        return self.state == RUNNING and self.kept

    @property
    def done(self) -> int:
        """Number of rows done."""
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
    """The result of a dry run at some moment: its report (`ImportReport.wire`) and each row's result (`RowResult.wire`)."""

    at: datetime
    report: Mapping[str, Any]
    results: Results


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
    """Store an uploaded file with its preview; return the id of its run. Nothing is imported yet.

    Parameters
    ----------
    post_id : the post of all rows, for sheets that name none
    add_posts : add missing posyandu first; only for users who see the whole district, otherwise ignored

    Raises
    ------
    Problem
        `sheet-unreadable` with the reason; `record-unknown` for a post outside the scope.
    """
    with hub.database.reading() as session:
        if post_id and not _sees_post(session, hub, scope, post_id):
            raise Problem("record-unknown")
    asked = {"post": post_id, "add_posts": add_posts and _is_whole(hub, scope.kind, scope.id)}
    preview = _dry_run(hub, _options(hub, scope.kind, scope.id, asked), content, actor, now)
    run_id = new_id()
    options = _options(hub, scope.kind, scope.id, asked)
    file = base64url(sha256(content + options.key().encode()))
    with hub.database.transaction() as session:
        _discard_old(session, hub, actor, now)
        row = run_row(hub, run_id, file, WAITING, options, actor, now)
        row["sealed"] = _sealed(hub, run_id, asked, preview, content)
        session.execute(insert(table(ImportRun)), [row])
        details = {"run": run_id, "rows": preview.report["rows"], "file": file}
        _log(session, hub, "import.received", details, actor, now)
    return run_id


def _discard_old(session: Session, hub: AppContext, actor: str, now: datetime) -> None:
    old = and_(ImportRun.state == WAITING, ImportRun.started_at < now - timedelta(days=KEPT_DAYS))
    query = select(ImportRun.id).where(ImportRun.district == hub.district, old)
    for run_id in session.scalars(query).all():
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
    """Give the newest runs in scope, newest first."""
    newest = _runs(hub).order_by(ImportRun.started_at.desc(), ImportRun.id.desc()).limit(10 * limit)
    found = session.execute(newest).all()
    return [_view(session, hub, run) for run in found if _covers(session, hub, scope, run)][:limit]


def preview(session: Session, hub: AppContext, run: RunView) -> UploadPreview:
    """Give the last preview of a waiting file.

    Raises
    ------
    Problem
        `import-run-closed`: the file is no longer stored.
    """
    return _unsealed(session, hub, run)[1]


def renew_preview(hub: AppContext, run: RunView, *, actor: str, now: datetime) -> None:
    """Renew the preview of a waiting file: posts may have been added and questions decided since.

    Raises
    ------
    Problem
        `import-run-closed`.
    """
    if not run.waits:
        raise Problem("import-run-closed")
    with hub.database.reading() as session:
        asked, _, content = _unsealed(session, hub, run)
    preview = _dry_run(hub, _options(hub, run.scope_kind, run.scope, asked), content, run.started_by, now)
    with hub.database.transaction() as session:
        values = {"sealed": _sealed(hub, run.id, asked, preview, content)}
        own = (ImportRun.district == hub.district, ImportRun.id == run.id, ImportRun.state == WAITING)
        session.execute(update(ImportRun).where(*own).values(**values))
        _log(session, hub, "import.looked-at", {"run": run.id}, actor, now)


def total_rows(session: Session, hub: AppContext, run: RunView) -> int:
    """Count the rows of a file, done or not."""
    if not run.waits and not run.goes_on:
        return run.done
    return int(_unsealed(session, hub, run)[1].report["rows"])


def step(hub: AppContext, run: RunView, *, actor: str, now: datetime) -> ImportReport:
    """Apply a waiting or started file for some seconds; `ImportReport.whole` says whether all of it is done.

    Raises
    ------
    Problem
        `import-run-closed`: it was applied completely or discarded.
    """
    if not run.waits and not run.goes_on:
        raise Problem("import-run-closed")
    with hub.database.reading() as session:
        asked, _, content = _unsealed(session, hub, run)
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
        should_stop=lambda: time.monotonic() >= until,
    )


def discard(session: Session, hub: AppContext, run: RunView, *, actor: str, now: datetime) -> None:
    """Discard a waiting file; its upload stays in the audit log.

    Raises
    ------
    Problem
        `import-run-closed`.
    """
    if not _discard(session, hub, run.id, actor, now):
        raise Problem("import-run-closed")


def _discard(session: Session, hub: AppContext, run_id: str, actor: str, now: datetime) -> bool:
    own = (ImportRun.district == hub.district, ImportRun.id == run_id, ImportRun.state == WAITING)
    values = {"state": DISCARDED, "sealed": None, "finished_at": now}
    done = session.execute(update(ImportRun).where(*own).values(**values).returning(ImportRun.id)).all()
    if done:
        _log(session, hub, "import.discarded", {"run": run_id}, actor, now)
    return bool(done)


def forget_files(session: Session, hub: AppContext, in_row: Callable[[Sequence[Cell]], bool]) -> None:
    """Discard the stored files that name a person who is erased: who brought one brings it again, without that row."""
    c = table(ImportRun).c
    rows = session.execute(
        select(c.id, c.sealed).where(c.district == hub.district, c.sealed.is_not(None))
    ).all()
    for row in rows:
        content = _opened(hub, row.id, row.sealed)[2]
        if any(in_row(cells) for _, cells in read_rows(content, PAGE_LIMITS)):
            own = c.district == hub.district, c.id == row.id
            session.execute(update(table(ImportRun)).where(*own).values(state=DISCARDED, sealed=None))


def results(session: Session, hub: AppContext, run: RunView) -> Results:
    """Give the results of a run's rows that are done, in the order of the file; for a waiting run those of its preview."""
    if run.waits:
        return preview(session, hub, run).results
    c = table(ImportChunk).c
    own = (c.district == hub.district, c.run_id == run.id)
    found: Results = []
    for chunk in session.execute(select(c.number, c.sealed).where(*own).order_by(c.number)):
        packed = hub.vault.unseal_for_district(chunk.sealed, chunk_purpose(hub, run.id, chunk.number))
        found += [result for _, result in orjson.loads(zlib.decompress(packed))]
    return sorted(found, key=lambda result: int(result["row"]))


# -- the stored file ------------------------------------------------------------------------------


def _sealed(
    hub: AppContext, run_id: str, asked: Mapping[str, Any], preview: UploadPreview, content: bytes
) -> bytes:
    """Seal a file with its options and its preview."""
    stored = {"at": preview.at.isoformat(), "report": dict(preview.report), "accounts": preview.results}
    head = zlib.compress(orjson.dumps({**asked, "foreseen": stored}), 1)
    return hub.vault.seal_for_district(
        len(head).to_bytes(4, "big") + head + content, file_purpose(hub, run_id)
    )


def _unsealed(session: Session, hub: AppContext, run: RunView) -> tuple[dict[str, Any], UploadPreview, bytes]:
    """Unseal a file: its options, its preview and its content."""
    stored = session.get(ImportRun, (hub.district, run.id))
    if stored is None or stored.sealed is None:
        raise Problem("import-run-closed")
    return _opened(hub, run.id, stored.sealed)


def _opened(hub: AppContext, run_id: str, sealed: bytes) -> tuple[dict[str, Any], UploadPreview, bytes]:
    whole = hub.vault.unseal_for_district(sealed, file_purpose(hub, run_id))
    end = 4 + int.from_bytes(whole[:4], "big")
    asked = orjson.loads(zlib.decompress(whole[4:end]))
    made = asked.pop("foreseen")
    preview = UploadPreview(datetime.fromisoformat(made["at"]), made["report"], made["accounts"])
    return asked, preview, whole[end:]


def _dry_run(hub: AppContext, options: Options, content: bytes, actor: str, now: datetime) -> UploadPreview:
    found: Results = []

    def collect(some: Sequence[Mapping[str, Any]]) -> None:
        found.extend(dict(result) for result in some)

    try:
        report = import_sheet(
            hub, content, options, apply=False, actor=actor, now=now, on_results=collect, limits=PAGE_LIMITS
        )
    except SheetUnreadable as error:
        raise Problem("sheet-unreadable", reason=str(error)) from error
    return UploadPreview(now, report.wire(), sorted(found, key=lambda result: int(result["row"])))


def _options(hub: AppContext, kind: str, scope: str, asked: Mapping[str, Any]) -> Options:
    allowed = None
    if not _is_whole(hub, kind, scope):
        with hub.database.reading() as session:
            area = Scope(kind, scope, shows_names=True)
            allowed = frozenset(session.scalars(select(HealthPost.id).where(posts_within(hub, area))))
    return Options(str(asked["post"]), bool(asked["add_posts"]), kind, scope, allowed)


# -- scope ----------------------------------------------------------------------------------------


def _is_whole(hub: AppContext, kind: str, scope: str) -> bool:
    return kind == "district" and scope == hub.district


def _sees_post(session: Session, hub: AppContext, scope: Scope, post_id: str) -> bool:
    if not UUID_TEXT.fullmatch(post_id):
        return False
    own = select(HealthPost.id).where(posts_within(hub, scope), HealthPost.id == post_id)
    return session.scalar(own) is not None


def _runs(hub: AppContext) -> "Select[*tuple[Any, ...]]":
    """Select runs without the stored files."""
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
    visible = set(session.scalars(select(HealthPost.id).where(posts_within(hub, scope))))
    area = Scope(run.scope_kind, run.scope, shows_names=False)
    needed = set(session.scalars(select(HealthPost.id).where(posts_within(hub, area))))
    return bool(needed) and needed <= visible


def _view(session: Session, hub: AppContext, run: Any) -> RunView:
    counts = orjson.loads(run.counts)
    if run.state == RUNNING:
        counts = chunk_counts(session, hub, run.id)
    return RunView(
        *(run.id, run.state, run.scope_kind, run.scope, counts),
        *(run.started_by, run.started_at, run.finished_at, run.kept),
    )


def file_purpose(hub: AppContext, run_id: str) -> str:
    """Give the purpose that a waiting file is sealed for."""
    return f"import-file/{hub.district}/{run_id}"


def _log(
    session: Session, hub: AppContext, action: str, details: Mapping[str, Any], actor: str, now: datetime
) -> None:
    audit.append(session, hub.district, audit.OFFICE, action, actor=actor, now=now, details=details)
