"""Anything may happen, in any order: Hypothesis makes up what, and shortens what goes wrong (see `_machine.py`).

Two machines on both databases, over real sockets. `CalmPost` is a post where lines break, clocks lie, tablets are revoked
and children move; nobody there may be asked needlessly. In `TroubledPost` devices are copied and restored, and so is the
server. Each run ends in `Scene.judge` and `Scene.check_everything`. SOAK=20 in the environment makes twenty times as many
histories, other ones each time. The last tests switch off one of the three rules of the merge, and what that loses must
be found.
"""

import os
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from server.sync import tablet_chain, upload as sync
from sync_protocol import Change, Dot, Entry, History, Merge, ReceiptStatus, RecordState, VersionVector
from tests.scenarios._machine import Device, LossFound, Scene, registers_for
from tests.server._district import Databases

SOAK = int(os.environ.get("SOAK", "0"))
HISTORIES = {"sqlite": 8 * max(SOAK, 1), "postgresql": 4 * max(SOAK, 1)}
STEPS = 30
QUIET = settings(
    stateful_step_count=STEPS,
    deadline=None,
    database=None,
    derandomize=not SOAK,
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)

SOME = st.integers(0, 11)
"""Which of however many there are: counted round, so that a draw never depends on what the server did."""
CUTS = st.sampled_from(["", "", "", "before", "body", "answer"])


class Post(RuleBasedStateMachine):
    """A scene, and what is checked when nothing more happens. No rules yet."""

    asks_needlessly = True

    def __init__(self, databases: Databases, totals: Counter[str], *, checks: bool = True) -> None:
        super().__init__()
        self.stack, self.totals, self.checks = ExitStack(), totals, checks
        self.scene = self.stack.enter_context(Scene.opened(databases))

    def device(self, number: int) -> Device:
        return self.scene.devices[number % len(self.scene.devices)]

    def registers(self, record: int, value: int) -> dict[str, Any]:
        chosen = self.scene.records[record % len(self.scene.records)]
        return registers_for(chosen, value, self.scene.district.posts, self.scene.days_ago(400))

    def teardown(self) -> None:
        with self.stack:
            self.scene.judge(asks_needlessly=self.asks_needlessly)
            if self.checks:
                self.scene.check_everything()
            self.totals.update(self.scene.counts + Counter(histories=1))


class CalmPost(Post):
    """Lines break, clocks lie, tablets are revoked, children move, people carry batches; nothing is copied or restored."""

    asks_needlessly = False

    @rule(device=SOME, record=SOME, value=SOME)
    def write(self, device: int, record: int, value: int) -> None:
        chosen = self.scene.records[record % len(self.scene.records)]
        self.scene.write(self.device(device), chosen, self.registers(record, value))

    @rule(device=SOME, value=SOME)
    def write_the_same_record(self, device: int, value: int) -> None:
        self.scene.write(self.device(device), self.scene.records[0], self.registers(0, value))

    @rule(device=SOME, value=SOME)
    def visit(self, device: int, value: int) -> None:
        """What an ordinary day with a signal is."""
        self.sync(device, 200, "")
        self.write_the_same_record(device, value)
        self.sync(device, 200, "")

    @rule(one=SOME, value=SOME, other=SOME)
    def write_apart(self, one: int, value: int, other: int) -> None:
        """Two write about one child, and neither knows of the other."""
        self.write_the_same_record(one, value)
        self.write_the_same_record(one + 1, other)

    @rule(device=SOME)
    def open_form(self, device: int) -> None:
        self.scene.open(self.device(device), self.scene.records[0])

    @rule(device=SOME, value=SOME)
    def save_form(self, device: int, value: int) -> None:
        if self.device(device).forms:
            self.scene.save(self.device(device), self.registers(0, value), 0)

    @rule(device=SOME, limit=st.sampled_from([1, 2, 200]), cut=CUTS)
    def sync(self, device: int, limit: int, cut: str) -> None:
        self.scene.sync(self.device(device), limit=limit, cut=cut)

    @rule(device=SOME, cut=st.sampled_from(["", "answer"]))
    def repeat(self, device: int, cut: str) -> None:
        self.scene.repeat(self.device(device), cut)

    @rule(first=SOME, value=SOME)
    def sync_all_at_once(self, first: int, value: int) -> None:
        devices = [self.device(first + n) for n in range(3)]
        shown = self.scene.records.index(self.scene.pages[0].record) if self.scene.pages else 0
        self.scene.all_at_once(devices, self.registers(shown, value % 9))

    @rule(device=SOME)
    def pack(self, device: int) -> None:
        self.scene.pack(self.device(device))

    @rule(number=SOME, brings_back=st.booleans(), keeps=st.booleans())
    def deliver(self, number: int, brings_back: bool, keeps: bool) -> None:
        if self.scene.parcels:
            at = number % len(self.scene.parcels)
            self.scene.deliver(at, brings_back=brings_back, keeps=keeps)

    @rule(record=SOME)
    def open_page(self, record: int) -> None:
        if not self.scene.pages:
            self.scene.open_page(self.scene.records[record % 3])

    @rule(value=SOME)
    def save_page(self, value: int) -> None:
        if self.scene.pages:
            record = self.scene.records.index(self.scene.pages[0].record)
            self.scene.save_page(self.registers(record, value % 9), 0)

    @rule(number=SOME)
    def release(self, number: int) -> None:
        self.scene.release(number, {"weight": WEIGHT, "result": RESULT})

    @rule(device=SOME, days=st.sampled_from([-730, -1, 0, 1, 730]))
    def set_clock(self, device: int, days: int) -> None:
        self.device(device).days_off = days

    @rule(device=SOME)
    def revoke(self, device: int) -> None:
        if device == 2:  # seldom, and never the first two: somebody must be left to believe
            self.scene.revoke(self.device(device))


