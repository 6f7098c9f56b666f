"""One upload and pull, start to finish.

    checked without looking at what is stored: form, signature, hashes, content of every change
    then planned on a snapshot: tablet and posts looked at -> records loaded -> folded -> rows built -> assessed -> receipt
    then, in ONE writing transaction: tablet and posts locked -> is all as it was? (else planned again) -> written, logged
    then, from what is committed: the pull

Rules kept here: a tablet's changes are taken in order and without holes; what is invalid is quarantined with every reason
and its bytes, and counts as taken; a dot held with another hash means a restored or cloned device; a receipt is built from
what was committed and given again, byte for byte, when the batch comes again.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import Select, bindparam, select
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from schemas import Reason, check_against_birth, check_change, parse_envelope
from schemas.words import reason
from server import audit, ledger
from server.assessment import Fresh, derive
from server.db import Writes, among
from server.errors import Problem
from server.hub import Hub
from server.models import (
    Base,
    Batch,
    ChangeRow,
    Child,
    Departure,
    HealthPost,
    Installation,
    Measurement,
    NikIndex,
    Notice,
    Tablet,
    table,
)
from server.places import UUID_TEXT
from server.security import ChildKey, base64url, sha256, signature_fits
from sync_protocol import (
    PROTOCOL,
    TAG_LENGTH,
    Change,
    History,
    Item,
    Json,
    Link,
    Outcome,
    Receipt,
    ReceiptStatus,
    RecordState,
    canonical,
    chain,
    fold,
    measurement_id,
    outcome_of,
)

PULL_ROWS: Final = 6000
"""Rows looked at for one answer; the byte limit nearly always ends it sooner."""


@dataclass(slots=True)
class Arrival:
    """One change of an upload on its way through: where it stands in the chain, and what became of it."""

    link: Link
    reasons: list[Reason]
    change: Change | None = None
    record_id: str | None = None
    child_id: str | None = None
    outcome: Outcome = Outcome.DUPLICATE

    def unjudged(self) -> "Arrival":
        """Give a copy to be judged: an upload may have to be worked out more than once."""
        return Arrival(self.link, list(self.reasons), self.change, self.record_id, self.child_id)


@dataclass(frozen=True, slots=True)
class Upload:
    """One batch as it came, checked as far as it can be without looking at what is stored. `content` is its digest."""

    batch: Json
    content: str
    arrivals: Sequence[Arrival]
    size_bytes: int
    now: datetime


class Positions:
    """Gives out the next positions of posts' streams."""

    def __init__(self, heads: Mapping[str, int]) -> None:
        self._heads, self._before = dict(heads), dict(heads)

    def __contains__(self, post_id: str) -> bool:
        return post_id in self._heads

    def next(self, post_id: str) -> int:
        """Take the next position of a post's stream."""
        self._heads[post_id] += 1
        return self._heads[post_id]

    def save(self, writes: Writes, district: str) -> None:
        """Write the new heads of the streams."""
        for post_id, head in self._heads.items():
            if head != self._before[post_id]:
                key = {"district": district, "id": post_id}
                writes.set(table(HealthPost), key, {"head_position": head})


@dataclass(slots=True)
class Touched:
    """What one upload touches, loaded and then folded. `posts` are those concerned, `records` the
    child of each record; `held_before` says whether anything was
    held of any of the records."""

    subjects: dict[str, ledger.Subject]
    histories: dict[str, History]
    posts: Positions
    records: Mapping[str, str]
    held_before: bool
    states: dict[str, RecordState] = field(default_factory=dict)
    moved_from: dict[str, str] = field(default_factory=dict)


def exchange(hub: Hub, message: object, *, size_bytes: int, now: datetime) -> bytes:
    """Take an upload and give the answer: receipt and what changed at the tablet's post.

    Parameters
    ----------
    message : the decoded JSON body
    size_bytes : of the body as it came, for the log
    now : aware

    Returns
    -------
    bytes : the JSON answer

    Raises
    ------
    Problem
        The whole request is refused and nothing of it is stored but an audit entry (see `record_refusal`).
    MalformedBatch
        Likewise; the schema's reasons name each field.
    """
    envelope = parse_envelope(message)
    batch = envelope.batch
    if len(batch["changes"]) > hub.settings.max_changes:
        raise Problem("batch-too-large", limit=f"{hub.settings.max_changes} changes")
    signed = canonical(batch)
    with hub.database.reading() as session:
        tablet = _tablet(session, hub.district, batch["tablet"], lock=False)
        if tablet is None or batch["district"] != hub.district:
            raise Problem("tablet-unknown", tablet=batch["tablet"], district=batch["district"])
        if not signature_fits(orjson.loads(tablet.public_key), signed, envelope.signature):
            raise Problem("signature-invalid", tablet=tablet.id)
        arrivals = _arrivals(batch, hub.settings.today(now))
        upload = Upload(batch, base64url(sha256(signed)), arrivals, size_bytes, now)
        plan = _planned(session, hub, upload, tablet)
    return _answer(hub, tablet, batch, _take(hub, upload, plan), now)


