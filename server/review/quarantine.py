"""Changes that were set aside: listed, read, corrected and released, or dismissed.

Rules kept here:
- Nothing is deleted and the ledger never changes: what a person decides stands beside the change.
- A release is an ordinary change by the hub with the context of the **original**, so it covers what the cadre had seen and
  nothing else. Where the original's context cannot be read, or the correction makes it another record, the context is empty.
- A case belongs to the child's present post; to its tablet's post where there is no such child yet; to nobody once the child
  was erased: the change as it came may tell of the person.
- A case is decided once. Whoever sends the same decision again gets the same answer; another one is told who was first.
- What was decided can be taken back: a dismissed case is open again, and what a release made is undone by another change of
  the hub. That is refused where it would take somebody else's work with it.
- Reasons are codes: free text may hold a name, and these are kept and logged in the clear.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final

import orjson
from sqlalchemy import Select, Text, and_, cast, func, literal_column, or_, select
from sqlalchemy.orm import Session

from schemas import Reason, check_change
from schemas.words import reason
from server import audit
from server.children import ledger
from server.context import AppContext
from server.crypto.vault import ChildKey
from server.database.engine import upsert
from server.database.ids import UUID_TEXT
from server.database.models import (
    ChangeRow,
    Child,
    Delivery,
    FollowUp,
    HealthPost,
    Measurement,
    QuarantineDecision,
    Tablet,
    table,
)
from server.errors import Problem
from server.review.scope import Scope, in_use, name_of, posts_within
from server.sync import server_edits
from server.sync.pipeline import heads_of
from server.sync.server_edits import Edit
from sync_protocol import (
    KEYS,
    NOTHING_SEEN,
    REGISTERS,
    SCHEMA,
    TAG_LENGTH,
    Change,
    Dot,
    Entry,
    History,
    Json,
    Outcome,
    VersionVector,
    canonical,
    fold,
    id_of,
    measurement_id,
)

OPEN, ANSWERED, DECIDED = "open", "answered", "decided"
STATES: Final = (OPEN, ANSWERED, DECIDED)
"""Waiting for somebody; replaced by a later change of the same tablet; released or dismissed."""

RELEASED, DISMISSED, REOPENED = "released", "dismissed", "reopened"
_STANDING: Final = (RELEASED, DISMISSED)
"""Decisions that stand. A case that was reopened keeps a row, which says who did so, and waits like any other."""

UNDONE_BESIDE: Final = "released-beside"
"""Reason of a case whose release was taken back, where the release had stood beside another value, in conflict."""

DISMISSALS: Final[Mapping[str, tuple[str, str]]] = {
    "recorded-again": ("sudah dicatat ulang dengan benar", "recorded again, correctly"),
    "recorded-twice": ("tercatat dua kali", "recorded twice"),
    "wrong-child": ("tertulis pada anak yang salah", "written down for the wrong child"),
    "practice": ("latihan atau uji coba", "practice or a trial"),
    "cannot-be-true": (
        "tidak mungkin benar dan tidak dapat diukur ulang",
        "cannot be true and cannot be measured again",
    ),
    "not-trusted": ("tidak berasal dari kader yang dikenal", "not from a cadre who is known"),
}
"""Why a change is put away for good: code -> Indonesian, English."""

KEYED: Final = frozenset(kind for kind, parts in KEYS.items() if parts)
"""Kinds whose records' ids follow from their keys."""

EMPTY: Final[Mapping[str, Json]] = {
    "length": {"length_mm": None, "position": None},
    "muac": {"muac_mm": None},
    "head": {"head_mm": None},
    "services": {},
    "nik": {"nik": None},
    "parents": {},
    "home": {},
    "birth": {},
    "same_as": {"child": None},
    "removed": {"reason": None},
}
"""Registers that can be said to hold nothing; no value of the others does."""

TAKEN_BACK: Final = "rilis karantina dibatalkan"
"""Why a record is removed that only a release had made."""

