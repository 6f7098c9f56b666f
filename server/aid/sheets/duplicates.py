"""Find rows that report something again: another report of the company, or a delivery that is stored already."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any, Final

from rapidfuzz.fuzz import token_set_ratio
from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from server.aid.typed_text import title_of
from server.aid.words import FOR_STUNTING
from server.context import AppContext
from server.database.models import AidActivity, Delivery, HealthPost
from server.interchange.sigizi import plain

NEARLY_THE_SAME_WORDS: Final = 90

SAME_SUM: Final = 0.02

DAYS_BESIDE: Final = 31

REPORTED_TWICE, DELIVERY_KNOWN, DELIVERY_MADE = "reported-twice", "delivery-known", "delivery-made"


def mark_duplicates(session: Session, hub: AppContext, rows: Sequence[AidActivity]) -> None:
    """Note on each row what it repeats: a delivery stored here, or an activity reported before."""
    checked = [row for row in rows if row.donor_id and row.starts_on and row.category in FOR_STUNTING]
    if not checked:
        return
    donors = {row.donor_id for row in checked}
    earlier = list(
        session.scalars(
            select(AidActivity).where(
                AidActivity.district == hub.district,
                AidActivity.donor_id.in_(donors),
                AidActivity.status.in_(("taken", "open")),
                AidActivity.same_as.is_(None),
            )
        )
    )
    deliveries = deliveries_of(session, hub, donors)
    used: set[str] = set()
    for row in checked:
        known = matching_delivery(row, deliveries, used)
        if known:
            row.same_as, row.same_by = known, DELIVERY_KNOWN
            used.add(known)
            continue
        twin = next((activity for activity in earlier if is_same(hub, row, activity)), None)
        if twin is not None:
            row.same_as, row.same_by = f"activity/{twin.id}", REPORTED_TWICE
        earlier.append(row)


def is_same(hub: AppContext, a: AidActivity, b: AidActivity) -> bool:
    """Say whether two reports of a company mean the same activity: reported to different authorities or in different sheets,
    same place, menu and time, and the same sum or nearly the same words."""
    if a.sheet_id == b.sheet_id and a.reported_to == b.reported_to:
        return False
    if (a.donor_id, a.menu, a.village_code) != (b.donor_id, b.menu, b.village_code):
        return False
    if not (a.starts_on and a.ends_on and b.starts_on and b.ends_on):
        return False
    if a.starts_on > b.ends_on or b.starts_on > a.ends_on:
        return False
    if a.value_rp and b.value_rp:
        return abs(a.value_rp - b.value_rp) <= SAME_SUM * max(a.value_rp, b.value_rp)
    one, other = plain(title_of(hub, a)), plain(title_of(hub, b))
    return bool(one and other) and token_set_ratio(one, other) >= NEARLY_THE_SAME_WORDS


def deliveries_of(session: Session, hub: AppContext, donors: Iterable[str | None]) -> list[Any]:
    """Load the deliveries of some donors with their villages, oldest first."""
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


def matching_delivery(row: AidActivity, deliveries: Sequence[Any], used: set[str]) -> str | None:
    """Find the delivery that a row repeats: same company, menu and village, within a month, and the same child or sum."""
    assert row.starts_on is not None  # noqa: S101  # callers select rows with a date
    margin = timedelta(DAYS_BESIDE)
    first, last = row.starts_on - margin, (row.ends_on or row.starts_on) + margin
    for delivery in deliveries:
        day: date | None = delivery.given_on or delivery.starts_on
        name = f"delivery/{delivery.child_id}/{delivery.delivery}"
        if name in used or day is None or not first <= day <= last:
            continue
        if (delivery.donor_id, delivery.menu) != (row.donor_id, row.menu):
            continue
        if row.child_id is not None:
            if row.child_id == delivery.child_id:
                return name
        elif delivery.village_code == row.village_code and row.value_rp and delivery.value_rp == row.value_rp:
            return name
    return None
