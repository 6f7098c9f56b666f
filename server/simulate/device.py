"""One simulated tablet: a real Replica and key, a disk, and a cadre who writes down what she was told is saved.

Rules kept here:
- The disk holds everything before anything is sent: a tablet that restarts between any two calls goes on where it was.
- A batch is sent again, the same bytes, until it is answered.
- The notebook is not on the disk. It is what the checks are made against, so a change that a restart forgot would be missed.
- What the server sets aside is answered with a correction: the same change without what was refused.
"""

import base64
import json
import random
import secrets
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from server.places import new_id
from server.security import SigningKey, base64url
from server.simulate.line import Answer, Cut, Line, LineLost
from server.simulate.survey import Unusable
from sync_protocol import (
    Change,
    Dot,
    Form,
    Item,
    Json,
    Logged,
    NewEpochRequired,
    Outcome,
    Pulled,
    RecordState,
    Replica,
    Resending,
    canonical,
    change_hash,
)

APP: Final = "posyandu-simulate/1"
SYNC: Final = "/api/v1/sync"
TRIES: Final = 12
LONGEST_PAUSE_SECONDS: Final = 2.0
ODD_SIZES: Final = (1, 2, 3, 5, 7, 11, 23, 60)
CUTS: Final = (Cut.SENDING, Cut.UNREAD, Cut.MIDWAY)
KEPT_BODIES: Final = 3
"""Answered batches that a tablet may send once more."""


class PromiseBroken(Exception):  # the server did what its protocol rules out
    """The server refused or lost what it must take. The run goes on without this tablet, and does not hold."""


class Luck:
    """What happens to one tablet, from a seed. Without chaos nothing ever does."""

    def __init__(self, seed: str, *, chaos: bool) -> None:
        self.rng = random.Random(seed)  # noqa: S311  # chaos must be repeatable from a seed, not unguessable
        self.chaos = chaos

    def strikes(self, share: float) -> bool:
        """Say whether something happens that does in so large a share of cases."""
        return self.chaos and self.rng.random() < share


@dataclass(slots=True)
class Refusal:
    """A change that was set aside, and which registers the cadre's correction left out (None: it cannot be mended here)."""

    change: Change
    reasons: Sequence[Json]
    left_out: tuple[str, ...] | None


