"""Whatever happens on the way, the client brings everything over, once, and tells what it cannot."""

import random
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from server.accounts import revoke_tablet
from server.database.models import ChangeRow, Tablet
from sync_protocol import (
    LocalProtocolError,
    NewEpochRequired,
    Outcome,
    RemoteProtocolError,
    delivery_id,
    follow_up_id,
    measurement_id,
)
from sync_protocol.client import Answer, Client, NotReached, Pace, Refused, new_id
from tests.server._district import District, to_do
from tests.server.aid._commitments import FOOD
from tests.sync_protocol.client._hall import (
    APP,
    URL,
    Hall,
    KeysByNumber,
    Killed,
    altered,
    answer_lost,
    closing,
    code_of,
    day,
    enrolled,
    killed_after,
    killed_before,
    lost,
    measure,
    register,
    reopened,
    says,
    settings,
    weighed,
)


def held(district: District) -> list[tuple[str, int, str]]:
    """Give every tablet's change that the server holds: by whom, counter, hash."""
    rows = district.rows(select(ChangeRow.actor, ChangeRow.counter, ChangeRow.hash))
    return sorted((str(a), int(c), str(h)) for a, c, h in rows)


def own(*tablets: Client) -> list[tuple[str, int, str]]:
    """Give what tablets have in their logs."""
    logs = (entry.change for tablet in tablets for entry in tablet.replica.log)
    return sorted((change.dot.actor, change.dot.counter, change.hash) for change in logs)


def check(district: District, *tablets: Client) -> None:
    """Check that ledger and tables agree, and that every tablet shows all of its post."""
    district.check_agreement()
    stored = {ref: state.canonical() for ref, (_, state) in district.stored().items()}
    for tablet in tablets:
        refs = tablet.replica.base.keys() | stored.keys()
        views = {ref: tablet.view(ref) for ref in refs}
        assert {ref: view.canonical() for ref, view in views.items() if view} == stored


# -- a good line ------------------------------------------------------------------------------------


def test_a_sync_brings_everything_over_and_says_so(on_sqlite: District, tablet: Client) -> None:
    child, told = new_id(), []
    register(tablet, child)
    for ago in range(1, 41):
        measure(tablet, child, ago)
    report = tablet.sync(lambda answered, of: told.append(f"{answered} of {of}"))
    assert told == ["25 of 41", "41 of 41"]
    assert report.is_quiet
    assert (report.answered, report.outcomes) == (41, {Outcome.APPLIED: 41})
    assert held(on_sqlite) == own(tablet)
    check(on_sqlite, tablet)


def test_two_tablets_show_the_same_when_both_have_synced(
    on_sqlite: District, hall: Hall, tablet: Client, tmp_path: Path
) -> None:
    child = new_id()
    with enrolled(on_sqlite, hall, tmp_path / "other.tablet") as other:
        register(tablet, child)
        measure(other, child, 1)
        tablet.sync()
        other.sync()
        report = tablet.sync()
        assert ("measurement", measurement_id(child, day(1), "cadre")) in report.pulled
        check(on_sqlite, tablet, other)


def test_aid_and_a_task_that_one_tablet_wrote_down_are_on_the_other(
    on_sqlite: District, hall: Hall, tablet: Client, tmp_path: Path
) -> None:
    child, aid, task = new_id(), new_id(), new_id()
    with enrolled(on_sqlite, hall, tmp_path / "other.tablet") as other:
        register(tablet, child)
        tablet.write(tablet.open_delivery(child, aid), {"aid": FOOD}, author="kader-contoh")
        tablet.write(tablet.open_follow_up(child, task), {"task": to_do()}, author="kader-contoh")
        assert tablet.sync().outcomes == {Outcome.APPLIED: 3}
        pulled = other.sync().pulled
        assert {("delivery", delivery_id(child, aid)), ("follow_up", follow_up_id(child, task))} <= set(
            pulled
        )
        check(on_sqlite, tablet, other)


