"""The formats of others as JSON, for programs of the office: bring a file, look, apply, decide about rows, take away."""

from datetime import UTC, date, datetime
from typing import Any

from flask import Response, jsonify, request

from server.errors import Problem
from server.interchange import cases, uploads
from server.interchange.import_runs import DECIDED, OPEN
from server.interchange.refusals import QUESTIONS
from server.interchange.report_text import chosen
from server.sync import server_edits
from server.web.api.staff import MOST_ROWS, acting, bp, hub, parse_int, scope, sent
from server.web.auth import permitted
from server.web.pages import interchange


@bp.post("/imports")
@permitted("decide")
def receive_import() -> Response:
    """Keep a file (the body as it is) and say what it would change: the summary, and the rows that need somebody.

    In the address: `post`, the post of all rows for sheets that name none; `add_posts=1` to add posyandu first.
    """
    limit = uploads.PAGE_LIMITS.bytes
    content = request.stream.read(limit + 1)
    if len(content) > limit:
        raise Problem("batch-too-large", limit=f"{limit} bytes")
    run_id = uploads.receive(
        hub(),
        scope(),
        content,
        post_id=request.args.get("post", ""),
        add_posts=request.args.get("add_posts") == "1",
        actor=acting(),
        now=datetime.now(UTC),
    )
    return _told(run_id)


@bp.get("/imports")
@permitted("decide")
def list_imports() -> Response:
    """List the newest files in scope."""
    with hub().database.reading() as session:
        return jsonify(imports=[run.wire() for run in uploads.runs(session, hub(), scope())])


@bp.get("/imports/<uuid:run_id>")
@permitted("decide")
def read_import(run_id: Any) -> Response:
    """Give a file: what it would change, or what became of it. `rows` (needs, all or an outcome), `limit`, `offset`."""
    return _told(str(run_id))


def _told(run_id: str) -> Response:
    limit, offset = parse_int("limit", 1, MOST_ROWS, MOST_ROWS), parse_int("offset", 0, 10_000_000, 0)
    with hub().database.reading() as session:
        run = uploads.run_of(session, hub(), scope(), run_id)
        foreseen = uploads.preview(session, hub(), run) if run.waits else None
        found = foreseen.results if foreseen else uploads.results(session, hub(), run)
    rows = chosen(found, interchange.which("rows"))
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
def change_import(run_id: Any, action: str) -> Response:
    """Take a file that waits, for some seconds: `rows_done` of `rows` are done, so ask again until all are. Or look at it
    again, or throw it away."""
    sent(())
    now, who = datetime.now(UTC), acting()
    with hub().database.reading() as session:
        run = uploads.run_of(session, hub(), scope(), str(run_id))
    if action == "apply":
        return jsonify(uploads.step(hub(), run, actor=who, now=now).wire())
    if action == "look":
        uploads.renew_preview(hub(), run, actor=who, now=now)
        return _told(run.id)
    with hub().database.transaction() as session:
        uploads.discard(session, hub(), run, actor=who, now=now)
    return jsonify(id=run.id, state=uploads.DISCARDED)


@bp.get("/import-cases")
@permitted("decide")
def list_import_cases() -> Response:
    """List the rows that wait for a person: `status` (open, decided), `import`, `question`, `limit`, `offset`. That they
    were shown is logged."""
    status = request.args.get("status") or OPEN
    if status not in (OPEN, DECIDED):
        raise Problem("request-malformed", reason="status: open, decided")
    limit, offset = parse_int("limit", 1, MOST_ROWS, 50), parse_int("offset", 0, 10_000_000, 0)
    with hub().database.reading() as session:
        found, total = cases.cases(
            session,
            hub(),
            scope(),
            status=status,
            run_id=interchange.run_asked("import"),
            question=interchange.one_of("question", QUESTIONS),
            limit=limit,
            offset=offset,
        )
    with hub().database.transaction() as session:
        cases.log_listed(session, hub(), acting(), len(found), datetime.now(UTC))
    return jsonify(total=total, limit=limit, offset=offset, cases=[case.wire() for case in found])


@bp.post("/import-cases/<uuid:case_id>/decide")
@permitted("decide")
def decide_import_case(case_id: Any) -> Response:
    """Decide about a row: `decision` (child, new, theirs, skip), and `child` with the first."""
    asked, now, who, mine = sent(("decision", "child")), datetime.now(UTC), acting(), scope()
    child = asked.get("child")
    outcome = server_edits.decide(
        hub(),
        lambda session: cases.decide(
            session,
            hub(),
            mine,
            str(case_id),
            str(asked.get("decision")),
            child_id=str(child) if child is not None else None,
            author=who,
            now=now,
        ),
    )
    return jsonify(id=str(case_id), outcome=outcome)


@bp.post("/exports")
@permitted("decide")
def export_data() -> Response:
    """Write what is here: `form`, `first` and `last` day, `area` ({kind, id}, a part of the own), `anonymous`; `file` (xlsx,
    csv) and `full_nik` for Sigizi's sheets."""
    asked = sent(("form", "first", "last", "area", "anonymous", "file", "full_nik"))
    try:
        days = date.fromisoformat(str(asked.get("first"))), date.fromisoformat(str(asked.get("last")))
    except ValueError:
        raise Problem("request-malformed", reason="first, last: 2026-03-01") from None
    area = asked.get("area") or {}
    if not isinstance(area, dict):
        raise Problem("request-malformed", reason="area: {kind, id}")
    return interchange.send(
        str(asked.get("form")),
        *days,
        area=(str(area["kind"]), str(area.get("id"))) if area.get("kind") else None,
        anonymous=asked.get("anonymous") is True,
        full_nik=asked.get("full_nik") is True,
        as_csv=asked.get("file") == "csv",
    )
