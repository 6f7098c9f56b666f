"""What a program that is not ours needs to talk to this server: its capabilities, the JSON Schema of every message, and a
catalogue of codes and limits. Anybody may read them: they say what this release does, and nothing of who or what is here.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import orjson
from flask import Blueprint, Response

from schemas import change
from schemas.batch import MAX_DAYS, MAX_KEPT, MOST_POSTS
from schemas.limits import field_limits
from schemas.words import WORDS
from server.config import TABLET_APP
from server.errors import PROBLEMS
from server.sync.relay import MOST_LETTERS
from server.web.api.message_schemas import MESSAGES, message_schemas
from server.web.api.sync import json_answer
from server.web.current import hub
from server.web.response_schemas.schema import answers
from server.web.response_schemas.tablets import CAPABILITIES, CATALOGUE, JSON_SCHEMA
from sync_protocol import MAX_BYTES, PROTOCOL, REGISTERS, SCHEMA

bp = Blueprint("protocol_api", __name__, url_prefix="/api/v1/protocol")

SERVED: Final = ({"protocol": PROTOCOL, "schema": SCHEMA, "ends_on": None},)
"""Versions that this release serves. `ends_on`: the day after which one is refused; docs/protocol.md has the rule."""
FEATURES: Final = (
    *("doses", "extra", "forgotten-pin", "prefer", "retry-after", "several-posts"),
    *("taking-back", "write-only"),
)
"""Parts of the protocol that came after its first release; a client uses one only where it is named."""


@bp.get("")
@answers(CAPABILITIES)
def capabilities() -> Response:
    """Return what this server serves: versions, limits, kinds of record with their registers, and later features."""
    settings = hub().settings
    limits = {
        "changes": settings.max_changes,
        "bytes": min(MAX_BYTES, settings.max_body_bytes),
        "body_bytes": settings.max_body_bytes,
        "inflated_bytes": settings.max_inflated_bytes,
        "depth": settings.max_depth,
        "pull_bytes": settings.max_pull_bytes,
        "tally_days": MAX_DAYS,
        "context_actors": change.MAX_ACTORS,
        "kept_tags": MAX_KEPT,
        "letters": MOST_LETTERS,
        "tablet_posts": MOST_POSTS,
    }
    found = {
        "protocols": SERVED,
        "limits": limits,
        "registers": {kind: sorted(names) for kind, names in REGISTERS.items()},
        "features": FEATURES,
        "oldest_apps": {TABLET_APP: settings.oldest_app} if settings.oldest_app else {},
    }
    return json_answer(orjson.dumps(found))


@bp.get("/schemas")
@answers(JSON_SCHEMA)
def schemas() -> Response:
    """Return the JSON Schema of every message."""
    return json_answer(orjson.dumps(message_schemas()))


@bp.get("/catalogue")
@answers(CATALOGUE)
def codes() -> Response:
    """Return every code of a problem and of a reason, and the limits of every field."""
    return json_answer(_written_catalogue())


@cache
def _written_catalogue() -> bytes:
    return orjson.dumps(catalogue())


def catalogue() -> dict[str, Any]:
    """Return problems, reasons and fields as the code's own tables have them."""
    return {
        "problems": [
            {"code": code, "status": kind.status, "id": kind.text.id, "en": kind.text.en}
            for code, kind in sorted(PROBLEMS.items())
        ],
        "reasons": [
            {"code": code, **{name: _sentence(words, name) for name in ("id", "en")}}
            for code, words in sorted(WORDS.items())
        ],
        "fields": {name: _fields(schema) for name, schema in _described().items()},
    }


def _sentence(words: Any, language: str) -> Mapping[str, str | None]:
    remedy = words.remedy.in_(language) if words.remedy else None
    return {"rule": words.rule.in_(language), "remedy": remedy}


def _described() -> dict[str, Any]:
    """Return the messages that are checked field by field: what is sent to the server."""
    requests = ("envelope", "enrol", "enrol_again", "sealed_batch", "sealed_content")
    changes = {f"change_{kind}": schema for kind, schema in change.SCHEMAS.items()}
    return {name: MESSAGES[name] for name in requests} | changes


def _fields(schema: Any) -> list[dict[str, Any]]:
    return [
        {
            "path": field.path,
            "kind": field.kind,
            "required": field.required,
            "null": field.nullable,
            "rules": list(field.rules),
        }
        for field in field_limits(schema)
    ]
