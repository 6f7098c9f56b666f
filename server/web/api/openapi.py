"""`/api/openapi.json`: every route, described in OpenAPI 3.1.

Nothing is described twice. Routes, methods and kinds of identifier come from the routes themselves, what a route is for from
its docstring, who may ask from its guard, what it takes from `server.web.request_schemas`, messages from `schemas`, refusals
from the table of problems.

Anybody may read it: it says what the source of this release says, and nothing about the people or data of this installation.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import orjson
from flask import Blueprint, Flask, Response, current_app
from marshmallow import Schema
from werkzeug.routing import Rule

from schemas.strict import Strict
from server.web.api.message_schemas import make_spec, problem_schema
from server.web.auth import ANYBODY, needs
from server.web.request_schemas.schema import BODY, RequestSchema, Sent, taken_by
from server.web.response_schemas.schema import Answer, OneOf, answer_of, answers

bp = Blueprint("openapi", __name__)

FILES: Final[Mapping[str, str]] = {".csv": "text/csv", ".pdf": "application/pdf"}
PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
REFUSALS: Final[Mapping[str, str]] = {
    "4XX": "Refused; `code` says why, `title` and `title_en` what to do.",
    "5XX": "The server could not; ask again later.",
}


@bp.get("/api/openapi.json")
@answers(None)
def openapi() -> Response:
    """Return this description."""
    return Response(_written(current_app._get_current_object()), mimetype="application/json")  # type: ignore[attr-defined]


@cache
def _written(app: Flask) -> bytes:
    return orjson.dumps(description(app))


def description(app: Flask) -> dict[str, Any]:
    """Describe every route of an application."""
    spec, converter = make_spec(
        description="Tablets sign what they send; programs of people carry the cookie of a session, and on every "
        "POST its token in X-CSRFToken. Pages answer HTML under the same rules."
    )
    cookie = {"type": "apiKey", "in": "cookie", "name": app.config["SESSION_COOKIE_NAME"]}
    spec.components.security_scheme("session", cookie)
    spec.components.schema("Problem", problem_schema())
    for rule in sorted(app.url_map.iter_rules(), key=lambda one: one.rule):
        path, parameters = _path(rule)
        methods = sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        view = app.view_functions[rule.endpoint]
        described = {method.lower(): _operation(converter, method, rule, view) for method in methods}
        spec.path(path, parameters=parameters, operations=described)
    return spec.to_dict()


_PARAMETER: Final = re.compile(r"<(?:([a-z]+)(?:\(([^)]*)\))?:)?([a-z_]+)>")


def _path(rule: Rule) -> tuple[str, list[dict[str, Any]]]:
    """Return the path as OpenAPI writes it, and its parameters."""
    parameters = []
    for kind, choices, name in _PARAMETER.findall(rule.rule):
        schema: dict[str, Any] = {"type": "string", "minLength": 1}
        if kind == "uuid":
            schema = {"type": "string", "format": "uuid"}
        elif kind == "int":
            schema = {"type": "integer", "minimum": 0}
        elif kind == "any":
            schema = {"enum": [one.strip() for one in choices.split(",")]}
        parameters.append({"name": name, "in": "path", "required": True, "schema": schema})
    return _PARAMETER.sub(r"{\3}", rule.rule), parameters


def _operation(converter: Any, method: str, rule: Rule, view: Any) -> dict[str, Any]:
    who = needs(view)
    taken = taken_by(view, method) or RequestSchema()
    found: dict[str, Any] = {
        "operationId": f"{method.lower()} {rule.endpoint}",
        "tags": [rule.endpoint.partition(".")[0]],
        "summary": _summary(view),
        "parameters": [
            {"name": name, "in": "query", "schema": converter.field2property(sent.field)}
            for name, sent in taken.query.items()
        ],
        "responses": _responses(converter, rule, answer_of(view)),
        "security": [] if who == ANYBODY else [{"session": []}],
    }
    if who != ANYBODY:
        found["x-permission"] = who
    if method == "POST":
        found["requestBody"] = {"required": True, "content": _body(converter, rule, taken)}
    return found


def _summary(view: Any) -> str:
    return " ".join((view.__doc__ or "").split("\n\n")[0].split())


def _body(converter: Any, rule: Rule, taken: RequestSchema) -> dict[str, Any]:
    if taken.file == BODY:
        return {"application/octet-stream": {"schema": {}}}
    if taken.message is not None:
        return {"application/json": {"schema": converter.resolve_nested_schema(taken.message)}}
    if taken.json is not None or rule.rule.startswith("/api/"):
        return {"application/json": {"schema": converter.schema2jsonschema(_described(taken.json or {}))}}
    form = converter.schema2jsonschema(_described(taken.form))
    form["properties"]["csrf_token"] = {"type": "string"}
    form["additionalProperties"] = taken.more_fields
    if taken.file:
        form["properties"][taken.file] = {}
        return {"multipart/form-data": {"schema": form}}
    return {"application/x-www-form-urlencoded": {"schema": form}}


def _described(values: Mapping[str, Sent]) -> type[Schema]:
    return Strict.from_dict({name: sent.field for name, sent in values.items()})


def _responses(converter: Any, rule: Rule, answer: Answer | None) -> dict[str, Any]:
    """Say what may be answered: what was asked for, a redirect, or a problem (as a page, to a browser)."""
    page = {"text/html": {"schema": {"type": "string"}}}
    ending = rule.rule[-4:]
    if rule.rule.startswith("/api/"):
        content = {answer.media_type: {"schema": _answered(converter, answer)}} if answer else {"*/*": {}}
        refused: dict[str, Any] = PROBLEM
    else:
        content = {FILES[ending]: {"schema": {}}} if ending in FILES else {"*/*": {"schema": {}}}
        refused = {**page, **PROBLEM}
    status = str(answer.status if answer else 200)
    answers: dict[str, Any] = {status: {"description": "What was asked for.", "content": content}}
    if not rule.rule.startswith("/api/"):
        answers["3XX"] = {"description": "Somewhere else; not signed in: to the sign-in page."}
    return answers | {
        status: {"description": words, "content": refused} for status, words in REFUSALS.items()
    }


def _answered(converter: Any, answer: Answer) -> Any:
    match answer.schema:
        case None:
            return {}
        case OneOf(shapes=shapes):
            return {"anyOf": [converter.resolve_nested_schema(shape) for shape in shapes]}
    return converter.resolve_nested_schema(answer.schema)
