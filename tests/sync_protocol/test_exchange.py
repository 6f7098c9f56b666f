"""Stories of tablets and a server: what each of the answers of design section 4 does to a tablet."""

import copy

import pytest

from sync_protocol import (
    Answered,
    Change,
    History,
    Item,
    LocalProtocolError,
    NewEpochRequired,
    Outcome,
    Pulled,
    Receipt,
    ReceiptStatus,
    RemoteProtocolError,
    Replica,
    Resending,
    canonical,
    fold,
)
from tests.builders import (
    AT,
    AUTHOR,
    CHILD,
    FOLLOW_UP,
    FOLLOW_UP_KEY,
    MEASURED_ON,
    MEASUREMENT,
    NONCE,
    TASK,
    length,
    make_replica,
    removal,
    result,
    task,
    weight,
)
from tests.sync_protocol._world import HEAVIEST_G, REFS, Device, Verdict, World

BABY, REF, DUTY = REFS[:3]
HOME = {"home": {"address": "Jalan Contoh 1"}}
WRONG = weight(HEAVIEST_G + 1)


TABLET_1 = World().devices[0].replica.tablet_id


def outcomes(device: Device) -> list[Outcome | None]:
    """Give what the server has said of each change in the tablet's log."""
    return [logged.item.outcome if logged.item else None for logged in device.replica.log]


def settled(world: World) -> Verdict:
    """Sync until quiet, check that all show the same, and ask the oracle."""
    world.settle()
    assert world.disagreements() == []
    return world.verdict()


def weights(device: Device) -> list[int]:
    """Give the weights that a tablet shows."""
    view = device.replica.view(REF)
    return [sibling.value["weight_g"] for sibling in view.registers["weight"]] if view else []


# -- writing and showing -------------------------------------------------------------------------------


def test_write_numbers_and_chains_the_changes_of_all_records() -> None:
    world = World()
    device = world.devices[0]
    changes = [world.edit(device, BABY, HOME), world.edit(device, REF, weight(8200))]
    assert [change.dot.counter for change in changes] == [1, 2]
    assert [logged.previous for logged in device.replica.log] == ["", changes[0].hash]
    assert device.replica.head == changes[1].entry


def test_context_is_what_stood_in_view_when_the_form_was_opened() -> None:
    world = World()
    device = world.devices[0]
    first = world.edit(device, REF, weight(8200))
    world.open(device, REF)
    world.edit(device, REF, weight(8300))
    late = world.save(device, length(700))
    assert late.context.entries == {first.dot.actor: first.entry}


def test_write_is_refused_when_nothing_is_set() -> None:
    replica = make_replica()
    with pytest.raises(LocalProtocolError) as caught:
        replica.write(replica.open_child(CHILD), {}, author=AUTHOR, recorded_at=AT, nonce=NONCE)
    assert caught.value.code == "nothing-set"
    assert replica.log == []


def test_view_is_none_when_the_record_is_unknown() -> None:
    assert make_replica().view(BABY) is None


def test_form_of_a_measurement_names_one_record_for_child_day_and_source() -> None:
    form = make_replica().open_measurement(CHILD, MEASURED_ON)
    assert (form.kind, form.record_id) == REF == ("measurement", MEASUREMENT)
    assert form.key == {"child": CHILD, "measured_on": MEASURED_ON, "source": "cadre"}


def test_form_of_a_follow_up_names_one_record_for_child_and_task() -> None:
    form = make_replica().open_follow_up(CHILD, TASK)
    assert (form.kind, form.record_id, form.key) == (*DUTY, FOLLOW_UP_KEY)
    assert form.record_id == FOLLOW_UP


def test_result_of_a_pulled_task_stands_beside_the_task() -> None:
    world = World()
    world.open_page(DUTY)
    world.save_page(task())
    world.sync(world.devices[0])
    world.edit(world.devices[0], DUTY, result())
    view = world.devices[0].replica.view(DUTY)
    assert view is not None
    assert (view.value("task"), view.value("result")) == (task()["task"], result()["result"])
    assert settled(world) == Verdict()


