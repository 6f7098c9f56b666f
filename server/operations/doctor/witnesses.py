"""The witnesses of the log: who is silent, who has seen another log; and logs witnessed here that contradict themselves."""

from server.audit import cosigning, witnesses
from server.operations.doctor.checks import CheckContext, Findings
from server.translations import T_


def check_witnesses(context: CheckContext, findings: Findings) -> None:
    """Check that each witness has cosigned lately, and that nobody has seen another log than there is."""
    with context.reading() as session:
        vouched = witnesses.vouches(session, context.district, context.now)
        watched = cosigning.watched(session, context.district)
    findings.looked_at = len(vouched)
    if not vouched:
        findings.remark = T_(
            "nobody outside would notice if the log were turned back: posyandu-sync witness add"
        )
    for one in vouched:
        failure = one.witness.failure
        if one.is_silent or failure in witnesses.ALARMING:
            last = f"up to checkpoint {one.checkpoint}" if one.checkpoint else "nothing yet"
            findings.add(f"{one.witness.name}: {failure or 'silent'}, {last}")
    for tree in (tree for log in watched for tree in log.trees):
        if tree.conflict_at is not None:
            findings.add(f"{tree.origin}: forked")
