"""Import and export pages: upload a Sigizi file and see what it would change, apply it, decide about its rows; export data.
The same as JSON in `api/interchange.py`.

Rules kept here:
- A file is previewed before anything of it is applied; applying is a second step that continues by itself until all is done.
- Exports need a form (POST), so that no link exports data by accident. They are logged first.
- Names are only for people who may decide; each look at rows with names is logged before the page is sent.
"""

import io
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Final

from flask import Blueprint, Response, g, redirect, render_template, url_for
from werkzeug.wrappers import Response as AnyResponse

from server.errors import Problem
from server.interchange import cases, export_rows, report_text, uploads
from server.interchange.export_formats import FORMS, ExportFormat, write_export
from server.interchange.import_plan import ASK, OUTCOMES, REFUSED
from server.interchange.refusals import words_of
from server.review import Scope
from server.review.tablets import known_posts
from server.sync.server_edits import decide
from server.translations import N_
from server.web.auth import permitted
from server.web.current import acting, hub, local_today, scope, utc_now
from server.web.formatting import label
from server.web.paging import PAGE_ROWS, offset_of, paged
from server.web.proof import proven
from server.web.request_schemas import interchange as schemas
from server.web.request_schemas.schema import Asked, takes

bp = Blueprint("interchange", __name__)

_CODE: Final = re.compile(r"[a-z0-9-]{1,40}")
LONGEST_YEARS: Final = 6
OUTCOME_WORDS: Final[Mapping[str, str]] = {
    "new": N_("New children"),
    "added": N_("New measurements of known children"),
    "filled": N_("Filled what was missing"),
    "unchanged": N_("Here already"),
    "ask": N_("A person must decide"),
    "refused": N_("Refused"),
    "skipped": N_("Left out, as decided"),
}
STATE_WORDS: Final[Mapping[str, str]] = {
    "waiting": N_("Not applied yet"),
    "running": N_("Being applied"),
    "done": N_("Applied"),
    "discarded": N_("Thrown away"),
}
ANSWER_WORDS: Final[Mapping[str, str]] = {
    "child": N_("It is this child"),
    "new": N_("It is a new child"),
    "theirs": N_("The file is right"),
    "skip": N_("Leave the row out"),
}
QUESTION_WORDS: Final[Mapping[str, str]] = {
    "several": N_("Several children fit"),
    "alike": N_("A child is alike"),
    "identity-differs": N_("Same NIK, another child?"),
    "nik-shared": N_("One NIK, several children"),
    "values-differ": N_("Other values here"),
    "removed": N_("Removed here"),
}
FORM_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "sigizi-export": (
        N_("Sigizi: list of under-fives (Daftar Balita)"),
        N_("The columns of the ministry's own export, with scores and statuses."),
    ),
    "sigizi-measurement": (
        N_("Sigizi: measurement template"),
        N_("To be uploaded to Sigizi: what was measured."),
    ),
    "sigizi-identity": (
        N_("Sigizi: identity template"),
        N_("To be uploaded to Sigizi: who the children are, whenever they were measured."),
    ),
    "sigizi-pmt": (N_("Sigizi: PMT template"), N_("The weeks of supplementary feeding courses.")),
    "sigizi-mpasi": (
        N_("Sigizi: MP-ASI template"),
        N_("Breastfeeding as it was asked about; other foods are not recorded here."),
    ),
    "fhir": (
        N_("FHIR R4 bundle (SATUSEHAT codes)"),
        N_("To hand over to another system. Nothing is submitted to SATUSEHAT."),
    ),
    "csv": (N_("CSV for reckoning"), N_("A line for each measurement, without names, with our scores.")),
    "codebook": (N_("Codebook of the CSV"), N_("What each column of the CSV means, its unit and its range.")),
    "dhis2": (
        N_("DHIS2: SKDN of a month"),
        N_("Counts of the month of the first day, for each posyandu (dataValueSets)."),
    ),
}
AREA_WORDS: Final[Mapping[str, str]] = {
    "health_centre": N_("Health centre"),
    "subdistrict": N_("Subdistrict"),
    "village": N_("Village"),
    "post": N_("Posyandu"),
}
VALUE_WORDS: Final[Mapping[str, str]] = {
    "weight_g": N_("Weight"),
    "oedema": N_("Oedema"),
    "length_mm": N_("Length or height"),
    "position": N_("Position"),
    "muac_mm": N_("Arm (MUAC)"),
    "head_mm": N_("Head"),
}

Answer = AnyResponse | str | tuple[str, int]


@bp.context_processor
def _in_every_page() -> dict[str, Any]:
    return {
        "outcome_words": OUTCOME_WORDS,
        "state_words": STATE_WORDS,
        "answer_words": ANSWER_WORDS,
        "question_words": QUESTION_WORDS,
        "form_words": FORM_WORDS,
        "area_words": AREA_WORDS,
        "value_words": VALUE_WORDS,
        "outcomes": OUTCOMES,
        "in_words": in_words,
    }


