"""What is tried again because another writer was faster, and how often."""

from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy.exc import IntegrityError, OperationalError

from server.sync.loading import PlanStale

Result = TypeVar("Result")

ATTEMPTS: Final = 4
OVERTAKEN: Final = (IntegrityError, OperationalError, PlanStale)
"""Two writers made one record at once; the database was busy or found a deadlock; a child moved while it was read."""


def retrying(work: Callable[[], Result], again: Callable[[], Result] | None = None) -> Result:
    """Do something in transactions of its own, again if another writer was faster; the last failure is raised.

    Parameters
    ----------
    work : must leave nothing behind when it fails
    again : done instead of `work` after the first attempt
    """
    for attempt in range(ATTEMPTS):
        try:
            return (again or work)() if attempt else work()
        except OVERTAKEN:
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")
