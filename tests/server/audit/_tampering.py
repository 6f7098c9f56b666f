"""Alter the log in every way that somebody with the database's password could, and see whether it is found.

`python -m tests.server.audit._tampering 1000` alters a log 1,000 times on SQLite (`--postgresql`: there too), each time
in a transaction that is rolled back after `audit.verify` was asked, with the last checkpoint kept elsewhere. Between the
alterations honest logs that grew are verified, which must be found whole.

What a checkpoint cannot show is not tried: entries written after it and hashed anew together with everything that follows.
"""

import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from server import audit
from server.audit import checkpoints
from server.audit.checkpoints import KeptCheckpoint, StreamHead, heads_digest, peaks_text, read_kept
from server.audit.merkle import Growing
from server.crypto.vault import Keys, Vault, base64url
from server.database.engine import end
from sync_protocol import canonical, digest
from tests._postgres import postgres_server
from tests.server._district import DISTRICT, Databases, District

COLUMNS: Final = ("at", "actor", "action", "details", "hash")
STRANGER: Final = Vault(Keys({1: b"x" * 32}, b"i" * 32, "s"), DISTRICT)
HONEST_EVERY: Final = 5
"""After so many alterations an honest log is looked at."""


class Undo(Exception):
    """Ends the transaction of one alteration."""


@dataclass
class Log:
    """The log's rows as they are now, and the way to change them."""

    session: Session
    rng: random.Random
    kept: KeptCheckpoint
    now: datetime
    entries: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def do(self, sql: str, /, **given: Any) -> None:
        self.session.execute(text(sql), {"district": DISTRICT, **given})

    def rows(self, sql: str, /, **given: Any) -> list[dict[str, Any]]:
        found = self.session.execute(text(sql), {"district": DISTRICT, **given})
        return [dict(row._mapping) for row in found]

    def load(self) -> None:
        for row in self.rows("SELECT * FROM audit_entry ORDER BY stream, number"):
            self.entries.setdefault(row["stream"], []).append(row)

    @property
    def marks(self) -> dict[str, int]:
        """How far the kept checkpoint covers each stream."""
        return {head.stream: head.entries for head in self.kept.heads}

    def any_stream(self, least: int = 1) -> str:
        return self.rng.choice([name for name, rows in sorted(self.entries.items()) if len(rows) >= least])

    def any_entry(self) -> dict[str, Any]:
        return self.rng.choice(self.entries[self.any_stream()])

    def write(self, stream: str, rows: list[dict[str, Any]], *, head: bool = True) -> None:
        """Put other rows in the place of a stream's, and its head with them if told."""
        self.do("DELETE FROM audit_entry WHERE stream = :stream", stream=stream)
        for row in rows:
            self.do(
                "INSERT INTO audit_entry (district, stream, number, at, actor, action, details, hash)"
                " VALUES (:district, :stream, :number, :at, :actor, :action, :details, :hash)",
                **row,
            )
        if head and rows:
            self.do(
                "UPDATE audit_stream SET entries = :entries, head_hash = :hash WHERE stream = :stream",
                entries=rows[-1]["number"],
                hash=rows[-1]["hash"],
                stream=stream,
            )


Expected = tuple[str, int] | tuple[str, None]
"""Which stream, or checkpoint, must be named, and which entry first, where that can be told."""


def another(rng: random.Random, column: str, value: Any) -> Any:
    """Give another value for a column."""
    if column == "at":
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        return (moment + timedelta(microseconds=rng.choice([1, -1, 10**6, 86_400 * 10**6]))).isoformat(
            timespec="microseconds"
        )
    if column == "details":
        return rng.choice(
            [
                '{"number":-1}',
                "[]",
                "gone",
                "{}  ,",
                value[:-1] + ',"more":1}' if len(value) > 2 else '{"a":1}',
            ]
        )
    if column == "hash":
        return base64url(rng.randbytes(32))
    return value + rng.choice(["x", " ", ".", "é"])


# -- entries ----------------------------------------------------------------------------------------


def edit_entry(log: Log) -> Expected:
    row, column = log.any_entry(), log.rng.choice(COLUMNS)
    value = another(log.rng, column, row[column])
    where = "WHERE stream = :stream AND number = :number"
    log.do(
        f"UPDATE audit_entry SET {column} = :value {where}",  # noqa: S608 - our own columns
        value=value,
        stream=row["stream"],
        number=row["number"],
    )
    return row["stream"], row["number"]


