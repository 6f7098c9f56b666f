"""What a tablet keeps: through kills in the middle of writing, on a full device, behind its PIN, and what a finder can read.

All in a Chromium with a profile on the disk. A killed browser shows that no acknowledged save is lost by its death; that
the disk itself holds on to it when the battery dies too is the browser's promise (`durability: "strict"`).
"""

import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from sync_protocol import FIRST_PREVIOUS, chain
from tests.browser._tablets import Tablet, code_for
from tests.browser._window import served
from tests.faults._running import wait_until
from tests.server._district import FIRST_POST, District, identity

pytestmark = pytest.mark.browser

KILLS: Final = int(os.environ.get("TABLET_KILLS", "4"))
"""`make soak` makes more."""
OTHER_PIN: Final = "580316"
WRONG_PIN: Final = "271828"
CHILD: Final = "Zafran Rahasia (contoh)"
MOTHER: Final = "Ibu Wulandari Rahasia (contoh)"
NIK: Final = "6402064107240007"
NOTE: Final = "Catatan rahasia contoh tentang rumah"

OPEN: Final = """async ([cadre, pin]) => {
    const { Device } = await import("/tablet-app/store/device.js");
    const device = await Device.open();
    const { author } = device.cadres.find((one) => one.name === cadre);
    window.opened = await device.unlock(author, pin);
    const { log, facts } = opened.replica;
    return { log, tablet: facts.tablet, revision: device.facts.revision };
}"""
WRITE_WITHOUT_END: Final = """(given) => {
    const { replica } = opened;
    const save = async (form, set) => {
        await opened.write(form, set);
        await saved(replica.head());
    };
    const write = async () => {
        const child = "01900000-0000-7000-8000-000000000001";
        if (!replica.head()[0]) await save(await replica.open("child", {}, child), given);
        for (let number = replica.head()[0] + 1; ; number += 1) {
            const measured_on = `2026-0${1 + number % 3}-1${number % 7}`;
            const form = await replica.open("measurement", { child, measured_on, source: "cadre" });
            await save(form, { weight: { weight_g: 5000 + number, oedema: "n" } });
            await opened.putDraft("draft", { id: form.id, text: { weight_g: String(number) } });
        }
    };
    window.failure = null;
    write().catch((error) => (window.failure = String(error)));
}"""
ROUNDS: Final = """async ([pin, took]) => {
    const { newDeviceKey, newDataKey, lockFor, unlock } = await import("/tablet-app/store/vault.js");
    const device = await newDeviceKey();
    const rounds = [];
    for (const ms of took) {
        const told = [0, ms];
        performance.now = () => told.shift();
        const lock = await lockFor(device, await newDataKey(), pin);
        await unlock(device, lock, pin);
        rounds.push(lock.rounds);
    }
    return rounds;
}"""


@pytest.fixture
def tablet(on_sqlite: District, browser: Browser, pictures: Path, tmp_path: Path) -> Iterator[Tablet]:
    """Give a tablet that was just enrolled, in its first cadre's hands."""
    on_sqlite.clock.now = datetime.now(UTC) - timedelta(minutes=5)
    with (
        served(on_sqlite) as url,
        Tablet.opened(browser.browser_type, url, tmp_path / "profile", pictures) as tablet,
    ):
        tablet.enrol(code_for(on_sqlite))
        yield tablet


def acknowledged(context: BrowserContext) -> list[tuple[int, str]]:
    """Give the list in which the page's saves appear, each once it resolved."""
    saves: list[tuple[int, str]] = []
    context.expose_function("saved", lambda head: saves.append((head[0], head[1])))
    return saves


# -- kills ------------------------------------------------------------------------------------------------


def check_whole(found: dict[str, Any], promised: dict[int, str]) -> None:
    """See that a log has no hole, that its chain is sound, and that it holds what was promised."""
    log = found["log"]
    assert [entry["counter"] for entry in log] == list(range(1, len(log) + 1))
    links = chain(found["tablet"], 1, FIRST_PREVIOUS, [entry["change"] for entry in log])
    hashes = {link.dot.counter: link.hash for link in links}
    assert hashes == {entry["counter"]: entry["hash"] for entry in log}
    assert promised.items() <= hashes.items()


