"""A tablet's own changes, laid over the state that the server published: what the tablet shows until the next pull.

The tablet never folds: it has only the states of other authors' changes, not the changes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sync_protocol._records import Change, RecordState, Sibling
from sync_protocol._vectors import NOTHING_SEEN, Dot, VersionVector


def laid_over(state: RecordState | None, change: Change) -> RecordState:
    """Return a state with an own change, which it does not contain yet, laid over it."""
    if state is None:
        state = RecordState(change.kind, change.record_id, change.key, NOTHING_SEEN, {})
    registers = dict(state.registers)
    for name, value in change.registers.items():
        kept = _unseen(state.registers.get(name, ()), change, state.vector)
        same = [s for s in kept if s.value == value]
        others = [s for s in kept if s.value != value]
        dots = tuple(sorted({change.dot, *(dot for s in same for dot in s.dots)}))
        registers[name] = tuple(sorted((*others, Sibling(dots, value)), key=lambda s: s.dots))
    removed, contested = _removal(state, change, registers)
    return replace(
        state,
        vector=state.vector.seeing(change.dot.actor, change.entry),
        registers=dict(sorted(registers.items())),
        removed=removed,
        removal_contested=contested,
    )


def _unseen(siblings: Sequence[Sibling], change: Change, held: VersionVector) -> list[Sibling]:
    """Return the siblings that a change leaves: of equal values by several authors it replaces only those it had seen."""
    left = [Sibling(tuple(d for d in s.dots if not _seen(d, change, held)), s.value) for s in siblings]
    return [sibling for sibling in left if sibling.dots]


def _seen(dot: Dot, change: Change, held: VersionVector) -> bool:
    """Apply merge rule 2 as far as a vector allows: other actors' entries must name a change that is held."""
    if not change.context.claims(dot):
        return False
    entry, newest = change.context[dot.actor], held[dot.actor]
    return dot.actor == change.dot.actor or newest.counter > entry.counter or newest == entry


def _removal(
    state: RecordState, change: Change, registers: Mapping[str, Sequence[Sibling]]
) -> tuple[bool, bool]:
    """Say whether the record is removed, and whether that is contested, with `change` laid over it (merge rule 5)."""
    reasons = [s for s in registers.get("removed", ()) if s.value.get("reason") is not None]
    removing = {dot for sibling in reasons for dot in sibling.dots}
    if not removing or change.dot not in removing:
        return False, bool(removing)
    live = {dot for siblings in registers.values() for s in siblings for dot in s.dots}
    removed = state.removed or all(change.context.claims(dot) for dot in live - removing)
    return removed, not removed
