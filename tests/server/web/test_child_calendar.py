"""The calendar of vaccines and services on a child's page, the registers behind it, and where else they come out."""

import io
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from flask.testing import FlaskClient

from server.interchange.export_rows import ExportQuery
from server.interchange.measurements_csv import write_data
from server.review import Scope
from sync_protocol import measurement_id
from tests.server.web._clinic import DAYS, Clinic, visible

BOOK = {"HB0": "2025-01-10", "BCG": "2025-02-03"}


def table(page: str) -> str:
    """Give the text of the calendar."""
    return visible(page[page.index('id="jadwal"') : page.index('id="data"')])


@pytest.fixture
def child(clinic: Clinic) -> str:
    """Give a child born on 10 January 2025, with doses from the book, and one given here that day."""
    child = clinic.child("Anak Contoh", book_doses={"given": BOOK})
    form = clinic.first.replica.open_measurement(child, DAYS[-1])
    clinic.first.write(form, {"doses": {"given": {"MR1": "A-123", "IPV1": None}}})
    clinic.first.sync_until_quiet()
    assert set(clinic.first.outcomes()) == {"applied"}
    return child


@pytest.mark.usefixtures("staff")
def test_the_page_shows_what_is_given_and_what_is_overdue(client: FlaskClient, child: str) -> None:
    section = table(client.get(f"/anak/{child}").text)
    assert "BCG diberikan 3 Feb 2025" in section
    assert "DPT-HB-Hib 1 terlambat sejak 10 Mar 2025" in section
    assert "Rotavirus 1 sudah lewat umurnya" in section
    assert "Jadwal 2025-1" in section
    assert section.index("DPT-HB-Hib 1") < section.index("BCG")


@pytest.mark.usefixtures("staff")
def test_the_registers_are_shown_in_words_and_as_json(client: FlaskClient, child: str) -> None:
    page = visible(client.get(f"/anak/{child}").text)
    assert "MR1 (A-123)" in page
    assert "Imunisasi di tempat lain (Buku KIA)" in page
    found = client.get(f"/api/v1/children/{child}").get_json()
    assert found["record"]["book_doses"][0]["value"] == {"given": BOOK}
    assert found["measurements"][0]["values"]["doses"][0]["value"]["given"] == {"MR1": "A-123", "IPV1": None}


@pytest.mark.usefixtures("staff")
def test_a_child_without_a_birth_date_has_no_calendar(client: FlaskClient, clinic: Clinic) -> None:
    name = {"name": "Anak Tanpa Tanggal", "sex": "F", "born_on": None, "birth_order": None}
    child = clinic.child("Anak Contoh")
    clinic.first.edit_child(child, identity=name)
    clinic.first.sync_until_quiet()
    assert "Tanpa tanggal lahir" in table(client.get(f"/anak/{child}").text)


@pytest.mark.usefixtures("staff")
def test_doses_that_differ_are_a_conflict_and_all_of_them_count(client: FlaskClient, clinic: Clinic) -> None:
    child = clinic.child("Anak Contoh")
    rival = clinic.district.tablet(0, "Tablet D")
    rival.sync_until_quiet()
    for tablet, code in ((clinic.first, "DPT1"), (rival, "OPV1")):
        form = tablet.replica.open_measurement(child, DAYS[-1])
        tablet.write(form, {"doses": {"given": {code: None}}})
        tablet.sync_until_quiet()
    assert rival.outcomes() == ["conflict"]
    section = table(client.get(f"/anak/{child}").text)
    assert "DPT-HB-Hib 1 diberikan" in section
    assert "Polio tetes 1 (OPV) diberikan" in section
    page = visible(client.get(f"/selisih/measurement/{measurement_id(child, DAYS[-1], 'cadre')}").text)
    assert "DPT1" in page
    assert "OPV1" in page


def test_the_same_doses_written_in_another_order_are_no_conflict(clinic: Clinic) -> None:
    child = clinic.child("Anak Contoh")
    rival = clinic.district.tablet(0, "Tablet D")
    rival.sync_until_quiet()
    for tablet, codes in ((clinic.first, ("DPT1", "OPV2")), (rival, ("OPV2", "DPT1"))):
        form = tablet.replica.open_measurement(child, DAYS[-1])
        tablet.write(form, {"doses": {"given": dict.fromkeys(codes)}})
        tablet.sync_until_quiet()
    assert "conflict" not in rival.outcomes()


def test_a_vaccine_and_a_capsule_of_two_tablets_on_one_day_are_no_conflict(clinic: Clinic) -> None:
    child = clinic.child("Anak Contoh")
    rival = clinic.district.tablet(0, "Tablet D")
    rival.sync_until_quiet()
    written: tuple[Mapping[str, Any], ...] = (
        {"doses": {"given": {"MR1": None}}},
        {"services": {"vitamin_a": "blue"}},
    )
    for tablet, registers in zip((clinic.first, rival), written, strict=True):
        tablet.write(tablet.replica.open_measurement(child, DAYS[-1]), registers)
        tablet.sync_until_quiet()
    assert rival.outcomes() == ["merged"]


def test_the_csv_of_measurements_has_the_doses_of_the_day(clinic: Clinic, child: str) -> None:
    hub, target = clinic.district.hub, io.BytesIO()
    day = date.fromisoformat(DAYS[-1])
    with hub.database.reading() as session:
        wanted = ExportQuery(Scope.whole_district(hub, shows_names=True), day, day)
        write_data(target, session, hub, wanted)
    assert child
    assert "IPV1 MR1" in target.getvalue().decode("utf-8-sig")
