"""A tablet without I/O: what it holds, shows and sends, and how it takes in an answer.

The caller owns the network, the clock, randomness, the key and the disk: it asks for a batch, signs and sends it, and
hands the answer back. Rules kept here:

- A change's context is what was shown **when its form was opened**, the tablet's own unsent changes included.
- A batch is sent again, the same bytes, until it is answered; a change leaves the outbox only with its receipt.
- The tablet shows the published state with its own changes laid over it that the state does not contain yet; it never folds.
- Acknowledged changes are kept (the caller forgets them after 90 days), for a server that is restored from a backup.
- Of a child whose data was erased at a parent's request only counters and hashes are kept, which the chain needs. If a
  restored server wants such a change again, the device enrols anew and numbers again what it still has.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sync_protocol._canonical import canonical
from sync_protocol._errors import LocalProtocolError, RemoteProtocolError
from sync_protocol._overlay import laid_over
from sync_protocol._pages import Ref, cursors_of, drop, forget, homes_of, lay, lay_of_post, rows_of
from sync_protocol._records import (
    FIRST_PREVIOUS,
    PROTOCOL,
    SCHEMA,
    Change,
    Item,
    Json,
    Outcome,
    Receipt,
    ReceiptStatus,
    RecordState,
    change_hash,
    id_of,
)
from sync_protocol._vectors import NOTHING_SEEN, Dot, Entry, VersionVector

MAX_CHANGES = 200
MAX_BYTES = 256 * 1024
_ROOM_FOR_THE_REST = 2048
"""Bytes of a batch besides its changes."""
_MOST_DAYS = 31


@dataclass(frozen=True, slots=True)
class Form:
    """A record opened for editing, with what its author saw at that moment (`context`)."""

    kind: str
    record_id: str
    key: Mapping[str, str]
    context: VersionVector


@dataclass(slots=True)
class Logged:
    """A change of this tablet, and what the server has answered to it so far."""

    change: Change
    previous: str
    item: Item | None = None
    acknowledged_at: str | None = None

    @property
    def erased(self) -> bool:
        """Whether only what the chain needs is left of it. Every change as written sets a register."""
        return not self.change.registers


@dataclass(frozen=True, slots=True)
class Answered:
    """A batch was accepted: these are the outcomes, in the order of its changes."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Resending:
    """The server wants an earlier counter than was offered (it was restored): the changes from there wait again."""

    wanted: int


@dataclass(frozen=True, slots=True)
class NewEpochRequired:
    """This device was restored or cloned: it must enrol anew and call `enrol_anew`."""

    wanted: int


@dataclass(frozen=True, slots=True)
class Pulled:
    """Records that changed, children that left the post, and whether there is more to fetch."""

    records: tuple[Ref, ...]
    left: tuple[str, ...]
    more: bool


Event = Answered | Resending | NewEpochRequired | Pulled


