"""Any value that the schemas accept, extremes preferred: read from the schemas themselves, so a new field is drawn as well.

Hides how a field's validators are turned into values. What rules of several fields refuse (`agree`) is drawn again.
"""

import random
import string
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from marshmallow import fields, validate

from schemas.change import REGISTERS_OF, check_registers
from schemas.fast import plain_test
from schemas.moments import FIRST_MOMENT, LAST_MOMENT
from schemas.records import _nik
from schemas.strict import FIRST_DAY, LAST_DAY, Day, Flag, Json, ListOf, MapOf, Part, Strict, Text, Whole
from tests.server._district import random_uuid

HAPPENED: Final = ("born_on", "measured_on", "done_on", "given_on", "verified_on")
"""Days that may not lie after today."""
IDS: Final = (
    *("00000000-0000-0000-0000-000000000001", "00000000-0000-7000-8000-000000000000"),
    *("ffffffff-ffff-7fff-bfff-ffffffffffff", "ffffffff-ffff-4fff-bfff-ffffffffffff"),
    *("ffffffff-ffff-ffff-ffff-fffffffffffe", "e5e5e5e5-e5e5-1e5e-9e5e-e5e5e5e5e5e5"),
    *("7fffffff-ffff-8fff-8fff-ffffffffffff", "01900000-0000-6000-c000-00000000ffff"),
)
"""Ids of every kind, and of no kind: with the earliest and the latest time that an id can seem to hold."""
ODD_TEXTS: Final = (
    *("x", "0", "-", "None", "null", "NaN", "=1+1", "+62", "@a", "'", '"', "\\", "%s", "{0}", "{{ 7 }}"),
    *("%(num)d", "<b>", "&amp;", "<!--", "]]>", "../..", "; --", "#set page()", "$x$", "`", "_", "*"),
    *("a\u0301", "ﷺ", "安", "Ω", "İ", "ß", "👩‍👩‍👧", "😀", "\ufeff", "\u200b", "\u00ad", "\ue000", "\uffff"),
    *(
        "\ufffe",
        "\U0010ffff",
        "١٢٣",
        "नमस्ते",
        "ก็",
        "\u0e33",
        "x\u0301\u0302\u0303",
        "Anak Contoh",
        "1e400",
        "A1",
    ),
)
EDGE_MOMENTS: Final = (
    *(FIRST_MOMENT, LAST_MOMENT, "2099-12-31T23:59:59.999999Z", "2016-12-31T23:59:60Z"),
    *("2026-03-05T02:15:00Z", "2026-03-04T15:59:59Z", "2026-03-04T16:00:00Z"),
)
LETTERS: Final = string.ascii_letters + string.digits + "_.:@-"


def an_id(rng: random.Random) -> str:
    return rng.choice(IDS) if rng.random() < 0.3 else random_uuid(rng)


def a_moment(rng: random.Random) -> str:
    if rng.random() < 0.6:
        return rng.choice(EDGE_MOMENTS)
    return f"{rng.randint(1970, 2099)}-{rng.randint(1, 12):02}-28T{rng.randint(0, 23):02}:59:00Z"


def a_day(rng: random.Random, last: date) -> str:
    """Give a day from the first to a last one: mostly the ends of years and months, or lately."""
    first = date.fromisoformat(FIRST_DAY)
    edges = [first, date(2000, 2, 29), date(2024, 2, 29), date(2025, 12, 31), last - timedelta(1), last]
    edges += [last - timedelta(days) for days in (30, 31, 365, 1826, 1827)]
    fine = [day for day in edges if first <= day <= last]
    return (
        rng.choice(fine) if rng.random() < 0.7 else first + timedelta(rng.randrange((last - first).days))
    ).isoformat()


def an_author(rng: random.Random) -> str:
    """Give who wrote, by a name of the tablet's own: the shortest, the longest, a usual one, or any."""
    known = ("a", ":", "@" * 64, "kader-contoh", f"kader:{random_uuid(rng)}")
    return rng.choice((*known, "".join(rng.choices(LETTERS, k=rng.randint(1, 64)))))


def _a_flag(rng: random.Random) -> str:
    return rng.choice(("_/", f"{'z' * 40}/{'9' * 40}", "stunted/2026-01-05/cadre", "not_seen/0a", "wasted//"))