def delete_entries(log: Log) -> Expected:
    row, count = log.any_entry(), log.rng.choice([1, 1, 2, 5])
    log.do(
        "DELETE FROM audit_entry WHERE stream = :stream AND number BETWEEN :first AND :last",
        stream=row["stream"],
        first=row["number"],
        last=row["number"] + count - 1,
    )
    return row["stream"], row["number"]


def delete_and_number_anew(log: Log) -> Expected:
    stream = log.any_stream(3)
    rows = log.entries[stream]
    at = log.rng.randrange(len(rows) - 1)
    left = [{**row, "number": number} for number, row in enumerate(rows[:at] + rows[at + 1 :], 1)]
    log.write(stream, left)
    return stream, at + 1


def insert_entry(log: Log) -> Expected:
    stream = log.any_stream()
    rows = log.entries[stream]
    at = log.rng.randrange(len(rows) + 1)
    new = {**log.any_entry(), "stream": stream, "actor": "account:nobody"}
    if log.rng.random() < 0.5:  # one that follows well from the one before it
        hash_ = hash_of(new, at + 1, rows[at - 1]["hash"] if at else "")
        new["hash"] = hash_
    more = [{**row, "number": number} for number, row in enumerate([*rows[:at], new, *rows[at:]], 1)]
    log.write(stream, more, head=at < len(rows) or log.rng.random() < 0.5)
    if at == len(rows):
        # a well-made entry at the very end, with its head, is what the log itself would write: not without the head
        log.do("UPDATE audit_stream SET entries = :n WHERE stream = :stream", n=len(rows), stream=stream)
    return stream, None


def swap_entries(log: Log) -> Expected:
    stream = log.any_stream(2)
    rows = log.entries[stream]
    one, other = sorted(log.rng.sample(range(len(rows)), 2))
    swapped = list(rows)
    swapped[one] = {**rows[other], "number": one + 1}
    swapped[other] = {**rows[one], "number": other + 1}
    log.write(stream, swapped, head=log.rng.random() < 0.5)
    return stream, one + 1


def move_entry(log: Log) -> Expected:
    row = log.any_entry()
    other = log.rng.choice([name for name in log.entries if name != row["stream"]])
    log.do(
        "UPDATE audit_entry SET stream = :other, number = 9999 WHERE stream = :stream AND number = :number",
        other=other,
        stream=row["stream"],
        number=row["number"],
    )
    return row["stream"], row["number"]


def hide_entry(log: Log) -> Expected:
    row = log.any_entry()
    log.do(
        "UPDATE audit_entry SET district = '99.99' WHERE stream = :stream AND number = :number",
        stream=row["stream"],
        number=row["number"],
    )
    return row["stream"], row["number"]


# -- as somebody would who knows the program ----------------------------------------------------------


def hash_of(row: dict[str, Any], number: int, previous: str) -> str:
    moment = row["at"] if isinstance(row["at"], datetime) else datetime.fromisoformat(row["at"])
    content = (moment, row["actor"], row["action"], json.loads(row["details"]), previous)
    return audit.entry_hash(DISTRICT, row["stream"], number, *content)


def chained(rows: list[dict[str, Any]], first: int) -> list[dict[str, Any]]:
    """Number rows anew and hash them anew from a place on."""
    done = list(rows[:first])
    for row in rows[first:]:
        previous = done[-1]["hash"] if done else ""
        number = len(done) + 1
        done.append({**row, "number": number, "hash": hash_of(row, number, previous)})
    return done


def rewrite_tail(log: Log) -> Expected:
    """Edit, remove or insert an entry that the checkpoint covers, and hash all that follows anew."""
    stream = log.rng.choice([name for name, count in sorted(log.marks.items()) if count >= 2])
    rows, at = log.entries[stream], log.rng.randrange(log.marks[stream])
    how = log.rng.choice(["edit", "remove", "insert", "swap"])
    if how == "edit":
        rows = [*rows[:at], {**rows[at], "actor": "account:nobody"}, *rows[at + 1 :]]
    elif how == "remove":
        rows = [*rows[:at], *rows[at + 1 :]]
    elif how == "insert":
        rows = [*rows[:at], {**rows[at], "action": "test.never"}, *rows[at:]]
    else:
        at = min(at, log.marks[stream] - 2)
        rows = [*rows[:at], rows[at + 1], rows[at], *rows[at + 2 :]]
    log.write(stream, chained(rows, at))
    return stream, None


def cut_tail(log: Log) -> Expected:
    """Cut a stream below what the checkpoint covers, and turn its head back."""
    stream = log.rng.choice([name for name, count in sorted(log.marks.items()) if count >= 2])
    left = log.rng.randrange(1, log.marks[stream])
    log.write(stream, log.entries[stream][:left])
    return stream, left + 1


