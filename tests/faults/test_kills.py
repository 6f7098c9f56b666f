"""The server is killed in the middle of its work, again and again: what a tablet was told is there, and nothing twice.

Real processes, a real port, SQLite as it runs in earnest (WAL, synchronous FULL) and PostgreSQL. Every moment is drawn from
a seed; what is in flight at that moment is not ours to say, so the promise must hold for all of them.
"""

import random
import threading
import time
from contextlib import closing
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from server.models import ChangeRow
from tests.faults._running import (
    HttpTablet,
    LineLost,
    Server,
    days_ago,
    descendants,
    http_tablet,
    is_alive,
    kill_all,
    register,
    running,
    wait_until,
)
from tests.server._district import Databases, District, sqlite_connection

LIVES = 3
"""Of the server; in each its workers are killed once, and at its end everything."""
LONGEST_SECONDS = 0.6
"""Before the kill: some batches get through first, some rounds do not see the first one answered."""


class Cadre(threading.Thread):
    """Writes and sends without pause until the line fails or it is `enough`; `answered` counts the syncs that were."""

    def __init__(self, tablet: HttpTablet, children: list[str], seed: int) -> None:
        super().__init__()
        self.tablet, self.children, self.answered = tablet, children, 0
        self.luck = random.Random(seed)
        self.enough = False
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.enough:
                self._write()
                self.tablet.sync()
                self.answered += 1
        except LineLost:
            return
        except BaseException as error:  # noqa: BLE001 - told in the test's own thread
            self.failure = error

    def _write(self) -> None:
        """Write some measurements; days are few, so that two tablets write the same ones."""
        if self.luck.random() < 0.3:
            self.children.append(register(self.tablet))
        for _ in range(self.luck.randint(1, 8)):
            day = days_ago(self.luck.randint(1, 60))
            child = self.luck.choice(self.children)
            grams, millimetres = self.luck.randint(6000, 12000), self.luck.randint(650, 850)
            self.tablet.measure(child, day, weight_g=grams, length_mm=millimetres)


def work_until_killed(
    server: Server, tablets: list[HttpTablet], children: list[str], luck: random.Random, victims: list[int]
) -> int:
    """Let both tablets work until processes are killed in the midst of it; give how many syncs were answered."""
    cadres = [Cadre(tablet, children, luck.getrandbits(32)) for tablet in tablets]
    for cadre in cadres:
        cadre.tablet.server = server
        cadre.start()
    time.sleep(luck.uniform(0, LONGEST_SECONDS))  # the moment is the point
    kill_all(victims)
    for cadre in cadres:
        cadre.enough = (
            True  # who was between two requests meets the workers that come next, and loses nothing
        )
    for cadre in cadres:
        cadre.join(60)
        assert not cadre.is_alive()
        assert cadre.failure is None, cadre.failure
    return sum(cadre.answered for cadre in cadres)


def one_life(server: Server, tablets: list[HttpTablet], children: list[str], luck: random.Random) -> int:
    """Kill the workers, which gunicorn replaces, then everything."""
    workers = descendants(server.master)
    answered = work_until_killed(server, tablets, children, luck, workers)
    wait_until(lambda: not any(is_alive(pid) for pid in workers), "the workers are gone")
    wait_until(lambda: len(descendants(server.master)) >= len(workers), "there are others")
    assert server.get("/readyz")[0] == 200
    answered += work_until_killed(server, tablets, children, luck, server.pids)
    server.kill()
    return answered


@pytest.mark.parametrize("seed", [6402])
def test_nothing_is_lost_or_doubled_when_the_server_is_killed(databases: Databases, seed: int) -> None:
    luck = random.Random(seed)
    with District.opened(databases) as district:
        district.clock.now = datetime.now(UTC)
        tablets = [http_tablet(district, name="Tablet A"), http_tablet(district, name="Tablet B")]
        children = [register(tablets[0])]
        answered = 0
        for _ in range(LIVES):
            with running(district.hub.settings) as server:
                answered += one_life(server, tablets, children, luck)
            check_promises(district, *tablets)
        with running(district.hub.settings) as server:
            for tablet in tablets:
                tablet.server = server
            district.settle(*tablets)  # checks that tablets, tables and ledger agree, and the log
            assert server.stop() == 0
        assert answered > 0
        assert len(written(*tablets)) > 10 * LIVES
        assert held(district) == written(*tablets)


def check_promises(district: District, *tablets: HttpTablet) -> None:
    """Check, while the server is down, that it holds everything for which a tablet has a receipt; the log is whole."""
    there = held(district)
    for tablet in tablets:
        answered = [entry.change for entry in tablet.replica.log if entry.item is not None]
        assert {(c.dot.actor, c.dot.counter): c.hash for c in answered}.items() <= there.items()
    assert district.broken_log() == []
    district.hub.database.dispose()


def held(district: District) -> dict[tuple[str, int], str]:
    """Give the hash of every change in the ledger, by dot; a dot is there once (it is the key)."""
    rows = district.rows(select(ChangeRow.actor, ChangeRow.counter, ChangeRow.hash))
    return {(row.actor, row.counter): row.hash for row in rows}


def written(*tablets: HttpTablet) -> dict[tuple[str, int], str]:
    """Give the hash of every change that was ever saved on a tablet, by dot."""
    logs = [entry.change for tablet in tablets for entry in tablet.replica.log]
    return {(change.dot.actor, change.dot.counter): change.hash for change in logs}


def test_database_is_as_durable_as_the_promise(on_sqlite: District) -> None:
    with on_sqlite.hub.database.engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        assert raw is not None
        pragmas = [
            raw.cursor().execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
        ]
    assert pragmas == ["wal", 2]
    with closing(sqlite_connection(on_sqlite)) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
