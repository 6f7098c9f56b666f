"""Every sync of a month: by day, post, tablet or author; sizes, outcomes, refusals, missing counters, clocks, silence.

Rules kept here:
- The outcome of a batch is what its receipt says, which the tablet has too; whole uploads that were refused are in the log.
- The number of queries does not depend on the number of batches, except by author, which reads a range of each tablet's
  chain.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from schemas import read_moment
from server import audit
from server.accounts import Person
from server.children import ledger
from server.context import AppContext
from server.csv_writer import csv_line
from server.database.ids import UUID_TEXT
from server.database.models import (
    AuditEntry,
    Batch,
    ChangeRow,
    HealthPost,
    Notice,
    QuarantineDecision,
    Tablet,
    TabletPost,
)
from server.errors import Problem
from server.review import Scope
from server.review.authors import people
from server.review.scope import posts_within
from sync_protocol import Outcome

DAY, POST, TABLET, AUTHOR = "day", "post", "tablet", "author"
GROUPS: Final = (DAY, POST, TABLET, AUTHOR)
REFUSED: Final = frozenset({"batch.refused", "batch.gap", "batch.new_epoch_required"})
"""Actions in the log of an upload of which nothing was taken."""
OUTCOMES: Final = tuple(outcome.value for outcome in Outcome)
COLUMNS: Final = (
    *("group", "id", "name", "post", "batches", "received", *OUTCOMES),
    *("bytes", "refused", "missing", "missing_from", "clock_offset_s", "silent_since"),
)
UPLOADS: Final = (
    *("received_at", "post", "tablet", "tablet_id", "batch_id", "refused", "first", "last", "received"),
    *(*OUTCOMES, "bytes", "clock_offset_s"),
)
AT_ONCE: Final = 200
"""Batches that are read at once."""
UNKNOWN: Final = ""
"""The author of a quarantined change: it is in the encrypted part."""


@dataclass(slots=True)
class SyncTotals:
    """Totals of a day, post, tablet or author.

    Parameters
    ----------
    outcomes : changes by outcome word
    bytes : of uploads, unpacked
    refused : uploads of which nothing was taken, by reason
    missing : changes that were announced and are not held (posts and tablets)
    missing_from : the first of them (tablets)
    clock_ms : the largest offset of the tablet's clock, milliseconds
    silent_since : day from which a tablet has not synced for too long (tablets)
    """

    id: str
    name: str
    post_id: str | None = None
    post_name: str = ""
    batches: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    missing: int = 0
    missing_from: int | None = None
    clock_ms: int | None = None
    silent_since: str = ""

    @property
    def received(self) -> int:
        return self.outcomes.total()

    def takes(self, batch: "BatchLine") -> None:
        self.batches += 1
        self.outcomes.update(batch.outcomes)
        self.bytes += batch.bytes
        offset = batch.clock_ms
        if offset is not None and (self.clock_ms is None or abs(offset) > abs(self.clock_ms)):
            self.clock_ms = offset


@dataclass(frozen=True, slots=True)
class BatchLine:
    """A batch that was taken. `counters` are the first and the last of it, None for one without changes."""

    tablet_id: str
    tablet_name: str
    post_id: str
    post_name: str
    id: str
    received_at: datetime
    day: date
    outcomes: Mapping[str, int]
    bytes: int
    clock_ms: int | None
    counters: tuple[int, int] | None

    @property
    def received(self) -> int:
        return sum(self.outcomes.values())


@dataclass(frozen=True, slots=True)
class RefusedUpload:
    """An upload of which nothing was taken: the reason's code, the sender, the size."""

    at: datetime
    day: date
    code: str
    tablet_id: str | None
    tablet_name: str
    post_name: str
    bytes: int | None


@dataclass(frozen=True, slots=True)
class _Device:
    id: str
    name: str
    post_id: str
    post_name: str
    missing: int
    missing_from: int | None
    silent_since: str
    posts: frozenset[str]


@dataclass(frozen=True, slots=True)
class Syncs:
    """What was synced from `first` to `last`, both included: `lines` of the group that was asked for, and the total."""

    first: date
    last: date
    group: str
    lines: tuple[SyncTotals, ...]
    total: SyncTotals
    refusals: tuple[RefusedUpload, ...]
    silent: int


