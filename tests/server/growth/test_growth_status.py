"""Every cut-off of Permenkes 2/2020, the arm and the KMS lines, on both of its sides."""

import numpy as np
import pytest

from server.growth.status import (
    LENGTH_FOR_AGE_CODES,
    MUAC_CODES,
    WASTING_CODES,
    WEIGHT_FOR_AGE_CODES,
    above_orange_line,
    arm_for_age_status,
    below_red_line,
    code_names,
    head_for_age_status,
    length_for_age_status,
    muac_status,
    wasting_status,
    weight_for_age_status,
)


@pytest.mark.parametrize(
    ("z", "code"),
    [
        (-6.5, "bb_sangat_kurang"),
        (-3.01, "bb_sangat_kurang"),
        (-3.0, "bb_kurang"),
        (-2.01, "bb_kurang"),
        (-2.0, "bb_normal"),
        (1.0, "bb_normal"),
        (1.01, "bb_risiko_lebih"),
        (5.5, "bb_risiko_lebih"),
    ],
)
def test_weight_for_age_takes_the_class_of_its_side_when_near_a_cut_off(z: float, code: str) -> None:
    assert code_names(weight_for_age_status(z), WEIGHT_FOR_AGE_CODES) == [code]


@pytest.mark.parametrize(
    ("z", "code"),
    [
        (-3.01, "sangat_pendek"),
        (-3.0, "pendek"),
        (-2.01, "pendek"),
        (-2.0, "normal"),
        (3.0, "normal"),
        (3.01, "tinggi"),
    ],
)
def test_length_for_age_takes_the_class_of_its_side_when_near_a_cut_off(z: float, code: str) -> None:
    assert code_names(length_for_age_status(z), LENGTH_FOR_AGE_CODES) == [code]


@pytest.mark.parametrize(
    ("z", "code"),
    [
        (-3.01, "gizi_buruk"),
        (-3.0, "gizi_kurang"),
        (-2.01, "gizi_kurang"),
        (-2.0, "gizi_baik"),
        (1.0, "gizi_baik"),
        (1.01, "berisiko_gizi_lebih"),
        (2.0, "berisiko_gizi_lebih"),
        (2.01, "gizi_lebih"),
        (3.0, "gizi_lebih"),
        (3.01, "obesitas"),
    ],
)
def test_wasting_takes_the_class_of_its_side_when_near_a_cut_off(z: float, code: str) -> None:
    assert code_names(wasting_status(z), WASTING_CODES) == [code]


def test_head_and_arm_for_age_take_the_class_of_their_side_when_near_a_cut_off() -> None:
    edges = [-3.01, -3.0, -2.01, -2.0, 2.0, 2.01, 3.0, 3.01, np.nan]
    assert head_for_age_status(edges).tolist() == [0, 1, 1, 2, 2, 3, 3, 4, -1]
    assert arm_for_age_status(edges).tolist() == [0, 1, 1, 2, 2, 2, 2, 2, -1]


@pytest.mark.parametrize(("z", "code"), [(-2.004, "normal"), (-3.004, "pendek"), (-2.006, "pendek")])
def test_class_is_that_of_the_shown_score_when_given_more_decimals(z: float, code: str) -> None:
    assert code_names(length_for_age_status(z), LENGTH_FOR_AGE_CODES) == [code]


@pytest.mark.parametrize("classify", [weight_for_age_status, length_for_age_status, wasting_status])
def test_class_is_undefined_when_there_is_no_score(classify: object) -> None:
    assert classify([np.nan, 0.0]).tolist() == [-1, 2]  # type: ignore[operator]


def test_wasting_is_gizi_buruk_when_there_is_oedema_whatever_the_score() -> None:
    found = wasting_status([np.nan, 0.0, -4.0, 0.0], oedema=[True, True, False, False])
    assert code_names(found, WASTING_CODES) == ["gizi_buruk", "gizi_buruk", "gizi_buruk", "gizi_baik"]


@pytest.mark.parametrize(
    ("muac_mm", "code"),
    [(114, "gizi_buruk"), (115, "gizi_kurang"), (124, "gizi_kurang"), (125, "normal"), (0, None), (-1, None)],
)
def test_arm_takes_the_class_of_its_side_when_near_a_cut_off(muac_mm: int, code: str | None) -> None:
    assert code_names(muac_status(muac_mm, 12), MUAC_CODES) == [code]


@pytest.mark.parametrize(("months", "used"), [(-1, False), (5, False), (6, True), (59, True), (60, False)])
def test_arm_is_used_from_6_to_59_months_when_the_age_is_known(months: int, used: bool) -> None:
    assert (int(muac_status(110, months)) == 0) == used


@pytest.mark.parametrize(("waz", "below", "above"), [(-3.01, 1, 0), (-3.0, 0, 0), (1.0, 0, 0), (1.01, 0, 1)])
def test_kms_lines_belong_to_the_middle_when_the_score_lies_on_them(
    waz: float, below: bool, above: bool
) -> None:
    assert (bool(below_red_line(waz)), bool(above_orange_line(waz))) == (below, above)


def test_kms_lines_are_not_crossed_when_there_is_no_score() -> None:
    assert not below_red_line([np.nan]).any()
    assert not above_orange_line([np.nan]).any()


def test_status_keeps_the_shape_when_given_a_table() -> None:
    assert wasting_status(np.zeros((2, 3)), oedema=[[True], [False]]).tolist() == [[0, 0, 0], [2, 2, 2]]
