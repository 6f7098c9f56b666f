"""Restricts and resumes the processing of a child's data (UU 27/2022, articles 40 and 41).

While restricted, the child is in no list, page, search or export of the office (`review.scope.within`); its post's tablets
delete it at their next sync as if it had moved away, and changes to it are quarantined. Everything is kept.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from server import audit
from server.children import linked_records
from server.context import AppContext
from server.database.models import Child, HealthPost, table
from server.errors import Problem
from server.sync.saving import OF_A_CHILD
from server.sync.streams import Positions, heads_of


def locked(session: Session, hub: AppContext, child_id: str, *also: str) -> tuple[list[Any], Positions]:
    """Lock the posts of all records of a child's person, and further posts; return the children's rows.

    Raises
    ------
    Problem
        `record-unknown`: there is none, or the person was erased.
    """
    group = linked_records.group_of(session, hub.district, [child_id])
    given = {"district": hub.district, "posts": list(also), "children": group}
    positions = Positions(heads_of(session, given, lock=True))
    c = table(Child).c
    mine = (c.district == hub.district, c.id.in_(group), c.wrapped_key.is_not(None))
    rows = list(session.execute(select(table(Child)).where(*mine).order_by(c.id)).mappings())
    if not any(row["id"] == child_id for row in rows) or any(row["post_id"] not in positions for row in rows):
        raise Problem("record-unknown")
    return rows, positions


def restrict(session: Session, hub: AppContext, child_id: str, *, actor: str, now: datetime) -> None:
    """Stop the processing of a child's data, and of all records of the same person."""
    rows, positions = locked(session, hub, child_id)
    for row in rows:
        values = {"restricted_at": now, "position": positions.next(row["post_id"])}
        _set(session, Child, {"district": hub.district, "id": row["id"]}, values)
    tell(session, hub, rows, positions, "rights.restricted", actor, now)


def lift(session: Session, hub: AppContext, child_id: str, *, actor: str, now: datetime) -> None:
    """Resume the processing: everything of the child is sent to its post's tablets again."""
    rows, positions = locked(session, hub, child_id)
    for row in rows:
        values = {"restricted_at": None, "position": positions.next(row["post_id"])}
        _set(session, Child, {"district": hub.district, "id": row["id"]}, values)
        for model, *names in OF_A_CHILD:
            c = table(model).c
            mine = c.district == hub.district, c.child_id == row["id"]
            for found in session.execute(select(*(c[name] for name in names)).where(*mine)).mappings().all():
                key = {"district": hub.district, "child_id": row["id"], **found}
                _set(session, model, key, {"position": positions.next(row["post_id"])})
    tell(session, hub, rows, positions, "rights.restriction-lifted", actor, now)


def _set(session: Session, model: Any, key: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    c = table(model).c
    session.execute(
        update(table(model)).where(*(c[name] == value for name, value in key.items())).values(**values)
    )


def tell(
    session: Session,
    hub: AppContext,
    rows: Sequence[Mapping[Any, Any]],
    positions: Positions,
    action: str,
    actor: str,
    now: datetime,
) -> None:
    """Move the posts' streams on, and log at each post what was done with its children."""
    for post_id, head in positions.moved().items():
        _set(session, HealthPost, {"district": hub.district, "id": post_id}, {"head_position": head})
    posts: dict[str, list[str]] = {}
    for row in rows:
        posts.setdefault(row["post_id"], []).append(row["id"])
    for post_id, ids in sorted(posts.items()):
        stream, details = audit.post_stream(post_id), {"children": ids}
        audit.append(session, hub.district, stream, action, actor=actor, now=now, details=details)
