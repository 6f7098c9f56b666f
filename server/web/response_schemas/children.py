"""The queue, search, a child, its timeline, what is done for it, and the rights of its parents."""

from collections.abc import Mapping
from typing import Any, Final

from marshmallow import fields

from server.web.response_schemas.schema import (
    ANY,
    BOTH_LANGUAGES,
    DOT,
    FLAG,
    MAYBE,
    MAYBE_FLAG,
    MAYBE_NUMBER,
    MAYBE_TEXT,
    MAYBE_WHOLE,
    PAGE,
    PLACE,
    TEXT,
    VECTOR,
    WHOLE,
    by_name,
    obj,
    several,
    shape,
)

_CODES: Final = by_name(BOTH_LANGUAGES)
_FLAG: Final[Mapping[str, fields.Field[Any]]] = {
    **{"rule": TEXT, "urgency": WHOLE, "subject": TEXT, "details": by_name(ANY), "raised_at": TEXT}
}
_ROW: Final = shape(
    {
        **{"id": TEXT, "name": MAYBE_TEXT, "sex": MAYBE_TEXT, "born_on": MAYBE_TEXT, "post": obj(PLACE)},
        **{"urgency": WHOLE, "status": TEXT, "assigned_to": MAYBE_TEXT, "due_on": MAYBE_TEXT},
        "flags": several(_FLAG),
        "newest": obj(
            {
                **{"measured_on": TEXT, "source": TEXT, "age_months": MAYBE_WHOLE, "haz": MAYBE_NUMBER},
                **{"waz": MAYBE_NUMBER, "whz": MAYBE_NUMBER, "gain": MAYBE_TEXT},
            },
            MAYBE,
        ),
    },
    "children.QueueRow",
)
FLAGS: Final = shape(
    {
        **PAGE,
        **dict.fromkeys(("by_urgency", "by_rule", "by_status"), by_name(WHOLE)),
        "by_post": several({"id": TEXT, "name": TEXT, "children": WHOLE}),
        "by_village": several({"code": TEXT, "name": MAYBE_TEXT, "children": WHOLE}),
        "mine": WHOLE,
        "children": several(_ROW),
        "screening_note": obj(BOTH_LANGUAGES),
    },
    "children.Queue",
)
SEARCH: Final = shape(
    {
        **{"by": TEXT, "more": FLAG},
        "children": several(
            {
                **{"id": TEXT, "name": MAYBE_TEXT, "mother": MAYBE_TEXT, "sex": MAYBE_TEXT},
                **{"born_on": MAYBE_TEXT, "post": obj(PLACE), "urgency": MAYBE_WHOLE},
            }
        ),
    },
    "children.Found",
)

# -- a child --------------------------------------------------------------------------------------

