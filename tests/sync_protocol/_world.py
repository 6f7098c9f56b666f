"""A small world of real tablets (`Replica`) and a server in memory, with an oracle that the rules cannot see.

The oracle knows of every change (by its nonce, which survives a new enrolment) what its author really had in view.
`verdict` judges a settled world by it:

lost         a change is not live, and nobody who had seen it wrote over it
needless     a change is live although somebody who had seen it wrote over it: a person is asked once too often, which is
             safe; it happens only after a device or the server was restored
undelivered  a change that some device still has never reached the server

Tablets and server exchange canonical bytes, parsed on the other side. `ServerModel` keeps the three rules of the merge
(`sync_protocol/_merge.py`); each of its subclasses breaks one, so that tests can show what that rule is for.
"""

import copy
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sync_protocol import (
    FIRST_PREVIOUS,
    NOTHING_SEEN,
    TAG_LENGTH,
    Answered,
    Change,
    Dot,
    Entry,
    Form,
    History,
    Item,
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
    chain,
    change_hash,
    fold,
    follow_up_id,
    hub_actor,
    measurement_id,
    outcome_of,
)
from tests.builders import (
    AT,
    AUTHOR,
    CHILD,
    FOLLOW_UP_KEY,
    MEASURED_ON,
    MEASUREMENT,
    MEASUREMENT_KEY,
    make_replica,
    make_wire,
)

Ref = tuple[str, str]
Seen = frozenset[str]

STAFF_KEY = {**MEASUREMENT_KEY, "source": "staff"}
KEYS: Mapping[Ref, Mapping[str, str]] = {
    ("child", CHILD): {},
    ("measurement", MEASUREMENT): MEASUREMENT_KEY,
    ("follow_up", follow_up_id(*FOLLOW_UP_KEY.values())): FOLLOW_UP_KEY,
    ("measurement", measurement_id(CHILD, MEASURED_ON, "staff")): STAFF_KEY,
}
REFS = tuple(KEYS)
HEAVIEST_G = 40_000
"""A weight beyond this is set aside by the model: it stands for every rule about content."""


def over_the_wire(message: Json) -> dict[str, Any]:
    """Give what the other side reads."""
    parsed: dict[str, Any] = json.loads(canonical(message))
    return parsed


# -- the server ---------------------------------------------------------------------------------------


