"""Which flags about data quality apply: conflicts, values that are hardly possible, and doubtful dates. Pure.

They are raised from each child's newest measurement, compared with the one before it that measured the same. A measurement
in conflict is judged by its first candidate; the conflict is a flag of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from server.children.assessment.scoring import Gains, arm_status, gains, score
from server.children.assessment.timeline import (
    INDICES,
    UNKNOWN,
    Floats,
    Integers,
    Rows,
    Timelines,
    Truths,
    first_candidates,
)
from server.children.flags import Finding
from server.growth.growth_limits import Measure, most_growth_mm
from server.growth.status import (
    arm_for_age_status,
    head_for_age_status,
    length_for_age_status,
    wasting_status,
    weight_for_age_status,
)
from server.growth.weight_gain import GainCode
from server.growth.zscores import FIRST_STANDING_DAY, ZScores


def quality(timelines: Timelines, scores: ZScores) -> Iterator[Finding]:
    """Flag the conflicts of every measurement, and what is hardly possible in each child's newest one."""
    rows = timelines.rows
    for measurement in [number for number, marks in enumerate(rows.conflicts) if marks]:
        marks = rows.conflicts[measurement]
        yield from marks_of(int(rows.child[measurement]), rows.subject(measurement), marks)
    last = np.full(len(timelines.children), -1, np.int64)
    last[rows.child] = np.arange(len(rows))
    yield from oddities(timelines, scores, last[rows.child] == np.arange(len(rows)))


def marks_of(child: int, subject: str, marks: str) -> Iterator[Finding]:
    """Flag a record's marks: registers in conflict, "removed" for a contested removal, "incomplete"."""
    names = marks.split()
    registers = [name for name in names if name not in ("removed", "incomplete")]
    if registers:
        yield Finding(child, "conflict", subject, {"registers": registers})
    if "removed" in names:
        yield Finding(child, "removal_contested", subject, {})
    if "incomplete" in names:
        yield Finding(child, "incomplete", subject, {})


def oddities(timelines: Timelines, scores: ZScores, chosen: Truths) -> Iterator[Finding]:
    """Flag what is hardly possible in some measurements.

    That is: dated before birth, standing under 9 months, a length that shrank, a length or head that grew too much, a weight
    that jumped, and values copied from last month.

    Parameters
    ----------
    chosen : by measurement: which to look at
    """
    rows = timelines.rows
    place = first_candidates(timelines.measurement, len(rows))
    early = timelines.measured_on[place] < timelines.born_on[place]
    alone = {"measured_before_birth": early, "position_unlikely": scores.standing_before_9_months[place]}
    for rule, holds in alone.items():
        for measurement in np.flatnonzero(chosen & holds).tolist():
            yield Finding(int(rows.child[measurement]), rule, rows.subject(measurement), {})
    yield from _shrunk(timelines, scores, place, chosen)
    yield from _outgrown(timelines, scores, place, chosen)
    yield from _jumped(timelines, scores, place, chosen)


def _with_predecessors(rows: Rows, measured: Truths, chosen: Truths) -> tuple[Integers, Integers]:
    """Pair each chosen measurement that has a value with the child's one before it, on an earlier day, that has one too.

    Returns (the earlier, the later), as rows.
    """
    having = np.flatnonzero(measured)
    before, after = having[:-1], having[1:]
    fits = chosen[after] & (rows.child[before] == rows.child[after])
    fits &= rows.measured_on[before] < rows.measured_on[after]
    return before[fits], after[fits]


def _shrunk(timelines: Timelines, scores: ZScores, place: Integers, chosen: Truths) -> Iterator[Finding]:
    """Flag a length that is shorter than the one before by more than two readings may differ."""
    rows = timelines.rows
    before, after = _with_predecessors(rows, timelines.length_mm[place] != UNKNOWN, chosen)
    age, lenhei_cm = scores.age_days[place], scores.lenhei_cm[place]
    change = np.round((lenhei_cm[after] - lenhei_cm[before]) * 10)
    # 10 mm for two readings, and 7 mm more where lying changed to standing at 24 months
    allowed = np.where((age[before] < FIRST_STANDING_DAY) & (age[after] >= FIRST_STANDING_DAY), 17, 10)
    for at in np.flatnonzero(change < -allowed).tolist():
        number, details = int(after[at]), {"change_mm": int(change[at])}
        yield Finding(int(rows.child[number]), "length_shrank", rows.subject(number), details)


def _outgrown(timelines: Timelines, scores: ZScores, place: Integers, chosen: Truths) -> Iterator[Finding]:
    """Flag a length or head that grew by more than any child's does in the days since the one before."""
    rows, age, sex = timelines.rows, scores.age_days[place], timelines.sex[place]
    measures: tuple[tuple[str, Measure, Integers, Floats], ...] = (
        ("length_jumped", "length", timelines.length_mm[place], scores.lenhei_cm[place]),
        ("head_jumped", "head", timelines.head_mm[place], timelines.head_mm[place] / 10),
    )
    for rule, measure, typed_mm, value_cm in measures:
        before, after = _with_predecessors(rows, typed_mm != UNKNOWN, chosen)
        change = np.round((value_cm[after] - value_cm[before]) * 10)
        most = most_growth_mm(measure, sex[after], age[before], age[after])
        for at in np.flatnonzero(change > most).tolist():
            number = int(after[at])
            yield Finding(int(rows.child[number]), rule, rows.subject(number), {"change_mm": int(change[at])})


