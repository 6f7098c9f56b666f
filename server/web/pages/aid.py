"""Aid: the gap and who could close it, donors and commitments, companies' sheets, a child's aid, and a donor's own page.

Rules kept here:
- `server.aid` computes; the views turn forms into its arguments.
- People who see no children (TPPS) see how many have no aid, by village and need, and assign numbers, never who. Helped
  children are counted from five on. A donor sees only its own aid.
- Every form works without JavaScript; sending it twice has the effect of once.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as AnyResponse

from server.aid import area as places, deliveries, donor_view, need, register, sheets, words as codes
from server.aid.area import AidArea
from server.aid.rules import rules
from server.aid.typed_text import TextReader
from server.database.ids import new_id
from server.database.models import AidActivity, Donor
from server.errors import Problem
from server.reports.small_number_suppression import FEWEST
from server.review import search
from server.sync import server_edits
from server.translations import N_, Text
from server.web import formatting
from server.web.auth import permitted
from server.web.current import acting, hub, local_today, person, scope, utc_now
from server.web.paging import PAGE_ROWS, offset_of, page_count
from server.web.request_schemas import aid as schemas
from server.web.request_schemas.schema import Asked, takes

bp = Blueprint("aid", __name__)
Answer = str | AnyResponse | tuple[str, int]

MOST_ROWS: Final = register.MOST_ROWS
MOST_PROPOSALS, MOST_VILLAGES = 40, 60
TABLES: Final[Mapping[str, codes.Words]] = {
    "menu": codes.MENUS,
    "funds": codes.FUNDS,
    "kind": codes.DONOR_KINDS,
    "authority": codes.AUTHORITIES,
    "category": codes.CATEGORIES,
    "status": codes.STATUSES,
    "reaches": codes.REACHES,
    "unit": codes.UNITS,
    "evidence": codes.EVIDENCE,
    "verdict": codes.VERDICTS,
    "need": codes.NEEDS,
    "closing": codes.CLOSINGS,
    "field": codes.FIELDS,
    "reason": codes.REASONS,
}
NEAR: Final = {
    "village": N_("for this village"),
    "subdistrict": N_("for this subdistrict"),
    "district": N_("anywhere"),
}
SAME_BY: Final = {
    sheets.REPORTED_TWICE: N_("Reported to another authority too"),
    sheets.DELIVERY_KNOWN: N_("Is a delivery that is known here"),
    sheets.DELIVERY_MADE: N_("Became a delivery of the child"),
}


@bp.app_context_processor
def _in_templates() -> dict[str, Any]:
    return {"aid_words": TABLES, "aid_of_child": _of_child}


@bp.app_template_filter("in_language")
def in_language(text: Text | None) -> str:
    """Return a code's words in the reader's language; nothing for a code that is not known."""
    return formatting.label(text) if text else "?"


@bp.app_template_filter("each_in_language")
def each_in_language(table: codes.Words) -> list[tuple[str, str]]:
    """Return each code of a table with its words in the reader's language."""
    return [(code, in_language(text)) for code, text in table.items()]


@bp.app_template_filter("rupiah")
def rupiah(value: int | None) -> str:
    """Write a sum: Rp 2.700.000."""
    if value is None:
        return "–"
    text = f"{value:,}"
    return f"Rp\N{NO-BREAK SPACE}{text if formatting.language() == 'en' else text.replace(',', '.')}"


@bp.app_template_filter("few")
def few(count: int) -> str:
    """Write a number of children for people who may see none of them: 1 to 4 become "<5"."""
    if not 0 < count < FEWEST or person().may("see_children"):
        return str(count)
    return f"<\N{NO-BREAK SPACE}{FEWEST}"


def _text(area: AidArea) -> TextReader:
    """Return what opens the text that was typed about aid, as far as the person may read it."""
    return TextReader.of(hub(), area, acting())


