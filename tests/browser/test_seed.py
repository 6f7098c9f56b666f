"""The story that all this began with, in a real Chromium over each kind of database: a company's CSR sheet comes in, half of
it is disaster relief, two rows double a Genting delivery, three stunted children in two villages have nothing. TPPS of the
regency sees exactly that, assigns what a donor promised, and the cadre's tablet has it with the next sync.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select

from server.aid import register
from server.database.models import AidActivity, Delivery
from server.interchange.sheets.writer import write_xlsx
from server.places import health_posts
from tests.browser._window import Window, served
from tests.server._district import DISTRICT, Databases, District, FakeTablet
from tests.server._people import add_person
from tests.server.web._clinic import PASSWORD, Clinic

pytestmark = [pytest.mark.browser, pytest.mark.postgresql]

OTHER = "64.02.06.1003"
NAMES = ("Anak Satu Contoh", "Anak Dua Contoh", "Anak Tiga Contoh", "Anak Empat Contoh")


@dataclass
class Story:
    """A served district, the window of TPPS kabupaten, and what is known of it."""

    district: District
    tpps: Window
    staff: Window
    cadre: FakeTablet
    upriver: FakeTablet
    donor: str
    helped: str
    lacking: tuple[str, ...]
    today: date


def account(district: District, username: str, role: str, kind: str, scope: str) -> str:
    add_person(district.hub, username, "Orang Contoh", role, kind, scope, PASSWORD, district.clock.now)
    return username


def sign_in(window: Window, username: str, path: str) -> None:
    page = window.page
    page.goto("/masuk")
    page.get_by_label("Nama pengguna").fill(username)
    page.get_by_label("Kata sandi").fill(PASSWORD)
    page.get_by_role("button", name="Masuk").click()
    page.wait_for_url(lambda url: "/masuk" not in url)
    page.goto(path)


@pytest.fixture(scope="module")
def story(postgresql_databases: Databases, browser: Browser, pictures: Path) -> Iterator[Story]:
    with District.opened(postgresql_databases, cookie_secure=False) as district:
        district.clock.now = datetime.now(UTC)  # the server's own
        today = district.hub.settings.today(district.clock.now)
        clinic = Clinic.opened(district)
        with district.hub.database.transaction() as session:
            far = health_posts.add_post(
                *(session, district.hub, "Seruni 5", clinic.centre, OTHER),
                actor="operator",
                now=district.clock.now,
            )
            told = {"name": "PT Batu Contoh", "kind": "business", "authority": "province"}
            donor = register.add_donor(session, district.hub, told, author="operator", now=district.clock.now)
        district.posts = (*district.posts, far)  # type: ignore[assignment]  # the stories of sync have two
        upriver = district.tablet(len(district.posts) - 1, "Tablet Hulu")
        days = tuple((today - timedelta(days=30 * back + 1)).isoformat() for back in (3, 2, 1, 0))
        born = (today - timedelta(days=420)).isoformat()
        ids = [
            clinic.child(name, haz=-2.5, waz=-1, days=days, born_on=born, tablet=tablet)
            for name, tablet in zip(NAMES, (clinic.first, clinic.first, clinic.first, upriver), strict=True)
        ]
        clinic.child("Anak Sehat Contoh", days=days, born_on=born)
        brought(clinic.first, district, ids[0], donor, today)
        users = (
            account(district, "tpps.kabupaten", "tpps", "district", DISTRICT),
            account(district, "petugas", "staff", "health_centre", clinic.centre),
        )
        with (
            served(district) as url,
            Window.opened(browser, url, pictures) as tpps,
            Window.opened(browser, url, pictures) as staff,
        ):
            sign_in(tpps, users[0], "/bantuan")
            sign_in(staff, users[1], "/antrean")
            yield Story(district, tpps, staff, clinic.first, upriver, donor, ids[0], tuple(ids[1:]), today)


def brought(tablet: FakeTablet, district: District, child: str, donor: str, today: date) -> None:
    """Let a cadre bring food of a foster parent twice, without a signal, and sync."""
    for back in (40, 10):
        on = (today - timedelta(days=back)).isoformat()
        aid = {"menu": "food", "funds": "genting", "reaches": "child", "starts_on": on, "donor": donor}
        tablet.write(
            tablet.replica.open_delivery(child, district.new_id()),
            {
                "aid": {**aid, "ends_on": (today + timedelta(days=60 - back)).isoformat()},
                "delivered": {"given_on": on, "quantity": 30, "unit": "portion", "value_rp": 450_000},
            },
        )
    tablet.sync_until_quiet()


def sheet(today: date) -> bytes:
    """Write a company's sheet: a title, then six rows, three of relief, two that double what a cadre brought."""
    rows = [
        ("Bantuan sembako korban banjir", "Bencana", "Jahab", "Tenggarong", 20, "Rp 45.000.000", 150),
        ("Posko tanggap darurat kebakaran", "Bencana", "Jahab", "Tenggarong", 25, "Rp 30.000.000", 60),
        ("Air bersih untuk pengungsi banjir", "Bencana", "", "", 18, "Rp 12.500.000", 200),
        ("Pemberian makanan tambahan balita", "Kesehatan", "Jahab", "Tenggarong", 40, "Rp 450.000", 1),
        ("PMT balita program Genting", "Kesehatan", "Kel. Jahab", "Tenggarong", 10, "Rp 450.000", 1),
        ("Pelatihan UMKM pemuda", "Ekonomi", "Jahab", "Tenggarong", 30, "Rp 20 juta", 25),
    ]
    headings = ("Nama Kegiatan", "Bidang", "Desa", "Kecamatan", "Tanggal", "Nilai (Rp)", "Jumlah Penerima")
    target = BytesIO()
    dated = [
        (a, b, c, d, (today - timedelta(days=back)).strftime("%d/%m/%Y"), value, str(count))
        for a, b, c, d, back, value, count in rows
    ]
    write_xlsx(target, headings, dated)
    return target.getvalue()


