"""The office's register of aid: donors, what they promised, what is done for a village. Not synced: whoever gives and what
was agreed is settled at a desk; what a family got is a delivery, which tablets write (`deliveries`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import orjson
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from schemas.words import Reason
from server import audit
from server.aid.area import Area, text_of
from server.aid.rules import rules
from server.aid.words import AUTHORITIES, CATEGORIES, CLOSINGS, DONOR_KINDS, FUNDS, MENUS
from server.errors import Problem
from server.hub import Hub
from server.models import AidActivity, Commitment, Delivery, Donor, Region
from server.places import UUID_TEXT, new_id
from server.review.scope import Scope

MOST_PLACES, MOST_MONTHS, MOST_RP = 100_000, 60, 10**13
MOST_ROWS = 200
_CONTACT = ("person", "phone", "address", "legal_id")


@dataclass(frozen=True, slots=True)
class Promise:
    """A commitment with how much of it is used: `assigned` deliveries were promised to children or families of it."""

    id: str
    donor_id: str
    donor: str
    menu: str
    funds: str
    region_code: str
    places: int
    assigned: int
    delivered: int
    value_rp: int
    starts_on: date
    months: int
    closed: bool
    made_by: str

    @property
    def left(self) -> int:
        return 0 if self.closed else max(0, self.places - self.assigned)


def donors(session: Session, hub: Hub) -> list[Donor]:
    """Give the donors, by name."""
    return list(
        session.scalars(select(Donor).where(Donor.district == hub.district).order_by(Donor.name, Donor.id))
    )


def find_donor(session: Session, hub: Hub, wanted: str) -> Donor | None:
    """Find a donor by id or, whatever its letter case, by name."""
    plain = wanted.strip().casefold()
    return next((d for d in donors(session, hub) if plain in (d.id, d.name.casefold())), None)


def contact_of(hub: Hub, donor: Donor) -> dict[str, str]:
    """Unseal how a donor is reached."""
    if donor.contact is None:
        return {}
    found: dict[str, str] = orjson.loads(
        hub.vault.unseal_for_district(donor.contact, contact_bound(hub, donor.id))
    )
    return found


def add_donor(session: Session, hub: Hub, asked: Mapping[str, Any], *, author: str, now: datetime) -> str:
    """Put a donor into the register.

    Parameters
    ----------
    asked : `name`, `kind`; `authority` of a company; `named` (agreed to be named); `person`, `phone`, `address`, `legal_id`

    Raises
    ------
    Problem
        `change-invalid` with every reason.
    """
    name, kind, authority = text_of(asked.get("name")), asked.get("kind"), asked.get("authority") or None
    faults = [] if name else [_fault("name", "Nama donatur kosong.", "The donor has no name.")]
    if kind not in DONOR_KINDS:
        faults.append(_fault("kind", "Pilih jenis donatur.", "Choose the kind of donor."))
    if authority is not None and authority not in AUTHORITIES:
        faults.append(_fault("authority", "Pilih pembinanya.", "Choose who supervises it."))
    if name and name.casefold() in {donor.name.casefold() for donor in donors(session, hub)}:
        faults.append(_fault("name", f"{name} sudah terdaftar.", f"{name} is in the register already."))
    _refuse(faults)
    donor_id = new_id()
    contact = {part: typed for part in _CONTACT if (typed := text_of(asked.get(part), 200))}
    sealed = None
    if contact:
        sealed = hub.vault.seal_for_district(orjson.dumps(contact), contact_bound(hub, donor_id))
    session.add(
        Donor(
            district=hub.district,
            id=donor_id,
            kind=str(kind),
            name=name,
            authority=authority,
            named=bool(asked.get("named")),
            contact=sealed,
            made_by=author,
            made_at=now,
        )
    )
    _log(session, hub, "donor.added", author, now, donor=donor_id, kind=kind)
    return donor_id


def promises(session: Session, hub: Hub, donor_id: str | None = None) -> list[Promise]:
    """Give commitments with what became of each, the newest first."""
    query = (
        select(
            Delivery.commitment_id,
            func.count().label("assigned"),
            func.sum(Delivery.given).label("given"),
        )
        .where(Delivery.district == hub.district, Delivery.commitment_id.is_not(None), ~Delivery.removed)
        .group_by(Delivery.commitment_id)
    )
    counted = {row.commitment_id: (row.assigned, int(row.given or 0)) for row in session.execute(query)}
    rows = (
        select(Commitment, Donor.name)
        .join(Donor, (Donor.district == Commitment.district) & (Donor.id == Commitment.donor_id))
        .where(Commitment.district == hub.district)
        .order_by(Commitment.made_at.desc(), Commitment.id)
    )
    if donor_id is not None:
        rows = rows.where(Commitment.donor_id == donor_id)
    return [
        Promise(
            c.id,
            c.donor_id,
            name,
            c.menu,
            c.funds,
            c.region_code,
            c.places,
            *counted.get(c.id, (0, 0)),
            value_rp=c.value_rp,
            starts_on=c.starts_on,
            months=c.months,
            closed=c.closed_at is not None,
            made_by=c.made_by,
        )
        for c, name in session.execute(rows)
    ]


def whole_district(session: Session, hub: Hub) -> Area:
    """Give the area of who operates the installation."""
    scope = Scope.whole_district(hub, shows_names=False)
    return Area.within(session, hub, scope, sees_children=False)


def add_commitment(
    session: Session, hub: Hub, area: Area, asked: Mapping[str, Any], *, author: str, now: datetime
) -> str:
    """Write down what a donor promises.

    Parameters
    ----------
    asked : `donor`, `menu`, `funds`, `region` (a code: where it may go), `places` (how many children or families),
        `value_rp` (for each), `starts_on`, `months`

    Raises
    ------
    Problem
        `change-invalid` with every reason.
    """
    faults = []
    donor = _get(session, Donor, hub, asked.get("donor"))
    if donor is None:
        faults.append(_fault("donor", "Pilih donaturnya.", "Choose the donor."))
    if asked.get("menu") not in MENUS:
        faults.append(_fault("menu", "Pilih apa yang diberikan.", "Choose what is given."))
    if asked.get("funds") not in FUNDS:
        faults.append(_fault("funds", "Pilih sumber dananya.", "Choose who pays."))
    region = session.get(Region, (hub.district, text_of(asked.get("region"))))
    if not (region and area.reaches(region.code)):
        faults.append(_fault("region", "Pilih tempat di wilayah Anda.", "Choose a place within your area."))
    places = _whole(asked.get("places"), "places", 1, MOST_PLACES, faults)
    months = _whole(asked.get("months"), "months", 1, MOST_MONTHS, faults)
    value = _whole(asked.get("value_rp") or 0, "value_rp", 0, MOST_RP, faults)
    starts_on = _day(asked.get("starts_on"), "starts_on", faults)
    _refuse(faults)
    assert donor is not None  # noqa: S101  # refused else
    assert region is not None  # noqa: S101
    commitment_id = new_id()
    session.add(
        Commitment(
            district=hub.district,
            id=commitment_id,
            donor_id=donor.id,
            menu=str(asked["menu"]),
            funds=str(asked["funds"]),
            region_code=region.code,
            places=places,
            value_rp=value,
            starts_on=starts_on,
            months=months,
            made_by=author,
            made_at=now,
        )
    )
    _log(
        session, hub, "commitment.made", author, now, commitment=commitment_id, donor=donor.id, places=places
    )
    return commitment_id


def close(
    session: Session, hub: Hub, area: Area, commitment_id: str, why: object, *, author: str, now: datetime
) -> None:
    """Close a commitment: nothing more is assigned of it; what was assigned stands. Closing it again changes nothing.

    Parameters
    ----------
    why : one of CLOSINGS

    Raises
    ------
    Problem
        `record-unknown` for one that is not `may_close`, `change-invalid`.
    """
    commitment = _get(session, Commitment, hub, commitment_id)
    if commitment is None or not may_close(area, commitment.region_code, commitment.made_by, author):
        raise Problem("record-unknown")
    if why not in CLOSINGS:
        _refuse([_fault("reason", "Pilih alasannya.", "Choose the reason.")])
    if commitment.closed_at is None:
        commitment.closed_at = now
        _log(session, hub, "commitment.closed", author, now, commitment=commitment_id, reason=why)


def may_close(area: Area, region_code: str, made_by: str, who: str) -> bool:
    """Say whether a commitment is somebody's to close: all of its place is theirs, or they wrote it down."""
    return area.covers(region_code) or made_by == who