def _tried(work: Callable[[Session], object]) -> Problem | None:
    """Do what a form asks; return the problem with the input, to be shown beside the form, or None.

    A race with another write is retried by `server_edits.decide`."""
    try:
        server_edits.decide(hub(), work)
    except Problem as refused:
        if refused.code not in ("change-invalid", "sheet-unreadable"):
            raise
        return refused
    return None


def _page(asked: Asked, template: str, problem: Problem | None, **shown: Any) -> Answer:
    """Show a page with a form; if the form was refused, with that status."""
    page = render_template(template, problem=problem.body() if problem else None, typed=asked.form, **shown)
    return (page, problem.kind.status) if problem else page


# -- the gap --------------------------------------------------------------------------------------


@bp.get("/bantuan")
@permitted("manage_aid")
@takes(schemas.GAP)
def overview(asked: Asked) -> Answer:
    """Show who has no aid, where aid overlaps or is not needed, and which commitments could close the gap."""
    today, chosen = local_today(), asked.query["wilayah"]
    first, last = schemas.period(asked.query["dari"], asked.query["sampai"], today)
    with hub().database.reading() as session:
        own_area = AidArea.of(session, hub(), person())
        area = own_area.narrowed(hub(), chosen)
        names = places.names_of(session, hub())
        shown = need.standing(session, hub(), area, first, last, today)
        donors = {donor.id: donor.name for donor in register.donors(session, hub())}
        page = render_template(
            "aid_gap.html",
            shown=shown,
            text=_text(area),
            names=names,
            donors=donors
            | {"state": formatting.translate("the state"), "pmt": formatting.translate("a PMT course")},
            regions=_regions_of(own_area, names),
            chosen=chosen,
            first=first,
            last=last,
            near=NEAR,
            same_by=SAME_BY,
            most_proposals=MOST_PROPOSALS,
            most_villages=None if asked.query["semua"] is not None else MOST_VILLAGES,
        )
    with hub().database.transaction() as session:
        need.log_viewed(session, hub(), shown, acting(), utc_now())
    return page


def _regions_of(area: AidArea, names: Mapping[str, str]) -> list[tuple[str, str]]:
    """List the subdistricts and villages of an area, to choose from."""
    upper = sorted({code.rpartition(".")[0] for code in area.villages})
    found: list[tuple[str, str]] = []
    for code in upper:
        found.append((code, names.get(code, code)))
        found += [(v, f"  {names[v].partition(',')[0]}") for v in area.villages if v.startswith(f"{code}.")]
    return found


@bp.post("/bantuan/tugaskan")
@permitted("manage_aid")
@takes(schemas.ASSIGN)
def assign(asked: Asked) -> Answer:
    """Assign a commitment to the children that a proposal counted."""

    def work(session: Session) -> int:
        area = AidArea.of(session, hub(), person())
        wanted = (asked.form.get(name, "") for name in ("komitmen", "desa", "kebutuhan", "lihat"))
        return need.assign(session, hub(), area, *wanted, author=acting(), now=utc_now())

    count = server_edits.decide(hub(), work)
    flash(
        formatting.translate(
            "Assigned to %(count)d. Health centre and cadres see it at each child.", count=count
        )
    )
    return redirect(url_for("aid.overview"))


# -- donors and commitments -----------------------------------------------------------------------


@bp.route("/bantuan/donatur", methods=["GET", "POST"])
@permitted("manage_aid")
@takes(schemas.DONORS)
def donors(asked: Asked) -> Answer:
    """List donors and commitments; add one of either."""
    problem = None
    if request.method == "POST":
        typed, who, now = asked.form, acting(), utc_now()

        def work(session: Session) -> str:
            if typed.get("apa") != "komitmen":
                return register.add_donor(session, hub(), typed, author=who, now=now)
            area = AidArea.of(session, hub(), person())
            return register.add_commitment(session, hub(), area, typed, author=who, now=now)

        problem = _tried(work)
        if not problem:
            flash(formatting.translate("Saved."))
            return redirect(url_for("aid.donors"))
    with hub().database.reading() as session:
        area = AidArea.of(session, hub(), person())
        names = places.names_of(session, hub())
        known, promises = register.donors(session, hub()), register.promises(session, hub())
        return _page(
            asked,
            "aid_donors.html",
            problem,
            donors=known,
            changeable={donor.id for donor in known if register.may_change_donor(area, donor, acting())},
            promises=promises,
            theirs={p.id for p in promises if register.is_theirs(area, p.region_code, p.made_by, acting())},
            names=names,
            regions=_promised_to(area, names),
            today=local_today(),
        )


