"""Verifies the log: every hash, every checkpoint, and the first entry of each stream that does not fit.

The same code reads a database and an export. Its input: entries in order, stream by stream; how far each stream should go;
and marks, the hashes that checkpoints have fixed: (stream, number) -> hash. Rules kept here:
- Checkpoints count up to the first that is broken.
- A checkpoint that was kept elsewhere has precedence over stored ones.
- For speed the stored text is hashed. If that does not fit, the content is parsed and written canonically, which decides.
"""

import json
from binascii import b2a_base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, String, Text, func, select, type_coerce
from sqlalchemy.orm import Session

from server.audit import incarnations, witnesses
from server.audit.anchors import unheld
from server.audit.chain import entry_hash
from server.audit.checkpoints import KeptCheckpoint, StreamHead, is_signed, peaks_text, stored
from server.audit.merkle import Growing
from server.crypto.vault import base64url
from server.database.models import AuditEntry, AuditLeaf, AuditStream, Installation, table
from sync_protocol import ProtocolError, canonical, digest

CHECKPOINT: Final = "checkpoint"
"""The name, in place of a stream's, under which a broken checkpoint is reported."""
CHANGES: Final = "changes/"
"""Prefix of an actor's id: the name under which its broken chain in the ledger is reported; numbers are counters."""
LOOKED_AHEAD: Final = 1000
"""Rows after a wrong one that are searched for the right one."""
ROWS_AT_ONCE: Final = 5000
AT_LENGTH: Final = 32
"""Length of a timestamp as it is hashed: 2026-03-05T02:00:00.000000+00:00."""
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_UNREADABLE: Final = (ValueError, TypeError, KeyError, AttributeError, ProtocolError)


class LogRow(NamedTuple):
    """An entry as it is stored or exported; `details` as JSON text."""

    stream: str
    number: int
    at: str
    actor: str
    action: str
    details: str
    hash: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The first entry of a stream that does not fit, or a missing end.

    Parameters
    ----------
    stream : its name; CHECKPOINT if a stored checkpoint is broken
    number : of the first entry concerned
    what : altered, removed, inserted, reordered, cut off; or rewritten: hashed again, which only a checkpoint shows
    until : of something rewritten, the entry at which a checkpoint shows it; the first altered entry is not after it
    """

    stream: str
    number: int
    what: str
    until: int | None = None

    def words(self) -> str:
        """Describe it in English."""
        if self.until is not None:
            return f"{self.stream}: entries {self.number} to {self.until} were {self.what}"
        return f"{self.stream}: entry {self.number} was {self.what}"


Marks = dict[str, dict[int, str]]
"""The hash that a stream's entry of a number must have, from checkpoints."""


# -- the database ---------------------------------------------------------------------------------


def verify(
    session: Session,
    district: str,
    *,
    keys: Mapping[str, str] | None = None,
    kept: KeptCheckpoint | None = None,
) -> tuple[int, list[Broken]]:
    """Recompute every stream and every checkpoint of a district, and compare the ledger with the log.

    Parameters
    ----------
    keys : public keys of checkpoints by id; without them signatures are not checked
    kept : a checkpoint that was kept elsewhere (`read_kept`)

    Returns
    -------
    (entries read, first break of each broken stream, first broken checkpoint, first of each actor's changes)
    """
    with closing(stored(session, district)) as rows:
        found = check_checkpoints(rows, district, keys or {}, collect=False)
    heads = {head.stream: head for head in heads_of(session, district)}
    kept_marks, broken = found.against(kept)
    marks = StoredMarks(session, district, found, kept_marks)
    count, streams = follow(district, heads, marks, entries_of(session, district))
    changes = [
        Broken(f"{CHANGES}{actor}", number, "rewritten" if until else "removed", until)
        for actor, number, until in unheld(session, district)
    ]
    restores = [Broken(*one) for one in _of_restores(session, district, keys)]
    cosigned = [Broken(*one) for one in witnesses.broken(session, district)]
    return count, [*streams, *broken, *changes, *restores, *cosigned]


def _of_restores(
    session: Session, district: str, keys: Mapping[str, str] | None
) -> Iterator[tuple[str, int, str]]:
    """Yield what is wrong with the entries of restores; without keys nobody can tell."""
    installation = session.get(Installation, district)
    if keys and installation is not None:
        found = incarnations.incarnations(session, district, keys)
        yield from incarnations.broken(found, installation.incarnation)


