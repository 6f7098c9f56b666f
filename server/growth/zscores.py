"""WHO z-scores of children under 60 months. Hides the tables, the 0.7 cm rule, the tails, the chunks.

Results equal those of the WHO's R package ``anthro`` 1.1.0 to two decimals (WHO Child Growth Standards 2006 and
2007, computation of centiles and z-scores). The rules that are most often implemented wrongly:

- the age decides the table: length (lying) to day 730, height (standing) from day 731; a measurement taken
  the other way is moved by 0.7 cm first, and the moved value also feeds weight-for-length and BMI;
- scores stop *before* 60 months of 30.4375 days, so day 1826 is the last; outside a table there is no score,
  never the score of the nearest row;
- beyond 3 SD, indices of weight or arm circumference continue in steps of the outermost SD (restricted LMS);
- a score is rounded once, to two decimals, and every cut-off is applied to the rounded value;
- an implausible score is marked, not removed; a score that is not defined is NaN **and** has a `Reason`.

One difference: impossible values (weight 0, length 0), which the reference scores, are refused here.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from server.growth import lms
from server.growth.lms import LAST_PUBLISHED_DAY, FloatArray, TableName

Int8Array: TypeAlias = npt.NDArray[np.int8]
UInt8Array: TypeAlias = npt.NDArray[np.uint8]
IntArray: TypeAlias = npt.NDArray[np.intp]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
IndicatorName: TypeAlias = Literal["haz", "waz", "whz", "baz", "hcz", "acz"]
CurveName: TypeAlias = Literal["haz", "waz", "baz", "hcz", "acz", "wfl", "wfh"]

MALE, FEMALE = 1, 2
LYING, STANDING = 1, 2
INDICATORS: tuple[IndicatorName, ...] = get_args(IndicatorName)
ALL: frozenset[IndicatorName] = frozenset(INDICATORS)

DAYS_PER_MONTH = 30.4375
LAST_SCORED_DAY = 1826
FIRST_STANDING_DAY = 731
_MONTHS_LIMIT = 60
_STANDS_FROM_MONTHS = 9
_STANDS_FROM_CM = 87  # only where the age and the position are both unknown
_LYING_MINUS_STANDING_CM = 0.7

# Limits the memory of a call and keeps the working arrays in cache. Measured: with 2,048 rows a third of the
# speed is lost to the overhead of NumPy calls; beyond 16,384 there is little gain.
_CHUNK_ROWS = 16_384


class Reason(IntEnum):
    """Why a score is not defined. Of several reasons the one with the highest number is reported."""

    DEFINED = 0
    VALUE_MISSING = 1
    NO_SEX = 2
    NO_AGE = 3
    AGE_OUT_OF_RANGE = 4
    LENGTH_OUT_OF_RANGE = 5
    OEDEMA = 6
    VALUE_REFUSED = 7
    NOT_ASKED = 8


@dataclass(frozen=True, slots=True)
class Indicator:
    """One index of every child, in the shape that the inputs broadcast to.

    Parameters
    ----------
    z : array of float
        Standard deviations, rounded to two decimals; NaN where the standard gives none. Never ``-0.0``.
    implausible : array of int8
        1 where the rounded score lies outside the WHO's limits for data quality, 0 where not, -1 without one.
    reason : array of uint8
        `Reason` of a missing score; ``Reason.DEFINED`` (0) exactly where ``z`` is a number.
    """

    z: FloatArray
    implausible: Int8Array
    reason: UInt8Array


@dataclass(frozen=True, slots=True)
class ZScores:
    """The results of `zscores`, in the shape that the inputs broadcast to (scalars: 0-d arrays).

    Parameters
    ----------
    age_days : array of float
        Completed days, halves rounded up; NaN where the age is missing or refused.
    lenhei_cm : array of float
        Length or height after the 0.7 cm rule, cm, unrounded ("clenhei"); NaN where missing or refused.
    position : array of int8
        `LYING`, `STANDING` or 0 ("cmeasure"): 0 also where standing was recorded before 9 months.
    standing_before_9_months : array of bool
        The position was held to be a recording error and set aside ("c9mo_flag").
    bmi : array of float
        kg/m2 from the corrected length, unrounded ("cbmi"); NaN where either part is missing or refused.
    haz, waz, whz, baz, hcz, acz : Indicator
        Length/height-for-age, weight-for-age, weight-for-length/height, BMI-for-age, head circumference- and
        arm circumference-for-age.
    """

    age_days: FloatArray
    lenhei_cm: FloatArray
    position: Int8Array
    standing_before_9_months: BoolArray
    bmi: FloatArray
    haz: Indicator
    waz: Indicator
    whz: Indicator
    baz: Indicator
    hcz: Indicator
    acz: Indicator


@dataclass(frozen=True, slots=True)
class _Rule:
    """What differs between indicators (WHO 2006, 2007)."""

    table_by_age: TableName | None
    void_with_oedema: bool
    lowest_plausible: float
    highest_plausible: float
    first_day: int = 0


_RULES: dict[IndicatorName, _Rule] = {
    "haz": _Rule("lhfa", False, -6, 6),
    "waz": _Rule("wfa", True, -6, 5),
    "whz": _Rule(None, True, -5, 5),  # wfl or wfh, chosen for each child
    "baz": _Rule("bfa", True, -5, 5),
    "hcz": _Rule("hcfa", False, -5, 5),
    "acz": _Rule("acfa", False, -5, 5, first_day=91),
}


_CURVES: dict[CurveName, TableName] = {
    "haz": "lhfa",
    "waz": "wfa",
    "baz": "bfa",
    "hcz": "hcfa",
    "acz": "acfa",
    "wfl": "wfl",
    "wfh": "wfh",
}

# L is 1 in every row of these two (tested): no power, and no restricted tails.
_PLAIN: frozenset[TableName] = frozenset({"lhfa", "hcfa"})


@dataclass(frozen=True, slots=True)
class _Inputs:
    """Flat columns of one length; a scalar stays a single number in memory (stride 0)."""

    sex: Int8Array
    age_days: FloatArray
    age_months: FloatArray
    weight_kg: FloatArray
    lenhei_cm: FloatArray
    position: Int8Array
    headc_cm: FloatArray
    armc_cm: FloatArray
    oedema: BoolArray

    def rows(self, part: slice) -> "_Inputs":
        return _Inputs(*(getattr(self, field.name)[part] for field in fields(self)))


@dataclass(frozen=True, slots=True)
class _Body:
    """One chunk of children, cleaned: the input of all indicators' formulas."""

    sex_row: IntArray
    age_row: IntArray  # into the flat tables by age
    day: FloatArray
    sex_reason: UInt8Array
    age_reason: UInt8Array
    oedema_reason: UInt8Array
    on_height_table: BoolArray
    weight_kg: FloatArray
    weight_reason: UInt8Array
    lenhei_cm: FloatArray
    lenhei_reason: UInt8Array
    bmi: FloatArray
    headc_cm: FloatArray
    armc_cm: FloatArray


