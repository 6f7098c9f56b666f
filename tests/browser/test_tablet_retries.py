"""When a tablet tries again after a failed sync: at once when the line is back, soon after an answered batch, and never more
than 30 seconds later while there is a line, unless the server asks for longer.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import pytest
from playwright.sync_api import Route, expect

from tests.browser._tablets import OPENED, SEND, Site, Tablet
from tests.faults._proxy import Planned
from tests.faults._running import wait_until

pytestmark = pytest.mark.browser

CHANGES: Final = 40
"""A first batch holds 25: these need several."""
WHOLE, CUT = ("", 1.0), ("down", 0.5)
RECORD: Final = """async (tablet) => {
    const [child] = tablet.replica.children();
    for (let day = 1; day <= %d; day += 1) {
        const measured_on = new Date(Date.UTC(2026, 0, day)).toISOString().slice(0, 10);
        const form = await tablet.replica.open("measurement", { child, measured_on, source: "cadre" });
        await tablet.write(form, { weight: { weight_g: 7000 + 10 * day, oedema: "n" } });
    }
}"""


@pytest.fixture
def site(new_site: Site) -> Site:
    new_site.children("Anak Contoh 1")
    return new_site


@pytest.fixture
def line(site: Site) -> Iterator[Planned]:
    """Give the line between the tablet and the server."""
    proxy = Planned(int(site.url.rsplit(":", 1)[1]), "/api/v1/sync")
    with proxy.listening():
        yield proxy


@pytest.fixture
def tablet(site: Site, line: Planned) -> Iterator[Tablet]:
    """Give an unlocked tablet without a line, with changes to send, at the screen for sending."""
    url = f"http://127.0.0.1:{line.port}"
    with Tablet.opened(site.chromium, url, site.profiles / "tablet", site.pictures) as opened:
        site.enrol(opened)
        expect(opened.badge).to_have_text("✓ Terkirim")
        opened.lock()
        opened.page.evaluate(
            f"async ([cadre, pin]) => {{ {OPENED.format(RECORD % CHANGES)} }}", [opened.cadre, opened.pin]
        )
        opened.page.reload()
        expect(opened.page.locator(".unlock")).to_be_visible()
        opened.set_line(there=False)
        opened.unlock()
        opened.go("kirim")
        yield opened


PAUSE: Final = "Nanti dikirim otomatis kalau ada sinyal."
BUSY: Final = "Server sedang ramai; nanti dikirim otomatis."


def fail_to_send(tablet: Tablet, times: int, words: str = PAUSE) -> None:
    """Tap "send now" or "try now" so many times; each try fails, and the screen says what happens next."""
    button = tablet.page.get_by_role("button", name=SEND)
    for _ in range(times):
        button.click()
        expect(tablet.page.get_by_text(words)).to_be_visible()
        expect(button).to_be_enabled()
        expect(button).to_have_text("Coba sekarang")


def seconds_to_next_try(tablet: Tablet) -> float:
    """Give how long the app waits, once a try has failed."""
    told = tablet.page.locator("[data-next]")
    expect(told).to_be_visible()
    moment = datetime.fromisoformat(told.get_attribute("data-next") or "")
    return moment.timestamp() - float(tablet.page.evaluate("Date.now()")) / 1000


def test_tablet_tries_at_once_when_the_line_is_back_and_soon_after_an_answered_batch(
    tablet: Tablet, line: Planned
) -> None:
    fail_to_send(tablet, 9)
    line.cuts = [WHOLE, CUT]
    tablet.set_line(there=True)
    wait_until(lambda: line.made == 1, "the second batch is sent, and cut")
    assert seconds_to_next_try(tablet) <= 2
    expect(tablet.badge).to_have_text("✓ Terkirim")
    assert line.cuts == []


def test_tablet_waits_at_most_half_a_minute_while_there_is_a_line(tablet: Tablet, line: Planned) -> None:
    line.cuts = [CUT] * 1000
    tablet.set_line(there=True)
    fail_to_send(tablet, 9)
    assert seconds_to_next_try(tablet) <= 30
    line.cuts = []
    tablet.set_line(there=False)
    tablet.set_line(there=True)
    expect(tablet.badge).to_have_text("✓ Terkirim")


def test_tablet_waits_as_long_as_the_server_asks_even_when_the_line_was_away(tablet: Tablet) -> None:
    asked: list[str] = []

    def busy(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=503, headers={"Retry-After": "600"})

    tablet.context.route("**/api/v1/sync", busy)
    tablet.set_line(there=True)
    assert seconds_to_next_try(tablet) > 500
    tablet.set_line(there=False)
    tablet.set_line(there=True)
    assert seconds_to_next_try(tablet) > 500
    assert len(asked) == 1


def test_tablet_comes_again_only_when_somebody_taps_while_a_busy_server_asks_for_a_pause(
    tablet: Tablet,
) -> None:
    asked: list[str] = []

    def busy(route: Route) -> None:
        asked.append(route.request.url)
        answer = route.fetch()
        kept = {name: value for name, value in answer.headers.items() if not name.startswith("content-")}
        route.fulfill(status=answer.status, headers={**kept, "Retry-After": "600"}, body=answer.body())

    tablet.context.route("**/api/v1/sync", busy)
    tablet.set_line(there=True)
    expect(tablet.badge).to_have_text("✓ Terkirim")
    sent = len(asked)
    assert sent >= 2  # several batches: the pause is no reason to stop half-way
    tablet.set_line(there=False)
    tablet.set_line(there=True)
    tablet.page.wait_for_timeout(1500)
    assert len(asked) == sent
    with tablet.page.expect_response("**/api/v1/sync"):
        tablet.page.get_by_role("button", name=SEND).click()


def test_tablet_adds_a_random_part_to_what_the_server_asks(tablet: Tablet) -> None:
    """Tablets that were refused at one moment do not come back at one moment."""

    def busy(route: Route) -> None:
        route.fulfill(status=503, headers={"Retry-After": "600"})

    fail_to_send(tablet, 9)
    tablet.context.route("**/api/v1/sync", busy)
    tablet.set_line(there=True)
    waits = []
    for _ in range(8):
        fail_to_send(tablet, 1, BUSY)
        waits.append(seconds_to_next_try(tablet))
    assert all(595 <= wait <= 630 for wait in waits)
    assert max(waits) - min(waits) >= 2
