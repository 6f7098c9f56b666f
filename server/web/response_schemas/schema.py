"""How an answer is described: kinds of values, and `answers`, with which a view names its schema.

Every member of an object is always there; a value that may be null says so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, ParamSpec, TypeVar

from marshmallow import Schema, fields

from schemas.strict import Flag, Instant, Json, Member, Need, Part, Strict, Text, Whole

P = ParamSpec("P")
R = TypeVar("R")
AnyField = fields.Field[Any]

JSON: Final = "application/json"


class Number(Json):
    """A number with decimals."""


class Several(Member):
    """A list of values of one kind, of any length."""

    def __init__(self, member: AnyField, need: Need = Need.VALUE) -> None:
        super().__init__(need)
        self.member = member


class ByName(Member):
    """An object with any names, whose values are of one kind."""

    def __init__(self, member: AnyField, need: Need = Need.VALUE) -> None:
        super().__init__(need)
        self.member = member


class OneOf(Member):
    """An object of one of several shapes."""

    def __init__(self, *shapes: type[Schema]) -> None:
        super().__init__()
        self.shapes = shapes


MAYBE: Final = Need.NULLABLE
TEXT, WHOLE, NUMBER, FLAG, MOMENT, ANY = (
    *(Text(), Whole(), Number(), Flag(), Instant()),
    Json(Need.NULLABLE),
)
MAYBE_TEXT, MAYBE_WHOLE, MAYBE_NUMBER = Text(MAYBE), Whole(MAYBE), Number(MAYBE)
MAYBE_FLAG, MAYBE_MOMENT = Flag(MAYBE), Instant(MAYBE)
TRUTH: Final = Whole(Need.VALUE)
"""0 or 1, as the database has it."""


def shape(members: Mapping[str, AnyField], name: str = "") -> type[Schema]:
    """Make a schema of its members.

    Parameters
    ----------
    name : "module.Name" in the description; "" writes it where it is used
    """
    module, _, title = name.rpartition(".")
    made = Strict.from_dict(dict(members), name=f"{title}Schema" if title else "GeneratedSchema")
    if module:
        made.__module__ = module
    return made


def obj(members: Mapping[str, AnyField] | type[Schema], need: Need = Need.VALUE) -> Part:
    """Declare an object with these members."""
    return Part(members if isinstance(members, type) else shape(members), need)


def several(members: Mapping[str, AnyField] | type[Schema] | AnyField, need: Need = Need.VALUE) -> Several:
    """Declare a list."""
    return Several(members if isinstance(members, fields.Field) else obj(members), need)


def by_name(members: Mapping[str, AnyField] | type[Schema] | AnyField, need: Need = Need.VALUE) -> ByName:
    """Declare an object with any names."""
    return ByName(members if isinstance(members, fields.Field) else obj(members), need)


BOTH_LANGUAGES: Final = shape({"id": TEXT, "en": TEXT}, "words.BothLanguages")
NAMED: Final = {"id": TEXT, "name": TEXT}
PLACE: Final = shape(NAMED, "places.Place")
MAYBE_NAMED_PLACE: Final = shape({"id": TEXT, "name": MAYBE_TEXT}, "places.MaybeNamed")
VECTOR: Final = by_name(ANY)
"""A version vector: by actor the counter up to which its changes are covered, and the tag of the newest if it is known."""
DOT: Final = several(ANY)
"""Actor, counter and tag of a change."""
PAGE: Final = {"total": WHOLE, "limit": WHOLE, "offset": WHOLE}
REASON: Final = by_name(ANY)
"""What is wrong: path, code, value, and a sentence in `id` and `en`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a route answers: its schema (None: any content), status and media type."""

    schema: type[Schema] | OneOf | None
    status: int
    media_type: str


def answers(
    schema: type[Schema] | Mapping[str, AnyField] | OneOf | None, status: int = 200, media_type: str = JSON
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Say what a view answers when it does what was asked."""
    made = shape(schema) if isinstance(schema, Mapping) else schema

    def mark(view: Callable[P, R]) -> Callable[P, R]:
        view.__dict__["answers"] = Answer(made, status, media_type)
        return view

    return mark


def answer_of(view: Callable[..., Any]) -> Answer | None:
    """Return what a view says that it answers."""
    found: Answer | None = getattr(view, "answers", None)
    return found
