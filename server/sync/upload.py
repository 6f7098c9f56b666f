"""One upload and its answer, start to finish.

    checked without reading what is stored: form, signature, hashes, content of every change
    planned on a snapshot: the tablet's row -> repeat or gap? -> pipeline -> receipt
    in ONE writing transaction: tablet and posts locked -> still as they were? (else planned again) -> written, logged
    answered from what is committed: receipt and pull

Rules kept here: an invalid change is quarantined with every reason and its bytes, and counts as taken; a receipt is built
from what is committed, and given again, byte for byte, when the batch arrives again (after an erasure without its reasons).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache
from typing import Any, cast

import orjson
from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from schemas import check_tablet_change, parse_envelope, read_moment, tally_of
from schemas.batch import MalformedBatch, inexact_numbers
from schemas.words import reason
from server import audit
from server.context import AppContext
from server.crypto.vault import base64url, sha256, signature_fits
from server.database import row_macs
from server.database.models import Batch, HealthPost, Installation, Notice, Tablet, TabletDay, table
from server.database.writes import Writes
from server.errors import Problem
from server.sync import clock_skew, post_pages, pull
from server.sync.loading import Arrival, PlanStale
from server.sync.pipeline import ChangePlan, plan_changes
from server.sync.receipts import IssuedReceipt
from server.sync.refusals import ProvenRefusal, is_logged, log_once
from server.sync.retrying import retrying
from server.sync.tablet_chain import (
    TabletFacts,
    continuity,
    find_tablet,
    held_again,
    is_outdated,
    known_tablet,
    repeated_item,
)
from sync_protocol import PROTOCOL, Item, Json, Link, Receipt, ReceiptStatus, canonical, chain

LogEntry = tuple[str, str, Mapping[str, Any]]
"""(stream, action, details)."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One batch as it arrived, checked as far as it can be without reading what is stored.

    Parameters
    ----------
    content : digest of the batch
    clock : the tablet's clock when it sent the batch, if sent
    """

    batch: Json
    content: str
    arrivals: Sequence[Arrival]
    size_bytes: int
    now: datetime
    clock: datetime | None = None

    def offset_ms(self, tablet: TabletFacts, *, outdated: bool) -> int | None:
        """Return how wrong the tablet's clock is; None for a carried batch, which may be weeks old. Of an outdated one only
        this is sure: it was made after the enrolment."""
        if self.batch["carried"]:
            return None
        sent_at, last = read_moment(self.batch["sent_at"]), tablet.last_sync_at
        after = tablet.enrolled_at if outdated else last or tablet.enrolled_at
        return clock_skew.offset_ms(sent_at, self.now, after, None if outdated else self.clock)


def exchange(
    hub: AppContext,
    message: object,
    *,
    size_bytes: int,
    now: datetime,
    clock: datetime | None = None,
    wanted: pull.Wanted = pull.EVERYTHING,
) -> bytes:
    """Take an upload and return the answer: receipt and what changed at the tablet's post.

    Parameters
    ----------
    message : the decoded JSON body
    size_bytes : of the body as it arrived, for the log
    now : aware
    clock : the tablet's clock when it sent the batch, if sent; aware. The batch itself may have waited for a connection
    wanted : of the pull

    Returns
    -------
    bytes : the JSON answer

    Raises
    ------
    Problem
        The whole request is refused and nothing of it is stored; the caller logs it (`refusals.log_refusal`).
        `ProvenRefusal` if its tablet has signed it.
    MalformedBatch
        Likewise; the schema's reasons name each field.
    """
    with hub.database.reading() as session:
        tablet, upload = _proven(session, hub, message, size_bytes, now, clock)
        plan = _planned(session, hub, upload, tablet)
    taken = _take(hub, upload, plan)
    return _answer(hub, upload.batch, taken, now, wanted)


def prove_carried(hub: AppContext, message: object, *, size_bytes: int, now: datetime) -> Upload:
    """Check that a carried batch comes from a tablet of ours and was made to be carried.

    Raises
    ------
    Problem, MalformedBatch
        As for `exchange`; `batch-not-carried` for a batch that the tablet meant to send itself, which uses up a token.
    """
    with hub.database.reading() as session:
        _, upload = _proven(session, hub, message, size_bytes, now)
    if not upload.batch["carried"]:
        raise Problem("batch-not-carried")
    return upload


def take_carried(hub: AppContext, upload: Upload) -> IssuedReceipt:
    """Take a carried batch and return its receipt.

    Raises
    ------
    ProvenRefusal
        `batch-id-reused`: its id was used for other content.
    """
    with hub.database.reading() as session:
        plan = _planned(session, hub, upload, _tablet_of(session, hub, upload, lock=False))
    return _take(hub, upload, plan).receipt


def foresee_carried(session: Session, hub: AppContext, upload: Upload) -> IssuedReceipt:
    """Return the receipt that `take_carried` would give. Everything is written in the caller's transaction, so that the next
    batch finds it; the caller rolls back."""
    plan = _plan(session, hub, upload, _tablet_of(session, hub, upload, lock=True), lock=True)
    plan.carry_out(session, hub, upload.now)
    return plan.receipt


# -- checking -------------------------------------------------------------------------------------


def _proven(
    session: Session,
    hub: AppContext,
    message: object,
    size_bytes: int,
    now: datetime,
    clock: datetime | None = None,
) -> tuple[TabletFacts, Upload]:
    """Read an upload and check that the tablet which it names has signed it."""
    envelope = parse_envelope(message)
    batch = envelope.batch
    if len(batch["changes"]) > hub.settings.max_changes:
        raise Problem("batch-too-large", limit=f"{hub.settings.max_changes} changes")
    signed = canonical(batch)
    tablet = find_tablet(session, hub.district, batch["tablet"], lock=False)
    if tablet is None or batch["district"] != hub.district:
        raise Problem("tablet-unknown", tablet=batch["tablet"], district=batch["district"])
    if not signature_fits(orjson.loads(tablet.public_key), signed, envelope.signature):
        raise _unsigned(tablet, batch)
    arrivals = _arrivals(batch, hub.settings.today(now))
    return tablet, Upload(batch, base64url(sha256(signed)), arrivals, size_bytes, now, clock)


def _unsigned(tablet: TabletFacts, batch: Json) -> Exception:
    """Say why a signature does not fit: of a number without exact digits the client may have signed others."""
    inexact = inexact_numbers(batch)
    return (
        MalformedBatch("batch-malformed", inexact)
        if inexact
        else Problem("signature-invalid", tablet=tablet.id)
    )


def _arrivals(batch: Json, today: date) -> list[Arrival]:
    """Number, hash and check the changes; whether the stored state allows them is asked later, in the pipeline."""
    links = chain(batch["tablet"], batch["first"], batch["previous"], batch["changes"])
    return [Arrival.of(link, check_tablet_change(link.wire, today=today)) for link in links]


def _tablet_of(session: Session, hub: AppContext, upload: Upload, *, lock: bool) -> TabletFacts:
    return known_tablet(session, hub.district, upload.batch["tablet"], lock=lock)


# -- planning -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UploadPlan:
    """What is to be written of an upload and what is answered, and what that was worked out from.

    Parameters
    ----------
    tablet : its row, as it was; `TabletFacts.basis` names the columns that must still be the same when the plan is written
    changes : the plan of its changes; its `writes` hold the rows of the upload itself, too
    token : what the tablet must bring with its next batch
    outdated : the batch was made before the server was restored (`tablet_chain`)
    entries : of the log. Without any, nothing is written
    """

    tablet: TabletFacts
    changes: ChangePlan
    receipt: IssuedReceipt
    token: str
    outdated: bool
    entries: Sequence[LogEntry] = ()

    def still_stands(self, session: Session, district: str) -> bool:
        """Lock the tablet and the posts, and say whether nothing has changed that the plan depends on: the tablet's `basis`,
        and the heads of the posts' streams."""
        tablet = known_tablet(session, district, self.tablet.id, lock=True)
        return tablet.basis == self.tablet.basis and self.changes.still_stands(session, district)

    def carry_out(self, session: Session, hub: AppContext, now: datetime) -> None:
        """Write everything, and log it."""
        self.changes.writes.apply(session)
        actor = f"tablet:{self.tablet.id}"
        for stream, action, details in sorted(self.entries, key=lambda entry: entry[0]):
            audit.append(session, hub.district, stream, action, actor=actor, now=now, details=details)