def zscores(
    *,
    sex: npt.ArrayLike,
    age_days: npt.ArrayLike | None = None,
    age_months: npt.ArrayLike | None = None,
    weight_kg: npt.ArrayLike | None = None,
    lenhei_cm: npt.ArrayLike | None = None,
    position: npt.ArrayLike | None = None,
    headc_cm: npt.ArrayLike | None = None,
    armc_cm: npt.ArrayLike | None = None,
    oedema: npt.ArrayLike | None = None,
    indicators: Collection[IndicatorName] = ALL,
) -> ZScores:
    """Score children against the WHO Child Growth Standards.

    Every argument is a scalar or an array; they broadcast against each other, and the result has the shape
    they broadcast to. Scalars give 0-d arrays: ``float(zscores(sex=1, age_days=365, weight_kg=9.6).waz.z)``.

    Parameters
    ----------
    sex : array_like of int
        `MALE` (1), `FEMALE` (2), 0 missing (no score of any kind).
    age_days : array_like of float, optional
        Age in days, fractions allowed, 0 and more; NaN missing. Without an age only ``whz`` is scored.
    age_months : array_like of float, optional
        Age in months of 30.4375 days, read where ``age_days`` is missing.
    weight_kg, lenhei_cm : array_like of float, optional
        Weight in kilograms, length or height in centimetres, above 0; NaN missing.
    position : array_like of int, optional
        How ``lenhei_cm`` was taken: `LYING` (1), `STANDING` (2), 0 unknown (taken as fitting the age).
    headc_cm, armc_cm : array_like of float, optional
        Head and mid-upper arm circumference in centimetres, above 0; NaN missing.
    oedema : array_like of bool, optional
        Pitting oedema of both feet: the weight is then partly water, so waz, whz and baz are not defined.
    indicators : collection of str
        Which indices to compute; the others come back as NaN with ``Reason.NOT_ASKED``.

    Returns
    -------
    ZScores
        Two-decimal scores, each with its plausibility mark and, where it is NaN, its reason.

    Raises
    ------
    ValueError
        For a sex or position outside 0, 1, 2, an unknown indicator name, or shapes that do not broadcast.
        An impossible *measurement* is never an error: it is ``Reason.VALUE_REFUSED``.

    Notes
    -----
    Source: WHO Child Growth Standards 2006 (length, weight, BMI) and 2007 (head, arm).
    """
    unknown = sorted(set(indicators) - ALL)
    if unknown:
        raise ValueError(f"unknown indicators {', '.join(unknown)}; there are {', '.join(INDICATORS)}")
    columns = (
        _codes("sex", sex),
        _numbers(age_days),
        _numbers(age_months),
        _numbers(weight_kg),
        _numbers(lenhei_cm),
        _codes("position", position),
        _numbers(headc_cm),
        _numbers(armc_cm),
        np.asarray(False if oedema is None else oedema, dtype=np.bool_),
    )
    shape = np.broadcast_shapes(*(column.shape for column in columns))
    flat_columns: list[Any] = [np.broadcast_to(column, shape).reshape(-1) for column in columns]
    inputs = _Inputs(*flat_columns)
    scores = _unscored(shape, indicators)
    flat = _flat_view(scores)
    # Rows without a score are computed like the others and blanked afterwards: their warnings are ignored.
    with np.errstate(all="ignore"):
        for start in range(0, inputs.sex.size, _CHUNK_ROWS):
            part = slice(start, start + _CHUNK_ROWS)
            _score_chunk(inputs.rows(part), flat, part, indicators)
    return scores


