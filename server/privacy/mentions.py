"""Recognises a child in text that people typed, before it is erased: by NIK, phone number and names.

What a child was ever called, wrong or right, is read from all its changes: a name that was corrected may stand elsewhere.

- NIK and phone number are recognised among other letters, however the digits are grouped.
- A name is recognised as whole words next to one another, in any spelling of case and signs, if it has at least two words. A
  single word is too common: it counts in a row of a sheet alone, where it fills a cell and another cell has the birth date
  or a parent's name.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from server.children import ledger
from server.context import AppContext
from server.crypto.vault import KeyUnusable, unseal
from server.database.models import ChangeRow, table
from server.interchange import cells

NIK_DIGITS: Final = 16
SHORTEST_NUMBER: Final = 8
"""Digits of the shortest phone number that is recognised."""


@dataclass(frozen=True, slots=True)
class Mentions:
    """What a person who is to be erased was called.

    Parameters
    ----------
    numbers : digits of NIKs and phone numbers, these without what leads them (0 or 62)
    names : names of the child, as `_words` writes them; `parents` : those of its parents
    born : birth dates, as ISO text
    """

    numbers: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    parents: set[str] = field(default_factory=set)
    born: set[str] = field(default_factory=set)

    def in_text(self, text: str) -> bool:
        """Say whether a text names the child or a parent."""
        return self._has(text, self.names | self.parents)

    def in_row(self, row: Iterable[object]) -> bool:
        """Say whether a row of a sheet is about the child; a row of a brother or sister has the same parents."""
        held = list(row)
        texts = [_text(cell) for cell in held]
        if any(self._has(text, self.names) for text in texts):
            return True
        plain = {_words(text) for text in texts}
        beside = any(self._has(text, self.parents) for text in texts) or any(
            _day(c) in self.born for c in held
        )
        return beside and not plain.isdisjoint(self.names)

    def _has(self, text: str, names: Iterable[str]) -> bool:
        digits = re.sub(r"[^0-9]", "", text)
        if any(number in digits for number in self.numbers):
            return True
        padded = f" {_words(text)} "
        return any(" " in name and f" {name} " in padded for name in names)

    def add(self, registers: Mapping[str, Any]) -> None:
        """Add what one change says, well-formed or not."""
        identity, parents = _fields(registers, "identity"), _fields(registers, "parents")
        self.names.update(_words(value) for value in _texts(identity, "name"))
        self.born.update(_texts(identity, "born_on"))
        self.parents.update(_words(value) for value in _texts(parents, "mother", "father"))
        for number in (*_texts(_fields(registers, "nik"), "nik"), *_texts(parents, "phone")):
            digits = re.sub(r"[^0-9]", "", number)
            if len(digits) < NIK_DIGITS:
                digits = re.sub(r"\A(?:62|0)", "", digits)
            if len(digits) >= SHORTEST_NUMBER:
                self.numbers.add(digits)
        self.names.discard("")
        self.parents.discard("")


def _fields(registers: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = registers.get(name)
    return found if isinstance(found, Mapping) else {}


def _texts(fields: Mapping[str, Any], *names: str) -> list[str]:
    return [value for name in names if isinstance(value := fields.get(name), str)]


def _words(text: str) -> str:
    """Write a text as its words in small letters, one space between them."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def _text(cell: object) -> str:
    return f"{cell:.0f}" if isinstance(cell, float) and cell.is_integer() else str(cell)


def _day(cell: object) -> str | None:
    with suppress(cells.CellError):
        if isinstance(cell, str | datetime) and (found := cells.day(cell)) is not None:
            return found.day.isoformat()
    return None


def of_children(session: Session, hub: AppContext, ids: Sequence[str]) -> Mentions:
    """Collect what some children were called, from all their changes that can be read."""
    found, children = Mentions(), ledger.subjects(session, hub.vault, hub.district, ids)
    c = table(ChangeRow).c
    rows = session.execute(
        select(c.hash, c.child_id, c.content, c.sealed).where(c.district == hub.district, c.child_id.in_(ids))
    )
    for row in rows:
        with suppress(KeyUnusable):
            registers = _registers(hub, row, children[row.child_id])
            found.add(registers if isinstance(registers, Mapping) else {})
    return found


def _registers(hub: AppContext, row: Any, child: ledger.Subject) -> Any:
    if row.sealed == ledger.UNDER_CHILD:
        opened = orjson.loads(unseal(child.key, row.content, ledger.bound_to(hub.district, row.hash)))
    elif row.sealed == ledger.UNDER_DISTRICT:
        opened = ledger.quarantined_change(hub.district, row, hub.vault)
    else:
        return None
    return opened.get("set")
