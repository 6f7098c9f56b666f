"""What is derived, against what it is derived from: states, assessments, flags, queue, figures, reports."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import and_, func, select

from server.children.assessment import ENGINE
from server.database.models import Assessment, Child
from server.operations import recomputation
from server.operations.doctor.checks import SAMPLE, CheckContext, Findings
from server.translations import T_

_PARTS: Final = {part.name: part for part in recomputation.PARTS}

_UNCOUNTED: Final = frozenset({"strays"})


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


def check_states(context: CheckContext, findings: Findings) -> None:
    """Fold the ledger again, compare it with what is stored, and recompute which linked children are one person."""
    _compare(context, findings, "records")


def check_assessments(context: CheckContext, findings: Findings) -> None:
    """Derive everything of the children again, if all is derived by the present rules."""
    if _by_other_rules(context):
        findings.remark = T_("not compared: another release's rules made some")
        return
    _compare(context, findings, "assessments", "strays")


def check_figures(context: CheckContext, findings: Findings) -> None:
    """Count the posts again, and add up the areas."""
    _compare(context, findings, "figures", "areas")


def check_reports(context: CheckContext, findings: Findings) -> None:
    """Compute again what supervisors are told of posts."""
    _compare(context, findings, "reports")


def _compare(context: CheckContext, findings: Findings, *names: str) -> None:
    for name in names:
        looked: list[int] = []
        most = SAMPLE if context.quick else None
        for one in recomputation.differences(
            *(context.hub, _PARTS[name], context.now),
            most=most,
            progress=context.progress,
            looked_at=looked.append,
        ):
            findings.add(one.line())
        if name not in _UNCOUNTED:
            findings.looked_at += sum(looked)
