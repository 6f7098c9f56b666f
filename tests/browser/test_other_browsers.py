"""The tablet app in Firefox, and in the oldest Chromium that it is made for: enrol, measure offline, load again, sync."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from playwright.sync_api import Browser

from server.app import create_app
from tests._old_chromium import MAJOR
from tests.browser._hands import FirefoxHands, Hands, OldChromiumHands
from tests.browser._tablets import APP, CADRE, PIN, code_for
from tests.browser._window import served
from tests.server._district import District
from tests.server.web._posts import measured

pytestmark = pytest.mark.browser

NAME: Final = "Anak Contoh Satu"
AGENTS: Final = {"firefox": "Firefox/", "oldest chromium": f"HeadlessChrome/{MAJOR}."}


@pytest.fixture(params=list(AGENTS))
def hands(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Hands]:
    with ExitStack() as stack:
        opened = (
            FirefoxHands.opened()
            if request.param == "firefox"
            else OldChromiumHands.opened(browser.browser_type)
        )
        found: Hands = stack.enter_context(opened)
        assert AGENTS[request.param] in found.version()
        yield found


def unlock(hands: Hands) -> None:
    hands.wait("return document.querySelectorAll('.unlock .pad button').length > 9;")
    for digit in PIN:
        hands.tap(digit, ".unlock .pad button")
    hands.wait("return document.querySelector('header .badge.look') !== null;")  # one waits to be sent


def test_morning_without_a_line_comes_back_after_loading_again(hands: Hands, on_sqlite: District) -> None:
    district = on_sqlite
    district.clock.now = datetime.now(UTC) - timedelta(minutes=5)
    app = create_app(district.hub.settings, district.hub)
    hand = district.tablet()
    today = district.hub.settings.today(district.clock.now)
    child = measured(hand, 0, today, [today - timedelta(days=31)], name=NAME)
    hand.sync_until_quiet()
    before = district.counts()["measurement"]
    with served(district, app) as url:
        hands.open(f"{url}{APP}")
        hands.type("Kode pendaftaran", code_for(district))
        hands.tap("Daftarkan tablet ini")
        hands.type("Nama Anda", CADRE)
        hands.type("PIN", PIN)
        hands.type("PIN sekali lagi", PIN)
        hands.tap("Mulai")
        hands.wait_for(NAME)
        hands.wait("return Boolean(navigator.serviceWorker.controller);")
    hands.evaluate("location.hash = arguments[0];", f"#/ukur/{child}")
    hands.wait_for("Simpan")
    hands.evaluate("document.querySelector('input[name=weight_g]').focus();")
    for key in ("8", "Koma", "6"):
        hands.tap(key, ".pad button")
    hands.tap("Simpan")
    hands.wait_for("Tersimpan di tablet ini")
    hands.open(f"{url}{APP}")  # nobody serves it now
    unlock(hands)
    with served(district, app, port=int(url.rpartition(":")[2])):
        hands.evaluate("location.hash = '#/kirim';")
        hands.tap("Kirim sekarang")
        hands.wait("return document.querySelector('header .badge.good') !== null;")
    assert district.counts()["measurement"] == before + 1
    district.check_agreement()
