"""A post on the morning of its posyandu, for the tests of what cadre and mother take home: children of every code and kind
that the recap counts, measured in the months before; and how the server counts them.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from playwright.sync_api import Browser
from sqlalchemy import select

from server import reports
from server.app import create_app
from server.database.models import Child, Figures, Flag, FollowUp, table
from server.growth.weight_gain import months_completed
from server.reports.counting import CODES
from server.reports.loading import load
from server.review import Scope
from server.supervision.completeness import completeness
from tests._time_zone import QUIET_ZONE
from tests.browser._tablets import Site, held
from tests.browser._window import served
from tests.server._district import Databases, District, FakeTablet, identity, measured

HOME: Final = {"address": "Jalan Contoh 5", "rt": "2", "rw": "1"}
PHONE: Final = "0812-3456-7890"
REFERRALS: Final = ("refer_puskesmas", "refer_hospital")


def months_before(day: date, months: int) -> date:
    """Give a day of an earlier month: the same, at most the 28th."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(year, month + 1, min(day.day, 28))


@dataclass
class Post:
    """The served post, and its children's ids by name."""

    site: Site
    ids: dict[str, str]

    @classmethod
    @contextmanager
    def opened(
        cls, databases: Databases, browser: Browser, profiles: Path, pictures: Path
    ) -> Iterator["Post"]:
        with District.opened(databases, cookie_secure=False, time_zone=QUIET_ZONE) as district:
            today = district.hub.settings.today(datetime.now(UTC) - timedelta(minutes=5))
            last = months_before(today, 1)
            district.clock.now = datetime(last.year, last.month, last.day, 4, tzinfo=UTC)
            hand = district.tablet()
            past = _Past(hand, today)
            past.live()
            district.clock.now = datetime.now(UTC) - timedelta(minutes=5)
            past.come_today(district.tablet(0, "Tablet lain"))
            app = create_app(district.hub.settings, district.hub)
            with served(district, app) as url:
                site = Site(district, app, url, browser.browser_type, profiles, pictures, hand)
                yield cls(site, past.ids)


