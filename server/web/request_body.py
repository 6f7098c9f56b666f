"""A request's body -> JSON, within limits that hold before anything is parsed.

A body is refused by its declared length before it is read, by its real length while it is inflated, and by its nesting depth
before it is parsed.
"""

from typing import Any, Final

from flask import Request

from server.audit import cosigning
from server.config import Settings
from server.decompression import inflate, parse_json
from server.errors import Problem

MOST_BYTES: Final = 16 * 1024 * 1024
"""Of any body: a form with a file is the largest."""


def most_bytes(path: str, settings: Settings) -> int:
    """Return the limit of a body sent to a path, before gunzip."""
    if path == "/api/v1/carried":
        return settings.max_inflated_bytes  # ciphertext does not shrink
    if path.startswith(("/api/v1/sync", "/api/v1/enrol")):
        return settings.max_body_bytes
    if path.startswith("/api/v1/witness/"):
        return cosigning.MOST_BYTES
    return MOST_BYTES


def read_json(request: Request, settings: Settings) -> tuple[Any, int]:
    """Read a JSON body, gzip or plain.

    Returns
    -------
    (decoded JSON, size in bytes as it came)

    Raises
    ------
    Problem
        `media-type-unknown`, `batch-too-large`, `body-not-gzip`, `body-too-deep`, `body-not-json`.
    """
    if request.mimetype != "application/json":
        raise Problem("media-type-unknown")
    limit = settings.max_body_bytes
    if (request.content_length or 0) > limit:
        raise Problem("batch-too-large", limit=f"{limit} bytes")
    raw = request.stream.read(limit + 1)
    if len(raw) > limit:
        raise Problem("batch-too-large", limit=f"{limit} bytes")
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("gzip", "identity", ""):
        raise Problem("media-type-unknown")
    plain = inflate(raw, settings.max_inflated_bytes) if encoding == "gzip" else raw
    return parse_json(plain, settings.max_depth), len(raw)
