"""One file that holds all data of an installation, made from a running server, and the way back.

Hides the container (a zip with `manifest.json` and the data: SQLite's own file, or PostgreSQL's COPY text, one member a
table), and how a database is replaced beneath workers that go on.

Rules kept here:
- A backup is one moment of the database, and has its name only when it is whole and on the disk.
- Before a restore touches anything, every byte of the file was read and fits its checksum.
- A restore is one transaction, which writers wait for: a reader sees all of the old or all of the new, and a kill leaves
  one of the two. What was there is kept in a backup of its own.
- Whoever puts older data back gives the database a new incarnation in that same transaction, so that every tablet notices;
  sessions that ended meanwhile stay ended.
- Keys are never in a backup: what is personal in it is sealed, and stays so for whoever finds the file.
"""

import fcntl
import hashlib
import json
import os
import shutil
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO, Final
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

import psycopg
from alembic import command
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import create_engine, delete, inspect, make_url, select, text, update
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError
from sqlalchemy.orm import Session

from server import audit, migrations
from server.config import Settings
from server.db import Database, make_private
from server.hub import Hub
from server.keyfile import load_keys
from server.models import Base, Child, Installation, SignIn, table
from server.places import new_id
from server.security import KeyUnusable, Vault

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
SQLITE_MEMBER: Final = "posyandu.db"
CHUNK_BYTES: Final = 1 << 20
PAGES_PER_STEP: Final = 2048
COMPRESSION: Final = 1
"""The quickest: what is sealed does not shrink, and the rest shrinks well enough."""
SCRATCH: Final = "posyandu_restoring"
"""A schema of PostgreSQL in which an older backup is brought up to date, out of everybody's way."""
LOCK_MS, LOCK_SECONDS = 3000, 180
"""How long one try for PostgreSQL's locks lasts (two who wait for one another get out of it so), and all tries."""

Progress = Callable[[str, int, int], None]
"""Told often: what is being done, how much of it is done, of how much in all."""


