"""Which flags apply to a child: absence, registration, duplicates, and growth. Pure.

- Flags about growth are raised from the newest value of each index, by its worst candidate: a child is flagged if **any**
  candidate is beyond the limit.
- Flags about data quality (`quality_rules`) are raised from the newest measurement.
- A removed child gets no flags.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from typing import Final

import numpy as np

from server.children.assessment.quality_rules import date_doubts, marks_of, quality
from server.children.assessment.scoring import Gains, arm_status
from server.children.assessment.timeline import UNKNOWN, Floats, Integers, Timelines, Truths
from server.children.flags import Finding
from server.growth.weight_gain import GainCode, GainReason, kbm_g, months_completed
from server.growth.zscores import ZScores

_LOWER_RULES: Final = {
    "haz": (("severely_stunted", -3), ("stunted", -2)),
    "waz": (("below_red_line", -3), ("underweight", -2)),
    "whz": (("severely_wasted", -3), ("wasted", -2)),
    "baz": (),
    "hcz": (("head_very_small", -3), ("head_small", -2)),
    "acz": (("muac_for_age_severe", -3), ("muac_for_age_moderate", -2)),
}
"""By index: the rules that apply below a limit (SD), the most serious first. `implausible` applies to every index."""
_UPPER_RULES: Final[Mapping[str, tuple[tuple[str, int], ...]]] = {
    "waz": (("above_orange_line", 1),),
    "whz": (("overweight", 2),),
    "hcz": (("head_very_large", 3), ("head_large", 2)),
}
"""By index: the rules that apply above a limit (SD), the most serious first."""
INFANT_MONTHS: Final = 6
"""An infant under this age, in completed months, that does not gain is seen today."""


def findings(
    timelines: Timelines, scores: ZScores, gain: Gains, today: date, day_of: Callable[[datetime], date]
) -> list[Finding]:
    """Find every flag of these children, but for possible duplicates.

    Parameters
    ----------
    today : in the district; decides who has not been seen
    day_of : gives the district's calendar day of a moment

    Returns
    -------
    list of Finding : at most one for each child, rule and subject
    """
    found = [*_registration(timelines), *_absence(timelines, today, day_of)]
    if len(timelines.rows):
        found += _growth(timelines, scores)
        found += _oedema(timelines)
        found += _arms(timelines)
        found += _weight_gain(timelines, gain)
        found += quality(timelines, scores)
        found += date_doubts(timelines, scores, gain)
    present = {number for number, child in enumerate(timelines.children) if not child.removed}
    return [finding for finding in found if finding.child in present]


def possible_duplicates(timelines: Timelines, pairs: Mapping[tuple[str, str], int]) -> Iterator[Finding]:
    """Flag persons who may be registered twice, both of a pair. A pair that has been linked meanwhile is ignored.

    Parameters
    ----------
    pairs : scores of open pairs, by the ids of both children
    """
    scores: dict[int, list[int]] = {}
    for (one, other), score in pairs.items():
        sides = [timelines.members.get(one), timelines.members.get(other)]
        here = {side for side in sides if side is not None} if sides[0] != sides[1] else set()
        for number in here:
            scores.setdefault(number, []).append(score)
    for number, several in scores.items():
        if not timelines.children[number].removed:
            yield Finding(number, "possible_duplicate", "", {"pairs": len(several), "score": max(several)})


def months_back(today: date, months: int) -> date:
    """Return the first day of the calendar month that lies so many months before today's."""
    year, month = divmod(today.year * 12 + today.month - 1 - months, 12)
    return date(year, month + 1, 1)


def _registration(timelines: Timelines) -> Iterator[Finding]:
    """Flag conflicts and gaps of the child's own record."""
    for number, child in enumerate(timelines.children):
        if child.conflicts:
            yield from marks_of(number, "", child.conflicts)
        if not child.registered:
            yield Finding(number, "not_registered", "", {})
        elif "identity" not in child.conflicts:
            if child.born_on is None:
                yield Finding(number, "birth_date_unknown", "", {})
            if child.sex is None:
                yield Finding(number, "sex_unknown", "", {})


