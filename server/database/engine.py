"""Opens the database, SQLite or PostgreSQL, and gives the two ways to use it: `reading()` and `transaction()`.

Also has what the two dialects write differently: lists of ids as one parameter (`among`) and columns as one text each
(`column_texts`).

- Raising rolls back, returning commits.
- A transaction that wrote anything without an audit entry is refused at commit, whether it used the ORM, Core or text.
- What bound rows a transaction writes is noted (`touched_rows`), and bound to its last entry at its end.
- A reading session cannot write.
- On SQLite a writing transaction takes the write lock at its start (`BEGIN IMMEDIATE`). Before that it waits for a file
  lock, because SQLite polls with growing pauses, so that some wait very long; a file lock wakes the next in turn.
"""

import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

from psycopg.types.string import TextLoader
from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Connection,
    Dialect,
    Engine,
    LargeBinary,
    Select,
    TableValuedAlias,
    Text,
    bindparam,
    cast,
    create_engine,
    event,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType, UserDefinedType

from server.database import touched_rows

WRITING = "posyandu_writing"
LOGGED = "posyandu_logged"
ENDING = "posyandu_ending"
ROW_KEY = "posyandu_row_key"
WRITES = re.compile(
    r"\s*(?:INSERT|UPDATE|DELETE|REPLACE|MERGE|TRUNCATE)\b|\s*WITH\b.*?\b(?:INSERT\s+INTO|UPDATE\s+\S+\s+SET|DELETE\s+FROM)\b",
    re.IGNORECASE | re.DOTALL,
)
"""Statements that change rows, also after a WITH."""
SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
"""One snapshot for the whole transaction. PostgreSQL's default is a snapshot for each statement: a pull that reads children,
then measurements, would move its cursor past a child committed in between. SQLite's BEGIN already means one snapshot."""

CONNECT_SECONDS = 10
"""Time limit for connecting, so that `/readyz` can report a database host that does not answer."""

UNLOGGED = re.compile(r"\s*UPDATE session SET last_seen_at=[^,]+? WHERE ", re.IGNORECASE)
"""The only write without an audit entry: when a session was last used. One each minute would hide what people did."""

_WRITERS_LOCK = 0x706F_7379
_LOCK_SHARED, _LOCK_ALONE = (
    text(f"SELECT pg_advisory_xact_lock{how}({_WRITERS_LOCK})") for how in ("_shared", "")
)
"""On PostgreSQL writers take a shared advisory lock before any other lock; a restore takes it exclusively. So the restore
waits for all writers to end, without holding anything that they need, and later writers wait for it."""

ALONE_SECONDS = 60
"""How long a transaction waits to be the only writer, since all other writers wait behind it."""


class UnauditedWrite(RuntimeError):
    """A transaction changed data without an audit entry: a defect of this program, never the user's fault."""


class WriteWhileReading(RuntimeError):
    """A reading session tried to change data: a defect of this program."""


class SlowWorkWhileWriting(RuntimeError):
    """Slow work was about to be done within a writing transaction: a defect of this program."""


_IN_TRANSACTION: ContextVar[bool] = ContextVar("in_writing_transaction", default=False)


def refuse_while_writing(work: str) -> None:
    """Raise if the caller is within a writing transaction: on SQLite all other writers wait for its end.

    Parameters
    ----------
    work : what takes long, for the error

    Raises
    ------
    SlowWorkWhileWriting
    """
    if _IN_TRANSACTION.get():
        raise SlowWorkWhileWriting(f"{work} within a writing transaction: do it before")


class Database:
    """One database, shared by the threads of a process. Create it after forking.

    Parameters
    ----------
    url : SQLAlchemy URL; `postgresql://` means psycopg 3
    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self._writing = self.engine.execution_options(**{WRITING: True})
        self._reading = self.engine if self.is_sqlite else self.engine.execution_options(**SNAPSHOT)
        path = self.engine.url.database if self.is_sqlite else None
        self._lock_path = Path(f"{path}.write-lock") if path else None
        self.row_key: Callable[[str], bytes] | None = None
        """Gives the key of a district's row digests; None where there is no key file."""
        self.after_commit: Callable[[Sequence[Mapping[str, Any]]], None] = lambda _entries: None
        """Called after every commit of `transaction` with its entries of the log."""
        self.vouching: dict[str, Any] = {}  # by district (`row_macs`)
        self._session = partial(Session, expire_on_commit=False, info={"vouching": self.vouching})

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a read-only session on one consistent snapshot."""
        with self._session(self._reading) as session:
            yield session

    @contextmanager
    def transaction(self, *, alone: bool = False) -> Iterator[Session]:
        """Open a writing session: commits on return, rolls back on any exception.

        Parameters
        ----------
        alone : be the only writer: wait for all others to end, and let none begin meanwhile; on SQLite always so

        Raises
        ------
        UnauditedWrite
            Rows were written and `audit.append` was not called.
        OperationalError
            On PostgreSQL, with `alone`: another transaction did not end within ALONE_SECONDS.
        """
        info = {"vouching": self.vouching, ROW_KEY: self.row_key}
        with self.write_lock(), self._session(self._writing, info=info) as session, session.begin():
            if alone and not self.is_sqlite:
                session.execute(text(f"SET LOCAL lock_timeout = '{ALONE_SECONDS}s'"))
                session.execute(_LOCK_ALONE)
            elif not self.is_sqlite:
                session.execute(_LOCK_SHARED)
            yield session
            end(session)
        self.after_commit(session.info.get(LOGGED, ()))

    @contextmanager
    def write_lock(self) -> Iterator[None]:
        """Hold the file lock that SQLite's writing transactions wait for; on PostgreSQL none.

        On both, slow work is refused meanwhile (`refuse_while_writing`).
        """
        descriptor = None
        if self._lock_path is not None:
            descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        before = _IN_TRANSACTION.set(True)
        try:
            if descriptor is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            _IN_TRANSACTION.reset(before)
            if descriptor is not None:
                os.close(descriptor)

    def dispose(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def make_private(file: Path) -> None:
    """Create SQLite's file, unless it exists, readable by its owner only; SQLite gives the same mode to its side files."""
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))


