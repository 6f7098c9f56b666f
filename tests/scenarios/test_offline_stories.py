"""Thirty-five stories of tablets far from a signal, and of lines that fail (100 with those of the office, of devices that
are copied, of a server that is restored and of batches that are carried, in the files beside this one).

Each ends with `settle`: every tablet's screen, the server's tables and the fold of the ledger are the same, byte for byte.
The list follows the offline stories of ODK Central (in order, out of order, update before create, interleaved, …).
"""

import random

import pytest

from sync_protocol import NewEpochRequired, Receipt
from tests.server._district import District, FakeTablet, answered, identity, measured


def test_story_in_order(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, "2026-02-05", weight_g=8900, length_mm=740)
    tablet.measure(child, "2026-03-05", weight_g=9100, length_mm=750)
    installed.settle(tablet)
    assert tablet.outcomes() == ["applied", "applied", "applied"]


def test_story_months_out_of_order(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    for on in ("2026-03-05", "2026-01-05", "2026-02-05"):
        tablet.measure(child, on, weight_g=9000)
    installed.settle(tablet)
    assert [tablet.state(child, f"2026-0{month}-05").value("weight") for month in (1, 2, 3)] == [
        {"weight_g": 9000, "oedema": None}
    ] * 3


def test_story_update_before_create_when_a_batch_is_tried_out_of_order(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, weight_g=9000)
    late = tablet.clone()
    late.replica.sent_up_to = 1  # offers the measurement first
    before = installed.counts()
    answer = late.send(late.next_message())
    assert (answer["receipt"]["status"], answer["receipt"]["wanted"]) == ("gap", 1)
    after = installed.counts()
    assert {name for name in after if after[name] != before[name]} == {"audit_entry"}
    installed.settle(tablet)
    assert tablet.outcomes() == ["applied", "applied"]


def test_story_interleaved_edits_of_two_tablets(installed: District) -> None:
    one, two = installed.tablet(), installed.tablet()
    child = one.register_child()
    one.sync_until_quiet()
    two.sync_until_quiet()
    two.edit_child(child, parents={"mother": "Ibu Contoh"})
    two.sync_until_quiet()
    one.sync_until_quiet()
    one.edit_child(child, parents={"mother": "Ibu Contoh Dua"})
    installed.settle(one, two)
    assert two.state(child).value("parents") == {"mother": "Ibu Contoh Dua"}
    assert two.outcomes() + one.outcomes() == ["applied"] * 3


def test_story_concurrent_edits_of_different_registers_merge_silently(installed: District) -> None:
    one, two, child = two_tablets_that_know_a_child(installed)
    one.edit_child(child, parents={"mother": "Ibu Contoh"})
    two.edit_child(child, birth={"weight_g": 3100})
    installed.settle(one, two)
    assert two.outcomes() == ["merged"]
    assert one.state(child).conflicts == ()
    assert one.state(child).value("birth") == {"weight_g": 3100}


def test_story_concurrent_edits_of_one_register_keep_both(installed: District) -> None:
    one, two, child = two_tablets_that_know_a_child(installed)
    one.measure(child, weight_g=9000)
    two.measure(child, weight_g=9400)
    installed.settle(one, two)
    assert two.outcomes() == ["conflict"]
    weights = [s.value["weight_g"] for s in one.state(child, "2026-03-05").registers["weight"]]
    assert sorted(weights) == [9000, 9400]


def test_story_two_tablets_write_the_same_value(installed: District) -> None:
    one, two, child = two_tablets_that_know_a_child(installed)
    for tablet in (one, two):
        tablet.measure(child, weight_g=9000)
    installed.settle(one, two)
    (sibling,) = one.state(child, "2026-03-05").registers["weight"]
    assert [dot.actor for dot in sibling.dots] == sorted([one.id, two.id])
    assert two.outcomes() == ["merged"]


def test_story_a_cadre_settles_a_conflict_that_she_sees(installed: District) -> None:
    one, two, child = two_tablets_that_know_a_child(installed)
    one.measure(child, weight_g=9000)
    two.measure(child, weight_g=9400)
    installed.settle(one, two)
    one.measure(child, weight_g=9400)
    installed.settle(one, two)
    assert two.state(child, "2026-03-05").conflicts == ()
    assert "conflict" not in installed.flags(child)


def test_story_a_sibling_that_arrives_meanwhile_survives_the_settling(installed: District) -> None:
    one, two, child = two_tablets_that_know_a_child(installed)
    three = installed.tablet()
    three.sync_until_quiet()
    one.measure(child, weight_g=9000)
    two.measure(child, weight_g=9400)
    installed.settle(one, two)
    three.measure(child, weight_g=9600)  # has seen neither
    three.sync_until_quiet()
    one.measure(child, weight_g=9400)  # has not seen the third
    installed.settle(one, two, three)
    weights = [s.value["weight_g"] for s in two.state(child, "2026-03-05").registers["weight"]]
    assert sorted(weights) == [9400, 9600]


def test_story_an_old_form_is_saved_after_newer_news(installed: District) -> None:
    one, two, child = two_tablets_that_know_a_child(installed)
    form = one.replica.open_measurement(child, "2026-03-05")
    two.measure(child, weight_g=9400)
    two.sync_until_quiet()
    one.sync_until_quiet()  # the news is here, but the form was open before
    one.write(form, measured(weight_g=9000))
    installed.settle(one, two)
    assert one.outcomes()[-1] == "conflict"


def test_story_late_tablet_brings_what_was_already_overwritten(installed: District) -> None:
    one, two, child = two_tablets_that_know_a_child(installed)
    backup = installed.back_up()
    one.measure(child, weight_g=8800)
    installed.settle(one, two)
    two.measure(child, weight_g=9000)  # over the 8,800
    installed.restore(backup)
    two.sync_until_quiet()
    installed.settle(one, two)
    assert one.outcomes()[-1] == "superseded"
    assert one.state(child, "2026-03-05").value("weight") == {"weight_g": 9000, "oedema": None}


def test_story_repeated_when_the_answer_is_lost(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, weight_g=9000)
    first = tablet.lose_answer()
    again = tablet.send(tablet.next_message())
    assert again["receipt"] == first["receipt"]
    installed.settle(tablet)
    assert tablet.outcomes() == ["applied", "applied"]
    assert installed.counts()["change"] == 2


def test_story_partial_when_the_line_is_poor(installed: District) -> None:
    tablet, other = installed.tablet(), installed.tablet()
    children = [tablet.register_child() for _ in range(7)]
    for child in children:
        tablet.measure(child, weight_g=9000)
    tablet.sync(max_changes=3)
    other.sync_until_quiet()
    assert len(other.shown()) == 3
    tablet.sync_until_quiet(max_changes=2)
    installed.settle(tablet, other)
    assert len(other.shown()) == 14


def test_story_a_wrong_change_is_set_aside_and_the_rest_lands(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, "2026-02-05", weight_g=9)
    tablet.measure(child, "2026-03-05", weight_g=9000)
    installed.settle(tablet)
    assert tablet.outcomes() == ["applied", "quarantined", "applied"]
    assert tablet.reasons(2) == ["out-of-range"]
    assert [entry.change.dot.counter for entry in tablet.replica.in_question()] == [2]


def test_story_a_cadre_corrects_what_was_set_aside(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, weight_g=9)
    tablet.sync_until_quiet()
    tablet.measure(child, weight_g=9000)
    installed.settle(tablet)
    assert tablet.replica.in_question() == []
    assert tablet.state(child, "2026-03-05").value("weight") == {"weight_g": 9000, "oedema": None}


def test_story_a_slip_is_corrected_before_there_is_a_signal(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, weight_g=9)
    tablet.measure(child, weight_g=9000)
    installed.settle(tablet)
    assert tablet.outcomes() == ["applied", "quarantined", "applied"]
    assert "incomplete" not in installed.flags(child)
    assert not tablet.state(child, "2026-03-05").incomplete


def test_story_a_slip_beside_what_was_there_before_loses_nothing(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, weight_g=9000)
    tablet.sync_until_quiet()
    tablet.measure(child, length_mm=7)
    tablet.measure(child, length_mm=745)
    installed.settle(tablet)
    assert set(tablet.state(child, "2026-03-05").registers) == {"weight", "length"}


def test_story_a_removal_takes_the_measurement_away_everywhere(installed: District) -> None:
    one, two, child = two_tablets_that_know_a_child(installed)
    one.measure(child, weight_g=9000)
    installed.settle(one, two)
    two.remove(child, "2026-03-05")
    installed.settle(one, two)
    assert one.state(child, "2026-03-05").removed


def test_story_an_edit_unseen_by_the_remover_keeps_the_record(installed: District) -> None:
    one, two, child = two_tablets_that_know_a_child(installed)
    one.measure(child, weight_g=9000)
    installed.settle(one, two)
    one.remove(child, "2026-03-05")
    two.measure(child, length_mm=745)
    installed.settle(one, two)
    state = one.state(child, "2026-03-05")
    assert (state.removed, state.removal_contested) == (False, True)
    assert state.value("length") == {"length_mm": 745, "position": "lying"}


def test_story_a_removal_is_taken_back(installed: District) -> None:
    one, two, child = two_tablets_that_know_a_child(installed)
    one.measure(child, weight_g=9000)
    one.remove(child, "2026-03-05")
    installed.settle(one, two)
    two.remove(child, "2026-03-05", reason=None)
    installed.settle(one, two)
    assert not one.state(child, "2026-03-05").removed


def test_story_a_child_moves_to_another_post(installed: District) -> None:
    old, new = installed.tablet(0), installed.tablet(1)
    child = old.register_child()
    for on in ("2026-01-05", "2026-02-05"):
        old.measure(child, on, weight_g=9000)
    installed.settle(old, new)
    old.edit_child(child, post={"post": installed.posts[1]})
    installed.settle(old, new)
    assert old.shown() == {}
    assert len(new.shown()) == 3


def test_story_a_child_moves_away_and_comes_back(installed: District) -> None:
    old, new = installed.tablet(0), installed.tablet(1)
    child = old.register_child()
    old.measure(child, weight_g=9000)
    old.sync_until_quiet()
    old.edit_child(child, post={"post": installed.posts[1]})
    installed.settle(old, new)
    new.edit_child(child, post={"post": installed.posts[0]})
    fresh = installed.tablet(0)  # pulls from the start, and must not hear that the child left
    installed.settle(old, new, fresh)
    assert new.shown() == {}
    assert len(old.shown()) == len(fresh.shown()) == 2


def test_story_a_child_is_measured_at_the_old_post_after_it_moved(installed: District) -> None:
    old, new, late = installed.tablet(0), installed.tablet(1), installed.tablet(0)
    child = old.register_child()
    installed.settle(old, new, late)
    old.edit_child(child, post={"post": installed.posts[1]})
    old.sync_until_quiet()
    late.measure(child, weight_g=9000)
    installed.settle(old, new, late)
    assert late.outcomes() == ["applied"]
    assert new.state(child, "2026-03-05").value("weight") == {"weight_g": 9000, "oedema": None}


def test_story_two_posts_claim_one_child(installed: District) -> None:
    one, two, child = two_tablets_that_know_a_child(installed)
    far = installed.tablet(1)
    one.edit_child(child, post={"post": installed.posts[1]})
    two.edit_child(child, post={"post": installed.posts[0]})
    installed.settle(one, two, far)
    (state,) = [s for (kind, _), (_, s) in installed.stored().items() if kind == "child"]
    assert state.conflicts == ("post",)
    assert "conflict" in installed.flags(child)


def test_story_a_tablet_is_restored_from_an_old_backup(installed: District) -> None:
    tablet, other = installed.tablet(), installed.tablet()
    child = tablet.register_child()
    tablet.sync_until_quiet()
    backup = tablet.clone()
    tablet.measure(child, "2026-02-05", weight_g=8800)
    tablet.sync_until_quiet()
    backup.measure(child, "2026-03-05", weight_g=9000)  # numbers it 2 again
    installed.settle(backup, other)
    assert backup.id != tablet.id
    assert len(other.shown()) == 3


def test_story_a_restored_tablet_that_wrote_nothing_is_found_out(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.sync_until_quiet()
    backup = tablet.clone()
    tablet.measure(child, weight_g=9000)
    tablet.sync_until_quiet()
    assert isinstance(backup.sync()[0], NewEpochRequired)
    backup.enrol_anew()
    installed.settle(backup)
    assert len(backup.shown()) == 2


def test_story_a_cloned_tablet_loses_and_doubles_nothing(installed: District) -> None:
    first, other = installed.tablet(), installed.tablet()
    child = first.register_child()
    first.sync_until_quiet()
    second = first.clone()
    first.measure(child, weight_g=9000)
    second.measure(child, weight_g=9400)
    installed.settle(first, second, other)
    weights = [s.value["weight_g"] for s in other.state(child, "2026-03-05").registers["weight"]]
    assert sorted(weights) == [9000, 9400]


def test_story_the_server_is_restored_and_the_tablets_send_again(installed: District) -> None:
    one, two, child = two_tablets_that_know_a_child(installed)
    backup = installed.back_up()
    one.measure(child, "2026-02-05", weight_g=8800)
    installed.settle(one, two)
    two.measure(child, "2026-02-05", weight_g=8900)
    installed.settle(one, two)
    installed.restore(backup)
    installed.settle(one, two)
    assert one.state(child, "2026-02-05").value("weight") == {"weight_g": 8900, "oedema": None}
    assert not one.state(child, "2026-02-05").incomplete


def test_story_a_context_names_what_a_restored_server_lacks(installed: District) -> None:
    one, two, child = two_tablets_that_know_a_child(installed)
    backup = installed.back_up()
    one.measure(child, weight_g=8800)
    installed.settle(one, two)
    two.measure(child, weight_g=9000)  # has seen the 8,800 that the server is about to lose
    installed.restore(backup)
    two.sync_until_quiet()
    assert answered_last(two) == ["applied"]
    assert two.state(child, "2026-03-05").incomplete
    assert "incomplete" in installed.flags(child)
    installed.settle(one, two)
    assert not two.state(child, "2026-03-05").incomplete
    assert two.state(child, "2026-03-05").value("weight") == {"weight_g": 9000, "oedema": None}
    assert "incomplete" not in installed.flags(child)


def test_story_a_measurement_comes_before_its_child(installed: District) -> None:
    one, two = installed.tablet(), installed.tablet()
    backup = installed.back_up()
    child = one.register_child()
    installed.settle(one, two)
    two.measure(child, weight_g=9000, length_mm=745)
    installed.restore(backup)  # the child is gone, and two is the first to be back
    two.sync_until_quiet()
    assert answered_last(two) == ["applied"]
    assert "not_registered" in installed.flags(child)
    installed.settle(one, two)
    assert "not_registered" not in installed.flags(child)
    assert len(two.shown()) == 2


def test_story_a_revoked_tablet_is_kept_for_a_person_to_judge(installed: District) -> None:
    tablet, other = installed.tablet(), installed.tablet()
    child = tablet.register_child()
    installed.settle(tablet, other)
    installed.revoke(tablet)
    tablet.measure(child, weight_g=9000)
    tablet.sync()
    assert tablet.outcomes() == ["applied", "quarantined"]
    assert tablet.reasons(2) == ["tablet-revoked"]
    installed.settle(other)
    assert len(other.shown()) == 1


def test_story_another_device_carries_the_batch(installed: District) -> None:
    upriver = installed.tablet()
    child = upriver.register_child()
    upriver.measure(child, weight_g=9000)
    message = upriver.next_message()
    answer = installed.tablet().send(message)  # the midwife's phone brings it and the answer back
    assert answered(upriver.replica.receive(answer, installed.clock.text())) == ["applied", "applied"]
    installed.settle(upriver)


def test_story_the_health_centre_measures_again_on_the_same_day(installed: District) -> None:
    one, two, child = two_tablets_that_know_a_child(installed)
    one.measure(child, weight_g=6900, length_mm=745)
    two.measure(child, weight_g=9000, length_mm=745, source="staff")
    installed.settle(one, two)
    assert one.state(child, "2026-03-05").value("weight") == {"weight_g": 6900, "oedema": None}
    assert one.state(child, "2026-03-05", "staff").value("weight") == {"weight_g": 9000, "oedema": None}


def test_story_a_long_silence_and_then_everything_at_once(installed: District) -> None:
    upriver, other = installed.tablet(), installed.tablet()
    children = [upriver.register_child() for _ in range(30)]
    for month in range(1, 4):
        for child in children:
            upriver.measure(child, f"2026-0{month}-04", weight_g=8000 + 100 * month)
    installed.clock.advance(days=60)
    upriver.sync_until_quiet(max_changes=25)
    installed.settle(upriver, other)
    assert len(other.shown()) == 120


@pytest.mark.parametrize("seed", range(4))
def test_story_anything_may_happen(installed: District, seed: int) -> None:
    rng = random.Random(seed)
    tablets = [installed.tablet(), installed.tablet(), installed.tablet(1)]
    children = [tablets[0].register_child() for _ in range(3)]
    tablets[0].sync_until_quiet()
    for _ in range(40):
        tablet = rng.choice(tablets)
        child = rng.choice(children)
        rng.choice(HAPPENINGS)(rng, installed, tablet, child)
    installed.settle(*tablets)


def write_something(rng: random.Random, district: District, tablet: FakeTablet, child: str) -> None:
    on = f"2026-0{rng.randint(1, 3)}-01"
    what = rng.randrange(5)
    if what == 0:
        tablet.edit_child(child, identity=identity(birth_order=rng.randint(1, 3)))
    elif what == 1:
        tablet.edit_child(child, post={"post": rng.choice(district.posts)})
    elif what == 2:
        tablet.remove(child, on)
    else:
        tablet.measure(
            child, on, weight_g=rng.choice([9, 8800, 9000, 9200]), length_mm=rng.choice([740, 750])
        )


def sync_well(rng: random.Random, district: District, tablet: FakeTablet, child: str) -> None:
    tablet.sync_until_quiet(max_changes=rng.randint(1, 5))


def sync_badly(rng: random.Random, district: District, tablet: FakeTablet, child: str) -> None:
    tablet.lose_answer(max_changes=rng.randint(1, 5))


HAPPENINGS = (write_something, write_something, write_something, sync_well, sync_badly)


def two_tablets_that_know_a_child(district: District) -> tuple[FakeTablet, FakeTablet, str]:
    """Give two tablets of one post, both with a child of the first on their screens."""
    one, two = district.tablet(), district.tablet()
    child = one.register_child()
    one.sync_until_quiet()
    two.sync_until_quiet()
    return one, two, child


def answered_last(tablet: FakeTablet) -> list[str]:
    """Give the outcomes of the newest answers that had any."""
    receipts = [Receipt.from_wire(answer["receipt"]) for answer in tablet.answers]
    return [item.outcome.value for item in next(r for r in reversed(receipts) if r.items).items]
