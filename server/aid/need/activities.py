"""Aid reported by village: what counts, what duplicates another report, which authorities claim a company."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, defer

from server.aid.area import AidArea
from server.aid.need.model import Needing, PeriodAid, Village
from server.aid.need.places import Places
from server.aid.sheets import DELIVERY_KNOWN, REPORTED_TWICE
from server.aid.words import FOR_STUNTING
from server.context import AppContext
from server.database.models import AidActivity, Donor


def count_activities(
    session: Session, hub: AppContext, area: AidArea, first: date, last: date
) -> Sequence[Any]:
    """Count activities that repeat nothing, and their Rp, by village, category and status. Counted in the database: a year
    has thousands."""
    a = AidActivity
    by = func.coalesce(a.village_code, "").label("village"), a.category, a.status
    query = select(
        *by, func.count().label("activities"), func.sum(func.coalesce(a.value_rp, 0)).label("value_rp")
    )
    query = query.where(*_in_period(hub, area, first, last), a.same_as.is_(None)).group_by(*by)
    return session.connection().execute(query).all()


def duplicate_reports(
    session: Session, hub: AppContext, area: AidArea, first: date, last: date
) -> list[AidActivity]:
    """Load the activities that repeat another report or a delivery."""
    a = AidActivity
    repeated = a.same_as.is_not(None), a.same_by.in_((REPORTED_TWICE, DELIVERY_KNOWN))
    query = select(a).where(*_in_period(hub, area, first, last), *repeated).order_by(a.starts_on, a.id)
    # the original rows are large and not needed here
    return list(session.scalars(query.options(defer(a.sealed))))


def _in_period(hub: AppContext, area: AidArea, first: date, last: date) -> tuple[ColumnElement[bool], ...]:
    a = AidActivity
    counted = a.district == hub.district, area.of_activities(), a.status.in_(("taken", "open"))
    return (*counted, a.starts_on <= last, a.ends_on >= first)


def sum_villages(
    places: Places, needing: Needing, aid: PeriodAid, activities: Iterable[Any]
) -> dict[str, Village]:
    """Sum up each village where somebody needs aid or something was given."""
    counts = {need: places.count(villages).tolist() for need, (_, villages) in needing.lacking.items()}
    found: defaultdict[str, Village] = defaultdict(lambda: Village(""))
    of_people = zip(needing.helped.tolist(), needing.promised.tolist(), aid.value_rp.tolist(), strict=True)
    for number, (helped, promised, value_rp) in enumerate(of_people):
        gap = Counter({need: lacking[number] for need, lacking in counts.items() if lacking[number]})
        if gap or helped or promised or value_rp:
            code = places.codes[number]
            found[code] = Village(code, gap, promised, helped, value_rp)
    for row in activities:
        if row.village and row.category in FOR_STUNTING:
            village = found[row.village]
            village.code = row.village
            village.value_rp += int(row.value_rp)
            village.activities += row.activities
    return found


def sum_category(activities: Iterable[Any], category: str) -> tuple[int, int]:
    rows = [row for row in activities if row.category == category and row.status == "taken"]
    return sum(row.activities for row in rows), sum(int(row.value_rp) for row in rows)


def disputed_authorities(
    session: Session, hub: AppContext, area: AidArea, first: date, last: date
) -> list[tuple[str, tuple[str, ...]]]:
    """Find companies whose activities were reported to several authorities, or to one that does not supervise them."""
    a = AidActivity
    columns = (
        select(a.donor_id, a.reported_to).where(*_in_period(hub, area, first, last)).distinct().subquery()
    )
    query = select(Donor.id, Donor.name, Donor.authority, columns.c.reported_to)
    query = query.join(columns, columns.c.donor_id == Donor.id).where(Donor.district == hub.district)
    claimed: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for donor_id, name, *authorities in session.connection().execute(query).all():
        claimed[name, donor_id].update(filter(None, authorities))
    return [
        (name, tuple(sorted(several))) for (name, _), several in sorted(claimed.items()) if len(several) > 1
    ]
