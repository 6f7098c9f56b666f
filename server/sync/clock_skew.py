"""What a tablet's clock, wrong when it uploaded, may have done to the days that its changes name.

Clocks are never trusted for order; here it is only worked out what a wrong one could have changed: a day of measuring or of
birth that was taken from the tablet's own calendar. Pure: moments and numbers in, days out.

Rules kept here:
- How wrong a clock is, is claimed only as far as it is sure. A batch may have waited for a line, and looks by that as if the
  clock were behind; it cannot have waited since before the server's last answer to this tablet, whose token it brings.
- A day is doubted only where the change names the tablet's own day: one that was typed in, for another day, was not read
  off a clock.
- What is said of a record depends on its changes, not on the order in which they came.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final

from sync_protocol import Change, Dot, RecordState, hub_actor

NEGLIGIBLE_MS: Final = 60_000
"""A slow line alone makes so much."""
WRONG_MS: Final = 600_000
"""From here on a person is told that the tablet's clock is wrong."""
RECENT_BIRTH_DAYS: Final = 7
"""A newborn is registered within days, and "three days ago" is counted back on the tablet's calendar."""

Day = Callable[[datetime], date]


def offset_ms(sent_at: datetime, now: datetime, last_answer_at: datetime, told_at: datetime | None) -> int:
    """Say by how much a tablet's clock is ahead (behind, if negative) at least.

    Parameters
    ----------
    sent_at : the tablet's clock when it made the batch
    now : the server's, when it came
    last_answer_at : when the server answered this tablet last, or enrolled it: the batch was made after that
    told_at : the tablet's clock when it sent the batch, if it told; then nothing is left open

    Returns
    -------
    int : milliseconds; of all that is possible what is nearest to 0
    """
    if told_at is not None:
        return _ms(told_at - now)
    at_least, at_most = _ms(sent_at - now), _ms(sent_at - min(last_answer_at, now))
    return at_least if at_least >= 0 else min(at_most, 0)


def _ms(length: timedelta) -> int:
    return round(length.total_seconds() * 1000)


def moved_days(change: Change, recorded_at: str, clock_offset_ms: int, day: Day) -> int:
    """Say by how many days a wrong clock moved the day that a change takes from the tablet's calendar.

    Parameters
    ----------
    recorded_at : the tablet's clock when the change was made (RFC 3339)
    clock_offset_ms : how far ahead it was
    day : gives the district's calendar day at a moment

    Returns
    -------
    int : what must be added to the day named to have the true one; 0 where the clock has no part in it
    """
    if abs(clock_offset_ms) <= NEGLIGIBLE_MS:
        return 0
    at = datetime.fromisoformat(recorded_at)
    try:
        shown, true = day(at), day(at - timedelta(milliseconds=clock_offset_ms))
    except OverflowError:  # a clock at the end of the calendar
        return 0
    return (true - shown).days if _read_off(change, shown) else 0


def _read_off(change: Change, shown: date) -> bool:
    """Say whether a change names the day that the tablet showed when it was made, or a birth within the days before it."""
    if change.kind == "measurement":
        return change.key["measured_on"] == shown.isoformat()
    if change.kind != "child":
        return False  # what came of a follow-up decides no age
    born_on = change.registers.get("identity", {}).get("born_on")
    return born_on is not None and 0 <= (shown - date.fromisoformat(born_on)).days <= RECENT_BIRTH_DAYS


def doubt(state: RecordState, changes: Sequence[Change], days: Mapping[Dot, int]) -> int:
    """Give by how many days the date of a record may be wrong: the most that any of its changes says.

    A birth date is doubted by the changes that gave that very date. Nothing is doubted any more once all that is live was
    written by the office, whose own clock is the server's.

    Parameters
    ----------
    state : the fold of `changes`
    days : by change, what `moved_days` gave; those of 0 may be left out

    Returns
    -------
    int : days to be added to the date; 0 for no doubt
    """
    if not days:
        return 0
    of_child = state.kind == "child"
    names = ["identity"] if of_child else [n for n in state.registers if n not in ("note", "removed")]
    live = [sibling for name in names for sibling in state.registers.get(name, ())]
    office = hub_actor(state.record_id)
    if all(dot.actor == office for sibling in live for dot in sibling.dots):
        return 0
    told = {change.dot for change in changes}
    if of_child:
        born = {sibling.value.get("born_on") for sibling in live}
        told = {c.dot for c in changes if c.registers.get("identity", {}).get("born_on") in born}
    return max((days[dot] for dot in told & days.keys()), key=lambda d: (abs(d), d), default=0)
