"""Pages of accounts: using an invitation, the second factor, the own account, and the list of people.

Rules kept here:
- Secrets that are shown once (a link, recovery codes, the second factor's key) are only in the answer to a POST, at no
  address, and are not cached: pages are `no-store`.
- What a stolen session must not do (a new second factor, new codes, a new password) asks for the password again.
"""

import re
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar

import segno
from flask import Blueprint, g, redirect, render_template, request, session as cookie, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from server import audit
from server.accounts import (
    PersonRefused,
    attempt_limits,
    passkeys,
    people as register,
    second_factor,
    sessions,
)
from server.accounts.passwords import new_password
from server.accounts.roles import ROLES, SCOPE_KINDS
from server.accounts.sessions import BARE, OPEN, WAITING
from server.backup import status
from server.database.models import Account
from server.errors import Problem
from server.translations import N_
from server.web.auth import (
    address,
    browser,
    let_in,
    permitted,
    safe_path,
    signed_in,
    this_session,
)
from server.web.current import acting, hub, person, utc_now
from server.web.proof import proven
from server.web.public_address import public_address
from server.web.request_schemas import accounts as schemas
from server.web.request_schemas.schema import Asked, takes, takes_empty_form

bp = Blueprint("people", __name__)

Done = TypeVar("Done")
Answer = AnyResponse | str | tuple[str, int]
STATES: Final = {"active": N_("Active"), "invited": N_("Invited"), "disabled": N_("Disabled")}


@bp.app_context_processor
def _words() -> dict[str, Any]:
    words = {"role_words": ROLES, "scope_words": SCOPE_KINDS, "state_words": STATES}
    return {**words, "how_kept": _how_kept}


def _how_kept() -> tuple[status.BackupStatus, status.BackupStatus]:
    """Return the state of backups and of their trial restores."""
    with hub().database.reading() as session:
        return status.backups(session, hub(), utc_now()), status.proofs(session, hub(), utc_now())


def _refused(template: str, problem: Problem, **shown: Any) -> tuple[str, int]:
    """Show a form again with what is wrong."""
    g.problem = problem.code
    return render_template(template, problem=problem.body(), **shown), problem.kind.status


def _in_words(refusal: PersonRefused) -> Problem:
    return Problem("person-refused", reasons=[reason.wire() for reason in refusal.reasons])


# -- invitations --------------------------------------------------------------------------------------------------


@bp.route("/undangan", methods=["GET", "POST"])
@takes(schemas.INVITATION)
def invitation(asked: Asked) -> Answer:
    """Take an invitation's code, show who is invited, and set their password; then the second factor follows.

    The code is never part of an address: it stands behind the "#" of the link, from where our script sends it, or is pasted.
    """
    if request.method == "GET":
        return render_template("account_invitation.html", problem=None)
    token, now = _token_in(asked.form.get("code", "")), utc_now()
    try:
        with hub().database.reading() as session:
            attempt_limits.refuse_if_spent(session, hub(), "invitation", address(), now)
            invited = register.invited(session, hub(), token, now)
        if "password" not in asked.form:
            return render_template("account_invited.html", invited=invited, token=token, problem=None)
        return _take_up(asked, token, invited, now)
    except Problem as problem:
        if problem.code == "invitation-invalid":
            attempt_limits.note_refusal(hub(), "invitation", address(), now)
        return _refused("account_invitation.html", problem)


def _token_in(pasted: str) -> str:
    """Return the token in what was pasted: the whole link, or its end."""
    return re.split("[#/]", pasted.strip())[-1]


def _take_up(asked: Asked, token: str, invited: register.Person, now: datetime) -> Answer:
    password, problem = asked.form["password"], Problem("passwords-differ")
    if password == asked.form.get("again", ""):
        try:
            chosen = new_password(password, invited.username, invited.display_name)
            with hub().database.transaction() as session:
                taken = register.take_up(session, hub(), token, chosen, now)
                account = sessions.own_account(session, hub(), taken)
                new = sessions.open_session(session, hub(), account, now, agent=browser())
        except PersonRefused as refusal:
            problem = _in_words(refusal)
        else:
            let_in(new)
            return redirect(url_for("pages.front"))
    return _refused("account_invited.html", problem, invited=invited, token=token)


