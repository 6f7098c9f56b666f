"""Pages of aid as a browser meets them: closing a commitment, and finding who a row with a name alone is about."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from server.aid import sheets
from server.database.models import Commitment, Delivery, Donor
from server.web.pages import aid as aid_pages
from tests.server._district import DISTRICT, District
from tests.server.web._aid_office import NAME, VILLAGE, Office
from tests.server.web._clinic import csrf_token


@pytest.fixture
def everywhere(installed: District) -> Office:
    return Office(installed)


@pytest.fixture
def office(on_sqlite: District) -> Office:
    return Office(on_sqlite)


def send(client: FlaskClient, path: str, **form: str) -> TestResponse:
    return client.post(path, data={"csrf_token": csrf_token(client, "/bantuan/donatur"), **form})


def test_commitment_is_closed_with_a_reason(office: Office) -> None:
    tpps = office.signed_in("tpps", "district", DISTRICT)
    path = f"/bantuan/komitmen/{office.commitment}/tutup"
    assert "Tutup komitmen ini" in tpps.get("/bantuan/donatur").text
    assert send(tpps, path, alasan="").status_code == 422
    assert send(tpps, path, alasan="fulfilled").status_code == 302
    page = tpps.get("/bantuan/donatur").text
    assert ("Tutup komitmen ini" in page, "Ditutup" in page) == (False, True)
    assert office.district.actions("office").count("commitment.closed") == 1


def test_commitment_is_closed_by_those_whose_place_it_is_or_who_wrote_it_down(office: Office) -> None:
    upriver = office.signed_in("tpps", "village", "64.02.01.2001")
    asked = {"apa": "komitmen", "donor": office.donor, "menu": "food", "funds": "csr", "region": VILLAGE}
    asked |= {"places": "5", "starts_on": "2026-03-01", "months": "3"}
    above = office.signed_in("tpps", "subdistrict", "64.02.06")
    here = office.signed_in("tpps", "village", VILLAGE)
    assert send(here, "/bantuan/donatur", **asked).status_code == 302
    refused = send(here, "/bantuan/donatur", **asked | {"region": "64.02.06"})
    assert (refused.status_code, "seluruhnya di wilayah Anda" in refused.text) == (422, True)
    assert send(above, "/bantuan/donatur", **asked | {"region": "64.02.06"}).status_code == 302
    offered = [who.get("/bantuan/donatur").text.count("Tutup komitmen ini") for who in (here, above, upriver)]
    assert offered == [1, 2, 0]  # of three: the regency's is for none of them
    refused = send(here, f"/bantuan/komitmen/{office.commitment}/tutup", alasan="ended")
    assert refused.status_code == 404


def test_donor_is_changed_by_who_wrote_it_down_or_has_the_district(office: Office) -> None:
    path, here = f"/bantuan/donatur/{office.donor}", office.signed_in("tpps", "village", VILLAGE)
    assert here.get(path).status_code == send(here, path, name="PT Lain").status_code == 404
    tpps = office.signed_in("tpps", "district", DISTRICT)
    told = {"name": "PT Contoh Baru", "kind": "business", "authority": "province", "phone": "0541000001"}
    assert send(tpps, path, **told).status_code == 302
    page = tpps.get(path).text
    assert all(text in page for text in ("PT Contoh Baru", "0541000001"))
    assert send(tpps, path, **told).status_code == 302  # sent again
    refused = send(tpps, path, **told | {"kind": "toko"})
    assert "Jenis donatur (tertulis toko) harus salah satu dari: government" in refused.text
    assert [office.district.actions("office").count(f"donor.{what}") for what in ("changed", "viewed")] == [
        1,
        2,
    ]
    assert "0541000001" not in str(office.district.rows(select(Donor.__table__)))


def test_commitment_is_changed_but_not_below_what_is_assigned(office: Office) -> None:
    tpps = office.signed_in("tpps", "district", DISTRICT)
    path = f"/bantuan/komitmen/{office.commitment}"
    child = office.clinic.child(NAME)
    aid = {"menu": "food", "funds": "csr", "reaches": "child", "starts_on": "2026-03-01", "ends_on": None}
    form = office.clinic.first.replica.open_delivery(child, office.district.new_id())
    office.clinic.first.write(form, {"aid": aid | {"donor": office.donor, "commitment": office.commitment}})
    office.clinic.first.sync_until_quiet()
    assert "1 tempat sudah dibagikan" in tpps.get(path).text
    assert send(tpps, path, places="1", months="2", region=VILLAGE).status_code == 302
    refused = send(tpps, path, places="0", menu="water").text
    assert "Jumlah anak atau keluarga belum diisi" not in refused
    assert "harus bilangan bulat 1 sampai 100000" in refused
    assert "sudah ada yang dibagikan" in refused
    (kept,) = office.district.rows(select(Commitment.__table__))
    assert (kept.places, kept.months, kept.region_code, kept.menu) == (1, 2, VILLAGE, "food")
    assert office.district.actions("office").count("commitment.changed") == 1
    here = office.signed_in("tpps", "village", VILLAGE)
    assert send(here, path, region="64.02.06").status_code == 422  # beyond the own area
    assert send(tpps, f"{path}/tutup", alasan="ended").status_code == 302
    assert "sudah ditutup" in send(tpps, path, months="3").text


def test_row_with_a_name_becomes_the_delivery_of_the_child_who_is_picked(everywhere: Office) -> None:
    office, clinic = everywhere, everywhere.clinic
    child = clinic.child(NAME)
    stranger = clinic.child("Budi Lain", tablet=clinic.elsewhere)
    (row,) = office.sheet(f"PMT balita;Jahab;1/3/2026;{NAME}")
    staff = office.signed_in("staff", "district", DISTRICT)
    path = f"/bantuan/kegiatan/{row}/anak"
    assert path in staff.get(f"/bantuan/lembar/{office.row(row).sheet_id}").text
    page = staff.get(path).text
    assert (page.count(NAME) >= 2, child in page, stranger in page) == (True, True, False)
    found = send(staff, path, cari="budi").text
    assert (child in found, stranger in found) == (True, False)
    assert "Tidak ada anak bernama itu" in send(staff, path, cari="orang asing").text
    assert send(staff, path, cari="b").status_code == 400

    assert send(staff, path, anak=stranger).status_code == 404  # of another village
    assert send(staff, path, anak=child).status_code == 302
    told = office.row(row)
    assert (told.child_id, told.same_by, told.reasons) == (child, sheets.DELIVERY_MADE, "[]")
    (kept,) = office.district.rows(select(Delivery.child_id, Delivery.donor_id, Delivery.given))
    assert tuple(kept) == (child, office.donor, 1)
    assert send(staff, path, anak=child).status_code == 404  # it counts already
    clinic.first.sync_until_quiet()
    assert [ref for ref in clinic.first.replica.base if ref[0] == "delivery"]
    office.district.check_agreement(clinic.first)


def test_picked_childs_delivery_that_is_known_is_named_and_not_written_again(office: Office) -> None:
    child = office.clinic.child(NAME)
    staff = office.signed_in("staff", "health_centre", office.clinic.centre)

    def given(*rows: str) -> list[str]:
        ids = office.sheet(*rows)
        for row in ids:
            assert send(staff, f"/bantuan/kegiatan/{row}/anak", anak=child).status_code == 302
        return [office.row(row).same_by for row in ids]

    rows = [f"PMT balita;Jahab;{day}/3/2026;{NAME}" for day in (1, 5)]
    assert given(*rows) == [sheets.DELIVERY_MADE] * 2  # one sheet tells of two
    assert given(*rows, "") == [sheets.DELIVERY_KNOWN] * 2  # another tells of the same two again
    assert len(office.district.rows(select(Delivery.delivery))) == 2


def test_tpps_is_not_led_to_children(office: Office) -> None:
    office.clinic.child(NAME)
    (row,) = office.sheet(f"PMT;Jahab;1/3/2026;{NAME}")
    tpps = office.signed_in("tpps", "district", DISTRICT)
    page = tpps.get(f"/bantuan/lembar/{office.row(row).sheet_id}").text
    assert (NAME in page, "/anak" in page) == (False, False)
    assert tpps.get(f"/bantuan/kegiatan/{row}/anak").status_code == 403


@pytest.mark.parametrize("row", ["Banjir;Jahab;1/3/2026;X", "PMT;Jahab;1/3/2999;X", "PMT;Jahab;kemarin;X"])
def test_row_that_can_be_no_childs_delivery_is_not_offered(office: Office, row: str) -> None:
    (activity,) = office.sheet(row)
    staff = office.signed_in("staff", "district", DISTRICT)
    assert staff.get(f"/bantuan/kegiatan/{activity}/anak").status_code == 404


def test_villages_with_the_widest_gap_are_shown_and_all_when_asked_for(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aid_pages, "MOST_VILLAGES", 1)
    office.sheet("PMT balita;Jahab;1/3/2026;", "PMT balita;Loa Ipuh;1/3/2026;")
    tpps = office.signed_in("supervisor", "district", DISTRICT)

    def rows(page: str) -> int:
        return page.count('<th role="rowheader"')

    page = tpps.get("/bantuan?dari=2026-03-01&sampai=2026-03-31").text
    assert rows(page) == 1
    assert "Semua 2 desa" in page
    page = tpps.get("/bantuan?dari=2026-03-01&sampai=2026-03-31&semua=ya").text
    assert rows(page) == 2
    assert "Semua 2 desa" not in page