def _absence(timelines: Timelines, today: date, day_of: Callable[[datetime], date]) -> Iterator[Finding]:
    """Flag registered children under five who were measured neither this calendar month nor last.

    For a child who was never measured, the time runs from when the record was first seen. `absence` states the same rule
    for the database.
    """
    last = np.full(len(timelines.children), np.datetime64("NaT"), "datetime64[D]")
    last[timelines.rows.child] = timelines.rows.measured_on  # rows are in order, so the newest stays
    since, five_years_ago = months_back(today, 1), months_back(today, 60)
    never = np.isnat(last).tolist()
    lately = (last >= np.datetime64(since)).tolist()
    for number, child in enumerate(timelines.children):
        if lately[number] or (never[number] and day_of(child.first_seen_at) >= since):
            continue
        if child.registered and child.born_on is not None and child.born_on > five_years_ago:
            # the date makes a later absence another flag, which an earlier closing of the case does not cover
            yield Finding(number, "not_seen", "", {} if never[number] else {"last": str(last[number])})


def _growth(timelines: Timelines, scores: ZScores) -> Iterator[Finding]:
    """Compare the newest value of each index with its limits: the lowest candidate with the lower, the highest with the
    upper."""
    for index, rules in _LOWER_RULES.items():
        indicator = getattr(scores, index)
        newest, lowest, highest, implausible = _newest(timelines, indicator.z, indicator.implausible == 1)
        upper = _UPPER_RULES.get(index, ())
        low = max((limit for _, limit in rules), default=-np.inf)
        high = min((limit for _, limit in upper), default=np.inf)
        flagged = (newest >= 0) & ((lowest < low) | (highest > high) | implausible)
        numbers = np.flatnonzero(flagged)
        columns = (column[numbers].tolist() for column in (newest, lowest, highest, implausible))
        for number, row, least, most, marked in zip(numbers.tolist(), *columns, strict=True):
            subject = timelines.rows.subject(row)
            details = {"index": index, "z": _two_decimals(least)}
            below = next((name for name, limit in rules if least < limit), None)
            above = next((name for name, limit in upper if most > limit), None)
            if below:
                yield Finding(number, below, subject, details)
            if above:
                yield Finding(number, above, subject, {**details, "z": _two_decimals(most)})
            if marked:
                yield Finding(number, "implausible", f"{subject}/{index}", details)


def _oedema(timelines: Timelines) -> Iterator[Finding]:
    """Flag oedema, unless the child was weighed later without it."""
    newest, *_ = _newest(timelines, np.where(timelines.oedema, 0.0, np.nan), timelines.oedema)
    weighed = np.where(timelines.weight_g == UNKNOWN, np.nan, 0.0)
    latest, *_ = _newest(timelines, weighed, timelines.oedema)
    for number in np.flatnonzero((newest >= 0) & (newest >= latest)).tolist():
        yield Finding(number, "oedema", timelines.rows.subject(newest[number]), {})


def _arms(timelines: Timelines) -> Iterator[Finding]:
    """Flag the newest arm circumference below 125 mm, below 115 mm as severe, by its lowest candidate."""
    status = arm_status(timelines)
    arm = np.where(status >= 0, timelines.muac_mm.astype(np.float64), np.nan)
    newest, lowest, *_ = _newest(timelines, arm, status == 0)
    for number in np.flatnonzero(newest >= 0).tolist():
        if lowest[number] < 125:
            rule = "muac_severe" if lowest[number] < 115 else "muac_moderate"
            subject = timelines.rows.subject(newest[number])
            yield Finding(number, rule, subject, {"muac_mm": int(lowest[number])})


