"""A child's growth on the WHO's curves, as geometry: what a template needs to draw one SVG. Pure.

Rules kept here:
- Curves come from the tables by which children are scored, so a point lies where its score says.
- A point is the value as scored: length after the 0.7 cm rule, so that a child measured the other way lies right.
- Where values are in conflict, every candidate is drawn and they are joined; no line runs through any of them.
- Weight for length goes on one table, that of the newest measurement. The WHO made weight-for-height of weight-for-length
  by moving it 0.7 cm, so an earlier point keeps its score when it is moved likewise.
- A value far outside the curves is pinned to the edge and marked, so that a slip of the keyboard cannot flatten the chart.
- Zones, where they are asked for, are the classes of `growth.status`, one between each two of their cut-offs.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from itertools import pairwise
from math import ceil, floor
from typing import Final

import numpy as np

from server.children.labels import LABELS
from server.growth.lms import FloatArray
from server.growth.status import LENGTH_FOR_AGE_CODES, WASTING_CODES, WEIGHT_FOR_AGE_CODES
from server.growth.zscores import DAYS_PER_MONTH, FIRST_STANDING_DAY, CurveName, curve
from server.review import ScoredCandidate, Visit

Z_LINES: Final = (-3, -2, 0, 2, 3)
WIDTH, HEIGHT = 520, 380
LEFT, TOP, RIGHT, BOTTOM = 52, 14, 478, 330
"""The plot's edges inside WIDTH x HEIGHT; the rest is for labels."""
ROOM: Final = 0.25
"""How much of the curves' height a point may stretch the chart; a point beyond that is pinned to the edge."""
CURVE_POINTS: Final = 90
MOVED_CM: Final = 0.7
INDICES: Final = ("haz", "waz", "whz", "baz")
NEAR_DAYS: Final = 366
"""How far back from the newest measurement the close view goes."""
LEGIBLE: Final = 14
"""The least height of a zone, in the drawing's units, in which its name can be read."""
LETTER_WIDTH, DATE_WIDTH = 6.9, 115
"""Size of a zone's name, and of the newest point's date."""


@dataclass(frozen=True, slots=True)
class _Classes:
    """An index's classes from the lowest up, the cut-offs between them, and how far each is from the healthy class."""

    codes: tuple[str, ...]
    cut_offs: tuple[int, ...]
    tones: tuple[str, ...]


_WASTING: Final = _Classes(
    WASTING_CODES, (-3, -2, 1, 2, 3), ("low2", "low1", "fine", "high1", "high2", "high3")
)
CLASSES: Final[Mapping[str, _Classes]] = {
    "haz": _Classes(LENGTH_FOR_AGE_CODES, (-3, -2, 3), ("low2", "low1", "fine", "high1")),
    "waz": _Classes(WEIGHT_FOR_AGE_CODES, (-3, -2, 1), ("low2", "low1", "fine", "high1")),
    "whz": _WASTING,
    "baz": _WASTING,
}


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis: where in the drawing, and its number."""

    at: float
    value: float


@dataclass(frozen=True, slots=True)
class Curve:
    """The curve of one z: an SVG path, and where its label goes."""

    z: int
    path: str
    label_x: float
    label_y: float


@dataclass(frozen=True, slots=True)
class Zone:
    """The stretch between two cut-offs: the code of its class, low2 to high3, an SVG path, and where its name goes.

    `below`, `above` : the cut-offs; None at the ends. `legible` : whether there is a place for the name, of which
    `label_x` is the right end
    """

    code: str
    tone: str
    path: str
    label_x: float
    label_y: float
    below: int | None
    above: int | None
    legible: bool


@dataclass(frozen=True, slots=True)
class Mark:
    """One value of one measurement.

    Parameters
    ----------
    x, y : where in the drawing
    across, up : the same in months or cm, and in cm, kg or kg/m2
    z : SD; None where it is not defined
    disputed : one of several candidates
    pinned : the value lies beyond the chart and the mark stands at its edge
    """

    x: float
    y: float
    across: float
    up: float
    z: float | None
    visit: Visit
    disputed: bool
    pinned: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """One growth chart, ready to draw.

    Parameters
    ----------
    index : haz, waz, whz or baz
    table : the WHO table that is drawn
    marks : oldest first; joins : pairs of (x1, y1, x2, y2) between candidates of one measurement; trail : path or ""
    left_out : measurements with a value that lies before or after the window
    zones : from the lowest up; empty where they were not asked for
    """

    index: str
    table: CurveName
    zones: tuple[Zone, ...]
    lines: tuple[Curve, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    marks: tuple[Mark, ...]
    joins: tuple[tuple[float, float, float, float], ...]
    trail: str
    left_out: int

    @property
    def by_length(self) -> bool:
        """Say whether the chart's horizontal axis is cm and not months."""
        return self.table in ("wfl", "wfh")


