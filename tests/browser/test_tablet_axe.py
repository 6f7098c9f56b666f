"""Every screen of the tablet app, in both languages, as axe sees it; each language has a test, as each takes long."""

import pytest
from playwright.sync_api import expect

from tests.browser._tablet_screens import SCREENS, busy_child, put_aside
from tests.browser._tablets import APP, CADRE, DESK, HAND, Site, Tablet, code_for, revoke

pytestmark = pytest.mark.browser

WORDS = {
    "id": {
        "more": "Lainnya",
        "lock": "Kunci tablet",
        "code": "Kode pendaftaran",
        "enrol": "Daftarkan tablet ini",
    },
    "en": {"more": "More", "lock": "Lock the tablet", "code": "Enrolment code", "enrol": "Enrol this tablet"},
}


@pytest.fixture
def site(new_site: Site) -> Site:
    new_site.children("Anak Contoh 1", "Anak Contoh 2", "Anak Contoh 3")
    return new_site


def test_every_screen_pleases_axe_in_indonesian(site: Site) -> None:
    child = busy_child(site)
    with site.tablet("screens", enrolled=False) as tablet:
        tablet.look("enrol")
        look_at_first_cadre(site, tablet, "id")
        tablet.let_in_first_cadre()
        begin(site, tablet, child)
        look_at_all(site, tablet, "id", child)


def test_every_screen_pleases_axe_in_english(site: Site) -> None:
    child = busy_child(site)
    with site.tablet("screens") as tablet:
        begin(site, tablet, child)
        tablet.go("lainnya")
        tablet.page.get_by_role("button", name="English").click()
        look_at_all(site, tablet, "en", child)

        revoke(site, tablet)
        tablet.page.reload()
        expect(tablet.page.get_by_text("The health centre revoked this tablet.")).to_be_visible()
        tablet.look("enrol-en", (HAND,))
        look_at_first_cadre(site, tablet, "en")


def begin(site: Site, tablet: Tablet, child: str) -> None:
    """Let a second cadre in, and let the server set a measurement aside."""
    tablet.add_cadre("Bu Lain Contoh", "580316")
    put_aside(site, tablet, child)


def look_at_first_cadre(site: Site, tablet: Tablet, language: str) -> None:
    tablet.page.get_by_label(WORDS[language]["code"]).fill(code_for(site.district, "screens"))
    tablet.page.get_by_role("button", name=WORDS[language]["enrol"]).click()
    expect(tablet.page.locator("input[type=password]")).to_have_count(2)
    tablet.look(f"first-cadre-{language}", (HAND,))


def look_at_all(site: Site, tablet: Tablet, language: str, child: str) -> None:
    """Look at each screen, at one with warnings, at the two before a PIN, and at practice; ends in the place for more."""
    page, words = tablet.page, WORDS[language]
    sizes = (DESK, HAND) if language == "id" else (HAND,)
    for address, name in SCREENS.items():
        tablet.go("kosong")
        tablet.go(address.format(child=child, today=site.today))
        page.wait_for_url(f"**/#/{address.format(child=child, today=site.today)}")
        expect(page.get_by_role("heading", level=1)).to_be_focused()
        tablet.look(f"{name}-{language}", sizes)
    tablet.go(f"ukur/{child}")
    tablet.type("95", "7")
    expect(page.locator(".live-feedback .notice").first).to_be_visible()
    tablet.look(f"warned-{language}", sizes)

    tablet.go("lainnya")
    page.get_by_role("button", name=words["lock"]).click()
    expect(page.get_by_role("button", name=CADRE)).to_be_visible()
    tablet.look(f"names-{language}", sizes)
    page.get_by_role("button", name=CADRE).click()
    tablet.look(f"pin-{language}", sizes)
    page.goto(f"{APP}?latihan")
    expect(page.locator(".practice")).to_be_visible()
    tablet.look(f"practice-{language}", sizes)
    page.goto(APP)
    tablet.unlock()
    expect(page.get_by_role("searchbox")).to_be_visible()
    tablet.go("lainnya")
    expect(page.get_by_role("heading", level=1)).to_have_text(words["more"])
