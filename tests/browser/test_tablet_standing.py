"""What becomes of a tablet whose standing with the server changes: copied with its profile, in front of a server that was
restored, revoked, its child moved to another post, its app too old. Whatever it had not sent gets through, once.
"""

from dataclasses import replace
from importlib.resources import files

import pytest
from playwright.sync_api import expect
from sqlalchemy import text

from server.review import Scope, moves
from server.sync import server_edits
from server.web.tablet_app import TabletApp, found_in, packaged
from tests.browser._tablets import Site, Tablet, held, revoke
from tests.faults._running import wait_until

pytestmark = pytest.mark.browser

OPENED_BY_PIN = ("held", "log", "pending", "past", "desk")
OLD, NEWER = "0.0.9", "0.1.0"


def test_copied_tablet_gets_an_enrolment_of_its_own_and_both_are_heard(site: Site) -> None:
    site.children("Anak Salin 1", "Anak Salin 2", "Anak Salin 3")
    before = site.measurements()
    with site.tablet("original") as original:
        original.measure("Anak Salin 1", "9,1")
        original.sync()
        original.switch_off()
        copied = original.copied(site.profiles / "copied")
        original.switch_on()
        original.unlock()
        with copied.on():
            copied.unlock()
            for tablet, name in ((original, "Anak Salin 2"), (copied, "Anak Salin 3")):
                tablet.set_line(there=False)
                tablet.measure(name, "9,4")  # both of them as change 2 of one enrolment
                tablet.set_line(there=True)
            original.sync()
            copied.sync()
            assert original.id != copied.id
            site.check_agreement(original, copied)
    assert site.measurements() == before + 3


def test_restored_server_is_told_again_what_it_lost(site: Site) -> None:
    site.children("Anak Ulang 1", "Anak Ulang 2")
    with site.tablet("faithful") as tablet:
        tablet.measure("Anak Ulang 1", "9,1")
        tablet.sync()
        backup = site.district.back_up()
        tablet.measure("Anak Ulang 2", "9,4")
        tablet.sync()
        everything = held(site.district)
        site.district.restore(backup)
        assert held(site.district) != everything
        tablet.sync()
        assert held(site.district) == everything
        site.check_agreement(tablet)


def set_aside(site: Site) -> int:
    """Count the changes that wait for a person."""
    (row,) = site.district.rows(text("SELECT count(*) AS n FROM change WHERE outcome = 'quarantined'"))
    return int(row.n)


def test_revoked_tablet_hands_over_and_forgets_before_anybody_types_a_pin(site: Site) -> None:
    site.children("Anak Cabut 1")
    before = set_aside(site)
    with site.tablet("revoked") as tablet:
        tablet.set_line(there=False)
        tablet.measure("Anak Cabut 1", "9,1")
        wait_until(lambda: tablet.raw()["letters"], "what waits lies sealed beside")
        revoke(site, tablet)
        tablet.lock()
        tablet.expect_title("Melati 1")
        tablet.set_line(there=True)
        tablet.page.reload()
        expect(tablet.page.get_by_text("dicabut oleh puskesmas")).to_be_visible()
        tablet.look("revoked")
        expect_forgotten(tablet)
        wait_until(lambda: set_aside(site) == before + 1, "what it had is there, for a person to judge")
        site.enrol(tablet)
        site.check_agreement(tablet)


def test_revoked_tablet_is_wiped_by_its_cadre_at_next_contact(site: Site) -> None:
    site.children("Anak Cabut 2")
    before = set_aside(site)
    with site.tablet("revoked in use") as tablet:
        tablet.set_line(there=False)
        tablet.measure("Anak Cabut 2", "9,1")
        revoke(site, tablet)
        tablet.go("kirim")
        tablet.set_line(there=True)
        wipe = tablet.page.get_by_role("button", name="Hapus data di tablet ini")
        expect(wipe).to_be_visible()
        with tablet.page.expect_response("**/api/v1/sync"):
            tablet.page.get_by_role("button", name="Kirim sekarang").click()
        wipe.click()  # said still, though the second answer does not tell it again
        expect(tablet.page.get_by_label("Kode pendaftaran")).to_be_visible()
        expect(tablet.page.get_by_text("dicabut oleh puskesmas")).to_be_visible()
        expect_forgotten(tablet)
        wait_until(lambda: set_aside(site) == before + 1, "what it had is there")


def expect_forgotten(tablet: Tablet) -> None:
    """Nothing that a PIN opened is there any more."""
    raw = tablet.raw()
    assert [raw[store] for store in OPENED_BY_PIN] == [[]] * len(OPENED_BY_PIN)


def test_child_that_moved_leaves_the_tablet_and_what_was_measured_goes_with_it(site: Site) -> None:
    (child,) = site.children("Anak Pindah")
    site.children("Anak Tinggal")
    with site.tablet("of the old post") as tablet:
        tablet.set_line(there=False)
        tablet.measure("Anak Pindah", "9,1")
        district, asked = site.district, {"from": site.district.posts[0], "to": site.district.posts[1]}
        everywhere = Scope.whole_district(district.hub, shows_names=True)
        now = district.clock.now
        server_edits.decide(
            district.hub,
            lambda s: moves.move(s, district.hub, everywhere, child, asked, author="operator", now=now),
        )
        tablet.set_line(there=True)
        tablet.sync()
        tablet.go("hari-ini")
        expect(tablet.find("Anak Tinggal")).to_have_count(1)
        expect(tablet.find("Anak Pindah")).to_have_count(0)
        assert f"measurements {child} {site.today}/cadre" in held(district, post=1)
        site.check_agreement(tablet)


def test_app_too_old_renews_itself_and_then_sends_what_it_held(site: Site) -> None:
    site.children("Anak Lama")
    before = site.measurements()
    hub = site.district.hub
    site.app.extensions["tablet_app"] = TabletApp.of(found_in(files("server") / "tablet"), OLD)
    try:
        with site.tablet("old") as tablet:
            tablet.set_line(there=False)
            tablet.measure("Anak Lama", "9,1")
            site.app.extensions["tablet_app"] = packaged()
            site.app.extensions["hub"] = replace(hub, settings=replace(hub.settings, oldest_app=NEWER))
            tablet.set_line(there=True)
            tablet.go("kirim")
            tablet.page.get_by_role("button", name="Kirim sekarang").click()
            expect(tablet.page.get_by_text("terlalu lama bagi server")).to_be_visible()
            expect(tablet.page.get_by_text("Versi baru aplikasi sudah siap.")).to_be_visible()
            tablet.look("too-old")
            assert site.measurements() == before
            tablet.page.get_by_role("button", name="Pakai sekarang").click()
            tablet.unlock()
            site.check_agreement(tablet)
            assert site.measurements() == before + 1
    finally:
        site.app.extensions["hub"] = hub
