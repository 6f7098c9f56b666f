"""What a tablet prefers of the pull, and when it should come again: the header `Prefer` (RFC 7240) of a sync, and
`Preference-Applied` and `Retry-After` of its answer.

Headers, because the bytes of a batch are signed, stored and sent again: docs/adr/0034. What is unknown or unreadable in
`Prefer` is ignored, as the RFC says.
"""

from collections.abc import Callable
from datetime import date
from typing import Final

from werkzeug.http import parse_dict_header

from schemas.strict import Day
from server.sync.pull import Wanted

PULL, PULL_BYTES, PULL_SINCE = "pull", "pull-bytes", "pull-since"
NAMES: Final = (PULL, PULL_BYTES, PULL_SINCE)
_MOST_DIGITS: Final = 9

BUSY_SECONDS: Final = 0.5
"""A tablet that waited longer than this for its turn is asked to come again later."""
PAUSE_FACTOR: Final = 60
"""The pause for each second that it waited: whoever waited a second comes again after about a minute."""
LONGEST_PAUSE: Final = 300
"""Seconds; a posyandu day lasts hours, so a tablet still comes several times."""


def wanted_of(header: str | None) -> Wanted:
    """Read `Prefer`.

    Parameters
    ----------
    header : such as `pull=none`, or `pull-bytes=65536, pull-since=2026-01-01`; None for everything
    """
    if not header:
        return Wanted()
    parts = parse_dict_header(header).items()
    told = {name.lower(): (value or "").partition(";")[0].strip() for name, value in parts}
    digits, day = told.get(PULL_BYTES, ""), told.get(PULL_SINCE)
    readable = digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS
    return Wanted(
        nothing=told.get(PULL, "").lower() == "none",
        max_bytes=int(digits) if readable and int(digits) else None,
        since=date.fromisoformat(day) if day and Day.accepts(day) else None,
    )


def applied(wanted: Wanted) -> str:
    """Return `Preference-Applied`: what was read, in the order of NAMES; "" for nothing."""
    told = {
        PULL: "none" if wanted.nothing else None,
        PULL_BYTES: wanted.max_bytes,
        PULL_SINCE: wanted.since,
    }
    return ", ".join(f"{name}={told[name]}" for name in NAMES if told[name] is not None)


def seconds_until_next(waited: float, chance: Callable[[float, float], float]) -> int | None:
    """Return in how many seconds a tablet should come again by itself; None while the server is not busy.

    The pause grows with the time that the batch waited for its turn, and half of it is random, so that tablets which came at
    the same moment do not come again at the same moment.

    Parameters
    ----------
    waited : seconds
    chance : gives a random number between two
    """
    if waited < BUSY_SECONDS:
        return None
    longest = min(waited * PAUSE_FACTOR, LONGEST_PAUSE)
    return max(1, round(chance(longest / 2, longest)))
