"""A sheet of a company or an agency, from the file to activities: looked at first, then taken, every row accounted for.

Rules kept here:
- Columns are mapped by a person and remembered for the company. The file is sealed until it is taken; after that every row
  keeps what it held, sealed, beside what was read and why it was not.
- Nothing counts twice: a row that repeats another of the same company (the same place, time and menu, and the same sum or
  nearly the same words), or a delivery that is known here, names what it doubles (`same_as`). A person may say it is apart.
- A row about one child (by NIK) becomes a delivery of the child, which its cadre sees. A name alone is never enough: then a
  person who may decide about children picks the child (`candidates`, `give`).
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

import orjson
from rapidfuzz.fuzz import token_set_ratio
from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from schemas.words import Reason
from server import audit
from server.aid.area import AidArea, text_of
from server.aid.csr_parser import CsrSheet as Sheet, ParsedRow, guess, open_sheet, read
from server.aid.rules import Class, rules
from server.aid.words import AUTHORITIES, FIELDS, FOR_STUNTING, REASONS
from server.context import AppContext
from server.database.ids import UUID_TEXT, new_id
from server.database.models import (
    AidActivity,
    Child,
    CsrSheet,
    Delivery,
    Donor,
    HealthPost,
    NikIndex,
    Region,
)
from server.errors import Problem
from server.interchange.gazetteer import village_name
from server.interchange.sheets import SheetUnreadable
from server.interchange.sigizi import plain
from server.review import follow_ups, search
from server.sync import server_edits
from server.sync.server_edits import Edit

NEARLY_THE_SAME_WORDS: Final = 90
SAME_SUM: Final = 0.02
DAYS_BESIDE: Final = 31
REPORTED_TWICE, DELIVERY_KNOWN, DELIVERY_MADE = "reported-twice", "delivery-known", "delivery-made"


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
    """Keep a file, sealed, until somebody has looked at it; the same file again is the same sheet.

    Raises
    ------
    Problem
        `sheet-unreadable`, `request-malformed` for an authority or a donor that is none.
    """
    if reported_to not in AUTHORITIES:
        raise Problem("request-malformed", reason="reported_to is centre, province or regency")
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
            name=text_of(name) or "?",
            digest=digest,
            state="waiting",
            counts="{}",
            brought_by=author,
            brought_at=now,
            sealed=hub.vault.seal_for_district(content, file_bound(hub, sheet_id)),
        )
    )
    _log(session, hub, "csr.brought", author, now, sheet=sheet_id, reported_to=reported_to)
    return sheet_id


@dataclass(frozen=True, slots=True)
class Look:
    """A waiting sheet as it would be taken: its headers, the mapping, every row with what it was found to be, its village's
    code ("" where it has none) and why it is open."""

    headers: tuple[str, ...]
    mapping: Mapping[str, str]
    rows: tuple[tuple[ParsedRow, Class, str, tuple[str, ...]], ...]

    @property
    def counts(self) -> Mapping[str, int]:
        return Counter(_status(told, why) for told, _, _, why in self.rows)


def look(session: Session, hub: AppContext, sheet: CsrSheet, chosen: Mapping[str, str] | None = None) -> Look:
    """Read a waiting sheet with a mapping; without one, with that of the company's last sheet or a guess."""
    opened = _opened(hub, sheet)
    donor = session.get(Donor, (hub.district, sheet.donor_id)) if sheet.donor_id else None
    kept: dict[str, str] = orjson.loads(donor.columns) if donor and donor.columns else {}
    mapping = guess(opened.headers, kept) if chosen is None else _checked(chosen, opened.headers)
    villages = _Villages(session, hub)
    rows = []
    for told in read(opened, mapping):
        found = rules().classify(told.title, told.sector)
        code, why = villages.find(told.village, told.subdistrict)
        wanted = found.category in FOR_STUNTING
        rows.append((told, found, code, (why,) if why and wanted and not told.refused else ()))
    return Look(opened.headers, mapping, tuple(rows))


