"""The blueprint of the JSON API for staff and the session. The other modules of this package register routes on it.

Rules of all routes on it:
- Who asks is known before anything is read, by the session's cookie as on the pages. A POST also needs the session's CSRF
  token in the header X-CSRFToken; `GET /api/v1/session` gives it.
- A role that may not use a route gets 403. A record outside the person's scope gets 404, as one that does not exist.
- A JSON member that is not in the request schema is refused, with the rule and what to do instead.
"""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, jsonify
from flask_wtf.csrf import generate_csrf

from schemas.words import reason
from server.accounts.roles import PERMISSIONS
from server.web.auth import signed_in
from server.web.current import person
from server.web.response_schemas.accounts import SESSION
from server.web.response_schemas.schema import answers

bp = Blueprint("staff_api", __name__, url_prefix="/api/v1")


def wrong_field(path: str, code: str, value: object, *limits: str) -> Mapping[str, Any]:
    """Say what is wrong with a member that was sent: path, code, value, and a sentence with the rule in `id` and `en`."""
    return reason(path, code, value, *limits).wire()


@bp.get("/session")
@signed_in
@answers(SESSION)
def session_of() -> Response:
    """Return who the program is signed in as, and the CSRF token for its POSTs."""
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
