"""What tablets ask: take this batch and tell me what changed; enrol me."""

import gzip
import threading
import time
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import orjson
from flask import Blueprint, Response, g, request
from sqlalchemy.orm import Session

from schemas import parse_enrolment, parse_enrolment_again
from schemas.batch import EnrolAgainSchema, EnrolSchema, EnvelopeSchema, Malformed
from schemas.receipt import AnswerSchema, EnrolAnswerSchema
from schemas.strict import Instant
from server.accounts import enrol, enrol_again, standing
from server.accounts.limits import note_refusal, refuse_if_spent
from server.database.ids import UUID_TEXT
from server.database.models import HealthPost, Installation, Tablet
from server.errors import Problem
from server.sync.upload import exchange, record_refusal
from server.web.auth import address
from server.web.current import hub
from server.web.rate_limit import Budget
from server.web.request_body import read_json
from server.web.request_schemas.schema import takes_message
from server.web.response_schemas.schema import answers
from server.web.response_schemas.tablets import ENROLLED_AGAIN, STANDING
from sync_protocol import MAX_BYTES

bp = Blueprint("sync_api", __name__, url_prefix="/api/v1")

_TURN = threading.Lock()
"""One batch at a time in each worker. Taking a batch is computing from end to end, so threads would only fight for the
interpreter, and the one that holds the database's write lock would be slowed by the others: with four tablets the slowest
batch took four times as long. The other threads read bodies, write answers and serve pages meanwhile."""

STANDINGS: Final = Budget(60)
"""How often one address may ask a worker how tablets stand, a minute."""


def taking_a_batch() -> bool:
    """Say whether this worker is busy with one."""
    return _TURN.locked()


def turn() -> threading.Lock:
    """Give what is held while a batch is taken."""
    return _TURN


@bp.post("/sync")
@answers(AnswerSchema)
@takes_message(EnvelopeSchema)
def sync() -> Response:
    """Take a batch, give receipt and pull. A refusal of the whole is logged before it is answered."""
    now, message, size_bytes = datetime.now(UTC), None, request.content_length or 0
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
    """Read what the tablet's clock says as it sends (header `Tablet-Clock`, RFC 3339 in UTC), if it tells: the batch itself
    may have been made days ago. It is not signed, and nothing but doubts about dates rests on it."""
    told = request.headers.get("Tablet-Clock")
    return datetime.fromisoformat(told) if Instant.accepts(told) and told else None


@bp.post("/enrol")
@answers(EnrolAnswerSchema)
@takes_message(EnrolSchema)
def enrol_tablet() -> Response:
    """Exchange a one-time code for the identity of a new tablet."""
    now = datetime.now(UTC)
    message, _ = read_json(request, hub().settings)
    asked = parse_enrolment(message)
    with hub().database.reading() as session:
        refuse_if_spent(session, hub(), "enrolment", address(), now)
    try:
        with hub().database.transaction() as session:
            answer = _welcome(session, enrol(session, hub(), asked, now), now)
    except Problem as refusal:
        if refusal.code == "enrolment-code-invalid":  # a guess, perhaps
            note_refusal(hub(), "enrolment", address(), now)
        raise
    return json_answer(orjson.dumps(answer))


@bp.post("/enrol/again")
@answers(ENROLLED_AGAIN)
@takes_message(EnrolAgainSchema)
def enrol_tablet_again() -> Response:
    """Give a device whose enrolment was closed (it was restored or cloned) a new one, with the counter up to which what it
    keeps is held here."""
    now = datetime.now(UTC)
    message, _ = read_json(request, hub().settings)
    asked = parse_enrolment_again(message)
    with hub().database.transaction() as session:
        tablet, common = enrol_again(session, hub(), asked, now)
        answer = {**_welcome(session, tablet, now), "replaces": asked.tablet_id, "common": common}
    return json_answer(orjson.dumps(answer))


@bp.get("/tablets/<uuid:tablet_id>/standing")
@answers(STANDING)
def standing_of(tablet_id: UUID) -> Response:
    """Say whether a tablet may still hold what is on it, to whoever knows its id: a locked one cannot sign."""
    wait = STANDINGS.seconds_to_wait(address(), 1, time.monotonic())
    if wait:
        raise Problem("too-many-tries", seconds=wait)
    with hub().database.reading() as session:
        stands = standing(session, hub(), str(tablet_id))
    return json_answer(orjson.dumps({"standing": stands, "server_time": _text(datetime.now(UTC))}))


def _text(moment: datetime) -> str:
    """Write a moment as messages have it."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _welcome(session: Session, tablet: Tablet, now: datetime) -> dict[str, Any]:
    """Tell a new tablet its name, its post and whom it talks to."""
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
    """Give the tablet that a refused message names, for the log alone."""
    batch = message.get("batch") if isinstance(message, dict) else None
    claimed = batch.get("tablet") if isinstance(batch, dict) else None
    return claimed if isinstance(claimed, str) and UUID_TEXT.fullmatch(claimed) else None


def json_answer(body: bytes) -> Response:
    """Answer JSON that nobody keeps, packed for whoever can unpack it."""
    response = Response(body, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    if len(body) > 512 and "gzip" in request.headers.get("Accept-Encoding", ""):
        response.data = gzip.compress(body, compresslevel=5, mtime=0)
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    return response
