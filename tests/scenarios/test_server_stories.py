"""Twelve stories of a server that was restored from a backup, and of months without a signal.

What devices still have they send again, and what the office had decided since is asked again. Each story ends with
`settle`: ledger, tables and every screen are the same, byte for byte.
"""

import time
from collections.abc import Callable

import pytest

from server.crypto.vault import SigningKey
from server.errors import Problem
from tests.scenarios._office import move, open_page
from tests.server._district import Clock, District, FakeTablet, identity

ON = "2026-03-05"
NINE = {"weight_g": 9000, "oedema": None}


def test_story_a_decision_of_the_office_is_lost_and_asked_again(installed: District) -> None:
    one, two, child = two_tablets(installed)
    one.measure(child, weight_g=9000)
    two.measure(child, weight_g=9400)
    installed.settle(one, two)
    backup = installed.back_up()
    open_page(installed, child, ON).save(weight=NINE)
    installed.settle(one, two)
    assert "conflict" not in installed.flags(child)
    installed.restore(backup)
    installed.settle(one, two)
    assert "conflict" in installed.flags(child)
    open_page(installed, child, ON).save(weight=NINE)
    installed.settle(one, two)
    assert two.state(child, ON).value("weight") == NINE


def test_story_a_lost_decision_was_seen_and_written_over(installed: District) -> None:
    one, two, child = two_tablets(installed)
    backup = installed.back_up()
    open_page(installed, child).save(birth={"weight_g": 3000})
    one.sync_until_quiet()
    one.edit_child(child, birth={"weight_g": 3100})  # over a decision that the server is about to forget
    installed.restore(backup)
    installed.settle(one, two)
    assert two.state(child).value("birth") == {"weight_g": 3100}
    assert two.state(child).incomplete
    assert "incomplete" in installed.flags(child)


def test_story_the_office_uses_a_number_twice(installed: District) -> None:
    one, two, child = two_tablets(installed)
    backup = installed.back_up()
    open_page(installed, child).save(birth={"weight_g": 3000})
    one.sync_until_quiet()
    one.edit_child(
        child, birth={"weight_g": 3100}
    )  # has seen the office's first change, not the one that follows
    installed.restore(backup)
    open_page(installed, child).save(birth={"weight_g": 3200})
    installed.settle(one, two)
    values = [s.value["weight_g"] for s in two.state(child).registers["birth"]]
    assert sorted(values) == [3100, 3200]


def test_story_a_page_stays_open_while_the_server_is_restored(installed: District) -> None:
    one, two, child = two_tablets(installed)
    backup = installed.back_up()
    one.measure(child, weight_g=9400)
    installed.settle(one, two)
    page = open_page(installed, child, ON)
    installed.restore(backup)
    page.save(weight=NINE)  # over the 9,400 that only the tablet still has
    installed.settle(one, two)
    assert two.state(child, ON).value("weight") == NINE


def test_story_the_server_is_restored_twice(installed: District) -> None:
    one, two, child = two_tablets(installed)
    older = installed.back_up()
    one.measure(child, "2026-01-05", weight_g=8800)
    installed.settle(one, two)
    newer = installed.back_up()
    two.measure(child, "2026-02-05", weight_g=8900)
    installed.settle(one, two)
    for backup in (newer, older):
        installed.restore(backup)
        one.measure(child, ON, weight_g=9000)
        installed.settle(one, two)
    assert len(two.shown()) == 4


def test_story_the_server_is_restored_while_a_batch_waits_for_its_answer(installed: District) -> None:
    one, two, child = two_tablets(installed)
    backup = installed.back_up()
    one.measure(child, weight_g=9000)
    one.lose_answer()
    installed.restore(backup)
    installed.settle(one, two)
    assert one.outcomes() == ["applied", "applied"]
    assert installed.counts()["measurement"] == 1


def test_story_the_server_forgets_that_a_tablet_was_enrolled(installed: District) -> None:
    one, _, child = two_tablets(installed)
    backup = installed.back_up()
    late = installed.tablet()
    late.sync_until_quiet()
    late.measure(child, weight_g=9000)
    installed.settle(late, one)
    installed.restore(backup)
    readmit(installed, late)
    installed.settle(late, one)
    assert one.state(child, ON).value("weight") == NINE


def test_story_the_server_forgets_that_a_tablet_was_revoked(installed: District) -> None:
    one, two, child = two_tablets(installed)
    backup = installed.back_up()
    installed.revoke(one)
    one.measure(child, weight_g=9000)
    one.sync()
    assert one.outcomes()[-1] == "quarantined"
    installed.restore(backup)
    installed.settle(one, two)
    assert one.outcomes()[-1] == "applied"
    installed.revoke(one)
    one.measure(child, weight_g=9100)
    one.sync()
    assert one.outcomes()[-1] == "quarantined"


