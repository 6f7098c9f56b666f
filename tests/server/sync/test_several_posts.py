"""A tablet of staff with several posts: it gets the children of these posts and of no other, and writes of no other."""

import random
from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from server.database.models import Child, PostExit
from server.errors import Problem
from server.review import Scope, manage_posts
from sync_protocol import NewEpochRequired
from tests.server._district import DISTRICT, District, FakeTablet

FOREIGN = "post-out-of-scope"


def ids(children: Iterable[Any]) -> set[str]:
    return {child["id"] for child in children}


def pages(answer: dict[str, Any]) -> dict[str, set[str]]:
    """Give the children whose own record a page has, by post."""
    return {page["post"]: ids(page["children"]) for page in answer["pulls"]}


def at(post: str) -> dict[str, Any]:
    return {"post": {"post": post}}


def held(tablet: FakeTablet) -> set[str]:
    """Give the children of whom anything pulled is on the tablet."""
    return {state.key.get("child", ref[1]) for ref, state in tablet.replica.base.items()}


# -- what it gets -----------------------------------------------------------------------------------


def test_one_answer_brings_a_page_of_each_post_and_idle_ones_none(installed: District) -> None:
    first, second = installed.posts
    one, two, third = installed.tablet(0), installed.tablet(1), installed.add_post("Mawar 3")
    children = [one.register_child(), two.register_child()]
    one.sync()
    two.sync()
    staff = installed.staff_tablet(first, second, third)
    staff.sync()
    assert pages(staff.answers[-1]) == {first: {children[0]}, second: {children[1]}, third: set()}
    assert [post["id"] for post in staff.answers[-1]["posts"]] == [first, second, third]
    assert not staff.answers[-1]["pull"]["more"]
    one.measure(children[0], weight_g=9000)
    one.sync()
    staff.sync()
    assert set(pages(staff.answers[-1])) == {
        first,
        third,
    }  # an empty post stays at cursor 0: it has an empty page
    assert staff.replica.homes == dict(zip(children, (first, second), strict=True))
    installed.check_agreement(staff)


def test_pull_goes_on_post_by_post_where_pages_are_small(installed: District) -> None:
    first, second = installed.posts
    tablets = installed.tablet(0), installed.tablet(1)
    for tablet in tablets:
        for _ in range(6):
            tablet.measure(tablet.register_child(), weight_g=9000)
        tablet.sync_until_quiet()
    staff = installed.staff_tablet(first, second)
    with_small_pages(installed, 900)
    events = staff.sync()
    assert getattr(events[-1], "more", False)
    assert len(staff.answers[-1]["pulls"]) == 1
    staff.lose_answer()  # what was lost comes again
    staff.replica.pending = None
    staff.replica.token = staff.answers[-1]["token"]
    staff.sync_until_quiet()
    assert len(staff.answers) > 4
    assert all(len(orjson.dumps(answer["pulls"])) < 3500 for answer in staff.answers)
    installed.check_agreement(staff)


def with_small_pages(district: District, most: int) -> None:
    settings = district.hub.settings
    object.__setattr__(settings, "max_pull_bytes", most)


def test_a_tablet_of_one_post_is_answered_as_ever_and_so_is_one_that_does_not_name_several(
    installed: District,
) -> None:
    first, second = installed.posts
    one = installed.tablet(0)
    one.register_child()
    installed.tablet(1).sync()
    one.sync()
    assert set(one.answers[-1]) == {"protocol", "incarnation", "token", "server_time", "receipt", "pull"}
    older = installed.staff_tablet(first, second)  # an older app: it knows no `posts`
    older.replica.posts = []
    older.sync()
    assert set(older.answers[-1]) == set(one.answers[-1])
    assert ids(older.answers[-1]["pull"]["children"]) == held(one) | ids(one.answers[-1]["pull"]["children"])


