"""The quick test agrees with marshmallow, and doubts what it does not know."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from marshmallow import EXCLUDE, ValidationError, fields, post_load, pre_load, validate, validates_schema

from schemas.change import SCHEMAS, TESTS
from schemas.fast import surely_valid
from schemas.strict import ListOf, Need, Part, Strict, Text, Whole, whole
from tests.schemas._changes import JUNK, make_change, mutated_changes, valid_changes


def stock_accepts(change: Any) -> bool:
    return not SCHEMAS[change["kind"]].validate(change)


@given(valid_changes())
def test_quick_test_says_yes_when_a_change_is_valid(change: dict[str, Any]) -> None:
    assert TESTS[change["kind"]](change)
    assert stock_accepts(change)


@settings(max_examples=1000)
@given(mutated_changes())
def test_quick_test_says_what_marshmallow_says_when_a_change_is_spoiled(change: dict[str, Any]) -> None:
    for kind, schema in SCHEMAS.items():
        assert TESTS[kind](change) == (not schema.validate(change))


@given(JUNK)
def test_quick_test_doubts_and_never_raises_when_the_change_is_junk(value: Any) -> None:
    assert not TESTS["child"](value)
    for kind in ("measurement", "follow_up"):
        assert not TESTS[kind](make_change(kind, context=value, set=value, key=value))


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_quick_test_says_yes_when_every_register_is_set(kind: str) -> None:
    assert TESTS[kind](make_change(kind))


class Plain(Strict):
    number = whole(1, 9)


class WithPreLoad(Plain):
    @pre_load
    def change(self, value: Any, **_: Any) -> Any:
        return {**value, "number": 99}


class WithPostLoad(Plain):
    @post_load
    def make(self, value: Any, **_: Any) -> Any:
        return value


class WithAnotherRule(Plain):
    @validates_schema
    def refuse(self, value: Any, **_: Any) -> None:
        raise ValidationError(f"no {value}")


class WithForeignField(Strict):
    number = fields.Integer(required=True)


class Rounded(Whole):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        return math.floor(value)


class WithOverriddenField(Strict):
    number = Rounded()


class WithDumpOnly(Strict):
    number = whole(1, 9)
    shown = fields.Integer(dump_only=True)


class Renamed(Whole):
    def __init__(self) -> None:
        super().__init__()
        self.data_key = "other"


class WithRenamedField(Strict):
    number = Renamed()


class Outer(Strict):
    inner = Part(WithPreLoad)


@pytest.mark.parametrize(
    "schema",
    [
        WithPreLoad(),
        WithPostLoad(),
        WithAnotherRule(),
        WithForeignField(),
        WithOverriddenField(),
        WithDumpOnly(),
        WithRenamedField(),
        Plain(many=True),
        Plain(partial=True),
        Plain(unknown=EXCLUDE),
    ],
)
def test_quick_test_doubts_everything_when_a_schema_does_what_it_does_not_know(schema: Strict) -> None:
    assert surely_valid(Plain())({"number": 5})
    assert not surely_valid(schema)({"number": 5})


def test_quick_test_is_the_same_when_it_is_made_after_the_schema_was_used() -> None:
    schema = Plain()
    schema.load({"number": 5})
    assert surely_valid(schema)({"number": 5})


def test_quick_test_doubts_everything_when_an_inner_schema_does_what_it_does_not_know() -> None:
    assert not surely_valid(Outer())({"inner": {"number": 5}})


def _even(value: int) -> None:
    if value % 2:
        raise ValidationError("odd")


class Limits(Strict):
    at_most = Whole(Need.ABSENT, validate.Range(max=9))
    above = Whole(Need.ABSENT, validate.Range(min=1, min_inclusive=False))
    even = Whole(Need.ABSENT, _even)
    several = ListOf(Text(), 1, 2, Need.OPTIONAL)
    three = Whole(Need.ABSENT, _even, validate.Range(0, 9), validate.OneOf([0, 2, 11]))


@pytest.mark.parametrize(
    "value",
    [
        *({"at_most": n} for n in (9, 10)),
        *({"above": n} for n in (1, 2)),
        *({"even": n} for n in (1, 2)),
        *({"three": n} for n in (0, 1, 2, 4, 11)),
        *({"several": v} for v in ([], ["a"], ["a", 1], ["a", "b", "c"], None, "a")),
    ],
)
def test_quick_test_keeps_every_form_of_a_rule(value: dict[str, Any]) -> None:
    schema = Limits()
    assert surely_valid(schema)(value) == (not schema.validate(value))
