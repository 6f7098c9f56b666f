"""Stored assessments, flags and queue rows against what they are derived from."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import Table, and_, func, select
from sqlalchemy.orm import Session

from server.children.assessment import ENGINE, derive
from server.database.engine import among
from server.database.models import Assessment, Attention, Child, table
from server.database.writes import Writes
from server.operations.doctor.checks import CheckContext, Findings, chunks_of_children, one_by_one_on_error
from server.translations import T_

BY_CALENDAR: Final = "not_seen"
"""A flag that the date raises: a job sets it after midnight, so it and its queue row may not be there yet."""


def check_rules(context: CheckContext, findings: Findings) -> None:
    """Report other releases' rules by which children are assessed."""
    for engine, children in _by_other_rules(context):
        findings.add(f"{engine}: {children:,} children")


def _by_other_rules(context: CheckContext) -> Sequence[tuple[str, int]]:
    """Count the children by the rules of other releases that assessed them."""
    query = (
        select(Assessment.engine, func.count(Assessment.child_id.distinct()))
        .join(Child, and_(Child.district == Assessment.district, Child.id == Assessment.child_id))
        .where(Assessment.district == context.district, Assessment.engine != ENGINE)
        .where(Child.wrapped_key.is_not(None))
        .group_by(Assessment.engine)
    )
    with context.reading() as session:
        return [(row[0], row[1]) for row in session.execute(query)]


def check_assessments(context: CheckContext, findings: Findings) -> None:
    """Derive everything again and report what that would change, if all is derived by the present rules."""
    if _by_other_rules(context):
        findings.remark = T_("not compared: another release's rules made some")
        return
    for chunk in chunks_of_children(context, "assessments"):
        findings.looked_at += len(chunk)
        with context.reading() as session:
            for problem in one_by_one_on_error(chunk, partial(_differences, context, session)):
                findings.add(problem)


def _differences(context: CheckContext, session: Session, ids: list[str]) -> list[str]:
    c = table(Child).c
    readable = select(c.id).where(c.district == context.district, among(c.id), c.wrapped_key.is_not(None))
    present = list(session.connection().execute(readable, {"among": ids}).scalars())
    writes = _RecordedWrites()
    derive(session, context.hub, present, context.now, writes)
    due_by_date = {row["child_id"] for _, row in writes.rows if row.get("rule") == BY_CALENDAR}
    queue = table(Attention).name
    return [
        f"{name} {row['child_id']}/{row.get('rule') or row.get('measured_on') or ''}"
        for name, row in writes.rows
        if row.get("rule") != BY_CALENDAR and not (name == queue and row["child_id"] in due_by_date)
    ]


class _RecordedWrites(Writes):
    """Keeps the rows that would be written, with the table's name, and writes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[str, Mapping[str, Any]]] = []

    def insert(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        self.rows += [(table.name, row) for row in rows]

    def upsert(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        self.insert(table, rows)

    def remove(self, table: Table, keys: Sequence[dict[str, Any]]) -> None:
        self.insert(table, keys)
