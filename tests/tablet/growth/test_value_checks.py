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
LAST_MONTH = {
    **BLANK,
    **{"on": "2025-12-09", "source": "cadre", "weight_g": 9200, "length_mm": 740, "head_mm": 455},
}


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
        ("length_mm", 77, "refused", 770, "Panjang/tinggi 7,7 cm? Mungkin maksudnya 77 cm."),
        ("muac_mm", 1450, "refused", 145, "LiLA 145 cm? Mungkin maksudnya 14,5 cm."),
        ("head_mm", 4600, "refused", 460, "Lingkar kepala 460 cm? Mungkin maksudnya 46 cm."),
    ],
)
def test_meant_value_is_proposed_when_a_decimal_slipped(
    modules: Modules, field: str, value: int, severity: str, meant: int, words: str
) -> None:
    # with a weight beside it, 7.7 cm is no weight in the wrong field
    found = asked(modules, draft(**{"weight_g": 9500, field: value}))
    assert brief(found) == [("slip", field, severity, {field: meant})]
    assert found[0]["words"]["id"] == words
    assert found[0]["values"] == {"value": value}


def test_meant_value_is_proposed_when_nothing_is_known_of_the_child(modules: Modules) -> None:
    unknown = {"sex": None, "born_on": None}
    assert brief(asked(modules, draft(weight_g=950_000), unknown, ())) == [
        ("slip", "weight_g", "refused", {"weight_g": 9500})
    ]
    assert asked(modules, draft(weight_g=9500, length_mm=745), unknown, ()) == []


@pytest.mark.parametrize(
    ("typed", "meant", "words"),
    [
        (
            {"weight_g": 74_500, "length_mm": 95},
            {"weight_g": 9500, "length_mm": 745},
            {
                "id": "Berat dan panjang tertukar? Mungkin maksudnya 9,5 kg dan 74,5 cm.",
                "en": "Weight and length swapped? Perhaps 9.5 kg and 74.5 cm are meant.",
            },
        ),
        (  # 9.55 is no length in whole millimetres
            {"weight_g": 74_500, "length_mm": 95.5},
            {"weight_g": 9550, "length_mm": 745},
            {
                "id": "Berat dan panjang tertukar? Mungkin maksudnya 9,55 kg dan 74,5 cm.",
                "en": "Weight and length swapped? Perhaps 9.55 kg and 74.5 cm are meant.",
            },
        ),
    ],
)
def test_swapped_values_are_one_question_that_puts_both_back(
    modules: Modules, typed: dict[str, Any], meant: dict[str, int], words: dict[str, str]
) -> None:
    found = asked(modules, draft(**typed))
    assert brief(found) == [("swapped", "weight_g", "refused", meant)]
    assert found[0]["words"] == words


def test_swap_of_a_wasted_child_is_put_back_and_then_it_is_measured_again(modules: Modules) -> None:
    last = {**LAST_MONTH, "weight_g": 7200}
    (found,) = asked(modules, draft(weight_g=75_000, length_mm=66), earlier=(last,))
    assert found["proposal"] == {"weight_g": 6600, "length_mm": 750}
    then = asked(modules, draft(**found["proposal"]), earlier=(last,))
    assert brief(then) == [("severe", "weight_g", "again", None)]


@pytest.mark.parametrize(
    ("typed", "rule"),
    [
        ({"weight_g": 74_500}, "out_of_range"),  # its length, probably
        ({"length_mm": 95}, "out_of_range"),  # its weight, probably
        ({"weight_g": 69_000}, "out_of_range"),  # 6.9 kg would be 2.3 kg less than last month
        ({"length_mm": 1000, "weight_g": 9500}, "length_jumped"),
        ({"length_mm": 9500, "weight_g": 9500}, "out_of_range"),  # 95 cm would be 21 cm more than last month
        ({"muac_mm": 1050}, "out_of_range"),  # 10.5 cm would be severe
    ],
)
def test_nothing_is_proposed_when_the_result_would_raise_a_question(
    modules: Modules, typed: dict[str, Any], rule: str
) -> None:
    assert [(one["rule"], one["proposal"]) for one in asked(modules, draft(**typed))] == [(rule, None)]


def test_reading_is_not_proposed_when_a_lost_1_would_be_nearer(modules: Modules) -> None:
    older = {"sex": "M", "born_on": "2021-04-10"}
    (found,) = asked(modules, draft(weight_g=2500), older, ())  # 25 kg, but for 12.5 that is further away
    assert (found["field"], found["proposal"]) == ("weight_g", None)
    (found,) = asked(modules, draft(weight_g=1800), older, ())
    assert found["proposal"] == {"weight_g": 18_000}
    (found,) = asked(modules, draft(muac_mm=24), older, ())  # 24 cm, but for 12.4 that is further away
    assert (found["field"], found["proposal"]) == ("muac_mm", None)


@pytest.mark.parametrize("value", [None, 9500.5])
def test_text_that_no_record_can_hold_is_refused(modules: Modules, value: float | None) -> None:
    given = [BOY, [LAST_MONTH], draft(weight_g=value), TODAY]
    found = modules.call(
        "value_checks.warnings(tables, given[0], given[1],"
        " { ...given[2], weight_g: given[2].weight_g ?? undefined }, given[3])",
        given,
    )
    assert brief(found) == [("not_a_figure", "weight_g", "refused", None)]
    assert found[0]["words"]["id"] == "Berat: tulis angka dengan paling banyak 3 angka di belakang koma."


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
        ({"length_mm": 799, "position": "lying"}, "length_jumped", "length_mm"),
        ({"head_mm": 507}, "head_jumped", "head_mm"),
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
        {"length_mm": 798, "position": "lying"},
        {"head_mm": 506},
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


