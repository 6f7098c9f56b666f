"""What is personal is nowhere to be read: not in the file, its log, nor any column of a dump."""

import orjson
import pytest

from server.crypto.vault import KeyUnusable, SigningKey
from tests.server._district import District, sqlite_file
from tests.server.privacy._planted import everything, plant, words


def test_no_column_holds_a_planted_word(installed: District) -> None:
    one, two = installed.tablet(), installed.tablet(1)
    child = plant(one)
    one.sync_until_quiet()
    assert one.outcomes().count("quarantined") == 7
    one.edit_child(child, post={"post": installed.posts[1]})
    installed.settle(one, two)
    found = [
        place
        for place, value in everything(installed.hub.database.engine)
        for word in words()
        if word in value
    ]
    assert found == []


def test_no_file_holds_a_planted_word(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    plant(tablet)
    tablet.sync_until_quiet()
    files = sorted(sqlite_file(on_sqlite).parent.glob(f"{sqlite_file(on_sqlite).name}*"))
    assert any(path.name.endswith("-wal") and path.stat().st_size > 0 for path in files)
    raw = b"".join(path.read_bytes() for path in files)
    assert [word for word in words() if word in raw] == []


def test_the_search_finds_a_word_that_is_there(installed: District) -> None:
    found = {place for place, value in everything(installed.hub.database.engine) if b"Melati 1" in value}
    assert found == {"health_post.name", "audit_entry.details"}


def test_receipt_repeats_no_planted_word(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    plant(tablet)
    tablet.sync()
    receipt = orjson.dumps(tablet.answers[-1]["receipt"])
    assert b"quarantined" in receipt
    assert [word for word in words() if word in receipt] == []


def test_code_and_key_of_a_tablet_are_not_stored(installed: District) -> None:
    key = SigningKey()
    installed.enrol(key)
    private = key.private_number().to_bytes(32, "big")
    values = [value for _, value in everything(installed.hub.database.engine)]
    assert not any(private in value or private.hex().encode() in value for value in values)


def test_person_cannot_be_read_but_the_log_still_verifies_when_the_key_is_destroyed(
    installed: District,
) -> None:
    tablet = installed.tablet()
    plant(tablet)
    tablet.sync_until_quiet()
    with installed.hub.database.engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        connection.rollback()
        raw.execute("UPDATE child SET wrapped_key = NULL")
        raw.commit()
    with pytest.raises(KeyUnusable, match="erased"):
        installed.stored()
    assert installed.broken_log() == []
