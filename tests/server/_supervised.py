"""A month that gives a supervisor something to ask about, for the rules and the pages of supervision."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from server.errors import Problem
from server.sync.refusals import ProvenRefusal, log_refusal
from server.sync.tablet_chain import known_tablet
from sync_protocol import measurement_id
from tests.server._district import District, FakeTablet, identity

FEBRUARY, MARCH = "2026-02-05", "2026-03-05"
GAIN_G: Final = 300
BORN_ON: Final = "2025-01-10"
NAME: Final = "Anak Contoh Diawasi"
"""What every child here is called: nothing but a history with its values and names' own pages may say it."""


@dataclass
class Supervised:
    """A district after March 2026.

    Parameters
    ----------
    first : the tablet of the first post: ten children, in February and in March, nine with the same gain; then one
        measurement that was set aside
    night : the second tablet of the first post: measured four children at three in the morning and synced then
    second : the tablet of the second post: four children have February's values again; its clock was two hours fast when it
        last synced, and of five changes only three have come
    disputed : a child whom three devices wrote of: (child, measurement of March)
    """

    district: District
    first: FakeTablet
    night: FakeTablet
    second: FakeTablet
    disputed: tuple[str, str]


def supervised(district: District) -> Supervised:
    """Let it happen."""
    first, night, second = (
        district.tablet(0, "Tablet A"),
        district.tablet(0, "Tablet B"),
        district.tablet(1, "Tablet C"),
    )
    same = [_child(first, number) for number in range(10)]
    copied = [_child(second, number) for number in range(4)]
    _at(district, FEBRUARY, 2)
    for number, child in enumerate(same):
        _measure(first, child, FEBRUARY, 8000 + number * 100, 720 + number * 3)
    for child in copied:
        _measure(second, child, FEBRUARY, 8300, 735)
    first.sync_until_quiet()
    second.sync_until_quiet()
    _at(district, MARCH, 2)
    for number, child in enumerate(same):
        gain = GAIN_G if number else 100
        _measure(first, child, MARCH, 8000 + number * 100 + gain, 730 + number * 3)
    for child in copied:
        _measure(second, child, MARCH, 8300, 735)
    first.sync_until_quiet()
    second.sync_until_quiet()
    district.clock.advance(hours=3)
    disputed = _disputed(district, first, night, same[0])
    first.measure(same[1], "2026-03-04", weight_g=90)
    first.sync_until_quiet()
    _by_night(district, night)
    _with_a_wrong_clock(district, second)
    _refused(district, first)
    return Supervised(district, first, night, second, disputed)


def _at(district: District, day: str, hour: int) -> None:
    district.clock.now = datetime.fromisoformat(f"{day}T{hour:02d}:00:00+00:00")


def _child(tablet: FakeTablet, number: int) -> str:
    return tablet.register_child(identity=identity(name=f"{NAME} {number}", born_on=BORN_ON))


def _measure(tablet: FakeTablet, child: str, day: str, weight_g: int, length_mm: int) -> None:
    """Measure as long as it takes: three minutes a child."""
    tablet.measure(child, day, weight_g=weight_g, length_mm=length_mm)
    tablet.district.clock.advance(minutes=3)


def _disputed(district: District, first: FakeTablet, second: FakeTablet, child: str) -> tuple[str, str]:
    """Let two tablets correct a weight without having seen each other, then a third see both and settle it."""
    second.sync_until_quiet()
    first.measure(child, MARCH, weight_g=8150, length_mm=730)
    second.measure(child, MARCH, weight_g=8250, length_mm=730)
    second.measure(child, MARCH, weight_g=8260, length_mm=731)
    third = district.tablet(0, "Tablet D")
    for tablet in (first, second, third):
        district.clock.advance(minutes=5)
        tablet.sync_until_quiet()
    third.measure(child, MARCH, weight_g=8200, length_mm=730)
    first.measure(child, MARCH, muac_mm=141)
    for tablet in (third, first):
        district.clock.advance(minutes=5)
        tablet.sync_until_quiet()
    return child, measurement_id(child, MARCH, "cadre")


def _by_night(district: District, tablet: FakeTablet) -> None:
    """Let a tablet record and sync at three in the morning of Kukar's 12 March."""
    district.clock.now = datetime(2026, 3, 11, 19, 0, tzinfo=UTC)
    for number in range(20, 26):
        child = _child(tablet, number)
        _measure(tablet, child, "2026-03-11", 8000 + number * 10, 700 + number)
    tablet.sync_until_quiet()


def _with_a_wrong_clock(district: District, tablet: FakeTablet) -> None:
    """Let a tablet whose clock is two hours fast send three of five changes."""
    district.clock.now = datetime(2026, 3, 20, 2, 0, tzinfo=UTC)
    for number in range(5):
        _child(tablet, 30 + number)
    fast = (district.clock.now + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    batch = tablet.replica.next_batch(district.new_id(), fast, max_changes=3)
    tablet.send(tablet.signed(batch))


def _refused(district: District, tablet: FakeTablet) -> None:
    """Let an upload of a tablet be refused whose id was used, and two of a tablet that nobody knows, within the hour."""
    district.clock.advance(hours=1)
    with district.hub.database.reading() as session:
        known = known_tablet(session, district.hub.district, tablet.id, lock=False)
    log_refusal(district.hub, ProvenRefusal(known, "batch-id-reused", batch="x"), 900, district.clock.now)
    for size_bytes in (400, 500):
        district.clock.advance(minutes=1)
        unknown = Problem("tablet-unknown", tablet="x", district="x")
        log_refusal(district.hub, unknown, size_bytes, district.clock.now)