def in_words(code: str) -> str:
    """Return a rule, question or note in the language of the page."""
    return label(words_of(code))


def rows_asked(given: str) -> str:
    """Return which rows of a file are asked for; those that need a decision, for what is no code."""
    return given if _CODE.fullmatch(given) else report_text.NEEDS


# -- bring ----------------------------------------------------------------------------------------


@bp.get("/pertukaran")
@permitted("decide")
def home() -> Answer:
    """Show the forms for import and export, and the newest files."""
    return _home()


def _home(form: Mapping[str, str] | None = None, problem: Problem | None = None) -> Answer:
    today = local_today()
    with hub().database.reading() as session:
        found = uploads.runs(session, hub(), scope())
        waiting = cases.waiting(session, hub(), scope())
        areas = export_rows.areas(session, hub(), scope())
        posts = known_posts(session, hub(), scope())
    given = {"dari": today.replace(day=1).isoformat(), "sampai": today.isoformat()}
    page = render_template(
        "interchange.html",
        runs=found,
        waiting=sum(waiting.values()),
        forms=FORMS,
        given={**given, **(form or {})},
        areas=areas,
        posts=posts,
        whole_district=scope().kind == "district",
        most_rows=uploads.PAGE_LIMITS.rows,
        problem=problem.body() if problem else None,
    )
    if problem is None:
        return page
    g.problem = problem.code
    return page, problem.kind.status


@bp.post("/pertukaran/unggah")
@permitted("decide")
@takes(schemas.UPLOAD)
def upload(asked: Asked) -> Answer:
    """Store a file, and show what it would change."""
    try:
        if not asked.file:
            raise Problem("sheet-unreadable", reason="kosong / empty")
        run_id = uploads.receive(
            hub(),
            scope(),
            asked.file,
            post_id=asked.form.get("pos", ""),
            add_posts=asked.form.get("tambah_pos") == "ya",
            actor=acting(),
            now=utc_now(),
        )
    except Problem as problem:
        return _home(asked.form, problem)
    return redirect(url_for("interchange.one_run", run_id=run_id))


@bp.get("/pertukaran/berkas/<uuid:run_id>")
@permitted("decide")
@takes(schemas.RUN)
def one_run(asked: Asked, run_id: Any) -> Answer:
    """Show what a file would change, its progress, or its result."""
    number, which = asked.query["hal"], rows_asked(asked.query["tampil"])
    with hub().database.reading() as session:
        run = uploads.run_of(session, hub(), scope(), str(run_id))
        foreseen = uploads.preview(session, hub(), run) if run.waits else None
        found = foreseen.results if foreseen else uploads.results(session, hub(), run)
        total = uploads.total_rows(session, hub(), run)
        waiting = cases.waiting(session, hub(), scope(), run.id)
    rows = report_text.chosen(found, which)
    return render_template(
        "interchange_run.html",
        run=run,
        foreseen=foreseen,
        counts=foreseen.report["outcomes"] if foreseen else run.counts,
        total=total,
        needing=len(report_text.needing_attention(found)),
        reasons=report_text.reasons(found),
        notes=report_text.notes(found),
        rows=rows[offset_of(number) :][:PAGE_ROWS],
        asked=which,
        paged=paged(len(rows), number),
        waiting=sum(waiting.values()),
        going_on=asked.query["lanjut"] == "1",
        refused=REFUSED,
        ask=ASK,
    )


