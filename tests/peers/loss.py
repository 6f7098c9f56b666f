"""`python -m tests.peers.loss`: is what was acknowledged still there? The same test on posyandu-sync and on Kinto.

Opt-in: it installs the peer from the package index into a temporary directory. Both systems stand on a PostgreSQL with the
durability that it has by default; writers hammer them while processes are killed at moments drawn from a seed. Every
acknowledgement is kept on the writer's side, with the content; in the end, with everything up again, all is read back through the
public API and compared. Nothing here knows how either system works inside.

Ends with 0 when posyandu-sync lost and changed nothing that it had acknowledged, 1 when it did, 2 when the test could not be made.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import click
import psycopg

from sync_protocol import Json
from tests._postgres import postgres_server
from tests.faults._running import (
    LineLost,
    children,
    command_of,
    descendants,
    is_alive,
    kill_all,
    wait_until,
)
from tests.peers import _kinto, _ours
from tests.peers._load import Answer, Record, records

BATCH = _kinto.BATCH
PAUSE_SECONDS = 0.1
"""Of a writer that got no answer, about."""
DRAIN_SECONDS = 120.0
"""For what was sent and not yet answered when the time is up."""


class Sender(Protocol):
    """One writer's way into a system."""

    def send(self, batch: Sequence[Record]) -> Answer:
        """Send records; the same ones again do no harm. Raises LineLost when no usable answer came."""


class System(Protocol):
    """A system under test: real processes, a public API."""

    name: str
    version: str

    def writer(self, number: int) -> Sender: ...
    def read_back(self, wanted: Collection[Record]) -> dict[str, Mapping[str, Json]]: ...
    def is_well(self) -> bool: ...
    def workers(self) -> list[int]: ...
    def kill_master(self) -> None: ...
    def start_again(self) -> None: ...


# -- writing --------------------------------------------------------------------------------------


class Writer(threading.Thread):
    """Sends batches without pause, and again what was refused or not answered; remembers what it was told."""

    def __init__(self, sender: Sender, seed: int) -> None:
        super().__init__(daemon=True)
        self.sender, self.source, self.luck = sender, records(seed), random.Random(seed)
        self.sent: dict[str, Record] = {}
        self.acknowledged: set[str] = set()
        self.beside_refusal: set[str] = set()
        """Acknowledged in an answer that refused another record."""
        self.refusals: dict[str, int] = {}
        self.unanswered = 0
        self.enough = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            self._write()
        except BaseException as error:  # noqa: BLE001 - told in the main thread
            self.failure = error

    def _write(self) -> None:
        waiting: list[Record] = []
        while waiting or not self.enough.is_set():
            if not self.enough.is_set():
                waiting += islice(self.source, BATCH - len(waiting))
            self.sent |= {record.id: record for record in waiting}
            try:
                answer = self.sender.send(waiting)
            except LineLost:
                self.unanswered += 1
                time.sleep(self.luck.uniform(0.5, 1.5) * PAUSE_SECONDS)
                continue
            self._remember(answer)
            waiting = [record for record in waiting if record.id not in answer.taken]

    def _remember(self, answer: Answer) -> None:
        self.acknowledged |= answer.taken
        for reason in answer.refused.values():
            self.refusals[reason] = self.refusals.get(reason, 0) + 1
        if answer.refused:
            self.beside_refusal |= answer.taken


# -- faults ---------------------------------------------------------------------------------------


def plan(seed: int, kills: int, seconds: float, *, postgres: bool) -> list[tuple[float, str]]:
    """Draw when (seconds from the start) what is killed: of five, three workers, a master, and PostgreSQL or a worker."""
    luck = random.Random(seed)
    cycle = ["worker", "master", "worker", "postgres" if postgres else "worker", "worker"]
    kinds = [cycle[number % len(cycle)] for number in range(kills)]
    luck.shuffle(kinds)
    return list(zip(sorted(luck.uniform(0.5, seconds) for _ in range(kills)), kinds, strict=True))


