"""What a donor may see: what it promised, what of it came, and how those who got it grow, in groups of five or more.

Rules kept here:
- No child, no village of a child, no day of a single delivery: numbers by commitment, over everything that it reached.
- Of fewer than five nothing is told but that it is few; of a group that is told, no part or rest of fewer than five.
- How children grow is told of all whom the donor reached together, not by commitment, for two groups that differ in one
  child would tell of it; and of five children more at a time, each when its days of measuring are over, for today's numbers
  and tomorrow's would tell of one, too.
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
"""Months after the first delivery, and within which days from it a measurement counts for them."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How those grow whose days of measuring so many months on are over: `of` children, a multiple of five. `measured`
    again, and `better`, whose length for age did not fall, are None where they or their rest would be of fewer than five."""

    months: int
    of: int
    measured: int | None
    better: int | None


@dataclass(frozen=True, slots=True)
class Progress:
    """A commitment and what came of it; `reached` is None for fewer than five children (`few`)."""

    promise: Promise
    reached: int | None
    few: bool
    verified: int | None
    value_rp: int | None


@dataclass(frozen=True, slots=True)
class Own:
    """A donor's page."""

    donor: Donor
    progress: tuple[Progress, ...]
    growth: tuple[Growth, ...]
    activities: tuple[AidActivity, ...]


def own(session: Session, hub: AppContext, person: Person, today: date) -> Own | None:
    """Give what a donor funds; None for an account that belongs to no donor yet."""
    if not person.may("see_own_aid"):
        raise Problem("not-allowed")
    if person.scope_kind != "donor" or not UUID_TEXT.fullmatch(person.scope):
        return None
    if session.get(Donor, (hub.district, person.scope)) is None:
        return None
    return of_donor(session, hub, person.scope, today)


def of_donor(session: Session, hub: AppContext, donor_id: str, today: date) -> Own:
    """Give what one donor of the register funds."""
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
    told_of = tuple(_progress(promise, by_promise[promise.id]) for promise in mine)
    return Own(donor, told_of, tuple(growth), tuple(activities))


def shown_count(count: int) -> int | None:
    """Give a number of children that may be told; None for 1 to 4."""
    return None if 0 < count < FEWEST else count


def _given(session: Session, hub: AppContext, commitments: Sequence[str]) -> Sequence[Any]:
    """Give what came of some commitments."""
    d = Delivery
    return session.execute(
        select(*(d.commitment_id, Child.person_id, d.given_on, d.outcome, d.value_rp, d.starts_on))
        .join(Child, and_(Child.district == d.district, Child.id == d.child_id))
        .where(
            *(d.district == hub.district, d.commitment_id.in_(commitments), d.given == 1, ~d.removed),
        )
    ).all()


def _first_days(rows: Sequence[Any]) -> dict[str, date]:
    """Give on which day each person first got something."""
    people: dict[str, date] = {}
    for row in rows:
        on = row.given_on or row.starts_on
        if on is not None:
            people[row.person_id] = min(on, people.get(row.person_id, on))
    return people


def _progress(promise: Promise, rows: Sequence[Any]) -> Progress:
    people = _first_days(rows)
    if 0 < len(people) < FEWEST:
        return Progress(promise, None, True, None, None)
    verified = {row.person_id for row in rows if row.outcome == "received"}
    value = sum(row.value_rp or 0 for row in rows)
    return Progress(promise, len(people), False, _part(len(verified), len(people)), value)


def _part(part: int, whole: int) -> int | None:
    """Give a part of a group if neither it nor the rest is of 1 to 4."""
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
    by: dict[str, list[Any]] = {}
    for row in rows if people else ():
        by.setdefault(row.person_id, []).append(row)
    return [_told_growth(by, people, months, first, last, today) for months, (first, last) in AFTER.items()]


def _told_growth(
    by: Mapping[str, Sequence[Any]],
    people: Mapping[str, date],
    months: int,
    first: int,
    last: int,
    today: date,
) -> Growth:
    over = sorted((on, id_) for id_, on in people.items() if on + timedelta(last) < today)
    told_of = over[: len(over) // FEWEST * FEWEST]
    pairs = [_pair(by.get(id_, ()), on, first, last) for on, id_ in told_of]
    known = [pair for pair in pairs if pair is not None]
    measured = _part(len(known), len(told_of))
    better = _part(sum(after >= before for before, after in known), len(known)) if measured else None
    return Growth(months, len(told_of), measured, better)


def _pair(rows: Sequence[Any], on: date, first: int, last: int) -> tuple[float, float] | None:
    """Give the length for age at the first delivery and so many days after it; None where either is not known."""
    before = [row.haz for row in rows if on - timedelta(45) <= row.measured_on <= on + timedelta(15)]
    after = [row.haz for row in rows if on + timedelta(first) <= row.measured_on <= on + timedelta(last)]
    return (before[-1], after[-1]) if before and after else None