def syncs(session: Session, hub: AppContext, scope: Scope, first: date, last: date, group: str) -> Syncs:
    """Count what was synced in some days of the district.

    Parameters
    ----------
    scope : of who asks
    group : one of GROUPS
    """
    devices = _devices(session, hub, scope)
    batches = list(_batches(session, hub, devices, first, last))
    refusals = _refusals(session, hub, scope, devices, first, last)
    total = SyncTotals("", "")
    for batch in batches:
        total.takes(batch)
    total.refused.update(one.code for one in refusals)
    total.missing = sum(device.missing for device in devices.values())
    silent = sum(bool(device.silent_since) for device in devices.values())
    lines = (
        _by_author(session, hub, devices, batches)
        if group == AUTHOR
        else _grouped(group, devices, batches, refusals)
    )
    return Syncs(first, last, group, tuple(lines), total, tuple(refusals), silent)


@dataclass(frozen=True, slots=True)
class ListedUploads:
    """The uploads of some days, newest first: those taken, and those refused."""

    batches: tuple[BatchLine, ...]
    refusals: tuple[RefusedUpload, ...]


def listed(
    session: Session,
    hub: AppContext,
    scope: Scope,
    first: date,
    last: date,
    *,
    post_id: str = "",
    tablet_id: str = "",
) -> ListedUploads:
    """List every upload of some days, optionally of one tablet, or of the tablets that have a post now."""
    devices = _devices(session, hub, scope)
    wanted = {
        id_: device
        for id_, device in devices.items()
        if (not post_id or post_id in device.posts) and tablet_id in ("", id_)
    }
    refusals = _refusals(session, hub, scope, devices, first, last)
    if post_id or tablet_id:
        refusals = [one for one in refusals if one.tablet_id in wanted]
    taken = tuple(_batches(session, hub, wanted, first, last))
    return ListedUploads(taken[::-1], tuple(refusals[::-1]))


def taken(
    session: Session, hub: AppContext, scope: Scope, first: date, last: date, posts: Collection[str]
) -> list[BatchLine]:
    """List the uploads of some days and posts that were taken, oldest first."""
    devices = _devices(session, hub, scope)
    wanted = {id_: device for id_, device in devices.items() if device.post_id in posts}
    return list(_batches(session, hub, wanted, first, last))


def _devices(session: Session, hub: AppContext, scope: Scope) -> dict[str, _Device]:
    """Load the tablets whose code was of a post in scope. A closed one misses nothing once its successor has synced."""
    silent = select(Notice.subject, Notice.details).where(
        Notice.district == hub.district, Notice.kind == "tablet-silent"
    )
    since = {row.subject: orjson.loads(row.details)["since"] for row in session.execute(silent)}
    rows = session.execute(
        select(
            *(Tablet.id, Tablet.name, Tablet.post_id, HealthPost.name.label("post_name"), Tablet.replaces),
            *(Tablet.head_counter, Tablet.last_counter, Tablet.revoked_at, Tablet.last_sync_at),
        )
        .join(HealthPost, and_(HealthPost.district == Tablet.district, HealthPost.id == Tablet.post_id))
        .where(Tablet.district == hub.district, posts_within(hub, scope))
    ).all()
    replaced = {row.replaces for row in rows if row.last_sync_at is not None or row.head_counter}
    posts = _posts_of_staff(session, hub)
    devices = {}
    for row in rows:
        missing = 0 if row.id in replaced else max(0, row.head_counter - row.last_counter)
        devices[row.id] = _Device(
            *(
                row.id,
                row.name,
                row.post_id,
                row.post_name,
                missing,
                row.last_counter + 1 if missing else None,
            ),
            since.get(row.id, "") if row.revoked_at is None else "",
            frozenset({row.post_id, *posts.get(row.id, ())}),
        )
    return devices


def _posts_of_staff(session: Session, hub: AppContext) -> dict[str, list[str]]:
    """Load the posts of all tablets of staff, by tablet."""
    found: dict[str, list[str]] = {}
    rows = session.execute(
        select(TabletPost.tablet_id, TabletPost.post_id).where(
            TabletPost.district == hub.district, TabletPost.taken_at.is_(None)
        )
    )
    for row in rows:
        found.setdefault(row.tablet_id, []).append(row.post_id)
    return found