def heads_of(session: Session, district: str) -> Iterator[StreamHead]:
    """Yield how far every stream should go."""
    c = table(AuditStream).c
    rows = select(c.stream, c.entries, c.head_hash).where(c.district == district)
    for row in session.connection().execute(rows):
        yield StreamHead(*row)


def entries_of(session: Session, district: str) -> Iterator[Any]:
    """Yield every entry as the fields of a `LogRow`, stream by stream."""
    c = table(AuditEntry).c
    query = columns(session).where(c.district == district).order_by(c.stream, c.number)
    with session.connection().execute(query.execution_options(yield_per=ROWS_AT_ONCE)) as rows:
        for some in rows.partitions():
            yield from map(tuple, some)


def columns(session: Session) -> Select[*tuple[Any, ...]]:
    """Select entries, timestamps as the text that is hashed."""
    c = table(AuditEntry).c
    if session.get_bind().dialect.name == "sqlite":
        at: Any = type_coerce(c.at, Text())
    else:
        at = func.to_char(func.timezone("UTC", c.at), 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"', type_=String())
    return select(c.stream, c.number, at.label("at"), c.actor, c.action, c.details, c.hash)


@dataclass(frozen=True, slots=True)
class Tail:
    """The result of verifying what was written since the newest checkpoint.

    Parameters
    ----------
    entries : verified
    left : not verified, because there are more than the limit
    """

    entries: int
    left: int
    broken: list[Broken]


def verify_tail(session: Session, district: str, limit: int) -> Tail:
    """Recompute what each stream got since it was last a leaf: the cost of an hour's entries, not of years.

    What lies before is left to `verify`; but a stream that is shorter than its leaf is found here too.
    """
    c, leaf = table(AuditEntry).c, table(AuditLeaf).c
    heads = {head.stream: head for head in heads_of(session, district)}
    s, other = table(AuditStream).c, table(AuditLeaf).alias()
    furthest = (
        select(func.max(other.c.entries))
        .where(other.c.district == s.district, other.c.stream == s.stream)
        .correlate(table(AuditStream))
        .scalar_subquery()
    )
    last = (
        select(leaf.stream, leaf.entries, leaf.hash)
        .join(table(AuditStream), (s.district == leaf.district) & (s.stream == leaf.stream))
        .where(leaf.district == district, leaf.entries == furthest)
    )
    starts = {row.stream: StreamHead(*row) for row in session.connection().execute(last)}
    count, broken = 0, []
    for stream, head in sorted(heads.items()):
        start = starts.get(stream, StreamHead(stream, 0, ""))
        if head.entries == start.entries and head.hash == start.hash:
            continue
        new = columns(session).where(c.district == district, c.stream == stream, c.number > start.entries)
        rows = session.connection().execute(new.order_by(c.number).limit(limit - count))
        reached, found = _follow(district, iter(map(tuple, rows)), {}, start)
        count += reached.entries - start.entries
        if found is None and (head.entries < start.entries or count < limit):
            found = _check_end(reached, head, {})
        broken += [found] if found else []
        if count >= limit:
            break
    whole = sum(
        head.entries - starts.get(name, StreamHead(name, 0, "")).entries for name, head in heads.items()
    )
    return Tail(count, max(0, whole - count) if count >= limit else 0, broken)


# -- checkpoints ----------------------------------------------------------------------------------


@dataclass(slots=True)
class Checked:
    """The result of checking the stored checkpoints, up to the first broken one.

    Parameters
    ----------
    marks : empty if they were not to be collected
    streams : those that have marks
    digests : of each statement
    """

    marks: Marks = field(default_factory=dict)
    streams: set[str] = field(default_factory=set)
    digests: dict[int, str] = field(default_factory=dict)
    broken: list[Broken] = field(default_factory=list)

    def against(self, kept: KeptCheckpoint | None) -> tuple[Marks, list[Broken]]:
        """Compare a checkpoint that was kept elsewhere with the stored ones; its marks have precedence."""
        if kept is None:
            return self.marks, self.broken
        broken = list(self.broken)
        for head in kept.heads:
            self.marks.setdefault(head.stream, {})[head.entries] = head.hash
        if not broken and kept.number not in self.digests:
            broken.append(Broken(CHECKPOINT, len(self.digests) + 1, "cut off"))
        elif kept.number in self.digests and self.digests[kept.number] != digest(dict(kept.statement)):
            broken.insert(0, Broken(CHECKPOINT, kept.number, "altered"))
        return self.marks, broken[:1]


class StoredMarks(Mapping[str, Mapping[int, str]]):
    """The marks of a database's checkpoints that are good, by stream; each stream's are read when they are asked for.

    Parameters
    ----------
    kept : marks that have precedence
    """

    def __init__(self, session: Session, district: str, checked: Checked, kept: Marks) -> None:
        self._session, self._district, self._kept = session, district, kept
        self._through, self._streams = len(checked.digests), checked.streams | kept.keys()

    def __getitem__(self, stream: str) -> Mapping[int, str]:
        leaf = table(AuditLeaf).c
        query = select(leaf.entries, leaf.hash).where(
            leaf.district == self._district, leaf.stream == stream, leaf.checkpoint <= self._through
        )
        found = dict(self._session.connection().execute(query).all())
        return found | self._kept.get(stream, {})

    def __iter__(self) -> Iterator[str]:
        return iter(self._streams)

    def __len__(self) -> int:
        return len(self._streams)


def check_checkpoints(
    rows: Iterable[tuple[Any, Sequence[StreamHead]]],
    district: str,
    keys: Mapping[str, str],
    *,
    collect: bool = True,
) -> Checked:
    """Recompute tree, heads, numbers, links and signatures of checkpoints in order, up to the first broken one.

    Parameters
    ----------
    rows : for each checkpoint its row as stored (without `peaks` in an export; None if it is missing), and its leaves
    collect : keep the marks, of which there are many
    """
    checked, state, unsigned = Checked(), _State(), 0
    for number, (row, leaves) in enumerate(rows, 1):
        what = "removed" if row is None or row.number != number else ""
        signed: bool | None = None
        if not what:
            try:
                signed = state.takes(row, leaves, district, keys)
                what = "" if signed is not False else "altered"
            except _UNREADABLE:
                what = "altered"
        if what:
            checked.broken.append(Broken(CHECKPOINT, number, what))
            break
        unsigned = 0 if signed else unsigned + 1
        checked.streams.update(head.stream for head in leaves)
        for head in leaves if collect else ():
            checked.marks.setdefault(head.stream, {})[head.entries] = head.hash
        checked.digests[number] = state.previous
    if keys and unsigned and not checked.broken:
        # no known key signed these, nor a later one that would cover them
        checked.broken.append(Broken(CHECKPOINT, len(checked.digests) - unsigned + 1, "altered"))
    return checked


@dataclass(slots=True)
class _State:
    """The state after the checkpoints recomputed so far."""

    tree: Growing = field(default_factory=Growing)
    heads: dict[str, StreamHead] = field(default_factory=dict)
    number: int = 0
    at: str = ""
    previous: str = ""

    def takes(
        self, row: Any, leaves: Sequence[StreamHead], district: str, keys: Mapping[str, str]
    ) -> bool | None:
        """Add a checkpoint; return False if it does not follow, None if it does but no known key signed it."""
        statement, signatures = json.loads(row.statement), json.loads(row.signatures)
        for head in leaves:
            before = self.heads.get(head.stream)
            if before is not None and head.entries <= before.entries:
                return False
            self.tree.add(head.leaf())
            self.heads[head.stream] = head
        wanted = {
            "district": district,
            "number": self.number + 1,
            "streams": len(self.heads),
            "entries": sum(head.entries for head in self.heads.values()),
            "leaves": self.tree.size,
            "root": base64url(self.tree.root()),
            "previous": self.previous,
        }
        as_stored = (canonical(statement).decode(), canonical(signatures).decode())
        if (
            as_stored != (row.statement, row.signatures)
            or row.peaks not in (None, peaks_text(self.tree))
            or any(statement[name] != value for name, value in wanted.items())
            or statement["at"] < self.at
        ):
            return False
        self.number, self.at, self.previous = self.number + 1, statement["at"], digest(statement)
        signed = is_signed(statement, signatures, keys)
        return None if not keys else signed


# -- streams --------------------------------------------------------------------------------------


def follow(
    district: str,
    heads: Mapping[str, StreamHead],
    marks: Mapping[str, Mapping[int, str]],
    rows: Iterable[Any],
) -> tuple[int, list[Broken]]:
    """Recompute streams.

    Parameters
    ----------
    heads : how far each stream should go
    rows : entries as `LogRow`s, stream by stream, by number

    Returns
    -------
    (entries read, first break of each broken stream)
    """
    count, broken, seen = 0, [], set()
    for stream, some in groupby(rows, key=itemgetter(0)):
        if stream in seen:  # an export in wrong order
            number = next(iter(some))[1]
            broken.append(Broken(stream, number, "reordered"))
            continue
        seen.add(stream)
        known = marks.get(stream, {})
        reached, found = _follow(district, some, known, StreamHead(stream, 0, ""))
        found = found or _check_end(reached, heads.get(stream), known)
        count += reached.entries
        broken += [found] if found else []
    for stream in sorted((heads.keys() | marks.keys()) - seen):
        broken.append(Broken(stream, 1, "cut off"))
    return count, sorted(broken, key=lambda one: (one.stream, one.number))


def _follow(
    district: str, rows: Iterator[Any], marks: Mapping[int, str], start: StreamHead
) -> tuple[StreamHead, Broken | None]:
    """Recompute a stream's hashes from a point on, as far as they fit; return how far that was, and the first break."""
    stream = start.stream
    number, previous, marked = start.entries, start.hash, start.entries
    middle = f',"district":{_quoted(district)},"number":'
    end = f'","stream":{_quoted(stream)}}}'
    for row in rows:
        _, got, at, actor, action, details, hash_ = row
        number += 1
        raw = (
            f'{{"action":{_quoted(action)},"actor":{_quoted(actor)},"at":"{at}"'
            f',"details":{details}{middle}{number},"previous":"{previous}{end}'
        )
        made = b2a_base64(sha256(raw.encode("utf-8", "replace")).digest(), newline=False)[:43]
        same = made.translate(_URL_SAFE).decode() == hash_ and len(at) == AT_LENGTH
        if got != number or not (same or _hash(district, row, number, previous) == hash_):
            what = _classify_break(district, number, previous, [row, *islice(rows, LOOKED_AHEAD)])
            return StreamHead(stream, number - 1, previous), Broken(stream, number, what)
        previous = hash_
        mark = marks.get(number)
        if mark is not None:
            if mark != previous:
                return StreamHead(stream, number, previous), Broken(stream, marked + 1, "rewritten", number)
            marked = number
    return StreamHead(stream, number, previous), None


def _check_end(reached: StreamHead, head: StreamHead | None, marks: Mapping[int, str]) -> Broken | None:
    """Compare where a stream ends with where it should; every hash up to there fits."""
    stream, number, _ = reached
    if max(marks, default=0) > number:
        return Broken(stream, number + 1, "cut off")
    if head is None or head.entries < number:
        return Broken(stream, (head.entries if head else 0) + 1, "inserted")
    return None if head == reached else Broken(stream, number + 1, "cut off")


def _classify_break(district: str, number: int, previous: str, rows: Sequence[Any]) -> str:
    """Classify what was done to the first entry that does not fit, from what follows it; "altered" if unknown."""
    first, later = rows[0], rows[1:]
    if first[1] < number:
        return "inserted"
    if first[1] > number:
        return "reordered" if any(row[1] == number for row in later) else "removed"
    hashes = {row[6] for row in rows}
    right = next((row for row in later if _hash(district, row, number, previous) in hashes), None)
    if right is not None:
        own = _hash(district, right, number, previous)
        for before, row in zip([right, *later], later, strict=False):
            link = own if before in (first, right) else before[6]
            if _hash(district, first, row[1], link or "") in hashes:
                return "reordered"
        return "inserted"
    if later and _hash(district, later[0], number + 2, first[6]) == later[0][6]:
        return "removed"  # and the rest renumbered
    return "altered"


def _hash(district: str, row: Any, number: int, previous: str) -> str | None:
    """Return the hash of an entry's content at a place; None if the content is not readable."""
    stream, _, at, actor, action, details, _ = row
    try:
        moment = datetime.fromisoformat(at)
        return entry_hash(*(district, stream, number, moment, actor, action), json.loads(details), previous)
    except _UNREADABLE:
        return None


@lru_cache(4096)
def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
