"""Assesses every child again when an upgrade brings other rules, so that new flags reach children nobody edits.

In short transactions, in the order of the children's ids. The newest run of the job holds how far it has come: an
interrupted run goes on from there, and after the last child nothing is done until the rules change again.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from server import audit, isolation
from server.children.assessment import ENGINE, assess
from server.context import AppContext
from server.database.models import Child, JobRun, table
from server.database.writes import upsert

JOB: Final = "new-rules"
CHUNK: Final = 100
"""Children in one transaction: uploads wait for it."""


def reassess_all(hub: AppContext, now: datetime) -> Mapping[str, Any]:
    """Assess every child by this release's rules, unless that was done before.

    Returns
    -------
    dict : the rules, and the numbers of children assessed and unreadable; empty if nothing was to be done
    """
    progress = _progress(hub)
    if progress["after"] is None:
        return {}
    while ids := _next_children(hub, progress["after"]):
        _, failed = isolation.halved(lambda some: _assess(hub, some, progress, now), ids, JOB)
        isolation.note(hub, isolation.ABSENCE, ids, failed, actor=f"job:{JOB}", now=now)
        progress["unreadable"] += len(failed)
        progress["after"] = ids[-1]
    return {**progress, "after": None}


def _progress(hub: AppContext) -> dict[str, Any]:
    """Load how far the job has come with the present rules; `after` is None once it is done, "" at the beginning."""
    query = select(JobRun.result).where(JobRun.district == hub.district, JobRun.job == JOB)
    with hub.database.reading() as session:
        stored = session.scalar(query)
    known: dict[str, Any] = orjson.loads(stored) if stored else {}
    return (
        known
        if known.get("rules") == ENGINE
        else {"rules": ENGINE, "after": "", "children": 0, "unreadable": 0}
    )


def _next_children(hub: AppContext, after: str) -> Sequence[str]:
    """Return the next ids; children without a key were erased."""
    query = select(Child.id).where(Child.district == hub.district, Child.wrapped_key.is_not(None))
    if after:
        query = query.where(Child.id > after)
    with hub.database.reading() as session:
        return session.scalars(query.order_by(Child.id).limit(CHUNK)).all()


def _assess(hub: AppContext, ids: Sequence[str], progress: dict[str, Any], now: datetime) -> None:
    """Assess some children, and save how far the job has come, in one transaction."""
    done = {**progress, "after": ids[-1], "children": progress["children"] + len(ids)}
    actor, details = f"job:{JOB}", {"children": len(ids)}
    with hub.database.transaction() as session:
        assess(session, hub, ids, now)
        _save(session, hub, done, now)
        audit.append(
            session, hub.district, audit.OFFICE, "children.assessed", actor=actor, now=now, details=details
        )
    progress["children"] = done["children"]


def _save(session: Session, hub: AppContext, progress: Mapping[str, Any], now: datetime) -> None:
    result = orjson.dumps(dict(progress)).decode()
    upsert(session, table(JobRun), [{"district": hub.district, "job": JOB, "ran_at": now, "result": result}])
