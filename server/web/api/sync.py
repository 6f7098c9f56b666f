"""The tablets' endpoints: sync (upload a batch, get receipt and pull), enrol, enrol again, standing."""

import gzip
import threading
import time
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson
from flask import Blueprint, Response, g, request
from sqlalchemy.orm import Session

from schemas import parse_enrolment, parse_enrolment_again, read_moment
from schemas.batch import EnrolAgainSchema, EnrolSchema, EnvelopeSchema, Malformed
from schemas.receipt import AnswerSchema, EnrolAnswerSchema
from schemas.strict import Instant
from server.accounts import enrol, enrol_again, standing
from server.accounts.attempt_limits import note_refusal, refuse_if_spent
from server.database.ids import UUID_TEXT
from server.database.models import HealthPost, Installation, Tablet
from server.errors import Problem
from server.sync.upload import exchange, record_refusal
from server.web.auth import address
from server.web.current import hub, utc_now
from server.web.flood_guard import Budget
from server.web.request_body import read_json
from server.web.request_schemas.schema import takes_message
from server.web.response_schemas.schema import answers
from server.web.response_schemas.tablets import ENROLLED_AGAIN, STANDING
from sync_protocol import MAX_BYTES

bp = Blueprint("sync_api", __name__, url_prefix="/api/v1")

_TURN = threading.Lock()
"""One batch at a time in each worker. A batch is all computing, so several threads would only compete for the interpreter
and slow the one that holds the database's write lock: with four tablets the slowest batch took four times as long.
Other threads read bodies, write answers and serve pages meanwhile."""

STANDINGS: Final = Budget(60)
"""How often one address may ask one worker for the standing of tablets, per minute."""


def taking_a_batch() -> bool:
    """Say whether this worker is processing a batch."""
    return _TURN.locked()


def turn() -> threading.Lock:
    """Return the lock that is held while a batch is processed."""
    return _TURN


@bp.post("/sync")
@answers(AnswerSchema)
@takes_message(EnvelopeSchema)
def sync() -> Response:
    """Take a batch, return receipt and pull. A refused batch is logged before it is answered."""
    now, message, size_bytes = utc_now(), None, request.content_length or 0
    try:
        message, size_bytes = read_json(request, hub().settings)
        with _TURN:
            answer = exchange(hub(), message, size_bytes=size_bytes, now=now, clock=_tablet_clock())
        return json_answer(answer)
    except (Problem, Malformed) as refusal:
        g.problem = refusal.code
        record_refusal(hub(), refusal.code, _claimed_tablet(message), size_bytes, now)
        raise


def _tablet_clock() -> datetime | None:
    """Read the tablet's clock at the time of sending (header `Tablet-Clock`, RFC 3339 in UTC), if sent: the batch itself may
    be days old. It is not signed and is only used to question dates."""
    clock = request.headers.get("Tablet-Clock")
    return read_moment(clock) if Instant.accepts(clock) and clock else None


@bp.post("/enrol")
@answers(EnrolAnswerSchema)
@takes_message(EnrolSchema)
def enrol_tablet() -> Response:
    """Exchange a one-time code for the identity of a new tablet."""
    now = utc_now()
    message, _ = read_json(request, hub().settings)
    asked = parse_enrolment(message)
    with hub().database.reading() as session:
        refuse_if_spent(session, hub(), "enrolment", address(), now)
    try:
        with hub().database.transaction() as session:
            answer = _welcome(session, enrol(session, hub(), asked, now), now)
    except Problem as refusal:
        if refusal.code == "enrolment-code-invalid":  # perhaps somebody guesses codes
            note_refusal(hub(), "enrolment", address(), now)
        raise
    return json_answer(orjson.dumps(answer))


@bp.post("/enrol/again")
@answers(ENROLLED_AGAIN)
@takes_message(EnrolAgainSchema)
def enrol_tablet_again() -> Response:
    """Enrol a device again whose enrolment was closed (it was restored or cloned); return also the counter up to which the
    server has its changes."""
    now = utc_now()
    message, _ = read_json(request, hub().settings)
    asked = parse_enrolment_again(message)
    with hub().database.transaction() as session:
        tablet, common = enrol_again(session, hub(), asked, now)
        answer = {**_welcome(session, tablet, now), "replaces": asked.tablet_id, "common": common}
    return json_answer(orjson.dumps(answer))


@bp.get("/tablets/<uuid:tablet_id>/standing")
@answers(STANDING)
def standing_of(tablet_id: UUID) -> Response:
    """Say whether a tablet may keep its data, to anybody who knows its id: a locked tablet cannot sign."""
    wait = STANDINGS.seconds_to_wait(address(), 1, time.monotonic())
    if wait:
        raise Problem("too-many-tries", seconds=wait)
    with hub().database.reading() as session:
        stands = standing(session, hub(), str(tablet_id))
    return json_answer(orjson.dumps({"standing": stands, "server_time": _text(utc_now())}))


def _text(moment: datetime) -> str:
    """Write a moment as protocol messages do."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _welcome(session: Session, tablet: Tablet, now: datetime) -> dict[str, Any]:
    """Return the answer to an enrolment: the tablet's id, its post, the server's identity, limits and sealing key."""
    post = session.get_one(HealthPost, (hub().district, tablet.post_id))
    installation = session.get_one(Installation, hub().district)
    return {
        "tablet": tablet.id,
        "district": hub().district,
        "post": {"id": post.id, "name": post.name},
        "incarnation": installation.incarnation,
        "server_time": _text(now),
        "limits": {
            "changes": hub().settings.max_changes,
            "bytes": min(MAX_BYTES, hub().settings.max_body_bytes),
        },
        "sealing": hub().vault.sealing_key(),
    }


def _claimed_tablet(message: object) -> str | None:
    """Return the tablet that a refused message names, only for the log."""
    batch = message.get("batch") if isinstance(message, dict) else None
    claimed = batch.get("tablet") if isinstance(batch, dict) else None
    return claimed if isinstance(claimed, str) and UUID_TEXT.fullmatch(claimed) else None


def json_answer(body: bytes) -> Response:
    """Answer JSON that is not cached, gzipped if the client accepts that."""
    response = Response(body, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    if len(body) > 512 and "gzip" in request.headers.get("Accept-Encoding", ""):
        response.data = gzip.compress(body, compresslevel=5, mtime=0)
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    return response