def test_results_of_two_tablets_at_once_both_stay() -> None:
    world = World()
    world.edit(world.devices[0], DUTY, task())
    world.settle()
    for device, outcome in zip(world.devices, ("done", "not_reached"), strict=False):
        world.edit(device, DUTY, result(outcome))
    assert settled(world) == Verdict()
    assert {s.value["outcome"] for s in world.server.states[DUTY].registers["result"]} == {
        "done",
        "not_reached",
    }


def test_view_shows_own_unsent_changes_over_what_was_pulled() -> None:
    world = World()
    world.edit(world.devices[0], REF, weight(8200))
    world.sync(world.devices[0])
    world.sync(world.devices[1])
    world.edit(world.devices[1], REF, weight(8300))
    assert weights(world.devices[1]) == [8300]
    assert weights(world.devices[0]) == [8200]


def test_view_keeps_the_dots_of_an_equal_value_that_was_not_seen() -> None:
    world = World()
    one, other = world.devices[:2]
    world.open(other, REF)
    unseen = world.edit(one, REF, weight(8200))
    world.sync(one)
    own = world.edit(other, REF, weight(8200))
    world.sync(other)
    later = world.save(other, weight(8300))
    world.sync(one)
    view = other.replica.view(REF)
    assert view is not None
    assert [s.dots for s in view.registers["weight"]] == [(unseen.dot, own.dot), (later.dot,)]
    assert world.wrong_views() == []


def test_view_replaces_only_the_seen_dot_of_an_equal_value() -> None:
    world = World()
    one, other = world.devices[:2]
    world.edit(other, REF, weight(8200))
    world.open(other, REF)
    unseen = world.edit(one, REF, weight(8200))
    world.sync(one)
    world.sync(other)
    later = world.save(other, weight(8300))
    view = other.replica.view(REF)
    assert view is not None
    assert [s.dots for s in view.registers["weight"]] == [(unseen.dot,), (later.dot,)]
    assert world.wrong_views() == []


def test_view_is_removed_when_this_tablet_removed_all_it_shows() -> None:
    world = World()
    device = world.devices[0]
    world.edit(device, REF, weight(8200))
    world.edit(device, REF, removal())
    view = device.replica.view(REF)
    assert view is not None
    assert view.removed
    assert world.wrong_views() == []


def test_view_shows_a_contested_removal_when_it_missed_an_edit() -> None:
    world = World()
    device = world.devices[0]
    world.edit(device, REF, weight(8200))
    world.open(device, REF)
    world.edit(device, REF, length(700))
    world.save(device, removal())
    view = device.replica.view(REF)
    assert view is not None
    assert (view.removed, view.removal_contested) == (False, True)
    assert world.wrong_views() == []


def test_view_stays_removed_when_this_tablet_removes_once_more() -> None:
    world = World()
    one, other = world.devices[:2]
    world.open(other, REF)
    world.edit(one, REF, weight(8200))
    world.edit(one, REF, removal())
    world.sync(one)
    world.sync(other)
    world.save(other, removal("ganda"))
    view = other.replica.view(REF)
    assert view is not None
    assert view.removed
    assert world.wrong_views() == []


def test_view_shows_a_contested_removal_when_this_tablet_edits_a_removed_record() -> None:
    world = World()
    one, other = world.devices[:2]
    world.edit(one, REF, weight(8200))
    world.edit(one, REF, removal())
    world.sync(one)
    world.sync(other)
    world.edit(other, REF, weight(8300))
    view = other.replica.view(REF)
    assert view is not None
    assert (view.removed, view.removal_contested) == (False, True)
    assert world.wrong_views() == []


# -- sending -------------------------------------------------------------------------------------------


