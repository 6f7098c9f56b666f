"""Drafts: what is typed and not saved is kept for each form, through a lock, a killed browser and a new version of the app,
until it is saved or its child leaves the tablet.
"""

from importlib.resources import files
from typing import Final

import pytest
from playwright.sync_api import expect

from server.review import Scope, moves
from server.sync import server_edits
from server.web.tablet_app import TabletApp, found_in, packaged
from tests.browser._tablets import Site, Tablet
from tests.faults._running import wait_until

pytestmark = pytest.mark.browser

UNSAVED: Final = "belum disimpan"
ONLY_SLOT: Final = """async (tablet) => {{
    const key = {{ child: "{child}", measured_on: "{on}", source: "cadre" }};
    const {{ id, context }} = await tablet.replica.open("measurement", key);
    const figures = {{ weight_g: 8700, oedema: null, length_mm: null, position: "lying", muac_mm: null, head_mm: null }};
    const text = {{ weight_g: "8,7", length_mm: "", muac_mm: "", head_mm: "" }};
    await tablet.putDraft("draft", {{ id, context, figures, text, services: {{}}, note: "Dari versi lama" }});
}}"""
"""What a version that kept one draft for all forms left in the database."""
MANY: Final = """async (tablet) => {{
    const {{ Drafts }} = await import("/tablet-app/parts/drafts.js");
    const drafts = await Drafts.open(tablet);
    for (let number = 100; number < 200; number += 1) {{
        const form = await tablet.replica.open("measurement", {{ child: "{child}", measured_on: `2024-01-${{number}}` }});
        drafts.keep(`measurement/{child}/${{number}}`, form, {{ note: String(number) }});
    }}
    await drafts.store();
}}"""
KEYS: Final = """async ({ device }) =>
    (await device.database.all("desk")).map(([name]) => name).filter((name) => name.startsWith("draft"))"""


def expect_weight(tablet: Tablet, name: str, weight: str) -> None:
    tablet.begin(name)
    expect(tablet.page.locator("input[name=weight_g]")).to_have_value(weight)


def kept(tablet: Tablet, count: int) -> None:
    """Wait until so many drafts are on the disk."""
    wait_until(lambda: len(tablet.read(KEYS)) == count, f"{count} drafts are on the disk")


def test_each_child_has_a_draft_that_outlives_a_killed_browser_and_goes_when_it_is_saved(site: Site) -> None:
    site.children("Anak Draf 1", "Anak Draf 2")
    with site.tablet("two drafts") as tablet:
        tablet.begin("Anak Draf 1")
        tablet.type("9,1", "70,4")
        tablet.begin("Anak Draf 2")
        tablet.type("9,2")
        expect_weight(tablet, "Anak Draf 1", "9,1")
        expect_weight(tablet, "Anak Draf 2", "9,2")
        kept(tablet, 2)
        tablet.kill()

        tablet.switch_on(line=False)
        tablet.unlock()
        for name in ("Anak Draf 1", "Anak Draf 2"):
            expect(tablet.find(name)).to_contain_text(UNSAVED)
        tablet.open("Anak Draf 1")
        expect(tablet.page.get_by_text("Belum disimpan: Pengukuran")).to_be_visible()
        tablet.look("draft-of-child")
        tablet.page.get_by_role("link", name="Lanjutkan").click()
        expect(tablet.page.locator("input[name=length_mm]")).to_have_value("70,4")
        tablet.save()
        assert len(tablet.read(KEYS)) == 1  # gone in the same transaction
        expect(tablet.find("Anak Draf 1")).not_to_contain_text(UNSAVED)
        expect_weight(tablet, "Anak Draf 2", "9,2")


def test_form_that_is_as_it_began_has_no_draft(site: Site) -> None:
    site.children("Anak Kosong")
    with site.tablet("emptied") as tablet:
        tablet.begin("Anak Kosong")
        tablet.type("9,1")
        kept(tablet, 1)
        tablet.type("")
        kept(tablet, 0)
        expect(tablet.find("Anak Kosong")).not_to_contain_text(UNSAVED)


