"""Compares the ledger with the log: how far each chain of changes had come, and its hash there.

A change hashes the one before it, so the newest hash of a tablet covers all that it ever sent. The log holds that hash with
every batch, and a checkpoint signs the log: so old changes that are rewritten with their hashes no longer fit a checkpoint.
What lies between two such hashes is recomputed by `server.operations.doctor`. Changes of an import are not logged singly.

The log is read in blocks, and each block is looked up in the ledger: what is in memory does not grow with the log.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import orjson
from sqlalchemy import or_, select, tuple_
from sqlalchemy.orm import Session

from server.database.models import AuditEntry, ChangeRow, table

ROWS_AT_ONCE = 1000


class Anchor(NamedTuple):
    """The hash that a change has by the log."""

    actor: str
    counter: int
    hash: str


class Misfit(NamedTuple):
    """An anchor that does not fit the ledger, because the change has another hash, or is missing."""

    counter: int
    missing: bool


def unheld(session: Session, district: str) -> Iterator[tuple[str, int, int | None]]:
    """Compare the ledger with the log.

    Yields
    ------
    for each actor whose chain differs from the log: its id, the first counter concerned, and the counter at which another
    hash shows it; None if that change is missing
    """
    first: dict[str, Misfit] = {}
    for block in _anchors(session, district):
        for actor, misfit in _misfits(session, district, block):
            first[actor] = min(misfit, first.get(actor, misfit))
    good = _last_before(session, district, first) if first else {}
    for actor, (counter, missing) in sorted(first.items()):
        yield (actor, counter, None) if missing else (actor, good.get(actor, 0) + 1, counter)


def _anchors(session: Session, district: str) -> Iterator[Sequence[Anchor]]:
    """Read the anchors in the log, in blocks."""
    c = table(AuditEntry).c
    named = or_(c.details.contains('"chain":'), c.details.contains('"dots":'))
    query = select(c.actor, c.details).where(c.district == district, named)
    with session.connection().execute(query.execution_options(yield_per=ROWS_AT_ONCE)) as rows:
        for some in rows.partitions():
            yield [anchor for row in some for anchor in _named(row.actor, row.details)]


def _named(author: str, text: str) -> Iterator[Anchor]:
    """Yield what an entry names; an altered entry may hold anything, and is detected by its own hash."""
    try:
        details = orjson.loads(text)
        dots = [*details.get("dots", ())]
        if "chain" in details:
            dots.append([author.removeprefix("tablet:"), *details["chain"]])
        for actor, number, *hashes in dots:
            if hashes:  # older entries hold no hash
                yield Anchor(str(actor), int(number), str(hashes[0]))
    except (ValueError, TypeError, AttributeError):
        return


def _misfits(session: Session, district: str, block: Sequence[Anchor]) -> Iterator[tuple[str, Misfit]]:
    """Compare a block of anchors with the ledger."""
    for start in range(0, len(block), ROWS_AT_ONCE):
        some = block[start : start + ROWS_AT_ONCE]
        held = _hashes(session, district, {anchor[:2] for anchor in some})
        for actor, counter, hash_ in some:
            if held.get((actor, counter)) != hash_:
                yield actor, Misfit(counter, missing=(actor, counter) not in held)


def _hashes(session: Session, district: str, dots: Collection[tuple[str, int]]) -> dict[tuple[str, int], str]:
    c = table(ChangeRow).c
    query = select(c.actor, c.counter, c.hash).where(
        c.district == district, tuple_(c.actor, c.counter).in_(sorted(dots))
    )
    return {(row.actor, row.counter): row.hash for row in session.connection().execute(query)}


def _last_before(session: Session, district: str, first: dict[str, Misfit]) -> dict[str, int]:
    """Return the last counter before each actor's first misfit at which the log has a hash: it fits."""
    last: dict[str, int] = {}
    for block in _anchors(session, district):
        for actor, counter, _ in block:
            if actor in first and counter < first[actor].counter:
                last[actor] = max(counter, last.get(actor, 0))
    return last
