"""How a request is checked: a schema for each of its parts, loaded before the view runs.

Rules kept here:
- A view gets what its schema names and nothing else. An unknown JSON member is refused (`change-invalid`); unknown
  parameters and form fields are dropped.
- A wrong parameter is refused with `request-malformed`, naming it. Form fields and JSON members are passed on as they came
  where the use case checks them and says what is wrong beside the field: then `check` is None.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from flask import Flask, request
from marshmallow import Schema, ValidationError, fields

from schemas.strict import Json, Need, Strict, Whole
from schemas.words import reason
from server.errors import Problem
from server.web.current import hub
from server.web.request_body import read_json

P = ParamSpec("P")
R = TypeVar("R")
AnyField = fields.Field[Any]

BODY: Final = "body"


@dataclass(frozen=True, slots=True)
class Sent:
    """One value that a route takes.

    Parameters
    ----------
    field : as the API description shows it
    check : what it must be to get to the view; None: any value (in an address or a form any text)
    default : the value of a parameter that is left out
    reason : detail of `request-malformed`, with `{name}` for its name; "" means the name alone, and for JSON that the answer
        is `change-invalid` instead
    keeps_empty : an empty parameter counts as sent, not as left out
    several : a form may send it any number of times
    """

    field: AnyField
    check: AnyField | None = None
    default: Any = None
    reason: str = ""
    keeps_empty: bool = False
    several: bool = False


Fields = Mapping[str, AnyField | Sent]


def checked(field: AnyField, reason: str = "", default: Any = None, *, check: AnyField | None = None) -> Sent:
    """Declare a value that must be as described, or as `check` says where that is more exact."""
    return Sent(field, check or field, default, reason)


def passed(field: AnyField, default: Any = None) -> Sent:
    """Declare a value that is passed on as it came."""
    return Sent(field, None, default, keeps_empty=True)


def _sent(values: Fields, *, is_checked: bool) -> dict[str, Sent]:
    """Complete a plain field: in an address it is checked, in a form or JSON it is passed on."""
    return {
        name: value if isinstance(value, Sent) else checked(value) if is_checked else passed(value)
        for name, value in values.items()
    }


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks, checked.

    Parameters
    ----------
    query : every parameter of the schema; its default where it was left out
    form : the fields that were sent
    json : the members that were sent
    file, file_name : the file, empty where none came
    """

    query: Mapping[str, Any] = field(default_factory=dict)
    form: Mapping[str, Any] = field(default_factory=dict)
    json: Mapping[str, Any] = field(default_factory=dict)
    file: bytes = b""
    file_name: str = ""


class RequestSchema:
    """What one route takes.

    Parameters
    ----------
    query : the parameters behind the "?"
    form : the fields of a form
    more_fields : a form has fields beside these, named after the registers that are shown; all are passed on
    json : the members of a JSON object, or the schema of a tablet's message, which the view parses itself; None where no
        JSON is taken
    file : a file comes: the name of its field in the form, or BODY where the body is the file
    most_bytes : of the file; a body beyond it is refused, a form's file is cut off. 0: what the application takes at all
    """

    def __init__(
        self,
        query: Fields | None = None,
        form: Fields | None = None,
        *,
        more_fields: bool = False,
        json: Fields | type[Schema] | None = None,
        file: str = "",
        most_bytes: int = 0,
    ) -> None:
        self.query = _sent(query or {}, is_checked=True)
        self.form = _sent(form or {}, is_checked=False)
        self.message = json if isinstance(json, type) else None
        self.json = None if json is None or isinstance(json, type) else _sent(json, is_checked=False)
        self.more_fields, self.file, self.most_bytes = more_fields, file, most_bytes

    @cached_property
    def _query(self) -> Schema:
        return _schema(self.query)

    @cached_property
    def _form(self) -> Schema:
        return _schema(self.form)

    @cached_property
    def _json(self) -> Schema:
        return _schema(self.json or {})

    def load(self) -> Asked:
        """Check the request that is being answered.

        Raises
        ------
        Problem
            `request-malformed`, `change-invalid`, or any of `read_json`.
        """
        query = self.load_query(request.args)
        if request.method != "POST":
            return Asked(query)
        if self.file == BODY:
            return Asked(query, file=self._load_body())
        if self.json is not None:
            return Asked(query, json=self._load_json(self.json))
        upload = request.files.get(self.file) if self.file else None
        content = upload.read(self.most_bytes or -1) if upload and upload.filename else b""
        return Asked(query, self._load_form(), {}, content, (upload.filename or "") if upload else "")

    def load_query(self, address: Mapping[str, str]) -> dict[str, Any]:
        """Check parameters; give the default of each that is not there."""
        came: dict[str, Any] = {}
        for name, one in self.query.items():
            text = address.get(name)
            if text or (text is not None and one.keeps_empty):
                came[name] = _number(text) if isinstance(one.check, Whole) else text
        loaded = _load(self._query, came, self.query)
        return {name: loaded.get(name, one.default) for name, one in self.query.items()}

    def _load_form(self) -> dict[str, Any]:
        came: dict[str, Any] = request.form.to_dict() if self.more_fields else {}
        for name, one in self.form.items():
            text = request.form.get(name)
            if text is not None:
                came[name] = request.form.getlist(name) if one.several else text
        declared = {name: value for name, value in came.items() if name in self.form}
        return came | dict(_load(self._form, declared, self.form))

    def _load_json(self, members: Mapping[str, Sent]) -> Mapping[str, Any]:
        body, _ = read_json(request, hub().settings)
        if not isinstance(body, Mapping):
            raise Problem("request-malformed", reason="a JSON object is wanted")
        return _load(self._json, body, members, is_json=True)

    def _load_body(self) -> bytes:
        content = request.stream.read(self.most_bytes + 1)
        if len(content) > self.most_bytes:
            raise Problem("batch-too-large", limit=f"{self.most_bytes} bytes")
        return content


