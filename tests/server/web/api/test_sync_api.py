"""POST /api/v1/sync and /api/v1/enrol over HTTP: whatever comes is answered with a clear problem, never a 500.

Time is the real one here, since the views read the clock.
"""

import gzip
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from schemas import check_answer, check_enrol_answer
from server import accounts, audit
from server.accounts import attempt_limits
from server.crypto.vault import SigningKey, base64url
from server.web.api.sync import TURN_SECONDS, turn
from sync_protocol import canonical
from tests.server._district import District, FakeTablet

SYNC, ENROL = "/api/v1/sync", "/api/v1/enrol"


@pytest.fixture
def district(on_sqlite: District) -> District:
    on_sqlite.clock.now = datetime.now(UTC).replace(microsecond=0)
    return on_sqlite


@pytest.fixture
def tablet(district: District) -> FakeTablet:
    return district.tablet()


@pytest.fixture
def http(client: FlaskClient, district: District) -> FlaskClient:
    client.application.testing = False  # answer as in production, whatever is raised
    return client


def post(http: FlaskClient, body: bytes, path: str = SYNC, **headers: str) -> TestResponse:
    return http.post(path, data=body, content_type="application/json", headers=headers)


def check_problem(answer: TestResponse, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is a problem, told in both languages, and give it."""
    body: dict[str, Any] = orjson.loads(answer.data)
    assert (answer.status_code, body["code"]) == (status, code)
    assert answer.mimetype == "application/problem+json"
    assert body["status"] == status
    assert body["title"]
    assert body["title_en"]
    assert body["title"] != body["title_en"]
    return body


def check_nothing_stored(district: District, before: dict[str, int], logged: int = 1, **counted: int) -> None:
    """Check that a refusal left entries in the log alone, and `counted` rows of other tables."""
    after = district.counts()
    left = {"audit_entry": logged, "rate_limit": logged} if logged else {}
    assert {
        name: after[name] - before[name] for name in after if after[name] != before[name]
    } == left | counted


# -- what is taken ----------------------------------------------------------------------------------


def test_batch_is_taken_and_answered(http: FlaskClient, tablet: FakeTablet) -> None:
    tablet.measure(tablet.register_child(), tablet.district.clock.now.date().isoformat(), weight_g=9000)
    answer = post(http, tablet.next_message())
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert check_answer(answer.json) == []
    tablet.replica.receive(answer.json or {}, tablet.district.clock.text())
    assert tablet.outcomes() == ["applied", "applied"]
    tablet.district.check_agreement(tablet)


def test_batch_may_come_as_gzip_and_the_answer_goes_as_gzip(http: FlaskClient, tablet: FakeTablet) -> None:
    for _ in range(5):
        tablet.register_child()
    packed = gzip.compress(tablet.next_message())
    answer = post(http, packed, **{"Content-Encoding": "gzip", "Accept-Encoding": "gzip"})
    assert (answer.status_code, answer.headers["Content-Encoding"]) == (200, "gzip")
    assert len(orjson.loads(gzip.decompress(answer.data))["receipt"]["items"]) == 5


def test_receipt_is_the_same_when_the_answer_was_lost(http: FlaskClient, tablet: FakeTablet) -> None:
    tablet.register_child()
    message = tablet.next_message()
    first, again = post(http, message), post(http, gzip.compress(message), **{"Content-Encoding": "gzip"})
    assert first.json is not None
    assert again.json is not None
    assert first.json["receipt"] == again.json["receipt"]


def test_rest_of_a_mixed_batch_lands(http: FlaskClient, tablet: FakeTablet) -> None:
    today = tablet.district.clock.now.date()
    child = tablet.register_child(None, identity={**identity_of_today(tablet)})
    tablet.measure(child, today.isoformat(), weight_g=9)
    tablet.measure(child, today.replace(year=today.year + 1).isoformat(), weight_g=9000)
    tablet.measure(child, "2020-01-01", weight_g=9000)
    tablet.write(tablet.replica.open_child(child), {"birth": {"weight_g": "3000"}, "novel": {}})
    tablet.measure(child, today.isoformat(), length_mm=745)
    tablet.replica.receive(post(http, tablet.next_message()).json or {}, tablet.district.clock.text())
    assert tablet.outcomes() == ["applied", *["quarantined"] * 4, "applied"]
    assert [tablet.reasons(n) for n in range(2, 6)] == [
        ["out-of-range"],
        ["date-in-future"],
        ["before-birth"],
        ["not-whole-number", "unknown-field"],
    ]


def identity_of_today(tablet: FakeTablet) -> dict[str, Any]:
    born = tablet.district.clock.now.date()
    return {
        "name": "Anak Contoh",
        "sex": "F",
        "born_on": born.replace(year=born.year - 1, day=1).isoformat(),
    } | {"birth_order": 1}


def test_carriers_may_bring_one_batch_at_once(http: FlaskClient, tablet: FakeTablet) -> None:
    tablet.register_child()
    message, answers = tablet.next_message(), []
    threads = [
        threading.Thread(target=lambda: answers.append(post(http.application.test_client(), message)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200] * 4
    assert tablet.district.counts()["change"] == 1


# -- bodies that cannot be read ---------------------------------------------------------------------

GZIP = {"Content-Encoding": "gzip"}
UNREADABLE: dict[str, tuple[bytes, dict[str, str], int, str]] = {
    "empty": (b"", {}, 400, "body-not-json"),
    "not JSON": (b"{'batch': 1}", {}, 400, "body-not-json"),
    "cut off": (b'{"batch": {"chan', {}, 400, "body-not-json"),
    "NaN": (b'{"batch": NaN}', {}, 400, "body-not-json"),
    "infinite": (b'{"batch": 1e999}', {}, 400, "body-not-json"),
    "not UTF-8": (b'{"batch": "\xff\xfe"}', {}, 400, "body-not-json"),
    "lone surrogate": (b'{"batch": "\\ud800"}', {}, 400, "body-not-json"),
    "nested deeply": (b'{"a":' * 13 + b"1" + b"}" * 13, {}, 400, "body-too-deep"),
    "nested without end": (b"[" * 200_000, {}, 400, "body-not-json"),
    "truncated gzip": (gzip.compress(b'{"batch": {}}' * 99)[:-9], GZIP, 400, "body-not-gzip"),
    "not gzip": (b'{"batch": {}}', GZIP, 400, "body-not-gzip"),
    "gzip bomb": (gzip.compress(b" " * 100_000_000), GZIP, 413, "batch-too-large"),
    "10 MB": (b" " * 10_000_000, {}, 413, "batch-too-large"),
    "unknown encoding": (b"{}", {"Content-Encoding": "br"}, 415, "media-type-unknown"),
    "a list": (b"[]", {}, 400, "batch-malformed"),
    "a number": (b"7", {}, 400, "batch-malformed"),
    "an empty object": (b"{}", {}, 400, "batch-malformed"),
}


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.parametrize("path", [SYNC, ENROL])
def test_body_that_cannot_be_read_is_refused_clearly(
    http: FlaskClient, district: District, name: str, path: str
) -> None:
    body, headers, status, code = UNREADABLE[name]
    before = district.counts()
    if path == ENROL and code == "batch-malformed":
        code = "enrolment-malformed"
    check_problem(post(http, body, path, **headers), status, code)
    check_nothing_stored(district, before, logged=1 if path == SYNC else 0)


def test_refusal_takes_no_time_when_quotes_are_escaped_without_end(http: FlaskClient) -> None:
    started = time.monotonic()
    answer = post(http, b'{"a":"' + b'\\"' * 20_000)
    assert answer.status_code == 400
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "multipart/form-data", ""])
@pytest.mark.parametrize("path", [SYNC, ENROL])
def test_other_media_type_is_refused(http: FlaskClient, path: str, media_type: str) -> None:
    check_problem(http.post(path, data=b"{}", content_type=media_type), 415, "media-type-unknown")


@pytest.mark.parametrize("path", [SYNC, ENROL])
def test_get_on_a_post_route_is_refused(http: FlaskClient, path: str) -> None:
    check_problem(http.get(path), 405, "method-not-allowed")


def test_unknown_address_is_refused(http: FlaskClient) -> None:
    check_problem(http.get("/api/v1/nothing"), 404, "page-unknown")


def test_media_type_may_name_its_characters(http: FlaskClient, tablet: FakeTablet) -> None:
    tablet.register_child()
    answer = http.post(SYNC, data=tablet.next_message(), content_type="application/json; charset=utf-8")
    assert answer.status_code == 200


# -- batches that cannot be believed ----------------------------------------------------------------


def test_wrong_fields_are_each_named(http: FlaskClient, tablet: FakeTablet) -> None:
    batch = tablet.replica.next_batch(tablet.district.new_id(), tablet.district.clock.text())
    wrong = {**batch, "first": "1", "cursor": True, "changes": [7], "novel": 1, "sent_at": None}
    before = tablet.district.counts()
    body = check_problem(post(http, tablet.signed(wrong)), 400, "batch-malformed")
    assert {reason["path"] for reason in body["reasons"]} == {
        "batch.first", "batch.cursor", "batch.changes.0", "batch.novel", "batch.sent_at"
    }  # fmt: skip
    assert all(reason["id"] and reason["en"] for reason in body["reasons"])
    check_nothing_stored(tablet.district, before)


def other_key(tablet: FakeTablet) -> bytes:
    tablet.key = SigningKey()
    return tablet.next_message()


def altered(tablet: FakeTablet) -> bytes:
    message = orjson.loads(tablet.next_message())
    message["batch"]["changes"][0]["set"]["identity"]["name"] = "Anak Lain"
    return orjson.dumps(message)


def unknown(tablet: FakeTablet) -> bytes:
    batch = tablet.replica.next_batch(tablet.district.new_id(), tablet.district.clock.text())
    return tablet.signed({**batch, "tablet": "01900000-0000-7000-8000-00000000ffff"})


def other_protocol(tablet: FakeTablet) -> bytes:
    batch = tablet.replica.next_batch(tablet.district.new_id(), tablet.district.clock.text())
    return tablet.signed({**batch, "protocol": 2})


def too_many(tablet: FakeTablet) -> bytes:
    for _ in range(200):
        tablet.register_child()
    return tablet.next_message(max_changes=201)


@pytest.mark.parametrize(
    ("forge", "status", "code"),
    [
        (other_key, 401, "signature-invalid"),
        (altered, 401, "signature-invalid"),
        (unknown, 403, "tablet-unknown"),
        (other_protocol, 400, "batch-malformed"),
        (too_many, 400, "batch-malformed"),
    ],
)
def test_batch_that_cannot_be_believed_is_refused(
    http: FlaskClient, tablet: FakeTablet, forge: Callable[[FakeTablet], bytes], status: int, code: str
) -> None:
    tablet.register_child()
    message = forge(tablet)
    before = tablet.district.counts()
    check_problem(post(http, message), status, code)
    check_nothing_stored(tablet.district, before)
    stream = audit.OFFICE if forge is unknown else audit.post_stream(tablet.district.posts[0])
    assert "batch.refused" in tablet.district.actions(stream) + tablet.district.actions(audit.OFFICE)


def test_batch_id_used_for_other_content_is_refused(http: FlaskClient, tablet: FakeTablet) -> None:
    tablet.register_child()
    message = tablet.next_message()
    post(http, message)
    before = tablet.district.counts()
    other = tablet.signed({**orjson.loads(message)["batch"], "app": "other/1"})
    check_problem(post(http, other), 409, "batch-id-reused")
    check_nothing_stored(tablet.district, before)


@pytest.mark.parametrize("claimed", ["", "x" * 36, "01900000-0000-7000-8000-00000000FFFF", 7, None, {}])
def test_claim_of_an_odd_tablet_is_logged_without_harm(
    http: FlaskClient, district: District, claimed: object
) -> None:
    check_problem(post(http, orjson.dumps({"batch": {"tablet": claimed}})), 400, "batch-malformed")
    assert district.actions(audit.OFFICE)[-1] == "batch.refused"


# -- enrolling --------------------------------------------------------------------------------------


def asked(district: District, **overrides: Any) -> bytes:
    with district.hub.database.transaction() as session:
        code = accounts.make_enrolment_code(
            session, district.hub, district.posts[0], "Tablet 1", actor="operator", now=district.clock.now
        )
    key = SigningKey().jwk()
    return orjson.dumps({"code": code, "public_key": key, "app": "uji/1", "device": "uji", **overrides})


def test_device_is_enrolled_once(http: FlaskClient, district: District) -> None:
    body = asked(district)
    answer = post(http, body, ENROL)
    assert answer.status_code == 200
    assert check_enrol_answer(answer.json) == []
    assert answer.json is not None
    assert answer.json["post"] == {"id": district.posts[0], "name": "Melati 1"}
    again = post(http, body, ENROL)
    assert again.json is not None
    assert again.json["tablet"] == answer.json["tablet"]  # its answer was lost
    other = orjson.dumps({**orjson.loads(body), "public_key": SigningKey().jwk()})
    check_problem(post(http, other, ENROL), 403, "enrolment-code-invalid")


@pytest.mark.parametrize(
    ("overrides", "status", "code"),
    [
        ({"code": "AAAA-AAAA-AA"}, 403, "enrolment-code-invalid"),
        ({"code": "aaaa-aaaa-aa"}, 400, "enrolment-malformed"),
        ({"public_key": {**SigningKey().jwk(), "x": base64url(b"\x01" * 32)}}, 400, "request-malformed"),
        ({"public_key": {**SigningKey().jwk(), "d": "secret"}}, 400, "enrolment-malformed"),
        ({"novel": 1}, 400, "enrolment-malformed"),
    ],
)
def test_device_is_refused(
    http: FlaskClient, district: District, overrides: dict[str, Any], status: int, code: str
) -> None:
    body = asked(district, **overrides)
    before = district.counts()
    check_problem(post(http, body, ENROL), status, code)
    guessed = (
        {"rate_limit": 1} if code == "enrolment-code-invalid" else {}
    )  # whoever guesses codes is slowed down
    check_nothing_stored(district, before, logged=len(guessed), **guessed)


def test_new_enrolments_from_one_address_are_bounded(http: FlaskClient, district: District) -> None:
    def renewed() -> TestResponse:
        tablet = district.tablet()
        copy = tablet.clone()
        copy.register_child()
        copy.sync()  # so there is a reason
        asked: dict[str, Any] = {"tablet": tablet.id, "public_key": SigningKey().jwk(), "app": "uji/1"}
        asked |= {"device": "uji", "first": 1, "tags": []}
        body = {"request": asked, "signature": base64url(tablet.key.sign(canonical(asked)))}
        return post(http, orjson.dumps(body), f"{ENROL}/again")

    limit = attempt_limits.LIMITS["renewal"].tries
    answers = Counter(renewed().status_code for _ in range(limit))
    assert answers == {200: limit}
    check_problem(renewed(), 429, "too-many-tries")


def test_new_enrolment_is_refused_when_there_is_no_reason(http: FlaskClient, tablet: FakeTablet) -> None:
    asked: dict[str, Any] = {"tablet": tablet.id, "public_key": SigningKey().jwk(), "app": "uji/1"}
    asked |= {"device": "uji", "first": 1, "tags": []}
    body = {"request": asked, "signature": base64url(tablet.key.sign(canonical(asked)))}
    check_problem(post(http, orjson.dumps(body), f"{ENROL}/again"), 409, "enrolment-open")


def test_batch_does_not_wait_long_for_another(http: FlaskClient, tablet: FakeTablet) -> None:
    """It is refused before anything is looked at or written, and is taken when it comes again."""
    tablet.register_child()
    message, before = tablet.next_message(), tablet.district.counts()
    with turn():
        began = time.monotonic()
        answer = http.post(SYNC, data=message, content_type="application/json")
        assert time.monotonic() - began < TURN_SECONDS + 3
    assert (answer.status_code, answer.get_json()["code"]) == (503, "server-busy")
    assert int(answer.headers["Retry-After"]) == answer.get_json()["seconds"]
    assert tablet.district.counts() == before
    assert http.post(SYNC, data=message, content_type="application/json").status_code == 200


def test_too_many_tries_are_told_when_to_come_again(http: FlaskClient) -> None:
    path = "/api/v1/tablets/01900000-0000-7000-8000-000000000000/standing"
    refused = next(answer for answer in (http.get(path) for _ in range(100)) if answer.status_code == 429)
    assert int(refused.headers["Retry-After"]) == refused.get_json()["seconds"]
