"""`python -m tests.peers.loss`: is what was acknowledged still there? The same test on posyandu-sync and on Kinto.

Opt-in: it installs the peer from the package index into a temporary directory. Both systems stand on a PostgreSQL with the
durability that it has by default; writers hammer them while processes are killed at moments drawn from a seed. Every
acknowledgement is kept on the writer's side, with the content; in the end, with everything up again, all is read back
through the public API and compared. Nothing here knows how either system works inside.

Ends with 0 when posyandu-sync lost and changed nothing that it had acknowledged, with 1 when it did, and with 2 when the
test could not be made.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
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

    def writer(self, number: int, /) -> Sender: ...
    def read_back(self, wanted: Collection[Record], /) -> Mapping[str, Mapping[str, Json | None]]: ...
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
        self.refusals = Counter[str]()
        self.unanswered = 0
        self.enough, self.over = threading.Event(), threading.Event()
        """No more that is new; nothing more at all."""
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            self._write()
        except BaseException as error:  # noqa: BLE001 - told in the main thread
            self.failure = error

    def _write(self) -> None:
        waiting: list[Record] = []
        while not self.over.is_set() and (waiting or not self.enough.is_set()):
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
        self.refusals.update(answer.refused.values())
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
        for thread in threads:
            thread.enough.set()
        _join(threads, DRAIN_SECONDS)
        took = time.monotonic() - began
    finally:
        for thread in threads:
            thread.over.set()
    _join(threads, DRAIN_SECONDS)
    return _compare(system, threads, len(faults), took)


def _join(threads: Sequence[Writer], seconds: float) -> None:
    """Wait for all, together no longer than that; what failed in one fails here."""
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.failure is not None:
            raise thread.failure


def _compare(system: System, threads: Sequence[Writer], kills: int, seconds: float) -> Result:
    sent = {id_: record for thread in threads for id_, record in thread.sent.items()}
    acknowledged = {id_ for thread in threads for id_ in thread.acknowledged}
    beside = {id_ for thread in threads for id_ in thread.beside_refusal}
    found = system.read_back(list(sent.values()))
    lost = acknowledged - found.keys()
    reasons = sum((thread.refusals for thread in threads), Counter[str]())
    return Result(
        title=f"{system.name} {system.version}",
        sent=len(sent),
        acknowledged=len(acknowledged),
        readable=len(found.keys() & sent.keys()),
        lost=len(lost),
        lost_beside_refusal=len(lost & beside),
        changed=sum(found[id_] != sent[id_].content for id_ in acknowledged - lost),
        refused=reasons.total(),
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
@click.option("--kills", default=20, show_default=True, help="In the second pair of runs; 0: only the first.")
@click.option("--kill-postgres", is_flag=True, help="One kill in five is PostgreSQL's, all of it at once.")
@click.option("--apart", is_flag=True, help="Kinto only: a collection for each writer.")
@click.option("--seed", default=64, show_default=True)
@click.option(
    "--environment", type=click.Path(path_type=Path), help="Keep the peer's installation here, for next time."
)
def main(
    peer: str,
    writers: int,
    seconds: float,
    kills: int,
    kill_postgres: bool,
    apart: bool,
    seed: int,
    environment: Path | None,
) -> None:
    """Write to posyandu-sync and to a peer, first in peace and then with kills, and count what was lost."""
    if kill_postgres and "TEST_DATABASE_URL" in os.environ:
        raise click.UsageError("the PostgreSQL of TEST_DATABASE_URL is not ours to kill")
    _lead_a_session()
    with tempfile.TemporaryDirectory(prefix=f"posyandu-{peer}-") as made:
        programs = (environment or Path(made)).absolute()
        try:
            version = _kinto.install(programs)
            theirs = partial(_kinto.running, programs, version=version, collections=writers if apart else 1)
            lost = 0
            for number in dict.fromkeys((0, kills)):
                faults = plan(seed, number, seconds, postgres=kill_postgres)
                results = [
                    one_run(opened, writers, seconds, seed, faults) for opened in (_ours.running, theirs)
                ]
                tell(results, faults, writers)
                lost += results[0].lost + results[0].changed
        except _kinto.NotInstalled as error:
            click.echo(f"{peer} tidak dapat dipasang · cannot be installed: {error}", err=True)
            sys.exit(2)
    sys.exit(1 if lost else 0)


def _lead_a_session() -> None:
    """Go on in a child that the terminal's Ctrl-C does not reach, nor what it starts: only so is all ended in order."""
    child = os.fork()
    if child == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, _leave)
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os.kill(child, signal.SIGTERM))
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _leave(number: int, _frame: object) -> None:
    """End by way of every clean-up there is, once."""
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


def tell(results: Sequence[Result], faults: Sequence[tuple[float, str]], writers: int) -> None:
    """Print a pair of runs; one in which nothing was acknowledged shows nothing, and ends the command."""
    kinds = Counter(kind for _, kind in faults)
    named = ", ".join(f"{kind} × {number}" for kind, number in sorted(kinds.items())) or "tidak ada · none"
    click.echo(f"\n== kill -9: {named}; {writers} penulis · writers")
    click.echo(table(results))
    if not all(result.acknowledged for result in results):
        click.echo("tidak ada yang diakui · nothing was acknowledged: no result", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
