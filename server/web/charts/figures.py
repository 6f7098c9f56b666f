"""Figures of an area as geometry: bars that stand for parts of one whole, and a share over the months. Pure.

A missing figure (None) leaves a gap. Every chart has a table beside it with the same figures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Final

WIDTH, HEIGHT = 360, 190
LEFT, TOP, RIGHT, BOTTOM = 34, 12, 350, 160
BAR_WIDTH: Final = 200
"""The width of a bar for the whole."""
STEPS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5)
NEAR_ALL: Final = 0.4
LABELLED: Final = 6
"""Months that are named along the axis, at most."""


@dataclass(frozen=True, slots=True)
class Point:
    """A month's share: its place in the drawing, and its value."""

    x: float
    y: float
    month: date
    share: float


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis and its value."""

    at: float
    value: float


@dataclass(frozen=True, slots=True)
class Trend:
    """A share over months. `paths`: unbroken stretches; `months`: those that are named."""

    points: tuple[Point, ...]
    paths: tuple[str, ...]
    ticks: tuple[Tick, ...]
    months: tuple[tuple[float, date], ...]


def trend_chart(shares: Sequence[tuple[date, float | None]]) -> Trend:
    """Draw a share over consecutive months, oldest first; the axis begins at zero."""
    most = max((share for _, share in shares if share is not None), default=0.0)
    step = next((step for step in STEPS if most / step <= 4), 1.0)
    top = max(step, -(-most // step) * step)
    apart = (RIGHT - LEFT) / max(len(shares) - 1, 1)

    def x(number: int) -> float:
        return round(LEFT + number * apart, 1)

    def y(share: float) -> float:
        return round(BOTTOM - share / top * (BOTTOM - TOP), 1)

    points: list[Point | None] = [
        None if share is None else Point(x(number), y(share), month, share)
        for number, (month, share) in enumerate(shares)
    ]
    paths = [
        "M" + "L".join(f"{point.x:g} {point.y:g}" for point in stretch if point)
        for there, stretch in groupby(points, key=lambda point: point is not None)
        if there
    ]
    every = -(-len(shares) // LABELLED)
    named = [(x(n), month) for n, (month, _) in enumerate(shares) if (len(shares) - 1 - n) % every == 0]
    ticks = [Tick(y(number * step), number * step) for number in range(round(top / step) + 1)]
    return Trend(tuple(point for point in points if point), tuple(paths), tuple(ticks), tuple(named))


def bars(values: Sequence[float | None]) -> list[float | None]:
    """Return the widths of bars drawn one below another; the largest has the full width."""
    return _widths(values, max((value for value in values if value is not None), default=0))


def share_bars(shares: Sequence[float | None]) -> list[float | None]:
    """Return the widths of bars for shares: full width is 100 % where one comes near it, so that 82 % does not look like
    all; else the largest, so that small shares can be told apart."""
    most = max((share for share in shares if share is not None), default=0)
    return _widths(shares, 1 if NEAR_ALL <= most <= 1 else most)


def _widths(values: Sequence[float | None], whole: float) -> list[float | None]:
    return [None if value is None else round(value / (whole or 1) * BAR_WIDTH, 1) for value in values]
