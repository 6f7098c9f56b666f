"""`serve`: migrates, then runs gunicorn and the scheduler as two forked children of one parent, so that code is loaded once.

SIGTERM or SIGINT to the parent is passed on: gunicorn finishes open requests, the scheduler its running job. A scheduler
that dies is restarted; if gunicorn dies, everything ends, so that the service manager notices; if the parent is killed, so
are the children. The parent has one thread and no open database connection, since children would inherit both.
"""

import ctypes
import gc
import multiprocessing
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from http.client import HTTPConnection, HTTPException
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import make_url, select

from server.accounts import vouching
from server.audit import adoption
from server.backup.restoration import database_of
from server.config import Settings, take_on
from server.context import AppContext
from server.database.engine import Database
from server.database.migrations import migrate
from server.database.models import Installation
from server.logs import start_logging
from server.operations.scheduler import run_scheduler
from server.places.health_posts import install
from server.privacy import leftovers, sealed_columns

WORKERS: Final = 4
THREADS: Final = 4
"""For pages, in each worker; batches, sign-ins and health checks have others (`server.web.connections.lanes`)."""
HEAPS: Final = 2
"""Heaps of glibc, unless an operator sets MALLOC_ARENA_MAX. By default each thread gets a heap of its own, and memory freed
in one is of no use to the others. Under the interpreter's lock, two heaps are rarely contended.
"""
GRACE_SECONDS: Final = 30
RESTART_SECONDS: Final = 2


def prepare(settings: Settings) -> AppContext:
    """Migrate the database and return the opened installation; keys are created for a new one only.

    Raises
    ------
    KeyUnusable
        The database is not new and its keys are missing.
    """
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    vouching.note_upgrade(settings, without=_lacks_macs(settings.database_url))
    migrate(settings.database_url)
    hub = _open(settings)
    with hub.database.transaction() as session:
        install(session, hub, datetime.now(UTC))
    vouching.finish_upgrade(hub, datetime.now(UTC))
    if sealed_columns.seal_all(hub, datetime.now(UTC)) and settings.is_sqlite:
        leftovers.fold_wal(hub)
    adoption.adopt(hub.database, hub.district, actor="operator", now=lambda: datetime.now(UTC))
    return hub


def _lacks_macs(url: str) -> bool:
    if url.startswith("sqlite") and not Path(str(make_url(url).database)).exists():
        return False
    with database_of(url) as database, database.engine.connect() as connection:
        return vouching.lacks_macs(connection)


def _open(settings: Settings) -> AppContext:
    """Open; create keys only if nothing was ever sealed."""
    database = Database(settings.database_url)
    with database.reading() as session:
        used = session.execute(select(Installation.district).limit(1)).first() is not None
    database.dispose()
    return AppContext.open(settings, create_keys=not used)


def serve(
    settings: Settings,
    host: str,
    port: int,
    *,
    load_app: Callable[[], None],
    when_ready: Callable[[str], None],
) -> int:
    """Serve until told to stop.

    Parameters
    ----------
    load_app : imports the application, which lies above this package; called in gunicorn's master, since prometheus_client
        decides at import, by the environment, whether workers share their metrics
    when_ready : called once with the address when `/readyz` answers 200

    Returns
    -------
    int : 0 after a signal, 1 where the web server ended by itself
    """
    prepare(settings).database.dispose()
    start_logging(settings.log_level)
    stopped: list[int] = []
    for number in STOPPING:
        signal.signal(number, lambda received, _frame: stopped.append(received))
    metrics = tempfile.mkdtemp(prefix="posyandu-metrics-")
    environment = settings.child_environment(PROMETHEUS_MULTIPROC_DIR=metrics)
    _keep_few_heaps(environment)
    gc.collect()
    gc.freeze()  # otherwise the children's garbage collectors would write to shared pages
    web = _start(WEB, environment, partial(_run_gunicorn, host, port, load_app))
    scheduler = _Scheduler(environment, settings)
    try:
        announced = False
        while not stopped and web.exitcode is None:
            if not announced and _is_ready(host, port):
                announced = True
                when_ready(_address(host, port))
            scheduler.keep()
            time.sleep(0.5 if announced else 0.1)
    finally:
        for child in (web, scheduler.child):
            child.terminate()
        for child in (web, scheduler.child):
            _end(child)
        shutil.rmtree(metrics, ignore_errors=True)
    if not stopped:
        structlog.get_logger("posyandu.serve").error("web server ended", status=web.exitcode)
    return 0 if stopped else 1


