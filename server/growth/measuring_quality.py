"""How well a post measures: the checks of WHO and UNICEF on digits, dates, spread and copying. PURE.

Hides the statistics: the result of perfect measuring, how far chance alone deviates from it, and which deviations somebody
should act on. It judges measuring, never a child and never a cadre. Rules:

- below `FEWEST` measurements there is no result, only how many are still needed: a post of 50 children gives noisy scores;
  take a longer period or the whole health centre instead;
- a finding is reported only if chance alone would cause it in fewer than one of a hundred careful posts (`CHANCE`). With 30
  values a perfect post has a digit preference score of 18 by chance alone, which SMART would call barely acceptable;
- a missing value is `MISSING` (whole numbers) or NaN (scores), and is left out of every share but that of missing values.

Sources. [A] WHO and UNICEF, "Recommendations for data collection, analysis and reporting on anthropometric indicators in
children under 5 years old" (2019), chapter 3: completeness, heaping, terminal digits, mean and SD of z, share flagged.
[B] SMART methodology, as computed by the R package nipnTK (`digitPreference`): the score and its four classes. [C] Usual
SDs of well-run surveys, often quoted from WHO Technical Report 854 (1995). [D] The 5th and 95th percentile of SDs in
51 DHS surveys. [E] ours: no published threshold is known; a choice that may be changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, lgamma, log, log1p, sqrt
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from server.growth.lms import FloatArray

Int64Array: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

FEWEST: Final = 30
"""The fewest values that give a result. [E], after the advice to pool small samples."""
CHANCE: Final = 0.01
"""A share is a finding only if a careful post would reach it by chance less often than this. [E]"""
CHI2_BEYOND_CHANCE: Final = 21.666
"""The 99th percentile of chi-squared with 9 degrees of freedom: ten digits, one sum."""
MISSING: Final = -1
GRAMS_PER_STEP, MILLIMETRES_PER_STEP = 100, 1
"""0.1 kg in grams and 0.1 cm in millimetres: the last digit of a value printed with one decimal."""

GRADES: Final = ("excellent", "good", "acceptable", "problematic")
GRADE_BELOW: Final = (8.0, 12.0, 20.0)
"""A digit preference score below these is excellent, good, acceptable; from the last on it is problematic. [B]"""


class Range(NamedTuple):
    """From and to, both included."""

    low: float
    high: float


USUAL_SD: Final = {"haz": Range(1.10, 1.30), "waz": Range(1.00, 1.20), "whz": Range(0.85, 1.10)}
"""SD of z in well-run surveys. [C]; narrow: most reputable surveys are above it, see OBSERVED_SD."""
OBSERVED_SD: Final = {"haz": Range(1.35, 1.95), "waz": Range(1.17, 1.46), "whz": Range(1.08, 1.50)}
"""SD of z in nine of ten of 51 DHS surveys. [D]"""
ALARM_SD: Final = {"haz": 1.5}
"""Above this SD, lengths or birth dates are doubtful. [E], from [C] and [D]; the other indices have no agreed limit."""
PLAUSIBLE: Final = {"haz": Range(-6, 6), "waz": Range(-6, 5), "whz": Range(-5, 5)}
"""The WHO's limits (2006); a score beyond them is flagged."""

FLAGGED_SHARE: Final = 0.01
"""More flagged than this suggests poor measuring. General knowledge, repeated by [A]."""
MISSING_SHARE: Final = 0.05
"""More missing than this is a finding. [E]"""
COPIED_SHARE: Final = 0.02
"""Share of careful pairs a month apart that agree in weight and length to 0.1 by chance. [E], a cautious estimate."""
FIRST_DAY_SHARE: Final = 12 / 365.25
NEW_YEAR_SHARE: Final = 1 / 365.25
FULL_YEAR_SHARE: Final = 1 / 12
ZERO_FIVE_SHARE: Final = 0.2

FEWEST_OF_SESSION: Final = 5
"""The fewest children with a value of the month before for which a session's increments are compared. [E]"""
SAME_INCREMENT_SHARE: Final = 0.9
PAIR_DAYS: Final = Range(20, 45)
"""Two measurements this far apart (days) count as a month apart."""

MEASURES: Final = ("weight", "length", "muac")
INDICES: Final = ("haz", "waz", "whz")


