"""Release or dismiss a case, once; repeat the answer to whoever sends the same decision again."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from schemas.words import reason
from server import audit
from server.children import ledger
from server.context import AppContext
from server.database.models import ChangeRow, QuarantineDecision, table
from server.database.writes import upsert
from server.errors import Problem
from server.review.quarantine.correcting import corrected_edit, edit_after_undo
from server.review.quarantine.loading import find_row
from server.review.quarantine.model import (
    DISMISSALS,
    DISMISSED,
    IN_FORCE,
    RELEASED,
    REOPENED,
    Decision,
    Release,
)
from server.review.scope import Scope
from server.sync import server_edits
from server.sync.server_edits import Edit
from sync_protocol import Json, Outcome, canonical


def release(
    session: Session,
    hub: AppContext,
    scope: Scope,
    actor: str,
    counter: int,
    request: Json,
    *,
    author: str,
    now: datetime,
) -> Release:
    """Write a corrected copy of a quarantined change as a change by the hub.

    Parameters
    ----------
    actor, counter : the case's dot
    request : `set`, the corrected registers (left out: as they came); `key`, the measurement's corrected child, day and
        source (left out: as they came)
    author : who decides, "account:<id>" or "operator"

    Raises
    ------
    Problem
        `record-unknown` outside the scope; `change-invalid`, with every reason, if it still cannot be applied;
        `already-decided` if there is a different decision already.
    """
    row = find_row(session, hub, scope, actor, counter, lock=True)
    edit, context = corrected_edit(session, hub, scope, row, request, now)
    if row.decision in IN_FORCE:
        return _released_before(session, hub, row, edit, context, author)
    if row.decision == REOPENED and row.released_actor:
        edit = edit_after_undo(session, hub, row, edit)
    as_it_is = "set" not in request and "key" not in request
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
    store_decision(session, hub, row, Decision(RELEASED, reason_, author, now, written.dot))
    return Release(written.dot, written.outcome, context)


def dismiss(
    session: Session,
    hub: AppContext,
    scope: Scope,
    actor: str,
    counter: int,
    request: Json,
    *,
    author: str,
    now: datetime,
) -> Decision:
    """Dismiss a change. It stays in the ledger, with who dismissed it and why beside it.

    Parameters
    ----------
    request : `reason`, a key of DISMISSALS

    Raises
    ------
    Problem
        `record-unknown`, `change-invalid` for an unknown reason, `already-decided`.
    """
    why = request.get("reason")
    if not isinstance(why, str) or why not in DISMISSALS:
        code = "missing" if why is None else "not-choice"
        raise Problem("change-invalid", reasons=[reason("reason", code, why, ", ".join(DISMISSALS)).wire()])
    row = find_row(session, hub, scope, actor, counter, lock=True)
    if row.decision in IN_FORCE:
        if (row.decision, row.reason, row.decided_by) != (DISMISSED, why, author):
            raise _decided_before(row)
        return Decision(row.decision, row.reason, row.decided_by, row.decided_at, None)
    decision = Decision(DISMISSED, why, author, now, None)
    store_decision(session, hub, row, decision)
    details = {"original": [actor, counter], "child": row.child_id, "reason": why}
    stream = audit.post_stream(row.post_id)
    audit.append(
        session, hub.district, stream, "quarantine.dismissed", actor=author, now=now, details=details
    )
    return decision


def _released_before(
    session: Session, hub: AppContext, row: Any, edit: Edit, context: str, author: str
) -> Release:
    """Repeat the answer if the same author sends the same release again; else refuse with the decision that holds."""
    if row.decision != RELEASED or row.decided_by != author:
        raise _decided_before(row)
    stored = session.get_one(ChangeRow, (hub.district, row.released_actor, row.released_counter))
    child_id = stored.child_id or ""
    children = ledger.subjects(session, hub.vault, hub.district, [child_id])
    change = ledger.read_change(hub.district, stored, children[child_id])
    # a release after an undo also clears the removal that the undo wrote
    registers = {
        name: v for name, v in change.registers.items() if name in edit.registers or name != "removed"
    }
    if canonical({"id": change.record_id, "set": registers}) != canonical(
        {"id": edit.record_id, "set": dict(edit.registers)}
    ):
        raise _decided_before(row)
    return Release(change.dot, Outcome(stored.outcome), context)


def _decided_before(row: Any) -> Problem:
    return Problem(
        "already-decided",
        decision=row.decision,
        decided_by=row.decided_by,
        decided_at=row.decided_at.isoformat(timespec="seconds"),
    )


def store_decision(session: Session, hub: AppContext, row: Any, decision: Decision) -> None:
    """Store the decision about a case, in place of an earlier one that was undone."""
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
    upsert(session, table(QuarantineDecision), [stored])  # a reopened case has a row already
