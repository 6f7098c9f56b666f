"""Signed checkpoints: how far every stream had come, in one statement that is also kept outside the system.

The tree's leaves are the heads of the streams that moved since the checkpoint before. So the tree only grows, and the proofs
of RFC 9162 hold between any two checkpoints (docs/adr/0016). A statement also names the digest of *all* heads, which the
downloaded file contains: with it alone a log can be checked, without the tree.
"""

import json
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from server.audit.chain import OFFICE, append, lock_head
from server.audit.merkle import Growing, leaf_hash
from server.context import AppContext
from server.crypto.vault import base64url, checkpoint_key_id, checkpoint_signature_fits, unbase64
from server.database.models import AuditCheckpoint, AuditEntry, AuditLeaf, AuditStream, Installation, table
from server.translations import T_
from sync_protocol import ProtocolError, canonical, digest

VERSION: Final = 1
KIND: Final = "posyandu-sync.checkpoint"
RETIRED: Final = "keys.retired"
"""The action of the entry that keeps a key's public half after the key was removed."""
ROWS_AT_ONCE: Final = 1000
LARGEST_FILE: Final = 64 << 20
"""Largest file of a checkpoint, in bytes; a stream takes about 200."""


class NotACheckpoint(ValueError):
    """The file is no checkpoint, or was altered. The text gives the reason in Indonesian and English."""


class LogTurnedBack(RuntimeError):
    """The log is shorter than its newest checkpoint says; signing again would hide it."""


class StreamHead(NamedTuple):
    """How far a stream has come, and the hash of its newest entry."""

    stream: str
    entries: int
    hash: str

    def leaf(self) -> bytes:
        """Return the hash of this head as a leaf of the tree."""
        return leaf_hash(canonical(list(self)))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A statement, its signatures by key, and the leaves that it added to the tree."""

    statement: Mapping[str, Any]
    signatures: Mapping[str, str]
    leaves: tuple[StreamHead, ...]

    @property
    def number(self) -> int:
        return int(self.statement["number"])

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.statement["at"])


@dataclass(frozen=True, slots=True)
class KeptCheckpoint:
    """A checkpoint as it is kept outside the system: with all heads, and the public keys that signed it.

    `note`: the same in the form of C2SP, with the cosignatures of witnesses (`witnesses.with_note`); "" in older files.
    """

    statement: Mapping[str, Any]
    signatures: Mapping[str, str]
    public_keys: Mapping[str, str]
    heads: tuple[StreamHead, ...]
    note: str = ""

    @property
    def number(self) -> int:
        return int(self.statement["number"])

    def file(self) -> bytes:
        """Write it as the file that is downloaded."""
        content = {
            "kind": KIND,
            "statement": self.statement,
            "signatures": self.signatures,
            "public_keys": self.public_keys,
            "heads": [list(head) for head in self.heads],
            **({"note": self.note} if self.note else {}),
        }
        return json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n"


def heads_digest(heads: Iterable[StreamHead]) -> str:
    """Return the digest of all heads, sorted by name of stream."""
    return digest([list(head) for head in sorted(heads)])


# -- making one -----------------------------------------------------------------------------------


def make(session: Session, hub: AppContext, now: datetime, *, actor: str) -> Checkpoint:
    """Sign how far the log has come, store it, and log it (this entry belongs to the next checkpoint).

    The office's stream is locked first, so two checkpoints are never made at once; entries written to other streams
    meanwhile belong to the next one.

    Raises
    ------
    LogTurnedBack
        A stream is shorter than the last checkpoint says, or missing.
    """
    district = hub.district
    lock_head(session, district, OFFICE)
    before = _newest_row(session, district)
    heads, moved = _heads(session, district)
    tree = _tree_after(before)
    for head in moved:
        tree.add(head.leaf())
    statement = {
        "v": VERSION,
        "district": district,
        "at": now.astimezone(UTC).isoformat(timespec="seconds"),
        "incarnation": session.get_one(Installation, district).incarnation,
        "number": before.number + 1 if before else 1,
        "streams": len(heads),
        "entries": sum(head.entries for head in heads),
        "leaves": tree.size,
        "root": base64url(tree.root()),
        "heads": heads_digest(heads),
        "keys": sorted(hub.vault.checkpoint_keys()),
        "previous": digest(json.loads(before.statement)) if before else "",
    }
    made = Checkpoint(statement, hub.vault.sign_checkpoint(canonical(statement)), tuple(moved))
    _store(session, district, made, tree)
    details = {"checkpoint": made.number, "root": statement["root"], "entries": statement["entries"]}
    append(session, district, OFFICE, "checkpoint.signed", actor=actor, now=now, details=details)
    return made


def _newest_row(session: Session, district: str) -> Any:
    c = table(AuditCheckpoint).c
    newest = select(c.number, c.statement, c.signatures, c.peaks).where(c.district == district)
    return session.connection().execute(newest.order_by(c.number.desc()).limit(1)).one_or_none()


def _heads(session: Session, district: str) -> tuple[list[StreamHead], list[StreamHead]]:
    """Return the heads of all streams, and of those that have moved since they were last a leaf; both by name."""
    c, leaf = table(AuditStream).c, table(AuditLeaf).c
    last = (
        select(func.max(leaf.entries))
        .where(leaf.district == c.district, leaf.stream == c.stream)
        .scalar_subquery()
    )
    query = select(c.stream, c.entries, c.head_hash, last.label("last")).where(c.district == district)
    rows = session.connection().execute(query).all()
    shorter = sorted(row.stream for row in rows if row.entries < (row.last or 0))
    known = select(func.count(leaf.stream.distinct())).where(leaf.district == district)
    missing = session.connection().execute(known).scalar_one() - sum(row.last is not None for row in rows)
    if shorter or missing:
        raise LogTurnedBack(f"shorter than the last checkpoint: {', '.join(shorter) or missing}")
    heads = sorted(StreamHead(row.stream, row.entries, row.head_hash) for row in rows)
    still = {row.stream for row in rows if row.entries == row.last}
    return heads, [head for head in heads if head.stream not in still]


def _tree_after(before: Any) -> Growing:
    if before is None:
        return Growing()
    peaks = [unbase64(peak) for peak in json.loads(before.peaks)]
    return Growing(json.loads(before.statement)["leaves"], peaks)


def peaks_text(tree: Growing) -> str:
    """Write a tree's peaks as they are stored."""
    return canonical([base64url(peak) for peak in tree.peaks]).decode()


