"""Binds the rows that stood before rows were bound to the log: of an older release, or of a backup made by one.

Every table is adopted once. Entries `rows.adopted` of the office name, under `tables`, the tables that are adopted with
them, and under `through` how far the next one is, so that an interrupted adoption continues. A table that the log names is
never adopted again: otherwise a restart would bind what was altered outside. A new installation names all tables in its
first entry, `district.installed`, when there is nothing to adopt.

Adopted digests have the order 0: whatever was written since the upgrade counts more.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any, Final

import orjson
from sqlalchemy import literal, select, tuple_
from sqlalchemy.orm import Session

from server.audit.chain import OFFICE, append, lock_head
from server.database.bound_rows import BINDINGS, Binding
from server.database.engine import Database
from server.database.models import AuditEntry, CalendarDay, table
from server.database.touched_rows import select_keys, touched

ADOPTED: Final = "rows.adopted"
INSTALLED: Final = "district.installed"
CHUNK: Final = 2000
"""Rows of one entry."""


def adopted(session: Session, district: str) -> set[str]:
    """Return the tables whose rows are all bound."""
    return _tables(_entries(session, district))


def adopt(database: Database, district: str, *, actor: str, now: Callable[[], datetime]) -> int:
    """Bind the rows of every table that the log does not name yet, or continue to; return how many entries that took."""
    entries = 0
    while True:
        with database.reading() as session:
            if adopted(session, district) >= BINDINGS.keys():
                return entries
        with database.transaction() as session:
            entries += _adopt_some(session, district, actor, now())


def _entries(session: Session, district: str) -> list[dict[str, Any]]:
    c = table(AuditEntry).c
    named = c.action.in_((ADOPTED, INSTALLED))
    query = select(c.details).where(c.district == district, c.stream == OFFICE, named)
    texts = session.connection().execute(query.order_by(c.number)).scalars()
    return [orjson.loads(text) for text in texts]


def _tables(entries: Iterable[dict[str, Any]]) -> set[str]:
    return {name for details in entries for name in details.get("tables", ())}


def _adopt_some(session: Session, district: str, actor: str, now: datetime) -> int:
    """Bind the next rows of the next table; return whether there was one."""
    lock_head(session, district, OFFICE)  # another process may adopt too
    entries = _entries(session, district)
    left = sorted(BINDINGS.keys() - _tables(entries))
    if not left:
        return 0
    name, after = left[0], None
    if entries and (through := entries[-1].get("through")) and through[0] == name:
        after = through[1]
    last = _touch(session, district, BINDINGS[name], after)
    details: dict[str, Any] = {"tables": [] if last else [name]}
    if last:
        details["through"] = [name, last]
    append(session, district, OFFICE, ADOPTED, actor=actor, now=now, details=details)
    return 1


def _touch(session: Session, district: str, binding: Binding, after: list[Any] | None) -> list[Any] | None:
    """Note the next rows of a table as written; return the key of the last, None if there are no more.

    A table of secrets is noted at once, for its keys do not belong in the log.
    """
    key = [binding.table.c[name] for name in binding.key]
    names = dict.fromkeys((*binding.key, *select_keys(binding).selected_columns.keys()))
    query = select(*(binding.table.c[name] for name in names)).where(binding.table.c.district == district)
    if after:
        values = [literal(_value(c, part), c.type) for c, part in zip(key, after, strict=True)]
        query = query.where(tuple_(*key) > tuple_(*values))
    if key and binding.by_key and not binding.secret:
        query = query.order_by(*key).limit(CHUNK)
    rows = session.connection().execute(query).mappings().all()
    noted = touched(session.connection())
    noted.adopting = True
    noted.altered(binding, [row for row in rows if binding.counts(row)])
    if len(rows) < CHUNK or binding.secret:
        return None
    return [part.isoformat() if isinstance(part := rows[-1][name], date) else part for name in binding.key]


def _value(column: Any, part: Any) -> Any:
    return date.fromisoformat(part) if isinstance(column.type, CalendarDay) else part
