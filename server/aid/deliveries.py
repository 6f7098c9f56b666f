"""The aid of a child, delivered or promised, as its page shows it; record a delivery or its verification."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from server import audit
from server.children import ledger
from server.context import AppContext
from server.database.ids import UUID_TEXT, new_id
from server.database.models import Delivery, Donor
from server.errors import Problem
from server.review import follow_ups
from server.review.scope import Scope
from server.sync import server_edits
from server.sync.server_edits import Edit
from sync_protocol import NOTHING_SEEN, RecordState, VersionVector, delivery_id


@dataclass(frozen=True, slots=True)
class Given:
    """A delivery to a child. A register in conflict is None and named in `conflicts`; `context` comes back with a change."""

    child_id: str
    delivery: str
    aid: Mapping[str, Any] | None
    delivered: Mapping[str, Any] | None
    evidence: Mapping[str, Any] | None
    verified: Mapping[str, Any] | None
    note: str
    donor: str | None
    conflicts: tuple[str, ...]
    context: str

    @property
    def late(self) -> bool:
        """Say whether nothing was delivered yet."""
        return self.delivered is None


def of_child(session: Session, hub: AppContext, scope: Scope, child_id: str) -> list[Given]:
    """Load the aid of a child and of its linked records, newest first."""
    group = follow_ups.find(session, hub, scope, child_id).group
    query = (
        select(Delivery, Donor.name)
        .outerjoin(Donor, (Donor.district == Delivery.district) & (Donor.id == Delivery.donor_id))
        .where(Delivery.district == hub.district, Delivery.child_id.in_(group), ~Delivery.removed)
        .order_by(Delivery.starts_on.desc(), Delivery.delivery)
    )
    rows = session.execute(query).all()
    subjects = ledger.subjects(session, hub.vault, hub.district, sorted(group))
    return [_given(hub, subjects[row.child_id].key, row, donor, scope) for row, donor in rows]


def _given(hub: AppContext, key: Any, row: Delivery, donor: str | None, scope: Scope) -> Given:
    record_id = delivery_id(row.child_id, row.delivery)
    wire = orjson.loads(ledger.read_keyed(hub.district, "delivery", record_id, row, key))
    state = RecordState.from_wire("delivery", record_id, {}, wire)
    return Given(
        *(row.child_id, row.delivery, state.value("aid"), state.value("delivered")),
        state.value("evidence") if scope.shows_names else None,
        state.value("verified"),
        (state.value("note") or {}).get("text", "") if scope.shows_names else "",
        donor,
        state.conflicts,
        orjson.dumps(state.vector.wire(), default=tuple).decode(),
    )


def named(session: Session, hub: AppContext, scope: Scope, child_id: str, delivery: str) -> dict[str, str]:
    """Give what `record` needs to change a stored delivery: its id, and its present context.

    Raises
    ------
    Problem
        `record-unknown`: the child has no delivery with that id.
    """
    for found in of_child(session, hub, scope, child_id):
        if found.delivery == delivery:
            return {"delivery": delivery, "context": found.context}
    raise Problem("record-unknown")


def record(
    session: Session,
    hub: AppContext,
    scope: Scope,
    child_id: str,
    request: Mapping[str, Any],
    *,
    author: str,
    now: datetime,
) -> None:
    """Record aid: a new delivery, the arrival of a promised one, or its verification.

    Parameters
    ----------
    request : the registers, as in a change; `delivery` and `context` of one that was shown, or a new `delivery` made with
        the form, so that a form sent twice writes one

    Raises
    ------
    Problem
        `record-unknown` for a child or delivery outside the scope, `change-invalid` with every reason.
    """
    subject = follow_ups.find(session, hub, scope, child_id)
    delivery = str(request.get("delivery") or new_id())
    if not UUID_TEXT.fullmatch(delivery):
        raise Problem("record-unknown")
    registers = {
        name: request[name]
        for name in ("aid", "delivered", "evidence", "verified", "note")
        if request.get(name)
    }
    if not registers:
        raise Problem("request-malformed", reason="nothing to record")
    try:
        context = (
            VersionVector.from_wire(orjson.loads(request["context"]))
            if request.get("context")
            else NOTHING_SEEN
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Problem("request-malformed", reason="context must be sent back as it was shown") from error
    owners = set(session.scalars(_child_of(hub, delivery)))
    if owners and owners.isdisjoint(subject.group):
        raise Problem("record-unknown")
    if owners and not request.get("context"):
        return  # the same form was sent again
    owner = next(iter(owners), child_id)
    edit = Edit.of_delivery(owner, delivery, registers, context)
    action = (
        "aid.verified"
        if "verified" in registers
        else "aid.delivered"
        if "delivered" in registers
        else "aid.promised"
    )
    server_edits.write(session, hub, [edit], action, author=author, now=now)


def _child_of(hub: AppContext, delivery: str) -> Any:
    return select(Delivery.child_id).where(Delivery.district == hub.district, Delivery.delivery == delivery)


def log_viewed(
    session: Session, hub: AppContext, child_id: str, actor: str, now: datetime, scope: Scope
) -> None:
    """Log that somebody looked at a child's aid."""
    stream = audit.post_stream(follow_ups.find(session, hub, scope, child_id).post_id)
    audit.append(
        session, hub.district, stream, "aid.viewed", actor=actor, now=now, details={"child": child_id}
    )
