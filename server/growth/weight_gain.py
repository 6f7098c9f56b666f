"""Monthly weight gain: the codes N, T, O and B. Hides calendars, grouping and the KBM table.

Rules, where the sources leave a choice:

- months are **calendar months**: "last month" is the month before, not 30 days ago;
- the weighing of a month is the **last** one in it; of several on that day the lightest, so that in doubt the child
  is looked at again. The other rows of that month get no code;
- B (the first weighing ever) and O (no weighing in the month before) are decided before any gain is compared;
- the month of the KBM is the **completed age at this weighing**; with 0 completed months, or without a birth
  date, sex or KBM for the age, no gain can be judged: the code is O and the reason says why. So D = N+T+O+B;
- 2T is T in two **consecutive** calendar months;
- grams are whole numbers throughout: a gain equal to the KBM is N.

Give whole timelines: a back-dated or corrected weight changes the codes of later months.
Sources: Buku KIA 2023 (N, T, KBM), posyandu monthly report (O, B, D); ``tables/SOURCE.md`` for the grams.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from functools import cache
from importlib import resources
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

BoolArray: TypeAlias = npt.NDArray[np.bool_]
Int8Array: TypeAlias = npt.NDArray[np.int8]
Int32Array: TypeAlias = npt.NDArray[np.int32]
Int64Array: TypeAlias = npt.NDArray[np.int64]
DateArray: TypeAlias = npt.NDArray[np.datetime64]
DatesLike: TypeAlias = npt.ArrayLike | date | Sequence[date]

KBM_VERSION = "kms-by-sex-1"
KBM_LAST_MONTH = 60

# Stands for "no gain computed"; 0 is a gain (T).
NO_GAIN = np.iinfo(np.int32).min
UNKNOWN_MONTHS = -1


class GainCode(IntEnum):
    """Code of one weighing in the monthly report; NONE is a row that is not the weighing of its month."""

    NONE = 0
    N = 1
    T = 2
    O = 3  # noqa: E741 - the letter that the report prints
    B = 4


CODE_NAMES = ("", "N", "T", "O", "B")


class GainReason(IntEnum):
    """Why a row has the code that it has."""

    COMPARED = 0  # N or T
    NOT_WEIGHED = 1  # no weight, or no date: no code
    LATER_IN_MONTH = 2  # the month has a later weighing: no code
    FIRST_WEIGHING = 3  # B
    NO_WEIGHING_LAST_MONTH = 4  # O, like all reasons below
    NO_BIRTH_DATE = 5
    NO_SEX = 6
    UNDER_ONE_MONTH = 7
    NO_KBM_FOR_AGE = 8  # over 60 months, or weighed before birth


@dataclass(frozen=True, slots=True)
class WeightGain:
    """Results in the order of the rows given; every array has shape (n,).

    Parameters
    ----------
    code : array of int8
        `GainCode`; `CODE_NAMES` has the letters.
    gain_g : array of int32
        Grams since last month's weighing, also where it could not be judged; `NO_GAIN` where there was none.
    kbm_g : array of int32
        The gain required (KBM), grams; 0 except where the code is N or T.
    reason : array of int8
        `GainReason`.
    two_t : array of bool
        T in this calendar month and in the one before.
    version : str
        The KBM table that was used.
    """

    code: Int8Array
    gain_g: Int32Array
    kbm_g: Int32Array
    reason: Int8Array
    two_t: BoolArray
    version: str


def months_completed(born_on: DatesLike, measured_on: DatesLike) -> Int64Array:
    """Count completed calendar months of age (umur bulan penuh).

    A month is complete on the day of the month of the birth; where that month has no such day, on its last
    day: born on 31 January, one month old on 28 February (29 in a leap year); born on 29 February, 12 months
    old on 28 February. The KBM goes by this age; z-scores go by days.

    Parameters
    ----------
    born_on, measured_on : array_like of datetime64[D] or date
        Local civil dates; NaT unknown.

    Returns
    -------
    array of int
        Completed months; negative (at most -1) before birth. -1 also where a date is unknown.
    """
    born, measured = _dates(born_on), _dates(measured_on)
    born_month, measured_month = born.astype("datetime64[M]"), measured.astype("datetime64[M]")
    days_in_month = (measured_month + 1).astype("datetime64[D]") - measured_month.astype("datetime64[D]")
    birthday = np.minimum(born - born_month, days_in_month - np.timedelta64(1, "D"))
    months = (measured_month - born_month).astype(np.int64) - (measured - measured_month < birthday)
    return np.where(np.isnat(born) | np.isnat(measured), UNKNOWN_MONTHS, months)


def kbm_versions() -> tuple[str, ...]:
    """Return the names of all KBM tables, in the order of ``tables/kbm.csv``."""
    return tuple(_kbm_tables())


def kbm_g(version: str = KBM_VERSION) -> Int32Array:
    """Return one KBM table.

    Parameters
    ----------
    version : str
        One of `kbm_versions`.

    Returns
    -------
    array of int32, shape (2, 61), read-only
        Grams by sex (row 0 male, row 1 female) and completed month 0 to 60; month 0 holds 0, for no KBM.

    Raises
    ------
    ValueError
        If there is no such version.
    """
    tables = _kbm_tables()
    if version not in tables:
        raise ValueError(f"no KBM table is called {version!r}; there are {', '.join(tables)}")
    return tables[version]


def weight_gain(
    child: npt.ArrayLike,
    born_on: DatesLike,
    sex: npt.ArrayLike,
    measured_on: DatesLike,
    weight_g: npt.ArrayLike,
    version: str = KBM_VERSION,
) -> WeightGain:
    """Give every weighing its code: N, T, O or B.

    Rows may come in any order, many children at once; the result does not depend on the order.

    Parameters
    ----------
    child : array_like of int, shape (n,)
        Rows with the same number belong to the same child.
    born_on : array_like of datetime64[D] or date, shape (n,) or scalar
        Local civil date; NaT unknown.
    sex : array_like of int, shape (n,) or scalar
        1 male, 2 female, 0 unknown.
    measured_on : array_like of datetime64[D] or date, shape (n,) or scalar
        Local civil date; NaT unknown.
    weight_g : array_like of int, shape (n,) or scalar
        Whole grams; 0 or less is missing.
    version : str
        KBM table to judge by, one of `kbm_versions`.

    Returns
    -------
    WeightGain
        One entry for each row.

    Raises
    ------
    ValueError
        For an unknown version, a sex outside 0, 1, 2, or shapes that do not broadcast.
    """
    table = kbm_g(version)
    key, born, sexes, measured, weight = np.broadcast_arrays(
        np.atleast_1d(np.asarray(child, dtype=np.int64)),
        _dates(born_on),
        np.asarray(sex, dtype=np.int64),
        _dates(measured_on),
        np.asarray(weight_g, dtype=np.int64),
    )
    if sexes.size and not (sexes.min() >= 0 and sexes.max() <= 2):
        raise ValueError("sex is coded 1 or 2, and 0 where it is missing")
    weighed = (weight > 0) & ~np.isnat(measured)
    result = WeightGain(
        code=np.zeros(key.size, np.int8),
        gain_g=np.full(key.size, NO_GAIN, np.int32),
        kbm_g=np.zeros(key.size, np.int32),
        reason=np.where(weighed, GainReason.LATER_IN_MONTH, GainReason.NOT_WEIGHED).astype(np.int8),
        two_t=np.zeros(key.size, np.bool_),
        version=version,
    )
    at, first, follows = _monthly(key, measured, weight, np.flatnonzero(weighed))
    gain = np.diff(weight[at], prepend=0)
    months = months_completed(born[at], measured[at])
    kbm = table[np.maximum(sexes[at], 1) - 1, np.clip(months, 0, KBM_LAST_MONTH)]
    reason = _reasons(first, follows, np.isnat(born[at]), sexes[at] == 0, months)
    compared = reason == GainReason.COMPARED
    code = np.where(compared, np.where(gain >= kbm, GainCode.N, GainCode.T), GainCode.O)
    code[first] = GainCode.B
    fell_short = code == GainCode.T
    result.code[at] = code
    result.gain_g[at] = np.where(follows, gain, NO_GAIN)
    result.kbm_g[at] = np.where(compared, kbm, 0)
    result.reason[at] = reason
    result.two_t[at] = fell_short & follows & np.roll(fell_short, 1)
    return result


def _dates(dates: DatesLike) -> DateArray:
    return np.asarray(dates, dtype="datetime64[D]")


def _monthly(
    key: Int64Array, measured: DateArray, weight: Int64Array, weighed: Int64Array
) -> tuple[Int64Array, BoolArray, BoolArray]:
    """Pick the weighing of each child's months.

    Returns the rows picked, by child and month; which of them are a child's first; and which come in the
    calendar month right after the one before them.
    """
    day = measured[weighed].astype(np.int64)  # NumPy sorts integers several times as fast as dates
    order = weighed[np.lexsort((-weight[weighed], day, key[weighed]))]
    child, month = key[order], measured[order].astype("datetime64[M]").astype(np.int64)
    changes = (child[1:] != child[:-1]) | (month[1:] != month[:-1])
    last = np.ones(order.size, np.bool_)
    last[:-1] = changes
    at, child, month = order[last], child[last], month[last]
    first = np.ones(at.size, np.bool_)
    first[1:] = child[1:] != child[:-1]
    return at, first, ~first & (np.diff(month, prepend=0) == 1)


def _reasons(
    first: BoolArray, follows: BoolArray, no_birth_date: BoolArray, no_sex: BoolArray, months: Int64Array
) -> Int8Array:
    """Return why a gain cannot be judged, COMPARED where it can; of several reasons the last in this list."""
    reason = np.full(first.size, GainReason.COMPARED, np.int8)
    for holds, why in (
        ((months < 0) | (months > KBM_LAST_MONTH), GainReason.NO_KBM_FOR_AGE),
        (months == 0, GainReason.UNDER_ONE_MONTH),
        (no_sex, GainReason.NO_SEX),
        (no_birth_date, GainReason.NO_BIRTH_DATE),
        (~follows, GainReason.NO_WEIGHING_LAST_MONTH),
        (first, GainReason.FIRST_WEIGHING),
    ):
        reason[holds] = why
    return reason


@cache
def _kbm_tables() -> dict[str, Int32Array]:
    """Read ``tables/kbm.csv`` once."""
    tables: dict[str, Int32Array] = {}
    with (resources.files(__package__) / "tables" / "kbm.csv").open(encoding="ascii") as file:
        for row in csv.DictReader(file):
            table = tables.setdefault(row["version"], np.zeros((2, KBM_LAST_MONTH + 1), np.int32))
            table[int(row["sex"]) - 1, int(row["month_from"]) : int(row["month_to"]) + 1] = int(row["grams"])
    for table in tables.values():
        table.flags.writeable = False
    return tables
