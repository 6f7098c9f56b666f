"""The posts of a tablet of staff: on the page, as JSON, in lists, and by command."""

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from server.app import create_app
from server.crypto.vault import SigningKey
from tests.server._district import District
from tests.server.web._clinic import Clinic, csrf_token, sign_in

HERE = {"Referer": "http://localhost/"}


@pytest.fixture
def clinic(on_sqlite: District) -> Clinic:
    return Clinic.opened(on_sqlite)


@pytest.fixture
def client(clinic: Clinic) -> FlaskClient:
    client = create_app(clinic.district.hub.settings, clinic.district.hub).test_client()
    sign_in(client, clinic.person("staff", "health_centre", centre_of(clinic)))
    return client


def centre_of(clinic: Clinic) -> str:
    from sqlalchemy import select

    from server.database.models import HealthPost

    (row,) = clinic.district.rows(
        select(HealthPost.health_centre_id).where(HealthPost.id == clinic.district.posts[0])
    )
    return str(row[0])


def enrolled(client: FlaskClient, code: str) -> dict[str, Any]:
    device = {"code": code, "public_key": SigningKey().jwk(), "app": "uji/1", "device": "uji"}
    answer: dict[str, Any] = client.post("/api/v1/enrol", json=device).get_json()
    return answer


def post_json(client: FlaskClient, path: str, **sent: Any) -> Any:
    headers = {**HERE, "X-CSRF-Token": csrf_token(client, "/tablet")}
    return client.post(path, json=sent, headers=headers)


def test_a_code_for_a_tablet_of_staff_is_made_on_the_page(client: FlaskClient, clinic: Clinic) -> None:
    first, second = clinic.district.posts[:2]
    form = {"csrf_token": csrf_token(client, "/tablet/daftar"), "post": first, "name": "Tablet bidan"}
    page = client.post("/tablet/daftar", data={**form, "posts": [second]}, headers=HERE).text
    assert "Melati 1, Anggrek 2" in page
    (code,) = re.findall(r'id="code">([A-Z0-9-]{15})<', page)
    assert "dan 1 lainnya" in client.get("/tablet").text
    answer = enrolled(client, code)
    assert answer["posts"] == [{"id": first, "name": "Melati 1"}, {"id": second, "name": "Anggrek 2"}]
    plain = client.post("/tablet/daftar", data={**form, "name": "Tablet 2"}, headers=HERE).text
    assert "posts" not in enrolled(client, re.findall(r'id="code">([A-Z0-9-]{15})<', plain)[0])
    marked = client.post("/tablet/daftar", data={**form, "staff": "1"}, headers=HERE).text
    (code,) = re.findall(r'id="code">([A-Z0-9-]{15})<', marked)
    assert enrolled(client, code)["posts"] == [{"id": first, "name": "Melati 1"}]


def test_posts_are_changed_on_the_tablets_page(client: FlaskClient, clinic: Clinic) -> None:
    first, second = clinic.district.posts[:2]
    tablet = clinic.district.staff_tablet(first)
    page = client.get(f"/tablet/{tablet.id}/pos").text
    assert "tetap: kodenya untuk posyandu ini" in page
    form = {"csrf_token": csrf_token(client, "/tablet"), "posts": [first, second]}
    saved = client.post(f"/tablet/{tablet.id}/pos", data=form, headers=HERE)
    assert (saved.status_code, saved.headers["Location"]) == (303, f"/tablet/{tablet.id}/pos")
    listed = client.get(f"/tablet?pos={second}").text
    assert "Tablet bidan" in listed
    assert "dan juga Anggrek 2" in listed
    taken = {**form, "posts": [first]}
    assert client.post(f"/tablet/{tablet.id}/pos", data=taken, headers=HERE).status_code == 303
    assert "Tablet bidan" not in client.get(f"/tablet?pos={second}").text
    assert clinic.district.actions(f"post/{second}")[-2:] == ["tablet.post-given", "tablet.post-taken"]


def test_a_page_says_why_posts_are_refused(client: FlaskClient, clinic: Clinic) -> None:
    many = [clinic.district.add_post(f"Kenanga {number}") for number in range(10)]
    tablet = clinic.district.staff_tablet(clinic.district.posts[0])
    form = {"csrf_token": csrf_token(client, "/tablet"), "posts": [clinic.district.posts[0], *many]}
    refused = client.post(f"/tablet/{tablet.id}/pos", data=form, headers=HERE)
    assert refused.status_code == 422
    assert 'id="problem"' in refused.text
    cadres = clinic.district.tablet()
    assert "Ini tablet kader" in client.get(f"/tablet/{cadres.id}/pos").text


def test_posts_as_json(client: FlaskClient, clinic: Clinic) -> None:
    first, second = clinic.district.posts[:2]
    made = post_json(
        client, "/api/v1/tablets/codes", post=first, name="Tablet bidan", posts=[second]
    ).get_json()
    assert [post["id"] for post in made["posts"]] == [first, second]
    plain = post_json(client, "/api/v1/tablets/codes", post=first, name="Tablet 2").get_json()
    assert plain["posts"] is None
    tablet = enrolled(client, made["code"])["tablet"]
    path = f"/api/v1/tablets/{tablet}/posts"
    taken = post_json(client, path, posts=[first]).get_json()
    assert [post["id"] for post in taken["posts"]] == [first]
    for posts, reason in (([second], "post-stays"), ([first, clinic.district.new_id()], None)):
        refused = post_json(client, path, posts=posts)
        reasons = [one["code"] for one in refused.get_json().get("reasons", [])]
        assert reasons == ([reason] if reason else [])
        assert refused.status_code == (422 if reason else 404)
    elsewhere = clinic.elsewhere.replica.post_id
    assert post_json(client, path, posts=[first, elsewhere]).status_code == 404
    made = post_json(client, "/api/v1/tablets/codes", post=first, name="T", posts=[elsewhere])
    assert made.status_code == 404


def test_a_post_outside_the_area_stays_when_others_are_changed(client: FlaskClient, clinic: Clinic) -> None:
    first, second = clinic.district.posts[:2]
    elsewhere = clinic.elsewhere.replica.post_id
    tablet = clinic.district.staff_tablet(first, second, elsewhere)
    changed = post_json(client, f"/api/v1/tablets/{tablet.id}/posts", posts=[first]).get_json()
    assert {post["id"] for post in changed["posts"]} == {first, elsewhere}
