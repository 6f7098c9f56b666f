"""posyandu-sync under the loss test: `serve` as an operator runs it, and enrolled tablets that sign what they send.

Hides the reference client and what must be done to a `serve` that lost its web server.
"""

import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from server.operations.serve import WORKERS
from sync_protocol import Answered, Json, NewEpochRequired, Outcome, Pulled
from tests.faults._running import (
    LineLost,
    Server,
    descendants,
    http_tablet,
    is_alive,
    kill_all,
    start,
    wait_until,
    wait_until_ready,
)
from tests.peers._load import Answer, Record
from tests.server._district import Databases, District

ORPHAN_SECONDS = 1.0
"""How long processes without a master may go on, before whoever restarts the service ends them too."""


class PosyanduSync:
    """A running server with one post, whose tablets write to it."""

    name = "posyandu-sync"

    def __init__(self, district: District) -> None:
        self.version = version("posyandu-sync")
        self.district = district
        self.server = self._start()

    def _start(self) -> Server:
        server = start(self.district.hub.settings)
        try:
            wait_until_ready(server)
        except BaseException:
            try:
                server.stop()  # in good order: nobody else knows yet where it keeps its metrics
            finally:
                server.end()
            raise
        return server

    # -- processes ------------------------------------------------------------------------------------

    def is_well(self) -> bool:
        """Say whether it answers, has all its workers, and reaches its database."""
        try:
            return len(self.workers()) >= WORKERS and self.server.get("/readyz")[0] == 200
        except LineLost:
            return False

    def master(self) -> int:
        return self.server.master

    def workers(self) -> list[int]:
        return [pid for pid in descendants(self.server.master) if is_alive(pid)]

    def kill_master(self) -> None:
        _ = self.server.pids  # remembers all of them, for who outlives the master
        kill_all([self.server.master])

    def start_again(self) -> None:
        """Do what a service manager does when the web server is gone and `serve` has ended for it."""
        try:
            self.server.process.wait(ORPHAN_SECONDS)
            wait_until(lambda: not self.server.left_behind(), "all have ended", ORPHAN_SECONDS)
        except (AssertionError, subprocess.TimeoutExpired):
            pass
        self.server.end()
        self.server = self._start()

    # -- the API --------------------------------------------------------------------------------------

    def writer(self, number: int) -> "TabletWriter":
        return TabletWriter(self, f"Tablet Contoh {number}")

    def read_back(self, wanted: Collection[Record]) -> dict[str, Mapping[str, Json | None]]:
        """Enrol one more device at the post and let it fetch everything."""
        reader = TabletWriter(self, "Tablet Pembaca")
        reader.fetch_all()
        return reader.shown(wanted)


class TabletWriter:
    """A tablet in the hands of one writer."""

    def __init__(self, system: PosyanduSync, name: str) -> None:
        self.system = system
        self.tablet = http_tablet(system.district, name=name)
        self.ids: dict[int, str] = {}
        """Counter of a change, and which record it wrote."""
        self.written: set[str] = set()

    def send(self, batch: Sequence[Record]) -> Answer:
        """Save what was not saved yet, and sync once.

        Raises
        ------
        LineLost
            when no answer came, or one of 500 and above: the tablet keeps its batch and sends the same again
        """
        for record in batch:
            if record.id not in self.written:
                self._write(record)
        self.tablet.server = self.system.server
        taken: set[str] = set()
        refused: dict[str, str] = {}
        for event in self.tablet.sync():
            assert not isinstance(event, NewEpochRequired), "the server forgot what this tablet had sent"
            for item in event.receipt.items if isinstance(event, Answered) else ():
                if item.outcome is Outcome.QUARANTINED:
                    refused[self.ids[item.counter]] = str(item.reasons[0]["code"])
                else:
                    taken.add(self.ids[item.counter])
        return Answer(frozenset(taken), refused)

    def _write(self, record: Record) -> None:
        replica = self.tablet.replica
        if record.measured_on is None:
            form = replica.open_child(record.child_id)
        else:
            form = replica.open_measurement(record.child_id, record.measured_on)
        assert form.record_id == record.id
        self.ids[self.tablet.write(form, record.content).dot.counter] = record.id
        self.written.add(record.id)

    def fetch_all(self) -> None:
        """Sync until there is nothing more to fetch."""
        self.tablet.server = self.system.server
        while any(isinstance(event, Pulled) and event.more for event in self.tablet.sync()):
            pass

    def shown(self, wanted: Collection[Record]) -> dict[str, Mapping[str, Json | None]]:
        """Give the registers of every wanted record that is on this tablet; None for a register in conflict."""
        found: dict[str, Mapping[str, Json | None]] = {}
        for record in wanted:
            kind = "child" if record.measured_on is None else "measurement"
            view = self.tablet.replica.view((kind, record.id))
            if view is not None and not view.incomplete:
                found[record.id] = {name: view.value(name) for name in view.registers}
        return found


@contextmanager
def running(home: Path, admin_url: str) -> Iterator[PosyanduSync]:
    """Run posyandu-sync on a new database until the block is left, however it is left."""
    with District.opened(Databases(home, admin_url)) as district:
        district.clock.now = datetime.now(UTC)
        system = PosyanduSync(district)
        try:
            yield system
        finally:
            system.server.end()
