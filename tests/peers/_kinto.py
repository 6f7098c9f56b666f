"""Kinto with PostgreSQL, installed and run as its own documentation says for production.

Hides the virtual environment, the configuration, and Kinto's HTTP API. The configuration is what `kinto init` writes, with the
values of the documentation's "Recommended settings" and PostgreSQL for storage, cache and permissions; gunicorn, which that
page names beside uWSGI, runs four workers, because it is what runs posyandu-sync too: the same processes are there to kill.
Records are sent by PUT under ids that the client chose, so that sending one again changes nothing.
"""

import base64
import os
import re
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from sync_protocol import Json
from tests._postgres import create_database
from tests.faults._running import LineLost, children, descendants, free_port, is_alive, kill_all, wait_until
from tests.peers._load import Answer, Record

PACKAGES = ("kinto[postgresql]", "gunicorn")
INSTALL_SECONDS = 600
ANSWER_SECONDS = 30.0
ORPHAN_SECONDS = 1.0
"""How long workers without a master may go on, before whoever restarts the service ends them too."""
BATCH = 25
WORKERS = 4
COLLECTION = "/buckets/posyandu/collections/catatan"
USER, PASSWORD = "admin", "rahasia-contoh"  # not a secret: the account lives as long as the run
RECOMMENDED = {
    "KINTO_PAGINATE_BY": "100",
    "KINTO_BATCH_MAX_REQUESTS": str(BATCH),
    "KINTO_STORAGE_POOL_SIZE": "50",
    "KINTO_CACHE_POOL_SIZE": "50",
    "KINTO_PERMISSION_POOL_SIZE": "50",
}


class NotInstalled(Exception):
    """Kinto cannot be had here; the message says why, in one line."""


def install(environment: Path) -> str:
    """Install the newest Kinto into a virtual environment of its own, unless it is there; give the version.

    Raises
    ------
    NotInstalled
        when the package index cannot be reached or has nothing that fits
    """
    python = environment / "bin" / "python"
    if not (environment / "bin" / "kinto").exists():
        pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", *PACKAGES]
        for command in ([sys.executable, "-m", "venv", environment], pip):
            _checked(command, {})
    return _checked([python, "-c", "from importlib.metadata import version; print(version('kinto'))"], {})


def _checked(command: Sequence[str | Path], settings: Mapping[str, str]) -> str:
    """Run a command of the installation to its end and give what it printed."""
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=INSTALL_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(str(error)) from error
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise NotInstalled(lines[-1] if lines else f"status {done.returncode}")
    return done.stdout.strip()


