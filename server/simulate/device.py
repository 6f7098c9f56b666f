"""One simulated tablet: the reference client, its store on a disk, and a cadre who notes what she was told is saved.

Rules kept here:
- The disk is the client's own file: a tablet restarts by opening it again, is cloned by copying it, and is restored from an
  older copy of it.
- The notebook is not on the disk, and its answers are read from the connection, not from the client. The checks compare with
  the notebook, so a change lost by a restart is found.
- A quarantined change is answered with a correction: the same change without what was refused.
"""

import random
import secrets
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson

from server.crypto.vault import SigningKey
from server.simulate.line import Answer, Cut, CuttableLine, LineLost
from server.simulate.survey import Unusable
from sync_protocol import (
    Answered,
    Change,
    Dot,
    Form,
    Item,
    Json,
    Outcome,
    Replica,
    Resending,
)
from sync_protocol.client import Client, NotReached, Pace, Refused, Renewal, Report

APP: Final = "posyandu-simulate/1"
SYNC: Final = "/api/v1/sync"
TRIES: Final = 8
"""Attempts by a client, each with PACE."""
PACE: Final = Pace(tries=3, first_seconds=0.04, longest_seconds=2.0)
ODD_SIZES: Final = (1, 2, 3, 5, 7, 11, 23, 60)
CUTS: Final = (Cut.SENDING, Cut.UNREAD, Cut.MIDWAY)
KEPT_BODIES: Final = 3
"""Answered batches that a tablet may send once more."""


class PromiseBroken(Exception):  # the server broke its protocol
    """The server refused or lost what it must accept. The run goes on without this tablet, and fails."""


class Luck:
    """Random events of one tablet, from a seed. Without chaos there are none."""

    def __init__(self, seed: str, *, chaos: bool) -> None:
        self.rng = random.Random(seed)  # noqa: S311  # chaos must be repeatable, not unpredictable
        self.seed, self.chaos = seed, chaos

    def strikes(self, share: float) -> bool:
        """Return whether an event with this probability happens."""
        return self.chaos and self.rng.random() < share

    def of_a_clone(self) -> "Luck":
        """Return the events of this tablet's clone."""
        return Luck(f"{self.seed}/clone", chaos=self.chaos)


class KeysByNumber:
    """Keys whose name is the private number itself: a simulated disk needs no key store. A real tablet has one."""

    def make(self) -> str:
        """Create a key and return its number."""
        return str(SigningKey().private_number())

    def find(self, name: str) -> SigningKey:
        """Return the key of a number."""
        return SigningKey.from_private_number(int(name))


@dataclass(slots=True)
class RefusedChange:
    """A quarantined change, and which registers the cadre's correction left out (None: it cannot be corrected here)."""

    change: Change
    reasons: Sequence[Json]
    left_out: tuple[str, ...] | None


class Corrected:
    """Corrected changes, by nonce: shared by the cadres of a tablet and of its clones."""

    def __init__(self) -> None:
        self._nonces: set[str] = set()
        self._lock = threading.Lock()

    def take(self, nonce: str) -> bool:
        """Return whether nobody has corrected this change yet, and claim it."""
        with self._lock:
            is_new = nonce not in self._nonces
            self._nonces.add(nonce)
            return is_new


@dataclass(slots=True)
class Notebook:
    """What a cadre was told: changes that were saved (by hash: their current name, and nonce), and answers.

    `told` holds, for each change, every outcome that this tablet received; `receipts` the receipt of each batch by
    (enrolment, batch); `copied` the nonces of what was unsent when this tablet was cloned: it may arrive under two names.
    """

    written: dict[str, tuple[Dot, str]] = field(default_factory=dict)
    receipts: dict[tuple[str, str], bytes] = field(default_factory=dict)
    told: dict[Dot, set[str]] = field(default_factory=dict)
    bodies: list[tuple[tuple[str, str], bytes]] = field(default_factory=list)
    refusals: list[RefusedChange] = field(default_factory=list)
    corrected: Corrected = field(default_factory=Corrected)
    copied: set[str] = field(default_factory=set)
    enrolments: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    traffic: Counter[str] = field(default_factory=Counter)


