"""Stories of letters that other people carry, for posts upriver that see a signal once in weeks, and of what goes wrong."""

import threading
from datetime import date, timedelta

import orjson
import pytest
from sqlalchemy import text

from server.context import AppContext
from sync_protocol import NewEpochRequired, ReceiptStatus
from tests.server._carriers import Sender, answers, bring, shuffled, words
from tests.server._district import District, FakeTablet, identity

FIRST_DAY = date(2026, 3, 5)


def upriver(district: District, post: int = 0) -> Sender:
    """A tablet that has synced once, and then is out of reach."""
    tablet = district.tablet(post)
    tablet.sync_until_quiet()
    return Sender(tablet)


def weigh_for_three_months(sender: Sender, children: list[str], grams: int = 8000) -> None:
    """Hold a posyandu day a month, then leave."""
    for month in range(3):
        day = FIRST_DAY + timedelta(days=30 * month)
        sender.tablet.district.clock.now += timedelta(days=30)
        for number, child in enumerate(children):
            sender.tablet.measure(child, day.isoformat(), weight_g=grams + 300 * month + 10 * number)


def received(district: District, tablet: FakeTablet) -> list[dict[str, int]]:
    """Give the outcomes of a tablet's batches as the log has them."""
    query = text(
        "SELECT actor, details FROM audit_entry WHERE action = 'batch.accepted' ORDER BY stream, number"
    )
    rows = [(row.actor, orjson.loads(row.details)) for row in district.rows(query)]
    return [
        details["outcomes"]
        for actor, details in rows
        if actor == f"tablet:{tablet.id}" and details["received"]
    ]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_story_two_tablets_three_months_upriver_one_carrier_out_of_order_and_twice(
    installed: District, seed: int
) -> None:
    one, other = upriver(installed), upriver(installed)
    children = [one.tablet.register_child(None, identity=identity(name=f"Anak Contoh {n}")) for n in range(8)]
    one.tablet.sync_until_quiet()
    other.tablet.sync_until_quiet()
    weigh_for_three_months(one, children, 8000)
    installed.clock.advance(days=-90)
    weigh_for_three_months(other, children[4:], 8100)
    bag = shuffled([*one.letters(max_changes=7), *other.letters(max_changes=5)], seed)
    first, second = bring(installed, bag), bring(installed, shuffled(bag, seed + 9))
    assert set(words(first)) == set(words(second)) == {"accepted"}
    assert all(again.known for again in second)
    home = [b.answer() for b in first]
    one.take(home)
    other.take(home)
    assert one.tablet.replica.unanswered() == other.tablet.replica.unanswered() == []
    assert one.tablet.outcomes().count("conflict") + other.tablet.outcomes().count("conflict") == 12
    installed.settle(one.tablet, other.tablet)
    assert installed.counts()["change"] == 8 + 24 + 12


def test_story_the_order_of_the_bag_decides_nothing_that_is_shown(installed: District) -> None:
    senders = [upriver(installed) for _ in range(3)]
    child = senders[0].tablet.register_child()
    for number, sender in enumerate(senders):
        sender.tablet.measure(child, weight_g=9000 + number)
    bags = [sender.letters(max_changes=1) for sender in senders]
    backup = installed.back_up()
    seen = []
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        installed.restore(installed.databases.copy(backup))
        for place in order:
            bring(installed, bags[place][::-1])
        seen.append({ref: state.canonical() for ref, (_, state) in installed.stored().items()})
    assert seen[0] == seen[1] == seen[2]


def test_story_the_receipts_never_come_back(installed: District) -> None:
    sender = upriver(installed)
    weigh_for_three_months(sender, [sender.tablet.register_child()])
    bring(installed, sender.letters(max_changes=3))
    assert len(sender.tablet.replica.unanswered()) == 4
    sender.tablet.sync_until_quiet()
    assert sender.tablet.outcomes() == ["duplicate"] * 4
    assert received(installed, sender.tablet) == [{"applied": 3}, {"applied": 1}, {"duplicate": 4}]
    installed.check_agreement(sender.tablet)