def record_refusal(hub: Hub, code: str, tablet_id: str | None, size_bytes: int, now: datetime) -> None:
    """Log an upload that was refused as a whole."""
    with hub.database.transaction() as session:
        known = tablet_id and session.get(Tablet, (hub.district, tablet_id))
        stream = audit.post_stream(known.post_id) if isinstance(known, Tablet) else audit.OFFICE
        details = {"code": code, "size_bytes": size_bytes}
        actor = f"tablet:{known.id}" if isinstance(known, Tablet) else "tablet:unknown"
        audit.append(session, hub.district, stream, "batch.refused", actor=actor, now=now, details=details)


def _arrivals(batch: Json, today: date) -> list[Arrival]:
    """Number, hash and check the changes; whether the state allows them is asked later, under the locks."""
    arrivals = []
    for link in chain(batch["tablet"], batch["first"], batch["previous"], batch["changes"]):
        reasons = check_change(link.wire, today=today)
        change = None if reasons else Change.from_wire(link.dot, link.wire, link.hash)
        arrivals.append(Arrival(link, reasons, change, *_named(link.wire)))
    return arrivals


def _named(wire: Json) -> tuple[str | None, str | None]:
    """Give the record and the child that a change names, valid or not, as far as it names any."""
    key = wire.get("key")
    record_id = wire.get("id")
    child_id = key["child"] if isinstance(key, Mapping) and "child" in key else record_id
    return _uuid_or_none(record_id), _uuid_or_none(child_id)


def _uuid_or_none(value: object) -> str | None:
    return value if isinstance(value, str) and UUID_TEXT.fullmatch(value) else None


def _take(hub: Hub, upload: Upload, plan: "Plan | None") -> bytes:
    """Write under the locks what was worked out on a snapshot, if what it was worked out from still stands there; else work
    it out again under the locks. So the locks are held for the writing alone, and tablets of different posts seldom wait
    for one another's computing."""
    for attempt in range(4):
        if plan is not None and plan.answered_before:
            return plan.answer
        try:
            with hub.database.transaction() as session:
                if plan is None or not plan.still_stands(session, hub.district):
                    plan = _plan(session, hub, upload, _locked(session, hub, upload), lock=True)
                return plan.carry_out(session, hub, upload.now)
        except (IntegrityError, OperationalError, _Moved):
            if attempt == 3:
                raise
        # another was faster: two tablets that make one record, say
        with hub.database.reading() as session:
            tablet = _known(_tablet(session, hub.district, upload.batch["tablet"], lock=False))
            plan = _planned(session, hub, upload, tablet)
    raise AssertionError("unreachable")


def _locked(session: Session, hub: Hub, upload: Upload) -> "TabletFacts":
    return _known(_tablet(session, hub.district, upload.batch["tablet"], lock=True))


def _planned(session: Session, hub: Hub, upload: Upload, tablet: "TabletFacts") -> "Plan | None":
    """Work out an upload on a snapshot; None if a child moved while it was looked at."""
    try:
        return _plan(session, hub, upload, tablet, lock=False)
    except _Moved:
        return None


class _Moved(Exception):
    """A child changed its post while it was being looked at."""


