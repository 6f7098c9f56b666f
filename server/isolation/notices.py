"""Notices of what is set aside: raised when work on a post or child fails, removed when it works again."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import Table, delete, func, select
from sqlalchemy.orm import Session

from server import audit
from server.context import AppContext
from server.database.models import Notice, table
from server.database.writes import upsert

FIGURES, OVERSIGHT, ABSENCE, JOB = "figures-failed", "oversight-failed", "assessment-failed", "job-failed"
KINDS: Final = (FIGURES, OVERSIGHT, ABSENCE, JOB)
"""Kinds of notice: the subject of the first two is a post, of the third a child, of the last a scheduled job."""
SHOWN: Final = 100
"""Most that are listed of a kind."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """A post, child or job that was set aside: the class of the error (its text may hold personal data), and since when."""

    kind: str
    subject: str
    error: str
    since: datetime


def note(
    hub: AppContext,
    kind: str,
    tried: Collection[str],
    failed: Mapping[str, str],
    *,
    actor: str,
    now: datetime,
) -> None:
    """Raise a notice for each that failed and remove those of the others that were tried; log it if anything changes.

    Parameters
    ----------
    kind : one of KINDS
    failed : the class of the error by subject
    """
    with hub.database.reading() as session:
        known = {one.subject: one for one in set_aside(session, hub, kind, limit=None)}
    new = {subject: error for subject, error in failed.items() if subject not in known}
    well = sorted(known.keys() & set(tried) - failed.keys())
    if not new and not well:
        return
    with hub.database.transaction() as session:
        upsert(session, *new_rows(session, hub, kind, new, now))
        mine = (Notice.district == hub.district, Notice.kind == kind)
        session.execute(delete(table(Notice)).where(*mine, Notice.subject.in_(well)))
        details = {"kind": kind, "failed": len(new), "well": len(well)}
        audit.append(
            session, hub.district, audit.OFFICE, "notice.changed", actor=actor, now=now, details=details
        )


def new_rows(
    session: Session, hub: AppContext, kind: str, failed: Mapping[str, str], now: datetime
) -> tuple[Table, list[dict[str, Any]]]:
    """Return the table and rows of the notices that are not raised yet.

    Parameters
    ----------
    failed : the class of the error by subject
    """
    known = {one.subject for one in set_aside(session, hub, kind, limit=None)}
    row = {"district": hub.district, "kind": kind, "raised_at": now}
    rows = [
        {**row, "subject": subject, "details": orjson.dumps({"error": error}).decode()}
        for subject, error in failed.items()
        if subject not in known
    ]
    return table(Notice), rows


def set_aside(session: Session, hub: AppContext, *kinds: str, limit: int | None = SHOWN) -> list[SetAside]:
    """List what is set aside, of the kinds given or of all, the oldest first."""
    query = (
        select(Notice.kind, Notice.subject, Notice.details, Notice.raised_at)
        .where(Notice.district == hub.district, Notice.kind.in_(kinds or KINDS))
        .order_by(Notice.raised_at, Notice.kind, Notice.subject)
        .limit(limit)
    )
    return [
        SetAside(row.kind, row.subject, orjson.loads(row.details)["error"], row.raised_at)
        for row in session.execute(query)
    ]


def counts(session: Session, hub: AppContext) -> dict[str, int]:
    """Count what is set aside, by kind; 0 for a kind without any."""
    query = (
        select(Notice.kind, func.count().label("subjects"))
        .where(Notice.district == hub.district, Notice.kind.in_(KINDS))
        .group_by(Notice.kind)
    )
    return dict.fromkeys(KINDS, 0) | {row.kind: row.subjects for row in session.execute(query)}
