"""Is everything here? What tablets say they have, held against what the ledger and the tables hold.

    counters   announced by a tablet, taken here, missing; by outcome, which must add up
    days       "41 weighed, 41 stored": what tablets say they measured, against distinct records that are held and live

Rules kept here:
- Reads only, and shows no child: numbers, posts and tablets.
- Outcomes are counted in the ledger. What receipts said is held against it batch by batch, and the two must agree.
- Two tablets that measured one child on one day measured one child: records are counted, not claims.
- An enrolment that was closed is answered for by the one that goes on from it, once that has been heard of: what the old
  one had not sent was numbered again under the new name.
"""

from calendar import monthrange
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, date, datetime, time, timedelta
from operator import add, attrgetter
from typing import Any, Final

import orjson
from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from server.children import ledger
from server.context import AppContext
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
from server.review import Scope
from server.review.quarantine import REOPENED
from server.review.scope import posts_within
from server.tabular import cell, csv_text, text_table
from sync_protocol import Outcome, measurement_id

QUARANTINED: Final = Outcome.QUARANTINED.value
DUPLICATE: Final = Outcome.DUPLICATE.value
TAKEN: Final = tuple(o.value for o in Outcome if o is not Outcome.DUPLICATE)
"""Every outcome that a change can have in the ledger."""


@dataclass(frozen=True, slots=True)
class Counters:
    """How many changes. received = applied + merged + superseded + conflict + quarantined + duplicate.

    Parameters
    ----------
    announced : the tablets say they have made
    taken : held here; each counted once
    missing : announced and not held
    received : came, each as often as it came
    duplicate : of those, had come before
    quarantined_open : nobody has decided about yet
    """

    announced: int = 0
    taken: int = 0
    missing: int = 0
    received: int = 0
    applied: int = 0
    merged: int = 0
    superseded: int = 0
    conflict: int = 0
    quarantined: int = 0
    duplicate: int = 0
    quarantined_open: int = 0

    def __add__(self, other: "Counters") -> "Counters":
        return Counters(*map(add, _COUNTERS(self), _COUNTERS(other)))

    @property
    def add_up(self) -> bool:
        once = self.applied + self.merged + self.superseded + self.conflict + self.quarantined
        return self.taken == once and self.received == once + self.duplicate


_COUNTERS: Final = attrgetter(*(each.name for each in fields(Counters)))


@dataclass(frozen=True, slots=True)
class DayCounts:
    """The measurements of a day, or of several.

    Parameters
    ----------
    weighed : children that the tablets say they measured
    stored : records that are held and live; `moved` of them are of a child that is now at another post
    removed : taken out again
    in_quarantine : set aside and undecided
    settled : set aside, and decided by a person: a corrected copy of another day, or dismissed
    not_arrived : weighed, and none of the above
    """

    weighed: int = 0
    stored: int = 0
    removed: int = 0
    in_quarantine: int = 0
    settled: int = 0
    not_arrived: int = 0
    moved: int = 0

    def __add__(self, other: "DayCounts") -> "DayCounts":
        return DayCounts(*map(add, _LOTS(self), _LOTS(other)))

    def words(self) -> dict[str, str]:
        """Say it in a sentence, in Indonesian and English; what is none is left out."""
        return {
            language: f"{self.weighed} {first}, {self.stored} {second}"
            + "".join(f", {count} {word}" for name, word in rest if (count := getattr(self, name)))
            for language, first, second, rest in _WORDS
        }


_LOTS: Final = attrgetter(*(each.name for each in fields(DayCounts)))
_WORDS: Final = (
    (
        "id",
        "ditimbang",
        "tersimpan",
        (
            ("removed", "dihapus"),
            ("in_quarantine", "dikarantina"),
            ("settled", "sudah diputuskan"),
            ("not_arrived", "belum sampai"),
            ("moved", "kini di pos lain"),
        ),
    ),
    (
        "en",
        "weighed",
        "stored",
        (
            ("removed", "removed"),
            ("in_quarantine", "quarantined"),
            ("settled", "settled"),
            ("not_arrived", "not arrived"),
            ("moved", "now at another post"),
        ),
    ),
)


