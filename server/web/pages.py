"""What health-centre staff see: sign-in, the queue of flagged children, a child's page; and the queue as JSON.

Rules kept here:
- Who asks is known before anything is read; what they may see is decided in `server.review`, never in a template.
- A page with personal data is logged before it is sent, and an address never holds a name.
- Every page works without JavaScript. Nothing here is ours to render inline: the policy forbids it.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import wraps
from typing import Any, Final, ParamSpec

from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    current_app,
    g,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask import session as cookie
from werkzeug.wrappers import Response as AnyResponse

from server import accounts, review
from server.accounts import Person
from server.errors import Problem
from server.flags import RULES
from server.growth.status import SCREENING_NOTE
from server.hub import Hub
from server.review import Queue, QueueRow, Scope
from server.web import words
from server.web.charts import growth_charts

bp = Blueprint("pages", __name__)

PAGE_ROWS: Final = 50
MOST_ROWS: Final = 200
CHIP_POSTS: Final = 6
"""With more posts than this the queue offers a list to choose from and no chips."""
COOKIE_DAYS: Final = 365
_SAFE_PATH: Final = re.compile(r"/(?![/\\])[A-Za-z0-9/_\-?=&.%]*")

P = ParamSpec("P")
View = Callable[P, AnyResponse | str | tuple[str, int]]


def init_app(app: Flask) -> None:
    """Give every template its words, and the person who is signed in."""
    words.init_app(app)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.context_processor(lambda: {"person": g.get("person"), "here": _here()})


def hub() -> Hub:
    """Give the installation that this application serves."""
    opened: Hub = current_app.extensions["hub"]
    return opened


@bp.before_request
def recognise() -> None:
    """Find out who asks."""
    token = cookie.get("token")
    if token:
        with hub().database.reading() as session:
            g.person = accounts.who_is(session, hub(), token, datetime.now(UTC))


def signed_in(view: View[P]) -> View[P]:
    """Let only people in: others are shown the way to sign in, programs are told 401."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> AnyResponse | str | tuple[str, int]:
        if g.get("person") is not None:
            return view(*args, **kwargs)
        if request.path.startswith("/api/"):
            raise Problem("sign-in-required")
        return redirect(url_for("pages.sign_in", next=_here()))

    return guarded


def _person() -> Person:
    person: Person = g.person
    return person


def _here() -> str:
    """Give this page's own address, to come back to; the front page where going back would repeat something."""
    if request.method != "GET" or request.endpoint in (None, "pages.sign_in", "pages.choose_language"):
        return _safe(request.args.get("next"))
    return _safe(request.full_path.rstrip("?"))


def _safe(path: str | None) -> str:
    """Give a path of this site; anything that a browser could take for another site becomes the front page."""
    return path if path and _SAFE_PATH.fullmatch(path) else "/"


# -- signing in and out ---------------------------------------------------------------------------


@bp.route("/masuk", methods=["GET", "POST"])
def sign_in() -> AnyResponse | tuple[str, int]:
    """Show the form, or check what was filled in."""
    if request.method == "GET":
        return make_response(render_template("sign_in.html", problem=None, username=""))
    username, password = request.form.get("username", ""), request.form.get("password", "")
    problem = Problem("sign-in-failed")
    try:
        with hub().database.transaction() as session:
            token = accounts.sign_in(session, hub(), username, password, datetime.now(UTC))
    except Problem as locked:
        token, problem = None, locked
    if token is None:
        g.problem = problem.code
        page = render_template("sign_in.html", problem=problem.body(), username=username)
        return page, problem.kind.status
    cookie.clear()  # nothing of an earlier visitor's session lives on
    cookie["token"] = token
    return redirect(_safe(request.args.get("next")))


@bp.post("/keluar")
def sign_out() -> AnyResponse:
    """End the session, here and on the server."""
    if g.get("person") is not None:
        with hub().database.transaction() as session:
            accounts.sign_out(session, hub(), cookie["token"], _person(), datetime.now(UTC))
    cookie.clear()
    return redirect(url_for("pages.sign_in"))


@bp.get("/bahasa/<code>")
def choose_language(code: str) -> AnyResponse:
    """Remember a language, and go back."""
    if code not in words.LANGUAGES:
        abort(404)
    response = redirect(_safe(request.args.get("next")))
    response.set_cookie(
        words.LANGUAGE_COOKIE,
        code,
        max_age=COOKIE_DAYS * 86_400,
        secure=hub().settings.cookie_secure,
        httponly=True,
        samesite="Lax",
    )
    return response


# -- the queue ------------------------------------------------------------------------------------


@bp.get("/")
@signed_in
def front() -> AnyResponse:
    """Send people to what they come for."""
    return redirect(url_for("pages.queue"))


