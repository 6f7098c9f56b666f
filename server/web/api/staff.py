"""The office's side as JSON, beside the pages: who asks, what they may see, what they sent. Routes live in
`office_api` and its like, which register on the blueprint here.

Rules kept here:
- Who asks is known before anything is read: a session's cookie, as on the pages. A POST needs the session's CSRF token too,
  in the header X-CSRFToken; `GET /api/v1/session` gives it.
- A role that does not cover an address is told 403; a record outside the scope is 404, as one that does not exist.
- What is sent is a whitelist: a member that is not known is refused, and what is wrong is named with its rule and remedy.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from flask import Blueprint, Response, current_app, g, jsonify, request
from flask_wtf.csrf import generate_csrf

from schemas.words import reason
from server.accounts import Person
from server.accounts.roles import PERMISSIONS
from server.context import AppContext
from server.errors import Problem
from server.review import Scope
from server.web.auth import signed_in
from server.web.request_body import read_json

bp = Blueprint("staff_api", __name__, url_prefix="/api/v1")

MOST_ROWS: Final = 200


def hub() -> AppContext:
    """Give the installation that this application serves."""
    opened: AppContext = current_app.extensions["hub"]
    return opened


def person() -> Person:
    """Give who asks, behind `permitted`."""
    known: Person = g.person
    return known


def acting() -> str:
    """Give who asks as the log and the changes name them: "account:<id>"."""
    return f"account:{person().account_id}"


def scope() -> Scope:
    """Give what the asking person may see."""
    return Scope.of(person())


def sent(allowed: Collection[str]) -> dict[str, Any]:
    """Give the JSON object that was sent, with no member beside the allowed ones.

    Raises
    ------
    Problem
        `change-invalid`, naming each member that is not known, or any of `read_json`.
    """
    body, _ = read_json(request, hub().settings)
    if not isinstance(body, Mapping):
        raise Problem("request-malformed", reason="a JSON object is wanted")
    wrong = [wrong_field(name, "unknown-field", None) for name in body if name not in allowed]
    if wrong:
        raise Problem("change-invalid", reasons=wrong)
    return dict(body)


def wrong_field(path: str, code: str, value: object, *limits: str) -> dict[str, Any]:
    """Put what is wrong with a member that was sent into words: path, code, value, `id` and `en` with rule and remedy."""
    return reason(path, code, value, *limits).wire()


def parse_int(name: str, low: int, high: int, default: int) -> int:
    """Read a whole number from the address.

    Raises
    ------
    Problem
        `request-malformed`, naming the parameter and its range.
    """
    text = request.args.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or not low <= int(text) <= high:
        raise Problem("request-malformed", reason=f"{name} is a whole number, {low} to {high}")
    return int(text)


@bp.get("/session")
@signed_in
def session_of() -> Response:
    """Tell a program who it is signed in as, and the CSRF token for its POSTs."""
    who = person()
    return jsonify(
        account=who.account_id,
        username=who.username,
        name=who.display_name,
        role=who.role,
        scope={"kind": who.scope_kind, "id": who.scope},
        permissions=[permission for permission in PERMISSIONS if who.may(permission)],
        csrf_token=generate_csrf(),
    )
