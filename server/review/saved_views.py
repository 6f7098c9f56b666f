"""Filters of the queue that a person has saved under a name."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson
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
    kept = _kept(session, hub, account_id)
    return tuple(View(name, kept[name]) for name in sorted(kept))


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
    kept = _kept(session, hub, account_id, lock=True) | {name: query}
    if len(kept) > MOST_VIEWS:
        raise Problem(
            "change-invalid", reasons=[reason("view", "list-length", None, "0", str(MOST_VIEWS)).wire()]
        )
    _save(session, hub, account_id, kept)
    _log(session, hub, account_id, "view.kept", now)


def forget(session: Session, hub: AppContext, account_id: str, name: str, now: datetime) -> None:
    """Delete a saved filter; deleting it again changes nothing."""
    kept = _kept(session, hub, account_id, lock=True)
    if kept.pop(name, None) is not None:
        _save(session, hub, account_id, kept)
    _log(session, hub, account_id, "view.forgotten", now)


def bound_to(hub: AppContext, account_id: str) -> str:
    """Return what the encryption of an account's views is bound to: names are typed, and may name a person."""
    return f"views/{hub.district}/{account_id}"


def _kept(session: Session, hub: AppContext, account_id: str, *, lock: bool = False) -> dict[str, str]:
    """Load the queries of an account by name."""
    row = session.get(SavedView, (hub.district, account_id), with_for_update=lock)
    if row is None:
        return {}
    kept: dict[str, str] = orjson.loads(hub.vault.unseal_for_district(row.sealed, bound_to(hub, account_id)))
    return kept


def _save(session: Session, hub: AppContext, account_id: str, kept: Mapping[str, str]) -> None:
    sealed = hub.vault.seal_for_district(orjson.dumps(kept), bound_to(hub, account_id))
    row = {"district": hub.district, "account_id": account_id, "sealed": sealed}
    upsert(session, table(SavedView), [row])


def _log(session: Session, hub: AppContext, account_id: str, action: str, now: datetime) -> None:
    audit.append(session, hub.district, audit.OFFICE, action, actor=f"account:{account_id}", now=now)
