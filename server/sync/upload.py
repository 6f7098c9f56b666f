"""One upload and pull, start to finish.

    checked without looking at what is stored: form, signature, hashes, content of every change
    then planned on a snapshot: tablet and posts looked at -> records loaded -> folded -> rows built -> assessed -> receipt
    then, in ONE writing transaction: tablet and posts locked -> is all as it was? (else planned again) -> written, logged
    then, from what is committed: the pull

Rules kept here: a tablet's changes are taken in order and without holes; what is invalid is quarantined with every reason
and its bytes, and counts as taken; a dot held with another hash means a restored or cloned device; a receipt is built from
what was committed and given again, byte for byte, when the batch comes again.
"""

import secrets
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

from schemas import Reason, check_change, parse_envelope
from schemas.words import reason
from server import audit
from server.children import ledger
from server.children.assessment import derive
from server.context import AppContext
from server.crypto.vault import ChildKey, base64url, sha256, signature_fits
from server.database.engine import Writes, among
from server.database.models import (
    Base,
    Batch,
    ChangeRow,
    Child,
    Delivery,
    FollowUp,
    HealthPost,
    Installation,
    Measurement,
    Notice,
    PostExit,
    Tablet,
    TabletDay,
    table,
)
from server.errors import Problem
from server.sync import clock_skew, duplicate_search
from server.sync.pipeline import Arrival, LoadedRecords, PlanStale, heads_of, judge, load, save
from sync_protocol import (
    PROTOCOL,
    TAG_LENGTH,
    Item,
    Json,
    Outcome,
    Receipt,
    ReceiptStatus,
    canonical,
    chain,
    delivery_id,
    follow_up_id,
    measurement_id,
)

PULL_ROWS: Final = 6000
"""Rows looked at for one answer; the byte limit nearly always ends it sooner."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One batch as it came, checked as far as it can be without looking at what is stored. `content` is its digest."""

    batch: Json
    content: str
    arrivals: Sequence[Arrival]
    size_bytes: int
    now: datetime
    clock: datetime | None = None

    def offset_ms(self, tablet: "TabletFacts") -> int | None:
        """Say how wrong the tablet's clock is; None for a batch that was carried and may have lain in a pocket for weeks."""
        if self.batch["carried"]:
            return None
        sent_at, last = datetime.fromisoformat(self.batch["sent_at"]), tablet.last_sync_at
        return clock_skew.offset_ms(sent_at, self.now, last or tablet.enrolled_at, self.clock)


def exchange(
    hub: AppContext, message: object, *, size_bytes: int, now: datetime, clock: datetime | None = None
) -> bytes:
    """Take an upload and give the answer: receipt and what changed at the tablet's post.

    Parameters
    ----------
    message : the decoded JSON body
    size_bytes : of the body as it came, for the log
    now : aware
    clock : the tablet's as it sent the batch, if it told; aware. The batch itself may have waited for a line

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
    with hub.database.reading() as session:
        tablet, upload = _proven(session, hub, message, size_bytes, now, clock)
        plan = _planned(session, hub, upload, tablet)
    taken = _take(hub, upload, plan)
    return _answer(hub, tablet, upload.batch, taken.answer, taken.token, now)


def prove_carried(hub: AppContext, message: object, *, size_bytes: int, now: datetime) -> Upload:
    """Check that a batch that somebody carried comes from a tablet of ours and was made to be carried.

    Raises
    ------
    Problem, MalformedBatch
        as for `exchange`; `batch-not-carried` for one that the tablet meant to send itself: it would take the token's turn.
    """
    with hub.database.reading() as session:
        _, upload = _proven(session, hub, message, size_bytes, now)
    if not upload.batch["carried"]:
        raise Problem("batch-not-carried")
    return upload


def take_carried(hub: AppContext, upload: Upload) -> tuple[bytes, bool]:
    """Take a carried batch and give its receipt (JSON), and whether it was given before.

    Raises
    ------
    Problem
        `batch-id-reused`: its id stands for other content.
    """
    with hub.database.reading() as session:
        tablet = _known(_tablet(session, hub.district, upload.batch["tablet"], lock=False))
        plan = _planned(session, hub, upload, tablet)
    taken = _take(hub, upload, plan)
    return taken.answer, taken.answered_before


def foresee_carried(session: Session, hub: AppContext, upload: Upload) -> tuple[bytes, bool]:
    """Give the receipt that `take_carried` would, and whether it was given before. What would be written is written in the
    caller's transaction, so that the next batch finds it; the caller rolls back."""
    plan = _plan(session, hub, upload, _locked(session, hub, upload), lock=True)
    if not plan.answered_before:
        plan.carry_out(session, hub, upload.now)
    return plan.answer, plan.answered_before