class Kinto:
    """A running Kinto with one bucket and in it one collection for each post: here, one."""

    name = "Kinto"

    def __init__(self, environment: Path, home: Path, database_url: str, version: str) -> None:
        self.version = version
        self.environment, self.ini, self.log = environment, home / "kinto.ini", home / "log"
        backends = ("STORAGE", "CACHE", "PERMISSION")
        self.settings = {**RECOMMENDED, **{f"KINTO_{backend}_URL": database_url for backend in backends}}
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._orphans: list[int] = []

    def set_up(self) -> None:
        """Write the configuration, make the tables and the administrator, start, and make the collection."""
        self._kinto("init", "--backend=postgresql", "--cache-backend=postgresql", "--host=127.0.0.1")
        self._kinto("migrate")
        self._kinto("create-user", "-u", USER, "-p", PASSWORD)
        self.start()
        for path in ("/buckets/posyandu", COLLECTION):
            status, _, body = self._ask("PUT", path)
            assert status == 201, body

    def _kinto(self, command: str, *arguments: str) -> None:
        program = self.environment / "bin" / "kinto"
        _checked([program, command, f"--ini={self.ini}", *arguments], self.settings)

    # -- processes ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the web server on the port it always had, and wait until it says that it and its database are well."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    self.environment / "bin" / "gunicorn",
                    f"--bind=127.0.0.1:{self.port}",
                    f"--workers={WORKERS}",
                    "--log-level=warning",
                    f"pyramid.paster:get_app({str(self.ini)!r})",
                ],
                env={**os.environ, **self.settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(self.is_well, f"Kinto is ready; its log: {self.log}")

    def is_well(self) -> bool:
        """Say whether it answers, has all its workers, and reaches its database."""
        try:
            return len(self.workers()) >= WORKERS and self._ask("GET", "/__heartbeat__")[0] == 200
        except LineLost:
            return False

    def master(self) -> int:
        assert self.process is not None
        return self.process.pid

    def workers(self) -> list[int]:
        return [pid for pid in children(self.master()) if is_alive(pid)]

    def start_again(self) -> None:
        """Do what a service manager does when the master is gone."""
        deadline = time.monotonic() + ORPHAN_SECONDS
        while any(map(is_alive, self._orphans)) and time.monotonic() < deadline:
            time.sleep(0.02)
        kill_all([pid for pid in self._orphans if is_alive(pid)])
        self.start()

    def kill_master(self) -> None:
        assert self.process is not None
        self._orphans = descendants(self.process.pid)
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Leave nothing running."""
        if self.process is not None:
            kill_all([self.process.pid, *descendants(self.process.pid)])
            self.process.wait()

    # -- the API --------------------------------------------------------------------------------------

    def writer(self, number: int) -> "Kinto":
        """Give what one writer sends through; Kinto's clients are all alike, so that is Kinto itself."""
        return self

    def send(self, batch: Sequence[Record]) -> Answer:
        """Send records through the batch endpoint.

        Raises
        ------
        LineLost
            when no answer came, or one other than 200: nothing is known of the batch
        """
        requests = [{"path": f"/v1{_path(record.id)}", "body": {"data": _data(record)}} for record in batch]
        message = orjson.dumps({"defaults": {"method": "PUT"}, "requests": requests})
        status, _, body = self._ask("POST", "/batch", message)
        if status != 200:
            raise LineLost(f"answered {status}: {body[:200]!r}")
        # Responses come in the order of the requests, as its documentation promises.
        answers = zip(batch, orjson.loads(body)["responses"], strict=True)
        statuses = {record.id: answer["status"] for record, answer in answers}
        refused = {id_: str(status) for id_, status in statuses.items() if status not in (200, 201)}
        return Answer(frozenset(statuses.keys() - refused.keys()), refused)

    def read_back(self, wanted: Collection[Record]) -> dict[str, Mapping[str, Json]]:
        """List the collection page by page; what the list lacks is asked for by its own address too."""
        found: dict[str, Mapping[str, Json]] = {}
        path: str | None = f"{COLLECTION}/records"
        while path is not None:
            status, headers, body = self._ask("GET", path)
            assert status == 200, body
            found |= {data["id"]: _content(data) for data in orjson.loads(body)["data"]}
            path = _after_version(headers.get("Next-Page"))
        for record in wanted:
            if record.id not in found:
                status, _, body = self._ask("GET", _path(record.id))
                assert status in (200, 404), body
                if status == 200:
                    found[record.id] = _content(orjson.loads(body)["data"])
        return found

    def _ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Mapping[str, str], bytes]:
        token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
        connection = HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
        try:
            connection.request(method, f"/v1{path}", body, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.headers), answer.read()
        except (OSError, HTTPException) as error:
            raise LineLost(repr(error)) from error
        finally:
            connection.close()


@contextmanager
def running(environment: Path, home: Path, admin_url: str, version: str) -> Iterator[Kinto]:
    """Run Kinto on a new database until the block is left, however it is left."""
    kinto = Kinto(environment, home, create_database(admin_url, "kinto"), version)
    try:
        kinto.set_up()
        yield kinto
    finally:
        kinto.end()


def _path(record_id: str) -> str:
    return f"{COLLECTION}/records/{record_id}"


def _data(record: Record) -> dict[str, Any]:
    return {"child": record.child_id, "measured_on": record.measured_on, "registers": record.content}


def _content(data: Mapping[str, Any]) -> Mapping[str, Json]:
    content: Mapping[str, Json] = data["registers"]
    return content


def _after_version(url: str | None) -> str | None:
    """Give the path and query of a page's address, without the API's version."""
    if url is None:
        return None
    parts = urlsplit(url)
    return re.sub(r"^/v1", "", f"{parts.path}?{parts.query}")
