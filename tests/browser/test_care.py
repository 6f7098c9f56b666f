"""From flag to follow-up in a real Chromium, over each kind of database: the queue, search, kept views; charge, referral and
its letter, second measurement, PMT course, closing; two people at once. Every page is looked at by axe at both widths, once:
it is the same page over either database.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests._time_zone import QUIET_ZONE
from tests.browser._window import Window, served
from tests.server._district import Databases, District
from tests.server.web._clinic import Clinic

pytestmark = pytest.mark.browser


@dataclass
class Desk:
    """A served clinic whose children were measured this month, and two people at their windows."""

    clinic: Clinic
    mine: Window
    other: Window
    stunted: str
    wasted: str
    red: str

    @property
    def page(self) -> Page:
        return self.mine.page

    def open(self, child_id: str) -> None:
        self.page.goto(f"/anak/{child_id}")


@pytest.fixture(scope="module")
def desk(sqlite_databases: Databases, browser: Browser, pictures: Path) -> Iterator[Desk]:
    with District.opened(sqlite_databases, cookie_secure=False, time_zone=QUIET_ZONE) as district:
        district.clock.now = datetime.now(UTC)  # the server's own: what is due is due today
        today = district.hub.settings.today(district.clock.now)
        days = tuple((today - timedelta(days=30 * back + 1)).isoformat() for back in (3, 2, 1, 0))
        clinic = Clinic.opened(district)
        born = (today - timedelta(days=420)).isoformat()
        stunted = clinic.child("Anak Pendek Contoh", haz=-2.4, waz=-1, days=days, born_on=born)
        wasted = clinic.child("Anak Kurus Contoh", haz=0, waz=-1.7, days=days, born_on=born)
        red = clinic.child("Anak Merah Contoh", haz=-3.4, waz=-3.6, days=days, born_on=born)
        first, second = clinic.person().username, clinic.person("staff", "district", "64.02").username
        with (
            served(district) as url,
            Window.opened(browser, url, pictures) as mine,
            Window.opened(browser, url, pictures) as other,
        ):
            mine.sign_in(first)
            other.sign_in(second)
            yield Desk(clinic, mine, other, stunted, wasted, red)


def test_queue_shows_whom_to_see_first_and_is_filtered_and_kept(desk: Desk) -> None:
    page = desk.page
    page.goto("/antrean")
    expect(page.locator(".child-link").first).to_have_text("Anak Merah Contoh")
    desk.mine.look("antrean")
    page.get_by_role("link", name="Minggu ini").click()
    page.get_by_text("Saringan lain").click()
    page.get_by_label("Alasan").select_option("stunted")
    page.get_by_role("button", name="Tampilkan").click()
    expect(page.locator(".child-link")).to_have_count(1)
    page.get_by_text("Simpan tampilan ini").click()
    page.get_by_label("Nama", exact=True).fill("Pendek minggu ini")
    page.get_by_role("button", name="Simpan", exact=True).click()
    desk.mine.look("antrean-tersimpan")
    page.goto("/antrean")
    page.get_by_role("link", name="Pendek minggu ini").click()
    expect(page.locator(".child-link")).to_have_count(1)
    page.get_by_role("button", name="Lupakan tampilan Pendek minggu ini").click()
    expect(page.get_by_role("link", name="Pendek minggu ini")).to_have_count(0)
    page.goto("/antrean?status=closed")
    expect(page.get_by_role("heading", name="Tidak ada anak yang sesuai dengan saringan ini")).to_be_visible()
    desk.mine.look("antrean-kosong")


def test_queue_is_walked_by_keys_and_searched(desk: Desk) -> None:
    page = desk.page
    page.goto("/antrean")
    for key in ("j", "j", "k"):
        page.keyboard.press(key)
    expect(page.locator(".child-link").first).to_be_focused()
    page.keyboard.press("/")
    page.keyboard.type("kurus con")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Anak Kurus Contoh")).to_be_visible()
    assert "kurus" not in page.url
    desk.mine.look("cari")
    page.get_by_label("Nama anak atau ibu").fill("tidak ada")
    page.get_by_role("button", name="Cari").click()
    expect(page.get_by_role("heading", name="Tidak ada anak dengan nama itu di sini")).to_be_visible()


def test_a_red_child_is_taken_referred_and_gets_a_letter(desk: Desk) -> None:
    page = desk.page
    desk.open(desk.red)
    page.get_by_role("button", name="Tangani anak ini").click()
    expect(page.get_by_text("Ditangani oleh: saya")).to_be_visible()
    page.get_by_role("link", name="Rujuk, kunjungi").click()
    desk.mine.look("rencana")
    page.get_by_label("Rujuk ke rumah sakit").check()
    page.get_by_label("Catatan").fill("Poli anak.\nLemas sejak dua hari.")
    page.get_by_role("button", name="Simpan").click()
    expect(page.locator("#tindak").get_by_text("Lemas sejak dua hari.")).to_be_visible()
    desk.mine.look("anak-ditangani")
    address = page.get_by_role("link", name="Surat (PDF)").get_attribute("href")
    letter = page.request.get(str(address))
    assert (letter.status, letter.headers["content-type"]) == (200, "application/pdf")
    (desk.mine.pictures / "surat-rujukan.pdf").write_bytes(letter.body())
    page.get_by_role("link", name="Catat hasil").click()
    page.get_by_label("Membaik").check()
    desk.mine.look("hasil")
    page.get_by_role("button", name="Simpan").click()
    expect(page.get_by_text("Hasilnya sudah dicatat.")).to_be_visible()


def test_a_second_measurement_clears_what_was_indicated(desk: Desk) -> None:
    page = desk.page
    desk.open(desk.stunted)
    expect(page.get_by_text("Terindikasi pendek (TB/U < -2 SD)").first).to_be_visible()
    page.get_by_role("link", name="Ukur ulang").click()
    page.get_by_label("Berat (kg)").fill("delapan")
    page.get_by_role("button", name="Simpan").click()
    expect(page.get_by_text("bukan angka kg").first).to_be_visible()
    desk.mine.forgive("422")
    desk.mine.look("ukur-ulang-salah")
    page.get_by_label("Berat (kg)").fill("9,4")
    page.get_by_label("Panjang/tinggi (cm)").fill("77,5")
    page.get_by_role("button", name="Simpan").click()
    expect(page.get_by_text("Pengukuran ulang tidak memastikannya.")).to_be_visible()
    expect(page.get_by_text("Terindikasi pendek")).to_have_count(0)
    desk.mine.look("anak-diukur-ulang")


def test_a_wasted_child_gets_a_course_with_weekly_checks_and_its_tablet_gets_them(desk: Desk) -> None:
    page = desk.page
    desk.open(desk.wasted)
    page.get_by_role("link", name="Mulai paket PMT").click()
    desk.mine.look("pmt")
    page.get_by_label("Sumber dana").select_option("dak")
    page.get_by_role("button", name="Simpan").click()
    expect(page.get_by_text("minggu ke-1", exact=True)).to_be_visible()
    desk.clinic.first.sync_until_quiet()
    tasks = [ref for ref in desk.clinic.first.replica.base if ref[0] == "follow_up"]
    assert len(tasks) >= 9
    week = page.locator(".task", has_text="minggu ke-1")
    week.get_by_role("link", name="Catat hasil").click()
    page.get_by_label("PMT dilanjutkan").check()
    page.get_by_label("Hari PMT dimakan").fill("6")
    desk.mine.look("pmt-minggu")
    page.get_by_role("button", name="Simpan").click()
    expect(page.get_by_text("minggu ke-2", exact=True)).to_be_visible()


def test_two_people_at_once_lose_nothing(desk: Desk) -> None:
    mine, other = desk.mine.page, desk.other.page
    for page in (mine, other):
        page.goto(f"/anak/{desk.wasted}/tindak/plan")
        page.get_by_label("Kunjungan rumah").check()
    mine.get_by_label("Catatan").fill("dari petugas satu")
    other.get_by_label("Catatan").fill("dari petugas dua")
    for page in (mine, other):
        page.get_by_role("button", name="Simpan").click()
    mine.reload()
    for text in ("dari petugas satu", "dari petugas dua"):
        expect(mine.locator("#tindak").get_by_text(text)).to_be_visible()
    answers = [page.locator(".task", has_text="dari petugas satu") for page in (mine, other)]
    other.reload()
    for answer, page, outcome in zip(answers, (mine, other), ("Membaik", "Memburuk"), strict=True):
        answer.get_by_role("link", name="Catat hasil").click()
        page.get_by_label(outcome).check()
    for page in (mine, other):
        page.get_by_role("button", name="Simpan").click()
    mine.goto(f"/anak/{desk.wasted}")
    mine.locator(".care-done summary").click()
    expect(mine.locator(".care-done .told").filter(has_text="Membaik")).to_be_visible()
    expect(mine.locator(".care-done .told").filter(has_text="Memburuk")).to_be_visible()
    desk.mine.look("dua-hasil")
    mine.get_by_role("link", name="Dua hasil: pilih yang benar").click()
    mine.get_by_label("Membaik").check()
    mine.get_by_role("button", name="Simpan").click()
    expect(mine.get_by_text("Dua hasil")).to_have_count(0)


def test_a_case_is_closed_and_leaves_the_queue(desk: Desk) -> None:
    page = desk.page
    desk.open(desk.red)
    page.get_by_role("link", name="Tutup kasus").click()
    desk.mine.look("tutup")
    page.get_by_label("Ditangani fasilitas lain").check()
    page.get_by_role("button", name="Simpan").click()
    expect(page.get_by_text("Kasus ditutup.")).to_be_visible()
    page.goto("/antrean")
    expect(page.get_by_role("link", name="Anak Merah Contoh")).to_have_count(0)
    page.get_by_role("link", name="Ditutup 1", exact=True).click()
    expect(page.get_by_role("link", name="Anak Merah Contoh")).to_be_visible()


def test_deciding_works_without_javascript(desk: Desk, browser: Browser) -> None:
    context = browser.new_context(base_url=desk.page.url.split("/antrean")[0], java_script_enabled=False)
    page = context.new_page()
    window = Window(page, desk.mine.pictures)
    window.sign_in(desk.clinic.person("staff", "post", desk.clinic.district.posts[0]).username)
    page.get_by_role("link", name="Anak Kurus Contoh").click()
    page.get_by_role("button", name="Tangani anak ini").click()
    expect(page.get_by_text("Ditangani oleh: saya")).to_be_visible()
    context.close()
