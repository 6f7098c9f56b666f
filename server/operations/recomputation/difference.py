"""A difference between what is stored and what is computed from its inputs; and how rows are compared. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

PRIVATE: Final = frozenset(
    {"born_on", "sex", "blind_index", "reason", "assigned_to", "state", "same_as", "krs_until"}
)
"""Columns whose values are never told: what a person is or wrote."""
MISSING, EXTRA, UNREADABLE, DIFFERS = "missing", "extra", "unreadable", "differs"
LONGEST: Final = 60
REASSESS: Final = "posyandu-sync reassess"
REFRESH: Final = "posyandu-sync reports refresh --from-nothing"


@dataclass(frozen=True, slots=True)
class Difference:
    """What is stored differently from what is computed.

    Parameters
    ----------
    unit : the child, post or month with which it was found
    table : of the database
    record : the row's key beside the district, its parts between "/"
    column : "" where the whole row is missing, too many or unreadable
    kind : MISSING, EXTRA, UNREADABLE or DIFFERS
    stored, computed : texts of both values; "" where they are not told
    remedy : the command that mends it; "" where only a backup does
    """

    unit: str
    table: str
    record: str
    column: str = ""
    kind: str = DIFFERS
    stored: str = ""
    computed: str = ""
    remedy: str = ""

    @property
    def name(self) -> str:
        """What names the place in the database."""
        return f"{self.table} {self.record}"

    def line(self) -> str:
        """Return one line of plain English for the operator."""
        if self.kind != DIFFERS:
            return f"{self.name}: {_KINDS[self.kind]}" + (f" ({self.stored})" if self.stored else "")
        values = f": stored {self.stored}, computed {self.computed}" if self.stored or self.computed else ""
        return f"{self.name}: {self.column} differs{values}"


_KINDS: Final = {MISSING: "missing", EXTRA: "too many: nothing stands behind it", UNREADABLE: "unreadable"}


def compared(
    unit: str,
    name: str,
    keys: Sequence[str],
    stored: Iterable[Mapping[str, Any]],
    wanted: Iterable[Mapping[str, Any]],
    *,
    remedy: str = "",
    skipped: frozenset[str] = frozenset(),
) -> Iterator[Difference]:
    """Compare rows by key and column.

    Parameters
    ----------
    name : of the table
    keys : columns of the key, beside the district
    wanted : rows as they should be; columns that they do not have are not compared
    skipped : further columns that are not compared
    """
    held = {tuple(_text(row[key]) for key in keys): row for row in stored}
    for row in wanted:
        key = tuple(_text(row[name]) for name in keys)
        was = held.pop(key, None)
        record = "/".join(key)
        if was is None:
            yield Difference(unit, name, record, "", MISSING, remedy=remedy)
            continue
        for column in row.keys() - skipped - {"district", *keys}:
            if was[column] != row[column]:
                yield differing(unit, name, record, column, was[column], row[column], remedy)
    for key in held:
        yield Difference(unit, name, "/".join(key), "", EXTRA, remedy=remedy)


def differing(
    unit: str, name: str, record: str, column: str, stored: Any, computed: Any, remedy: str = ""
) -> Difference:
    """Return the difference of a column; of a PRIVATE one without the values."""
    told = ("", "") if column in PRIVATE else (_short(stored), _short(computed))
    return Difference(unit, name, record, column, DIFFERS, *told, remedy)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, bytes):
        return "…"
    return value.isoformat() if isinstance(value, date) else str(value)


def _short(value: Any) -> str:
    text = "none" if value is None else _text(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
