"""Make the hub's edit from a quarantined change and its correction, or give every reason why it cannot be made."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from schemas.words import reason
from server.children import ledger
from server.context import AppContext
from server.database.models import ChangeRow, Child, HealthPost
from server.errors import Problem
from server.review.hub_change import check_hub_change, is_about_context
from server.review.quarantine.model import UNDONE_BESIDE
from server.review.scope import Scope, in_use, posts_within
from server.sync.server_edits import Edit
from sync_protocol import KEYS, NOTHING_SEEN, TAG_LENGTH, Entry, Json, VersionVector, id_of

EMPTY: Final[Mapping[str, Json]] = {
    "weight": {"weight_g": None, "oedema": None},
    "length": {"length_mm": None, "position": None},
    "muac": {"muac_mm": None},
    "head": {"head_mm": None},
    "services": {},
    "note": {"text": None},
    "nik": {"nik": None},
    "parents": {},
    "home": {},
    "birth": {},
    "same_as": {"child": None},
    "removed": {"reason": None},
}
"""For each register that can be emptied, its empty value. The others have none."""

KEYED: Final = frozenset(kind for kind, parts in KEYS.items() if parts)
"""Kinds whose record ids are made from their keys."""


def corrected_edit(
    session: Session, hub: AppContext, scope: Scope, row: Any, request: Json, now: datetime
) -> tuple[Edit, str]:
    """Give the change that replaces the original, and which context it has ("original" or "empty")."""
    wire = ledger.quarantined_change(hub.district, row, hub.vault)
    kind, key = wire.get("kind"), request.get("key", wire.get("key"))
    record_id: Any = _record_id(kind, key) if kind in KEYED else wire.get("id")
    registers: Any = request.get("set", wire.get("set"))
    seen: Any = wire.get("context")
    faults = check_hub_change(hub, kind, record_id, key, registers, seen, now)
    context = "original"
    if record_id != wire.get("id") or any(is_about_context(fault) for fault in faults):
        seen, context = NOTHING_SEEN.wire(), "empty"
        faults = [fault for fault in faults if not is_about_context(fault)]
    if kind == "child" and "key" in request:
        faults = [reason("key", "unknown-field", None), *faults]
    if faults:
        raise Problem("change-invalid", reasons=[fault.wire() for fault in faults])
    edit = Edit(str(kind), record_id, key, registers, VersionVector.from_wire(seen))
    require_in_scope(session, hub, scope, row, edit.child_id)
    return edit, context


def edit_after_undo(session: Session, hub: AppContext, row: Any, edit: Edit) -> Edit:
    """Add the undo of the release before it to an edit's context: its author has seen it.

    Not where that release had been in conflict with another value: the edit would then replace a value that nobody has
    decided about.
    """
    undone = session.get_one(ChangeRow, (hub.district, row.released_actor, row.released_counter))
    if undone.record_id != edit.record_id or row.reason == UNDONE_BESIDE:
        return edit
    context = edit.context.seeing(undone.actor, Entry(undone.counter, undone.hash[:TAG_LENGTH]))
    children = ledger.subjects(session, hub.vault, hub.district, [edit.child_id])
    removed = "removed" in ledger.read_change(hub.district, undone, children[edit.child_id]).registers
    back = {"removed": EMPTY["removed"]} if removed and "removed" not in edit.registers else {}
    return replace(edit, context=context, registers={**edit.registers, **back})


def _record_id(kind: str, key: object) -> str | None:
    """Make a record's id from its key; None for an invalid key, for which the schemas give the reasons."""
    parts = {name: key.get(name) for name in KEYS[kind]} if isinstance(key, Mapping) else {}
    if not parts or not all(isinstance(part, str) for part in parts.values()):
        return None
    return id_of(kind, {name: str(part) for name, part in parts.items()})


def require_in_scope(session: Session, hub: AppContext, scope: Scope, row: Any, child_id: str) -> None:
    """Refuse a correction for a child that is outside the scope or was erased."""
    if child_id == row.child_id:
        return
    query = (
        select(Child.id)
        .join(HealthPost, and_(HealthPost.district == Child.district, HealthPost.id == Child.post_id))
        .where(Child.district == hub.district, Child.id == child_id, in_use())
        .where(posts_within(hub, scope))
    )
    if session.execute(query).one_or_none() is None:
        raise Problem("record-unknown")
