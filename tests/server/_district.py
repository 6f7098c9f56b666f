"""A district at work, for tests: a real server on a real database, and tablets that exchange real bytes.

Hides how a database is made quickly (migrated and installed once, then copied), how time passes, and how a
tablet signs, sends, loses an answer, is copied or enrols anew. `District.check_agreement` is the promise behind
every story: what each tablet shows, what the tables hold and what the ledger folds to are the same bytes.
"""

import copy
import os
import random
import shutil
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, cast

import orjson
from sqlalchemy import Connection, QueuePool, create_engine, select, text, update

from schemas import check_answer, parse_enrolment, parse_enrolment_again
from server import accounts, audit
from server.audit.unbound import unbound_rows
from server.children import ledger
from server.config import Settings
from server.context import AppContext
from server.crypto.vault import SigningKey, base64url
from server.database.engine import Database
from server.database.migrations import migrate
from server.database.models import (
    Attention,
    Base,
    ChangeRow,
    Child,
    Delivery,
    Flag,
    FollowUp,
    HealthPost,
    Installation,
    Measurement,
    table,
)
from server.places import health_posts
from server.sync import upload as sync
from server.sync.post_pages import wire
from sync_protocol import (
    Answered,
    Change,
    Event,
    Form,
    Json,
    NewEpochRequired,
    Outcome,
    Receipt,
    RecordState,
    Replica,
    canonical,
    delivery_id,
    fold,
    follow_up_id,
    measurement_id,
)
from tests._postgres import create_database, drop_database

DISTRICT = "64.02"
NOW = datetime(2026, 3, 5, 2, 0, tzinfo=UTC)
"""Ten in the morning in Kukar."""
CENTRE, FIRST_POST, SECOND_POST = "Puskesmas Contoh", "Melati 1", "Anggrek 2"

PATIENCE_SECONDS = 30.0

Ref = tuple[str, str]
Story = Callable[["District"], object]
"""What is done in a district that has just been installed."""


class Databases:
    """Makes databases on one PostgreSQL or in one directory: empty, migrated, or with a district installed.

    Parameters
    ----------
    directory : where SQLite files and keys go
    postgres_url : an administrator's database; None for SQLite
    """

    def __init__(self, directory: Path, postgres_url: str | None) -> None:
        self.directory, self.admin = directory, postgres_url
        self._numbers = count(1)
        self._made: dict[Any, Any] = {}

    def empty(self) -> str:
        """Give the URL of a new database without tables."""
        if self.admin:
            return create_database(self.admin, self._name())
        return f"sqlite:///{self.directory / self._name()}.db"

    def migrated(self) -> str:
        """Give the URL of a new database with the newest schema and no rows."""
        if "migrated" not in self._made:
            url = self.empty()
            migrate(url)
            self._made["migrated"] = url
        return self.copy(self._made["migrated"])

    def installed(self) -> tuple[str, Path]:
        """Give the URL of a new database with a district, a health centre and two posts, and its key file."""
        if "installed" not in self._made:
            url, keys = self.migrated(), self.directory / f"{self._name()}.keys.json"
            _install(Settings.for_data(self.directory, database_url=url, key_file=keys))
            self._made["installed"] = url, keys
        url, keys = self._made["installed"]
        return self.copy(url), keys

    def after(self, story: Story) -> tuple[str, Path, datetime, int]:
        """Give the URL of a new database in which a story was played, its key file, the time then and the next number."""
        if story not in self._made:
            with District.opened(self) as district:
                story(district)
                past = district.back_up(), district.hub.settings.key_file
                self._made[story] = (*past, district.clock.now, next(district.numbers))
        url, keys, now, number = self._made[story]
        return self.copy(url), keys, now, number

    def copy(self, url: str) -> str:
        """Give the URL of a copy of a database to which nobody is connected."""
        if self.admin:
            return create_database(self.admin, self._name(), template=_database_of(url))
        new = self.empty()
        shutil.copy(_file_of(url), _file_of(new))
        return new

    def replace(self, url: str, snapshot: str) -> None:
        """Put a snapshot in a database's place; nobody is connected to either."""
        if self.admin:
            drop_database(self.admin, _database_of(url))
            create_database(self.admin, _database_of(url), template=_database_of(snapshot))
            return
        for ending in ("-wal", "-shm"):
            Path(f"{_file_of(url)}{ending}").unlink(missing_ok=True)
        shutil.copy(_file_of(snapshot), _file_of(url))

    def drop(self, url: str) -> None:
        """Remove a database."""
        if self.admin:
            drop_database(self.admin, _database_of(url))
        else:
            for left in self.directory.glob(f"{_file_of(url).name}*"):
                left.unlink()

    def _name(self) -> str:
        return f"posyandu_test_{os.getpid()}_{next(self._numbers)}"