def _planned(session: Session, hub: AppContext, upload: Upload, tablet: TabletFacts) -> UploadPlan | None:
    """Plan an upload on a snapshot; None if a child moved while it was read."""
    try:
        return _plan(session, hub, upload, tablet, lock=False)
    except PlanStale:
        return None


def _plan(
    session: Session, hub: AppContext, upload: Upload, tablet: TabletFacts, *, lock: bool
) -> UploadPlan:
    """Work out what becomes of an upload; only reads (and, asked to, locks)."""
    if (before := _answered_before(session, hub, upload, tablet)) is not None:
        return before
    batch = upload.batch
    if hub.settings.too_old(batch["app"]) and not batch["carried"]:  # a carried batch brings no update back
        raise ProvenRefusal(tablet, "app-too-old", app=batch["app"], oldest=hub.settings.oldest_app)
    outdated = is_outdated(session, hub.district, tablet, batch)
    held = held_again(session, hub.district, tablet, batch, upload.arrivals)
    status = continuity(tablet, batch, upload.arrivals, held, outdated=outdated)
    if status is not ReceiptStatus.ACCEPTED:
        return _turned_back(session, hub, tablet, upload, status, outdated=outdated)
    return _accepted(session, hub, upload, tablet, held, outdated=outdated, lock=lock)


