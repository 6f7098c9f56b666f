"""Backup and restore: one moment of a database at work, put back whole or not at all, and every tablet notices."""

import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg import sql
from sqlalchemy import create_engine, func, make_url, select, text, update

from server.backup import (
    MANIFEST,
    Archive,
    BackupRefused,
    Manifest,
    Restored,
    backup,
    mark_restored,
    restore,
    vault_of,
)
from server.backup.encrypted_file import CHUNK_BYTES, SealedWriter
from server.cli import main
from server.config import Settings
from server.context import AppContext
from server.crypto.key_file import load_keys
from server.crypto.vault import TAG_BYTES, base64url, sha256
from server.database import migrations
from server.database.models import Base, ChangeRow, Installation, Measurement, Tablet, UserSession, table
from server.operations import key_rotation, scheduler
from server.operations.doctor import examine
from server.operations.trial_restore import Proof, prove
from sync_protocol import Resending
from tests.faults._forked import forked
from tests.faults._running import COMMAND, ROOT, HttpTablet, environment, http_tablet, register, running
from tests.server._district import DISTRICT, Databases, District, FakeTablet
from tests.server.backup._files import unsealed

BESIDE = f"posyandu-{DISTRICT}.withdrawals"


def silent(_what: str, _done: int, _total: int) -> None:
    """Tell nobody how far it has come."""


def back_up(district: District, file: Path, *, force: bool = False) -> Manifest:
    return backup(district.hub, file, force=force, now=district.clock.now, progress=silent).manifest


def put_back(settings: Settings, file: Path, *, agrees: bool = True, plain: bool = False) -> Restored:
    return restore(
        settings, file, plain=plain, now=datetime.now(UTC), agreed=lambda _: agrees, progress=silent
    )


def opened(settings: Settings, file: Path) -> AbstractContextManager[Archive]:
    return Archive.open(file, settings.key_file, vault_of(settings))


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
    made = back_up(place, tmp_path / "b.backup")
    with opened(place.hub.settings, tmp_path / "b.backup") as archive:
        archive.verify(silent)
        assert archive.manifest == made
    assert made.rows == before
    assert (made.district, made.incarnation) == (DISTRICT, incarnation(place))
    assert made.revision == migrations.newest()


def test_backup_is_logged_with_counts_alone(place: District, tmp_path: Path) -> None:
    made = back_up(place, tmp_path / "b.backup")
    entry = place.rows(text("SELECT details FROM audit_entry WHERE action = 'backup.made'"))
    details = json.loads(entry[0][0])
    assert details.keys() == {"rows", "tables", "bytes", "key", "digest"}
    assert details["rows"] == made.total_rows
    assert details["digest"] == base64url(sha256((tmp_path / "b.backup").read_bytes()))
    assert place.broken_log() == []


def test_backup_is_for_its_owner_alone_and_holds_no_key(place: District, tmp_path: Path) -> None:
    back_up(place, tmp_path / "b.backup")
    for name in ("b.backup", BESIDE):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    keys = json.loads(place.hub.settings.key_file.read_text())
    content = unsealed(place.hub.settings, tmp_path / "b.backup")
    with zipfile.ZipFile(io.BytesIO(content)) as zipped:
        content += b"".join(zipped.read(name) for name in zipped.namelist())
    assert all(key.encode() not in content for key in (*keys["masters"].values(), keys["session_secret"]))
    assert {path.name for path in tmp_path.iterdir()} == {"b.backup", "data", BESIDE}


