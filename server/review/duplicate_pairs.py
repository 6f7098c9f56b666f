"""Children who may be registered twice: list the pairs, show one side by side, link, unlink, or mark it as different.

Rules kept here:
- A link is an ordinary change of one record's `same_as`, with the context that was shown. No record is moved or lost: both
  ids stay valid, and undoing the link restores what was before.
- Whoever may see one child of a pair sees both, or nobody could decide. The view is logged at both posts.
- A pair marked as different is not proposed again, until somebody undoes that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, Text, and_, cast, exists, func, select
from sqlalchemy.orm import Session, aliased

from server import audit
from server.children.assessment import assess
from server.context import AppContext
from server.database.ids import UUID_TEXT
from server.database.models import Child, DuplicatePair, HealthPost, Measurement, NikIndex, table
from server.database.writes import upsert
from server.errors import Problem
from server.review.scope import Scope, name_of, state_of, within
from server.sync import server_edits
from server.sync.duplicate_search import DIFFERENT, LINKED, OPEN, pair_of
from server.sync.server_edits import Edit
from sync_protocol import VersionVector

STATES: Final = (OPEN, LINKED, DIFFERENT)
BY_HAND: Final[Mapping[str, int]] = {"by_hand": 100}
"""The reason stored for a pair that the search did not find and a person linked or marked as different."""


@dataclass(frozen=True, slots=True)
class Side:
    """One child of a pair. `values` are its identifying registers, None for a reader who sees no names; `context` is its
    version vector."""

    child_id: str
    post_id: str
    post_name: str
    name: str | None
    sex: str | None
    born_on: str | None
    same_as: str | None
    removed: bool
    measurements: int
    context: VersionVector
    values: Mapping[str, Any] | None

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            "child": self.child_id,
            "post": {"id": self.post_id, "name": self.post_name},
            "name": self.name,
            "sex": self.sex,
            "born_on": self.born_on,
            "same_as": self.same_as,
            "removed": self.removed,
            "measurements": self.measurements,
            "context": self.context.wire(),
            "values": self.values,
        }


@dataclass(frozen=True, slots=True)
class PairView:
    """Two children who may be one. `other_districts` counts the children of other districts that have one of their NIKs."""

    one: Side
    other: Side
    score: int
    why: Mapping[str, int]
    status: str
    found_at: datetime | None
    decided_by: str | None
    decided_at: datetime | None
    other_districts: int = 0

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            "score": self.score,
            "why": dict(self.why),
            "status": self.status,
            "found_at": _text(self.found_at),
            "decided_by": self.decided_by,
            "decided_at": _text(self.decided_at),
            "other_districts": self.other_districts,
            "children": [self.one.wire(), self.other.wire()],
        }


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None


# -- looking --------------------------------------------------------------------------------------


def pairs(
    session: Session, hub: AppContext, scope: Scope, *, status: str = OPEN, limit: int = 50, offset: int = 0
) -> tuple[list[PairView], int]:
    """Load the pairs with a child in scope, highest score first, and how many there are in all."""
    p, chosen = DuplicatePair, _in_scope(hub, scope, status)
    total = session.scalar(select(func.count()).select_from(p).where(*chosen)) or 0
    rows = session.scalars(
        select(p).where(*chosen).order_by(p.score.desc(), p.child_id, p.other_id).limit(limit).offset(offset)
    ).all()
    sides = _sides(session, hub, scope, {id_ for row in rows for id_ in (row.child_id, row.other_id)})
    return [_view(row, sides) for row in rows if {row.child_id, row.other_id} <= sides.keys()], total


def count_open(session: Session, hub: AppContext, scope: Scope) -> int:
    """Count the open pairs with a child in scope."""
    query = select(func.count()).select_from(DuplicatePair).where(*_in_scope(hub, scope, OPEN))
    return session.scalar(query) or 0


def _in_scope(hub: AppContext, scope: Scope, status: str) -> tuple[ColumnElement[bool], ...]:
    p = DuplicatePair
    sides = Child.district == hub.district, Child.id.in_([p.child_id, p.other_id])
    # not the pairs of all children in scope, of whom there are far more than pairs
    return p.district == hub.district, p.status == status, exists().where(*sides, within(hub, scope))


def pair(session: Session, hub: AppContext, scope: Scope, first_id: str, second_id: str) -> PairView:
    """Load two children side by side, whether the search found them as a pair or not.

    Raises
    ------
    Problem
        `record-unknown`: there is no such child, or neither is in scope.
    """
    sides = _load_sides(session, hub, scope, first_id, second_id)
    row = session.get(DuplicatePair, (hub.district, *pair_of(first_id, second_id)))
    elsewhere = _other_districts(session, hub, (first_id, second_id))
    if row is not None:
        return _view(row, sides, elsewhere)
    first, second = pair_of(first_id, second_id)
    status = LINKED if sides[first].same_as == second or sides[second].same_as == first else ""
    return PairView(sides[first], sides[second], 0, {}, status, None, None, None, elsewhere)


def _view(row: DuplicatePair, sides: Mapping[str, Side], elsewhere: int = 0) -> PairView:
    return PairView(
        sides[row.child_id],
        sides[row.other_id],
        row.score,
        orjson.loads(row.why),
        row.status,
        row.found_at,
        row.decided_by,
        row.decided_at,
        elsewhere,
    )


def _load_sides(
    session: Session, hub: AppContext, scope: Scope, first_id: str, second_id: str
) -> dict[str, Side]:
    if first_id == second_id or not (UUID_TEXT.fullmatch(first_id) and UUID_TEXT.fullmatch(second_id)):
        raise Problem("record-unknown")
    visible = session.scalar(
        select(func.count()).where(Child.id.in_((first_id, second_id)), within(hub, scope))
    )
    sides = _sides(session, hub, scope, {first_id, second_id})  # without erased children
    if not visible or len(sides) < 2:
        raise Problem("record-unknown")
    return sides


def _sides(session: Session, hub: AppContext, scope: Scope, child_ids: set[str]) -> dict[str, Side]:
    measured = (
        select(func.count())
        .where(Measurement.district == Child.district, Measurement.child_id == Child.id, ~Measurement.removed)
        .correlate(Child)
        .scalar_subquery()
    )
    rows = session.execute(
        select(
            Child.id.label("child_id"),
            Child.post_id,
            HealthPost.name.label("post_name"),
            Child.sex,
            Child.born_on,
            Child.same_as,
            Child.removed,
            Child.state,
            Child.wrapped_key,
            Child.key_version,
            measured.label("measurements"),
        )
        .join(HealthPost, and_(HealthPost.district == Child.district, HealthPost.id == Child.post_id))
        .where(
            Child.district == hub.district, Child.id.in_(sorted(child_ids)), Child.wrapped_key.is_not(None)
        )
    )
    return {row.child_id: _side(hub, scope, row) for row in rows}


def _side(hub: AppContext, scope: Scope, row: Any) -> Side:
    readable = row.state is not None and row.wrapped_key is not None
    state = state_of(hub, row.child_id, row) if readable else None
    values = None
    if state is not None and scope.shows_names:
        shown = ("identity", "parents", "nik", "home")
        values = {name: [s.value for s in state.registers[name]] for name in shown if name in state.registers}
    return Side(
        row.child_id,
        row.post_id,
        row.post_name,
        name_of(hub, row) if scope.shows_names else None,
        row.sex,
        row.born_on.isoformat() if row.born_on else None,
        row.same_as,
        bool(row.removed),
        row.measurements,
        state.vector if state is not None else VersionVector({}),
        values,
    )


def _other_districts(session: Session, hub: AppContext, child_ids: tuple[str, str]) -> int:
    """Count the children of other districts with a NIK of one of these. Nothing else about them may be shown here."""
    own, elsewhere = aliased(NikIndex), aliased(NikIndex)
    niks = select(own.blind_index).where(own.district == hub.district, own.child_id.in_(child_ids))
    child = elsewhere.district + "/" + cast(elsewhere.child_id, Text())
    query = select(func.count(child.distinct())).where(
        elsewhere.blind_index.in_(niks), elsewhere.district != hub.district
    )
    return session.scalar(query) or 0


def log_listed(session: Session, hub: AppContext, actor: str, shown: int, offset: int, now: datetime) -> None:
    """Log that somebody was shown pairs with the children's names."""
    details = {"pairs": shown, "offset": offset}
    audit.append(
        session, hub.district, audit.OFFICE, "duplicates.listed", actor=actor, now=now, details=details
    )


