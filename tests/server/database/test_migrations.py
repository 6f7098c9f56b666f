"""The renaming of tables and columns (0014), on a database of the schema before it that holds data."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Select, Table, create_engine, inspect, select, text

from server import accounts
from server.backup import backup, restore
from server.config import Settings
from server.context import AppContext
from server.database import migrations
from server.database.models import Base
from tests.server._district import Databases, District, identity
from tests.server._people import add_person

BEFORE = "0013"
RENAMED = {"rate_limit": "tries", "session": "sign_in", "post_exit": "departure"}
ADDED = {"rate_limit": ("last_at",)}
"""Columns with values in these rows that came later: going back to the schema before loses them."""
PASSWORD = "kuda laut menari di karang"


def silent(_what: str, _done: int, _total: int) -> None:
    """Report no progress."""


def used(district: District) -> None:
    """Fill every table that is renamed or has a renamed column: a conflict, a task with its result, a child that moved, a
    cloned tablet, a NIK, a session and a failed sign-in."""
    tablet, other = district.tablet(), district.tablet()
    first, second = tablet.register_child(nik={"nik": "6402062001260001"}), tablet.register_child()
    tablet.measure(first, weight_g=6000, length_mm=720, note="catatan")
    tablet.measure(second, weight_g=9100, length_mm=730)
    tablet.sync_until_quiet()
    other.sync_until_quiet()
    other.edit_child(first, identity=identity(name="Anak Lain"))
    tablet.edit_child(first, identity=identity(name="Anak Ini"))
    other.set_result(first, other.set_task(first, action="home_visit"))
    other.set_task(second, action="home_visit")
    other.sync_until_quiet()
    tablet.edit_child(second, post={"post": district.posts[1]})
    tablet.sync_until_quiet()
    clone = tablet.clone()
    for device in (tablet, clone):
        device.edit_child(first, home={"address": "Jalan Contoh 1"})
        device.sync_until_quiet()
    hub, now = district.hub, district.clock.now
    add_person(hub, "petugas.contoh", "Petugas Contoh", "staff", "district", hub.district, PASSWORD, now)
    for password in (PASSWORD, "salah-salah-salah"):
        accounts.sign_in(hub, "petugas.contoh", password, now, address="192.0.2.1")


@pytest.fixture
def district(databases: Databases) -> Iterator[District]:
    """Give a district in which every renamed table has rows."""
    with District.opened(databases, after=used) as opened:
        assert [
            name for name in (*RENAMED, "attention", "follow_up", "nik_index") if not opened.counts()[name]
        ] == []
        yield opened


def contents(district: District) -> dict[str, list[tuple[Any, ...]]]:
    """Give all rows of all tables, without the columns that the schema before has no place for."""
    return {
        name: sorted(map(tuple, district.rows(kept(one))), key=repr)
        for name, one in Base.metadata.tables.items()
    }


def kept(one: Table) -> Select[Any]:
    """Select the columns that the schema before has too, without the MAC, which no migration can make
    (`tests/server/accounts/test_vouching.py`)."""
    left_out = {"mac", *ADDED.get(one.name, ())}
    return select(*(column for column in one.columns if column.name not in left_out))


def shape(url: str) -> dict[str, Any]:
    """Give the columns, keys and indexes of every table, by their names."""
    engine = create_engine(url)
    try:
        found = inspect(engine)
        return {
            name: (
                sorted(  # a column that comes back stands last: nothing of ours goes by their order
                    (column["name"], repr(column["type"]), column["nullable"])
                    for column in found.get_columns(name)
                ),
                found.get_pk_constraint(name)["constrained_columns"],
                sorted(key["name"] or "" for key in found.get_foreign_keys(name)),
                sorted(
                    (index["name"] or "", tuple(index["column_names"])) for index in found.get_indexes(name)
                ),
            )
            for name in sorted(found.get_table_names())
        }
    finally:
        engine.dispose()


def go_back(district: District) -> None:
    """Give a database the schema before the renaming."""
    district.hub.database.dispose()
    command.downgrade(migrations._config(district.hub.settings.database_url), BEFORE)


def test_data_and_log_are_the_same_after_the_renaming(district: District) -> None:
    before, states = contents(district), district.stored()
    go_back(district)
    migrations.migrate(district.hub.settings.database_url)
    assert contents(district) == before
    assert {ref: state.canonical() for ref, (_, state) in district.stored().items()} == {
        ref: state.canonical() for ref, (_, state) in states.items()
    }
    district.check_agreement()


def test_schema_before_the_renaming_is_the_released_one(databases: Databases, district: District) -> None:
    go_back(district)
    released = databases.empty()
    migrations.upgrade(released, BEFORE)
    assert shape(district.hub.settings.database_url) == shape(released)
    assert set(RENAMED.values()) <= shape(released).keys()
    databases.drop(released)


def test_renamed_schema_is_that_of_a_new_database(databases: Databases, district: District) -> None:
    go_back(district)
    migrations.migrate(district.hub.settings.database_url)
    new = databases.migrated()
    assert shape(district.hub.settings.database_url) == shape(new)
    databases.drop(new)


def test_backup_of_the_schema_before_is_restored(
    databases: Databases, district: District, tmp_path: Path
) -> None:
    before = contents(district)
    go_back(district)
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    old = AppContext.open(replace(district.hub.settings, data_dir=tmp_path / "old"))
    file, now = tmp_path / "old.backup", datetime.now(UTC)
    assert backup(old, file, force=False, now=now, progress=silent).manifest.revision == BEFORE
    old.database.dispose()
    elsewhere = replace(district.hub.settings, data_dir=tmp_path / "new", database_url=databases.empty())
    restore(elsewhere, file, plain=False, now=now, agreed=lambda _: True, progress=silent)
    migrations.migrate(district.hub.settings.database_url)
    assert differing(before, elsewhere) == {"audit_entry", "audit_stream", "installation", "session"}
    databases.drop(elsewhere.database_url)


def differing(before: dict[str, list[tuple[Any, ...]]], settings: Settings) -> set[str]:
    """Name the tables whose rows differ: a restore is logged, renews the incarnation and ends all sessions."""
    hub = AppContext.open(settings)
    with hub.database.reading() as session:
        assert session.execute(text("SELECT count(*) FROM session")).scalar() == 0
        rows = {name: list(session.execute(kept(one))) for name, one in Base.metadata.tables.items()}
    hub.database.dispose()
    return {name for name in rows if sorted(map(tuple, rows[name]), key=repr) != before[name]}


def test_every_table_and_index_of_sqlite_has_statistics(tmp_path: Path) -> None:
    """Where one has none, SQLite takes it for the best: the review queue was read four times as slowly."""
    settings = Settings.for_data(tmp_path, second_factor=False)
    migrations.migrate(settings.database_url)
    engine = create_engine(settings.database_url)
    with engine.connect() as connection:
        made = set(connection.execute(text("SELECT name FROM sqlite_master")).scalars())
        described = set(connection.execute(text("SELECT idx FROM sqlite_stat1")).scalars())
    engine.dispose()
    without = {"alembic_version", "installation"}  # one row each
    assert {name for name in made - without if not name.startswith("sqlite_")} - described == set()
