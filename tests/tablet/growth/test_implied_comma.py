"""Which comma may be left out on the number pad: the reading that is expected at the age, and never a right value's own."""

from typing import Any

import pytest

from tests.tablet._modules import Modules

pytestmark = pytest.mark.browser

ON = "2026-01-10"
INFANT = {"sex": "M", "born_on": "2025-12-20"}
BOY = {"sex": "M", "born_on": "2025-01-10"}
FOUR = {"sex": "F", "born_on": "2021-12-10"}
UNKNOWN = {"sex": None, "born_on": None}


@pytest.mark.parametrize(
    ("child", "field", "digits", "decimals"),
    [
        (BOY, "weight_g", "9", 0),
        (BOY, "weight_g", "98", 1),
        (BOY, "weight_g", "985", 2),
        (BOY, "weight_g", "9850", 3),
        (BOY, "weight_g", "12", 0),
        (BOY, "weight_g", "125", 1),
        (FOUR, "weight_g", "16", 0),
        (FOUR, "weight_g", "98", 1),
        (INFANT, "weight_g", "35", 1),
        (BOY, "weight_g", "0", 0),
        (BOY, "weight_g", "098", 0),
        (BOY, "weight_g", "95000", 0),
        (BOY, "length_mm", "76", 0),
        (BOY, "length_mm", "765", 1),
        (FOUR, "length_mm", "1023", 1),
        (FOUR, "length_mm", "102", 0),
        (INFANT, "length_mm", "50", 0),
        (BOY, "muac_mm", "142", 1),
        (BOY, "muac_mm", "14", 0),
        (BOY, "muac_mm", "98", 1),
        (INFANT, "muac_mm", "115", 1),
        (BOY, "head_mm", "462", 1),
        (BOY, "head_mm", "46", 0),
        (UNKNOWN, "weight_g", "98", 1),
        (UNKNOWN, "weight_g", "24", 0),
        (UNKNOWN, "length_mm", "765", 1),
    ],
)
def test_comma_is_implied_when_one_reading_alone_is_expected(
    modules: Modules, child: dict[str, Any], field: str, digits: str, decimals: int
) -> None:
    given = [child, ON, field, digits]
    assert modules.call("implied_comma.impliedDecimals(tables, ...given)", given) == decimals


@pytest.mark.parametrize("child", [INFANT, BOY, FOUR])
def test_every_expected_value_can_be_typed_without_its_comma_and_with_it(
    modules: Modules, child: dict[str, Any]
) -> None:
    wrong = modules.call(
        """["weight_g", "length_mm", "muac_mm", "head_mm"].flatMap((field) => {
            const [low, high] = typing_slips.expected(tables, given, "2026-01-10", field);
            const unit = field === "weight_g" ? 1000 : 10;
            const found = [];
            for (let value = Math.ceil(low); value <= high; value += 1) {
                const text = (value / unit).toFixed(Math.log10(unit)).replace(/\\.?0+$/, "");
                const digits = text.replace(".", "");
                const decimals = implied_comma.impliedDecimals(tables, given, "2026-01-10", field, digits);
                const meant = (text.split(".")[1] || "").length;
                if (decimals !== meant && !digits.startsWith("0")) found.push([field, text, decimals]);
            }
            return found;
        })""",
        child,
    )
    assert wrong == []
