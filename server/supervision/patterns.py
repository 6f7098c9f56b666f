"""Unusual patterns in a month's syncs. A pattern is a question, never an accusation.

Each has an innocent explanation, shown beside it, and names tablets, posts and days, never children. The thresholds are our
own: no published ones are known; an ordinary posyandu day stays below all of them.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, distinct, func, select
from sqlalchemy.orm import Session, aliased

from server.context import AppContext
from server.database.models import Assessment, Child, HealthPost, Measurement
from server.review import Scope
from server.review.scope import reach
from server.supervision.syncs import BatchLine, saved_minutes, taken
from server.translations import T_, Text

NIGHT_FROM, NIGHT_TO = 22, 5
"""By the tablet's clock, in the district's zone: from 22:00 to before 05:00 no posyandu is open."""
FEWEST_AT_NIGHT: Final = 3
FEWEST_SENT_AT_NIGHT: Final = 10
FEWEST_IN_SESSION: Final = 8
"""The least number of children of a post and day with a gain, or measured, for a pattern."""
SAME_SHARE: Final = 0.8
"""Share of a day's children with exactly the same gain in grams."""
FEWEST_COPIED: Final = 3
FEWEST_IN_A_MINUTE: Final = 10
"""Measurements that one tablet saved within one minute: nobody measures a child in six seconds."""
CLOCK_OFF_MS: Final = 3_600_000
"""An hour: the effect of a wrong time zone, and about enough to move a date."""

OLDEST: Final = timedelta(2200)
"""Six years: nobody older is weighed at a posyandu, even with a wrong birth date."""


@dataclass(frozen=True, slots=True)
class PatternText:
    """The pattern, and its innocent explanation."""

    text: Text
    may_be: Text


PATTERNS: Final = {
    "at_night": PatternText(
        T_("Measurements recorded at night by the tablet's clock"),
        T_("The tablet's clock may be wrong, or the cadre copied from the book after going home."),
    ),
    "sent_at_night": PatternText(
        T_("A sync with many records arrived after midnight"),
        T_("There may have been no signal before. Ask when the posyandu was, and who had the tablet."),
    ),
    "same_gain": PatternText(
        T_("Nearly all children of a session gained the same"),
        T_(
            "The scale may stick or be read in coarse steps. Look at the scale, then weigh some children again."
        ),
    ),
    "copied": PatternText(
        T_("Several children have exactly last month's weight and length"),
        T_("Old values may have been written because children did not come. Ask, then measure again."),
    ),
    "in_a_minute": PatternText(
        T_("Many measurements saved within one minute"),
        T_("They may have been typed from the book in one go. Ask whether book and tablet agree."),
    ),
    "clock_off": PatternText(
        T_("The tablet's clock was far off when it synced"),
        T_("The battery may have run out. Switch on automatic date and time."),
    ),
}
"""In the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A finding: `count` of `of` on a day at a post, with the tablet and the value if there is one."""

    code: str
    post_id: str
    post_name: str
    day: date
    count: int
    of: int
    tablet_id: str = ""
    tablet_name: str = ""
    value: int | None = None

    @property
    def words(self) -> PatternText:
        return PATTERNS[self.code]


def patterns(
    session: Session, hub: AppContext, scope: Scope, first: date, last: date, posts: Collection[str]
) -> list[Pattern]:
    """Find patterns in the syncs that came, and the days of measuring, from `first` to `last`.

    Parameters
    ----------
    posts : only these, as far as they are in the scope
    """
    came = taken(session, hub, scope, first, last, posts)[::-1]
    by_id = {batch.tablet_id: batch for batch in came}
    zone = ZoneInfo(hub.settings.time_zone)
    saved = {
        (tablet_id, minute.astimezone(zone)): count
        for (tablet_id, minute), count in saved_minutes(session, hub, came).items()
    }
    names = _names_of(session, hub)
    theirs = _measurable(hub, scope, first, posts)
    found = [
        *_at_night(by_id, saved, hub.settings.today),
        *_in_a_minute(by_id, saved, hub.settings.today),
        *_sent_at_night(zone, came),
        *_same_gain(session, hub, theirs, first, last, names),
        *_copied(session, hub, theirs, first, last, names),
        *_clock_off(came),
    ]
    return in_order(found)


def in_order(found: Iterable[Pattern]) -> list[Pattern]:
    """Sort patterns as they are shown: by kind, then the newest day, then by post."""
    order = list(PATTERNS)
    return sorted(
        found,
        key=lambda one: (
            *(order.index(one.code), -one.day.toordinal(), one.post_name, one.post_id),
            *(one.tablet_name, one.tablet_id),
        ),
    )


Conditions = tuple[ColumnElement[bool], ...]

DayOf = Callable[[datetime], date]
"""Gives the district's calendar day of a moment."""

Saved = Mapping[tuple[str, datetime], int]
"""Number of measurements that a tablet saved in a minute of its own clock, in the district's zone."""


def _at_night(by_id: Mapping[str, BatchLine], saved: Saved, day_of: DayOf) -> Iterator[Pattern]:
    nightly: Counter[tuple[str, date]] = Counter()
    daily: Counter[tuple[str, date]] = Counter()
    for (tablet_id, at), count in saved.items():
        # the hours after midnight belong to the evening before
        night = day_of(at - timedelta(hours=NIGHT_TO))
        daily[tablet_id, night] += count
        if at.hour >= NIGHT_FROM or at.hour < NIGHT_TO:
            nightly[tablet_id, night] += count
    for (tablet_id, day), count in nightly.items():
        if count >= FEWEST_AT_NIGHT:
            yield _of_tablet("at_night", by_id[tablet_id], day, count, daily[tablet_id, day])


