"""What staff look at and decide: the queue, one child, changes that were set aside, conflicts, moves, tablets. Who looked is
logged by the caller (`log_queue_viewed` and its like) before anything is shown; what is decided is written by
`server.sync.server_edits`. May import the rooms below it and nothing of the web.
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