def take(
    session: Session,
    hub: AppContext,
    sheet: CsrSheet,
    chosen: Mapping[str, str],
    *,
    author: str,
    now: datetime,
) -> Mapping[str, int]:
    """Make activities of all rows of a waiting sheet, and remember its mapping. Taking it again changes nothing.

    Returns
    -------
    dict : rows by status, and how many double something (`same`)
    """
    if sheet.state != "waiting":
        counts: dict[str, int] = orjson.loads(sheet.counts)
        return counts
    shown = look(session, hub, sheet, chosen)
    donor = session.get(Donor, (hub.district, sheet.donor_id)) if sheet.donor_id else None
    if donor is not None:
        donor.columns = orjson.dumps(dict(shown.mapping)).decode()
    made = [_activity(hub, sheet, row, author, now) for row in shown.rows]
    _companies(session, hub, sheet, made, [told for told, *_ in shown.rows])
    niks = _children(session, hub, [told.nik for told, *_ in shown.rows])
    for row, (told, *_) in zip(made, shown.rows, strict=True):
        row.child_id = niks.get(told.nik)
        if told.nik and row.child_id is None:
            _note(row, "beneficiary-unknown")
        elif told.beneficiary and row.child_id is None:
            _note(row, "beneficiary-unmatched")
    counted = [row for row in made if row.status in ("taken", "open")]
    _find_doubles(session, hub, counted)
    session.add_all(made)
    session.flush()
    _give_to_children(session, hub, [row for row in counted if row.child_id and not row.same_as], author, now)
    counts = dict(Counter(row.status for row in made), same=sum(row.same_as is not None for row in made))
    sheet.state, sheet.counts, sheet.sealed = "taken", orjson.dumps(counts).decode(), None
    _log(session, hub, "csr.taken", author, now, sheet=sheet.id, rules=rules().version, **counts)
    return counts


@dataclass(frozen=True, slots=True)
class SheetReport:
    """What became of a file: rows by status, each row as `telling` has it, and whether it had been taken before."""

    counts: Mapping[str, int]
    rows: tuple[Mapping[str, Any], ...]
    already: bool


class _NotKept(Exception):
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
    """Bring a file and take it at once; without `apply` do the same, tell what came of it, and keep nothing.

    Parameters
    ----------
    columns : by field the header that means it, where the guess or what is remembered is not to hold

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
        rows = tuple(_account(row) for row in session.scalars(query.order_by(AidActivity.row)))
        done = SheetReport(counts, rows, already)
        if not apply:
            raise _NotKept(done)
        return done

    try:
        return server_edits.decide(hub, work)
    except _NotKept as dry:
        return dry.done


def mapping(session: Session, hub: AppContext, sheet: CsrSheet, columns: Mapping[str, str]) -> dict[str, str]:
    """Give the mapping of a waiting sheet: what is remembered or guessed, where a person did not choose otherwise.

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
                f"Tidak ada kolom itu; ada: {there}.",
                f"No such column; there are: {there}.",
            )
            for header in missing
        ]
        raise Problem("change-invalid", reasons=[fault.wire() for fault in faults])
    kept = {field: header for field, header in shown.mapping.items() if header not in columns.values()}
    return kept | dict(columns)


def _account(row: AidActivity) -> dict[str, Any]:
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
        "id": " ".join(REASONS[code][0] for code in codes),
        "en": " ".join(REASONS[code][1] for code in codes),
    }


def find(session: Session, hub: AppContext, area: AidArea, sheet_id: str, author: str) -> CsrSheet:
    """Find a sheet: that one brought oneself, or of which a row lies in one's area.

    Raises
    ------
    Problem
        `record-unknown`.
    """
    sheet = session.get(CsrSheet, (hub.district, sheet_id)) if UUID_TEXT.fullmatch(sheet_id) else None
    if sheet is None or not (
        area.whole or sheet.brought_by == author or rows_of(session, hub, area, sheet_id)
    ):
        raise Problem("record-unknown")
    return sheet