def test_story_the_carrier_arrives_after_the_tablet_has_synced_itself(installed: District) -> None:
    sender = upriver(installed)
    weigh_for_three_months(sender, [sender.tablet.register_child()])
    letters = sender.letters(max_changes=3)
    sender.tablet.sync_until_quiet()
    home = answers(installed, letters)
    assert [item.outcome.value for answer in home for item in sender.open(answer).items] == ["duplicate"] * 4
    sender.take(home)
    assert sender.tablet.outcomes() == ["applied"] * 4
    assert received(installed, sender.tablet) == [{"applied": 4}, {"duplicate": 3}, {"duplicate": 1}]
    installed.check_agreement(sender.tablet)


def test_story_the_receipts_come_back_after_the_tablet_has_synced_itself(installed: District) -> None:
    sender = upriver(installed)
    child = sender.tablet.register_child()
    sender.tablet.measure(child, weight_g=9)
    home = answers(installed, sender.letters())
    sender.tablet.sync_until_quiet()
    assert sender.tablet.outcomes() == ["duplicate", "quarantined"]
    sender.take(home)
    assert sender.tablet.outcomes() == ["applied", "quarantined"]
    assert sender.tablet.reasons(2) == ["out-of-range"]
    installed.check_agreement(sender.tablet)


def test_story_the_first_letter_is_lost_and_the_second_waits_for_it(installed: District) -> None:
    sender = upriver(installed)
    sender.tablet.register_child()
    sender.tablet.register_child()
    first, second = sender.letters(max_changes=1)
    (told,) = answers(installed, [second])
    assert (sender.open(told).status, sender.open(told).wanted) == (ReceiptStatus.GAP, 1)
    sender.take([told])
    assert len(sender.tablet.replica.unanswered()) == 2
    assert installed.counts()["change"] == 0
    assert words(bring(installed, [second, first])) == ["accepted", "accepted"]
    sender.tablet.sync_until_quiet()
    installed.check_agreement(sender.tablet)


def test_story_one_more_weighing_and_a_new_letter_before_the_old_one_was_answered(
    installed: District,
) -> None:
    sender = upriver(installed)
    child = sender.tablet.register_child()
    old = sender.letters()
    sender.tablet.measure(child, weight_g=9000)
    new = sender.letters()
    bring(installed, new)
    home = answers(installed, old)
    assert [item.outcome.value for item in sender.open(home[0]).items] == ["duplicate"]
    sender.tablet.sync_until_quiet()
    installed.check_agreement(sender.tablet)


def test_story_the_same_letter_again_gives_the_same_receipt(installed: District) -> None:
    sender = upriver(installed)
    sender.tablet.register_child()
    letters, before = sender.letters(), installed.counts()["batch"]
    (first,), (second,) = answers(installed, letters), answers(installed, letters)
    assert first != second  # sealed anew: nobody sees that they are the same
    assert sender.open(first) == sender.open(second)
    assert [b.receipt for b in bring(installed, letters)] == [b.receipt for b in bring(installed, letters)]
    assert installed.counts()["batch"] == before + 1


