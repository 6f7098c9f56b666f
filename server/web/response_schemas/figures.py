"""Figures, posts, how well posts measure, completeness."""

from collections.abc import Mapping
from typing import Any, Final

from marshmallow import fields

from server.reports.reading import COLUMNS
from server.web.response_schemas.schema import (
    ANY,
    FLAG,
    MAYBE,
    MAYBE_NUMBER,
    MAYBE_TEXT,
    MAYBE_WHOLE,
    NUMBER,
    PAGE,
    PLACE,
    TEXT,
    WHOLE,
    by_name,
    obj,
    several,
    shape,
)

FIGURES: Final = shape(
    {
        "area": obj({"kind": TEXT, "code": TEXT, "name": TEXT}),
        **{"counted_at": MAYBE_TEXT, "posts_waiting": WHOLE, "note": TEXT},
        "months": several(
            {
                "month": TEXT,
                "numbers": obj(dict.fromkeys(COLUMNS, MAYBE_WHOLE)),
                "shares": by_name(MAYBE_NUMBER),
            }
        ),
    },
    "figures.Figures",
)
POSTS: Final = shape(
    {
        **PAGE,
        "month": TEXT,
        "posts": several(
            {
                **{"id": TEXT, "name": TEXT, "health_centre": obj(PLACE), "village": MAYBE_TEXT},
                **{"children": WHOLE, "measured": WHOLE, "flagged": by_name(WHOLE), "tablets": WHOLE},
                **{"last_day": MAYBE_TEXT, "last_sync_at": MAYBE_TEXT},
            }
        ),
    },
    "posts.List",
)
_SHARE: Final = shape(
    {"count": WHOLE, "n": WHOLE, "share": MAYBE_NUMBER, "expected": NUMBER, "beyond_chance": FLAG},
    "posts.Share",
)
QUALITY: Final = shape(
    {
        **{"post": obj(PLACE), "health_centre": obj(PLACE), "first": TEXT, "last": TEXT, "pool": TEXT},
        **dict.fromkeys(("months", "posts", "measurements", "children", "fewest", "wanted"), WHOLE),
        "digits": by_name(
            {
                **{"counts": several(WHOLE), "n": WHOLE, "score": NUMBER, "score_by_chance": NUMBER},
                **{"grade": TEXT, "zero_five": NUMBER, "beyond_chance": FLAG},
            }
        ),
        "z": by_name(
            {
                **{"n": WHOLE, "mean": NUMBER, "sd": NUMBER, "flagged": WHOLE},
                **dict.fromkeys(("usual_sd", "observed_sd"), several(NUMBER)),
                "alarm_sd": MAYBE_NUMBER,
            }
        ),
        **dict.fromkeys(("flagged", "first_days", "new_years", "full_years", "copied"), obj(_SHARE)),
        "missing": by_name(_SHARE),
        "same_increments": several(
            {"day": TEXT, "measure": TEXT, "step": NUMBER, "children": WHOLE, "compared": WHOLE}
        ),
        "findings": several(dict.fromkeys(("code", "id", "en", "do_id", "do_en"), TEXT)),
    },
    "posts.Quality",
)
_OUTCOMES: Final = ("applied", "merged", "superseded", "conflict", "quarantined", "duplicate")
_COUNTERS: Final[Mapping[str, fields.Field[Any]]] = {
    **dict.fromkeys(("announced", "taken", "missing", "received", *_OUTCOMES, "quarantined_open"), WHOLE),
    "adds_up": FLAG,
}
_OF_DAY: Final[Mapping[str, fields.Field[Any]]] = {
    **dict.fromkeys(("weighed", "stored", "removed", "in_quarantine", "settled", "not_arrived"), WHOLE),
    **{"moved": WHOLE, "sentence_id": TEXT, "sentence_en": TEXT},
}
_SUMS: Final = {**_COUNTERS, "children": WHOLE, **_OF_DAY}
_DAY: Final = shape({"day": TEXT, **_OF_DAY}, "completeness.Day")
COMPLETENESS: Final = shape(
    {
        **{"first": TEXT, "last": TEXT, "complete": FLAG, **_SUMS},
        "health_centres": several({"id": TEXT, "name": TEXT, **_SUMS}),
        "posts": several(
            {
                **{"id": TEXT, "name": TEXT, "health_centre_id": TEXT, **_SUMS, "days": several(_DAY)},
                "tablets": several(
                    {
                        **{"id": TEXT, "replaces": MAYBE_TEXT, "replaced_by": several(TEXT)},
                        **{"doubtful": several(ANY), "tablet": TEXT, "state": TEXT},
                        **{"last_sync_at": MAYBE_TEXT, "clock_offset_ms": MAYBE_WHOLE, **_COUNTERS},
                        "days": several(_DAY),
                    }
                ),
            }
        ),
    },
    "completeness.Report",
)

NEWEST_CHECKPOINT: Final = shape(
    {
        "number": WHOLE,
        "note": TEXT,
        "keys": several(TEXT),
        "proof": several(TEXT, MAYBE),
        "restores": several({"signed": TEXT, "signatures": by_name(TEXT)}),
    },
    "audit.NewestCheckpoint",
)
"""The newest checkpoint of the log as a signed note, its keys, the proof asked for, and the restores as they were signed."""
