"""A tablet that syncs: a stored replica, a connection, and retries.

Hides enrolment, batches, repetition, back-off, and what to do with each answer. Rules kept here:

- Everything is on the disk before it is sent: a tablet that is killed at any instruction sends the same again.
- A batch is sent again, the same bytes, until it is answered. It is replaced by a smaller one only if the server cannot
  have taken it: not all of it had been handed to the connection, or it was refused as a whole.
- An answer is used only if it has the right shape and answers what was asked.
- No lock is held while waiting for the network: writing is possible during a sync.
"""

import base64
import json
import random
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from os import PathLike
from typing import Any, Final, Self, cast

from sync_protocol._canonical import canonical
from sync_protocol._errors import LocalProtocolError, RemoteProtocolError
from sync_protocol._pages import Ref
from sync_protocol._records import Change, Json, Receipt, RecordState
from sync_protocol._replica import (
    MAX_BYTES,
    MAX_CHANGES,
    Event,
    Form,
    NewEpochRequired,
    Replica,
)
from sync_protocol._vectors import VersionVector
from sync_protocol.client._answers import again_misfit, answer_misfit, receipt_misfit, welcome_misfit
from sync_protocol.client._device import new_id, now_utc
from sync_protocol.client._statuses import BATCH_REFUSED, TEMPORARY, TOO_SLOW
from sync_protocol.client.keys import Keys
from sync_protocol.client.line import Answer, Line, LineLost, Transport
from sync_protocol.client.pace import NotReached, Pace, Refused, retry_after
from sync_protocol.client.report import Progress, Renewal, Report
from sync_protocol.client.store import BATCH, Store

SYNC: Final = "/api/v1/sync"
ENROL: Final = "/api/v1/enrol"
ENROL_AGAIN: Final = "/api/v1/enrol/again"
FIRST_SIZE: Final = 25
"""Changes of the first batch, when nothing is known of the connection."""
KEPT_DAYS: Final = 90
"""How long acknowledged changes are kept, for a server that is restored from a backup."""
IDLE_ROUNDS: Final = 3
_RENEWAL, _ENROLMENT, _READMISSION = "renewal", "enrolment", "readmission"


