"""What is counted, and how it is compared: changes by outcome, measurements by day, the report. Pure: no database."""

from calendar import monthrange
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from operator import add, attrgetter
from typing import Final

from server.translations import CATALOGUES, T_, languages
from sync_protocol import Outcome

QUARANTINED: Final = Outcome.QUARANTINED.value
DUPLICATE: Final = Outcome.DUPLICATE.value
TAKEN: Final = tuple(o.value for o in Outcome if o is not Outcome.DUPLICATE)
"""Every outcome that a change can have in the ledger."""


@dataclass(frozen=True, slots=True)
class Counters:
    """Counts of changes. received = applied + merged + superseded + conflict + quarantined + duplicate.

    Parameters
    ----------
    announced : made by the tablets, as they say
    taken : held here; each counted once
    missing : announced and not held
    received : each as often as it was sent
    duplicate : of those received, held before
    quarantined_open : quarantined, without a decision
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
    """Counts of measurements, of a day or of several.

    Parameters
    ----------
    weighed : children that the tablets say they measured
    stored : records that are held and live
    removed : records that were removed
    in_quarantine : quarantined, without a decision
    settled : quarantined and decided: a corrected copy has another day, or it was dismissed
    not_arrived : weighed, and none of the above
    moved : of those stored, records of a child that is now at another post
    """

    weighed: int = 0
    stored: int = 0
    removed: int = 0
    in_quarantine: int = 0
    settled: int = 0
    not_arrived: int = 0
    moved: int = 0

    def __add__(self, other: "DayCounts") -> "DayCounts":
        return DayCounts(*map(add, _DAY_COUNTS(self), _DAY_COUNTS(other)))

    def words(self) -> dict[str, str]:
        """Write the counts as a sentence, by language; zeros are left out but for weighed and stored."""
        both = T_("{weighed} weighed, {stored} stored").format(weighed=self.weighed, stored=self.stored)
        rest = [text.format(count=count) for name, text in _WORDS.items() if (count := getattr(self, name))]
        return {
            language: "".join(text.in_(language) for text in (both, *rest))
            for language in languages(CATALOGUES)
        }


_DAY_COUNTS: Final = attrgetter(*(each.name for each in fields(DayCounts)))
_WORDS: Final = {
    "removed": T_(", {count} removed"),
    "in_quarantine": T_(", {count} quarantined"),
    "settled": T_(", {count} settled"),
    "not_arrived": T_(", {count} not arrived"),
    "moved": T_(", {count} now at another post"),
}


@dataclass(slots=True)
class Records:
    """Record ids of one tablet and day, by what became of them.

    Parameters
    ----------
    told : measurements that the tablet says it made
    moved : of those stored, of a child that is now at another post
    elsewhere : the posts, other than the tablet's, where the children of the records are now
    """

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
    """Count the records of some tablets on one day; a record that several of them wrote counts once.

    A tablet's own count only adds what exceeds the records held of it: an outdated count may be lower than these.
    """
    disjoint: list[set[str]] = []
    for name in ("stored", "removed", "quarantined", "settled"):
        disjoint.append({r for each in several for r in getattr(each, name)}.difference(*disjoint))
    stored, removed, quarantined, settled = (len(records) for records in disjoint)
    not_arrived = sum(max(each.told - len(each.held()), 0) for each in several)
    weighed = stored + removed + quarantined + settled + not_arrived
    moved = len({r for each in several for r in each.moved})
    return DayCounts(weighed, stored, removed, quarantined, settled, not_arrived, moved)


@dataclass(frozen=True, slots=True)
class TabletLine:
    """One enrolment of a tablet.

    Parameters
    ----------
    state : active, revoked, closed (two devices shared it, or its device was restored) or replaced (closed, and a successor
        has synced)
    replaced_by : enrolments that succeed it
    doubtful : batches whose receipt and ledger disagree; "" if the ledger disagrees with the tablet's counters
    """

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
    """One posyandu. `children`: registered and not removed, linked ones counted as one."""

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
    """The posts in scope; `first` and `last` day, both included."""

    first: date
    last: date
    posts: Sequence[PostLine]

    def days(self, posts: Collection[PostLine] | None = None) -> dict[date, DayCounts]:
        """Count measurements by day, of some posts or of all."""
        tablets = [t for post in (self.posts if posts is None else posts) for t in post.tablets]
        dates = sorted({day for tablet in tablets for day in tablet.days})
        return {day: counted([t.days[day] for t in tablets if day in t.days]) for day in dates}

    @property
    def missing(self) -> int:
        """Changes that tablets have announced and that are not held."""
        return sum(post.counters().missing for post in self.posts)

    @property
    def not_arrived(self) -> int:
        """Measurements that tablets say they made and of which nothing is held."""
        return sum(day.not_arrived for day in self.days().values())

    @property
    def add_up(self) -> bool:
        """Whether receipts and ledger agree, by batch and by tablet."""
        return not any(tablet.doubtful for post in self.posts for tablet in post.tablets)

    @property
    def complete(self) -> bool:
        return self.missing == 0 and self.not_arrived == 0 and self.add_up


@dataclass(slots=True)
class Outcomes:
    """Outcomes of a tablet's changes in the ledger and in receipts, counted by the database.

    Parameters
    ----------
    highest : the highest counter in the ledger
    differing : batches whose receipt and ledger disagree; "" for changes without a batch
    """

    in_ledger: Counter[str] = field(default_factory=Counter)
    in_receipts: Counter[str] = field(default_factory=Counter)
    highest: int = 0
    differing: set[str] = field(default_factory=set)


def count_changes(
    head_counter: int, taken: int, outcomes: Outcomes, replaced: bool
) -> tuple[Counters, tuple[str, ...]]:
    """Count a tablet's changes; and list its `doubtful` batches (see TabletLine).

    A quarantined change is answered `quarantined` however often it is sent; all but the first count as duplicates here.
    """
    in_ledger, in_receipts = outcomes.in_ledger, outcomes.in_receipts
    again = in_receipts[QUARANTINED] - in_ledger[QUARANTINED]
    announced = max(head_counter, taken)
    counters = Counters(
        announced=announced,
        taken=taken,
        missing=0 if replaced else announced - taken,
        received=in_receipts.total(),
        duplicate=in_receipts[DUPLICATE] + again,
        **{outcome: in_ledger[outcome] for outcome in TAKEN},
    )
    doubtful = sorted(outcomes.differing)
    if outcomes.highest != taken or not counters.add_up:
        doubtful.append("")
    return counters, tuple(doubtful)


def month_of(day: date) -> tuple[date, date]:
    """Return the first and the last day of a day's calendar month."""
    return day.replace(day=1), day.replace(day=monthrange(day.year, day.month)[1])


def period(day: str | None, month: str | None, today: date) -> tuple[date, date]:
    """Parse a period: a day (2026-03-05), else a month (2026-03), else today's month.

    Raises
    ------
    ValueError
        Both are given, or one is written in another form.
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