def _database_of(url: str) -> str:
    return url.rpartition("/")[2]


def _file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def _install(settings: Settings) -> None:
    hub = AppContext.open(settings, create_keys=True)
    with hub.database.transaction() as session:
        health_posts.install(session, hub, NOW)
        centre = health_posts.add_health_centre(session, hub, CENTRE, "64.02.06", actor="operator", now=NOW)
        for name in (FIRST_POST, SECOND_POST):
            health_posts.add_post(session, hub, name, centre, "64.02.06.1001", actor="operator", now=NOW)
    hub.database.dispose()


def _let_go(database: Database) -> None:
    """Wait until no request is at work; whoever asked may be gone, and a connection in use would be left open for good."""
    pool, deadline = cast(QueuePool, database.engine.pool), time.monotonic() + PATIENCE_SECONDS
    while pool.checkedout() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert pool.checkedout() == 0, "somebody keeps a session open"


@dataclass
class Clock:
    """The time of server and tablets; it stands still until a test lets it pass."""

    now: datetime = NOW

    def advance(self, **length: float) -> None:
        self.now += timedelta(**length)

    def text(self) -> str:
        return self.now.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class District:
    """An installed district: two posts, no tablet yet."""

    hub: AppContext
    databases: Databases
    posts: tuple[str, str]
    clock: Clock = field(default_factory=Clock)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @classmethod
    @contextmanager
    def opened(
        cls, databases: Databases, after: Story | None = None, **settings: Any
    ) -> Iterator["District"]:
        """Make a district on a database of its own, gone again afterwards. Nobody must have a second factor, unless told.

        Parameters
        ----------
        after : is played once for all that ask for it; its tablets are not there any more
        """
        now, number = NOW, 1
        if after is None:
            url, keys = databases.installed()
        else:
            url, keys, now, number = databases.after(after)
        chosen = {"database_url": url, "key_file": keys, "second_factor": False, **settings}
        own = databases.directory / f"data-of-{_database_of(url)}"
        own.mkdir()
        hub = AppContext.open(Settings.for_data(own, **chosen))
        with hub.database.reading() as session:
            found = {post.name: post.id for post in health_posts.posts(session, DISTRICT)}
        posts = found[FIRST_POST], found[SECOND_POST]
        district = cls(hub, databases, posts, Clock(now), count(number))
        try:
            yield district
        finally:
            for database in (
                hub.database,
                district.hub.database,
            ):  # a test may put a hub of its own in its place
                _let_go(database)
                database.dispose()
            databases.drop(url)
            shutil.rmtree(own, ignore_errors=True)

    def new_id(self) -> str:
        """Give an id in the form of a UUIDv7, the same in every run."""
        return f"01900000-0000-7000-8000-{next(self.numbers):012x}"

    # -- tablets ------------------------------------------------------------------------------------

    def tablet(self, post: int = 0, name: str = "Tablet Contoh") -> "FakeTablet":
        """Enrol a device for the first (0) or second (1) post, with a code as the health centre makes it."""
        key = SigningKey()
        tablet_id = self.enrol(key, post, name)
        return FakeTablet(self, key, Replica(DISTRICT, tablet_id, self.posts[post], "posyandu-sync/0.1.0"))

    def staff_tablet(self, home: str, *others: str) -> "FakeTablet":
        """Enrol a tablet of staff for some posts, by their ids."""
        key = SigningKey()
        tablet_id = self.enrol(key, home, "Tablet bidan", posts=others)
        return FakeTablet(
            self,
            key,
            Replica(DISTRICT, tablet_id, home, "posyandu-sync/0.1.0", posts=self.posts_of(tablet_id)),
        )

    def posts_of(self, tablet_id: str) -> list[Json]:
        """Give the posts of a tablet of staff as the server tells them; none for a tablet of one post."""
        with self.hub.database.reading() as session:
            several = bool(accounts.post_ids_of(session, DISTRICT, tablet_id))
            return [wire(post) for post in accounts.posts_of(session, DISTRICT, tablet_id)] if several else []

    def give_posts(self, tablet: "FakeTablet", *posts: str) -> None:
        """Make some posts those of a tablet of staff."""
        with self.hub.database.transaction() as session:
            accounts.change_posts(session, self.hub, tablet.id, posts, actor="operator", now=self.clock.now)

    def add_post(self, name: str) -> str:
        """Add a post of the same health centre; give its id."""
        with self.hub.database.transaction() as session:
            centre = session.scalars(select(HealthPost.health_centre_id)).first()
            return health_posts.add_post(
                session, self.hub, name, str(centre), "64.02.06.1001", actor="operator", now=self.clock.now
            )

    def enrol(
        self,
        key: SigningKey,
        post: int | str = 0,
        name: str = "Tablet Contoh",
        *,
        write_only: bool = False,
        posts: Sequence[str] | None = None,
    ) -> str:
        """Exchange a new code for the identity of a tablet: of the first or second post, or of one by its id."""
        with self.hub.database.transaction() as session:
            code = accounts.make_enrolment_code(
                session,
                self.hub,
                post if isinstance(post, str) else self.posts[post],
                name,
                actor="operator",
                now=self.clock.now,
                write_only=write_only,
                posts=posts,
            )
        asked = {"code": code, "public_key": key.jwk(), "app": "posyandu-sync/0.1.0", "device": "uji"}
        with self.hub.database.transaction() as session:
            return accounts.enrol(session, self.hub, parse_enrolment(asked), self.clock.now).id

    def revoke(self, tablet: "FakeTablet") -> None:
        with self.hub.database.transaction() as session:
            accounts.revoke_tablet(session, self.hub, tablet.id, actor="operator", now=self.clock.now)

    # -- the server's past --------------------------------------------------------------------------

    def back_up(self) -> str:
        """Copy the database; give the URL of the copy."""
        self.hub.database.dispose()
        return self.databases.copy(self.hub.settings.database_url)

    def restore(self, backup: str) -> None:
        """Put a copy back, as an operator does: everything since is gone and the incarnation is a new one."""
        self.hub.database.dispose()
        self.databases.replace(self.hub.settings.database_url, backup)
        with self.hub.database.transaction() as session:
            session.execute(update(table(Installation)).values(incarnation=self.new_id()))
            audit.append(
                session, DISTRICT, audit.OFFICE, "database.restored", actor="operator", now=self.clock.now
            )

    # -- what the server holds ----------------------------------------------------------------------

    def rows(self, statement: Any) -> list[Any]:
        """Give the rows of a query."""
        with self.hub.database.reading() as session:
            return list(session.execute(statement))

    def counts(self) -> dict[str, int]:
        """Count the rows of every table."""
        return {
            name: self.rows(text(f'SELECT count(*) FROM "{name}"'))[0][0]  # noqa: S608 - our own table names
            for name in Base.metadata.tables
        }

    def flags(self, child_id: str) -> dict[str, str]:
        """Give the rules that apply to a child, and the newest measurement that each speaks of."""
        found = select(Flag.rule, Flag.subject).where(Flag.child_id == child_id).order_by(Flag.subject)
        return {row.rule: row.subject for row in self.rows(found)}

    def attention(self, child_id: str) -> Any:
        """Give a child's row of the queue; None if there is none."""
        c = table(Attention).c
        rows = self.rows(select(table(Attention)).where(c.district == DISTRICT, c.child_id == child_id))
        return rows[0] if rows else None

    def actions(self, stream: str) -> list[str]:
        """Give what the log of a stream says, in order."""
        entry = Base.metadata.tables["audit_entry"].c
        found = select(entry.action).where(entry.stream == stream).order_by(entry.number)
        return [row.action for row in self.rows(found)]

    def broken_log(self) -> list[audit.Broken]:
        with self.hub.database.reading() as session:
            return audit.verify(session, DISTRICT)[1]

    def unbound(self) -> list[str]:
        """Give the rows that the log does not vouch for."""
        with self.hub.database.reading() as session:
            found = unbound_rows(session, DISTRICT, self.hub.vault.row_key(DISTRICT), [0])
            return [one.words() for one in found]

    def folded(self) -> dict[Ref, RecordState]:
        """Fold the ledger: every record that the server holds, from its changes alone."""
        with self.hub.database.reading() as session:
            children = list(session.scalars(select(Child.id)))
            held = ledger.subjects(session, self.hub.vault, DISTRICT, children)
            named = session.execute(select(ChangeRow.record_id, ChangeRow.child_id)).all()
            records = {
                str(record_id): child_id for record_id, child_id in named if record_id and child_id in held
            }
            found = ledger.histories(session, DISTRICT, held, records)
        states = (fold(history) for history in found.values() if history.changes)
        return {(state.kind, state.record_id): state for state in states}

    def stored(self) -> dict[Ref, tuple[str, RecordState]]:
        """Give every record as the tables hold it, and the post that it is published to."""
        found: dict[Ref, tuple[str, RecordState]] = {}
        with self.hub.database.reading() as session:
            children = {child.id: child for child in session.scalars(select(Child))}
            keys = ledger.subjects(session, self.hub.vault, DISTRICT, list(children))
            for child in children.values():
                if child.state is not None:
                    wire = orjson.loads(
                        ledger.read_child(DISTRICT, child.id, child.state, keys[child.id].key)
                    )
                    state = RecordState.from_wire("child", child.id, {}, wire)
                    found["child", child.id] = (child.post_id, state)
            for row in session.scalars(select(Measurement)):
                on = row.measured_on.isoformat()
                key = {"child": row.child_id, "measured_on": on, "source": row.source}
                record_id = measurement_id(row.child_id, on, row.source)
                wire = orjson.loads(ledger.read_measurement(DISTRICT, record_id, row, keys[row.child_id].key))
                state = RecordState.from_wire("measurement", record_id, key, wire)
                assert row.post_id == children[row.child_id].post_id
                found["measurement", record_id] = (row.post_id, state)
            for todo in session.scalars(select(FollowUp)):
                key = {"child": todo.child_id, "task": todo.task}
                record_id = follow_up_id(todo.child_id, todo.task)
                stored = ledger.read_keyed(DISTRICT, "follow_up", record_id, todo, keys[todo.child_id].key)
                state = RecordState.from_wire("follow_up", record_id, key, orjson.loads(stored))
                assert todo.post_id == children[todo.child_id].post_id
                found["follow_up", record_id] = (todo.post_id, state)
            for aid in session.scalars(select(Delivery)):
                key = {"child": aid.child_id, "delivery": aid.delivery}
                record_id = delivery_id(aid.child_id, aid.delivery)
                stored = ledger.read_keyed(DISTRICT, "delivery", record_id, aid, keys[aid.child_id].key)
                state = RecordState.from_wire("delivery", record_id, key, orjson.loads(stored))
                assert aid.post_id == children[aid.child_id].post_id
                found["delivery", record_id] = (aid.post_id, state)
        return found

    def check_agreement(self, *tablets: "FakeTablet") -> None:
        """Check that ledger, tables and the tablets' screens are the same, byte for byte, and that the log is whole."""
        stored, folded = self.stored(), self.folded()
        assert {ref: state.canonical() for ref, (_, state) in stored.items()} == {
            ref: state.canonical() for ref, state in folded.items()
        }
        for tablet in tablets:
            posts = {post["id"] for post in tablet.replica.posts} or {tablet.replica.post_id}
            mine = {ref: s.canonical() for ref, (post, s) in stored.items() if post in posts}
            assert tablet.shown() == mine
        self._check_sums()
        assert self.broken_log() == []
        assert self.unbound() == []

    def _check_sums(self) -> None:
        """Received = applied + merged + duplicate + superseded + conflict + quarantined, by batch and by tablet."""
        for row in self.rows(text("SELECT details FROM audit_entry WHERE action = 'batch.accepted'")):
            batch = orjson.loads(row.details)
            assert sum(batch["outcomes"].values()) == batch["received"]
        held: dict[str, list[int]] = {}
        for row in self.rows(select(ChangeRow.actor, ChangeRow.counter).order_by(ChangeRow.counter)):
            held.setdefault(row.actor, []).append(row.counter)
        for row in self.rows(text("SELECT id, last_counter FROM tablet")):
            assert held.get(str(row.id), []) == list(range(1, row.last_counter + 1))

    def settle(self, *tablets: "FakeTablet") -> None:
        """Let every tablet sync until nobody has news for anybody, then check that all agree."""
        for _ in range(10):
            news = [bool(tablet.replica.unanswered()) for tablet in tablets]
            before = [tablet.shown() for tablet in tablets]
            for tablet in tablets:
                tablet.sync_until_quiet()
            if not any(news) and [tablet.shown() for tablet in tablets] == before:
                break
        self.check_agreement(*tablets)


