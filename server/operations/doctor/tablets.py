"""Positions in posts' streams, which tablets read by; and closed enrolments without a successor."""

from typing import Any

from sqlalchemy import Table, func, select, union_all
from sqlalchemy.orm import aliased

from server.database.models import Child, Delivery, FollowUp, HealthPost, Measurement, PostExit, Tablet, table
from server.operations.doctor.checks import CheckContext, Findings


def check_streams(context: CheckContext, findings: Findings) -> None:
    """Check that no position occurs twice or lies beyond the stream's end: a tablet's cursor would skip it."""
    with context.reading() as session:
        heads = dict(
            session.execute(
                select(HealthPost.id, HealthPost.head_position).where(HealthPost.district == context.district)
            ).all()
        )
        findings.looked_at = len(heads)
        queries = [
            _positions(context, table(model)) for model in (Child, Measurement, FollowUp, Delivery, PostExit)
        ]
        queries[0] = queries[0].where(Child.state.is_not(None))  # unregistered children are not published
        positions = union_all(*queries).subquery()
        counts = select(positions.c.post_id, positions.c.position, func.count().label("times"))
        twice = counts.group_by(positions.c.post_id, positions.c.position).having(func.count() > 1)
        for row in session.execute(twice):
            findings.add(f"{row.post_id}: position {row.position} {row.times} times")
        ends = select(
            positions.c.post_id,
            func.max(positions.c.position).label("last"),
            func.min(positions.c.position).label("first"),
        ).group_by(positions.c.post_id)
        for row in session.execute(ends):
            head = heads.get(row.post_id, 0)  # of a post that is not there, every position is wrong
            if row.last > head or row.first < 1:
                findings.add(f"{row.post_id}: positions {row.first} to {row.last}, head {head}")


def _positions(context: CheckContext, of: Table) -> Any:
    return select(of.c.post_id, of.c.position).where(of.c.district == context.district)


def check_tablets(context: CheckContext, findings: Findings) -> None:
    """Find enrolments that were closed and that no new enrolment of the device replaces."""
    successor = aliased(Tablet)
    with context.reading() as session:
        mine = Tablet.district == context.district
        findings.looked_at = session.execute(
            select(func.count()).select_from(Tablet).where(mine)
        ).scalar_one()
        abandoned = select(Tablet.id, Tablet.closed_at).where(
            mine,
            Tablet.closed_at.is_not(None),
            Tablet.revoked_at.is_(None),
            ~select(successor.id)
            .where(successor.district == Tablet.district, successor.replaces == Tablet.id)
            .exists(),
        )
        for row in session.execute(abandoned):
            findings.add(f"{row.id}: closed {row.closed_at.isoformat(timespec='minutes')}")
