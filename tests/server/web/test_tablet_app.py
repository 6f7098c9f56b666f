"""The tablet app as it is served: its files, their version, what the worker is told; how a tablet stands; apps too old."""

import base64
import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient
from rjsmin import jsmin  # type: ignore[import-untyped]  # it ships no types
from werkzeug.test import TestResponse

from server import audit
from server.app import create_app
from server.review.tablets import ENROL_PATH
from server.web.api import sync
from server.web.tablet_app import (
    FIRST_LOAD as FIRST_LOAD_FILES,
    HEADERS,
    MEDIA_TYPES,
    NOT_STORED,
    QR_LIBRARY,
    TabletApp,
    found_in,
    packaged,
)
from tests.server._district import Databases, District, FakeTablet
from tests.server.web._clinic import Clinic, sign_in

SOURCES = Path(__file__).resolve().parents[3] / "server" / "tablet"
FIRST_LOAD = 185_000
"""Bytes on the wire that the first load may cost a cadre."""
HEADERS_EACH = 1200
"""Bytes that the headers of one answer come to at most, uncompressed as HTTP/1.1 sends them."""
PACKED = {"Accept-Encoding": "gzip"}
BESIDE = {
    "Content-Type",
    "Content-Length",
    "ETag",
    "Vary",
    "Date",
    "Strict-Transport-Security",
    "X-Request-ID",
}
"""Headers that the archive does not need to have: the worker knows them, or only an answer from the network may set them."""
OLD, NEW = "posyandu-tablet 0.0.9+00000000", "posyandu-tablet 0.1.0+1a2b3c4d"


def names() -> list[str]:
    return sorted(packaged().files)


def listed(app: TabletApp) -> list[list[str]]:
    """Read what the worker is told to keep: name, hash and kind of each file."""
    told = re.search(r"const FILES=(\[.*?),\];", app.files["sw.js"].body.decode())
    assert told is not None
    rows: list[list[str]] = json.loads(f"{told[1]}]")
    return rows


def small(**changed: bytes) -> TabletApp:
    """Make an app of few files, some of them other than usual."""
    found = {"app.html": b"<!doctype html>", "main.js": b"export {};", "sw.js": b"// worker\n"}
    return TabletApp.of(
        {**found, **{name.replace("_", "."): body for name, body in changed.items()}}, "0.1.0"
    )


# -- files ----------------------------------------------------------------------------------------------------------


def test_every_written_file_is_served_with_its_type_and_modules_without_comments(client: FlaskClient) -> None:
    written = [one for one in SOURCES.rglob("*") if one.suffix in MEDIA_TYPES]
    assert len(written) > 8
    for one in written:
        name = one.relative_to(SOURCES).as_posix()
        answer = client.get(f"/tablet-app/{name}")
        assert answer.status_code == 200, name
        assert answer.content_type == MEDIA_TYPES[one.suffix]
        if name == "app.html":
            assert re.sub(rb'<link rel="modulepreload"[^>]*>\n', b"", answer.data) == one.read_bytes()
            continue
        sent = jsmin(one.read_text()).encode() if one.suffix == ".js" else one.read_bytes()
        assert answer.data.endswith(sent)  # the worker has its list before it
        assert name == "sw.js" or answer.data == sent


