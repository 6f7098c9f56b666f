"""A record's full history: every change in causal order, its context, and so who had seen what.

A change comes after everything that its context names; between changes that know nothing of each other, the order of arrival
decides. Values are decrypted only on request.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.children import ledger
from server.context import AppContext
from server.database.ids import UUID_TEXT
from server.database.models import Child
from server.errors import Problem
from server.review import Scope
from server.review.child.history import Held, held
from server.review.scope import within
from sync_protocol import Dot, History, VersionVector, fold

KINDS: Final = ("child", "measurement", "follow_up", "delivery")
"""In the order in which a child's records are listed."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a context says about one actor: up to which of its changes it had been seen. `held`: exactly this change is held
    here, so the entry is believed.
    """

    lane: int
    counter: int
    held: bool


@dataclass(frozen=True, slots=True)
class Step:
    """One change of a record.

    Parameters
    ----------
    lane : index of its actor among the lanes
    registers : names of the registers that it sets; () for a quarantined one
    live : names of those whose value is still current
    seen : its context
    unseen : labels of the earlier changes in the list that its author had not seen
    values : what the registers were set to; None if not requested
    """

    number: int
    dot: Dot
    lane: int
    outcome: str
    author: str
    author_name: str | None
    recorded_at: datetime | None
    received_at: datetime
    registers: tuple[str, ...]
    live: frozenset[str]
    seen: tuple[Seen, ...]
    unseen: tuple[str, ...]
    values: Mapping[str, Any] | None

    @property
    def label(self) -> str:
        """Its lane's letter and its counter: A7."""
        return label(self.lane, self.dot.counter)


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a child: day and source of a measurement, and how many changes by how many devices.

    `kind` is "" if only quarantined changes are held.
    """

    id: str
    kind: str
    measured_on: date | None
    source: str
    changes: int
    devices: int


@dataclass(frozen=True, slots=True)
class Lineage:
    """A record's history. `lanes` are its actors: (id, name of the tablet; "" for edits at the health centre).

    `records` are all of the child's, including this one, the child's own first, then the newest measurement.
    `is_erased`: the child's key was destroyed. Who changed what when is still known and chained; the values are gone.
    """

    record: Record
    records: tuple[Record, ...]
    child_id: str
    post_id: str
    lanes: tuple[tuple[str, str], ...]
    steps: tuple[Step, ...]
    conflicts: tuple[str, ...]
    is_erased: bool


def label(lane: int, counter: int) -> str:
    """Its lane's letter and its counter: A7."""
    return f"{letter(lane)}{counter}"


def letter(lane: int) -> str:
    """Return a lane's letter: A to Z, then AA and so on."""
    text, rest = "", lane + 1
    while rest:
        rest, last = divmod(rest - 1, 26)
        text = chr(ord("A") + last) + text
    return text


def lineage(
    session: Session, hub: AppContext, scope: Scope, child_id: str, record_id: str, *, values: bool
) -> Lineage:
    """Return the history of a child's own record or of one of its measurements, follow-ups or deliveries.

    Parameters
    ----------
    values : decrypt what was set; only for people who may see it

    Raises
    ------
    Problem
        `record-unknown` outside the scope, or if nothing is held of it.
    """
    if not _in_scope(session, hub, scope, child_id):
        raise Problem("record-unknown")
    child = ledger.subjects(session, hub.vault, hub.district, [child_id])[child_id]
    found = held(session, hub, [child_id])
    rows = [row for row in found.rows if row.record_id == record_id]
    if not rows:
        raise Problem("record-unknown")
    is_erased = child.wrapped_key is None
    history = History(())
    if not is_erased:
        history = ledger.histories(session, hub.district, {child_id: child}, {record_id: child_id})[record_id]
    ordered = _ordered(rows, found.headers)
    actors = list(dict.fromkeys(row.actor for row in ordered))
    records = _records(found)
    return Lineage(
        next(record for record in records if record.id == record_id),
        *(records, child_id, child.post_id),
        tuple((actor, found.tablets.get(actor, "")) for actor in actors),
        tuple(_steps(ordered, actors, found, history, values=values)),
        _live(history)[1],
        is_erased,
    )


