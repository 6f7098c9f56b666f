"""What cannot be worked out of one post or child is set aside, and the others go on.

    halving   does work on several together, and on the halves where that fails
    notices   tells of what failed, until it works again: `doctor`, the metrics and a supervisor's pages read them

A job that stopped at the first post whose figures fail would leave every other post without figures, for the fault of one
row. Any exception is caught, since what one row may cause cannot be listed; but an error of the whole database is no matter
of one post, and is raised. Imports only `audit` and below.
"""

from server.isolation.halving import attempt, halved
from server.isolation.notices import (
    ABSENCE,
    FIGURES,
    JOB,
    KINDS,
    OVERSIGHT,
    SetAside,
    counts,
    new_rows,
    note,
    set_aside,
)

__all__ = [
    "ABSENCE",
    "FIGURES",
    "JOB",
    "KINDS",
    "OVERSIGHT",
    "SetAside",
    "attempt",
    "counts",
    "halved",
    "new_rows",
    "note",
    "set_aside",
]
