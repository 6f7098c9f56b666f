"""Mass reading: somebody who opens far more children than usual. Counted from the entries of the log that every look leaves.

Rules kept here:
- Each child counts once in a window. A list counts as many as it shows, once while it shows the same, as somebody who works
  through it comes back to it; each search and each file counts anew.
- A window (a clock hour, a day of the district) is compared with an absolute floor and with the person's own weeks before.
  The figures are data with a reason: `mass_reading.toml`.
- What is found is a question for the supervisor of the person's area: it names the person, never a child.
"""

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import ColumnElement, Text, and_, cast, delete, or_, select
from sqlalchemy.orm import Session

from server import audit
from server.context import AppContext
from server.database.models import Account, AuditEntry, HealthPost, Notice, table
from server.database.writes import upsert
from server.review import Scope
from server.review.scope import posts_within

KIND: Final = "mass-reading"
"""Of its notices; the subject is the account."""
HOUR, DAY = "hour", "day"
SHOWN: Final = ("children", "records", "cases", "requests", "rows")
"""Members of an entry's details that say how many a list has shown."""
ANEW: Final = frozenset({"children.searched", "queue.exported", "tablet.exposure-exported"})
"""Looks whose details do not tell one from another."""
LOOKS: Final = frozenset(
    {
        *("child.viewed", "nik.unmasked", "record.history-viewed", "follow-ups.viewed", "move.viewed"),
        *("conflict.viewed", "quarantine.viewed", "duplicate.viewed", "aid.viewed", "letter.written"),
        *("rights.viewed", "rights.access-given", "rights.listed", "queue.viewed", "queue.exported"),
        *("children.searched", "conflicts.listed", "quarantine.listed", "duplicates.listed"),
        *("import-cases.viewed", "post.list-viewed", "post.stickers-viewed"),
        *("tablet.exposure-viewed", "tablet.exposure-exported"),
    }
)
"""Actions by which somebody is shown children."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The figures of `mass_reading.toml`."""

    version: str
    times: int
    weeks: int
    stands_days: int
    floor: Mapping[str, int]

    def allowed(self, window: str, before: Iterable[int]) -> int:
        """Return how many children are no question, from the counts of a person's windows before."""
        usual = sorted(before, reverse=True)[2:3]
        return max(self.floor[window], self.times * (usual[0] if usual else 0))


@cache
def rule() -> Rule:
    """Read the figures."""
    with Path(__file__).with_name("mass_reading.toml").open("rb") as file:
        given = tomllib.load(file)
    return Rule(given["version"], given["times"], given["weeks"], given["stands_days"], given["floor"])


@dataclass(frozen=True, slots=True)
class Finding:
    """A window in which a person read more than is usual; `allowed`: up to how many would be no question."""

    account_id: str
    window: str
    began_at: datetime
    children: int
    allowed: int


@dataclass(frozen=True, slots=True)
class Question:
    """A finding as a supervisor is shown it."""

    name: str
    role: str
    window: str
    began_at: datetime
    children: int
    allowed: int


def find(session: Session, hub: AppContext, now: datetime) -> list[Finding]:
    """Find who has read too much today or in the hour before, the largest window of each person alone."""
    zone, figures = ZoneInfo(hub.settings.time_zone), rule()
    began = hub.settings.start_of(hub.settings.today(now - timedelta(hours=1)))
    found: dict[str, Finding] = {}
    suspects: dict[str, dict[tuple[str, datetime], int]] = {}
    for account_id, windows in _counted(_looks(session, hub, began, now), zone).items():
        above = {key: count for key, count in windows.items() if count > figures.floor[key[0]]}
        if above:
            suspects[account_id] = above
    if not suspects:
        return []
    since = began - timedelta(weeks=figures.weeks)
    usual = _counted(_looks(session, hub, since, began, only=suspects), zone)
    for account_id, above in suspects.items():
        for (window, at), count in above.items():
            before = (n for (kind, _), n in usual.get(account_id, {}).items() if kind == window)
            one = Finding(account_id, window, at, count, figures.allowed(window, before))
            largest = found.get(account_id)
            if one.children > one.allowed and (largest is None or one.children > largest.children):
                found[account_id] = one
    return sorted(found.values(), key=lambda one: one.account_id)


Look = tuple[str, datetime, str, str, Mapping[str, Any]]
"""Account, time, stream, action and details of an entry."""


def _looks(
    session: Session, hub: AppContext, since: datetime, until: datetime, only: Iterable[str] | None = None
) -> Iterator[Look]:
    """Load the looks of people in a time."""
    c = table(AuditEntry).c
    query = select(c.actor, c.at, c.stream, c.action, c.details).where(
        c.district == hub.district, c.at >= since, c.at < until, c.action.in_(LOOKS)
    )
    if only is not None:
        query = query.where(c.actor.in_([f"account:{one}" for one in only]))
    for row in session.execute(query.execution_options(yield_per=1000)):
        if row.actor.startswith("account:"):
            yield (
                *(row.actor.removeprefix("account:"), row.at, row.stream, row.action),
                orjson.loads(row.details),
            )


