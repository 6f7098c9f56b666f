"""A request's body -> JSON, within limits that hold before anything is parsed.

A body is refused by its declared length before it is read, by its real length while it is inflated (a bomb never
unfolds), and by its depth before the parser sees it.
"""

import re
import zlib
from typing import Any, Final

import orjson
from flask import Request

from server.config import Settings
from server.errors import Problem

_STRINGS: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
"""A string, or what begins as one and never ends: were that no match, each of its quotation marks would be tried in turn,
and a megabyte of them would take hours."""
_INNERMOST: Final = re.compile(rb"\[\]|\{\}")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


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
    plain = _inflate(raw, settings.max_inflated_bytes) if encoding == "gzip" else raw
    _check_depth(plain, settings.max_depth)
    try:
        return orjson.loads(plain), len(raw)
    except orjson.JSONDecodeError as error:
        raise Problem(
            "body-not-json", reason=f"{error.msg} (line {error.lineno}, column {error.colno})"
        ) from error


def _inflate(raw: bytes, limit: int) -> bytes:
    inflator = zlib.decompressobj(wbits=31)
    try:
        plain = inflator.decompress(raw, limit + 1)
    except zlib.error as error:
        raise Problem("body-not-gzip", reason=str(error)) from error
    if len(plain) > limit:
        raise Problem("batch-too-large", limit=f"{limit} bytes unpacked")
    if not inflator.eof:
        raise Problem("body-not-gzip", reason="it ends too early")
    if inflator.unused_data:
        raise Problem("body-not-gzip", reason="something follows its end")
    return plain


def _check_depth(plain: bytes, limit: int) -> None:
    """Peel the innermost brackets, level by level; brackets that do not pair are left to the parser."""
    brackets, peeled = _STRINGS.sub(b"", plain).translate(None, _NO_BRACKETS), 1
    for _ in range(limit):
        brackets, peeled = _INNERMOST.subn(b"", brackets)
    if brackets and peeled:
        raise Problem("body-too-deep", limit=limit)
