"""The engine equals the WHO's own software, case by case; scalars equal arrays; what is missing says why."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from server.growth.zscores import (
    ALL,
    INDICATORS,
    LYING,
    STANDING,
    CurveName,
    Indicator,
    IndicatorName,
    Reason,
    ZScores,
    curve,
    zscores,
)
from tests.server.growth.golden import SCORE_COLUMNS, golden
from tests.server.growth.plain_zscores import plain_zscores

PERMENKES: tuple[IndicatorName, ...] = ("haz", "waz", "whz", "baz")


def same(found: Any, expected: Any) -> Any:
    return (found == expected) | (np.isnan(found) & np.isnan(expected))


def indicators(scores: ZScores) -> list[tuple[str, Indicator]]:
    return [(name, getattr(scores, name)) for name in INDICATORS]


# ---- golden cases


@pytest.mark.parametrize("name", INDICATORS)
def test_score_equals_the_reference_when_the_values_can_be_measured(name: IndicatorName) -> None:
    cases = golden()
    found = getattr(zscores(**cases.inputs), name)
    expected = cases.expected["z" + SCORE_COLUMNS[name]]
    wrong = ~same(found.z, expected) & (cases.case != "quirk")
    assert expected.size == 20_214
    assert np.flatnonzero(wrong).tolist() == []


@pytest.mark.parametrize("name", INDICATORS)
def test_plausibility_mark_equals_the_reference_when_the_values_can_be_measured(name: IndicatorName) -> None:
    cases = golden()
    found = getattr(zscores(**cases.inputs), name).implausible
    expected = np.nan_to_num(cases.expected["f" + SCORE_COLUMNS[name]], nan=-1)
    assert np.flatnonzero((found != expected) & (cases.case != "quirk")).tolist() == []


def test_derived_columns_equal_the_reference_when_the_values_can_be_measured() -> None:
    cases = golden()
    found = zscores(**cases.inputs)
    usual = cases.case != "quirk"
    np.testing.assert_allclose(found.lenhei_cm[usual], cases.expected["clenhei"][usual], rtol=1e-12)
    np.testing.assert_allclose(found.bmi[usual], cases.expected["cbmi"][usual], rtol=1e-12)
    assert np.array_equal(found.position, cases.position)
    assert np.array_equal(found.standing_before_9_months, cases.expected["c9mo_flag"] == 1)


@pytest.mark.parametrize("name", INDICATORS)
def test_score_is_refused_or_equal_when_a_value_cannot_be_measured(name: IndicatorName) -> None:
    cases = golden()
    quirks = np.flatnonzero(cases.case == "quirk")
    rows = cases.rows(quirks)
    found = getattr(zscores(**rows), name)
    needs = {"haz": "lenhei_cm", "waz": "weight_kg", "hcz": "headc_cm", "acz": "armc_cm"}.get(name)
    refused = rows[needs] <= 0 if needs else (rows["weight_kg"] <= 0) | (rows["lenhei_cm"] <= 0)
    assert quirks.size == 60
    assert (found.reason[refused] == Reason.VALUE_REFUSED).all()
    assert same(found.z, cases.expected["z" + SCORE_COLUMNS[name]][quirks])[~refused].all()


# ---- values worked out by hand


@pytest.mark.parametrize(
    ("child", "expected"),
    [
        ({"sex": 1, "age_days": 730, "lenhei_cm": 81.0, "position": LYING}, {"haz": -2.23}),
        ({"sex": 1, "age_days": 730, "lenhei_cm": 81.0, "position": STANDING}, {"haz": -2.00}),
        ({"sex": 1, "age_days": 731, "lenhei_cm": 81.0, "position": STANDING}, {"haz": -2.01}),
        ({"sex": 1, "age_days": 731, "lenhei_cm": 81.0, "position": LYING}, {"haz": -2.23}),
        ({"sex": 2, "age_days": 365, "weight_kg": 5.5}, {"waz": -4.01}),
        ({"sex": 1, "age_days": 400, "lenhei_cm": 75.0, "weight_kg": 7.0}, {"whz": -3.81}),
        ({"sex": 1, "age_days": 400, "lenhei_cm": 87.0, "weight_kg": 8.0}, {"whz": -5.00}),
        ({"sex": 1, "age_days": 800, "lenhei_cm": 87.0, "weight_kg": 8.0}, {"whz": -5.17}),
        (
            {"sex": 2, "age_days": 1095, "lenhei_cm": 85.0, "position": STANDING, "weight_kg": 10.0},
            {"haz": -2.64, "waz": -2.65, "whz": -1.50, "baz": -1.29},
        ),
    ],
)
def test_score_is_the_published_one_when_worked_out_by_hand(
    child: dict[str, Any], expected: dict[str, float]
) -> None:
    scores = zscores(**child)
    assert {name: float(getattr(scores, name).z) for name in expected} == expected


def test_score_on_the_limit_is_plausible_when_rounding_brings_it_there() -> None:
    length, height = (zscores(sex=1, age_days=age, lenhei_cm=87, weight_kg=8).whz for age in (400, 800))
    assert (float(length.z), int(length.implausible)) == (-5.00, 0)  # -5.002 before rounding
    assert (float(height.z), int(height.implausible)) == (-5.17, 1)


@pytest.mark.parametrize(
    ("sex", "day", "minus_2_cm", "minus_3_cm"),
    [
        (1, 182, 63.31, 61.17),
        (1, 730, 81.69, 78.64),
        (1, 731, 81.02, 77.96),
        (1, 1826, 100.69, 96.06),
        (2, 365, 68.86, 66.28),
        (2, 1095, 87.42, 83.61),
    ],
)
def test_curve_gives_the_reviewers_length_when_asked_for_minus_2_and_3(
    sex: int, day: int, minus_2_cm: float, minus_3_cm: float
) -> None:
    x, y = curve("haz", sex, (-2, -3))
    assert x[day] == day
    assert np.round(y[:, day], 2).tolist() == [minus_2_cm, minus_3_cm]


# ---- edges of the rules


@pytest.mark.parametrize(
    ("age", "scored"),
    [
        ({"age_days": 0}, True),
        ({"age_days": 1826}, True),
        ({"age_days": 1826.24}, True),
        ({"age_days": 1826.25}, False),
        ({"age_days": 1827}, False),
        ({"age_months": 59.99}, True),
        ({"age_months": 60}, False),
    ],
)
def test_score_stops_before_60_months_when_the_child_grows_older(age: dict[str, Any], scored: bool) -> None:
    found = zscores(sex=2, weight_kg=18, lenhei_cm=108, **age)
    expected = Reason.DEFINED if scored else Reason.AGE_OUT_OF_RANGE
    assert [getattr(found, name).reason for name in PERMENKES] == [expected] * 4


@pytest.mark.parametrize(("age_days", "day"), [(730.49, 730), (730.5, 731), (0.5, 1), (1.5, 2)])
def test_day_rounds_halves_up_when_the_age_is_a_fraction(age_days: float, day: int) -> None:
    assert float(zscores(sex=1, age_days=age_days).age_days) == day


@pytest.mark.parametrize(("months", "day"), [(23.98, 730), (23.99, 730), (24, 731)])
def test_day_is_that_of_the_reference_when_the_age_is_in_months(months: float, day: int) -> None:
    assert float(zscores(sex=1, age_months=months).age_days) == day


def test_days_are_read_before_months_when_both_are_given() -> None:
    found = zscores(sex=1, age_days=[100, np.nan, np.nan], age_months=[5, 5, np.nan])
    assert same(found.age_days, np.array([100, 152, np.nan])).all()


@pytest.mark.parametrize(
    ("age_days", "position", "lenhei_cm", "kept_position"),
    [
        (273, STANDING, 70.0, 0),
        (274, STANDING, 70.7, STANDING),
        (730, STANDING, 70.7, STANDING),
        (731, STANDING, 70.0, STANDING),
        (731, LYING, 69.3, LYING),
        (730, LYING, 70.0, LYING),
        (np.nan, STANDING, 70.0, STANDING),
        (np.nan, LYING, 70.0, LYING),
        (731, 0, 70.0, 0),
    ],
)
def test_length_moves_by_7_millimetres_when_position_and_age_disagree(
    age_days: float, position: int, lenhei_cm: float, kept_position: int
) -> None:
    found = zscores(sex=1, age_days=age_days, lenhei_cm=70.0, position=position)
    assert float(found.lenhei_cm) == pytest.approx(lenhei_cm, rel=1e-12)
    assert int(found.position) == kept_position
    assert bool(found.standing_before_9_months) == (position != kept_position)


@pytest.mark.parametrize(
    ("lenhei_cm", "position", "reason"),
    [
        (44.99, LYING, Reason.LENGTH_OUT_OF_RANGE),
        (45.0, LYING, Reason.DEFINED),
        (110.0, LYING, Reason.DEFINED),
        (110.01, LYING, Reason.LENGTH_OUT_OF_RANGE),
        (64.99, STANDING, Reason.LENGTH_OUT_OF_RANGE),
        (65.0, STANDING, Reason.DEFINED),
        (120.0, STANDING, Reason.DEFINED),
        (120.01, STANDING, Reason.LENGTH_OUT_OF_RANGE),
    ],
)
def test_weight_for_length_ends_with_its_table_when_the_age_is_missing(
    lenhei_cm: float, position: int, reason: Reason
) -> None:
    assert zscores(sex=1, weight_kg=9, lenhei_cm=lenhei_cm, position=position).whz.reason == reason


@pytest.mark.parametrize(("lenhei_cm", "position"), [(86.9, LYING), (87.0, STANDING)])
def test_weight_for_length_guesses_the_table_when_age_and_position_are_missing(
    lenhei_cm: float, position: int
) -> None:
    guessed = zscores(sex=1, weight_kg=12, lenhei_cm=lenhei_cm).whz.z
    assert guessed == zscores(sex=1, weight_kg=12, lenhei_cm=lenhei_cm, position=position).whz.z


def test_weight_for_length_steps_as_the_reference_when_the_length_lies_a_rounding_error_below_a_row() -> None:
    # 103.1 - 0.7 is 102.39999999999999: between the rows 102.3 and 102.5, not 102.4.
    found = zscores(sex=1, age_days=900, weight_kg=14.0, lenhei_cm=103.1, position=LYING).whz.z
    assert float(found) == plain_zscores(1, 900, 14.0, 103.1, LYING, oedema=False)["whz"]
    assert float(found) != float(zscores(sex=1, age_days=900, weight_kg=14.0, lenhei_cm=102.4).whz.z)


@pytest.mark.parametrize(("day", "reason"), [(90, Reason.AGE_OUT_OF_RANGE), (91, Reason.DEFINED)])
def test_arm_is_scored_from_day_91_when_the_child_is_young(day: int, reason: Reason) -> None:
    assert zscores(sex=2, age_days=day, armc_cm=12.5).acz.reason == reason


def test_oedema_voids_the_weight_indices_when_length_and_arm_are_measured_too() -> None:
    found = zscores(sex=1, age_days=500, weight_kg=9, lenhei_cm=78, headc_cm=46, armc_cm=14, oedema=True)
    void = {name for name, indicator in indicators(found) if indicator.reason == Reason.OEDEMA}
    assert void == {"waz", "whz", "baz"}
    assert not np.isnan(found.bmi)


# ---- reasons


@pytest.mark.parametrize(
    ("change", "name", "reason"),
    [
        ({"sex": 0}, "haz", Reason.NO_SEX),
        ({"sex": 0}, "whz", Reason.NO_SEX),
        ({"age_days": None}, "waz", Reason.NO_AGE),
        ({"age_days": None}, "whz", Reason.DEFINED),
        ({"age_days": -1}, "haz", Reason.VALUE_REFUSED),
        ({"age_days": -1}, "whz", Reason.VALUE_REFUSED),
        ({"age_days": np.inf}, "baz", Reason.VALUE_REFUSED),
        ({"weight_kg": None}, "waz", Reason.VALUE_MISSING),
        ({"weight_kg": 0}, "whz", Reason.VALUE_REFUSED),
        ({"weight_kg": 0}, "haz", Reason.DEFINED),
        ({"weight_kg": np.inf}, "waz", Reason.VALUE_REFUSED),
        ({"weight_kg": 1e308}, "waz", Reason.VALUE_REFUSED),
        ({"lenhei_cm": -3}, "haz", Reason.VALUE_REFUSED),
        ({"lenhei_cm": None}, "baz", Reason.VALUE_MISSING),
        ({"lenhei_cm": 0.65, "age_days": 800, "position": LYING}, "haz", Reason.VALUE_REFUSED),
        ({"lenhei_cm": 0.7, "age_days": 800, "position": LYING}, "baz", Reason.VALUE_REFUSED),
        ({"lenhei_cm": 130}, "whz", Reason.LENGTH_OUT_OF_RANGE),
        ({"oedema": True, "weight_kg": None}, "waz", Reason.OEDEMA),
        ({"headc_cm": 0}, "hcz", Reason.VALUE_REFUSED),
    ],
)
def test_missing_score_says_why_when_one_input_is_wrong(
    change: dict[str, Any], name: IndicatorName, reason: Reason
) -> None:
    child = {
        "sex": 1,
        "age_days": 500,
        "weight_kg": 9.5,
        "lenhei_cm": 78,
        "headc_cm": 46,
        "armc_cm": 14,
    } | change
    assert getattr(zscores(**child), name).reason == reason


def test_indicator_says_not_asked_when_it_was_left_out() -> None:
    found = zscores(sex=[1, 2], age_days=500, weight_kg=9.5, lenhei_cm=78, indicators=["waz"])
    assert found.waz.reason.tolist() == [Reason.DEFINED] * 2
    assert found.haz.reason.tolist() == [Reason.NOT_ASKED] * 2
    assert np.isnan(found.haz.z).all()
    assert found.haz.implausible.tolist() == [-1, -1]


@pytest.mark.parametrize("code", [-1, 3, np.nan])
@pytest.mark.parametrize("name", ["sex", "position"])
def test_call_is_an_error_when_a_code_is_none_of_ours(name: str, code: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is coded"):
        zscores(**({"sex": 1, "age_days": 10} | {name: code}))  # type: ignore[arg-type]


def test_call_is_an_error_when_an_indicator_is_unknown() -> None:
    with pytest.raises(ValueError, match="zlen"):
        zscores(sex=1, indicators=["zlen"])  # type: ignore[list-item]


def test_curve_is_an_error_when_indicator_or_sex_is_unknown() -> None:
    for name, sex in (("whz", 1), ("haz", 0)):
        with pytest.raises(ValueError, match="no curve"):
            curve(name, sex)  # type: ignore[arg-type]


# ---- shapes


def test_result_has_the_shape_of_the_inputs_when_they_broadcast() -> None:
    found = zscores(sex=[[1], [2]], age_days=[0, 100, 500], weight_kg=7.0)
    assert found.waz.z.shape == found.bmi.shape == (2, 3)
    assert found.waz.z[1, 2] == zscores(sex=2, age_days=500, weight_kg=7.0).waz.z


def test_result_is_a_0d_array_when_all_inputs_are_scalars() -> None:
    assert zscores(sex=1, age_days=365, weight_kg=9.6).waz.z.shape == ()


def test_result_is_empty_when_there_are_no_children() -> None:
    assert zscores(sex=[], age_days=[]).haz.z.shape == (0,)


def test_scores_do_not_depend_on_the_chunk_when_there_are_more_rows_than_one() -> None:
    cases = golden()
    rows = np.arange(40_000) % cases.case.size
    many, once = zscores(**cases.rows(rows)), zscores(**cases.inputs)
    for name, indicator in indicators(many):
        assert same(indicator.z, getattr(once, name).z[rows]).all()


# ---- properties

numbers = st.one_of(
    st.floats(-5, 130).map(lambda value: round(value, 2)),
    st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 0.65, 1e-300, 1e300, 45.0, 65.0, 87.0, 110.0, 120.0]),
)
ages = st.one_of(
    st.floats(-10, 1900),
    st.integers(0, 1830).map(float),
    st.sampled_from([np.nan, np.inf, 90, 91, 273, 274, 730, 730.5, 731, 1826.25]),
)
children = st.lists(
    st.fixed_dictionaries(
        {
            "sex": st.integers(0, 2),
            "age_days": ages,
            "age_months": ages.map(lambda days: days / 30.4375),
            "weight_kg": numbers,
            "lenhei_cm": numbers,
            "position": st.integers(0, 2),
            "headc_cm": numbers,
            "armc_cm": numbers,
            "oedema": st.booleans(),
        }
    ),
    min_size=1,
    max_size=12,
)


def columns(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


@given(children)
@settings(max_examples=100, deadline=None)
def test_scalars_score_as_arrays_when_given_one_by_one(rows: list[dict[str, Any]]) -> None:
    together = zscores(**columns(rows))
    for index, row in enumerate(rows):
        alone = zscores(**row)
        assert same(alone.bmi, together.bmi[index])
        for name, indicator in indicators(alone):
            assert same(indicator.z, getattr(together, name).z[index])
            assert indicator.reason == getattr(together, name).reason[index]
            assert indicator.implausible == getattr(together, name).implausible[index]


@given(children)
@settings(max_examples=100, deadline=None)
def test_score_has_a_reason_exactly_when_it_is_missing(rows: list[dict[str, Any]]) -> None:
    for _, indicator in indicators(zscores(**columns(rows))):
        missing = np.isnan(indicator.z)
        assert np.array_equal(missing, indicator.reason != Reason.DEFINED)
        assert np.array_equal(missing, indicator.implausible == -1)
        assert np.isfinite(indicator.z[~missing]).all()
        assert not np.signbit(indicator.z[indicator.z == 0]).any()


@given(children, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_scores_follow_their_children_when_the_order_changes(rows: list[dict[str, Any]], random: Any) -> None:
    order = list(range(len(rows)))
    random.shuffle(order)
    straight, shuffled = zscores(**columns(rows)), zscores(**columns([rows[index] for index in order]))
    for name, indicator in indicators(shuffled):
        assert same(indicator.z, getattr(straight, name).z[order]).all()


@given(
    sex=st.integers(0, 2),
    age_days=st.floats(0, 1830),
    weight_kg=st.floats(0.5, 60),
    lenhei_cm=st.floats(20, 140).map(lambda value: round(value, 1)),
    position=st.integers(0, 2),
    oedema=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_scores_equal_plain_python_when_the_child_could_exist(**child: Any) -> None:
    found, plain = zscores(**child, indicators=PERMENKES), plain_zscores(**child)
    for name in PERMENKES:
        expected = plain[name]
        assert same(getattr(found, name).z, np.nan if expected is None else expected), name


@pytest.mark.parametrize("name", ["haz", "waz", "baz", "hcz", "acz", "wfl", "wfh"])
@pytest.mark.parametrize("sex", [1, 2])
def test_curve_scores_as_its_line_when_measured_on_it(name: CurveName, sex: int) -> None:
    lines = (-5, -4, -3, -2.5, 0, 1, 3, 4)
    x, y = curve(name, sex, lines)
    measured = {"haz": "lenhei_cm", "hcz": "headc_cm", "acz": "armc_cm"}.get(name, "weight_kg")
    child: dict[str, Any] = {"sex": sex, measured: y, "age_days": x}
    if name in ("wfl", "wfh"):
        child = {"sex": sex, "weight_kg": y, "lenhei_cm": x, "position": LYING if name == "wfl" else STANDING}
    elif name == "baz":
        child |= {"weight_kg": y, "lenhei_cm": 100}
    scores = zscores(**child, indicators=ALL)
    found = getattr(scores, "whz" if name in ("wfl", "wfh") else name).z
    assert x[0] == {"acz": 91, "wfl": 45, "wfh": 65}.get(name, 0)
    assert np.array_equal(found, np.broadcast_to(np.array(lines)[:, np.newaxis], y.shape))