def test_a_tablet_of_one_post_may_name_it_too(installed: District) -> None:
    one = installed.tablet(1)
    child = one.register_child()
    batch = {**one.replica.next_batch(installed.new_id(), installed.clock.text()), "cursors": {}}
    one.replica.pending = batch
    answer = one.send(one.signed(batch))
    assert pages(answer) == {installed.posts[1]: {child}}
    strange = {**batch, "batch": installed.new_id(), "token": answer["token"]}
    strange |= {"cursors": {installed.posts[0]: 0}, "first": 2, "changes": [], "previous": ""}
    assert set(pages(one.send(one.signed(strange)))) == {installed.posts[1]}  # never another's


# -- a child that moves -----------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_child_that_moves_between_two_of_its_posts_stays_whole(
    installed: District, order: tuple[int, int]
) -> None:
    posts = [installed.posts[number] for number in order]
    cadre, staff = installed.tablet(order[0]), installed.staff_tablet(posts[0], posts[1])
    child = cadre.register_child(**at(posts[0]))
    cadre.measure(child, weight_g=9000)
    cadre.sync_until_quiet()
    staff.sync_until_quiet()
    staff.edit_child(child, **at(posts[1]))
    staff.sync_until_quiet()
    cadre.sync_until_quiet()
    assert held(cadre) == set()
    assert staff.replica.homes == {child: posts[1]}
    staff.edit_child(child, **at(posts[0]))
    staff.measure(child, "2026-03-04", weight_g=8900)
    staff.sync_until_quiet()
    cadre.sync_until_quiet()
    installed.check_agreement(cadre, staff)
    assert staff.replica.homes == {child: posts[0]}


def test_a_child_that_leaves_all_its_posts_is_dropped_and_late_news_of_it_is_taken(
    installed: District,
) -> None:
    first, second = installed.posts
    third = installed.add_post("Mawar 3")
    cadre, staff = installed.tablet(0), installed.staff_tablet(first, second)
    child = cadre.register_child(**at(first))
    cadre.sync_until_quiet()
    staff.sync_until_quiet()
    cadre.edit_child(child, **at(third))
    cadre.sync_until_quiet()
    staff.measure(child, weight_g=9100)  # before she knows
    staff.sync_until_quiet()
    assert staff.outcomes() == ["applied"]
    assert held(staff) == set()
    assert installed.rows(select(Child.post_id))[0][0] == third


# -- what it may write ------------------------------------------------------------------------------


def test_a_child_is_registered_at_any_of_its_posts_and_at_no_other(installed: District) -> None:
    first, second = installed.posts
    third = installed.add_post("Mawar 3")
    staff = installed.staff_tablet(first, second)
    here, there = staff.register_child(**at(second)), staff.register_child()
    elsewhere = staff.register_child(**at(third))
    staff.sync_until_quiet()
    assert staff.outcomes() == ["applied", "applied", "quarantined"]
    assert staff.reasons(3) == [FOREIGN]
    homes = dict(installed.rows(select(Child.id, Child.post_id)))
    assert (homes[here], homes[there]) == (second, first)
    assert elsewhere not in homes
    cadre = installed.tablet(1)
    moved = cadre.register_child(**at(third))  # a cadre's tablet may still name any post
    cadre.sync_until_quiet()
    assert cadre.outcomes() == ["applied"]
    staff.measure(moved, weight_g=9000)
    staff.edit_child(here, **at(third))
    staff.sync_until_quiet()
    assert staff.outcomes()[3:] == ["quarantined"] * 2
    assert (staff.reasons(4), staff.reasons(5)) == ([FOREIGN], [FOREIGN])
    installed.check_agreement(cadre)


# -- posts given and taken --------------------------------------------------------------------------


def test_a_post_that_is_taken_is_wiped_and_only_that(installed: District) -> None:
    first, second = installed.posts
    one, two, staff = installed.tablet(0), installed.tablet(1), installed.staff_tablet(first, second)
    stays, goes = one.register_child(), two.register_child()
    two.measure(goes, weight_g=9000)
    one.sync_until_quiet()
    two.sync_until_quiet()
    staff.sync_until_quiet()
    assert held(staff) == {stays, goes}
    staff.measure(goes, "2026-03-04", weight_g=8800)  # waits for a signal
    staff.measure(stays, "2026-03-04", weight_g=7800)
    installed.give_posts(staff, first)
    staff.sync_until_quiet()
    assert held(staff) == {stays}
    assert staff.outcomes() == ["quarantined", "applied"]  # nothing is lost: a person decides
    assert staff.reasons(1) == [FOREIGN]
    assert staff.replica.cursors.keys() == {first}
    one.sync_until_quiet()
    installed.check_agreement(one, two)
    installed.give_posts(staff, first, second)
    staff.sync_until_quiet()
    assert held(staff) == {stays, goes}
    assert set(installed.actions(f"post/{second}")) >= {"tablet.post-given", "tablet.post-taken"}
    assert installed.actions(f"post/{second}").count("tablet.post-given") == 2


