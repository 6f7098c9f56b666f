"""Whether backups are made and proven, from the log and the notices, for `doctor` and the pages.

Holds the one rule of when it is too long ago. For a new or restored database time counts from then; a demo needs neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from server import audit
from server.context import AppContext
from server.database.models import AuditEntry, Installation, Notice
from server.demo.directory import is_demo

BACKUP_HOURS: Final = 48
"""The greatest age of the newest backup: one night may be missed."""
PROOF_DAYS: Final = 35
"""The longest time without a proven backup: one Sunday a month, and a few days."""
BACKUP_FAILED, BACKUP_UNPROVEN = "backup-failed", "backup-unproven"
"""Notices that stand until a nightly backup was made, or proven."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The last failure of a nightly backup or proof: when, and its message (which may name a directory of the server)."""

    at: datetime
    said: str


@dataclass(frozen=True, slots=True)
class BackupStatus:
    """State of backups or of their proofs: when the last was, whether that is too long ago, and failures since."""

    last: datetime | None
    is_late: bool
    failures: Sequence[Failure]

    @property
    def is_well(self) -> bool:
        return not self.is_late and not self.failures


def backups(session: Session, hub: AppContext, now: datetime) -> BackupStatus:
    """Return the state of making backups."""
    return _kept(session, hub, "backup.made", BACKUP_FAILED, now - timedelta(hours=BACKUP_HOURS))


def proofs(session: Session, hub: AppContext, now: datetime) -> BackupStatus:
    """Return the state of proving backups."""
    return _kept(session, hub, "backup.proven", BACKUP_UNPROVEN, now - timedelta(days=PROOF_DAYS))


def wanting_since(installation: Installation, last: datetime | None) -> datetime:
    """Return since when something periodic is due: its last time, or else when the database was created."""
    return max(filter(None, [last, made_at(installation.incarnation), installation.created_at]))


def made_at(id_: str) -> datetime | None:
    """Read when a UUIDv7 was made (RFC 9562, 5.7: milliseconds in its first 48 bits)."""
    try:
        return datetime.fromtimestamp((UUID(id_).int >> 80) / 1000, UTC)
    except (ValueError, OverflowError):
        return None


def _kept(session: Session, hub: AppContext, action: str, kind: str, oldest: datetime) -> BackupStatus:
    mine = (AuditEntry.district == hub.district, AuditEntry.stream == audit.OFFICE)
    newest = select(AuditEntry.at).where(*mine, AuditEntry.action == action)
    last = session.scalars(newest.order_by(AuditEntry.number.desc()).limit(1)).first()
    since = wanting_since(session.get_one(Installation, hub.district), last)
    notices = select(Notice.raised_at, Notice.details).where(
        Notice.district == hub.district, Notice.kind == kind
    )
    failures = [Failure(row.raised_at, orjson.loads(row.details)["said"]) for row in session.execute(notices)]
    return BackupStatus(last, since < oldest and not is_demo(hub.settings.data_dir), failures)
