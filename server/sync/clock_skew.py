"""How a tablet's wrong clock may have moved the dates in its changes.

Clocks are never trusted for order. This module only works out what a wrong clock can have changed: a date of measurement or
birth that was taken from the tablet's calendar. Pure: times and numbers in, days out.

Rules kept here:
- The error of a clock is given only as far as it is certain. A batch may have waited for a connection, which looks as if the
  clock were slow; it cannot have waited since before the server's last answer to this tablet, whose token it brings.
- A date is doubted only if the change names the day that the tablet showed: another date was typed in, not taken from the
  clock.
- The doubt about a record depends on its set of changes, not on the order in which they came.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final

from schemas import read_moment
from sync_protocol import Change, Dot, RecordState, hub_actor

NEGLIGIBLE_MS: Final = 60_000
"""A slow connection alone causes differences up to this."""
WRONG_MS: Final = 600_000
"""From this difference on, a notice says that the tablet's clock is wrong."""
RECENT_BIRTH_DAYS: Final = 7
"""A newborn is registered within days, and the birth date is counted back on the tablet's calendar."""

Day = Callable[[datetime], date]


def offset_ms(sent_at: datetime, now: datetime, last_answer_at: datetime, clock: datetime | None) -> int:
    """Return the smallest error of a tablet's clock that explains what was seen.

    Parameters
    ----------
    sent_at : the tablet's clock when it made the batch
    now : the server's clock when the batch arrived
    last_answer_at : when the server answered this tablet last, or enrolled it: the batch was made after that
    clock : the tablet's clock when it sent the batch, if sent; then the result is exact

    Returns
    -------
    int : milliseconds; positive if the clock is ahead, negative if it is behind, 0 if it may be right
    """
    if clock is not None:
        return _ms(clock - now)
    at_least, at_most = _ms(sent_at - now), _ms(sent_at - min(last_answer_at, now))
    return at_least if at_least >= 0 else min(at_most, 0)


def _ms(length: timedelta) -> int:
    return round(length.total_seconds() * 1000)


def moved_days(change: Change, recorded_at: str, clock_offset_ms: int, day: Day) -> int:
    """Return how wrong the date is that a change takes from the tablet's calendar, because the clock was wrong.

    Parameters
    ----------
    recorded_at : the tablet's clock when the change was made (RFC 3339)
    clock_offset_ms : how far ahead it was
    day : returns the district's calendar day at a time

    Returns
    -------
    int : days to add to the date in the change to get the true one (negative if the clock was ahead); 0 if the date is not
        from the clock
    """
    if abs(clock_offset_ms) <= NEGLIGIBLE_MS:
        return 0
    at = read_moment(recorded_at)
    try:
        shown, true = day(at), day(at - timedelta(milliseconds=clock_offset_ms))
    except OverflowError:  # beyond the years that a date can have
        return 0
    return (true - shown).days if _from_clock(change, shown) else 0


def _from_clock(change: Change, shown: date) -> bool:
    """Say whether a change names the day that the tablet showed then, or a birth in the days before it."""
    if change.kind == "measurement":
        return change.key["measured_on"] == shown.isoformat()
    if change.kind != "child":
        return False  # the dates of other records do not affect an age
    born_on = change.registers.get("identity", {}).get("born_on")
    return born_on is not None and 0 <= (shown - date.fromisoformat(born_on)).days <= RECENT_BIRTH_DAYS


def doubt(state: RecordState, changes: Sequence[Change], days: Mapping[Dot, int]) -> int:
    """Return by how many days the date of a record may be wrong: the largest value of any of its changes.

    A birth date is doubted because of the changes that gave this date. There is no doubt once all live values were written
    by the hub, whose clock is the server's.

    Parameters
    ----------
    state : the fold of `changes`
    days : the result of `moved_days` by change; those of 0 may be absent

    Returns
    -------
    int : days to add to the date; 0 for no doubt
    """
    if not days:
        return 0
    of_child = state.kind == "child"
    names = ["identity"] if of_child else [n for n in state.registers if n not in ("note", "removed")]
    live = [sibling for name in names for sibling in state.registers.get(name, ())]
    office = hub_actor(state.record_id)
    if all(dot.actor == office for sibling in live for dot in sibling.dots):
        return 0
    dated = {change.dot for change in changes}
    if of_child:
        born = {sibling.value.get("born_on") for sibling in live}
        dated = {c.dot for c in changes if c.registers.get("identity", {}).get("born_on") in born}
    return max((days[dot] for dot in dated & days.keys()), key=lambda d: (abs(d), d), default=0)
