"""One child registered at several posts at one moment: every pair is found, as if they had come one after the other."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import combinations
from typing import Any

from hypothesis import given, settings, strategies as st
from sqlalchemy import select

from server.database.models import HealthCentre
from server.places import health_posts
from server.sync.server_edits import Edit, decide, write
from tests.server._district import Databases, District, FakeTablet, identity
from tests.server.children._pairs import MOTHER, open_pairs

NAMES = ("Bunga", "Fauzi", "Halimah", "Joko", "Rizki", "Wulandari")


def together(tasks: Sequence[Callable[[], Any]]) -> None:
    """Run tasks at the same moment; what one raises is raised here."""
    ready = threading.Barrier(len(tasks))

    def run(task: Callable[[], Any]) -> None:
        ready.wait()
        task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        for done in [pool.submit(run, task) for task in tasks]:
            done.result(timeout=120)


def add_post(district: District, village: str) -> None:
    """Put a new post of a village in the place of the second one."""
    with district.hub.database.transaction() as session:
        centre = session.execute(select(HealthCentre.id)).scalar_one()
        post = health_posts.add_post(
            session, district.hub, "Kenanga 3", centre, village, actor="operator", now=district.clock.now
        )
    district.posts = (district.posts[0], post)


class Round:
    """A child that several tablets register at one moment, unlike the children of other rounds."""

    def __init__(self, district: District, tablets: Sequence[FakeTablet], number: int) -> None:
        self.district, self.tablets = district, tablets
        self.born_on = f"{2021 + number // 2}-{1 + 6 * (number % 2):02}-09"
        self.name = f"{NAMES[number]} Contoh"
        self.nik = f"640206100125{number + 1:04}"

    def by_name(self) -> list[str]:
        who = identity(name=self.name, born_on=self.born_on)
        return [tablet.register_child(identity=who, parents=MOTHER) for tablet in self.tablets]

    def by_swapped_date(self) -> list[str]:
        year, month, day = self.born_on.split("-")
        dates = [self.born_on, f"{year}-{day}-{month}"]
        who = [identity(name=self.name, born_on=date) for date in dates]
        return [t.register_child(identity=who[n % 2], parents=MOTHER) for n, t in enumerate(self.tablets)]

    def by_nik(self) -> list[str]:
        return [
            tablet.register_child(
                identity=identity(name=NAMES[n], born_on=f"2024-0{n + 1}-20"), nik={"nik": self.nik}
            )
            for n, tablet in enumerate(self.tablets)
        ]

    def by_correction(self) -> list[str]:
        """Let the children be unlike at first; what is sent at one moment are corrections."""
        children = []
        for n, tablet in enumerate(self.tablets):
            who = identity(name=f"{NAMES[n - 1]}wati", born_on=self.born_on)
            children.append(tablet.register_child(identity=who, parents=MOTHER))
            tablet.sync_until_quiet()
        for child, tablet in zip(children, self.tablets, strict=True):
            tablet.edit_child(child, identity=identity(name=self.name, born_on=self.born_on))
        return children


KINDS = {
    "name": Round.by_name,
    "swapped date": Round.by_swapped_date,
    "NIK": Round.by_nik,
    "correction": Round.by_correction,
}


def pairs_of(children: Sequence[str]) -> set[tuple[str, str]]:
    return set(combinations(sorted(children), 2))


@settings(max_examples=6, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(sorted(KINDS)), min_size=2, max_size=5),
    count=st.integers(2, 4),
    village=st.sampled_from(["64.02.06.1001", "64.02.06.1002"]),
)
def check_every_pair_is_found(databases: Databases, kinds: list[str], count: int, village: str) -> None:
    with District.opened(databases) as district:
        add_post(district, village)
        tablets = [district.tablet(number % 2) for number in range(count)]
        expected: set[tuple[str, str]] = set()
        for number, kind in enumerate(kinds):
            children = KINDS[kind](Round(district, tablets, number))
            expected |= pairs_of(children)
            together([tablet.sync for tablet in tablets])
            assert open_pairs(district).keys() == expected
            for child in children:
                assert "possible_duplicate" in district.flags(child)
        district.settle(*tablets)


def test_every_pair_is_found_when_posts_register_one_child_at_one_moment(databases: Databases) -> None:
    check_every_pair_is_found(databases)


def rename(district: District, child: str, tablet: FakeTablet, who: dict[str, Any]) -> None:
    """Let the office give a child another identity, as a person does who saw what the tablet shows."""
    edit = Edit.of_child(child, {"identity": who}, tablet.state(child).vector)
    named: dict[str, Any] = {"author": "operator", "now": district.clock.now}
    decide(district.hub, lambda s: write(s, district.hub, [edit], "child.edited", **named))


def test_pair_is_found_when_a_person_renames_a_child_while_another_post_registers_it(
    installed: District,
) -> None:
    one, two = installed.tablet(), installed.tablet(1)
    for number, name in enumerate(NAMES):
        born_on = f"2021-0{number + 1}-20"
        who = identity(name=f"{name} Contoh", born_on=born_on)
        child = one.register_child(identity=identity(name="Anak Lain", born_on=born_on))
        one.sync_until_quiet()
        other = two.register_child(identity=who)
        together([partial(rename, installed, child, one, who), two.sync])
        assert (min(child, other), max(child, other)) in open_pairs(installed)
    installed.settle(one, two)
