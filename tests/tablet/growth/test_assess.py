"""What the tablet says of a timeline is what the server will say: scores, classes, N/T/O/B, 2T and flags."""

import csv
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from server.children.flags import RULES
from tests.tablet._modules import Modules
from tests.tablet.growth._timelines import (
    Case,
    heads_and_arms,
    infants,
    random_cases,
    server_flags,
    server_visits,
)

pytestmark = pytest.mark.browser
SURVEY = Path(__file__).resolve().parents[2] / "fixtures" / "survey_sample.csv"
RANDOM_CHILDREN = 3000
"""Some 9,000 measurements."""

ASSESS = """given.map(({child, measurements, today}) => {
  const found = assess.assess(tables, child, measurements, today);
  return {
    visits: found.visits.map((visit) => ({
      subject: flags.subjectOf(visit),
      age_days: visit.age_days,
      lenhei_cm: visit.scores.lenhei_cm,
      scores: Object.fromEntries(zscores.INDICES.map((index) => [index, visit.scores[index]])),
      status: visit.status,
      gain: { ...visit.gain, kbm_g: undefined },
    })),
    latest: Object.fromEntries(Object.entries(found.latest).map(([index, last]) => [index, last && last.code])),
    flags: found.flags,
  };
})"""


FLAGS = "given.map(({child, measurements, today}) => assess.assess(tables, child, measurements, today).flags)"


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return random_cases(RANDOM_CHILDREN, seed=20_260_704)


@pytest.fixture(scope="module")
def assessed(modules: Modules, cases: list[Case]) -> list[Any]:
    return assess(modules, cases)


def assess(modules: Modules, cases: list[Case]) -> list[Any]:
    answers: list[Any] = modules.call(ASSESS, cases)
    return answers


def keyed(flags: list[Case]) -> dict[tuple[str, str], Any]:
    return {(flag["rule"], flag["subject"]): flag["details"] for flag in flags}


def test_visits_equal_the_servers_when_timelines_are_random(assessed: list[Any], cases: list[Case]) -> None:
    expected = server_visits(cases)
    wrong = [
        (found, visit)
        for answer, visits in zip(assessed, expected, strict=True)
        for found, visit in zip(answer["visits"], visits, strict=True)
        if found != visit
    ]
    assert wrong[:1] == []
    codes = Counter(visit["gain"]["code"] for visits in expected for visit in visits)
    assert min(codes[code] for code in ("N", "T", "O", "B", None)) > 300
    assert sum(visit["gain"]["two_t"] for visits in expected for visit in visits) > 100


def test_flags_equal_the_servers_when_timelines_are_random(assessed: list[Any], cases: list[Case]) -> None:
    expected = server_flags(cases)
    wrong = [
        (case, keyed(answer["flags"]), keyed(flags))
        for case, answer, flags in zip(cases, assessed, expected, strict=True)
        if keyed(answer["flags"]) != keyed(flags) or len(answer["flags"]) != len(flags)
    ]
    assert wrong[:1] == []
    seen = Counter(flag["rule"] for flags in expected for flag in flags)
    others = {
        "conflict",
        "removal_contested",
        "possible_duplicate",
        "date_doubtful",
        "not_registered",
        "incomplete",
    }
    assert set(seen) == set(RULES) - others
    assert min(seen.values()) >= 10, seen


@pytest.mark.parametrize(
    ("edges", "rules"),
    [
        (
            heads_and_arms,
            {
                *("head_very_small", "head_small", "head_large", "head_very_large"),
                *("muac_for_age_severe", "muac_for_age_moderate"),
            },
        ),
        (infants, {"infant_not_gaining", "not_gaining", "two_t"}),
    ],
)
def test_flags_equal_the_servers_on_both_sides_of_every_edge(
    modules: Modules, edges: Callable[[], list[Case]], rules: set[str]
) -> None:
    cases = edges()
    expected = [keyed(flags) for flags in server_flags(cases)]
    found = [keyed(flags) for flags in modules.call(FLAGS, cases)]
    assert [pair for pair in zip(cases, found, expected, strict=True) if pair[1] != pair[2]][:1] == []
    for rule in rules:
        with_it = sum(any(key[0] == rule for key in flags) for flags in expected)
        assert 0 < with_it < len(cases), rule


