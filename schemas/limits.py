"""What the fields of a schema may hold, as data, for the catalogue of the protocol. Reads the schemas; has no rules itself.

A rule is a code of `schemas.words` with its limits, as the field's own validators give it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from marshmallow import Schema, fields

from schemas.strict import Day, Flag, Instant, Json, ListOf, MapOf, Object, Pair, Part, Text, Whole

KINDS: Final[Mapping[type[fields.Field[Any]], str]] = {
    Text: "text",
    Whole: "whole number",
    Flag: "true or false",
    Day: "date",
    Instant: "time",
    Object: "object",
    Json: "any value",
    Part: "object",
    Pair: "list of two",
    ListOf: "list",
    MapOf: "object",
}
OF_FUNCTIONS: Final[Mapping[str, Sequence[str]]] = {
    "_nik": ("nik-digits", "nik-same-digits", "nik-day", "nik-month", "nik-serial"),
    "_never_private": ("private-key-sent",),
}
"""The codes of validators that are functions, by name: no other validator hides its code."""


@dataclass(frozen=True, slots=True)
class FieldLimit:
    """One field.

    Parameters
    ----------
    path : with dots; `[]` for the members of a list, `{}` for the values of an object with free names, `{name}` for these
        names
    kind : one of KINDS
    required, nullable : whether it must be there, and whether it may be null
    rules : code and limits, as in `schemas.strict`: "out-of-range 500 40000"
    """

    path: str
    kind: str
    required: bool
    nullable: bool
    rules: Sequence[str]


def field_limits(schema: type[Schema] | Schema, path: str = "") -> Iterator[FieldLimit]:
    """Return all fields of a schema, those inside others too, in the order of their declaration."""
    made = schema if isinstance(schema, Schema) else schema()
    for name, field in made.fields.items():
        yield from _limits_of(field, f"{path}.{name}" if path else name)


def _limits_of(field: fields.Field[Any], path: str) -> Iterator[FieldLimit]:
    kind = next(name for one, name in KINDS.items() if isinstance(field, one) and one is not Json)
    yield FieldLimit(path, kind, field.required, bool(field.allow_none), tuple(_rules(field)))
    match field:
        case Part():
            yield from field_limits(field.inside, path)
        case ListOf() | MapOf() if isinstance(field.member, Part):
            yield from field_limits(field.member.inside, f"{path}{_inside(field)}")
        case ListOf():
            yield from _limits_of(field.member, f"{path}{_inside(field)}")
        case MapOf():
            yield from _limits_of(field.key, f"{path}{{name}}")
            yield from _limits_of(field.member, f"{path}{_inside(field)}")
        case Pair():
            yield from _limits_of(field.first, f"{path}[0]")
            yield from _limits_of(field.second, f"{path}[1]")


def _inside(field: fields.Field[Any]) -> str:
    return "{}" if isinstance(field, MapOf) else "[]"


def _rules(field: fields.Field[Any]) -> Iterator[str]:
    for rule in field.validators:
        error = getattr(rule, "error", None)
        if error is None:
            yield from OF_FUNCTIONS[getattr(rule, "__name__", "")]
        else:
            yield _filled(error, rule)


def _filled(error: str, rule: Any) -> str:
    """Fill in the limits of a rule as its validator does."""
    code, _, names = error.partition(" ")
    if not names:
        return code
    choices = ", ".join(map(str, getattr(rule, "choices", ())))
    limits = {"min": getattr(rule, "min", None), "max": getattr(rule, "max", None), "choices": choices}
    return f"{code} {names.format(**limits)}"
