"""Store a file, preview how it would be read, and import it: an activity for every row."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.words import Reason
from server.aid.area import text_of
from server.aid.csr_parser import ParsedRow, guess, open_sheet, read
from server.aid.rules import Class, rules
from server.aid.sheets.beneficiaries import write_deliveries
from server.aid.sheets.duplicates import mark_duplicates
from server.aid.sheets.identifying import VillageNames, children_by_nik
from server.aid.sheets.storage import file_bound, log_csr, open_stored, row_bound
from server.aid.typed_text import headers_of, seal_headers, seal_name, seal_words
from server.aid.words import AUTHORITIES, FIELDS, FOR_STUNTING, REASONS
from server.context import AppContext
from server.database.ids import UUID_TEXT, new_id
from server.database.models import AidActivity, CsrSheet, Donor
from server.errors import Problem
from server.interchange.sheets import SheetUnreadable
from server.interchange.sigizi import plain
from server.sync import server_edits
from server.translations import T_


def bring(
    session: Session,
    hub: AppContext,
    content: bytes,
    *,
    name: str,
    reported_to: str,
    donor_id: str | None,
    author: str,
    now: datetime,
) -> str:
    """Store a file encrypted until it is imported; the same file again is the same sheet.

    Raises
    ------
    Problem
        `sheet-unreadable`; `request-malformed` for an unknown authority; `record-unknown` for an unknown donor.
    """
    if reported_to not in AUTHORITIES:
        raise Problem("request-malformed", reason="reported_to must be centre, province or regency")
    if donor_id is not None and not (
        UUID_TEXT.fullmatch(donor_id) and session.get(Donor, (hub.district, donor_id))
    ):
        raise Problem("record-unknown")
    try:
        open_sheet(content)
    except SheetUnreadable as error:
        raise Problem("sheet-unreadable", reason=str(error)) from error
    digest = hashlib.sha256(content + reported_to.encode() + (donor_id or "").encode()).hexdigest()
    known = session.scalar(
        select(CsrSheet.id).where(CsrSheet.district == hub.district, CsrSheet.digest == digest)
    )
    if known is not None:
        return known
    sheet_id = new_id()
    session.add(
        CsrSheet(
            district=hub.district,
            id=sheet_id,
            donor_id=donor_id,
            reported_to=reported_to,
            name_sealed=seal_name(hub, sheet_id, text_of(name) or "?"),
            digest=digest,
            state="waiting",
            counts="{}",
            brought_by=author,
            brought_at=now,
            sealed=hub.vault.seal_for_district(content, file_bound(hub, sheet_id)),
        )
    )
    log_csr(session, hub, "csr.brought", author, now, sheet=sheet_id, reported_to=reported_to)
    return sheet_id


@dataclass(frozen=True, slots=True)
class Look:
    """A preview of a sheet that is not imported yet.

    Parameters
    ----------
    rows : each as (what was read, its classification, village code or "", reasons why a person must look at it)
    """

    headers: tuple[str, ...]
    mapping: Mapping[str, str]
    rows: tuple[tuple[ParsedRow, Class, str, tuple[str, ...]], ...]

    @property
    def counts(self) -> Mapping[str, int]:
        return Counter(_row_status(parsed, why) for parsed, _, _, why in self.rows)


def look(session: Session, hub: AppContext, sheet: CsrSheet, chosen: Mapping[str, str] | None = None) -> Look:
    """Preview a sheet with a mapping; if None, with that of the company's last sheet, else a guess."""
    opened = open_stored(hub, sheet)
    donor = session.get(Donor, (hub.district, sheet.donor_id)) if sheet.donor_id else None
    mapping = (
        guess(opened.headers, headers_of(hub, donor))
        if chosen is None
        else _known_columns(chosen, opened.headers)
    )
    villages = VillageNames(session, hub)
    rows = []
    for parsed in read(opened, mapping):
        found = rules().classify(parsed.title, parsed.sector)
        code, why = villages.find(parsed.village, parsed.subdistrict)
        wanted = found.category in FOR_STUNTING
        rows.append((parsed, found, code, (why,) if why and wanted and not parsed.refused else ()))
    return Look(opened.headers, mapping, tuple(rows))


