"""What a form, a program or a command asks of the register of aid, read field by field.

What is wrong is gathered, so that all of it is told at once; each sentence names the field, what was written, the rule and
the remedy. What may be of a person (a name, a contact) is not repeated.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from schemas.words import Reason
from server.aid.area import text_of
from server.aid.words import ASKED, Words
from server.errors import Problem

_OF_A_PERSON: Final = frozenset({"name", "title", "person", "phone", "address", "legal_id"})
_CHOOSE: Final = ("Pilih satu dari daftar.", "Choose one of the list.")
_LATEST: Final = date(2099, 12, 31)


class FormReader:
    """Read what was asked; `refuse` tells everything that was wrong with it."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given
        self._faults: list[Reason] = []

    def has(self, name: str) -> bool:
        """Say whether something was written into a field."""
        return bool(text_of(self._given.get(name)))

    def raw(self, name: str) -> str:
        """Give what was written into a field."""
        return text_of(self._given.get(name), 200)

    def truth(self, name: str) -> bool:
        """Give whether a box was ticked, or true was sent."""
        return bool(self._given.get(name))

    def text(self, name: str, most: int = 120) -> str:
        """Give a line that must not be empty."""
        found = text_of(self._given.get(name), most)
        if not found:
            self._missing(name)
        return found

    def choice(self, name: str, table: Words) -> str:
        """Give one of some codes."""
        code = self._given.get(name)
        if isinstance(code, str) and code in table:
            return code
        if not self.has(name):
            self._missing(name)
        else:
            codes = ", ".join(table)
            self.wrong(name, f"harus salah satu dari: {codes}", f"must be one of: {codes}", *_CHOOSE)
        return ""

    def whole(self, name: str, low: int, high: int) -> int:
        """Give a whole number; dots and blanks between its digits do not count. Nothing is 0."""
        given = self._given.get(name)
        text = str(given or "0").replace(".", "").replace(" ", "")
        digits = not isinstance(given, bool) and text.isascii() and text.isdigit() and len(text) <= 15
        if digits and low <= int(text) <= high:
            return int(text)
        if low and not self.has(name):
            self._missing(name)
        else:
            self.wrong(
                *(name, f"harus bilangan bulat {low} sampai {high}"),
                f"must be a whole number from {low} to {high}",
                *("Periksa dan tulis lagi angkanya.", "Check the number and write it again."),
            )
        return low

    def day(self, name: str) -> date:
        """Give a day."""
        try:
            found = date.fromisoformat(str(self._given.get(name) or ""))
        except ValueError:
            found = date.max
        if found <= _LATEST:
            return found
        if not self.has(name):
            self._missing(name)
        else:
            self.wrong(
                *(name, "bukan tanggal yang benar", "is not a date that can be"),
                "Tulis tahun, bulan, tanggal: 2026-03-01.",
                "Write year, month, day: 2026-03-01.",
            )
        return _LATEST

    def wrong(self, name: str, rule: str, rule_en: str, remedy: str, remedy_en: str) -> None:
        """Note what is wrong with a field."""
        value = None if name in _OF_A_PERSON else text_of(self._given.get(name), 40) or None
        if value is not None and sum(letter.isdigit() for letter in value) > 15:
            value = None  # it may be a NIK
        label = ASKED[name]
        said = [("tertulis", label[0], rule, remedy), ("given as", label[1], rule_en, remedy_en)]
        told = [
            f"{field}{f' ({given} {value})' if value else ''} {what}. {mend}"
            for given, field, what, mend in said
        ]
        self._faults.append(Reason(name, "wrong-value", value, *told))

    def refuse(self) -> None:
        """Refuse if anything was wrong.

        Raises
        ------
        Problem
            `change-invalid` with every reason.
        """
        if self._faults:
            raise Problem("change-invalid", reasons=[fault.wire() for fault in self._faults])

    def _missing(self, name: str) -> None:
        self.wrong(name, "belum diisi", "is missing", "Isi bagian ini.", "Fill it in.")
