"""Jobs that failed, and posts and children whose figures cannot be worked out, as a supervisor is told of them: children by
their post, none is named."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from server import isolation
from server.context import AppContext
from server.database.engine import among
from server.database.models import Child, HealthPost, table
from server.review import Scope
from server.review.scope import posts_within


@dataclass(frozen=True, slots=True)
class SetAsidePost:
    """What of a post is set aside (`kind`, of `isolation.KINDS`), the class of the error, and since when.

    `name`: the post's, or the job's.
    """

    name: str
    kind: str
    error: str
    since: datetime


def set_aside(session: Session, hub: AppContext, scope: Scope) -> list[SetAsidePost]:
    """List what is set aside of the posts in scope, and the jobs that failed: these work for all posts."""
    found = isolation.set_aside(session, hub)
    if not found:
        return []
    posts = select(HealthPost.id, HealthPost.name).where(posts_within(hub, scope))
    names = {row.id: row.name for row in session.execute(posts)}
    names |= {one.subject: one.subject for one in found if one.kind == isolation.JOB}
    c = table(Child).c
    of_child = select(c.id, c.post_id).where(c.district == hub.district, among(c.id))
    children = [one.subject for one in found if one.kind == isolation.ABSENCE]
    post_of = {row.id: row.post_id for row in session.execute(of_child, {"among": children})}
    located = [(one, names.get(post_of.get(one.subject, one.subject))) for one in found]
    return [SetAsidePost(name, one.kind, one.error, one.since) for one, name in located if name is not None]
