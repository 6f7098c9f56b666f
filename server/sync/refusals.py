"""Refused uploads in the log: so few that nobody can fill it, and in a tablet's name only what that tablet has signed.

- Strangers can send anything. What is not proven to come from a tablet is logged at the office, as of `tablet:unknown`,
  whatever tablet it names.
- Each reason is logged once an hour for each tablet, and once an hour for all senders who prove nothing, by all workers
  together. The metric `posyandu_refusals_total` counts every refusal.
"""

from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from schemas import Malformed
from server import audit
from server.accounts.attempt_limits import counter_row, is_spent
from server.context import AppContext
from server.database.models import RateLimit, table
from server.database.writes import Writes
from server.errors import Problem
from server.sync.tablet_chain import TabletFacts

LIMIT: Final = "refused-upload"


class ProvenRefusal(Problem):
    """An upload that is refused although its tablet is known and has signed it."""

    def __init__(self, tablet: TabletFacts, code: str, **details: Any) -> None:
        super().__init__(code, **details)
        self.tablet = tablet


def log_refusal(hub: AppContext, refusal: Problem | Malformed, size_bytes: int, now: datetime) -> None:
    """Log an upload that was refused as a whole, unless that was logged within the hour."""
    tablet = refusal.tablet if isinstance(refusal, ProvenRefusal) else None
    which = _which(tablet, refusal.code)
    with hub.database.reading() as session:
        if is_spent(session, hub, LIMIT, which, now):
            return
    with suppress(IntegrityError), hub.database.transaction() as session:  # another worker was faster
        session.execute(insert(table(RateLimit)), [counter_row(hub, LIMIT, which, now)])
        stream = audit.post_stream(tablet.post_id) if tablet else audit.OFFICE
        actor = f"tablet:{tablet.id}" if tablet else "tablet:unknown"
        details = {"code": refusal.code, "size_bytes": size_bytes}
        audit.append(session, hub.district, stream, "batch.refused", actor=actor, now=now, details=details)


def is_logged(session: Session, hub: AppContext, tablet: TabletFacts, word: str, now: datetime) -> bool:
    """Say whether it was logged within the hour that a tablet was answered so."""
    return is_spent(session, hub, LIMIT, _which(tablet, word), now)


def log_once(writes: Writes, hub: AppContext, tablet: TabletFacts, word: str, now: datetime) -> None:
    """Note that this is logged now."""
    writes.insert(table(RateLimit), [counter_row(hub, LIMIT, _which(tablet, word), now)])


def _which(tablet: TabletFacts | None, word: str) -> str:
    return f"{tablet.id if tablet else ''}/{word}"