@dataclass(slots=True)
class Records:
    """The records of one tablet and day, each in one of four lots, by what is best known of it. `elsewhere`: the posts at
    which children of them are now, other than the tablet's."""

    told: int = 0
    stored: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    quarantined: set[str] = field(default_factory=set)
    settled: set[str] = field(default_factory=set)
    moved: set[str] = field(default_factory=set)
    elsewhere: set[str] = field(default_factory=set)

    def held(self) -> set[str]:
        return self.stored | self.removed | self.quarantined | self.settled


def counted(several: Collection[Records]) -> DayCounts:
    """Count the records of some tablets on one day; one that several of them wrote is one.

    What a tablet told counts as far as it exceeds what is held of it: told late, it may say less.
    """
    lots: list[set[str]] = []
    for name in ("stored", "removed", "quarantined", "settled"):
        lots.append({r for each in several for r in getattr(each, name)}.difference(*lots))
    stored, removed, quarantined, settled = (len(lot) for lot in lots)
    not_arrived = sum(max(each.told - len(each.held()), 0) for each in several)
    weighed = stored + removed + quarantined + settled + not_arrived
    moved = len({r for each in several for r in each.moved})
    return DayCounts(weighed, stored, removed, quarantined, settled, not_arrived, moved)


@dataclass(frozen=True, slots=True)
class TabletLine:
    """One enrolment. `state`: active, revoked, closed (two devices shared it, or it was restored) or replaced (closed, and
    `replaced_by` goes on from it). `doubtful` names the batches whose receipt and ledger do not agree; "" for the ledger's
    own count."""

    id: str
    name: str
    post_id: str
    state: str
    replaces: str | None
    replaced_by: tuple[str, ...]
    last_sync_at: datetime | None
    clock_offset_ms: int | None
    counters: Counters
    doubtful: tuple[str, ...]
    days: Mapping[date, Records]


@dataclass(frozen=True, slots=True)
class PostLine:
    """One posyandu: `children` registered and not removed, linked ones counted as one."""

    id: str
    name: str
    health_centre_id: str
    health_centre: str
    children: int
    tablets: Sequence[TabletLine]

    def counters(self) -> Counters:
        return sum((tablet.counters for tablet in self.tablets), Counters())


@dataclass(frozen=True, slots=True)
class CompletenessReport:
    """The posts in scope, and the first and last day that were asked for."""

    first: date
    last: date
    posts: Sequence[PostLine]

    def days(self, posts: Collection[PostLine] | None = None) -> dict[date, DayCounts]:
        """Count by day what some posts' tablets measured (all posts' if none are named)."""
        tablets = [t for post in (self.posts if posts is None else posts) for t in post.tablets]
        on = sorted({day for tablet in tablets for day in tablet.days})
        return {day: counted([t.days[day] for t in tablets if day in t.days]) for day in on}

    @property
    def missing(self) -> int:
        """Changes that tablets have announced and that are not here."""
        return sum(post.counters().missing for post in self.posts)

    @property
    def not_arrived(self) -> int:
        """Measurements that tablets have told of and that are not here."""
        return sum(day.not_arrived for day in self.days().values())

    @property
    def add_up(self) -> bool:
        """Whether what receipts said and what the ledger holds agree, by batch and by tablet."""
        return not any(tablet.doubtful for post in self.posts for tablet in post.tablets)

    @property
    def complete(self) -> bool:
        return self.missing == 0 and self.not_arrived == 0 and self.add_up


