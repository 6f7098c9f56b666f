"""Import and export as JSON: send a file, see what it would change, apply it, decide about its rows, export."""

from datetime import date
from typing import Any

from flask import Response, jsonify

from server.errors import Problem
from server.interchange import cases, uploads
from server.interchange.report_text import chosen
from server.sync import server_edits
from server.web.api.staff import bp
from server.web.auth import permitted
from server.web.current import acting, hub, scope, utc_now
from server.web.pages import interchange
from server.web.proof import proven
from server.web.request_schemas import interchange as schemas
from server.web.request_schemas.schema import Asked, takes
from server.web.response_schemas import interchange as answer_schemas
from server.web.response_schemas.schema import answers


@bp.post("/imports")
@permitted("decide")
@answers(answer_schemas.RUN_ROWS)
@takes(schemas.RECEIVE)
def receive_import(asked: Asked) -> Response:
    """Keep a file (the body as it is) and say what it would change: the summary, and the rows that need a decision.

    In the address: `post`, the post of all rows for sheets that name none; `add_posts=1` to add posyandu first.
    """
    run_id = uploads.receive(
        hub(),
        scope(),
        asked.file,
        post_id=asked.query["post"],
        add_posts=asked.query["add_posts"] == "1",
        actor=acting(),
        now=utc_now(),
    )
    return _report(asked, run_id)


@bp.get("/imports")
@permitted("decide")
@answers(answer_schemas.RUNS)
def list_imports() -> Response:
    """List the newest files in scope."""
    with hub().database.reading() as session:
        return jsonify(imports=[run.wire() for run in uploads.runs(session, hub(), scope())])


@bp.get("/imports/<uuid:run_id>")
@permitted("decide")
@answers(answer_schemas.RUN_ROWS)
@takes(schemas.RUN_JSON)
def read_import(asked: Asked, run_id: Any) -> Response:
    """Return a file: what it would change, or what it changed. `rows` (needs, all or an outcome), `limit`, `offset`."""
    return _report(asked, str(run_id))


def _report(asked: Asked, run_id: str) -> Response:
    limit, offset = asked.query["limit"], asked.query["offset"]
    with hub().database.reading() as session:
        run = uploads.run_of(session, hub(), scope(), run_id)
        foreseen = uploads.preview(session, hub(), run) if run.waits else None
        found = foreseen.results if foreseen else uploads.results(session, hub(), run)
    rows = chosen(found, interchange.rows_asked(asked.query["rows"]))
    return jsonify(
        run=run.wire(),
        foreseen=foreseen.report if foreseen else None,
        looked_at=foreseen.at.isoformat() if foreseen else None,
        total=len(rows),
        limit=limit,
        offset=offset,
        rows=rows[offset : offset + limit],
    )


@bp.post("/imports/<uuid:run_id>/<any(apply, look, discard):action>")
@permitted("decide")
@answers(answer_schemas.CHANGED)
@takes(schemas.CHANGE_RUN_JSON)
def change_import(asked: Asked, run_id: Any, action: str) -> Response:
    """Apply a file that waits, for some seconds: `rows_done` of `rows` are done, so ask again until all are. Or look at it
    again, or discard it."""
    now, who = utc_now(), acting()
    with hub().database.reading() as session:
        run = uploads.run_of(session, hub(), scope(), str(run_id))
    if action == "apply":
        return jsonify(uploads.step(hub(), run, actor=who, now=now).wire())
    if action == "look":
        uploads.renew_preview(hub(), run, actor=who, now=now)
        return _report(asked, run.id)
    with hub().database.transaction() as session:
        uploads.discard(session, hub(), run, actor=who, now=now)
    return jsonify(id=run.id, state=uploads.DISCARDED)


@bp.get("/import-cases")
@permitted("decide")
@answers(answer_schemas.CASES)
@takes(schemas.CASES_JSON)
def list_import_cases(asked: Asked) -> Response:
    """List the rows that wait for a decision: `status` (open, decided), `import`, `question`, `limit`, `offset`. Logged."""
    limit, offset = asked.query["limit"], asked.query["offset"]
    with hub().database.reading() as session:
        found, total = cases.cases(
            session,
            hub(),
            scope(),
            status=asked.query["status"],
            run_id=asked.query["import"],
            question=asked.query["question"],
            limit=limit,
            offset=offset,
        )
    with hub().database.transaction() as session:
        cases.log_listed(session, hub(), acting(), len(found), utc_now())
    return jsonify(total=total, limit=limit, offset=offset, cases=[case.wire() for case in found])


@bp.post("/import-cases/<uuid:case_id>/decide")
@permitted("decide")
@answers(answer_schemas.DECIDED)
@takes(schemas.DECIDE_CASE_JSON)
def decide_import_case(asked: Asked, case_id: Any) -> Response:
    """Decide about a row: `decision` (child, new, theirs, skip), and `child` with the first."""
    now, who, mine = utc_now(), acting(), scope()
    child = asked.json.get("child")
    outcome = server_edits.decide(
        hub(),
        lambda session: cases.decide(
            session,
            hub(),
            mine,
            str(case_id),
            str(asked.json.get("decision")),
            child_id=str(child) if child is not None else None,
            author=who,
            now=now,
        ),
    )
    return jsonify(id=str(case_id), outcome=outcome)


@bp.post("/exports")
@permitted("decide")
@proven
@answers(None, media_type="*/*")
@takes(schemas.EXPORT_JSON)
def export_data(asked: Asked) -> Response:
    """Export: `form`, `first` and `last` day, `area` ({kind, id}, a part of the own), `anonymous`; `file` (xlsx,
    csv) and `full_nik` for Sigizi's sheets."""
    given = asked.json
    try:
        days = date.fromisoformat(str(given.get("first"))), date.fromisoformat(str(given.get("last")))
    except ValueError:
        raise Problem("request-malformed", reason="first, last: 2026-03-01") from None
    area = given.get("area") or {}
    if not isinstance(area, dict):
        raise Problem("request-malformed", reason="area: {kind, id}")
    return interchange.send(
        str(given.get("form")),
        *days,
        area=(str(area["kind"]), str(area.get("id"))) if area.get("kind") else None,
        anonymous=given.get("anonymous") is True,
        full_nik=given.get("full_nik") is True,
        as_csv=given.get("file") == "csv",
    )
