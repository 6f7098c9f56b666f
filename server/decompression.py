"""Bytes from anyone -> JSON, within limits that are checked before parsing: a gzip bomb is never unpacked, and input that is
nested too deeply never reaches the parser.
"""

import re
import zlib
from typing import Any, Final

import orjson

from server.errors import Problem

_STRINGS: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
"""A string, also an unterminated one: if that were no match, each of its quotation marks would be tried in turn, and a
megabyte of them would take hours.
"""
_INNERMOST: Final = re.compile(rb"\[\]|\{\}")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


def inflate(raw: bytes, limit: int) -> bytes:
    """Unpack gzip of one member.

    Raises
    ------
    Problem
        `body-not-gzip`, `batch-too-large` (more than `limit` bytes unpacked)
    """
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


def parse_json(plain: bytes, max_depth: int) -> Any:
    """Parse JSON that is nested at most `max_depth` levels.

    Raises
    ------
    Problem
        `body-too-deep`, `body-not-json`
    """
    _check_depth(plain, max_depth)
    try:
        return orjson.loads(plain)
    except orjson.JSONDecodeError as error:
        where = f"{error.msg} (line {error.lineno}, column {error.colno})"
        raise Problem("body-not-json", reason=where) from error


def _check_depth(plain: bytes, limit: int) -> None:
    """Remove the innermost brackets, level by level; unpaired brackets are left to the parser."""
    brackets, peeled = _STRINGS.sub(b"", plain).translate(None, _NO_BRACKETS), 1
    for _ in range(limit):
        brackets, peeled = _INNERMOST.subn(b"", brackets)
    if brackets and peeled:
        raise Problem("body-too-deep", limit=limit)
