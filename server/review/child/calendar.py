"""What a child was given, as its record and its visits tell, and its calendar of vaccines and services. Pure."""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

from server.review.child.view import ChildView
from server.review.child.visits import Visit
from server.schedule import Given, Item, Schedule, calendar


def child_calendar(view: ChildView, plan: Schedule) -> tuple[Item, ...]:
    """Return a child's calendar today; nothing for one without a birth date, and for one that was removed."""
    return () if view.removed else calendar(plan, view.born_on, given(view), view.today)


def given(view: ChildView) -> Given:
    """Collect what a child was given. Of values that differ all count: nothing is given twice because of a difference."""
    doses: dict[str, date] = {}
    for code, day in (*_at_visits(view.visits), *_in_the_book(view)):
        doses[code] = min(day, doses.get(code, day))
    services = [(visit.measured_on, fields) for visit in view.visits for fields in _fields(visit, "services")]
    rounds = {
        name: [day for day, fields in services if fields.get(name)] for name in ("vitamin_a", "deworming")
    }
    kpsp = [(day, fields["kpsp"]) for day, fields in services if fields.get("kpsp")]
    return Given(doses, rounds, kpsp)


def _at_visits(visits: Iterable[Visit]) -> Iterator[tuple[str, date]]:
    for visit in visits:
        for fields in _fields(visit, "doses"):
            yield from ((code, visit.measured_on) for code in fields["given"])


def _in_the_book(view: ChildView) -> Iterator[tuple[str, date]]:
    for value in view.values.get("book_doses", ()):
        yield from ((code, date.fromisoformat(day)) for code, day in value.fields["given"].items())


def _fields(visit: Visit, register: str) -> list[Any]:
    return [] if visit.removed else [value.fields for value in visit.values.get(register, ())]