_NONCE: Final = "A" * 22


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody (`by`: "account:<id>" or "operator") decided, and the hub's change that came of it."""

    decision: str
    reason: str
    by: str
    at: datetime
    released: Dot | None

    def wire(self) -> dict[str, Any]:
        return {
            "decision": self.decision,
            "reason": self.reason,
            "by": self.by,
            "at": self.at.isoformat(timespec="seconds"),
            "released": list(self.released) if self.released else None,
        }


@dataclass(frozen=True, slots=True)
class QuarantinedChange:
    """A change that was set aside. `kind`, `record_id`, `child_id`, `measured_on` and `source` are None where it names none
    that could be read; `name` is the child's, None where the reader may not know it or nobody does. `decision` stands;
    `reopened` says who took one back last (its `reason` is what was taken back)."""

    tablet_id: str
    counter: int
    tablet_name: str
    post_id: str
    post_name: str
    state: str
    received_at: datetime
    kind: str | None
    record_id: str | None
    child_id: str | None
    measured_on: str | None
    source: str | None
    name: str | None
    reasons: Sequence[Json]
    decision: Decision | None
    reopened: Decision | None = None

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            "actor": self.tablet_id,
            "counter": self.counter,
            "tablet": {"id": self.tablet_id, "name": self.tablet_name},
            "post": {"id": self.post_id, "name": self.post_name},
            "state": self.state,
            "received_at": self.received_at.isoformat(timespec="seconds"),
            "kind": self.kind,
            "record": self.record_id,
            "child": {"id": self.child_id, "name": self.name} if self.child_id else None,
            "measured_on": self.measured_on,
            "source": self.source,
            "reasons": [dict(each) for each in self.reasons],
            "decision": self.decision.wire() if self.decision else None,
            "reopened": self.reopened.wire() if self.reopened else None,
        }


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A case with everything that a person needs to decide it: the change as it came, and its record as it stands
    (None where there is none yet)."""

    case: QuarantinedChange
    change: Json
    record: Json | None

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {**self.case.wire(), "change": dict(self.change), "record_now": self.record}


@dataclass(frozen=True, slots=True)
class Release:
    """What came of a release: the hub's change, and whether it has the original's context ("original") or none ("empty")."""

    dot: Dot
    outcome: Outcome
    context: str

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            "decision": "released",
            "dot": list(self.dot),
            "outcome": self.outcome.value,
            "context": self.context,
        }


# -- reading --------------------------------------------------------------------------------------


def cases(
    session: Session,
    hub: AppContext,
    scope: Scope,
    *,
    state: str = OPEN,
    post_id: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> tuple[list[QuarantinedChange], int]:
    """Load cases of one state: those that wait, longest waiting first; those decided, newest first.

    Returns
    -------
    (the cases from `offset` on, at most `limit`; how many there are in all)
    """
    if state == DECIDED:
        query = _selected(hub, scope, post_id).where(QuarantineDecision.decision.in_(_STANDING))
        total = session.execute(select(func.count()).select_from(query.subquery())).scalar_one()
        newest = query.order_by(
            QuarantineDecision.decided_at.desc(), ChangeRow.actor, ChangeRow.counter.desc()
        )
        rows = session.execute(newest.limit(limit).offset(offset)).all()
        return [_case(hub, scope, row, DECIDED) for row in rows], total
    waiting, answered = _undecided(session, hub, scope, post_id)
    chosen = answered if state == ANSWERED else waiting
    shown = chosen[offset:] if limit is None else chosen[offset : offset + limit]
    return [_case(hub, scope, row, state) for row in shown], len(chosen)


def open_by_tablet(session: Session, hub: AppContext) -> Counter[str]:
    """Count the open cases of the district by tablet."""
    waiting, _ = _undecided(session, hub, Scope.whole_district(hub, shows_names=False), None)
    return Counter(row.actor for row in waiting)


def _undecided(
    session: Session, hub: AppContext, scope: Scope, post_id: str | None
) -> tuple[list[Any], list[Any]]:
    """Load the rows that nobody decided about, longest waiting first: those open, those answered."""
    waiting = or_(QuarantineDecision.decision.is_(None), QuarantineDecision.decision == REOPENED)
    query = _selected(hub, scope, post_id).where(waiting)
    rows = session.execute(query.order_by(ChangeRow.received_at, ChangeRow.actor, ChangeRow.counter)).all()
    answered = _answered(session, hub, rows)
    parted: tuple[list[Any], list[Any]] = ([], [])
    for row in rows:
        parted[(row.actor, row.counter) in answered].append(row)
    return parted


def case_file(session: Session, hub: AppContext, scope: Scope, actor: str, counter: int) -> CaseFile:
    """Load a case with the change as it came.

    Raises
    ------
    Problem
        `record-unknown` outside the scope, `not-allowed` for who may not know names: the change may hold any.
    """
    if not scope.shows_names:
        raise Problem("not-allowed")
    row = _find(session, hub, scope, actor, counter)
    change = ledger.quarantined_change(hub.district, row, hub.vault)
    case = _case(hub, scope, row, _state_of(session, hub, row))
    return CaseFile(case, change, _record_now(session, hub, case, row))


def _state_of(session: Session, hub: AppContext, row: Any) -> str:
    if row.decision in _STANDING:
        return DECIDED
    return ANSWERED if _answered(session, hub, [row]) else OPEN


def log_listed(session: Session, hub: AppContext, actor: str, shown: int, offset: int, now: datetime) -> None:
    """Log that somebody was shown some cases, names and all."""
    details = {"cases": shown, "offset": offset}
    audit.append(
        session, hub.district, audit.OFFICE, "quarantine.listed", actor=actor, now=now, details=details
    )


def log_viewed(session: Session, hub: AppContext, actor: str, shown: CaseFile, now: datetime) -> None:
    """Log at the post that somebody read a change as it came: whatever is in it, a NIK too, is shown unmasked."""
    case = shown.case
    details = {"original": [case.tablet_id, case.counter], "child": case.child_id, "unmasked": True}
    stream = audit.post_stream(case.post_id)
    audit.append(session, hub.district, stream, "quarantine.viewed", actor=actor, now=now, details=details)


def _selected(hub: AppContext, scope: Scope, post_id: str | None = None) -> Select[*tuple[Any, ...]]:
    """Select the cases in scope, each with its tablet, its post, its child if there is one, and its decision."""
    district = hub.district
    post = func.coalesce(Child.post_id, Tablet.post_id)
    query = (
        select(
            ChangeRow.actor,
            ChangeRow.counter,
            ChangeRow.hash,
            ChangeRow.record_id,
            ChangeRow.child_id,
            ChangeRow.content,
            ChangeRow.reasons,
            ChangeRow.received_at,
            Tablet.name.label("tablet_name"),
            Tablet.post_id.label("tablet_post_id"),
            HealthPost.id.label("post_id"),
            HealthPost.name.label("post_name"),
            Child.id.label("stored_child_id"),
            Child.state,
            Child.wrapped_key,
            Child.key_version,
            QuarantineDecision.decision,
            QuarantineDecision.reason,
            QuarantineDecision.decided_by,
            QuarantineDecision.decided_at,
            QuarantineDecision.released_actor,
            QuarantineDecision.released_counter,
        )
        .join(Tablet, and_(Tablet.district == ChangeRow.district, cast(Tablet.id, Text) == ChangeRow.actor))
        .outerjoin(Child, and_(Child.district == ChangeRow.district, Child.id == ChangeRow.child_id))
        .join(HealthPost, and_(HealthPost.district == ChangeRow.district, HealthPost.id == post))
        .outerjoin(
            QuarantineDecision,
            and_(
                QuarantineDecision.district == ChangeRow.district,
                QuarantineDecision.actor == ChangeRow.actor,
                QuarantineDecision.counter == ChangeRow.counter,
            ),
        )
        # written out: SQLite takes a partial index only for a condition that it can read
        .where(ChangeRow.district == district, ChangeRow.outcome == literal_column("'quarantined'"))
        .where(posts_within(hub, scope), or_(Child.id.is_(None), in_use()))
    )
    return query if post_id is None else query.where(HealthPost.id == post_id)


def _find(
    session: Session, hub: AppContext, scope: Scope, actor: str, counter: int, *, lock: bool = False
) -> Any:
    if not UUID_TEXT.fullmatch(actor) or not 0 < counter < 2**53:
        raise Problem("record-unknown")
    if (
        lock
    ):  # before anything is read: of two people who decide at once the second must see what the first did
        c = table(ChangeRow).c
        mine = (c.district == hub.district, c.actor == actor, c.counter == counter)
        session.execute(select(c.counter).where(*mine).with_for_update())
    query = _selected(hub, scope).where(ChangeRow.actor == actor, ChangeRow.counter == counter)
    row = session.execute(query).one_or_none()
    if row is None:
        raise Problem("record-unknown")
    return row


def _case(hub: AppContext, scope: Scope, row: Any, state: str) -> QuarantinedChange:
    wire = ledger.quarantined_change(hub.district, row, hub.vault)
    written = wire.get("kind")
    kind = written if isinstance(written, str) and written in REGISTERS else None
    key = wire["key"] if kind == "measurement" and isinstance(wire.get("key"), Mapping) else {}
    decision = _decision(row)
    return QuarantinedChange(
        row.actor,
        row.counter,
        row.tablet_name,
        row.post_id,
        row.post_name,
        state,
        row.received_at,
        kind,
        row.record_id,
        row.child_id,
        _day(key.get("measured_on")),
        key.get("source") if key.get("source") in ("cadre", "staff") else None,
        _name(hub, row, wire) if scope.shows_names else None,
        orjson.loads(row.reasons) if row.reasons else [],
        decision if row.decision in _STANDING else None,
        decision if row.decision == REOPENED else None,
    )


def _decision(row: Any) -> Decision | None:
    if row.decision is None:
        return None
    released = Dot(row.released_actor, row.released_counter) if row.released_actor else None
    return Decision(row.decision, row.reason, row.decided_by, row.decided_at, released)


def _day(value: object) -> str | None:
    """Give back a day; what somebody else wrote in its place is for the case file alone."""
    if not isinstance(value, str) or len(value) != len("2026-03-05"):
        return None
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        return None


def _name(hub: AppContext, row: Any, wire: Json) -> str | None:
    """Give the name of the child: as it is registered, else as this very change would register it."""
    if row.state is not None:
        return name_of(hub, _Named(row.child_id, row.state, row.wrapped_key, row.key_version))
    registers = wire.get("set")
    identity = registers.get("identity") if isinstance(registers, Mapping) else None
    name = identity.get("name") if isinstance(identity, Mapping) else None
    return name if isinstance(name, str) and name.isprintable() else None


@dataclass(frozen=True, slots=True)
class _Named:
    child_id: str
    state: bytes
    wrapped_key: bytes
    key_version: int


def _answered(session: Session, hub: AppContext, rows: Sequence[Any]) -> set[tuple[str, int]]:
    """Find the cases of which a later change of the same tablet to the same record set, validly, every register again.

    A later change of *another* register answers nothing: the weight that was set aside is still nowhere to be seen.
    """
    records = {row.record_id: row.child_id for row in rows if row.record_id and row.stored_child_id}
    children = ledger.subjects(session, hub.vault, hub.district, sorted(set(records.values())))
    held = ledger.histories(session, hub.district, children, records)
    return {
        (row.actor, row.counter)
        for row in rows
        if row.record_id in held and is_answered(hub, row, held[row.record_id].changes)
    }


def is_answered(hub: AppContext, row: Any, changes: Sequence[Change]) -> bool:
    later = [c for c in changes if c.dot.actor == row.actor and c.dot.counter > row.counter]
    if not later:
        return False
    wire = ledger.quarantined_change(hub.district, row, hub.vault)
    asked = wire.get("set")
    known = REGISTERS[later[0].kind]
    names = {name for name in asked if name in known} if isinstance(asked, Mapping) else set()
    return names <= {name for change in later for name in change.registers}


def _record_now(session: Session, hub: AppContext, case: QuarantinedChange, row: Any) -> Json | None:
    """Give the state of a case's record as it is stored now."""
    if row.stored_child_id is None:
        return None
    key = hub.vault.child_key(case.child_id or "", row.wrapped_key, row.key_version)
    if case.kind == "child":
        stored = ledger.read_child(hub.district, row.stored_child_id, row.state, key) if row.state else None
        return orjson.loads(stored) if stored else None
    if case.kind in _HANGING:
        return _hanging_now(session, hub, case, key)
    if not (case.child_id and case.measured_on and case.source):
        return None
    where = (
        Measurement.district == hub.district,
        Measurement.child_id == case.child_id,
        Measurement.measured_on == date.fromisoformat(case.measured_on),
        Measurement.source == case.source,
    )
    found = session.execute(select(Measurement.state, Measurement.sealed).where(*where)).one_or_none()
    record_id = measurement_id(case.child_id, case.measured_on, case.source)
    return orjson.loads(ledger.read_measurement(hub.district, record_id, found, key)) if found else None


