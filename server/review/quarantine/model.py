"""What a quarantined case is: its states, its decisions and reasons, and how each is written as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from server.translations import T_, Text
from sync_protocol import Dot, Json, Outcome

OPEN, ANSWERED, DECIDED = "open", "answered", "decided"

STATES: Final = (OPEN, ANSWERED, DECIDED)
"""Open: waits for a decision. Answered: a later change of the same tablet replaced it. Decided: released or dismissed."""

RELEASED, DISMISSED, REOPENED = "released", "dismissed", "reopened"

IN_FORCE: Final = (RELEASED, DISMISSED)
"""Decisions that hold. A reopened case keeps its row, which says who reopened it, and counts as open."""

UNDONE_BESIDE: Final = "released-beside"
"""Reason of a case whose release was undone, where the released value had been in conflict with another value."""

DISMISSALS: Final[Mapping[str, Text]] = {
    "recorded-again": T_("recorded again, correctly"),
    "recorded-twice": T_("recorded twice"),
    "wrong-child": T_("written down for the wrong child"),
    "practice": T_("practice or a trial"),
    "cannot-be-true": T_("cannot be true and cannot be measured again"),
    "not-trusted": T_("not from a cadre who is known"),
}
"""Why a change is dismissed."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decided (`by`: "account:<id>" or "operator"), and the change that the hub wrote for it."""

    decision: str
    reason: str
    by: str
    at: datetime
    released: Dot | None

    def wire(self) -> dict[str, Any]:
        return {
            "decision": self.decision,
            "reason": self.reason,
            "by": self.by,
            "at": self.at.isoformat(timespec="seconds"),
            "released": list(self.released) if self.released else None,
        }


@dataclass(frozen=True, slots=True)
class QuarantinedChange:
    """A quarantined change, as it is listed.

    Parameters
    ----------
    kind, record_id, child_id, measured_on, source : None where the change has none that can be read
    name : of the child; None where it is unknown, or the reader may not see it
    decision : the one that holds
    reopened : who reopened the case last; its `reason` is the decision that was undone
    """

    tablet_id: str
    counter: int
    tablet_name: str
    post_id: str
    post_name: str
    state: str
    received_at: datetime
    kind: str | None
    record_id: str | None
    child_id: str | None
    measured_on: str | None
    source: str | None
    name: str | None
    reasons: Sequence[Json]
    decision: Decision | None
    reopened: Decision | None = None

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            "actor": self.tablet_id,
            "counter": self.counter,
            "tablet": {"id": self.tablet_id, "name": self.tablet_name},
            "post": {"id": self.post_id, "name": self.post_name},
            "state": self.state,
            "received_at": self.received_at.isoformat(timespec="seconds"),
            "kind": self.kind,
            "record": self.record_id,
            "child": {"id": self.child_id, "name": self.name} if self.child_id else None,
            "measured_on": self.measured_on,
            "source": self.source,
            "reasons": [dict(each) for each in self.reasons],
            "decision": self.decision.wire() if self.decision else None,
            "reopened": self.reopened.wire() if self.reopened else None,
        }


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A case with all that is needed to decide it: the change as it came, and its record as it is now (None if there is none
    yet)."""

    case: QuarantinedChange
    change: Json
    record: Json | None

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {**self.case.wire(), "change": dict(self.change), "record_now": self.record}


@dataclass(frozen=True, slots=True)
class Release:
    """The result of a release: the hub's change, and whether its context is the original's ("original") or "empty"."""

    dot: Dot
    outcome: Outcome
    context: str

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        return {
            "decision": "released",
            "dot": list(self.dot),
            "outcome": self.outcome.value,
            "context": self.context,
        }
