"""Donors and their commitments, for tests."""

from typing import Any

from server.aid import register
from tests.server._district import DISTRICT, District


def donor_of(district: District, name: str = "PT Contoh") -> str:
    with district.hub.database.transaction() as session:
        asked = {"name": name, "kind": "business"}
        return register.add_donor(session, district.hub, asked, author="operator", now=district.clock.now)


def promise(district: District, donor: str, **fields: Any) -> str:
    asked = {
        **{"donor": donor, "menu": "food", "funds": "genting", "region": DISTRICT, "places": 9},
        **{"value_rp": 2_700_000, "starts_on": "2026-03-01", "months": 6},
    }
    with district.hub.database.transaction() as session:
        area = register.whole_district(session, district.hub)
        now = district.clock.now
        return register.add_commitment(
            session, district.hub, area, asked | fields, author="operator", now=now
        )


FOOD = {
    "menu": "food",
    "funds": "genting",
    "reaches": "child",
    "starts_on": "2026-03-01",
    "ends_on": "2026-08-31",
}
