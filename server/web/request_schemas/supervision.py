"""Supervision: uploads, patterns, completeness, a record's history, the audit log."""

from typing import Final

from schemas.strict import Need, shaped
from server.audit import checkpoints, cosigning
from server.web.request_schemas.parts import (
    DAY_TEXT,
    MAYBE_DAY,
    MAYBE_ID,
    PAGE,
    TICK,
    WORDS,
    chosen,
    count,
    ten_long,
)
from server.web.request_schemas.schema import BODY, Fields, RequestSchema, Sent, checked

GROUPS: Final = ("hari", "pos", "tablet", "kader")
"""What `per` asks for: by day, post, tablet or cadre."""
MONTH_OF_AUDIT: Final[Fields] = {
    "bulan": checked(shaped("20[0-9]{2}-(0[1-9]|1[0-2])", "not-date", Need.ABSENT), "{name}: 2026-03")
}
MONTH: Final = RequestSchema(MONTH_OF_AUDIT)
SYNCS: Final = RequestSchema({**MONTH_OF_AUDIT, "per": chosen(GROUPS, "hari")})
_UPLOADS: Final[Fields] = {
    **MONTH_OF_AUDIT,
    "hari": checked(MAYBE_DAY, DAY_TEXT, check=ten_long()),
    "pos": checked(MAYBE_ID, default=""),
    "tablet": checked(MAYBE_ID, default=""),
}
UPLOADS: Final = RequestSchema({**_UPLOADS, **PAGE})
UPLOADS_FILE: Final = RequestSchema(_UPLOADS)
HISTORY: Final = RequestSchema({"nilai": Sent(TICK)})
VERIFY: Final = RequestSchema(form={"titik": WORDS}, file="titik", most_bytes=checkpoints.LARGEST_FILE)
ADD_CHECKPOINT: Final = RequestSchema(file=BODY, most_bytes=cosigning.MOST_BYTES)
GROWTH: Final = RequestSchema({"dari": count(0, 999_999_999, 0)})
"""From which size of the tree a proof is wanted; 0 for none."""
CHECKPOINT: Final = RequestSchema({"nomor": count(1, 999_999_999, 0)})
COMPLETENESS: Final = RequestSchema(
    {
        "day": Sent(MAYBE_DAY, keeps_empty=True),
        "month": Sent(WORDS, keeps_empty=True),
        "post": Sent(MAYBE_ID, MAYBE_ID, reason="post is the id of a post", keeps_empty=True),
    }
)