@dataclass(frozen=True, slots=True)
class Sample:
    """Measurements to judge together, and their children; the arrays of each have one length.

    Parameters
    ----------
    child, session : whole numbers that identify the child and the posyandu day of each measurement
    day : days since any fixed day
    weight_g, length_mm, muac_mm : MISSING where not measured
    position_known : whether lying or standing was recorded
    haz, waz, whz : SD, NaN where not defined
    born_month, born_day : of each *child*: 1 to 12 and 1 to 31, MISSING where unknown
    age_months : of each child when measured last, completed months; MISSING where unknown
    sex_known : of each child
    """

    child: Int64Array
    session: Int64Array
    day: Int64Array
    weight_g: Int64Array
    length_mm: Int64Array
    muac_mm: Int64Array
    position_known: BoolArray
    haz: FloatArray
    waz: FloatArray
    whz: FloatArray
    born_month: Int64Array
    born_day: Int64Array
    age_months: Int64Array
    sex_known: BoolArray


@dataclass(frozen=True, slots=True)
class Digits:
    """The last digits of one measure, 0 to 9.

    Parameters
    ----------
    counts : of each digit; n : of all
    score : digit preference, 0 (all ten equally often) to 100 (always the same one)
    by_chance : the average score of a post without any preference, with this number of values
    zero_five : share of 0 and 5; 0.2 is expected
    grade : one of GRADES
    beyond_chance : whether chance alone is an unlikely cause
    """

    counts: tuple[int, ...]
    n: int
    score: float
    by_chance: float
    zero_five: float
    grade: str
    beyond_chance: bool


