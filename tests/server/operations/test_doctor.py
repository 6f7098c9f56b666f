"""Doctor: content with a sound installation, and names each planted damage with its remedy."""

import ctypes
import json
import os
import shutil
import struct
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import func, select, text

from server import accounts
from server.backup import backup
from server.cli import main
from server.context import AppContext
from server.database.models import AuditEntry, Batch
from server.demo.directory import incarnation_in, mark
from server.operations import scheduler
from server.operations.doctor import (
    ADJTIMEX_BYTES,
    WORDS,
    Check,
    as_json,
    as_line,
    examine,
)
from server.operations.doctor.service import is_synchronised
from tests.faults._running import environment, free_port
from tests.server._district import DISTRICT, Databases, District, FakeTablet, identity, sqlite_file
from tests.server._people import add_person
from tests.server.privacy._requests import erased


def silent(_what: str, _done: int, _total: int) -> None:
    """Tell nobody how far it has come."""


def checked(of: District, /, *, quick: bool = False, **others: Any) -> dict[str, Check]:
    """Give every check by name."""
    settings = replace(of.hub.settings, **others)
    found = examine(settings, now=datetime.now(UTC), quick=quick, progress=silent)
    return {check.name: check for check in found}


def problems(of: District, /, *, quick: bool = False, **others: Any) -> dict[str, list[str]]:
    """Give what is wrong, by check."""
    found = checked(of, quick=quick, **others)
    return {name: list(check.found) for name, check in found.items() if not check.is_ok}


def damage(district: District, statement: str, **given: Any) -> None:
    """Alter data behind the server's back."""
    with district.hub.database.engine.connect() as connection:
        driver: Any = connection.connection.dbapi_connection
        if district.hub.settings.is_sqlite:
            changed = driver.execute(statement, given).rowcount
        else:
            for name in given:
                statement = statement.replace(f":{name}", f"%({name})s")
            changed = driver.execute(statement, given).rowcount
        driver.commit()
    assert changed > 0


@pytest.fixture
def at_work(databases: Databases) -> Iterator[District]:
    """Give a district with two children, on each kind of database in turn."""
    with District.opened(databases, after=two_tablets_at_work) as district:
        yield district


def two_tablets_at_work(installed: District) -> None:
    """Register two children, one of them in conflict between two tablets and to be visited; have one change set aside."""
    tablet, other = installed.tablet(), installed.tablet()
    first, second = tablet.register_child(), tablet.register_child(identity=identity(sex="F"))
    tablet.measure(first, weight_g=9000, length_mm=720, note="catatan")
    tablet.measure(second, weight_g=9100, length_mm=730)
    tablet.sync_until_quiet()
    other.sync_until_quiet()
    other.measure(second, "2026-02-05", weight_g=1_000_000)
    other.edit_child(first, identity=identity(name="Anak Lain", born_on="2025-01-12"))
    other.set_result(first, other.set_task(first, action="home_visit"))
    tablet.edit_child(first, identity=identity(name="Anak Ini"))
    other.sync_until_quiet()
    tablet.sync_until_quiet()


# -- sound ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("quick", [False, True])
def test_doctor_is_content_with_a_sound_installation(at_work: District, quick: bool) -> None:
    found = checked(at_work, quick=quick)
    assert {name: check.found for name, check in found.items() if not check.is_ok} == {}
    assert list(found) == list(WORDS)
    assert found["ledger"].looked_at == len(at_work.rows(text("SELECT 1 FROM change")))
    assert found["states"].looked_at == 2


def test_doctor_only_reads(at_work: District) -> None:
    before, log = at_work.counts(), at_work.actions("office")
    checked(at_work)
    assert (at_work.counts(), at_work.actions("office")) == (before, log)


def test_an_erased_person_is_no_damage(at_work: District) -> None:
    child = at_work.rows(text("SELECT id FROM child WHERE sex = 'F'"))[0][0]
    erased(at_work, child)
    scheduler.run_job(at_work.hub, "withdrawals", at_work.clock.now)
    assert problems(at_work) == {}