def _engine(url: str) -> Engine:
    if url.startswith("sqlite"):
        engine = create_engine(
            url,
            pool_size=8,
            max_overflow=8,
            pool_use_lifo=True,  # use few connections: each keeps up to `cache_size` of pages once used
            hide_parameters=True,
        )
        event.listen(engine, "connect", _prepare_sqlite)
    else:
        engine = create_engine(
            url,
            pool_size=8,
            max_overflow=8,
            pool_pre_ping=True,
            pool_use_lifo=True,  # use few connections, which have the statements prepared
            hide_parameters=True,  # an error message must not quote a row
            connect_args={"connect_timeout": CONNECT_SECONDS},
        )
        event.listen(engine, "connect", _prepare_postgresql)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "before_execute", touched_rows.watch)
    event.listen(engine, "before_cursor_execute", _watch_statement)
    event.listen(engine, "commit", _refuse_unaudited)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # `_begin` sends BEGIN
    for pragma in (
        "journal_mode = WAL",
        "secure_delete = ON",  # what is erased is overwritten, however the library was built
        "synchronous = FULL",  # an acknowledged batch survives a power cut
        "foreign_keys = ON",
        "busy_timeout = 5000",
        "temp_store = MEMORY",
        "cache_size = -32768",
        "wal_autocheckpoint = 8192",  # 32 MiB, so rarely in a commit; a job does the other checkpoints
    ):
        connection.execute(f"PRAGMA {pragma}")


def _prepare_postgresql(connection: Any, _record: Any) -> None:
    connection.adapters.register_loader("uuid", TextLoader)  # ids are text here, not UUID objects


def _begin(connection: Connection) -> None:
    connection.info.update(wrote=False, audited=False)
    touched_rows.begin(connection)
    if connection.dialect.name == "sqlite":
        writing = connection.get_execution_options().get(WRITING)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _watch_statement(
    connection: Connection, _cursor: Any, statement: str, _parameters: Any, _context: Any, _many: bool
) -> None:
    if WRITES.match(statement):
        if not connection.get_execution_options().get(WRITING):
            raise WriteWhileReading(statement.split("(")[0][:80])
        connection.info["wrote"] = connection.info.get("wrote") or not UNLOGGED.match(statement)


def _refuse_unaudited(connection: Connection) -> None:
    if connection.info.get("wrote") and not connection.info.get("audited"):
        raise UnauditedWrite("every change of data needs an audit entry in the same transaction")


class _Ids(UserDefinedType[Any]):
    """A list of ids as one parameter: an array literal for PostgreSQL, JSON for SQLite.

    It is written here, because the driver would check each element for characters to quote, and a UUID has none. On
    PostgreSQL the parameter has no type, so that it is read as an array once; a text cast to an array would be read again
    for every row searched.
    """

    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str]:
        """Return the function that writes the list."""
        if dialect.name == "sqlite":
            return lambda ids: json.dumps(list(ids))
        return lambda ids: f"{{{','.join(ids)}}}"


class _Among(FunctionElement[bool]):
    name = "among"
    # a Boolean would be compiled to `… = 1`, which cannot use an index
    type = NullType()  # type: ignore[assignment]  # the interface says bool
    inherit_cache = True


@compiles(_Among, "sqlite")
def _among_sqlite(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, ids = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({ids}))"  # noqa: S608  # a parameter, not its value


@compiles(_Among, "postgresql")
def _among_postgresql(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, ids = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} = ANY (CAST({ids} AS uuid[]))"


def among(column: ColumnElement[Any], name: str = "among") -> ColumnElement[bool]:
    """Return the condition that a column of ids is in a list, which is given at execution as the parameter `name`.

    The list is one parameter, whatever its length: `column.in_(values)` makes a node of each value and an expanding
    parameter a placeholder, which took a tenth of a batch's time (six lists of a hundred ids).
    """
    return _Among(column, bindparam(name, type_=_Ids()))


class _AmongPairs(FunctionElement[bool]):
    name = "among_pairs"
    type = NullType()  # type: ignore[assignment]  # as above
    inherit_cache = True


