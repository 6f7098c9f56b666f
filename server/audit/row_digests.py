"""Digests of bound rows (`server.database.bound_rows`), as they stand in the entries of the log.

The last entry of a transaction holds, under `bound` in its details, `order` and `rows`: by table a list of [key, digest] of
every group of rows that the transaction wrote. A removed group has a digest too: of no rows. If the transaction wrote to
other streams as well, their last entries hold the order alone.

- A digest is keyed, with a key of the key file: a log that is read elsewhere helps nobody to guess what a row held, also
  after it was erased; and whoever writes to the database without that key cannot make one.
- It covers its place, so that no digest can be used again in another entry.
- `order` tells which of two digests of a group is newer, whatever streams they are in and whatever the clock said: a
  transaction takes a number greater than every one it can see (Lamport's clock), and the row that both wrote, locked until
  the first committed, makes the second see the first's.

Where there is no key file (a restore before it is back) the digest is a plain one, marked so; the check takes it from the
entry of a restore alone.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import ColumnElement, Select, Update, bindparam, func, select, update
from sqlalchemy.orm import Session

from server.database.bound_rows import Key, key_text
from server.database.engine import row_key_of
from server.database.models import AuditStream, table
from server.database.touched_rows import Rows, Touched

BOUND: Final = "bound"
"""The name under which an entry's details hold the digests."""
PLAIN: Final = "-"
"""How a digest without a key begins."""
LENGTH: Final = 22
"""Characters of a digest: 128 bits in base64url."""


class Place(NamedTuple):
    """Where a digest stands: its order, and the entry."""

    order: int
    stream: str
    number: int


def row_digest(key: bytes | None, place: Place, table_name: str, group: str, rows: Rows) -> str:
    """Return the digest of a group of rows.

    Parameters
    ----------
    key : None for a plain digest
    group : its key, as text
    rows : what counts of them
    """
    written = [orjson.dumps(row, option=orjson.OPT_SORT_KEYS).decode() for row in rows]
    message = orjson.dumps([*place, table_name, group, *sorted(written)])
    made = sha256(message).digest() if key is None else hmac.digest(key, message, "sha256")
    text = urlsafe_b64encode(made)[:LENGTH].decode()
    return text if key is not None else f"{PLAIN}{text}"


def digests(
    session: Session, district: str, touched: Touched, stream: str, number: int, streams: Sequence[str]
) -> dict[str, Any]:
    """Digest the rows that a transaction has written, and move its streams to the order of these digests.

    Parameters
    ----------
    stream, number : the entry that will hold them
    streams : all streams of the transaction, which are locked

    Returns
    -------
    dict : what the entry holds of them; empty if no row counts
    """
    written = [
        (one.table.name, groups) for one, groups in touched.read(session.connection(), district) if groups
    ]
    if not written:
        return {}
    # after the rows were read: whoever wrote them before has committed, and its order is seen
    place = Place(_next_order(session, district, touched, streams), stream, number)
    key = row_key_of(session, district)
    found = {name: _digests_of(key, place, name, groups) for name, groups in written}
    return {"order": place.order, "rows": found}


def _digests_of(
    key: bytes | None, place: Place, name: str, groups: Sequence[tuple[Key, Rows]]
) -> list[list[str]]:
    texts = sorted((key_text(group), rows) for group, rows in groups)
    return [[text, row_digest(key, place, name, text, rows)] for text, rows in texts]


def _next_order(session: Session, district: str, touched: Touched, streams: Sequence[str]) -> int:
    if touched.adopting:
        return 0
    connection, given = session.connection(), {"the_district": district, "the_streams": streams}
    newest = _newest_of_streams() if touched.at_home(district) else _newest()
    order = (connection.execute(newest, given).scalar() or 0) + 1
    connection.execute(_move_order(), {**given, "order": order})
    return int(order)


@cache
def _newest() -> Select[tuple[int]]:
    c = table(AuditStream).c
    return select(func.max(c.bound)).where(c.district == bindparam("the_district"))


@cache
def _newest_of_streams() -> Select[tuple[int]]:
    return _newest().where(_is_of_streams())


@cache
def _move_order() -> Update:
    c = table(AuditStream).c
    where = (c.district == bindparam("the_district"), _is_of_streams())
    return update(table(AuditStream)).where(*where).values(bound=bindparam("order"))


def _is_of_streams() -> ColumnElement[bool]:
    return table(AuditStream).c.stream.in_(bindparam("the_streams", expanding=True))