def test_flags_are_sorted_by_urgency_when_there_are_several(assessed: list[Any]) -> None:
    for answer in assessed:
        urgencies = [flag["urgency"] for flag in answer["flags"]]
        assert urgencies == sorted(urgencies)
        for flag in answer["flags"]:
            rule = RULES[flag["rule"]]
            assert (flag["urgency"], flag["words"]) == (rule.urgency, rule.text.wire())


def test_latest_status_is_the_newest_defined_when_parts_are_missing(assessed: list[Any]) -> None:
    for answer in assessed:
        for index, code in answer["latest"].items():
            defined = [visit["status"][index] for visit in answer["visits"] if visit["status"][index]]
            assert code == (defined[-1] if defined else None)


def test_assessment_equals_the_servers_when_children_are_of_the_survey(modules: Modules) -> None:
    cases = survey_cases()
    answers = assess(modules, cases)
    assert [answer["visits"] for answer in answers] == server_visits(cases)
    expected = [keyed(flags) for flags in server_flags(cases)]
    assert [keyed(answer["flags"]) for answer in answers] == expected
    assert len(cases) == 31


def test_scores_are_the_surveys_own_when_read_unrounded(modules: Modules) -> None:
    with SURVEY.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    bodies = [
        {
            "sex": row["sex"] or None,
            "age_days": float(row["age_days"]) if row["age_days"] else None,
            "weight_kg": float(row["weight_kg"]) if row["weight_kg"] else None,
            "lenhei_cm": float(row["height_cm"]) if row["height_cm"] else None,
            "armc_cm": float(row["muac_mm"]) / 10 if row["muac_mm"] else None,
            "oedema": row["oedema"] == "y",
        }
        for row in rows
    ]
    found = modules.call("given.map((body) => zscores.rawScores(tables, body))", bodies)
    columns = {"haz": "len", "waz": "wei", "whz": "wfl", "baz": "bmi", "acz": "ac"}
    for row, scores in zip(rows, found, strict=True):
        published = {
            index: float(row[f"z{name}"]) if row[f"z{name}"] else None for index, name in columns.items()
        }
        assert {index: scores[index]["z"] for index in columns} == published, row["row"]


def survey_cases() -> list[Case]:
    """Read the field survey: each child once as measured, with a month before in which it weighed 200 g less."""
    with SURVEY.open(encoding="utf-8", newline="") as file:
        return [_survey_case(row) for row in csv.DictReader(file)]


def _survey_case(row: dict[str, str]) -> Case:
    def whole(text: str, unit: int) -> int | None:
        return round(float(text) * unit) if text else None

    measured_on = date.fromisoformat(row["measured_on"])
    born = measured_on - timedelta(days=int(row["age_days"])) if row["age_days"] else None
    measurement: Case = {
        "on": row["measured_on"],
        "source": "cadre",
        "weight_g": whole(row["weight_kg"], 1000),
        "oedema": {"y": "1", "n": "n"}.get(row["oedema"]),
        "length_mm": whole(row["height_cm"], 10),
        "position": None,
        "muac_mm": whole(row["muac_mm"], 1),
        "head_mm": None,
    }
    child = {
        "sex": row["sex"] or None,
        "born_on": born and born.isoformat(),
        "known_since": row["measured_on"],
    }
    before = {
        **measurement,
        "on": (measured_on - timedelta(days=30)).isoformat(),
        "weight_g": measurement["weight_g"] and max(measurement["weight_g"] - 200, 500),
    }
    return {"child": child, "measurements": [before, measurement], "today": row["measured_on"]}