def test_writing_goes_on_while_a_sync_waits_for_its_answer(hall: Hall, tablet: Client) -> None:
    child, wrote = new_id(), threading.Event()

    def write() -> None:
        measure(tablet, child, 2)
        wrote.set()

    def slow(hall: Hall, path: str, body: bytes) -> Answer:
        writer = threading.Thread(target=write)
        writer.start()
        writer.join(10)
        return hall.through(path, body)

    hall.troubles.append(slow)
    measure(tablet, child, 1)
    report = tablet.sync()
    assert wrote.is_set()
    assert report.answered == 2


def test_acknowledged_changes_are_forgotten_when_they_are_90_days_old(
    on_sqlite: District, hall: Hall, file: Path
) -> None:
    now = [datetime.now(UTC)]
    with enrolled(on_sqlite, hall, file, clock=lambda: now[0]) as tablet:
        for ago in (1, 2, 3):
            measure(tablet, new_id(), ago)
        tablet.sync()
        assert tablet.replica.forgotten == 0
        now[0] += timedelta(days=91)
        tablet.sync()
        assert tablet.replica.forgotten == 2
    with reopened(hall, file) as again:
        assert (again.replica.forgotten, len(again.replica.log)) == (2, 1)


# -- a bad line -------------------------------------------------------------------------------------


def test_the_same_bytes_are_sent_until_they_are_answered(
    on_sqlite: District, hall: Hall, tablet: Client
) -> None:
    hall.troubles += [lost(sent=True), answer_lost, says(503), says(500)]
    measure(tablet, new_id(), 1)
    with pytest.raises(NotReached):
        tablet.sync()
    report = tablet.sync()
    assert len({body for _, body in hall.sent}) == 1
    assert len(hall.sent) == 5
    assert report.answered == 1
    assert held(on_sqlite) == own(tablet)


def test_the_same_bytes_are_sent_when_the_app_was_killed_between(
    on_sqlite: District, hall: Hall, file: Path, tablet: Client
) -> None:
    hall.troubles.append(killed_after)
    measure(tablet, new_id(), 1)
    with pytest.raises(Killed):
        tablet.sync()
    tablet.close()
    with reopened(hall, file) as again:
        hall.troubles.append(lost(sent=False))  # which proves nothing of the time before
        assert again.sync().answered == 1
        assert len({body for _, body in hall.sent}) == 1
        assert held(on_sqlite) == own(again)


def test_a_batch_is_halved_when_it_surely_did_not_arrive(hall: Hall, tablet: Client) -> None:
    for ago in range(1, 31):
        measure(tablet, new_id(), ago)
    hall.troubles += [lost(sent=False), lost(sent=False)]
    tablet.sync()
    assert [len(batch["changes"]) for batch in hall.batches()] == [25, 12, 6, 12, 12]


def test_a_batch_stays_as_it_is_when_it_may_have_arrived(hall: Hall, tablet: Client) -> None:
    for ago in range(1, 31):
        measure(tablet, new_id(), ago)
    hall.troubles += [lost(sent=True), lost(sent=False)]
    tablet.sync()
    assert [len(batch["changes"]) for batch in hall.batches()] == [25, 25, 25, 5]


def test_a_batch_is_halved_when_the_server_gave_it_up_as_too_slow(hall: Hall, tablet: Client) -> None:
    for ago in range(1, 31):
        measure(tablet, new_id(), ago)
    hall.troubles += [says(408), lost(sent=False)]
    tablet.sync()
    assert [len(batch["changes"]) for batch in hall.batches()] == [25, 12, 6, 12, 12]


def test_a_batch_stays_as_it_is_when_it_was_too_slow_only_the_second_time(hall: Hall, tablet: Client) -> None:
    for ago in range(1, 31):
        measure(tablet, new_id(), ago)
    hall.troubles += [lost(sent=True), says(408)]
    tablet.sync()
    assert [len(batch["changes"]) for batch in hall.batches()] == [25, 25, 25, 5]


