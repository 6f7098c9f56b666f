"""Follow-ups: what is to be done for a child, by whom and by when, and the result. Staff plan; tablets and staff report.

Rules kept here:
- Every decision is an ordinary change by the hub, with the context that was shown. A conflict never blocks a decision, and
  if two people decide at the same time both decisions are stored.
- A task's id is made where its form is shown, so a form that is sent twice makes one task.
- Whoever closes a case names the flags that were shown; a flag that is raised later opens the case again
  (`server.children.review_queue`).
- The guideline (`server.review.guideline`) proposes what to do and by when; nobody is forced to follow it.
- Free text is a register of its own, encrypted with the child's key. The log has codes, ids and dates only.
"""

from server.review.authors import people
from server.review.follow_ups.deciding import (
    GROWTH,
    MOST_WEEKS,
    answer,
    close,
    course,
    plan,
    remeasure,
    take,
)
from server.review.follow_ups.loading import (
    child_name,
    find,
    flags_seen,
    log_viewed,
    staff_of,
    work_of,
)
from server.review.follow_ups.model import (
    ACTIONS,
    CADRE,
    CLOSINGS,
    FITTING,
    FUNDS,
    OUTCOMES,
    PLANNED,
    Authorship,
    Decided,
    DecidedChild,
    TaskResult,
    Work,
)

__all__ = [
    "ACTIONS",
    "CADRE",
    "CLOSINGS",
    "FITTING",
    "FUNDS",
    "GROWTH",
    "MOST_WEEKS",
    "OUTCOMES",
    "PLANNED",
    "Authorship",
    "Decided",
    "DecidedChild",
    "TaskResult",
    "Work",
    "answer",
    "child_name",
    "close",
    "course",
    "find",
    "flags_seen",
    "log_viewed",
    "people",
    "plan",
    "remeasure",
    "staff_of",
    "take",
    "work_of",
]
