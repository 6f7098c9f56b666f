"""A file of Sigizi, start to finish: read, put in order, and taken chunk by chunk; a dry run the same way, without writing.

    rows -> by village, posyandu and child, in chunks -> each read, matched and written in ONE transaction, with its accounts

Rules kept here:
- The order and the chunks follow from the file alone. A chunk that is written is in the table, so a run that was killed
  goes on after its last one; and what is taken again changes nothing, whatever is written or not.
- A chunk is of one village where it can be: whom a row may mean is looked for there, and its posts alone are locked.
- Rows are kept as they came, sealed, with what became of each.
"""

import multiprocessing
import os
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, time
from functools import cache
from itertools import repeat
from threading import Thread
from typing import Any, Final

import orjson
from sqlalchemy import and_, bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from server import audit, gc_tuning
from server.config import Settings
from server.context import AppContext
from server.crypto.vault import base64url, sha256
from server.database.engine import among, upsert
from server.database.ids import new_id
from server.database.models import ImportCase, ImportChunk, ImportRun, Region, table
from server.errors import Problem
from server.interchange import score_comparison
from server.interchange.child_matching import DryRunChildren, made_id
from server.interchange.gazetteer import UNKNOWN, Gazetteer, add_missing, post_name
from server.interchange.import_plan import OUTCOMES, ChunkPlan, RowResult, take
from server.interchange.refusals import RULES, RowRefusal
from server.interchange.score_comparison import Beside
from server.interchange.sheets import Cell, Cells, Limits, SheetUnreadable, read_rows
from server.interchange.sigizi import Layout, SigiziReader, SigiziRow, find_layout, plain
from server.sync import server_edits
from server.sync.pipeline import PlanStale, heads_of
from server.sync.retrying import retrying
from sync_protocol import digest

CHUNK_ROWS, FEW_ROWS = 1000, 300
"""At most so many rows in one transaction; villages are put together up to the second number."""
FEW_TO_SHARE: Final = 512 * 1024
"""Bytes of a file up to which starting other processes costs more than they save."""
SIGIZI: Final = "sigizi"
WAITING, RUNNING, DONE = "waiting", "running", "done"
OPEN, DECIDED = "open", "decided"


@dataclass(frozen=True, slots=True)
class Options:
    """How a file is to be taken.

    Parameters
    ----------
    post_id : the post of all rows, for sheets that name none; "" to go by the rows
    add_posts : posyandu that are not here are added first
    scope_kind, scope : whose import it is; rows of other posts are refused
    allowed : the posts of that scope, None for all
    """

    post_id: str = ""
    add_posts: bool = False
    scope_kind: str = "district"
    scope: str = ""
    allowed: frozenset[str] | None = None

    def key(self) -> str:
        """Name what the chunks' content depends on."""
        return f"{SIGIZI}/{self.post_id}/{self.add_posts:d}/{self.scope_kind}/{self.scope}"


@dataclass(slots=True)
class ImportReport:
    """What became of a file, or would: rows by outcome, their scores beside ours, posts that were added, how many rows a
    run that was cut short had taken before, and how many are done by now."""

    run_id: str = ""
    kind: str = ""
    rows: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    how: Counter[str] = field(default_factory=Counter)
    questions: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    scores: dict[str, Beside] = field(default_factory=dict)
    posts_missing: Counter[tuple[str, str]] = field(default_factory=Counter)
    posts_added: int = 0
    resumed_rows: int = 0
    rows_done: int = 0

    @property
    def whole(self) -> bool:
        """Say whether all rows are done: else it was told to stop, and goes on where it stopped."""
        return self.rows_done == self.rows

    @property
    def needs_attention(self) -> bool:
        """Say whether a row was refused or waits for a person."""
        return bool(self.counts["refused"] or self.counts["ask"])

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            "run": self.run_id or None,
            "kind": self.kind,
            "rows": self.rows,
            "outcomes": {outcome: self.counts[outcome] for outcome in OUTCOMES},
            "matched_by": dict(sorted(self.how.items())),
            "questions": dict(sorted(self.questions.items())),
            "rules": dict(sorted(self.rules.items())),
            "notes": dict(sorted(self.notes.items())),
            "scores": {index: found.wire() for index, found in self.scores.items()},
            "posts_missing": [
                {"post": post, "village": village, "rows": count}
                for (post, village), count in self.posts_missing.most_common()
            ],
            "posts_added": self.posts_added,
            "resumed_rows": self.resumed_rows,
            "rows_done": self.rows_done,
        }

    def merge(self, other: "ImportReport") -> None:
        """Add what another process counted."""
        for name in ("counts", "how", "questions", "rules", "notes", "posts_missing"):
            getattr(self, name).update(getattr(other, name))
        for index, found in other.scores.items():
            self.scores.setdefault(index, Beside()).merge(found)

    def add(self, accounts: Sequence[RowResult]) -> None:
        """Count a chunk's rows."""
        self.rows += len(accounts)
        for account in accounts:
            self.counts[account.outcome] += 1
            if account.how:
                self.how[account.how] += 1
            if account.question:
                self.questions[account.question] += 1
            if account.row.notes:
                self.notes.update(set(account.row.notes))
            if account.row.refusals:
                rules = {refusal.rule for refusal in account.row.refusals}
                self.rules.update(rules)
                if "post-unknown" in rules:
                    self.posts_missing[account.row.post, account.row.village] += 1


