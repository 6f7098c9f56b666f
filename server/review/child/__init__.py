"""Everything about one child: its record, its measurements, who wrote what, what is derived from it, and its timeline.

    history (the ledger) -> visits (scored) -> confirmation, courses (pure) -> timeline -> view;  wire: the same as JSON

Rules kept here:
- A value in conflict is shown with all candidates and who recorded them; none is preferred.
- A NIK is masked unless the reader asks for it unmasked, which is logged. A reader who may not see names gets no register
  that could hold one.
- The number of statements does not depend on how long the child has been measured.
"""

from server.review.child.calendar import child_calendar
from server.review.child.confirmation import Confirmation, Run, confirmation, run
from server.review.child.courses import Course, courses
from server.review.child.history import Recorded, Value, recorded_by
from server.review.child.timeline import KINDS, Event, mask_nik
from server.review.child.view import ChildView, OpenConflict, child_view, log_child_viewed, log_nik_unmasked
from server.review.child.visits import MonthlyGain, Scored, ScoredCandidate, Visit
from server.review.child.wire import child_json, timeline_json

__all__ = [
    "KINDS",
    "ChildView",
    "Confirmation",
    "Course",
    "Event",
    "MonthlyGain",
    "OpenConflict",
    "Recorded",
    "Run",
    "Scored",
    "ScoredCandidate",
    "Value",
    "Visit",
    "child_calendar",
    "child_json",
    "child_view",
    "confirmation",
    "courses",
    "log_child_viewed",
    "log_nik_unmasked",
    "mask_nik",
    "recorded_by",
    "run",
    "timeline_json",
]
