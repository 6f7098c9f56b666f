"""The posts of a tablet of staff: which ones it has, and how they are given and taken.

A tablet of cadres has the one post of its code. A tablet of staff (`Tablet.several`) has up to MOST_POSTS: the post of its
code, which stays as long as the enrolment, and others. What was given and taken is logged at that post.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final, cast

import orjson
from sqlalchemy import Select, Subquery, bindparam, select
from sqlalchemy.orm import Session

from schemas.batch import MOST_POSTS
from schemas.words import Reason, reason
from server import audit
from server.context import AppContext
from server.database import row_macs
from server.database.engine import among
from server.database.models import EnrolmentCode, HealthPost, Tablet, TabletPost, table
from server.errors import Problem

GIVEN: Final = "tablet.post-given"
TAKEN: Final = "tablet.post-taken"


def posts_of(session: Session, district: str, tablet_id: str) -> Sequence[Any]:
    """Load the posts that a tablet has: `id`, `name`, `closed_at`, `head_position`; that of its code first, then by name.

    Raises
    ------
    RowForged
        The tablet, or a post of it, was written by somebody without the keys.
    """
    tablet = session.get(Tablet, (district, tablet_id))
    if tablet is None:
        return []
    ids = post_ids_of(session, district, tablet_id) | {tablet.post_id}
    rows = session.connection().execute(_posts(), {"district": district, "among": sorted(ids)}).all()
    return sorted(rows, key=lambda row: (row.id != tablet.post_id, row.name, row.id))


def post_ids_of(session: Session, district: str, tablet_id: str) -> frozenset[str]:
    """Return the ids of the posts that a tablet of staff has.

    Raises
    ------
    RowForged
        One was given, or given again, by somebody without the keys.
    """
    rows = session.connection().execute(_given(), {"district": district, "tablet": tablet_id}).mappings()
    found = []
    for row in rows:
        row_macs.checked(session, TabletPost, cast(Mapping[str, Any], row))
        found.append(row["post_id"])
    return frozenset(found)


@cache
def _given() -> Select[*tuple[Any, ...]]:
    c = table(TabletPost).c
    mine = c.district == bindparam("district"), c.tablet_id == bindparam("tablet"), c.taken_at.is_(None)
    return select(*c).where(*mine)


@cache
def _posts() -> Select[*tuple[Any, ...]]:
    p = table(HealthPost).c
    return select(p.id, p.name, p.closed_at, p.head_position).where(
        p.district == bindparam("district"), among(p.id)
    )


def places() -> Subquery:
    """Select every tablet with each of its posts: `tablet_id`, `post_id`. The query must name the `district`."""
    t, c = table(Tablet).c, table(TabletPost).c
    homes = select(t.district, t.id.label("tablet_id"), t.post_id)
    others = select(c.district, c.tablet_id, c.post_id).where(c.taken_at.is_(None))
    return homes.union(others).subquery("place")


# -- giving and taking ----------------------------------------------------------------------------


def check_posts(session: Session, hub: AppContext, home: str, others: Collection[str]) -> list[Reason]:
    """Return why these posts cannot be given to a tablet beside the post of its code: too many, unknown, or closed."""
    wanted = set(others) | {home}
    if len(wanted) > MOST_POSTS:
        return [reason("posts", "list-length", None, "1", str(MOST_POSTS))]
    c = table(HealthPost).c
    found = session.execute(
        select(c.id, c.closed_at).where(c.district == hub.district, c.id.in_(sorted(wanted - {home})))
    )
    known = {row.id: row.closed_at for row in found}
    wrong = [reason("posts", "post-unknown", one) for one in sorted(wanted - {home} - known.keys())]
    return wrong + [
        reason("posts", "post-closed", one) for one, closed_at in sorted(known.items()) if closed_at
    ]


def posts_of_code(session: Session, hub: AppContext, code: EnrolmentCode) -> list[str] | None:
    """Return the other posts that a code gives, without those closed meanwhile; None for a tablet of one post."""
    if code.posts is None:
        return None
    named = orjson.loads(code.posts)
    c = table(HealthPost).c
    open_ = c.district == hub.district, c.id.in_(named), c.closed_at.is_(None)
    return list(session.scalars(select(c.id).where(*open_).order_by(c.id)))


def add_first_posts(
    session: Session, hub: AppContext, tablet_id: str, posts: Collection[str], now: datetime
) -> None:
    """Add the posts of a new tablet of staff; the caller logs them."""
    named = {"district": hub.district, "tablet_id": tablet_id, "given_at": now}
    session.add_all(TabletPost(**named, post_id=post_id) for post_id in sorted(posts))
    session.flush()


def change_posts(
    session: Session, hub: AppContext, tablet_id: str, wanted: Collection[str], *, actor: str, now: datetime
) -> None:
    """Make some posts those of a tablet of staff: what is missing is given, what is not named is taken.

    The tablet is told with its next answer, and wipes what it holds of a post that was taken.

    Raises
    ------
    Problem
        `record-unknown`; `change-invalid` for a tablet of one post (`one-post-only`), for the post of its code, which cannot
        be taken (`post-stays`), and as `check_posts` says. Posts that the tablet has may be closed.
    """
    tablet = session.get(Tablet, (hub.district, tablet_id), with_for_update=True)
    if tablet is None:
        raise Problem("record-unknown")
    rows = {
        row.post_id: row
        for row in session.scalars(
            select(TabletPost).where(TabletPost.district == hub.district, TabletPost.tablet_id == tablet_id)
        )
    }
    has = {post_id for post_id, row in rows.items() if row.taken_at is None}
    _refuse(_wrong(session, hub, tablet, has, set(wanted)))
    for post_id in sorted(has ^ set(wanted)):
        action = TAKEN if post_id in has else GIVEN
        _set(session, hub, tablet_id, rows.get(post_id), post_id, None if action == GIVEN else now, now)
        log(session, hub, tablet_id, post_id, action, actor=actor, now=now)
    session.flush()


def _wrong(
    session: Session, hub: AppContext, tablet: Tablet, has: set[str], wanted: set[str]
) -> list[Reason]:
    if not tablet.several:
        return [reason("posts", "one-post-only", None)]
    if tablet.post_id not in wanted:
        return [reason("posts", "post-stays", tablet.post_id)]
    if len(wanted) > MOST_POSTS:
        return [reason("posts", "list-length", None, "1", str(MOST_POSTS))]
    return check_posts(session, hub, tablet.post_id, wanted - has)


def _refuse(wrong: Sequence[Reason]) -> None:
    if wrong:
        raise Problem("change-invalid", reasons=[each.wire() for each in wrong])


def set_post(
    session: Session, hub: AppContext, tablet_id: str, post_id: str, *, given: bool, actor: str, now: datetime
) -> None:
    """Give a post to a tablet again, or take it again, as was decided after the backup that was restored."""
    row = session.get_one(TabletPost, (hub.district, tablet_id, post_id), with_for_update=True)
    row.taken_at = None if given else now
    log(session, hub, tablet_id, post_id, GIVEN if given else TAKEN, actor=actor, now=now)


def _set(
    session: Session,
    hub: AppContext,
    tablet_id: str,
    row: TabletPost | None,
    post_id: str,
    taken_at: datetime | None,
    now: datetime,
) -> None:
    if row is not None:
        row.taken_at = taken_at
    else:
        named = {"district": hub.district, "tablet_id": tablet_id, "post_id": post_id}
        session.add(TabletPost(**named, given_at=now))


def log(
    session: Session, hub: AppContext, tablet_id: str, post_id: str, action: str, *, actor: str, now: datetime
) -> None:
    """Log at the post that was given or taken; `tablet_post` names both, for the list of what was withdrawn."""
    details = {"tablet": tablet_id, "tablet_post": f"{tablet_id}/{post_id}"}
    stream = audit.post_stream(post_id)
    audit.append(session, hub.district, stream, action, actor=actor, now=now, details=details)
