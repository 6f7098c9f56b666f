"""How long a tablet was without contact, by clocks that may be wrong: none that jumps makes a tablet wipe itself."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from playwright.sync_api import Browser

from tests.tablet._modules import Modules

pytestmark = pytest.mark.browser

DAY_MS: Final = 86_400_000
MOST: Final = 60
START: Final = 1_800_000_000_000
YEAR: Final = 365
COUNT: Final = """given.map(({ contact, clocks }) => {
    let readings = [];
    return clocks.map((now) => {
        readings = silence.noted(contact, readings, now);
        return silence.silentDays(contact, readings, now);
    });
})"""


@pytest.fixture(scope="module")
def modules(browser: Browser) -> Modules:
    return Modules.opened(browser, "store")


def story(days: Sequence[float], *, wrong_by: float = 0) -> dict[str, Any]:
    """Give what a tablet's clock shows at each start, in days after the contact, at which it was wrong by so many days."""
    ahead = wrong_by * DAY_MS
    contact = {"at": _iso(START + ahead), "offset": ahead / 1000}
    return {"contact": contact, "clocks": [START + round(day * DAY_MS) for day in days]}


def _iso(milliseconds: float) -> str:
    """Write a moment as a tablet notes it, far from now too."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ([61], 36),  # a drawer, or a wrong clock: no single step wipes
        ([30, 61], 61),  # a post that meets once a month
        ([35, 61], 61),
        ([20, 40, 61], 61),
        ([1, 2, 3], 3),
        ([400], 36),
        ([400, 800], 36),  # of long steps one counts
        ([400, 1], 1),  # it went back: what lay ahead was wrong
        ([-20_000, 1], 1),  # 1970, then right
        ([1, -20_000, 2, -20_000, 3], 3),
        ([1, 400, 2, 800, 3], 3),
        ([-1], 0),
    ],
)
def test_days_count_as_far_as_the_clock_can_be_believed(
    modules: Modules, days: list[float], expected: float
) -> None:
    assert modules.call(COUNT, [story(days)])[0][-1] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("days", "wrong_by", "expected"),
    [
        ([YEAR + 20, YEAR + 40], YEAR, 40),  # ahead at the contact, and still
        ([20, 40], YEAR, 0),  # ahead, then put right: too little is counted rather than too much
        ([20, 40], -20_000, 40),  # 1970 at the contact, then put right
        ([-19_980, -19_960], -20_000, 0),
        ([20, 40], 0.0001, 40),
    ],
)
def test_clock_that_was_wrong_at_the_contact_never_counts_too_much(
    modules: Modules, days: list[float], wrong_by: float, expected: float
) -> None:
    assert modules.call(COUNT, [story(days, wrong_by=wrong_by)])[0][-1] == pytest.approx(expected, abs=0.01)


def test_no_wrong_clock_wipes_a_tablet_within_three_weeks_of_its_contact(modules: Modules) -> None:
    rng = random.Random(15)
    stories = [_jumping(rng) for _ in range(500)]
    for counted in modules.call(COUNT, stories):
        assert max(counted) < MOST


def _jumping(rng: random.Random) -> dict[str, Any]:
    """Give three weeks of starts under a clock that jumps to and fro, by more than a step that counts in full."""
    errors = [0, *(rng.choice((-90, 90)) * rng.randint(1, 200) for _ in range(2))]
    days, day = [], 0.0
    while day < 21:
        day += rng.uniform(0.01, 3)
        days.append(day + rng.choice(errors) * (rng.random() < 0.5))
    return story(days, wrong_by=rng.choice(errors))


def test_one_reading_a_day_is_kept(modules: Modules) -> None:
    given = story([number / 24 for number in range(1, 24 * 62)])
    kept = modules.call(
        "given.clocks.reduce((readings, now) => silence.noted(given.contact, readings, now), []).length",
        given,
    )
    assert 61 <= kept <= 75
