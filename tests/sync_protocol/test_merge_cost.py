"""The fold gives what the definition gives, and its cost grows as n log n.

Cost is counted in calls, not in seconds: the same on every machine.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from cProfile import Profile
from pstats import Stats

import pytest
from hypothesis import given, strategies as st

from sync_protocol import Change, Entry, History, Json, Merge, VersionVector, fold, outcome_of
from tests.builders import length, removal, vector_of, weight
from tests.sync_protocol._definition import defined_outcome, defined_state
from tests.sync_protocol._many_changes import (
    Author,
    backwards,
    blind,
    blind_and_equal,
    knowing,
    removed,
)

ACTORS = ("t1", "t2", "t3", "t4")
HELD, QUARANTINED, LOST = "held", "quarantined", "lost"


def random_arrivals(rng: random.Random) -> list[tuple[Change, str]]:
    """Give changes whose authors had seen some of those before, and what becomes of each, in any order."""
    authors = [Author(actor) for actor in ACTORS[: rng.randint(1, 4)]]
    written: list[Change] = []
    for _ in range(rng.randint(1, 14)):
        seen = rng.sample(written, rng.randint(0, len(written)))
        entries = dict(vector_of(*seen).entries)
        if entries and rng.random() < 0.1:  # a server or tablet was restored: the number was used twice
            actor = rng.choice(sorted(entries))
            entries[actor] = Entry(entries[actor].counter, "x" * 16)
        written.append(rng.choice(authors).write(VersionVector(entries), random_registers(rng)))
    rng.shuffle(written)
    return [(change, rng.choices((HELD, QUARANTINED, LOST), (8, 1, 1))[0]) for change in written]


def random_registers(rng: random.Random) -> Json:
    """Give one to three registers; few values, so that equal ones meet."""
    some: list[Json] = [
        weight(rng.choice((8200, 8300, 8400))),
        length(rng.choice((700, 710))),
        removal(rng.choice((None, "salah anak", "ganda"))),
    ]
    chosen: dict[str, Json] = {}
    for registers in rng.sample(some, rng.choices((1, 2, 3), (6, 3, 1))[0]):
        chosen |= registers
    return chosen


@given(seed=st.integers(0, 2**48))
def test_merge_is_as_defined_after_every_arrival(seed: int) -> None:
    merge, history = Merge(), History(())
    for change, fate in random_arrivals(random.Random(seed)):
        if fate == QUARANTINED:
            merge.add_quarantined(change.dot, change.tag)
            history = History(history.changes, (*history.quarantined, (change.dot, change.tag)))
        elif fate == HELD:
            merge.add(change)
            history = history.with_change(change)
            assert merge.outcome(change) is defined_outcome(change, history)
        if history.changes:
            expected = defined_state(history)
            assert merge.state() == expected
            assert merge.state().canonical() == expected.canonical()
            for name in expected.registers:
                assert merge.value(name) == expected.value(name)


@given(seed=st.integers(0, 2**48))
def test_fold_and_outcomes_are_as_defined_when_all_is_held_at_once(seed: int) -> None:
    arrivals = random_arrivals(random.Random(seed))
    changes = tuple(change for change, fate in arrivals if fate == HELD)
    history = History(changes, tuple((c.dot, c.tag) for c, fate in arrivals if fate == QUARANTINED))
    if changes:
        assert fold(history).canonical() == defined_state(history).canonical()
    for change in changes:
        assert outcome_of(change, history) is defined_outcome(change, history)


# -- cost -----------------------------------------------------------------------------------------------


def calls_to_merge(changes: Sequence[Change]) -> int:
    """Count the calls that it takes to add changes one after another, with the outcome of each and the state at the end."""
    profile = Profile()
    profile.enable()
    merge = Merge()
    for change in changes:
        merge.add(change)
        merge.outcome(change)
    merge.state()
    profile.disable()
    return int(Stats(profile).total_calls)  # type: ignore[attr-defined]  # typeshed leaves it out


@pytest.mark.parametrize("shape", [blind, blind_and_equal, knowing, backwards, removed])
def test_merging_costs_n_log_n_when_a_record_has_thousands_of_changes(
    shape: Callable[[int], Iterator[Change]],
) -> None:
    few, many = (calls_to_merge(list(shape(count))) for count in (250, 2000))
    assert many < 8 * few * 1.4  # eight times as many changes; compared each with each it would be 64 times
