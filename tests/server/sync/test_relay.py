"""Sealed letters: the cryptography against the RFC, the form against hostile hands, the endpoint, the command."""

import csv
import gzip
import io
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from cryptography.hazmat.bindings._rust import openssl
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from flask.testing import FlaskClient
from hypothesis import given, strategies as st
from sqlalchemy import text
from werkzeug.test import TestResponse

from schemas import check_sealed_receipt
from server import cli
from server.crypto.key_file import load_keys
from server.crypto.sealed_batch import PURPOSE, Slip, open_receipt
from server.crypto.vault import Keys, KeyUnusable, SigningKey, Vault, base64url, seal_to, unbase64
from server.sync.relay import MOST_BYTES, MOST_LETTERS, foresee, letters_of
from server.web.api import relay
from server.web.api.sync import turn
from server.web.flood_guard import Budget
from sync_protocol import Answered
from tests import _hpke
from tests.schemas._examples import DIRECTORY
from tests.server._carriers import Sender, answers, bring, shuffled
from tests.server._district import DISTRICT, District, FakeTablet

# RFC 9180, appendix A.3.1: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, base mode, sequence number 0.
RFC_RECIPIENT = "f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2"
RFC_EPHEMERAL = "4995788ef4b9d6132b249ce59a77281493eb39af373d236a1fe415cb0c2d7beb"
RFC_ENC = (
    "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac98536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb938265"
    "7222d18c4"
)
RFC_CIPHERTEXT = "5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434"
RFC_PLAIN, RFC_INFO, RFC_AAD = b"Beauty is truth, truth beauty", b"Ode on a Grecian Urn", b"Count-0"


def key_of(number: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int(number, 16), ec.SECP256R1())


def keys(*masters: bytes) -> Keys:
    return Keys(dict(enumerate(masters, 1)), bytes(32), "session")


# -- the cryptography -------------------------------------------------------------------------------


def test_library_opens_the_vector_of_the_rfc() -> None:
    suite = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_128_GCM)
    sealed = bytes.fromhex(RFC_ENC + RFC_CIPHERTEXT)
    plain = openssl.hpke._decrypt_with_aad(suite, sealed, key_of(RFC_RECIPIENT), RFC_INFO, RFC_AAD)
    assert plain == RFC_PLAIN


def test_second_implementation_makes_the_vector_of_the_rfc() -> None:
    recipient = key_of(RFC_RECIPIENT)
    sealed = _hpke.seal(recipient.public_key(), RFC_PLAIN, RFC_INFO, RFC_AAD, key_of(RFC_EPHEMERAL))
    assert sealed.hex() == RFC_ENC + RFC_CIPHERTEXT
    assert _hpke.unseal(recipient, sealed, RFC_INFO, RFC_AAD) == RFC_PLAIN


@given(plain=st.binary(max_size=300), purpose=st.text(max_size=40))
def test_second_implementation_opens_what_the_server_seals(plain: bytes, purpose: str) -> None:
    recipient = key_of(RFC_RECIPIENT)
    jwk = SigningKey(recipient).jwk()
    sealed = seal_to(jwk, plain, purpose)
    assert _hpke.unseal(recipient, sealed, purpose.encode(), b"") == plain
    assert len(sealed) == len(plain) + 81


def test_example_opens_with_the_keys_that_it_names() -> None:
    example = json.loads((DIRECTORY / "sealed.json").read_text())
    letter = example["letter"]["sealed"]
    private = ec.derive_private_key(int.from_bytes(unbase64(example["private_key"])), ec.SECP256R1())
    sealed = unbase64(letter["enc"]) + unbase64(letter["ciphertext"])
    suite = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_128_GCM)
    inside = json.loads(gzip.decompress(suite.decrypt(sealed, private, info=PURPOSE.encode())))
    assert inside == example["inside"]
    slip = Slip(example["answer"]["sealed_receipt"]["letter"], unbase64(inside["reply"]))
    assert open_receipt(example["answer"], slip).wire() == example["receipt"]
    assert check_sealed_receipt(example["answer"]) == []


