"""Dots, version vectors and causal order. (A "vector clock" of this kind is, exactly, a version vector with dots.)

A vector says "I have seen every change of T up to 7". It counts only together with the tag of change 7 (merge rule 2),
because a restored device or server may use the number 7 again for another change.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class Order(Enum):
    """The four possible orders of two changes: if neither is known to have come first, they are concurrent."""

    EQUAL = "equal"
    BEFORE = "before"
    AFTER = "after"
    CONCURRENT = "concurrent"


class Dot(NamedTuple):
    """The permanent name of one change: who made it, and its number among the changes of that actor (from 1)."""

    actor: str
    counter: int


class Entry(NamedTuple):
    """What a vector holds of one actor: the counter of its newest change in view, and that change's tag."""

    counter: int
    tag: str


@dataclass(frozen=True, slots=True)
class VersionVector(Mapping[str, Entry]):
    """For each actor, the newest of its changes *to one record* that was in view."""

    entries: Mapping[str, Entry]

    @classmethod
    def from_wire(cls, wire: Mapping[str, tuple[int, str] | list[int | str]]) -> "VersionVector":
        """Read `{actor: [counter, tag]}`, already checked."""
        return cls({actor: Entry(*entry) for actor, entry in wire.items()})

    def wire(self) -> dict[str, list[int | str]]:
        """Write `{actor: [counter, tag]}`."""
        return {actor: [entry.counter, entry.tag] for actor, entry in self.entries.items()}

    def __getitem__(self, actor: str) -> Entry:
        return self.entries[actor]

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def claims(self, dot: Dot) -> bool:
        """Say whether the vector claims to have seen the dot; whether the claim counts is decided by the fold."""
        entry = self.entries.get(dot.actor)
        return entry is not None and entry.counter >= dot.counter

    def seeing(self, actor: str, entry: Entry) -> "VersionVector":
        """Return this vector with one more change seen; a change older than the newest seen adds nothing."""
        known = self.entries.get(actor)
        if known is not None and known.counter >= entry.counter:
            return self
        return VersionVector({**self.entries, actor: entry})

    def order(self, other: "VersionVector") -> Order:
        """Compare as sets of changes seen. Two entries of one actor with equal counters and different tags come from
        different histories, so neither vector contains the other."""
        mine = any(self._beyond(actor, other) for actor in self.entries)
        theirs = any(other._beyond(actor, self) for actor in other.entries)
        if mine and theirs:
            return Order.CONCURRENT
        if mine:
            return Order.AFTER
        return Order.BEFORE if theirs else Order.EQUAL

    def _beyond(self, actor: str, other: "VersionVector") -> bool:
        entry, known = self.entries[actor], other.entries.get(actor)
        return (
            known is None
            or known.counter < entry.counter
            or (known.counter == entry.counter and known != entry)
        )


NOTHING_SEEN = VersionVector({})