def test_nothing_acknowledged_is_missing_when_the_browser_is_killed_in_the_middle_of_writing(
    tablet: Tablet,
) -> None:
    rng = random.Random(8)
    promised: dict[int, str] = {}
    lengths = []
    tablet.switch_off()
    tablet.switch_on(line=False)
    for _ in range(KILLS):
        saves = acknowledged(tablet.context)
        found = tablet.page.evaluate(OPEN, [tablet.cadre, tablet.pin])
        check_whole(found, promised)
        lengths.append(len(found["log"]))
        tablet.page.evaluate(WRITE_WITHOUT_END, {"identity": identity()})
        wanted = rng.randint(1, 25)
        while len(saves) < wanted:
            assert tablet.page.evaluate("window.failure") is None
            tablet.page.wait_for_timeout(20)
        tablet.kill()
        promised |= dict(saves)
        tablet.switch_on(line=False)
    check_whole(tablet.page.evaluate(OPEN, [tablet.cadre, tablet.pin]), promised)
    assert lengths == sorted(set(lengths))  # numbers went on
    assert len(promised) > KILLS
    tablet.unlock()
    tablet.expect_title("Hari ini")
    tablet.set_line(there=True)
    tablet.sync()
    log = tablet.log()
    assert len(log) >= len(promised)
    assert {outcome for _, outcome in log} == {"applied"}


# -- a full device ----------------------------------------------------------------------------------------


def test_full_device_says_that_nothing_was_saved_and_loses_nothing(tablet: Tablet) -> None:
    tablet.add_child(CHILD, "2026-01-05", boy=True, mother=MOTHER)
    before = tablet.log()
    tablet.switch_off()
    tablet.switch_on(line=False)
    cdp = tablet.context.new_cdp_session(
        tablet.page
    )  # before the first write: the browser asks only now and then
    cdp.send("Storage.overrideQuotaForOrigin", {"origin": tablet.url, "quotaSize": 1})
    tablet.unlock()
    tablet.begin(CHILD)
    tablet.type("7,4", "65,2")
    tablet.page.get_by_role("button", name="Simpan", exact=True).click()
    expect(tablet.page.get_by_role("alert")).to_contain_text("BELUM tersimpan: memori tablet penuh")
    expect(tablet.page.locator("input[name=weight_g]")).to_have_value("7,4")
    assert tablet.log() == before

    cdp.send("Storage.overrideQuotaForOrigin", {"origin": tablet.url})
    tablet.save()
    assert [counter for counter, _ in tablet.log()] == [1, 2]
    tablet.complaints.clear()  # a draft that found no room is told to the console


def test_tablet_warns_when_the_browser_tells_that_room_is_short(tablet: Tablet) -> None:
    """Newer Chromiums tell every page the same quota, whatever is left: there only a save that fails tells."""
    warning = tablet.page.get_by_text("Memori tablet hampir penuh")
    expect(warning).to_have_count(0)
    tablet.page.evaluate("navigator.storage.estimate = async () => ({ usage: 81, quota: 100 })")
    for screen in ("lainnya", "hari-ini"):
        tablet.go(screen)
        expect(warning).to_be_visible()


@pytest.mark.parametrize("promised", [False, True])
def test_tablet_says_when_the_browser_does_not_promise_to_keep_what_is_stored(
    tablet: Tablet, *, promised: bool
) -> None:
    if promised:
        cdp = tablet.context.new_cdp_session(tablet.page)
        cdp.send("Browser.grantPermissions", {"origin": tablet.url, "permissions": ["durableStorage"]})
    tablet.page.reload()
    tablet.unlock()
    tablet.expect_title("Hari ini")
    tablet.go("lainnya")
    notice = tablet.page.get_by_text("HP ini bisa menghapus data")
    expect(notice).to_have_count(0 if promised else 1)
    storage = "(aman)" if promised else "(bisa terhapus kalau memori penuh)"
    expect(tablet.page.get_by_text(storage)).to_be_visible()


# -- the PIN ----------------------------------------------------------------------------------------------


def test_pin_is_stretched_as_long_as_the_device_can_bear(tablet: Tablet) -> None:
    took = [5000, 100, 1]  # milliseconds for 100,000 rounds
    assert tablet.page.evaluate(ROUNDS, [tablet.pin, took]) == [200_000, 700_000, 3_000_000]


def test_wrong_pins_cost_time_even_when_the_browser_is_killed_in_between(tablet: Tablet) -> None:
    tablet.lock()
    for tried in range(5):
        tablet.unlock(pin=WRONG_PIN)
        expect(tablet.page.get_by_text("PIN salah")).to_be_visible()
        tablet.page.reload()
        if tried == 3:
            tablet.kill()
            tablet.switch_on()
    tablet.unlock()
    expect(tablet.page.get_by_text("Terlalu banyak PIN salah. Tunggu")).to_be_visible()
    tablet.kill()
    tablet.switch_on()
    tablet.unlock()
    expect(tablet.page.get_by_text("Terlalu banyak PIN salah. Tunggu")).to_be_visible()
    tablet.page.clock.set_system_time(tablet.page.evaluate("Date.now() / 1000 + 31"))
    tablet.unlock()
    expect(tablet.page.locator(".unlock")).to_have_count(0)