def sheets(session: Session, hub: AppContext, area: AidArea, author: str) -> list[CsrSheet]:
    """List the sheets that somebody may see, the newest first."""
    mine = select(AidActivity.sheet_id).where(AidActivity.district == hub.district, area.of_activities())
    query = (
        select(CsrSheet)
        .where(CsrSheet.district == hub.district)
        .order_by(CsrSheet.brought_at.desc(), CsrSheet.id)
    )
    if not area.whole:
        query = query.where((CsrSheet.brought_by == author) | CsrSheet.id.in_(mine))
    return list(session.scalars(query.limit(200)))


def log_viewed(session: Session, hub: AppContext, sheet_id: str, actor: str, now: datetime) -> None:
    """Log that somebody looked at a sheet."""
    _log(session, hub, "csr.viewed", actor, now, sheet=sheet_id)


def rows_of(session: Session, hub: AppContext, area: AidArea, sheet_id: str) -> list[AidActivity]:
    """Give the rows of a taken sheet that lie in an area, in the sheet's order."""
    query = select(AidActivity).where(
        AidActivity.district == hub.district, AidActivity.sheet_id == sheet_id, area.of_activities()
    )
    return list(session.scalars(query.order_by(AidActivity.row)))


def raw_of(hub: AppContext, row: AidActivity) -> dict[str, str]:
    """Unseal what a row of a sheet held, by header."""
    if row.sealed is None:
        return {}
    raw: dict[str, str] = orjson.loads(hub.vault.unseal_for_district(row.sealed, row_bound(hub, row.id)))
    return raw


# -- a row with a name alone ----------------------------------------------------------------------

UNMATCHED: Final = frozenset({"beneficiary-unmatched", "beneficiary-unknown"})


def is_unmatched(row: AidActivity, today: date) -> bool:
    """Say whether a row names somebody who received it, and no child is known for it yet."""
    return UNMATCHED.intersection(orjson.loads(row.reasons)) != frozenset() and _may_be_given(row, today)


def _may_be_given(row: AidActivity, today: date) -> bool:
    usable = row.sheet_id is not None and row.status in ("taken", "open") and row.same_as is None
    return usable and row.category in FOR_STUNTING and row.starts_on is not None and row.starts_on <= today


def is_undelivered(row: AidActivity, today: date) -> bool:
    """Say whether a row is one child's and no delivery is written of it yet: at first it was taken for something else, was
    still to come, or doubled another row."""
    return row.child_id is not None and _may_be_given(row, today)


def deliver(
    session: Session, hub: AppContext, row: AidActivity, author: str, now: datetime, *, apart: bool = False
) -> bool:
    """Make a row that is one child's its delivery, if it may be one by now and is none yet; say whether it was.

    Parameters
    ----------
    apart : a person said that it is none of those that are known
    """
    if not is_undelivered(row, hub.settings.today(now)):
        return False
    if apart:
        _give_to_children(session, hub, [row], author, now)
    else:
        _become_delivery(session, hub, row, author, now)
    return True


def _become_delivery(session: Session, hub: AppContext, row: AidActivity, author: str, now: datetime) -> None:
    """Write the delivery of a row, or name the one that it tells again; two rows of a sheet are two."""
    query = select(AidActivity.same_as).where(
        AidActivity.district == hub.district,
        AidActivity.sheet_id == row.sheet_id,
        AidActivity.same_as.is_not(None),
    )
    told = {name for name in session.scalars(query) if name}
    known = _known_delivery(row, _deliveries(session, hub, [row.donor_id]), told) if row.donor_id else None
    if known is None:
        _give_to_children(session, hub, [row], author, now)
    else:
        row.same_as, row.same_by = known, DELIVERY_KNOWN


def unmatched(
    session: Session, hub: AppContext, area: AidArea, activity_id: str, today: date, *, lock: bool = False
) -> AidActivity:
    """Find a row that may be given to a child.

    Raises
    ------
    Problem
        `record-unknown`: there is none in the area, or it counts as something else already.
    """
    row = session.get(AidActivity, (hub.district, activity_id), with_for_update=lock)
    if row is None or not area.holds(row.village_code) or not _may_be_given(row, today):
        raise Problem("record-unknown")
    return row


