"""People and the own account as JSON, beside the pages: the same rules, the same functions."""

from datetime import datetime
from typing import Any

from flask import Response, jsonify, session as cookie
from flask_wtf.csrf import generate_csrf

from server.accounts import PersonRefused, people as register, second_factor, sessions
from server.accounts.people import INVITATION_DAYS
from server.database.models import Account
from server.errors import Problem
from server.web import proof
from server.web.api.staff import bp
from server.web.auth import permitted, signed_in, this_session
from server.web.current import hub, person, utc_now
from server.web.pages.people import add_person, link_of, log_listed, reset_person, shut_out
from server.web.request_schemas import accounts as schemas
from server.web.request_schemas.schema import Asked, takes, takes_empty_json
from server.web.response_schemas import accounts as answer_schemas
from server.web.response_schemas.schema import answers


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z") if moment else None


def _refused(refusal: PersonRefused) -> Problem:
    return Problem("person-refused", reasons=[reason.wire() for reason in refusal.reasons])


# -- people -------------------------------------------------------------------------------------------------------


@bp.get("/people")
@permitted("manage_people")
@answers(answer_schemas.PEOPLE)
def list_people() -> Response:
    """List the people whom I manage. Logged."""
    with hub().database.reading() as session:
        found = register.people(session, hub(), person(), utc_now())
    log_listed(len(found))
    return jsonify(
        total=len(found),
        people=[
            {
                "id": one.account_id,
                "username": one.username,
                "name": one.display_name,
                "role": one.role,
                "scope": {"kind": one.scope_kind, "id": one.scope, "name": one.place},
                "state": one.state,
                "second_factor": one.second_factor,
                "invited_until": _text(one.invited_until),
                "last_seen_at": _text(one.last_seen_at),
            }
            for one in found
        ],
    )


@bp.post("/people")
@permitted("manage_people")
@proof.proven
@answers(answer_schemas.INVITATION, status=201)
@takes(schemas.INVITE_JSON)
def invite_person(asked: Asked) -> tuple[Response, int]:
    """Add a person and return their one-time link: `username`, `name`, `role`, `scope_kind`, `scope`."""
    given = asked.json
    try:
        added = add_person(
            given["username"], given["name"], given["role"], given["scope_kind"], given["scope"]
        )
        return jsonify(_invited(*added)), 201
    except PersonRefused as refusal:
        raise _refused(refusal) from refusal


def _invited(account: Account, token: str) -> dict[str, Any]:
    return {
        "id": account.id,
        "username": account.username,
        "invitation": link_of(token),
        "days": INVITATION_DAYS,
    }


@bp.post("/people/<uuid:account_id>/reset")
@permitted("manage_people")
@proof.proven
@answers(answer_schemas.INVITATION)
@takes_empty_json
def reset_one(account_id: object) -> Response:
    """Return a new one-time link; until it is used nothing changes."""
    return jsonify(_invited(*reset_person(str(account_id))))


@bp.post("/people/<uuid:account_id>/disable")
@permitted("manage_people")
@answers(answer_schemas.STATE)
@takes_empty_json
def disable_one(account_id: object) -> Response:
    """Disable an account and end its sessions."""
    shut_out(str(account_id), out=True)
    return jsonify(id=str(account_id), state="disabled")


@bp.post("/people/<uuid:account_id>/enable")
@permitted("manage_people")
@proof.proven
@answers(answer_schemas.STATE)
@takes_empty_json
def enable_one(account_id: object) -> Response:
    """Enable an account again."""
    shut_out(str(account_id), out=False)
    return jsonify(id=str(account_id), state="enabled")


# -- the own account ----------------------------------------------------------------------------------------------


@bp.get("/account/sessions")
@signed_in
@answers(answer_schemas.SESSIONS)
def list_sessions() -> Response:
    """List my sessions, and whether I have a second factor."""
    with hub().database.reading() as session:
        mine = sessions.sessions_of(session, hub(), person(), utc_now())
        left = second_factor.codes_left(session, hub(), person().account_id)
    return jsonify(
        second_factor=this_session().has_second_factor,
        recovery_codes_left=left,
        sessions=[
            {
                "id": one.id,
                "agent": one.agent,
                "began_at": _text(one.began_at),
                "last_seen_at": _text(one.last_seen_at),
                "ends_at": _text(one.ends_at),
                "this": one.id == this_session().id,
            }
            for one in mine
        ],
    )


@bp.post("/account/sessions/<uuid:sign_in_id>/end")
@signed_in
@answers(answer_schemas.ENDED)
@takes_empty_json
def end_one_session(sign_in_id: object) -> Response:
    """End one of my sessions."""
    with hub().database.transaction() as session:
        sessions.end_session(session, hub(), person(), str(sign_in_id), utc_now())
    if str(sign_in_id) == this_session().id:
        cookie.clear()
    return jsonify(ended=1)


@bp.post("/account/sessions/end-others")
@signed_in
@answers(answer_schemas.ENDED)
@takes_empty_json
def end_other_sessions() -> Response:
    """End all my sessions but this one."""
    with hub().database.transaction() as session:
        ended = sessions.end_others(session, hub(), this_session(), utc_now())
    return jsonify(ended=ended)


@bp.post("/account/proof")
@signed_in
@answers(answer_schemas.PROVEN)
@takes(schemas.PROOF_JSON)
def prove_again(asked: Asked) -> Response:
    """Show again that it is me: a code of the app, a recovery code, or the password of who has no second factor."""
    problem = proof.give_proof(dict.fromkeys((proof.CODE_FIELD, proof.WORD_FIELD), asked.json["proof"]))
    if problem is not None:
        raise problem
    return jsonify(minutes=sessions.PROOF_MINUTES, csrf_token=generate_csrf())


@bp.post("/account/password")
@signed_in
@proof.proven
@answers(answer_schemas.CHANGED)
@takes(schemas.PASSWORD_JSON)
def set_password(asked: Asked) -> Response:
    """Set a new password: `old`, `new`; every other session ends."""
    old, new, now = asked.json["old"], asked.json["new"], utc_now()
    try:
        changed = sessions.change_password(hub(), this_session(), old, new, now)
    except PersonRefused as refusal:
        raise _refused(refusal) from refusal
    if not changed:
        raise Problem("password-wrong")
    return jsonify(changed=True)
