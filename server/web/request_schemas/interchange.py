"""Import and export of the formats of others."""

from typing import Final

from schemas.strict import Day, Flag, Need, Object, choice, shaped, uuid
from server.interchange import report_text, uploads
from server.interchange.cases import ANSWERS
from server.interchange.export_formats import FORMS
from server.interchange.import_plan import OUTCOMES
from server.interchange.import_store import DECIDED, OPEN
from server.interchange.refusals import QUESTIONS
from server.web.request_schemas.parts import (
    ALL_ROWS,
    MAYBE_ID,
    PAGE,
    ROWS,
    TEXT,
    TICK,
    WORDS,
    chosen,
    one_of,
)
from server.web.request_schemas.schema import BODY, Fields, RequestSchema, Sent, checked

WHICH: Final = Sent(shaped(r"[a-z0-9-]{1,40}", "not-choice", Need.ABSENT), default=report_text.NEEDS)
"""Rows of a file: needs, all, an outcome, or why. Anything else asks for nothing that there is, or for `needs`."""
DECISIONS: Final = dict.fromkeys(answer for answers in ANSWERS.values() for answer in answers)
RUN_ACTIONS: Final = ("terapkan", "lihat", "buang")

UPLOAD: Final = RequestSchema(form={"pos": WORDS, "tambah_pos": one_of(("ya",))}, file="berkas")
RUN: Final = RequestSchema({"tampil": WHICH, "lanjut": Sent(TICK), **PAGE})
RUN_FILE: Final = RequestSchema({"tampil": WHICH})
CHANGE_RUN: Final = RequestSchema(form={"tindakan": choice(*RUN_ACTIONS)})
"""A file outside the scope is refused before the action is looked at."""
_ROWS: Final[Fields] = {"pertanyaan": chosen(QUESTIONS), "berkas": checked(MAYBE_ID)}
CASES: Final = RequestSchema({**_ROWS, "hasil": chosen(OUTCOMES), **PAGE})
DECIDE_CASE: Final = RequestSchema({**_ROWS, **PAGE}, {"jawaban": TEXT})
EXPORT: Final = RequestSchema(
    form={
        "bentuk": choice(*FORMS),
        **dict.fromkeys(("dari", "sampai"), Day()),
        "wilayah": WORDS,
        "jenis": one_of(("xlsx", "csv")),
        **dict.fromkeys(("tanpa_nama", "nik"), one_of(("ya",))),
    }
)

RECEIVE: Final = RequestSchema(
    {"post": Sent(MAYBE_ID, default=""), "add_posts": Sent(TICK), "rows": WHICH, **ALL_ROWS},
    file=BODY,
    most_bytes=uploads.PAGE_LIMITS.bytes,
)
RUN_JSON: Final = RequestSchema({"rows": WHICH, **ALL_ROWS})
CHANGE_RUN_JSON: Final = RequestSchema({"rows": WHICH, **ALL_ROWS}, json={})
CASES_JSON: Final = RequestSchema(
    {
        "status": checked(one_of((OPEN, DECIDED)), "status: open, decided", OPEN),
        "import": checked(MAYBE_ID),
        "question": chosen(QUESTIONS),
        **ROWS,
    }
)
DECIDE_CASE_JSON: Final = RequestSchema(json={"decision": choice(*DECISIONS), "child": uuid(Need.OPTIONAL)})
EXPORT_JSON: Final = RequestSchema(
    json={
        "form": choice(*FORMS),
        **dict.fromkeys(("first", "last"), Day()),
        "area": Object(Need.ABSENT),
        "anonymous": Flag(Need.ABSENT),
        "file": choice("xlsx", "csv", need=Need.ABSENT),
        "full_nik": Flag(Need.ABSENT),
    }
)
