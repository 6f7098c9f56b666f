"""What operators see: one log line a request, with nothing personal in it whatever is sent; health, metrics, headers."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Pool, event, text
from sqlalchemy.exc import OperationalError

from server.app import create_app
from server.config import Settings
from server.context import AppContext
from server.logs import start_logging
from server.web.security_headers import CONTENT_SECURITY_POLICY
from tests.server._district import Databases, District, sqlite_connection, sqlite_file

NIK, NAME = "6402011501250001", "Anak-Rahasia"


class Surprise(Exception):
    """A failure of ours, whose words quote a person."""


@pytest.fixture
def app(on_sqlite: District) -> Iterator[Flask]:
    """Give the application with two routes that fail."""
    app = create_app(on_sqlite.hub.settings, on_sqlite.hub)

    def fail() -> str:
        try:
            int(f"{NAME} {NIK}")
        except ValueError as error:
            raise Surprise(NAME) from error
        return ""

    def fail_in_the_database() -> str:
        with on_sqlite.hub.database.reading() as session:
            session.execute(text("SELECT :name FROM nowhere"), {"name": NAME})
        return ""

    app.add_url_rule("/api/fails", view_func=fail)
    app.add_url_rule("/fails", view_func=fail, endpoint="fails-as-a-page")
    app.add_url_rule("/api/fails-in-the-database", view_func=fail_in_the_database)
    yield app
    structlog.reset_defaults()


@pytest.fixture
def client(capsys: pytest.CaptureFixture[str], app: Flask) -> FlaskClient:
    """Give a test client of that application, whose log the test can read."""
    capsys.readouterr()
    return app.test_client()


TALKERS = """
import os, structlog
from server.logs import start_logging
start_logging("INFO")
os.fork(), os.fork()
for _ in range(2000): structlog.get_logger().info("said", text="x" * 200)
"""


def test_lines_of_processes_that_log_at_once_stay_whole() -> None:
    """Workers share one standard error; unbuffered, as containers set it, each write goes out by itself."""
    command = [sys.executable, "-u", "-c", TALKERS]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert [json.loads(line)["event"] for line in said.splitlines()] == ["said"] * 8000


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Give the log since this was asked last."""
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


# -- the log --------------------------------------------------------------------------------------


