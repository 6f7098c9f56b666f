"""Finds the persons whose flag `not_seen` the calendar has changed: the rule of `rules`, as the database reads it.

Everything else that the flag depends on is assessed with the change that brings it. So only these need a new assessment on
another day: those who are due and have no flag yet, and those who have one and are not due any more (five years old).
"""

from datetime import date

from sqlalchemy import ColumnElement, Select, and_, except_, or_, select
from sqlalchemy.orm import Session, aliased

from server.children.assessment.rules import months_back
from server.context import AppContext
from server.database.models import Child, Flag, Measurement

NOT_SEEN = "not_seen"


def changed_absence(session: Session, hub: AppContext, today: date) -> list[str]:
    """Return the canonical ids of the persons whose flag differs from what is due today, sorted.

    Parameters
    ----------
    today : in the district
    """
    due = _due(hub, today)
    flagged = select(Flag.child_id).where(Flag.district == hub.district, Flag.rule == NOT_SEEN)
    new, over = (session.scalars(except_(*pair)) for pair in ((due, flagged), (flagged, due)))
    return sorted([*new, *over])


def _due(hub: AppContext, today: date) -> Select[str]:
    """Select the persons who should have the flag: of linked children, what is known of any of them counts."""
    since, five_years_ago = months_back(today, 1), months_back(today, 60)
    return select(Child.id).where(
        Child.district == hub.district,
        Child.born_on > five_years_ago,
        Child.id == Child.person_id,
        Child.registered,
        ~Child.removed,
        ~_measured(hub, Measurement.measured_on >= since),
        or_(_measured(hub), _first_seen_before(hub, since)),
    )


def _measured(hub: AppContext, *when: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition that a person has a measurement."""
    member = aliased(Child)
    same = and_(Measurement.district == member.district, Measurement.child_id == member.id)
    return (
        select(member.id)
        .join(Measurement, same)
        .where(member.district == hub.district, member.person_id == Child.id, ~Measurement.removed, *when)
        .correlate(Child)
        .exists()
    )


def _first_seen_before(hub: AppContext, day: date) -> ColumnElement[bool]:
    member = aliased(Child)
    return (
        select(member.id)
        .where(
            member.district == hub.district,
            member.person_id == Child.id,
            member.first_seen_at < hub.settings.start_of(day),
        )
        .correlate(Child)
        .exists()
    )
