"""Twenty stories of tablets that are copied, restored from an older copy, revoked, or short of a line at the worst moment.

Two devices with one identity are found out by the token that each answer hands out; both enrol anew, and nothing is lost or
doubled. Each story ends with `settle`: ledger, tables and every screen are the same, byte for byte.
"""

import copy
import threading

import pytest

from schemas import parse_enrolment_again
from server import accounts
from server.accounts import MAX_HEIRS
from server.crypto.vault import SigningKey, base64url
from server.database.models import Notice
from server.errors import Problem
from sync_protocol import NewEpochRequired, canonical
from tests.server._district import District, FakeTablet, answered, measured

ON = "2026-03-05"


def test_story_both_halves_of_a_clone_enrol_anew(installed: District) -> None:
    first, second, child = clones(installed)
    before = first.id
    first.measure(child, "2026-02-05", weight_g=8800)
    second.measure(child, ON, weight_g=9000)
    installed.settle(first, second)
    assert len({before, first.id, second.id}) == 3
    assert len(first.shown()) == len(second.shown()) == 3


def test_story_the_supervisor_hears_of_a_clone_once(installed: District) -> None:
    first, second, _ = clones(installed)
    closed = first.id
    installed.settle(first, second)
    with installed.hub.database.reading() as session:
        (notice,) = session.query(Notice).filter_by(kind="tablet-cloned-or-restored")
    assert notice.subject == closed


def test_story_clones_write_the_same_value(installed: District) -> None:
    first, second, child = clones(installed)
    for tablet in (first, second):
        tablet.measure(child, weight_g=9000)
    installed.settle(first, second)
    assert first.state(child, ON).conflicts == ()
    assert first.state(child, ON).value("weight") == {"weight_g": 9000, "oedema": None}


