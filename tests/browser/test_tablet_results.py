"""What mother and cadre take home: the result in grams, also as a picture; who did not come; whom to visit; the recap."""

import base64
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.browser._morning_of_post import Post, counted_by_server
from tests.browser._tablets import HAND, Tablet
from tests.server._district import Databases

pytestmark = pytest.mark.browser

SHARES: Final = """() => {
    window.handedOn = [];
    const share = async (what) => { window.handedOn.push(what); };
    Object.defineProperty(navigator, "canShare", { value: () => true, configurable: true });
    Object.defineProperty(navigator, "share", { value: share, configurable: true });
}"""
"""The share sheet, which no headless browser has; nothing else is put in."""
HANDED_ON: Final = """async () => {
    const bytes = async (file) => [...new Uint8Array(await file.arrayBuffer())];
    const text = (all) => all.map((byte) => String.fromCharCode(byte)).join("");
    const of = async (file) => [file.name, file.type, btoa(text(await bytes(file)))];
    return Promise.all(window.handedOn.map(async ({ files = [], ...rest }) => [rest, await Promise.all(files.map(of))]));
}"""
COLOURS: Final = """() => {
    const canvas = document.querySelector("canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const found = {};
    for (let at = 0; at < data.length; at += 4) {
        const name = data.slice(at, at + 3).join();
        found[name] = (found[name] || 0) + 1;
    }
    return found;
}"""
PINK, ZONE_GREEN, ZONE_YELLOW, RED_LINE = "251,207,224", "166,227,161", "255,229,102", "176,0,32"
PIXELS_ALONE: Final = {
    b"IHDR",
    b"sRGB",
    b"gAMA",
    b"cHRM",
    b"pHYs",
    b"sBIT",
    b"PLTE",
    b"tRNS",
    b"IDAT",
    b"IEND",
}
"""Chunks of a PNG that hold no text, no date, and nothing of who made it."""


@pytest.fixture(scope="module")
def post(
    sqlite_databases: Databases, browser: Browser, pictures: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Post]:
    with Post.opened(sqlite_databases, browser, tmp_path_factory.mktemp("profiles"), pictures) as opened:
        yield opened


@pytest.fixture(scope="module")
def tablet(post: Post) -> Iterator[Tablet]:
    """Give one tablet for the whole morning: each test goes on where the last one ended."""
    with post.site.tablet("results") as tablet:
        yield tablet


def chunks(png: bytes) -> list[tuple[bytes, int]]:
    found, at = [], 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        found.append((png[at + 4 : at + 8], length))
        at += 12 + length
    return found


def handed_on(tablet: Tablet) -> list[tuple[dict[str, Any], list[tuple[str, str, bytes]]]]:
    """Give what went to the share sheet: what stood beside the files, and each file's name, type and bytes."""
    return [
        (beside, [(name, kind, base64.b64decode(held)) for name, kind, held in files])
        for beside, files in tablet.page.evaluate(HANDED_ON)
    ]


def test_result_tells_the_mother_the_grams_and_the_cadre_the_tasks(tablet: Tablet) -> None:
    page = tablet.page
    tablet.set_line(there=False)
    tablet.measure("Kenanga Contoh", "9,1", "75,5")
    mother, cadre = page.locator(".mother"), page.locator(".cadre")
    expect(mother.locator(".sentence")).to_have_text("Naik 100 g bulan ini, seharusnya 200 g")
    expect(mother.locator("svg.kms-chart")).to_be_visible()
    expect(mother.locator(".again")).to_contain_text("Datang lagi")
    expect(mother).to_contain_text("Tambah satu kali makan sehari")
    expect(mother).not_to_contain_text("Sampaikan kepada bidan")
    expect(cadre.get_by_role("heading", name="Yang perlu kader lakukan")).to_be_visible()
    expect(cadre).to_contain_text("Sampaikan kepada bidan atau petugas puskesmas.")
    expect(cadre.locator(".headline")).to_contain_text("Berat naiknya kurang bulan ini (T)")
    tablet.look("result-for-mother")

    tablet.measure("Melati Contoh", "9,3", "75,8")
    expect(mother.locator(".sentence")).to_have_text("Naik 300 g, cukup (minimal 200 g)")


def test_no_praise_stands_beside_a_risk(tablet: Tablet) -> None:
    tablet.measure("Anggrek Contoh", "10,4", "75,5")
    expect(tablet.page.locator(".statuses")).to_contain_text("Berisiko gizi lebih")
    expect(tablet.page.locator(".headline")).to_contain_text(
        "Berisiko gizi lebih: perhatikan lagi bulan depan"
    )
    expect(tablet.page.locator(".mother")).to_have_class(re.compile("yellow"))
    expect(tablet.page.locator("main")).not_to_contain_text("tumbuh baik")