def test_sealing_key_is_the_same_wherever_the_key_file_is_read(tmp_path: Path) -> None:
    made = load_keys(tmp_path / "keys.json", create=True)
    again = load_keys(tmp_path / "keys.json", create=False)
    assert Vault(made, DISTRICT).sealing_key() == Vault(again, DISTRICT).sealing_key()


def test_sealing_key_is_another_in_another_district() -> None:
    one = keys(bytes(32))
    assert Vault(one, DISTRICT).sealing_key() != Vault(one, "64.03").sealing_key()


def test_key_that_was_sealed_to_still_opens_when_a_newer_one_is_given_out() -> None:
    before = Vault(keys(b"a" * 32), DISTRICT)
    told = before.sealing_key()
    after = Vault(keys(b"a" * 32, b"b" * 32), DISTRICT)
    assert after.sealing_key()["key"] != told["key"]
    assert (
        after.open_sealed(told["key"], seal_to(told["public_key"], b"a letter", PURPOSE), PURPOSE)
        == b"a letter"
    )


def test_letter_of_another_installation_cannot_be_opened() -> None:
    told = Vault(keys(b"a" * 32), DISTRICT).sealing_key()
    with pytest.raises(KeyUnusable, match="not of this installation"):
        Vault(keys(b"b" * 32), DISTRICT).open_sealed(told["key"], b"", PURPOSE)


def test_letter_cannot_be_opened_for_another_purpose() -> None:
    vault = Vault(keys(b"a" * 32), DISTRICT)
    told = vault.sealing_key()
    with pytest.raises(KeyUnusable, match="altered"):
        vault.open_sealed(told["key"], seal_to(told["public_key"], b"a letter", "else"), PURPOSE)


# -- what a carrier can learn and do ----------------------------------------------------------------


@pytest.fixture
def sender(on_sqlite: District) -> Sender:
    tablet = on_sqlite.tablet()
    tablet.measure(tablet.register_child(), weight_g=9000)
    return Sender(tablet)


def test_letter_shows_nothing_of_whom_it_is_from_or_about(sender: Sender) -> None:
    (letter,) = sender.letters()
    assert set(letter) == {"sealed"}
    assert set(letter["sealed"]) == {"v", "key", "enc", "ciphertext"}
    ciphertext = unbase64(letter["sealed"]["ciphertext"])
    for secret in (sender.tablet.id, sender.tablet.replica.post_id, "Anak Contoh", DISTRICT):
        assert secret.encode() not in ciphertext
        assert secret not in json.dumps(letter)


def test_letter_is_another_each_time_that_the_same_batch_is_sealed(sender: Sender) -> None:
    (batch,) = sender.tablet.replica.carried_batches(sender.tablet.district.new_id, "2026-03-05T02:00:00Z")
    sealing = sender.tablet.district.hub.vault.sealing_key()
    one, other = sender.seal(batch, sealing), sender.seal(batch, sealing)
    assert one["sealed"]["enc"] != other["sealed"]["enc"]
    assert len(sender.slips) == 2


def test_receipt_opens_for_no_other_tablet(sender: Sender) -> None:
    district = sender.tablet.district
    other = Sender(district.tablet())
    other.tablet.register_child()
    (answer,) = answers(district, sender.letters())
    other.letters()
    (slip,) = other.slips.values()
    with pytest.raises(KeyUnusable):
        open_receipt(answer, slip)
    with pytest.raises(KeyUnusable, match="altered"):
        open_receipt(answer, Slip(answer["sealed_receipt"]["letter"], slip.reply_key))


def test_receipt_of_one_letter_is_not_taken_for_that_of_another(sender: Sender) -> None:
    one, other = sender.letters(max_changes=1)
    first, second = answers(sender.tablet.district, [one, other])
    swapped = {"sealed_receipt": {**first["sealed_receipt"], "letter": second["sealed_receipt"]["letter"]}}
    with pytest.raises(KeyUnusable):
        sender.open(swapped)


@pytest.mark.parametrize("place", [0, 12, -1])
def test_receipt_that_was_altered_is_refused(sender: Sender, place: int) -> None:
    (answer,) = answers(sender.tablet.district, sender.letters())
    sealed = bytearray(unbase64(answer["sealed_receipt"]["ciphertext"]))
    sealed[place] ^= 1
    answer["sealed_receipt"]["ciphertext"] = base64url(bytes(sealed))
    with pytest.raises(KeyUnusable):
        sender.open(answer)