def test_a_batch_that_meets_the_taking_of_a_post_is_judged_by_what_stands_then(installed: District) -> None:
    first, second = installed.posts
    two, staff = installed.tablet(1), installed.staff_tablet(first, second)
    child = two.register_child()
    two.sync_until_quiet()
    staff.sync_until_quiet()
    staff.measure(child, weight_g=9000)
    message = staff.next_message()
    installed.give_posts(staff, first)
    answer = staff.send(message)
    assert answer["receipt"]["items"][0][1] == "quarantined"
    assert second not in pages(answer)


def test_posts_are_refused_by_name(installed: District) -> None:
    first, second = installed.posts
    staff, cadre = installed.staff_tablet(first), installed.tablet(0)
    many = [installed.add_post(f"Kenanga {number}") for number in range(10)]
    close(installed, many[0])
    for tablet, posts, code in (
        (cadre, (first, second), "one-post-only"),
        (staff, (second,), "post-stays"),
        (staff, (first, *many), "list-length"),
        (staff, (first, many[0]), "post-closed"),
        (staff, (first, installed.new_id()), "post-unknown"),
    ):
        with pytest.raises(Problem) as refused:
            installed.give_posts(tablet, *posts)
        assert [reason["code"] for reason in refused.value.details["reasons"]] == [code]
    installed.give_posts(staff, first, *many[1:])
    staff.sync()
    assert len(staff.answers[-1]["posts"]) == 10


def close(district: District, post: str) -> None:
    scope = Scope.whole_district(district.hub, shows_names=True)
    with district.hub.database.transaction() as session:
        manage_posts.close(session, district.hub, scope, post, actor="operator", now=district.clock.now)


def test_a_tablet_is_told_that_a_post_was_closed_or_renamed_and_keeps_it(installed: District) -> None:
    first, second = installed.posts
    staff = installed.staff_tablet(first, second)
    scope = Scope.whole_district(installed.hub, shows_names=True)
    close(installed, second)
    with installed.hub.database.transaction() as session:
        manage_posts.rename(
            session, installed.hub, scope, first, "Melati Baru", actor="operator", now=installed.clock.now
        )
    child = staff.register_child(**at(second))  # what it holds still arrives
    staff.sync()
    assert staff.outcomes() == ["applied"]
    assert staff.answers[-1]["posts"] == [
        {"id": first, "name": "Melati Baru"},
        {"id": second, "name": "Anggrek 2", "closed": True},
    ]
    assert staff.replica.homes[child] == second


# -- revoked, cloned, restored, carried -------------------------------------------------------------


def test_a_revoked_tablet_is_told_of_no_posts_and_keeps_nothing_by_itself(installed: District) -> None:
    staff = installed.staff_tablet(*installed.posts)
    child = staff.register_child()
    staff.sync_until_quiet()
    installed.revoke(staff)
    staff.measure(child, weight_g=9000)
    staff.sync()
    assert "posts" not in staff.answers[-1]
    assert staff.reasons(2) == ["tablet-revoked"]


def test_a_new_enrolment_keeps_the_posts(installed: District) -> None:
    first, second = installed.posts
    two, staff = installed.tablet(1), installed.staff_tablet(first, second)
    child = two.register_child()
    two.sync_until_quiet()
    staff.sync_until_quiet()
    copied = staff.clone()
    staff.sync()
    copied.measure(child, weight_g=9000)
    assert any(isinstance(event, NewEpochRequired) for event in copied.sync())
    copied.enrol_anew()
    assert [post["id"] for post in copied.replica.posts] == [first, second]
    assert held(copied) == {child}  # shown until the first page comes
    copied.sync_until_quiet()
    assert copied.outcomes() == ["applied"]
    two.sync_until_quiet()
    installed.check_agreement(copied, two)


