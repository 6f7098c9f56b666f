"""Pages of passkeys: the own ones, and signing in with one alone. As a second step they are on the page of codes, as a proof
on that of the question (`server.web.proof`).
"""

from flask import g, redirect, render_template, url_for

from server.accounts import passkeys
from server.errors import Problem
from server.web.auth import address, browser, let_in, safe_path, signed_in, this_session
from server.web.current import hub, person, utc_now
from server.web.pages.people import Answer, bp
from server.web.proof import proven
from server.web.request_schemas import accounts as schemas
from server.web.request_schemas.schema import Asked, takes, takes_empty_form


@bp.get("/akun/kunci-sandi")
@signed_in
def my_passkeys() -> Answer:
    """List my passkeys, and offer to add one."""
    return _page()


def _page(problem: Problem | None = None, typed: str = "") -> Answer:
    options = None
    with hub().database.reading() as session:
        mine = passkeys.passkeys_of(session, hub(), person().account_id)
        if this_session().has_second_factor:
            options = passkeys.creation_options(session, hub(), this_session(), utc_now())
    shown = {"passkeys": mine, "options": options, "me": this_session(), "typed": typed}
    if problem is None:
        return render_template("account_passkeys.html", problem=None, **shown)
    g.problem = problem.code
    return render_template("account_passkeys.html", problem=problem.body(), **shown), problem.kind.status


@bp.post("/akun/kunci-sandi")
@signed_in
@proven
@takes(schemas.NEW_PASSKEY)
def add_passkey(asked: Asked) -> Answer:
    """Keep a passkey that the browser has made."""
    name, answer = asked.form.get("name", ""), asked.form.get("answer", "")
    try:
        with hub().database.transaction() as session:
            passkeys.register(session, hub(), this_session(), answer, name, utc_now())
    except Problem as problem:
        return _page(problem, name)
    return redirect(url_for("people.my_passkeys"))


@bp.post("/akun/kunci-sandi/<passkey_id>/nama")
@signed_in
@takes(schemas.PASSKEY_NAME)
def rename_passkey(asked: Asked, passkey_id: str) -> Answer:
    """Give one of my passkeys another name."""
    try:
        with hub().database.transaction() as session:
            passkeys.rename(session, hub(), this_session(), passkey_id, asked.form.get("name", ""), utc_now())
    except Problem as problem:
        if problem.code == "record-unknown":
            raise
        return _page(problem)
    return redirect(url_for("people.my_passkeys"))


@bp.post("/akun/kunci-sandi/<passkey_id>/hapus")
@signed_in
@proven
@takes_empty_form
def remove_passkey(passkey_id: str) -> Answer:
    """Remove one of my passkeys."""
    with hub().database.transaction() as session:
        passkeys.remove(session, hub(), this_session(), passkey_id, utc_now())
    return redirect(url_for("people.my_passkeys"))


@bp.post("/masuk/kunci-sandi")
@takes(schemas.PASSKEY_SIGN_IN)
def sign_in_with_passkey(asked: Asked) -> Answer:
    """Sign somebody in by a passkey alone."""
    now, problem = utc_now(), Problem("passkey-failed")
    try:
        with hub().database.transaction() as session:
            answer = asked.form.get("answer", "")
            token = passkeys.sign_in(session, hub(), answer, now, address=address(), agent=browser())
    except Problem as spent:
        token, problem = None, spent
    if token is None:
        g.problem = problem.code
        shown = {"problem": problem.body(), "username": "", "passkey": passkeys.sign_in_options(hub(), now)}
        return render_template("sign_in.html", **shown), problem.kind.status
    let_in(token)
    return redirect(safe_path(asked.query["next"]))