def test_request_is_one_line_with_its_number(client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    response = client.get("/healthz")
    (line,) = logged(capsys)
    assert line["request_id"] == response.headers["X-Request-ID"]
    assert len(line["request_id"]) == 36
    assert (line["event"], line["method"], line["route"], line["status"]) == (
        "request",
        "GET",
        "/healthz",
        200,
    )
    assert line["bytes_out"] == response.content_length
    assert line["ms"] >= 0


def test_number_is_a_new_one_when_the_client_names_its_own(client: FlaskClient) -> None:
    sent = {"X-Request-ID": NIK}
    numbers = {client.get("/healthz", headers=sent).headers["X-Request-ID"] for _ in range(3)}
    assert len(numbers) == 3
    assert NIK not in numbers


def test_line_has_the_pattern_of_the_route_and_the_code_of_the_refusal(
    client: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    client.get("/static/none.css")
    client.post("/api/v1/sync", data=b"{", content_type="application/json")
    first, second = logged(capsys)
    assert (first["route"], first["status"]) == ("/static/<path:filename>", 404)
    assert (second["route"], second["status"]) == ("/api/v1/sync", 400)
    assert (second["problem"], second["bytes_in"]) == ("body-not-json", 1)


@pytest.mark.parametrize(
    "path", ["/", "/masuk", "/api/v1/sync", "/api/v1/enrol", "/api/queue", "/static/x.css"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", NIK])
def test_log_holds_nothing_personal_when_everything_sent_does(
    client: FlaskClient, capsys: pytest.CaptureFixture[str], path: str, method: str
) -> None:
    person = f"{NAME}-{NIK}"
    headers = dict.fromkeys(("User-Agent", "Referer", "X-Request-ID", "Traceparent", "Authorization"), person)
    body = json.dumps({"batch": {"tablet": person}, "name": NAME, "code": NIK})
    for address in (f"{path}?name={NAME}&nik={NIK}", f"{path}/{person}"):
        client.open(
            address, method=method, data=body, headers={**headers, "Content-Type": "application/json"}
        )
    said = capsys.readouterr().err
    assert said.count('"event": "request"') == 2
    assert NAME not in said
    assert NIK not in said


def test_sign_in_leaves_no_user_name_in_the_log(
    client: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    token = client.get("/masuk").text.split('name="csrf_token" value="')[1].split('"')[0]
    sent = {"csrf_token": token, "username": NAME, "password": NIK}
    assert client.post("/masuk", data=sent).status_code == 401
    said = capsys.readouterr().err
    assert NAME not in said
    assert NIK not in said


def test_lines_below_the_level_are_not_written(app: Flask, capsys: pytest.CaptureFixture[str]) -> None:
    start_logging("WARNING")
    app.test_client().get("/healthz")
    assert logged(capsys) == []


# -- failures of ours -----------------------------------------------------------------------------


def test_failure_is_answered_with_its_number_and_no_detail(client: FlaskClient) -> None:
    response = client.get("/api/fails")
    assert response.status_code == 500
    assert response.mimetype == "application/problem+json"
    problem = response.get_json()
    number = response.headers["X-Request-ID"]
    assert (problem["code"], problem["request_id"]) == ("internal", number)
    assert number in problem["title"]
    assert not any(word in response.text for word in ("Surprise", NAME, "Traceback", ".py"))


def test_failure_of_a_page_is_a_page(client: FlaskClient) -> None:
    response = client.get("/fails", headers={"Accept": "text/html"})
    assert (response.status_code, response.mimetype) == (500, "text/html")
    assert response.headers["X-Request-ID"] in response.text
    assert NAME not in response.text


def test_failure_is_logged_once_with_where_and_why_but_not_what(
    client: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    number = client.get("/api/fails").headers["X-Request-ID"]
    failed, answered = logged(capsys)
    assert (failed["event"], failed["level"], failed["request_id"]) == ("unhandled", "error", number)
    assert (answered["event"], answered["status"], answered["problem"]) == ("request", 500, "internal")
    types = [error["type"] for error in failed["exception"]]
    assert types == [f"{__name__}.Surprise", "builtins.ValueError"]
    assert any(f"{Path(__file__).name}:" in frame for frame in failed["exception"][0]["frames"])
    assert NAME not in str(failed)
    assert NIK not in str(failed)


def test_failure_in_the_database_is_logged_with_its_code_but_not_its_parameters(
    client: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    client.get("/api/fails-in-the-database")
    errors = logged(capsys)[0]["exception"]
    assert errors[-1]["type"] == "sqlite3.OperationalError"
    assert errors[-1]["code"] == "SQLITE_ERROR"
    assert NAME not in str(errors)


def test_clients_do_not_come_back_together_when_the_database_is_back(on_sqlite: District) -> None:
    app = create_app(on_sqlite.hub.settings, on_sqlite.hub)

    def fail() -> str:
        raise OperationalError("", None, Exception("disk"))

    app.add_url_rule("/api/gone", view_func=fail)
    client = app.test_client()
    answers = [client.get("/api/gone") for _ in range(40)]
    assert {(answer.status_code, answer.get_json()["code"]) for answer in answers} == {(503, "unavailable")}
    told = {int(answer.headers["Retry-After"]) for answer in answers}
    assert len(told) > 3
    assert told <= set(range(5, 16))


# -- headers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 302),
        ("GET", "/masuk", 200),
        ("GET", "/healthz", 200),
        ("GET", "/metrics", 200),
        ("GET", "/static/none.css", 404),
        ("GET", "/none", 404),
        ("GET", "/api/v1/sync", 405),
        ("POST", "/api/v1/sync", 415),
        ("POST", "/masuk", 400),
        ("GET", "/api/fails", 500),
        ("GET", "/fails", 500),
    ],
)
def test_answer_is_hardened_whatever_it_is(client: FlaskClient, method: str, path: str, status: int) -> None:
    response = client.open(path, method=method)
    assert response.status_code == status
    assert response.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "X-Request-ID" in response.headers
    if not path.startswith("/static/"):
        assert response.headers["Cache-Control"] == "no-store"


def test_policy_lets_no_script_in_that_is_not_ours() -> None:
    assert "default-src 'none'" in CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert "frame-ancestors 'none'" in CONTENT_SECURITY_POLICY


# -- metrics --------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_metrics_are_given_to_this_machine(client: FlaskClient, address: str) -> None:
    response = client.get("/metrics", environ_base={"REMOTE_ADDR": address})
    assert response.status_code == 200
    assert "posyandu_database_up 1" in response.text


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7", "127.0.0.1.example", ""])
def test_metrics_are_refused_to_another_machine(client: FlaskClient, address: str) -> None:
    assert client.get("/metrics", environ_base={"REMOTE_ADDR": address}).status_code == 403


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_metrics_are_refused_when_a_proxy_on_this_machine_asks(client: FlaskClient, header: str) -> None:
    assert client.get("/metrics", headers={header: "for=192.0.2.7"}).status_code == 403


@pytest.mark.parametrize(
    "host", ["posyandu.example.go.id", "192.0.2.7:8000", "localhost.example", "[2001:db8::1]:80"]
)
def test_metrics_are_refused_through_a_proxy_that_adds_no_header(client: FlaskClient, host: str) -> None:
    """It passes on the host that its client has asked for."""
    assert client.get("/metrics", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "[::1]"])
def test_metrics_are_given_to_a_collector_on_this_machine(client: FlaskClient, host: str) -> None:
    assert client.get("/metrics", headers={"Host": host}).status_code == 200


def test_metrics_want_the_token_where_one_is_set(sqlite_databases: Databases) -> None:
    """Also from this machine: a proxy that changes the host and adds nothing cannot be told from a collector."""
    token = "k7Qw-lima-belas-huruf-acak"
    with District.opened(sqlite_databases, metrics_token=token) as district:
        asked = create_app(district.hub.settings, district.hub).test_client()
        given: tuple[dict[str, str], ...] = (
            {},
            {"Authorization": "Bearer "},
            {"Authorization": f"Bearer {token}x"},
            {"Authorization": token},
        )
        assert [asked.get("/metrics", headers=headers).status_code for headers in given] == [403] * 4
        elsewhere: Any = {"environ_base": {"REMOTE_ADDR": "192.0.2.7"}}
        assert (
            asked.get("/metrics", headers={"Authorization": f"Bearer {token}"}, **elsewhere).status_code
            == 200
        )
        assert token not in repr(district.hub.settings)


def test_metrics_count_requests_and_refusals(client: FlaskClient) -> None:
    refused = 'posyandu_refusals_total{code="body-not-json"}'
    asked = 'posyandu_requests_total{method="POST",route="/api/v1/sync",status="400"}'
    before = measured(client, refused), measured(client, asked)
    client.post("/api/v1/sync", data=b"{", content_type="application/json")
    assert (measured(client, refused), measured(client, asked)) == (before[0] + 1, before[1] + 1)


def test_metrics_have_one_word_for_all_methods_that_somebody_makes_up(client: FlaskClient) -> None:
    client.open("/healthz", method="BREW")
    text = client.get("/metrics").text
    assert 'method="other"' in text
    assert "BREW" not in text


def test_metrics_tell_of_flagged_children_and_the_last_sync(on_sqlite: District, client: FlaskClient) -> None:
    assert measured(client, "posyandu_seconds_since_sync") == 0
    tablet = on_sqlite.tablet()
    tablet.measure(tablet.register_child(), weight_g=4000, length_mm=760)
    tablet.sync_until_quiet()
    assert measured(client, 'posyandu_flagged_children{urgency="1"}') == 1
    assert measured(client, "posyandu_seconds_since_sync") != 0


def measured(client: FlaskClient, metric: str) -> float:
    """Read one number from /metrics; 0 when it is not there."""
    lines = client.get("/metrics").text.splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(metric)), 0.0)


# -- health ---------------------------------------------------------------------------------------


def test_ready_answers_503_when_the_schema_is_of_another_release(
    on_sqlite: District, client: FlaskClient
) -> None:
    assert client.get("/readyz").status_code == 200
    with closing(sqlite_connection(on_sqlite)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'older'")
    response = client.get("/readyz")
    assert response.status_code == 503
    assert "older" in response.get_json()["why"]
    assert client.get("/healthz").status_code == 200


def test_asking_often_whether_it_is_ready_opens_no_connection(client: FlaskClient) -> None:
    opened: list[object] = []
    assert client.get("/readyz").status_code == 200

    def note(connection: object, _record: object) -> None:
        opened.append(connection)

    event.listen(Pool, "connect", note)
    try:
        assert {client.get("/readyz").status_code for _ in range(20)} == {200}
    finally:
        event.remove(Pool, "connect", note)
    assert opened == []


def test_ready_answers_503_when_the_file_is_gone(on_sqlite: District, client: FlaskClient) -> None:
    assert client.get("/readyz").status_code == 200
    file = sqlite_file(on_sqlite)
    hidden = file.rename(f"{file}.away")
    response = client.get("/readyz")
    assert (response.status_code, response.get_json()["status"]) == (503, "unavailable")
    assert not file.exists()
    hidden.rename(file)
    assert client.get("/readyz").status_code == 200


@pytest.mark.postgresql
def test_ready_answers_503_when_the_database_is_gone(
    postgresql_databases: Databases, capsys: pytest.CaptureFixture[str]
) -> None:
    url = postgresql_databases.migrated()
    keys = postgresql_databases.installed()[1]
    hub = AppContext.open(Settings.for_data(keys.parent, database_url=url, key_file=keys))
    client = create_app(hub.settings, hub).test_client()
    assert client.get("/readyz").status_code == 200
    hub.database.dispose()
    postgresql_databases.drop(url)
    response = client.get("/readyz")
    assert (response.status_code, response.get_json()["status"]) == (503, "unavailable")
    assert client.get("/healthz").status_code == 200
    assert "posyandu_database_up 0" in client.get("/metrics").text
    assert url not in capsys.readouterr().err
    hub.database.dispose()
    structlog.reset_defaults()
