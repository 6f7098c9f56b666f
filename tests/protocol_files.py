"""`make protocol`: write the files of docs/ that are made from the code: the JSON Schema of every message, and the catalogue
of codes and limits. A test fails while a file differs from what is made here.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from server.web.api.message_schemas import message_schemas
from server.web.api.protocol import catalogue
from tests._repository import ROOT

HEAD: Final = """# Codes and limits of the sync protocol

Made by `make protocol` from the tables that the server itself uses; do not edit. The same as JSON, with the Indonesian
texts: `GET /api/v1/protocol/catalogue`. How to read messages: [protocol.md](protocol.md).

A release may add codes. Treat a problem with a code that you do not know by its HTTP status; show a reason's sentence.
"""
PROBLEMS: Final = """## Problems

A request refused as a whole. `{…}` is filled in.

| Code | Status | What it says |
|---|---|---|
"""
REASONS: Final = """## Reasons

Why one change was quarantined, or which members made a request malformed. `{0}`, `{1}` are the limits of the rule. Without a
remedy the sentence says that it is a fault of the app.

| Code | The field … | Remedy |
|---|---|---|
"""
FIELDS: Final = """## Fields

`[]` are the members of a list, `[0]` and `[1]` those of a pair, `{}` the values of an object with free names, `{name}`
these names. A rule is a code of the table above with its limits. Beside these, members must fit one another
(`id-mismatch`, `same-as-itself`, `nothing-measured`, `ends-before-start`), the day and what is stored (`date-in-future`,
`before-birth`, `post-unknown`).
"""


def files() -> Mapping[str, str]:
    """Return the content of each file, by its path."""
    return {
        "docs/protocol-1.schema.json": json.dumps(message_schemas(), indent=1, ensure_ascii=False) + "\n",
        "docs/protocol-codes.md": "\n".join(_catalogue_page()),
    }


def _catalogue_page() -> Iterator[str]:
    found = catalogue()
    yield HEAD
    yield (
        PROBLEMS
        + "\n".join(_row(f"`{one['code']}`", one["status"], one["en"]) for one in found["problems"])
        + "\n"
    )
    yield (
        REASONS
        + "\n".join(
            _row(f"`{one['code']}`", one["en"]["rule"], one["en"]["remedy"] or "") for one in found["reasons"]
        )
        + "\n"
    )
    yield FIELDS
    for name, fields in found["fields"].items():
        yield f"### {name}\n\n| Field | Kind | Must be there | Rules |\n|---|---|---|---|"
        yield "\n".join(map(_field, fields)) + "\n"


def _field(field: Mapping[str, Any]) -> str:
    need = ("yes" if field["required"] else "no") + (", or null" if field["null"] else "")
    return _row(f"`{field['path']}`", field["kind"], need, "; ".join(field["rules"]))


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    for path, content in files().items():
        (ROOT / path).write_text(content, encoding="utf-8")
        sys.stdout.write(f"{path}\n")