def _proven(
    session: Session,
    hub: AppContext,
    message: object,
    size_bytes: int,
    now: datetime,
    clock: datetime | None = None,
) -> "tuple[TabletFacts, Upload]":
    """Read an upload and check that the tablet which it names has signed it."""
    envelope = parse_envelope(message)
    batch = envelope.batch
    if len(batch["changes"]) > hub.settings.max_changes:
        raise Problem("batch-too-large", limit=f"{hub.settings.max_changes} changes")
    signed = canonical(batch)
    tablet = _tablet(session, hub.district, batch["tablet"], lock=False)
    if tablet is None or batch["district"] != hub.district:
        raise Problem("tablet-unknown", tablet=batch["tablet"], district=batch["district"])
    if not signature_fits(orjson.loads(tablet.public_key), signed, envelope.signature):
        raise Problem("signature-invalid", tablet=tablet.id)
    arrivals = _arrivals(batch, hub.settings.today(now))
    return tablet, Upload(batch, base64url(sha256(signed)), arrivals, size_bytes, now, clock)


def record_refusal(hub: AppContext, code: str, tablet_id: str | None, size_bytes: int, now: datetime) -> None:
    """Log an upload that was refused as a whole."""
    with hub.database.transaction() as session:
        known = tablet_id and session.get(Tablet, (hub.district, tablet_id))
        stream = audit.post_stream(known.post_id) if isinstance(known, Tablet) else audit.OFFICE
        details = {"code": code, "size_bytes": size_bytes}
        actor = f"tablet:{known.id}" if isinstance(known, Tablet) else "tablet:unknown"
        audit.append(session, hub.district, stream, "batch.refused", actor=actor, now=now, details=details)


def _arrivals(batch: Json, today: date) -> list[Arrival]:
    """Number, hash and check the changes; whether the state allows them is asked later, under the locks."""
    links = chain(batch["tablet"], batch["first"], batch["previous"], batch["changes"])
    return [Arrival.of(link, check_change(link.wire, today=today)) for link in links]


def _take(hub: AppContext, upload: Upload, plan: "Plan | None") -> "Plan":
    """Write under the locks what was worked out on a snapshot, if what it was worked out from still stands there; else work
    it out again under the locks. So the locks are held for the writing alone, and tablets of different posts seldom wait
    for one another's computing."""
    for attempt in range(4):
        if plan is not None and plan.answered_before:
            return plan
        try:
            with hub.database.transaction() as session:
                if plan is None or not plan.still_stands(session, hub.district):
                    plan = _plan(session, hub, upload, _locked(session, hub, upload), lock=True)
                plan.carry_out(session, hub, upload.now)
                return plan
        except (IntegrityError, OperationalError, PlanStale):
            if attempt == 3:
                raise
        # another was faster: two tablets that make one record, say
        with hub.database.reading() as session:
            tablet = _known(_tablet(session, hub.district, upload.batch["tablet"], lock=False))
            plan = _planned(session, hub, upload, tablet)
    raise AssertionError("unreachable")


def _locked(session: Session, hub: AppContext, upload: Upload) -> "TabletFacts":
    return _known(_tablet(session, hub.district, upload.batch["tablet"], lock=True))