@dataclass
class _Past:
    hand: FakeTablet
    today: date

    def __post_init__(self) -> None:
        self.ids: dict[str, str] = {}
        self.last, self.before = months_before(self.today, 1), months_before(self.today, 2)

    def add(self, name: str, *, months: int = 14, sex: str = "F", **registers: Any) -> str:
        born_on = months_before(self.today, months)
        self.ids[name] = self.hand.register_child(
            identity=identity(name=name, sex=sex, born_on=born_on.isoformat()), **registers
        )
        return self.ids[name]

    def weigh(self, name: str, on: date, weight_g: int, length_mm: int | None = None) -> None:
        self.hand.measure(self.ids[name], on.isoformat(), weight_g=weight_g, length_mm=length_mm)

    def live(self) -> None:
        """Register the children, and measure them in the two months before."""
        book = {"kia": True, "kms": False}
        self.add("Melati Contoh", books=book)
        self.weigh("Melati Contoh", self.last, 9000, 750)
        self.add("Kenanga Contoh", parents={"mother": "Sari Contoh"}, books=book)
        self.weigh("Kenanga Contoh", self.last, 9000, 750)
        self.add("Dahlia Contoh")
        self.weigh("Dahlia Contoh", self.before, 9000, 740)
        self.weigh("Dahlia Contoh", self.last, 9050, 750)
        self.add("Anggrek Contoh")
        self.weigh("Anggrek Contoh", self.before, 9000, 750)
        self.add("Teratai Contoh", months=3, books={"kia": False, "kms": True})
        self.add("Kamboja Contoh")
        self.weigh("Kamboja Contoh", self.last, 6100, 700)
        self.add("Bintang Contoh", sex="M")
        self.weigh("Bintang Contoh", self.last, 9000, 760)
        self.add("Bintang Kembar", sex="M", same_as={"child": self.ids["Bintang Contoh"]})
        self.add("Rimba Contoh", sex="M", months=30)
        self.weigh("Rimba Contoh", self.last, 12_000, 880)
        self.add("Besar Contoh", months=62)
        self.add("Pindah Contoh", removed={"reason": "pindah"})
        self.add("Jauh Contoh", parents={"mother": "Wati Contoh", "phone": PHONE.replace("-", "")}, home=HOME)
        self.weigh("Jauh Contoh", self.last, 9000, 750)
        self.add("Hilang Contoh", months=20)
        self.weigh("Hilang Contoh", self.before, 10_000, 800)
        self.add("Diam Contoh", months=7)
        self.hand.sync_until_quiet()

    def come_today(self, other: FakeTablet) -> None:
        """Let a second tablet measure some this morning, one of them on both scales. The health centre asks for things."""
        today, hand = self.today.isoformat(), self.hand
        other.sync_until_quiet()
        other.measure(self.ids["Bintang Kembar"], today, weight_g=9500, length_mm=770)
        other.measure(self.ids["Rimba Contoh"], today, weight_g=12_100, length_mm=885, position="standing")
        hand.measure(self.ids["Rimba Contoh"], today, weight_g=12_600, length_mm=885, position="standing")
        form = other.replica.open_measurement(self.ids["Teratai Contoh"], today)
        services = {"exclusive_breastfeeding": True, "immunised": True, "kpsp": "M"}
        other.write(form, {**measured(weight_g=5800, length_mm=600), "services": services})
        hand.set_task(self.ids["Jauh Contoh"], action="home_visit", reason="two_t", due_on=today)
        hand.set_task(self.ids["Kamboja Contoh"], action="refer_puskesmas", reason="below_red_line")
        done = hand.set_task(self.ids["Melati Contoh"], action="refer_puskesmas", reason="wasted")
        hand.set_result(self.ids["Melati Contoh"], done, done_on=today)
        hand.set_task(self.ids["Dahlia Contoh"], action="pmt", reason="two_t", funds="dak")
        food = {"menu": "food", "funds": "village", "reaches": "child", "starts_on": today, "ends_on": None}
        for name, given in (("Anggrek Contoh", {"given_on": today}), ("Melati Contoh", None)):
            delivery = hand.replica.open_delivery(self.ids[name], hand.district.new_id())
            hand.write(delivery, {"aid": food} | ({"delivered": given} if given else {}))
        for tablet in (hand, other, hand):
            tablet.sync_until_quiet()


def counted_by_server(site: Site) -> dict[str, int]:
    """Give the server's own numbers, named as the recap's cells are: of the month from its figures and tables, of today from
    what these are counted from."""
    hub, now = site.district.hub, datetime.now(UTC)
    reports.refresh(hub, now, actor="test")
    c = table(Figures).c
    post, first = site.district.posts[0], site.today.replace(day=1)
    (row,) = site.district.rows(
        select(c.counts).where(c.area_kind == "post", c.area == post, c.month == first)
    )
    figures = Counter(orjson.loads(row.counts))
    return {
        **{f"month.{name}": figures[name] for name in ("S", "K", "D", "N", "T", "O", "B", "two_t", "pmt")},
        "month.bgm": figures["indicated.severely_underweight"],
        **{f"month.{name}": figures[f"given.{name}"] for name in GIVEN},
        "month.vitamin_a": figures["given.vitamin_a"],
        "month.kpsp": figures["asked.kpsp"],
        "month.kpsp_doubt": figures["found.kpsp_doubt"],
        "month.kpsp_deviation": figures["found.kpsp_deviation"],
        **_of_tables(site),
        **_of_day(site, now),
        **_doses(site),
    }


