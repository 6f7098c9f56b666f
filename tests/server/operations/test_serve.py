"""`serve` as an operator runs it: a real process tree on a real port, told to stop, hurt, and looked at."""

import gzip
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import orjson
import pytest

from server.config import Settings
from server.operations.serve import HEAPS, THREADS, WORKERS, _address, _gunicorn, _is_ready, prepare
from tests.conftest import ENGINES
from tests.faults._running import (
    COMMAND,
    START_SECONDS,
    HttpTablet,
    Server,
    children,
    command_of,
    days_ago,
    descendants,
    environment,
    free_port,
    http_tablet,
    is_alive,
    register,
    running,
    wait_until,
)
from tests.server._district import Databases, District

GRACEFUL_SECONDS = 30


@pytest.fixture(scope="module", params=ENGINES)
def serving(request: pytest.FixtureRequest) -> Iterator[tuple[Server, District]]:
    """Give a server that runs for all tests of this module, on each kind of database."""
    databases: Databases = request.getfixturevalue(f"{request.param}_databases")
    with District.opened(databases) as district, running(district.hub.settings) as server:
        district.clock.now = datetime.now(UTC)
        yield server, district


def tablet_of(serving: tuple[Server, District]) -> HttpTablet:
    """Enrol a tablet that speaks to the server."""
    server, district = serving
    tablet = http_tablet(district)
    tablet.server = server
    return tablet


def counted(server: Server, metric: str) -> float:
    """Read one number from /metrics."""
    text = server.get("/metrics")[2].decode()
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(metric))


# -- at work --------------------------------------------------------------------------------------


def test_server_says_that_it_is_ready_and_alive(serving: tuple[Server, District]) -> None:
    server, _ = serving
    assert orjson.loads(server.get("/readyz")[2]) == {"status": "ready"}
    assert orjson.loads(server.get("/healthz")[2]) == {"status": "ok"}


def test_batch_is_taken_over_http_and_the_log_names_no_child(serving: tuple[Server, District]) -> None:
    server, district = serving
    tablet = tablet_of(serving)
    child = register(tablet)
    tablet.measure(child, days_ago(3), weight_g=9100, length_mm=760)
    tablet.sync_until_quiet()
    assert tablet.outcomes() == ["applied", "applied"]
    district.check_agreement(tablet)
    said = "\n".join(server.lines)
    assert "/api/v1/sync" in said
    assert not any(word in said for word in ("Anak Contoh", child, tablet.id))


def test_workers_keep_few_heaps(serving: tuple[Server, District]) -> None:
    server, _ = serving
    with ThreadPoolExecutor(WORKERS * THREADS) as many:
        assert set(many.map(lambda _: server.get("/masuk")[0], range(200))) == {200}
    assert max(heaps(worker) for worker in children(server.master)) == HEAPS


def heaps(pid: int) -> int:
    """Count the heaps of a process: glibc's first one, and those it made for threads, each at a multiple of 64 MiB and
    followed by what it may yet grow into."""
    rows = [row.split() for row in Path(f"/proc/{pid}/maps").read_text().splitlines()]
    made = 0
    for row, following in pairwise(rows):
        begin, end = (int(place, 16) for place in row[0].split("-"))
        rest = following[1] == "---p" and following[0].startswith(f"{end:x}-")
        made += row[1] == "rw-p" and len(row) == 5 and begin % (64 << 20) == 0 and rest
    return 1 + made


def test_parent_keeps_nothing_of_the_database_open(serving: tuple[Server, District]) -> None:
    used = [str(path.readlink()) for path in Path(f"/proc/{serving[0].process.pid}/fd").iterdir()]
    assert [one for one in used if one.startswith("socket:") or ".db" in one] == []
    assert len(list(Path(f"/proc/{serving[0].process.pid}/task").iterdir())) == 1


def test_metrics_count_over_all_workers(serving: tuple[Server, District]) -> None:
    server, _ = serving
    metric = 'posyandu_requests_total{method="GET",route="/healthz",status="200"}'
    before = counted(server, metric)
    for _ in range(20):  # each on a connection of its own, so that both workers get some
        server.get("/healthz")
    assert counted(server, metric) == before + 20


