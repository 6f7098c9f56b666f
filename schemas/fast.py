"""A quick check before a marshmallow schema (docs/adr/0007). Hides how a schema is turned into closures.

`surely_valid(schema)` reads the schema's declared fields once and returns a test made of the same `accepts` methods,
validators and `agree` rules. It omits what marshmallow does besides: building a copy of the object, binding and collecting
errors. No rule is written here, so none can differ. Two rules are kept:

- True means that `schema.load` accepts the value, always. False means "in doubt": ask `schema.load`, which also says why.
- Whatever is not known here (another field class, a hook, a renamed field) makes the test return False always: slow, not
  wrong.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from schemas.strict import Json, ListOf, MapOf, Pair, Part, Strict

Test = Callable[[Any], bool]
Member = tuple[bool, tuple[Test, ...]]
"""Whether a member of an object may be null, and the tests that it must pass otherwise."""


def surely_valid(schema: Schema) -> Test:
    """Compile a schema into a test.

    Parameters
    ----------
    schema : a Strict schema, with its fields, their validators and its `agree`

    Returns
    -------
    function of one JSON value; True if `schema.load` surely accepts it, False if in doubt. It never raises.
    """
    if not isinstance(schema, Strict) or _hooks(schema) != _hooks(Strict) or schema.unknown != RAISE:
        return _in_doubt
    if schema.many or schema.partial or schema.fields != schema.load_fields:
        return _in_doubt
    members = {name: _member(field, name) for name, field in schema.fields.items()}
    required = frozenset(name for name, field in schema.fields.items() if field.required)
    agree = None if type(schema).agree is Strict.agree else _passes(schema.agree)
    return _object(members, required, agree)


def plain_test(field: Json) -> Test:
    """Compile one field with a plain value, by the same two rules."""
    return _whole(_member(field, ""))


def _hooks(schema: Schema | type[Schema]) -> dict[str, Any]:
    """Return a schema's hooks, without the empty entries that marshmallow adds when it looks something up."""
    return {tag: hooks for tag, hooks in schema._hooks.items() if hooks}


def _object(members: Mapping[str, Member], required: frozenset[str], agree: Test | None) -> Test:
    member_of = members.get

    def test(value: Any) -> bool:  # nested loops instead of functions: every call costs
        if type(value) is not dict:
            return False
        for name, inside in value.items():
            member = member_of(name)
            if member is None or (inside is None and not member[0]):
                return False
            if inside is not None:
                for accepts in member[1]:
                    if not accepts(inside):
                        return False
        return required <= value.keys() and (agree is None or agree(value))

    return test


def _in_doubt(_: Any) -> bool:
    return False


def _member(field: fields.Field[Any], name: str) -> Member:
    """Return the test of one field of an object."""
    known = not (field.pre_load or field.post_load or field.data_key not in (None, name) or field.attribute)
    inside = _inside(field) if known else None
    if inside is None:
        return False, (_in_doubt,)
    return bool(field.allow_none), (inside, *map(_validator, field.validators))


def _whole(member: Member) -> Test:
    """Combine the tests of a member into one, null included."""
    may_be_null, tests = member
    return lambda value: may_be_null if value is None else all(test(value) for test in tests)


def _inside(field: fields.Field[Any]) -> Test | None:
    """Return the test of a value without the field's validators; None if it is not known how the field reads it."""
    reads = type(field)._deserialize
    if isinstance(field, Json) and reads is Json._deserialize:
        return field.accepts
    if type(field) is Part and not (field.only or field.exclude or field.many):
        return surely_valid(field.schema)
    if isinstance(field, Pair) and reads is Pair._deserialize:
        return _pair(_whole(_member(field.first, "")), _whole(_member(field.second, "")))
    if isinstance(field, ListOf) and reads is ListOf._deserialize:
        return _list(_whole(_member(field.member, "")))
    if isinstance(field, MapOf) and reads is MapOf._deserialize:
        return _map(_whole(_member(field.key, "")), _whole(_member(field.member, "")))
    return None


def _pair(first: Test, second: Test) -> Test:
    return lambda value: type(value) is list and len(value) == 2 and first(value[0]) and second(value[1])


def _list(member: Test) -> Test:
    return lambda value: type(value) is list and all(map(member, value))


def _map(key: Test, member: Test) -> Test:
    return lambda value: type(value) is dict and all(map(key, value)) and all(map(member, value.values()))


def _validator(rule: Callable[[Any], Any]) -> Test:
    """Turn a validator into a test: a common one by its parameters, any other by calling it."""
    if type(rule) is validate.Range and rule.min_inclusive and rule.max_inclusive:
        return _range(rule.min, rule.max)
    if type(rule) is validate.Length and rule.equal is None:
        fits = _range(rule.min, rule.max)
        return lambda value: fits(len(value))
    if type(rule) is validate.OneOf:
        choices = rule.choices
        return lambda value: value in choices
    if type(rule) is validate.Regexp and isinstance(rule.regex, re.Pattern):
        match = rule.regex.match
        return lambda value: match(value) is not None
    return _passes(rule)


def _range(low: Any, high: Any) -> Test:
    if low is None:
        return lambda value: high is None or bool(value <= high)
    if high is None:
        return lambda value: bool(low <= value)
    return lambda value: bool(low <= value <= high)


def _passes(rule: Callable[[Any], Any]) -> Test:
    def test(value: Any) -> bool:
        try:
            rule(value)
        except ValidationError:
            return False
        return True

    return test
