"""Requests are checked in one place: views read only what their schema gave them."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from flask import Flask, request
from werkzeug.test import EnvironBuilder

import server.web
from schemas.strict import Need, Text, choice, whole
from server.app import create_app
from server.errors import Problem
from server.web.request_schemas.parts import chosen, count
from server.web.request_schemas.schema import Asked, RequestSchema, Sent, checked
from tests.server._district import District

SOURCES: Final = Path(server.web.__file__).parent
WHAT_WAS_SENT: Final = frozenset(
    {"args", "form", "values", "files", "json", "get_json", "data", "get_data", "stream"}
)
ALLOWED: Final = {
    "request_schemas/schema.py": "checks what was sent",
    "request_body.py": "reads a JSON body within its limits",
    "pages/frame.py": "`next` of every page, for the links in its frame; safe_path checks it",
    "proof.py": "the fields of the question for a proof, and the form beside them, which is sent again and checked then",
}
READS_JSON: Final = {
    "request_schemas/schema.py": "checks what was sent",
    "api/sync.py": "messages of tablets, checked by `schemas`; a refused batch is logged before it is answered",
    "api/relay.py": "sealed letters, each checked by itself and answered in its place",
    "api/forgotten_pin.py": "the signed request of a tablet whose PIN was forgotten, checked by `schemas`",
}


def read_by(source: str) -> Iterator[str]:
    """Yield each part of the request that a module reads by itself."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and (node.value.id, node.attr) in {("request", name) for name in WHAT_WAS_SENT}
        ):
            yield node.attr
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "read_json":
            yield "read_json"


def test_no_module_reads_what_was_sent_but_those_that_check_it() -> None:
    found: dict[str, set[str]] = {}
    for path in sorted(SOURCES.rglob("*.py")):
        names = set(read_by(path.read_text(encoding="utf-8")))
        if names:
            found[path.relative_to(SOURCES).as_posix()] = names
    assert {name for name, read in found.items() if read - {"read_json"}} == set(ALLOWED)
    assert {name for name, read in found.items() if "read_json" in read} == set(READS_JSON)


def test_a_view_that_reads_the_request_is_found() -> None:
    assert set(read_by("def view():\n    return request.args.get('pos')")) == {"args"}
    assert set(read_by("def view():\n    body, _ = read_json(request, settings)")) == {"read_json"}
    assert set(read_by("def view():\n    return request.method, request.headers, asked.form")) == set()


SCHEMA: Final = RequestSchema(
    {"hal": count(1, 9, 1), "status": chosen(("open", "done"), "open"), "cari": Sent(Text(Need.ABSENT))},
    {"apa": checked(choice("a", "b")), "nama": Text()},
)
JSON: Final = RequestSchema(json={"name": Text(), "many": checked(whole(1, 9, Need.ABSENT), "{name} is few")})


@pytest.fixture
def app(on_sqlite: District) -> Flask:
    return create_app(on_sqlite.hub.settings, on_sqlite.hub)


def load(app: Flask, schema: RequestSchema, path: str = "/", **sent: object) -> Asked:
    """Check a request as a view would."""
    with app.request_context(EnvironBuilder(path, **sent).get_environ()):  # type: ignore[arg-type]  # of the builder
        assert request.path == "/"
        return schema.load()


def test_parameters_are_converted_and_get_their_defaults(app: Flask) -> None:
    assert load(app, SCHEMA).query == {"hal": 1, "status": "open", "cari": None}
    assert load(app, SCHEMA, "/?hal=3&status=&cari=x&other=1").query == {
        "hal": 3,
        "status": "open",
        "cari": "x",
    }


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("/?hal=0", "hal is a whole number, 1 to 9"),
        ("/?hal=x", "hal is a whole number, 1 to 9"),
        ("/?hal=٣", "hal is a whole number, 1 to 9"),
        ("/?status=shut", "status: open, done"),
    ],
)
def test_wrong_parameter_is_refused_and_named(app: Flask, address: str, reason: str) -> None:
    with pytest.raises(Problem) as refused:
        load(app, SCHEMA, address)
    assert (refused.value.code, refused.value.details) == ("request-malformed", {"reason": reason})


def test_form_fields_that_are_not_named_are_dropped(app: Flask) -> None:
    asked = load(app, SCHEMA, method="POST", data={"apa": "a", "nama": "", "role": "administrator"})
    assert asked.form == {"apa": "a", "nama": ""}


def test_form_field_that_must_be_one_of_a_few_is_refused(app: Flask) -> None:
    for sent in ({"apa": "c"}, {}):
        with pytest.raises(Problem) as refused:
            load(app, SCHEMA, method="POST", data=sent)
        assert (refused.value.code, refused.value.details) == ("request-malformed", {"reason": "apa"})


def test_json_members_are_passed_on_as_they_came_and_unknown_ones_are_refused(app: Flask) -> None:
    assert load(app, JSON, method="POST", json={"name": 7, "many": 2}).json == {"name": 7, "many": 2}
    with pytest.raises(Problem) as refused:
        load(app, JSON, method="POST", json={"many": 0, "role": "x", "scope": "y"})
    assert refused.value.code == "change-invalid"
    assert [(why["path"], why["code"]) for why in refused.value.details["reasons"]] == [
        ("role", "unknown-field"),
        ("scope", "unknown-field"),
    ]
    with pytest.raises(Problem) as refused:
        load(app, JSON, method="POST", json={"many": 0})
    assert refused.value.details == {"reason": "many is few"}