Tell = Callable[[int, int], object]
"""Told how many rows are done, of how many."""
Each = Callable[[Sequence[Mapping[str, Any]]], object]
"""Told the accounts of rows (`Account.wire`), some at a time."""
Packed = Sequence[bytes]


@dataclass(frozen=True, slots=True)
class PackedRows:
    """A file's rows in the order in which they are taken, packed: some half kilobyte each.

    Parameters
    ----------
    chunks : (first row, row after the last) of each, by place in `rows`
    tasks : numbers of chunks that must be taken one after another, as they hold parts of one village; the last task holds
        the rows whose NIK stands in several places of the file, and comes after all others
    posts : the first row of each posyandu, however it is spelled
    """

    layout: Layout
    rows: Packed
    chunks: Sequence[tuple[int, int]]
    tasks: Sequence[Sequence[int]]
    posts: Packed


def open_sheet(content: bytes, limits: Limits | None = None) -> PackedRows:
    """Read a file and put its rows in order: by village, posyandu, child and number.

    Raises
    ------
    Unreadable
        It is no sheet of Sigizi, or more than the limits allow.
    """
    rows = read_rows(content, limits)
    layout = find_layout(rows)
    pick = layout.picker("subdistrict", "village", "centre", "post", "nik", "name", "born_on")
    keyed: list[tuple[tuple[str, ...], tuple[str, ...], int, int, bytes]] = []
    posts: dict[tuple[str, ...], tuple[int, tuple[str, ...]]] = {}
    places_of: dict[str, tuple[str, ...]] = {}
    wandering = set()
    for number, cells in rows:
        subdistrict, village, centre, post, nik, name, born_on = map(str, pick(cells))
        named = (subdistrict, village, centre, post)
        if named not in posts:
            posts[named] = len(posts), (plain(subdistrict), plain(village))
        post_number, place = posts[named]
        if len(nik) >= 16 and nik.isdigit() and places_of.setdefault(nik, place) != place:
            wandering.add(nik)
        keyed.append((place, (nik, name, born_on), number, post_number, _packed(number, cells)))
    if not keyed:
        raise SheetUnreadable("tidak ada baris di bawah judul / there is no row under the headings")
    if wandering:
        keyed = [((_LAST,), *one[1:]) if one[1][0] in wandering else one for one in keyed]
    keyed.sort()
    places = [place for place, *_ in keyed]
    chunks = _chunks(places)
    firsts: dict[int, bytes] = {}
    for *_, post_number, packed in keyed:
        firsts.setdefault(post_number, packed)
    packed_rows = [packed for *_, packed in keyed]
    return PackedRows(layout, packed_rows, chunks, _tasks(places, chunks), list(firsts.values()))


_LAST: Final = "~"
"""Comes after every name in plain form."""


