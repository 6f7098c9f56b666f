"""The office's register of aid: donors, what they promised, what is done for a village. Not synced: whoever gives and what
was agreed is settled at a desk; what a family got is a delivery, which tablets write (`deliveries`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import orjson
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server import audit
from server.aid.area import AidArea
from server.aid.forms import FormReader
from server.aid.rules import rules
from server.aid.sheets import deliver
from server.aid.words import AUTHORITIES, CATEGORIES, CLOSINGS, DONOR_KINDS, FUNDS, MENUS
from server.context import AppContext
from server.database.ids import UUID_TEXT, new_id
from server.database.models import AidActivity, Commitment, Delivery, Donor, Region
from server.errors import Problem
from server.review.scope import Scope

MOST_PLACES, MOST_MONTHS, MOST_RP, MOST_REACHED = 100_000, 60, 10**13, 1_000_000
MOST_ROWS = 200
DONOR: Final = ("name", "kind", "authority", "named")
CONTACT: Final = ("person", "phone", "address", "legal_id")
"""What is kept of a donor: open, and sealed."""


COMMITMENT: Final = {
    **{"donor": "donor_id", "menu": "menu", "funds": "funds", "region": "region_code", "places": "places"},
    **{"value_rp": "value_rp", "starts_on": "starts_on", "months": "months"},
}
"""What is asked about a commitment, and the column that keeps it."""


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


def donors(session: Session, hub: AppContext) -> list[Donor]:
    """Give the donors, by name."""
    return list(
        session.scalars(select(Donor).where(Donor.district == hub.district).order_by(Donor.name, Donor.id))
    )


def find_donor(session: Session, hub: AppContext, wanted: str) -> Donor | None:
    """Find a donor by id or, whatever its letter case, by name."""
    plain = wanted.strip().casefold()
    return next((d for d in donors(session, hub) if plain in (d.id, d.name.casefold())), None)


def donor_to_change(session: Session, hub: AppContext, area: AidArea, donor_id: str, who: str) -> Donor:
    """Find a donor that is somebody's to change: theirs is the whole district, or they wrote it down.

    Raises
    ------
    Problem
        `record-unknown`.
    """
    donor: Donor | None = _get(session, Donor, hub, donor_id)
    if donor is None or not may_change_donor(area, donor, who):
        raise Problem("record-unknown")
    return donor


def may_change_donor(area: AidArea, donor: Donor, who: str) -> bool:
    """Say whether a donor is somebody's to change, and its contact theirs to read."""
    return area.whole or donor.made_by == who


def contact_of(hub: AppContext, donor: Donor) -> dict[str, str]:
    """Unseal how a donor is reached."""
    if donor.contact is None:
        return {}
    found: dict[str, str] = orjson.loads(
        hub.vault.unseal_for_district(donor.contact, contact_bound(hub, donor.id))
    )
    return found


def add_donor(
    session: Session, hub: AppContext, asked: Mapping[str, Any], *, author: str, now: datetime
) -> str:
    """Put a donor into the register.

    Parameters
    ----------
    asked : `name`, `kind`; `authority` of a company; `named` (agreed to be named); `person`, `phone`, `address`, `legal_id`

    Raises
    ------
    Problem
        `change-invalid` with every reason.
    """
    told, contact = _told_of_donor(session, hub, asked)
    donor_id = new_id()
    sealed = _sealed(hub, donor_id, contact)
    made = {"district": hub.district, "id": donor_id, "made_by": author, "made_at": now}
    session.add(Donor(**made, **told, contact=sealed))
    _log(session, hub, "donor.added", author, now, donor=donor_id, kind=told["kind"])
    return donor_id


def change_donor(
    session: Session,
    hub: AppContext,
    area: AidArea,
    donor_id: str,
    asked: Mapping[str, Any],
    *,
    author: str,
    now: datetime,
) -> None:
    """Change what is known of a donor: of what `add_donor` takes, that which is given. The same again changes nothing.

    Raises
    ------
    Problem
        `record-unknown` for one that is not `may_change_donor`, `change-invalid` with every reason.
    """
    donor = donor_to_change(session, hub, area, donor_id, author)
    known: dict[str, Any] = {name: getattr(donor, name) for name in DONOR} | contact_of(hub, donor)
    told, contact = _told_of_donor(session, hub, {**known, **asked}, itself=donor.id)
    changed = [name for name, value in told.items() if getattr(donor, name) != value]
    for name in changed:
        setattr(donor, name, told[name])
    if contact != contact_of(hub, donor):
        donor.contact = _sealed(hub, donor.id, contact)
        changed.append("contact")
    if changed:
        _log(session, hub, "donor.changed", author, now, donor=donor_id, changed=changed)


