"""Pages of the supervisor: every sync and its result, unusual patterns, how complete a month is, the causal history of one
record, and the audit log with its checkpoints.

Rules kept here:
- Only with the permission `audit`, and only what is in scope; the log's export covers all posts, so it needs the whole
  district. A child's values are shown on request to people who may see names.
- Every look at a batch or a record, and every file, is logged before it is sent.
- No worker verifies a long log: up to CHECKED_AT_ONCE entries the page recomputes all, beyond that only entries since the
  newest checkpoint, and says so. A nightly job recomputes everything; the page shows its result too.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import orjson
from babel.dates import format_date
from flask import Blueprint, Response, g, render_template
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server import audit, isolation
from server.audit import checkpoints, export, incarnations, verification, witnesses
from server.audit.checkpoints import NotACheckpoint
from server.context import AppContext
from server.database.models import AuditStream, HealthPost, JobRun, Notice
from server.errors import Problem
from server.operations.recomputation import rounds
from server.supervision import areas, lineage, mass_reading, months, patterns, set_aside, syncs
from server.supervision.completeness import month_of
from server.supervision.syncs import AUTHOR, DAY, POST, TABLET
from server.translations import N_
from server.web.auth import permitted
from server.web.charts.history import vector_chart
from server.web.current import hub, local_today, person, scope, utc_now
from server.web.formatting import decimal, label, language
from server.web.forms.registers import full_reason
from server.web.paging import PAGE_ROWS, offset_of, page_count
from server.web.request_schemas import supervision as schemas
from server.web.request_schemas.schema import Asked, takes

bp = Blueprint("audit", __name__)

CHECKED_AT_ONCE: Final = 200_000
"""Entries that the page recomputes at most: about two seconds."""
CHECKPOINTS_SHOWN: Final = 20

Answer = Response | str | tuple[str, int]

GROUP_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "hari": (DAY, N_("By day")),
    "pos": (POST, N_("By posyandu")),
    "tablet": (TABLET, N_("By tablet")),
    "kader": (AUTHOR, N_("By cadre")),
}
OUTCOME_WORDS: Final[Mapping[str, str]] = {
    "applied": N_("accepted"),
    "merged": N_("merged"),
    "superseded": N_("already overwritten"),
    "conflict": N_("in conflict"),
    "quarantined": N_("set aside, waits for a decision"),
    "duplicate": N_("came before"),
}
REFUSAL_WORDS: Final[Mapping[str, str]] = {
    "gap": N_("began beyond what is held: earlier changes are asked for"),
    "new_epoch_required": N_("two devices with one identity, or restored: enrols anew"),
    "batch-id-reused": N_("its number was used for other content"),
    "app-too-old": N_("the app is too old"),
    "signature-invalid": N_("the signature did not fit"),
    "tablet-unknown": N_("no such tablet"),
    "batch-malformed": N_("could not be read"),
    "batch-too-large": N_("too large"),
}
WHAT_WORDS: Final[Mapping[str, str]] = {
    "altered": N_("altered"),
    "removed": N_("removed"),
    "inserted": N_("inserted"),
    "reordered": N_("put in another order"),
    "cut off": N_("cut off"),
    "rewritten": N_("rewritten"),
    "forged": N_("forged: no key of this server signed it"),
    "forked": N_("another log than a witness has seen"),
}
KIND_WORDS: Final[Mapping[str, str]] = {
    "child": N_("Child"),
    "measurement": N_("Measurement"),
    "follow_up": N_("Follow-up"),
    "delivery": N_("Aid"),
}
DECISION_WORDS: Final[Mapping[str, str]] = {
    "released": N_("corrected copy made"),
    "dismissed": N_("dismissed"),
}


ASIDE_WORDS: Final[Mapping[str, str]] = {
    isolation.FIGURES: N_("figures"),
    isolation.OVERSIGHT: N_("completeness and patterns"),
    isolation.ABSENCE: N_("the assessment of a child"),
    isolation.JOB: N_("a scheduled job of the server failed"),
}


@bp.app_context_processor
def _words() -> dict[str, Any]:
    return {
        "audit_words": {
            "group": {name: words for name, (_, words) in GROUP_WORDS.items()},
            "outcome": OUTCOME_WORDS,
            "refusal": REFUSAL_WORDS,
            "what": WHAT_WORDS,
            "kind": KIND_WORDS,
            "decision": DECISION_WORDS,
            "aside": ASIDE_WORDS,
            "why": full_reason,
        }
    }


@bp.app_template_filter("month_of")
def month_words(first: date) -> str:
    """Write a month: November 2026."""
    return str(format_date(first, "MMMM y", locale=language()))


@bp.app_template_filter("kilobytes")
def kilobytes(size: int) -> str:
    """Write a size: 1,2 kB; from a million bytes on 3,4 MB."""
    return f"{decimal(size / 1000, 1)} kB" if size < 1_000_000 else f"{decimal(size / 1_000_000, 1)} MB"


@bp.app_template_filter("may_be")
def may_be(words: patterns.PatternText) -> str:
    """Return a pattern's likely explanation, in the reader's language."""
    return label(words.may_be)


def _month(asked: Asked) -> tuple[date, date]:
    """Return the first and last day of the month that is asked for, or of this month."""
    given = asked.query["bulan"]
    return month_of(date.fromisoformat(f"{given}-01") if given else local_today())


def _day_or_month(asked: Asked) -> tuple[date, date]:
    given = asked.query["hari"]
    if not given:
        return _month(asked)
    return date.fromisoformat(given), date.fromisoformat(given)


def months_of(day: date) -> dict[str, Any]:
    """Return for every template the month's first day, and the month, the one before and the one after as in addresses; ""
    for a month that has not begun."""
    first, last = month_of(day)
    after = last + timedelta(days=1)
    return {
        "first": day,
        "month": f"{first:%Y-%m}",
        "before": f"{first - timedelta(days=1):%Y-%m}",
        "after": f"{after:%Y-%m}" if after <= local_today() else "",
    }


def _log_look(action: str, *, post_id: str | None = None, **details: Any) -> None:
    with hub().database.transaction() as session:
        syncs.log_look(session, hub(), person(), action, utc_now(), post_id=post_id, **details)


def _file(pieces: Iterable[str], name: str) -> Response:
    answer = Response("\ufeff" + "".join(pieces), mimetype="text/csv")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return answer


# -- syncs ------------------------------------------------------------------------------------------


def _syncs(asked: Asked) -> syncs.Syncs:
    first, last = _month(asked)
    with hub().database.reading() as session:
        return syncs.syncs(session, hub(), scope(), first, last, GROUP_WORDS[asked.query["per"]][0])


@bp.get("/audit")
@permitted("audit")
@takes(schemas.SYNCS)
def overview(asked: Asked) -> str:
    """Show what was synced in a month, by day, post, tablet or cadre."""
    found = _syncs(asked)
    with hub().database.reading() as session:
        aside = set_aside.set_aside(session, hub(), scope())
        readers = mass_reading.questions(session, hub(), scope())
    return render_template(
        "audit.html",
        found=found,
        chosen=asked.query["per"],
        set_aside=aside,
        readers=readers,
        **months_of(found.first),
    )


@bp.get("/audit.csv")
@permitted("audit")
@takes(schemas.SYNCS)
def overview_as_csv(asked: Asked) -> Response:
    """Return the same as CSV, safe to open in a spreadsheet. Logged."""
    chosen, found = asked.query["per"], _syncs(asked)
    month = found.first.strftime("%Y-%m")
    _log_look("syncs.exported", month=month, group=GROUP_WORDS[chosen][0], lines=len(found.lines))
    return _file(syncs.as_csv(found), f"kiriman-{month}-{chosen}")


@bp.get("/audit/kiriman")
@permitted("audit")
@takes(schemas.UPLOADS)
def all_batches(asked: Asked) -> str:
    """List the uploads of a month or day, filtered by post or tablet."""
    (first, last), number = _day_or_month(asked), asked.query["hal"]
    found = _listed(asked, first, last)
    return render_template(
        "audit_batches.html",
        shown=found.batches[offset_of(number) :][:PAGE_ROWS],
        total=len(found.batches),
        refusals=found.refusals[:PAGE_ROWS],
        refused=len(found.refusals),
        number=number,
        pages=page_count(len(found.batches)),
        last=last,
        asked={name: asked.query[name] for name in FILTERS if asked.query[name]},
        **months_of(first),
    )


FILTERS: Final = ("bulan", "hari", "pos", "tablet")
"""The filters of the list of uploads, as its address names them."""


@bp.get("/audit/kiriman.csv")
@permitted("audit")
@takes(schemas.UPLOADS_FILE)
def all_batches_as_csv(asked: Asked) -> Response:
    """Return the same as CSV. Logged."""
    first, last = _day_or_month(asked)
    found = _listed(asked, first, last)
    days = {"first": first.isoformat(), "last": last.isoformat()}
    _log_look("uploads.exported", **days, lines=len(found.batches) + len(found.refusals))
    return _file(syncs.uploads_as_csv(found), f"kiriman-{first.isoformat()}-{last.isoformat()}")


def _listed(asked: Asked, first: date, last: date) -> syncs.ListedUploads:
    only = {"post_id": asked.query["pos"], "tablet_id": asked.query["tablet"]}
    with hub().database.reading() as session:
        return syncs.listed(session, hub(), scope(), first, last, **only)


@bp.get("/audit/kiriman/<uuid:tablet_id>/<uuid:batch_id>")
@permitted("audit")
def one_batch(tablet_id: Any, batch_id: Any) -> str:
    """Show a batch: each change and its outcome. Logged."""
    with hub().database.reading() as session:
        found = syncs.batch(session, hub(), scope(), str(tablet_id), str(batch_id))
    _log_look("batch.viewed", post_id=found.line.post_id, tablet=found.line.tablet_id, batch=found.line.id)
    return render_template("audit_batch.html", found=found, **months_of(found.line.day))


# -- what somebody should look at, and what is missing ------------------------------------------------


@bp.get("/audit/pola")
@permitted("audit")
@takes(schemas.MONTH)
def unusual(asked: Asked) -> str:
    """Show unusual patterns in a month's syncs."""
    first, _ = _month(asked)
    with hub().database.reading() as session:
        reports = months.post_month_reports(session, hub(), scope(), first)
    found = patterns.in_order(one for post in reports for one in post.patterns)
    kinds = [(words, [one for one in found if one.code == code]) for code, words in patterns.PATTERNS.items()]
    return render_template(
        "audit_patterns.html",
        kinds=kinds,
        total=len(found),
        failed=[post.post_name for post in reports if post.failed],
        **months_of(first),
    )


