"""One file that holds all data of an installation, made from a running server, sealed, and the way back.

Imports doctor and what is below it. Hides the container (`sealed` around `archive`), how a moment of a database at work is
had (`making`), how it is replaced beneath workers that go on (`restoring`), how a file is proven by restoring it aside
(`proving`), and which are made and kept by themselves (`keeping`).

Keys are never in a backup, and without them nothing in it can be read.
"""

from server.backup.archive import MANIFEST, Archive, Manifest
from server.backup.keeping import back_up_nightly, prove_newest
from server.backup.making import Made, backup
from server.backup.proving import Proof, prove
from server.backup.refusals import BackupRefused
from server.backup.restoring import Restored, mark_restored, restore, vault_of

__all__ = [
    "MANIFEST",
    "Archive",
    "BackupRefused",
    "Made",
    "Manifest",
    "Proof",
    "Restored",
    "back_up_nightly",
    "backup",
    "mark_restored",
    "prove",
    "prove_newest",
    "restore",
    "vault_of",
]
