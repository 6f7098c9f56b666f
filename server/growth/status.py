"""The class of a z-score: categories of Permenkes 2/2020, arm circumference classes, and the KMS lines.

Hides the cut-offs and which side of each belongs to which class. Rules:

- a score is classified as shown, rounded to two decimals: -2.00 is normal, -3.00 is the milder class, and an
  upper cut-off (+1, +2, +3) belongs to the class below it;
- codes are stored, never labels: `server.children.labels` has these, and they may change;
- a child without a score has no status (-1); it is never "normal";
- oedema of both feet is gizi buruk whatever the score.

Sources: Permenkes No. 2/2020 (standar antropometri anak); Buku KIA 2023 for the red and orange lines;
public implementations of the national guideline (LiLA bands) for the arm.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Int8Array: TypeAlias = npt.NDArray[np.int8]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

# Index into each tuple = the int8 that the functions below return; UNDEFINED = no status.
UNDEFINED = -1
WEIGHT_FOR_AGE_CODES = ("bb_sangat_kurang", "bb_kurang", "bb_normal", "bb_risiko_lebih")
LENGTH_FOR_AGE_CODES = ("sangat_pendek", "pendek", "normal", "tinggi")
WASTING_CODES = ("gizi_buruk", "gizi_kurang", "gizi_baik", "berisiko_gizi_lebih", "gizi_lebih", "obesitas")
MUAC_CODES = ("gizi_buruk", "gizi_kurang", "normal")

MUAC_FIRST_MONTH, MUAC_LAST_MONTH = 6, 59


def weight_for_age_status(waz: npt.ArrayLike) -> Int8Array:
    """Classify BB/U.

    Parameters
    ----------
    waz : array_like of float
        Weight-for-age z-score; NaN undefined.

    Returns
    -------
    array of int8
        Index into `WEIGHT_FOR_AGE_CODES`: below -3, below -2, up to +1, above +1; -1 undefined.
    """
    return _classify(waz, below=(-3, -2), above=(1,))


def length_for_age_status(haz: npt.ArrayLike) -> Int8Array:
    """Classify PB/U or TB/U; "stunting" is the first two classes together.

    Parameters
    ----------
    haz : array_like of float
        Length/height-for-age z-score; NaN undefined.

    Returns
    -------
    array of int8
        Index into `LENGTH_FOR_AGE_CODES`: below -3, below -2, up to +3, above +3; -1 undefined.
    """
    return _classify(haz, below=(-3, -2), above=(3,))


def wasting_status(z: npt.ArrayLike, oedema: npt.ArrayLike = False) -> Int8Array:
    """Classify BB/PB, BB/TB or IMT/U: the same classes for all three.

    Parameters
    ----------
    z : array_like of float
        Weight-for-length/height or BMI-for-age z-score; NaN undefined.
    oedema : array_like of bool
        Pitting oedema of both feet: gizi buruk, whatever the score or its absence.

    Returns
    -------
    array of int8
        Index into `WASTING_CODES`: below -3, below -2, up to +1, +2, +3, above +3; -1 undefined.
    """
    status = _classify(z, below=(-3, -2), above=(1, 2, 3))
    return np.where(np.asarray(oedema, dtype=np.bool_), np.int8(0), status)


def muac_status(muac_mm: npt.ArrayLike, age_months: npt.ArrayLike) -> Int8Array:
    """Classify the mid-upper arm circumference (LiLA) of a child of 6 to 59 completed months.

    Parameters
    ----------
    muac_mm : array_like of int
        Whole millimetres; 0 or less is missing.
    age_months : array_like of int
        Completed calendar months (`weight_gain.months_completed`); -1 unknown.

    Returns
    -------
    array of int8
        Index into `MUAC_CODES`: below 115 mm, 115 to 124, 125 and more; -1 before 6 months, from 60 months
        on, and where the arm or the age is missing.
    """
    muac = np.asarray(muac_mm)
    months = np.asarray(age_months)
    used = (muac > 0) & (months >= MUAC_FIRST_MONTH) & (months <= MUAC_LAST_MONTH)
    status = (muac >= 115).astype(np.int8) + (muac >= 125)
    return np.where(used, status, UNDEFINED).astype(np.int8)


def head_for_age_status(hcz: npt.ArrayLike) -> Int8Array:
    """Classify LK/U; below -2 and above +2 the child is looked at again.

    Parameters
    ----------
    hcz : array_like of float
        Head circumference-for-age z-score; NaN undefined.

    Returns
    -------
    array of int8
        0 below -3, 1 below -2, 2 up to +2, 3 up to +3, 4 above +3; -1 undefined.
    """
    return _classify(hcz, below=(-3, -2), above=(2, 3))


def arm_for_age_status(acz: npt.ArrayLike) -> Int8Array:
    """Classify LiLA/U, which beside the classes of the arm itself also holds from 3 to 6 months.

    Parameters
    ----------
    acz : array_like of float
        Arm circumference-for-age z-score; NaN undefined.

    Returns
    -------
    array of int8
        0 below -3, 1 below -2, 2 otherwise; -1 undefined.
    """
    return _classify(acz, below=(-3, -2), above=())


def below_red_line(waz: npt.ArrayLike) -> BoolArray:
    """Say who is below the red line of the KMS (BGM): BB/U below -3. A reason to look again, not a diagnosis.

    Parameters
    ----------
    waz : array_like of float
        Weight-for-age z-score; NaN (undefined) is not below.
    """
    return np.asarray(_as_shown(waz) < -3)


def above_orange_line(waz: npt.ArrayLike) -> BoolArray:
    """Say who is above the orange line of the KMS: BB/U above +1.

    Parameters
    ----------
    waz : array_like of float
        Weight-for-age z-score; NaN (undefined) is not above.
    """
    return np.asarray(_as_shown(waz) > 1)


def code_names(status: npt.ArrayLike, codes: Sequence[str]) -> list[str | None]:
    """Return the code of each child as text, None where undefined.

    Parameters
    ----------
    status : array_like of int8, shape (n,)
        The result of one of the functions above.
    codes : sequence of str
        The codes of that function, for example `WASTING_CODES`.
    """
    return [None if index == UNDEFINED else codes[index] for index in np.atleast_1d(status).tolist()]


def _as_shown(z: npt.ArrayLike) -> npt.NDArray[np.float64]:
    return np.asarray(z, dtype=np.float64).round(2)


def _classify(z: npt.ArrayLike, below: Sequence[int], above: Sequence[int]) -> Int8Array:
    """Count the cut-offs that a rounded score has reached (`below`) or passed (`above`)."""
    rounded = _as_shown(z)
    status = np.zeros(rounded.shape, np.int8)
    for cut_off in below:
        status += rounded >= cut_off
    for cut_off in above:
        status += rounded > cut_off
    return np.where(np.isnan(rounded), np.int8(UNDEFINED), status)
