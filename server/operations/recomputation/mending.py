"""Writes what is computed of children where something else is stored: for `posyandu-sync reassess`.

Only what is derived is mended. A merged state that differs from the ledger is evidence, and only a backup brings it back.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Table
from sqlalchemy.orm import Session

from server import audit, isolation
from server.children import linked_records
from server.children.assessment import assess, derived
from server.context import AppContext
from server.database.models import Assessment, Attention, Flag, table
from server.database.writes import remove, upsert
from server.operations.recomputation.children import readable_among, rows_of
from server.operations.recomputation.parts import PARTS

CHUNK: Final = 100
"""Persons in one transaction: uploads wait for it."""
_PERSONS: Final = next(part for part in PARTS if part.name == "assessments")


def reassess(hub: AppContext, now: datetime, *, actor: str) -> tuple[int, int]:
    """Derive every person again, whatever is stored, and write what differs.

    Returns
    -------
    persons looked at, and rows written or removed. One who cannot be read is left as it is: `doctor` names it
    """
    persons = rows = 0
    after = ""
    while True:
        with hub.database.reading() as session:
            some = _PERSONS.list_units(session, hub, after, CHUNK)
        if not some:
            return persons, rows
        done, _ = isolation.halved(lambda few: _mend(hub, few, now, actor), some, "reassess")
        persons, rows, after = persons + len(some), rows + sum(done), some[-1]


def _mend(hub: AppContext, person_ids: Sequence[str], now: datetime, actor: str) -> int:
    with hub.database.transaction() as session:
        ids = linked_records.group_of(session, hub.district, person_ids)
        made = derived(session, hub, readable_among(session, hub, ids), now)
        raised = {_key(Flag, row): row["raised_at"] for row in rows_of(session, hub, Flag, ids)}
        flags = [{**row, "raised_at": raised.get(_key(Flag, row), now)} for row in made.flags]
        written = sum(
            _write(session, table(model), rows_of(session, hub, model, ids), rows)
            for model, rows in ((Assessment, made.assessments), (Flag, flags), (Attention, made.queue))
        )
        assess(session, hub, person_ids, now, changed=bool(written))
        details = {"children": len(ids), "rows": written}
        audit.append(
            session, hub.district, audit.OFFICE, "children.assessed", actor=actor, now=now, details=details
        )
    return written


def _key(model: Any, row: Mapping[Any, Any]) -> tuple[Any, ...]:
    return tuple(row[column.name] for column in table(model).primary_key.columns)


def _write(
    session: Session, of: Table, stored: Sequence[Mapping[Any, Any]], wanted: Sequence[Mapping[str, Any]]
) -> int:
    """Make the rows of some children those that are wanted; return how many differed."""
    names = [column.name for column in of.primary_key.columns]
    held = {tuple(row[name] for name in names): row for row in stored}
    right = {tuple(row[name] for name in names): row for row in wanted}
    changed = [
        dict(row)
        for key, row in right.items()
        if key not in held or any(held[key][name] != value for name, value in row.items())
    ]
    gone = [dict(zip(names, key, strict=True)) for key in held.keys() - right.keys()]
    upsert(session, of, changed)
    remove(session, of, gone)
    return len(changed) + len(gone)
