"""Convert Excel's serial numbers (days since its day zero) to dates and times."""

from datetime import datetime, time, timedelta
from typing import Final

ZERO: Final = datetime(1899, 12, 30)  # noqa: DTZ001  # a sheet has no time zone
"""Day zero of Excel's serial numbers; it wrongly has a 29 February 1900, which is earlier than any date here."""
LAST: Final = 2_958_465
"""The serial number of 31 December 9999."""


def moment_of(serial: float, zero: datetime = ZERO) -> float | datetime | time:
    """Convert a serial number: below 1 it is a time of day; a number outside the calendar stays a number."""
    if not 0 <= serial <= LAST:
        return serial
    at = zero + timedelta(seconds=round(serial * 86_400))
    return at.time() if serial < 1 else at