def test_batch_is_the_same_bytes_until_it_is_answered() -> None:
    world = World()
    device = world.devices[0]
    world.edit(device, REF, weight(8200))
    first = canonical(device.replica.next_batch("batch-1", AT))
    world.edit(device, REF, weight(8300))
    assert canonical(device.replica.next_batch("batch-2", "later")) == first


def test_batch_holds_no_more_changes_than_the_limit() -> None:
    world = World()
    device = world.devices[0]
    for weight_g in range(8200, 8205):
        world.edit(device, REF, weight(weight_g))
    world.sync(device, limit=2)
    batch = device.replica.next_batch("batch", AT, max_changes=2)
    assert (batch["first"], len(batch["changes"])) == (3, 2)
    assert batch["previous"] == device.replica.log[1].change.hash


def test_batch_stays_under_the_limit_of_bytes_but_holds_one_change() -> None:
    world = World()
    device = world.devices[0]
    for number in range(3):
        world.edit(device, REF, {"note": {"text": str(number) * 1500}})
    assert len(device.replica.next_batch("batch", AT, max_bytes=6000)["changes"]) == 2
    device.replica.pending = None
    assert len(device.replica.next_batch("batch", AT, max_bytes=1)["changes"]) == 1


def test_changes_wait_until_the_receipt_has_come() -> None:
    world = World()
    device = world.devices[0]
    world.edit(device, REF, weight(8200))
    for cut in ("up", "down"):
        world.sync(device, cut=cut)
        assert len(device.replica.unanswered()) == 1
    world.sync(device)
    assert device.replica.unanswered() == []
    assert outcomes(device) == [Outcome.APPLIED]


def test_receipt_is_the_same_bytes_when_the_batch_is_sent_again() -> None:
    world = World()
    device = world.devices[0]
    world.edit(device, REF, weight(8200))
    batch = device.replica.next_batch("batch", AT)
    receipts = [canonical(world.server.exchange(batch)["receipt"]) for _ in range(3)]
    assert receipts == [receipts[0]] * 3
    assert len(world.server.histories[REF].changes) == 1


def test_change_is_a_duplicate_when_it_comes_in_another_batch() -> None:
    world = World()
    device = world.devices[0]
    world.edit(device, REF, weight(8200))
    world.carry(device, [1])
    before = world.server.states[REF].canonical()
    world.sync(device)
    assert outcomes(device) == [Outcome.DUPLICATE]
    assert world.server.states[REF].canonical() == before


def test_first_outcome_stays_when_a_duplicate_is_answered_later() -> None:
    world = World()
    device = world.devices[0]
    world.edit(device, REF, weight(8200))
    world.sync(device)
    device.replica.sent_up_to = 0
    world.sync(device)
    assert outcomes(device) == [Outcome.APPLIED]


def test_nothing_changes_when_the_receipt_is_of_another_batch() -> None:
    world = World()
    one, other = world.devices[:2]
    world.edit(one, REF, weight(8200))
    answer = world.server.exchange(one.replica.next_batch("batch-1", AT))
    before = copy.deepcopy(other.replica)
    for _ in ("no batch is pending", "another is"):
        with pytest.raises(RemoteProtocolError) as caught:
            other.replica.receive(answer, AT)
        assert caught.value.code == "receipt-foreign"
        assert other.replica == before
        other.replica.next_batch("batch-2", AT)
        before = copy.deepcopy(other.replica)


# -- gaps, and a server that was restored ---------------------------------------------------------------


def test_batch_is_answered_gap_when_it_starts_too_far_on() -> None:
    world = World()
    device = world.devices[0]
    for weight_g in (8200, 8300):
        world.edit(device, REF, weight(weight_g))
    device.replica.sent_up_to = 1
    assert world.sync(device)[0] == Resending(1)
    assert world.server.histories == {}
    assert settled(world) == Verdict()
    assert outcomes(device) == [Outcome.APPLIED, Outcome.APPLIED]


