"""The disk is full while a batch is taken: it is refused whole, said in the log, and taken when there is room again.

Where the machine lets us (as root), the disk is a small one of its own, filled to the last byte; elsewhere, and for chosen
bytes, a limit on the length of files stands for it.
"""

import errno
import os
import resource
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

import click
import pytest

from tests.faults._promises import changed_receipts, held, lost, written
from tests.faults._running import (
    HttpTablet,
    LineLost,
    days_ago,
    descendants,
    http_tablet,
    is_alive,
    limit_files,
    register,
    running,
    wait_until,
)
from tests.peers.loss import Postgres, database
from tests.server._district import Databases, District, sqlite_file

FRAME = 4096 + 24
"""Of a write-ahead log of SQLite: a page and its header."""
ROOMS = (0, 100, FRAME, 5 * FRAME + 2000, 40 * FRAME)
"""A commit writes its pages to the log one after another: none fits, a part of the first, one, some and a part, most."""
MEBIBYTE = 1024 * 1024
RECOVERY_SECONDS = 300.0


def write_much(tablet: HttpTablet) -> None:
    """Save more than fits into what is left of a page."""
    for _ in range(60):
        child = register(tablet)
        tablet.measure(child, days_ago(3), weight_g=9100, length_mm=760)


def fill_until_refused(tablet: HttpTablet, most: int = 100) -> None:
    """Write and sync until a batch is refused, because nothing more fits."""
    for _ in range(most):
        write_much(tablet)
        try:
            tablet.sync()
        except LineLost:  # answered 500 or 503
            return
    raise AssertionError("the disk was never full")


def check_taken(district: District, tablet: HttpTablet) -> None:
    """Sync again, now that there is room, and check the promises."""
    assert lost(district, tablet) == set()
    tablet.sync_until_quiet()
    district.settle(tablet)
    assert held(district) == written(tablet)
    assert changed_receipts(district, tablet) == set()


def test_batch_is_refused_whole_and_taken_later_when_the_log_cannot_grow(on_sqlite: District) -> None:
    on_sqlite.clock.now = datetime.now(UTC)
    with running(on_sqlite.hub.settings) as server:
        tablet = http_tablet(on_sqlite)
        tablet.server = server
        write_much(tablet)
        tablet.sync_until_quiet()
        for room in ROOMS:
            refuse_once(on_sqlite, tablet, room)
            check_taken(on_sqlite, tablet)
        assert any("SQLITE_FULL" in line or "SQLITE_IOERR_WRITE" in line for line in server.lines)
        assert "Anak Contoh" not in "\n".join(server.lines)
        assert server.stop() == 0


def refuse_once(district: District, tablet: HttpTablet, room: int) -> None:
    """Write much and send it while the log can grow by so many bytes alone; then let it grow again."""
    before = held(district)
    log = sqlite_file(district).with_name(f"{sqlite_file(district).name}-wal")
    assert log.stat().st_size > 256 * 1024  # more than any other file that grows meanwhile
    limit_files(tablet.server.pids, log.stat().st_size + room)
    write_much(tablet)
    with pytest.raises(LineLost, match=r"answered 50[03]"):
        tablet.sync()
    assert held(district) == before
    limit_files(tablet.server.pids, resource.RLIM_INFINITY)


# -- a disk of its own ----------------------------------------------------------------------------


@pytest.fixture
def disk() -> Iterator[Callable[[int], Path]]:
    """Give the maker of a small disk (of so many bytes), gone again afterwards.

    It is not below pytest's own directory, which every new run of pytest closes to other accounts, PostgreSQL's among them.
    """
    place = Path(tempfile.mkdtemp(prefix="posyandu-disk-"))
    place.chmod(0o755)
    made = False

    def make(size_bytes: int) -> Path:
        nonlocal made
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=1777", "tmpfs", str(place)]
        if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode != 0:
            pytest.skip("no disk of our own can be had here: that takes root and the right to mount")
        made = True
        return place

    try:
        yield make
    finally:
        if made:
            subprocess.run(["umount", "--lazy", str(place)], check=True)
        place.rmdir()


def fill(place: Path) -> Path:
    """Take all the room that is left on a disk; give the file that does."""
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file:
        while wrote(file, bytes(4096)):
            pass
    return ballast


def wrote(file: FileIO, page: bytes) -> bool:
    """Write a page; False when the disk is full."""
    try:
        file.write(page)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return False
    return True


