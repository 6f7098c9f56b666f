"""What is sent and stored: changes, states, receipts. Frozen; no I/O.

A `Change` is hashed in two steps: its content (nonce and registers) to a digest, and the header that carries the digest,
the dot and the previous change's hash to the change's hash. So the chain can be verified after the content, with a
person's data in it, has been destroyed; and the nonce keeps a destroyed name from being guessed from its digest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from uuid_utils import UUID, uuid5

from sync_protocol._canonical import TAG_LENGTH, canonical, digest
from sync_protocol._vectors import Dot, Entry, VersionVector

Json = Mapping[str, Any]

PROTOCOL: Final = 1
SCHEMA: Final = 1
MOST_NAMED: Final = 1000
"""Most actors that a client of ours names in a context. The server takes some more: each new enrolment before the change is
sent may add one (`Replica.enrol_anew`)."""
FIRST_PREVIOUS: Final = ""
"""The previous hash of an actor's first change."""

REGISTERS: Final[Mapping[str, frozenset[str]]] = {
    "child": frozenset(
        [
            "identity",
            "nik",
            "parents",
            "home",
            "post",
            "birth",
            "books",
            "family",
            "consent",
            "same_as",
            "book_doses",
            "extra",
            "removed",
        ]
    ),
    "measurement": frozenset(
        ["weight", "length", "muac", "head", "services", "doses", "note", "extra", "removed"]
    ),
    "follow_up": frozenset(["task", "result", "note", "removed"]),
    "delivery": frozenset(["aid", "delivered", "evidence", "verified", "note", "removed"]),
}
"""Record kinds, and their registers: groups of fields that merge as a whole (docs/adr/0002)."""

KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "child": (),
    "measurement": ("child", "measured_on", "source"),
    "follow_up": ("child", "task"),
    "delivery": ("child", "delivery"),
}
"""What the id of a record is made from, in order; a child's id is made by the device that first records the child."""

_NAMESPACES: Final = {
    "measurement": UUID("6f1d1b0e-6c5b-5f0a-9d5e-3b1c5f6d7a01"),
    "follow_up": UUID("6f1d1b0e-6c5b-5f0a-9d5e-3b1c5f6d7a02"),
    "delivery": UUID("6f1d1b0e-6c5b-5f0a-9d5e-3b1c5f6d7a03"),
}


def id_of(kind: str, key: Mapping[str, str]) -> str:
    """Return the id that a key makes: UUIDv5 of its parts in order, with a slash between, in the namespace of its kind.

    Parameters
    ----------
    kind : one of KEYS, but not "child"
    key : its parts as text
    """
    return str(uuid5(_NAMESPACES[kind], "/".join(key[name] for name in KEYS[kind])))


def measurement_id(child_id: str, measured_on: str, source: str) -> str:
    """Return the id of a child's measurement of a day: UUIDv5, so that two tablets write the *same* record.

    Parameters
    ----------
    child_id : UUID as lower-case text
    measured_on : ISO date
    source : "cadre" (posyandu) or "staff" (re-measured by the health centre)
    """
    return id_of("measurement", {"child": child_id, "measured_on": measured_on, "source": source})


def follow_up_id(child_id: str, task: str) -> str:
    """Return the id of a follow-up: something to do for a child, and its result.

    Parameters
    ----------
    child_id, task : UUIDs as lower-case text; `task` is made by the device that first records the follow-up
    """
    return id_of("follow_up", {"child": child_id, "task": task})


def delivery_id(child_id: str, delivery: str) -> str:
    """Return the id of an aid to a child: what was promised, and what was delivered.

    Parameters
    ----------
    child_id, delivery : UUIDs as lower-case text; `delivery` is made by the device that first records the aid
    """
    return id_of("delivery", {"child": child_id, "delivery": delivery})


def hub_actor(record_id: str) -> str:
    """Name the server as the author of changes to a record: it numbers them per record, under the record's lock."""
    return f"hub:{record_id}"


def content_digest(wire: Json) -> str:
    """Digest the part of a change that may be personal: its nonce and its registers, valid or not."""
    return digest({"nonce": wire.get("nonce"), "set": wire.get("set")})


def header_of(dot: Dot, previous: str, wire: Json, content: str) -> dict[str, Any]:
    """Return the part of a change that is chained and never destroyed: all but its content, and the content's digest."""
    header = {**wire, "actor": dot.actor, "counter": dot.counter, "previous": previous, "content": content}
    header.pop("nonce", None)
    header.pop("set", None)
    return header


def change_hash(dot: Dot, previous: str, wire: Json) -> str:
    """Hash a change as it is sent, valid or not.

    Parameters
    ----------
    dot : its name
    previous : hash of the same actor's change before it; FIRST_PREVIOUS for the first
    wire : the JSON object, unchecked

    Returns
    -------
    str, 43 characters; its first TAG_LENGTH are the change's tag
    """
    return digest(header_of(dot, previous, wire, content_digest(wire)))