def _answered_before(
    session: Session, hub: AppContext, upload: Upload, tablet: TabletFacts
) -> UploadPlan | None:
    """Return a plan that writes nothing and gives the stored receipt again, byte for byte; None for a batch whose id is not
    stored. The pull is not stored: it is made anew. The token is the newest if this batch got it, else "".

    Raises
    ------
    ProvenRefusal
        `batch-id-reused`: this tablet used the id for a batch with other content (canonical bytes).
    """
    batch_id = upload.batch["batch"]
    given = {"district": hub.district, "tablet": tablet.id, "batch": batch_id}
    stored = session.connection().execute(_stored_batch(), given).one_or_none()
    if stored is None:
        return None
    if stored.digest != upload.content:
        raise ProvenRefusal(tablet, "batch-id-reused", batch=batch_id)
    outcomes = orjson.loads(stored.outcomes)
    receipt = IssuedReceipt.given_again(session, hub, tablet.id, stored.receipt, outcomes)
    outdated = is_outdated(session, hub.district, tablet, upload.batch)
    token = tablet.token if outdated or tablet.token_batch == batch_id else ""
    return UploadPlan(tablet, ChangePlan.empty(), receipt, token, outdated)


@cache
def _stored_batch() -> Select[*tuple[Any, ...]]:
    c = table(Batch).c
    mine = (c.district == bindparam("district"), c.tablet_id == bindparam("tablet"))
    return select(c.digest, c.receipt, c.outcomes).where(*mine, c.batch_id == bindparam("batch"))


