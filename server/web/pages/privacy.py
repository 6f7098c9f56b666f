"""The rights of a child's parents: requests and when they are due, a child's requests, consent, the copy to hand over.

People who may decide about children record and answer requests; an erasure also needs a supervisor's agreement to it.
"""

from typing import Any, Final
from uuid import UUID

import orjson
from flask import Blueprint, Response, flash, g, redirect, render_template, url_for
from werkzeug.wrappers import Response as AnyResponse

from server import privacy
from server.errors import Problem
from server.privacy import requests
from server.review import follow_ups
from server.sync import server_edits
from server.translations import N_
from server.web.auth import permitted
from server.web.current import acting, hub, local_today, person, scope, utc_now
from server.web.formatting import label, language, translate
from server.web.proof import proven
from server.web.request_schemas import children as schemas
from server.web.request_schemas.schema import Asked, takes, takes_empty_form

bp = Blueprint("privacy", __name__)

Answer = AnyResponse | str | tuple[str, int]

STATUSES: Final = {
    "open": N_("open"),
    "waiting": N_("waits for a supervisor's agreement"),
    "done": N_("done"),
    "refused": N_("refused"),
    "withdrawn": N_("withdrawn"),
}


@bp.app_context_processor
def _words() -> dict[str, Any]:
    tables = {"kind": privacy.KINDS, "relation": privacy.RELATIONS, "outcome": privacy.OUTCOMES}
    said = {name: {code: label(text) for code, text in table.items()} for name, table in tables.items()}
    return {
        "rights_waiting": _waiting,
        "rights_words": {**said, "status": {code: translate(words) for code, words in STATUSES.items()}},
    }


def _waiting() -> dict[str, int]:
    """Count the requests that wait in the reader's area, and those that are late."""
    with hub().database.reading() as session:
        due = requests.due_times(session, hub(), scope())
    return {"requests": len(due), "late": sum(at < utc_now() for at in due)}


# -- all requests, and one child's ----------------------------------------------------------------


@bp.get("/hak")
@permitted("decide")
def all_requests() -> str:
    """List the requests that wait for an answer, by due time. Logged."""
    with hub().database.reading() as session:
        found = privacy.open_requests(session, hub(), scope())
    with hub().database.transaction() as session:
        requests.log_listed(session, hub(), acting(), len(found), utc_now())
    return render_template("privacy.html", requests=found, now=utc_now())


@bp.get("/anak/<child_id>/hak")
@permitted("decide")
def of_child(child_id: str) -> str:
    """Show the requests and consents of a child's parents, and the forms for more. Logged."""
    page = _page(child_id)
    with hub().database.transaction() as session:
        row = requests.subject(session, hub(), scope(), child_id)
        requests.log_seen(session, hub(), person(), child_id, row.post_id, utc_now())
    return page


@bp.post("/anak/<child_id>/hak")
@permitted("decide")
@takes(schemas.ASK_RIGHT)
def ask(asked: Asked, child_id: str) -> Answer:
    """Record a parent's request."""
    typed = {name: asked.form.get(name, "").strip() or None for name in schemas.REQUEST_FIELDS}
    given = {name: value for name, value in typed.items() if value is not None}
    try:
        server_edits.decide(
            hub(),
            lambda s: privacy.receive(s, hub(), scope(), child_id, given, author=acting(), now=utc_now()),
        )
    except Problem as refused:
        return _again(child_id, refused, typed)
    flash(translate(N_("The request is written down. The answer is due in 3×24 hours.")))
    return redirect(url_for("privacy.of_child", child_id=child_id), 303)


@bp.post("/anak/<child_id>/hak/persetujuan")
@permitted("decide")
@takes(schemas.CONSENT)
def consent(asked: Asked, child_id: str) -> Answer:
    """Record that a parent gives or withdraws consent."""
    typed = {name: asked.form.get(name, "").strip() or None for name in schemas.CONSENT_FIELDS}
    try:
        seen = orjson.loads(asked.form.get("context") or "{}")
    except orjson.JSONDecodeError as error:
        raise Problem("request-malformed", reason="context") from error
    said = {"given": asked.form.get("given") == "1", **typed}
    try:
        server_edits.decide(
            hub(),
            lambda s: privacy.consent(
                s, hub(), scope(), child_id, said, seen, author=acting(), now=utc_now()
            ),
        )
    except Problem as refused:
        return _again(child_id, refused, typed)
    flash(translate(N_("The consent is written down.")))
    return redirect(url_for("privacy.of_child", child_id=child_id), 303)


