"""The merge as docs/protocol.md defines it, change by change against change: slow, and the oracle of the fold.

Nothing here is shared with `sync_protocol._merge` but the types.
"""

from collections.abc import Iterable, Mapping

from sync_protocol import Change, Dot, Entry, History, Outcome, RecordState, Sibling, VersionVector, canonical

Held = Mapping[Dot, str]


def covers(later: Change, earlier: Change, held: Held) -> bool:
    entry = later.context.get(earlier.dot.actor)
    if entry is None or entry.counter < earlier.dot.counter:
        return False
    return held.get(Dot(earlier.dot.actor, entry.counter)) == entry.tag


def live_of(register: str, changes: Iterable[Change], held: Held) -> list[Change]:
    touching = [change for change in changes if register in change.registers]
    return [c for c in touching if not any(covers(d, c, held) for d in touching if d is not c)]


def defined_state(history: History) -> RecordState:
    """Give the state of a record, by the definition."""
    held = history.held()
    names = sorted({name for change in history.changes for name in change.registers})
    live = {name: live_of(name, history.changes, held) for name in names}
    removals = [c for c in live.get("removed", ()) if c.registers["removed"].get("reason") is not None]
    others = [c for changes in live.values() for c in changes if c not in removals]
    contested = bool(removals) and not all(any(covers(r, c, held) for r in removals) for c in others)
    first = history.changes[0]
    return RecordState(
        first.kind,
        first.record_id,
        first.key,
        _vector(history.changes),
        {name: _siblings(name, live[name]) for name in names},
        removed=bool(removals) and not contested,
        removal_contested=contested,
        incomplete=any(
            held.get(Dot(actor, entry.counter)) != entry.tag
            for change in history.changes
            for actor, entry in change.context.items()
        ),
    )


def _vector(changes: Iterable[Change]) -> VersionVector:
    newest: dict[str, Entry] = {}
    for change in sorted(changes, key=lambda c: c.dot):
        newest[change.dot.actor] = change.entry
    return VersionVector(newest)


def _siblings(register: str, live: Iterable[Change]) -> tuple[Sibling, ...]:
    dots_of: dict[bytes, list[Change]] = {}
    for change in sorted(live, key=lambda c: c.dot):
        dots_of.setdefault(canonical(change.registers[register]), []).append(change)
    return tuple(
        Sibling(tuple(c.dot for c in equal), equal[0].registers[register]) for equal in dots_of.values()
    )


def defined_outcome(change: Change, history: History) -> Outcome:
    """Say what became of a change that `history` contains, by the definition."""
    held, state = history.held(), defined_state(history)
    mine = [state.registers[name] for name in change.registers]
    live = [siblings for siblings in mine if any(change.dot in s.dots for s in siblings)]
    if not live:
        return Outcome.SUPERSEDED
    if any(len(siblings) > 1 for siblings in live) or state.removal_contested:
        return Outcome.CONFLICT
    others = [other for other in history.changes if other.dot != change.dot]
    apart = (not covers(change, other, held) and not covers(other, change, held) for other in others)
    return Outcome.MERGED if any(apart) else Outcome.APPLIED
