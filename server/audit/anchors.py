"""Compares the ledger with the log: how far each chain of changes had come, and its hash there.

A change hashes the one before it, so the newest hash of a tablet covers all that it ever sent. The log holds that hash with
every batch, and a checkpoint signs the log: so old changes that are rewritten with their hashes no longer fit a checkpoint.
What lies between two such hashes is recomputed by `server.operations.doctor`. Changes of an import are not logged singly.
"""

from collections.abc import Iterator

import orjson
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from server.database.models import AuditEntry, ChangeRow, table

ROWS_AT_ONCE = 5000


def anchors(session: Session, district: str) -> dict[str, dict[int, str]]:
    """Read from the log the hash that a change of each actor and counter must have."""
    c = table(AuditEntry).c
    named = or_(c.details.contains('"chain":'), c.details.contains('"dots":'))
    query = select(c.actor, c.details).where(c.district == district, named)
    found: dict[str, dict[int, str]] = {}
    for row in session.connection().execute(query.execution_options(yield_per=ROWS_AT_ONCE)):
        for actor, number, hash_ in _named(row.actor, row.details):
            found.setdefault(actor, {})[number] = hash_
    return found


def _named(author: str, text: str) -> Iterator[tuple[str, int, str]]:
    """Yield what an entry names; an altered entry may hold anything, and is detected by its own hash."""
    try:
        details = orjson.loads(text)
        dots = [*details.get("dots", ())]
        if "chain" in details:
            dots.append([author.removeprefix("tablet:"), *details["chain"]])
        for actor, number, *hashes in dots:
            if hashes:  # older entries hold no hash
                yield str(actor), int(number), str(hashes[0])
    except (ValueError, TypeError, AttributeError):
        return


def unheld(session: Session, district: str) -> Iterator[tuple[str, int, int | None]]:
    """Compare the ledger with the log.

    Yields
    ------
    for each actor whose chain differs from the log: its id, the first counter concerned, and the counter at which another
    hash shows it; None if that change is missing
    """
    wanted = anchors(session, district)
    held: dict[str, dict[int, str]] = {actor: {} for actor in wanted}
    c = table(ChangeRow).c
    query = select(c.actor, c.counter, c.hash).where(c.district == district)
    for row in session.connection().execute(query.execution_options(yield_per=ROWS_AT_ONCE)):
        if row.counter in wanted.get(row.actor, ()):
            held[row.actor][row.counter] = row.hash
    for actor, marks in sorted(wanted.items()):
        good = 0
        for number, hash_ in sorted(marks.items()):
            if number not in held[actor]:
                yield actor, number, None
                break
            if held[actor][number] != hash_:
                yield actor, good + 1, number
                break
            good = number
