"""`make soak`: the faults at length. Kills by the hundred on both databases in turn, every byte of a line cut, and the rest.

Bounded by a number of kills and by time: it fails if the time is over before the kills are made. Everything is drawn from
seeds that are printed: `--seed` repeats a run, though what was in flight at a kill is the machine's affair.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from tests.faults._running import ROOT
from tests.faults._storm import Storm, Tally, plan
from tests.peers.loss import Postgres, database
from tests.server._district import Databases, District

KILLS_PER_STORM = 25
"""Then a new installation begins: what is checked after each kill is all that it holds."""
OTHERS = (
    *(f"tests/faults/test_{name}.py" for name in ("cuts", "meddling", "full_disk", "long_absence")),
    *(f"tests/browser/test_tablet_{name}.py" for name in ("morning", "storage")),
    *("tests/scenarios/test_machine.py", "tests/server/reports/test_figures.py"),
    *("tests/server/supervision/test_months.py", "tests/server/children/test_duplicates.py"),
)
AT_LENGTH = {
    "CUT_STEP": "1",
    "MORNING_CHILDREN": "60",
    "TABLET_KILLS": "40",
    "SOAK": "5",
    "PROTOCOL_HISTORIES": "30",
}


@contextmanager
def installation(engine: str) -> Iterator[tuple[District, Postgres | None]]:
    """Give a new district on a database of its own, and the PostgreSQL behind it if it is ours to kill."""
    with tempfile.TemporaryDirectory(prefix="posyandu-soak-") as home:
        if engine == "sqlite":
            with District.opened(Databases(Path(home), None)) as district:
                yield district, None
            return
        with database() as postgres:
            ours = postgres if isinstance(postgres, Postgres) else None
            url = postgres.url if isinstance(postgres, Postgres) else postgres
            with District.opened(Databases(Path(home), url)) as district:
                yield district, ours


def storm(engine: str, kills: int, seed: int, deadline: float) -> Tally:
    """Raise one storm on one new installation; it is cut short when the time is over."""
    with installation(engine) as (district, postgres), Storm.raised(district, postgres, seed) as raised:
        for kind in plan(raised.kinds(), kills, random.Random(seed)):
            if time.monotonic() < deadline:
                raised.strike(kind)
        return raised.finish()


def other_faults() -> int:
    """Run the other faults with a cut at every byte, and tablets and searches at length; give the exit status."""
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", *OTHERS]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **AT_LENGTH}, check=False).returncode


@click.command()
@click.option("--kills", default=200, show_default=True, type=click.IntRange(1))
@click.option("--minutes", default=60.0, show_default=True, help="The longest that the kills may take.")
@click.option("--seed", default=64, show_default=True)
@click.option("--only-kills", is_flag=True, help="Leave out the other faults.")
def main(kills: int, minutes: float, seed: int, only_kills: bool) -> None:
    """Kill, cut, meddle and fill disks at length; exit 0 only if nothing was lost and every kill was made."""
    began = time.monotonic()
    total = Tally()
    for number, first in enumerate(range(0, kills, KILLS_PER_STORM)):
        if time.monotonic() > began + minutes * 60:
            break
        engine, now = ("sqlite", "postgresql")[number % 2], time.monotonic()
        tally = storm(engine, min(KILLS_PER_STORM, kills - first), seed + number, began + minutes * 60)
        total.add(tally)
        click.echo(f"{engine}, seed {seed + number}: {tally.told()}; {time.monotonic() - now:.0f} s")
    click.echo(f"ALL: {total.told()}; {time.monotonic() - began:.0f} s")
    if total.kills.total() < kills or total.lost:
        sys.exit(1)
    sys.exit(0 if only_kills else other_faults())


if __name__ == "__main__":
    main()
