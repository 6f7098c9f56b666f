"""Quarantined changes: changes that the server stored but could not apply. List, read, correct and release, or dismiss them.

Rules kept here:
- Nothing is deleted and the ledger never changes: a decision is stored beside the change.
- A release is an ordinary change by the hub with the context of the **original** change, so it covers what the cadre had
  seen and nothing else. The context is empty where the original's cannot be read, or where the correction makes it another
  record.
- A case belongs to the child's present post. If the child does not exist yet, it belongs to the tablet's post. If the child
  was erased, nobody sees it: the change may hold personal data.
- A case is decided once. Sending the same decision again gives the same answer; a different one is refused, with the first
  decision in the answer.
- A decision can be undone: a dismissed case is opened again, and a release is undone by another change of the hub. That is
  refused where it would undo somebody else's later work.
- Reasons are codes: free text may hold a name, and reasons are stored and logged in the clear.
"""

from server.review.quarantine.deciding import (
    dismiss,
    release,
)
from server.review.quarantine.loading import (
    is_answered,
)
from server.review.quarantine.model import (
    ANSWERED,
    DECIDED,
    DISMISSALS,
    DISMISSED,
    OPEN,
    RELEASED,
    REOPENED,
    STATES,
    CaseFile,
    Decision,
    QuarantinedChange,
    Release,
)
from server.review.quarantine.reading import (
    case_file,
    cases,
    count_open,
    log_listed,
    log_viewed,
    open_by_tablet,
)
from server.review.quarantine.undoing import (
    reopen,
    undo,
)

__all__ = [
    "ANSWERED",
    "DECIDED",
    "DISMISSALS",
    "DISMISSED",
    "OPEN",
    "RELEASED",
    "REOPENED",
    "STATES",
    "CaseFile",
    "Decision",
    "QuarantinedChange",
    "Release",
    "case_file",
    "cases",
    "count_open",
    "dismiss",
    "is_answered",
    "log_listed",
    "log_viewed",
    "open_by_tablet",
    "release",
    "reopen",
    "undo",
]
