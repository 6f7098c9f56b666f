"""Restoring a backup while workers go on.

Rules kept here:
- Before anything is changed, every byte of the file was read and compared with its checksum.
- A restore is one transaction, for which writers wait: a reader sees all of the old data or all of the new, and a kill
  leaves one of the two. The replaced data are kept in a backup of their own.
- The same transaction gives the database a new incarnation, so that every tablet notices that older data were restored;
  all sessions, open invitations and enrolment codes end, since some may have been used or ended after the backup.
- It also makes again what was withdrawn since (`reapplying`): from the log of the data that are replaced, and from the lists
  that are found. Where neither knows the backup, or a list cannot be trusted, only an explicit choice goes on without.
"""

import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import delete, inspect, select, text
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError
from sqlalchemy.orm import Session

from server import accounts, audit
from server.accounts import people, vouching
from server.audit import adoption, incarnations
from server.backup import postgresql_rows, reapplying, withdrawals
from server.backup.archive import SQLITE_MEMBER, Archive, Manifest, altered, refuse_unfit
from server.backup.create import (
    PAGES_PER_STEP,
    Contents,
    contents_of,
    driver_of,
    look_into_sqlite,
    pack,
    steps,
)
from server.backup.encrypted_file import part_of
from server.backup.refusals import (
    MAKING,
    RESTORING,
    BackupRefused,
    Progress,
    alone,
    driver_errors_as_sqlalchemy,
    refuse_on_full_disk,
)
from server.backup.withdrawals import Withdrawals
from server.config import Settings
from server.context import AppContext
from server.crypto.key_file import load_keys
from server.crypto.vault import KeyUnusable, Vault
from server.database import migrations, row_macs
from server.database.engine import Database, make_private
from server.database.models import Base, Child, Installation, UserSession, table
from server.database.touched_rows import touched
from server.privacy import sealed_columns
from server.translations import T_

OPERATOR: Final = "operator"


@dataclass(frozen=True, slots=True)
class Restored:
    """The result of a restore.

    Parameters
    ----------
    kept : the backup of the replaced data
    keys_missing : no name can be read yet, and nothing that was withdrawn could be made again
    """

    manifest: Manifest
    incarnation: str
    kept: Path | None
    keys_missing: bool
    again: "Again"


@dataclass(frozen=True, slots=True)
class Again:
    """What a new history took back: decisions made again, by kind; invitations and enrolment codes that were still open.

    `until`: how far the list goes, or the log of the replaced data; None if neither knows this backup.
    """

    withdrawn: Mapping[str, int]
    invitations: int
    codes: int
    until: datetime | None


def restore(
    settings: Settings,
    file: Path,
    *,
    plain: bool,
    now: datetime,
    agreed: Callable[[Manifest], bool],
    progress: Progress,
    given: Path | None = None,
    without_list: bool = False,
    as_it_was: bool = False,
) -> Restored:
    """Replace the data that are here, if any, by a backup; servers may be running.

    Parameters
    ----------
    plain : also accept an unencrypted backup: of an older release, and nothing shows who made it
    agreed : called once the file is known to be good; returns whether existing data may be replaced
    given : a list of what was withdrawn, beside those that are found
    without_list : go on although no list knows this backup, or one cannot be trusted; the others are used
    as_it_was : make nothing again that was withdrawn since (a trial)

    Raises
    ------
    BackupRefused
        The file is damaged, altered, of another district, kind or newer release; or the keys here do not open it; or nothing
        tells what was withdrawn since it was made; or a disk is full; or nobody agreed. Nothing was changed.
    """
    with refuse_on_full_disk(), alone(settings, RESTORING):
        vault = vault_of(settings)
        with Archive.open(file, settings.key_file, vault) as archive:
            _refuse_plain(file, archive, plain)
            archive.verify(progress)
            refuse_unfit(settings, file, archive.manifest)
            here = contents(settings)
            _refuse_present_data(here, archive.manifest)
            if here.districts and not agreed(archive.manifest):
                raise BackupRefused(
                    T_("nothing was restored: answer yes, or give --yes"),
                )
            listed = None
            if vault is not None and not as_it_was:
                files = reapplying.found_lists(settings, file.parent, given)
                listed = reapplying.read_lists(settings, vault, files, skip_broken=without_list)
                if not without_list:
                    _refuse_unknown(
                        settings, file, archive.manifest, {*here.districts.values(), *listed.incarnations}
                    )
            elif vault is None:
                withdrawals.take_along(reapplying.found_lists(settings, file.parent, given), settings)
            put_back = _restore_sqlite if settings.is_sqlite else _restore_postgresql
            with alone(settings, MAKING):  # the backup of the replaced data
                done = put_back(settings, vault, archive, here, listed, now, progress)
            vouching.note(settings, vouching.DONE if vault is not None else vouching.TO_DO)
            if listed is not None:
                _keep(settings, now)
            if not done.keys_missing:
                _adopt(settings, now)
            return done


