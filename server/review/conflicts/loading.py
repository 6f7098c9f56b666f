"""Select records in conflict, whatever their kind, and find one of them with its history."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    cast,
    func,
    literal,
    literal_column,
    null,
    select,
    union_all,
)
from sqlalchemy.orm import Session

from server.children import ledger
from server.context import AppContext
from server.database.ids import UUID_TEXT
from server.database.models import Child, Delivery, FollowUp, HealthPost, Measurement
from server.errors import Problem
from server.review.conflicts.model import REMOVED, Disputed
from server.review.scope import Scope, in_use, name_of, posts_within
from sync_protocol import KEYS, History, RecordState, id_of

_NO_CONFLICTS: Final[ColumnElement[str]] = literal_column("''")
"""A literal, not a parameter: SQLite uses a partial index only for a condition that it can read."""

_MODELS: Final[Mapping[str, Any]] = {
    "child": Child,
    "measurement": Measurement,
    "follow_up": FollowUp,
    "delivery": Delivery,
}

_KEY_PARTS: Final = ("measured_on", "source", "task", "delivery")
"""The columns that are part of some kind's key, besides the child."""

_NO_PART: Final[Mapping[str, ColumnElement[Any]]] = {
    column.key: cast(null(), column.type)
    for column in (Measurement.measured_on, Measurement.source, FollowUp.task, Delivery.delivery)
}
"""What a kind has whose key lacks a part: typed, since PostgreSQL unites only columns of one type."""

CHILD_AND_POST: Final = (
    Child.id.label("child_id"),
    Child.state,
    Child.wrapped_key,
    Child.key_version,
    HealthPost.id.label("post_id"),
    HealthPost.name.label("post_name"),
)


def select_conflicts(
    hub: AppContext, scope: Scope, kind: str, post_id: str | None = None
) -> Select[*tuple[Any, ...]]:
    """Select the records of one kind in conflict; columns that the kind's key does not have are null."""
    model = _MODELS[kind]
    key = [getattr(model, part) if part in KEYS[kind] else _NO_PART[part].label(part) for part in _KEY_PARTS]
    query = select(literal(kind).label("kind"), *CHILD_AND_POST, model.conflicts, *key).select_from(model)
    if model is not Child:
        query = query.join(Child, and_(Child.district == model.district, Child.id == model.child_id))
    query = (
        query.join(HealthPost, and_(HealthPost.district == model.district, HealthPost.id == model.post_id))
        .where(model.district == hub.district, model.conflicts != _NO_CONFLICTS, model.removed.is_(False))
        .where(in_use(), posts_within(hub, scope))
    )
    return query if post_id is None else query.where(model.post_id == post_id)


def select_page(
    session: Session, hub: AppContext, scope: Scope, post_id: str | None, limit: int | None, offset: int
) -> tuple[list[Any], int]:
    """Select a page of the records in conflict, of all kinds, by post, then child, then day, and count them all."""
    names = ("post_name", "child_id", *_KEY_PARTS, "kind")
    kinds = []
    for kind in KEYS:
        query = select_conflicts(hub, scope, kind, post_id)
        kinds.append(query.with_only_columns(*(query.selected_columns[name] for name in names)))
    keys = union_all(*kinds).subquery()
    total = session.execute(select(func.count()).select_from(keys)).scalar_one()
    page = select(keys).order_by(*(keys.c[name].nulls_first() for name in names)).limit(limit).offset(offset)
    shown = session.execute(page).all()
    children = sorted({row.child_id for row in shown})
    found = {}
    for kind in {row.kind for row in shown}:
        of = select_conflicts(hub, scope, kind, post_id).where(Child.id.in_(children))
        found.update({_record_id(row): row for row in session.execute(of)})
    return [found[_record_id(row)] for row in shown], total


def key_of(row: Any) -> dict[str, str]:
    """Give the key of a record, from which its id is made; a child's is empty."""
    values = {"child": row.child_id, **{part: str(getattr(row, part)) for part in _KEY_PARTS}}
    return {part: values[part] for part in KEYS[row.kind]}


def _record_id(row: Any) -> str:
    return id_of(row.kind, key_of(row)) if KEYS[row.kind] else str(row.child_id)


def disputed_of(hub: AppContext, scope: Scope, row: Any) -> Disputed:
    """Make the entry of a list from a selected row."""
    names = row.conflicts.split()
    return Disputed(
        row.kind,
        _record_id(row),
        row.child_id,
        name_of(hub, row) if scope.shows_names else None,
        row.post_id,
        row.post_name,
        row.measured_on,
        row.source,
        row.task or row.delivery,
        tuple(dict.fromkeys(name for name in names if name != "incomplete")),
        "incomplete" in names,
    )


def load_conflict(
    session: Session, hub: AppContext, scope: Scope, kind: str, record_id: str
) -> tuple[Any, History]:
    """Find a record in conflict, with every change that the server holds of it."""
    if not scope.shows_names:
        raise Problem("not-allowed")
    row = find_row(session, hub, scope, kind, record_id)
    if row is None:
        raise Problem("conflict-unknown")
    children = ledger.subjects(session, hub.vault, hub.district, [row.child_id])
    histories = ledger.histories(session, hub.district, children, {record_id: row.child_id})
    return row, histories[record_id]


def find_row(session: Session, hub: AppContext, scope: Scope, kind: str, record_id: str) -> Any:
    """Find the row of one record in conflict; None if it is outside the scope or not in conflict."""
    if kind not in KEYS or not UUID_TEXT.fullmatch(record_id):
        return None
    query = select_conflicts(hub, scope, kind)
    if kind == "child":
        return session.execute(query.where(Child.id == record_id)).one_or_none()
    # the other ids are hashes of the key, which the database cannot look up: search the few records in conflict
    return next((row for row in session.execute(query).all() if _record_id(row) == record_id), None)


def open_registers(state: RecordState) -> tuple[str, ...]:
    """Give the registers that a person can settle, a contested removal among them."""
    contested = (REMOVED,) if state.removal_contested and REMOVED not in state.conflicts else ()
    return (*state.conflicts, *contested)