def test_result_of_an_earlier_day_is_not_the_newest(post: Post, tablet: Tablet) -> None:
    on = post.site.today.replace(day=1)
    (before,) = {
        one["place"].split("/")[0]
        for one in tablet.read(
            f"({{ replica }}) => replica.child('{post.ids['Kenanga Contoh']}').measurements"
        )
        if one["place"] < on.isoformat()
    }
    tablet.go(f"hasil/{post.ids['Kenanga Contoh']}/{before}")
    expect(tablet.page.locator(".sentence")).to_contain_text("Penimbangan pertama: 9 kg.")
    expect(tablet.page.locator(".notice.look")).to_contain_text("Ada pengukuran yang lebih baru.")


def test_picture_holds_what_it_says_and_nothing_else(post: Post, tablet: Tablet) -> None:
    page = tablet.page
    today = post.site.today.isoformat()
    tablet.go(f"hasil/{post.ids['Kenanga Contoh']}/{today}")
    page.get_by_role("link", name="Gambar untuk ibu").click()
    tablet.expect_title("Gambar untuk ibu")
    expect(page.get_by_label("Nama panggilan di gambar")).to_have_value("Kenanga")
    expect(page.get_by_text("Gambar ini berisi: nama panggilan")).to_be_visible()
    expect(page.get_by_text("Tidak berisi: nama lengkap")).to_be_visible()
    expect(page.locator("canvas")).to_have_attribute("width", "1080")
    tablet.look("picture")
    colours = page.evaluate(COLOURS)
    for colour, least in ((PINK, 20_000), (ZONE_GREEN, 20_000), (ZONE_YELLOW, 5_000), (RED_LINE, 500)):
        assert colours.get(colour, 0) > least, colour

    page.evaluate(SHARES)
    page.get_by_role("button", name="Bagikan gambar").click()
    expect(page.get_by_text("Gambar sudah dibagikan.")).to_be_visible()
    ((beside, ((name, kind, png),)),) = handed_on(tablet)
    assert (beside, name, kind) == ({}, "hasil-posyandu.png", "image/png")
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert {chunk for chunk, _ in chunks(png)} <= PIXELS_ALONE
    width, height = struct.unpack(">II", png[16:24])
    assert width == 1080
    assert 1500 <= height <= 2600
    assert str(height) == page.locator("canvas").get_attribute("height")
    for personal in ("Kenanga", "Contoh", "Sari", post.ids["Kenanga Contoh"]):
        assert personal.encode() not in png
    (tablet.pictures / "picture-for-mother.png").write_bytes(png)

    page.get_by_label("Nama panggilan di gambar").fill("")
    page.get_by_role("button", name="Bagikan gambar").click()
    wait_for = "() => window.handedOn.length === 2"
    page.wait_for_function(wait_for)
    assert handed_on(tablet)[1][1][0][2] != png


def test_picture_is_saved_where_nothing_can_be_shared(tablet: Tablet, tmp_path: Path) -> None:
    page = tablet.page
    page.evaluate("() => { delete navigator.share; delete navigator.canShare; }")
    kept = tablet.take_file("Bagikan gambar", tmp_path / "kept.png")
    assert kept.read_bytes().startswith(b"\x89PNG")
    expect(page.get_by_text("Gambar sudah disimpan.")).to_be_visible()


@pytest.mark.parametrize(
    ("phone", "chat"),
    [
        ("081234567890", "6281234567890"),
        ("0812-3456-7890", "6281234567890"),
        ("+62 812 3456 7890", "6281234567890"),
        ("6281234567890", "6281234567890"),
        ("81234567890", "6281234567890"),
        ("0062812345678", "62812345678"),
        ("+60123456789", "60123456789"),
        ("0541662345", None),
        ("12345", None),
        (None, None),
    ],
)
def test_number_for_whatsapp_begins_with_the_country(
    tablet: Tablet, phone: str | None, chat: str | None
) -> None:
    found = tablet.page.evaluate(
        "async (phone) => (await import('/tablet-app/parts/phone.js')).whatsAppNumber(phone)", phone
    )
    assert found == chat


def test_who_did_not_come_can_be_called_and_written_to(tablet: Tablet) -> None:
    page = tablet.page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    tablet.go("hari-ini")
    page.get_by_role("link", name="Belum datang").click()
    tablet.expect_title("Belum datang")
    rows = page.locator(".people-rows > li")
    far = rows.filter(has_text="Jauh Contoh")
    expect(far.get_by_role("link", name="Telepon")).to_have_attribute("href", "tel:081234567890")
    chat = far.get_by_role("link", name="WhatsApp")
    link = urlsplit(str(chat.get_attribute("href")))
    assert (link.scheme, link.netloc, link.path) == ("https", "wa.me", "/6281234567890")
    (text,) = parse_qs(link.query)["text"]
    assert "Posyandu Melati 1" in text
    assert "Jauh" not in text
    assert "Wati" not in text
    expect(chat).to_have_attribute("rel", "noopener noreferrer")
    expect(chat).to_have_attribute("referrerpolicy", "no-referrer")
    expect(chat).to_have_attribute("target", "_blank")
    expect(far).to_contain_text("RT 2 / RW 1")
    expect(rows.first).to_contain_text("Jauh Contoh")  # whom one can call stand first
    expect(rows.filter(has_text="Hilang Contoh")).to_contain_text("Tidak ada nomor HP.")
    for name in ("Kenanga Contoh", "Besar Contoh", "Pindah Contoh", "Bintang Contoh"):
        expect(rows.filter(has_text=name)).to_have_count(0)
    tablet.look("did-not-come")
    assert not [url for url in asked if "wa.me" in url]


