"""Records on which tablets disagree, as JSON: list, read, settle. What is shown with names is logged before it is sent."""

from flask import Response, jsonify

from server.review import conflicts
from server.sync import server_edits
from server.web.api.quarantine import in_both_languages
from server.web.api.staff import bp
from server.web.auth import permitted
from server.web.current import acting, hub, scope, utc_now
from server.web.request_schemas import decisions as schemas
from server.web.request_schemas.schema import Asked, takes
from server.web.response_schemas import decisions as answer_schemas
from server.web.response_schemas.schema import answers


@bp.get("/conflicts")
@permitted("decide")
@answers(answer_schemas.CONFLICTS)
@takes(schemas.CONFLICT_LIST)
def list_conflicts(asked: Asked) -> Response:
    """List the records on which tablets disagree: `post`, `limit`, `offset`."""
    page, now = {"limit": asked.query["limit"], "offset": asked.query["offset"]}, utc_now()
    with hub().database.reading() as session:
        shown, total = conflicts.conflicts(session, hub(), scope(), post_id=asked.query["post"], **page)
    with hub().database.transaction() as session:
        conflicts.log_listed(session, hub(), acting(), len(shown), page["offset"], now)
    return jsonify(
        total=total,
        **page,
        conflicts=[record.wire() for record in shown],
        reasons=in_both_languages(conflicts.SETTLEMENTS),
    )


@bp.get("/conflicts/<kind>/<record_id>")
@permitted("decide")
@answers(answer_schemas.CONFLICT)
def read_conflict(kind: str, record_id: str) -> Response:
    """Return one record in conflict: every value, who wrote it and when, and the `context` to pass back."""
    with hub().database.reading() as session:
        shown = conflicts.dispute(session, hub(), scope(), kind, record_id)
    with hub().database.transaction() as session:
        conflicts.log_viewed(session, hub(), acting(), shown, utc_now())
    return jsonify(shown.wire())


@bp.post("/conflicts/<kind>/<record_id>/settle")
@permitted("decide")
@answers(answer_schemas.SETTLED)
@takes(schemas.SETTLE_JSON)
def settle_conflict(asked: Asked, kind: str, record_id: str) -> Response:
    """Decide: `context` as it was shown, `reason`, and `set` by register or `removal`."""
    now, who = utc_now(), acting()
    settled = server_edits.decide(
        hub(),
        lambda s: conflicts.settle(s, hub(), scope(), kind, record_id, asked.json, author=who, now=now),
    )
    return jsonify(settled.wire())
