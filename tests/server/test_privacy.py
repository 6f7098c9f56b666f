"""What is personal is nowhere to be read: not in the file, its log, nor any column of a dump."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine, text

from server.crypto.vault import KeyUnusable, SigningKey
from server.database.models import Base
from tests.server._district import District, FakeTablet, identity, sqlite_file

PLANTED = {
    "name": "Putri Rahasia Contoh",
    "mother": "Ibu Rahasia Contoh",
    "father": "Ayah Rahasia Contoh",
    "phone": "+628129876543",
    "address": "Gang Rahasia 17 Contoh",
    "nik": "6402065001250003",
    "note": "Catatan rahasia contoh",
    "consent": "Nenek Rahasia Contoh",
    "reason": "Alasan rahasia contoh",
    "family": "Sumber rahasia contoh",
    "task_note": "Kunjungan rahasia contoh",
    "task_removed": "Tugas rahasia contoh",
}
ASTRAY = "NIK 6402065001250004 Budi Rahasia"
"""A NIK and a name where they do not belong."""


def plant(tablet: FakeTablet) -> str:
    """Write every kind of personal word, valid and not, in conflict, removed and moved; give the child's id."""
    child = tablet.register_child(
        None,
        identity=identity(name=PLANTED["name"]),
        parents={"mother": PLANTED["mother"], "father": PLANTED["father"], "phone": PLANTED["phone"]},
        home={"address": PLANTED["address"], "rt": "017"},
        nik={"nik": PLANTED["nik"]},
        consent={"given": True, "by": PLANTED["consent"]},
        family={"krs": True, "source": PLANTED["family"]},
    )
    tablet.measure(child, weight_g=9000, note=PLANTED["note"])
    tablet.write(tablet.replica.open_child(child), {"identity": {"name": ASTRAY, "sex": "X", ASTRAY: ASTRAY}})
    tablet.write(tablet.replica.open_child(child), {"nik": {"nik": ASTRAY}})
    tablet.write(tablet.replica.open_measurement(child, "2026-02-05"), {"weight": {"weight_g": ASTRAY}})
    tablet.write(
        tablet.replica.open_measurement(child, "2026-02-05"), {ASTRAY: {}, "removed": {"reason": ASTRAY}}
    )
    tablet.remove(child, "2026-03-05", reason=PLANTED["reason"])
    task = tablet.set_task(child, action="home_visit")
    todo = {"note": {"text": PLANTED["task_note"]}, "removed": {"reason": PLANTED["task_removed"]}}
    tablet.write(tablet.replica.open_follow_up(child, task), todo)
    tablet.set_task(child, action="home_visit", assigned_to=ASTRAY)
    tablet.set_task(child, action="home_visit", reason=ASTRAY)
    tablet.set_result(child, task, "done", covers=[ASTRAY])
    return child


def words() -> list[bytes]:
    whole = [*PLANTED.values(), ASTRAY, "6402065001250004", "Budi Rahasia", "Rahasia", "rahasia"]
    return [word.encode() for word in whole]


def everything(engine: Engine) -> Iterator[tuple[str, bytes]]:
    """Give every value of every column of every table, as bytes."""
    with engine.connect() as connection:
        for name in Base.metadata.tables:
            for row in connection.execute(text(f'SELECT * FROM "{name}"')).mappings():  # noqa: S608
                for column, value in row.items():
                    yield f"{name}.{column}", as_bytes(value)


def as_bytes(value: Any) -> bytes:
    return bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()


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
