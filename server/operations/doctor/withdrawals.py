"""The list of what was withdrawn: whether it is there, sound and complete, and whether the database follows it."""

from datetime import timedelta
from pathlib import Path
from typing import Final

from server.backup.reapplying import lacking
from server.backup.refusals import BackupRefused
from server.backup.withdrawals import Decision, Withdrawals, from_log, list_in, read_list
from server.operations.doctor.checks import CheckContext, Findings

GRACE: Final = timedelta(hours=1)
"""How long a decision may be missing from the list: the job brings it up to date every few minutes."""


def check_withdrawals(context: CheckContext, findings: Findings) -> None:
    """Compare the list with the log in both directions; look at the copy with the nightly backups too."""
    settings = context.hub.settings
    with context.reading() as session:
        decided = from_log(session).decisions
        due = [one for one in decided.values() if one.at < context.now - GRACE]
        for directory in dict.fromkeys([settings.data_dir, settings.backup_dir or settings.data_dir]):
            file = list_in(directory, settings.district)
            listed = _read(context, file, findings, is_due=bool(due))
            if listed is None:
                continue
            findings.looked_at = max(findings.looked_at, len(listed.decisions))
            behind = sum(not _holds(listed, one) for one in due)
            if behind:
                findings.add(f"{file}: {behind} decisions missing")
            if directory == settings.data_dir:
                for one in lacking(session, context.district, listed, own=decided):
                    findings.add(
                        f"{one.subject}: {one.kind} {one.at.isoformat(timespec='minutes')}, not in the database"
                    )


def _holds(listed: Withdrawals, decision: Decision) -> bool:
    known = listed.decisions.get(decision.matter)
    return known is not None and known.at >= decision.at


def _read(context: CheckContext, file: Path, findings: Findings, *, is_due: bool) -> Withdrawals | None:
    """Read a list; one that is missing is a finding if there is something to list."""
    if not file.exists():
        if is_due and file.parent.is_dir():
            findings.add(f"{file}: none")
        return None
    try:
        return read_list(file, context.hub.settings.key_file, context.hub.vault)
    except BackupRefused as error:
        findings.add(str(error))
        return None
