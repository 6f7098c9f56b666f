"""Settle a conflict: check what was decided against what was shown, and write it as a change by the hub."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from schemas import Reason
from schemas.words import reason
from server.context import AppContext
from server.errors import Problem
from server.review.conflicts.loading import find_row, key_of, load_conflict, open_registers
from server.review.conflicts.model import KEEP, REMOVE, REMOVED, SETTLEMENTS, Settlement
from server.review.hub_change import check_hub_change, is_about_context
from server.review.scope import Scope
from server.sync import server_edits
from server.sync.server_edits import Edit
from sync_protocol import REGISTERS, Change, Dot, History, Json, RecordState, VersionVector, fold


def settle(
    session: Session,
    hub: AppContext,
    scope: Scope,
    kind: str,
    record_id: str,
    request: Json,
    *,
    author: str,
    now: datetime,
) -> Settlement:
    """Replace the values that were shown with one.

    Parameters
    ----------
    request : `context`, as it was shown; `reason`, a key of SETTLEMENTS; `set`, for each register
        `{"dots": [[actor, counter], …]}` for one of the values shown or `{"value": {…}}` for a new one; `removal`, "keep" or
        "remove", where a removal is contested
    author : who decides, "account:<id>" or "operator"

    Raises
    ------
    Problem
        `conflict-unknown`, `not-allowed`, or `change-invalid` with every reason.
    """
    row, history = load_conflict(session, hub, scope, kind, record_id)
    registers, wrong = _chosen_registers(request, history)
    edit, found = _edit(hub, row, kind, record_id, registers, request.get("context"), now)
    wrong += found if found or edit is None else _unseen_faults(edit.context, history)
    wrong += _reason_faults(request.get("reason"))
    if wrong and find_row(session, hub, scope, kind, record_id) is None:
        raise Problem("conflict-unknown")  # somebody else settled it between the query and the read
    if wrong or edit is None:
        raise Problem("change-invalid", reasons=[each.wire() for each in wrong])
    details = {"record": record_id, "registers": sorted(registers), "reason": request["reason"]}
    (written,) = server_edits.write(
        session, hub, [edit], "conflict.settled", author=author, now=now, details=details
    )
    left = find_row(session, hub, scope, kind, record_id)
    return Settlement(written.dot, written.outcome, tuple(left.conflicts.split()) if left else ())


def _chosen_registers(request: Json, history: History) -> tuple[dict[str, Json], list[Reason]]:
    """Give the value that each register shall have, and every reason why that is not possible."""
    state, wanted, removal = fold(history), request.get("set", {}), request.get("removal")
    if not isinstance(wanted, Mapping):
        return {}, [reason("set", "not-object", None)]
    registers: dict[str, Json] = {}
    wrong: list[Reason] = []
    for name, choice in wanted.items():
        if name not in REGISTERS[state.kind]:
            wrong.append(reason(f"set.{name}", "unknown-field", None))
        elif name not in open_registers(state):
            wrong.append(reason(f"set.{name}", "not-in-conflict", None))
        else:
            value, why = _chosen_value(name, choice, history.changes)
            wrong += why
            registers |= {} if value is None else {name: value}
    if removal is not None:
        wrong += _removal_faults(removal, wanted, state)
        registers[REMOVED] = {"reason": _removal_reason(state) if removal == REMOVE else None}
    if not registers and not wrong:
        wrong.append(reason("set", "missing", None))
    return registers, wrong


def _removal_faults(removal: object, wanted: Json, state: RecordState) -> list[Reason]:
    if removal not in (KEEP, REMOVE):
        return [reason("removal", "not-choice", removal, f"{KEEP}, {REMOVE}")]
    if REMOVED in wanted or REMOVED not in open_registers(state):
        return [reason("removal", "not-in-conflict", None)]
    return []


def _removal_reason(state: RecordState) -> str | None:
    """Give the reason with which the record was removed. If a contested removal is confirmed, its reason stays."""
    reasons = (sibling.value["reason"] for sibling in state.registers.get(REMOVED, ()))
    return next((text for text in reasons if text is not None), None)


def _chosen_value(
    register: str, choice: object, changes: Sequence[Change]
) -> tuple[Json | None, list[Reason]]:
    """Give the value that was chosen by its dots (even if it was replaced in the meantime), or the new value."""
    path = f"set.{register}"
    if not isinstance(choice, Mapping) or len(choice) != 1 or not choice.keys() <= {"dots", "value"}:
        return None, [reason(path, "not-one-of-them", None)]
    if "value" in choice:
        value = choice["value"]
        return (value, []) if isinstance(value, Mapping) else (None, [reason(path, "not-object", None)])
    dots = choice["dots"]
    by_dot = {c.dot: c.registers[register] for c in changes if register in c.registers}
    chosen = [_dot(dot) for dot in dots] if isinstance(dots, list) else []
    values = [by_dot[dot] for dot in chosen if dot in by_dot]
    if not values or len(values) != len(chosen) or any(value != values[0] for value in values):
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
    """Give the change to be made, or every reason why it cannot be made."""
    key = key_of(row)
    values = {name: dict(value) for name, value in registers.items()}
    found = check_hub_change(hub, kind, record_id, key, values, context, now)
    if not registers:  # their faults are reported already
        found = [fault for fault in found if is_about_context(fault)]
    if found or not registers or not isinstance(context, Mapping):
        return None, found
    return Edit(kind, record_id, key, registers, VersionVector.from_wire(context)), []


def _unseen_faults(context: VersionVector, history: History) -> list[Reason]:
    """Find changes that the context names and the server does not hold: they cannot have been shown here."""
    held = history.held()
    return [
        reason(f"context.{actor}", "not-on-screen", None)
        for actor, entry in sorted(context.items())
        if held.get(Dot(actor, entry.counter)) != entry.tag
    ]


def _reason_faults(given: object) -> list[Reason]:
    if isinstance(given, str) and given in SETTLEMENTS:
        return []
    code = "missing" if given is None else "not-choice"
    return [reason("reason", code, None, ", ".join(SETTLEMENTS))]
