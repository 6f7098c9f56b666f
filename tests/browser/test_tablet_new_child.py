"""A new child on the tablet: what is missing or wrong is said at its field, one who may be on the list already is asked
about while it is typed, and it takes few taps.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import pytest
from playwright.sync_api import Locator, expect

from tests.browser._tablets import HAND, Site, Tablet

pytestmark = pytest.mark.browser

SAVE: Final = "Simpan, lalu ukur"
MOST_TAPS: Final = 25


@pytest.fixture(scope="module")
def site(site: Site) -> Site:
    site.children("Anak Terdaftar")
    return site


@pytest.fixture(scope="module")
def tablet(site: Site) -> Iterator[Tablet]:
    with site.tablet("new children") as opened:
        yield opened


@pytest.fixture(autouse=True)
def begun(tablet: Tablet) -> None:
    """Open an empty form."""
    tablet.go("hari-ini")
    tablet.page.evaluate("""async () => {
        const { Database } = await import("/tablet-app/store/database.js");
        const database = await Database.open("posyandu");
        await database.commit([["desk", "draft/new-child", undefined]]);
        database.close();
    }""")
    tablet.page.reload()
    tablet.unlock()
    tablet.go("baru")
    tablet.expect_title("Anak baru")


def save(tablet: Tablet) -> None:
    tablet.page.get_by_role("button", name=SAVE).click()


def error_of(tablet: Tablet, control: Locator) -> Locator:
    """Give the text that is shown at a field as wrong."""
    return tablet.page.locator(".field.wrong", has=control).locator(".error")


def expect_asked(control: Locator, error: Locator, words: str) -> None:
    """The first that is wrong: said, in sight, and in focus."""
    expect(error).to_contain_text(words)
    expect(error).to_be_in_viewport()
    expect(control).to_be_focused()


def test_each_of_the_four_that_is_missing_is_asked_for_by_name(tablet: Tablet) -> None:
    page = tablet.page
    name, mother = page.get_by_label("Nama anak"), page.get_by_label("Nama ibu")
    save(tablet)
    expect_asked(name, error_of(tablet, name), "Nama anak belum diisi.")
    expect(name).to_have_attribute("aria-invalid", "true")
    expect(name).to_have_accessible_description("Nama anak belum diisi.")
    expect(error_of(tablet, page.get_by_role("button", name="Laki-laki"))).to_contain_text(
        "Jenis kelamin belum dipilih"
    )
    expect(error_of(tablet, page.get_by_label("Tanggal lahir"))).to_contain_text("Tanggal lahir belum diisi")
    expect(error_of(tablet, mother)).to_contain_text("Nama ibu belum diisi")
    for percent in (150, 200, 100):
        tablet.set_text_size(percent)
        expect(error_of(tablet, name)).to_be_visible()
        assert page.evaluate("document.querySelector('main').scrollWidth") <= HAND[0]

    name.fill("Anak Bernama")
    expect(name).not_to_have_attribute("aria-invalid", "true")
    page.get_by_role("button", name="Tanggal lahir tidak tahu").click()
    mother.fill("Ibu Bernama (contoh)")
    save(tablet)
    boy = page.get_by_role("button", name="Laki-laki")
    expect_asked(boy, error_of(tablet, boy), "Jenis kelamin belum dipilih")
    boy.click()
    expect(page.locator(".error")).to_have_count(0)
    save(tablet)
    tablet.expect_title("Anak Bernama")


def test_wrong_nik_is_shown_where_it_was_typed(tablet: Tablet) -> None:
    page = tablet.page
    fill(tablet, "Anak Bernomor", "2026-01-05", mother="Ibu Bernomor (contoh)")
    page.get_by_text("Data lain").click()
    nik = page.get_by_label("NIK")
    nik.fill("1234567890123456")
    page.get_by_text("Data lain").click()  # folded away
    save(tablet)
    expect_asked(nik, error_of(tablet, nik), "NIK 1234567890123456 bukan NIK yang benar")
    nik.fill("")
    expect(page.locator(".error")).to_have_count(0)


def test_older_than_five_is_asked_about_and_what_cannot_be_is_refused(tablet: Tablet, site: Site) -> None:
    page, born = tablet.page, tablet.page.get_by_label("Tanggal lahir")
    fill(tablet, "Anak Besar", "2010-01-05", mother="Ibu Besar (contoh)")
    for day, words in (
        ((site.today + timedelta(days=1)).isoformat(), "sesudah tanggal posyandu"),
        ("0026-01-05", "bukan anak lagi"),
    ):
        born.fill(day)
        save(tablet)
        expect_asked(born, error_of(tablet, born), words)
    born.fill("")
    born.press_sequentially("1")
    save(tablet)
    expect_asked(born, error_of(tablet, born), "Tanggal ini belum lengkap atau tidak ada")

    born.fill((site.today - timedelta(days=6 * 366 + 280)).isoformat())
    expect(page.get_by_text("lebih dari lima tahun")).to_be_visible()
    save(tablet)
    yes = page.get_by_role("button", name="Ya, benar")
    expect(yes).to_be_focused()
    expect(yes).to_be_in_viewport()
    tablet.expect_title("Anak baru")
    yes.click()
    save(tablet)
    tablet.expect_title("Anak Besar")


def test_child_who_is_on_the_list_already_is_asked_about_offline_while_it_is_typed(
    tablet: Tablet, site: Site
) -> None:
    page = tablet.page
    tablet.set_line(there=False)
    fill(tablet, "Melati Percobaan", "2025-03-04", mother="Ibu Cempaka (contoh)")
    save(tablet)
    tablet.expect_title("Melati Percobaan")

    tablet.go("baru")
    page.get_by_label("Nama anak").fill("Melati Percobaan")
    expect(page.get_by_text("Sudah ada?")).to_be_visible()  # of a name alone it is only shown
    fill(tablet, "Percobaan Melatie", "2025-04-03", mother="")
    expect(page.get_by_text("Sudah ada?")).to_have_count(0)
    page.get_by_label("Nama ibu").fill("Cempaka Contoh")
    asked = page.locator("[data-question]")
    expect(asked).to_contain_text("Melati Percobaan, Ibu Cempaka (contoh), lahir 4 Maret 2025")
    save(tablet)
    expect(page.get_by_text("Jawab dulu pertanyaan di atas.")).to_be_visible()
    expect(asked).to_be_in_viewport()
    page.get_by_role("button", name="Bukan, anak lain").click()
    expect(asked).to_have_count(0)
    tablet.lock()
    tablet.unlock()
    tablet.go("baru")
    expect(page.get_by_label("Nama ibu")).to_have_value("Cempaka Contoh")
    expect(asked).to_have_count(0)  # it is not asked again
    page.get_by_label("Nama ibu").fill("Cempaka Contoh II")
    save(tablet)
    tablet.expect_title("Percobaan Melatie")

    tablet.go("baru")
    fill(tablet, "Melati Percobaan", "2025-03-04", mother="Ibu Cempaka (contoh)")
    asked.filter(has_text="4 Maret 2025").get_by_role("link", name="Buka anak ini").click()
    tablet.expect_title("Melati Percobaan")
    tablet.set_line(there=True)


def test_new_child_takes_few_taps(tablet: Tablet, site: Site) -> None:
    tablet.go("hari-ini")
    page, born, taps = tablet.page, site.today - timedelta(days=400), Taps()
    taps.tap(page.get_by_role("link", name="+ Anak baru"))
    taps.write(page.get_by_label("Nama anak"), "Kenanga Dini")
    taps.tap(page.get_by_role("button", name="Perempuan"))
    taps.tap(page.get_by_role("button", name=str(born.year), exact=True))
    month = page.get_by_role("group", name="Bulan lahir").get_by_role("button").nth(born.month - 1)
    taps.tap(month)
    taps.tap(
        page.get_by_role("group", name="Hari lahir").get_by_role("button", name=str(born.day), exact=True)
    )
    expect(page.get_by_label("Tanggal lahir")).to_have_value(born.isoformat())
    taps.write(page.get_by_label("Nama ibu"), "Dewi")
    taps.tap(page.get_by_role("button", name=SAVE))
    tablet.expect_title("Kenanga Dini")
    assert taps.count <= MOST_TAPS


@dataclass
class Taps:
    """Counts taps: on a control, and on each key of the device's keyboard."""

    count: int = 0

    def tap(self, control: Locator) -> None:
        control.tap()
        self.count += 1

    def write(self, control: Locator, text: str) -> None:
        self.tap(control)
        control.press_sequentially(text)
        self.count += len(text)


def fill(tablet: Tablet, name: str, born_on: str, *, mother: str) -> None:
    """Fill in the four that are needed; a girl."""
    page = tablet.page
    page.get_by_label("Nama anak").fill(name)
    page.get_by_role("button", name="Perempuan").click()
    page.get_by_label("Tanggal lahir").fill(born_on)
    page.get_by_label("Nama ibu").fill(mother)