def test_tablet_sends_again_when_the_server_was_restored() -> None:
    world = World()
    device = world.devices[0]
    world.server_backup = world.server.saved()
    world.edit(device, REF, weight(8200))
    world.sync(device)
    world.restore_server()
    assert world.sync(device) == [Resending(1)]
    assert (outcomes(device), device.replica.cursor) == ([None], 0)
    assert settled(world) == Verdict()
    assert weights(world.devices[2]) == [8200]


def test_incomplete_mark_goes_when_the_tablet_has_sent_again() -> None:
    world = World()
    one, other = world.devices[:2]
    world.server_backup = world.server.saved()
    world.edit(one, REF, weight(8200))
    world.sync(one)
    world.sync(other)
    world.edit(other, REF, weight(8300))
    world.restore_server()
    world.sync(other)
    assert world.server.states[REF].incomplete
    assert settled(world) == Verdict()
    assert not world.server.states[REF].incomplete
    assert weights(one) == [8300]


def test_view_keeps_a_new_decision_when_it_bears_the_number_of_a_lost_one() -> None:
    world = World()
    device = world.devices[0]
    world.server_backup = world.server.saved()
    world.open_page(REF)
    world.save_page(weight(8200))
    world.sync(device)
    world.edit(device, BABY, HOME)
    world.edit(device, BABY, HOME)
    world.edit(device, REF, weight(8300))
    world.restore_server()
    world.open_page(REF)
    world.save_page(weight(9000))
    for _ in range(2):
        world.sync(device, limit=1)  # the weight still waits while the record is pulled
    assert weights(device) == [9000, 8300]
    assert settled(world) == Verdict()
    assert weights(device) == [9000, 8300]


def test_device_must_enrol_anew_when_the_server_lost_more_than_is_kept() -> None:
    world = World()
    device = world.devices[0]
    world.server_backup = world.server.saved()
    for weight_g in (8200, 8300):
        world.edit(device, REF, weight(weight_g))
        world.sync(device)
    assert device.replica.forget("9") == 1
    world.restore_server()
    assert world.sync(device) == [NewEpochRequired(1)]
    assert settled(world).lost == 0
    assert weights(world.devices[1]) == [8300]
    assert world.server.states[REF].incomplete  # the first is gone from everywhere, and the record says so


# -- restored and cloned tablets -------------------------------------------------------------------------


def test_clone_must_enrol_anew_when_the_other_was_first() -> None:
    world = World(devices=1)
    device = world.devices[0]
    world.edit(device, BABY, HOME)
    twin = world.clone(device)
    world.edit(device, REF, weight(8200))
    world.edit(twin, REF, weight(8300))
    world.sync(device)
    assert world.sync(twin) == [NewEpochRequired(3)]
    assert settled(world) == Verdict()
    assert sorted(weights(device)) == sorted(weights(twin)) == [8200, 8300]


def test_restored_tablet_must_enrol_anew_when_the_server_holds_more() -> None:
    world = World()
    device = world.devices[0]
    backup = copy.deepcopy(device)
    world.edit(device, REF, weight(8200))
    world.sync(device)
    world.devices[0] = backup
    assert isinstance(world.sync(backup)[-1], NewEpochRequired)
    assert settled(world) == Verdict()
    assert weights(backup) == [8200]


def test_clone_notices_the_other_when_a_stored_receipt_would_let_it_pull() -> None:
    world = World(devices=1)
    device = world.devices[0]
    world.sync(device, cut="down")  # an empty batch; both send it again, and get the stored receipt
    twin = world.clone(device)
    world.edit(device, REF, weight(8200))
    world.sync(device)
    world.sync(device)
    world.edit(twin, REF, weight(8300))
    assert world.sync(twin)[-1] == NewEpochRequired(1)
    assert weights(twin) == [8300]
    world.edit(twin, REF, weight(8400))
    assert settled(world) == Verdict()
    assert sorted(weights(device)) == [8200, 8400]


