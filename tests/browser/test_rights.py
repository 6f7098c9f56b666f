"""Parents' rights in a real Chromium: a mother's request is written down, the child restricted, then erased by two people.
Every page is looked at by axe, at a desk and on a phone, and kept as a picture.
"""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser._window import Window, served
from tests.server._district import Databases, District
from tests.server.web._clinic import Clinic

pytestmark = pytest.mark.browser

NAME = "Anak Hak Contoh"


def ask(page: Page, what: str) -> None:
    """Write down what a mother asks, on the page of a child's rights."""
    page.get_by_role("group", name="Apa yang diminta orang tua?").get_by_label(what).check()
    page.get_by_label("Yang meminta").fill("Ibu Contoh")
    page.get_by_label("Yang disampaikan").fill("Kami minta ini karena pindah ke luar negeri.")
    page.get_by_role("button", name="Catat; waktu mulai berjalan").click()
    expect(page.get_by_role("status").first).to_contain_text("Permintaan dicatat")


def test_a_mother_asks_and_two_people_erase(
    sqlite_databases: Databases, browser: Browser, pictures: Path
) -> None:
    with District.opened(sqlite_databases, cookie_secure=False) as district:
        clinic = Clinic.opened(district)
        child = clinic.child(NAME)
        names = clinic.person().username, clinic.person("supervisor").username
        with served(district) as url:
            with Window.opened(browser, url, pictures) as window:
                page = window.page
                window.sign_in(names[0])
                page.goto(f"/anak/{child}")
                page.get_by_role("main").get_by_role("link", name="Hak orang tua").click()
                window.look("hak-anak")
                ask(page, "Menghentikan sementara pengolahan data")
                window.look("hak-anak-diminta")
                page.get_by_role("button", name="Batasi sekarang").click()
                expect(page.get_by_text("Pengolahan dibatasi sejak")).to_be_visible()
                ask(page, "Menghapus data anak")
                page.get_by_role("link", name="Hak orang tua").first.click()
                window.look("hak-semua")
                page.get_by_role("link", name=NAME).click()
                page.get_by_role("button", name="Usulkan penghapusan").click()
                window.look("hak-anak-dibatasi")
            with Window.opened(browser, url, pictures) as window:
                page = window.page
                window.sign_in(names[1])
                page.goto("/hak")
                page.get_by_role("link", name=NAME).click()
                window.look("hak-setuju")
                page.get_by_role("button", name="Setuju, hapus selamanya").click()
                expect(page.get_by_role("status")).to_contain_text("Data anak sudah dihapus")
                window.look("hak-selesai")
