"""A child's page in a real Chromium: five seconds, zones and zoom, the NIK, what happened, and
paper. Each view is looked at by axe, at a desk and on a phone, and kept as a picture.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import text

from server.review import Scope, follow_ups
from server.sync import server_edits
from tests.browser._window import Window, served
from tests.server._district import Databases, District
from tests.server.web._clinic import DAYS, Clinic

pytestmark = pytest.mark.browser
NIK = "6402065001250012"


@dataclass
class Site:
    """A served clinic with one child to whom much has happened and one on whom tablets disagree."""

    district: District
    url: str
    username: str
    child: str
    disputed: str


@pytest.fixture(scope="module")
def site(sqlite_databases: Databases) -> Iterator[Site]:
    with District.opened(sqlite_databases, cookie_secure=False) as district:
        clinic = Clinic.opened(district)
        child = much_happened(clinic)
        disputed = clinic.disputed_child()
        username = clinic.person().username
        with served(district) as url:
            yield Site(district, url, username, child, disputed)


def much_happened(clinic: Clinic) -> str:
    """Give a child that was measured for a year, measured again, given PMT, edited, and of whom one change was set aside."""
    child = clinic.child(
        "Anak Contoh Dengan Nama Yang Cukup Panjang",
        haz=-2.5,
        waz=-2.9,
        days=DAYS,
        nik={"nik": NIK},
        parents={"mother": "Ibu Contoh", "father": "Bapak Contoh", "phone": "081200000000"},
        home={"address": "Jalan Contoh 1", "rt": "01", "rw": "02", "village": "64.02.06.1001"},
        family={"krs": True, "source": "BKKBN", "valid_until": "2025-12-31"},
    )
    clinic.district.clock.advance(hours=1)
    clinic.first.measure(child, DAYS[-1], source="staff", weight_g=7400, length_mm=716)
    clinic.first.edit_child(child, parents={"mother": "Ibu Contoh", "phone": "081200000001"})
    clinic.first.measure(child, "2026-03-04", weight_g=74)
    clinic.first.sync_until_quiet()
    hub, scope, now = (
        clinic.district.hub,
        Scope("health_centre", clinic.centre, True),
        clinic.district.clock.now,
    )
    begun = {"starts_on": "2026-03-05", "weeks": 8, "reason": "wasted", "funds": "apbd"}
    server_edits.decide(
        hub, lambda s: follow_ups.course(s, hub, scope, child, begun, author="operator", now=now)
    )
    return child


@pytest.fixture
def window(site: Site, browser: Browser, pictures: Path) -> Iterator[Window]:
    """Give a window of somebody of the health centre."""
    with Window.opened(browser, site.url, pictures) as opened:
        opened.sign_in(site.username)
        yield opened


def look(window: Window, site: Site, name: str) -> None:
    """Look at a page."""
    window.look(name)


def glance(page: Page) -> str:
    return " ".join(page.locator(".glance").inner_text().split())


def test_midwife_sees_what_is_wrong_since_when_and_what_to_do(window: Window, site: Site) -> None:
    page = window.page
    page.goto(f"/anak/{site.child}")
    told = glance(page)
    for words in ("Pendek", "5 Apr 2025", "Diukur ulang", "Pemantauan PMT mingguan"):
        assert words in told
    assert page.locator(".glance").bounding_box()["y"] < 400  # type: ignore[index]  # it is in sight
    expect(page.get_by_text("Persetujuan belum tercatat.")).to_be_visible()
    expect(page.get_by_role("link", name="081200000001")).to_have_attribute("href", "tel:081200000001")
    look(window, site, "child")


def test_zones_and_zoom_are_chosen_one_by_one_and_named(window: Window, site: Site) -> None:
    page = window.page
    page.goto(f"/anak/{site.child}")
    chart = page.get_by_role("img", name="Berat menurut umur")
    expect(chart.locator(".zone")).to_have_count(0)
    page.get_by_role("link", name="Zona seperti KMS").click()
    expect(chart.locator(".zone")).to_have_count(4)
    expect(chart.locator(".mark.staff")).to_have_count(1)
    red = chart.locator(".red-line")
    assert red.evaluate("e => getComputedStyle(e).stroke") == "rgb(179, 19, 31)"
    assert red.evaluate("e => getComputedStyle(e).fill") == "none"
    expect(page.get_by_text("di bawah garis merah (BGM)")).to_be_visible()
    page.get_by_role("link", name="Dekatkan ke umur anak").click()
    expect(chart.locator(".zone")).to_have_count(4)
    look(window, site, "child-kms")
    page.get_by_role("link", name="Garis SD").click()
    expect(chart.locator(".zone")).to_have_count(0)


def test_both_values_are_drawn_where_tablets_disagree(window: Window, site: Site) -> None:
    window.page.goto(f"/anak/{site.disputed}?grafik=kms-dekat")
    chart = window.page.get_by_role("img", name="Berat menurut umur")
    expect(chart.locator(".mark.disputed")).to_have_count(2)
    expect(chart.locator(".join")).to_have_count(1)
    look(window, site, "child-disputed")


def test_nik_is_unmasked_by_a_button_and_the_timeline_tells_who_did(window: Window, site: Site) -> None:
    page = window.page
    page.goto(f"/anak/{site.child}")
    expect(page.get_by_text(NIK)).to_have_count(0)
    page.get_by_role("button", name="Tampilkan NIK").click()
    expect(page.locator(".nik")).to_have_text(NIK)
    assert NIK not in page.url
    look(window, site, "child-nik")
    page.goto(f"/anak/{site.child}?riwayat=dilihat#riwayat")
    expect(page.get_by_text(NIK)).to_have_count(0)
    expect(page.get_by_role("listitem").filter(has_text="Melihat NIK lengkap")).to_contain_text(
        "Petugas Contoh"
    )
    found = text("SELECT details FROM audit_entry WHERE action = 'nik.unmasked'")
    assert [site.child in row.details for row in site.district.rows(found)] == [True]


def test_what_happened_is_filtered_and_paged_without_scripts(window: Window, site: Site) -> None:
    page = window.page
    page.goto(f"/anak/{site.child}")
    filters = page.get_by_role("navigation", name="Saring riwayat")
    filters.get_by_role("link", name="Perbedaan").click()
    expect(page.locator(".event")).to_have_count(1)
    expect(page.locator(".event")).to_contain_text("Berat badan (tertulis 74)")
    expect(page.locator(".event")).to_contain_text("menunggu puskesmas")
    filters.get_by_role("link", name="Data anak").click()
    expect(page.locator(".event").first).to_contain_text("Diubah: Orang tua")
    look(window, site, "child-timeline-data")
    filters.get_by_role("link", name="Semua").click()
    page.get_by_role("link", name="Lebih lama").click()
    expect(page.locator(".event").last).to_contain_text("Didaftarkan")


def test_sheet_for_paper_has_two_charts_a_page_and_says_whose_they_are(window: Window, site: Site) -> None:
    page = window.page
    page.goto(f"/anak/{site.child}?grafik=kms")
    page.get_by_role("link", name="Cetak").click()
    look(window, site, "child-paper-on-screen")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 703, "height": 1032})  # A4 less its margins
    expect(page.get_by_role("banner")).to_be_hidden()
    expect(page.get_by_text("Ctrl + P")).to_be_hidden()
    halves = page.locator(".half")
    expect(halves).to_have_count(4)
    for number in range(4):
        expect(halves.nth(number).locator(".whose")).to_contain_text("Anak Contoh")
        box, key = halves.nth(number).bounding_box(), halves.nth(number).locator(".zone-key").bounding_box()
        assert box is not None
        assert key is not None
        assert box["height"] <= 1032 / 2
        assert key["y"] + key["height"] <= box["y"] + box["height"]  # nothing is cut off
    page.screenshot(path=window.pictures / "child-paper.png", full_page=True)
    page.pdf(path=window.pictures / "child-paper.pdf", prefer_css_page_size=True)
    page.go_back()
    page.emulate_media(media="print")
    expect(page.locator("#riwayat")).to_be_hidden()
    expect(page.get_by_role("img", name="Berat menurut umur")).to_be_visible()
