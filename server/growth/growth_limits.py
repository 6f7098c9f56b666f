"""The most that a length or a head grows between two visits. More is probably a mistake in one of the values.

    most = growth of the median child in these days + spread + error of two readings

Rules:

- the spread of a length is 3 SD of the WHO's 3-month length increments (2009) at the age of the first visit, the greater of
  the two sexes, for every three months. Over fewer days it is not greater; over more days it is at most the sum. After month
  21, where the WHO has no later table, the last row stands: the spread shrinks with age;
- the spread of a head is 3 SD of head circumference for age: from the median to the outer line;
- two readings may differ by 10 mm, and two lengths by 7 mm more if one was measured lying and recorded as standing;
- where the standard has no row (age unknown, before birth, after day 1856) there is no limit.
"""

from functools import cache
from importlib import resources
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from server.growth.lms import LAST_PUBLISHED_DAY, FloatArray, table
from server.growth.zscores import DAYS_PER_MONTH

IntArray = npt.NDArray[np.int64]
Measure = Literal["length", "head"]

READINGS_MM: Final[dict[Measure, int]] = {"length": 17, "head": 10}
HEAD_SDS: Final = 3
DAYS_OF_SPREAD: Final = 3 * DAYS_PER_MONTH


def most_growth_mm(
    measure: Measure, sex: npt.ArrayLike, age_before: npt.ArrayLike, age_after: npt.ArrayLike
) -> FloatArray:
    """Return the most that a measure grows between two ages.

    Parameters
    ----------
    measure : "length" (after the 0.7 cm rule) or "head"
    sex : array_like of int; 1 male, 2 female, else unknown: scored as male
    age_before, age_after : array_like of float; completed days, NaN if unknown

    Returns
    -------
    array of float, millimetres; NaN where there is no limit
    """
    lms = table("lhfa" if measure == "length" else "hcfa")
    before, after = np.asarray(age_before, np.float64), np.asarray(age_after, np.float64)
    known = (before >= 0) & (after >= before) & (after <= LAST_PUBLISHED_DAY)
    row = (np.asarray(sex) == 2).astype(np.int64)
    first, last = (np.where(known, day, 0).astype(np.int64) for day in (before, after))
    median = (lms.m[row, last] - lms.m[row, first]) * 10
    if measure == "length":
        months = np.minimum(np.floor(first / DAYS_PER_MONTH).astype(np.int64), len(length_spread_mm()) - 1)
        spread = length_spread_mm()[months] * np.maximum((after - before) / DAYS_OF_SPREAD, 1)
    else:
        spread = lms.m[row, first] * lms.s[row, first] * (HEAD_SDS * 10)
    most: FloatArray = np.where(known, median + spread + READINGS_MM[measure], np.nan)
    return most


@cache
def length_spread_mm() -> IntArray:
    """Return 3 SD of the 3-month length increments by completed month at their start, in whole millimetres, rounded up."""
    path = resources.files(__package__) / "tables" / "length_velocity_3mo.csv"
    with path.open(encoding="ascii") as file:
        rows = np.loadtxt(file, delimiter=",", skiprows=1)
    _, start, _, power, median, spread = rows.T
    above = median * ((1 + 3 * power * spread) ** (1 / power) - 1)
    found = np.zeros(int(start.max()) + 1)
    np.maximum.at(found, start.astype(np.intp), above)
    whole: IntArray = np.ceil(found * 10).astype(np.int64)
    whole.flags.writeable = False
    return whole
