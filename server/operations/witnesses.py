"""Asks the witnesses of the log: submits each new checkpoint to all of them, and reads what they have seen.

Nothing waits for a witness: the job runs beside the others, no transaction is open while one is asked, and one that does
not answer is asked again after a pause that doubles up to an hour. A restart forgets pauses; of a failure only its reason,
and since when, are stored.
"""

import os
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from server.audit import checkpoints, witnesses
from server.audit.checkpoints import Checkpoint, NotACheckpoint, read_kept
from server.audit.signed_note import Note, NoteInvalid, TreeHead, read_size, write_hash
from server.audit.witnesses import AHEAD, OTHER_COPY, UNKNOWN_SIZE, KnownWitness
from server.context import AppContext

SECONDS: Final = 10.0
"""How long a witness may take for each step of an answer."""
MOST_BYTES: Final = 64 << 10
FIRST_PAUSE, LONGEST_PAUSE = 300.0, 3600.0
_pauses: dict[tuple[str, str, str], tuple[float, float]] = {}
"""By database, district and witness: how long the pause is, and when it ends."""


class NoAnswer(Exception):
    """A witness did not take a checkpoint. The text is a code."""


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    media_type: str
    body: bytes


def submit(hub: AppContext, now: datetime) -> Mapping[str, Any]:
    """Submit the newest checkpoint to every witness that lacks it and whose pause is over.

    Returns
    -------
    dict : how many took it, and how many did not
    """
    result = {"took": 0, "failed": 0}
    with hub.database.reading() as session:
        newest = checkpoints.newest(session, hub.district)
        wanting = [
            one
            for one in witnesses.known(session, hub.district)
            if newest and (witnesses.last_vouched(session, hub.district, one.name) or (0,))[0] < newest.number
        ]
    for witness in wanting:
        if newest is not None and _may_ask(hub, witness):
            result["took" if ask(hub, witness, newest, now) is None else "failed"] += 1
    return result


def ask(hub: AppContext, witness: KnownWitness, newest: Checkpoint, now: datetime) -> str | None:
    """Submit a checkpoint to one witness; return why it did not take it, or None."""
    take = _copy_to if witness.is_directory else _submit_to
    try:
        lines, at = take(hub, witness, newest, now)
    except NoAnswer as error:
        why = str(error)
    except NoteInvalid:
        why = "signature-invalid"
    except (OSError, HTTPException, ValueError) as error:
        why = type(error).__name__
    else:
        _pauses.pop(_key(hub, witness), None)
        with hub.database.transaction() as session:
            witnesses.record(session, hub, newest.number, witness.name, lines, at, now)
        return None
    _pause(hub, witness)
    if why != witness.failure:
        with hub.database.transaction() as session:
            witnesses.note_failure(session, hub, witness, why, now)
    return why


def _key(hub: AppContext, witness: KnownWitness) -> tuple[str, str, str]:
    return str(hub.database.engine.url), hub.district, witness.name


def _may_ask(hub: AppContext, witness: KnownWitness) -> bool:
    _, until = _pauses.get(_key(hub, witness), (0.0, 0.0))
    return time.monotonic() >= until


def _pause(hub: AppContext, witness: KnownWitness) -> None:
    before, _ = _pauses.get(_key(hub, witness), (0.0, 0.0))
    length = min(max(2 * before, FIRST_PAUSE), LONGEST_PAUSE)
    _pauses[_key(hub, witness)] = length, time.monotonic() + length


# -- a server -------------------------------------------------------------------------------------


def _submit_to(
    hub: AppContext, witness: KnownWitness, newest: Checkpoint, _now: datetime
) -> tuple[str, datetime]:
    note = witnesses.note_of(hub, newest.statement, newest.signatures)
    if note is None:
        raise NoAnswer("unsigned")
    with hub.database.reading() as session:
        last = witnesses.last_vouched(session, hub.district, witness.name)
    same = last is not None and last[1]["incarnation"] == newest.statement["incarnation"]
    old = last[1]["leaves"] if last is not None and same else 0
    reply = _send(hub, witness, newest, note, old)
    if reply.status == 409:
        told = read_size(reply.body.decode("ascii", "replace").removesuffix("\n"))
        if told > newest.statement["leaves"]:
            raise NoAnswer(AHEAD)
        reply = _send(hub, witness, newest, note, told)
    if reply.status != 200:
        raise NoAnswer(f"answered-{reply.status}")
    return witnesses.cosigned(note, witness, reply.body.decode())