def test_new_version_of_the_app_keeps_what_was_typed_last(site: Site) -> None:
    site.children("Anak Versi")
    site.app.extensions["tablet_app"] = TabletApp.of(found_in(files("server") / "tablet"), "0.0.9")
    with site.tablet("renewed") as tablet:
        site.app.extensions["tablet_app"] = packaged()
        tablet.set_line(there=False)
        tablet.begin("Anak Versi")
        tablet.set_line(there=True)
        renew = tablet.page.get_by_role("button", name="Pakai sekarang")
        expect(renew).to_be_visible()
        tablet.page.evaluate(
            "() => { window.setTimeout = () => 0; }"
        )  # until it loads anew, no timer runs out
        tablet.type("9,3")
        renew.click()
        tablet.unlock()
        tablet.expect_title("Anak Versi")
        expect(tablet.page.locator("input[name=weight_g]")).to_have_value("9,3")


def test_new_child_is_still_there_after_a_lock_in_the_middle_of_it(site: Site) -> None:
    with site.tablet("new child") as tablet:
        page = tablet.page
        tablet.go("baru")
        page.get_by_label("Nama anak").fill("Anak Setengah Jadi")
        page.get_by_role("button", name="Perempuan").click()
        page.get_by_label("Nama ibu").fill("Ibu Setengah (contoh)")
        page.evaluate("() => { window.setTimeout = () => 0; }")
        tablet.lock()
        tablet.unlock()
        tablet.go("baru")
        expect(page.get_by_label("Nama anak")).to_have_value("Anak Setengah Jadi")
        expect(page.get_by_role("button", name="Perempuan")).to_have_attribute("aria-pressed", "true")
        tablet.go("hari-ini")
        unsaved = page.get_by_text("Belum disimpan: Anak Setengah Jadi")
        page.get_by_role("button", name="Buang").click()
        expect(unsaved).to_have_count(0)
        page.get_by_role("button", name="Urungkan").click()
        expect(unsaved).to_be_visible()
        page.get_by_role("link", name="Lanjutkan").click()
        page.get_by_label("Tanggal lahir").fill("2026-01-05")
        page.get_by_role("button", name="Simpan, lalu ukur").click()
        tablet.expect_title("Anak Setengah Jadi")
        tablet.go("baru")
        expect(page.get_by_label("Nama anak")).to_have_value("")
        assert tablet.read(KEYS) == []


def test_draft_of_a_version_with_one_slot_is_carried_over(site: Site) -> None:
    (child,) = site.children("Anak Versi Lama")
    with site.tablet("one slot") as tablet:
        expect(tablet.find("Anak Versi Lama")).to_be_visible()
        tablet.lock()
        tablet.read(ONLY_SLOT.format(child=child, on=site.today))
        tablet.unlock()
        expect(tablet.find("Anak Versi Lama")).to_contain_text(UNSAVED)
        expect_weight(tablet, "Anak Versi Lama", "8,7")
        assert tablet.read(KEYS) == [f"draft/measurement/{child}/{site.today}"]
        tablet.save()
        assert tablet.read(KEYS) == []


def test_draft_leaves_the_disk_when_its_child_leaves_the_post(site: Site) -> None:
    (child,) = site.children("Anak Pindah Draf")
    site.children("Anak Tinggal Draf")
    with site.tablet("moved") as tablet:
        for name in ("Anak Pindah Draf", "Anak Tinggal Draf"):
            tablet.begin(name)
            tablet.type("9,1")
        kept(tablet, 2)
        district, asked = site.district, {"from": site.district.posts[0], "to": site.district.posts[1]}
        everywhere = Scope.whole_district(district.hub, shows_names=True)
        now = district.clock.now
        server_edits.decide(
            district.hub,
            lambda s: moves.move(s, district.hub, everywhere, child, asked, author="operator", now=now),
        )
        tablet.sync()
        kept(tablet, 1)
        expect_weight(tablet, "Anak Tinggal Draf", "9,1")


def test_oldest_draft_goes_beyond_a_hundred_and_the_cadre_is_told(site: Site) -> None:
    (child,) = site.children("Anak Banyak Draf")
    with site.tablet("many drafts") as tablet:
        expect(tablet.find("Anak Banyak Draf")).to_be_visible()
        tablet.lock()
        tablet.read(MANY.format(child=child))
        tablet.unlock()
        tablet.begin("Anak Banyak Draf")
        tablet.type("9,1")
        tablet.go("hari-ini")
        expect(tablet.page.get_by_text("1 isian lama dihapus")).to_be_visible()
        oldest = f"draft/measurement/{child}/100"
        wait_until(lambda: oldest not in tablet.read(KEYS), "the oldest is gone from the disk")
        kept(tablet, 100)