def _chunks(places: Sequence[tuple[str, ...]]) -> list[tuple[int, int]]:
    """Cut rows in order into chunks: whole villages where they fit."""
    ends = [at for at in range(1, len(places)) if places[at] != places[at - 1]] + [len(places)]
    chunks: list[tuple[int, int]] = []
    start = 0
    for place, end in enumerate(ends):
        while end - start > CHUNK_ROWS:
            chunks.append((start, start + CHUNK_ROWS))
            start += CHUNK_ROWS
        following = ends[place + 1] if place + 1 < len(ends) else None
        if following is None or following - start > FEW_ROWS or places[end] == (_LAST,):
            chunks.append((start, end))
            start = end
    return chunks


def _tasks(places: Sequence[tuple[str, ...]], chunks: Sequence[tuple[int, int]]) -> list[list[int]]:
    tasks: list[list[int]] = []
    for number, (low, _) in enumerate(chunks):
        if low and places[low] == places[low - 1]:
            tasks[-1].append(number)
        else:
            tasks.append([number])
    if places[-1] != (_LAST,):
        tasks.append([])
    return tasks


def _packed(number: int, cells: Cells) -> bytes:
    # what orjson gives keeps the whole buffer that it was written in: some 8 KiB for half a kilobyte
    return memoryview(orjson.dumps([number, cells], _told, orjson.OPT_PASSTHROUGH_DATETIME)).tobytes()


def _told(moment: datetime | time) -> dict[str, str]:
    return {"at" if isinstance(moment, datetime) else "time": moment.isoformat()}


def unpacked(packed: bytes) -> tuple[int, list[Cell]]:
    """Give a packed row back: its number and cells."""
    number, cells = orjson.loads(packed)
    return number, [_moment(cell) if type(cell) is dict else cell for cell in cells]


def _moment(told: Mapping[str, str]) -> Cell:
    return datetime.fromisoformat(told["at"]) if "at" in told else time.fromisoformat(told["time"])


# -- runs -----------------------------------------------------------------------------------------


def import_sheet(
    hub: AppContext,
    content: bytes,
    options: Options,
    *,
    apply: bool,
    actor: str,
    now: datetime,
    tell: Tell | None = None,
    each: Each | None = None,
    limits: Limits | None = None,
    run_id: str | None = None,
    workers: int = 0,
    enough: Callable[[], bool] | None = None,
) -> ImportReport:
    """Take a file, or only say what would become of it.

    Parameters
    ----------
    content : the file
    actor : "account:<id>" or "operator"
    tell, each : told as rows are done
    run_id : a waiting run that is to be taken now; else one that was cut short, or a new one
    workers : processes that share the work; 0 to do it here
    enough : asked after each chunk that is done here; True stops, and the same call goes on later

    Raises
    ------
    Unreadable
        It is no sheet of Sigizi, or more than the limits allow.
    Problem
        `import-run-closed`: the run that is to be taken is done, or was thrown away.
    """
    with _processes(hub.settings, workers) as pool:  # they start while the file is read
        sheet = open_sheet(content, limits)
        report = ImportReport(kind=sheet.layout.kind, rows=len(sheet.rows))
        run = _Run(hub, sheet.layout, options, actor, now, dry=not apply, tells=each is not None)
        done: Mapping[int, int] = {}
        if apply:
            file = base64url(sha256(content + options.key().encode()))
            done = run.begin(file, run_id, sheet)
            report.run_id = run.id
            if options.add_posts:
                report.posts_added = run.add_posts(sheet)
        finished = report.resumed_rows = sum(done.values())
        left = [[number for number in task if number not in done] for task in sheet.tasks]
        for found, accounts in _results(run, sheet, left, pool):
            report.merge(found)
            if each:
                each(accounts)
            finished += found.rows
            if tell:
                tell(finished, len(sheet.rows))
            if enough and enough():
                break
        report.rows_done = finished
        if apply:
            report.counts = run.end() if report.whole else run.counts()
    return report


Result = tuple[ImportReport, list[dict[str, Any]]]
Task = list[tuple[int, Packed]]


