"""Texts for refused, questioned and noted cells and rows: by rule, with the remedy.

The content of a cell is repeated only if it cannot be personal: names, parents, addresses, NIKs and phone numbers are not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any, Final

from server.interchange.sheets import Cell
from server.translations import T_, Text

MOST_SHOWN: Final = 40


RULES: Final[Mapping[str, Text]] = {
    # of a cell
    "missing": T_("is empty: fill it in"),
    "not-number": T_(
        "not a number: write the number alone, without its unit; leave empty what was not measured"
    ),
    "excel-date": T_(
        "Excel turned the number into a date (9.5 read as 9 May): set the cell to Text and write"
        " the number again"
    ),
    "excel-time": T_(
        "Excel turned the number into a time (9.5 read as 09:05): set the cell to Text and write"
        " the number again"
    ),
    "not-date": T_("not a date: write it like 2026-03-05 or 05/03/2026 (day first)"),
    "not-sex": T_("sex: L (male) or P (female)"),
    "not-position": T_("position: Terlentang (lying) or Berdiri (standing)"),
    "not-yes-no": T_("write ya (yes) or tidak (no)"),
    "not-oedema": T_("oedema: tidak (none), 1, 2 or 3"),
    "not-whole": T_("must be a whole number"),
    "out-of-range": T_("out of range"),
    # of a row
    "born-after": T_("measured before birth: check the birth date and the date of measurement"),
    "date-in-future": T_("the date is after today: check it"),
    "nothing-measured": T_("no weight, length, arm or head circumference in this row"),
    "post-unknown": T_("this posyandu is not here yet: add it first, or import again with posyandu added"),
    "post-unclear": T_(
        "which posyandu is meant is not clear: several villages have one of this name, or the"
        " row's village is unknown"
    ),
    "out-of-scope": T_("this posyandu is beyond your area: ask whoever is in charge there to import it"),
    "child-restricted": T_(
        "this child's data may not be processed for now, at a parent's request: see the page"
        " of parents' rights"
    ),
    "child-unknown": T_(
        "this child is not here yet, and the row has no birth date: import the identity template first"
    ),
    "other-district": T_("the row is of another regency than this server serves"),
}
"""Why a row is refused."""

QUESTIONS: Final[Mapping[str, Text]] = {
    "several": T_("several children here fit this row: choose which, or say that it is a new child"),
    "alike": T_("a child here is alike, but not enough to be sure: is it the same child?"),
    "identity-differs": T_("the same NIK, but name, birth date or sex differ: check the family card"),
    "nik-shared": T_(
        "one NIK is given to several children in this file (perhaps the mother's): check the family card"
    ),
    "values-differ": T_("other values of that day are here already: choose the right ones"),
    "removed": T_("this child was removed here: restore it first, or skip the row"),
}
"""Why a person must decide about a row."""

NOTES: Final[Mapping[str, Text]] = {
    "read-as-grams": T_("the weight was read as grams"),
    "date-from-serial": T_("a date was read from Excel's serial number"),
    "two-digit-year": T_("a year of two digits was read as 20xx"),
    "month-first": T_("a date was read month/day/year"),
    "days-changed-over": T_("Excel had changed day and month over; put right by “Usia Saat Ukur”"),
    "age-differs": T_("“Usia Saat Ukur” does not fit the dates"),
    "nik-masked": T_("the NIK is masked: it is not kept"),
    "nik-rounded": T_("the NIK was rounded by Excel: it is not kept"),
    "nik-unusable": T_("the NIK is not valid: it is not kept"),
    "nik-other-date": T_("the NIK holds another birth date: perhaps a parent's"),
    "one-parent": T_("one parent's name only: kept as the mother's"),
    "name-differs": T_("the name is spelled otherwise here"),
    "other-post": T_("here the child belongs to another posyandu"),
    "score-differs": T_("the file's z-score differs from ours"),
    "repeated": T_("the same as an earlier row"),
    "home-unknown": T_("RT/RW or address unreadable: left out"),
    "ignored": T_("a column's value is not known: left out"),
}
"""What is worth knowing about a row that is imported."""


@dataclass(frozen=True, slots=True)
class RowRefusal:
    """One reason why a row was refused: the column, its content (None if it may be personal), the rule, and the texts."""

    column: str
    value: str | None
    rule: str
    id: str
    en: str

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {"column": self.column, "value": self.value, "rule": self.rule, "id": self.id, "en": self.en}


def refusal(column: str, cell: Cell, rule: str, *, personal: bool) -> RowRefusal:
    """Make a refusal with its texts."""
    words = RULES[rule]
    return RowRefusal(column, None if personal else shown(cell), rule, words.id, words.en)


def shown(cell: Cell) -> str | None:
    """Give the content of a cell, shortened; None if blank, or if it has more than 10 digits and may be a NIK."""
    if isinstance(cell, datetime | time):
        return cell.isoformat()
    text = f"{cell:g}" if isinstance(cell, float) else cell
    if sum(character.isdigit() for character in text) > 10:
        return None
    return text[:MOST_SHOWN] or None


def words_of(code: str) -> Text:
    """Give the texts of any rule, question or note."""
    return RULES.get(code) or QUESTIONS.get(code) or NOTES[code]


def codes(found: Sequence[RowRefusal]) -> list[str]:
    """List the broken rules."""
    return [one.rule for one in found]
