"""Rows that decide who may do what carry a MAC under a key of the key file: who can only write to the database makes none.

Rules kept here:
- A MAC is over every column of its row but those that `NOT_COVERED` names; a column that is None adds nothing, so that a
  new column leaves older MACs as they are.
- Loading such a row as an object checks its MAC and raises `RowForged`; so does changing it. Code that reads columns instead
  must ask `fits`. Lists that only show rows may say `SHOWN`.
- Saving such an object makes its MAC. Code that writes columns instead must add `mac_of`. Either locks the row first: a MAC
  is over all of it.
- Nothing makes a MAC for a row whose MAC does not fit, but `vouch`: once at the upgrade (`accounts.vouching`), and for what
  an operator has ended (`accounts.forged_rows`).
- A database that no installation has opened with its keys (`check_with`) checks nothing and makes none: only restoring
  without a key file does that, and what it writes is refused later.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from functools import cache
from typing import Any, Final, Protocol, TypeVar

import orjson
from sqlalchemy import Boolean, Column, LargeBinary, Select, event, inspect
from sqlalchemy.orm import Session

from server.database.engine import Database
from server.database.models import (
    Account,
    Base,
    EnrolmentCode,
    Invitation,
    Moment,
    RecoveryCode,
    Tablet,
    TabletPost,
    Username,
    UserSession,
    table,
)
from server.errors import Problem

NOT_COVERED: Final[Mapping[type[Base], frozenset[str]]] = {
    Account: frozenset(),
    Username: frozenset(),
    Invitation: frozenset(),
    RecoveryCode: frozenset(),
    UserSession: frozenset(
        {"last_seen_at"}
    ),  # written without an entry of the log; `expires_at` is the limit
    Tablet: frozenset(
        # of each batch, from what the tablet has signed; `doctor` compares them with the ledger
        {"last_counter", "chain_hash", "head_counter", "token", "token_before", "token_batch"}
        | {"last_sync_at", "clock_offset_ms", "app"}
    ),
    TabletPost: frozenset(),
    EnrolmentCode: frozenset(),
}
"""The tables whose rows carry a MAC, and the columns that it does not cover."""
SHOWN: Final[Mapping[str, Any]] = {"row_macs": "shown"}
"""Options with which a query for objects that are only shown is executed: loading them checks nothing."""


class RowForged(Problem):
    """A row that was written or changed by somebody without the keys. It is to be treated as if it were not there."""

    def __init__(self, of: str, row: str) -> None:
        super().__init__("row-forged", table=of, row=row)
        self.table, self.row = of, row


Row = TypeVar("Row", bound=Base)


class Vouching(Protocol):
    """What makes and checks MACs: a district's `Vault`."""

    def mac(self, purpose: str, message: bytes) -> bytes: ...

    def mac_fits(self, purpose: str, message: bytes, mac: bytes | None) -> bool: ...


def check_with(database: Database, district: str, vault: Vouching) -> None:
    """Check and make the MACs of a district's rows from now on, in sessions that are open too."""
    database.vouching[district] = vault


@cache
def covered(model: type[Base]) -> tuple[str, ...]:
    """Return the columns that the MAC of a table's rows covers."""
    left_out = NOT_COVERED[model] | {"mac"}
    return tuple(sorted(column.name for column in table(model).columns if column.name not in left_out))


def mac_of(session: Session, model: type[Base], row: Mapping[str, Any]) -> bytes | None:
    """Make the MAC of a row, of which all covered columns are given; None in a database that was opened without keys."""
    vault = _vouching(session, row)
    return vault.mac(table(model).name, _message(model, row)) if vault is not None else None


def fits(session: Session, model: type[Base], row: Mapping[str, Any]) -> bool:
    """Say whether the MAC of a row, `mac`, fits its covered columns. True in a database that was opened without keys."""
    vault = _vouching(session, row)
    return vault is None or vault.mac_fits(table(model).name, _message(model, row), row["mac"])