@dataclass
class ServerModel:
    """What design section 4 wants of a server, and no more."""

    incarnation: str = "1"
    chains: dict[str, dict[int, str]] = field(default_factory=dict)
    histories: dict[Ref, History] = field(default_factory=dict)
    positions: dict[Ref, int] = field(default_factory=dict)
    receipts: dict[str, dict[str, Any]] = field(default_factory=dict)
    states: dict[Ref, RecordState] = field(default_factory=dict)

    takes_holes = False

    def exchange(self, batch: Json, page: int = 100) -> dict[str, Any]:
        """Answer a batch; the same batch again gets the stored receipt."""
        if batch["batch"] not in self.receipts:
            self.receipts[batch["batch"]] = self._accept(batch).wire()
        return {
            "incarnation": self.incarnation,
            "token": "",
            "receipt": self.receipts[batch["batch"]],
            "pull": self._pull(batch["cursor"], page),
        }

    def _accept(self, batch: Json) -> Receipt:
        held = self.chains.setdefault(batch["tablet"], {})
        links = chain(batch["tablet"], batch["first"], batch["previous"], batch["changes"])
        status = self._status(batch, held, links)
        items: list[Item] = []
        if status is ReceiptStatus.ACCEPTED:
            items = [self._take(link, held) for link in links]
        return Receipt(batch["batch"], status, max(held, default=0) + 1, tuple(items))

    def _status(self, batch: Json, held: Mapping[int, str], links: Sequence[Link]) -> ReceiptStatus:
        newest, first = max(held, default=0), batch["first"]
        head, tag = batch["head"]
        known = dict(held) | {0: FIRST_PREVIOUS}
        cloned = (
            newest > head
            or known.get(head, tag)[:TAG_LENGTH] != tag
            or (links and known.get(first - 1, batch["previous"]) != batch["previous"])
            or any(known.get(link.dot.counter, link.hash) != link.hash for link in links)
        )
        if cloned:
            return ReceiptStatus.NEW_EPOCH_REQUIRED
        if first > newest + 1 and not self.takes_holes:
            return ReceiptStatus.GAP
        return ReceiptStatus.ACCEPTED

    def _take(self, link: Link, held: dict[int, str]) -> Item:
        invalid = link.wire["set"].get("weight", {}).get("weight_g", 0) > HEAVIEST_G
        if link.dot.counter not in held:
            held[link.dot.counter] = link.hash
            change = Change.from_wire(link.dot, link.wire, link.hash)
            history = self.hold(change, quarantined=invalid)
            if not invalid:
                return Item(link.dot.counter, outcome_of(change, history))
        if invalid:
            return Item(link.dot.counter, Outcome.QUARANTINED, ({"code": "out-of-range"},))
        return Item(link.dot.counter, Outcome.DUPLICATE)

    def hold(self, change: Change, *, quarantined: bool = False) -> History:
        """Hold a change, publish its record's new state, and give the record's history."""
        ref = (change.kind, change.record_id)
        history = self.histories.get(ref, History(()))
        if quarantined:
            history = History(history.changes, (*history.quarantined, (change.dot, change.tag)))
        else:
            history = history.with_change(change)
        self.histories[ref] = history
        if history.changes:
            self.states[ref] = self._state(history)
            self.positions[ref] = max(self.positions.values(), default=0) + 1
        return history

    def _state(self, history: History) -> RecordState:
        return fold(history)

    def _pull(self, cursor: int, page: int) -> dict[str, Any]:
        news = sorted((position, ref) for ref, position in self.positions.items() if position > cursor)
        children: list[Json] = []
        measurements: dict[str, list[Json]] = {}
        follow_ups: dict[str, list[Json]] = {}
        deliveries: dict[str, list[Json]] = {}
        for _, ref in news[:page]:
            state = self.states[ref]
            if ref[0] == "child":
                children.append({"id": ref[1], **state.wire()})
            elif ref[0] == "delivery":
                row = {"delivery": state.key["delivery"], **state.wire()}
                deliveries.setdefault(state.key["child"], []).append(row)
            elif ref[0] == "follow_up":
                row = {"task": state.key["task"], **state.wire()}
                follow_ups.setdefault(state.key["child"], []).append(row)
            else:
                row = {"on": state.key["measured_on"], "source": state.key["source"], **state.wire()}
                measurements.setdefault(state.key["child"], []).append(row)
        return {
            "cursor": news[:page][-1][0] if news else cursor,
            "more": len(news) > page,
            "children": children,
            "measurements": measurements,
            "follow_ups": follow_ups,
            "deliveries": deliveries,
            "left": [],
        }

    def edit_by_hub(
        self, ref: Ref, context: VersionVector, registers: Mapping[str, Json], nonce: str
    ) -> Change:
        """Hold a change of a signed-in person, whose screen showed `context`."""
        history = self.histories.get(ref, History(()))
        mine = [change for change in history.changes if change.dot.actor == hub_actor(ref[1])]
        dot = Dot(hub_actor(ref[1]), len(mine) + 1)
        previous = mine[-1].hash if mine else FIRST_PREVIOUS
        wire = make_wire(
            kind=ref[0],
            id=ref[1],
            key=dict(KEYS[ref]),
            context=context.wire(),
            set=registers,
            nonce=nonce,
        )
        change = Change.from_wire(dot, wire, change_hash(dot, previous, wire))
        self.hold(change)
        return change

    def saved(self) -> "ServerModel":
        """Give a backup."""
        chains = {tablet: dict(held) for tablet, held in self.chains.items()}
        return type(self)(
            self.incarnation,
            chains,
            dict(self.histories),
            dict(self.positions),
            dict(self.receipts),
            dict(self.states),
        )


class TakesHoles(ServerModel):
    """Rule 1 off: a tablet's changes are taken in any order."""

    takes_holes = True


class PublishesClaims(ServerModel):
    """Rule 2 off: a record is published with what contexts claim, not with what is held."""

    def _state(self, history: History) -> RecordState:
        state = fold(history)
        vector = state.vector
        for change in history.changes:
            for actor, entry in change.context.items():
                vector = vector.seeing(actor, entry)
        return replace(state, vector=vector)


class BelievesCounters(ServerModel):
    """Rule 3 off: an entry is believed for its counter, whatever change the server holds under that number."""

    def _state(self, history: History) -> RecordState:
        held = history.held()
        return fold(replace(history, changes=tuple(_believed(change, held) for change in history.changes)))


def _believed(change: Change, held: Mapping[Dot, str]) -> Change:
    """Point each entry at the newest change that is held and not beyond its counter: the fold then believes it."""
    entries = {}
    for actor, entry in change.context.items():
        counters = [dot.counter for dot in held if dot.actor == actor and dot.counter <= entry.counter]
        if counters:
            entries[actor] = Entry(max(counters), held[Dot(actor, max(counters))])
    return replace(change, context=VersionVector(entries))


