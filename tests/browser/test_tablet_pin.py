"""The PIN of a tablet: what the district asks of it, how a longer one is asked for, and more rounds for an old one."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, expect

from tests.browser._tablets import CADRE, PIN, Site, Tablet, code_for
from tests.faults._running import wait_until
from tests.server._district import Databases

pytestmark = pytest.mark.browser

LONGER: Final = "27495138"
FEWEST_ROUNDS: Final = 200_000
PHRASE: Final = "sendok langit kuda empat"
CADRES: Final = """async () => {
    const { Database } = await import("/tablet-app/store/database.js");
    const database = await Database.open("posyandu");
    const found = Object.fromEntries(await database.all("facts")).cadres;
    database.close();
    return found.map(({ name, lock: { rounds }, pin }) => ({ name, rounds, pin: pin ?? null }));
}"""
AS_EARLIER_VERSIONS: Final = """async ([pin, rounds]) => {
    const { Database } = await import("/tablet-app/store/database.js");
    const { unlock } = await import("/tablet-app/store/vault.js");
    const database = await Database.open("posyandu");
    const { cadres, keys, revision } = Object.fromEntries(await database.all("facts"));
    const [{ name, author, lock }] = cadres;
    const dataKey = await unlock(keys.device, lock, pin);
    const [salt, iv] = [16, 12].map((size) => crypto.getRandomValues(new Uint8Array(size)));
    const text = (words) => new TextEncoder().encode(words);
    const secret = await crypto.subtle.importKey("raw", text(pin), "PBKDF2", false, ["deriveBits"]);
    const how = { name: "PBKDF2", hash: "SHA-256", salt, iterations: rounds };
    const stretched = new Uint8Array(await crypto.subtle.deriveBits(how, secret, 256));
    const message = new Uint8Array([...text("posyandu-pin/1"), ...stretched]);
    const bits = await crypto.subtle.sign("HMAC", keys.device, message);
    const key = await crypto.subtle.importKey("raw", bits, "AES-GCM", false, ["wrapKey"]);
    const wrapped = await crypto.subtle.wrapKey("raw", dataKey, key, { name: "AES-GCM", iv });
    const old = { name, author, lock: { salt, rounds, iv, wrapped } };
    await database.commit([["facts", "cadres", [old]]], { expect: revision });
    database.close();
}"""
"""Give the only cadre a lock of few rounds, and no note of what the PIN is like."""


@pytest.fixture(scope="module")
def site(
    sqlite_databases: Databases, browser: Browser, pictures: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    with Site.opened(sqlite_databases, browser, tmp_path_factory.mktemp("profiles"), pictures) as opened:
        opened.children("Anak PIN")
        yield opened


@pytest.fixture(autouse=True)
def usual(site: Site) -> Iterator[None]:
    yield
    ask_for(site, "6")


def ask_for(site: Site, tablet_pin: str) -> None:
    """Let the district ask for other PINs."""
    hub = site.district.hub
    site.app.extensions["hub"] = replace(hub, settings=replace(hub.settings, tablet_pin=tablet_pin))


def cadres(tablet: Tablet) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tablet.page.evaluate(CADRES)
    return found


def choose(tablet: Tablet, secret: str, label: str = "PIN") -> None:
    """Choose another PIN on the screen that asks for one."""
    tablet.page.get_by_label(label, exact=True).fill(secret)
    tablet.page.get_by_label(f"{label} sekali lagi").fill(secret)
    tablet.page.get_by_role("button", name="Pakai PIN baru").click()


def tell(tablet: Tablet) -> None:
    """Load the app anew with a line: the locked app hears what the district asks for."""
    with tablet.page.expect_response("**/standing"):
        tablet.page.reload()


def test_first_cadre_chooses_what_the_district_asks_for(site: Site) -> None:
    ask_for(site, "8")
    with site.tablet("eight", enrolled=False) as tablet:
        page = tablet.page
        tablet.pin = LONGER
        page.get_by_label("Kode pendaftaran").fill(code_for(site.district, "eight"))
        page.get_by_role("button", name="Daftarkan tablet ini").click()
        page.get_by_label("Nama Anda").fill(CADRE)
        for pin in (PIN, LONGER):
            page.get_by_label("PIN", exact=True).fill(pin)
            page.get_by_label("PIN sekali lagi").fill(pin)
            page.get_by_role("button", name="Mulai").click()
            if pin == PIN:
                expect(page.get_by_text("PIN harus 8 sampai 12 angka.")).to_be_visible()
        tablet.expect_title("Hari ini")
        assert cadres(tablet)[0]["pin"] == {"kind": "digits", "length": 8}
        tablet.lock()
        tablet.unlock()
        tablet.expect_title("Hari ini")


def test_longer_pin_is_asked_for_after_unlocking_and_may_wait_three_days(site: Site) -> None:
    with site.tablet("longer") as tablet:
        page = tablet.page
        tablet.lock()
        ask_for(site, "8")
        tell(tablet)
        start = datetime.now(UTC)
        for day in range(3):
            page.clock.set_fixed_time(start + timedelta(days=day))
            page.reload()
            tablet.unlock()
            tablet.expect_title("PIN baru")
            tablet.look("new-pin")
            page.get_by_role("button", name="Lain hari").click()
            tablet.expect_title("Hari ini")
            tablet.lock()
            tablet.unlock()  # not again on that day
            tablet.expect_title("Hari ini")
            tablet.lock()
        page.clock.set_fixed_time(start + timedelta(days=3))
        page.reload()
        tablet.unlock()
        tablet.expect_title("PIN baru")
        expect(page.get_by_role("button", name="Lain hari")).to_have_count(0)
        for weak, words in (
            (PIN, "PIN harus 8 sampai 12 angka."),
            ("12345678", "terlalu mudah"),
            ("17081945", "mudah"),
        ):
            choose(tablet, weak)
            expect(page.get_by_text(words)).to_be_visible()
        choose(tablet, LONGER)
        tablet.expect_title("Hari ini")
        expect(tablet.find("Anak PIN")).to_be_visible()
        tablet.lock()
        tablet.unlock(pin=LONGER)
        tablet.expect_title("Hari ini")


def test_passphrase_takes_the_place_of_the_pad(site: Site) -> None:
    with site.tablet("phrase") as tablet:
        page = tablet.page
        tablet.lock()
        ask_for(site, "passphrase")
        tell(tablet)
        tablet.unlock()
        tablet.expect_title("PIN baru")
        choose(tablet, "pendek saja", "Frasa sandi")
        expect(page.get_by_text("Frasa sandi harus 12 huruf atau lebih.")).to_be_visible()
        choose(tablet, PHRASE, "Frasa sandi")
        tablet.expect_title("Hari ini")
        tablet.lock()
        for secret, title in ((PHRASE[:-1], None), (PHRASE, "Hari ini")):
            page.get_by_label("Frasa sandi").fill(secret)
            page.get_by_role("button", name="Buka", exact=True).click()
            if title:
                tablet.expect_title(title)
            else:
                expect(page.get_by_text("PIN salah.")).to_be_visible()
                tablet.look("passphrase")


def test_old_pin_gets_more_rounds_at_the_next_unlock_and_no_kill_harms_it(site: Site) -> None:
    rng = random.Random(47)
    with site.tablet("old pin") as tablet:
        tablet.lock()
        for _ in range(4):
            tablet.page.evaluate(AS_EARLIER_VERSIONS, [PIN, 100_000])
            assert cadres(tablet) == [{"name": CADRE, "rounds": 100_000, "pin": None}]
            tablet.page.reload()
            tablet.unlock()
            tablet.expect_title("Hari ini")
            tablet.page.wait_for_timeout(rng.uniform(0, 300))  # somewhere in the middle of it, or after
            tablet.kill()
            tablet.switch_on(line=False)
        tablet.page.evaluate(AS_EARLIER_VERSIONS, [PIN, 100_000])
        tablet.page.reload()
        tablet.unlock()
        tablet.expect_title("Hari ini")
        wait_until(lambda: cadres(tablet)[0]["rounds"] >= FEWEST_ROUNDS, "the PIN has more rounds")
        assert cadres(tablet)[0]["pin"] == {"kind": "digits", "length": 6}
        tablet.lock()
        tablet.unlock()
        expect(tablet.find("Anak PIN")).to_be_visible()
