"""Every field of every register: both sides of each bound, wrong types, missing and unknown fields."""

from typing import Any

import pytest

from schemas.change import SCHEMAS
from schemas.records import ACTIONS, FUNDS, MENUS, MOST_COVERED, OUTCOMES
from schemas.strict import Flag, Part, Whole
from sync_protocol import REGISTERS as PROTOCOL_REGISTERS
from tests.schemas._changes import REGISTERS, found, make_change, reasons, setting

RANGES = [
    ("child", "identity", "birth_order", 1, 20),
    ("child", "birth", "weight_g", 300, 7000),
    ("child", "birth", "length_mm", 200, 650),
    ("child", "birth", "gestation_weeks", 22, 44),
    ("measurement", "weight", "weight_g", 500, 40_000),
    ("measurement", "length", "length_mm", 300, 1400),
    ("measurement", "muac", "muac_mm", 50, 300),
    ("measurement", "head", "head_mm", 250, 650),
    ("follow_up", "task", "week", 1, 52),
    ("follow_up", "result", "days_eaten", 0, 7),
    ("delivery", "delivered", "quantity", 1, 100_000),
    ("delivery", "delivered", "value_rp", 0, 10**12),
]

LENGTHS = [
    ("child", "identity", "name", 120),
    ("child", "parents", "mother", 120),
    ("child", "parents", "father", 120),
    ("child", "home", "address", 200),
    ("child", "family", "source", 100),
    ("child", "consent", "by", 120),
    ("child", "consent", "relation", 60),
    ("child", "consent", "method", 60),
    ("child", "removed", "reason", 200),
    ("measurement", "note", "text", 500),
    ("measurement", "removed", "reason", 200),
    ("follow_up", "note", "text", 500),
    ("follow_up", "removed", "reason", 200),
    ("delivery", "evidence", "where", 200),
    ("delivery", "note", "text", 500),
    ("delivery", "removed", "reason", 200),
]

CHOICES = [
    ("child", "identity", "sex", ["M", "F"]),
    ("measurement", "weight", "oedema", ["n", "1", "2", "3"]),
    ("measurement", "length", "position", ["lying", "standing"]),
    ("measurement", "services", "vitamin_a", ["blue", "red"]),
    ("measurement", "services", "kpsp", ["S", "M", "P"]),
    ("follow_up", "task", "action", list(ACTIONS)),
    ("follow_up", "task", "funds", ["dak", "apbd", "village", "partner"]),
    ("follow_up", "result", "outcome", list(OUTCOMES)),
    ("delivery", "aid", "menu", list(MENUS)),
    ("delivery", "aid", "funds", list(FUNDS)),
    ("delivery", "aid", "reaches", ["child", "family"]),
    ("delivery", "delivered", "unit", ["portion", "packet", "session", "piece", "month"]),
    ("delivery", "evidence", "what", ["photo", "signature", "receipt", "list", "seen"]),
    ("delivery", "verified", "outcome", ["received", "partly", "not_received"]),
]

SHAPES = [
    (
        "child",
        "parents",
        "phone",
        "not-phone",
        ["00000000", "+0000000000000000"],
        ["0000000", "0" * 17, "+", "0812-000-000", "٠٠٠٠٠٠٠٠"],
    ),
    ("child", "home", "rt", "not-rt", ["1", "001"], ["", "0001", "1a", "1\n"]),
    ("child", "home", "rw", "not-rt", ["9", "123"], ["", "1234", " 1"]),
    (
        "child",
        "home",
        "village",
        "not-village",
        ["64.02.06.1001", "64.02.06.2012"],
        ["64.02.06", "6402061001", "64.02.06.1001\n"],
    ),
    (
        "child",
        "post",
        "post",
        "not-uuid",
        ["019bf000-0000-7000-8000-00000000000c"],
        ["019BF000-0000-7000-8000-00000000000C", "019bf00000007000800000000000000c", "x"],
    ),
    (
        "child",
        "same_as",
        "child",
        "not-uuid",
        ["019bf000-0000-7000-8000-00000000000c"],
        ["", "hub:019bf000-0000-7000-8000-00000000000c"],
    ),
    (
        "follow_up",
        "task",
        "course",
        "not-uuid",
        ["019bf000-0000-7000-8000-00000000000c"],
        ["", "019BF000-0000-7000-8000-00000000000C"],
    ),
    (
        "follow_up",
        "task",
        "reason",
        "not-rule",
        ["wasted", "two_t", "a" * 40],
        ["", "Wasted", "wasted/2026-05-04", "a" * 41, "gizi buruk", "wasted\n"],
    ),
    (
        "follow_up",
        "task",
        "assigned_to",
        "not-author",
        ["kader.contoh", "account:019bf000-0000-7000-8000-00000000000c", "a" * 64],
        ["", "Ibu Contoh", "a" * 65, "kader\n"],
    ),
]