def completeness(
    session: Session,
    hub: AppContext,
    scope: Scope,
    first: date,
    last: date,
    *,
    only: Collection[str] | None = None,
) -> CompletenessReport:
    """Say what is here and what is missing.

    Parameters
    ----------
    scope : of who asks
    first, last : days of measuring to be looked at, both included
    only : these posts; one outside the scope is not found
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
    here = [post.id for post in posts]
    children = _children(session, hub, here)
    tablets: dict[str, list[TabletLine]] = {}
    for line in _tablets(session, hub, here, first, last):
        tablets.setdefault(line.post_id, []).append(line)
    return CompletenessReport(
        first,
        last,
        [
            PostLine(p.id, p.name, p.health_centre_id, p.centre, children.get(p.id, 0), tablets.get(p.id, []))
            for p in posts
        ],
    )


def month_of(day: date) -> tuple[date, date]:
    """Give the first and the last day of a day's calendar month."""
    return day.replace(day=1), day.replace(day=monthrange(day.year, day.month)[1])


def period(day: str | None, month: str | None, today: date) -> tuple[date, date]:
    """Read which days are asked for: a day (2026-03-05), else a month (2026-03), else today's month.

    Raises
    ------
    ValueError
        Both, or neither form.
    """
    if day and month:
        raise ValueError("give a day or a month, not both")
    if day:
        if len(day) != 10:
            raise ValueError("a day is written 2026-03-05")
        return date.fromisoformat(day), date.fromisoformat(day)
    if month and len(month) != 7:
        raise ValueError("a month is written 2026-03")
    return month_of(date.fromisoformat(f"{month}-01") if month else today)


def _children(session: Session, hub: AppContext, posts: Sequence[str]) -> dict[str, int]:
    rows = session.execute(
        select(Child.post_id, func.count(func.distinct(Child.person_id)))
        .where(Child.district == hub.district, Child.post_id.in_(posts), Child.registered, ~Child.removed)
        .group_by(Child.post_id)
    )
    return {row[0]: row[1] for row in rows}


# -- counters -------------------------------------------------------------------------------------


def _tablets(
    session: Session, hub: AppContext, posts: Sequence[str], first: date, last: date
) -> Iterator[TabletLine]:
    rows = session.scalars(
        select(Tablet)
        .where(Tablet.district == hub.district, Tablet.post_id.in_(posts))
        .order_by(Tablet.name, Tablet.enrolled_at, Tablet.id)
    ).all()
    ids = [row.id for row in rows]
    heirs = _heirs(session, hub, ids)
    held, receipts = _held(session, hub, ids), _receipts(session, hub, ids)
    undecided = _undecided(session, hub, ids)
    replaced = {tablet for tablet, those in heirs.items() if any(heard for _, heard in those)}
    days = _days(session, hub, {row.id: row.post_id for row in rows}, replaced, first, last)
    for row in rows:
        counters, doubtful = _reckoned(
            row, held.get(row.id, {}), receipts.get(row.id, {}), row.id in replaced
        )
        yield TabletLine(
            row.id,
            row.name,
            row.post_id,
            _state(row, row.id in replaced),
            row.replaces,
            tuple(heir for heir, _ in heirs.get(row.id, [])),
            row.last_sync_at,
            row.clock_offset_ms,
            counters + Counters(quarantined_open=undecided.get(row.id, 0)),
            doubtful,
            days.get(row.id, {}),
        )


def _state(tablet: Tablet, replaced: bool) -> str:
    if tablet.revoked_at is not None:
        return "revoked"
    if tablet.split_at is None:
        return "active"
    return "replaced" if replaced else "closed"


def _heirs(session: Session, hub: AppContext, ids: Sequence[str]) -> dict[str, list[tuple[str, bool]]]:
    """Give the enrolments that go on from closed ones, and whether each has been heard of since."""
    rows = session.execute(
        select(Tablet.replaces, Tablet.id, Tablet.last_sync_at, Tablet.head_counter)
        .where(Tablet.district == hub.district, Tablet.replaces.in_(ids))
        .order_by(Tablet.enrolled_at, Tablet.id)
    )
    found: dict[str, list[tuple[str, bool]]] = {}
    for row in rows:
        heard = row.last_sync_at is not None or row.head_counter > 0
        found.setdefault(row.replaces, []).append((row.id, heard))
    return found


Tally = dict[str | None, Counter[str]]
"""Outcomes by batch."""