class _Scheduler:
    """The scheduler's process, restarted RESTART_SECONDS after it ended."""

    def __init__(self, environment: Mapping[str, str], settings: Settings) -> None:
        self._start = partial(_start, JOBS, environment, partial(_schedule, settings))
        self._due: float | None = None
        self.child = self._start()

    def keep(self) -> None:
        """Check whether it still runs, and restart it when due. Never waits."""
        if self._due is None and self.child.exitcode is not None:
            log = structlog.get_logger("posyandu.serve")
            log.error("scheduler ended", status=self.child.exitcode, again_in_seconds=RESTART_SECONDS)
            self._due = time.monotonic() + RESTART_SECONDS
        elif self._due is not None and time.monotonic() >= self._due:
            self.child, self._due = self._start(), None


# -- a child ---------------------------------------------------------------------------------------

WEB, JOBS = "posyandu-web", "posyandu-jobs"
"""Names of the children in Linux (`ps -o comm`), at most 15 letters: their command line is the parent's."""
STOPPING: Final = (signal.SIGTERM, signal.SIGINT)
_FORKING: Final = multiprocessing.get_context("fork")
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NAME: Final = 15
_M_ARENA_MAX: Final = -8


def _start(name: str, environment: Mapping[str, str], work: Callable[[], None]) -> BaseProcess:
    """Fork a child. Signals that stop it are blocked until it has dropped the parent's handlers."""
    child = _FORKING.Process(name=name, target=_work, args=(name, environment, work))
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        child.start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    return child


def _work(name: str, environment: Mapping[str, str], work: Callable[[], None]) -> None:
    """Replace the parent's handlers, name and environment by the child's; then do its work.

    Linux sends SIGTERM when the parent is gone, for whatever reason: otherwise the child would go on and hold the port.
    """
    for number in STOPPING:
        signal.signal(number, signal.SIG_DFL)
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        _LIBC.prctl(_PR_SET_NAME, name.encode())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    take_on(environment)
    work()


def _keep_few_heaps(environment: Mapping[str, str]) -> None:
    """Limit this process and its children to HEAPS heaps, if the C library is glibc."""
    mallopt = getattr(_LIBC, "mallopt", None)
    if mallopt is not None and "MALLOC_ARENA_MAX" not in environment:
        mallopt(_M_ARENA_MAX, HEAPS)


def _schedule(settings: Settings) -> None:
    sys.exit(0 if run_scheduler(settings) else 1)


def _run_gunicorn(host: str, port: int, load_app: Callable[[], None]) -> None:
    from gunicorn.app.wsgiapp import run  # type: ignore[import-untyped]  # the library has no types

    load_app()
    sys.argv = _gunicorn(host, port)
    run()


def _gunicorn(host: str, port: int) -> list[str]:
    return [
        "gunicorn",
        f"--bind={_in_url(host)}:{port}",
        f"--workers={WORKERS}",
        f"--threads={THREADS}",
        "--worker-class=server.web.connections.worker.Worker",
        f"--graceful-timeout={GRACE_SECONDS}",
        "--keep-alive=15",
        "--log-level=warning",
        "--config=python:server.web.gunicorn",
        "wsgi:app",
    ]


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _reachable(host: str) -> str:
    """Return an address at which a server that listens on `host` answers."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # compared only


def _address(host: str, port: int) -> str:
    return f"http://{_in_url(_reachable(host))}:{port}"


def _is_ready(host: str, port: int) -> bool:
    # Not urllib, which would use a proxy from the environment.
    connection = HTTPConnection(_reachable(host), port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _end(child: BaseProcess) -> None:
    child.join(GRACE_SECONDS + 5)
    if child.is_alive():
        child.kill()
        child.join()