class FakeTablet:
    """A tablet in a cadre's hands: the reference client, a key of its own, and a line that may fail."""

    def __init__(self, district: District, key: SigningKey, replica: Replica) -> None:
        self.district, self.key, self.replica = district, key, replica
        self.answers: list[dict[str, Any]] = []

    @property
    def id(self) -> str:
        return self.replica.tablet_id

    # -- what the cadre does ------------------------------------------------------------------------

    def write(self, form: Form, registers: Mapping[str, Json]) -> Change:
        """Save an open form."""
        nonce = base64url(next(self.district.numbers).to_bytes(16, "big"))
        at = self.district.clock.text()
        return self.replica.write(form, registers, author="kader-contoh", recorded_at=at, nonce=nonce)

    def register_child(self, child_id: str | None = None, /, **registers: Json) -> str:
        """Register a child, an identity given or not; the other registers as given. Gives the child's id."""
        child_id = child_id or self.district.new_id()
        self.write(self.replica.open_child(child_id), {"identity": identity(), **registers})
        return child_id

    def edit_child(self, child_id: str, **registers: Json) -> Change:
        return self.write(self.replica.open_child(child_id), registers)

    def measure(
        self, child_id: str, on: str = "2026-03-05", /, source: str = "cadre", **values: Any
    ) -> Change:
        """Measure a child: `weight_g`, `oedema`, `length_mm`, `position`, `muac_mm`, `head_mm`, `note`."""
        return self.write(self.replica.open_measurement(child_id, on, source), measured(**values))

    def remove(self, child_id: str, on: str, reason: str | None = "salah anak") -> Change:
        return self.write(self.replica.open_measurement(child_id, on), {"removed": {"reason": reason}})

    def set_task(self, child_id: str, task: str | None = None, /, **fields: Any) -> str:
        """Write down something to be done for a child: `action` and other fields of a task. Gives the task's id."""
        task = task or self.district.new_id()
        self.write(self.replica.open_follow_up(child_id, task), {"task": to_do(**fields)})
        return task

    def set_result(self, child_id: str, task: str, outcome: str = "done", /, **fields: Any) -> Change:
        """Tell what came of something that was to be done."""
        form = self.replica.open_follow_up(child_id, task)
        return self.write(form, {"result": what_came(outcome, **fields)})

    def shown(self) -> dict[Ref, bytes]:
        """Give what the screen shows of every record of this post, as canonical bytes."""
        waiting = {(entry.change.kind, entry.change.record_id) for entry in self.replica.unanswered()}
        views = {ref: self.replica.view(ref) for ref in self.replica.base.keys() | waiting}
        return {ref: view.canonical() for ref, view in views.items() if view is not None}

    def state(self, child_id: str, on: str | None = None, source: str = "cadre") -> RecordState:
        """Give a child's record, or its measurement of a day, as this tablet shows it."""
        ref = ("child", child_id) if on is None else ("measurement", measurement_id(child_id, on, source))
        view = self.replica.view(ref)
        assert view is not None
        return view

    def follow_up(self, child_id: str, task: str) -> RecordState:
        """Give a follow-up as this tablet shows it."""
        view = self.replica.view(("follow_up", follow_up_id(child_id, task)))
        assert view is not None
        return view

    # -- what the device does -----------------------------------------------------------------------

    def next_message(self, **limits: int) -> bytes:
        """Give the bytes to send: the pending batch or a new one, signed."""
        batch = self.replica.next_batch(self.district.new_id(), self.district.clock.text(), **limits)
        return self.signed(batch)

    def signed(self, batch: Json) -> bytes:
        return orjson.dumps({"batch": batch, "signature": base64url(self.key.sign(canonical(batch)))})

    def send(self, message: bytes) -> dict[str, Any]:
        """Carry bytes to the server and its answer back, without taking it in."""
        answer = orjson.loads(self.send_raw(message))
        assert check_answer(answer) == []
        self.answers.append(answer)
        return answer

    def send_raw(self, message: bytes) -> bytes:
        district = self.district
        return sync.exchange(
            district.hub, orjson.loads(message), size_bytes=len(message), now=district.clock.now
        )

    def sync(self, **limits: int) -> list[Event]:
        """Sync once, over a good line."""
        return self.replica.receive(self.send(self.next_message(**limits)), self.district.clock.text())

    def lose_answer(self, **limits: int) -> dict[str, Any]:
        """Sync once; the server takes the batch and the line fails before the answer is here."""
        return self.send(self.next_message(**limits))

    def carry(self) -> None:
        """Let somebody else carry what is not acknowledged, and bring the receipts back."""
        for batch in self.replica.carried_batches(self.district.new_id, self.district.clock.text()):
            answer = self.send(self.signed(batch))
            self.replica.receive_carried(Receipt.from_wire(answer["receipt"]), self.district.clock.text())

    def sync_until_quiet(self, **limits: int) -> None:
        """Sync until everything is sent and everything is fetched."""
        for _ in range(200):
            events = self.sync(**limits)
            if any(isinstance(event, NewEpochRequired) for event in events):
                self.enrol_anew()
            elif not self.replica.unanswered() and not getattr(events[-1], "more", True):
                return
        raise AssertionError("this tablet never comes to rest")

    def enrol_anew(self) -> None:
        """Enrol this device again, as the app does when the server asks for it: number anew what the server lacks."""
        key = SigningKey()
        first, tags = self.replica.kept_tags()
        asked = {
            "tablet": self.id,
            "public_key": key.jwk(),
            "app": self.replica.app,
            "device": "uji",
            "first": first,
            "tags": tags,
        }
        signed = {"request": asked, "signature": base64url(self.key.sign(canonical(asked)))}
        district = self.district
        with district.hub.database.transaction() as session:
            request = parse_enrolment_again(signed)
            tablet, common = accounts.enrol_again(session, district.hub, request, district.clock.now)
            new_id = tablet.id
        self.key = key
        self.replica = self.replica.enrol_anew(new_id, common, district.posts_of(new_id))

    def clone(self) -> "FakeTablet":
        """Copy the device, key and all: a backup kept, or a second device restored from one."""
        return FakeTablet(self.district, self.key, copy.deepcopy(self.replica))

    def outcomes(self) -> list[str]:
        """Give what became of each change, in order; "waiting" while unanswered."""
        return [entry.item.outcome.value if entry.item else "waiting" for entry in self.replica.log]

    def reasons(self, counter: int) -> list[str]:
        """Give the codes with which a change was set aside."""
        item = self.replica.log[counter - 1 - self.replica.forgotten].item
        assert item is not None
        assert item.outcome is Outcome.QUARANTINED
        return [reason["code"] for reason in item.reasons]


