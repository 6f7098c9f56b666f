"""The two ways to use the database: nothing is changed without an audit entry, and a reader cannot write."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError, OperationalError, StatementError
from sqlalchemy.orm import Session

from server import audit
from server.database.engine import Database, UnauditedWrite, WriteWhileReading
from server.database.models import HealthCentre, JobRun, NikIndex, table
from server.database.writes import remove, upsert
from tests.faults._running import wait_until
from tests.server._district import DISTRICT, Databases

NOW = datetime(2026, 3, 5, 2, 0, tzinfo=UTC)
CHILD = "01900000-0000-7000-8000-000000000001"
ROW = {"district": DISTRICT, "job": "silent-tablets", "ran_at": NOW, "result": "done"}


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def on_file(sqlite_databases: Databases) -> Iterator[Database]:
    opened = Database(sqlite_databases.migrated())
    yield opened
    opened.dispose()


def log(session: Session) -> None:
    audit.append(session, DISTRICT, audit.OFFICE, "job.ran", actor="job:test", now=NOW)


def results(database: Database) -> list[str]:
    with database.reading() as session:
        return list(session.scalars(select(JobRun.result)))


def by_orm(session: Session) -> None:
    session.add(JobRun(**ROW))


def by_core(session: Session) -> None:
    session.execute(insert(table(JobRun)), [ROW])


def by_upsert(session: Session) -> None:
    upsert(session, table(JobRun), [ROW])


def by_text(session: Session) -> None:
    session.execute(text("  insert INTO job_run VALUES ('64.02', 'x', '2026-03-05T02:00:00Z', 'done')"))


def by_text_update(session: Session) -> None:
    session.execute(text("UPDATE job_run SET result = 'x'"))


def by_text_after_with(session: Session) -> None:
    session.execute(text("WITH old AS (SELECT 1) DELETE FROM job_run"))


WRITERS = [by_orm, by_core, by_upsert, by_text, by_text_update, by_text_after_with]


def attempt(opened: AbstractContextManager[Session], *steps: Callable[[Session], None]) -> None:
    """Take steps in a session, each sent to the database."""
    with opened as session:
        for step in steps:
            step(session)
            session.flush()


@pytest.mark.every_case
@pytest.mark.parametrize("write", WRITERS)
def test_transaction_is_refused_when_nothing_was_logged(
    database: Database, write: Callable[[Session], None]
) -> None:
    with pytest.raises(UnauditedWrite):
        attempt(database.transaction(), write)
    assert results(database) == []


@pytest.mark.every_case
@pytest.mark.parametrize("write", WRITERS)
def test_reading_session_cannot_write(database: Database, write: Callable[[Session], None]) -> None:
    with pytest.raises(WriteWhileReading):
        attempt(database.reading(), write)


def test_transaction_commits_when_it_was_logged(database: Database) -> None:
    with database.transaction() as session:
        by_orm(session)
        log(session)
    assert results(database) == ["done"]


def test_log_entry_of_one_transaction_does_not_serve_the_next(database: Database) -> None:
    with database.transaction() as session:
        log(session)
    with pytest.raises(UnauditedWrite), database.transaction() as session:
        by_core(session)


def test_transaction_that_only_reads_needs_no_log_entry(database: Database) -> None:
    with database.transaction() as session:
        assert session.scalars(select(JobRun)).all() == []


def fail(_: Session) -> None:
    raise LookupError


def test_everything_is_rolled_back_when_something_is_raised(database: Database) -> None:
    with pytest.raises(LookupError):
        attempt(database.transaction(), by_orm, log, fail)
    assert results(database) == []


def test_reader_stays_on_its_snapshot_while_others_commit(database: Database) -> None:
    with database.reading() as session:
        assert session.scalars(select(JobRun.result)).all() == []
        with database.transaction() as writer:
            by_core(writer)
            log(writer)
        assert session.scalars(select(JobRun.result)).all() == []
    assert results(database) == ["done"]


def add_centre_in_an_unknown_place(session: Session) -> None:
    row = {"district": DISTRICT, "id": CHILD, "name": "x", "subdistrict_code": "99.99.99"}
    session.execute(insert(table(HealthCentre)), [row])


def test_foreign_keys_are_enforced(database: Database) -> None:
    with pytest.raises(IntegrityError):
        attempt(database.transaction(), add_centre_in_an_unknown_place, log)


def test_moment_comes_back_aware_and_in_utc(database: Database) -> None:
    with database.transaction() as session:
        by_core(session)
        log(session)
    with database.reading() as session:
        (ran_at,) = session.scalars(select(JobRun.ran_at))
    assert (ran_at, ran_at.tzinfo) == (NOW, UTC)


# -- many rows at once ------------------------------------------------------------------------------


def test_upsert_updates_what_is_there(database: Database) -> None:
    for result in ("first", "second"):
        with database.transaction() as session:
            upsert(session, table(JobRun), [{**ROW, "result": result}])
            log(session)
    assert results(database) == ["second"]


def test_upsert_leaves_a_row_that_is_all_key(database: Database) -> None:
    key = {"blind_index": b"x" * 16, "district": DISTRICT, "child_id": CHILD}
    for _ in range(2):
        with database.transaction() as session:
            upsert(session, table(NikIndex), [key])
            log(session)
    with database.reading() as session:
        assert len(session.scalars(select(NikIndex)).all()) == 1


def test_remove_takes_the_named_rows_only(database: Database) -> None:
    with database.transaction() as session:
        upsert(session, table(JobRun), [{**ROW, "job": job, "result": job} for job in ("a", "b", "c")])
        remove(session, table(JobRun), [{"district": DISTRICT, "job": job} for job in ("a", "c", "d")])
        log(session)
    assert results(database) == ["b"]


@pytest.mark.every_case
@pytest.mark.parametrize("write", [upsert, remove])
def test_no_rows_need_no_log_entry(database: Database, write: Callable[..., None]) -> None:
    with database.transaction() as session:
        write(session, table(JobRun), [])


# -- alone ------------------------------------------------------------------------------------------


def test_who_wants_to_be_alone_waits_for_those_inside_and_is_not_overtaken(database: Database) -> None:
    order: list[str] = []

    def write(name: str, *, alone: bool) -> None:
        with database.transaction(alone=alone) as session:
            order.append(name)
            log(session)

    with ThreadPoolExecutor(2) as pool:
        with database.transaction() as session:
            first = pool.submit(write, "alone", alone=True)
            wait_until(lambda: database.is_sqlite or waiting(database) == 1, "the one waits")
            second = pool.submit(write, "later", alone=False)
            wait_until(lambda: database.is_sqlite or waiting(database) == 2, "the other waits behind it")
            order.append("inside")
            log(session)
        first.result()
        second.result()
    assert order[0] == "inside"
    assert database.is_sqlite or order == ["inside", "alone", "later"]


def waiting(database: Database) -> int:
    """Count who waits at the gate of PostgreSQL."""
    count = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    with database.reading() as session:
        return int(session.execute(count).scalar_one())


@pytest.mark.postgresql
def test_who_wants_to_be_alone_gives_up_when_somebody_stays_inside(
    postgresql_databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.database.engine.ALONE_SECONDS", 1)
    opened = Database(url := postgresql_databases.migrated())
    with opened.transaction() as session:
        log(session)
        with pytest.raises(OperationalError, match="lock timeout"), opened.transaction(alone=True):
            pass
    opened.dispose()
    postgresql_databases.drop(url)


# -- SQLite alone -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pragma", "wanted"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 5000)],
)
def test_sqlite_is_prepared(on_file: Database, pragma: str, wanted: Any) -> None:
    with on_file.reading() as session:
        assert session.execute(text(f"PRAGMA {pragma}")).scalar_one() == wanted


def test_sqlite_refuses_a_value_of_the_wrong_type(on_file: Database) -> None:
    with pytest.raises(IntegrityError, match="cannot store TEXT value in INTEGER column"):
        write_text(on_file, "INSERT INTO audit_stream VALUES ('64.02', 'x', 'many', '', 0)")


def write_text(database: Database, statement: str) -> None:
    with database.transaction() as session:
        session.execute(text(statement))
        log(session)


def test_sqlite_writers_wait_for_one_another(on_file: Database) -> None:
    with on_file.transaction() as session:
        upsert(session, table(JobRun), [{**ROW, "result": "0"}])
        log(session)

    def add_one(_: int) -> None:
        with on_file.transaction() as session:
            (found,) = session.scalars(select(JobRun.result))
            upsert(session, table(JobRun), [{**ROW, "result": str(int(found) + 1)}])
            log(session)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add_one, range(40)))
    assert results(on_file) == ["40"]


def test_sqlite_lock_is_free_again_when_a_writer_failed(on_file: Database) -> None:
    with pytest.raises(StatementError):
        write_text(on_file, "INSERT INTO nowhere VALUES (1)")
    with on_file.transaction() as session:
        log(session)
