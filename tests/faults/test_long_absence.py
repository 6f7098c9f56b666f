"""A post without a line for three months: two tablets whose clocks are two years apart come back, and soon all agree."""

import random
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import click

from tests.faults._promises import held, lost, written
from tests.faults._running import HttpTablet, Server, days_ago, http_tablet, register, running
from tests.server._district import Clock, District

SEED = 6404
CHANGES = 300
CHILDREN = 30
DAYS = 90
APART = timedelta(days=365)
"""By which one clock is behind, and the other ahead."""


def with_clock(tablet: HttpTablet, now: datetime) -> None:
    """Let a tablet live by a clock of its own."""
    tablet.district = replace(tablet.district, clock=Clock(now))


def work_offline(tablets: list[HttpTablet], known: list[str], luck: random.Random) -> None:
    """Write 300 changes on both tablets, about the same children; the two often measure one child on one day."""
    for number in range(CHANGES):
        tablet, child = tablets[number % 2], luck.choice(known)
        grams, millimetres = luck.randint(7000, 12000), luck.randint(700, 850)
        tablet.measure(child, days_ago(luck.randrange(1, DAYS, 7)), weight_g=grams, length_mm=millimetres)
        for each in tablets:
            each.district.clock.advance(days=DAYS / CHANGES)


def converge(server: Server, tablets: list[HttpTablet]) -> tuple[float, int]:
    """Sync in turn until nobody has news; give the seconds and the round trips."""
    began, before = time.perf_counter(), sum(len(tablet.answers) for tablet in tablets)
    for tablet in tablets:
        tablet.server = server
    while True:
        shown = [tablet.shown() for tablet in tablets]
        for tablet in tablets:
            tablet.sync_until_quiet()
        if shown == [tablet.shown() for tablet in tablets]:
            break
    seconds = time.perf_counter() - began
    return seconds, sum(len(tablet.answers) for tablet in tablets) - before


def test_post_converges_when_it_was_offline_for_three_months(installed: District) -> None:
    now = datetime.now(UTC)
    installed.clock.now = now
    with running(installed.hub.settings) as server:
        tablets = [http_tablet(installed, name=f"Tablet {number + 1}") for number in range(2)]
        for tablet, moment in zip(tablets, (now - APART, now + APART), strict=True):
            tablet.server = server
            with_clock(tablet, moment - timedelta(days=DAYS))
        known = [register(tablets[number % 2]) for number in range(CHILDREN)]
        for tablet in (*tablets, *tablets):
            tablet.sync_until_quiet()
        before = len(held(installed))
        work_offline(tablets, known, random.Random(SEED))
        seconds, trips = converge(server, tablets)
        assert len(held(installed)) == before + CHANGES
        assert held(installed) == written(*tablets)
        assert lost(installed, *tablets) == set()
        installed.check_agreement(*tablets)
        conflicts = sum(tablet.outcomes().count("conflict") for tablet in tablets)
        assert conflicts > 0
        assert sum(tablet.outcomes().count("quarantined") for tablet in tablets) == 0
        assert server.stop() == 0
    engine = installed.hub.database.engine.dialect.name
    click.echo(
        f"{engine}, seed {SEED}: {CHANGES} changes of {DAYS} days, clocks {2 * APART.days} days apart, {conflicts} in "
        f"conflict: all agree after {seconds:.2f} s and {trips} round trips"
    )