def three_stunted_children_in_two_villages_have_nothing(story: Story) -> None:
    page = story.tpps.page
    expect(page.get_by_role("heading", level=1)).to_have_text("Siapa yang belum dibantu")
    expect(page.locator(".big")).to_contain_text("3 anak yang membutuhkan belum dibantu, di 2 desa")
    for name in (*NAMES, story.helped, *story.lacking):
        assert name not in page.content()
    story.tpps.look("bantuan-kekurangan")


def a_companys_sheet_is_looked_at_and_taken(story: Story) -> None:
    page = story.tpps.page
    page.goto("/bantuan/lembar")
    page.get_by_label("Berkas").set_input_files(
        {
            "name": "CSR PT Batu Contoh.xlsx",
            "mimeType": "application/octet-stream",
            "buffer": sheet(story.today),
        }
    )
    page.get_by_label("Perusahaan").select_option(label="PT Batu Contoh")
    page.get_by_label("Dilaporkan ke").select_option("province")
    page.get_by_role("button", name="Lihat dulu").click()
    expect(page.get_by_label("Kegiatan", exact=True)).to_have_value("Nama Kegiatan")
    expect(page.get_by_text("karena kata “korban”").first).to_be_visible()
    story.tpps.look("lembar-dilihat")
    page.get_by_role("button", name="Ambil 6 baris").click()
    expect(page.get_by_text("2 baris sudah tercatat di sini, dan tidak dihitung lagi.")).to_be_visible()
    expect(page.locator(".row-card")).to_have_count(6)
    story.tpps.look("lembar-diambil")
    with story.district.hub.database.reading() as session:
        found = session.execute(
            select(AidActivity.category, AidActivity.same_as).order_by(AidActivity.row)
        ).all()
    assert [row.category for row in found] == [*["disaster"] * 3, *["specific"] * 2, "other"]
    doubles = [row.same_as for row in found if row.same_as]
    assert len(set(doubles)) == 2
    assert all(double.startswith(f"delivery/{story.helped}/") for double in doubles)


