"""The posts' streams: whatever changes at a post takes the next position of its stream, and tablets pull by position.

The newest position of a stream is its head. Everything that changes a child's records, or what is derived from them,
advances the stream of the child's post; so equal heads mean that nothing has changed (docs/adr/0008).
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from server.database.engine import among
from server.database.models import Child, HealthPost, table
from server.database.writes import Writes


class Positions:
    """Gives out the next positions of posts' streams."""

    def __init__(self, heads: Mapping[str, int]) -> None:
        self._heads, self._before = dict(heads), dict(heads)

    def __contains__(self, post_id: str) -> bool:
        return post_id in self._heads

    def watch(self, heads: Mapping[str, int]) -> None:
        """Add posts that turn out to be concerned too; those already known keep their heads."""
        self._heads, self._before = dict(heads) | self._heads, dict(heads) | self._before

    def next(self, post_id: str) -> int:
        """Take the next position of a post's stream."""
        self._heads[post_id] += 1
        return self._heads[post_id]

    def moved(self) -> dict[str, int]:
        """Return the new heads of the streams that advanced."""
        return {post_id: head for post_id, head in self._heads.items() if head != self._before[post_id]}

    def save(self, writes: Writes, district: str) -> None:
        """Write the new heads of the streams."""
        for post_id, head in self.moved().items():
            writes.set(table(HealthPost), {"district": district, "id": post_id}, {"head_position": head})


def heads_of(session: Session, given: Mapping[str, Any], *, lock: bool) -> dict[str, int]:
    """Return the heads of some posts' streams, by post.

    Parameters
    ----------
    given : `district`, ids of `posts`, and ids of `children` whose present posts are added
    lock : lock the posts, in order of id
    """
    return dict(session.connection().execute(_posts_and_homes(lock=lock), given).all())


@cache
def _posts_and_homes(*, lock: bool) -> Select[*tuple[Any, ...]]:
    child, post = table(Child).c, table(HealthPost).c
    present = select(child.post_id).where(
        child.district == bindparam("district"), among(child.id, "children")
    )
    query = (
        select(post.id, post.head_position)
        .where(post.district == bindparam("district"), among(post.id, "posts") | post.id.in_(present))
        .order_by(post.id)
    )
    return query.with_for_update(key_share=True) if lock else query
