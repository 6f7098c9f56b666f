"""A real server for tests: `posyandu-sync serve` as an operator runs it, its processes and words; tablets that speak HTTP.

Hides how a free port is found, how long starting takes, how the tree of processes is walked (from /proc: a killed parent
forgets its children) and how everything is surely ended.
"""

import gzip
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import orjson

from server.config import Settings
from server.crypto.vault import SigningKey
from server.operations.serve import JOBS, WEB
from sync_protocol import Replica
from tests.server._district import DISTRICT, District, FakeTablet, identity

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-c", "from server.cli import main; main()"]
START_SECONDS = 240.0
"""Forty times what it takes on a machine that has nothing else to do: others may use it too."""


class LineLost(Exception):
    """No answer came: what was sent may have been taken or not."""


def free_port() -> int:
    """Give a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(holds: Callable[[], Any], what: str, seconds: float = START_SECONDS) -> Any:
    """Ask again until it holds, and give what it gave; fail with `what` when it takes too long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} seconds: {what}")


def environment(settings: Settings | None = None, **others: str) -> dict[str, str]:
    """Give an environment without any setting of ours but those of `settings`, for a process of ours."""
    ours = ("POSYANDU_", "DATABASE_URL", "PROMETHEUS_", "GUNICORN_", "COV_", "COVERAGE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    mine: dict[str, str] = {}
    if settings is not None:
        mine = {n: v for n, v in settings.child_environment().items() if n.startswith(ours)}
    return {**kept, "PYTHONPATH": str(ROOT), **mine, **others}


# -- processes ------------------------------------------------------------------------------------


def descendants(pid: int) -> list[int]:
    """List the processes below one, nearest first."""
    found: list[int] = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def children(pid: int) -> list[int]:
    """List a process's children."""
    try:
        text = "".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    except OSError:
        return []
    return [int(word) for word in text.split()]


def is_alive(pid: int) -> bool:
    """Say whether a process runs; one that ended and that nobody asked after yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def command_of(pid: int) -> str:
    """Give a process's command line."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def name_of(pid: int) -> str:
    """Give what Linux calls a process."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def kill_all(pids: list[int]) -> None:
    """Kill processes at once, as a power cut would."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def limit_files(pids: list[int], most_bytes: int) -> None:
    """Let no process write beyond so many bytes of any file, as a disk that is full would."""
    for pid in pids:
        hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most_bytes, hard))


# -- the server -----------------------------------------------------------------------------------


@dataclass
class Server:
    """`serve`, started and ready. `lines` is what it wrote on standard error."""

    process: "subprocess.Popen[bytes]"
    port: int
    lines: list[str] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    metrics: set[Path] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.listener = threading.Thread(target=self._listen, daemon=True)

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.decode(errors="replace").rstrip())

    @property
    def pids(self) -> list[int]:
        """The parent and everything below it; what was ever seen is remembered for `left_behind`."""
        found = [self.process.pid, *descendants(self.process.pid)]
        self.seen.update(found)
        return found

    def child(self, name: str) -> int:
        """Give the parent's own child of a name."""
        found: int = wait_until(
            lambda: next((p for p in children(self.process.pid) if name_of(p) == name), 0), name
        )
        return found

    @property
    def master(self) -> int:
        """Gunicorn's own process."""
        return self.child(WEB)

    @property
    def scheduler(self) -> int:
        """The scheduler's process."""
        return self.child(JOBS)

    def left_behind(self) -> list[int]:
        """List the processes that were seen and still run."""
        return [pid for pid in self.seen if is_alive(pid)]

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Give the JSON log lines of one event, waiting a little for the first: they come by a pipe of their own."""
        for _ in range(50):
            if any(event in line for line in list(self.lines)):
                break
            time.sleep(0.1)
        found = [orjson.loads(line) for line in list(self.lines) if line.startswith("{")]
        return [line for line in found if line.get("event") == event]

    def end(self) -> None:
        """Leave nothing running and nothing open, whatever a test did."""
        _ = self.pids
        kill_all(self.left_behind())
        self.process.wait()
        self.listener.join()  # ends with the last process that could still write
        assert self.process.stderr is not None
        self.process.stderr.close()
        for path in self.metrics:  # a killed parent could not
            shutil.rmtree(path, ignore_errors=True)

    def kill(self) -> None:
        """Kill every process of the server, and wait until all are gone."""
        kill_all(self.pids)
        self.process.wait()
        wait_until(lambda: not self.left_behind(), "a killed server is gone", 10)

    def stop(self) -> int:
        """Ask the server to end; give its exit status."""
        _ = self.pids
        self.process.terminate()
        return self.process.wait(START_SECONDS)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
        """Ask for a page: status, headers, body."""
        return self._ask("GET", path, None, headers or {})

    def post(self, path: str, body: bytes, port: int | None = None) -> tuple[int, dict[str, str], bytes]:
        """Send JSON, as gzip; to a proxy's port, if there is one."""
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        return self._ask("POST", path, gzip.compress(body, 1), headers, port)

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        port: int | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        connection = HTTPConnection("127.0.0.1", port or self.port, timeout=START_SECONDS)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, dict(answer.headers), answer.read()
        except (OSError, HTTPException) as error:
            raise LineLost(repr(error)) from error
        finally:
            connection.close()


