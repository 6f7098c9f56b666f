"""Filters of the queue that a person has saved under a name."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from schemas.words import reason
from server import audit
from server.context import AppContext
from server.database.models import SavedView, table
from server.database.writes import upsert
from server.errors import Problem

MOST_VIEWS: Final = 20
MOST_LETTERS: Final = 40


@dataclass(frozen=True, slots=True)
class View:
    """A saved filter: its name, and the query string of the queue's address."""

    name: str
    query: str


def views(session: Session, hub: AppContext, account_id: str) -> tuple[View, ...]:
    """Load the saved filters of an account, by name."""
    mine = SavedView.district == hub.district, SavedView.account_id == account_id
    rows = session.execute(select(SavedView.name, SavedView.query).where(*mine).order_by(SavedView.name))
    return tuple(View(row.name, row.query) for row in rows)


def keep(session: Session, hub: AppContext, account_id: str, name: str, query: str, now: datetime) -> None:
    """Save a filter under a name, in place of one of that name.

    Raises
    ------
    Problem
        `change-invalid`: the name is empty, too long or has invisible characters, or there are too many.
    """
    name = " ".join(name.split())
    if not 1 <= len(name) <= MOST_LETTERS:
        raise Problem(
            "change-invalid", reasons=[reason("view", "text-length", None, "1", str(MOST_LETTERS)).wire()]
        )
    if not name.isprintable():
        raise Problem("change-invalid", reasons=[reason("view", "invisible-character", None).wire()])
    mine = SavedView.district == hub.district, SavedView.account_id == account_id
    others = session.execute(
        select(func.count()).select_from(SavedView).where(*mine, SavedView.name != name)
    ).scalar_one()
    if others >= MOST_VIEWS:
        raise Problem(
            "change-invalid", reasons=[reason("view", "list-length", None, "0", str(MOST_VIEWS)).wire()]
        )
    row = {"district": hub.district, "account_id": account_id, "name": name, "query": query}
    upsert(session, table(SavedView), [row])
    _log(session, hub, account_id, "view.kept", now)


def forget(session: Session, hub: AppContext, account_id: str, name: str, now: datetime) -> None:
    """Delete a saved filter; deleting it again changes nothing."""
    session.execute(
        delete(table(SavedView)).where(
            SavedView.district == hub.district, SavedView.account_id == account_id, SavedView.name == name
        )
    )
    _log(session, hub, account_id, "view.forgotten", now)


def _log(session: Session, hub: AppContext, account_id: str, action: str, now: datetime) -> None:
    audit.append(session, hub.district, audit.OFFICE, action, actor=f"account:{account_id}", now=now)