@dataclass(slots=True)
class Plan:
    """What is to be written of an upload and what is answered, and what that was worked out from.

    `basis` is the tablet's place in its chain; `heads` the streams' ends of all posts concerned. Everything that changes a
    child's records or what is derived from them moves its post's stream on, so equal ends mean that nothing has changed.
    """

    tablet_id: str
    basis: tuple[int, str, bool]
    heads: Mapping[str, int]
    answer: bytes
    answered_before: bool = False
    writes: Writes = field(default_factory=Writes)
    entries: list[tuple[str, str, Mapping[str, Any]]] = field(default_factory=list)

    def still_stands(self, session: Session, district: str) -> bool:
        """Lock the tablet and the posts, and say whether they are as they were."""
        tablet = _known(_tablet(session, district, self.tablet_id, lock=True))
        given = {"district": district, "posts": list(self.heads), "children": []}
        return _basis(tablet) == self.basis and _heads(session, given, lock=True) == self.heads

    def carry_out(self, session: Session, hub: Hub, now: datetime) -> bytes:
        """Write everything, log it, and give the receipt."""
        self.writes.apply(session)
        for stream, action, details in sorted(self.entries, key=lambda entry: entry[0]):
            actor = f"tablet:{self.tablet_id}"
            audit.append(session, hub.district, stream, action, actor=actor, now=now, details=details)
        return self.answer


class TabletFacts(NamedTuple):
    """What of a tablet's row an upload depends on."""

    id: str
    post_id: str
    public_key: str
    taken: int
    chain_hash: str
    revoked_at: datetime | None


def _tablet(session: Session, district: str, tablet_id: str, *, lock: bool) -> TabletFacts | None:
    row = (
        session.connection()
        .execute(_one_tablet(lock=lock), {"district": district, "tablet": tablet_id})
        .first()
    )
    return TabletFacts._make(row) if row else None


@cache
def _one_tablet(*, lock: bool) -> Select[*tuple[Any, ...]]:
    c = table(Tablet).c
    columns = [c[name] for name in TabletFacts._fields]
    query = select(*columns).where(c.district == bindparam("district"), c.id == bindparam("tablet"))
    return query.with_for_update() if lock else query


def _known(tablet: TabletFacts | None) -> TabletFacts:
    if tablet is None:  # tablets are never deleted: this one was there a moment ago
        raise LookupError("the tablet's row is gone")
    return tablet


def _basis(tablet: TabletFacts) -> tuple[int, str, bool]:
    return tablet.taken, tablet.chain_hash, tablet.revoked_at is not None


def _plan(session: Session, hub: Hub, upload: Upload, tablet: TabletFacts, *, lock: bool) -> Plan:
    """Work out what becomes of an upload; only reads (and, asked to, locks)."""
    district, batch = hub.district, upload.batch
    arrivals = [a.unjudged() for a in upload.arrivals]
    given = {"district": district, "tablet": tablet.id, "batch": batch["batch"]}
    stored = session.connection().execute(_stored_batch(), given).one_or_none()
    if stored is not None:
        if stored.digest != upload.content:
            raise Problem("batch-id-reused", batch=batch["batch"])
        return Plan(tablet.id, _basis(tablet), {}, stored.receipt, answered_before=True)
    status = _continuity(session, district, tablet, batch, arrivals)
    if status is not ReceiptStatus.ACCEPTED:
        return _turned_back(district, tablet, batch, status, upload.now)
    new = arrivals[max(tablet.taken + 1 - batch["first"], 0) :]
    if tablet.revoked_at is not None:
        for arrival in new:
            arrival.reasons = [reason("", "tablet-revoked", None)]
    heads, touched = _load(session, hub, tablet, new, upload.now, lock=lock)
    _judge(new, touched)
    receipt = Receipt(
        batch["batch"],
        ReceiptStatus.ACCEPTED,
        max(batch["first"] + len(arrivals), tablet.taken + 1),
        tuple(Item(a.link.dot.counter, a.outcome, [r.wire() for r in a.reasons]) for a in arrivals),
    )
    plan = Plan(tablet.id, _basis(tablet), heads, orjson.dumps(receipt.wire()))
    fresh = _save(session, plan.writes, hub, batch["batch"], new, touched, upload.now)
    derive(session, hub, list(touched.subjects), upload.now, plan.writes, fresh)
    _close(plan, hub, tablet, upload, new, touched)
    return plan


@cache
def _stored_batch() -> Select[*tuple[Any, ...]]:
    c = table(Batch).c
    whose = (c.district == bindparam("district"), c.tablet_id == bindparam("tablet"))
    return select(c.digest, c.receipt).where(*whose, c.batch_id == bindparam("batch"))


