"""The browser deletes the app's data in mid-morning, at any moment: one screen tells the truth and hands out what is in
memory, and all of it comes back.
"""

from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import expect

from tests.browser._tablets import OPENED, Site, Tablet
from tests.faults._running import wait_until

pytestmark = pytest.mark.browser

GONE: Final = "HP ini menghapus data aplikasi"
NEVER_SAID: Final = ("Muat ulang", "Error", "IndexedDB", "tetap aman")
WRITE: Final = """async (tablet) => {
    const [child] = tablet.replica.children();
    const form = await tablet.replica.open("measurement", { child, measured_on: "2026-01-05", source: "cadre" });
    await tablet.write(form, { weight: { weight_g: 7000, oedema: "n" } });
}"""


@pytest.fixture
def site(new_site: Site) -> Site:
    return new_site


MORNING: Final = (
    ("on the list", 0, ""),
    ("in a form", 0, "9,1"),
    ("after the first save", 1, ""),
    ("on the list again", 1, ""),
    ("in the next form", 1, "9,4"),
    ("after the second save", 2, ""),
    ("on another screen", 2, ""),
    ("while it is locked", 2, ""),
)
"""The moments of a morning: how many records are saved by then, and what is typed and not saved."""


def go_on(tablet: Tablet, when: str, one: str, other: str) -> None:
    """Do what leads to a moment of the morning from the one before."""
    match when:
        case "in a form":
            start(tablet, one, "9,1")
        case "in the next form":
            start(tablet, other, "9,4")
        case "after the first save" | "after the second save":
            tablet.save()
        case "on the list" | "on the list again":
            tablet.go("hari-ini")
        case "on another screen":
            tablet.go("lainnya")
            tablet.expect_title("Lainnya")
        case "while it is locked":
            tablet.lock()


def start(tablet: Tablet, name: str, weight: str) -> None:
    tablet.begin(name)
    tablet.type(weight)


def test_all_comes_back_whenever_the_browser_deletes_the_data(site: Site, tmp_path: Path) -> None:
    names = [f"Anak Pagi {number}" for number in range(2 * len(MORNING))]
    site.children(*names)
    before, back = site.measurements(), 0
    with site.tablet("gone") as tablet:
        for number, (when, saved, typed) in enumerate(MORNING):
            tablet.set_line(there=False)
            for moment, *_ in MORNING[: number + 1]:
                go_on(tablet, moment, *names[2 * number : 2 * number + 2])
            tablet.forget_storage()
            tablet.expect_title(GONE)
            said = tablet.page.locator("body").inner_text()
            assert not [words for words in NEVER_SAID if words in said], when
            if typed:
                expect(tablet.page.get_by_text(typed)).to_be_visible()
            files = [hand_out(tablet, saved, tmp_path / f"{number}.posyandu")] if saved else []
            tablet.switch_off()  # with a line it would send what is in memory
            tablet.switch_on()
            site.enrol(tablet)
            tablet.go("salinan")
            tablet.give_files(*files)
            back += saved
            wait_for(site, before + back, when)
    assert back == sum(saved for _, saved, _ in MORNING) == 9


def wait_for(site: Site, measurements: int, when: str) -> None:
    wait_until(lambda: site.measurements() == measurements, f"all is back that was saved {when}")


def hand_out(tablet: Tablet, count: int, target: Path) -> Path:
    """Save what is in memory with the screen's one button."""
    expect(tablet.page.get_by_text(f"{count} catatan yang belum terkirim")).to_be_visible()
    expect(tablet.page.get_by_role("button")).to_have_count(1)
    tablet.take_file("Simpan cadangan sekarang", target)
    expect(tablet.page.get_by_text("Sekarang aplikasi boleh ditutup.")).to_be_visible()
    return target


def test_records_in_memory_go_to_the_server_by_themselves_when_a_line_comes(site: Site) -> None:
    site.children("Anak Kabar")
    before = site.measurements()
    with site.tablet("heard") as tablet:
        tablet.set_line(there=False)
        tablet.measure("Anak Kabar", "9,1")
        tablet.forget_storage()
        tablet.expect_title(GONE)
        tablet.look("storage-gone-with-record")
        tablet.set_line(there=True)
        expect(tablet.page.get_by_text("Semua 1 catatan sudah sampai di server.")).to_be_visible()
        assert site.measurements() == before + 1


def test_window_that_another_one_overtook_says_so_instead_of_an_error(site: Site) -> None:
    site.children("Anak Dua Jendela")
    with site.tablet("twice") as tablet:
        tablet.set_line(there=False)
        start(tablet, "Anak Dua Jendela", "9,1")
        tablet.page.evaluate(
            f"async ([cadre, pin]) => {{ {OPENED.format(WRITE)} }}", [tablet.cadre, tablet.pin]
        )
        tablet.page.get_by_role("button", name="Simpan", exact=True).click()
        tablet.expect_title("Aplikasi terbuka dua kali")
        expect(tablet.page.get_by_text("9,1")).to_be_visible()
        tablet.look("open-twice")


def test_errors_that_nobody_expected_are_told_and_the_screen_can_be_opened_again(site: Site) -> None:
    site.children("Anak Galat")
    with site.tablet("faulty") as tablet:
        page = tablet.page
        for fault in (
            "document.querySelector('h1').addEventListener('click', () => { throw new Error('contoh'); })",
            "document.querySelector('h1').addEventListener('click', async () => { throw new Error('contoh'); })",
        ):
            page.evaluate(fault)
            page.locator("h1").click()
            told = page.get_by_role("alert")
            expect(told).to_contain_text("Ada kesalahan di aplikasi. Yang sudah tersimpan tetap aman.")
            expect(told.get_by_text("contoh")).to_be_hidden()  # for the health centre, behind a tap
            tablet.look("unexpected")
            page.locator("h1").evaluate("(heading) => { heading.dataset.old = 'yes'; }")
            told.get_by_role("button", name="Buka lagi layar ini").click()
            expect(told).to_have_count(0)
            expect(page.locator("h1[data-old]")).to_have_count(0)
            tablet.expect_title("Hari ini")
        tablet.measure("Anak Galat", "9,1")
        tablet.forgive("contoh")