@dataclass(frozen=True, slots=True)
class Share:
    """A count of n, the share expected (or tolerated) of a careful post, and whether the count is more than chance."""

    count: int
    n: int
    expected: float
    beyond_chance: bool

    @property
    def share(self) -> float:
        """Return the share, 0 to 1; 0 if n is 0."""
        return self.count / self.n if self.n else 0.0


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and SD of a z-score without implausible scores, which are counted as `flagged`."""

    n: int
    mean: float
    sd: float
    flagged: int

    @property
    def share_flagged(self) -> float:
        """Return the flagged share of all scores, 0 to 1."""
        return self.flagged / (self.n + self.flagged) if self.n + self.flagged else 0.0


@dataclass(frozen=True, slots=True)
class Increments:
    """A session in which (nearly) every child gained the same since the month before.

    Parameters
    ----------
    session : as in the sample
    measure : weight or length
    step : what they gained: g or mm
    children : how many gained exactly that, of `compared` children
    """

    session: int
    measure: str
    step: int
    children: int
    compared: int


@dataclass(frozen=True, slots=True)
class Quality:
    """The result for a sample.

    Parameters
    ----------
    n, children : numbers of measurements and children
    wanted : how many more measurements are needed for a result; 0 from FEWEST on
    digits, spreads : by measure and by index; one with fewer than FEWEST values is left out
    flagged : scores beyond the WHO's limits, of all indices together, a measurement counted once
    missing : by what is missing: weight, length, position (of lengths), birth_date and sex (of children)
    first_days, new_years : births on the first of a month, and on 1 January; full_years : ages of whole years
    increments : sessions where (nearly) all gained the same; copied : pairs a month apart with equal weight and length
    findings : codes of what somebody should act on, in this order
    """

    n: int
    children: int
    wanted: int
    digits: dict[str, Digits]
    spreads: dict[str, Spread]
    flagged: Share
    missing: dict[str, Share]
    first_days: Share
    new_years: Share
    full_years: Share
    increments: tuple[Increments, ...]
    copied: Share
    findings: tuple[str, ...]


FINDINGS: Final = (
    *("digits_weight", "digits_length", "digits_muac"),
    *("same_weight_gain", "same_length_gain", "copied"),
    *("flagged", "spread_haz"),
    *("first_days", "new_years", "full_years"),
    *("missing_weight", "missing_length", "missing_position", "missing_birth_date", "missing_sex"),
)
"""Every code that `judge` can return, the most significant first."""


# -- single checks --------------------------------------------------------------------------------


def last_digits(values: Int64Array, step: int) -> tuple[int, ...]:
    """Count the last digits of values printed with one decimal, halves rounded up.

    Parameters
    ----------
    values : g or mm, MISSING left out
    step : what the last digit stands for, in the same unit: GRAMS_PER_STEP or MILLIMETRES_PER_STEP

    Returns
    -------
    tuple of 10 counts, for the digits 0 to 9
    """
    known = values[values != MISSING]
    digits = (known + step // 2) // step % 10
    return tuple(int(count) for count in np.bincount(digits, minlength=10))


def digit_preference(counts: Sequence[int]) -> Digits:
    """Judge how evenly the ten last digits were used.

    The score is 100 sqrt(chi2 / (9 n)), chi2 over ten equal shares [B]: 0 if all are used equally often, 100 if only one
    is. Without any preference chi2 is 9 on average, and so the score 100 / sqrt(n).

    Parameters
    ----------
    counts : of the digits 0 to 9, at least one in all
    """
    n = sum(counts)
    expected = n / 10
    chi2 = sum((count - expected) ** 2 for count in counts) / expected
    score = 100 * sqrt(chi2 / (9 * n))
    grade = GRADES[sum(score >= limit for limit in GRADE_BELOW)]
    share = (counts[0] + counts[5]) / n
    return Digits(tuple(counts), n, score, 100 / sqrt(n), share, grade, chi2 > CHI2_BEYOND_CHANCE)


def at_least(count: int, n: int, share: float) -> float:
    """Return the probability of `count` or more successes in n trials.

    The upper tail of the binomial distribution, computed as 1 minus the sum of the lower tail.

    Parameters
    ----------
    share : probability of success, 0 to 1, both excluded
    """
    below = (
        exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(share) + (n - k) * log1p(-share))
        for k in range(count)
    )
    return max(0.0, 1.0 - sum(below))


def share_of(count: int, n: int, expected: float) -> Share:
    """Compare a count with the share expected (or tolerated): is it more than chance explains?"""
    return Share(count, n, expected, count > expected * n and at_least(count, n, expected) < CHANCE)


def spread(z: FloatArray, index: str) -> Spread:
    """Return mean and SD (n - 1) of a z-score. Scores beyond the WHO limits are counted and left out of both, as in [A].

    Parameters
    ----------
    z : SD, NaN where not defined
    index : a key of PLAUSIBLE
    """
    known = z[~np.isnan(z)]
    low, high = PLAUSIBLE[index]
    kept = known[(known >= low) & (known <= high)]
    sd = float(kept.std(ddof=1)) if len(kept) > 1 else float("nan")
    mean = float(kept.mean()) if len(kept) else float("nan")
    return Spread(len(kept), mean, sd, len(known) - len(kept))


def flagged_share(sample: Sample) -> Share:
    """Count the measurements with any score beyond the WHO limits, among those that have a score."""
    beyond, scored = np.zeros((2, len(sample.day)), dtype=bool)
    for index, (low, high) in PLAUSIBLE.items():
        z: FloatArray = getattr(sample, index)
        scored = scored | ~np.isnan(z)
        beyond = beyond | (z < low) | (z > high)
    return share_of(int(beyond.sum()), int(scored.sum()), FLAGGED_SHARE)


def missing_shares(sample: Sample) -> dict[str, Share]:
    """Count what was not measured or not recorded; a position is only needed with a length."""
    measured = sample.length_mm != MISSING
    return {
        name: share_of(int((~there).sum()), len(there), MISSING_SHARE)
        for name, there in (
            ("weight", sample.weight_g != MISSING),
            ("length", measured),
            ("position", sample.position_known[measured]),
            ("birth_date", sample.born_day != MISSING),
            ("sex", sample.sex_known),
        )
    }


def heaping(sample: Sample) -> tuple[Share, Share, Share]:
    """Count birth dates on the first of a month and on 1 January, and ages of whole years (from 1 year on).

    Guessed dates heap there. Births are assumed to be spread evenly over the year.
    """
    born = sample.born_day != MISSING
    first = born & (sample.born_day == 1)
    aged = sample.age_months >= 12
    return (
        share_of(int(first.sum()), int(born.sum()), FIRST_DAY_SHARE),
        share_of(int((first & (sample.born_month == 1)).sum()), int(born.sum()), NEW_YEAR_SHARE),
        share_of(int((aged & (sample.age_months % 12 == 0)).sum()), int(aged.sum()), FULL_YEAR_SHARE),
    )


def monthly_pairs(sample: Sample) -> tuple[Int64Array, Int64Array]:
    """Return the indices of each child's measurements about a month apart: (the earlier, the later)."""
    order = np.lexsort((sample.day, sample.child))
    earlier, later = order[:-1], order[1:]
    apart = sample.day[later] - sample.day[earlier]
    running = (apart >= PAIR_DAYS.low) & (apart <= PAIR_DAYS.high)
    kept = running & (sample.child[earlier] == sample.child[later])
    return earlier[kept], later[kept]