def test_clone_keeps_showing_its_own_changes_when_it_must_enrol_anew() -> None:
    world = World(devices=1)
    device = world.devices[0]
    twin = world.clone(device)
    world.edit(device, REF, weight(8200))
    world.sync(device)
    world.edit(twin, REF, weight(8300))
    answer = world.server.exchange(twin.replica.next_batch("batch", AT))
    assert answer["receipt"]["status"] == ReceiptStatus.NEW_EPOCH_REQUIRED.value
    twin.replica.receive(answer, AT)
    assert weights(twin) == [8300]


def test_enrolling_anew_gives_only_own_renumbered_changes_new_names() -> None:
    world = World(devices=2)
    device, other = world.devices
    foreign = world.edit(other, REF, weight(8100))
    world.sync(other)
    world.sync(device)
    held = world.edit(device, REF, weight(8200))
    world.edit(device, REF, length(700))
    world.edit(device, REF, length(710))
    new = device.replica.enrol_anew("anew", common=1)
    first, second = (logged.change for logged in new.log)
    assert first.context.entries == {foreign.dot.actor: foreign.entry, TABLET_1: held.entry}
    assert second.context.entries == {**first.context.entries, "anew": first.entry}
    assert [change.dot for change in (first, second)] == [("anew", 1), ("anew", 2)]


def test_enrolling_anew_drops_the_old_name_when_the_server_holds_nothing_under_it() -> None:
    world = World()
    device = world.devices[0]
    for weight_g in (8200, 8300):
        world.edit(device, REF, weight(weight_g))
    new = device.replica.enrol_anew("anew", common=0)
    assert new.log[1].change.context.entries == {"anew": new.log[0].change.entry}


def test_enrolling_anew_keeps_the_old_name_when_only_forgotten_changes_bear_it() -> None:
    world = World()
    device = world.devices[0]
    first = world.edit(device, REF, weight(8200))
    world.sync(device)
    world.edit(device, BABY, HOME)
    world.sync(device)
    assert device.replica.forget("9") == 1
    for weight_g in (8300, 8400):
        world.edit(device, REF, weight(weight_g))
    new = device.replica.enrol_anew("anew", common=2)
    assert [dict(logged.change.context) for logged in new.log] == [
        {TABLET_1: first.entry},
        {TABLET_1: first.entry, "anew": new.log[0].change.entry},
    ]


# -- quarantine ------------------------------------------------------------------------------------------


def test_refused_change_leaves_the_view_and_is_asked_about_until_corrected() -> None:
    world = World()
    device = world.devices[0]
    world.edit(device, REF, weight(8200))
    refused = world.edit(device, REF, WRONG)
    world.edit(device, BABY, HOME)
    world.sync(device)
    assert weights(device) == [8200]
    assert [logged.change for logged in device.replica.in_question()] == [refused]
    world.edit(device, REF, weight(8300))
    assert device.replica.in_question() == []
    assert settled(world) == Verdict()
    assert weights(world.devices[1]) == [8300]


def test_rest_of_the_batch_goes_on_when_one_change_is_refused() -> None:
    world = World()
    device = world.devices[0]
    for registers in (weight(8200), WRONG, length(700)):
        world.edit(device, REF, registers)
    world.sync(device)
    assert outcomes(device) == [Outcome.APPLIED, Outcome.QUARANTINED, Outcome.APPLIED]
    assert not world.server.states[REF].incomplete
    assert settled(world) == Verdict()


def test_refused_change_stays_refused_when_a_restored_tablet_sends_it_again() -> None:
    world = World()
    device = world.devices[0]
    world.edit(device, REF, WRONG)
    backup = copy.deepcopy(device)
    world.sync(device)
    world.devices[0] = backup
    world.sync(backup)
    assert outcomes(backup) == [Outcome.QUARANTINED]
    assert backup.replica.view(REF) is None


