"""The PMT courses of a child, from its follow-ups. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from server.review.follow_ups import Work

COURSE, WEEK = "pmt", "pmt_week"


@dataclass(frozen=True, slots=True)
class Course:
    """A PMT course.

    Parameters
    ----------
    reason : the flag's rule that it is for
    funds : code of who pays, None where nobody said
    ends_on : day until which it is planned
    weeks, checked : how many are planned, and how many of them somebody has checked
    days_eaten, days_asked : on how many days the food was eaten, of the days that were asked about
    outcome : how it ended; None while it goes on. Several are what people told without having seen each other's
    ended_on : the day told with it
    """

    task: str
    reason: str | None
    funds: str | None
    ends_on: date | None
    weeks: int
    checked: int
    days_eaten: int
    days_asked: int
    outcomes: tuple[str, ...]
    ended_on: date | None

    @property
    def open(self) -> bool:
        return not self.outcomes


def courses(work: Sequence[Work]) -> tuple[Course, ...]:
    """Put the courses of a child together with their weeks, those under way first, then by day, the latest first."""
    found = [
        _course(whole, [w for w in work if w.course == whole.task])
        for whole in work
        if whole.action == COURSE
    ]
    found.sort(key=lambda course: course.ended_on or course.ends_on or date.min, reverse=True)
    return tuple(sorted(found, key=lambda course: not course.open))


def _course(whole: Work, weeks: Sequence[Work]) -> Course:
    checked = [week for week in weeks if any(told.outcome != "cancelled" for told in week.results)]
    eaten = [told.days_eaten for week in checked for told in week.results[:1] if told.days_eaten is not None]
    return Course(
        whole.task,
        whole.reason,
        whole.funds,
        whole.due_on,
        len({week.week for week in weeks}),
        len(checked),
        sum(eaten),
        7 * len(eaten),
        tuple(dict.fromkeys(told.outcome for told in whole.results)),
        date.fromisoformat(whole.results[0].done_on) if whole.results else None,
    )
