"""A child's calendar on the tablet: what is overdue, a dose recorded and taken back, doses copied from the Buku KIA."""

import pytest
from playwright.sync_api import Locator, expect

from tests.browser._tablets import Site, Tablet

pytestmark = pytest.mark.browser
WHOLE = ((360, 3200), (1280, 3200))
"""Sizes at which the whole list is in view: what the bar at the bottom cuts in two would be too small for axe."""


@pytest.fixture(scope="module")
def site(site: Site) -> Site:
    site.children("Anak Contoh 1", "Anak Contoh 2")
    return site


def dose(tablet: Tablet, name: str) -> Locator:
    return tablet.page.locator(".schedule > li").filter(has=tablet.page.get_by_text(name, exact=True))


def open_schedule(tablet: Tablet, name: str) -> None:
    tablet.open(name)
    tablet.page.get_by_role("link", name="Jadwal anak").click()
    expect(tablet.page.get_by_role("heading", name="Terlambat")).to_be_visible()


def test_a_dose_is_recorded_taken_back_and_arrives(site: Site) -> None:
    with site.tablet("dose") as tablet:
        open_schedule(tablet, "Anak Contoh 1")
        expect(dose(tablet, "DPT-HB-Hib 1")).to_have_class("overdue")
        expect(dose(tablet, "Rotavirus 1")).not_to_be_visible()
        tablet.look("schedule", WHOLE)
        dose(tablet, "DPT-HB-Hib 1").get_by_role("button", name="Diberikan").click()
        expect(dose(tablet, "DPT-HB-Hib 1")).to_contain_text("diberikan")
        dose(tablet, "DPT-HB-Hib 1").get_by_role("button", name="Batalkan").click()
        expect(dose(tablet, "DPT-HB-Hib 1")).to_have_class("overdue")
        dose(tablet, "DPT-HB-Hib 1").get_by_role("button", name="Diberikan").click()
        expect(dose(tablet, "DPT-HB-Hib 1").get_by_role("button", name="Batalkan")).to_be_visible()
        expect(dose(tablet, "DPT-HB-Hib 2").get_by_role("button")).to_have_count(0)  # four weeks later
        assert tablet.find("Anak Contoh 1").get_attribute("class") != "done"  # a vaccine is no measurement
        site.check_agreement(tablet)


def test_dose_on_a_record_that_was_removed_brings_nothing_else_back(site: Site) -> None:
    (child,) = site.children("Anak Dihapus")
    with site.tablet("removed") as tablet:
        page = tablet.page
        tablet.measure("Anak Dihapus", "8,8", "73,1")
        tablet.correct("Anak Dihapus")
        page.get_by_role("button", name="Hapus pengukuran ini").click()
        page.get_by_role("button", name="Hapus", exact=True).click()
        expect(page.get_by_text("dihapus.")).to_be_visible()
        tablet.sync()
        open_schedule(tablet, "Anak Dihapus")
        dose(tablet, "DPT-HB-Hib 1").get_by_role("button", name="Diberikan").click()
        expect(dose(tablet, "DPT-HB-Hib 1")).to_contain_text("diberikan")
        state = tablet.shown()[f"measurements {child} {site.today}/cadre"]
        assert "removal_contested" not in state
        weight = state["set"]["weight"]
        assert (weight[0]["value"] if isinstance(weight, list) else weight)["weight_g"] is None
        tablet.go("pertanyaan")
        expect(page.locator(".conflict")).to_have_count(0)
        site.check_agreement(tablet)


def test_doses_are_copied_from_the_book_with_their_own_days(site: Site) -> None:
    with site.tablet("book") as tablet:
        open_schedule(tablet, "Anak Contoh 2")
        tablet.page.get_by_text("Salin dari Buku KIA").click()
        born_on = tablet.page.locator("input[name=BCG]").get_attribute("min") or ""
        tablet.page.locator("input[name=BCG]").fill(f"{int(born_on[:4]) - 1}{born_on[4:]}")
        tablet.page.get_by_role("button", name="Simpan", exact=True).click()
        expect(tablet.page.get_by_text("Tanggal ini sebelum lahir")).to_be_visible()
        expect(tablet.page.locator("input[name=BCG]")).to_be_focused()
        tablet.page.locator("input[name=BCG]").fill(born_on)
        tablet.lock()
        tablet.unlock()  # what was typed is kept
        open_schedule(tablet, "Anak Contoh 2")
        expect(tablet.page.locator("input[name=BCG]")).to_have_value(born_on)
        tablet.page.locator("input[name=HB0]").fill(born_on)
        tablet.look("schedule-book", WHOLE)
        tablet.page.get_by_role("button", name="Simpan", exact=True).click()
        expect(dose(tablet, "BCG")).to_contain_text("diberikan")
        expect(dose(tablet, "Hepatitis B (HB-0)")).to_contain_text("diberikan")
        site.check_agreement(tablet)