def drop_stream(log: Log) -> Expected:
    stream = log.rng.choice(sorted(log.marks))
    log.do("DELETE FROM audit_entry WHERE stream = :stream", stream=stream)
    log.do("DELETE FROM audit_stream WHERE stream = :stream", stream=stream)
    return stream, 1


def rewrite_everything(log: Log) -> Expected:
    """Alter an entry, hash the tail anew, and make every checkpoint anew, with old signatures or with a stranger's key."""
    stream, _ = rewrite_tail(log)
    remake_checkpoints(log, signed=log.rng.random() < 0.5)
    return stream, None


def remake_checkpoints(log: Log, *, signed: bool) -> None:
    """Make the stored checkpoints fit the entries as they now are."""
    found = log.rows("SELECT stream, number, hash FROM audit_entry WHERE district = :district")
    hashes = {(row["stream"], row["number"]): row["hash"] for row in found}
    tree, heads, previous = Growing(), dict[str, StreamHead](), ""
    for row in log.rows("SELECT * FROM audit_checkpoint ORDER BY number"):
        leaves = log.rows("SELECT * FROM audit_leaf WHERE checkpoint = :n", n=row["number"])
        for leaf in sorted(leaves, key=lambda leaf: leaf["stream"]):
            hash_ = hashes.get((leaf["stream"], leaf["entries"]), leaf["hash"])
            head = StreamHead(leaf["stream"], leaf["entries"], hash_)
            tree.add(head.leaf())
            heads[head.stream] = head
            log.do(
                "UPDATE audit_leaf SET hash = :hash WHERE checkpoint = :n AND stream = :stream",
                hash=hash_,
                n=row["number"],
                stream=head.stream,
            )
        statement = json.loads(row["statement"]) | {
            "root": base64url(tree.root()),
            "heads": heads_digest(heads.values()),
            "previous": previous,
        }
        signatures = json.loads(row["signatures"])
        if signed:
            statement["keys"] = sorted(STRANGER.checkpoint_keys())
            signatures = STRANGER.sign_checkpoint(canonical(statement))
        previous = digest(statement)
        log.do(
            "UPDATE audit_checkpoint SET statement = :statement, signatures = :signatures, peaks = :peaks"
            " WHERE number = :n",
            statement=canonical(statement).decode(),
            signatures=canonical(signatures).decode(),
            peaks=peaks_text(tree),
            n=row["number"],
        )


# -- heads, checkpoints, leaves ---------------------------------------------------------------------


def edit_head(log: Log) -> Expected:
    stream = log.any_stream()
    if log.rng.random() < 0.5:
        change = log.rng.choice([-1, 1, 5])
        log.do("UPDATE audit_stream SET entries = entries + :n WHERE stream = :s", n=change, s=stream)
    else:
        other = base64url(log.rng.randbytes(32))
        log.do("UPDATE audit_stream SET head_hash = :h WHERE stream = :s", h=other, s=stream)
    return stream, None


def drop_head(log: Log) -> Expected:
    stream = log.any_stream()
    log.do("DELETE FROM audit_stream WHERE stream = :s", s=stream)
    return stream, 1


def rename_stream(log: Log) -> Expected:
    stream = log.rng.choice(sorted(log.marks))
    for name in ("audit_entry", "audit_stream"):
        log.do(f"UPDATE {name} SET stream = 'post/other' WHERE stream = :s", s=stream)  # noqa: S608
    return stream, 1


def edit_checkpoint(log: Log) -> Expected:
    row = log.rng.choice(log.rows("SELECT * FROM audit_checkpoint ORDER BY number"))
    column = log.rng.choice(["statement", "signatures", "peaks", "statement"])
    value = json.loads(row[column])
    if column == "peaks":
        value[log.rng.randrange(len(value))] = base64url(log.rng.randbytes(32))
    else:
        key = log.rng.choice(sorted(value))
        part = value[key]
        value[key] = (
            part + 1 if isinstance(part, int) else [*part, "x"] if isinstance(part, list) else part + "x"
        )
    log.do(
        f"UPDATE audit_checkpoint SET {column} = :value WHERE number = :n",  # noqa: S608 - our own columns
        value=canonical(value).decode(),
        n=row["number"],
    )
    return "checkpoint", row["number"]


def drop_checkpoints(log: Log) -> Expected:
    """Delete one, its leaves with it or not, or all from one on."""
    numbers = [row["number"] for row in log.rows("SELECT number FROM audit_checkpoint ORDER BY number")]
    first = log.rng.choice(numbers)
    last = log.rng.choice([first, numbers[-1]])
    given = {"first": first, "last": last}
    if log.rng.random() < 0.7:
        log.do("DELETE FROM audit_leaf WHERE checkpoint BETWEEN :first AND :last", **given)
    log.do("DELETE FROM audit_checkpoint WHERE number BETWEEN :first AND :last", **given)
    return "checkpoint", first