@pytest.mark.parametrize(
    "answer", [None, [], {}, {"problem": "sealed-unreadable"}, {"sealed_receipt": {"v": 2}}]
)
def test_answer_without_a_receipt_is_told_apart(answer: Any) -> None:
    with pytest.raises(ValueError, match="no sealed receipt"):
        open_receipt(answer, Slip("x" * 22, bytes(16)))


def test_slip_is_the_same_after_storing() -> None:
    slip = Slip("x" * 22, bytes(range(16)))
    assert Slip.from_wire(orjson.loads(orjson.dumps(slip.wire()))) == slip


# -- letters that are no good -----------------------------------------------------------------------


def altered(letter: dict[str, Any], **inside: Any) -> dict[str, Any]:
    return {"sealed": {**letter["sealed"], **inside}}


def flipped(encoded: str, place: int) -> str:
    raw = bytearray(unbase64(encoded))
    raw[place] ^= 1
    return base64url(bytes(raw))


SPOILED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "nothing": lambda _: None,
    "a list": lambda letter: [letter],
    "no letter": lambda letter: letter["sealed"],
    "more than a letter": lambda letter: {**letter, "to": "server"},
    "another form": lambda letter: altered(letter, v=2),
    "a version that is true": lambda letter: altered(letter, v=True),
    "cut short": lambda letter: altered(letter, ciphertext=letter["sealed"]["ciphertext"][:-24]),
    "cut within a byte": lambda letter: altered(letter, ciphertext=letter["sealed"]["ciphertext"][:41]),
    "no base64url": lambda letter: altered(letter, ciphertext="+" + letter["sealed"]["ciphertext"][1:]),
    "one bit": lambda letter: altered(letter, ciphertext=flipped(letter["sealed"]["ciphertext"], 40)),
    "one bit of the tag": lambda letter: altered(letter, ciphertext=flipped(letter["sealed"]["ciphertext"], -1)),
    "one bit of the key": lambda letter: altered(letter, enc=flipped(letter["sealed"]["enc"], 30)),
    "no point": lambda letter: altered(letter, enc=base64url(b"\4" + bytes(64))),
    "a letter that never ends": lambda letter: altered(letter, ciphertext="A" * 349_526),
}  # fmt: skip


@pytest.mark.parametrize("how", sorted(SPOILED))
def test_spoiled_letter_is_told_and_leaves_no_trace(sender: Sender, how: str) -> None:
    district = sender.tablet.district
    (letter,) = sender.letters()
    before = district.counts()
    assert answers(district, [SPOILED[how](letter)]) == [{"problem": "sealed-unreadable"}]
    assert district.counts() == before


def sealed_by_hand(district: District, plain: bytes, *, packed: bool = True) -> dict[str, Any]:
    """Seal what no tablet would."""
    told = district.hub.vault.sealing_key()
    sealed = seal_to(told["public_key"], gzip.compress(plain) if packed else plain, PURPOSE)
    inside = {"v": 1, "key": told["key"], "enc": base64url(sealed[:65]), "ciphertext": base64url(sealed[65:])}
    return {"sealed": inside}


REPLY = '"reply":"AAAAAAAAAAAAAAAAAAAAAA"'


@pytest.mark.parametrize(
    ("plain", "code"),
    [
        (b"", "body-not-json"),
        (b"[]", "batch-malformed"),
        (b"{}", "batch-malformed"),
        (f"{{{REPLY}}}".encode(), "batch-malformed"),
        (f'{{{REPLY},"batch":{{}},"signature":""}}'.encode(), "batch-malformed"),
        (b'{"reply":"short","batch":{},"signature":""}', "batch-malformed"),
        (b"[" * 5000 + b"]" * 5000, "body-too-deep"),
        (b" " * 1_100_000, "batch-too-large"),
        (b"\xff", "body-not-json"),
    ],
)
def test_nonsense_that_was_well_sealed_is_told_and_leaves_no_trace(
    on_sqlite: District, plain: bytes, code: str
) -> None:
    before = on_sqlite.counts()
    assert answers(on_sqlite, [sealed_by_hand(on_sqlite, plain)]) == [{"problem": code}]
    assert on_sqlite.counts() == before


