"""The first MACs (`database.row_macs`) of rows that have none.

Rules kept here:
- Rows from before 0022 have no MAC. They get one at the upgrade, and when an older backup is restored; both only with the
  keys. A file in the data directory says that it is to be done, and that it was: nobody who can only write to the database
  brings it about again. It is logged.
- Digests of tokens and codes from before were not keyed: sessions, open invitations and open enrolment codes end then.
"""

import os
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import delete, inspect, select
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from server import audit
from server.accounts.people import end_all_invitations
from server.accounts.tablets import end_all_codes
from server.config import Settings
from server.context import AppContext
from server.database import row_macs
from server.database.models import Account, Base, UserSession, table
from server.database.row_macs import NOT_COVERED, SHOWN

TO_DO, DONE = "to do", "done"


# -- the first MACs -------------------------------------------------------------------------------


def lacks_macs(connection: Connection) -> bool:
    """Say whether a database has rows of a release without MACs; False for an empty one."""
    looked, name = inspect(connection), table(Account).name
    return looked.has_table(name) and "mac" not in {column["name"] for column in looked.get_columns(name)}


def note_upgrade(settings: Settings, *, without: bool) -> None:
    """Before a database is migrated: note that its rows must get MACs, if that was never done here.

    Parameters
    ----------
    without : as `lacks_macs` says
    """
    if without and _noted(settings) != DONE:
        note(settings, TO_DO)


def finish_upgrade(hub: AppContext, now: datetime) -> None:
    """After it: give its rows their MACs if that was noted, and note that it was done."""
    if is_to_do(hub.settings):
        with hub.database.transaction() as session:
            give_first_macs(session, hub.district, now)
    if _noted(hub.settings) != DONE:
        note(hub.settings, DONE)


def give_first_macs(session: Session, district: str, now: datetime) -> None:
    """Give the rows of a district that have no MAC theirs; end what has a digest that was not keyed."""
    sessions = session.execute(delete(table(UserSession)).where(UserSession.district == district))
    given = {model.__tablename__: _vouch_for(session, model, district) for model in NOT_COVERED}
    ended = {
        "session": int(getattr(sessions, "rowcount", 0)),
        "invitation": end_all_invitations(session, district, now),
        "enrolment_code": end_all_codes(session, district, now),
    }
    details: dict[str, Any] = {"rows": given, "ended": ended}
    audit.append(session, district, audit.OFFICE, "rows.vouched", actor="operator", now=now, details=details)


def _vouch_for(session: Session, model: type[Base], district: str) -> int:
    c = table(model).c
    query = select(model).where(c.district == district, c.mac.is_(None)).with_for_update()
    rows = session.scalars(query, execution_options=SHOWN).all()
    for row in rows:
        row_macs.vouch(session, row)
    session.flush()
    return len(rows)


def note(settings: Settings, what: str) -> None:
    """Note that the first MACs are to be made, or were; it is on the disk afterwards."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    part = _file(settings).with_suffix(f".{os.getpid()}.part")
    with part.open("w") as file:
        file.write(f"{what}\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(_file(settings))


def is_to_do(settings: Settings) -> bool:
    """Say whether it is noted that the first MACs are to be made."""
    return _noted(settings) == TO_DO


def _noted(settings: Settings) -> str:
    try:
        return _file(settings).read_text().strip()
    except FileNotFoundError:
        return ""


def _file(settings: Settings) -> Path:
    return settings.data_dir / f"row-macs-{settings.district}"
