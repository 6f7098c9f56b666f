"""The loss test itself is to be trusted: it sees what a system forgets, alters or never answers.

The systems here are wrong on purpose; the real ones are the command's business (`make peers`).
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import pytest

from sync_protocol import Json
from tests.faults._running import LineLost
from tests.peers._load import Answer, Record
from tests.peers.loss import Result, plan, run, table

WRITERS = 2


class Memory:
    """A system in memory that keeps everything; its heirs break one promise each."""

    name, version = "Ingatan", "1"

    def __init__(self) -> None:
        self.held: dict[str, Mapping[str, Json | None]] = {}

    def writer(self, _number: int) -> "Memory":
        return self

    def send(self, batch: Sequence[Record]) -> Answer:
        self.held |= {record.id: record.content for record in batch}
        return Answer(frozenset(record.id for record in batch))

    def read_back(self, _wanted: Collection[Record]) -> Mapping[str, Mapping[str, Json | None]]:
        return self.held

    def is_well(self) -> bool:
        return True

    def workers(self) -> list[int]:
        return []

    def kill_master(self) -> None: ...

    def start_again(self) -> None: ...


class Forgetful(Memory):
    """Refuses the last record of each first attempt, and with it forgets those that it said it took."""

    def send(self, batch: Sequence[Record]) -> Answer:
        if len(batch) == 1:
            return super().send(batch)
        return Answer(frozenset(record.id for record in batch[:-1]), {batch[-1].id: "409"})


class Altering(Memory):
    """Gives back something else than it was given."""

    def read_back(self, _wanted: Collection[Record]) -> Mapping[str, Mapping[str, Json | None]]:
        return {**self.held, next(iter(self.held)): {}}


class Deaf(Memory):
    """Takes everything and answers every other batch only."""

    heard = 0

    def send(self, batch: Sequence[Record]) -> Answer:
        self.heard += 1
        answer = super().send(batch)
        if self.heard % 2:
            raise LineLost("on purpose")
        return answer


def result_of(system: Memory) -> Result:
    return run(system, "", writers=WRITERS, seconds=0.3, seed=64, faults=[])


def test_run_finds_nothing_lost_when_everything_is_kept() -> None:
    result = result_of(Memory())
    assert result.sent == result.acknowledged == result.readable > 0
    assert (result.lost, result.changed, result.refused, result.unanswered) == (0, 0, 0, 0)


def test_run_counts_a_loss_when_an_acknowledged_record_is_gone() -> None:
    result = result_of(Forgetful())
    assert result.lost == result.lost_beside_refusal == result.acknowledged - result.readable > 0
    assert result.reasons == {"409": result.refused}


def test_run_counts_a_change_when_the_content_is_another() -> None:
    assert result_of(Altering()).changed == 1


def test_run_sends_again_when_no_answer_came() -> None:
    result = result_of(Deaf())
    assert result.unanswered > 0
    assert result.sent == result.acknowledged == result.readable


@pytest.mark.parametrize("postgres", [True, False])
def test_plan_is_the_same_when_the_seed_is(postgres: bool) -> None:
    faults = plan(64, 20, 60.0, postgres=postgres)
    assert faults == sorted(plan(64, 20, 60.0, postgres=postgres))
    kinds = Counter(kind for _, kind in faults)
    assert kinds == ({"worker": 12, "master": 4, "postgres": 4} if postgres else {"worker": 16, "master": 4})


def test_table_shows_both_when_there_are_two() -> None:
    shown = table([result_of(Memory()), result_of(Forgetful())]).splitlines()
    assert shown[0].split() == ["Ingatan", "1", "Ingatan", "1"]
    assert next(line for line in shown if "LOST" in line).split()[-2] == "0"