def test_story_an_old_copy_comes_back_after_months(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.sync_until_quiet()
    found_in_a_drawer = tablet.clone()
    for month in (1, 2):
        tablet.measure(child, f"2026-0{month}-05", weight_g=8000 + 100 * month)
        tablet.sync_until_quiet()
        installed.clock.advance(days=31)
    found_in_a_drawer.measure(child, ON, weight_g=9000)
    installed.settle(found_in_a_drawer, tablet)
    assert len(tablet.shown()) == len(found_in_a_drawer.shown()) == 4


def test_story_an_old_copy_is_as_long_as_what_is_held(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.sync_until_quiet()
    old = tablet.clone()
    tablet.measure(child, weight_g=8800)
    tablet.sync_until_quiet()
    old.measure(child, weight_g=9400)  # number 2, too
    installed.settle(old, tablet)
    weights = [s.value["weight_g"] for s in old.state(child, ON).registers["weight"]]
    assert sorted(weights) == [8800, 9400]


def test_story_a_clone_is_made_before_the_first_sync(installed: District) -> None:
    first = installed.tablet()
    first.register_child()
    second = first.clone()
    second.register_child()
    installed.settle(first, second)
    assert len(first.shown()) == len(second.shown()) == 2


def test_story_a_clone_of_an_empty_tablet(installed: District) -> None:
    first = installed.tablet()
    second = first.clone()
    first.register_child()
    second.register_child()
    installed.settle(first, second)
    assert len(first.shown()) == 2


def test_story_a_clone_of_a_clone(installed: District) -> None:
    first, second, child = clones(installed)
    second.measure(child, "2026-02-05", weight_g=8800)
    third = second.clone()
    first.measure(child, "2026-01-05", weight_g=8700)
    third.measure(child, ON, weight_g=9000)
    installed.settle(first, second, third)
    assert len({first.id, second.id, third.id}) == 3
    assert len(third.shown()) == 4


def test_story_a_clone_that_never_syncs_troubles_nobody(installed: District) -> None:
    first, second, child = clones(installed)
    before = first.id
    second.measure(child, weight_g=9000)
    first.measure(child, weight_g=8800)
    installed.settle(first)
    assert first.id == before
    assert installed.counts()["notice"] == 0


def test_story_a_pending_batch_is_in_both_copies(installed: District) -> None:
    first, other = installed.tablet(), installed.tablet()
    child = first.register_child()
    first.next_message()  # made, and not sent before the copy is made
    second = first.clone()
    first.sync()
    assert answered(second.sync()) == ["applied"]  # the same batch: the stored receipt
    second.measure(child, weight_g=9000)
    installed.settle(first, second, other)
    assert len(other.shown()) == 2


def test_story_the_answer_is_lost_at_the_moment_of_copying(installed: District) -> None:
    first = installed.tablet()
    child = first.register_child()
    first.lose_answer()
    second = first.clone()
    for tablet, weight_g in ((first, 8800), (second, 9400)):
        tablet.measure(child, weight_g=weight_g)
    installed.settle(first, second)
    weights = [s.value["weight_g"] for s in first.state(child, ON).registers["weight"]]
    assert sorted(weights) == [8800, 9400]
    assert installed.counts()["child"] == 1


def test_story_a_form_is_open_while_the_device_is_copied(installed: District) -> None:
    first, second, child = clones(installed)
    form = second.replica.open_measurement(child, ON)
    first.measure(child, weight_g=8800)
    first.sync_until_quiet()
    second.sync_until_quiet()
    second.write(form, measured(weight_g=9400))
    installed.settle(first, second)
    assert second.state(child, ON).conflicts == ("weight",)


def test_story_a_slip_set_aside_is_in_the_copy_too(installed: District) -> None:
    first = installed.tablet()
    child = first.register_child()
    first.measure(child, weight_g=9)
    first.sync_until_quiet()
    second = first.clone()
    second.measure(child, weight_g=9000)
    installed.settle(first, second)
    assert first.state(child, ON).value("weight") == {"weight_g": 9000, "oedema": None}
    assert installed.counts()["change"] == 3


def test_story_a_batch_of_the_closed_enrolment_is_carried(installed: District) -> None:
    first, second, child = clones(installed)
    second.measure(child, weight_g=9000)
    parcel = [
        second.signed(b) for b in second.replica.carried_batches(installed.new_id, "2026-03-05T02:00:00Z")
    ]
    installed.settle(first, second)
    for message in parcel:
        assert second.send(message)["receipt"]["status"] == "new_epoch_required"
    installed.settle(first, second)
    assert installed.counts()["measurement"] == 1


def test_story_the_answer_to_the_new_enrolment_is_lost(installed: District) -> None:
    first, second, child = clones(installed)
    second.measure(child, weight_g=9000)
    assert isinstance(second.sync()[0], NewEpochRequired)
    key, asked = SigningKey(), ask_again(second)
    lost = granted(installed, second, key, asked)
    again = granted(installed, second, key, asked)
    assert again == lost
    second.key, second.replica = key, second.replica.enrol_anew(*again)
    installed.settle(first, second)
    assert len(first.shown()) == 2


def test_story_the_new_enrolment_is_asked_for_twice_at_once(installed: District) -> None:
    _, second, _ = clones(installed)
    second.sync()
    key, asked, given = SigningKey(), ask_again(second), []
    threads = [
        threading.Thread(target=lambda: given.append(granted(installed, second, key, asked)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(given) == 2
    assert given[0] == given[1]
    assert installed.counts()["tablet"] == 2


def test_story_too_many_devices_go_on_from_one_enrolment(installed: District) -> None:
    first, second, child = clones(installed)
    second.sync()  # an older token: the enrolment is closed
    heirs = [first.clone() for _ in range(MAX_HEIRS + 1)]
    for number, heir in enumerate(heirs):
        heir.measure(child, f"2026-02-0{number + 1}", weight_g=8800)
    for heir in heirs[:-1]:
        heir.enrol_anew()
    with pytest.raises(Problem, match="too-many-enrolments"):
        heirs[-1].enrol_anew()
    readmit(installed, heirs[-1])
    installed.settle(*heirs)
    assert len(heirs[-1].shown()) == MAX_HEIRS + 2


def test_story_a_revoked_tablet_was_copied_before(installed: District) -> None:
    first, second, child = clones(installed)
    installed.revoke(first)
    for tablet, weight_g in ((first, 8800), (second, 9400)):
        tablet.measure(child, weight_g=weight_g)
    first.sync()
    assert first.reasons(2) == ["tablet-revoked"]
    assert isinstance(second.sync()[0], NewEpochRequired)
    with pytest.raises(Problem, match="tablet-revoked"):
        second.enrol_anew()  # its changes stay on the device until somebody gives it a code
    readmit(installed, second)
    installed.settle(second)
    assert second.state(child, ON).value("weight") == {"weight_g": 9400, "oedema": None}


def test_story_a_restored_tablet_does_not_send_again_what_was_set_aside(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, weight_g=9)
    backup = tablet.clone()
    tablet.sync_until_quiet()
    installed.settle(backup)
    assert installed.counts()["change"] == 2
    backup.measure(child, weight_g=9000)
    installed.settle(backup)
    assert backup.state(child, ON).value("weight") == {"weight_g": 9000, "oedema": None}


def test_story_a_tablet_is_restored_again_and_again(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.sync_until_quiet()
    for month in (1, 2, 3):
        tablet = tablet.clone() if month == 1 else restored(tablet)
        tablet.measure(child, f"2026-0{month}-05", weight_g=8000 + 100 * month)
        installed.settle(tablet)
    assert len(tablet.shown()) == 4


def clones(district: District) -> tuple[FakeTablet, FakeTablet, str]:
    """Give a tablet that knows a child, and its copy; the tablet has synced once since, so the copy is out of date."""
    first = district.tablet()
    child = first.register_child()
    first.sync_until_quiet()
    second = first.clone()
    first.sync_until_quiet()
    return first, second, child


def restored(tablet: FakeTablet) -> FakeTablet:
    """Give the device as a backup has it that was made before its last sync."""
    backup = tablet.clone()
    backup.replica = copy.deepcopy(tablet.replica)
    tablet.sync_until_quiet()
    return backup


def ask_again(tablet: FakeTablet) -> tuple[int, list[str]]:
    """Give what a device says of its log when it asks for a new enrolment."""
    return tablet.replica.kept_tags()


def granted(
    district: District, tablet: FakeTablet, key: SigningKey, kept: tuple[int, list[str]]
) -> tuple[str, int]:
    """Ask for a new enrolment with a key; give the new tablet's id and what is common."""
    asked = {
        "tablet": tablet.id,
        "public_key": key.jwk(),
        "app": tablet.replica.app,
        "device": "uji",
        "first": kept[0],
        "tags": kept[1],
    }
    signed = {"request": asked, "signature": base64url(tablet.key.sign(canonical(asked)))}
    with district.hub.database.transaction() as session:
        request = parse_enrolment_again(signed)
        new, common = accounts.enrol_again(session, district.hub, request, district.clock.now)
        return new.id, common


def readmit(district: District, tablet: FakeTablet) -> None:
    """Enrol a device with a code from the health centre; all that it keeps is numbered anew."""
    tablet.key = SigningKey()
    new_id = district.enrol(tablet.key, district.posts.index(tablet.replica.post_id))
    tablet.replica = tablet.replica.enrol_afresh(new_id)
