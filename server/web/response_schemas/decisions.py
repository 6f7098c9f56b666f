"""Quarantined changes, conflicts, duplicates, moves, tablets."""

from collections.abc import Mapping
from typing import Any, Final

from marshmallow import fields

from schemas.strict import Need
from server.web.response_schemas.schema import (
    ANY,
    BOTH_LANGUAGES,
    DOT,
    FLAG,
    MAYBE,
    MAYBE_NAMED_PLACE,
    MAYBE_TEXT,
    MAYBE_WHOLE,
    PAGE,
    PLACE,
    REASON,
    TEXT,
    VECTOR,
    WHOLE,
    by_name,
    obj,
    several,
    shape,
)

_CODES: Final = by_name(BOTH_LANGUAGES)
_CHILD: Final = {"id": TEXT, "name": MAYBE_TEXT}

# -- quarantine -----------------------------------------------------------------------------------

DECISION: Final = shape(
    {"decision": TEXT, "reason": MAYBE_TEXT, "by": TEXT, "at": TEXT, "released": several(ANY, MAYBE)},
    "quarantine.Decision",
)
_CHANGE: Final[Mapping[str, fields.Field[Any]]] = {
    **{"actor": TEXT, "counter": WHOLE, "tablet": obj(MAYBE_NAMED_PLACE), "post": obj(MAYBE_NAMED_PLACE)},
    **{"state": TEXT, "received_at": TEXT, "kind": MAYBE_TEXT, "record": MAYBE_TEXT},
    **{"child": obj(_CHILD, MAYBE), "measured_on": MAYBE_TEXT, "source": MAYBE_TEXT},
    **{"reasons": several(REASON), "decision": obj(DECISION, MAYBE), "reopened": obj(DECISION, MAYBE)},
}
QUARANTINE: Final = shape(
    {**PAGE, "cases": several(shape(_CHANGE, "quarantine.Change")), "dismissals": _CODES}, "quarantine.List"
)
CHANGE: Final = shape(
    {**_CHANGE, "change": by_name(ANY), "record_now": by_name(ANY, MAYBE)}, "quarantine.WholeChange"
)
RELEASED: Final = shape(
    {"decision": TEXT, "dot": DOT, "outcome": TEXT, "context": TEXT}, "quarantine.Released"
)

# -- conflicts ------------------------------------------------------------------------------------

_RECORD: Final[Mapping[str, fields.Field[Any]]] = {
    **{"kind": TEXT, "record": TEXT, "child": obj(_CHILD), "post": obj(PLACE)},
    **{"measured_on": MAYBE_TEXT, "source": MAYBE_TEXT, "task": MAYBE_TEXT},
    **{"registers": several(TEXT), "incomplete": FLAG},
}
_RECORDED: Final = shape(
    {"author": TEXT, "tablet": MAYBE_TEXT, "recorded_at": TEXT, "received_at": TEXT}, "conflicts.Recorded"
)
CONFLICTS: Final = shape(
    {**PAGE, "conflicts": several(shape(_RECORD, "conflicts.Record")), "reasons": _CODES}, "conflicts.List"
)
CONFLICT: Final = shape(
    {
        **_RECORD,
        "context": VECTOR,
        "conflicts": by_name(
            several({"dots": several(DOT), "value": by_name(ANY), "recorded": several(_RECORDED)})
        ),
        "values": by_name(by_name(ANY)),
        "removal_contested": FLAG,
        "missing": several({"actor": TEXT, "tablet": MAYBE_TEXT, "counter": WHOLE}),
        "history": by_name(
            several({"dot": DOT, "value": by_name(ANY), "recorded": obj(_RECORDED), "standing": FLAG})
        ),
    },
    "conflicts.WholeRecord",
)
SETTLED: Final = shape({"dot": DOT, "outcome": TEXT, "remaining": several(TEXT)}, "conflicts.Settled")

# -- duplicates -----------------------------------------------------------------------------------

PAIR: Final = shape(
    {
        **{"score": WHOLE, "why": by_name(WHOLE), "status": TEXT, "found_at": MAYBE_TEXT},
        **{"decided_by": MAYBE_TEXT, "decided_at": MAYBE_TEXT, "other_districts": WHOLE},
        "children": several(
            {
                **{"child": TEXT, "post": obj(PLACE), "name": MAYBE_TEXT, "sex": MAYBE_TEXT},
                **{"born_on": MAYBE_TEXT, "same_as": MAYBE_TEXT, "removed": FLAG, "measurements": WHOLE},
                **{"context": VECTOR, "values": by_name(ANY, MAYBE)},
            }
        ),
    },
    "duplicates.Pair",
)
PAIRS: Final = shape({**PAGE, "pairs": several(PAIR)}, "duplicates.List")
DECIDED_PAIR: Final = shape({"status": TEXT, "children": several(TEXT)}, "duplicates.Decided")

# -- moves and tablets ----------------------------------------------------------------------------

MOVED: Final = shape(
    {"child": TEXT, "from": MAYBE_TEXT, "to": TEXT, "dot": DOT, "outcome": TEXT}, "moves.Moved"
)
TABLET: Final = shape(
    {
        **{"id": TEXT, "name": TEXT, "post": obj(PLACE), "state": TEXT, "app": MAYBE_TEXT, "taken": WHOLE},
        **{"announced": WHOLE, "missing": WHOLE, "quarantined": WHOLE, "clock_offset_ms": MAYBE_WHOLE},
        **dict.fromkeys(("enrolled_at", "last_sync_at", "replaces", "split_at", "revoked_at"), MAYBE_TEXT),
        "warnings": by_name(TEXT),
        "write_only": FLAG,
        "posts": several(PLACE, need=Need.NULLABLE),
    },
    "tablets.Tablet",
)
TABLETS: Final = shape({"total": WHOLE, "tablets": several(TABLET)}, "tablets.List")
CODE: Final = shape(
    {
        **{"code": TEXT, "link": TEXT, "post": obj(PLACE), "name": TEXT, "expires_at": TEXT},
        "write_only": FLAG,
        "posts": several(PLACE, need=Need.NULLABLE),
    },
    "tablets.Code",
)
PIN_CODE: Final = shape({"code": TEXT, "tablet": TEXT, "expires_at": TEXT}, "tablets.PinCode")
EXPOSURE: Final = shape(
    {
        **{"tablet": obj(TABLET), "since": TEXT, "until": MAYBE_TEXT, "total": WHOLE},
        "counts": by_name(WHOLE),
        "children": several(
            {
                **{"id": TEXT, "name": MAYBE_TEXT, "sex": MAYBE_TEXT, "born_on": MAYBE_TEXT},
                **{"post": obj(PLACE), "why": TEXT, "left_at": MAYBE_TEXT, "told_to_delete": FLAG},
            }
        ),
    },
    "tablets.Exposure",
)
