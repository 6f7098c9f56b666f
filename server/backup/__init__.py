"""Backups: one encrypted file with all data of an installation, made while the server runs, and its restore.

Hides the container (`encrypted_file` around `archive`), how a consistent state of a running database is read (`create`),
and how it is replaced while workers go on (`restoration`). `status` says whether backups are made and proven; the trial
restore that proves one is in `operations.trial_restore`.

Keys are never in a backup; without them nothing in it can be read.
"""

from server.backup.archive import MANIFEST, Archive, Manifest
from server.backup.create import Made, backup
from server.backup.refusals import BackupRefused
from server.backup.restoration import Restored, mark_restored, restore, vault_of

__all__ = [
    "MANIFEST",
    "Archive",
    "BackupRefused",
    "Made",
    "Manifest",
    "Restored",
    "backup",
    "mark_restored",
    "restore",
    "vault_of",
]
