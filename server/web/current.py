"""Who asks, with what: the installation, the person, what they may see, and the time.

Every view takes these from here.
"""

from datetime import UTC, date, datetime

from flask import current_app, g

from server.accounts import Person
from server.context import AppContext
from server.review import Scope


def hub() -> AppContext:
    """Return the installation that this application serves."""
    opened: AppContext = current_app.extensions["hub"]
    return opened


def person() -> Person:
    """Return who asks. Only behind `signed_in` or `permitted`."""
    known: Person = g.person
    return known


def acting() -> str:
    """Return who asks as the audit log and the changes name them: `account:<id>`."""
    return f"account:{person().account_id}"


def scope() -> Scope:
    """Return what the person who asks may see."""
    return Scope.of(person())


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


def local_today() -> date:
    """Return today's date in the district."""
    return hub().settings.today(utc_now())
