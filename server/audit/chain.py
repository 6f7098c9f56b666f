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

from sqlalchemy import Select, Update, bindparam, insert, select, update
from sqlalchemy.orm import Session

from server.audit.row_digests import BOUND, digests
from server.config import operating_user
from server.database.engine import UnauditedWrite, write_at_end
from server.database.models import AuditEntry, AuditStream, table
from server.database.touched_rows import Touched, touched
from sync_protocol import canonical, digest

OFFICE = "office"
OPERATOR = "operator"
"""Who runs commands. In the log "operator:budi", under sudo "operator:root/budi"; alone in changes, which tablets get."""
_PENDING: Final = "posyandu_pending_entries"


@dataclass(slots=True)
class _Head:
    """How far a stream has come, that is locked by this transaction."""

    district: str
    stream: str
    entries: int
    hash: str


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
        return _Head(district, stream, found.entries, found.head_hash)
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
    for head in heads:
        given = {"the_district": head.district, "the_stream": head.stream}
        moved = {"entries": head.entries, "head_hash": head.hash}
        session.connection().execute(_move_head(), {**given, **moved})
    return written


def _bind(session: Session, entry: _Entry, rows: Touched, pending: Sequence[_Entry]) -> None:
    """Add the digests of rows to a district's last entry, and their order to the last one of each of its other streams."""
    head = entry.head
    newest = {id(one.head): one for one in pending if one.head.district == head.district}
    number = head.entries + sum(one.head is head for one in pending)
    streams = [one.head.stream for one in newest.values()]
    bound = digests(session, head.district, rows, head.stream, number, streams)
    for one in newest.values() if bound else ():
        one.details[BOUND] = bound if one is entry else {"order": bound["order"]}


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
    """Return `entries` and `head_hash` of a stream, locked until the transaction ends; None if it does not exist yet."""
    given = {"the_district": district, "the_stream": stream}
    return session.connection().execute(_head(), given).one_or_none()


@cache
def _head() -> Select[*tuple[Any, ...]]:
    c = table(AuditStream).c
    where = (c.district == bindparam("the_district"), c.stream == bindparam("the_stream"))
    return select(c.entries, c.head_hash).where(*where).with_for_update()


@cache
def _move_head() -> Update:
    c = table(AuditStream).c
    where = (c.district == bindparam("the_district"), c.stream == bindparam("the_stream"))
    values: dict[str, Any] = {name: bindparam(name) for name in ("entries", "head_hash")}
    return update(table(AuditStream)).where(*where).values(values)


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
