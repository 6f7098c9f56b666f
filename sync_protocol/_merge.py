"""The state of a record is a fold over the set of its changes. All rules of merging are here.

1. The live values of a register are those changes that touch it and that no other change touching it *covers*.
2. A change covers another if its context names the other's actor with at least the other's counter, **and** the server
   holds the change that the entry names, with the same tag. An entry that names another change covers nothing. (A
   quarantined change counts as held, though it has no values.) Without the second condition, contexts are wrong once a
   server or tablet is restored from a backup: a number is used twice, and a write that nobody has seen is overwritten.
3. A state is published with the newest dots *held*, never with what contexts claim.
4. Equal values of one register become one sibling, which keeps the dots of all.
5. A record is removed only while the removal covers all its other live changes. An edit that the remover had not seen
   keeps the record, and a person decides.

The order of arrival does not matter, because it is not an input.

A change cannot cover itself or a change that covers it: its hash contains its context, so a context that named it, or what
was written in sight of it, would need a hash that contains itself.
"""

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from sync_protocol._canonical import canonical
from sync_protocol._errors import LocalProtocolError
from sync_protocol._records import Change, Json, Outcome, RecordState, Sibling
from sync_protocol._vectors import Dot, Entry, Order, VersionVector


@dataclass(frozen=True, slots=True)
class History:
    """Everything held of one record: its changes, and the dots and tags of its quarantined ones."""

    changes: Sequence[Change]
    quarantined: Sequence[tuple[Dot, str]] = ()

    def held(self) -> dict[Dot, str]:
        """Return the tag of every dot held, quarantined ones included."""
        held = {change.dot: change.tag for change in self.changes}
        held.update(self.quarantined)
        return held

    def with_change(self, change: Change) -> "History":
        return History((*self.changes, change), self.quarantined)


def covers(later: Change, earlier: Change, held: Mapping[Dot, str]) -> bool:
    """Say whether the author of `later` had seen `earlier` (rule 2)."""
    return sees(later.context, earlier.dot, held)


def sees(context: VersionVector, dot: Dot, held: Mapping[Dot, str]) -> bool:
    """Say whether a context has seen a dot, as far as its claim counts (rule 2)."""
    entry = context.entries.get(dot.actor)
    return (
        entry is not None
        and entry.counter >= dot.counter
        and held.get(Dot(dot.actor, entry.counter)) == entry.tag
    )


def order(one: Change, other: Change, held: Mapping[Dot, str]) -> Order:
    """Return the causal order of two changes of one record, as far as the changes held show it."""
    if one.dot == other.dot and one.hash == other.hash:
        return Order.EQUAL
    after, before = covers(one, other, held), covers(other, one, held)
    if after and not before:
        return Order.AFTER
    return Order.BEFORE if before and not after else Order.CONCURRENT


def fold(history: History) -> RecordState:
    """Return the state of a record.

    Parameters
    ----------
    history : at least one change; all of one record; in any order, without repetition

    Returns
    -------
    RecordState : the same, byte for byte, for every order of the same changes

    Raises
    ------
    LocalProtocolError
        `no-changes` for an empty history.
    """
    return Merge(history).state()


def outcome_of(change: Change, history: History) -> Outcome:
    """Say what became of a change that `history` contains, as `Merge.outcome` does."""
    return Merge(history).outcome(change)


class Merge:
    """The fold of one record, to which changes can be added: n changes cost n log n, in whatever order they come.

    Nothing but the list of changes is kept while there is only one, as for nearly every record.
    """

    __slots__ = ("_held", "_index", "_quarantined", "changes")

    def __init__(self, history: History = History(())) -> None:
        self.changes, self._quarantined = list(history.changes), list(history.quarantined)
        self._held = history.held()
        self._index = _Index(self.changes, self._held) if len(self.changes) > 1 else None

    def add(self, change: Change) -> None:
        """Add a change that is not held yet."""
        self.changes.append(change)
        self._held[change.dot] = change.tag
        if self._index is not None:
            self._index.hold(change.dot, change.tag)
            self._index.add(change)
        elif len(self.changes) > 1:
            self._index = _Index(self.changes, self._held)

    def add_quarantined(self, dot: Dot, tag: str) -> None:
        """Count a quarantined change as held: it has no values, but contexts may name it."""
        self._quarantined.append((dot, tag))
        self._held[dot] = tag
        if self._index is not None:
            self._index.hold(dot, tag)

    def history(self) -> History:
        """Return all that is held."""
        return History(tuple(self.changes), tuple(self._quarantined))

    def state(self) -> RecordState:
        """Return what `fold` returns."""
        if not self.changes:
            raise LocalProtocolError("no-changes", "a record without changes has no state")
        first = self.changes[0]
        if self._index is None:
            return _alone(first, self._held)
        removals, contested = self._index.removals()
        return RecordState(
            first.kind,
            first.record_id,
            first.key,
            self._index.vector(),
            self._index.siblings(),
            removed=removals and not contested,
            removal_contested=contested,
            incomplete=self._index.unmet > 0,
        )

    def value(self, register: str) -> Json | None:
        """Return the value of a register as `RecordState.value` does, without the rest of the state."""
        if self._index is not None:
            return self._index.value(register)
        return self.changes[0].registers.get(register) if self.changes else None

    def outcome(self, change: Change) -> Outcome:
        """Say what became of a change that was added.

        Returns
        -------
        Outcome : SUPERSEDED if none of its values is live, CONFLICT if one of them has a different sibling or the record's
            removal is contested, MERGED if it is concurrent with another change, else APPLIED
        """
        if self._index is None:
            return Outcome.APPLIED
        live = self._index.live(change)
        if not live:
            return Outcome.SUPERSEDED
        if any(len(register.counts) > 1 for register in live) or self._index.removals()[1]:
            return Outcome.CONFLICT
        return Outcome.MERGED if self._index.has_concurrent(change) else Outcome.APPLIED


def _alone(change: Change, held: Mapping[Dot, str]) -> RecordState:
    """Return the state of a record of one change: all of its values are live."""
    dots = (change.dot,)
    return RecordState(
        change.kind,
        change.record_id,
        change.key,
        VersionVector({change.dot.actor: change.entry}),
        {name: (Sibling(dots, change.registers[name]),) for name in sorted(change.registers)},
        removed=change.registers.get("removed", {}).get("reason") is not None,
        incomplete=any(held.get(Dot(a, e.counter)) != e.tag for a, e in change.context.entries.items()),
    )


class _Live:
    """The live changes of one register, each with the canonical bytes of its value; `counts` has how many set each value.

    A change that covers others says only "of this actor, all up to this counter", so it is enough to know the highest such
    counter of each actor (`covered`), and the counters that are live as a heap.
    """

    __slots__ = ("_counters", "changes", "counts", "covered")

    def __init__(self) -> None:
        self.changes: dict[Dot, tuple[Change, bytes]] = {}
        self.counts: dict[bytes, int] = {}
        self.covered: dict[str, int] = {}
        self._counters: defaultdict[str, list[int]] = defaultdict(list)

    def add(self, change: Change, value: Json) -> None:
        actor, counter = change.dot
        if counter <= self.covered.get(actor, 0):
            return
        written = canonical(value)
        self.changes[change.dot] = change, written
        self.counts[written] = self.counts.get(written, 0) + 1
        heappush(self._counters[actor], counter)

    def cover(self, actor: str, counter: int) -> Iterator[Change]:
        """Take out, and give, what a change of this register covers."""
        if counter <= self.covered.get(actor, 0):
            return
        self.covered[actor] = counter
        counters = self._counters[actor]
        while counters and counters[0] <= counter:
            change, written = self.changes.pop(Dot(actor, heappop(counters)))
            self.counts[written] -= 1
            if not self.counts[written]:
                del self.counts[written]
            yield change

    def siblings(self, name: str) -> tuple[Sibling, ...]:
        dots_of: dict[bytes, list[Dot]] = {}
        for dot in sorted(self.changes):
            dots_of.setdefault(self.changes[dot][1], []).append(dot)
        return tuple(
            Sibling(tuple(dots), self.changes[dots[0]][0].registers[name]) for dots in dots_of.values()
        )


class _Removals:
    """The live removals, each with what it had seen.

    Some other live change was seen by none of them (rule 5) if the newest of its actor and register was not: of the others
    the newest counter of each actor and register is kept, and of what was seen the newest of each actor.
    """

    __slots__ = ("_others", "_registers", "_seen", "live")

    def __init__(self, registers: Mapping[str, _Live]) -> None:
        self.live: dict[Dot, list[Dot]] = {}
        self._registers = registers
        self._others: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._seen: dict[str, int] | None = {}

    def add(self, change: Change, seen: Iterable[Dot]) -> None:
        """Add a change that is in its registers."""
        reason = change.registers.get("removed", {}).get("reason")
        if reason is not None and change.dot in self._registers["removed"].changes:
            self.live[change.dot] = []
            for dot in seen:
                self.see(change, dot)
        else:
            self._count_among_others(change)

    def see(self, change: Change, dot: Dot) -> None:
        """Add an entry of a change's context that counts from now on; it matters of a live removal."""
        if change.dot in self.live:
            self.live[change.dot].append(dot)
            if self._seen is not None:
                _raise(self._seen, dot)

    def drop(self, change: Change) -> None:
        """Take out a change of register `removed` that was covered; it may still be live in other registers."""
        if self.live.pop(change.dot, None) is not None:
            self._seen = None
            self._count_among_others(change)

    def _count_among_others(self, change: Change) -> None:
        for name in change.registers:
            _raise(self._others[name], change.dot)

    def are_contested(self) -> bool:
        if not self.live:
            return False
        if self._seen is None:
            self._seen = {}
            for several in self.live.values():
                for dot in several:
                    _raise(self._seen, dot)
        for name, newest in self._others.items():
            covered = self._registers[name].covered
            for actor, counter in newest.items():
                if counter > covered.get(actor, 0) and counter > self._seen.get(actor, 0):
                    return True
        return False


def _raise(newest: dict[str, int], dot: Dot) -> None:
    newest[dot.actor] = max(dot.counter, newest.get(dot.actor, 0))


class _Index:
    """What is needed of several changes to add another without looking at all of them.

    `unmet` counts the entries of contexts that name a change which is not held.
    """

    __slots__ = ("_claims", "_count", "_counters", "_held", "_registers", "_removals", "_waiting", "unmet")

    def __init__(self, changes: Sequence[Change], held: dict[Dot, str]) -> None:
        self._held = held
        self._registers: defaultdict[str, _Live] = defaultdict(_Live)
        # by actor and sorted: the counters of its changes, and those up to which contexts have seen it
        self._counters: defaultdict[str, list[int]] = defaultdict(list)
        self._claims: defaultdict[str, list[int]] = defaultdict(list)
        self._waiting: defaultdict[Dot, list[tuple[Change, str]]] = defaultdict(list)
        self._removals = _Removals(self._registers)
        self._count = self.unmet = 0
        for change in changes:
            self.add(change)

    def add(self, change: Change) -> None:
        self._count += 1
        insort(self._counters[change.dot.actor], change.dot.counter)
        for actor, entry in change.context.entries.items():
            named = Dot(actor, entry.counter)
            if self._held.get(named) == entry.tag:
                self._cover(change, named)
            else:
                self._waiting[named].append((change, entry.tag))
                self.unmet += 1
        for name, value in change.registers.items():
            self._registers[name].add(change, value)
        self._removals.add(change, self._seen(change))

    def hold(self, dot: Dot, tag: str) -> None:
        """Let the entries count that name a change which is held from now on."""
        for change, named in self._waiting.pop(dot, ()):
            if named == tag:
                self.unmet -= 1
                self._cover(change, dot)

    def _cover(self, change: Change, seen: Dot) -> None:
        insort(self._claims[seen.actor], seen.counter)
        for name in change.registers:
            for gone in self._registers[name].cover(*seen):
                if name == "removed":
                    self._removals.drop(gone)
        self._removals.see(change, seen)

    def _seen(self, change: Change) -> Iterator[Dot]:
        """Give the entries of a change's context that count."""
        for actor, entry in change.context.entries.items():
            if self._held.get(Dot(actor, entry.counter)) == entry.tag:
                yield Dot(actor, entry.counter)

    def live(self, change: Change) -> list[_Live]:
        """Return the registers in which a change is live."""
        mine = (self._registers[name] for name in change.registers)
        return [register for register in mine if change.dot in register.changes]

    def value(self, name: str) -> Json | None:
        register = self._registers.get(name)
        if register is None or len(register.counts) != 1:
            return None
        return next(iter(register.changes.values()))[0].registers[name]

    def has_concurrent(self, change: Change) -> bool:
        """Say whether there is a change that neither covers this one nor is covered by it."""
        actor, counter = change.dot
        covered = sum(bisect_right(self._counters.get(a, ()), c) for a, c in self._seen(change))
        claims = self._claims.get(actor, ())
        covering = len(claims) - bisect_left(claims, counter)
        return covered + covering < self._count - 1

    def removals(self) -> tuple[bool, bool]:
        """Say whether there is a live removal, and whether some other live change was not seen by any of them (rule 5)."""
        return bool(self._removals.live), self._removals.are_contested()

    def siblings(self) -> dict[str, tuple[Sibling, ...]]:
        return {name: self._registers[name].siblings(name) for name in sorted(self._registers)}

    def vector(self) -> VersionVector:
        newest = {actor: counters[-1] for actor, counters in sorted(self._counters.items())}
        return VersionVector({a: Entry(c, self._held[Dot(a, c)]) for a, c in newest.items()})
