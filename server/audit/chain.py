"""Appends to the log: streams whose entries are each hashed over the one before.

One stream for each post, one for the office. `append` is the only writer, in the transaction that the entry describes; the
database layer refuses to commit a change of data without an entry. Details hold ids, counts and codes, never personal data.
They are stored in canonical form, so that verification can hash what is stored.

A transaction's entries are hashed and written at its end, when all its rows are: the last one of a district holds the
digests of the bound rows (`row_digests`). So a transaction does not find its own entries when it reads the log.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Update,
    bindparam,
    func,
    insert,
    inspect,
    null,
    select,
    update,
)
from sqlalchemy.orm import Session

from server.audit.row_digests import BOUND, Place, digests
from server.config import operating_user
from server.database.engine import UnauditedWrite, write_at_end
from server.database.models import AuditEntry, AuditStream, table
from server.database.touched_rows import Touched, touched
from sync_protocol import canonical, digest

OFFICE = "office"
OPERATOR = "operator"
"""Who runs commands. In the log "operator:budi", under sudo "operator:root/budi"; alone in changes, which tablets get."""
_PENDING: Final = "posyandu_pending_entries"
_ORDERS: Final = "posyandu_orders"


@dataclass(slots=True)
class _Head:
    """How far a stream has come, that is locked by this transaction."""

    district: str
    stream: str
    entries: int
    hash: str
    bound: int = 0


@dataclass(frozen=True, slots=True)
class _Entry:
    head: _Head
    at: datetime
    actor: str
    action: str
    details: dict[str, Any]


def post_stream(post_id: str) -> str:
    """Return the name of a post's stream."""
    return f"post/{post_id}"


