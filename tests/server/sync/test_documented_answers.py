"""What docs/protocol.md says of answers in places where a stranger who wrote a client found it silent or wrong."""

from typing import Any

import pytest

from sync_protocol import chain
from tests.server._district import District, FakeTablet, identity


def empty_pull(cursor: int) -> dict[str, object]:
    drawers: dict[str, object] = {"measurements": {}, "follow_ups": {}, "deliveries": {}}
    return {"cursor": cursor, "more": False, "children": [], "left": [], **drawers}


def test_outcome_is_judged_on_what_came_before_it_in_the_batch(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, weight_g=9000)
    tablet.measure(child, weight_g=9100)
    tablet.sync()
    assert tablet.outcomes() == ["applied", "applied", "applied"]


def test_context_entry_of_another_record_covers_nothing(installed: District) -> None:
    tablet, other = installed.tablet(), installed.tablet()
    child = tablet.register_child()
    first = tablet.measure(child, weight_g=9000)
    tablet.sync_until_quiet()
    form = other.replica.open_measurement(child, "2026-03-05")
    other.write(form, {"weight": {"weight_g": 9100, "oedema": "n"}})
    message = other.replica.next_batch(installed.new_id(), installed.clock.text())
    assert first.dot.counter == 2
    message["changes"][0]["context"] = {tablet.id: list(tablet.replica.log[0].change.entry)}
    answer = other.send(other.signed({**message, "head": head_of(other, message)}))
    assert answer["receipt"]["items"] == [[1, "conflict"]]


def head_of(tablet: FakeTablet, batch: dict[str, Any]) -> list[Any]:
    """Give the head of a tablet whose newest change is the last of a batch."""
    link = chain(tablet.id, batch["first"], batch["previous"], batch["changes"])[-1]
    return [link.dot.counter, link.hash[:16]]


def test_two_removals_remove_though_neither_saw_the_other(installed: District) -> None:
    tablet, other = installed.tablet(), installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, weight_g=9000)
    tablet.sync_until_quiet()
    other.sync_until_quiet()
    tablet.remove(child, "2026-03-05", "salah anak")
    other.remove(child, "2026-03-05", "salah hari")
    tablet.sync()
    other.sync_until_quiet()
    state = other.state(child, "2026-03-05")
    assert other.outcomes() == ["conflict"]
    assert (state.removed, state.removal_contested) == (True, False)


def test_change_of_another_posts_child_is_answered_and_in_no_pull(installed: District) -> None:
    tablet, other = installed.tablet(), installed.tablet(post=1)
    child = other.register_child(None, post={"post": installed.posts[1]})
    other.sync()
    tablet.measure(child, weight_g=9000)
    answer = tablet.send(tablet.next_message())
    assert answer["receipt"]["items"] == [[1, "applied"]]
    assert answer["pull"] == empty_pull(0)


@pytest.mark.parametrize("restored", [False, True])
def test_revoked_tablet_is_answered_and_pulls_nothing(installed: District, restored: bool) -> None:
    tablet = installed.tablet()
    tablet.register_child()
    tablet.sync_until_quiet()
    cursor = tablet.replica.cursor
    installed.revoke(tablet)
    if restored:
        installed.restore(installed.back_up())
    tablet.register_child()
    batch = tablet.replica.next_batch(installed.new_id(), installed.clock.text())
    whole = {**batch, "first": 1, "previous": "", "changes": [e.change.wire() for e in tablet.replica.log]}
    answer = tablet.send(tablet.signed(whole))
    assert [item[:2] for item in answer["receipt"]["items"]] == [[1, "duplicate"], [2, "quarantined"]]
    assert answer["receipt"]["items"][1][2][0]["code"] == "tablet-revoked"
    assert answer["token"] != ""
    assert (answer["token"] == batch["token"]) == restored, "an outdated batch leaves the token as it was"
    assert cursor > 0
    assert answer["pull"] == empty_pull(cursor)


def test_changes_below_wanted_are_held_and_told_when_they_are_sent_again(installed: District) -> None:
    tablet = installed.tablet()
    tablet.register_child(None, identity=identity(name=" "))
    for _ in range(3):
        tablet.register_child()
    carried = tablet.replica.carried_batches(installed.new_id, installed.clock.text(), max_changes=1)
    brought = (carried[0], carried[1], carried[3])  # the third is lost, and so is every receipt
    receipts = [tablet.send(tablet.signed(batch))["receipt"] for batch in brought]
    assert receipts[-1] == {"batch": carried[3]["batch"], "status": "gap", "wanted": 3, "items": []}
    tablet.sync_until_quiet()
    assert tablet.outcomes() == ["quarantined", "duplicate", "applied", "applied"]


def test_new_epoch_answer_has_no_token(installed: District) -> None:
    tablet = installed.tablet()
    tablet.register_child()
    tablet.sync_until_quiet()
    clone = tablet.clone()
    tablet.register_child()
    tablet.sync()
    answer = clone.send(clone.next_message())
    assert (answer["receipt"]["status"], answer["token"]) == ("new_epoch_required", "")


def test_two_different_batches_at_once_close_the_enrolment(installed: District) -> None:
    tablet = installed.tablet()
    tablet.register_child()
    first, second = (
        tablet.signed(tablet.replica._batch(installed.new_id(), installed.clock.text(), 0, 200, 10**6))
        for _ in range(2)
    )
    statuses = [tablet.send(message)["receipt"]["status"] for message in (first, second)]
    assert statuses == ["accepted", "new_epoch_required"]


def test_quarantined_change_up_to_common_is_not_told_again(installed: District) -> None:
    tablet = installed.tablet()
    tablet.register_child(None, identity=identity(name=" "))
    tablet.lose_answer()
    clone = tablet.clone()
    clone.replica.pending = None
    clone.sync_until_quiet()  # it never got the receipt: enrols anew
    assert clone.id != tablet.id
    assert clone.replica.log == []
    assert len(clone.replica.past) == 1


def test_carried_change_that_was_quarantined_is_quarantined_again(installed: District) -> None:
    tablet = installed.tablet()
    tablet.register_child(None, identity=identity(name=" "))
    tablet.register_child()
    tablet.carry()
    again = tablet.replica._batch(installed.new_id(), installed.clock.text(), 0, 200, 10**6)
    items = tablet.send(tablet.signed(again))["receipt"]["items"]
    assert [item[1] for item in items] == ["quarantined", "duplicate"]
    assert items[0][2][0]["path"] == "set.identity.name"
