"""Values that several routes take."""

from collections.abc import Iterable
from datetime import date
from typing import Any, Final

from marshmallow import fields, validate

from schemas.strict import Day, Json, Need, Object, Text, choice, shaped, uuid, whole
from server.web.paging import MOST_ROWS, PAGE_ROWS
from server.web.request_schemas.schema import Fields, Sent, checked

TEXT, ID, WORDS = Text(), uuid(), Text(Need.ABSENT)
MAYBE_ID, MAYBE_DAY, JSON = uuid(Need.ABSENT), Day(Need.ABSENT), Json(Need.OPTIONAL)
VECTOR: Final = Object()
TICK: Final = choice("1", need=Need.ABSENT)
DAY_TEXT: Final = "{name}: 2026-03-05"


class IsoDay(Day):
    """A date in any form of ISO 8601 that Python reads: also `20260305`. Described as the form that the documents use."""

    @staticmethod
    def accepts(value: Any) -> bool:
        """Say whether Python reads it as a date."""
        try:
            date.fromisoformat(value)
        except (TypeError, ValueError):
            return False
        return True


class Month(Text):
    """A month such as `2026-03`."""

    default_error_messages = {"invalid": "not-date"}  # noqa: RUF012 (as marshmallow has it)

    @staticmethod
    def accepts(value: Any) -> bool:
        """Say whether it is a month of the calendar."""
        return type(value) is str and len(value) == 7 and IsoDay.accepts(f"{value}-01")


class Scalar(Json):
    """A text, a whole number, true, false or null."""

    default_error_messages = {"invalid": "not-text"}  # noqa: RUF012 (as marshmallow has it)

    @staticmethod
    def accepts(value: Any) -> bool:
        """Say whether it is one plain value."""
        return isinstance(value, str | int | None)


def ten_long() -> IsoDay:
    """Declare a date of ten characters."""
    return IsoDay(Need.ABSENT, validate.Length(10, 10, error="not-date"))


def one_of(choices: Iterable[object]) -> Text:
    """Declare a text that is one of a few; "" among them stands for none."""
    return choice(*(str(one) for one in choices if one != ""), need=Need.ABSENT)


def chosen(choices: Iterable[object], default: Any = None, reason: str = "{name}: {choices}") -> Sent:
    """Declare a parameter that is one of a few words, and must be."""
    words = [str(one) for one in choices]
    return checked(one_of(words), reason.replace("{choices}", ", ".join(words)), default)


def count(low: int, high: int, default: int, reason: str = "") -> Sent:
    """Declare a parameter that is a whole number."""
    told = reason or f"{{name}} is a whole number, {low} to {high}"
    return checked(whole(low, high, Need.ABSENT), told, default)


def scalars(values: Fields) -> dict[str, Sent]:
    """Declare members that must each be one plain value; the use case checks which."""
    return {
        name: Sent(field.field if isinstance(field, Sent) else field, Scalar(Need.OPTIONAL))
        for name, field in values.items()
    }


def texts(**values: fields.Field[Any]) -> dict[str, Sent]:
    """Declare members that must be there and be text; the use case checks which."""
    return {name: checked(field, "{name} is text", check=Text()) for name, field in values.items()}


MONTH_FIELD: Final = shaped("[0-9]{4}-[0-9]{2}", "not-date", Need.ABSENT)


def month() -> Sent:
    """Declare a month."""
    return checked(MONTH_FIELD, "{name}: 2026-03", check=Month(Need.ABSENT))


NEXT: Final[Fields] = {"next": Sent(WORDS)}
"""Where to go afterwards; `auth.safe_path` makes the front page of anything else."""
PAGE: Final[Fields] = {"hal": count(1, 100_000, 1)}
SHORT_PAGE: Final[Fields] = {"hal": count(1, 100_000, 1, "{name}")}
ROWS: Final[Fields] = {
    "limit": count(1, MOST_ROWS, PAGE_ROWS),
    "offset": count(0, 10_000_000, 0),
}
SHORT_ROWS: Final[Fields] = {
    "limit": count(1, MOST_ROWS, PAGE_ROWS, "{name}"),
    "offset": count(0, 10_000_000, 0, "{name}"),
}
ALL_ROWS: Final[Fields] = {**ROWS, "limit": count(1, MOST_ROWS, MOST_ROWS)}
POST: Final = checked(MAYBE_ID, "post is the id of a post")
DONE: Final[Fields] = {"selesai": Sent(WORDS)}
"""What was done on the page before: a word that the page may tell of."""
