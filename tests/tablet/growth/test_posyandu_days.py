"""The post's next posyandu day: told only where its past days have a rhythm."""

from typing import Any

import pytest

from tests.tablet._modules import Modules

pytestmark = pytest.mark.browser


def next_day(modules: Modules, days: list[str], today: str, children: int = 3) -> Any:
    given = [{"on": day, "source": "cadre"} for day in days for _ in range(children)]
    return modules.call(
        "posyandu_days.nextPosyanduDay(posyandu_days.posyanduDays(given[0]), given[1])", [given, today]
    )


@pytest.mark.parametrize(
    ("days", "today", "expected"),
    [
        (["2026-09-10", "2026-10-10", "2026-11-10"], "2026-11-10", "2026-12-10"),
        (["2026-10-10", "2026-11-10", "2026-12-10"], "2026-12-10", "2027-01-10"),
        (["2026-09-08", "2026-10-13", "2026-11-10"], "2026-11-10", "2026-12-08"),  # second Tuesdays
        (["2026-09-10", "2026-10-12", "2026-11-10"], "2026-11-10", None),
        (["2026-10-10", "2026-11-10"], "2026-11-10", None),
        (["2026-05-10", "2026-06-10", "2026-11-10"], "2026-11-10", None),  # long ago
        (["2025-11-30", "2025-12-30", "2026-01-30"], "2026-01-30", None),  # February has no 30th
        (["2026-09-29", "2026-10-27", "2026-11-24"], "2026-11-24", None),  # fifth, fourth, fourth Tuesday
        (["2026-09-10", "2026-10-10", "2026-11-10", "2026-12-10"], "2026-11-10", "2026-12-10"),
    ],
)
def test_next_day_follows_the_rhythm_of_the_last_three_months(
    modules: Modules, days: list[str], today: str, expected: str | None
) -> None:
    assert next_day(modules, days, today) == expected


def test_a_day_on_which_two_children_were_measured_is_no_posyandu_day(modules: Modules) -> None:
    days = ["2026-09-10", "2026-10-10", "2026-11-10"]
    assert next_day(modules, days, "2026-11-10", children=2) is None