def test_everything_is_pulled_again_after_the_server_was_restored(installed: District) -> None:
    first, second = installed.posts
    one, two, staff = installed.tablet(0), installed.tablet(1), installed.staff_tablet(first, second)
    one.register_child()
    one.sync_until_quiet()
    backup = installed.back_up()
    two.register_child()
    two.sync_until_quiet()
    staff.register_child(**at(second))
    staff.sync_until_quiet()
    installed.restore(backup)
    staff.sync_until_quiet()
    installed.settle(one, two, staff)
    assert len(held(staff)) == 3


def test_a_carried_batch_of_several_posts_has_a_receipt_and_no_pages(installed: District) -> None:
    first, second = installed.posts
    staff = installed.staff_tablet(first, second)
    staff.register_child(**at(second))
    carried = staff.replica.carried_batches(installed.new_id, installed.clock.text())
    assert [len(batch["changes"]) for batch in carried if "cursors" not in batch] == [1]
    staff.carry()
    assert set(staff.answers[-1]) == {"protocol", "incarnation", "token", "server_time", "receipt", "pull"}
    assert staff.outcomes() == ["applied"]
    staff.sync_until_quiet()
    installed.check_agreement(staff)


def test_a_device_that_only_sends_may_have_several_posts_and_gets_nothing(installed: District) -> None:
    from server.crypto.vault import SigningKey
    from sync_protocol import Replica

    first, second = installed.posts
    key = SigningKey()
    scale_id = installed.enrol(key, first, "Timbangan", write_only=True, posts=[second])
    scale = FakeTablet(
        installed, key, Replica(DISTRICT, scale_id, first, "timbangan 1", posts=installed.posts_of(scale_id))
    )
    two = installed.tablet(1)
    child = two.register_child()
    two.sync_until_quiet()
    scale.measure(child, weight_g=9000)
    scale.sync_until_quiet()
    assert scale.outcomes() == ["applied"]
    assert not {"posts", "pulls"} & set(scale.answers[-1])
    assert held(scale) == set()


# -- at random --------------------------------------------------------------------------------------