def _planned(session: Session, hub: AppContext, upload: Upload, tablet: "TabletFacts") -> "Plan | None":
    """Work out an upload on a snapshot; None if a child moved while it was looked at."""
    try:
        return _plan(session, hub, upload, tablet, lock=False)
    except PlanStale:
        return None


@dataclass(slots=True)
class Plan:
    """What is to be written of an upload and what is answered, and what that was worked out from.

    `token` is what the tablet must bring back with its next batch. `basis` is the tablet's row as far as it matters;
    `heads` the streams' ends of all posts concerned. Everything that changes a child's records or what is derived from them
    moves its post's stream on, so equal ends mean that nothing has changed.
    """

    tablet_id: str
    basis: tuple[Any, ...]
    heads: Mapping[str, int]
    answer: bytes
    token: str
    answered_before: bool = False
    writes: Writes = field(default_factory=Writes)
    entries: list[tuple[str, str, Mapping[str, Any]]] = field(default_factory=list)

    def still_stands(self, session: Session, district: str) -> bool:
        """Lock the tablet and the posts, and say whether they are as they were."""
        tablet = _known(_tablet(session, district, self.tablet_id, lock=True))
        given = {"district": district, "posts": list(self.heads), "children": []}
        return tablet.basis == self.basis and heads_of(session, given, lock=True) == self.heads

    def carry_out(self, session: Session, hub: AppContext, now: datetime) -> None:
        """Write everything, and log it."""
        self.writes.apply(session)
        for stream, action, details in sorted(self.entries, key=lambda entry: entry[0]):
            actor = f"tablet:{self.tablet_id}"
            audit.append(session, hub.district, stream, action, actor=actor, now=now, details=details)


class TabletFacts(NamedTuple):
    """What of a tablet's row an upload depends on."""

    id: str
    post_id: str
    public_key: str
    taken: int
    chain_hash: str
    revoked_at: datetime | None
    head_counter: int
    token: str
    token_before: str
    token_batch: str | None
    split_at: datetime | None
    enrolled_at: datetime
    last_sync_at: datetime | None
    clock_offset_ms: int | None
    incarnation: str

    @property
    def basis(self) -> tuple[Any, ...]:
        """What an upload is worked out from."""
        closed = self.revoked_at is not None, self.split_at is not None
        return self.taken, self.chain_hash, self.token, closed, self.incarnation

    def owns(self, batch: Json) -> bool:
        """Say whether a batch brings back the token that was handed out last, or is that very batch again, its answer lost.

        Who brings another shares this enrolment with a second device, or was restored from a copy. A tablet that knew the
        server before it was restored cannot have the token; the counters tell all there is to tell.
        """
        if batch["incarnation"] not in ("", self.incarnation):
            return True
        again = batch["batch"] == self.token_batch and batch["token"] == self.token_before
        return bool(again or batch["token"] == self.token)


def _tablet(session: Session, district: str, tablet_id: str, *, lock: bool) -> TabletFacts | None:
    row = (
        session.connection()
        .execute(_one_tablet(lock=lock), {"district": district, "tablet": tablet_id})
        .first()
    )
    return TabletFacts._make(row) if row else None


@cache
def _one_tablet(*, lock: bool) -> Select[*tuple[Any, ...]]:
    c, installation = table(Tablet).c, table(Installation).c
    columns = [c[name] for name in TabletFacts._fields if name != "incarnation"]
    query = select(*columns, installation.incarnation).where(
        c.district == bindparam("district"),
        c.id == bindparam("tablet"),
        installation.district == c.district,
    )
    return query.with_for_update(of=table(Tablet)) if lock else query


def _known(tablet: TabletFacts | None) -> TabletFacts:
    if tablet is None:  # tablets are never deleted: this one was there a moment ago
        raise LookupError("the tablet's row is gone")
    return tablet


