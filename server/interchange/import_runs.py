"""Import a Sigizi file: read it, sort it, and import it chunk by chunk; a dry run does the same without writing.

    rows -> sorted and cut into chunks -> each chunk read, matched and written in ONE transaction

Rules kept here:
- A chunk that is written is stored under its number, so a run that was killed continues after its last chunk. Importing
  the same rows again changes nothing, whether or not their chunk was stored.
- The rows of each chunk are stored as they came, sealed, with the result of each.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat
from typing import Any, Final

import orjson
from sqlalchemy import and_, delete, insert, select, update
from sqlalchemy.orm import Session

from server import audit
from server.context import AppContext
from server.crypto.vault import base64url, sha256
from server.database.ids import new_id
from server.database.models import ImportChunk, ImportRun, Region, table
from server.errors import Problem
from server.interchange import score_comparison
from server.interchange.child_matching import DryRunChildren, made_id
from server.interchange.gazetteer import UNKNOWN, Gazetteer, add_missing, post_name
from server.interchange.import_chunks import Packed, PackedRows, open_sheet, unpack_row
from server.interchange.import_plan import ChunkPlan, plan_rows
from server.interchange.import_report import ImportReport
from server.interchange.import_store import (
    DONE,
    RUNNING,
    SIGIZI,
    WAITING,
    Options,
    chunk_counts,
    run_row,
    store_cases,
    store_chunk,
)
from server.interchange.import_workers import worker_context, worker_pool
from server.interchange.refusals import RULES, RowRefusal
from server.interchange.sheets import Limits
from server.interchange.sigizi import Layout, SigiziReader, SigiziRow, plain
from server.sync import server_edits
from server.sync.duplicate_search import lock_registrations
from server.sync.loading import PlanStale
from server.sync.retrying import retrying
from server.sync.streams import heads_of
from sync_protocol import digest

FEW_TO_SHARE: Final = 512 * 1024
"""Size of a file, in bytes, up to which starting worker processes costs more time than they save."""
Progress = Callable[[int, int], object]
"""Called with the number of rows done and the number of all rows."""
OnResults = Callable[[Sequence[Mapping[str, Any]]], object]
"""Called with the results of some rows (`RowResult.wire`)."""


def import_sheet(
    hub: AppContext,
    content: bytes,
    options: Options,
    *,
    apply: bool,
    actor: str,
    now: datetime,
    progress: Progress | None = None,
    on_results: OnResults | None = None,
    limits: Limits | None = None,
    run_id: str | None = None,
    workers: int = 0,
    should_stop: Callable[[], bool] | None = None,
) -> ImportReport:
    """Import a file, or only find out what an import would do (a dry run).

    Parameters
    ----------
    content : the file
    apply : False for a dry run
    actor : "account:<id>" or "operator"
    progress, on_results : called as rows are done
    run_id : the run to apply; None to continue an interrupted run of the same file and options, or to start a new one
    workers : worker processes that share the chunks; below 2 all work is done in this process
    should_stop : called after each chunk done in this process, or each task of a worker; True stops the run, and the same
        call continues it later

    Raises
    ------
    SheetUnreadable
        It is not a Sigizi sheet, or exceeds the limits.
    Problem
        `import-run-closed`: the run of `run_id` is done or was discarded.
    """
    with worker_pool(hub.settings, workers) as pool:  # the workers start while the file is read
        sheet = open_sheet(content, limits)
        report = ImportReport(kind=sheet.layout.kind, rows=len(sheet.rows))
        run = _Run(
            hub, sheet.layout, options, actor, now, dry=not apply, wants_results=on_results is not None
        )
        done: Mapping[int, int] = {}
        if apply:
            file = base64url(sha256(content + options.key().encode()))
            done = run.begin(file, run_id, sheet)
            report.run_id = run.id
            if options.add_posts:
                report.posts_added = run.add_posts(sheet)
        finished = report.resumed_rows = sum(done.values())
        left = [[number for number in task if number not in done] for task in sheet.tasks]
        for part, results in _results(run, sheet, left, pool):
            report.merge(part)
            if on_results:
                on_results(results)
            finished += part.rows
            if progress:
                progress(finished, len(sheet.rows))
            if should_stop and should_stop():
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
    """Do the tasks, in this process or in workers; the last one after all others."""
    tasks: list[Task] = [[(n, sheet.rows[slice(*sheet.chunks[n])]) for n in task] for task in left]
    *many, last = tasks
    many = [task for task in many if task]
    run.load_posts()
    if pool is None:
        for chunk in (chunk for task in many for chunk in task):
            yield run.task([chunk])
    else:
        given = _RunGiven(sheet.layout, run.options, run.actor, run.now, run.dry, run.wants_results, run.id)
        yield from pool.map(_in_worker, repeat(given), many)
    if last:
        yield run.task(last)


@dataclass(frozen=True, slots=True)
class _RunGiven:
    """What a worker process must know of a run."""

    layout: Layout
    options: Options
    actor: str
    now: datetime
    dry: bool
    wants_results: bool
    run_id: str


_WORKER_RUN: "list[_Run]" = []


def _in_worker(given: _RunGiven, task: Task) -> Result:
    if not _WORKER_RUN:
        how = {"dry": given.dry, "wants_results": given.wants_results}
        run = _Run(worker_context(), given.layout, given.options, given.actor, given.now, **how)
        run.id = given.run_id
        run.load_posts()
        _WORKER_RUN.append(run)
    return _WORKER_RUN[0].task(task)


class _Run:
    """One run of an import; `wants_results` says whether the caller wants the result of each row."""

    def __init__(
        self,
        hub: AppContext,
        layout: Layout,
        options: Options,
        actor: str,
        now: datetime,
        *,
        dry: bool,
        wants_results: bool,
    ) -> None:
        self.hub, self.options, self.actor, self.now, self.id = hub, options, actor, now, ""
        self.dry, self.wants_results = dry, wants_results
        self._layout, self._dry_run = layout, DryRunChildren()
        self._gazetteer: Gazetteer | None = None
        self._reader = SigiziReader(layout, hub.settings.today(now))

    def begin(self, file: str, run_id: str | None, sheet: PackedRows) -> Mapping[int, int]:
        """Find the run to continue, or make one; return the number of rows of each stored chunk, by chunk number."""
        hub, c = self.hub, table(ImportRun).c
        with hub.database.transaction() as session:
            same_file = (c.district == hub.district, c.digest == file, c.kind == SIGIZI)
            wanted = and_(c.id == run_id, c.state.in_((WAITING, RUNNING))) if run_id else c.state == RUNNING
            found = session.execute(
                select(c.id).where(*same_file, wanted).order_by(c.started_at).limit(1)
            ).scalar()
            if run_id and found is None:
                raise Problem("import-run-closed")
            self.id = str(found or new_id())
            if found is None:
                row = run_row(hub, self.id, file, RUNNING, self.options, self.actor, self.now)
                session.execute(insert(table(ImportRun)), [row])
            own_run = (c.district == hub.district, c.id == self.id)
            changes = {"state": RUNNING, "chunks": len(sheet.chunks)}
            session.execute(update(table(ImportRun)).where(*own_run).values(**changes))
            self._log(session, "import.started", {"run": self.id, "rows": len(sheet.rows), "file": file})
            return self._stored_chunks(session, sheet)

    def _stored_chunks(self, session: Session, sheet: PackedRows) -> Mapping[int, int]:
        """Return the rows of each stored chunk; if another version cut the file differently, delete all stored chunks."""
        c = table(ImportChunk).c
        own = (c.district == self.hub.district, c.run_id == self.id)
        stored = {row.number: row.rows for row in session.execute(select(c.number, c.rows).where(*own))}
        sizes = {number: end - start for number, (start, end) in enumerate(sheet.chunks)}
        if stored.items() <= sizes.items():
            return stored
        session.execute(delete(table(ImportChunk)).where(*own))
        return {}

    def add_posts(self, sheet: PackedRows) -> int:
        """Add the posts that rows name and that are not here; return how many."""
        with self.hub.database.transaction() as session:
            rows = (self._reader.read(*unpack_row(packed)) for packed in sheet.posts)
            added = add_missing(session, self.hub, rows, actor=self.actor, now=self.now)
            self._log(session, "import.posts-added", {"run": self.id, **added})
        return added["posts"]

    def load_posts(self) -> None:
        """Load the district's posts and its name, as they are now."""
        hub = self.hub
        with hub.database.reading() as session:
            self._gazetteer = Gazetteer(session, hub)
            name = session.scalar(
                select(Region.name).where(Region.district == hub.district, Region.code == hub.district)
            )
        self._reader = SigiziReader(self._layout, hub.settings.today(self.now), plain(name) if name else None)

    def task(self, task: Task) -> Result:
        """Import some chunks one after another (or only plan them, in a dry run); return their counts, and the result of
        each row if `wants_results`."""
        report, results = ImportReport(), list[dict[str, Any]]()
        for number, rows in task:
            read = self._read(rows)
            score_comparison.compare([row for row, _ in read if not row.refusals], report.scores)
            plan = self._plan_only(read) if self.dry else self._apply(number, rows, read)
            report.add(plan.results)
            if self.wants_results:
                results += [result.wire() for result in plan.results]
        return report, results

    def _plan_only(self, read: Sequence[tuple[SigiziRow, str]]) -> ChunkPlan:
        with self.hub.database.reading() as session:
            return self._plan_rows(session, read)

    def _apply(self, number: int, rows: Packed, read: Sequence[tuple[SigiziRow, str]]) -> ChunkPlan:
        """Take a chunk: worked out on a snapshot and written under the locks if that still stands there, as a tablet's
        upload is; else worked out under the locks."""
        hub = self.hub

        def attempt() -> ChunkPlan:
            found: tuple[ChunkPlan, server_edits.Planned | None] | None = None
            with suppress(PlanStale), hub.database.reading() as session:
                found = self._plan(session, read, lock=False)
            with hub.database.transaction() as session:
                lock_registrations(session, hub.district)
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
        """Plan what rows change, and what is to be written for it; None if nothing is."""
        rows = [(_copy(row), post_id) for row, post_id in read]
        if lock:
            posts = sorted({post_id for _, post_id in rows if post_id})
            heads_of(session, {"district": self.hub.district, "posts": posts, "children": []}, lock=True)
        taken = self._plan_rows(session, rows)
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
        plan: ChunkPlan,
        planned: server_edits.Planned | None,
    ) -> None:
        """Write a chunk's changes, its rows with their results, and its questions."""
        if planned:
            write_planned(session, self.hub, planned, self.id, author=self.actor, now=self.now)
        store_chunk(session, self.hub, self.id, number, rows, plan)
        store_cases(session, self.hub, self._layout, plan, self.id, self.now)
        details = {"run": self.id, "chunk": number, "rows": dict(plan.counts())}
        self._log(session, "import.taken", details)

    def _read(self, packed: Packed) -> list[tuple[SigiziRow, str]]:
        """Read the rows of a chunk and find the post of each."""
        rows = [self._reader.read(*unpack_row(one)) for one in packed]
        return [(row, self._post_of(row)) for row in rows]

    def _post_of(self, row: SigiziRow) -> str:
        """Return the post of a row; "" if none is found, and then the row is refused."""
        options = self.options
        post_id, why = options.post_id, ""
        if not post_id and row.kind == "measurement":
            return ""  # known once its child is matched
        if not post_id:
            assert self._gazetteer is not None  # noqa: S101  # `load_posts` was called before
            post_id, why = self._gazetteer.find(row)
            if why == UNKNOWN and options.add_posts and self.dry and self._gazetteer.may_be_added(row):
                return made_id(self.hub, "import/post", plain(row.village), post_name(row.post))
        if not why and options.allowed is not None and post_id not in options.allowed:
            why, post_id = "out-of-scope", ""
        if why:
            heading = self._layout.heading("post") or "Posyandu"
            row.refusals.append(RowRefusal(heading, row.post[:40] or None, why, *RULES[why]))
        return post_id

    def _plan_rows(self, session: Session, rows: Sequence[tuple[SigiziRow, str]]) -> ChunkPlan:
        return plan_rows(session, self.hub, rows, self._dry_run, dry=self.dry, allowed=self.options.allowed)

    def _is_kept(self, session: Session, number: int) -> bool:
        c = table(ImportChunk).c
        own = (c.district == self.hub.district, c.run_id == self.id, c.number == number)
        return session.execute(select(c.number).where(*own)).first() is not None

    def counts(self) -> Counter[str]:
        """Count the rows done so far, those of earlier starts of this run included."""
        with self.hub.database.reading() as session:
            return chunk_counts(session, self.hub, self.id)

    def end(self) -> Counter[str]:
        """Close the run; count the rows of all its chunks, those of earlier starts included."""
        hub, c = self.hub, table(ImportRun).c
        with hub.database.transaction() as session:
            counts = chunk_counts(session, hub, self.id)
            text = orjson.dumps(counts, option=orjson.OPT_SORT_KEYS).decode()
            values = {"state": DONE, "counts": text, "finished_at": self.now, "sealed": None}
            own_run = (c.district == hub.district, c.id == self.id)
            session.execute(update(table(ImportRun)).where(*own_run).values(**values))
            self._log(session, "import.finished", {"run": self.id, "rows": dict(counts)})
        return counts

    def _log(self, session: Session, action: str, details: Mapping[str, Any]) -> None:
        district, actor, now = self.hub.district, self.actor, self.now
        audit.append(session, district, audit.OFFICE, action, actor=actor, now=now, details=details)


def write_planned(
    session: Session,
    hub: AppContext,
    planned: server_edits.Planned,
    run_id: str,
    *,
    author: str,
    now: datetime,
) -> None:
    """Write planned changes. The audit entry holds the number of changes and one digest over their hashes: hundreds of
    child ids would otherwise be repeated in the entry of every post."""
    details = {
        "run": run_id,
        "changes": len(planned.written),
        "digest": digest([written.hash for written in planned.written]),
    }
    planned.carry_out(session, hub, "import.applied", details, author=author, now=now, name_children=False)


def _copy(row: SigiziRow) -> SigiziRow:
    """Copy a row: planning changes it, and a transaction may have to be tried again."""
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
