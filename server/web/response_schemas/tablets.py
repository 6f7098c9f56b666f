"""What tablets and carriers are answered; the answer to a batch is in `schemas.receipt`."""

from typing import Final

from schemas.receipt import EnrolAnswerSchema, SealingKeySchema
from server.web.response_schemas.schema import (
    ANY,
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
STANDING: Final = shape({"standing": TEXT, "server_time": TEXT}, "tablets.Standing")
SEALING: Final = shape(
    {"sealing": obj(SealingKeySchema), "limits": obj({"letters": WHOLE, "bytes": WHOLE})}, "relay.Sealing"
)
RECEIPTS: Final = shape({"answers": several(by_name(ANY))}, "relay.Receipts")
