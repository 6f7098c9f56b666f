"""Changes -> ledger, merged states and streams: what every change goes through, a tablet's and the hub's alike.

    load (posts first) -> judge (fold, outcome, route) -> save (rows to be written, positions in the posts' streams)

Nothing is written here: all of it goes to a `Writes`, on a snapshot or under the posts' locks, as the caller has it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from schemas import Reason, check_against_birth
from schemas.words import reason
from server.children import ledger, record_linkage
from server.children.assessment import PendingRows
from server.context import AppContext
from server.database.engine import Writes, among
from server.database.ids import UUID_TEXT
from server.database.models import (
    ChangeRow,
    Child,
    Delivery,
    FollowUp,
    HealthPost,
    Measurement,
    NikIndex,
    PostExit,
    table,
)
from server.sync import clock_skew
from sync_protocol import TAG_LENGTH, Change, Dot, History, Json, Link, Outcome, RecordState, fold, outcome_of

OF_A_CHILD: Final[tuple[tuple[Any, *tuple[str, ...]], ...]] = (
    (Measurement, "measured_on", "source"),
    (FollowUp, "task"),
    (Delivery, "delivery"),
)
"""The records beside a child's own: the table of each, and what names a row beside its child."""


@dataclass(slots=True)
class Arrival:
    """One change of an upload on its way through: where it stands in the chain, what became of it, and by how many days a
    wrong clock may have moved the day that it names."""

    link: Link
    reasons: list[Reason]
    change: Change | None = None
    record_id: str | None = None
    child_id: str | None = None
    outcome: Outcome = Outcome.DUPLICATE
    clock_days: int = 0

    @classmethod
    def of(cls, link: Link, reasons: list[Reason]) -> "Arrival":
        """Give a change as it arrives, with every reason why it cannot be applied."""
        if reasons:
            return cls(link, reasons, None, *_named(link.wire))
        change = Change.from_wire(link.dot, link.wire, link.hash)
        return cls(link, reasons, change, change.record_id, change.key.get("child", change.record_id))

    def unjudged(self) -> "Arrival":
        """Give a copy to be judged: an upload may have to be worked out more than once."""
        return Arrival(self.link, list(self.reasons), self.change, self.record_id, self.child_id)


def _named(wire: Json) -> tuple[str | None, str | None]:
    """Give the record and the child that a change names which is not valid, as far as it names any."""
    key = wire.get("key")
    record_id = wire.get("id")
    child_id = key["child"] if isinstance(key, Mapping) and "child" in key else record_id
    return _uuid_or_none(record_id), _uuid_or_none(child_id)


def _uuid_or_none(value: object) -> str | None:
    return value if isinstance(value, str) and UUID_TEXT.fullmatch(value) else None


class Positions:
    """Gives out the next positions of posts' streams."""

    def __init__(self, heads: Mapping[str, int]) -> None:
        self._heads, self._before = dict(heads), dict(heads)

    def __contains__(self, post_id: str) -> bool:
        return post_id in self._heads

    def watch(self, heads: Mapping[str, int]) -> None:
        """Add posts that turn out to be concerned too; those that are known stay as they are."""
        self._heads, self._before = dict(heads) | self._heads, dict(heads) | self._before

    def next(self, post_id: str) -> int:
        """Take the next position of a post's stream."""
        self._heads[post_id] += 1
        return self._heads[post_id]

    def moved(self) -> dict[str, int]:
        """Give the new heads of the streams that moved on."""
        return {post_id: head for post_id, head in self._heads.items() if head != self._before[post_id]}

    def save(self, writes: Writes, district: str) -> None:
        """Write the new heads of the streams."""
        for post_id, head in self.moved().items():
            writes.set(table(HealthPost), {"district": district, "id": post_id}, {"head_position": head})


@dataclass(slots=True)
class LoadedRecords:
    """What one upload touches, loaded and then folded. `posts` are those concerned, `records` the
    child of each record; `held_before` says whether anything was
    held of any of the records. `clock_days` are those of their changes, by record, where they are not 0. Who is linked to a
    child that is touched, or may be from now on, is among the subjects too; `linked` says whether there is anybody."""

    subjects: dict[str, ledger.Subject]
    histories: dict[str, History]
    posts: Positions
    records: Mapping[str, str]
    held_before: bool
    states: dict[str, RecordState] = field(default_factory=dict)
    moved_from: dict[str, str] = field(default_factory=dict)
    clock_days: dict[str, dict[Dot, int]] = field(default_factory=dict)
    linked: bool = False

    def clock_doubt(self, state: RecordState) -> int:
        """Give by how many days a wrong clock may have moved the date of a record."""
        days = self.clock_days.get(state.record_id)
        return clock_skew.doubt(state, self.histories[state.record_id].changes, days) if days else 0

    def posts_told(self) -> dict[str, list[str]]:
        """Give the posts whose logs are to tell of it, each with its children: where they are, and where they were."""
        told: dict[str, list[str]] = {}
        for subject in self.subjects.values():
            for post_id in {subject.post_id, self.moved_from.get(subject.id, subject.post_id)}:
                told.setdefault(post_id, []).append(subject.id)
        return told


