"""The witnesses of this log: who they are, what they cosigned, and whether what they saw is what the log holds now.

A witness is another server (c2sp.org/tlog-witness), or a directory that keeps a copy of each checkpoint. Our checkpoint in
the form of C2SP is made from the statement: the origin from district and incarnation, size and root as they are. A restored
database has another incarnation, so another origin: the log of an incarnation only ever grows.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from server.audit import checkpoints
from server.audit.chain import OFFICE, append
from server.audit.checkpoints import KeptCheckpoint, StreamHead, is_signed
from server.audit.merkle import consistency_from_peaks
from server.audit.signed_note import (
    COSIGNATURE,
    ED25519,
    Key,
    Note,
    NoteInvalid,
    Signature,
    TreeHead,
    read_signatures,
    stored_keys,
)
from server.context import AppContext
from server.crypto.vault import Vault, unbase64
from server.database.models import AuditCheckpoint, AuditLeaf, Cosignature, Witness, table
from server.database.writes import upsert

PRODUCT: Final = "posyandu-sync"
BY_NAME: Final = "witness/"
"""Prefix of a witness's name where a cosignature is reported as broken; the number is the checkpoint's."""
WITNESS_HOURS: Final = 24
"""After so long without a cosignature, although there are newer checkpoints, a witness counts as silent."""
CUT_OFF, FORKED, ELSEWHERE = "cut off", "forked", "elsewhere"
AHEAD: Final = "ahead"
"""Failure of a witness: it has seen a longer log than there is here."""
UNKNOWN_SIZE: Final = "unknown-size"
"""It has seen a tree of a size that this log never had."""
OTHER_COPY: Final = "other-copy"
"""The directory holds another checkpoint of this number."""
ALARMING: Final = frozenset({AHEAD, UNKNOWN_SIZE, OTHER_COPY, "answered-422"})
"""Failures that mean that the log here is not the one that the witness has seen."""


class NoWitness(ValueError):
    """There is no such witness, or it cannot be added. The text says why, in English."""


@dataclass(frozen=True, slots=True)
class KnownWitness:
    """A witness of this log. `keys`: none for a directory."""

    name: str
    place: str
    keys: tuple[Key, ...]
    added_at: datetime
    failure: str | None = None
    failed_at: datetime | None = None

    @property
    def is_directory(self) -> bool:
        return not self.keys


@dataclass(frozen=True, slots=True)
class Vouch:
    """Up to where a witness vouches for this log; `checkpoint` and `at` are None if it never did."""

    witness: KnownWitness
    checkpoint: int | None
    size: int
    at: datetime | None
    is_silent: bool


# -- our checkpoints in the form of C2SP ----------------------------------------------------------


def origin_of(district: str, incarnation: str) -> str:
    """Return the name of the log, as witnesses know it."""
    return f"{PRODUCT}/{district}/{incarnation}"


def witness_name(district: str) -> str:
    """Return the name under which this installation cosigns."""
    return f"{PRODUCT}/{district}/witness"


def head_of(statement: Mapping[str, Any]) -> TreeHead:
    """Return a statement's tree: what witnesses sign of it."""
    origin = origin_of(statement["district"], statement["incarnation"])
    return TreeHead(origin, statement["leaves"], unbase64(statement["root"]))


def log_keys(vault: Vault, origin: str) -> list[Key]:
    """Return the keys that sign this log's checkpoints, the newest first."""
    return [Key(origin, ED25519, unbase64(public)) for public in vault.checkpoint_keys().values()]


def cosigning_keys(hub: AppContext) -> list[Key]:
    """Return the keys with which this installation cosigns, the newest first."""
    name = witness_name(hub.district)
    return [Key(name, COSIGNATURE, unbase64(one)) for one in hub.vault.cosigning_keys().values()]


def note_of(hub: AppContext, statement: Mapping[str, Any], signatures: Mapping[str, str]) -> Note | None:
    """Sign a stored checkpoint in the form of C2SP; None if no key that is here has signed its statement.

    So nothing is signed that only stands in the database.
    """
    keys = hub.vault.checkpoint_keys()
    if is_signed(statement, signatures, keys) is not True:
        return None
    head = head_of(statement)
    signed = hub.vault.sign_checkpoint(head.text().encode())
    lines = [
        Signature(head.origin, Key(head.origin, ED25519, unbase64(keys[id_])).id, unbase64(raw))
        for id_, raw in signed.items()
    ]
    return Note(head.text(), tuple(lines))


def with_note(session: Session, hub: AppContext, kept: KeptCheckpoint) -> KeptCheckpoint:
    """Add to a checkpoint that is about to be taken away its form of C2SP, with all cosignatures."""
    note = note_of(hub, kept.statement, kept.signatures)
    if note is None:
        return kept
    c = table(Cosignature).c
    query = select(c.lines).where(c.district == hub.district, c.checkpoint == kept.number)
    found = session.connection().execute(query.order_by(c.witness)).scalars()
    return replace(kept, note=note.whole() + "".join(found))


