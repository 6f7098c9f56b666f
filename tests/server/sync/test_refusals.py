"""Refused uploads in the log: in whose name, and how many, whatever strangers and carriers send."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest
from sqlalchemy import select

from server import audit
from server.app import create_app
from server.database.models import AuditEntry, Tablet
from server.errors import Problem
from server.sync.refusals import ProvenRefusal, log_refusal
from server.sync.tablet_chain import known_tablet
from server.web.api import relay
from server.web.flood_guard import Budget
from tests.server._carriers import Sender, bring, words
from tests.server._district import DISTRICT, District, FakeTablet


def refusals(district: District) -> list[tuple[str, str, str]]:
    """Give stream, actor and code of every refused upload in the log."""
    found = select(AuditEntry.stream, AuditEntry.actor, AuditEntry.details).order_by(AuditEntry.at)
    rows = district.rows(found.where(AuditEntry.action == "batch.refused"))
    return [(row.stream, row.actor, orjson.loads(row.details)["code"]) for row in rows]


def proven(district: District, tablet: FakeTablet, code: str) -> ProvenRefusal:
    with district.hub.database.reading() as session:
        known = known_tablet(session, DISTRICT, tablet.id, lock=False)
    return ProvenRefusal(known, code, app="posyandu-tablet 0.1", oldest="0.2", batch="x")


def log(district: District, refusal: Problem) -> None:
    log_refusal(district.hub, refusal, 900, district.clock.now)


# -- strangers --------------------------------------------------------------------------------------


def unsigned(tablet: FakeTablet) -> bytes:
    return orjson.dumps({"batch": {"tablet": tablet.id}, "signature": ""})


def badly_signed(tablet: FakeTablet) -> bytes:
    message = orjson.loads(tablet.next_message())
    return orjson.dumps({**message, "signature": "A" * 86})


@pytest.mark.parametrize("forge", [unsigned, badly_signed, lambda _: b"not json"])
def test_strangers_do_not_fill_the_log_nor_write_in_a_tablets_name(
    installed: District, forge: Callable[[FakeTablet], bytes]
) -> None:
    tablet, http = installed.tablet(), create_app(installed.hub.settings, installed.hub).test_client()
    tablet.register_child()
    body, before = forge(tablet), installed.counts()
    for _ in range(30):
        answer = http.post("/api/v1/sync", data=body, content_type="application/json")
        assert answer.status_code in (400, 401)
    after = installed.counts()
    grown = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    assert grown.keys() == {"audit_entry", "rate_limit"}
    assert max(grown.values()) <= 2  # two, if an hour ended meanwhile
    assert {(stream, actor) for stream, actor, _ in refusals(installed)} == {(audit.OFFICE, "tablet:unknown")}


def test_each_reason_is_logged_once_an_hour(installed: District) -> None:
    for _ in range(3):
        for code in ("signature-invalid", "tablet-unknown"):
            log(installed, Problem(code, tablet="x", district="y"))
    assert [code for *_, code in refusals(installed)] == ["signature-invalid", "tablet-unknown"]
    installed.clock.advance(hours=1)
    log(installed, Problem("tablet-unknown", tablet="x", district="y"))
    assert [code for *_, code in refusals(installed)][2:] == ["tablet-unknown"]
    assert installed.broken_log() == []


def test_refusal_is_logged_once_when_all_workers_meet_it_at_once(installed: District) -> None:
    ready = threading.Barrier(6)

    def refuse() -> None:
        ready.wait()
        log(installed, Problem("signature-invalid", tablet="x"))

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(refuse) for _ in range(6)]:
            done.result(timeout=60)
    assert len(refusals(installed)) == 1
    assert installed.broken_log() == []


# -- tablets ----------------------------------------------------------------------------------------


def test_refusal_that_a_tablet_has_signed_is_logged_in_its_name(installed: District) -> None:
    one, two = installed.tablet(), installed.tablet(1)
    for _ in range(2):
        log(installed, proven(installed, one, "app-too-old"))
        log(installed, proven(installed, two, "app-too-old"))
    log(installed, proven(installed, one, "batch-id-reused"))
    first, second = (audit.post_stream(post) for post in installed.posts)
    assert sorted(refusals(installed)) == sorted(
        [
            (first, f"tablet:{one.id}", "app-too-old"),
            (first, f"tablet:{one.id}", "batch-id-reused"),
            (second, f"tablet:{two.id}", "app-too-old"),
        ]
    )


def test_closed_enrolment_is_logged_once_an_hour_however_often_it_asks(installed: District) -> None:
    tablet = installed.tablet()
    tablet.register_child()
    tablet.sync_until_quiet()
    clone = tablet.clone()
    tablet.sync()
    clone.sync()
    assert installed.rows(select(Tablet.closed_at))[0].closed_at is not None
    before = installed.counts()
    for _ in range(20):
        clone.sync()
    assert installed.counts()["audit_entry"] == before["audit_entry"] + 1
    installed.clock.advance(hours=1)
    clone.sync()
    assert installed.counts()["audit_entry"] == before["audit_entry"] + 2


# -- carriers ---------------------------------------------------------------------------------------


@pytest.fixture
def sender(installed: District) -> Sender:
    tablet = installed.tablet()
    tablet.measure(tablet.register_child(), weight_g=9000)
    return Sender(tablet)


def grows_by(district: District, letters: Sequence[object]) -> int:
    """Bring letters thirty times; give by how many entries the log grew after the first time."""
    bring(district, letters)
    before = district.counts()
    for _ in range(30):
        bring(district, letters)
    after = district.counts()
    assert {name for name in after if after[name] != before[name]} <= {"audit_entry"}
    return after["audit_entry"] - before["audit_entry"]


def test_letter_that_was_taken_leaves_no_trace_when_it_is_brought_again(sender: Sender) -> None:
    assert grows_by(sender.tablet.district, [*sender.letters(), None]) == 0


def test_letter_before_which_one_is_missing_leaves_one_entry_an_hour(sender: Sender) -> None:
    district, (_, second) = sender.tablet.district, sender.letters(max_changes=1)
    assert words(bring(district, [second])) == ["gap"]
    assert grows_by(district, [second]) == 0
    assert district.actions(audit.post_stream(district.posts[0]))[-1] == "batch.gap"


def test_letter_of_a_closed_enrolment_leaves_one_entry_an_hour(sender: Sender) -> None:
    district, tablet = sender.tablet.district, sender.tablet
    letters, clone = sender.letters(), tablet.clone()
    tablet.sync()
    clone.sync()
    assert words(bring(district, letters)) == ["new_epoch_required"]
    assert grows_by(district, letters) == 0


def test_letter_whose_batch_id_was_used_leaves_one_entry_an_hour(sender: Sender) -> None:
    district, tablet = sender.tablet.district, sender.tablet
    (batch,) = tablet.replica.carried_batches(district.new_id, district.clock.text())
    sealing = district.hub.vault.sealing_key()
    one, other = (sender.seal({**batch, "app": app}, sealing) for app in ("one", "other"))
    assert words(bring(district, [one, other])) == ["accepted", "batch-id-reused"]
    assert grows_by(district, [other]) == 0
    assert refusals(district) == [
        (audit.post_stream(district.posts[0]), f"tablet:{tablet.id}", "batch-id-reused")
    ]


def test_letters_that_prove_nothing_leave_no_trace_at_the_endpoint(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    district = sender.tablet.district
    monkeypatch.setattr(relay, "BUDGET", Budget(1000))
    http = create_app(district.hub.settings, district.hub).test_client()
    sender.tablet.replica.tablet_id = district.new_id()
    before, letters = district.counts(), [*sender.letters(), None, {"sealed": 1}]
    for _ in range(10):
        assert http.post("/api/v1/carried", json={"letters": letters}).status_code == 200
    assert district.counts() == before
