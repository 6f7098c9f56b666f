"""Wiping is safe: no unsent change is lost by it, however the tablet ends. A tablet wipes itself when it was revoked or was
silent for 60 days; neither by a clock that jumps nor while somebody types.
"""

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Route, expect
from sqlalchemy import text

from server import accounts
from tests.browser._tablets import Site, Tablet, revoke
from tests.faults._running import wait_until

pytestmark = pytest.mark.browser

ROUNDS: Final = int(os.environ.get("TABLET_KILLS", "3"))
"""`make soak` makes more."""
COPIED_AFTER_SECONDS: Final = 1.5
"""After saving the app seals its copy anew; a kill before that finds it as saving left it."""
WIPED, REVOKED = "terlalu lama tanpa kontak", "dicabut oleh puskesmas"
AS_BEFORE: Final = """async () => {
    const { Database } = await import("/tablet-app/store/database.js");
    const database = await Database.open("posyandu");
    const rows = await database.all("letters");
    const lines = rows.slice(0, 1).map(([, row]) => JSON.stringify(row.letter) + "\\n").join("");
    await database.commit([["letters", "mine", { text: lines, at: "2026-01-05T00:00:00Z" }],
        ...rows.map(([key]) => ["letters", key, undefined])]);
    database.close();
}"""
"""The sealed copy as versions before wrote it, and too old: without what was saved last."""


@pytest.fixture
def site(new_site: Site) -> Site:
    return new_site


def set_aside(site: Site) -> int:
    """Count the changes of revoked tablets that reached the server."""
    (row,) = site.district.rows(text("SELECT count(*) AS n FROM change WHERE outcome = 'quarantined'"))
    return int(row.n)


def wait_for_set_aside(site: Site, count: int) -> None:
    wait_until(lambda: set_aside(site) == count, "all that a revoked tablet had saved is at the server")


def revoke_by_id(site: Site, tablet_id: str) -> None:
    """Revoke a tablet that is switched off."""
    district = site.district
    with district.hub.database.transaction() as session:
        accounts.revoke_tablet(session, district.hub, tablet_id, actor="operator", now=district.clock.now)


def start_after(tablet: Tablet, days: float) -> None:
    """Start the app at a later moment, by the tablet's clock."""
    tablet.page.clock.set_system_time(datetime.now(UTC) + timedelta(days=days))
    tablet.page.reload()


# -- nothing is lost --------------------------------------------------------------------------------------


def test_nothing_is_lost_when_a_tablet_is_killed_right_after_saving_and_then_revoked(site: Site) -> None:
    names = [f"Anak Mati {number}" for number in range(2 * ROUNDS)]
    site.children(*names)
    saved, delays, since = 0, [], 0.0
    for number in range(ROUNDS):
        with site.tablet(f"killed {number}") as tablet:
            tablet.set_line(there=False)
            tablet_id, processes = tablet.id, tablet.processes()
            for name in names[2 * number : 2 * number + 1 + number % 2]:
                tablet.measure(name, "9,1", "70,5")
                saved += 1
                since = time.monotonic()
            delays.append(tablet.kill(processes) - since)
            revoke_by_id(site, tablet_id)
            tablet.switch_on()
            expect(tablet.page.get_by_text(REVOKED)).to_be_visible()
            wait_for_set_aside(site, saved)
    assert min(delays) < COPIED_AFTER_SECONDS


def test_tablet_whose_copy_is_too_old_asks_for_a_pin_before_it_is_wiped(site: Site) -> None:
    """An installed tablet that was renewed in place."""
    site.children("Anak Salin 1", "Anak Salin 2")
    with site.tablet("renewed in place") as tablet:
        tablet.set_line(there=False)
        tablet.measure("Anak Salin 1", "9,1")
        tablet.measure("Anak Salin 2", "9,4")
        tablet_id = tablet.id
        tablet.lock()
        tablet.page.evaluate(AS_BEFORE)
        revoke_by_id(site, tablet_id)
        tablet.set_line(there=True)
        tablet.page.reload()
        expect(tablet.page.get_by_text("ketik PIN sekali lagi")).to_be_visible()
        tablet.look("one-more-pin")
        raw = tablet.raw()
        assert raw["held"] == raw["past"] == []  # nothing about children but what was not sent
        assert len(raw["log"]) == 2
        tablet.page.reload()
        tablet.unlock()
        expect(tablet.page.get_by_text(REVOKED)).to_be_visible()
        wait_for_set_aside(site, 2)
        assert tablet.raw()["log"] == []


def test_parts_of_the_copy_become_few_and_go_when_all_is_acknowledged(site: Site) -> None:
    names = [f"Anak Banyak {number}" for number in range(24)]
    site.children(*names)
    with site.tablet("many") as tablet:
        tablet.set_line(there=False)
        for name in names[:3]:
            tablet.measure(name, "9,1")
        assert len(tablet.raw()["letters"]) == 3
        for name in names[3:]:
            tablet.measure(name, "9,1")
        wait_until(lambda: len(tablet.raw()["letters"]) <= 5, "they were sealed together")
        tablet.set_line(there=True)
        tablet.sync()
        assert tablet.raw()["letters"] == []


# -- contact ----------------------------------------------------------------------------------------------