@dataclass(slots=True)
class Replica:
    """One enrolment of one device, working for one post or, as a tablet of staff, for several.

    Parameters
    ----------
    district : Kemendagri code such as "64.02"
    tablet_id, post_id : UUIDs as lower-case text; the post is the one of its code
    app : name and version of the app, written into every change
    posts : of a tablet of staff, those that it has, as the server tells them; else none
    cursors : of a tablet of staff, up to where each post was pulled; `cursor` is that of a tablet of one post
    homes : of a tablet of staff, the post from which each child was pulled

    Its other fields are plain data to be stored with it; `past` are acknowledged changes of this device's closed enrolments,
    kept as long as its own, in case the server is restored to a time before them.
    """

    district: str
    tablet_id: str
    post_id: str
    app: str
    log: list[Logged] = field(default_factory=list)
    forgotten: int = 0
    forgotten_hash: str = FIRST_PREVIOUS
    base: dict[Ref, RecordState] = field(default_factory=dict)
    cursor: int = 0
    incarnation: str = ""
    sent_up_to: int = 0
    pending: dict[str, Any] | None = None
    pulled_at: str = ""
    token: str = ""
    carried: dict[str, int] = field(default_factory=dict)
    past: list[dict[str, Any]] = field(default_factory=list)
    posts: list[Json] = field(default_factory=list)
    cursors: dict[str, int] = field(default_factory=dict)
    homes: dict[str, str] = field(default_factory=dict)

    # -- what the tablet writes -----------------------------------------------------------------

    @property
    def head(self) -> Entry | None:
        """The newest change of this enrolment, None before the first."""
        return self.log[-1].change.entry if self.log else None

    def open_child(self, child_id: str) -> Form:
        return self._open("child", child_id, {})

    def open_measurement(self, child_id: str, measured_on: str, source: str = "cadre") -> Form:
        """Open the record of a child's measurement of a day and source, whether it exists yet or not."""
        key = {"child": child_id, "measured_on": measured_on, "source": source}
        return self._open("measurement", id_of("measurement", key), key)

    def open_follow_up(self, child_id: str, task: str) -> Form:
        """Open a follow-up of a child; `task` is its UUID, a new UUIDv7 for a new one."""
        key = {"child": child_id, "task": task}
        return self._open("follow_up", id_of("follow_up", key), key)

    def open_delivery(self, child_id: str, delivery: str) -> Form:
        """Open an aid to a child; `delivery` is its UUID, a new UUIDv7 for a new one."""
        key = {"child": child_id, "delivery": delivery}
        return self._open("delivery", id_of("delivery", key), key)

    def _open(self, kind: str, id_: str, key: Mapping[str, str]) -> Form:
        state = self.view((kind, id_))
        return Form(kind, id_, key, state.context() if state else NOTHING_SEEN)

    def write(
        self, form: Form, registers: Mapping[str, Json], *, author: str, recorded_at: str, nonce: str
    ) -> Change:
        """Number, chain and keep a change. It is saved once this has returned and the caller has stored the replica.

        Parameters
        ----------
        form : as opened, however long ago
        registers : the groups of fields that the author set, whole
        author, recorded_at : who, and the tablet's clock (RFC 3339, UTC)
        nonce : 16 random bytes, base64url without padding
        """
        if not registers:
            raise LocalProtocolError("nothing-set", "a change must set at least one register")
        wire = {
            "kind": form.kind,
            "id": form.record_id,
            "key": dict(form.key),
            "context": form.context.wire(),
            "set": {name: dict(value) for name, value in registers.items()},
            "author": author,
            "recorded_at": recorded_at,
            "nonce": nonce,
            "app": self.app,
            "schema": SCHEMA,
        }
        return self._append(wire)

    def _append(self, wire: Json) -> Change:
        previous = self.log[-1].change.hash if self.log else self.forgotten_hash
        dot = Dot(self.tablet_id, self.forgotten + len(self.log) + 1)
        change = Change.from_wire(dot, wire, change_hash(dot, previous, wire))
        self.log.append(Logged(change, previous))
        return change

    # -- what the tablet shows ------------------------------------------------------------------

    def view(self, ref: Ref) -> RecordState | None:
        """Return a record as this tablet knows it: the pulled state with its own changes laid over it; None if unknown."""
        state = self.base.get(ref)
        seen = state.vector.entries.get(self.tablet_id, Entry(0, "")).counter if state else 0
        for logged in self.log[max(seen - self.forgotten, 0) :]:
            change = logged.change
            refused = logged.item is not None and logged.item.outcome is Outcome.QUARANTINED
            if (change.kind, change.record_id) == ref and not (refused or logged.erased):
                state = laid_over(state, change)
        return state

    def unanswered(self) -> list[Logged]:
        """Changes that the server has not answered yet: "waiting"."""
        return [logged for logged in self.log if logged.item is None]

    def in_question(self) -> list[Logged]:
        """Changes that the server quarantined, unless a later change of this tablet to the same record replaces them."""
        later: set[Ref] = set()
        asked = []
        for logged in reversed(self.log):
            ref = (logged.change.kind, logged.change.record_id)
            set_aside = logged.item is not None and logged.item.outcome is Outcome.QUARANTINED
            if set_aside and ref not in later and not logged.erased:
                asked.append(logged)
            later.add(ref)
        return asked[::-1]

    # -- what the tablet sends ------------------------------------------------------------------

    def next_batch(
        self, batch_id: str, sent_at: str, *, max_changes: int = MAX_CHANGES, max_bytes: int = MAX_BYTES
    ) -> dict[str, Any]:
        """Return the batch to send: the pending one again, unchanged, or a new one (without changes if all are sent).

        Parameters
        ----------
        batch_id : UUIDv7, used if a new batch is made
        sent_at : the tablet's clock (RFC 3339, UTC)
        max_changes, max_bytes : the server's limits, or less on a poor connection
        """
        if self.pending is None:
            self.pending = self._batch(batch_id, sent_at, self.sent_up_to, max_changes, max_bytes)
        return self.pending

    def carried_batches(
        self,
        new_id: Callable[[], str],
        sent_at: str,
        *,
        max_changes: int = MAX_CHANGES,
        max_bytes: int = MAX_BYTES,
    ) -> list[dict[str, Any]]:
        """Return everything not acknowledged as batches for somebody else to carry, in order; none if all is acknowledged.

        The tablet still sends the same changes itself: whichever arrives second is a duplicate. The receipts are taken with
        `receive_carried` whenever they arrive, if they do.

        Parameters
        ----------
        new_id : gives a UUIDv7
        sent_at, max_changes, max_bytes : as for `next_batch`
        """
        batches = []
        done = self.sent_up_to
        while done < self.forgotten + len(self.log):
            batch = self._batch(new_id(), sent_at, done, max_changes, max_bytes, carried=True)
            self.carried[batch["batch"]] = done + 1
            done += len(batch["changes"])
            batches.append(batch)
        return batches

    def _batch(
        self,
        batch_id: str,
        sent_at: str,
        done: int,
        max_changes: int,
        max_bytes: int,
        *,
        carried: bool = False,
    ) -> dict[str, Any]:
        waiting = self.log[max(done - self.forgotten, 0) :][:max_changes]
        changes: list[Json] = []
        size = 0
        for logged in waiting:
            wire = logged.change.wire()
            size += len(canonical(wire)) + 1
            if changes and size > max_bytes - _ROOM_FOR_THE_REST:
                break
            changes.append(wire)
        return {
            "protocol": PROTOCOL,
            "district": self.district,
            "tablet": self.tablet_id,
            "batch": batch_id,
            "sent_at": sent_at,
            "app": self.app,
            "token": "" if carried else self.token,
            "carried": carried,
            "tally": self._tally(),
            "incarnation": self.incarnation,
            "head": list(self.head) if self.head else [self.forgotten, self.forgotten_hash[:16]],
            "first": done + 1,
            "previous": waiting[0].previous if waiting else "",
            "changes": changes,
            "cursor": self.cursor,
            **({"cursors": cursors_of(self.posts, self.cursors)} if self.posts and not carried else {}),
        }

    def _tally(self) -> dict[str, int]:
        """Count the measurements made here, for each day of which something is not answered yet."""
        open_days = {e.change.key["measured_on"] for e in self.unanswered() if "measured_on" in e.change.key}
        if not open_days:
            return {}
        written = {
            (e.change.key["measured_on"], e.change.record_id)
            for e in self.log
            if e.change.key.get("measured_on") in open_days
        }
        return {day: sum(on == day for on, _ in written) for day in sorted(open_days)[-_MOST_DAYS:]}

    # -- what the tablet does with an answer ----------------------------------------------------

    def receive(self, answer: Json, received_at: str) -> list[Event]:
        """Take in the answer to the pending batch.

        Parameters
        ----------
        answer : the decoded body of a 200 answer to `next_batch`'s batch
        received_at : the tablet's clock, kept with what was acknowledged

        Returns
        -------
        list of Event, in the order in which they happened

        Raises
        ------
        RemoteProtocolError
            `receipt-foreign` for a receipt of another batch: nothing was changed.
        """
        receipt = Receipt.from_wire(answer["receipt"])
        if self.pending is None or receipt.batch_id != self.pending["batch"]:
            raise RemoteProtocolError("receipt-foreign", f"no batch {receipt.batch_id} is waiting here")
        self.pending = None
        self.token = answer["token"]
        if self.incarnation and self.incarnation != answer["incarnation"]:
            # The server was restored and may have lost what it knew since: pull from the start, and forget nothing until
            # that is done, for a change may be stored nowhere else.
            self.cursor, self.cursors, self.pulled_at = 0, {}, ""
            self.incarnation = answer["incarnation"]
            return [self._settle(receipt, received_at)]
        self.incarnation = answer["incarnation"]
        settled = self._settle(receipt, received_at)
        if isinstance(settled, NewEpochRequired):
            return [settled]
        if self._continued_elsewhere([answer["pull"], *answer.get("pulls", ())]):
            return [settled, NewEpochRequired(receipt.wanted)]
        taken = self._take_posts(answer) if self.posts else self._take(answer["pull"])
        if not taken.more:
            self.pulled_at = received_at
        return [settled, taken]

    def receive_carried(self, receipt: Receipt, received_at: str) -> Event | None:
        """Take the receipt of a carried batch, in any order; None if it has no effect (any more).

        Parameters
        ----------
        receipt : unsealed by the caller, which proves that the server wrote it
        received_at : the tablet's clock
        """
        if self.carried.pop(receipt.batch_id, None) is None:
            return None
        if (
            receipt.status is ReceiptStatus.GAP
        ):  # an earlier batch has not arrived: nothing of this one was stored
            return None
        return self._settle(receipt, received_at)

    def _settle(self, receipt: Receipt, received_at: str) -> Event:
        if receipt.status is ReceiptStatus.NEW_EPOCH_REQUIRED:
            return NewEpochRequired(receipt.wanted)
        if receipt.status is ReceiptStatus.GAP and not self._keeps_from(receipt.wanted):
            # The server has lost more than is kept here: what is left must be numbered again.
            return NewEpochRequired(receipt.wanted)
        if receipt.status is ReceiptStatus.GAP:
            self.sent_up_to = receipt.wanted - 1
            for logged in self.log[max(self.sent_up_to - self.forgotten, 0) :]:
                logged.item = logged.acknowledged_at = None
            return Resending(receipt.wanted)
        for item in receipt.items:
            if item.counter <= self.forgotten:
                continue
            logged = self.log[item.counter - self.forgotten - 1]
            if logged.item is None or item.outcome is not Outcome.DUPLICATE:
                logged.item = item
            logged.acknowledged_at = received_at
            if logged.erased or any(reason["code"] == "child-erased" for reason in item.reasons):
                logged.change = _emptied(logged.change)
        while self.sent_up_to < self.forgotten + len(self.log) and (
            self.log[self.sent_up_to - self.forgotten].item is not None
        ):
            self.sent_up_to += 1
        return Answered(receipt)

    def _keeps_from(self, counter: int) -> bool:
        """Say whether every change from a counter on is kept here, with its content."""
        place = counter - self.forgotten - 1
        return place >= 0 and not any(logged.erased for logged in self.log[place:])

    def _erase(self, children: Collection[str]) -> None:
        """Empty the answered changes of erased children. Those not answered yet are still sent, for the chain has no gaps:
        the server quarantines them (`child-erased`) and stores no content, and `_settle` then empties them here."""
        for logged in self.log[: max(self.sent_up_to - self.forgotten, 0)]:
            if _child_of(logged.change.kind, logged.change.record_id, logged.change.key) in children:
                logged.change = _emptied(logged.change)
        wires = ((kept, kept["change"]) for kept in self.past)
        self.past = [k for k, w in wires if _child_of(w["kind"], w["id"], w["key"]) not in children]

    def _continued_elsewhere(self, pages: Sequence[Json]) -> bool:
        """Say whether a pulled record names a change of this enrolment that is not in this log: a clone wrote it.

        Such a state must not be taken: the view would take the clone's changes for this device's own of the same numbers and
        hide those, and their author would then overwrite them unseen.
        """
        vectors = [row["vector"] for page in pages for row in rows_of(page)]
        entries = [vector[self.tablet_id] for vector in vectors if self.tablet_id in vector]
        return not all(self._wrote(Entry(*entry)) for entry in entries)

    def _wrote(self, entry: Entry) -> bool:
        place = entry.counter - self.forgotten - 1
        return place < 0 or (place < len(self.log) and self.log[place].change.tag == entry.tag)

    def _take(self, pull: Json) -> Pulled:
        if self.cursor == 0:
            # from the start: what a restored server does not publish is not at this post any more
            self.base.clear()
        refs = lay(self.base, pull)
        drop(self.base, set(pull["left"]))
        if "erased" in pull:
            self._erase(pull["erased"])
        self.cursor = pull["cursor"]
        return Pulled(tuple(refs), tuple(pull["left"]), pull["more"])

    def _take_posts(self, answer: Json) -> Pulled:
        """Take the posts that this tablet has now, and their pages. Where the server sends neither, all stays."""
        left = self.have_posts(answer["posts"]) if "posts" in answer else set()
        refs: list[Ref] = []
        for page in answer.get("pulls", ()):
            first = not self.cursors.get(page["post"])
            brought, gone = lay_of_post(self.base, self.homes, page, first=first)
            refs, left = refs + brought, left | gone
            self._erase(page.get("erased", ()))
            self.cursors[page["post"]] = page["cursor"]
        return Pulled(tuple(refs), tuple(sorted(left - self.homes.keys())), answer["pull"]["more"])

    def have_posts(self, posts: Sequence[Json]) -> set[str]:
        """Take over which posts this tablet has; drop and return the children of those that it has no more."""
        self.posts = [dict(post) for post in posts]
        mine = {post["id"] for post in posts}
        gone = {child for child, home in self.homes.items() if home not in mine}
        forget(self.base, self.homes, gone)
        self.cursors = {post: at for post, at in self.cursors.items() if post in mine}
        return gone

    # -- once in a while ------------------------------------------------------------------------

    def forget(self, acknowledged_before: str) -> int:
        """Drop the oldest acknowledged changes, and return how many (times are RFC 3339 text in UTC, which sorts).

        What was acknowledged after the last finished pull is kept: no pulled state contains it yet.
        """
        count = 0
        for logged in self.log[:-1]:
            at = logged.acknowledged_at
            if at is None or at >= acknowledged_before or at > self.pulled_at:
                break
            count += 1
        self.past = [kept for kept in self.past if (kept["acknowledged_at"] or "") >= acknowledged_before]
        if count:
            self.forgotten_hash = self.log[count - 1].change.hash
            self.forgotten += count
            del self.log[:count]
        return count

    def kept_tags(self) -> tuple[int, list[str]]:
        """Return what a server needs to find `common`: the counter of the oldest change kept, and the tags from there on."""
        return self.forgotten + 1, [logged.change.tag for logged in self.log]

    def enrol_anew(self, tablet_id: str, common: int, posts: Sequence[Json] = ()) -> "Replica":
        """Return the replica of a new enrolment of this device, in which what the server does not hold is numbered again.

        Parameters
        ----------
        tablet_id : the new enrolment
        common : the newest counter up to which the server's chain of the old enrolment equals this log
        posts : of a tablet of staff, those that it has, as the server tells them

        Returns
        -------
        Replica : in the contexts, this device's renumbered changes have their new names and everything else is unchanged,
            so that no context claims what its author did not see
        """
        place = max(common - self.forgotten, 0)
        changes = [logged.change for logged in self.log[place:] if not logged.erased]
        new = self._renumbered(tablet_id, changes, self.log[:place], posts)
        new.past = [*self.past, *(_kept(logged) for logged in self.log[:place] if not logged.erased)]
        return new

    def enrol_afresh(self, tablet_id: str, posts: Sequence[Json] = ()) -> "Replica":
        """Return the replica of a new enrolment (with a code) for a server that was restored to a time before all the old
        ones. Everything that is kept is numbered again, also that of closed enrolments.

        Parameters
        ----------
        tablet_id, posts : of the new enrolment, as for `enrol_anew`
        """
        past = [Change.from_wire(Dot(k["actor"], k["counter"]), k["change"], k["hash"]) for k in self.past]
        mine = [logged.change for logged in self.log if not logged.erased]
        return self._renumbered(tablet_id, [*past, *mine], [], posts)

    def _renumbered(
        self, tablet_id: str, changes: Sequence[Change], kept: Sequence[Logged], posts: Sequence[Json]
    ) -> "Replica":
        new = Replica(self.district, tablet_id, self.post_id, self.app, base=dict(self.base))
        if posts:
            new.homes = dict(self.homes) if self.posts else homes_of(self.base, self.post_id)
            new.have_posts(posts)
        renamed: dict[str, list[tuple[Change, Entry]]] = {}
        for change in changes:
            mine = renamed.setdefault(change.record_id, [])
            context = self._in_new_names(change, mine, kept, tablet_id)
            again = new._append({**change.wire(), "context": context.wire()})
            mine.append((change, again.entry))
        return new

    def _in_new_names(
        self,
        change: Change,
        renamed: Sequence[tuple[Change, Entry]],
        kept: Sequence[Logged],
        tablet_id: str,
    ) -> VersionVector:
        """Return a change's context with the new names of its record's renumbered changes (`renamed`: old change, new name).

        - Tablet A wrote changes 1 to 3 of it, and the server holds 1 (`kept`). Under the new enrolment B, 2 and 3 are called
          B1 and B2. The context of 3 was {A: 2} and becomes {A: 1, B: 1}, for A1 keeps its name.
        - A new name claims all names of B before it. If P1 (of an earlier enrolment P) and A1 are called B1 and B2, {B: 2}
          also claims P1. So {P: 1, A: 1} becomes {B: 2}, but {A: 1} becomes {}: its author had not seen P1.
        """
        named = [(old, new) for old, new in renamed if change.context.get(old.dot.actor) == old.entry]
        if not named:
            return change.context
        actors = {old.dot.actor for old, _ in named}
        entries = {actor: e for actor, e in change.context.items() if actor not in actors}
        newest = named[-1][1]
        before_it = [old for old, new in renamed if new.counter <= newest.counter]
        if all(change.context.claims(old.dot) for old in before_it):
            entries[tablet_id] = newest
        if self.tablet_id in actors and (stays := self._newest_kept(change, kept)):
            entries[self.tablet_id] = stays
        return VersionVector(entries)

    def _newest_kept(self, change: Change, kept: Sequence[Logged]) -> Entry | None:
        """Return the newest change of this enrolment to a record that keeps its name."""
        before = [k.change.entry for k in kept if k.change.record_id == change.record_id]
        state = self.base.get((change.kind, change.record_id))
        published = state.vector.get(self.tablet_id) if state else None
        if not before and published is not None and published.counter <= self.forgotten:
            return published
        return before[-1] if before else None


def _child_of(kind: str, record_id: str, key: Mapping[str, str]) -> str:
    """Return the child to whom a record belongs."""
    return record_id if kind == "child" else key["child"]


def _emptied(change: Change) -> Change:
    """Return a change without its content, author and time."""
    return replace(change, registers={}, author="", recorded_at="", nonce="")


def _kept(logged: Logged) -> dict[str, Any]:
    """Return, as data, a change that the server holds under the name of a closed enrolment."""
    change = logged.change
    return {
        "actor": change.dot.actor,
        "counter": change.dot.counter,
        "hash": change.hash,
        "change": change.wire(),
        "acknowledged_at": logged.acknowledged_at,
    }