def _doses(site: Site) -> Counter[str]:
    """Count the children who got each dose today, and this month, by the records that the server holds."""
    month = site.today.isoformat()[:7]
    found: Counter[str] = Counter()
    seen = set()
    for name, state in held(site.district).items():
        kind, child, place = name.split(" ", 2) if name.startswith("measurements") else ("", "", "")
        doses = state["set"].get("doses") if kind and not state.get("removed") else None
        for code in doses["given"] if doses else ():
            periods = {"month": place[:7] == month, "day": place[:10] == site.today.isoformat()}
            seen |= {(period, code, child) for period, holds in periods.items() if holds}
    found.update(f"{period}.dose.{code}" for period, code, _ in seen)
    return found


GIVEN: Final = ("exclusive_breastfeeding", "mbg", "mother_class", "deworming", "immunised")


def _of_tables(site: Site) -> dict[str, int]:
    hub, today = site.district.hub, site.today
    tasks = site.district.rows(select(FollowUp.action, FollowUp.has_result, FollowUp.done_on))
    referred = [task for task in tasks if task.action in REFERRALS]
    seen_at = site.district.rows(select(Child.first_seen_at).where(~Child.removed))
    fresh = [hub.settings.today(row.first_seen_at.replace(tzinfo=UTC)) for row in seen_at]
    with hub.database.reading() as session:
        whole = Scope.whole_district(hub, shows_names=False)
        report = completeness(session, hub, whole, today, today, only=[site.district.posts[0]])
    return {
        "month.referrals.open": sum(not task.has_result for task in referred),
        "month.referrals.done": sum(task.done_on is not None for task in referred),
        "day.referrals.done": sum(task.done_on == today for task in referred),
        "day.fresh": sum(day == today for day in fresh),
        "month.fresh": sum(day >= today.replace(day=1) for day in fresh),
        "day.records": report.days()[today].stored,
    }


def _of_day(site: Site, now: datetime) -> dict[str, int]:
    """Count today's weighings by code, today's services, and the most urgent flags of those measured."""
    hub, today = site.district.hub, np.datetime64(site.today)
    with hub.database.reading() as session:
        loaded = load(session, hub, [site.district.posts[0]], now)
    persons, visits, scores = loaded.persons, loaded.visits, loaded.scores
    end = np.datetime64(months_before(site.today.replace(day=28), -1).replace(day=1)) - np.timedelta64(1, "D")
    age = months_completed(persons.born_on, end)
    here = persons.registered & (age < 60)
    code = {
        int(person): "O" if undecided else CODES[at]
        for person, day, at, undecided in zip(
            scores.person, scores.day, scores.code, scores.undecided, strict=True
        )
        if day == today and here[person] and (at >= 0 or undecided)
    }
    letters = Counter(code.values())
    found = {"day.D": len(code), **{f"day.{letter}": letters[letter] for letter in CODES}}
    answers = Counter(
        (name, answer)
        for row, services in visits.services.items()
        for name, answer in services.items()
        if visits.day[row] == today and here[visits.person[row]]
    )
    found |= {f"day.{name}": answers[name, True] for name in GIVEN}
    found |= {"day.kpsp": sum(answers["kpsp", one] for one in "SMP"), "day.kpsp_doubt": answers["kpsp", "M"]}
    found |= {"day.kpsp_deviation": answers["kpsp", "P"]}
    found["day.vitamin_a"] = sum(answers["vitamin_a", one] for one in ("blue", "red"))
    measured_now = {int(person) for person in visits.person[visits.day >= today.astype("datetime64[M]")]}
    found["month.missing"] = int(sum(here)) - len({person for person in measured_now if here[person]})
    return found | _urgencies(site)


def _urgencies(site: Site) -> dict[str, int]:
    """Count those to be seen at the health centre today and this week, of those measured this month, as the flags' subjects
    say."""
    most: dict[str, int] = {}
    for flag in site.district.rows(select(Flag.child_id, Flag.urgency, Flag.subject)):
        if flag.subject[:7] == site.today.isoformat()[:7]:
            most[flag.child_id] = min(most.get(flag.child_id, 9), flag.urgency)
    found = Counter(most.values())
    return {
        f"{period}.urgency.{name}": found[urgency]
        for period in ("day", "month")
        for name, urgency in (("today", 1), ("week", 2))
    }