def test_fake_erasure_is_damage(at_work: District) -> None:
    child = at_work.rows(text("SELECT id FROM child WHERE sex = 'F'"))[0][0]
    damage(at_work, "UPDATE child SET wrapped_key = NULL, state = NULL WHERE id = :id", id=child)
    assert problems(at_work)["rows"] == [f"child {child}: changed outside"]


# -- damaged --------------------------------------------------------------------------------------

FLIPPED = {
    True: "UPDATE {table} SET {column} = CAST(substr({column}, 1, 40) || x'00' || substr({column}, 42) AS BLOB)",
    False: "UPDATE {table} SET {column} = overlay({column} placing '\\x00'::bytea from 41)",
}
TABLET = "actor = (SELECT actor FROM change WHERE outcome = 'quarantined')"

DAMAGES: dict[str, tuple[str, str, str]] = {
    "altered weight": (
        "UPDATE measurement SET weight_g = 1 WHERE measured_on = '2026-03-05'",
        "states",
        "weight_g differ",
    ),
    "altered birth date": (
        "UPDATE child SET born_on = '2025-01-11' WHERE sex = 'F'",
        "states",
        "born_on differ",
    ),
    "child at another post": (
        "UPDATE measurement SET post_id = (SELECT id FROM health_post WHERE name = 'Anggrek 2')",
        "states",
        "post_id differ",
    ),
    "person mixed up": (
        "UPDATE child SET person_id = '01900000-0000-7000-8000-00000000ffff'",
        "states",
        "person_id",
    ),
    "doubt forgotten": ("UPDATE measurement SET clock_days = 3", "states", "clock_days differ"),
    "measurement gone": ("DELETE FROM measurement", "states", ": missing"),
    "change altered": (
        "UPDATE change SET hash = 'x' || substr(hash, 2) WHERE counter = 1 AND kind = 'child'",
        "ledger",
        "/1: header altered",
    ),
    "change gone": ("DELETE FROM change WHERE counter = 2 AND kind = 'child'", "ledger", "/2: missing"),
    "last change gone": ("DELETE FROM change WHERE counter = 5", "ledger", "4 held, 5 acknowledged"),
    "change numbered below one": (
        "UPDATE change SET counter = -1 WHERE counter = 1 AND kind = 'child'",
        "ledger",
        "/1: missing",
    ),
    "tablet that took more": (
        "UPDATE tablet SET last_counter = last_counter + 1",
        "ledger",
        "acknowledged",
    ),
    "chain that ends elsewhere": ("UPDATE tablet SET chain_hash = 'x'", "ledger", "chain ends elsewhere"),
    "receipt altered": (
        "UPDATE batch SET outcomes = '{\"applied\": 99}'",
        "batches",
        "outcomes do not add up",
    ),
    "log altered": ("UPDATE audit_entry SET actor = 'x' WHERE number = 2", "log", "entry 2 was altered"),
    "log cut off": ("DELETE FROM audit_entry WHERE action = 'batch.accepted'", "log", "was cut off"),
    "position twice": (
        "UPDATE measurement SET position = (SELECT max(position) FROM child)",
        "streams",
        "times",
    ),
    "position beyond the end": ("UPDATE measurement SET position = position + 99", "streams", "head"),
    "assessment gone": (
        "DELETE FROM assessment WHERE measured_on = '2026-03-05'",
        "assessments",
        "assessment ",
    ),
    "rules of another release": (
        "UPDATE assessment SET engine = 'growth-0'",
        "rules",
        "growth-0: 2 children",
    ),
    "flag gone": ("DELETE FROM flag WHERE rule = 'conflict'", "assessments", "/conflict"),
    "follow-up altered": ("UPDATE follow_up SET outcome = 'died'", "states", "outcome differ"),
    "follow-up gone": ("DELETE FROM follow_up", "states", "missing"),
    "follow-up twice": (
        "UPDATE follow_up SET position = (SELECT max(position) FROM child)",
        "streams",
        "times",
    ),
    "queue altered": ("UPDATE attention SET status = 'closed'", "assessments", "attention "),
    "closed tablet": (
        "UPDATE tablet SET closed_at = '2026-03-05T02:00:00.000000+00:00'",
        "tablets",
        "closed 2026-03-05T",
    ),
}