class SimulatedTablet:
    """A tablet and its user.

    Parameters
    ----------
    name : for the report
    file : the client's store, enrolled
    author : the user
    luck : its random events
    clock_offset : how wrong its clock is
    """

    def __init__(
        self,
        name: str,
        file: Path,
        *,
        author: str,
        luck: Luck,
        clock_offset: timedelta,
    ) -> None:
        self.name, self.author, self.luck = name, author, luck
        self.file, self.clock_offset = file, clock_offset
        self.notebook = Notebook()
        self.line: CuttableLine | None = None
        self.was_copied = False
        self.client = self._opened()
        self.notebook.enrolments.append(self.replica.tablet_id)

    @property
    def replica(self) -> Replica:
        """What the tablet holds."""
        return self.client.replica

    @contextmanager
    def on(self, line: CuttableLine) -> Iterator[None]:
        """Be connected for a while."""
        self.line = line
        try:
            yield
        finally:
            self.line = None

    def close(self) -> None:
        """Close the file."""
        self.client.close()

    # -- writing ------------------------------------------------------------------------------------

    def write(self, form: Form, registers: Mapping[str, Json]) -> Change:
        """Save a form."""
        change = self.client.write(form, registers, author=self.author)
        self.notebook.written[change.hash] = (change.dot, change.nonce)
        return change

    def _clock(self) -> datetime:
        return datetime.now(UTC) + self.clock_offset

    # -- the disk -----------------------------------------------------------------------------------

    def _opened(self) -> Client:
        return Client.open(
            self.file, keys=KeysByNumber(), transport=self, pace=PACE, clock=self._clock, rng=self.luck.rng
        )

    def restart(self) -> None:
        """Stop the app and start it again from the disk."""
        self.notebook.traffic["restarts"] += 1
        self.client.close()
        self.client = self._opened()

    def back_up(self) -> Path:
        """Copy the disk."""
        copy = self.file.with_name(f"{self.file.stem}-{secrets.token_hex(4)}.tablet")
        self.client.store.copy_to(copy)
        return copy

    def restore(self, copy: Path) -> None:
        """Continue from an older copy, as a repaired device does; what is not in it is lost to the tablet."""
        self.notebook.traffic["restored from a copy"] += 1
        self.was_copied = True
        self.client.close()
        self.file = copy
        self.client = self._opened()

    def clone(self) -> "SimulatedTablet":
        """Copy the disk into a second device, with its key: from now on two devices have one identity."""
        self.notebook.traffic["cloned"] += 1
        other = SimulatedTablet(
            f"{self.name} (clone)",
            self.back_up(),
            author=f"{self.author[:60]}-2",
            luck=self.luck.of_a_clone(),
            clock_offset=self.clock_offset,
        )
        other.notebook.corrected = self.notebook.corrected
        other.notebook.copied = {entry.change.nonce for entry in self.replica.unanswered()}
        self.was_copied = other.was_copied = True
        return other

    # -- the line -----------------------------------------------------------------------------------

    def post(self, path: str, body: bytes) -> Answer:
        """Send a request as the client's transport, with random faults, and note the answer."""
        line, luck = self.line, self.luck
        if line is None:
            raise LineLost("no line", sent=False)
        if luck.strikes(0.2):
            return line.post(path, body, luck.rng.choice(CUTS))
        twice = path == SYNC and luck.strikes(0.05)
        answer = self._sent_twice_at_once(line, body) if twice else line.post(path, body)
        if answer.status != 200:
            self.notebook.traffic[f"answers {answer.status}"] += 1
        elif path == SYNC:
            self._note(orjson.loads(body)["batch"], answer.json()["receipt"], body)
        return answer

    def _sent_twice_at_once(self, line: CuttableLine, body: bytes) -> Answer:
        """Send the same batch on two connections, as a second tap does."""
        self.notebook.traffic["sent twice at once"] += 1
        line.send("POST", SYNC, body)
        with line.another() as second:
            other = second.post(SYNC, body)
        answer = line.receive()
        if answer.status == other.status == 200 and _receipt(answer) != _receipt(other):
            raise PromiseBroken("one batch sent twice at once got two receipts")
        return answer

    def _note(self, batch: Json, receipt: Json, body: bytes) -> None:
        """Note what an answer says, before the client reads it."""
        if receipt["status"] != "accepted" or not batch["changes"]:
            return
        name = (batch["tablet"], batch["batch"])
        raw = orjson.dumps(receipt)
        if self.notebook.receipts.setdefault(name, raw) != raw:
            raise PromiseBroken(f"batch {batch['batch']} got another receipt when it came again")
        if name not in (kept for kept, _ in self.notebook.bodies):
            self.notebook.bodies = [*self.notebook.bodies, (name, body)][-KEPT_BODIES:]
        for counter, outcome, *_ in receipt["items"]:
            self.notebook.told.setdefault(Dot(batch["tablet"], counter), set()).add(outcome)

    # -- syncing ------------------------------------------------------------------------------------

    def sync(self) -> int:
        """Make one round trip, with as many attempts as it takes.

        Returns
        -------
        int : changes answered for the first time, records pulled, and 1 for `more`; 0 if nothing moved

        Raises
        ------
        PromiseBroken, Unusable
            The latter if the server cannot be reached any more.
        """
        self._overlap()
        report = self._exchanged()
        self._look_at(report)
        if self.luck.strikes(0.1):
            self._send_again()
        return report.answered + len(report.pulled) + len(report.left) + int(report.more)

    def sync_until_quiet(self) -> int:
        """Sync until nothing is left on either side; return what moved."""
        moved = 0
        for _ in range(1000):
            step = self.sync()
            moved += step
            if step == 0 and not self.replica.unanswered():
                return moved
        raise PromiseBroken("never comes to rest")

    def _overlap(self) -> None:
        """Now and then, send some of what was answered once more."""
        replica, luck = self.replica, self.luck
        if replica.pending is None and replica.sent_up_to > replica.forgotten and luck.strikes(0.1):
            with self.client.store.changing():
                replica.sent_up_to -= luck.rng.randint(1, min(5, replica.sent_up_to - replica.forgotten))
            self.notebook.traffic["overlaps"] += 1

    def _exchanged(self) -> Report:
        at_most = self.luck.rng.choice(ODD_SIZES) if self.luck.chaos else 10_000
        for _ in range(TRIES):
            try:
                return self.client.exchange(at_most=at_most)
            except NotReached:
                if self.luck.strikes(0.5):
                    self.restart()
            except Refused as refused:
                raise PromiseBroken(f"a request was refused as a whole: {refused}") from refused
        raise Unusable(f"the server did not answer {TRIES * PACE.tries} times running: is it still up?")

    def _look_at(self, report: Report) -> None:
        if report.server_restored or any(isinstance(event, Resending) for event in report.events):
            raise PromiseBroken("the server wants changes again, though it was not restored")
        if report.left:
            raise PromiseBroken("children left the post, though nobody moved them")
        for renewal in report.renewals:
            self._note_renewal(renewal)
        for event in report.events:
            if isinstance(event, Answered):
                self._answer_refusals(event.receipt.items)

    def _note_renewal(self, renewal: Renewal) -> None:
        """Note the new names of saved changes; they must be equal otherwise."""
        if not self.was_copied:
            raise PromiseBroken("a new enrolment was asked for, though nothing was copied or restored")
        self.notebook.traffic["new enrolments"] += 1
        self.notebook.enrolments.append(renewal.new_id)
        for before, now in renewal.renumbered:
            if _content(before) != _content(now):
                raise PromiseBroken(f"change {before.dot.counter} became another when it was renumbered")
            self.notebook.written.pop(before.hash, None)
            self.notebook.written[now.hash] = (now.dot, now.nonce)

    def _send_again(self) -> None:
        """Repeat an answered batch, the same bytes: the same receipt must come."""
        if not self.notebook.bodies or self.line is None:
            return
        name, body = self.luck.rng.choice(self.notebook.bodies)
        try:
            answer = self.line.post(SYNC, body)
        except LineLost:
            return
        self.notebook.traffic["repeats"] += 1
        if answer.status == 200 and _receipt(answer) != self.notebook.receipts[name]:
            raise PromiseBroken(f"batch {name[1]} got another receipt when it came again")

    # -- quarantined changes -------------------------------------------------------------------------

    def _answer_refusals(self, items: Sequence[Item]) -> None:
        """Correct each quarantined change, once."""
        replica = self.replica
        for item in items:
            if item.outcome is Outcome.QUARANTINED:
                change = replica.log[item.counter - 1 - replica.forgotten].change
                if self.notebook.corrected.take(change.nonce):
                    self._correct(change, item)

    def _correct(self, change: Change, item: Item) -> None:
        left_out = refused_registers(item.reasons)
        self.notebook.refusals.append(RefusedChange(change, item.reasons, left_out))
        if left_out is None:
            return
        registers = {name: value for name, value in change.registers.items() if name not in left_out}
        if "identity" in left_out:  # a child keeps its name: only the birth date is removed
            registers["identity"] = {**change.registers["identity"], "born_on": None}
        if not registers:
            return
        self.write(self._reopened(change), registers)

    def _reopened(self, change: Change) -> Form:
        """Open the record of a change once more."""
        key = change.key
        if change.kind == "child":
            return self.client.open_child(change.record_id)
        if change.kind == "follow_up":
            return self.client.open_follow_up(key["child"], key["task"])
        if change.kind == "delivery":
            return self.client.open_delivery(key["child"], key["delivery"])
        return self.client.open_measurement(key["child"], key["measured_on"], key["source"])


def refused_registers(reasons: Sequence[Json]) -> tuple[str, ...] | None:
    """Return the registers that the reasons name; None if one concerns something else, such as the day of measuring."""
    paths = [reason["path"].split(".") for reason in reasons]
    if not all(len(path) >= 2 and path[0] == "set" for path in paths):
        return None
    return tuple(sorted({path[1] for path in paths}))


def _content(change: Change) -> dict[str, Any]:
    """Return the parts of a change that a new name must not alter."""
    return {name: value for name, value in change.wire().items() if name != "context"}


def _receipt(answer: Answer) -> bytes:
    return orjson.dumps(answer.json()["receipt"])
