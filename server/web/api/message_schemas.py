"""JSON Schema (draft 2020-12) of marshmallow schemas: for the description of the routes, and of the protocol's messages.

Nothing is written twice: kinds, ranges, lengths and patterns come from the fields that check a message. What no JSON Schema
can say is left out (`agree` rules, a NIK's digits, days after today), so a message that a schema here refuses is always
refused, and one that it accepts may still be.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import orjson
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema, fields, validate

from schemas import batch, change, receipt
from schemas.receipt import ItemField, Published
from schemas.recovery import RecoverSchema
from schemas.strict import Day, Flag, Instant, ListOf, MapOf, Object, Pair, Text, Whole, shaped
from server.errors import PROBLEMS
from server.web.request_schemas.relay import LettersSchema
from server.web.response_schemas import tablets
from server.web.response_schemas.schema import ByName, Number, Several, shape
from sync_protocol import PROTOCOL

KINDS: Final[Mapping[type[fields.Field[Any]], tuple[str, str | None]]] = {
    Text: ("string", None),
    Whole: ("integer", None),
    Flag: ("boolean", None),
    Object: ("object", None),
    Number: ("number", None),
    Day: ("string", "date"),
    Instant: ("string", "date-time"),
}
SPACE: Final = r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""What `\\s` matches in Python; ECMA 262 has another list."""
_LONG: Final = re.compile(r"\(\?:(\[[^\]]+\])\{(\d+),(\d{4,})\}\)\\Z")


def make_spec(**info: Any) -> tuple[APISpec, Any]:
    """Make an empty description and the converter that adds our schemas to it."""
    plugin = MarshmallowPlugin(schema_name_resolver=_name)  # type: ignore[arg-type]  # None: no name
    spec = APISpec(title="posyandu-sync", version="1", openapi_version="3.1.0", plugins=[plugin], info=info)
    converter: Any = plugin.converter  # it has no types
    for kind, (name, form) in KINDS.items():
        converter.map_to_openapi_type(kind, name, form)
    converter.attribute_functions.remove(converter.field2pattern)  # _patterns knows ours
    converter.add_attribute_function(_patterns)
    converter.add_attribute_function(_made_of)
    return spec, converter


def _name(schema: Any) -> str | None:
    """Name a schema after its module and class; one without a class of its own is written where it is used."""
    kind = schema if isinstance(schema, type) else type(schema)
    name = kind.__name__.removesuffix("Schema")
    return None if name.startswith("Generated") else f"{kind.__module__.rpartition('.')[2]}.{name}"


def _patterns(_: Any, field: fields.Field[Any], **__: Any) -> dict[str, Any]:
    """Write regular expressions as JSON Schema has them (ECMA 262): there they match anywhere unless anchored."""
    found = [
        _pattern(str(rule.regex.pattern)) for rule in field.validators if isinstance(rule, validate.Regexp)
    ]
    return found[0] if len(found) == 1 else {"allOf": found} if found else {}


def _pattern(pattern: str) -> dict[str, Any]:
    """Translate a regular expression; one that only repeats a class very often, which some engines refuse, has lengths."""
    if long := _LONG.fullmatch(pattern):
        characters, least, most = long.groups()
        return {"pattern": f"^{characters}*$", "minLength": int(least), "maxLength": int(most)}
    return {"pattern": f"^{_ecma(pattern)}"}


def _ecma(pattern: str) -> str:
    """Translate what ours use: blanks, the end, a dot that matches any character. UTF-8 has no half surrogates."""
    text = pattern.replace(r"\s", f"[{SPACE}]").replace(r"\S", f"[^{SPACE}]")
    return text.replace(r"\Z", "$").replace(".*", r"[\s\S]*").replace(r"\ud800-\udfff", "")