@dataclass(frozen=True, slots=True)
class _Reading:
    visit: Visit
    across: float
    up: float
    z: float | None
    disputed: bool


@dataclass(frozen=True, slots=True)
class _Frame:
    """Turns measured values into places in the drawing."""

    low_x: float
    high_x: float
    low_y: float
    high_y: float

    def x(self, across: float) -> float:
        return round(LEFT + (across - self.low_x) / (self.high_x - self.low_x) * (RIGHT - LEFT), 1)

    def y(self, up: float) -> float:
        return round(BOTTOM - (up - self.low_y) / (self.high_y - self.low_y) * (BOTTOM - TOP), 1)


def growth_charts(sex: str, visits: Sequence[Visit], *, near: bool, zones: bool = False) -> tuple[Chart, ...]:
    """Draw height, weight, weight-for-length and BMI of one child, each that has a value.

    Parameters
    ----------
    sex : M or F; without it there is no curve to draw
    visits : as `child_view` gives them
    near : only the child's last year, in months or the cm that it grew, and not the whole table
    zones : with the classes as zones between their cut-offs, as on a KMS card, and only the lines that part them

    Returns
    -------
    tuple of Chart, in the order of INDICES
    """
    number = {"M": 1, "F": 2}[sex]
    oldest_first = sorted(visits, key=lambda visit: (visit.measured_on, visit.source))
    charts = []
    for index in INDICES:
        table = _table(index, oldest_first)
        readings = [r for visit in oldest_first for r in _readings(index, table, visit)]
        if readings:
            charts.append(_draw(index, table, number, readings, near, zones))
    return tuple(charts)


def _table(index: str, oldest_first: Sequence[Visit]) -> CurveName:
    """Choose the table to draw; by length, that of the newest measurement that has both parts."""
    if index != "whz":
        names: Mapping[str, CurveName] = {"haz": "haz", "waz": "waz", "baz": "baz"}
        return names[index]
    both = [c for visit in oldest_first for c in visit.candidates if c.weight_g and c.length_cm]
    return "wfh" if both and both[-1].on_height_table else "wfl"


def _readings(index: str, table: CurveName, visit: Visit) -> Iterable[_Reading]:
    """Return a measurement's distinct candidates as points."""
    points: dict[tuple[float, float], float | None] = {}
    for candidate in visit.candidates:
        place = _place(index, table, candidate)
        if place is not None:
            points.setdefault(place, candidate.scores[index].z)
    return [_Reading(visit, across, up, z, len(points) > 1) for (across, up), z in points.items()]


def _place(index: str, table: CurveName, candidate: ScoredCandidate) -> tuple[float, float] | None:
    length, weight = candidate.length_cm, candidate.weight_g
    months = None if candidate.age_days is None else candidate.age_days / DAYS_PER_MONTH
    if index == "whz":
        if length is None or weight is None:
            return None
        moved = MOVED_CM * (candidate.on_height_table - (table == "wfh"))
        return length + moved, weight / 1000
    up = {"haz": length, "waz": None if weight is None else weight / 1000, "baz": candidate.bmi}[index]
    return None if months is None or up is None else (months, up)


