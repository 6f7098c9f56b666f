"""The way of every change: from a tablet, from a carrier, from the server's own users, from an imported file.

    load    posts first, then every child and record concerned
    judge   each change gets its outcome, each record is folded, each child is routed to its post
    save    rows of ledger and states, with positions in the posts' streams
    derive  possible duplicates, then scores, flags and the review queue; who cannot be assessed is set aside

The caller then writes its receipt or log entries. Everything is planned and nothing written here: on a snapshot, or under
the posts' locks. A plan from a snapshot may be written only if what it was made from is still the same under the locks: the
heads of the posts' streams, and what the search for duplicates read beyond these posts (docs/adr/0008).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from server.context import AppContext
from server.database.writes import Writes
from server.errors import Problem
from server.sync.assessing import assess_changed
from server.sync.duplicate_search import SearchBasis, identifies, lock_registrations, search
from server.sync.judging import JudgedChange, judge
from server.sync.loading import Arrival, load
from server.sync.saving import save
from server.sync.streams import heads_of


@dataclass(frozen=True, slots=True)
class ChangePlan:
    """Changes that were judged, what is to be written of them, and what that was worked out from.

    Parameters
    ----------
    heads : heads of the streams of all posts concerned, as they were
    searched : what the search for duplicates read of other children; None if it did not search
    writes : everything that changes but for the caller's own rows
    judged : the changes, in the order in which they came
    children_by_post : the posts whose logs must have an entry, each with its children
    """

    heads: Mapping[str, int]
    writes: Writes
    judged: Sequence[JudgedChange]
    children_by_post: Mapping[str, Sequence[str]]
    searched: SearchBasis | None = None

    @classmethod
    def empty(cls) -> "ChangePlan":
        """Return the plan of no changes."""
        return cls({}, Writes(), (), {})

    def still_stands(self, session: Session, district: str) -> bool:
        """Lock the posts, and say whether nothing has changed at them, nor among the children who were searched."""
        if self.searched:
            lock_registrations(session, district)
        given = {"district": district, "posts": list(self.heads), "children": []}
        if heads_of(session, given, lock=True) != self.heads:
            return False
        return self.searched is None or self.searched.still_stands(session, district)


def plan_changes(
    session: Session,
    hub: AppContext,
    post_id: str,
    arrivals: Sequence[Arrival],
    now: datetime,
    *,
    batch_id: str | None,
    all_or_none: bool,
    scope: Collection[str] | None = None,
    lock: bool,
) -> ChangePlan:
    """Work out what some changes come to; only reads (and, asked to, locks).

    Parameters
    ----------
    post_id : of their author; children who are not there yet belong to it
    arrivals : in order
    batch_id : None for the server's own changes
    all_or_none : an invalid change refuses all; otherwise it is quarantined, with its reasons
    scope : the posts of the tablet of staff that wrote them: what is about others is invalid; None for other authors
    lock : False on a snapshot: then `still_stands` must be asked before the plan is written

    Raises
    ------
    Problem
        `change-invalid`, with every reason.
    PlanStale
        A child changed its post or its links meanwhile.
    """
    writes = Writes()
    if lock and any(a.change and identifies(a.change.kind, a.change.registers) for a in arrivals):
        lock_registrations(session, hub.district)
    heads, loaded = load(session, hub, post_id, arrivals, now, scope=scope, lock=lock)
    judged = judge(arrivals, loaded)
    if all_or_none:
        refuse_invalid(judged)
    pending = save(session, writes, hub, batch_id, judged, loaded, now)
    found = search(session, hub, writes, loaded, judged, pending, now, lock=lock)
    loaded.posts.save(writes, hub.district)
    assess_changed(session, hub, writes, loaded, found.others, found.pending, now)
    return ChangePlan({**heads, **found.heads}, writes, judged, loaded.children_by_post(), found.basis)


def refuse_invalid(changes: Sequence[Arrival | JudgedChange]) -> None:
    """Raise `change-invalid` if there is any reason against any of some changes."""
    reasons = [reason.wire() for change in changes for reason in change.reasons]
    if reasons:
        raise Problem("change-invalid", reasons=reasons)
