"""Assesses every child again when an upgrade brings other rules, so that new flags reach children nobody edits.

In short transactions, in the order of the children's ids. The newest run of the job holds how far it has come: an
interrupted run goes on from there, and after the last child nothing is done until the rules change again.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson
import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from server import audit
from server.children.assessment import ENGINE, assess
from server.context import AppContext
from server.database.engine import upsert
from server.database.models import Child, JobRun, table
from server.operations.doctor.checks import UNREADABLE

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
        _assess_readable(hub, ids, progress, now)
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


def _assess_readable(hub: AppContext, ids: Sequence[str], progress: dict[str, Any], now: datetime) -> None:
    """Assess some children; if something cannot be read, halve them until the damaged child is alone and left out."""
    try:
        with hub.database.transaction() as session:
            assess(session, hub, ids, now)
            _save(
                session, hub, {**progress, "after": ids[-1], "children": progress["children"] + len(ids)}, now
            )
            details = {"children": len(ids)}
            actor = f"job:{JOB}"
            audit.append(
                session,
                hub.district,
                audit.OFFICE,
                "children.assessed",
                actor=actor,
                now=now,
                details=details,
            )
        progress["children"] += len(ids)
    except UNREADABLE as error:
        if len(ids) == 1:
            log = structlog.get_logger("posyandu.jobs")
            log.error("child cannot be assessed", child=ids[0], error=type(error).__name__)
            progress["unreadable"] += 1
            return
        half = len(ids) // 2
        _assess_readable(hub, ids[:half], progress, now)
        _assess_readable(hub, ids[half:], progress, now)


def _save(session: Session, hub: AppContext, progress: Mapping[str, Any], now: datetime) -> None:
    result = orjson.dumps(dict(progress)).decode()
    upsert(session, table(JobRun), [{"district": hub.district, "job": JOB, "ran_at": now, "result": result}])
