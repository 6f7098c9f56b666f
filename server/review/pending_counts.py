"""What waits beside the queue of children: records in conflict, possible duplicates, changes that were set aside."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from server.context import AppContext
from server.review import conflicts, duplicate_pairs as duplicates, quarantine
from server.review.scope import Scope


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """How many of each wait for somebody."""

    conflicts: int
    duplicates: int
    quarantined: int

    @property
    def any(self) -> bool:
        return bool(self.conflicts or self.duplicates or self.quarantined)


def waiting(session: Session, hub: AppContext, scope: Scope) -> Elsewhere:
    """Count what waits in a scope, in a handful of statements however much there is."""
    return Elsewhere(
        conflicts.conflicts(session, hub, scope, limit=0)[1],
        duplicates.pairs(session, hub, scope, limit=0)[1],
        quarantine.cases(session, hub, scope, limit=0)[1],
    )
