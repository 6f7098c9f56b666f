"""Posts, how well they measure, and their tablets."""

from typing import Final

from schemas.batch import MOST_POSTS
from schemas.strict import Flag, ListOf, Need, uuid
from server.review import post_quality
from server.web.request_schemas.parts import (
    ID,
    MAYBE_DAY,
    MAYBE_ID,
    PAGE,
    ROWS,
    TEXT,
    TICK,
    WORDS,
    chosen,
)
from server.web.request_schemas.schema import RequestSchema, Sent, checked

POOLS: Final = {"pos": post_quality.POST, "puskesmas": post_quality.CENTRE}
"""Whose measurements a report takes together, as an address says it."""
SHOWN: Final = ("perhatian", "aktif", "berhenti", "semua")
"""Which tablets are listed, as the address says it."""

POSTS: Final = RequestSchema({"puskesmas": checked(MAYBE_ID), "cari": Sent(WORDS, default=""), **PAGE})
POST: Final = RequestSchema({"bulan": chosen(post_quality.PERIODS), "gabungan": chosen(POOLS)})
ROSTER: Final = RequestSchema({"tanggal": Sent(MAYBE_DAY)})
POSTS_JSON: Final = RequestSchema(
    {"health_centre": checked(MAYBE_ID), "name": Sent(WORDS, default=""), **ROWS}
)
QUALITY: Final = RequestSchema(
    {"months": chosen(post_quality.PERIODS), "pool": chosen((post_quality.POST, post_quality.CENTRE))}
)
TABLETS: Final = RequestSchema(
    {
        "tampil": checked(WORDS, "{name}: " + ", ".join(SHOWN), "semua", check=chosen(SHOWN).check),
        "dibatalkan": Sent(TICK),
        "pos": checked(MAYBE_ID),
        **PAGE,
    }
)
ENROL: Final = RequestSchema(
    {"pos": Sent(MAYBE_ID, default="")},
    {
        **{"post": ID, "name": TEXT, "write_only": TICK, "staff": TICK},
        "posts": Sent(WORDS, keeps_empty=True, several=True),
    },
)
MANAGE_POSTS: Final = RequestSchema({"cari": Sent(WORDS, default=""), **PAGE})
ADD_POST: Final = RequestSchema(form={"name": TEXT, "village": TEXT, "centre": WORDS})
RENAME_POST: Final = RequestSchema(form={"name": TEXT})
CLOSE_POST: Final = RequestSchema(form={"into": MAYBE_ID})
CANCEL_CODE: Final = RequestSchema({"pos": checked(MAYBE_ID)})
ENROL_JSON: Final = RequestSchema(
    json={
        **{"post": ID, "name": TEXT, "write_only": checked(Flag(Need.ABSENT))},
        "posts": checked(ListOf(uuid(), 0, MOST_POSTS, need=Need.ABSENT)),
    }
)
TABLET_POSTS: Final = RequestSchema(form={"posts": Sent(WORDS, keeps_empty=True, several=True)})
TABLET_POSTS_JSON: Final = RequestSchema(json={"posts": checked(ListOf(uuid(), 1, MOST_POSTS))})
ASK_REVOKE: Final = RequestSchema({"hilang": Sent(TICK)})
REVOKE: Final = RequestSchema(form={"lost": TICK})