def name_on(session: Session, hub: AppContext, row: AidActivity) -> str:
    """Give the name of who received it, as the sheet has it; "" where no column of names is known."""
    raw = raw_of(hub, row)
    donor = session.get(Donor, (hub.district, row.donor_id)) if row.donor_id else None
    kept: dict[str, str] = orjson.loads(donor.columns) if donor and donor.columns else {}
    return raw.get(guess(tuple(raw), kept).get("beneficiary", ""), "")


def candidates(
    session: Session, hub: AppContext, area: AidArea, row: AidActivity, words: str, today: date
) -> search.Search:
    """Find children of a row's village (of the area, where it has none) by name or NIK, as `review.search` does."""
    if row.village_code is None:
        return search.search(session, hub, area.scope, words, today=today)
    here = set(
        session.scalars(
            select(HealthPost.id).where(
                HealthPost.district == hub.district, HealthPost.village_code == row.village_code
            )
        )
    )
    found = search.search(session, hub, area.narrowed(hub, row.village_code).scope, words, today=today)
    return replace(found, found=tuple(child for child in found.found if child.post_id in here))


def give(
    session: Session,
    hub: AppContext,
    area: AidArea,
    activity_id: str,
    child_id: str,
    *,
    author: str,
    now: datetime,
) -> AidActivity:
    """Make a row the delivery of a child whom a person picked, or name the delivery that it tells again.

    Raises
    ------
    Problem
        `record-unknown`: no such row, or the child is not of its village.
    """
    row = unmatched(session, hub, area, activity_id, hub.settings.today(now), lock=True)
    post = session.get_one(
        HealthPost, (hub.district, follow_ups.find(session, hub, area.scope, child_id).post_id)
    )
    if row.village_code not in (None, post.village_code):
        raise Problem("record-unknown")
    row.child_id, row.village_code, row.status = child_id, post.village_code, "taken"
    row.reasons = orjson.dumps([code for code in orjson.loads(row.reasons) if code not in UNMATCHED]).decode()
    _become_delivery(session, hub, row, author, now)
    _log(session, hub, "activity.decided", author, now, activity=activity_id, beneficiary=row.same_by)
    return row


# -- of one row -----------------------------------------------------------------------------------


def _status(told: ParsedRow, why: Sequence[str]) -> str:
    return "refused" if told.refused else "open" if why else "taken"


def _activity(
    hub: AppContext,
    sheet: CsrSheet,
    row: tuple[ParsedRow, Class, str, tuple[str, ...]],
    author: str,
    now: datetime,
) -> AidActivity:
    told, found, village, why = row
    activity_id = new_id()
    return AidActivity(
        district=hub.district,
        id=activity_id,
        donor_id=sheet.donor_id,
        sheet_id=sheet.id,
        row=told.number,
        status=_status(told, why),
        reasons=orjson.dumps([*told.reasons, *why]).decode(),
        category=found.category,
        category_by=found.by if not found.word else f"{found.by}: {found.word}",
        menu=found.menu,
        funds="csr",
        title=told.title,
        reported_to=sheet.reported_to,
        village_code=village or None,
        starts_on=told.starts_on,
        ends_on=told.ends_on,
        reached=told.reached,
        value_rp=told.value_rp,
        evidence=told.evidence or None,
        made_by=author,
        made_at=now,
        sealed=hub.vault.seal_for_district(orjson.dumps(dict(told.raw)), row_bound(hub, activity_id)),
    )


def _note(row: AidActivity, why: str) -> None:
    row.reasons = orjson.dumps([*orjson.loads(row.reasons), why]).decode()


def _companies(
    session: Session, hub: AppContext, sheet: CsrSheet, made: Sequence[AidActivity], told: Sequence[ParsedRow]
) -> None:
    """In a sheet of an agency each row names its company; one that is not in the register waits for a person."""
    if sheet.donor_id is not None:
        return
    names = {
        plain(name): id_
        for id_, name in session.execute(select(Donor.id, Donor.name).where(Donor.district == hub.district))
    }
    for row, each in zip(made, told, strict=True):
        row.donor_id = names.get(plain(each.company)) if each.company else None
        if row.donor_id is None:
            _note(row, "company-unknown")
            row.status = "open" if row.status == "taken" else row.status