def test_metrics_are_refused_when_a_proxy_asks_for_somebody(serving: tuple[Server, District]) -> None:
    server, _ = serving
    assert server.get("/metrics", {"X-Forwarded-For": "203.0.113.7"})[0] == 403


def test_scheduler_is_started_again_when_killed_and_waits_when_another_leads(on_sqlite: District) -> None:
    with running(on_sqlite.hub.settings) as server:
        wait_until(lambda: len(server.logged("job ran")) >= 2, "the first scheduler leads")
        with running(on_sqlite.hub.settings) as second:
            first = server.scheduler
            assert is_alive(second.scheduler)
            assert second.logged("job ran") == []
            os.kill(first, signal.SIGKILL)
            wait_until(lambda: len(second.logged("job ran")) >= 2, "the other server's scheduler leads")
            wait_until(lambda: server.logged("scheduler ended"), "the parent noticed")
            wait_until(lambda: server.scheduler != first, "the scheduler was started again")
            assert server.logged("scheduler ended")[0]["status"] == -signal.SIGKILL


# -- stopping -------------------------------------------------------------------------------------


def test_answer_arrives_whole_when_the_server_is_told_to_stop_midway(databases: Databases) -> None:
    with District.opened(databases) as district, running(district.hub.settings) as server:
        upload_across_a_stop(server, district, lambda: server.process.terminate())


def test_answer_arrives_whole_when_somebody_presses_control_c(on_sqlite: District) -> None:
    with running(on_sqlite.hub.settings) as server:
        foreground = [pid for pid in server.pids if os.getpgid(pid) == os.getpgid(server.process.pid)]
        assert server.process.pid in foreground

        def press() -> None:
            for pid in foreground:
                os.kill(pid, signal.SIGINT)

        upload_across_a_stop(server, on_sqlite, press)


