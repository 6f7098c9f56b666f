"""The kinds of field in our messages. Hides how marshmallow is kept from converting values.

By default marshmallow converts: "9500" becomes 9500, 9500.0 becomes 9500, other spellings of true become True. A message
that was hashed and signed must not be converted, and a wrong type is a sign of a faulty client. So each field here has one
method, `accepts`, that says whether a JSON value is of its kind; marshmallow does the rest (required, null, validators,
collecting all errors). `schemas.fast` uses the same methods and validators, so there is one set of rules.

An error message of a schema is a code, followed by its limits ("out-of-range 500 40000"); `schemas.words` makes the
sentences.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from enum import Enum
from typing import Any, Final

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from schemas.moments import FIRST_MOMENT, LAST_MOMENT, is_moment
from sync_protocol import MAX_SAFE_INTEGER

FIRST_DAY: Final = "2000-01-01"
"""The earliest date. No date of a child under five is before it; an earlier one is a typing error."""
MANY: Final = 100_000
"""The limit of members that only the size of a message limits."""
LAST_DAY: Final = "2099-12-31"
"""The latest date, of a plan too; a later one is a typing error, and too close to the last year that `date` can have."""


class Need(Enum):
    """Whether a field must be present, and whether it may be null."""

    VALUE = (True, False)
    NULLABLE = (True, True)
    OPTIONAL = (False, True)
    ABSENT = (False, False)

    def __init__(self, required: bool, nullable: bool) -> None:
        self.required, self.nullable = required, nullable


class Strict(Schema):
    """An object with exactly the declared fields. A subclass may define in `agree` how they must fit together."""

    error_messages = {"type": "not-object", "unknown": "unknown-field"}  # noqa: RUF012 (as marshmallow has it)

    def agree(self, value: Mapping[str, Any]) -> None:
        """Raise ValidationError if fields contradict one another.

        Parameters
        ----------
        value : the fields that are valid by themselves; those with errors are missing
        """

    @validates_schema(skip_on_field_errors=False)
    def _check_agreement(self, value: Mapping[str, Any], **_: Any) -> None:
        self.agree(value)


class Member(fields.Field[Any]):
    """Parent class of all fields below: converts nothing, and its errors are codes."""

    default_error_messages = {"required": "missing", "null": "not-null"}  # noqa: RUF012 (as marshmallow has it)

    def __init__(self, need: Need = Need.VALUE, *rules: Callable[[Any], Any]) -> None:
        super().__init__(required=need.required, allow_none=need.nullable, validate=rules)


class Json(Member):
    """Any JSON value; parent class of every field with one plain value."""

    @staticmethod
    def accepts(_: Any) -> bool:
        """Say whether a JSON value, of any type, is of this kind."""
        return True

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not self.accepts(value):
            raise self.make_error("invalid")
        return value


class Object(Json):
    """An object whose members are not checked here."""

    default_error_messages = {"invalid": "not-object"}  # noqa: RUF012 (as marshmallow has it)

    @staticmethod
    def accepts(value: Any) -> bool:
        return type(value) is dict


class Whole(Json):
    """A whole number: not true or false (which Python takes for 1 and 0), not 9.0, not "9"."""

    default_error_messages = {"invalid": "not-whole-number"}  # noqa: RUF012 (as marshmallow has it)

    @staticmethod
    def accepts(value: Any) -> bool:
        return type(value) is int


class Flag(Json):
    """true or false."""

    default_error_messages = {"invalid": "not-yes-no"}  # noqa: RUF012 (as marshmallow has it)

    @staticmethod
    def accepts(value: Any) -> bool:
        return type(value) is bool


class Text(Json):
    """A string."""

    default_error_messages = {"invalid": "not-text"}  # noqa: RUF012 (as marshmallow has it)

    @staticmethod
    def accepts(value: Any) -> bool:
        return type(value) is str


class Day(Json):
    """An existing date as `YYYY-MM-DD`; `date.fromisoformat` alone also takes `20260105` and `2026-W01-1`."""

    default_error_messages = {"invalid": "not-date"}  # noqa: RUF012 (as marshmallow has it)

    @staticmethod
    def accepts(value: Any) -> bool:
        if type(value) is not str or not _DAY(value):
            return False
        try:
            date.fromisoformat(value)
        except ValueError:
            return False
        return True


class Instant(Json):
    """A time as RFC 3339 in UTC: `2026-01-05T02:15:00Z`, with up to six decimals of a second; leap seconds exist."""

    default_error_messages = {"invalid": "not-time"}  # noqa: RUF012 (as marshmallow has it)

    @staticmethod
    def accepts(value: Any) -> bool:
        return type(value) is str and is_moment(value)


class Part(fields.Nested):
    """An object inside an object."""

    default_error_messages = Member.default_error_messages

    def __init__(self, inside: type[Schema], need: Need = Need.VALUE, *rules: Callable[[Any], Any]) -> None:
        super().__init__(inside, required=need.required, allow_none=need.nullable, validate=rules)
        self.inside = inside


class Pair(Member):
    """A list of exactly two, such as `[counter, tag]`."""

    default_error_messages = {"invalid": "not-pair"}  # noqa: RUF012 (as marshmallow has it)

    def __init__(self, first: fields.Field[Any], second: fields.Field[Any], need: Need = Need.VALUE) -> None:
        super().__init__(need)
        self.first, self.second = first, second

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if type(value) is not list or len(value) != 2:
            raise self.make_error("invalid")
        collect({0: (self.first, value[0]), 1: (self.second, value[1])})
        return value


class ListOf(Member):
    """A list of `low` to `high` members of one kind."""

    default_error_messages = {"invalid": "not-list"}  # noqa: RUF012 (as marshmallow has it)

    def __init__(self, member: fields.Field[Any], low: int, high: int, need: Need = Need.VALUE) -> None:
        super().__init__(need, validate.Length(low, high, error="list-length {min} {max}"))
        self.member = member

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if type(value) is not list:
            raise self.make_error("invalid")
        self._validate(value)  # before the members: they are not checked if the list is too long
        collect({index: (self.member, member) for index, member in enumerate(value)})
        return value


class MapOf(Member):
    """An object whose keys are of one kind and whose values are of one kind; at most `high` of them."""

    default_error_messages = {"invalid": "not-object"}  # noqa: RUF012 (as marshmallow has it)

    def __init__(
        self, key: fields.Field[Any], member: fields.Field[Any], high: int, need: Need = Need.VALUE
    ) -> None:
        super().__init__(need, validate.Length(0, high, error="list-length {min} {max}"))
        self.key, self.member = key, member

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if type(value) is not dict:
            raise self.make_error("invalid")
        self._validate(value)
        collect({name: (self.key, name) for name in value})
        collect({name: (self.member, member) for name, member in value.items()})
        return value


def collect(members: Mapping[Any, tuple[fields.Field[Any], Any]]) -> None:
    """Check the members of a compound field.

    Parameters
    ----------
    members : by name or index, the field of a member, and its value

    Raises
    ------
    ValidationError
        With the errors of all of them, by name.
    """
    errors: dict[Any, Any] = {}
    for name, (member, value) in members.items():
        try:
            member.deserialize(value)
        except ValidationError as error:
            errors[name] = error.messages
    if errors:
        raise ValidationError(errors)


# -- declarations of fields ------------------------------------------------------------------------


def whole(low: int, high: int = MAX_SAFE_INTEGER, need: Need = Need.VALUE) -> Whole:
    """Declare a whole number of `low` to `high`, both included."""
    return Whole(need, validate.Range(low, high, error="out-of-range {min} {max}"))


def choice(*choices: str, need: Need = Need.VALUE) -> Text:
    """Declare a string that is one of a few."""
    return Text(need, validate.OneOf(choices, error="not-choice {choices}"))


def shaped(pattern: str, code: str, need: Need = Need.VALUE) -> Text:
    """Declare a string that a regular expression matches as a whole; `code` is the error if it does not."""
    return Text(need, validate.Regexp(rf"(?:{pattern})\Z", error=code))


def uuid(need: Need = Need.VALUE) -> Text:
    """Declare a UUID of any version in its canonical text (RFC 9562): 36 characters, lower case.

    The nil and the max UUID name nobody (sections 5.9 and 5.10): two devices that write them mean two records.
    """
    return shaped(f"(?!{NOBODY}){UUID}", "not-uuid", need)


def words(high: int, need: Need = Need.VALUE, *, lines: bool = False) -> Text:
    """Declare a text typed by a person: 1 to `high` characters, no blanks at its ends, no invisible characters.

    Line feeds are allowed with `lines`. Refused are control characters, lone surrogates (they have no UTF-8 form), and
    marks that change the direction of writing: with them a name can be made to look like another one.
    """
    invisible = _INVISIBLE.replace("\\n", "") if lines else _INVISIBLE
    return Text(
        need,
        validate.Length(1, high, error="text-length {min} {max}"),
        validate.Regexp(r"(?!\s)(?:.*\S)?\Z", re.DOTALL, error="edge-space"),
        validate.Regexp(rf"[^{invisible}]*\Z", error="invisible-character"),
    )


def day(need: Need = Need.VALUE) -> Day:
    """Declare a date from FIRST_DAY to LAST_DAY (dates in this form sort as text)."""
    early, late = "date-too-early {min}", "date-too-late {max}"
    return Day(need, validate.Range(min=FIRST_DAY, error=early), validate.Range(max=LAST_DAY, error=late))


def moment(need: Need = Need.VALUE) -> Instant:
    """Declare a time from FIRST_MOMENT to the end of the second LAST_MOMENT."""
    return Instant(
        need, validate.Range(min=FIRST_MOMENT, max=LAST_MOMENT, error="time-out-of-range {min} {max}")
    )


UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
NOBODY: Final = r"(?:0{8}-(?:0{4}-){3}0{12}|f{8}-(?:f{4}-){3}f{12})"

_INVISIBLE: Final = (
    r"\x00-\x09\n\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z").match
