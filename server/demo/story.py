"""The whole story as a list of steps in order of time. PURE: a function of seed and day. Hides who has a signal when."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np

from server.demo.acts import (
    Act,
    Contact,
    MadeUpChild,
    PostPlan,
    is_silent,
    moment,
    posyandu_days,
    visit_day,
)
from server.demo.growing import DAYS_PER_MONTH
from server.demo.lives import life
from server.demo.mishaps import MISHAPS, MOVES_TO

POSTS: Final = (
    PostPlan("Posyandu Melati 1 (contoh)", "64.02.06", "64.02.06.1005", 100, 24, tablets=2, scale_g=10),
    PostPlan("Posyandu Kenanga 1 (contoh)", "64.02.03", "64.02.03.2003", 60, 12, tablets=2, silent=True),
    PostPlan(
        "Posyandu Anggrek 1 (contoh)", "64.02.12", "64.02.12.2018", 30, 8, every=3, lag_days=3, scale_g=100
    ),
    PostPlan("Posyandu Mawar 2 (contoh)", "64.02.06", "64.02.06.1011", 70, 19, tablets=2, waits=True),
    PostPlan("Posyandu Dahlia 2 (contoh)", "64.02.03", "64.02.03.2006", 55, 15, every=2),
    PostPlan("Posyandu Cempaka 3 (contoh)", "64.02.06", "64.02.06.2012", 45, 10, scale_g=100),
    PostPlan("Posyandu Teratai 3 (contoh)", "64.02.03", "64.02.03.2005", 50, 21, waits=True),
    PostPlan(
        "Posyandu Seroja 2 (contoh)", "64.02.12", "64.02.12.2012", 40, 17, every=3, lag_days=5, scale_g=100
    ),
)
AVERAGE_SHARE: Final = 56
RECENT: Final = 6
EARLIER_EVERY: Final = 3
"""Before its last RECENT posyandu days a tablet syncs at most after every third: a few large batches are faster to make."""
FEWEST_CHILDREN: Final = 12
FEWEST_MONTHS: Final = 6


@dataclass(frozen=True, slots=True)
class Story:
    """All steps, in order of time."""

    today: date
    opens_at: datetime
    posts: tuple[PostPlan, ...]
    steps: tuple[Act | Contact, ...]


def plan_demo(seed: int, today: date, posts: int = 8, children_per_post: int = 56, months: int = 24) -> Story:
    """Plan the whole story: a pure function of its arguments.

    Parameters
    ----------
    today : in the district; everything happens before it
    posts, children_per_post, months : as in `make_demo`

    Raises
    ------
    ValueError
        A number is too small.
    """
    if not 2 <= posts <= len(POSTS) or months < FEWEST_MONTHS:
        raise ValueError(f"a demo has 2 to {len(POSTS)} posts and at least {FEWEST_MONTHS} months")
    chosen = POSTS[:posts]
    days = [posyandu_days(post, today, months) for post in chosen]
    steps: list[Act | Contact] = [
        step for number in range(posts) for step in _contacts(chosen, days, number, today)
    ]
    number = 0
    for post, plan in enumerate(chosen):
        mishaps = [(what, age) for what, where, age in MISHAPS if where == post]
        count = max(round(plan.share * children_per_post / AVERAGE_SHARE), FEWEST_CHILDREN, len(mishaps))
        for place in range(count):
            number += 1
            mishap, age = mishaps[place] if place < len(mishaps) else ("", None)
            random = np.random.default_rng([seed, number])
            age_days = int(age * DAYS_PER_MONTH) if age else int(random.integers(25, 1800))
            born = MadeUpChild(number, post, mishap, today - timedelta(days=age_days), today)
            steps += life(random, born, chosen, days)
    steps.sort(key=lambda step: (step.at, step.post, step.tablet))
    opens_at = moment(min(d[0] for d in days) - timedelta(days=10), 2)
    return Story(today, opens_at, chosen, tuple(steps))


def _contacts(
    posts: Sequence[PostPlan], days: Sequence[Sequence[date]], post: int, today: date
) -> Iterator[Contact]:
    """Yield when a post's tablets sync: in the afternoon, after the midwife's visit, and before a child moves in."""
    plan, mine = posts[post], days[post]
    yesterday = today - timedelta(days=1)
    for index, day in enumerate(mine):
        to_go = len(mine) - 1 - index
        if to_go % (plan.every if to_go < RECENT else max(plan.every, EARLIER_EVERY)):
            continue
        on = min(day + timedelta(days=plan.lag_days), yesterday)
        for tablet in range(plan.tablets):
            if not is_silent(plan, tablet, index, len(mine)):
                yield Contact(moment(on, 6, 30 + 10 * tablet), post, tablet)
    yield Contact(moment(visit_day(mine[-1], today), 8, 30), post, 0)
    for leaving, joining in MOVES_TO.items():
        if joining == post and leaving < len(posts):
            yield Contact(moment(_first_after(mine, days[leaving][-3]), 0, 30), post, 0)


def _first_after(days: Sequence[date], day: date) -> date:
    return next((d for d in days if d > day), days[-1])
