"""The parts of what is derived, each with its units: how they are listed and looked at, in what order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Text, cast, func, select
from sqlalchemy.orm import Session

from server.context import AppContext
from server.database.models import Child, Figures, HealthPost, Installation, table
from server.operations.recomputation import children, figures, records, reports
from server.operations.recomputation.difference import Difference

Look = Callable[[Session, AppContext, Sequence[str], datetime], list[Difference]]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of what is derived.

    Parameters
    ----------
    units : selects the ids of its units, as texts: children, posts or months
    look : compares some units on one snapshot
    chunk : units in memory at a time
    """

    name: str
    units: Callable[[str], Any]
    look: Look
    chunk: int

    def list_units(self, session: Session, hub: AppContext, after: str, most: int | None) -> list[str]:
        """List the ids of units after one, in order; "" is before all."""
        found = self.units(hub.district).subquery("units")
        query = select(found.c.unit).where(found.c.unit > after).order_by(found.c.unit).limit(most)
        return list(session.scalars(query))

    def count_units(self, session: Session, hub: AppContext) -> int:
        found = self.units(hub.district).subquery("units")
        return session.scalar(select(func.count()).select_from(found)) or 0


def _children(district: str) -> Any:
    c = table(Child).c
    return select(cast(c.id, Text()).label("unit")).where(c.district == district)


def _persons(district: str) -> Any:
    c = table(Child).c
    return _children(district).where(c.person_id == c.id)


def _posts(district: str) -> Any:
    c = table(HealthPost).c
    return select(cast(c.id, Text()).label("unit")).where(c.district == district)


def _months(district: str) -> Any:
    c = table(Figures).c
    return select(cast(c.month, Text()).label("unit")).where(c.district == district).distinct()


def _district(district: str) -> Any:
    c = table(Installation).c
    return select(c.district.label("unit")).where(c.district == district)


PARTS: Final = (
    Part("records", _children, records.differences, 500),
    Part("assessments", _persons, children.differences, 500),
    Part("strays", _district, children.strays, 1),
    Part("figures", _posts, figures.of_posts, 20),
    Part("areas", _months, figures.of_months, 1),
    Part("reports", _posts, reports.differences, 20),
)
"""What is recomputed, in an order in which each rests on those before."""