@pytest.mark.parametrize("path", ["/tablet-app/", ENROL_PATH, "/tablet-app/index.html"])
def test_index_is_what_every_way_in_leads_to(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.data.startswith((SOURCES / "index.html").read_bytes().partition(b"</head>")[0])


def test_page_names_every_module_so_that_none_is_heard_of_late(client: FlaskClient) -> None:
    named = re.findall(r'<link rel="modulepreload" href="([^"]+)">', client.get("/tablet-app/app.html").text)
    written = {one.relative_to(SOURCES).as_posix() for one in SOURCES.rglob("*.js")}
    assert set(named) == written - {"sw.js", "first_load.js"} | {"version.js"}
    assert len(named) == len(set(named))


def test_words_are_served_as_json(client: FlaskClient) -> None:
    answer = client.get("/tablet-app/words.json")
    assert answer.mimetype == "application/json"
    assert answer.get_json()["id"]["Save"] == "Simpan"


def test_growth_tables_are_served_as_json(client: FlaskClient) -> None:
    answer = client.get("/tablet-app/growth.json")
    assert answer.mimetype == "application/json"
    assert "lms" in answer.get_json()


@pytest.mark.parametrize(
    "path",
    [
        "../app.py",
        "..%2fapp.py",
        "%2e%2e/app.py",
        "growth/../sw.js",
        "./sw.js",
        "sw.js/",
        "sw.js%00",
        "SW.JS",
        "growth",
        "growth/",
        "__init__.py",
        "unknown.js",
    ],
)
def test_nothing_but_the_known_names_is_served(client: FlaskClient, path: str) -> None:
    assert client.get(f"/tablet-app/{path}").status_code == 404


def test_files_of_other_kinds_and_hidden_ones_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "_private").mkdir()
    for name in ("a.js", "deep/er/b.css", ".c.js", "_d.js", "_private/e.js", "notes.md", "f.py", "js"):
        (tmp_path / name).write_text("x")
    assert found_in(tmp_path) == {"a.js": b"x", "deep/er/b.css": b"x"}


def test_known_file_takes_no_post(client: FlaskClient) -> None:
    assert client.post("/tablet-app/", data=b"x").status_code in (400, 405)
    assert client.post("/tablet-app/main.js", data=b"x").status_code in (400, 405)


# -- on the wire ----------------------------------------------------------------------------------------------------


def test_packed_answer_is_the_same_file_when_gzip_is_taken(client: FlaskClient) -> None:
    for name in names():
        plain, packed = client.get(f"/tablet-app/{name}"), client.get(f"/tablet-app/{name}", headers=PACKED)
        assert packed.headers["Content-Encoding"] == "gzip"
        assert "Content-Encoding" not in plain.headers
        assert gzip.decompress(packed.data) == plain.data
        assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
        assert int(packed.headers["Content-Length"]) == len(packed.data)


def test_gzip_is_not_sent_to_who_refuses_it(client: FlaskClient) -> None:
    answer = client.get("/tablet-app/main.js", headers={"Accept-Encoding": "gzip;q=0, br"})
    assert "Content-Encoding" not in answer.headers


def test_file_that_is_held_already_is_not_sent_again(client: FlaskClient) -> None:
    for name in names():
        first = client.get(f"/tablet-app/{name}", headers=PACKED)
        again = client.get(f"/tablet-app/{name}", headers={**PACKED, "If-None-Match": first.headers["ETag"]})
        other = client.get(f"/tablet-app/{name}", headers={**PACKED, "If-None-Match": 'W/"0123456789abcdef"'})
        assert (again.status_code, again.data) == (304, b"")
        assert again.headers["Content-Security-Policy"] == first.headers["Content-Security-Policy"]
        assert (other.status_code, other.data) == (200, first.data)
        assert first.headers["Cache-Control"] == again.headers["Cache-Control"] == "no-cache"


def test_first_load_is_within_the_limit_in_all(client: FlaskClient) -> None:
    asked = [*FIRST_LOAD_FILES, *packaged().pieces]
    answers = [client.get(f"/tablet-app/{name}", headers=PACKED) for name in asked]
    assert [answer.status_code for answer in answers] == [200] * len(asked)
    assert all(len(str(answer.headers)) < HEADERS_EACH for answer in answers)
    total = sum(len(answer.data) + len(str(answer.headers)) for answer in answers)
    assert packaged().wire_bytes == sum(len(answer.data) for answer in answers)
    assert total < FIRST_LOAD


def test_archive_holds_each_file_that_a_tablet_stores_with_its_headers(client: FlaskClient) -> None:
    pieces = [client.get(f"/tablet-app/{name}", headers=PACKED) for name in packaged().pieces]
    assert all("Content-Encoding" not in piece.headers for piece in pieces)
    head, _, bodies = gzip.decompress(b"".join(piece.data for piece in pieces)).partition(b"\n")
    told = orjson.loads(head)
    assert sorted(row[0] for row in told["files"]) == [row[0] for row in listed(packaged())]
    for name, length, kind, media_type in told["files"]:
        answer = client.get(f"/tablet-app/{name}")
        assert (answer.data, answer.content_type) == (bodies[:length], media_type)
        assert told["headers"][kind].items() <= dict(answer.headers).items()
        assert set(answer.headers.keys()) - told["headers"][kind].keys() == BESIDE
        bodies = bodies[length:]
    assert bodies == b""


