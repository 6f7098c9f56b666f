"""The rights of a child's parents as JSON, beside the pages and under the same rules (`server.privacy`)."""

from typing import Any, Final

from flask import Response, jsonify

from server import privacy
from server.privacy import requests
from server.sync import server_edits
from server.web.api.staff import bp
from server.web.auth import permitted
from server.web.current import acting, hub, person, scope, utc_now
from server.web.proof import proven
from server.web.request_schemas import children as schemas
from server.web.request_schemas.schema import Asked, takes, takes_empty_json
from server.web.response_schemas import children as answer_schemas
from server.web.response_schemas.schema import answers

CONSENT: Final = ("given", "by", "relation", "on", "method")


@bp.get("/rights")
@permitted("decide")
@answers(answer_schemas.RIGHTS)
def list_rights() -> Response:
    """List parents' requests that wait for an answer, by due time. Logged."""
    now = utc_now()
    with hub().database.reading() as session:
        found = privacy.open_requests(session, hub(), scope())
    with hub().database.transaction() as session:
        requests.log_listed(session, hub(), acting(), len(found), now)
    return jsonify(requests=[one.wire(now) for one in found], outcomes=privacy.FITTING)


@bp.get("/children/<child_id>/rights")
@permitted("decide")
@answers(answer_schemas.CHILD_RIGHTS)
def read_rights(child_id: str) -> Response:
    """Return the requests and consents of a child's parents, also if restricted, and the consent's `context`. Logged."""
    with hub().database.reading() as session:
        shown = privacy.standing(session, hub(), scope(), child_id)
    with hub().database.transaction() as session:
        requests.log_seen(session, hub(), person(), child_id, shown.post_id, utc_now())
    return jsonify(shown.wire(utc_now()))


@bp.post("/children/<child_id>/rights")
@permitted("decide")
@answers(answer_schemas.RIGHT, status=201)
@takes(schemas.ASK_RIGHT_JSON)
def ask_right(asked: Asked, child_id: str) -> tuple[Response, int]:
    """Record a parent's request; its time limit starts: `kind` (access, correction, restriction, lifting, erasure),
    `relation` (mother, father, guardian, proxy), `by`, `contact`, `words`."""
    mine, who, now = scope(), acting(), utc_now()
    request_id = server_edits.decide(
        hub(), lambda s: privacy.receive(s, hub(), mine, child_id, asked.json, author=who, now=now)
    )
    return jsonify(_request_now(request_id)), 201


@bp.post("/rights/<uuid:request_id>/answer")
@permitted("decide")
@proven
@answers(answer_schemas.RIGHT)
@takes(schemas.ANSWER_RIGHT_JSON)
def answer_right(asked: Asked, request_id: Any) -> Response:
    """Do what was asked, or refuse it: `outcome`, one of those for its kind. For an erasure `done` only proposes it."""
    outcome, mine, who, now = asked.json.get("outcome"), scope(), acting(), utc_now()
    server_edits.decide(
        hub(), lambda s: privacy.answer(s, hub(), mine, str(request_id), outcome, author=who, now=now)
    )
    return jsonify(_request_now(str(request_id)))


@bp.post("/rights/<uuid:request_id>/agree")
@permitted("agree_to_erase")
@proven
@answers(answer_schemas.RIGHT)
@takes_empty_json
def agree_to_erase(request_id: Any) -> Response:
    """Agree to an erasure that somebody else proposed. It is done at once and cannot be undone."""
    mine, who, now = scope(), acting(), utc_now()
    server_edits.decide(hub(), lambda s: privacy.agree(s, hub(), mine, str(request_id), author=who, now=now))
    return jsonify(_request_now(str(request_id)))


@bp.post("/children/<child_id>/consent")
@permitted("decide")
@answers(answer_schemas.CHILD_RIGHTS)
@takes(schemas.CONSENT_JSON)
def record_consent(asked: Asked, child_id: str) -> Response:
    """Record that a parent gives or withdraws consent: `given`, `by`, `relation`, `on`, `method`, and the `context`
    that was read."""
    mine, who, now = scope(), acting(), utc_now()
    said = {name: asked.json.get(name) for name in CONSENT}
    seen = asked.json.get("context")
    server_edits.decide(
        hub(),
        lambda s: privacy.consent(s, hub(), mine, child_id, said, seen, author=who, now=now),
    )
    with hub().database.reading() as session:
        return jsonify(privacy.standing(session, hub(), mine, child_id).wire(now))


@bp.get("/children/<child_id>/copy")
@permitted("decide")
@proven
@answers(answer_schemas.COPY)
def copy_for_parents(child_id: str) -> Response:
    """Return all data of a child and who read it, with the whole NIK, to hand to a parent. Logged."""
    now = utc_now()
    with hub().database.reading() as session:
        report = privacy.gather(session, hub(), scope(), child_id, now)
    with hub().database.transaction() as session:
        privacy.log_given(session, hub(), acting(), report, "json", now)
    return jsonify(report.wire())


def _request_now(request_id: str) -> dict[str, Any]:
    """Return a request as it is now."""
    with hub().database.reading() as session:
        return requests.one(session, hub(), scope(), request_id).wire(utc_now())
