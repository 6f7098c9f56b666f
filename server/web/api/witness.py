"""This installation as a witness of other logs, as c2sp.org/tlog-witness has it: plain text, no session, no cookie.

Submission and monitoring prefix are the same: `/api/v1/witness`. Anybody may ask: a request does nothing unless a log that
is witnessed here signed it. Refusals have the standard's status, and our body.
"""

import time
from typing import Final

from flask import Blueprint, Response, g

from server.audit import cosigning
from server.errors import Problem
from server.web.auth import address
from server.web.current import hub, utc_now
from server.web.flood_guard import Budget
from server.web.request_schemas.schema import Asked, takes
from server.web.request_schemas.supervision import ADD_CHECKPOINT
from server.web.response_schemas.schema import answers

bp = Blueprint("witness_api", __name__, url_prefix="/api/v1/witness")

SIZE: Final = "text/x.tlog.size"
PLAIN: Final = "text/plain"
A_MINUTE: Final = 60
"""Requests from one address to one worker."""
BUDGET: Final = Budget(A_MINUTE)


@bp.post("/add-checkpoint")
@answers(None, media_type=PLAIN)
@takes(ADD_CHECKPOINT)
def add_checkpoint(asked: Asked) -> Response | tuple[Response, int]:
    """Cosign the checkpoint of a log that is witnessed here, if it continues the one before."""
    _spend()
    try:
        lines = cosigning.add_checkpoint(hub(), cosigning.read(asked.file), utc_now())
    except cosigning.SizeDiffers as differs:
        g.problem = "witness-size"
        return Response(f"{differs.size}\n", content_type=SIZE), 409  # without a charset
    return Response(lines, mimetype=PLAIN)


@bp.get("/<origin>/checkpoint")
@answers(None, media_type=PLAIN)
def checkpoint(origin: str) -> Response:
    """Return the newest checkpoint of a log that was cosigned here; the log is named by the SHA-256 of its origin."""
    _spend()
    with hub().database.reading() as session:
        note = cosigning.seen(session, hub().district, origin)
    if note is None:
        raise Problem("witness-log-unknown")
    return Response(note, mimetype=PLAIN)


def _spend() -> None:
    wait = BUDGET.seconds_to_wait(address(), 1, time.monotonic())
    if wait:
        raise Problem("too-many-tries", seconds=wait)
