"""Adds, renames, closes and opens posts again, within somebody's area.

Rules kept here:
- A post is closed only when no child is left there: they are moved first, or all together with the closing. A child whose
  registration has not arrived, or whose post is disputed, must be dealt with before.
- A closed post takes no new tablet (its unused codes end) and no child that staff move. Its tablets stay enrolled, so that
  what they still hold arrives; revoke them then. A child that such a tablet registers stays in view at the closed post.
- Everything stays in history, and closing is undone by opening again.
- Of two posts of a village no two have the same name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from schemas.words import reason
from server import accounts, audit
from server.context import AppContext
from server.database.ids import UUID_TEXT
from server.database.models import Child, EnrolmentCode, HealthCentre, HealthPost, Region, Tablet
from server.errors import Problem
from server.places import health_posts
from server.places.villages import find_villages
from server.review.posts import PostRow, posts
from server.review.scope import Scope, in_use, posts_within, state_of
from server.sync import server_edits
from server.sync.server_edits import Edit

LONGEST_NAME: Final = 100
MOST_POSTS: Final = 100_000
"""More posts than any district has."""


@dataclass(frozen=True, slots=True)
class Closing:
    """A post that may be closed: how many children are there, and how many tablets are enrolled."""

    post: PostRow
    children: int
    tablets: int


def listed(
    session: Session,
    hub: AppContext,
    scope: Scope,
    now: datetime,
    *,
    limit: int = MOST_POSTS,
    offset: int = 0,
    name: str = "",
) -> tuple[Sequence[PostRow], int]:
    """Load a page of the posts in scope, closed ones too, and how many there are in all."""
    found = posts(
        session, hub, scope, hub.settings.today(now), limit=limit, offset=offset, name=name, closed=True
    )
    return found.rows, found.total


def add(
    session: Session, hub: AppContext, scope: Scope, request: Mapping[str, Any], *, actor: str, now: datetime
) -> str:
    """Add a post and return its id.

    Parameters
    ----------
    request : `name`; `village`, code or name; `health_centre`, id or name, left out: that of the village's subdistrict,
        made if there is none

    Raises
    ------
    Problem
        `change-invalid` for the name; `village-unknown`, `village-unclear`, `health-centre-unknown`,
        `health-centre-unclear`, `post-name-taken`; `record-unknown` outside the scope.
    """
    name = _checked_name(request.get("name"))
    village = _village(session, hub, str(request.get("village") or ""))
    centre_id = _centre(session, hub, scope, village, str(request.get("health_centre") or ""), actor, now)
    _refuse_taken(session, hub, name, village.code)
    post_id = health_posts.add_post(session, hub, name, centre_id, village.code, actor=actor, now=now)
    _find(session, hub, scope, post_id)
    return post_id


def rename(
    session: Session, hub: AppContext, scope: Scope, post_id: str, name: object, *, actor: str, now: datetime
) -> None:
    """Give a post another name; tablets show it from their next enrolment on.

    Raises
    ------
    Problem
        `change-invalid`, `post-name-taken`; `record-unknown` outside the scope.
    """
    post, new = _find(session, hub, scope, post_id), _checked_name(name)
    if new == post.name:
        return
    _refuse_taken(session, hub, new, post.village_code, but=post.id)
    details = {"id": post.id, "from": post.name, "to": new}
    post.name = new
    _log(session, hub, post.id, "post.renamed", actor, now, details)


def closing(session: Session, hub: AppContext, scope: Scope, post_id: str, now: datetime) -> Closing:
    """Load what closing a post would mean.

    Raises
    ------
    Problem
        `record-unknown` outside the scope.
    """
    post = _find(session, hub, scope, post_id)
    of_post = Scope("post", post.id, shows_names=False)
    (row,), _ = listed(session, hub, of_post, now)
    return Closing(row, len(_children(session, hub, post.id)), _tablets(session, hub, post.id))


def close(
    session: Session,
    hub: AppContext,
    scope: Scope,
    post_id: str,
    *,
    into: str | None = None,
    actor: str,
    now: datetime,
) -> Closing:
    """Close a post, after moving all its children to another one if `into` names it. Closing it again changes nothing.

    Returns
    -------
    Closing : the children moved, and the tablets that are still enrolled

    Raises
    ------
    Problem
        `post-has-children`, `post-children-stay`; `post-closed` for a closed `into`, `change-invalid` for the post itself;
        `record-unknown` outside the scope.
    """
    post = _find(session, hub, scope, post_id)
    if post.closed_at is not None:
        return replace(closing(session, hub, scope, post_id, now), children=0)
    moved = 0
    if into is not None:
        moved = _move_all(session, hub, post, _open_target(session, hub, scope, post, into), actor, now)
    session.execute(select(HealthPost.id).where(_is(hub, post.id)).with_for_update(key_share=True))
    left = len(_children(session, hub, post.id))
    if left:
        code = "post-children-stay" if into is not None else "post-has-children"
        raise Problem(code, children=left, post=post.name)
    post.closed_at = now
    ended = _end_codes(session, hub, post.id, actor, now)
    details = {"id": post.id, "moved": moved, "codes_ended": ended, **({"into": into} if into else {})}
    _log(session, hub, post.id, "post.closed", actor, now, details)
    return replace(closing(session, hub, scope, post_id, now), children=moved)


def reopen(
    session: Session, hub: AppContext, scope: Scope, post_id: str, *, actor: str, now: datetime
) -> None:
    """Open a closed post again; children that were moved stay where they are.

    Raises
    ------
    Problem
        `post-name-taken`; `record-unknown` outside the scope.
    """
    post = _find(session, hub, scope, post_id)
    if post.closed_at is None:
        return
    _refuse_taken(session, hub, post.name, post.village_code, but=post.id)
    post.closed_at = None
    _log(session, hub, post.id, "post.reopened", actor, now, {"id": post.id})


# -- finding and checking -------------------------------------------------------------------------


def _is(hub: AppContext, post_id: str) -> Any:
    return (HealthPost.district == hub.district) & (HealthPost.id == post_id)


def _find(session: Session, hub: AppContext, scope: Scope, post_id: str) -> HealthPost:
    wanted = select(HealthPost).where(_is(hub, post_id), posts_within(hub, scope))
    found = session.scalar(wanted) if UUID_TEXT.fullmatch(post_id) else None
    if found is None:
        raise Problem("record-unknown")
    return found


def _checked_name(name: object) -> str:
    given = name.strip() if isinstance(name, str) else ""
    fault = None
    if not given:
        fault = reason("name", "missing", None)
    elif len(given) > LONGEST_NAME:
        fault = reason("name", "text-length", None, "1", str(LONGEST_NAME))
    elif not given.isprintable():
        fault = reason("name", "invisible-character", None)
    if fault:
        raise Problem("change-invalid", reasons=[fault.wire()])
    return given


def _village(session: Session, hub: AppContext, wanted: str) -> Region:
    found = find_villages(session, hub.district, wanted)
    if not found:
        raise Problem("village-unknown", village=wanted)
    if len(found) > 1:
        raise Problem("village-unclear", village=wanted, candidates=_named(session, hub, found))
    return found[0]


def _named(session: Session, hub: AppContext, villages: Sequence[Region]) -> str:
    """Write villages with their subdistricts: Sumber Sari (Loa Kulu) 64.02.02.2014; …"""
    uppers = {region.parent_code for region in villages}
    query = select(Region.code, Region.name).where(Region.district == hub.district, Region.code.in_(uppers))
    names = {row.code: row.name for row in session.execute(query)}
    return "; ".join(f"{one.name} ({names.get(one.parent_code, '–')}) {one.code}" for one in villages)


def _centre(
    session: Session, hub: AppContext, scope: Scope, village: Region, wanted: str, actor: str, now: datetime
) -> str:
    """Find the health centre of a new post."""
    query = select(HealthCentre).where(HealthCentre.district == hub.district).order_by(HealthCentre.name)
    if scope.kind == "health_centre" and not wanted:
        return scope.id
    if wanted:
        is_id = UUID_TEXT.fullmatch(wanted.lower())
        named = (
            HealthCentre.id == wanted.lower() if is_id else func.lower(HealthCentre.name) == wanted.lower()
        )
        found = session.scalars(query.where(named)).all()
        if not found:
            raise Problem("health-centre-unknown", wanted=wanted)
    else:
        found = session.scalars(query.where(HealthCentre.subdistrict_code == village.parent_code)).all()
    if len(found) > 1:
        candidates = "; ".join(f"{centre.name} {centre.id}" for centre in found)
        raise Problem("health-centre-unclear", candidates=candidates)
    if found:
        return found[0].id
    subdistrict = session.get(Region, (hub.district, village.parent_code))
    name = f"Puskesmas {subdistrict.name if subdistrict else village.name}"
    return health_posts.add_health_centre(session, hub, name, village.parent_code, actor=actor, now=now)


def _refuse_taken(
    session: Session, hub: AppContext, name: str, village_code: str | None, *, but: str = ""
) -> None:
    """Refuse the name of another open post of the village."""
    query = select(HealthPost.id).where(
        HealthPost.district == hub.district,
        HealthPost.village_code == village_code,
        func.lower(HealthPost.name) == name.lower(),
        HealthPost.closed_at.is_(None),
    )
    if set(session.scalars(query)) - {but}:
        raise Problem("post-name-taken", name=name)


# -- closing --------------------------------------------------------------------------------------


def _children(session: Session, hub: AppContext, post_id: str) -> Sequence[Any]:
    """Load the children who are at a post, registered or not, but for those removed, erased or restricted."""
    columns = (
        Child.id,
        Child.id.label("child_id"),
        Child.registered,
        Child.state,
        Child.wrapped_key,
        Child.key_version,
    )
    here = Child.district == hub.district, Child.post_id == post_id, ~Child.removed, in_use()
    return session.execute(select(*columns).where(*here).order_by(Child.id)).all()


def _tablets(session: Session, hub: AppContext, post_id: str) -> int:
    active = Tablet.revoked_at.is_(None), Tablet.closed_at.is_(None)
    place = accounts.places()
    ids = select(place.c.tablet_id).where(place.c.district == hub.district, place.c.post_id == post_id)
    here = Tablet.district == hub.district, Tablet.id.in_(ids)
    return session.scalar(select(func.count()).select_from(Tablet).where(*here, *active)) or 0


def _open_target(session: Session, hub: AppContext, scope: Scope, post: HealthPost, into: str) -> str:
    """Find the post that takes the children."""
    target = _find(session, hub, scope, into)
    if target.closed_at is not None:
        raise Problem("post-closed", post=target.name)
    if target.id == post.id:
        raise Problem("change-invalid", reasons=[reason("to", "same-post", into).wire()])
    return target.id


def _move_all(
    session: Session, hub: AppContext, post: HealthPost, target: str, actor: str, now: datetime
) -> int:
    """Move the children that can be moved: registered, and of an undisputed post."""
    edits = []
    for row in _children(session, hub, post.id):
        state = state_of(hub, row.id, row) if row.registered and row.state is not None else None
        if state is not None and len(state.registers.get("post", ())) <= 1:
            edits.append(Edit.of_child(row.id, {"post": {"post": target}}, state.vector))
    if edits:
        details = {"from": post.id, "to": target, "children": len(edits)}
        server_edits.write(session, hub, edits, "post.emptied", author=actor, now=now, details=details)
        session.expire_all()
    return len(edits)


def _end_codes(session: Session, hub: AppContext, post_id: str, actor: str, now: datetime) -> int:
    """End the codes of a post that nobody has used; return how many."""
    unused = select(EnrolmentCode.code_digest).where(
        EnrolmentCode.district == hub.district,
        EnrolmentCode.post_id == post_id,
        EnrolmentCode.used_at.is_(None),
        EnrolmentCode.expires_at >= now,
    )
    digests = session.scalars(unused).all()
    return sum(accounts.end_enrolment_code(session, hub, digest, actor=actor, now=now) for digest in digests)


def _log(
    session: Session,
    hub: AppContext,
    post_id: str,
    action: str,
    actor: str,
    now: datetime,
    details: Mapping[str, Any],
) -> None:
    stream = audit.post_stream(post_id)
    audit.append(session, hub.district, stream, action, actor=actor, now=now, details=details)
