"""`serve`: migrate, then gunicorn and the scheduler as two children of one small parent.

SIGTERM or SIGINT to the parent is passed on: gunicorn finishes what is in flight, the scheduler its running job. A scheduler
that dies is started again; if gunicorn dies, all end, so that whoever supervises us notices.
"""

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

from sqlalchemy import select

from server.config import Settings
from server.db import Database
from server.hub import Hub
from server.migrations import migrate
from server.models import Installation
from server.places import install

WORKERS: Final = 2
THREADS: Final = 4
GRACE_SECONDS: Final = 30
RESTART_SECONDS: Final = 5


def prepare(settings: Settings) -> Hub:
    """Bring the database up to date and give the opened installation; keys are made for a new one only.

    Raises
    ------
    KeyUnusable
        The database is not new and its keys are missing.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    migrate(settings.database_url)
    hub = _open(settings)
    with hub.database.transaction() as session:
        install(session, hub, datetime.now(UTC))
    return hub


def _open(settings: Settings) -> Hub:
    """Open with keys made anew only where nothing has been sealed with others."""
    database = Database(settings.database_url)
    with database.reading() as session:
        used = session.execute(select(Installation.district).limit(1)).first() is not None
    database.dispose()
    return Hub.open(settings, create_keys=not used)


def serve(settings: Settings, host: str, port: int, when_ready: Callable[[str], None]) -> int:
    """Serve until told to stop.

    Parameters
    ----------
    when_ready : called once with the address when `/readyz` answers 200

    Returns
    -------
    int : gunicorn's exit status; 0 after a signal
    """
    prepare(settings).database.dispose()
    metrics = tempfile.mkdtemp(prefix="posyandu-metrics-")
    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: stopped.append(received))
    environment = settings.child_environment(PROMETHEUS_MULTIPROC_DIR=metrics)
    web = subprocess.Popen(_gunicorn(host, port), env=environment)  # our own interpreter and arguments
    jobs = subprocess.Popen(_scheduler(), env=environment)
    address = f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"  # noqa: S104  # compared only
    try:
        announced = False
        while not stopped and web.poll() is None:
            if not announced and _is_ready(address):
                announced = True
                when_ready(address)
            if jobs.poll() is not None:
                time.sleep(RESTART_SECONDS)
                jobs = subprocess.Popen(_scheduler(), env=environment)
            time.sleep(0.1 if not announced else 0.5)
    finally:
        for child in (web, jobs):
            child.terminate()
        for child in (web, jobs):
            _end(child)
        shutil.rmtree(metrics, ignore_errors=True)
    return 0 if stopped else int(web.returncode or 0)


def _gunicorn(host: str, port: int) -> list[str]:
    return [
        sys.executable,
        "-m",
        "gunicorn",
        f"--bind={host}:{port}",
        f"--workers={WORKERS}",
        f"--threads={THREADS}",
        "--worker-class=gthread",
        f"--graceful-timeout={GRACE_SECONDS}",
        "--keep-alive=15",
        "--log-level=warning",
        "--config=python:server.web.gunicorn",
        "wsgi:app",
    ]


def _scheduler() -> list[str]:
    return [sys.executable, "-m", "server.jobs"]


def _is_ready(address: str) -> bool:
    try:
        with urlopen(f"{address}/readyz", timeout=2) as answer:  # noqa: S310  # our own address
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _end(child: "subprocess.Popen[bytes]") -> None:
    try:
        child.wait(GRACE_SECONDS + 5)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