def append(
    session: Session,
    district: str,
    stream: str,
    action: str,
    *,
    actor: str,
    now: datetime,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Append an entry; the stream's row is locked until the transaction ends.

    Parameters
    ----------
    stream : `post_stream(id)` or OFFICE
    action : dotted word such as "batch.accepted"
    actor : "tablet:<id>", "account:<id>", "job:<name>" or OPERATOR, which is logged with the operating-system user
    details : JSON values, whole numbers only; no personal data
    """
    if _PENDING not in session.info:
        session.info[_PENDING] = []
        write_at_end(session, _write)
    actor = f"{OPERATOR}:{operating_user()}" if actor == OPERATOR else actor
    pending: list[_Entry] = session.info[_PENDING]
    head = next((e.head for e in pending if (e.head.district, e.head.stream) == (district, stream)), None)
    head = head or _locked(session, district, stream)
    pending.append(_Entry(head, now.astimezone(UTC), actor, action, dict(details or {})))


def _locked(session: Session, district: str, stream: str) -> _Head:
    found = lock_head(session, district, stream)
    if found is not None:
        return _Head(district, stream, found.entries, found.head_hash, found.bound or 0)
    row = {"district": district, "stream": stream, "entries": 0, "head_hash": ""}
    session.connection().execute(insert(table(AuditStream)), [row])
    return _Head(district, stream, 0, "")


def _write(session: Session) -> Sequence[Mapping[str, Any]]:
    """Hash and write a transaction's entries, with the digests of the rows that it has written."""
    pending: list[_Entry] = session.info.pop(_PENDING)
    heads = list({id(entry.head): entry.head for entry in pending}.values())
    rows = touched(session.connection())
    last = {entry.head.district: entry for entry in pending}
    if left := rows.districts() - last.keys():
        raise UnauditedWrite(
            f"rows of {', '.join(sorted(left))} were written without an entry of that district"
        )
    for entry in last.values():
        _bind(session, entry, rows, pending)
    written = [_chained(entry) for entry in pending]
    session.connection().execute(insert(table(AuditEntry)), written)
    orders = _has_orders(session.connection())
    for head in heads:
        given: dict[str, Any] = {"the_district": head.district, "the_stream": head.stream}
        given |= {"entries": head.entries, "head_hash": head.hash}
        given |= {"bound": head.bound or None} if orders else {}
        session.connection().execute(_move_head(), given)
    return written


def _bind(session: Session, entry: _Entry, rows: Touched, pending: Sequence[_Entry]) -> None:
    """Add the digests of rows to a district's last entry, and their order to the last one of each of its other streams."""
    head = entry.head
    written = rows.read(session.connection(), head.district)
    if not written:
        return
    newest = {id(one.head): one for one in pending if one.head.district == head.district}
    # after the rows were read: whoever wrote them before has committed, and its order is seen
    order = _next_order(session, rows, [one.head for one in newest.values()])
    number = head.entries + sum(one.head is head for one in pending)
    found = digests(session, head.district, written, Place(order, head.stream, number))
    for one in newest.values():
        one.details[BOUND] = {"order": order, "rows": found} if one is entry else {"order": order}
        one.head.bound = max(one.head.bound, order)


def _next_order(session: Session, rows: Touched, heads: Sequence[_Head]) -> int:
    """Return the order of the digests of a transaction with some streams, which are locked, of one district."""
    if rows.adopting:
        return 0
    here, district = max(head.bound for head in heads), heads[0].district
    if rows.at_home(district):
        return here + 1
    newest = session.connection().execute(_newest_order(), {"the_district": district}).scalar()
    return max(here, newest or 0) + 1


def _chained(entry: _Entry) -> dict[str, Any]:
    """Move a stream's head by an entry; return its row."""
    head = entry.head
    number = head.entries + 1
    hash_ = entry_hash(
        *(head.district, head.stream, number, entry.at, entry.actor, entry.action, entry.details, head.hash)
    )
    head.entries, head.hash = number, hash_
    return {
        "district": head.district,
        "stream": head.stream,
        "number": number,
        "at": entry.at,
        "actor": entry.actor,
        "action": entry.action,
        "details": canonical(entry.details).decode(),
        "hash": hash_,
    }


def lock_head(session: Session, district: str, stream: str) -> Any:
    """Return `entries`, `head_hash` and `bound` of a stream, locked until the transaction ends; None if there is none."""
    connection = session.connection()
    given = {"the_district": district, "the_stream": stream}
    return connection.execute(_head(orders=_has_orders(connection)), given).one_or_none()


def _has_orders(connection: Connection) -> bool:
    """Say whether streams have orders: a backup may be made, and logged, before an older database is migrated."""
    if _ORDERS not in connection.info:
        columns = inspect(connection).get_columns(AuditStream.__tablename__)
        connection.info[_ORDERS] = any(column["name"] == "bound" for column in columns)
    return bool(connection.info[_ORDERS])


@cache
def _head(*, orders: bool) -> Select[*tuple[Any, ...]]:
    c = table(AuditStream).c
    bound = c.bound if orders else null().label("bound")
    return select(c.entries, c.head_hash, bound).where(*_is_stream()).with_for_update()


@cache
def _newest_order() -> Select[*tuple[Any, ...]]:
    c = table(AuditStream).c
    return select(func.max(c.bound)).where(c.district == bindparam("the_district"))


@cache
def _move_head() -> Update:
    """Update a stream's row; SQLAlchemy sets the columns that are given when it is executed."""
    return update(table(AuditStream)).where(*_is_stream())


def _is_stream() -> tuple[ColumnElement[bool], ...]:
    c = table(AuditStream).c
    return c.district == bindparam("the_district"), c.stream == bindparam("the_stream")


def entry_hash(
    district: str,
    stream: str,
    number: int,
    at: datetime,
    actor: str,
    action: str,
    details: Mapping[str, Any],
    previous: str,
) -> str:
    """Return the hash that chains an entry to the one before."""
    return digest(
        {
            "district": district,
            "stream": stream,
            "number": number,
            "at": at.astimezone(UTC).isoformat(timespec="microseconds"),
            "actor": actor,
            "action": action,
            "details": dict(details),
            "previous": previous,
        }
    )
