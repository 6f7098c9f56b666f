"""What a conflict is: the record, its live values, their history and a settlement, and how each is written as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from server.review.child import Recorded
from server.translations import T_, Text
from sync_protocol import Dot, Json, Outcome, VersionVector

SETTLEMENTS: Final[Mapping[str, Text]] = {
    "measured-again": T_("measured again"),
    "asked-the-cadres": T_("the cadres were asked"),
    "asked-the-family": T_("the family was asked"),
    "seen-in-the-book": T_("compared with the KIA book or KMS"),
    "seen-on-a-document": T_("compared with the family card, birth certificate or identity card"),
    "slip-of-the-pen": T_("a slip of the pen"),
    "recorded-twice": T_("recorded twice"),
}
"""What a settlement is based on."""

KEEP, REMOVE = "keep", "remove"

REMOVED: Final = "removed"


@dataclass(frozen=True, slots=True)
class Disputed:
    """A record in conflict, as it is listed.

    Parameters
    ----------
    name : of the child; None where it is unknown, or the reader may not see it
    measured_on, source : of a measurement, else None
    task : of a follow-up or a delivery, else None
    registers : those in conflict ("removed": a removal is contested)
    incomplete : whether a change that an author had seen is missing here
    """

    kind: str
    record_id: str
    child_id: str
    name: str | None
    post_id: str
    post_name: str
    measured_on: date | None
    source: str | None
    task: str | None
    registers: tuple[str, ...]
    incomplete: bool

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            "kind": self.kind,
            "record": self.record_id,
            "child": {"id": self.child_id, "name": self.name},
            "post": {"id": self.post_id, "name": self.post_name},
            "measured_on": self.measured_on.isoformat() if self.measured_on else None,
            "source": self.source,
            "task": self.task,
            "registers": list(self.registers),
            "incomplete": self.incomplete,
        }


@dataclass(frozen=True, slots=True)
class LiveValue:
    """One of several values of a register, with its dots and who recorded it."""

    dots: tuple[Dot, ...]
    value: Json
    recorded: tuple[Recorded, ...]

    def wire(self) -> dict[str, Any]:
        return {
            "dots": [list(dot) for dot in self.dots],
            "value": dict(self.value),
            "recorded": [_author_json(by) for by in self.recorded],
        }


def _author_json(by: Recorded) -> dict[str, Any]:
    return {
        "author": by.author,
        "tablet": by.tablet_name,
        "recorded_at": by.recorded_at.isoformat(timespec="seconds"),
        "received_at": by.received_at.isoformat(timespec="seconds"),
    }


@dataclass(frozen=True, slots=True)
class Past:
    """One change of a register: its value, who recorded it, and whether the value is still live (alone or beside others)."""

    dot: Dot
    value: Json
    recorded: Recorded
    standing: bool

    def wire(self) -> dict[str, Any]:
        return {
            "dot": list(self.dot),
            "value": dict(self.value),
            "recorded": _author_json(self.recorded),
            "standing": self.standing,
        }


@dataclass(frozen=True, slots=True)
class Conflict:
    """A record in conflict as it is shown to whoever settles it.

    Parameters
    ----------
    context : the record's version vector, which comes back with the decision
    candidates : by register in conflict; a contested removal is under "removed"
    settled : the registers that hold one value
    missing : (actor, tablet's name or None, counter) of changes that an author had seen and the server does not hold
    history : by register in conflict, every change in order of arrival, the replaced ones too
    """

    record: Disputed
    context: VersionVector
    candidates: Mapping[str, tuple[LiveValue, ...]]
    settled: Mapping[str, Json]
    removal_contested: bool
    missing: tuple[tuple[str, str | None, int], ...]
    history: Mapping[str, tuple[Past, ...]]

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            **self.record.wire(),
            "context": self.context.wire(),
            "conflicts": {
                name: [candidate.wire() for candidate in several] for name, several in self.candidates.items()
            },
            "values": {name: dict(value) for name, value in self.settled.items()},
            "removal_contested": self.removal_contested,
            "missing": [
                {"actor": actor, "tablet": name, "counter": counter} for actor, name, counter in self.missing
            ],
            "history": {name: [past.wire() for past in several] for name, several in self.history.items()},
        }


@dataclass(frozen=True, slots=True)
class Aftermath:
    """A record that staff have decided: where it is, who wrote last and what, and what was written before.

    Parameters
    ----------
    name : of the child; None where it is unknown
    measured_on, source : of a measurement, else None
    by : who decided
    decided : the values they wrote, by register
    history : by register decided, every change in order of arrival
    """

    kind: str
    record_id: str
    child_id: str
    name: str | None
    post_id: str
    post_name: str
    measured_on: date | None
    source: str | None
    by: Recorded
    decided: Mapping[str, Json]
    history: Mapping[str, tuple[Past, ...]]


@dataclass(frozen=True, slots=True)
class Settlement:
    """The result of a settlement: the hub's change, and the registers that are still in conflict."""

    dot: Dot
    outcome: Outcome
    remaining: tuple[str, ...]

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {"dot": list(self.dot), "outcome": self.outcome.value, "remaining": list(self.remaining)}
