"""Loads what the report compares: tablets, outcomes in the ledger and in receipts, measurements by day."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Integer,
    Text,
    and_,
    cast,
    func,
    literal,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.orm import Session

from server.children import ledger
from server.context import AppContext
from server.database.engine import json_members
from server.database.models import (
    Batch,
    ChangeRow,
    Child,
    HealthCentre,
    HealthPost,
    Measurement,
    QuarantineDecision,
    Tablet,
    TabletDay,
)
from server.database.row_macs import SHOWN
from server.review import Scope
from server.review.quarantine import REOPENED
from server.review.scope import posts_within
from server.supervision.completeness.counts import (
    QUARANTINED,
    TAKEN,
    CompletenessReport,
    Counters,
    Outcomes,
    PostLine,
    Records,
    TabletLine,
    count_changes,
)
from sync_protocol import measurement_id


def completeness(
    session: Session,
    hub: AppContext,
    scope: Scope,
    first: date,
    last: date,
    *,
    only: Collection[str] | None = None,
) -> CompletenessReport:
    """Report what is held and what is missing.

    Parameters
    ----------
    scope : of who asks
    first, last : days of measuring, both included
    only : restrict it to these posts; posts outside the scope are left out
    """
    posts = session.execute(
        select(HealthPost.id, HealthPost.name, HealthPost.health_centre_id, HealthCentre.name.label("centre"))
        .join(
            HealthCentre,
            and_(
                HealthCentre.district == HealthPost.district, HealthCentre.id == HealthPost.health_centre_id
            ),
        )
        .where(posts_within(hub, scope), *([HealthPost.id.in_(only)] if only is not None else []))
        .order_by(HealthCentre.name, HealthPost.name, HealthPost.id)
    ).all()
    ids = [post.id for post in posts]
    children = _count_children(session, hub, ids)
    tablets: dict[str, list[TabletLine]] = {}
    for line in _tablet_lines(session, hub, ids, first, last):
        tablets.setdefault(line.post_id, []).append(line)
    return CompletenessReport(
        first,
        last,
        [
            PostLine(p.id, p.name, p.health_centre_id, p.centre, children.get(p.id, 0), tablets.get(p.id, []))
            for p in posts
        ],
    )


def _count_children(session: Session, hub: AppContext, posts: Sequence[str]) -> dict[str, int]:
    rows = session.execute(
        select(Child.post_id, func.count(func.distinct(Child.person_id)))
        .where(Child.district == hub.district, Child.post_id.in_(posts), Child.registered, ~Child.removed)
        .group_by(Child.post_id)
    )
    return {row[0]: row[1] for row in rows}


def _tablet_lines(
    session: Session, hub: AppContext, posts: Sequence[str], first: date, last: date
) -> Iterator[TabletLine]:
    rows = session.scalars(
        select(Tablet)
        .where(Tablet.district == hub.district, Tablet.post_id.in_(posts))
        .order_by(Tablet.name, Tablet.enrolled_at, Tablet.id),
        execution_options=SHOWN,
    ).all()
    ids = [row.id for row in rows]
    successors = _successors(session, hub, ids)
    outcomes = _outcomes(session, hub, ids)
    undecided = _undecided(session, hub, ids)
    replaced = {tablet for tablet, those in successors.items() if any(synced for _, synced in those)}
    days = _records_by_day(session, hub, {row.id: row.post_id for row in rows}, replaced, first, last)
    for row in rows:
        of_tablet = outcomes.get(row.id, Outcomes())
        counters, doubtful = count_changes(row.head_counter, row.last_counter, of_tablet, row.id in replaced)
        yield TabletLine(
            row.id,
            row.name,
            row.post_id,
            _enrolment_state(row, row.id in replaced),
            row.replaces,
            tuple(successor for successor, _ in successors.get(row.id, [])),
            row.last_sync_at,
            row.clock_offset_ms,
            counters + Counters(quarantined_open=undecided.get(row.id, 0)),
            doubtful,
            days.get(row.id, {}),
        )


def _enrolment_state(tablet: Tablet, replaced: bool) -> str:
    if tablet.revoked_at is not None:
        return "revoked"
    if tablet.closed_at is None:
        return "active"
    return "replaced" if replaced else "closed"


def _successors(session: Session, hub: AppContext, ids: Sequence[str]) -> dict[str, list[tuple[str, bool]]]:
    """Load the enrolments that succeed closed ones, by the closed one, and whether each has synced."""
    rows = session.execute(
        select(Tablet.replaces, Tablet.id, Tablet.last_sync_at, Tablet.head_counter)
        .where(Tablet.district == hub.district, Tablet.replaces.in_(ids))
        .order_by(Tablet.enrolled_at, Tablet.id)
    )
    found: dict[str, list[tuple[str, bool]]] = {}
    for row in rows:
        synced = row.last_sync_at is not None or row.head_counter > 0
        found.setdefault(row.replaces, []).append((row.id, synced))
    return found


def _outcomes(session: Session, hub: AppContext, ids: Sequence[str]) -> dict[str, Outcomes]:
    """Count the outcomes in the ledger and in receipts, by tablet.

    The database compares them batch by batch. It returns a few sums for each tablet and the batches that differ, of which
    there should be none: a year has tens of thousands.
    """
    found: dict[str, Outcomes] = {}
    batches = _by_batch(session, hub, ids)
    sums = select(
        batches.c.tablet,
        literal(None, Text()).label("batch"),
        batches.c.outcome,
        _total(batches.c.held).label("held"),
        _total(batches.c.told).label("told"),
        func.max(batches.c.highest).label("highest"),
    ).group_by(batches.c.tablet, batches.c.outcome)
    differing = select(
        *(batches.c.tablet, func.coalesce(batches.c.batch, ""), literal("").label("outcome")),
        *(literal(0), literal(0), literal(0)),
    ).where(_differs(batches))
    for tablet, batch, outcome, held, told, highest in session.execute(union_all(sums, differing)):
        of = found.setdefault(tablet, Outcomes())
        if batch is not None:
            of.differing.add(batch)
            continue
        of.in_ledger[outcome] += held
        of.in_receipts[outcome] += told
        of.highest = max(of.highest, highest)
    return found


def _by_batch(session: Session, hub: AppContext, ids: Sequence[str]) -> CTE:
    """Count by tablet, batch and outcome: in the ledger (`held`) and in the batch's receipt (`told`)."""
    held = (
        select(
            ChangeRow.actor.label("tablet"),
            cast(ChangeRow.batch_id, Text()).label("batch"),
            ChangeRow.outcome.label("outcome"),
            func.count().label("held"),
            literal(0).label("told"),
            func.max(ChangeRow.counter).label("highest"),
        )
        .where(ChangeRow.district == hub.district, ChangeRow.actor.in_(ids))
        .group_by(ChangeRow.actor, ChangeRow.batch_id, ChangeRow.outcome)
    )
    counts = json_members(session, Batch.outcomes)
    told = (
        select(
            cast(Batch.tablet_id, Text()),
            cast(Batch.batch_id, Text()),
            counts.c.key,
            literal(0),
            cast(counts.c.value, Integer()),
            literal(0),
        )
        .select_from(Batch)
        .join(counts, true())
        .where(Batch.district == hub.district, Batch.tablet_id.in_(ids))
    )
    both = union_all(held, told).subquery("both")
    return (
        select(
            *(both.c.tablet, both.c.batch, both.c.outcome),
            *(_total(both.c[name]).label(name) for name in ("held", "told")),
            func.max(both.c.highest).label("highest"),
        )
        .group_by(both.c.tablet, both.c.batch, both.c.outcome)
        .cte("batches")
    )