def curve(
    indicator: CurveName, sex: int, z_lines: Sequence[float] = (-3, -2, -1, 0, 1, 2, 3)
) -> tuple[FloatArray, FloatArray]:
    """Return the measurements that lie on given z lines, to draw a growth chart from.

    Parameters
    ----------
    indicator : str
        haz, waz, baz, hcz or acz (by age), or wfl, wfh (weight by length, by height).
    sex : int
        `MALE` (1) or `FEMALE` (2).
    z_lines : sequence of float, shape (lines,)
        Standard deviations.

    Returns
    -------
    x : array of float, shape (n,)
        Completed days 0 to 1826 (acz from 91), or centimetres in steps of 0.1.
    y : array of float, shape (lines, n)
        cm, kg or kg/m2. The curve of haz steps down at day 731, where lying becomes standing: draw it as two.

    Raises
    ------
    ValueError
        For an unknown indicator or sex.
    """
    if indicator not in _CURVES or sex not in (MALE, FEMALE):
        raise ValueError(
            f"no curve of {indicator!r} for sex {sex!r}; there are {', '.join(_CURVES)}, sex 1 and 2"
        )
    table = lms.table(_CURVES[indicator])
    scored = ~np.isnan(table.m[0]) & (table.x <= LAST_SCORED_DAY)
    row = table.l[sex - 1, scored], table.m[sex - 1, scored], table.s[sex - 1, scored]
    z = np.asarray(z_lines, dtype=np.float64)[:, np.newaxis]
    within = z if _CURVES[indicator] in _PLAIN else np.clip(z, -3, 3)
    edge = np.copysign(3.0, z)
    step = np.abs(_value_at(edge, *row) - _value_at(edge * (2 / 3), *row))
    return table.x[scored], _value_at(within, *row) + (z - within) * step


