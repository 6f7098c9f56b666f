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
    reason : the rule of the flag that it is for
    funds : code of who pays; None if not recorded
    ends_on : planned last day
    weeks, checked : how many weeks are planned, and how many were checked
    days_eaten, days_asked : on how many days the food was eaten, of the days in the weeks for which that was reported
    outcomes : how it ended; empty while it is open; several if people reported without having seen each other's report
    ended_on : the day of the first outcome
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
    """Make a child's courses from their follow-ups and weeks: open ones first, then the latest first."""
    found = [
        _course(whole, [w for w in work if w.course == whole.task])
        for whole in work
        if whole.action == COURSE
    ]
    found.sort(key=lambda course: course.ended_on or course.ends_on or date.min, reverse=True)
    return tuple(sorted(found, key=lambda course: not course.open))


def _course(whole: Work, weeks: Sequence[Work]) -> Course:
    checked = [week for week in weeks if any(result.outcome != "cancelled" for result in week.results)]
    eaten = [
        result.days_eaten for week in checked for result in week.results[:1] if result.days_eaten is not None
    ]
    return Course(
        whole.task,
        whole.reason,
        whole.funds,
        whole.due_on,
        len({week.week for week in weeks}),
        len(checked),
        sum(eaten),
        7 * len(eaten),
        tuple(dict.fromkeys(result.outcome for result in whole.results)),
        date.fromisoformat(whole.results[0].done_on) if whole.results else None,
    )
