"""What supervisors are told of a post's month, computed again."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from server import isolation
from server.context import AppContext
from server.database.engine import among
from server.database.models import PostMonth, table
from server.operations.recomputation.difference import REFRESH, UNREADABLE, Difference, differing
from server.supervision import months


def differences(
    session: Session, hub: AppContext, post_ids: Sequence[str], _now: datetime
) -> list[Difference]:
    """Compute every stored report of some posts again."""
    c = table(PostMonth).c
    query = select(c.month).distinct().where(c.district == hub.district, among(c.post_id))
    stored = session.connection().execute(query, {"among": list(post_ids)}).scalars().all()
    found: list[Difference] = []
    for month in sorted(stored):
        done, failed = isolation.halved(
            lambda some, at=month: list(months.recomputed(session, hub, at, some)),  # type: ignore[misc]
            post_ids,
            "report of a post",
        )
        found += [
            differing(post, "post_month", f"{month}/{post}", column, was, wanted, REFRESH)
            for part in done
            for post, column, was, wanted in part
        ]
        found += [
            Difference(post, "post_month", f"{month}/{post}", "", UNREADABLE, stored=error)
            for post, error in failed.items()
        ]
    return found
