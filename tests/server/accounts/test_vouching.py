"""Rows of a release without MACs get theirs once, at the upgrade or a restore, and never again."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from alembic import command
from sqlalchemy import select, text, update

from server import accounts
from server.accounts import forged_rows, vouching
from server.backup import backup, restore
from server.context import AppContext
from server.database import migrations, row_macs
from server.database.models import Account, AuditEntry, Base, UserSession, table
from server.database.row_macs import NOT_COVERED, RowForged
from server.operations import key_rotation
from server.operations.serve import prepare
from tests.server._district import DISTRICT, Databases, District, FakeTablet, behind_its_back
from tests.server._people import add_person
from tests.server.accounts._intruder import code_for
from tests.server.accounts._people import PASSWORD, invite, sign_in

BEFORE = "0019"


def silent(_what: str, _done: int, _total: int) -> None:
    """Report no progress."""


@pytest.fixture
def place(databases: Databases) -> Iterator[District]:
    """Give a district with somebody of staff who is signed in, an open invitation, an open code and tablets."""
    with District.opened(databases, second_factor=False, log_level="CRITICAL") as district:
        hub, now = district.hub, datetime.now(UTC)  # `prepare` asks the real clock
        district.clock.now = now
        who = ("petugas.contoh", "Petugas Contoh", "staff", "district", DISTRICT, PASSWORD)
        account = add_person(hub, *who, now)
        sign_in(district)
        invite(district, account)
        code_for(district, 0)
        district.staff_tablet(*district.posts)
        yield district


def at_work(district: District) -> FakeTablet:
    """Enrol a tablet that has sent a child."""
    tablet = district.tablet()
    tablet.register_child()
    tablet.sync_until_quiet()
    return tablet


def go_back(district: District) -> None:
    """Give the database the schema of the release before, as it is before an upgrade."""
    district.hub.database.dispose()
    command.downgrade(migrations._config(district.hub.settings.database_url), BEFORE)


def upgrade(district: District) -> None:
    """Start the new release."""
    district.hub.database.dispose()
    district.hub = prepare(district.hub.settings)


def forged(hub: AppContext) -> int:
    with hub.database.reading() as session:
        return sum(one is not None for one in forged_rows.forged(session, hub.district))


def vouched(district: District) -> list[Any]:
    """Give what the log says of rows that got their first MACs."""
    query = select(AuditEntry.details).where(AuditEntry.action == "rows.vouched")
    return [orjson.loads(row.details) for row in district.rows(query)]


def test_upgrade_gives_every_row_its_mac_and_ends_what_was_open(place: District) -> None:
    tablet = at_work(place)
    go_back(place)
    upgrade(place)
    assert forged(place.hub) == 0
    (told,) = vouched(place)
    assert told["ended"] == {"session": 1, "invitation": 1, "enrolment_code": 1}
    assert told["rows"]["tablet"] == 2
    assert told["rows"]["account"] == told["rows"]["username"] == 1
    tablet.measure(next(iter(tablet.replica.base))[1], weight_g=9000)
    tablet.sync_until_quiet()
    assert sign_in(place) is not None
    assert place.broken_log() == []


def test_upgrade_that_was_killed_is_gone_on_with(place: District) -> None:
    go_back(place)
    vouching.note_upgrade(place.hub.settings, without=True)
    migrations.migrate(place.hub.settings.database_url)  # and here it was killed
    upgrade(place)
    assert forged(place.hub) == 0
    assert len(vouched(place)) == 1


def test_blanked_mac_is_not_made_anew(place: District) -> None:
    """Not even by whoever also takes the entry out of the log."""
    go_back(place)
    upgrade(place)
    with behind_its_back(place) as connection:
        connection.execute(update(table(Account)).values(role="administrator", mac=None))
        connection.execute(text("DELETE FROM audit_entry WHERE action = 'rows.vouched'"))
    upgrade(place)
    assert forged(place.hub) == 1
    with pytest.raises(RowForged):
        sign_in(place)


def test_database_that_was_set_back_to_the_schema_without_macs_gets_none(place: District) -> None:
    """Whoever may change tables too takes the columns away and starts the upgrade again."""
    upgrade(place)
    go_back(place)
    with behind_its_back(place) as connection:
        connection.execute(text("UPDATE account SET role = 'administrator'"))
    upgrade(place)
    assert vouched(place) == []
    with pytest.raises(RowForged):
        sign_in(place)


def test_new_installation_has_nothing_to_be_upgraded(place: District) -> None:
    upgrade(place)
    assert vouched(place) == []
    assert forged(place.hub) == 0
    assert sign_in(place) is not None


def test_backup_of_the_release_before_gets_macs_when_it_is_restored(place: District, tmp_path: Path) -> None:
    tablet = at_work(place)
    go_back(place)
    file, now = tmp_path / "old.backup", datetime.now(UTC)
    backup(place.hub, file, force=False, now=now, progress=silent)
    place.hub.database.dispose()
    migrations.migrate(place.hub.settings.database_url)
    vouching.note(place.hub.settings, vouching.DONE)
    restored = restore(place.hub.settings, file, plain=False, now=now, agreed=lambda _: True, progress=silent)
    assert not restored.keys_missing
    upgrade(place)
    assert forged(place.hub) == 0
    assert len(vouched(place)) == 1
    tablet.sync_until_quiet()
    assert sign_in(place) is not None


def test_restored_backup_keeps_its_macs(place: District, tmp_path: Path) -> None:
    file, now = tmp_path / "new.backup", datetime.now(UTC)
    backup(place.hub, file, force=False, now=now, progress=silent)
    restore(place.hub.settings, file, plain=False, now=now, agreed=lambda _: True, progress=silent)
    upgrade(place)
    assert forged(place.hub) == 0
    assert vouched(place) == []
    assert place.rows(select(UserSession.id)) == []


def test_rotation_renews_macs_and_leaves_what_somebody_else_has_written(place: District) -> None:
    own = place.hub.settings.data_dir / "keys.json"
    own.write_bytes(place.hub.settings.key_file.read_bytes())
    place.hub.database.dispose()
    place.hub = AppContext.open(replace(place.hub.settings, key_file=own))
    with behind_its_back(place) as connection:
        connection.execute(text("UPDATE tablet SET name = 'x'"))
    now = datetime.now(UTC)
    key_rotation.rotate(place.hub, actor="operator", now=lambda: now, progress=silent)
    assert versions(place) == {1: {"tablet"}, 2: {*names()} - {"tablet", "recovery_code"}}
    key_rotation.retire(place.hub, 1, actor="operator", now=now + timedelta(days=2))
    assert forged(place.hub) == 1
    assert sign_in(place) is not None


def versions(district: District) -> dict[int, set[str]]:
    """Give the tables that have MACs of each version of the master key."""
    found: dict[int, set[str]] = {}
    for model in NOT_COVERED:
        for row in district.rows(select(table(model).c.mac)):
            found.setdefault(int.from_bytes(row.mac[:2], "big"), set()).add(model.__tablename__)
    return found


def names() -> set[str]:
    return {model.__tablename__ for model in NOT_COVERED}


def test_every_table_with_a_mac_is_checked() -> None:
    """A new table that carries a MAC must be named in `row_macs`, or nothing would look at it."""
    carrying = {one.name for one in Base.metadata.sorted_tables if "mac" in one.columns}
    assert carrying == names()


def test_who_is_asks_the_keys_again_in_a_session_that_has_met_a_forged_row(place: District) -> None:
    token = sign_in(place)
    with behind_its_back(place) as connection:
        connection.execute(text("UPDATE account SET role = 'administrator'"))
    with place.hub.database.reading() as session:
        for _ in range(2):
            with pytest.raises(RowForged):
                accounts.who_is(session, place.hub, token, place.clock.now)


@pytest.mark.parametrize("model", NOT_COVERED, ids=lambda model: model.__tablename__)
def test_every_column_but_the_ones_named_is_covered(model: type[Base]) -> None:
    """A new column is covered without anybody's doing; one that is not must be named with its reason."""
    columns = {column.name for column in table(model).columns}
    assert set(row_macs.covered(model)) | NOT_COVERED[model] | {"mac"} == columns
    assert not set(row_macs.covered(model)) & NOT_COVERED[model]
