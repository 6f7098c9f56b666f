"""Random histories under an oracle that knows what every author had really seen (see `_world.py`).

The fast suite lives through 150 histories with every fault and 50 without; each rule that is broken on purpose is found in
fewer (`test_rules.py`). PROTOCOL_HISTORIES=7500 in the environment makes it as many as it says, with other seeds for
Hypothesis each time; the seeds of a failure are printed.
"""

import os
import random

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sync_protocol import FIRST_PREVIOUS, Change, ReceiptStatus, fold
from tests.builders import removal, result, weight
from tests.sync_protocol._world import (
    HEAVIEST_G,
    REFS,
    ServerModel,
    Verdict,
    World,
    random_history,
    random_registers,
)

HISTORIES = int(os.environ.get("PROTOCOL_HISTORIES", "150"))
CHUNKS = 5


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_nothing_is_lost_when_everything_goes_wrong(chunk: int) -> None:
    for seed in range(chunk, HISTORIES, CHUNKS):
        world = random_history(seed)
        verdict = world.verdict()
        assert (seed, verdict.lost, verdict.undelivered) == (seed, 0, 0)
        assert (seed, world.disagreements()) == (seed, [])


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_nobody_is_asked_needlessly_when_nothing_is_restored(chunk: int) -> None:
    for seed in range(chunk, HISTORIES // 3, CHUNKS):
        world = random_history(seed, faults=False)
        assert (seed, world.verdict()) == (seed, Verdict())
        assert (seed, world.disagreements()) == (seed, [])


@pytest.mark.parametrize("seed", range(20))
def test_state_is_the_same_bytes_when_changes_are_folded_in_any_order(seed: int) -> None:
    rng = random.Random(seed)
    for history in random_history(seed).server.histories.values():
        changes, quarantined = list(history.changes), list(history.quarantined)
        for _ in range(5 if changes else 0):
            rng.shuffle(changes)
            rng.shuffle(quarantined)
            shuffled = type(history)(tuple(changes), tuple(quarantined))
            assert fold(shuffled).canonical() == fold(history).canonical()


@pytest.mark.parametrize("seed", range(20))
def test_state_is_the_same_bytes_when_batches_are_split_mixed_and_repeated(seed: int) -> None:
    world = random_history(seed, faults=False, carriers=False)
    again = delivered_otherwise(world, random.Random(seed))
    assert again.states.keys() == world.server.states.keys()
    for ref, state in world.server.states.items():
        assert again.states[ref].canonical() == state.canonical()


def delivered_otherwise(world: World, rng: random.Random) -> ServerModel:
    """Bring the changes of a settled world to a new server, each tablet's in order, in other batches and mixed anew."""
    server, taken = ServerModel(), [0] * len(world.devices)
    by_hub = [c for h in world.server.histories.values() for c in h.changes if c.dot.actor.startswith("hub:")]
    rng.shuffle(by_hub)
    while by_hub or any(
        done < len(device.replica.log) for done, device in zip(taken, world.devices, strict=True)
    ):
        if by_hub and rng.random() < 0.2:
            server.hold(by_hub.pop())
        which = rng.randrange(len(taken))
        first = rng.randint(max(taken[which] - 3, 0), taken[which])
        taken[which] = max(taken[which], deliver(world, which, first, rng.randint(1, 4), server))
    return server


def deliver(world: World, which: int, first: int, count: int, server: ServerModel) -> int:
    """Bring some changes of a tablet's log, and give how many of the log are then held."""
    replica = world.devices[which].replica
    sent = replica.log[first : first + count]
    batch = {
        "tablet": replica.tablet_id,
        "batch": f"again-{len(server.receipts)}",
        "head": list(replica.head or (0, "")),
        "first": first + 1,
        "previous": sent[0].previous if sent else FIRST_PREVIOUS,
        "changes": [logged.change.wire() for logged in sent],
        "cursor": 0,
    }
    receipt = server.exchange(batch)["receipt"]
    assert receipt["status"] == ReceiptStatus.ACCEPTED.value
    return first + len(sent)


# -- the same, told step by step, so that Hypothesis can shorten a story that fails ---------------------------

SEEDS = st.integers(0, 2**16)


class CalmPost(RuleBasedStateMachine):
    """Tablets, a server and people at the hub; connections are cut, nothing is restored."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(devices=2)

    @rule(device=st.integers(0, 9), ref=st.sampled_from(REFS[:3]), seed=SEEDS)
    def edit(self, device: int, ref: tuple[str, str], seed: int) -> None:
        chosen = self.world.devices[device % len(self.world.devices)]
        self.world.edit(chosen, ref, random_registers(random.Random(seed), ref[0]))

    @rule(device=st.integers(0, 9), ref=st.sampled_from(REFS[:3]))
    def open(self, device: int, ref: tuple[str, str]) -> None:
        self.world.open(self.world.devices[device % len(self.world.devices)], ref)

    @rule(
        device=st.integers(0, 9),
        registers=st.sampled_from([weight(8200), weight(HEAVIEST_G + 1), result(), removal()]),
    )
    def save(self, device: int, registers: dict[str, dict[str, object]]) -> None:
        chosen = self.world.devices[device % len(self.world.devices)]
        if chosen.forms:
            self.world.save(chosen, registers, 0)

    @rule(
        device=st.integers(0, 9),
        limit=st.sampled_from([1, 200]),
        page=st.sampled_from([1, 100]),
        cut=st.sampled_from(["", "", "up", "down"]),
    )
    def sync(self, device: int, limit: int, page: int, cut: str) -> None:
        chosen = self.world.devices[device % len(self.world.devices)]
        self.world.sync(chosen, limit=limit, page=page, cut=cut)

    @rule(ref=st.sampled_from(REFS))
    def open_page(self, ref: tuple[str, str]) -> None:
        self.world.open_page(ref)

    @precondition(lambda self: self.world.pages)
    @rule(seed=SEEDS)
    def save_page(self, seed: int) -> None:
        kind = self.world.pages[0][0][0]
        self.world.save_page(random_registers(random.Random(seed), kind, mistakes=False), 0)

    @invariant()
    def views_are_what_the_fold_would_give(self) -> None:
        assert self.world.wrong_views() == []

    def teardown(self) -> None:
        self.world.settle()
        assert self.world.verdict() == Verdict()
        assert self.world.disagreements() == []


class TroubledPost(CalmPost):
    """The same post, with a server restored from backups and tablets restored, cloned and cleaned."""

    @rule()
    def back_up_the_server(self) -> None:
        self.world.server_backup = self.world.server.saved()

    @precondition(lambda self: self.world.server_backup is not None)
    @rule()
    def restore_the_server(self) -> None:
        self.world.restore_server()

    @precondition(lambda self: len(self.world.devices) < 5)
    @rule(device=st.integers(0, 9))
    def clone(self, device: int) -> None:
        self.world.clone(self.world.devices[device % len(self.world.devices)])

    @precondition(lambda self: len(self.world.devices) > 2)
    @rule(device=st.integers(0, 9))
    def replace_by_an_older_copy(self, device: int) -> None:
        del self.world.devices[device % len(self.world.devices)]

    @rule(device=st.integers(0, 9))
    def forget(self, device: int) -> None:
        self.world.devices[device % len(self.world.devices)].replica.forget("9")

    @invariant()
    def views_are_what_the_fold_would_give(self) -> None:
        """Not well defined here: a view cannot know what a restored server has forgotten."""

    def teardown(self) -> None:
        self.world.settle()
        verdict = self.world.verdict()
        assert (verdict.lost, verdict.undelivered) == (0, 0)
        assert self.world.disagreements() == []


STEPS = settings(max_examples=max(settings.default.max_examples // 2, 1), stateful_step_count=30)  # type: ignore[union-attr]
TestCalmPost = CalmPost.TestCase
TestCalmPost.settings = STEPS
TestTroubledPost = TroubledPost.TestCase
TestTroubledPost.settings = STEPS


def test_oracle_counts_a_loss_when_a_live_change_is_hidden() -> None:
    world = World()
    lost: Change = world.edit(world.devices[0], REFS[1], weight(8200))
    world.edit(world.devices[1], REFS[1], weight(8300))
    world.settle()
    state = world.server.states[REFS[1]]
    registers = {"weight": tuple(s for s in state.registers["weight"] if lost.dot not in s.dots)}
    world.server.states[REFS[1]] = type(state)(
        state.kind, state.record_id, state.key, state.vector, registers
    )
    assert world.verdict() == Verdict(lost=1)