NULLABLE_FIELDS = {
    "identity": "sex born_on birth_order",
    "nik": "nik",
    "parents": "mother father phone",
    "home": "address rt rw village",
    "birth": "weight_g length_mm gestation_weeks",
    "family": "source valid_until",
    "consent": "by relation on method",
    "same_as": "child",
    "removed": "reason",
    "task": "reason due_on assigned_to course week funds",
    "result": "days_eaten covers",
    "aid": "ends_on donor commitment",
    "delivered": "quantity unit value_rp",
    "evidence": "where",
    "weight": "weight_g oedema",
    "length": "length_mm position",
    "services": "vitamin_a exclusive_breastfeeding mbg mother_class kpsp deworming immunised",
    "muac": "muac_mm",
    "head": "head_mm",
    "note": "text",
}
NULLABLE = {f"{register}.{name}" for register, names in NULLABLE_FIELDS.items() for name in names.split()}
OPTIONAL = {
    name
    for name in NULLABLE
    if name.split(".")[0]
    in ("parents", "home", "birth", "family", "consent", "services", "result", "delivered", "evidence")
} | {"task.course", "task.week", "task.funds", "aid.donor", "aid.commitment"}

FIELDS = [
    (kind, register, name)
    for kind, registers in REGISTERS.items()
    for register, fields in registers.items()
    for name in fields
]


def codes_of(kind: str, register: str, field: str, value: Any) -> set[str]:
    """Give the codes at one field; any other reason would be a surprise."""
    reasons = found(setting(kind, register, **{field: value}))
    assert {path for path, _ in reasons} <= {f"set.{register}.{field}"}
    return {code for _, code in reasons}


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_change_is_accepted_when_every_register_is_set(kind: str) -> None:
    assert found(make_change(kind)) == set()


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_registers_are_those_of_the_protocol_with_every_field_in_these_tests(kind: str) -> None:
    part = SCHEMAS[kind].fields["set"]
    assert isinstance(part, Part)
    assert set(part.schema.fields) == PROTOCOL_REGISTERS[kind] == set(REGISTERS[kind])
    for name, register in part.schema.fields.items():
        assert isinstance(register, Part)
        assert set(register.schema.fields) == set(REGISTERS[kind][name])


@pytest.mark.parametrize(("kind", "register", "field", "low", "high"), RANGES)
def test_number_is_accepted_up_to_its_bounds_and_refused_beyond(
    kind: str, register: str, field: str, low: int, high: int
) -> None:
    assert codes_of(kind, register, field, low) == codes_of(kind, register, field, high) == set()
    assert codes_of(kind, register, field, low - 1) == {"out-of-range"}
    assert codes_of(kind, register, field, high + 1) == {"out-of-range"}


def test_ranges_above_name_every_whole_number_of_the_registers() -> None:
    declared = set()
    for kind, schema in SCHEMAS.items():
        for register, part in schema.fields["set"].schema.fields.items():  # type: ignore[attr-defined] # a Part
            declared |= {(kind, register, n) for n, f in part.schema.fields.items() if isinstance(f, Whole)}
    assert declared == {(kind, register, field) for kind, register, field, _, _ in RANGES}


