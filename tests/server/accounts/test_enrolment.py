"""One enrolment is one device: the token that rotates, what closes an enrolment, and enrolling again by the old key."""

from typing import Any

import pytest
from sqlalchemy import select

from schemas import MalformedEnrolment, parse_enrolment_again
from server import accounts
from server.crypto.vault import SigningKey, base64url
from server.database.models import Notice, Tablet
from server.errors import Problem
from sync_protocol import NewEpochRequired, Replica, canonical
from tests.server._district import DISTRICT, District, FakeTablet


def split(district: District, tablet_id: str) -> bool:
    (row,) = district.rows(select(Tablet.closed_at).where(Tablet.id == tablet_id))
    return row.closed_at is not None


def status(tablet: FakeTablet) -> str:
    answer = tablet.send(tablet.next_message())
    tablet.replica.receive(answer, tablet.district.clock.text())
    told: str = answer["receipt"]["status"]
    return told


def request_again(sender: FakeTablet, key: SigningKey, **overrides: Any) -> dict[str, Any]:
    """Give the body with which a device asks for a new enrolment, signed with the key of the old one."""
    first, tags = sender.replica.kept_tags()
    asked: dict[str, Any] = {"tablet": sender.id, "public_key": key.jwk(), "app": "uji/1", "device": "uji"}
    asked |= {"first": first, "tags": tags, **overrides}
    return {"request": asked, "signature": base64url(sender.key.sign(canonical(asked)))}


def enrol_again(district: District, body: dict[str, Any]) -> tuple[str, int]:
    with district.hub.database.transaction() as session:
        asked = parse_enrolment_again(body)
        tablet, common = accounts.enrol_again(session, district.hub, asked, district.clock.now)
        return tablet.id, common


# -- the token --------------------------------------------------------------------------------------


def test_every_answer_hands_out_another_token(installed: District) -> None:
    tablet = installed.tablet()
    tokens = []
    for _ in range(3):
        tablet.sync()
        tokens.append(tablet.replica.token)
    assert len({*tokens, ""}) == 4


def test_same_batch_again_gets_the_same_token(installed: District) -> None:
    tablet = installed.tablet()
    tablet.register_child()
    message = tablet.next_message()
    assert tablet.send(message) == tablet.send(message)
    tablet.sync()
    assert status(tablet) == "accepted"


def test_empty_batch_again_gets_the_same_token(installed: District) -> None:
    tablet = installed.tablet()
    tablet.sync()
    message = tablet.next_message()
    assert tablet.send(message)["token"] == tablet.send(message)["token"]
    tablet.sync()
    assert status(tablet) == "accepted"


def test_answer_that_is_lost_closes_nothing(installed: District) -> None:
    tablet = installed.tablet()
    tablet.register_child()
    for _ in range(3):
        tablet.lose_answer()
    tablet.sync_until_quiet()
    assert not split(installed, tablet.id)


def test_copy_that_has_written_nothing_is_noticed(installed: District) -> None:
    tablet = installed.tablet()
    tablet.sync()
    copy = tablet.clone()
    assert status(tablet) == "accepted"
    assert status(copy) == "new_epoch_required"
    assert status(tablet) == "new_epoch_required"  # which of the two is the copy nobody can tell


def test_copy_made_before_the_first_contact_is_noticed(installed: District) -> None:
    tablet = installed.tablet()
    copy = tablet.clone()
    assert status(tablet) == "accepted"
    assert status(copy) == "new_epoch_required"


def test_supervisor_is_told_of_a_copy(installed: District) -> None:
    tablet = installed.tablet()
    tablet.sync()
    copy = tablet.clone()
    tablet.sync()
    copy.sync()
    (notice,) = installed.rows(select(Notice.kind, Notice.subject))
    assert notice == ("tablet-cloned-or-restored", tablet.id)
    assert "batch.new_epoch_required" in installed.actions(f"post/{installed.posts[0]}")


def test_token_is_not_asked_for_when_the_server_was_restored(installed: District) -> None:
    tablet = installed.tablet()
    tablet.sync()
    backup = installed.back_up()
    tablet.register_child()
    tablet.sync_until_quiet()
    installed.restore(backup)
    installed.settle(tablet)
    assert not split(installed, tablet.id)


def test_closed_enrolment_still_gets_the_receipts_that_it_had(installed: District) -> None:
    tablet = installed.tablet()
    tablet.register_child()
    message = tablet.next_message()
    told = tablet.send(message)["receipt"]
    copy = tablet.clone()
    copy.replica.pending = None
    copy.sync()
    assert split(installed, tablet.id)
    assert tablet.send(message)["receipt"] == told


