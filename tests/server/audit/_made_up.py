"""Made-up rows of every bound table, and how they are written as the program writes, for tests."""

from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import Table

from server import audit
from tests.server._district import DISTRICT, NOW, District


def write(district: District, *statements: Any, stream: str = audit.OFFICE) -> None:
    """Execute statements in one transaction of the product, with an entry."""
    with district.hub.database.transaction() as session:
        for statement in statements:
            session.execute(statement)
        audit.append(session, DISTRICT, stream, "test.written", actor="operator", now=NOW)


class MadeUp:
    """Rows of every bound table, made from the types of their columns; each refers to the newest row of another table."""

    def __init__(self) -> None:
        self.numbers = count(1)
        self.newest: dict[str, dict[str, Any]] = {}

    def row(self, of: Table) -> dict[str, Any]:
        """Make a row, with every column filled."""
        row = {c.name: self.value(c) for c in of.columns}
        for constraint in of.foreign_key_constraints:
            known = self.newest.get(constraint.referred_table.name)
            if known is not None:
                row |= {e.parent.name: known[e.column.name] for e in constraint.elements}
        row["district"] = DISTRICT
        if of.name == "duplicate_pair":
            row["status"] = "linked"
        self.newest[of.name] = row
        return row

    def value(self, column: Any) -> Any:
        """Make a value that differs from every other of its kind, as far as the kind allows."""
        number = next(self.numbers)
        kind = type(column.type).__name__
        made: dict[str, Any] = {
            "Text": f"text {number}",
            "Uuid": f"01900000-0000-7000-8000-{number:012x}",
            "Integer": number,
            "BigInteger": number,
            "Boolean": True,
            "Moment": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
            "CalendarDay": date(2020, 1, 1) + timedelta(days=number),
            "LargeBinary": f"bytes {number}".encode(),
        }
        return made[kind]
