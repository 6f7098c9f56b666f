"""Posts and children that jobs have set aside because their figures cannot be worked out."""

from server import isolation
from server.operations.doctor.checks import CheckContext, Findings


def check_set_aside(context: CheckContext, findings: Findings) -> None:
    """List what is set aside, with the class of the error and since when."""
    with context.reading() as session:
        found = isolation.set_aside(session, context.hub, limit=None)
    findings.looked_at = len(found)
    for one in found:
        of = "child" if one.kind == isolation.ABSENCE else "post"
        findings.add(f"{one.kind}: {of} {one.subject}, {one.error}, since {one.since:%Y-%m-%d %H:%M}Z")