def test_silent_tablet_wipes_itself_and_sends_what_it_had_when_a_line_comes(site: Site) -> None:
    names = ["Anak Sepi 1", "Anak Sepi 2"]
    site.children(*names)
    before = site.measurements()
    with site.tablet("silent") as tablet:
        tablet.set_line(there=False)
        for name in names:
            tablet.measure(name, "9,1")
        for days in (20, 40):
            start_after(tablet, days)
            expect(tablet.page.locator(".unlock")).to_be_visible()
        start_after(tablet, 55)
        tablet.unlock()
        expect(tablet.page.get_by_text("sudah 55 hari tanpa kontak")).to_be_visible()
        tablet.look("silent")
        start_after(tablet, 61)
        expect(tablet.page.get_by_text(WIPED)).to_be_visible()
        raw = tablet.raw()
        assert raw["log"] == raw["held"] == raw["letters"] == []
        assert site.measurements() == before
        tablet.page.reload()  # as if days later
        expect(tablet.page.get_by_text(WIPED)).to_be_visible()
        tablet.set_line(there=True)
        wait_until(lambda: site.measurements() == before + 2, "it is not enrolled, and its letters arrive")


def test_clock_that_jumps_wipes_nothing(site: Site) -> None:
    site.children("Anak Jam")
    with site.tablet("jumping") as tablet:
        tablet.set_line(there=False)
        tablet.measure("Anak Jam", "9,1")
        for days in (400, 0.1, -20_000, 1, 800, 1.1, 3650, 3651, 2):
            start_after(tablet, days)
            expect(tablet.page.locator(".unlock")).to_be_visible()
            expect(tablet.page.get_by_text("PIN")).not_to_have_count(0)
        tablet.unlock()
        expect(tablet.badge).to_have_text("● 1 anak menunggu")
        assert tablet.log() == [(1, "waiting")]


def test_receipts_that_were_carried_are_a_contact(site: Site, tmp_path: Path) -> None:
    site.children("Anak Kurir")
    with site.tablet("carried") as tablet:
        tablet.set_line(there=False)
        tablet.measure("Anak Kurir", "9,1")
        tablet.go("salinan")
        letters = tablet.take_file("Simpan cadangan terkunci", tmp_path / "letters.posyandu")
        receipts = tmp_path / "back.receipts"
        receipts.write_text("".join(f"{json.dumps(one)}\n" for one in delivered(site, letters)))
        start_after(tablet, 30)
        tablet.unlock()
        tablet.go("salinan")
        tablet.give_files(receipts)
        expect(tablet.page.get_by_text("1 dari 1 tanda terima untuk tablet ini.")).to_be_visible()
        for days in (50, 61, 80):
            start_after(tablet, days)
            expect(tablet.page.locator(".unlock")).to_be_visible()
        tablet.unlock()
        expect(tablet.badge).to_have_text("✓ Terkirim")
        start_after(tablet, 91)
        expect(tablet.page.get_by_text(WIPED)).to_be_visible()


def delivered(site: Site, letters: Path) -> list[Any]:
    """Deliver a file of letters, as a messenger's phone does; give the answers."""
    body = {"letters": [json.loads(line) for line in letters.read_text().splitlines()]}
    answer = site.app.test_client().post("/api/v1/carried", json=body)
    found: list[Any] = answer.get_json()["answers"]
    return found


def test_standing_that_a_locked_tablet_is_told_is_a_contact(site: Site) -> None:
    site.children("Anak Diam")
    with site.tablet("asked") as tablet:
        tablet.lock()
        for days in (20, 40):
            with tablet.page.expect_response("**/standing"):
                start_after(tablet, days)
        tablet.page.wait_for_function(CONTACT_AFTER, arg=(datetime.now(UTC) + timedelta(days=39)).isoformat())
        tablet.set_line(there=False)
        for days in (70, 95):
            start_after(tablet, days)
            expect(tablet.page.locator(".unlock")).to_be_visible()
        tablet.unlock()
        tablet.expect_title("Hari ini")


CONTACT_AFTER: Final = """async (moment) => {
    const { Device } = await import("/tablet-app/store/device.js");
    const device = await Device.open();
    device.database.close();
    return device.facts.contact.at > moment;
}"""


# -- somebody is at work -----------------------------------------------------------------------------------


def test_wipe_waits_until_the_tablet_locks_while_somebody_types(site: Site) -> None:
    site.children("Anak Ketik 1", "Anak Ketik 2")
    held: list[Route] = []
    with site.tablet("typing") as tablet:
        tablet.set_line(there=False)
        tablet.measure("Anak Ketik 1", "9,1")
        tablet.context.route("**/standing", lambda route: held.append(route))
        tablet.context.route("**/api/v1/sync", lambda route: route.abort())
        tablet.lock()
        wait_until(lambda: bool(tick(tablet)) and bool(held), "it asks for its standing")
        tablet.unlock()
        tablet.begin("Anak Ketik 2")
        tablet.type("9,4")
        revoke(site, tablet)
        tablet.set_line(there=True)
        held[-1].fulfill(
            response=tablet.context.request.get(f"{site.url}/api/v1/tablets/{tablet.id}/standing")
        )
        warned = tablet.page.get_by_text("Puskesmas mencabut tablet ini. Selesaikan dulu isian Anda")
        expect(warned).to_be_visible()
        tablet.look("wipe-at-lock")
        expect(tablet.page.locator("input[name=weight_g]")).to_have_value("9,4")
        tablet.save()
        expect(warned).to_be_visible()
        tablet.go("lainnya")
        tablet.page.get_by_role("button", name="Kunci tablet").click()
        expect(tablet.page.get_by_text(REVOKED)).to_be_visible()
        wait_for_set_aside(site, 2)


def tick(tablet: Tablet) -> bool:
    """Let the browser's events in."""
    tablet.page.wait_for_timeout(20)
    return True
