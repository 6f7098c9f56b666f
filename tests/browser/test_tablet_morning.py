"""A posyandu morning without a signal, in real Chromiums against a real server on PostgreSQL: one post, 60
children, two tablets, two cadres on one of them, a reload, a flat battery, one child on both scales. Then a line that is cut
and slow, the question answered at the health centre, and in the end both tablets and the server hold the same, member by
member.

Twelve of the children are measured through the screens, the last by both tablets; `make soak` sets MORNING_CHILDREN=60, and
all are. Every screen is looked at.
"""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests._time_zone import QUIET_ZONE
from tests.browser._tablets import CADRE, Tablet, code_for, held
from tests.browser._window import Window
from tests.faults._proxy import Planned
from tests.faults._running import running, wait_until
from tests.server._district import Databases, District
from tests.server.web._clinic import Clinic, at
from tests.server.web._posts import measured

pytestmark = [pytest.mark.browser, pytest.mark.postgresql]

CHILDREN = 60
LAST = CHILDREN - 1
HALF = int(os.environ.get("MORNING_CHILDREN", "12")) // 2
"""How many children each tablet measures."""
SECOND = ("Bu Kader Lain (contoh)", "580316")
CUTS = [("down", 0.5), ("up", 0.5), ("down", 0.9)]
SLOW_BYTES, SLOW_MS = 20_000, 300
"""A second's bytes and the round trip of a bad 2G line."""


@dataclass
class Post:
    """A post of 60 children with two months of history, the desk of its health centre, and two tablets."""

    district: District
    line: Planned
    desk: Window
    one: Tablet
    two: Tablet
    today: date

    def look(self, tablet: Tablet, name: str) -> None:
        """Look at a screen."""
        tablet.look(name)

    def weight(self, number: int) -> str:
        """Give what the scale shows for a child that grows as it did, as it is typed."""
        age = 240 + number % 20 * 60
        return f"{at('waz', 'MF'[number % 20 % 2], age, 0.3):.1f}".replace(".", ",")


@pytest.fixture
def post(postgresql_databases: Databases, browser: Browser, pictures: Path, tmp_path: Path) -> Iterator[Post]:
    with (
        District.opened(postgresql_databases, cookie_secure=False, time_zone=QUIET_ZONE) as district,
        ExitStack() as opened,
    ):
        district.clock.now = datetime.now(UTC) - timedelta(minutes=5)
        clinic = Clinic.opened(district)
        today = district.hub.settings.today(district.clock.now)
        for number in range(CHILDREN):
            days = [today - timedelta(days=days) for days in (61, 31)]
            measured(clinic.first, number % 20, today, days, name=child(number))
        clinic.first.sync_until_quiet()
        server = opened.enter_context(running(district.hub.settings))
        line = Planned(server.port, "/api/v1/sync")
        opened.enter_context(line.listening())
        desk = opened.enter_context(
            Window.opened(browser, f"http://127.0.0.1:{server.port}", pictures),
        )
        desk.sign_in(clinic.person().username)
        url = f"http://127.0.0.1:{line.port}"
        one, two = (
            opened.enter_context(Tablet.opened(browser.browser_type, url, tmp_path / name, pictures))
            for name in ("one", "two")
        )
        yield Post(district, line, desk, one, two, today)


def child(number: int) -> str:
    return f"Anak Contoh {number:03d}"


def code_at_desk(desk: Window, name: str) -> str:
    """Make a code at the health centre's page."""
    desk.page.goto("/tablet")
    desk.page.get_by_role("link", name="Daftarkan tablet").click()
    desk.page.get_by_label("Posyandu", exact=True).select_option("Melati 1")
    desk.page.get_by_label("Nama tablet").fill(name)
    desk.page.get_by_role("button", name="Buat kode").click()
    return desk.page.locator("#code").inner_text()


def test_morning_without_signal_ends_with_both_tablets_and_server_equal(post: Post) -> None:
    one, two = post.one, post.two
    one.enrol_by_link(code_at_desk(post.desk, "Tablet A"))
    two.enrol(code_for(post.district, "Tablet B"))
    for tablet in (one, two):
        expect(tablet.page.locator("ul.children > li")).to_have_count(CHILDREN)
        expect(tablet.badge).to_have_text("✓ Terkirim")
        tablet.set_line(there=False)
    before = post.district.counts()["measurement"]

    first_half(post)
    second_half(post)
    same_child_on_both_scales(post)
    assert post.district.counts()["measurement"] == before  # nothing got out

    sync_over_bad_line(post)
    written = 2 * HALF + 1
    assert post.district.counts()["measurement"] == before + written
    question_is_answered_at_desk(post)

    shown = one.shown()
    assert shown == two.shown() == held(post.district)
    assert sum(name.startswith("measurements") for name in shown) == 2 * CHILDREN + written
    for tablet in (one, two):
        numbers, outcomes = zip(*tablet.log(), strict=True)
        assert numbers == tuple(range(1, len(numbers) + 1))
        assert "waiting" not in outcomes
        tells_nothing_without_a_pin(tablet)
    post.district.check_agreement()


