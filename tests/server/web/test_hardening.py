"""What holds for every address whatever it is for: cookies, origins, tokens, methods, markup, and what the code never does.

docs/asvs.md names these tests.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from server.accounts import Person
from server.app import create_app
from server.web.request_schemas.schema import all_taken
from tests._repository import ROOT
from tests._sources import imported, nodes, sources
from tests.server._district import Databases, District
from tests.server.web._clinic import Clinic, csrf_token, sign_in
from tests.server.web._role_world import World, address, ask, opened, routes

TABLETS = ("sync_api", "carried_api", "recovery_api", "witness_api")
"""Blueprints that know nobody by a cookie: a letter or a signature proves itself, so no form's token is needed."""


@pytest.fixture(scope="module")
def world(sqlite_databases: Databases) -> Iterator[World]:
    with opened(sqlite_databases) as made:
        yield made


# -- cookies and origins --------------------------------------------------------------------------


def test_cookies_are_of_this_host_over_https_alone_and_no_script_reads_them(
    client: FlaskClient, clinic: Clinic
) -> None:
    sign_in(client, clinic.person())
    client.get("/bahasa/en")
    for name in ("__Host-posyandu", "__Host-bahasa"):
        cookie = client.get_cookie(name)
        assert cookie is not None, name
        assert (cookie.secure, cookie.http_only, cookie.same_site, cookie.path) == (True, True, "Lax", "/")
        assert cookie.origin_only


def test_browser_is_told_to_come_over_https_alone_for_a_year(client: FlaskClient) -> None:
    for path in ("/masuk", "/none", "/api/v1/session", "/static/none.css"):
        told = client.get(path).headers["Strict-Transport-Security"]
        assert told == "max-age=31536000; includeSubDomains"


def test_plain_http_has_plain_names_and_promises_nothing(on_sqlite: District) -> None:
    plain = replace(on_sqlite.hub.settings, cookie_secure=False)
    client = create_app(plain, replace(on_sqlite.hub, settings=plain)).test_client()
    answer = client.get("/masuk")
    assert "Strict-Transport-Security" not in answer.headers
    assert client.get_cookie("posyandu") is not None


def test_no_other_origin_is_let_in(client: FlaskClient, staff: Person) -> None:
    asked = {"Origin": "https://jahat.example", "Access-Control-Request-Method": "POST"}
    for path in ("/antrean", "/api/v1/flags", "/api/v1/sync", "/tablet-app/"):
        for answer in (client.get(path, headers=asked), client.options(path, headers=asked)):
            assert not [name for name, _ in answer.headers if name.startswith("Access-Control-")], path


@pytest.mark.parametrize("method", ["TRACE", "PUT", "PATCH", "DELETE", "PROPFIND"])
def test_method_that_is_not_needed_is_refused(client: FlaskClient, staff: Person, method: str) -> None:
    for path in ("/antrean", "/api/v1/flags", "/api/v1/sync", "/masuk"):
        assert client.open(path, method=method).status_code == 405, path


def test_no_post_of_a_session_is_taken_without_its_token(world: World) -> None:
    """Whoever may do most asks: what refuses is the missing token alone."""
    client, before = world.inside["supervisor.district.in"], world.clinic.district.counts()
    tried = 0
    for method, rule in routes(world.app):
        if method == "POST" and not rule.endpoint.startswith(TABLETS):
            for answer in (
                client.post(address(world, rule), json={}),
                client.post(address(world, rule), data={"csrf_token": "x"}),
            ):
                assert answer.status_code == 400, rule.rule
                assert "csrf-invalid" in answer.text, rule.rule
            tried += 1
    assert tried > 50
    assert world.clinic.district.counts() == before


def test_reading_changes_nothing_but_the_log(world: World) -> None:
    """A GET is what an image in somebody else's page can make a browser send."""
    client, before = world.inside["supervisor.district.in"], world.clinic.district.counts()
    for method, rule in routes(world.app):
        if method == "GET" and rule.endpoint not in ("static", "tablet_app.file", "pages.choose_language"):
            client.get(address(world, rule))
    after = world.clinic.district.counts()
    assert {name for name in after if after[name] != before[name]} <= {"audit_entry", "audit_stream"}


# -- sessions -------------------------------------------------------------------------------------


def test_signing_in_gives_a_new_session_and_ends_the_one_before(
    client: FlaskClient, clinic: Clinic, staff: Person
) -> None:
    """Neither a cookie that somebody planted nor the earlier session is worth anything afterwards."""
    old = client.get_cookie("__Host-posyandu")
    assert old is not None
    sign_in(client, staff)
    new = client.get_cookie("__Host-posyandu")
    assert new is not None
    assert new.value != old.value
    assert client.get("/antrean").status_code == 200
    thief = client.application.test_client()
    thief.set_cookie("__Host-posyandu", old.value)
    assert thief.get("/antrean").status_code == 302


