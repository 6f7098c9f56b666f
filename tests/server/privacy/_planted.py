"""Made-up personal data that is planted and then searched for."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine, text

from server.database.models import Base
from tests.server._district import FakeTablet, identity

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
    "foreign": "Kartu rahasia contoh",
    "reading": "Timbangan rahasia contoh",
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
        extra={"ids": {"simpus:patient": PLANTED["foreign"]}},
    )
    tablet.measure(child, weight_g=9000, note=PLANTED["note"])
    reading = {"extra": {"ids": {"timbangan:reading": PLANTED["reading"]}}}
    tablet.write(tablet.replica.open_measurement(child, "2026-03-05"), reading)
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
