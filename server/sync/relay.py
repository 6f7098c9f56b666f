"""Batches that somebody else carries: sealed batches ("letters") in, sealed receipts out.

    opened and the tablet's signature checked, without a lock
    taken as the tablet's own upload is, each tablet's in the order of its changes, whatever their order in the file
    answered in the order in which they came

Rules kept here: a failure of one letter does not affect the others; the same letter again gets the same receipt; the carrier
learns nothing but a code. Nothing is stored or logged of a letter that is not proven to come from a tablet of ours, nor of
one that was taken before, so neither strangers nor carriers can fill the log; one entry counts the letters of a delivery
that brought anything new.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas import Malformed
from server import audit
from server.context import AppContext
from server.crypto.sealed_batch import Slip, open_letter, read_letter, seal_receipt
from server.csv_writer import cell, csv_text, text_table
from server.database.models import HealthPost, Tablet
from server.errors import Problem
from server.sync.receipts import IssuedReceipt
from server.sync.refusals import ProvenRefusal, log_refusal
from server.sync.retrying import retrying
from server.sync.upload import Upload, foresee_carried, prove_carried, take_carried
from sync_protocol import ReceiptStatus

MOST_LETTERS: Final = 50
"""Of one request. A file may hold more: then it is sent in parts."""
CARRIER: Final = "carrier"
"""The actor in the log for letters brought to the endpoint, which needs no sign-in."""


@dataclass(slots=True)
class RelayedBatch:
    """One letter, and what became of it: its `receipt`, or the `code` of the problem for which it was refused.

    `slip` is what its receipt is sealed with; None, like `upload`, if the letter could not be opened or proven.
    """

    code: str = ""
    slip: Slip | None = None
    upload: Upload | None = None
    receipt: IssuedReceipt | None = None

    @property
    def known(self) -> bool:
        """Whether it was taken before."""
        return self.receipt is not None and self.receipt.given_before

    @property
    def brings_news(self) -> bool:
        """Whether it was taken now."""
        taken = self.receipt is not None and self.receipt.status is ReceiptStatus.ACCEPTED
        return taken and not self.known

    def answer(self) -> dict[str, Any]:
        """Return what the carrier takes back: a sealed receipt, or a code."""
        if self.slip is None or self.receipt is None:
            return {"problem": self.code}
        return seal_receipt(self.receipt.json, self.slip)

    def word(self) -> str:
        """Return what became of it in one word: the code, or the receipt's status."""
        return self.receipt.status.value if self.receipt else self.code

    def outcomes(self) -> Mapping[str, int]:
        """Count what became of the changes."""
        return self.receipt.outcomes if self.receipt else {}


class _RollBack(Exception):
    """Ends a dry run: what it wrote is rolled back."""


def deliver(
    hub: AppContext,
    letters: Sequence[object],
    *,
    actor: str,
    now: datetime,
    turn: AbstractContextManager[Any],
) -> list[RelayedBatch]:
    """Take what a carrier brings.

    Parameters
    ----------
    letters : decoded JSON, unchecked
    actor : who is logged as the carrier
    now : aware
    turn : entered again for each letter that is taken, so that tablets which sync themselves get their turn in between

    Returns
    -------
    list of RelayedBatch, in the order of the letters
    """
    brought = [_opened(hub, letter, now) for letter in letters]
    for one, upload in _in_order(brought):
        try:
            with turn:
                one.receipt = take_carried(hub, upload)
        except ProvenRefusal as refusal:
            one.code = refusal.code
            log_refusal(hub, refusal, upload.size_bytes, now)
    if any(one.brings_news for one in brought):
        with hub.database.transaction() as session:
            counts = dict(sorted(Counter(one.word() for one in brought).items()))
            details = {"letters": len(brought), "became": counts}
            audit.append(
                session,
                hub.district,
                audit.OFFICE,
                "batches.delivered",
                actor=actor,
                now=now,
                details=details,
            )
    return brought


def foresee(hub: AppContext, letters: Sequence[object], *, now: datetime) -> list[RelayedBatch]:
    """Say what `deliver` would do, and write nothing: everything is done in one transaction that is rolled back, so one
    letter finds what the one before it would have written. Other writers of the database wait meanwhile.
    """
    return retrying(lambda: _foreseen(hub, letters, now))


def _foreseen(hub: AppContext, letters: Sequence[object], now: datetime) -> list[RelayedBatch]:
    brought = [_opened(hub, letter, now) for letter in letters]
    with suppress(_RollBack), hub.database.transaction() as session:
        for one, upload in _in_order(brought):
            try:
                one.receipt = foresee_carried(session, hub, upload)
            except ProvenRefusal as refusal:
                one.code = refusal.code
        raise _RollBack
    return brought


def letters_of(content: bytes) -> list[object]:
    """Read a carrier's file: one letter a line. A line that is not JSON becomes None, which is refused as a letter."""
    return [_line(line) for line in content.splitlines() if line.strip()]


def senders(session: Session, hub: AppContext, brought: Sequence[RelayedBatch]) -> dict[str, tuple[str, str]]:
    """Return the names of the tablets that sealed letters, and of their posts, by tablet id."""
    ids = {one.upload.batch["tablet"] for one in brought if one.upload}
    same = (HealthPost.district == Tablet.district) & (HealthPost.id == Tablet.post_id)
    rows = session.execute(
        select(Tablet.id, Tablet.name, HealthPost.name)
        .join(HealthPost, same)
        .where(Tablet.district == hub.district, Tablet.id.in_(ids))
    )
    return {tablet_id: (name, post) for tablet_id, name, post in rows}


