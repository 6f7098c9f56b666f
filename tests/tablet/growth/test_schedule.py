"""The calendar of vaccines and services on the tablet is the server's, line by line, for generated children."""

from collections import Counter
from datetime import date
from typing import Any

import pytest

from server.schedule import Item, Schedule, calendar, schedule
from tests.server.schedule.children import given_of, random_children
from tests.tablet._modules import Modules

pytestmark = pytest.mark.browser
CHILDREN = 3000
CALENDAR = "given.map(({born_on, given, on}) => schedule.calendarOf(tables.schedule, born_on, given, on))"


def test_the_tablet_offers_what_the_server_offers(modules: Modules) -> None:
    plan = schedule()
    children = random_children(plan, CHILDREN, seed=20_261_130)
    seen: Counter[str] = Counter()
    for child, found in zip(children, modules.call(CALENDAR, children), strict=True):
        expected = [line(item) for item in of_server(plan, child)]
        assert found == expected, child
        seen.update(item["state"] for item in expected)
    assert set(seen) == {"given", "due", "overdue", "later", "missed", "unrecorded"}
    assert min(seen.values()) > 100


def of_server(plan: Schedule, child: dict[str, Any]) -> tuple[Item, ...]:
    born_on = child["born_on"] and date.fromisoformat(child["born_on"])
    return calendar(plan, born_on, given_of(child), date.fromisoformat(child["on"]))


def line(item: Item) -> dict[str, Any]:
    return {
        "code": item.code,
        "state": item.state,
        "given_on": item.given_on and item.given_on.isoformat(),
        "from_on": item.from_on and item.from_on.isoformat(),
        "value": item.value,
    }
