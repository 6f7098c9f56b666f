"""Two browsers that Playwright cannot drive, or not wholly, as one pair of hands: Firefox, and the oldest Chromium.

Hides how each is started and spoken to, and how a control is found: by the text that a person reads on it.
"""

import os
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import BrowserType, Page

from tests._chromium import ARGUMENTS
from tests._firefox import firefox_path
from tests._old_chromium import old_chromium_path
from tests.browser._marionette import Marionette

PATIENCE_SECONDS: Final = 60.0
FIND: Final = """const [kind, text] = arguments;
const shown = (element) => element.getClientRects().length > 0;
const words = (element) => (element.getAttribute("aria-label") || element.textContent).replace(/\\s+/g, " ").trim();
document.querySelectorAll("[data-found]").forEach((element) => element.removeAttribute("data-found"));
const all = [...document.querySelectorAll(kind)].filter(shown);
const named = kind === "label" ? all.filter((one) => words(one) === text) : all.filter((one) => words(one).startsWith(text));
const found = kind === "label" ? named.map((one) => one.control).filter(Boolean) : named;
if (!found.length) return false;
found[0].setAttribute("data-found", "");
found[0].scrollIntoView({ block: "center" });
return true;"""
FOUND: Final = "[data-found]"


class Hands(ABC):
    """A browser with the app in it."""

    @abstractmethod
    def open(self, url: str) -> None:
        """Load a page; where the server does not answer, what a service worker gives of it."""

    @abstractmethod
    def evaluate(self, body: str, *arguments: Any) -> Any:
        """Run the body of a function in the page; give what it returns."""

    @abstractmethod
    def _press(self) -> None:
        """Tap what was found."""

    @abstractmethod
    def _type(self, text: str) -> None:
        """Tap what was found, and type."""

    def wait(self, body: str, *arguments: Any) -> None:
        """Wait until the body of a function returns true."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not self.evaluate(body, *arguments):
            shown = self.evaluate("return document.body.innerText;")
            assert time.monotonic() < end, f"{body} {arguments} does not come true; the page shows:\n{shown}"
            time.sleep(0.1)

    def wait_for(self, text: str) -> None:
        """Wait until a text is on the screen."""
        self.wait("return document.body.innerText.includes(arguments[0]);", text)

    def tap(self, text: str, kind: str = "button, a") -> None:
        """Tap the first control whose text or label begins so."""
        self.wait(FIND, kind, text)
        self._press()

    def type(self, label: str, text: str) -> None:
        """Type into the field with this label."""
        self.wait(FIND, "label", label)
        self._type(text)

    def version(self) -> str:
        return str(self.evaluate("return navigator.userAgent;"))


class FirefoxHands(Hands):
    """Firefox."""

    def __init__(self, driver: Marionette) -> None:
        self._driver = driver

    @classmethod
    @contextmanager
    def opened(cls) -> Iterator["FirefoxHands"]:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            port = _free_port()
            (Path(profile) / "user.js").write_text(f'user_pref("marionette.port", {port});\n')
            command = [firefox_path(), "--headless", "--marionette", "--no-remote", "--profile", profile]
            quiet = subprocess.DEVNULL
            process = subprocess.Popen(
                command, stdout=quiet, stderr=quiet, env={**os.environ, "HOME": profile}
            )
            try:
                with closing(Marionette(port, PATIENCE_SECONDS)) as driver:
                    yield cls(driver)
            finally:
                process.terminate()
                process.wait()

    def open(self, url: str) -> None:
        self._driver.command("WebDriver:Navigate", url=url)

    def evaluate(self, body: str, *arguments: Any) -> Any:
        return self._driver.command(
            "WebDriver:ExecuteScript", script=body, args=list(arguments), sandbox=None
        )

    def _press(self) -> None:
        self._driver.command("WebDriver:ElementClick", id=self._driver.find(FOUND))

    def _type(self, text: str) -> None:
        element = self._driver.find(FOUND)
        self._driver.command("WebDriver:ElementClear", id=element)
        self._driver.command("WebDriver:ElementSendKeys", id=element, text=text)


class OldChromiumHands(Hands):
    """The oldest Chromium: Playwright starts it, but what it asks of elements is newer than the browser."""

    def __init__(self, page: Page) -> None:
        self._page = page

    @classmethod
    @contextmanager
    def opened(cls, chromium: BrowserType) -> Iterator["OldChromiumHands"]:
        path = old_chromium_path()
        more = ["--disable-gpu", "--no-zygote"]
        environment: dict[str, str | float | bool] = {
            **os.environ,
            "LD_LIBRARY_PATH": str(path.parent / "lib"),
        }
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            context = chromium.launch_persistent_context(
                profile, executable_path=path, args=[*ARGUMENTS, *more], env=environment
            )
            try:
                yield cls(context.pages[0])
            finally:
                context.close()

    def open(self, url: str) -> None:
        self._page.goto(url)

    def evaluate(self, body: str, *arguments: Any) -> Any:
        return self._page.evaluate(
            f"(given) => (function () {{ {body} }}).apply(null, given)", list(arguments)
        )

    def _press(self) -> None:
        box = self.evaluate(
            "const { left, top, width, height } = document.querySelector(arguments[0]).getBoundingClientRect();"
            "return [left + width / 2, top + height / 2];",
            FOUND,
        )
        self._page.mouse.click(*box)

    def _type(self, text: str) -> None:
        self.evaluate("document.querySelector(arguments[0]).select();", FOUND)
        self._page.keyboard.type(text)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