def _close(
    plan: Plan, hub: Hub, tablet: TabletFacts, upload: Upload, new: Sequence[Arrival], touched: Touched
) -> None:
    """Add what is written of the upload itself: how far the tablet's chain is held, the batch with its receipt, the log."""
    batch, offset_ms = upload.batch, _offset_ms(upload.batch["sent_at"], upload.now)
    counts = Counter(item[1] for item in orjson.loads(plan.answer)["items"])
    heard: dict[str, Any] = {"last_sync_at": upload.now, "clock_offset_ms": offset_ms, "app": batch["app"]}
    if new:
        heard |= {"taken": new[-1].link.dot.counter, "chain_hash": new[-1].link.hash}
    plan.writes.set(table(Tablet), {"district": hub.district, "id": tablet.id}, heard)
    if upload.arrivals:
        row = {
            "district": hub.district,
            "tablet_id": tablet.id,
            "batch_id": batch["batch"],
            "digest": upload.content,
            "receipt": plan.answer,
            "outcomes": orjson.dumps(counts).decode(),
            "sent_at": batch["sent_at"],
            "received_at": upload.now,
            "clock_offset_ms": offset_ms,
            "size_bytes": upload.size_bytes,
        }
        plan.writes.insert(table(Batch), [row])
    details = {
        "batch": batch["batch"],
        "first": batch["first"],
        "received": len(upload.arrivals),
        "outcomes": dict(counts),
        "clock_offset_ms": offset_ms,
    }
    plan.entries = _entries(tablet, details, touched)


def _offset_ms(sent_at: str, now: datetime) -> int:
    return round((datetime.fromisoformat(sent_at) - now).total_seconds() * 1000)


def _continuity(
    session: Session, district: str, tablet: TabletFacts, batch: Json, arrivals: Sequence[Arrival]
) -> ReceiptStatus:
    """Say whether the batch goes on from where the server holds this tablet's chain, or overlaps it truly."""
    head_counter, head_tag = batch["head"]
    if head_counter < tablet.taken:
        return ReceiptStatus.NEW_EPOCH_REQUIRED
    if head_counter == tablet.taken and head_tag != tablet.chain_hash[:TAG_LENGTH]:
        return ReceiptStatus.NEW_EPOCH_REQUIRED
    if batch["first"] > tablet.taken + 1:
        return ReceiptStatus.GAP
    if not arrivals:
        return ReceiptStatus.ACCEPTED
    if batch["first"] == tablet.taken + 1:
        fits = batch["previous"] == tablet.chain_hash
    else:
        fits = _overlap_fits(session, district, tablet, batch, arrivals)
    return ReceiptStatus.ACCEPTED if fits else ReceiptStatus.NEW_EPOCH_REQUIRED


def _overlap_fits(
    session: Session, district: str, tablet: TabletFacts, batch: Json, arrivals: Sequence[Arrival]
) -> bool:
    """Compare what is sent again with what is held. What was set aside then is answered so again, with its reasons: a
    tablet that was restored from its own backup may not know."""
    c = table(ChangeRow).c
    low, high = batch["first"] - 1, arrivals[-1].link.dot.counter
    rows = session.execute(
        select(c.counter, c.hash, c.outcome, c.reasons).where(
            c.district == district, c.actor == tablet.id, c.counter.between(low, high)
        )
    )
    held = {row.counter: row for row in rows}
    for arrival in arrivals:
        row = held.get(arrival.link.dot.counter)
        if row is not None and row.hash != arrival.link.hash:
            return False
        if row is not None and row.outcome == Outcome.QUARANTINED.value:
            arrival.outcome = Outcome.QUARANTINED
            arrival.reasons = [Reason(**told) for told in orjson.loads(row.reasons)]
        elif row is not None:
            arrival.reasons = []
    return bool(batch["previous"] == (held[low].hash if low else ""))


def _turned_back(
    district: str, tablet: TabletFacts, batch: Json, status: ReceiptStatus, now: datetime
) -> Plan:
    """Answer `gap` or `new_epoch_required`: nothing of the batch is stored but the log's entry (and an alert)."""
    receipt = Receipt(batch["batch"], status, tablet.taken + 1)
    plan = Plan(tablet.id, _basis(tablet), {}, orjson.dumps(receipt.wire()))
    if status is ReceiptStatus.NEW_EPOCH_REQUIRED:
        notice = {"held": tablet.taken, "head": batch["head"][0], "first": batch["first"]}
        row = {"kind": "tablet-cloned-or-restored", "subject": tablet.id, "raised_at": now}
        row |= {"district": district, "details": orjson.dumps(notice).decode()}
        plan.writes.upsert(table(Notice), [row])
    details = {
        "batch": batch["batch"],
        "first": batch["first"],
        "head": batch["head"][0],
        "taken": tablet.taken,
    }
    plan.entries = [(audit.post_stream(tablet.post_id), f"batch.{status.value}", details)]
    return plan


