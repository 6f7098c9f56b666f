"""What cannot be worked out of one post or child is set aside, and the others go on.

A job that stopped at the first post whose figures fail would leave every other post without figures, for the fault of one
row. So work on several posts or children is done together; where that fails, in halves, until what fails is alone. Of each
there is a notice (`Notice`, kind KINDS) until it works again: `doctor`, the metrics and the supervisor's pages read it.

Any exception is caught, since what one row may cause cannot be listed; but an error of the whole database is no matter of
one post, and is raised.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

import orjson
import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from server import audit
from server.context import AppContext
from server.database.engine import upsert
from server.database.models import Notice, table
from server.errors import Problem

FIGURES, OVERSIGHT, ABSENCE = "figures-failed", "oversight-failed", "assessment-failed"
KINDS: Final = (FIGURES, OVERSIGHT, ABSENCE)
"""Kinds of notice: the subject of the first two is a post, of the third a child."""
SHOWN: Final = 100
"""Most that are listed of a kind."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class SetAside:
    """A post or a child that was set aside: the class of the error (its text may hold personal data), and since when."""

    kind: str
    subject: str
    error: str
    since: datetime


def attempt(work: Callable[[], Result], what: str) -> tuple[Result | None, str]:
    """Do some work.

    Parameters
    ----------
    what : for the server's own log

    Returns
    -------
    (the result, "") or (None, the class of the error). A Problem is an answer to whoever asked, and is raised
    """
    log = structlog.get_logger("posyandu.isolation")
    try:
        return work(), ""
    except (Problem, OperationalError, InterfaceError):
        raise
    except Exception as error:
        log.exception("set aside", what=what, error=type(error).__name__)
        return None, type(error).__name__


def halved(
    work: Callable[[list[str]], Result], items: Sequence[str], what: str
) -> tuple[list[Result], dict[str, str]]:
    """Do some work on items together; where that fails, on each half, until what fails is alone.

    Parameters
    ----------
    work : does all or nothing for the items that it is given
    what : for the server's own log

    Returns
    -------
    (the results, the class of the error by item that failed)
    """
    if not items:
        return [], {}
    result, error = attempt(lambda: work(list(items)), what)
    if not error:
        return [result], {}  # type: ignore[list-item]  # None only where the work gives None
    if len(items) == 1:
        return [], {items[0]: error}
    results, failed = [], {}
    for part in (items[: len(items) // 2], items[len(items) // 2 :]):
        done, wrong = halved(work, part, what)
        results += done
        failed |= wrong
    return results, failed


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
        row = {"district": hub.district, "kind": kind, "raised_at": now}
        rows = [{**row, "subject": s, "details": orjson.dumps({"error": e}).decode()} for s, e in new.items()]
        upsert(session, table(Notice), rows)
        mine = (Notice.district == hub.district, Notice.kind == kind)
        session.execute(delete(table(Notice)).where(*mine, Notice.subject.in_(well)))
        details = {"kind": kind, "failed": len(new), "well": len(well)}
        audit.append(
            session, hub.district, audit.OFFICE, "notice.changed", actor=actor, now=now, details=details
        )


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
