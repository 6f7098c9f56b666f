"""Proves a backup by restoring it to a separate place, counting the rows, making again what was withdrawn since (as a
restore would), and checking everything there.

Hides that place (SQLite: a directory in the data directory; PostgreSQL: a schema of the same database). It is removed
afterwards in any case; what a killed run left is removed by the next. The live data are not changed, except for the entry in
the log with the result.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import psycopg
from sqlalchemy import Connection, create_engine, func, select, text
from sqlalchemy.exc import DBAPIError

from server import audit
from server.backup import reapplying
from server.backup.archive import Manifest
from server.backup.encrypted_file import digest_of
from server.backup.postgresql_rows import within
from server.backup.refusals import RESTORING, BackupRefused, Progress, alone
from server.backup.restoration import contents, database_of, emptied, restore, vault_of
from server.config import Settings
from server.database import migrations
from server.database.models import Base
from server.operations import doctor
from server.translations import T_

TRIAL: Final = "posyandu_trial"
ABOUT_DATA: Final = frozenset(
    {
        "database",
        "schema",
        "district",
        "sealed",
        "log",
        "ledger",
        "batches",
        "states",
        "streams",
        "assessments",
        "figures",
        "reports",
    }
)
"""Those of doctor's checks that concern data in a backup; the others concern the machine."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The result of a trial restore.

    Parameters
    ----------
    digest : SHA-256 of the file, in base64url
    checks : results of doctor
    miscounted : tables whose row count differs from the manifest
    logged : whether the result is in the log of the live installation
    """

    manifest: Manifest
    digest: str
    checks: tuple[doctor.Check, ...]
    miscounted: tuple[str, ...]
    logged: bool

    @property
    def is_proven(self) -> bool:
        looked_at = {check.name for check in self.checks}  # doctor stops early if a basic check fails
        return looked_at == ABOUT_DATA and not self.miscounted and all(check.is_ok for check in self.checks)


def prove(
    settings: Settings, file: Path, *, plain: bool, actor: str, now: datetime, progress: Progress
) -> Proof:
    """Restore a backup to a separate place, check everything in it, remove it, and log the result.

    Raises
    ------
    BackupRefused
        As `restore`; or no separate place can be made.
    """
    with alone(settings, RESTORING):
        digest = digest_of(file)
        with _separate_place(settings) as trial:
            done = restore(
                trial, file, plain=plain, now=now, agreed=lambda _: False, progress=progress, as_it_was=True
            )
            if done.keys_missing:
                raise BackupRefused(
                    T_("without {key_file} nothing is proven: copy the key file there first").format(
                        key_file=settings.key_file
                    ),
                )
            miscounted = tuple(_miscounted(trial, done.manifest))
            _withdraw_again(settings, trial, file, now)
            looked = doctor.examine(trial, now=now, quick=False, progress=progress)
            checks = tuple(check for check in looked if check.name in ABOUT_DATA)
    proof = Proof(done.manifest, digest, checks, miscounted, logged=False)
    return replace(proof, logged=_log(settings, proof, actor, now))


def _miscounted(trial: Settings, manifest: Manifest) -> Iterator[str]:
    """Count the rows again. A restore deletes sessions and appends to the log; an older schema has other tables now."""
    if manifest.revision != migrations.newest():
        return
    expected = dict(manifest.rows)
    expected["session"] = 0
    expected["audit_entry"] += 2 * len(manifest.districts)
    with database_of(trial.database_url) as database, database.reading() as session:
        for one in Base.metadata.sorted_tables:
            found = session.execute(select(func.count()).select_from(one)).scalar_one()
            if found != expected[one.name]:
                yield f"{one.name}: {found}, not {expected[one.name]}"


def _withdraw_again(settings: Settings, trial: Settings, file: Path, now: datetime) -> None:
    """Make again in the trial what was withdrawn since the backup, as a restore would; refuse a list that is not sound."""
    vault = vault_of(settings)
    assert vault is not None  # noqa: S101  # the keys opened what was restored
    files = reapplying.found_lists(settings, file.parent, None)
    listed = reapplying.read_lists(settings, vault, files, skip_broken=False)
    with database_of(trial.database_url) as database, database.transaction() as session:
        reapplying.apply_everywhere(session, trial, database, listed, actor="operator", now=now)


def _log(settings: Settings, proof: Proof, actor: str, now: datetime) -> bool:
    """Log the result, if a district of this release is installed here."""
    here = contents(settings)
    if settings.district not in here.districts or here.revision != migrations.newest():
        return False
    details: dict[str, Any] = {
        "digest": proof.digest,
        "made_at": proof.manifest.made_at,
        "rows": proof.manifest.total_rows,
    }
    if not proof.is_proven:
        details["problems"] = [check.name for check in proof.checks if not check.is_ok]
        details["miscounted"] = len(proof.miscounted)
    action = "backup.proven" if proof.is_proven else "backup.unproven"
    with database_of(settings.database_url) as database, database.transaction() as session:
        audit.append(session, settings.district, audit.OFFICE, action, actor=actor, now=now, details=details)
    return True


@contextmanager
def _separate_place(settings: Settings) -> Iterator[Settings]:
    """Yield settings of an empty separate place, which is removed afterwards."""
    place = settings.data_dir / "trial"
    with emptied(place):
        if settings.is_sqlite:
            yield replace(settings, data_dir=place, database_url=f"sqlite:///{place / 'posyandu.db'}")
            return
        with _trial_schema(settings.database_url) as url:
            yield replace(settings, data_dir=place, database_url=url)


@contextmanager
def _trial_schema(url: str) -> Iterator[str]:
    """Create a schema on PostgreSQL, and check that its URL leads there and not to the live data."""
    inside = within(url, TRIAL)
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            _create_schema(connection)
            try:
                with database_of(inside) as database, database.reading() as session:
                    reached = session.execute(text("SELECT current_schema()")).scalar()
                if reached != TRIAL:
                    raise BackupRefused(
                        T_(
                            "the connection does not lead to schema {trial}: try without a pooler, or in an "
                            "empty database"
                        ).format(trial=TRIAL),
                    )
                yield inside
            finally:
                connection.execute(text(f"DROP SCHEMA IF EXISTS {TRIAL} CASCADE"))
    finally:
        engine.dispose()


def _create_schema(connection: Connection) -> None:
    try:
        connection.execute(text(f"DROP SCHEMA IF EXISTS {TRIAL} CASCADE"))
        connection.execute(text(f"CREATE SCHEMA {TRIAL}"))
    except DBAPIError as error:
        if not isinstance(error.orig, psycopg.errors.InsufficientPrivilege):
            raise
        who, where = connection.execute(text("SELECT current_user, current_database()")).one()
        remedy = f'GRANT CREATE ON DATABASE "{where}" TO "{who}"'
        raise BackupRefused(
            T_(
                "the database's account may not make a schema for the trial: run {remedy}, or try in "
                "an empty database"
            ).format(remedy=remedy),
        ) from error
