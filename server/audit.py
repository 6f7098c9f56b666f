"""The log that supervisors trust: append-only streams, each entry hashed over the one before it.

One stream a post, one for the office. `append` is the only writer, in the transaction of what it tells of; the
database layer refuses to commit a change of data without it. Details never hold a person's data: ids, counts and codes only.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import Select, Update, bindparam, insert, select, update
from sqlalchemy.orm import Session

from server.db import mark_audited
from server.models import AuditEntry, AuditStream, table
from sync_protocol import ProtocolError, digest

OFFICE = "office"


def post_stream(post_id: str) -> str:
    """Name the stream of a post."""
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
    actor : "tablet:<id>", "account:<id>", "job:<name>" or "operator"
    details : JSON values, whole numbers only; no personal data
    """
    given = {"the_district": district, "the_stream": stream}
    head = session.connection().execute(_head(), given).one_or_none()
    number, previous = (head.entries + 1, head.head_hash) if head else (1, "")
    at = now.astimezone(UTC)
    details = dict(details or {})
    hash_ = entry_hash(district, stream, number, at, actor, action, details, previous)
    row = {"entries": number, "head_hash": hash_}
    if head:
        session.connection().execute(_move_head(), {**given, **row})
    else:
        session.connection().execute(
            insert(table(AuditStream)), [{"district": district, "stream": stream, **row}]
        )
    entry = {
        "district": district,
        "stream": stream,
        "number": number,
        "at": at,
        "actor": actor,
        "action": action,
        "details": json.dumps(details, sort_keys=True),
        "hash": hash_,
    }
    session.connection().execute(insert(table(AuditEntry)), [entry])
    mark_audited(session)


@cache
def _head() -> Select[*tuple[Any, ...]]:
    c = table(AuditStream).c
    where = (c.district == bindparam("the_district"), c.stream == bindparam("the_stream"))
    return select(c.entries, c.head_hash).where(*where).with_for_update()


@cache
def _move_head() -> Update:
    c = table(AuditStream).c
    where = (c.district == bindparam("the_district"), c.stream == bindparam("the_stream"))
    values: dict[str, Any] = {"entries": bindparam("entries"), "head_hash": bindparam("head_hash")}
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
    """Give the hash that chains an entry to the one before."""
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


@dataclass(frozen=True, slots=True)
class Broken:
    """The first entry of a stream that does not fit the one before it, or the head that does not fit the last entry."""

    stream: str
    number: int
    what: str


def verify(session: Session, district: str) -> tuple[int, list[Broken]]:
    """Recompute every stream of a district.

    Returns
    -------
    (entries read, first break of each broken stream)
    """
    count, broken = 0, []
    heads = session.execute(
        select(AuditStream.stream, AuditStream.entries, AuditStream.head_hash)
        .where(AuditStream.district == district)
        .order_by(AuditStream.stream)
    ).all()
    for stream, entries, head_hash in heads:
        read, found = _verify_stream(session, district, stream, entries, head_hash)
        count += read
        broken += [found] if found else []
    return count, broken


def _verify_stream(
    session: Session, district: str, stream: str, entries: int, head_hash: str
) -> tuple[int, Broken | None]:
    previous, number = "", 0
    statement = (
        select(
            AuditEntry.number,
            AuditEntry.at,
            AuditEntry.actor,
            AuditEntry.action,
            AuditEntry.details,
            AuditEntry.hash,
        )
        .where(AuditEntry.district == district, AuditEntry.stream == stream)
        .order_by(AuditEntry.number)
        .execution_options(yield_per=1000)
    )
    with session.execute(statement) as rows:
        for row in rows:
            number += 1
            if row.number != number or number > entries:
                return number, Broken(stream, number, "removed or inserted")
            if not _fits(district, stream, row, previous):
                return number, Broken(stream, number, "altered")
            previous = row.hash
    if number != entries or previous != head_hash:
        return number, Broken(stream, number + 1, "cut off")
    return number, None


def _fits(district: str, stream: str, row: Any, previous: str) -> bool:
    """Say whether an entry has the hash that it should; details that are no longer ours have none."""
    try:
        details = json.loads(row.details)
        made = entry_hash(district, stream, row.number, row.at, row.actor, row.action, details, previous)
    except (ValueError, TypeError, ProtocolError):
        return False
    return bool(made == row.hash)
