"""Moving a child to another post, as JSON."""

from flask import Response, jsonify

from server.review import moves
from server.sync import server_edits
from server.web.api.staff import bp
from server.web.auth import permitted
from server.web.current import acting, hub, scope, utc_now
from server.web.request_schemas import decisions as schemas
from server.web.request_schemas.schema import Asked, takes
from server.web.response_schemas.decisions import MOVED
from server.web.response_schemas.schema import answers


@bp.post("/children/<child_id>/move")
@permitted("decide")
@answers(MOVED)
@takes(schemas.MOVE_JSON)
def move_child(asked: Asked, child_id: str) -> Response:
    """Move a child to another post: `to`, and `from` as it was shown."""
    now, who = utc_now(), acting()
    moved = server_edits.decide(
        hub(), lambda s: moves.move(s, hub(), scope(), child_id, asked.json, author=who, now=now)
    )
    return jsonify(moved.wire())
