"""What a donor may see: what it promised, what of it came, and how those who got it grow, in groups of five or more.

Rules kept here:
- No child, no village of a child, no day of a single delivery: numbers by commitment, over everything that it reached.
- Of fewer than five nothing is told but that it is few; of a group that is told, no part or rest of fewer than five.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from server.accounts import Person
from server.aid.register import Promise, promises
from server.errors import Problem
from server.hub import Hub
from server.models import AidActivity, Assessment, Child, Delivery, Donor
from server.places import UUID_TEXT
from server.reports.small import FEWEST

AFTER: Final = {3: (60, 120), 6: (150, 210)}
"""Months after the first delivery, and within which days from it a measurement counts for them."""


@dataclass(frozen=True, slots=True)
class Growth:
    """How those who were measured again grow. `measured` is None for fewer than five; `better`, whose length for age did not
    fall, is None where it or its rest would be of fewer than five."""

    months: int
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
    growth: tuple[Growth, ...]


@dataclass(frozen=True, slots=True)
class Own:
    """A donor's page."""

    donor: Donor
    progress: tuple[Progress, ...]
    activities: tuple[AidActivity, ...]


def own(session: Session, hub: Hub, person: Person) -> Own | None:
    """Give what a donor funds; None for an account that belongs to no donor yet."""
    if not person.may("see_own_aid"):
        raise Problem("not-allowed")
    if person.scope_kind != "donor" or not UUID_TEXT.fullmatch(person.scope):
        return None
    if session.get(Donor, (hub.district, person.scope)) is None:
        return None
    return of_donor(session, hub, person.scope)


def of_donor(session: Session, hub: Hub, donor_id: str) -> Own:
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
    return Own(donor, tuple(_progress(session, hub, promise) for promise in mine), tuple(activities))


def told(count: int) -> int | None:
    """Give a number of children that may be told; None for 1 to 4."""
    return None if 0 < count < FEWEST else count


def _progress(session: Session, hub: Hub, promise: Promise) -> Progress:
    rows = session.execute(
        select(
            *(Child.person_id, Delivery.given_on, Delivery.outcome, Delivery.value_rp, Delivery.starts_on),
        )
        .join(Child, and_(Child.district == Delivery.district, Child.id == Delivery.child_id))
        .where(
            *(Delivery.district == hub.district, Delivery.commitment_id == promise.id),
            *(Delivery.given == 1, ~Delivery.removed),
        )
    ).all()
    people: dict[str, date] = {}
    for row in rows:
        on = row.given_on or row.starts_on
        if on is not None:
            people[row.person_id] = min(on, people.get(row.person_id, on))
    if 0 < len(people) < FEWEST:
        return Progress(promise, None, True, None, None, ())
    verified = {row.person_id for row in rows if row.outcome == "received"}
    return Progress(
        promise,
        len(people),
        False,
        _part(len(verified), len(people)),
        sum(row.value_rp or 0 for row in rows),
        tuple(_growth(session, hub, people)),
    )


def _part(part: int, whole: int) -> int | None:
    """Give a part of a group if neither it nor the rest is of 1 to 4."""
    return part if told(part) is not None and told(whole - part) is not None else None


def _growth(session: Session, hub: Hub, people: dict[str, date]) -> list[Growth]:
    if not people:
        return []
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
    ).all()
    by: dict[str, list[Any]] = {}
    for row in rows:
        by.setdefault(row.person_id, []).append(row)
    found = []
    for months, (first, last) in AFTER.items():
        pairs = [_pair(by.get(id_, ()), on, first, last) for id_, on in people.items()]
        known = [pair for pair in pairs if pair is not None]
        measured = told(len(known)) if len(known) in (0, len(people)) else _part(len(known), len(people))
        better = _part(sum(after >= before for before, after in known), len(known)) if measured else None
        found.append(Growth(months, measured, better))
    return found


def _pair(rows: Sequence[Any], on: date, first: int, last: int) -> tuple[float, float] | None:
    """Give the length for age at the first delivery and so many days after it; None where either is not known."""
    before = [row.haz for row in rows if on - timedelta(45) <= row.measured_on <= on + timedelta(15)]
    after = [row.haz for row in rows if on + timedelta(first) <= row.measured_on <= on + timedelta(last)]
    return (before[-1], after[-1]) if before and after else None
