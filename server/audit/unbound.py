"""Finds bound rows that the log does not vouch for: changed, added or removed outside this program.

One pass over the log keeps the newest digest of every group in a private temporary file of SQLite, which spills to disk;
then each table is read once, and what is left over must be groups that were removed. So memory grows neither with the log
nor with the tables.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import groupby
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import Text, select, type_coerce
from sqlalchemy.orm import Session

from server.audit.adoption import adopted
from server.audit.row_digests import BOUND, LENGTH, Place, row_digest
from server.database.bound_rows import BINDINGS, Binding, key_text
from server.database.models import AuditEntry, AuditStream, CalendarDay, Moment, table
from server.database.touched_rows import Rows
from sync_protocol import MAX_SAFE_INTEGER

CHANGED: Final = "changed"
ADDED: Final = "added"
REMOVED: Final = "removed"
ORDER: Final = "out of order"
RESTORED: Final = "database.restored"
"""The action of the entry that may hold digests without a key."""
ROWS_AT_ONCE: Final = 5000


class Unbound(NamedTuple):
    """A group of rows for which the log does not vouch, by table and key, or a stream whose digests are out of order."""

    table: str
    key: str
    what: str

    def words(self) -> str:
        """Describe it in English."""
        return f"{self.table} {self.key}: {self.what} outside"


def unbound_rows(session: Session, district: str, row_key: bytes, looked_at: list[int]) -> Iterator[Unbound]:
    """Compare all bound rows of a district with the log.

    Parameters
    ----------
    row_key : of the district (`Vault.row_key`)
    looked_at : the number of groups compared is added to its only element

    Yields
    ------
    every group for which the log does not vouch; tables that were not adopted yet are left out (`adoption`)
    """
    with closing(_Newest()) as newest:
        yield from _collect(session, district, newest)
        whole = adopted(session, district)
        for name in sorted(whole & BINDINGS.keys()):
            yield from _compare(session, district, BINDINGS[name], newest, row_key, looked_at)


class _Newest:
    """The newest digest of every group, by table and key."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None)  # temporary, private, deleted when closed
        self._file.execute("PRAGMA journal_mode = OFF")
        self._file.execute(
            "CREATE TABLE newest (name TEXT, key TEXT, ord INTEGER, stream TEXT, number INTEGER, digest TEXT,"
            " PRIMARY KEY (name, key)) WITHOUT ROWID"
        )
        self._file.execute("BEGIN")

    def put(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Add digests as (table, key, order, stream, number, digest)."""
        self._file.executemany(
            "INSERT INTO newest VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET ord = excluded.ord,"
            " stream = excluded.stream, number = excluded.number, digest = excluded.digest WHERE excluded.ord >= ord",
            rows,
        )

    def take(self, name: str, key: str) -> tuple[Place, str] | None:
        """Return and remove a group's newest digest, and its place."""
        row = self._file.execute(
            "DELETE FROM newest WHERE name = ? AND key = ? RETURNING ord, stream, number, digest", (name, key)
        ).fetchone()
        return (Place(*row[:3]), row[3]) if row else None

    def left(self, name: str) -> Iterator[tuple[str, Place, str]]:
        """Yield what is left of a table."""
        for key, *place, made in self._file.execute(
            "SELECT key, ord, stream, number, digest FROM newest WHERE name = ? ORDER BY key", (name,)
        ):
            yield key, Place(*place), made

    def close(self) -> None:
        self._file.close()


def _collect(session: Session, district: str, newest: _Newest) -> Iterator[Unbound]:
    """Read the log, and check that the orders of each stream only grow."""
    c, s = table(AuditEntry).c, table(AuditStream).c
    query = select(c.stream, c.number, c.action, c.details).where(
        c.district == district, c.details.contains(f'"{BOUND}":')
    )
    reached: dict[str, int] = {}
    astray: set[str] = set()
    with session.connection().execute(
        query.order_by(c.stream, c.number).execution_options(yield_per=ROWS_AT_ONCE)
    ) as rows:
        for some in rows.partitions():
            found: list[tuple[Any, ...]] = []
            for row in some:
                order, groups = _digests_in(row)
                if order is None:
                    continue
                if order and order <= reached.get(row.stream, 0):
                    astray.add(row.stream)
                reached[row.stream] = max(order, reached.get(row.stream, 0))
                found += [(name, key, order, row.stream, row.number, made) for name, key, made in groups]
            newest.put(found)
    heads = select(s.stream, s.bound).where(s.district == district)
    astray |= {
        stream
        for stream, bound in session.connection().execute(heads).all()
        if (bound or 0) != reached.get(stream, 0)
    }
    yield from (Unbound("audit_stream", stream, ORDER) for stream in sorted(astray))


def _digests_in(row: Any) -> tuple[int | None, list[tuple[str, str, str]]]:
    """Return order and digests of an entry; an altered one may hold anything, and is detected by its own hash."""
    try:
        bound = orjson.loads(row.details).get(BOUND)
        if bound is None:
            return None, []
        groups = [
            (str(name), str(key), str(made))
            for name, pairs in bound.get("rows", {}).items()
            for key, made in pairs
        ]
        plain, order = row.action == RESTORED, int(bound["order"])
        known = [one for one in groups if plain or len(one[2]) == LENGTH]
        return (order, known) if 0 <= order <= MAX_SAFE_INTEGER else (None, [])
    except (ValueError, TypeError, KeyError, AttributeError):
        return None, []


def _compare(
    session: Session,
    district: str,
    binding: Binding,
    newest: _Newest,
    row_key: bytes,
    looked_at: list[int],
) -> Iterator[Unbound]:
    name = binding.table.name
    for key, rows in _groups(session, district, binding):
        looked_at[0] += 1
        known = newest.take(name, key)
        if known is None:
            yield Unbound(name, key, CHANGED if binding.when else ADDED)
        elif not _fits(row_key, known, name, key, rows):
            gone = _fits(row_key, known, name, key, [])
            yield Unbound(name, key, ADDED if gone and not binding.when else CHANGED)
    for key, place, made in newest.left(name):
        if not _fits(row_key, (place, made), name, key, []):
            yield Unbound(name, key, CHANGED if binding.when else REMOVED)


def _fits(row_key: bytes, known: tuple[Place, str], name: str, key: str, rows: Rows) -> bool:
    place, made = known
    plain = len(made) > LENGTH
    return row_digest(None if plain else row_key, place, name, key, rows) == made


def _groups(session: Session, district: str, binding: Binding) -> Iterator[tuple[str, Rows]]:
    """Read a table group by group."""
    c = binding.table.c
    names = tuple(dict.fromkeys((*binding.by, *binding.counting, *binding.sorted_by)))
    query = select(*(_as_stored(session, c[name]).label(name) for name in names)).where(
        c.district == district
    )
    query = query.order_by(*(c[name] for name in binding.sorted_by))
    with session.connection().execute(query.execution_options(yield_per=ROWS_AT_ONCE)) as found:
        counted = (row for row in found.mappings() if binding.counts(row))
        for key, rows in groupby(counted, key=binding.key_of):
            yield key_text(key), [binding.written(row) for row in rows]


def _as_stored(session: Session, column: Any) -> Any:
    """Select days and moments of SQLite as the texts that count, which need not be parsed."""
    is_text = session.get_bind().dialect.name == "sqlite" and isinstance(column.type, CalendarDay | Moment)
    return type_coerce(column, Text()) if is_text else column
