"""A new master key while the server works: no request is lost, a kill costs nothing, an old key goes when none needs it."""

import io
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner
from sqlalchemy import LargeBinary, select

from server import audit
from server.audit import checkpoints, export
from server.cli import main
from server.context import AppContext
from server.crypto import key_file
from server.crypto.vault import KeyUnusable
from server.database.models import Base, Child
from server.database.row_macs import NOT_COVERED
from server.errors import Problem
from server.operations import key_rotation
from server.privacy.sealed_columns import PLACES
from server.sync import upload as sync
from tests.faults._running import (
    COMMAND,
    ROOT,
    HttpTablet,
    LineLost,
    days_ago,
    environment,
    http_tablet,
    register,
    running,
    wait_until,
)
from tests.server._district import District
from tests.server.interchange._files import row, xlsx
from tests.server.interchange._office import taken
from tests.server.operations._keys import own_keys
from tests.server.privacy._planted import plant


def silent(_what: str, _done: int, _total: int) -> None:
    """Tell nobody how far it has come."""


def rotate(hub: AppContext) -> tuple[int, Counter[str]]:
    return key_rotation.rotate(hub, actor="operator", now=lambda: datetime.now(UTC), progress=silent)


def held(hub: AppContext) -> dict[int, Counter[str]]:
    with hub.database.reading() as session:
        return key_rotation.held(session, hub)


@pytest.fixture
def district(installed: District, tmp_path: Path) -> Iterator[District]:
    yield own_keys(installed, tmp_path)
    installed.hub.database.dispose()


def test_everything_is_under_the_new_key_and_reads_as_before(district: District) -> None:
    tablet = district.tablet()
    plant(tablet)
    tablet.sync_until_quiet()
    taken(district, xlsx([row(), row(NIK="", Nama="Anak Contoh Dua", Berat="x")]))
    before = district.stored()
    version, moved = rotate(district.hub)
    assert version == 2
    assert moved["change"] == 7
    assert moved["child"] == len(district.rows(select(Child.id)))
    assert moved["import_chunk"] == 1
    assert held(district.hub)[1].total() == 0
    assert district.stored() == before
    assert district.broken_log() == []
    assert district.unbound() == []
    tablet.sync_until_quiet()
    district.check_agreement(tablet)


def test_every_sealed_column_is_known_to_the_rotation() -> None:
    """A new column of bytes is under a child's key, in plain, or in `sealed_columns.PLACES`: whoever adds one says which."""
    under_a_child = {
        "child.state",
        "measurement.state",
        "follow_up.state",
        "delivery.state",
        "rights_request.asked",
    }
    apart = {"batch.receipt", "change.header", "nik_index.blind_index", "child.wrapped_key"}
    apart |= {"import_chunk.children", "passkey.public_key", "passkey.user_handle"}
    apart |= {f"{model.__tablename__}.mac" for model in NOT_COVERED}
    columns = {
        f"{name}.{column.name}"
        for name, one in Base.metadata.tables.items()
        for column in one.columns
        if isinstance(column.type, LargeBinary)
    }
    places = {f"{place.table.name}.{place.column}" for place in PLACES}
    assert columns == under_a_child | apart | places


def test_a_process_that_read_the_keys_before_seals_under_the_new_one(district: District) -> None:
    other = AppContext.open(district.hub.settings)
    rotate(other)
    other.database.dispose()
    tablet = district.tablet()
    tablet.register_child()
    tablet.sync_until_quiet()
    assert {row.key_version for row in district.rows(select(Child.key_version))} == {2}
    assert len(district.stored()) == 1