@bp.get("/audit/kelengkapan")
@permitted("audit")
@takes(schemas.MONTH)
def complete(asked: Asked) -> str:
    """Show how complete a month is, by subdistrict and village."""
    found, first = _areas(asked)
    failed = [post.post_name for area in found for post in area.failed]
    return render_template("audit_areas.html", found=found, failed=failed, **months_of(first))


@bp.get("/audit/kelengkapan.csv")
@permitted("audit")
@takes(schemas.MONTH)
def complete_as_csv(asked: Asked) -> Response:
    """Return the same as CSV. Logged."""
    found, first = _areas(asked)
    _log_look("completeness.exported", month=first.strftime("%Y-%m"))
    return _file(areas.as_csv(found), f"kelengkapan-{first:%Y-%m}")


def _areas(asked: Asked) -> tuple[tuple[areas.AreaCompleteness, ...], date]:
    first, _ = _month(asked)
    with hub().database.reading() as session:
        return areas.areas(session, hub(), scope(), first), first


# -- one record -------------------------------------------------------------------------------------


@bp.get("/audit/riwayat/<uuid:child_id>/<uuid:record_id>")
@permitted("audit")
@takes(schemas.HISTORY)
def history(asked: Asked, child_id: Any, record_id: Any) -> str:
    """Draw a record's causal history; with `nilai=1` also values, for people who may see names. Logged."""
    values = asked.query["nilai"] == "1" and person().may("see_names")
    with hub().database.reading() as session:
        found = lineage.lineage(session, hub(), scope(), str(child_id), str(record_id), values=values)
    _log_look(
        "record.history-viewed",
        post_id=found.post_id,
        child=found.child_id,
        record=found.record.id,
        values=values,
    )
    return render_template(
        "audit_history.html",
        found=found,
        chart=vector_chart(found),
        values=values and not found.is_erased,
        letter=lineage.letter,
        label=lineage.label,
        **months_of(local_today()),
    )


