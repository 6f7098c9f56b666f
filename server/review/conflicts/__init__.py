"""Conflicts: records with concurrent values that the merge rules cannot settle. List them, show every value, settle them.

Rules kept here:
- A settlement is an ordinary change by the hub. Its context is the one that was **shown**, and comes back with the decision.
  A value that arrived in the meantime is not covered by it: that value stays, and so does the conflict.
- A context that names a change which the server does not hold is refused: it cannot have been shown here.
- Only registers in conflict can be set here. The reason is a code: free text may hold a name, and the log is in the clear.
- Whoever settles sees every value unmasked, a NIK too (two that differ in the middle look alike when masked). The view is
  logged.
"""

from server.review.conflicts.model import (
    KEEP,
    REMOVE,
    SETTLEMENTS,
    Aftermath,
    Conflict,
    Disputed,
    LiveValue,
    Past,
    Settlement,
)
from server.review.conflicts.reading import (
    aftermath,
    conflicts,
    dispute,
    log_listed,
    log_viewed,
    posts,
)
from server.review.conflicts.settling import (
    settle,
)

__all__ = [
    "KEEP",
    "REMOVE",
    "SETTLEMENTS",
    "Aftermath",
    "Conflict",
    "Disputed",
    "LiveValue",
    "Past",
    "Settlement",
    "aftermath",
    "conflicts",
    "dispute",
    "log_listed",
    "log_viewed",
    "posts",
    "settle",
]
