"""Sessions and permissions: every request passes here before any view reads anything.

Rules kept here:
- Before the second factor nothing is open but the page for it, signing out and the language: a browser is redirected to that
  page, a program gets `second-factor-required`.
- A view names its permission (`permitted`) or is for everybody who is signed in (`signed_in`); without either it is public.
  Which records are in scope is part of each query.
"""

import re
from collections.abc import Callable
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

from flask import Flask, g, redirect, request, session as cookie, url_for

from server import accounts
from server.accounts import SignedIn, forged_rows, sessions
from server.accounts.roles import PERMISSIONS
from server.database.row_macs import RowForged
from server.errors import Problem
from server.web.current import hub, person, utc_now
from server.web.flood_guard import client_network

P = ParamSpec("P")
R = TypeVar("R")

NO_COOKIE: Final = ("sync_api", "carried_api", "observed", "openapi", "tablet_app", "witness_api")
"""Blueprints that do not use the session's cookie."""
BEFORE: Final = frozenset(
    {
        "static",
        "pages.sign_in",
        "pages.sign_out",
        "pages.choose_language",
        "people.invitation",
        "people.sign_in_with_passkey",
    }
)
WAY: Final = {sessions.WAITING: "people.second_factor_code", sessions.BARE: "people.set_up"}
"""The page to which a session is redirected that has not finished signing in."""
_SAFE_PATH: Final = re.compile(r"/(?![/\\])[A-Za-z0-9/_\-?=&.%]*")
_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
"""In this order: most user agents also contain the names further down."""
_SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)


def init_app(app: Flask) -> None:
    """Check every request here."""
    app.before_request(recognise)


def recognise() -> Any:
    """Find the session, and redirect it if signing in is not finished."""
    if request.blueprint in NO_COOKIE or request.endpoint == "static":
        return None  # the cookie is not read, so the answer does not vary with it
    token = cookie.get("token")
    if not token:
        return None
    now = utc_now()
    try:
        with hub().database.reading() as session:
            found = accounts.session_of(session, hub(), token, now)
    except RowForged as forged:
        forged_rows.tell(hub(), forged, now)
        return None
    if found is None:
        return None
    g.signed_in = found
    sessions.seen(hub(), found, now)
    if found.stage == sessions.OPEN:
        g.person = found.person
        return None
    if request.endpoint is None or request.endpoint in BEFORE or request.endpoint == WAY[found.stage]:
        return None
    if is_api():
        raise Problem("second-factor-required")
    return redirect(url_for(WAY[found.stage], next=came_for()))


def is_api() -> bool:
    """Say whether the request is for the API, which never redirects."""
    return request.path.startswith("/api/")


def this_session() -> SignedIn:
    """Return the current session, at whatever stage of signing in."""
    known: SignedIn = g.signed_in
    return known


ANYBODY, PERSON = "anybody", "signed-in"


def needs(view: Callable[..., Any]) -> str:
    """Return what a view requires: a permission of the table, `PERSON` or `ANYBODY`."""
    return str(getattr(view, "needs", ANYBODY))


def signed_in(view: Callable[P, R]) -> Callable[P, R]:
    """Allow only people who are signed in: a browser is redirected to sign in, a program gets 401."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> Any:
        return view(*args, **kwargs) if g.get("person") is not None else _stranger()

    guarded.__dict__["needs"] = PERSON
    return guarded


def permitted(permission: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Allow only people whose role has a permission of the table.

    Raises
    ------
    Problem
        `sign-in-required` for a program that is not signed in, `not-allowed` for another role.
    """
    PERMISSIONS[permission]  # an unknown permission fails at the start, not on a request

    def guard(view: Callable[P, R]) -> Callable[P, R]:
        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> Any:
            if g.get("person") is None:
                return _stranger()
            if not person().may(permission):
                raise Problem("not-allowed")
            return view(*args, **kwargs)

        guarded.__dict__["needs"] = permission
        return guarded

    return guard


def _stranger() -> Any:
    if is_api():
        raise Problem("sign-in-required")
    return redirect(url_for("pages.sign_in", next=came_for()))


def came_for() -> str:
    """Return the requested address, to go back to after signing in; for a POST, which must not be repeated, "/"."""
    return safe_path(request.full_path.rstrip("?")) if request.method == "GET" else "/"


def safe_path(path: str | None) -> str:
    """Return a path of this site; anything that a browser could take for another site becomes the front page."""
    return path if path and _SAFE_PATH.fullmatch(path) else "/"


def let_in(token: str) -> None:
    """Set a new session's token in the cookie and clear everything of an earlier session."""
    cookie.clear()
    cookie["token"] = token


def address() -> str:
    """Return the client's address as rate limits count it."""
    return client_network(request.remote_addr or "")


def browser() -> str:
    """Name the browser that asks in a few words: "Chrome, Android"; "" for one that is not known."""
    agent = request.user_agent.string
    names = [name for sign, name in _BROWSERS if sign in agent][:1]
    return ", ".join(names + [name for sign, name in _SYSTEMS if sign in agent][:1])