class BackupRefused(Exception):
    """A backup that is not made, or not put back. Nothing was changed; the text says why and what to do."""

    def __init__(self, indonesian: str, english: str) -> None:
        super().__init__(f"{indonesian} / {english}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself.

    Parameters
    ----------
    format : of the container; a newer one is refused
    product, revision : who made it, and the revision of its schema
    kind : "sqlite" or "postgresql"
    district, incarnation : of the installation that made it
    districts : every district in the data, with its incarnation
    made_at : ISO moment, UTC
    rows, columns : by table, in an order in which rows can be put back
    members : size (`bytes`) and `sha256` of every other member of the zip
    """

    format: int
    product: str
    revision: str
    kind: str
    district: str
    incarnation: str
    districts: dict[str, str]
    made_at: str
    rows: dict[str, int]
    columns: dict[str, list[str]]
    members: dict[str, dict[str, Any]]

    @property
    def total_rows(self) -> int:
        return sum(self.rows.values())

    @property
    def total_bytes(self) -> int:
        """Size of the data before it was compressed."""
        return sum(member["bytes"] for member in self.members.values())


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did. `kept` is the backup of what was there before; with `keys_missing` no name can be read yet."""

    manifest: Manifest
    incarnation: str
    kept: Path | None
    keys_missing: bool


@dataclass(frozen=True, slots=True)
class Contents:
    """What a database holds: the revision of its schema (None: no tables) and the incarnation of each of its districts."""

    revision: str | None
    districts: Mapping[str, str]


Found = tuple[Contents, dict[str, int], dict[str, list[str]]]
"""What a database holds, and the count of rows and the columns of each table of ours."""


# -- making ---------------------------------------------------------------------------------------


def backup(hub: Hub, file: Path, *, force: bool, now: datetime, progress: Progress) -> Manifest:
    """Write a backup of a database that may be in use, and log it.

    Parameters
    ----------
    file : where to; it takes its name only when it is whole (until then it is `file`.part)
    force : replace an older file of that name

    Raises
    ------
    BackupRefused
        The file is there already, or another backup is being written to it.
    """
    if file.exists() and not force:
        raise BackupRefused(
            f"{file} sudah ada: pilih nama lain, atau pakai --force",
            f"{file} is there already: choose another name, or give --force",
        )
    with _part_of(file) as part:
        manifest = _pack(hub.database, hub.settings, part, file, now, progress)
        details = {
            "rows": manifest.total_rows,
            "tables": len(manifest.rows),
            "bytes": os.fstat(part.fileno()).st_size,
        }
        # logged before it has its name: an unlogged copy must not exist, a log of one that was not finished may
        with hub.database.transaction() as session:
            audit.append(
                session,
                hub.district,
                audit.OFFICE,
                "backup.made",
                actor="operator",
                now=now,
                details=details,
            )
    return manifest


@contextmanager
def _part_of(file: Path) -> Iterator[BinaryIO]:
    """Give a file to write, which takes its name when the block is left well; what a killed run left is written over."""
    part = file.with_name(f"{file.name}.part")
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as writing:
        _lock_or_refuse(descriptor, part)
        try:
            if os.fstat(descriptor).st_ino != part.stat().st_ino:  # it got its name while we opened it
                raise _busy(part)
            writing.truncate()
            yield writing
            writing.flush()
            os.fsync(descriptor)
            part.replace(file)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    _sync_directory(file.parent)


def _lock_or_refuse(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _busy(path) from None


def _busy(path: Path) -> BackupRefused:
    return BackupRefused(
        f"pencadangan atau pemulihan lain sedang memakai {path}: tunggu sampai selesai",
        f"another backup or restore is using {path}: wait until it is done",
    )


def _sync_directory(directory: Path) -> None:
    """Bring a new name to the disk; some file systems of memory sticks cannot be asked to."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class _Packing:
    """A zip being written: members are digested and their lines counted as they go in."""

    def __init__(self, file: BinaryIO) -> None:
        self._zip = ZipFile(file, "w", ZIP_DEFLATED, compresslevel=COMPRESSION)
        self.members: dict[str, dict[str, Any]] = {}

    def add(self, name: str, chunks: Iterable[bytes]) -> int:
        """Write a member; give the count of its newlines."""
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
        """Write the manifest and the zip's own directory."""
        self._zip.writestr(MANIFEST, json.dumps(asdict(manifest), indent=1))
        self._zip.close()

    def abandon(self) -> None:
        """Let go of a zip that came to nothing; it may not even be closed well on a disk that is full."""
        with suppress(OSError, ValueError):
            self._zip.close()


def _pack(
    database: Database, settings: Settings, part: BinaryIO, file: Path, now: datetime, progress: Progress
) -> Manifest:
    """Write the whole container, which will be called `file`, down to the disk."""
    packing = _Packing(part)
    try:
        with _told_as_ours():
            pack = _pack_sqlite if settings.is_sqlite else _pack_postgresql
            found = pack(database, settings, packing, file, progress)
        manifest = _manifest(settings, found, packing.members, now)
        packing.finish(manifest)
    except BaseException:
        packing.abandon()
        raise
    part.flush()
    os.fsync(part.fileno())
    return manifest


def _manifest(
    settings: Settings, found: Found, members: dict[str, dict[str, Any]], now: datetime
) -> Manifest:
    contents, rows, columns = found
    if contents.revision is None or settings.district not in contents.districts:
        raise BackupRefused(
            f"wilayah {settings.district} belum terpasang di sini",
            f"district {settings.district} is not installed here",
        )
    return Manifest(
        format=FORMAT,
        product=f"posyandu-sync {version('posyandu-sync')}",
        revision=contents.revision,
        kind=_kind(settings),
        district=settings.district,
        incarnation=contents.districts[settings.district],
        districts=dict(contents.districts),
        made_at=now.astimezone(UTC).isoformat(timespec="seconds"),
        rows=rows,
        columns=columns,
        members=members,
    )


def _kind(settings: Settings) -> str:
    return "sqlite" if settings.is_sqlite else "postgresql"


@contextmanager
def _told_as_ours() -> Iterator[None]:
    """Raise what a driver says, used without SQLAlchemy, as SQLAlchemy would: one kind of error for the caller."""
    try:
        yield
    except (sqlite3.Error, psycopg.Error) as error:
        raise OperationalError("backup", None, error) from error


def _pack_sqlite(
    _database: Database, settings: Settings, packing: _Packing, file: Path, progress: Progress
) -> Found:
    """Copy SQLite's file page by page from one snapshot, which stops no writer, and pack the copy."""
    copy = file.with_name(f"{file.name}.part.db")
    copy.unlink(missing_ok=True)
    try:
        os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        assert settings.sqlite_file is not None  # noqa: S101  # the caller asked
        _copy_snapshot(settings.sqlite_file, copy, progress)
        with closing(sqlite3.connect(copy)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")  # one file by itself, without -wal and -shm
            found = _look_into_sqlite(connection)
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
        source.execute(
            "SELECT count(*) FROM sqlite_master"
        ).fetchone()  # from here on it sees this one moment
        target.execute("PRAGMA journal_mode = OFF")
        target.execute("PRAGMA synchronous = OFF")  # it is read once, by us, and gone
        source.backup(target, pages=PAGES_PER_STEP, progress=_steps("copying", progress))


def _steps(what: str, progress: Progress) -> Callable[[int, int, int], None]:
    return lambda _status, remaining, total: progress(what, total - remaining, total)


def _look_into_sqlite(connection: sqlite3.Connection) -> Found:
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
    """Order those of some tables that are ours so that each comes after those that it refers to."""
    names = set(there)
    return [one.name for one in Base.metadata.sorted_tables if one.name in names]


def _read(path: Path, tell: Callable[[int], None]) -> Iterator[bytes]:
    done = 0
    with path.open("rb") as reading:
        while chunk := reading.read(CHUNK_BYTES):
            yield chunk
            done += len(chunk)
            tell(done)


def _pack_postgresql(
    database: Database, _settings: Settings, packing: _Packing, _file: Path, progress: Progress
) -> Found:
    """Copy every table as text, all in one snapshot: text is the same from one release of PostgreSQL to the next."""
    rows, columns = {}, {}
    with database.reading() as session:
        inspector = inspect(session.connection())
        names = _ordered(inspector.get_table_names())
        contents = _contents(session, inspector.get_table_names())
        driver = _driver(session)
        for done, name in enumerate(names):
            progress(f"copying {name}", done, len(names))
            columns[name] = [column["name"] for column in inspector.get_columns(name)]
            rows[name] = packing.add(_member(name), _copied_out(driver, name, columns[name]))
    return contents, rows, columns


def _member(name: str) -> str:
    return f"tables/{name}.copy"


def _driver(session: Session) -> "psycopg.Connection[Any]":
    """Give the driver's connection, in the session's own transaction."""
    connection: psycopg.Connection[Any] = session.connection().connection.dbapi_connection  # type: ignore[assignment]
    return connection


def _copy(name: str, columns: Iterable[str], direction: str) -> sql.Composed:
    listed = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("COPY {} ({}) " + direction).format(sql.Identifier(name), listed)


def _copied_out(driver: "psycopg.Connection[Any]", name: str, columns: Iterable[str]) -> Iterator[bytes]:
    with driver.cursor() as cursor, cursor.copy(_copy(name, columns, "TO STDOUT")) as copy:
        for chunk in copy:
            yield bytes(chunk)


# -- looking at a file ----------------------------------------------------------------------------


class Archive:
    """A backup file that is open for reading."""

    def __init__(self, file: Path, zipped: ZipFile, manifest: Manifest) -> None:
        self._file, self._zip, self.manifest = file, zipped, manifest

    @classmethod
    @contextmanager
    def open(cls, file: Path) -> Iterator["Archive"]:
        """Open a backup and read its manifest.

        Raises
        ------
        BackupRefused
            It is no backup of ours, is cut short or altered, or is of a newer release.
        """
        with _damage_told(file), ZipFile(file) as zipped:
            yield cls(file, zipped, _manifest_of(file, zipped))

    def verify(self, progress: Progress) -> None:
        """Read every member and compare size, checksum and count of rows with the manifest; BackupRefused if any differs."""
        listed, wanted = set(self._zip.namelist()), {MANIFEST, *self.manifest.members}
        if listed != wanted or len(self._zip.namelist()) != len(listed):
            raise _altered(self._file, "member list")
        done, total = 0, self.manifest.total_bytes
        for name in self.manifest.members:
            lines = 0
            for chunk in self.chunks(name):
                lines += chunk.count(b"\n")
                done += len(chunk)
                progress("checking", done, total)
            if self.manifest.kind == "postgresql" and lines != self.manifest.rows[_table_of(name)]:
                raise _altered(self._file, name)

    def chunks(self, name: str) -> Iterator[bytes]:
        """Give a member piece by piece; after the last one its checksum was compared."""
        sha256, size, said = hashlib.sha256(), 0, self.manifest.members[name]
        with _damage_told(self._file), self._zip.open(name) as member:
            while chunk := member.read(CHUNK_BYTES):
                sha256.update(chunk)
                size += len(chunk)
                yield chunk
        if size != said["bytes"] or sha256.hexdigest() != said["sha256"]:
            raise _altered(self._file, name)

    def extract(self, name: str, target: Path, progress: Progress) -> None:
        """Write a member to a file."""
        done, total = 0, int(self.manifest.members[name]["bytes"])
        with target.open("xb") as writing:
            for chunk in self.chunks(name):
                writing.write(chunk)
                done += len(chunk)
                progress("unpacking", done, total)


def _table_of(member: str) -> str:
    return member.removeprefix("tables/").removesuffix(".copy")


@contextmanager
def _damage_told(file: Path) -> Iterator[None]:
    try:
        yield
    except (BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise BackupRefused(
            f"{file} bukan cadangan yang utuh ({error}): ambil salinan yang lain",
            f"{file} is not a whole backup ({error}): take another copy",
        ) from error


def _altered(file: Path, what: str) -> BackupRefused:
    return BackupRefused(
        f"{file} rusak atau diubah ({what} tidak cocok dengan checksum-nya): ambil salinan yang lain",
        f"{file} is damaged or was altered ({what} does not fit its checksum): take another copy",
    )


def _manifest_of(file: Path, zipped: ZipFile) -> Manifest:
    try:
        said = json.loads(zipped.read(MANIFEST))
        if isinstance(said["format"], int) and said["format"] > FORMAT:
            raise _newer(file, said)
        manifest = Manifest(**said)
        tables = {_member(name) for name in manifest.rows}
        whole = {SQLITE_MEMBER} if manifest.kind == "sqlite" else tables
        if set(manifest.members) != whole or manifest.columns.keys() != manifest.rows.keys():
            raise _altered(file, MANIFEST)
        _ = manifest.total_rows, manifest.total_bytes, manifest.districts[manifest.district]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BackupRefused(
            f"{file} bukan cadangan posyandu-sync",
            f"{file} is not a backup of posyandu-sync",
        ) from error
    return manifest


def _newer(file: Path, said: Mapping[str, Any]) -> BackupRefused:
    by = said.get("product", "posyandu-sync")
    return BackupRefused(
        f"{file} dibuat oleh rilis yang lebih baru ({by}): pasang rilis itu dulu",
        f"{file} was made by a newer release ({by}): install that one first",
    )


def _refuse_unfit(settings: Settings, file: Path, manifest: Manifest) -> None:
    """Refuse what is whole but does not belong here."""
    if settings.district not in manifest.districts:
        raise BackupRefused(
            f"{file} adalah cadangan wilayah {manifest.district}, sedangkan di sini {settings.district}",
            f"{file} is a backup of district {manifest.district}, and this is {settings.district}",
        )
    if manifest.kind != _kind(settings):
        raise BackupRefused(
            f"{file} adalah cadangan {manifest.kind}, sedangkan di sini {_kind(settings)}: pulihkan ke jenis yang sama",
            f"{file} is a backup of {manifest.kind}, and this is {_kind(settings)}: restore it to the same kind",
        )
    if manifest.revision not in _known_revisions():
        raise _newer(file, asdict(manifest))


def _known_revisions() -> set[str]:
    return {script.revision for script in ScriptDirectory(str(migrations.HERE)).walk_revisions()}


# -- putting back ---------------------------------------------------------------------------------


def restore(
    settings: Settings,
    file: Path,
    *,
    now: datetime,
    agreed: Callable[[Manifest], bool],
    progress: Progress,
) -> Restored:
    """Put a backup in the place of the data that are here, if any; servers may be at work.

    Parameters
    ----------
    agreed : asked, once the file is known to be good, whether data that are here are to be replaced

    Raises
    ------
    BackupRefused
        The file is damaged, altered, of another district, kind or newer release; or the keys that are here do not open it;
        or nobody agreed. Nothing was changed.
    """
    with _alone(settings), Archive.open(file) as archive:
        archive.verify(progress)
        _refuse_unfit(settings, file, archive.manifest)
        here = contents(settings)
        _refuse_here(here, archive.manifest)
        if here.districts and not agreed(archive.manifest):
            raise BackupRefused(
                "tidak ada yang dipulihkan: jawab ya, atau pakai --yes",
                "nothing was restored: answer yes, or give --yes",
            )
        put_back = _restore_sqlite if settings.is_sqlite else _restore_postgresql
        return put_back(settings, archive, here, now, progress)


def mark_restored(settings: Settings, *, now: datetime) -> str:
    """Give a database that was put back by other means (a snapshot, PostgreSQL's own recovery) its new incarnation.

    Raises
    ------
    BackupRefused
        The district is not installed here.
    """
    here = contents(settings)
    if settings.district not in here.districts:
        raise BackupRefused(
            f"wilayah {settings.district} belum terpasang di sini",
            f"district {settings.district} is not installed here",
        )
    _refuse_here(here, None)
    migrations.migrate(settings.database_url)
    with _database(settings.database_url) as database, database.transaction() as session:
        return _renew(session, settings, now, {"by_other_means": True})


def contents(settings: Settings) -> Contents:
    """Say what a database holds; nothing if SQLite's file is not there.

    Raises
    ------
    BackupRefused
        SQLite's file is there but damaged: it must be put aside first, with the server stopped.
    """
    file = settings.sqlite_file
    if file is not None and not file.exists():
        return Contents(None, {})
    with _database(settings.database_url) as database:
        try:
            with database.reading() as session:
                return _contents(session, inspect(session.connection()).get_table_names())
        except DatabaseError as error:
            if file is None or isinstance(error, OperationalError):
                raise
            raise BackupRefused(
                f"{file} rusak: hentikan server, pindahkan {file.name}* ke tempat lain, lalu pulihkan lagi",
                f"{file} is damaged: stop the server, move {file.name}* away, then restore again",
            ) from error


def _contents(session: Session, tables: Iterable[str]) -> Contents:
    there = set(tables)
    revision = None
    if "alembic_version" in there:
        revision = session.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if "installation" not in there:
        return Contents(revision, {})
    found = session.execute(select(Installation.district, Installation.incarnation)).all()
    return Contents(revision, {row.district: row.incarnation for row in found})


def _refuse_here(here: Contents, manifest: Manifest | None) -> None:
    """Refuse a place whose data the backup does not stand for."""
    if here.revision is not None and here.revision not in _known_revisions():
        raise BackupRefused(
            "basis data di sini milik rilis yang lebih baru: pasang rilis itu dulu",
            "the database here is of a newer release: install that one first",
        )
    others = set(here.districts) - set(manifest.districts) if manifest else set()
    if others:
        raise BackupRefused(
            f"di sini ada wilayah {', '.join(sorted(others))} yang tidak ada dalam cadangan itu",
            f"here is district {', '.join(sorted(others))}, which is not in that backup",
        )


@contextmanager
def _database(url: str) -> Iterator[Database]:
    database = Database(url)
    try:
        yield database
    finally:
        database.dispose()


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Let one restore work here at a time."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    path = settings.data_dir / "restore.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock_or_refuse(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _renew(session: Session, settings: Settings, now: datetime, details: Mapping[str, Any]) -> str:
    """Begin a new history: an incarnation for every district, no session that may have ended since, an entry in the log."""
    for district in session.scalars(select(Installation.district)).all():
        session.execute(
            update(table(Installation)).where(Installation.district == district).values(incarnation=new_id())
        )
        session.execute(delete(table(SignIn)).where(SignIn.district == district))
        audit.append(
            session,
            district,
            audit.OFFICE,
            "database.restored",
            actor="operator",
            now=now,
            details=details,
        )
    found = select(Installation.incarnation).where(Installation.district == settings.district)
    return str(session.execute(found).scalar_one())


def _about(manifest: Manifest) -> dict[str, Any]:
    return {
        "made_at": manifest.made_at,
        "rows": manifest.total_rows,
        "revision": manifest.revision,
        "incarnation": manifest.incarnation,
    }


def _keep(settings: Settings, now: datetime, progress: Progress) -> Path:
    """Make a backup of what is about to be replaced; the caller keeps writers away."""
    for left in settings.data_dir.glob("before-restore-*.zip.part*"):
        left.unlink()  # by a killed run: only one restore works here at a time
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    file, number = settings.data_dir / f"before-restore-{stamp}.zip", 1
    while file.exists():
        number += 1
        file = settings.data_dir / f"before-restore-{stamp}-{number}.zip"
    with _database(settings.database_url) as database, _part_of(file) as part:
        _pack(database, settings, part, file, now, progress)
    return file


def _keys_missing(session: Session, settings: Settings) -> bool:
    """Say whether there is no key file, and refuse one that does not open what is in the database."""
    if not settings.key_file.exists():
        return True
    vault = Vault(load_keys(settings.key_file, create=False, command=settings.key_command), settings.district)
    mine = (Child.district == settings.district, Child.wrapped_key.is_not(None))
    for key_version in session.scalars(select(Child.key_version).where(*mine).distinct()).all():
        query = select(Child.id, Child.wrapped_key).where(*mine, Child.key_version == key_version).limit(1)
        child = session.execute(query).one()
        try:
            vault.child_key(child.id, child.wrapped_key, key_version)
        except KeyUnusable as error:
            raise BackupRefused(
                f"kunci di {settings.key_file} bukan kunci cadangan ini: pasang dulu berkas kunci yang cocok",
                f"the keys in {settings.key_file} do not open this backup: put the right key file there first",
            ) from error
    return False


# -- SQLite ---------------------------------------------------------------------------------------


def _restore_sqlite(
    settings: Settings, archive: Archive, here: Contents, now: datetime, progress: Progress
) -> Restored:
    """Make a whole new database beside the live one, then bring its pages in as one transaction of the live one."""
    manifest, live = archive.manifest, settings.sqlite_file
    assert live is not None  # noqa: S101  # the caller asked
    _refuse_little_room(settings.data_dir, 2 * manifest.total_bytes)
    live.parent.mkdir(parents=True, exist_ok=True)
    place = settings.data_dir / "restoring"
    with _emptied(place), _told_as_ours():
        prepared = place / SQLITE_MEMBER
        archive.extract(SQLITE_MEMBER, prepared, progress)
        _refuse_unsound(prepared, manifest)
        migrations.migrate(f"sqlite:///{prepared}")
        with _database(f"sqlite:///{prepared}") as database, _database(settings.database_url) as present:
            with database.reading() as session:
                keys_missing = _keys_missing(session, settings)
            # the lock of every writing transaction: who writes now waits, and then writes to the new
            with present._turn():
                kept = _keep(settings, now, progress) if here.districts else None
                with database.transaction() as session:
                    incarnation = _renew(session, settings, now, _about(manifest))
                database.dispose()
                make_private(live)
                _bring_in(prepared, live, progress)
    return Restored(manifest, incarnation, kept, keys_missing)


@contextmanager
def _emptied(place: Path) -> Iterator[None]:
    """Work in a directory of our own; what a killed run left there is cleared away."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o700)
    try:
        yield
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _refuse_little_room(directory: Path, needed: int) -> None:
    free = shutil.disk_usage(directory).free
    if free < needed:
        need, have = needed >> 20, free >> 20
        raise BackupRefused(
            f"{directory} perlu ruang kosong {need} MiB, hanya ada {have} MiB: kosongkan dulu",
            f"{directory} needs {need} MiB of free space and has {have} MiB: make room first",
        )


def _refuse_unsound(prepared: Path, manifest: Manifest) -> None:
    """Compare SQLite's file with its manifest, and let SQLite look at it."""
    try:
        with closing(sqlite3.connect(prepared)) as connection:
            found, rows, _ = _look_into_sqlite(connection)
            sound = connection.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",)
            referring = connection.execute("PRAGMA foreign_key_check").fetchone() is None
    except sqlite3.DatabaseError as error:
        raise _altered(prepared, SQLITE_MEMBER) from error
    same = (found.revision, dict(found.districts), rows)
    if not (sound and referring and same == (manifest.revision, manifest.districts, manifest.rows)):
        raise _altered(prepared, SQLITE_MEMBER)


def _bring_in(prepared: Path, live: Path, progress: Progress) -> None:
    """Replace all pages of the live database in one transaction of its write-ahead log: readers keep their snapshot."""
    with (
        closing(sqlite3.connect(prepared, isolation_level=None)) as source,
        closing(sqlite3.connect(live, timeout=30, isolation_level=None)) as target,
    ):
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 0"):
            target.execute(f"PRAGMA {pragma}")
        source.backup(target, pages=PAGES_PER_STEP, progress=_steps("restoring", progress))
        target.execute("PRAGMA wal_checkpoint(PASSIVE)")  # as far as readers let it; a job does the rest


# -- PostgreSQL -----------------------------------------------------------------------------------


def _restore_postgresql(
    settings: Settings, archive: Archive, here: Contents, now: datetime, progress: Progress
) -> Restored:
    """Replace all rows in one transaction.

    Rows are deleted, not truncated: to a reader whose snapshot is older, a truncated table is empty, a deleted row is not.
    So readers go on undisturbed; only those who write wait.
    """
    older = archive.manifest.revision != migrations.newest()
    if here.revision != migrations.newest():
        migrations.migrate(settings.database_url)
    with _database(settings.database_url) as database:
        if older:
            _fill_scratch(settings.database_url, archive, progress)
        with _writers_away(database) as session:
            kept = _keep(settings, now, progress) if here.districts else None
            for one in reversed(Base.metadata.sorted_tables):
                session.execute(delete(one))
            if older:
                _take_from_scratch(session)
            else:
                _copy_in(_driver(session), archive, progress)
            keys_missing = _keys_missing(session, settings)
            incarnation = _renew(session, settings, now, _about(archive.manifest))
        with suppress(DBAPIError):  # the data are back; autovacuum would do this as well, later
            _tidy(database)
    return Restored(archive.manifest, incarnation, kept, keys_missing)


@contextmanager
def _writers_away(database: Database) -> Iterator[Session]:
    """Open a writing transaction that nobody else's writing overlaps; others' reading does."""
    names = ", ".join(f'"{one.name}"' for one in Base.metadata.sorted_tables)
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        with database.transaction() as session:
            session.execute(text(f"SET LOCAL lock_timeout = {LOCK_MS}"))
            try:
                session.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))
            except OperationalError:  # some writer waits for us while we wait for it, or is slow
                if time.monotonic() > deadline:
                    raise
                session.rollback()
            else:
                session.execute(text("SET LOCAL lock_timeout = 0"))
                yield session
                return
        time.sleep(0.1)


def _copy_in(driver: "psycopg.Connection[Any]", archive: Archive, progress: Progress) -> None:
    """Put back every table, in an order in which each row finds what it refers to."""
    done, total = 0, archive.manifest.total_bytes
    with _told_as_ours(), driver.cursor() as cursor:
        for name, columns in archive.manifest.columns.items():
            with cursor.copy(_copy(name, columns, "FROM STDIN")) as copy:
                for chunk in archive.chunks(_member(name)):
                    copy.write(chunk)
                    done += len(chunk)
                    progress("restoring", done, total)


def _fill_scratch(url: str, archive: Archive, progress: Progress) -> None:
    """Put an older backup into a schema of its own, made as it was then, and bring that up to date."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(f"DROP SCHEMA IF EXISTS {SCRATCH} CASCADE"))
        connection.execute(text(f"CREATE SCHEMA {SCRATCH}"))
    engine.dispose()
    inside = make_url(url).update_query_dict({"options": f"-csearch_path={SCRATCH}"})
    scratch_url = inside.render_as_string(hide_password=False)
    command.upgrade(migrations._config(scratch_url), archive.manifest.revision)
    engine = create_engine(scratch_url)
    with engine.begin() as connection:
        driver: Any = connection.connection.dbapi_connection
        _copy_in(driver, archive, progress)
    engine.dispose()
    migrations.migrate(scratch_url)


def _take_from_scratch(session: Session) -> None:
    for one in Base.metadata.sorted_tables:
        columns = ", ".join(f'"{column.name}"' for column in one.columns)
        taken = f'INSERT INTO "{one.name}" ({columns}) SELECT {columns} FROM {SCRATCH}."{one.name}"'  # noqa: S608
        session.execute(text(taken))
    session.execute(text(f"DROP SCHEMA {SCRATCH} CASCADE"))


def _tidy(database: Database) -> None:
    """Give back the room of the deleted rows, and tell the planner what is there now."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for one in Base.metadata.sorted_tables:
            connection.execute(text(f'VACUUM (ANALYZE) "{one.name}"'))