def _plan(session: Session, hub: AppContext, upload: Upload, tablet: TabletFacts, *, lock: bool) -> Plan:
    """Work out what becomes of an upload; only reads (and, asked to, locks)."""
    district, batch = hub.district, upload.batch
    arrivals = [a.unjudged() for a in upload.arrivals]
    given = {"district": district, "tablet": tablet.id, "batch": batch["batch"]}
    stored = session.connection().execute(_stored_batch(), given).one_or_none()
    if stored is not None:
        if stored.digest != upload.content:
            raise Problem("batch-id-reused", batch=batch["batch"])
        token = tablet.token if tablet.token_batch == batch["batch"] else ""
        return Plan(tablet.id, tablet.basis, {}, stored.receipt, token, answered_before=True)
    if (
        hub.settings.too_old(batch["app"]) and not batch["carried"]
    ):  # who sends by others sees no line to be renewed by
        raise Problem("app-too-old", app=batch["app"], oldest=hub.settings.oldest_app)
    status = _continuity(session, district, tablet, batch, arrivals)
    if status is not ReceiptStatus.ACCEPTED:
        return _turned_back(hub, tablet, upload, status)
    new = arrivals[max(tablet.taken + 1 - batch["first"], 0) :]
    if tablet.revoked_at is not None:
        for arrival in new:
            arrival.reasons = [reason("", "tablet-revoked", None)]
    _doubt_days(hub, new, upload.offset_ms(tablet))
    heads, touched = load(session, hub, tablet.post_id, new, upload.now, lock=lock)
    judge(new, touched)
    receipt = Receipt(
        batch["batch"],
        ReceiptStatus.ACCEPTED,
        max(batch["first"] + len(arrivals), tablet.taken + 1),
        tuple(Item(a.link.dot.counter, a.outcome, [r.wire() for r in a.reasons]) for a in arrivals),
    )
    plan = Plan(tablet.id, tablet.basis, heads, orjson.dumps(receipt.wire()), _next_token(tablet, batch))
    fresh = save(session, plan.writes, hub, batch["batch"], new, touched, upload.now)
    found = duplicate_search.search(session, hub, plan.writes, touched, new, fresh, upload.now, lock=lock)
    plan.heads = {**heads, **found.heads}
    derive(session, hub, [*touched.subjects, *found.others], upload.now, plan.writes, found.fresh)
    _close(plan, hub, tablet, upload, new, touched)
    if not batch["carried"]:
        _tell_of_clock(session, plan, hub, tablet, upload)
    return plan


def _doubt_days(hub: AppContext, new: Sequence[Arrival], offset_ms: int | None) -> None:
    """Note which changes take a day from a clock that is wrong, and by how many days it moved that."""
    if offset_ms is None or abs(offset_ms) <= clock_skew.NEGLIGIBLE_MS:
        return
    for arrival in new:
        if arrival.change is not None:
            at = arrival.link.wire["recorded_at"]
            arrival.clock_days = clock_skew.moved_days(arrival.change, at, offset_ms, hub.settings.today)


def _tell_of_clock(
    session: Session, plan: Plan, hub: AppContext, tablet: TabletFacts, upload: Upload
) -> None:
    """Raise a notice for a tablet whose clock is wrong, and take it down when it is right again."""
    offset_ms = upload.offset_ms(tablet) or 0
    key = {"district": hub.district, "kind": "clock-wrong", "subject": tablet.id}
    if abs(offset_ms) > clock_skew.WRONG_MS:
        known = session.get(Notice, tuple(key.values()))  # it keeps the moment at which it was first raised
        details = orjson.dumps({"post": tablet.post_id, "offset_ms": offset_ms}).decode()
        raised_at = known.raised_at if known else upload.now
        plan.writes.upsert(table(Notice), [{**key, "details": details, "raised_at": raised_at}])
    elif abs(tablet.clock_offset_ms or 0) > clock_skew.WRONG_MS:
        plan.writes.remove(table(Notice), [key])


@cache
def _stored_batch() -> Select[*tuple[Any, ...]]:
    c = table(Batch).c
    whose = (c.district == bindparam("district"), c.tablet_id == bindparam("tablet"))
    return select(c.digest, c.receipt).where(*whose, c.batch_id == bindparam("batch"))


