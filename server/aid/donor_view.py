"""What a donor may see: its commitments, what was delivered, and how the children grow, in groups of five or more.

Rules kept here:
- No child, no village of a child, no date of a single delivery: only numbers by commitment.
- A number of 1 to 4 children is hidden; so is a part of a group if the part or the rest is 1 to 4.
- Growth is shown for all children that the donor reached, not by commitment: comparing two groups that differ in one child
  would reveal that child. For the same reason the group grows by five children at a time, once their measuring period is
  over: comparing today's numbers with tomorrow's would reveal one child.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from server.accounts import Person
from server.aid.register import Promise, promises
from server.context import AppContext
from server.database.ids import UUID_TEXT
from server.database.models import AidActivity, Assessment, Child, Delivery, Donor
from server.errors import Problem
from server.reports.small_number_suppression import FEWEST

AFTER: Final = {3: (60, 120), 6: (150, 210)}
"""Months after the first delivery -> the days after it (from, to) in which a measurement counts."""


@dataclass(frozen=True, slots=True)
class Growth:
    """Growth of the children whose measuring period after `months` is over.

    Parameters
    ----------
    of : their number, a multiple of five
    measured : how many were measured again; None where it or the rest is 1 to 4
    better : of these, how many whose length for age did not fall; None likewise
    """

    months: int
    of: int
    measured: int | None
    better: int | None


@dataclass(frozen=True, slots=True)
class Progress:
    """A commitment and its deliveries; `reached` is None for 1 to 4 children (`few`)."""

    promise: Promise
    reached: int | None
    few: bool
    verified: int | None
    value_rp: int | None


@dataclass(frozen=True, slots=True)
class Own:
    """The data of a donor's page."""

    donor: Donor
    progress: tuple[Progress, ...]
    growth: tuple[Growth, ...]
    activities: tuple[AidActivity, ...]


def own(session: Session, hub: AppContext, person: Person, today: date) -> Own | None:
    """Load what a donor's account may see; None for an account without a donor."""
    if not person.may("see_own_aid"):
        raise Problem("not-allowed")
    if person.scope_kind != "donor" or not UUID_TEXT.fullmatch(person.scope):
        return None
    if session.get(Donor, (hub.district, person.scope)) is None:
        return None
    return of_donor(session, hub, person.scope, today)


def of_donor(session: Session, hub: AppContext, donor_id: str, today: date) -> Own:
    """Load what a donor funds."""
    donor = session.get_one(Donor, (hub.district, donor_id))
    mine = promises(session, hub, donor.id)
    activities = session.scalars(
        select(AidActivity)
        .where(
            AidActivity.district == hub.district,
            AidActivity.donor_id == donor.id,
            AidActivity.status.in_(("taken", "open")),
        )
        .order_by(AidActivity.starts_on.desc(), AidActivity.id)
        .limit(200)
    )
    by_promise: dict[str, list[Any]] = {promise.id: [] for promise in mine}
    rows = _given(session, hub, list(by_promise))
    for row in rows:
        by_promise[row.commitment_id].append(row)
    growth = _growth(session, hub, _first_days(rows), today)
    progress = tuple(_progress(promise, by_promise[promise.id]) for promise in mine)
    return Own(donor, progress, tuple(growth), tuple(activities))


def shown_count(count: int) -> int | None:
    """Give a number of children if it may be shown; None for 1 to 4."""
    return None if 0 < count < FEWEST else count


def _given(session: Session, hub: AppContext, commitments: Sequence[str]) -> Sequence[Any]:
    """Load the deliveries of some commitments."""
    d = Delivery
    return session.execute(
        select(*(d.commitment_id, Child.person_id, d.given_on, d.outcome, d.value_rp, d.starts_on))
        .join(Child, and_(Child.district == d.district, Child.id == d.child_id))
        .where(
            *(d.district == hub.district, d.commitment_id.in_(commitments), d.given == 1, ~d.removed),
        )
    ).all()


def _first_days(rows: Sequence[Any]) -> dict[str, date]:
    """Give the day of each person's first delivery."""
    people: dict[str, date] = {}
    for row in rows:
        day = row.given_on or row.starts_on
        if day is not None:
            people[row.person_id] = min(day, people.get(row.person_id, day))
    return people


def _progress(promise: Promise, rows: Sequence[Any]) -> Progress:
    people = _first_days(rows)
    if 0 < len(people) < FEWEST:
        return Progress(promise, None, True, None, None)
    verified = {row.person_id for row in rows if row.outcome == "received"}
    value = sum(row.value_rp or 0 for row in rows)
    return Progress(promise, len(people), False, _part(len(verified), len(people)), value)


def _part(part: int, whole: int) -> int | None:
    """Give the size of a part of a group; None if it or the rest is 1 to 4."""
    return part if shown_count(part) is not None and shown_count(whole - part) is not None else None


def _growth(session: Session, hub: AppContext, people: dict[str, date], today: date) -> list[Growth]:
    whose = and_(Child.district == Assessment.district, Child.id == Assessment.child_id)
    rows = session.execute(
        select(Child.person_id, Assessment.measured_on, Assessment.haz)
        .join(Child, whose)
        .where(
            Assessment.district == hub.district,
            Child.person_id.in_(list(people)),
            Assessment.haz.is_not(None),
        )
        .order_by(Assessment.measured_on)
    )
    scores: dict[str, list[Any]] = {}
    for row in rows if people else ():
        scores.setdefault(row.person_id, []).append(row)
    return [
        growth_after(scores, people, months, first, last, today) for months, (first, last) in AFTER.items()
    ]


def growth_after(
    scores: Mapping[str, Sequence[Any]],
    people: Mapping[str, date],
    months: int,
    first: int,
    last: int,
    today: date,
) -> Growth:
    """Give the growth, `months` after their first delivery, of the children whose measuring period is over.

    Parameters
    ----------
    scores : by person, assessments with a length for age, oldest first
    people : person -> day of the first delivery
    first, last : the measuring period, in days after it
    """
    over = sorted((start, id_) for id_, start in people.items() if start < today - timedelta(last))
    group = over[: len(over) // FEWEST * FEWEST]
    pairs = [_before_and_after(scores.get(id_, ()), start, first, last) for start, id_ in group]
    known = [pair for pair in pairs if pair is not None]
    measured = _part(len(known), len(group))
    better = _part(sum(after >= before for before, after in known), len(known)) if measured else None
    return Growth(months, len(group), measured, better)


def _before_and_after(rows: Sequence[Any], start: date, first: int, last: int) -> tuple[float, float] | None:
    """Give the length for age at the first delivery and `first` to `last` days after it; None if either is unknown."""
    before = [row.haz for row in rows if start - timedelta(45) <= row.measured_on <= start + timedelta(15)]
    after = [
        row.haz for row in rows if start + timedelta(first) <= row.measured_on <= start + timedelta(last)
    ]
    return (before[-1], after[-1]) if before and after else None
