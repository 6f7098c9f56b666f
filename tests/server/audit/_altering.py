"""Every alteration that the schema allows, enumerated from the metadata: a new column cannot be forgotten.

A class of alterations is a column that gets another valid value, or a table that loses a row, gets a copied row with another
key, or has the values of two rows swapped. Each is tried in a transaction that is rolled back, past every guard of the
program, on one database in which every table has rows (`office`).
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Boolean, Column, Float, Integer, LargeBinary, Table, Uuid
from sqlalchemy.orm import Session

from server.database.models import Base, CalendarDay, Moment

Row = dict[str, Any]
ELSEWHERE: Final = "99.99"
"""A district that is not there: a row of it is hidden from every query."""


@dataclass
class Altered:
    """The database within a transaction, changed without the program's knowledge."""

    session: Session
    rng: random.Random

    def rows(self, table: Table) -> list[Row]:
        """Give the rows of a table in a fixed order."""
        names = [column.name for column in table.columns]
        order = ", ".join(f'"{column.name}"' for column in table.primary_key.columns)
        listed = ", ".join(f'"{name}"' for name in names)
        cursor = self._do(f'SELECT {listed} FROM "{table.name}" ORDER BY {order}', ())  # noqa: S608  # our own names
        return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]

    def set(self, table: Table, row: Row, values: Mapping[str, Any]) -> None:
        given = ", ".join(f'"{name}" = ?' for name in values)
        where, key = self._where(table, row)
        self._do(f'UPDATE "{table.name}" SET {given} WHERE {where}', (*values.values(), *key))  # noqa: S608

    def remove(self, table: Table, row: Row) -> None:
        where, key = self._where(table, row)
        self._do(f'DELETE FROM "{table.name}" WHERE {where}', key)  # noqa: S608

    def add(self, table: Table, row: Row) -> None:
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" for _ in row)
        self._do(f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})', tuple(row.values()))  # noqa: S608

    def _where(self, table: Table, row: Row) -> tuple[str, tuple[Any, ...]]:
        names = [column.name for column in table.primary_key.columns]
        return " AND ".join(f'"{name}" = ?' for name in names), tuple(row[name] for name in names)

    def _do(self, statement: str, given: tuple[Any, ...]) -> Any:
        """Execute past SQLAlchemy, whose listeners are the program's."""
        connection = self.session.connection()
        if connection.dialect.name != "sqlite":
            statement = statement.replace("?", "%s")
        cursor = connection.connection.dbapi_connection.cursor()  # type: ignore[union-attr]  # it is open
        cursor.execute(statement, given)
        return cursor


Alter = Callable[[Altered], bool]
"""Alters a database; False if there is nothing that it could alter."""


@dataclass(frozen=True, slots=True)
class Class:
    """A class of alterations, of a table or of one of its columns."""

    table: Table
    column: str
    name: str
    alter: Callable[[Altered, int], bool]


def classes() -> Iterator[Class]:
    """Give every class of the schema, table by table."""
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            yield Class(table, column.name, f"{table.name}.{column.name}", _of_column(table, column))
        for name, alter in (("removed", _remove), ("added", _add), ("swapped", _swap)):
            yield Class(table, "", f"{table.name}: {name}", _of_table(table, alter))


# -- columns --------------------------------------------------------------------------------------


def _of_column(table: Table, column: Column[Any]) -> Callable[[Altered, int], bool]:
    def alter(database: Altered, way: int) -> bool:
        rows = database.rows(table)
        for row in database.rng.sample(rows, len(rows)):
            for value in other_values(database.rng, column, row[column.name], rows, way):
                taken = {tuple(each[c.name] for c in table.primary_key.columns) for each in rows}
                key = tuple(value if c is column else row[c.name] for c in table.primary_key.columns)
                if column.primary_key and key in taken:
                    continue
                database.set(table, row, {column.name: value})
                return True
        return False

    return alter


def other_values(
    rng: random.Random, column: Column[Any], value: Any, rows: Sequence[Row], way: int
) -> list[Any]:
    """Give other valid values of a column: that of another row, a changed one, or none; begins with the way's."""
    held = [row[column.name] for row in rows if row[column.name] != value and row[column.name] is not None]
    if column.name == "district":
        return [ELSEWHERE]
    another = [rng.choice(held)] if held else []
    made = changed(rng, column, value)
    none = [None] if column.nullable and value is not None else []
    ways = [[*made, *another], [*another, *made], [*none, *another, *made]]
    return ways[way % 3]


def changed(rng: random.Random, column: Column[Any], value: Any) -> list[Any]:
    """Give values of a column's type that differ from one."""
    kind = column.type
    if isinstance(kind, Moment | CalendarDay):
        return [_later(kind, value, rng)]
    if isinstance(value, bool) or isinstance(kind, Boolean) or _is_truth(column):
        return [type(value)(not value) if value is not None else None]
    if isinstance(kind, Float):
        return [-1.5 if value is None or value != -1.5 else -1.0]
    if isinstance(kind, Integer):
        return [1 if value is None else value + 1]
    if isinstance(kind, LargeBinary):
        return [b"x" * 40 if not value else _flipped(bytes(value), rng)]
    if isinstance(kind, Uuid):
        return [str(UUID(int=rng.getrandbits(128), version=4))]
    return [f"{value or ''}x"]


def _is_truth(column: Column[Any]) -> bool:
    return column.type.python_type is bool


def _later(kind: Any, value: Any, rng: random.Random) -> Any:
    if isinstance(kind, CalendarDay):
        day = date.fromisoformat(value) if isinstance(value, str) else value or date(2026, 2, 1)
        return (day + timedelta(days=rng.choice([1, 40]))).isoformat()
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if moment is None:
        return "2026-03-01T00:00:00.000000+00:00"
    return (moment + timedelta(minutes=rng.choice([7, 6007]))).isoformat(timespec="microseconds")


def _flipped(value: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(value))
    return value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]


# -- tables ---------------------------------------------------------------------------------------


def _of_table(
    table: Table, alter: Callable[[Altered, Table, list[Row]], bool]
) -> Callable[[Altered, int], bool]:
    def altered(database: Altered, _way: int) -> bool:
        rows = database.rows(table)
        database.rng.shuffle(rows)
        return alter(database, table, rows)

    return altered


def _remove(database: Altered, table: Table, rows: list[Row]) -> bool:
    if rows:
        database.remove(table, rows[0])
    return bool(rows)


def _add(database: Altered, table: Table, rows: list[Row]) -> bool:
    """Add a copy of a row with another key."""
    if not rows:
        return False
    keys = [column for column in table.primary_key.columns if column.name != "district"] or list(
        table.primary_key.columns
    )
    new = dict(rows[0])
    new[keys[-1].name] = (
        ELSEWHERE if keys[-1].name == "district" else changed(database.rng, keys[-1], new[keys[-1].name])[0]
    )
    taken = {tuple(row[column.name] for column in table.primary_key.columns) for row in rows}
    while tuple(new[column.name] for column in table.primary_key.columns) in taken:
        new[keys[-1].name] = changed(database.rng, keys[-1], new[keys[-1].name])[0]
    database.add(table, new)
    return True


def _swap(database: Altered, table: Table, rows: list[Row]) -> bool:
    """Swap what two rows say."""
    keys = {column.name for column in table.primary_key.columns}
    says = [{name: value for name, value in row.items() if name not in keys} for row in rows]
    for one, other in ((a, b) for a in range(len(rows)) for b in range(a)):
        if says[one] != says[other]:
            database.set(table, rows[one], says[other])
            database.set(table, rows[other], says[one])
            return True
    return False