def _numbers(column: npt.ArrayLike | None) -> FloatArray:
    return np.asarray(np.nan if column is None else column, dtype=np.float64)


def _codes(name: str, column: npt.ArrayLike | None) -> Int8Array:
    codes = np.asarray(0 if column is None else column)
    if codes.size and not (codes.min() >= 0 and codes.max() <= 2):
        raise ValueError(f"{name} is coded 1 or 2, and 0 where it is missing")
    return codes.astype(np.int8)


def _unscored(shape: tuple[int, ...], indicators: Collection[IndicatorName]) -> ZScores:
    not_asked = Indicator(
        np.broadcast_to(np.float64(np.nan), shape),
        np.broadcast_to(np.int8(-1), shape),
        np.broadcast_to(np.uint8(Reason.NOT_ASKED), shape),
    )
    return ZScores(
        np.empty(shape),
        np.empty(shape),
        np.empty(shape, np.int8),
        np.empty(shape, np.bool_),
        np.empty(shape),
        **{
            name: Indicator(np.empty(shape), np.empty(shape, np.int8), np.empty(shape, np.uint8))
            if name in indicators
            else not_asked
            for name in INDICATORS
        },
    )


def _flat_view(scores: ZScores) -> ZScores:
    """Return the same memory as one-dimensional arrays."""
    flat: dict[str, Any] = {}
    for field in fields(scores):
        value = getattr(scores, field.name)
        if isinstance(value, Indicator):
            flat[field.name] = Indicator(
                value.z.reshape(-1), value.implausible.reshape(-1), value.reason.reshape(-1)
            )
        else:
            flat[field.name] = value.reshape(-1)
    return replace(scores, **flat)


def _score_chunk(chunk: _Inputs, out: ZScores, part: slice, indicators: Collection[IndicatorName]) -> None:
    body = _clean(chunk, out, part)
    for name in INDICATORS:
        if name not in indicators:
            continue
        rule = _RULES[name]
        measured, reason = _measured(name, body)
        reason = np.maximum(reason, body.sex_reason)
        if rule.void_with_oedema:
            reason = np.maximum(reason, body.oedema_reason)
        if rule.table_by_age is None:
            z, range_reason = _weight_for_length(measured, body)
        else:
            z, range_reason = _for_age(measured, body, rule.table_by_age, rule.first_day)
        reason = np.maximum(reason, range_reason)
        target: Indicator = getattr(out, name)
        _write(z, reason, rule, target, part)


def _clean(chunk: _Inputs, out: ZScores, part: slice) -> _Body:
    """Determine age, position and length of a chunk, write them to `out`, and return what the scores need."""
    day, months, age_reason = _ages(chunk.age_days, chunk.age_months)
    position, too_young = _positions(chunk.position, months)
    weight_kg, weight_reason = _accepted(chunk.weight_kg)
    lenhei_cm, lenhei_reason = _accepted(chunk.lenhei_cm)
    on_height_table = _on_height_table(day, position, lenhei_cm)
    lenhei_cm = _moved(lenhei_cm, day, position, on_height_table)
    metres = lenhei_cm / 100
    bmi = weight_kg / (metres * metres)
    bmi[np.isinf(bmi)] = np.nan
    sex_row = (chunk.sex == FEMALE).astype(np.intp)
    out.age_days[part] = day
    out.lenhei_cm[part] = lenhei_cm
    out.position[part] = position
    out.standing_before_9_months[part] = too_young
    out.bmi[part] = bmi
    return _Body(
        sex_row=sex_row,
        age_row=_age_rows(sex_row, day),
        day=day,
        sex_reason=_where(chunk.sex == 0, Reason.NO_SEX),
        age_reason=age_reason,
        oedema_reason=_where(chunk.oedema, Reason.OEDEMA),
        on_height_table=on_height_table,
        weight_kg=weight_kg,
        weight_reason=weight_reason,
        lenhei_cm=lenhei_cm,
        lenhei_reason=lenhei_reason,
        bmi=bmi,
        headc_cm=chunk.headc_cm,
        armc_cm=chunk.armc_cm,
    )


def _where(holds: BoolArray, reason: Reason) -> UInt8Array:
    return holds.view(np.uint8) * np.uint8(reason)