def _held(session: Session, hub: AppContext, ids: Sequence[str]) -> dict[str, tuple[Tally, int]]:
    """Count the ledger's changes by tablet, batch and outcome; and give each tablet's highest counter."""
    rows = session.execute(
        select(
            ChangeRow.actor,
            ChangeRow.batch_id,
            ChangeRow.outcome,
            func.count().label("changes"),
            func.max(ChangeRow.counter).label("highest"),
        )
        .where(ChangeRow.district == hub.district, ChangeRow.actor.in_(ids))
        .group_by(ChangeRow.actor, ChangeRow.batch_id, ChangeRow.outcome)
    )
    found: dict[str, tuple[Tally, int]] = {}
    for row in rows:
        tally, highest = found.get(row.actor, ({}, 0))
        tally.setdefault(row.batch_id, Counter())[row.outcome] += row.changes
        found[row.actor] = tally, max(highest, row.highest)
    return found


def _receipts(session: Session, hub: AppContext, ids: Sequence[str]) -> dict[str, Tally]:
    """Give what receipts said, by tablet and batch."""
    rows = session.execute(
        select(Batch.tablet_id, Batch.batch_id, Batch.outcomes).where(
            Batch.district == hub.district, Batch.tablet_id.in_(ids)
        )
    )
    found: dict[str, Tally] = {}
    for row in rows:
        found.setdefault(row.tablet_id, {})[row.batch_id] = Counter(orjson.loads(row.outcomes))
    return found


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


def _reckoned(
    tablet: Tablet, held: tuple[Tally, int] | Mapping[Any, Any], receipts: Tally, replaced: bool
) -> tuple[Counters, tuple[str, ...]]:
    """Count a tablet's changes, and name what does not agree.

    A change that was set aside is answered so whenever it comes; all but the first time it is a duplicate here.
    """
    tally, highest = held or ({}, 0)
    ledger_says: Counter[str] = sum(tally.values(), Counter())
    receipts_say: Counter[str] = sum(receipts.values(), Counter())
    again = receipts_say[QUARANTINED] - ledger_says[QUARANTINED]
    announced = max(tablet.head_counter, tablet.taken)
    counters = Counters(
        announced=announced,
        taken=tablet.taken,
        missing=0 if replaced else announced - tablet.taken,
        received=receipts_say.total(),
        duplicate=receipts_say[DUPLICATE] + again,
        **{outcome: ledger_says[outcome] for outcome in TAKEN},
    )
    doubtful = [
        str(batch or "")
        for batch in sorted(tally.keys() | receipts.keys(), key=str)
        if not _agree(tally.get(batch, Counter()), receipts.get(batch, Counter()))
    ]
    if highest != tablet.taken or not counters.add_up:
        doubtful.append("")
    return counters, tuple(doubtful)


def _agree(held: Counter[str], told: Counter[str]) -> bool:
    same = all(held[outcome] == told[outcome] for outcome in TAKEN if outcome != QUARANTINED)
    return same and held[QUARANTINED] <= told[QUARANTINED]


# -- days -----------------------------------------------------------------------------------------


def _days(
    session: Session,
    hub: AppContext,
    posts: Mapping[str, str],
    replaced: Collection[str],
    first: date,
    last: date,
) -> dict[str, dict[date, Records]]:
    """Sort the records that tablets wrote of each day.

    Parameters
    ----------
    posts : by tablet
    replaced : enrolments that others answer for: of them what is held counts, not what they told
    """
    found: dict[str, dict[date, Records]] = {}

    def of(tablet: str, day: date) -> Records:
        return found.setdefault(tablet, {}).setdefault(day, Records())

    told = session.execute(
        select(TabletDay.tablet_id, TabletDay.measured_on, TabletDay.measured).where(
            TabletDay.district == hub.district,
            TabletDay.tablet_id.in_(set(posts) - set(replaced)),
            TabletDay.measured_on.between(first, last),
            TabletDay.measured > 0,
        )
    )
    for row in told:
        of(row.tablet_id, row.measured_on).told = row.measured
    for row, record_id in _written(session, hub, list(posts), first, last):
        records = of(row.actor, row.measured_on)
        (records.removed if row.removed else records.stored).add(record_id)
        if row.post_id != posts[row.actor]:
            records.elsewhere.add(row.post_id)
            if not row.removed:
                records.moved.add(record_id)
    for tablet, day, record_id, lot in _set_aside(session, hub, list(posts), first, last):
        records = of(tablet, day)
        if record_id not in records.stored | records.removed | records.quarantined:
            records.settled.discard(record_id)
            getattr(records, lot).add(record_id)
    return found


