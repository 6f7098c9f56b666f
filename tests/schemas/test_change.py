"""What surrounds the registers of a change: its key, context and header, and the rules between fields."""

from datetime import date
from typing import Any

import pytest

from schemas import check_against_birth, check_change, check_registers
from schemas.change import MAX_ACTORS, SCHEMAS
from schemas.strict import MANY
from schemas.words import MAX_REASONS
from sync_protocol import MAX_SAFE_INTEGER, id_of, measurement_id
from tests.schemas._changes import (
    CHILD,
    KEY_OF,
    POST,
    TABLET,
    TASK,
    TODAY,
    found,
    make_change,
    reasons,
    setting,
)

TAG = "A" * 16

HEADER = [
    ("id", "not-uuid", [], ["", CHILD.upper(), f"{{{CHILD}}}", CHILD + "\n"]),
    ("author", "not-author", ["a", "a" * 64, "kader.1_x:y@z-9"], ["", "a" * 65, "a b", "é", "a\n"]),
    ("nonce", "not-nonce", ["-_" * 11], ["n" * 21, "n" * 23, "n" * 21 + "=", "n" * 21 + "+"]),
    ("app", "text-length", ["a", "a" * 64], ["", "a" * 65]),
    (
        "recorded_at",
        "not-time",
        ["2026-05-04T02:15:00Z", "2026-05-04T02:15:00.123Z", "2024-02-29T23:59:59.123456Z"],
        [
            "2026-05-04T02:15:00",
            "2026-05-04T02:15:00+00:00",
            "2026-05-04 02:15:00Z",
            "2026-05-04T24:00:01Z",
            "2026-02-29T00:00:00Z",
            "2026-05-04T02:15:60Z",
            "2026-05-04T02:15Z",
            "2026-05-04T02:15:00.1234567Z",
            "",
        ],
    ),
]


@pytest.mark.parametrize("value", [None, "x", 1, [], True])
def test_change_is_refused_when_it_is_no_object(value: Any) -> None:
    assert found(value) == {("", "not-object")}


@pytest.mark.parametrize(("field", "code", "good", "bad"), HEADER)
def test_header_is_accepted_only_when_its_shape_fits(
    field: str, code: str, good: list[str], bad: list[str]
) -> None:
    assert all(found(make_change("child", **{field: value})) == set() for value in good)
    assert all(found(make_change("child", **{field: value})) == {(field, code)} for value in bad)


@pytest.mark.parametrize("field", sorted(make_change()))
def test_header_is_refused_when_a_field_is_missing_or_null(field: str) -> None:
    without = {name: value for name, value in make_change().items() if name != field}
    assert (field, "missing") in found(without)
    assert (field, "not-null") in found(make_change(**dict.fromkeys([field])))


def test_header_is_refused_when_a_field_is_unknown() -> None:
    assert found(make_change(extra=1)) == {("extra", "unknown-field")}


@pytest.mark.parametrize("kind", ["aid", "", "Child", 1, True, ["child"], {"child": 1}])
def test_change_is_refused_with_its_other_errors_when_its_kind_is_unknown(kind: Any) -> None:
    codes = found(make_change(kind=kind, nonce="short"))
    assert {path for path, _ in codes} == {"kind", "nonce"}


def test_change_has_the_one_reason_when_its_schema_is_newer_than_ours() -> None:
    newer = make_change(schema=2, nonce="other", set={"unheard_of": {}})
    assert found(newer) == {("schema", "schema-too-new")}


@pytest.mark.parametrize(
    ("schema", "code"),
    [
        (0, "out-of-range"),
        (-1, "out-of-range"),
        ("1", "not-whole-number"),
        (True, "not-whole-number"),
        (1.0, "not-whole-number"),
    ],
)
def test_schema_number_is_refused_when_it_is_none(schema: Any, code: str) -> None:
    assert found(make_change(schema=schema)) == {("schema", code)}


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_change_is_refused_when_it_sets_nothing(kind: str) -> None:
    assert found(make_change(kind, set={})) == {("set", "nothing-set")}