# -- the second factor --------------------------------------------------------------------------------------------


@bp.route("/masuk/kode", methods=["GET", "POST"])
@takes(schemas.SECOND_FACTOR)
def second_factor_code(asked: Asked) -> Answer:
    """Ask for a code of the app, or a recovery code."""
    going = safe_path(asked.query["next"])
    if "signed_in" not in g:
        return redirect(url_for("pages.sign_in", next=going))
    if this_session().stage != WAITING:
        return redirect(going)
    if request.method == "GET":
        return render_template("two_factor_code.html", problem=None, passkey=passkey_options())
    problem, done = Problem("passkey-failed" if "answer" in asked.form else "second-factor-failed"), None
    try:
        with hub().database.transaction() as session:
            done = _second_step(session, asked)
    except Problem as spent:
        problem = spent
    if done is None:
        return _refused("two_factor_code.html", problem, passkey=passkey_options())
    token, left = done
    let_in(token)
    if left is not None:
        g.person = this_session().person
        return render_template("two_factor_codes_left.html", left=left, going=going)
    return redirect(going)


def _second_step(session: Session, asked: Asked) -> tuple[str, int | None] | None:
    """Check a passkey or a code; return the session's new token, and the recovery codes that are left if one was used."""
    who, now, place = this_session(), utc_now(), address()
    if "answer" in asked.form:
        answer = asked.form["answer"]
        token = passkeys.pass_with_passkey(session, hub(), who, answer, now, address=place)
        return (token, None) if token else None
    code = asked.form.get("code", "")
    passed = second_factor.pass_second_factor(session, hub(), who, code, now, address=place)
    return (passed.token, passed.codes_left if passed.by_recovery_code else None) if passed else None


def passkey_options() -> str | None:
    """Return what the browser needs to use a passkey of who is about to sign in, if they have one."""
    with hub().database.reading() as session:
        return passkeys.request_options(session, hub(), this_session(), utc_now())


@bp.route("/akun/faktor-kedua", methods=["GET", "POST"])
@proven
@takes(schemas.SET_UP)
def set_up(asked: Asked) -> Answer:
    """Show a new key as QR code and text; after a correct code of the app, show the recovery codes."""
    if "signed_in" not in g:
        return redirect(url_for("pages.sign_in", next=url_for("people.set_up")))
    who, now = this_session(), utc_now()
    secret = None
    if request.method == "POST":
        secret = second_factor.pending_secret(hub(), who, asked.form.get("key", ""))
    if secret is None:
        fresh = second_factor.new_secret(hub(), who)
        if request.method == "GET":
            return render_template("two_factor_set_up.html", problem=None, **_shown(fresh))
        return _refused("two_factor_set_up.html", Problem("csrf-invalid"), **_shown(fresh))
    problem, done = Problem("second-factor-failed"), None
    try:
        confirmed = partial(
            second_factor.set_up,
            hub=hub(),
            signed_in=who,
            secret=secret,
            code=asked.form.get("code", ""),
            now=now,
        )
        if who.stage == BARE:
            with hub().database.transaction() as session:
                done = confirmed(session)
        else:
            done = _proving(asked, confirmed, now)
    except Problem as spent:
        problem = spent
    if done is None:
        return _refused("two_factor_set_up.html", problem, **_shown(secret))
    let_in(done[0])
    g.person = who.person
    return render_template(
        "two_factor_recovery_codes.html", codes=done[1], going=safe_path(asked.query["next"])
    )


def _shown(secret: second_factor.NewSecret) -> dict[str, Any]:
    """Return what the page draws: the QR code as the path of its dark squares; `qr_size`: squares with the quiet zone."""
    rows = list(segno.make(secret.address, error="m", micro=False).matrix_iter(border=4))
    path = "".join(f"M{x} {y}h1v1h-1z" for y, row in enumerate(rows) for x, dark in enumerate(row) if dark)
    text = " ".join(secret.text[i : i + 4] for i in range(0, len(secret.text), 4))
    shown = {"qr": path, "qr_size": len(rows), "key": secret.sealed, "key_text": text}
    return {**shown, "must_prove": this_session().stage == OPEN}


