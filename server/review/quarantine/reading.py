"""List cases, count them by tablet, and show one with the change as it came; log who read them."""

from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime
from itertools import islice
from typing import Any, Final

import orjson
from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session, aliased

from server import audit
from server.children import ledger
from server.context import AppContext
from server.crypto.vault import ChildKey
from server.database.models import ChangeRow, Delivery, FollowUp, Measurement, QuarantineDecision
from server.errors import Problem
from server.review.quarantine.loading import answered_cases, case_of, find_row, select_cases
from server.review.quarantine.model import (
    ANSWERED,
    DECIDED,
    IN_FORCE,
    OPEN,
    REOPENED,
    CaseFile,
    QuarantinedChange,
)
from server.review.scope import Scope
from sync_protocol import Json, id_of, measurement_id


def cases(
    session: Session,
    hub: AppContext,
    scope: Scope,
    *,
    state: str = OPEN,
    post_id: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> tuple[list[QuarantinedChange], int]:
    """Load cases of one state, oldest first; decided ones, newest decision first.

    Returns
    -------
    (the cases from `offset` on, at most `limit`; how many there are in all)
    """
    if state == DECIDED:
        query = select_cases(hub, scope, post_id).where(QuarantineDecision.decision.in_(IN_FORCE))
        total = session.execute(select(func.count()).select_from(query.subquery())).scalar_one()
        newest = query.order_by(
            QuarantineDecision.decided_at.desc(), ChangeRow.actor, ChangeRow.counter.desc()
        )
        rows = session.execute(newest.limit(limit).offset(offset)).all()
        return [case_of(hub, scope, row, DECIDED) for row in rows], total
    answered = _answered(session, hub, scope, post_id)
    if state == ANSWERED:
        shown = answered[offset:] if limit is None else answered[offset : offset + limit]
        return [case_of(hub, scope, row, state) for row in shown], len(answered)
    total = sum(_undecided_by_tablet(session, hub, scope, post_id).values()) - len(answered)
    apart = {(row.actor, row.counter) for row in answered}
    query = _undecided(hub, scope, post_id).order_by(*_OLDEST_FIRST)
    with session.execute(query, execution_options={"yield_per": ROWS_AT_ONCE}) as found:
        waiting = (row for row in found if (row.actor, row.counter) not in apart)
        page = islice(waiting, offset, None if limit is None else offset + limit)
        return [case_of(hub, scope, row, state) for row in page], total


def count_open(session: Session, hub: AppContext, scope: Scope) -> int:
    """Count the open cases in scope, without reading them."""
    total = sum(_undecided_by_tablet(session, hub, scope, None).values())
    return total - len(_answered(session, hub, scope, None))


def open_by_tablet(session: Session, hub: AppContext) -> Counter[str]:
    """Count the open cases of the district by tablet."""
    scope = Scope.whole_district(hub, shows_names=False)
    answered = Counter(row.actor for row in _answered(session, hub, scope, None))
    return _undecided_by_tablet(session, hub, scope, None) - answered


ROWS_AT_ONCE: Final = 100
_OLDEST_FIRST: Final = (ChangeRow.received_at, ChangeRow.actor, ChangeRow.counter)


def _undecided(hub: AppContext, scope: Scope, post_id: str | None) -> Select[*tuple[Any, ...]]:
    """Select the cases without a decision: open ones, and those that the tablet has answered itself."""
    undecided = or_(QuarantineDecision.decision.is_(None), QuarantineDecision.decision == REOPENED)
    return select_cases(hub, scope, post_id).where(undecided)


def _undecided_by_tablet(
    session: Session, hub: AppContext, scope: Scope, post_id: str | None
) -> Counter[str]:
    query = _undecided(hub, scope, post_id).with_only_columns(ChangeRow.actor, func.count())
    return Counter({row[0]: row[1] for row in session.execute(query.group_by(ChangeRow.actor))})


def _answered(session: Session, hub: AppContext, scope: Scope, post_id: str | None) -> list[Any]:
    """Load the cases that the tablet has answered itself, oldest first.

    Only those are read whose record the tablet has changed again: the others, nearly all, cannot be.
    """
    later = aliased(ChangeRow)
    changed_again = (
        select(later.counter)
        .where(
            *(later.district == ChangeRow.district, later.child_id == ChangeRow.child_id),
            *(later.record_id == ChangeRow.record_id, later.actor == ChangeRow.actor),
            *(later.counter > ChangeRow.counter, later.outcome != "quarantined"),
        )
        .correlate(ChangeRow)
        .exists()
    )
    query = _undecided(hub, scope, post_id).where(changed_again)
    rows = session.execute(query.order_by(*_OLDEST_FIRST)).all()
    answered = answered_cases(session, hub, rows)
    return [row for row in rows if (row.actor, row.counter) in answered]


def case_file(session: Session, hub: AppContext, scope: Scope, actor: str, counter: int) -> CaseFile:
    """Load a case with the change as it came.

    Raises
    ------
    Problem
        `record-unknown` outside the scope; `not-allowed` for a reader who sees no names: the change may hold some.
    """
    if not scope.shows_names:
        raise Problem("not-allowed")
    row = find_row(session, hub, scope, actor, counter)
    change = ledger.quarantined_change(hub.district, row, hub.vault)
    case = case_of(hub, scope, row, _state_of(session, hub, row))
    return CaseFile(case, change, _record_now(session, hub, case, row))


def _state_of(session: Session, hub: AppContext, row: Any) -> str:
    if row.decision in IN_FORCE:
        return DECIDED
    return ANSWERED if answered_cases(session, hub, [row]) else OPEN


def _record_now(session: Session, hub: AppContext, case: QuarantinedChange, row: Any) -> Json | None:
    """Give the state of the case's record as it is stored now."""
    if row.stored_child_id is None:
        return None
    key = hub.vault.child_key(case.child_id or "", row.wrapped_key, row.key_version)
    if case.kind == "child":
        stored = ledger.read_child(hub.district, row.stored_child_id, row.state, key) if row.state else None
        return orjson.loads(stored) if stored else None
    if case.kind in _NAMED_BY:
        return _keyed_record_now(session, hub, case, key)
    if not (case.child_id and case.measured_on and case.source):
        return None
    where = (
        Measurement.district == hub.district,
        Measurement.child_id == case.child_id,
        Measurement.measured_on == date.fromisoformat(case.measured_on),
        Measurement.source == case.source,
    )
    found = session.execute(select(Measurement.state, Measurement.sealed).where(*where)).one_or_none()
    record_id = measurement_id(case.child_id, case.measured_on, case.source)
    return orjson.loads(ledger.read_measurement(hub.district, record_id, found, key)) if found else None


_NAMED_BY: Final[Mapping[str, Any]] = {"follow_up": FollowUp.task, "delivery": Delivery.delivery}
"""Kinds whose key has a part that only the encrypted change holds, and the column that holds it in their own table."""


def _keyed_record_now(
    session: Session, hub: AppContext, case: QuarantinedChange, key: ChildKey
) -> Json | None:
    """Give the state of a follow-up or a delivery: search the child's few records for the one with the case's id."""
    kind, column = case.kind or "", _NAMED_BY[case.kind or ""]
    model = column.class_
    of_child = select(column.label("name"), model.state, model.sealed).where(
        model.district == hub.district, model.child_id == case.child_id
    )
    for found in session.execute(of_child):
        record_id = id_of(kind, {"child": case.child_id or "", column.key: found.name})
        if record_id == case.record_id:
            state: Json = orjson.loads(ledger.read_keyed(hub.district, kind, record_id, found, key))
            return state
    return None


def log_listed(session: Session, hub: AppContext, actor: str, shown: int, offset: int, now: datetime) -> None:
    """Log that somebody was shown cases with the children's names."""
    details = {"cases": shown, "offset": offset}
    audit.append(
        session, hub.district, audit.OFFICE, "quarantine.listed", actor=actor, now=now, details=details
    )


def log_viewed(session: Session, hub: AppContext, actor: str, shown: CaseFile, now: datetime) -> None:
    """Log at the post that somebody read a change as it came: all of it, a NIK too, is shown unmasked."""
    case = shown.case
    details = {"original": [case.tablet_id, case.counter], "child": case.child_id, "unmasked": True}
    stream = audit.post_stream(case.post_id)
    audit.append(session, hub.district, stream, "quarantine.viewed", actor=actor, now=now, details=details)