WEIGHT = {"weight_g": 9100, "oedema": None}
RESULT = {"done_on": "2025-01-05", "outcome": "continue", "days_eaten": 6}


class TroubledPost(CalmPost):
    """The same post, where tablets are copied and restored, and the server is restored from a backup."""

    asks_needlessly = True

    def __init__(self, databases: Databases, totals: Counter[str]) -> None:
        super().__init__(databases, totals)
        self.scene.keep_copy(self.device(0))
        self.scene.back_up()

    @rule(device=SOME)
    def clone(self, device: int) -> None:
        self.scene.clone(self.device(device))

    @rule(device=SOME)
    def keep_copy(self, device: int) -> None:
        self.scene.keep_copy(self.device(device))

    @rule(device=SOME, copied=SOME)
    def restore_device(self, device: int, copied: int) -> None:
        self.scene.restore_device(device % len(self.scene.devices), copied)

    @rule(device=SOME)
    def lose_the_next_enrolment(self, device: int) -> None:
        self.device(device).loses_enrolment = True

    @rule()
    def back_up_the_server(self) -> None:
        self.scene.back_up()

    @rule()
    def restore_the_server(self) -> None:
        self.scene.restore()


MACHINES: dict[str, type[CalmPost]] = {"calm": CalmPost, "troubled": TroubledPost}


@pytest.mark.every_case
@pytest.mark.parametrize("machine", MACHINES)
def test_nothing_is_lost_whatever_happens(
    databases: Databases, machine: str, record_property: Callable[[str, object], None]
) -> None:
    totals: Counter[str] = Counter()
    engine = "postgresql" if databases.admin else "sqlite"
    bounded = settings(QUIET, max_examples=HISTORIES[engine])
    made = lambda: MACHINES[machine](databases, totals)  # noqa: E731  # a seed is drawn from its text
    run_state_machine_as_test(made, settings=bounded)  # type: ignore[arg-type]  # whatever makes a machine will do
    told = ", ".join(f"{name} {count}" for name, count in sorted(totals.items()))
    record_property("troubles", f"{machine}, {engine}: {told}; lost 0")
    assert totals["histories"] >= HISTORIES[engine]


# -- the oracle has teeth ---------------------------------------------------------------------------------


ONE_OR_TWO = st.integers(0, 1)


