"""The display names of authors who have an account."""

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from server.context import AppContext
from server.database.engine import among
from server.database.ids import UUID_TEXT
from server.database.models import Account, table

ACCOUNT: Final = "account:"
"""Prefix of an author who has an account, in changes and in the log."""


def people(session: Session, hub: AppContext, authors: Iterable[str | None]) -> dict[str, str]:
    """Give the display names of accounts, by author ("account:<id>"); other authors have none."""
    ids = {author.removeprefix(ACCOUNT) for author in authors if author and author.startswith(ACCOUNT)}
    known = sorted(id_ for id_ in ids if UUID_TEXT.fullmatch(id_))
    if not known:
        return {}
    rows = session.connection().execute(_accounts(), {"district": hub.district, "among": known})
    return {f"{ACCOUNT}{row.id}": row.display_name for row in rows}


@cache
def _accounts() -> Select[*tuple[Any, ...]]:
    c = table(Account).c
    return select(c.id, c.display_name).where(c.district == bindparam("district"), among(c.id))
