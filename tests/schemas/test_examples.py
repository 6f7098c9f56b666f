"""The golden messages: what a stranger writes a client from."""

import json
from datetime import date
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from schemas import (
    check_answer,
    check_change,
    check_enrol_answer,
    check_receipt,
    parse_enrolment,
    parse_envelope,
)
from sync_protocol import (
    Answered,
    Change,
    History,
    Outcome,
    Pulled,
    Receipt,
    RecordState,
    Replica,
    canonical,
    chain,
    fold,
    follow_up_id,
    measurement_id,
)
from tests.schemas._examples import DIRECTORY, examples, tablet


def load(name: str) -> Any:
    return json.loads((DIRECTORY / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(examples()))
def test_example_is_what_the_protocol_makes_today(name: str) -> None:
    assert load(name) == examples()[name]


def test_examples_are_all_pinned() -> None:
    assert {path.name for path in DIRECTORY.glob("*.json")} == set(examples())


@pytest.mark.parametrize(
    "name", ["change-child.json", "change-measurement.json", "change-follow-up.json", "change-delivery.json"]
)
def test_example_change_is_valid(name: str) -> None:
    assert check_change(load(name), today=date(2026, 1, 12)) == []


def test_example_answers_are_valid() -> None:
    assert check_answer(load("answer.json")) == []
    assert check_receipt(load("receipt.json")) == []
    assert check_enrol_answer(load("enrol-answer.json")) == []


def test_example_batch_is_signed_with_the_key_that_was_enrolled() -> None:
    enrolled = parse_enrolment(load("enrol.json"))
    envelope = parse_envelope(load("batch.json"))
    x, y = int.from_bytes(enrolled.x), int.from_bytes(enrolled.y)
    r, s = int.from_bytes(envelope.signature[:32]), int.from_bytes(envelope.signature[32:])
    key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    key.verify(encode_dss_signature(r, s), canonical(envelope.batch), ec.ECDSA(hashes.SHA256()))


def test_example_batch_is_chained_so_that_its_head_and_contexts_name_its_own_changes() -> None:
    batch = load("batch.json")["batch"]
    links = chain(batch["tablet"], batch["first"], batch["previous"], batch["changes"])
    assert batch["head"] == [links[-1].dot.counter, links[-1].hash[:16]]
    assert batch["changes"][2]["context"] == {batch["tablet"]: [2, links[1].hash[:16]]}


def test_example_answer_publishes_the_fold_of_the_example_batch() -> None:
    batch, pull = load("batch.json")["batch"], load("answer.json")["pull"]
    links = chain(batch["tablet"], batch["first"], batch["previous"], batch["changes"])
    child, first, mended, _ = (Change.from_wire(link.dot, link.wire, link.hash) for link in links)
    (published,) = pull["children"]
    assert RecordState.from_wire("child", published["id"], {}, published) == fold(History((child,)))
    ((child_id, (row,)),) = pull["measurements"].items()
    key = {"child": child_id, "measured_on": row["on"], "source": row["source"]}
    state = RecordState.from_wire("measurement", measurement_id(*key.values()), key, row)
    assert state == fold(History((first, mended)))


def test_example_of_a_result_names_the_task_that_the_example_answer_brought() -> None:
    change = load("change-follow-up.json")
    ((child_id, (row,)),) = load("answer.json")["pull"]["follow_ups"].items()
    assert change["key"] == {"child": child_id, "task": row["task"]}
    assert change["id"] == follow_up_id(child_id, row["task"])
    assert change["context"] == row["vector"]


def test_example_answer_settles_the_tablet_that_sent_the_example_batch() -> None:
    replica: Replica = tablet()
    assert replica.next_batch("unused", "unused") | {"batch": "", "sent_at": ""} == {
        **load("batch.json")["batch"], "batch": "", "sent_at": "",
    }  # fmt: skip
    replica.pending = load("batch.json")["batch"]
    answered, pulled = replica.receive(load("answer.json"), "2026-01-06T03:00:03Z")
    assert isinstance(answered, Answered)
    assert isinstance(pulled, Pulled)
    assert replica.unanswered() == []
    assert [logged.change.dot.counter for logged in replica.in_question()] == [4]


def test_example_receipt_counts_every_change_of_the_example_batch() -> None:
    receipt = Receipt.from_wire(load("receipt.json"))
    batch = load("batch.json")["batch"]
    assert [item.counter for item in receipt.items] == [1, 2, 3, 4]
    assert receipt.wanted == batch["first"] + len(batch["changes"])
    assert receipt.items[3].outcome is Outcome.QUARANTINED


def test_example_of_a_refused_change_has_the_reasons_that_are_given_today() -> None:
    refused = load("refused-change.json")
    told = check_change(refused["change"], today=date.fromisoformat(refused["today"]))
    assert [reason.wire() for reason in told] == refused["reasons"]
    assert refused["reasons"]