def _schema(values: Mapping[str, Sent]) -> Schema:
    return Strict.from_dict({name: one.check or Json(Need.OPTIONAL) for name, one in values.items()})()


def _number(text: str) -> int | str:
    """Read digits as a whole number; anything else stays text, which the check refuses."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else text


def _load(
    schema: Schema, came: Mapping[str, Any], values: Mapping[str, Sent], *, is_json: bool = False
) -> Mapping[str, Any]:
    try:
        loaded: Mapping[str, Any] = schema.load(came)
    except ValidationError as error:
        raise _refusal(error.messages_dict, came, values, is_json=is_json) from None
    return loaded


def _refusal(
    errors: Mapping[str, Any], came: Mapping[str, Any], values: Mapping[str, Sent], *, is_json: bool
) -> Problem:
    """Make the answer: unknown members first, then the first value with a reason of its own, then all others."""
    wrong = [name for name in came if name not in values] or [name for name in values if name in errors]
    first = values.get(wrong[0])
    if first is not None and (first.reason or not is_json):
        return Problem("request-malformed", reason=(first.reason or "{name}").replace("{name}", wrong[0]))
    return Problem("change-invalid", reasons=[_why(name, errors[name], came, values) for name in wrong])


def _why(name: str, messages: Any, came: Mapping[str, Any], values: Mapping[str, Sent]) -> Mapping[str, Any]:
    code, _, limits = str(messages[0] if isinstance(messages, list) else "not-object").partition(" ")
    value = came.get(name) if name in values else None
    return reason(name, code, value, *([limits] if limits else [])).wire()


# -- what a view takes ----------------------------------------------------------------------------

EMPTY_JSON: Final = RequestSchema(json={})
EMPTY_FORM: Final = RequestSchema()


def takes(
    schema: RequestSchema, post: RequestSchema | None = None
) -> Callable[[Callable[Concatenate[Asked, P], R]], Callable[P, R]]:
    """Check the request and give the view what it asks, as its first argument.

    Parameters
    ----------
    post : for POST, where the same view takes something else by GET
    """

    def guard(view: Callable[Concatenate[Asked, P], R]) -> Callable[P, R]:
        @wraps(view)
        def loaded(*args: P.args, **kwargs: P.kwargs) -> R:
            return view((post if post and request.method == "POST" else schema).load(), *args, **kwargs)

        loaded.__dict__["takes"] = {"GET": schema, "POST": post or schema}
        return loaded

    return guard


def takes_empty_json(view: Callable[P, R]) -> Callable[P, R]:
    """Refuse any member: the address says it all."""

    @wraps(view)
    def loaded(*args: P.args, **kwargs: P.kwargs) -> R:
        EMPTY_JSON.load()
        return view(*args, **kwargs)

    loaded.__dict__["takes"] = {"POST": EMPTY_JSON}
    return loaded


def takes_empty_form(view: Callable[P, R]) -> Callable[P, R]:
    """Say that a form has only a button."""
    view.__dict__["takes"] = {"POST": EMPTY_FORM}
    return view


def takes_message(message: type[Schema]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Say which message a view takes that it parses itself: a refused batch is logged before it is answered."""

    def mark(view: Callable[P, R]) -> Callable[P, R]:
        view.__dict__["takes"] = {"POST": RequestSchema(json=message)}
        return view

    return mark


def taken_by(view: Callable[..., Any], method: str) -> RequestSchema | None:
    """Return what a view takes by a method; None where it says nothing."""
    named: Mapping[str, RequestSchema] = getattr(view, "takes", {})
    return named.get(method)


def all_taken(app: Flask) -> dict[str, RequestSchema]:
    """Return what each route takes, by method and pattern ("POST /masuk")."""
    found = {
        f"{method} {rule.rule}": taken_by(app.view_functions[rule.endpoint], method)
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    }
    return {route: schema for route, schema in found.items() if schema is not None}
