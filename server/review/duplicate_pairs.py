"""Children who may be registered twice: listed, looked at side by side, linked, unlinked, or called different.

Rules kept here:
- A link is an ordinary change of one record's `same_as`, with the context that was on the screen. Nothing is moved or lost:
  both ids work for ever, and taking the link back gives what was before.
- Who may see one of a pair sees both, or nobody could decide; the look is logged at both posts.
- What is called different is never found again, until somebody takes that back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import Text, and_, cast, func, or_, select
from sqlalchemy.orm import Session, aliased

from server import audit
from server.children.assessment import assess
from server.context import AppContext
from server.database.engine import upsert
from server.database.ids import UUID_TEXT
from server.database.models import Child, DuplicatePair, HealthPost, Measurement, NikIndex, table
from server.errors import Problem
from server.review.scope import Scope, name_of, state_of, within
from server.sync import server_edits
from server.sync.duplicate_search import DIFFERENT, LINKED, OPEN, pair_of
from server.sync.server_edits import Edit
from sync_protocol import VersionVector

STATES: Final = (OPEN, LINKED, DIFFERENT)
BY_HAND: Final[Mapping[str, int]] = {"by_hand": 100}
"""Why of a pair that nobody found and a person linked or parted."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of a pair. `values` are its registers that tell who it is, None without a right to names; `context` its vector."""

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
        """Write it for JSON."""
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
    """Two children who may be one. `other_districts` counts how often one of their NIKs is borne in another district."""

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
        """Write it for JSON."""
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
    """Give the pairs of whom one is in scope, those for whom most speaks first, and how many there are."""
    seen = select(Child.id).where(within(hub, scope))
    p = DuplicatePair
    chosen = (
        p.district == hub.district,
        p.status == status,
        or_(p.child_id.in_(seen), p.other_id.in_(seen)),
    )
    total = session.scalar(select(func.count()).select_from(p).where(*chosen)) or 0
    rows = session.scalars(
        select(p).where(*chosen).order_by(p.score.desc(), p.child_id, p.other_id).limit(limit).offset(offset)
    ).all()
    sides = _sides(session, hub, scope, {id_ for row in rows for id_ in (row.child_id, row.other_id)})
    return [_view(row, sides) for row in rows if {row.child_id, row.other_id} <= sides.keys()], total


def pair(session: Session, hub: AppContext, scope: Scope, one: str, other: str) -> PairView:
    """Give two children side by side, found as a pair or not.

    Raises
    ------
    Problem
        `record-unknown`: there is no such child, or neither is in scope.
    """
    sides = _two(session, hub, scope, one, other)
    row = session.get(DuplicatePair, (hub.district, *pair_of(one, other)))
    elsewhere = _other_districts(session, hub, (one, other))
    if row is not None:
        return _view(row, sides, elsewhere)
    first, second = pair_of(one, other)
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


def _two(session: Session, hub: AppContext, scope: Scope, one: str, other: str) -> dict[str, Side]:
    if one == other or not (UUID_TEXT.fullmatch(one) and UUID_TEXT.fullmatch(other)):
        raise Problem("record-unknown")
    visible = session.scalar(select(func.count()).where(Child.id.in_((one, other)), within(hub, scope)))
    sides = _sides(session, hub, scope, {one, other})  # not who was erased
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
        told = ("identity", "parents", "nik", "home")
        values = {name: [s.value for s in state.registers[name]] for name in told if name in state.registers}
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
    """Count the children of other districts with a NIK of one of these: nothing else of them is ours to know."""
    own, elsewhere = aliased(NikIndex), aliased(NikIndex)
    mine = select(own.blind).where(own.district == hub.district, own.child_id.in_(child_ids))
    child = elsewhere.district + "/" + cast(elsewhere.child_id, Text())
    counted = select(func.count(child.distinct())).where(
        elsewhere.blind.in_(mine), elsewhere.district != hub.district
    )
    return session.scalar(counted) or 0


def log_listed(session: Session, hub: AppContext, actor: str, shown: int, offset: int, now: datetime) -> None:
    """Log that somebody was shown some pairs, names and all."""
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
    one: str,
    other: str,
    contexts: Mapping[str, VersionVector],
    *,
    author: str,
    now: datetime,
) -> PairView:
    """Say that two records are of one child, in a writing transaction.

    Parameters
    ----------
    contexts : of both records, as they were on the screen; the link is written on the first of the two that has none yet

    Raises
    ------
    Problem
        `record-unknown`; `already-linked`: the two are one, or both are linked to others already; `change-invalid`.
    """
    sides = _two(session, hub, scope, one, other)
    carrier = next((id_ for id_ in (one, other) if sides[id_].same_as is None), None)
    if carrier is None or _person(session, hub, one) == _person(session, hub, other):
        raise Problem("already-linked")
    target = other if carrier == one else one
    _ensure_row(session, hub, one, other, now)
    _set(session, hub, carrier, target, contexts, "duplicate.linked", author, now)
    # not so while a link that somebody else wrote meanwhile is in conflict with this one
    if _person(session, hub, one) == _person(session, hub, other):
        _decided(session, hub, one, other, LINKED, author, now)
    return pair(session, hub, scope, one, other)