def _in_a_minute(by_id: Mapping[str, BatchLine], saved: Saved, day_of: DayOf) -> Iterator[Pattern]:
    daily: Counter[tuple[str, date]] = Counter()
    most: Counter[tuple[str, date]] = Counter()
    for (tablet_id, minute), count in saved.items():
        day = tablet_id, day_of(minute)
        daily[day] += count
        most[day] = max(most[day], count)
    for (tablet_id, on), count in most.items():
        if count >= FEWEST_IN_A_MINUTE:
            yield _of_tablet("in_a_minute", by_id[tablet_id], on, count, daily[tablet_id, on])


def _sent_at_night(zone: ZoneInfo, came: Sequence[BatchLine]) -> Iterator[Pattern]:
    """Find syncs that came between midnight and NIGHT_TO by the server's clock, which no tablet can set."""
    largest: dict[tuple[str, date], BatchLine] = {}
    for batch in came:
        if batch.received_at.astimezone(zone).hour < NIGHT_TO and batch.received >= FEWEST_SENT_AT_NIGHT:
            before = largest.get((batch.tablet_id, batch.day))
            if before is None or batch.received > before.received:
                largest[batch.tablet_id, batch.day] = batch
    for (_, day), batch in largest.items():
        yield _of_tablet("sent_at_night", batch, day, batch.received, batch.received)


def _clock_off(came: Sequence[BatchLine]) -> Iterator[Pattern]:
    furthest: dict[tuple[str, date], BatchLine] = {}
    syncs: Counter[tuple[str, date]] = Counter()
    off: Counter[tuple[str, date]] = Counter()
    for batch in came:
        key = batch.tablet_id, batch.day
        syncs[key] += 1
        if batch.clock_ms is not None and abs(batch.clock_ms) >= CLOCK_OFF_MS:
            off[key] += 1
            before = furthest.get(key)
            if before is None or abs(batch.clock_ms) > abs(before.clock_ms or 0):
                furthest[key] = batch
    for (tablet_id, day), batch in furthest.items():
        key = tablet_id, day
        yield _of_tablet("clock_off", batch, day, off[key], syncs[key], value=batch.clock_ms)


def _of_tablet(
    code: str, batch: BatchLine, day: date, count: int, of: int, value: int | None = None
) -> Pattern:
    return Pattern(
        *(code, batch.post_id, batch.post_name, day, count, of),
        *(batch.tablet_id, batch.tablet_name, value),
    )


def _same_gain(
    session: Session, hub: AppContext, theirs: Conditions, first: date, last: date, names: Mapping[str, str]
) -> Iterator[Pattern]:
    """Count by post and day the children with each gain; report a day on which one gain has SAME_SHARE of them."""
    a = Assessment
    rows = session.execute(
        select(Child.post_id, a.measured_on, a.gain_g, func.count(a.child_id).label("children"))
        .join(Child, and_(Child.district == a.district, Child.id == a.child_id))
        .where(
            *(a.district == hub.district, a.measured_on.between(first, last), a.source == "cadre"),
            *(a.gain_g.is_not(None), *theirs),
        )
        .group_by(Child.post_id, a.measured_on, a.gain_g)
    )
    days: dict[tuple[str, date], Counter[int]] = {}
    for row in rows:
        days.setdefault((row.post_id, row.measured_on), Counter())[row.gain_g] += row.children
    for (post_id, day), gains in days.items():
        (gain, count), *_ = gains.most_common(1)
        if gains.total() >= FEWEST_IN_SESSION and count >= SAME_SHARE * gains.total():
            yield Pattern("same_gain", post_id, names[post_id], day, count, gains.total(), value=gain)


def _copied(
    session: Session, hub: AppContext, theirs: Conditions, first: date, last: date, names: Mapping[str, str]
) -> Iterator[Pattern]:
    """Count by post and day the children with exactly the weight and length of the month before, of all measured.

    Reads the measurements, not the flag of that name, which concerns only a child's newest measurement.
    """
    m, before = Measurement, aliased(Measurement)
    month = first.replace(day=1)
    same = and_(
        *(before.district == m.district, before.child_id == m.child_id, before.source == m.source),
        *(before.weight_g == m.weight_g, before.length_mm == m.length_mm, ~before.removed),
        before.measured_on.between((month - timedelta(days=1)).replace(day=1), month - timedelta(days=1)),
    )
    rows = session.execute(
        select(
            *(Child.post_id, m.measured_on),
            func.count(distinct(m.child_id)).label("of"),
            func.count(distinct(before.child_id)).label("copied"),
        )
        .join(Child, and_(Child.district == m.district, Child.id == m.child_id))
        .outerjoin(before, same)
        .where(
            *(m.district == hub.district, m.measured_on.between(first, last), m.source == "cadre"),
            *(~m.removed, *theirs),
        )
        .group_by(Child.post_id, m.measured_on)
    )
    for row in rows:
        if row.copied >= FEWEST_COPIED:
            yield Pattern("copied", row.post_id, names[row.post_id], row.measured_on, row.copied, row.of)


def _names_of(session: Session, hub: AppContext) -> dict[str, str]:
    """Return the name of every post."""
    rows = session.execute(select(HealthPost.id, HealthPost.name).where(HealthPost.district == hub.district))
    return {row.id: row.name for row in rows}


def _measurable(hub: AppContext, scope: Scope, first: date, posts: Collection[str]) -> Conditions:
    """Return the condition for children of some posts who may have been measured since a day, by their age.

    So the month of each child is looked up, not every month that was ever measured at a post.
    """
    young = Child.born_on.is_(None) | (Child.born_on > first - OLDEST)
    return reach(hub, scope), Child.post_id.in_(posts), young