class PlanStale(Exception):
    """A child changed its post, or whom it is linked to, while it was being looked at."""


def load(
    session: Session, hub: AppContext, post_id: str, new: Sequence[Arrival], now: datetime, *, lock: bool
) -> tuple[Mapping[str, int], LoadedRecords]:
    """Look at the posts concerned **first**, then load every touched child and record: what changes after that look is
    noticed, because it moves a post's stream on."""
    district = hub.district
    # a change that is set aside counts as held too, so the record that it names is loaded and folded again
    records = {a.record_id: a.child_id for a in new if a.record_id and a.child_id}
    records |= {a.change.record_id: a.child_id for a in new if a.change and a.child_id}
    child_ids = sorted(set(records.values()))
    asked_for = {a.change.registers["post"]["post"] for a in new if a.change and "post" in a.change.registers}
    kin = _kin(session, hub, child_ids, new)
    given = {"district": district, "posts": [post_id, *asked_for], "children": [*child_ids, *kin]}
    heads = heads_of(session, given, lock=lock)
    if lock and kin != _kin(session, hub, child_ids, new):
        raise PlanStale
    known = ledger.subjects(session, hub.vault, district, [*child_ids, *kin])
    if any(subject.post_id not in heads for subject in known.values()):
        raise PlanStale
    for child_id in sorted({a.child_id for a in new if a.change and a.child_id} - known.keys()):
        known[child_id] = ledger.new_subject(hub.vault, child_id, post_id, now)
    histories = ledger.histories(session, district, known, records)
    doubts = ledger.clock_doubts(session, district, records) if histories else {}
    return heads, LoadedRecords(
        known,
        histories,
        Positions(heads),
        records,
        held_before=bool(histories),
        clock_days=doubts,
        linked=bool(kin),
    )


def _kin(session: Session, hub: AppContext, child_ids: Sequence[str], new: Sequence[Arrival]) -> list[str]:
    """Find who else is, was or may become one person with the children: what is derived from one concerns all."""
    named = [
        a.change.registers["same_as"]["child"] for a in new if a.change and "same_as" in a.change.registers
    ]
    targets = {child_id for child_id in named if child_id}
    edited = {a.child_id for a in new if a.child_id and a.record_id == a.child_id}
    if edited:
        targets |= record_linkage.disputed_links(session, hub, edited)
    return sorted(record_linkage.linked_ids(session, hub.district, child_ids, targets))


def heads_of(session: Session, given: Mapping[str, Any], *, lock: bool) -> dict[str, int]:
    return dict(session.connection().execute(_posts_concerned(lock=lock), given).all())


@cache
def _posts_concerned(*, lock: bool) -> Select[*tuple[Any, ...]]:
    """Find the tablet's post, those that children are to move to, and those where children are now, in order of id."""
    child, post = table(Child).c, table(HealthPost).c
    present = select(child.post_id).where(
        child.district == bindparam("district"), among(child.id, "children")
    )
    query = (
        select(post.id, post.head_position)
        .where(post.district == bindparam("district"), among(post.id, "posts") | post.id.in_(present))
        .order_by(post.id)
    )
    return query.with_for_update(key_share=True) if lock else query


def judge(new: Sequence[Arrival], touched: LoadedRecords) -> None:
    """Decide the outcome of each change in order, fold every touched record, and route children to their posts."""
    for arrival in new:
        if arrival.change is not None and not arrival.reasons:
            arrival.reasons = _against_state(arrival.change, touched)
        if arrival.change is None or arrival.reasons:
            arrival.change, arrival.outcome = None, Outcome.QUARANTINED
            _set_aside(arrival, touched)
            continue
        change = arrival.change
        held = touched.histories.get(change.record_id)
        history = held.with_change(change) if held else History((change,))
        touched.histories[change.record_id] = history
        state = touched.states[change.record_id] = fold(history)
        arrival.outcome = outcome_of(change, history, state)
        if arrival.clock_days:
            touched.clock_days.setdefault(change.record_id, {})[change.dot] = arrival.clock_days
        if "identity" in change.registers:
            # what the merged record says, not what came last: None while it is in conflict
            touched.subjects[change.record_id].born_on = (state.value("identity") or {}).get("born_on")
    _route(touched)