def activities(session: Session, hub: Hub, area: Area) -> list[AidActivity]:
    """Give what was done for villages of an area and not brought in with a sheet, the newest first."""
    return list(
        session.scalars(
            select(AidActivity)
            .where(AidActivity.district == hub.district, AidActivity.sheet_id.is_(None), area.of_activities())
            .order_by(AidActivity.starts_on.desc(), AidActivity.id)
            .limit(MOST_ROWS)
        )
    )


def add_activity(
    session: Session, hub: Hub, area: Area, asked: Mapping[str, Any], *, author: str, now: datetime
) -> str:
    """Write down what was done for a village: a delivery to all of it.

    Parameters
    ----------
    asked : `donor` (may be empty), `title`, `menu`, `funds`, `village`, `starts_on`, `ends_on`, `value_rp`, `reached`,
        `evidence`

    Raises
    ------
    Problem
        `change-invalid` with every reason.
    """
    faults: list[Reason] = []
    title = text_of(asked.get("title"), 200)
    if not title:
        faults.append(_fault("title", "Tulis apa yang dilakukan.", "Write what was done."))
    donor = _get(session, Donor, hub, asked.get("donor"))
    if asked.get("donor") and donor is None:
        faults.append(_fault("donor", "Pilih donaturnya.", "Choose the donor."))
    if asked.get("menu") not in MENUS:
        faults.append(_fault("menu", "Pilih apa yang diberikan.", "Choose what is given."))
    if asked.get("funds") not in FUNDS:
        faults.append(_fault("funds", "Pilih sumber dananya.", "Choose who pays."))
    village = str(asked.get("village") or "")
    if village not in area.villages:
        faults.append(_fault("village", "Pilih desa di wilayah Anda.", "Choose a village within your area."))
    starts_on = _day(asked.get("starts_on"), "starts_on", faults)
    ends_on = _day(asked["ends_on"], "ends_on", faults) if asked.get("ends_on") else starts_on
    if ends_on < starts_on:
        faults.append(_fault("ends_on", "Selesai sebelum mulai.", "It ends before it begins."))
    value = _whole(asked.get("value_rp") or 0, "value_rp", 0, MOST_RP, faults)
    reached = _whole(asked["reached"], "reached", 0, 1_000_000, faults) if asked.get("reached") else None
    _refuse(faults)
    found = rules().classify(title)
    activity_id = new_id()
    session.add(
        AidActivity(
            district=hub.district,
            id=activity_id,
            donor_id=donor.id if donor else None,
            status="taken",
            reasons="[]",
            category=found.category,
            category_by=found.by,
            menu=str(asked["menu"]),
            funds=str(asked["funds"]),
            title=title,
            village_code=village,
            starts_on=starts_on,
            ends_on=ends_on,
            reached=reached,
            value_rp=value,
            evidence=text_of(asked.get("evidence"), 200) or None,
            made_by=author,
            made_at=now,
        )
    )
    _log(session, hub, "activity.added", author, now, activity=activity_id, village=village)
    return activity_id


