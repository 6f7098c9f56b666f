"""Counts of what waits for a decision besides the queue: conflicts, possible duplicates, quarantined changes."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from server.context import AppContext
from server.review import conflicts, duplicate_pairs as duplicates, quarantine
from server.review.scope import Scope


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """How many of each are open."""

    conflicts: int
    duplicates: int
    quarantined: int

    @property
    def any(self) -> bool:
        return bool(self.conflicts or self.duplicates or self.quarantined)


def waiting(session: Session, hub: AppContext, scope: Scope) -> Elsewhere:
    """Count what is open in a scope; the number of statements does not depend on how much there is."""
    return Elsewhere(
        conflicts.conflicts(session, hub, scope, limit=0)[1],
        duplicates.pairs(session, hub, scope, limit=0)[1],
        quarantine.cases(session, hub, scope, limit=0)[1],
    )