def _line(line: bytes) -> object:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _opened(hub: AppContext, letter: object, now: datetime) -> RelayedBatch:
    """Open a letter and check who signed the batch in it."""
    settings = hub.settings
    try:
        sealed = read_letter(hub.vault, letter)
        most = settings.max_inflated_bytes
        inside, slip = open_letter(hub.vault, sealed, max_bytes=most, max_depth=settings.max_depth)
        upload = prove_carried(hub, inside.message, size_bytes=len(sealed.sealed), now=now)
    except (Problem, Malformed) as refusal:
        return RelayedBatch(code=refusal.code)
    return RelayedBatch(slip=slip, upload=upload)


def _in_order(brought: Sequence[RelayedBatch]) -> Iterator[tuple[RelayedBatch, Upload]]:
    """Return what can be taken, the older changes of each tablet first: letters come in any order."""
    proven = [(one, one.upload) for one in brought if one.upload]
    yield from sorted(proven, key=lambda pair: (pair[1].batch["tablet"], pair[1].batch["first"]))


# -- files ------------------------------------------------------------------------------------------

MOST_BYTES: Final = 64 * 1024 * 1024
"""Of all files of one import."""
COLUMNS: Final = (
    "file",
    "letter",
    "tablet",
    "name",
    "post",
    "first",
    "changes",
    "answer",
    "known",
    "outcomes",
)


class RelayFileUnreadable(ValueError):
    """A file cannot be imported; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class RelayReport:
    """What became of the letters of some files, or would: a row for each, the files of receipts written, and why others
    could not be.
    """

    rows: Sequence[Mapping[str, Any]]
    written: Sequence[Path]
    unwritten: Sequence[OSError]

    @property
    def needs_attention(self) -> bool:
        """Say whether a letter was refused or turned back, a change quarantined, or receipts could not be written."""
        asked = any(row["answer"] != "accepted" or "quarantined" in row["outcomes"] for row in self.rows)
        return asked or bool(self.unwritten)


def import_files(
    hub: AppContext, files: Sequence[Path], *, apply: bool, actor: str, now: datetime
) -> RelayReport:
    """Take the letters of files, or only say what would become of them.

    The letters of all files count as one delivery, so their order does not matter. The receipts of each FILE are written to
    FILE.receipts beside it, a line for each letter; older ones are replaced.

    Raises
    ------
    RelayFileUnreadable
        Too large, or without any letter.
    OSError
        A file cannot be read: nothing was taken.
    """
    bags = [_letters_in(file) for file in files]
    if sum(size for _, size in bags) > MOST_BYTES:
        raise RelayFileUnreadable(f"more than {MOST_BYTES >> 20} MiB at once: import fewer files")
    letters = [letter for held, _ in bags for letter in held]
    alone = nullcontext()  # this process serves no tablets
    brought = (
        deliver(hub, letters, actor=actor, now=now, turn=alone) if apply else foresee(hub, letters, now=now)
    )
    with hub.database.reading() as session:
        names = senders(session, hub, brought)
    rows: list[Mapping[str, Any]] = []
    written: list[Path] = []
    unwritten: list[OSError] = []
    rest = iter(brought)
    for file, (held, _) in zip(files, bags, strict=True):
        mine = list(islice(rest, len(held)))
        rows += [_row(file, number, one, names) for number, one in enumerate(mine, 1)]
        if apply:
            try:
                written.append(_write_receipts(file, mine))
            except OSError as error:  # such as a full memory stick: what was taken stays taken
                unwritten.append(error)
    return RelayReport(rows, written, unwritten)


def as_text(rows: Sequence[Mapping[str, Any]], form: str) -> str:
    """Write rows as `table`, `csv` or `json`."""
    if form == "json":
        return orjson.dumps(list(rows), option=orjson.OPT_INDENT_2).decode()
    if form == "csv":
        return csv_text(COLUMNS, [{name: _value(value) for name, value in row.items()} for row in rows])
    return text_table(COLUMNS, rows, cell=_cell)


def _letters_in(file: Path) -> tuple[list[object], int]:
    with file.open("rb") as reading:
        content = reading.read(MOST_BYTES + 1)
    letters = letters_of(content)
    if not letters:
        raise RelayFileUnreadable(f"{file} holds no sealed batch: is it the file that the tablet made?")
    return letters, len(content)


def _row(
    file: Path, number: int, one: RelayedBatch, names: Mapping[str, tuple[str, str]]
) -> Mapping[str, Any]:
    batch = one.upload.batch if one.upload else None
    name, post = names.get(batch["tablet"], ("", "")) if batch else ("", "")
    return {
        "file": str(file),
        "letter": number,
        "tablet": batch["tablet"] if batch else None,
        "name": name,
        "post": post,
        "first": batch["first"] if batch else None,
        "changes": len(batch["changes"]) if batch else None,
        "answer": one.word(),
        "known": one.known,
        "outcomes": dict(one.outcomes()),
    }


def _cell(value: Any) -> str:
    return cell(_value(value), nothing="")


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return " ".join(f"{outcome}={count}" for outcome, count in sorted(value.items()))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value


def _write_receipts(file: Path, brought: Sequence[RelayedBatch]) -> Path:
    """Write what the carrier takes back; the file gets its name only when it is complete."""
    path = file.with_name(f"{file.name}.receipts")
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as writing:
            writing.writelines(orjson.dumps(one.answer()) + b"\n" for one in brought)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path
