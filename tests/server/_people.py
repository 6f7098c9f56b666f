"""Adds people with a password to a district, for tests of everything that needs somebody signed in."""

from datetime import datetime

from server import accounts
from server.context import AppContext


def add_person(
    hub: AppContext,
    username: str,
    name: str,
    role: str,
    scope_kind: str,
    scope: str,
    password: str,
    now: datetime,
    *,
    actor: str = "operator",
) -> str:
    """Add somebody who may sign in; give the account's id."""
    chosen = accounts.new_password(password, username, name)
    with hub.database.transaction() as session:
        return accounts.add_account(
            session, hub, username, name, role, scope_kind, scope, chosen, actor=actor, now=now
        )