def test_what_is_sealed_must_be_packed(on_sqlite: District) -> None:
    letter = sealed_by_hand(on_sqlite, b"{}", packed=False)
    assert answers(on_sqlite, [letter]) == [{"problem": "body-not-gzip"}]


def test_letter_for_another_server_is_told(sender: Sender) -> None:
    (batch,) = sender.tablet.replica.carried_batches(sender.tablet.district.new_id, "2026-03-05T02:00:00Z")
    foreign = Vault(keys(b"x" * 32), DISTRICT).sealing_key()
    letter = sender.seal(batch, foreign)
    assert answers(sender.tablet.district, [letter]) == [{"problem": "sealed-for-another-server"}]


def test_batch_with_a_bad_signature_is_told_and_leaves_no_trace(sender: Sender) -> None:
    district = sender.tablet.district
    sender.tablet.key = SigningKey()
    letters, before = sender.letters(), district.counts()
    assert answers(district, letters) == [{"problem": "signature-invalid"}]
    assert district.counts() == before


def test_batch_of_a_tablet_that_nobody_knows_is_told(sender: Sender) -> None:
    district = sender.tablet.district
    sender.tablet.replica.tablet_id = district.new_id()
    assert answers(district, sender.letters()) == [{"problem": "tablet-unknown"}]


def test_batch_that_the_tablet_meant_to_send_itself_is_refused_and_costs_it_nothing(sender: Sender) -> None:
    district, tablet = sender.tablet.district, sender.tablet
    batch = tablet.replica.next_batch(district.new_id(), district.clock.text())
    letter = sender.seal(batch, district.hub.vault.sealing_key())
    assert answers(district, [letter]) == [{"problem": "batch-not-carried"}]
    tablet.sync_until_quiet()
    assert tablet.outcomes() == ["applied", "applied"]


def test_id_of_a_batch_used_again_for_other_content_is_told_and_logged(sender: Sender) -> None:
    district, tablet = sender.tablet.district, sender.tablet
    (batch,) = tablet.replica.carried_batches(district.new_id, district.clock.text())
    sealing = district.hub.vault.sealing_key()
    letters = [sender.seal({**batch, "app": app}, sealing) for app in ("one", "other")]
    assert [answer.get("problem") for answer in answers(district, letters)] == [None, "batch-id-reused"]
    assert district.actions(f"post/{tablet.replica.post_id}")[-1] == "batch.refused"


# -- what the office's log says ---------------------------------------------------------------------


def test_delivery_is_logged_with_counts_alone(sender: Sender) -> None:
    district = sender.tablet.district
    bring(district, [*sender.letters(max_changes=1), None])
    query = text("SELECT actor, details FROM audit_entry WHERE action = 'batches.delivered'")
    ((actor, details),) = district.rows(query)
    assert actor == "carrier"
    assert orjson.loads(details) == {"letters": 3, "became": {"accepted": 2, "sealed-unreadable": 1}}


def test_batch_that_was_carried_is_logged_as_such(sender: Sender) -> None:
    district = sender.tablet.district
    bring(district, sender.letters())
    query = text("SELECT details FROM audit_entry WHERE action = 'batch.accepted'")
    ((details,),) = district.rows(query)
    assert orjson.loads(details)["carried"] is True
    assert district.broken_log() == []


def test_carried_batch_says_nothing_of_the_clock_or_the_last_contact(sender: Sender) -> None:
    bring(sender.tablet.district, sender.letters())
    rows = sender.tablet.district.rows(text("SELECT last_sync_at, clock_offset_ms FROM tablet"))
    assert [tuple(row) for row in rows] == [(None, None)]


# -- a dry run --------------------------------------------------------------------------------------