def _refuse_unknown(
    settings: Settings, file: Path, manifest: Manifest, incarnations: Collection[str]
) -> None:
    """Refuse a backup if neither the data that are here nor a list is of the same installation."""
    if manifest.incarnation not in incarnations:
        raise BackupRefused(
            T_(
                "no list tells what was withdrawn after {file} was made (tablets revoked, accounts disabled, children "
                "restricted or erased): give the newest posyandu-{district}.withdrawals with --withdrawals, or, if there is "
                "none, check all that by hand and give --without-withdrawals"
            ).format(file=file, district=settings.district),
        )


def _completed(
    settings: Settings, vault: Vault | None, here: Contents, listed: Withdrawals | None, now: datetime
) -> Withdrawals | None:
    """Add to the list what the log of the data that are here says, and write it; the caller blocks writers."""
    if listed is None or vault is None:
        return None
    if here.districts:
        with database_of(settings.database_url) as database, database.reading() as session:
            listed = listed.joined(withdrawals.from_log(session))
    withdrawals.add(listed, settings, vault, now)
    return listed


def _keep(settings: Settings, now: datetime) -> None:
    """Bring the list up to date with a restored database, whose incarnation is new."""
    hub = AppContext.open(settings)
    try:
        withdrawals.keep_or_log(hub, now=now, whole=True)
    finally:
        hub.database.dispose()


def _adopt(settings: Settings, now: datetime) -> None:
    """Bind the rows of a backup from before rows were bound to the log."""
    with database_of(settings.database_url, vault_of(settings)) as database:
        adoption.adopt(database, settings.district, actor=OPERATOR, now=lambda: now)


def vault_of(settings: Settings) -> Vault | None:
    """Open the key file; None if there is none yet."""
    if not settings.key_file.exists():
        return None
    return Vault(load_keys(settings.key_file, create=False, command=settings.key_command), settings.district)


def _refuse_plain(file: Path, archive: Archive, plain: bool) -> None:
    if not archive.is_sealed and not plain:
        raise BackupRefused(
            T_(
                "{file} is not sealed (an older release): anyone could read and alter it; if you are "
                "sure where it comes from, give --plain, then make a new backup and delete this one"
            ).format(file=file),
        )


def mark_restored(
    settings: Settings, *, now: datetime, given: Path | None = None, without_list: bool = False
) -> tuple[str, Again]:
    """Give a new incarnation to a database that was restored by other means (a snapshot, PostgreSQL's own recovery).

    What was withdrawn, by the lists that are found and the one given, is made again.

    Raises
    ------
    BackupRefused
        The district is not installed here; a list cannot be trusted, unless `without_list`.
    """
    here = contents(settings)
    if settings.district not in here.districts:
        raise BackupRefused(
            T_("district {district} is not installed here").format(district=settings.district),
        )
    _refuse_present_data(here, None)
    without_macs = _lacks_macs(settings.database_url)
    migrations.migrate(settings.database_url)
    vault, listed = vault_of(settings), None
    if vault is not None:
        files = reapplying.found_lists(settings, None, given)
        listed = reapplying.read_lists(settings, vault, files, skip_broken=without_list)
    with database_of(settings.database_url, vault) as database, database.transaction() as session:
        _vouch(session, settings, database, now, without_macs=without_macs)
        done = _start_new_history(session, settings, database, listed, now, {"by_other_means": True})
    vouching.note(settings, vouching.DONE if vault is not None else vouching.TO_DO)
    if vault is not None:
        _keep(settings, now)
        _adopt(settings, now)
    return done