def log_donor_viewed(session: Session, hub: AppContext, donor_id: str, actor: str, now: datetime) -> None:
    """Log that somebody read how a donor is reached."""
    _log(session, hub, "donor.viewed", actor, now, donor=donor_id)


def _told_of_donor(
    session: Session, hub: AppContext, given: Mapping[str, Any], itself: str | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Read what was told of a donor: its columns, and how it is reached."""
    asked = FormReader(given)
    told = {
        "name": asked.text("name"),
        "kind": asked.choice("kind", DONOR_KINDS),
        "authority": asked.choice("authority", AUTHORITIES) if asked.has("authority") else None,
        "named": asked.truth("named"),
    }
    others = {donor.name.casefold() for donor in donors(session, hub) if donor.id != itself}
    if str(told["name"]).casefold() in others:
        asked.wrong(
            *("name", "sudah ada dalam daftar donatur", "is in the register of donors already"),
            *("Pakai atau ubah yang sudah ada.", "Use or change the one that is there."),
        )
    asked.refuse()
    return told, {part: asked.raw(part) for part in CONTACT if asked.has(part)}


def _sealed(hub: AppContext, donor_id: str, contact: Mapping[str, str]) -> bytes | None:
    if not contact:
        return None
    return hub.vault.seal_for_district(orjson.dumps(contact), contact_bound(hub, donor_id))


def promise_to_change(
    session: Session, hub: AppContext, area: AidArea, commitment_id: str, who: str
) -> Promise:
    """Find a commitment that is somebody's to change.

    Raises
    ------
    Problem
        `record-unknown`.
    """
    for promise in promises(session, hub):
        if promise.id == commitment_id and is_theirs(area, promise.region_code, promise.made_by, who):
            return promise
    raise Problem("record-unknown")


def promises(session: Session, hub: AppContext, donor_id: str | None = None) -> list[Promise]:
    """Give commitments with what became of each, the newest first."""
    c, d = Commitment, Delivery
    query = (
        select(d.commitment_id, func.count(), func.sum(d.given))
        .where(d.district == hub.district, d.commitment_id.is_not(None), ~d.removed)
        .group_by(d.commitment_id)
    )
    used = {
        of: {"assigned": assigned, "delivered": int(given or 0)}
        for of, assigned, given in session.connection().execute(query).all()
    }
    rows = (
        select(
            *(c.id, c.donor_id, Donor.name.label("donor"), c.menu, c.funds, c.region_code, c.places),
            *(c.value_rp, c.starts_on, c.months, c.closed_at.is_not(None).label("closed"), c.made_by),
        )
        .join(Donor, (Donor.district == c.district) & (Donor.id == c.donor_id))
        .where(c.district == hub.district)
        .order_by(c.made_at.desc(), c.id)
    )
    if donor_id is not None:
        rows = rows.where(c.donor_id == donor_id)
    unused = {"assigned": 0, "delivered": 0}
    found = session.connection().execute(rows).mappings()
    return [Promise(**{**row, **used.get(row["id"], unused)}) for row in found]


def whole_district(session: Session, hub: AppContext) -> AidArea:
    """Give the area of who operates the installation."""
    scope = Scope.whole_district(hub, shows_names=False)
    return AidArea.within(session, hub, scope, sees_children=False)


def add_commitment(
    session: Session, hub: AppContext, area: AidArea, asked: Mapping[str, Any], *, author: str, now: datetime
) -> str:
    """Write down what a donor promises.

    Parameters
    ----------
    asked : `donor`, `menu`, `funds`, `region` (a code: where it may go, all of it in the area), `places` (how many children
        or families), `value_rp` (for each), `starts_on`, `months`

    Raises
    ------
    Problem
        `change-invalid` with every reason.
    """
    told = _told_of_commitment(session, hub, area, asked)
    commitment_id = new_id()
    made = {"district": hub.district, "id": commitment_id, "made_by": author, "made_at": now}
    session.add(Commitment(**made, **told))
    details = {"donor": told["donor_id"], "places": told["places"]}
    _log(session, hub, "commitment.made", author, now, commitment=commitment_id, **details)
    return commitment_id


def change_commitment(
    session: Session,
    hub: AppContext,
    area: AidArea,
    commitment_id: str,
    asked: Mapping[str, Any],
    *,
    author: str,
    now: datetime,
) -> None:
    """Change what a donor promises: of what `add_commitment` takes, that which is given. What was assigned stands, so that
    places never become fewer than that, and donor, menu and funds stay. The same again changes nothing.

    Raises
    ------
    Problem
        `record-unknown` for one that is not `is_theirs`, `change-invalid` with every reason.
    """
    commitment: Commitment | None = _get(session, Commitment, hub, commitment_id, lock=True)
    if commitment is None or not is_theirs(area, commitment.region_code, commitment.made_by, author):
        raise Problem("record-unknown")
    known = {name: getattr(commitment, column) for name, column in COMMITMENT.items()}
    assigned = next(p.assigned for p in promises(session, hub, commitment.donor_id) if p.id == commitment_id)
    told = _told_of_commitment(session, hub, area, {**known, **asked}, commitment, assigned)
    changed = {
        column: [str(before), str(value)]
        for column, value in told.items()
        if (before := getattr(commitment, column)) != value
    }
    for column in changed:
        setattr(commitment, column, told[column])
    if changed:
        _log(session, hub, "commitment.changed", author, now, commitment=commitment_id, changed=changed)


def _told_of_commitment(
    session: Session,
    hub: AppContext,
    area: AidArea,
    given: Mapping[str, Any],
    known: Commitment | None = None,
    assigned: int = 0,
) -> dict[str, Any]:
    """Read what was told of a commitment into its columns; `known` is as it stood, with how many are `assigned`."""
    asked = FormReader(given)
    told: dict[str, Any] = {
        "donor_id": _donor_of(session, hub, asked),
        "menu": asked.choice("menu", MENUS),
        "funds": asked.choice("funds", FUNDS),
        "region_code": asked.text("region"),
        "places": asked.whole("places", 1, MOST_PLACES),
        "months": asked.whole("months", 1, MOST_MONTHS),
        "value_rp": asked.whole("value_rp", 0, MOST_RP),
        "starts_on": asked.day("starts_on"),
    }
    stays = known is not None and told["region_code"] == known.region_code
    region = session.get(Region, (hub.district, told["region_code"]))
    if asked.has("region") and not stays and not (region and area.covers(region.code)):
        asked.wrong(
            *("region", "bukan tempat yang seluruhnya di wilayah Anda"),
            "is no place that lies within your area as a whole",
            *("Pilih desa atau kecamatan di wilayah Anda.", "Choose a village or subdistrict of your area."),
        )
    if told["places"] < assigned:
        asked.wrong(
            *("places", f"kurang dari yang sudah dibagikan ({assigned})"),
            f"is fewer than are assigned already ({assigned})",
            *(f"Tulis {assigned} atau lebih; atau tutup komitmennya.",),
            f"Write {assigned} or more; or close the commitment.",
        )
    for name in ("donor", "menu", "funds") if known is not None and assigned else ():
        if told[COMMITMENT[name]] != getattr(known, COMMITMENT[name]):
            asked.wrong(
                *(
                    name,
                    "tidak dapat diubah: sudah ada yang dibagikan",
                    "cannot change: some of it is assigned",
                ),
                "Tutup komitmen ini, lalu catat yang baru.",
                "Close this commitment, then write down another.",
            )
    if known is not None and known.closed_at is not None:
        asked.wrong(
            *("commitment", "sudah ditutup", "is closed"),
            *("Catat komitmen yang baru.", "Write down another commitment."),
        )
    asked.refuse()
    return told


def _donor_of(session: Session, hub: AppContext, asked: FormReader) -> str | None:
    """Give the id of the donor that was named."""
    donor = _get(session, Donor, hub, asked.raw("donor"))
    if donor is None:
        asked.wrong(
            *("donor", "tidak ada dalam daftar donatur", "is not in the register of donors"),
            *(
                "Pilih donatur dari daftar, atau tambahkan dulu.",
                "Choose a donor of the list, or add it first.",
            ),
        )
    return donor.id if donor else None


def close(
    session: Session,
    hub: AppContext,
    area: AidArea,
    commitment_id: str,
    why: object,
    *,
    author: str,
    now: datetime,
) -> None:
    """Close a commitment: nothing more is assigned of it; what was assigned stands. Closing it again changes nothing.

    Parameters
    ----------
    why : one of CLOSINGS

    Raises
    ------
    Problem
        `record-unknown` for one that is not `is_theirs`, `change-invalid`.
    """
    commitment = _get(session, Commitment, hub, commitment_id)
    if commitment is None or not is_theirs(area, commitment.region_code, commitment.made_by, author):
        raise Problem("record-unknown")
    asked = FormReader({"reason": why})
    asked.choice("reason", CLOSINGS)
    asked.refuse()
    if commitment.closed_at is None:
        commitment.closed_at = now
        _log(session, hub, "commitment.closed", author, now, commitment=commitment_id, reason=why)


def is_theirs(area: AidArea, region_code: str, made_by: str, who: str) -> bool:
    """Say whether a commitment is somebody's to change or close: all of its place is theirs, or they wrote it down."""
    return area.covers(region_code) or made_by == who


def activities(session: Session, hub: AppContext, area: AidArea) -> list[AidActivity]:
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
    session: Session, hub: AppContext, area: AidArea, given: Mapping[str, Any], *, author: str, now: datetime
) -> str:
    """Write down what was done for a village: a delivery to all of it.

    Parameters
    ----------
    given : `donor` (may be empty), `title`, `menu`, `funds`, `village`, `starts_on`, `ends_on`, `value_rp`, `reached`,
        `evidence`

    Raises
    ------
    Problem
        `change-invalid` with every reason.
    """
    asked = FormReader(given)
    title = asked.text("title", 200)
    donor_id = _donor_of(session, hub, asked) if asked.has("donor") else None
    menu, funds = asked.choice("menu", MENUS), asked.choice("funds", FUNDS)
    village = _village_of(area, asked)
    starts_on = asked.day("starts_on")
    ends_on = asked.day("ends_on") if asked.has("ends_on") else starts_on
    if asked.has("starts_on") and ends_on < starts_on:
        asked.wrong(
            *("ends_on", "lebih awal dari mulainya", "is before it begins"),
            *("Periksa kedua tanggalnya.", "Check both dates."),
        )
    value = asked.whole("value_rp", 0, MOST_RP)
    reached = asked.whole("reached", 0, MOST_REACHED) if asked.has("reached") else None
    asked.refuse()
    found = rules().classify(title)
    activity_id = new_id()
    session.add(
        AidActivity(
            district=hub.district,
            id=activity_id,
            donor_id=donor_id,
            status="taken",
            reasons="[]",
            category=found.category,
            category_by=found.by,
            menu=menu,
            funds=funds,
            title=title,
            village_code=village,
            starts_on=starts_on,
            ends_on=ends_on,
            reached=reached,
            value_rp=value,
            evidence=asked.raw("evidence") or None,
            made_by=author,
            made_at=now,
        )
    )
    _log(session, hub, "activity.added", author, now, activity=activity_id, village=village)
    return activity_id


