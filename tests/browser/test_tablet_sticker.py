"""A child is found by the sticker on its Buku KIA: with the camera, offline, and by the code typed. A real Chromium without
a reader of its own looks at a film; so what is tested is the library that the server hands out.
"""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from server.children.sticker import PREFIX, spaced, sticker_code
from server.web.tablet_app import QR_LIBRARY, QR_LIBRARY_FILE
from tests.browser._camera import camera_arguments, film_of
from tests.browser._tablets import Site
from tests.faults._running import wait_until

pytestmark = pytest.mark.browser
STRANGER = "019bf000-0000-7000-8000-0123456789ab"


@pytest.fixture(scope="module")
def children(site: Site) -> list[str]:
    return site.children("Anak Contoh 1", "Anak Contoh 2", "Anak Contoh 3")


def test_the_library_is_installed() -> None:
    assert QR_LIBRARY_FILE.is_file(), "install it: make .venv/share/posyandu-sync/js/.installed"


def test_the_camera_finds_the_child_offline(site: Site, children: list[str], tmp_path: Path) -> None:
    film = film_of(f"{PREFIX}{sticker_code(children[1])}", tmp_path / "sticker.y4m")
    with site.tablet("camera", arguments=camera_arguments(film)) as tablet:
        assert tablet.page.evaluate("'BarcodeDetector' in window") is False
        tablet.page.reload()  # under the service worker, which keeps the library for later
        tablet.unlock()
        tablet.expect_title("Hari ini")
        wait_until(lambda: any(url.endswith(QR_LIBRARY) for url in tablet.cached()), "the library is kept")
        tablet.set_line(there=False)
        tablet.page.get_by_role("link", name="Pindai stiker").click()
        tablet.expect_title("Anak Contoh 2")
        assert "#/ukur/" in tablet.page.url


def test_a_sticker_of_another_post_says_what_to_do(site: Site, children: list[str], tmp_path: Path) -> None:
    film = film_of(f"{PREFIX}{sticker_code(STRANGER)}", tmp_path / "stranger.y4m")
    assert children
    with site.tablet("stranger", arguments=camera_arguments(film)) as tablet:
        tablet.page.get_by_role("link", name="Pindai stiker").click()
        told = tablet.page.get_by_text("Stiker ini bukan anak di posyandu ini.")
        expect(told).to_be_visible()
        expect(tablet.page.get_by_text("minta puskesmas memindahkan datanya")).to_be_visible()
        tablet.look("scan-stranger", [(360, 1000)])
        tablet.page.get_by_role("link", name="Cari dengan nama").click()
        tablet.expect_title("Hari ini")


def test_the_code_is_typed_where_there_is_no_camera(site: Site, children: list[str]) -> None:
    code = spaced(sticker_code(children[2]))
    with site.tablet("typed") as tablet:
        tablet.go("pindai")
        expect(tablet.page.get_by_text("Ketik kode")).to_be_visible()
        tablet.page.get_by_label("Atau ketik kode di stiker").fill("K7QF")
        tablet.page.get_by_role("button", name="Cari", exact=True).click()
        expect(tablet.page.get_by_text("Ini bukan kode stiker")).to_be_visible()
        tablet.page.get_by_label("Atau ketik kode di stiker").fill(code.lower())
        tablet.page.get_by_role("button", name="Cari", exact=True).click()
        tablet.expect_title("Anak Contoh 3")
        tablet.go("hari-ini")
        tablet.page.get_by_role("searchbox").fill(code)
        expect(tablet.page.locator("ul.children > li")).to_have_count(1)
        expect(tablet.page.locator("ul.children > li")).to_contain_text("Anak Contoh 3")
