"""The tablets in somebody's scope, with what became of each: how far its chain is held, what is missing, what waits."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from server import accounts
from server.errors import Problem
from server.hub import Hub
from server.models import HealthPost, Tablet
from server.places import UUID_TEXT
from server.review import quarantine
from server.review.scope import Scope, posts_within


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One enrolment of one device.

    Parameters
    ----------
    taken : how many of its changes are held, from the first on without holes
    announced : how many it has told of; what lies beyond `taken` is still on the tablet
    quarantined : changes set aside that wait for somebody, as `quarantine.cases` says
    replaces : the closed enrolment that this one goes on from
    clock_offset_ms : its clock less the server's at the last contact, milliseconds
    """

    id: str
    name: str
    post_id: str
    post_name: str
    app: str
    enrolled_at: datetime
    last_sync_at: datetime | None
    clock_offset_ms: int | None
    taken: int
    announced: int
    quarantined: int
    replaces: str | None
    split_at: datetime | None
    revoked_at: datetime | None

    @property
    def missing(self) -> int:
        """Give how many changes it has told of that are not held yet."""
        return max(0, self.announced - self.taken)

    @property
    def state(self) -> str:
        """Say whether it may send: active; closed (two devices shared it, or it was restored); revoked."""
        if self.revoked_at is not None:
            return "revoked"
        return "active" if self.split_at is None else "closed"

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            "id": self.id,
            "name": self.name,
            "post": {"id": self.post_id, "name": self.post_name},
            "state": self.state,
            "app": self.app,
            "taken": self.taken,
            "announced": self.announced,
            "missing": self.missing,
            "quarantined": self.quarantined,
            "clock_offset_ms": self.clock_offset_ms,
            "enrolled_at": _text(self.enrolled_at),
            "last_sync_at": _text(self.last_sync_at),
            "replaces": self.replaces,
            "split_at": _text(self.split_at),
            "revoked_at": _text(self.revoked_at),
        }


def _text(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None


def tablets(session: Session, hub: Hub, scope: Scope) -> list[Enrolment]:
    """Load the tablets of the posts in scope, by post and name."""
    waiting = quarantine.open_by_tablet(session, hub)
    rows = session.execute(
        select(Tablet, HealthPost.name)
        .join(HealthPost, and_(HealthPost.district == Tablet.district, HealthPost.id == Tablet.post_id))
        .where(Tablet.district == hub.district, posts_within(hub, scope))
        .order_by(HealthPost.name, Tablet.name, Tablet.enrolled_at)
    )
    return [
        Enrolment(
            tablet.id,
            tablet.name,
            tablet.post_id,
            post_name,
            tablet.app,
            tablet.enrolled_at,
            tablet.last_sync_at,
            tablet.clock_offset_ms,
            tablet.taken,
            max(tablet.head_counter, tablet.taken),
            waiting.get(tablet.id, 0),
            tablet.replaces,
            tablet.split_at,
            tablet.revoked_at,
        )
        for tablet, post_name in rows
    ]


def revoke(session: Session, hub: Hub, scope: Scope, tablet_id: str, *, actor: str, now: datetime) -> None:
    """Revoke a tablet in scope: what it still sends is set aside for a person. Asked again, nothing more happens.

    Raises
    ------
    Problem
        `record-unknown` outside the scope.
    """
    known = (
        select(Tablet.id)
        .join(HealthPost, and_(HealthPost.district == Tablet.district, HealthPost.id == Tablet.post_id))
        .where(Tablet.district == hub.district, Tablet.id == tablet_id, posts_within(hub, scope))
    )
    if not UUID_TEXT.fullmatch(tablet_id) or session.execute(known).one_or_none() is None:
        raise Problem("record-unknown")
    accounts.revoke_tablet(session, hub, tablet_id, actor=actor, now=now)