@dataclass(slots=True)
class Notebook:
    """What a cadre was told: changes that were saved, answers that came."""

    written: list[tuple[Dot, str]] = field(default_factory=list)
    receipts: dict[str, bytes] = field(default_factory=dict)
    first_answers: dict[Dot, str] = field(default_factory=dict)
    bodies: list[tuple[str, bytes]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    traffic: Counter[str] = field(default_factory=Counter)


class Device:
    """A tablet in somebody's hands.

    Parameters
    ----------
    name : for the report
    replica, key : as enrolled
    author : who writes on it
    luck : what happens to it
    clock_offset : how wrong its clock is
    limits : changes and bytes that the server takes at once
    """

    def __init__(
        self,
        name: str,
        replica: Replica,
        key: SigningKey,
        *,
        author: str,
        luck: Luck,
        clock_offset: timedelta,
        limits: Mapping[str, int],
    ) -> None:
        self.name, self.author, self.luck = name, author, luck
        self.replica, self.key = replica, key
        self.notebook = Notebook()
        self._clock_offset, self._limits = clock_offset, limits
        self._body = b""
        self._corrected = 0
        self._disk = b""
        self._save()

    # -- writing ------------------------------------------------------------------------------------

    def write(self, form: Form, registers: Mapping[str, Json]) -> Change:
        """Save what was filled in."""
        nonce = base64url(secrets.token_bytes(16))
        change = self.replica.write(form, registers, author=self.author, recorded_at=self._now(), nonce=nonce)
        self._save()
        self.notebook.written.append((change.dot, change.hash))
        return change

    def _now(self) -> str:
        return (datetime.now(UTC) + self._clock_offset).strftime("%Y-%m-%dT%H:%M:%SZ")

    # -- the disk -----------------------------------------------------------------------------------

    def _save(self) -> None:
        self._disk = json.dumps(
            {
                "replica": dump(self.replica),
                "key": str(self.key.private_number()),
                "body": base64.b64encode(self._body).decode(),
                "corrected": self._corrected,
            }
        ).encode()

    def restart(self) -> None:
        """End the app and start it again from what is on the disk."""
        self.notebook.traffic["restarts"] += 1
        stored = json.loads(self._disk)
        self.replica = load(stored["replica"])
        self.key = SigningKey.from_private_number(int(stored["key"]))
        self._body = base64.b64decode(stored["body"])
        self._corrected = stored["corrected"]

    # -- syncing ------------------------------------------------------------------------------------

    def sync(self, line: Line) -> int:
        """Make one round trip, whatever it takes.

        Returns
        -------
        int : changes answered for the first time, records pulled, and 1 for `more`; 0 when nothing moved

        Raises
        ------
        PromiseBroken, Unusable
            The latter where the server cannot be reached any more.
        """
        self._make_batch()
        answer = self._carried(line).json()
        known = len(self.notebook.first_answers)
        self._take(answer)
        if self.luck.strikes(0.1):
            self._send_again(line)
        new = len(self.notebook.first_answers) - known
        return new + _size(answer["pull"]) + int(bool(answer["pull"]["more"]))

    def sync_until_quiet(self, line: Line) -> int:
        """Sync until nothing is waiting, here or there; give what moved."""
        moved = 0
        for _ in range(1000):
            step = self.sync(line)
            moved += step
            if step == 0 and not self.replica.unanswered():
                return moved
        raise PromiseBroken("never comes to rest")

    def _make_batch(self) -> None:
        replica, luck = self.replica, self.luck
        if replica.pending is not None:
            return
        if replica.sent_up_to > replica.forgotten and luck.strikes(
            0.1
        ):  # some of what was answered, once more
            replica.sent_up_to -= luck.rng.randint(1, min(5, replica.sent_up_to - replica.forgotten))
            self.notebook.traffic["overlaps"] += 1
        most = luck.rng.choice(ODD_SIZES) if luck.chaos else self._limits["changes"]
        batch = replica.next_batch(
            new_id(),
            self._now(),
            max_changes=min(most, self._limits["changes"]),
            max_bytes=self._limits["bytes"],
        )
        signature = base64url(self.key.sign(canonical(batch)))
        self._body = orjson.dumps({"batch": batch, "signature": signature})
        self._save()

    def _carried(self, line: Line) -> Answer:
        """Send the pending batch until an answer is here."""
        for attempt in range(TRIES):
            if attempt:
                self._wait(attempt)
            try:
                answer = self._sent_once(line, cuttable=attempt < TRIES // 2)
            except LineLost:
                if self.luck.strikes(0.3):
                    self.restart()
                continue
            if answer.status == 200:
                return answer
            self.notebook.traffic[f"answers {answer.status}"] += 1
            if answer.status < 500:
                raise PromiseBroken(f"a batch was refused as a whole: {answer.status} {answer.body[:200]!r}")
        raise Unusable(f"the server did not answer {TRIES} times running: is it still up?")

    def _sent_once(self, line: Line, *, cuttable: bool) -> Answer:
        if cuttable and self.luck.strikes(0.2):
            return line.post(SYNC, self._body, self.luck.rng.choice(CUTS))
        if cuttable and self.luck.strikes(0.05):
            return self._sent_twice_at_once(line)
        return line.post(SYNC, self._body)

    def _sent_twice_at_once(self, line: Line) -> Answer:
        """Send the same batch on two connections, as a second tap does."""
        self.notebook.traffic["sent twice at once"] += 1
        line.send(SYNC, self._body)
        with line.another() as second:
            other = second.post(SYNC, self._body)
        answer = line.receive()
        if answer.status == other.status == 200 and _receipt(answer.json()) != _receipt(other.json()):
            raise PromiseBroken("one batch sent twice at once got two receipts")
        return answer

    def _wait(self, attempt: int) -> None:
        """Back off with jitter: twice as long each time, so that tablets that failed together do not return together."""
        longest = min(0.02 * 2**attempt, LONGEST_PAUSE_SECONDS)
        time.sleep(self.luck.rng.uniform(longest / 2, longest))

    def _take(self, answer: Json) -> None:
        pending = self.replica.pending
        for event in self.replica.receive(answer, self._now()):
            if isinstance(event, NewEpochRequired | Resending):
                raise PromiseBroken(
                    f"the server wants change {event.wanted} again, though nothing was restored"
                )
            if isinstance(event, Pulled) and event.left:
                raise PromiseBroken("children left the post, though nobody moved them")
        batch_id = answer["receipt"]["batch"]
        if pending and pending["changes"]:
            self.notebook.receipts[batch_id] = _receipt(answer)
            self.notebook.bodies = [*self.notebook.bodies, (batch_id, self._body)][-KEPT_BODIES:]
        self._note_first_answers(answer["receipt"]["items"])
        self._body = b""
        self._answer_refusals()
        self._save()

    def _note_first_answers(self, items: Sequence[Any]) -> None:
        for counter, outcome, *_ in items:
            self.notebook.first_answers.setdefault(Dot(self.replica.tablet_id, counter), outcome)

    def _send_again(self, line: Line) -> None:
        """Repeat an answered batch, the same bytes: the same receipt must come."""
        if not self.notebook.bodies:
            return
        batch_id, body = self.luck.rng.choice(self.notebook.bodies)
        try:
            answer = line.post(SYNC, body)
        except LineLost:
            return
        self.notebook.traffic["repeats"] += 1
        if answer.status == 200 and _receipt(answer.json()) != self.notebook.receipts[batch_id]:
            raise PromiseBroken(f"batch {batch_id} got another receipt when it came again")

    # -- what was set aside -------------------------------------------------------------------------

    def _answer_refusals(self) -> None:
        """Correct each change that was set aside since the last answer."""
        replica = self.replica
        while self._corrected < replica.sent_up_to:
            logged = replica.log[self._corrected - replica.forgotten]
            self._corrected += 1
            if logged.item and logged.item.outcome is Outcome.QUARANTINED:
                self._correct(logged.change, logged.item)

    def _correct(self, change: Change, item: Item) -> None:
        left_out = refused_registers(item.reasons)
        self.notebook.refusals.append(Refusal(change, item.reasons, left_out))
        if left_out is None:
            return
        registers = {name: value for name, value in change.registers.items() if name not in left_out}
        if "identity" in left_out:  # a child keeps its name: only the birth date is taken back
            registers["identity"] = {**change.registers["identity"], "born_on": None}
        if not registers:
            return
        key = change.key
        form = (
            self.replica.open_child(change.record_id)
            if change.kind == "child"
            else self.replica.open_measurement(key["child"], key["measured_on"], key["source"])
        )
        self.write(form, registers)


def refused_registers(reasons: Sequence[Json]) -> tuple[str, ...] | None:
    """Give the registers that the reasons name; None where one speaks of something else, such as the day of measuring."""
    paths = [reason["path"].split(".") for reason in reasons]
    if not all(len(path) >= 2 and path[0] == "set" for path in paths):
        return None
    return tuple(sorted({path[1] for path in paths}))


def _receipt(answer: Json) -> bytes:
    return orjson.dumps(answer["receipt"])


def _size(pull: Json) -> int:
    return len(pull["children"]) + sum(map(len, pull["measurements"].values())) + len(pull["left"])


# -- a replica on a disk ----------------------------------------------------------------------------


def dump(replica: Replica) -> dict[str, Any]:
    """Write all of a replica as plain JSON."""
    return {
        "district": replica.district,
        "tablet_id": replica.tablet_id,
        "post_id": replica.post_id,
        "app": replica.app,
        "forgotten": replica.forgotten,
        "forgotten_hash": replica.forgotten_hash,
        "cursor": replica.cursor,
        "incarnation": replica.incarnation,
        "sent_up_to": replica.sent_up_to,
        "pending": replica.pending,
        "pulled_at": replica.pulled_at,
        "token": replica.token,
        "carried": replica.carried,
        "log": [[e.change.wire(), _item(e.item), e.acknowledged_at] for e in replica.log],
        "base": [[s.kind, s.record_id, dict(s.key), s.wire()] for s in replica.base.values()],
    }


def _item(item: Item | None) -> list[Any] | None:
    return None if item is None else [item.counter, item.outcome.value, list(item.reasons)]


def load(stored: Mapping[str, Any]) -> Replica:
    """Read what `dump` wrote. Numbers and hashes of the log follow from its order, as they did when it was written."""
    plain = {name: value for name, value in stored.items() if name not in ("log", "base")}
    replica = Replica(**plain)
    previous = replica.forgotten_hash
    for counter, (wire, item, acknowledged_at) in enumerate(stored["log"], replica.forgotten + 1):
        dot = Dot(replica.tablet_id, counter)
        change = Change.from_wire(dot, wire, change_hash(dot, previous, wire))
        read = None if item is None else Item(item[0], Outcome(item[1]), tuple(item[2]))
        replica.log.append(Logged(change, previous, read, acknowledged_at))
        previous = change.hash
    for kind, record_id, key, wire in stored["base"]:
        replica.base[kind, record_id] = RecordState.from_wire(kind, record_id, key, wire)
    return replica