_HANGING: Final[Mapping[str, Any]] = {"follow_up": FollowUp.task, "delivery": Delivery.delivery}
"""Kinds of records of which one part of the key stands in the change alone, and where the table has it."""


def _hanging_now(session: Session, hub: AppContext, case: QuarantinedChange, key: ChildKey) -> Json | None:
    """Give the state of a follow-up or delivery: it is looked for among the child's few."""
    kind, named = case.kind or "", _HANGING[case.kind or ""]
    model = named.class_
    theirs = select(named.label("named"), model.state, model.sealed).where(
        model.district == hub.district, model.child_id == case.child_id
    )
    for found in session.execute(theirs):
        record_id = id_of(kind, {"child": case.child_id or "", named.key: found.named})
        if record_id == case.record_id:
            state: Json = orjson.loads(ledger.read_keyed(hub.district, kind, record_id, found, key))
            return state
    return None


# -- deciding -------------------------------------------------------------------------------------


def release(
    session: Session,
    hub: AppContext,
    scope: Scope,
    actor: str,
    counter: int,
    asked: Json,
    *,
    author: str,
    now: datetime,
) -> Release:
    """Make a corrected copy of a change that was set aside, as the hub and in its author's stead.

    Parameters
    ----------
    actor, counter : the case's dot
    asked : `set`, the registers as corrected (left out: as they came); `key`, the measurement's child, day and source as
        corrected (left out: as they came)
    author : who decides, "account:<id>" or "operator"

    Raises
    ------
    Problem
        `record-unknown` outside the scope, `change-invalid` with every reason for what still cannot be applied,
        `already-decided` when somebody decided before.
    """
    row = _find(session, hub, scope, actor, counter, lock=True)
    edit, context = _copy(session, hub, scope, row, asked, now)
    if row.decision in _STANDING:
        return _released_before(session, hub, row, edit, context, author)
    if row.decision == REOPENED and row.released_actor:
        edit = _after_undoing(session, hub, row, edit)
    as_it_is = "set" not in asked and "key" not in asked
    details = {"original": [actor, counter], "context": context, "corrected": not as_it_is}
    (written,) = server_edits.write(
        session,
        hub,
        [edit],
        "quarantine.released",
        author=author,
        now=now,
        details=details,
        new_at=row.tablet_post_id if row.stored_child_id is None else None,
    )
    reason_ = "as-it-is" if as_it_is else "corrected"
    _decide(session, hub, row, Decision(RELEASED, reason_, author, now, written.dot))
    return Release(written.dot, written.outcome, context)


