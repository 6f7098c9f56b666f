"""The tablets' endpoints: sync (upload a batch, get receipt and pull), enrol, enrol again, standing."""

import gzip
import secrets
import threading
import time
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson
from flask import Blueprint, Response, request
from sqlalchemy.orm import Session

from schemas import parse_enrolment, parse_enrolment_again, read_moment
from schemas.batch import EnrolAgainSchema, EnrolSchema, EnvelopeSchema, Malformed
from schemas.receipt import AnswerSchema, EnrolAnswerSchema
from schemas.strict import Instant
from server.accounts import enrol, enrol_again, is_write_only, posts_of, standing
from server.accounts.attempt_limits import note_failure, note_refusal, refuse_if_spent
from server.database.models import Installation, Tablet
from server.errors import Problem
from server.sync.post_pages import wire
from server.sync.refusals import log_refusal
from server.sync.upload import exchange
from server.web.auth import address
from server.web.current import hub, utc_now
from server.web.flood_guard import Budget
from server.web.preferences import applied, seconds_until_next, wanted_of
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

_CHANCE: Final = secrets.SystemRandom().uniform

STANDINGS: Final = Budget(60)
"""How often one address may ask one worker for the standing of tablets, per minute."""


TURN_SECONDS: Final = 2.0
"""A batch waits at most so long for another: then the client is told to come again."""


class TurnTaken(Exception):
    """Another batch did not end within TURN_SECONDS; nothing of this one was looked at."""


def taking_a_batch() -> bool:
    """Say whether this worker is processing a batch."""
    return _TURN.locked()


class _Turn:
    """The lock under which a batch is processed, waited for at most TURN_SECONDS; it may be entered again and again."""

    def __enter__(self) -> None:
        if not _TURN.acquire(timeout=TURN_SECONDS):
            raise TurnTaken

    def __exit__(self, *_: object) -> None:
        _TURN.release()


def turn() -> AbstractContextManager[None]:
    """Return the turn to process a batch; entering it raises TurnTaken where another does not end in time."""
    return _Turn()


@bp.post("/sync")
@answers(AnswerSchema)
@takes_message(EnvelopeSchema)
def sync() -> Response:
    """Take a batch, return receipt and pull. A refused batch is logged before it is answered."""
    now, size_bytes = utc_now(), request.content_length or 0
    wanted = wanted_of(request.headers.get("Prefer"))
    try:
        message, size_bytes = read_json(request, hub().settings)
        arrived = time.monotonic()
        with turn():
            waited = time.monotonic() - arrived
            answer = exchange(
                hub(), message, size_bytes=size_bytes, now=now, clock=_tablet_clock(), wanted=wanted
            )
        return _with_hints(json_answer(answer), applied(wanted), seconds_until_next(waited, _CHANCE))
    except (Problem, Malformed) as refusal:
        log_refusal(hub(), refusal, size_bytes, now)
        raise


def _with_hints(response: Response, preferences: str, pause: int | None) -> Response:
    """Add what was preferred and applied, and in how many seconds the tablet should come again by itself."""
    if preferences:
        response.headers["Preference-Applied"] = preferences
    if pause is not None:
        response.headers["Retry-After"] = str(pause)
    return response


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
    with hub().database.reading() as session:
        refuse_if_spent(session, hub(), "renewal", address(), now)
    with hub().database.transaction() as session:
        tablet, common = enrol_again(session, hub(), asked, now)
        if tablet.enrolled_at == now:
            note_failure(session, hub(), "renewal", address(), now)
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
        mark = _mark(write_only=is_write_only(session, hub(), str(tablet_id)))
    policy = hub().settings.pin_policy
    pin = {"pin": policy} if policy and stands == "active" else {}
    return json_answer(orjson.dumps({"standing": stands, "server_time": _text(utc_now()), **mark, **pin}))


def _mark(*, write_only: bool) -> dict[str, bool]:
    """Return the mark of a device that only sends; other devices have none."""
    return {"write_only": True} if write_only else {}


def _text(moment: datetime) -> str:
    """Write a moment as protocol messages do."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _welcome(session: Session, tablet: Tablet, now: datetime) -> dict[str, Any]:
    """Return the answer to an enrolment: the tablet's id, its post (all of them, of a tablet of staff), the server's
    identity, limits and sealing key."""
    posts = posts_of(session, hub().district, tablet.id)
    post = posts[0]
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
        **_mark(write_only=bool(tablet.write_only)),
        **({"posts": [wire(one) for one in posts]} if tablet.several else {}),
    }


def json_answer(body: bytes) -> Response:
    """Answer JSON that is not cached, gzipped if the client accepts that."""
    response = Response(body, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    if len(body) > 512 and "gzip" in request.headers.get("Accept-Encoding", ""):
        response.data = gzip.compress(body, compresslevel=5, mtime=0)
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    return response
