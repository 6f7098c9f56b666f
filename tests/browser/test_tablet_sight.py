"""The tablet app as a hurried hand and tired eyes find it: the list of the day, and every screen at every size of text."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from tests.browser._sight import faults_of, in_sight
from tests.browser._tablet_screens import SCREENS, busy_child, put_aside
from tests.browser._tablets import CADRE, DESK, HAND, Site, Tablet

pytestmark = pytest.mark.browser

TURNED, UPRIGHT = (740, 360), (800, 1280)
NAMES = [f"Anak Contoh {number}" for number in range(1, 13)]
ROW = "ul.children > li"
PAINTED = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""Rows outside the view are laid out only then."""


@pytest.fixture(scope="module")
def site(site: Site) -> Site:
    site.children(*NAMES)
    return site


@pytest.fixture(scope="module")
def tablet(site: Site) -> Iterator[Tablet]:
    with site.tablet("sight") as opened:
        yield opened


@pytest.fixture(autouse=True)
def on_the_list(tablet: Tablet) -> Iterator[None]:
    """Leave the tablet as it was found: in a hand, on the list, with text of the usual size."""
    yield
    width, height = HAND
    tablet.page.set_viewport_size({"width": width, "height": height})
    set_text(tablet, 100)
    tablet.go("hari-ini")
    tablet.expect_title("Hari ini")


def set_text(tablet: Tablet, percent: int) -> None:
    """Choose a size of text as a cadre does."""
    tablet.go("lainnya")
    tablet.expect_title("Lainnya")
    tablet.page.get_by_role("button", name=f"{percent}%").click()
    expect(tablet.page.locator("html")).to_have_attribute("data-text", str(percent))


def show(tablet: Tablet, size: tuple[int, int], address: str) -> None:
    """Show a screen at a size, drawn anew."""
    width, height = size
    tablet.page.set_viewport_size({"width": width, "height": height})
    tablet.go("kosong")
    tablet.go(address)
    tablet.page.wait_for_url(f"**/#/{address}")
    expect(tablet.page.get_by_role("heading", level=1)).to_be_focused()
    tablet.page.evaluate(PAINTED)


# -- the list of the day ----------------------------------------------------------------------------


def test_list_shows_six_children_with_their_status_in_words(tablet: Tablet) -> None:
    page = tablet.page
    expect(page.locator(ROW)).to_have_count(len(NAMES))
    assert in_sight(page, ROW) >= 6
    heights = {box["height"] for row in page.locator(ROW).all()[:6] if (box := row.bounding_box())}
    assert all(64 <= height <= 66 for height in heights)
    row = page.locator(ROW).first
    expect(row).to_contain_text(NAMES[0])
    expect(row).to_contain_text(re.compile(r"(?i:ibu) .*\d+ (th|bln).* terakhir \d+ \w+"))
    expect(row.locator(".standing b")).to_have_text(re.compile(r"\w{3,}"))


def test_search_is_empty_again_when_its_child_was_opened(tablet: Tablet) -> None:
    tablet.begin(NAMES[3])
    tablet.page.get_by_role("link", name="Kembali").click()
    tablet.go("hari-ini")
    expect(tablet.page.get_by_role("searchbox")).to_have_value("")
    expect(tablet.page.locator(ROW)).to_have_count(len(NAMES))


def test_next_names_only_who_is_here(tablet: Tablet) -> None:
    page = tablet.page
    expect(page.get_by_text("Berikutnya:")).to_have_count(0)
    expect(page.locator(".next")).to_contain_text("Ketuk nama untuk mengukur")
    tablet.attend(NAMES[4])
    tablet.attend(NAMES[1])
    expect(page.get_by_role("link", name=f"Berikutnya: {NAMES[4]}")).to_be_visible()
    page.get_by_role("button", name="Hadir", exact=False).and_(page.locator(".tabs button")).click()
    expect(page.locator(ROW)).to_have_count(2)

    page.get_by_role("link", name=f"Berikutnya: {NAMES[4]}").click()
    tablet.expect_title(NAMES[4])
    tablet.type("9,1")
    tablet.save()
    expect(page.get_by_role("link", name=f"Berikutnya: {NAMES[1]}")).to_be_visible()
    tablet.go("hari-ini")
    tablet.attend(NAMES[1])  # went home
    expect(page.get_by_text("Berikutnya:")).to_have_count(0)


