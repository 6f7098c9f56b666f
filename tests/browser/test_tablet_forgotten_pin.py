"""A lone cadre who forgot her PIN chooses a new one with a code of the health centre; nothing on the tablet is lost."""

import pytest
from playwright.sync_api import expect

from server.accounts import recovery
from tests.browser._tablets import Site, Tablet

pytestmark = pytest.mark.browser

NEW_PIN = "580316"
WITHOUT_BOX = """async () => {
    const { Database } = await import("/tablet-app/store/database.js");
    const database = await Database.open("posyandu");
    await database.commit([["facts", "recovery", undefined]]);
    database.close();
}"""
"""As a tablet that an earlier version enrolled."""


@pytest.fixture
def site(new_site: Site) -> Site:
    new_site.children("Anak Lupa")
    return new_site


def code_for(site: Site, tablet: Tablet) -> str:
    district = site.district
    with district.hub.database.transaction() as session:
        return recovery.make_pin_code(
            session, district.hub, tablet.id, actor="operator", now=district.clock.now
        )


def ask(tablet: Tablet, code: str) -> None:
    """Type a code and a new PIN."""
    tablet.page.get_by_label("Kode dari puskesmas").fill(code)
    tablet.page.get_by_label("PIN", exact=True).fill(NEW_PIN)
    tablet.page.get_by_label("PIN sekali lagi").fill(NEW_PIN)
    tablet.page.get_by_role("button", name="Pakai PIN baru").click()


def test_cadre_chooses_a_new_pin_and_what_was_not_sent_is_still_there(site: Site) -> None:
    with site.tablet("forgotten") as tablet:
        tablet.set_line(there=False)
        tablet.measure("Anak Lupa", "9,1")
        tablet.lock()
        code = code_for(site, tablet)
        tablet.page.get_by_role("button", name="Lupa PIN?").click()
        tablet.look("forgotten-pin")
        ask(tablet, code)
        expect(tablet.page.get_by_role("alert")).to_contain_text("Tidak ada sinyal ke server.")
        tablet.set_line(there=True)
        ask(tablet, "AAAA-AAAA-AA")
        expect(tablet.page.get_by_role("alert")).to_contain_text("Kode lupa PIN salah")
        ask(tablet, code)
        tablet.expect_title("Hari ini")
        old, tablet.pin = tablet.pin, NEW_PIN
        assert [counter for counter, _ in tablet.log()] == [1]
        tablet.lock()
        tablet.unlock(pin=old)
        expect(tablet.page.get_by_text("PIN salah.")).to_be_visible()
        tablet.unlock()
        site.check_agreement(tablet)
        tablet.forgive("403")


def test_installed_tablet_keeps_a_box_from_its_next_unlocking_on(site: Site) -> None:
    with site.tablet("installed") as tablet:
        tablet.lock()
        tablet.page.evaluate(WITHOUT_BOX)
        tablet.page.reload()
        expect(tablet.page.get_by_role("button", name="Lupa PIN?")).to_have_count(0)
        tablet.unlock()
        tablet.expect_title("Hari ini")
        tablet.lock()
        expect(tablet.page.get_by_role("button", name="Lupa PIN?")).to_be_visible()
