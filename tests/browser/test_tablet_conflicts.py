"""Data that differs, on the tablet: who wrote what and when, what each would mean, one answer for one visit."""

from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.browser._tablets import CADRE, Site, Tablet

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(site: Site) -> Site:
    site.children("Anak Pertama")
    return site


def measured_twice(site: Site, tablet: Tablet, name: str) -> str:
    """Let two tablets measure a child, weight and length otherwise; give the child's id."""
    (child,) = site.children(name)
    tablet.sync()
    tablet.set_line(there=False)
    tablet.measure(name, "9,1", "70,4")
    site.hand.measure(child, site.today.isoformat(), weight_g=6100, length_mm=712, position="lying")
    site.hand.sync_until_quiet()
    tablet.set_line(there=True)
    tablet.sync()
    tablet.go("pertanyaan")
    return child


def live(tablet: Tablet, record: str, register: str) -> list[Any]:
    """Give the values of a register that the tablet shows."""
    held = tablet.shown()[record]["set"][register]
    return [sibling["value"] for sibling in held] if isinstance(held, list) else [held]


def side(tablet: Tablet, who: str) -> Locator:
    return tablet.page.locator(".conflict .side", has_text=who)


def test_one_visit_is_asked_about_once_with_who_when_and_what_it_would_mean(site: Site) -> None:
    with site.tablet("one visit") as tablet:
        child = measured_twice(site, tablet, "Anak Berbeda")
        page = tablet.page
        expect(page.locator(".conflict")).to_have_count(1)
        expect(page.get_by_role("heading", name="Data berbeda")).to_be_visible()
        expect(page.get_by_text("Sebelumnya,")).to_be_visible()
        mine, its = side(tablet, f"{CADRE}, di tablet ini"), side(tablet, "tablet lain")
        for one, words in ((mine, ("9,1 kg", "70,4 cm")), (its, ("6,1 kg", "71,2 cm", "Gizi buruk"))):
            for text in (*words, "Status gizi bila ini dipakai:", f"{site.today.day} "):
                expect(one).to_contain_text(text)
        for percent in (200, 100):
            tablet.set_text_size(percent)
            tablet.look(f"conflict-{percent}")

        before = len(tablet.log())
        its.get_by_role("button", name="Pakai yang ini").click()
        expect(page.get_by_text("Nilai yang lain tetap tersimpan")).to_be_visible()
        page.get_by_role("button", name="Batal").click()
        assert len(tablet.log()) == before
        mine.get_by_role("button", name="Pakai yang ini").click()
        tablet.look("conflict-asked")
        page.get_by_role("button", name="Ya, pakai ini").click()
        expect(page.locator(".conflict")).to_have_count(0)
        assert len(tablet.log()) == before + 1  # one change for the visit
        site.check_agreement(tablet)
        record = f"measurements {child} {site.today}/cadre"
        assert live(tablet, record, "weight") == [{"weight_g": 9100, "oedema": None}]
        assert live(tablet, record, "length") == [{"length_mm": 704, "position": "lying"}]


def test_values_of_one_visit_can_be_chosen_one_by_one(site: Site) -> None:
    with site.tablet("one by one") as tablet:
        child = measured_twice(site, tablet, "Anak Campur")
        page = tablet.page
        for value, left in (("9,1 kg", 1), ("71,2 cm", 0)):
            if page.get_by_text("Pilih satu per satu").is_visible():
                page.get_by_text("Pilih satu per satu").click()
                row = page.locator(".conflict .value", has_text=value)
            else:
                row = page.locator(".conflict .side", has_text=value)
            row.get_by_role("button", name="Pakai yang ini").click()
            page.get_by_role("button", name="Ya, pakai ini").click()
            expect(page.locator(".conflict")).to_have_count(left)
        site.check_agreement(tablet)
        record = f"measurements {child} {site.today}/cadre"
        assert live(tablet, record, "weight") == [{"weight_g": 9100, "oedema": None}]
        assert live(tablet, record, "length") == [{"length_mm": 712, "position": "lying"}]


def test_form_asks_before_it_decides_what_two_wrote_differently(site: Site) -> None:
    with site.tablet("form decides") as tablet:
        child = measured_twice(site, tablet, "Anak Formulir")
        page, record = tablet.page, f"measurements {child} {site.today}/cadre"
        tablet.correct("Anak Formulir")
        page.locator("input[name=weight_g]").fill("9,4")
        page.get_by_role("button", name="Simpan", exact=True).click()
        expect(page.locator(".dock")).to_contain_text("tidak bisa dibatalkan")
        assert len(live(tablet, record, "weight")) == 2
        page.get_by_role("button", name="Ya, pakai ini").click()
        expect(page.locator(".saved")).to_be_visible()
        expect(page.get_by_role("button", name="Urungkan")).to_have_count(0)
        assert live(tablet, record, "weight") == [{"weight_g": 9400, "oedema": None}]
        site.check_agreement(tablet)


def test_aid_that_two_wrote_down_differently_shows_neither_day(site: Site) -> None:
    (child,) = site.children("Anak Bantuan Ganda")
    rival = site.district.tablet(0, "Tablet lain")
    rival.sync_until_quiet()
    delivery, days = site.district.new_id(), ("2026-10-05", "2026-10-06")
    promised = {"menu": "food", "funds": "genting", "reaches": "child", "starts_on": days[0], "ends_on": None}
    for fake, day in ((site.hand, days[0]), (rival, days[1])):
        form = fake.replica.open_delivery(child, delivery)
        fake.write(form, {"aid": promised, "delivered": {"given_on": day}})
    site.hand.sync_until_quiet()
    rival.sync_until_quiet()
    with site.tablet("aid twice") as tablet:
        tablet.go(f"bantuan-anak/{child}")
        expect(tablet.page.get_by_role("heading", name="Makanan")).to_be_visible()
        given = tablet.page.locator("main .card")
        expect(given).to_contain_text("Data berbeda")
        expect(given.get_by_text("Diberikan")).not_to_contain_text("Oktober")
        tablet.go(f"anak/{child}")
        expect(tablet.page.locator(".conflict .side")).to_have_count(2)
