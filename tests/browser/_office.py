"""A served office where everybody must have a second factor, and how people come in."""

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyotp
from playwright.sync_api import Browser, expect

from tests.browser._window import Window
from tests.server.web._clinic import Clinic


@dataclass
class Office:
    """A served clinic where everybody must have a second factor, and windows on it."""

    clinic: Clinic
    url: str
    browser: Browser
    pictures: Path
    windows: ExitStack

    def window(self) -> Window:
        return self.windows.enter_context(Window.opened(self.browser, self.url, self.pictures))


def give_password(window: Window, username: str, password: str) -> None:
    window.page.goto("/masuk")
    window.page.get_by_label("Nama pengguna").fill(username)
    window.page.get_by_label("Kata sandi").fill(password)
    window.page.get_by_role("button", name="Masuk", exact=True).click()


def set_up(window: Window) -> list[str]:
    """Do what the page for the second step asks; give the recovery codes."""
    expect(window.page.get_by_role("heading", level=1)).to_have_text("Pasang langkah kedua")
    expect(window.page.get_by_role("img", name="Kode QR")).to_be_visible()
    key = window.page.locator("code.key").inner_text().replace(" ", "")
    window.page.get_by_label("Kode enam angka").fill(pyotp.TOTP(key).at(datetime.now(UTC)))
    window.page.get_by_role("button", name="Pastikan").click()
    expect(window.page.get_by_role("heading", level=1)).to_have_text("Kode pemulihan Anda")
    return window.page.locator(".codes li").all_inner_texts()