def swap_checkpoints(log: Log) -> Expected:
    rows = log.rows("SELECT * FROM audit_checkpoint ORDER BY number")
    one, other = sorted(log.rng.sample(range(len(rows)), 2))
    for place, row in ((one, rows[other]), (other, rows[one])):
        log.do(
            "UPDATE audit_checkpoint SET statement = :statement, signatures = :signatures, peaks = :peaks"
            " WHERE number = :n",
            **{name: row[name] for name in ("statement", "signatures", "peaks")},
            n=rows[place]["number"],
        )
    return "checkpoint", rows[one]["number"]


def edit_leaf(log: Log) -> Expected:
    row = log.rng.choice(log.rows("SELECT * FROM audit_leaf ORDER BY checkpoint, stream"))
    column = log.rng.choice(["entries", "hash", "stream"])
    value = row["entries"] + 1 if column == "entries" else row[column] + "x"
    log.do(
        f"UPDATE audit_leaf SET {column} = :value WHERE checkpoint = :n AND stream = :s",  # noqa: S608 - as above
        value=value,
        n=row["checkpoint"],
        s=row["stream"],
    )
    return "checkpoint", row["checkpoint"]


def drop_leaf(log: Log) -> Expected:
    row = log.rng.choice(log.rows("SELECT * FROM audit_leaf ORDER BY checkpoint, stream"))
    where = {"n": row["checkpoint"], "s": row["stream"]}
    log.do("DELETE FROM audit_leaf WHERE checkpoint = :n AND stream = :s", **where)
    return "checkpoint", row["checkpoint"]


def add_leaf(log: Log) -> Expected:
    number = log.rng.choice(log.rows("SELECT number FROM audit_checkpoint ORDER BY number"))["number"]
    log.do(
        "INSERT INTO audit_leaf (district, checkpoint, stream, entries, hash)"
        " VALUES (:district, :n, 'post/never', 3, :hash)",
        n=number,
        hash=base64url(log.rng.randbytes(32)),
    )
    return "checkpoint", number


# -- changes ----------------------------------------------------------------------------------------


def _changes(log: Log) -> list[dict[str, Any]]:
    """Give the changes of a tablet, in order."""
    rows = log.rows(
        "SELECT actor, counter, hash, header FROM change WHERE district = :district ORDER BY actor, counter"
    )
    actor = log.rng.choice(sorted({row["actor"] for row in rows}))
    return [row for row in rows if row["actor"] == actor]


def rewrite_changes(log: Log) -> Expected:
    """Rewrite a tablet's changes from one on, hash what follows anew, and let the tablet's row say so too."""
    rows = _changes(log)
    first = log.rng.randrange(len(rows))
    previous = rows[first - 1]["hash"] if first else ""
    for row in rows[first:]:
        header = json.loads(row["header"]) | {"previous": previous, "author": "kader-lain"}
        previous = digest(header)
        log.do(
            "UPDATE change SET hash = :hash, header = :header WHERE actor = :actor AND counter = :counter",
            hash=previous,
            header=json.dumps(header).encode(),
            actor=row["actor"],
            counter=row["counter"],
        )
    log.do("UPDATE tablet SET chain_hash = :hash WHERE id = :actor", hash=previous, actor=rows[0]["actor"])
    return f"changes/{rows[0]['actor']}", rows[first]["counter"]


def cut_changes(log: Log) -> Expected:
    """Delete a tablet's last changes, and turn its row back."""
    rows = _changes(log)
    left = log.rng.randrange(len(rows))
    given = {"actor": rows[0]["actor"], "left": left}
    log.do("DELETE FROM change WHERE actor = :actor AND counter > :left", **given)
    log.do(
        "UPDATE tablet SET last_counter = :left, head_counter = :left, chain_hash = :hash WHERE id = :actor",
        hash=rows[left - 1]["hash"] if left else "",
        **given,
    )
    return f"changes/{rows[0]['actor']}", None


ALTERATIONS: Final[tuple[Callable[[Log], Expected], ...]] = (
    *(edit_entry, edit_entry, delete_entries, delete_and_number_anew, insert_entry, swap_entries),
    *(move_entry, hide_entry, rewrite_tail, rewrite_tail, cut_tail, drop_stream, rewrite_everything),
    *(edit_head, drop_head, rename_stream, edit_checkpoint, drop_checkpoints, swap_checkpoints),
    *(edit_leaf, drop_leaf, add_leaf, rewrite_changes, cut_changes),
)


