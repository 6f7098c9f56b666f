"""A supervisor's phone as a witness, in a real Chromium: it remembers a checkpoint, sees the log grow, and says loudly when
it was turned back or rewritten; an honest restore is told apart.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from server import audit
from server.audit import checkpoints
from server.audit.signed_note import ED25519, Key
from server.context import AppContext
from tests.browser._window import Window, served
from tests.server._district import DISTRICT, Databases, District
from tests.server._people import add_person
from tests.server.backup._restoring import back_up, put_back
from tests.server.web._clinic import PASSWORD

pytestmark = pytest.mark.browser
PLACE = "/audit/saksi"
WITH_ANOTHER_KEY = """([district, key]) => new Promise((resolve) => {
  const opening = indexedDB.open("posyandu-witness", 1);
  opening.onsuccess = () => {
    const transaction = opening.result.transaction("seen", "readwrite"), store = transaction.objectStore("seen");
    if (key) store.get(district).onsuccess = (event) => store.put({ ...event.target.result, keys: [key] }, district);
    else store.delete(district);
    transaction.oncomplete = () => { opening.result.close(); resolve(null); };
  };
})"""
"""Makes this browser remember another key of the log; without a key, nothing."""


def sign(district: District, entries: int = 1) -> None:
    for _ in range(entries):
        with district.hub.database.transaction() as session:
            audit.append(session, DISTRICT, "post/one", "test.done", actor="operator", now=district.clock.now)
    with district.hub.database.transaction() as session:
        checkpoints.make(session, district.hub, district.clock.now, actor="operator")


@pytest.fixture
def district(sqlite_databases: Databases) -> Iterator[District]:
    with District.opened(sqlite_databases, cookie_secure=False) as found:
        add_person(
            found.hub,
            "pengawas",
            "Pengawas Contoh",
            "supervisor",
            "district",
            DISTRICT,
            PASSWORD,
            found.clock.now,
        )
        sign(found)
        yield found


@contextmanager
def phone(district: District, browser: Browser, pictures: Path) -> Iterator[Window]:
    with served(district) as url, Window.opened(browser, url, pictures) as window:
        window.sign_in("pengawas")
        yield window


def told(window: Window, outcome: str) -> None:
    window.page.goto(PLACE)
    expect(window.page.locator("#watch")).to_have_attribute("data-told", outcome)


def test_phone_remembers_sees_the_log_grow_and_says_when_it_was_turned_back_or_rewritten(
    district: District, browser: Browser, pictures: Path
) -> None:
    with phone(district, browser, pictures) as window:
        told(window, "first")
        expect(window.page.get_by_role("img", name="Kode QR")).to_be_visible()
        window.look("audit-saksi")
        told(window, "same")
        for _ in range(3):
            sign(district, 2)
        before = district.back_up()
        sign(district, 2)
        told(window, "grown")
        window.look("audit-saksi-tumbuh")
        district.hub.database.dispose()
        district.databases.replace(district.hub.settings.database_url, before)
        told(window, "rolled-back")
        expect(window.page.get_by_role("heading", name="Catatan audit diputar mundur")).to_be_visible()
        window.look("audit-saksi-mundur")
        for _ in range(2):
            sign(district, 1)
        told(window, "forked")  # it is longer again, and is not the log that was seen
        window.look("audit-saksi-bercabang")


def test_honest_restore_is_told_apart_and_accepted_by_a_person(
    district: District, browser: Browser, pictures: Path, tmp_path: Path
) -> None:
    district.hub.database.dispose()
    settings = replace(district.hub.settings, data_dir=tmp_path / "data")
    settings.data_dir.mkdir()
    district.hub = AppContext.open(settings)
    with phone(district, browser, pictures) as window:
        told(window, "first")
        file = back_up(district, tmp_path / "b.backup")
        sign(district)
        told(window, "grown")
        put_back(settings, file)
        window.sign_in("pengawas")  # a restore ends every session
        told(window, "given-up")
        expect(window.page.locator("#watch")).to_contain_text("titik periksa 1")
        window.look("audit-saksi-pulih")
        told(window, "given-up")  # until a person says that it was known
        window.page.get_by_role("button", name="Saya tahu pemulihan ini").click()
        expect(window.page.locator("#watch")).to_have_attribute("data-told", "kept")
        sign(district)
        told(window, "continued")
        told(window, "same")
        district.hub.database.dispose()


def test_phone_tells_another_key_and_a_browser_without_ed25519(
    district: District, browser: Browser, pictures: Path
) -> None:
    with phone(district, browser, pictures) as window:
        told(window, "first")
        window.page.evaluate(
            WITH_ANOTHER_KEY, [DISTRICT, Key("example.com/other", ED25519, b"k" * 32).text()]
        )
        told(window, "other-key")
        told(window, "other-key")
        window.page.evaluate(WITH_ANOTHER_KEY, [DISTRICT, None])
        told(window, "first")
        window.page.add_init_script("crypto.subtle.importKey = () => Promise.reject(new Error('none'))")
        told(window, "same")
        expect(window.page.locator("#no-ed25519")).to_be_visible()
