"""The factor asked again: before names leave, something is erased, or access is given."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from server import audit
from server.accounts import Person, attempt_limits, sessions
from server.app import create_app
from server.database.models import UserSession, table
from tests.server._district import DISTRICT, Databases, District
from tests.server.web._clinic import PASSWORD, Clinic, csrf_token, sign_in
from tests.server.web._proven import OPEN, PROVEN
from tests.server.web._second_factor import now_code, pass_all


@pytest.fixture
def strict(sqlite_databases: Databases) -> Iterator[tuple[Clinic, FlaskClient]]:
    """Give a clinic where staff and above must have a second factor, and a browser."""
    with District.opened(sqlite_databases, second_factor=True) as district:
        yield Clinic.opened(district), create_app(district.hub.settings, district.hub).test_client()


def let_pass(clinic: Clinic, minutes: float = sessions.PROOF_MINUTES) -> None:
    """Let so much time have passed since the last proof."""
    hub = clinic.district.hub
    with hub.database.transaction() as session:
        session.execute(
            update(table(UserSession)).values(passed_at=datetime.now(UTC) - timedelta(minutes=minutes))
        )
        audit.append(session, DISTRICT, audit.OFFICE, "test.waited", actor="operator", now=datetime.now(UTC))


def names_of(client: FlaskClient) -> dict[str, str]:
    """Give every route by what acts in it: its POST, or the GET of one that has no POST."""
    found = {}
    for rule in client.application.url_map.iter_rules():
        methods = rule.methods or set()
        found[f"{'POST' if 'POST' in methods else 'GET'} {rule.rule}"] = rule.endpoint
    return found


def test_every_route_is_known_to_want_a_proof_or_not(client: FlaskClient) -> None:
    """A new route is put into one of the two tables of `_proven`, on purpose."""
    app, found = client.application, names_of(client)
    aid = {
        name for name in found if re.match(r"\w+ (/bantuan|/api/v1/aid|/\S+<child_id>/(bantuan|aid)$)", name)
    }
    assert found.keys() - aid == PROVEN | OPEN
    asks = {name for name, end in found.items() if getattr(app.view_functions[end], "proven", False)}
    assert asks == PROVEN


def test_open_session_alone_gets_no_names_after_some_minutes(
    clinic: Clinic, client: FlaskClient, staff: Person
) -> None:
    clinic.child("Anak Merah", waz=-3.5)
    assert "Anak Merah" in client.get("/antrean.csv").text
    let_pass(clinic, sessions.PROOF_MINUTES - 0.5)
    assert client.get("/antrean.csv").status_code == 200
    let_pass(clinic)
    led = client.get("/antrean.csv?urgensi=1")
    assert (led.status_code, led.location) == (302, "/akun/bukti?next=/antrean.csv?urgensi%3D1")
    assert client.get("/antrean").status_code == 200  # looking goes on
    page = client.get(led.location)
    assert 'name="proof_password"' in page.text
    form = {"csrf_token": csrf_token(client, "/akun/bukti")}
    wrong = client.post(led.location, data={**form, "proof_password": "salah-salah-salah"})
    assert (wrong.status_code, 'role="alert"' in wrong.text) == (403, True)
    assert client.get("/antrean.csv").status_code == 302
    right = client.post(led.location, data={**form, "proof_password": PASSWORD})
    assert (right.status_code, right.location) == (302, "/antrean.csv?urgensi=1")
    assert client.get("/antrean.csv").status_code == 200
    assert clinic.district.actions("office").count("proof.given") == 1


def test_form_without_a_proof_asks_and_keeps_what_was_filled_in(strict: tuple[Clinic, FlaskClient]) -> None:
    clinic, client = strict
    codes = pass_all(client, clinic.person("administrator", "district", DISTRICT))
    let_pass(clinic)
    form = {"name": "Bidan Contoh", "username": "bidan.contoh", "scope": f"health_centre:{clinic.centre}"}
    token = csrf_token(client, "/orang/undang?peran=staff")
    asked = client.post("/orang/undang?peran=staff", data={"csrf_token": token, **form})
    assert (asked.status_code, 'name="proof_code"' in asked.text) == (403, True)
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', asked.text.split("<main")[1]))
    assert form.items() <= fields.items()
    wrong = client.post("/orang/undang?peran=staff", data={**fields, "proof_code": "000000"})
    assert (wrong.status_code, 'role="alert"' in wrong.text) == (401, True)
    before = client.get_cookie("__Host-posyandu")
    made = client.post("/orang/undang?peran=staff", data={**fields, "proof_code": codes[0]})
    assert (made.status_code, "/undangan#" in made.text) == (200, True)
    after = client.get_cookie("__Host-posyandu")
    assert before is not None
    assert after is not None
    assert before.value != after.value  # a session that somebody else has as well ends
    assert client.get("/orang").status_code == 200
    assert clinic.district.actions("office")[-4:-1] == ["proof.given", "account.added", "account.invited"]


def test_code_of_the_app_is_a_proof_once(strict: tuple[Clinic, FlaskClient]) -> None:
    clinic, client = strict
    sign_in(client, clinic.person())
    page = client.get("/akun/faktor-kedua").text
    fields = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.split("<main")[1]))
    client.post("/akun/faktor-kedua", data={**fields, "code": now_code(page)})
    (key,) = re.findall(r'<code class="key">([A-Z2-7 ]+)</code>', page)
    later = pyotp.TOTP(key.replace(" ", "")).at(datetime.now(UTC), counter_offset=1)
    for expected in (302, 401):
        let_pass(clinic)
        form = {"csrf_token": csrf_token(client, "/akun/bukti"), "proof_code": later}
        assert client.post("/akun/bukti?next=/antrean.csv", data=form).status_code == expected


def test_password_is_no_proof_for_who_has_a_second_factor(strict: tuple[Clinic, FlaskClient]) -> None:
    clinic, client = strict
    pass_all(client, clinic.person())
    let_pass(clinic)
    form = {"csrf_token": csrf_token(client, "/akun/bukti"), "proof_password": PASSWORD}
    assert client.post("/akun/bukti", data=form).status_code == 401


def test_wrong_proofs_have_the_limits_of_signing_in(strict: tuple[Clinic, FlaskClient]) -> None:
    clinic, client = strict
    codes = pass_all(client, clinic.person())
    let_pass(clinic)
    form = {"csrf_token": csrf_token(client, "/akun/bukti")}
    for _ in range(attempt_limits.LIMITS["second-factor-of"].tries):
        assert client.post("/akun/bukti", data={**form, "proof_code": "000000"}).status_code == 401
    assert client.post("/akun/bukti", data={**form, "proof_code": codes[0]}).status_code == 429


@pytest.mark.parametrize("going", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_proof_leads_nobody_to_another_site(
    clinic: Clinic, client: FlaskClient, staff: Person, going: str
) -> None:
    form = {"csrf_token": csrf_token(client, "/akun/bukti"), "proof_password": PASSWORD}
    assert client.post("/akun/bukti", query_string={"next": going}, data=form).location == "/"


def test_program_is_told_and_gives_its_proof(clinic: Clinic, client: FlaskClient, staff: Person) -> None:
    let_pass(clinic)
    child = clinic.child("Anak Contoh")
    refused = client.get(f"/api/v1/children/{child}/copy")
    assert (refused.status_code, refused.get_json()["code"]) == (403, "proof-required")
    headers = {"X-CSRFToken": client.get("/api/v1/session").get_json()["csrf_token"]}
    wrong = client.post("/api/v1/account/proof", json={"proof": "salah"}, headers=headers)
    assert (wrong.status_code, wrong.get_json()["code"]) == (403, "password-wrong")
    given = client.post("/api/v1/account/proof", json={"proof": PASSWORD}, headers=headers)
    assert (given.status_code, given.get_json()["minutes"]) == (200, sessions.PROOF_MINUTES)
    assert client.get(f"/api/v1/children/{child}/copy").status_code == 200
    headers = {"X-CSRFToken": given.get_json()["csrf_token"]}
    assert client.post("/api/v1/account/sessions/end-others", json={}, headers=headers).status_code == 200


def test_visitor_is_led_to_sign_in_before_any_proof(client: FlaskClient) -> None:
    assert client.get("/antrean.csv").location.startswith("/masuk?")
    assert client.get("/akun/bukti").location.startswith("/masuk?")
