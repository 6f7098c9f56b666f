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
    """Count what is open in a scope, in the database: what is counted is not read."""
    return Elsewhere(
        sum(count for *_, count in conflicts.posts(session, hub, scope)),
        duplicates.count_open(session, hub, scope),
        quarantine.count_open(session, hub, scope),
    )
