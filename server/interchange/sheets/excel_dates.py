"""What a spreadsheet shows as a date is a number of days since its day zero -> the moment, or time of day, that it means."""

from datetime import datetime, time, timedelta
from typing import Final

ZERO: Final = datetime(1899, 12, 30)  # noqa: DTZ001  # a sheet has no zone
"""Day zero of Excel's serial numbers; the 29 February 1900 that it believes in lies long before any child here."""
LAST: Final = 2_958_465
"""The serial number of 31 December 9999."""


def moment_of(serial: float, zero: datetime = ZERO) -> float | datetime | time:
    """Give what a serial number means: less than a day is a time of day, what no calendar has stays a number."""
    if not 0 <= serial <= LAST:
        return serial
    at = zero + timedelta(seconds=round(serial * 86_400))
    return at.time() if serial < 1 else at