@pytest.mark.parametrize(("kind", "register", "field", "low", "high"), RANGES)
@pytest.mark.parametrize("value", [True, False, "500", 500.0, float("nan"), float("inf"), [500], {"g": 500}])
def test_number_is_refused_when_it_is_not_a_whole_number(
    kind: str, register: str, field: str, low: int, high: int, value: Any
) -> None:
    assert codes_of(kind, register, field, value) == {"not-whole-number"}


@pytest.mark.parametrize(("kind", "register", "field", "high"), LENGTHS)
def test_text_is_accepted_up_to_its_length_and_refused_beyond(
    kind: str, register: str, field: str, high: int
) -> None:
    assert codes_of(kind, register, field, "a") == codes_of(kind, register, field, "ä" * high) == set()
    assert codes_of(kind, register, field, "a" * (high + 1)) == {"text-length"}
    assert codes_of(kind, register, field, "") == {"text-length"}


@pytest.mark.parametrize(("kind", "register", "field", "high"), LENGTHS)
@pytest.mark.parametrize("value", [" a", "a ", "a\u00a0", "  ", "\ta"])
def test_text_is_refused_when_blanks_stand_around_it(
    kind: str, register: str, field: str, high: int, value: str
) -> None:
    assert "edge-space" in codes_of(kind, register, field, value)


@pytest.mark.parametrize(("kind", "register", "field", "high"), LENGTHS)
@pytest.mark.parametrize("mark", ["\x00", "\t", "\r", "\x7f", "\x85", "\u202e", "\u2066", "\u200f", "\ud800"])
def test_text_is_refused_when_it_holds_an_invisible_character(
    kind: str, register: str, field: str, high: int, mark: str
) -> None:
    assert codes_of(kind, register, field, f"a{mark}b") == {"invisible-character"}


@pytest.mark.parametrize(("kind", "register", "field", "high"), LENGTHS)
def test_text_may_have_lines_only_where_an_address_or_note_is_written(
    kind: str, register: str, field: str, high: int
) -> None:
    expected = set() if field in ("address", "text") else {"invisible-character"}
    assert codes_of(kind, register, field, "a\nb") == expected


@pytest.mark.parametrize(("kind", "register", "field", "high"), LENGTHS)
@pytest.mark.parametrize("value", [1, 1.5, True, ["a"], {"a": "b"}])
def test_text_is_refused_when_it_is_not_a_string(
    kind: str, register: str, field: str, high: int, value: Any
) -> None:
    assert codes_of(kind, register, field, value) == {"not-text"}


@pytest.mark.parametrize(("kind", "register", "field", "choices"), CHOICES)
def test_choice_is_accepted_only_when_it_is_in_the_list(
    kind: str, register: str, field: str, choices: list[str]
) -> None:
    assert all(codes_of(kind, register, field, one) == set() for one in choices)
    for other in ("", choices[0] + "x", choices[0].swapcase(), "L", "0"):
        assert codes_of(kind, register, field, other) == {"not-choice"}
    assert codes_of(kind, register, field, 1) == {"not-text"}


@pytest.mark.parametrize(("kind", "register", "field", "code", "good", "bad"), SHAPES)
def test_shape_is_accepted_only_when_it_fits_as_a_whole(
    kind: str, register: str, field: str, code: str, good: list[str], bad: list[str]
) -> None:
    assert all(codes_of(kind, register, field, value) == set() for value in good)
    assert all(codes_of(kind, register, field, value) == {code} for value in bad)


@pytest.mark.parametrize(("kind", "register", "name"), FIELDS)
def test_field_may_be_null_only_where_that_means_something(kind: str, register: str, name: str) -> None:
    expected = set() if f"{register}.{name}" in NULLABLE else {"not-null"}
    assert codes_of(kind, register, name, None) == expected


@pytest.mark.parametrize(("kind", "register", "name"), FIELDS)
def test_field_may_be_left_out_only_where_that_means_not_known(kind: str, register: str, name: str) -> None:
    fields = {field: value for field, value in REGISTERS[kind][register].items() if field != name}
    expected = set() if f"{register}.{name}" in OPTIONAL else {(f"set.{register}.{name}", "missing")}
    assert found(make_change(kind, set={register: fields})) == expected


