"""The tablet's scores equal the WHO's own software in every cell of the golden file."""

from typing import Any

import numpy as np
import pytest

from server.growth.zscores import INDICATORS, zscores
from tests.server.growth.golden import SCORE_COLUMNS, Golden, golden
from tests.tablet._modules import Modules

pytestmark = pytest.mark.browser
SEX = (None, "M", "F")
POSITION = (None, "lying", "standing")
NEEDS = {
    "haz": ("lenhei_cm",),
    "waz": ("weight_kg",),
    "whz": ("weight_kg", "lenhei_cm"),
    "baz": ("weight_kg", "lenhei_cm"),
    "hcz": ("headc_cm",),
    "acz": ("armc_cm",),
}


def as_given(cases: Golden) -> list[dict[str, Any]]:
    """Write the inputs as the module takes them: words for codes, null for what is missing."""
    columns: dict[str, list[Any]] = {
        name: [None if value != value else value for value in column.tolist()]
        for name, column in cases.inputs.items()
    }
    columns["sex"] = [SEX[code] for code in columns["sex"]]
    columns["position"] = [POSITION[code] for code in columns["position"]]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@pytest.fixture(scope="module")
def found(modules: Modules) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = modules.call(
        "given.map((body) => zscores.rawScores(tables, body))", as_given(golden())
    )
    return rows


def numbers(values: list[Any]) -> Any:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def same(one: Any, other: Any) -> Any:
    return (one == other) | (np.isnan(one) & np.isnan(other))


@pytest.mark.parametrize("name", INDICATORS)
def test_score_and_flag_equal_the_reference_when_the_values_can_be_measured(
    found: list[dict[str, Any]], name: str
) -> None:
    cases = golden()
    usual = cases.case != "quirk"
    z = numbers([row[name]["z"] for row in found])
    implausible = numbers([row[name]["implausible"] for row in found])
    assert z.size == 20_214
    assert np.flatnonzero(~same(z, cases.expected["z" + SCORE_COLUMNS[name]]) & usual).tolist() == []
    assert (
        np.flatnonzero(~same(implausible, cases.expected["f" + SCORE_COLUMNS[name]]) & usual).tolist() == []
    )


def test_derived_columns_equal_the_reference_when_the_values_can_be_measured(
    found: list[dict[str, Any]],
) -> None:
    cases = golden()
    usual = cases.case != "quirk"
    for name, column in (("lenhei_cm", "clenhei"), ("bmi", "cbmi")):
        values = numbers([row[name] for row in found])
        np.testing.assert_allclose(values[usual], cases.expected[column][usual], rtol=1e-12)
    assert [row["position"] for row in found] == [POSITION[code] for code in cases.position]
    too_young = [row["standing_before_9_months"] for row in found]
    assert too_young == (cases.expected["c9mo_flag"] == 1).tolist()


def test_value_is_refused_with_a_reason_when_it_cannot_be_measured(found: list[dict[str, Any]]) -> None:
    cases = golden()
    quirks = np.flatnonzero(cases.case == "quirk")
    assert quirks.size == 60
    refused = 0
    for name, needs in NEEDS.items():
        impossible = np.any([cases.inputs[need][quirks] <= 0 for need in needs], axis=0)
        for row in quirks[impossible].tolist():
            assert found[row][name] == {"z": None, "implausible": None, "reason": "value_refused"}
            refused += 1
    assert refused > 60


@pytest.mark.parametrize("name", INDICATORS)
def test_reason_equals_the_servers_when_a_score_is_undefined(found: list[dict[str, Any]], name: str) -> None:
    cases = golden()
    server = getattr(zscores(**cases.inputs), name)
    words = ("value_missing", "no_sex", "no_age", "age_out_of_range", "length_out_of_range", "oedema")
    expected = [(None, *words, "value_refused")[code] for code in server.reason.tolist()]
    assert [row[name]["reason"] for row in found] == expected
    assert len(set(expected)) >= 4


def test_zero_has_no_sign_when_a_score_rounds_to_it(modules: Modules) -> None:
    assert modules.call("[-0.001, 0.004].map((z) => Object.is(lms.round2(z), 0))") == [True, True]


def test_ties_go_to_the_even_digit_when_a_score_is_rounded(modules: Modules) -> None:
    halves = [0.125, 0.375, -0.125, -0.375, 2.5]
    assert modules.call("given.map(lms.round2)", halves) == [round(half, 2) for half in halves]