@pytest.mark.every_case
@pytest.mark.parametrize("what", DAMAGES)
def test_damage_is_found_when_it_is(at_work: District, what: str) -> None:
    statement, check, words = DAMAGES[what]
    damage(at_work, statement)
    found = problems(at_work)
    assert check in found
    assert any(words in one for one in found[check]), found[check]


def test_assessments_of_another_release_are_told_once(at_work: District) -> None:
    damage(at_work, "UPDATE assessment SET engine = 'growth-0', inputs = 1")
    assert problems(at_work).keys() == {"rules"}
    assert "not compared" in as_line(checked(at_work)["assessments"])


@pytest.mark.parametrize(
    ("of", "column", "where", "check", "words"),
    [
        ("child", "state", "", "sealed", "sealed with another key, moved or altered"),
        ("child", "wrapped_key", "", "sealed", "sealed with another key, moved or altered"),
        ("measurement", "state", "", "states", ""),
        ("follow_up", "state", "", "states", ""),
        ("change", "header", "", "ledger", ""),
        ("change", "content", " WHERE sealed = 0", "ledger", "content"),
        ("change", "content", " WHERE sealed = 1", "ledger", "content unreadable"),
        ("change", "content", " WHERE sealed = 2", "ledger", "content unreadable"),
        ("batch", "receipt", "", "batches", ""),
    ],
)
def test_flipped_byte_is_found(
    at_work: District,
    of: str,
    column: str,
    where: str,
    check: str,
    words: str,
) -> None:
    statement = FLIPPED[at_work.hub.settings.is_sqlite].format(table=of, column=column)
    damage(at_work, statement + where)
    found = problems(at_work)
    assert check in found
    assert any(words in one for one in found[check]), found[check]


@pytest.mark.every_case
@pytest.mark.parametrize("what", ["change gone", "last change gone", "tablet that took more", "log altered"])
def test_quick_look_finds_a_hole_too(at_work: District, what: str) -> None:
    statement, check, _ = DAMAGES[what]
    damage(at_work, statement)
    assert check in problems(at_work, quick=True)


def test_one_unreadable_child_does_not_hide_another(at_work: District) -> None:
    at_work.tablet().register_child()
    flipped = FLIPPED[at_work.hub.settings.is_sqlite].format(table="measurement", column="state")
    damage(at_work, flipped + " WHERE sealed = 1")
    damage(at_work, "UPDATE measurement SET weight_g = 1 WHERE sealed = 0")
    found = problems(at_work)["states"]
    assert sum("unreadable" in one for one in found) == 1
    assert sum("weight_g differ" in one for one in found) == 1


# -- keys, place, database ------------------------------------------------------------------------


def test_wrong_key_file_is_named_once_and_not_for_every_record(at_work: District, tmp_path: Path) -> None:
    others = replace(at_work.hub.settings, key_file=tmp_path / "others.json")
    AppContext.open(others, create_keys=True).database.dispose()
    found = problems(at_work, key_file=others.key_file)
    assert list(found) == ["sealed"]
    assert len(found["sealed"]) == 2


def test_missing_key_file_is_found(installed: District, tmp_path: Path) -> None:
    found = problems(installed, key_file=tmp_path / "none.json")
    assert found == {
        "keys": [f"there is no key file {tmp_path / 'none.json'}: restore it from your backup of the keys"]
    }


def test_key_file_that_others_can_read_is_found(on_sqlite: District) -> None:
    on_sqlite.hub.settings.key_file.chmod(0o644)
    try:
        assert problems(on_sqlite) == {"keys": [f"{on_sqlite.hub.settings.key_file}: mode 0644"]}
    finally:
        on_sqlite.hub.settings.key_file.chmod(0o600)


def test_database_that_others_can_read_is_found(on_sqlite: District) -> None:
    """Names in it are sealed; birth dates and weights are not."""
    file = sqlite_file(on_sqlite)
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o640)
    assert problems(on_sqlite) == {"place": [f"{file}: mode 0640"]}