def _load(
    session: Session, hub: Hub, tablet: TabletFacts, new: Sequence[Arrival], now: datetime, *, lock: bool
) -> tuple[Mapping[str, int], Touched]:
    """Look at the posts concerned **first**, then load every touched child and record: what changes after that look is
    noticed, because it moves a post's stream on."""
    district = hub.district
    # a change that is set aside counts as held too, so the record that it names is loaded and folded again
    records = {a.record_id: a.child_id for a in new if a.record_id and a.child_id}
    records |= {a.change.record_id: a.child_id for a in new if a.change and a.child_id}
    child_ids = sorted(set(records.values()))
    asked_for = {a.change.registers["post"]["post"] for a in new if a.change and "post" in a.change.registers}
    given = {"district": district, "posts": [tablet.post_id, *asked_for], "children": child_ids}
    heads = _heads(session, given, lock=lock)
    known = ledger.subjects(session, hub.vault, district, child_ids)
    if any(subject.post_id not in heads for subject in known.values()):
        raise _Moved
    for child_id in sorted({a.child_id for a in new if a.change and a.child_id} - known.keys()):
        known[child_id] = ledger.new_subject(hub.vault, child_id, tablet.post_id, now)
    histories = ledger.histories(session, district, known, records)
    return heads, Touched(known, histories, Positions(heads), records, held_before=bool(histories))


def _heads(session: Session, given: Mapping[str, Any], *, lock: bool) -> dict[str, int]:
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


def _judge(new: Sequence[Arrival], touched: Touched) -> None:
    """Decide the outcome of each change in order, fold every touched record, and route children to their posts."""
    for arrival in new:
        if arrival.change is not None and not arrival.reasons:
            arrival.reasons = _against_state(arrival.change, touched)
        if arrival.change is None or arrival.reasons:
            arrival.change, arrival.outcome = None, Outcome.QUARANTINED
            _set_aside(arrival, touched)
            continue
        change = arrival.change
        history = touched.histories.get(change.record_id, History(())).with_change(change)
        touched.histories[change.record_id] = history
        state = touched.states[change.record_id] = fold(history)
        arrival.outcome = outcome_of(change, history, state)
        if "identity" in change.registers:
            # what the merged record says, not what came last: None while it is in conflict
            touched.subjects[change.record_id].born_on = (state.value("identity") or {}).get("born_on")
    _route(touched)


def _set_aside(arrival: Arrival, touched: Touched) -> None:
    """Count a quarantined change as held, as the ledger will: under the record and child that it names."""
    record_id = arrival.record_id
    if record_id is None or touched.records.get(record_id) != arrival.child_id:
        return
    held = touched.histories.get(record_id, History(()))
    quarantined = (*held.quarantined, (arrival.link.dot, arrival.link.hash[:TAG_LENGTH]))
    history = touched.histories[record_id] = History(held.changes, quarantined)
    if history.changes:  # a context may have named it: what was incomplete or in conflict may be so no more
        touched.states[record_id] = fold(history)


def _against_state(change: Change, touched: Touched) -> list[Reason]:
    """Give the reasons that only the state can give."""
    if change.kind == "child":
        post = change.registers.get("post", {}).get("post")
        return [reason("set.post.post", "post-unknown", post)] if post and post not in touched.posts else []
    born_on = touched.subjects[change.key["child"]].born_on
    found = check_against_birth(change.key["measured_on"], born_on) if born_on else None
    return [found] if found else []


def _route(touched: Touched) -> None:
    """Send each child to the post its record names; a child whose posts are in conflict stays where it is."""
    for subject in touched.subjects.values():
        state = touched.states.get(subject.id)
        named = state.value("post") if state else None
        if named and named["post"] != subject.post_id:
            if subject.stored:
                touched.moved_from[subject.id] = subject.post_id
            subject.post_id = named["post"]