def moments(hub: AppContext, first: date, last: date) -> tuple[datetime, datetime]:
    """Return when some days of the district begin and end (end not included)."""
    return hub.settings.start_of(first), hub.settings.start_of(last + timedelta(days=1))


def _batches(
    session: Session, hub: AppContext, devices: Mapping[str, _Device], first: date, last: date
) -> Iterator[BatchLine]:
    """Yield the batches of some tablets in the order of arrival."""
    start, end = moments(hub, first, last)
    rows = session.execute(
        select(
            *(Batch.tablet_id, Batch.batch_id, Batch.received_at, Batch.outcomes, Batch.receipt),
            *(Batch.size_bytes, Batch.clock_offset_ms),
        )
        .where(Batch.district == hub.district, Batch.received_at >= start, Batch.received_at < end)
        .order_by(Batch.received_at, Batch.batch_id)
        .execution_options(yield_per=AT_ONCE)  # each has its whole receipt
    )
    for row in rows:
        device = devices.get(row.tablet_id)
        if device is not None:
            yield _batch_line(hub, device, row)


def _batch_line(hub: AppContext, device: _Device, row: Any) -> BatchLine:
    counters = [item[0] for item in orjson.loads(row.receipt)["items"]]
    return BatchLine(
        *(device.id, device.name, device.post_id, device.post_name, row.batch_id, row.received_at),
        hub.settings.today(row.received_at),
        orjson.loads(row.outcomes),
        row.size_bytes,
        row.clock_offset_ms,
        (min(counters), max(counters)) if counters else None,
    )


def _refusals(
    session: Session, hub: AppContext, scope: Scope, devices: Mapping[str, _Device], first: date, last: date
) -> list[RefusedUpload]:
    """Read refused uploads from the log; those of unknown tablets are shown only for the whole district."""
    start, end = moments(hub, first, last)
    rows = session.execute(
        select(AuditEntry.stream, AuditEntry.at, AuditEntry.actor, AuditEntry.action, AuditEntry.details)
        .where(
            AuditEntry.district == hub.district,
            AuditEntry.at >= start,
            AuditEntry.at < end,
            AuditEntry.action.in_(sorted(REFUSED)),
        )
        .order_by(AuditEntry.at)
    )
    found = []
    for row in rows:
        tablet_id = row.actor.removeprefix("tablet:")
        device = devices.get(tablet_id)
        if device is None and (row.stream != audit.OFFICE or scope.kind != "district"):
            continue
        details = orjson.loads(row.details)
        found.append(
            RefusedUpload(
                row.at,
                hub.settings.today(row.at),
                details.get("code", row.action.removeprefix("batch.")),
                device.id if device else None,
                device.name if device else "",
                device.post_name if device else "",
                details.get("size_bytes"),
            )
        )
    return found


def _grouped(
    group: str,
    devices: Mapping[str, _Device],
    batches: Iterable[BatchLine],
    refusals: Iterable[RefusedUpload],
) -> list[SyncTotals]:
    lines: dict[str, SyncTotals] = {}
    if group != DAY:  # tablets that sent nothing are listed too
        for device in devices.values():
            line = _line_of(lines, group, device)
            line.missing += device.missing
            line.missing_from = device.missing_from if group == TABLET else None
            line.silent_since = max(line.silent_since, device.silent_since)
    for batch in batches:
        line = (
            lines.setdefault(batch.day.isoformat(), SyncTotals(batch.day.isoformat(), batch.day.isoformat()))
            if group == DAY
            else _line_of(lines, group, devices[batch.tablet_id])
        )
        line.takes(batch)
    for refusal in refusals:
        if group == DAY:
            day = refusal.day.isoformat()
            lines.setdefault(day, SyncTotals(day, day)).refused[refusal.code] += 1
        elif refusal.tablet_id is not None:
            _line_of(lines, group, devices[refusal.tablet_id]).refused[refusal.code] += 1
    if group == DAY:
        return [lines[day] for day in sorted(lines, reverse=True)]
    return sorted(lines.values(), key=lambda line: (line.post_name or line.name, line.name, line.id))


