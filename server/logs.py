"""Structured logs: JSON lines on standard error. Never a name, a NIK, a phone number, an address or a request's body.

The text of an exception may quote any of these (a value that could not be parsed, the parameters of a statement). So of an
exception only the types, the codes of databases and systems, and the place in the code are logged, never the text.
"""

import sys
import traceback
from collections.abc import Iterator
from typing import Any

import structlog
from structlog.typing import EventDict


def start_logging(level: str) -> None:
    """Log to standard error as JSON, times in UTC; each line is written at once, so that lines of threads do not mix."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _wordless_exception,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level.lower()),
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _wordless_exception(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Log the current exception without its text."""
    if event.pop("exc_info", None):
        event["exception"] = [_without_words(error) for error in _chain(sys.exception())]
    return event


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception, then its causes."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _without_words(error: BaseException) -> dict[str, Any]:
    """Return the type, the code (SQLSTATE, SQLite's name, errno) and the frames of one exception."""
    codes = (getattr(error, name, None) for name in ("sqlstate", "sqlite_errorname", "errno"))
    frames = traceback.extract_tb(error.__traceback__)
    return {
        "type": f"{type(error).__module__}.{type(error).__qualname__}",
        "code": next((code for code in codes if code is not None), None),
        "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }
