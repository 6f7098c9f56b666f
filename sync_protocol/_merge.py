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
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sync_protocol._canonical import canonical
from sync_protocol._errors import LocalProtocolError
from sync_protocol._records import Change, Outcome, RecordState, Sibling
from sync_protocol._vectors import Dot, Entry, Order, VersionVector


@dataclass(frozen=True, slots=True)
class History:
    """Everything held of one record: its changes, and the dots and tags of its quarantined ones."""

    changes: tuple[Change, ...]
    quarantined: tuple[tuple[Dot, str], ...] = ()

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
    if not history.changes:
        raise LocalProtocolError("no-changes", "a record without changes has no state")
    first = history.changes[0]
    if len(history.changes) == 1:
        return _alone(first, history)
    held = history.held()
    live = _live(history.changes, held)
    registers = {name: _siblings(live[name], name) for name in sorted(live)}
    removals = [c for c in live.get("removed", ()) if c.registers["removed"].get("reason") is not None]
    uncovered = bool(removals) and _uncovered(removals, live, held)
    return RecordState(
        first.kind,
        first.record_id,
        first.key,
        _vector(history.changes),
        registers,
        removed=bool(removals) and not uncovered,
        removal_contested=uncovered,
        incomplete=_incomplete(history.changes, held),
    )


def _alone(change: Change, history: History) -> RecordState:
    """Return the state of a record of one change (nearly every record): all of its values are live."""
    dots = (change.dot,)
    return RecordState(
        change.kind,
        change.record_id,
        change.key,
        VersionVector({change.dot.actor: change.entry}),
        {name: (Sibling(dots, change.registers[name]),) for name in sorted(change.registers)},
        removed=change.registers.get("removed", {}).get("reason") is not None,
        incomplete=bool(change.context.entries) and _incomplete(history.changes, history.held()),
    )


def outcome_of(change: Change, history: History, state: RecordState | None = None) -> Outcome:
    """Say what became of a change that `history` now contains.

    Parameters
    ----------
    change : one of `history.changes`
    history : with the change in it
    state : `fold(history)` where the caller has it already

    Returns
    -------
    Outcome : SUPERSEDED if none of its values is live, CONFLICT if one of them has a different sibling or the record's
        removal is contested, MERGED if it is concurrent with another change, else APPLIED
    """
    if len(history.changes) == 1:
        return Outcome.APPLIED
    state = state or fold(history)
    mine = [state.registers[name] for name in change.registers]
    live = [siblings for siblings in mine if any(change.dot in s.dots for s in siblings)]
    if not live:
        return Outcome.SUPERSEDED
    if any(len(siblings) > 1 for siblings in live) or state.removal_contested:
        return Outcome.CONFLICT
    held = history.held()
    others = (other for other in history.changes if other.dot != change.dot)
    if any(order(change, other, held) is Order.CONCURRENT for other in others):
        return Outcome.MERGED
    return Outcome.APPLIED


def _live(changes: Sequence[Change], held: Mapping[Dot, str]) -> dict[str, list[Change]]:
    touching: dict[str, list[Change]] = {}
    for change in changes:
        for register in change.registers:
            touching.setdefault(register, []).append(change)
    for register, candidates in touching.items():
        if len(candidates) > 1:
            newest_first = candidates[::-1]  # in a chain of edits the newest covers all the others
            touching[register] = [
                c for c in candidates if not any(covers(d, c, held) for d in newest_first if d is not c)
            ]
    return touching


def _siblings(live: Sequence[Change], register: str) -> tuple[Sibling, ...]:
    if len(live) == 1:
        return (Sibling((live[0].dot,), live[0].registers[register]),)
    dots_of: dict[bytes, list[Change]] = {}
    for change in sorted(live, key=lambda c: c.dot):
        dots_of.setdefault(canonical(change.registers[register]), []).append(change)
    return tuple(
        Sibling(tuple(c.dot for c in equal), equal[0].registers[register]) for equal in dots_of.values()
    )


def _uncovered(
    removals: Sequence[Change], live: Mapping[str, Iterable[Change]], held: Mapping[Dot, str]
) -> bool:
    """Say whether some live change was not seen by any of the live removals (rule 5)."""
    removing = {removal.dot for removal in removals}
    standing = {c.dot: c for changes in live.values() for c in changes if c.dot not in removing}
    return any(not any(covers(r, c, held) for r in removals) for c in standing.values())


def _vector(changes: Iterable[Change]) -> VersionVector:
    newest: dict[str, Entry] = {}
    for change in changes:
        known = newest.get(change.dot.actor)
        if known is None or known.counter < change.dot.counter:
            newest[change.dot.actor] = change.entry
    return VersionVector(dict(sorted(newest.items())))


def _incomplete(changes: Iterable[Change], held: Mapping[Dot, str]) -> bool:
    return any(
        held.get(Dot(actor, entry.counter)) != entry.tag
        for change in changes
        for actor, entry in change.context.items()
    )