def test_home_visits_say_why_and_where(tablet: Tablet) -> None:
    page = tablet.page
    tablet.measure("Dahlia Contoh", "9,1", "75,5")
    tablet.measure("Kamboja Contoh", "6,2", "70,5")
    expect(page.locator(".cadre .headline")).to_contain_text("Bawa ke puskesmas hari ini")
    expect(page.locator(".cadre .code")).to_have_text("T: berat naiknya kurang")
    expect(page.locator(".mother")).to_contain_text("Antar hari ini juga ke puskesmas")
    expect(page.locator(".mother")).not_to_contain_text("Beri tahu bidan")
    tablet.go("kunjungan")
    tablet.expect_title("Kunjungan rumah")
    rows = page.locator(".people-rows > li")
    expect(rows.first).to_contain_text("Kamboja Contoh")  # the most urgent first
    expect(rows.filter(has_text="Jauh Contoh")).to_contain_text("Puskesmas meminta kunjungan rumah")
    expect(rows.filter(has_text="Jauh Contoh")).to_contain_text("RT 2 / RW 1 · Jalan Contoh 5")
    expect(rows.filter(has_text="Dahlia Contoh")).to_contain_text("(2T)")
    expect(rows.filter(has_text="Hilang Contoh")).to_contain_text("Belum diukur bulan ini dan bulan lalu")
    expect(rows.filter(has_text="Melati Contoh")).to_have_count(0)
    tablet.look("home-visits")
    page.evaluate(SHARES)
    page.get_by_role("button", name="Bagikan teks").click()
    expect(page.get_by_text("Daftar sudah dibagikan.")).to_be_visible()
    ((beside, files),) = handed_on(tablet)
    assert files == []
    assert set(beside) == {"text"}
    assert "1. Kamboja Contoh" in beside["text"]
    assert "RT 2 / RW 1 · Jalan Contoh 5" in beside["text"]
    page.emulate_media(media="print")
    expect(page.locator("header.top")).to_be_hidden()
    expect(rows.first).to_be_visible()
    page.emulate_media(media="screen")


def test_recap_is_equal_to_the_servers_figures(post: Post, tablet: Tablet) -> None:
    page = tablet.page
    born = post.site.today.replace(year=post.site.today.year - 1, day=1).isoformat()
    tablet.add_child("Anak Baru Contoh", born, boy=True, mother="Ibu Baru")
    tablet.type("9,4", "74,0")
    page.locator("details.services summary").click()
    page.get_by_role("group", name="Obat cacing").get_by_role("button", name="Ya").click()
    page.locator(".chips button").first.click()  # a dose that is due
    tablet.save()
    tablet.set_line(there=True)
    tablet.sync()
    tablet.go("lainnya")
    page.get_by_role("link", name="Rekap hari ini").click()
    tablet.expect_title("Rekap hari ini")
    shown = {
        str(cell.get_attribute("data-count")): cell.inner_text()
        for cell in page.locator("[data-count]").all()
    }
    expected = counted_by_server(post.site)
    numbers = {name: int(text.split()[0]) for name, text in shown.items() if text != "–"}
    assert numbers.keys() >= {
        f"month.{name}" for name in ("S", "K", "D", "N", "T", "O", "B", "two_t", "bgm", "pmt")
    }
    assert numbers == {name: expected[name] for name in numbers}
    assert numbers["month.D"] == sum(numbers[f"month.{letter}"] for letter in "NTOB")
    assert all(numbers[f"month.{name}"] for name in ("K", "N", "T", "O", "B", "two_t", "bgm", "pmt"))
    assert [count for name, count in numbers.items() if name.startswith("day.dose.")] == [1]
    tablet.look("recap")
    page.evaluate(SHARES)
    page.get_by_role("button", name="Bagikan teks").click()
    expect(page.get_by_text("Rekap sudah dibagikan.")).to_be_visible()
    ((beside, _),) = handed_on(tablet)
    assert f"S: semua balita posyandu ini: Bulan ini {numbers['month.S']}" in beside["text"]
    assert "Contoh" not in beside["text"]


def test_lists_and_results_hold_at_large_text(post: Post, tablet: Tablet) -> None:
    page = tablet.page
    screens = ("belum-datang", "kunjungan", "rekap", f"hasil/{post.ids['Kenanga Contoh']}/{post.site.today}")
    for percent in (150, 200):
        page.evaluate(f"document.documentElement.style.setProperty('font-size', '{percent}%')")
        for screen in screens:
            tablet.go("kosong")
            tablet.go(screen)
            expect(page.get_by_role("heading", level=1)).to_be_focused()
            tablet.look(f"{screen.split('/')[0]}-{percent}", (HAND,))
    page.evaluate("document.documentElement.style.removeProperty('font-size')")
