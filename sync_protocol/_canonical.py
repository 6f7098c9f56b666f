"""The canonical bytes of a message, for hashing and signing: JSON as RFC 8785 (JCS) prescribes it.

Keys sorted by UTF-16 code units, no white space, UTF-8, numbers as ECMAScript prints them, so that a browser's
`JSON.stringify` over keys in the order of its own `sort()` gives the same bytes. Our own messages hold whole numbers only;
fractions are written too, so that an invalid value from another client can still be hashed, signed, taken in order and
quarantined, instead of blocking that client's queue.
"""

import base64
import hashlib
import json
import math
import re
from typing import Any

import orjson

from sync_protocol._errors import RemoteProtocolError

MAX_SAFE_INTEGER = 2**53 - 1
"""Larger whole numbers are not exact in a browser."""

TAG_LENGTH = 16
"""Characters of a hash that a context or a published vector carries: 96 bits, enough to tell a restored or cloned
device's change from the one held; the ledger keeps the whole hash."""


def canonical(value: Any) -> bytes:
    """Return the canonical bytes of a JSON value.

    Parameters
    ----------
    value : dict with text keys, list, tuple, str, int, finite float, bool or None, nested some hundred levels at most

    Returns
    -------
    bytes, UTF-8; equal for equal JSON values, whatever the order of their keys

    Raises
    ------
    RemoteProtocolError
        `value-not-canonical` for NaN, infinities, lone surrogates, nesting that is too deep, or a type that JSON does not
        have (but a UUID is written as text, and an enum as its value).
    """
    try:
        written = orjson.dumps(value, None, _ORJSON_OPTIONS)
    except TypeError:
        # not plain: a named tuple, a lone surrogate, a set; the standard writer takes it or says why not
        return _standard(value)
    return _standard(value) if _is_suspect(value, written) and _needs_care(value) else written


def _is_suspect(value: Any, written: bytes) -> bool:
    """Say whether orjson may have written a value differently, without examining each value of nearly every message."""
    if not written.isascii() or type(value) in (int, float) or _UNSAFE_NUMBER.search(written):
        return True
    if b"null" not in written:
        return False
    shown = repr(value)  # orjson writes nan and inf as null, too
    return "nan" in shown or "inf" in shown


_ORJSON_OPTIONS = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
_UNSAFE_NUMBER = re.compile(rb"[:,\[]-?[0-9]+(?:[.eE]|(?<=[0-9]{16}))")
"""How a fraction or a number beyond MAX_SAFE_INTEGER looks in JSON text. A string may look like one, too."""


def _standard(value: Any) -> bytes:
    try:
        text = _slow(value) if _needs_care(value) else _ENCODER.encode(value)
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise RemoteProtocolError("value-not-canonical", str(error)) from error


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _needs_care(value: Any) -> bool:
    """Say whether orjson may write a value differently: numbers, keys that are not ASCII, keys that are not text."""
    kind = type(value)
    if kind is dict:
        if not all(map(_is_text, value)) or not "".join(value).isascii():
            return True
        value = value.values()
    elif kind is not list and kind is not tuple:
        return kind is float or (kind is int and not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER)
    return not _WRITTEN_ALIKE.issuperset(map(type, value)) and any(map(_needs_care, value))


_WRITTEN_ALIKE = frozenset((str, bool, type(None)))


def _is_text(key: Any) -> bool:
    return type(key) is str


def _utf16(key: Any) -> bytes:
    """Return the sort key of RFC 8785 section 3.2.3: by code units U+1F600 comes before U+FB33, by code points after."""
    if not isinstance(key, str):
        raise RemoteProtocolError("value-not-canonical", f"a key must be text, not {type(key).__name__}")
    return key.encode("utf-16-be", "surrogatepass")


def _slow(value: Any) -> str:
    if isinstance(value, dict):
        pairs = (f"{_text(key)}:{_slow(value[key])}" for key in sorted(value, key=_utf16))
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_slow, value)) + "]"
    if isinstance(value, float) or (type(value) is int and abs(value) > MAX_SAFE_INTEGER):
        return _number(value)
    return _text(value)


def _text(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
        text.encode()
    except (TypeError, ValueError) as error:
        raise RemoteProtocolError("value-not-canonical", str(error)) from error
    return text


def _number(value: float) -> str:
    """ECMAScript's Number::toString (ECMA-262, 6.1.6.1.20), which RFC 8785 section 3.2.2.3 prescribes."""
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise RemoteProtocolError("value-not-canonical", "a number must be finite")
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    mantissa, _, exponent = f"{abs(number)!r}e0".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent.partition("e")[0])
    point -= len(whole + fraction) - len(digits)  # leading zeros removed
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    tail = f".{digits[1:]}" if count > 1 else ""
    return f"{sign}{digits[0]}{tail}e{point - 1:+d}"


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical bytes: base64url without padding, 43 characters."""
    return base64.urlsafe_b64encode(hashlib.sha256(canonical(value)).digest())[:43].decode()
