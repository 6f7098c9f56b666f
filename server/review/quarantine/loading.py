"""Select cases from the database, build them from rows, and find those that the tablet has answered itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Select, Text, and_, cast, func, literal_column, or_, select
from sqlalchemy.orm import Session

from server.children import ledger
from server.context import AppContext
from server.database.ids import UUID_TEXT
from server.database.models import ChangeRow, Child, HealthPost, QuarantineDecision, Tablet, table
from server.errors import Problem
from server.review.quarantine.model import IN_FORCE, REOPENED, Decision, QuarantinedChange
from server.review.scope import Scope, in_use, name_of, posts_within
from sync_protocol import REGISTERS, Change, Dot, Json


def select_cases(hub: AppContext, scope: Scope, post_id: str | None = None) -> Select[*tuple[Any, ...]]:
    """Select the cases in scope, each with its tablet, its post, its child if there is one, and its decision."""
    district = hub.district
    post = func.coalesce(Child.post_id, Tablet.post_id)
    query = (
        select(
            ChangeRow.actor,
            ChangeRow.counter,
            ChangeRow.hash,
            ChangeRow.record_id,
            ChangeRow.child_id,
            ChangeRow.content,
            ChangeRow.sealed,
            ChangeRow.reasons,
            ChangeRow.received_at,
            Tablet.name.label("tablet_name"),
            Tablet.post_id.label("tablet_post_id"),
            HealthPost.id.label("post_id"),
            HealthPost.name.label("post_name"),
            Child.id.label("stored_child_id"),
            Child.state,
            Child.wrapped_key,
            Child.key_version,
            QuarantineDecision.decision,
            QuarantineDecision.reason,
            QuarantineDecision.decided_by,
            QuarantineDecision.decided_at,
            QuarantineDecision.released_actor,
            QuarantineDecision.released_counter,
        )
        .join(Tablet, and_(Tablet.district == ChangeRow.district, cast(Tablet.id, Text) == ChangeRow.actor))
        .outerjoin(Child, and_(Child.district == ChangeRow.district, Child.id == ChangeRow.child_id))
        .join(HealthPost, and_(HealthPost.district == ChangeRow.district, HealthPost.id == post))
        .outerjoin(
            QuarantineDecision,
            and_(
                QuarantineDecision.district == ChangeRow.district,
                QuarantineDecision.actor == ChangeRow.actor,
                QuarantineDecision.counter == ChangeRow.counter,
            ),
        )
        # a literal, not a parameter: SQLite uses a partial index only for a condition that it can read
        .where(ChangeRow.district == district, ChangeRow.outcome == literal_column("'quarantined'"))
        .where(posts_within(hub, scope), or_(Child.id.is_(None), in_use()))
    )
    return query if post_id is None else query.where(HealthPost.id == post_id)


def find_row(
    session: Session, hub: AppContext, scope: Scope, actor: str, counter: int, *, lock: bool = False
) -> Any:
    """Find the row of one case in scope, and lock its change if it is to be decided.

    Raises
    ------
    Problem
        `record-unknown`.
    """
    if not UUID_TEXT.fullmatch(actor) or not 0 < counter < 2**53:
        raise Problem("record-unknown")
    if (
        lock
    ):  # before the read: of two people who decide at once, the second must see the first one's decision
        c = table(ChangeRow).c
        this = (c.district == hub.district, c.actor == actor, c.counter == counter)
        session.execute(select(c.counter).where(*this).with_for_update())
    query = select_cases(hub, scope).where(ChangeRow.actor == actor, ChangeRow.counter == counter)
    row = session.execute(query).one_or_none()
    if row is None:
        raise Problem("record-unknown")
    return row


def case_of(hub: AppContext, scope: Scope, row: Any, state: str) -> QuarantinedChange:
    """Make a case from a selected row; its content is read as far as it can be read."""
    wire = ledger.quarantined_change(hub.district, row, hub.vault)
    sent_kind = wire.get("kind")
    kind = sent_kind if isinstance(sent_kind, str) and sent_kind in REGISTERS else None
    key = wire["key"] if kind == "measurement" and isinstance(wire.get("key"), Mapping) else {}
    decision = _decision_of(row)
    return QuarantinedChange(
        row.actor,
        row.counter,
        row.tablet_name,
        row.post_id,
        row.post_name,
        state,
        row.received_at,
        kind,
        row.record_id,
        row.child_id,
        _iso_day(key.get("measured_on")),
        key.get("source") if key.get("source") in ("cadre", "staff") else None,
        _name(hub, row, wire) if scope.shows_names else None,
        ledger.quarantine_reasons(hub.district, row, hub.vault),
        decision if row.decision in IN_FORCE else None,
        decision if row.decision == REOPENED else None,
    )


def _decision_of(row: Any) -> Decision | None:
    if row.decision is None:
        return None
    released = Dot(row.released_actor, row.released_counter) if row.released_actor else None
    return Decision(row.decision, row.reason, row.decided_by, row.decided_at, released)


def _iso_day(value: object) -> str | None:
    """Give a valid ISO date, else None: other content is shown in the case file only."""
    if not isinstance(value, str) or len(value) != len("2026-03-05"):
        return None
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        return None


def _name(hub: AppContext, row: Any, wire: Json) -> str | None:
    """Give the child's name: as registered, else as this change would register it."""
    if row.state is not None:
        return name_of(hub, _NameRow(row.child_id, row.state, row.wrapped_key, row.key_version))
    registers = wire.get("set")
    identity = registers.get("identity") if isinstance(registers, Mapping) else None
    name = identity.get("name") if isinstance(identity, Mapping) else None
    return name if isinstance(name, str) and name.isprintable() else None


@dataclass(frozen=True, slots=True)
class _NameRow:
    child_id: str
    state: bytes
    wrapped_key: bytes
    key_version: int


def answered_cases(session: Session, hub: AppContext, rows: Sequence[Any]) -> set[tuple[str, int]]:
    """Find the cases whose registers were all set again by later, applied changes of the same tablet to the same record, or
    whose record the tablet has removed.

    A later change of *another* register does not count: the quarantined weight would still be missing.
    """
    records = {row.record_id: row.child_id for row in rows if row.record_id and row.stored_child_id}
    children = ledger.subjects(session, hub.vault, hub.district, sorted(set(records.values())))
    histories, _ = ledger.readable_histories(session, hub.district, children, records)
    return {
        (row.actor, row.counter)
        for row in rows
        if row.record_id in histories and is_answered(hub, row, histories[row.record_id].changes)
    }


def is_answered(hub: AppContext, row: Any, changes: Sequence[Change]) -> bool:
    """Say whether the same tablet later set every register of a quarantined change again, or removed the record."""
    later = [c for c in changes if c.dot.actor == row.actor and c.dot.counter > row.counter]
    if not later:
        return False
    removals = [c for c in later if "removed" in c.registers]
    if removals and max(removals, key=lambda c: c.dot.counter).registers["removed"]["reason"] is not None:
        return True
    wire = ledger.quarantined_change(hub.district, row, hub.vault)
    registers = wire.get("set")
    known = REGISTERS[later[0].kind]
    names = {name for name in registers if name in known} if isinstance(registers, Mapping) else set()
    return names <= {name for change in later for name in change.registers}