def _close(
    plan: Plan,
    hub: AppContext,
    tablet: TabletFacts,
    upload: Upload,
    new: Sequence[Arrival],
    touched: LoadedRecords,
) -> None:
    """Add what is written of the upload itself: how far the tablet's chain is held, the batch with its receipt, the log."""
    batch, offset_ms = upload.batch, upload.offset_ms(tablet)
    counts = Counter(item[1] for item in orjson.loads(plan.answer)["items"])
    heard: dict[str, Any] = _handed_out(tablet, batch, plan.token)
    if not batch["carried"]:  # which may have lain in a pocket for weeks
        heard |= {"last_sync_at": upload.now, "clock_offset_ms": offset_ms, "app": batch["app"]}
    if batch["head"][0] >= tablet.head_counter:
        heard["head_counter"] = batch["head"][0]
        days = [
            {
                "district": hub.district,
                "tablet_id": tablet.id,
                "measured_on": date.fromisoformat(day),
                "measured": count,
                "told_at": upload.now,
            }
            for day, count in batch["tally"].items()
        ]
        plan.writes.upsert(table(TabletDay), days)
    if new:
        heard |= {"taken": new[-1].link.dot.counter, "chain_hash": new[-1].link.hash}
    if heard:
        plan.writes.set(table(Tablet), {"district": hub.district, "id": tablet.id}, heard)
    _keep(plan, hub, tablet, upload, counts)
    details = {
        "batch": batch["batch"],
        "first": batch["first"],
        "received": len(upload.arrivals),
        "outcomes": dict(counts),
        "clock_offset_ms": offset_ms,
        **({"carried": True} if batch["carried"] else {}),
        **({"chain": [new[-1].link.dot.counter, new[-1].link.hash]} if new else {}),  # server.audit.anchors
    }
    plan.entries = _entries(tablet, details, touched)


def _keep(
    plan: Plan, hub: AppContext, tablet: TabletFacts, upload: Upload, counts: Mapping[str, int]
) -> None:
    """Store a batch with its receipt, one without changes too: a copy that comes late must not look like a second device."""
    row = {
        "district": hub.district,
        "tablet_id": tablet.id,
        "batch_id": upload.batch["batch"],
        "digest": upload.content,
        "receipt": plan.answer,
        "outcomes": orjson.dumps(counts).decode(),
        "sent_at": upload.batch["sent_at"],
        "received_at": upload.now,
        "clock_offset_ms": upload.offset_ms(tablet),
        "size_bytes": upload.size_bytes,
    }
    plan.writes.insert(table(Batch), [row])


def _next_token(tablet: TabletFacts, batch: Json) -> str:
    """Make the token that the tablet must bring back: the same one for the same batch, which may be here twice at once. A
    batch that somebody carries has no part in this."""
    unchanged = batch["carried"] or batch["batch"] == tablet.token_batch
    return tablet.token if unchanged else secrets.token_urlsafe(12)


def _handed_out(tablet: TabletFacts, batch: Json, token: str) -> dict[str, Any]:
    if token == tablet.token:
        return {}
    return {"token": token, "token_before": tablet.token, "token_batch": batch["batch"]}


def _continuity(
    session: Session, district: str, tablet: TabletFacts, batch: Json, arrivals: Sequence[Arrival]
) -> ReceiptStatus:
    """Say whether the batch goes on from where the server holds this tablet's chain, or overlaps it truly."""
    head_counter, head_tag = batch["head"]
    if tablet.split_at is not None:
        return ReceiptStatus.NEW_EPOCH_REQUIRED
    if not batch["carried"] and (head_counter < tablet.taken or not tablet.owns(batch)):
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


