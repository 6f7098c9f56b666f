"""Figures in a real Chromium, over each kind of database: a supervisor goes from the regency down to a posyandu, TPPS of a
village sees no small number. Pages are looked at by axe, at a desk and on a phone, and kept as a picture.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from server import reports
from tests.browser._window import Window, served
from tests.server._district import DISTRICT, Databases, District
from tests.server.web._clinic import PASSWORD, Clinic

pytestmark = pytest.mark.browser

VILLAGE = "64.02.06.1001"
MARCH = "bulan=2026-03"


@dataclass
class Served:
    """A clinic over real HTTP."""

    clinic: Clinic
    url: str


@pytest.fixture(scope="module")
def clinic(sqlite_databases: Databases) -> Iterator[Served]:
    """Serve a clinic whose children were measured for months and counted."""
    with District.opened(sqlite_databases, cookie_secure=False) as district:
        clinic = Clinic.opened(district)
        for number in range(14):
            clinic.child(
                f"Anak {number}",
                haz=-2.6 if number < 3 else 0.2,
                gaining=number % 3 > 0,
                tablet=clinic.second if number > 7 else None,
                books={"kia": True, "kms": False},
            )
        reports.refresh(district.hub, district.clock.now, actor="test")
        with served(district) as url:
            yield Served(clinic, url)


@pytest.fixture
def window(clinic: Served, browser: Browser, pictures: Path) -> Iterator[Window]:
    with Window.opened(browser, clinic.url, pictures) as opened:
        yield opened


def test_supervisor_goes_from_the_regency_down_to_a_posyandu(clinic: Served, window: Window) -> None:
    window.sign_in(clinic.clinic.person("supervisor", "district", DISTRICT).username)
    page = window.page
    page.goto(f"/angka/kabupaten/{DISTRICT}?{MARCH}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Kutai Kartanegara")
    window.look("angka-kabupaten")
    page.get_by_role("link", name="Terindikasi: pendek dan sangat pendek (stunting)").click()
    expect(page.get_by_role("img", name="Terindikasi: pendek dan sangat pendek (stunting)")).to_be_visible()
    for name in ("Tenggarong", "Jahab", "Melati 1"):
        page.get_by_role("link", name=name, exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
    window.look("angka-posyandu")
    page.get_by_text("Menurut jenis kelamin dan umur").click()
    expect(page.get_by_role("rowheader", name="Laki-laki 12-23")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="PDF").click()
    assert download.value.suggested_filename.endswith(".pdf")


def test_village_team_sees_its_figures_and_no_small_number(clinic: Served, window: Window) -> None:
    page = window.page
    page.goto("/masuk")
    page.get_by_label("Nama pengguna").fill(clinic.clinic.person("tpps", "village", VILLAGE).username)
    page.get_by_label("Kata sandi").fill(PASSWORD)
    page.get_by_role("button", name="Masuk").click()
    page.wait_for_url(f"**/angka/desa/{VILLAGE}")
    page.goto(f"/angka/desa/{VILLAGE}?{MARCH}&ukuran=indicated.stunted")
    expect(page.get_by_text("Angka di bawah lima disembunyikan", exact=False)).to_be_visible()
    expect(page.get_by_text("(3/14)")).to_have_count(0)
    expect(page.get_by_role("link", name="Melati 1", exact=True)).to_be_visible()
    window.look("angka-desa-tpps")