def same_increments(sample: Sample, pairs: tuple[Int64Array, Int64Array]) -> tuple[Increments, ...]:
    """Find sessions in which (nearly) every child gained the same weight, or the same length, since the month before.

    Parameters
    ----------
    pairs : as `monthly_pairs` returns them
    """
    earlier, later = pairs
    found = []
    for measure, values in (("weight", sample.weight_g), ("length", sample.length_mm)):
        both = (values[earlier] != MISSING) & (values[later] != MISSING)
        gains, sessions = (values[later] - values[earlier])[both], sample.session[later][both]
        for session in np.unique(sessions):
            steps, counts = np.unique(gains[sessions == session], return_counts=True)
            most, compared = int(counts.max()), int(counts.sum())
            if compared >= FEWEST_OF_SESSION and most >= SAME_INCREMENT_SHARE * compared:
                found.append(Increments(int(session), measure, int(steps[counts.argmax()]), most, compared))
    return tuple(found)


def copied_share(sample: Sample, pairs: tuple[Int64Array, Int64Array]) -> Share:
    """Count the pairs a month apart with equal weight and equal length, among those that have both."""
    earlier, later = pairs
    both, same = np.ones((2, len(earlier)), dtype=bool)
    for values in (sample.weight_g, sample.length_mm):
        both = both & (values[earlier] != MISSING) & (values[later] != MISSING)
        same = same & (values[earlier] == values[later])
    return share_of(int((both & same).sum()), int(both.sum()), COPIED_SHARE)


# -- all of them ----------------------------------------------------------------------------------


def judge(sample: Sample) -> Quality:
    """Make every check that has enough values, and list what somebody should act on."""
    pairs = monthly_pairs(sample)
    measures = {
        "weight": last_digits(sample.weight_g, GRAMS_PER_STEP),
        "length": last_digits(sample.length_mm, MILLIMETRES_PER_STEP),
        "muac": last_digits(sample.muac_mm, MILLIMETRES_PER_STEP),
    }
    spreads = {index: spread(getattr(sample, index), index) for index in INDICES}
    n = len(sample.day)
    quality = Quality(
        n,
        len(sample.sex_known),
        max(0, FEWEST - n),
        {name: digit_preference(counts) for name, counts in measures.items() if sum(counts) >= FEWEST},
        {index: found for index, found in spreads.items() if found.n >= FEWEST},
        flagged_share(sample),
        missing_shares(sample),
        *heaping(sample),
        same_increments(sample, pairs),
        copied_share(sample, pairs),
        (),
    )
    return quality if quality.wanted else replace(quality, findings=_findings(quality))


def _findings(quality: Quality) -> tuple[str, ...]:
    """Return the codes of checks that have enough values and a result beyond chance."""
    shares = {
        "copied": quality.copied,
        "flagged": quality.flagged,
        "first_days": quality.first_days,
        "new_years": quality.new_years,
        "full_years": quality.full_years,
        **{f"missing_{name}": share for name, share in quality.missing.items()},
    }
    holds = {name for name, share in shares.items() if share.n >= FEWEST and share.beyond_chance}
    holds |= {
        f"digits_{name}"
        for name, digits in quality.digits.items()
        if digits.grade == GRADES[-1] and digits.beyond_chance
    }
    holds |= {f"same_{found.measure}_gain" for found in quality.increments}
    holds |= {
        f"spread_{index}"
        for index, limit in ALARM_SD.items()
        if index in quality.spreads and quality.spreads[index].sd > limit
    }
    return tuple(code for code in FINDINGS if code in holds)
