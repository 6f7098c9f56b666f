"""What the log says of the ledger, held against the ledger: how far each chain of changes had come, and its hash there.

A change hashes the one before it, so the newest hash of a tablet stands for all that it ever sent. The log names it with
every batch and a checkpoint signs the log, so whoever rewrites old changes, hashes and all, is shown by a checkpoint too.
What lies between two such hashes is recomputed by `server.operations.doctor`. What an import wrote is not named one by one.
"""

from collections.abc import Iterator

import orjson
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from server.database.models import AuditEntry, ChangeRow, table

ROWS_AT_ONCE = 5000


def anchors(session: Session, district: str) -> dict[str, dict[int, str]]:
    """Read from the log what hash each actor's change of a number must have."""
    c = table(AuditEntry).c
    named = or_(c.details.contains('"chain":'), c.details.contains('"dots":'))
    query = select(c.actor, c.details).where(c.district == district, named)
    found: dict[str, dict[int, str]] = {}
    for row in session.connection().execute(query.execution_options(yield_per=ROWS_AT_ONCE)):
        for actor, number, hash_ in _named(row.actor, row.details):
            found.setdefault(actor, {})[number] = hash_
    return found


def _named(author: str, text: str) -> Iterator[tuple[str, int, str]]:
    """Give what an entry names; one that was altered may hold anything, and is told by its own hash."""
    try:
        details = orjson.loads(text)
        dots = [*details.get("dots", ())]
        if "chain" in details:
            dots.append([author.removeprefix("tablet:"), *details["chain"]])
        for actor, number, *hashes in dots:
            if hashes:  # older entries name no hash
                yield str(actor), int(number), str(hashes[0])
    except (ValueError, TypeError, AttributeError):
        return


def unheld(session: Session, district: str) -> Iterator[tuple[str, int, int | None]]:
    """Hold the ledger against the log.

    Yields
    ------
    of each actor whose chain is not what the log says: its id, the first number concerned, and the one at which another hash
    shows it; None where the change of that number is gone
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