def test_change_is_refused_when_it_sets_a_register_of_another_kind() -> None:
    assert found(make_change("child", set={"muac": {"muac_mm": 140}})) == {("set.muac", "unknown-field")}


# -- key ----------------------------------------------------------------------------------------------


def test_key_of_a_child_is_refused_when_it_holds_anything() -> None:
    assert found(make_change("child", key={"child": CHILD})) == {("key.child", "unknown-field")}


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("child", "x", "not-uuid"),
        ("child", 1, "not-text"),
        ("measured_on", "2026-02-30", "not-date"),
        ("measured_on", "1999-12-31", "date-too-early"),
        ("measured_on", "2026-07-01", "date-in-future"),
        ("source", "kader", "not-choice"),
        ("source", None, "not-null"),
    ],
)
def test_key_of_a_measurement_is_refused_when_a_part_is_wrong(field: str, value: Any, code: str) -> None:
    key = {**make_change()["key"], field: value}
    assert (f"key.{field}", code) in found(make_change(key=key))


@pytest.mark.parametrize("source", ["cadre", "staff"])
def test_id_is_accepted_when_it_is_made_of_the_key(source: str) -> None:
    key = {"child": CHILD, "measured_on": "2000-01-01", "source": source}
    assert found(make_change(key=key, id=measurement_id(CHILD, "2000-01-01", source))) == set()


def test_id_is_refused_when_it_is_of_another_measurement() -> None:
    other = measurement_id(CHILD, "2026-05-05", "cadre")
    assert found(make_change(id=other)) == {("id", "id-mismatch")}


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [("child", "x", "not-uuid"), ("task", TASK.upper(), "not-uuid"), ("task", 1, "not-text")],
)
def test_key_of_a_follow_up_is_refused_when_a_part_is_wrong(field: str, value: Any, code: str) -> None:
    key = {**KEY_OF["follow_up"], field: value}
    assert found(make_change("follow_up", key=key)) == {(f"key.{field}", code)}


def test_key_of_a_follow_up_is_refused_when_a_part_is_missing() -> None:
    assert found(make_change("follow_up", key={"child": CHILD})) == {("key.task", "missing")}


@pytest.mark.parametrize("other", [{"child": POST, "task": TASK}, {"child": CHILD, "task": POST}])
def test_id_is_refused_when_it_is_of_another_follow_up(other: dict[str, str]) -> None:
    assert found(make_change("follow_up", id=id_of("follow_up", other))) == {("id", "id-mismatch")}
    assert found(make_change("follow_up", id=id_of("follow_up", other), key=other)) == set()


@pytest.mark.parametrize("kind", ["measurement", "follow_up"])
def test_id_of_a_child_is_refused_when_it_is_made_as_another_records(kind: str) -> None:
    assert found(make_change("child", id=id_of(kind, KEY_OF[kind]))) == {("id", "id-mismatch")}


@pytest.mark.parametrize("kind", ["measurement", "follow_up", "delivery"])
def test_record_is_refused_when_its_child_can_never_exist(kind: str) -> None:
    key = {**KEY_OF[kind], "child": id_of("follow_up", KEY_OF["follow_up"])}
    assert found(make_change(kind, id=id_of(kind, key), key=key)) == {("key.child", "id-mismatch")}


def test_link_is_refused_when_its_child_can_never_exist() -> None:
    same_as = {"child": id_of("follow_up", KEY_OF["follow_up"])}
    assert found(make_change("child", set={"same_as": same_as})) == {("set.same_as.child", "id-mismatch")}


@pytest.mark.parametrize(
    "id_", ["00000000-0000-0000-0000-000000000001", "ffffffff-ffff-4fff-bfff-ffffffffffff"]
)
def test_id_of_a_child_may_be_any_uuid(id_: str) -> None:
    assert found(make_change("child", id=id_)) == set()