def dismiss(
    session: Session,
    hub: AppContext,
    scope: Scope,
    actor: str,
    counter: int,
    asked: Json,
    *,
    author: str,
    now: datetime,
) -> Decision:
    """Put a change away for good; it stays in the ledger, and who put it away and why stands beside it.

    Parameters
    ----------
    asked : `reason`, a key of DISMISSALS

    Raises
    ------
    Problem
        `record-unknown`, `change-invalid` for a reason that is none, `already-decided`.
    """
    why = asked.get("reason")
    if not isinstance(why, str) or why not in DISMISSALS:
        code = "missing" if why is None else "not-choice"
        raise Problem("change-invalid", reasons=[reason("reason", code, why, ", ".join(DISMISSALS)).wire()])
    row = _find(session, hub, scope, actor, counter, lock=True)
    if row.decision in _STANDING:
        if (row.decision, row.reason, row.decided_by) != (DISMISSED, why, author):
            raise _decided_before(row)
        return Decision(row.decision, row.reason, row.decided_by, row.decided_at, None)
    decision = Decision(DISMISSED, why, author, now, None)
    _decide(session, hub, row, decision)
    details = {"original": [actor, counter], "child": row.child_id, "reason": why}
    stream = audit.post_stream(row.post_id)
    audit.append(
        session, hub.district, stream, "quarantine.dismissed", actor=author, now=now, details=details
    )
    return decision