def _turned_back(hub: AppContext, tablet: TabletFacts, upload: Upload, status: ReceiptStatus) -> Plan:
    """Answer `gap` or `new_epoch_required`: nothing of the batch is stored but the log's entry (and an alert)."""
    district, batch, now = hub.district, upload.batch, upload.now
    receipt = Receipt(batch["batch"], status, tablet.taken + 1)
    split = status is ReceiptStatus.NEW_EPOCH_REQUIRED
    token = "" if split else _next_token(tablet, batch)
    plan = Plan(tablet.id, tablet.basis, {}, orjson.dumps(receipt.wire()), token)
    key = {"district": district, "id": tablet.id}
    if split and tablet.split_at is None:
        plan.writes.set(table(Tablet), key, {"split_at": now})
    elif token != tablet.token:
        plan.writes.set(table(Tablet), key, _handed_out(tablet, batch, token))
    if split:
        notice = {"held": tablet.taken, "head": batch["head"][0], "first": batch["first"]}
        row = {"kind": "tablet-cloned-or-restored", "subject": tablet.id, "raised_at": now}
        row |= {"district": district, "details": orjson.dumps(notice).decode()}
        plan.writes.upsert(table(Notice), [row])
        # this enrolment is closed: its clock is the next one's affair
        plan.writes.remove(
            table(Notice), [{"district": district, "kind": "clock-wrong", "subject": tablet.id}]
        )
    details = {
        "batch": batch["batch"],
        "first": batch["first"],
        "head": batch["head"][0],
        "taken": tablet.taken,
    }
    plan.entries = [(audit.post_stream(tablet.post_id), f"batch.{status.value}", details)]
    return plan


def _entries(
    tablet: TabletFacts, details: Mapping[str, Any], touched: LoadedRecords
) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Log the batch at its tablet's post, and tell every other post whose children it touched or moved."""
    elsewhere = touched.posts_told()
    told = [
        (audit.post_stream(post), "batch.elsewhere", {"children": ids})
        for post, ids in elsewhere.items()
        if post != tablet.post_id
    ]
    return [*told, (audit.post_stream(tablet.post_id), "batch.accepted", details)]