class Client:
    """An enrolled tablet. Get one with `enrol` or `open`; close it, or use it as a context manager.

    It may be used from several threads: writing never waits for the network, and syncs take turns.

    Parameters
    ----------
    store : open
    keys : where the keys are
    transport : what requests are sent through; None: a `Line` to the address at which it was enrolled
    pace : of retries
    clock, sleep, rng : for tests and simulations
    """

    def __init__(
        self,
        store: Store,
        keys: Keys,
        *,
        transport: Transport | None = None,
        pace: Pace | None = None,
        clock: Callable[[], datetime] = now_utc,
        sleep: Callable[[float], None] = time.sleep,
        rng: random.Random | None = None,
    ) -> None:
        self.store = store
        self._keys, self._pace, self._clock, self._sleep = keys, pace or Pace(), clock, sleep
        self._line = None if transport else Line(store.facts["url"], clock=self._now)
        self._transport: Transport = transport or cast(Line, self._line)
        self._rng = rng or random.SystemRandom()
        self._turn = threading.Lock()
        self._never_sent = False  # the pending batch was made here, and never handed over completely
        self._renewals: list[Renewal] = []

    # -- enrolling and opening ----------------------------------------------------------------------

    @classmethod
    def enrol(
        cls,
        path: str | PathLike[str],
        url: str,
        code: str,
        *,
        keys: Keys,
        app: str,
        device: str,
        **others: Any,
    ) -> "Client":
        """Exchange a one-time code for a new tablet in a new file. If interrupted, call it again: it sends the same request.

        Parameters
        ----------
        path : of the store; an unfinished enrolment may be there, a finished one not
        url : of the server
        code : as the health centre gave it, such as 7K3M-Q2PW-XA
        keys, **others : as for `Client`
        app : name and version, written into every change
        device : what the device is, for the list of tablets

        Raises
        ------
        LocalProtocolError
            `enrolled-already`, and those of `Store.open`
        NotReached, Refused
        """
        store = Store.open(path, create=True)
        try:
            if store.is_enrolled:
                raise LocalProtocolError(
                    "enrolled-already", f"{path} holds a tablet: open it, or use another"
                )
            _prepare_enrolment(store, keys, url, {"code": code, "app": app, "device": device})
            client = cls(store, keys, **others)
        except BaseException:
            store.close()
            raise
        try:
            client._finish_enrolment()
        except BaseException:
            client.close()
            raise
        return client

    @classmethod
    def open(cls, path: str | PathLike[str], *, keys: Keys, **others: Any) -> "Client":
        """Open an enrolled tablet's file.

        Parameters
        ----------
        path, keys, **others : as for `enrol`

        Raises
        ------
        LocalProtocolError
            `not-enrolled`, and those of `Store.open`
        """
        store = Store.open(path)
        try:
            _ = store.replica
            return cls(store, keys, **others)
        except BaseException:
            store.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and the client's own connection; what was written is stored already."""
        self.store.close()
        if self._line:
            self._line.close()

    def _finish_enrolment(self) -> None:
        store, body = self.store, self.store.letters[_ENROLMENT]
        enrolled = self._ask(ENROL, lambda: body, welcome_misfit, Report())
        with store.changing():
            app = json.loads(body)["app"]
            store.replica = Replica(
                enrolled["district"],
                enrolled["tablet"],
                enrolled["post"]["id"],
                app,
                incarnation=enrolled["incarnation"],
                posts=enrolled.get("posts", []),
            )
            store.facts |= {"limits": enrolled["limits"], "post": enrolled["post"]["name"]}
            del store.letters[_ENROLMENT]

    # -- what the person does -----------------------------------------------------------------------

    @property
    def replica(self) -> Replica:
        """What the tablet holds; to be read. It is changed only through this client."""
        return self.store.replica

    def open_child(self, child_id: str) -> Form:
        """Open a child's record, whether it exists yet or not (`new_id()` makes the id of a new one)."""
        with self.store.looking() as replica:
            return replica.open_child(child_id)

    def open_measurement(self, child_id: str, measured_on: str, source: str = "cadre") -> Form:
        """Open the measurement of a child on a day."""
        with self.store.looking() as replica:
            return replica.open_measurement(child_id, measured_on, source)

    def open_follow_up(self, child_id: str, task: str) -> Form:
        """Open a follow-up of a child (`new_id()` makes the id of a new task)."""
        with self.store.looking() as replica:
            return replica.open_follow_up(child_id, task)

    def open_delivery(self, child_id: str, delivery: str) -> Form:
        """Open an aid to a child (`new_id()` makes the id of a new one)."""
        with self.store.looking() as replica:
            return replica.open_delivery(child_id, delivery)

    def view(self, ref: Ref) -> RecordState | None:
        """Return a record as this tablet knows it, its own unsent changes included; None if unknown."""
        with self.store.looking() as replica:
            return replica.view(ref)

    def write(self, form: Form, registers: Mapping[str, Json], *, author: str) -> Change:
        """Save what was filled in. When this returns, it is on the disk, and "saved" may be shown.

        Parameters
        ----------
        form : as opened, however long ago
        registers : the groups of fields that the author set, whole
        author : who, 1 to 64 letters, digits, "." "_" or "-"

        Raises
        ------
        LocalProtocolError
            `nothing-set`
        sqlite3.Error
            It could not be stored (a full disk): it is not saved, and will not be sent.
        """
        with self.store.changing():
            return self.replica.write(
                self._with_present_names(form),
                registers,
                author=author,
                recorded_at=self._now(),
                nonce=_base64url(secrets.token_bytes(16)),
            )

    def _with_present_names(self, form: Form) -> Form:
        """Return a form with the present names of this device's changes, if it was opened before a new enrolment."""
        for past in self._renewals:
            own = form.context.get(past.old_id)
            names = {before.tag: now.entry for before, now in past.renumbered}
            if own is None or own.tag not in names:
                continue
            entries = {actor: entry for actor, entry in form.context.items() if actor != past.old_id}
            entries[past.new_id] = names[own.tag]
            if form.record_id in past.last_kept:
                entries[past.old_id] = past.last_kept[form.record_id]
            form = replace(form, context=VersionVector(entries))
        return form

    def _now(self) -> str:
        return self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    # -- syncing ------------------------------------------------------------------------------------

    def sync(self, progress: Progress | None = None) -> Report:
        """Send everything and fetch everything.

        Parameters
        ----------
        progress : called after each round trip

        Raises
        ------
        NotReached, Refused
            What was answered until then is stored; another sync continues from there.
        RemoteProtocolError
            `never-quiet`: round trips bring nothing, yet the server wants more of them.
        """
        with self._turn:
            report, idle = Report(), 0
            while idle < IDLE_ROUNDS:
                before = self._state_of_sync()
                self._round_trip(report, None)
                if progress:
                    progress(report.answered, report.answered + report.waiting)
                if report.is_quiet:
                    self._forget()
                    return report
                idle = idle + 1 if self._state_of_sync() == before else 0
            raise RemoteProtocolError("never-quiet", f"{IDLE_ROUNDS} round trips brought nothing")

    def exchange(self, *, at_most: int | None = None) -> Report:
        """Make one round trip.

        Parameters
        ----------
        at_most : changes, if a new batch is made; None: as many as the connection has carried so far

        Raises
        ------
        NotReached, Refused
        """
        with self._turn:
            report = Report()
            self._round_trip(report, at_most)
            return report

    def _state_of_sync(self) -> tuple[object, ...]:
        with self.store.looking() as replica:
            pulled = replica.cursor, dict(replica.cursors)
            return replica.tablet_id, replica.incarnation, pulled, len(replica.unanswered())

    def _round_trip(self, report: Report, at_most: int | None) -> None:
        report.more = False
        if _RENEWAL in self.store.letters:
            self._enrol_again(report)
        else:
            answer = self._ask(SYNC, lambda: self._letter(at_most), self._misfit, report)
            self._take(answer, report)
        with self.store.looking() as replica:
            report.waiting = len(replica.unanswered())

    def _misfit(self, answer: Any) -> str | None:
        pending = self.replica.pending
        return "no batch is waiting" if pending is None else answer_misfit(answer, pending)

    def _letter(self, at_most: int | None) -> bytes:
        """Return the pending request BATCH, as it is sent; made if there is none, and stored before it is sent."""
        store = self.store
        if BATCH not in store.letters:
            limits = store.facts["limits"]
            most = min(at_most or self._size, limits["changes"], MAX_CHANGES)
            with store.changing():
                batch = store.replica.next_batch(
                    new_id(), self._now(), max_changes=most, max_bytes=min(limits["bytes"], MAX_BYTES)
                )
                store.letters[BATCH] = self._signed("batch", batch)
            self._never_sent = True
        return store.letters[BATCH]

    def _signed(self, name: str, content: Json) -> bytes:
        key = self._keys.find(self.store.facts["key"])
        signature = _base64url(key.sign(canonical(content)))
        return canonical({name: content, "signature": signature})

    def _take(self, answer: Json, report: Report) -> None:
        """Take in an answer; if it asks for a new enrolment, store the request for that in the same step."""
        store = self.store
        with store.changing():
            replica, known = store.replica, store.replica.incarnation
            waiting = len(replica.unanswered())
            sent = len((replica.pending or {"changes": ()})["changes"])
            events = replica.receive(answer, self._now())
            del store.letters[BATCH]
            if sent >= self._size:
                self._resize(self._size * 2)
            if any(isinstance(event, NewEpochRequired) for event in events):
                self._prepare_renewal()
            report.answered += max(waiting - len(replica.unanswered()), 0)
        report.server_restored |= known not in ("", answer["incarnation"])
        report.add(events)

    # -- enrolling anew -----------------------------------------------------------------------------

    def _prepare_renewal(self) -> None:
        """Store the new key's name and the signed request, so that every try sends the same request."""
        store = self.store
        name = self._keys.make()
        first, tags = store.replica.kept_tags()
        request = {
            "tablet": store.replica.tablet_id,
            "public_key": dict(self._keys.find(name).jwk()),
            "app": store.replica.app,
            "device": store.facts["device"],
            "first": first,
            "tags": tags,
        }
        store.letters[_RENEWAL] = self._signed("request", request)
        store.facts["next_key"] = name

    def _enrol_again(self, report: Report) -> None:
        """Continue under a new enrolment; what was written meanwhile is renumbered with the rest."""
        store, body = self.store, self.store.letters[_RENEWAL]
        request = json.loads(body)["request"]
        try:
            enrolled = self._ask(
                ENROL_AGAIN, lambda: body, lambda answer: again_misfit(answer, request), report
            )
        except Refused as refused:
            if refused.code != "enrolment-open":
                raise
            # the server was restored since: it knows of no reason, and takes the next batch
            with store.changing():
                del store.letters[_RENEWAL], store.facts["next_key"]
            report.more = True
            return
        with store.changing():
            old = store.replica
            new = old.enrol_anew(enrolled["tablet"], enrolled["common"], enrolled.get("posts", ()))
            new.incarnation = enrolled["incarnation"]
            kept = max(enrolled["common"] - old.forgotten, 0)
            renewal = Renewal(
                old.tablet_id,
                new.tablet_id,
                [(a.change, b.change) for a, b in zip(old.log[kept:], new.log, strict=True)],
                {e.change.record_id: e.change.entry for e in old.log[:kept]},
            )
            store.replica = new
            store.letters.pop(BATCH, None)
            store.facts |= {"key": store.facts.pop("next_key"), "limits": enrolled["limits"]}
            del store.letters[_RENEWAL]
        self._renewals.append(renewal)
        report.renewals.append(renewal)
        report.more = True

    def readmit(self, code: str) -> None:
        """Enrol this device with a new code, if the server no longer knows its enrolment (`tablet-unknown`: the server was
        restored to a time before it) or does not let it renew it (`tablet-revoked`, `too-many-enrolments`). All that is
        kept is numbered again and waits to be sent. If interrupted, call it again: it sends the same request.

        Parameters
        ----------
        code : as the health centre gave it, such as 7K3M-Q2PW-XA

        Raises
        ------
        NotReached, Refused
        """
        store = self.store
        with self._turn:
            asked = json.loads(store.letters.get(_READMISSION, b"{}"))
            if asked.get("code") != code:
                with store.changing():
                    name = self._keys.make()
                    store.facts["next_key"] = name
                    request = {"code": code, "app": store.replica.app, "device": store.facts["device"]}
                    public = {"public_key": dict(self._keys.find(name).jwk())}
                    store.letters[_READMISSION] = canonical({**request, **public})
            body = store.letters[_READMISSION]
            enrolled = self._ask(ENROL, lambda: body, welcome_misfit, Report())
            with store.changing():
                old = store.replica
                new = old.enrol_afresh(enrolled["tablet"], enrolled.get("posts", ()))
                new.incarnation, new.post_id = enrolled["incarnation"], enrolled["post"]["id"]
                mine = new.log[len(new.log) - len(old.log) :]
                pairs = [(a.change, b.change) for a, b in zip(old.log, mine, strict=True)]
                store.replica = new
                for letter in (BATCH, _RENEWAL, _READMISSION):
                    store.letters.pop(letter, None)
                store.facts |= {
                    "key": store.facts.pop("next_key"),
                    "limits": enrolled["limits"],
                    "post": enrolled["post"]["name"],
                }
            self._renewals.append(Renewal(old.tablet_id, new.tablet_id, pairs, {}))

    # -- one request, with retries ------------------------------------------------------------------

    def _ask(
        self,
        path: str,
        letter: Callable[[], bytes],
        misfit: Callable[[Any], str | None],
        report: Report,
    ) -> Any:
        """Send a request until it has an answer of the right shape."""
        asked_to_wait = 0.0
        for attempt in range(self._pace.tries):
            if attempt:
                self._sleep(asked_to_wait + self._pace.pause(attempt, self._rng))
            asked_to_wait = 0.0
            try:
                answer = self._transport.post(path, letter())
                if answer.status == TOO_SLOW:
                    raise LineLost("status 408", sent=False)
            except LineLost as lost:
                self._on_lost(lost)
                report.troubles.append(lost.why)
                continue
            self._never_sent = False
            if answer.status == 200:
                decoded = _decoded(answer)
                if (wrong := misfit(decoded)) is None:
                    report.round_trips += 1
                    report.again_in = retry_after(answer.headers, self._clock())
                    return decoded
                report.troubles.append(f"no answer of this server: {wrong}")
            elif answer.status in TEMPORARY:
                asked_to_wait = self._pace.asked_to_wait(answer.headers, self._clock())
                report.troubles.append(f"status {answer.status}")
            else:
                self._on_refusal(answer)
                report.troubles.append(f"status {answer.status}")
        raise NotReached(report.troubles[-1])

    def _on_lost(self, lost: LineLost) -> None:
        if lost.sent:
            self._never_sent = False
        with self.store.changing():
            self._resize(self._size // 2)
            if self._never_sent and BATCH in self.store.letters:
                self._give_up_batch()

    def _on_refusal(self, answer: Answer) -> None:
        """Raise `Refused` for a refusal with code and title. Return for another try with a smaller batch, or if the answer
        is not from our server."""
        problem = _decoded(answer)
        ours = isinstance(problem, dict) and {"code", "title"} <= problem.keys()
        if answer.status != 413 and not ours:
            return
        with self.store.changing():
            pending = self.store.replica.pending if self.store.is_enrolled else None
            count = len(pending["changes"]) if pending else 0
            self._resize(max(count, 1) // 2)
            if pending and answer.status in BATCH_REFUSED:
                self._give_up_batch()  # nothing of it is stored there, and a new one may be taken
        if answer.status == 413 and count > 1:
            return
        raise Refused(answer.status, problem if ours else {"code": "batch-too-large", "title": "413"})

    def _give_up_batch(self) -> None:
        del self.store.letters[BATCH]
        self.store.replica.pending = None

    @property
    def _size(self) -> int:
        return int(self.store.facts.get("size", FIRST_SIZE))

    def _resize(self, size: int) -> None:
        limits = self.store.facts.get("limits", {"changes": MAX_CHANGES})
        self.store.facts["size"] = max(1, min(size, limits["changes"], MAX_CHANGES))

    # -- once in a while ----------------------------------------------------------------------------

    def _forget(self) -> None:
        oldest = (self._clock().astimezone(UTC) - timedelta(days=KEPT_DAYS)).strftime("%Y-%m-%dT%H:%M:%SZ")
        with self.store.changing():
            self.replica.forget(oldest)

    def letters_to_carry(self) -> list[bytes]:
        """Return all that is not acknowledged as carried batches, in order: signed but not sealed, for somebody else to
        bring to /api/v1/sync."""
        store = self.store
        with store.changing():
            limits = store.facts["limits"]
            batches = store.replica.carried_batches(
                new_id, self._now(), max_changes=min(limits["changes"], MAX_CHANGES)
            )
            return [self._signed("batch", batch) for batch in batches]

    def take_carried_receipt(self, receipt: Json) -> Event | None:
        """Take the receipt of a carried batch; None if it has no effect any more.

        Parameters
        ----------
        receipt : `receipt` of the server's answer, from a source that the caller trusts

        Raises
        ------
        RemoteProtocolError
            `receipt-malformed`
        """
        with self.store.changing():
            replica = self.replica
            first = replica.carried.get(str(receipt.get("batch")))
            if first is None:
                return None
            newest = replica.forgotten + len(replica.log)
            if wrong := receipt_misfit(receipt, receipt["batch"], first, newest):
                raise RemoteProtocolError("receipt-malformed", wrong)
            event = replica.receive_carried(Receipt.from_wire(receipt), self._now())
            if isinstance(event, NewEpochRequired) and _RENEWAL not in self.store.letters:
                self._prepare_renewal()
            return event


def _prepare_enrolment(store: Store, keys: Keys, url: str, request: Mapping[str, str]) -> None:
    """Store key and request before anything is sent; the same code is sent with the same key again."""
    asked = json.loads(store.letters.get(_ENROLMENT, b"{}"))
    if asked.get("code") == request["code"] and store.facts["url"] == url:
        return
    with store.changing():
        name = keys.make()
        store.facts |= {"url": url, "key": name, "device": request["device"]}
        public = {"public_key": dict(keys.find(name).jwk())}
        store.letters[_ENROLMENT] = canonical({**request, **public})


def _decoded(answer: Answer) -> Any:
    """Return the JSON of an answer; None if it is not JSON."""
    try:
        return answer.json()
    except ValueError:
        return None


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
