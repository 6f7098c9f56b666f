"""This installation as a witness of other logs: c2sp.org/tlog-witness, `add-checkpoint`.

A checkpoint is cosigned if a trusted key of the log signed it and a proof shows that its tree grew out of the largest one
that was cosigned before. It is stored, and written to our own log, before it is answered; the row of the log is locked
meanwhile, so that of two requests the second sees the first.

A log of our own kind has its incarnation at the end of its origin, so each restore begins another tree. The same keys are
trusted for it, and the list of witnessed logs shows that it began again: whether a restore took place, people know.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from server.audit.chain import OFFICE, append
from server.audit.merkle import EMPTY_ROOT, is_consistent
from server.audit.signed_note import (
    ED25519,
    Key,
    Note,
    NoteInvalid,
    TreeHead,
    cosignature,
    cosigned_message,
    read_hash,
    read_size,
    stored_keys,
    write_hash,
)
from server.audit.witnesses import PRODUCT, NoWitness, witness_name
from server.context import AppContext
from server.crypto.vault import unbase64
from server.database.models import WitnessedCheckpoint, WitnessedLog, table
from server.database.writes import upsert
from server.errors import Problem

MOST_BYTES: Final = 64 << 10
"""Largest request."""
MOST_STEPS: Final = 63
"""Hashes of a proof."""
MOST_ORIGIN: Final = 500
"""Characters of a log's name."""
_OURS: Final = re.compile(rf"({PRODUCT}/[0-9]{{2}}\.[0-9]{{2}})/[0-9a-f-]{{36}}")


class SizeDiffers(Exception):
    """The old size is not that of the largest checkpoint that was cosigned: `size` is."""

    def __init__(self, size: int) -> None:
        super().__init__(str(size))
        self.size = size


@dataclass(frozen=True, slots=True)
class Submission:
    """A request of a log."""

    old: int
    proof: tuple[bytes, ...]
    note: Note
    head: TreeHead


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A log that is witnessed here. `trees`: what was seen of each of its incarnations, the oldest first."""

    origin: str
    keys: tuple[Key, ...]
    trees: tuple[Any, ...]


def base_of(origin: str) -> str:
    """Return a log's name without its incarnation."""
    found = _OURS.fullmatch(origin)
    return found[1] if found else origin


# -- logs that are witnessed ----------------------------------------------------------------------


def watch(session: Session, hub: AppContext, keys: Sequence[Key], *, actor: str, now: datetime) -> str:
    """Begin to witness a log, or trust more keys for it; return its name.

    Raises
    ------
    NoWitness
        The keys are not those of one log.
    """
    names = {base_of(key.name) for key in keys}
    if len(names) != 1 or any(key.kind != ED25519 for key in keys):
        raise NoWitness("give the verifier keys (type 1) of one log")
    (origin,) = names
    before = next((one for one in watched(session, hub.district, removed=True) if one.origin == origin), None)
    trusted = dict.fromkeys([*keys, *(before.keys if before else ())])
    row = {"district": hub.district, "origin": origin, "added_at": now, "removed_at": None}
    upsert(
        session, table(WitnessedLog), [{**row, "public_keys": json.dumps([key.text() for key in trusted])}]
    )
    details = {"log": origin, "keys": [key.id.hex() for key in trusted]}
    append(session, hub.district, OFFICE, "log.watched", actor=actor, now=now, details=details)
    return origin


def unwatch(session: Session, hub: AppContext, origin: str, *, actor: str, now: datetime) -> None:
    """Witness a log no more; how far it had come stays, in case it is witnessed again.

    Raises
    ------
    NoWitness
        It is not witnessed here.
    """
    if origin not in {one.origin for one in watched(session, hub.district)}:
        raise NoWitness(f"no log {origin!r} is witnessed here: 'witness list' names them")
    c = table(WitnessedLog).c
    where = (c.district == hub.district, c.origin == origin)
    session.execute(update(table(WitnessedLog)).where(*where).values(removed_at=now))
    append(session, hub.district, OFFICE, "log.unwatched", actor=actor, now=now, details={"log": origin})


def watched(session: Session, district: str, *, removed: bool = False) -> list[Witnessed]:
    """Return the logs that are witnessed here, with what was seen of each."""
    c, seen = table(WitnessedLog).c, table(WitnessedCheckpoint).c
    query = select(c.origin, c.public_keys).where(c.district == district).order_by(c.origin)
    if not removed:
        query = query.where(c.removed_at.is_(None))
    columns = (seen.origin, seen.log, seen.size, seen.root, seen.first_at, seen.at, seen.conflict_at)
    trees = session.execute(select(*columns).where(seen.district == district).order_by(seen.first_at)).all()
    return [
        Witnessed(
            origin,
            stored_keys(keys),
            tuple(tree for tree in trees if tree.log == origin),
        )
        for origin, keys in session.execute(query)
    ]


# -- a request ------------------------------------------------------------------------------------


