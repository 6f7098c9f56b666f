"""Turn a row about one child into a delivery; where the row has only a name, a person picks the child."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Final

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from server.aid.area import AidArea
from server.aid.csr_parser import guess
from server.aid.sheets.duplicates import DELIVERY_KNOWN, DELIVERY_MADE, deliveries_of, matching_delivery
from server.aid.sheets.storage import log_csr, raw_of
from server.aid.typed_text import headers_of
from server.aid.words import FOR_STUNTING
from server.context import AppContext
from server.database.ids import new_id
from server.database.models import AidActivity, Donor, HealthPost
from server.errors import Problem
from server.review import follow_ups, search
from server.sync import server_edits
from server.sync.server_edits import Edit

UNMATCHED: Final = frozenset({"beneficiary-unmatched", "beneficiary-unknown"})


def is_unmatched(row: AidActivity, today: date) -> bool:
    """Say whether a row names a beneficiary for whom no child is known yet."""
    return UNMATCHED.intersection(orjson.loads(row.reasons)) != frozenset() and _can_be_delivered(row, today)


def is_undelivered(row: AidActivity, today: date) -> bool:
    """Say whether a row is about one child and has no delivery yet, because it had another category, was in the future or
    repeated another row."""
    return row.child_id is not None and _can_be_delivered(row, today)


def _can_be_delivered(row: AidActivity, today: date) -> bool:
    usable = row.sheet_id is not None and row.status in ("taken", "open") and row.same_as is None
    return usable and row.category in FOR_STUNTING and row.starts_on is not None and row.starts_on <= today


def deliver(
    session: Session, hub: AppContext, row: AidActivity, author: str, now: datetime, *, apart: bool = False
) -> bool:
    """Write the delivery of a row about one child, if it can have one and has none yet; say whether it was written.

    Parameters
    ----------
    apart : a person said that it repeats no known delivery
    """
    if not is_undelivered(row, hub.settings.today(now)):
        return False
    if apart:
        write_deliveries(session, hub, [row], author, now)
    else:
        _link_or_deliver(session, hub, row, author, now)
    return True


def _link_or_deliver(session: Session, hub: AppContext, row: AidActivity, author: str, now: datetime) -> None:
    """Write the delivery of a row, or name the one that it repeats. Two rows of one sheet never repeat each other."""
    query = select(AidActivity.same_as).where(
        AidActivity.district == hub.district,
        AidActivity.sheet_id == row.sheet_id,
        AidActivity.same_as.is_not(None),
    )
    known_names = {name for name in session.scalars(query) if name}
    known = (
        matching_delivery(row, deliveries_of(session, hub, [row.donor_id]), known_names)
        if row.donor_id
        else None
    )
    if known is None:
        write_deliveries(session, hub, [row], author, now)
    else:
        row.same_as, row.same_by = known, DELIVERY_KNOWN


def unmatched(
    session: Session, hub: AppContext, area: AidArea, activity_id: str, today: date, *, lock: bool = False
) -> AidActivity:
    """Find a row that may become a delivery to a child.

    Raises
    ------
    Problem
        `record-unknown`: there is none in the area, or it has become something else already.
    """
    row = session.get(AidActivity, (hub.district, activity_id), with_for_update=lock)
    if row is None or not area.holds(row.village_code) or not _can_be_delivered(row, today):
        raise Problem("record-unknown")
    return row


def name_on(session: Session, hub: AppContext, row: AidActivity) -> str:
    """Give the beneficiary's name as the sheet has it; "" if no column of names is known."""
    raw = raw_of(hub, row)
    donor = session.get(Donor, (hub.district, row.donor_id)) if row.donor_id else None
    return raw.get(guess(tuple(raw), headers_of(hub, donor)).get("beneficiary", ""), "")


def candidates(
    session: Session, hub: AppContext, area: AidArea, row: AidActivity, words: str, today: date
) -> search.Search:
    """Find children of a row's village (of the area, if it has none) by name or NIK, as `review.search` does."""
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
    """Make a row a delivery to the child that a person picked, or name the delivery that it repeats.

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
    _link_or_deliver(session, hub, row, author, now)
    log_csr(session, hub, "activity.decided", author, now, activity=activity_id, beneficiary=row.same_by)
    return row


def write_deliveries(
    session: Session, hub: AppContext, rows: Sequence[AidActivity], author: str, now: datetime
) -> None:
    """Write a delivery for each row about one child. The row names it, so that only the delivery counts."""
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