def _made_of(self: Any, field: fields.Field[Any], ret: Any) -> dict[str, Any]:
    """Describe fields that are made of other fields."""
    match field:
        case ListOf():
            size = {"minItems": ret.pop("minLength"), "maxItems": ret.pop("maxLength")}
            return {"type": _maybe("array", field), "items": self.field2property(field.member), **size}
        case MapOf():
            inside = {"additionalProperties": self.field2property(field.member)}
            size = {"minProperties": ret.pop("minLength"), "maxProperties": ret.pop("maxLength")}
            names = self.field2property(field.key)
            return {"type": _maybe("object", field), "propertyNames": names, **inside, **size}
        case Several():
            return {"type": _maybe("array", field), "items": self.field2property(field.member)}
        case ByName():
            inside = self.field2property(field.member)
            return {"type": _maybe("object", field), "additionalProperties": inside}
        case Published():
            ret.clear()
            return {"anyOf": [self.resolve_nested_schema(field.inside), self.field2property(field.siblings)]}
        case ItemField():
            item = self.field2property(field.pair)
            return {
                **item,
                "prefixItems": [*item["prefixItems"], self.field2property(field.reasons)],
                "maxItems": 3,
            }
        case Pair():
            both = [self.field2property(field.first), self.field2property(field.second)]
            return {"type": _maybe("array", field), "prefixItems": both, "minItems": 2, "maxItems": 2}
    return {}


def _maybe(kind: str, field: fields.Field[Any]) -> str | list[str]:
    return [kind, "null"] if field.allow_none else kind


def problem_schema() -> dict[str, Any]:
    """Describe a refusal (RFC 9457), with every code that there is."""
    text = {"type": "string"}
    return {
        "type": "object",
        "required": ["type", "code", "status", "title", "title_en"],
        "properties": {
            "type": text,
            "code": {"enum": sorted(PROBLEMS)},
            "status": {"enum": sorted({kind.status for kind in PROBLEMS.values()})},
            "title": text | {"description": "in Indonesian"},
            "title_en": text,
            "reasons": {"type": "array", "items": {"type": "object"}},
        },
    }


# -- the protocol's messages ----------------------------------------------------------------------

SEALED_CONTENT: Final = shape(
    {**batch.EnvelopeSchema().declared_fields, "reply": shaped("[A-Za-z0-9_-]{22}", "not-reply-key")},
    "batch.SealedContent",
)
MESSAGES: Final[Mapping[str, type[Schema]]] = {
    "envelope": batch.EnvelopeSchema,
    "batch": batch.BatchSchema,
    "answer": receipt.AnswerSchema,
    "receipt": receipt.ReceiptSchema,
    "pull": receipt.PullSchema,
    "enrol": batch.EnrolSchema,
    "enrolled": receipt.EnrolAnswerSchema,
    "enrol_again": batch.EnrolAgainSchema,
    "enrolled_again": tablets.ENROLLED_AGAIN,
    "recover": RecoverSchema,
    "recovered": tablets.RECOVERED,
    "standing": tablets.STANDING,
    "capabilities": tablets.CAPABILITIES,
    "catalogue": tablets.CATALOGUE,
    "sealed_batch": batch.SealedLetterSchema,
    "sealed_content": SEALED_CONTENT,
    "sealed_receipt": receipt.SealedAnswerSchema,
    "delivery": LettersSchema,
    "delivery_answer": tablets.RECEIPTS,
    "sealing": tablets.SEALING,
}
"""By its name in docs/protocol.md and docs/carried.md; changes and problems are added by hand."""


@cache
def message_schemas() -> dict[str, Any]:
    """Describe every message: under `$defs`, by the names of MESSAGES, `change_<kind>`, `change` and `problem`."""
    spec, converter = make_spec()
    named = {name: converter.resolve_nested_schema(schema) for name, schema in MESSAGES.items()}
    changes = {kind: converter.resolve_nested_schema(type(schema)) for kind, schema in change.SCHEMAS.items()}
    found: dict[str, Any] = spec.to_dict()["components"]["schemas"]
    for kind, reference in changes.items():
        found[reference["$ref"].rpartition("/")[2]]["properties"]["kind"] = {"const": kind}
    named |= {f"change_{kind}": reference for kind, reference in changes.items()}
    named |= {"change": {"oneOf": list(changes.values())}, "problem": problem_schema()}
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:posyandu-sync:protocol:{PROTOCOL}",
        "title": f"Messages of the posyandu sync protocol, version {PROTOCOL}",
        "$defs": dict(sorted((found | named).items())),
    }
    written = orjson.dumps(whole).replace(b'"#/components/schemas/', b'"#/$defs/')
    described: dict[str, Any] = orjson.loads(written)
    return described