# -- the tablets --------------------------------------------------------------------------------------


@dataclass
class Device:
    """A tablet in somebody's hands; what the oracle remembers of it, and forms that stand open on it."""

    replica: Replica
    pulled: dict[Ref, History] = field(default_factory=dict)
    forms: list[tuple[Form, Seen]] = field(default_factory=list)

    def own(self, ref: Ref) -> list[Change]:
        """Give this device's changes that its view lays over what it pulled."""
        state = self.replica.base.get(ref)
        entry = state.vector.get(self.replica.tablet_id) if state else None
        return [
            logged.change
            for logged in self.replica.log
            if (logged.change.kind, logged.change.record_id) == ref
            and (entry is None or logged.change.dot.counter > entry.counter)
            and not (logged.item and logged.item.outcome is Outcome.QUARANTINED)
        ]

    def known(self, ref: Ref) -> History:
        """Give all that is in view, as if the tablet knew the history behind the state that it pulled."""
        pulled = self.pulled.get(ref, History(()))
        refused = tuple(
            (logged.change.dot, logged.change.tag)
            for logged in self.replica.log
            if logged.item and logged.item.outcome is Outcome.QUARANTINED
        )
        return History((*pulled.changes, *self.own(ref)), (*pulled.quarantined, *refused))

    def seen(self, ref: Ref) -> Seen:
        """Give the nonces of all that is in view."""
        return frozenset(change.nonce for change in self.known(ref).changes)


@dataclass(frozen=True)
class Verdict:
    """What the oracle found in a settled world."""

    lost: int = 0
    needless: int = 0
    undelivered: int = 0

    def __add__(self, other: "Verdict") -> "Verdict":
        return Verdict(
            self.lost + other.lost,
            self.needless + other.needless,
            self.undelivered + other.undelivered,
        )