def test_story_four_carriers_meet_at_the_door_with_the_same_letters(installed: District) -> None:
    sender = upriver(installed)
    weigh_for_three_months(sender, [sender.tablet.register_child()])
    letters, homes = sender.letters(max_changes=2), list[list[dict[str, object]]]()
    threads = [
        threading.Thread(target=lambda n=n: homes.append(answers(installed, shuffled(letters, n))))
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {item.outcome.value for home in homes for a in home for item in sender.open(a).items} == {
        "applied"
    }
    assert installed.counts()["change"] == 4
    sender.tablet.sync_until_quiet()
    installed.check_agreement(sender.tablet)


def test_story_a_letter_overtakes_the_tablets_own_batch_whose_answer_was_lost(installed: District) -> None:
    sender = upriver(installed)
    child = sender.tablet.register_child()
    sender.tablet.lose_answer()
    sender.tablet.measure(child, weight_g=9000)
    sender.take(answers(installed, sender.letters()))
    sender.tablet.sync_until_quiet()
    assert sender.tablet.outcomes() == ["applied", "applied"]
    installed.check_agreement(sender.tablet)


def test_story_the_tablet_was_revoked_while_its_letter_was_on_the_river(installed: District) -> None:
    sender = upriver(installed)
    sender.tablet.register_child()
    letters = sender.letters()
    installed.revoke(sender.tablet)
    sender.take(answers(installed, letters))
    assert sender.tablet.reasons(1) == ["tablet-revoked"]
    assert installed.counts()["child"] == 0
    assert installed.rows(text("SELECT outcome FROM change"))[0].outcome == "quarantined"


def test_story_the_letters_of_a_cloned_device_are_turned_back_and_nothing_is_lost(
    installed: District,
) -> None:
    sender = upriver(installed)
    copied = Sender(sender.tablet.clone())
    sender.tablet.register_child()
    copied.tablet.register_child()
    assert words(bring(installed, sender.letters())) == ["accepted"]
    home = answers(installed, copied.letters())
    assert copied.open(home[0]).status is ReceiptStatus.NEW_EPOCH_REQUIRED
    (event,) = copied.take(home)
    assert isinstance(event, NewEpochRequired)
    copied.tablet.enrol_anew()
    installed.settle(sender.tablet, copied.tablet)
    assert installed.counts()["child"] == 2


def test_story_a_letter_of_an_enrolment_that_was_closed_arrives_late(installed: District) -> None:
    sender = upriver(installed)
    sender.tablet.register_child()
    letters = sender.letters()
    stolen = sender.tablet.clone()
    stolen.register_child()
    stolen.sync_until_quiet()
    sender.tablet.sync_until_quiet()  # found out, and enrolled anew
    (home,) = answers(installed, letters)
    assert sender.open(home).status is ReceiptStatus.NEW_EPOCH_REQUIRED
    assert sender.take([home]) == []  # of a name that this device no longer has
    installed.settle(sender.tablet, stolen)
    assert installed.counts()["child"] == 2


def test_story_the_server_is_restored_before_the_receipts_are_back(installed: District) -> None:
    sender = upriver(installed)
    backup = installed.back_up()
    sender.tablet.register_child()
    home = answers(installed, sender.letters())
    installed.restore(backup)
    sender.take(home)
    assert sender.tablet.replica.unanswered() == []  # so it was, then
    sender.tablet.sync_until_quiet()
    assert installed.counts()["child"] == 1
    installed.check_agreement(sender.tablet)


def test_story_the_carrier_still_has_the_letters_that_a_restored_server_lost(installed: District) -> None:
    sender = upriver(installed)
    backup = installed.back_up()
    sender.tablet.register_child()
    letters = sender.letters()
    sender.take(answers(installed, letters))
    installed.restore(backup)
    assert words(bring(installed, letters)) == ["accepted"]
    sender.tablet.sync_until_quiet()
    installed.check_agreement(sender.tablet)


def test_story_half_of_a_bag_is_spoiled_by_the_rain(installed: District) -> None:
    one, other = upriver(installed), upriver(installed, post=1)
    for sender in (one, other):
        weigh_for_three_months(sender, [sender.tablet.register_child()])
    bag = shuffled([*one.letters(max_changes=2), *other.letters(max_changes=2)], 5)
    wet = [
        {"sealed": {**letter["sealed"], "ciphertext": letter["sealed"]["ciphertext"][:80]}}
        for letter in bag[:2]
    ]
    home = answers(installed, [*wet, *bag[2:]])
    assert home[:2] == [{"problem": "sealed-unreadable"}] * 2
    one.take(home)
    other.take(home)
    installed.settle(one.tablet, other.tablet)
    assert installed.counts()["change"] == 8


def test_story_the_letter_was_sealed_before_the_key_was_renewed(installed: District) -> None:
    sender = upriver(installed)
    sender.tablet.register_child()
    letters = sender.letters()
    file = installed.hub.settings.key_file
    renewed = file.with_name(f"renewed-{file.name}")
    content = orjson.loads(file.read_bytes())
    content["masters"]["2"] = "A" * 43 + "="
    renewed.write_bytes(orjson.dumps(content))
    settings = installed.hub.settings.for_data(
        installed.hub.settings.data_dir, database_url=installed.hub.settings.database_url, key_file=renewed
    )
    before = installed.hub
    installed.hub = AppContext.open(settings)
    try:
        assert installed.hub.vault.sealing_key() != before.vault.sealing_key()
        sender.take(answers(installed, letters))
        assert sender.tablet.outcomes() == ["applied"]
    finally:
        installed.hub.database.dispose()
        installed.hub = before