def _total(column: ColumnElement[int]) -> ColumnElement[int]:
    return cast(func.sum(column), BigInteger())  # PostgreSQL's own type of a sum is a decimal number


def _differs(batches: CTE) -> ColumnElement[bool]:
    """Return the condition that a batch's receipt disagrees with the ledger.

    A quarantined change may have been sent, and answered, again.
    """
    held, told, outcome = batches.c.held, batches.c.told, batches.c.outcome
    return or_(
        and_(outcome.in_([one for one in TAKEN if one != QUARANTINED]), held != told),
        and_(outcome == QUARANTINED, held > told),
    )


def _undecided(session: Session, hub: AppContext, ids: Sequence[str]) -> dict[str, int]:
    decision = and_(
        QuarantineDecision.district == ChangeRow.district,
        QuarantineDecision.actor == ChangeRow.actor,
        QuarantineDecision.counter == ChangeRow.counter,
    )
    rows = session.execute(
        select(ChangeRow.actor, func.count())
        .outerjoin(QuarantineDecision, decision)
        .where(
            ChangeRow.district == hub.district,
            ChangeRow.actor.in_(ids),
            ChangeRow.outcome == QUARANTINED,
            or_(QuarantineDecision.actor.is_(None), QuarantineDecision.decision == REOPENED),
        )
        .group_by(ChangeRow.actor)
    )
    return {row[0]: row[1] for row in rows}