@dataclass(frozen=True, slots=True)
class Change:
    """An immutable edit of one record by one author.

    `context` is the record's vector as it was when the form was opened, the author's own unsent changes included.
    `key` is what the record's id is made from (a measurement's child, day and source), the same in all its changes.
    """

    dot: Dot
    kind: str
    record_id: str
    key: Mapping[str, str]
    context: VersionVector
    registers: Mapping[str, Json]
    author: str
    recorded_at: str
    nonce: str
    app: str
    schema: int
    hash: str

    @property
    def tag(self) -> str:
        return self.hash[:TAG_LENGTH]

    @property
    def entry(self) -> Entry:
        return Entry(self.dot.counter, self.hash[:TAG_LENGTH])

    @classmethod
    def from_wire(cls, dot: Dot, wire: Json, hash_: str) -> "Change":
        """Read a change that `schemas` has found to be valid."""
        return cls(
            dot,
            wire["kind"],
            wire["id"],
            wire["key"],
            VersionVector.from_wire(wire["context"]),
            wire["set"],
            wire["author"],
            wire["recorded_at"],
            wire["nonce"],
            wire["app"],
            wire["schema"],
            hash_,
        )

    def wire(self) -> dict[str, Any]:
        """Write it as it is sent: dot and previous hash follow from its place in the batch."""
        return {
            "kind": self.kind,
            "id": self.record_id,
            "key": dict(self.key),
            "context": self.context.wire(),
            "set": {name: dict(value) for name, value in self.registers.items()},
            "author": self.author,
            "recorded_at": self.recorded_at,
            "nonce": self.nonce,
            "app": self.app,
            "schema": self.schema,
        }


@dataclass(frozen=True, slots=True)
class Sibling:
    """A live value of a register, with the dots of all changes that set it (equal values are one sibling)."""

    dots: tuple[Dot, ...]
    value: Json


@dataclass(frozen=True, slots=True)
class RecordState:
    """The state of a record, a pure function of its set of changes. One sibling is the value; several are a conflict.

    Of a register in conflict, the siblings stay here, in the order of their dots, until a person decides.

    - Columns of the server's tables have None, or what all siblings agree on (`server.children.ledger` says which).
    - Pages of a child and of a conflict show every sibling and who recorded it (`server.review.child.history.values_of`,
      `server.review.conflicts.dispute`).
    - The tablet app shows the first sibling (`value` in `server/tablet/sync/states.js`), and all of them in a question
      beside it (`disputeCard` in `server/tablet/parts/open_questions.js`).
    """

    kind: str
    record_id: str
    key: Mapping[str, str]
    vector: VersionVector
    registers: Mapping[str, tuple[Sibling, ...]]
    removed: bool = False
    removal_contested: bool = False
    incomplete: bool = False

    @property
    def conflicts(self) -> tuple[str, ...]:
        """Names of the registers that hold more than one value, sorted."""
        return tuple(sorted(name for name, siblings in self.registers.items() if len(siblings) > 1))

    def value(self, register: str) -> Json | None:
        """Return the value of a register; None if it was never set or is in conflict."""
        siblings = self.registers.get(register, ())
        return siblings[0].value if len(siblings) == 1 else None

    def context(self, most: int = MOST_NAMED) -> VersionVector:
        """Return what a change names that is made on sight of this state: its vector.

        Of a vector with more than `most` actors it names those of live values first, of registers with few of them before
        others: only these can be replaced by the change. An actor that is left out was not seen, as far as the merge can
        tell: its value, if one is live, stays beside the new one until the next change names it.
        """
        if len(self.vector) <= most:
            return self.vector
        registers = (self.registers[name] for name in sorted(self.registers))
        dots = sorted(([dot for s in siblings for dot in s.dots] for siblings in registers), key=len)
        live = (dot.actor for several in dots for dot in several)
        named = list(dict.fromkeys([*live, *sorted(self.vector)]))[:most]
        return VersionVector({actor: self.vector[actor] for actor in named})

    def wire(self) -> dict[str, Any]:
        """Write `{"vector": …, "set": …}` and the marks that are true.

        A register is written as its bare value if its one sibling has exactly the vector's dots (nearly always), else as a
        list of `{"dots": …, "value": …}`: short, and without loss.
        """
        whole = tuple(sorted(Dot(actor, entry.counter) for actor, entry in self.vector.items()))
        registers: dict[str, Any] = {}
        for name, siblings in self.registers.items():
            if len(siblings) == 1 and siblings[0].dots == whole:
                registers[name] = siblings[0].value
            else:
                registers[name] = [{"dots": s.dots, "value": s.value} for s in siblings]
        wire: dict[str, Any] = {"vector": self.vector.wire(), "set": registers}
        wire.update({mark: True for mark in MARKS if getattr(self, mark)})
        return wire

    @classmethod
    def from_wire(cls, kind: str, record_id: str, key: Mapping[str, str], wire: Json) -> "RecordState":
        """Read what `wire` wrote."""
        vector = VersionVector.from_wire(wire["vector"])
        whole = tuple(sorted(Dot(actor, entry.counter) for actor, entry in vector.items()))
        registers = {
            name: (Sibling(whole, value),)
            if isinstance(value, Mapping)
            else tuple(Sibling(tuple(Dot(*dot) for dot in s["dots"]), s["value"]) for s in value)
            for name, value in wire["set"].items()
        }
        marks = {mark: True for mark in MARKS if wire.get(mark)}
        return cls(kind, record_id, key, vector, registers, **marks)

    def canonical(self) -> bytes:
        """Return the canonical bytes; equal for equal states."""
        return canonical({"kind": self.kind, "id": self.record_id, "key": dict(self.key), **self.wire()})


MARKS: Final = ("removed", "removal_contested", "incomplete")


class Outcome(Enum):
    """What became of one change. Over an accepted batch, the outcomes add up to the number of changes received.

    - `APPLIED`: stored; concurrent with no other change of the record.
    - `MERGED`: stored; concurrent with another change of the record, but not in conflict.
    - `DUPLICATE`: held already, so nothing was stored; an outcome that was told before stays valid.
    - `SUPERSEDED`: stored, but later changes that were held already replace all of its values.
    - `CONFLICT`: stored; a different value stands beside one of its own, or a removal is contested: a person decides.
    - `QUARANTINED`: invalid or not allowed, so it is no part of its record; kept with every reason until a person decides
      (about an erased child: without its content).
    """

    APPLIED = "applied"
    MERGED = "merged"
    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"
    CONFLICT = "conflict"
    QUARANTINED = "quarantined"


class ReceiptStatus(Enum):
    """What became of the batch. Changes are stored only of an accepted one.

    - `ACCEPTED`: it continues the chain that the server holds, or repeats part of it; each change has an item.
    - `GAP`: it begins after the counter that the server wants next (`Receipt.wanted`): send from there. For a carried batch
      it only means that an earlier one has not arrived.
    - `NEW_EPOCH_REQUIRED`: the enrolment is closed, since its device was restored or two devices share it: enrol anew.
    """

    ACCEPTED = "accepted"
    GAP = "gap"
    NEW_EPOCH_REQUIRED = "new_epoch_required"


@dataclass(frozen=True, slots=True)
class Item:
    """The receipt of one change: its counter, its outcome, and the reasons if it was quarantined."""

    counter: int
    outcome: Outcome
    reasons: Sequence[Json] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """The server's answer to one batch, built from committed rows and stored byte for byte.

    `wanted` is the counter that the server expects next from this tablet; after a gap the tablet continues from there.
    """

    batch_id: str
    status: ReceiptStatus
    wanted: int
    items: tuple[Item, ...] = field(default=())

    def wire(self) -> dict[str, Any]:
        """Write it; items as `[counter, outcome]` or `[counter, outcome, reasons]`."""
        items = [
            [i.counter, i.outcome.value, list(i.reasons)] if i.reasons else [i.counter, i.outcome.value]
            for i in self.items
        ]
        return {"batch": self.batch_id, "status": self.status.value, "wanted": self.wanted, "items": items}

    @classmethod
    def from_wire(cls, wire: Json) -> "Receipt":
        """Read what `wire` wrote."""
        items = tuple(Item(i[0], Outcome(i[1]), tuple(i[2]) if len(i) > 2 else ()) for i in wire["items"])
        return cls(wire["batch"], ReceiptStatus(wire["status"]), wire["wanted"], items)


@dataclass(frozen=True, slots=True)
class Link:
    """One change in its author's chain, valid or not. `content` is the digest of its content; `wire` the change as sent."""

    dot: Dot
    previous: str
    wire: Json
    content: str
    hash: str


def chain(tablet_id: str, first: int, previous: str, changes: Sequence[Json]) -> list[Link]:
    """Number and hash the changes of a batch, valid or not.

    Parameters
    ----------
    tablet_id, first, previous : the batch's tablet, the counter of its first change, the hash of the change before that
    changes : JSON objects in the tablet's order
    """
    links = []
    for counter, wire in enumerate(changes, first):
        dot, content = Dot(tablet_id, counter), content_digest(wire)
        hash_ = digest(header_of(dot, previous, wire, content))
        links.append(Link(dot, previous, wire, content, hash_))
        previous = hash_
    return links