def test_old_pin_opens_nothing_when_a_cadre_got_a_new_one(tablet: Tablet) -> None:
    tablet.add_child(CHILD, "2026-01-05", boy=True, mother=MOTHER)
    tablet.add_cadre(tablet.cadre, OTHER_PIN)
    tablet.page.get_by_role("button", name="Ya, ganti PIN").click()
    expect(tablet.page.get_by_label("PIN", exact=True)).to_have_value("")  # it is stored
    tablet.lock()
    tablet.unlock()
    expect(tablet.page.get_by_text("PIN salah")).to_be_visible()
    tablet.unlock(pin=OTHER_PIN)
    expect(tablet.page.locator(".unlock")).to_have_count(0)
    tablet.go("hari-ini")
    expect(tablet.page.locator("ul.children > li")).to_contain_text(CHILD)


def test_tablet_locks_itself_and_gives_back_what_was_typed(tablet: Tablet) -> None:
    tablet.stop_clock()
    tablet.unlock()
    tablet.expect_title("Hari ini")
    tablet.add_child(CHILD, "2026-01-05", boy=True, mother=MOTHER)
    tablet.type("7,4")
    wait_until(lambda: tablet.draft()["text"].get("weight_g") == "7,4", "the draft is on the disk")
    tablet.pass_time(seconds=4 * 60)
    tablet.page.locator("input[name=length_mm]").click()  # a touch: the minutes begin anew
    tablet.pass_time(seconds=4 * 60)
    tablet.expect_title(CHILD)
    tablet.pass_time(seconds=2 * 60)
    expect(tablet.page.locator(".unlock")).to_be_visible()
    expect(tablet.page.get_by_text(CHILD)).to_have_count(0)
    assert not tablet.page.evaluate("typeof opened !== 'undefined'")
    tablet.unlock()
    tablet.expect_title(CHILD)
    expect(tablet.page.locator("input[name=weight_g]")).to_have_value("7,4")


def test_tablet_locked_right_after_a_key_keeps_what_was_typed(tablet: Tablet) -> None:
    tablet.add_child(CHILD, "2026-01-05", boy=True, mother=MOTHER)
    tablet.page.evaluate("() => { window.setTimeout = () => 0; }")  # until it loads anew, no timer runs out
    tablet.type("7,4")
    tablet.lock()
    tablet.unlock()
    tablet.go("hari-ini")
    tablet.begin(CHILD)
    expect(tablet.page.locator("input[name=weight_g]")).to_have_value("7,4")


# -- what a finder can read -------------------------------------------------------------------------------


def test_finder_of_the_tablet_reads_nothing_of_a_child(tablet: Tablet) -> None:
    tablet.add_child(CHILD, "2026-01-05", boy=True, mother=MOTHER)
    tablet.open(CHILD)
    tablet.page.get_by_role("link", name="Ubah data").click()
    tablet.page.get_by_text("Data lain").click()
    tablet.page.get_by_label("NIK").fill(NIK)
    tablet.page.get_by_role("button", name="Simpan", exact=True).click()
    tablet.expect_title(CHILD)
    tablet.begin(CHILD)
    tablet.type("7,4", "65,2")
    tablet.page.get_by_label("Catatan").fill(NOTE)
    tablet.save()
    tablet.correct(CHILD)  # left open with something typed
    tablet.page.get_by_label("Catatan").fill(f"{NOTE} lagi")
    wait_until(lambda: NOTE in tablet.draft().get("note", ""), "the draft is kept")
    tablet.switch_off()
    found = planted_in(tablet.profile, [CHILD, MOTHER, NIK, NOTE, "Zafran", "Wulandari"])
    tablet.switch_on()
    assert found == [], found
    assert planted_in(tablet.profile, [FIRST_POST])  # what may be in the clear is found by the same search


def planted_in(profile: Path, planted: list[str]) -> list[tuple[str, str]]:
    """Search every file of a profile for text in any of the forms in which browsers write it."""
    forms = {form: text for text in planted for form in (text.encode(), text.encode("utf-16-le"))}
    return [
        (str(path.relative_to(profile)), text)
        for path in sorted(profile.rglob("*"))
        if path.is_file() and not path.is_symlink()
        for content in [path.read_bytes()]
        for form, text in forms.items()
        if form in content
    ]
