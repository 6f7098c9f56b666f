"""What tablets lived through, written down call by call, to be lived through again by the tablet app's replica.

`lives` lets a world of `tests/sync_protocol/_world.py` run: several tablets, people at the hub, lost batches and answers,
restored and cloned devices, a restored server, letters that others carry. Every tablet writes down each call of its
`Replica` with what it was given, what it answered, and after it all that can be seen of the tablet from outside. A
cloned or restored device takes its life so far with it, so every life can be lived from its beginning.
"""

import base64
import copy
import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from sync_protocol import (
    Change,
    Event,
    Form,
    Json,
    NewEpochRequired,
    Receipt,
    Replica,
    Resending,
    canonical,
)
from tests.sync_protocol._world import KEYS, REFS, Device, ServerModel, World, live_through, over_the_wire

Step = dict[str, Any]
NAMED_BY_CHANCE = ("batch", "sent_at")


class Witness(Replica):
    """A replica that writes down what happens to it."""

    life: list[Step]

    @classmethod
    def of(cls, replica: Replica, life: Sequence[Step]) -> "Witness":
        """Give a witness in a replica's place."""
        witness = cls(**{each.name: getattr(replica, each.name) for each in fields(replica)})
        witness.life = list(life)
        return witness

    def __deepcopy__(self, memo: dict[int, Any]) -> "Witness":
        """Copy a device; the steps of a life never change, so the copies share them."""
        copied = {each.name: copy.deepcopy(getattr(self, each.name), memo) for each in fields(self)}
        return Witness.of(Replica(**copied), self.life)

    def _note(self, call: str, given: Any, answer: Any) -> None:
        self.life.append({"call": call, "given": given, "answer": answer, "digest": digest_of(seen(self))})

    def _open(self, kind: str, id_: str, key: Mapping[str, str]) -> Form:
        form = super()._open(kind, id_, key)
        self._note("open", {"kind": kind, "id": id_, "key": dict(key)}, form.context.wire())
        return form

    def write(
        self, form: Form, registers: Mapping[str, Json], *, author: str, recorded_at: str, nonce: str
    ) -> Change:
        change = super().write(form, registers, author=author, recorded_at=recorded_at, nonce=nonce)
        opened = {
            "kind": form.kind,
            "id": form.record_id,
            "key": dict(form.key),
            "context": form.context.wire(),
        }
        given = {"form": opened, "set": registers, "author": author, "at": recorded_at, "nonce": nonce}
        self._note("write", given, [change.dot.counter, change.hash])
        return change

    def next_batch(self, batch_id: str, sent_at: str, **limits: int) -> dict[str, Any]:
        is_new = self.pending is None
        batch = super().next_batch(batch_id, sent_at, **limits)
        if is_new:
            self._note("nextBatch", limits["max_changes"], _told(batch))
        return batch

    def receive(self, answer: Json, received_at: str) -> list[Event]:
        restored = bool(self.incarnation) and self.incarnation != answer["incarnation"]
        events = super().receive(answer, received_at)
        self._note("receive", answer, _event(events, restored=restored))
        return events

    def carried_batches(self, new_id: Callable[[], str], sent_at: str, **limits: int) -> list[dict[str, Any]]:
        batches = super().carried_batches(new_id, sent_at, **limits)
        self._note("carriedBatches", None, [_told(batch) for batch in batches])
        return batches

    def receive_carried(self, receipt: Receipt, received_at: str) -> Event | None:
        event = super().receive_carried(receipt, received_at)
        self._note("receiveCarried", over_the_wire(receipt.wire()), None)
        return event

    def forget(self, acknowledged_before: str) -> int:
        count = super().forget(acknowledged_before)
        self._note("forgetting", acknowledged_before, count)
        return count

    def enrol_anew(self, tablet_id: str, common: int, posts: Sequence[Json] = ()) -> Replica:
        return self._heir(super().enrol_anew(tablet_id, common, posts), common)

    def enrol_afresh(self, tablet_id: str, posts: Sequence[Json] = ()) -> Replica:
        return self._heir(super().enrol_afresh(tablet_id, posts), None)

    def _heir(self, replica: Replica, common: int | None) -> Replica:
        heir = Witness.of(replica, self.life)
        heir._note("renumbered", {"tablet": heir.tablet_id, "common": common}, None)
        return heir


def _told(batch: Json) -> dict[str, Any]:
    return over_the_wire({name: value for name, value in batch.items() if name not in NAMED_BY_CHANCE})


def _event(events: Sequence[Event], *, restored: bool) -> str:
    if any(isinstance(event, NewEpochRequired) for event in events):
        return "new_epoch_required"
    if restored:
        return "restored"
    return "gap" if isinstance(events[0], Resending) else "accepted"


def seen(replica: Replica) -> dict[str, Any]:
    """Give all that can be seen of a tablet from outside."""
    views: list[Json | None] = []
    for ref in REFS:
        state = replica.view(ref)
        named = {"on": "measured_on", "source": "source", "task": "task"}
        key = {name: KEYS[ref][part] for name, part in named.items() if part in KEYS[ref]}
        views.append(None if state is None else {**key, **state.wire()})
    return {
        "views": views,
        "waiting": [entry.change.dot.counter for entry in replica.unanswered()],
        "in_question": [entry.change.dot.counter for entry in replica.in_question()],
        "head": [
            replica.forgotten + len(replica.log),
            replica.log[-1].change.hash if replica.log else replica.forgotten_hash,
        ],
        "kept": list(replica.kept_tags()),
        "cursor": replica.cursor,
        "sent": replica.sent_up_to,
        "outcomes": [entry.item.outcome.value if entry.item else None for entry in replica.log],
        "past": [[kept["actor"], kept["counter"], kept["hash"]] for kept in replica.past],
    }


def digest_of(value: Json) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(canonical(value)).digest()).rstrip(b"=").decode()


class WitnessedWorld(World):
    """A world of witnesses, in which letters are carried as they are and some enrolments begin from nothing."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(ServerModel())
        self.rng = rng
        for device in self.devices:
            device.replica = Witness.of(device.replica, ())
            device.replica._note("begin", device.replica.tablet_id, None)

    def _name(self, what: str) -> str:
        number = next(self.numbers)
        if what == "nonce":
            return base64.urlsafe_b64encode(number.to_bytes(16, "big")).rstrip(b"=").decode()
        return f"{what}-{number:05d}"

    def carry(self, device: Device, counters: Sequence[int]) -> None:
        """Hand out letters: they come in any order, some get lost, and so do some of the receipts."""
        del counters
        batches = device.replica.carried_batches(lambda: self._name("batch"), self._now(), max_changes=200)
        for batch in self.rng.sample(batches, len(batches)):
            receipt = Receipt.from_wire(self.server.exchange(over_the_wire(batch))["receipt"])
            if self.rng.random() < 0.7:
                device.replica.receive_carried(receipt, self._now())

    def enrol_anew(self, device: Device) -> None:
        """Now and then the server knows nothing of the device any more, and everything is numbered again."""
        if self.rng.random() < 0.2:
            device.replica = device.replica.enrol_afresh(self._name("tablet"))
        else:
            super().enrol_anew(device)


def lives(seed: int, *, faults: bool) -> list[list[Step]]:
    """Give the lives of all devices that are there at the end of a random history; the same for the same seed."""
    world = WitnessedWorld(random.Random(f"letters of {seed}"))
    live_through(world, random.Random(seed), faults=faults)
    return [device.replica.life for device in world.devices if isinstance(device.replica, Witness)]
