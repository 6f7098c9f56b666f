"""The vectors are what the protocol makes today, and the Python side passes them itself, read from the files alone."""

import json
import random
from typing import Any

import pytest

from schemas import parse_envelope
from server.crypto.vault import signature_fits
from sync_protocol import Change, Dot, History, RecordState, canonical, chain, digest, fold, outcome_of
from tests.vectors._make import DIRECTORY, vectors


def cases(name: str) -> list[Any]:
    found = json.loads((DIRECTORY / name).read_text(encoding="utf-8"))
    return [pytest.param(case, id=case["note"]) for case in found]


def read(case: dict[str, Any]) -> Change:
    return Change.from_wire(Dot(case["actor"], case["counter"]), case["change"], case["hash"])


def named(case: dict[str, Any]) -> dict[str, str]:
    """Give by what a published state of this kind names its record, beside the child."""
    first = case["changes"][0]["change"]
    if first["kind"] == "follow_up":
        return {"task": first["key"]["task"]}
    return {"on": "2026-01-05", "source": "cadre"}


def test_every_file_is_pinned() -> None:
    assert {path.name for path in DIRECTORY.glob("*.json")} >= vectors().keys()


@pytest.mark.parametrize("name", sorted(vectors()))
def test_file_is_what_the_protocol_makes_today(name: str) -> None:
    assert json.loads((DIRECTORY / name).read_text(encoding="utf-8")) == vectors()[name]


@pytest.mark.parametrize("case", cases("canonical.json"))
def test_value_has_these_bytes(case: dict[str, Any]) -> None:
    assert canonical(case["value"]).decode() == case["canonical"]
    assert digest(case["value"]) == case["digest"]


@pytest.mark.parametrize("case", cases("chains.json"))
def test_chain_has_these_hashes(case: dict[str, Any]) -> None:
    links = chain(case["tablet"], case["first"], case["previous"], case["changes"])
    found = [{"content": link.content, "hash": link.hash, "tag": link.hash[:16]} for link in links]
    assert found == case["links"]


def test_signatures_fit_or_do_not() -> None:
    held = json.loads((DIRECTORY / "signatures.json").read_text(encoding="utf-8"))
    assert [case["fits"] for case in held["cases"]] == [True, True, False, False]
    for case in held["cases"]:
        envelope = parse_envelope({"batch": case["batch"], "signature": case["signature"]})
        fits = signature_fits(held["public_key"], canonical(envelope.batch), envelope.signature)
        assert fits is case["fits"]


@pytest.mark.parametrize("case", cases("folds.json"))
def test_history_folds_to_this_state_in_any_order(case: dict[str, Any]) -> None:
    changes = [read(change) for change in case["changes"]]
    quarantined = tuple((Dot(actor, counter), tag) for actor, counter, tag in case["quarantined"])
    shuffled = random.Random(1).sample(changes, len(changes))  # any order will do
    state = fold(History(tuple(shuffled), quarantined))
    assert json.loads(json.dumps({**named(case), **state.wire()})) == case["state"]
    history = History(tuple(changes), quarantined)
    assert [outcome_of(change, history).value for change in changes] == case["outcomes"]


@pytest.mark.parametrize("case", cases("folds.json"))
def test_published_state_is_read_back_whole(case: dict[str, Any]) -> None:
    first = case["changes"][0]["change"]
    state = RecordState.from_wire(first["kind"], first["id"], first["key"], case["state"])
    assert json.loads(json.dumps(state.wire())) == {
        name: value for name, value in case["state"].items() if name not in named(case)
    }
