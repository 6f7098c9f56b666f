"""What cannot be taken back is asked once more; all else can be undone: aid, cadres, the list."""

import pytest
from playwright.sync_api import expect

from tests.browser._sight import faults_of
from tests.browser._tablets import CADRE, Site, Tablet

pytestmark = pytest.mark.browser

OTHER, OTHER_PIN, NEW_PIN = "Bu Lain Contoh", "580316", "731946"


@pytest.fixture(scope="module")
def site(site: Site) -> Site:
    site.children("Anak Pertama")
    return site


def undo(tablet: Tablet) -> None:
    tablet.page.get_by_role("button", name="Urungkan").click()


def test_offer_stands_for_ten_seconds_on_every_screen_and_can_be_read_at_large_text(site: Site) -> None:
    with site.tablet("ten seconds") as tablet:
        tablet.page.clock.install()
        tablet.page.reload()
        tablet.unlock()
        offer = tablet.page.get_by_role("button", name="Urungkan")
        for percent in (100, 200):
            tablet.go("hari-ini")
            tablet.set_text_size(percent)
            tablet.begin("Anak Pertama") if percent == 100 else tablet.correct("Anak Pertama")
            tablet.type(f"9,{percent // 100}")
            tablet.page.clock.pause_at(tablet.page.evaluate("Date.now() / 1000 + 1"))
            tablet.save()
            tablet.page.clock.run_for(9_000)
            for screen in ("hari-ini", "lainnya", "kirim"):
                tablet.go(screen)
                expect(offer).to_be_visible()
                assert faults_of(tablet.page) == []
            expect(tablet.page.locator(".undo")).to_contain_text("Tersimpan: Anak Pertama")
            tablet.page.clock.run_for(1_000)
            expect(offer).to_have_count(0)
            tablet.page.clock.resume()


def test_cadre_who_was_let_in_or_taken_off_by_mistake(site: Site) -> None:
    with site.tablet("cadres") as tablet:
        page = tablet.page
        others = page.get_by_role("listitem").filter(has_text=OTHER)
        tablet.add_cadre(OTHER, OTHER_PIN)
        undo(tablet)
        expect(others).to_have_count(0)

        tablet.add_cadre(OTHER, OTHER_PIN)
        others.get_by_role("button", name="Keluarkan").click()
        expect(others).to_have_count(0)
        undo(tablet)
        expect(others).to_have_count(1)

        page.get_by_label("Nama kader").fill(OTHER)
        page.get_by_label("PIN", exact=True).fill(NEW_PIN)
        page.get_by_label("PIN sekali lagi").fill(NEW_PIN)
        page.get_by_role("button", name="Simpan", exact=True).click()
        expect(page.get_by_text(f"{OTHER} sudah ada. Ganti PIN-nya?")).to_be_visible()
        page.get_by_role("button", name="Batal").click()
        tablet.lock()
        tablet.unlock(OTHER, OTHER_PIN)  # still the old one
        expect(page.locator(".unlock")).to_have_count(0)
        page.reload()
        tablet.unlock(CADRE)


def test_child_that_was_taken_off_the_list_comes_back(site: Site) -> None:
    (child,) = site.children("Anak Keluar")
    with site.tablet("off the list") as tablet:
        expect(tablet.find("Anak Keluar")).to_be_visible()
        tablet.go(f"ubah/{child}")
        tablet.page.get_by_text("Keluarkan dari daftar").click()
        tablet.page.get_by_role("button", name="Keluarkan", exact=True).click()
        expect(tablet.page.locator(".field.wrong")).to_contain_text("Tulis alasannya")
        tablet.page.get_by_label("Alasan").fill("salah anak")
        tablet.page.get_by_role("button", name="Keluarkan", exact=True).click()
        tablet.expect_title("Hari ini")
        expect(tablet.find("Anak Keluar")).to_have_count(0)
        undo(tablet)
        tablet.expect_title("Anak Keluar")
        site.check_agreement(tablet)


def test_aid_can_be_undone_and_what_cannot_is_asked_once_more(site: Site) -> None:
    (child,) = site.children("Anak Urung")
    task = site.hand.set_task(child, action="counsel", due_on=site.today.isoformat())
    delivery = site.district.new_id()
    promised = {
        "menu": "water",
        "funds": "csr",
        "reaches": "family",
        "starts_on": "2026-10-05",
        "ends_on": None,
    }
    site.hand.write(site.hand.replica.open_delivery(child, delivery), {"aid": promised})
    site.hand.sync_until_quiet()
    with site.tablet("aid and task") as tablet:
        page = tablet.page
        tablet.sync()
        tablet.go(f"bantuan-anak/{child}")
        page.get_by_text("Catat bantuan sosial yang diberikan hari ini").click()
        for name in ("Jamban", "Dana desa"):
            page.get_by_role("button", name=name, exact=True).click()
        page.get_by_role("button", name="Simpan bantuan").click()
        made = page.get_by_role("heading", name="Jamban · Dana desa")
        expect(made).to_be_visible()
        undo(tablet)
        expect(made).to_have_count(0)

        before = len(tablet.log())
        page.get_by_role("button", name="Sudah diberikan hari ini").click()
        expect(page.get_by_text("Ini tidak bisa dibatalkan.")).to_be_visible()
        page.get_by_role("button", name="Batal").click()
        expect(page.get_by_role("button", name="Sudah diberikan hari ini")).to_be_visible()
        tablet.go(f"anak/{child}")
        page.get_by_role("button", name="Jawab").click()
        page.get_by_label("Catatan").fill("Ibu sedang bekerja")
        tablet.lock()  # with an answer half given
        tablet.unlock()
        tablet.go(f"anak/{child}")
        expect(page.get_by_label("Catatan")).to_have_value("Ibu sedang bekerja")
        page.get_by_role("button", name="Simpan jawaban").click()
        expect(page.get_by_text("Ini tidak bisa dibatalkan.")).to_be_visible()
        assert len(tablet.log()) == before
        tablet.look("answer-asked")
        page.get_by_role("button", name="Ya, simpan").click()
        expect(page.get_by_role("button", name="Jawab")).to_have_count(0)
        site.check_agreement(tablet)
        state = tablet.shown()[f"follow_ups {child} {task}"]
        assert [sibling["value"] for sibling in state["set"]["note"]] == [{"text": "Ibu sedang bekerja"}]