# -- who they are ---------------------------------------------------------------------------------


def known(session: Session, district: str, *, removed: bool = False) -> list[KnownWitness]:
    """Return the witnesses, by name; with `removed` also those that are asked no more."""
    c = table(Witness).c
    query = select(c.name, c.place, c.public_keys, c.added_at, c.failure, c.failed_at).where(
        c.district == district
    )
    if not removed:
        query = query.where(c.removed_at.is_(None))
    return [
        KnownWitness(name, place, stored_keys(keys), *rest)
        for name, place, keys, *rest in session.connection().execute(query.order_by(c.name))
    ]


def add(
    session: Session,
    hub: AppContext,
    name: str,
    place: str,
    keys: Sequence[Key],
    *,
    actor: str,
    now: datetime,
) -> None:
    """Add a witness, or give one that is known another place and more keys; its old keys stay, for what they signed.

    Raises
    ------
    NoWitness
        A key is not one that cosigns.
    """
    if any(key.kind != COSIGNATURE for key in keys):
        raise NoWitness("a witness's key is a verifier key of type 4 (witness keys prints it)")
    before = {one.name: one for one in known(session, hub.district, removed=True)}.get(name)
    if before is not None and before.is_directory != (not keys):
        raise NoWitness(f"{name} is the name of another kind of witness: choose another name")
    all_keys = dict.fromkeys([*keys, *(before.keys if before else ())])
    row = {"district": hub.district, "name": name, "place": place, "added_at": now, "removed_at": None}
    texts = json.dumps([key.text() for key in all_keys])
    upsert(session, table(Witness), [{**row, "public_keys": texts, "failure": None, "failed_at": None}])
    details = {"witness": name, "keys": [key.id.hex() for key in all_keys]}
    append(session, hub.district, OFFICE, "witness.added", actor=actor, now=now, details=details)


def remove(session: Session, hub: AppContext, name: str, *, actor: str, now: datetime) -> None:
    """Ask a witness no more; what it cosigned stays, and is still verified.

    Raises
    ------
    NoWitness
        There is none of that name.
    """
    if name not in {one.name for one in known(session, hub.district)}:
        raise NoWitness(f"there is no witness {name!r}: 'witness list' names them")
    c = table(Witness).c
    where = (c.district == hub.district, c.name == name)
    session.execute(update(table(Witness)).where(*where).values(removed_at=now))
    append(session, hub.district, OFFICE, "witness.removed", actor=actor, now=now, details={"witness": name})


# -- what they cosigned ---------------------------------------------------------------------------


def cosigned(note: Note, witness: KnownWitness, answer: str) -> tuple[str, datetime]:
    """Check what a witness answered; return the lines of its signatures, and the newest moment.

    Raises
    ------
    NoteInvalid
        No signature is of a key that is known of it, or one does not fit.
    """
    found = Note(note.text, read_signatures(answer)).by(witness.keys)
    if not found:
        raise NoteInvalid("no signature is of a key that is known of this witness")
    return "".join(one.line() for _, one in found), max(one.at for _, one in found)


def record(
    session: Session, hub: AppContext, checkpoint: int, witness: str, lines: str, at: datetime, now: datetime
) -> None:
    """Store a witness's answer, or that a directory has its copy; a failure before is over."""
    row = {"district": hub.district, "checkpoint": checkpoint, "witness": witness, "lines": lines, "at": at}
    upsert(session, table(Cosignature), [row])
    _set_failure(session, hub.district, witness, None, None)
    details = {"checkpoint": checkpoint, "witness": witness}
    append(
        session, hub.district, OFFICE, "checkpoint.vouched", actor="job:witnesses", now=now, details=details
    )


def note_failure(session: Session, hub: AppContext, witness: KnownWitness, why: str, now: datetime) -> None:
    """Note why a witness did not take a checkpoint; written and logged only when the reason changes."""
    _set_failure(session, hub.district, witness.name, why, witness.failed_at or now)
    details = {"witness": witness.name, "failure": why}
    append(session, hub.district, OFFICE, "witness.failed", actor="job:witnesses", now=now, details=details)


def _set_failure(session: Session, district: str, name: str, why: str | None, at: datetime | None) -> None:
    c = table(Witness).c
    where = (c.district == district, c.name == name)
    session.execute(update(table(Witness)).where(*where).values(failure=why, failed_at=at))


def last_vouched(
    session: Session, district: str, witness: str
) -> tuple[int, Mapping[str, Any], datetime] | None:
    """Return the newest checkpoint that a witness has cosigned: number, statement, when; None for none."""
    c, own = table(Cosignature).c, table(AuditCheckpoint).c
    query = (
        select(c.checkpoint, own.statement, c.at)
        .join(table(AuditCheckpoint), (own.district == c.district) & (own.number == c.checkpoint))
        .where(c.district == district, c.witness == witness)
        .order_by(c.checkpoint.desc())
        .limit(1)
    )
    row = session.connection().execute(query).one_or_none()
    return (row.checkpoint, json.loads(row.statement), row.at) if row else None


