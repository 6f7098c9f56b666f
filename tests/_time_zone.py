"""The district's time zone in tests that go by the real clock: one where midnight is hours away.

A test that starts on one day and ends on the next finds a draft of yesterday, and a measurement of a day that has not come.
"""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

__all__ = ["QUIET_ZONE", "quiet_zone"]

ZONES: Final = ("Asia/Makassar", "America/Puerto_Rico")
"""Twelve hours apart, and without summer time."""
BEFORE, AFTER = timedelta(hours=2), timedelta(minutes=10)
"""So long before midnight all tests are over; so long after it nothing reaches back to yesterday."""


def quiet_zone(now: datetime) -> str:
    """Give the first zone in which the day began AFTER ago or earlier, and ends BEFORE from now or later."""
    days = {
        zone: {(now + near).astimezone(ZoneInfo(zone)).date() for near in (-AFTER, BEFORE)} for zone in ZONES
    }
    return next(zone for zone, met in days.items() if len(met) == 1)


QUIET_ZONE: Final = quiet_zone(datetime.now(UTC))
