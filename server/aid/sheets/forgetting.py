"""Cut out of aid what names a person who is erased: activities, names and headers of sheets, rows of waiting files.

What is left of an activity identifies nobody: menu, village, days and sums, which figures count.
"""

import io
from collections.abc import Callable, Collection, Iterable
from datetime import date, datetime, time
from typing import Any

from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.orm import Session

from server.aid.csr_parser import LIMITS
from server.aid.sheets.storage import file_bound, raw_of
from server.aid.typed_text import evidence_of, headers_of, name_of_sheet, seal_headers, title_of
from server.context import AppContext
from server.database.models import AidActivity, CsrSheet, Donor, table
from server.interchange.sheets import Cell, read_rows
from server.interchange.sheets.writer import Value, write_xlsx

InText = Callable[[str], bool]
InRow = Callable[[Iterable[object]], bool]


def forget(session: Session, hub: AppContext, ids: Collection[str], in_text: InText, in_row: InRow) -> None:
    """Cut out what names some children.

    Parameters
    ----------
    in_text, in_row : whether a text, or a row of a sheet, names one of them
    """
    _activities(session, hub, ids, in_text, in_row)
    for sheet in session.scalars(select(CsrSheet).where(CsrSheet.district == hub.district)):
        if in_text(name_of_sheet(hub, sheet)):
            sheet.name_sealed = None
        if sheet.sealed is not None:
            _cut_rows(hub, sheet, in_row)
    with_headers = Donor.district == hub.district, Donor.columns_sealed.is_not(None)
    for donor in session.scalars(select(Donor).where(*with_headers)):
        headers = headers_of(hub, donor)
        left = {name: header for name, header in headers.items() if not in_text(header)}
        if left != headers:
            donor.columns_sealed = seal_headers(hub, donor.id, left)
    session.flush()


def _activities(
    session: Session, hub: AppContext, ids: Collection[str], in_text: InText, in_row: InRow
) -> None:
    c = table(AidActivity).c
    sealed = c.title_sealed, c.evidence_sealed, c.sealed
    rows = session.execute(
        select(c.id, c.child_id, *sealed).where(
            c.district == hub.district, or_(*(column.is_not(None) for column in sealed))
        )
    )
    named = [
        {"the_id": row.id}
        for row in rows
        if row.child_id in ids
        or _is_named(hub, row, in_text)
        or (row.child_id is None and in_row(_values(hub, row)))
    ]
    if named:
        empty: dict[str, Any] = {column.name: None for column in sealed}
        mine = c.district == hub.district, c.id == bindparam("the_id")
        session.connection().execute(update(table(AidActivity)).where(*mine).values(**empty), named)


def _is_named(hub: AppContext, row: Any, in_text: InText) -> bool:
    return in_text(title_of(hub, row)) or in_text(evidence_of(hub, row))


def _values(hub: AppContext, row: Any) -> list[str]:
    return [text for pair in raw_of(hub, row).items() for text in pair]


def _cut_rows(hub: AppContext, sheet: CsrSheet, in_row: InRow) -> None:
    """Store a waiting file again without the rows that name the children; the others keep their numbers."""
    assert sheet.sealed is not None  # noqa: S101  # checked by the caller
    content = hub.vault.unseal_for_district(sheet.sealed, file_bound(hub, sheet.id))
    rows = dict(read_rows(content, LIMITS))
    cut = {number for number, cells in rows.items() if in_row(cells)}
    if not cut:
        return
    width = max(len(cells) for cells in rows.values())
    kept = [
        [_value(cell) for cell in (() if number in cut else rows.get(number, ()))]
        for number in range(1, max(rows) + 1)
    ]
    head, *below = (row + [None] * (width - len(row)) for row in kept)
    target = io.BytesIO()
    write_xlsx(target, ["" if value is None else str(value) for value in head], below)
    sheet.sealed = hub.vault.seal_for_district(target.getvalue(), file_bound(hub, sheet.id))


def _value(cell: Cell) -> Value:
    if isinstance(cell, time) or (isinstance(cell, datetime) and cell.time() != time()):
        return cell.isoformat()
    return date(cell.year, cell.month, cell.day) if isinstance(cell, datetime) else cell
