"""The nightly slice: a share of every part is computed again, so that all has been looked at within a month.

Its place, and what it found, are the newest run of its job (`job_run`). Each difference is a notice, until its unit is
looked at again and fits. So the page, the metrics and `doctor` tell how far the round is and what it found.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from server.context import AppContext
from server.database.models import JobRun, Notice, table
from server.database.writes import upsert
from server.operations.recomputation.difference import Difference
from server.operations.recomputation.parts import PARTS, Part

JOB: Final = "recomputation"
NIGHTS: Final = 28
"""A round takes so many nights."""
NOTICE: Final = "differs"
"""Kind of the notice of a difference; its subject is the part, the unit and the place."""
MOST_NOTICES: Final = 1000
SHOWN: Final = 100
DONE: Final = None


@dataclass(slots=True)
class Round:
    """How far the round is.

    Parameters
    ----------
    began : when it began; None before the first
    after : by part the last unit that was looked at; None once the part is done
    looked_at : units looked at in this round
    found : differences found in this round
    ended : when the last round ended; None before
    last_found : how many differences that one found
    """

    began: datetime | None = None
    after: dict[str, str | None] = field(default_factory=dict)
    looked_at: int = 0
    found: int = 0
    ended: datetime | None = None
    last_found: int = 0

    @classmethod
    def stored(cls, session: Session, hub: AppContext) -> "Round":
        """Load how far the round is."""
        of_job = (JobRun.district == hub.district, JobRun.job == JOB)
        text = session.scalar(select(JobRun.result).where(*of_job))
        known = orjson.loads(text) if text else {}
        state = cls(
            **{name: known[name] for name in ("after", "looked_at", "found", "last_found") if name in known}
        )
        if known.get("began"):
            state.began = datetime.fromisoformat(known["began"])
        if known.get("ended"):
            state.ended = datetime.fromisoformat(known["ended"])
        return state

    @property
    def is_done(self) -> bool:
        return all(self.after.get(part.name, "") is DONE for part in PARTS)

    def begin(self, now: datetime) -> None:
        self.began, self.after, self.looked_at, self.found = now, {part.name: "" for part in PARTS}, 0, 0

    def end(self, now: datetime) -> None:
        self.ended, self.last_found = now, self.found

    def as_result(self) -> dict[str, Any]:
        """Return it as the result of the job."""
        moments = {name: at.isoformat() for name in ("began", "ended") if (at := getattr(self, name))}
        counts = {name: getattr(self, name) for name in ("after", "looked_at", "found", "last_found")}
        return counts | moments


@dataclass(frozen=True, slots=True)
class Slice:
    """What one night looked at: the units of each part, and their differences."""

    units: Mapping[str, Sequence[str]]
    found: Mapping[str, Sequence[Difference]]


def look_at_slice(hub: AppContext, state: Round, now: datetime) -> Slice:
    """Look at tonight's share of each part; moves the round on."""
    if state.began is None or state.is_done:
        state.begin(now)
    units: dict[str, list[str]] = {}
    found: dict[str, list[Difference]] = {}
    for part in PARTS:
        after = state.after.get(part.name, "")
        if after is DONE:
            continue
        with hub.database.reading() as session:
            share = -(-part.count_units(session, hub) // NIGHTS) or 1
            units[part.name] = part.list_units(session, hub, after, share)
        found[part.name] = _look(hub, part, units[part.name], now)
        is_last = len(units[part.name]) < share or not _more(hub, part, units[part.name][-1])
        state.after[part.name] = DONE if is_last else units[part.name][-1]
    state.looked_at += sum(map(len, units.values()))
    state.found += sum(map(len, found.values()))
    if state.is_done:
        state.end(now)
    return Slice(units, found)


def _look(hub: AppContext, part: Part, units: Sequence[str], now: datetime) -> list[Difference]:
    found: list[Difference] = []
    for start in range(0, len(units), part.chunk):
        with hub.database.reading() as session:
            found += part.look(session, hub, units[start : start + part.chunk], now)
        del found[MOST_NOTICES:]
    return found


def _more(hub: AppContext, part: Part, after: str) -> bool:
    with hub.database.reading() as session:
        return bool(part.list_units(session, hub, after, 1))


# -- notices --------------------------------------------------------------------------------------


def save_notices(session: Session, hub: AppContext, seen: Slice, now: datetime) -> int:
    """Make the notices of the units that were looked at those of their differences; return how many were raised or removed.

    One that says the same already keeps its time.
    """
    wanted = {
        _subject(part, one): orjson.dumps(_details(one)).decode()
        for part, several in seen.found.items()
        for one in several
    }
    looked = {(part, unit) for part, units in seen.units.items() for unit in units}
    known = {
        row.subject: row.details
        for row in session.execute(_stored(hub))
        if tuple(row.subject.split(" ", 2)[:2]) in looked
    }
    gone = sorted(known.keys() - wanted.keys())
    for subject in gone:
        session.execute(
            delete(table(Notice)).where(
                Notice.district == hub.district, Notice.kind == NOTICE, Notice.subject == subject
            )
        )
    new = {subject: details for subject, details in wanted.items() if known.get(subject) != details}
    row = {"district": hub.district, "kind": NOTICE, "raised_at": now}
    room = list(new.items())[:MOST_NOTICES]
    upsert(session, table(Notice), [{**row, "subject": one, "details": details} for one, details in room])
    return len(gone) + len(room)


def _subject(part: str, one: Difference) -> str:
    return " ".join((part, one.unit, one.name, one.column)).rstrip()


def _details(one: Difference) -> dict[str, str]:
    told = {"said": one.line(), "remedy": one.remedy}
    return {name: value for name, value in told.items() if value}


def _stored(hub: AppContext) -> Any:
    return select(Notice.subject, Notice.details, Notice.raised_at).where(
        Notice.district == hub.district, Notice.kind == NOTICE
    )


# -- told -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Told:
    """A difference that stands: one line of plain English, the remedy, and since when."""

    said: str
    remedy: str
    since: datetime


def standing(session: Session, hub: AppContext, limit: int | None = SHOWN) -> list[Told]:
    """List the differences that stand, the oldest first."""
    rows: Iterable[Any] = session.execute(
        _stored(hub).order_by(Notice.raised_at, Notice.subject).limit(limit)
    )
    told = [(orjson.loads(row.details), row.raised_at) for row in rows]
    return [Told(one["said"], one.get("remedy", ""), since) for one, since in told]


def count_standing(session: Session, hub: AppContext) -> int:
    """Count the differences that stand."""
    return session.scalar(select(func.count()).select_from(_stored(hub).subquery())) or 0


def share_done(session: Session, hub: AppContext, state: Round) -> float:
    """Return how much of the round is done, 0 to 1: the least of all parts."""
    if state.began is None:
        return 0.0
    shares = []
    for part in PARTS:
        after = state.after.get(part.name, "")
        total = part.count_units(session, hub)
        left = 0 if after is DONE else len(part.list_units(session, hub, after, None))
        shares.append(1 - left / total if total else 1.0)
    return min(shares)