def _accepted(
    session: Session,
    hub: AppContext,
    upload: Upload,
    tablet: TabletFacts,
    held: Mapping[int, Any],
    *,
    outdated: bool,
    lock: bool,
) -> UploadPlan:
    """Plan a batch that continues the tablet's chain; `held` is what it repeats."""
    batch = upload.batch
    offset_ms = upload.offset_ms(tablet, outdated=outdated)
    repeated = max(tablet.last_counter + 1 - batch["first"], 0)
    new = _examined(hub, upload.arrivals[repeated:], tablet, offset_ms)
    changes = plan_changes(
        session,
        hub,
        tablet.post_id,
        new,
        upload.now,
        batch_id=batch["batch"],
        all_or_none=False,
        scope=tablet.posts,
        lock=lock,
    )
    items = [repeated_item(arrival, held, hub) for arrival in upload.arrivals[:repeated]]
    items += [
        Item(one.link.dot.counter, one.outcome, [r.wire() for r in one.reasons]) for one in changes.judged
    ]
    wanted = max(batch["first"] + len(upload.arrivals), tablet.last_counter + 1)
    receipt = IssuedReceipt.of(Receipt(batch["batch"], ReceiptStatus.ACCEPTED, wanted, tuple(items)))
    newest = new[-1].link if new else None
    offset_ms = None if outdated else offset_ms  # says nothing of the clock as it is now
    token = tablet.next_token(batch, outdated=outdated)
    _save_tablet(changes.writes, hub, tablet, upload, newest, token, offset_ms)
    _save_batch(changes.writes, hub, tablet, upload, receipt, offset_ms)
    if offset_ms is not None:
        _save_clock_notice(session, changes.writes, hub, tablet, upload.now, offset_ms)
    entries = _entries(tablet, upload, changes, receipt, newest, offset_ms)
    return UploadPlan(tablet, changes, receipt, token, outdated, entries)


def _examined(
    hub: AppContext, new: Sequence[Arrival], tablet: TabletFacts, offset_ms: int | None
) -> list[Arrival]:
    """Add what the tablet's row says of its changes: that it was revoked, and days named by a clock that is wrong."""
    if tablet.revoked_at is not None:
        new = [replace(arrival, reasons=[reason("", "tablet-revoked", None)]) for arrival in new]
    if offset_ms is not None and abs(offset_ms) > clock_skew.NEGLIGIBLE_MS:
        new = [replace(arrival, clock_days=_clock_days(hub, arrival, offset_ms)) for arrival in new]
    return list(new)


def _clock_days(hub: AppContext, arrival: Arrival, offset_ms: int) -> int:
    if arrival.change is None:
        return 0
    at = arrival.link.wire["recorded_at"]
    return clock_skew.moved_days(arrival.change, at, offset_ms, hub.settings.today)


def _turned_back(
    session: Session,
    hub: AppContext,
    tablet: TabletFacts,
    upload: Upload,
    status: ReceiptStatus,
    *,
    outdated: bool,
) -> UploadPlan:
    """Answer `gap` or `new_epoch_required`: nothing of the batch is stored but a log entry (and an alert), and not even that
    if nothing changes and the same was logged within the hour: a carrier may bring a letter without end."""
    batch, changes = upload.batch, ChangePlan.empty()
    receipt = IssuedReceipt.of(Receipt(batch["batch"], status, tablet.last_counter + 1))
    split = status is ReceiptStatus.NEW_EPOCH_REQUIRED
    token = "" if split else tablet.next_token(batch, outdated=outdated)
    key = {"district": hub.district, "id": tablet.id}
    if split and tablet.closed_at is None:
        changes.writes.set(table(Tablet), key, tablet.closed_columns(session, upload.now))
    elif not split and token != tablet.token:
        changes.writes.set(table(Tablet), key, tablet.token_columns(batch, token))
    elif is_logged(session, hub, tablet, status.value, upload.now):
        return UploadPlan(tablet, changes, receipt, token, outdated)
    else:
        log_once(changes.writes, hub, tablet, status.value, upload.now)
    if split:
        _save_split_notice(changes.writes, hub, tablet, upload)
    details = {
        "batch": batch["batch"],
        "first": batch["first"],
        "head": batch["head"][0],
        "taken": tablet.last_counter,
    }
    entry = (audit.post_stream(tablet.post_id), f"batch.{status.value}", details)
    return UploadPlan(tablet, changes, receipt, token, outdated, [entry])


# -- rows and log entries of the upload itself ----------------------------------------------------