class World:
    """Devices, the server, people at the hub, and all that may happen to them."""

    def __init__(self, server: ServerModel | None = None, devices: int = 3) -> None:
        self.server = server or ServerModel()
        self.numbers: Iterator[int] = iter(range(1, 10**9))
        self.devices = [Device(make_replica(self._name("tablet"))) for _ in range(devices)]
        self.seen_of: dict[str, Seen] = {}
        self.pages: list[tuple[Ref, VersionVector, Seen]] = []
        self.server_backup: ServerModel | None = None
        self.answers = 0
        self.items: list[Item] = []

    def _name(self, what: str) -> str:
        return f"{what}-{next(self.numbers):05d}"

    def _now(self) -> str:
        return f"2026-03-05T02:00:00.{next(self.numbers):06d}Z"

    # what people do

    def open(self, device: Device, ref: Ref) -> None:
        """Open a form and leave it open."""
        key = KEYS[ref]
        if ref[0] == "child":
            form = device.replica.open_child(ref[1])
        elif ref[0] == "follow_up":
            form = device.replica.open_follow_up(key["child"], key["task"])
        else:
            form = device.replica.open_measurement(key["child"], key["measured_on"], key["source"])
        device.forms.append((form, device.seen(ref)))

    def save(self, device: Device, registers: Mapping[str, Json], form: int = -1) -> Change:
        """Fill in and save an open form; it sets what `registers` has for its kind of record."""
        opened, seen = device.forms.pop(form)
        nonce = self._name("nonce")
        self.seen_of[nonce] = seen
        return device.replica.write(opened, registers, author=AUTHOR, recorded_at=AT, nonce=nonce)

    def edit(self, device: Device, ref: Ref, registers: Mapping[str, Json]) -> Change:
        """Open a form, fill it in and save it."""
        self.open(device, ref)
        return self.save(device, registers)

    def open_page(self, ref: Ref) -> None:
        """Show a record on a screen at the hub."""
        state = self.server.states.get(ref)
        self.pages.append((ref, state.vector if state else NOTHING_SEEN, self.held(ref)))

    def save_page(self, registers: Mapping[str, Json], page: int = -1) -> Change:
        """Save what stands on a screen at the hub, however long it stood there."""
        ref, context, seen = self.pages.pop(page)
        nonce = self._name("nonce")
        self.seen_of[nonce] = seen
        return self.server.edit_by_hub(ref, context, registers, nonce)

    def held(self, ref: Ref) -> Seen:
        """Give the nonces of what the server holds of a record."""
        return frozenset(change.nonce for change in self.server.histories.get(ref, History(())).changes)

    # what travels

    def sync(self, device: Device, *, limit: int = 200, page: int = 100, cut: str = "") -> list[Any]:
        """Make one round trip; `cut` "up" or "down" loses the batch or the answer."""
        batch = device.replica.next_batch(self._name("batch"), AT, max_changes=limit)
        if cut == "up":
            return []
        answer = self.server.exchange(over_the_wire(batch), page)
        snapshot = dict(self.server.histories)
        if cut == "down":
            return []
        receipt = Receipt.from_wire(answer["receipt"])
        if receipt.status is ReceiptStatus.ACCEPTED:
            assert [item.counter for item in receipt.items] == [
                batch["first"] + n for n in range(len(batch["changes"]))
            ]
        events = device.replica.receive(over_the_wire(answer), self._now())
        for event in events:
            if isinstance(event, Pulled):
                device.pulled.update((ref, snapshot[ref]) for ref in event.records)
        if any(isinstance(event, NewEpochRequired) for event in events):
            self.enrol_anew(device)
        return list(events)

    def carry(self, device: Device, counters: Sequence[int]) -> None:
        """Bring single changes of a tablet to the server, in this order; the receipts get lost."""
        replica = device.replica
        for counter in counters:
            logged = replica.log[counter - replica.forgotten - 1]
            batch = {
                "tablet": replica.tablet_id,
                "batch": self._name("batch"),
                "head": list(replica.head or ()),
                "first": counter,
                "previous": logged.previous,
                "changes": [logged.change.wire()],
                "cursor": replica.cursor,
            }
            self.server.exchange(over_the_wire(batch))

    def enrol_anew(self, device: Device) -> None:
        """Do what a device does when it was told that its number series is not its own any more."""
        old, held = device.replica, self.server.chains.get(device.replica.tablet_id, {})
        common = old.forgotten
        while common - old.forgotten < len(old.log):
            if held.get(common + 1) != old.log[common - old.forgotten].change.hash:
                break
            common += 1
        device.replica = old.enrol_anew(self._name("tablet"), common)

    def settle(self) -> None:
        """Sync until a whole round brings nothing new to anybody."""
        for _ in range(100):
            news = [
                self._news(device) for device in self.devices
            ]  # everybody syncs, whatever the first one got
            if not any(news):
                return
        raise AssertionError("never quiet")

    def _news(self, device: Device) -> bool:
        match self.sync(device):
            case [Answered(receipt), Pulled(records=(), more=False)]:
                return bool(receipt.items)
        return True

    # what goes wrong

    def restore_server(self) -> None:
        """Bring the server back as its backup has it."""
        if self.server_backup is not None:
            self.server = self.server_backup.saved()
            self.server.incarnation = self._name("incarnation")

    def clone(self, device: Device) -> Device:
        """Copy a device, down to the forms that stand open."""
        twin = copy.deepcopy(device)
        self.devices.append(twin)
        return twin

    # the oracle

    def verdict(self) -> Verdict:
        """Judge a settled world."""
        total = Verdict()
        for ref, history in self.server.histories.items():
            for register in {name for change in history.changes for name in change.registers}:
                touching = [change for change in history.changes if register in change.registers]
                siblings = self.server.states[ref].registers[register]
                alive = {dot for sibling in siblings for dot in sibling.dots}
                total += self._judged(touching, alive)
        return total + Verdict(undelivered=self._undelivered())

    def _judged(self, touching: Sequence[Change], alive: set[Dot]) -> Verdict:
        seen_by = {change.nonce: self.seen_of[change.nonce] for change in touching}
        lost = needless = 0
        for change in touching:
            # Two clones may both deliver one change, under two names.
            twins = [twin.dot for twin in touching if twin.nonce == change.nonce]
            replaced = any(change.nonce in seen for seen in seen_by.values())
            living = any(dot in alive for dot in twins)
            lost += not living and not replaced
            needless += living and replaced and len(twins) == 1
        return Verdict(lost, needless)

    def _undelivered(self) -> int:
        chains = self.server.chains
        return sum(
            chains.get(logged.change.dot.actor, {}).get(logged.change.dot.counter) != logged.change.hash
            for device in self.devices
            for logged in device.replica.log
        )

    def wrong_views(self) -> list[tuple[str, Ref]]:
        """List tablets and records whose view is not the fold of what was pulled and the tablet's own changes.

        That is well defined only while nothing was restored, and not while the pulled state is a contested removal
        (a state does not say which of its changes the remover had seen).
        """
        return [
            (device.replica.tablet_id, ref)
            for device in self.devices
            for ref in REFS
            if (view := device.replica.view(ref)) is not None
            and not ((base := device.replica.base.get(ref)) and base.removal_contested)
            and view.canonical() != fold(device.known(ref)).canonical()
        ]

    def disagreements(self) -> list[tuple[str, Ref]]:
        """List tablets and records that the tablet does not show exactly as the server has them."""
        return [
            (device.replica.tablet_id, ref)
            for ref, state in self.server.states.items()
            for device in self.devices
            if (view := device.replica.view(ref)) is None or view.canonical() != state.canonical()
        ]


