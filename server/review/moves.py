"""A child goes to another post: an ordinary change of the register `post`, so edits under way from the old post are taken
and routed, and both posts are told.

Who moves a child says where it is on the screen (`from`). If it has been moved meanwhile they are told; so the change's
context, the record's vector, claims of the one register that it touches nothing that its author had not seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas import Reason
from schemas.words import reason
from server import office
from server.errors import Problem
from server.hub import Hub
from server.merging import heads_of
from server.models import Child, HealthPost
from server.office import Edit
from server.places import UUID_TEXT
from server.review.scope import Scope, state_of, within
from sync_protocol import Dot, Json, Outcome


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


def move(
    session: Session, hub: Hub, scope: Scope, child_id: str, asked: Json, *, author: str, now: datetime
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
    row = _child(session, hub, scope, child_id)
    wrong = _against(session, hub, row, asked)
    if wrong:
        raise Problem("change-invalid", reasons=[each.wire() for each in wrong])
    registers = {"post": {"post": asked["to"]}}
    edit = Edit.of_child(child_id, registers, state_of(hub, child_id, row).vector)
    details = {"child": child_id, "from": row.post_id, "to": asked["to"]}
    (written,) = office.write(session, hub, [edit], "child.moved", author=author, now=now, details=details)
    return Move(child_id, row.post_id, asked["to"], written.dot, written.outcome)


def _child(session: Session, hub: Hub, scope: Scope, child_id: str) -> Any:
    """Lock a child's post, then find the child in scope: who moves it at the same time waits, and is told."""
    if not UUID_TEXT.fullmatch(child_id):
        raise Problem("record-unknown")
    heads_of(session, {"district": hub.district, "posts": [], "children": [child_id]}, lock=True)
    query = select(
        Child.id, Child.post_id, Child.registered, Child.state, Child.wrapped_key, Child.key_version
    )
    mine = query.where(Child.id == child_id, Child.wrapped_key.is_not(None), within(hub, scope))
    row = session.execute(mine).one_or_none()
    if row is None:
        raise Problem("record-unknown")
    return row


def _against(session: Session, hub: Hub, row: Any, asked: Json) -> Sequence[Reason]:
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