class ForgetfulPost(Post):
    """Two tablets and the office write about one child's weight and length, and the server forgets: the few things that
    happen in the shortest stories of a loss (tests/sync_protocol/test_rules.py), so that a search finds one soon.
    """

    def __init__(self, databases: Databases, totals: Counter[str]) -> None:
        super().__init__(databases, totals, checks=False)
        self.scene.back_up()

    @rule(device=ONE_OR_TWO, value=st.integers(0, 2))
    def weigh(self, device: int, value: int) -> None:
        self._visit(device, value)

    @rule(device=ONE_OR_TWO, value=st.integers(6, 7))
    def measure_length(self, device: int, value: int) -> None:
        self._visit(device, value)

    def _visit(self, device: int, value: int) -> None:
        self.scene.sync(self.device(device))
        self.scene.write(self.device(device), self.scene.records[0], self.registers(0, value))
        self.scene.sync(self.device(device))

    @rule(device=ONE_OR_TWO)
    def sync(self, device: int) -> None:
        self.scene.sync(self.device(device))

    @rule(value=st.integers(0, 2))
    def edit_at_the_office(self, value: int) -> None:
        self.scene.open_page(self.scene.records[0])
        self.scene.save_page(self.registers(0, value))

    @rule(device=ONE_OR_TWO, value=st.integers(0, 2))
    def restore_the_server(self, device: int, value: int) -> None:
        """Restore it; one tablet is the first to be back, and somebody at the office looks at what it brought."""
        if self.scene.counts["changes"] > 2:
            self.scene.restore()
            self.scene.sync(self.device(device))
            self.scene.sync(self.device(device))
            self.edit_at_the_office(value)


def takes_holes(*arguments: Any, **named: Any) -> ReceiptStatus:
    """Rule 1 off: a batch that starts beyond the next counter is taken."""
    status = CONTINUITY(*arguments, **named)
    return ReceiptStatus.ACCEPTED if status is ReceiptStatus.GAP else status


CONTINUITY = tablet_chain.continuity


STATE = Merge.state


def sound(history: History) -> RecordState:
    """All rules on."""
    return STATE(Merge(history))


def publishes_claims(history: History) -> RecordState:
    """Rule 2 off: a record is published with what contexts claim, not with what is held."""
    state = sound(history)
    vector = state.vector
    for change in history.changes:
        for actor, entry in change.context.items():
            vector = vector.seeing(actor, entry)
    return replace(state, vector=vector)


def believes_counters(history: History) -> RecordState:
    """Rule 3 off: an entry is believed for its counter, whatever change is held under that number."""
    held = history.held()
    return sound(replace(history, changes=tuple(_believed(change, held) for change in history.changes)))


def _believed(change: Change, held: dict[Dot, str]) -> Change:
    entries = {}
    for actor, entry in change.context.items():
        counters = [dot.counter for dot in held if dot.actor == actor and dot.counter <= entry.counter]
        if counters:
            entries[actor] = Entry(max(counters), held[Dot(actor, max(counters))])
    return replace(change, context=VersionVector(entries))


@pytest.mark.parametrize(
    ("room", "name", "broken"),
    [
        (sync, "continuity", takes_holes),
        (Merge, "state", lambda merge: believes_counters(merge.history())),
    ],
    ids=["takes_holes", "believes_counters"],
)
def test_the_machine_finds_a_loss_when_one_rule_is_off(
    sqlite_databases: Databases,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
    room: Any,
    name: str,
    broken: Callable[..., Any],
) -> None:
    monkeypatch.setattr(room, name, broken)
    totals: Counter[str] = Counter()
    made = lambda: ForgetfulPost(sqlite_databases, totals)  # noqa: E731  # as above
    bounded = settings(QUIET, max_examples=60, phases=[Phase.generate], derandomize=True)
    with pytest.raises(LossFound):
        run_state_machine_as_test(made, settings=bounded)  # type: ignore[arg-type]  # as above
    record_property("troubles", f"{name}: a loss found after {totals['histories']} histories")


@pytest.mark.parametrize(("published", "lost"), [(sound, 0), (publishes_claims, 1)])
def test_the_oracle_counts_a_loss_when_records_are_published_with_what_contexts_claim(
    sqlite_databases: Databases,
    monkeypatch: pytest.MonkeyPatch,
    published: Callable[[History], RecordState],
    lost: int,
) -> None:
    """Rule 2 is told and not searched for: a tablet must be back first with what it saw, and the office write, before the
    author is back, and nobody who had seen it may write afterwards (tests/sync_protocol searches a quicker model)."""
    monkeypatch.setattr(Merge, "state", lambda merge: published(merge.history()))
    with Scene.opened(sqlite_databases) as scene:
        scene.back_up()
        (author, witness), record = scene.devices[:2], scene.records[0]
        scene.write(author, record, {"weight": {**WEIGHT, "weight_g": 8800}})
        scene.sync(author)
        scene.sync(witness)
        scene.write(witness, record, {"length": {"length_mm": 700, "position": "lying"}})
        scene.restore()
        scene.sync(witness)
        scene.sync(witness)
        scene.open_page(record)
        scene.save_page({"weight": WEIGHT})
        scene.settle()
        assert scene.verdict().lost == lost
