"""Move a child to another post: an ordinary change of the register `post`. Edits still on their way from the old post are
applied and routed to the new one, and both posts' tablets are told.

Rules kept here:
- Whoever moves a child says which post was shown (`from`). If the child was moved in the meantime the move is refused, so
  the change's context (the record's version vector) covers no value of `post` that its author had not seen.
- Whoever moved a child out of their own area may move it back, unless somebody has moved it on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session

from schemas import Reason
from schemas.words import reason
from server import audit
from server.children import ledger
from server.context import AppContext
from server.database.ids import UUID_TEXT
from server.database.models import Child, HealthCentre, HealthPost, Region
from server.errors import Problem
from server.review.child import Recorded, recorded_by
from server.review.scope import Scope, in_use, name_of, posts_within, state_of, within
from server.sync import server_edits
from server.sync.duplicate_search import lock_registrations
from server.sync.server_edits import Edit
from server.sync.streams import heads_of
from sync_protocol import Change, Dot, Json, Outcome, fold, hub_actor

MOST_POSTS: Final = 200
"""Posts offered at a time; in a regency with many hundreds, people search."""


@dataclass(frozen=True, slots=True)
class Move:
    """The result of moving a child."""

    child_id: str
    from_post: str
    to_post: str
    dot: Dot
    outcome: Outcome

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            "child": self.child_id,
            "from": self.from_post,
            "to": self.to_post,
            "dot": list(self.dot),
            "outcome": self.outcome.value,
        }


@dataclass(frozen=True, slots=True)
class TargetPost:
    """A post that a child may move to, with its village (None if it has none) and its health centre."""

    post_id: str
    post_name: str
    village: str | None
    centre_id: str
    centre_name: str


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a child is, and who put it there.

    Parameters
    ----------
    name : None if the reader may not see it
    here : the post
    in_scope : whether the child is in the reader's area; if not, the reader has moved it away
    contested : whether the post is in conflict
    moved : who recorded the present post; None if the child never moved
    """

    child_id: str
    name: str | None
    here: TargetPost
    registered: bool
    in_scope: bool
    contested: bool
    moved: Recorded | None


def whereabouts(session: Session, hub: AppContext, scope: Scope, child_id: str, author: str) -> Whereabouts:
    """Load where a child is, if it is in scope or the author moved it out of scope.

    Raises
    ------
    Problem
        `record-unknown`.
    """
    row, in_scope = _visible(session, hub, scope, child_id, author)
    last = _last_move(session, hub, child_id)
    recorded = recorded_by(session, hub, child_id).get(last.dot) if last else None
    here = session.execute(_select_posts(hub).where(HealthPost.id == row.post_id)).one()
    state = state_of(hub, child_id, row) if row.state is not None else None
    return Whereabouts(
        child_id,
        name_of(hub, row) if in_scope and scope.shows_names else None,
        TargetPost(*here),
        bool(row.registered),
        in_scope,
        state is not None and len(state.registers.get("post", ())) > 1,
        recorded,
    )


def log_viewed(session: Session, hub: AppContext, actor: str, shown: Whereabouts, now: datetime) -> None:
    """Log at the child's post that somebody saw its name on the form for a move."""
    stream, details = audit.post_stream(shown.here.post_id), {"child": shown.child_id}
    audit.append(session, hub.district, stream, "move.viewed", actor=actor, now=now, details=details)


def places(
    session: Session,
    hub: AppContext,
    *,
    centre_id: str | None = None,
    search: str = "",
    limit: int = MOST_POSTS,
) -> tuple[list[TargetPost], int]:
    """Load the open posts of the district, to which a child may move, by health centre, village and name.

    Parameters
    ----------
    centre_id : only this health centre's
    search : only those whose name, village or health centre contains each word

    Returns
    -------
    (at most `limit` of them; how many there are in all)
    """
    query = _select_posts(hub).where(HealthPost.closed_at.is_(None))
    if centre_id is not None:
        query = query.where(HealthPost.health_centre_id == centre_id)
    for word in search.lower().split():
        columns = (HealthPost.name, HealthCentre.name, func.coalesce(Region.name, ""))
        query = query.where(or_(*(func.lower(c).contains(word, autoescape=True) for c in columns)))
    total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    ordered = query.order_by(HealthCentre.name, Region.name, HealthPost.name, HealthPost.id).limit(limit)
    return [TargetPost(*row) for row in session.execute(ordered)], total


def _select_posts(hub: AppContext) -> Select[*tuple[Any, ...]]:
    district = HealthPost.district == hub.district
    centre = and_(
        HealthCentre.district == HealthPost.district, HealthCentre.id == HealthPost.health_centre_id
    )
    village = and_(Region.district == HealthPost.district, Region.code == HealthPost.village_code)
    columns = (
        HealthPost.id,
        HealthPost.name,
        Region.name,
        HealthCentre.id,
        HealthCentre.name.label("centre"),
    )
    return (
        select(columns[0], columns[1], columns[2].label("village"), columns[3].label("centre_id"), columns[4])
        .join(HealthCentre, centre)
        .outerjoin(Region, village)
        .where(district)
    )