def test_no_request_is_lost_while_keys_are_rotated(district: District) -> None:
    """Two tablets write about old and new children without a pause over HTTP, while a command rotates twice."""
    settings = district.hub.settings
    with running(settings) as server:
        fleet = [http_tablet(district, number % 2, f"Tablet {number}") for number in range(2)]
        for tablet in fleet:
            tablet.server = server
            for _ in range(5):
                register(tablet)
            tablet.sync_until_quiet()
        done, rounds = threading.Event(), Counter[str]()
        failed: list[str] = []

        def work(tablet: HttpTablet) -> None:
            try:
                while not done.is_set():
                    tablet.measure(register(tablet), days_ago(1), weight_g=9000)
                    tablet.sync()
                    rounds[tablet.id] += 1
            except (LineLost, AssertionError) as error:
                failed.append(repr(error))

        threads = [threading.Thread(target=work, args=(tablet,)) for tablet in fleet]
        for thread in threads:
            thread.start()
        try:
            for _ in range(2):
                wait_until(
                    lambda: failed or min(rounds[tablet.id] for tablet in fleet) > 0, "all are at work"
                )
                rounds.clear()
                ran = subprocess.run(
                    [*COMMAND, "key", "rotate", "--reason", "uji"],
                    env=environment(settings),
                    cwd=ROOT,
                    capture_output=True,
                    check=False,
                )
                assert ran.returncode == 0, ran.stderr
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert failed == []
        refused = [line for line in server.logged("request") if line["status"] >= 400]
        district.settle(*fleet)
    assert refused == []
    assert {item for tablet in fleet for item in tablet.outcomes()} <= {"applied", "merged"}
    rotate(district.hub)  # what a plan of before may have left
    counts = held(district.hub)
    assert [version for version, of in counts.items() if of.total()] == [max(counts)]


def test_a_killed_rotation_is_gone_on_with(district: District) -> None:
    tablet = district.tablet()
    for _ in range(40):
        tablet.register_child()
    tablet.sync_until_quiet()
    before = district.stored()
    program = (
        "import os, signal; from server.cli import main; from server.operations import key_rotation as rotation\n"
        "rotation.CHUNK = 7\n"
        "was = rotation._children\n"
        "def few(*given):\n"
        "    count = was(*given)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return count\n"
        "rotation._children = few\n"
        "main(['key', 'rotate', '--reason', 'uji'])\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program], env=environment(district.hub.settings), cwd=ROOT, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert {version: of["child"] for version, of in held(district.hub).items()} == {1: 33, 2: 7}
    assert district.stored() == before
    version, moved = rotate(district.hub)
    assert (version, moved["child"]) == (2, 33)
    assert district.stored() == before


def test_an_upload_worked_out_before_does_not_bring_the_old_wrapping_back(district: District) -> None:
    """The plan is made on a snapshot; then keys are rotated; then it is carried out."""
    tablet = district.tablet()
    child = tablet.register_child()
    tablet.sync_until_quiet()
    tablet.edit_child(child, home={"address": "Gang Contoh", "rt": "1"})
    message = orjson.loads(tablet.next_message())
    hub = district.hub
    with hub.database.reading() as session:
        known, upload = sync._proven(session, hub, message, 100, district.clock.now)
        plan = sync._planned(session, hub, upload, known)
    rotate(hub)
    sync._take(hub, upload, plan)
    assert {row.key_version for row in district.rows(select(Child.key_version))} == {2}
    tablet.sync_until_quiet()
    district.check_agreement(tablet)


def test_two_commands_do_not_change_the_keys_at_once(district: District) -> None:
    with (
        key_file.changing(district.hub.settings.key_file),
        pytest.raises(KeyUnusable, match="another command"),
    ):
        rotate(district.hub)


def test_an_old_key_goes_only_when_nothing_is_under_it_and_a_day_has_passed(district: District) -> None:
    hub, now = district.hub, datetime.now(UTC)
    tablet = district.tablet()
    tablet.register_child()
    tablet.sync_until_quiet()
    rotate(hub)
    for version, at in ((2, now + timedelta(days=2)), (1, now)):
        with pytest.raises(Problem) as refused:
            key_rotation.retire(hub, version, actor="operator", now=at)
        assert refused.value.code == "key-in-use"
    key_rotation.retire(hub, 1, actor="operator", now=now + timedelta(days=2))
    assert list(held(hub)) == [2]
    assert len(district.stored()) == 1
    told = [action for action in district.actions("office") if action.startswith("keys.")]
    assert list(dict.fromkeys(told)) == ["keys.added", "keys.macs-renewed", "keys.rotated", "keys.retired"]


def test_what_a_retired_key_signed_is_still_verified(district: District) -> None:
    hub, now = district.hub, datetime.now(UTC)
    kept: list[checkpoints.KeptCheckpoint] = []
    again: list[checkpoints.KeptCheckpoint] = []
    for some in (kept, again):
        with hub.database.transaction() as session:
            checkpoints.make(session, hub, now, actor="operator")
        with hub.database.reading() as session:
            newest = checkpoints.kept(session, hub)
        assert newest is not None
        some.append(newest)
        if some is kept:
            rotate(hub)
            with pytest.raises(KeyUnusable, match="audit checkpoint"):
                key_rotation.retire(hub, 1, actor="operator", now=now + timedelta(days=2))
    key_rotation.retire(hub, 1, actor="operator", now=now + timedelta(days=2))
    keys = hub.vault.checkpoint_keys()
    assert len(keys) == 1
    assert not keys.keys() & kept[0].signatures.keys()
    with hub.database.reading() as session:
        for one in (None, *kept, *again):
            assert audit.verify(session, hub.district, keys=keys, kept=one)[1] == []
        for number in (1, 2):  # taken again now: the old one's key is only in the log
            taken_now = checkpoints.kept(session, hub, number)
            assert taken_now is not None
            assert checkpoints.read_kept(taken_now.file()).signatures == taken_now.signatures
        exported = b"".join(export.lines(session, hub, now))
    assert export.verify_export(io.BytesIO(exported), kept=kept[0]).broken == []


# -- a key service --------------------------------------------------------------------------------


def service(directory: Path, body: str) -> str:
    """Write a key command: a shell script."""
    script = directory / "layanan-kunci"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o700)
    return str(script)


