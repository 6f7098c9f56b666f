"""What a cadre is asked while typing: the likely slip with what was meant, and no block but for what no record holds."""

from typing import Any

import pytest

from tests.tablet._modules import Modules
from tests.tablet.growth._timelines import random_cases

pytestmark = pytest.mark.browser

BOY = {"sex": "M", "born_on": "2025-01-10"}
TODAY = "2026-01-10"
BLANK = {
    "weight_g": None,
    "oedema": None,
    "length_mm": None,
    "position": None,
    "muac_mm": None,
    "head_mm": None,
}
LAST_MONTH = {**BLANK, "on": "2025-12-09", "source": "cadre", "weight_g": 9200, "length_mm": 740}


def draft(**typed: Any) -> dict[str, Any]:
    return {**BLANK, "on": TODAY, "source": "cadre", **typed}


def asked(
    modules: Modules,
    typed: dict[str, Any],
    child: dict[str, Any] = BOY,
    earlier: tuple[dict[str, Any], ...] = (LAST_MONTH,),
    today: str = TODAY,
) -> list[dict[str, Any]]:
    given = [child, list(earlier), typed, today]
    found: list[dict[str, Any]] = modules.call("value_checks.warnings(tables, ...given)", given)
    return found


def brief(found: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(one["rule"], one["field"], one["severity"], one["proposal"]) for one in found]


# ---- slips of the keyboard


@pytest.mark.parametrize(
    ("field", "value", "severity", "meant", "words"),
    [
        ("weight_g", 95_000, "refused", 9500, "Berat 95 kg? Mungkin maksudnya 9,5 kg."),
        ("weight_g", 9_500_000, "refused", 9500, "Berat 9500 kg? Mungkin maksudnya 9,5 kg."),
        ("weight_g", 950, "look", 9500, "Berat 0,95 kg? Mungkin maksudnya 9,5 kg."),
        ("weight_g", 950_000, "refused", 9500, "Berat 950 kg? Mungkin maksudnya 9,5 kg."),
        ("length_mm", 7450, "refused", 745, "Panjang/tinggi 745 cm? Mungkin maksudnya 74,5 cm."),
        ("length_mm", 75, "refused", 750, "Panjang/tinggi 7,5 cm? Mungkin maksudnya 75 cm."),
        ("muac_mm", 1450, "refused", 145, "LiLA 145 cm? Mungkin maksudnya 14,5 cm."),
        ("head_mm", 4600, "refused", 460, "Lingkar kepala 460 cm? Mungkin maksudnya 46 cm."),
    ],
)
def test_meant_value_is_proposed_when_a_decimal_slipped(
    modules: Modules, field: str, value: int, severity: str, meant: int, words: str
) -> None:
    found = asked(modules, draft(**{field: value}))
    assert brief(found) == [("slip", field, severity, meant)]
    assert found[0]["words"]["id"] == words
    assert found[0]["values"] == {"value": value}


def test_meant_value_is_proposed_when_nothing_is_known_of_the_child(modules: Modules) -> None:
    unknown = {"sex": None, "born_on": None}
    assert brief(asked(modules, draft(weight_g=95_000), unknown, ())) == [
        ("slip", "weight_g", "refused", 9500)
    ]
    assert asked(modules, draft(weight_g=9500, length_mm=745), unknown, ()) == []


def test_swapped_values_are_put_back_when_weight_and_length_stand_in_each_others_place(
    modules: Modules,
) -> None:
    found = asked(modules, draft(weight_g=74_500, length_mm=95))
    assert brief(found) == [
        ("swapped", "weight_g", "refused", 9500),
        ("swapped", "length_mm", "refused", 745),
    ]
    assert found[0]["words"] == {
        "id": "Berat dan panjang tertukar? Berat mungkin 9,5 kg.",
        "en": "Weight and length swapped? Weight is perhaps 9.5 kg.",
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("weight_g", 499),
        ("weight_g", 40_001),
        ("length_mm", 299),
        ("length_mm", 1401),
        ("muac_mm", 49),
        ("muac_mm", 301),
        ("head_mm", 249),
        ("head_mm", 651),
    ],
)
def test_value_is_refused_when_the_schema_would_refuse_it(modules: Modules, field: str, value: int) -> None:
    (found,) = asked(modules, draft(**{field: value}), {"sex": None, "born_on": None}, ())
    assert (found["field"], found["severity"]) == (field, "refused")


def test_range_is_told_when_no_other_reading_is_likely(modules: Modules) -> None:
    (found,) = asked(modules, draft(weight_g=47_000, length_mm=None))
    assert brief([found]) == [("out_of_range", "weight_g", "refused", None)]
    assert (
        found["words"]["id"] == "Berat 47 kg tidak mungkin untuk balita (0,5 kg sampai 40 kg). Periksa lagi."
    )


def test_value_is_not_refused_when_it_lies_on_the_edge_of_the_range(modules: Modules) -> None:
    for field, (least, greatest) in modules.call("tables.ranges").items():
        for value in (least, greatest):
            found = asked(modules, draft(**{field: value}), {"sex": None, "born_on": None}, ())
            assert [one for one in found if one["severity"] == "refused"] == []


