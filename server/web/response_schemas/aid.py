"""Aid: the gap, donors, commitments, activities, sheets, a child's aid, and what a donor sees of its own."""

from collections.abc import Mapping
from typing import Any, Final

from marshmallow import fields

from server.aid.words import NEEDS
from server.web.response_schemas.schema import (
    ANY,
    FLAG,
    MAYBE,
    MAYBE_TEXT,
    MAYBE_WHOLE,
    TEXT,
    TRUTH,
    VECTOR,
    WHOLE,
    by_name,
    obj,
    several,
    shape,
)

_DONOR: Final[Mapping[str, fields.Field[Any]]] = {
    **{"id": TEXT, "name": TEXT, "kind": TEXT, "authority": MAYBE_TEXT, "named": TRUTH}
}
DONORS: Final = shape({"donors": several(_DONOR)}, "aid.Donors")
DONOR: Final = shape({**_DONOR, "contact": by_name(MAYBE_TEXT)}, "aid.Donor")
ID: Final = shape({"id": TEXT}, "aid.Id")
CLOSED: Final = shape({"id": TEXT, "closed": FLAG}, "aid.Closed")
ASSIGNED: Final = shape({"assigned": WHOLE}, "aid.Assigned")
COMMITMENTS: Final = shape(
    {
        "commitments": several(
            {
                **dict.fromkeys(("id", "donor", "donor_id", "menu", "funds", "region", "starts_on"), TEXT),
                **dict.fromkeys(("places", "assigned", "delivered", "left", "value_rp", "months"), WHOLE),
                "closed": FLAG,
            }
        )
    },
    "aid.Commitments",
)
ACTIVITY: Final = shape(
    {
        **{"id": TEXT, "status": TEXT, "verified": FLAG, "reasons": several(TEXT)},
        **dict.fromkeys(("donor", "sheet", "category", "menu", "funds", "title", "village"), MAYBE_TEXT),
        **dict.fromkeys(("starts_on", "ends_on", "same_by"), MAYBE_TEXT),
        **dict.fromkeys(("row", "value_rp", "reached"), MAYBE_WHOLE),
    },
    "aid.Activity",
)
ACTIVITIES: Final = shape({"activities": several(ACTIVITY)}, "aid.Activities")
_SUMS: Final = {"activities": WHOLE, "value_rp": WHOLE}
GAP: Final = shape(
    {
        **{"first": TEXT, "last": TEXT, "limit": WHOLE, "offset": WHOLE, "lacking": WHOLE},
        "by_need": obj(dict.fromkeys(NEEDS, WHOLE)),
        "villages": several(
            {
                **{"code": TEXT, "village": TEXT, "lacking": WHOLE, **dict.fromkeys(NEEDS, WHOLE)},
                **{"promised": MAYBE_WHOLE, "helped": MAYBE_WHOLE, **_SUMS},
            }
        ),
        "nobody_there": several(TEXT),
        "twice": MAYBE_WHOLE,
        "twice_children": several({"child": TEXT, "village": MAYBE_TEXT, "menu": TEXT, "sources": ANY}),
        "reported_twice": several(ACTIVITY),
        "authorities": several({"company": TEXT, "authorities": several(TEXT)}),
        **{"relief": obj(_SUMS), "other": obj(_SUMS), "proposals_in_all": WHOLE},
        "proposals": several(
            {
                **dict.fromkeys(("commitment", "donor", "menu", "village", "need", "near", "seen"), TEXT),
                "count": WHOLE,
            }
        ),
    },
    "aid.Gap",
)
_SHEET: Final[Mapping[str, fields.Field[Any]]] = {
    **dict.fromkeys(("id", "reported_to", "name", "state", "brought_at"), TEXT),
    **{"donor": MAYBE_TEXT, "counts": by_name(WHOLE)},
}
SHEETS: Final = shape({"sheets": several(_SHEET)}, "aid.Sheets")
TAKEN_SHEET: Final = shape({**_SHEET, "rows": several(ACTIVITY)}, "aid.TakenSheet")
WAITING_SHEET: Final = shape(
    {
        **_SHEET,
        **{"headers": several(TEXT), "columns": by_name(MAYBE_TEXT)},
        "rows": several(
            {
                **dict.fromkeys(("title", "category", "menu", "village", "starts_on", "ends_on"), MAYBE_TEXT),
                **{"row": WHOLE, "value_rp": MAYBE_WHOLE, "reached": MAYBE_WHOLE, "reasons": several(TEXT)},
            }
        ),
    },
    "aid.WaitingSheet",
)
TAKEN: Final = shape({"id": TEXT, "counts": by_name(WHOLE)}, "aid.Taken")
CHILD_AID: Final = shape(
    {
        "child": TEXT,
        "aid": several(
            {
                **{"child": TEXT, "delivery": TEXT, "donor": MAYBE_TEXT, "conflicts": several(TEXT)},
                **dict.fromkeys(("aid", "delivered", "evidence", "verified"), by_name(ANY, MAYBE)),
                **{"note": ANY, "context": VECTOR},
            }
        ),
    },
    "aid.OfChild",
)
RECORDED: Final = shape({"child": TEXT, "delivery": TEXT}, "aid.Recorded")
OWN: Final = shape(
    {
        "donor": obj(_DONOR, MAYBE),
        "commitments": several(
            {
                **dict.fromkeys(("id", "menu", "funds", "region", "starts_on"), TEXT),
                **dict.fromkeys(("places", "value_rp", "months"), WHOLE),
                "closed": FLAG,
                **dict.fromkeys(("reached", "verified", "given_rp"), MAYBE_WHOLE),
            }
        ),
        "growth": several(
            {"months": WHOLE, "of": MAYBE_WHOLE, "measured": MAYBE_WHOLE, "not_fallen": MAYBE_WHOLE}
        ),
        "activities": several(
            {
                **dict.fromkeys(("title", "category", "village"), MAYBE_TEXT),
                **{"value_rp": MAYBE_WHOLE, "told_elsewhere": FLAG},
            }
        ),
    },
    "aid.Own",
)
