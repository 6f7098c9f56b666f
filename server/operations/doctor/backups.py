"""Backups: when the last was made, and when one was last proven by a trial restore."""

from datetime import UTC

from server.backup import status
from server.operations.doctor.checks import CheckContext, Findings
from server.operations.doctor.disk import is_writable
from server.translations import T_


def check_backups(context: CheckContext, findings: Findings) -> None:
    """Check in the log when the last backup was made; for a new or restored database time counts from then."""
    findings.looked_at = 1
    settings = context.hub.settings
    with context.reading() as session:
        kept = status.backups(session, context.hub, context.now)
    if kept.is_late:
        newest = "none" if kept.last is None else kept.last.astimezone(UTC).isoformat(timespec="minutes")
        findings.add(f"newest: {newest}")
    for failure in kept.failures:
        findings.add(failure.said)
    if settings.backup_dir is None:
        return
    if not (settings.backup_dir.is_dir() and is_writable(settings.backup_dir)):
        findings.add(f"{settings.backup_dir}: not writable")
    else:
        count = len(list(settings.backup_dir.glob("*.backup")))
        findings.remark = T_("{count} in {backup_dir}").format(count=count, backup_dir=settings.backup_dir)


def check_proof(context: CheckContext, findings: Findings) -> None:
    """Check in the log when a trial restore last proved a backup."""
    findings.looked_at = 1
    with context.reading() as session:
        kept = status.proofs(session, context.hub, context.now)
    last = "" if kept.last is None else kept.last.astimezone(UTC).isoformat(timespec="minutes")
    if kept.is_late:
        findings.add(f"last: {last or 'never'}")
    findings.remark = T_("last {last}").format(last=last) if last else T_("never yet")
    for failure in kept.failures:
        findings.add(failure.said)
