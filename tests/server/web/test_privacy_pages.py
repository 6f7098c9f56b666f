"""Parents' rights on pages: a request is answered, a copy handed over, a child restricted, and erased by two people."""

import re

import pytest
from flask.testing import FlaskClient

from server.accounts import Person
from server.app import create_app
from tests.server.web._clinic import Clinic, csrf_token, sign_in

NAME = "Anak Hak Contoh"
ASKED = {"kind": "access", "relation": "mother", "by": "Ibu Contoh", "contact": "", "words": "Minta salinan"}


@pytest.fixture
def child(clinic: Clinic) -> str:
    return clinic.child(NAME)


def post(client: FlaskClient, path: str, **typed: str) -> str:
    """Send a form and give the page that follows."""
    token = csrf_token(client, "/akun")
    answer = client.post(path, data={**typed, "csrf_token": token}, follow_redirects=True)
    assert answer.status_code in (200, 422), answer.text
    return answer.text


def request_of(client: FlaskClient, child: str) -> str:
    """Give the address of the newest open request of a child."""
    found = re.findall(r'action="(/hak/[0-9a-f-]{36})"', client.get(f"/anak/{child}/hak").text)
    return str(found[-1])


def test_a_request_is_written_down_listed_and_answered(
    client: FlaskClient, staff: Person, child: str
) -> None:
    assert f"/anak/{child}/hak" in client.get(f"/anak/{child}").text
    page = post(client, f"/anak/{child}/hak", **ASKED)
    assert "Permintaan dicatat" in page
    assert NAME in client.get("/hak").text
    assert "1 permintaan orang tua" in client.get("/antrean").text
    assert "Minta salinan" in page
    assert "Sudah dilakukan" in post(client, request_of(client, child), outcome="done")
    assert NAME not in client.get("/hak").text


def test_what_is_missing_is_told_beside_what_was_typed(
    client: FlaskClient, staff: Person, child: str
) -> None:
    page = post(client, f"/anak/{child}/hak", **{**ASKED, "by": "", "words": "Tetap ada"})
    assert 'role="alert"' in page
    assert "Tetap ada" in page


def test_copy_is_given_and_logged(client: FlaskClient, clinic: Clinic, staff: Person, child: str) -> None:
    told = client.get(f"/anak/{child}/hak/salinan.json")
    assert told.get_json()["child"]["name"] == NAME
    assert client.get(f"/anak/{child}/hak/salinan.pdf").data.startswith(b"%PDF-")
    stream = f"post/{clinic.district.posts[0]}"
    assert clinic.district.actions(stream)[-2:] == ["rights.access-given"] * 2
    readers = client.get(f"/anak/{child}/hak/salinan.json").get_json()["readers"]
    assert [r["who"] for r in readers if r["action"] == "rights.access-given"] == [
        "Petugas Contoh (staff)"
    ] * 2


def test_consent_is_written_and_taken_back(client: FlaskClient, staff: Person, child: str) -> None:
    for given, words in (("1", "Persetujuan diberikan"), ("0", "Tidak setuju, atau dicabut")):
        page = client.get(f"/anak/{child}/hak").text
        context = re.findall(r'name="context" value="([^"]*)"', page)[0].replace("&#34;", '"')
        said = {"by": "Ibu Contoh", "relation": "mother", "on": "2026-03-01", "method": "lisan"}
        assert f"<b>{words}</b>" in post(
            client, f"/anak/{child}/hak/persetujuan", given=given, context=context, **said
        )


def test_restricted_child_is_found_under_rights_alone(client: FlaskClient, staff: Person, child: str) -> None:
    post(client, f"/anak/{child}/hak", **{**ASKED, "kind": "restriction"})
    assert "Pengolahan dibatasi sejak" in post(client, request_of(client, child), outcome="done")
    assert client.get(f"/anak/{child}").status_code == 404
    assert NAME not in client.get("/antrean").text
    post(client, f"/anak/{child}/hak", **{**ASKED, "kind": "lifting"})
    post(client, request_of(client, child), outcome="done")
    assert client.get(f"/anak/{child}").status_code == 200


def test_erasing_takes_staff_and_a_supervisor(
    client: FlaskClient, clinic: Clinic, staff: Person, child: str
) -> None:
    post(client, f"/anak/{child}/hak", **{**ASKED, "kind": "erasure"})
    page = post(client, request_of(client, child), outcome="done")
    assert "menunggu persetujuan pengawas" in page
    agreed = f"{request_of(client, child)}/setuju"
    token = csrf_token(client, "/akun")
    assert client.post(agreed, data={"csrf_token": token}).status_code == 403
    other = create_app(clinic.district.hub.settings, clinic.district.hub).test_client()
    sign_in(other, clinic.person("supervisor"))
    page = other.get(f"/anak/{child}/hak").text
    assert "hapus selamanya" in page
    assert "ikut dihapus" not in page
    clinic.first.edit_child(clinic.child("Anak Tertaut"), same_as={"child": child})
    clinic.first.sync_until_quiet()
    assert "1 pendaftaran lain" in other.get(f"/anak/{child}/hak").text
    assert "Data anak sudah dihapus" in post(other, agreed)
    assert {other.get(f"/anak/{child}{end}").status_code for end in ("", "/hak")} == {404}
