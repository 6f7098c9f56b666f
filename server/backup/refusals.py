"""Why a backup or a restore is refused, with the remedy; and the locks that allow one at a time."""

import errno
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
from sqlalchemy.exc import DBAPIError, OperationalError

from server.config import Settings
from server.translations import T_, Text

MAKING, RESTORING = "backup.lock", "restore.lock"
"""Lock files in the data directory: of a backup being made, and of a restore or trial restore."""
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Progress = Callable[[str, int, int], None]
"""Called often with: what is being done, how much of it is done, of how much."""


class BackupRefused(Exception):
    """A backup is not made, or not restored. Nothing was changed; the text gives reason and remedy."""

    def __init__(self, text: Text) -> None:
        super().__init__(text.both())


@contextmanager
def alone(settings: Settings, lock: str) -> Iterator[None]:
    """Hold a lock, or refuse if somebody else holds it."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    path = settings.data_dir / lock
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        lock_or_refuse(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def lock_or_refuse(descriptor: int, path: Path) -> None:
    """Lock an open file for this process, or refuse."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise busy(path) from None


def busy(path: Path) -> BackupRefused:
    """Return the refusal while another process holds the lock."""
    return BackupRefused(
        T_("another backup or restore is using {path}: wait until it is done").format(path=path),
    )


@contextmanager
def driver_errors_as_sqlalchemy() -> Iterator[None]:
    """Raise a driver's errors as SQLAlchemy's, so that callers handle one kind."""
    try:
        yield
    except (sqlite3.Error, psycopg.Error) as error:
        raise OperationalError("backup", None, error) from error


@contextmanager
def refuse_on_full_disk() -> Iterator[None]:
    """Refuse if a disk is full, ours or the database's."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise _no_room(error.strerror) from error
    except DBAPIError as error:
        code = getattr(error.orig, "sqlite_errorcode", None)
        if code not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE) and not isinstance(
            error.orig, psycopg.errors.DiskFull
        ):
            raise
        raise _no_room(str(error.orig).splitlines()[0]) from error


def _no_room(reason: str | None) -> BackupRefused:
    return BackupRefused(
        T_("the disk is full ({reason}): make room, then do it again; nothing has changed").format(
            reason=reason
        ),
    )
