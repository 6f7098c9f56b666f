"""Pages of people as a browser meets them: invitation, second factor, own account, the list of people; and the JSON."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pyotp
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from server.accounts import Person, attempt_limits
from server.app import create_app
from server.database.models import Account, RateLimit
from tests.server._district import DISTRICT, Databases, District
from tests.server.web._clinic import PASSWORD, Clinic, csrf_token
from tests.server.web._second_factor import hidden, now_code, pass_all, set_up

NEW = "perahu-di-teluk-biru"
ANDROID = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Mobile Safari/537.36"


@pytest.fixture
def clinic(sqlite_databases: Databases) -> Iterator[Clinic]:
    """Give a clinic where staff and above must have a second factor."""
    with District.opened(sqlite_databases, second_factor=True) as district:
        yield Clinic.opened(district)


@pytest.fixture
def admin(clinic: Clinic, client: FlaskClient) -> Person:
    """Sign in an administrator of the district, second factor and all."""
    person = clinic.person("administrator", "district", DISTRICT)
    pass_all(client, person)
    return person


def another(client: FlaskClient) -> FlaskClient:
    """Give another browser."""
    return client.application.test_client()


def send(client: FlaskClient, path: str, seen: str | None = None, **form: str) -> TestResponse:
    """Send a form, with the token of the page on which it stands."""
    return client.post(path, data={"csrf_token": csrf_token(client, seen or path), **form})


def sign_in(
    client: FlaskClient, person: Person, password: str = PASSWORD, following: str = "/masuk"
) -> TestResponse:
    return send(client, following, username=person.username, password=password)


def again(client: FlaskClient, person: Person, code: str) -> TestResponse:
    """Sign in with a code of the second factor."""
    sign_in(client, person)
    return send(client, "/masuk/kode", code=code)


def link_in(page: str) -> str:
    """Give the link of the invitation that a page shows."""
    return re.findall(r">(/undangan#[\w-]+)<", page)[0]


def use(client: FlaskClient, link: str, **form: str) -> TestResponse:
    """Send the code of a link as our script does, and what the page then asks for."""
    return send(client, "/undangan", code=link.partition("#")[2], **form)


# -- the second factor --------------------------------------------------------------------------------------------


def test_nothing_is_open_before_the_second_factor_is_set_up(clinic: Clinic, client: FlaskClient) -> None:
    assert sign_in(client, clinic.person()).location == "/"
    for path in ("/", "/antrean?urgensi=1", "/akun", "/orang", "/akun/kata-sandi", "/masuk/kode"):
        led = client.get(path)
        assert (led.status_code, led.location.split("?")[0]) == (302, "/akun/faktor-kedua"), path
    for path in ("/api/v1/flags", "/api/v1/session", "/api/v1/account/sessions"):
        refused = client.get(path)
        assert (refused.status_code, refused.get_json()["code"]) == (403, "second-factor-required")
    assert client.get("/bahasa/en").location == "/"
    page = client.get("/akun/faktor-kedua").text
    assert "Review queue" not in page
    assert "Sign out" in page


def test_setting_up_opens_everything_and_leads_on(clinic: Clinic, client: FlaskClient) -> None:
    sign_in(client, clinic.person())
    before = client.get_cookie("__Host-posyandu")
    led = client.get("/antrean?urgensi=1")
    page = client.get(led.location).text
    assert 'role="img"' in page
    assert not re.search(r"\sstyle=|<style|<script", page)
    done = client.post(led.location, data={**hidden(page), "code": now_code(page)})
    assert len(re.findall(r"<li><code>", done.text)) == 10
    assert 'href="/antrean?urgensi=1"' in done.text
    assert done.headers["Cache-Control"] == "no-store"
    assert client.get("/antrean").status_code == 200
    assert before is not None
    thief = another(client)
    thief.set_cookie("__Host-posyandu", before.value)
    assert thief.get("/antrean").location.startswith("/masuk")


def test_wrong_code_shows_the_same_key_again(clinic: Clinic, client: FlaskClient) -> None:
    sign_in(client, clinic.person())
    page = client.get("/akun/faktor-kedua").text
    wrong = client.post("/akun/faktor-kedua", data={**hidden(page), "code": "000000"})
    assert wrong.status_code == 401
    assert 'role="alert"' in wrong.text
    assert now_code(wrong.text) == now_code(page)
    assert set_up(client, wrong.text)


def test_key_of_another_session_is_refused(clinic: Clinic, client: FlaskClient) -> None:
    sign_in(client, clinic.person())
    stale = hidden(client.get("/akun/faktor-kedua").text)["key"]
    other = another(client)
    sign_in(other, clinic.person(scope=clinic.other_centre))
    page = other.get("/akun/faktor-kedua").text
    refused = other.post("/akun/faktor-kedua", data={**hidden(page), "key": stale, "code": now_code(page)})
    assert refused.status_code == 400
    assert other.get("/akun").status_code == 302


def test_code_or_recovery_code_opens_the_way(clinic: Clinic, client: FlaskClient) -> None:
    person = clinic.person()
    codes = pass_all(client, person)
    visitor = another(client)
    sign_in(visitor, person)
    led = visitor.get("/antrean?hal=1")
    assert led.location == "/masuk/kode?next=/antrean?hal%3D1"
    assert visitor.get("/akun/faktor-kedua").location.startswith(
        "/masuk/kode"
    )  # no new key without the old factor
    wrong = send(visitor, led.location, code="000000")
    assert (wrong.status_code, 'role="alert"' in wrong.text) == (401, True)
    right = send(visitor, led.location, code=codes[0].lower())
    assert right.status_code == 200
    assert "Sisa 9" in right.text
    assert 'href="/antrean?hal=1"' in right.text
    assert visitor.get("/antrean").status_code == 200


def test_app_code_leads_on_and_never_to_another_site(clinic: Clinic, client: FlaskClient) -> None:
    person = clinic.person()
    sign_in(client, person)
    page = client.get("/akun/faktor-kedua").text
    set_up(client, page)
    visitor = another(client)
    sign_in(visitor, person)
    (key,) = re.findall(r'<code class="key">([A-Z2-7 ]+)</code>', page)
    later = pyotp.TOTP(key.replace(" ", "")).at(datetime.now(UTC), counter_offset=1)
    led = send(visitor, "/masuk/kode?next=//evil.example", code=later)
    assert (led.status_code, led.location) == (302, "/")
    assert visitor.get("/masuk/kode").location == "/"


def test_five_wrong_codes_lock_the_second_step(clinic: Clinic, client: FlaskClient) -> None:
    person = clinic.person()
    codes = pass_all(client, person)
    visitor = another(client)
    sign_in(visitor, person)
    for _ in range(attempt_limits.LIMITS["second-factor-of"].tries):
        assert send(visitor, "/masuk/kode", code="000000").status_code == 401
    locked = send(visitor, "/masuk/kode", code=codes[0])
    assert locked.status_code == 429
    assert re.search(r"Coba lagi dalam \d+ detik", locked.text)


def test_visitor_is_led_to_sign_in_from_the_second_step(client: FlaskClient) -> None:
    for path in ("/masuk/kode", "/akun/faktor-kedua", "/akun", "/akun/kode-pemulihan", "/beranda"):
        assert client.get(path).location.startswith("/masuk?"), path


def test_signing_out_is_possible_before_the_second_step(clinic: Clinic, client: FlaskClient) -> None:
    sign_in(client, clinic.person())
    assert send(client, "/keluar", "/akun/faktor-kedua").status_code == 302
    assert clinic.district.counts()["session"] == 0


def test_new_phone_asks_for_the_password_again(clinic: Clinic, client: FlaskClient) -> None:
    pass_all(client, clinic.person())
    page = client.get("/akun/faktor-kedua").text
    for form in ({}, {"password": "salah-salah-salah"}):
        refused = client.post("/akun/faktor-kedua", data={**hidden(page), "code": now_code(page), **form})
        assert refused.status_code == 403
    assert len(set_up(client, page, password=PASSWORD)) == 10


def test_new_recovery_codes_ask_for_the_password(clinic: Clinic, client: FlaskClient) -> None:
    person = clinic.person()
    older = pass_all(client, person)
    assert send(client, "/akun/kode-pemulihan", password="salah").status_code == 403
    made = send(client, "/akun/kode-pemulihan", password=PASSWORD)
    newer = re.findall(r"<li><code>([A-Z2-9-]{15})</code></li>", made.text)
    assert len(newer) == 10
    assert again(another(client), person, older[0]).status_code == 401
    assert again(another(client), person, newer[0]).status_code == 200


# -- limits and addresses -----------------------------------------------------------------------------------------


def fail_often(clinic: Clinic, what: str, address: str) -> None:
    hub = clinic.district.hub
    for _ in range(attempt_limits.LIMITS[what].tries):
        attempt_limits.note_refusal(hub, what, address, datetime.now(UTC))


@pytest.mark.parametrize(
    ("what", "path"),
    [("sign-in", "/masuk"), ("invitation", "/undangan"), ("enrolment", "/api/v1/enrol")],
)
def test_address_that_failed_too_often_waits(
    clinic: Clinic, client: FlaskClient, what: str, path: str
) -> None:
    fail_often(clinic, what, "198.51.100.9")
    code = {"code": "AAAA-AAAA-AA", "public_key": KEY, "app": "uji/1", "device": "uji"}
    token = csrf_token(client)

    def ask(address: str) -> TestResponse:
        told = {"environ_overrides": {"REMOTE_ADDR": address}}
        if path.startswith("/api"):
            return client.post(path, json=code, **told)
        return client.post(
            path, data={"csrf_token": token, "username": "x", "password": "y", "code": "z"}, **told
        )

    assert ask("198.51.100.9").status_code == 429
    assert ask("198.51.100.10").status_code in (401, 403, 404)


KEY = {
    "kty": "EC",
    "crv": "P-256",
    "x": "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",
    "y": "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU",
}


@pytest.mark.parametrize("pasted", ["{code}", "https://posyandu.example.go.id{link}", " /undangan/{code}\n"])
def test_invitation_is_pasted_where_no_script_runs(
    admin: Person, clinic: Clinic, client: FlaskClient, pasted: str
) -> None:
    person = clinic.person(scope=clinic.other_centre)
    link = link_in(send(client, f"/orang/{person.account_id}/atur-ulang", "/orang").text)
    page = another(client).get("/undangan")
    assert page.status_code == 200
    assert 'name="code"' in page.text
    given = pasted.format(link=link, code=link.partition("#")[2])
    assert f'value="{person.username}"' in send(another(client), "/undangan", code=given).text


def test_no_secret_is_part_of_an_address(client: FlaskClient) -> None:
    """Addresses are written into logs of proxies, histories and Referers. What follows "#" is sent to nobody."""
    names = {name for rule in client.application.url_map.iter_rules() for name in rule.arguments}
    assert names & {"token", "secret", "password", "kode", "invitation", "key"} == set()


def test_link_is_made_with_the_configured_address_whatever_host_is_asked(
    sqlite_databases: Databases,
) -> None:
    with District.opened(sqlite_databases, public_url="https://posyandu.example.go.id") as district:
        clinic = Clinic.opened(district)
        client = create_app(district.hub.settings, district.hub).test_client()
        sign_in(client, clinic.person("administrator", "district", DISTRICT))
        person = clinic.person()
        form = {"csrf_token": csrf_token(client, "/orang")}
        made = client.post(
            f"/orang/{person.account_id}/atur-ulang", data=form, headers={"X-Forwarded-Host": "evil.example"}
        )
        assert re.search(r">https://posyandu\.example\.go\.id/undangan#[\w-]{43}<", made.text)
        assert "evil.example" not in made.text


def test_no_page_repeats_the_host_that_is_asked(admin: Person, clinic: Clinic, client: FlaskClient) -> None:
    person = clinic.person()
    cookie = client.get_cookie("__Host-posyandu")
    assert cookie is not None
    form = {"csrf_token": csrf_token(client, "/orang")}
    session = {"Cookie": f"__Host-posyandu={cookie.value}", "Host": "evil.example"}
    asked = client.application.test_client(use_cookies=False)
    made = asked.post(f"/orang/{person.account_id}/atur-ulang", data=form, headers=session)
    assert (made.status_code, "evil.example" in made.text) == (200, False)
    led = asked.get("/", headers=session)
    assert (led.status_code, led.location) == (302, "/orang")
    assert asked.get("/antrean", headers={"Host": "evil.example"}).location.startswith("/masuk")


def test_wrong_invitations_and_enrolment_codes_are_counted(clinic: Clinic, client: FlaskClient) -> None:
    send(client, "/undangan", code="tidak-ada")
    client.post(
        "/api/v1/enrol", json={"code": "AAAA-AAAA-AA", "public_key": KEY, "app": "uji/1", "device": "uji"}
    )
    counted = clinic.district.rows(
        select(RateLimit.what, RateLimit.count.label("times")).order_by(RateLimit.what)
    )
    assert [tuple(row) for row in counted] == [("enrolment", 1), ("invitation", 1)]


@pytest.mark.parametrize(("proxies", "stopped"), [(0, False), (1, True)])
def test_address_is_read_behind_so_many_proxies(
    sqlite_databases: Databases, proxies: int, stopped: bool
) -> None:
    """What a client writes into the header itself counts for nothing unless a proxy of ours stands in front."""
    with District.opened(sqlite_databases, proxies=proxies) as district:
        for _ in range(attempt_limits.LIMITS["invitation"].tries):
            attempt_limits.note_refusal(district.hub, "invitation", "198.51.100.9", datetime.now(UTC))
        client = create_app(district.hub.settings, district.hub).test_client()
        form = {"csrf_token": csrf_token(client, "/undangan"), "code": "x"}
        told = {"X-Forwarded-For": "203.0.113.1, 198.51.100.9"}
        asked = client.post("/undangan", data=form, headers=told)
        assert (asked.status_code == 429) is stopped


# -- invitations --------------------------------------------------------------------------------------------------


def test_administrator_invites_and_the_invited_comes_in(
    admin: Person, clinic: Clinic, client: FlaskClient
) -> None:
    roles = client.get("/orang/undang").text
    assert 'href="/orang/undang?peran=tpps"' in roles
    form = {"name": "Bidan Contoh", "username": "Bidan.Contoh", "scope": f"health_centre:{clinic.centre}"}
    made = send(client, "/orang/undang?peran=staff", **form)
    assert made.status_code == 200
    link = link_in(made.text)
    assert "Undangan" in made.text
    assert "Diundang" in client.get("/orang").text

    guest = another(client)
    page = use(guest, link)
    assert 'value="bidan.contoh"' in page.text
    short = use(guest, link, password="pendek", again="pendek")
    assert (short.status_code, "paling sedikit 12" in short.text) == (422, True)
    assert use(guest, link, password=NEW, again=PASSWORD).status_code == 422
    assert use(guest, link, password=NEW, again=NEW).location == "/"
    assert guest.get("/").location.startswith("/akun/faktor-kedua")
    assert set_up(guest, guest.get("/akun/faktor-kedua").text)
    assert guest.get("/antrean").status_code == 200
    assert use(another(client), link).status_code == 404


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"username": "ab"}, "3 sampai 64"),
        ({"name": " "}, "1 sampai 100"),
        ({"scope": ""}, "Wilayah belum dipilih"),
        ({"scope": "village:64.02.06.1001"}, "Tidak ada desa"),
        ({"scope": "district:64.02"}, "tidak dapat diberi wilayah"),
    ],
)
def test_invitation_form_says_what_is_wrong_and_keeps_the_rest(
    admin: Person, clinic: Clinic, client: FlaskClient, form: dict[str, str], words: str
) -> None:
    role = "staff" if "village" in form.get("scope", "") else "cadre"
    if role == "staff":
        form = {"scope": "village:64.02.06.9999"}
    given = {
        "name": "Kader Contoh",
        "username": "kader.baru",
        "scope": f"post:{clinic.district.posts[0]}",
        **form,
    }
    refused = send(client, f"/orang/undang?peran={role}", **given)
    assert refused.status_code == 422
    assert words in refused.text
    if "name" not in form:
        assert 'value="Kader Contoh"' in refused.text


def test_people_are_listed_reset_disabled_and_enabled(
    admin: Person, clinic: Clinic, client: FlaskClient
) -> None:
    person = clinic.person()
    listed = client.get("/orang").text
    assert person.username in listed
    assert "Puskesmas Contoh" in listed
    assert clinic.district.actions("office")[-1] == "people.listed"
    assert "Aktif" in client.get("/orang?peran=staff&keadaan=active").text
    assert "Tidak ada yang sesuai" in client.get("/orang?peran=donor").text
    assert client.get("/orang?peran=raja").status_code == 400
    assert link_in(send(client, f"/orang/{person.account_id}/atur-ulang", "/orang").text)
    assert send(client, f"/orang/{person.account_id}/nonaktifkan", "/orang").status_code == 302
    assert "Dinonaktifkan" in client.get("/orang?peran=staff").text
    assert send(client, f"/orang/{person.account_id}/atur-ulang", "/orang").status_code == 409
    assert send(client, f"/orang/{person.account_id}/aktifkan", "/orang").status_code == 302
    for act in ("atur-ulang", "nonaktifkan"):
        assert send(client, f"/orang/{admin.account_id}/{act}", "/orang").status_code == 409


def test_people_and_front_page_are_for_their_roles(clinic: Clinic, client: FlaskClient) -> None:
    for role, kind, scope, front in (
        ("supervisor", "district", DISTRICT, "/antrean"),
        ("tpps", "village", "64.02.06.1001", "/angka"),
        ("donor", "none", "", "/bantuan-saya"),
        ("administrator", "health_centre", clinic.centre, "/orang"),
    ):
        visitor = another(client)
        pass_all(visitor, make(clinic, role, kind, scope))
        assert visitor.get("/").location == front
        assert visitor.get(front, follow_redirects=True).status_code == 200
        assert visitor.get("/orang").status_code == (200 if front == "/orang" else 403)
        if role in ("tpps", "donor"):
            assert "data seorang anak" in visitor.get("/beranda").text


def make(clinic: Clinic, role: str, kind: str, scope: str) -> Person:
    """Add somebody, a scope without a name too."""
    return clinic.person(role, kind, scope) if scope else clinic.donor()


# -- the own account ----------------------------------------------------------------------------------------------


def test_account_page_says_who_and_lists_sessions(clinic: Clinic, client: FlaskClient) -> None:
    person = clinic.person()
    codes = pass_all(client, person)
    phone = another(client)
    token = csrf_token(phone)
    form = {"csrf_token": token, "username": person.username, "password": PASSWORD}
    phone.post("/masuk", data=form, headers={"User-Agent": ANDROID})
    send(phone, "/masuk/kode", code=codes[0])
    page = client.get("/akun").text
    for words in ("Petugas puskesmas", "Puskesmas Contoh", "Chrome, Android", "yang ini", "sisa 9"):
        assert words in page
    (other,) = re.findall(r'action="/akun/sesi/([0-9a-f-]{36})/akhiri"', page)
    assert send(client, f"/akun/sesi/{other}/akhiri", "/akun").status_code == 302
    assert phone.get("/antrean").location.startswith("/masuk")
    assert send(client, f"/akun/sesi/{other}/akhiri", "/akun").status_code == 404


def test_changing_the_password_ends_other_sessions(clinic: Clinic, client: FlaskClient) -> None:
    person = clinic.person()
    codes = pass_all(client, person)
    other = another(client)
    again(other, person, codes[0])
    assert send(client, "/akun/kata-sandi", old="salah", password=NEW, again=NEW).status_code == 403
    assert send(client, "/akun/kata-sandi", old=PASSWORD, password=NEW, again=PASSWORD).status_code == 422
    assert (
        send(client, "/akun/kata-sandi", old=PASSWORD, password=PASSWORD, again=PASSWORD).status_code == 422
    )
    changed = send(client, "/akun/kata-sandi", old=PASSWORD, password=NEW, again=NEW)
    assert "sudah diganti" in client.get(changed.location).text
    assert other.get("/antrean").status_code == 302
    assert client.get("/antrean").status_code == 200


def test_all_other_sessions_end_at_once(clinic: Clinic, client: FlaskClient) -> None:
    person = clinic.person()
    codes = pass_all(client, person)
    others = [another(client) for _ in range(2)]
    for other, code in zip(others, codes, strict=False):
        again(other, person, code)
    assert send(client, "/akun/sesi/akhiri-lainnya", "/akun").status_code == 302
    assert {other.get("/antrean").status_code for other in others} == {302}
    assert client.get("/antrean").status_code == 200


def test_own_session_is_ended_as_by_signing_out(clinic: Clinic, client: FlaskClient) -> None:
    pass_all(client, clinic.person())
    (mine,) = (one["id"] for one in client.get("/api/v1/account/sessions").get_json()["sessions"])
    assert send(client, f"/akun/sesi/{mine}/akhiri", "/akun").location == "/akun"
    assert client.get("/akun").location.startswith("/masuk")


# -- JSON ---------------------------------------------------------------------------------------------------------


def ask(client: FlaskClient, path: str, **body: object) -> tuple[int, dict[str, Any]]:
    token = client.get("/api/v1/session").get_json()["csrf_token"]
    answer = client.post(path, json=body, headers={"X-CSRFToken": token})
    return answer.status_code, answer.get_json()


def test_people_as_json(admin: Person, clinic: Clinic, client: FlaskClient) -> None:
    who = {"username": "tpps.desa", "name": "TPPS Contoh", "role": "tpps"}
    where = {"scope_kind": "village", "scope": "64.02.06.1001"}
    status, made = ask(client, "/api/v1/people", **who, **where)
    assert status == 201
    assert use(another(client), made["invitation"]).status_code == 200
    listed = client.get("/api/v1/people").get_json()
    mine = next(one for one in listed["people"] if one["id"] == made["id"])
    assert (mine["role"], mine["state"], mine["second_factor"]) == ("tpps", "invited", False)
    assert mine["scope"]["kind"] == "village"
    status, refused = ask(client, "/api/v1/people", **who, **where)
    assert (status, refused["code"]) == (422, "person-refused")
    assert [(reason["path"], reason["code"]) for reason in refused["reasons"]] == [("username", "taken")]
    assert ask(client, "/api/v1/people", **who)[0] == 400
    for act in ("reset", "disable", "enable"):
        assert ask(client, f"/api/v1/people/{made['id']}/{act}")[0] == 200
        assert ask(client, f"/api/v1/people/{admin.account_id}/{act}")[0] == 409


def test_local_administrator_gives_nothing_beyond_the_own_area(clinic: Clinic, client: FlaskClient) -> None:
    stranger = clinic.person(scope=clinic.other_centre)
    pass_all(client, clinic.person("administrator"))
    who = {
        "username": "petugas.baru",
        "name": "Petugas Contoh",
        "role": "staff",
        "scope_kind": "health_centre",
    }
    assert ask(client, "/api/v1/people", **who, scope=clinic.other_centre)[1]["code"] == "not-allowed"
    assert clinic.district.rows(select(Account.id).where(Account.username == "petugas.baru")) == []
    assert ask(client, f"/api/v1/people/{stranger.account_id}/disable")[0] == 404
    assert send(client, f"/orang/{stranger.account_id}/atur-ulang", "/orang").status_code == 404
    assert stranger.username not in client.get("/orang").text
    assert ask(client, "/api/v1/people", **who, scope=clinic.centre)[0] == 201


def test_account_as_json(clinic: Clinic, client: FlaskClient) -> None:
    person = clinic.person()
    codes = pass_all(client, person)
    again(another(client), person, codes[0])
    told = client.get("/api/v1/account/sessions").get_json()
    assert (told["second_factor"], told["recovery_codes_left"], len(told["sessions"])) == (True, 9, 2)
    (other,) = (one["id"] for one in told["sessions"] if not one["this"])
    assert ask(client, f"/api/v1/account/sessions/{other}/end") == (200, {"ended": 1})
    assert ask(client, f"/api/v1/account/sessions/{other}/end")[0] == 404
    assert ask(client, "/api/v1/account/sessions/end-others") == (200, {"ended": 0})
    assert ask(client, "/api/v1/account/password", old="salah", new=NEW)[1]["code"] == "password-wrong"
    assert ask(client, "/api/v1/account/password", old=PASSWORD, new="pendek")[1]["code"] == "person-refused"
    assert ask(client, "/api/v1/account/password", old=PASSWORD, new=NEW) == (200, {"changed": True})
    session = client.get("/api/v1/session").get_json()
    assert "decide" in session["permissions"]
    assert "manage_people" not in session["permissions"]