SHAPES: Final[Mapping[str, Callable[[random.Random], str]]] = {
    "not-author": an_author,
    "not-uuid": an_id,
    "not-phone": lambda rng: rng.choice(("0" * 8, "+" + "9" * 16, "081200000000")),
    "not-rt": lambda rng: rng.choice(("0", "000", "999", "1")),
    "not-village": lambda rng: rng.choice(("00.00.00.0000", "99.99.99.9999", "64.02.06.1001")),
    "not-rule": lambda rng: rng.choice(("_", "z" * 40, "stunted", "constructor")),
    "not-flag": _a_flag,
    "not-dose": lambda rng: rng.choice(("BCG", f"OPV{rng.randrange(9)}")),
    "not-vaccine-batch": lambda rng: rng.choice(("A-123", f"{rng.randrange(9999)}/B")),
    "not-foreign-id": lambda rng: rng.choice(("a:b", f"simpus:{rng.randrange(99)}")),
}
"""By the code of its error, how a shape is drawn."""


def value_of(rng: random.Random, field: fields.Field[Any], name: str, today: date) -> Any:
    """Give a value that a field accepts."""
    if field.allow_none and rng.random() < 0.15:
        return None
    if isinstance(field, Part):
        return object_of(rng, field.schema, today)  # type: ignore[arg-type]  # all of ours are Strict
    if isinstance(field, ListOf):
        (length,) = (rule for rule in field.validators if isinstance(rule, validate.Length))
        most = length.max or 6
        size = rng.choice((length.min or 0, 1, min(most, 6), most if rng.random() < 0.1 else 1))
        return [value_of(rng, field.member, name, today) for _ in range(size)]
    if isinstance(field, MapOf):
        (length,) = (rule for rule in field.validators if isinstance(rule, validate.Length))
        drawn = ((value_of(rng, part, name, today) for part in (field.key, field.member)) for _ in range(9))
        return dict(list(map(tuple, drawn))[: rng.choice((0, 1, length.max))])
    assert isinstance(field, Json)
    fits = plain_test(field)
    return next(value for value in iter(lambda: _plain(rng, field, name, today), _NEVER) if fits(value))


_NEVER: Final = object()


def _plain(rng: random.Random, field: Json, name: str, today: date) -> Any:
    if isinstance(field, Whole):
        (span,) = (rule for rule in field.validators if isinstance(rule, validate.Range))
        low, high = span.min, span.max
        return rng.choice((low, low + 1, high - 1, high)) if rng.random() < 0.5 else rng.randint(low, high)
    if isinstance(field, Flag):
        return rng.random() < 0.5
    if isinstance(field, Day):
        return a_day(rng, today if name in HAPPENED else date.fromisoformat(LAST_DAY))
    assert isinstance(field, Text), f"say in tests/fuzz/_values.py how to draw {name}: {type(field).__name__}"
    return _text(rng, field.validators)


def _text(rng: random.Random, rules: Sequence[Any]) -> str:
    """Give a text by its rules: a NIK, one of a few, a shape, or free text (the longest, an odd one, a mixture)."""
    if _nik in rules:
        region, serial = rng.randrange(10**6), rng.randrange(10**6)
        return f"{region:06}{rng.choice(('01', '31', '41', '71'))}{rng.choice(('01', '12'))}{serial:06}"
    for rule in rules:
        if isinstance(rule, validate.OneOf):
            return str(rng.choice(list(rule.choices)))
    lengths = [rule for rule in rules if isinstance(rule, validate.Length)]
    if not lengths:
        (shape,) = (rule for rule in rules if isinstance(rule, validate.Regexp))
        return SHAPES[str(shape.error)](rng)
    most = lengths[0].max or 64
    odd = rng.choice(ODD_TEXTS)
    mixed = " ".join(rng.choices(ODD_TEXTS, k=rng.randint(1, 8)))
    return rng.choice(
        (odd, odd * (most // len(odd)), mixed[:most], chr(rng.randrange(0x20, 0x2FFFF)), "a\nb")
    )


def object_of(rng: random.Random, schema: Strict, today: date) -> dict[str, Any]:
    """Give an object of a schema that its rules about several fields may still refuse."""
    chosen = [n for n, field in schema.fields.items() if field.required or rng.random() < 0.5]
    return {name: value_of(rng, schema.fields[name], name, today) for name in chosen}


def registers_of(rng: random.Random, kind: str, today: date) -> dict[str, Any]:
    """Give what a change of a kind may set: one register or several."""
    each = REGISTERS_OF[kind].fields
    while True:
        names = rng.sample(sorted(each), rng.choice((1, 1, 1, 2, 3, len(each))))
        made = {name: value_of(rng, each[name], name, today) for name in names}
        if not check_registers(kind, made, today=today):
            return made


def count(value: Any) -> int:
    """Count the plain values in a JSON value."""
    if isinstance(value, dict):
        return sum(map(count, value.values()))
    return sum(map(count, value)) if isinstance(value, list) else 1
