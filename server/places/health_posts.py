"""Adds a district with its regions, health centres and posts; finds posts.

Every addition appends an audit entry.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from server import audit
from server.audit import adoption
from server.context import AppContext
from server.database.bound_rows import BINDINGS
from server.database.ids import UUID_TEXT, new_id
from server.database.models import HealthCentre, HealthPost, Installation, Region, table
from server.places.regions import regions


def install(session: Session, hub: AppContext, now: datetime) -> None:
    """Add the district and its regions, unless it is there already."""
    if session.get(Installation, hub.district) is not None:
        return
    within = [
        r for r in regions() if hub.district.startswith(r.code) or r.code.startswith(f"{hub.district}.")
    ]
    name = next((r.name for r in within if r.code == hub.district), hub.district)
    row = {"district": hub.district, "name": name, "incarnation": new_id(), "created_at": now}
    session.execute(insert(table(Installation)), [row])
    rows = [
        {
            "district": hub.district,
            "code": r.code,
            "parent_code": r.parent_code,
            "level": r.level,
            "kind": r.kind,
            "name": r.name,
        }
        for r in within
    ]
    if rows:
        session.execute(insert(table(Region)), rows)
    audit.append(
        session,
        hub.district,
        audit.OFFICE,
        adoption.INSTALLED,
        actor="operator",
        now=now,
        details={"regions": len(rows), "tables": sorted(BINDINGS)},  # no row is older than its digest
    )


def add_health_centre(
    session: Session, hub: AppContext, name: str, subdistrict_code: str | None, *, actor: str, now: datetime
) -> str:
    """Add a puskesmas and return its id."""
    centre_id = new_id()
    row = {"district": hub.district, "id": centre_id, "name": name, "subdistrict_code": subdistrict_code}
    session.execute(insert(table(HealthCentre)), [row])
    details = {"id": centre_id, "name": name}
    audit.append(
        session, hub.district, audit.OFFICE, "health-centre.added", actor=actor, now=now, details=details
    )
    return centre_id


def add_post(
    session: Session,
    hub: AppContext,
    name: str,
    health_centre_id: str,
    village_code: str | None,
    *,
    actor: str,
    now: datetime,
) -> str:
    """Add a posyandu and return its id."""
    post_id = new_id()
    row = {"district": hub.district, "id": post_id, "name": name, "health_centre_id": health_centre_id}
    session.execute(insert(table(HealthPost)), [{**row, "village_code": village_code, "head_position": 0}])
    stream = audit.post_stream(post_id)
    audit.append(
        session,
        hub.district,
        stream,
        "post.added",
        actor=actor,
        now=now,
        details={"id": post_id, "name": name},
    )
    return post_id


def find_post(session: Session, district: str, wanted: str) -> HealthPost | None:
    """Find a post by id, or by name (upper and lower case are equal); of several of a name the first."""
    return next(iter(find_posts(session, district, wanted)), None)


def find_posts(session: Session, district: str, wanted: str) -> Sequence[HealthPost]:
    """Return the posts of an id or a name: none, one or several, open ones first."""
    by_id = UUID_TEXT.fullmatch(wanted.lower())
    fits = HealthPost.id == wanted.lower() if by_id else func.lower(HealthPost.name) == wanted.lower()
    closed = HealthPost.closed_at.is_not(None)
    ordered = select(HealthPost).where(HealthPost.district == district, fits).order_by(closed, HealthPost.id)
    return session.scalars(ordered).all()


def posts(session: Session, district: str) -> Sequence[HealthPost]:
    """Return all posts, sorted by name."""
    return session.scalars(
        select(HealthPost).where(HealthPost.district == district).order_by(HealthPost.name)
    ).all()
