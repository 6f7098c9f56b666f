"""The incarnations of the database: each restore is an entry that the key file signed, and that names what was given up.

So a checkpoint that was kept elsewhere and is newer than the restored data is told apart: covered by a signed entry, it is
of a past that was given up; without one, the end of the log was cut off. The signature is in the entry itself, since a
checkpoint would also sign an entry that somebody without the keys has written.

What was given up is listed checkpoint by checkpoint, from the data that were replaced. Where these were lost before the
restore, the entry says so, and every later checkpoint of that incarnation counts as given up.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import func, inspect, make_url, select
from sqlalchemy.orm import Session

from server.audit.chain import OFFICE, append
from server.audit.checkpoints import ROWS_AT_ONCE, KeptCheckpoint, is_signed, retired_keys
from server.audit.signed_note import TreeHead, write_hash
from server.crypto.vault import Vault, unbase64
from server.database.engine import Database
from server.database.ids import new_id
from server.database.models import AuditCheckpoint, AuditEntry, AuditStream, Installation, table
from sync_protocol import ProtocolError, canonical, digest

KIND: Final = "posyandu-sync.incarnation"
VERSION: Final = 1
BEGUN: Final = "incarnation.begun"
FORGED: Final = "forged"
MOST_GIVEN_UP: Final = 10_000
"""Checkpoints that an entry lists, the newest: more than a year of them."""
_UNREADABLE: Final = (ValueError, TypeError, KeyError, AttributeError, ProtocolError)


@dataclass(frozen=True, slots=True)
class Incarnation:
    """One restore. `is_signed`: by a known key; None if no known key signed it; False if a signature does not fit."""

    number: int
    statement: Mapping[str, Any]
    signatures: Mapping[str, str]
    is_signed: bool | None

    @property
    def id(self) -> str:
        return str(self.statement["incarnation"])

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.statement["at"])

    @property
    def made_at(self) -> datetime | None:
        """When the backup was made; None if the data were restored by other means."""
        made = self.statement["backup"].get("made_at")
        return datetime.fromisoformat(made) if made else None

    @property
    def continues(self) -> int:
        """Number of the last checkpoint that was kept; 0 for none."""
        return int((self.statement["continues"] or {"number": 0})["number"])

    @property
    def given_up(self) -> int | None:
        """How many checkpoints were given up; None if the data were lost before."""
        return len(self._listed) if self._knows else None

    @property
    def _listed(self) -> list[Mapping[str, Any]]:
        return list((self.statement["replaced"] or {"checkpoints": ()})["checkpoints"])

    @property
    def _knows(self) -> bool:
        """Whether what was replaced was of the same history, so that the list says all that was given up."""
        replaced = self.statement["replaced"]
        return bool(replaced and replaced["related"])

    def gave_up(self, kept: KeptCheckpoint) -> bool:
        """Say whether a checkpoint is of the past that this restore gave up."""
        wanted = digest(dict(kept.statement))
        if any(wanted == one["digest"] for one in self._listed):
            return True
        mine = kept.statement["incarnation"] == self.statement["before"]
        return bool(not self._knows and mine and kept.number > self.continues)

    def gave_up_tree(self, head: TreeHead) -> bool:
        """Say the same of a checkpoint as a witness has it."""
        wanted = head.size, write_hash(head.root)
        if any(wanted == (one["leaves"], one["root"]) for one in self._listed):
            return True
        continues = self.statement["continues"]
        mine = head.origin.endswith(f"/{self.statement['before']}")
        return bool(not self._knows and mine and head.size > (continues["leaves"] if continues else 0))

    def words(self) -> str:
        """Describe it in English."""
        whence = f"a backup of {self.made_at.isoformat()}" if self.made_at else "another copy"
        lost = "" if self.given_up is not None else ", and the data that were there before had been lost"
        return (
            f"restored on {self.statement['at']} from {whence} by {self.statement['actor']}:"
            f" entries after checkpoint {self.continues} were given up{lost}"
        )


# -- beginning one --------------------------------------------------------------------------------


def begin(
    session: Session,
    vault: Vault | None,
    district: str,
    *,
    replaced: str | None,
    actor: str,
    now: datetime,
    backup: Mapping[str, Any],
) -> str:
    """Give restored data a new incarnation, and log what was given up for it; return the incarnation.

    Parameters
    ----------
    session : writes to the restored data
    vault : signs the entry; None if there is no key file yet: then the entry counts only once a signed one follows it
    replaced : URL of the data that are being replaced, which are there until `session` commits; None if they were lost
    backup : what is said of the backup
    """
    installation = session.get_one(Installation, district)
    was, new = installation.incarnation, new_id()
    installation.incarnation = new
    session.flush()
    here = _Held.of(session, district)
    there = _held_by(replaced, district) if replaced else None
    keys = vault.checkpoint_keys() if vault is not None else {}
    statement = {
        "kind": KIND,
        "v": VERSION,
        "district": district,
        "incarnation": new,
        "before": was,
        "at": now.astimezone(UTC).isoformat(timespec="seconds"),
        "actor": actor,
        "backup": dict(backup),
        "continues": here.newest,
        "replaced": there.given_up_for(here, was) if there else None,
        "keys": sorted(keys),
    }
    signatures = vault.sign_checkpoint(canonical(statement)) if vault is not None else {}
    earlier = (
        [one for id_, one in there.incarnations.items() if id_ not in here.incarnations] if there else []
    )
    details = {"statement": statement, "signatures": signatures, "earlier": earlier}
    append(session, district, OFFICE, BEGUN, actor=actor, now=now, details=details)
    return new


@dataclass(frozen=True, slots=True)
class _Held:
    """What one database holds: its incarnation, entries in all, checkpoints by number, and incarnations as logged."""

    incarnation: str
    entries: int
    checkpoints: Mapping[int, Mapping[str, Any]]
    signed: tuple[Mapping[str, Any], Mapping[str, str]] | None
    incarnations: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, session: Session, district: str) -> "_Held":
        c, s = table(AuditCheckpoint).c, table(AuditStream).c
        rows = select(c.number, c.statement, c.signatures).where(c.district == district).order_by(c.number)
        checkpoints, signed = {}, None
        for number, text, signatures in session.execute(rows):
            statement = json.loads(text)
            checkpoints[number] = _brief(statement)
            signed = statement, json.loads(signatures)
        counted = select(func.coalesce(func.sum(s.entries), 0)).where(s.district == district)
        logged = {}
        for _, details in entries_of(session, district):
            for one in (details, *details.get("earlier", ())):
                brief = {"statement": one["statement"], "signatures": one["signatures"]}
                logged[one["statement"]["incarnation"]] = brief
        found = session.get(Installation, district)
        return cls(
            found.incarnation if found else "",
            int(session.execute(counted).scalar_one()),
            checkpoints,
            signed,
            logged,
        )

    @property
    def newest(self) -> Mapping[str, Any] | None:
        return self.checkpoints[max(self.checkpoints)] if self.checkpoints else None

    def shares_history_with(self, other: "_Held", was: str) -> bool:
        """Say whether this came out of the same installation as the other, whose incarnation was `was`."""
        befores = {one["statement"]["before"] for one in self.incarnations.values()}
        same = any(other.checkpoints.get(number) == one for number, one in self.checkpoints.items())
        return same or was in {self.incarnation, *self.incarnations, *befores}

    def given_up_for(self, other: "_Held", was: str) -> Mapping[str, Any]:
        """Say what of this is given up where the other takes its place."""
        lost = [one for number, one in self.checkpoints.items() if other.checkpoints.get(number) != one]
        return {
            "incarnation": self.incarnation,
            "related": self.shares_history_with(other, was),
            "entries": self.entries,
            "checkpoints": lost[-MOST_GIVEN_UP:],
            "newest": {"statement": self.signed[0], "signatures": self.signed[1]} if self.signed else None,
        }


def _brief(statement: Mapping[str, Any]) -> Mapping[str, Any]:
    root = write_hash(unbase64(statement["root"]))
    leaves, number = statement["leaves"], statement["number"]
    return {"number": number, "leaves": leaves, "root": root, "digest": digest(dict(statement))}


def _held_by(url: str, district: str) -> _Held | None:
    """Read the data that are being replaced; None if there are none, or none with a log."""
    made = make_url(url)
    if made.get_backend_name() == "sqlite" and not Path(made.database or "").exists():
        return None
    database = Database(url)
    try:
        with database.reading() as session:
            tables = set(inspect(session.connection()).get_table_names())
            needed = {one.__tablename__ for one in (AuditCheckpoint, AuditEntry, AuditStream, Installation)}
            if needed > tables or session.get(Installation, district) is None:
                return None
            return _Held.of(session, district)
    finally:
        database.dispose()


def entries_of(session: Session, district: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the number and details of each entry of a restore, in order; one that is damaged is left to its hash."""
    c = table(AuditEntry).c
    query = select(c.number, c.details).where(c.district == district, c.stream == OFFICE, c.action == BEGUN)
    for number, text in session.execute(query.order_by(c.number)).all():
        yield from _read_entry(number, text)