def _counted(looks: Iterable[Look], zone: ZoneInfo) -> dict[str, dict[tuple[str, datetime], int]]:
    """Count the children that each person was shown, by hour and by day."""
    seen: dict[tuple[str, str, datetime], dict[object, int]] = defaultdict(dict)
    for number, (account_id, at, stream, action, details) in enumerate(looks):
        local = at.astimezone(zone)
        hour = local.replace(minute=0, second=0, microsecond=0)
        for window, began in ((HOUR, hour), (DAY, hour.replace(hour=0))):
            seen[account_id, window, began].update(_shown(number, stream, action, details))
    counted: dict[str, dict[tuple[str, datetime], int]] = defaultdict(dict)
    for (account_id, window, began), shown in seen.items():
        counted[account_id][window, began] = sum(shown.values())
    return counted


def _shown(number: int, stream: str, action: str, details: Mapping[str, Any]) -> Iterator[tuple[object, int]]:
    """Yield what a look has shown: each child by its id, a list as a whole; and how many children that is."""
    children = details.get("children")
    ids = [details["child"]] if isinstance(details.get("child"), str) else children
    if isinstance(ids, list):
        yield from ((child, 1) for child in ids)
        return
    count = next((details[name] for name in SHOWN if isinstance(details.get(name), int)), 0)
    count += 2 * details["pairs"] if isinstance(details.get("pairs"), int) else 0
    told = number if action in ANEW else orjson.dumps(details, option=orjson.OPT_SORT_KEYS)
    yield (action, stream, told), count


# -- raised ----------------------------------------------------------------------------------------


def refresh(hub: AppContext, now: datetime, *, actor: str) -> Mapping[str, Any]:
    """Raise a notice for each finding that is new or has grown, and remove those that have stood long enough; log both."""
    with hub.database.reading() as session:
        found = find(session, hub, now)
        stored = select(Notice.subject, Notice.details, Notice.raised_at).where(*_ours(hub))
        known = {row.subject: row for row in session.execute(stored)}
    limit = now - timedelta(days=rule().stands_days)
    over = [subject for subject, row in known.items() if row.raised_at < limit]
    texts = {one.account_id: orjson.dumps(_told(one)).decode() for one in found}
    raised = [one for one in found if not _is_told(one, known.get(one.account_id))]
    if not raised and not over:
        return {"raised": 0, "removed": 0}
    with hub.database.transaction() as session:
        gone = delete(table(Notice)).where(*_ours(hub), Notice.subject.in_(over))
        session.execute(gone)
        key = {"district": hub.district, "kind": KIND, "raised_at": now}
        rows = [{**key, "subject": one.account_id, "details": texts[one.account_id]} for one in raised]
        upsert(session, table(Notice), rows)
        told = (session, hub.district, audit.OFFICE)
        for one in raised:
            details = {"account": one.account_id, **_told(one)}
            audit.append(*told, "mass-reading.raised", actor=actor, now=now, details=details)
        for subject in over:
            details = {"account": subject}
            audit.append(*told, "mass-reading.ended", actor=actor, now=now, details=details)
    return {"raised": len(raised), "removed": len(over)}


def _ours(hub: AppContext) -> tuple[ColumnElement[bool], ...]:
    return Notice.district == hub.district, Notice.kind == KIND


def _told(one: Finding) -> dict[str, Any]:
    began_at = one.began_at.isoformat(timespec="seconds")
    return {"window": one.window, "began_at": began_at, "children": one.children, "allowed": one.allowed}


def _is_told(one: Finding, row: Any) -> bool:
    """Say whether a notice says as much already."""
    if row is None:
        return False
    told = orjson.loads(row.details)
    same = (told["window"], told["began_at"]) == (one.window, one.began_at.isoformat(timespec="seconds"))
    return same and told["children"] >= one.children


# -- told --------------------------------------------------------------------------------------------


def questions(session: Session, hub: AppContext, scope: Scope) -> list[Question]:
    """List the questions about people whose area lies within a supervisor's, the newest first."""
    rows = session.execute(
        select(Account.display_name, Account.role, Notice.details, Notice.raised_at)
        .join(Account, (Account.district == Notice.district) & (cast(Account.id, Text) == Notice.subject))
        .where(Notice.district == hub.district, Notice.kind == KIND, _of_people_within(hub, scope))
        .order_by(Notice.raised_at.desc(), Account.id)
    )
    return [_question(row) for row in rows]


def _question(row: Any) -> Question:
    told = orjson.loads(row.details)
    began_at = datetime.fromisoformat(told["began_at"])
    return Question(row.display_name, row.role, told["window"], began_at, told["children"], told["allowed"])


def _of_people_within(hub: AppContext, scope: Scope) -> ColumnElement[bool]:
    """Return the condition on Account for people whose area lies within a supervisor's."""
    own = Account.district == hub.district
    if (scope.kind, scope.id) == ("district", hub.district):
        return own
    # cast to text, as scopes are: PostgreSQL stores these ids as uuid
    posts, centres = (
        select(cast(column, Text)).where(posts_within(hub, scope))
        for column in (HealthPost.id, HealthPost.health_centre_id)
    )
    return and_(
        own,
        or_(
            and_(Account.scope_kind == scope.kind, Account.scope == scope.id),
            and_(Account.scope_kind == "post", Account.scope.in_(posts)),
            and_(Account.scope_kind == "health_centre", Account.scope.in_(centres)),
        ),
    )