def _weight_gain(timelines: Timelines, gain: Gains) -> Iterator[Finding]:
    """Flag infants that do not gain; others by T or 2T at the newest weighing with a code. An infant may have 2T as well."""
    infants = list(_infants(timelines, gain))
    yield from infants
    seen_today = {finding.child for finding in infants}
    coded = np.flatnonzero(gain.code != GainCode.NONE)
    newest = _last_rows(timelines, coded)
    flagged = (newest >= 0) & (gain.two_t | (gain.code == GainCode.T))[newest]
    for number in np.flatnonzero(flagged).tolist():
        row = int(newest[number])
        rule, details = "two_t" if gain.two_t[row] else "not_gaining", {"gain_g": int(gain.gain_g[row])}
        if rule == "two_t" or number not in seen_today:
            yield Finding(number, rule, timelines.rows.subject(row), details)


def _infants(timelines: Timelines, gain: Gains) -> Iterator[Finding]:
    """Flag infants whose gain since the month's weighing before the newest is below the KBM of their age.

    Months without a weighing in between change nothing: what is too little for one month is too little for several. The KBM
    of these ages is the same for both sexes. Of several candidates the lightest is compared with the heaviest before.
    """
    newest, before = _monthly_weighings(timelines, gain)
    heaviest = np.zeros(len(timelines.rows), np.int64)
    np.maximum.at(heaviest, timelines.measurement, timelines.weight_g)
    chosen = (newest[timelines.child] == timelines.measurement) & (before[timelines.child] >= 0)
    at = np.flatnonzero(chosen & (timelines.weight_g > 0))
    months = months_completed(timelines.born_on[at], timelines.measured_on[at])
    gain_g = timelines.weight_g[at] - heaviest[before[timelines.child[at]]]
    needed = kbm_g().min(axis=0)[np.clip(months, 0, INFANT_MONTHS)]
    short = (months >= 1) & (months < INFANT_MONTHS) & (gain_g < needed)
    least: dict[int, int] = {}
    for number, grams in zip(timelines.child[at[short]].tolist(), gain_g[short].tolist(), strict=True):
        least[number] = min(grams, least.get(number, grams))
    for number, grams in least.items():
        subject = timelines.rows.subject(int(newest[number]))
        yield Finding(number, "infant_not_gaining", subject, {"gain_g": grams})


def _monthly_weighings(timelines: Timelines, gain: Gains) -> tuple[Integers, Integers]:
    """Return by child the newest weighing of a month, and the one of an earlier month before it; -1 without one."""
    not_of_a_month = (GainReason.NOT_WEIGHED, GainReason.LATER_IN_MONTH)
    weighed = np.flatnonzero(~np.isin(gain.reason, not_of_a_month))
    newest = _last_rows(timelines, weighed)
    return newest, _last_rows(timelines, np.setdiff1d(weighed, newest))


def _last_rows(timelines: Timelines, chosen: Integers) -> Integers:
    """Return by child the last of some measurements, given in order; -1 without one."""
    last = np.full(len(timelines.children), -1, np.int64)
    last[timelines.rows.child[chosen]] = chosen
    return last


def _newest(timelines: Timelines, value: Floats, mark: Truths) -> tuple[Integers, Floats, Floats, Truths]:
    """Return by child: the newest measurement with a value (-1 without one), its candidates' lowest and highest value, and
    whether any of them has the mark.

    Parameters
    ----------
    value : by candidate, NaN where there is none
    mark : by candidate
    """
    count = len(timelines.children)
    newest = np.full(count, -1, np.int64)
    defined = np.flatnonzero(~np.isnan(value))
    np.maximum.at(newest, timelines.child[defined], timelines.measurement[defined])
    chosen = defined[timelines.measurement[defined] == newest[timelines.child[defined]]]
    lowest, highest = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(lowest, timelines.child[chosen], value[chosen])
    np.maximum.at(highest, timelines.child[chosen], value[chosen])
    marked = np.zeros(count, np.bool_)
    np.logical_or.at(marked, timelines.child[chosen], mark[chosen])
    return newest, lowest, highest, marked


def _two_decimals(z: float) -> str:
    """Write a score as text: flag details hold no fractions."""
    return f"{z:.2f}"