# -- safety ---------------------------------------------------------------------------------------------------------


def policy(answer: TestResponse) -> dict[str, list[str]]:
    rules = (rule.split() for rule in answer.headers["Content-Security-Policy"].split(";"))
    return {rule[0]: rule[1:] for rule in rules}


def test_policy_lets_in_nothing_but_the_apps_own_files(client: FlaskClient) -> None:
    rules = policy(client.get("/tablet-app/"))
    assert rules["default-src"] == ["'none'"]
    for name in ("script-src", "style-src", "connect-src", "manifest-src", "worker-src"):
        assert rules[name] == ["'self'"]
    assert rules["img-src"] == ["'self'", "data:", "blob:"]
    assert rules["require-trusted-types-for"] == ["'script'"]
    for name in ("frame-ancestors", "base-uri", "form-action"):
        assert rules[name] == ["'none'"]


def test_every_file_bears_the_policy_and_the_other_headers(client: FlaskClient) -> None:
    for name in names():
        headers = client.get(f"/tablet-app/{name}").headers
        is_part = name.endswith((".css", ".js", ".json")) and name != "sw.js"
        assert headers["Content-Security-Policy"] == (
            "default-src 'none'; frame-ancestors 'none'" if is_part else HEADERS["Content-Security-Policy"]
        )
        assert (headers["X-Content-Type-Options"], headers["Referrer-Policy"]) == ("nosniff", "same-origin")
        assert "Set-Cookie" not in headers


def test_pages_of_the_desk_keep_their_own_policy(client: FlaskClient) -> None:
    assert "trusted-types" not in client.get("/masuk").headers["Content-Security-Policy"]


def test_camera_is_allowed_in_the_app_alone(client: FlaskClient) -> None:
    assert "camera=(self)" in client.get("/tablet-app/").headers["Permissions-Policy"]
    assert "camera=()" in client.get("/masuk").headers["Permissions-Policy"]


@pytest.mark.parametrize("name", ["index.html", "app.html"])
def test_page_holds_no_script_or_style_of_its_own(name: str) -> None:
    page = packaged().files[name].body.decode()
    assert re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", page) is None


# -- version --------------------------------------------------------------------------------------------------------


def test_worker_lists_exactly_the_files_with_their_hashes_and_tags(client: FlaskClient) -> None:
    rows = listed(packaged())
    assert [row[0] for row in rows] == [name for name in names() if name not in NOT_STORED]
    for name, digest, kind in rows:
        assert digest == base64.b64encode(sha256(packaged().files[name].body).digest()).decode()
        assert f'W/"{kind}{digest[:16]}"' == client.get(f"/tablet-app/{name}").headers["ETag"]


def test_library_that_not_every_tablet_needs_is_listed_apart_and_no_part_of_the_first_load() -> None:
    found = {"app.html": b"<!doctype html><head></head>", "main.js": b"export {};", "sw.js": b"// worker\n"}
    with_it = TabletApp.of(found, "0.1.0", None, {QR_LIBRARY: b"library"})
    without = TabletApp.of(found, "0.1.0")
    assert with_it.version != without.version
    assert QR_LIBRARY not in {row[0] for row in listed(with_it)}
    assert QR_LIBRARY not in with_it.files["app.html"].body.decode()
    library = with_it.later[QR_LIBRARY]
    row = orjson.dumps([QR_LIBRARY, library.digest, library.kind]).decode()
    assert f"const LATER=[{row},];" in with_it.files["sw.js"].body.decode()
    assert "const LATER=[];" in without.files["sw.js"].body.decode()


def test_app_and_worker_bear_one_version(client: FlaskClient) -> None:
    named = packaged().version
    assert re.fullmatch(re.escape(version("posyandu-sync")) + r"\+[0-9a-f]{8}", named)
    assert client.get("/tablet-app/sw.js").text.startswith(f'const VERSION="{named}";')
    assert f'export const VERSION="{named}";' in client.get("/tablet-app/version.js").text
    assert f'export const APP="posyandu-tablet {named}";' in client.get("/tablet-app/version.js").text
    assert packaged().name == f"posyandu-tablet {named}"
    assert len(packaged().name) <= 64


