"""The rights of a child's parents as JSON, beside the pages and under the same rules (`server.privacy`)."""

from datetime import UTC, datetime
from typing import Any, Final

from flask import Response, jsonify

from server import privacy
from server.privacy import requests
from server.sync import server_edits
from server.web.api.staff import acting, bp, hub, person, scope, sent
from server.web.auth import permitted

REQUEST: Final = ("kind", "relation", "by", "contact", "words")
CONSENT: Final = ("given", "by", "relation", "on", "method")


def _now() -> datetime:
    return datetime.now(UTC)


@bp.get("/rights")
@permitted("decide")
def list_rights() -> Response:
    """List the requests of parents that wait for an answer, the one that is due first in front. Logged."""
    now = _now()
    with hub().database.reading() as session:
        found = privacy.open_requests(session, hub(), scope())
    with hub().database.transaction() as session:
        requests.log_listed(session, hub(), acting(), len(found), now)
    return jsonify(requests=[one.wire(now) for one in found], outcomes=privacy.FITTING)


@bp.get("/children/<child_id>/rights")
@permitted("decide")
def read_rights(child_id: str) -> Response:
    """Give what a child's parents asked and agreed to, restricted or not, and the `context` for a consent. Logged."""
    with hub().database.reading() as session:
        shown = privacy.standing(session, hub(), scope(), child_id)
    with hub().database.transaction() as session:
        requests.log_seen(session, hub(), person(), child_id, shown.post_id, _now())
    return jsonify(shown.wire(_now()))


@bp.post("/children/<child_id>/rights")
@permitted("decide")
def ask_right(child_id: str) -> tuple[Response, int]:
    """Write down what a parent asks, and start the clock: `kind` (access, correction, restriction, lifting, erasure),
    `relation` (mother, father, guardian, proxy), `by`, `contact`, `words`."""
    asked, mine, who, now = sent(REQUEST), scope(), acting(), _now()
    request_id = server_edits.decide(
        hub(), lambda s: privacy.receive(s, hub(), mine, child_id, asked, author=who, now=now)
    )
    return jsonify(_told(request_id)), 201


@bp.post("/rights/<uuid:request_id>/answer")
@permitted("decide")
def answer_right(request_id: Any) -> Response:
    """Do what was asked, or refuse it: `outcome`, one of those for its kind. An erasure is only proposed by done."""
    outcome, mine, who, now = sent(("outcome",)).get("outcome"), scope(), acting(), _now()
    server_edits.decide(
        hub(), lambda s: privacy.answer(s, hub(), mine, str(request_id), outcome, author=who, now=now)
    )
    return jsonify(_told(str(request_id)))


@bp.post("/rights/<uuid:request_id>/agree")
@permitted("agree_to_erase")
def agree_to_erase(request_id: Any) -> Response:
    """Agree to an erasure that somebody else proposed: it is done at once and cannot be undone."""
    sent(())
    mine, who, now = scope(), acting(), _now()
    server_edits.decide(hub(), lambda s: privacy.agree(s, hub(), mine, str(request_id), author=who, now=now))
    return jsonify(_told(str(request_id)))


@bp.post("/children/<child_id>/consent")
@permitted("decide")
def record_consent(child_id: str) -> Response:
    """Write down that a parent gives consent or takes it back: `given`, `by`, `relation`, `on`, `method`, and the `context`
    that was read."""
    asked, mine, who, now = sent((*CONSENT, "context")), scope(), acting(), _now()
    said = {name: asked.get(name) for name in CONSENT}
    server_edits.decide(
        hub(),
        lambda s: privacy.consent(s, hub(), mine, child_id, said, asked.get("context"), author=who, now=now),
    )
    with hub().database.reading() as session:
        return jsonify(privacy.standing(session, hub(), mine, child_id).wire(now))


@bp.get("/children/<child_id>/copy")
@permitted("decide")
def copy_for_parents(child_id: str) -> Response:
    """Give everything that is held of a child and who read it, the NIK whole, to hand to a parent. Logged."""
    now = _now()
    with hub().database.reading() as session:
        report = privacy.gather(session, hub(), scope(), child_id, now)
    with hub().database.transaction() as session:
        privacy.log_given(session, hub(), acting(), report, "json", now)
    return jsonify(report.wire())


def _told(request_id: str) -> dict[str, Any]:
    """Give a request as it stands now."""
    with hub().database.reading() as session:
        return requests.one(session, hub(), scope(), request_id).wire(_now())