@contextmanager
def running(settings: Settings | None = None, *arguments: str, **others: str) -> Iterator[Server]:
    """Run `serve` until the block is left, however it is left; ready when given."""
    server = start(settings, *arguments, **others)
    try:
        wait_until_ready(server)
        yield server
    finally:
        server.end()


def start(settings: Settings | None = None, *arguments: str, **others: str) -> Server:
    """Start `serve` and listen to what it says."""
    port = free_port()
    process = subprocess.Popen(
        [*COMMAND, "serve", f"--port={port}", *arguments],
        env=environment(settings, **others),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    server = Server(process, port)
    server.listener.start()
    return server


def wait_until_ready(server: Server) -> None:
    """Wait for the line that says where it is ready."""
    ready = re.compile(r"Ready at http://\S+")

    def is_ready() -> bool:
        assert server.process.poll() is None, "\n".join(server.lines)
        return any(ready.fullmatch(line) for line in list(server.lines))

    wait_until(is_ready, "the server is ready")
    for pid in server.pids:  # who answered that it is ready has counted that
        for used in re.findall(r"/\S+\.db$", Path(f"/proc/{pid}/maps").read_text(), re.MULTILINE):
            if "/posyandu-metrics-" in used:
                server.metrics.add(Path(used).parent)
    assert server.metrics


# -- tablets that speak HTTP ----------------------------------------------------------------------


class HttpTablet(FakeTablet):
    """A tablet whose line is real: it speaks to whatever server is there, and fails with LineLost when none is.

    It remembers every receipt that it was given, byte for byte, with the message that was answered; whatever repeats a
    message must answer the same.
    """

    server: Server
    port: int | None = None
    """Of a proxy to go through; the server's own unless set."""

    def __init__(self, district: District, key: SigningKey, replica: Replica) -> None:
        super().__init__(district, key, replica)
        self.receipts: dict[str, tuple[bytes, bytes]] = {}

    def send_raw(self, message: bytes) -> bytes:
        status, _, body = self.server.post("/api/v1/sync", message, port=self.port)
        if status >= 500:
            raise LineLost(f"answered {status}")
        assert status == 200, body
        if not _is_whole(body):  # a head that ends early may have lost the length of what follows it
            raise LineLost("the answer is not whole")
        self._remember(message, receipt_bytes(body))
        return body

    def _remember(self, message: bytes, receipt: bytes) -> None:
        batch = orjson.loads(message)["batch"]
        if batch["changes"] and orjson.loads(receipt)["status"] == "accepted":
            _, given = self.receipts.setdefault(batch["batch"], (message, receipt))
            assert receipt == given, f"batch {batch['batch']} was answered otherwise before"


def _is_whole(body: bytes) -> bool:
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True


def receipt_bytes(answer: bytes) -> bytes:
    """Cut the receipt out of an answer, as it was written: no quoted text can hold the bare key that follows it."""
    begin = answer.index(b'"receipt":') + len(b'"receipt":')
    return answer[begin : answer.index(b',"pull":', begin)]


def http_tablet(district: District, post: int = 0, name: str = "Tablet Contoh") -> HttpTablet:
    """Enrol a device; give it a server before it sends."""
    key = SigningKey()
    replica = Replica(DISTRICT, district.enrol(key, post, name), district.posts[post], "posyandu-sync/0.1.0")
    return HttpTablet(district, key, replica)


def days_ago(days: int) -> str:
    """Give a day by the real calendar: a running server takes nothing from the future."""
    return (_today() - timedelta(days=days)).isoformat()


def _today() -> date:
    return datetime.now(UTC).date()


def register(tablet: FakeTablet) -> str:
    """Register a made-up child a year old; give the id."""
    return tablet.register_child(identity=identity(born_on=days_ago(400)))