def _records(found: Held) -> tuple[Record, ...]:
    """List a child's records."""
    rows: dict[str, list[Any]] = {}
    for row in found.rows:
        if row.record_id is not None:
            rows.setdefault(row.record_id, []).append(row)
    records = []
    for record_id, some in rows.items():
        known = next((row for row in some if row.kind is not None), None)
        key = found.headers[Dot(known.actor, known.counter)]["key"] if known else {}
        on = key.get("measured_on")
        records.append(
            Record(
                *(record_id, known.kind if known else "", date.fromisoformat(on) if on else None),
                *(key.get("source", ""), len(some), len({row.actor for row in some})),
            )
        )
    order = {kind: place for place, kind in enumerate(KINDS)}
    records.sort(
        key=lambda one: (order.get(one.kind, len(order)), -(one.measured_on or date.min).toordinal(), one.id)
    )
    return tuple(records)


def _steps(
    ordered: Sequence[Any], actors: Sequence[str], found: Held, history: History, *, values: bool
) -> Iterator[Step]:
    changes = {change.dot: change for change in history.changes}
    tags = {Dot(row.actor, row.counter): row.hash[:16] for row in ordered}
    live = _live(history)[0]
    before: list[Dot] = []
    for number, row in enumerate(ordered, 1):
        dot = Dot(row.actor, row.counter)
        change, recorded = changes.get(dot), found.recorded.get(dot)
        seen = _seen(_context(found.headers[dot]), actors, tags)
        upto = {actors[one.lane]: one.counter for one in seen if one.held}
        yield Step(
            *(number, dot, actors.index(row.actor), row.outcome),
            recorded.author if recorded else "",
            recorded.name if recorded else None,
            recorded.recorded_at if recorded else None,
            row.received_at,
            tuple(change.registers) if change else (),
            live.get(dot, frozenset()),
            seen,
            tuple(
                label(actors.index(one.actor), one.counter)
                for one in before
                if one.counter > upto.get(one.actor, 0)
            )
            if recorded
            else (),  # unknown for a quarantined change: its context is encrypted
            dict(change.registers) if change and values else None,
        )
        before.append(dot)


def _in_scope(session: Session, hub: AppContext, scope: Scope, child_id: str) -> bool:
    known = select(Child.id).where(within(hub, scope), Child.id == child_id)
    return bool(UUID_TEXT.fullmatch(child_id)) and session.execute(known).scalar() is not None


def _context(header: Mapping[str, Any]) -> VersionVector:
    return VersionVector.from_wire(header.get("context", {}))


def _ordered(rows: Sequence[Any], headers: Mapping[Dot, Mapping[str, Any]]) -> list[Any]:
    """Sort rows causally: what a context names comes first. Arrival decides between unrelated ones, and breaks a
    cycle, which only forged contexts could make.
    """
    waiting = list(rows)
    by_actor = {row.actor for row in rows}
    done: dict[str, int] = {}
    first = {actor: min(row.counter for row in rows if row.actor == actor) for actor in by_actor}
    counters = {actor: sorted(row.counter for row in rows if row.actor == actor) for actor in by_actor}
    ordered = []
    while waiting:
        ready = next(
            (
                row
                for row in waiting
                if all(
                    done.get(actor, 0) >= max((c for c in counters[actor] if c <= entry.counter), default=0)
                    for actor, entry in _context(headers[Dot(row.actor, row.counter)]).items()
                    if actor in first and (actor, entry.counter) != (row.actor, row.counter)
                )
            ),
            waiting[0],
        )
        waiting.remove(ready)
        ordered.append(ready)
        done[ready.actor] = max(done.get(ready.actor, 0), ready.counter)
    return ordered


def _seen(context: VersionVector, actors: Sequence[str], tags: Mapping[Dot, str]) -> tuple[Seen, ...]:
    return tuple(
        Seen(actors.index(actor), entry.counter, tags.get(Dot(actor, entry.counter)) == entry.tag)
        for actor, entry in sorted(context.items())
        if actor in actors
    )


def _live(history: History) -> tuple[dict[Dot, frozenset[str]], tuple[str, ...]]:
    """Return which registers' current values come from which change, and which registers are in conflict."""
    if not history.changes:
        return {}, ()
    live: dict[Dot, set[str]] = {}
    conflicts = []
    for name, siblings in fold(history).registers.items():
        if len(siblings) > 1:
            conflicts.append(name)
        for sibling in siblings:
            for dot in sibling.dots:
                live.setdefault(dot, set()).add(name)
    return {dot: frozenset(names) for dot, names in live.items()}, tuple(conflicts)