def _village_of(area: AidArea, asked: FormReader) -> str:
    village = asked.text("village")
    if village and village not in area.villages:
        asked.wrong(
            *("village", "bukan desa di wilayah Anda", "is no village of your area"),
            *("Pilih desa dari daftar.", "Choose the village from the list."),
        )
    return village


DECIDED: Final = {"category": CATEGORIES, "menu": MENUS}


def decide(
    session: Session,
    hub: AppContext,
    area: AidArea,
    activity_id: str,
    given: Mapping[str, Any],
    *,
    author: str,
    now: datetime,
) -> AidActivity:
    """Let a person overrule what was made of an activity.

    Parameters
    ----------
    given : any of `category`, `menu`, `village`; `apart` (it doubles nothing), `drop` (it does not count), `restore`,
        `verify`. A row that is one child's is written as its delivery as soon as it may be, whatever is asked

    Raises
    ------
    Problem
        `record-unknown` beyond the area, `change-invalid`.
    """
    row: AidActivity | None = _get(session, AidActivity, hub, activity_id)
    if row is None or not area.holds(row.village_code):
        raise Problem("record-unknown")
    asked = FormReader(given)
    wanted = {name: asked.choice(name, DECIDED[name]) for name in DECIDED if asked.has(name)}
    if asked.has("village"):
        wanted["village_code"] = _village_of(area, asked)
    asked.refuse()
    done: dict[str, Any] = {name: code for name, code in wanted.items() if code != getattr(row, name)}
    for name, code in done.items():
        setattr(row, name, code)
    if "category" in done:
        row.category_by = author
    if asked.truth("apart") and row.same_as:
        done["apart_from"], row.same_as, row.same_by = row.same_as, None, author
    if row.status == "open" and (row.village_code or row.category not in ("specific", "sensitive")):
        row.status = done["status"] = "taken"
    if asked.truth("drop") and row.status != "refused":
        row.status = done["status"] = "dropped"
    if asked.truth("restore") and row.status == "dropped":
        row.status = done["status"] = "taken"
    if asked.truth("verify"):
        row.verified_by, row.verified_at = author, now
        done["verified"] = True
    if deliver(session, hub, row, author, now, apart="apart_from" in done):
        done["beneficiary"] = row.same_by
    if done:
        _log(session, hub, "activity.decided", author, now, activity=activity_id, **done)
    return row


def _get(session: Session, model: Any, hub: AppContext, id_: object, *, lock: bool = False) -> Any:
    text = str(id_ or "")
    if not UUID_TEXT.fullmatch(text):
        return None
    return session.get(model, (hub.district, text), with_for_update=lock)


def _log(session: Session, hub: AppContext, action: str, author: str, now: datetime, **details: Any) -> None:
    audit.append(session, hub.district, audit.OFFICE, action, actor=author, now=now, details=details)


def contact_bound(hub: AppContext, donor_id: str) -> str:
    """Name what the seal of a donor's contact is bound to."""
    return f"donor/{hub.district}/{donor_id}"