# -- taking back ----------------------------------------------------------------------------------


def reopen(
    session: Session, hub: AppContext, scope: Scope, actor: str, counter: int, *, author: str, now: datetime
) -> Decision:
    """Take a dismissal back: the case waits again.

    Raises
    ------
    Problem
        `record-unknown`; `nothing-to-undo` when it is not dismissed.
    """
    row = _find(session, hub, scope, actor, counter, lock=True)
    if row.decision == REOPENED and row.decided_by == author and not row.released_actor:
        return Decision(REOPENED, row.reason, author, row.decided_at, None)
    if row.decision != DISMISSED:
        raise _nothing_to_undo(row)
    decision = Decision(REOPENED, DISMISSED, author, now, None)
    _decide(session, hub, row, decision)
    details = {"original": [actor, counter], "child": row.child_id}
    stream = audit.post_stream(row.post_id)
    audit.append(session, hub.district, stream, "quarantine.reopened", actor=author, now=now, details=details)
    return decision


def undo(
    session: Session, hub: AppContext, scope: Scope, actor: str, counter: int, *, author: str, now: datetime
) -> Decision:
    """Take a release back: a change of the hub gives its registers what they would hold without it, or removes the record
    that it alone had made; the case waits again.

    Raises
    ------
    Problem
        `record-unknown`; `nothing-to-undo` when it is not released; `undo-refused`, with the registers, where somebody has
        gone on from what was released, or a register cannot be emptied.
    """
    row = _find(session, hub, scope, actor, counter, lock=True)
    if row.decision == REOPENED and row.decided_by == author and row.released_actor:
        return Decision(REOPENED, row.reason, author, row.decided_at, _released(row))
    if row.decision != RELEASED:
        raise _nothing_to_undo(row)
    made = session.get_one(ChangeRow, (hub.district, row.released_actor, row.released_counter))
    child_id, record_id = made.child_id or "", made.record_id or ""
    _in_reach(session, hub, scope, row, child_id)
    heads_of(session, {"district": hub.district, "posts": [], "children": [child_id]}, lock=True)
    children = ledger.subjects(session, hub.vault, hub.district, [child_id])
    history = ledger.histories(session, hub.district, children, {record_id: child_id})[record_id]
    change = next(c for c in history.changes if c.dot == _released(row))
    registers = _without(session, hub, history, change)
    edit = Edit(change.kind, record_id, change.key, registers, fold(history).vector)
    details = {"original": [actor, counter], "release": list(change.dot)}
    (written,) = server_edits.write(
        session, hub, [edit], "quarantine.undone", author=author, now=now, details=details
    )
    beside = Outcome(made.outcome) is Outcome.CONFLICT
    decision = Decision(REOPENED, UNDONE_BESIDE if beside else RELEASED, author, now, written.dot)
    _decide(session, hub, row, decision)
    return decision


