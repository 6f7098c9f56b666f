"""Indicated and confirmed: on both sides of -2 and -3, by whom it was measured, with values in conflict and oedema."""

from datetime import date
from typing import Any

import pytest

from server.children.labels import SENTENCES
from server.growth.status import (
    LENGTH_FOR_AGE_CODES,
    WASTING_CODES,
    length_for_age_status,
    wasting_status,
)
from server.review import Scored, ScoredCandidate, Visit
from server.review.child import Confirmation, Run, confirmation, run

CLASSES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "haz": (length_for_age_status, LENGTH_FOR_AGE_CODES),
    "whz": (wasting_status, WASTING_CODES),
}
NOTHING = dict.fromkeys(("weight_g", "length_mm", "muac_mm", "head_mm", "length_cm", "bmi", "muac_status"))


def scored(index: str, z: float) -> ScoredCandidate:
    """Give a candidate that has this score and no other."""
    judge, codes = CLASSES[index]
    found = Scored(z, None, codes[int(judge(z))], implausible=False)
    unscored = Scored(None, "value_missing", None, implausible=False)
    scores = {"haz": unscored, "waz": unscored, "whz": unscored, "baz": unscored, index: found}
    fields: dict[str, Any] = {**NOTHING, "oedema": False, "age_days": 400, "on_height_table": False}
    return ScoredCandidate(**fields, scores=scores)


def visit(on: str, source: str, *candidates: ScoredCandidate) -> Visit:
    return Visit(date.fromisoformat(on), source, False, None, {}, candidates, None)


def judged(index: str, cadre: float | None, staff: float | None, *, later: bool = True) -> Confirmation:
    """Judge a child whom a cadre measured on the 5th, and the health centre on the 9th or the 1st."""
    visits = []
    if cadre is not None:
        visits.append(visit("2026-03-05", "cadre", scored(index, cadre)))
    if staff is not None:
        visits.append(visit("2026-03-09" if later else "2026-03-01", "staff", scored(index, staff)))
    return confirmation(index, visits)


@pytest.mark.parametrize("index", ["haz", "whz"])
@pytest.mark.parametrize(
    ("z", "state", "severe"),
    [
        (-1.99, "cleared", False),
        (-2.00, "cleared", False),
        (-2.004, "cleared", False),  # shown as -2.00, judged as shown
        (-2.01, "confirmed", False),
        (-3.00, "confirmed", False),
        (-3.01, "confirmed", True),
    ],
)
def test_second_measurement_confirms_below_minus_two(index: str, z: float, state: str, severe: bool) -> None:
    found = judged(index, -2.5, z)
    assert (found.state, found.severe, found.measured_on) == (state, severe, date(2026, 3, 9))
    assert found.z == z
    assert found.telling


@pytest.mark.parametrize(
    ("z", "state", "severe"),
    [
        (-2.00, "fine", False),
        (-2.01, "indicated", False),
        (-3.00, "indicated", False),
        (-3.01, "indicated", True),
    ],
)
def test_cadres_figure_only_indicates(z: float, state: str, severe: bool) -> None:
    found = judged("haz", z, None)
    assert (found.state, found.severe, found.measured_on) == (state, severe, None)
    assert found.telling == (state == "indicated")


def test_nothing_is_known_of_an_index_that_was_never_scored() -> None:
    assert judged("haz", None, None).state == "unknown"
    assert confirmation("whz", [visit("2026-03-05", "cadre", scored("haz", -3))]).state == "unknown"


def test_healthy_child_has_nothing_to_tell() -> None:
    assert not judged("haz", -1, -1).telling


def test_newer_figure_of_a_cadre_indicates_again_and_does_not_undo() -> None:
    found = judged("haz", -2.4, -1.8, later=False)
    assert (found.state, found.again, found.indicated_on) == ("cleared", True, date(2026, 3, 5))
    assert judged("haz", -1.4, -2.4, later=False).state == "confirmed"


def test_newest_second_measurement_that_has_the_index_counts() -> None:
    visits = [
        visit("2026-01-05", "staff", scored("haz", -2.6)),
        visit("2026-02-05", "staff", scored("haz", -1.9)),
        visit("2026-03-05", "staff", scored("whz", -2.6)),  # weighed, not measured
    ]
    assert confirmation("haz", visits).measured_on == date(2026, 2, 5)
    assert confirmation("haz", reversed(visits)).state == "cleared"


def test_second_measurement_in_conflict_confirms_only_when_all_its_values_agree() -> None:
    def found(*z: float) -> Confirmation:
        return confirmation("haz", [visit("2026-03-05", "staff", *(scored("haz", each) for each in z))])

    assert (found(-2.5, -1.0).state, found(-2.5, -1.0).z) == ("disputed", None)
    assert (found(-2.5, -3.5).state, found(-2.5, -3.5).severe) == ("confirmed", False)
    assert found(-1.5, -1.0).state == "cleared"


def test_oedema_confirms_wasting_without_a_score() -> None:
    swollen = Scored(None, "oedema", "gizi_buruk", implausible=False)
    candidate = scored("haz", 0)
    swelling = ScoredCandidate(
        **{
            **{name: getattr(candidate, name) for name in candidate.__slots__},
            "scores": {**candidate.scores, "whz": swollen},
        }
    )
    found = confirmation("whz", [visit("2026-03-05", "staff", swelling)])
    assert (found.state, found.severe, found.z) == ("confirmed", True, None)
    assert swollen.sentence == "oedema"


def test_removed_measurement_confirms_nothing() -> None:
    removed = Visit(date(2026, 3, 5), "staff", True, None, {}, (), None)
    assert confirmation("haz", [removed]).state == "unknown"


# -- since when -----------------------------------------------------------------------------------


def test_run_reaches_back_to_the_last_time_that_it_was_not_so() -> None:
    z = {"2025-11-05": -2.4, "2025-12-05": -2.0, "2026-01-05": -2.01, "2026-02-05": -3.2, "2026-03-05": -2.5}
    visits = [visit(on, "cadre", scored("haz", value)) for on, value in z.items()]
    assert run("haz", visits) == Run(date(2026, 1, 5), 3)
    assert run("haz", reversed(visits)) == Run(date(2026, 1, 5), 3)


def test_run_is_over_when_the_newest_measurement_is_not_low() -> None:
    visits = [
        visit("2026-02-05", "cadre", scored("haz", -2.6)),
        visit("2026-02-05", "staff", scored("haz", -1.9)),  # of one day the second measurement is the later
    ]
    assert run("haz", visits) is None
    assert run("haz", []) is None


def test_every_class_of_every_index_has_a_sentence_in_both_languages() -> None:
    wanted = {
        "haz": LENGTH_FOR_AGE_CODES,
        "waz": ("bb_sangat_kurang", "bb_kurang", "bb_normal", "bb_risiko_lebih"),
        "whz": (*WASTING_CODES, "oedema"),
        "baz": (*WASTING_CODES, "oedema"),
        "muac": ("gizi_buruk", "gizi_kurang", "normal"),
    }
    assert {index: set(said) for index, said in SENTENCES.items()} == {i: set(c) for i, c in wanted.items()}
    assert all(label.id and label.en for said in SENTENCES.values() for label in said.values())
