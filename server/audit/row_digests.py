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
from hashlib import sha256
from typing import Final, NamedTuple

import orjson
from sqlalchemy.orm import Session

from server.database.bound_rows import Key, key_text
from server.database.engine import row_key_of
from server.database.touched_rows import Rows, Written

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
    written = [orjson.dumps(row).decode() for row in rows]
    message = orjson.dumps([*place, table_name, group, *sorted(written)])
    made = sha256(message).digest() if key is None else hmac.digest(key, message, "sha256")
    text = urlsafe_b64encode(made)[:LENGTH].decode()
    return text if key is not None else f"{PLAIN}{text}"


def digests(
    session: Session, district: str, written: Sequence[Written], place: Place
) -> dict[str, list[list[str]]]:
    """Digest rows that a transaction has written: by table a list of [key, digest]."""
    key = row_key_of(session, district)
    return {
        binding.table.name: _of_table(key, place, binding.table.name, groups) for binding, groups in written
    }


def _of_table(
    key: bytes | None, place: Place, name: str, groups: Sequence[tuple[Key, Rows]]
) -> list[list[str]]:
    texts = sorted((key_text(group), rows) for group, rows in groups)
    return [[text, row_digest(key, place, name, text, rows)] for text, rows in texts]
