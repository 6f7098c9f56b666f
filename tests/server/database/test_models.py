"""The tables: district leads every key, and the migrated schema is the one that the models say."""

import subprocess
import sys
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Table, UniqueConstraint, create_engine, text

from server.database.migrations import _config, migrate, newest, present, revisions
from server.database.models import CROSS_DISTRICT, Base
from tests.server._district import Databases

TABLES = list(Base.metadata.tables.values())
OF_A_DISTRICT = [each for each in TABLES if each.name not in CROSS_DISTRICT]


def named(each: Table) -> str:
    return each.name


@pytest.mark.parametrize("each", OF_A_DISTRICT, ids=named)
def test_district_leads_the_primary_key(each: Table) -> None:
    assert next(iter(each.primary_key.columns)).name == "district"


@pytest.mark.parametrize("each", OF_A_DISTRICT, ids=named)
def test_district_leads_every_foreign_and_unique_key_and_index(each: Table) -> None:
    keys: list[Any] = [key for key in each.constraints if isinstance(key, UniqueConstraint)]
    keys += [*each.foreign_key_constraints, *each.indexes]
    assert [key for key in keys if next(iter(key.columns)).name != "district"] == []
    for key in each.foreign_key_constraints:
        assert next(iter(key.elements)).column.name == "district"


def test_tables_across_districts_are_led_by_the_key_that_distributes_them() -> None:
    led = {name: next(iter(Base.metadata.tables[name].primary_key.columns)).name for name in CROSS_DISTRICT}
    assert led == CROSS_DISTRICT
    assert all("district" in Base.metadata.tables[name].columns for name in CROSS_DISTRICT)


@pytest.mark.parametrize("each", TABLES, ids=named)
def test_no_id_comes_from_a_sequence(each: Table) -> None:
    assert [
        column.name for column in each.columns if column.autoincrement is True or column.server_default
    ] == []
    assert each.autoincrement_column is None


def test_migrated_schema_is_the_one_that_the_models_say(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_every_sqlite_table_is_strict(sqlite_databases: Databases) -> None:
    engine = create_engine(sqlite_databases.migrated())
    with engine.connect() as connection:
        found = connection.execute(
            text("SELECT name, strict, wr FROM pragma_table_list WHERE schema = 'main'")
        ).all()
    engine.dispose()
    ours = {row.name: (row.strict, row.wr) for row in found if row.name in Base.metadata.tables}
    assert ours.keys() == Base.metadata.tables.keys()
    assert set(ours.values()) == {(1, 1)}


def test_migrating_again_changes_nothing(database_url: str) -> None:
    migrate(database_url)
    assert present(database_url) == newest()


def test_revisions_are_those_that_alembic_knows() -> None:
    scripts = ScriptDirectory.from_config(_config(""))
    assert revisions() == {script.revision for script in scripts.walk_revisions()}
    assert newest() == scripts.get_current_head()


def test_empty_database_has_no_revision(databases: Databases) -> None:
    url = databases.empty()
    assert present(url) is None
    databases.drop(url)


def test_two_servers_that_start_together_migrate_once(databases: Databases) -> None:
    url = databases.empty()
    command = [sys.executable, "-c", f"from server.database.migrations import migrate; migrate({url!r})"]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    assert [(process.communicate()[1], process.returncode) for process in started] == [(b"", 0)] * 2
    assert present(url) == newest()
    databases.drop(url)
