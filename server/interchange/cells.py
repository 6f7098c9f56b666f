"""Read one cell of a sheet: its value, or the rule that it breaks. Pure. Hides the ways people and Excel write values.

Rules kept here:
- Nothing is guessed: a cell with two possible readings is refused with its rule and the remedy. If only one reading is
  possible (9500 in a column of kilograms is in grams), it is used and noted.
- "-" and "" mean blank everywhere in Sigizi. A blank cell is never an error here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Final, TypeVar

from server.interchange.sheets import Cell
from server.interchange.sheets.excel_dates import ZERO

Word = TypeVar("Word")

BLANK: Final = frozenset(("", "-", "–", "—", "'"))
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,9}(?:[.,][0-9]{1,15})?\Z", re.ASCII)
_AGE: Final = re.compile(
    r"\s*(?:([0-9]{1,2})\s*(?:tahun|thn|th))?[\s,-]*(?:([0-9]{1,3})\s*(?:bulan|bln|bl))?[\s,-]*(?:([0-9]{1,3})\s*(?:hari|hr))?\s*\Z",
    re.IGNORECASE,
)
_ISO: Final = re.compile(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})(?:[T ][0-9:.]{5,15}Z?)?\Z", re.ASCII)
_DAY_MONTH_YEAR: Final = re.compile(
    r"([0-9]{1,2})[-/. ]([0-9]{1,2}|[A-Za-z]{3,9})[-/. ]([0-9]{4}|[0-9]{2})(?: [0-9:.]{4,12})?\Z", re.ASCII
)
_SERIAL: Final = re.compile(r"[0-9]{5}(?:\.[0-9]+)?\Z", re.ASCII)
_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            ("jan", "januari", "january"),
            ("feb", "peb", "februari", "pebruari", "february"),
            ("mar", "maret", "march"),
            ("apr", "april"),
            ("mei", "may"),
            ("jun", "juni", "june"),
            ("jul", "juli", "july"),
            ("agu", "ags", "agt", "agust", "agustus", "aug", "august"),
            ("sep", "sept", "september"),
            ("okt", "oktober", "oct", "october"),
            ("nov", "nop", "november", "nopember"),
            ("des", "desember", "dec", "december"),
        ),
        1,
    )
    for name in names
}
FIRST_DAY, LAST_DAY = date(1990, 1, 1), date(2099, 12, 31)
"""Serial numbers outside these dates are not dates: 9500 in a date column is a weight."""


class CellError(ValueError):
    """A cell that cannot be read: `args[0]` is the broken rule, a key of `refusals.RULES`."""

    @property
    def rule(self) -> str:
        return str(self.args[0])


def is_blank(cell: Cell) -> bool:
    """Say whether a cell is blank."""
    return isinstance(cell, str) and cell.strip() in BLANK


def text(cell: Cell) -> str:
    """Give a cell as one line of text; "" for a blank one."""
    if isinstance(cell, str):
        if cell in BLANK:  # about half of all cells
            return ""
        plain = " ".join(cell.split()).removeprefix("'")
        return "" if plain in BLANK else plain
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    return cell.isoformat()


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number in small units (grams, millimetres), with a note on how it was read, or ""."""

    whole: int
    note: str = ""


def number(cell: Cell) -> Decimal | None:
    """Read a number with a decimal comma or point; None if blank.

    Raises
    ------
    CellError
        `excel-date`, `excel-time` (Excel turned 9.5 into a date or a time), `not-number`.
    """
    if isinstance(cell, datetime):
        raise CellError("excel-date")
    if isinstance(cell, time):
        raise CellError("excel-time")
    if isinstance(cell, float):
        if cell != cell or abs(cell) > 1e9:
            raise CellError("not-number")
        return Decimal(repr(round(cell, 6)))
    plain = text(cell)
    if not plain:
        return None
    if not _NUMBER.match(plain):
        raise CellError(
            "excel-date"
            if _ISO.match(plain) or _DAY_MONTH_YEAR.match(plain)
            else "excel-time"
            if re.match(r"[0-9]{1,2}:[0-9]{2}", plain)
            else "not-number"
        )
    return Decimal(plain.replace(",", "."))


def _rounded(value: Decimal) -> int:
    return int(value.quantize(Decimal(1), ROUND_HALF_UP))


@lru_cache(maxsize=4096)  # files repeat weights, lengths and dates
def grams(cell: Cell, low: int = 500, high: int = 40_000) -> Number | None:
    """Read kilograms as grams. What can only be grams (300 or more: no child weighs so many kg) is taken as grams.

    Parameters
    ----------
    low, high : range in which a number is taken as grams; the schema refuses values that are out of range
    """
    value = number(cell)
    if value is None:
        return None
    if low <= value <= high and value >= 300:
        return Number(_rounded(value), "read-as-grams")
    return Number(_rounded(value * 1000))


