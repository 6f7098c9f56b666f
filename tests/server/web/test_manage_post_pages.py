"""The pages on which posyandu are added, renamed, closed and opened again."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from server.accounts import Person
from server.database.models import Child, HealthPost
from tests.server._district import DISTRICT
from tests.server.web._clinic import Clinic, csrf_token, sign_in

LIST = "/pos/kelola"


@pytest.fixture
def office(clinic: Clinic, client: FlaskClient) -> Person:
    """Sign in an administrator of the district."""
    person = clinic.person("administrator", "district", DISTRICT)
    sign_in(client, person)
    return person


def send(client: FlaskClient, path: str, seen: str = LIST, **form: str) -> TestResponse:
    return client.post(path, data={"csrf_token": csrf_token(client, seen), **form})


def names(clinic: Clinic) -> dict[str, str]:
    return {row.name: row.id for row in clinic.district.rows(select(HealthPost.name, HealthPost.id))}


def closed(clinic: Clinic, post_id: str) -> bool:
    (row,) = clinic.district.rows(select(HealthPost.closed_at).where(HealthPost.id == post_id))
    return row.closed_at is not None


@pytest.mark.usefixtures("office")
def test_list_shows_every_posyandu_of_the_area(clinic: Clinic, client: FlaskClient) -> None:
    clinic.child("Anak Rahasia")
    page = client.get(LIST).text
    for name in ("Melati 1", "Anggrek 2", "Kenanga 3"):
        assert name in page
    assert "Anak Rahasia" not in page
    assert "Kelola posyandu" in page
    assert f'href="{LIST}"' in client.get("/pos").text
    assert "Tidak ada posyandu yang cocok" in client.get(LIST, query_string={"cari": "Xyz"}).text
    client.get("/bahasa/en")
    assert "Manage posyandu" in client.get(LIST).text


@pytest.mark.usefixtures("office")
def test_posyandu_is_added_and_renamed(clinic: Clinic, client: FlaskClient) -> None:
    answer = send(client, LIST, name="Mawar 9", village="64.02.01.2001", centre="")
    post_id = names(clinic)["Mawar 9"]
    assert (answer.status_code, answer.location) == (303, f"/pos/{post_id}/kelola")
    assert "Mawar 9" in client.get(answer.location).text
    answer = send(client, f"/pos/{post_id}/nama", name="Mawar 10")
    assert answer.status_code == 303
    assert names(clinic)["Mawar 10"] == post_id


@pytest.mark.usefixtures("office")
def test_refused_form_keeps_what_was_typed(clinic: Clinic, client: FlaskClient) -> None:
    answer = send(client, LIST, name="Mawar <9>", village="Sumber Sari", centre="")
    assert answer.status_code == 422
    assert 'value="Mawar &lt;9&gt;"' in answer.text
    assert "64.02.02.2014" in answer.text
    assert send(client, LIST, name=" ", village="Melayu", centre="").status_code == 422
    first = clinic.district.posts[0]
    assert "Mawar" not in " ".join(names(clinic))
    answer = send(client, f"/pos/{first}/nama", name="x" * 101)
    assert (answer.status_code, "x" * 101 in answer.text) == (422, True)


@pytest.mark.usefixtures("office")
def test_posyandu_is_closed_when_its_children_have_moved(clinic: Clinic, client: FlaskClient) -> None:
    child = clinic.child("Anak Rahasia")
    first, second = clinic.district.posts[:2]
    page = client.get(f"/pos/{first}/kelola").text
    assert "1 anak ada di sini dan pindah ke" in page
    answer = send(client, f"/pos/{first}/tutup", into="")
    assert answer.status_code == 409
    assert "masih ada 1 anak di sana" in answer.text
    assert not closed(clinic, first)
    assert send(client, f"/pos/{first}/tutup", into=second).status_code == 303
    assert closed(clinic, first)
    assert clinic.district.rows(select(Child.post_id).where(Child.id == child))[0].post_id == second
    page = client.get(f"/pos/{first}/kelola").text
    assert "Buka" in page
    assert "tablet masih terdaftar di sini" in page
    assert "Melati 1" not in client.get("/pos").text
    assert "Melati 1" in client.get(LIST).text
    assert first not in client.get("/tablet/daftar").text
    assert send(client, f"/pos/{first}/buka").status_code == 303
    assert not closed(clinic, first)


def test_health_centres_own_administrator_adds_to_it(clinic: Clinic, client: FlaskClient) -> None:
    sign_in(client, clinic.person("administrator", "health_centre", clinic.other_centre))
    page = client.get(LIST).text
    assert "Kenanga 3" in page
    assert "Melati 1" not in page
    assert 'name="centre"' not in page
    assert send(client, LIST, name="Mawar 9", village="Melayu").status_code == 303
    (row,) = clinic.district.rows(
        select(HealthPost.health_centre_id).where(HealthPost.id == names(clinic)["Mawar 9"])
    )
    assert row.health_centre_id == clinic.other_centre
    assert client.get(f"/pos/{clinic.district.posts[0]}/kelola").status_code == 404


def test_first_posyandu_is_asked_for_where_there_is_none(clinic: Clinic, client: FlaskClient) -> None:
    sign_in(client, clinic.person("supervisor", "subdistrict", "64.02.01"))
    assert "Tambahkan yang pertama di atas" in client.get(LIST).text
    assert f'href="{LIST}"' in client.get("/pos").text


def test_staff_see_no_way_to_manage(clinic: Clinic, client: FlaskClient) -> None:
    sign_in(client, clinic.person())
    assert LIST not in client.get("/pos").text
    assert client.get(LIST).status_code == 403
