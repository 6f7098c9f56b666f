"""The audit log: its hash chain and its newest checkpoint."""

from datetime import UTC, timedelta
from typing import Final

from server import audit
from server.audit import checkpoints, verification
from server.backup import status
from server.database.models import Installation
from server.operations.doctor.checks import CheckContext, Findings

CHECKPOINT_HOURS: Final = 24
"""A checkpoint is signed every hour, and when the server starts."""
QUICK_TAIL: Final = 100_000
"""Entries since the newest checkpoint that a quick examination recomputes."""


def check_log(context: CheckContext, findings: Findings) -> None:
    """Verify the whole log; in a quick examination, the entries since the newest checkpoint."""
    with context.reading() as session:
        if context.quick:
            tail = verification.verify_tail(session, context.district, QUICK_TAIL)
            findings.looked_at, broken = tail.entries, tail.broken
        else:
            keys = context.hub.vault.checkpoint_keys()
            findings.looked_at, broken = audit.verify(session, context.district, keys=keys)
    for link in broken:
        findings.add(link.words())


def check_checkpoint(context: CheckContext, findings: Findings) -> None:
    """Check the age of the newest checkpoint, and that a key of ours has signed it."""
    with context.reading() as session:
        newest = checkpoints.newest(session, context.district)
        installation = session.get_one(Installation, context.district)
    findings.looked_at = 1
    since = status.wanting_since(installation, newest.at if newest else None)
    if since < context.now - timedelta(hours=CHECKPOINT_HOURS):
        findings.add(since.astimezone(UTC).isoformat(timespec="minutes"))
    keys = context.hub.vault.checkpoint_keys()
    if newest is not None and not checkpoints.is_signed(newest.statement, newest.signatures, keys):
        findings.add(f"{newest.number}: no signature of this key file")