@pytest.mark.parametrize("digit", "0f")
def test_id_of_a_child_is_refused_when_it_names_nobody(digit: str) -> None:
    nobody = "-".join(digit * length for length in (8, 4, 4, 4, 12))
    assert found(make_change("child", id=nobody)) == {("id", "not-uuid")}


# -- context ------------------------------------------------------------------------------------------


def test_context_is_accepted_when_it_is_empty_or_has_as_many_actors_as_allowed() -> None:
    many = {f"019bf000-0000-7000-8000-{n:012x}": [1, TAG] for n in range(MAX_ACTORS)}
    assert found(make_change(context={})) == found(make_change(context=many)) == set()
    many[f"hub:{CHILD}"] = [1, TAG]
    assert found(make_change(context=many)) == {("context", "list-length")}
    assert check_change(make_change(context=many), today=TODAY, most_actors=MANY) == []


def test_context_of_a_newer_schema_is_not_judged() -> None:
    many = {f"019bf000-0000-7000-8000-{n:012x}": [1, TAG] for n in range(MAX_ACTORS + 1)}
    assert found(make_change(context=many, schema=2)) == {("schema", "schema-too-new")}


@pytest.mark.parametrize(
    "actor", ["", "tablet", TABLET.upper(), f"hub:hub:{TABLET}", f"Hub:{TABLET}", f"{TABLET} "]
)
def test_context_is_refused_when_an_actor_is_no_tablet_and_no_hub(actor: str) -> None:
    assert {code for _, code in found(make_change(context={actor: [1, TAG]}))} == {"not-actor"}


@pytest.mark.parametrize(
    ("entry", "place", "code"),
    [
        ([0, TAG], ".0", "out-of-range"),
        ([MAX_SAFE_INTEGER + 1, TAG], ".0", "out-of-range"),
        ([True, TAG], ".0", "not-whole-number"),
        (["1", TAG], ".0", "not-whole-number"),
        ([1.0, TAG], ".0", "not-whole-number"),
        ([None, TAG], ".0", "not-null"),
        ([1, TAG[1:]], ".1", "not-tag"),
        ([1, TAG + "A"], ".1", "not-tag"),
        ([1, TAG[1:] + "="], ".1", "not-tag"),
        ([1, 1], ".1", "not-text"),
        ([1], "", "not-pair"),
        ([1, TAG, 1], "", "not-pair"),
        ({"0": 1, "1": TAG}, "", "not-pair"),
        ("ab", "", "not-pair"),
        (None, "", "not-null"),
    ],
)
def test_context_is_refused_when_an_entry_is_not_a_counter_and_a_tag(
    entry: Any, place: str, code: str
) -> None:
    assert found(make_change(context={TABLET: entry})) == {(f"context.{TABLET}{place}", code)}


def test_context_is_accepted_at_the_bounds_of_its_counter() -> None:
    assert found(make_change(context={TABLET: [1, TAG], POST: [MAX_SAFE_INTEGER, TAG]})) == set()


@pytest.mark.parametrize("context", [[], "x", 1])
def test_context_is_refused_when_it_is_no_object(context: Any) -> None:
    assert found(make_change(context=context)) == {("context", "not-object")}


# -- between fields, and of the day -------------------------------------------------------------------


def test_child_is_refused_when_it_is_said_to_be_itself() -> None:
    itself = setting("child", "same_as", child=CHILD)
    assert found(itself) == {("set.same_as.child", "same-as-itself")}


@pytest.mark.parametrize(("today", "codes"), [("2026-05-04", []), ("2026-05-03", ["date-in-future"])])
def test_measurement_is_refused_when_it_is_dated_after_today(today: str, codes: list[str]) -> None:
    told = check_change(make_change(), today=date.fromisoformat(today))
    assert [reason.code for reason in told] == codes


