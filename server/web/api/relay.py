"""Relay: a carrier delivers sealed letters of other tablets and takes their receipts back.

Anybody may deliver, signed in or not: each letter is signed. So that a flood of letters cannot block tablets, a worker takes
one delivery at a time and refuses others (`too-many-tries`), each address has a rate limit, and a letter waits for the
worker's batch lock only after its signature was verified.
"""

import threading
import time
from dataclasses import replace
from typing import Final

import orjson
from flask import Blueprint, Response, g, request

from server.errors import Problem
from server.sync.relay import CARRIER, MOST_LETTERS, deliver
from server.web.api.sync import json_answer, turn
from server.web.auth import address
from server.web.current import hub, utc_now
from server.web.flood_guard import Budget
from server.web.request_body import read_json
from server.web.request_schemas.relay import LettersSchema
from server.web.request_schemas.schema import takes_message
from server.web.response_schemas.schema import answers
from server.web.response_schemas.tablets import RECEIPTS, SEALING

bp = Blueprint("carried_api", __name__, url_prefix="/api/v1")

LETTERS_A_MINUTE: Final = 300
"""From one address to one worker: enough for a health centre that serves a hundred tablets."""
SECONDS_WHEN_BUSY: Final = 5
_DELIVERING = threading.Lock()


BUDGET: Final = Budget(LETTERS_A_MINUTE)


@bp.get("/carried")
@answers(SEALING)
def sealing_key() -> Response:
    """Return the public key for sealing relayed letters, and the limits of a delivery."""
    settings = hub().settings
    limits = {"letters": MOST_LETTERS, "bytes": settings.max_inflated_bytes}
    return json_answer(orjson.dumps({"sealing": hub().vault.sealing_key(), "limits": limits}))


@bp.post("/carried")
@answers(RECEIPTS)
@takes_message(LettersSchema)
def bring() -> Response:
    """Take letters; for each, in order, return a sealed receipt or an error code."""
    settings = hub().settings
    bags = replace(settings, max_body_bytes=settings.max_inflated_bytes)  # ciphertext does not shrink
    message, _ = read_json(request, bags)
    letters = _letters(message)
    if not _DELIVERING.acquire(blocking=False):
        raise Problem("too-many-tries", seconds=SECONDS_WHEN_BUSY)
    try:
        wait = BUDGET.seconds_to_wait(address(), len(letters), time.monotonic())
        if wait:
            raise Problem("too-many-tries", seconds=wait)
        brought = deliver(hub(), letters, actor=CARRIER, now=utc_now(), turn=turn())
    finally:
        _DELIVERING.release()
    refused = {one.code for one in brought if one.code}
    g.problem = min(refused) if refused else None  # for the metrics, which would not see it behind a 200
    return json_answer(orjson.dumps({"answers": [one.answer() for one in brought]}))


def _letters(message: object) -> list[object]:
    """Return the letters of `{"letters": […]}`."""
    letters = message.get("letters") if isinstance(message, dict) else None
    if not isinstance(message, dict) or set(message) != {"letters"} or not isinstance(letters, list):
        raise Problem("request-malformed", reason='{"letters": [...]}')
    if not letters:
        raise Problem("request-malformed", reason='"letters": []')
    if len(letters) > MOST_LETTERS:
        raise Problem("batch-too-large", limit=f"{MOST_LETTERS} letters")
    return letters
