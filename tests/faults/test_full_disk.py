"""The disk is full while a batch is taken: it is refused whole, said in the log, and taken when there is room again."""

import resource
from datetime import UTC, datetime

import pytest

from tests.faults._running import HttpTablet, LineLost, Server, days_ago, http_tablet, register, running
from tests.server._district import District, sqlite_file


def write_much(tablet: HttpTablet) -> None:
    """Save more than fits into what is left of a page."""
    for _ in range(60):
        child = register(tablet)
        tablet.measure(child, days_ago(3), weight_g=9100, length_mm=760)


def limit_files(server: Server, most_bytes: int) -> None:
    """Let no process of the server write beyond so many bytes of any file, as a disk that is full would."""
    for pid in server.pids:
        hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most_bytes, hard))


def test_batch_is_refused_whole_and_taken_later_when_the_disk_is_full(on_sqlite: District) -> None:
    on_sqlite.clock.now = datetime.now(UTC)
    with running(on_sqlite.hub.settings) as server:
        tablet = http_tablet(on_sqlite)
        tablet.server = server
        write_much(tablet)
        tablet.sync_until_quiet()
        held = on_sqlite.counts()["change"]
        log = sqlite_file(on_sqlite).with_name(f"{sqlite_file(on_sqlite).name}-wal")
        assert log.stat().st_size > 256 * 1024  # more than any other file that grows meanwhile
        limit_files(server, log.stat().st_size)
        write_much(tablet)
        with pytest.raises(LineLost, match=r"answered 50[03]"):
            tablet.sync()
        assert on_sqlite.counts()["change"] == held
        (failure,) = server.logged("unhandled")
        assert failure["exception"][-1]["code"] in ("SQLITE_FULL", "SQLITE_IOERR_WRITE")
        assert "Anak Contoh" not in "\n".join(server.lines)
        limit_files(server, resource.RLIM_INFINITY)
        tablet.sync_until_quiet()
        on_sqlite.check_agreement(tablet)
        assert on_sqlite.counts()["change"] == 2 * held
        assert server.stop() == 0