def move(
    session: Session,
    hub: AppContext,
    scope: Scope,
    child_id: str,
    request: Json,
    *,
    author: str,
    now: datetime,
) -> Move:
    """Move a child to another post of the district, inside the author's scope or not: families move away.

    Parameters
    ----------
    request : `to`, the id of the post; `from`, the id of the post that was shown
    author : who decides, "account:<id>" or "operator"

    Raises
    ------
    Problem
        `record-unknown` for a child outside the scope; `change-invalid` with every reason: the post is unknown, closed or
        the child's own, the child was moved in the meantime, its post is in conflict, or it is not registered.
    """
    row = _lock_child(session, hub, scope, child_id, author, request.get("to"))
    wrong = _faults(session, hub, row, request)
    if wrong:
        raise Problem("change-invalid", reasons=[each.wire() for each in wrong])
    registers = {"post": {"post": request["to"]}}
    edit = Edit.of_child(child_id, registers, state_of(hub, child_id, row).vector)
    details = {"child": child_id, "from": row.post_id, "to": request["to"]}
    (written,) = server_edits.write(
        session, hub, [edit], "child.moved", author=author, now=now, details=details
    )
    return Move(child_id, row.post_id, request["to"], written.dot, written.outcome)


def _lock_child(
    session: Session, hub: AppContext, scope: Scope, child_id: str, author: str, to: object
) -> Any:
    """Lock the child, then find it: a move at the same time waits, and is then refused."""
    if not UUID_TEXT.fullmatch(child_id):
        raise Problem("record-unknown")
    lock_registrations(session, hub.district)
    heads_of(session, {"district": hub.district, "posts": [], "children": [child_id]}, lock=True)
    row, in_scope = _visible(session, hub, scope, child_id, author)
    if not in_scope:  # it may only come back into the own area
        own = select(HealthPost.id).where(posts_within(hub, scope), HealthPost.id == to)
        if not isinstance(to, str) or not UUID_TEXT.fullmatch(to) or session.execute(own).first() is None:
            raise Problem("record-unknown")
    return row


def _visible(session: Session, hub: AppContext, scope: Scope, child_id: str, author: str) -> tuple[Any, bool]:
    """Find a child in scope, or one that the author moved out of it: (row, whether it is in scope)."""
    if not UUID_TEXT.fullmatch(child_id):
        raise Problem("record-unknown")
    query = select(
        Child.id,
        Child.id.label("child_id"),
        Child.post_id,
        Child.registered,
        Child.state,
        Child.wrapped_key,
        Child.key_version,
    ).where(Child.district == hub.district, Child.id == child_id, in_use())
    if row := session.execute(query.where(within(hub, scope))).one_or_none():
        return row, True
    row, last = session.execute(query).one_or_none(), _last_move(session, hub, child_id)
    if row is None or last is None or last.author != author or last.dot.actor != hub_actor(child_id):
        raise Problem("record-unknown")
    return row, False


def _last_move(session: Session, hub: AppContext, child_id: str) -> Change | None:
    """Give the change that set the child's present post; None if it never moved, or its post is in conflict."""
    children = ledger.subjects(session, hub.vault, hub.district, [child_id])
    if child_id not in children or children[child_id].wrapped_key is None:
        return None
    history = ledger.histories(session, hub.district, children, {child_id: child_id}).get(child_id)
    live = fold(history).registers.get("post", ()) if history and history.changes else ()
    if history is None or len(live) != 1:
        return None
    return next(change for change in history.changes if change.dot == live[0].dots[-1])


def _faults(session: Session, hub: AppContext, row: Any, request: Json) -> Sequence[Reason]:
    if not row.registered:
        return [reason("child", "not-registered", None)]
    if len(state_of(hub, row.id, row).registers.get("post", ())) > 1:
        return [reason("post.post", "in-conflict", None)]
    wrong = [_post_id_fault(name, request.get(name)) for name in ("from", "to")]
    found = [each for each in wrong if each]
    if found:
        return found
    if request["from"] != row.post_id:
        found.append(reason("from", "moved-meanwhile", request["from"]))
    if request["to"] == row.post_id:
        found.append(reason("to", "same-post", request["to"]))
    target = session.get(HealthPost, (hub.district, request["to"]))
    if target is None:
        found.append(reason("to", "post-unknown", request["to"]))
    elif target.closed_at is not None:
        found.append(reason("to", "post-closed", request["to"]))
    return found


def _post_id_fault(name: str, given: object) -> Reason | None:
    if isinstance(given, str) and UUID_TEXT.fullmatch(given):
        return None
    return reason(name, "missing" if given is None else "not-uuid", given)