class Postgres:
    """The private PostgreSQL behind an address: killed as a power cut would, and started again the same way."""

    def __init__(self, url: str) -> None:
        port = urlsplit(url).port
        self.url = url
        self.pid = next(pid for pid in children(os.getpid()) if f"port={port} " in command_of(pid))
        self.command = Path(f"/proc/{self.pid}/cmdline").read_text().rstrip("\0").split("\0")
        self.owner = Path(f"/proc/{self.pid}").stat()
        self.later: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        """Kill every process of it, and wait until all are gone."""
        victims = [self.pid, *descendants(self.pid)]
        kill_all(victims)
        if self.later is None:
            os.waitpid(self.pid, 0)  # a zombie would look alive to the next PostgreSQL
        else:
            self.later.wait()
        wait_until(lambda: not any(map(is_alive, victims)), "PostgreSQL is gone")

    def start_again(self) -> None:
        """Start it on the same data and port; it recovers by itself."""
        ours = os.geteuid() == self.owner.st_uid
        self.later = subprocess.Popen(
            self.command,
            user=None if ours else self.owner.st_uid,
            group=None if ours else self.owner.st_gid,
            extra_groups=None if ours else [],
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.pid = self.later.pid
        wait_until(self._answers, "PostgreSQL has recovered")

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def end(self) -> None:
        """End the one that we started; the first one belongs to who made it."""
        if self.later is not None:
            self.later.send_signal(signal.SIGINT)
            self.later.wait()


@contextmanager
def database() -> Iterator[Postgres | str]:
    """Give a PostgreSQL that keeps what it promises; just its address when it is not ours to kill."""
    with postgres_server(durable=True) as url:
        if "TEST_DATABASE_URL" in os.environ:
            yield url
            return
        postgres = Postgres(url)
        try:
            yield postgres
        finally:
            postgres.end()


def kill(system: System, postgres: Postgres | str, kind: str, luck: random.Random) -> None:
    """Kill one thing, bring back what does not come back by itself, and wait until the system is well again."""
    if kind == "worker":
        kill_all([luck.choice(system.workers())])
    elif kind == "master":
        system.kill_master()
        system.start_again()
    else:
        assert isinstance(postgres, Postgres)
        postgres.kill()
        time.sleep(luck.uniform(0, 0.5))  # the system meets a database that is not there
        postgres.start_again()
    wait_until(system.is_well, f"{system.name} is well after the {kind} was killed", 90)


# -- one run --------------------------------------------------------------------------------------


@dataclass
class Result:
    """What came of one run, in records; `seconds` until the last writer had its last answer."""

    title: str
    sent: int
    acknowledged: int
    readable: int
    lost: int
    lost_beside_refusal: int
    changed: int
    refused: int
    unanswered: int
    kills: int
    seconds: float
    reasons: Mapping[str, int] = field(default_factory=dict)


def run(
    system: System,
    postgres: Postgres | str,
    writers: int,
    seconds: float,
    seed: int,
    faults: list[tuple[float, str]],
) -> Result:
    """Let writers write for some seconds, with the faults planned; then read everything back and compare."""
    threads = [Writer(system.writer(number), seed * 1000 + number) for number in range(writers)]
    luck = random.Random(seed)
    began = time.monotonic()
    try:
        for thread in threads:
            thread.start()
        for moment, kind in faults:
            time.sleep(max(0.0, began + moment - time.monotonic()))
            kill(system, postgres, kind, luck)
        time.sleep(max(0.0, began + seconds - time.monotonic()))
    finally:
        for thread in threads:
            thread.enough.set()
    _join(threads)
    took = time.monotonic() - began
    return _compare(system, threads, len(faults), took)


def _join(threads: Sequence[Writer]) -> None:
    deadline = time.monotonic() + DRAIN_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.failure is not None:
            raise thread.failure


def _compare(system: System, threads: Sequence[Writer], kills: int, seconds: float) -> Result:
    sent = {id_: record for thread in threads for id_, record in list(thread.sent.items())}
    acknowledged = {id_ for thread in threads for id_ in list(thread.acknowledged)}
    beside = {id_ for thread in threads for id_ in list(thread.beside_refusal)}
    found = system.read_back(list(sent.values()))
    lost = acknowledged - found.keys()
    reasons: dict[str, int] = {}
    for thread in threads:
        for reason, number in thread.refusals.items():
            reasons[reason] = reasons.get(reason, 0) + number
    return Result(
        title=f"{system.name} {system.version}",
        sent=len(sent),
        acknowledged=len(acknowledged),
        readable=len(found.keys() & sent.keys()),
        lost=len(lost),
        lost_beside_refusal=len(lost & beside),
        changed=sum(found[id_] != sent[id_].content for id_ in acknowledged - lost),
        refused=sum(reasons.values()),
        unanswered=sum(thread.unanswered for thread in threads),
        kills=kills,
        seconds=seconds,
        reasons=reasons,
    )


# -- the command ----------------------------------------------------------------------------------

ROWS: Sequence[tuple[str, Callable[[Result], str]]] = (
    ("dimatikan · kills", lambda r: f"{r.kills:,}"),
    ("dikirim · sent", lambda r: f"{r.sent:,}"),
    ("diakui · acknowledged", lambda r: f"{r.acknowledged:,}"),
    ("terbaca kemudian · readable afterwards", lambda r: f"{r.readable:,}"),
    ("HILANG · LOST (acknowledged, gone)", lambda r: f"{r.lost:,}"),
    ("  … dari jawaban yang menolak lainnya · beside a refusal", lambda r: f"{r.lost_beside_refusal:,}"),
    ("berubah · changed (acknowledged, other content)", lambda r: f"{r.changed:,}"),
    ("ditolak, dikirim ulang · refused, sent again", lambda r: f"{r.refused:,}"),
    ("tanpa jawaban · batches without an answer, or 5xx", lambda r: f"{r.unanswered:,}"),
    ("detik · seconds", lambda r: f"{r.seconds:.0f}"),
)


def table(results: Sequence[Result]) -> str:
    """Put results side by side."""
    width = max(len(label) for label, _ in ROWS)
    columns = [max(14, len(result.title)) for result in results]
    lines = [" " * width + "".join(f"  {r.title:>{c}}" for r, c in zip(results, columns, strict=True))]
    for label, cell in ROWS:
        cells = "".join(f"  {cell(r):>{c}}" for r, c in zip(results, columns, strict=True))
        lines.append(f"{label:<{width}}{cells}")
    for result in results:
        if result.reasons:
            said = ", ".join(f"{reason} × {number:,}" for reason, number in sorted(result.reasons.items()))
            lines.append(f"ditolak dengan · refused with: {result.title}: {said}")
    return "\n".join(lines)


def one_run(
    opened: Callable[[Path, str], AbstractContextManager[System]],
    writers: int,
    seconds: float,
    seed: int,
    faults: list[tuple[float, str]],
) -> Result:
    """Run the test on one system, on a database server and in a directory of its own."""
    with tempfile.TemporaryDirectory(prefix="posyandu-peer-") as home, database() as postgres:
        url = postgres if isinstance(postgres, str) else postgres.url
        with opened(Path(home), url) as system:
            return run(system, postgres, writers, seconds, seed, faults)


@click.command()
@click.option("--peer", type=click.Choice(["kinto"]), default="kinto", show_default=True)
@click.option("--writers", default=4, show_default=True, type=click.IntRange(1, 64))
@click.option("--seconds", default=60.0, show_default=True, type=click.FloatRange(1), help="Of each run.")
@click.option(
    "--kills", default=20, show_default=True, type=click.IntRange(0), help="In the second pair of runs."
)
@click.option(
    "--kill-postgres", is_flag=True, help="One kill in five is PostgreSQL's, all its processes at once."
)
@click.option("--seed", default=64, show_default=True)
@click.option(
    "--environment",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the peer's virtual environment here, and use it again.",
)
def main(
    peer: str,
    writers: int,
    seconds: float,
    kills: int,
    kill_postgres: bool,
    seed: int,
    environment: Path | None,
) -> None:
    """Write to posyandu-sync and to a peer, first in peace and then with kills, and count what was lost."""
    if kill_postgres and "TEST_DATABASE_URL" in os.environ:
        raise click.UsageError("the PostgreSQL of TEST_DATABASE_URL is not ours to kill")
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix=f"posyandu-{peer}-") as made:
        programs = (environment or Path(made)).absolute()
        try:
            version = _kinto.install(programs)
        except _kinto.NotInstalled as error:
            click.echo(f"{peer} tidak dapat dipasang · cannot be installed: {error}", err=True)
            sys.exit(2)
        systems: list[Callable[[Path, str], AbstractContextManager[System]]] = [
            _ours.running,
            lambda home, url: _kinto.running(programs, home, url, version),
        ]
        lost = 0
        for number in dict.fromkeys((0, kills)):
            faults = plan(seed, number, seconds, postgres=kill_postgres)
            results = [one_run(opened, writers, seconds, seed, faults) for opened in systems]
            named = ", ".join(f"{kind} × {_count(faults, kind)}" for kind in ("worker", "master", "postgres"))
            click.echo(
                f"\n== kill -9: {named if faults else 'tidak ada · none'}; {writers} penulis · writers"
            )
            click.echo(table(results))
            lost += results[0].lost + results[0].changed
            if not all(result.acknowledged for result in results):
                click.echo("tidak ada yang diakui · nothing was acknowledged: no result", err=True)
                sys.exit(2)
    sys.exit(1 if lost else 0)


def _count(faults: Sequence[tuple[float, str]], kind: str) -> int:
    return sum(1 for _, other in faults if other == kind)


if __name__ == "__main__":
    main()
