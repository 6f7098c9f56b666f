"""Devices that only send, such as scales: they are enrolled so, say so, and never get a child's data."""

from datetime import UTC, datetime
from typing import Any

import orjson
from flask.testing import FlaskClient
from sqlalchemy import select

from server import accounts
from server.crypto.vault import SigningKey
from server.database.models import Base
from server.review import Scope, tablets
from server.review.lost_tablet import WRITTEN, exposure
from sync_protocol import NewEpochRequired, Replica
from tests.server._district import DISTRICT, District, FakeTablet

APP = "timbangan 1"


def scale(district: District) -> FakeTablet:
    """Enrol a scale for the first post."""
    key = SigningKey()
    tablet_id = district.enrol(key, name="Timbangan", write_only=True)
    return FakeTablet(district, key, Replica(DISTRICT, tablet_id, district.posts[0], APP))


def code(district: District) -> str:
    with district.hub.database.transaction() as session:
        return accounts.make_enrolment_code(
            session,
            district.hub,
            district.posts[0],
            "Timbangan",
            actor="operator",
            now=district.clock.now,
            write_only=True,
        )


def pulls(device: FakeTablet) -> list[Any]:
    return [(answer["pull"]["children"], answer["pull"]["measurements"]) for answer in device.answers]


def test_a_scale_sends_and_gets_receipts_and_no_child(installed: District) -> None:
    tablet, device = installed.tablet(), scale(installed)
    child = tablet.register_child()
    tablet.sync()
    device.measure(child, weight_g=9100)
    device.sync_until_quiet()
    device.sync()
    assert device.outcomes() == ["applied"]
    assert pulls(device) == [([], {})] * 2
    assert device.answers[-1]["pull"]["cursor"] == 0
    tablet.sync_until_quiet()
    assert tablet.state(child, "2026-03-05").value("weight") == {"weight_g": 9100, "oedema": None}
    installed.check_agreement(tablet)


def test_a_scale_gets_nothing_after_the_server_was_restored_nor_what_it_wrote_itself(
    installed: District,
) -> None:
    device = scale(installed)
    device.register_child()
    device.sync()
    installed.restore(installed.back_up())
    device.sync_until_quiet()
    assert pulls(device) == [([], {})] * len(device.answers)


def test_a_scale_that_goes_on_under_a_new_enrolment_stays_one(installed: District) -> None:
    tablet, device = installed.tablet(), scale(installed)
    child = tablet.register_child()
    tablet.sync()
    device.measure(child, weight_g=9100)
    device.sync()
    copied = device.clone()
    device.sync()
    assert any(isinstance(event, NewEpochRequired) for event in copied.sync())
    copied.enrol_anew()
    copied.sync_until_quiet()
    assert copied.id != device.id
    assert pulls(copied) == [([], {})] * len(copied.answers)


def test_a_scale_is_told_so_and_other_tablets_see_no_difference(
    client: FlaskClient, on_sqlite: District
) -> None:
    on_sqlite.clock.now = datetime.now(UTC).replace(microsecond=0)
    tablet = on_sqlite.tablet()
    asked = {"code": code(on_sqlite), "public_key": SigningKey().jwk(), "app": APP, "device": "timbangan"}
    enrolled = client.post("/api/v1/enrol", json=asked).get_json()
    assert enrolled["write_only"] is True
    stands = client.get(f"/api/v1/tablets/{enrolled['tablet']}/standing").get_json()
    assert (stands["standing"], stands["write_only"]) == ("active", True)
    assert set(client.get(f"/api/v1/tablets/{tablet.id}/standing").get_json()) == {"standing", "server_time"}


def test_the_log_and_the_list_say_which_device_only_sends(on_sqlite: District) -> None:
    device = scale(on_sqlite)
    on_sqlite.tablet()
    scope = Scope.whole_district(on_sqlite.hub, shows_names=False)
    with on_sqlite.hub.database.reading() as session:
        listed = {one.id: one.wire()["write_only"] for one in tablets.tablets(session, on_sqlite.hub, scope)}
    assert [listed.pop(device.id), *listed.values()] == [True, False]
    marked = [
        orjson.loads(row.details).get("write_only", False)
        for row in on_sqlite.rows(_entries("tablet.code-made", "tablet.enrolled"))
    ]
    assert sorted(marked) == [False, False, True, True]


def _entries(*actions: str) -> Any:
    entry = Base.metadata.tables["audit_entry"].c
    return select(entry.details).where(entry.action.in_(actions))


def test_only_children_that_a_lost_scale_wrote_of_were_on_it(on_sqlite: District) -> None:
    tablet, device = on_sqlite.tablet(), scale(on_sqlite)
    children = [tablet.register_child() for _ in range(3)]
    tablet.sync()
    device.measure(children[0], weight_g=9100)
    device.sync()
    scope = Scope.whole_district(on_sqlite.hub, shows_names=True)
    with on_sqlite.hub.database.reading() as session:
        found = exposure(session, on_sqlite.hub, scope, device.id)
    assert {child.child_id: child.why for child in found.children} == {children[0]: WRITTEN}
