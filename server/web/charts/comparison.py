"""Growth charts for deciding: the values of one conflict with their letters, and two children on one chart. Pure.

Points and curves come from `charts.growth`: a letter stands where that value's own chart has its point.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase
from typing import Final

from server.review import Visit
from server.review.value_preview import Meanings
from server.web.charts.growth import Chart, Mark, growth_charts

LETTERS: Final = ascii_uppercase
INDICES: Final[Mapping[str, tuple[str, ...]]] = {"weight": ("waz", "whz"), "length": ("haz", "whz")}
"""The charts that show a register's values."""
TOGETHER: Final = ("haz", "waz")


@dataclass(frozen=True, slots=True)
class Lettered:
    """A chart and the letters beside its points.

    Parameters
    ----------
    marks : each with its letter, "" for one without, and whether the letter is written beside it
    trails : a path for each child whose points are joined
    """

    chart: Chart
    marks: tuple[tuple[Mark, str, bool], ...]
    trails: tuple[str, ...]


def of_conflict(found: Meanings, register: str) -> tuple[Lettered, ...]:
    """Draw the child's growth with each value of a register in conflict under its letter."""
    if found.sex is None or register not in INDICES:
        return ()
    places: dict[tuple[str, float, float], str] = {}
    for letter, meaning in zip(LETTERS, found.by_register.get(register, ()), strict=False):
        one = meaning.visit
        if one is None:
            continue
        alone = [one if _same(visit, one) else visit for visit in found.visits]
        for chart in growth_charts(found.sex, alone, near=True):
            for mark in chart.marks:
                if mark.visit is one:
                    place = (chart.index, mark.across, mark.up)
                    places[place] = _joined(places.get(place, ""), letter)
    found_charts = []
    for chart in growth_charts(found.sex, found.visits, near=True):
        if chart.index in INDICES[register]:
            letters = [
                places.get((chart.index, m.across, m.up), "") if m.disputed else "" for m in chart.marks
            ]
            marks = tuple((mark, a, bool(a)) for mark, a in zip(chart.marks, letters, strict=True))
            found_charts.append(Lettered(chart, marks, (chart.trail,) if chart.trail else ()))
    return tuple(found_charts)


def _same(one: Visit, other: Visit) -> bool:
    return (one.measured_on, one.source, one.removed) == (other.measured_on, other.source, other.removed)


def _joined(letters: str, letter: str) -> str:
    return f"{letters}/{letter}" if letters and letter not in letters else letters or letter


def of_two(sex: str, one: Sequence[Visit], other: Sequence[Visit]) -> tuple[Lettered, ...]:
    """Draw two children on one chart: A and B, each with a line of its own."""
    first, second = [replace(visit) for visit in one], [replace(visit) for visit in other]
    mine = {id(visit) for visit in first}
    found = []
    for chart in growth_charts(sex, [*first, *second], near=True):
        if chart.index not in TOGETHER:
            continue
        sides = ["A" if id(mark.visit) in mine else "B" for mark in chart.marks]
        trails = [_trail([m for m, s in zip(chart.marks, sides, strict=True) if s == side]) for side in "AB"]
        last = {side: number for number, side in enumerate(sides)}
        marks = tuple(
            (mark, side, last[side] == number and bool(other))
            for number, (mark, side) in enumerate(zip(chart.marks, sides, strict=True))
        )
        found.append(Lettered(chart, marks, tuple(trails)))
    return tuple(found)


def _trail(marks: Sequence[Mark]) -> str:
    points = [(mark.x, mark.y) for mark in marks if not mark.disputed and not mark.pinned]
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points) if len(points) > 1 else ""