TASK: Final = shape(
    {
        **dict.fromkeys(("child", "task"), TEXT),
        **dict.fromkeys(("action", "reason", "due_on", "assigned_to", "course", "funds"), MAYBE_TEXT),
        **{"week": MAYBE_WHOLE, "open": FLAG, "notes": several(TEXT), "context": VECTOR},
        "results": several({"done_on": TEXT, "outcome": TEXT, "days_eaten": MAYBE_WHOLE}),
    },
    "children.Task",
)
_VALUES: Final = by_name(
    several(
        shape(
            {
                "value": by_name(ANY),
                "recorded": several(
                    {
                        **{"author": TEXT, "name": MAYBE_TEXT, "tablet": MAYBE_TEXT},
                        **{"recorded_at": TEXT, "received_at": TEXT},
                    }
                ),
            },
            "children.Value",
        )
    )
)
_STATUS: Final = shape(
    {"code": TEXT, "id": TEXT, "en": TEXT, "sentence": obj(BOTH_LANGUAGES, MAYBE)}, "children.Status"
)
_VISIT: Final = shape(
    {
        **{"measured_on": TEXT, "source": TEXT, "removed": FLAG, "age_months": MAYBE_WHOLE},
        "values": _VALUES,
        "candidates": several(
            {
                **dict.fromkeys(("weight_g", "length_mm", "muac_mm", "head_mm", "age_days"), MAYBE_WHOLE),
                **{"oedema": MAYBE_FLAG, "length_cm": MAYBE_NUMBER, "bmi": MAYBE_NUMBER},
                "scores": by_name(
                    {
                        **{"z": MAYBE_NUMBER, "reason": MAYBE_TEXT, "implausible": FLAG},
                        "status": obj(_STATUS, MAYBE),
                    }
                ),
                "muac_status": obj(_STATUS, MAYBE),
            }
        ),
        "gain": obj({"code": MAYBE_TEXT, "gain_g": MAYBE_WHOLE, "reason": MAYBE_TEXT, "two_t": FLAG}, MAYBE),
    },
    "children.Measurement",
)
CHILD: Final = shape(
    {
        **{"id": TEXT, "name": MAYBE_TEXT, "sex": MAYBE_TEXT, "born_on": MAYBE_TEXT},
        **{"age_months": MAYBE_WHOLE, "post": obj(PLACE), "health_centre": MAYBE_TEXT},
        **{"registered": FLAG, "removed": FLAG, "linked": several(TEXT), "urgency": MAYBE_WHOLE},
        "flags": several({**_FLAG, "id": MAYBE_TEXT, "en": MAYBE_TEXT}),
        "conflicts": several(TEXT),
        "confirmations": by_name(
            {
                **{"state": TEXT, "confirmed": MAYBE_FLAG, "indicated_on": MAYBE_TEXT},
                **{"measured_on": MAYBE_TEXT, "z": MAYBE_NUMBER, "severe": FLAG, "indicated_again": FLAG},
            }
        ),
        "low_since": by_name({"since": TEXT, "measurements": WHOLE}),
        "record": _VALUES,
        "villages": by_name(TEXT),
        "at_birth": several(TEXT),
        "consent_recorded": FLAG,
        "pmt": several(
            {
                **dict.fromkeys(("task", "reason", "funds", "ends_on", "ended_on"), MAYBE_TEXT),
                **dict.fromkeys(("weeks", "checked", "days_eaten", "days_asked"), MAYBE_WHOLE),
                "open": FLAG,
                "outcomes": several({"outcome": TEXT, "id": MAYBE_TEXT, "en": MAYBE_TEXT}),
            }
        ),
        "follow_ups": several(TASK),
        "measurements": several(_VISIT),
        "screening_note": obj(BOTH_LANGUAGES),
    },
    "children.Child",
)
EVENT: Final = shape(
    {
        **{"kind": TEXT, "what": TEXT, "at": TEXT, "by": MAYBE_TEXT, "told_at": MAYBE_TEXT},
        **dict.fromkeys(("tablet", "outcome", "child", "measured_on", "source"), MAYBE_TEXT),
        **{"values": by_name(by_name(ANY, MAYBE)), "standing": several(TEXT)},
        **{"deed": MAYBE_TEXT, "reason": MAYBE_TEXT, "details": by_name(ANY)},
    },
    "children.Event",
)
TIMELINE: Final = shape({**PAGE, "by_kind": by_name(WHOLE), "events": several(EVENT)}, "children.Timeline")
NIK: Final = shape({"id": TEXT, "nik": several(MAYBE_TEXT)}, "children.Nik")
FOLLOW_UPS: Final = shape(
    {
        **{"follow_ups": several(TASK), "covers": several(TEXT), "actions": _CODES, "outcomes": _CODES},
        "guideline": TEXT,
    },
    "children.FollowUps",
)
DECIDED: Final = shape(
    {"task": TEXT, "dots": several(DOT), "outcomes": several(TEXT), "found": MAYBE_TEXT}, "children.Decided"
)

# -- rights of the child's parents ----------------------------------------------------------------

_NAMED_CHILD: Final = {"id": TEXT, "name": MAYBE_TEXT}
RIGHT: Final = shape(
    {
        **dict.fromkeys(("id", "kind", "status", "relation", "received_by"), TEXT),
        **dict.fromkeys(("by", "contact", "words", "proposed_by", "decided_by", "outcome"), MAYBE_TEXT),
        **{"asked_at": TEXT, "due_at": TEXT, "decided_at": MAYBE_TEXT, "late": FLAG},
        **{"hours_left": MAYBE_WHOLE, "child": obj(_NAMED_CHILD), "post": obj(PLACE)},
    },
    "rights.Request",
)
RIGHTS: Final = shape({"requests": several(RIGHT), "outcomes": by_name(several(TEXT))}, "rights.List")
CHILD_RIGHTS: Final = shape(
    {
        **{"child": obj(_NAMED_CHILD), "restricted_at": MAYBE_TEXT, "consents": several(by_name(ANY))},
        **{"context": VECTOR, "requests": several(RIGHT), "hold_until": MAYBE_TEXT, "linked": several(TEXT)},
    },
    "rights.OfChild",
)
COPY: Final = shape(
    {
        **{"format": TEXT, "district": TEXT, "made_at": TEXT, "child": obj(CHILD)},
        **{"history": several(EVENT), "readers": several(by_name(ANY)), "lists": several(by_name(ANY))},
        "requests": several(RIGHT),
    },
    "rights.Copy",
)
