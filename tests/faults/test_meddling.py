"""A network that repeats, delays and reorders whole requests between four tablets: all converge, and nothing is doubled."""

import random
from datetime import UTC, datetime

import click

from sync_protocol import NewEpochRequired
from tests.faults._promises import changed_receipts, held, lost, read_back, written
from tests.faults._proxy import Meddler
from tests.faults._running import HttpTablet, http_tablet, register, running
from tests.faults._storm import Cadre
from tests.server._district import District

SEED = 6403
ANSWERS = 25
"""Of each tablet, through the bad network."""


class BoundedCadre(Cadre):
    """Ends after a number of answers."""

    def _send(self) -> None:
        super()._send()
        if self.answered >= ANSWERS:
            self.enough.set()


def work_through(meddler: Meddler, tablets: list[HttpTablet], luck: random.Random) -> None:
    """Let all tablets write and send at once, until each was answered often enough."""
    cadres = []
    for tablet in tablets:
        tablet.port = meddler.port
    for number, tablet in enumerate(tablets):
        known = [register(tablets[number % 2])]
        cadres.append(BoundedCadre(tablet, known, luck.getrandbits(32)))
    for cadre in cadres:
        cadre.start()
    for cadre in cadres:
        cadre.join(240)
        cadre.over.set()
        assert cadre.failure is None, cadre.failure
        assert not cadre.is_alive()
    meddler.deliver_the_rest()


def test_nothing_is_doubled_or_lost_when_requests_are_repeated_delayed_and_reordered(
    installed: District,
) -> None:
    installed.clock.now = datetime.now(UTC)
    with running(installed.hub.settings) as server:
        tablets = [http_tablet(installed, number % 2, f"Tablet {number + 1}") for number in range(4)]
        for tablet in tablets:
            tablet.server = server
        meddler = Meddler(server.port, SEED)
        with meddler.listening():
            work_through(meddler, tablets, random.Random(SEED))
        for tablet in tablets:
            tablet.port = None
        assert lost(installed, *tablets) == set()
        assert changed_receipts(installed, *tablets) == set()
        assert read_back(tablets, set(), None) >= 4 * ANSWERS
        installed.settle(*tablets)
        assert held(installed) == written(*tablets)
        assert set(meddler.statuses) == {200}
        assert set(meddler.fates) == {"passed", "twice", "again", "overtaken", "answer overtaken", "late"}
        assert server.stop() == 0
    click.echo(f"seed {SEED}: {dict(meddler.fates)}; {len(held(installed))} changes, each once; lost 0")


def test_enrolment_stays_open_when_a_poll_arrives_once_more_after_later_batches(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    child = tablet.register_child()
    tablet.sync()
    poll = tablet.next_message()  # carries no change; a slow network keeps a copy
    tablet.sync()
    tablet.measure(child, weight_g=9000)
    tablet.sync()
    late = tablet.send(poll)
    assert late["receipt"]["status"] == "accepted"
    assert not any(isinstance(event, NewEpochRequired) for event in tablet.sync())
