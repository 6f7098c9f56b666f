"""Accepting proposals never makes a record worse: whatever was mistyped, whatever is accepted, in whatever order."""

from typing import Any

import pytest

from tests.tablet._modules import Modules
from tests.tablet.growth._slips import FIELDS, Slip, slips

pytestmark = pytest.mark.browser
CASES = 2500

# Types the figures one by one; after each, any proposal may be accepted, and any that is made then, in any order. Gives all
# values that a chain leads to, and how many proposals there were.
CHAINS = """given.map(({ child, visits, draft, typed }) => {
  const today = visits.map(({ on }) => on).concat(draft.on).sort().pop();
  let offered = 0;
  const accepted = (start) => {
    const ends = new Map();
    const seen = new Set();
    const go = (values) => {
      if (seen.size > 300) throw new Error("a chain of proposals without an end");
      const name = JSON.stringify(values);
      if (seen.has(name)) return;
      seen.add(name);
      ends.set(name, values); // a cadre may stop anywhere
      for (const { proposal } of value_checks.warnings(tables, child, visits, values, today)) {
        if (!proposal) continue;
        offered += 1;
        go({ ...values, ...proposal });
      }
    };
    go(start);
    return [...ends.values()];
  };
  let states = [draft];
  for (const [field, value] of Object.entries(typed)) {
    states = states.flatMap((values) => accepted({ ...values, [field]: value ?? undefined }));
  }
  return { offered, ends: states };
})"""


@pytest.fixture(scope="module")
def cases() -> list[Slip]:
    return slips(CASES, seed=20_261_130)


@pytest.fixture(scope="module")
def chains(modules: Modules, cases: list[Slip]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = modules.call(CHAINS, [case.wire() for case in cases])
    return found


def distance(value: float | None, truth: int) -> float:
    return float("inf") if value is None else abs(value - truth)


def worse(case: Slip, end: dict[str, Any]) -> list[str]:
    """Name the fields that are further from the truth than what was typed."""
    typed, truth = case.typed, case.truth
    return [
        field
        for field in FIELDS
        if distance(end.get(field), truth[field]) > distance(typed[field], truth[field])
    ]


def ends(
    cases: list[Slip], chains: list[dict[str, Any]], kind: str
) -> list[tuple[Slip, list[dict[str, Any]]]]:
    return [(case, found["ends"]) for case, found in zip(cases, chains, strict=True) if case.kind == kind]


def test_no_chain_of_proposals_leads_further_from_the_truth(
    cases: list[Slip], chains: list[dict[str, Any]]
) -> None:
    wrong = [
        (case, end, worse(case, end))
        for case, found in zip(cases, chains, strict=True)
        for end in found["ends"]
        if worse(case, end)
    ]
    assert wrong[:1] == []


def test_most_slips_of_the_comma_are_mended_by_a_tap(cases: list[Slip], chains: list[dict[str, Any]]) -> None:
    for kind in ("ten times", "a tenth", "a hundred times", "a thousand times", "comma lost"):
        changed = [(case, found) for case, found in ends(cases, chains, kind) if case.typed != case.truth]
        mended = sum(
            any(all(end[field] == case.truth[field] for field in FIELDS) for end in found)
            for case, found in changed
        )
        assert mended > 0.7 * len(changed) > 70, (kind, mended, len(changed))


def test_swap_is_put_back_in_one_step_and_never_by_halves(
    modules: Modules, cases: list[Slip], chains: list[dict[str, Any]]
) -> None:
    both = ("weight_g", "length_mm")
    swapped = ends(cases, chains, "swapped")
    for case, found in swapped:
        for end in found:
            values = [end[field] for field in both]
            assert values in ([case.truth[field] for field in both], [case.typed[field] for field in both])
    stuck = [case for case, found in swapped if len(found) == 1]
    assert len(stuck) < 0.02 * len(swapped)
    questions = modules.call(
        "given.map(({ child, visits, draft, truth }) =>"
        " value_checks.warnings(tables, child, visits, { ...draft, ...truth }, draft.on))",
        [{**case.wire(), "truth": {field: case.truth[field] for field in both}} for case in stuck],
    )
    assert all(
        any(one["severity"] == "look" for one in asked) for asked in questions
    )  # the truth itself is odd
