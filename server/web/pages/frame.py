"""The frame of all pages: what every template gets, signing in and out, the language, the front page.

Rules kept here:
- The person is known before anything is read; what they may see is decided in `server.review`, never in a template.
- A page with personal data is logged before it is sent, and an address never holds a name.
- Every page works without JavaScript. The Content-Security-Policy forbids inline scripts and styles.
"""

from typing import Any, Final

from flask import (
    Blueprint,
    Flask,
    abort,
    g,
    make_response,
    redirect,
    render_template,
    request,
    session as cookie,
    url_for,
)
from werkzeug.wrappers import Response as AnyResponse

from server import accounts
from server.accounts import passkeys
from server.errors import Problem
from server.web import formatting, known_browser
from server.web.auth import address, browser, let_in, safe_path, signed_in, this_session
from server.web.current import hub, person, utc_now
from server.web.navigation import links
from server.web.request_schemas import accounts as schemas
from server.web.request_schemas.schema import Asked, takes, takes_empty_form

bp = Blueprint("pages", __name__)

COOKIE_DAYS: Final = 365


def init_app(app: Flask) -> None:
    """Register the words of templates, and who is signed in."""
    formatting.init_app(app)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.context_processor(_in_every_template)


def _in_every_template() -> dict[str, Any]:
    """Return who is signed in, `waiting` (the person before the second factor), and the navigation links."""
    waiting = None if g.get("person") or "signed_in" not in g else this_session().person
    return {"person": g.get("person"), "waiting": waiting, "here": _here(), "links": links}


def _here() -> str:
    """Return this page's address, to come back to. After a POST `next`, and on an error page the front page: what somebody
    typed into an address, perhaps a NIK, must not be shown again."""
    if g.get("problem"):
        return "/"
    if request.method != "GET" or request.endpoint in (None, "pages.sign_in", "pages.choose_language"):
        return safe_path(request.args.get("next"))
    return safe_path(request.full_path.rstrip("?"))


# -- signing in and out ---------------------------------------------------------------------------


@bp.route("/masuk", methods=["GET", "POST"])
@takes(schemas.SIGN_IN)
def sign_in(asked: Asked) -> AnyResponse | tuple[str, int]:
    """Show the form, or check what was filled in."""
    shown = {"problem": None, "username": "", "passkey": passkeys.sign_in_options(hub(), utc_now())}
    if request.method == "GET":
        return make_response(render_template("sign_in.html", **shown))
    username, password = asked.form.get("username", ""), asked.form.get("password", "")
    problem = Problem("sign-in-failed")
    try:
        # signing in again ends the session before
        replaced = (cookie["token"], this_session().person) if "signed_in" in g else None
        how = {"address": address(), "known": known_browser.known_as(username), "agent": browser()}
        token = accounts.sign_in(hub(), username, password, utc_now(), replaced=replaced, **how)
    except Problem as locked:
        token, problem = None, locked
    if token is None:
        g.problem = problem.code
        page = render_template("sign_in.html", **shown | {"problem": problem.body(), "username": username})
        return page, problem.kind.status
    let_in(token)
    came_in = redirect(safe_path(asked.query["next"]))
    known_browser.remember(came_in, username)
    return came_in


@bp.post("/keluar")
@takes_empty_form
def sign_out() -> AnyResponse:
    """End the session, here and on the server."""
    if "signed_in" in g:
        with hub().database.transaction() as session:
            accounts.sign_out(session, hub(), cookie["token"], this_session().person, utc_now())
    cookie.clear()
    return redirect(url_for("pages.sign_in"))


@bp.get("/bahasa/<code>")
@takes(schemas.LANGUAGE)
def choose_language(asked: Asked, code: str) -> AnyResponse:
    """Remember a language, and go back."""
    if code not in formatting.language_names():
        abort(404)
    response = redirect(safe_path(asked.query["next"]))
    response.set_cookie(
        hub().settings.cookie(formatting.LANGUAGE_COOKIE),
        code,
        max_age=COOKIE_DAYS * 86_400,
        secure=hub().settings.cookie_secure,
        httponly=True,
        samesite="Lax",
    )
    return response


@bp.get("/")
@signed_in
def front() -> AnyResponse:
    """Redirect to the first page of the person's role."""
    who = person()
    if who.may("manage_people"):
        return redirect(url_for("people.people"))
    if who.may("see_children"):
        return redirect(url_for("pages.queue"))
    ends = {"see_figures": "figures.own", "manage_aid": "aid.overview", "see_own_aid": "aid.own"}
    end = next((end for permission, end in ends.items() if who.may(permission)), "people.welcome")
    return redirect(url_for(end))
