"""Overwrites what the database's files still hold of deleted rows, after an erasure and after the sealing of typed text.

- SQLite overwrites deleted content in its file (`secure_delete`, set by `database.engine`); the write-ahead log holds it
  until it is folded into the file and cut. That is done at once; a reader may hold it up, and then the job that folds it
  every five minutes does it.
- PostgreSQL leaves dead rows in its files until VACUUM, and their bytes until the space is used again, unless the table is
  written anew (VACUUM FULL). The job does that, out of any transaction, to tables that are rewritten in seconds; for larger
  ones it does a plain VACUUM. WAL archives and replicas are the operator's (docs/privacy.md).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import structlog
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError

from server.context import AppContext
from server.database.models import AuditEntry, Base, JobRun, table
from server.privacy.sealed_columns import SEALED

JOB: Final = "erased-remains"
ERASED: Final = "rights.erased"
LEAVE_REMAINS: Final = (ERASED, SEALED)
"""Entries of the log after which something is to be overwritten."""
PATIENCE_MS: Final = 250
"""How long a checkpoint of the write-ahead log waits for readers: writers are blocked meanwhile, and it is retried soon."""
REWRITTEN_BYTES: Final = 256 * 1024 * 1024
"""Tables of PostgreSQL up to this size are written anew: nobody can use one meanwhile, for a few seconds."""
LOCK_SECONDS: Final = 2


def fold_wal(hub: AppContext) -> Mapping[str, Any]:
    """Move SQLite's write-ahead log into its file and cut it to nothing.

    Returns
    -------
    dict : `busy`: 1 if a reader held it up; `pages` and `moved`
    """
    with hub.database.engine.connect() as connection:
        if connection.in_transaction():
            connection.rollback()
        raw = connection.connection.dbapi_connection
        assert raw is not None  # noqa: S101  # a connection in use has one
        cursor = raw.cursor()
        patience = cursor.execute("PRAGMA busy_timeout").fetchone()[0]
        cursor.execute(f"PRAGMA busy_timeout = {PATIENCE_MS}")
        busy, pages, moved = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        cursor.execute(f"PRAGMA busy_timeout = {patience}")
    return {"busy": busy, "pages": pages, "moved": moved}


def after_commit(hub: AppContext, entries: Any) -> None:
    """Fold the write-ahead log if a transaction with these entries of the log erased somebody."""
    if hub.database.is_sqlite and any(entry["action"] in LEAVE_REMAINS for entry in entries):
        folded = fold_wal(hub)
        if folded["busy"]:
            structlog.get_logger("posyandu.privacy").warning("write-ahead log held by a reader", **folded)


def is_due(hub: AppContext) -> datetime | None:
    """Return when the newest entry was made that left remains, if the job has not run since."""
    e, j = table(AuditEntry).c, table(JobRun).c
    with hub.database.reading() as session:
        newest: datetime | None = session.scalar(
            select(func.max(e.at)).where(e.district == hub.district, e.action.in_(LEAVE_REMAINS))
        )
        ran = session.scalar(select(j.ran_at).where(j.district == hub.district, j.job == JOB))
    return newest if newest is not None and (ran is None or ran < newest) else None


def vacuum(hub: AppContext) -> Mapping[str, Any]:
    """Free the dead rows of all tables of PostgreSQL.

    Returns
    -------
    dict : how many tables were written anew, how many only vacuumed, and how many could not be locked: `busy`
    """
    done = {"rewritten": 0, "vacuumed": 0, "busy": 0}
    with hub.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"SET lock_timeout = '{LOCK_SECONDS}s'"))
        for one in Base.metadata.sorted_tables:
            size = connection.scalar(
                text("SELECT pg_total_relation_size(to_regclass(:name))"), {"name": one.name}
            )
            whole = (size or 0) <= REWRITTEN_BYTES
            try:
                connection.execute(text(f'VACUUM ({"FULL, " if whole else ""}ANALYZE) "{one.name}"'))
            except OperationalError:  # somebody reads or writes it: the next run tries again
                done["busy"] += 1
            else:
                done["rewritten" if whole else "vacuumed"] += 1
        connection.execute(text("RESET lock_timeout"))
    return done
