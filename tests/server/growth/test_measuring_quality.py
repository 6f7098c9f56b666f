"""The data-quality checks, against cases worked out by hand: digits, shares, spread, copying; and what few values say."""

from dataclasses import replace
from datetime import date, timedelta
from math import comb, isnan, sqrt
from typing import Any

import numpy as np
import pytest

from server.growth import measuring_quality
from server.growth.measuring_quality import (
    FEWEST,
    FINDINGS,
    GRAMS_PER_STEP,
    MILLIMETRES_PER_STEP,
    MISSING,
    Sample,
    at_least,
    copied_share,
    digit_preference,
    flagged_share,
    heaping,
    judge,
    last_digits,
    missing_shares,
    monthly_pairs,
    same_increments,
    share_of,
    spread,
)


def whole(*values: int) -> Any:
    return np.array(values, np.int64)


def scores(*values: float) -> Any:
    return np.array(values, np.float64)


def make_sample(n: int = 60, children: int | None = None, **overrides: Any) -> Sample:
    """Give a sample in which nothing stands out: each of n children measured once, digits spread evenly."""
    numbers = np.arange(n)
    children = n if children is None else children
    persons = np.arange(children)
    fields: dict[str, Any] = {
        "child": numbers % children,
        "session": numbers // children,
        "day": 738_000 + 30 * (numbers // children),
        "weight_g": 8_000 + 100 * (numbers * 7 % 40),
        "length_mm": 700 + numbers * 3 % 80,
        "muac_mm": np.full(n, MISSING),
        "position_known": np.ones(n, bool),
        **{index: np.linspace(-2, 2, n) for index in measuring_quality.INDICES},
        "born_month": persons % 12 + 1,
        "born_day": persons % 28 + 2,
        "age_months": persons % 11 + 1,
        "sex_known": np.ones(children, bool),
    }
    return Sample(**{**fields, **overrides})


# -- digits ---------------------------------------------------------------------------------------


def test_last_digits_are_those_of_the_value_printed_with_one_decimal() -> None:
    # 7.45 kg prints as 7.5 (half up), 7.44 as 7.4, 7.96 as 8.0; missing ones are left out
    counts = last_digits(whole(7450, 7440, 7960, 8000, MISSING), GRAMS_PER_STEP)
    assert counts == (2, 0, 0, 0, 1, 1, 0, 0, 0, 0)
    assert last_digits(whole(741, 745, 740, 1205), MILLIMETRES_PER_STEP) == (1, 1, 0, 0, 0, 2, 0, 0, 0, 0)


def test_digit_preference_is_none_when_all_digits_are_used_as_often() -> None:
    found = digit_preference([10] * 10)
    assert (found.score, found.grade, found.zero_five, found.beyond_chance) == (0, "excellent", 0.2, False)


def test_digit_preference_is_whole_when_one_digit_is_used_alone() -> None:
    # chi2 = (100 - 10)^2 / 10 + 9 (0 - 10)^2 / 10 = 810 + 90 = 900; 100 sqrt(900 / (9 * 100)) = 100
    found = digit_preference([100, *[0] * 9])
    assert (found.score, found.grade, found.zero_five, found.beyond_chance) == (100, "problematic", 1, True)


def test_digit_preference_is_as_worked_out_by_hand_when_halves_are_preferred() -> None:
    # n = 100: 30 zeros, 30 fives, 5 of each other: chi2 = (2 * 20^2 + 8 * 5^2) / 10 = 100; 100 sqrt(100 / 900) = 33.33
    found = digit_preference([30, 5, 5, 5, 5, 30, 5, 5, 5, 5])
    assert found.score == pytest.approx(100 / 3)
    assert (found.n, found.zero_five, found.grade, found.beyond_chance) == (100, 0.6, "problematic", True)


def test_digit_preference_may_be_chance_when_values_are_few() -> None:
    # n = 30: chi2 = (4 * 3^2 + 2 * 0 + 4 * 1.5^2) / 3 is below 21.67, and yet the score exceeds 20
    found = digit_preference([6, 1, 6, 2, 3, 6, 3, 1, 1, 1])
    assert found.score == pytest.approx(100 * sqrt(((3 * 9) + 4 * 4 + 1) / 3 / 270))
    assert (found.grade, found.beyond_chance) == ("problematic", False)
    assert found.by_chance == pytest.approx(100 / sqrt(30))


@pytest.mark.parametrize(
    ("e", "grade"),
    [
        (53, "excellent"),  # 100 sqrt(2 * 53^2 / 100 / 9000) = 7.90
        (54, "good"),  # 8.05
        (80, "good"),  # 11.93
        (81, "acceptable"),  # 12.07
        (99, "acceptable"),  # 14.76
    ],
)
def test_a_class_begins_at_its_limit(e: int, grade: str) -> None:
    assert digit_preference([100 + e, 100 - e, *[100] * 8]).grade == grade


# -- shares ---------------------------------------------------------------------------------------


def test_at_least_is_the_upper_tail_of_the_binomial() -> None:
    # of 3 throws with 1/2 each: 2 or 3 heads in 4 of 8 cases
    assert at_least(2, 3, 0.5) == pytest.approx(0.5)
    assert at_least(0, 3, 0.5) == 1
    by_hand = sum(comb(30, k) * 0.01**k * 0.99 ** (30 - k) for k in range(2, 31))
    assert at_least(2, 30, 0.01) == pytest.approx(by_hand)


def test_a_share_is_beyond_chance_only_when_it_hardly_ever_comes_about() -> None:
    # one flagged of 30 is 3.3 %, but happens in 26 of 100 careful posts; four happen in 2 of 10,000
    assert not share_of(1, 30, 0.01).beyond_chance
    assert share_of(4, 30, 0.01).beyond_chance
    assert share_of(1, 30, 0.01).share == pytest.approx(1 / 30)


def test_a_share_of_nothing_is_none() -> None:
    assert (share_of(0, 0, 0.05).share, share_of(0, 0, 0.05).beyond_chance) == (0, False)


def test_missing_positions_are_counted_of_lengths_alone() -> None:
    sample = make_sample(
        4,
        weight_g=whole(8000, MISSING, 8100, 8200),
        length_mm=whole(700, 710, MISSING, MISSING),
        position_known=np.array([True, False, False, False]),
        born_day=whole(1, 2, MISSING, 4),
        sex_known=np.array([True, False, False, True]),
    )
    found = {name: (share.count, share.n) for name, share in missing_shares(sample).items()}
    assert found == {
        "weight": (1, 4),
        "length": (2, 4),
        "position": (1, 2),
        "birth_date": (1, 4),
        "sex": (2, 4),
    }


def test_birth_dates_are_counted_on_the_first_and_on_new_year_and_ages_at_whole_years() -> None:
    sample = make_sample(
        5,
        born_month=whole(1, 3, 1, 5, MISSING),
        born_day=whole(1, 1, 2, 9, MISSING),
        age_months=whole(12, 24, 13, 0, MISSING),
    )
    first, new_year, years = heaping(sample)
    assert (first.count, first.n) == (2, 4)
    assert (new_year.count, new_year.n) == (1, 4)
    assert (years.count, years.n) == (2, 3)  # an infant of 0 months is no whole year


# -- scores ---------------------------------------------------------------------------------------


def test_spread_leaves_flagged_scores_out_and_counts_them() -> None:
    # of -1, 0, 1: mean 0, SD sqrt((1 + 0 + 1) / 2) = 1; 7 lies beyond +6; NaN is no score
    found = spread(scores(-1, 0, 1, 7, float("nan")), "haz")
    assert (found.n, found.mean, found.sd, found.flagged, found.share_flagged) == (3, 0, 1, 1, 0.25)


@pytest.mark.parametrize(
    ("index", "inside", "beyond"),
    [("haz", (-6, 6), (-6.01, 6.01)), ("waz", (-6, 5), (-6.01, 5.01)), ("whz", (-5, 5), (-5.01, 5.01))],
)
def test_a_score_is_flagged_beyond_the_limits_of_the_who(index: str, inside: Any, beyond: Any) -> None:
    assert spread(scores(*inside), index).flagged == 0
    assert spread(scores(*beyond), index).flagged == 2


def test_spread_is_undefined_when_there_is_no_score() -> None:
    found = spread(scores(float("nan")), "waz")
    assert (found.n, found.share_flagged, isnan(found.mean), isnan(found.sd)) == (0, 0, True, True)


def test_a_measurement_is_flagged_once_when_several_of_its_scores_are() -> None:
    nothing = float("nan")
    sample = make_sample(
        3, haz=scores(7, 0, nothing), waz=scores(6, 0, nothing), whz=scores(nothing, 0, nothing)
    )
    assert (flagged_share(sample).count, flagged_share(sample).n) == (1, 2)


# -- one month and the next -----------------------------------------------------------------------


def two_months(weights: list[tuple[int, int]], lengths: list[tuple[int, int]], days: int = 30) -> Sample:
    """Give children measured twice: each pair the values of the first month and of the second."""
    n = len(weights)
    return make_sample(
        2 * n,
        n,
        day=np.repeat([738_000, 738_000 + days], n),
        weight_g=whole(*(first for first, _ in weights), *(second for _, second in weights)),
        length_mm=whole(*(first for first, _ in lengths), *(second for _, second in lengths)),
    )


@pytest.mark.parametrize(("days", "pairs"), [(19, 0), (20, 3), (45, 3), (46, 0)])
def test_measurements_are_of_two_months_running_when_20_to_45_days_apart(days: int, pairs: int) -> None:
    sample = two_months([(8000, 8200)] * 3, [(700, 710)] * 3, days)
    earlier, later = monthly_pairs(sample)
    assert len(earlier) == pairs
    assert list(later - earlier) == [3] * pairs


def test_a_session_is_found_when_all_gained_the_same() -> None:
    weights = [(8000 + 130 * k, 8200 + 130 * k) for k in range(5)]
    sample = two_months(weights, [(700, 700 + 7 + k) for k in range(5)])
    (found,) = same_increments(sample, monthly_pairs(sample))
    assert (found.measure, found.step, found.children, found.compared, found.session) == (
        "weight",
        200,
        5,
        5,
        1,
    )


def test_a_session_is_not_found_when_one_in_five_gained_otherwise() -> None:
    weights = [(8000, 8200)] * 4 + [(8000, 8300)]
    sample = two_months(weights, [(700, 707 + k) for k in range(5)])
    assert same_increments(sample, monthly_pairs(sample)) == ()


def test_a_session_is_not_judged_when_fewer_than_five_can_be_compared() -> None:
    sample = two_months([(8000, 8200)] * 4 + [(8000, MISSING)], [(700, MISSING)] * 5)
    assert same_increments(sample, monthly_pairs(sample)) == ()


def test_a_pair_is_copied_only_when_weight_and_length_are_the_same() -> None:
    sample = two_months(
        [(8000, 8000), (8000, 8000), (8000, 8100), (8000, MISSING)],
        [(700, 700), (700, 701), (700, 700), (700, 700)],
    )
    found = copied_share(sample, monthly_pairs(sample))
    assert (found.count, found.n) == (1, 3)


# -- all of them ----------------------------------------------------------------------------------


def test_nothing_is_said_when_one_measurement_is_lacking() -> None:
    found = judge(make_sample(FEWEST - 1, length_mm=np.full(FEWEST - 1, 700)))
    assert (found.wanted, found.n, found.digits, found.spreads, found.findings) == (1, 29, {}, {}, ())


def test_something_is_said_when_there_are_just_enough() -> None:
    found = judge(make_sample(FEWEST, length_mm=np.full(FEWEST, 700)))
    assert (found.wanted, found.findings) == (0, ("digits_length",))
    assert set(found.digits) == {"weight", "length"}


def test_nothing_stands_out_when_a_post_measures_well() -> None:
    assert judge(make_sample(200)).findings == ()


def test_nothing_is_said_of_no_measurement() -> None:
    found = judge(make_sample(0))
    assert (found.wanted, found.children, found.findings) == (FEWEST, 0, ())


def all_on(day: date, n: int) -> dict[str, Any]:
    return {"born_month": np.full(n, day.month), "born_day": np.full(n, day.day)}


@pytest.mark.parametrize(
    ("code", "overrides"),
    [
        ("digits_weight", {"weight_g": np.full(60, 8000)}),
        ("digits_length", {"length_mm": np.full(60, 705)}),
        ("digits_muac", {"muac_mm": np.full(60, 140)}),
        ("flagged", {"waz": np.append(np.linspace(-2, 2, 55), [9.0] * 5)}),
        ("spread_haz", {"haz": np.linspace(-4, 4, 60)}),
        ("first_days", all_on(date(2025, 3, 1), 60)),
        ("new_years", all_on(date(2025, 1, 1), 60)),
        ("full_years", {"age_months": np.full(60, 24)}),
        ("missing_weight", {"weight_g": np.full(60, MISSING)}),
        ("missing_length", {"length_mm": np.full(60, MISSING)}),
        ("missing_position", {"position_known": np.zeros(60, bool)}),
        ("missing_birth_date", {"born_day": np.full(60, MISSING)}),
        ("missing_sex", {"sex_known": np.zeros(60, bool)}),
    ],
)
def test_each_fault_is_found(code: str, overrides: dict[str, Any]) -> None:
    assert code in judge(make_sample(60, **overrides)).findings


def test_what_is_copied_or_gained_by_all_is_found() -> None:
    same = two_months(
        [(8000 + 70 * k, 8000 + 70 * k) for k in range(40)], [(700 + k, 700 + k) for k in range(40)]
    )
    assert {"copied", "same_weight_gain", "same_length_gain"} <= set(judge(same).findings)


def test_findings_are_told_in_their_order() -> None:
    faults = make_sample(
        60, length_mm=np.full(60, 700), sex_known=np.zeros(60, bool), haz=np.linspace(-4, 4, 60)
    )
    found = judge(faults).findings
    assert list(found) == [code for code in FINDINGS if code in found]
    assert len(found) == 3


def test_a_child_is_looked_at_in_the_order_of_days_whatever_the_order_of_rows() -> None:
    sample = two_months([(8000, 8200)] * 5, [(700, 710)] * 5)
    turned = np.arange(9, -1, -1)
    names = ("child", "session", "day", "weight_g", "length_mm", "muac_mm", "position_known")
    other = replace(sample, **{name: getattr(sample, name)[turned] for name in names})
    assert same_increments(other, monthly_pairs(other)) == same_increments(sample, monthly_pairs(sample))


def test_a_year_of_days_has_as_many_first_days_as_are_expected() -> None:
    days = [date(2024, 1, 1) + timedelta(days=k) for k in range(366)]
    assert sum(day.day == 1 for day in days) / 366 == pytest.approx(
        measuring_quality.FIRST_DAY_SHARE, rel=0.01
    )