def first_half(post: Post) -> None:
    """Tablet one: child after child by the large button, a reload, a flat battery with figures typed and not saved."""
    tablet, page = post.one, post.one.page
    for number in range(HALF):
        tablet.attend(child(number))
    post.look(tablet, "today")
    for number in range(HALF):
        following = f"Berikutnya: {child(number)}"
        page.get_by_role("button", name=following).or_(page.get_by_role("link", name=following)).click()
        tablet.expect_title(child(number))
        if number == 1:
            tablet.tap("weight_g", post.weight(number))
            post.look(tablet, "measure")
        else:
            tablet.type(post.weight(number))
        tablet.save()
        if number == 2:
            post.look(tablet, "result")
            page.reload()
            tablet.unlock()
            tablet.go("hari-ini")
    tablet.begin(child(LAST))
    tablet.type("12,3", "97,5")
    wait_until(lambda: tablet.draft()["text"].get("length_mm") == "97,5", "the draft is on the disk")
    tablet.kill()

    tablet.switch_on(line=False)
    tablet.unlock()
    tablet.expect_title("Hari ini")
    expect(tablet.badge).to_have_text(f"● {HALF} anak menunggu")
    assert tablet.log() == [(number, "waiting") for number in range(1, HALF + 1)]


def second_half(post: Post) -> None:
    """Tablet two: another cadre, children found by name, services, and one who was never here before."""
    tablet, page = post.two, post.two.page
    tablet.add_cadre(*SECOND)
    tablet.lock()
    post.look(tablet, "who")
    tablet.unlock(*SECOND)
    tablet.add_child("Anak Baru Contoh", "2026-01-15", boy=True, mother="Kirana Contoh")
    tablet.type("7,4", "66,5")
    page.get_by_text("Semua layanan dan jawaban", exact=True).click()
    page.get_by_role("group", name="Imunisasi hari ini").get_by_role("button", name="Ya").click()
    post.look(tablet, "measure-new")
    tablet.save()
    for number in range(LAST - HALF + 1, LAST):
        tablet.measure(child(number), post.weight(number))
    post.look(tablet, "result-other")


def same_child_on_both_scales(post: Post) -> None:
    """The one of whom tablet one still has a draft: the same length, 700 g apart."""
    post.one.begin(child(LAST))
    expect(post.one.page.locator("input[name=weight_g]")).to_have_value("12,3")
    post.one.save()
    post.two.measure(child(LAST), "13", "97,5")


def sync_over_bad_line(post: Post) -> None:
    """One tablet after the other; answers and requests are lost, and one goes on recording meanwhile."""
    for tablet in (post.one, post.two):
        tablet.go("kirim")
        post.look(tablet, "send-waiting" if tablet is post.one else "send-waiting-other")
        post.line.cuts = list(CUTS)
        tablet.record_texts()  # a quick tablet shows them for a moment
        tablet.set_line(there=True)
        tablet.make_slow(SLOW_BYTES, SLOW_MS)
        for text in ("[Nn]anti dikirim otomatis", r"Mengirim: \d+ dari \d+ anak"):
            wait_until(partial(tablet.has_shown, text), text)
        tablet.correct(child(LAST - 1) if tablet is post.two else child(0))
        tablet.page.get_by_label("Catatan").fill("Dicatat saat mengirim")
        tablet.save()
        expect(tablet.badge).to_have_text("✓ Terkirim", timeout=180_000)
    assert post.line.cuts == []
    assert post.line.made == 2 * len(CUTS)


def question_is_answered_at_desk(post: Post) -> None:
    """Both tablets ask; the health centre answers; both have the answer."""
    post.one.sync()
    for tablet in (post.one, post.two):
        expect(tablet.page.locator("nav .count")).to_have_text("1")
    post.one.go("pertanyaan")
    expect(post.one.page.get_by_text(f"{CADRE}, di tablet ini")).to_be_visible()
    post.look(post.one, "questions")
    page = post.desk.page
    page.goto("/selisih")
    page.get_by_role("link", name=child(LAST)).click()
    page.get_by_role("radio", name=re.compile("13,0")).check()
    page.get_by_label("Dari mana Anda tahu?").select_option(label="diukur ulang")
    page.get_by_role("button", name="Simpan keputusan").click()
    expect(page.get_by_role("status")).to_contain_text("Tersimpan.")
    for tablet in (post.one, post.two):
        tablet.sync()
        expect(tablet.page.locator("nav .count")).to_have_count(0)
        tablet.open(child(LAST))
        expect(tablet.page.get_by_role("row").nth(1)).to_contain_text("13,0")
        post.look(tablet, "child" if tablet is post.one else "child-other")


def tells_nothing_without_a_pin(tablet: Tablet) -> None:
    """What lies in the caches and the database tells of nobody."""
    cached = tablet.cached()
    assert all(url.startswith(f"{tablet.url}/tablet-app/") for url in cached)
    for text in (*cached.values(), *(row for rows in tablet.raw().values() for row in rows)):
        for word in ("Anak Contoh", "Anak Baru", "Kirana", "Dicatat saat"):
            assert word not in text
    assert tablet.page.evaluate("localStorage.length + sessionStorage.length") == 0
