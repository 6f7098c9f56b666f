"""The queue, search, a child's page, what is done for a child, and the rights of its parents."""

from collections.abc import Mapping
from typing import Any, Final

from schemas.strict import Day, Flag, ListOf, Need, Object, Text, choice, shaped, uuid, whole
from server import privacy
from server.children.flags import RULES
from server.review import AGES, STATUSES
from server.review.child import KINDS
from server.web.request_schemas.parts import (
    MAYBE_DAY,
    MAYBE_ID,
    ROWS,
    SHORT_PAGE,
    SHORT_ROWS,
    TEXT,
    TICK,
    VECTOR,
    WORDS,
    one_of,
)
from server.web.request_schemas.schema import Fields, RequestSchema, Sent, checked, passed

# -- the queue ------------------------------------------------------------------------------------

MINE: Final = "saya"
"""For the person in charge: whoever asks."""


def _filters(post: str, village: str, rule: str, urgency: str, age: str, charged: str) -> Fields:
    """Return the filters of the queue under the names of pages or API."""
    return {
        post: checked(MAYBE_ID),
        village: checked(shaped(r"[0-9]{2}(\.[0-9]{2}){2}\.[0-9]{4}", "not-village", Need.ABSENT)),
        rule: checked(one_of(RULES)),
        urgency: checked(whole(1, 5, Need.ABSENT), check=choice(*"12345", need=Need.ABSENT)),
        age: checked(one_of(AGES)),
        "status": checked(one_of(STATUSES)),
        charged: checked(WORDS, check=shaped(f"{MINE}|account:[0-9a-f-]{{36}}", "not-choice", Need.ABSENT)),
    }


QUEUE_FILTERS: Final = _filters("pos", "desa", "aturan", "urgensi", "umur", "petugas")
FLAG_FILTERS: Final = _filters("post", "village", "rule", "urgency", "age", "assigned_to")
QUEUE: Final = RequestSchema({**QUEUE_FILTERS, **SHORT_PAGE})
QUEUE_FILE: Final = RequestSchema(QUEUE_FILTERS)
FLAGS: Final = RequestSchema({**FLAG_FILTERS, **SHORT_ROWS})
SEARCH: Final = RequestSchema(form={"cari": TEXT, "pos": MAYBE_ID})
SEARCH_JSON: Final = RequestSchema(
    json={
        "words": checked(TEXT, "words is text, post the id of a post"),
        "post": checked(
            uuid(Need.OPTIONAL), "words is text, post the id of a post", check=Text(Need.OPTIONAL)
        ),
    }
)
KEEP_VIEW: Final = RequestSchema(form={"saringan": WORDS, "nama": TEXT})
FORGET_VIEW: Final = RequestSchema(form={"nama": TEXT})

# -- a child's page -------------------------------------------------------------------------------

CHARTS: Final[Mapping[str, tuple[bool, bool]]] = {
    "": (False, False),
    "dekat": (True, False),
    "kms": (False, True),
    "kms-dekat": (True, True),
}
"""What `grafik` asks for: (around the child, with zones)."""
FILTERS: Final[Mapping[str, str]] = {
    "": "",
    "ukur": "measured",
    "tindak": "care",
    "beda": "difference",
    "data": "record",
    "pindah": "moved",
    "tanda": "flag",
    "dilihat": "looked",
}
"""What `riwayat` asks for: a kind of event."""

CHOICES: Final[Fields] = {
    "semua": Sent(TICK),
    "grafik": checked(one_of(CHARTS), default=""),
    "riwayat": checked(one_of(FILTERS), default=""),
}
CHILD: Final = RequestSchema(
    {
        "cetak": Sent(TICK),
        **CHOICES,
        "hal": Sent(
            whole(1, 999_999, Need.ABSENT), whole(1, 999_999, Need.ABSENT), 1, "{name}", keeps_empty=True
        ),
    }
)
NIK: Final = RequestSchema(
    {
        **CHOICES,
        "hal": Sent(
            whole(1, 100_000, Need.ABSENT), whole(1, 999_999, Need.ABSENT), 1, "{name}", keeps_empty=True
        ),
    }
)
TIMELINE: Final = RequestSchema(
    {"kind": checked(one_of(KINDS), f"kind is one of {', '.join(KINDS)}", ""), **ROWS}
)

# -- what is done for a child ---------------------------------------------------------------------

CARE: Final[Fields] = {
    **dict.fromkeys(
        ("task", "action", "due_on", "assigned_to", "reason", "note", "starts_on", "weeks", "funds"),
        passed(WORDS),
    ),
    **dict.fromkeys(("outcome", "done_on", "days_eaten"), passed(WORDS)),
    "covers": Sent(WORDS, keeps_empty=True, several=True),
    **dict.fromkeys(("context", "contexts"), passed(WORDS)),
    **dict.fromkeys(("weight", "length", "muac", "head", "oedema", "position", "measured_on"), passed(WORDS)),
}
"""Of all forms about care; each reads its own."""
CARE_FORM: Final = RequestSchema(CARE)
DECIDE_CARE: Final = RequestSchema(form=CARE)
DECISION: Final[Fields] = {
    "task": MAYBE_ID,
    **dict.fromkeys(("starts_on", "due_on", "done_on", "measured_on"), MAYBE_DAY),
    **dict.fromkeys(("assigned_to", "reason", "note", "action", "funds", "outcome"), WORDS),
    "weeks": whole(1, 100, Need.ABSENT),
    "covers": ListOf(TEXT, 0, 200, Need.ABSENT),
    "contexts": Object(Need.ABSENT),
    "set": Object(Need.ABSENT),
    "context": Object(Need.ABSENT),
}
DECIDE_JSON: Final = RequestSchema(json=DECISION)
RESULT_JSON: Final = RequestSchema(
    json={
        "outcome": TEXT,
        "done_on": Day(),
        "days_eaten": whole(0, 31, Need.ABSENT),
        "note": WORDS,
        "context": VECTOR,
    }
)

# -- rights of the child's parents ----------------------------------------------------------------

REQUEST_FIELDS: Final = ("kind", "relation", "by", "contact", "words")
CONSENT_FIELDS: Final = ("by", "relation", "on", "method")
OUTCOMES: Final[Mapping[str, Any]] = dict.fromkeys(
    one for outcomes in privacy.FITTING.values() for one in outcomes
)
ASK_RIGHT: Final = RequestSchema(form=dict.fromkeys(REQUEST_FIELDS, WORDS))
CONSENT: Final = RequestSchema(form=dict.fromkeys((*CONSENT_FIELDS, "given", "context"), WORDS))
ANSWER_RIGHT: Final = RequestSchema(form={"outcome": WORDS})
ASK_RIGHT_JSON: Final = RequestSchema(
    json={
        "kind": choice(*privacy.KINDS),
        "relation": choice(*privacy.RELATIONS),
        "by": TEXT,
        **dict.fromkeys(("contact", "words"), Text(Need.OPTIONAL)),
    }
)
CONSENT_JSON: Final = RequestSchema(
    json={
        "given": Flag(),
        "by": TEXT,
        "relation": choice(*privacy.RELATIONS),
        "on": Day(),
        "method": Text(Need.OPTIONAL),
        "context": Object(),
    }
)
ANSWER_RIGHT_JSON: Final = RequestSchema(json={"outcome": choice(*OUTCOMES)})