def _not_before(first: date) -> datetime:
    """Give a moment before which no measurement of a day can have been taken in: days of the future are refused."""
    return datetime.combine(first, time(), UTC) - timedelta(days=1)


def _written(
    session: Session, hub: AppContext, tablets: Sequence[str], first: date, last: date
) -> Iterator[tuple[Any, str]]:
    """Give the measurements of some days that tablets wrote and that are held, each with its record's id."""
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
            ChangeRow.received_at >= _not_before(first),
        )
        .distinct()
    )
    for row in rows:
        record_id = measurement_id(row.child_id, row.measured_on.isoformat(), row.source)
        if record_id == row.record_id:
            yield row, record_id


def _set_aside(
    session: Session, hub: AppContext, tablets: Sequence[str], first: date, last: date
) -> Iterator[tuple[str, date, str, str]]:
    """Give the quarantined measurements of some days: tablet, day, record, and the lot that it belongs to.

    One whose corrected copy is the same record is stored; only the day and the record are read of what is sealed.
    """
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
            ChangeRow.sealed == ledger.UNDER_DISTRICT,  # not of a child who was erased
        )
        .order_by(ChangeRow.actor, ChangeRow.counter)
    )
    for row in rows:
        wire = ledger.quarantined_change(hub.district, row, hub.vault)
        day = _day_named(wire)
        if day is not None and first <= day <= last:
            record_id = str(wire.get("id"))
            yield row.actor, day, record_id, _lot(row, record_id)


def _lot(row: Any, record_id: str) -> str:
    if row.decision in (None, REOPENED):
        return "quarantined"
    return "stored" if row.released_actor == f"hub:{record_id}" else "settled"


def _day_named(wire: Mapping[str, Any]) -> date | None:
    """Give the day of measuring that a change names, valid or not, as far as it names one."""
    key = wire.get("key")
    named = key.get("measured_on") if wire.get("kind") == "measurement" and isinstance(key, Mapping) else None
    try:
        return date.fromisoformat(named) if isinstance(named, str) else None
    except ValueError:
        return None


# -- as rows and text -----------------------------------------------------------------------------

LEVELS: Final = ("district", "health_centre", "post", "tablet", "post-day", "tablet-day")
COLUMNS: Final = (
    "level",
    "health_centre",
    "post",
    "tablet",
    "day",
    "state",
    "last_sync_at",
    "clock_offset_ms",
    *Counters.__dataclass_fields__,
    "adds_up",
    "children",
    *DayCounts.__dataclass_fields__,
    "sentence_id",
    "sentence_en",
)


def rows_of(report: CompletenessReport) -> Iterator[dict[str, Any]]:
    """Give a report as plain rows, from the whole to the parts; a column that says nothing of a row is None."""
    yield _row("district", **_sums(report, report.posts))
    centres = {post.health_centre_id: post.health_centre for post in report.posts}
    for centre_id, name in centres.items():
        own = [post for post in report.posts if post.health_centre_id == centre_id]
        yield _row("health_centre", health_centre=name, **_sums(report, own))
    for post in report.posts:
        place = {"health_centre": post.health_centre, "post": post.name}
        yield _row("post", **place, **_sums(report, [post]))
        for tablet in post.tablets:
            yield _row("tablet", **place, **_of_tablet(tablet))
        for day, count in report.days([post]).items():
            yield _row("post-day", **place, day=day.isoformat(), **_of_day(count))
        for tablet in post.tablets:
            for day in sorted(tablet.days):
                told = _of_day(counted([tablet.days[day]]))
                yield _row("tablet-day", **place, tablet=tablet.name, day=day.isoformat(), **told)