def _proving(asked: Asked, then: Callable[[Session], Done], now: datetime) -> Done:
    """Do something after the password that a form asks for again; `password-wrong` if it is."""
    given = asked.form.get("password", "")
    return sessions.proving(hub(), this_session(), given, now, then)


@bp.route("/akun/kode-pemulihan", methods=["GET", "POST"])
@signed_in
@proven
@takes(schemas.RECOVERY_CODES)
def recovery_codes(asked: Asked) -> Answer:
    """After the password was given again, make new recovery codes and show them."""
    if not this_session().has_second_factor:
        return redirect(url_for("people.set_up"))
    if request.method == "GET":
        return render_template("two_factor_new_codes.html", problem=None)
    now = utc_now()
    make = partial(second_factor.new_recovery_codes, hub=hub(), signed_in=this_session(), now=now)
    try:
        codes = _proving(asked, make, now)
    except Problem as problem:
        return _refused("two_factor_new_codes.html", problem)
    return render_template("two_factor_recovery_codes.html", codes=codes, going=url_for("people.account"))


# -- the own account ----------------------------------------------------------------------------------------------


@bp.get("/beranda")
@signed_in
def welcome() -> Answer:
    """Explain the role to people who have no other first page."""
    return render_template("people_welcome.html", place=_place(person()))


def _place(who: register.Person) -> str:
    with hub().database.reading() as session:
        return register.place_name(session, hub(), who.scope_kind, who.scope) or ""


@bp.get("/akun")
@signed_in
@takes(schemas.ACCOUNT)
def account(asked: Asked) -> Answer:
    """Show who I am, what I may see, and my sessions."""
    with hub().database.reading() as session:
        mine = sessions.sessions_of(session, hub(), person(), utc_now())
        left = second_factor.codes_left(session, hub(), person().account_id)
        held = passkeys.passkeys_of(session, hub(), person().account_id)
    return render_template(
        "account.html",
        passkeys=len(held),
        place=_place(person()),
        sessions=mine,
        here_id=this_session().id,
        me=this_session(),
        left=left,
        changed=bool(asked.query["diganti"]),
    )


@bp.post("/akun/sesi/<sign_in_id>/akhiri")
@signed_in
@takes_empty_form
def end_session(sign_in_id: str) -> Answer:
    """End one of my sessions; this one is signing out."""
    with hub().database.transaction() as session:
        sessions.end_session(session, hub(), person(), sign_in_id, utc_now())
    if sign_in_id == this_session().id:
        cookie.clear()
    return redirect(url_for("people.account"))


@bp.post("/akun/sesi/akhiri-lainnya")
@signed_in
@takes_empty_form
def end_others() -> Answer:
    """End all my sessions but this one."""
    with hub().database.transaction() as session:
        sessions.end_others(session, hub(), this_session(), utc_now())
    return redirect(url_for("people.account"))


@bp.route("/akun/kata-sandi", methods=["GET", "POST"])
@signed_in
@proven
@takes(schemas.PASSWORD)
def change_password(asked: Asked) -> Answer:
    """Set a new password; every other session ends."""
    if request.method == "GET":
        return render_template("account_password.html", problem=None)
    old, new, problem = (
        asked.form.get("old", ""),
        asked.form.get("password", ""),
        Problem("passwords-differ"),
    )
    if new == asked.form.get("again", ""):
        problem = Problem("password-wrong")
        try:
            changed = sessions.change_password(hub(), this_session(), old, new, utc_now())
        except PersonRefused as refusal:
            changed, problem = False, _in_words(refusal)
        except Problem as spent:
            changed, problem = False, spent
        if changed:
            return redirect(url_for("people.account", diganti=1))
    return _refused("account_password.html", problem)


# -- people -------------------------------------------------------------------------------------------------------


@bp.get("/orang")
@permitted("manage_people")
@takes(schemas.PEOPLE)
def people(asked: Asked) -> Answer:
    """List the people whom I manage: role `peran`, state `keadaan`."""
    role, state = asked.query["peran"], asked.query["keadaan"]
    with hub().database.reading() as session:
        found = register.people(session, hub(), person(), utc_now())
    log_listed(len(found))
    shown = [one for one in found if role in (None, one.role) and state in (None, one.state)]
    return render_template("people.html", people=shown, total=len(found), role=role, state=state)