def contents(settings: Settings) -> Contents:
    """Return what a database holds; nothing if SQLite's file does not exist.

    Raises
    ------
    BackupRefused
        SQLite's file exists but is damaged: it must be moved away first, with the server stopped.
    """
    file = settings.sqlite_file
    if file is not None and not file.exists():
        return Contents(None, {})
    with database_of(settings.database_url) as database:
        try:
            with database.reading() as session:
                return contents_of(session, inspect(session.connection()).get_table_names())
        except DatabaseError as error:
            if file is None or isinstance(error, OperationalError):
                raise
            raise BackupRefused(
                T_("{file} is damaged: stop the server, move {name}* away, then restore again").format(
                    file=file, name=file.name
                ),
            ) from error


def _refuse_present_data(here: Contents, manifest: Manifest | None) -> None:
    """Refuse to replace a database of a newer release, or districts that the backup does not hold."""
    if here.revision is not None and here.revision not in migrations.revisions():
        raise BackupRefused(
            T_("the database here is of a newer release: install that one first"),
        )
    others = set(here.districts) - set(manifest.districts) if manifest else set()
    if others:
        raise BackupRefused(
            T_("here is district {join}, which is not in that backup").format(join=", ".join(sorted(others))),
        )


@contextmanager
def database_of(url: str, vault: Vault | None = None) -> Iterator[Database]:
    """Open a database, and close it at the end.

    Parameters
    ----------
    vault : needed where rows are written; without one the log vouches for them by plain digests
    """
    database = Database(url)
    database.row_key = vault.row_key if vault else None
    try:
        yield database
    finally:
        database.dispose()


def _lacks_macs(url: str) -> bool:
    with database_of(url) as database, database.engine.connect() as connection:
        return vouching.lacks_macs(connection)


def _vouch(
    session: Session, settings: Settings, database: Database, now: datetime, *, without_macs: bool
) -> None:
    """Check and make MACs of rows in a restored database from now on; give those of an older backup their first.

    Without the key file that is left to the next `serve` with it, as are the rows that are written meanwhile.
    """
    if not settings.key_file.exists():
        return
    keys = load_keys(settings.key_file, create=False, command=settings.key_command)
    for district in contents_of(session, [Installation.__tablename__]).districts:
        row_macs.check_with(database, district, Vault(keys, district))
        if without_macs or vouching.is_to_do(settings):
            vouching.give_first_macs(session, district, now)


def _start_new_history(
    session: Session,
    settings: Settings,
    database: Database,
    listed: Withdrawals | None,
    now: datetime,
    details: Mapping[str, Any],
) -> tuple[str, Again]:
    """Begin a new history: what was withdrawn is made again, all sessions, invitations and codes end, every district gets a
    new incarnation and an entry in the log. Returns the incarnation of the own district.
    """
    was = contents_of(session, [Installation.__tablename__]).districts
    sealed_columns.seal_everywhere(session, settings, database, was, now)
    done: Counter[str] = Counter()
    if listed is not None:
        done = reapplying.apply_everywhere(session, settings, database, listed, actor=OPERATOR, now=now)
    ended = [_end_access(session, district, now) for district in was]
    invitations, codes = map(sum, zip(*ended, strict=True))
    known = listed is not None and was.get(settings.district) in listed.incarnations
    until = listed.until.get(settings.district) if listed is not None and known else None
    more = {"again": dict(done)} if done else {}
    for district in was:
        incarnations.begin(
            session,
            vault_of(replace(settings, district=district)),
            district,
            replaced=None if details.get("by_other_means") else settings.database_url,
            actor=OPERATOR,
            now=now,
            backup=details,
        )
        audit.append(
            session,
            district,
            audit.OFFICE,
            "database.restored",
            actor=OPERATOR,
            now=now,
            details={**details, **more},
        )
    found = select(Installation.incarnation).where(Installation.district == settings.district)
    return str(session.execute(found).scalar_one()), Again(done, invitations, codes, until)