def unlink(
    session: Session,
    hub: AppContext,
    scope: Scope,
    one: str,
    other: str,
    contexts: Mapping[str, VersionVector],
    *,
    author: str,
    now: datetime,
) -> PairView:
    """Take the link between two records back, in a writing transaction: each is a child of its own again.

    Raises
    ------
    Problem
        `record-unknown`; `not-linked`: neither names the other (they may hang together through a third); `change-invalid`.
    """
    sides = _two(session, hub, scope, one, other)
    carriers = [id_ for id_, target in ((one, other), (other, one)) if sides[id_].same_as == target]
    if not carriers:
        raise Problem("not-linked")
    for carrier in carriers:
        _set(session, hub, carrier, None, contexts, "duplicate.unlinked", author, now)
    return pair(session, hub, scope, one, other)


def different(
    session: Session, hub: AppContext, scope: Scope, one: str, other: str, *, author: str, now: datetime
) -> PairView:
    """Say that two records are of two children, in a writing transaction; they are never found as a pair again.

    Raises
    ------
    Problem
        `record-unknown`; `already-linked`: take the link back first.
    """
    sides = _two(session, hub, scope, one, other)
    if _person(session, hub, one) == _person(session, hub, other):
        raise Problem("already-linked")
    _ensure_row(session, hub, one, other, now)
    _decided(session, hub, one, other, DIFFERENT, author, now)
    for post_id in sorted({side.post_id for side in sides.values()}):
        stream, details = audit.post_stream(post_id), {"children": list(pair_of(one, other))}
        audit.append(
            session, hub.district, stream, "duplicate.different", actor=author, now=now, details=details
        )
    assess(session, hub, [one, other], now)
    return pair(session, hub, scope, one, other)


def reopen(
    session: Session, hub: AppContext, scope: Scope, one: str, other: str, *, author: str, now: datetime
) -> PairView:
    """Take back that two records are of two children, in a writing transaction: the pair waits for a person again.

    Raises
    ------
    Problem
        `record-unknown`; `nothing-to-undo`: the two are not called different.
    """
    sides = _two(session, hub, scope, one, other)
    row = session.get(DuplicatePair, (hub.district, *pair_of(one, other)), with_for_update=True)
    if row is None or row.status != DIFFERENT:
        raise Problem(
            "nothing-to-undo",
            decision=row.status if row else None,
            decided_by=row.decided_by if row else None,
            decided_at=_text(row.decided_at) if row else None,
        )
    _decided(session, hub, one, other, OPEN, author, now)
    for post_id in sorted({side.post_id for side in sides.values()}):
        stream, details = audit.post_stream(post_id), {"children": list(pair_of(one, other))}
        audit.append(
            session, hub.district, stream, "duplicate.reopened", actor=author, now=now, details=details
        )
    assess(session, hub, [one, other], now)
    return pair(session, hub, scope, one, other)


def _set(
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


def _person(session: Session, hub: AppContext, child_id: str) -> str | None:
    return session.scalar(select(Child.person_id).where(Child.district == hub.district, Child.id == child_id))


def _ensure_row(session: Session, hub: AppContext, one: str, other: str, now: datetime) -> None:
    """Give a pair that nobody found a row, so that what is decided of it has a place."""
    first, second = pair_of(one, other)
    if session.get(DuplicatePair, (hub.district, first, second)) is None:
        row = {"district": hub.district, "child_id": first, "other_id": second, "score": 0, "status": OPEN}
        why = orjson.dumps(BY_HAND).decode()
        nobody = {"decided_by": None, "decided_at": None}
        upsert(session, table(DuplicatePair), [{**row, "why": why, "found_at": now, **nobody}])


def _decided(
    session: Session, hub: AppContext, one: str, other: str, status: str, author: str, now: datetime
) -> None:
    row = session.get_one(DuplicatePair, (hub.district, *pair_of(one, other)))
    row.status, row.decided_by, row.decided_at = status, author, now
    session.flush()