def decide(
    session: Session,
    hub: Hub,
    area: Area,
    activity_id: str,
    asked: Mapping[str, Any],
    *,
    author: str,
    now: datetime,
) -> AidActivity:
    """Let a person overrule what was made of an activity.

    Parameters
    ----------
    asked : any of `category`, `menu`, `village`; `apart` (it doubles nothing), `drop` (it does not count), `restore`,
        `verify`

    Raises
    ------
    Problem
        `record-unknown` beyond the area, `change-invalid`.
    """
    row: AidActivity | None = _get(session, AidActivity, hub, activity_id)
    if row is None or not area.holds(row.village_code):
        raise Problem("record-unknown")
    faults = []
    done: dict[str, Any] = {}
    if category := asked.get("category"):
        if category not in CATEGORIES:
            faults.append(_fault("category", "Pilih golongannya.", "Choose the category."))
        elif category != row.category:
            row.category, row.category_by = category, author
            done["category"] = category
    if menu := asked.get("menu"):
        if menu not in MENUS:
            faults.append(_fault("menu", "Pilih apa yang diberikan.", "Choose what is given."))
        elif menu != row.menu:
            row.menu = menu
            done["menu"] = menu
    if village := asked.get("village"):
        if village not in area.villages:
            faults.append(
                _fault("village", "Pilih desa di wilayah Anda.", "Choose a village within your area.")
            )
        elif village != row.village_code:
            row.village_code = village
            done["village"] = village
    _refuse(faults)
    if asked.get("apart") and row.same_as:
        done["apart_from"], row.same_as, row.same_by = row.same_as, None, author
    if row.status == "open" and (row.village_code or row.category not in ("specific", "sensitive")):
        row.status = done["status"] = "taken"
    if asked.get("drop") and row.status != "refused":
        row.status = done["status"] = "dropped"
    if asked.get("restore") and row.status == "dropped":
        row.status = done["status"] = "taken"
    if asked.get("verify"):
        row.verified_by, row.verified_at = author, now
        done["verified"] = True
    if done:
        _log(session, hub, "activity.decided", author, now, activity=activity_id, **done)
    return row


def _get(session: Session, model: Any, hub: Hub, id_: object) -> Any:
    text = str(id_ or "")
    return session.get(model, (hub.district, text)) if UUID_TEXT.fullmatch(text) else None


def _whole(given: object, name: str, low: int, high: int, faults: list[Reason]) -> int:
    text = str(given or "0").replace(".", "").replace(" ", "")
    if text.isascii() and text.isdigit() and len(text) <= 15 and low <= int(text) <= high:
        return int(text)
    faults.append(
        _fault(name, f"Isi bilangan bulat {low} sampai {high}.", f"Give a whole number from {low} to {high}.")
    )
    return low


def _day(given: object, name: str, faults: list[Reason]) -> date:
    try:
        return date.fromisoformat(str(given or ""))
    except ValueError:
        faults.append(_fault(name, "Isi tanggalnya.", "Give the day."))
        return date.max


def _fault(path: str, indonesian: str, english: str) -> Reason:
    return Reason(path, "wrong-value", None, indonesian, english)


def _refuse(faults: Sequence[Reason]) -> None:
    if faults:
        raise Problem("change-invalid", reasons=[fault.wire() for fault in faults])


def _log(session: Session, hub: Hub, action: str, author: str, now: datetime, **details: Any) -> None:
    audit.append(session, hub.district, audit.OFFICE, action, actor=author, now=now, details=details)


def contact_bound(hub: Hub, donor_id: str) -> str:
    """Name what the seal of a donor's contact is bound to."""
    return f"donor/{hub.district}/{donor_id}"
