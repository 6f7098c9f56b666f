"""N, T, O, B: the calendar, the KBM table, and what happens to a timeline whatever order its rows come in."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from server.growth import ENGINE_VERSION
from server.growth.weight_gain import (
    CODE_NAMES,
    KBM_VERSION,
    NO_GAIN,
    GainCode,
    GainReason,
    WeightGain,
    kbm_g,
    kbm_versions,
    months_completed,
    weight_gain,
)

BORN = "2024-01-10"


def timeline(
    weighings: list[tuple[str, int]], *, born_on: str = BORN, sex: int = 1, **others: Any
) -> WeightGain:
    dates, weights = zip(*weighings, strict=True)
    return weight_gain([7] * len(weights), born_on, sex, list(dates), list(weights), **others)


def letters(result: WeightGain) -> str:
    return "".join(CODE_NAMES[code] or "-" for code in result.code)


# ---- completed months


@pytest.mark.parametrize(
    ("born_on", "measured_on", "months"),
    [
        ("2024-01-10", "2024-01-10", 0),
        ("2024-01-10", "2024-02-09", 0),
        ("2024-01-10", "2024-02-10", 1),
        ("2024-01-31", "2024-02-28", 0),
        ("2024-01-31", "2024-02-29", 1),
        ("2023-01-31", "2023-02-27", 0),
        ("2023-01-31", "2023-02-28", 1),
        ("2023-03-31", "2023-04-29", 0),
        ("2023-03-31", "2023-04-30", 1),
        ("2024-02-29", "2025-02-27", 11),
        ("2024-02-29", "2025-02-28", 12),
        ("2024-02-29", "2028-02-28", 47),
        ("2024-02-29", "2028-02-29", 48),
        ("2024-02-29", "2024-03-28", 0),
        ("2024-02-29", "2024-03-29", 1),
        ("2023-12-31", "2024-01-31", 1),
        ("2024-01-10", "2024-01-09", -1),
        ("NaT", "2024-01-09", -1),
        ("2024-01-10", "NaT", -1),
    ],
)
def test_month_is_complete_on_the_day_of_birth_or_the_last_when_the_month_is_shorter(
    born_on: str, measured_on: str, months: int
) -> None:
    assert months_completed(born_on, measured_on) == months


@given(st.dates(date(1990, 1, 1), date(2030, 12, 31)), st.integers(0, 2000))
@settings(deadline=None)
def test_months_never_fall_when_a_child_grows_a_day_older(born_on: date, age_days: int) -> None:
    measured = [born_on + timedelta(days=age_days + later) for later in range(32)]
    months = months_completed(born_on, measured).tolist()
    assert set(np.diff(months).tolist()) <= {0, 1}
    assert months[-1] - months[0] in (1, 2)


# ---- KBM table


def test_kbm_is_that_of_the_card_when_the_child_is_a_boy() -> None:
    expected = [0, 800, 900, 800, 600, 500, 400, 400, 300, 300, 300, 300] + [200] * 49
    assert kbm_g()[0].tolist() == expected


def test_kbm_is_that_of_the_card_when_the_child_is_a_girl() -> None:
    expected = [0, 800, 900, 800, 600, 500, 400, 300, 300, 300, 300] + [200] * 50
    assert kbm_g()[1].tolist() == expected


def test_kbm_covers_every_month_once_when_any_version_is_read() -> None:
    assert kbm_versions()[0] == KBM_VERSION
    for version in kbm_versions():
        table = kbm_g(version)
        assert (table[:, 1:] > 0).all()
        assert table[:, 1:7].tolist() == [[800, 900, 800, 600, 500, 400]] * 2


def test_kbm_version_decides_when_two_readings_disagree() -> None:
    weighings = [("2024-07-12", 8000), ("2024-08-12", 8350)]
    assert letters(timeline(weighings)) == "BT"
    assert letters(timeline(weighings, version="both-sexes-300-to-11-1")) == "BN"


def test_kbm_is_an_error_when_the_version_is_unknown() -> None:
    with pytest.raises(ValueError, match=KBM_VERSION):
        timeline([("2024-07-12", 8000)], version="kms-1999")


def test_kbm_cannot_be_written_when_shared() -> None:
    with pytest.raises(ValueError, match="read-only"):
        kbm_g()[0, 1] = 0


# ---- N and T


@pytest.mark.parametrize(("gain_g", "code"), [(299, "T"), (300, "N"), (0, "T"), (-200, "T")])
def test_gain_equal_to_the_kbm_is_n_when_compared_in_grams(gain_g: int, code: str) -> None:
    result = timeline([("2024-09-12", 9300), ("2024-10-12", 9300 + gain_g)])
    assert letters(result) == "B" + code
    assert (result.gain_g[1], result.kbm_g[1]) == (gain_g, 300)
    assert result.reason[1] == GainReason.COMPARED


@pytest.mark.parametrize(("sex", "code"), [(1, "T"), (2, "N")])
def test_kbm_differs_by_sex_when_the_child_is_seven_months_old(sex: int, code: str) -> None:
    assert letters(timeline([("2024-07-12", 8000), ("2024-08-12", 8300)], sex=sex)) == "B" + code


def test_kbm_is_that_of_the_completed_month_when_the_birthday_falls_after_the_weighing() -> None:
    result = timeline([("2024-07-31", 8000), ("2024-08-09", 8400)])
    assert result.kbm_g.tolist() == [0, 400]  # still 6 completed months on 9 August


def test_last_month_is_the_calendar_month_when_59_days_lie_between() -> None:
    assert letters(timeline([("2024-07-01", 8000), ("2024-08-29", 8400)])) == "BN"


def test_last_month_is_december_when_this_is_january() -> None:
    assert letters(timeline([("2024-12-30", 9000), ("2025-01-02", 9300)])) == "BN"


# ---- O and B


def test_code_is_o_when_last_month_was_missed() -> None:
    result = timeline([("2024-07-12", 8000), ("2024-09-12", 9000), ("2024-10-12", 9400)])
    assert letters(result) == "BON"
    assert result.reason[1] == GainReason.NO_WEIGHING_LAST_MONTH
    assert result.gain_g.tolist() == [NO_GAIN, NO_GAIN, 400]


def test_code_is_o_with_a_reason_when_no_month_of_age_is_complete() -> None:
    result = timeline([("2024-01-31", 3400), ("2024-02-05", 3600)])
    assert letters(result) == "BO"
    assert result.reason[1] == GainReason.UNDER_ONE_MONTH
    assert (result.gain_g[1], result.kbm_g[1]) == (200, 0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"born_on": "NaT"}, GainReason.NO_BIRTH_DATE),
        ({"sex": 0}, GainReason.NO_SEX),
        ({"born_on": "2019-07-12"}, GainReason.NO_KBM_FOR_AGE),  # 61 months
        ({"born_on": "2025-01-01"}, GainReason.NO_KBM_FOR_AGE),  # not yet born
    ],
)
def test_code_is_o_with_a_reason_when_no_kbm_applies(change: dict[str, Any], reason: GainReason) -> None:
    result = timeline([("2024-07-12", 8000), ("2024-08-12", 8900)], **change)
    assert letters(result) == "BO"
    assert result.reason[1] == reason


def test_kbm_still_applies_when_the_child_is_60_months_old() -> None:
    assert letters(timeline([("2024-07-12", 18_000), ("2024-08-12", 18_200)], born_on="2019-08-12")) == "BN"


# ---- rows that get no code, ties


def test_month_counts_its_last_weighing_when_there_are_several() -> None:
    result = timeline(
        [("2024-07-01", 7000), ("2024-07-28", 8000), ("2024-08-03", 8100), ("2024-08-20", 8500)]
    )
    assert letters(result) == "-B-N"
    assert result.reason[0] == result.reason[2] == GainReason.LATER_IN_MONTH
    assert result.gain_g[3] == 500


@pytest.mark.parametrize("order", [[0, 1, 2], [0, 2, 1], [2, 0, 1]])
def test_month_counts_the_lightest_when_one_day_has_two_weighings(order: list[int]) -> None:
    rows = [("2024-07-12", 8000), ("2024-08-12", 8100), ("2024-08-12", 8900)]
    result = timeline([rows[index] for index in order])
    assert [CODE_NAMES[result.code[order.index(index)]] for index in range(3)] == ["B", "T", ""]


@pytest.mark.parametrize("missing", [("2024-08-12", 0), ("2024-08-12", -1), ("NaT", 8500)])
def test_row_has_no_code_when_weight_or_date_is_missing(missing: tuple[str, int]) -> None:
    result = timeline([("2024-07-12", 8000), missing, ("2024-09-12", 9000)])
    assert letters(result) == "B-O"
    assert result.reason[1] == GainReason.NOT_WEIGHED


# ---- 2T


def test_2t_needs_t_in_two_calendar_months_when_they_follow_each_other() -> None:
    months = [f"2024-{month:02}-12" for month in (7, 8, 9, 10, 12)]
    result = timeline(list(zip(months, (8000, 8050, 8100, 8800, 8810), strict=True)))
    assert letters(result) == "BTTNO"
    assert result.two_t.tolist() == [False, False, True, False, False]


def test_2t_is_broken_by_o_when_a_month_was_missed() -> None:
    months = [f"2024-{month:02}-12" for month in (7, 8, 10, 11)]
    result = timeline(list(zip(months, (8000, 8050, 8060, 8070), strict=True)))
    assert letters(result) == "BTOT"
    assert not result.two_t.any()


def test_2t_does_not_leap_between_children_when_their_rows_touch() -> None:
    dates = ["2024-07-12", "2024-08-12"] * 2
    result = weight_gain([1, 1, 2, 2], BORN, 1, dates, [8000, 8000, 9000, 9000])
    assert letters(result) == "BTBT"
    assert not result.two_t.any()


# ---- whole batches


def test_result_is_empty_when_there_are_no_rows() -> None:
    assert weight_gain([], "NaT", 1, "NaT", 0).code.size == 0


def test_result_has_no_codes_when_nobody_was_weighed() -> None:
    assert letters(timeline([("2024-07-12", 0), ("NaT", 8000)])) == "--"


def test_call_is_an_error_when_a_sex_is_none_of_ours() -> None:
    with pytest.raises(ValueError, match="sex is coded"):
        timeline([("2024-07-12", 8000)], sex=3)


def test_result_names_its_table_when_kept_with_an_assessment() -> None:
    assert timeline([("2024-07-12", 8000)]).version == KBM_VERSION
    assert ENGINE_VERSION.startswith("growth-")


births = st.one_of(st.just("NaT"), st.dates(date(2020, 1, 1), date(2024, 6, 1)).map(str))
rows = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.one_of(st.just("NaT"), st.dates(date(2023, 11, 1), date(2024, 9, 30)).map(str)),
        st.integers(-1, 12).map(lambda step: step * 100),
    ),
    max_size=40,
)


def plain_codes(child_rows: list[tuple[str, int]], born_on: str, sex: int) -> dict[str, str]:
    """Code of each month of one child, written from the rules in plain Python."""
    last: dict[tuple[int, int], tuple[date, int]] = {}
    for text, weight_g in child_rows:
        if text != "NaT" and weight_g > 0:
            day = date.fromisoformat(text)
            month = day.year, day.month
            if month not in last or (day, -weight_g) > (last[month][0], -last[month][1]):
                last[month] = day, weight_g
    codes: dict[str, str] = {}
    for position, month in enumerate(sorted(last)):
        day, weight_g = last[month]
        before = last.get((month[0], month[1] - 1) if month[1] > 1 else (month[0] - 1, 12))
        age = int(months_completed(born_on, day))
        if position == 0:
            code = "B"
        elif before is None or born_on == "NaT" or sex == 0 or not 1 <= age <= 60:
            code = "O"
        else:
            code = "N" if weight_g - before[1] >= kbm_g()[sex - 1, age] else "T"
        codes[f"{month[0]}-{month[1]:02}"] = code
    return codes


@given(rows, st.lists(births, min_size=4, max_size=4), st.lists(st.integers(0, 2), min_size=4, max_size=4))
@settings(max_examples=300, deadline=None)
def test_codes_equal_plain_python_when_children_come_mixed(
    weighings: list[tuple[int, str, int]], born_on: list[str], sex: list[int]
) -> None:
    children = [child for child, _, _ in weighings]
    result = weight_gain(
        children,
        np.array([born_on[child] for child in children], dtype="datetime64[D]"),
        [sex[child] for child in children],
        np.array([day for _, day, _ in weighings], dtype="datetime64[D]"),
        [weight_g for _, _, weight_g in weighings],
    )
    for child in range(4):
        own = [index for index, owner in enumerate(children) if owner == child]
        found = {weighings[i][1][:7]: CODE_NAMES[result.code[i]] for i in own if result.code[i]}
        expected = plain_codes([weighings[i][1:] for i in own], born_on[child], sex[child])
        assert found == expected
        # D = N + T + O + B: each month in which a child was weighed has one code.
        assert sum(result.code[i] != GainCode.NONE for i in own) == len(expected)


@given(rows, st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_codes_stay_when_the_order_of_rows_changes(
    weighings: list[tuple[int, str, int]], random: Any
) -> None:
    def coded(rows: list[tuple[int, str, int]]) -> list[tuple[Any, ...]]:
        children, days, weights = ([row[part] for row in rows] for part in range(3))
        result = weight_gain(children, BORN, 1, np.array(days, dtype="datetime64[D]"), weights)
        columns = (result.code, result.gain_g, result.kbm_g, result.two_t)
        return sorted((row, *(column[i].item() for column in columns)) for i, row in enumerate(rows))

    shuffled = list(weighings)
    random.shuffle(shuffled)
    assert coded(weighings) == coded(shuffled)


@given(rows)
@settings(max_examples=150, deadline=None)
def test_reason_fits_the_code_when_any_timeline_is_judged(weighings: list[tuple[int, str, int]]) -> None:
    children, days, weights = ([row[part] for row in weighings] for part in range(3))
    result = weight_gain(children, BORN, 1, np.array(days, dtype="datetime64[D]"), weights)
    compared = (result.code == GainCode.N) | (result.code == GainCode.T)
    assert np.array_equal(compared, result.reason == GainReason.COMPARED)
    assert np.array_equal(compared, result.kbm_g > 0)
    assert np.array_equal(result.code == GainCode.B, result.reason == GainReason.FIRST_WEIGHING)
    assert (result.gain_g[compared] != NO_GAIN).all()
    assert (result.code[result.two_t] == GainCode.T).all()