def _records_by_day(
    session: Session,
    hub: AppContext,
    posts: Mapping[str, str],
    replaced: Collection[str],
    first: date,
    last: date,
) -> dict[str, dict[date, Records]]:
    """Load the records that tablets wrote, by tablet and day of measuring.

    Parameters
    ----------
    posts : by tablet
    replaced : enrolments with a successor that has synced; their own counts of measurements no longer apply
    """
    found: dict[str, dict[date, Records]] = {}

    def of(tablet: str, day: date) -> Records:
        return found.setdefault(tablet, {}).setdefault(day, Records())

    reported = session.execute(
        select(TabletDay.tablet_id, TabletDay.measured_on, TabletDay.measured).where(
            TabletDay.district == hub.district,
            TabletDay.tablet_id.in_(set(posts) - set(replaced)),
            TabletDay.measured_on.between(first, last),
            TabletDay.measured > 0,
        )
    )
    for row in reported:
        of(row.tablet_id, row.measured_on).told = row.measured
    for row, record_id in _held_measurements(session, hub, list(posts), first, last):
        records = of(row.actor, row.measured_on)
        (records.removed if row.removed else records.stored).add(record_id)
        if row.post_id != posts[row.actor]:
            records.elsewhere.add(row.post_id)
            if not row.removed:
                records.moved.add(record_id)
    for tablet, day, record_id, set_name in _quarantined_measurements(session, hub, list(posts), first, last):
        records = of(tablet, day)
        if record_id not in records.stored | records.removed | records.quarantined:
            records.settled.discard(record_id)
            getattr(records, set_name).add(record_id)
    return found


def _earliest_arrival(first: date) -> datetime:
    """Return a moment before which no measurement of a day can have arrived: dates in the future are refused."""
    return datetime.combine(first, time(), UTC) - timedelta(days=1)


def _held_measurements(
    session: Session, hub: AppContext, tablets: Sequence[str], first: date, last: date
) -> Iterator[tuple[Any, str]]:
    """Load the held measurements of some days that tablets wrote, each with its record's id."""
    rows = session.execute(
        select(
            ChangeRow.actor,
            ChangeRow.record_id,
            Measurement.child_id,
            Measurement.measured_on,
            Measurement.source,
            Measurement.removed,
            Measurement.post_id,
        )
        .join(
            Measurement,
            and_(
                Measurement.district == ChangeRow.district,
                Measurement.child_id == ChangeRow.child_id,
                Measurement.measured_on.between(first, last),
            ),
        )
        .where(
            ChangeRow.district == hub.district,
            ChangeRow.actor.in_(tablets),
            ChangeRow.kind == "measurement",
            ChangeRow.outcome != QUARANTINED,
            ChangeRow.received_at >= _earliest_arrival(first),
        )
        .distinct()
    )
    for row in rows:
        record_id = measurement_id(row.child_id, row.measured_on.isoformat(), row.source)
        if record_id == row.record_id:
            yield row, record_id


def _quarantined_measurements(
    session: Session, hub: AppContext, tablets: Sequence[str], first: date, last: date
) -> Iterator[tuple[str, date, str, str]]:
    """Load the quarantined measurements of some days: tablet, day, record, and the set of `Records` that it belongs to.

    One whose corrected copy is the same record is stored. Of the sealed content only day and record are read. One that
    arrived before these days can be of them only if its date was in the future then, which is a reason for quarantine, or
    if its form was not known here, and so its date not checked.
    """
    may_be_of_them = or_(
        ChangeRow.received_at >= _earliest_arrival(first),
        *(ChangeRow.reasons.contains(f'"{code}"') for code in ("date-in-future", "schema-too-new")),
    )
    decision = and_(
        QuarantineDecision.district == ChangeRow.district,
        QuarantineDecision.actor == ChangeRow.actor,
        QuarantineDecision.counter == ChangeRow.counter,
    )
    rows = session.execute(
        select(
            ChangeRow.actor,
            ChangeRow.hash,
            ChangeRow.content,
            QuarantineDecision.decision,
            QuarantineDecision.released_actor,
        )
        .outerjoin(QuarantineDecision, decision)
        .where(
            ChangeRow.district == hub.district,
            ChangeRow.actor.in_(tablets),
            ChangeRow.outcome == QUARANTINED,
            may_be_of_them,
            ChangeRow.sealed == ledger.UNDER_DISTRICT,  # not of an erased child
        )
        .order_by(ChangeRow.actor, ChangeRow.counter)
    )
    for row in rows:
        wire = ledger.quarantined_change(hub.district, row, hub.vault)
        day = _measured_on(wire)
        if day is not None and first <= day <= last:
            record_id = str(wire.get("id"))
            yield row.actor, day, record_id, _set_of(row, record_id)


def _set_of(row: Any, record_id: str) -> str:
    if row.decision in (None, REOPENED):
        return "quarantined"
    return "stored" if row.released_actor == f"hub:{record_id}" else "settled"


def _measured_on(wire: Mapping[str, Any]) -> date | None:
    """Read the day of measuring in a quarantined change; None if it is missing or unreadable."""
    key = wire.get("key")
    named = key.get("measured_on") if wire.get("kind") == "measurement" and isinstance(key, Mapping) else None
    try:
        return date.fromisoformat(named) if isinstance(named, str) else None
    except ValueError:
        return None
