"""Elements of a story: posts and their days, children, and who writes what on which tablet when. PURE."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sync_protocol import Json


@dataclass(frozen=True, slots=True)
class PostPlan:
    """A post of the story.

    `share` of the children (56 is the average), usual `day` of the month; its tablets sync after every `every`-th posyandu
    day, `lag_days` later; `scale_g` is the step of its scale. One that `waits` has not had this month's posyandu day. At a
    `silent` one, the last tablet stops syncing before the last two posyandu days.
    """

    name: str
    subdistrict: str
    village: str
    share: int
    day: int
    tablets: int = 1
    every: int = 1
    lag_days: int = 0
    scale_g: int = 50
    waits: bool = False
    silent: bool = False


@dataclass(frozen=True, slots=True)
class MadeUpChild:
    """A child of the story: its post, its birth date, and its mishap ("" for none)."""

    number: int
    post: int
    mishap: str
    born_on: date
    today: date

    @property
    def label(self) -> str:
        return f"{self.number:03d}"

    @property
    def name(self) -> str:
        return f"Anak Contoh {self.label}"


@dataclass(frozen=True, slots=True)
class Act:
    """Somebody writes a change on a tablet: of a child, or of its measurement if `measured_on` is given.

    `child` is a name of the story, which gets an id when it is played; a post in `registers` is a number of the story.
    """

    at: datetime
    post: int
    tablet: int
    child: str
    registers: Mapping[str, Json]
    measured_on: date | None = None
    source: str = "cadre"


@dataclass(frozen=True, slots=True)
class Contact:
    """A tablet has a signal and syncs until nothing is left to send."""

    at: datetime
    post: int
    tablet: int


def posyandu_days(post: PostPlan, today: date, months: int) -> list[date]:
    """Return the post's days, one a month, all before today.

    If this month's has been, the usual day is drawn from the beginning of every month, so that the rule holds early in a
    month too. On the first of a month no post has had it.
    """
    elapsed = today.day - 1
    held = elapsed > 0 and not post.waits
    day = max(1, post.day * elapsed // 28) if held else post.day
    days = [_month(today, back).replace(day=day) for back in range(months - 1, 0, -1)]
    return [*days, today.replace(day=day)] if held else days


def _month(today: date, back: int) -> date:
    year, month = divmod(today.year * 12 + today.month - 1 - back, 12)
    return date(year, month + 1, 1)


def is_silent(plan: PostPlan, tablet: int, index: int, count: int) -> bool:
    """Return whether a tablet no longer syncs on a posyandu day, the `index`-th of `count`."""
    return plan.silent and tablet == plan.tablets - 1 and index >= count - 2


def visit_day(last: date, today: date) -> date:
    """Return the day on which the midwife measures again: two days after the last posyandu day, if that is in the past."""
    return min(last + timedelta(days=2), today - timedelta(days=1))


def moment(day: date, hour: int, minute: int = 0, second: int = 0) -> datetime:
    """Return a moment in UTC; Kukar is eight hours ahead, so hour 1 is nine in the morning there."""
    return datetime.combine(day, time(hour, minute, second), UTC)