# -- pulling and forgetting -------------------------------------------------------------------------------


def test_pull_goes_on_from_the_cursor_when_there_is_more() -> None:
    world = World()
    world.edit(world.devices[0], BABY, HOME)
    world.edit(world.devices[0], REF, weight(8200))
    world.sync(world.devices[0])
    pulls = [world.sync(world.devices[1], page=1)[1] for _ in range(3)]
    assert pulls == [Pulled((BABY,), (), True), Pulled((REF,), (), False), Pulled((), (), False)]


def test_child_goes_with_all_that_is_its_own_when_it_left_the_post() -> None:
    world = World()
    device, reader = world.devices[:2]
    world.edit(device, BABY, HOME)
    world.edit(device, REF, weight(8200))
    world.edit(device, DUTY, task())
    world.sync(device)
    world.sync(reader)
    assert reader.replica.base.keys() == {BABY, REF, DUTY}
    answer = world.server.exchange(reader.replica.next_batch("batch", AT))
    answer["pull"]["left"] = [CHILD]
    assert reader.replica.receive(answer, AT)[1] == Pulled((), (CHILD,), False)
    assert reader.replica.base == {}


def test_forget_keeps_everything_while_a_restored_server_is_pulled_from_again() -> None:
    world = World()
    device = world.devices[0]
    world.edit(device, BABY, HOME)
    first = world.edit(device, REF, weight(8200))
    world.edit(device, DUTY, task())
    world.sync(device)
    world.server_backup = world.server.saved()
    world.restore_server()
    world.sync(device)
    world.sync(device, page=1)  # and the line is lost: the second record shows from nowhere but the log
    assert device.replica.forget("9") == 0
    assert weights(device) == [first.registers["weight"]["weight_g"]]
    world.sync(device)
    assert device.replica.forget("9") == 2


def test_forget_drops_only_what_was_acknowledged_before_that_day() -> None:
    world = World()
    device = world.devices[0]
    changes = [world.edit(device, REF, weight(8200)), world.edit(device, REF, length(700))]
    world.sync(device)
    limit = device.replica.log[0].acknowledged_at or ""
    changes += [world.edit(device, REF, weight(8300)), world.edit(device, REF, weight(8400))]
    world.sync(device)
    assert device.replica.forget(limit) == 0
    assert device.replica.forget(limit + "~") == 2
    assert [logged.change for logged in device.replica.log] == changes[2:]
    assert device.replica.head == changes[3].entry


def test_forget_keeps_what_waits_and_always_the_newest() -> None:
    world = World()
    device = world.devices[0]
    world.edit(device, REF, weight(8200))
    world.sync(device)
    assert device.replica.forget("9") == 0
    for weight_g in (8300, 8400):
        world.edit(device, REF, weight(weight_g))
    assert device.replica.forget("9") == 1
    assert [logged.item for logged in device.replica.log] == [None, None]


def test_forget_keeps_what_no_pull_has_shown_yet() -> None:
    world = World()
    device = world.devices[0]
    world.edit(device, BABY, HOME)
    for weight_g in (8200, 8300):
        world.edit(device, REF, weight(weight_g))
    world.sync(device, page=1)
    assert device.replica.forget("9") == 0
    world.sync(device)
    assert device.replica.forget("9") == 2
    assert weights(device) == [8300]


def test_numbers_go_on_when_changes_were_forgotten() -> None:
    world = World()
    device = world.devices[0]
    for weight_g in (8200, 8300):
        world.edit(device, REF, weight(weight_g))
    world.sync(device)
    device.replica.forget("9")
    change = world.edit(device, REF, weight(8400))
    assert (change.dot.counter, weights(device)) == (3, [8400])
    assert settled(world) == Verdict()
    assert outcomes(device) == [Outcome.APPLIED, Outcome.APPLIED]