@pytest.mark.parametrize(
    ("kind", "register"), [(k, r) for k, registers in REGISTERS.items() for r in registers]
)
def test_register_is_refused_when_it_has_an_unknown_field_or_is_no_object(kind: str, register: str) -> None:
    assert found(setting(kind, register, extra=1)) == {(f"set.{register}.extra", "unknown-field")}
    values: list[Any] = ["text", 1, [], True]
    for value in values:
        assert found(make_change(kind, set={register: value})) == {(f"set.{register}", "not-object")}
    assert found(make_change(kind, set={register: None})) == {(f"set.{register}", "not-null")}


def test_yes_or_no_is_refused_when_it_is_anything_but_true_or_false() -> None:
    for kind, register, name in FIELDS:
        part = SCHEMAS[kind].fields["set"].schema.fields[register]  # type: ignore[attr-defined] # a Part
        if isinstance(part.schema.fields[name], Flag):
            values: list[Any] = [0, 1, "true", "ya", 1.0, []]
            for value in values:
                assert codes_of(kind, register, name, value) == {"not-yes-no"}


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("1999-12-31", "date-too-early"),
        ("2025-02-29", "not-date"),
        ("2025-13-01", "not-date"),
        ("2025-00-10", "not-date"),
        ("20250101", "not-date"),
        ("2025-W01-1", "not-date"),
        ("2025-1-1", "not-date"),
        ("2025-01-01\n", "not-date"),
        ("２０２５-01-01", "not-date"),
        ("01-01-2025", "not-date"),
        ("", "not-date"),
        (20250101, "not-date"),
        (True, "not-date"),
        ([], "not-date"),
    ],
)
def test_date_is_refused_when_it_is_too_early_or_not_of_the_calendar(value: Any, code: str) -> None:
    assert codes_of("child", "identity", "born_on", value) == {code}
    assert codes_of("child", "consent", "on", value) == {code}
    assert codes_of("follow_up", "task", "due_on", value) == {code}
    assert codes_of("follow_up", "result", "done_on", value) == {code}


@pytest.mark.parametrize("value", ["2100-01-01", "9999-12-31"])
def test_planned_date_is_refused_when_it_is_too_late(value: str) -> None:
    assert codes_of("follow_up", "task", "due_on", value) == {"date-too-late"}
    assert codes_of("follow_up", "task", "due_on", "2099-12-31") == set()


@pytest.mark.parametrize("value", ["2000-01-01", "2024-02-29", "2026-06-30"])
def test_date_is_accepted_when_the_calendar_has_it(value: str) -> None:
    assert codes_of("child", "identity", "born_on", value) == set()


@pytest.mark.parametrize(
    ("nik", "codes"),
    [
        ("9999990101250001", set()),
        ("9999993112259999", set()),
        ("9999994101250001", set()),
        ("9999997112250001", set()),
        ("9999990001250001", {"nik-day"}),
        ("9999993201250001", {"nik-day"}),
        ("9999994001250001", {"nik-day"}),
        ("9999997201250001", {"nik-day"}),
        ("9999990100250001", {"nik-month"}),
        ("9999990113250001", {"nik-month"}),
        ("9999990101250000", {"nik-serial"}),
        ("9999990000250000", {"nik-day", "nik-month", "nik-serial"}),
        ("1111111111111111", {"nik-same-digits"}),
        ("999999010125000", {"nik-digits"}),
        ("99999901012500011", {"nik-digits"}),
        ("999999-101250001", {"nik-digits"}),
        ("99999901012500٠١", {"nik-digits"}),
        ("", {"nik-digits"}),
        (9999990101250001, {"not-text"}),
    ],
)
def test_nik_is_checked_by_the_rules_that_every_nik_keeps(nik: Any, codes: set[str]) -> None:
    assert codes_of("child", "nik", "nik", nik) == codes


