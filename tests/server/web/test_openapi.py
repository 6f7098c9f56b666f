"""The description of the routes: whole, valid, and true to the table of who may come and to the examples."""

import json
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient

from server.app import create_app
from server.errors import PROBLEMS
from server.web.api.openapi import description
from server.web.request_schemas.schema import all_taken
from tests.schemas._examples import DIRECTORY
from tests.server._district import District
from tests.server.web._open_to import OPEN_TO, SIGNED_IN, WAY, WORLD
from tests.server.web._openapi import written


@pytest.fixture
def app(on_sqlite: District) -> Flask:
    return create_app(on_sqlite.hub.settings, on_sqlite.hub)


@pytest.fixture
def described(app: Flask) -> dict[str, Any]:
    return description(app)


def operations(described: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Give what is described of each route, by method and path."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
        if method != "parameters"
    }


def test_every_route_is_described_and_nothing_else(described: dict[str, Any]) -> None:
    assert set(operations(described)) == {written(route) for route in OPEN_TO}


def test_description_says_who_may_come_as_the_table_does(described: dict[str, Any]) -> None:
    found = operations(described)
    for route, needs in OPEN_TO.items():
        said = found[written(route)].get("x-permission", WORLD)
        assert {"signed-in": SIGNED_IN}.get(said, said) == (WORLD if needs == WAY else needs), route


def test_every_post_says_what_it_takes(app: Flask) -> None:
    assert {route for route in OPEN_TO if route.startswith("POST")} - set(all_taken(app)) == set()


def test_every_operation_says_what_it_is_for_and_how_it_is_refused(described: dict[str, Any]) -> None:
    for route, operation in operations(described).items():
        if "static" not in route:
            assert operation["summary"].endswith("."), route
        assert {"4XX", "5XX"} <= set(operation["responses"]), route
    assert set(described["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]) == set(PROBLEMS)


def test_description_is_valid_openapi(described: dict[str, Any]) -> None:
    assert described["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(described).validate()


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("batch.json", "batch.Envelope"),
        ("enrol.json", "batch.Enrol"),
        ("answer.json", "receipt.Answer"),
        ("receipt.json", "receipt.Receipt"),
        ("enrol-answer.json", "receipt.EnrolAnswer"),
    ],
)
def test_example_message_is_as_described(described: dict[str, Any], name: str, schema: str) -> None:
    message = json.loads((DIRECTORY / name).read_text(encoding="utf-8"))
    whole = {"$ref": f"#/components/schemas/{schema}", "components": described["components"]}
    validator = jsonschema_rs.validator_for(whole)
    assert [error.message for error in validator.iter_errors(message)] == []
    assert not validator.is_valid(message | {"something-else": 1})
    assert not validator.is_valid({})


def test_anybody_may_read_it_and_it_is_the_same_for_all(client: FlaskClient, app: Flask) -> None:
    answer = client.get("/api/openapi.json")
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert answer.get_json() == json.loads(json.dumps(description(app)))
    assert "posyandu" in answer.get_json()["info"]["title"]
