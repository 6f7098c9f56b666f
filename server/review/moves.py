"""A child goes to another post: an ordinary change of the register `post`, so edits under way from the old post are taken
and routed, and both posts are told.

Rules kept here:
- Who moves a child says where it is on the screen (`from`). If it has been moved meanwhile they are told; so the change's
  context, the record's vector, claims of the one register that it touches nothing that its author had not seen.
- Whoever moved a child out of their own area may move it back into it, as long as nobody has moved it on.
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
from server.sync.pipeline import heads_of
from server.sync.server_edits import Edit
from sync_protocol import Change, Dot, Json, Outcome, fold, hub_actor

MOST_POSTS: Final = 200
"""Posts that are offered at a time; in a regency of many hundreds one is searched for."""


@dataclass(frozen=True, slots=True)
class Move:
    """What came of moving a child."""

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
    """A post that a child may go to, with its village (None where it has none) and its health centre."""

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
    name : None where it is not the reader's to know
    here : the post
    in_scope : whether the child is in the reader's area; if not, the reader moved it away themselves
    contested : whether tablets disagree about the post
    moved : who wrote down the present post, None where the child never moved
    """

    child_id: str
    name: str | None
    here: TargetPost
    registered: bool
    in_scope: bool
    contested: bool
    moved: Recorded | None


def whereabouts(session: Session, hub: AppContext, scope: Scope, child_id: str, author: str) -> Whereabouts:
    """Say where a child is, in scope or moved out of it by whoever asks.

    Raises
    ------
    Problem
        `record-unknown`.
    """
    row, in_scope = _visible(session, hub, scope, child_id, author)
    last = _last(session, hub, child_id)
    recorded = recorded_by(session, hub, child_id).get(last.dot) if last else None
    here = session.execute(_places(hub).where(HealthPost.id == row.post_id)).one()
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
    """Log at the child's post that somebody saw its name where it can be moved."""
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
    """Give posts of the district that a child may go to, by health centre, village and name.

    Parameters
    ----------
    centre_id : only this health centre's
    search : only those in whose name, village or health centre this occurs

    Returns
    -------
    (at most `limit` of them; how many there are)
    """
    query = _places(hub)
    if centre_id is not None:
        query = query.where(HealthPost.health_centre_id == centre_id)
    for word in search.lower().split():
        columns = (HealthPost.name, HealthCentre.name, func.coalesce(Region.name, ""))
        query = query.where(or_(*(func.lower(c).contains(word, autoescape=True) for c in columns)))
    total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    ordered = query.order_by(HealthCentre.name, Region.name, HealthPost.name, HealthPost.id).limit(limit)
    return [TargetPost(*row) for row in session.execute(ordered)], total


def _places(hub: AppContext) -> Select[*tuple[Any, ...]]:
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
    session: Session, hub: AppContext, scope: Scope, child_id: str, asked: Json, *, author: str, now: datetime
) -> Move:
    """Send a child to another post of the district, inside the mover's scope or not: children move away.

    Parameters
    ----------
    asked : `to`, the id of the post; `from`, the id of the post where the mover saw the child
    author : who decides, "account:<id>" or "operator"

    Raises
    ------
    Problem
        `record-unknown` for a child outside the scope; `change-invalid` with every reason: a post that is not known, the
        child's own, a child that was moved meanwhile, is in conflict about its post, or is not registered.
    """
    row = _child(session, hub, scope, child_id, author, asked.get("to"))
    wrong = _against(session, hub, row, asked)
    if wrong:
        raise Problem("change-invalid", reasons=[each.wire() for each in wrong])
    registers = {"post": {"post": asked["to"]}}
    edit = Edit.of_child(child_id, registers, state_of(hub, child_id, row).vector)
    details = {"child": child_id, "from": row.post_id, "to": asked["to"]}
    (written,) = server_edits.write(
        session, hub, [edit], "child.moved", author=author, now=now, details=details
    )
    return Move(child_id, row.post_id, asked["to"], written.dot, written.outcome)


def _child(session: Session, hub: AppContext, scope: Scope, child_id: str, author: str, to: object) -> Any:
    """Lock a child's post, then find the child: who moves it at the same time waits, and is told."""
    if not UUID_TEXT.fullmatch(child_id):
        raise Problem("record-unknown")
    heads_of(session, {"district": hub.district, "posts": [], "children": [child_id]}, lock=True)
    row, in_scope = _visible(session, hub, scope, child_id, author)
    if not in_scope:  # back into the own area, and nowhere else
        own = select(HealthPost.id).where(posts_within(hub, scope), HealthPost.id == to)
        if not isinstance(to, str) or not UUID_TEXT.fullmatch(to) or session.execute(own).first() is None:
            raise Problem("record-unknown")
    return row


def _visible(session: Session, hub: AppContext, scope: Scope, child_id: str, author: str) -> tuple[Any, bool]:
    """Find a child in scope, or one that the author moved out of it; say which."""
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
    row, last = session.execute(query).one_or_none(), _last(session, hub, child_id)
    if row is None or last is None or last.author != author or last.dot.actor != hub_actor(child_id):
        raise Problem("record-unknown")
    return row, False


def _last(session: Session, hub: AppContext, child_id: str) -> Change | None:
    """Give the change that put a child where it is; None where it never moved, or its posts are in conflict."""
    children = ledger.subjects(session, hub.vault, hub.district, [child_id])
    if child_id not in children or children[child_id].wrapped_key is None:
        return None
    history = ledger.histories(session, hub.district, children, {child_id: child_id}).get(child_id)
    live = fold(history).registers.get("post", ()) if history and history.changes else ()
    if history is None or len(live) != 1:
        return None
    return next(change for change in history.changes if change.dot == live[0].dots[-1])


def _against(session: Session, hub: AppContext, row: Any, asked: Json) -> Sequence[Reason]:
    if not row.registered:
        return [reason("child", "not-registered", None)]
    if len(state_of(hub, row.id, row).registers.get("post", ())) > 1:
        return [reason("post.post", "in-conflict", None)]
    wrong = [_id_of_post(name, asked.get(name)) for name in ("from", "to")]
    found = [each for each in wrong if each]
    if found:
        return found
    if asked["from"] != row.post_id:
        found.append(reason("from", "moved-meanwhile", asked["from"]))
    if asked["to"] == row.post_id:
        found.append(reason("to", "same-post", asked["to"]))
    if session.get(HealthPost, (hub.district, asked["to"])) is None:
        found.append(reason("to", "post-unknown", asked["to"]))
    return found


def _id_of_post(name: str, given: object) -> Reason | None:
    if isinstance(given, str) and UUID_TEXT.fullmatch(given):
        return None
    return reason(name, "missing" if given is None else "not-uuid", given)