def _jumped(timelines: Timelines, scores: ZScores, place: Integers, chosen: Truths) -> Iterator[Finding]:
    """Flag a weight that changed by more than 2 kg since last month, and weight and length equal to last month's."""
    rows, weight, length = timelines.rows, timelines.weight_g[place], timelines.length_mm[place]
    before, after = _with_predecessors(rows, weight != UNKNOWN, chosen)
    months = rows.measured_on.astype("datetime64[M]").astype(np.int64)
    apart = months[after] - months[before]
    change = weight[after] - weight[before]
    young = scores.age_days[place][after] < 183  # under half a year a gain of 2 kg in a month is possible
    for at in np.flatnonzero((apart <= 1) & (np.abs(change) > 2000) & ~young).tolist():
        number, details = int(after[at]), {"change_g": int(change[at])}
        yield Finding(int(rows.child[number]), "weight_jumped", rows.subject(number), details)
    same_length = (length[after] == length[before]) & (length[after] != UNKNOWN)
    for at in np.flatnonzero((apart == 1) & (change == 0) & same_length).tolist():
        number = int(after[at])
        yield Finding(int(rows.child[number]), "copied", rows.subject(number), {})


# -- doubtful dates -------------------------------------------------------------------------------


def date_doubts(timelines: Timelines, scores: ZScores, gain: Gains) -> Iterator[Finding]:
    """Flag measurements whose status would differ with corrected dates.

    Where a tablet's clock was wrong, the day of measuring or the birth date may be wrong. Everything is scored a second time
    with those dates shifted, and compared. A doubtful birth date concerns all measurements of the child; only the newest is
    flagged. A measurement whose monthly gain differs because its neighbour's day is doubtful is flagged too.
    """
    rows = timelines.rows
    of_child = np.array([child.clock_days for child in timelines.children], np.int64)
    if not (rows.clock_days.any() or of_child.any()):
        return
    shifted = replace(
        timelines,
        born_on=timelines.born_on + of_child[timelines.child],
        measured_on=timelines.measured_on + rows.clock_days[timelines.measurement],
    )
    differs = _status_differences(timelines, scores, shifted, score(shifted))
    other = gains(shifted)
    judged = np.isin(gain.code, (GainCode.N, GainCode.T)) | np.isin(other.code, (GainCode.N, GainCode.T))
    differs["gain"] = judged & ((gain.code != other.code) | (gain.two_t != other.two_t))
    any_differs = np.logical_or.reduce(list(differs.values()))
    newest = np.full(len(timelines.children), -1, np.int64)
    newest[rows.child[any_differs]] = np.flatnonzero(any_differs)  # rows are in order, so the newest stays
    flagged = rows.clock_days.astype(np.bool_) | differs["gain"] & (of_child[rows.child] == 0)
    flagged |= newest[rows.child] == np.arange(len(rows))
    for row in np.flatnonzero(any_differs & flagged).tolist():
        child = int(rows.child[row])
        own = int(rows.clock_days[row]) or int(of_child[child])
        days = own or _largest(rows.clock_days[rows.child == child].tolist())
        index = [name for name, there in differs.items() if there[row]]
        yield Finding(child, "date_doubtful", rows.subject(row), {"days": days, "index": index})


def _largest(days: Sequence[int]) -> int:
    return max(days, key=lambda d: (abs(d), d))


def _status_differences(
    one: Timelines, one_scores: ZScores, other: Timelines, other_scores: ZScores
) -> dict[str, Truths]:
    """Say by index which measurements differ in status or plausibility in any of their candidates."""
    first, second = _statuses(one, one_scores), _statuses(other, other_scores)
    differs = {name: np.zeros(len(one.rows), np.bool_) for name in first}
    for name, statuses in first.items():
        apart = np.any(statuses != second[name], axis=0)
        np.logical_or.at(differs[name], one.measurement, apart)
    return differs


def _statuses(timelines: Timelines, scores: ZScores) -> dict[str, npt.NDArray[np.int8]]:
    """Return each candidate's class (Permenkes 2/2020) and plausibility mark, by index; shape (2, candidates)."""
    classes = {
        "haz": length_for_age_status(scores.haz.z),
        "waz": weight_for_age_status(scores.waz.z),
        "whz": wasting_status(scores.whz.z, timelines.oedema),
        "baz": wasting_status(scores.baz.z, timelines.oedema),
        "hcz": head_for_age_status(scores.hcz.z),
        "acz": arm_for_age_status(scores.acz.z),
        "muac": arm_status(timelines),
    }
    unclassed = np.zeros(len(timelines.measurement), np.int8)
    marks = {index: getattr(scores, index).implausible for index in INDICES}
    names = dict.fromkeys((*INDICES, *classes))
    return {
        name: np.stack((classes.get(name, unclassed), marks.get(name, unclassed))).astype(np.int8)
        for name in names
    }