# ---- what cannot well be true


@pytest.mark.parametrize(
    ("typed", "rule", "field"),
    [
        ({"length_mm": 729, "position": "lying"}, "length_shrank", "length_mm"),
        ({"weight_g": 11_300}, "weight_jumped", "weight_g"),
        ({"weight_g": 9200, "length_mm": 740, "position": "lying"}, "copied", "weight_g"),
        ({"length_mm": 750, "position": "standing"}, "position_unusual", "position"),
        ({"length_mm": 985, "position": "lying"}, "implausible", "length_mm"),
    ],
)
def test_question_is_asked_when_a_value_cannot_well_be_true(
    modules: Modules, typed: dict[str, Any], rule: str, field: str
) -> None:
    assert brief(asked(modules, draft(**typed))) == [(rule, field, "look", None)]


@pytest.mark.parametrize(
    "typed",
    [
        {"length_mm": 730, "position": "lying"},
        {"weight_g": 11_200},
        {"weight_g": 7200},
        {"weight_g": 9200, "length_mm": 741, "position": "lying"},
        {"weight_g": 9500, "length_mm": 750, "position": "lying", "muac_mm": 145, "head_mm": 460},
        {},
    ],
)
def test_nothing_is_asked_when_a_value_may_be_true(modules: Modules, typed: dict[str, Any]) -> None:
    assert asked(modules, draft(**typed)) == []


def test_values_are_told_when_a_length_shrank(modules: Modules) -> None:
    (found,) = asked(modules, draft(length_mm=725, position="lying"))
    assert found["words"]["id"] == "Panjang/tinggi berkurang; ukur ulang (74 cm → 72,5 cm)."
    assert found["values"] == {"change_mm": -15, "before": 740, "before_on": "2025-12-09", "value": 725}


def test_infant_is_asked_about_when_it_stood_before_nine_months(modules: Modules) -> None:
    infant = {"sex": "F", "born_on": "2025-06-10"}
    found = asked(modules, draft(length_mm=650, position="standing"), infant, ())
    assert brief(found) == [("position_unlikely", "position", "look", None)]


@pytest.mark.parametrize(
    ("days_old", "usual"), [(0, "lying"), (730, "lying"), (731, "standing"), (1800, "standing")]
)
def test_usual_position_changes_when_a_child_is_731_days_old(
    modules: Modules, days_old: int, usual: str
) -> None:
    on = modules.call("new Date(Date.UTC(2024, 0, 10 + given)).toISOString().slice(0, 10)", days_old)
    given = [{"sex": "M", "born_on": "2024-01-10"}, on]
    assert modules.call("value_checks.usualPosition(...given)", given) == usual


@pytest.mark.parametrize(
    ("on", "rule"),
    [("2025-01-09", "measured_before_birth"), ("2026-01-11", "in_future"), ("2030-01-11", "in_future")],
)
def test_date_is_asked_about_when_it_cannot_be(modules: Modules, on: str, rule: str) -> None:
    assert brief(asked(modules, draft(on=on, weight_g=9500), earlier=())) == [(rule, "on", "look", None)]


def test_age_is_asked_about_when_the_child_is_five(modules: Modules) -> None:
    grown = {"sex": "M", "born_on": "2021-01-08"}
    assert brief(asked(modules, draft(weight_g=18_000), grown, ())) == [("over_five", "on", "look", None)]
    assert asked(modules, draft(weight_g=18_000), {**grown, "born_on": "2021-01-10"}, ()) == []


def test_one_question_is_asked_when_a_wrong_length_makes_the_weight_doubtful_too(modules: Modules) -> None:
    found = asked(modules, draft(weight_g=9500, length_mm=985, position="lying"))
    assert brief(found) == [("implausible", "length_mm", "look", None)]


def test_record_that_is_being_mended_is_not_compared_with_itself(modules: Modules) -> None:
    stored = draft(weight_g=9600, length_mm=752, position="lying")
    later = {**stored, "on": "2026-02-10", "weight_g": 20_000}
    assert (
        asked(
            modules,
            draft(weight_g=9500, length_mm=750, position="lying"),
            earlier=(LAST_MONTH, stored, later),
        )
        == []
    )


def test_warnings_never_block_and_speak_both_languages_when_values_are_random(modules: Modules) -> None:
    cases = [case for case in random_cases(600, seed=7) if case["measurements"]]
    found = modules.call(
        "given.map(({child, measurements: [typed, ...rest], today}) =>"
        " value_checks.warnings(tables, child, rest, typed, today))",
        cases,
    )
    said = [one for several in found for one in several]
    assert len(said) > 300
    for one in said:
        assert one["severity"] == "look"  # all values of the cases are within the schema's ranges
        assert one["words"]["id"]
        assert one["words"]["en"]
        assert "undefined" not in str(one)
    for several in found:
        fields = [one["field"] for one in several]
        assert len(fields) == len(set(fields))
