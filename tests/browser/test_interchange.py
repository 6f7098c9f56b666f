"""The formats of others in a real Chromium, over each kind of database: a dirty Sigizi file is looked at, applied, decided
about; data are taken away. Every page is looked at by axe at both widths, and kept as a picture.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from server.interchange import import_chunks, uploads as files
from tests.browser._window import Window, served
from tests.server._district import DISTRICT, Databases, District
from tests.server.interchange._files import html, row
from tests.server.web._clinic import Clinic

pytestmark = pytest.mark.browser

DIRTY = [
    row(),
    row(
        NIK="02022**********", Nama="Anak Koma Contoh", Nama_Ortu="- / Ibu Koma", Berat="9,25", ZS_BB_U="-2,9"
    ),
    row(NIK="", Nama="Anak Gram Contoh", Nama_Ortu="- / Ibu Gram", Berat="9500", ZS_BB_U="Outlier"),
    row(NIK="", Nama="Anak Jam Contoh", Berat="09:30"),
    row(NIK="", Nama="Anak Besok Contoh", Tanggal_Pengukuran="2031-01-01"),
    row(NIK="", Nama="Anak Mei Contoh", Berat="2026-05-09"),
    row(NIK="", Nama="Anak Jauh Contoh", Posyandu="Posyandu Hilang"),
    row(NIK="", Nama="Anak Mirip Contoh", Nama_Ortu="-"),
    row(No="9", Berat="8.8"),
]


@dataclass
class Desk:
    """A served clinic with a child whom a row may mean, and the window of somebody of the district."""

    clinic: Clinic
    window: Window

    @property
    def page(self) -> Page:
        return self.window.page


@pytest.fixture(scope="module")
def desk(sqlite_databases: Databases, browser: Browser, pictures: Path) -> Iterator[Desk]:
    with District.opened(sqlite_databases, cookie_secure=False) as district:
        clinic = Clinic.opened(district)
        parents: dict[str, object] = {"mother": "Ibu Sini", "father": "Bapak Sini", "phone": None}
        clinic.child("Anak Mirip Contoh", parents=parents)
        username = clinic.person("staff", "district", DISTRICT).username
        with (
            served(district) as url,
            Window.opened(browser, url, pictures) as window,
        ):
            window.sign_in(username)
            yield Desk(clinic, window)


def test_dirty_file_is_looked_at_applied_and_decided_about(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = desk.page
    page.get_by_role("link", name="Impor dan ekspor").click()
    desk.window.look("pertukaran")
    file = tmp_path / "daftar-balita.xls"
    file.write_bytes(html(DIRTY))
    page.get_by_label("Berkas dari Sigizi").set_input_files(file)
    look = page.get_by_role("button", name="Lihat dahulu")
    # as on a line so slow that nothing is answered yet
    stay = "button => button.form.addEventListener('submit', event => event.preventDefault(), { once: true })"
    look.evaluate(stay)
    look.click()
    expect(page.get_by_role("status")).to_contain_text("Berkas sedang dikirim dan dilihat")
    expect(look).to_be_disabled()
    desk.window.look("pertukaran-dikirim")
    look.evaluate("button => { button.disabled = false; }")
    look.click()
    expect(page.get_by_text("Inilah yang akan terjadi. Belum ada yang disimpan.")).to_be_visible()
    expect(page.get_by_text("Excel mengubah angka menjadi tanggal").first).to_be_visible()
    expect(page.get_by_role("heading", name="Skor-z berkas dan hitungan di sini")).to_be_visible()
    desk.window.look("pertukaran-berkas")
    # as slow as a long file: a step takes one chunk of two rows, and the page goes on by itself
    monkeypatch.setattr(import_chunks, "CHUNK_ROWS", 2)
    monkeypatch.setattr(files, "STEP_SECONDS", 0.0)
    page.get_by_role("button", name="Terapkan").click()
    expect(page.get_by_text("Diterapkan", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="2 baris menunggu keputusan")).to_be_visible()
    desk.window.look("pertukaran-diterapkan")
    page.get_by_role("link", name="2 baris menunggu keputusan").click()
    expect(page.get_by_text("Bapak Sini / Ibu Sini")).to_be_visible()
    expect(page.get_by_role("row", name="Berat 8,80 kg 9,60 kg")).to_be_visible()
    desk.window.look("pertukaran-keputusan")
    page.get_by_role("button", name="Ini anaknya").click()
    expect(page.get_by_role("status")).to_contain_text("Tersimpan")
    for _ in range(2):  # the child's weight of that day is another here, too
        page.get_by_role("button", name="Isi di sini yang benar").first.click()
    expect(page.get_by_role("heading", name="Tidak ada baris yang menunggu")).to_be_visible()
    desk.window.look("pertukaran-selesai")


def test_run_that_was_cut_short_is_gone_on_with(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = desk.page
    monkeypatch.setattr(import_chunks, "CHUNK_ROWS", 2)
    monkeypatch.setattr(files, "STEP_SECONDS", 0.0)
    file = tmp_path / "daftar-balita.xls"
    many = [row(NIK="", Nama=f"Anak Nomor {n}", Nama_Ortu=f"- / Ibu {n}") for n in range(4)]
    file.write_bytes(html(many))
    page.goto("/pertukaran")
    page.get_by_label("Berkas dari Sigizi").set_input_files(file)
    page.get_by_role("button", name="Lihat dahulu").click()
    page.route("**/interchange.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    page.get_by_role("button", name="Terapkan").click()
    expect(page.get_by_role("heading", name="2 dari 4 baris selesai")).to_be_visible()
    desk.window.look("pertukaran-berjalan")
    page.get_by_role("button", name="Lanjutkan").click()
    expect(page.get_by_text("Diterapkan", exact=True)).to_be_visible()
    page.unroute("**/interchange.js")


def test_children_are_taken_away_as_a_sheet(desk: Desk) -> None:
    page = desk.page
    page.goto("/pertukaran")
    page.get_by_label("Diukur dari").fill("2026-03-01")
    page.get_by_label("sampai").fill("2026-03-31")
    page.get_by_label("Jenis berkas Sigizi").select_option("CSV")
    page.get_by_label("Wilayah").select_option(label="Melati 1 (Puskesmas Contoh)")
    with page.expect_download() as taken:
        page.get_by_role("button", name="Unduh").click()
    text = Path(str(taken.value.path())).read_text("utf-8-sig")
    assert "Anak Mirip Contoh" in {line["Nama"] for line in csv.DictReader(io.StringIO(text))}
    page.get_by_label("sampai").fill("2026-02-01")
    page.get_by_role("button", name="Unduh").click()
    expect(page.get_by_role("alert")).to_contain_text("Hari terakhir")
    desk.window.forgive("422")
    desk.window.look("pertukaran-salah")
    page.goto("/pertukaran")
    page.get_by_role("link", name="English").click()
    expect(page.get_by_role("heading", name="Import and export")).to_be_visible()
    desk.window.look("pertukaran-en")
    page.get_by_role("link", name="Bahasa Indonesia").click()