class _Villages:
    """The district's villages by name, whatever the spelling."""

    def __init__(self, session: Session, hub: AppContext) -> None:
        rows = session.execute(select(Region.code, Region.name).where(Region.district == hub.district)).all()
        names = {row.code: row.name for row in rows}
        self._by_name: dict[str, list[tuple[str, str]]] = {}
        self._codes = {code for code in names if code.count(".") == 3}
        for code in self._codes:
            upper = plain(names.get(code.rpartition(".")[0], ""))
            self._by_name.setdefault(village_name(names[code]), []).append((upper, code))

    def find(self, village: str, subdistrict: str) -> tuple[str, str]:
        """Give the code of a village, or "" and why not."""
        if not village:
            return "", "village-missing"
        if village in self._codes:
            return village, ""
        upper = plain(subdistrict)
        found = [
            code for up, code in self._by_name.get(village_name(village), []) if not upper or up == upper
        ]
        if len(found) == 1:
            return found[0], ""
        return "", "village-unclear" if found else "village-unknown"


def _children(session: Session, hub: AppContext, niks: Iterable[str]) -> dict[str, str]:
    """Find the children of some NIKs; a NIK that several bear is nobody's, and of a restricted child nothing is written."""
    blinds = {hub.vault.blind_index(nik): nik for nik in niks if nik}
    if not blinds:
        return {}
    found: dict[str, list[str]] = {}
    same_child = and_(Child.district == NikIndex.district, Child.id == NikIndex.child_id)
    query = (
        select(NikIndex.blind, NikIndex.child_id)
        .join(Child, same_child)
        .where(
            NikIndex.district == hub.district,
            NikIndex.blind.in_(list(blinds)),
            Child.restricted_at.is_(None),
        )
    )
    for blind, child_id in session.execute(query):
        found.setdefault(blinds[blind], []).append(child_id)
    return {nik: ids[0] for nik, ids in found.items() if len(ids) == 1}


# -- what counts once -----------------------------------------------------------------------------


def _find_doubles(session: Session, hub: AppContext, rows: Sequence[AidActivity]) -> None:
    """Name what each row doubles: a delivery that is known here, or an activity that was reported before."""
    asked = [row for row in rows if row.donor_id and row.starts_on and row.category in FOR_STUNTING]
    if not asked:
        return
    donors = {row.donor_id for row in asked}
    before = list(
        session.scalars(
            select(AidActivity).where(
                AidActivity.district == hub.district,
                AidActivity.donor_id.in_(donors),
                AidActivity.status.in_(("taken", "open")),
                AidActivity.same_as.is_(None),
            )
        )
    )
    given = _deliveries(session, hub, donors)
    used: set[str] = set()
    for row in asked:
        known = _known_delivery(row, given, used)
        if known:
            row.same_as, row.same_by = known, DELIVERY_KNOWN
            used.add(known)
            continue
        twin = next((other for other in before if is_same(row, other)), None)
        if twin is not None:
            row.same_as, row.same_by = f"activity/{twin.id}", REPORTED_TWICE
        before.append(row)


def is_same(one: AidActivity, other: AidActivity) -> bool:
    """Say whether two reports of one company are of the same thing: of another authority or another sheet, at the same place
    and time, of the same menu, with the same sum or nearly the same words."""
    if one.sheet_id == other.sheet_id and one.reported_to == other.reported_to:
        return False
    if (one.donor_id, one.menu, one.village_code) != (other.donor_id, other.menu, other.village_code):
        return False
    if not (one.starts_on and one.ends_on and other.starts_on and other.ends_on):
        return False
    if one.starts_on > other.ends_on or other.starts_on > one.ends_on:
        return False
    if one.value_rp and other.value_rp:
        return abs(one.value_rp - other.value_rp) <= SAME_SUM * max(one.value_rp, other.value_rp)
    return token_set_ratio(plain(one.title), plain(other.title)) >= NEARLY_THE_SAME_WORDS