def _results(
    run: "_Run", sheet: PackedRows, left: Sequence[Sequence[int]], pool: ProcessPoolExecutor | None
) -> Iterator[Result]:
    """Do the tasks, here or in processes beside this one; the last one when all others are done."""
    tasks: list[Task] = [[(n, sheet.rows[slice(*sheet.chunks[n])]) for n in task] for task in left]
    *many, last = tasks
    many = [task for task in many if task]
    run.look()
    if pool is None:
        for chunk in (chunk for task in many for chunk in task):
            yield run.task([chunk])
    else:
        given = _Given(sheet.layout, run.options, run.actor, run.now, run.dry, run.tells, run.id)
        yield from pool.map(_in_worker, repeat(given), many)
    if last:
        yield run.task(last)


@dataclass(frozen=True, slots=True)
class _Given:
    """What another process must know of a run."""

    layout: Layout
    options: Options
    actor: str
    now: datetime
    dry: bool
    tells: bool
    run_id: str


@contextmanager
def _processes(settings: Settings, workers: int) -> Iterator[ProcessPoolExecutor | None]:
    """Start processes that share the work; none for fewer than two."""
    if workers < 2:
        yield None
        return
    # a forked process would share this one's connections
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _open_worker, (settings,)) as pool:
        for _ in range(workers):  # each work starts one, as long as none is idle
            pool.submit(int)
        yield pool


_HUB: list[AppContext] = []
_WORKER: "list[_Run]" = []


def _open_worker(settings: Settings) -> None:
    Thread(target=_leave_with_the_parent, daemon=True).start()
    gc_tuning.spare(gc_tuning.OF_A_CHUNK)
    _HUB.append(AppContext.open(settings))