# -- random histories ---------------------------------------------------------------------------------

REGISTER_NAMES: Mapping[str, Sequence[str]] = {
    "child": ("parents", "home", "birth", "removed"),
    "measurement": ("weight", "length", "note", "removed"),
    "follow_up": ("task", "result", "note", "removed"),
}


def random_registers(rng: random.Random, kind: str, *, mistakes: bool = True) -> dict[str, Json]:
    """Set one or two registers to few values, so that equal ones meet; now and then one that is refused."""
    names = REGISTER_NAMES[kind][: 4 if rng.random() < 0.1 else 3]
    chosen = rng.sample(names, rng.randint(1, 2))
    wrong = mistakes and rng.random() < 0.05
    return {name: _random_value(rng.randint(0, 9), name, wrong=wrong) for name in chosen}


def _random_value(number: int, register: str, *, wrong: bool) -> Json:
    values: Mapping[str, Json] = {
        "weight": {"weight_g": HEAVIEST_G + 1 if wrong else 8000 + number, "oedema": None},
        "length": {"length_mm": 700 + number, "position": "lying"},
        "note": {"text": f"Contoh {number}"},
        "task": {"action": "home_visit", "assigned_to": f"kader-{number}"},
        "result": {"outcome": "done", "days_eaten": number},
        "parents": {"mother": f"Contoh {number}"},
        "home": {"address": f"Jalan Contoh {number}"},
        "birth": {"weight_g": 3000 + number},
        "removed": {"reason": "salah anak" if number < 7 else None},
    }
    return values[register]


def random_history(
    seed: int,
    server: ServerModel | None = None,
    *,
    faults: bool = True,
    carriers: bool = True,
    steps: int = 120,
) -> World:
    """Live through one random history, then sync until quiet.

    Parameters
    ----------
    seed : the same seed, the same history; nothing else is drawn from
    server : the server, or one that breaks a rule
    faults : the server is restored, tablets are restored and cloned
    carriers : single changes are also brought by other people, in any order
    steps : how many things happen
    """
    world = World(server)
    live_through(world, random.Random(seed), faults=faults, carriers=carriers, steps=steps)
    return world


def live_through(
    world: World, rng: random.Random, *, faults: bool = True, carriers: bool = True, steps: int = 120
) -> None:
    """Let one random history happen to a world, then sync until quiet; parameters as above."""
    backups: list[Device] = []
    for _ in range(steps):
        device, ref, dice = rng.choice(world.devices), rng.choice(REFS[:3]), rng.random()
        if dice < 0.35:
            world.edit(device, ref, random_registers(rng, ref[0]))
        elif dice < 0.40:
            world.open(device, ref)
        elif dice < 0.45 and device.forms:
            kind = device.forms[0][0].kind
            world.save(device, random_registers(rng, kind), 0)
        elif dice < 0.75:
            cut = rng.choice(["", "", "", "up", "down"])
            world.sync(device, limit=rng.choice([1, 2, 200]), page=rng.choice([1, 100]), cut=cut)
        elif dice < 0.80 and carriers and device.replica.pending is None:
            counters = [logged.change.dot.counter for logged in device.replica.unanswered()]
            world.carry(device, rng.sample(counters, len(counters) - len(counters) // 3))
        elif dice < 0.86:
            world.open_page(ref)
        elif dice < 0.92 and world.pages:
            page = rng.randrange(len(world.pages))
            world.save_page(random_registers(rng, world.pages[page][0][0], mistakes=False), page)
        elif faults and dice >= 0.92:
            _go_wrong(rng, world, device, backups)
    world.settle()


def _go_wrong(rng: random.Random, world: World, device: Device, backups: list[Device]) -> None:
    dice = rng.random()
    if dice < 0.3:
        world.server_backup = world.server.saved()
    elif dice < 0.5:
        world.restore_server()
    elif dice < 0.6 and len(world.devices) < 6:
        world.clone(device)
    elif dice < 0.65:
        device.replica.forget("9999")
    elif dice < 0.8:
        backups.append(copy.deepcopy(device))
    elif backups:
        world.devices[rng.randrange(len(world.devices))] = copy.deepcopy(rng.choice(backups))