def _released(row: Any) -> Dot:
    return Dot(row.released_actor, row.released_counter)


def _nothing_to_undo(row: Any) -> Problem:
    return Problem(
        "nothing-to-undo",
        decision=row.decision,
        decided_by=row.decided_by,
        decided_at=row.decided_at.isoformat(timespec="seconds") if row.decided_at else None,
    )


def _without(session: Session, hub: AppContext, history: History, change: Change) -> dict[str, Json]:
    """Give the registers that put a record back to what it would be without a change."""
    state = fold(history)
    others = tuple(c for c in history.changes if c.dot != change.dot)
    _refuse_undoing(
        name
        for name in change.registers
        if not any(change.dot in sibling.dots for sibling in state.registers[name])
    )
    if state.removed and "removed" not in change.registers:
        _refuse_undoing(["removed"])
    if not others:
        if change.kind == "child" and _has_records(session, hub, change.record_id):
            _refuse_undoing(["child"])
        return {"removed": {"reason": TAKEN_BACK}}
    before = fold(History(others, history.quarantined)).registers
    wanted: dict[str, Json] = {}
    for name in change.registers:
        values = [sibling.value for sibling in before.get(name, ())]
        empty = [EMPTY[name]] if not values and name in EMPTY else []
        if len([*values, *empty]) == 1:
            wanted[name] = (values or empty)[0]
    _refuse_undoing(name for name in change.registers if name not in wanted)
    return wanted