def test_place_without_room_is_found(on_sqlite: District, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = os.statvfs(on_sqlite.hub.settings.data_dir)
    monkeypatch.setattr("server.operations.doctor.disk.LEAST_FREE_BYTES", usage.f_bavail * usage.f_frsize * 2)
    assert "MiB free of" in problems(on_sqlite)["place"][0]


def test_another_district_and_another_release_are_found(on_sqlite: District) -> None:
    assert problems(on_sqlite, district="64.03") == {"district": [f"64.03, not {DISTRICT}"]}
    damage(on_sqlite, "UPDATE alembic_version SET version_num = 'older'")
    assert list(problems(on_sqlite)) == ["schema"]


def test_damaged_file_is_found(on_sqlite: District, tablet_on_sqlite: FakeTablet) -> None:
    on_sqlite.hub.database.dispose()
    raw = bytearray(sqlite_file(on_sqlite).read_bytes())
    for page in range(4096 * 20, len(raw), 4096 * 7):
        raw[page : page + 16] = b"\xff" * 16
    sqlite_file(on_sqlite).write_bytes(raw)
    assert list(problems(on_sqlite)) == ["database"]


@pytest.fixture
def tablet_on_sqlite(on_sqlite: District) -> FakeTablet:
    tablet = on_sqlite.tablet()
    tablet.register_child()
    tablet.sync_until_quiet()
    return tablet


def test_missing_database_is_found_and_not_made(on_sqlite: District, tmp_path: Path) -> None:
    file = tmp_path / "posyandu.db"
    found = problems(on_sqlite, data_dir=tmp_path, database_url=f"sqlite:///{file}")
    assert found == {"database": [f"{file}: none"]}
    assert not file.exists()


def test_database_out_of_reach_is_found(on_sqlite: District) -> None:
    url = f"postgresql://somebody:secret@127.0.0.1:{free_port()}/posyandu"
    found = problems(on_sqlite, database_url=url)
    assert list(found) == ["database"]
    assert "secret" not in str(found)


def test_stopped_scheduler_is_found(installed: District) -> None:
    later = datetime.now(UTC) + timedelta(hours=4)
    checks = examine(installed.hub.settings, now=later, quick=True, progress=silent)
    assert [check.name for check in checks if not check.is_ok] == ["scheduler"]


# -- how it is run --------------------------------------------------------------------------------


def at(district: District, moment: datetime) -> dict[str, list[str]]:
    """Give what is wrong at another moment, by check."""
    checks = examine(district.hub.settings, now=moment, quick=True, progress=silent)
    return {check.name: list(check.found) for check in checks if not check.is_ok}


def test_clock_before_the_newest_entry_of_the_log_is_found(at_work: District) -> None:
    newest: datetime = at_work.rows(select(func.max(AuditEntry.at)))[0][0]
    assert newest >= at_work.rows(select(func.max(Batch.received_at)))[0][0]
    assert "clock" not in at(at_work, newest - timedelta(seconds=50))
    found = at(at_work, newest - timedelta(seconds=70))["clock"]
    assert len(found) == 1
    assert newest.isoformat(timespec="seconds") in found[0]


@pytest.mark.parametrize(("synchronised", "said"), [(True, False), (None, False), (False, True)])
def test_clock_that_nothing_synchronises_is_remarked_and_no_problem(
    on_sqlite: District, monkeypatch: pytest.MonkeyPatch, synchronised: bool | None, said: bool
) -> None:
    monkeypatch.setattr("server.operations.doctor.service.is_synchronised", lambda: synchronised)
    clock = checked(on_sqlite, quick=True)["clock"]
    assert clock.is_ok
    assert ("not synchronised with a time server" in as_line(clock)) == said


@pytest.mark.skipif(
    sys.platform != "linux" or sys.maxsize < 2**32, reason="the structure is that of 64-bit Linux"
)
def test_system_is_asked_whether_its_clock_is_synchronised() -> None:
    """What adjtimex gives is what it writes in `status`: STA_UNSYNC is 0x0040, STA_CLOCKERR 0x1000 (sys/timex.h)."""
    told = ctypes.create_string_buffer(ADJTIMEX_BYTES)
    if ctypes.CDLL(None).adjtimex(told) < 0:  # a sandbox may bar the call
        assert is_synchronised() is None
    else:
        (status,) = struct.unpack_from("i", told, 40)
        assert is_synchronised() == (status & 0x1040 == 0)


def test_backup_that_is_old_or_was_never_made_is_found(installed: District, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    assert "backups" not in at(installed, now + timedelta(hours=47))
    assert at(installed, now + timedelta(hours=49))["backups"] == ["newest: none"]
    backup(installed.hub, tmp_path / "b.backup", force=False, now=now + timedelta(hours=24), progress=silent)
    assert "backups" not in at(installed, now + timedelta(hours=71))
    then = (now + timedelta(hours=24)).isoformat(timespec="minutes")
    assert at(installed, now + timedelta(hours=73))["backups"] == [f"newest: {then}"]


PASSWORD = "kuda-laut-hijau"


def add(district: District, username: str, role: str = "staff", kind: str = "district") -> str:
    scope = DISTRICT if kind == "district" else district.posts[0]
    who = (username, "Orang Contoh", role, kind, scope, PASSWORD)
    return add_person(district.hub, *who, district.clock.now)


def test_server_that_asks_nobody_for_a_second_factor_is_found(installed: District) -> None:
    settings = installed.hub.settings
    assert not settings.second_factor
    assert problems(installed) == {}  # there is nobody to ask
    add(installed, "kader", "cadre", "post")
    assert problems(installed) == {}  # cadres may do without
    add(installed, "petugas")
    assert problems(installed) == {"second-factor": ["POSYANDU_SECOND_FACTOR=0"]}
    assert problems(installed, second_factor=True) == {}


def test_who_was_let_in_without_a_second_factor_is_found_whatever_doctors_own_environment_says(
    installed: District,
) -> None:
    account = add(installed, "petugas")
    assert accounts.sign_in(installed.hub, "petugas", PASSWORD, datetime.now(UTC))
    found = problems(installed, second_factor=True)
    assert found == {"second-factor": [f"account {account}: signed in without one"]}
    strict = replace(installed.hub.settings, second_factor=True)
    later = datetime.now(UTC) + timedelta(hours=2)  # the session has ended
    assert [c.name for c in examine(strict, now=later, quick=True, progress=silent) if not c.is_ok] == []


def test_demo_may_do_without_second_factor_and_backup(on_sqlite: District, tmp_path: Path) -> None:
    file = tmp_path / "posyandu.db"
    shutil.copy(sqlite_file(on_sqlite), file)
    settings = replace(on_sqlite.hub.settings, data_dir=tmp_path, database_url=f"sqlite:///{file}")
    later = datetime.now(UTC) + timedelta(days=9)

    def found() -> set[str]:
        return {c.name for c in examine(settings, now=later, quick=True, progress=silent) if not c.is_ok}

    assert "backups" in found()
    mark(settings, incarnation_in(file))
    assert "backups" not in found()
    mark(settings, "of another one")
    assert "backups" in found()


# -- said -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WORDS)
def test_line_is_one_line_in_both_languages(name: str) -> None:
    well, ill = as_line(Check(name, 7, 0, [])), as_line(Check(name, 7, 9, ["a", "b", "c", "d"]))
    assert well.startswith(f"ok       {name}: ")
    assert ill.startswith(f"problem  {name}: 9 (a; b; c; …): ")
    assert "\n" not in well + ill
    assert all(" / " in line for line in (well, ill))


def test_json_says_the_same() -> None:
    told = json.loads(as_json([Check("ledger", 7, 1, ["x/1: missing"])]))
    assert told[0]["status"] == "problem"
    assert told[0]["found"] == ["x/1: missing"]
    assert told[0]["english"] == WORDS["ledger"].problem.en


def call(district: District, *arguments: str) -> Result:
    env: dict[str, str | None] = dict.fromkeys(os.environ)
    env.update(environment(district.hub.settings))
    return CliRunner().invoke(main, list(arguments), env=env)


def test_command_exits_0_when_all_is_well_and_1_when_not(at_work: District) -> None:
    result = call(at_work, "doctor")
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, len(WORDS))
    damage(at_work, "UPDATE measurement SET weight_g = 1")
    result = call(at_work, "doctor", "--format", "json")
    assert result.exit_code == 1
    assert [one["check"] for one in json.loads(result.stdout) if one["status"] == "problem"] == [
        "states",
        "assessments",
    ]


def test_command_exits_2_when_there_is_no_such_place(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["doctor", "--data", str(tmp_path / "none")])
    assert result.exit_code == 2
    assert "there is no installation in" in result.stderr