def _draw(
    index: str, table: CurveName, sex: int, readings: Sequence[_Reading], near: bool, zones: bool
) -> Chart:
    cut_offs = CLASSES[index].cut_offs
    drawn = sorted({0, *cut_offs}) if zones else list(Z_LINES)
    wanted = sorted({*Z_LINES, *cut_offs})
    days_or_cm, values = _curves(table, sex, tuple(wanted))
    along = days_or_cm if table in ("wfl", "wfh") else days_or_cm / DAYS_PER_MONTH
    low, high = _window(table, readings, near, float(along[0]), float(along[-1]))
    inside = [r for r in readings if low <= r.across <= high]
    seen = (along >= low - 1e-9) & (along <= high + 1e-9)
    by_z = {z: row[seen] for z, row in zip(wanted, values, strict=True)}
    frame = _frame(low, high, values[:, seen], inside)
    marks = tuple(_mark(frame, reading) for reading in inside)
    return Chart(
        index,
        table,
        _zones(frame, CLASSES[index], along[seen], by_z, marks) if zones else (),
        tuple(_line(frame, z, along[seen], by_z[z], days_or_cm[seen], table) for z in drawn),
        _ticks(low, high, (1, 2, 3, 6, 12) if table not in ("wfl", "wfh") else (1, 2, 5, 10), frame.x, 9),
        _ticks(frame.low_y, frame.high_y, (0.2, 0.5, 1, 2, 5, 10, 20), frame.y, 8),
        marks,
        _joins(marks),
        _path([(m.x, m.y) for m in marks if not m.disputed and not m.pinned]),
        len({(r.visit.measured_on, r.visit.source) for r in readings if r not in inside}),
    )


def _window(
    table: CurveName, readings: Sequence[_Reading], near: bool, first: float, last: float
) -> tuple[float, float]:
    """Choose what stretch of the table is drawn: all of it, the first two years, or around the child."""
    lately = max(r.visit.measured_on for r in readings) - timedelta(days=NEAR_DAYS)
    shown = [r.across for r in readings if not near or r.visit.measured_on >= lately]
    lowest, highest = min(shown), max(shown)
    if table in ("wfl", "wfh"):
        if not near:
            return first, last
        low, high, least = floor(lowest - 3), ceil(highest + 4), 15
    else:
        if not near:
            return 0.0, 24.0 if highest <= 24 else 60.0
        low, high, least = floor(lowest - 1), ceil(highest + 2), 6
    low = min(max(low, ceil(first)), ceil(last) - least)
    return float(low), float(min(max(high, low + least), ceil(last)))


def _frame(low: float, high: float, values: FloatArray, inside: Sequence[_Reading]) -> _Frame:
    """Fit the axis to the curves, and to points that are not far outside."""
    lowest, highest = float(values.min()), float(values.max())
    room = (highest - lowest) * ROOM
    near_enough = [r.up for r in inside if lowest - room <= r.up <= highest + room]
    lowest, highest = min([lowest, *near_enough]), max([highest, *near_enough])
    margin = (highest - lowest) * 0.03
    return _Frame(low, high, lowest - margin, highest + margin)


def _mark(frame: _Frame, r: _Reading) -> Mark:
    within = min(max(r.up, frame.low_y), frame.high_y)
    return Mark(frame.x(r.across), frame.y(within), r.across, r.up, r.z, r.visit, r.disputed, within != r.up)


