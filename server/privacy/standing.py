"""The state of a child with regard to its parents' rights; shown for a restricted child too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy.orm import Session

from server.children import linked_records
from server.context import AppContext
from server.privacy import erasure, requests
from server.privacy.requests import ShownRequest
from server.review import Scope
from server.review.scope import name_of, state_of


@dataclass(frozen=True, slots=True)
class RightsStatus:
    """What parents asked and agreed to.

    Parameters
    ----------
    consents : values of the register; several if tablets disagree, none if nobody recorded it
    context : the child's vector, to pass back with a consent
    hold_until : the day until which the record must be kept, past or future; None: it need not be kept
    linked : ids of the other records of the same person: they are restricted and erased with it
    """

    child_id: str
    name: str | None
    post_id: str
    restricted_at: datetime | None
    consents: Sequence[Mapping[str, Any]]
    context: Mapping[str, Any]
    asked: Sequence[ShownRequest]
    hold_until: date | None
    linked: Sequence[str]

    def holds(self, today: date) -> bool:
        """Return whether the record must still be kept."""
        return self.hold_until is not None and self.hold_until > today

    def wire(self, now: datetime) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "child": {"id": self.child_id, "name": self.name},
            "restricted_at": self.restricted_at.isoformat(timespec="seconds") if self.restricted_at else None,
            "consents": [dict(one) for one in self.consents],
            "context": self.context,
            "requests": [one.wire(now) for one in self.asked],
            "hold_until": self.hold_until.isoformat() if self.hold_until else None,
            "linked": list(self.linked),
        }


def standing(session: Session, hub: AppContext, scope: Scope, child_id: str) -> RightsStatus:
    """Load the state of a child.

    Raises
    ------
    Problem
        `record-unknown` outside the scope, or once erased.
    """
    row = requests.subject(session, hub, scope, child_id)
    state = state_of(hub, child_id, row) if row.state is not None else None
    return RightsStatus(
        child_id,
        name_of(hub, row),
        row.post_id,
        row.restricted_at,
        [sibling.value for sibling in state.registers.get("consent", ())] if state else [],
        state.vector.wire() if state else {},
        requests.of_child(session, hub, scope, child_id),
        erasure.hold_until(session, hub, child_id),
        sorted(linked_records.linked_ids(session, hub.district, [child_id])),
    )