def _known_columns(chosen: Mapping[str, str], headers: Sequence[str]) -> dict[str, str]:
    return {name: header for name, header in chosen.items() if name in FIELDS and header in headers}


def _row_status(parsed: ParsedRow, why: Sequence[str]) -> str:
    return "refused" if parsed.refused else "open" if why else "taken"


def take(
    session: Session,
    hub: AppContext,
    sheet: CsrSheet,
    chosen: Mapping[str, str],
    *,
    author: str,
    now: datetime,
) -> Mapping[str, int]:
    """Import a sheet: make an activity of every row, and remember the mapping. Importing it again changes nothing.

    Returns
    -------
    dict : number of rows by status, and how many repeat something (`same`)
    """
    if sheet.state != "waiting":
        counts: dict[str, int] = orjson.loads(sheet.counts)
        return counts
    shown = look(session, hub, sheet, chosen)
    donor = session.get(Donor, (hub.district, sheet.donor_id)) if sheet.donor_id else None
    if donor is not None:
        donor.columns_sealed = seal_headers(hub, donor.id, shown.mapping)
    made = [_make_activity(hub, sheet, row, author, now) for row in shown.rows]
    _match_companies(session, hub, sheet, made, [parsed for parsed, *_ in shown.rows])
    niks = children_by_nik(session, hub, [parsed.nik for parsed, *_ in shown.rows])
    for row, (parsed, *_) in zip(made, shown.rows, strict=True):
        row.child_id = niks.get(parsed.nik)
        if parsed.nik and row.child_id is None:
            _add_reason(row, "beneficiary-unknown")
        elif parsed.beneficiary and row.child_id is None:
            _add_reason(row, "beneficiary-unmatched")
    counted = [row for row in made if row.status in ("taken", "open")]
    mark_duplicates(session, hub, counted)
    session.add_all(made)
    session.flush()
    write_deliveries(session, hub, [row for row in counted if row.child_id and not row.same_as], author, now)
    counts = dict(Counter(row.status for row in made), same=sum(row.same_as is not None for row in made))
    sheet.state, sheet.counts, sheet.sealed = "taken", orjson.dumps(counts).decode(), None
    log_csr(session, hub, "csr.taken", author, now, sheet=sheet.id, rules=rules().version, **counts)
    return counts


def _make_activity(
    hub: AppContext,
    sheet: CsrSheet,
    row: tuple[ParsedRow, Class, str, tuple[str, ...]],
    author: str,
    now: datetime,
) -> AidActivity:
    parsed, found, village, why = row
    activity_id = new_id()
    return AidActivity(
        district=hub.district,
        id=activity_id,
        donor_id=sheet.donor_id,
        sheet_id=sheet.id,
        row=parsed.number,
        status=_row_status(parsed, why),
        reasons=orjson.dumps([*parsed.reasons, *why]).decode(),
        category=found.category,
        category_by=found.by if not found.word else f"{found.by}: {found.word}",
        menu=found.menu,
        funds="csr",
        reported_to=sheet.reported_to,
        village_code=village or None,
        starts_on=parsed.starts_on,
        ends_on=parsed.ends_on,
        reached=parsed.reached,
        value_rp=parsed.value_rp,
        made_by=author,
        made_at=now,
        **seal_words(hub, activity_id, parsed.title, parsed.evidence),
        sealed=hub.vault.seal_for_district(orjson.dumps(dict(parsed.raw)), row_bound(hub, activity_id)),
    )


