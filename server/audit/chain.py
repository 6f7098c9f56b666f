"""Appends to the log: streams whose entries are each hashed over the one before.

One stream for each post, one for the office. `append` is the only writer, in the transaction that the entry describes; the
database layer refuses to commit a change of data without an entry. Details hold ids, counts and codes, never personal data.
They are stored in canonical form, so that verification can hash what is stored.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import Select, Update, bindparam, insert, select, update
from sqlalchemy.orm import Session

from server.config import operating_user
from server.database.engine import mark_audited
from server.database.models import AuditEntry, AuditStream, table
from sync_protocol import canonical, digest

OFFICE = "office"
OPERATOR = "operator"
"""Who runs commands. In the log "operator:budi", under sudo "operator:root/budi"; alone in changes, which tablets get."""


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
    head = lock_head(session, district, stream)
    number, previous = (head.entries + 1, head.head_hash) if head else (1, "")
    at = now.astimezone(UTC)
    details = dict(details or {})
    actor = f"{OPERATOR}:{operating_user()}" if actor == OPERATOR else actor
    hash_ = entry_hash(district, stream, number, at, actor, action, details, previous)
    row = {"entries": number, "head_hash": hash_}
    if head:
        given = {"the_district": district, "the_stream": stream}
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
        "details": canonical(details).decode(),
        "hash": hash_,
    }
    session.connection().execute(insert(table(AuditEntry)), [entry])
    mark_audited(session, entry)


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