def _leave_with_the_parent() -> None:
    """End this process when the one that started it is gone: one that is killed tells nobody, and work would be waited for
    without end."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _in_worker(given: _Given, task: Task) -> Result:
    if not _WORKER:
        how = {"dry": given.dry, "tells": given.tells}
        run = _Run(_HUB[0], given.layout, given.options, given.actor, given.now, **how)
        run.id = given.run_id
        run.look()
        _WORKER.append(run)
    return _WORKER[0].task(task)


class _Run:
    """A file on its way through; `tells` says whether somebody asks what became of each row."""

    def __init__(
        self,
        hub: AppContext,
        layout: Layout,
        options: Options,
        actor: str,
        now: datetime,
        *,
        dry: bool,
        tells: bool,
    ) -> None:
        self.hub, self.options, self.actor, self.now, self.id = hub, options, actor, now, ""
        self.dry, self.tells = dry, tells
        self._layout, self._foreseen = layout, DryRunChildren()
        self._gazetteer: Gazetteer | None = None
        self._reader = SigiziReader(layout, hub.settings.today(now))

    def begin(self, file: str, run_id: str | None, sheet: PackedRows) -> Mapping[int, int]:
        """Find the run that is to go on, or make one; give the rows of each of its chunks that are written."""
        hub, c = self.hub, table(ImportRun).c
        with hub.database.transaction() as session:
            own = (c.district == hub.district, c.digest == file, c.kind == SIGIZI)
            wanted = and_(c.id == run_id, c.state.in_((WAITING, RUNNING))) if run_id else c.state == RUNNING
            found = session.execute(select(c.id).where(*own, wanted).order_by(c.started_at).limit(1)).scalar()
            if run_id and found is None:
                raise Problem("import-run-closed")
            self.id = str(found or new_id())
            if found is None:
                row = run_row(hub, self.id, file, RUNNING, self.options, self.actor, self.now)
                session.execute(insert(table(ImportRun)), [row])
            mine = (c.district == hub.district, c.id == self.id)
            changes = {"state": RUNNING, "chunks": len(sheet.chunks)}
            session.execute(update(table(ImportRun)).where(*mine).values(**changes))
            self._log(session, "import.started", {"run": self.id, "rows": len(sheet.rows), "file": file})
            k = table(ImportChunk).c
            written = (k.district == hub.district, k.run_id == self.id)
            rows = {row.number: row.rows for row in session.execute(select(k.number, k.rows).where(*written))}
            sizes = {number: end - start for number, (start, end) in enumerate(sheet.chunks)}
            if not rows.items() <= sizes.items():  # cut otherwise, by another version: all is taken again
                session.execute(delete(table(ImportChunk)).where(*written))
                return {}
            return rows

    def add_posts(self, sheet: PackedRows) -> int:
        """Add the posts that rows name and that are not here."""
        with self.hub.database.transaction() as session:
            rows = (self._reader.read(*unpacked(packed)) for packed in sheet.posts)
            added = add_missing(session, self.hub, rows, actor=self.actor, now=self.now)
            self._log(session, "import.posts-added", {"run": self.id, **added})
        return added["posts"]

    def look(self) -> None:
        """Learn what posts there are."""
        hub = self.hub
        with hub.database.reading() as session:
            self._gazetteer = Gazetteer(session, hub)
            name = session.scalar(
                select(Region.name).where(Region.district == hub.district, Region.code == hub.district)
            )
        self._reader = SigiziReader(self._layout, hub.settings.today(self.now), plain(name) if name else None)

    def task(self, task: Task) -> Result:
        """Take some chunks, one after another, or say what would become of them; each row's account if it `tells`."""
        report, accounts = ImportReport(), list[dict[str, Any]]()
        for number, rows in task:
            read = self._read(rows)
            score_comparison.compare([row for row, _ in read if not row.refusals], report.scores)
            taken = self._foresee(read) if self.dry else self._apply(number, rows, read)
            report.add(taken.accounts)
            if self.tells:
                accounts += [account.wire() for account in taken.accounts]
        return report, accounts

    def _foresee(self, read: Sequence[tuple[SigiziRow, str]]) -> ChunkPlan:
        with self.hub.database.reading() as session:
            return self._taken(session, read)

    def _apply(self, number: int, rows: Packed, read: Sequence[tuple[SigiziRow, str]]) -> ChunkPlan:
        """Take a chunk: worked out on a snapshot and written under the locks if that still stands there, as a tablet's
        upload is; else worked out under the locks."""
        hub = self.hub

        def attempt() -> ChunkPlan:
            found: tuple[ChunkPlan, server_edits.Planned | None] | None = None
            with suppress(PlanStale), hub.database.reading() as session:
                found = self._plan(session, read, lock=False)
            with hub.database.transaction() as session:
                if self._is_kept(session, number):
                    return ChunkPlan()  # another process that works on the same run was faster
                if found is None or (found[1] and not found[1].changes.still_stands(session, hub.district)):
                    found = self._plan(session, read, lock=True)
                taken, planned = found
                self._write(session, number, rows, taken, planned)
                return taken

        return retrying(attempt)

    def _plan(
        self, session: Session, read: Sequence[tuple[SigiziRow, str]], *, lock: bool
    ) -> tuple[ChunkPlan, server_edits.Planned | None]:
        """Work out what rows change, and what is to be written for it; None where it is nothing."""
        rows = [(_copy(row), post_id) for row, post_id in read]
        if lock:
            posts = sorted({post_id for _, post_id in rows if post_id})
            heads_of(session, {"district": self.hub.district, "posts": posts, "children": []}, lock=True)
        taken = self._taken(session, rows)
        if not taken.edits:
            return taken, None
        planned = server_edits.plan(
            session, self.hub, taken.edits, author=self.actor, now=self.now, new_at=taken.new_at, lock=lock
        )
        return taken, planned

    def _write(
        self,
        session: Session,
        number: int,
        rows: Packed,
        taken: ChunkPlan,
        planned: server_edits.Planned | None,
    ) -> None:
        if planned:
            write_planned(session, self.hub, planned, self.id, author=self.actor, now=self.now)
        self._keep(session, number, rows, taken)

    def _read(self, packed: Packed) -> list[tuple[SigiziRow, str]]:
        """Read the rows of a chunk and find the post of each."""
        rows = [self._reader.read(*unpacked(one)) for one in packed]
        return [(row, self._post_of(row)) for row in rows]

    def _post_of(self, row: SigiziRow) -> str:
        """Give the post that a row belongs to; where there is none, the row is refused."""
        options = self.options
        post_id, why = options.post_id, ""
        if not post_id and row.kind == "measurement":
            return ""  # its child says where it belongs
        if not post_id:
            assert self._gazetteer is not None  # noqa: S101  # `look` came before
            post_id, why = self._gazetteer.find(row)
            if why == UNKNOWN and options.add_posts and self.dry and self._gazetteer.may_be_added(row):
                return made_id(self.hub, "import/post", plain(row.village), post_name(row.post))
        if not why and options.allowed is not None and post_id not in options.allowed:
            why, post_id = "out-of-scope", ""
        if why:
            heading = self._layout.heading("post") or "Posyandu"
            row.refusals.append(RowRefusal(heading, row.post[:40] or None, why, *RULES[why]))
        return post_id

    def _taken(self, session: Session, rows: Sequence[tuple[SigiziRow, str]]) -> ChunkPlan:
        decided = decisions(session, self.hub)
        return take(
            session, self.hub, rows, decided, self._foreseen, dry=self.dry, allowed=self.options.allowed
        )

    def _keep(self, session: Session, number: int, rows: Packed, taken: ChunkPlan) -> None:
        """Store what the rows held and what became of each, and the questions that they raise."""
        hub, counts = self.hub, taken.counts()
        kept = [
            [orjson.Fragment(packed), account.wire()]
            for packed, account in zip(rows, taken.accounts, strict=True)
        ]
        row = {
            "district": hub.district,
            "run_id": self.id,
            "number": number,
            "rows": len(rows),
            "counts": orjson.dumps(counts, option=orjson.OPT_SORT_KEYS).decode(),
            "sealed": hub.vault.seal_for_district(
                zlib.compress(orjson.dumps(kept), 1), chunk_purpose(hub, self.id, number)
            ),
        }
        session.execute(insert(table(ImportChunk)), [row])
        keep_cases(session, hub, self._layout, taken, self.id, self.now)
        self._log(session, "import.taken", {"run": self.id, "chunk": number, "rows": dict(counts)})

    def _is_kept(self, session: Session, number: int) -> bool:
        c = table(ImportChunk).c
        mine = (c.district == self.hub.district, c.run_id == self.id, c.number == number)
        return session.execute(select(c.number).where(*mine)).first() is not None

    def counts(self) -> Counter[str]:
        """Count the rows that were taken so far, those of an earlier, cut start too."""
        with self.hub.database.reading() as session:
            return chunk_counts(session, self.hub, self.id)

    def end(self) -> Counter[str]:
        """Close the run; count all of its chunks, those of an earlier, killed start too."""
        hub, c = self.hub, table(ImportRun).c
        with hub.database.transaction() as session:
            counts = chunk_counts(session, hub, self.id)
            told = orjson.dumps(counts, option=orjson.OPT_SORT_KEYS).decode()
            values = {"state": DONE, "counts": told, "finished_at": self.now, "sealed": None}
            mine = (c.district == hub.district, c.id == self.id)
            session.execute(update(table(ImportRun)).where(*mine).values(**values))
            self._log(session, "import.finished", {"run": self.id, "rows": dict(counts)})
        return counts

    def _log(self, session: Session, action: str, details: Mapping[str, Any]) -> None:
        district, actor, now = self.hub.district, self.actor, self.now
        audit.append(session, district, audit.OFFICE, action, actor=actor, now=now, details=details)


