"""The outside of a batch, and the request to enrol."""

import base64
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from schemas import Malformed, MalformedBatch, MalformedEnrolment, parse_enrolment, parse_envelope, tally_of
from schemas.batch import inexact_numbers
from schemas.words import MAX_REASONS
from sync_protocol import MAX_SAFE_INTEGER, RemoteProtocolError
from tests.schemas._changes import POST, TABLET

SIGNATURE = base64.urlsafe_b64encode(bytes(range(64))).rstrip(b"=").decode()


def make_batch(**overrides: Any) -> dict[str, Any]:
    batch = {
        "protocol": 1,
        "district": "64.02",
        "tablet": TABLET,
        "batch": POST,
        "sent_at": "2026-05-04T03:00:00Z",
        "app": "contoh 0.1",
        "token": "",
        "carried": False,
        "tally": {"2026-01-05": 1},
        "incarnation": "",
        "head": [0, ""],
        "first": 1,
        "previous": "",
        "changes": [],
        "cursor": 0,
    }
    return {**batch, **overrides}


def make_enrolment(**overrides: Any) -> dict[str, Any]:
    key = {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "B" * 42 + "A"}
    return {
        "code": "CNTH-2026-X1",
        "public_key": key,
        "app": "contoh 0.1",
        "device": "Tablet Contoh",
        **overrides,
    }


def refusal(parse: Callable[[object], object], raw: object) -> set[tuple[str, str]]:
    with pytest.raises(Malformed) as caught:
        parse(raw)
    return {(reason.path, reason.code) for reason in caught.value.reasons}


def batch_refusal(**overrides: Any) -> set[tuple[str, str]]:
    return refusal(parse_envelope, {"batch": make_batch(**overrides), "signature": SIGNATURE})


def test_envelope_gives_the_very_batch_and_the_bytes_of_the_signature() -> None:
    batch = make_batch()
    envelope = parse_envelope({"batch": batch, "signature": SIGNATURE})
    assert envelope.batch is batch
    assert envelope.signature == bytes(range(64))


@pytest.mark.parametrize("raw", [None, [], "x", 1, True])
def test_envelope_is_refused_when_it_is_no_object(raw: Any) -> None:
    assert refusal(parse_envelope, raw) == {("", "not-object")}


@pytest.mark.parametrize(
    ("signature", "code"),
    [
        ("A" * 85, "not-signature"),
        ("A" * 87, "not-signature"),
        ("A" * 86 + "==", "not-signature"),
        ("+" * 86, "not-signature"),
        (None, "not-null"),
        (64, "not-text"),
    ],
)
def test_envelope_is_refused_when_the_signature_is_not_64_bytes(signature: Any, code: str) -> None:
    raw = {"batch": make_batch(), "signature": signature}
    assert refusal(parse_envelope, raw) == {("signature", code)}


def test_envelope_is_refused_when_a_part_is_missing_or_unknown() -> None:
    assert refusal(parse_envelope, {"extra": 1}) == {
        ("batch", "missing"),
        ("signature", "missing"),
        ("extra", "unknown-field"),
    }


@pytest.mark.parametrize("field", sorted(make_batch()))
def test_batch_is_refused_when_a_field_is_missing_or_null(field: str) -> None:
    without = {name: value for name, value in make_batch().items() if name != field}
    raw = {"batch": without, "signature": SIGNATURE}
    assert refusal(parse_envelope, raw) == {(f"batch.{field}", "missing")}
    assert batch_refusal(**{field: None}) == {(f"batch.{field}", "not-null")}


@pytest.mark.parametrize(
    ("field", "value", "place", "code"),
    [
        ("protocol", "1", "", "not-whole-number"),
        ("protocol", True, "", "not-whole-number"),
        ("district", "6402", "", "not-district"),
        ("district", "64.02\n", "", "not-district"),
        ("tablet", TABLET.upper(), "", "not-uuid"),
        ("batch", "x", "", "not-uuid"),
        ("sent_at", "2026-05-04", "", "not-time"),
        ("app", "", "", "text-length"),
        ("incarnation", "x" * 65, "", "text-length"),
        ("incarnation", 1, "", "not-text"),
        ("token", "x" * 65, "", "text-length"),
        ("carried", 1, "", "not-yes-no"),
        ("tally", [], "", "not-object"),
        ("head", [-1, ""], ".0", "out-of-range"),
        ("head", [MAX_SAFE_INTEGER + 1, ""], ".0", "out-of-range"),
        ("head", [1, "A" * 15], ".1", "not-tag"),
        ("head", [1], "", "not-pair"),
        ("head", {}, "", "not-pair"),
        ("first", 0, "", "out-of-range"),
        ("first", MAX_SAFE_INTEGER + 1, "", "out-of-range"),
        ("first", 1.0, "", "not-whole-number"),
        ("previous", "A" * 42, "", "not-hash"),
        ("previous", "A" * 44, "", "not-hash"),
        ("changes", {}, "", "not-list"),
        ("changes", [{}] * 201, "", "list-length"),
        ("changes", [{}, 1], ".1", "not-object"),
        ("changes", [None], ".0", "not-null"),
        ("cursor", -1, "", "out-of-range"),
        ("cursor", float("nan"), "", "not-whole-number"),
        ("extra", 1, "", "unknown-field"),
    ],
)
def test_batch_is_refused_when_a_field_is_wrong(field: str, value: Any, place: str, code: str) -> None:
    assert batch_refusal(**{field: value}) == {(f"batch.{field}{place}", code)}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("incarnation", "x" * 64),
        ("head", [MAX_SAFE_INTEGER, "A" * 16]),
        ("first", MAX_SAFE_INTEGER),
        ("previous", "-_" * 21 + "A"),
        ("tally", {"kemarin": 1, "1925-01-05": 1, "2026-01-05": -1}),
        ("sent_at", "0001-01-01T00:00:00Z"),
        ("sent_at", "9999-12-31T23:59:59Z"),
        ("changes", [{}] * 200),
        ("changes", [{"kind": "whatever", "set": None, "x": float("nan")}]),
        ("cursor", MAX_SAFE_INTEGER),
    ],
)
def test_batch_is_accepted_at_its_bounds_and_whatever_its_changes_hold(field: str, value: Any) -> None:
    batch = make_batch(**{field: value})
    assert parse_envelope({"batch": batch, "signature": SIGNATURE}).batch is batch


