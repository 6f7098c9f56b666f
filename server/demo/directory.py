"""Where a demo may be made. Hides the marker and what it proves.

A directory is emptied only if its marker names the installation in its database, and only of files of ours. So a demo that
was overwritten by a restore, or a copied marker, leaves its directory protected.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import orjson

from server.config import Settings

DISTRICT: Final = "64.02"
MARKER: Final = "demo.json"
MADE_BY: Final = "posyandu-sync demo"
OURS: Final = (
    "posyandu.db",
    "posyandu.db-wal",
    "posyandu.db-shm",
    "posyandu.db.write-lock",
    "keys.json",
    MARKER,  # last, so that an interrupted removal can be continued
)


class NotADemo(Exception):
    """A demo may not be made at this place. The text names it and the remedy."""


@contextmanager
def room_for_demo(settings: Settings) -> Iterator[None]:
    """Remove an earlier demo and lock the directory while the new one is made; refuse before changing anything.

    Raises
    ------
    NotADemo
    """
    place = settings.data_dir
    _refuse_elsewhere(settings)
    if place.exists() and not place.is_dir():
        raise NotADemo(f"{place} is a file: name a directory with --data")
    if place.exists() and any(place.iterdir()) and not is_demo(place):
        raise NotADemo(
            f"{place} was not made by 'demo', or was put to another use since, and is left as it is:"
            " name another directory with --data, or remove it yourself"
        )
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _lock(place):
        place.chmod(0o700)  # an earlier demo's was open to all
        for name in OURS:
            (place / name).unlink(missing_ok=True)
        mark(settings, None)
        yield


def _refuse_elsewhere(settings: Settings) -> None:
    if settings.district != DISTRICT:
        raise NotADemo(f"the demo shows Kutai Kartanegara ({DISTRICT}): unset POSYANDU_DISTRICT")
    embedded = Settings.for_data(settings.data_dir)
    if (settings.database_url, settings.key_file) != (embedded.database_url, embedded.key_file):
        raise NotADemo(
            f"a demo keeps everything in one directory, here {settings.data_dir}:"
            " unset DATABASE_URL and POSYANDU_KEY_FILE"
        )


@contextmanager
def _lock(place: Path) -> Iterator[None]:
    """Hold the lock that a scheduler holds wherever a server runs, and so does another demo."""
    descriptor = os.open(place / "scheduler.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise NotADemo(
                f"a server is running on {place}: stop it first, or name another directory with --data"
            ) from error
        yield
    finally:
        os.close(descriptor)


def is_demo(place: Path) -> bool:
    """Return whether the marker is ours and names the installation next to it, if there is one."""
    try:
        marker = orjson.loads((place / MARKER).read_bytes())
        if marker["made_by"] != MADE_BY:
            return False
        database = place / "posyandu.db"
        return not database.exists() or incarnation_in(database) == marker["incarnation"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def incarnation_in(database: Path) -> str | None:
    """Read an installation's incarnation without our schema (the demo may be of another release); None if it has none.

    Nothing is written, not even SQLite's side files: a database without a write-ahead log is opened as immutable.
    """
    log = database.with_name(f"{database.name}-wal")
    how = "mode=ro" if log.exists() else "immutable=1"
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?{how}", uri=True)) as connection:
            row = connection.execute("SELECT incarnation FROM installation").fetchone()
    except sqlite3.Error:
        return None
    return str(row[0]) if row else None


def mark(settings: Settings, incarnation: str | None) -> None:
    """Write the marker that allows a later demo to replace this one."""
    note = "Data contoh; 'posyandu-sync demo' menggantinya. Example data; 'posyandu-sync demo' replaces it."
    marker = {"made_by": MADE_BY, "note": note, "incarnation": incarnation}
    (settings.data_dir / MARKER).write_bytes(orjson.dumps(marker))
