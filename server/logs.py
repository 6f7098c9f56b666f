"""Structured logs: JSON lines on standard error. Nobody logs a name, a NIK, a phone number, an address or a body.

What an exception *says* may quote any of these (a value that could not be read, the parameters of a statement), so a logged
exception is its types, the codes that databases and systems give, and where in the code it was: never its words.
"""

import sys
import traceback
from collections.abc import Iterator
from typing import Any

import structlog
from structlog.typing import EventDict


def start_logging(level: str) -> None:
    """Write log lines as JSON to standard error, each with its end in one piece, whatever other threads write; times UTC."""
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
    """Write the exception at hand without anything that it quotes."""
    if event.pop("exc_info", None):
        event["exception"] = [_without_words(error) for error in _chain(sys.exception())]
    return event


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception, then what it came from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _without_words(error: BaseException) -> dict[str, Any]:
    """Give the type, the code (SQLSTATE, SQLite's name, errno) and the frames of one exception."""
    codes = (getattr(error, name, None) for name in ("sqlstate", "sqlite_errorname", "errno"))
    frames = traceback.extract_tb(error.__traceback__)
    return {
        "type": f"{type(error).__module__}.{type(error).__qualname__}",
        "code": next((code for code in codes if code is not None), None),
        "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }
