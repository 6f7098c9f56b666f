"""Moments as they are written in messages: RFC 3339 in UTC. Which are taken, and how a stored one is read.

A device's clock may show anything, and rows were stored before there were bounds. So a moment is never read with
`datetime.fromisoformat` alone: beyond the bounds, a time zone would move it out of the years that a `datetime` can have.
"""

import re
from datetime import UTC, datetime
from typing import Final

FIRST_MOMENT: Final = "1970-01-01T00:00:00Z"
"""The earliest moment: a device shows it when its battery was empty."""
LAST_MOMENT: Final = "2099-12-31T23:59:59Z"
"""The latest second (moments in this form sort as text, fractions of a second included)."""

_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2099, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
_LEAP_SECOND: Final = "23:59:60"
_FORM: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z\Z").match


def is_moment(text: str) -> bool:
    """Say whether a text is an existing moment in the protocol's form, within the bounds or not."""
    if not _FORM(text):
        return False
    try:
        _parsed(text)
    except ValueError:
        return False
    return True


def read_moment(text: str) -> datetime:
    """Read a moment that `is_moment` accepts.

    Returns
    -------
    datetime : aware, UTC; beyond the bounds the nearest moment within them, so that it has a day in every time zone; of a
        leap second the second before it, since `datetime` has none
    """
    return min(max(_parsed(text), _FIRST), _LAST)


def _parsed(text: str) -> datetime:
    """Parse a text in the form of _FORM."""
    if text[11:19] == _LEAP_SECOND:
        text = f"{text[:17]}59{text[19:]}"
    return datetime.fromisoformat(text)
