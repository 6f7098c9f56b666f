"""What staff see and decide: the queue, one child, quarantined changes, conflicts, duplicates, moves, posts, tablets.

The caller logs who looked (`log_queue_viewed` and the like) before anything is shown. Decisions are written by
`server.sync.server_edits`. Imports nothing of the web.
"""

from server.review.child import (
    ChildView,
    MonthlyGain,
    OpenConflict,
    Recorded,
    Scored,
    ScoredCandidate,
    Value,
    Visit,
    child_view,
    log_child_viewed,
    mask_nik,
)
from server.review.queue_list import (
    AGES,
    FLAGGED_COLUMNS,
    STATUSES,
    Filter,
    Newest,
    PostCount,
    Queue,
    QueueRow,
    flagged_csv,
    flagged_rows,
    flagged_text,
    log_queue_exported,
    log_queue_viewed,
    queue,
)
from server.review.scope import RaisedFlag, Scope

__all__ = [
    "AGES",
    "FLAGGED_COLUMNS",
    "STATUSES",
    "ChildView",
    "Filter",
    "MonthlyGain",
    "Newest",
    "OpenConflict",
    "PostCount",
    "Queue",
    "QueueRow",
    "RaisedFlag",
    "Recorded",
    "Scope",
    "Scored",
    "ScoredCandidate",
    "Value",
    "Visit",
    "child_view",
    "flagged_csv",
    "flagged_rows",
    "flagged_text",
    "log_child_viewed",
    "log_queue_exported",
    "log_queue_viewed",
    "mask_nik",
    "queue",
]
