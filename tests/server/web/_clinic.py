"""A health centre's morning, for the tests of its pages: made-up children who grow along known curves, synced through real
tablets, and the people who may look at them.
"""

import re
from dataclasses import dataclass
from datetime import date
from functools import cache

from flask.testing import FlaskClient

from server.accounts import Person
from server.growth.lms import FloatArray
from server.growth.zscores import curve
from server.places import health_posts
from tests.server._district import DISTRICT, District, FakeTablet, identity
from tests.server._people import add_person

PASSWORD = "kata-sandi-uji-coba"
BORN_ON = "2025-01-10"
DAYS = (*(f"2025-{month:02d}-05" for month in range(4, 13)), "2026-01-05", "2026-02-05", "2026-03-05")


@cache
def standard(name: str, sex: int) -> FloatArray:
    """Give a curve's values at -1, 0 and 1 SD by day of age."""
    return curve(name, sex, (-1, 0, 1))[1]  # type: ignore[arg-type]  # a name of a test


def at(name: str, sex: str, age_days: int, z: float) -> float:
    """Give a value that lies about z from the median at an age: kg or cm."""
    low, middle, high = standard(name, {"M": 1, "F": 2}[sex])[:, age_days]
    return float(middle + z * (high - middle if z > 0 else middle - low))


@dataclass
class Clinic:
    """A district with two posts, a second health centre with one, and tablets of each."""

    district: District
    first: FakeTablet
    second: FakeTablet
    elsewhere: FakeTablet
    centre: str
    other_centre: str

    @classmethod
    def opened(cls, district: District) -> "Clinic":
        """Add what the pages need to a district that has been installed."""
        hub, now = district.hub, district.clock.now
        with hub.database.transaction() as session:
            post = health_posts.find_post(session, DISTRICT, "Melati 1")
            assert post is not None
            other = health_posts.add_health_centre(
                session, hub, "Puskesmas Lain", "64.02.06", actor="operator", now=now
            )
            lain = health_posts.add_post(session, hub, "Kenanga 3", other, None, actor="operator", now=now)
        district.posts = (*district.posts[:2], lain)  # type: ignore[assignment]  # the stories of sync have two
        a, b, c = (
            district.tablet(number, name) for number, name in enumerate(("Tablet A", "Tablet B", "Tablet C"))
        )
        return cls(district, a, b, c, post.health_centre_id, other)

    def person(
        self, role: str = "staff", scope_kind: str = "health_centre", scope: str | None = None
    ) -> Person:
        """Add somebody; the user name says who. Give them as they are once signed in."""
        district, scope = self.district, scope or self.centre
        username = f"{role}.{scope_kind}.{scope[-4:]}"
        who = (username, "Petugas Contoh", role, scope_kind, scope, PASSWORD)
        account_id = add_person(district.hub, *who, district.clock.now)
        return Person(account_id, username, "Petugas Contoh", role, scope_kind, scope)

    def donor(self) -> Person:
        """Add somebody who has no area."""
        district = self.district
        who = ("donatur", "Donatur Contoh", "donor", "none", "", PASSWORD)
        account_id = add_person(district.hub, *who, district.clock.now)
        return Person(account_id, "donatur", "Donatur Contoh", "donor", "none", "")

    def child(
        self,
        name: str,
        *,
        tablet: FakeTablet | None = None,
        sex: str = "M",
        haz: float = 0.0,
        waz: float = 0.0,
        days: tuple[str, ...] = DAYS[-4:],
        gaining: bool = True,
        born_on: str = BORN_ON,
        **registers: dict[str, object],
    ) -> str:
        """Register a child born on a day who grows along its z lines, synced; give its id.

        Parameters
        ----------
        haz, waz : roughly the scores of length and weight
        gaining : False stops the weight at its first value
        """
        tablet = tablet or self.first
        child_id = tablet.register_child(identity=identity(name=name, sex=sex, born_on=born_on), **registers)
        born = date.fromisoformat(born_on)
        first = (date.fromisoformat(days[0]) - born).days if days else 0
        for day in days:
            age = (date.fromisoformat(day) - born).days
            weight = at("waz", sex, age if gaining else first, waz)
            length = at("haz", sex, age, haz)
            tablet.measure(child_id, day, weight_g=round(weight * 100) * 10, length_mm=round(length * 10))
        tablet.sync_until_quiet()
        return child_id

    def disputed_child(self, name: str = "Anak Berselisih") -> str:
        """Give a child whom two tablets of one post weighed differently on one day: one in the red, one not."""
        child_id = self.child(name, days=DAYS[-4:-1])
        rival = self.district.tablet(0, "Tablet D")
        rival.sync_until_quiet()
        for tablet, weight_g in ((self.first, 9900), (rival, 6900)):
            tablet.measure(child_id, DAYS[-1], weight_g=weight_g, length_mm=785)
        self.first.sync_until_quiet()
        rival.sync_until_quiet()
        self.first.sync_until_quiet()
        return child_id


def sign_in(client: FlaskClient, person: Person, password: str = PASSWORD) -> None:
    """Sign in through the form, as a browser does."""
    response = client.post(
        "/masuk",
        data={"csrf_token": csrf_token(client), "username": person.username, "password": password},
        headers={"Referer": "http://localhost/masuk"},
    )
    assert response.status_code == 302, response.text


def csrf_token(client: FlaskClient, path: str = "/masuk") -> str:
    """Give the token in a page's form."""
    page = client.get(path).text
    return page.split('name="csrf_token" value="')[1].split('"')[0]


def fields(page: str) -> dict[str, list[str]]:
    """Give the hidden fields of the form on a page."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page):
        found.setdefault(name, []).append(value.replace("&#34;", '"').replace("&amp;", "&"))
    return found


def visible(page: str) -> str:
    """Give a page's text with single spaces."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))