def _save(
    session: Session,
    writes: Writes,
    hub: Hub,
    batch_id: str,
    new: Sequence[Arrival],
    touched: Touched,
    now: datetime,
) -> Fresh:
    """Add ledger and states to what is written; every record that changed takes the next position of its child's present
    post. Gives the states' rows, from which the assessment goes on."""
    district, positions = hub.district, touched.posts
    children: list[dict[str, Any]] = []
    born: list[dict[str, Any]] = []
    measurements = []
    measured = {state.key.get("child") for state in touched.states.values()}
    for subject in touched.subjects.values():
        state = touched.states.get(subject.id)
        rows = children if subject.stored else born
        if state is not None:
            rows.append(ledger.child_row(district, subject, state, positions.next(subject.post_id)))
        elif not subject.stored and subject.id in measured:
            rows.append(ledger.child_row(district, subject, None, 0))
    for state in touched.states.values():
        if state.kind == "measurement":
            subject = touched.subjects[state.key["child"]]
            row = ledger.measurement_row(district, subject, state, positions.next(subject.post_id))
            measurements.append(row)
    # never an upsert: of two posts that make one child at once, the second must run again and see the first
    writes.insert(table(Child), born)
    writes.upsert(table(Child), children)
    (writes.upsert if touched.held_before else writes.insert)(table(Measurement), measurements)
    _move(session, writes, district, touched, positions)
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
        )
        for a in new
    ]
    writes.insert(table(ChangeRow), ledger_rows)
    _index_niks(writes, hub, new, touched)
    as_stored = {subject.id: subject.row for subject in touched.subjects.values() if subject.row}
    return Fresh(
        as_stored | {row["id"]: row for row in (*born, *children)},
        {(row["child_id"], row["measured_on"].isoformat(), row["source"]): row for row in measurements},
        replacing=touched.held_before,
    )


def _move(session: Session, writes: Writes, district: str, touched: Touched, positions: Positions) -> None:
    """Carry all of a moved child into its new post's stream, and tell the old post's."""
    m = table(Measurement).c
    for child_id, old_post in touched.moved_from.items():
        post_id = touched.subjects[child_id].post_id
        keys = session.execute(
            select(m.measured_on, m.source).where(m.district == district, m.child_id == child_id)
        ).all()
        for measured_on, source in keys:
            key = {"district": district, "child_id": child_id, "measured_on": measured_on, "source": source}
            writes.set(table(Measurement), key, {"post_id": post_id, "position": positions.next(post_id)})
        left = {"district": district, "post_id": old_post, "child_id": child_id}
        writes.upsert(table(Departure), [{**left, "position": positions.next(old_post)}])
        writes.remove(table(Departure), [{**left, "post_id": post_id}])


def _index_niks(writes: Writes, hub: Hub, new: Sequence[Arrival], touched: Touched) -> None:
    """Keep the blind index of the NIKs that a child's record holds now."""
    for child_id in {a.change.record_id for a in new if a.change and "nik" in a.change.registers}:
        history = touched.histories[child_id].changes
        ever = {hub.vault.blind(nik) for c in history if (nik := c.registers.get("nik", {}).get("nik"))}
        siblings = touched.states[child_id].registers["nik"]
        present = {hub.vault.blind(nik) for s in siblings if (nik := s.value.get("nik"))}

        def keys(blinds: set[bytes], child_id: str = child_id) -> list[dict[str, Any]]:
            return [
                {"blind": blind, "district": hub.district, "child_id": child_id} for blind in sorted(blinds)
            ]

        writes.remove(table(NikIndex), keys(ever - present))
        writes.upsert(table(NikIndex), keys(present))


def _entries(
    tablet: TabletFacts, details: Mapping[str, Any], touched: Touched
) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Log the batch at its tablet's post, and tell every other post whose children it touched or moved."""
    elsewhere: dict[str, list[str]] = {}
    for subject in touched.subjects.values():
        posts = {subject.post_id, touched.moved_from.get(subject.id, subject.post_id)}
        for post_id in posts - {tablet.post_id}:
            elsewhere.setdefault(post_id, []).append(subject.id)
    told = [
        (audit.post_stream(post), "batch.elsewhere", {"children": ids}) for post, ids in elsewhere.items()
    ]
    return [*told, (audit.post_stream(tablet.post_id), "batch.accepted", details)]