def _refuse_undoing(registers: Iterable[str]) -> None:
    named = sorted(registers)
    if named:
        raise Problem("undo-refused", registers=", ".join(named))


def _has_records(session: Session, hub: AppContext, child_id: str) -> bool:
    """Say whether anything stands that belongs to a child: it would hang on a child that is gone."""
    return any(
        session.execute(
            select(model.child_id)
            .where(model.district == hub.district, model.child_id == child_id, model.removed.is_(False))
            .limit(1)
        ).first()
        for model in (Measurement, FollowUp, Delivery)
    )


def _after_undoing(session: Session, hub: AppContext, row: Any, edit: Edit) -> Edit:
    """Let a release follow on the taking back of the one before it, which its author had on the screen; only where that
    release replaced what the cadre had seen, or a value that nobody has decided about would be lost."""
    undone = session.get_one(ChangeRow, (hub.district, row.released_actor, row.released_counter))
    if undone.record_id != edit.record_id or row.reason == UNDONE_BESIDE:
        return edit
    context = edit.context.seeing(undone.actor, Entry(undone.counter, undone.hash[:TAG_LENGTH]))
    children = ledger.subjects(session, hub.vault, hub.district, [edit.child_id])
    removed = "removed" in ledger.read_change(hub.district, undone, children[edit.child_id]).registers
    back = {"removed": EMPTY["removed"]} if removed and "removed" not in edit.registers else {}
    return replace(edit, context=context, registers={**edit.registers, **back})


def _decide(session: Session, hub: AppContext, row: Any, decision: Decision) -> None:
    stored = {
        "district": hub.district,
        "actor": row.actor,
        "counter": row.counter,
        "decision": decision.decision,
        "reason": decision.reason,
        "released_actor": decision.released.actor if decision.released else None,
        "released_counter": decision.released.counter if decision.released else None,
        "decided_by": decision.by,
        "decided_at": decision.at,
    }
    upsert(session, table(QuarantineDecision), [stored])  # of a case that was reopened there is a row


