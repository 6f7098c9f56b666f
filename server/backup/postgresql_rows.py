"""Loading the rows of a backup into PostgreSQL: directly, or, of an older release, by way of a schema that is migrated."""

from typing import Any, Final

import psycopg
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.orm import Session

from server.accounts import vouching
from server.backup.archive import Archive, member_of
from server.backup.create import copy_of
from server.backup.refusals import Progress, driver_errors_as_sqlalchemy
from server.database import migrations
from server.database.engine import Database
from server.database.models import Base

SCRATCH: Final = "posyandu_restoring"
"""A schema of PostgreSQL, not used by the server, in which an older backup is migrated."""


def copy_in(driver: "psycopg.Connection[Any]", archive: Archive, progress: Progress) -> None:
    """Insert every table's rows, in an order in which each row finds what it refers to."""
    done, total = 0, archive.manifest.total_bytes
    with driver_errors_as_sqlalchemy(), driver.cursor() as cursor:
        for name, columns in archive.manifest.columns.items():
            with cursor.copy(copy_of(name, columns, "FROM STDIN")) as copy:
                for chunk in archive.chunks(member_of(name)):
                    copy.write(chunk)
                    done += len(chunk)
                    progress("restoring", done, total)


def within(url: str, schema: str) -> str:
    """Return the URL of a schema of a PostgreSQL database."""
    inside = make_url(url).update_query_dict({"options": f"-csearch_path={schema}"})
    return inside.render_as_string(hide_password=False)


def fill_scratch(url: str, archive: Archive, progress: Progress) -> bool:
    """Load an older backup into a schema of its own, with the tables of its release, and migrate it.

    Returns
    -------
    bool : its rows had no MACs
    """
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(f"DROP SCHEMA IF EXISTS {SCRATCH} CASCADE"))
        connection.execute(text(f"CREATE SCHEMA {SCRATCH}"))
    engine.dispose()
    scratch_url = within(url, SCRATCH)
    migrations.upgrade(scratch_url, archive.manifest.revision)
    engine = create_engine(scratch_url)
    with engine.begin() as connection:
        driver: Any = connection.connection.dbapi_connection
        copy_in(driver, archive, progress)
        without_macs = vouching.lacks_macs(connection)
    engine.dispose()
    migrations.migrate(scratch_url)
    return without_macs


def take_from_scratch(session: Session) -> None:
    """Move the rows of the scratch schema, migrated, into the empty tables, and drop it."""
    for one in Base.metadata.sorted_tables:
        columns = ", ".join(f'"{column.name}"' for column in one.columns)
        taken = f'INSERT INTO "{one.name}" ({columns}) SELECT {columns} FROM {SCRATCH}."{one.name}"'  # noqa: S608
        session.execute(text(taken))
    session.execute(text(f"DROP SCHEMA {SCRATCH} CASCADE"))


def vacuum(database: Database) -> None:
    """Free the space of the deleted rows, and update the planner's statistics."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for one in Base.metadata.sorted_tables:
            connection.execute(text(f'VACUUM (ANALYZE) "{one.name}"'))