def log_viewed(session: Session, hub: AppContext, actor: str, shown: PairView, now: datetime) -> None:
    """Log at both children's posts that somebody saw them side by side, unmasked."""
    details = {"children": [shown.one.child_id, shown.other.child_id], "unmasked": True}
    for post_id in sorted({shown.one.post_id, shown.other.post_id}):
        stream = audit.post_stream(post_id)
        audit.append(session, hub.district, stream, "duplicate.viewed", actor=actor, now=now, details=details)


# -- deciding -------------------------------------------------------------------------------------


def link(
    session: Session,
    hub: AppContext,
    scope: Scope,
    first_id: str,
    second_id: str,
    contexts: Mapping[str, VersionVector],
    *,
    author: str,
    now: datetime,
) -> PairView:
    """Link two records as one child, in a writing transaction.

    Parameters
    ----------
    contexts : of both records, as they were shown; the link is written to the first of the two that has none yet

    Raises
    ------
    Problem
        `record-unknown`; `already-linked`: to each second_id, or both to others; `change-invalid`.
    """
    sides = _load_sides(session, hub, scope, first_id, second_id)
    carrier = next((id_ for id_ in (first_id, second_id) if sides[id_].same_as is None), None)
    if carrier is None or _person_id(session, hub, first_id) == _person_id(session, hub, second_id):
        raise Problem("already-linked")
    target = second_id if carrier == first_id else first_id
    _ensure_row(session, hub, first_id, second_id, now)
    _write_link(session, hub, carrier, target, contexts, "duplicate.linked", author, now)
    # false while this link is in conflict with one that somebody else wrote at the same time
    if _person_id(session, hub, first_id) == _person_id(session, hub, second_id):
        _store_decision(session, hub, first_id, second_id, LINKED, author, now)
    return pair(session, hub, scope, first_id, second_id)


