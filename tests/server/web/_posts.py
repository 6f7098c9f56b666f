"""A posyandu that has been at work until today, for the tests of the pages of posts and tablets."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from server.review import Scope, moves
from server.sync import server_edits
from tests.server._district import District, FakeTablet, identity
from tests.server.web._clinic import Clinic, at

CHILDREN = 20
MONTHS = 4


@dataclass
class Posyandu:
    """A clinic whose first post measured CHILDREN children in MONTHS months, the last time today; lengths are rounded."""

    clinic: Clinic
    today: date
    children: list[str]
    moved: str

    @property
    def district(self) -> District:
        return self.clinic.district

    @property
    def post(self) -> str:
        return self.clinic.district.posts[0]


def open_posyandu(district: District) -> Posyandu:
    """Let the clinic's clock be the real one, and measure."""
    district.clock.now = datetime.now(UTC) - timedelta(minutes=5)
    clinic = Clinic.opened(district)
    today = district.hub.settings.today(district.clock.now)
    days = [today - timedelta(days=30 * month) for month in range(MONTHS - 1, -1, -1)]
    children = [measured(clinic.first, number, today, days) for number in range(CHILDREN)]
    moved = measured(clinic.first, CHILDREN, today, days[:1], name="Anak Pindah")
    clinic.first.sync_until_quiet()
    clinic.second.sync_until_quiet()
    asked = {"from": district.posts[0], "to": district.posts[1]}
    hub, everywhere = district.hub, Scope.whole_district(district.hub, shows_names=True)
    server_edits.decide(
        hub, lambda s: moves.move(s, hub, everywhere, moved, asked, author="operator", now=district.clock.now)
    )
    return Posyandu(clinic, today, children, moved)


def measured(tablet: FakeTablet, number: int, today: date, days: list[date], name: str = "") -> str:
    """Register a child of about 8 to 50 months, and measure it; one in five is thin, one in seven short."""
    born_on = today - timedelta(days=240 + number * 60)
    sex = "MF"[number % 2]
    child_id = tablet.register_child(
        identity=identity(name=name or f"Anak Contoh {number:03d}", sex=sex, born_on=born_on.isoformat())
    )
    for day in days:
        age = (day - born_on).days
        waz = -3.3 if number == 5 else -1.5 if number % 5 == 4 else 0.3
        haz = -2.4 if number % 7 == 6 else -0.4
        values: dict[str, Any] = {
            "weight_g": round(at("waz", sex, age, waz) * 10) * 100,
            "length_mm": round(at("haz", sex, age, haz) * 2) * 5,
            "position": "lying" if age < 730 else "standing",
        }
        tablet.measure(child_id, day.isoformat(), **values)
    return child_id