def _read_entry(number: int, text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        details = json.loads(text)
        statements = [details["statement"], *(one["statement"] for one in details.get("earlier", ()))]
        _ = [
            (one["incarnation"] + "", one["before"] + "", one["replaced"], one["keys"]) for one in statements
        ]
    except _UNREADABLE:
        return
    yield number, details


# -- reading them ---------------------------------------------------------------------------------


def incarnations(session: Session, district: str, keys: Mapping[str, str]) -> list[Incarnation]:
    """Return the restores that the log names, the oldest first.

    Parameters
    ----------
    keys : public keys of checkpoints by id; retired ones that a checkpoint names are added
    """
    found = list(entries_of(session, district))
    named = {id_ for _, details in found for one in _of(details) for id_ in one["statement"]["keys"]}
    wanted = named - keys.keys() if keys else set()
    return list(_judged(found, district, {**_earlier_keys(session, district, keys, wanted), **keys}))


def _earlier_keys(
    session: Session, district: str, keys: Mapping[str, str], wanted: Collection[str]
) -> dict[str, str]:
    """Return those of the wanted keys that a checkpoint vouches for: it names them, and a key that is known signed it.

    That the log names a key as retired is not enough: whoever writes an entry chooses the key.
    """
    if not wanted:
        return {}
    retired, known = retired_keys(session, district, sorted(wanted)), dict(keys)
    c = table(AuditCheckpoint).c
    rows = select(c.statement, c.signatures).where(c.district == district).order_by(c.number.desc())
    with session.connection().execute(rows.execution_options(yield_per=ROWS_AT_ONCE)) as found:
        for row in found:
            statement = json.loads(row.statement)
            more = {id_: retired[id_] for id_ in statement["keys"] if id_ in retired and id_ not in known}
            if more and is_signed(statement, json.loads(row.signatures), known):
                known |= more
    return {id_: known[id_] for id_ in wanted if id_ in known}


def of_entries(
    entries: Iterable[tuple[int, str]], district: str, keys: Mapping[str, str]
) -> list[Incarnation]:
    """Return the same for entries of an export: number, details."""
    found = [one for number, text in entries for one in _read_entry(number, text)]
    return list(_judged(found, district, keys))


def _of(details: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from details.get("earlier", ())
    yield details


def _judged(
    found: Iterable[tuple[int, Mapping[str, Any]]], district: str, keys: Mapping[str, str]
) -> Iterator[Incarnation]:
    for number, details in found:
        for one in _of(details):
            statement, signatures = one["statement"], one["signatures"]
            try:
                signed = is_signed(statement, signatures, keys)
                same = statement["kind"] == KIND and statement["district"] == district
            except _UNREADABLE:
                signed, same = False, False
            yield Incarnation(number, statement, signatures, signed if same else False)


def broken(found: Iterable[Incarnation], incarnation: str) -> Iterator[tuple[str, int, str]]:
    """Yield what is wrong with the restores of a log: stream, number of the entry, what.

    Parameters
    ----------
    incarnation : of the database, or of the export
    """
    listed = list(found)
    vouched = {one.statement["before"] for one in listed if one.is_signed}
    for one in listed:
        if one.is_signed is False or (one.is_signed is None and one.id not in vouched):
            yield OFFICE, one.number, FORGED
    if listed and listed[-1].id != incarnation:
        yield "incarnation", listed[-1].number, "altered"


def restore_of(kept: KeptCheckpoint, found: Iterable[Incarnation]) -> Incarnation | None:
    """Return the restore that gave up a checkpoint; None if none that is signed did."""
    return next((one for one in found if one.is_signed and one.gave_up(kept)), None)
