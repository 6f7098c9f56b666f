"""Runs an assessment from loading to the rows to write: the only module that calls all the others."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from server.children import linked_records
from server.children.assessment.loading import load
from server.children.assessment.queries import PendingRows, open_pairs
from server.children.assessment.rules import findings, possible_duplicates
from server.children.assessment.scoring import Gains, gains, score
from server.children.assessment.store import (
    assessment_rows,
    flag_details,
    flag_row,
    queue_rows,
    save_assessments,
    save_flags,
    save_queue,
)
from server.children.assessment.timeline import Timelines
from server.children.flags import Finding
from server.context import AppContext
from server.database.engine import among
from server.database.models import Child, HealthPost, table
from server.database.writes import Writes
from server.growth.zscores import ZScores


def assess(
    session: Session, hub: AppContext, child_ids: Sequence[str], now: datetime, *, changed: bool = False
) -> bool:
    """Derive everything of some children again and save what differs, in a writing transaction.

    Locks the children's posts and, if anything changes, advances their streams: an upload that was computed meanwhile, from
    data that changes here, notices and is computed again; so do the figures and reports of these posts.

    Parameters
    ----------
    child_ids : the children; all who are linked to them are included
    now : the date of new flags
    changed : the caller has changed other data of these children: their posts' streams advance in any case

    Returns
    -------
    bool : whether anything that is derived was saved
    """
    if not child_ids:
        return False
    child_ids = linked_records.group_of(session, hub.district, child_ids)
    posts = _lock_posts(session, hub, child_ids)
    writes = Writes()
    derive(session, hub, child_ids, now, writes)
    if changed or writes:
        _advance(session, hub, posts)
    writes.apply(session)
    return bool(writes)


def _lock_posts(session: Session, hub: AppContext, child_ids: Sequence[str]) -> set[str]:
    """Lock the posts of some children, and return them."""
    child, post = table(Child).c, table(HealthPost).c
    theirs = select(child.post_id).where(child.district == hub.district, among(child.id))
    given = {"among": list(child_ids)}
    of_children = select(post.id).where(post.district == hub.district, post.id.in_(theirs)).order_by(post.id)
    posts: set[str] = set()
    # again if a child moved to another post while we waited for the lock
    while not posts.issuperset(session.scalars(theirs, given)):
        posts.update(session.scalars(of_children.with_for_update(key_share=True), given))
    return posts


def _advance(session: Session, hub: AppContext, posts: Collection[str]) -> None:
    """Advance the streams of some posts by one position."""
    post = table(HealthPost).c
    session.execute(
        update(table(HealthPost))
        .where(post.district == hub.district, post.id.in_(posts))
        .values(head_position=post.head_position + 1)
    )


def derive(
    session: Session,
    hub: AppContext,
    child_ids: Sequence[str],
    now: datetime,
    writes: Writes,
    pending: PendingRows | None = None,
) -> None:
    """Derive everything of some children again. Only reads; what differs from the stored rows is added to `writes`.

    Parameters
    ----------
    child_ids : children whose measurements or identity change, with all who are linked to them
    now : the date of new flags
    pending : their rows that are not written yet
    """
    if not child_ids:
        return
    pending = pending or PendingRows()
    timelines, scores, gain, found = _found(session, hub, child_ids, now, pending)
    save_assessments(writes, hub.district, timelines, scores, gain)
    flags = save_flags(session, writes, hub.district, timelines, found, now)
    save_queue(session, writes, hub.district, timelines, flags, pending)


def _found(
    session: Session, hub: AppContext, child_ids: Sequence[str], now: datetime, pending: PendingRows
) -> tuple[Timelines, ZScores, Gains, list[Finding]]:
    timelines = load(session, hub, sorted(child_ids), pending)
    scores = score(timelines)
    gain = gains(timelines)
    found = findings(timelines, scores, gain, hub.settings.today(now), hub.settings.today)
    pairs = pending.pairs if pending.pairs is not None else open_pairs(session, hub, child_ids)
    return timelines, scores, gain, [*found, *possible_duplicates(timelines, pairs)]


@dataclass(frozen=True, slots=True)
class Derived:
    """Every row that is derived of some children, as it should be stored; flags without `raised_at`, which is history."""

    assessments: Sequence[Mapping[str, Any]]
    flags: Sequence[Mapping[str, Any]]
    queue: Sequence[Mapping[str, Any]]


def derived(session: Session, hub: AppContext, child_ids: Sequence[str], now: datetime) -> Derived:
    """Derive everything of some children again, whatever is stored of it.

    Parameters
    ----------
    child_ids : whole groups of linked children
    now : says which children have not been seen lately
    """
    if not child_ids:
        return Derived((), (), ())
    timelines, scores, gain, found = _found(session, hub, child_ids, now, PendingRows())
    flags = flag_details(timelines, found)
    return Derived(
        assessment_rows(hub.district, timelines, scores, gain),
        [flag_row(hub.district, key, details) for key, details in flags.items()],
        queue_rows(session, hub.district, timelines, flags),
    )
