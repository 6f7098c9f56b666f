"""`GET /api/v1/completeness`: what tablets say they have recorded and what the server holds."""

import orjson
from flask import Response

from server.errors import Problem
from server.supervision import completeness
from server.web.api.staff import bp
from server.web.auth import permitted
from server.web.current import hub, local_today, scope
from server.web.request_schemas.schema import Asked, takes
from server.web.request_schemas.supervision import COMPLETENESS
from server.web.response_schemas.figures import COMPLETENESS as COMPLETENESS_ANSWER
from server.web.response_schemas.schema import answers


@bp.get("/completeness")
@permitted("see_completeness")
@answers(COMPLETENESS_ANSWER)
@takes(COMPLETENESS)
def show_completeness(asked: Asked) -> Response:
    """Count by health centre, post, tablet and day: `?day=2026-03-05`, `?month=2026-03` or this month; `?post=` by id."""
    post_id = asked.query["post"]
    try:
        first, last = completeness.period(asked.query["day"], asked.query["month"], local_today())
    except ValueError as error:
        raise Problem("request-malformed", reason=str(error)) from error
    with hub().database.reading() as session:
        report = completeness.completeness(
            session, hub(), scope(), first, last, only=[post_id] if post_id else None
        )
    if post_id is not None and not report.posts:
        raise Problem("record-unknown")
    return Response(orjson.dumps(completeness.wire(report)), mimetype="application/json")
