"""Generated children of the calendar: born at the ends of months too, vaccinated early, late, twice or not at all."""

import random
from datetime import date, timedelta
from typing import Any

from server.schedule import Given, Schedule

FIRST_BIRTH = date(2019, 12, 25)


def random_children(plan: Schedule, number: int, seed: int) -> list[dict[str, Any]]:
    """Make children as JSON: `born_on`, `given` and the day `on`."""
    chance = random.Random(seed)
    return [_child(plan, chance) for _ in range(number)]


def given_of(child: dict[str, Any]) -> Given:
    """Read what a generated child was given."""
    given = child["given"]
    return Given(
        {code: date.fromisoformat(day) for code, day in given["doses"].items()},
        {name: [date.fromisoformat(day) for day in days] for name, days in given["rounds"].items()},
        [(date.fromisoformat(day), result) for day, result in given["kpsp"]],
    )


def _child(plan: Schedule, chance: random.Random) -> dict[str, Any]:
    born_on = FIRST_BIRTH + timedelta(days=chance.randrange(1500))
    if chance.random() < 0.2:
        born_on = born_on.replace(day=1) - timedelta(days=chance.randrange(3))
    on = born_on + timedelta(days=chance.choice((-1, 0, chance.randrange(400), chance.randrange(2300))))

    def days(most: int) -> list[str]:
        span = max((on - born_on).days, 1) + 40  # some lie after the day that is asked about
        return [(born_on + timedelta(days=chance.randrange(span))).isoformat() for _ in range(most)]

    codes = [dose.code for dose in plan.doses if chance.random() < chance.choice((0.1, 0.5, 0.9))]
    return {
        "born_on": None if chance.random() < 0.02 else born_on.isoformat(),
        "on": on.isoformat(),
        "given": {
            "doses": {code: days(1)[0] for code in codes},
            "rounds": {one.service: days(chance.randrange(6)) for one in plan.rounds},
            "kpsp": [[day, chance.choice("SMP")] for day in days(chance.randrange(6))],
        },
    }