def test_session_cookie_that_was_altered_opens_nothing(client: FlaskClient, staff: Person) -> None:
    cookie = client.get_cookie("__Host-posyandu")
    assert cookie is not None
    thief = client.application.test_client()
    signed, _, signature = cookie.value.rpartition(".")
    other = ("B" if signature[0] == "A" else "A") + signature[1:]  # in the last letter not every bit counts
    for altered in (f"{signed}.{other}", cookie.value.partition(".")[0], "e30." + cookie.value):
        thief.set_cookie("__Host-posyandu", altered)
        assert thief.get("/antrean").status_code == 302


def test_credentials_in_an_address_sign_nobody_in(client: FlaskClient, clinic: Clinic) -> None:
    person, token = clinic.person(), csrf_token(client)
    named = f"/masuk?username={person.username}&password=kata-sandi-uji-coba"
    assert client.post(named, data={"csrf_token": token}).status_code == 401
    assert client.get("/antrean").status_code == 302


# -- what is sent ---------------------------------------------------------------------------------


def test_members_beside_the_description_are_refused_everywhere(world: World) -> None:
    """Nothing that a view does not name can be set by naming it: role, scope, id, author."""
    clients = [world.inside["supervisor.district.in"], world.inside["staff.district.in"]]
    clients.append(world.inside["administrator.district.in"])
    beside, tried = {"role_of_all": "administrator", "district": "00.00", "author": "x"}, 0
    rules = {f"{method} {rule.rule}": rule for method, rule in routes(world.app)}
    for route, taken in all_taken(world.app).items():
        if not isinstance(taken.json, dict) or not route.startswith("POST /api/"):
            continue
        answers = [
            ask(client, address(world, rules[route]), {**dict.fromkeys(taken.json), **beside})
            for client in clients
        ]
        told = [answer.get_json() for answer in answers if answer.status_code not in (403, 404)]
        assert told, route
        for body in told:
            unknown = {why["path"] for why in body.get("reasons", ()) if why["code"] == "unknown-field"}
            assert set(beside) <= unknown, (route, body)
        tried += 1
    assert tried > 20


def test_markup_in_a_name_is_shown_as_text(client: FlaskClient, staff: Person, clinic: Clinic) -> None:
    child = clinic.child("<img src=x onerror=alert(1)>", waz=-3.5)
    for path in ("/antrean", f"/anak/{child}"):
        text = client.get(path).text
        assert "&lt;img src=x onerror=alert(1)&gt;" in text
        assert "<img src=x" not in text


def test_parameter_that_comes_twice_counts_once(client: FlaskClient, staff: Person) -> None:
    assert client.get("/antrean?hal=1&hal=x").status_code == 200
    assert client.get("/antrean?hal=x&hal=1").status_code == 400


# -- what the code never does ---------------------------------------------------------------------


def test_server_asks_no_other_host() -> None:
    """No request of anybody can make it ask for an address: it has nothing to ask with. `serve` asks itself whether it is
    ready, the scheduler asks witnesses that the operator named by a command (and no page imports what asks them);
    `simulate` and `sync_protocol.client` are clients, run by whoever calls them.
    """
    lines = {"http.client", "urllib.request", "requests", "httpx", "aiohttp", "ftplib", "smtplib", "urllib3"}
    asking = {path for path, text in sources("server", "schemas") if imported(text) & lines}
    assert asking <= {"server/operations/serve.py", "server/operations/witnesses.py"} | {
        path for path in asking if path.startswith("server/simulate/")
    }
    for path, text in sources("server/web"):
        assert "server.operations.witnesses" not in text, path


def test_nothing_that_is_sent_becomes_code() -> None:
    barred = {"pickle", "marshal", "shelve", "yaml", "xml.etree.ElementTree", "xml.dom.minidom", "lxml"}
    barred_calls = {"eval", "exec", "compile", "render_template_string"}
    for path, text in sources("server", "schemas", "sync_protocol"):
        assert not imported(text) & barred, path
        called = {
            node.func.id
            for node in nodes(text, *barred_calls)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not called & barred_calls, path


def test_scripts_write_text_and_never_markup() -> None:
    sinks = re.compile(
        r"\.(?:inner|outer)HTML\s*=|insertAdjacentHTML|document\.write|\beval\(|new Function|localStorage"
    )
    for folder in ("server/web/static", "server/tablet"):
        for path in sorted((ROOT / folder).rglob("*.js")):
            assert not sinks.search(path.read_text(encoding="utf-8")), path


def test_templates_escape_everything_but_a_drawing_of_ours() -> None:
    raw = {
        (path.name, found)
        for path in (ROOT / "server/web/templates").rglob("*.html")
        for found in re.findall(
            r"\{\{\s*(\w+)\s*\|\s*safe\s*\}\}|autoescape false", path.read_text(encoding="utf-8")
        )
    }
    assert raw == {("tablet_code.html", "qr")}


def test_application_runs_without_debugging(client: FlaskClient) -> None:
    app: Flask = client.application
    assert not app.debug
    assert client.get("/console").status_code == 404
    assert client.get("/static/").status_code == 404
    for path in ("/.git/config", "/static/../app.py", "/static/%2e%2e/app.py", "/tablet-app/../app.py"):
        assert client.get(path).status_code == 404, path
