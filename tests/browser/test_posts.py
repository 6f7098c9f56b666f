"""Posts and tablets in a real Chromium, over each kind of database: read a post's quality, print the list, enrol, revoke,
lose a tablet. Every page is looked at by axe, at a desk and on a phone, and kept as a picture.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.request import Request, urlopen

import orjson
import pytest
from playwright.sync_api import Browser, Page, expect

from server.crypto.vault import SigningKey
from tests._time_zone import QUIET_ZONE
from tests.browser._window import Window, served
from tests.server._district import DISTRICT, Databases, District
from tests.server.web._posts import CHILDREN, Posyandu, open_posyandu

pytestmark = pytest.mark.browser


@dataclass
class Desk:
    """A served posyandu and the window of somebody who is signed in."""

    posyandu: Posyandu
    url: str
    window: Window

    @property
    def page(self) -> Page:
        return self.window.page

    def look(self, name: str) -> None:
        self.window.look(name)


@pytest.fixture(scope="module")
def desk(sqlite_databases: Databases, browser: Browser, pictures: Path) -> Iterator[Desk]:
    """Serve a posyandu that was measured today over real HTTP, and sign somebody of its health centre in."""
    with District.opened(sqlite_databases, cookie_secure=False, time_zone=QUIET_ZONE) as district:
        posyandu = open_posyandu(district)
        username = posyandu.clinic.person().username
        with (
            served(district) as url,
            Window.opened(browser, url, pictures) as window,
        ):
            window.sign_in(username)
            yield Desk(posyandu, url, window)


def test_staff_read_how_well_a_post_measures(desk: Desk) -> None:
    page = desk.page
    page.goto("/pos")
    expect(page.get_by_role("row")).to_have_count(3)
    desk.look("pos")
    page.get_by_role("link", name="Melati 1", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Melati 1")
    expect(page.get_by_text("Panjang/tinggi sering dibulatkan")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Angka terakhir: (Panjang|Tinggi)"))).to_be_visible()
    desk.look("pos-melati")
    page.get_by_text("Semua angka, dan pembandingnya").click()
    expect(page.get_by_role("cell", name="paling banyak 1 %")).to_be_visible()
    desk.look("pos-melati-semua-angka")
    page.get_by_role("link", name="Semua posyandu").click()
    page.get_by_role("link", name="Anggrek 2", exact=True).click()
    expect(page.get_by_text("Data masih terlalu sedikit untuk dinilai")).to_be_visible()
    desk.look("pos-anggrek-terlalu-sedikit")
    page.get_by_role("link", name="Seluruh puskesmas").click()
    expect(page.get_by_text("Gabungan 2 posyandu")).to_be_visible()


def test_staff_print_the_list_of_a_posyandu_day(desk: Desk) -> None:
    page = desk.page
    page.goto(f"/pos/{desk.posyandu.post}")
    page.get_by_role("link", name="Daftar hari posyandu").click()
    page.get_by_label("Hari posyandu").fill(next_vitamin_a(desk.posyandu.today))
    page.get_by_role("button", name="Tampilkan").click()
    expect(page.get_by_role("columnheader", name="Vitamin A")).to_be_visible()
    desk.look("daftar")
    page.emulate_media(media="print")
    page.screenshot(path=desk.window.pictures / "daftar-cetak.png", full_page=True)
    expect(page.get_by_role("button", name="Tampilkan")).to_be_hidden()
    sheet = page.pdf(prefer_css_page_size=True)
    (desk.window.pictures / "daftar.pdf").write_bytes(sheet)
    page.emulate_media(media="screen")
    sizes = {tuple(map(round, map(float, box.split()))) for box in _boxes(sheet)}
    assert sizes == {(0, 0, 842, 595)}  # A4, lying


def test_staff_print_stickers_for_whom_they_choose(desk: Desk) -> None:
    page = desk.page
    page.goto(f"/pos/{desk.posyandu.post}")
    page.get_by_role("link", name="Stiker Buku KIA").click()
    expect(page.locator(".sticker")).to_have_count(CHILDREN)
    desk.look("stiker")
    page.set_viewport_size({"width": 794, "height": 1123})  # A4
    page.emulate_media(media="print")
    page.screenshot(path=desk.window.pictures / "stiker-cetak.png")
    sheet = page.pdf(prefer_css_page_size=True)
    (desk.window.pictures / "stiker.pdf").write_bytes(sheet)
    boxes = [page.locator(".sticker").nth(at).bounding_box() for at in (0, 1, 3)]
    page.emulate_media(media="screen")
    page.get_by_role("checkbox").nth(1).uncheck()
    page.get_by_label("Cetak nama anak").uncheck()
    page.emulate_media(media="print")
    shown = [page.locator(f".sticker {part}:visible").count() for part in (".code", ".name")]
    page.emulate_media(media="screen")
    page.set_viewport_size({"width": 1280, "height": 800})
    first, right, below = [
        _millimetres(box["x"], box["y"], box["width"], box["height"]) for box in boxes if box
    ]
    assert first == pytest.approx([0, 0, 70, 37], abs=0.3)
    assert right == pytest.approx([70, 0, 70, 37], abs=0.3)
    assert below == pytest.approx([0, 37, 70, 37], abs=0.3)
    assert shown == [CHILDREN - 1, 0]
    assert {tuple(map(round, map(float, box.split()))) for box in _boxes(sheet)} == {(0, 0, 595, 842)}


def _millimetres(*pixels: float) -> list[float]:
    return [length / 96 * 25.4 for length in pixels]


def next_vitamin_a(today: date) -> str:
    """Give a day of the next February or August, which comes within half a year."""
    year, month = (
        (today.year, 2) if today.month < 2 else (today.year, 8) if today.month < 8 else (today.year + 1, 2)
    )
    return date(year, month, 12).isoformat()


def _boxes(sheet: bytes) -> list[str]:
    """Give the size of each page of a PDF."""
    return [box.decode() for box in re.findall(rb"/MediaBox \[([^\]]+)\]", sheet)]


def test_a_tablet_is_enrolled_with_the_code_shown_then_revoked(desk: Desk) -> None:
    page = desk.page
    page.goto("/tablet")
    page.get_by_role("link", name="Daftarkan tablet").click()
    desk.look("tablet-daftar")
    page.get_by_label("Posyandu", exact=True).select_option("Melati 1")
    page.get_by_label("Nama tablet").fill("Tablet 9")
    page.get_by_role("button", name="Buat kode").click()
    code = page.locator("#code").inner_text()
    expect(page.get_by_role("img", name="Kode QR")).to_be_visible()
    desk.look("tablet-kode")
    assert enrol(desk.url, code) == 200
    assert enrol(desk.url, code) == 403  # another key: the code is used
    page.goto(f"/tablet?pos={desk.posyandu.post}")
    row = page.get_by_role("row", name=re.compile("Tablet 9"))
    expect(row).to_contain_text("belum pernah sinkron")
    row.get_by_role("link", name="Cabut").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Cabut Tablet 9?")
    desk.look("tablet-cabut")
    page.get_by_role("button", name="Cabut tablet ini").click()
    expect(page.get_by_role("row", name=re.compile("Tablet 9"))).to_contain_text("dicabut")


def enrol(url: str, code: str) -> int:
    """Send a code as a device does; give the status."""
    asked = {"code": code, "public_key": SigningKey().jwk(), "app": "contoh 0.1", "device": "uji"}
    request = Request(f"{url}/api/v1/enrol", orjson.dumps(asked), {"Content-Type": "application/json"})  # noqa: S310  # our own server
    try:
        with urlopen(request) as answer:  # noqa: S310  # our own server
            return int(answer.status)
    except OSError as refused:
        return int(getattr(refused, "code", 0))


def test_the_steps_for_a_lost_tablet_are_gone_through(desk: Desk) -> None:
    page, lost = desk.page, desk.posyandu.clinic.first
    wrong_clock(desk.posyandu)
    page.goto("/tablet")
    expect(page.get_by_text("terlalu cepat").first).to_be_visible()
    desk.look("tablet")
    row = page.get_by_role("row", name=re.compile("Tablet A"))
    row.get_by_role("link", name="Hilang?").click()
    expect(page.get_by_role("heading", name=f"Data {CHILDREN + 1} anak ada di tablet itu")).to_be_visible()
    desk.look("tablet-hilang")
    with page.expect_download() as taken:
        page.get_by_role("link", name="Ambil daftar sebagai berkas").click()
    text = Path(str(taken.value.path())).read_text("utf-8-sig")
    assert len(text.splitlines()) == CHILDREN + 2
    page.get_by_role("link", name="Cabut tablet ini").click()
    page.get_by_role("button", name="Cabut tablet ini").click()
    page.wait_for_url(f"**/tablet/{lost.id}/hilang")
    expect(page.get_by_text("Tablet tidak lagi menerima data anak.")).to_be_visible()
    page.get_by_role("link", name="English").click()
    expect(page.get_by_role("heading", name=f"Data of {CHILDREN + 1} children was on it")).to_be_visible()
    page.get_by_role("link", name="Bahasa Indonesia").click()


def wrong_clock(posyandu: Posyandu) -> None:
    """Let the first tablet sync while its clock is two hours and five minutes fast."""
    tablet, now = posyandu.clinic.first, datetime.now(UTC)
    posyandu.district.clock.now = now
    fast = (now + timedelta(hours=2, minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    batch = tablet.replica.next_batch(posyandu.district.new_id(), fast)
    tablet.replica.receive(tablet.send(tablet.signed(batch)), fast)


def test_supervisor_adds_a_posyandu_and_closes_it(desk: Desk, browser: Browser, pictures: Path) -> None:
    username = desk.posyandu.clinic.person("supervisor", "district", DISTRICT).username
    with Window.opened(browser, desk.url, pictures) as window:
        window.sign_in(username)
        page = window.page
        page.goto("/pos")
        page.get_by_role("link", name="Kelola posyandu").click()
        window.look("pos-kelola")
        page.get_by_label("Nama posyandu").first.fill("Mawar 9")
        page.get_by_label("Desa").fill("Sumber Sari")
        page.get_by_role("button", name="Tambahkan").click()
        expect(page.get_by_role("alert")).to_contain_text("64.02.02.2014")
        window.forgive("422")
        window.look("pos-kelola-ditolak")
        page.get_by_label("Desa").fill("Melayu")
        page.get_by_label("Puskesmas").fill("Puskesmas Lain")
        page.get_by_role("button", name="Tambahkan").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Mawar 9")
        window.look("pos-mawar-kelola")
        page.get_by_role("button", name="Tutup posyandu ini").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("ditutup")
        window.look("pos-mawar-ditutup")
        page.get_by_role("button", name="Buka kembali").click()
        expect(page.get_by_role("button", name="Tutup posyandu ini")).to_be_visible()
        page.goto("/pos/kelola")
        page.get_by_role("link", name="Melati 1").click()
        window.look("pos-melati-kelola")
