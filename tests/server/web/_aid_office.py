"""An office with aid to look after, for the tests of the pages of aid."""

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from server.aid import register, sheets
from server.app import create_app
from server.database.models import AidActivity, CsrSheet
from tests.server._district import DISTRICT, District
from tests.server.web._clinic import Clinic, sign_in

NAME, VILLAGE = "Budi Contoh", "64.02.06.1001"


MAPPING = {"title": "Kegiatan", "village": "Desa", "starts": "Tanggal", "beneficiary": "Nama Penerima"}


class Office:
    """A clinic with a donor, a commitment, and a sheet of which each row names somebody who received it."""

    def __init__(self, district: District) -> None:
        self.clinic, self.district, hub = Clinic.opened(district), district, district.hub
        self.app: Flask = create_app(hub.settings, hub)
        made: dict[str, Any] = {"author": "operator", "now": district.clock.now}
        with hub.database.transaction() as session:
            self.donor = register.add_donor(session, hub, {"name": "PT Contoh", "kind": "business"}, **made)
            asked = {"donor": self.donor, "menu": "food", "funds": "csr", "region": DISTRICT}
            asked |= {"places": "5", "starts_on": "2026-03-01", "months": "3"}
            area = register.whole_district(session, hub)
            self.commitment = register.add_commitment(session, hub, area, asked, **made)

    def sheet(self, *rows: str) -> list[str]:
        """Take a sheet of rows; give the activities' ids in order."""
        made: dict[str, Any] = {"author": "operator", "now": self.district.clock.now}
        content = "\n".join(("Kegiatan;Desa;Tanggal;Nama Penerima", *rows)).encode()
        with self.district.hub.database.transaction() as session:
            sheet_id = sheets.bring(
                session,
                self.district.hub,
                content,
                name="csr.csv",
                reported_to="regency",
                donor_id=self.donor,
                **made,
            )
            sheet = session.get_one(CsrSheet, (DISTRICT, sheet_id))
            sheets.take(session, self.district.hub, sheet, MAPPING, **made)
        ids = select(AidActivity.id).where(AidActivity.sheet_id == sheet_id).order_by(AidActivity.row)
        return [row.id for row in self.district.rows(ids)]

    def row(self, activity_id: str) -> Any:
        (found,) = self.district.rows(select(AidActivity.__table__).where(AidActivity.id == activity_id))
        return found

    def signed_in(self, role: str, kind: str, scope: str) -> FlaskClient:
        client = self.app.test_client()
        sign_in(client, self.clinic.person(role, kind, scope))
        return client
