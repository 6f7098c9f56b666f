"""For operators: one structured log line per request, metrics, health. Never a path, a query, a body or a name: the route's
pattern is logged instead of the address, so nothing personal gets into a log.
"""

import time
from datetime import UTC, datetime
from hmac import compare_digest
from typing import Final
from urllib.parse import urlsplit

import structlog
from flask import Blueprint, Flask, Response, g, jsonify, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
    multiprocess,
)
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from server import isolation
from server.audit import witnesses
from server.config import metrics_directory
from server.context import AppContext
from server.database.ids import new_id
from server.database.migrations import newest, revision_of
from server.database.models import Flag, Notice, Tablet
from server.errors import Problem
from server.operations.recomputation import rounds
from server.supervision import mass_reading
from server.web import current

bp = Blueprint("observed", __name__)

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
LOOPBACK: Final = ("127.0.0.1", "::1", "::ffff:127.0.0.1")
PROXIED: Final = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")
"""Headers that a proxy adds: then a request from this machine was made for a client elsewhere."""

REQUESTS = Counter("posyandu_requests", "Requests answered", ["route", "method", "status"])
SECONDS = Histogram(
    "posyandu_request_seconds",
    "Time to answer",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10),
)
OUTCOMES = Counter("posyandu_refusals", "Requests refused as a whole", ["code"])


def init_app(app: Flask) -> None:
    """Time, number and log every request."""
    log = structlog.get_logger("posyandu.http")

    @app.before_request
    def begin() -> None:
        g.started = time.perf_counter()
        g.request_id = new_id()

    @app.after_request
    def end(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else "unknown"
        method = request.method if request.method in METHODS else "other"  # a client may send any word
        seconds = time.perf_counter() - g.get("started", time.perf_counter())
        REQUESTS.labels(route, method, str(response.status_code)).inc()
        SECONDS.labels(route).observe(seconds)
        if g.get("problem"):
            OUTCOMES.labels(g.problem).inc()
        response.headers["X-Request-ID"] = g.get("request_id", "")
        log.info(
            "request",
            request_id=g.get("request_id"),
            method=method,
            route=route,
            status=response.status_code,
            ms=round(seconds * 1000, 1),
            bytes_in=request.content_length or 0,
            bytes_out=response.content_length or 0,
            problem=g.get("problem"),
        )
        return response


@bp.get("/healthz")
def alive() -> Response:
    """Answer that the process is running."""
    return jsonify(status="ok")


@bp.get("/readyz")
def ready() -> tuple[Response, int]:
    """Answer whether requests can be served: database reached and of this release's schema.

    Uses a connection of the pool, as every page does, since anybody may ask. An open connection to SQLite still answers when
    its file is gone, so that is looked at too.
    """
    hub = current.hub()
    file = hub.settings.sqlite_file
    try:
        with hub.database.reading() as session:
            revision = revision_of(session.connection())
    except SQLAlchemyError:
        return jsonify(status="unavailable", why="the database cannot be reached"), 503
    if file is not None and not file.exists():
        return jsonify(status="unavailable", why="the database's file is gone"), 503
    if revision != newest():
        return jsonify(status="unavailable", why=f"schema {revision}, this release needs {newest()}"), 503
    return jsonify(status="ready"), 200


@bp.get("/metrics")
def metrics() -> Response:
    """Return the Prometheus metrics of all workers to who may have them (`_may_collect`)."""
    hub = current.hub()
    if not _may_collect(hub.settings.metrics_token):
        raise Problem("not-allowed")
    registry = CollectorRegistry()
    if metrics_directory():
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # untyped library
    body = generate_latest(registry if metrics_directory() else REGISTRY)
    try:
        gauges = _gauges(hub)
    except SQLAlchemyError:
        gauges = b"# TYPE posyandu_database_up gauge\nposyandu_database_up 0\n"
    return Response(body + gauges, mimetype=CONTENT_TYPE_LATEST.split(";")[0])


def _may_collect(token: str) -> bool:
    """Say whether the client may have the metrics: it has the token; or, where none is set, it is on this machine.

    A proxy on this machine asks from here too, for clients elsewhere. It is known by the headers that it adds; one that adds
    none, by the host that its client has asked for; one that changes the host too, by nothing: there a token must be set.
    """
    if token:
        return compare_digest(request.headers.get("Authorization", "").encode(), f"Bearer {token}".encode())
    asked = urlsplit(f"//{request.host}").hostname
    here = request.remote_addr in LOOPBACK and asked in (*LOOPBACK, "localhost")
    return here and not any(name in request.headers for name in PROXIED)


def _gauges(hub: AppContext) -> bytes:
    """Return gauges that are counted in the database, so that all workers agree."""
    with hub.database.reading() as session:
        flagged = session.execute(
            select(Flag.urgency, func.count(Flag.child_id.distinct()))
            .where(Flag.district == hub.district)
            .group_by(Flag.urgency)
        ).all()
        newest_sync = session.execute(
            select(func.max(Tablet.last_sync_at)).where(Tablet.district == hub.district)
        ).scalar()
        set_aside = isolation.counts(session, hub)
        much_read = session.execute(
            select(func.count()).where(Notice.district == hub.district, Notice.kind == mass_reading.KIND)
        ).scalar_one()
        round_ = rounds.Round.stored(session, hub)
        share, differing = rounds.share_done(session, hub, round_), rounds.count_standing(session, hub)
        vouched = witnesses.vouches(session, hub.district, datetime.now(UTC))
    lines = ["# TYPE posyandu_database_up gauge", "posyandu_database_up 1"]
    lines += ["# TYPE posyandu_mass_readings gauge", f"posyandu_mass_readings {much_read}"]
    lines += ["# TYPE posyandu_set_aside gauge"]
    lines += [f'posyandu_set_aside{{kind="{kind}"}} {count}' for kind, count in set_aside.items()]
    lines += ["# TYPE posyandu_differences gauge", f"posyandu_differences {differing}"]
    lines += ["# TYPE posyandu_round_share gauge", f"posyandu_round_share {share:.3f}"]
    if round_.ended is not None:
        age = (datetime.now(UTC) - round_.ended).total_seconds()
        lines += ["# TYPE posyandu_seconds_since_round gauge", f"posyandu_seconds_since_round {age:.0f}"]
    lines += ["# TYPE posyandu_silent_witnesses gauge"]
    lines += [f"posyandu_silent_witnesses {sum(one.is_silent for one in vouched)}"]
    lines += ["# TYPE posyandu_flagged_children gauge"]
    lines += [f'posyandu_flagged_children{{urgency="{urgency}"}} {count}' for urgency, count in flagged]
    if newest_sync is not None:
        age = (datetime.now(UTC) - newest_sync).total_seconds()
        lines += ["# TYPE posyandu_seconds_since_sync gauge", f"posyandu_seconds_since_sync {age:.0f}"]
    return ("\n".join(lines) + "\n").encode()
