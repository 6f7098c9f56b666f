"""Work on several posts or children together; where that fails, in halves, until what fails is alone."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog
from sqlalchemy.exc import InterfaceError, OperationalError

from server.errors import Problem

Result = TypeVar("Result")


def attempt(
    work: Callable[[], Result], what: str, *, passing: tuple[type[Exception], ...] = ()
) -> tuple[Result | None, str]:
    """Do some work.

    Parameters
    ----------
    what : for the server's own log
    passing : further errors that are raised

    Returns
    -------
    (the result, "") or (None, the class of the error). A Problem is an answer to whoever asked, and is raised
    """
    raised: tuple[type[Exception], ...] = (Problem, OperationalError, InterfaceError, *passing)
    try:
        return work(), ""
    except raised:
        raise
    except Exception as error:
        log = structlog.get_logger("posyandu.isolation")
        log.exception("set aside", what=what, error=type(error).__name__)
        return None, type(error).__name__


def halved(
    work: Callable[[list[str]], Result],
    items: Sequence[str],
    what: str,
    *,
    passing: tuple[type[Exception], ...] = (),
) -> tuple[list[Result], dict[str, str]]:
    """Do some work on items together; where that fails, on each half, until what fails is alone.

    Parameters
    ----------
    work : does all or nothing for the items that it is given
    what : for the server's own log
    passing : further errors that are raised

    Returns
    -------
    (the results, the class of the error by item that failed)
    """
    if not items:
        return [], {}
    result, error = attempt(lambda: work(list(items)), what, passing=passing)
    if not error:
        return [result], {}  # type: ignore[list-item]  # None only where the work gives None
    if len(items) == 1:
        return [], {items[0]: error}
    results: list[Result] = []
    failed: dict[str, str] = {}
    for part in (items[: len(items) // 2], items[len(items) // 2 :]):
        done, wrong = halved(work, part, what, passing=passing)
        results += done
        failed |= wrong
    return results, failed
