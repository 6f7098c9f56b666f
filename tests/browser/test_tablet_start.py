"""The tablet app at its start: a browser that cannot run it says so in both languages instead of showing a blank page, and
the first screen waits for no question of the browser's own.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser._tablets import APP, code_for
from tests.browser._window import served
from tests.server._district import District

pytestmark = pytest.mark.browser

SENTENCES = ("Aplikasi ini tidak dapat berjalan di peramban ini.", "This app cannot run in this browser.")
NO_WORKERS = "delete Navigator.prototype.serviceWorker;"
"""As in a private window of Firefox: nothing can be installed, and the app loads file by file."""
LATE_ANSWER = """StorageManager.prototype.persist = () =>
    new Promise((answer) => { window.answerNow = answer; });"""


@pytest.fixture
def page(on_sqlite: District, browser: Browser) -> Iterator[Page]:
    with (
        served(on_sqlite) as url,
        browser.new_context(base_url=url) as context,
    ):
        context.add_init_script(NO_WORKERS)
        yield context.new_page()


def test_sentence_for_old_browsers_is_never_seen_in_one_that_runs_the_app(page: Page) -> None:
    page.add_init_script("""new MutationObserver(() => {
        const sentence = document.getElementById("unsupported");
        if (sentence && !sentence.hidden) window.wasSeen = true;
    }).observe(document, { subtree: true, childList: true, attributes: true });""")
    page.goto(APP)
    expect(page.get_by_label("Kode pendaftaran")).to_be_visible()
    expect(page.locator("#unsupported")).to_have_count(0)
    assert not page.evaluate("window.wasSeen")


@pytest.mark.parametrize("lacking", ["Element.prototype.replaceChildren", "window.CompressionStream"])
def test_browser_that_lacks_what_the_app_needs_says_so(page: Page, lacking: str) -> None:
    page.add_init_script(f"delete {lacking};")
    page.goto(APP)
    for sentence in SENTENCES:
        expect(page.get_by_text(sentence)).to_be_visible()
    expect(page.get_by_label("Kode pendaftaran")).to_have_count(0)


@pytest.mark.parametrize("name", ["first_load.js", "main.js", "parts/dom.js"])
@pytest.mark.parametrize("body", ["class { not: JavaScript }", None], ids=["unreadable", "missing"])
def test_browser_that_cannot_load_a_module_says_so(page: Page, name: str, body: str | None) -> None:
    def instead(route: Route) -> None:
        if body is None:
            route.abort()
        else:
            route.fulfill(body=body, content_type="text/javascript")

    page.route(f"**{APP}{name}", instead)
    page.goto(APP)
    for sentence in SENTENCES:
        expect(page.get_by_text(sentence)).to_be_visible()


def test_first_screens_wait_for_no_answer_whether_data_is_kept(page: Page, on_sqlite: District) -> None:
    on_sqlite.clock.now = datetime.now(UTC) - timedelta(minutes=5)
    page.add_init_script(LATE_ANSWER)
    page.goto(APP)
    page.get_by_label("Kode pendaftaran").fill(code_for(on_sqlite))
    page.get_by_role("button", name="Daftarkan tablet ini").click()
    expect(page.get_by_label("Nama Anda")).to_be_visible()
    refused = page.get_by_text("bisa menghapus data")
    expect(refused).to_have_count(0)
    page.evaluate("answerNow(false)")
    expect(refused).to_be_visible()