def test_answer_says_what_became_of_each_change() -> None:
    world = World()
    device = world.devices[0]
    world.edit(device, REF, weight(8200))
    answered, pulled = world.sync(device)
    assert isinstance(answered, Answered)
    assert [(item.counter, item.outcome) for item in answered.receipt.items] == [(1, Outcome.APPLIED)]
    assert pulled == Pulled((REF,), (), False)


# -- enrolments that came before --------------------------------------------------------------------


def replica(tablet_id: str = "t0") -> Replica:
    return Replica("64.02", tablet_id, "p", "uji/1")


def put(tablet: Replica, weight_g: int) -> Change:
    """Save a weight of the one record, as it stands on the screen."""
    form = tablet.open_measurement("c", "2026-01-05")
    value = {"weight": {"weight_g": weight_g, "oedema": None}}
    return tablet.write(form, value, author="a", recorded_at=AT, nonce=f"{tablet.tablet_id}/{weight_g}")


def acknowledge(tablet: Replica) -> None:
    """Let the server take all that waits, and publish nothing."""
    batch = tablet.next_batch("b", AT)
    counters = range(batch["first"], batch["first"] + len(batch["changes"]))
    receipt = Receipt("b", ReceiptStatus.ACCEPTED, 1, tuple(Item(n, Outcome.APPLIED) for n in counters))
    pull = {"cursor": 0, "more": False, "children": [], "measurements": {}, "follow_ups": {}}
    pull |= {"deliveries": {}, "left": []}
    tablet.receive({"incarnation": "i", "token": "", "receipt": receipt.wire(), "pull": pull}, AT)


def live(tablet: Replica) -> list[int]:
    state = fold(History(tuple(logged.change for logged in tablet.log)))
    return sorted(sibling.value["weight_g"] for sibling in state.registers["weight"])


def test_enrolling_afresh_numbers_again_what_a_closed_enrolment_had_delivered() -> None:
    tablet = replica()
    put(tablet, 9000)
    acknowledge(tablet)
    second = tablet.enrol_anew("t1", 1)
    assert second.log == []
    third = second.enrol_afresh("t2")
    assert [(e.change.dot, e.change.nonce) for e in third.log] == [(("t2", 1), "t0/9000")]


def test_enrolling_afresh_keeps_what_was_seen_as_seen() -> None:
    tablet = replica()
    put(tablet, 9000)
    put(tablet, 9100)
    assert live(tablet.enrol_afresh("t1")) == [9100]


def test_enrolling_afresh_claims_nothing_of_a_closed_enrolment_that_was_not_in_view() -> None:
    tablet = replica()
    put(tablet, 9000)
    acknowledge(tablet)
    second = tablet.enrol_anew("t1", 1)  # the server has not published the 9,000: this screen shows nothing
    put(second, 9100)
    put(second, 9200)
    assert live(second) == [9200]
    assert 9000 in live(second.enrol_afresh("t2"))


def test_what_a_closed_enrolment_had_delivered_is_forgotten_in_time() -> None:
    tablet = replica()
    put(tablet, 9000)
    acknowledge(tablet)
    second = tablet.enrol_anew("t1", 1)
    second.forget(AT)
    assert len(second.past) == 1
    second.forget("2100-01-01T00:00:00Z")
    assert second.past == []


def test_carried_receipt_is_taken_when_some_of_its_changes_are_forgotten() -> None:
    tablet = replica()
    put(tablet, 9000)
    put(tablet, 9100)
    (letter,) = tablet.carried_batches(lambda: "letter", AT)
    acknowledge(tablet)
    tablet.forget("2100-01-01T00:00:00Z")
    assert tablet.forgotten == 1
    items = (Item(1, Outcome.APPLIED), Item(2, Outcome.APPLIED))
    receipt = Receipt(letter["batch"], ReceiptStatus.ACCEPTED, 3, items)
    assert isinstance(tablet.receive_carried(receipt, AT), Answered)
    assert tablet.unanswered() == []