def test_growth_is_told_as_what_it_is_since_last_month(modules: Modules) -> None:
    (found,) = asked(modules, draft(length_mm=950, position="lying"))
    assert (
        found["words"]["id"]
        == "Panjang/tinggi naik 21 cm sejak bulan lalu (74 cm → 95 cm)? Ukur sekali lagi."
    )
    assert found["values"] == {"change_mm": 210, "before": 740, "before_on": "2025-12-09", "value": 950}
    (found,) = asked(modules, draft(length_mm=950), earlier=({**LAST_MONTH, "on": "2025-11-09"},))
    assert found["words"]["en"] == "Length or height up 21 cm (74 cm → 95 cm)? Measure once more."


@pytest.mark.parametrize(
    ("typed", "rule"),
    [
        ({"length_mm": 765}, "length_shrank"),
        ({"length_mm": 680}, "length_jumped"),
        ({"weight_g": 12_000}, "weight_jumped"),
        ({"head_mm": 400}, "head_jumped"),
    ],
)
def test_older_visit_that_is_corrected_is_compared_with_the_next(
    modules: Modules, typed: dict[str, Any], rule: str
) -> None:
    (found,) = asked(modules, draft(on="2025-11-08", **typed), BOY, (LAST_MONTH,))
    assert (found["rule"], found["severity"], found["values"]["after_on"]) == (rule, "look", "2025-12-09")
    assert "tidak cocok dengan pengukuran berikutnya" in found["words"]["id"]
    (value,) = typed.values()
    (field,) = typed
    assert found["values"]["after"] == LAST_MONTH[field]
    assert found["values"]["value"] == value


# ---- once more before a severe result


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        (
            {"weight_g": 6900},
            "weight_g",
            "Berat badan sangat kurang (Berat 6,9 kg)? Ukur sekali lagi supaya yakin.",
        ),
        (
            {"weight_g": 7100, "length_mm": 755},
            "weight_g",
            "Gizi buruk (Berat 7,1 kg)? Ukur sekali lagi supaya yakin.",
        ),
        ({"weight_g": 9000, "length_mm": 850}, "length_mm", "Gizi buruk (Panjang/tinggi 85 cm)?"),
        (
            {"length_mm": 680},
            "length_mm",
            "Sangat pendek (Panjang/tinggi 68 cm)? Ukur sekali lagi supaya yakin.",
        ),
        ({"muac_mm": 114}, "muac_mm", "Gizi buruk (LiLA 11,4 cm)? Ukur sekali lagi supaya yakin."),
    ],
)
def test_severe_result_is_measured_once_more_when_it_is_new(
    modules: Modules, typed: dict[str, Any], field: str, words: str
) -> None:
    (found,) = asked(modules, draft(**typed), earlier=())
    assert brief([found]) == [("severe", field, "again", None)]
    assert found["words"]["id"].startswith(words)


@pytest.mark.parametrize(
    ("typed", "last"),
    [
        ({"weight_g": 6900}, {"weight_g": 6700}),
        ({"length_mm": 680}, {"length_mm": 672}),
        ({"muac_mm": 114}, {"muac_mm": 113}),
        ({"weight_g": 9500, "length_mm": 750, "oedema": "1"}, {}),
        ({"weight_g": 7000}, {"weight_g": 7100}),
    ],
)
def test_severe_result_is_not_asked_about_when_it_was_known_or_is_none(
    modules: Modules, typed: dict[str, Any], last: dict[str, Any]
) -> None:
    assert asked(modules, draft(**typed), earlier=({**LAST_MONTH, **last},)) == []


def test_question_that_was_answered_makes_room_for_the_next(modules: Modules) -> None:
    given = [BOY, [LAST_MONTH], draft(weight_g=6900), TODAY]
    found = modules.call(
        "value_checks.warnings(tables, ...given, ({ rule }) => rule === 'weight_jumped')", given
    )
    assert brief(found) == [("severe", "weight_g", "again", None)]
    given = [BOY, [LAST_MONTH], draft(weight_g=47_000), TODAY]
    refused = modules.call("value_checks.warnings(tables, ...given, () => true)", given)
    assert [one["rule"] for one in refused] == ["out_of_range"]


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
    found = asked(modules, draft(weight_g=9500, length_mm=985, position="lying"), earlier=())
    assert brief(found) == [("implausible", "length_mm", "look", None)]


def test_record_that_is_being_mended_is_not_compared_with_itself(modules: Modules) -> None:
    stored = draft(weight_g=9600, length_mm=752, position="lying")
    later = {**stored, "on": "2026-02-10", "weight_g": 9900}
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
        assert one["severity"] in ("look", "again")  # all values of the cases are within the schema's ranges
        assert one["words"]["id"]
        assert one["words"]["en"]
        assert "undefined" not in str(one)
    for several in found:
        fields = [one["field"] for one in several]
        assert len(fields) == len(set(fields))
