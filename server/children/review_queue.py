"""Who needs a second look, and what is being done about it: the queue's rows, derived from flags and follow-ups.

Rules kept here:
- There is a row for each person who has a flag, or for whom work is open. Everything in it follows from the flags, the
  follow-ups and the child's post as they stand, so no order of arrival matters.
- `waiting` while a task is open, else `taken` while somebody has charge, else `closed` if whoever closed the case had every
  flag of today on the screen, else `new`. A flag that is raised after a closing opens the case again by itself.
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
from server.database.engine import Writes, among
from server.database.models import Attention, FollowUp, table

NEW, TAKEN, WAITING, CLOSED = "new", "taken", "waiting", "closed"
STATUSES: Final = (NEW, TAKEN, WAITING, CLOSED)
RED: Final = 1
"""The urgency that wants the health centre today."""
RANKS: Final = {rule: place for place, rule in enumerate(RULES)}
"""The rules from the gravest on, as they are listed."""
NO_FLAG: Final = 5
"""The urgency of somebody who has no flag, but for whom work is open."""
OEDEMA_DISTANCE: Final = 99.0
"""Stands for the distance from the median of a child whose oedema voids its scores."""
TAKE: Final = "take"
"""The action by which somebody takes charge of a child; its result closes the case."""


COLUMNS: Final = (
    *("child_id", "post_id", "born_on", "urgency", "red_flags", "place"),
    *("rules", "status", "assigned_to", "due_on"),
)


class Raised(NamedTuple):
    """A flag as it is stored."""

    rule: str
    subject: str
    details: str


class QueuePerson(NamedTuple):
    """Somebody as far as the queue goes: the head's post and birth date (None if unknown), and the flags that now stand."""

    post_id: str
    born_on: date | None
    flags: Sequence[Raised]


class Facts(NamedTuple):
    """What of a follow-up its child's row of the queue depends on."""

    child_id: str
    task: str
    removed: bool
    action: str | None
    due_on: date | None
    assigned_to: str | None
    resulted: int
    covers: str | None


def flag_seen(rule: str, subject: str, details: str) -> str:
    """Name a flag as it was on the screen: by its measurement, else by what it says.

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
    fresh: Mapping[tuple[str, str], Mapping[str, Any]],
) -> None:
    """Add to `writes` what of the queue changes.

    Parameters
    ----------
    persons : by the head's id
    members : the head of everybody who was looked at
    fresh : rows of follow-ups that are not written yet, by child and task; they stand for the stored ones
    """
    given = {"district": district, "among": sorted(members)}
    connection = session.connection()
    known = {row[:2]: Facts._make(row) for row in connection.execute(_follow_ups(), given)}
    known |= {key: Facts._make(row[name] for name in Facts._fields) for key, row in fresh.items()}
    work: dict[str, list[Facts]] = {}
    for (child_id, _), facts in sorted(known.items(), key=lambda item: item[0][::-1]):
        if child_id in members and not facts.removed:
            work.setdefault(members[child_id], []).append(facts)
    stored = {row[0]: row for row in connection.execute(_rows(), given)}
    wanted = {}
    for head, person in persons.items():
        row = _row(person.flags, work.get(head, ()))
        if row is not None:
            wanted[head] = (head, person.post_id, person.born_on, *row)
    changed = [
        {"district": district, **dict(zip(COLUMNS, row, strict=True))}
        for head, row in wanted.items()
        if stored.get(head) != row
    ]
    gone = [
        {"district": district, "child_id": child_id} for child_id in sorted(stored.keys() - wanted.keys())
    ]
    writes.remove(table(Attention), gone)
    writes.upsert(table(Attention), changed)


def _row(flags: Sequence[Raised], work: Iterable[Facts]) -> tuple[Any, ...] | None:
    """Give a person's row from `urgency` on; None if there is nothing to look at and nothing to do."""
    open_, covered = [], set()
    for facts in work:
        if not facts.resulted:
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
        place(flags),
        rules.text,
        WAITING if tasks else TAKEN if open_ else CLOSED if seen else NEW,
        next(reversed(takes or charge), None),
        min(due, default=None),
    )


def rules_text(rules: Iterable[str]) -> str:
    """Write down which rules stand, each once and between spaces, so that one is found and people of one set are counted
    without a look at their flags."""
    return "".join(f" {rule}" for rule in sorted(set(rules))) + " "


class RuleSummary(NamedTuple):
    """What follows from the rules of a person's flags: the highest urgency, how many are red, how grave the gravest is, and
    `rules_text`."""

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


def place(flags: Sequence[Raised]) -> float:
    """Give a person's place in the queue, a number that orders it from the lowest on: by urgency, then by how many red flags
    there are, then by the gravest flag, then by how far the worst score lies from the median (a hundredth counts)."""
    rules, worst = _rules_of(flags), max(map(_distance, flags), default=0.0)
    whole = rules.urgency * 1_000_000 + (MOST_REDS - rules.reds) * 10_000 + rules.rank * 100
    return round(whole + MOST_DISTANCE - min(worst, MOST_DISTANCE), 2)


MOST_REDS, MOST_DISTANCE = 49, 99.99
"""There are fewer red rules than that, and no score lies as far from the median."""


def _distance(flag: Raised) -> float:
    """Give how far a flag's score lies from the median, SD; 0 where it has none."""
    if flag.rule == "oedema":
        return OEDEMA_DISTANCE
    return abs(float(orjson.loads(flag.details).get("z", 0)))


@cache
def _follow_ups() -> Select[*tuple[Any, ...]]:
    c = table(FollowUp).c
    columns = [cast(c[name], Text()) if name in ("child_id", "task") else c[name] for name in Facts._fields]
    return select(*columns).where(c.district == bindparam("district"), among(c.child_id))


@cache
def _rows() -> Select[*tuple[Any, ...]]:
    c = table(Attention).c
    return select(*(c[name] for name in COLUMNS)).where(
        c.district == bindparam("district"), among(c.child_id)
    )
