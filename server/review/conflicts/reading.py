"""List conflicts, show one with every value and its author, show what was decided, and log who read them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, datetime

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from server import audit
from server.children import ledger
from server.context import AppContext
from server.database.ids import UUID_TEXT
from server.database.models import ChangeRow, Child, HealthPost, Tablet
from server.errors import Problem
from server.review.child import Recorded, recorded_by
from server.review.conflicts.loading import (
    CHILD_AND_POST,
    disputed_of,
    load_conflict,
    open_registers,
    select_conflicts,
    select_page,
)
from server.review.conflicts.model import Aftermath, Conflict, Disputed, LiveValue, Past
from server.review.scope import Scope, in_use, name_of, posts_within
from sync_protocol import KEYS, Dot, History, RecordState, fold, hub_actor


def conflicts(
    session: Session,
    hub: AppContext,
    scope: Scope,
    *,
    post_id: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> tuple[list[Disputed], int]:
    """Load the records in conflict, by post, then child, then day.

    Returns
    -------
    (the records from `offset` on, at most `limit`; how many there are in all)
    """
    rows, total = select_page(session, hub, scope, post_id, limit, offset)
    return [disputed_of(hub, scope, row) for row in rows], total


def posts(session: Session, hub: AppContext, scope: Scope) -> list[tuple[str, str, int]]:
    """Give the posts that have records in conflict, by name: (id, name, how many)."""
    counted: Counter[tuple[str, str]] = Counter()
    for kind in KEYS:
        query = select_conflicts(hub, scope, kind).with_only_columns(
            HealthPost.id, HealthPost.name, func.count()
        )
        for post_id, name, count in session.execute(query.group_by(HealthPost.id, HealthPost.name)):
            counted[name, post_id] += count
    return [(post_id, name, count) for (name, post_id), count in sorted(counted.items())]


def dispute(session: Session, hub: AppContext, scope: Scope, kind: str, record_id: str) -> Conflict:
    """Load one record in conflict, with every value and who gave it.

    Raises
    ------
    Problem
        `conflict-unknown` outside the scope or if it is no longer in conflict; `not-allowed` for a reader who sees no names.
    """
    row, history = load_conflict(session, hub, scope, kind, record_id)
    state = fold(history)
    recorded = recorded_by(session, hub, row.child_id)
    open_ = open_registers(state)
    return Conflict(
        disputed_of(hub, scope, row),
        state.vector,
        {
            name: tuple(
                LiveValue(s.dots, s.value, tuple(recorded[dot] for dot in s.dots if dot in recorded))
                for s in state.registers[name]
            )
            for name in open_
        },
        {name: several[0].value for name, several in state.registers.items() if name not in open_},
        state.removal_contested,
        _missing_changes(session, hub, history),
        _history_by_register(history, state, recorded, open_),
    )


def aftermath(session: Session, hub: AppContext, scope: Scope, kind: str, record_id: str) -> Aftermath:
    """Load who decided about a record, and what: shown to whoever wanted to settle it later.

    Raises
    ------
    Problem
        `conflict-unknown` outside the scope, or where staff have written nothing; `not-allowed` as for `dispute`.
    """
    if not scope.shows_names:
        raise Problem("not-allowed")
    actor = hub_actor(record_id)
    written = select(ChangeRow.child_id, ChangeRow.kind).where(
        ChangeRow.district == hub.district, ChangeRow.actor == actor, ChangeRow.counter == 1
    )
    first = session.execute(written).one_or_none()
    if first is None or first.kind != kind:
        raise Problem("conflict-unknown")
    child = (
        select(*CHILD_AND_POST)
        .join(HealthPost, and_(HealthPost.district == Child.district, HealthPost.id == Child.post_id))
        .where(Child.district == hub.district, Child.id == first.child_id, posts_within(hub, scope))
        .where(in_use())
    )
    row = session.execute(child).one_or_none()
    if row is None:
        raise Problem("conflict-unknown")
    children = ledger.subjects(session, hub.vault, hub.district, [row.child_id])
    history = ledger.histories(session, hub.district, children, {record_id: row.child_id})[record_id]
    last = max((c for c in history.changes if c.dot.actor == actor), key=lambda c: c.dot.counter)
    recorded = recorded_by(session, hub, row.child_id)
    day = last.key.get("measured_on")
    return Aftermath(
        kind,
        record_id,
        row.child_id,
        name_of(hub, row),
        row.post_id,
        row.post_name,
        date.fromisoformat(day) if day else None,
        last.key.get("source"),
        recorded[last.dot],
        last.registers,
        _history_by_register(history, fold(history), recorded, last.registers),
    )


def _history_by_register(
    history: History, state: RecordState, recorded: Mapping[Dot, Recorded], registers: Iterable[str]
) -> dict[str, tuple[Past, ...]]:
    """Give every change of the registers, the replaced ones too."""
    changes = sorted(
        (c for c in history.changes if c.dot in recorded),
        key=lambda c: (recorded[c.dot].received_at, c.dot),
    )
    live_dots = {name: {dot for s in state.registers.get(name, ()) for dot in s.dots} for name in registers}
    return {
        name: tuple(
            Past(c.dot, c.registers[name], recorded[c.dot], c.dot in live)
            for c in changes
            if name in c.registers
        )
        for name, live in live_dots.items()
    }


def _missing_changes(
    session: Session, hub: AppContext, history: History
) -> tuple[tuple[str, str | None, int], ...]:
    """Give the changes that authors had seen and this server does not hold (it lost them, or another server has them)."""
    held = history.held()
    missing = {
        (actor, entry.counter)
        for change in history.changes
        for actor, entry in change.context.items()
        if held.get(Dot(actor, entry.counter)) != entry.tag
    }
    ids = {actor for actor, _ in missing if UUID_TEXT.fullmatch(actor)}
    tablets = session.execute(
        select(Tablet.id, Tablet.name).where(Tablet.district == hub.district, Tablet.id.in_(ids))
    )
    names = {row.id: row.name for row in tablets}
    return tuple((actor, names.get(actor), counter) for actor, counter in sorted(missing))


def log_listed(session: Session, hub: AppContext, actor: str, shown: int, offset: int, now: datetime) -> None:
    """Log that somebody was shown records in conflict with the children's names."""
    details = {"records": shown, "offset": offset}
    audit.append(
        session, hub.district, audit.OFFICE, "conflicts.listed", actor=actor, now=now, details=details
    )


def log_viewed(
    session: Session, hub: AppContext, actor: str, shown: Conflict | Aftermath, now: datetime
) -> None:
    """Log at the child's post that somebody read a record that is or was in conflict, unmasked."""
    record = shown.record if isinstance(shown, Conflict) else shown
    details = {"record": record.record_id, "child": record.child_id, "unmasked": True}
    stream = audit.post_stream(record.post_id)
    audit.append(session, hub.district, stream, "conflict.viewed", actor=actor, now=now, details=details)
