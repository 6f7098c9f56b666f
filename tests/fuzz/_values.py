"""Any value that the schemas accept, extremes preferred: read from the schemas themselves, so a new field is drawn as well.

Hides how a field's validators are turned into a strategy. What rules of several fields refuse (`agree`) is drawn again.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

from hypothesis import strategies as st
from marshmallow import fields, validate

from schemas.change import REGISTERS_OF, check_registers
from schemas.fast import plain_test
from schemas.moments import FIRST_MOMENT, LAST_MOMENT
from schemas.records import _nik
from schemas.strict import FIRST_DAY, LAST_DAY, UUID, Day, Flag, Instant, Json, ListOf, Part, Strict, Text, Whole

HAPPENED: Final = ("born_on", "measured_on", "done_on", "given_on", "verified_on")
"""Days that may not lie after today."""
IDS: Final = (
    "00000000-0000-0000-0000-000000000001",
    "00000000-0000-7000-8000-000000000000",
    "ffffffff-ffff-7fff-bfff-ffffffffffff",
    "ffffffff-ffff-4fff-bfff-ffffffffffff",
    "ffffffff-ffff-ffff-ffff-fffffffffffe",
    "e5e5e5e5-e5e5-1e5e-9e5e-e5e5e5e5e5e5",
    "7fffffff-ffff-8fff-8fff-ffffffffffff",
    "01900000-0000-6000-c000-00000000ffff",
)
"""Ids of every kind, and of no kind: the earliest and the latest time that an id can seem to hold."""
ODD_TEXTS: Final = (
    *("x", "0", "-", "None", "null", "NaN", "=1+1", "+62", "@a", "'", '"', "\\", "%s", "{0}", "{{ 7 }}", "%(num)d"),
    *("<b>", "&amp;", "<!--", "]]>", "../..", "; --", "#set page()", "$x$", "`", "_", "*", "a\u0301", "ﷺ", "安", "Ω", "İ", "ß"),
    *("👩‍👩‍👧", "😀", "\ufeff", "\u200b", "\u00ad", "\ue000", "\uffff", "\ufffe", "\U0010ffff", "١٢٣", "नमस्ते", "ก็", "\u0e33"),
)
EDGE_MOMENTS: Final = (FIRST_MOMENT, LAST_MOMENT, "2099-12-31T23:59:59.999999Z", "2016-12-31T23:59:60Z", "2026-03-05T02:15:00Z")
SHAPES: Final[Mapping[str, st.SearchStrategy[str]]] = {
    "not-author": st.sampled_from(["a", ":", "account:x", "@" * 64, "kader.contoh", "Z_-.:@"]) | st.from_regex(r"[A-Za-z0-9_.:@-]{1,64}", fullmatch=True),
}
"""By the code of its error, a shape of which more is known than its regular expression."""


def ids() -> st.SearchStrategy[str]:
    return st.sampled_from(IDS) | st.uuids(allow_nil=False).map(str)


def moments() -> st.SearchStrategy[str]:
    low, high = datetime(1970, 1, 1), datetime(2099, 12, 31, 23, 59, 59)  # noqa: DTZ001  # Hypothesis wants them naive
    return st.sampled_from(EDGE_MOMENTS) | st.datetimes(low, high).map(lambda at: f"{at:%Y-%m-%dT%H:%M:%S}Z")


def days(last: date) -> st.SearchStrategy[str]:
    """Draw days from the first to a last one: the ends of years and months, and any."""
    first = date.fromisoformat(FIRST_DAY)
    edges = [d for d in (first, date(2000, 2, 29), date(2024, 2, 29), date(2025, 12, 31), last) if d <= last]
    return (st.sampled_from(edges) | st.dates(first, last)).map(date.isoformat)


def values_of(field: fields.Field[Any], name: str, today: date) -> st.SearchStrategy[Any]:
    """Draw the values of a field."""
    drawn = _present(field, name, today)
    return st.none() | drawn if field.allow_none else drawn


def _present(field: fields.Field[Any], name: str, today: date) -> st.SearchStrategy[Any]:
    if isinstance(field, Part):
        return objects_of(field.schema, today)  # type: ignore[arg-type]  # all of ours are Strict
    if isinstance(field, ListOf):
        (length,) = (rule for rule in field.validators if isinstance(rule, validate.Length))
        member = values_of(field.member, name, today)
        return st.lists(member, min_size=length.min or 0, max_size=min(length.max or 6, 6))
    drawn = _plain(field, name, today)
    assert isinstance(field, Json)
    return drawn.filter(plain_test(field))


def _plain(field: fields.Field[Any], name: str, today: date) -> st.SearchStrategy[Any]:
    if isinstance(field, Whole):
        (span,) = (rule for rule in field.validators if isinstance(rule, validate.Range))
        return st.sampled_from([span.min, span.max]) | st.integers(span.min, span.max)
    if isinstance(field, Flag):
        return st.booleans()
    if isinstance(field, Day):
        return days(today if name in HAPPENED else date.fromisoformat(LAST_DAY))
    if isinstance(field, Instant):
        return moments()
    assert isinstance(field, Text), f"say in tests/fuzz/_values.py how to draw {name}, a {type(field).__name__}"
    return _texts(field)


def _texts(field: Text) -> st.SearchStrategy[str]:
    rules = field.validators
    if _nik in rules:
        return st.from_regex(r"[0-9]{6}(?:0[1-9]|[1267]0|71)(?:0[1-9]|1[0-2])[0-9]{6}", fullmatch=True)
    for rule in rules:
        if isinstance(rule, validate.OneOf):
            return st.sampled_from(sorted(rule.choices))
    (length, *_) = [rule for rule in rules if isinstance(rule, validate.Length)] or [None]
    (shape, *_) = [rule for rule in rules if isinstance(rule, validate.Regexp)]
    if length is None:
        if UUID in shape.regex.pattern:
            return ids()
        return SHAPES.get(str(shape.error)) or st.from_regex(shape.regex)
    most = length.max or 64
    longest = st.sampled_from([text * (most // len(text)) for text in ODD_TEXTS])
    letters = st.characters(codec="utf-8", exclude_characters="\0")
    return longest | st.sampled_from(ODD_TEXTS) | st.text(letters, min_size=1, max_size=min(most, 12))


def objects_of(schema: Strict, today: date) -> st.SearchStrategy[dict[str, Any]]:
    """Draw objects of a schema, without its rules about several fields."""
    parts = {name: values_of(field, name, today) for name, field in schema.fields.items()}
    needed = {name: drawn for name, drawn in parts.items() if schema.fields[name].required}
    return st.fixed_dictionaries(needed, optional={n: d for n, d in parts.items() if n not in needed})


def registers_of(kind: str, today: date) -> st.SearchStrategy[dict[str, Any]]:
    """Draw what a change of a kind may set."""
    fine = lambda registers: bool(registers) and not check_registers(kind, registers, today=today)  # noqa: E731
    each = REGISTERS_OF[kind].fields
    one = st.sampled_from(sorted(each)).flatmap(
        lambda name: st.fixed_dictionaries({name: values_of(each[name], name, today)})
    )
    return (one | one | objects_of(REGISTERS_OF[kind], today)).filter(fine)


def count(value: Any) -> int:
    """Count the plain values in a JSON value."""
    if isinstance(value, dict):
        return sum(map(count, value.values()))
    return sum(map(count, value)) if isinstance(value, list) else 1


def now_day(now: datetime) -> date:
    """Give a day on which nothing is in the future, whatever the zone."""
    return now.astimezone(UTC).date()