def _answer(hub: Hub, tablet: TabletFacts, batch: Json, receipt: bytes, now: datetime) -> bytes:
    """Build the answer from what is committed."""
    with hub.database.reading() as session:
        given = {"district": hub.district, "post": tablet.post_id}
        incarnation, head = session.connection().execute(_stream_head(), given).one()
        # A tablet that knew another incarnation, or a stream longer than ours is, pulls again from the start.
        same = batch["incarnation"] in ("", incarnation) and batch["cursor"] <= head
        cursor = batch["cursor"] if same else 0
        pulled = pull(session, hub, tablet.post_id, cursor) if tablet.revoked_at is None else nothing(cursor)
    return orjson.dumps(
        {
            "protocol": PROTOCOL,
            "incarnation": incarnation,
            "server_time": now.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "receipt": orjson.Fragment(receipt),
            "pull": pulled,
        }
    )


@cache
def _stream_head() -> Select[*tuple[Any, ...]]:
    i, p = table(Installation).c, table(HealthPost).c
    query = select(i.incarnation, p.head_position).where(i.district == bindparam("district"))
    return query.where(p.district == i.district, p.id == bindparam("post"))


def nothing(cursor: int) -> dict[str, Any]:
    """Give the pull of a tablet that may see nothing (it was revoked)."""
    return {"cursor": cursor, "more": False, "children": [], "measurements": {}, "left": []}


def pull(session: Session, hub: Hub, post_id: str, cursor: int) -> dict[str, Any]:
    """Give what changed at a post since a position, at most `max_pull_bytes`.

    Parameters
    ----------
    cursor : the position up to which the tablet has pulled; 0 for everything

    Returns
    -------
    dict : `children` and `measurements` (by child) as wire fragments, ids of children that `left`, the next `cursor`, and
        whether there is `more`
    """
    found = _changed(session, hub, post_id, cursor)
    page: dict[str, Any] = nothing(cursor)
    room = hub.settings.max_pull_bytes
    for index, (position, kind, child_id, fragment) in enumerate(found):
        room -= len(fragment) + 48
        if room < 0 and index:
            page["more"] = True
            break
        page["cursor"] = position
        if kind == "child":
            page["children"].append(orjson.Fragment(fragment))
        elif kind == "measurement":
            page["measurements"].setdefault(child_id, []).append(orjson.Fragment(fragment))
        else:
            page["left"].append(child_id)
    else:
        page["more"] = len(found) >= PULL_ROWS
    return page


def _changed(session: Session, hub: Hub, post_id: str, cursor: int) -> list[tuple[int, str, str, bytes]]:
    """Give what follows a position in a post's stream, in order: (position, kind, child id, JSON)."""
    district = hub.district

    given = {"district": district, "post": post_id, "cursor": cursor}

    def following(model: type[Base], *names: str) -> Sequence[Any]:
        return session.connection().execute(_following(model, *names), given).all()

    found: list[tuple[int, str, str, bytes]] = []
    keys: dict[str, ChildKey] = {}
    for row in following(Child, "id", "state", "wrapped_key", "key_version"):
        if row.state is not None:
            keys[row.id] = hub.vault.child_key(row.id, row.wrapped_key, row.key_version)
            wire = ledger.read_child(district, row.id, row.state, keys[row.id])
            found.append((row.position, "child", row.id, wire))
    rows = following(Measurement, "child_id", "measured_on", "source", "state", "sealed")
    missing = {row.child_id for row in rows if row.sealed} - keys.keys()
    if missing:
        keys.update(
            {s.id: s.key for s in ledger.subjects(session, hub.vault, district, sorted(missing)).values()}
        )
    for row in rows:
        wire = row.state
        if row.sealed:
            record_id = measurement_id(row.child_id, row.measured_on.isoformat(), row.source)
            wire = ledger.read_measurement(district, record_id, row, keys[row.child_id])
        found.append((row.position, "measurement", row.child_id, wire))
    found += [(row.position, "left", row.child_id, b"") for row in following(Departure, "child_id")]
    found.sort(key=lambda item: item[0])
    return found[:PULL_ROWS]


@cache
def _following(model: type[Base], *names: str) -> Select[*tuple[Any, ...]]:
    """Select what a post's stream holds after a position, of one table."""
    c = table(model).c
    return (
        select(c.position, *(c[name] for name in names))
        .where(
            c.district == bindparam("district"),
            c.post_id == bindparam("post"),
            c.position > bindparam("cursor"),
        )
        .order_by(c.position)
        .limit(PULL_ROWS)
    )
