"""A served district and a real Chromium's window on it, for all browser tests.

Hides how the server is started and stopped, how somebody signs in, and what is looked at on every page: its picture (kept in
the directory that SCREENSHOTS names), axe's opinion (WCAG 2.2, levels A and AA), its width, and the console's silence.
"""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # it ships no types
from flask import Flask
from playwright.sync_api import Browser, ConsoleMessage, Page
from werkzeug.serving import WSGIRequestHandler, make_server

from server.app import create_app
from tests.server._district import District
from tests.server.web._clinic import PASSWORD

DESK, PHONE = 1280, 360
HEIGHT: Final = 800
PATIENCE_MS: Final = 60_000
"""A browser among many on a small, busy machine."""
SIZES: Final = ((PHONE, HEIGHT), (DESK, HEIGHT))
RULES: Final = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    "resultTypes": ["violations"],
}


class Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        """Say nothing: the application logs its own lines."""


@contextmanager
def served(district: District, app: Flask | None = None, port: int = 0) -> Iterator[str]:
    """Serve a district over real HTTP, by an application and at a port of the caller's if given; give the address."""
    app = app or create_app(district.hub.settings, district.hub)
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Window:
    """Somebody's window."""

    page: Page
    pictures: Path
    complaints: list[str] = field(default_factory=list)

    @classmethod
    @contextmanager
    def opened(cls, browser: Browser, url: str, pictures: Path) -> Iterator["Window"]:
        """Open a window of its own cookies; afterwards nothing may stand in its console."""
        context = browser.new_context(base_url=url, viewport={"width": DESK, "height": HEIGHT})
        context.set_default_timeout(PATIENCE_MS)
        window = cls(context.new_page(), pictures)
        window.page.on("console", window._note)
        window.page.on("pageerror", lambda error: window.complaints.append(str(error)))
        yield window
        context.close()
        assert window.complaints == []

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def sign_in(self, username: str) -> None:
        self.page.goto("/masuk")
        self.page.get_by_label("Nama pengguna").fill(username)
        self.page.get_by_label("Kata sandi").fill(PASSWORD)
        self.page.get_by_role("button", name="Masuk").click()
        self.page.wait_for_url("**/antrean")

    def forgive(self, told: str) -> None:
        """Take back what the console says of a refusal that was asked for, such as "422"."""
        assert any(told in complaint for complaint in self.complaints)
        self.complaints.clear()

    def look(self, name: str) -> None:
        """Look at the page at both widths; the console must have been silent."""
        look_at(self.page, self.pictures / name, SIZES)
        assert self.complaints == []


def look_at(page: Page, picture: Path, sizes: Sequence[tuple[int, int]], *, full_page: bool = True) -> None:
    """Look at a page at some widths and heights: keep a picture where SCREENSHOTS says, ask axe, see that nothing hangs over
    the edge."""
    page.wait_for_load_state()
    for width, height in sizes:
        page.set_viewport_size({"width": width, "height": height})
        axe = Axe("0") if page.evaluate("'axe' in window") else Axe()  # half a MB of script once for a page
        if "SCREENSHOTS" in os.environ:
            page.screenshot(path=f"{picture}-{width}.png", full_page=full_page)
        # as tall as its content: a bar that stays in sight covers what lies at its edge until one scrolls
        content = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size({"width": width, "height": max(height, content)})
        found = axe.run(page, options=RULES)
        assert found.violations_count == 0, found.generate_report()
        over = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert over <= 0, f"{picture.name} is {over} px too wide at {width}"


def pictures_directory(fallback: Path) -> Path:
    """Give where pictures are kept."""
    named = os.environ.get("SCREENSHOTS")
    directory = Path(named) if named else fallback
    directory.mkdir(parents=True, exist_ok=True)
    return directory