def test_both_devices_go_on_under_new_names(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.sync_until_quiet()
    copy = tablet.clone()
    tablet.measure(child, "2026-02-05", weight_g=9000)
    copy.measure(child, "2026-03-05", weight_g=9300)
    old = tablet.id
    installed.settle(tablet, copy)
    assert len({old, tablet.id, copy.id}) == 3
    assert {ref[0] for ref in tablet.shown()} == {"child", "measurement"}
    assert len(tablet.shown()) == 3
    heirs = installed.rows(select(Tablet.id).where(Tablet.replaces == old))
    assert {row.id for row in heirs} == {tablet.id, copy.id}


# -- enrolling again --------------------------------------------------------------------------------


def closed(district: District) -> FakeTablet:
    """Give a tablet whose enrolment was closed, because a copy of it has synced."""
    tablet = district.tablet()
    tablet.register_child()
    tablet.sync()
    copy = tablet.clone()
    tablet.sync()
    copy.sync()
    return tablet


def test_enrolling_again_closes_an_enrolment_under_which_a_copy_wrote(installed: District) -> None:
    tablet = installed.tablet()
    copy = tablet.clone()
    copy.register_child()
    copy.sync()
    enrol_again(installed, request_again(tablet, SigningKey()))
    assert isinstance(copy.sync()[0], NewEpochRequired)


@pytest.mark.parametrize("unsent", [0, 1])
def test_enrolling_again_is_refused_when_the_enrolment_is_in_order(installed: District, unsent: int) -> None:
    tablet = installed.tablet()
    tablet.register_child()
    tablet.sync()
    for _ in range(unsent):
        tablet.register_child()
    with pytest.raises(Problem, match="enrolment-open"):
        enrol_again(installed, request_again(tablet, SigningKey()))
    assert not split(installed, tablet.id)
    tablet.sync_until_quiet()


def test_enrolling_again_is_granted_after_a_gap_that_the_device_cannot_fill(installed: District) -> None:
    tablet = installed.tablet()
    tablet.register_child()
    tablet.sync()
    backup = installed.back_up()
    tablet.register_child()
    tablet.sync()
    installed.restore(backup)
    tablet.register_child()
    assert status(tablet) == "gap"
    assert enrol_again(installed, request_again(tablet, SigningKey()))[1] == 1


def test_enrolling_again_is_answered_alike_when_it_is_asked_twice(installed: District) -> None:
    body = request_again(closed(installed), SigningKey())
    assert enrol_again(installed, body) == enrol_again(installed, body)


def test_common_is_the_newest_counter_that_is_held_alike(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, weight_g=9000)
    tablet.sync()
    copy = tablet.clone()
    tablet.measure(child, "2026-02-05", weight_g=8800)
    tablet.sync()
    copy.measure(child, "2026-02-05", weight_g=8700)
    assert enrol_again(installed, request_again(copy, SigningKey()))[1] == 2
    assert enrol_again(installed, request_again(tablet, SigningKey()))[1] == 3


def test_common_is_what_was_forgotten_when_nothing_kept_is_held(installed: District) -> None:
    tablet = installed.tablet()
    body = request_again(tablet, SigningKey(), first=5, tags=["A" * 16])
    assert enrol_again(installed, body)[1] == 4


def test_enrolling_again_is_refused_when_another_key_signed(installed: District) -> None:
    tablet = installed.tablet()
    tablet.key = SigningKey()
    with pytest.raises(Problem, match="signature-invalid"):
        enrol_again(installed, request_again(tablet, SigningKey()))


def test_enrolling_again_is_refused_when_the_tablet_was_revoked(installed: District) -> None:
    tablet = installed.tablet()
    installed.revoke(tablet)
    with pytest.raises(Problem, match="tablet-revoked"):
        enrol_again(installed, request_again(tablet, SigningKey()))


def test_enrolling_again_is_refused_when_the_tablet_is_unknown(installed: District) -> None:
    stranger = FakeTablet(installed, SigningKey(), Replica(DISTRICT, installed.new_id(), "", "uji/1"))
    with pytest.raises(Problem, match="tablet-unknown"):
        enrol_again(installed, request_again(stranger, SigningKey()))


def test_enrolling_again_is_refused_when_a_person_must_look(installed: District) -> None:
    tablet = closed(installed)
    for _ in range(accounts.MAX_HEIRS):
        enrol_again(installed, request_again(tablet, SigningKey()))
    with pytest.raises(Problem, match="too-many-enrolments"):
        enrol_again(installed, request_again(tablet, SigningKey()))


def test_a_device_is_enrolled_again_a_bounded_number_of_times_a_day(installed: District) -> None:
    """Each enrolment is one more actor in the vectors of what it writes: a device must not make them without end."""
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.sync()
    for number in range(accounts.RENEWALS_A_DAY):
        renewed_after_a_copy_wrote(tablet, child, number)
    with pytest.raises(Problem, match="too-many-enrolments"):
        renewed_after_a_copy_wrote(tablet, child, 20)
    renewed_after_a_copy_wrote(installed.tablet(), child, 21)  # another code is another line of enrolments
    installed.clock.advance(days=1, seconds=1)
    tablet.enrol_anew()
    installed.settle(tablet)


def renewed_after_a_copy_wrote(tablet: FakeTablet, child: str, number: int) -> None:
    copy = tablet.clone()
    copy.measure(child, f"2026-01-{number + 1:02}", weight_g=8000)
    copy.sync()
    tablet.enrol_anew()


@pytest.mark.parametrize(
    ("overrides", "place"),
    [
        ({"tags": ["short"]}, "request.tags.0"),
        ({"first": 0}, "request.first"),
        ({"tablet": "x"}, "request.tablet"),
        ({"novel": 1}, "request.novel"),
    ],
)
def test_request_is_refused_when_it_is_malformed(
    installed: District, overrides: dict[str, Any], place: str
) -> None:
    body = request_again(installed.tablet(), SigningKey(), **overrides)
    with pytest.raises(MalformedEnrolment) as refused:
        parse_enrolment_again(body)
    assert [reason.path for reason in refused.value.reasons] == [place]