def run_row(
    hub: AppContext, run_id: str, file: str, state: str, options: Options, actor: str, now: datetime
) -> dict[str, Any]:
    """Give the row of a new run."""
    return {
        "district": hub.district,
        "id": run_id,
        "kind": SIGIZI,
        "digest": file,
        "state": state,
        "scope_kind": options.scope_kind,
        "scope": options.scope or hub.district,
        "chunks": 0,
        "counts": "{}",
        "started_by": actor,
        "started_at": now,
        "finished_at": None,
        "sealed": None,
    }


def chunk_purpose(hub: AppContext, run_id: str, number: int) -> str:
    """Name what a chunk's seal is bound to."""
    return f"import/{hub.district}/{run_id}/{number}"


def case_purpose(hub: AppContext, case_id: str) -> str:
    """Name what a question's seal is bound to."""
    return f"import-case/{hub.district}/{case_id}"


def chunk_counts(session: Session, hub: AppContext, run_id: str) -> Counter[str]:
    """Count the rows of a run by outcome, from its chunks."""
    c = table(ImportChunk).c
    counts: Counter[str] = Counter()
    for text in session.scalars(select(c.counts).where(c.district == hub.district, c.run_id == run_id)):
        counts.update(orjson.loads(text))
    return counts


def forget_children(session: Session, hub: AppContext, child_ids: Collection[str]) -> None:
    """Take some children's rows out of what is kept of imported files; that there was a row, and its number, stays."""
    c = table(ImportChunk).c
    for key in session.execute(select(c.run_id, c.number).where(c.district == hub.district)).all():
        mine = c.district == hub.district, c.run_id == key.run_id, c.number == key.number
        purpose = chunk_purpose(hub, key.run_id, key.number)
        sealed = session.execute(select(c.sealed).where(*mine)).scalar_one()
        kept = orjson.loads(zlib.decompress(hub.vault.unseal_for_district(sealed, purpose)))
        theirs = [told.get("child") in child_ids for _, told in kept]
        if any(theirs):
            left = [
                [None, {**told, "child": None, "refusals": [], "apart": []}] if gone else [held, told]
                for gone, (held, told) in zip(theirs, kept, strict=True)
            ]
            anew = hub.vault.seal_for_district(zlib.compress(orjson.dumps(left), 1), purpose)
            session.execute(update(table(ImportChunk)).where(*mine).values(sealed=anew))


