"""The village of each post, so that people are counted by village without a join for every child."""

from dataclasses import dataclass

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from server.aid.need.columns import ID, Ids, Numbers
from server.context import AppContext
from server.database.models import HealthPost


@dataclass(frozen=True, slots=True)
class Places:
    """The villages of a district's posts. `codes` are theirs ("" for none); elsewhere a village is its index in `codes`."""

    codes: list[str]
    posts: Ids
    of_post: Numbers

    def of(self, posts: Ids) -> Numbers:
        """Give the village of each post."""
        return self.of_post[np.searchsorted(self.posts, posts)]

    def count(self, villages: Numbers, weights: Numbers | None = None) -> Numbers:
        """Count by village, or sum the weights by village."""
        return np.bincount(villages, weights, len(self.codes)).astype(np.intp)


def load_places(session: Session, hub: AppContext) -> Places:
    """Load the village of every post. A join instead would make the database go through the children post by post."""
    rows = session.connection().execute(
        select(HealthPost.id, HealthPost.village_code).where(HealthPost.district == hub.district)
    )
    village = {post_id: code or "" for post_id, code in rows.all()}
    codes = sorted(set(village.values()))
    index, posts = {code: number for number, code in enumerate(codes)}, sorted(village)
    of_post = np.array([index[village[post]] for post in posts], np.intp)
    return Places(codes, np.array(posts, f"S{ID}"), of_post)
