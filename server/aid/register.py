"""The register of aid: donors, their commitments, and activities for villages.

It is not synced: only staff write it, on the server. What a family gets is a delivery, which tablets write too
(`deliveries`).
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
from server.aid.typed_text import seal_words
from server.aid.words import AUTHORITIES, CATEGORIES, CLOSINGS, DONOR_KINDS, FUNDS, MENUS
from server.context import AppContext
from server.database.ids import UUID_TEXT, new_id
from server.database.models import AidActivity, Commitment, Delivery, Donor, Region
from server.errors import Problem
from server.review.scope import Scope
from server.translations import T_

MOST_PLACES, MOST_MONTHS, MOST_RP, MOST_REACHED = 100_000, 60, 10**13, 1_000_000
MOST_ROWS = 200
DONOR: Final = ("name", "kind", "authority", "named")
CONTACT: Final = ("person", "phone", "address", "legal_id")
"""Fields of a donor: stored in the clear, and stored encrypted."""


COMMITMENT: Final = {
    **{"donor": "donor_id", "menu": "menu", "funds": "funds", "region": "region_code", "places": "places"},
    **{"value_rp": "value_rp", "starts_on": "starts_on", "months": "months"},
}
"""Field of a request about a commitment -> its column."""


@dataclass(frozen=True, slots=True)
class Promise:
    """A commitment with how much of it is used: `assigned` counts the deliveries promised from it."""

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
        """Give how many more can be assigned."""
        return 0 if self.closed else max(0, self.places - self.assigned)


def donors(session: Session, hub: AppContext) -> list[Donor]:
    """Load the donors, by name."""
    return list(
        session.scalars(select(Donor).where(Donor.district == hub.district).order_by(Donor.name, Donor.id))
    )


def find_donor(session: Session, hub: AppContext, wanted: str) -> Donor | None:
    """Find a donor by id, or by name in any case."""
    plain = wanted.strip().casefold()
    return next((d for d in donors(session, hub) if plain in (d.id, d.name.casefold())), None)


def donor_to_change(session: Session, hub: AppContext, area: AidArea, donor_id: str, who: str) -> Donor:
    """Find a donor that somebody may change: their area is the whole district, or they added it.

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
    """Say whether somebody may change a donor and read its contact."""
    return area.whole or donor.made_by == who


def contact_of(hub: AppContext, donor: Donor) -> dict[str, str]:
    """Decrypt the contact of a donor."""
    if donor.contact is None:
        return {}
    found: dict[str, str] = orjson.loads(
        hub.vault.unseal_for_district(donor.contact, contact_bound(hub, donor.id))
    )
    return found


def add_donor(
    session: Session, hub: AppContext, request: Mapping[str, Any], *, author: str, now: datetime
) -> str:
    """Add a donor to the register.

    Parameters
    ----------
    request : `name`, `kind`; `authority` of a company; `named` (agreed to be named); `person`, `phone`, `address`,
        `legal_id`

    Raises
    ------
    Problem
        `change-invalid` with every reason.
    """
    columns, contact = _read_donor(session, hub, request)
    donor_id = new_id()
    sealed = _seal_contact(hub, donor_id, contact)
    made = {"district": hub.district, "id": donor_id, "made_by": author, "made_at": now}
    session.add(Donor(**made, **columns, contact=sealed))
    _log(session, hub, "donor.added", author, now, donor=donor_id, kind=columns["kind"])
    return donor_id


def change_donor(
    session: Session,
    hub: AppContext,
    area: AidArea,
    donor_id: str,
    request: Mapping[str, Any],
    *,
    author: str,
    now: datetime,
) -> None:
    """Change a donor: those fields of `add_donor` that are given. The same request again changes nothing.

    Raises
    ------
    Problem
        `record-unknown` if `may_change_donor` says no, `change-invalid` with every reason.
    """
    donor = donor_to_change(session, hub, area, donor_id, author)
    known: dict[str, Any] = {name: getattr(donor, name) for name in DONOR} | contact_of(hub, donor)
    columns, contact = _read_donor(session, hub, {**known, **request}, itself=donor.id)
    changed = [name for name, value in columns.items() if getattr(donor, name) != value]
    for name in changed:
        setattr(donor, name, columns[name])
    if contact != contact_of(hub, donor):
        donor.contact = _seal_contact(hub, donor.id, contact)
        changed.append("contact")
    if changed:
        _log(session, hub, "donor.changed", author, now, donor=donor_id, changed=changed)


def log_donor_viewed(session: Session, hub: AppContext, donor_id: str, actor: str, now: datetime) -> None:
    """Log that somebody read the contact of a donor."""
    _log(session, hub, "donor.viewed", actor, now, donor=donor_id)


