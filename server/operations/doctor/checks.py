"""A check: its context, its findings, its result as text and JSON; and how children are read in chunks."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.backup.refusals import Progress
from server.context import AppContext
from server.crypto.vault import KeyUnusable
from server.database.models import Child
from server.operations.doctor.messages import WORDS
from server.translations import T_, Text
from sync_protocol import ProtocolError

CHUNK: Final = 500
"""Children, or rows of the ledger, in memory at a time."""
SAMPLE: Final = 200
"""Children that a quick examination decrypts and folds."""
MOST_KEPT, MOST_NAMED = 1000, 3
"""Findings of one check that are kept (for JSON), and that are named in its line of text."""
UNREADABLE: Final = (KeyUnusable, ProtocolError, ValueError, KeyError, TypeError, AttributeError)
"""What reading damaged bytes may raise."""


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check.

    Parameters
    ----------
    looked_at : how many things were checked
    problems : how many are wrong
    found : what is wrong, the first MOST_KEPT of it
    remark : Indonesian, English; worth knowing although nothing is wrong
    """

    name: str
    looked_at: int
    problems: int
    found: Sequence[str]
    remark: Text | None = None

    @property
    def is_ok(self) -> bool:
        return self.problems == 0

    def words(self) -> Text:
        """Return the text of the result, or the remedy."""
        text = WORDS[self.name].ok if self.is_ok else WORDS[self.name].problem
        text = text.format(count=f"{self.looked_at:,}")
        return T_("{text} ({remark})").format(text=text, remark=self.remark) if self.remark else text


def as_line(check: Check) -> str:
    """Write a check as one line."""
    text = check.words().both()
    if check.is_ok:
        return f"ok       {check.name}: {text}"
    named = "; ".join(check.found[:MOST_NAMED]) + ("; …" if check.problems > MOST_NAMED else "")
    return f"problem  {check.name}: {check.problems:,} ({named}): {text}"


def as_json(checks: Sequence[Check]) -> str:
    """Write checks as a JSON list; each holds all findings that were kept."""
    rows = []
    for check in checks:
        indonesian, english = check.words()
        rows.append(
            {
                "check": check.name,
                "status": "ok" if check.is_ok else "problem",
                "looked_at": check.looked_at,
                "problems": check.problems,
                "found": list(check.found),
                "indonesian": indonesian,
                "english": english,
            }
        )
    return json.dumps(rows, ensure_ascii=False, indent=1)


@dataclass(slots=True)
class Findings:
    """What one check has looked at and found so far."""

    looked_at: int = 0
    problems: int = 0
    found: list[str] = field(default_factory=list)
    remark: Text | None = None

    def add(self, what: str) -> None:
        self.problems += 1
        if len(self.found) < MOST_KEPT:
            self.found.append(what)

    def check(self, name: str) -> Check:
        return Check(name, self.looked_at, self.problems, self.found, self.remark)


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What the checks of data need."""

    hub: AppContext
    now: datetime
    quick: bool
    progress: Progress

    @property
    def district(self) -> str:
        return self.hub.district

    def reading(self) -> AbstractContextManager[Session]:
        return self.hub.database.reading()


def chunks_of_children(context: CheckContext, what: str) -> Iterator[list[str]]:
    """Yield the ids of all children, CHUNK at a time; in a quick examination, of SAMPLE children."""
    limit = SAMPLE if context.quick else None
    with context.reading() as session:
        query = select(Child.id).where(Child.district == context.district).order_by(Child.id).limit(limit)
        ids = list(session.scalars(query))
    for start in range(0, len(ids), CHUNK):
        context.progress(what, start, len(ids))
        yield ids[start : start + CHUNK]


def one_by_one_on_error(ids: list[str], check: Callable[[list[str]], Iterable[str]]) -> list[str]:
    """Check children together; if something cannot be read, halve the list until the damaged child is alone and named."""
    try:
        return list(check(ids))
    except UNREADABLE as error:
        if len(ids) == 1:
            return [f"{ids[0]}: unreadable ({type(error).__name__})"]
    half = len(ids) // 2
    return [*one_by_one_on_error(ids[:half], check), *one_by_one_on_error(ids[half:], check)]