def test_version_is_the_same_when_nothing_changed() -> None:
    assert small() == small()


@pytest.mark.parametrize("name", ["main_js", "app_html", "sw_js", "new_css"])
def test_version_changes_when_a_file_does(name: str) -> None:
    assert small(**{name: b"other();"}).version != small().version


def test_version_changes_when_a_file_is_renamed() -> None:
    assert small(a_css=b"x").version != small(b_css=b"x").version


def test_tag_and_hash_of_a_file_do_not_change_with_another_file() -> None:
    rows = {row[0]: row for row in listed(small())}
    changed = {row[0]: row for row in listed(small(main_js=b"other"))}
    assert changed["app.html"] == rows["app.html"]
    assert changed["main.js"] != rows["main.js"]


# -- how a tablet stands --------------------------------------------------------------------------------------------


@pytest.fixture
def asked() -> Iterator[None]:
    """Let nobody's budget be spent by another test."""
    sync.STANDINGS.left.clear()
    yield
    sync.STANDINGS.left.clear()


def standing(client: FlaskClient, tablet_id: str) -> Any:
    answer = client.get(f"/api/v1/tablets/{tablet_id}/standing")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    told = answer.get_json()
    assert set(told) == {"standing", "server_time"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", told["server_time"])
    return told["standing"]


def web(district: District, **settings: Any) -> FlaskClient:
    """Give a client of the application on a district, with other settings."""
    changed = replace(district.hub.settings, **settings)
    return create_app(changed, replace(district.hub, settings=changed)).test_client()


def test_standing_is_told_to_whoever_knows_the_id(installed: District, asked: None) -> None:
    client, tablet, lost, copied = web(installed), installed.tablet(), installed.tablet(), installed.tablet()
    installed.revoke(lost)
    clone, old = copied.clone(), copied.id
    copied.sync()
    clone.sync()
    clone.enrol_anew()
    assert standing(client, tablet.id) == "active"
    assert standing(client, lost.id) == "revoked"
    assert (standing(client, old), standing(client, clone.id)) == ("replaced", "active")
    assert standing(client, installed.new_id()) == "unknown"
    assert standing(client, tablet.id.upper()) == "active"


@pytest.mark.parametrize(
    ("asked_for", "told"),
    [
        ("6", None),
        ("8", {"kind": "digits", "least": 8}),
        ("passphrase", {"kind": "phrase", "least": 12}),
    ],
)
def test_standing_tells_what_the_district_asks_of_a_pin(
    installed: District, asked: None, asked_for: str, told: dict[str, Any] | None
) -> None:
    client, tablet = web(installed, tablet_pin=asked_for), installed.tablet()
    assert client.get(f"/api/v1/tablets/{tablet.id}/standing").get_json().get("pin") == told
    assert "pin" not in client.get(f"/api/v1/tablets/{installed.new_id()}/standing").get_json()


def test_revoked_is_told_of_a_tablet_that_was_closed_as_well(installed: District, asked: None) -> None:
    tablet = installed.tablet()
    clone = tablet.clone()
    tablet.sync()
    clone.sync()
    installed.revoke(tablet)
    assert standing(web(installed), tablet.id) == "revoked"


def test_standing_of_what_is_no_id_is_not_asked_of_the_database(client: FlaskClient, asked: None) -> None:
    assert client.get("/api/v1/tablets/x'--/standing").status_code == 404


def test_one_address_may_ask_so_often_and_another_still_may(client: FlaskClient, asked: None) -> None:
    path = "/api/v1/tablets/01900000-0000-7000-8000-000000000001/standing"
    most = sync.STANDINGS.a_minute
    answers = [client.get(path) for _ in range(3 * most)]  # some more are let in while time passes
    taken = [answer.status_code for answer in answers].index(429)
    refused = answers[taken]
    assert most <= taken < 3 * most
    assert refused.get_json()["code"] == "too-many-tries"
    assert refused.get_json()["seconds"] >= 1
    assert client.get(path, environ_base={"REMOTE_ADDR": "192.0.2.7"}).status_code == 200


# -- apps that are too old ------------------------------------------------------------------------------------------


def written(district: District, app: str) -> FakeTablet:
    """Give a tablet with an app, on which a child was registered and weighed."""
    tablet = district.tablet()
    tablet.replica.app = app
    tablet.measure(tablet.register_child(), weight_g=9500)
    return tablet


def post(client: FlaskClient, message: bytes) -> TestResponse:
    return client.post("/api/v1/sync", data=message, content_type="application/json")


def test_changes_of_an_app_too_old_are_taken_after_it_was_renewed(installed: District) -> None:
    client, tablet = web(installed, oldest_app="0.1.0"), written(installed, OLD)
    before = installed.counts()
    refused = post(client, tablet.next_message())
    assert (refused.status_code, refused.get_json()["code"]) == (426, "app-too-old")
    assert (refused.get_json()["app"], refused.get_json()["oldest"]) == (OLD, "0.1.0")
    stored = {k: v for k, v in installed.counts().items() if v != before[k]}
    assert stored.keys() == {"audit_entry", "rate_limit"}
    assert installed.actions(audit.post_stream(installed.posts[0]))[-1] == "batch.refused"

    tablet.replica.app, tablet.replica.pending = (
        NEW,
        None,
    )  # what the renewed app does: the batch is made anew
    taken = post(client, tablet.next_message())
    assert taken.status_code == 200
    tablet.replica.receive(taken.get_json(), installed.clock.text())
    assert tablet.outcomes() == ["applied", "applied"]
    installed.check_agreement(tablet)


def test_batch_taken_before_gets_its_receipt_when_the_app_is_too_old_by_now(installed: District) -> None:
    tablet = written(installed, OLD)
    message = tablet.next_message()
    first = post(web(installed), message).get_json()["receipt"]
    again = post(web(installed, oldest_app="0.1.0"), message)
    assert (again.status_code, again.get_json()["receipt"]) == (200, first)


def test_carried_batch_of_an_app_too_old_is_taken(databases: Databases) -> None:
    with District.opened(databases, oldest_app="0.1.0") as district:
        tablet = written(district, OLD)
        tablet.carry()
        assert tablet.outcomes() == ["applied", "applied"]


@pytest.mark.parametrize("app", [NEW, "posyandu-tablet 0.10.0", "posyandu-sync/0.0.1", "lain 0.0.1"])
def test_other_apps_and_newer_ones_are_served(on_sqlite: District, app: str) -> None:
    tablet = written(on_sqlite, app)
    assert post(web(on_sqlite, oldest_app="0.1.0"), tablet.next_message()).status_code == 200


def test_every_app_is_served_unless_a_version_is_named(on_sqlite: District) -> None:
    assert post(web(on_sqlite), written(on_sqlite, OLD).next_message()).status_code == 200


def test_what_to_do_is_said_in_both_languages(on_sqlite: District) -> None:
    refused = post(web(on_sqlite, oldest_app="0.1.0"), written(on_sqlite, OLD).next_message())
    told = orjson.loads(refused.data)
    assert "Buka aplikasi saat ada sinyal" in told["title"]
    assert "tidak ada yang hilang" in told["title"]
    assert "nothing is lost" in told["title_en"]


# -- ways to it -----------------------------------------------------------------------------------------------------


def test_sign_in_page_shows_the_way_to_the_app(client: FlaskClient) -> None:
    page = client.get("/masuk").text
    assert '<a href="/tablet-app/">Aplikasi tablet kader</a>' in page
    client.get("/bahasa/en")
    assert '<a href="/tablet-app/">Tablet app for cadres</a>' in client.get("/masuk").text


def test_link_beside_an_enrolment_code_opens_the_app(clinic: Clinic, client: FlaskClient) -> None:
    sign_in(client, clinic.person())
    token = client.get("/api/v1/session").get_json()["csrf_token"]
    asked = {"post": clinic.district.posts[0], "name": "Tablet Contoh", "csrf_token": token}
    page = client.post("/tablet/daftar", data=asked)
    assert '<a href="/tablet-app/" data-address>/tablet-app/</a>' in page.text
    made = client.post(
        "/api/v1/tablets/codes",
        json={"post": clinic.district.posts[0], "name": "Tablet Contoh"},
        headers={"X-CSRFToken": token},
    ).get_json()
    path, _, code = made["link"].partition("#")
    assert code == made["code"]
    assert client.get(path).data == packaged().files["index.html"].body
