"""Erasing a person (UU 27/2022, articles 42 to 44), and for how long it may not be done yet.

Destroyed are: the child's key, and with it everything sealed under it; sex, birth date and NIK index; every value of
measurements, what was derived from them, follow-ups, open questions; the content of the child's changes, those that were set
aside too; its rows in files that were imported. What stays has no person in it: ids, days, who wrote when, hashes; so the
log, the ledger's chains and the counts of what posts sent still hold.

The tablets of every post that may have it are told with their next sync. Whoever only looked like the child stays, and is
looked at anew; what else was asked for the child lapses.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

import orjson
from sqlalchemy import Text, cast, delete, func, or_, select, update
from sqlalchemy.orm import Session

from server.children import assessment, ledger, record_linkage
from server.context import AppContext
from server.database.engine import upsert
from server.database.models import (
    Assessment,
    Attention,
    ChangeRow,
    Child,
    Delivery,
    DuplicatePair,
    Erasure,
    Flag,
    FollowUp,
    HealthPost,
    ImportCase,
    Measurement,
    NikIndex,
    PostExit,
    RightsRequest,
    Tablet,
    table,
)
from server.errors import Problem
from server.interchange import import_runs
from server.privacy.restriction import locked, tell
from server.sync.pipeline import Positions

HOLD_YEARS: Final = 25
"""Permenkes 24/2022, article 39: medical records are kept at least so long after the last visit."""
ERASED: Final = "rights.erased"
LAPSED: Final = {"status": "refused", "outcome": "erased"}
"""What becomes of other requests for the child."""
_EMPTY: Final = (
    "weight_g",
    "oedema",
    "length_mm",
    "length_position",
    "muac_mm",
    "head_mm",
)


def hold_until(session: Session, hub: AppContext, child_id: str) -> date | None:
    """Give the day until which the record must be kept; None if the health centre never saw the child.

    What cadres wrote is no medical record. What the health centre measured, or answered for a task of its own, is.
    """
    group = record_linkage.group_of(session, hub.district, [child_id])
    m, f = table(Measurement).c, table(FollowUp).c
    measured = select(func.max(m.measured_on)).where(
        m.district == hub.district, m.child_id.in_(group), m.source == "staff", m.removed.is_(False)
    )
    treated = select(func.max(f.done_on)).where(
        f.district == hub.district, f.child_id.in_(group), f.removed.is_(False)
    )
    last = [day for day in (session.scalar(measured), session.scalar(treated)) if day is not None]
    if not last:
        return None
    newest: date = max(last)
    leap = (newest.month, newest.day) == (2, 29)
    return newest.replace(year=newest.year + HOLD_YEARS, day=28 if leap else newest.day)


def erase(
    session: Session,
    hub: AppContext,
    child_id: str,
    *,
    proposed_by: str,
    agreed_by: str,
    now: datetime,
    kept: bool = True,
) -> None:
    """Erase a person: a child and everybody linked with it, for good.

    Parameters
    ----------
    proposed_by, agreed_by : two people; `requests` sees to that
    kept : False where it was erased before and came back with an older backup: then no hold is asked for

    Raises
    ------
    Problem
        `record-unknown`; `retention-holds` while the record must be kept.
    """
    until = hold_until(session, hub, child_id)
    if kept and until is not None and until > hub.settings.today(now):
        raise Problem("retention-holds", until=until.isoformat())
    rows, _ = locked(session, hub, child_id)
    ids = [row["id"] for row in rows]
    told = _posts_that_may_have_it(session, hub, ids)
    rows, positions = locked(session, hub, child_id, *told)
    alike = _paired_with(session, hub, ids)
    _empty(session, hub, ids)
    _let_requests_lapse(session, hub, ids, agreed_by, now)
    _forget_imports(session, hub, set(ids))
    for row in rows:
        _destroy(session, hub, row, positions)
    left = [
        {"district": hub.district, "post_id": post_id, "child_id": child, "position": positions.next(post_id)}
        for child, posts in told_by_child(rows, told).items()
        for post_id in posts
    ]
    upsert(session, table(PostExit), left)
    erased = [
        {
            "district": hub.district,
            "child_id": child,
            "erased_at": now,
            "proposed_by": proposed_by,
            "agreed_by": agreed_by,
        }
        for child in ids
    ]
    upsert(session, table(Erasure), erased)
    tell(session, hub, rows, positions, ERASED, agreed_by, now)
    assessment.assess(session, hub, alike, now)


def told_by_child(rows: Sequence[Mapping[Any, Any]], posts: Sequence[str]) -> dict[str, list[str]]:
    """Give, for each child, the posts that must be told beside its own."""
    return {row["id"]: [post_id for post_id in posts if post_id != row["post_id"]] for row in rows}


def _posts_that_may_have_it(session: Session, hub: AppContext, ids: Sequence[str]) -> list[str]:
    """Find the posts that the children were at, and those whose tablets wrote about them."""
    d, t, c, p = table(PostExit).c, table(Tablet).c, table(ChangeRow).c, table(HealthPost).c
    left = select(d.post_id).where(d.district == hub.district, d.child_id.in_(ids))
    wrote = select(c.actor).where(c.district == hub.district, c.child_id.in_(ids))
    of_tablets = select(t.post_id).where(t.district == hub.district, cast(t.id, Text()).in_(wrote))
    mine = p.district == hub.district, or_(p.id.in_(left), p.id.in_(of_tablets))
    return list(session.scalars(select(p.id).where(*mine).order_by(p.id)))


def _paired_with(session: Session, hub: AppContext, ids: Sequence[str]) -> list[str]:
    """Find the other children who may be the same as one of these: they are flagged for it."""
    c = table(DuplicatePair).c
    either = or_(c.child_id.in_(ids), c.other_id.in_(ids))
    pairs = session.execute(select(c.child_id, c.other_id).where(c.district == hub.district, either))
    return sorted({child_id for pair in pairs for child_id in pair} - set(ids))


def _let_requests_lapse(
    session: Session, hub: AppContext, ids: Sequence[str], agreed_by: str, now: datetime
) -> None:
    """Close what else was asked: there is nothing left to do it to."""
    c = table(RightsRequest).c
    mine = c.district == hub.district, c.child_id.in_(ids), c.status.in_(("open", "waiting"))
    values = {**LAPSED, "decided_by": agreed_by, "decided_at": now}
    session.execute(update(table(RightsRequest)).where(*mine).values(**values))


def _destroy(session: Session, hub: AppContext, row: Mapping[Any, Any], positions: Positions) -> None:
    c = table(Child).c
    values: dict[str, Any] = {
        "wrapped_key": None,
        "state": None,
        "sex": None,
        "born_on": None,
        "same_as": None,
        "conflicts": "",
        "clock_days": 0,
        "krs_until": None,
        "registered": False,
        "removed": True,
        "restricted_at": None,
        "person_id": row["id"],
        "position": positions.next(row["post_id"]),
    }
    session.execute(
        update(table(Child)).where(c.district == hub.district, c.id == row["id"]).values(**values)
    )


def _empty(session: Session, hub: AppContext, ids: Sequence[str]) -> None:
    """Take every value of the children out of the tables; of aid, what was given stays, without a word of whom to."""
    for model in (Assessment, Flag, Attention, FollowUp, NikIndex):
        c = table(model).c
        session.execute(delete(table(model)).where(c.district == hub.district, c.child_id.in_(ids)))
    c = table(DuplicatePair).c
    either = or_(c.child_id.in_(ids), c.other_id.in_(ids))
    session.execute(delete(table(DuplicatePair)).where(c.district == hub.district, either))
    c = table(Measurement).c
    nothing: dict[str, Any] = dict.fromkeys(_EMPTY, None)
    nothing |= {"removed": True, "conflicts": "", "clock_days": 0, "state": b"{}", "sealed": ledger.ERASED}
    session.execute(
        update(table(Measurement)).where(c.district == hub.district, c.child_id.in_(ids)).values(**nothing)
    )
    c = table(Delivery).c
    anonymous = {"conflicts": "", "state": b"{}", "sealed": ledger.ERASED}
    session.execute(
        update(table(Delivery)).where(c.district == hub.district, c.child_id.in_(ids)).values(**anonymous)
    )
    c = table(ChangeRow).c
    purged = {"content": b"", "sealed": ledger.ERASED}
    session.execute(
        update(table(ChangeRow)).where(c.district == hub.district, c.child_id.in_(ids)).values(**purged)
    )
    c = table(RightsRequest).c
    session.execute(
        update(table(RightsRequest)).where(c.district == hub.district, c.child_id.in_(ids)).values(asked=None)
    )


def _forget_imports(session: Session, hub: AppContext, ids: set[str]) -> None:
    """Take the children out of what is kept of imported files, and out of the questions about their rows."""
    import_runs.forget_children(session, hub, ids)
    c = table(ImportCase).c
    for row in session.execute(
        select(c.id, c.child_id, c.candidates).where(c.district == hub.district)
    ).all():
        named = {row.child_id, *_named(orjson.loads(row.candidates))}
        if named & ids:
            session.execute(delete(table(ImportCase)).where(c.district == hub.district, c.id == row.id))


def _named(found: Any) -> set[str]:
    """Give every text in some JSON: ids of children among them."""
    if isinstance(found, str):
        return {found}
    parts = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
    return {text for part in parts for text in _named(part)}


def erased_so_far(session: Session, hub: AppContext) -> list[dict[str, str]]:
    """Give who was erased here, for `erase_again`: ids, and who agreed; nothing of a person."""
    c = table(Erasure).c
    rows = session.execute(
        select(c.child_id, c.proposed_by, c.agreed_by).where(c.district == hub.district).order_by(c.child_id)
    )
    return [{"child_id": r.child_id, "proposed_by": r.proposed_by, "agreed_by": r.agreed_by} for r in rows]


def erase_again(
    session: Session, hub: AppContext, erased: Sequence[Mapping[str, str]], *, now: datetime
) -> int:
    """Erase those again who were erased after a backup was made that has now been put back; give how many there were."""
    c, count = table(Child).c, 0
    for one in erased:
        mine = c.district == hub.district, c.id == one["child_id"], c.wrapped_key.is_not(None)
        if session.execute(select(c.id).where(*mine)).first() is not None:
            by = {"proposed_by": one["proposed_by"], "agreed_by": one["agreed_by"]}
            erase(session, hub, one["child_id"], **by, now=now, kept=False)
            count += 1
    return count
