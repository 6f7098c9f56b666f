"""How receipts are stored, and given again.

A receipt is stored without the reasons of quarantined changes: these quote values (a mistyped birth date, a weight), and are
kept with the changes, sealed (`children.ledger`). The receipt that is given again is put together from both: the very bytes
that were sent, until a child of theirs is erased, whose changes then say only that (docs/adr/0043).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from server.children import ledger
from server.context import AppContext
from server.database.models import ChangeRow, table
from sync_protocol import Outcome, Receipt, ReceiptStatus


@dataclass(frozen=True, slots=True)
class IssuedReceipt:
    """A receipt as it is sent (`json`), what it says, and whether it was given before."""

    json: bytes
    status: ReceiptStatus
    outcomes: Mapping[str, int]
    given_before: bool = False

    @classmethod
    def of(cls, receipt: Receipt) -> "IssuedReceipt":
        outcomes = Counter(item.outcome.value for item in receipt.items)
        return cls(orjson.dumps(receipt.wire()), receipt.status, outcomes)

    @classmethod
    def given_again(
        cls, session: Session, hub: AppContext, tablet_id: str, kept: bytes, outcomes: Mapping[str, int]
    ) -> "IssuedReceipt":
        """Return the receipt of a batch that was accepted before, from what is stored of it."""
        if Outcome.QUARANTINED.value in outcomes:
            kept = _with_reasons(session, hub, tablet_id, kept)
        return cls(kept, ReceiptStatus.ACCEPTED, outcomes, given_before=True)

    @property
    def kept(self) -> bytes:
        """What is stored of it."""
        return without_reasons(self.json) if Outcome.QUARANTINED.value in self.outcomes else self.json


def without_reasons(receipt: bytes) -> bytes:
    """Cut the reasons out of a receipt."""
    wire = orjson.loads(receipt)
    return orjson.dumps({**wire, "items": [item[:2] for item in wire["items"]]})


def _with_reasons(session: Session, hub: AppContext, tablet_id: str, kept: bytes) -> bytes:
    """Put the reasons of the quarantined changes back into a stored receipt."""
    wire = orjson.loads(kept)
    quarantined = [item[0] for item in wire["items"] if item[1] == Outcome.QUARANTINED.value]
    c = table(ChangeRow).c
    rows = session.execute(
        select(c.counter, c.hash, c.content, c.sealed, c.reasons).where(
            *(c.district == hub.district, c.actor == tablet_id),
            c.counter.between(min(quarantined), max(quarantined)),
        )
    )
    why = {row.counter: ledger.quarantine_reasons(hub.district, row, hub.vault) for row in rows}
    items = [[*item[:2], why[item[0]]] if why.get(item[0]) else item[:2] for item in wire["items"]]
    return orjson.dumps({**wire, "items": items})