# -- trying them ------------------------------------------------------------------------------------


def grown_log(district: District) -> KeptCheckpoint:
    """Let a district work for a while, and keep its last checkpoint; then let it go on working."""
    tablets = [district.tablet(0), district.tablet(1, "Tablet Lain")]
    for _ in range(4):
        for tablet in tablets:
            tablet.measure(tablet.register_child(), weight_g=9000, length_mm=750)
            tablet.sync_until_quiet()
        district.clock.advance(hours=1)
        with district.hub.database.transaction() as session:
            checkpoints.make(session, district.hub, district.clock.now, actor="operator")
    with district.hub.database.reading() as session:
        kept = checkpoints.kept(session, district.hub)
    assert kept is not None
    tablets[0].register_child()
    tablets[0].sync_until_quiet()
    return read_kept(kept.file())


@contextmanager
def undone(district: District) -> Iterator[Session]:
    """Give a session whose changes are rolled back, and which foreign keys do not hold up."""
    try:
        with district.hub.database.transaction() as session:
            sqlite = district.hub.database.is_sqlite
            session.execute(
                text(
                    "PRAGMA defer_foreign_keys = ON"
                    if sqlite
                    else "SET LOCAL session_replication_role = replica"
                )
            )
            yield session
            raise Undo
    except Undo:
        pass


@dataclass
class Outcome:
    """How many alterations were tried and found, how many of those with the right name, and what went wrong."""

    tried: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    misnamed: list[str] = field(default_factory=list)
    honest: int = 0
    false_alarms: int = 0


def tried(district: District, times: int, seed: int) -> Outcome:
    """Alter the log so often, and look every time."""
    kept, rng, outcome = grown_log(district), random.Random(seed), Outcome()
    keys = district.hub.vault.checkpoint_keys()
    for number in range(times):
        alter = ALTERATIONS[number % len(ALTERATIONS)]
        with undone(district) as session:
            log = Log(session, rng, kept, district.clock.now)
            log.load()
            expected = alter(log)
            _, broken = audit.verify(session, DISTRICT, keys=keys, kept=kept)
        outcome.tried[alter.__name__] += 1
        where = f"{number} {alter.__name__}: {expected}, found {[one.words() for one in broken]}"
        if not broken:
            outcome.missed.append(where)
        elif not _names(broken, expected):
            outcome.misnamed.append(where)
        if number % HONEST_EVERY == 0:
            outcome.honest += 1
            outcome.false_alarms += bool(_grown_honestly(district, kept, rng))
    return outcome


def _names(broken: list[audit.Broken], expected: Expected) -> bool:
    stream, number = expected
    return any(
        one.stream == stream and (number is None or one.number <= number <= (one.until or one.number))
        for one in broken
    )


def _grown_honestly(district: District, kept: KeptCheckpoint, rng: random.Random) -> list[audit.Broken]:
    hub, now = district.hub, district.clock.now + timedelta(hours=2)
    with undone(district) as session:
        for _ in range(rng.randrange(6)):
            stream = rng.choice(
                [audit.OFFICE, *(audit.post_stream(post) for post in district.posts), "post/new"]
            )
            details = {"n": rng.randrange(100), "t": rng.choice(["é", '"', "x"])}
            audit.append(session, DISTRICT, stream, "test.done", actor="operator", now=now, details=details)
            end(session)
            if rng.random() < 0.3:
                checkpoints.make(session, hub, now, actor="operator")
                end(session)
        return audit.verify(session, DISTRICT, keys=hub.vault.checkpoint_keys(), kept=kept)[1]


def told(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main(arguments: list[str]) -> int:
    """Try, and tell."""
    times = int(next((given for given in arguments if given.isdigit()), "1000"))
    with tempfile.TemporaryDirectory() as place:
        if "--postgresql" in arguments:
            with postgres_server() as url, District.opened(Databases(Path(place), url)) as district:
                outcome = tried(district, times, seed=times)
        else:
            with District.opened(Databases(Path(place), None)) as district:
                outcome = tried(district, times, seed=times)
    for name, count in sorted(outcome.tried.items()):
        told(f"{count:6} {name}")
    told(
        f"{times - len(outcome.missed)} of {times} found, {len(outcome.misnamed)} of them under another name"
    )
    told(f"{outcome.false_alarms} false alarms in {outcome.honest} honest logs that grew")
    told("\n".join(outcome.missed + outcome.misnamed))
    return 1 if outcome.missed or outcome.misnamed or outcome.false_alarms else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