def _end_access(session: Session, district: str, now: datetime) -> tuple[int, int]:
    """End sessions, open invitations and enrolment codes; return the number of invitations and of codes."""
    session.execute(delete(table(UserSession)).where(UserSession.district == district))
    return people.end_all_invitations(session, district, now), accounts.end_all_codes(session, district, now)


def _summary(archive: Archive) -> dict[str, Any]:
    manifest = archive.manifest
    return {
        "digest": archive.digest,
        "made_at": manifest.made_at,
        "rows": manifest.total_rows,
        "revision": manifest.revision,
        "incarnation": manifest.incarnation,
    }


def _back_up_present_data(settings: Settings, vault: Vault | None, now: datetime, progress: Progress) -> Path:
    """Make a backup of what is about to be replaced; the caller blocks writers."""
    if vault is None:
        raise BackupRefused(
            T_(
                "there is no {key_file} to seal what is here before it is replaced: copy the key "
                "file there first"
            ).format(key_file=settings.key_file),
        )
    for left in settings.data_dir.glob("before-restore-*.part"):
        left.unlink()  # left by a killed run: only one restore runs here at a time
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    file, number = settings.data_dir / f"before-restore-{stamp}.backup", 1
    while file.exists():
        number += 1
        file = settings.data_dir / f"before-restore-{stamp}-{number}.backup"
    with database_of(settings.database_url) as database, part_of(file) as part:
        pack(database, settings, vault, part, now, progress)
    return file


def _keys_missing(session: Session, settings: Settings, vault: Vault | None) -> bool:
    """Return whether there is no key file; refuse one that does not open what is in the database."""
    if vault is None:
        return True
    mine = (Child.district == settings.district, Child.wrapped_key.is_not(None))
    for key_version in session.scalars(select(Child.key_version).where(*mine).distinct()).all():
        query = select(Child.id, Child.wrapped_key).where(*mine, Child.key_version == key_version).limit(1)
        child = session.execute(query).one()
        try:
            vault.child_key(child.id, child.wrapped_key, key_version)
        except KeyUnusable as error:
            raise BackupRefused(
                T_(
                    "the keys in {key_file} do not open this backup: put the right key file there first"
                ).format(key_file=settings.key_file),
            ) from error
    return False


# -- SQLite ---------------------------------------------------------------------------------------


def _restore_sqlite(
    settings: Settings,
    vault: Vault | None,
    archive: Archive,
    here: Contents,
    listed: Withdrawals | None,
    now: datetime,
    progress: Progress,
) -> Restored:
    """Build a complete new database next to the live one, then copy its pages in as one transaction of the live one."""
    manifest, live = archive.manifest, settings.sqlite_file
    assert live is not None  # noqa: S101  # checked by the caller
    _refuse_little_room(settings.data_dir, 2 * manifest.total_bytes)
    live.parent.mkdir(parents=True, exist_ok=True)
    place = settings.data_dir / "restoring"
    with emptied(place), driver_errors_as_sqlalchemy():
        prepared = place / SQLITE_MEMBER
        archive.extract(SQLITE_MEMBER, prepared, progress)
        _refuse_unsound(prepared, manifest)
        without_macs = _lacks_macs(f"sqlite:///{prepared}")
        migrations.migrate(f"sqlite:///{prepared}")
        with (
            database_of(f"sqlite:///{prepared}", vault) as database,
            database_of(settings.database_url) as present,
        ):
            with database.reading() as session:
                keys_missing = _keys_missing(session, settings, vault)
            # the lock of every write transaction: writers wait, and then write to the new data
            with present.write_lock():
                kept = _back_up_present_data(settings, vault, now, progress) if here.districts else None
                listed = _completed(settings, vault, here, listed, now)
                with database.transaction() as session:
                    _vouch(session, settings, database, now, without_macs=without_macs)
                    incarnation, again = _start_new_history(
                        session, settings, database, listed, now, _summary(archive)
                    )
                database.dispose()
                make_private(live)
                _copy_pages_in(prepared, live, progress)
    return Restored(manifest, incarnation, kept, keys_missing, again)