@compiles(_AmongPairs, "sqlite")
def _among_pairs_sqlite(element: _AmongPairs, compiler: SQLCompiler, **options: Any) -> str:
    one, other, pairs = (compiler.process(clause, **options) for clause in element.clauses)
    listed = f"SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each({pairs})"  # noqa: S608
    return f"({one}, {other}) IN ({listed})"


@compiles(_AmongPairs, "postgresql")
def _among_pairs_postgresql(element: _AmongPairs, compiler: SQLCompiler, **options: Any) -> str:
    one, other, pairs = (compiler.process(clause, **options) for clause in element.clauses)
    listed = f"jsonb_array_elements(CAST({pairs} AS jsonb)) AS pair"
    return f"({one}, {other}) IN (SELECT CAST(pair->>0 AS uuid), CAST(pair->>1 AS uuid) FROM {listed})"  # noqa: S608


def among_pairs(one: ColumnElement[Any], other: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Return the condition that two columns of ids are in a list of pairs, given at execution as JSON in parameter `name`.

    Each pair is one look-up in an index of both columns.
    """
    return _AmongPairs(one, other, bindparam(name, type_=Text()))


class _HoldsBytes(FunctionElement[bool]):
    name = "holds_bytes"
    type = NullType()  # type: ignore[assignment]  # as above
    inherit_cache = True


@compiles(_HoldsBytes, "sqlite")
def _holds_bytes_sqlite(element: _HoldsBytes, compiler: SQLCompiler, **options: Any) -> str:
    column, part = (compiler.process(clause, **options) for clause in element.clauses)
    return f"instr({column}, {part}) > 0"


@compiles(_HoldsBytes, "postgresql")
def _holds_bytes_postgresql(element: _HoldsBytes, compiler: SQLCompiler, **options: Any) -> str:
    column, part = (compiler.process(clause, **options) for clause in element.clauses)
    return f"position({part} IN {column}) > 0"


def holds_bytes(column: ColumnElement[Any], part: bytes) -> ColumnElement[bool]:
    """Return the condition that a column of bytes contains some bytes."""
    return _HoldsBytes(column, literal(part, LargeBinary()))


class _Joined(FunctionElement[str]):
    name = "joined_text"
    type = Text()
    inherit_cache = True


@compiles(_Joined, "sqlite")
def _joined_sqlite(element: _Joined, compiler: SQLCompiler, **options: Any) -> str:
    text_, *_ = (compiler.process(clause, **options) for clause in element.clauses)
    return f"group_concat({text_}, ';')"  # in the order of the rows


@compiles(_Joined, "postgresql")
def _joined_postgresql(element: _Joined, compiler: SQLCompiler, **options: Any) -> str:
    text_, *order = (compiler.process(clause, **options) for clause in element.clauses)
    ordered = f" ORDER BY {', '.join(order)}" if order else ""
    return f"string_agg({text_}, ';'{ordered})"


def json_members(session: Session, column: Any) -> TableValuedAlias:
    """Return the members of a JSON object in a column of text, as rows to join: `key` and `value` (a number or text)."""
    if session.get_bind().dialect.name == "sqlite":
        members = func.json_each(column)
    else:
        members = func.jsonb_each_text(cast(column, postgresql.JSONB()))
    return members.table_valued("key", "value", name="members")


def column_texts(
    session: Session,
    query: Select[*tuple[Any, ...]] | CompoundSelect[*tuple[Any, ...]],
    columns: Sequence[str],
    *order: str,
) -> list[str]:
    """Return columns of a query, each as one text in which every value ends with ";".

    For tens of thousands of rows: making Python objects of them takes several times as long as finding them.

    Parameters
    ----------
    columns : names of columns with ids, numbers, days or texts without ";", never null
    order : names of columns of the query to order by; without any, in the order found
    """
    rows = query.order_by(*(query.selected_columns[name] for name in order)).subquery("rows")
    by = [rows.c[name] for name in order]
    found = session.execute(select(*(_Joined(cast(rows.c[name], Text()), *by) for name in columns))).one()
    return [f"{text_};" if text_ else "" for text_ in found]


def write_at_end(session: Session, write: Callable[[Session], Sequence[Mapping[str, Any]]]) -> None:
    """Let a transaction end with writing its entries of the log, which `write` returns. Only `audit.append` may call it."""

    def ending(session: Session) -> None:
        session.info[LOGGED] = [*session.info.get(LOGGED, ()), *write(session)]

    session.connection().info["audited"] = True
    session.info[ENDING] = ending


def end(session: Session) -> None:
    """Write what a transaction leaves to its end. `Database.transaction` does so by itself."""
    session.flush()
    ending: Callable[[Session], None] | None = session.info.pop(ENDING, None)
    if ending is not None:
        ending(session)


def row_key_of(session: Session, district: str) -> bytes | None:
    """Return the key of a district's row digests; None where there is no key file."""
    row_key: Callable[[str], bytes] | None = session.info.get(ROW_KEY)
    return row_key(district) if row_key else None
