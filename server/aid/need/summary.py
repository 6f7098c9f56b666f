"""Need, overlap and proposals of an area, and assigning a proposal to the children it counted."""

from collections import Counter
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from server import audit
from server.aid.area import AidArea
from server.aid.need.activities import (
    count_activities,
    disputed_authorities,
    duplicate_reports,
    sum_category,
    sum_villages,
)
from server.aid.need.children_in_need import find_needing
from server.aid.need.coverage import load_aid
from server.aid.need.model import NeedSummary
from server.aid.need.places import load_places
from server.aid.need.proposals import propose
from server.aid.register import promises
from server.context import AppContext
from server.database.ids import new_id
from server.errors import Problem
from server.sync import server_edits
from server.sync.server_edits import Edit


def standing(
    session: Session, hub: AppContext, area: AidArea, first: date, last: date, today: date
) -> NeedSummary:
    """Work out need, overlap and proposals of an area.

    Parameters
    ----------
    first, last : the period for which aid and activities are counted
    """
    places = load_places(session, hub)
    aid = load_aid(session, hub, area, places, first, last, today)
    needing = find_needing(session, hub, area, places, aid, today)
    activities = count_activities(session, hub, area, first, last)
    villages = sum_villages(places, needing, aid, activities)
    ordered = sorted(villages.values(), key=lambda v: (-v.lacking, v.code))
    for_stunting = [v for v in ordered if v.value_rp or v.activities]
    return NeedSummary(
        Counter({need: len(ids) for need, (ids, _) in needing.lacking.items() if len(ids)}),
        tuple(ordered),
        tuple(v for v in for_stunting if not v.needing),
        tuple(aid.twice),
        tuple(duplicate_reports(session, hub, area, first, last)),
        tuple(disputed_authorities(session, hub, area, first, last)),
        sum_category(activities, "disaster"),
        sum_category(activities, "other"),
        tuple(propose(places, needing, promises(session, hub))),
    )


def log_viewed(session: Session, hub: AppContext, shown: NeedSummary, actor: str, now: datetime) -> None:
    """Log that somebody looked at the gap, and how large it was."""
    details = {"lacking": shown.lacking, "villages": shown.lacking_places}
    audit.append(session, hub.district, audit.OFFICE, "aid.gap_viewed", actor=actor, now=now, details=details)


def assign(
    session: Session,
    hub: AppContext,
    area: AidArea,
    commitment_id: str,
    village: str,
    need: str,
    seen: str,
    *,
    author: str,
    now: datetime,
) -> int:
    """Promise a commitment to the children of a proposal, as it was shown.

    Returns
    -------
    int : the number of children

    Raises
    ------
    Problem
        `aid-moved-on`: the gap or the commitment has changed since it was shown.
    """
    today = hub.settings.today(now)
    places = load_places(session, hub)
    aid_now = load_aid(session, hub, area, places, today, today, today)
    needing = find_needing(session, hub, area, places, aid_now, today)
    proposals = propose(places, needing, promises(session, hub))
    wanted = (commitment_id, village, need, seen)
    found = next((p for p in proposals if (p.promise.id, p.village, p.need, p.seen) == wanted), None)
    if found is None:
        raise Problem("aid-moved-on")
    promise = found.promise
    starts = max(today, promise.starts_on)
    aid = {
        "menu": promise.menu,
        "funds": promise.funds,
        "reaches": "child" if promise.menu == "food" else "family",
        "starts_on": starts.isoformat(),
        "ends_on": months_on(starts, promise.months).isoformat(),
        "donor": promise.donor_id,
        "commitment": promise.id,
    }
    edits = [Edit.of_delivery(child_id, new_id(), {"aid": aid}) for child_id in found.children]
    details = {"commitment": promise.id, "village": village, "need": need}
    server_edits.write(session, hub, edits, "aid.assigned", author=author, now=now, details=details)
    return len(edits)


def months_on(day: date, months: int) -> date:
    """Give the last day of a period of some months that begins on a day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    for back in range(4):
        try:
            return date(year, month + 1, day.day - back) - timedelta(1)
        except ValueError:
            continue
    raise AssertionError("every month has a 28th")  # pragma: no cover