@pytest.mark.parametrize("day", ["kemarin", "1999-12-31", "2100-01-01", "2026-02-29", ""])
def test_day_that_cannot_be_is_left_out_of_the_tally(day: str) -> None:
    assert tally_of(make_batch(tally={day: 1, "2026-01-05": 41})) == ({"2026-01-05": 41}, 1)


@pytest.mark.parametrize("count", [-1, 10_001, 1.0, "1", True, None, {}])
def test_count_that_cannot_be_is_left_out_of_the_tally(count: object) -> None:
    assert tally_of(make_batch(tally={"2026-01-05": count, "2000-01-01": 10_000})) == (
        {"2000-01-01": 10_000},
        1,
    )


def test_newest_days_of_the_tally_are_taken_when_there_are_too_many() -> None:
    days = [(date(2025, 1, 1) + timedelta(n)).isoformat() for n in range(401)]
    taken, left_out = tally_of(make_batch(tally=dict.fromkeys(days, 1)))
    assert (list(taken), left_out) == (days[1:], 1)


@pytest.mark.parametrize("number", [2**53, -(2**53), 2.0, 0.5, 1e300])
def test_number_that_clients_may_write_differently_is_named(number: float) -> None:
    batch = make_batch(changes=[{"set": {"a": [1, number]}}, {"b": MAX_SAFE_INTEGER}])
    (why,) = inexact_numbers(batch)
    assert (why.path, why.code) == ("batch.changes.0.set.a.1", "number-not-exact")
    assert len(inexact_numbers([number] * 100)) == MAX_REASONS


@pytest.mark.parametrize("protocol", [0, 2, 999])
def test_batch_has_the_one_reason_when_it_is_of_another_protocol(protocol: int) -> None:
    assert batch_refusal(protocol=protocol, first="?") == {("batch.protocol", "protocol-unsupported")}


def test_malformed_batch_is_the_peers_fault_with_a_code_and_a_sentence() -> None:
    with pytest.raises(MalformedBatch) as caught:
        parse_envelope({"batch": make_batch(first=0), "signature": SIGNATURE})
    assert isinstance(caught.value, RemoteProtocolError)
    assert caught.value.code == "batch-malformed"
    assert "first" in caught.value.message


# -- enrolment ----------------------------------------------------------------------------------------


def test_enrolment_gives_the_coordinates_of_the_key() -> None:
    request = parse_enrolment(make_enrolment())
    assert (request.code, request.app, request.device) == ("CNTH-2026-X1", "contoh 0.1", "Tablet Contoh")
    assert (len(request.x), len(request.y)) == (32, 32)


def test_enrolment_takes_a_key_as_a_browser_exports_it() -> None:
    key = {**make_enrolment()["public_key"], "ext": True, "key_ops": ["verify"]}
    assert parse_enrolment(make_enrolment(public_key=key)).x == bytes(32)


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("code", "cnth-2026-x1", "not-enrolment-code"),
        ("code", "CNTH2026X1", "not-enrolment-code"),
        ("code", "CNTH-2026-X1\n", "not-enrolment-code"),
        ("public_key", "x", "not-object"),
        ("app", "a" * 65, "text-length"),
        ("device", "a" * 81, "text-length"),
        ("device", " a", "edge-space"),
        ("extra", 1, "unknown-field"),
    ],
)
def test_enrolment_is_refused_when_a_field_is_wrong(field: str, value: Any, code: str) -> None:
    assert refusal(parse_enrolment, make_enrolment(**{field: value})) == {(field, code)}


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("kty", "RSA", "not-choice"),
        ("crv", "P-384", "not-choice"),
        ("x", "A" * 42, "not-hash"),
        ("y", "A" * 44, "not-hash"),
        ("d", "A" * 43, "private-key-sent"),
        ("use", "sig", "unknown-field"),
        ("key_ops", ["verify", "verify"], "list-length"),
    ],
)
def test_enrolment_is_refused_when_the_key_is_not_a_public_p256_key(
    field: str, value: Any, code: str
) -> None:
    key = {**make_enrolment()["public_key"], field: value}
    assert refusal(parse_enrolment, make_enrolment(public_key=key)) == {(f"public_key.{field}", code)}


def test_malformed_enrolment_never_repeats_the_code_or_the_private_key() -> None:
    key = {**make_enrolment()["public_key"], "d": "secret" * 7 + "A"}
    with pytest.raises(MalformedEnrolment) as caught:
        parse_enrolment(make_enrolment(code="abcd-efgh-jk", public_key=key))
    assert caught.value.code == "enrolment-malformed"
    told = str([reason.wire() for reason in caught.value.reasons])
    assert "secret" not in told
    assert "abcd-efgh-jk" not in told
