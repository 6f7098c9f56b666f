"""What a follow-up is: actions, outcomes and which fit together, a task with its results, and how it is written as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import orjson

from server.translations import T_, Text
from sync_protocol import Dot, Outcome

CADRE: Final = "cadre"
"""Assignee of a task that any cadre of the posyandu may do."""

ACTIONS: Final[Mapping[str, Text]] = {
    "take": T_("In charge"),
    "remeasure": T_("Measure again"),
    "refer_puskesmas": T_("Refer to the health centre's doctor"),
    "refer_hospital": T_("Refer to hospital"),
    "pmt": T_("PMT course"),
    "pmt_week": T_("Weekly PMT check"),
    "home_visit": T_("Home visit"),
    "counsel": T_("Counsel the parents"),
    "ask": T_("Ask the cadre"),
}
"""What a task may be."""

PLANNED: Final = ("remeasure", "refer_puskesmas", "refer_hospital", "home_visit", "counsel", "ask")
"""Actions of the form for one task; taking charge, PMT courses and their weeks have forms of their own."""

OUTCOMES: Final[Mapping[str, Text]] = {
    "done": T_("Done"),
    "confirmed": T_("Confirmed"),
    "cleared": T_("Not confirmed"),
    "not_reached": T_("Family not reached"),
    "refused": T_("Family declined"),
    "better": T_("Better"),
    "same": T_("No change"),
    "worse": T_("Worse"),
    "continue": T_("Course goes on"),
    "finished": T_("Course finished"),
    "to_hospital": T_("Sent to hospital"),
    "cancelled": T_("Cancelled"),
    "recovered": T_("Recovered"),
    "followed_elsewhere": T_("Followed elsewhere"),
    "moved_away": T_("Moved away"),
    "died": T_("Died"),
    "wrong_value": T_("The recorded value was wrong"),
    "not_needed": T_("No action needed"),
}
"""What the result may be."""

CLOSINGS: Final = ("recovered", "followed_elsewhere", "moved_away", "died", "wrong_value", "not_needed")

_ALWAYS_FITTING: Final = ("done", "not_reached", "refused")

FITTING: Final[Mapping[str, tuple[str, ...]]] = {
    "take": CLOSINGS,
    "remeasure": ("confirmed", "cleared", "not_reached", "refused"),
    "refer_puskesmas": (*_ALWAYS_FITTING, "better", "same", "worse", "to_hospital"),
    "refer_hospital": (*_ALWAYS_FITTING, "better", "same", "worse"),
    "pmt": ("finished", "to_hospital", "cancelled"),
    "pmt_week": ("continue", "finished", "to_hospital", "not_reached", "refused"),
    "home_visit": (*_ALWAYS_FITTING, "better", "same", "worse"),
    "counsel": _ALWAYS_FITTING,
    "ask": _ALWAYS_FITTING,
}
"""Which outcomes are offered and accepted for each action; `cancelled` fits all."""

FUNDS: Final[Mapping[str, Text]] = {
    "dak": T_("State grant (DAK)"),
    "apbd": T_("Regency budget (APBD)"),
    "village": T_("Village fund"),
    "partner": T_("Partner"),
}
"""Who pays for a PMT course (Sigizi PMT template)."""


@dataclass(frozen=True, slots=True)
class Authorship:
    """Who wrote something, on which tablet (None: at the health centre), and when by their clock."""

    author: str
    author_name: str | None
    tablet_name: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class TaskResult:
    """A result. A task has several if people reported without having seen each other's report."""

    done_on: str
    outcome: str
    days_eaten: int | None
    by: tuple[Authorship, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """A follow-up of a child, as it is shown.

    Parameters
    ----------
    task : its id, unique within the child
    action, reason : codes; `action` is "" while in conflict
    assigned_to : an author or "cadre"; `assigned_name` is the account's name, if there is one
    results : none while it is open
    notes : free text, each with who wrote it; none for a reader who sees no names
    context : the record's version vector as JSON, which comes back with the answer
    """

    child_id: str
    task: str
    action: str
    reason: str | None
    due_on: date | None
    assigned_to: str | None
    assigned_name: str | None
    course: str | None
    week: int | None
    funds: str | None
    planned: tuple[Authorship, ...]
    results: tuple[TaskResult, ...]
    notes: tuple[tuple[str, tuple[Authorship, ...]], ...]
    context: str

    @property
    def open(self) -> bool:
        return not self.results

    def overdue(self, today: date) -> bool:
        """Say whether its due date has passed without a result."""
        return self.open and self.due_on is not None and self.due_on < today

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            "child": self.child_id,
            "task": self.task,
            "action": self.action or None,
            "reason": self.reason,
            "due_on": self.due_on.isoformat() if self.due_on else None,
            "assigned_to": self.assigned_to,
            "course": self.course,
            "week": self.week,
            "funds": self.funds,
            "open": self.open,
            "results": [
                {"done_on": result.done_on, "outcome": result.outcome, "days_eaten": result.days_eaten}
                for result in self.results
            ],
            "notes": [text for text, _ in self.notes],
            "context": orjson.loads(self.context),
        }


@dataclass(frozen=True, slots=True)
class Decided:
    """The result of a decision: the hub's changes, and for a second measurement whether it confirmed the flags."""

    task: str
    dots: tuple[Dot, ...]
    outcomes: tuple[Outcome, ...]
    found: str | None = None

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            "task": self.task,
            "dots": [list(dot) for dot in self.dots],
            "outcomes": [outcome.value for outcome in self.outcomes],
            "found": self.found,
        }


@dataclass(frozen=True, slots=True)
class DecidedChild:
    """A child that somebody decides about, with its post and all records linked as the same person."""

    child_id: str
    post_id: str
    person_id: str
    group: tuple[str, ...]
