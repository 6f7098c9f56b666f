"""The rows of the review queue: who needs a second look and what is being done, derived from flags and follow-ups.

- Each person with a flag or an open task has a row. It follows from the present flags, follow-ups and post of the child,
  whatever the order in which they arrived.
- Status: `waiting` while a task is open; else `taken` while somebody is responsible; else `closed` if every present flag was
  on the screen when the case was closed; else `new`. So a flag raised after that opens the case again.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import Select, Text, bindparam, cast, select
from sqlalchemy.orm import Session

from server.children.flags import RULES
from server.crypto.vault import sha256
from server.database.engine import among
from server.database.models import Attention, FollowUp, table
from server.database.writes import Writes

NEW, TAKEN, WAITING, CLOSED = "new", "taken", "waiting", "closed"
STATUSES: Final = (NEW, TAKEN, WAITING, CLOSED)
RED: Final = 1
"""The urgency of flags that need the health centre today."""
RANKS: Final = {rule: place for place, rule in enumerate(RULES)}
"""The place of each rule in RULES, the most serious first."""
NO_FLAG: Final = 5
"""The urgency of a person without a flag but with an open task."""
OEDEMA_DISTANCE: Final = 99.0
"""Used as the distance from the median (SD) of a child with oedema, whose weight scores are undefined."""
TAKE: Final = "take"
"""The action with which somebody becomes responsible for a child; its result closes the case."""


COLUMNS: Final = (
    *("child_id", "post_id", "born_on", "urgency", "red_flags", "sort_key"),
    *("rules", "status", "assigned_to", "due_on"),
)


class Raised(NamedTuple):
    """A flag as it is stored."""

    rule: str
    subject: str
    details: str


class QueuePerson(NamedTuple):
    """What the queue needs of a person: post and birth date of the canonical record, and the present flags."""

    post_id: str
    born_on: date | None
    flags: Sequence[Raised]


class FollowUpFacts(NamedTuple):
    """The columns of a follow-up that a row of the queue depends on."""

    child_id: str
    task: str
    removed: bool
    action: str | None
    due_on: date | None
    assigned_to: str | None
    has_result: int
    covers: str | None


def flag_seen(rule: str, subject: str, details: str) -> str:
    """Identify a flag as it was shown: by its measurement, or without one by its details.

    Parameters
    ----------
    details : JSON as stored
    """
    return f"{rule}/{subject or sha256(details.encode()).hex()[:12]}"


def derive(
    session: Session,
    writes: Writes,
    district: str,
    persons: Mapping[str, QueuePerson],
    members: Mapping[str, str],
    pending: Mapping[tuple[str, str], Mapping[str, Any]],
) -> None:
    """Add the rows of the queue that change to `writes`.

    Parameters
    ----------
    persons : by canonical id
    members : the canonical id of every child concerned
    pending : follow-ups that are not written yet, by child and task; they take the place of stored ones
    """
    rows = wanted(session, district, persons, members, pending)
    given = {"district": district, "among": sorted(members)}
    stored = {row[0]: row for row in session.connection().execute(_rows(), given)}
    changed = [as_row(district, row) for canonical_id, row in rows.items() if stored.get(canonical_id) != row]
    gone = [{"district": district, "child_id": child_id} for child_id in sorted(stored.keys() - rows.keys())]
    writes.remove(table(Attention), gone)
    writes.upsert(table(Attention), changed)


def wanted(
    session: Session,
    district: str,
    persons: Mapping[str, QueuePerson],
    members: Mapping[str, str],
    pending: Mapping[tuple[str, str], Mapping[str, Any]],
) -> dict[str, tuple[Any, ...]]:
    """Return the rows that the queue should have, as values of COLUMNS by canonical id; parameters as of `derive`."""
    given = {"district": district, "among": sorted(members)}
    stored = session.connection().execute(_follow_ups(), given)
    known = {row[:2]: FollowUpFacts._make(row) for row in stored}
    known |= {
        key: FollowUpFacts._make(row[name] for name in FollowUpFacts._fields) for key, row in pending.items()
    }
    work: dict[str, list[FollowUpFacts]] = {}
    for (child_id, _), facts in sorted(known.items(), key=lambda item: item[0][::-1]):
        if child_id in members and not facts.removed:
            work.setdefault(members[child_id], []).append(facts)
    rows = {}
    for canonical_id, person in persons.items():
        row = _row(person.flags, work.get(canonical_id, ()))
        if row is not None:
            rows[canonical_id] = (canonical_id, person.post_id, person.born_on, *row)
    return rows


def as_row(district: str, values: tuple[Any, ...]) -> dict[str, Any]:
    """Return a row of the table from the values of COLUMNS."""
    return {"district": district, **dict(zip(COLUMNS, values, strict=True))}


def _row(flags: Sequence[Raised], work: Iterable[FollowUpFacts]) -> tuple[Any, ...] | None:
    """Return a person's columns from `urgency` on; None without a flag and without an open task."""
    open_, covered = [], set()
    for facts in work:
        if not facts.has_result:
            open_.append(facts)
        elif facts.action == TAKE and facts.covers:
            covered |= set(orjson.loads(facts.covers))
    if not flags and not open_:
        return None
    tasks = [facts for facts in open_ if facts.action != TAKE]
    seen = bool(covered) and {flag_seen(*flag) for flag in flags} <= covered
    charge = [facts.assigned_to for facts in (*tasks, *open_) if facts.assigned_to]
    takes = [facts.assigned_to for facts in open_ if facts.action == TAKE and facts.assigned_to]
    due = [facts.due_on for facts in tasks or open_ if facts.due_on]
    rules = _rules_of(flags)
    return (
        rules.urgency,
        rules.reds,
        sort_key(flags),
        rules.text,
        WAITING if tasks else TAKEN if open_ else CLOSED if seen else NEW,
        next(reversed(takes or charge), None),
        min(due, default=None),
    )