def write_planned(
    session: Session,
    hub: AppContext,
    planned: server_edits.Planned,
    run_id: str,
    *,
    author: str,
    now: datetime,
) -> None:
    """Write what rows come to. The log counts the children, and holds one digest over the changes' hashes: the ids of
    hundreds of them would be repeated at every post."""
    told = {
        "run": run_id,
        "changes": len(planned.written),
        "digest": digest([written.hash for written in planned.written]),
    }
    planned.carry_out(session, hub, "import.applied", told, author=author, now=now, name_children=False)


def _copy(row: SigiziRow) -> SigiziRow:
    """Give a row that may be worked on again: a transaction may have to be tried twice."""
    return SigiziRow(
        row.number,
        row.kind,
        row.raw,
        *(row.name, row.nik, row.nik_known, row.sex, row.born_on, row.birth_order, row.mother, row.father),
        *(row.village, row.subdistrict, row.centre, row.post, row.measured_on),
        child=dict(row.child),
        measured=dict(row.measured),
        scores=row.scores,
        statuses=row.statuses,
        refusals=list(row.refusals),
        notes=list(row.notes),
        apart=row.apart,
    )


# -- questions ------------------------------------------------------------------------------------


def decisions(session: Session, hub: AppContext) -> dict[str, tuple[str, str | None]]:
    """Load what people have decided about single rows: (decision, child) by case."""
    c = table(ImportCase).c
    rows = session.execute(
        select(c.id, c.decision, c.child_id).where(c.district == hub.district, c.status == DECIDED)
    )
    return {row.id: (row.decision, row.child_id) for row in rows}


def keep_cases(
    session: Session, hub: AppContext, layout: Layout, taken: ChunkPlan, run_id: str, now: datetime
) -> None:
    """Store the questions that rows raise; one that is there stays as it is, open or decided."""
    asked = {account.case_id: account for account in taken.cases()}
    if not asked:
        return
    given = {"district": hub.district, "among": sorted(asked)}
    known = set(session.connection().execute(_known_cases(), given).scalars())
    rows = []
    for case_id, account in sorted(asked.items()):
        if case_id in known:
            continue
        held = {
            "kind": layout.kind,
            "headings": layout.headings,
            "row": orjson.Fragment(_packed(account.row.number, account.row.raw)),
        }
        rows.append(
            {
                "district": hub.district,
                "id": case_id,
                "run_id": run_id,
                "row": account.row.number,
                "question": account.question,
                "post_id": account.post_id,
                "who": account.who,
                "candidates": orjson.dumps(account.candidates).decode(),
                "sealed": hub.vault.seal_for_district(orjson.dumps(held), case_purpose(hub, case_id)),
                "status": OPEN,
                "decision": None,
                "child_id": None,
                "found_at": now,
                "decided_by": None,
                "decided_at": None,
            }
        )
    upsert(session, table(ImportCase), rows)


@cache
def _known_cases() -> Any:
    c = table(ImportCase).c
    return select(c.id).where(c.district == bindparam("district"), among(c.id))