@pytest.mark.parametrize(
    ("registers", "codes"),
    [
        ({"removed": {"reason": "salah tanggal"}}, []),
        ({"removed": {"reason": None}}, ["date-in-future"]),
        ({"removed": {"reason": "salah tanggal"}, "note": {"text": "x"}}, ["date-in-future"]),
    ],
)
def test_removal_alone_is_accepted_when_the_measurement_is_dated_after_today(
    registers: dict[str, Any], codes: list[str]
) -> None:
    told = check_change(make_change(set=registers), today=date.fromisoformat("2026-05-03"))
    assert [reason.code for reason in told] == codes


@pytest.mark.parametrize(
    ("kind", "register", "field"),
    [
        ("child", "identity", "born_on"),
        ("follow_up", "result", "done_on"),
        ("delivery", "delivered", "given_on"),
        ("delivery", "verified", "verified_on"),
    ],
)
def test_what_has_happened_is_refused_when_it_is_dated_after_today(
    kind: str, register: str, field: str
) -> None:
    assert found(setting(kind, register, **{field: "2026-06-30"})) == set()
    assert found(setting(kind, register, **{field: "2026-07-01"})) == {
        (f"set.{register}.{field}", "date-in-future")
    }


def test_task_may_be_due_after_today() -> None:
    assert found(setting("follow_up", "task", due_on="2026-07-01")) == set()


def test_change_tells_every_error_at_once() -> None:
    change = make_change(id="x", nonce="short", extra=1)
    change["key"]["measured_on"] = "2026-07-01"
    change["set"]["weight"] = {"weight_g": 9, "oedema": "4"}
    change["set"]["length"] = {"length_mm": 85}
    assert found(change) == {
        ("extra", "unknown-field"),
        ("id", "not-uuid"),
        ("key.measured_on", "date-in-future"),
        ("nonce", "not-nonce"),
        ("set.length.length_mm", "out-of-range"),
        ("set.length.position", "missing"),
        ("set.weight.oedema", "not-choice"),
        ("set.weight.weight_g", "out-of-range"),
    }


def test_reasons_come_in_one_order_when_the_fields_come_in_another() -> None:
    change = make_change(b=1, a=1, c=1, nonce="x")
    backwards = dict(reversed(change.items()))
    assert reasons(change) == reasons(backwards)
    assert [reason.path for reason in reasons(change)] == ["a", "b", "c", "nonce"]


def test_reasons_stay_few_when_a_change_is_nothing_but_errors() -> None:
    told = reasons({**make_change(), **{f"x{n}": n for n in range(1000)}})
    assert len(told) == MAX_REASONS
    assert told[0].code == "more-reasons"
    assert "981" in told[0].id


def test_check_leaves_the_change_as_it_was() -> None:
    change = make_change(extra=1)
    before = repr(change)
    check_change(change, today=date(2026, 1, 1))
    assert repr(change) == before


def test_measurement_is_refused_when_it_is_dated_before_the_birth() -> None:
    refusal = check_against_birth("2025-01-01", "2025-01-02")
    assert refusal is not None
    assert (refusal.path, refusal.code) == ("key.measured_on", "before-birth")
    assert check_against_birth("2025-01-02", "2025-01-02") is None


@pytest.mark.parametrize(
    ("kind", "registers"),
    [
        ("measurement", {"weight": {"weight_g": 9300, "oedema": None}, "head": {"head_mm": 460}}),
        ("measurement", {"weight": {"weight_g": 93_000}, "colour": {}, "length": []}),
        ("child", {"identity": {"name": "", "sex": "L", "born_on": "2099-01-01", "birth_order": 0}}),
    ],
)
def test_registers_are_refused_for_the_same_reasons_as_the_change_that_sets_them(
    kind: str, registers: dict[str, Any]
) -> None:
    # on this day the key of the change is dated in the past
    told = check_change(make_change(kind, set=registers), today=date(2026, 6, 30))
    assert check_registers(kind, registers, today=date(2026, 6, 30)) == told