def test_dry_run_says_what_delivering_does_and_leaves_no_trace(installed: District) -> None:
    one, other = Sender(installed.tablet()), Sender(installed.tablet(1))
    for sender in (one, other):
        child = sender.tablet.register_child()
        for day in range(1, 6):
            sender.tablet.measure(child, f"2026-03-0{day}", weight_g=9 if day == 3 else 9000)
    letters = shuffled([*one.letters(max_changes=2), *other.letters(max_changes=2), None], 3)
    before = installed.counts()
    foreseen = foresee(installed.hub, letters, now=installed.clock.now)
    assert installed.counts() == before
    done = bring(installed, letters)
    assert [(b.word(), b.known, dict(b.outcomes())) for b in foreseen] == [
        (b.word(), b.known, dict(b.outcomes())) for b in done
    ]
    again = foresee(installed.hub, letters, now=installed.clock.now)
    assert [b.known for b in again] == [b.word() == "accepted" for b in done]


def test_dry_run_leaves_no_trace_while_tablets_sync(installed: District) -> None:
    sender, busy = Sender(installed.tablet()), [installed.tablet(n % 2) for n in range(2)]
    child = sender.tablet.register_child()
    sender.tablet.measure(child, weight_g=9000)
    letters, stop = sender.letters(), threading.Event()

    def work(tablet: FakeTablet) -> None:
        while not stop.is_set():
            tablet.measure(tablet.register_child(), weight_g=9000)
            tablet.sync()

    threads = [threading.Thread(target=work, args=(tablet,)) for tablet in busy]
    for thread in threads:
        thread.start()
    try:
        seen = [foresee(installed.hub, letters, now=installed.clock.now)[0].word() for _ in range(12)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert seen == ["accepted"] * 12
    assert sum(len(tablet.replica.log) for tablet in busy) == installed.counts()["change"]
    installed.settle(*busy)


# -- the endpoint -----------------------------------------------------------------------------------

CARRIED = "/api/v1/carried"


@pytest.fixture
def http(client: FlaskClient) -> Iterator[FlaskClient]:
    client.application.testing = False  # answer as in production, whatever is raised
    relay.BUDGET.left.clear()
    yield client
    relay.BUDGET.left.clear()


def post(http: FlaskClient, message: Any) -> TestResponse:
    return http.post(CARRIED, data=orjson.dumps(message), content_type="application/json")


@pytest.fixture
def now_sender(on_sqlite: District) -> Sender:
    on_sqlite.clock.now = datetime.now(UTC).replace(microsecond=0)  # the view reads the real clock
    tablet = on_sqlite.tablet()
    tablet.measure(tablet.register_child(), on_sqlite.clock.now.date().isoformat(), weight_g=9000)
    return Sender(tablet)


def test_anyone_may_bring_letters_and_takes_receipts_home(http: FlaskClient, now_sender: Sender) -> None:
    told = http.get(CARRIED).json or {}
    assert told["sealing"] == now_sender.tablet.district.hub.vault.sealing_key()
    letters = now_sender.letters(max_changes=1)
    answer = post(http, {"letters": [letters[1], "nonsense", letters[0]]})
    assert answer.status_code == 200
    receipts = (answer.json or {})["answers"]
    assert receipts[1] == {"problem": "sealed-unreadable"}
    assert [check_sealed_receipt(receipts[place]) for place in (0, 2)] == [[], []]
    now_sender.take(receipts)
    assert now_sender.tablet.outcomes() == ["applied", "applied"]


@pytest.mark.parametrize(
    ("message", "status", "code"),
    [
        ([], 400, "request-malformed"),
        ({}, 400, "request-malformed"),
        ({"letters": {}}, 400, "request-malformed"),
        ({"letters": []}, 400, "request-malformed"),
        ({"letters": [None], "more": 1}, 400, "request-malformed"),
        ({"letters": [None] * (MOST_LETTERS + 1)}, 413, "batch-too-large"),
        ({"letters": ["x" * 1_048_577]}, 413, "batch-too-large"),
    ],
)
def test_request_that_is_no_delivery_is_refused(
    http: FlaskClient, message: Any, status: int, code: str
) -> None:
    answer = post(http, message)
    assert (answer.status_code, (answer.json or {})["code"]) == (status, code)


def test_flood_of_one_address_is_slowed_and_its_tablet_is_not(http: FlaskClient, now_sender: Sender) -> None:
    codes = [post(http, {"letters": [None] * MOST_LETTERS}).status_code for _ in range(8)]
    assert codes[:6] == [200] * 6
    assert codes[6:] == [429] * 2
    answer = http.post("/api/v1/sync", data=now_sender.tablet.next_message(), content_type="application/json")
    assert answer.status_code == 200


def test_flood_from_many_addresses_of_one_house_is_slowed_as_from_one(http: FlaskClient) -> None:
    def bring(address: str) -> int:
        told = orjson.dumps({"letters": [None] * MOST_LETTERS})
        where = {"environ_overrides": {"REMOTE_ADDR": address}}
        return http.post(CARRIED, data=told, content_type="application/json", **where).status_code

    assert [bring(f"2001:db8:0:7::{number:x}") for number in range(1, 9)] == [200] * 6 + [429] * 2
    assert bring("2001:db8:0:8::1") == 200
    assert [bring("::ffff:203.0.113.7") for _ in range(6)] == [200] * 6
    assert bring("203.0.113.7") == 429


def test_second_delivery_at_once_is_asked_to_come_again(http: FlaskClient) -> None:
    with relay._DELIVERING:
        answer = post(http, {"letters": [None]})
    assert answer.status_code == 429
    assert (answer.json or {})["seconds"] == relay.SECONDS_WHEN_BUSY
    assert post(http, {"letters": [None]}).status_code == 200


def test_letters_wait_for_a_tablets_turn_only_once_they_are_proven(
    http: FlaskClient, now_sender: Sender
) -> None:
    letters = now_sender.letters()
    codes: list[int] = []
    with turn():
        assert post(http, {"letters": [None] * 5}).status_code == 200
        waiting = threading.Thread(
            target=lambda: codes.append(
                post(http.application.test_client(), {"letters": letters}).status_code
            )
        )
        waiting.start()
        waiting.join(0.3)
        assert codes == []
    waiting.join()
    assert codes == [200]


def test_budget_is_refilled_with_time_and_is_each_addresss_own() -> None:
    budget = Budget(60)
    assert budget.seconds_to_wait("a", 60, 0.0) == 0
    assert budget.seconds_to_wait("a", 10, 0.0) == 11
    assert budget.seconds_to_wait("b", 10, 0.0) == 0
    assert budget.seconds_to_wait("a", 10, 10.0) == 0
    assert budget.seconds_to_wait("a", 60, 1000.0) == 0
    assert budget.seconds_to_wait("a", 1, 1000.0) > 0


def test_budget_remembers_no_more_addresses_than_it_may() -> None:
    budget = Budget(60, addresses=3)
    for number in range(10):
        budget.seconds_to_wait(f"address {number}", 1, 0.0)
    assert list(budget.left) == ["address 7", "address 8", "address 9"]


def test_tablet_is_told_the_sealing_key_when_it_enrols(http: FlaskClient, on_sqlite: District) -> None:
    from server import accounts

    with on_sqlite.hub.database.transaction() as session:
        now = datetime.now(UTC)
        code = accounts.make_enrolment_code(
            session, on_sqlite.hub, on_sqlite.posts[0], "Tablet Contoh", actor="operator", now=now
        )
    asked = {"code": code, "public_key": SigningKey().jwk(), "app": "contoh 1", "device": "uji"}
    answer = http.post("/api/v1/enrol", data=orjson.dumps(asked), content_type="application/json")
    assert (answer.json or {})["sealing"] == on_sqlite.hub.vault.sealing_key()


# -- the command ------------------------------------------------------------------------------------


@pytest.fixture
def run(on_sqlite: District, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    settings = on_sqlite.hub.settings
    environment = {
        "POSYANDU_DATA": str(settings.data_dir),
        "DATABASE_URL": settings.database_url,
        "POSYANDU_KEY_FILE": str(settings.key_file),
    }

    def invoke(*arguments: object) -> Any:
        return CliRunner().invoke(cli.main, ["import", "batch", *map(str, arguments)], env=environment)

    return invoke


def write(path: Path, letters: list[Any]) -> Path:
    path.write_bytes(b"".join(orjson.dumps(letter) + b"\n" for letter in letters))
    return path


def table_of(result: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(result.stdout)))


def test_import_says_what_would_happen_and_stores_nothing(
    run: Callable[..., Any], sender: Sender, tmp_path: Path
) -> None:
    district = sender.tablet.district
    file, before = write(tmp_path / "bag.posyandu", sender.letters(max_changes=1)), district.counts()
    before["audit_entry"] += 1  # of the command
    result = run(file, "--format", "csv")
    assert result.exit_code == 0
    assert [(r["name"], r["first"], r["answer"], r["known"], r["outcomes"]) for r in table_of(result)] == [
        ("Tablet Contoh", "1", "accepted", "no", "applied=1"),
        ("Tablet Contoh", "2", "accepted", "no", "applied=1"),
    ]
    assert "--apply" in result.stderr
    assert district.counts() == before
    assert list(tmp_path.iterdir()) == [file]


def test_import_takes_letters_and_writes_receipts_that_settle_the_tablet(
    run: Callable[..., Any], sender: Sender, tmp_path: Path
) -> None:
    first, second = (
        write(tmp_path / f"{n}.posyandu", [letter]) for n, letter in enumerate(sender.letters(max_changes=1))
    )
    assert run(second, first, "--apply").exit_code == 0
    for file in (first, second):
        lines = letters_of(file.with_name(f"{file.name}.receipts").read_bytes())
        assert all(isinstance(event, Answered) for event in sender.take(lines))  # type: ignore[arg-type]  # JSON
    assert sender.tablet.outcomes() == ["applied", "applied"]
    again = run(first, "--apply", "--format", "json")
    assert [row["known"] for row in json.loads(again.stdout)] == [True]
    assert sender.tablet.district.counts()["change"] == 2


def test_import_tells_of_a_letter_that_is_no_good_and_takes_the_others(
    run: Callable[..., Any], sender: Sender, tmp_path: Path
) -> None:
    file = tmp_path / "bag.posyandu"
    file.write_bytes(b"nonsense\n\n" + orjson.dumps(sender.letters()[0]) + b"\n")
    result = run(file, "--apply", "--format", "csv")
    assert result.exit_code == 1
    assert [row["answer"] for row in table_of(result)] == ["sealed-unreadable", "accepted"]


def test_import_shows_a_table_for_people(run: Callable[..., Any], sender: Sender, tmp_path: Path) -> None:
    result = run(write(tmp_path / "bag.posyandu", sender.letters()))
    assert result.exit_code == 0
    assert "Melati 1" in result.stdout
    assert "applied=2" in result.stdout
    assert "Anak" not in result.stdout


def test_import_needs_attention_when_a_change_is_set_aside(
    run: Callable[..., Any], sender: Sender, tmp_path: Path
) -> None:
    sender.tablet.measure(sender.tablet.register_child(), weight_g=9)
    assert run(write(tmp_path / "bag.posyandu", sender.letters())).exit_code == 1


def test_import_gives_the_receipts_again_when_they_could_not_be_written(
    run: Callable[..., Any], sender: Sender, tmp_path: Path
) -> None:
    file = write(tmp_path / "bag.posyandu", sender.letters())
    blocked = tmp_path / "bag.posyandu.receipts"
    blocked.mkdir()
    result = run(file, "--apply", "--format", "csv")
    assert result.exit_code == 1
    assert [row["answer"] for row in table_of(result)] == ["accepted"]
    assert str(blocked) in result.stderr
    blocked.rmdir()
    assert run(file, "--apply").exit_code == 0
    sender.take(letters_of(blocked.read_bytes()))  # type: ignore[arg-type]  # JSON
    assert sender.tablet.outcomes() == ["applied", "applied"]


def test_import_of_a_file_without_letters_is_wrong_use(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "empty.posyandu").write_bytes(b"\n")
    result = run(tmp_path / "empty.posyandu")
    assert result.exit_code == 2
    assert "no sealed batch" in result.stderr
    assert run(tmp_path / "absent.posyandu").exit_code == 2
    assert run().exit_code == 2


def test_import_of_more_than_fits_is_wrong_use(run: Callable[..., Any], tmp_path: Path) -> None:
    with (tmp_path / "huge.posyandu").open("wb") as huge:
        huge.truncate(MOST_BYTES + 1)
    result = run(tmp_path / "huge.posyandu")
    assert result.exit_code == 2
    assert "64 MiB" in result.stderr