def _ages(age_days: FloatArray, age_months: FloatArray) -> tuple[FloatArray, FloatArray, UInt8Array]:
    """Return rounded days, unrounded months, and the reason why an index by age has no score.

    Both ages are needed: the standard's limits apply to months as given, its tables to whole days. Exactly
    60 months gives no score, although 60 x 30.4375 rounds to day 1826.
    """
    in_months = np.isnan(age_days)
    if in_months.any():
        days = np.where(in_months, age_months * DAYS_PER_MONTH, age_days)
        months = np.where(in_months, age_months, age_days / DAYS_PER_MONTH)
    else:
        days, months = age_days, age_days / DAYS_PER_MONTH
    reason = _where(~(months < _MONTHS_LIMIT), Reason.AGE_OUT_OF_RANGE)
    day = np.floor(days + 0.5)
    possible = (days >= 0) & (days < np.inf)
    if not possible.all():
        reason = np.where(possible, reason, np.uint8(Reason.VALUE_REFUSED))
        reason = np.where(np.isnan(days), np.uint8(Reason.NO_AGE), reason)
        day[~possible] = np.nan
    return day, months, reason


def _positions(position: Int8Array, months: FloatArray) -> tuple[Int8Array, BoolArray]:
    """Ignore a standing position before 9 months: it is taken as a recording error."""
    too_young = (position == STANDING) & (months < _STANDS_FROM_MONTHS)
    return np.where(too_young, np.int8(0), position), too_young


def _accepted(measured: FloatArray) -> tuple[FloatArray, UInt8Array]:
    """Return the measurement, NaN where it is missing or impossible, and the reason."""
    accepted = (measured > 0) & (measured < np.inf)
    if accepted.all():
        return measured, np.zeros(measured.size, np.uint8)
    missing = np.isnan(measured)
    reason = _where(~accepted, Reason.VALUE_REFUSED)
    reason[missing] = Reason.VALUE_MISSING
    return np.where(accepted, measured, np.nan), reason


def _on_height_table(day: FloatArray, position: Int8Array, lenhei_cm: FloatArray) -> BoolArray:
    """Say who is scored by the height table: by age; without age by position; without both by size."""
    standing = day >= FIRST_STANDING_DAY
    unknown = np.isnan(day)
    if unknown.any():
        guess = np.where(position == 0, lenhei_cm >= _STANDS_FROM_CM, position == STANDING)
        standing = np.where(unknown, guess, standing)
    return standing


def _moved(
    lenhei_cm: FloatArray, day: FloatArray, position: Int8Array, on_height_table: BoolArray
) -> FloatArray:
    """Apply the 0.7 cm rule: a child measures longer lying than standing."""
    # With an unknown age nothing is corrected: the position chose the table, so they cannot disagree.
    lengthen = ~on_height_table & (position == STANDING) & (day >= 0)
    shorten = on_height_table & (position == LYING) & (day >= 0)
    if not (lengthen.any() or shorten.any()):
        return lenhei_cm
    direction = lengthen.view(np.int8) - shorten.view(np.int8)
    moved: FloatArray = lenhei_cm + _LYING_MINUS_STANDING_CM * direction
    return moved


def _age_rows(sex_row: IntArray, day: FloatArray) -> IntArray:
    """Return rows of the flat tables by age; without a scored age row 0, whose score is blanked by its reason."""
    known = np.where(day <= LAST_SCORED_DAY, day, 0).astype(np.intp)
    return sex_row * (LAST_PUBLISHED_DAY + 1) + known


def _measured(name: IndicatorName, body: _Body) -> tuple[FloatArray, UInt8Array]:
    """Return the values that an indicator scores, and the reason where there is none."""
    if name == "haz":
        # Metres typed as centimetres can become negative by the 0.7 cm rule.
        return body.lenhei_cm, np.maximum(
            body.lenhei_reason, _where(body.lenhei_cm <= 0, Reason.VALUE_REFUSED)
        )
    if name == "waz":
        return body.weight_kg, body.weight_reason
    if name in ("whz", "baz"):
        both = np.maximum(body.weight_reason, body.lenhei_reason)
        return (body.weight_kg if name == "whz" else body.bmi), both
    return _accepted(body.headc_cm if name == "hcz" else body.armc_cm)


