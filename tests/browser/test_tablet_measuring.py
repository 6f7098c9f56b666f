"""The measuring screen in a hurried hand: few taps, no comma to type, and the field in use always in sight."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Locator, expect

from tests.browser._tablets import HAND, Site, Tablet
from tests.faults._running import wait_until

pytestmark = pytest.mark.browser

NEXT, FIRST, CORRECTED = "Anak Contoh 2", "Anak Contoh 1", "Anak Contoh 3"
SIZES = (HAND, (360, 640), (740, 360), (800, 1280), (1280, 800))
IN_SIGHT = """(input) => {
    const box = input.getBoundingClientRect();
    const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
    const points = [[x, y], [x, box.top + 3], [x, box.bottom - 3], [box.left + 3, y], [box.right - 3, y]];
    return points.every((point) => document.elementFromPoint(...point) === input);
}"""


@pytest.fixture(scope="module")
def site(site: Site) -> Site:
    site.children(FIRST, NEXT, CORRECTED, "Anak Contoh 4")
    return site


@pytest.fixture(scope="module")
def tablet(site: Site) -> Iterator[Tablet]:
    with site.tablet("measuring") as opened:
        yield opened


@dataclass
class Finger:
    """Taps on a tablet, counted."""

    tablet: Tablet
    taps: int = 0

    def tap(self, place: Locator) -> None:
        place.tap()
        self.taps += 1

    def keys(self, keys: str) -> None:
        """Tap keys of the number pad; `>` goes on to the next field."""
        for key in keys:
            name = {">": "Lanjut", ",": "Koma", "⌫": "Hapus angka"}.get(key, key)
            self.tap(self.tablet.page.locator(".pad").get_by_role("button", name=name, exact=True))


def values(tablet: Tablet) -> list[str]:
    return [box.input_value() for box in tablet.page.locator(".figures input").all()]


def test_next_child_with_three_values_takes_twelve_taps(tablet: Tablet) -> None:
    page, finger = tablet.page, Finger(tablet)
    tablet.find(NEXT).locator("button").first.click()  # she is here
    tablet.measure(FIRST, "8,1", "70")
    finger.tap(page.get_by_role("link", name="Berikutnya"))
    finger.keys("98>765>142")
    assert values(tablet) == ["9,8", "76,5", "14,2", ""]
    finger.tap(page.get_by_role("button", name="Simpan", exact=True))
    expect(page.locator(".saved")).to_be_visible()
    expect(page.get_by_text("9,8 kg · 76,5 cm")).to_be_visible()
    assert finger.taps <= 12


def test_correction_takes_six_taps(tablet: Tablet) -> None:
    page, finger = tablet.page, Finger(tablet)
    tablet.measure(CORRECTED, "9,1", "75")
    tablet.go("hari-ini")
    finger.tap(page.locator(".tabs").get_by_role("button", name="Sudah"))
    finger.tap(page.locator("ul.children").get_by_role("link", name=CORRECTED).first)
    finger.tap(page.get_by_role("link", name="Ukur", exact=True))
    finger.keys("98")
    assert values(tablet) == ["9,8", "75", "", ""]
    finger.tap(page.get_by_role("button", name="Simpan", exact=True))
    expect(page.locator(".saved")).to_be_visible()
    assert finger.taps <= 6


def test_comma_is_implied_only_where_the_value_asks_for_one(tablet: Tablet) -> None:
    page, finger = tablet.page, Finger(tablet)
    tablet.begin("Anak Contoh 4")
    weight = page.locator("input[name=weight_g]")
    for keys, shown in (
        ("98", "9,8"),
        ("⌫", "9"),
        ("85", "9,85"),
        ("⌫⌫⌫12", "12"),
        (",", "12,"),
        ("3", "12,3"),
    ):
        finger.keys(keys)
        expect(weight).to_have_value(shown)
    finger.keys(">765")
    page.keyboard.press("Enter")
    expect(page.locator("input[name=muac_mm]")).to_be_focused()
    weight.tap()
    finger.keys("105")  # typing replaces what stands there
    assert values(tablet)[:2] == ["10,5", "76,5"]


def test_field_in_use_stays_in_sight_with_large_text_and_on_every_screen(tablet: Tablet) -> None:
    page = tablet.page
    tablet.go("hari-ini")
    tablet.begin("Anak Contoh 4")
    for size in SIZES:
        page.set_viewport_size({"width": size[0], "height": size[1]})
        for percent in (100, 150, 200):
            page.evaluate(
                "(percent) => { document.documentElement.style.fontSize = `${percent * 1.06}%`; }", percent
            )
            for field in ("weight_g", "head_mm", "length_mm"):
                box = page.locator(f"input[name={field}]")
                box.fill("95" if field == "weight_g" else "7")  # with questions and the verdict shown
                page.locator(".pad").get_by_role("button", name="1", exact=True).tap()
                wait_until_in_sight(box, f"{field} is in sight at {size}, {percent} %")
            save = page.get_by_role("button", name="Simpan", exact=True)
            expect(save).to_be_in_viewport(ratio=1)
            expect(save).to_be_enabled()
            wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, (size, percent)
    page.evaluate("document.documentElement.style.fontSize = ''")
    page.set_viewport_size({"width": HAND[0], "height": HAND[1]})


def wait_until_in_sight(box: Locator, what: str) -> None:
    """Wait, as a dock that grows moves the form a moment later."""
    wait_until(lambda: box.evaluate(IN_SIGHT), what)


def test_first_question_and_its_button_stand_above_the_pad(tablet: Tablet) -> None:
    page = tablet.page
    tablet.go("hari-ini")
    tablet.begin("Anak Contoh 4")
    tablet.type("95", "74,5", muac_mm="142")
    strip = page.locator(".live-feedback")
    expect(strip.locator(".notice")).to_have_count(1)
    expect(strip.get_by_role("button", name="Pakai")).to_be_in_viewport(ratio=1)
    tablet.look("measuring-asked")
    strip.get_by_role("button", name="lagi").click()
    expect(strip.get_by_role("button", name="Pakai 14,2 cm")).to_be_visible()
    page.get_by_role("button", name="Simpan", exact=True).click()
    expect(page.locator("input[name=weight_g]")).to_be_focused()  # why it is not saved stands above the pad
    expect(page.locator(".saved")).to_have_count(0)


def test_measuring_screen_says_whose_values_are_typed(tablet: Tablet) -> None:
    tablet.add_child("Anak Ibu Contoh", "2025-06-01", boy=True, mother="Ibu Contoh Sari")
    header = tablet.page.locator("header")
    for told in ("Anak Ibu Contoh", "Ibu Contoh Sari", "1 Jun 2025", "laki-laki"):
        expect(header).to_contain_text(told)