def _save_tablet(
    writes: Writes,
    hub: AppContext,
    tablet: TabletFacts,
    upload: Upload,
    newest: Link | None,
    token: str,
    offset_ms: int | None,
) -> None:
    """Save how far the tablet's chain is held (`newest`), the token, and what the batch says of the tablet itself."""
    batch = upload.batch
    columns: dict[str, Any] = tablet.token_columns(batch, token)
    if offset_ms is not None:  # a carried or outdated batch may be weeks old
        columns |= {"last_sync_at": upload.now, "clock_offset_ms": offset_ms, "app": batch["app"]}
    if batch["head"][0] >= tablet.head_counter:
        columns["head_counter"] = batch["head"][0]
        days = [
            {
                "district": hub.district,
                "tablet_id": tablet.id,
                "measured_on": date.fromisoformat(day),
                "measured": count,
                "reported_at": upload.now,
            }
            for day, count in tally_of(batch)[0].items()
        ]
        writes.upsert(table(TabletDay), days)
    if newest:
        columns |= {"last_counter": newest.dot.counter, "chain_hash": newest.hash}
    if columns:
        writes.set(table(Tablet), {"district": hub.district, "id": tablet.id}, columns)


def _save_batch(
    writes: Writes,
    hub: AppContext,
    tablet: TabletFacts,
    upload: Upload,
    receipt: IssuedReceipt,
    offset_ms: int | None,
) -> None:
    """Save the batch with its receipt, even one without changes: a late copy must not look like a second device."""
    row = {
        "district": hub.district,
        "tablet_id": tablet.id,
        "batch_id": upload.batch["batch"],
        "digest": upload.content,
        "receipt": receipt.kept,
        "outcomes": orjson.dumps(receipt.outcomes).decode(),
        "sent_at": upload.batch["sent_at"],
        "received_at": upload.now,
        "clock_offset_ms": offset_ms,
        "size_bytes": upload.size_bytes,
    }
    writes.insert(table(Batch), [row])


def _save_clock_notice(
    session: Session, writes: Writes, hub: AppContext, tablet: TabletFacts, now: datetime, offset_ms: int
) -> None:
    """Raise a notice for a tablet whose clock is wrong, and remove it when the clock is right again."""
    key = {"district": hub.district, "kind": "clock-wrong", "subject": tablet.id}
    if abs(offset_ms) > clock_skew.WRONG_MS:
        known = session.get(Notice, tuple(key.values()))  # it keeps the time at which it was first raised
        details = orjson.dumps({"post": tablet.post_id, "offset_ms": offset_ms}).decode()
        raised_at = known.raised_at if known else now
        writes.upsert(table(Notice), [{**key, "details": details, "raised_at": raised_at}])
    elif abs(tablet.clock_offset_ms or 0) > clock_skew.WRONG_MS:
        writes.remove(table(Notice), [key])


def _save_split_notice(writes: Writes, hub: AppContext, tablet: TabletFacts, upload: Upload) -> None:
    """Raise a notice for a tablet that was restored or cloned. Its enrolment is closed: remove its clock notice."""
    batch = upload.batch
    details = {"held": tablet.last_counter, "head": batch["head"][0], "first": batch["first"]}
    row = {"kind": "tablet-cloned-or-restored", "subject": tablet.id, "raised_at": upload.now}
    row |= {"district": hub.district, "details": orjson.dumps(details).decode()}
    writes.upsert(table(Notice), [row])
    clock = {"district": hub.district, "kind": "clock-wrong", "subject": tablet.id}
    writes.remove(table(Notice), [clock])


