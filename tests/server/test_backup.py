"""Backup and restore: one moment of a database at work, put back whole or not at all, and every tablet notices."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, func, select, text

from server import migrations
from server.backup import MANIFEST, Archive, BackupRefused, Manifest, Restored, backup, mark_restored, restore
from server.cli import main
from server.config import Settings
from server.doctor import examine
from server.hub import Hub
from server.models import Base, ChangeRow, Installation, SignIn, Tablet, table
from sync_protocol import Resending
from tests.faults._running import COMMAND, ROOT, HttpTablet, environment, http_tablet, register, running
from tests.server._district import DISTRICT, Databases, District, FakeTablet


def silent(_what: str, _done: int, _total: int) -> None:
    """Tell nobody how far it has come."""


def back_up(district: District, file: Path, *, force: bool = False) -> Manifest:
    return backup(district.hub, file, force=force, now=district.clock.now, progress=silent)


def put_back(settings: Settings, file: Path, *, agrees: bool = True) -> Restored:
    return restore(settings, file, now=datetime.now(UTC), agreed=lambda _: agrees, progress=silent)


def ailments(settings: Settings) -> list[str]:
    """Give the checks that doctor is not content with."""
    checks = examine(settings, now=datetime.now(UTC), quick=False, progress=silent)
    return [f"{check.name}: {check.found}" for check in checks if not check.is_ok]


def everything(district: District) -> dict[str, list[tuple[Any, ...]]]:
    """Give all rows of all tables but the incarnation."""
    found = {}
    for name, one in Base.metadata.tables.items():
        columns = [column for column in one.columns if column.name != "incarnation"]
        found[name] = sorted(map(tuple, district.rows(select(*columns))), key=repr)
    return found


def incarnation(district: District) -> str:
    return str(district.rows(select(Installation.incarnation))[0][0])


@pytest.fixture
def place(installed: District, tmp_path: Path) -> Iterator[District]:
    """Give a district with a directory of its own for locks and kept data, and some children."""
    installed.hub.database.dispose()
    settings = replace(installed.hub.settings, data_dir=tmp_path / "data")
    settings.data_dir.mkdir()
    installed.hub = Hub.open(settings)
    yield installed
    installed.hub.database.dispose()


@pytest.fixture
def somewhere_else(databases: Databases, place: District, tmp_path: Path) -> Iterator[Settings]:
    """Give an empty place of the same kind of database, with the same keys."""
    url = databases.empty()
    yield replace(place.hub.settings, data_dir=tmp_path / "else", database_url=url)
    databases.drop(url)


def with_children(tablet: FakeTablet, count: int = 3) -> list[str]:
    ids = [tablet.register_child() for _ in range(count)]
    for number, child in enumerate(ids):
        tablet.measure(child, weight_g=9000 + number, length_mm=720, note="catatan")
        tablet.set_task(child, action="home_visit")
    tablet.sync_until_quiet()
    return ids


@pytest.fixture
def tablet_of(place: District) -> FakeTablet:
    """Give a tablet whose children are on the server."""
    tablet = place.tablet()
    with_children(tablet)
    return tablet


# -- making ---------------------------------------------------------------------------------------


def test_backup_says_what_is_in_it(place: District, tablet_of: FakeTablet, tmp_path: Path) -> None:
    before = place.counts()
    made = back_up(place, tmp_path / "b.zip")
    with Archive.open(tmp_path / "b.zip") as archive:
        archive.verify(silent)
        assert archive.manifest == made
    assert made.rows == before
    assert (made.district, made.incarnation) == (DISTRICT, incarnation(place))
    assert made.revision == migrations.newest()


def test_backup_is_logged_with_counts_alone(place: District, tmp_path: Path) -> None:
    made = back_up(place, tmp_path / "b.zip")
    entry = place.rows(text("SELECT details FROM audit_entry WHERE action = 'backup.made'"))
    details = json.loads(entry[0][0])
    assert details.keys() == {"rows", "tables", "bytes"}
    assert details["rows"] == made.total_rows
    assert place.broken_log() == []


def test_backup_is_for_its_owner_alone_and_holds_no_key(place: District, tmp_path: Path) -> None:
    back_up(place, tmp_path / "b.zip")
    assert (tmp_path / "b.zip").stat().st_mode & 0o777 == 0o600
    keys = json.loads(place.hub.settings.key_file.read_text())
    with zipfile.ZipFile(tmp_path / "b.zip") as zipped:
        content = b"".join(zipped.read(name) for name in zipped.namelist())
    assert all(key.encode() not in content for key in (*keys["masters"].values(), keys["session_secret"]))
    assert {path.name for path in tmp_path.iterdir()} == {"b.zip", "data"}


def test_backup_does_not_replace_an_older_file_unless_told(place: District, tmp_path: Path) -> None:
    file = tmp_path / "b.zip"
    file.write_text("older")
    with pytest.raises(BackupRefused, match="--force"):
        back_up(place, file)
    assert file.read_text() == "older"
    back_up(place, file, force=True)
    assert zipfile.is_zipfile(file)


def test_backup_is_one_moment_when_tablets_are_writing(
    place: District, somewhere_else: Settings, tmp_path: Path
) -> None:
    tablets = [place.tablet(post) for post in (0, 1, 0)]
    enough, failures = threading.Event(), []

    def work(tablet: FakeTablet) -> None:
        try:
            while not enough.is_set():
                with_children(tablet, 2)
        except BaseException as error:  # noqa: BLE001 - told in the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=[tablet]) for tablet in tablets]
    for thread in threads:
        thread.start()
    made = []
    for number in range(3):
        time.sleep(0.2)  # some batches are in between
        made.append(back_up(place, tmp_path / f"{number}.zip"))
    enough.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert made[0].rows["change"] < made[2].rows["change"]
    for number in range(3):
        put_back(somewhere_else, tmp_path / f"{number}.zip")
        assert ailments(somewhere_else) == []
    place.check_agreement()


# -- putting back ---------------------------------------------------------------------------------


def test_restore_gives_back_every_row(place: District, tablet_of: FakeTablet, tmp_path: Path) -> None:
    before, then = everything(place), incarnation(place)
    back_up(place, tmp_path / "b.zip")
    with_children(tablet_of)
    done = put_back(place.hub.settings, tmp_path / "b.zip")
    after = everything(place)
    assert incarnation(place) == done.incarnation != then
    assert place.actions("office")[-1] == "database.restored"
    logged = {"audit_entry", "audit_stream"}
    assert {n: r for n, r in after.items() if n not in logged} == {
        n: r for n, r in before.items() if n not in logged
    }
    assert len(after["audit_entry"]) == len(before["audit_entry"]) + 1
    assert ailments(place.hub.settings) == []


def test_restore_into_an_empty_place_makes_it_whole(
    place: District, somewhere_else: Settings, tablet_of: FakeTablet, tmp_path: Path
) -> None:
    made = back_up(place, tmp_path / "b.zip")
    done = put_back(somewhere_else, tmp_path / "b.zip", agrees=False)  # nobody is asked: nothing is replaced
    assert (done.kept, done.keys_missing, done.manifest) == (None, False, made)
    assert ailments(somewhere_else) == []


def test_restore_says_when_the_keys_are_still_missing(
    place: District, somewhere_else: Settings, tmp_path: Path
) -> None:
    back_up(place, tmp_path / "b.zip")
    done = put_back(replace(somewhere_else, key_file=tmp_path / "none.json"), tmp_path / "b.zip")
    assert done.keys_missing


def test_restore_keeps_what_was_there(place: District, tablet_of: FakeTablet, tmp_path: Path) -> None:
    back_up(place, tmp_path / "b.zip")
    with_children(tablet_of)
    newer = everything(place)
    done = put_back(place.hub.settings, tmp_path / "b.zip")
    assert done.kept is not None
    assert done.kept.parent == place.hub.settings.data_dir
    put_back(place.hub.settings, done.kept)
    assert everything(place)["change"] == newer["change"]
    for name in ("measurement", "follow_up", "attention"):
        assert newer[name]
        assert everything(place)[name] == newer[name]


def test_tablets_notice_a_restore_and_send_again(place: District, tmp_path: Path) -> None:
    first, second = place.tablet(), place.tablet()
    children = with_children(first)
    second.sync_until_quiet()
    back_up(place, tmp_path / "b.zip")
    with_children(first)
    second.measure(children[0], "2026-03-04", weight_g=8800)
    second.sync_until_quiet()
    held = place.rows(select(ChangeRow.hash))
    put_back(place.hub.settings, tmp_path / "b.zip")
    assert len(place.rows(select(ChangeRow.hash))) < len(held)
    assert any(isinstance(event, Resending) for event in first.sync())
    place.settle(first, second)
    assert sorted(place.rows(select(ChangeRow.hash))) == sorted(held)
    assert ailments(place.hub.settings) == []


def test_restore_ends_every_session(place: District, tmp_path: Path) -> None:
    with place.hub.database.engine.begin() as connection:  # behind the server's back: any row will do
        connection.info["audited"] = True
        columns = {"district": DISTRICT, "created_at": place.clock.now}
        names = {"username": "u", "display_name": "U", "role": "staff", "scope_kind": "post", "scope": "x"}
        id_ = place.new_id()
        account = Base.metadata.tables["account"]
        writing = connection.execution_options(posyandu_writing=True)
        writing.execute(account.insert().values(id=id_, password_hash="", failed_tries=0, **columns, **names))
        now = datetime.now(UTC)
        sign_in = {"id": id_, "account_id": id_, "token_digest": "t", "expires_at": now, "last_seen_at": now}
        sign_in |= columns
        writing.execute(table(SignIn).insert().values(**sign_in))
        connection.info["audited"] = True
    back_up(place, tmp_path / "b.zip")
    put_back(place.hub.settings, tmp_path / "b.zip")
    assert place.rows(select(SignIn.account_id)) == []


def test_database_put_back_by_other_means_gets_a_new_incarnation(place: District) -> None:
    before = incarnation(place)
    new = mark_restored(place.hub.settings, now=place.clock.now)
    assert incarnation(place) == new != before
    assert place.actions("office")[-1] == "database.restored"


def test_older_schema_is_brought_up_to_date(
    databases: Databases, place: District, somewhere_else: Settings, tmp_path: Path
) -> None:
    old = replace(place.hub.settings, database_url=databases.empty(), data_dir=tmp_path / "old")
    old.data_dir.mkdir()
    command.upgrade(migrations._config(old.database_url), "0001")
    engine = create_engine(old.database_url)
    with engine.begin() as connection:
        row = {"d": DISTRICT, "i": place.new_id(), "at": "2026-03-05T02:00:00.000000+00:00"}
        connection.execute(
            text(
                "INSERT INTO installation (district, name, incarnation, created_at) VALUES (:d, 'Lama', :i, :at)"
            ),
            row,
        )
    engine.dispose()
    hub = Hub.open(old)
    made = backup(hub, tmp_path / "old.zip", force=False, now=place.clock.now, progress=silent)
    hub.database.dispose()
    assert made.revision == "0001"
    for settings in (somewhere_else, place.hub.settings):  # an empty place, and one at work
        put_back(settings, tmp_path / "old.zip")
        assert migrations.present(settings.database_url) == migrations.newest()
    assert [tuple(row) for row in place.rows(select(Installation.name))] == [("Lama",)]
    assert place.rows(select(func.count()).select_from(Tablet))[0][0] == 0
    databases.drop(old.database_url)


# -- refused --------------------------------------------------------------------------------------


def altered(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Write a backup again with another manifest."""
    with zipfile.ZipFile(file) as zipped:
        members = {name: zipped.read(name) for name in zipped.namelist()}
    said = json.loads(members.pop(MANIFEST))
    change(said)
    with zipfile.ZipFile(file, "w") as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
        zipped.writestr(MANIFEST, json.dumps(said))


