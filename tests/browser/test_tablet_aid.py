"""A child's aid on the tablet, without a signal: what was promised is there, that it came is one tap."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import select

from server.database.models import Delivery
from server.sync import server_edits
from server.sync.server_edits import Edit
from tests.browser._tablets import Site
from tests.server._district import Databases

pytestmark = pytest.mark.browser


def test_aid_is_written_down_offline_and_reaches_the_office(
    sqlite_databases: Databases, browser: Browser, pictures: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Site.opened(sqlite_databases, browser, tmp_path_factory.mktemp("profiles"), pictures) as site:
        (child,) = site.children("Anak Bantuan Contoh")
        aid = {
            "menu": "food",
            "funds": "genting",
            "reaches": "child",
            "starts_on": site.today.isoformat(),
            "ends_on": None,
        }
        edit = Edit.of_delivery(child, site.district.new_id(), {"aid": aid})
        with site.district.hub.database.transaction() as session:
            now = site.district.clock.now
            server_edits.write(
                session, site.district.hub, [edit], "aid.assigned", author="account:uji", now=now
            )
        with site.tablet("aid") as tablet:
            tablet.sync()
            tablet.set_line(there=False)
            tablet.open("Anak Bantuan Contoh")
            tablet.page.get_by_role("link", name="Bantuan sosial (1 belum diberikan)").click()
            tablet.expect_title("Bantuan sosial: Anak Bantuan Contoh")
            tablet.look("bantuan-dijanjikan")
            tablet.page.get_by_role("button", name="Sudah diberikan hari ini").click()
            tablet.page.get_by_role("button", name="Ya, sudah diberikan").click()
            expect(tablet.page.get_by_text("Dijanjikan, belum diberikan")).to_have_count(0)
            tablet.page.get_by_text("Catat bantuan sosial yang diberikan hari ini").click()
            tablet.page.get_by_role("button", name="Simpan bantuan").click()
            expect(tablet.page.locator(".field.wrong .error").first).to_contain_text("Pilih bantuannya")
            for name in ("Jamban", "Dana desa", "Keluarganya"):
                tablet.page.get_by_role("button", name=name, exact=True).click()
            tablet.look("bantuan-baru")
            tablet.page.get_by_role("button", name="Simpan bantuan").click()
            expect(tablet.page.get_by_role("heading", name="Jamban · Dana desa")).to_be_visible()
            tablet.look("bantuan-tercatat")
            tablet.set_line(there=True)
            tablet.sync()
            site.check_agreement(tablet)
        kept = site.district.rows(
            select(Delivery.menu, Delivery.funds, Delivery.reaches, Delivery.given).order_by(Delivery.menu)
        )
        assert [tuple(row) for row in kept] == [
            ("food", "genting", "child", 1),
            ("latrine", "village", "family", 1),
        ]