def test_finder_of_a_backup_reads_one_line_that_tells_of_nobody(
    place: District, tablet_of: FakeTablet, tmp_path: Path
) -> None:
    back_up(place, tmp_path / "b.backup")
    line, chunks = (tmp_path / "b.backup").read_bytes().split(b"\n", 1)
    said = json.loads(line)
    assert said.pop("salt") != ""
    assert said == {
        "kind": "posyandu-sync.backup",
        "v": 1,
        "product": f"posyandu-sync {metadata.version('posyandu-sync')}",
        "district": DISTRICT,
        "made_at": place.clock.now.isoformat(),
        "key": next(iter(place.hub.vault.backup_keys())),
        "key_version": 1,
    }
    inside = unsealed(place.hub.settings, tmp_path / "b.backup")
    assert b"manifest.json" in inside
    for word in (
        b"manifest.json",
        b"PK\x03\x04",
        b"SQLite format",
        b"Melati",
        tablet_of.id.encode(),
    ):
        assert word not in chunks
    assert len(set(chunks)) == 256  # as good as random: every byte there is
    (tmp_path / "again.backup").write_bytes(b"")
    back_up(place, tmp_path / "again.backup", force=True)
    assert (tmp_path / "again.backup").read_bytes()[-100:] != chunks[-100:]


def test_backup_does_not_replace_an_older_file_unless_told(place: District, tmp_path: Path) -> None:
    file = tmp_path / "b.backup"
    file.write_text("older")
    with pytest.raises(BackupRefused, match="--force"):
        back_up(place, file)
    assert file.read_text() == "older"
    back_up(place, file, force=True)
    with opened(place.hub.settings, file) as archive:
        archive.verify(silent)


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
        made.append(back_up(place, tmp_path / f"{number}.backup"))
    enough.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert made[0].rows["change"] < made[2].rows["change"]
    for number in range(3):
        put_back(somewhere_else, tmp_path / f"{number}.backup")
        assert ailments(somewhere_else) == []
    place.check_agreement()


# -- putting back ---------------------------------------------------------------------------------


def test_restore_gives_back_every_row(place: District, tablet_of: FakeTablet, tmp_path: Path) -> None:
    before, then = everything(place), incarnation(place)
    back_up(place, tmp_path / "b.backup")
    with_children(tablet_of)
    done = put_back(place.hub.settings, tmp_path / "b.backup")
    after = everything(place)
    assert incarnation(place) == done.incarnation != then
    assert place.actions("office")[-1] == "database.restored"
    logged = {"audit_entry", "audit_stream"}
    assert {n: r for n, r in after.items() if n not in logged} == {
        n: r for n, r in before.items() if n not in logged
    }
    assert len(after["audit_entry"]) == len(before["audit_entry"]) + 2
    assert place.actions("office")[-2] == "incarnation.begun"
    assert ailments(place.hub.settings) == []


def test_restore_into_an_empty_place_makes_it_whole(
    place: District, somewhere_else: Settings, tablet_of: FakeTablet, tmp_path: Path
) -> None:
    made = back_up(place, tmp_path / "b.backup")
    done = put_back(
        somewhere_else, tmp_path / "b.backup", agrees=False
    )  # nobody is asked: nothing is replaced
    assert (done.kept, done.keys_missing, done.manifest) == (None, False, made)
    assert ailments(somewhere_else) == []


def test_restore_says_when_the_keys_are_still_missing(
    place: District, somewhere_else: Settings, tmp_path: Path
) -> None:
    """Possible only where the file is not sealed; what is in the way then cannot be kept, and stays."""
    back_up(place, tmp_path / "b.backup")
    (tmp_path / "b.zip").write_bytes(unsealed(place.hub.settings, tmp_path / "b.backup"))
    keyless = replace(somewhere_else, key_file=tmp_path / "none.json")
    assert put_back(keyless, tmp_path / "b.zip", plain=True).keys_missing
    before = incarnation(place)
    with pytest.raises(BackupRefused, match="copy the key file there first"):
        put_back(replace(place.hub.settings, key_file=tmp_path / "none.json"), tmp_path / "b.zip", plain=True)
    assert incarnation(place) == before