def test_batches_grow_to_the_limit_when_the_line_is_good(hall: Hall, file: Path, tablet: Client) -> None:
    child = new_id()
    for ago in range(1, 401):
        measure(tablet, child, ago)
    tablet.sync()
    assert [len(batch["changes"]) for batch in hall.batches()] == [25, 50, 100, 200, 25]
    tablet.close()
    with reopened(hall, file) as again:
        assert again.store.facts["size"] == 200


def test_a_batch_is_made_smaller_when_the_server_says_it_is_too_large(hall: Hall, tablet: Client) -> None:
    for ago in range(1, 11):
        measure(tablet, new_id(), ago)
    hall.troubles.append(says(413, b"<html>"))
    assert tablet.sync().answered == 10
    assert [len(batch["changes"]) for batch in hall.batches()] == [10, 5, 5]


def test_a_single_change_that_is_too_large_is_told(hall: Hall, tablet: Client) -> None:
    measure(tablet, new_id(), 1)
    hall.troubles.append(says(413, {"code": "batch-too-large", "title": "Terlalu besar"}))
    with pytest.raises(Refused, match="batch-too-large"):
        tablet.sync()


def test_pauses_have_full_jitter_and_a_cap(on_sqlite: District, hall: Hall, file: Path) -> None:
    pace = Pace(tries=8, first_seconds=1.0, longest_seconds=10.0)
    with enrolled(on_sqlite, hall, file, pace=pace, rng=random.Random(7)) as tablet:
        hall.troubles += [lost(sent=True)] * 8
        with pytest.raises(NotReached):
            tablet.sync()
    longest = [1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0]
    assert hall.pauses == [random.Random(7).uniform(0, 1.0), *hall.pauses[1:]]
    assert len(hall.pauses) == len(longest)
    assert all(0 <= pause <= most for pause, most in zip(hall.pauses, longest, strict=True))
    assert any(pause < most / 2 for pause, most in zip(hall.pauses, longest, strict=True))


@pytest.mark.parametrize("status", [429, 503])
def test_the_server_is_waited_for_as_long_as_it_asks(hall: Hall, tablet: Client, status: int) -> None:
    hall.troubles.append(says(status, b"", {"retry-after": "7"}))
    tablet.sync()
    assert 7.0 <= hall.pauses[0] <= 7.5


def test_the_server_is_waited_for_until_the_time_it_names(
    on_sqlite: District, hall: Hall, file: Path
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    later = format_datetime(now + timedelta(seconds=30), usegmt=True)
    with enrolled(on_sqlite, hall, file, clock=lambda: now) as tablet:
        hall.troubles.append(says(503, b"", {"retry-after": later}))
        tablet.sync()
    assert 30.0 <= hall.pauses[0] <= 30.5


def test_the_server_is_not_waited_for_when_it_asks_for_an_hour(hall: Hall, tablet: Client) -> None:
    hall.troubles.append(says(503, b"", {"retry-after": "3600"}))
    with pytest.raises(NotReached) as caught:
        tablet.sync()
    assert caught.value.retry_after_seconds == 3600
    assert hall.pauses == []


def test_a_busy_servers_wish_is_told_to_the_caller(hall: Hall, tablet: Client) -> None:
    assert tablet.sync().again_in == 0

    def busy(hall: Hall, path: str, body: bytes) -> Answer:
        return replace(hall.through(path, body), headers={"retry-after": "90"})

    hall.troubles.append(busy)
    assert tablet.sync().again_in == 90
    assert hall.pauses == []
    assert tablet.sync().again_in == 0


# -- answers that are not believed ------------------------------------------------------------------


def cursor_is_text(answer: Any) -> None:
    answer["pull"]["cursor"] = "9"


def receipt_of_another_batch(answer: Any) -> None:
    answer["receipt"]["batch"] = new_id()


def item_too_few(answer: Any) -> None:
    answer["receipt"]["items"].pop()


def item_of_another_change(answer: Any) -> None:
    answer["receipt"]["items"][0][0] = 900


def outcome_unknown(answer: Any) -> None:
    answer["receipt"]["items"][0][1] = "eaten"


def gap_ahead(answer: Any) -> None:
    answer["receipt"] |= {"status": "gap", "items": [], "wanted": 99}


def no_token(answer: Any) -> None:
    del answer["token"]


def list_of_measurements(answer: Any) -> None:
    answer["pull"]["measurements"] = []


def follow_up_without_task(answer: Any) -> None:
    answer["pull"]["follow_ups"] = {"x": [{"vector": {}, "set": {}}]}


def vector_without_tag(answer: Any) -> None:
    answer["pull"]["children"][0]["vector"] = {"x": [1]}


@pytest.mark.parametrize(
    "change",
    [
        cursor_is_text,
        receipt_of_another_batch,
        item_too_few,
        item_of_another_change,
        outcome_unknown,
        gap_ahead,
        no_token,
        list_of_measurements,
        follow_up_without_task,
        vector_without_tag,
    ],
)
def test_an_answer_is_not_believed_when_it_is_none_of_ours(hall: Hall, tablet: Client, change: Any) -> None:
    register(tablet, new_id())
    measure(tablet, new_id(), 1)
    hall.troubles.append(altered(change))
    report = tablet.sync()
    assert report.answered == 2
    assert len(report.troubles) == 1
    assert report.troubles[0].startswith("no answer of this server: answer.")


@pytest.mark.parametrize(("status", "body"), [(200, b"<html>Selamat datang"), (302, b""), (404, b"<html>")])
def test_a_captive_portal_is_no_answer(hall: Hall, tablet: Client, status: int, body: bytes) -> None:
    measure(tablet, new_id(), 1)
    hall.troubles += [says(status, body)] * 4
    with pytest.raises(NotReached, match="masih tersimpan"):
        tablet.sync()
    assert tablet.sync().answered == 1


def test_a_refusal_is_told_in_both_languages(on_sqlite: District, hall: Hall, file: Path) -> None:
    with pytest.raises(Refused) as caught:
        Client.enrol(file, URL, "AAAA-AAAA-AA", keys=KeysByNumber(), app=APP, device="uji", **settings(hall))
    assert caught.value.code == "enrolment-code-invalid"
    assert caught.value.title.startswith("Kode pendaftaran salah")
    assert caught.value.title_en.startswith("The enrolment code is wrong")


def test_a_batch_is_made_anew_when_it_was_refused_as_a_whole(hall: Hall, tablet: Client) -> None:
    measure(tablet, new_id(), 1)
    hall.troubles.append(says(400, {"code": "batch-malformed", "title": "Kiriman tidak dapat dibaca"}))
    with pytest.raises(Refused, match="batch-malformed"):
        tablet.sync()
    assert tablet.sync().answered == 1
    first, second = hall.batches()
    assert first["batch"] != second["batch"]


def test_a_server_that_wants_ever_more_is_left(hall: Hall, tablet: Client) -> None:
    hall.troubles += [altered(lambda answer: answer["pull"].update(more=True))] * 4
    with pytest.raises(RemoteProtocolError, match="never-quiet"):
        tablet.sync()


# -- enrolling --------------------------------------------------------------------------------------


def test_enrolment_asks_the_same_when_it_was_interrupted(on_sqlite: District, hall: Hall, file: Path) -> None:
    code = code_of(on_sqlite)

    def enrol() -> Client:
        return Client.enrol(file, URL, code, keys=KeysByNumber(), app=APP, device="uji", **settings(hall))

    hall.troubles.append(killed_before)
    with pytest.raises(Killed):
        enrol()
    enrol().close()
    assert len(hall.sent) == 2
    assert hall.sent[0] == hall.sent[1]


def test_enrolment_asks_anew_when_the_code_was_wrong(on_sqlite: District, hall: Hall, file: Path) -> None:
    for code in ("AAAA-AAAA-AA", code_of(on_sqlite)):
        try:
            Client.enrol(
                file, URL, code, keys=KeysByNumber(), app=APP, device="uji", **settings(hall)
            ).close()
        except Refused:
            continue
    with reopened(hall, file) as tablet:
        assert tablet.sync().is_quiet


def test_a_file_is_enrolled_only_once(on_sqlite: District, hall: Hall, file: Path) -> None:
    enrolled(on_sqlite, hall, file).close()
    with pytest.raises(LocalProtocolError, match="enrolled-already"):
        enrolled(on_sqlite, hall, file)


# -- devices that were copied -----------------------------------------------------------------------


def cloned(hall: Hall, tablet: Client, tmp_path: Path) -> Client:
    """Copy a tablet's disk into a second device."""
    tablet.store.copy_to(tmp_path / "clone.tablet")
    return reopened(hall, tmp_path / "clone.tablet")


def test_nothing_is_lost_or_doubled_when_a_tablet_is_cloned(
    on_sqlite: District, hall: Hall, tablet: Client, tmp_path: Path
) -> None:
    child = new_id()
    register(tablet, child)
    tablet.sync()
    clone = cloned(hall, tablet, tmp_path)
    with closing(clone):
        old = tablet.replica.tablet_id
        measure(tablet, child, 1)
        measure(clone, child, 2)
        renewals = [renewal for one in (tablet, clone, tablet, clone) for renewal in one.sync().renewals]
        assert [renewal.old_id for renewal in renewals] == [old, old]
        assert len(renewals[0].renumbered) == 1
        assert len(held(on_sqlite)) == 3
        check(on_sqlite, tablet, clone)
        measure(clone, child, 3)
        assert clone.sync().outcomes == {Outcome.APPLIED: 1}


def replaces_another(answer: Any) -> None:
    answer["replaces"] = answer["tablet"]


def common_beyond_the_log(answer: Any) -> None:
    answer["common"] = 3


def common_unsaid(answer: Any) -> None:
    del answer["common"]


def limits_of_nothing(answer: Any) -> None:
    answer["limits"]["changes"] = 0


@pytest.mark.parametrize(
    "change", [replaces_another, common_beyond_the_log, common_unsaid, limits_of_nothing]
)
def test_a_new_enrolment_is_not_believed_when_it_is_none_of_ours(
    on_sqlite: District, hall: Hall, tablet: Client, tmp_path: Path, change: Any
) -> None:
    clone = cloned(hall, tablet, tmp_path)
    with closing(clone):
        tablet.sync()
        measure(clone, new_id(), 1)
        hall.troubles += [Hall.through, altered(change)]
        report = clone.sync()
        assert report.troubles[0].startswith("no answer of this server: answer.")
        assert held(on_sqlite) == own(clone)


def test_a_clone_enrols_anew_when_a_carried_receipt_says_so(
    on_sqlite: District, hall: Hall, tablet: Client, tmp_path: Path
) -> None:
    clone = cloned(hall, tablet, tmp_path)
    with closing(clone):
        measure(tablet, new_id(), 1)
        tablet.sync()
        measure(clone, new_id(), 2)
        hall.troubles += [lost(sent=True)] * 4
        with pytest.raises(NotReached):
            clone.sync()
        (letter,) = clone.letters_to_carry()
        receipt = hall.through("/api/v1/sync", letter).json()["receipt"]
        assert isinstance(clone.take_carried_receipt(receipt), NewEpochRequired)
        assert len(clone.sync().renewals) == 1
        assert clone.replica.pending is None
        check(on_sqlite, clone)


def test_nothing_is_lost_when_a_tablet_is_restored_from_an_older_copy(
    on_sqlite: District, hall: Hall, tablet: Client, tmp_path: Path
) -> None:
    child = new_id()
    register(tablet, child)
    tablet.sync()
    tablet.store.copy_to(tmp_path / "old.tablet")
    measure(tablet, child, 1)
    tablet.sync()
    with reopened(hall, tmp_path / "old.tablet") as restored:
        measure(restored, child, 2)
        report = restored.sync()
        assert len(report.renewals) == 1
        assert len(held(on_sqlite)) == 3
        check(on_sqlite, restored)


@pytest.mark.parametrize("trouble", [killed_before, killed_after, answer_lost, lost(sent=True)])
def test_one_new_enrolment_is_made_when_the_new_enrolment_is_interrupted(
    on_sqlite: District, hall: Hall, tablet: Client, tmp_path: Path, trouble: Any
) -> None:
    clone = cloned(hall, tablet, tmp_path)
    tablet.sync()
    measure(clone, new_id(), 1)
    hall.troubles += [Hall.through, trouble]
    try:
        clone.sync()
    except Killed:
        clone.close()
        clone = reopened(hall, tmp_path / "clone.tablet")
    measure(clone, new_id(), 2)
    clone.sync()
    asked = {body for path, body in hall.sent if path.endswith("/again")}
    assert len(asked) == 1
    assert len(on_sqlite.rows(select(Tablet.id).where(Tablet.replaces.is_not(None)))) == 1
    assert held(on_sqlite) == own(clone)
    clone.close()


@pytest.mark.parametrize("measured_before", [True, False])
def test_a_form_opened_before_a_new_enrolment_overwrites_what_was_in_view(
    on_sqlite: District, hall: Hall, tablet: Client, tmp_path: Path, measured_before: bool
) -> None:
    child = new_id()
    register(tablet, child)
    if measured_before:
        measure(tablet, child, 1, weight_g=8100)
    tablet.sync()
    clone = cloned(hall, tablet, tmp_path)
    with closing(clone):
        tablet.sync()
        measure(clone, child, 1, weight_g=8200)
        form = clone.open_measurement(child, day(1))
        assert len(clone.sync().renewals) == 1
        clone.write(form, weighed(8300), author="kader-contoh")
        clone.sync()
        view = clone.view(("measurement", measurement_id(child, day(1), "cadre")))
        assert view is not None
        assert view.value("weight") == {"weight_g": 8300, "oedema": "n"}
        assert not view.incomplete


# -- the server's past, and its decisions -----------------------------------------------------------


def test_everything_is_sent_again_when_the_server_was_restored(
    on_sqlite: District, hall: Hall, tablet: Client
) -> None:
    backup = on_sqlite.back_up()
    child = new_id()
    register(tablet, child)
    measure(tablet, child, 1)
    tablet.sync()
    on_sqlite.restore(backup)
    report = tablet.sync()
    assert report.server_restored
    assert held(on_sqlite) == own(tablet)
    check(on_sqlite, tablet)


def test_a_tablet_goes_on_when_the_restored_server_knows_of_no_reason_to_enrol_again(
    on_sqlite: District, hall: Hall, file: Path, tablet: Client, tmp_path: Path
) -> None:
    child = new_id()
    register(tablet, child)
    tablet.sync()
    backup, old = on_sqlite.back_up(), tablet.replica.tablet_id
    with cloned(hall, tablet, tmp_path) as clone:
        clone.sync()
    hall.troubles += [lambda hall, path, body: hall.through(path, body), killed_before]
    with pytest.raises(Killed):
        tablet.sync()  # it is told to enrol again, and killed before it asks
    tablet.close()
    on_sqlite.restore(backup)
    with reopened(hall, file) as again:
        measure(again, child, 1)
        again.sync()
        assert again.replica.tablet_id == old
        assert held(on_sqlite) == own(again)
        check(on_sqlite, again)


def revoke(district: District, tablet: Client) -> None:
    with district.hub.database.transaction() as session:
        revoke_tablet(
            session, district.hub, tablet.replica.tablet_id, actor="operator", now=datetime.now(UTC)
        )


def test_a_tablet_is_told_when_it_was_revoked(on_sqlite: District, tablet: Client) -> None:
    measure(tablet, new_id(), 1)
    revoke(on_sqlite, tablet)
    report = tablet.sync()
    assert report.revoked
    assert report.outcomes == {Outcome.QUARANTINED: 1}


def test_a_tablet_is_told_when_it_may_not_enrol_again_and_keeps_its_changes(
    on_sqlite: District, hall: Hall, tablet: Client, tmp_path: Path
) -> None:
    clone = cloned(hall, tablet, tmp_path)
    tablet.sync()

    def revoked_first(hall: Hall, path: str, body: bytes) -> Answer:
        revoke(on_sqlite, clone)
        return hall.through(path, body)

    with closing(clone):
        measure(clone, new_id(), 1)
        hall.troubles += [Hall.through, revoked_first]
        with pytest.raises(Refused, match="tablet-revoked"):
            clone.sync()
        assert clone.replica.log


def test_a_carried_batch_is_answered_when_its_receipt_is_brought_back(
    on_sqlite: District, hall: Hall, tablet: Client
) -> None:
    measure(tablet, new_id(), 1)
    (letter,) = tablet.letters_to_carry()
    receipt = hall.through("/api/v1/sync", letter).json()["receipt"]
    with pytest.raises(RemoteProtocolError, match="receipt-malformed"):
        tablet.take_carried_receipt({**receipt, "items": "none"})
    with pytest.raises(RemoteProtocolError, match="receipt-malformed"):
        tablet.take_carried_receipt({**receipt, "items": [*receipt["items"], [2, "applied"]]})
    assert tablet.take_carried_receipt(receipt) is not None
    assert tablet.take_carried_receipt(receipt) is None
    assert tablet.replica.unanswered() == []
    assert tablet.sync().is_quiet
    assert held(on_sqlite) == own(tablet)


def test_a_letter_is_the_batch_as_it_was_signed(tablet: Client) -> None:
    measure(tablet, new_id(), 1)
    letter = orjson.loads(tablet._letter(None))
    assert letter["batch"] == tablet.replica.pending


# -- a server that has forgotten this tablet --------------------------------------------------------


def test_a_tablet_is_readmitted_when_the_server_was_restored_to_before_it(
    on_sqlite: District, hall: Hall, file: Path
) -> None:
    backup = on_sqlite.back_up()
    client = enrolled(on_sqlite, hall, file)
    with closing(client):
        child, old = new_id(), client.replica.tablet_id
        register(client, child)
        measure(client, child, 2)
        client.sync()
        on_sqlite.restore(backup)
        measure(client, child, 1)
        with pytest.raises(Refused, match="tablet-unknown"):
            client.sync()
        client.readmit(code_of(on_sqlite))
        client.sync()
        assert client.replica.tablet_id != old
        assert len(held(on_sqlite)) == 3
        check(on_sqlite, client)


def test_readmission_asks_the_same_when_it_was_interrupted(
    on_sqlite: District, hall: Hall, tablet: Client, file: Path
) -> None:
    register(tablet, new_id())
    tablet.sync()
    code = code_of(on_sqlite)
    hall.troubles.append(killed_after)
    with pytest.raises(Killed):
        tablet.readmit(code)
    tablet.close()
    again = reopened(hall, file)
    with closing(again):
        again.readmit(code)
        again.sync()
        tablets = on_sqlite.rows(select(Tablet.id))
        assert len(tablets) == 2
        assert len(again.replica.log) == 1
        assert again.replica.unanswered() == []