def tpps_sees_exactly_that(story: Story) -> None:
    page = story.tpps.page
    since = (story.today - timedelta(days=60)).isoformat()
    page.goto(f"/bantuan?dari={since}")
    expect(page.locator(".big")).to_contain_text("3 anak yang membutuhkan belum dibantu, di 2 desa")
    expect(page.get_by_text("Bencana: 3 kegiatan, Rp\N{NO-BREAK SPACE}87.500.000")).to_be_visible()
    expect(page.get_by_text("Lain: 1 kegiatan, Rp\N{NO-BREAK SPACE}20.000.000")).to_be_visible()
    expect(page.get_by_text("Bantuan ini sudah tercatat di sini")).to_have_count(2)
    # what was given counts once: the two deliveries, not the rows that tell of them again
    expect(page.get_by_role("cell", name="Rp\N{NO-BREAK SPACE}900.000")).to_be_visible()
    expect(page.get_by_text("Tidak ada komitmen yang cocok untuk yang belum dapat.")).to_be_visible()


def tpps_writes_down_a_commitment_and_assigns_it(story: Story) -> None:
    page = story.tpps.page
    page.goto("/bantuan/donatur")
    form = page.get_by_role("region", name="Catat komitmen")
    form.get_by_label("Jenis bantuan").select_option("food")
    form.get_by_label("Sumber dana").select_option("genting")
    form.get_by_label("Untuk berapa anak atau keluarga").fill("10")
    form.get_by_label("Nilai per penerima (Rp)").fill("2.700.000")
    form.get_by_role("button", name="Catat komitmen").click()
    expect(page.get_by_text("sisa 10 dari 10")).to_be_visible()
    story.tpps.look("donatur-dan-komitmen")
    page.goto("/bantuan")
    expect(page.locator(".proposal")).to_have_count(2)
    story.tpps.look("bantuan-usul")
    for left in (1, 0):
        page.locator(".proposal").first.get_by_role("button").click()
        expect(page.get_by_role("status")).to_be_visible()
        expect(page.locator(".proposal")).to_have_count(left)
    expect(page.get_by_text("Semua yang membutuhkan sudah mendapat atau dijanjikan bantuan.")).to_be_visible()
    with story.district.hub.database.reading() as session:
        promised = session.execute(
            select(Delivery.child_id, Delivery.funds, Delivery.given).where(
                Delivery.commitment_id.is_not(None)
            )
        ).all()
    assert sorted(row.child_id for row in promised) == sorted(story.lacking)
    assert {(row.funds, row.given) for row in promised} == {("genting", 0)}


def it_stands_on_the_childs_page_and_on_the_tablets(story: Story) -> None:
    for tablet in (story.cadre, story.upriver):
        tablet.sync_until_quiet()
    held = [
        (tablet, ref)
        for tablet in (story.cadre, story.upriver)
        for ref, state in tablet.replica.base.items()
        if ref[0] == "delivery" and "delivered" not in state.registers
    ]
    assert len(held) == 3
    page = story.staff.page
    page.goto(f"/anak/{story.lacking[0]}")
    expect(page.get_by_text("dijanjikan", exact=True)).to_be_visible()
    page.get_by_role("link", name="Catat atau periksa bantuan").click()
    page.get_by_role("button", name="Sudah diberikan").click()
    page.get_by_role("button", name="Catat pemeriksaan").click()
    expect(page.get_by_text("Diterima", exact=True).first).to_be_visible()
    story.staff.look("bantuan-anak")


def a_donor_sees_what_it_funds_and_no_child(story: Story, browser: Browser, pictures: Path) -> None:
    username = account(story.district, "donatur.batu", "donor", "donor", story.donor)
    with Window.opened(browser, story.tpps.page.url.partition("/bantuan")[0], pictures) as window:
        sign_in(window, username, "/bantuan-saya")
        page = window.page
        expect(page.get_by_role("heading", level=1)).to_have_text("PT Batu Contoh")
        expect(page.get_by_text("Kurang dari lima anak")).to_be_visible()
        for secret in (*NAMES, story.helped, *story.lacking):
            assert secret not in page.content()
        window.look("bantuan-donatur")


def test_seed(story: Story, browser: Browser, pictures: Path) -> None:
    """One story, in this order: each step goes on from the one before."""
    three_stunted_children_in_two_villages_have_nothing(story)
    a_companys_sheet_is_looked_at_and_taken(story)
    tpps_sees_exactly_that(story)
    tpps_writes_down_a_commitment_and_assigns_it(story)
    it_stands_on_the_childs_page_and_on_the_tablets(story)
    a_donor_sees_what_it_funds_and_no_child(story, browser, pictures)