def _match_companies(
    session: Session,
    hub: AppContext,
    sheet: CsrSheet,
    made: Sequence[AidActivity],
    parsed: Sequence[ParsedRow],
) -> None:
    """Find the company that each row of an agency's sheet names; with an unknown one the row stays open for a person."""
    if sheet.donor_id is not None:
        return
    names = {
        plain(name): id_
        for id_, name in session.execute(select(Donor.id, Donor.name).where(Donor.district == hub.district))
    }
    for row, each in zip(made, parsed, strict=True):
        row.donor_id = names.get(plain(each.company)) if each.company else None
        if row.donor_id is None:
            _add_reason(row, "company-unknown")
            row.status = "open" if row.status == "taken" else row.status


def _add_reason(row: AidActivity, why: str) -> None:
    row.reasons = orjson.dumps([*orjson.loads(row.reasons), why]).decode()


@dataclass(frozen=True, slots=True)
class SheetReport:
    """The result of importing a file: rows by status, the result of each row, and whether it had been imported before."""

    counts: Mapping[str, int]
    rows: tuple[Mapping[str, Any], ...]
    already: bool


class _DryRun(Exception):
    def __init__(self, done: SheetReport) -> None:
        self.done = done


def import_file(
    hub: AppContext,
    content: bytes,
    *,
    name: str,
    reported_to: str,
    donor_id: str | None,
    columns: Mapping[str, str],
    apply: bool,
    author: str,
    now: datetime,
) -> SheetReport:
    """Store and import a file at once. Without `apply`: a dry run, which gives the same result and stores nothing.

    Parameters
    ----------
    columns : field -> header, where the guessed or remembered mapping shall not be used

    Raises
    ------
    Problem
        As `bring`; `change-invalid` for a header that is not there.
    """

    def work(session: Session) -> SheetReport:
        sheet_id = bring(
            *(session, hub, content),
            name=name,
            reported_to=reported_to,
            donor_id=donor_id,
            author=author,
            now=now,
        )
        session.flush()
        sheet = session.get_one(CsrSheet, (hub.district, sheet_id))
        already = sheet.state != "waiting"
        counts = take(session, hub, sheet, mapping(session, hub, sheet, columns), author=author, now=now)
        query = select(AidActivity).where(
            AidActivity.district == hub.district, AidActivity.sheet_id == sheet_id
        )
        rows = tuple(_row_result(row) for row in session.scalars(query.order_by(AidActivity.row)))
        done = SheetReport(counts, rows, already)
        if not apply:
            raise _DryRun(done)
        return done

    try:
        return server_edits.decide(hub, work)
    except _DryRun as dry:
        return dry.done


def mapping(session: Session, hub: AppContext, sheet: CsrSheet, columns: Mapping[str, str]) -> dict[str, str]:
    """Give the mapping of a sheet that is not imported yet: what a person chose, else what is remembered or guessed.

    Raises
    ------
    Problem
        `change-invalid` for a header that is not there.
    """
    if sheet.state != "waiting":
        return {}
    shown = look(session, hub, sheet)
    missing = [header for header in columns.values() if header not in shown.headers]
    if missing:
        there = ", ".join(shown.headers)
        faults = [
            Reason(
                header,
                "wrong-value",
                None,
                *T_("No such column; there are: {there}.").format(there=there),
            )
            for header in missing
        ]
        raise Problem("change-invalid", reasons=[fault.wire() for fault in faults])
    remembered = {field: header for field, header in shown.mapping.items() if header not in columns.values()}
    return remembered | dict(columns)


def _row_result(row: AidActivity) -> dict[str, Any]:
    codes: list[str] = orjson.loads(row.reasons)
    return {
        "row": row.row,
        "status": row.status,
        "category": row.category,
        "by": row.category_by,
        "menu": row.menu,
        "village": row.village_code,
        "value_rp": row.value_rp,
        "same": row.same_by if row.same_as else None,
        "reasons": " ".join(codes),
        "id": " ".join(REASONS[code].id for code in codes),
        "en": " ".join(REASONS[code].en for code in codes),
    }
