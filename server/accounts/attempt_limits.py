"""Rate limits of failed attempts, counted for all workers in one table.

Rules kept here:
- A failed attempt is counted within a time window, in the transaction that logs the failure. Successful ones do not count:
  thirty people of one office, behind one address, may sign in at eight o'clock. (Of "renewal" the successful ones count.)
- What is limited (an address, an account, a session) is stored only as a keyed digest, and deleted after its window.
- When the limit is reached, every attempt is refused before anything is checked, with the time left.
- Nothing is limited by account alone: whoever knows a user name could keep its owner out. Guesses at a name are limited by
  the address, or the browser, that they come from; a name that is not here has the same limits.
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

MAX_DELAY: Final = timedelta(minutes=15)
"""The longest wait after one failure."""
Place = tuple[str, str]
"""A limit by its name, and what it is counted for: an address, an account, a session; "" has no limit."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The number of failures allowed in a number of minutes.

    Parameters
    ----------
    free : after so many failures each further one costs a wait, which doubles: 2, 4, 8, … seconds; None: no waits
    """

    tries: int
    minutes: int
    free: int | None = None

    def delay(self, failures: int) -> timedelta:
        """Return the wait after so many failures."""
        if self.free is None or failures <= self.free:
            return timedelta(0)
        return min(timedelta(seconds=2 ** min(failures - self.free, 16)), MAX_DELAY)


LIMITS: Final[Mapping[str, Limit]] = {
    "sign-in": Limit(30, 10),
    "sign-in-as": Limit(200, 1440, free=4),  # as one person, from one address or one browser that they know
    "password-again": Limit(10, 15),  # of one open session
    "passkey-answer": Limit(1, 10),  # by one challenge: whoever sends it again is refused
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
    lock : in a writing transaction: attempts from this place at the same time wait for this one

    Raises
    ------
    Problem
        `too-many-tries`, with the seconds to wait.
    """
    seconds = seconds_to_wait(session, hub, what, place, now, lock=lock) if place else 0
    if seconds:
        raise Problem("too-many-tries", seconds=seconds)


def seconds_to_wait(
    session: Session, hub: AppContext, what: str, place: str, now: datetime, *, lock: bool = False
) -> int:
    """Return how long a place must wait for its next attempt; `lock` as for `refuse_if_spent`."""
    limit, row = LIMITS[what], counter_row(hub, what, place, now, count=0)
    counter = _locked(session, row) if lock else _counter(session, row)
    if counter is None:
        return 0
    count, last_at = counter
    ends = (last_at or now) + limit.delay(count)
    if count >= limit.tries:
        ends = _window(limit, now) + timedelta(minutes=limit.minutes)
    return int((ends - now).total_seconds()) + 1 if ends > now else 0


def _counter(session: Session, row: Mapping[str, Any]) -> tuple[int, datetime | None] | None:
    keys = table(RateLimit).primary_key.columns
    query = select(RateLimit.count, RateLimit.last_at).where(*(key == row[key.name] for key in keys))
    found = session.execute(query).one_or_none()
    return None if found is None else (found[0], found[1])


def _locked(session: Session, row: Mapping[str, Any]) -> tuple[int, datetime | None]:
    """Load a counter and lock it; one that is not there is added, as only a row can be locked."""
    count, last_at = table(RateLimit).c.count, table(RateLimit).c.last_at
    kept = _upsert(session, row, {"count": count}).returning(count, last_at)
    found = session.connection().execute(kept).one()
    return found[0], found[1]


def _upsert(session: Session, row: Mapping[str, Any], otherwise: Mapping[str, Any]) -> Any:
    """Return the statement that adds a counter, or changes the one that is there."""
    dialect = session.connection().dialect.name
    make = sqlite.insert if dialect == "sqlite" else postgresql.insert
    keys = [column.name for column in table(RateLimit).primary_key.columns]
    return make(table(RateLimit)).values(row).on_conflict_do_update(index_elements=keys, set_=otherwise)


def is_spent(session: Session, hub: AppContext, what: str, place: str, now: datetime) -> bool:
    """Say whether a place must wait."""
    return seconds_to_wait(session, hub, what, place, now) > 0


def counter_row(hub: AppContext, what: str, place: str, now: datetime, *, count: int = 1) -> dict[str, Any]:
    """Return the row that counts the first time in the present window."""
    return {
        "district": hub.district,
        "what": what,
        "source": hub.vault.digest(f"place/{what}", place),
        "window_at": _window(LIMITS[what], now),
        "count": count,
        "last_at": now if count else None,
    }


def note_failure(session: Session, hub: AppContext, what: str, place: str, now: datetime) -> None:
    """Count an attempt; the caller logs it and must commit."""
    if not place:
        return
    # in one statement, so that concurrent workers count every attempt
    counted = {"count": table(RateLimit).c.count + 1, "last_at": now}
    session.connection().execute(_upsert(session, counter_row(hub, what, place, now), counted))


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
    """Delete the windows that ended long enough ago for nothing to refer to them; return the number of counters deleted."""
    ended = [
        and_(RateLimit.what == what, RateLimit.window_at < now - 2 * timedelta(minutes=limit.minutes))
        for what, limit in LIMITS.items()
    ]
    deleted = session.execute(delete(table(RateLimit)).where(RateLimit.district == hub.district, or_(*ended)))
    return int(getattr(deleted, "rowcount", 0))


def _window(limit: Limit, now: datetime) -> datetime:
    """Return the start of the window that contains a moment: windows are consecutive and the same for every worker."""
    length = limit.minutes * 60
    return datetime.fromtimestamp(int(now.timestamp()) // length * length, UTC)