def _answer(
    hub: AppContext, tablet: TabletFacts, batch: Json, receipt: bytes, token: str, now: datetime
) -> bytes:
    """Build the answer from what is committed."""
    with hub.database.reading() as session:
        given = {"district": hub.district, "post": tablet.post_id}
        incarnation, head = session.connection().execute(_stream_head(), given).one()
        # A tablet that knew another incarnation, or a stream longer than ours is, pulls again from the start.
        same = batch["incarnation"] in ("", incarnation) and batch["cursor"] <= head
        cursor = batch["cursor"] if same else 0
        may_see = tablet.revoked_at is None and not batch["carried"]
        pulled = pull(session, hub, tablet.post_id, cursor) if may_see else nothing(cursor)
    return orjson.dumps(
        {
            "protocol": PROTOCOL,
            "incarnation": incarnation,
            "token": token,
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
    return {
        "cursor": cursor,
        "more": False,
        "children": [],
        "measurements": {},
        "follow_ups": {},
        "deliveries": {},
        "left": [],
    }


def pull(session: Session, hub: AppContext, post_id: str, cursor: int) -> dict[str, Any]:
    """Give what changed at a post since a position, at most `max_pull_bytes`.

    Parameters
    ----------
    cursor : the position up to which the tablet has pulled; 0 for everything

    Returns
    -------
    dict : `children`, `measurements`, `follow_ups` and `deliveries` (these by child) as wire fragments, ids of children
        that `left`, of whom those whose persons were `erased` (left out if nobody was), the next `cursor`, and whether
        there is `more`
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
        elif kind in ("left", "erased"):
            page["left"].append(child_id)
            if kind == "erased":
                page.setdefault("erased", []).append(child_id)
        else:
            page[_BY_CHILD[kind]].setdefault(child_id, []).append(orjson.Fragment(fragment))
    else:
        page["more"] = len(found) >= PULL_ROWS
    return page


_BY_CHILD: Final = {"measurement": "measurements", "follow_up": "follow_ups", "delivery": "deliveries"}


def _changed(
    session: Session, hub: AppContext, post_id: str, cursor: int
) -> list[tuple[int, str, str, bytes]]:
    """Give what follows a position in a post's stream, in order: (position, kind, child id, JSON)."""
    district = hub.district

    given = {"district": district, "post": post_id, "cursor": cursor}

    def following(model: type[Base], *names: str) -> Sequence[Any]:
        return session.connection().execute(_following(model, *names), given).all()

    found: list[tuple[int, str, str, bytes]] = []
    keys: dict[str, ChildKey] = {}
    gone: dict[str, str] = {}
    """Who is here, but not for tablets: "erased", or "left" while a parent has it restricted."""
    for row in following(Child, "id", "state", "wrapped_key", "key_version", "restricted_at"):
        if row.wrapped_key is None or row.restricted_at is not None:
            gone[row.id] = "erased" if row.wrapped_key is None else "left"
            found.append((row.position, gone[row.id], row.id, b""))
        elif row.state is not None:
            keys[row.id] = hub.vault.child_key(row.id, row.wrapped_key, row.key_version)
            wire = ledger.read_child(district, row.id, row.state, keys[row.id])
            found.append((row.position, "child", row.id, wire))
    measured = following(Measurement, "child_id", "measured_on", "source", "state", "sealed")
    followed = following(FollowUp, "child_id", "task", "state", "sealed")
    aided = following(Delivery, "child_id", "delivery", "state", "sealed")
    missing = {row.child_id for row in (*measured, *followed, *aided) if row.sealed} - keys.keys()
    if missing:
        keys.update(
            {s.id: s.key for s in ledger.subjects(session, hub.vault, district, sorted(missing)).values()}
        )
    for row in measured:
        wire = row.state
        if row.sealed:
            record_id = measurement_id(row.child_id, row.measured_on.isoformat(), row.source)
            wire = ledger.read_measurement(district, record_id, row, keys[row.child_id])
        found.append((row.position, "measurement", row.child_id, wire))
    for row in followed:
        wire = row.state
        if row.sealed:
            record_id = follow_up_id(row.child_id, row.task)
            wire = ledger.read_keyed(district, "follow_up", record_id, row, keys[row.child_id])
        found.append((row.position, "follow_up", row.child_id, wire))
    for row in aided:
        wire = row.state
        if row.sealed:
            record_id = delivery_id(row.child_id, row.delivery)
            wire = ledger.read_keyed(district, "delivery", record_id, row, keys[row.child_id])
        found.append((row.position, "delivery", row.child_id, wire))
    departed = following(PostExit, "child_id")
    erased = _erased(session, district, [row.child_id for row in departed])
    found += [
        (row.position, "erased" if row.child_id in erased else "left", row.child_id, b"") for row in departed
    ]
    found.sort(key=lambda item: item[0])
    return found[:PULL_ROWS]


def _erased(session: Session, district: str, child_ids: Sequence[str]) -> set[str]:
    """Say which children's persons were erased."""
    if not child_ids:
        return set()
    given = {"district": district, "among": list(child_ids)}
    return set(session.connection().execute(_without_key(), given).scalars())


@cache
def _without_key() -> Select[*tuple[Any, ...]]:
    c = table(Child).c
    return select(c.id).where(c.district == bindparam("district"), among(c.id), c.wrapped_key.is_(None))


@cache
def _following(model: type[Base], *names: str) -> Select[*tuple[Any, ...]]:
    """Select what a post's stream holds after a position, of one table; of children who are not for tablets, only that."""
    c, child = table(model).c, table(Child).c
    shown: list[Any] = []
    if model in (Measurement, FollowUp, Delivery):
        hidden = select(child.id).where(
            child.district == bindparam("district"),
            child.post_id == bindparam("post"),
            child.restricted_at.is_not(None),
        )
        shown = [c.child_id.not_in(hidden), c.sealed != ledger.ERASED]
    return (
        select(c.position, *(c[name] for name in names))
        .where(
            c.district == bindparam("district"),
            c.post_id == bindparam("post"),
            c.position > bindparam("cursor"),
            *shown,
        )
        .order_by(c.position)
        .limit(PULL_ROWS)
    )