def _promised_to(area: AidArea, names: Mapping[str, str]) -> list[tuple[str, str]]:
    """List the regions to which a person may direct a commitment."""
    everywhere = [(hub().district, names.get(hub().district, hub().district))] if area.whole else []
    return everywhere + [region for region in _regions_of(area, names) if area.covers(region[0])]


@bp.route("/bantuan/donatur/<uuid:donor_id>", methods=["GET", "POST"])
@permitted("manage_aid")
@takes(schemas.CHANGE_DONOR)
def change_donor(asked: Asked, donor_id: object) -> Answer:
    """Show a donor with its contact data, and change it. Logged."""
    problem = None
    if request.method == "POST":
        typed = {**asked.form, "named": bool(asked.form.get("named"))}
        who, now = acting(), utc_now()

        def work(session: Session) -> None:
            area = AidArea.of(session, hub(), person())
            register.change_donor(session, hub(), area, str(donor_id), typed, author=who, now=now)

        problem = _tried(work)
        if not problem:
            flash(formatting.translate("Saved."))
            return redirect(url_for("aid.donors"))
    with hub().database.reading() as session:
        area = AidArea.of(session, hub(), person())
        donor = register.donor_to_change(session, hub(), area, str(donor_id), acting())
        known = {name: getattr(donor, name) for name in register.DONOR} | register.contact_of(hub(), donor)
        page = _page(asked, "aid_change.html", problem, donor=donor, values=asked.form or known)
    with hub().database.transaction() as session:
        register.log_donor_viewed(session, hub(), str(donor_id), acting(), utc_now())
    return page


@bp.route("/bantuan/komitmen/<uuid:commitment_id>", methods=["GET", "POST"])
@permitted("manage_aid")
@takes(schemas.CHANGE_COMMITMENT)
def change_commitment(asked: Asked, commitment_id: object) -> Answer:
    """Show a commitment, and change it: for how many, how long, where it may go."""
    problem = None
    if request.method == "POST":
        typed, who, now = asked.form, acting(), utc_now()

        def work(session: Session) -> None:
            area = AidArea.of(session, hub(), person())
            register.change_commitment(session, hub(), area, str(commitment_id), typed, author=who, now=now)

        problem = _tried(work)
        if not problem:
            flash(formatting.translate("Saved."))
            return redirect(url_for("aid.donors"))
    with hub().database.reading() as session:
        area = AidArea.of(session, hub(), person())
        names = places.names_of(session, hub())
        promise = register.promise_to_change(session, hub(), area, str(commitment_id), acting())
        known = {name: getattr(promise, column) for name, column in register.COMMITMENT.items()}
        regions = _promised_to(area, names)
        if promise.region_code not in dict(regions):
            regions.insert(0, (promise.region_code, names.get(promise.region_code, promise.region_code)))
        return _page(
            asked,
            "aid_change.html",
            problem,
            promise=promise,
            values=asked.form or known,
            donors=register.donors(session, hub()),
            names=names,
            regions=regions,
        )