def test_weighing_is_refused_when_it_says_nothing() -> None:
    empty = setting("measurement", "weight", weight_g=None, oedema=None)
    assert found({**empty, "context": {}}) == {("set.weight", "nothing-measured")}


def test_weighing_and_note_are_taken_back_by_nulls_when_the_author_had_seen_the_record() -> None:
    assert found(setting("measurement", "weight", weight_g=None, oedema=None)) == set()
    assert found(setting("measurement", "note", text=None)) == set()


@pytest.mark.parametrize("fields", [{"weight_g": None, "oedema": "1"}, {"weight_g": 9000, "oedema": None}])
def test_weighing_is_accepted_when_it_says_one_thing(fields: dict[str, Any]) -> None:
    assert found(setting("measurement", "weight", **fields)) == set()


@pytest.mark.parametrize(
    ("flag", "codes"),
    [
        ("stunted/2026-01-05/cadre", set()),
        ("implausible/2026-01-05/staff/haz", set()),
        ("not_seen/0123456789ab", set()),
        ("conflict/", set()),
        ("a" * 40 + "/" + "b" * 40, set()),
        ("stunted", {"not-flag"}),
        ("/2026-01-05/cadre", {"not-flag"}),
        ("stunted/2026-01-05/Anak", {"not-flag"}),
        ("a" * 41 + "/", {"not-flag"}),
        ("a/" + "b" * 41, {"not-flag"}),
        ("stunted/\n", {"not-flag"}),
        (1, {"not-text"}),
        (None, {"not-null"}),
    ],
)
def test_result_covers_flags_by_rule_and_subject(flag: Any, codes: set[str]) -> None:
    change = setting("follow_up", "result", covers=[flag])
    assert found(change) == {("set.result.covers.0", code) for code in codes}


def test_result_covers_no_more_flags_than_a_child_can_have() -> None:
    flags = [f"copied/{n}" for n in range(MOST_COVERED + 1)]
    assert codes_of("follow_up", "result", "covers", []) == set()
    assert codes_of("follow_up", "result", "covers", flags[1:]) == set()
    assert codes_of("follow_up", "result", "covers", flags) == {"list-length"}
    assert codes_of("follow_up", "result", "covers", {}) == {"not-list"}


def test_optional_register_may_be_emptied() -> None:
    for register in ("parents", "home", "birth"):
        assert found(make_change("child", set={register: {}})) == set()
    assert found(make_change("measurement", set={"services": {}})) == set()


@pytest.mark.parametrize("kind", ["child", "measurement"])
@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ({}, {}),
        ({f"sistem:{n}": "x" for n in range(8)}, {}),
        ({f"{'s' * 32}:{'n' * 32}": "x" * 64}, {}),
        ({f"sistem:{n}": "x" for n in range(9)}, {"set.extra.ids": "list-length"}),
        ({f"{'s' * 33}:n": "x"}, {"set.extra.ids.?": "not-foreign-id"}),
        ({"Sistem:n": "x"}, {"set.extra.ids.?": "not-foreign-id"}),
        ({"weight": "x"}, {"set.extra.ids.weight": "not-foreign-id"}),
        ({"s:n": "x" * 65}, {"set.extra.ids.?": "text-length"}),
        ({"s:n": ""}, {"set.extra.ids.?": "text-length"}),
        ({"s:n": "a\u202eb"}, {"set.extra.ids.?": "invisible-character"}),
        ({"s:n": 12}, {"set.extra.ids.?": "not-text"}),
        (None, {"set.extra.ids": "not-null"}),
        ([], {"set.extra.ids": "not-object"}),
    ],
)
def test_foreign_ids_are_few_short_and_named(kind: str, ids: Any, expected: dict[str, str]) -> None:
    assert found(setting(kind, "extra", ids=ids)) == set(expected.items())


def test_refused_foreign_id_is_not_repeated_in_its_reason() -> None:
    for ids in ({"weight": "12345"}, {"s:n": 12345}, {"nik": True}):
        (reason,) = reasons(setting("child", "extra", ids=ids))
        assert reason.value is None
        assert "12345" not in reason.id + reason.en