def upload_across_a_stop(server: Server, district: District, stop: Callable[[], object]) -> None:
    """Send half a batch, stop the server, send the rest: the answer comes, and then nothing is left."""
    district.clock.now = datetime.now(UTC)
    tablet = http_tablet(district)
    register(tablet)
    body = gzip.compress(tablet.next_message())
    with begun_upload(server, body) as line:
        stop()
        wait_until(lambda: not takes_connections(server.port), "the server takes no more requests", 20)
        line.sendall(body[len(body) // 2 :])
        answer = read_all(line)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert orjson.loads(answer.partition(b"\r\n\r\n")[2])["receipt"]["items"] == [[1, "applied"]]
    assert server.process.wait(GRACEFUL_SECONDS) == 0
    assert server.left_behind() == []
    assert [path for path in server.metrics if path.exists()] == []


def begun_upload(server: Server, body: bytes) -> socket.socket:
    """Send the head and half of the body, so that a worker waits for the rest."""
    line = socket.create_connection(("127.0.0.1", server.port), timeout=START_SECONDS)
    head = (
        f"POST /api/v1/sync HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Encoding: gzip\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    line.sendall(head.encode() + body[: len(body) // 2])
    # A worker has the connection once the kernel's queue of those not yet accepted is empty.
    wait_until(lambda: accepted(server.port), "a worker took the connection", 10)
    return line


def accepted(port: int) -> bool:
    """Say whether no connection waits to be accepted (rx_queue of the listening socket)."""
    for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        cells = row.split()
        if cells[1].endswith(f":{port:04X}") and cells[3] == "0A":
            return int(cells[4].partition(":")[2], 16) == 0
    return False


def listens(port: int) -> bool:
    """Say whether somebody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def takes_connections(port: int) -> bool:
    """Say whether a new connection is taken up within a while, and not only by the kernel."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) != 0:
            return False
        try:
            wait_until(lambda: accepted(port), "accepted", 0.3)
        except AssertionError:
            return False
        return True


def read_all(line: socket.socket) -> bytes:
    """Read until the other end hangs up."""
    return b"".join(iter(lambda: line.recv(65536), b""))


def test_scheduler_and_workers_leave_when_the_parent_is_killed(on_sqlite: District) -> None:
    with running(on_sqlite.hub.settings) as server:
        assert len(server.pids) >= 5
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        wait_until(lambda: not server.left_behind(), "nobody is left behind", GRACEFUL_SECONDS)
        assert not listens(server.port)


STOPPED_AS_IT_STARTS = """
import os, signal
from server.web.gunicorn import keep_stop_for_workers, post_worker_init
signal.signal(signal.SIGTERM, lambda *_: None)  # the master's
keep_stop_for_workers()
if (worker := os.fork()) == 0:
    os.kill(os.getpid(), signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(7))  # its own
    post_worker_init(None)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]), signal.pthread_sigmask(signal.SIG_BLOCK, ()))
"""


def test_worker_ends_when_it_is_told_to_before_it_has_its_own_handlers() -> None:
    command = [sys.executable, "-c", STOPPED_AS_IT_STARTS]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout == "7 set()\n"


def test_server_ends_with_1_when_gunicorn_is_killed(on_sqlite: District) -> None:
    with running(on_sqlite.hub.settings) as server:
        os.kill(server.master, signal.SIGKILL)
        assert server.process.wait(GRACEFUL_SECONDS) == 1
        assert server.logged("web server ended")[0]["status"] == -signal.SIGKILL
        wait_until(lambda: not server.left_behind(), "nobody is left behind", GRACEFUL_SECONDS)


# -- starting -------------------------------------------------------------------------------------


def test_server_makes_an_installation_where_there_is_none(tmp_path: Path) -> None:
    place = tmp_path / "new" / "place"
    with running(None, "--data", str(place)) as server:
        assert server.get("/readyz")[0] == 200
        assert (place / "keys.json").stat().st_mode & 0o777 == 0o600
        assert server.stop() == 0


def test_preparing_changes_nothing_when_done_twice(tmp_path: Path) -> None:
    settings = Settings.for_data(tmp_path)
    prepare(settings).database.dispose()
    keys, rows = settings.key_file.read_bytes(), stored(settings)
    prepare(settings).database.dispose()
    assert (settings.key_file.read_bytes(), stored(settings)) == (keys, rows)


def stored(settings: Settings) -> list[tuple[object, ...]]:
    """Read the installation and its log."""
    assert settings.sqlite_file is not None
    with closing(sqlite3.connect(settings.sqlite_file)) as connection:
        rows = connection.execute("SELECT * FROM installation").fetchall()
        return rows + connection.execute("SELECT * FROM audit_entry").fetchall()


def test_server_is_refused_when_its_keys_are_missing(on_sqlite: District, tmp_path: Path) -> None:
    settings = Settings.for_data(tmp_path, database_url=on_sqlite.hub.settings.database_url)
    command = [*COMMAND, "serve", f"--port={free_port()}"]
    done = subprocess.run(command, env=environment(settings), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        f"posyandu-sync: there is no key file {tmp_path / 'keys.json'}: restore it from your backup of the keys\n"
    )


def test_address_has_brackets_when_the_host_is_of_ipv6() -> None:
    assert "--bind=[::1]:8000" in _gunicorn("::1", 8000)
    assert _address("::", 8000) == "http://[::1]:8000"
    assert _address("0.0.0.0", 8000) == "http://127.0.0.1:8000"  # noqa: S104  # a name, no socket


def test_readiness_is_asked_of_this_machine_when_the_environment_names_a_proxy(
    serving: tuple[Server, District], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    assert _is_ready("127.0.0.1", serving[0].port)


def test_nobody_is_ready_when_nobody_listens() -> None:
    started = time.monotonic()
    assert not _is_ready("127.0.0.1", free_port())
    assert time.monotonic() - started < 5


def test_walk_of_processes_finds_grandchildren() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 60 & wait"]) as shell:
        below = wait_until(
            lambda: [p for p in descendants(shell.pid) if "sleep" in command_of(p)], "sleep", 10
        )
        os.kill(below[0], signal.SIGKILL)
        wait_until(lambda: not is_alive(below[0]), "sleep ended", 10)