# -- the log ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LogVerification:
    """The result of verifying the log from the page.

    Parameters
    ----------
    entries : recomputed; `is_whole` if that was all of the log, else what was written since the newest checkpoint
    left : entries that were not recomputed, because there are too many for a page
    kept : the checkpoint, kept elsewhere, that the log was compared with; None without one
    not_compared : whether one was given but the log is too long to be compared here
    restored : the restore that gave up what the checkpoint had seen; then the log was not compared with it
    """

    entries: int
    is_whole: bool
    left: int
    broken: list[audit.Broken]
    kept: checkpoints.KeptCheckpoint | None
    not_compared: bool = False
    restored: incarnations.Incarnation | None = None


@bp.get("/audit/catatan")
@permitted("audit")
def the_log() -> str:
    """Show the newest checkpoints, who signs, and what the nightly verification found."""
    return _log_page()


@bp.post("/audit/catatan/periksa")
@permitted("audit")
@takes(schemas.VERIFY)
def verify_now(asked: Asked) -> Answer:
    """Recompute the log, and compare it with a checkpoint that was kept elsewhere if one is given. Logged."""
    try:
        kept = checkpoints.read_kept(asked.file) if asked.file else None
    except NotACheckpoint as error:
        g.problem = "request-malformed"
        return _log_page(wrong=str(error).split(" / ")[language() != "id"]), 422
    verified = _verified(kept)
    _log_look(
        "log.verified",
        entries=verified.entries,
        broken=len(verified.broken),
        checkpoint=kept.number if kept else None,
    )
    return _log_page(verified)


