"""What is known of the log outside of it, held against it: a checkpoint that was kept, and what witnesses have seen.

A checkpoint is our file, a signed note (c2sp.org/tlog-checkpoint), or the newest file of a directory.
What the log lacks of it was given up in a restore, if an entry that the key file signed says so; else it is broken.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy.orm import Session

from server.audit import Broken, incarnations, witnesses
from server.audit.chain import OFFICE
from server.audit.checkpoints import LARGEST_FILE, KeptCheckpoint, NotACheckpoint, read_kept
from server.audit.incarnations import Incarnation
from server.audit.signed_note import COSIGNATURE, Key, Note, NoteInvalid, TreeHead
from server.context import AppContext
from server.database.models import Installation
from server.operations.witnesses import NoAnswer, newest_file, seen_by
from server.translations import T_

YOURS: Final = "your checkpoint"


@dataclass(slots=True)
class Seen:
    """A tree that somebody has seen, and the cosignatures under it by witnesses that are known: name, moment."""

    by: str
    head: TreeHead
    cosigned: Sequence[tuple[str, datetime]] = ()


@dataclass(slots=True)
class Outside:
    """The result of holding the log against what is known outside.

    Parameters
    ----------
    given_up : who saw what a restore gave up, and that restore
    silent : witnesses that could not be asked, and why
    """

    broken: list[Broken] = field(default_factory=list)
    given_up: list[tuple[str, Incarnation]] = field(default_factory=list)
    vouched: list[Seen] = field(default_factory=list)
    silent: list[tuple[str, str]] = field(default_factory=list)


def read_checkpoint(place: Path) -> KeptCheckpoint | Note:
    """Read a kept checkpoint: our file, a signed note, or the newest file of a directory.

    Raises
    ------
    NotACheckpoint
    """
    file = newest_file(place) if place.is_dir() else place
    if file is None:
        raise NotACheckpoint(T_("this is not the file of a checkpoint").both())
    with file.open("rb") as reading:
        raw = reading.read(LARGEST_FILE)
    if raw.lstrip().startswith(b"{"):
        return read_kept(raw)
    try:
        note = Note.read(raw.decode())
        TreeHead.read(note.text)
    except (NoteInvalid, UnicodeDecodeError) as error:
        raise NotACheckpoint(T_("this is not the file of a checkpoint").both()) from error
    return note


def seen_in(
    session: Session, hub: AppContext, kept: KeptCheckpoint | Note, trusted: Sequence[Key]
) -> Seen | None:
    """Return the tree that a kept checkpoint names, with the witnesses who cosigned it.

    Parameters
    ----------
    trusted : keys of witnesses beside those that the database knows

    Raises
    ------
    NotACheckpoint
        A note is signed neither by this log nor by a known witness, or a signature does not fit.
    """
    note = kept if isinstance(kept, Note) else Note.read(kept.note) if kept.note else None
    if note is None:
        return None
    head = TreeHead.read(note.text)
    keys = [key for one in witnesses.known(session, hub.district, removed=True) for key in one.keys]
    try:
        found = note.by({*keys, *trusted, *witnesses.log_keys(hub.vault, head.origin)})
    except NoteInvalid as error:
        raise NotACheckpoint(T_("its signature does not fit").both()) from error
    if not isinstance(kept, Note) and head != witnesses.head_of(kept.statement):
        raise NotACheckpoint(T_("its signature does not fit").both())
    if isinstance(kept, Note) and not found:
        raise NotACheckpoint(T_("its signature does not fit").both())
    cosigned = [(key.name, one.at) for key, one in found if key.kind == COSIGNATURE]
    return Seen(YOURS, head, cosigned)


def hold(
    session: Session,
    hub: AppContext,
    kept: KeptCheckpoint | Note | None = None,
    *,
    trusted: Sequence[Key] = (),
    ask: bool = False,
) -> Outside:
    """Hold the log against a kept checkpoint and, with `ask`, against what each witness answers now.

    The entries up to a kept file's heads are left to `audit.verify`.

    Raises
    ------
    NotACheckpoint
    """
    found = Outside()
    restores = incarnations.incarnations(session, hub.district, hub.vault.checkpoint_keys())
    if isinstance(kept, KeptCheckpoint):
        restore = incarnations.restore_of(kept, restores)
        found.given_up += [(YOURS, restore)] if restore else []
    seen = seen_in(session, hub, kept, trusted) if kept is not None else None
    if seen is not None:
        _compare(session, hub, seen, restores, found, tells=isinstance(kept, Note))
    if ask:
        _ask(session, hub, restores, found)
    return found


def _compare(
    session: Session,
    hub: AppContext,
    seen: Seen,
    restores: Iterable[Incarnation],
    found: Outside,
    *,
    tells: bool = True,
) -> None:
    what = witnesses.compare(session, hub.district, seen.head)
    restore = next((one for one in restores if one.is_signed and one.gave_up_tree(seen.head)), None)
    if not what:
        found.vouched.append(seen)
    elif restore is not None:
        found.given_up += [(seen.by, restore)] if tells else []
    elif tells:
        found.broken.append(Broken(f"{witnesses.BY_NAME}{seen.by}", seen.head.size, what))


def _ask(session: Session, hub: AppContext, restores: Sequence[Incarnation], found: Outside) -> None:
    installation = session.get_one(Installation, hub.district)
    lives = [installation.incarnation, *(str(one.statement["before"]) for one in restores)]
    for witness in witnesses.known(session, hub.district):
        try:
            if witness.is_directory:
                heads = _in_directory(Path(witness.place))
            else:
                origins = dict.fromkeys(witnesses.origin_of(hub.district, one) for one in lives)
                notes = [seen_by(witness, origin) for origin in origins]
                heads = [_of_witness(witness, note) for note in notes if note is not None]
                if not heads and witnesses.last_vouched(session, hub.district, witness.name):
                    raise NoAnswer("it does not tell what it has seen")
        except (NoAnswer, NoteInvalid, NotACheckpoint, OSError, ValueError) as error:
            found.silent.append((witness.name, str(error) or type(error).__name__))
            continue
        for head, at in heads:
            _compare(session, hub, Seen(witness.name, head, [(witness.name, at)]), restores, found)


def _of_witness(witness: witnesses.KnownWitness, note: Note) -> tuple[TreeHead, datetime]:
    return TreeHead.read(note.text), max(one.at for _, one in note.by(witness.keys))


def _in_directory(place: Path) -> list[tuple[TreeHead, datetime]]:
    file = newest_file(place)
    if file is None:
        raise NoAnswer("no-file")
    kept = read_kept(file.read_bytes())
    return [(witnesses.head_of(kept.statement), datetime.fromisoformat(kept.statement["at"]))]


# -- an export ------------------------------------------------------------------------------------


def restores_in(
    lines: Iterable[bytes], kept: KeptCheckpoint | None
) -> tuple[list[Incarnation], list[Broken]]:
    """Read only the restores of an export, and what is wrong with them.

    Parameters
    ----------
    kept : a checkpoint that was kept elsewhere; its keys are used instead of those in the file
    """
    keys, entries, about = dict(kept.public_keys) if kept else {}, [], {"district": "", "incarnation": ""}
    for number, line in enumerate(lines):
        if number == 0 or b'"key"' in line[:64] or incarnations.BEGUN.encode() in line:
            try:
                content = json.loads(line)
                if number == 0:
                    about = content
                elif content["kind"] == "key" and kept is None:
                    keys[content["key"]] = content["public_key"]
                elif (content.get("stream"), content.get("action")) == (OFFICE, incarnations.BEGUN):
                    entries.append((int(content["number"]), json.dumps(content["details"])))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # damage is found where everything is verified
    found = incarnations.of_entries(entries, str(about.get("district", "")), keys)
    broken = [Broken(*one) for one in incarnations.broken(found, str(about.get("incarnation", "")))]
    return found, broken