def _decided_before(row: Any) -> Problem:
    return Problem(
        "already-decided",
        decision=row.decision,
        decided_by=row.decided_by,
        decided_at=row.decided_at.isoformat(timespec="seconds"),
    )


def _released_before(
    session: Session, hub: AppContext, row: Any, edit: Edit, context: str, author: str
) -> Release:
    """Give the answer of a release again to whoever asks for the very same; tell everybody else that they are late."""
    if row.decision != RELEASED or row.decided_by != author:
        raise _decided_before(row)
    stored = session.get_one(ChangeRow, (hub.district, row.released_actor, row.released_counter))
    child_id = stored.child_id or ""
    children = ledger.subjects(session, hub.vault, hub.district, [child_id])
    change = ledger.read_change(hub.district, stored, children[child_id])
    given = {name: v for name, v in change.registers.items() if name in edit.registers or name != "removed"}
    made = {"id": change.record_id, "set": given}  # who released again put back what had been removed
    if canonical(made) != canonical({"id": edit.record_id, "set": dict(edit.registers)}):
        raise _decided_before(row)
    return Release(change.dot, Outcome(stored.outcome), context)


def _copy(
    session: Session, hub: AppContext, scope: Scope, row: Any, asked: Json, now: datetime
) -> tuple[Edit, str]:
    """Give the change to be made in the original's stead, and whether the original's context could be kept."""
    wire = ledger.quarantined_change(hub.district, row, hub.vault)
    kind, key = wire.get("kind"), asked.get("key", wire.get("key"))
    copied = {
        "kind": kind,
        "id": _record_id(kind, key) if kind in KEYED else wire.get("id"),
        "key": key,
        "context": wire.get("context"),
        "set": asked.get("set", wire.get("set")),
        "author": "hub",
        "recorded_at": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "nonce": _NONCE,
        "app": "hub",
        "schema": SCHEMA,
    }
    found = check_change(copied, today=hub.settings.today(now))
    context = "original"
    if copied["id"] != wire.get("id") or any(_of_context(each) for each in found):
        copied["context"], context = NOTHING_SEEN.wire(), "empty"
        found = [each for each in found if not _of_context(each)]
    if kind == "child" and "key" in asked:
        found = [reason("key", "unknown-field", None), *found]
    if found:
        raise Problem("change-invalid", reasons=[each.wire() for each in found])
    seen = VersionVector.from_wire(copied["context"])
    edit = Edit(str(kind), copied["id"], copied["key"], copied["set"], seen)
    _in_reach(session, hub, scope, row, edit.child_id)
    return edit, context


def _record_id(kind: str, key: object) -> str | None:
    """Give the id that a record's key makes; None where it makes none, which the schemas put into words."""
    parts = {name: key.get(name) for name in KEYS[kind]} if isinstance(key, Mapping) else {}
    if not parts or not all(isinstance(part, str) for part in parts.values()):
        return None
    return id_of(kind, {name: str(part) for name, part in parts.items()})


def _of_context(found: Reason) -> bool:
    return found.path.partition(".")[0] == "context"


def _in_reach(session: Session, hub: AppContext, scope: Scope, row: Any, child_id: str) -> None:
    """Refuse a correction for a child that the deciding person may not see, or that was erased."""
    if child_id == row.child_id:
        return
    known = (
        select(Child.id)
        .join(HealthPost, and_(HealthPost.district == Child.district, HealthPost.id == Child.post_id))
        .where(Child.district == hub.district, Child.id == child_id, in_use())
        .where(posts_within(hub, scope))
    )
    if session.execute(known).one_or_none() is None:
        raise Problem("record-unknown")
