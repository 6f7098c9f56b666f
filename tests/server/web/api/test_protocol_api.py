"""What a program that is not ours is told: capabilities, the JSON Schema of every message, codes and limits."""

import json
import re
from typing import Any

import jsonschema_rs
import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings

from schemas import check_change
from schemas.change import SCHEMAS
from schemas.words import WORDS
from server.errors import PROBLEMS
from server.web.api.message_schemas import MESSAGES, message_schemas
from server.web.api.protocol import catalogue
from sync_protocol import REGISTERS
from tests._repository import ROOT
from tests.protocol_files import files
from tests.schemas._changes import KEY_OF, TODAY, make_change, mutated_changes, valid_changes
from tests.schemas._examples import DIRECTORY
from tests.server._district import District

HERE = "/api/v1/protocol"
EXAMPLES = {
    "batch.json": "envelope",
    "enrol.json": "enrol",
    "answer.json": "answer",
    "receipt.json": "receipt",
    "enrol-answer.json": "enrolled",
    **{f"change-{kind}.json": "change" for kind in ("child", "measurement", "follow-up", "delivery")},
}


def validator(name: str) -> Any:
    return jsonschema_rs.validator_for({**message_schemas(), "$ref": f"#/$defs/{name}"})


@pytest.mark.parametrize(("file", "name"), EXAMPLES.items())
def test_example_fits_its_schema_and_nothing_else_does(file: str, name: str) -> None:
    message = json.loads((DIRECTORY / file).read_text(encoding="utf-8"))
    checks = validator(name)
    assert [error.message for error in checks.iter_errors(message)] == []
    assert not checks.is_valid(message | {"something-else": 1})
    assert not checks.is_valid({})


def test_sealed_example_fits_its_schemas() -> None:
    sealed = json.loads((DIRECTORY / "sealed.json").read_text(encoding="utf-8"))
    assert validator("sealed_batch").is_valid(sealed["letter"])
    assert validator("sealed_receipt").is_valid(sealed["answer"])


CHANGE = validator("change")


@given(valid_changes())
@settings(max_examples=200)
def test_valid_change_fits_its_schema(change: dict[str, Any]) -> None:
    assert [error.message for error in CHANGE.iter_errors(change)] == []


@given(mutated_changes())
@settings(max_examples=500)
def test_schema_refuses_nothing_that_the_server_takes(change: dict[str, Any]) -> None:
    assert CHANGE.is_valid(change) or check_change(change, today=TODAY) != []


@pytest.mark.parametrize("kind", sorted(KEY_OF))
def test_change_fits_the_schema_of_its_kind_alone(kind: str) -> None:
    fitting = [other for other in KEY_OF if validator(f"change_{other}").is_valid(make_change(kind))]
    assert fitting == [kind]


def test_every_message_and_kind_of_change_has_a_schema() -> None:
    named = {*MESSAGES, "change", "problem", *(f"change_{kind}" for kind in SCHEMAS)}
    assert named <= message_schemas()["$defs"].keys()
    assert set(SCHEMAS) == set(REGISTERS)


def test_references_stay_inside_the_document() -> None:
    described = message_schemas()
    named = re.findall(r'"\$ref": "([^"]+)"', json.dumps(described))
    assert {name.removeprefix("#/$defs/") for name in named} <= described["$defs"].keys()


def test_answers_of_the_server_fit_their_schemas(client: FlaskClient, on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    child = tablet.register_child()
    tablet.measure(child, weight_g=9)
    message = tablet.next_message()
    answer = client.post("/api/v1/sync", data=message, content_type="application/json")
    asked = {
        "answer": answer.json,
        "problem": client.post("/api/v1/sync", data=b"{", content_type="application/json").json,
        "standing": client.get(f"/api/v1/tablets/{tablet.id}/standing").json,
        "sealing": client.get("/api/v1/carried").json,
        "capabilities": client.get(HERE).json,
        "catalogue": client.get(f"{HERE}/catalogue").json,
    }
    for name, body in asked.items():
        assert [error.message for error in validator(name).iter_errors(body)] == [], name


def test_capabilities_say_what_is_served(client: FlaskClient, on_sqlite: District) -> None:
    found = client.get(HERE).json or {}
    assert found["protocols"] == [{"protocol": 1, "schema": 1, "ends_on": None}]
    assert found["limits"]["changes"] == on_sqlite.hub.settings.max_changes
    assert found["registers"]["measurement"] == sorted(REGISTERS["measurement"])
    assert found["oldest_apps"] == {}
    assert found["features"] == [
        *(
            "doses",
            "extra",
            "forgotten-pin",
            "prefer",
            "retry-after",
            "several-posts",
            "taking-back",
            "write-only",
        )
    ]


def test_schemas_and_catalogue_are_served_to_anybody(client: FlaskClient) -> None:
    assert client.get(f"{HERE}/schemas").json == message_schemas()
    assert client.get(f"{HERE}/catalogue").json == json.loads(json.dumps(catalogue()))


def test_catalogue_has_every_code_and_every_rule_is_one_of_them() -> None:
    found = catalogue()
    assert [one["code"] for one in found["problems"]] == sorted(PROBLEMS)
    assert [one["code"] for one in found["reasons"]] == sorted(WORDS)
    rules = {
        rule.split()[0] for fields in found["fields"].values() for one in fields for rule in one["rules"]
    }
    assert rules <= set(WORDS)


def test_catalogue_has_every_register_of_every_kind() -> None:
    for kind, registers in REGISTERS.items():
        paths = {field["path"] for field in catalogue()["fields"][f"change_{kind}"]}
        assert {f"set.{name}" for name in registers} <= paths


@pytest.mark.parametrize("path", sorted(files()))
def test_file_is_what_the_code_says_today(path: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == files()[path], "run `make protocol`"