@lru_cache(maxsize=4096)
def millimetres(cell: Cell) -> Number | None:
    """Read centimetres as millimetres."""
    value = number(cell)
    return None if value is None else Number(_rounded(value * 10))


@dataclass(frozen=True, slots=True)
class CellDate:
    """A date, with a note on how it was read, or "". `other` is the date with day and month swapped, if the cell could be
    read that way too."""

    day: date
    note: str = ""
    other: date | None = None


@lru_cache(maxsize=4096)
def day(cell: Cell) -> CellDate | None:
    """Read a date: ISO, day/month/year with a year of 4 or 2 digits, with a month name, or Excel's serial number; None if
    blank.

    Years of two digits are 20xx: all rows are about children.

    Raises
    ------
    CellError
        `not-date`.
    """
    if isinstance(cell, datetime):
        found = cell.date()
        return CellDate(found, other=_swapped(found))
    if isinstance(cell, time):
        raise CellError("not-date")
    if isinstance(cell, float):
        return CellDate(_serial(cell), "date-from-serial")
    plain = text(cell)
    if not plain:
        return None
    if iso := _ISO.match(plain):
        return CellDate(_date(int(iso[1]), int(iso[2]), int(iso[3])))
    if _SERIAL.match(plain):
        return CellDate(_serial(float(plain)), "date-from-serial")
    if not (parts := _DAY_MONTH_YEAR.match(plain)):
        raise CellError("not-date")
    return _day_month_year(parts[1], parts[2], parts[3])


def _day_month_year(first: str, second: str, last: str) -> CellDate:
    year, note = (int(last), "") if len(last) == 4 else (2000 + int(last), "two-digit-year")
    if not second.isdigit():
        month = _MONTHS.get(second.lower())
        if month is None:
            raise CellError("not-date")
        return CellDate(_date(year, month, int(first)), note)
    one, two = int(first), int(second)
    if two > 12 >= one:
        return CellDate(_date(year, one, two), "month-first")
    found = _date(year, two, one)
    return CellDate(found, note, _swapped(found))


def _swapped(found: date) -> date | None:
    return date(found.year, found.day, found.month) if found.day <= 12 and found.day != found.month else None


def _date(year: int, month: int, day_: int) -> date:
    try:
        return date(year, month, day_)
    except ValueError:
        raise CellError("not-date") from None


def _serial(serial: float) -> date:
    if not 0 < serial < 100_000:
        raise CellError("not-date")
    found = (ZERO + timedelta(days=int(serial))).date()
    if not FIRST_DAY <= found <= LAST_DAY:
        raise CellError("not-date")
    return found


def age(cell: Cell) -> tuple[int, int] | None:
    """Read an age such as "2 Tahun - 3 Bulan - 12 Hari" as (completed months, remaining days); None if it is not an age."""
    plain = text(cell)
    found = _AGE.match(plain) if plain else None
    if not found or not any(found.groups()):
        return None
    years, months, days = (int(part or 0) for part in found.groups())
    return years * 12 + months, days


def age_on(born_on: date, on: date) -> tuple[int, int]:
    """Give the age on a date as (completed calendar months, remaining days); months are negative before birth."""
    months = (on.year - born_on.year) * 12 + on.month - born_on.month - (on.day < born_on.day)
    year, month = divmod(born_on.year * 12 + born_on.month - 1 + months, 12)
    for back in range(4):  # born on the 31st: a shorter month is completed on its last day
        try:
            full = date(year, month + 1, born_on.day - back)
            break
        except ValueError:
            continue
    else:  # pragma: no cover  # every month has a 28th
        raise AssertionError("unreachable")
    return months, (on - full).days


SEXES: Final = {
    "l": "M",
    "lk": "M",
    "laki-laki": "M",
    "laki laki": "M",
    "laki": "M",
    "p": "F",
    "pr": "F",
    "perempuan": "F",
}
POSITIONS: Final = {"terlentang": "lying", "telentang": "lying", "baring": "lying", "berdiri": "standing"}
ANSWERS: Final = {"ya": True, "y": True, "tidak": False, "tdk": False, "t": False}


def choice(cell: Cell, words: Mapping[str, Word], rule: str) -> Word | None:
    """Read one of some words in any letter case; None if blank."""
    plain = text(cell).casefold()
    if not plain:
        return None
    if plain not in words:
        raise CellError(rule)
    return words[plain]
