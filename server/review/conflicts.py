"""Records on which tablets disagree: listed, read with every value and who gave it, and settled.

Rules kept here:
- A settlement is an ordinary change by the hub whose context is what was **on the screen** and is passed back: a value that
  arrived meanwhile is not covered by it, survives, and the record stays in conflict.
- A context that names a change which the server does not hold is refused: nobody can have seen it here.
- Only registers that are in conflict can be set here; and why is a code, for free text may hold a name and the log is kept
  in the clear.
- Who settles sees everything unmasked, a NIK too (two that differ in the middle look alike masked), and the look is logged.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, func, literal, literal_column, select
from sqlalchemy.orm import Session

from schemas import Reason, check_change
from schemas.words import reason
from server import audit
from server.children import ledger
from server.context import AppContext
from server.database.ids import UUID_TEXT
from server.database.models import ChangeRow, Child, Delivery, FollowUp, HealthPost, Measurement, Tablet
from server.errors import Problem
from server.review.child import Recorded, recorded_by
from server.review.scope import Scope, in_use, name_of, posts_within
from server.sync import server_edits
from server.sync.server_edits import Edit
from sync_protocol import (
    REGISTERS,
    SCHEMA,
    Change,
    Dot,
    History,
    Json,
    Outcome,
    RecordState,
    VersionVector,
    fold,
    hub_actor,
    id_of,
)

SETTLEMENTS: Final[Mapping[str, tuple[str, str]]] = {
    "measured-again": ("diukur ulang", "measured again"),
    "asked-the-cadres": ("ditanyakan kepada kader", "the cadres were asked"),
    "asked-the-family": ("ditanyakan kepada keluarga", "the family was asked"),
    "seen-in-the-book": ("dicocokkan dengan buku KIA atau KMS", "compared with the KIA book or KMS"),
    "seen-on-a-document": (
        "dicocokkan dengan KK, akta, atau KIA anak",
        "compared with the family card, birth certificate or identity card",
    ),
    "slip-of-the-pen": ("salah tulis", "a slip of the pen"),
    "recorded-twice": ("tercatat dua kali", "recorded twice"),
}
"""What a settlement rests on: code -> Indonesian, English."""

KEEP, REMOVE = "keep", "remove"
_REMOVED: Final = "removed"
_NONCE: Final = "A" * 22


@dataclass(frozen=True, slots=True)
class Disputed:
    """A record that waits for a person. `registers` are those in conflict ("removed": a removal is contested); `incomplete`
    that a change which its authors had seen is missing here. `measured_on` and `source` are those of a measurement, `task`
    that of a follow-up, else None; `name` is None where the reader may not know it or nobody does."""

    kind: str
    record_id: str
    child_id: str
    name: str | None
    post_id: str
    post_name: str
    measured_on: date | None
    source: str | None
    task: str | None
    registers: tuple[str, ...]
    incomplete: bool

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            "kind": self.kind,
            "record": self.record_id,
            "child": {"id": self.child_id, "name": self.name},
            "post": {"id": self.post_id, "name": self.post_name},
            "measured_on": self.measured_on.isoformat() if self.measured_on else None,
            "source": self.source,
            "task": self.task,
            "registers": list(self.registers),
            "incomplete": self.incomplete,
        }


@dataclass(frozen=True, slots=True)
class LiveValue:
    """One of several values of a register: the dots that name it, and who recorded it."""

    dots: tuple[Dot, ...]
    value: Json
    recorded: tuple[Recorded, ...]

    def wire(self) -> dict[str, Any]:
        return {
            "dots": [list(dot) for dot in self.dots],
            "value": dict(self.value),
            "recorded": [_told(by) for by in self.recorded],
        }


def _told(by: Recorded) -> dict[str, Any]:
    return {
        "author": by.author,
        "tablet": by.tablet_name,
        "recorded_at": by.recorded_at.isoformat(timespec="seconds"),
        "received_at": by.received_at.isoformat(timespec="seconds"),
    }


@dataclass(frozen=True, slots=True)
class Past:
    """One change of a register: what it said, who recorded it, and whether that stands, alone or beside others."""

    dot: Dot
    value: Json
    recorded: Recorded
    standing: bool

    def wire(self) -> dict[str, Any]:
        return {
            "dot": list(self.dot),
            "value": dict(self.value),
            "recorded": _told(self.recorded),
            "standing": self.standing,
        }


@dataclass(frozen=True, slots=True)
class Conflict:
    """A record in conflict as it is put before a person.

    Parameters
    ----------
    context : the record's vector, to be passed back with what is decided
    candidates : by register in conflict, a contested removal under "removed"
    settled : the registers that hold one value
    missing : (actor, tablet's name or None, counter) of changes that others had seen and the server does not hold
    history : of each register in conflict every change, in the order of their arrival; what was replaced stays
    """

    record: Disputed
    context: VersionVector
    candidates: Mapping[str, tuple[LiveValue, ...]]
    settled: Mapping[str, Json]
    removal_contested: bool
    missing: tuple[tuple[str, str | None, int], ...]
    history: Mapping[str, tuple[Past, ...]]

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            **self.record.wire(),
            "context": self.context.wire(),
            "conflicts": {
                name: [candidate.wire() for candidate in several] for name, several in self.candidates.items()
            },
            "values": {name: dict(value) for name, value in self.settled.items()},
            "removal_contested": self.removal_contested,
            "missing": [
                {"actor": actor, "tablet": name, "counter": counter} for actor, name, counter in self.missing
            ],
            "history": {name: [past.wire() for past in several] for name, several in self.history.items()},
        }


@dataclass(frozen=True, slots=True)
class Aftermath:
    """A record that the office has decided about: where it is, who wrote last and what, and what was written before.

    Parameters
    ----------
    name : of the child, None where nobody knows it
    measured_on, source : of a measurement, else None
    by : who decided
    decided : what they wrote, by register
    history : of those registers every change, in the order of their arrival
    """

    kind: str
    record_id: str
    child_id: str
    name: str | None
    post_id: str
    post_name: str
    measured_on: date | None
    source: str | None
    by: Recorded
    decided: Mapping[str, Json]
    history: Mapping[str, tuple[Past, ...]]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What came of settling: the hub's change, and the registers that are in conflict still."""

    dot: Dot
    outcome: Outcome
    remaining: tuple[str, ...]

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {"dot": list(self.dot), "outcome": self.outcome.value, "remaining": list(self.remaining)}


# -- reading --------------------------------------------------------------------------------------


def conflicts(
    session: Session,
    hub: AppContext,
    scope: Scope,
    *,
    post_id: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> tuple[list[Disputed], int]:
    """Load the records that wait for a person, by post, then child, then day.

    Returns
    -------
    (those from `offset` on, at most `limit`; how many there are in all)
    """
    rows = [
        *session.execute(_children(hub, scope, post_id)),
        *session.execute(_measurements(hub, scope, post_id)),
        *session.execute(_follow_ups(hub, scope, post_id)),
        *session.execute(_deliveries(hub, scope, post_id)),
    ]
    rows.sort(key=_place)
    shown = rows[offset:] if limit is None else rows[offset : offset + limit]
    return [_disputed(hub, scope, row) for row in shown], len(rows)


def _place(row: Any) -> tuple[str, str, date, str, str]:
    return (
        row.post_name,
        row.child_id,
        row.measured_on or date.min,
        row.source or "",
        row.task or row.delivery or "",
    )


def dispute(session: Session, hub: AppContext, scope: Scope, kind: str, record_id: str) -> Conflict:
    """Load one record in conflict, with every value and who gave it.

    Raises
    ------
    Problem
        `conflict-unknown` outside the scope, or when it is in conflict no more; `not-allowed` for who may not know names.
    """
    row, history = _held(session, hub, scope, kind, record_id)
    state = fold(history)
    recorded = recorded_by(session, hub, row.child_id)
    open_ = _open_registers(state)
    return Conflict(
        _disputed(hub, scope, row),
        state.vector,
        {
            name: tuple(
                LiveValue(s.dots, s.value, tuple(recorded[dot] for dot in s.dots if dot in recorded))
                for s in state.registers[name]
            )
            for name in open_
        },
        {name: several[0].value for name, several in state.registers.items() if name not in open_},
        state.removal_contested,
        _missing(session, hub, history),
        _past(history, state, recorded, open_),
    )


def aftermath(session: Session, hub: AppContext, scope: Scope, kind: str, record_id: str) -> Aftermath:
    """Say who decided about a record, and what, for whoever comes second.

    Raises
    ------
    Problem
        `conflict-unknown` outside the scope, or where the office has written nothing; `not-allowed` as for a dispute.
    """
    if not scope.shows_names:
        raise Problem("not-allowed")
    actor = hub_actor(record_id)
    written = select(ChangeRow.child_id, ChangeRow.kind).where(
        ChangeRow.district == hub.district, ChangeRow.actor == actor, ChangeRow.counter == 1
    )
    first = session.execute(written).one_or_none()
    if first is None or first.kind != kind:
        raise Problem("conflict-unknown")
    child = (
        select(*_SHOWN)
        .join(HealthPost, and_(HealthPost.district == Child.district, HealthPost.id == Child.post_id))
        .where(Child.district == hub.district, Child.id == first.child_id, posts_within(hub, scope))
        .where(in_use())
    )
    row = session.execute(child).one_or_none()
    if row is None:
        raise Problem("conflict-unknown")
    children = ledger.subjects(session, hub.vault, hub.district, [row.child_id])
    history = ledger.histories(session, hub.district, children, {record_id: row.child_id})[record_id]
    last = max((c for c in history.changes if c.dot.actor == actor), key=lambda c: c.dot.counter)
    recorded = recorded_by(session, hub, row.child_id)
    on = last.key.get("measured_on")
    return Aftermath(
        kind,
        record_id,
        row.child_id,
        name_of(hub, row),
        row.post_id,
        row.post_name,
        date.fromisoformat(on) if on else None,
        last.key.get("source"),
        recorded[last.dot],
        last.registers,
        _past(history, fold(history), recorded, last.registers),
    )


def posts(session: Session, hub: AppContext, scope: Scope) -> list[tuple[str, str, int]]:
    """Give the posts that have records in conflict, by name: (id, name, how many)."""
    counted: Counter[tuple[str, str]] = Counter()
    for query in (_children, _measurements, _follow_ups, _deliveries):
        shown = query(hub, scope, None).with_only_columns(HealthPost.id, HealthPost.name, func.count())
        for post_id, name, count in session.execute(shown.group_by(HealthPost.id, HealthPost.name)):
            counted[name, post_id] += count
    return [(post_id, name, count) for (name, post_id), count in sorted(counted.items())]


def _past(
    history: History, state: RecordState, recorded: Mapping[Dot, Recorded], registers: Iterable[str]
) -> dict[str, tuple[Past, ...]]:
    """Give every change of some registers, those that were replaced too."""
    changes = sorted(
        (c for c in history.changes if c.dot in recorded),
        key=lambda c: (recorded[c.dot].received_at, c.dot),
    )
    standing = {name: {dot for s in state.registers.get(name, ()) for dot in s.dots} for name in registers}
    return {
        name: tuple(
            Past(c.dot, c.registers[name], recorded[c.dot], c.dot in live)
            for c in changes
            if name in c.registers
        )
        for name, live in standing.items()
    }


def log_listed(session: Session, hub: AppContext, actor: str, shown: int, offset: int, now: datetime) -> None:
    """Log that somebody was shown some records in conflict, names and all."""
    details = {"records": shown, "offset": offset}
    audit.append(
        session, hub.district, audit.OFFICE, "conflicts.listed", actor=actor, now=now, details=details
    )


def log_viewed(
    session: Session, hub: AppContext, actor: str, shown: Conflict | Aftermath, now: datetime
) -> None:
    """Log at the child's post that somebody read a record in conflict, or one that was, unmasked."""
    record = shown.record if isinstance(shown, Conflict) else shown
    details = {"record": record.record_id, "child": record.child_id, "unmasked": True}
    stream = audit.post_stream(record.post_id)
    audit.append(session, hub.district, stream, "conflict.viewed", actor=actor, now=now, details=details)


_SETTLED: Final[ColumnElement[str]] = literal_column("''")
"""Written out: SQLite takes a partial index only for a condition that it can read."""
_SHOWN: Final = (
    Child.id.label("child_id"),
    Child.state,
    Child.wrapped_key,
    Child.key_version,
    HealthPost.id.label("post_id"),
    HealthPost.name.label("post_name"),
)


def _children(hub: AppContext, scope: Scope, post_id: str | None) -> Select[*tuple[Any, ...]]:
    query = (
        select(
            *_SHOWN,
            Child.conflicts,
            literal(None).label("measured_on"),
            literal(None).label("source"),
            literal(None).label("task"),
            literal(None).label("delivery"),
        )
        .join(HealthPost, and_(HealthPost.district == Child.district, HealthPost.id == Child.post_id))
        .where(Child.district == hub.district, Child.conflicts != _SETTLED, Child.removed.is_(False))
        .where(in_use(), posts_within(hub, scope))
    )
    return query if post_id is None else query.where(Child.post_id == post_id)


def _measurements(hub: AppContext, scope: Scope, post_id: str | None) -> Select[*tuple[Any, ...]]:
    query = (
        select(
            *_SHOWN,
            Measurement.conflicts,
            Measurement.measured_on,
            Measurement.source,
            literal(None).label("task"),
            literal(None).label("delivery"),
        )
        .join(Child, and_(Child.district == Measurement.district, Child.id == Measurement.child_id))
        .join(
            HealthPost,
            and_(HealthPost.district == Measurement.district, HealthPost.id == Measurement.post_id),
        )
        .where(Measurement.district == hub.district, Measurement.conflicts != _SETTLED)
        .where(Measurement.removed.is_(False), in_use(), posts_within(hub, scope))
    )
    return query if post_id is None else query.where(Measurement.post_id == post_id)


def _follow_ups(hub: AppContext, scope: Scope, post_id: str | None) -> Select[*tuple[Any, ...]]:
    query = (
        select(
            *_SHOWN,
            FollowUp.conflicts,
            literal(None).label("measured_on"),
            literal(None).label("source"),
            FollowUp.task,
            literal(None).label("delivery"),
        )
        .join(Child, and_(Child.district == FollowUp.district, Child.id == FollowUp.child_id))
        .join(
            HealthPost,
            and_(HealthPost.district == FollowUp.district, HealthPost.id == FollowUp.post_id),
        )
        .where(FollowUp.district == hub.district, FollowUp.conflicts != _SETTLED)
        .where(FollowUp.removed.is_(False), in_use(), posts_within(hub, scope))
    )
    return query if post_id is None else query.where(FollowUp.post_id == post_id)


def _deliveries(hub: AppContext, scope: Scope, post_id: str | None) -> Select[*tuple[Any, ...]]:
    query = (
        select(
            *_SHOWN,
            Delivery.conflicts,
            literal(None).label("measured_on"),
            literal(None).label("source"),
            literal(None).label("task"),
            Delivery.delivery,
        )
        .join(Child, and_(Child.district == Delivery.district, Child.id == Delivery.child_id))
        .join(
            HealthPost,
            and_(HealthPost.district == Delivery.district, HealthPost.id == Delivery.post_id),
        )
        .where(Delivery.district == hub.district, Delivery.conflicts != _SETTLED)
        .where(Delivery.removed.is_(False), Child.wrapped_key.is_not(None), posts_within(hub, scope))
    )
    return query if post_id is None else query.where(Delivery.post_id == post_id)


def _kind(row: Any) -> str:
    if row.delivery is not None:
        return "delivery"
    if row.task is not None:
        return "follow_up"
    return "child" if row.measured_on is None else "measurement"


def _key(row: Any) -> dict[str, str]:
    """Give the key of a record, of which its id is made; a child's own is empty."""
    if row.delivery is not None:
        return {"child": row.child_id, "delivery": row.delivery}
    if row.task is not None:
        return {"child": row.child_id, "task": row.task}
    if row.measured_on is None:
        return {}
    return {"child": row.child_id, "measured_on": row.measured_on.isoformat(), "source": row.source}


def _record_id(row: Any) -> str:
    return id_of(_kind(row), key) if (key := _key(row)) else str(row.child_id)


def _disputed(hub: AppContext, scope: Scope, row: Any) -> Disputed:
    words = row.conflicts.split()
    return Disputed(
        _kind(row),
        _record_id(row),
        row.child_id,
        name_of(hub, row) if scope.shows_names else None,
        row.post_id,
        row.post_name,
        row.measured_on,
        row.source,
        row.task or row.delivery,
        tuple(dict.fromkeys(word for word in words if word != "incomplete")),
        "incomplete" in words,
    )


def _held(session: Session, hub: AppContext, scope: Scope, kind: str, record_id: str) -> tuple[Any, History]:
    """Find a record in conflict, and all that is held of it."""
    if not scope.shows_names:
        raise Problem("not-allowed")
    row = _find(session, hub, scope, kind, record_id)
    if row is None:
        raise Problem("conflict-unknown")
    children = ledger.subjects(session, hub.vault, hub.district, [row.child_id])
    held = ledger.histories(session, hub.district, children, {record_id: row.child_id})
    return row, held[record_id]


def _find(session: Session, hub: AppContext, scope: Scope, kind: str, record_id: str) -> Any:
    if not UUID_TEXT.fullmatch(record_id):
        return None
    if kind == "child":
        return session.execute(_children(hub, scope, None).where(Child.id == record_id)).one_or_none()
    # an id that is made of a key is a digest of what finds it: it is looked for among the few that are in conflict
    found = {"measurement": _measurements, "follow_up": _follow_ups, "delivery": _deliveries}.get(kind)
    rows = session.execute(found(hub, scope, None)).all() if found else []
    return next((row for row in rows if _record_id(row) == record_id), None)


def _open_registers(state: RecordState) -> tuple[str, ...]:
    """Give the registers that a person can settle; a contested removal is one of them."""
    contested = (_REMOVED,) if state.removal_contested and _REMOVED not in state.conflicts else ()
    return (*state.conflicts, *contested)


def _missing(session: Session, hub: AppContext, history: History) -> tuple[tuple[str, str | None, int], ...]:
    """Name what authors had seen and the server does not hold, as it once did or another server did."""
    held = history.held()
    missing = {
        (actor, entry.counter)
        for change in history.changes
        for actor, entry in change.context.items()
        if held.get(Dot(actor, entry.counter)) != entry.tag
    }
    ids = {actor for actor, _ in missing if UUID_TEXT.fullmatch(actor)}
    tablets = session.execute(
        select(Tablet.id, Tablet.name).where(Tablet.district == hub.district, Tablet.id.in_(ids))
    )
    names = {row.id: row.name for row in tablets}
    return tuple((actor, names.get(actor), counter) for actor, counter in sorted(missing))


# -- settling -------------------------------------------------------------------------------------


def settle(
    session: Session,
    hub: AppContext,
    scope: Scope,
    kind: str,
    record_id: str,
    asked: Json,
    *,
    author: str,
    now: datetime,
) -> Settlement:
    """Put one value in the place of those that were on the screen.

    Parameters
    ----------
    asked : `context`, as it was shown; `reason`, a key of SETTLEMENTS; `set`, by register `{"dots": [[actor, counter], …]}`
        for one of the values shown or `{"value": {…}}` for a new one; `removal`, "keep" or "remove", where one is contested
    author : who decides, "account:<id>" or "operator"

    Raises
    ------
    Problem
        `conflict-unknown`, `not-allowed`, or `change-invalid` with every reason.
    """
    row, history = _held(session, hub, scope, kind, record_id)
    registers, wrong = _chosen(asked, history)
    edit, found = _edit(hub, row, kind, record_id, registers, asked.get("context"), now)
    wrong += found if found or edit is None else _unseen(edit.context, history)
    wrong += _of_reason(asked.get("reason"))
    if wrong and _find(session, hub, scope, kind, record_id) is None:
        raise Problem("conflict-unknown")  # somebody settled it between our looking for it and reading it
    if wrong or edit is None:
        raise Problem("change-invalid", reasons=[each.wire() for each in wrong])
    details = {"record": record_id, "registers": sorted(registers), "reason": asked["reason"]}
    (written,) = server_edits.write(
        session, hub, [edit], "conflict.settled", author=author, now=now, details=details
    )
    left = _find(session, hub, scope, kind, record_id)
    return Settlement(written.dot, written.outcome, tuple(left.conflicts.split()) if left else ())


def _chosen(asked: Json, history: History) -> tuple[dict[str, Json], list[Reason]]:
    """Give the value that each register is to have, and every reason against."""
    state, wanted, removal = fold(history), asked.get("set", {}), asked.get("removal")
    if not isinstance(wanted, Mapping):
        return {}, [reason("set", "not-object", None)]
    registers: dict[str, Json] = {}
    wrong: list[Reason] = []
    for name, choice in wanted.items():
        if name not in REGISTERS[state.kind]:
            wrong.append(reason(f"set.{name}", "unknown-field", None))
        elif name not in _open_registers(state):
            wrong.append(reason(f"set.{name}", "not-in-conflict", None))
        else:
            value, why = _value(name, choice, history.changes)
            wrong += why
            registers |= {} if value is None else {name: value}
    if removal is not None:
        wrong += _against_removal(removal, wanted, state)
        registers[_REMOVED] = {"reason": _reason_of(state) if removal == REMOVE else None}
    if not registers and not wrong:
        wrong.append(reason("set", "missing", None))
    return registers, wrong


def _against_removal(removal: object, wanted: Json, state: RecordState) -> list[Reason]:
    if removal not in (KEEP, REMOVE):
        return [reason("removal", "not-choice", removal, f"{KEEP}, {REMOVE}")]
    if _REMOVED in wanted or _REMOVED not in _open_registers(state):
        return [reason("removal", "not-in-conflict", None)]
    return []


def _reason_of(state: RecordState) -> str | None:
    """Give the reason with which the record was removed: a contested removal that is upheld keeps its own."""
    given = (sibling.value["reason"] for sibling in state.registers.get(_REMOVED, ()))
    return next((words for words in given if words is not None), None)


def _value(register: str, choice: object, changes: Sequence[Change]) -> tuple[Json | None, list[Reason]]:
    """Give the value that somebody chose by its dots, even if it was replaced meanwhile, or that they give anew."""
    path = f"set.{register}"
    if not isinstance(choice, Mapping) or len(choice) != 1 or not choice.keys() <= {"dots", "value"}:
        return None, [reason(path, "not-one-of-them", None)]
    if "value" in choice:
        value = choice["value"]
        return (value, []) if isinstance(value, Mapping) else (None, [reason(path, "not-object", None)])
    dots = choice["dots"]
    touching = {c.dot: c.registers[register] for c in changes if register in c.registers}
    named = [_dot(dot) for dot in dots] if isinstance(dots, list) else []
    values = [touching[dot] for dot in named if dot in touching]
    if not values or len(values) != len(named) or any(value != values[0] for value in values):
        return None, [reason(f"{path}.dots", "not-one-of-them", None)]
    return values[0], []


def _dot(written: object) -> Dot | None:
    match written:
        case [str(actor), int(counter)] if isinstance(written, list):
            return Dot(actor, counter)
    return None


def _edit(
    hub: AppContext,
    row: Any,
    kind: str,
    record_id: str,
    registers: Mapping[str, Json],
    context: object,
    now: datetime,
) -> tuple[Edit | None, list[Reason]]:
    """Give the change to be made, or every reason why it cannot be."""
    key = _key(row)
    wire = {
        "kind": kind,
        "id": record_id,
        "key": key,
        "set": {name: dict(value) for name, value in registers.items()},
        "author": "hub",
        "recorded_at": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "nonce": _NONCE,
        "app": "hub",
        "schema": SCHEMA,
        **({} if context is None else {"context": context}),
    }
    found = check_change(wire, today=hub.settings.today(now))
    if not registers:  # what is wrong with them has been said
        found = [each for each in found if each.path.partition(".")[0] == "context"]
    if found or not registers or not isinstance(context, Mapping):
        return None, found
    return Edit(kind, record_id, key, registers, VersionVector.from_wire(context)), []


def _unseen(context: VersionVector, history: History) -> list[Reason]:
    """Find what a context names that is not held: it was on no screen of this server."""
    held = history.held()
    return [
        reason(f"context.{actor}", "not-on-screen", None)
        for actor, entry in sorted(context.items())
        if held.get(Dot(actor, entry.counter)) != entry.tag
    ]


def _of_reason(given: object) -> list[Reason]:
    if isinstance(given, str) and given in SETTLEMENTS:
        return []
    code = "missing" if given is None else "not-choice"
    return [reason("reason", code, None, ", ".join(SETTLEMENTS))]