def _send(hub: AppContext, witness: KnownWitness, newest: Checkpoint, note: Note, old: int) -> Reply:
    with hub.database.reading() as session:
        proof = witnesses.growth(session, hub.district, old, newest.number)
    if proof is None:
        raise NoAnswer(UNKNOWN_SIZE)
    steps = "".join(f"{write_hash(step)}\n" for step in proof)
    return _http(witness.place, "POST", "add-checkpoint", f"old {old}\n{steps}\n{note.whole()}".encode())


def _http(place: str, method: str, path: str, body: bytes | None) -> Reply:
    """Ask a server; redirects are not followed, and no proxy of the environment is used."""
    url = urlsplit(place)
    host, port = url.hostname or "", url.port
    made: Callable[[], HTTPConnection] = (
        (lambda: HTTPSConnection(host, port, timeout=SECONDS, context=ssl.create_default_context()))
        if url.scheme == "https"
        else (lambda: HTTPConnection(host, port, timeout=SECONDS))
    )
    connection = made()
    try:
        headers = {"Content-Type": "text/plain; charset=utf-8"} if body is not None else {}
        connection.request(method, f"{url.path.rstrip('/')}/{path}", body, headers)
        answer = connection.getresponse()
        return Reply(answer.status, answer.headers.get_content_type(), answer.read(MOST_BYTES))
    finally:
        connection.close()


def seen_by(witness: KnownWitness, origin: str) -> Note | None:
    """Ask a server for the newest checkpoint of a log that it has cosigned; None if it knows none.

    Raises
    ------
    NoAnswer, NoteInvalid, OSError
    """
    named = sha256(origin.encode()).hexdigest()
    try:
        reply = _http(witness.place, "GET", f"{named}/checkpoint", None)
    except HTTPException as error:
        raise NoAnswer(type(error).__name__) from error
    if reply.status == 404:
        return None
    if reply.status != 200:
        raise NoAnswer(f"answered-{reply.status}")
    note = Note.read(reply.body.decode())
    if not note.by(witness.keys) or TreeHead.read(note.text).origin != origin:
        raise NoteInvalid("it is not signed by that witness, or of another log")
    return note


# -- a directory ----------------------------------------------------------------------------------


def _copy_to(
    hub: AppContext, witness: KnownWitness, newest: Checkpoint, now: datetime
) -> tuple[str, datetime]:
    """Write the checkpoint's file; one that is there already must be the same checkpoint, and is left as it is."""
    with hub.database.reading() as session:
        found = checkpoints.kept(session, hub, newest.number)
        kept = witnesses.with_note(session, hub, found) if found else None
    directory = Path(witness.place)
    if kept is None or not directory.is_dir():  # never created: a stick that is not mounted is no directory
        raise NoAnswer("no-directory")
    file = directory / file_name(kept.statement)
    if file.exists():
        if read_kept(file.read_bytes()).statement != kept.statement:
            raise NoAnswer(OTHER_COPY)
        return "", now
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as writing:
            writing.write(kept.file())
            writing.flush()
            os.fsync(writing.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return "", now


def file_name(statement: Mapping[str, Any]) -> str:
    """Return the name of a checkpoint's file in a directory; a restored database begins other names."""
    district, incarnation, number = (statement[name] for name in ("district", "incarnation", "number"))
    return f"posyandu-{district}-{incarnation}-{number:06}.checkpoint.json"


_FILE: Final = re.compile(r"posyandu-\d{2}\.\d{2}-[0-9a-f-]{36}-\d{6,}\.checkpoint\.json")


def newest_file(place: Path) -> Path | None:
    """Return the newest checkpoint's file in a directory, by what it says; None if there is none that can be read."""
    dated = []
    for file in place.iterdir():
        if _FILE.fullmatch(file.name):
            try:
                kept = read_kept(file.read_bytes())
            except (OSError, NotACheckpoint):
                continue
            dated.append((kept.statement["at"], kept.number, file))
    return max(dated)[2] if dated else None
