"""The staff pages in a real Chromium, at a desk and on a phone; the console stays silent, so the policy is never broken."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # it ships no types
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from tests.browser._window import PATIENCE_MS, RULES, served
from tests.server._district import Databases, District
from tests.server.web._clinic import PASSWORD, Clinic

pytestmark = pytest.mark.browser


@dataclass
class Site:
    """A served clinic: where it is, who may sign in, which children there are; and what a browser complained of."""

    url: str
    username: str
    red: str
    disputed: str
    complaints: list[str] = field(default_factory=list)

    def listen(self, page: Page) -> None:
        """Collect what the page's console has to say, violations of the policy among it."""

        def note(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                self.complaints.append(message.text)

        page.on("console", note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Serve a clinic with a few children over real HTTP."""
    databases = Databases(tmp_path_factory.mktemp("pages"), None)
    with District.opened(databases, cookie_secure=False) as district:
        clinic = Clinic.opened(district)
        red = clinic.child("Anak Merah Dengan Nama Yang Panjang Sekali", haz=-3.4, waz=-3.8)
        disputed = clinic.disputed_child()
        for number in range(3):
            clinic.child(f"Anak Pendek {number}", haz=-2.4, waz=-1, tablet=clinic.second)
        username = clinic.person().username
        with served(district) as url:
            yield Site(url, username, red, disputed)


@contextmanager
def visit(site: Site, browser: Browser, width: int) -> Iterator[Page]:
    """Open a page as a new visitor; afterwards nothing may stand in its console."""
    context = browser.new_context(base_url=site.url, viewport={"width": width, "height": 740})
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    site.complaints.clear()
    site.listen(page)
    yield page
    context.close()
    assert site.complaints == []


@pytest.fixture
def page(site: Site, browser: Browser) -> Iterator[Page]:
    """Give a page at a desk."""
    with visit(site, browser, 1280) as opened:
        yield opened


@pytest.fixture(params=[1280, 360], ids=["desk", "phone"])
def either(site: Site, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Give a page at a desk, then one on a small phone."""
    with visit(site, browser, request.param) as opened:
        yield opened


def sign_in(page: Page, site: Site) -> None:
    page.goto("/")
    page.get_by_label("Nama pengguna").fill(site.username)
    page.get_by_label("Kata sandi").fill(PASSWORD)
    page.get_by_role("button", name="Masuk").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Antrean tinjauan")


def overflow_px(page: Page) -> int:
    """Give by how many pixels the page is wider than the window, once its styles are there."""
    page.wait_for_load_state()
    width: int = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return width


def test_staff_go_from_sign_in_to_a_childs_chart_and_change_the_language(either: Page, site: Site) -> None:
    sign_in(either, site)
    expect(either.get_by_role("row")).to_have_count(
        6
    )  # five children, and the heading that phones hide from sight
    assert overflow_px(either) <= 0
    either.get_by_role("link", name="Anak Merah").click()
    expect(either.get_by_role("heading", level=1)).to_contain_text("Anak Merah")
    chart = either.get_by_role("img", name="Berat menurut umur")
    expect(chart).to_be_visible()
    expect(chart.locator(".mark.cadre")).to_have_count(4)
    assert overflow_px(either) <= 0
    either.get_by_role("link", name="English").click()
    expect(either.get_by_role("heading", name="Growth charts")).to_be_visible()
    expect(either.get_by_text("severely stunted").first).to_be_visible()
    assert overflow_px(either) <= 0


def test_both_values_of_a_conflict_are_in_sight(either: Page, site: Site) -> None:
    sign_in(either, site)
    either.goto(f"/anak/{site.disputed}?grafik=dekat")
    chart = either.get_by_role("img", name="Berat menurut umur")
    expect(chart.locator(".mark.disputed")).to_have_count(2)
    expect(chart.locator(".join")).to_have_count(1)
    expect(either.get_by_text("Tablet D").first).to_be_visible()
    assert overflow_px(either) <= 0


def test_drawn_curve_and_points_have_the_colours_of_the_style_sheet(page: Page, site: Site) -> None:
    """The policy forbids inline style: what is drawn must get its looks from the file, or it is black on black."""
    sign_in(page, site)
    page.goto(f"/anak/{site.red}")
    curve = page.locator(".chart path.sd0").first
    assert curve.evaluate("e => getComputedStyle(e).fill") == "none"
    assert curve.evaluate("e => getComputedStyle(e).stroke") == "rgb(27, 122, 67)"


def test_queue_can_be_used_with_the_keyboard_alone(page: Page, site: Site) -> None:
    sign_in(page, site)
    page.wait_for_load_state()  # until then Chromium may move the focus to the target of the skip link once more
    page.keyboard.press("Tab")
    expect(page.get_by_text("Langsung ke isi")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    focused = page.locator(":focus")
    expect(focused).to_have_attribute("id", "cari")
    assert focused.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"


def test_filters_and_the_way_back_work(page: Page, site: Site) -> None:
    sign_in(page, site)
    page.get_by_role("navigation", name="Saring menurut kemendesakan").get_by_text("Minggu ini").click()
    expect(page.get_by_role("row")).to_have_count(4)
    page.get_by_text("Saringan lain").click()
    page.get_by_label("Alasan").select_option(label="Terindikasi pendek (TB/U < -2 SD) (3)")
    page.get_by_role("button", name="Tampilkan").click()
    expect(page.get_by_role("row")).to_have_count(4)
    page.get_by_role("link", name="Hapus saringan").click()
    expect(page.get_by_role("row")).to_have_count(6)


def test_signing_out_closes_the_pages(page: Page, site: Site) -> None:
    sign_in(page, site)
    page.get_by_role("button", name="Keluar").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Masuk")
    page.goto(f"/anak/{site.red}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Masuk")


def violations(page: Page) -> int:
    return int(Axe().run(page, options=RULES).violations_count)


def test_no_page_breaks_a_rule_of_wcag_aa(either: Page, site: Site) -> None:
    sign_in(either, site)
    for path in ("/antrean?urgensi=1", f"/anak/{site.red}", f"/anak/{site.disputed}", "/tidak-ada"):
        either.goto(path)
        assert violations(either) == 0, path
    site.complaints.clear()  # the console tells of the 404 that was asked for


def test_axe_finds_faint_text(page: Page, site: Site) -> None:
    sign_in(page, site)
    page.locator("h1").evaluate("e => { e.style.color = '#aab4b9'; }")
    assert violations(page) == 1


def test_console_tells_when_the_policy_is_broken(page: Page, site: Site) -> None:
    page.goto("/masuk")
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {textContent: '0'}))")
    assert any("Content Security Policy" in complaint for complaint in site.complaints)
    site.complaints.clear()


def test_every_control_has_a_name_and_every_page_its_landmarks(page: Page, site: Site) -> None:
    sign_in(page, site)
    for path in ("/antrean", f"/anak/{site.red}"):
        page.goto(path)
        for role in ("banner", "main", "contentinfo"):
            expect(page.get_by_role(role)).to_have_count(1)
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        nameless = page.locator("a, button, select, input:not([type=hidden])").evaluate_all(
            "es => es.filter(e => !(e.textContent.trim() || e.labels?.length || e.ariaLabel)).map(e => e.outerHTML)"
        )
        assert nameless == []


def test_child_page_prints_without_the_frame(page: Page, site: Site) -> None:
    sign_in(page, site)
    page.goto(f"/anak/{site.red}")
    page.emulate_media(media="print")
    expect(page.get_by_role("banner")).to_be_hidden()
    expect(page.get_by_role("img", name="Berat menurut umur")).to_be_visible()
