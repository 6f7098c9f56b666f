"""`GET /api/v1/completeness`: what tablets have told of and what is here, for who may see those posts."""

from datetime import UTC, datetime

import orjson
from flask import Response, request

from server.database.ids import UUID_TEXT
from server.errors import Problem
from server.supervision import completeness
from server.web.api.staff import bp, hub, scope
from server.web.auth import permitted


@bp.get("/completeness")
@permitted("see_completeness")
def show_completeness() -> Response:
    """Count by health centre, post, tablet and day: `?day=2026-03-05`, `?month=2026-03` or this month; `?post=` by id."""
    post_id = request.args.get("post")
    if post_id is not None and not UUID_TEXT.fullmatch(post_id):
        raise Problem("request-malformed", reason="post is the id of a post")
    today = hub().settings.today(datetime.now(UTC))
    try:
        first, last = completeness.period(request.args.get("day"), request.args.get("month"), today)
    except ValueError as error:
        raise Problem("request-malformed", reason=str(error)) from error
    with hub().database.reading() as session:
        report = completeness.completeness(
            session, hub(), scope(), first, last, only=[post_id] if post_id else None
        )
    if post_id is not None and not report.posts:
        raise Problem("record-unknown")
    return Response(orjson.dumps(completeness.wire(report)), mimetype="application/json")