@bp.get("/pertukaran/berkas/<uuid:run_id>/baris.csv")
@permitted("decide")
@proven
@takes(schemas.RUN_FILE)
def rows_as_file(asked: Asked, run_id: Any) -> Response:
    """Return the rows' results as CSV: by row number, without names."""
    with hub().database.reading() as session:
        run = uploads.run_of(session, hub(), scope(), str(run_id))
        found = uploads.results(session, hub(), run)
    content = report_text.as_csv(report_text.chosen(found, rows_asked(asked.query["tampil"])))
    response = Response("\ufeff" + content, mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="baris.csv"'
    return response


@bp.post("/pertukaran/berkas/<uuid:run_id>")
@permitted("decide")
@takes(schemas.CHANGE_RUN)
def change_run(asked: Asked, run_id: Any) -> Answer:
    """Apply a file for some seconds; look at it again; or discard it."""
    now, who, action, going_on = utc_now(), acting(), asked.form.get("tindakan"), None
    with hub().database.reading() as session:
        run = uploads.run_of(session, hub(), scope(), str(run_id))
    if action == "terapkan":
        report = uploads.step(hub(), run, actor=who, now=now)
        going_on = None if report.whole else "1"
    elif action == "lihat":
        uploads.renew_preview(hub(), run, actor=who, now=now)
    elif action == "buang":
        with hub().database.transaction() as session:
            uploads.discard(session, hub(), run, actor=who, now=now)
    else:
        raise Problem("request-malformed", reason=f"tindakan: {', '.join(schemas.RUN_ACTIONS)}")
    return redirect(url_for("interchange.one_run", run_id=run.id, lanjut=going_on))


# -- decide ---------------------------------------------------------------------------------------


@bp.get("/pertukaran/baris")
@permitted("decide")
@takes(schemas.CASES)
def rows(asked: Asked) -> Answer:
    """List the rows that a person must decide about: `pertanyaan`, `berkas`, `hal`."""
    return _rows(asked, told=asked.query["hasil"])


def _rows(asked: Asked, problem: Problem | None = None, told: str | None = None) -> Answer:
    number, question, run_id = (asked.query[name] for name in ("hal", "pertanyaan", "berkas"))
    with hub().database.reading() as session:
        counted = cases.waiting(session, hub(), scope(), run_id)
        found, total = cases.cases(
            session,
            hub(),
            scope(),
            question=question,
            run_id=run_id,
            limit=PAGE_ROWS,
            offset=offset_of(number),
        )
    with hub().database.transaction() as session:
        cases.log_listed(session, hub(), acting(), len(found), utc_now())
    page = render_template(
        "interchange_rows.html",
        found=found,
        counted=counted,
        question=question,
        run_id=run_id,
        paged=paged(total, number),
        told=told,
        problem=problem.body() if problem else None,
    )
    if problem is None:
        return page
    g.problem = problem.code
    return page, problem.kind.status


@bp.post("/pertukaran/baris/<uuid:case_id>")
@permitted("decide")
@takes(schemas.DECIDE_CASE)
def decide_row(asked: Asked, case_id: Any) -> Answer:
    """Decide about a row."""
    answer, _, child = asked.form.get("jawaban", "").partition(":")
    now, who, mine = utc_now(), acting(), scope()
    try:
        outcome = decide(
            hub(),
            lambda session: cases.decide(
                session, hub(), mine, str(case_id), answer, child_id=child or None, author=who, now=now
            ),
        )
    except Problem as problem:
        if problem.code != "import-case-decided":
            raise
        return _rows(asked, problem)
    question, run_id = asked.query["pertanyaan"], asked.query["berkas"]
    return redirect(url_for("interchange.rows", hasil=outcome, pertanyaan=question, berkas=run_id))


# -- take away ------------------------------------------------------------------------------------


@bp.post("/pertukaran/ekspor")
@permitted("decide")
@proven
@takes(schemas.EXPORT)
def take_away(asked: Asked) -> Answer:
    """Export, logged before it is sent."""
    given = asked.form
    kind, _, area_id = given.get("wilayah", "").partition(":")
    try:
        days = date.fromisoformat(given.get("dari", "")), date.fromisoformat(given.get("sampai", ""))
        return send(
            given.get("bentuk", ""),
            *days,
            area=(kind, area_id) if kind else None,
            anonymous=given.get("tanpa_nama") == "ya",
            full_nik=given.get("nik") == "ya",
            as_csv=given.get("jenis") == "csv",
        )
    except ValueError:
        return _home(given, Problem("request-malformed", reason="dari, sampai: 2026-03-01"))
    except Problem as problem:
        return _home(asked.form, problem)


def send(
    form: str,
    first: date,
    last: date,
    *,
    area: tuple[str, str] | None,
    anonymous: bool,
    full_nik: bool,
    as_csv: bool,
) -> Response:
    """Export in a form, for the person who asks.

    Parameters
    ----------
    area : (kind, id) of a part of the person's area; outside of it nothing is exported

    Raises
    ------
    Problem
        `request-malformed` for an unknown form, `export-too-large`.
    """
    if form not in FORMS:
        raise Problem("request-malformed", reason=", ".join(FORMS))
    if not timedelta(0) <= last - first <= timedelta(days=366 * LONGEST_YEARS):
        raise Problem("days-unfit", years=LONGEST_YEARS)
    now, target = utc_now(), io.BytesIO()
    asked, whose = ExportFormat(form, "csv" if as_csv else "xlsx"), scope()
    if anonymous:
        whose = replace(whose, shows_names=False)
    within = Scope(*area, shows_names=False) if area else None
    wanted = export_rows.ExportQuery(whose, first, last, full_nik=full_nik, area=within)
    write_export(hub(), target, asked, wanted, actor=acting(), now=now)
    response = Response(target.getvalue(), mimetype=asked.media_type)
    name = asked.file_name(first, incomplete=bool(wanted.left_out))
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