def read(body: bytes) -> Submission:
    """Read a request.

    Raises
    ------
    Problem
        `witness-malformed`
    """
    try:
        text = body.decode()
        proof, parted, whole = text.partition("\n\n")
        first, *steps = proof.split("\n")
        if not parted or not first.startswith("old ") or len(steps) > MOST_STEPS:
            raise NoteInvalid("a request is the old size, a proof, an empty line and a checkpoint")
        note = Note.read(whole)
        old = read_size(first.removeprefix("old "))
        return Submission(old, tuple(map(read_hash, steps)), note, TreeHead.read(note.text))
    except (NoteInvalid, UnicodeDecodeError) as error:
        raise Problem("witness-malformed", reason=str(error)) from error


def add_checkpoint(hub: AppContext, asked: Submission, now: datetime) -> str:
    """Cosign a checkpoint; return the lines of our signatures.

    Raises
    ------
    Problem
        `witness-log-unknown`, `witness-signature-invalid`, `witness-malformed` (the old size is the larger one), or
        `witness-inconsistent`
    SizeDiffers
    """
    with hub.database.reading() as session:
        _refuse_unsigned(session, hub, asked)
    if asked.old > asked.head.size:
        raise Problem("witness-malformed", reason="the old size is larger than the checkpoint's")
    try:
        with hub.database.transaction() as session:
            return _take(session, hub, asked, now)
    except Problem:
        _keep_conflict(hub, asked, now)
        raise


def _refuse_unsigned(session: Session, hub: AppContext, asked: Submission) -> None:
    origin = asked.head.origin
    base = base_of(origin)
    logs = {one.origin: one for one in watched(session, hub.district)}
    if base not in logs or len(origin) > MOST_ORIGIN:
        raise Problem("witness-log-unknown")
    keys = [Key(origin, ED25519, key.public) for key in logs[base].keys]
    try:
        signed = asked.note.by(keys)
    except NoteInvalid:
        signed = []
    if not signed:
        raise Problem("witness-signature-invalid")


def _take(session: Session, hub: AppContext, asked: Submission, now: datetime) -> str:
    head, c, log = asked.head, table(WitnessedCheckpoint).c, table(WitnessedLog).c
    locked = select(log.origin).where(log.district == hub.district, log.origin == base_of(head.origin))
    session.execute(locked.with_for_update())
    mine = (c.district == hub.district, c.origin == head.origin)
    before = session.execute(select(c.size, c.root, c.first_at).where(*mine)).one_or_none()
    size, root = (before.size, read_hash(before.root)) if before else (0, EMPTY_ROOT)
    if asked.old != size:
        raise SizeDiffers(size)
    if not _grew(size, root, asked):
        raise Problem("witness-inconsistent")
    lines = _cosign(hub, head.text(), now)
    row = {
        "district": hub.district,
        "origin": head.origin,
        "log": base_of(head.origin),
        "size": head.size,
        "root": write_hash(head.root),
        "note": asked.note.whole() + lines,
        "first_at": before.first_at if before else now,
        "at": now,
    }
    upsert(session, table(WitnessedCheckpoint), [row])
    details = {"log": head.origin, "size": head.size, "root": write_hash(head.root)}
    append(session, hub.district, OFFICE, "checkpoint.cosigned", actor="witness", now=now, details=details)
    return lines


def _grew(size: int, root: bytes, asked: Submission) -> bool:
    """Say whether the tree of a request grew out of the one that was cosigned before."""
    head = asked.head
    if head.size == 0 or size == 0:
        return not asked.proof and (head.size > 0 or head.root == EMPTY_ROOT)
    return is_consistent(size, head.size, root, head.root, asked.proof)


def _cosign(hub: AppContext, text: str, now: datetime) -> str:
    seconds, keys = int(now.timestamp()), hub.vault.cosigning_keys()
    name = witness_name(hub.district)
    signed = hub.vault.cosign(cosigned_message(seconds, text))
    return "".join(
        cosignature(name, unbase64(keys[id_]), seconds, unbase64(raw)).line() for id_, raw in signed.items()
    )


def _keep_conflict(hub: AppContext, asked: Submission, now: datetime) -> None:
    """Keep the first note that the log signed and that cannot be true beside what was cosigned: it proves that it lied.

    A proof that does not fit proves nothing of a larger tree, only that the request was wrong.
    """
    head, c = asked.head, table(WitnessedCheckpoint).c
    mine = (c.district == hub.district, c.origin == head.origin)
    with hub.database.reading() as session:
        seen = session.execute(select(c.size, c.root, c.conflict).where(*mine)).one_or_none()
    if seen is None or seen.conflict or seen.size != head.size or seen.root == write_hash(head.root):
        return
    with hub.database.transaction() as session:
        session.execute(
            update(table(WitnessedCheckpoint))
            .where(*mine)
            .values(conflict=asked.note.whole(), conflict_at=now)
        )
        details = {"log": head.origin, "size": head.size, "root": write_hash(head.root)}
        append(session, hub.district, OFFICE, "log.forked", actor="witness", now=now, details=details)


def seen(session: Session, district: str, origin_hash: str) -> str | None:
    """Return the newest note of a log, by the SHA-256 of its origin in hexadecimal; None for none."""
    c = table(WitnessedCheckpoint).c
    for origin, note in session.execute(select(c.origin, c.note).where(c.district == district)):
        if sha256(origin.encode()).hexdigest() == origin_hash:
            return str(note)
    return None
