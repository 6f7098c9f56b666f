"""People who carry sealed letters for tablets, for tests: real letters, the real way in, real receipts back."""

import random
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import orjson

from server.crypto.sealed_batch import Slip, open_receipt, seal_batch
from server.sync.relay import RelayedBatch, deliver
from sync_protocol import Event, Receipt
from tests.server._district import District, FakeTablet


@dataclass
class Sender:
    """A tablet that hands out letters, and keeps the slips."""

    tablet: FakeTablet
    slips: dict[str, Slip] = field(default_factory=dict)

    def letters(self, **limits: int) -> list[dict[str, Any]]:
        """Seal everything that is not acknowledged."""
        district, sealing = self.tablet.district, self.tablet.district.hub.vault.sealing_key()
        batches = self.tablet.replica.carried_batches(district.new_id, district.clock.text(), **limits)
        return [self.seal(batch, sealing) for batch in batches]

    def seal(self, batch: Any, sealing: Any) -> dict[str, Any]:
        letter, slip = seal_batch(orjson.loads(self.tablet.signed(batch)), sealing)
        self.slips[slip.letter] = slip
        return letter

    def open(self, answer: dict[str, Any]) -> Receipt:
        """Open one of this tablet's receipts."""
        return open_receipt(answer, self.slips[answer["sealed_receipt"]["letter"]])

    def take(self, answers: Sequence[dict[str, Any]]) -> list[Event]:
        """Take in what of a carrier's answers is for this tablet."""
        events = []
        for answer in answers:
            if "sealed_receipt" in answer and answer["sealed_receipt"]["letter"] in self.slips:
                event = self.tablet.replica.receive_carried(
                    self.open(answer), self.tablet.district.clock.text()
                )
                events += [event] if event else []
        return events


def bring(district: District, letters: Sequence[object]) -> list[RelayedBatch]:
    """Hand letters to the server."""
    return deliver(district.hub, letters, actor="carrier", now=district.clock.now, turn=nullcontext())


def answers(district: District, letters: Sequence[object]) -> list[dict[str, Any]]:
    """Hand letters to the server and give what the carrier takes home."""
    return [one.answer() for one in bring(district, letters)]


def words(brought: Sequence[RelayedBatch]) -> list[str]:
    """Say what became of each letter."""
    return [one.word() for one in brought]


def shuffled(letters: Sequence[Any], seed: int) -> list[Any]:
    """Give letters as they come out of a bag."""
    mixed = list(letters)
    random.Random(seed).shuffle(mixed)
    return mixed