def vouches(session: Session, district: str, now: datetime) -> list[Vouch]:
    """Return up to where each witness vouches for the log."""
    newest = checkpoints.newest(session, district)
    found = []
    for witness in known(session, district):
        last = last_vouched(session, district, witness.name)
        number, size, at = (last[0], last[1]["leaves"], last[2]) if last else (None, 0, None)
        behind = newest is not None and number != newest.number
        since = max(filter(None, (at, witness.added_at)))
        silent = behind and since < now - timedelta(hours=WITNESS_HOURS)
        found.append(Vouch(witness, number, size, at, silent))
    return found


def broken(session: Session, district: str) -> Iterator[tuple[str, int, str]]:
    """Yield the cosignatures that do not fit what is stored: name, number of the checkpoint, what."""
    keys = {one.name: one.keys for one in known(session, district, removed=True)}
    c, own = table(Cosignature).c, table(AuditCheckpoint).c
    query = (
        select(c.witness, c.checkpoint, c.lines, own.statement)
        .outerjoin(table(AuditCheckpoint), (own.district == c.district) & (own.number == c.checkpoint))
        .where(c.district == district)
        .order_by(c.witness, c.checkpoint)
    )
    told = set()
    with session.connection().execute(query.execution_options(yield_per=checkpoints.ROWS_AT_ONCE)) as rows:
        for row in rows:
            what = _misfit(row, keys.get(row.witness))
            if what and row.witness not in told:  # the first of each witness
                told.add(row.witness)
                yield f"{BY_NAME}{row.witness}", row.checkpoint, what


def _misfit(row: Any, keys: Sequence[Key] | None) -> str:
    """Say what is wrong with a stored cosignature; "" if nothing is."""
    if row.statement is None or keys is None:
        return CUT_OFF
    if not keys:
        return ""  # a directory: its copy is compared where it lies
    try:
        text = head_of(json.loads(row.statement)).text()
        return "" if Note(text, read_signatures(row.lines)).by(keys) else "altered"
    except (NoteInvalid, ValueError, TypeError, KeyError):
        return "altered"


# -- how our tree grew ----------------------------------------------------------------------------


def growth(session: Session, district: str, first: int, second: int) -> list[bytes] | None:
    """Prove that the tree of one stored checkpoint grew out of that of another.

    Parameters
    ----------
    first : size of the earlier tree
    second : number of the later checkpoint

    Returns
    -------
    list or None : the proof, empty from the empty tree; None if no stored checkpoint up to `second` has the first size
    """
    if first == 0:
        return []
    c, leaf = table(AuditCheckpoint).c, table(AuditLeaf).c
    older = select(c.number, c.statement, c.peaks).where(c.district == district, c.number <= second)
    with session.connection().execute(
        older.order_by(c.number.desc()).execution_options(yield_per=checkpoints.ROWS_AT_ONCE)
    ) as rows:
        start = next((row for row in rows if json.loads(row.statement)["leaves"] <= first), None)
    if start is None or json.loads(start.statement)["leaves"] != first:
        return None
    later = leaf.checkpoint > start.number, leaf.checkpoint <= second
    query = select(leaf.checkpoint, leaf.stream, leaf.entries, leaf.hash).where(
        leaf.district == district, *later
    )
    found = sorted((row.checkpoint, StreamHead(*row[1:])) for row in session.connection().execute(query))
    peaks = [unbase64(peak) for peak in json.loads(start.peaks)]
    return consistency_from_peaks(first, peaks, [head.leaf() for _, head in found])


# -- what they saw, against what the log holds ----------------------------------------------------


def compare(session: Session, district: str, head: TreeHead) -> str:
    """Compare a tree that a witness saw with the stored checkpoints.

    Returns
    -------
    "" if the log has this tree; CUT_OFF if it is shorter now; FORKED if it has another tree of that size, or none; ELSEWHERE
    if it is of another log
    """
    if not head.origin.startswith(f"{PRODUCT}/{district}/"):
        return ELSEWHERE
    c = table(AuditCheckpoint).c
    largest = 0
    rows = select(c.statement).where(c.district == district).order_by(c.number.desc())
    with session.connection().execute(rows.execution_options(yield_per=checkpoints.ROWS_AT_ONCE)) as found:
        for text in found.scalars():
            stored = head_of(json.loads(text))
            largest = max(largest, stored.size)
            if stored.size == head.size:
                return "" if (stored.origin, stored.root) == (head.origin, head.root) else FORKED
            if stored.size < head.size:
                break
    return CUT_OFF if head.size > largest else FORKED