def _deliveries(session: Session, hub: AppContext, donors: Iterable[str | None]) -> list[Any]:
    same_post = and_(HealthPost.district == Delivery.district, HealthPost.id == Delivery.post_id)
    query = (
        select(
            *(Delivery.child_id, Delivery.delivery, Delivery.donor_id, Delivery.menu, Delivery.value_rp),
            *(Delivery.given_on, Delivery.starts_on, HealthPost.village_code),
        )
        .join(HealthPost, same_post)
        .where(Delivery.district == hub.district, Delivery.donor_id.in_(list(donors)), ~Delivery.removed)
        .order_by(Delivery.starts_on, Delivery.delivery)
    )
    return list(session.execute(query))


def _known_delivery(row: AidActivity, given: Sequence[Any], used: set[str]) -> str | None:
    """Find the delivery that a row tells again: of the same company, menu and village, within a month, to the same child or
    of the same sum."""
    assert row.starts_on is not None  # noqa: S101  # asked for rows with a day alone
    beside = timedelta(DAYS_BESIDE)
    first, last = row.starts_on - beside, (row.ends_on or row.starts_on) + beside
    for one in given:
        on: date | None = one.given_on or one.starts_on
        name = f"delivery/{one.child_id}/{one.delivery}"
        if name in used or on is None or not first <= on <= last:
            continue
        if (one.donor_id, one.menu) != (row.donor_id, row.menu):
            continue
        if row.child_id is not None:
            if row.child_id == one.child_id:
                return name
        elif one.village_code == row.village_code and row.value_rp and one.value_rp == row.value_rp:
            return name
    return None


def _give_to_children(
    session: Session, hub: AppContext, rows: Sequence[AidActivity], author: str, now: datetime
) -> None:
    """Write a delivery for each row that is one child's; the row names it, and does not count beside it."""
    edits = []
    for row in rows:
        if row.category not in FOR_STUNTING or row.starts_on is None or row.child_id is None:
            continue
        if row.starts_on > hub.settings.today(now):
            continue
        delivery = new_id()
        aid = {
            "menu": row.menu,
            "funds": row.funds,
            "reaches": "child" if row.menu == "food" else "family",
            "starts_on": row.starts_on.isoformat(),
            "ends_on": row.ends_on.isoformat() if row.ends_on and row.ends_on != row.starts_on else None,
            "donor": row.donor_id,
        }
        delivered = {"given_on": row.starts_on.isoformat(), "value_rp": row.value_rp}
        edits.append(Edit.of_delivery(row.child_id, delivery, {"aid": aid, "delivered": delivered}))
        row.same_as, row.same_by = f"delivery/{row.child_id}/{delivery}", DELIVERY_MADE
    if edits:
        server_edits.write(session, hub, edits, "aid.reported", author=author, now=now)


# -- the file -------------------------------------------------------------------------------------


def _opened(hub: AppContext, sheet: CsrSheet) -> Sheet:
    if sheet.sealed is None:
        raise Problem("record-unknown")
    return open_sheet(hub.vault.unseal_for_district(sheet.sealed, file_bound(hub, sheet.id)))


def _checked(chosen: Mapping[str, str], headers: Sequence[str]) -> dict[str, str]:
    return {name: header for name, header in chosen.items() if name in FIELDS and header in headers}


def file_bound(hub: AppContext, sheet_id: str) -> str:
    """Name what a sheet's seal is bound to."""
    return f"csr/{hub.district}/{sheet_id}"


def row_bound(hub: AppContext, activity_id: str) -> str:
    """Name what the seal of a sheet's row is bound to."""
    return f"activity/{hub.district}/{activity_id}"


def _log(session: Session, hub: AppContext, action: str, author: str, now: datetime, **details: Any) -> None:
    audit.append(session, hub.district, audit.OFFICE, action, actor=author, now=now, details=details)
