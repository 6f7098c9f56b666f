"""Second step of the pipeline: each change gets its outcome, each record is folded, each child is routed to its post."""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas import Reason, check_against_birth
from schemas.change import only_removes
from schemas.words import reason
from server.children import ledger
from server.sync.loading import Arrival, LoadedRecords
from sync_protocol import TAG_LENGTH, Change, Link, Merge, Outcome


@dataclass(frozen=True, slots=True)
class JudgedChange:
    """What became of an arrival: `change` is None, and there are `reasons`, if it was quarantined."""

    arrival: Arrival
    outcome: Outcome
    change: Change | None
    reasons: Sequence[Reason] = ()

    @property
    def link(self) -> Link:
        return self.arrival.link


def judge(arrivals: Sequence[Arrival], loaded: LoadedRecords) -> list[JudgedChange]:
    """Decide the outcome of each change in order, add the changes to what is loaded, and fold each record once."""
    judged = [_judged(arrival, loaded) for arrival in arrivals]
    # a quarantined change too: a context may have named it, and what was incomplete or in conflict may no longer be so
    named = dict.fromkeys(arrival.record_id for arrival in arrivals if arrival.record_id)
    histories = ((record_id, loaded.histories.get(record_id)) for record_id in named)
    loaded.states |= {id_: merge.state() for id_, merge in histories if merge and merge.changes}
    _route(loaded)
    return judged


def _judged(arrival: Arrival, loaded: LoadedRecords) -> JudgedChange:
    change, reasons = arrival.change, arrival.reasons
    if change is not None and not reasons:
        reasons = _against_state(change, loaded)
    elif (subject := loaded.subjects.get(arrival.child_id or "")) is not None and subject.erased:
        # whatever else is wrong: by this the tablet knows that its copy of the values must go, and no other quotes them
        reasons = [reason("id", "child-erased", None)]
    if change is None or reasons:
        _quarantine(arrival, loaded)
        return JudgedChange(arrival, Outcome.QUARANTINED, None, reasons)
    return JudgedChange(arrival, _apply(arrival, change, loaded), change)


def _apply(arrival: Arrival, change: Change, loaded: LoadedRecords) -> Outcome:
    """Add a valid change to its record."""
    merge = loaded.histories.setdefault(change.record_id, Merge())
    merge.add(change)
    if arrival.clock_days:
        loaded.clock_days.setdefault(change.record_id, {})[change.dot] = arrival.clock_days
    if "identity" in change.registers:
        # what the merged record says, not what came last: None while it is in conflict
        loaded.subjects[change.record_id].born_on = (merge.value("identity") or {}).get("born_on")
    return merge.outcome(change)


def _quarantine(arrival: Arrival, loaded: LoadedRecords) -> None:
    """Count a quarantined change as held, as the ledger will: under the record and child that it names."""
    record_id = arrival.record_id
    if record_id is None or loaded.records.get(record_id) != arrival.child_id:
        return
    merge = loaded.histories.setdefault(record_id, Merge())
    merge.add_quarantined(arrival.link.dot, arrival.link.hash[:TAG_LENGTH])


def _against_state(change: Change, loaded: LoadedRecords) -> list[Reason]:
    """Return the reasons that only the stored state can give."""
    subject = loaded.subjects[change.key.get("child", change.record_id)]
    if subject.erased:
        return [reason("id", "child-erased", None)]
    if subject.restricted:
        return [reason("id", "child-restricted", None)]
    needs_key = ledger.is_personal(change.kind, change.registers)
    if change.record_id in loaded.unreadable or (needs_key and subject.id in loaded.keyless):
        return [reason("id", "record-unreadable", None)]
    if subject.id in loaded.out_of_scope:
        return [reason("id", "post-out-of-scope", None)]
    if change.kind == "child":
        return _against_posts(change.registers.get("post", {}).get("post"), loaded)
    if change.kind != "measurement":
        return []
    if only_removes(change.kind, change.registers):
        return []
    born_on = loaded.subjects[change.key["child"]].born_on
    found = check_against_birth(change.key["measured_on"], born_on) if born_on else None
    return [found] if found else []


def _against_posts(post: str | None, loaded: LoadedRecords) -> list[Reason]:
    """Return why a child cannot be sent to a post; None names no post."""
    if post and post not in loaded.posts:
        return [reason("set.post.post", "post-unknown", post)]
    if post and loaded.scope is not None and post not in loaded.scope:
        return [reason("set.post.post", "post-out-of-scope", post)]
    return []


def _route(loaded: LoadedRecords) -> None:
    """Send each child to the post that its record names; a child whose posts are in conflict stays where it is."""
    for subject in loaded.subjects.values():
        state = loaded.states.get(subject.id)
        named = state.value("post") if state else None
        if named and named["post"] != subject.post_id:
            if subject.stored:
                loaded.moved_from[subject.id] = subject.post_id
            subject.post_id = named["post"]
