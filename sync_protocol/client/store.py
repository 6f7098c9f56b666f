"""A replica on a disk: one SQLite file that holds everything a tablet must not lose.

Hides the tables, and how it is found out what has changed. Rules kept here:

- What is done within `changing` is completely on the disk when the block ends or, after an error (a full disk), undone in
  memory, too: this process shows what a restart would show. A kill at any instruction leaves one or the other.
- Only what changed is written: a new change is one row.
- A file can be open only once: a second process that numbers changes of the same enrolment would be a clone.
- The log is read only if its hashes chain: damage is reported as an error, and nothing of the file is sent.

Children's names are stored unencrypted: keep the file where the device encrypts its storage.
"""

import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from sync_protocol._errors import LocalProtocolError
from sync_protocol._pages import Ref
from sync_protocol._records import Change, Item, Outcome, RecordState, change_hash
from sync_protocol._replica import Logged, Replica
from sync_protocol._vectors import Dot

_APPLICATION: Final = 0x706F7379
"""The letters "posy" as SQLite's application_id, so that no other SQLite file is taken for a store."""
_VERSION: Final = 1
_TABLES: Final = """
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE letter (name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE change (counter INTEGER PRIMARY KEY, hash TEXT NOT NULL, wire TEXT NOT NULL, item TEXT, acknowledged_at TEXT);
CREATE TABLE state (kind TEXT, id TEXT, key TEXT NOT NULL, wire TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID;
"""
_OF_REPLICA: Final = (
    "district",
    "tablet_id",
    "post_id",
    "app",
    "forgotten",
    "forgotten_hash",
    "cursor",
    "incarnation",
    "sent_up_to",
    "pulled_at",
    "token",
    "carried",
    "past",
    *("posts", "cursors", "homes"),
)
"""The replica's fields that are stored as facts; its log, base and pending batch (the pending request BATCH) have tables."""
BATCH: Final = "batch"

Row = tuple[Change, Item | None, str | None]
Name = TypeVar("Name")
Value = TypeVar("Value")


@dataclass(slots=True)
class _Written:
    """What the file holds, as the same objects that were written: a different object now means a change."""

    facts: dict[str, str] = field(default_factory=dict)
    letters: dict[str, bytes] = field(default_factory=dict)
    rows: dict[int, Row] = field(default_factory=dict)
    states: dict[Ref, RecordState] = field(default_factory=dict)


class Store:
    """An open store. Get one with `open`.

    Attributes
    ----------
    facts : the client's own data, JSON values by name
    letters : pending requests, as they are sent, by name; kept until they are answered
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._lock = threading.RLock()
        self._written = _Written()
        self._replica: Replica | None = None
        self.facts: dict[str, Any] = {}
        self.letters: dict[str, bytes] = {}
        self._read()

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, create: bool = False) -> "Store":
        """Open a file, or make one.

        Parameters
        ----------
        path : the file; SQLite keeps its log beside it while it is open
        create : make it if it does not exist (readable by its owner alone)

        Raises
        ------
        LocalProtocolError
            `store-missing`, `store-in-use` (it is open already, here or in another process), `store-foreign` (not a
            store, or one of a later version), `store-damaged`.
        """
        file = Path(path)
        if create:
            os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
        elif not file.is_file():
            raise LocalProtocolError("store-missing", f"there is no store {file}: enrol first")
        database = sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=0.2)
        try:
            _prepare(database, create=create)
            return cls(database)
        except sqlite3.OperationalError as error:
            database.close()
            raise LocalProtocolError("store-in-use", f"{file} cannot be opened: {error}") from error
        except sqlite3.DatabaseError as error:
            database.close()
            raise LocalProtocolError("store-damaged", f"{file} cannot be read: {error}") from error
        except BaseException:
            database.close()
            raise

    @property
    def replica(self) -> Replica:
        """The replica; change it only within `changing`. LocalProtocolError `not-enrolled` if there is none yet."""
        if self._replica is None:
            raise LocalProtocolError("not-enrolled", "this store was never enrolled: enrol first")
        return self._replica

    @replica.setter
    def replica(self, replica: Replica) -> None:
        self._replica = replica

    @property
    def is_enrolled(self) -> bool:
        return self._replica is not None

    @contextmanager
    def looking(self) -> Iterator[Replica]:
        """Lock the replica while it is read."""
        with self._lock:
            yield self.replica

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Change the replica, facts or pending requests: when the block ends, all is on the disk, or nothing was done."""
        with self._lock:
            try:
                yield
                self._save()
            except BaseException:
                self._read()  # drop what is not on the disk
                raise

    def reread(self) -> Replica:
        """Return the replica as a restart would read it; the one in use is not touched."""
        with self._lock:
            return _read_replica(self._database, _facts(self._database), _letters(self._database))

    def copy_to(self, path: str | os.PathLike[str]) -> None:
        """Copy what is on the disk to another file, as a backup of the device would."""
        with self._lock:
            target = sqlite3.connect(path)
            try:
                self._database.backup(target)
            finally:
                target.close()

    def close(self) -> None:
        """Close the file; everything is written already."""
        with self._lock:
            self._database.close()

    # -- reading ------------------------------------------------------------------------------------

    def _read(self) -> None:
        stored, self.letters = _facts(self._database), _letters(self._database)
        self._replica = None
        if "tablet_id" in stored:
            self._replica = _read_replica(self._database, stored, self.letters)
        self.facts = {name: json.loads(value) for name, value in stored.items() if name not in _OF_REPLICA}
        self._written = self._present()

    def _present(self) -> _Written:
        """Return what should be on the disk."""
        replica = self._replica
        if replica is None:
            return _Written({name: _json(value) for name, value in self.facts.items()}, dict(self.letters))
        of_replica = {name: getattr(replica, name) for name in _OF_REPLICA}
        return _Written(
            {name: _json(value) for name, value in {**self.facts, **of_replica}.items()},
            dict(self.letters),
            {e.change.dot.counter: (e.change, e.item, e.acknowledged_at) for e in replica.log},
            dict(replica.base),
        )

    # -- writing ------------------------------------------------------------------------------------

    def _save(self) -> None:
        present, before, run = self._present(), self._written, self._database.executemany
        facts, no_facts = _difference(before.facts, present.facts)
        letters, no_letters = _difference(before.letters, present.letters)
        rows, no_rows = _difference(before.rows, present.rows)
        states, no_states = _difference(before.states, present.states)
        self._database.execute("BEGIN IMMEDIATE")
        try:
            run("DELETE FROM fact WHERE name = ?", ([name] for name in no_facts))
            run("REPLACE INTO fact VALUES (?, ?)", facts.items())
            run("DELETE FROM letter WHERE name = ?", ([name] for name in no_letters))
            run("REPLACE INTO letter VALUES (?, ?)", letters.items())
            run("DELETE FROM change WHERE counter = ?", ([counter] for counter in no_rows))
            run("REPLACE INTO change VALUES (?, ?, ?, ?, ?)", map(_stored_change, rows.values()))
            run("DELETE FROM state WHERE kind = ? AND id = ?", no_states)
            run("REPLACE INTO state VALUES (?, ?, ?, ?)", map(_stored_state, states.values()))
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise
        self._written = present