def _again(child_id: str, refused: Problem, typed: dict[str, str | None]) -> tuple[str, int]:
    """Show the forms again, with what was typed and what is wrong with it."""
    if refused.code != "change-invalid":
        raise refused
    g.problem = refused.code
    return _page(child_id, typed, refused.details["reasons"]), 422


def _page(child_id: str, typed: dict[str, str | None] | None = None, wrong: Any = ()) -> str:
    with hub().database.reading() as session:
        shown = privacy.standing(session, hub(), scope(), child_id)
        named = {
            one
            for each in shown.asked
            for one in (each.received_by, each.proposed_by, each.decided_by)
            if one
        }
        people = follow_ups.people(session, hub(), named)
    today = local_today()
    return render_template(
        "privacy_child.html",
        child_id=child_id,
        name=shown.name,
        restricted_at=shown.restricted_at,
        consents=shown.consents,
        context=orjson.dumps(shown.context).decode(),
        requests=shown.asked,
        people=people,
        hold_until=shown.hold_until,
        holds=shown.holds(today),
        linked=len(shown.linked),
        fitting=privacy.FITTING,
        typed=typed or {},
        wrong=wrong,
        now=utc_now(),
        me=acting(),
        today=today,
    )


# -- answering ------------------------------------------------------------------------------------


@bp.post("/hak/<uuid:request_id>")
@permitted("decide")
@proven
@takes(schemas.ANSWER_RIGHT)
def answer(asked: Asked, request_id: UUID) -> Answer:
    """Do what was asked, or refuse it; this only proposes an erasure."""
    id_, outcome = str(request_id), asked.form.get("outcome", "")
    with hub().database.reading() as session:
        about = requests.one(session, hub(), scope(), id_)
    status = server_edits.decide(
        hub(), lambda s: privacy.answer(s, hub(), scope(), id_, outcome, author=acting(), now=utc_now())
    )
    if status == requests.WAITING:
        flash(translate(N_("Proposed. A supervisor who has not had it in hand must agree now.")))
    else:
        flash(translate(N_("The request is answered.")))
    return redirect(url_for("privacy.of_child", child_id=about.child_id), 303)


@bp.post("/hak/<uuid:request_id>/setuju")
@permitted("agree_to_erase")
@proven
@takes_empty_form
def agree(request_id: UUID) -> Answer:
    """Agree to an erasure that somebody else proposed. It is done at once and cannot be undone."""
    server_edits.decide(
        hub(), lambda s: privacy.agree(s, hub(), scope(), str(request_id), author=acting(), now=utc_now())
    )
    flash(translate(N_("The child's data was erased. Tablets erase it with their next sync.")))
    return redirect(url_for("privacy.all_requests"), 303)


# -- the copy to hand over ------------------------------------------------------------------------


@bp.get("/anak/<child_id>/hak/salinan.<any(pdf, json):paper>")
@permitted("decide")
@proven
def copy(child_id: str, paper: str) -> Response:
    """Return all data of a child and who read it, to hand to a parent. Logged."""
    now, who = utc_now(), person()
    with hub().database.reading() as session:
        report = privacy.gather(session, hub(), scope(), child_id, now)
    with hub().database.transaction() as session:
        privacy.log_given(session, hub(), acting(), report, paper, now)
    if paper == "pdf":
        response = Response(
            privacy.as_pdf(report, hub(), who.display_name, language()), mimetype="application/pdf"
        )
    else:
        response = Response(
            orjson.dumps(report.wire(), option=orjson.OPT_INDENT_2), mimetype="application/json"
        )
    response.headers["Content-Disposition"] = f'attachment; filename="data-anak-{child_id[-8:]}.{paper}"'
    return response