def _line_of(lines: dict[str, SyncTotals], group: str, device: _Device) -> SyncTotals:
    if group == POST:
        return lines.setdefault(device.post_id, SyncTotals(device.post_id, device.post_name, device.post_id))
    return lines.setdefault(device.id, SyncTotals(device.id, device.name, device.post_id, device.post_name))


def _by_author(
    session: Session, hub: AppContext, devices: Mapping[str, _Device], batches: Sequence[BatchLine]
) -> list[SyncTotals]:
    """Count changes by author; sizes and clocks belong to batches, which may have several authors."""
    lines: dict[str, SyncTotals] = {}
    came = list(headers(session, hub, batches))
    names = people(session, hub, (change.author for change in came))
    for change in came:
        device = devices[change.tablet_id]
        key = f"{change.author}/{device.post_id}"
        name = names.get(change.author, change.author)
        line = lines.setdefault(key, SyncTotals(key, name, device.post_id, device.post_name))
        line.outcomes[change.outcome] += 1
    return sorted(lines.values(), key=lambda line: (line.post_name, line.name))


@dataclass(frozen=True, slots=True)
class ChangeHeader:
    """The header of a change: everything but its values. Of a quarantined one `author` is UNKNOWN, `recorded_at` None."""

    tablet_id: str
    counter: int
    batch_id: str | None
    kind: str | None
    child_id: str | None
    record_id: str | None
    outcome: str
    author: str
    recorded_at: datetime | None


def headers(session: Session, hub: AppContext, batches: Iterable[BatchLine]) -> Iterator[ChangeHeader]:
    """Read the headers of all changes of some batches."""
    c = ChangeRow
    columns = (c.counter, c.batch_id, c.kind, c.child_id, c.record_id, c.outcome, c.header)
    for tablet_id, row in _changes_in(session, hub, batches, columns):
        yield _header(tablet_id, row)


def saved_minutes(
    session: Session, hub: AppContext, batches: Iterable[BatchLine]
) -> Mapping[tuple[str, datetime], int]:
    """Count the measurements in some batches, by tablet and the minute (UTC) of its clock in which they were saved."""
    counted: Counter[tuple[str, str]] = Counter()
    for tablet_id, row in _changes_in(
        session, hub, batches, (ChangeRow.batch_id, ChangeRow.kind, ChangeRow.header)
    ):
        if row.kind == "measurement" and (at := orjson.loads(row.header).get("recorded_at")):
            counted[tablet_id, at[:16]] += 1
    return {
        (tablet_id, read_moment(f"{minute}:00Z")): count for (tablet_id, minute), count in counted.items()
    }


def _changes_in(
    session: Session, hub: AppContext, batches: Iterable[BatchLine], columns: Sequence[Any]
) -> Iterator[tuple[str, Any]]:
    """Read the changes of some batches: the tablet, and some columns with `batch_id` among them."""
    ranges: dict[str, tuple[int, int]] = {}
    wanted = set()
    for batch in batches:
        wanted.add(batch.id)
        if batch.counters is not None:
            low, high = ranges.get(batch.tablet_id, batch.counters)
            ranges[batch.tablet_id] = min(low, batch.counters[0]), max(high, batch.counters[1])
    c = ChangeRow
    for tablet_id, (low, high) in sorted(ranges.items()):
        rows = session.execute(
            select(*columns).where(
                c.district == hub.district, c.actor == tablet_id, c.counter.between(low, high)
            )
        )
        yield from ((tablet_id, row) for row in rows if row.batch_id in wanted)


def _header(tablet_id: str, row: Any) -> ChangeHeader:
    header = orjson.loads(row.header)
    at = header.get("recorded_at")
    return ChangeHeader(
        *(tablet_id, row.counter, row.batch_id, row.kind, row.child_id, row.record_id, row.outcome),
        header.get("author", UNKNOWN),
        read_moment(at) if at else None,
    )


# -- one batch --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReceivedChange:
    """One change of a batch: its outcome in the receipt, its header, and the decision about it.

    `header` is None for a duplicate that came with another batch, or a change that is not held. `reasons` are those of its
    quarantine, as in the receipt.
    """

    counter: int
    outcome: str
    header: ChangeHeader | None
    reasons: tuple[Mapping[str, Any], ...]
    decision: str | None