def test_restore_keeps_what_was_there(place: District, tablet_of: FakeTablet, tmp_path: Path) -> None:
    back_up(place, tmp_path / "b.backup")
    with_children(tablet_of)
    newer = everything(place)
    done = put_back(place.hub.settings, tmp_path / "b.backup")
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
    back_up(place, tmp_path / "b.backup")
    with_children(first)
    second.measure(children[0], "2026-03-04", weight_g=8800)
    second.sync_until_quiet()
    held = place.rows(select(ChangeRow.hash))
    put_back(place.hub.settings, tmp_path / "b.backup")
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
        writing.execute(account.insert().values(id=id_, password_hash="", **columns, **names))
        now = datetime.now(UTC)
        sign_in = {"id": id_, "account_id": id_, "token_digest": "t", "expires_at": now, "last_seen_at": now}
        sign_in |= columns
        writing.execute(table(UserSession).insert().values(**sign_in))
        connection.info["audited"] = True
    back_up(place, tmp_path / "b.backup")
    put_back(place.hub.settings, tmp_path / "b.backup")
    assert place.rows(select(UserSession.account_id)) == []


def test_database_put_back_by_other_means_gets_a_new_incarnation(place: District) -> None:
    before = incarnation(place)
    new, _ = mark_restored(place.hub.settings, now=place.clock.now)
    assert incarnation(place) == new != before
    assert place.actions("office")[-1] == "database.restored"


def test_older_schema_is_brought_up_to_date(
    databases: Databases, place: District, somewhere_else: Settings, tmp_path: Path
) -> None:
    old = replace(place.hub.settings, database_url=databases.empty(), data_dir=tmp_path / "old")
    old.data_dir.mkdir()
    migrations.upgrade(old.database_url, "0001")
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
    hub = AppContext.open(old)
    made = backup(hub, tmp_path / "old.backup", force=False, now=place.clock.now, progress=silent)
    hub.database.dispose()
    assert made.manifest.revision == "0001"
    for settings in (somewhere_else, place.hub.settings):  # an empty place, and one at work
        put_back(settings, tmp_path / "old.backup")
        assert migrations.present(settings.database_url) == migrations.newest()
    assert [tuple(row) for row in place.rows(select(Installation.name))] == [("Lama",)]
    assert place.rows(select(func.count()).select_from(Tablet))[0][0] == 0
    databases.drop(old.database_url)


# -- refused --------------------------------------------------------------------------------------


