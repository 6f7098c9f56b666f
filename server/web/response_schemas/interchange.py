"""Imports: files, their rows, and the rows that wait for a decision."""

from typing import Final

from server.web.response_schemas.schema import (
    ANY,
    BOTH_LANGUAGES,
    MAYBE,
    MAYBE_TEXT,
    MAYBE_WHOLE,
    NUMBER,
    PAGE,
    TEXT,
    WHOLE,
    OneOf,
    by_name,
    obj,
    several,
    shape,
)

RUN: Final = shape(
    {
        **{"id": TEXT, "state": TEXT, "scope": obj({"kind": TEXT, "id": TEXT}), "outcomes": by_name(WHOLE)},
        **{"rows_done": WHOLE, "started_by": TEXT, "started_at": TEXT, "finished_at": MAYBE_TEXT},
    },
    "imports.Run",
)
RUNS: Final = shape({"imports": several(RUN)}, "imports.List")
REPORT: Final = shape(
    {
        **{"run": MAYBE_TEXT, "kind": TEXT, "rows": WHOLE},
        **dict.fromkeys(("outcomes", "matched_by", "questions", "rules", "notes"), by_name(WHOLE)),
        "scores": by_name(
            {
                **{"compared": WHOLE, "far": WHOLE, "categories": WHOLE, "outliers": WHOLE},
                "largest": several({"row": WHOLE, "difference": NUMBER}),
            }
        ),
        "posts_missing": several({"post": TEXT, "village": TEXT, "rows": WHOLE}),
        **{"posts_added": WHOLE, "resumed_rows": WHOLE, "rows_done": WHOLE},
    },
    "imports.Report",
)
_ROW: Final = shape(
    {
        **{"row": WHOLE, "outcome": TEXT, "how": TEXT, "child": MAYBE_TEXT, "post": MAYBE_TEXT},
        **{"measured_on": MAYBE_TEXT, "question": MAYBE_TEXT, "case": MAYBE_TEXT, "notes": several(TEXT)},
        "refusals": several({"column": TEXT, "value": ANY, "rule": TEXT, "id": TEXT, "en": TEXT}),
        "apart": several({"index": TEXT, "theirs": ANY, "ours": ANY}),
    },
    "imports.Row",
)
RUN_ROWS: Final = shape(
    {**PAGE, "run": obj(RUN), "foreseen": obj(REPORT, MAYBE), "looked_at": MAYBE_TEXT, "rows": several(_ROW)},
    "imports.RunWithRows",
)
DISCARDED: Final = shape({"id": TEXT, "state": TEXT}, "imports.Discarded")
CHANGED: Final = OneOf(REPORT, RUN_ROWS, DISCARDED)
"""After apply, look, discard."""
CASES: Final = shape(
    {
        **PAGE,
        "cases": several(
            {
                **{"id": TEXT, "run": TEXT, "row": WHOLE, "question": TEXT},
                **{"question_words": obj(BOTH_LANGUAGES), "answers": several(TEXT)},
                **{"post": obj({"id": MAYBE_TEXT, "name": MAYBE_TEXT}), "said": by_name(ANY, MAYBE)},
                "candidates": several(
                    {
                        **{"child": TEXT, "likeness": MAYBE_WHOLE, "name": MAYBE_TEXT, "parents": MAYBE_TEXT},
                        **{"sex": MAYBE_TEXT, "born_on": MAYBE_TEXT, "post": MAYBE_TEXT},
                    }
                ),
                "differences": several({"field": TEXT, "theirs": ANY, "ours": several(ANY)}),
                **{"status": TEXT, "decision": MAYBE_TEXT, "decided_by": MAYBE_TEXT},
                **{"decided_at": MAYBE_TEXT, "found_at": TEXT},
            }
        ),
    },
    "imports.Cases",
)
DECIDED: Final = shape({"id": TEXT, "outcome": TEXT}, "imports.Decided")