def _store(session: Session, district: str, made: Checkpoint, tree: Growing) -> None:
    row = {
        "district": district,
        "number": made.number,
        "statement": canonical(dict(made.statement)).decode(),
        "signatures": canonical(dict(made.signatures)).decode(),
        "peaks": peaks_text(tree),
    }
    session.connection().execute(insert(table(AuditCheckpoint)), [row])
    leaves = [{"district": district, "checkpoint": made.number, **head._asdict()} for head in made.leaves]
    session.connection().execute(insert(table(AuditLeaf)), leaves)


# -- reading them ---------------------------------------------------------------------------------


def newest(session: Session, district: str) -> Checkpoint | None:
    """Return the newest checkpoint, without its leaves; None if there is none."""
    row = _newest_row(session, district)
    return Checkpoint(json.loads(row.statement), json.loads(row.signatures), ()) if row else None


def kept(session: Session, hub: AppContext, number: int | None = None) -> KeptCheckpoint | None:
    """Return a checkpoint, by default the newest, in the form of its file; None if there is none."""
    c, leaf = table(AuditCheckpoint).c, table(AuditLeaf).c
    query = select(c.number, c.statement, c.signatures).where(c.district == hub.district)
    if number is not None:
        query = query.where(c.number == number)
    row = session.connection().execute(query.order_by(c.number.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    furthest = (
        select(leaf.stream, func.max(leaf.entries).label("entries"))
        .where(leaf.district == hub.district, leaf.checkpoint <= row.number)
        .group_by(leaf.stream)
        .subquery()
    )
    same = (leaf.stream == furthest.c.stream) & (leaf.entries == furthest.c.entries)
    found = select(leaf.stream, leaf.entries, leaf.hash).join(furthest, same)
    heads = session.connection().execute(found.where(leaf.district == hub.district))
    statement = json.loads(row.statement)
    return KeptCheckpoint(
        statement,
        json.loads(row.signatures),
        {**retired_keys(session, hub.district, statement["keys"]), **hub.vault.checkpoint_keys()},
        tuple(sorted(StreamHead(*each) for each in heads)),
    )


def retired_keys(session: Session, district: str, wanted: Sequence[str]) -> dict[str, str]:
    """Find public keys of removed keys in the log; a key's name is its digest, which proves it."""
    c = table(AuditEntry).c
    query = select(c.details).where(c.district == district, c.stream == OFFICE, c.action == RETIRED)
    found: dict[str, str] = {}
    for details in session.connection().execute(query).scalars():
        found |= json.loads(details).get("checkpoint_keys", {})
    return {id_: key for id_, key in found.items() if id_ in wanted}


def listed(session: Session, district: str, limit: int) -> list[Checkpoint]:
    """Return the newest checkpoints, without their leaves."""
    c = table(AuditCheckpoint).c
    query = select(c.statement, c.signatures).where(c.district == district)
    rows = session.connection().execute(query.order_by(c.number.desc()).limit(limit))
    return [Checkpoint(json.loads(row.statement), json.loads(row.signatures), ()) for row in rows]


def read_kept(raw: bytes) -> KeptCheckpoint:
    """Read the file of a checkpoint, and check that it matches what was signed.

    Raises
    ------
    NotACheckpoint
        It is none, or was altered.
    """
    try:
        content = json.loads(raw)
        if content["kind"] != KIND:
            raise NotACheckpoint(f"jenis {content['kind']!r} / its kind is {content['kind']!r}, not {KIND}")
        found = KeptCheckpoint(
            dict(content["statement"]),
            {str(key): str(value) for key, value in content["signatures"].items()},
            {str(key): str(value) for key, value in content["public_keys"].items()},
            tuple(StreamHead(str(s), int(n), str(h)) for s, n, h in content["heads"]),
            str(content.get("note", "")),
        )
        _refuse_altered(found)
    except (ValueError, KeyError, TypeError, AttributeError, ProtocolError) as error:
        if isinstance(error, NotACheckpoint):
            raise
        raise NotACheckpoint(T_("this is not the file of a checkpoint").both()) from error
    return found


def _refuse_altered(found: KeptCheckpoint) -> None:
    for id_, public in found.public_keys.items():
        if checkpoint_key_id(unbase64(public)) != id_:
            raise NotACheckpoint(T_("key {id} was altered").format(id=id_).both())
    if heads_digest(found.heads) != found.statement["heads"]:
        raise NotACheckpoint("daftar ujung aliran diubah / its list of heads was altered")
    if not is_signed(found.statement, found.signatures, found.public_keys):
        raise NotACheckpoint(T_("its signature does not fit").both())
    int(found.statement["number"])


def is_signed(
    statement: Mapping[str, Any], signatures: Mapping[str, str], keys: Mapping[str, str]
) -> bool | None:
    """Check the signatures of those keys named in the statement that are known.

    Returns
    -------
    bool or None : None where no key of the statement is among `keys`
    """
    if set(signatures) != set(statement["keys"]):
        return False
    known = [id_ for id_ in signatures if id_ in keys]
    message = canonical(dict(statement))
    if not all(checkpoint_signature_fits(keys[id_], message, signatures[id_]) for id_ in known):
        return False
    return True if known else None


def stored(session: Session, district: str) -> Generator[tuple[Any, Sequence[StreamHead]]]:
    """Yield every row of a checkpoint with its leaves, in order; leaves without a row come with None.

    Both tables are read in blocks: there is a checkpoint every hour.
    """
    c, leaf = table(AuditCheckpoint).c, table(AuditLeaf).c
    signed = select(c.number, c.statement, c.signatures, c.peaks).where(c.district == district)
    heads = select(leaf.checkpoint, leaf.stream, leaf.entries, leaf.hash).where(leaf.district == district)
    connection, how = session.connection(), {"yield_per": ROWS_AT_ONCE}
    with (
        connection.execute(signed.order_by(c.number), execution_options=how) as rows,
        connection.execute(heads.order_by(leaf.checkpoint), execution_options=how) as found,
    ):
        both = merge(
            ((row.number, row, None) for row in rows),
            ((number, None, StreamHead(*head)) for number, *head in found),
            key=itemgetter(0),
        )
        for _, some in groupby(both, key=itemgetter(0)):
            several = list(some)
            row = next((row for _, row, _ in several if row is not None), None)
            yield row, sorted(head for *_, head in several if head is not None)
