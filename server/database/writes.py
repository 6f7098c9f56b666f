"""Writes many rows at once, as each dialect does it fastest: `Writes`, `upsert` and `remove`.

What does not pass through a statement that shows its rows is noted for the log here (`touched_rows`).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Dialect,
    Executable,
    Select,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from server.database.touched_rows import NOTED, note, note_removed

FEWEST_COPIED = 20
"""This many rows or more go directly to the driver, on PostgreSQL as a COPY: each INSERT costs a message and an answer."""


def remove(session: Session, table: Table, keys: Sequence[dict[str, Any]]) -> None:
    """Delete rows by primary key, all at once; `keys` may be empty."""
    if not keys:
        return
    connection = session.connection()
    note_removed(connection, table.name, keys)
    if connection.dialect.name == "sqlite" or len(keys) == 1:
        connection.execute(_delete(table), [_named(key) for key in keys], execution_options=NOTED)
    else:
        connection.execute(_delete_many(table), _by_column(keys), execution_options=NOTED)


def _named(key: Mapping[str, Any]) -> dict[str, Any]:
    """Prefix the names of key values, so that they differ from the names of values to set."""
    return {f"the_{name}": value for name, value in key.items()}


@cache
def _delete(table: Table) -> Executable:
    return delete(table).where(*_is_key(table))


def _is_key(table: Table) -> list[ColumnElement[bool]]:
    return [column == bindparam(f"the_{column.name}") for column in table.primary_key.columns]


@cache
def _update(table: Table, columns: tuple[str, ...]) -> Executable:
    return update(table).where(*_is_key(table)).values({name: bindparam(name) for name in columns})


def upsert(session: Session, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows, or update those whose primary key exists, all at once.

    Parameters
    ----------
    rows : with the same columns, including the primary key, and different keys; may be empty
    """
    if not rows:
        return
    connection = session.connection()
    dialect, columns = connection.dialect.name, tuple(rows[0])
    note(connection, table.name, rows, new=False)
    if dialect == "sqlite" or len(rows) == 1:
        _each(connection, _upsert(table, columns, dialect, many=False), table, rows)
    else:
        connection.execute(
            _upsert(table, columns, dialect, many=True), _by_column(rows), execution_options=NOTED
        )


@cache
def _upsert(table: Table, columns: tuple[str, ...], dialect: str, *, many: bool) -> Executable:
    make = sqlite.insert if dialect == "sqlite" else postgresql.insert
    keys = [column.name for column in table.primary_key.columns]
    statement = make(table)
    if many:
        statement = statement.from_select(columns, _given(table, columns))
    others = {name: statement.excluded[name] for name in columns if name not in keys}
    if others:
        return statement.on_conflict_do_update(index_elements=keys, set_=others)
    return statement.on_conflict_do_nothing(index_elements=keys)


def _each(connection: Connection, statement: Any, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows one by one. Many go to the driver directly as tuples, since SQLAlchemy would copy each three times."""
    if len(rows) < FEWEST_COPIED:
        connection.execute(statement, list(rows), execution_options=NOTED)
        return
    text, parts = _prepared(statement, table, tuple(rows[0]), connection.dialect)
    columns = [_bound([row[name] for row in rows], bind) for name, bind in parts]
    connection.exec_driver_sql(text, list(zip(*columns, strict=True)))


def _bound(values: list[Any], bind: Callable[[Any], Any] | None) -> list[Any]:
    """Convert a column's values for the driver, equal ones once: all rows of a batch have the same moment."""
    if bind is None:
        return values
    converted = {value: bind(value) for value in set(values)}
    return [converted[value] for value in values]


@cache
def _one(table: Table) -> Executable:
    return insert(table)


@lru_cache(maxsize=256)
def _prepared(
    statement: Any, table: Table, columns: tuple[str, ...], dialect: Dialect
) -> tuple[str, list[tuple[str, Callable[[Any], Any] | None]]]:
    """Compile an insert for the driver: its text, and its columns in order, each with the function that converts values."""
    compiled = statement.compile(dialect=dialect, column_keys=columns)
    binds = {name: table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in columns}
    return str(compiled), [(name, binds[name]) for name in compiled.positiontup]


# On PostgreSQL many rows go as one array per column (`unnest`): one message and one plan. With executemany each row would be
# sent, planned and answered by itself.


@cache
def _given(table: Table, columns: tuple[str, ...]) -> Select[*tuple[Any, ...]]:
    """Select the rows that `_by_column` gives as parameters."""
    arrays = [bindparam(f"all_{name}", type_=ARRAY(table.c[name].type)) for name in columns]
    rows = func.unnest(*arrays).table_valued(*columns).render_derived(name="given")
    return select(*(rows.c[name] for name in columns))


def _by_column(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return rows as one list per column."""
    return {f"all_{name}": [row[name] for row in rows] for name in rows[0]}


@cache
def _delete_many(table: Table) -> Executable:
    keys = tuple(column.name for column in table.primary_key.columns)
    return delete(table).where(tuple_(*(table.c[name] for name in keys)).in_(_given(table, keys)))


@cache
def _insert_many(table: Table, columns: tuple[str, ...]) -> Executable:
    return insert(table).from_select(columns, _given(table, columns))


def _insert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    columns = list(rows[0])
    note(connection, table.name, rows, new=True)
    if connection.dialect.name == "sqlite" or len(rows) == 1:
        _each(connection, _one(table), table, rows)
        return
    if len(rows) < FEWEST_COPIED:
        connection.execute(_insert_many(table, tuple(columns)), _by_column(rows), execution_options=NOTED)
        return
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    copying = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), names)
    connection.info["wrote"] = True  # COPY does not pass through `_watch_statement`
    driver = connection.connection.dbapi_connection
    try:
        with driver.cursor() as cursor, cursor.copy(copying) as copy:  # type: ignore[union-attr]  # psycopg's
            for row in rows:
                copy.write_row([row[name] for name in columns])
    except psycopg.IntegrityError as error:
        raise IntegrityError(f"COPY {table.name}", None, error) from error
    except psycopg.OperationalError as error:
        raise OperationalError(f"COPY {table.name}", None, error) from error


class Writes:
    """Changes of rows that are computed in one session and written later, in order, in another."""

    def __init__(self) -> None:
        self._steps: list[Callable[[Session], object]] = []

    def __bool__(self) -> bool:
        return bool(self._steps)

    def insert(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        """Insert rows with the same columns, whose keys must not exist yet."""
        if rows:
            self._steps.append(lambda session: _insert(session.connection(), table, rows))

    def upsert(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        """Insert rows, or update those whose primary key exists."""
        if rows:
            self._steps.append(lambda session: upsert(session, table, rows))

    def remove(self, table: Table, keys: Sequence[dict[str, Any]]) -> None:
        """Delete rows by primary key."""
        if keys:
            self._steps.append(lambda session: remove(session, table, keys))

    def set(self, table: Table, key: dict[str, Any], values: dict[str, Any]) -> None:
        """Set columns of the row with a primary key."""
        statement, given = _update(table, tuple(values)), _named(key) | values
        self._steps.append(lambda session: session.connection().execute(statement, given))

    def extend(self, others: "Writes") -> None:
        """Add other changes after these."""
        self._steps += others._steps

    def apply(self, session: Session) -> None:
        """Write all changes."""
        for step in self._steps:
            step(session)
