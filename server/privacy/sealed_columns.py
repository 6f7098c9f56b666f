"""Every column that is sealed under the district's key, and what each seal is bound to; seals what an older release left.

A migration has no key. What it finds in the clear it marks with the version 0, which no key has, and it is sealed when the
installation is opened next; so are the reasons of quarantined changes, which older releases stored beside them.
"""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Table, bindparam, func, literal_column, select, update
from sqlalchemy.orm import Session

from server import audit
from server.accounts import second_factor
from server.aid import register, sheets, typed_text
from server.children import ledger
from server.config import Settings
from server.context import AppContext
from server.crypto.key_file import load_keys
from server.crypto.vault import VERSION_BYTES, Vault, version_prefix
from server.database.engine import Database
from server.database.models import (
    Account,
    AidActivity,
    ChangeRow,
    CsrSheet,
    Donor,
    ImportCase,
    ImportChunk,
    ImportRun,
    SavedView,
    table,
)
from server.interchange import import_store, uploads
from server.review import saved_views

NOT_SEALED: Final = 0
"""The version of what a migration found in the clear (0023)."""
AT_ONCE: Final = 500
SEALED: Final = "text.sealed"


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column with values sealed under the district, and what each seal is bound to."""

    table: Table
    column: str
    names: tuple[str, ...]
    purpose: Callable[[AppContext, Any], str]
    only: Any = None

    def under(self, version: int) -> Any:
        """Return the condition of being sealed under a version."""
        held = func.substr(self.table.c[self.column], 1, VERSION_BYTES) == version_prefix(version)
        return held if self.only is None else held & self.only


PLACES: Final = (
    SealedColumn(
        table(ChangeRow),
        "content",
        ("actor", "counter", "hash"),
        lambda hub, row: ledger.bound_to(hub.district, row.hash),
        table(ChangeRow).c.sealed == ledger.UNDER_DISTRICT,
    ),
    SealedColumn(table(Account), "totp_sealed", ("id",), lambda hub, row: second_factor.purpose(hub, row.id)),
    SealedColumn(
        table(ImportChunk),
        "sealed",
        ("run_id", "number"),
        lambda hub, row: import_store.chunk_purpose(hub, row.run_id, row.number),
    ),
    SealedColumn(
        table(ImportRun),
        "sealed",
        ("id",),
        lambda hub, row: uploads.file_purpose(hub, row.id),
    ),
    SealedColumn(table(Donor), "contact", ("id",), lambda hub, row: register.contact_bound(hub, row.id)),
    SealedColumn(table(CsrSheet), "sealed", ("id",), lambda hub, row: sheets.file_bound(hub, row.id)),
    SealedColumn(table(AidActivity), "sealed", ("id",), lambda hub, row: sheets.row_bound(hub, row.id)),
    SealedColumn(
        *(table(AidActivity), "title_sealed", ("id",)), lambda hub, row: typed_text.title_bound(hub, row.id)
    ),
    SealedColumn(
        *(table(AidActivity), "evidence_sealed", ("id",)),
        lambda hub, row: typed_text.evidence_bound(hub, row.id),
    ),
    SealedColumn(
        *(table(CsrSheet), "name_sealed", ("id",)), lambda hub, row: typed_text.name_bound(hub, row.id)
    ),
    SealedColumn(
        *(table(Donor), "columns_sealed", ("id",)), lambda hub, row: typed_text.headers_bound(hub, row.id)
    ),
    SealedColumn(
        *(table(SavedView), "sealed", ("account_id",)),
        lambda hub, row: saved_views.bound_to(hub, row.account_id),
    ),
    SealedColumn(
        table(ImportCase), "sealed", ("id",), lambda hub, row: import_store.case_purpose(hub, row.id)
    ),
)


def seal_all(hub: AppContext, now: datetime) -> Counter[str]:
    """Seal what an older release left in the clear, some rows in each transaction; return how many of each table."""
    done: Counter[str] = Counter()
    while True:
        with hub.database.reading() as session:
            if not any(_waiting(session, hub)):
                return done
        with hub.database.transaction() as session:
            done += seal_some(session, hub, now)


def seal_some(session: Session, hub: AppContext, now: datetime, most: int | None = AT_ONCE) -> Counter[str]:
    """Seal some rows of each column; all of them if `most` is None."""
    done: Counter[str] = Counter()
    for place in PLACES:
        done[place.table.name] += _seal(session, hub, place, most)
    done[ChangeRow.__tablename__] += _seal_reasons(session, hub, most)
    done = +done
    if done:
        details = {"rows": dict(done)}
        audit.append(session, hub.district, audit.OFFICE, SEALED, actor="operator", now=now, details=details)
    return done


def seal_everywhere(
    session: Session, settings: Settings, database: Database, districts: Collection[str], now: datetime
) -> None:
    """Seal all of a restored database; without the key file that is left to the next `serve` with it."""
    if settings.key_file.exists():
        keys = load_keys(settings.key_file, create=False, command=settings.key_command)
        for district in districts:
            hub = AppContext(replace(settings, district=district), database, keys, Vault(keys, district))
            seal_some(session, hub, now, most=None)


def _waiting(session: Session, hub: AppContext) -> list[Any]:
    queries = [select(p.table.c.district).where(*_in_the_clear(hub, p)).limit(1) for p in PLACES]
    queries.append(select(table(ChangeRow).c.district).where(*_with_values(hub)).limit(1))
    return [row for query in queries if (row := session.execute(query).first()) is not None]


def _in_the_clear(hub: AppContext, place: SealedColumn) -> tuple[Any, ...]:
    return place.table.c.district == hub.district, place.under(NOT_SEALED)


def _seal(session: Session, hub: AppContext, place: SealedColumn, most: int | None) -> int:
    c = place.table.c
    wanted = select(*(c[name] for name in (*place.names, place.column))).where(*_in_the_clear(hub, place))
    rows = session.execute(wanted.limit(most)).all()
    if rows:
        given = [
            {
                **{f"the_{name}": getattr(row, name) for name in place.names},
                "after": hub.vault.seal_for_district(
                    bytes(getattr(row, place.column))[VERSION_BYTES:], place.purpose(hub, row)
                ),
            }
            for row in rows
        ]
        mine = c.district == hub.district, *(c[name] == bindparam(f"the_{name}") for name in place.names)
        values: dict[str, Any] = {place.column: bindparam("after")}
        session.connection().execute(update(place.table).where(*mine).values(**values), given)
    return len(rows)


def _with_values(hub: AppContext) -> tuple[Any, ...]:
    """Return the condition of a quarantined change whose reasons stand in the clear, with the values that they quote."""
    c = table(ChangeRow).c
    quarantined = c.outcome == literal_column("'quarantined'")  # so that SQLite uses the partial index
    return c.district == hub.district, quarantined, c.reasons.contains('"value"')


def _seal_reasons(session: Session, hub: AppContext, most: int | None) -> int:
    c = table(ChangeRow).c
    wanted = select(c.actor, c.counter, c.hash, c.content, c.sealed, c.reasons).where(*_with_values(hub))
    rows = session.execute(wanted.limit(most)).all()
    for row in rows:
        mine = c.district == hub.district, c.actor == row.actor, c.counter == row.counter
        columns = ledger.with_sealed_reasons(hub.district, row, hub.vault)
        session.execute(update(table(ChangeRow)).where(*mine).values(**columns))
    return len(rows)
