"""What the server answers."""

from copy import deepcopy
from typing import Any

import pytest

from schemas import Reason, check_answer, check_enrol_answer, check_receipt
from sync_protocol import Change, Dot, History, fold
from tests.schemas._changes import CHILD, POST, TABLET, make_change
from tests.schemas._examples import examples

ANSWER = examples()["answer.json"]
REASON = ANSWER["receipt"]["items"][3][2][0]


def codes(reasons: list[Reason]) -> set[tuple[str, str]]:
    return {(reason.path, reason.code) for reason in reasons}


def make_receipt(**overrides: Any) -> dict[str, Any]:
    receipt = {"batch": POST, "status": "accepted", "wanted": 3, "items": [[1, "applied"], [2, "merged"]]}
    return {**receipt, **overrides}


def conflicting() -> dict[str, Any]:
    """Publish a measurement that two tablets made at once, of different weights."""
    wires = [make_change(context={}, set={"weight": {"weight_g": g, "oedema": "n"}}) for g in (9000, 9100)]
    dots = [Dot(TABLET, 1), Dot(POST, 1)]
    changes = [Change.from_wire(d, w, "h" * 43) for d, w in zip(dots, wires, strict=True)]
    wire = {"on": "2026-05-04", "source": "cadre", **fold(History(tuple(changes))).wire()}
    wire["set"]["weight"] = [
        {"dots": [list(d) for d in s["dots"]], "value": s["value"]} for s in wire["set"]["weight"]
    ]
    answer = deepcopy(ANSWER)
    answer["pull"]["measurements"] = {CHILD: [wire]}
    return answer


@pytest.mark.parametrize("check", [check_answer, check_enrol_answer, check_receipt])
def test_answer_is_refused_when_it_is_no_object(check: Any) -> None:
    assert codes(check([])) == {("", "not-object")}


@pytest.mark.parametrize("status", ["gap", "new_epoch_required"])
def test_receipt_has_no_items_when_the_batch_was_not_accepted(status: str) -> None:
    assert codes(check_receipt(make_receipt(status=status, items=[]))) == set()
    assert codes(check_receipt(make_receipt(status=status))) == {("status", "answer-incoherent")}


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([[1, "applied"], [3, "applied"]], {("items", "answer-incoherent")}),
        ([[0, "applied"]], {("items.0.0", "out-of-range")}),
        ([[1, "lost"]], {("items.0.1", "not-choice")}),
        ([[1]], {("items.0", "not-pair")}),
        ([[1, "quarantined", []]], {("items.0.2", "list-length")}),
        ([[1, "quarantined", [{**REASON, "code": None}]]], {("items.0.2.0.code", "not-null")}),
        ({}, {("items", "not-list")}),
    ],
)
def test_receipt_is_refused_when_its_items_are_wrong(items: Any, expected: set[tuple[str, str]]) -> None:
    assert codes(check_receipt(make_receipt(items=items))) == expected


def test_answer_may_publish_siblings() -> None:
    assert codes(check_answer(conflicting())) == set()


def test_answer_is_refused_when_a_sibling_has_no_dots_or_an_impossible_value() -> None:
    answer = conflicting()
    siblings = answer["pull"]["measurements"][CHILD][0]["set"]["weight"]
    siblings[0]["dots"] = []
    siblings[1]["value"]["weight_g"] = 9
    place = f"pull.measurements.{CHILD}.0.set.weight"
    assert codes(check_answer(answer)) == {
        (f"{place}.0.dots", "list-length"),
        (f"{place}.1.value.weight_g", "out-of-range"),
    }


def test_answer_is_refused_when_a_follow_up_is_wrong_or_names_no_task() -> None:
    answer = deepcopy(ANSWER)
    ((child_id, (row,)),) = answer["pull"]["follow_ups"].items()
    row["set"]["task"]["action"] = "eat"
    del row["task"]
    place = f"pull.follow_ups.{child_id}.0"
    assert codes(check_answer(answer)) == {
        (f"{place}.task", "missing"),
        (f"{place}.set.task.action", "not-choice"),
    }


@pytest.mark.parametrize("mark", ["removed", "removal_contested", "incomplete"])
def test_answer_may_have_a_mark_only_when_it_is_true(mark: str) -> None:
    answer = deepcopy(ANSWER)
    answer["pull"]["children"][0][mark] = True
    assert codes(check_answer(answer)) == set()
    answer["pull"]["children"][0][mark] = False
    assert codes(check_answer(answer)) == {(f"pull.children.0.{mark}", "answer-incoherent")}


def test_answer_is_refused_when_its_protocol_is_not_ours() -> None:
    assert codes(check_answer({**ANSWER, "protocol": 2})) == {("protocol", "out-of-range")}


def test_enrol_answer_is_refused_when_a_part_is_wrong() -> None:
    answer = {**examples()["enrol-answer.json"], "district": "64", "limits": {"changes": 0, "bytes": 1}}
    assert codes(check_enrol_answer(answer)) == {
        ("district", "not-district"),
        ("limits.bytes", "out-of-range"),
        ("limits.changes", "out-of-range"),
    }
