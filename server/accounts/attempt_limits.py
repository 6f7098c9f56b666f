"""Rate limits of failed attempts, counted for all workers in one table.

Rules kept here:
- A failed attempt is counted within a time window, in the transaction that logs the failure. Successful ones do not count:
  thirty people of one office, behind one address, may sign in at eight o'clock. (Of "renewal" the successful ones count.)
- What is limited (an address, an account, a session) is stored only as a keyed digest, and deleted after its window.
- When the limit is reached, every attempt is refused before anything is checked, with the time left.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import and_, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from server import audit
from server.context import AppContext
from server.database.models import RateLimit, table
from server.errors import Problem

MAX_FAILED_TRIES: Final = 10
LOCK_MINUTES: Final = 15
"""Wrong passwords in a row that lock an account, and for how long."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The number of failures allowed in a number of minutes."""

    tries: int
    minutes: int


LIMITS: Final[Mapping[str, Limit]] = {
    "sign-in": Limit(30, 10),
    "second-factor": Limit(30, 10),
    "second-factor-of": Limit(5, 15),  # of one account, from any address
    "invitation": Limit(30, 10),
    "enrolment": Limit(30, 10),
    "pin-code": Limit(5, 60),  # of one tablet, which has signed the request
    "renewal": Limit(60, 10),  # tablets of many posts may come from one address of a mobile network
    "refused-upload": Limit(1, 60),  # entries in the log, not tries: sync.refusals
    "forged-row": Limit(1, 24 * 60),  # likewise: forged_rows
    "forged-rows": Limit(50, 60),  # of all
}


def refuse_if_spent(
    session: Session, hub: AppContext, what: str, place: str, now: datetime, *, lock: bool = False
) -> None:
    """Refuse an attempt after too many failures; an unknown place ("") has no limit.

    Parameters
    ----------
    lock : in a writing transaction: wait for attempts from this place that are not counted yet

    Raises
    ------
    Problem
        `too-many-tries`, with the seconds until the window ends.
    """
    limit = LIMITS[what]
    if place and is_spent(session, hub, what, place, now, lock=lock):
        ends = _window(limit, now) + timedelta(minutes=limit.minutes)
        raise Problem("too-many-tries", seconds=int((ends - now).total_seconds()) + 1)


def is_spent(
    session: Session, hub: AppContext, what: str, place: str, now: datetime, *, lock: bool = False
) -> bool:
    """Say whether a place has reached its limit in the present window; `lock` as for `refuse_if_spent`."""
    counter = counter_row(hub, what, place, now)
    query = select(RateLimit.count).where(
        RateLimit.district == counter["district"],
        RateLimit.what == what,
        RateLimit.source == counter["source"],
        RateLimit.window_at == counter["window_at"],
    )
    count = session.execute(query.with_for_update() if lock else query).scalar()
    return count is not None and count >= LIMITS[what].tries


def counter_row(hub: AppContext, what: str, place: str, now: datetime) -> dict[str, Any]:
    """Return the row that counts the first time in the present window."""
    return {
        "district": hub.district,
        "what": what,
        "source": hub.vault.digest(f"place/{what}", place),
        "window_at": _window(LIMITS[what], now),
        "count": 1,
    }


def note_failure(session: Session, hub: AppContext, what: str, place: str, now: datetime) -> None:
    """Count an attempt; the caller logs it and must commit."""
    if not place:
        return
    dialect = session.connection().dialect.name
    make = sqlite.insert if dialect == "sqlite" else postgresql.insert
    statement = make(table(RateLimit)).values(counter_row(hub, what, place, now))
    keys = [column.name for column in table(RateLimit).primary_key.columns]
    counted = {
        "count": table(RateLimit).c.count + 1
    }  # in one statement, so that concurrent workers count every attempt
    session.connection().execute(statement.on_conflict_do_update(index_elements=keys, set_=counted))


def note_refusal(hub: AppContext, what: str, place: str, now: datetime) -> None:
    """Count and log an attempt that failed by raising, whose transaction was rolled back."""
    with hub.database.transaction() as session:
        note_failure(session, hub, what, place, now)
        details = {"what": what}
        audit.append(
            session, hub.district, audit.OFFICE, "try.failed", actor="unknown", now=now, details=details
        )


def forgive(session: Session, hub: AppContext, what: str, place: str) -> None:
    """Reset the failures of a place."""
    digest = hub.vault.digest(f"place/{what}", place)
    session.execute(
        delete(table(RateLimit)).where(
            RateLimit.district == hub.district, RateLimit.what == what, RateLimit.source == digest
        )
    )


def forget_old(session: Session, hub: AppContext, now: datetime) -> int:
    """Delete the windows that have ended; return the number of counters deleted."""
    ended = [
        and_(RateLimit.what == what, RateLimit.window_at < now - timedelta(minutes=limit.minutes))
        for what, limit in LIMITS.items()
    ]
    deleted = session.execute(delete(table(RateLimit)).where(RateLimit.district == hub.district, or_(*ended)))
    return int(getattr(deleted, "rowcount", 0))


def _window(limit: Limit, now: datetime) -> datetime:
    """Return the start of the window that contains a moment: windows are consecutive and the same for every worker."""
    length = limit.minutes * 60
    return datetime.fromtimestamp(int(now.timestamp()) // length * length, UTC)
