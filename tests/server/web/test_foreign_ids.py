"""The register `extra`, ids in other systems: it merges like any other, is personal, and is shown escaped."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from sync_protocol import measurement_id
from tests.server.web._clinic import DAYS, Clinic, sign_in, visible

EVIL = "<script>alert(1)</script>"
HERE, THERE = {"simpus:patient": "0012/A"}, {"simpus:patient": "0099/Z"}


def extra(ids: dict[str, str]) -> dict[str, Any]:
    return {"extra": {"ids": ids}}


@pytest.fixture
def child(clinic: Clinic) -> str:
    """Give a child with ids of its own and of its newest measurement."""
    child = clinic.child("Anak Contoh", extra={"ids": {"simpus:patient": EVIL, "rs:rm": "Kartu 7"}})
    form = clinic.first.replica.open_measurement(child, DAYS[-1])
    clinic.first.write(form, extra({"timbangan:reading": EVIL}))
    clinic.first.sync_until_quiet()
    assert set(clinic.first.outcomes()) == {"applied"}
    return child


@pytest.mark.usefixtures("staff")
def test_foreign_ids_are_shown_and_escaped(client: FlaskClient, child: str) -> None:
    page = client.get(f"/anak/{child}").text
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 2
    assert "rs:rm Kartu 7" in visible(page)
    assert "Di sistem lain" in page


@pytest.mark.usefixtures("staff")
def test_foreign_ids_are_in_the_api_of_staff(client: FlaskClient, child: str) -> None:
    found = client.get(f"/api/v1/children/{child}").get_json()
    assert [one["value"] for one in found["record"]["extra"]] == [
        {"ids": {"rs:rm": "Kartu 7", "simpus:patient": EVIL}}
    ]
    newest = found["measurements"][0]
    assert newest["values"]["extra"][0]["value"] == {"ids": {"timbangan:reading": EVIL}}


def test_foreign_ids_are_hidden_from_who_may_not_see_names(
    client: FlaskClient, clinic: Clinic, child: str
) -> None:
    sign_in(client, clinic.person("administrator", "district", "64.02"))
    for path in (f"/anak/{child}", f"/api/v1/children/{child}", f"/api/v1/children/{child}/timeline"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "Kartu 7" not in answer.text
        assert "alert(1)" not in answer.text


@pytest.mark.usefixtures("staff")
def test_foreign_ids_that_differ_are_a_conflict_that_a_person_settles(
    client: FlaskClient, clinic: Clinic
) -> None:
    child = clinic.child("Anak Contoh")
    rival = clinic.district.tablet(0, "Tablet D")
    rival.sync_until_quiet()
    for tablet, ids in ((clinic.first, HERE), (rival, THERE)):
        tablet.write(tablet.replica.open_measurement(child, DAYS[-1]), extra(ids))
        tablet.sync_until_quiet()
    assert rival.outcomes() == ["conflict"]
    page = client.get(f"/selisih/measurement/{measurement_id(child, DAYS[-1], 'cadre')}")
    assert page.status_code == 200
    assert "simpus:patient 0012/A" in visible(page.text)
    assert "simpus:patient 0099/Z" in visible(page.text)


def test_foreign_ids_do_not_touch_what_is_measured_meanwhile(clinic: Clinic) -> None:
    child = clinic.child("Anak Contoh")
    rival = clinic.district.tablet(0, "Tablet D")
    rival.sync_until_quiet()
    clinic.first.write(clinic.first.replica.open_measurement(child, DAYS[-1]), extra(HERE))
    clinic.first.sync_until_quiet()
    rival.measure(child, DAYS[-1], weight_g=9900)
    rival.sync_until_quiet()
    assert rival.outcomes() == ["merged"]
    assert rival.state(child, DAYS[-1]).value("extra") == {"ids": HERE}
