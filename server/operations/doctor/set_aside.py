"""Jobs that failed, and posts and children that jobs have set aside because their figures cannot be worked out."""

from typing import Final

from server import isolation
from server.operations.doctor.checks import CheckContext, Findings

_OF: Final = {isolation.ABSENCE: "child", isolation.JOB: "job"}


def check_set_aside(context: CheckContext, findings: Findings) -> None:
    """List what is set aside, with the class of the error and since when."""
    with context.reading() as session:
        found = isolation.set_aside(session, context.hub, limit=None)
    findings.looked_at = len(found)
    for one in found:
        of = _OF.get(one.kind, "post")
        findings.add(f"{one.kind}: {of} {one.subject}, {one.error}, since {one.since:%Y-%m-%d %H:%M}Z")
