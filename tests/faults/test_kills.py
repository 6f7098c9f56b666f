"""Processes are killed in the middle of their work, again and again: what a tablet was told is there, and nothing twice.

Real processes, a real port, SQLite as it runs in earnest (WAL, synchronous FULL) and a PostgreSQL that keeps what it
promises. Each kind of kill once here, and on PostgreSQL those that it may notice; `make soak` makes hundreds.
"""

import random
from contextlib import closing
from pathlib import Path

import click
import pytest

from tests.faults._storm import OF_POSTGRESQL, OF_THE_SERVER, Storm, plan
from tests.peers.loss import Postgres, database
from tests.server._district import Databases, District, sqlite_connection

SEED = 6402
FEW_BATCHES = 15
"""Answered before a kill, at most."""
ALSO_ON_POSTGRESQL = ("workers", "everything")
"""What is killed of the server there: one worker, the master and the scheduler are parts of it."""


def weather(district: District, postgres: Postgres | None, seed: int, kinds: tuple[str, ...]) -> None:
    """Strike as planned, and say what came of it."""
    with Storm.raised(district, postgres, seed, FEW_BATCHES) as storm:
        for kind in plan(kinds, len(kinds), random.Random(seed)):
            storm.strike(kind)
        tally = storm.finish()
    click.echo(f"seed {seed}: {tally.told()}")
    assert set(tally.kills) == set(kinds)
    assert tally.batches >= 2 * len(kinds)
    assert tally.lost == 0


def test_nothing_is_lost_or_doubled_when_processes_are_killed_on_sqlite(on_sqlite: District) -> None:
    weather(on_sqlite, None, SEED, OF_THE_SERVER)


@pytest.mark.postgresql
def test_nothing_is_lost_or_doubled_when_processes_are_killed_on_postgresql(tmp_path: Path) -> None:
    with database() as postgres:  # one that may not be killed stays alive, and only the server is struck
        ours = postgres if isinstance(postgres, Postgres) else None
        url = postgres.url if isinstance(postgres, Postgres) else postgres
        with District.opened(Databases(tmp_path, url)) as district:
            weather(district, ours, SEED + 1, ALSO_ON_POSTGRESQL + (OF_POSTGRESQL if ours else ()))


def test_every_kind_is_killed_when_a_plan_is_long_enough() -> None:
    kinds = OF_THE_SERVER + OF_POSTGRESQL
    planned = plan(kinds, len(kinds) + 2, random.Random(SEED))
    assert set(planned) == set(kinds)
    assert len(planned) == len(kinds) + 2


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
