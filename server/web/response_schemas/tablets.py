"""What tablets and carriers are answered; the answer to a batch is in `schemas.receipt`."""

from typing import Final

from schemas.receipt import EnrolAnswerSchema, SealingKeySchema
from schemas.strict import Flag, Need
from server.web.response_schemas.schema import (
    ANY,
    FLAG,
    MAYBE_TEXT,
    TEXT,
    WHOLE,
    by_name,
    obj,
    several,
    shape,
)

ENROLLED_AGAIN: Final = shape(
    {**EnrolAnswerSchema().declared_fields, "replaces": TEXT, "common": WHOLE}, "relay.EnrolAgainAnswer"
)
STANDING: Final = shape(
    {
        "standing": TEXT,
        "server_time": TEXT,
        "write_only": Flag(Need.ABSENT),
        "pin": obj({"kind": TEXT, "least": WHOLE}, Need.ABSENT),
    },
    "tablets.Standing",
)
RECOVERED: Final = shape({"sealed_key": obj({"enc": TEXT, "ciphertext": TEXT})}, "tablets.Recovered")
SEALING: Final = shape(
    {"sealing": obj(SealingKeySchema), "limits": obj({"letters": WHOLE, "bytes": WHOLE})}, "relay.Sealing"
)
RECEIPTS: Final = shape({"answers": several(by_name(ANY))}, "relay.Receipts")
CAPABILITIES: Final = shape(
    {
        "protocols": several({"protocol": WHOLE, "schema": WHOLE, "ends_on": MAYBE_TEXT}),
        "limits": by_name(WHOLE),
        "registers": by_name(several(TEXT)),
        "features": several(TEXT),
        "oldest_apps": by_name(TEXT),
    },
    "tablets.Capabilities",
)
JSON_SCHEMA: Final = shape(
    {"$schema": TEXT, "$id": TEXT, "title": TEXT, "$defs": by_name(ANY)}, "tablets.JsonSchema"
)
_RULE: Final = {"rule": TEXT, "remedy": MAYBE_TEXT}
CATALOGUE: Final = shape(
    {
        "problems": several({"code": TEXT, "status": WHOLE, "id": TEXT, "en": TEXT}),
        "reasons": several({"code": TEXT, "id": obj(_RULE), "en": obj(_RULE)}),
        "fields": by_name(
            several({"path": TEXT, "kind": TEXT, "required": FLAG, "null": FLAG, "rules": several(TEXT)})
        ),
    },
    "tablets.Catalogue",
)
