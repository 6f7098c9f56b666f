"""What was measured comes to the server although the tablet loses its storage or never sees a line, over each kind of
database: by the sealed copy, by another tablet that carries it; nothing is doubled by either.
"""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser._tablets import Site

pytestmark = pytest.mark.browser


def test_storage_cleared_in_mid_morning_comes_back_from_sealed_copy(site: Site, tmp_path: Path) -> None:
    site.children(*(f"Anak Hilang {number}" for number in range(1, 5)))
    before = site.measurements()
    with site.tablet("lost") as tablet:
        tablet.set_line(there=False)
        tablet.measure("Anak Hilang 1", "9,1", "70,5")
        tablet.measure("Anak Hilang 2", "9,4", "72,5")
        tablet.go("salinan")
        copy = tablet.take_file("Simpan cadangan terkunci", tmp_path / "copy.posyandu")
        tablet.look("copies")
        assert b"Anak Hilang" not in copy.read_bytes()
        tablet.measure("Anak Hilang 4", "9,8")
        tablet.begin("Anak Hilang 3")
        tablet.type("9,6")
        tablet.forget_storage()
        tablet.expect_title("HP ini menghapus data aplikasi")
        expect(tablet.page.get_by_text("3 catatan yang belum terkirim")).to_be_visible()
        expect(tablet.page.get_by_text("Belum tersimpan. Tulis di kertas:")).to_be_visible()
        tablet.look("storage-gone")
        last = tablet.take_file("Simpan cadangan sekarang", tmp_path / "last.posyandu")

        tablet.switch_off()  # what was in memory is gone, too
        tablet.switch_on()
        site.enrol(tablet)
        assert site.measurements() == before
        tablet.go("salinan")
        tablet.give_files(copy)
        expect(tablet.page.get_by_text("1 titipan sudah sampai di server.")).to_be_visible()
        assert site.measurements() == before + 2
        tablet.give_files(last)
        expect(tablet.page.get_by_text("2 titipan sudah sampai di server.")).to_be_visible()
        tablet.measure("Anak Hilang 3", "9,6")
        site.check_agreement(tablet)
        assert site.measurements() == before + 4

        changes = site.district.counts()["change"]
        with site.tablet("other") as other:
            other.go("salinan")
            other.give_files(copy, last)
            expect(other.page.get_by_text("2 titipan sudah sampai di server.")).to_be_visible()
            site.check_agreement(tablet, other)
        assert site.district.counts()["change"] == changes


def test_tablet_that_never_sees_a_line_hands_its_month_to_another(site: Site, tmp_path: Path) -> None:
    names = [f"Anak Hulu {number}" for number in range(4)]
    site.children(*names)
    before = site.measurements()
    with site.tablet("upriver") as upriver, site.tablet("messenger") as messenger:
        upriver.set_line(there=False)
        for name in names[:3]:
            upriver.measure(name, "9,3", "71,5")
        upriver.go("salinan")
        letters = upriver.take_file("Simpan cadangan terkunci", tmp_path / "month.posyandu")

        messenger.set_line(there=False)  # the file is handed over upriver, too
        messenger.go("salinan")
        messenger.give_files(letters)
        expect(messenger.page.get_by_text("Belum ada sinyal")).to_be_visible()
        messenger.set_line(there=True)
        messenger.sync()
        assert site.measurements() == before + 3
        messenger.go("salinan")
        receipts = messenger.take_file("Simpan tanda terima", tmp_path / "back.receipts")
        messenger.look("carried")

        upriver.give_files(receipts)
        expect(upriver.page.get_by_text("1 dari 1 tanda terima untuk tablet ini.")).to_be_visible()
        expect(upriver.badge).to_have_text("✓ Terkirim")
        assert upriver.log() == [(1, "applied"), (2, "applied"), (3, "applied")]
        upriver.measure(names[3], "9,9")
        assert upriver.log()[3:] == [(4, "waiting")]
        upriver.set_line(there=True)  # one day, after all
        site.check_agreement(upriver, messenger)
        assert site.measurements() == before + 4