def log_listed(count: int) -> None:
    """Log that people were listed, before their names are sent."""
    with hub().database.transaction() as session:
        actor, details = acting(), {"people": count}
        audit.append(
            session,
            hub().district,
            audit.OFFICE,
            "people.listed",
            actor=actor,
            now=utc_now(),
            details=details,
        )


@bp.route("/orang/undang", methods=["GET", "POST"])
@permitted("manage_people")
@proven
@takes(schemas.INVITE)
def invite(asked: Asked) -> Answer:
    """Choose a role, then say who and where; the one-time link is shown once."""
    role = asked.query["peran"]
    with hub().database.reading() as session:
        places = {name: register.places_to_give(session, hub(), person(), name) for name in ROLES}
    if role is None:
        given = {name: words for name, words in ROLES.items() if places[name]}
        return render_template("people_roles.html", roles=given)
    kinds = sorted({place.kind for place in places[role]}, key=list(SCOPE_KINDS).index)
    shown = {"role": role, "places": places[role], "kinds": kinds, "given": asked.form}
    if request.method == "GET":
        return render_template("people_invite.html", problem=None, **shown)
    kind, _, scope = asked.form.get("scope", "").partition(":")
    try:
        invited = add_person(asked.form.get("username", ""), asked.form.get("name", ""), role, kind, scope)
    except PersonRefused as refusal:
        return _refused("people_invite.html", _in_words(refusal), **shown)
    return _link(*invited)


def add_person(username: str, name: str, role: str, kind: str, scope: str) -> tuple[Account, str]:
    """Add a person within the area of the person who asks, and invite them; return the account and the invitation's token.

    Raises
    ------
    PersonRefused
        What is wrong, field by field.
    Problem
        `not-allowed` for a place outside the own area.
    """
    actor, now = acting(), utc_now()
    with hub().database.transaction() as session:
        account_id = register.add_account(
            session, hub(), username, name, role, kind, scope, None, actor=actor, now=now
        )
        if not register.may_give(session, hub(), person(), kind, scope):
            raise Problem("not-allowed")
        added = register.managed_account(session, hub(), person(), account_id)
        return added, register.make_invitation(session, hub(), added, actor=actor, now=now)


def reset_person(account_id: str) -> tuple[Account, str]:
    """Invite a person again: they set a new password and a new second factor.

    Raises
    ------
    Problem
        `record-unknown` outside the own area, `own-account`, `account-disabled`.
    """
    actor = acting()
    with hub().database.transaction() as session:
        found = _other(session, account_id)
        return found, register.make_invitation(session, hub(), found, actor=actor, now=utc_now())


def shut_out(account_id: str, *, out: bool) -> None:
    """Disable or enable an account.

    Raises
    ------
    Problem
        `record-unknown` outside the own area, `own-account`.
    """
    change = register.disable if out else register.enable
    actor = acting()
    with hub().database.transaction() as session:
        change(session, hub(), _other(session, account_id), actor=actor, now=utc_now())


def _other(session: Session, account_id: str) -> Account:
    found = register.managed_account(session, hub(), person(), account_id)
    if found.id == person().account_id:
        raise Problem("own-account")
    return found


def link_of(token: str) -> str:
    """Return the whole address of an invitation."""
    return public_address(f"{url_for('people.invitation')}#{token}")


def _link(invited: Account, token: str) -> str:
    return render_template(
        "people_link.html", invited=invited, link=link_of(token), days=register.INVITATION_DAYS
    )


@bp.post("/orang/<account_id>/atur-ulang")
@permitted("manage_people")
@proven
@takes_empty_form
def reset(account_id: str) -> Answer:
    """Show a new one-time link for a person who lost password, phone or invitation."""
    return _link(*reset_person(account_id))


@bp.post("/orang/<account_id>/nonaktifkan")
@permitted("manage_people")
@takes_empty_form
def disable(account_id: str) -> Answer:
    """Disable an account."""
    shut_out(account_id, out=True)
    return redirect(url_for("people.people"))


@bp.post("/orang/<account_id>/aktifkan")
@permitted("manage_people")
@proven
@takes_empty_form
def enable(account_id: str) -> Answer:
    """Enable an account again."""
    shut_out(account_id, out=False)
    return redirect(url_for("people.people"))
