"""Every JSON answer is as the API description says: schemathesis holds what each route answers against its schema."""

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest
import schemathesis
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.result import Ok
from werkzeug.test import TestResponse

from server.web.response_schemas.schema import JSON, answer_of
from tests.server._district import Databases
from tests.server.web import _role_world
from tests.server.web._openapi import written
from tests.server.web._role_world import BODIES, World, address, ask, routes

WHO: Final = (
    *("staff.district.in", "supervisor.district.in", "administrator.district.in"),
    *("tpps.district.in", "donor.donor.in"),
)
"""Visitors; each route is open to at least one of them."""


@pytest.fixture(scope="module")
def world(sqlite_databases: Databases) -> Iterator[World]:
    with _role_world.opened(sqlite_databases) as made:
        yield made


@pytest.fixture(scope="module")
def operations(world: World) -> dict[str, Any]:
    """Give the operations of the API as schemathesis reads them from the server, by method and path."""
    described = schemathesis.openapi.from_wsgi("/api/openapi.json", world.app)
    found = [one.ok() for one in described.get_all_operations() if isinstance(one, Ok)]
    return {one.label: one for one in found if one.path.startswith("/api/v1/")}


@pytest.fixture(scope="module")
def answered(world: World) -> dict[str, list[TestResponse]]:
    """Give what every route answers to those whom it lets in, reads first."""
    found: dict[str, list[TestResponse]] = {}
    for method, rule in sorted(routes(world.app), key=lambda one: one[0]):
        if not rule.rule.startswith("/api/v1/"):
            continue
        for name in WHO:
            client, path = world.inside[name], address(world, rule)
            answer = ask(client, path, BODIES.get(rule.rule)) if method == "POST" else client.get(path)
            if answer.status_code < 300:
                found.setdefault(written(f"{method} {rule.rule}"), []).append(answer)
    return found


def answer_in_full(operation: Any) -> dict[str, Any]:
    """Give what an operation answers when all is well, by media type."""
    content: dict[str, Any] = operation.definition.raw["responses"]["200"].get("content", {})
    return content


def test_every_route_says_what_it_answers(world: World) -> None:
    for method, rule in routes(world.app):
        if rule.rule.startswith("/api/v1/"):
            answer = answer_of(world.app.view_functions[rule.endpoint])
            assert answer is not None, (method, rule.rule)
            assert answer.schema is not None or answer.media_type != JSON, (method, rule.rule)


def test_every_answer_is_as_described(
    operations: dict[str, Any], answered: dict[str, list[TestResponse]]
) -> None:
    for route, answers in answered.items():
        for answer in answers:
            operations[route].validate_response(answer)
    reads = {route for route in operations if route.startswith("GET")}
    plain = {route for route in reads if JSON not in answer_in_full(operations[route])}
    assert reads - plain <= set(answered)
    assert len(plain) < 3  # what witnesses exchange is text, and of a log that nobody witnesses there is none
    assert sum(route.startswith("POST") for route in answered) >= 15


def test_answer_with_another_member_or_without_one_is_found(
    operations: dict[str, Any], answered: dict[str, list[TestResponse]]
) -> None:
    for route, answers in answered.items():
        told = json.loads(answers[0].get_data())
        for wrong in ({**told, "something-else": 1}, {}):
            planted = TestResponse(
                [json.dumps(wrong).encode()],
                answers[0].status,
                answers[0].headers,
                answers[0].request,
            )
            planted.headers["Content-Length"] = str(len(json.dumps(wrong)))
            planted.headers.pop("Content-Encoding", None)
            with pytest.raises((Failure, FailureGroup)):
                operations[route].validate_response(planted)