def test_story_the_server_forgets_that_a_child_moved(installed: District) -> None:
    (old, _, child), new = two_tablets(installed), installed.tablet(1)
    backup = installed.back_up()
    move(installed, child, 1)
    installed.settle(old, new)
    new.measure(child, weight_g=9000)
    installed.settle(old, new)
    installed.restore(backup)
    installed.settle(old, new)
    assert new.shown() == {}
    assert old.state(child, ON).value("weight") == NINE


def test_story_server_and_tablet_are_both_restored(installed: District) -> None:
    one, two, child = two_tablets(installed)
    backup, older = installed.back_up(), one.clone()
    one.measure(child, weight_g=8800)
    installed.settle(one, two)
    two.measure(child, weight_g=9000)  # has seen the 8,800, which nobody else will ever bring again
    installed.restore(backup)
    older.measure(child, weight_g=9400)  # under the number that the 8,800 had
    installed.settle(older, two)
    weights = [s.value["weight_g"] for s in two.state(child, ON).registers["weight"]]
    assert sorted(weights) == [9000, 9400]


def test_story_a_cloned_tablet_still_has_what_a_restored_server_forgot(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.sync_until_quiet()
    backup, second = installed.back_up(), tablet.clone()
    tablet.measure(child, weight_g=9000)
    installed.settle(tablet)
    assert "waiting" not in tablet.outcomes()
    installed.settle(
        second, tablet
    )  # both enrol anew; the server holds the 9,000, so nobody numbers it again
    installed.restore(backup)
    for device in (tablet, second):
        readmit(installed, device)
    installed.settle(tablet, second)
    assert tablet.state(child, ON).value("weight") == NINE


def test_story_three_months_offline_with_clocks_two_years_apart(
    installed: District, record_property: Callable[[str, object], None]
) -> None:
    one, two = installed.tablet(), installed.tablet()
    children = [one.register_child(identity=identity(name=f"Anak Contoh {n}")) for n in range(20)]
    installed.settle(one, two)
    three_months_of_work(installed.clock, one, two, children)
    changes = len(one.replica.unanswered()) + len(two.replica.unanswered())
    installed.clock.advance(days=92)
    start, before = time.perf_counter(), installed.counts()["batch"]
    installed.settle(one, two)
    seconds = time.perf_counter() - start
    batches = installed.counts()["batch"] - before
    told = f"{changes} changes of two tablets, clocks two years apart: {batches} batches, {seconds:.2f} s"
    record_property("converged", told)
    assert changes == 300
    assert len(one.shown()) == 20 + 20 * 6
    same_day = one.state(children[0], "2026-01-05")
    assert sorted(s.value["weight_g"] for s in same_day.registers["weight"]) == [8100, 8110]


def three_months_of_work(clock: Clock, one: FakeTablet, two: FakeTablet, children: list[str]) -> None:
    """Let two tablets write 150 changes each, one of them with a clock two years ahead: 120 measurements, of which the 20 of
    each month's fifth day are of the same children, and 30 edits of the children themselves."""
    days = [f"2026-0{month}-{day:02d}" for month in (1, 2, 3) for day in (4, 5)]
    for tablet, years, extra_g in ((one, 0, 0), (two, 2, 10)):
        clock.advance(days=365 * years)
        for number, child in enumerate(children):
            for on in days:
                weight_g = 8000 + 100 * int(on[5:7]) + extra_g
                tablet.measure(child, on, weight_g=weight_g, length_mm=700 + 10 * int(on[5:7]))
            tablet.edit_child(child, parents={"mother": f"Ibu Contoh {number}"})
            if number < 10:
                tablet.edit_child(child, birth={"weight_g": 3000 + extra_g})
        clock.advance(days=-365 * years)


def readmit(district: District, tablet: FakeTablet) -> None:
    """Enrol a device that the server does not know any more, with a code from the health centre."""
    with pytest.raises(Problem, match="tablet-unknown"):
        tablet.sync()
    tablet.key = SigningKey()
    tablet.replica = tablet.replica.enrol_afresh(district.enrol(tablet.key))


def two_tablets(district: District) -> tuple[FakeTablet, FakeTablet, str]:
    """Give two tablets of the first post, both with a child of the first on their screens."""
    one, two = district.tablet(), district.tablet()
    child = one.register_child()
    district.settle(one, two)
    return one, two, child
