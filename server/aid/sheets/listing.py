"""Which sheets and which of their rows somebody may see; log who looked."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.aid.area import AidArea
from server.aid.sheets.storage import log_csr
from server.context import AppContext
from server.database.ids import UUID_TEXT
from server.database.models import AidActivity, CsrSheet
from server.errors import Problem


def find(session: Session, hub: AppContext, area: AidArea, sheet_id: str, author: str) -> CsrSheet:
    """Find a sheet that the author uploaded, or that has a row in the area.

    Raises
    ------
    Problem
        `record-unknown`.
    """
    sheet = session.get(CsrSheet, (hub.district, sheet_id)) if UUID_TEXT.fullmatch(sheet_id) else None
    if sheet is None or not (
        area.whole or sheet.brought_by == author or rows_of(session, hub, area, sheet_id)
    ):
        raise Problem("record-unknown")
    return sheet


def sheets(session: Session, hub: AppContext, area: AidArea, author: str) -> list[CsrSheet]:
    """List the sheets that the author may see, newest first."""
    in_area = select(AidActivity.sheet_id).where(AidActivity.district == hub.district, area.of_activities())
    query = (
        select(CsrSheet)
        .where(CsrSheet.district == hub.district)
        .order_by(CsrSheet.brought_at.desc(), CsrSheet.id)
    )
    if not area.whole:
        query = query.where((CsrSheet.brought_by == author) | CsrSheet.id.in_(in_area))
    return list(session.scalars(query.limit(200)))


def rows_of(session: Session, hub: AppContext, area: AidArea, sheet_id: str) -> list[AidActivity]:
    """Load the rows of an imported sheet that lie in an area, in the sheet's order."""
    query = select(AidActivity).where(
        AidActivity.district == hub.district, AidActivity.sheet_id == sheet_id, area.of_activities()
    )
    return list(session.scalars(query.order_by(AidActivity.row)))


def log_viewed(session: Session, hub: AppContext, sheet_id: str, actor: str, now: datetime) -> None:
    """Log that somebody looked at a sheet."""
    log_csr(session, hub, "csr.viewed", actor, now, sheet=sheet_id)