def test_counts_of_the_tabs_and_of_what_is_not_sent_agree(tablet: Tablet) -> None:
    page = tablet.page
    tablet.sync()
    tablet.set_line(there=False)
    tablet.measure(NAMES[6], "9,2", "70,5")
    tablet.correct(NAMES[6])
    tablet.type("9,3")
    tablet.save()
    tablet.measure(NAMES[7], "9,4")
    expect(tablet.badge).to_have_text("● 2 anak menunggu")
    tablet.go("kirim")
    expect(page.locator(f"{ROW} > a")).to_have_count(2)

    tablet.go("hari-ini")
    counted = {}
    for words in ("Belum bulan ini", "Sudah bulan ini"):
        tab = page.locator(".tabs button", has_text=words)
        tab.click()
        counted[words] = page.locator(f"{ROW} .mark").count()
        expect(tab.locator("b")).to_have_text(str(counted[words]))
    assert sum(counted.values()) == len(NAMES)
    expect(page.locator(ROW, has_text=NAMES[6])).to_contain_text("hari ini, belum terkirim")
    page.locator(".tabs button", has_text="Belum bulan ini").click()
    tablet.set_line(there=True)
    tablet.sync()


def test_child_that_was_measured_under_a_linked_record_is_done(site: Site, tablet: Tablet) -> None:
    first, second = site.children("Anak Kembaran", "Anak Kembaran Lagi")
    form = site.hand.replica.open_child(second)
    site.hand.write(form, {"same_as": {"child": first}})
    site.hand.measure(second, site.today.isoformat(), weight_g=9100)
    site.hand.sync_until_quiet()
    tablet.sync()
    row = tablet.find("Anak Kembaran")
    expect(row).to_have_class("done")
    expect(row).to_contain_text("hari ini")
    tablet.go("belum-datang")
    expect(tablet.page.locator(".people-rows > li", has_text="Anak Kembaran")).to_have_count(0)
    site.hand.write(site.hand.replica.open_child(first), {"removed": {"reason": "contoh"}})
    site.hand.sync_until_quiet()
    tablet.sync()


def test_day_that_has_not_come_is_refused(site: Site, tablet: Tablet) -> None:
    page = tablet.page
    page.locator(".day summary").click()
    day = page.get_by_label("Tanggal posyandu")
    day.fill((site.today + timedelta(days=2)).isoformat())
    expect(page.get_by_role("alert")).to_have_text(re.compile(r"^\d+ \w+ \d{4} belum "))
    expect(day).to_have_value(site.today.isoformat())
    earlier = site.today - timedelta(days=3)
    day.fill(earlier.isoformat())
    expect(page.locator(".day summary")).to_contain_text(f"{earlier.day} ")
    page.locator(".day summary").click()
    page.get_by_label("Tanggal posyandu").fill(site.today.isoformat())
    expect(page.locator(".day summary")).to_contain_text(f"{site.today.day} ")


def test_child_page_has_the_gain_in_sight(site: Site, tablet: Tablet) -> None:
    tablet.open(NAMES[0])
    column = tablet.page.get_by_role("columnheader", name="N/T").bounding_box()
    assert column is not None
    assert column["x"] + column["width"] <= HAND[0]


# -- every screen -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def child(site: Site, tablet: Tablet) -> str:
    """Give a child with questions of every kind."""
    found = busy_child(site)
    tablet.sync()
    tablet.go("hari-ini")
    put_aside(site, tablet, found)
    expect(tablet.page.locator(".undo button")).to_have_count(0)  # its ten seconds are over
    return found


@pytest.mark.parametrize(
    ("percent", "sizes"), [(100, (HAND, DESK, UPRIGHT, TURNED)), (150, (HAND,)), (200, (HAND, DESK))]
)
def test_every_screen_can_be_read_and_pressed(
    site: Site, tablet: Tablet, child: str, percent: int, sizes: tuple[tuple[int, int], ...]
) -> None:
    set_text(tablet, percent)
    found = []
    for address, name in SCREENS.items():
        for size in sizes:
            show(tablet, size, address.format(child=child, today=site.today))
            tablet.keep_picture(f"sight-{name}-{percent}-{size[0]}x{size[1]}")
            found += [f"{name} at {size}: {fault}" for fault in faults_of(tablet.page)]
    assert not found, "\n".join(found)


def test_screens_before_a_pin_can_be_read_and_pressed(tablet: Tablet) -> None:
    set_text(tablet, 200)
    tablet.lock()
    for name in (CADRE, None):
        tablet.keep_picture(f"sight-unlock-{name is None}")
        assert faults_of(tablet.page) == []
        if name:
            tablet.page.get_by_role("button", name=name).or_(tablet.page.locator(".who")).first.click()
    tablet.unlock()