def altered(settings: Settings, file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Write a backup again with another manifest, as somebody could who has the keys."""
    with zipfile.ZipFile(io.BytesIO(unsealed(settings, file))) as zipped:
        members = {name: zipped.read(name) for name in zipped.namelist()}
    said = json.loads(members.pop(MANIFEST))
    change(said)
    vault = vault_of(settings)
    assert vault is not None
    with file.open("wb") as writing:
        sealed = SealedWriter(writing, settings, vault, datetime.now(UTC))
        with zipfile.ZipFile(sealed, "w") as zipped:
            for name, content in members.items():
                zipped.writestr(name, content)
            zipped.writestr(MANIFEST, json.dumps(said))
        sealed.finish()


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
    back_up(place, tmp_path / "b.backup")
    before = everything(place), incarnation(place)
    altered(place.hub.settings, tmp_path / "b.backup", change)
    with pytest.raises(BackupRefused, match=words):
        put_back(place.hub.settings, tmp_path / "b.backup")
    assert (everything(place), incarnation(place)) == before


@pytest.mark.parametrize("part", [0.0, 0.3, 0.999])
def test_backup_is_refused_when_it_is_cut_short(place: District, tmp_path: Path, part: float) -> None:
    back_up(place, tmp_path / "b.backup")
    whole = (tmp_path / "b.backup").read_bytes()
    (tmp_path / "b.backup").write_bytes(whole[: int(len(whole) * part)])
    before = everything(place), incarnation(place)
    with pytest.raises(BackupRefused, match="take another copy"):
        put_back(place.hub.settings, tmp_path / "b.backup")
    assert (everything(place), incarnation(place)) == before


@pytest.fixture(scope="module")
def some_keys(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = Settings.for_data(tmp_path_factory.mktemp("keys"))
    load_keys(settings.key_file, create=True)
    return settings


def sealed(settings: Settings, file: Path, content: bytes) -> tuple[bytes, list[bytes]]:
    """Seal something and give the line and the chunks."""
    vault = vault_of(settings)
    assert vault is not None
    with file.open("wb") as writing:
        writer = SealedWriter(writing, settings, vault, datetime.now(UTC))
        for start in range(0, len(content), 10_000):
            writer.write(content[start : start + 10_000])
        writer.finish()
    line, rest = file.read_bytes().split(b"\n", 1)
    size = CHUNK_BYTES + TAG_BYTES
    return line + b"\n", [rest[start : start + size] for start in range(0, len(rest), size)]


@pytest.mark.parametrize("length", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_sealed_is_read_from_any_place(some_keys: Settings, tmp_path: Path, length: int) -> None:
    content = random.Random(length).randbytes(length)
    _, chunks = sealed(some_keys, tmp_path / "b", content)
    assert len(chunks) == max(1, -(-length // CHUNK_BYTES))
    assert unsealed(some_keys, tmp_path / "b") == content


@pytest.mark.parametrize(
    "order",
    [
        [1, 0, 2, 3],
        [0, 1, 2],
        [0, 1, 3],
        [1, 2, 3],
        [0, 1, 2, 3, 3],
        [0, 1, 2, 2],
        [0, 0, 2, 3],
        [3],
        [],
    ],
)
def test_chunks_swapped_dropped_or_repeated_are_refused(
    some_keys: Settings, tmp_path: Path, order: list[int]
) -> None:
    line, chunks = sealed(some_keys, tmp_path / "b", random.Random(1).randbytes(3 * CHUNK_BYTES + 100))
    (tmp_path / "b").write_bytes(line + b"".join(chunks[number] for number in order))
    with pytest.raises(BackupRefused, match="take another copy"):
        unsealed(some_keys, tmp_path / "b")


def test_chunk_or_line_of_another_backup_is_refused(some_keys: Settings, tmp_path: Path) -> None:
    content = random.Random(1).randbytes(2 * CHUNK_BYTES)
    line, chunks = sealed(some_keys, tmp_path / "b", content)
    other, others = sealed(some_keys, tmp_path / "other", content)
    for mixed in (line + chunks[0] + others[1], line + others[0] + chunks[1], other + b"".join(chunks)):
        (tmp_path / "b").write_bytes(mixed)
        with pytest.raises(BackupRefused, match="take another copy"):
            unsealed(some_keys, tmp_path / "b")


def test_any_bit_that_was_flipped_is_found(some_keys: Settings, tmp_path: Path) -> None:
    content = random.Random(1).randbytes(CHUNK_BYTES + 500)
    line, _ = sealed(some_keys, tmp_path / "b", content)
    whole, luck = (tmp_path / "b").read_bytes(), random.Random(64)
    places = [
        *range(len(line) + 40),
        *luck.sample(range(len(whole)), 100),
        *range(len(whole) - 40, len(whole)),
    ]
    for at in places:
        flipped = bytearray(whole)
        flipped[at] ^= 1 << luck.randrange(8)
        (tmp_path / "b").write_bytes(flipped)
        with pytest.raises(BackupRefused):
            unsealed(some_keys, tmp_path / "b")


def test_flipped_bit_is_found_and_nothing_changes(place: District, tmp_path: Path) -> None:
    back_up(place, tmp_path / "b.backup")
    whole, before = (tmp_path / "b.backup").read_bytes(), everything(place)
    luck = random.Random(64)
    for _ in range(10):
        flipped = bytearray(whole)
        flipped[luck.randrange(len(whole))] ^= 1 << luck.randrange(8)
        (tmp_path / "flipped.backup").write_bytes(flipped)
        with pytest.raises(BackupRefused):
            put_back(place.hub.settings, tmp_path / "flipped.backup")
    assert everything(place) == before


def test_backup_that_is_not_sealed_is_restored_when_somebody_vouches_for_it(
    place: District, tablet_of: FakeTablet, tmp_path: Path
) -> None:
    """As older releases made them."""
    back_up(place, tmp_path / "b.backup")
    (tmp_path / "b.zip").write_bytes(unsealed(place.hub.settings, tmp_path / "b.backup"))
    before = everything(place)["measurement"]
    with_children(tablet_of)
    then = incarnation(place)
    with pytest.raises(BackupRefused, match="not sealed"):
        put_back(place.hub.settings, tmp_path / "b.zip")
    assert incarnation(place) == then
    put_back(place.hub.settings, tmp_path / "b.zip", plain=True)
    assert everything(place)["measurement"] == before


# -- keys -----------------------------------------------------------------------------------------


def test_backup_is_opened_after_a_rotation_and_names_its_key_when_that_is_retired(
    place: District, tablet_of: FakeTablet, tmp_path: Path
) -> None:
    settings, then = place.hub.settings, place.clock
    first = next(iter(place.hub.vault.backup_keys()))
    own = replace(settings, key_file=tmp_path / "keys.json")
    own.key_file.write_bytes(settings.key_file.read_bytes())
    kept = own.key_file.read_bytes()
    place.hub.database.dispose()
    place.hub = AppContext.open(own)
    back_up(place, tmp_path / "b.backup")
    key_rotation.rotate(place.hub, actor="operator", now=lambda: then.now, progress=silent)
    back_up(place, tmp_path / "newer.backup")
    put_back(own, tmp_path / "b.backup")
    put_back(own, tmp_path / "newer.backup")
    then.advance(days=2)
    key_rotation.retire(place.hub, 1, actor="operator", now=then.now)
    second = next(iter(place.hub.vault.backup_keys()))
    put_back(own, tmp_path / "newer.backup")
    before = incarnation(place)
    with pytest.raises(BackupRefused) as refused:
        put_back(own, tmp_path / "b.backup")
    assert (
        f"sealed with key 1 ({first}), and {own.key_file} holds 2 ({second}): put the right key file"
        in str(refused.value)
    )
    assert incarnation(place) == before
    old = replace(own, key_file=tmp_path / "old.json", data_dir=tmp_path / "old")
    old.key_file.write_bytes(kept)
    with opened(old, tmp_path / "b.backup") as archive:
        archive.verify(silent)


def test_backup_without_its_key_file_is_refused_and_names_the_key(
    place: District, somewhere_else: Settings, tmp_path: Path
) -> None:
    back_up(place, tmp_path / "b.backup")
    keyless = replace(somewhere_else, key_file=tmp_path / "none.json")
    wanted = re.escape(
        f"key 1 ({next(iter(place.hub.vault.backup_keys()))}), and there is no {keyless.key_file}"
    )
    with pytest.raises(BackupRefused, match=wanted):
        put_back(keyless, tmp_path / "b.backup")
    assert not (tmp_path / "none.json").exists()


def test_backup_of_the_other_kind_of_database_is_refused(place: District, tmp_path: Path) -> None:
    back_up(place, tmp_path / "b.backup")
    sqlite = place.hub.settings.is_sqlite
    url = "postgresql://nobody@127.0.0.1:1/none" if sqlite else f"sqlite:///{tmp_path / 'none.db'}"
    with opened(place.hub.settings, tmp_path / "b.backup") as archive:
        assert archive.manifest.kind == ("sqlite" if sqlite else "postgresql")
    with pytest.raises(BackupRefused, match="restore it to the same kind"):
        put_back(replace(place.hub.settings, database_url=url), tmp_path / "b.backup")
    assert not (tmp_path / "none.db").exists()


def test_backup_that_the_keys_do_not_open_is_refused(
    place: District, tablet_of: FakeTablet, tmp_path: Path
) -> None:
    back_up(place, tmp_path / "b.backup")
    before = everything(place), incarnation(place)
    others = replace(place.hub.settings, key_file=tmp_path / "others.json")
    AppContext.open(others, create_keys=True).database.dispose()
    with pytest.raises(BackupRefused, match="put the right key file there first"):
        put_back(others, tmp_path / "b.backup")
    assert (everything(place), incarnation(place)) == before


def test_nothing_is_replaced_when_nobody_agrees(place: District, tmp_path: Path) -> None:
    back_up(place, tmp_path / "b.backup")
    before = incarnation(place)
    with pytest.raises(BackupRefused, match="--yes"):
        put_back(place.hub.settings, tmp_path / "b.backup", agrees=False)
    assert incarnation(place) == before


def test_damaged_database_is_not_written_over(tmp_path: Path, on_sqlite: District) -> None:
    back_up(on_sqlite, tmp_path / "b.backup")
    broken = tmp_path / "broken" / "posyandu.db"
    broken.parent.mkdir()
    broken.write_text("no database at all, but long enough to look at" * 100)
    settings = Settings.for_data(broken.parent, key_file=on_sqlite.hub.settings.key_file)
    with pytest.raises(BackupRefused, match=r"stop the server, move posyandu\.db"):
        put_back(settings, tmp_path / "b.backup")
    broken.rename(tmp_path / "aside.db")
    put_back(settings, tmp_path / "b.backup")
    assert ailments(settings) == []


# -- proven by restoring --------------------------------------------------------------------------


def proven(settings: Settings, file: Path) -> Proof:
    return prove(settings, file, plain=False, actor="operator", now=datetime.now(UTC), progress=silent)


def traces(place: District) -> list[str]:
    """Name what a trial could have left behind."""
    left = [path.name for path in place.hub.settings.data_dir.glob("trial*")]
    if not place.hub.settings.is_sqlite:
        query = text("SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'posyandu%'")
        left += [row[0] for row in place.rows(query)]
    return left


def test_backup_is_proven_beside_a_server_at_work(
    place: District, tablet_of: FakeTablet, tmp_path: Path
) -> None:
    file = tmp_path / "b.backup"
    made = back_up(place, file)
    with_children(tablet_of)
    before, then = everything(place), incarnation(place)
    proof = proven(place.hub.settings, file)
    assert ([check.name for check in proof.checks if not check.is_ok], proof.miscounted) == ([], ())
    assert (proof.is_proven, proof.logged, proof.manifest) == (True, True, made)
    looked = {check.name: check.looked_at for check in proof.checks}
    assert (looked["states"], looked["ledger"]) == (made.rows["child"], made.rows["change"])
    after = everything(place)
    entry = json.loads(
        place.rows(text("SELECT details FROM audit_entry WHERE action = 'backup.proven'"))[0][0]
    )
    assert entry == {
        "digest": base64url(sha256(file.read_bytes())),
        "made_at": made.made_at,
        "rows": made.total_rows,
    }
    logged = {"audit_entry", "audit_stream"}
    assert {n: r for n, r in after.items() if n not in logged} == {
        n: r for n, r in before.items() if n not in logged
    }
    assert (incarnation(place), place.broken_log(), traces(place)) == (then, [], [])


def test_backup_of_a_broken_database_is_not_proven(
    place: District, tablet_of: FakeTablet, tmp_path: Path
) -> None:
    """A whole copy of what was not whole any more."""
    with place.hub.database.engine.begin() as connection:
        connection.info["audited"] = True
        connection.execution_options(posyandu_writing=True).execute(
            update(table(Measurement)).values(weight_g=4321)
        )
        connection.info["audited"] = True
    back_up(place, tmp_path / "b.backup")
    proof = proven(place.hub.settings, tmp_path / "b.backup")
    assert not proof.is_proven
    assert "states" in [check.name for check in proof.checks if not check.is_ok]
    assert place.actions("office")[-1] == "backup.unproven"
    result = call(place.hub.settings, "restore", "--trial", str(tmp_path / "b.backup"))
    assert result.exit_code == 1
    assert "problem  states" in result.stdout
    assert "NOT PROVEN" in result.stderr
    assert traces(place) == []


def test_damaged_backup_is_refused_on_trial_and_leaves_nothing(place: District, tmp_path: Path) -> None:
    back_up(place, tmp_path / "b.backup")
    whole = (tmp_path / "b.backup").read_bytes()
    (tmp_path / "b.backup").write_bytes(whole[:-1])
    before = everything(place)
    assert call(place.hub.settings, "restore", "--trial", str(tmp_path / "b.backup")).exit_code == 2
    assert (everything(place), traces(place)) == (before, [])


def test_backup_is_proven_where_nothing_is_installed(
    place: District, somewhere_else: Settings, tmp_path: Path
) -> None:
    back_up(place, tmp_path / "b.backup")
    result = call(somewhere_else, "restore", "--trial", str(tmp_path / "b.backup"))
    assert result.exit_code == 0, result.stderr
    assert "there is no log here" in result.stderr
    assert "ok       log" in result.stdout


@pytest.mark.postgresql
def test_trial_says_what_the_account_of_postgresql_needs(
    postgresql_databases: Databases, tmp_path: Path
) -> None:
    role = f"tamu_{uuid.uuid4().hex[:8]}"
    with District.opened(postgresql_databases) as place:
        back_up(place, tmp_path / "b.backup")
        url = make_url(place.hub.settings.database_url)
        guest = url.set(username=role, password="x").render_as_string(hide_password=False)
        with psycopg.connect(place.hub.settings.database_url, autocommit=True) as owner:
            owner.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x'").format(sql.Identifier(role)))
            try:
                with pytest.raises(
                    BackupRefused, match=f'GRANT CREATE ON DATABASE "{url.database}" TO "{role}"'
                ):
                    proven(replace(place.hub.settings, database_url=guest), tmp_path / "b.backup")
            finally:
                owner.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


# -- by itself ------------------------------------------------------------------------------------


@pytest.fixture
def nightly(place: District, tmp_path: Path) -> District:
    """Give a district with a directory for its backups, of which two are kept."""
    place.hub.database.dispose()
    settings = replace(place.hub.settings, backup_dir=tmp_path / "nightly", backup_keep=2)
    (tmp_path / "nightly").mkdir()
    place.hub = AppContext.open(settings)
    place.clock.now = datetime.now(UTC)
    return place


def test_backups_are_made_kept_and_proven_by_the_timetable(nightly: District, tmp_path: Path) -> None:
    directory = tmp_path / "nightly"
    (directory / "posyandu-keep.backup").write_text("of somebody else")
    (directory / "posyandu-64.03-20260101T000000Z.backup").write_text("of another district")
    names = []
    for number in range(3):
        nightly.clock.advance(days=1)
        told = scheduler.run_job(nightly.hub, "back-up", nightly.clock.now)
        assert told["deleted"] == (1 if number == 2 else 0)
        names.append(f"posyandu-{DISTRICT}-{nightly.clock.now:%Y%m%dT%H%M%SZ}.backup")
    others = {"posyandu-keep.backup", "posyandu-64.03-20260101T000000Z.backup", BESIDE}
    assert {path.name for path in directory.iterdir()} == {*names[1:], *others}
    told = scheduler.run_job(nightly.hub, "prove-backup", nightly.clock.now)
    assert told["proven"] is True
    assert nightly.actions("office")[-2:] == ["backup.proven", "job.ran"]
    digest = json.loads(
        nightly.rows(text("SELECT details FROM audit_entry WHERE action = 'backup.proven'"))[0][0]
    )["digest"]
    assert digest == base64url(sha256((directory / names[2]).read_bytes()))


def test_backup_that_fails_by_itself_is_told_until_one_is_made(nightly: District, tmp_path: Path) -> None:
    (tmp_path / "nightly").rename(tmp_path / "unplugged")
    for job in ("back-up", "prove-backup"):
        assert scheduler.run_job(nightly.hub, job, nightly.clock.now) == {}
    found = [one for one in ailments(nightly.hub.settings) if "nightly" in one]
    assert [one.split(":")[0] for one in found] == ["backups", "proof"]
    assert "make or mount it first" in found[0]
    assert (
        nightly.actions("office")[-4:] == ["job.ran", "notice.changed"] * 2
    )  # the notice tells that it failed
    (tmp_path / "unplugged").rename(tmp_path / "nightly")
    for job in ("back-up", "prove-backup"):
        assert scheduler.run_job(nightly.hub, job, nightly.clock.now) != {}
    assert not {"backups", "proof"} & {one.split(":")[0] for one in ailments(nightly.hub.settings)}


# -- the commands ---------------------------------------------------------------------------------


def call(settings: Settings, *arguments: str, answer: str = "") -> Result:
    """Call a command as an operator does, in this process."""
    env: dict[str, str | None] = dict.fromkeys(os.environ)
    env.update(environment(settings))
    return CliRunner().invoke(main, list(arguments), input=answer, env=env)


def test_operator_is_told_to_keep_the_keys_apart(place: District, tmp_path: Path) -> None:
    result = call(place.hub.settings, "backup", str(tmp_path / "b.backup"))
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"keep a copy of {place.hub.settings.key_file} in another safe place" in result.stderr
    again = call(place.hub.settings, "backup", str(tmp_path / "b.backup"))
    assert again.exit_code == 2
    assert again.stderr.count("\n") == 1


def test_operator_is_asked_before_data_are_replaced(place: District, tmp_path: Path) -> None:
    back_up(place, tmp_path / "b.backup")
    before = incarnation(place)
    refused = call(place.hub.settings, "restore", str(tmp_path / "b.backup"), answer="n\n")
    assert (refused.exit_code, incarnation(place)) == (2, before)
    done = call(place.hub.settings, "restore", str(tmp_path / "b.backup"), answer="y\n")
    assert (done.exit_code, incarnation(place) == before) == (0, False)
    assert "before-restore-" in done.stderr


def test_operator_is_told_when_the_keys_are_missing(
    place: District, somewhere_else: Settings, tmp_path: Path
) -> None:
    back_up(place, tmp_path / "b.backup")
    keyless = replace(somewhere_else, key_file=tmp_path / "none.json")
    (tmp_path / "b.zip").write_bytes(unsealed(place.hub.settings, tmp_path / "b.backup"))
    result = call(keyless, "restore", "--plain", str(tmp_path / "b.zip"))
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
        [sys.executable, "-c", code, "backup", str(tmp_path / "b.backup")],
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
        assert finish(run(settings, "backup", str(tmp_path / "b.backup")))[0] == 0
        threads = [threading.Thread(target=work, args=[tablet]) for tablet in tablets]
        for thread in threads:
            thread.start()
        for _ in range(2):
            time.sleep(0.3)  # tablets get on meanwhile
            status, said = finish(run(settings, "restore", str(tmp_path / "b.backup"), "--yes"))
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
    luck, file, settings = random.Random(seed), tmp_path / "b.backup", place.hub.settings
    tablet, said = place.tablet(), tmp_path / "said"
    with_children(tablet, 40)
    back_up(place, file)
    old = len(place.rows(select(ChangeRow.hash)))
    with_children(tablet, 5)
    new = len(place.rows(select(ChangeRow.hash)))
    commands = {
        "restore": ("restore", str(file), "--yes"),
        "backup": ("backup", "--force", str(tmp_path / "other.backup")),
    }
    _seconds_of(
        settings, said, *commands["backup"]
    )  # the first has to wait for what the others are forked from
    seconds = {name: _seconds_of(settings, said, *words) for name, words in commands.items()}
    tablet.sync_until_quiet()
    killed = dict.fromkeys(commands, 0)
    for _ in range(5):
        for name, words in commands.items():
            started, process = time.monotonic(), forked(environment(settings), said, *words)
            if _killed_after(process, luck.uniform(0.1, 0.9) * seconds[name]):
                killed[name] += 1
            else:  # the machine has less to do by now
                seconds[name] = time.monotonic() - started
            assert len(place.rows(select(ChangeRow.hash))) in (old, new)
            with opened(settings, tmp_path / "other.backup") as archive:
                archive.verify(silent)
        assert ailments(settings) == []
        tablet.sync_until_quiet()
    assert min(killed.values()) >= 2
    _seconds_of(settings, said, *commands["restore"])  # what the killed left is in nobody's way
    left = [
        path.name for what in ("*.part*", "restoring", "backing-up*") for path in settings.data_dir.glob(what)
    ]
    assert left == []
    place.settle(tablet)


def _seconds_of(settings: Settings, said: Path, *arguments: str) -> float:
    started = time.monotonic()
    process = forked(environment(settings), said, *arguments)
    process.join(120)
    assert process.exitcode == 0, said.read_text()
    return time.monotonic() - started


def _killed_after(process: BaseProcess, seconds: float) -> bool:
    """Kill a process if it still runs then, and say whether it did."""
    process.join(seconds)
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL
