"""A post in trouble: a real server on a real socket, tablets that come and go, and an oracle that the rules cannot see.

Hides how bytes travel and are cut, how a device is copied, how somebody at the office edits, and what every author had
really in view. The oracle knows a change by its nonce, which survives a new enrolment (the hub's by its hash), and keeps
for each the nonces of what its author saw when the form was opened. It learns what a tablet was shown from what the
ledger holds at that moment, never from a vector: so a vector that claims too much is caught. `Scene.judge` says what it
found.
"""

import gzip
import random
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http.client import HTTPResponse
from typing import Any

import orjson
from sqlalchemy import delete, select
from werkzeug.serving import WSGIRequestHandler, make_server

from schemas import Reason
from server import audit
from server.app import create_app
from server.children import ledger
from server.children.assessment import assess
from server.context import AppContext
from server.crypto.vault import SigningKey, base64url
from server.database.models import Assessment, Attention, ChangeRow, Child, Flag, Tablet, table
from server.errors import Problem
from server.sync import server_edits
from server.sync.loading import Arrival
from server.sync.pipeline import plan_changes
from sync_protocol import (
    NOTHING_SEEN,
    Answered,
    Change,
    Dot,
    Event,
    Form,
    History,
    Json,
    Link,
    NewEpochRequired,
    Outcome,
    Pulled,
    Receipt,
    ReceiptStatus,
    RecordState,
    Replica,
    VersionVector,
    canonical,
    delivery_id,
    fold,
    follow_up_id,
    measurement_id,
)
from tests.server._district import (
    DISTRICT,
    Databases,
    District,
    FakeTablet,
    Ref,
    identity,
    measured,
    to_do,
    what_came,
)

Seen = frozenset[str]
NOTHING: Seen = frozenset()
MOST_DEVICES = 6


class Cut(Exception):
    """The line broke: whoever sent does not know what the server took."""


class Refused(Exception):
    """The server refused the whole request; the argument is the problem's code."""


# -- the line -------------------------------------------------------------------------------------


class _Silent(WSGIRequestHandler):
    def log(self, *_: Any, **__: Any) -> None:
        """Say nothing of each request: there are thousands."""


@contextmanager
def served(hub: AppContext) -> Iterator[int]:
    """Serve an installation on a port of this machine until the block is left; give the port."""
    server = make_server(
        "127.0.0.1", 0, create_app(hub.settings, hub), threaded=True, request_handler=_Silent
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def post(port: int, path: str, body: bytes, cut: str = "") -> dict[str, Any]:
    """Send JSON as gzip and give the answer's body.

    Parameters
    ----------
    cut : "body": the line breaks in the middle of the body; "answer": after the server has answered, unread

    Raises
    ------
    Cut, Refused
    """
    packed = gzip.compress(body, 1, mtime=0)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: pos\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
        f"Content-Length: {len(packed)}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        line.sendall(head.encode() + (packed[: len(packed) // 2] if cut == "body" else packed))
        if cut == "body":
            line.shutdown(socket.SHUT_WR)
        answer = HTTPResponse(line)
        answer.begin()  # so the server has done with it, whatever it did
        if cut:
            answer.close()
            raise Cut
        content = orjson.loads(answer.read())
        if answer.status != 200:
            raise Refused(content["code"])
        return dict(content)


def expect(refused: Refused, *codes: str) -> None:
    """Let a refusal pass that belongs to the story; raise any other."""
    if refused.args[0] not in codes:
        raise refused


# -- the devices ----------------------------------------------------------------------------------


@dataclass
class Device:
    """A tablet in somebody's hands, and what the oracle remembers of it.

    `pulled` is what stands behind each pulled record, `forms` stand open, `let_go` is what the device dropped from its log
    when it enrolled anew (the server held it), `next_key` waits for the answer to that, `days_off` is its clock's error.
    """

    tablet: FakeTablet
    pulled: dict[str, Seen] = field(default_factory=dict)
    forms: list[tuple[Form, Seen]] = field(default_factory=list)
    let_go: set[str] = field(default_factory=set)
    next_key: SigningKey | None = None
    days_off: int = 0
    loses_enrolment: bool = False

    @property
    def replica(self) -> Replica:
        return self.tablet.replica

    def copied(self) -> "Device":
        """Give a copy of all that is on the device, its key too."""
        return Device(
            self.tablet.clone(),
            dict(self.pulled),
            list(self.forms),
            set(self.let_go),
            self.next_key,
            self.days_off,
        )

    def seen(self, ref: Ref) -> Seen:
        """Give the nonces of all that the screen shows of a record, replaced values included."""
        state = self.replica.base.get(ref)
        entry = state.vector.get(self.tablet.id) if state else None
        own = {
            logged.change.nonce
            for logged in self.replica.log
            if (logged.change.kind, logged.change.record_id) == ref
            and (entry is None or logged.change.dot.counter > entry.counter)
            and not (logged.item and logged.item.outcome is Outcome.QUARANTINED)
        }
        return self.pulled.get(ref[1], NOTHING) | own

    def written(self) -> set[str]:
        """Give the nonces of everything in the log."""
        return {logged.change.nonce for logged in self.replica.log}


@dataclass
class Parcel:
    """A signed batch in somebody else's pocket."""

    device: Device
    message: bytes


@dataclass
class Page:
    """A record on a screen at the office."""

    record: "Record"
    context: VersionVector
    seen: Seen


@dataclass(frozen=True)
class Record:
    """A record that the story is about: a child, its measurement of a day, or something to be done for it."""

    child_id: str
    on: str | None = None
    task: str | None = None

    @property
    def ref(self) -> Ref:
        if self.task is not None:
            return "follow_up", follow_up_id(self.child_id, self.task)
        if self.on is None:
            return "child", self.child_id
        return "measurement", measurement_id(self.child_id, self.on, "cadre")

    def opened(self, replica: Replica) -> Form:
        if self.task is not None:
            return replica.open_follow_up(self.child_id, self.task)
        if self.on is None:
            return replica.open_child(self.child_id)
        return replica.open_measurement(self.child_id, self.on)

    def edit(self, registers: Mapping[str, Json], context: VersionVector) -> server_edits.Edit:
        if self.task is not None:
            return server_edits.Edit.of_follow_up(self.child_id, self.task, registers, context)
        if self.on is None:
            return server_edits.Edit.of_child(self.child_id, registers, context)
        return server_edits.Edit.of_measurement(self.child_id, self.on, "cadre", registers, context)


@dataclass(frozen=True)
class Verdict:
    """What the oracle found in a settled scene.

    lost        a change is not live, and nobody who had seen it wrote over it
    needless    a change is live although somebody who had seen it wrote over it: a person is asked once too often
    undelivered a change that a device has, or that was taken since the server was last restored, is not held
    """

    lost: int = 0
    needless: int = 0
    undelivered: int = 0


class LossFound(AssertionError):
    """The oracle found a change that is gone."""


class Scene:
    """A district of two posts, three tablets, an office, and all that may happen to them."""

    def __init__(self, databases: Databases, district: District, port: int) -> None:
        self.databases, self.district, self.port = databases, district, port
        self.start = datetime.now(UTC).replace(microsecond=0)
        self.seen_of: dict[str, Seen] = {}
        self.name_of: dict[str, str] = {}
        self.taken: set[str] = set()
        self.promised: set[str] = set()
        self.out_of_reach: set[str] = set()
        self.pages: list[Page] = []
        self.parcels: list[Parcel] = []
        self.copies: list[Device] = []
        self.answered: list[tuple[bytes, dict[str, Any]]] = []
        self.backup: str | None = None
        self.counts: Counter[str] = Counter()
        children = [district.new_id() for _ in range(2)]
        days = [self.days_ago(35), self.days_ago(3)]
        self.records = [
            Record(children[0], days[1]),
            Record(children[0]),
            Record(children[0], task=district.new_id()),
            Record(children[0], days[0]),
            Record(children[1], days[1]),
            Record(children[1]),
            Record(children[1], task=district.new_id()),
        ]
        self.devices = [Device(district.tablet(number)) for number in (0, 0, 1)]
        self.write(self.devices[0], Record(children[0]), {"identity": identity(born_on=self.days_ago(400))})
        for device in self.devices:
            self.sync(device)

    @classmethod
    @contextmanager
    def opened(cls, databases: Databases) -> Iterator["Scene"]:
        """Make a scene on a database of its own, gone again afterwards."""
        with (
            District.opened(databases, log_level="CRITICAL") as district,
            served(district.hub) as port,
        ):
            scene = cls(databases, district, port)
            try:
                yield scene
            finally:
                if scene.backup:
                    databases.drop(scene.backup)

    def days_ago(self, days: int) -> str:
        """Give a day by the real calendar, which the server goes by."""
        return (self.start.date() - timedelta(days=days)).isoformat()

    @contextmanager
    def clock_of(self, device: Device) -> Iterator[None]:
        """Let time be what this device believes it is."""
        clock = self.district.clock
        clock.now = self.start + timedelta(days=device.days_off)
        try:
            yield
        finally:
            clock.now = self.start

    # -- what people do -----------------------------------------------------------------------------

    def open(self, device: Device, record: Record) -> None:
        """Open a form and leave it open."""
        device.forms.append((record.opened(device.replica), device.seen(record.ref)))

    def save(self, device: Device, registers: Mapping[str, Json], form: int = -1) -> Change:
        """Fill in and save an open form."""
        opened, seen = device.forms.pop(form)
        with self.clock_of(device):
            change = device.tablet.write(opened, registers)
        self.seen_of[change.nonce] = seen
        self.name_of[change.hash] = change.nonce
        self.counts["changes"] += 1
        return change

    def write(self, device: Device, record: Record, registers: Mapping[str, Json]) -> Change:
        """Open a form, fill it in and save it."""
        self.open(device, record)
        return self.save(device, registers)

    def open_page(self, record: Record) -> None:
        """Show a record on a screen at the office."""
        held = self.note()
        _, state = self.district.stored().get(record.ref, ("", None))
        context = state.vector if state else NOTHING_SEEN
        self.pages.append(Page(record, context, held.get(record.ref[1], NOTHING)))

    def save_page(self, registers: Mapping[str, Json], page: int = -1) -> None:
        """Save what stands on a screen at the office, however long it stood there."""
        shown = self.pages.pop(page)
        self._by_office(shown.record.edit(registers, shown.context), shown.seen)

    def _by_office(self, edit: server_edits.Edit, seen: Seen) -> None:
        hub, now = self.district.hub, self.start
        try:
            (written,) = server_edits.decide(
                hub,
                lambda session: server_edits.write(
                    session, hub, [edit], "record.edited", author="operator", now=now
                ),
            )
        except Problem as problem:
            # the server was restored to a time before it heard of this child, or the page is of a child never registered
            if problem.code != "record-unknown":
                raise
            return
        self.name_of[written.hash] = written.hash
        self.seen_of[written.hash] = seen
        self.counts["office edits"] += 1

    def release(self, number: int, registers: Mapping[str, Json]) -> None:
        """Put a corrected copy in the place of a change that was set aside, with the original's context; of `registers` it
        gets those that it sets."""
        hub = self.district.hub
        c = table(ChangeRow).c
        query = (
            select(ChangeRow).where(c.outcome == "quarantined").order_by(c.received_at, c.actor, c.counter)
        )
        with hub.database.reading() as session:
            rows = [row for row in session.scalars(query) if row.hash in self.name_of]
            if not rows:
                return
            row = rows[number % len(rows)]
            wire = ledger.quarantined_change(hub.district, row, hub.vault)
        chosen = {**wire["set"], **{name: registers[name] for name in registers.keys() & wire["set"].keys()}}
        context = VersionVector.from_wire(wire["context"])
        edit = server_edits.Edit(wire["kind"], wire["id"], wire["key"], chosen, context)
        self._by_office(edit, self.seen_of[self.name_of[row.hash]])
        self.counts["releases"] += 1

    # -- what travels -------------------------------------------------------------------------------

    def sync(self, device: Device, *, limit: int = 200, cut: str = "") -> list[Event]:
        """Make one round trip; `cut` is "" (a good line), "before", "body" or "answer"."""
        with self.clock_of(device):
            message = device.tablet.next_message(max_changes=limit)
            if cut == "before":
                return []
            answer = self.send(device, message, cut)
        return [] if answer is None else self.take(device, answer, self.note())

    def send(self, device: Device, message: bytes, cut: str = "") -> dict[str, Any] | None:
        """Send a signed batch; None if the line broke, or if the server does not know this tablet (any more)."""
        self.counts["exchanges"] += 1
        try:
            answer = post(self.port, "/api/v1/sync", message, cut)
        except Cut:
            self.counts["cuts"] += 1
            return None
        except Refused as refused:
            expect(refused, "tablet-unknown")
            self.readmit(device)
            return None
        if answer["receipt"]["status"] == ReceiptStatus.ACCEPTED.value and answer["receipt"]["items"]:
            self.answered.append((message, answer["receipt"]))
        return answer

    def take(self, device: Device, answer: dict[str, Any], held: Mapping[str, Seen]) -> list[Event]:
        """Let a device take in an answer; `held` is what stands behind the records in it."""
        with self.clock_of(device):
            events = device.replica.receive(answer, self.district.clock.text())
        for event in events:
            if isinstance(event, Pulled):
                device.pulled.update((ref[1], held[ref[1]]) for ref in event.records)
                kept = {ref[1] for ref in device.replica.base}
                device.pulled = {id_: seen for id_, seen in device.pulled.items() if id_ in kept}
        if any(isinstance(event, NewEpochRequired) for event in events):
            self.enrol_again(device)
        return events

    def repeat(self, device: Device, cut: str = "") -> None:
        """Send the pending batch twice before its answer is read; the second answer is the one that is taken."""
        with self.clock_of(device):
            message = device.tablet.next_message()
        first = self.send(device, message)
        again = self.send(device, message, cut) if first else None
        if first and again:
            if first["receipt"]["status"] == ReceiptStatus.ACCEPTED.value and first["receipt"]["items"]:
                assert canonical(again["receipt"]) == canonical(first["receipt"])
            self.take(device, again, self.note())
        self.counts["repeats"] += 1

    def all_at_once(self, devices: Sequence[Device], registers: Mapping[str, Json]) -> None:
        """Let several tablets be answered at the same time, while somebody at the office saves a page."""
        messages = []
        for device in devices:
            with self.clock_of(device):
                messages.append(device.tablet.next_message())
        answers: dict[int, dict[str, Any]] = {}
        failures: list[BaseException] = []

        def brings(number: int) -> None:
            # not over HTTP: a worker takes one batch at a time, and here as many workers are meant as there are tablets
            answers[number] = orjson.loads(devices[number].tablet.send_raw(messages[number]))

        tasks: list[Callable[[], None]] = [partial(brings, number) for number in range(len(devices))]
        if self.pages:
            tasks.append(lambda: self.save_page(registers, 0))
        together(tasks, failures)
        for failure in failures:
            if not (isinstance(failure, Problem) and failure.code == "tablet-unknown"):
                raise failure
        self.note()
        histories = self.histories()
        for number, answer in answers.items():
            self.take(devices[number], answer, {**self.note(), **self._published(answer, histories)})
        self.counts["at once"] += len(devices)

    def _published(self, answer: Json, histories: Mapping[str, History]) -> dict[str, Seen]:
        """Give what stands behind published records, when others committed meanwhile: what their vectors name, provided
        that it folds to the very bytes that were published."""
        found: dict[str, Seen] = {}
        for state in pulled_states(answer["pull"]):
            history = histories[state.record_id]
            named = tuple(change for change in history.changes if state.vector.claims(change.dot))
            if not history.quarantined:
                assert fold(History(named)).canonical() == state.canonical()
            found[state.record_id] = frozenset(self.name_of[change.hash] for change in named)
        return found

    def pack(self, device: Device) -> None:
        """Give all that is not acknowledged to somebody who travels."""
        with self.clock_of(device):
            batches = device.replica.carried_batches(self.district.new_id, self.district.clock.text())
            self.parcels += [Parcel(device, device.tablet.signed(batch)) for batch in batches]

    def deliver(self, number: int, *, brings_back: bool, keeps: bool) -> None:
        """Deliver somebody's parcel, in any order; perhaps bring the receipt back, perhaps deliver it again later."""
        parcel = self.parcels[number] if keeps else self.parcels.pop(number)
        try:
            answer = post(self.port, "/api/v1/sync", parcel.message)
        except Refused as refused:
            expect(refused, "tablet-unknown")
            return
        self.note()
        receipt = Receipt.from_wire(answer["receipt"])
        if receipt.status is ReceiptStatus.ACCEPTED:
            self.answered.append((parcel.message, answer["receipt"]))
        if brings_back:
            parcel.device.replica.receive_carried(receipt, self.start.isoformat())
        self.counts["carried"] += 1

    # -- new enrolments -----------------------------------------------------------------------------

    def enrol_again(self, device: Device) -> None:
        """Do what the app does when its enrolment was closed; what was lost is asked for again, with the same key."""
        key = device.next_key = device.next_key or SigningKey()
        first, tags = device.replica.kept_tags()
        asked = {
            "tablet": device.tablet.id,
            "public_key": key.jwk(),
            "app": device.replica.app,
            "device": "uji",
            "first": first,
            "tags": tags,
        }
        signature = base64url(device.tablet.key.sign(canonical(asked)))
        cut, device.loses_enrolment = "answer" if device.loses_enrolment else "", False
        try:
            answer = post(
                self.port,
                "/api/v1/enrol/again",
                orjson.dumps({"request": asked, "signature": signature}),
                cut,
            )
        except Cut:
            self.counts["cuts"] += 1
            return
        except Refused as refused:
            expect(refused, "tablet-unknown", "tablet-revoked", "too-many-enrolments")
            self.readmit(device)
            return
        device.tablet.key, device.next_key = key, None
        self._renumber(device, answer["tablet"], answer["common"])

    def readmit(self, device: Device) -> None:
        """Enrol a device that the server does not know (any more) with a code from the health centre."""
        post_number = self.district.posts.index(device.replica.post_id)
        device.tablet.key, device.next_key = SigningKey(), None
        self._renumber(device, self.district.enrol(device.tablet.key, post_number), None)
        self.counts["codes"] += 1

    def _renumber(self, device: Device, tablet_id: str, common: int | None) -> None:
        before = device.written()
        if common is None:
            device.tablet.replica = device.replica.enrol_afresh(tablet_id)
        else:
            device.tablet.replica = device.replica.enrol_anew(tablet_id, common)
        for logged in device.replica.log:
            self.name_of[logged.change.hash] = logged.change.nonce
        device.let_go |= before - device.written()
        self.counts["new enrolments"] += 1

    # -- what goes wrong ----------------------------------------------------------------------------

    def clone(self, device: Device) -> None:
        """Copy a device; both go on."""
        if len(self.devices) < MOST_DEVICES:
            self.devices.append(device.copied())
            self.counts["clones"] += 1

    def keep_copy(self, device: Device) -> None:
        """Make a backup of a device."""
        self.copies.append(device.copied())

    def restore_device(self, number: int, copy_number: int) -> None:
        """Put an older copy in a device's place; what only that device had is gone, and nobody was told otherwise."""
        if self.copies:
            self.devices[number] = self.copies[copy_number % len(self.copies)].copied()
            self.promised &= self._held().union(*(device.written() for device in self.devices))
            self.counts["restored tablets"] += 1

    def revoke(self, device: Device) -> None:
        """Take a tablet's right to be believed."""
        if device.tablet.id in self.tablets():
            self.district.revoke(device.tablet)
            self.counts["revoked"] += 1

    def back_up(self) -> None:
        """Keep a copy of the server, in the place of the last."""
        if self.backup:
            self.databases.drop(self.backup)
        self.backup = self.district.back_up()

    def restore(self) -> None:
        """Bring the server back as its backup has it. What devices still have, they will send again."""
        if self.backup is None:
            return
        before = set(self.promised)
        self.district.restore(self.backup)
        self.answered.clear()
        self.taken.clear()
        self.promised.clear()
        self.note()
        still = set().union(*(device.written() for device in self.devices))
        self.promised |= before & still
        dropped = set().union(*(device.let_go for device in self.devices))
        self.out_of_reach |= (before - self.promised) & dropped
        self.counts["restores"] += 1

    # -- the oracle ---------------------------------------------------------------------------------

    def note(self) -> dict[str, Seen]:
        """Look into the ledger: give what is held of each record; nothing that was ever taken may have gone from it."""
        c = table(ChangeRow).c
        rows = self.district.rows(select(c.hash, c.record_id, c.outcome))
        hashes = {row.hash for row in rows}
        if not self.taken <= hashes:
            raise LossFound("the ledger lost a change that it held")
        self.taken = hashes
        self.promised |= self._held()
        held: dict[str, set[str]] = {}
        for row in rows:
            if row.outcome != Outcome.QUARANTINED.value and row.hash in self.name_of:
                held.setdefault(row.record_id, set()).add(self.name_of[row.hash])
        return {record_id: frozenset(names) for record_id, names in held.items()}

    def _held(self) -> set[str]:
        return {self.name_of[hash_] for hash_ in self.taken if hash_ in self.name_of}

    def histories(self) -> dict[str, History]:
        """Give all that the ledger holds, by record."""
        hub = self.district.hub
        with hub.database.reading() as session:
            children = list(session.scalars(select(Child.id)))
            subjects = ledger.subjects(session, hub.vault, DISTRICT, children)
            rows = session.execute(select(ChangeRow.record_id, ChangeRow.child_id)).all()
            records = {record_id: child for record_id, child in rows if record_id and child in subjects}
            return ledger.histories(session, DISTRICT, subjects, records)

    def tablets(self) -> dict[str, bool]:
        """Give every enrolment that the server knows, and whether it was revoked."""
        c = table(Tablet).c
        return {row.id: row.revoked_at is not None for row in self.district.rows(select(c.id, c.revoked_at))}

    def believed(self) -> list[FakeTablet]:
        """Give the tablets whose right to be believed nobody took."""
        known = self.tablets()
        return [device.tablet for device in self.devices if not known[device.tablet.id]]

    def settle(self) -> None:
        """Sync until a whole round brings nothing new to anybody."""
        for _ in range(60):
            # everybody syncs, whatever the first one got
            news = [self._news(device) for device in self.devices]
            if not any(news):
                return
        raise AssertionError("never quiet")

    def _news(self, device: Device) -> bool:
        match self.sync(device):
            case [Answered(receipt), Pulled(records=(), more=False)]:
                return bool(receipt.items) or bool(device.replica.unanswered())
        return True

    def verdict(self) -> Verdict:
        """Judge a settled scene by what every author had really seen."""
        held = self._held()
        wanted = self.promised.union(*(device.written() for device in self.devices))
        lost = needless = 0
        stored = {ref[1]: state for ref, (_, state) in self.district.stored().items()}
        for record_id, history in self.histories().items():
            for register in {name for change in history.changes for name in change.registers}:
                touching = [change for change in history.changes if register in change.registers]
                alive = {dot for s in stored[record_id].registers[register] for dot in s.dots}
                gone, twice = self._judged(touching, alive)
                lost, needless = lost + gone, needless + twice
        return Verdict(lost, needless, len(wanted - held))

    def _judged(self, touching: Sequence[Change], alive: set[Dot]) -> tuple[int, int]:
        names = {change.dot: self.name_of[change.hash] for change in touching}
        seen = set().union(*(self.seen_of[name] for name in names.values()))
        dots: dict[str, list[Dot]] = {}
        for dot, name in names.items():
            dots.setdefault(name, []).append(dot)  # two clones may both deliver one change, under two names
        lost = sum(name not in seen and alive.isdisjoint(twins) for name, twins in dots.items())
        needless = sum(name in seen and len(twins) == 1 and twins[0] in alive for name, twins in dots.items())
        return lost, needless

    def judge(self, *, asks_needlessly: bool = True) -> Verdict:
        """Settle, and raise LossFound if anything is gone; `asks_needlessly`: whether it may ask once too often."""
        self.settle()
        verdict = self.verdict()
        if verdict.lost or verdict.undelivered or (verdict.needless and not asks_needlessly):
            raise LossFound(str(verdict))
        self.counts["needless questions"] += verdict.needless
        self.counts["out of reach"] += len(self.out_of_reach)
        return verdict

    # -- other promises -----------------------------------------------------------------------------

    def check_everything(self) -> None:
        """Check a settled scene: agreement byte for byte, sums, repeats, and that order and way of arrival do not matter."""
        self.district.check_agreement(*self.believed())
        self.check_replays()
        derived = self.derived()
        self.derive_anew()
        assert self.derived() == derived
        self.check_other_orders(random.Random(len(self.taken)), derived)

    def check_replays(self, most: int = 5) -> None:
        """Send old batches once more: each gets its receipt again, byte for byte, and nothing is stored."""
        before = self.district.counts()
        for message, receipt in self.answered[-most:]:
            again = post(self.port, "/api/v1/sync", message)["receipt"]
            assert orjson.dumps(again) == orjson.dumps(receipt)
            self.counts["replays"] += 1
        assert self.district.counts() == before

    def derived(self, district: District | None = None) -> tuple[list[Any], ...]:
        """Give every flag, every assessment and every row of the queue, without when a flag was raised and where the child
        is: that depends on who wrote of it first."""
        f, a, q = table(Flag).c, table(Assessment).c, table(Attention).c
        district = district or self.district
        flags = district.rows(select(f.child_id, f.rule, f.subject, f.urgency, f.details))
        scores = district.rows(select(*(a[name] for name in a.keys())))  # noqa: SIM118  # columns, not a dict
        queue = district.rows(select(*(column for column in q if column.name != "post_id")))
        return sorted(map(tuple, flags)), sorted(map(repr, scores)), sorted(map(repr, queue))

    def derive_anew(self) -> None:
        """Forget everything that is derived, and derive it again."""
        hub = self.district.hub
        with hub.database.transaction() as session:
            session.execute(delete(table(Flag)))
            session.execute(delete(table(Assessment)))
            session.execute(delete(table(Attention)))
            assess(session, hub, sorted(session.scalars(select(Child.id))), self.start)
            audit.append(session, DISTRICT, audit.OFFICE, "derived.anew", actor="operator", now=self.start)

    def check_other_orders(self, rng: random.Random, derived: tuple[list[Any], ...]) -> None:
        """Bring all that the ledger holds to a new server, in another order and in other pieces: the same records, byte for
        byte, the same scores, the same flags and the same queue."""
        arrivals = self._arrivals()
        rng.shuffle(arrivals)
        with District.opened(self.databases, log_level="CRITICAL") as other:
            while arrivals:
                size = rng.randint(1, 6)
                piece, arrivals = arrivals[:size], arrivals[size:]
                take_as_they_come(other, piece, self.start)
            there = {ref: state.canonical() for ref, (_, state) in other.stored().items()}
            assert there == {ref: state.canonical() for ref, (_, state) in self.district.stored().items()}
            assert self.derived(other) == derived

    def _arrivals(self) -> list[Arrival]:
        hub = self.district.hub
        found = []
        with hub.database.reading() as session:
            subjects = ledger.subjects(session, hub.vault, DISTRICT, list(session.scalars(select(Child.id))))
            for row in session.scalars(select(ChangeRow)):
                if row.outcome == Outcome.QUARANTINED.value:
                    wire = ledger.quarantined_change(DISTRICT, row, hub.vault)
                else:
                    wire = ledger.read_change(DISTRICT, row, subjects[str(row.child_id)]).wire()
                header = orjson.loads(row.header)
                link = Link(
                    Dot(row.actor, row.counter), header["previous"], wire, header["content"], row.hash
                )
                told = ledger.quarantine_reasons(DISTRICT, row, hub.vault)
                reasons = [Reason(**why) for why in told]
                # with what its batch told of the tablet's clock
                found.append(replace(Arrival.of(link, reasons), clock_days=row.clock_days))
        return found


def take_as_they_come(district: District, arrivals: Sequence[Arrival], now: datetime) -> None:
    """Take changes in the order given, whoever made them."""
    hub = district.hub
    with hub.database.transaction() as session:
        plan = plan_changes(
            session, hub, district.posts[0], arrivals, now, batch_id=None, all_or_none=False, lock=True
        )
        plan.writes.apply(session)
        audit.append(session, DISTRICT, audit.OFFICE, "taken", actor="operator", now=now)


def pulled_states(pull: Json) -> Iterator[RecordState]:
    """Give the states of a pull."""
    for child in pull["children"]:
        yield RecordState.from_wire("child", child["id"], {}, child)
    for child_id, rows in pull["measurements"].items():
        for row in rows:
            key = {"child": child_id, "measured_on": row["on"], "source": row["source"]}
            record_id = measurement_id(child_id, row["on"], row["source"])
            yield RecordState.from_wire("measurement", record_id, key, row)
    for child_id, rows in pull["follow_ups"].items():
        for row in rows:
            key = {"child": child_id, "task": row["task"]}
            yield RecordState.from_wire("follow_up", follow_up_id(child_id, row["task"]), key, row)
    for child_id, rows in pull["deliveries"].items():
        for row in rows:
            key = {"child": child_id, "delivery": row["delivery"]}
            yield RecordState.from_wire("delivery", delivery_id(child_id, row["delivery"]), key, row)


def together(tasks: Sequence[Callable[[], None]], failures: list[BaseException]) -> None:
    """Run tasks at the same time, each in a thread, and collect what they raise."""
    start = threading.Barrier(len(tasks))

    def run(task: Callable[[], None]) -> None:
        start.wait()
        try:
            task()
        except Exception as failure:  # noqa: BLE001  # handed to the test, which raises it
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# -- what people write ----------------------------------------------------------------------------


def registers_for(record: Record, value: int, posts: Sequence[str], born_on: str) -> dict[str, Json]:
    """Give registers for a record from a small number: few values, so that equal ones meet; now and then a slip.

    Parameters
    ----------
    value : 0 to 11
    posts, born_on : where a child may go, and when the one in the story was born
    """
    if record.task is not None:
        return _of_follow_up(value)
    if record.on is None:
        choices: list[dict[str, Json]] = [
            {"parents": {"mother": f"Ibu Contoh {value % 3}"}},
            {"birth": {"weight_g": 3000 + 100 * (value % 2)}},
            {"identity": identity(born_on=born_on, birth_order=1 + value % 2)},
            {"post": {"post": posts[value % 2]}},
            {"home": {"address": f"Jalan Contoh {value % 2}"}, "parents": {"mother": "Ibu Contoh"}},
        ]
        return choices[value % len(choices)]
    if value == 11:
        return {"removed": {"reason": "salah anak"}}
    if value == 10:
        return {"removed": {"reason": None}}
    if value == 9:
        return measured(weight_g=9)
    if value >= 6:
        return measured(length_mm=700 + 10 * (value % 2), note=f"Contoh {value % 2}")
    return measured(weight_g=(6100, 8800, 9000)[value % 3])


def _of_follow_up(value: int) -> dict[str, Json]:
    if value >= 10:
        return {"removed": {"reason": "salah anak" if value == 11 else None}}
    if value == 9:
        return {"result": what_came("continue", done_on="2025-01-05", days_eaten=9)}
    if value >= 6:
        return {"note": {"text": f"Contoh {value % 2}"}}
    if value >= 3:
        outcome = ("recovered", "not_reached", "done")[value % 3]
        return {"result": what_came(outcome, done_on="2025-01-05", covers=["not_registered/44136fa355b3"])}
    return {"task": to_do(("take", "take", "home_visit")[value], assigned_to=f"kader-{value % 2}")}