def unlink(
    session: Session,
    hub: AppContext,
    scope: Scope,
    first_id: str,
    second_id: str,
    contexts: Mapping[str, VersionVector],
    *,
    author: str,
    now: datetime,
) -> PairView:
    """Undo the link between two records, in a writing transaction: each is a child of its own again.

    Raises
    ------
    Problem
        `record-unknown`; `not-linked`: neither links to the other (both may be linked to a third); `change-invalid`.
    """
    sides = _load_sides(session, hub, scope, first_id, second_id)
    carriers = [
        id_ for id_, target in ((first_id, second_id), (second_id, first_id)) if sides[id_].same_as == target
    ]
    if not carriers:
        raise Problem("not-linked")
    for carrier in carriers:
        _write_link(session, hub, carrier, None, contexts, "duplicate.unlinked", author, now)
    return pair(session, hub, scope, first_id, second_id)


def different(
    session: Session,
    hub: AppContext,
    scope: Scope,
    first_id: str,
    second_id: str,
    *,
    author: str,
    now: datetime,
) -> PairView:
    """Mark two records as different children, in a writing transaction; they are not proposed as a pair again.

    Raises
    ------
    Problem
        `record-unknown`; `already-linked`: undo the link first.
    """
    sides = _load_sides(session, hub, scope, first_id, second_id)
    if _person_id(session, hub, first_id) == _person_id(session, hub, second_id):
        raise Problem("already-linked")
    _ensure_row(session, hub, first_id, second_id, now)
    _set_status(session, hub, sides, DIFFERENT, "duplicate.different", author, now)
    return pair(session, hub, scope, first_id, second_id)


def reopen(
    session: Session,
    hub: AppContext,
    scope: Scope,
    first_id: str,
    second_id: str,
    *,
    author: str,
    now: datetime,
) -> PairView:
    """Undo the mark "different", in a writing transaction: the pair is open again.

    Raises
    ------
    Problem
        `record-unknown`; `nothing-to-undo`: the two are not marked as different.
    """
    sides = _load_sides(session, hub, scope, first_id, second_id)
    row = session.get(DuplicatePair, (hub.district, *pair_of(first_id, second_id)), with_for_update=True)
    if row is None or row.status != DIFFERENT:
        raise Problem(
            "nothing-to-undo",
            decision=row.status if row else None,
            decided_by=row.decided_by if row else None,
            decided_at=_text(row.decided_at) if row else None,
        )
    _set_status(session, hub, sides, OPEN, "duplicate.reopened", author, now)
    return pair(session, hub, scope, first_id, second_id)


def _set_status(
    session: Session,
    hub: AppContext,
    sides: Mapping[str, Side],
    status: str,
    action: str,
    author: str,
    now: datetime,
) -> None:
    """Store the decision, log it at both posts, and assess both children again: their flags depend on it."""
    first_id, second_id = sorted(sides)
    _store_decision(session, hub, first_id, second_id, status, author, now)
    for post_id in sorted({side.post_id for side in sides.values()}):
        stream, details = audit.post_stream(post_id), {"children": list(pair_of(first_id, second_id))}
        audit.append(session, hub.district, stream, action, actor=author, now=now, details=details)
    assess(session, hub, [first_id, second_id], now, changed=True)


def _write_link(
    session: Session,
    hub: AppContext,
    carrier: str,
    target: str | None,
    contexts: Mapping[str, VersionVector],
    action: str,
    author: str,
    now: datetime,
) -> None:
    if carrier not in contexts:
        raise Problem("request-malformed", reason=f"contexts.{carrier} is missing")
    edit = Edit.of_child(carrier, {"same_as": {"child": target}}, contexts[carrier])
    server_edits.write(session, hub, [edit], action, author=author, now=now)
    session.expire_all()


def _person_id(session: Session, hub: AppContext, child_id: str) -> str | None:
    return session.scalar(select(Child.person_id).where(Child.district == hub.district, Child.id == child_id))


def _ensure_row(session: Session, hub: AppContext, first_id: str, second_id: str, now: datetime) -> None:
    """Add a row for a pair that the search did not find, so that a decision about it can be stored."""
    first, second = pair_of(first_id, second_id)
    if session.get(DuplicatePair, (hub.district, first, second)) is None:
        row = {"district": hub.district, "child_id": first, "other_id": second, "score": 0, "status": OPEN}
        why = orjson.dumps(BY_HAND).decode()
        undecided = {"decided_by": None, "decided_at": None}
        upsert(session, table(DuplicatePair), [{**row, "why": why, "found_at": now, **undecided}])


def _store_decision(
    session: Session, hub: AppContext, first_id: str, second_id: str, status: str, author: str, now: datetime
) -> None:
    row = session.get_one(DuplicatePair, (hub.district, *pair_of(first_id, second_id)))
    row.status, row.decided_by, row.decided_at = status, author, now
    session.flush()
