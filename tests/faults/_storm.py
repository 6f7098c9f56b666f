"""Kills in the midst of work: writers who never pause, processes that are killed at moments drawn from a seed, and after
each kill the promises.

The moment of a kill is a number of answered batches and some milliseconds, both drawn: it does not depend on how fast the
machine is. What is in flight then is not ours to say, so the promises must hold for all of it.
"""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sync_protocol import NewEpochRequired
from tests.faults._promises import acknowledged, changed_receipts, held, lost, read_back, written
from tests.faults._running import (
    HttpTablet,
    LineLost,
    command_of,
    days_ago,
    descendants,
    http_tablet,
    is_alive,
    kill_all,
    register,
    wait_until,
)
from tests.peers._ours import PosyanduSync
from tests.peers.loss import Postgres
from tests.server._district import District

WRITERS = 4
MOST_BATCHES = 40
"""Answered before a kill."""
JITTER_SECONDS = 0.02
"""Some times what a batch takes: a kill meets it anywhere."""
PATIENCE_SECONDS = 120.0
OF_THE_SERVER = ("worker", "workers", "master", "scheduler", "everything")
OF_POSTGRESQL = ("backend", "postmaster", "database")


@dataclass
class Tally:
    """What was done and what came of it."""

    kills: Counter[str] = field(default_factory=Counter)
    batches: int = 0
    unanswered: int = 0
    acknowledged: int = 0
    read_back: int = 0
    lost: int = 0

    def add(self, other: "Tally") -> None:
        self.kills.update(other.kills)
        for name in ("batches", "unanswered", "acknowledged", "read_back", "lost"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def told(self) -> str:
        kinds = ", ".join(f"{kind} × {number}" for kind, number in sorted(self.kills.items()))
        return (
            f"kills {self.kills.total()} ({kinds}); batches answered {self.batches:,}, unanswered {self.unanswered:,}; "
            f"acknowledged changes {self.acknowledged:,}; receipts read back {self.read_back:,}; lost {self.lost}"
        )


class Cadre(threading.Thread):
    """Writes and sends without pause until it is `enough`; sends again what was not answered, as a tablet does."""

    def __init__(self, tablet: HttpTablet, known: list[str], seed: int) -> None:
        super().__init__(daemon=True)
        self.tablet, self.known = tablet, known
        self.luck = random.Random(seed)
        self.answered = self.unanswered = 0
        self.enough, self.over = threading.Event(), threading.Event()
        """After the next answer; at once."""
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.enough.is_set() and not self.over.is_set():
                self._write()
                self._send()
        except BaseException as error:  # noqa: BLE001 - told in the test's own thread
            self.failure = error

    def _write(self) -> None:
        """Write some measurements, and now and then what is to be done for a child or what came of it; days are few, so that
        two tablets write the same ones."""
        if self.luck.random() < 0.2:
            self.known.append(register(self.tablet))
        for _ in range(self.luck.randint(1, 5)):
            day, child = days_ago(self.luck.randint(1, 60)), self.luck.choice(self.known)
            grams, millimetres = self.luck.randint(6000, 12000), self.luck.randint(650, 850)
            self.tablet.measure(child, day, weight_g=grams, length_mm=millimetres)
            if self.luck.random() < 0.2:
                task = self.tablet.set_task(child, action="home_visit", due_on=day)
                self.tablet.set_result(child, task, done_on=day)

    def _send(self) -> None:
        while not self.over.is_set():
            try:
                events = self.tablet.sync()
            except LineLost:
                self.unanswered += 1
                time.sleep(self.luck.uniform(0.02, 0.2))  # as a tablet would, if longer
                continue
            assert not any(isinstance(event, NewEpochRequired) for event in events)
            self.answered += 1
            return


@dataclass
class Storm:
    """An installation under attack, its tablets and what was counted."""

    district: District
    postgres: Postgres | None
    luck: random.Random
    system: PosyanduSync
    tablets: list[HttpTablet]
    known: dict[str, list[str]]
    most_batches: int = MOST_BATCHES
    tally: Tally = field(default_factory=Tally)
    done: set[str] = field(default_factory=set)
    """The batches whose receipts were read back."""

    @classmethod
    @contextmanager
    def raised(
        cls, district: District, postgres: Postgres | None, seed: int, most_batches: int = MOST_BATCHES
    ) -> Iterator["Storm"]:
        """Start the server, and enrol the tablets: two at each of two posts."""
        district.clock.now = datetime.now(UTC)
        system = PosyanduSync(district)
        try:
            tablets = [http_tablet(district, number % 2, f"Tablet {number + 1}") for number in range(WRITERS)]
            known = {tablet.id: register_first(tablets[n % 2]) for n, tablet in enumerate(tablets)}
            yield cls(district, postgres, random.Random(seed), system, tablets, known, most_batches)
        finally:
            system.server.end()

    def kinds(self) -> tuple[str, ...]:
        """Say what there is to kill."""
        return OF_THE_SERVER + (OF_POSTGRESQL if self.postgres else ())

    def strike(self, kind: str) -> None:
        """Kill one thing while all write, bring it back, and check every promise."""
        cadres = [Cadre(t, self.known[t.id], self.luck.getrandbits(32)) for t in self.tablets]
        for cadre in cadres:
            cadre.tablet.server = self.system.server
            cadre.start()
        try:
            self._kill_in_the_midst(kind, cadres)
            heard = [cadre.answered for cadre in cadres]
            wait_until(
                lambda: (
                    any(c.failure for c in cadres)
                    or all(c.answered > h for c, h in zip(cadres, heard, strict=True))
                ),
                f"every tablet is answered again after the {kind} was killed",
                PATIENCE_SECONDS,
            )
        finally:
            self._end(cadres)
        self.tally.kills[kind] += 1
        self.tally.batches += sum(cadre.answered for cadre in cadres)
        self.tally.unanswered += sum(cadre.unanswered for cadre in cadres)
        self.check()

    def _kill_in_the_midst(self, kind: str, cadres: Sequence[Cadre]) -> None:
        wanted = self.luck.randint(1, self.most_batches)
        wait_until(
            lambda: any(c.failure for c in cadres) or sum(c.answered for c in cadres) >= wanted,
            f"{wanted} batches are answered",
            PATIENCE_SECONDS,
        )
        time.sleep(self.luck.uniform(0, JITTER_SECONDS))  # the moment is the point
        self._kill(kind)
        for cadre in cadres:
            cadre.tablet.server = self.system.server
        wait_until(self.system.is_well, f"all is well after the {kind} was killed", PATIENCE_SECONDS)

    def _end(self, cadres: Sequence[Cadre]) -> None:
        for cadre in cadres:
            cadre.enough.set()
        for cadre in cadres:
            cadre.join(PATIENCE_SECONDS)
            cadre.over.set()
            if cadre.failure is not None:
                raise cadre.failure
            assert not cadre.is_alive()

    # -- kills ----------------------------------------------------------------------------------------

    def _kill(self, kind: str) -> None:
        """Kill -9, and start again what nobody else starts."""
        server = self.system.server
        match kind:
            case "worker":
                kill_all([self.luck.choice(self.system.workers())])
            case "workers":
                kill_all(self.system.workers())
            case "master":
                self.system.kill_master()
                self.system.start_again()
            case "scheduler":
                kill_all([server.scheduler])
            case "everything":
                server.kill()
                self.system.start_again()
            case _:
                self._kill_postgres(kind)

    def _kill_postgres(self, kind: str) -> None:
        assert self.postgres is not None
        victims = descendants(self.postgres.pid)
        if kind == "backend":  # PostgreSQL then ends all others, and recovers by itself
            ours = [
                p
                for p in victims
                if self.district.hub.settings.database_url.rpartition("/")[2] in command_of(p)
            ]
            kill_all([self.luck.choice(ours)] if ours else victims[:1])
            return
        if kind == "postmaster":  # the others notice, and go
            os.kill(self.postgres.pid, signal.SIGKILL)
            wait_until(lambda: not any(map(is_alive, victims)), "the orphans of the postmaster are gone")
        self.postgres.kill()
        time.sleep(self.luck.uniform(0, 0.3))  # the server meets a database that is not there
        self.postgres.start_again()

    # -- promises -------------------------------------------------------------------------------------

    def check(self) -> None:
        """Check what was acknowledged, every receipt, that all agree, and the log; count it."""
        self.district.hub.database.dispose()  # connections to what is gone
        for tablet in self.tablets:
            tablet.server = self.system.server
        missing = lost(self.district, *self.tablets)
        self.tally.lost += len(missing)
        assert missing == set()
        assert changed_receipts(self.district, *self.tablets) == set()
        self.tally.read_back += read_back(self.tablets, self.done, self.luck)
        self.district.settle(*self.tablets)  # checks that tablets, tables and ledger agree, and the log
        assert held(self.district) == written(*self.tablets)

    def finish(self) -> Tally:
        """Read back every receipt there ever was, end the server in good order, and give the count."""
        self.tally.read_back += read_back(self.tablets, self.done, None)
        self.tally.acknowledged = len(acknowledged(*self.tablets))
        assert self.tally.acknowledged == len(held(self.district))
        assert self.system.server.stop() == 0
        self.district.hub.database.dispose()
        return self.tally


def register_first(tablet: HttpTablet) -> list[str]:
    """Register a child that both tablets of a post write about."""
    return [register(tablet)]


def plan(kinds: Sequence[str], kills: int, luck: random.Random) -> list[str]:
    """Draw what is killed, in turn: every kind as often as any other, give or take one."""
    planned = [kinds[number % len(kinds)] for number in range(kills)]
    luck.shuffle(planned)
    return planned
