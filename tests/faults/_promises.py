"""What must hold after every fault: what a tablet was told is there, nothing is there twice, all agree, the log is whole.

Hides how a promise is looked up: in the tables, behind the server's back, and through the API, as the tablet would.
"""

import random
from collections.abc import Sequence

from sqlalchemy import select

from server.database.models import Batch, ChangeRow
from server.sync.receipts import without_reasons
from tests.faults._running import HttpTablet
from tests.server._district import District

Names = dict[tuple[str, int], str]
SAMPLE = 10
"""Of the receipts that were read back before, those that are read back once more."""


def held(district: District) -> Names:
    """Give the hash of every change in the ledger, by dot; a dot is there once (it is the key)."""
    rows = district.rows(select(ChangeRow.actor, ChangeRow.counter, ChangeRow.hash))
    return {(row.actor, row.counter): row.hash for row in rows}


def written(*tablets: HttpTablet) -> Names:
    """Give the hash of every change that was ever saved on a tablet, by dot."""
    logs = [entry.change for tablet in tablets for entry in tablet.replica.log]
    return {(change.dot.actor, change.dot.counter): change.hash for change in logs}


def acknowledged(*tablets: HttpTablet) -> Names:
    """Give the hash of every change for which a tablet has a receipt, by dot."""
    logs = [entry for tablet in tablets for entry in tablet.replica.log if entry.item is not None]
    return {(entry.change.dot.actor, entry.change.dot.counter): entry.change.hash for entry in logs}


def lost(district: District, *tablets: HttpTablet) -> set[tuple[str, int]]:
    """List the acknowledged changes that are not in the ledger, or not as they were written."""
    there = held(district)
    return {dot for dot, hash_ in acknowledged(*tablets).items() if there.get(dot) != hash_}


def changed_receipts(district: District, *tablets: HttpTablet) -> set[str]:
    """List the batches whose receipt, as the tables hold it, is gone or other than the tablet was given; reasons apart:
    these stand with the changes, and `read_back` compares the whole."""
    kept = {row.batch_id: row.receipt for row in district.rows(select(Batch.batch_id, Batch.receipt))}
    given = {batch: receipt for tablet in tablets for batch, (_, receipt) in tablet.receipts.items()}
    return {batch for batch, receipt in given.items() if kept.get(batch) != without_reasons(receipt)}


def read_back(tablets: Sequence[HttpTablet], done: set[str], luck: random.Random | None) -> int:
    """Send again every answered batch that is not in `done`, and some that are (all, without `luck`).

    `HttpTablet` fails when one is answered otherwise than before.

    Returns
    -------
    int : how many receipts were asked for
    """
    count = 0
    for tablet in tablets:
        old = [batch for batch in tablet.receipts if batch in done]
        new = [batch for batch in tablet.receipts if batch not in done]
        for batch in new + (old if luck is None else luck.sample(old, min(SAMPLE, len(old)))):
            before = len(tablet.receipts)
            tablet.send_raw(tablet.receipts[batch][0])
            assert len(tablet.receipts) == before
            count += 1
        done.update(new)
    return count