@dataclass(frozen=True, slots=True)
class OpenedBatch:
    """A batch and everything in it; `sent_at` by the tablet's clock."""

    line: BatchLine
    sent_at: datetime
    digest: str
    changes: tuple[ReceivedChange, ...]


def batch(session: Session, hub: AppContext, scope: Scope, tablet_id: str, batch_id: str) -> OpenedBatch:
    """Load a batch.

    Raises
    ------
    Problem
        `record-unknown` outside the scope.
    """
    devices = _devices(session, hub, scope)
    known = UUID_TEXT.fullmatch(tablet_id) and UUID_TEXT.fullmatch(batch_id) and tablet_id in devices
    row = session.get(Batch, (hub.district, tablet_id, batch_id)) if known else None
    if row is None:
        raise Problem("record-unknown")
    items = orjson.loads(row.receipt)["items"]
    counters = [item[0] for item in items]
    line = _batch_line(hub, devices[tablet_id], row)
    held = _held(session, hub, tablet_id, counters)
    changes = tuple(_received_change(hub, tablet_id, item, held.get(item[0])) for item in items)
    return OpenedBatch(line, read_moment(row.sent_at), row.digest, changes)


def _held(session: Session, hub: AppContext, tablet_id: str, counters: Sequence[int]) -> dict[int, Any]:
    if not counters:
        return {}
    c, q = ChangeRow, QuarantineDecision
    rows = session.execute(
        select(
            *(c.counter, c.batch_id, c.kind, c.child_id, c.record_id, c.outcome, c.header, c.reasons),
            *(c.hash, c.content, c.sealed, q.decision),
        )
        .outerjoin(q, and_(q.district == c.district, q.actor == c.actor, q.counter == c.counter))
        .where(
            c.district == hub.district,
            c.actor == tablet_id,
            c.counter.between(min(counters), max(counters)),
        )
    )
    return {row.counter: row for row in rows}


def _received_change(hub: AppContext, tablet_id: str, item: Sequence[Any], row: Any) -> ReceivedChange:
    reasons = ledger.quarantine_reasons(hub.district, row, hub.vault) if row is not None else []
    return ReceivedChange(
        item[0],
        item[1],
        _header(tablet_id, row) if row is not None else None,
        tuple(reasons),
        row.decision if row is not None else None,
    )


# -- as a file, and who looked ----------------------------------------------------------------------


def as_csv(found: Syncs) -> Iterator[str]:
    """Write the lines as CSV, header first; safe for spreadsheets."""
    yield csv_line(COLUMNS)
    for line in found.lines:
        row = [
            *(found.group, line.id, line.name, line.post_name or None, line.batches, line.received),
            *(line.outcomes[outcome] for outcome in OUTCOMES),
            *(line.bytes, line.refused.total(), line.missing, line.missing_from),
            *(_seconds(line.clock_ms), line.silent_since or None),
        ]
        yield csv_line(row)


def uploads_as_csv(found: ListedUploads) -> Iterator[str]:
    """Write every upload as CSV: those taken, then those refused, with the reason's code."""
    yield csv_line(UPLOADS)
    for one in found.batches:
        row = [
            *(one.received_at.isoformat(), one.post_name, one.tablet_name, one.tablet_id, one.id, None),
            *(one.counters or (None, None)),
            *(one.received, *(one.outcomes.get(outcome, 0) for outcome in OUTCOMES)),
            *(one.bytes, _seconds(one.clock_ms)),
        ]
        yield csv_line(row)
    for refusal in found.refusals:
        row = [
            *(refusal.at.isoformat(), refusal.post_name, refusal.tablet_name, refusal.tablet_id, None),
            *(refusal.code, *[None] * (3 + len(OUTCOMES)), refusal.bytes, None),
        ]
        yield csv_line(row)


def _seconds(offset_ms: int | None) -> int | None:
    return None if offset_ms is None else round(offset_ms / 1000)


def log_look(
    session: Session,
    hub: AppContext,
    person: Person,
    action: str,
    now: datetime,
    *,
    post_id: str | None = None,
    **details: Any,
) -> None:
    """Log that a supervisor was shown, or downloaded, something: at the post concerned, else at the office."""
    stream = audit.post_stream(post_id) if post_id else audit.OFFICE
    actor = f"account:{person.account_id}"
    audit.append(session, hub.district, stream, action, actor=actor, now=now, details=details)
