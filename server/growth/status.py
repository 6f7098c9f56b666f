"""The class of a z-score: categories of Permenkes 2/2020, arm circumference classes, and the KMS lines.

Hides the cut-offs and which side of each belongs to which class. Rules:

- a score is classified as shown, rounded to two decimals: -2.00 is normal, -3.00 is the milder class, and an
  upper cut-off (+1, +2, +3) belongs to the class below it;
- codes are stored, never labels: labels are for display and may change;
- a child without a score has no status (-1); it is never "normal";
- oedema of both feet is gizi buruk whatever the score.

Sources: Permenkes No. 2/2020 (standar antropometri anak); Buku KIA 2023 for the red and orange lines;
public implementations of the national guideline (LiLA bands) for the arm.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from server.growth.weight_gain import GainReason
from server.growth.zscores import Reason

Int8Array: TypeAlias = npt.NDArray[np.int8]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

# Index into each tuple = the int8 that the functions below return; UNDEFINED = no status.
UNDEFINED = -1
WEIGHT_FOR_AGE_CODES = ("bb_sangat_kurang", "bb_kurang", "bb_normal", "bb_risiko_lebih")
LENGTH_FOR_AGE_CODES = ("sangat_pendek", "pendek", "normal", "tinggi")
WASTING_CODES = ("gizi_buruk", "gizi_kurang", "gizi_baik", "berisiko_gizi_lebih", "gizi_lebih", "obesitas")
MUAC_CODES = ("gizi_buruk", "gizi_kurang", "normal")

MUAC_FIRST_MONTH, MUAC_LAST_MONTH = 6, 59


@dataclass(frozen=True, slots=True)
class Label:
    """The label of one code: `id` in Indonesian, in the words of the regulation, `en` in English."""

    id: str
    en: str


LABELS: dict[str, Label] = {
    "bb_sangat_kurang": Label("Berat badan sangat kurang", "severely underweight"),
    "bb_kurang": Label("Berat badan kurang", "underweight"),
    "bb_normal": Label("Berat badan normal", "normal weight"),
    "bb_risiko_lebih": Label("Risiko berat badan lebih", "possible overweight"),
    "sangat_pendek": Label("Sangat pendek", "severely stunted"),
    "pendek": Label("Pendek", "stunted"),
    "normal": Label("Normal", "normal"),
    "tinggi": Label("Tinggi", "tall"),
    "gizi_buruk": Label("Gizi buruk", "severely wasted"),
    "gizi_kurang": Label("Gizi kurang", "wasted"),
    "gizi_baik": Label("Gizi baik (normal)", "normal"),
    "berisiko_gizi_lebih": Label("Berisiko gizi lebih", "possible risk of overweight"),
    "gizi_lebih": Label("Gizi lebih", "overweight"),
    "obesitas": Label("Obesitas", "obese"),
}

# What a class means, as a midwife would say it to parents: by index, then by code. Weight for length and BMI have the same
# codes with different sentences. "oedema" is gizi buruk because of oedema, not of a score.
SENTENCES: dict[str, dict[str, Label]] = {
    "haz": {
        "sangat_pendek": Label(
            "Jauh lebih pendek daripada anak seusianya.", "Much shorter than children of this age."
        ),
        "pendek": Label("Lebih pendek daripada anak seusianya.", "Shorter than children of this age."),
        "normal": Label("Tingginya sesuai umur.", "As tall as children of this age."),
        "tinggi": Label(
            "Jauh lebih tinggi daripada anak seusianya; jarang menjadi masalah.",
            "Much taller than children of this age; seldom a problem.",
        ),
    },
    "waz": {
        "bb_sangat_kurang": Label(
            "Jauh lebih ringan daripada anak seusianya: di bawah garis merah KMS.",
            "Much lighter than children of this age: below the red line of the KMS.",
        ),
        "bb_kurang": Label("Lebih ringan daripada anak seusianya.", "Lighter than children of this age."),
        "bb_normal": Label("Beratnya sesuai umur.", "As heavy as children of this age."),
        "bb_risiko_lebih": Label(
            "Lebih berat daripada anak seusianya: di atas garis oranye KMS; lihat BB/TB.",
            "Heavier than children of this age: above the orange line of the KMS; see weight for height.",
        ),
    },
    "whz": {
        "gizi_buruk": Label(
            "Sangat kurus untuk panjang/tingginya; perlu diperiksa di puskesmas hari ini.",
            "Very thin for the length or height; to be seen at the health centre today.",
        ),
        "gizi_kurang": Label("Kurus untuk panjang/tingginya.", "Thin for the length or height."),
        "gizi_baik": Label("Beratnya sesuai panjang/tingginya.", "The weight fits the length or height."),
        "berisiko_gizi_lebih": Label(
            "Agak berat untuk panjang/tingginya; pantau bulan depan.",
            "Somewhat heavy for the length or height; watch next month.",
        ),
        "gizi_lebih": Label("Terlalu berat untuk panjang/tingginya.", "Too heavy for the length or height."),
        "obesitas": Label(
            "Jauh terlalu berat untuk panjang/tingginya.", "Far too heavy for the length or height."
        ),
        "oedema": Label(
            "Kedua kaki bengkak: dinilai gizi buruk berapa pun beratnya; perlu diperiksa hari ini.",
            "Both feet are swollen: counted as severely wasted whatever the weight; to be seen today.",
        ),
    },
    "baz": {
        "gizi_buruk": Label("Sangat kurus untuk umurnya.", "Very thin for the age."),
        "gizi_kurang": Label("Kurus untuk umurnya.", "Thin for the age."),
        "gizi_baik": Label("Tidak kurus dan tidak gemuk untuk umurnya.", "Neither thin nor fat for the age."),
        "berisiko_gizi_lebih": Label(
            "Agak gemuk untuk umurnya; pantau bulan depan.", "Somewhat fat for the age; watch next month."
        ),
        "gizi_lebih": Label("Gemuk untuk umurnya.", "Fat for the age."),
        "obesitas": Label("Sangat gemuk untuk umurnya.", "Very fat for the age."),
        "oedema": Label(
            "Kedua kaki bengkak: berat tidak dapat dinilai.",
            "Both feet are swollen: the weight says nothing.",
        ),
    },
    "muac": {
        "gizi_buruk": Label(
            "Lengan sangat kecil: di bawah 11,5 cm; perlu diperiksa hari ini.",
            "A very thin arm: below 11.5 cm; to be seen today.",
        ),
        "gizi_kurang": Label(
            "Lengan kecil: 11,5 sampai di bawah 12,5 cm.", "A thin arm: 11.5 to below 12.5 cm."
        ),
        "normal": Label(
            "Lingkar lengan cukup: 12,5 cm atau lebih.", "The arm is thick enough: 12.5 cm or more."
        ),
    },
}

# Text of each reason why there is no score; DEFINED has none.
REASON_LABELS: dict[Reason, Label] = {
    Reason.VALUE_MISSING: Label("tidak diukur", "not measured"),
    Reason.NO_SEX: Label("jenis kelamin belum diketahui", "sex not known"),
    Reason.NO_AGE: Label("umur belum diketahui", "age not known"),
    Reason.AGE_OUT_OF_RANGE: Label("umur di luar rentang", "age out of range"),
    Reason.LENGTH_OUT_OF_RANGE: Label("panjang/tinggi di luar rentang", "length or height out of range"),
    Reason.OEDEMA: Label("edema: berat badan tidak dapat dinilai", "oedema: the weight cannot be judged"),
    Reason.VALUE_REFUSED: Label("nilai tidak mungkin, ukur ulang", "impossible value, measure again"),
    Reason.NOT_ASKED: Label("tidak dihitung", "not computed"),
}

# Text of each reason why a weighing has its N/T/O/B code, or none; COMPARED (N, T) has none.
GAIN_REASON_LABELS: dict[GainReason, Label] = {
    GainReason.NOT_WEIGHED: Label("tidak ditimbang", "not weighed"),
    GainReason.LATER_IN_MONTH: Label("ditimbang lagi pada bulan ini", "weighed again later this month"),
    GainReason.FIRST_WEIGHING: Label("baru pertama kali ditimbang", "weighed for the first time"),
    GainReason.NO_WEIGHING_LAST_MONTH: Label("bulan lalu tidak ditimbang", "not weighed last month"),
    GainReason.NO_BIRTH_DATE: Label("tanggal lahir belum diketahui", "birth date not known"),
    GainReason.NO_SEX: Label("jenis kelamin belum diketahui", "sex not known"),
    GainReason.UNDER_ONE_MONTH: Label("umur belum genap satu bulan", "not yet one month old"),
    GainReason.NO_KBM_FOR_AGE: Label("tidak ada KBM untuk umur ini", "no KBM for this age"),
}

# Shown on every page, sheet and answer with a status.
SCREENING_NOTE = Label(
    "Hasil penapisan, bukan diagnosis. Perlu konfirmasi ukur oleh tenaga kesehatan.",
    "Screening result, not a diagnosis. To be confirmed by re-measuring by a health worker.",
)


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
