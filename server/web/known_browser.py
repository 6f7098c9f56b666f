"""Browsers with which somebody has signed in before, by a signed cookie.

A wrong password counts for the address that it comes from. Colleagues share an address, and one of them could use it up for
all. So a browser that has once given a person's right password has limits of its own for that person. The cookie opens
nothing, and holds no name: keyed digests of the names, and a random id.
"""

import secrets
from typing import Final

from flask import request
from itsdangerous import BadData, URLSafeSerializer
from werkzeug.wrappers import Response

from server.accounts.people import normal_username
from server.web.current import hub

COOKIE: Final = "known"
COOKIE_DAYS: Final = 365
MOST_PEOPLE: Final = 8
"""Of one browser; the newest are kept."""


def known_as(username: str) -> str:
    """Return the id of this browser if the person has signed in with it before; else ""."""
    browser, names = _read()
    return browser if _digest(username) in names else ""


def remember(response: Response, username: str) -> None:
    """Let the browser tell that this person has signed in with it."""
    browser, names = _read()
    name = _digest(username)
    kept = [name, *(other for other in names if other != name)][:MOST_PEOPLE]
    settings = hub().settings
    response.set_cookie(
        settings.cookie(COOKIE),
        _signer().dumps([browser or secrets.token_urlsafe(16), kept]),
        max_age=COOKIE_DAYS * 86_400,
        secure=settings.cookie_secure,
        httponly=True,
        samesite="Lax",
    )


def _read() -> tuple[str, list[str]]:
    """Return the browser's id and the digests of its people; nothing of a cookie that we have not signed."""
    try:
        browser, names = _signer().loads(request.cookies.get(hub().settings.cookie(COOKIE), ""))
    except BadData:
        return "", []
    return browser, names


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(hub().keys.session_secret, salt="known-browser")


def _digest(username: str) -> str:
    return hub().vault.digest("known-browser", normal_username(username))[:22]
