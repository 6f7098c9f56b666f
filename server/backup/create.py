"""Making a backup of a running database: one consistent state of it, encrypted; the file takes its name only when it is
complete and on disk. Hides how each kind of database gives such a state without blocking writers. SQLite's is first copied
next to the database, with the same rights, and deleted afterwards; nothing else is written unencrypted.
"""

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Final
from zipfile import ZIP_DEFLATED, ZipFile

import psycopg
from psycopg import sql
from sqlalchemy import inspect, select, text
from sqlalchemy.orm import Session

from server import audit
from server.backup import withdrawals
from server.backup.archive import CHUNK_BYTES, FORMAT, MANIFEST, SQLITE_MEMBER, Manifest, kind_of, member_of
from server.backup.encrypted_file import PRODUCT, SealedWriter, part_of
from server.backup.refusals import (
    MAKING,
    BackupRefused,
    Progress,
    alone,
    driver_errors_as_sqlalchemy,
    refuse_on_full_disk,
)
from server.config import Settings
from server.context import AppContext
from server.crypto.vault import Vault
from server.database import migrations
from server.database.engine import Database
from server.database.models import Base, Installation
from server.translations import T_

PAGES_PER_STEP: Final = 2048
COMPRESSION: Final = 1
"""The fastest: encrypted values do not compress, and the rest compresses well enough."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a database holds: the revision of its schema (None: no tables) and the incarnation of each of its districts."""

    revision: str | None
    districts: Mapping[str, str]


Found = tuple[Contents, dict[str, int], dict[str, list[str]]]
"""What a database holds; row counts and columns of each table of ours."""


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was written: its manifest, the key that opens it, and the SHA-256 of the file."""

    manifest: Manifest
    key: str
    digest: str


def backup(
    hub: AppContext, file: Path, *, force: bool, now: datetime, progress: Progress, actor: str = "operator"
) -> Made:
    """Write a backup of a database that may be in use, and log it.

    Parameters
    ----------
    file : the target; until the backup is complete it is called `file`.part
    force : replace an older file of that name

    Raises
    ------
    BackupRefused
        The file exists already, another backup is being made, or a disk is full.
    """
    if file.exists() and not force:
        raise BackupRefused(
            T_("{file} is there already: choose another name, or give --force").format(file=file),
        )
    with refuse_on_full_disk(), alone(hub.settings, MAKING), part_of(file) as part:
        made = pack(hub.database, hub.settings, hub.vault, part, now, progress)
        details = {
            "rows": made.manifest.total_rows,
            "tables": len(made.manifest.rows),
            "bytes": os.fstat(part.fileno()).st_size,
            "key": made.key,
            "digest": made.digest,
        }
        # logged before the file has its name: a backup must not exist without its entry; an entry without a backup may
        with hub.database.transaction() as session:
            audit.append(
                session,
                hub.district,
                audit.OFFICE,
                "backup.made",
                actor=actor,
                now=now,
                details=details,
            )
    withdrawals.keep_or_log(hub, now=now, whole=True, beside=file.parent)
    return made


class _Packing:
    """A zip being written: members are hashed and their lines counted on the way."""

    def __init__(self, file: SealedWriter) -> None:
        self._zip = ZipFile(file, "w", ZIP_DEFLATED, compresslevel=COMPRESSION)
        self.members: dict[str, dict[str, Any]] = {}

    def add(self, name: str, chunks: Iterable[bytes]) -> int:
        """Write a member; return the count of its newlines."""
        sha256, size, lines = hashlib.sha256(), 0, 0
        with self._zip.open(name, "w", force_zip64=True) as member:
            for chunk in chunks:
                member.write(chunk)
                sha256.update(chunk)
                size += len(chunk)
                lines += chunk.count(b"\n")
        self.members[name] = {"sha256": sha256.hexdigest(), "bytes": size}
        return lines

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest and the zip's directory."""
        self._zip.writestr(MANIFEST, json.dumps(asdict(manifest), indent=1))
        self._zip.close()

    def abandon(self) -> None:
        """Close a zip that failed; on a full disk closing may fail too."""
        with suppress(OSError, ValueError):
            self._zip.close()


def pack(
    database: Database, settings: Settings, vault: Vault, part: BinaryIO, now: datetime, progress: Progress
) -> Made:
    """Write the whole container, encrypted, to the disk. The caller holds MAKING."""
    sealed = SealedWriter(part, settings, vault, now)
    packing = _Packing(sealed)
    try:
        with driver_errors_as_sqlalchemy():
            pack_from = _pack_sqlite if settings.is_sqlite else _pack_postgresql
            found = pack_from(database, settings, packing, progress)
        manifest = _manifest(settings, found, packing.members, now)
        packing.finish(manifest)
        sealed.finish()
    except BaseException:
        packing.abandon()
        raise
    part.flush()
    os.fsync(part.fileno())
    return Made(manifest, sealed.key, sealed.digest)