def _row(level: str, **values: Any) -> dict[str, Any]:
    return {**dict.fromkeys(COLUMNS), "level": level, **values}


def _sums(report: CompletenessReport, posts: Collection[PostLine]) -> dict[str, Any]:
    counters = sum((post.counters() for post in posts), Counters())
    return {
        **asdict(counters),
        "adds_up": not any(tablet.doubtful for post in posts for tablet in post.tablets),
        "children": sum(post.children for post in posts),
        **_of_day(sum(report.days(posts).values(), DayCounts())),
    }


def _of_tablet(tablet: TabletLine) -> dict[str, Any]:
    last = tablet.last_sync_at
    return {
        "tablet": tablet.name,
        "state": tablet.state,
        "last_sync_at": last.isoformat(timespec="seconds") if last else None,
        "clock_offset_ms": tablet.clock_offset_ms,
        **asdict(tablet.counters),
        "adds_up": not tablet.doubtful,
    }


def _of_day(day: DayCounts) -> dict[str, Any]:
    words = day.words()
    return {**asdict(day), "sentence_id": words["id"], "sentence_en": words["en"]}


def wire(report: CompletenessReport) -> dict[str, Any]:
    """Give a report as one object for JSON, by health centre, post and tablet, with ids."""

    def days(found: Mapping[date, DayCounts]) -> list[dict[str, Any]]:
        return [{"day": day.isoformat(), **_of_day(count)} for day, count in found.items()]

    centres = {post.health_centre_id: post.health_centre for post in report.posts}
    return {
        "first": report.first.isoformat(),
        "last": report.last.isoformat(),
        "complete": report.complete,
        **_sums(report, report.posts),
        "health_centres": [
            {
                "id": centre_id,
                "name": name,
                **_sums(report, [post for post in report.posts if post.health_centre_id == centre_id]),
            }
            for centre_id, name in centres.items()
        ],
        "posts": [
            {
                "id": post.id,
                "name": post.name,
                "health_centre_id": post.health_centre_id,
                **_sums(report, [post]),
                "days": days(report.days([post])),
                "tablets": [
                    {
                        "id": tablet.id,
                        "replaces": tablet.replaces,
                        "replaced_by": list(tablet.replaced_by),
                        "doubtful": list(tablet.doubtful),
                        **_of_tablet(tablet),
                        "days": days({day: counted([r]) for day, r in sorted(tablet.days.items())}),
                    }
                    for tablet in post.tablets
                ],
            }
            for post in report.posts
        ],
    }


def text_of(report: CompletenessReport, form: str) -> str:
    """Write a report for who operates the installation.

    Parameters
    ----------
    form : csv, json, or table (for reading: posts and days first, then tablets)
    """
    if form == "json":
        return orjson.dumps(wire(report), option=orjson.OPT_INDENT_2).decode()
    rows = list(rows_of(report))
    if form == "csv":
        return csv_text(COLUMNS, rows)
    return "\n\n".join(
        text_table(names, [row for row in rows if row["level"] in levels], cell=_cell)
        for names, levels in ((_READ_POSTS, ("post", "post-day")), (_READ_TABLETS, ("tablet",)))
    )


_READ_POSTS: Final = ("post", "day", "children", "missing", "quarantined_open", "sentence_id", "sentence_en")
_READ_TABLETS: Final = (
    "post",
    "tablet",
    "state",
    "announced",
    "taken",
    "missing",
    *TAKEN,
    "duplicate",
    "quarantined_open",
    "adds_up",
    "last_sync_at",
    "clock_offset_ms",
)


def _cell(value: Any) -> str:
    return cell({True: "yes", False: "NO"}[value] if isinstance(value, bool) else value)