def _verified(kept: checkpoints.KeptCheckpoint | None) -> LogVerification:
    district = hub().district
    with hub().database.reading() as session:
        counted = select(func.coalesce(func.sum(AuditStream.entries), 0)).where(
            AuditStream.district == district
        )
        if session.execute(counted).scalar_one() <= CHECKED_AT_ONCE:
            keys = hub().vault.checkpoint_keys()
            known = incarnations.incarnations(session, district, keys) if kept else []
            restored = incarnations.restore_of(kept, known) if kept else None
            kept = None if restored else kept
            entries, broken = audit.verify(session, district, keys=keys, kept=kept)
            return LogVerification(entries, True, 0, broken, kept, restored=restored)
        tail = verification.verify_tail(session, district, CHECKED_AT_ONCE)
    return LogVerification(tail.entries, False, tail.left, tail.broken, None, not_compared=kept is not None)


def _log_page(verified: LogVerification | None = None, wrong: str = "") -> str:
    district = hub().district
    with hub().database.reading() as session:
        listed = checkpoints.listed(session, district, CHECKPOINTS_SHOWN)
        run = session.get(JobRun, (district, "verify-log"))
        standing = session.execute(
            select(Notice.subject, Notice.details, Notice.raised_at)
            .where(Notice.district == district, Notice.kind == "log-broken")
            .order_by(Notice.subject)
        ).all()
        round_ = rounds.Round.stored(session, hub())
        share, differing = rounds.share_done(session, hub(), round_), rounds.standing(session, hub())
        named = {one.stream for one in verified.broken} if verified else set()
        posts = _post_names(session, named | {row.subject for row in standing})
    return render_template(
        "audit_log.html",
        listed=listed,
        posts=posts,
        keys=hub().vault.checkpoint_keys(),
        verified=verified,
        wrong=wrong,
        nightly=(run.ran_at, orjson.loads(run.result)) if run else None,
        round=round_,
        share=int(share * 100),
        differing=differing,
        standing=[(row.subject, orjson.loads(row.details), row.raised_at) for row in standing],
        may_export=_whole_district(),
        **months_of(local_today()),
    )


def _post_names(session: Session, streams: Iterable[str]) -> dict[str, str]:
    """Return the names of the posts whose streams are named, by id."""
    ids = [stream.removeprefix("post/") for stream in streams]
    rows = session.execute(
        select(HealthPost.id, HealthPost.name).where(
            HealthPost.district == hub().district, HealthPost.id.in_(ids)
        )
    )
    return {row.id: row.name for row in rows}


def _whole_district() -> bool:
    return person().scope_kind == "district"


@bp.get("/audit/titik-periksa.json")
@permitted("audit")
@takes(schemas.CHECKPOINT)
def download_checkpoint(asked: Asked) -> Response:
    """Return a checkpoint, by default the newest, as the file to be kept elsewhere. Logged."""
    number = asked.query["nomor"] or None
    with hub().database.reading() as session:
        found = checkpoints.kept(session, hub(), number)
        if found is None:
            raise Problem("record-unknown")
        found = witnesses.with_note(session, hub(), found)
    _log_look("checkpoint.downloaded", checkpoint=found.number)
    answer = Response(found.file(), mimetype="application/json")
    answer.headers["Content-Disposition"] = f'attachment; filename="titik-periksa-{found.number}.json"'
    return answer


@bp.get("/audit/catatan.jsonl")
@permitted("audit")
def export_log() -> Response:
    """Return the whole log for offline verification, only to a supervisor of the whole district. Logged."""
    if not _whole_district():
        raise Problem("not-allowed")
    _log_look("log.exported")
    answer = Response(_exported(hub(), utc_now()), mimetype="application/jsonl")
    answer.headers["Content-Disposition"] = f'attachment; filename="catatan-{utc_now():%Y%m%dT%H%M%SZ}.jsonl"'
    return answer


def _exported(opened: AppContext, now: datetime) -> Iterator[bytes]:
    """Stream the log: a year of it is larger than a worker should hold in memory."""
    with opened.database.reading() as session:
        yield from export.lines(session, opened, now)
