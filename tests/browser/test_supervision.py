"""A supervisor's month in a real Chromium, over each kind of database: what was synced, what to ask about, who had seen what
of a disputed weight, and the log: a checkpoint taken away, the log altered behind the server's back, and found out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from server.audit import checkpoints
from tests.browser._window import Window, served
from tests.server._district import DISTRICT, Databases, District
from tests.server._people import add_person
from tests.server._supervised import Supervised, supervised
from tests.server.audit._intruder import tamper
from tests.server.web._clinic import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.postgresql]
MARCH = "bulan=2026-03"


@dataclass
class Desk:
    month: Supervised
    window: Window


@pytest.fixture(scope="module")
def desk(postgresql_databases: Databases, browser: Browser, pictures: Path) -> Iterator[Desk]:
    """Serve a month to ask about, and sign the supervisor of the district in."""
    with District.opened(postgresql_databases, cookie_secure=False) as district:
        month, hub, now = supervised(district), district.hub, district.clock.now
        add_person(hub, "pengawas", "Pengawas Contoh", "supervisor", "district", DISTRICT, PASSWORD, now)
        with hub.database.transaction() as session:
            checkpoints.make(session, hub, now, actor="operator")
        with (
            served(district) as url,
            Window.opened(browser, url, pictures) as window,
        ):
            window.sign_in("pengawas")
            yield Desk(month, window)


def test_a_supervisor_follows_a_month_down_to_one_record(desk: Desk) -> None:
    page, look = desk.window.page, desk.window.look
    page.goto(f"/audit?{MARCH}")
    expect(page.get_by_role("link", name="Pengawasan")).to_have_attribute("aria-current", "page")
    expect(page.get_by_text("nomornya sudah dipakai untuk isi lain")).to_be_visible()
    look("audit")
    page.get_by_role("link", name="Per tablet").click()
    expect(page.get_by_role("row", name="Tablet C")).to_contain_text("2 jam terlalu cepat")
    look("audit-tablet")
    page.get_by_role("link", name="Per kader").click()
    look("audit-kader")
    with page.expect_download() as taken:
        page.get_by_role("link", name="Ambil sebagai berkas (CSV)").click()
    assert taken.value.suggested_filename == "kiriman-2026-03-kader.csv"
    page.get_by_role("link", name="Perlu ditanyakan").click()
    expect(page.get_by_text("9 dari 10 anak: +300 g")).to_be_visible()
    look("audit-pola")
    page.get_by_role("link", name="Kelengkapan", exact=True).click()
    expect(page.get_by_text("2 perubahan masih di tablet")).to_be_visible()
    look("audit-kelengkapan")
    page.goto(f"/audit/kiriman?{MARCH}")
    look("audit-kiriman")
    page.goto(f"/audit/kiriman?{MARCH}&tablet={desk.month.night.id}")
    page.get_by_role("link", name="5 Mar 2026").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Kiriman 5 Mar 2026")
    look("audit-satu-kiriman")
    page.get_by_role("link", name="Siapa sudah melihat apa").first.click()
    expect(page.get_by_role("img", name="Perubahan pada catatan ini")).to_be_visible()
    expect(page.get_by_text("8,20 kg")).to_have_count(0)
    look("audit-riwayat")
    page.get_by_role("link", name="Tampilkan nilai").click()
    expect(page.get_by_text("8,20 kg")).to_be_visible()
    look("audit-riwayat-nilai")


def test_the_log_is_verified_and_an_entry_altered_behind_the_server_is_named(
    desk: Desk, tmp_path: Path
) -> None:
    page, look = desk.window.page, desk.window.look
    page.goto("/audit/catatan")
    look("audit-catatan")
    with page.expect_download() as taken:
        page.get_by_role("link", name="Unduh 1").click()
    kept = tmp_path / taken.value.suggested_filename
    taken.value.save_as(kept)
    page.get_by_label("Titik periksa yang Anda simpan").set_input_files(kept)
    page.get_by_role("button", name="Periksa sekarang").click()
    expect(page.get_by_role("heading", name="Catatan audit cocok")).to_be_visible()
    look("audit-cocok")
    stream = f"post/{desk.month.district.posts[0]}"
    tamper(
        desk.month.district,
        f"UPDATE audit_entry SET actor = 'operator' WHERE stream = '{stream}' AND number = 3",  # noqa: S608
    )
    page.get_by_label("Titik periksa yang Anda simpan").set_input_files(kept)
    page.get_by_role("button", name="Periksa sekarang").click()
    expect(page.get_by_role("heading", name="Catatan audit tidak cocok")).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("Melati 1")
    look("audit-tidak-cocok")