TURNING = 'if [ "$1" = wrap ]; then rev; else rev; fi'
"""A service for tests: what it wraps is turned round."""


def test_key_file_is_wrapped_opened_and_rotated_by_the_command(district: District, tmp_path: Path) -> None:
    file = district.hub.settings.key_file
    settings = replace(district.hub.settings, key_command=service(tmp_path, TURNING))
    tablet = district.tablet()
    tablet.register_child()
    tablet.sync_until_quiet()
    plain = file.read_text()
    told = CliRunner().invoke(main, ["key", "wrap"], env=environment(settings))
    assert told.exit_code == 0, told.output
    assert key_file.is_wrapped(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert all(word not in file.read_text() for word in plain.split('"') if len(word) > 20)
    district.hub.database.dispose()
    district.hub = AppContext.open(settings)
    assert rotate(district.hub)[0] == 2
    assert key_file.is_wrapped(file)
    assert len(district.stored()) == 1
    CliRunner().invoke(main, ["key", "wrap", "--undo"], env=environment(settings))
    assert key_file.load_keys(file, create=False).newest == 2


def test_new_installation_with_a_command_never_has_a_plain_file(tmp_path: Path) -> None:
    command, file = service(tmp_path, TURNING), tmp_path / "keys.json"
    made = key_file.load_keys(file, create=True, command=command)
    assert key_file.is_wrapped(file)
    assert key_file.load_keys(file, create=False, command=command) == made


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("echo tidak boleh >&2; exit 3", "ended with status 3: tidak boleh"),
        ("exit 0", "answered nothing"),
        ("echo bukan-kunci", "no key of 32 bytes"),
        (
            'if [ "$1" = wrap ]; then rev; else echo QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=; fi',
            "does not unwrap",
        ),
        ("sleep 9", "no answer in"),
    ],
)
def test_a_command_that_fails_is_told_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, words: str
) -> None:
    monkeypatch.setattr(key_file, "COMMAND_SECONDS", 0.5 if "sleep" in body else 20)
    command = f"{service(tmp_path, body)} --token=RAHASIA"
    with pytest.raises(KeyUnusable, match=words) as refused:
        key_file.load_keys(tmp_path / "keys.json", create=True, command=command)
    assert "RAHASIA" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["layanan-kunci"]


def test_wrapped_file_without_a_command_says_what_to_set(tmp_path: Path) -> None:
    key_file.load_keys(tmp_path / "keys.json", create=True, command=service(tmp_path, TURNING))
    with pytest.raises(KeyUnusable, match="POSYANDU_KEY_COMMAND"):
        key_file.load_keys(tmp_path / "keys.json", create=False)
    with pytest.raises(KeyUnusable, match="cannot be run"):
        key_file.load_keys(tmp_path / "keys.json", create=False, command="/tidak/ada")


def test_blind_index_stays_when_masters_change(district: District) -> None:
    """It has a key of its own, from which no master key follows."""
    before = district.hub.vault.blind_index("6402061001250001")
    rotate(district.hub)
    keys = key_file.load_keys(district.hub.settings.key_file, create=False)
    assert district.hub.vault.blind_index("6402061001250001") == before
    assert keys.index_key not in keys.masters.values()
