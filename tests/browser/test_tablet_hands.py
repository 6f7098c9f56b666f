"""Many hands and little room: wrong PINs cost time, a tablet that nobody touches locks itself and keeps what was typed, a
full device is told of before anything is lost.
"""

import re
from typing import Final

import pytest
from playwright.sync_api import expect

from tests.browser._tablets import Site
from tests.faults._running import wait_until

pytestmark = pytest.mark.browser

WRONG = "385027"
HELD_UP = """async ([file, name, method]) => {
    const { [name]: { prototype } } = await import(`/tablet-app/${file}`);
    const whole = prototype[method];
    const letGo = new Promise((resolve) => { window.letGo = resolve; });
    prototype[method] = async function (...given) {
        prototype[method] = whole;
        document.body.dataset.heldUp = "yes";
        await letGo;
        return whole.apply(this, given);
    };
}"""
"""Let a method of the app take until `letGo()`, once: a slow device. The body tells when it was called."""


@pytest.fixture(scope="module")
def site(site: Site) -> Site:
    site.children("Anak Contoh 1", "Anak Contoh 2", "Anak Contoh 3")
    return site


def test_wrong_pins_cost_time_and_a_reload_does_not_help(site: Site) -> None:
    with site.tablet("pins") as tablet:
        tablet.lock()
        tablet.stop_clock()
        for _ in range(5):
            tablet.unlock(pin=WRONG)
            expect(tablet.page.get_by_text("PIN salah.")).to_be_visible()
            tablet.page.locator(".unlock .notice").evaluate("(told) => told.remove()")
        tablet.unlock()
        expect(tablet.page.get_by_role("alert")).to_have_text(re.compile(r"Tunggu \d+ detik"))
        tablet.page.reload()
        tablet.unlock()
        expect(tablet.page.get_by_role("alert")).to_have_text(re.compile(r"Tunggu \d+ detik"))
        tablet.look("too-many-pins")
        tablet.pass_time(seconds=31)
        tablet.unlock()
        tablet.expect_title("Hari ini")


def test_tablet_that_nobody_touches_locks_itself_and_keeps_the_draft(site: Site) -> None:
    with site.tablet("idle") as tablet:
        tablet.stop_clock()
        tablet.unlock()
        tablet.begin("Anak Contoh 1")
        tablet.type("9,1", "70,4")
        tablet.page.get_by_label("Catatan").fill("Rewel")
        wait_until(lambda: tablet.draft().get("note") == "Rewel", "the draft is on the disk")
        tablet.pass_time(seconds=5 * 60 + 15)  # it looks every quarter of a minute
        expect(tablet.page.locator(".unlock")).to_be_visible()
        expect(tablet.page.get_by_text("Anak Contoh 1")).to_have_count(0)
        tablet.unlock()
        tablet.expect_title("Anak Contoh 1")
        expect(tablet.page.locator("input[name=weight_g]")).to_have_value("9,1")
        expect(tablet.page.locator("input[name=length_mm]")).to_have_value("70,4")
        expect(tablet.page.get_by_label("Catatan")).to_have_value("Rewel")
        tablet.save()
        site.check_agreement(tablet)


def test_slow_device_shows_the_screen_that_was_asked_for_last_and_draws_it_once(site: Site) -> None:
    with site.tablet("slow") as tablet:
        page = tablet.page
        tablet.lock()
        page.evaluate(HELD_UP, ["store/tablet.js", "Tablet", "tidy"])
        tablet.unlock()
        expect(page.locator("body[data-held-up]")).to_have_count(1)
        page.locator("h1").evaluate("(heading) => { heading.dataset.old = 'yes'; }")
        tablet.go("baru")
        expect(page.locator("h1[data-old]")).to_have_count(0)
        expect(page.locator(".unlock")).to_be_visible()  # nobody types into what is drawn anew
        page.evaluate("letGo()")
        page.get_by_label("Nama anak").fill("Anak Baru Contoh")
        tablet.go("hari-ini")
        tablet.expect_title("Hari ini")

        page.evaluate(HELD_UP, ["sync/replica.js", "Replica", "open"])
        tablet.go("baru")
        tablet.go("lainnya")
        tablet.expect_title("Lainnya")
        page.evaluate("letGo()")
        page.evaluate("new Promise((resolve) => setTimeout(resolve))")
        tablet.expect_title("Lainnya")


COUNT_ENGINES: Final = """async () => {
    const { Engine } = await import("/tablet-app/sync/engine.js");
    const listen = Engine.prototype.listen;
    window.engines = 0;
    Engine.prototype.listen = function (...given) { window.engines += 1; return listen.apply(this, given); };
}"""


def test_tap_counts_though_the_screen_is_drawn_anew_under_the_finger(site: Site) -> None:
    with site.tablet("taps") as tablet:
        tablet.go("lainnya")
        link = tablet.page.locator("main a[href='#/bantuan']").first
        link.hover()
        tablet.page.mouse.down()
        link.evaluate("(link) => link.replaceWith(link.cloneNode(true))")
        tablet.page.mouse.up()
        tablet.page.wait_for_url("**/tablet-app/#/bantuan")


def test_second_pin_while_the_tablet_opens_does_not_open_it_twice(site: Site) -> None:
    with site.tablet("eager") as tablet:
        page = tablet.page
        tablet.lock()
        page.evaluate(COUNT_ENGINES)
        page.evaluate(HELD_UP, ["store/tablet.js", "Tablet", "tidy"])
        tablet.unlock()
        expect(page.get_by_text("Membuka …")).to_be_visible()
        expect(page.locator("body[data-held-up]")).to_have_count(1)
        tablet.unlock()
        tablet.unlock(pin=WRONG)
        page.evaluate("letGo()")
        tablet.expect_title("Hari ini")
        assert page.evaluate("window.engines") == 1
        tablet.measure("Anak Contoh 3", "9,1")


def test_full_device_is_told_of_and_nothing_is_called_saved(site: Site) -> None:
    with site.tablet("full") as tablet:
        tablet.switch_off()
        tablet.switch_on(line=False)
        tablet.set_room(1)  # the browser asks itself once, and then believes it for half a minute
        tablet.unlock()
        expect(tablet.page.get_by_text("Memori tablet hampir penuh.")).to_be_visible()  # before it hurts
        tablet.begin("Anak Contoh 2")
        with tablet.page.expect_console_message(
            lambda told: "QuotaExceeded" in told.text
        ):  # not even a draft
            tablet.type("9,4")
        expect(tablet.page.get_by_text("Isian ini belum dijaga sampai Anda menyimpannya")).to_be_visible()
        tablet.page.get_by_role("button", name="Simpan", exact=True).click()
        expect(tablet.page.get_by_role("alert")).to_contain_text("BELUM tersimpan: memori tablet penuh")
        tablet.look("full")
        assert tablet.log() == []
        tablet.set_room(None)
        tablet.measure("Anak Contoh 2", "9,4")
        assert tablet.log() == [(1, "waiting")]
        tablet.forgive("QuotaExceeded")