def test_nothing_is_lost_when_the_disk_of_sqlite_is_full(disk: Callable[[int], Path]) -> None:
    with District.opened(Databases(disk(24 * MEBIBYTE), None)) as district:
        district.clock.now = datetime.now(UTC)
        with running(district.hub.settings) as server:
            tablet = http_tablet(district)
            tablet.server = server
            write_much(tablet)
            tablet.sync_until_quiet()
            ballast = fill(district.databases.directory)
            fill_until_refused(tablet)
            ballast.unlink()
            check_taken(district, tablet)
            assert "Anak Contoh" not in "\n".join(server.lines)
            assert server.stop() == 0
        click.echo(f"SQLite, disk full: {len(held(district))} changes, lost 0")


@pytest.mark.postgresql
def test_nothing_is_lost_when_the_disk_of_postgresql_is_full(
    disk: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = disk(600 * MEBIBYTE)
    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "tempdir", str(place))
        with database() as postgres:
            patched.undo()
            full_postgresql(postgres, tmp_path, lambda _: fill(place), empty)


def empty(_: Postgres, ballast: Path | None) -> None:
    """Give the room back that was taken."""
    assert ballast is not None
    ballast.unlink()


@pytest.mark.postgresql
def test_nothing_is_lost_when_postgresql_cannot_write_its_log(tmp_path: Path) -> None:
    with database() as postgres:
        full_postgresql(postgres, tmp_path, hold_back, let_go)


def hold_back(postgres: Postgres) -> None:
    """Let no file of PostgreSQL grow beyond some bytes that its log has long passed: it cannot commit, and stops."""
    limit_postgresql(postgres, str(128 * 1024))


def let_go(postgres: Postgres, _: Path | None) -> None:
    """Give room again."""
    limit_postgresql(postgres, "unlimited")


def limit_postgresql(postgres: Postgres, most_bytes: str) -> None:
    """Limit its files: first the parent's, whose limit all have that it starts from then on, then theirs who are there."""
    limit_process(postgres, postgres.pid, most_bytes)
    for pid in descendants(postgres.pid):
        limit_process(postgres, pid, most_bytes)


def limit_process(postgres: Postgres, pid: int, most_bytes: str) -> None:
    """Limit the files of one process by a command that runs as whom it runs: nobody else may."""
    ours = os.geteuid() == postgres.owner.st_uid
    done = subprocess.run(
        ["prlimit", f"--pid={pid}", f"--fsize={most_bytes}:unlimited"],
        user=None if ours else postgres.owner.st_uid,
        group=None if ours else postgres.owner.st_gid,
        extra_groups=None if ours else [],
        check=False,
    )
    assert done.returncode == 0 or not is_alive(pid)  # after a panic its processes come and go


def full_postgresql(
    postgres: Postgres | str,
    home: Path,
    make_full: Callable[[Postgres], Path | None],
    make_room: Callable[[Postgres, Path | None], None],
) -> None:
    """Fill the disk of a PostgreSQL while a tablet syncs; give room; check the promises."""
    if not isinstance(postgres, Postgres):
        pytest.skip("the PostgreSQL of TEST_DATABASE_URL is not ours to fill")
    with District.opened(Databases(home, postgres.url)) as district:
        district.clock.now = datetime.now(UTC)
        with running(district.hub.settings) as server:
            tablet = http_tablet(district)
            tablet.server = server
            write_much(tablet)
            tablet.sync_until_quiet()
            taken = make_full(postgres)
            fill_until_refused(tablet)
            make_room(postgres, taken)
            # before it recovers it has every file of its written to the disk, which others may keep busy
            wait_until(lambda: is_served(tablet, postgres), "PostgreSQL serves again", RECOVERY_SECONDS)
            district.hub.database.dispose()
            check_taken(district, tablet)
            assert "Anak Contoh" not in "\n".join(server.lines)
            assert server.stop() == 0
        click.echo(f"PostgreSQL, disk full: {len(held(district))} changes, lost 0")


def is_served(tablet: HttpTablet, postgres: Postgres) -> bool:
    """Say whether the tablet can sync; a PostgreSQL that gave up is started again, as its operator would.

    That a page answers is not enough: a PostgreSQL that is about to recover still answers for a moment.
    """
    if not is_alive(postgres.pid):
        postgres.kill()
        postgres.start_again()
    try:
        tablet.sync_until_quiet()
    except LineLost:
        return False
    return True