@bp.get("/antrean")
@signed_in
def queue() -> str:
    """Show the children who need a second look, most urgent first."""
    chosen = _filters("urgensi", "pos", "aturan")
    number = _whole("hal", 1, 100_000, 1)
    shown = _load_queue(chosen, PAGE_ROWS, (number - 1) * PAGE_ROWS)

    def address(**changes: Any) -> str:
        """Give the queue's address with a filter changed; a change of filter goes back to the first page."""
        now = {"urgensi": chosen["urgency"], "pos": chosen["post_id"], "aturan": chosen["rule"], **changes}
        return url_for("pages.queue", **{name: value for name, value in now.items() if value is not None})

    return render_template(
        "queue.html",
        queue=shown,
        chosen=chosen,
        address=address,
        number=number,
        pages=max(1, -(-shown.total // PAGE_ROWS)),
        everybody=sum(shown.by_urgency.values()),
        chips=len(shown.by_post) <= CHIP_POSTS,
        shows_names=Scope.of(_person()).shows_names,
    )


@bp.get("/api/v1/flags")
@signed_in
def flags() -> Response:
    """Give the same as JSON: `urgency`, `post`, `rule`, `limit` (1 to 200) and `offset` as in the page."""
    chosen = _filters("urgency", "post", "rule")
    shown = _load_queue(chosen, _whole("limit", 1, MOST_ROWS, PAGE_ROWS), _whole("offset", 0, 10_000_000, 0))
    return jsonify(
        total=shown.total,
        limit=shown.limit,
        offset=shown.offset,
        by_urgency={str(urgency): count for urgency, count in shown.by_urgency.items()},
        by_rule=shown.by_rule,
        by_post=[{"id": p.post_id, "name": p.name, "children": p.children} for p in shown.by_post],
        children=[_as_json(row) for row in shown.rows],
        screening_note={"id": SCREENING_NOTE.id, "en": SCREENING_NOTE.en},
    )


def _load_queue(chosen: Mapping[str, Any], limit: int, offset: int) -> Queue:
    """Load a page of the queue and log that it was seen."""
    person, now = _person(), datetime.now(UTC)
    with hub().database.reading() as session:
        shown = review.queue(session, hub(), Scope.of(person), limit=limit, offset=offset, **chosen)
    with hub().database.transaction() as session:
        review.log_queue_viewed(session, hub(), person, shown, now)
    return shown


def _filters(urgency: str, post: str, rule: str) -> dict[str, Any]:
    """Read the queue's filters from the address, under these names."""
    named = request.args.get(rule) or None
    if named is not None and named not in RULES:
        raise Problem("request-malformed", reason=rule)
    return {
        "urgency": _whole(urgency, 1, 4, None),
        "post_id": _post(request.args.get(post) or None, post),
        "rule": named,
    }


def _post(given: str | None, name: str) -> str | None:
    if given is not None and not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", given):
        raise Problem("request-malformed", reason=name)
    return given


def _whole(name: str, low: int, high: int, default: Any) -> Any:
    """Read a whole number from the address.

    Raises
    ------
    Problem
        `request-malformed`, naming the parameter.
    """
    text = request.args.get(name, "")
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
        raise Problem("request-malformed", reason=name)
    return int(text)


def _as_json(row: QueueRow) -> dict[str, Any]:
    newest = row.newest
    return {
        "id": row.child_id,
        "name": row.name,
        "sex": row.sex,
        "born_on": row.born_on.isoformat() if row.born_on else None,
        "post": {"id": row.post_id, "name": row.post_name},
        "urgency": row.urgency,
        "flags": [
            {
                "rule": raised.rule,
                "urgency": raised.urgency,
                "subject": raised.subject,
                "details": dict(raised.details),
                "raised_at": raised.raised_at.isoformat(timespec="seconds"),
            }
            for raised in row.flags
        ],
        "newest": {
            "measured_on": newest.measured_on.isoformat(),
            "source": newest.source,
            "age_months": newest.age_months,
            "haz": newest.haz,
            "waz": newest.waz,
            "whz": newest.whz,
            "gain": newest.gain_code,
        }
        if newest
        else None,
    }


# -- one child ------------------------------------------------------------------------------------


@bp.get("/anak/<child_id>")
@signed_in
def child(child_id: str) -> str:
    """Show a child: what is flagged and why, growth charts, every measurement and who took it."""
    person, now = _person(), datetime.now(UTC)
    today = hub().settings.today(now)
    with hub().database.reading() as session:
        shown = review.child_view(session, hub(), Scope.of(person), child_id, today)
    with hub().database.transaction() as session:
        review.log_child_viewed(session, hub(), person, shown, now)
    near = request.args.get("grafik") == "dekat"
    return render_template(
        "child.html",
        child=shown,
        newest=next((visit for visit in shown.visits if visit.candidates), None),
        charts=growth_charts(shown.sex, shown.visits, near=near) if shown.sex else (),
        near=near,
        shows_names=Scope.of(person).shows_names,
    )