@bp.post("/bantuan/komitmen/<uuid:commitment_id>/tutup")
@permitted("manage_aid")
@takes(schemas.CLOSE_COMMITMENT)
def close_commitment(asked: Asked, commitment_id: object) -> Answer:
    """Close a commitment, with the reason."""
    with hub().database.transaction() as session:
        area, why = AidArea.of(session, hub(), person()), asked.form.get("alasan", "")
        register.close(session, hub(), area, str(commitment_id), why, author=acting(), now=utc_now())
    flash(formatting.translate("Closed."))
    return redirect(url_for("aid.donors"))


@bp.route("/bantuan/kegiatan", methods=["GET", "POST"])
@permitted("manage_aid")
@takes(schemas.ACTIVITIES)
def activities(asked: Asked) -> Answer:
    """List activities for villages that came without a sheet; add one."""
    problem = None
    if request.method == "POST":
        typed, who, now = asked.form, acting(), utc_now()

        def work(session: Session) -> str:
            area = AidArea.of(session, hub(), person())
            return register.add_activity(session, hub(), area, typed, author=who, now=now)

        problem = _tried(work)
        if not problem:
            flash(formatting.translate("Saved."))
            return redirect(url_for("aid.activities"))
    with hub().database.reading() as session:
        area = AidArea.of(session, hub(), person())
        names = places.names_of(session, hub())
        return _page(
            asked,
            "aid_activities.html",
            problem,
            rows=register.activities(session, hub(), area),
            text=_text(area),
            names=names,
            villages=places.choices(names, area.villages),
            donors=register.donors(session, hub()),
            today=local_today(),
        )


# -- sheets ---------------------------------------------------------------------------------------


@bp.route("/bantuan/lembar", methods=["GET", "POST"])
@permitted("manage_aid")
@takes(schemas.SHEETS)
def all_sheets(asked: Asked) -> Answer:
    """List the sheets; upload one."""
    problem = None
    if request.method == "POST":
        form, who, now = asked.form, acting(), utc_now()
        brought: list[str] = []

        def work(session: Session) -> None:
            sheet_id = sheets.bring(
                *(session, hub(), asked.file),
                name=asked.file_name,
                reported_to=form.get("kepada", ""),
                donor_id=form.get("donatur") or None,
                author=who,
                now=now,
            )
            brought[:] = [sheet_id]

        problem = _tried(work)
        if not problem:
            return redirect(url_for("aid.one_sheet", sheet_id=brought[0]))
    with hub().database.reading() as session:
        area = AidArea.of(session, hub(), person())
        found, known = sheets.sheets(session, hub(), area, acting()), register.donors(session, hub())
        return _page(
            asked,
            "aid_sheets.html",
            problem,
            text=_text(area),
            sheets=[(sheet, orjson.loads(sheet.counts)) for sheet in found],
            donors=known,
            names={donor.id: donor.name for donor in known},
        )


@bp.route("/bantuan/lembar/<uuid:sheet_id>", methods=["GET", "POST"])
@permitted("manage_aid")
@takes(schemas.SHEET, post=schemas.TAKE_SHEET)
def one_sheet(asked: Asked, sheet_id: object) -> Answer:
    """Show a sheet: how it would be read, or its activities; take it."""
    if asked.form.get("ambil"):
        chosen = {name: asked.form.get(f"kolom_{name}", "") for name in codes.FIELDS}

        def work(session: Session) -> Mapping[str, int]:
            area = AidArea.of(session, hub(), person())
            sheet = sheets.find(session, hub(), area, str(sheet_id), acting())
            return sheets.take(session, hub(), sheet, chosen, author=acting(), now=utc_now())

        server_edits.decide(hub(), work)
        return redirect(url_for("aid.one_sheet", sheet_id=sheet_id))
    with hub().database.reading() as session:
        area = AidArea.of(session, hub(), person())
        sheet = sheets.find(session, hub(), area, str(sheet_id), acting())
        names = places.names_of(session, hub())
        donor = session.get(Donor, (hub().district, sheet.donor_id)) if sheet.donor_id else None
        text = _text(area)
        common = {"sheet": sheet, "donor": donor, "names": names, "rules": rules(), "text": text}
        if sheet.state == "waiting":
            mapping = {name: asked.form.get(f"kolom_{name}", "") for name in codes.FIELDS}
            look = sheets.look(session, hub(), sheet, mapping if any(mapping.values()) else None)
            titles = text.may_read(sheet.brought_by)
            page = render_template("aid_look.html", look=look, titles=titles, most=MOST_ROWS, **common)
        else:
            only, asked_row = asked.query.get("hanya", ""), asked.query.get("baris", 0)
            rows = [row for row in sheets.rows_of(session, hub(), area, sheet.id) if only in ("", row.status)]
            at = next((at for at, row in enumerate(rows) if row.row == asked_row), 0)
            number = asked.query.get("hal") or at // PAGE_ROWS + 1
            shown = rows[offset_of(number) :][:PAGE_ROWS]
            page = render_template(
                "aid_rows.html",
                rows=shown,
                raw={row.id: _raw(row) for row in shown},
                counts=orjson.loads(sheet.counts),
                reasons={row.id: orjson.loads(row.reasons) for row in shown},
                villages=places.choices(names, area.villages),
                same_by=SAME_BY,
                unmatched={row.id for row in shown if sheets.is_unmatched(row, local_today())},
                undelivered={row.id for row in shown if sheets.is_undelivered(row, local_today())},
                only=only,
                number=number,
                pages=page_count(len(rows)),
                **common,
            )
    with hub().database.transaction() as session:
        sheets.log_viewed(session, hub(), str(sheet_id), acting(), utc_now())
    return page


def _raw(row: AidActivity) -> Mapping[str, str]:
    """Return a row as it came, only for people who may see names: it may name a child."""
    return sheets.raw_of(hub(), row) if person().may("see_names") else {}


@bp.post("/bantuan/kegiatan/<uuid:activity_id>")
@permitted("manage_aid")
@takes(schemas.DECIDE_ACTIVITY)
def decide_activity(asked: Asked, activity_id: object) -> Answer:
    """Change how an activity was classified."""
    typed: dict[str, Any] = {name: asked.form.get(name, "") for name in ("category", "menu", "village")}
    typed |= {name: asked.form.get("do") == name for name in schemas.ACTIVITY_ACTIONS}
    who, now = acting(), utc_now()

    def work(session: Session) -> tuple[str | None, int | None]:
        area = AidArea.of(session, hub(), person())
        row = register.decide(session, hub(), area, str(activity_id), typed, author=who, now=now)
        return row.sheet_id, row.row

    sheet_id, number = server_edits.decide(hub(), work)
    flash(formatting.translate("Saved."))
    if sheet_id:
        return redirect(_at_row(sheet_id, number))
    return redirect(url_for("aid.activities"))


def _at_row(sheet_id: str | None, number: int | None) -> str:
    """Return the address of a row on its sheet's page."""
    return url_for("aid.one_sheet", sheet_id=sheet_id, baris=number, _anchor=f"b{number}")


@bp.route("/bantuan/kegiatan/<uuid:activity_id>/anak", methods=["GET", "POST"])
@permitted("decide")
@takes(schemas.WHOSE)
def whose(asked: Asked, activity_id: object) -> Answer:
    """Find the child of a row that only has a name, and make the row that child's delivery."""
    child_id = asked.form.get("anak", "")
    if child_id:
        who, now = acting(), utc_now()

        def work(session: Session) -> tuple[str | None, int | None]:
            area = AidArea.of(session, hub(), person())
            row = sheets.give(session, hub(), area, str(activity_id), child_id, author=who, now=now)
            return row.sheet_id, row.row

        sheet_id, number = server_edits.decide(hub(), work)
        flash(formatting.translate("Saved. Health centre and cadres see it at the child."))
        return redirect(_at_row(sheet_id, number))
    done = problem = None
    with hub().database.reading() as session:
        area = AidArea.of(session, hub(), person())
        row = sheets.unmatched(session, hub(), area, str(activity_id), local_today())
        named = sheets.name_on(session, hub(), row)
        typed = asked.form.get("cari", named).strip()[:120]
        try:
            done = sheets.candidates(session, hub(), area, row, typed, local_today()) if typed else None
        except Problem as refused:
            if refused.code not in ("search-too-short", "search-too-wide"):
                raise
            problem = refused
        page = render_template(
            "aid_whose.html",
            row=row,
            text=_text(area),
            named=named,
            typed=typed,
            done=done,
            problem=problem.body() if problem else None,
            names=places.names_of(session, hub()),
        )
    if done is not None:
        with hub().database.transaction() as session:
            search.log_searched(session, hub(), acting(), done, utc_now())
    return (page, problem.kind.status) if problem else page