def _entries(
    tablet: TabletFacts,
    upload: Upload,
    changes: ChangePlan,
    receipt: IssuedReceipt,
    newest: Link | None,
    offset_ms: int | None,
) -> list[LogEntry]:
    """Log the batch at its tablet's post, and at every other post whose children it changed or moved."""
    batch, (_, left_out) = upload.batch, tally_of(upload.batch)
    details = {
        "batch": batch["batch"],
        "first": batch["first"],
        "received": len(upload.arrivals),
        "outcomes": dict(receipt.outcomes),
        "clock_offset_ms": offset_ms,
        **({"carried": True} if batch["carried"] else {}),
        **({"tally_left_out": left_out} if left_out else {}),
        **({"chain": [newest.dot.counter, newest.hash]} if newest else {}),  # server.audit.anchors
    }
    elsewhere: list[LogEntry] = [
        (audit.post_stream(post), "batch.elsewhere", {"children": ids})
        for post, ids in changes.children_by_post.items()
        if post != tablet.post_id
    ]
    return [*elsewhere, (audit.post_stream(tablet.post_id), "batch.accepted", details)]


# -- writing and answering ------------------------------------------------------------------------


def _take(hub: AppContext, upload: Upload, plan: UploadPlan | None) -> UploadPlan:
    """Write an upload that was planned on a snapshot (None: it could not be); return the plan that was written.

    The locks are held for the writing alone, so tablets of different posts seldom wait for one another's computing.
    """

    def again() -> UploadPlan:  # another was faster: two tablets that make one record, say
        with hub.database.reading() as session:
            planned = _planned(session, hub, upload, _tablet_of(session, hub, upload, lock=False))
        return _write(hub, upload, planned)

    return retrying(lambda: _write(hub, upload, plan), again)


def _write(hub: AppContext, upload: Upload, plan: UploadPlan | None) -> UploadPlan:
    """Write a plan under the locks if it still stands; otherwise plan again under the locks."""
    if plan is not None and not plan.entries:  # nothing is to be written
        return plan
    with hub.database.transaction() as session:
        if plan is None or not plan.still_stands(session, hub.district):
            plan = _plan(session, hub, upload, _tablet_of(session, hub, upload, lock=True), lock=True)
        plan.carry_out(session, hub, upload.now)
        return plan


def _answer(hub: AppContext, batch: Json, taken: UploadPlan, now: datetime, wanted: pull.Wanted) -> bytes:
    """Build the answer from what is committed."""
    several: dict[str, Any] = {}
    with hub.database.reading() as session:
        given = {"district": hub.district, "tablet": batch["tablet"]}
        stands = session.connection().execute(_standing(), given).one()
        row_macs.checked(session, Tablet, cast(Mapping[str, Any], stands._mapping))
        page = pull.empty_page(batch["cursor"])
        if _may_pull(stands, batch) and taken.outdated:  # with its next batch, whose token is checked
            page["more"] = True
        elif _may_pull(stands, batch) and "cursors" in batch:
            several, page["more"] = post_pages.of_tablet(
                session, hub, batch["tablet"], batch["cursors"], wanted
            )
        elif _may_pull(stands, batch):
            # A tablet that knew a longer stream than ours pulls again from the start.
            cursor = batch["cursor"] if batch["cursor"] <= stands.head_position else 0
            page = pull.page_after(session, hub, stands.post_id, cursor, wanted)
    return orjson.dumps(
        {
            "protocol": PROTOCOL,
            "incarnation": stands.incarnation,
            "token": taken.token,
            "server_time": now.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "receipt": orjson.Fragment(taken.receipt.json),
            "pull": page,
            **several,
        }
    )


def _may_pull(stands: Any, batch: Json) -> bool:
    """Say whether an enrolment may pull: it is still open as the answer is read, and not write-only; and its batch was not
    carried, for a carried batch has no token that shows whether its device is the only one."""
    is_open = stands.revoked_at is None and stands.closed_at is None
    return is_open and not (stands.write_only or batch["carried"])


@cache
def _standing() -> Select[*tuple[Any, ...]]:
    i, p, t = table(Installation).c, table(HealthPost).c, table(Tablet).c
    of_tablet = [t[name] for name in (*row_macs.covered(Tablet), "mac")]
    return select(i.incarnation, *of_tablet, p.head_position).where(
        t.district == bindparam("district"),
        t.id == bindparam("tablet"),
        i.district == t.district,
        p.district == t.district,
        p.id == t.post_id,
    )