@contextmanager
def emptied(place: Path) -> Iterator[None]:
    """Yield an empty directory of our own; what a killed run left in it is deleted."""
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
            T_("{directory} needs {need} MiB of free space and has {have} MiB: make room first").format(
                directory=directory, need=need, have=have
            ),
        )


def _refuse_unsound(prepared: Path, manifest: Manifest) -> None:
    """Compare SQLite's file with its manifest, and let SQLite check it."""
    try:
        with closing(sqlite3.connect(prepared)) as connection:
            found, rows, _ = look_into_sqlite(connection)
            sound = connection.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",)
            referring = connection.execute("PRAGMA foreign_key_check").fetchone() is None
    except sqlite3.DatabaseError as error:
        raise altered(prepared, SQLITE_MEMBER) from error
    same = (found.revision, dict(found.districts), rows)
    if not (sound and referring and same == (manifest.revision, manifest.districts, manifest.rows)):
        raise altered(prepared, SQLITE_MEMBER)


def _copy_pages_in(prepared: Path, live: Path, progress: Progress) -> None:
    """Replace all pages of the live database in one transaction of its write-ahead log: readers keep their snapshot."""
    with (
        closing(sqlite3.connect(prepared, isolation_level=None)) as source,
        closing(sqlite3.connect(live, timeout=30, isolation_level=None)) as target,
    ):
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 0"):
            target.execute(f"PRAGMA {pragma}")
        source.backup(target, pages=PAGES_PER_STEP, progress=steps("restoring", progress))
        target.execute("PRAGMA wal_checkpoint(PASSIVE)")  # as far as readers allow; a job does the rest


# -- PostgreSQL -----------------------------------------------------------------------------------


def _restore_postgresql(
    settings: Settings,
    vault: Vault | None,
    archive: Archive,
    here: Contents,
    listed: Withdrawals | None,
    now: datetime,
    progress: Progress,
) -> Restored:
    """Replace all rows in one transaction.

    Rows are deleted, not truncated: a reader with an older snapshot sees a truncated table as empty, but still sees deleted
    rows. So readers are not disturbed; only writers wait.
    """
    older = archive.manifest.revision != migrations.newest()
    if here.revision != migrations.newest():
        migrations.migrate(settings.database_url)
    with database_of(settings.database_url, vault) as database:
        without_macs = older and postgresql_rows.fill_scratch(settings.database_url, archive, progress)
        with database.transaction(alone=True) as session:
            names = ", ".join(f'"{one.name}"' for one in Base.metadata.sorted_tables)
            # clients other than a server of this release do not take the shared lock
            session.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))
            kept = _back_up_present_data(settings, vault, now, progress) if here.districts else None
            listed = _completed(settings, vault, here, listed, now)
            touched(session.connection()).suspended = True  # the rows come with their own log
            for one in reversed(Base.metadata.sorted_tables):
                session.execute(delete(one))
            if older:
                postgresql_rows.take_from_scratch(session)
            else:
                postgresql_rows.copy_in(driver_of(session), archive, progress)
            touched(session.connection()).suspended = False
            keys_missing = _keys_missing(session, settings, vault)
            _vouch(session, settings, database, now, without_macs=without_macs)
            incarnation, again = _start_new_history(
                session, settings, database, listed, now, _summary(archive)
            )
        with suppress(DBAPIError):  # the data are restored; autovacuum would do this later
            postgresql_rows.vacuum(database)
    return Restored(archive.manifest, incarnation, kept, keys_missing, again)
