"""Undo a decision: open a dismissed case again, or take back what a release wrote."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from server import audit
from server.children import ledger
from server.context import AppContext
from server.database.models import ChangeRow, Delivery, FollowUp, Measurement
from server.errors import Problem
from server.review.quarantine.correcting import EMPTY, require_in_scope
from server.review.quarantine.deciding import store_decision
from server.review.quarantine.loading import find_row
from server.review.quarantine.model import DISMISSED, RELEASED, REOPENED, UNDONE_BESIDE, Decision
from server.review.scope import Scope
from server.sync import server_edits
from server.sync.duplicate_search import lock_registrations
from server.sync.server_edits import Edit
from server.sync.streams import heads_of
from sync_protocol import Change, Dot, History, Json, Outcome, fold

TAKEN_BACK: Final = "rilis karantina dibatalkan"
"""The reason with which a record is removed that a release alone had made."""


def reopen(
    session: Session, hub: AppContext, scope: Scope, actor: str, counter: int, *, author: str, now: datetime
) -> Decision:
    """Undo a dismissal: the case is open again.

    Raises
    ------
    Problem
        `record-unknown`; `nothing-to-undo` if it is not dismissed.
    """
    row = find_row(session, hub, scope, actor, counter, lock=True)
    if row.decision == REOPENED and row.decided_by == author and not row.released_actor:
        return Decision(REOPENED, row.reason, author, row.decided_at, None)
    if row.decision != DISMISSED:
        raise _nothing_to_undo(row)
    decision = Decision(REOPENED, DISMISSED, author, now, None)
    store_decision(session, hub, row, decision)
    details = {"original": [actor, counter], "child": row.child_id}
    stream = audit.post_stream(row.post_id)
    audit.append(session, hub.district, stream, "quarantine.reopened", actor=author, now=now, details=details)
    return decision


def undo(
    session: Session, hub: AppContext, scope: Scope, actor: str, counter: int, *, author: str, now: datetime
) -> Decision:
    """Undo a release: a change by the hub gives its registers the values they would have without it, or removes the record
    if the release alone had made it. The case is open again.

    Raises
    ------
    Problem
        `record-unknown`; `nothing-to-undo` if it is not released; `undo-refused`, with the registers, if somebody has
        changed what was released since, or if a register cannot be emptied.
    """
    row = find_row(session, hub, scope, actor, counter, lock=True)
    if row.decision == REOPENED and row.decided_by == author and row.released_actor:
        return Decision(REOPENED, row.reason, author, row.decided_at, _released_dot(row))
    if row.decision != RELEASED:
        raise _nothing_to_undo(row)
    stored = session.get_one(ChangeRow, (hub.district, row.released_actor, row.released_counter))
    child_id, record_id = stored.child_id or "", stored.record_id or ""
    require_in_scope(session, hub, scope, row, child_id)
    lock_registrations(session, hub.district)
    heads_of(session, {"district": hub.district, "posts": [], "children": [child_id]}, lock=True)
    children = ledger.subjects(session, hub.vault, hub.district, [child_id])
    history = ledger.histories(session, hub.district, children, {record_id: child_id})[record_id]
    change = next(c for c in history.changes if c.dot == _released_dot(row))
    registers = _registers_without(session, hub, history, change)
    edit = Edit(change.kind, record_id, change.key, registers, fold(history).vector)
    details = {"original": [actor, counter], "release": list(change.dot)}
    (written,) = server_edits.write(
        session, hub, [edit], "quarantine.undone", author=author, now=now, details=details
    )
    was_in_conflict = Outcome(stored.outcome) is Outcome.CONFLICT
    undone = UNDONE_BESIDE if was_in_conflict else RELEASED
    decision = Decision(REOPENED, undone, author, now, written.dot)
    store_decision(session, hub, row, decision)
    return decision


def _released_dot(row: Any) -> Dot:
    return Dot(row.released_actor, row.released_counter)


def _nothing_to_undo(row: Any) -> Problem:
    return Problem(
        "nothing-to-undo",
        decision=row.decision,
        decided_by=row.decided_by,
        decided_at=row.decided_at.isoformat(timespec="seconds") if row.decided_at else None,
    )


def _registers_without(
    session: Session, hub: AppContext, history: History, change: Change
) -> dict[str, Json]:
    """Give the registers that make a record what it would be without a change."""
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
    restored: dict[str, Json] = {}
    for name in change.registers:
        values = [sibling.value for sibling in before.get(name, ())]
        empty = [EMPTY[name]] if not values and name in EMPTY else []
        if len([*values, *empty]) == 1:
            restored[name] = (values or empty)[0]
    _refuse_undoing(name for name in change.registers if name not in restored)
    return restored


def _refuse_undoing(registers: Iterable[str]) -> None:
    if names := sorted(registers):
        raise Problem("undo-refused", registers=", ".join(names))


def _has_records(session: Session, hub: AppContext, child_id: str) -> bool:
    """Say whether a child has records, which would be left without a child if it were removed."""
    return any(
        session.execute(
            select(model.child_id)
            .where(model.district == hub.district, model.child_id == child_id, model.removed.is_(False))
            .limit(1)
        ).first()
        for model in (Measurement, FollowUp, Delivery)
    )