def of_another_district(said: dict[str, Any]) -> None:
    said.update(district="64.03", districts={"64.03": said["incarnation"]})


def of_another_kind(said: dict[str, Any]) -> None:
    tables = {f"tables/{name}.copy": member for name in said["rows"] for member in [{"bytes": 0}]}
    sqlite = said["kind"] == "sqlite"
    said.update(kind="postgresql" if sqlite else "sqlite", members=tables if sqlite else {"posyandu.db": {}})


REFUSED: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "of another district": (of_another_district, "district 64.03, and this is 64.02"),
    "of a newer schema": (lambda said: said.update(revision="9999"), "newer release"),
    "of a newer format": (lambda said: said.update(format=2), "newer release"),
    "with another checksum": (
        lambda said: next(iter(said["members"].values())).update(sha256="0" * 64),
        "does not fit its checksum",
    ),
    "with another size": (
        lambda said: next(iter(said["members"].values())).update(bytes=1),
        "does not fit its checksum",
    ),
    "with another count of rows": (lambda said: said["rows"].update(change=99), "does not fit its checksum"),
    "without a member": (lambda said: said["members"].popitem(), "does not fit its checksum"),
    "without a word": (lambda said: said.pop("rows"), "not a backup of posyandu-sync"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_backup_is_refused_and_nothing_changes_when_it_is(
    place: District, tablet_of: FakeTablet, tmp_path: Path, what: str
) -> None:
    change, words = REFUSED[what]
    back_up(place, tmp_path / "b.zip")
    before = everything(place), incarnation(place)
    altered(tmp_path / "b.zip", change)
    with pytest.raises(BackupRefused, match=words):
        put_back(place.hub.settings, tmp_path / "b.zip")
    assert (everything(place), incarnation(place)) == before


@pytest.mark.parametrize("part", [0.0, 0.3, 0.7, 0.999])
def test_backup_is_refused_when_it_is_cut_short(place: District, tmp_path: Path, part: float) -> None:
    back_up(place, tmp_path / "b.zip")
    whole = (tmp_path / "b.zip").read_bytes()
    (tmp_path / "b.zip").write_bytes(whole[: int(len(whole) * part)])
    before = everything(place), incarnation(place)
    with pytest.raises(BackupRefused, match="take another copy"):
        put_back(place.hub.settings, tmp_path / "b.zip")
    assert (everything(place), incarnation(place)) == before


def test_flipped_bit_is_found_unless_it_means_the_same(on_sqlite: District, tmp_path: Path) -> None:
    """In a run of zeros a copy from further back is the same copy."""
    back_up(on_sqlite, tmp_path / "b.zip")
    whole = (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "b.zip") as zipped:
        first = zipped.infolist()[0]
        content = zipped.read(first)
    luck, refused = random.Random(64), 0
    for _ in range(40):
        flipped = bytearray(whole)
        flipped[luck.randrange(100, first.compress_size - 100)] ^= 1 << luck.randrange(8)
        (tmp_path / "flipped.zip").write_bytes(flipped)
        try:
            with Archive.open(tmp_path / "flipped.zip") as archive:
                archive.verify(silent)
                assert b"".join(archive.chunks(first.filename)) == content
        except BackupRefused:
            refused += 1
    assert refused > 30


def test_backup_of_the_other_kind_of_database_is_refused(place: District, tmp_path: Path) -> None:
    back_up(place, tmp_path / "b.zip")
    sqlite = place.hub.settings.is_sqlite
    url = "postgresql://nobody@127.0.0.1:1/none" if sqlite else f"sqlite:///{tmp_path / 'none.db'}"
    with Archive.open(tmp_path / "b.zip") as archive:
        assert archive.manifest.kind == ("sqlite" if sqlite else "postgresql")
    with pytest.raises(BackupRefused, match="restore it to the same kind"):
        put_back(replace(place.hub.settings, database_url=url), tmp_path / "b.zip")
    assert not (tmp_path / "none.db").exists()


def test_backup_that_the_keys_do_not_open_is_refused(
    place: District, tablet_of: FakeTablet, tmp_path: Path
) -> None:
    back_up(place, tmp_path / "b.zip")
    before = everything(place), incarnation(place)
    others = replace(place.hub.settings, key_file=tmp_path / "others.json")
    Hub.open(others, create_keys=True).database.dispose()
    with pytest.raises(BackupRefused, match="put the right key file there first"):
        put_back(others, tmp_path / "b.zip")
    assert (everything(place), incarnation(place)) == before


def test_nothing_is_replaced_when_nobody_agrees(place: District, tmp_path: Path) -> None:
    back_up(place, tmp_path / "b.zip")
    before = incarnation(place)
    with pytest.raises(BackupRefused, match="--yes"):
        put_back(place.hub.settings, tmp_path / "b.zip", agrees=False)
    assert incarnation(place) == before


def test_damaged_database_is_not_written_over(tmp_path: Path, on_sqlite: District) -> None:
    back_up(on_sqlite, tmp_path / "b.zip")
    broken = tmp_path / "broken" / "posyandu.db"
    broken.parent.mkdir()
    broken.write_text("no database at all, but long enough to look at" * 100)
    settings = Settings.for_data(broken.parent, key_file=on_sqlite.hub.settings.key_file)
    with pytest.raises(BackupRefused, match=r"stop the server, move posyandu\.db"):
        put_back(settings, tmp_path / "b.zip")
    broken.rename(tmp_path / "aside.db")
    put_back(settings, tmp_path / "b.zip")
    assert ailments(settings) == []


# -- the commands ---------------------------------------------------------------------------------


def call(settings: Settings, *arguments: str, answer: str = "") -> Result:
    """Call a command as an operator does, in this process."""
    env: dict[str, str | None] = dict.fromkeys(os.environ)
    env.update(environment(settings))
    return CliRunner().invoke(main, list(arguments), input=answer, env=env)


def test_operator_is_told_to_keep_the_keys_apart(place: District, tmp_path: Path) -> None:
    result = call(place.hub.settings, "backup", str(tmp_path / "b.zip"))
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"keep a copy of {place.hub.settings.key_file} in another safe place" in result.stderr
    again = call(place.hub.settings, "backup", str(tmp_path / "b.zip"))
    assert again.exit_code == 2
    assert again.stderr.count("\n") == 1


def test_operator_is_asked_before_data_are_replaced(place: District, tmp_path: Path) -> None:
    back_up(place, tmp_path / "b.zip")
    before = incarnation(place)
    refused = call(place.hub.settings, "restore", str(tmp_path / "b.zip"), answer="n\n")
    assert (refused.exit_code, incarnation(place)) == (2, before)
    done = call(place.hub.settings, "restore", str(tmp_path / "b.zip"), answer="y\n")
    assert (done.exit_code, incarnation(place) == before) == (0, False)
    assert "before-restore-" in done.stderr


def test_operator_is_told_when_the_keys_are_missing(
    place: District, somewhere_else: Settings, tmp_path: Path
) -> None:
    back_up(place, tmp_path / "b.zip")
    keyless = replace(somewhere_else, key_file=tmp_path / "none.json")
    result = call(keyless, "restore", str(tmp_path / "b.zip"))
    assert result.exit_code == 1
    assert f"copy your backup of it to {tmp_path / 'none.json'}" in result.stderr


def test_operator_says_that_the_database_was_put_back_already(place: District) -> None:
    before = incarnation(place)
    assert call(place.hub.settings, "restore", "--already").exit_code == 0
    assert incarnation(place) != before
    assert call(place.hub.settings, "restore").exit_code == 2


def test_nothing_is_left_beside_the_file_when_the_disk_is_full(on_sqlite: District, tmp_path: Path) -> None:
    """The limit is on the size of files, which is what a full disk comes to."""
    on_sqlite.hub.database.dispose()
    limit = 4096 * 20
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); from server.cli import main; "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "backup", str(tmp_path / "b.zip")],
        env=environment(on_sqlite.hub.settings),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


