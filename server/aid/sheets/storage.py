"""The encrypted parts of a sheet, what each encryption is bound to, and the log entries of CSR sheets."""

from datetime import datetime
from typing import Any

import orjson
from sqlalchemy.orm import Session

from server import audit
from server.aid.csr_parser import CsrSheet as Sheet, open_sheet
from server.context import AppContext
from server.database.models import AidActivity, CsrSheet
from server.errors import Problem


def file_bound(hub: AppContext, sheet_id: str) -> str:
    """Give the context to which a sheet's encryption is bound."""
    return f"csr/{hub.district}/{sheet_id}"


def row_bound(hub: AppContext, activity_id: str) -> str:
    """Give the context to which the encryption of a sheet's row is bound."""
    return f"activity/{hub.district}/{activity_id}"


def open_stored(hub: AppContext, sheet: CsrSheet) -> Sheet:
    """Decrypt and read the file of a sheet; `record-unknown` once it is imported, when the file is gone."""
    if sheet.sealed is None:
        raise Problem("record-unknown")
    return open_sheet(hub.vault.unseal_for_district(sheet.sealed, file_bound(hub, sheet.id)))


def raw_of(hub: AppContext, row: AidActivity) -> dict[str, str]:
    """Decrypt what a row of a sheet held, by header."""
    if row.sealed is None:
        return {}
    raw: dict[str, str] = orjson.loads(hub.vault.unseal_for_district(row.sealed, row_bound(hub, row.id)))
    return raw


def log_csr(
    session: Session, hub: AppContext, action: str, author: str, now: datetime, **details: Any
) -> None:
    audit.append(session, hub.district, audit.OFFICE, action, actor=author, now=now, details=details)