class Walk:
    """A tablet of staff among cadres' tablets at four posts, while posts are given and taken and children move."""

    def __init__(self, district: District, seed: int) -> None:
        self.district, self.rng = district, random.Random(seed)
        self.posts = [*district.posts, district.add_post("Mawar 3"), district.add_post("Kenanga 4")]
        self.cadres = [self._cadre(post) for post in self.posts]
        self.staff = district.staff_tablet(self.posts[0], self.posts[1])
        self.has = set(self.posts[:2])
        self.children: list[str] = []
        self.refused = self.taken = 0

    def _cadre(self, post: str) -> FakeTablet:
        from server.crypto.vault import SigningKey
        from sync_protocol import Replica

        key = SigningKey()
        return FakeTablet(
            self.district, key, Replica(DISTRICT, self.district.enrol(key, post), post, "posyandu-sync/0.1.0")
        )

    def step(self) -> None:
        acts = [self.cadre_registers, self.cadre_measures, self.cadre_moves, self.staff_registers]
        acts += [
            self.staff_measures,
            self.staff_measures,
            self.staff_moves,
            self.change_posts,
            self.sync_staff,
        ]
        self.rng.choice(acts)()
        self.district.clock.advance(minutes=1)

    def cadre_registers(self) -> None:
        cadre = self.rng.choice(self.cadres)
        self.children.append(cadre.register_child(**at(cadre.replica.post_id)))
        cadre.sync_until_quiet()

    def cadre_measures(self) -> None:
        cadre = self.rng.choice(self.cadres)
        cadre.sync_until_quiet()
        if mine := sorted(held(cadre)):
            cadre.measure(self.rng.choice(mine), self._day(), weight_g=9000)
            cadre.sync_until_quiet()

    def cadre_moves(self) -> None:
        cadre = self.rng.choice(self.cadres)
        cadre.sync_until_quiet()
        if mine := sorted(held(cadre)):
            cadre.edit_child(self.rng.choice(mine), **at(self.rng.choice(self.posts)))
            cadre.sync_until_quiet()

    def staff_registers(self) -> None:
        named = {} if self.rng.random() < 0.3 else at(self.rng.choice(self.posts))
        self.children.append(self.staff.register_child(**named))

    def staff_measures(self) -> None:
        """Also of children whom she does not hold: by the id on a sticker, say, or with a program of her own."""
        if self.children:
            self.staff.measure(self.rng.choice(self.children), self._day(), weight_g=9100)

    def staff_moves(self) -> None:
        if self.children:
            self.staff.edit_child(self.rng.choice(self.children), **at(self.rng.choice(self.posts)))

    def change_posts(self) -> None:
        self.has = {self.posts[0], *self.rng.sample(self.posts[1:], self.rng.randint(0, 3))}
        self.district.give_posts(self.staff, *self.has)

    def _day(self) -> str:
        return f"2026-03-0{self.rng.randint(1, 5)}"

    def sync_staff(self) -> None:
        reach = self.within_reach()
        unanswered = len(self.staff.replica.unanswered())
        before = len(self.staff.replica.log) - unanswered
        if self.rng.random() < 0.2:
            self.staff.lose_answer()
        self.staff.sync()
        self.check_pages(self.staff.answers[-1])
        self.check_outcomes(before, reach)
        assert set(self.staff.replica.homes.values()) <= self.has
        assert held(self.staff) == set(self.staff.replica.homes)

    def within_reach(self) -> set[str]:
        """Give the children who are at one of her posts, or have left one of them."""
        rows = self.district.rows(select(Child.id, Child.post_id)) + self.district.rows(
            select(PostExit.child_id, PostExit.post_id)
        )
        known = {row[0] for row in self.district.rows(select(Child.id))}
        new = set(self.children) - known
        return new | {child for child, post in rows if post in self.has}

    def check_pages(self, answer: dict[str, Any]) -> None:
        homes = dict(self.district.rows(select(Child.id, Child.post_id)))
        for page in answer["pulls"]:
            assert page["post"] in self.has
            drawers = (page["measurements"], page["follow_ups"], page["deliveries"])
            named = ids(page["children"]).union(*drawers)
            assert {homes[child] for child in named} <= {page["post"]}

    def check_outcomes(self, before: int, reach: set[str]) -> None:
        for entry in self.staff.replica.log[before:]:
            if entry.item is None:
                continue
            child = entry.change.key.get("child", entry.change.record_id)
            post = entry.change.registers.get("post", {}).get("post", self.posts[0])
            allowed = child in reach and post in self.has
            refused = FOREIGN in [reason["code"] for reason in entry.item.reasons]
            self.taken, self.refused = self.taken + (not refused), self.refused + refused
            assert refused is not allowed


@pytest.mark.parametrize("seed", range(4))
def test_it_never_gets_or_writes_of_a_post_that_it_does_not_have(installed: District, seed: int) -> None:
    walk = Walk(installed, seed)
    for _ in range(60):
        walk.step()
    walk.staff.sync_until_quiet()
    shown = set(walk.staff.replica.base)
    stored = {ref for ref, (post, _) in installed.stored().items() if post in walk.has}
    assert shown == stored
    assert walk.taken > 5
    assert walk.refused > 2
    assert installed.broken_log() == []


def test_children_of_a_tablet_that_gets_more_posts_are_of_its_first(installed: District) -> None:
    """Before that it pulled one post alone, and kept no note of where a child came from."""
    first, second = installed.posts
    one = installed.tablet(0)
    children = {one.register_child(), one.register_child()}
    one.sync_until_quiet()
    posts = [{"id": first, "name": "Melati 1"}, {"id": second, "name": "Melati 2"}]
    new = one.replica.enrol_anew(installed.new_id(), len(one.replica.log), posts)
    assert new.homes == dict.fromkeys(children, first)
