"""Aid over HTTP as JSON: what a program of the office reads and writes, and how it is refused."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from server.app import create_app
from tests.server._district import DISTRICT, District
from tests.server.web._clinic import Clinic, sign_in
from tests.server.web._program import read, refusal, send

VILLAGE, SUBDISTRICT = "64.02.06.1001", "64.02.06"
UNKNOWN = "01900000-0000-7000-8000-00000000ffff"


class Office:
    """A clinic, and a program of somebody who is signed in."""

    def __init__(self, district: District) -> None:
        self.clinic = Clinic.opened(district)
        self.app = create_app(district.hub.settings, district.hub)
        self.client: FlaskClient = self.app.test_client()

    def enter(self, role: str, kind: str, scope: str) -> None:
        self.client = self.app.test_client()
        sign_in(self.client, self.clinic.person(role, kind, scope))

    def get(self, path: str) -> Any:
        return read(self.client, path)

    def post(self, path: str, **asked: Any) -> TestResponse:
        return send(self.client, path, asked)

    def promise(self, region: str = DISTRICT) -> str:
        donor = self.post("aid/donors", name=f"PT Contoh {region}", kind="business", phone="0541000000")
        asked = {"donor": donor.get_json()["id"], "menu": "food", "funds": "csr", "region": region}
        asked |= {"places": 5, "starts_on": "2026-03-01", "months": 3}
        made = self.post("aid/commitments", **asked)
        assert made.status_code == 201, made.text
        return str(made.get_json()["id"])


@pytest.fixture
def office(installed: District) -> Office:
    return Office(installed)


@pytest.fixture
def small(on_sqlite: District) -> Office:
    return Office(on_sqlite)


def test_gap_is_read_assigned_delivered_and_verified(office: Office) -> None:
    child = office.clinic.child("Anak Pendek", haz=-2.5, waz=-1)
    office.enter("staff", "district", DISTRICT)
    commitment = office.promise()
    gap = office.get(f"aid/gap?area={VILLAGE}")
    assert (gap["lacking"], gap["villages"][0]["stunted"]) == (1, 1)
    (proposal,) = gap["proposals"]
    assert (gap["proposals_in_all"], gap["limit"], gap["offset"]) == (1, 200, 0)
    beyond = office.get(f"aid/gap?area={VILLAGE}&limit=1&offset=1")
    assert (beyond["proposals_in_all"], beyond["proposals"], beyond["villages"]) == (1, [], gap["villages"])
    assert (proposal["commitment"], proposal["count"]) == (commitment, 1)
    named = {name: proposal[name] for name in ("commitment", "village", "need", "seen")}
    assert office.post("aid/assign", **named).get_json() == {"assigned": 1}
    assert refusal(office.post("aid/assign", **named))[:2] == (409, "aid-moved-on")

    (aid,) = office.get(f"children/{child}/aid")["aid"]
    known = {"delivery": aid["delivery"], "context": aid["context"]}
    came = office.post(f"children/{child}/aid", **known, delivered={"given_on": "2026-03-02"})
    assert came.status_code == 200, came.text
    (aid,) = office.get(f"children/{child}/aid")["aid"]
    known["context"] = aid["context"]
    seen = {"verified_on": "2026-03-03", "outcome": "received"}
    assert office.post(f"children/{child}/aid", **known, verified=seen).status_code == 200
    (aid,) = office.get(f"children/{child}/aid")["aid"]
    assert (aid["delivered"]["given_on"], aid["verified"]["outcome"]) == ("2026-03-02", "received")
    (told,) = office.get("aid/commitments")["commitments"]
    assert (told["assigned"], told["delivered"], told["left"]) == (1, 1, 4)

    assert office.post(f"aid/commitments/{commitment}/close", reason="ended").status_code == 200
    assert office.get("aid/commitments")["commitments"][0]["closed"]


def test_activity_is_written_down_and_verified(small: Office) -> None:
    small.enter("staff", "district", DISTRICT)
    asked = {
        "title": "Sumur bor",
        "menu": "water",
        "funds": "csr",
        "village": VILLAGE,
        "value_rp": 90_000_000,
    }
    made = small.post("aid/activities", **asked, starts_on="2026-03-01")
    assert made.status_code == 201, made.text
    told = small.post(f"aid/activities/{made.get_json()['id']}/decide", action="verify", category="other")
    assert (told.get_json()["verified"], told.get_json()["category"]) == (True, "other")
    assert small.get("aid/activities")["activities"] == [told.get_json()]


def test_tpps_sees_exact_gaps_small_helps_hidden_and_no_child(small: Office) -> None:
    child = small.clinic.child("Anak Pendek", haz=-2.5, waz=-1)
    small.clinic.child("Anak Kurus", haz=-2.5, waz=-1)
    small.enter("staff", "district", DISTRICT)
    delivery = {"delivery": UNKNOWN, "delivered": {"given_on": "2026-03-02"}}
    aid = {"menu": "food", "funds": "genting", "reaches": "child", "starts_on": "2026-03-01"}
    for _ in range(2):  # sent twice it is one
        sent = small.post(f"children/{child}/aid", **delivery, aid=aid | {"ends_on": None, "donor": None})
        assert sent.status_code == 200, sent.text
    small.enter("tpps", "village", VILLAGE)
    gap = small.get("aid/gap?first=2026-03-01&last=2026-03-06")
    assert (gap["lacking"], gap["villages"][0]["helped"], gap["twice"]) == (1, None, 0)
    assert child not in str(gap)
    assert small.client.get(f"/api/v1/children/{child}/aid").status_code == 403


def test_beyond_the_area_nothing_is_found(small: Office) -> None:
    small.enter("staff", "district", DISTRICT)
    commitment = small.promise(VILLAGE)
    small.enter("tpps", "village", "64.02.01.2001")
    for path in ("aid/gap?area=64.02.06", "aid/gap?area=64.02"):
        assert refusal(small.client.get(f"/api/v1/{path}"))[:2] == (404, "record-unknown")
    closing = small.post(f"aid/commitments/{commitment}/close", reason="ended")
    assert refusal(closing)[:2] == (404, "record-unknown")


@pytest.mark.parametrize(
    ("path", "asked", "wrong"),
    [
        ("aid/donors", {"name": {}, "kind": "business"}, ["name"]),
        ("aid/donors", {"name": "PT", "kind": "toko", "authority": "camat"}, ["kind", "authority"]),
        ("aid/donors", {"name": "PT", "kind": "business", "umur": 3}, ["umur"]),
        ("aid/commitments", {"places": 2.5}, ["places"]),
        (
            "aid/commitments",
            {
                "value_rp": "0" * 15 + "9" * 30,
                "menu": "food",
                "funds": "csr",
                "region": VILLAGE,
                "places": 1,
                "months": 1,
                "starts_on": "2026-03-01",
            },
            ["donor", "value_rp"],
        ),
        (
            "aid/commitments",
            {"places": 0},
            ["donor", "menu", "funds", "region", "places", "months", "starts_on"],
        ),
        ("aid/activities", {"title": ""}, ["title", "menu", "funds", "village", "starts_on"]),
        (f"aid/activities/{UNKNOWN}/decide", {"action": "hapus"}, ["action"]),
        (f"children/{UNKNOWN}/aid", {"delivery": 5}, ["delivery"]),
    ],
)
def test_what_is_wrong_is_named(small: Office, path: str, asked: dict[str, Any], wrong: list[str]) -> None:
    small.enter("staff", "district", DISTRICT)
    status, code, paths = refusal(small.post(path, **asked))
    assert (status, code) == (422, "change-invalid")
    assert paths == wrong


def test_sheet_is_brought_looked_at_taken_and_a_row_given_to_a_child(small: Office) -> None:
    child = small.clinic.child("Anak Contoh")
    small.enter("staff", "district", DISTRICT)
    token = {"X-CSRFToken": small.get("session")["csrf_token"]}
    content = b"Apa;Desa;Tanggal;Nama Anak\nPMT balita;Jahab;1/3/2026;Anak Contoh\n"
    wrong = small.client.post("/api/v1/aid/sheets?reported_to=camat", data=content, headers=token)
    assert refusal(wrong)[:2] == (400, "request-malformed")
    wrong = small.client.post("/api/v1/aid/sheets?reported_to=regency&donor=x", data=content, headers=token)
    assert refusal(wrong)[:2] == (404, "record-unknown")
    donor = small.post("aid/donors", name="PT Contoh", kind="business").get_json()["id"]
    path = f"/api/v1/aid/sheets?reported_to=regency&donor={donor}"
    brought = small.client.post(path, data=content, headers=token)
    assert brought.status_code == 201, brought.text
    at = f"aid/sheets/{brought.get_json()['id']}"
    shown = small.get(at)
    assert (shown["state"], shown["counts"]) == ("waiting", {"refused": 1})
    assert "Anak Contoh" not in str(shown)
    assert refusal(small.post(f"{at}/take", columns={"siapa": "Apa"}))[2] == ["columns.siapa"]
    assert refusal(small.post(f"{at}/take", columns={"title": "Tidak Ada"}))[2] == ["Tidak Ada"]
    for _ in range(2):
        taken = small.post(f"{at}/take", columns={"title": "Apa"})
        assert taken.get_json()["counts"] == {"taken": 1, "same": 0}
    (row,) = small.get(at)["rows"]
    assert row["reasons"] == ["beneficiary-unmatched"]
    given = small.post(f"aid/activities/{row['id']}/child", child=child)
    assert given.get_json()["same_by"] == "delivery-made"
    assert len(small.get(f"children/{child}/aid")["aid"]) == 1
    assert [one["state"] for one in small.get("aid/sheets")["sheets"]] == ["taken"]


def test_text_that_no_database_keeps_does_no_harm(office: Office) -> None:
    office.enter("staff", "district", DISTRICT)
    odd = "PT\x00Contoh"
    for path, asked in (
        ("aid/donors", {"name": "\x00", "kind": "business"}),
        ("aid/commitments", {"region": odd}),
        ("aid/activities", {"title": odd, "village": odd}),
        ("aid/assign", {"commitment": odd}),
        (f"aid/commitments/{UNKNOWN}/close", {"reason": odd}),
    ):
        assert 400 <= office.post(path, **asked).status_code < 500, path
    office.post("aid/donors", name=odd, kind="business", phone=odd)
    assert [donor["name"] for donor in office.get("aid/donors")["donors"]] == ["PTContoh"]
    token = {"X-CSRFToken": office.get("session")["csrf_token"]}
    content = b"Kegiatan;Desa;Tanggal;Bukti\nPMT\x00;Jah\x00ab;1/3/2026;\x00\n"
    brought = office.client.post(
        "/api/v1/aid/sheets?reported_to=regency&name=%00", data=content, headers=token
    )
    assert refusal(brought)[:2] == (422, "sheet-unreadable")
    for path in ("aid/gap?area=a%00", "aid/gap?first=%00"):
        assert 400 <= office.client.get(f"/api/v1/{path}").status_code < 500, path