def _set_aside(arrival: Arrival, touched: LoadedRecords) -> None:
    """Count a quarantined change as held, as the ledger will: under the record and child that it names."""
    record_id = arrival.record_id
    if record_id is None or touched.records.get(record_id) != arrival.child_id:
        return
    held = touched.histories.get(record_id, History(()))
    quarantined = (*held.quarantined, (arrival.link.dot, arrival.link.hash[:TAG_LENGTH]))
    history = touched.histories[record_id] = History(held.changes, quarantined)
    if history.changes:  # a context may have named it: what was incomplete or in conflict may be so no more
        touched.states[record_id] = fold(history)


def _against_state(change: Change, touched: LoadedRecords) -> list[Reason]:
    """Give the reasons that only the state can give."""
    subject = touched.subjects[change.key.get("child", change.record_id)]
    if subject.erased:
        return [reason("id", "child-erased", None)]
    if subject.restricted:
        return [reason("id", "child-restricted", None)]
    if change.kind == "child":
        post = change.registers.get("post", {}).get("post")
        return [reason("set.post.post", "post-unknown", post)] if post and post not in touched.posts else []
    if change.kind != "measurement":
        return []
    born_on = touched.subjects[change.key["child"]].born_on
    found = check_against_birth(change.key["measured_on"], born_on) if born_on else None
    return [found] if found else []


def _route(touched: LoadedRecords) -> None:
    """Send each child to the post its record names; a child whose posts are in conflict stays where it is."""
    for subject in touched.subjects.values():
        state = touched.states.get(subject.id)
        named = state.value("post") if state else None
        if named and named["post"] != subject.post_id:
            if subject.stored:
                touched.moved_from[subject.id] = subject.post_id
            subject.post_id = named["post"]


def save(
    session: Session,
    writes: Writes,
    hub: AppContext,
    batch_id: str | None,
    new: Sequence[Arrival],
    touched: LoadedRecords,
    now: datetime,
) -> PendingRows:
    """Add ledger and states to what is written; every record that changed takes the next position of its child's present
    post. Gives the states' rows, from which the assessment goes on."""
    district, positions = hub.district, touched.posts
    children: list[dict[str, Any]] = []
    born: list[dict[str, Any]] = []
    measurements, follow_ups, deliveries = [], [], []
    measured = {state.key.get("child") for state in touched.states.values()}
    regrouped = _regroup(touched, measured) if touched.linked else frozenset()
    for subject in touched.subjects.values():
        state = touched.states.get(subject.id)
        rows = children if subject.stored else born
        if state is not None:
            at, doubt = positions.next(subject.post_id), touched.clock_doubt(state)
            rows.append(ledger.child_row(district, subject, state, at, doubt))
        elif not subject.stored and subject.id in measured:
            rows.append(ledger.child_row(district, subject, None, 0))
    for state in touched.states.values():
        if state.kind == "measurement":
            subject = touched.subjects[state.key["child"]]
            at, doubt = positions.next(subject.post_id), touched.clock_doubt(state)
            measurements.append(ledger.measurement_row(district, subject, state, at, doubt))
        elif state.kind == "follow_up":
            subject = touched.subjects[state.key["child"]]
            follow_ups.append(ledger.follow_up_row(district, subject, state, positions.next(subject.post_id)))
        elif state.kind == "delivery":
            subject = touched.subjects[state.key["child"]]
            deliveries.append(ledger.delivery_row(district, subject, state, positions.next(subject.post_id)))
    # never an upsert: of two posts that make one child at once, the second must run again and see the first
    writes.insert(table(Child), born)
    writes.upsert(table(Child), children)
    write = writes.upsert if touched.held_before else writes.insert
    write(table(Measurement), measurements)
    write(table(FollowUp), follow_ups)
    write(table(Delivery), deliveries)
    _move(session, writes, district, touched, positions)
    _tell_persons(writes, district, touched, regrouped)
    positions.save(writes, district)
    ledger_rows = [
        ledger.change_row(
            district,
            a.link,
            a.change,
            touched.subjects.get(a.child_id or ""),
            hub.vault,
            child_id=a.child_id,
            record_id=a.record_id,
            outcome=a.outcome,
            reasons=[r.wire() for r in a.reasons],
            batch_id=batch_id,
            received_at=now,
            clock_days=a.clock_days if a.change else 0,
        )
        for a in new
    ]
    writes.insert(table(ChangeRow), ledger_rows)
    _index_niks(writes, hub, new, touched)
    as_stored = {
        subject.id: {**subject.row, "person_id": subject.person_id} if touched.linked else subject.row
        for subject in touched.subjects.values()
        if subject.row
    }
    return PendingRows(
        as_stored | {row["id"]: row for row in (*born, *children)},
        {(row["child_id"], row["measured_on"].isoformat(), row["source"]): row for row in measurements},
        replacing=touched.held_before,
        regrouped=regrouped,
        follow_ups={(row["child_id"], row["task"]): row for row in follow_ups},
    )


