"""Nightly backups in the operator's directory: file names hold the time; the newest few are kept.

Only files with such a name are ever deleted, the oldest first, and none before a newer one is complete and on disk.
"""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from server.backup.create import Made, backup
from server.backup.refusals import BackupRefused
from server.context import AppContext
from server.operations.trial_restore import Proof, prove
from server.translations import T_

NAME: Final = re.compile(r"posyandu-\d{2}\.\d{2}-\d{8}T\d{6}Z\.backup")


def back_up_nightly(hub: AppContext, *, actor: str, now: datetime) -> tuple[Made, int]:
    """Make a backup, then delete the oldest beyond the number to keep; return it and how many were deleted.

    Raises
    ------
    BackupRefused, OSError
        As `backup`; nothing was deleted.
    """
    directory = _directory(hub)
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    file = directory / f"posyandu-{hub.district}-{stamp}.backup"
    made = backup(hub, file, force=False, now=now, progress=_silent, actor=actor)
    too_many = _kept(directory, hub.district)[hub.settings.backup_keep :]
    for old in too_many:
        old.unlink()
    return made, len(too_many)


def prove_newest(hub: AppContext, *, actor: str, now: datetime) -> Proof:
    """Prove the newest backup by a trial restore.

    Raises
    ------
    BackupRefused
        There is none, or it cannot be restored.
    """
    directory = _directory(hub)
    kept = _kept(directory, hub.district)
    if not kept:
        raise BackupRefused(
            T_("there is no backup in {directory} yet: let 'serve' run for a night").format(
                directory=directory
            ),
        )
    return prove(hub.settings, kept[0], plain=False, actor=actor, now=now, progress=_silent)


def _directory(hub: AppContext) -> Path:
    """Return the directory. It is never created: if a disk is not mounted, backups would land on the wrong one."""
    directory = hub.settings.backup_dir
    if directory is None or not directory.is_dir():
        raise BackupRefused(
            T_("there is no directory {directory} for backups: make or mount it first").format(
                directory=directory
            ),
        )
    return directory


def _kept(directory: Path, district: str) -> list[Path]:
    """Return the nightly backups of this district, the newest first."""
    mine = directory.glob(f"posyandu-{district}-*.backup")
    return sorted((file for file in mine if NAME.fullmatch(file.name)), reverse=True)


def _silent(_what: str, _done: int, _total: int) -> None:
    """No progress is shown in a job."""