@cache
def _curves(table: CurveName, sex: int, z_lines: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
    """Compute a table's curves once per process: they never change, and a page draws four of them."""
    return curve(table, sex, z_lines)


def _zones(
    frame: _Frame, classes: _Classes, along: FloatArray, by_z: Mapping[int, FloatArray], marks: Sequence[Mark]
) -> tuple[Zone, ...]:
    """Draw each class between the curves of its cut-offs; the outermost reach to the plot's edge."""
    kept = _thinned(along)
    across = [frame.x(along[i]) for i in kept]
    edges: list[list[tuple[float, float]]] = [
        [(x, BOTTOM) for x in across],
        *([(x, frame.y(by_z[z][i])) for x, i in zip(across, kept, strict=True)] for z in classes.cut_offs),
        [(x, TOP) for x in across],
    ]
    limits: list[int | None] = [None, *classes.cut_offs, None]
    found = []
    for number, (code, tone) in enumerate(zip(classes.codes, classes.tones, strict=True)):
        lower, upper = edges[number], edges[number + 1]
        path = f"{_path([*lower, *reversed(upper)])}Z"
        width = LETTER_WIDTH * max(map(len, LABELS[code]))
        place = _place_of_name(lower, upper, marks, width)
        x, y = place or (RIGHT - 6.0, lower[-1][1])
        found.append(Zone(code, tone, path, x, y, limits[number], limits[number + 1], place is not None))
    return tuple(found)


def _place_of_name(
    lower: Sequence[tuple[float, float]],
    upper: Sequence[tuple[float, float]],
    marks: Sequence[Mark],
    width: float,
) -> tuple[float, float] | None:
    """Return the rightmost place for a zone's name that covers neither a point of the child nor the newest point's date;
    None if there is none."""
    taken = [(mark.x - 8, mark.x + 8, mark.y) for mark in marks]
    for newest in marks[-1:]:  # the template writes its date beside it, towards the middle
        left = newest.x - DATE_WIDTH if newest.x > (LEFT + RIGHT) / 2 else newest.x
        taken.append((left, left + DATE_WIDTH, newest.y - 14))
    for end in range(RIGHT - 6, LEFT + round(width), -12):
        start = end - width
        at = min(range(len(lower)), key=lambda n: abs(lower[n][0] - (start + end) / 2))
        bottom, top = lower[at][1], upper[at][1]
        y = round((bottom + top) / 2, 1)
        free = all(right < start or left > end or abs(up - y) >= LEGIBLE for left, right, up in taken)
        if free and bottom - top >= LEGIBLE:
            return float(end), y
    return None


def _thinned(along: FloatArray) -> list[int]:
    """Choose the places of a curve that are drawn; its ends are among them."""
    step = max(1, len(along) // CURVE_POINTS)
    chosen: list[int] = np.unique(np.append(np.arange(0, len(along), step), len(along) - 1)).tolist()
    return chosen


def _line(
    frame: _Frame, z: int, along: FloatArray, values: FloatArray, days: FloatArray, table: CurveName
) -> Curve:
    """Draw one curve, length-for-age in two pieces: it steps down where lying becomes standing."""
    kept = np.array(_thinned(along))
    pieces = [kept]
    if table == "haz":
        turn = int(np.searchsorted(days, FIRST_STANDING_DAY))
        first = np.unique(np.append(kept[kept < turn], max(turn - 1, 0)))
        second = np.unique(np.append(kept[kept >= turn], min(turn, len(along) - 1)))
        pieces = [piece for piece in (first, second) if len(piece) > 1]
    path = " ".join(_path([(frame.x(along[i]), frame.y(values[i])) for i in piece]) for piece in pieces)
    return Curve(z, path, RIGHT + 6, frame.y(float(values[-1])))


def _path(points: Sequence[tuple[float, float]]) -> str:
    if len(points) < 2:
        return ""
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)


def _joins(marks: Sequence[Mark]) -> tuple[tuple[float, float, float, float], ...]:
    """Join the candidates of each measurement, one to the next."""
    return tuple(
        (one.x, one.y, other.x, other.y)
        for one, other in pairwise(marks)
        if one.disputed and one.visit is other.visit
    )


def _ticks(
    low: float, high: float, steps: Sequence[float], place: Callable[[float], float], most: int
) -> tuple[Tick, ...]:
    """Put at most `count` round numbers on an axis."""
    step = next((step for step in steps if (high - low) / step <= most), steps[-1])
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return tuple(Tick(place(number * step), number * step) for number in range(first, last + 1))