def checked(session: Session, model: type[Base], row: Mapping[str, Any]) -> None:
    """Raise `RowForged` unless the MAC of a row fits."""
    if not fits(session, model, row):
        raise RowForged(table(model).name, name_of(model, row))


def genuine(session: Session, query: Select[Row]) -> list[Row]:
    """Load objects, without those whose MAC does not fit."""
    rows = session.scalars(query, execution_options=SHOWN)
    return [row for row in rows if fits(session, type(row), values_of(row))]


def values_of(row: Base) -> dict[str, Any]:
    """Return the covered columns of an object, and its MAC, as they are now."""
    return {name: getattr(row, name) for name in (*covered(type(row)), "mac")}


def vouch(session: Session, row: Any) -> None:
    """Make the MAC of an object that was loaded with `SHOWN`, whatever it had before."""
    row.mac = mac_of(session, type(row), values_of(row))


def name_of(model: type[Base], row: Mapping[str, Any]) -> str:
    """Return the key of a row within its district, as text: ids and digests."""
    keys: Sequence[Column[Any]] = list(table(model).primary_key.columns)
    return "/".join(str(row[key.name]) for key in keys if key.name != "district")


def _vouching(session: Session, row: Mapping[str, Any]) -> Vouching | None:
    found: Vouching | None = session.info.get("vouching", {}).get(row["district"])
    return found


def _message(model: type[Base], row: Mapping[str, Any]) -> bytes:
    """Return the bytes that a MAC is over: the covered columns by name, the same on both databases."""
    return orjson.dumps(
        [
            (name, value if plain is None else plain(value))
            for name, plain in _plainly(model)
            if (value := row[name]) is not None
        ]
    )


@cache
def _plainly(model: type[Base]) -> tuple[tuple[str, Callable[[Any], Any] | None], ...]:
    """Return the covered columns, each with what makes plain JSON of a value, where it needs that."""
    columns = table(model).columns
    return tuple((name, _PLAIN.get(type(columns[name].type))) for name in covered(model))


_PLAIN: Final[Mapping[type, Callable[[Any], Any]]] = {
    Moment: lambda moment: moment.astimezone(UTC).isoformat(timespec="microseconds"),
    Boolean: int,  # SQLite stores 0 and 1
    LargeBinary: bytes.hex,
}


# -- objects --------------------------------------------------------------------------------------


def _check_loaded(row: Any, context: Any, *_attributes: Any) -> None:
    if context.execution_options.get("row_macs") == "shown":
        return
    values = values_of(row)
    if not fits(context.session, type(row), values):
        context.session.expunge(row)  # or a second look would find it in the session, unchecked
        raise RowForged(table(type(row)).name, name_of(type(row), values))


def _add_mac(_mapper: Any, _connection: Any, row: Any) -> None:
    model: type[Base] = type(row)
    columns = table(model).columns
    for name in covered(model):
        default: Any = columns[name].default
        if getattr(row, name) is None and default is not None:
            setattr(row, name, default.arg)
    row.mac = mac_of(_session_of(row), model, values_of(row))


def _renew_mac(_mapper: Any, _connection: Any, row: Any) -> None:
    """Make the MAC anew of an object that has changed, if the one that it had fitted what was loaded."""
    state: Any = inspect(row)
    model: type[Base] = type(row)
    names = covered(model)
    if not any(state.attrs[name].history.has_changes() for name in names):
        return
    session = _session_of(row)
    loaded = {name: state.committed_state.get(name, getattr(row, name)) for name in (*names, "mac")}
    checked(session, model, loaded)
    row.mac = mac_of(session, model, values_of(row))


def _session_of(row: Any) -> Session:
    state: Any = inspect(row)
    session: Session = state.session
    return session


for _model in NOT_COVERED:
    event.listen(_model, "load", _check_loaded)
    event.listen(_model, "refresh", _check_loaded)
    event.listen(_model, "before_insert", _add_mac)
    event.listen(_model, "before_update", _renew_mac)
