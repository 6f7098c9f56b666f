"""A forgotten PIN: the tablet's request for its data key, and the code for it as JSON. The page is in `web.pages`."""

from datetime import timedelta

import orjson
from flask import Blueprint, Response, jsonify, request

from schemas import parse_recovery
from schemas.recovery import RecoverSchema
from server.accounts.attempt_limits import note_refusal, refuse_if_spent
from server.accounts.recovery import CODE_MINUTES, recover_key
from server.errors import Problem
from server.review import tablets
from server.web.api.staff import bp as staff_bp
from server.web.api.sync import json_answer
from server.web.auth import permitted
from server.web.current import acting, hub, scope, utc_now
from server.web.proof import proven
from server.web.request_body import read_json
from server.web.request_schemas.schema import takes_empty_json, takes_message
from server.web.response_schemas.decisions import PIN_CODE
from server.web.response_schemas.schema import answers
from server.web.response_schemas.tablets import RECOVERED

bp = Blueprint("recovery_api", __name__, url_prefix="/api/v1")


@bp.post("/tablets/key")
@answers(RECOVERED)
@takes_message(RecoverSchema)
def recover() -> Response:
    """Give a tablet its data key back, sealed, for a code of the health centre."""
    now = utc_now()
    message, _ = read_json(request, hub().settings)
    asked = parse_recovery(message)
    with hub().database.reading() as session:
        refuse_if_spent(session, hub(), "pin-code", asked.tablet_id, now)
    try:
        with hub().database.transaction() as session:
            answer = recover_key(session, hub(), asked, now)
    except Problem as refusal:
        if refusal.code == "pin-code-invalid":  # the device itself: its signature was right
            note_refusal(hub(), "pin-code", asked.tablet_id, now)
        raise
    return json_answer(orjson.dumps({"sealed_key": answer}))


@staff_bp.post("/tablets/<tablet_id>/pin-code")
@permitted("manage_tablets")
@proven
@answers(PIN_CODE, status=201)
@takes_empty_json
def make_code(tablet_id: str) -> tuple[Response, int]:
    """Make the code with which a tablet's cadre chooses a new PIN. Only this answer has it."""
    now = utc_now()
    with hub().database.transaction() as session:
        code = tablets.make_pin_code(session, hub(), scope(), tablet_id, actor=acting(), now=now)
    expires_at = now + timedelta(minutes=CODE_MINUTES)
    return jsonify(code=code, tablet=tablet_id, expires_at=expires_at.isoformat(timespec="seconds")), 201
