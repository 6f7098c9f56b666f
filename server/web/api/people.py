"""People and the own account as JSON, beside the pages: the same rules, the same functions."""

from datetime import UTC, datetime
from typing import Any

from flask import Response, jsonify, session as cookie

from server.accounts import PersonRefused, people as register, second_factor, sessions
from server.accounts.people import INVITATION_DAYS
from server.database.models import Account
from server.errors import Problem
from server.web.api.staff import bp, hub, person, sent
from server.web.auth import address, permitted, signed_in, this_session
from server.web.pages.people import add_person, link_of, log_listed, reset_person, shut_out


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z") if moment else None


def _texts(asked: dict[str, Any], *names: str) -> list[str]:
    """Give members that must be text.

    Raises
    ------
    Problem
        `request-malformed`, naming the member.
    """
    for name in names:
        if not isinstance(asked.get(name), str):
            raise Problem("request-malformed", reason=f"{name} is text")
    return [asked[name] for name in names]


def _refused(refusal: PersonRefused) -> Problem:
    return Problem("person-refused", reasons=[reason.wire() for reason in refusal.reasons])


# -- people -------------------------------------------------------------------------------------------------------


@bp.get("/people")
@permitted("manage_people")
def list_people() -> Response:
    """List those whom I manage."""
    with hub().database.reading() as session:
        found = register.people(session, hub(), person(), datetime.now(UTC))
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
def invite_person() -> tuple[Response, int]:
    """Add somebody and give their one-time link: `username`, `name`, `role`, `scope_kind`, `scope`."""
    names = ("username", "name", "role", "scope_kind", "scope")
    given = _texts(sent(names), *names)
    try:
        return jsonify(_invited(*add_person(*given))), 201
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
def reset_one(account_id: object) -> Response:
    """Give a new one-time link; until it is taken up nothing changes."""
    sent(())
    return jsonify(_invited(*reset_person(str(account_id))))


@bp.post("/people/<uuid:account_id>/disable")
@permitted("manage_people")
def disable_one(account_id: object) -> Response:
    """Take somebody's right to sign in, and end their sessions."""
    sent(())
    shut_out(str(account_id), out=True)
    return jsonify(id=str(account_id), state="disabled")


@bp.post("/people/<uuid:account_id>/enable")
@permitted("manage_people")
def enable_one(account_id: object) -> Response:
    """Give it back."""
    sent(())
    shut_out(str(account_id), out=False)
    return jsonify(id=str(account_id), state="enabled")


# -- the own account ----------------------------------------------------------------------------------------------


@bp.get("/account/sessions")
@signed_in
def list_sessions() -> Response:
    """List my sessions, and whether I have a second factor."""
    with hub().database.reading() as session:
        mine = sessions.sessions_of(session, hub(), person(), datetime.now(UTC))
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
def end_one_session(sign_in_id: object) -> Response:
    """End one of my sessions."""
    sent(())
    with hub().database.transaction() as session:
        sessions.end_session(session, hub(), person(), str(sign_in_id), datetime.now(UTC))
    if str(sign_in_id) == this_session().id:
        cookie.clear()
    return jsonify(ended=1)


@bp.post("/account/sessions/end-others")
@signed_in
def end_other_sessions() -> Response:
    """End all my sessions but this one."""
    sent(())
    with hub().database.transaction() as session:
        ended = sessions.end_others(session, hub(), this_session(), datetime.now(UTC))
    return jsonify(ended=ended)


@bp.post("/account/password")
@signed_in
def set_password() -> Response:
    """Set a new password: `old`, `new`; every other session ends."""
    old, new = _texts(sent(("old", "new")), "old", "new")
    now = datetime.now(UTC)
    try:
        with hub().database.transaction() as session:
            changed = sessions.change_password(
                session, hub(), this_session(), old, new, now, address=address()
            )
    except PersonRefused as refusal:
        raise _refused(refusal) from refusal
    if not changed:
        raise Problem("password-wrong")
    return jsonify(changed=True)