def _manifest(
    settings: Settings, found: Found, members: dict[str, dict[str, Any]], now: datetime
) -> Manifest:
    contents, rows, columns = found
    if contents.revision is None or settings.district not in contents.districts:
        raise BackupRefused(
            T_("district {district} is not installed here").format(district=settings.district),
        )
    return Manifest(
        format=FORMAT,
        product=PRODUCT,
        revision=contents.revision,
        kind=kind_of(settings),
        district=settings.district,
        incarnation=contents.districts[settings.district],
        districts=dict(contents.districts),
        made_at=now.astimezone(UTC).isoformat(timespec="seconds"),
        rows=rows,
        columns=columns,
        members=members,
    )


def _pack_sqlite(_database: Database, settings: Settings, packing: _Packing, progress: Progress) -> Found:
    """Copy SQLite's file page by page from one snapshot, which blocks no writer, and pack the copy."""
    copy = settings.data_dir / "backing-up.db"
    copy.unlink(missing_ok=True)  # left by a killed run
    try:
        os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        assert settings.sqlite_file is not None  # noqa: S101  # checked by the caller
        _copy_snapshot(settings.sqlite_file, copy, progress)
        with closing(sqlite3.connect(copy)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")  # a single file, without -wal and -shm
            found = look_into_sqlite(connection)
        size = copy.stat().st_size
        packing.add(SQLITE_MEMBER, _read(copy, lambda done: progress("compressing", done, size)))
        return found
    finally:
        for ending in ("", "-wal", "-shm", "-journal"):
            Path(f"{copy}{ending}").unlink(missing_ok=True)


def _copy_snapshot(live: Path, copy: Path, progress: Progress) -> None:
    with (
        closing(sqlite3.connect(live, timeout=30, isolation_level=None)) as source,
        closing(sqlite3.connect(copy, isolation_level=None)) as target,
    ):
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the snapshot begins here
        target.execute("PRAGMA journal_mode = OFF")
        target.execute("PRAGMA synchronous = OFF")  # a temporary copy
        source.backup(target, pages=PAGES_PER_STEP, progress=steps("copying", progress))


def steps(what: str, progress: Progress) -> Callable[[int, int, int], None]:
    return lambda _status, remaining, total: progress(what, total - remaining, total)


def look_into_sqlite(connection: sqlite3.Connection) -> Found:
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    rows, columns = {}, {}
    for name in _ordered(there):
        columns[name] = [row[1] for row in connection.execute(f'PRAGMA table_info("{name}")')]
        rows[name] = connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608  # our tables
    revision = _first(connection, "SELECT version_num FROM alembic_version", "alembic_version" in there)
    wanted = "SELECT district, incarnation FROM installation"
    districts = dict(connection.execute(wanted)) if "installation" in there else {}
    return Contents(revision, districts), rows, columns


def _first(connection: sqlite3.Connection, query: str, there: bool) -> str | None:
    row = connection.execute(query).fetchone() if there else None
    return row[0] if row else None


def _ordered(there: Iterable[str]) -> list[str]:
    """Sort those of some tables that are ours, by today's name or a former one: each comes after those that it refers to."""
    known = chain.from_iterable(
        (one.name, migrations.FORMER_NAMES.get(one.name, one.name)) for one in Base.metadata.sorted_tables
    )
    names = set(there)
    return [name for name in dict.fromkeys(known) if name in names]


def _read(path: Path, tell: Callable[[int], None]) -> Iterator[bytes]:
    done = 0
    with path.open("rb") as reading:
        while chunk := reading.read(CHUNK_BYTES):
            yield chunk
            done += len(chunk)
            tell(done)


def _pack_postgresql(database: Database, _settings: Settings, packing: _Packing, progress: Progress) -> Found:
    """Copy every table as text, all in one snapshot: the text form is the same in all releases of PostgreSQL."""
    rows, columns = {}, {}
    with database.reading() as session:
        inspector = inspect(session.connection())
        names = _ordered(inspector.get_table_names())
        contents = contents_of(session, inspector.get_table_names())
        driver = driver_of(session)
        for done, name in enumerate(names):
            progress(f"copying {name}", done, len(names))
            columns[name] = [column["name"] for column in inspector.get_columns(name)]
            rows[name] = packing.add(member_of(name), _copy_out_chunks(driver, name, columns[name]))
    return contents, rows, columns


def driver_of(session: Session) -> "psycopg.Connection[Any]":
    """Return the driver's connection, in the session's own transaction."""
    connection: psycopg.Connection[Any] = session.connection().connection.dbapi_connection  # type: ignore[assignment]
    return connection


def copy_of(name: str, columns: Iterable[str], direction: str) -> sql.Composed:
    listed = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("COPY {} ({}) " + direction).format(sql.Identifier(name), listed)


def _copy_out_chunks(driver: "psycopg.Connection[Any]", name: str, columns: Iterable[str]) -> Iterator[bytes]:
    with driver.cursor() as cursor, cursor.copy(copy_of(name, columns, "TO STDOUT")) as copy:
        for chunk in copy:
            yield bytes(chunk)


def contents_of(session: Session, tables: Iterable[str]) -> Contents:
    there = set(tables)
    revision = None
    if "alembic_version" in there:
        revision = session.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if "installation" not in there:
        return Contents(revision, {})
    found = session.execute(select(Installation.district, Installation.incarnation)).all()
    return Contents(revision, {row.district: row.incarnation for row in found})
