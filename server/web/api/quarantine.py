"""Quarantined changes as JSON: list, read, release a corrected copy, dismiss, and take either back.

What is shown with names is logged before it is sent.
"""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Response, jsonify
from sqlalchemy.orm import Session

from server.review import quarantine
from server.sync import server_edits
from server.translations import Text
from server.web.api.staff import bp
from server.web.auth import permitted
from server.web.current import acting, hub, scope, utc_now
from server.web.request_schemas import decisions as schemas
from server.web.request_schemas.schema import Asked, takes, takes_empty_json
from server.web.response_schemas import decisions as answer_schemas
from server.web.response_schemas.schema import answers


@bp.get("/quarantine")
@permitted("decide")
@answers(answer_schemas.QUARANTINE)
@takes(schemas.QUARANTINE_LIST)
def list_quarantine(asked: Asked) -> Response:
    """List quarantined changes: `state` (open, answered, decided), `post`, `limit`, `offset`."""
    state, post_id, now = asked.query["state"], asked.query["post"], utc_now()
    page = {"limit": asked.query["limit"], "offset": asked.query["offset"]}
    with hub().database.reading() as session:
        shown, total = quarantine.cases(session, hub(), scope(), state=state, post_id=post_id, **page)
    with hub().database.transaction() as session:
        quarantine.log_listed(session, hub(), acting(), len(shown), page["offset"], now)
    return jsonify(
        total=total,
        **page,
        cases=[case.wire() for case in shown],
        dismissals=in_both_languages(quarantine.DISMISSALS),
    )


def in_both_languages(choices: Mapping[str, Text]) -> dict[str, dict[str, str]]:
    """Return each code with its words in both languages."""
    return {code: text.wire() for code, text in choices.items()}


@bp.get("/quarantine/<actor>/<int:counter>")
@permitted("decide")
@answers(answer_schemas.CHANGE)
def read_quarantine(actor: str, counter: int) -> Response:
    """Return one change as it came, why it was quarantined, and its record as it is now."""
    with hub().database.reading() as session:
        shown = quarantine.case_file(session, hub(), scope(), actor, counter)
    with hub().database.transaction() as session:
        quarantine.log_viewed(session, hub(), acting(), shown, utc_now())
    return jsonify(shown.wire())


@bp.post("/quarantine/<actor>/<int:counter>/release")
@permitted("decide")
@answers(answer_schemas.RELEASED)
@takes(schemas.RELEASE)
def release_quarantine(asked: Asked, actor: str, counter: int) -> Response:
    """Make a corrected copy: `set` and `key` as corrected; if left out, as they came."""
    return _decided(quarantine.release, actor, counter, asked.json)


@bp.post("/quarantine/<actor>/<int:counter>/dismiss")
@permitted("decide")
@answers(answer_schemas.DECISION)
@takes(schemas.DISMISS)
def dismiss_quarantine(asked: Asked, actor: str, counter: int) -> Response:
    """Dismiss a change: `reason`, one of `dismissals`."""
    return _decided(quarantine.dismiss, actor, counter, asked.json)


@bp.post("/quarantine/<actor>/<int:counter>/reopen")
@permitted("decide")
@answers(answer_schemas.DECISION)
@takes_empty_json
def reopen_quarantine(actor: str, counter: int) -> Response:
    """Take a dismissal back."""
    return _decided(quarantine.reopen, actor, counter)


@bp.post("/quarantine/<actor>/<int:counter>/undo")
@permitted("decide")
@answers(answer_schemas.DECISION)
@takes_empty_json
def undo_quarantine(actor: str, counter: int) -> Response:
    """Take a release back."""
    return _decided(quarantine.undo, actor, counter)


def _decided(work: Callable[..., Any], *which: Any) -> Response:
    now, who = utc_now(), acting()

    def decide(session: Session) -> Any:
        return work(session, hub(), scope(), *which, author=who, now=now)

    return jsonify(server_edits.decide(hub(), decide).wire())
