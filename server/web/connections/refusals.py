"""What is answered to a request that does not reach the application: problem+json (RFC 9457), never HTML, never 500."""

from collections.abc import Mapping
from http import HTTPStatus
from secrets import SystemRandom
from typing import Final

import orjson
from gunicorn.http.errors import (  # type: ignore[import-untyped]  # the library has no types
    ExpectationFailed,
    LimitRequestHeaders,
    LimitRequestLine,
    UnsupportedTransferCoding,
)

from server.errors import Problem

RETRY_SECONDS: Final = (5, 15)
"""A client that was refused because the server is full is told to wait between these: not all the same, so that they do not
come back together."""
_RANDOM: Final = SystemRandom()


def retry_seconds() -> int:
    """Return after how long a client may come back."""
    return _RANDOM.randint(*RETRY_SECONDS)


def busy() -> Problem:
    """Return the problem of a server that has no room for a request now."""
    return Problem("server-busy", seconds=retry_seconds())


def problem_of(error: Exception) -> Problem:
    """Translate what gunicorn's parser found wrong with a head."""
    text = str(error)[:200]
    match error:
        case LimitRequestLine():
            return Problem("request-line-too-long", limit=f"{error.max_size} bytes")
        case LimitRequestHeaders():
            return Problem("headers-too-large", limit="100 fields of 8190 bytes")
        case UnsupportedTransferCoding():
            return Problem("transfer-coding-unknown", reason=text)
        case ExpectationFailed():
            return Problem("expectation-unknown", reason=text)
    return Problem("request-malformed", reason=text)


def answer_to(problem: Problem, headers: Mapping[str, str]) -> bytes:
    """Write a whole answer, after which the connection is closed: where the next request begins is not known.

    Parameters
    ----------
    headers : further ones
    """
    body = orjson.dumps(problem.body())
    status = problem.kind.status
    head = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    if problem.retry_after is not None:
        head.append(f"Retry-After: {problem.retry_after}")
    return "\r\n".join([*head, "", ""]).encode() + body
