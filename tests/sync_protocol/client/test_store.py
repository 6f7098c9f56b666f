"""What is in the file is what was saved: all of it or nothing, once, in order."""

import sqlite3
import stat
from contextlib import closing
from dataclasses import fields
from pathlib import Path

import pytest

from sync_protocol import LocalProtocolError, Replica
from sync_protocol.client import Client, Store, new_id
from sync_protocol.client.store import _OF_REPLICA
from tests.server._district import District
from tests.sync_protocol.client._hall import Hall, enrolled, measure, register, reopened


def test_everything_of_a_replica_is_found_again_when_the_file_is_reopened(
    hall: Hall, file: Path, tablet: Client
) -> None:
    child = new_id()
    register(tablet, child)
    tablet.sync()
    measure(tablet, child, 1)
    tablet.letters_to_carry()
    measure(tablet, child, 2, weight_g=20)  # which is set aside
    tablet.exchange(at_most=1)
    tablet.store._database.execute("PRAGMA wal_checkpoint")
    before = tablet.replica
    tablet.close()
    with reopened(hall, file) as again:
        assert again.replica == before
        assert again.replica is not before
        assert again.store.facts == tablet.store.facts


def test_what_was_erased_is_not_in_the_file_and_its_hashes_are(
    hall: Hall, file: Path, tablet: Client
) -> None:
    child, other = new_id(), new_id()
    register(tablet, child)
    register(tablet, other)
    tablet.sync()
    measure(tablet, child, 1, weight_g=8765)
    tablet.sync()
    with tablet.store.changing():
        tablet.replica._erase([child])
    before = tablet.replica
    assert [logged.erased for logged in before.log] == [True, False, True]
    tablet.close()
    with closing(sqlite3.connect(file)) as database:
        assert [row for row in database.execute("SELECT wire FROM change") if "8765" in row[0]] == []
    with reopened(hall, file) as again:
        assert again.replica == before


def test_every_field_of_a_replica_is_stored() -> None:
    of_tables = {"log", "base", "pending"}
    assert {field.name for field in fields(Replica)} == of_tables | set(_OF_REPLICA)


def test_a_pending_batch_is_found_again_when_the_file_is_reopened(
    hall: Hall, file: Path, tablet: Client
) -> None:
    measure(tablet, new_id(), 1)
    tablet._letter(None)
    before = tablet.replica.pending
    tablet.close()
    with reopened(hall, file) as again:
        assert again.replica.pending == before is not None


def test_only_the_new_change_is_written_when_one_is_added(tablet: Client) -> None:
    for ago in range(1, 21):
        measure(tablet, new_id(), ago)
    database = tablet.store._database
    before = database.total_changes
    measure(tablet, new_id(), 1)
    assert database.total_changes - before == 1


def test_nothing_is_written_when_nothing_changed(tablet: Client) -> None:
    before = tablet.store._database.total_changes
    with tablet.store.changing():
        pass
    assert tablet.store._database.total_changes == before


def test_a_change_is_nowhere_when_the_disk_is_full(hall: Hall, file: Path, tablet: Client) -> None:
    child = new_id()
    kept = measure(tablet, child, 1)
    database = tablet.store._database
    pages = database.execute("PRAGMA page_count").fetchone()[0]
    database.execute(f"PRAGMA max_page_count = {pages}")
    form = tablet.open_measurement(child, "2026-01-01")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        tablet.write(form, {"note": {"text": "x" * 50_000}}, author="kader-contoh")
    assert [entry.change for entry in tablet.replica.log] == [kept]
    tablet.close()
    with reopened(hall, file) as again:
        assert [entry.change.hash for entry in again.replica.log] == [kept.hash]


def test_what_was_done_is_undone_when_the_block_fails(tablet: Client) -> None:
    def forget_all() -> None:
        with tablet.store.changing():
            tablet.replica.log.clear()
            tablet.store.facts["url"] = "elsewhere"
            raise KeyboardInterrupt

    change = measure(tablet, new_id(), 1)
    with pytest.raises(KeyboardInterrupt):
        forget_all()
    assert tablet.replica.log[0].change.hash == change.hash
    assert tablet.store.facts["url"] != "elsewhere"


def test_nothing_of_it_is_stored_when_a_part_cannot_be(tablet: Client) -> None:
    def put_half_a_letter() -> None:
        with tablet.store.changing():
            tablet.replica.token = "another"
            tablet.store.facts["url"] = "\ud800"

    with pytest.raises(UnicodeEncodeError):
        put_half_a_letter()
    assert tablet.replica.token == tablet.store.reread().token == ""
    change = measure(tablet, new_id(), 1)
    assert tablet.store.reread().log[0].change == change


def test_a_file_cannot_be_opened_twice(hall: Hall, file: Path, tablet: Client) -> None:
    with pytest.raises(LocalProtocolError, match="store-in-use"):
        reopened(hall, file)


def test_a_file_is_its_owners_alone(file: Path, tablet: Client) -> None:
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_is_told_missing_when_there_is_none(hall: Hall, file: Path) -> None:
    with pytest.raises(LocalProtocolError, match="store-missing"):
        reopened(hall, file)


def test_a_store_is_told_not_enrolled_when_it_is_empty(hall: Hall, file: Path) -> None:
    Store.open(file, create=True).close()
    with pytest.raises(LocalProtocolError, match="not-enrolled"):
        reopened(hall, file)


@pytest.mark.parametrize("create", [True, False])
def test_another_programs_file_is_left_alone(file: Path, create: bool) -> None:
    with closing(sqlite3.connect(file)) as theirs:
        theirs.execute("CREATE TABLE theirs (x)")
    before = file.read_bytes()
    with pytest.raises(LocalProtocolError, match="store-foreign"):
        Store.open(file, create=create)
    assert file.read_bytes() == before


def test_a_file_that_is_no_database_is_told_damaged(file: Path) -> None:
    file.write_bytes(b"not a database" * 1000)
    with pytest.raises(LocalProtocolError, match="store-damaged"):
        Store.open(file)


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM change WHERE counter = 2",
        "UPDATE change SET wire = replace(wire, '8200', '8201') WHERE counter = 1",
    ],
)
def test_a_log_is_told_damaged_when_its_hashes_do_not_chain(
    hall: Hall, file: Path, tablet: Client, damage: str
) -> None:
    for ago in (1, 2, 3):
        measure(tablet, new_id(), ago)
    tablet.close()
    with closing(sqlite3.connect(file)) as broken:
        broken.execute(damage)
        broken.commit()
    with pytest.raises(LocalProtocolError, match="store-damaged"):
        reopened(hall, file)


def test_a_copy_is_a_whole_store(on_sqlite: District, hall: Hall, tmp_path: Path, file: Path) -> None:
    with enrolled(on_sqlite, hall, file) as tablet:
        measure(tablet, new_id(), 1)
        tablet.store.copy_to(tmp_path / "copy.tablet")
        with reopened(hall, tmp_path / "copy.tablet") as copy:
            assert copy.replica == tablet.replica
