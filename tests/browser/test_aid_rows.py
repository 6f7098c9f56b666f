"""Aid at the desk in a real Chromium: staff find whose a row is that gives a name alone, and close a commitment."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser._window import Window, served
from tests.server._district import DISTRICT, District
from tests.server.web._aid_office import NAME, Office

pytestmark = pytest.mark.browser


def test_row_is_given_to_the_child_and_a_commitment_is_closed(
    on_sqlite: District, browser: Browser, pictures: Path
) -> None:
    office = Office(on_sqlite)
    office.clinic.child(NAME, parents={"mother": "Ibu Contoh", "father": None})
    office.clinic.child("Budi Lain")
    (activity,) = office.sheet(f"PMT balita;Jahab;1/3/2026;{NAME}")
    staff = office.clinic.person("staff", "district", DISTRICT)
    with served(on_sqlite, office.app) as url, Window.opened(browser, url, pictures) as window:
        page = window.page
        window.sign_in(staff.username)
        page.goto(f"/bantuan/lembar/{office.row(activity).sheet_id}")
        window.look("aid-row-unmatched")
        page.get_by_role("link", name="Cari anak penerimanya").click()
        window.look("aid-whose")
        page.get_by_label("Nama anak atau ibu").fill("budi")
        page.get_by_role("button", name="Cari", exact=True).click()
        page.get_by_role("button", name="Ini anaknya").filter(has_text=NAME).click()
        expect(page.get_by_text("Menjadi bantuan anak itu")).to_be_visible()
        page.goto("/bantuan/donatur")
        page.locator("summary", has_text="Tutup").click()
        page.get_by_label("Alasan").select_option("ended")
        window.look("aid-closing")
        page.get_by_role("button", name="Tutup komitmen ini").click()
        expect(page.get_by_role("cell", name="Ditutup")).to_be_visible()
