"""Erases a person (UU 27/2022, articles 42 to 44), and computes until when the record must be kept.

Destroyed are: the child's key, and with it everything encrypted under it; sex, birth date and NIK index; every value of
measurements, what was derived from them, follow-ups, open questions; the content of the child's changes, also of quarantined
ones, and why they were; its rows in imported files; what names it in aid and in other text that was typed. What remains
identifies nobody: ids, days, who wrote when, hashes; so the log, the ledger's chains and the counts of what posts sent still
hold. What the database's files keep of it is overwritten afterwards (`leftovers`).

The tablets of every post that may have the data are told at their next sync. A suspected duplicate stays, and is assessed
again; open requests for the child lapse.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

import orjson
from sqlalchemy import Text, and_, cast, delete, func, or_, select, update
from sqlalchemy.orm import Session

from server.children import assessment, ledger, linked_records
from server.context import AppContext
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
    PostMonth,
    RightsRequest,
    Tablet,
    table,
)
from server.database.writes import upsert
from server.errors import Problem
from server.interchange import import_store
from server.privacy import mentions, typed_elsewhere
from server.privacy.mentions import Mentions
from server.privacy.restriction import locked, tell
from server.sync.streams import Positions

HOLD_YEARS: Final = 25
"""Permenkes 24/2022, article 39: medical records are kept at least so long after the last visit."""
ERASED: Final = "rights.erased"
LAPSED: Final = {"status": "refused", "outcome": "erased"}
"""How open requests for an erased child are closed."""
_EMPTY: Final = (
    "weight_g",
    "oedema",
    "length_mm",
    "length_position",
    "muac_mm",
    "head_mm",
)


def hold_until(session: Session, hub: AppContext, child_id: str) -> date | None:
    """Return the day until which the record must be kept; None if the health centre never saw the child.

    What cadres wrote is no medical record. What the health centre measured, or answered for a task of its own, is.
    """
    group = linked_records.group_of(session, hub.district, [child_id])
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
    """Erase a person for good: a child and all records linked with it.

    Parameters
    ----------
    proposed_by, agreed_by : two people; `requests` checks that
    kept : False if the person was erased before and returned with an older backup: then the retention period is not checked

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
    other_posts = _posts_that_may_have_it(session, hub, ids)
    rows, positions = locked(session, hub, child_id, *other_posts)
    alike, named = _paired_with(session, hub, ids), mentions.of_children(session, hub, ids)
    _delete_values(session, hub, ids, sorted({row["post_id"] for row in rows}.union(other_posts)))
    _let_requests_lapse(session, hub, ids, agreed_by, now)
    _forget_imports(session, hub, set(ids), named)
    typed_elsewhere.forget(session, hub, ids, named)
    for row in rows:
        _destroy(session, hub, row, positions)
    left = [
        {"district": hub.district, "post_id": post_id, "child_id": child, "position": positions.next(post_id)}
        for child, posts in _exits_by_child(rows, other_posts).items()
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
    assessment.assess(session, hub, alike, now, changed=True)


def _exits_by_child(rows: Sequence[Mapping[Any, Any]], posts: Sequence[str]) -> dict[str, list[str]]:
    """Return, for each child, the posts that must learn of it, beside its own."""
    return {row["id"]: [post_id for post_id in posts if post_id != row["post_id"]] for row in rows}


def _posts_that_may_have_it(session: Session, hub: AppContext, ids: Sequence[str]) -> list[str]:
    """List the posts where the children were, and those whose tablets wrote about them."""
    d, t, c, p = table(PostExit).c, table(Tablet).c, table(ChangeRow).c, table(HealthPost).c
    left = select(d.post_id).where(d.district == hub.district, d.child_id.in_(ids))
    wrote = select(c.actor).where(c.district == hub.district, c.child_id.in_(ids))
    of_tablets = select(t.post_id).where(t.district == hub.district, cast(t.id, Text()).in_(wrote))
    mine = p.district == hub.district, or_(p.id.in_(left), p.id.in_(of_tablets))
    return list(session.scalars(select(p.id).where(*mine).order_by(p.id)))


def _paired_with(session: Session, hub: AppContext, ids: Sequence[str]) -> list[str]:
    """List the other children who are flagged as possible duplicates of these."""
    c = table(DuplicatePair).c
    either = or_(c.child_id.in_(ids), c.other_id.in_(ids))
    pairs = session.execute(select(c.child_id, c.other_id).where(c.district == hub.district, either))
    return sorted({child_id for pair in pairs for child_id in pair} - set(ids))


def _let_requests_lapse(
    session: Session, hub: AppContext, ids: Sequence[str], agreed_by: str, now: datetime
) -> None:
    """Close other open requests: no data are left for them."""
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


def _delete_values(session: Session, hub: AppContext, ids: Sequence[str], posts: Sequence[str]) -> None:
    """Delete every value of the children; of aid the delivery remains, without its text. What is told of their posts' months
    is made anew."""
    c = table(PostMonth).c
    session.execute(delete(table(PostMonth)).where(c.district == hub.district, c.post_id.in_(posts)))
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


def _forget_imports(session: Session, hub: AppContext, ids: set[str], named: Mentions) -> None:
    """Delete the children's rows from stored import files, and the questions about their rows, open and decided.

    A child made from a row has the id `who` of its question; older questions do not name it in `child_id`.
    """
    c = table(ImportCase).c
    made = and_(c.decision == "new", c.who.in_(ids))
    mentioned = or_(c.child_id.in_(ids), made, *(c.candidates.contains(one) for one in sorted(ids)))
    about = session.execute(
        select(c.id, c.child_id, c.candidates, made.label("made")).where(
            c.district == hub.district, mentioned
        )
    ).all()
    asked = {
        row.id for row in about if row.made or {row.child_id, *_named(orjson.loads(row.candidates))} & ids
    }
    asked |= import_store.cases_about(session, hub, named.in_row)
    import_store.forget_rows(session, hub, ids | asked, named.numbers, named.names, named.in_row)
    session.execute(delete(table(ImportCase)).where(c.district == hub.district, c.id.in_(asked)))


def _named(found: Any) -> set[str]:
    """Return every string in some JSON: ids of children are among them."""
    if isinstance(found, str):
        return {found}
    parts = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
    return {text for part in parts for text in _named(part)}


def erase_again(
    session: Session, hub: AppContext, child_id: str, *, proposed_by: str, agreed_by: str, now: datetime
) -> None:
    """Erase a person who was erased before, and came back with an older backup: the retention period is not checked."""
    erase(session, hub, child_id, proposed_by=proposed_by, agreed_by=agreed_by, now=now, kept=False)