def _read_donor(
    session: Session, hub: AppContext, given: Mapping[str, Any], itself: str | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Read a request about a donor: (columns, contact)."""
    form = FormReader(given)
    columns = {
        "name": form.text("name"),
        "kind": form.choice("kind", DONOR_KINDS),
        "authority": form.choice("authority", AUTHORITIES) if form.has("authority") else None,
        "named": form.truth("named"),
    }
    others = {donor.name.casefold() for donor in donors(session, hub) if donor.id != itself}
    if str(columns["name"]).casefold() in others:
        form.wrong(
            "name", T_("is in the register of donors already"), T_("Use or change the one that is there.")
        )
    form.refuse()
    return columns, {part: form.raw(part) for part in CONTACT if form.has(part)}


def _seal_contact(hub: AppContext, donor_id: str, contact: Mapping[str, str]) -> bytes | None:
    if not contact:
        return None
    return hub.vault.seal_for_district(orjson.dumps(contact), contact_bound(hub, donor_id))


def promise_to_change(
    session: Session, hub: AppContext, area: AidArea, commitment_id: str, who: str
) -> Promise:
    """Find a commitment that somebody may change.

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
    """Load commitments with how much of each is used, newest first."""
    c, d = Commitment, Delivery
    query = (
        select(d.commitment_id, func.count(), func.sum(d.given))
        .where(d.district == hub.district, d.commitment_id.is_not(None), ~d.removed)
        .group_by(d.commitment_id)
    )
    used = {
        commitment_id: {"assigned": assigned, "delivered": int(given or 0)}
        for commitment_id, assigned, given in session.connection().execute(query).all()
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
    """Give the area of the operator."""
    scope = Scope.whole_district(hub, shows_names=False)
    return AidArea.within(session, hub, scope, sees_children=False)


def add_commitment(
    session: Session,
    hub: AppContext,
    area: AidArea,
    request: Mapping[str, Any],
    *,
    author: str,
    now: datetime,
) -> str:
    """Add a commitment of a donor.

    Parameters
    ----------
    request : `donor`, `menu`, `funds`, `region` (code of where it may go; the whole of it in the area), `places` (number of
        children or families), `value_rp` (for each), `starts_on`, `months`

    Raises
    ------
    Problem
        `change-invalid` with every reason.
    """
    columns = _read_commitment(session, hub, area, request)
    commitment_id = new_id()
    made = {"district": hub.district, "id": commitment_id, "made_by": author, "made_at": now}
    session.add(Commitment(**made, **columns))
    details = {"donor": columns["donor_id"], "places": columns["places"]}
    _log(session, hub, "commitment.made", author, now, commitment=commitment_id, **details)
    return commitment_id


def change_commitment(
    session: Session,
    hub: AppContext,
    area: AidArea,
    commitment_id: str,
    request: Mapping[str, Any],
    *,
    author: str,
    now: datetime,
) -> None:
    """Change a commitment: those fields of `add_commitment` that are given. The same request again changes nothing.

    What is assigned stays assigned: `places` cannot be fewer than that, and then donor, menu and funds cannot change.

    Raises
    ------
    Problem
        `record-unknown` if `is_theirs` says no, `change-invalid` with every reason.
    """
    commitment: Commitment | None = _get(session, Commitment, hub, commitment_id, lock=True)
    if commitment is None or not is_theirs(area, commitment.region_code, commitment.made_by, author):
        raise Problem("record-unknown")
    known = {name: getattr(commitment, column) for name, column in COMMITMENT.items()}
    assigned = next(p.assigned for p in promises(session, hub, commitment.donor_id) if p.id == commitment_id)
    columns = _read_commitment(session, hub, area, {**known, **request}, commitment, assigned)
    changed = {
        column: [str(before), str(value)]
        for column, value in columns.items()
        if (before := getattr(commitment, column)) != value
    }
    for column in changed:
        setattr(commitment, column, columns[column])
    if changed:
        _log(session, hub, "commitment.changed", author, now, commitment=commitment_id, changed=changed)


def _read_commitment(
    session: Session,
    hub: AppContext,
    area: AidArea,
    given: Mapping[str, Any],
    known: Commitment | None = None,
    assigned: int = 0,
) -> dict[str, Any]:
    """Read a request about a commitment into its columns; `known` is the stored one, of which `assigned` are assigned."""
    form = FormReader(given)
    columns: dict[str, Any] = {
        "donor_id": _donor_id(session, hub, form),
        "menu": form.choice("menu", MENUS),
        "funds": form.choice("funds", FUNDS),
        "region_code": form.text("region"),
        "places": form.whole("places", 1, MOST_PLACES),
        "months": form.whole("months", 1, MOST_MONTHS),
        "value_rp": form.whole("value_rp", 0, MOST_RP),
        "starts_on": form.day("starts_on"),
    }
    stays = known is not None and columns["region_code"] == known.region_code
    region = session.get(Region, (hub.district, columns["region_code"]))
    if form.has("region") and not stays and not (region and area.covers(region.code)):
        form.wrong(
            "region",
            T_("is no place that lies within your area as a whole"),
            T_("Choose a village or subdistrict of your area."),
        )
    if columns["places"] < assigned:
        form.wrong(
            "places",
            T_("is fewer than are assigned already ({assigned})").format(assigned=assigned),
            T_("Write {assigned} or more; or close the commitment.").format(assigned=assigned),
        )
    for name in ("donor", "menu", "funds") if known is not None and assigned else ():
        if columns[COMMITMENT[name]] != getattr(known, COMMITMENT[name]):
            form.wrong(
                name,
                T_("cannot change: some of it is assigned"),
                T_("Close this commitment, then write down another."),
            )
    if known is not None and known.closed_at is not None:
        form.wrong("commitment", T_("is closed"), T_("Write down another commitment."))
    form.refuse()
    return columns


def _donor_id(session: Session, hub: AppContext, form: FormReader) -> str | None:
    """Give the id of the donor that a request names."""
    donor = _get(session, Donor, hub, form.raw("donor"))
    if donor is None:
        form.wrong(
            "donor",
            T_("is not in the register of donors"),
            T_("Choose a donor of the list, or add it first."),
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
    """Close a commitment: no more is assigned from it; what is assigned stays. Closing it again changes nothing.

    Parameters
    ----------
    why : one of CLOSINGS

    Raises
    ------
    Problem
        `record-unknown` if `is_theirs` says no, `change-invalid`.
    """
    commitment = _get(session, Commitment, hub, commitment_id)
    if commitment is None or not is_theirs(area, commitment.region_code, commitment.made_by, author):
        raise Problem("record-unknown")
    form = FormReader({"reason": why})
    form.choice("reason", CLOSINGS)
    form.refuse()
    if commitment.closed_at is None:
        commitment.closed_at = now
        _log(session, hub, "commitment.closed", author, now, commitment=commitment_id, reason=why)


def is_theirs(area: AidArea, region_code: str, made_by: str, who: str) -> bool:
    """Say whether somebody may change or close a commitment: its whole region is in their area, or they added it."""
    return area.covers(region_code) or made_by == who


def activities(session: Session, hub: AppContext, area: AidArea) -> list[AidActivity]:
    """Load the activities for villages of an area that came from no sheet, newest first."""
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
    """Add an activity for a whole village.

    Parameters
    ----------
    given : `donor` (may be empty), `title`, `menu`, `funds`, `village`, `starts_on`, `ends_on`, `value_rp`, `reached`,
        `evidence`

    Raises
    ------
    Problem
        `change-invalid` with every reason.
    """
    form = FormReader(given)
    title = form.text("title", 200)
    donor_id = _donor_id(session, hub, form) if form.has("donor") else None
    menu, funds = form.choice("menu", MENUS), form.choice("funds", FUNDS)
    village = _village_of(area, form)
    starts_on = form.day("starts_on")
    ends_on = form.day("ends_on") if form.has("ends_on") else starts_on
    if form.has("starts_on") and ends_on < starts_on:
        form.wrong("ends_on", T_("is before it begins"), T_("Check both dates."))
    value = form.whole("value_rp", 0, MOST_RP)
    reached = form.whole("reached", 0, MOST_REACHED) if form.has("reached") else None
    form.refuse()
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
            village_code=village,
            starts_on=starts_on,
            ends_on=ends_on,
            reached=reached,
            value_rp=value,
            made_by=author,
            made_at=now,
            **seal_words(hub, activity_id, title, form.raw("evidence")),
        )
    )
    _log(session, hub, "activity.added", author, now, activity=activity_id, village=village)
    return activity_id


def _village_of(area: AidArea, form: FormReader) -> str:
    village = form.text("village")
    if village and village not in area.villages:
        form.wrong("village", T_("is no village of your area"), T_("Choose the village from the list."))
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
    """Correct how an activity was classified, or decide about it.

    Parameters
    ----------
    given : any of `category`, `menu`, `village`; `apart` (it repeats nothing), `drop` (it does not count), `restore`,
        `verify`. A row about one child becomes its delivery as soon as it can, whatever the request is

    Raises
    ------
    Problem
        `record-unknown` outside the area, `change-invalid`.
    """
    row: AidActivity | None = _get(session, AidActivity, hub, activity_id)
    if row is None or not area.holds(row.village_code):
        raise Problem("record-unknown")
    form = FormReader(given)
    new = {name: form.choice(name, DECIDED[name]) for name in DECIDED if form.has(name)}
    if form.has("village"):
        new["village_code"] = _village_of(area, form)
    form.refuse()
    done: dict[str, Any] = {name: code for name, code in new.items() if code != getattr(row, name)}
    for name, code in done.items():
        setattr(row, name, code)
    if "category" in done:
        row.category_by = author
    if form.truth("apart") and row.same_as:
        done["apart_from"], row.same_as, row.same_by = row.same_as, None, author
    if row.status == "open" and (row.village_code or row.category not in ("specific", "sensitive")):
        row.status = done["status"] = "taken"
    if form.truth("drop") and row.status != "refused":
        row.status = done["status"] = "dropped"
    if form.truth("restore") and row.status == "dropped":
        row.status = done["status"] = "taken"
    if form.truth("verify"):
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
    """Give the context to which the encryption of a donor's contact is bound."""
    return f"donor/{hub.district}/{donor_id}"
