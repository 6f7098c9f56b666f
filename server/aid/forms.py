"""Requests to the register of aid from forms, programs and commands, read and checked field by field.

All faults are collected and reported together; each message names the field, the value, the rule and the remedy. Values that
may be personal data (a name, a contact) are not repeated in the message.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from schemas.words import Reason
from server.aid.area import text_of
from server.aid.words import ASKED, Words
from server.errors import Problem
from server.translations import T_, Text

_OF_A_PERSON: Final = frozenset({"name", "title", "person", "phone", "address", "legal_id"})
_CHOOSE: Final = T_("Choose one of the list.")
_LATEST: Final = date(2099, 12, 31)


class FormReader:
    """Read the fields of a request; `refuse` reports everything that was wrong with them."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given
        self._faults: list[Reason] = []

    def has(self, name: str) -> bool:
        """Say whether a field is not empty."""
        return bool(text_of(self._given.get(name)))

    def raw(self, name: str) -> str:
        """Give the text of a field, which may be empty."""
        return text_of(self._given.get(name), 200)

    def truth(self, name: str) -> bool:
        """Say whether a box was ticked, or true was sent."""
        return bool(self._given.get(name))

    def text(self, name: str, most: int = 120) -> str:
        """Give a line of text, which must not be empty."""
        found = text_of(self._given.get(name), most)
        if not found:
            self._missing(name)
        return found

    def choice(self, name: str, table: Words) -> str:
        """Give a code, which must be one of a table's."""
        code = self._given.get(name)
        if isinstance(code, str) and code in table:
            return code
        if not self.has(name):
            self._missing(name)
        else:
            codes = ", ".join(table)
            self.wrong(name, T_("must be one of: {codes}").format(codes=codes), _CHOOSE)
        return ""

    def whole(self, name: str, low: int, high: int) -> int:
        """Give a whole number; dots and spaces between its digits are ignored. An empty field is 0."""
        given = self._given.get(name)
        text = str(given or "0").replace(".", "").replace(" ", "")
        digits = not isinstance(given, bool) and text.isascii() and text.isdigit() and len(text) <= 15
        if digits and low <= int(text) <= high:
            return int(text)
        if low and not self.has(name):
            self._missing(name)
        else:
            self.wrong(
                name,
                T_("must be a whole number from {low} to {high}").format(low=low, high=high),
                T_("Check the number and write it again."),
            )
        return low

    def day(self, name: str) -> date:
        """Give a date."""
        try:
            found = date.fromisoformat(str(self._given.get(name) or ""))
        except ValueError:
            found = date.max
        if found <= _LATEST:
            return found
        if not self.has(name):
            self._missing(name)
        else:
            self.wrong(name, T_("is not a date that can be"), T_("Write year, month, day: 2026-03-01."))
        return _LATEST

    def wrong(self, name: str, rule: Text, remedy: Text) -> None:
        """Add a fault of a field."""
        value = None if name in _OF_A_PERSON else text_of(self._given.get(name), 40) or None
        if value is not None and sum(letter.isdigit() for letter in value) > 15:
            value = None  # it may be a NIK
        text = T_("{field} (given as {value}) {rule}. {remedy}") if value else T_("{field} {rule}. {remedy}")
        text = text.format(field=ASKED[name], value=value, rule=rule, remedy=remedy)
        self._faults.append(Reason(name, "wrong-value", value, *text))

    def refuse(self) -> None:
        """Refuse the request if anything was wrong.

        Raises
        ------
        Problem
            `change-invalid` with every reason.
        """
        if self._faults:
            raise Problem("change-invalid", reasons=[fault.wire() for fault in self._faults])

    def _missing(self, name: str) -> None:
        self.wrong(name, T_("is missing"), T_("Fill it in."))