def _regroup(touched: LoadedRecords, measured: set[str | None]) -> frozenset[str]:
    """Work out who is one person now; give all whose company changed. Who was erased is nobody's company."""
    nodes = {}
    for subject in touched.subjects.values():
        if subject.erased:
            continue
        state, row = touched.states.get(subject.id), subject.row
        if state is not None:
            link = (state.value("same_as") or {}).get("child")
            nodes[subject.id] = record_linkage.Node(link, registered=True, removed=state.removed)
        elif row is not None:
            nodes[subject.id] = record_linkage.Node(
                row["same_as"], bool(row["registered"]), bool(row["removed"])
            )
        elif subject.id in measured:
            nodes[subject.id] = record_linkage.Node(None, registered=False, removed=False)
    before = {child_id: touched.subjects[child_id].person_id for child_id in nodes}
    after = record_linkage.canonical_ids(nodes)
    for child_id, person_id in after.items():
        touched.subjects[child_id].person_id = person_id
    changed = {child_id for child_id in nodes if before[child_id] != after[child_id]}
    concerned = {person for child_id in changed for person in (before[child_id], after[child_id])}
    return frozenset(
        child_id for child_id in nodes if before[child_id] in concerned or after[child_id] in concerned
    )


def _tell_persons(writes: Writes, district: str, touched: LoadedRecords, regrouped: frozenset[str]) -> None:
    """Save whom children belong with who were not edited themselves, and move the streams of all their posts on: an upload
    that was worked out meanwhile, with other company, is worked out again."""
    for child_id in sorted(regrouped):
        subject = touched.subjects[child_id]
        if child_id not in touched.states and subject.stored:
            key = {"district": district, "id": child_id}
            writes.set(table(Child), key, {"person_id": subject.person_id})
    for post_id in {touched.subjects[child_id].post_id for child_id in regrouped}:
        touched.posts.next(post_id)


def _move(
    session: Session, writes: Writes, district: str, touched: LoadedRecords, positions: Positions
) -> None:
    """Carry all of a moved child into its new post's stream, and tell the old post's."""
    for child_id, old_post in touched.moved_from.items():
        post_id = touched.subjects[child_id].post_id
        for model, *names in OF_A_CHILD:
            c = table(model).c
            mine = c.district == district, c.child_id == child_id
            for row in session.execute(select(*(c[name] for name in names)).where(*mine)).mappings():
                key = {"district": district, "child_id": child_id, **row}
                writes.set(table(model), key, {"post_id": post_id, "position": positions.next(post_id)})
        left = {"district": district, "post_id": old_post, "child_id": child_id}
        writes.upsert(table(PostExit), [{**left, "position": positions.next(old_post)}])
        writes.remove(table(PostExit), [{**left, "post_id": post_id}])


def _index_niks(writes: Writes, hub: AppContext, new: Sequence[Arrival], touched: LoadedRecords) -> None:
    """Keep the blind index of the NIKs that a child's record holds now."""
    gone: list[dict[str, Any]] = []
    held: list[dict[str, Any]] = []
    for child_id in sorted({a.change.record_id for a in new if a.change and "nik" in a.change.registers}):
        history = touched.histories[child_id].changes
        ever = {nik for c in history if (nik := c.registers.get("nik", {}).get("nik"))}
        present = {nik for s in touched.states[child_id].registers["nik"] if (nik := s.value.get("nik"))}
        for niks, rows in ((ever - present, gone), (present, held)):
            blinds = sorted(map(hub.vault.blind_index, niks))
            rows += [{"blind": b, "district": hub.district, "child_id": child_id} for b in blinds]
    writes.remove(table(NikIndex), gone)
    writes.upsert(table(NikIndex), held)
