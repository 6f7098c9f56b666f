"""Kinto with PostgreSQL, installed and run as its own documentation says for production.

Hides the virtual environment, the configuration, and Kinto's HTTP API. The configuration is what `kinto init` writes, with
the values of the documentation's "Recommended settings" and PostgreSQL for storage, cache and permissions. Gunicorn, which
that page names beside uWSGI, runs four workers, because it is what runs posyandu-sync too: the same processes are there to
kill. Records are sent by PUT under ids that the client chose, so that sending one again changes nothing.
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
BUCKET = "/buckets/posyandu"
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
        pip: list[str | Path] = [
            python,
            "-m",
            "pip",
            "--disable-pip-version-check",
            "--quiet",
            "install",
            *PACKAGES,
        ]
        _checked([sys.executable, "-m", "venv", environment], {})
        _checked(pip, {})
    return _checked([python, "-c", "from importlib.metadata import version; print(version('kinto'))"], {})


def _checked(command: list[str | Path], settings: Mapping[str, str]) -> str:
    """Run a command of the installation to its end and give what it printed."""
    try:
        done = subprocess.run(
            command,
            env=_environment(settings),
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


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Give Kinto its settings and nothing of ours: it must not find our packages, nor take our options for gunicorn."""
    foreign = ("KINTO_", "GUNICORN_", "PYTHON")
    return {n: v for n, v in os.environ.items() if not n.startswith(foreign)} | dict(settings)


class Kinto:
    """A running Kinto with one bucket; `collections` 1: all writers share a collection, as the tablets of a post do."""

    name = "Kinto"

    def __init__(
        self, environment: Path, home: Path, database_url: str, version: str, collections: int
    ) -> None:
        self.version = version
        self.collections = [f"{BUCKET}/collections/pos-{number}" for number in range(collections)]
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
        for path in (BUCKET, *self.collections):
            status, _, body = self.ask("PUT", path)
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
                env=_environment(self.settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            wait_until(self.is_well, "Kinto is ready")
        except AssertionError as error:
            error.add_note(self.log.read_text(errors="replace")[-2000:])
            raise

    def is_well(self) -> bool:
        """Say whether it answers, has all its workers, and reaches its database."""
        try:
            return len(self.workers()) >= WORKERS and self.ask("GET", "/__heartbeat__")[0] == 200
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

    def writer(self, number: int) -> "KintoWriter":
        """Give what one writer sends through."""
        return KintoWriter(self, self.collections[number % len(self.collections)])

    def send(self, collection: str, batch: Sequence[Record]) -> Answer:
        """Send records through the batch endpoint.

        Raises
        ------
        LineLost
            when no answer came, or one other than 200: nothing is known of the batch
        """
        requests = [
            {"path": f"/v1{_path(collection, record.id)}", "body": {"data": _data(record)}}
            for record in batch
        ]
        message = orjson.dumps({"defaults": {"method": "PUT"}, "requests": requests})
        status, _, body = self.ask("POST", "/batch", message)
        if status != 200:
            raise LineLost(f"answered {status}: {body[:200]!r}")
        # Responses come in the order of the requests, as its documentation promises.
        answers = zip(batch, orjson.loads(body)["responses"], strict=True)
        statuses = {record.id: answer["status"] for record, answer in answers}
        refused = {id_: str(status) for id_, status in statuses.items() if status not in (200, 201)}
        return Answer(frozenset(statuses.keys() - refused.keys()), refused)

    def read_back(self, wanted: Collection[Record]) -> dict[str, Mapping[str, Json]]:
        """List the collections page by page; what the lists lack is asked for by its own address too."""
        found: dict[str, Mapping[str, Json]] = {}
        for collection in self.collections:
            path: str | None = f"{collection}/records"
            while path is not None:
                status, headers, body = self.ask("GET", path)
                assert status == 200, body
                found |= {data["id"]: data["registers"] for data in orjson.loads(body)["data"]}
                path = _after_version(headers.get("Next-Page"))
        missing = [record.id for record in wanted if record.id not in found]
        for collection in self.collections:
            found |= {id_: data for id_ in missing if (data := self._one(collection, id_)) is not None}
        return found

    def _one(self, collection: str, record_id: str) -> Mapping[str, Json] | None:
        status, _, body = self.ask("GET", _path(collection, record_id))
        assert status in (200, 404), body
        content: Mapping[str, Json] | None = (
            orjson.loads(body)["data"]["registers"] if status == 200 else None
        )
        return content

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Mapping[str, str], bytes]:
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


class KintoWriter:
    """A client that writes to one collection."""

    def __init__(self, kinto: Kinto, collection: str) -> None:
        self.kinto, self.collection = kinto, collection

    def send(self, batch: Sequence[Record]) -> Answer:
        """Send records; see `Kinto.send`."""
        return self.kinto.send(self.collection, batch)


@contextmanager
def running(
    environment: Path, home: Path, admin_url: str, version: str, collections: int = 1
) -> Iterator[Kinto]:
    """Run Kinto on a new database until the block is left, however it is left."""
    kinto = Kinto(environment, home, create_database(admin_url, "kinto"), version, collections)
    try:
        kinto.set_up()
        yield kinto
    finally:
        kinto.end()


def _path(collection: str, record_id: str) -> str:
    return f"{collection}/records/{record_id}"


def _data(record: Record) -> dict[str, Any]:
    return {"child": record.child_id, "measured_on": record.measured_on, "registers": record.content}


def _after_version(url: str | None) -> str | None:
    """Give the path and query of a page's address, without the API's version."""
    if url is None:
        return None
    parts = urlsplit(url)
    return re.sub(r"^/v1", "", f"{parts.path}?{parts.query}")