def _for_age(
    measured: FloatArray, body: _Body, table_name: TableName, first_day: int
) -> tuple[FloatArray, UInt8Array]:
    """Score by age: the row of the child's day, no interpolation."""
    table = lms.table(table_name)
    median = table.m.ravel()[body.age_row]
    spread = table.s.ravel()[body.age_row]
    reason = body.age_reason
    if first_day:
        reason = np.maximum(reason, _where(body.day < first_day, Reason.AGE_OUT_OF_RANGE))
    if table_name in _PLAIN:
        return (measured / median - 1) / spread, reason
    return _restricted_z(measured, table.l.ravel()[body.age_row], median, spread), reason


def _weight_for_length(weight_kg: FloatArray, body: _Body) -> tuple[FloatArray, UInt8Array]:
    """Score weight by length or height, interpolating between the rows 0.1 cm apart."""
    tables = lms.length_tables()
    steps = body.lenhei_cm * 10
    lower_step = np.trunc(steps)
    fraction = np.maximum((body.lenhei_cm - lower_step / 10) / 0.1, 0)
    start = body.sex_row * tables.rows_per_sex
    start += np.where(body.on_height_table, tables.standing_offset, tables.lying_offset)
    last_row = tables.median.size - 1
    lower = np.clip(start + lower_step.astype(np.intp), 0, last_row)
    # Not lower + 1: where a rounding error puts a length just below a row (51.9 - 0.7), the reference, which
    # truncates the sum, takes one row further, and its result is the standard's.
    upper = np.clip(start + (steps + 1).astype(np.intp), 0, last_row)
    median, spread = tables.median[lower], tables.spread[lower]
    median += fraction * (tables.median[upper] - median)
    spread += fraction * (tables.spread[upper] - spread)
    z = _restricted_z(weight_kg, tables.power[body.sex_row], median, spread)
    shortest = np.where(body.on_height_table, 65.0, 45.0)
    longest = np.where(body.on_height_table, 120.0, 110.0)
    outside = (body.lenhei_cm < shortest) | (body.lenhei_cm > longest)
    reason = _where(outside, Reason.LENGTH_OUT_OF_RANGE)
    # The age chooses the table but is not needed: without one the position does.
    return z, np.maximum(reason, body.age_reason * (body.age_reason != Reason.NO_AGE))


def _restricted_z(
    measured: FloatArray, power: FloatArray, median: FloatArray, spread: FloatArray
) -> FloatArray:
    """Score by L, M, S; beyond 3 SD in steps of the outermost SD, because the power is misleading far out."""
    z: FloatArray = ((measured / median) ** power - 1) / (spread * power)
    far = np.flatnonzero(np.abs(z) > 3)
    if far.size:
        edge = np.copysign(3.0, z[far])
        row = power[far], median[far], spread[far]
        at_edge = _value_at(edge, *row)
        step = np.abs(at_edge - _value_at(edge * (2 / 3), *row))
        z[far] = edge + (measured[far] - at_edge) / step
    return z


def _value_at(z: FloatArray, power: FloatArray, median: FloatArray, spread: FloatArray) -> FloatArray:
    """Return the measurement z standard deviations from the median (L is never 0)."""
    value: FloatArray = median * (1 + power * spread * z) ** (1 / power)
    return value


def _write(z: FloatArray, reason: UInt8Array, rule: _Rule, target: Indicator, part: slice) -> None:
    """Round once, mark what is implausible, and blank what has a reason."""
    z = np.rint(z * 100) / 100 + 0.0  # halves to even as in R 4; + 0.0 makes -0.0 a plain 0
    reason = np.maximum(reason, _where(~np.isfinite(z) & (reason == 0), Reason.VALUE_REFUSED))
    implausible = ((z < rule.lowest_plausible) | (z > rule.highest_plausible)).view(np.int8)
    if reason.any():
        undefined = reason != Reason.DEFINED
        z[undefined] = np.nan
        implausible[undefined] = -1
    target.z[part] = z
    target.implausible[part] = implausible
    target.reason[part] = reason
