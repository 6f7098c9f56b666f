"""Rows whose MAC does not fit (`database.row_macs`): somebody without the keys wrote or changed them. Found, told, ended.

Rules kept here:
- Such a row is logged once a day when it is met, and at most some tens in an hour; `doctor` names them all.
- Ending one only takes something away: a code or a session is deleted, a tablet revoked, an account disabled and without a
  password. Then the row gets a MAC. Nothing accepts such a row as it is.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import orjson
import structlog
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from server import audit
from server.accounts import attempt_limits
from server.context import AppContext
from server.database import row_macs
from server.database.models import Account, Base, Notice, Tablet, TabletPost, Username, table
from server.database.row_macs import NOT_COVERED, SHOWN, RowForged
from server.database.writes import upsert

FORGED_NOTICE: Final = "row-forged"


def forged(session: Session, district: str) -> Iterator[RowForged | None]:
    """Yield each row that should carry a MAC: None if it fits."""
    for model in NOT_COVERED:
        c = table(model).c
        columns = [c[name] for name in (*row_macs.covered(model), "mac")]
        for row in session.execute(select(*columns).where(c.district == district)).mappings():
            values: Mapping[str, Any] = {**row}
            fits = row_macs.fits(session, model, values)
            yield None if fits else RowForged(table(model).name, row_macs.name_of(model, values))


def tell(hub: AppContext, found: RowForged, now: datetime) -> None:
    """Log a row whose MAC does not fit, and warn of it if it is a tablet's, unless that was done within a day."""
    which = f"{found.table}/{found.row}"
    with hub.database.reading() as session:
        if _is_told(session, hub, which, now):
            return
    structlog.get_logger("posyandu.vouching").error("row forged", table=found.table, row=found.row)
    with hub.database.transaction() as session:
        if _is_told(session, hub, which, now):
            return
        attempt_limits.note_failure(session, hub, "forged-row", which, now)
        attempt_limits.note_failure(session, hub, "forged-rows", "all", now)
        details = {"table": found.table, "row": found.row}
        if found.table in ("tablet", "tablet_post"):
            subject = found.row.partition("/")[0]
            row: dict[str, Any] = {"district": hub.district, "kind": FORGED_NOTICE, "subject": subject}
            row |= {"details": orjson.dumps(details).decode(), "raised_at": now}
            upsert(session, table(Notice), [row])
        audit.append(
            session, hub.district, audit.OFFICE, "row.forged", actor="unknown", now=now, details=details
        )


def _is_told(session: Session, hub: AppContext, which: str, now: datetime) -> bool:
    limits = ("forged-row", which), ("forged-rows", "all")
    return any(attempt_limits.is_spent(session, hub, what, place, now) for what, place in limits)


def end_all(session: Session, hub: AppContext, *, actor: str, now: datetime) -> list[RowForged]:
    """End what every such row stands for, and return them. Each is logged."""
    ended = []
    for model in NOT_COVERED:
        c = table(model).c
        query = select(model).where(c.district == hub.district).with_for_update()
        for row in session.scalars(query, execution_options=SHOWN).all():
            values = row_macs.values_of(row)
            if row_macs.fits(session, model, values):
                continue
            found = RowForged(table(model).name, row_macs.name_of(model, values))
            _end(session, row, now)
            details = {"table": found.table, "row": found.row}
            audit.append(
                session, hub.district, audit.OFFICE, "row.ended", actor=actor, now=now, details=details
            )
            ended.append(found)
    if ended:
        told = Notice.district == hub.district, Notice.kind == FORGED_NOTICE
        session.execute(delete(table(Notice)).where(*told))
    return ended


def _end(session: Session, row: Base, now: datetime) -> None:
    if not isinstance(row, Account | Tablet | TabletPost | Username):
        session.delete(row)
        session.flush()
        return
    row_macs.vouch(session, row)
    session.flush()
    if isinstance(row, Account):
        row.disabled_at = now
        row.password_hash, row.password_set_at = "", None
        row.totp_sealed = row.totp_step = None
    elif isinstance(row, Tablet):
        row.revoked_at = now
    elif isinstance(row, TabletPost):
        row.taken_at = now
    session.flush()
