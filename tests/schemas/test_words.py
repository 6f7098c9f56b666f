"""Sentences: every code has two, they name what they should, and they never repeat what is personal."""

import ast
import json
import re
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from hypothesis import given

import schemas
from schemas import Reason, parse_envelope
from schemas.change import SCHEMAS
from schemas.words import LABELS, WORDS, reason
from tests.schemas._changes import REGISTERS, make_change, mutated_changes, reasons, setting

# Words with hyphens in the code are codes of reasons, but for those that name a whole request's refusal.
NOT_REASONS = {"batch-malformed", "enrolment-malformed", "sealed-unreadable"}


def codes_in_the_code() -> set[str]:
    modules = [path for path in Path(schemas.__file__).parent.glob("*.py") if path.name != "words.py"]
    nodes = [node for path in modules for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    texts = {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    return {text.split(" ")[0] for text in texts if re.fullmatch(r"[a-z]+(-[a-z]+)+( \{.*)?", text)}


def only(change: dict[str, Any]) -> Reason:
    (told,) = reasons(change)
    return told


@pytest.mark.parametrize("code", sorted(WORDS))
def test_code_has_both_sentences_with_the_same_limits(code: str) -> None:
    words = WORDS[code]
    indonesian, english = words.rule
    assert indonesian
    assert english
    assert indonesian != english
    assert words.remedy is None or all(words.remedy)
    limits = [{name for _, name, _, _ in Formatter().parse(rule) if name} for rule in (indonesian, english)]
    assert limits[0] == limits[1] <= {"0", "1", "unit"}


def test_every_code_that_the_schemas_use_has_words_and_the_other_way_round() -> None:
    of_words_itself = {"missing", "more-reasons"}
    of_the_server = {
        "post-unknown",
        "post-out-of-scope",
        "tablet-revoked",
        "child-erased",
        "child-restricted",
        "record-unreadable",
    }
    of_the_office = {"not-on-screen", "not-in-conflict", "not-one-of-them", "in-conflict"}
    of_the_office |= {"same-post", "post-closed", "moved-meanwhile", "not-registered"}
    of_the_office |= {"post-stays", "one-post-only"}
    of_others = of_words_itself | of_the_server | of_the_office
    assert codes_in_the_code() - NOT_REASONS | of_others == set(WORDS)


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_every_field_that_a_person_fills_in_has_a_name_of_its_own(kind: str) -> None:
    for register, fields in REGISTERS[kind].items():
        for field in fields:
            assert f"{register}.{field}" in LABELS or field in LABELS


def test_sentences_name_field_value_rule_and_remedy() -> None:
    told = only(setting("child", "birth", gestation_weeks=50))
    assert told.wire() == {
        "path": "set.birth.gestation_weeks",
        "code": "out-of-range",
        "value": 50,
        "id": "Umur kehamilan saat lahir (tertulis 50) harus antara 22 dan 44 minggu. "
        "Periksa dan tulis lagi angkanya.",
        "en": "Gestation at birth (given as 50) must be between 22 and 44 weeks. "
        "Check the number and write it again.",
    }


@pytest.mark.parametrize(
    ("register", "field", "value", "indonesian", "english"),
    [
        ("weight", "weight_g", 9, "9 kilogram adalah 9000 gram", "9 kilograms are 9000 grams"),
        ("weight", "weight_g", 9_500_000, "maksudnya 9500 gram", "perhaps 9500 grams"),
        ("weight", "weight_g", 95, "9,5 kg ditulis 9500", "9.5 kg is written 9500"),
        ("weight", "weight_g", 9.5, "dalam gram bulat", "whole grams"),
        ("weight", "weight_g", "9,5", "(tertulis 9,5)", "whole grams"),
        (
            "length",
            "length_mm",
            85,
            "85 sentimeter adalah 850 milimeter",
            "85 centimetres are 850 millimetres",
        ),
        ("length", "length_mm", 8500, "maksudnya 850 milimeter", "perhaps 850 millimetres"),
        ("length", "length_mm", 85.5, "milimeter bulat", "whole millimetres"),
        ("muac", "muac_mm", 14, "14 sentimeter adalah 140 milimeter", "14 centimetres are 140 millimetres"),
    ],
)
def test_remedy_names_the_unit_when_it_was_mistaken(
    register: str, field: str, value: Any, indonesian: str, english: str
) -> None:
    told = only(setting("measurement", register, **{field: value}))
    assert indonesian in told.id
    assert english in told.en


def test_remedy_is_to_update_the_app_when_no_person_fills_the_field_in() -> None:
    told = only(make_change(nonce="x"))
    assert "kesalahan aplikasi" in told.id
    assert "fault of the app" in told.en


def test_remedy_says_that_nothing_is_lost_when_the_app_is_newer_than_the_server() -> None:
    told = only(make_change(schema=2))
    assert "Data Anda aman" in told.id
    assert "Your data is safe" in told.en


NIK, NAME, PHONE = "9999994101259998", "Siti Contoh Rahasia", "+629999999999"


@pytest.mark.parametrize(
    "secret", [NIK, int(NIK), NAME, PHONE, "99.99.99.410125.9998", NAME.lower(), "a" * 5000]
)
def test_no_reason_repeats_a_secret_wherever_it_was_written(secret: Any) -> None:
    for kind, registers in REGISTERS.items():
        for register, fields in registers.items():
            for field in fields:
                for value in (secret, f" {secret}", [secret], {"x": secret}):
                    told = json.dumps([r.wire() for r in reasons(setting(kind, register, **{field: value}))])
                    assert str(secret) not in told


@pytest.mark.parametrize("field", sorted(make_change()))
@pytest.mark.parametrize("secret", [NIK, int(NIK), NAME])
def test_no_reason_repeats_a_secret_written_into_the_header_or_as_a_name_of_a_field(
    field: str, secret: Any
) -> None:
    header = make_change()
    for change in (
        {**header, field: secret},
        {**header, field: {str(secret): 1}},
        {**header, str(secret): 1},
    ):
        assert str(secret) not in json.dumps([r.wire() for r in reasons(change)], ensure_ascii=False)


def test_value_of_a_personal_field_is_not_shown_however_short_it_is() -> None:
    told = only(setting("child", "home", rt="1a"))
    assert told.value is None
    assert "1a" not in told.id


def test_value_of_an_unknown_field_is_not_shown_however_short_it_is() -> None:
    assert only(setting("child", "parents", nickname="Jo")).value is None


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (True, True),
        (9.5, 9.5),
        (float("nan"), None),
        (float("inf"), None),
        (10**9, None),
        (-5, -5),
        ("9500", "9500"),
        ("123456789", None),
        ("2026-13-45", "2026-13-45"),
        ("L", "L"),
        ("Ani", None),
        (None, None),
        ([], None),
    ],
)
def test_value_is_shown_only_when_it_is_short_and_harmless(written: Any, shown: Any) -> None:
    assert reason("set.weight.weight_g", "not-whole-number", written).value == shown


@given(mutated_changes())
def test_reasons_are_json_that_a_receipt_can_carry(change: dict[str, Any]) -> None:
    told = [r.wire() for r in reasons(change)]
    text = json.dumps(told, allow_nan=False, ensure_ascii=False)
    text.encode()
    assert all(len(r["id"]) <= 600 and len(r["en"]) <= 600 and len(r["path"]) <= 200 for r in told)


def test_malformed_batch_says_nothing_personal_in_its_text() -> None:
    with pytest.raises(schemas.MalformedBatch) as caught:
        parse_envelope({"batch": {"app": NAME * 9}, "signature": NIK, NAME: NIK})
    assert NAME not in str(caught.value)
    assert NIK not in str(caught.value)


def test_schemas_answer_only_with_codes_that_have_words() -> None:
    for schema in SCHEMAS.values():
        messages = json.dumps(schema.validate({"set": {}, "key": 1, "context": 1, "x": 1}))
        codes = {text.split(" ")[0] for text in re.findall(r'\["([^"]+)"\]', messages)}
        assert codes
        assert codes <= set(WORDS)
