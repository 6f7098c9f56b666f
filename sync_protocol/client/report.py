"""What a sync did, as the client reports it to its caller."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sync_protocol._pages import Ref
from sync_protocol._records import Change, Outcome
from sync_protocol._replica import Answered, Event, Pulled
from sync_protocol._vectors import Entry


@dataclass(frozen=True, slots=True)
class Renewal:
    """This device enrolled anew, because it was restored or cloned.

    Parameters
    ----------
    old_id, new_id : the enrolments
    renumbered : the changes that the server did not hold, as (before, now)
    last_kept : of each record, the newest change of the old enrolment that the server holds
    """

    old_id: str
    new_id: str
    renumbered: Sequence[tuple[Change, Change]]
    last_kept: Mapping[str, Entry]


@dataclass(slots=True)
class Report:
    """What a sync did.

    Parameters
    ----------
    events : everything that the answers caused, in order
    outcomes : how many changes got which answer, those that were sent again included
    answered : changes that are no longer waiting
    waiting : changes that are still waiting
    pulled, left : records that changed, children that left the post
    renewals : new enrolments of this device
    more : another round trip would bring more
    server_restored : the server's incarnation changed, so everything is pulled again
    revoked : this tablet was revoked: what it still sends is quarantined for a person to check
    again_in : a busy server asks not to sync again by itself for so many seconds; 0 if it is not busy. A person who taps
        "send" need not wait
    round_trips, troubles : how many answers came, and why others did not
    """

    events: list[Event] = field(default_factory=list)
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    answered: int = 0
    waiting: int = 0
    pulled: set[Ref] = field(default_factory=set)
    left: set[str] = field(default_factory=set)
    renewals: list[Renewal] = field(default_factory=list)
    more: bool = False
    server_restored: bool = False
    revoked: bool = False
    again_in: float = 0.0
    round_trips: int = 0
    troubles: list[str] = field(default_factory=list)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is waiting, neither here nor, as far as it said, at the server."""
        return not self.waiting and not self.more

    def add(self, events: Sequence[Event]) -> None:
        """Add the events of one answer."""
        self.events += events
        for event in events:
            if isinstance(event, Answered):
                items = event.receipt.items
                self.outcomes.update(item.outcome for item in items)
                self.revoked |= any(
                    reason["code"] == "tablet-revoked" for item in items for reason in item.reasons
                )
            elif isinstance(event, Pulled):
                self.pulled.update(event.records)
                self.left.update(event.left)
        self.more = not (isinstance(events[-1], Pulled) and not events[-1].more)


Progress = Callable[[int, int], None]
"""Called with (answered, of how many) after each round trip: "38 of 41"."""
