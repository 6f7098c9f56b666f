"""How often something may be tried and fail, counted for all workers in one table.

Rules kept here:
- A failed try is counted within a window of time, in the transaction that logs the failure. What succeeds costs nothing:
  thirty people of one office, behind one address, sign in at eight o'clock.
- A place (an address, an account, a session) is kept as a keyed digest only, and forgotten with its window.
- Who has no try left is refused before anything is looked at, and told for how long.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from server import audit
from server.context import AppContext
from server.database.models import RateLimit, table
from server.errors import Problem


@dataclass(frozen=True, slots=True)
class Limit:
    """So many failures in so many minutes."""

    tries: int
    minutes: int


LIMITS: Final[Mapping[str, Limit]] = {
    "sign-in": Limit(30, 10),
    "second-factor": Limit(30, 10),
    "second-factor-of": Limit(5, 15),  # of one account, from wherever
    "invitation": Limit(30, 10),
    "enrolment": Limit(30, 10),
}


def refuse_if_spent(session: Session, hub: AppContext, what: str, place: str, now: datetime) -> None:
    """Let nobody try who has failed too often; a place that is not known ("") has no limit.

    Raises
    ------
    Problem
        `too-many-tries`, with the seconds until the window ends.
    """
    limit = LIMITS[what]
    if not place:
        return
    window = _window(limit, now)
    count = session.execute(
        select(RateLimit.count).where(
            RateLimit.district == hub.district,
            RateLimit.what == what,
            RateLimit.place == hub.vault.digest(f"place/{what}", place),
            RateLimit.window_at == window,
        )
    ).scalar()
    if count is not None and count >= limit.tries:
        ends = window + timedelta(minutes=limit.minutes)
        raise Problem("too-many-tries", seconds=int((ends - now).total_seconds()) + 1)


def note_failure(session: Session, hub: AppContext, what: str, place: str, now: datetime) -> None:
    """Count a failed try; the caller logs it, and lets it commit."""
    if not place:
        return
    dialect = session.connection().dialect.name
    make = sqlite.insert if dialect == "sqlite" else postgresql.insert
    statement = make(table(RateLimit)).values(
        district=hub.district,
        what=what,
        place=hub.vault.digest(f"place/{what}", place),
        window_at=_window(LIMITS[what], now),
        count=1,
    )
    keys = [column.name for column in table(RateLimit).primary_key.columns]
    counted = {"count": table(RateLimit).c.count + 1}  # in one statement: no two workers count the same try
    session.connection().execute(statement.on_conflict_do_update(index_elements=keys, set_=counted))


def note_refusal(hub: AppContext, what: str, place: str, now: datetime) -> None:
    """Count and log a try that failed by raising, whose transaction is gone."""
    with hub.database.transaction() as session:
        note_failure(session, hub, what, place, now)
        details = {"what": what}
        audit.append(
            session, hub.district, audit.OFFICE, "try.failed", actor="unknown", now=now, details=details
        )


def forgive(session: Session, hub: AppContext, what: str, place: str) -> None:
    """Forget the failures of a place."""
    digest = hub.vault.digest(f"place/{what}", place)
    session.execute(
        delete(table(RateLimit)).where(
            RateLimit.district == hub.district, RateLimit.what == what, RateLimit.place == digest
        )
    )


def forget_old(session: Session, hub: AppContext, now: datetime) -> int:
    """Remove the windows that have ended, and give how many counters they were."""
    longest = timedelta(minutes=max(limit.minutes for limit in LIMITS.values()))
    gone = session.execute(
        delete(table(RateLimit)).where(
            RateLimit.district == hub.district, RateLimit.window_at < now - longest
        )
    )
    return int(getattr(gone, "rowcount", 0))


def _window(limit: Limit, now: datetime) -> datetime:
    """Give when the window of a moment began: windows lie end to end, the same for every worker."""
    length = limit.minutes * 60
    return datetime.fromtimestamp(int(now.timestamp()) // length * length, UTC)
