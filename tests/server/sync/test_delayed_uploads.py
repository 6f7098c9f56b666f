"""Uploads that arrive late or again after the server was restored: an honest tablet is never taken for two devices, and two
devices still are."""

from collections.abc import Callable, Sequence
from itertools import permutations

import orjson
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import select

from server.database.models import Notice, Tablet
from sync_protocol import Event
from tests.server._district import Databases, District, FakeTablet


def told(events: Sequence[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def is_open(district: District) -> bool:
    closed = [row.closed_at for row in district.rows(select(Tablet.closed_at))]
    return closed == [None] * len(closed) and district.rows(select(Notice.kind)) == []


class Restored:
    """A tablet that has had two uploads accepted, and a server that was restored to before them.

    Parameters
    ----------
    synced_before : whether the tablet had had an answer before the backup was made
    """

    def __init__(self, district: District, *, synced_before: bool) -> None:
        self.district, self.tablet = district, district.tablet()
        if synced_before:
            self.tablet.measure(self.tablet.register_child(), weight_g=9000)
            self.tablet.sync_until_quiet()
        backup = district.back_up()
        self.uploads = [self._upload(), self._upload()]
        district.clock.advance(hours=1)
        district.restore(backup)
        self.pending: bytes | None = None

    def _upload(self) -> bytes:
        self.tablet.measure(self.tablet.register_child(), weight_g=8000)
        message = self.tablet.next_message()
        self.tablet.replica.receive(self.tablet.send(message), self.district.clock.text())
        self.district.clock.advance(minutes=3)
        return message

    def again(self, number: int) -> None:
        """Let an old upload arrive again, by a proxy; nobody reads the answer."""
        answer = orjson.loads(self.tablet.send_raw(self.uploads[number]))
        assert answer["receipt"]["status"] in ("accepted", "gap")

    def sync(self) -> None:
        """Let the tablet sync once."""
        assert "NewEpochRequired" not in told(self.tablet.sync())

    def write(self) -> None:
        """Register and weigh another child."""
        self.tablet.measure(self.tablet.register_child(), weight_g=7000)

    def lose(self) -> None:
        """Let the tablet's next upload arrive, and its answer get lost."""
        self.pending = self.tablet.next_message()
        answer = orjson.loads(self.tablet.send_raw(self.pending))
        assert answer["receipt"]["status"] in ("accepted", "gap")

    def check(self) -> None:
        """Check that it was one tablet throughout, and that nothing is lost."""
        name = self.tablet.id
        self.district.settle(self.tablet)
        assert (self.tablet.id, is_open(self.district)) == (name, True)
        assert set(self.tablet.outcomes()) <= {"applied", "duplicate"}


@pytest.mark.parametrize("synced_before", [True, False])
@pytest.mark.parametrize("order", list(permutations(["first", "second", "sync"])), ids="-".join)
def test_honest_tablet_goes_on_when_its_own_old_uploads_arrive_again(
    installed: District, order: tuple[str, ...], synced_before: bool
) -> None:
    story = Restored(installed, synced_before=synced_before)
    story.write()
    for what in order:
        story.sync() if what == "sync" else story.again(int(what == "second"))
    story.check()


STEPS: dict[str, Callable[[Restored], None]] = {
    "first again": lambda story: story.again(0),
    "second again": lambda story: story.again(1),
    "sync": Restored.sync,
    "answer lost": Restored.lose,
    "write": Restored.write,
}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(sorted(STEPS)), max_size=8), synced_before=st.booleans())
def test_honest_tablet_goes_on_whatever_arrives_again(
    sqlite_databases: Databases, steps: list[str], synced_before: bool
) -> None:
    with District.opened(sqlite_databases) as district:
        story = Restored(district, synced_before=synced_before)
        for step in steps:
            STEPS[step](story)
        story.check()


def test_upload_that_arrives_again_says_nothing_of_the_clock(installed: District) -> None:
    story = Restored(installed, synced_before=True)
    story.sync()
    story.sync()
    last = installed.rows(select(Tablet.last_sync_at, Tablet.clock_offset_ms, Tablet.app))
    installed.clock.advance(hours=5)
    story.again(0)
    assert installed.rows(select(Tablet.last_sync_at, Tablet.clock_offset_ms, Tablet.app)) == last


# -- two devices ------------------------------------------------------------------------------------


def wrote_something_else(clone: FakeTablet) -> None:
    clone.measure(clone.register_child(), weight_g=7500)


def wrote_nothing(clone: FakeTablet) -> None:
    pass


@pytest.mark.parametrize("synced_before", [True, False])
@pytest.mark.parametrize("work", [wrote_something_else, wrote_nothing])
@pytest.mark.parametrize("clone_first", [True, False])
def test_two_devices_are_still_found_after_a_restore(
    installed: District, clone_first: bool, work: Callable[[FakeTablet], None], synced_before: bool
) -> None:
    story = Restored(installed, synced_before=synced_before)
    clone = story.tablet.clone()
    work(clone)
    order = (clone, story.tablet) if clone_first else (story.tablet, clone)
    events = {event for _ in range(3) for device in order for event in told(device.sync())}
    assert "NewEpochRequired" in events
    assert not is_open(installed)


@pytest.mark.parametrize("incarnation", ["", "01900000-0000-7000-8000-00000000abcd"])
def test_copied_device_reads_nothing_by_claiming_that_it_is_outdated(
    installed: District, incarnation: str
) -> None:
    tablet = installed.tablet()
    installed.restore(installed.back_up())
    child = tablet.register_child()
    tablet.sync_until_quiet()
    copied = tablet.clone()
    for _ in range(3):
        copied.replica.incarnation, copied.replica.cursor, copied.replica.pending = incarnation, 0, None
        answer = copied.send(copied.next_message())
        assert (answer["pull"]["children"], answer["pull"]["measurements"]) == ([], {})
    assert child in {ref for _, ref in tablet.shown()}
    assert "NewEpochRequired" not in told(tablet.sync())


def test_closed_enrolment_is_told_nothing_of_the_post(installed: District) -> None:
    tablet = installed.tablet()
    tablet.register_child()
    tablet.sync_until_quiet()
    clone = tablet.clone()
    tablet.sync()
    clone.replica.cursor = 0
    answer = clone.send(clone.next_message())
    assert answer["receipt"]["status"] == "new_epoch_required"
    assert (answer["pull"]["children"], answer["pull"]["cursor"]) == ([], 0)