# -- a child's aid --------------------------------------------------------------------------------


@bp.route("/anak/<child_id>/bantuan", methods=["GET", "POST"])
@permitted("decide")
@takes(schemas.CHILD_AID)
def child_aid(asked: Asked, child_id: str) -> Answer:
    """Show a child's aid; record one, its delivery, or its verification."""
    problem, mine = None, scope()
    if request.method == "POST":
        wanted, who, now = _aid_wanted(asked.form), acting(), utc_now()
        problem = _tried(
            lambda session: deliveries.record(session, hub(), mine, child_id, wanted, author=who, now=now)
        )
        if not problem:
            flash(formatting.translate("Saved."))
            return redirect(url_for("aid.child_aid", child_id=child_id))
    with hub().database.reading() as session:
        given = deliveries.of_child(session, hub(), mine, child_id)
        page = _page(
            asked,
            "aid_child.html",
            problem,
            child_id=child_id,
            given=given,
            donors=register.donors(session, hub()),
            new_id=new_id(),
            today=local_today(),
        )
    with hub().database.transaction() as session:
        deliveries.log_viewed(session, hub(), child_id, acting(), utc_now(), mine)
    return page


def _aid_wanted(form: Mapping[str, str]) -> dict[str, Any]:
    """Read the form of a child's aid into registers; what is no whole number stays as typed, for the schema to refuse."""

    def count(name: str) -> Any:
        text = form.get(name, "").replace(".", "").strip()
        return (int(text) if text.isascii() and text.isdigit() else text) if text else None

    wanted: dict[str, Any] = {"delivery": form.get("delivery"), "context": form.get("context")}
    if form.get("do") == "verify":
        return wanted | {
            "verified": {"verified_on": local_today().isoformat(), "outcome": form.get("outcome", "")}
        }
    if form.get("menu"):
        aid = {name: form.get(name, "") for name in ("menu", "funds", "reaches", "starts_on")}
        wanted["aid"] = aid | {"ends_on": form.get("ends_on") or None, "donor": form.get("donor") or None}
    if form.get("given_on"):
        wanted["delivered"] = {
            "given_on": form["given_on"],
            "quantity": count("quantity"),
            "unit": form.get("unit") or None,
            "value_rp": count("value_rp"),
        }
    if form.get("what"):
        wanted["evidence"] = {"what": form["what"], "where": places.text_of(form.get("where"), 200) or None}
    return wanted


def _of_child(child_id: str) -> list[deliveries.Given]:
    """Return a child's aid for its page, in the scope of who asks."""
    with hub().database.reading() as session:
        return deliveries.of_child(session, hub(), scope(), child_id)


# -- the donor ------------------------------------------------------------------------------------


@bp.get("/bantuan-saya")
@permitted("see_own_aid")
def own() -> Answer:
    """Show a donor what it funds and the results."""
    with hub().database.reading() as session:
        mine = donor_view.own(session, hub(), person(), local_today())
        names = places.names_of(session, hub())
        text = TextReader(hub(), acting(), names=False)
        return render_template("aid_own.html", own=mine, names=names, text=text)