# -- beneath a running server, and killed ---------------------------------------------------------


def run(settings: Settings, *arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [*COMMAND, *arguments],
        env=environment(settings),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def finish(process: "subprocess.Popen[bytes]") -> tuple[int, str]:
    _, said = process.communicate(timeout=120)
    return process.returncode, said.decode()


def test_running_server_goes_on_when_its_database_is_put_back(place: District, tmp_path: Path) -> None:
    place.clock.now = datetime.now(UTC)
    tablets = [http_tablet(place, name="A"), http_tablet(place, 1, name="B")]
    settings = place.hub.settings
    enough, failures = threading.Event(), []

    def work(tablet: HttpTablet) -> None:
        try:
            while not enough.is_set():
                register(tablet)
                tablet.sync()
        except BaseException as error:  # noqa: BLE001 - told in the test's own thread
            failures.append(error)

    with running(settings) as server:
        for tablet in tablets:
            tablet.server = server
            register(tablet)
            tablet.sync_until_quiet()
        assert finish(run(settings, "backup", str(tmp_path / "b.zip")))[0] == 0
        threads = [threading.Thread(target=work, args=[tablet]) for tablet in tablets]
        for thread in threads:
            thread.start()
        for _ in range(2):
            time.sleep(0.3)  # tablets get on meanwhile
            status, said = finish(run(settings, "restore", str(tmp_path / "b.zip"), "--yes"))
            assert status == 0, said
        enough.set()
        for thread in threads:
            thread.join()
        assert failures == []
        place.settle(*tablets)
        written = {entry.change.hash for tablet in tablets for entry in tablet.replica.log}
        assert {row.hash for row in place.rows(select(ChangeRow.hash))} == written
        assert len(written) > 4
        assert server.stop() == 0
    assert ailments(settings) == []


@pytest.mark.parametrize("seed", [3])
def test_kill_leaves_all_of_the_old_or_all_of_the_new(place: District, tmp_path: Path, seed: int) -> None:
    luck, file, settings = random.Random(seed), tmp_path / "b.zip", place.hub.settings
    tablet = place.tablet()
    for _ in range(3):
        with_children(tablet, 30)
    back_up(place, file)
    old = len(place.rows(select(ChangeRow.hash)))
    with_children(tablet, 5)
    new = len(place.rows(select(ChangeRow.hash)))
    put_back_seconds = _seconds_of(run(settings, "restore", str(file), "--yes"))
    tablet.sync_until_quiet()
    backup_seconds = _seconds_of(run(settings, "backup", str(tmp_path / "other.zip")))
    killed = 0
    for _ in range(6):
        restoring = run(settings, "restore", str(file), "--yes")
        killed += _killed_after(restoring, luck.uniform(0.3, 1.0) * put_back_seconds)
        assert len(place.rows(select(ChangeRow.hash))) in (old, new)
        assert ailments(settings) == []
        tablet.sync_until_quiet()
        making = run(settings, "backup", "--force", str(tmp_path / "other.zip"))
        killed += _killed_after(making, luck.uniform(0.3, 1.0) * backup_seconds)
        with Archive.open(tmp_path / "other.zip") as archive:
            archive.verify(silent)
    assert killed >= 3
    assert (
        finish(run(settings, "restore", str(file), "--yes"))[0] == 0
    )  # what the killed left is in nobody's way
    assert not [*settings.data_dir.glob("*.part*"), *settings.data_dir.glob("restoring")]
    place.settle(tablet)


def _seconds_of(process: "subprocess.Popen[bytes]") -> float:
    started = time.monotonic()
    status, said = finish(process)
    assert status == 0, said
    return time.monotonic() - started


def _killed_after(process: "subprocess.Popen[bytes]", seconds: float) -> bool:
    """Kill a process if it still runs then, and say whether it did."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL
