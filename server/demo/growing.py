"""Growth of made-up children. PURE. Hides tracks along the WHO's curves, reading errors, and misread figures.

A child follows a track of haz and of whz; lengths and weights are read back from the curves of `server.growth`. Judgement:
the shares of stunted and wasted children and the reading errors (3 mm, 50 g and the scale's step) were chosen to look like a
posyandu's register. They say nothing about Kukar.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from server.growth.zscores import FIRST_STANDING_DAY, curve

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
DAYS_PER_MONTH: Final = 30.4375
LYING_MINUS_STANDING_CM: Final = 0.7
_WEIGHT_Z: Final = tuple(np.arange(-5, 5.5, 0.5).tolist())


@dataclass(frozen=True, slots=True)
class Readings:
    """What a cadre would read, by posyandu day: arrays of one length; `standing` distinguishes height from length."""

    weight_g: Integers
    length_mm: Integers
    muac_mm: Integers
    head_mm: Integers
    standing: npt.NDArray[np.bool_]
    oedema: npt.NDArray[np.bool_]


def figures_of(
    random: np.random.Generator, mishap: str, sex: int, age_days: Integers, scale_g: int
) -> Readings:
    """Return what was read of a child, with reading errors and the scale's step."""
    count = len(age_days)
    haz, whz = _tracks(random, mishap, age_days)
    true_cm = _lengths_cm(sex, age_days, haz)
    kg = _weights_kg(sex, age_days, true_cm, whz)
    arm = _on_curve("acz", sex, age_days, 0.6 * whz + random.normal(-0.2, 0.3, count))
    head = _on_curve("hcz", sex, age_days, random.normal(-0.3, 0.7) + random.normal(0, 0.15, count))
    figures = Readings(
        (np.round((kg * 1000 + random.normal(0, 50, count)) / scale_g) * scale_g).astype(np.int64),
        np.round(true_cm * 10 + random.normal(0, 3, count)).astype(np.int64),
        np.round(arm * 10).astype(np.int64),
        np.round(head * 10).astype(np.int64),
        age_days >= FIRST_STANDING_DAY,
        np.zeros(count, np.bool_),
    )
    _misread(figures, mishap)
    return figures


def _tracks(random: np.random.Generator, mishap: str, age_days: Integers) -> tuple[Floats, Floats]:
    """Return haz and whz by posyandu day: lengths fall behind in the first two years, as is common in Indonesia."""
    count, months = len(age_days), age_days / DAYS_PER_MONTH
    to_go = np.arange(count)[::-1]
    faltering = 1 - np.exp(-months / 8)
    start = random.normal(-0.3, 0.85) if not mishap else -0.5
    fall = max(random.normal(0.8, 0.35), 0.0) if not mishap else 0.4
    level = random.normal(-0.1, 0.7) if not mishap else -0.2
    haz, whz = start - fall * faltering, np.full(count, level)
    losing = np.maximum(4 - to_go, 0)
    match mishap:
        case "severely_stunted":
            haz = -1.0 - 2.6 * faltering
        case "stunted":
            haz = -0.9 - 1.7 * faltering
        case "severely_wasted":
            whz = -0.9 - 0.65 * losing
        case "wasted":
            whz = -0.7 - 0.46 * losing
        case "oedema":
            whz = np.full(count, -1.3)
        case "overweight":
            whz = np.full(count, 2.6)
    return haz + _wander(random, count, 0.04), whz + _wander(random, count, 0.08)


def _wander(random: np.random.Generator, count: int, step: float) -> Floats:
    """Return a slow random walk that returns to 0: consecutive months are similar."""
    steps, walk = random.normal(0, step, count), np.zeros(count)
    for number in range(1, count):
        walk[number] = 0.85 * walk[number - 1] + steps[number]
    return walk


def _lengths_cm(sex: int, age_days: Integers, haz: Floats) -> Floats:
    """Return true lengths (from day 731 heights) along a track of haz; nobody shrinks."""
    standing = LYING_MINUS_STANDING_CM * (age_days >= FIRST_STANDING_DAY)
    lying = np.maximum.accumulate(_on_curve("haz", sex, age_days, haz) + standing)
    return np.asarray(lying - standing)


def _weights_kg(sex: int, age_days: Integers, lenhei_cm: Floats, whz: Floats) -> Floats:
    """Return true weights for lengths along a track of whz, interpolated between half standard deviations."""
    kg = np.empty(len(whz))
    place = (np.clip(whz, -5, 4.99) + 5) / 0.5
    low = place.astype(np.int64)
    for name, here in (("wfl", age_days < FIRST_STANDING_DAY), ("wfh", age_days >= FIRST_STANDING_DAY)):
        x, y = _lines(name, sex, _WEIGHT_Z)
        column = np.clip(np.round((lenhei_cm[here] - x[0]) * 10).astype(np.int64), 0, len(x) - 1)
        share = (place - low)[here]
        kg[here] = y[low[here], column] * (1 - share) + y[low[here] + 1, column] * share
    return kg


def _on_curve(name: Any, sex: int, age_days: Integers, z: Floats) -> Floats:
    """Return measurements at given ages and z by the lines of 0 and 1 SD: exact for haz and hcz, close enough for acz."""
    x, y = _lines(name, sex, (0, 1))
    at = np.clip(age_days - int(x[0]), 0, len(x) - 1)
    return np.asarray(y[0, at] + z * (y[1, at] - y[0, at]))


@cache
def _lines(name: Any, sex: int, z: tuple[float, ...]) -> tuple[Floats, Floats]:
    return curve(name, sex, z)


def _misread(figures: Readings, mishap: str) -> None:
    """Change the newest figures according to a mishap, in place."""
    match mishap:
        case "two_t":
            figures.weight_g[-2:] = figures.weight_g[-3] + np.array([50, 100])
        case "copied":
            figures.weight_g[-1], figures.length_mm[-1] = figures.weight_g[-2], figures.length_mm[-2]
        case "shrank":
            figures.length_mm[-1] = figures.length_mm[-2] - 25
        case "stands_early":
            figures.standing[-1] = True
        case "severely_wasted":
            figures.muac_mm[-1] = 112
        case "oedema":
            figures.oedema[-1] = True
