"""Bytes from anyone -> JSON, within limits that are checked before parsing: a gzip bomb is never unpacked, and input that is
nested too deeply never reaches the parser. An object that has a member twice is refused, because parsers differ in which of
the two they take (RFC 8259, section 4; RFC 8785 forbids it).
"""

import json
import re
import zlib
from collections import Counter
from typing import Any, Final

import orjson

from server.errors import Problem

_STRINGS: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
"""A string, also an unterminated one: if that were no match, each of its quotation marks would be tried in turn, and a
megabyte of them would take hours.
"""
MOST_SHOWN: Final = 64
"""Characters of a repeated member's name that are shown."""
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
        `body-too-deep`, `body-not-json`, `body-repeats-member`
    """
    signs = _STRINGS.sub(b"", plain)
    _check_depth(signs, max_depth)
    try:
        parsed = orjson.loads(plain)
    except orjson.JSONDecodeError as error:
        where = f"{error.msg} (line {error.lineno}, column {error.colno})"
        raise Problem("body-not-json", reason=where) from error
    if signs.count(b":") != _members(parsed):  # outside strings, each colon stands between a name and a value
        raise Problem("body-repeats-member", member=_repeated(plain))
    return parsed


def _members(parsed: Any) -> int:
    """Count the members of all objects. The parser has kept one of several with the same name."""
    count, waiting = 0, [parsed]
    for value in waiting:  # grows meanwhile
        if type(value) is dict:
            count += len(value)
            value = value.values()
        elif type(value) is not list:
            continue
        waiting += [inside for inside in value if type(inside) in _CONTAINERS]
    return count


_CONTAINERS: Final = frozenset((dict, list))


def _repeated(plain: bytes) -> str:
    """Name a member that an object has twice, with the standard parser, which shows each; cut, it may be anything."""
    found: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        names = Counter(name for name, _ in pairs)
        found.extend(name for name, times in names.items() if times > 1)

    json.loads(plain, object_pairs_hook=look, parse_int=str, parse_float=str)
    return found[0][:MOST_SHOWN].encode("utf-8", "replace").decode()


def _check_depth(signs: bytes, limit: int) -> None:
    """Remove the innermost brackets, level by level; unpaired brackets are left to the parser.

    Parameters
    ----------
    signs : the JSON without its strings
    """
    brackets, peeled = signs.translate(None, _NO_BRACKETS), 1
    for _ in range(limit):
        brackets, peeled = _INNERMOST.subn(b"", brackets)
    if brackets and peeled:
        raise Problem("body-too-deep", limit=limit)