def identity(**overrides: Any) -> dict[str, Any]:
    """Give the identity of a made-up boy born on 10 January 2025."""
    return {"name": "Anak Contoh", "sex": "M", "born_on": "2025-01-10", "birth_order": 1, **overrides}


def to_do(action: str = "remeasure", **fields: Any) -> dict[str, Any]:
    """Give the task register of a follow-up."""
    return {"action": action, "reason": None, "due_on": None, "assigned_to": None, **fields}


def what_came(outcome: str = "done", **fields: Any) -> dict[str, Any]:
    """Give the result register of a follow-up."""
    return {"done_on": "2026-03-05", "outcome": outcome, **fields}


def measured(
    *,
    weight_g: int | None = None,
    oedema: str | None = None,
    length_mm: int | None = None,
    position: str | None = "lying",
    **others: Any,
) -> dict[str, Json]:
    """Give the registers of a measurement; those of which nothing is said are left out."""
    registers: dict[str, Json] = {}
    if weight_g is not None or oedema is not None:
        registers["weight"] = {"weight_g": weight_g, "oedema": oedema}
    if length_mm is not None:
        registers["length"] = {"length_mm": length_mm, "position": position}
    if "muac_mm" in others:
        registers["muac"] = {"muac_mm": others["muac_mm"]}
    if "head_mm" in others:
        registers["head"] = {"head_mm": others["head_mm"]}
    if "note" in others:
        registers["note"] = {"text": others["note"]}
    return registers


def answered(events: Sequence[Event]) -> list[str]:
    """Give the outcomes that a sync brought."""
    return [
        item.outcome.value for event in events if isinstance(event, Answered) for item in event.receipt.items
    ]


def sqlite_file(district: District) -> Path:
    """Give the file of a district on SQLite."""
    return _file_of(district.hub.settings.database_url)


def random_uuid(rng: random.Random) -> str:
    """Give a UUID from a seed."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


@contextmanager
def behind_its_back(district: District) -> Iterator[Connection]:
    """Open a transaction that the server's own guards do not see: for rows of an earlier release, and damaged ones."""
    engine = create_engine(district.hub.settings.database_url)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def sqlite_connection(district: District) -> sqlite3.Connection:
    """Open the file behind the server's back, as somebody who alters data would."""
    return sqlite3.connect(sqlite_file(district))
