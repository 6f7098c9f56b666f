"""create_app: wiring, no logic."""

from typing import Any

import structlog
from flask import Flask, Response, g, jsonify, make_response, render_template, request
from flask_wtf.csrf import CSRFError, CSRFProtect
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

from schemas.batch import Malformed
from server.accounts import forged_rows
from server.backup.withdrawals import follow
from server.config import Settings
from server.context import AppContext
from server.database.row_macs import RowForged
from server.errors import Problem
from server.logs import start_logging
from server.web import auth, current, health_metrics, tablet_app
from server.web.api import (  # noqa: F401  # some modules add routes to another's blueprint
    aid as aid_api,
    checkpoints as checkpoints_api,
    completeness as completeness_api,
    conflicts as conflicts_api,
    duplicates as duplicates_api,
    forgotten_pin as recovery_api,
    interchange as interchange_api,
    moves as moves_api,
    openapi,
    people as people_api,
    privacy as privacy_api,
    protocol as protocol_api,
    quarantine as quarantine_api,
    relay as relay_api,
    staff as staff_api,
    sync as sync_api,
    tablets as tablets_api,
    witness as witness_api,
)
from server.web.api.sync import TurnTaken
from server.web.connections.refusals import busy, retry_seconds
from server.web.pages import (  # noqa: F401  # some modules add routes to another's blueprint
    aid as aid_pages,
    audit as audit_pages,
    child as child_pages,
    conflicts as conflicts_pages,
    decisions as decisions_pages,
    duplicates as duplicates_pages,
    figures as figures_pages,
    follow_ups as follow_ups_pages,
    forgotten_pin as forgotten_pin_pages,
    frame,
    interchange as interchange_pages,
    manage_posts as manage_posts_pages,
    moves as moves_pages,
    passkeys as passkeys_pages,
    people as people_pages,
    posts as posts_pages,
    privacy as privacy_pages,
    proof as proof_pages,
    quarantine as quarantine_pages,
    queue as queue_pages,
    stickers as stickers_pages,
    witnesses as witnesses_pages,
)
from server.web.request_body import MOST_BYTES
from server.web.security_headers import security_headers

SESSION_COOKIE = "posyandu"
BY_STATUS = {
    404: "page-unknown",
    405: "method-not-allowed",
    413: "batch-too-large",
    415: "media-type-unknown",
}


def create_app(settings: Settings, hub: AppContext | None = None) -> Flask:
    """Make the application.

    Parameters
    ----------
    settings : checked
    hub : an opened installation (tests); opened here otherwise, so call this after forking
    """
    start_logging(settings.log_level)
    app = Flask("server.web")
    hub = app.extensions["hub"] = hub or AppContext.open(settings)
    follow(hub)
    app.config.update(
        SECRET_KEY=hub.keys.session_secret,
        SESSION_COOKIE_NAME=settings.cookie(SESSION_COOKIE),
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.cookie_secure,
        MAX_CONTENT_LENGTH=MOST_BYTES,
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session
        WTF_CSRF_SSL_STRICT=False,
    )
    health_metrics.init_app(app)
    app.before_request(_refuse_nameless_parts)  # before anything looks through a form's names
    csrf = CSRFProtect(app)
    csrf.exempt(sync_api.bp)  # signed by a tablet's key, no cookie
    csrf.exempt(relay_api.bp)
    csrf.exempt(recovery_api.bp)
    csrf.exempt(witness_api.bp)  # signed by a log's key, no cookie
    auth.init_app(app)
    frame.init_app(app)
    tablet_app.init_app(app, settings)
    if settings.proxies:  # without one anybody could write the headers
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.proxies, x_proto=settings.proxies)  # type: ignore[method-assign]
    for blueprint in (
        sync_api.bp,
        relay_api.bp,
        recovery_api.bp,
        protocol_api.bp,
        witness_api.bp,
        tablet_app.bp,
        health_metrics.bp,
        openapi.bp,
        frame.bp,
        decisions_pages.bp,
        follow_ups_pages.bp,
        aid_pages.bp,
        people_pages.bp,
        posts_pages.bp,
        stickers_pages.bp,
        forgotten_pin_pages.bp,
        privacy_pages.bp,
        audit_pages.bp,
        interchange_pages.bp,
        manage_posts_pages.bp,
        figures_pages.bp,
        staff_api.bp,
    ):
        app.register_blueprint(blueprint)
    _answer_errors(app)
    app.after_request(_harden)
    return app


def _refuse_nameless_parts() -> None:
    """Refuse a form with a part that has no name: none of ours has one, and libraries take for granted that each has."""
    if request.mimetype == "multipart/form-data" and None in {*request.form, *request.files}:
        raise Problem("request-malformed", reason='Content-Disposition: form-data; name="…"')


def _harden(response: Response) -> Response:
    for name, value in security_headers(current.hub().settings).items():
        response.headers.setdefault(name, value)
    if not request.path.startswith("/static/"):
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _answer_errors(app: Flask) -> None:
    log = structlog.get_logger("posyandu.http")

    @app.errorhandler(Problem)
    def refused(problem: Problem) -> Response:
        return _problem(problem)

    @app.errorhandler(RowForged)
    def not_ours(forged: RowForged) -> Response:
        forged_rows.tell(current.hub(), forged, current.utc_now())
        return _problem(forged)

    @app.errorhandler(Malformed)
    def malformed(error: Malformed) -> Response:
        code = error.code if error.code in ("batch-malformed", "enrolment-malformed") else "batch-malformed"
        return _problem(Problem(code, reasons=[reason.wire() for reason in error.reasons]))

    @app.errorhandler(CSRFError)
    def forged(_error: CSRFError) -> Response:
        return _problem(Problem("csrf-invalid"))

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        if error.code is not None and error.code < 400:
            return make_response(error.get_response())
        code = BY_STATUS.get(error.code or 500, "request-malformed")
        return _problem(Problem(code, limit="16 MiB", reason=error.name))

    @app.errorhandler(TurnTaken)
    def waited(_error: TurnTaken) -> Response:
        return _problem(busy())

    @app.errorhandler(OperationalError)
    def unreachable(error: OperationalError) -> Response:
        log.exception("unhandled", request_id=g.get("request_id"), error=type(error).__name__)
        return _problem(Problem("unavailable", seconds=retry_seconds()))

    @app.errorhandler(Exception)
    def broken(error: Exception) -> Response:
        log.exception("unhandled", request_id=g.get("request_id"), error=type(error).__name__)
        return _problem(Problem("internal", request_id=g.get("request_id", "")))


def _problem(problem: Problem) -> Response:
    g.problem = problem.code
    body: dict[str, Any] = problem.body()
    if request.path.startswith("/api/") or request.accept_mimetypes.best == "application/json":
        response = jsonify(body)
        response.mimetype = "application/problem+json"
    else:
        response = make_response(render_template("problem.html", problem=body))
    response.status_code = problem.kind.status
    if problem.retry_after is not None:
        response.headers["Retry-After"] = str(problem.retry_after)
    return response
