"""Scores every candidate, and judges monthly weight gain. Pure: arrays in, arrays out, through `growth`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from server.children.assessment.timeline import (
    UNKNOWN,
    Floats,
    Integers,
    Timelines,
    Truths,
    first_candidates,
)
from server.growth.status import muac_status
from server.growth.weight_gain import GainCode, WeightGain, months_completed, weight_gain
from server.growth.zscores import ZScores, zscores

ASSUMED_MONTHS: Final = 12


def score(timelines: Timelines) -> ZScores:
    """Score every candidate, all in one call."""
    return zscores(
        sex=timelines.sex,
        age_days=age_days(timelines),
        weight_kg=_in_unit(timelines.weight_g, 1000),
        lenhei_cm=_in_unit(timelines.length_mm, 10),
        position=timelines.position,
        headc_cm=_in_unit(timelines.head_mm, 10),
        armc_cm=_in_unit(timelines.muac_mm, 10),
        oedema=timelines.oedema,
    )


def age_days(timelines: Timelines) -> Floats:
    """Return ages at measurement, days; NaN where the birth date is unknown or later."""
    days = (timelines.measured_on - timelines.born_on) / np.timedelta64(1, "D")
    return np.where(days < 0, np.nan, days)


def _in_unit(whole: Integers, unit: int) -> Floats:
    """Convert whole grams or millimetres to the unit of the WHO tables: the double nearest to the decimal value."""
    return np.where(whole == UNKNOWN, np.nan, whole / unit)


def arm_status(timelines: Timelines) -> npt.NDArray[np.int8]:
    """Return the class of each candidate's arm circumference (`growth.status.MUAC_CODES`); -1 without one.

    The classes hold from 6 to 59 months. A child of unknown age is taken as ASSUMED_MONTHS old, so that a thin arm is still
    flagged.
    """
    months = months_completed(timelines.born_on, timelines.measured_on)
    return muac_status(timelines.muac_mm, np.where(np.isnat(timelines.born_on), ASSUMED_MONTHS, months))


@dataclass(frozen=True, slots=True)
class Gains:
    """Monthly weight gain by measurement (not by candidate); `disputed` where its candidates disagree."""

    code: npt.NDArray[np.int8]
    gain_g: Integers
    reason: npt.NDArray[np.int8]
    two_t: Truths
    disputed: Truths


def gains(timelines: Timelines) -> Gains:
    """Judge the monthly weight gain of each measurement.

    Measurements with one candidate are judged once. If any has several, the timelines are judged again with other choices
    of candidates; where a result differs, no code is given.
    """
    count = len(timelines.rows)
    first = first_candidates(timelines.measurement, count)
    main = _gain(timelines, first)
    disputed = np.zeros(count, np.bool_)
    if len(timelines.measurement) > count:
        for chosen in _other_choices(timelines, count):
            other = _gain(timelines, chosen)
            disputed |= (
                (other.code != main.code) | (other.gain_g != main.gain_g) | (other.two_t != main.two_t)
            )
    code = np.where(disputed, np.int8(GainCode.NONE), main.code)
    return Gains(code, main.gain_g.astype(np.int64), main.reason, main.two_t & ~disputed, disputed)


def _other_choices(timelines: Timelines, count: int) -> Iterator[Integers]:
    """Choose one candidate for each measurement, five times: the last, the lightest, the heaviest, and twice the lightest
    and the heaviest by turns, so that the smallest and the largest gain between two neighbours are judged too."""
    last = np.searchsorted(timelines.measurement, np.arange(count), side="right") - 1
    yield last.astype(np.int64)
    first = first_candidates(timelines.measurement, count)
    lightest, heaviest = (
        np.lexsort((sign * timelines.weight_g, timelines.measurement))[first] for sign in (1, -1)
    )
    odd = np.arange(count) % 2 == 1
    yield from (lightest, heaviest, np.where(odd, lightest, heaviest), np.where(odd, heaviest, lightest))


def _gain(timelines: Timelines, chosen: Integers) -> WeightGain:
    """Judge the timelines with one candidate for each measurement."""
    return weight_gain(
        timelines.child[chosen],
        timelines.born_on[chosen],
        timelines.sex[chosen],
        timelines.measured_on[chosen],
        timelines.weight_g[chosen].clip(0),
    )