def _prepare(database: sqlite3.Connection, *, create: bool) -> None:
    """Lock the file for this connection, make every commit durable, and check that the file is a store."""
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    application, version = (
        database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
    )
    empty = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if create and empty and (application, version) == (0, 0):
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(
            f"BEGIN EXCLUSIVE;{_TABLES}PRAGMA application_id = {_APPLICATION};"
            f"PRAGMA user_version = {_VERSION};COMMIT;"
        )
    elif (application, version) != (_APPLICATION, _VERSION):
        raise LocalProtocolError(
            "store-foreign", "this is no store of a tablet, or one of a later version: it was left alone"
        )
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("BEGIN EXCLUSIVE")  # the lock stays with the connection
    database.execute("COMMIT")


def _facts(database: sqlite3.Connection) -> dict[str, str]:
    return dict(database.execute("SELECT name, value FROM fact"))


def _letters(database: sqlite3.Connection) -> dict[str, bytes]:
    return dict(database.execute("SELECT name, body FROM letter"))


def _read_replica(
    database: sqlite3.Connection, stored: Mapping[str, str], letters: Mapping[str, bytes]
) -> Replica:
    replica = Replica(**{name: json.loads(stored[name]) for name in _OF_REPLICA if name in stored})
    if BATCH in letters:
        replica.pending = json.loads(letters[BATCH])["batch"]
    previous = replica.forgotten_hash
    rows = database.execute("SELECT counter, hash, wire, item, acknowledged_at FROM change ORDER BY counter")
    for expected, (counter, hash_, text, item, acknowledged_at) in enumerate(rows, replica.forgotten + 1):
        dot, wire = Dot(replica.tablet_id, counter), json.loads(text)
        erased = not wire["set"]  # only its hash is left
        if counter != expected or not (erased or change_hash(dot, previous, wire) == hash_):
            raise LocalProtocolError("store-damaged", f"change {expected} is missing or altered")
        change = Change.from_wire(dot, wire, hash_)
        replica.log.append(Logged(change, previous, _item(item), acknowledged_at))
        previous = hash_
    for kind, record_id, key, text in database.execute("SELECT kind, id, key, wire FROM state"):
        state = RecordState.from_wire(kind, record_id, json.loads(key), json.loads(text))
        replica.base[kind, record_id] = state
    return replica


def _item(text: str | None) -> Item | None:
    if text is None:
        return None
    counter, outcome, reasons = json.loads(text)
    return Item(counter, Outcome(outcome), tuple(reasons))


def _stored_change(row: Row) -> tuple[Any, ...]:
    change, item, acknowledged_at = row
    answered = None if item is None else _json([item.counter, item.outcome.value, list(item.reasons)])
    return change.dot.counter, change.hash, _json(change.wire()), answered, acknowledged_at


def _stored_state(state: RecordState) -> tuple[str, str, str, str]:
    return state.kind, state.record_id, _json(dict(state.key)), _json(state.wire())


def _difference(
    before: Mapping[Name, Value], present: Mapping[Name, Value]
) -> tuple[dict[Name, Value], list[Name]]:
    """Return what is new or a different object, and the names of what is gone."""
    new = {name: value for name, value in present.items() if not _same(before.get(name), value)}
    return new, [name for name in before if name not in present]


def _same(one: object, other: object) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return all(a is b for a, b in zip(one, other, strict=True))
    return one is other or (isinstance(one, str | bytes) and one == other)


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
