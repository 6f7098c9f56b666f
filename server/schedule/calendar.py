"""The calendar of one child on one day. The same rules as `tablet/growth/schedule.js`.

Rules kept here:

- A dose is due from its age, and from the interval after the last earlier dose of its series, whichever is later: it is
  never offered too early. Only the next dose of a series is offered; those after it come later.
- A dose whose number is below one that was given, and that nobody recorded, is `unrecorded`: it is not offered again.
- A round is a month of the year; what it gives is due in that month, and overdue in the months of sweeping after it.
- A KPSP counts for the youngest of its ages that the child has reached; a doubtful result is repeated.
- Without a birth date there is no calendar.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from server.schedule.data import KPSP, Age, Dose, ForAge, Kpsp, Round, Schedule, days_in

GIVEN: Final = "given"
DUE: Final = "due"
OVERDUE: Final = "overdue"
LATER: Final = "later"
MISSED: Final = "missed"
"""No longer given at this age."""
UNRECORDED: Final = "unrecorded"
"""A later dose of the series was given, this one was not recorded."""
DOUBTFUL: Final = "M"
_AHEAD: Final = 24
"""Months to look ahead for the next round: a child is a year too young at most, and there may be one round a year."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a child was given.

    Parameters
    ----------
    doses : by code, the first day on which it was given
    rounds : by service, the days on which it was given, in any order
    kpsp : day and result (S, M, P) of each KPSP, in any order
    """

    doses: Mapping[str, date] = field(default_factory=dict)
    rounds: Mapping[str, Sequence[date]] = field(default_factory=dict)
    kpsp: Sequence[tuple[date, str]] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a calendar.

    Parameters
    ----------
    code : of a dose, a service of the rounds, or KPSP
    given_on : when it was given last
    from_on : from when it may be given: of what is due, overdue or later
    value : what the register `services` holds for it: blue, red, true; of a KPSP its age in months
    """

    code: str
    state: str
    given_on: date | None = None
    from_on: date | None = None
    value: str | bool | int | None = None


def calendar(plan: Schedule, born_on: date | None, given: Given, on: date) -> tuple[Item, ...]:
    """Return a child's calendar on a day: doses in the order of the schedule, then rounds, then the KPSP."""
    if born_on is None or on < born_on:
        return ()
    lines: list[Item | None] = [*_doses(plan.doses, born_on, given.doses, on)]
    lines += [_round(one, born_on, given.rounds.get(one.service, ()), on) for one in plan.rounds]
    lines.append(_kpsp(plan.kpsp, born_on, given.kpsp, on))
    return tuple(line for line in lines if line)


# -- doses -----------------------------------------------------------------------------------------


def _doses(doses: Sequence[Dose], born_on: date, given: Mapping[str, date], on: date) -> list[Item]:
    known = {code: day for code, day in given.items() if day <= on}
    series: dict[str, list[Dose]] = {}
    for dose in doses:
        series.setdefault(dose.series, []).append(dose)
    lines = []
    for dose in doses:
        if dose.code in known:
            lines.append(Item(dose.code, GIVEN, known[dose.code]))
        elif dose.offered:
            lines.append(_open_dose(dose, series[dose.series], born_on, known, on))
    return lines


def _open_dose(
    dose: Dose, series: Sequence[Dose], born_on: date, known: Mapping[str, date], on: date
) -> Item:
    at = series.index(dose)
    if any(later.code in known for later in series[at + 1 :]):
        return Item(dose.code, UNRECORDED)
    if on >= dose.until.after(born_on):
        return Item(dose.code, MISSED)
    from_on = _opens(dose, series[:at], born_on, known)
    before = series[at - 1] if at and series[at - 1].code not in known else None
    missed = before is not None and _open_dose(before, series, born_on, known, on).state == MISSED
    if missed or from_on >= dose.until.after(born_on):
        return Item(dose.code, MISSED)  # also of a series that can no longer be begun
    if before is not None or on < from_on:
        return Item(dose.code, LATER, from_on=from_on if on < from_on else None)
    return Item(dose.code, OVERDUE if on >= dose.late.after(born_on) else DUE, from_on=from_on)


def _opens(dose: Dose, earlier: Sequence[Dose], born_on: date, known: Mapping[str, date]) -> date:
    days = [dose.begins.after(born_on)]
    before = [known[one.code] for one in earlier if one.code in known]
    if before and dose.after:
        days.append(dose.after.after(max(before)))
    return max(days)


# -- rounds ----------------------------------------------------------------------------------------


def _round(one: Round, born_on: date, days: Sequence[date], on: date) -> Item | None:
    past = sorted(day for day in days if day <= on)
    last = past[-1] if past else None
    if not one.months:
        return Item(one.service, GIVEN, last) if last else None
    opened = _opened(one, on)
    if opened is not None:
        of = _for_age(one.ages, born_on, on)
        if last is not None and last >= opened:
            return Item(one.service, GIVEN, last, value=of.value if of else None)
        end = date(opened.year, opened.month, days_in(opened.year, opened.month))
        in_time = one.ages[0].begins.after(born_on) <= end  # a child who was too young then is not late now
        if of and in_time and (last is None or one.after.after(last) <= on):
            return Item(one.service, DUE if on <= end else OVERDUE, last, opened, of.value)
    return _next_round(one, born_on, last, on)


def _opened(one: Round, on: date) -> date | None:
    """Return the first day of the round that is open on a day, sweeping included."""
    for back in range(one.sweep_months + 1):
        first = _month(on, -back)
        if first.month in one.months:
            return first
    return None


def _next_round(one: Round, born_on: date, last: date | None, on: date) -> Item | None:
    for ahead in range(_AHEAD + 1):
        first = _month(on, ahead)
        end = date(first.year, first.month, days_in(first.year, first.month))
        if first.month not in one.months:
            continue
        from_on = max(first, one.ages[0].begins.after(born_on), one.after.after(last) if last else first)
        of = _for_age(one.ages, born_on, from_on)
        if on < from_on <= end and of:
            return Item(one.service, LATER, last, from_on, of.value)
    return Item(one.service, GIVEN, last) if last else None


def _for_age(ages: Sequence[ForAge], born_on: date, on: date) -> ForAge | None:
    return next((of for of in ages if of.begins.after(born_on) <= on < of.until.after(born_on)), None)


def _month(on: date, ahead: int) -> date:
    return Age(ahead, 0).after(on.replace(day=1)) if ahead >= 0 else _back(on, -ahead)


def _back(on: date, months: int) -> date:
    number = on.year * 12 + on.month - 1 - months
    return date(number // 12, number % 12 + 1, 1)


# -- development -----------------------------------------------------------------------------------


def _kpsp(plan: Kpsp, born_on: date, results: Sequence[tuple[date, str]], on: date) -> Item | None:
    if on >= plan.until.after(born_on):
        return None
    reached = [age for age in plan.ages if Age(age, 0).after(born_on) <= on]
    last = max((found for found in results if found[0] <= on), default=None)
    if not reached:
        first = plan.ages[0]
        return Item(KPSP, LATER, last[0] if last else None, Age(first, 0).after(born_on), first)
    opened, age = Age(reached[-1], 0).after(born_on), reached[-1]
    if last is None or last[0] < opened:
        state = OVERDUE if on >= plan.late.after(opened) else DUE
        return Item(KPSP, state, last[0] if last else None, opened, age)
    again = plan.again.after(last[0])
    if last[1] == DOUBTFUL:
        state = LATER if on < again else OVERDUE if on >= plan.late.after(again) else DUE
        return Item(KPSP, state, last[0], again, age)
    return Item(KPSP, GIVEN, last[0], value=age)