def rules_text(rules: Iterable[str]) -> str:
    """Return the names of rules sorted, each once and between spaces: queries search this text, and group people by it."""
    return "".join(f" {rule}" for rule in sorted(set(rules))) + " "


class RuleSummary(NamedTuple):
    """What follows from the rules of a person's flags.

    Parameters
    ----------
    urgency : of the most urgent flag
    reds : number of flags with urgency RED
    rank : of the most serious rule (RANKS)
    text : `rules_text`
    """

    urgency: int
    reds: int
    rank: int
    text: str


@lru_cache(maxsize=1024)  # many people have the same few flags
def _rules(rules: tuple[str, ...]) -> RuleSummary:
    urgencies = [RULES[rule].urgency for rule in rules]
    rank = min((RANKS[rule] for rule in rules), default=len(RANKS))
    return RuleSummary(min(urgencies, default=NO_FLAG), urgencies.count(RED), rank, rules_text(rules))


def _rules_of(flags: Iterable[Raised]) -> RuleSummary:
    return _rules(tuple([flag.rule for flag in flags]))


def sort_key(flags: Sequence[Raised]) -> float:
    """Return a person's sort key in the queue; the lowest comes first.

    Ordered by urgency, then number of red flags, then most serious rule, then distance of the worst score from the median
    (SD, to two decimals).
    """
    rules, worst = _rules_of(flags), max(map(_distance, flags), default=0.0)
    whole = rules.urgency * 1_000_000 + (MOST_REDS - rules.reds) * 10_000 + rules.rank * 100
    return round(whole + MOST_DISTANCE - min(worst, MOST_DISTANCE), 2)


MOST_REDS, MOST_DISTANCE = 49, 99.99
"""Upper bounds for `place`: the number of red flags, and the distance of a score from the median (SD)."""


def _distance(flag: Raised) -> float:
    """Return how far a flag's score lies from the median, SD; 0 without a score."""
    if flag.rule == "oedema":
        return OEDEMA_DISTANCE
    return abs(float(orjson.loads(flag.details).get("z", 0)))


@cache
def _follow_ups() -> Select[*tuple[Any, ...]]:
    c = table(FollowUp).c
    columns = [
        cast(c[name], Text()) if name in ("child_id", "task") else c[name] for name in FollowUpFacts._fields
    ]
    return select(*columns).where(c.district == bindparam("district"), among(c.child_id))


@cache
def _rows() -> Select[*tuple[Any, ...]]:
    c = table(Attention).c
    return select(*(c[name] for name in COLUMNS)).where(
        c.district == bindparam("district"), among(c.child_id)
    )
