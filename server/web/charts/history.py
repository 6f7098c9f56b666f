"""A record's history as a drawing: a lane for each actor, a mark for each change, an arrow to each change that its author
had seen. Pure.

Time runs downwards as in the list beside it, and a mark has the number of its line there. An arrow that others imply (A saw
B, B had seen C) is left out; the list has every context in full.
"""

from dataclasses import dataclass
from typing import Final

from server.supervision.lineage import Lineage, Step, letter

LANE, ROW, EDGE, TOP, RADIUS = 72, 56, 44, 40, 19
NARROWEST: Final = 300
"""So that a few lanes are not stretched to the width of many."""
BEND: Final = 0.5
MISSING_LENGTH: Final = 26


@dataclass(frozen=True, slots=True)
class ChangeMark:
    """A change: its place, its letter, and whether a value of it still holds or it was quarantined."""

    x: float
    y: float
    label: str
    is_live: bool
    is_aside: bool


@dataclass(frozen=True, slots=True)
class VectorChart:
    """What is drawn, in the units of the viewBox (`width` by `height`).

    Parameters
    ----------
    lanes : x, letter
    arrows : paths from a change to one whose author had seen it
    doubtful : paths of contexts that name a change which the server does not have, and so are not trusted
    """

    width: float
    height: float
    lanes: tuple[tuple[float, str], ...]
    marks: tuple[ChangeMark, ...]
    arrows: tuple[str, ...]
    doubtful: tuple[str, ...]


def vector_chart(found: Lineage) -> VectorChart:
    """Draw a record's history."""
    at = {(step.lane, step.dot.counter): step for step in found.steps}
    width = max(NARROWEST, 2 * EDGE + LANE * (len(found.lanes) - 1))
    x = [(width - LANE * (len(found.lanes) - 1)) / 2 + LANE * lane for lane in range(len(found.lanes))]
    arrows, doubtful = [], []
    for step in found.steps:
        for seen in step.seen:
            earlier = at.get((seen.lane, seen.counter))
            if earlier is None or not seen.held:
                doubtful.append(_stub(x[step.lane], _y(step)))
            elif not _implied(step, earlier, at):
                arrows.append(_arrow(x[earlier.lane], x[step.lane], earlier, step))
    return VectorChart(
        width,
        TOP + ROW * len(found.steps) + 8,
        tuple((at_x, letter(lane)) for lane, at_x in enumerate(x)),
        tuple(
            ChangeMark(x[step.lane], _y(step), step.label, bool(step.live), step.outcome == "quarantined")
            for step in found.steps
        ),
        tuple(arrows),
        tuple(doubtful),
    )


def _y(step: Step) -> float:
    return TOP + ROW * (step.number - 1) + ROW / 2


def _implied(step: Step, earlier: Step, at: dict[tuple[int, int], Step]) -> bool:
    """Say whether another change that was seen had already seen the earlier one."""
    for seen in step.seen:
        between = at.get((seen.lane, seen.counter))
        if between is None or between is earlier or not seen.held:
            continue
        if any(one.lane == earlier.lane and one.counter >= earlier.dot.counter for one in between.seen):
            return True
    return False


def _arrow(x1: float, x2: float, earlier: Step, later: Step) -> str:
    """Return a curve from the foot of one mark to the head of another; a straight line backwards (forged contexts)."""
    y1, y2 = _y(earlier) + RADIUS, _y(later) - RADIUS - 5
    half = (y2 - y1) * BEND
    if later.number <= earlier.number:
        return f"M{x1:g} {y1:g}L{x2:g} {y2:g}"
    return f"M{x1:g} {y1:g}C{x1:g} {y1 + half:g} {x2:g} {y2 - half:g} {x2:g} {y2:g}"


def _stub(x: float, y: float) -> str:
    """Return a short line to a mark for a change that the server does not have."""
    x, y = x + RADIUS, y - RADIUS / 2
    return f"M{x + MISSING_LENGTH:g} {y - MISSING_LENGTH / 2:g}L{x + 2:g} {y:g}"
