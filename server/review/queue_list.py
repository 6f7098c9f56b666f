"""The review queue, as a page with counts and as plain rows: people with a flag, or with open follow-ups.

Rules kept here:
- Ordered by `attention.sort_key`: urgency, number of red flags, gravest flag, distance of the worst score from the median.
  Within a page, equal rows are ordered by post and name; across pages their order is fixed but not by name, because names
  are encrypted.
- The number of statements does not depend on the number of children, and only the names of the shown page are decrypted.
- The database counts; nothing is loaded to be counted. Each count applies all filters but its own.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any, Final

import orjson
from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.orm import Session, aliased

from server import audit
from server.accounts import Person
from server.children.assessment import months_back
from server.children.review_queue import CLOSED, NEW, TAKEN, WAITING, rules_text
from server.context import AppContext
from server.csv_writer import csv_line, printable, text_table
from server.database.models import Assessment, Attention, Child, HealthPost, Region
from server.review.scope import (
    RULE_ORDER,
    RaisedFlag,
    Scope,
    age_in_months,
    flags_of,
    name_of,
    queue_within,
)
from sync_protocol import digest

PAGE_ROWS: Final = 500
"""Rows fetched at a time when the whole queue is exported."""
OPEN, OVERDUE, ALL = "open", "overdue", "all"
STATUSES: Final = (OPEN, NEW, TAKEN, WAITING, OVERDUE, CLOSED, ALL)
"""Filters: all that is not closed; new, taken or waiting; with an overdue task; closed; all."""
AGES: Final[Mapping[str, tuple[int, int]]] = {
    "0-5": (0, 6),
    "6-11": (6, 12),
    "12-23": (12, 24),
    "24-59": (24, 60),
}
"""Age groups of the monthly report in completed months: (from, up to but not including)."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which part of the queue to show; None or "" for all of it.

    Parameters
    ----------
    village : code of a desa or kelurahan
    rule : only children with this flag, whatever else they have
    urgency : only those whose most urgent flag is this, 1 to 4; 5 for those without a flag whose work is open
    age : a key of AGES
    status : of STATUSES
    assigned_to : an author, "account:<id>"
    """

    post_id: str | None = None
    village: str | None = None
    rule: str | None = None
    urgency: int | None = None
    age: str | None = None
    status: str = OPEN
    assigned_to: str | None = None

    @property
    def chosen(self) -> bool:
        """Say whether any filter differs from the default."""
        return self != Filter()


@dataclass(frozen=True, slots=True)
class Newest:
    """A child's newest assessment: z in SD, None where undefined or in conflict; age in completed calendar months."""

    measured_on: date
    source: str
    age_months: int | None
    haz: float | None
    waz: float | None
    whz: float | None
    gain_code: str | None


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A person in the queue. `name` is None where it is unknown or the reader may not see it; if in conflict, all values.

    `status`, `assigned_to` and `due_on` are those of `models.Attention`.
    """

    child_id: str
    post_id: str
    post_name: str
    name: str | None
    sex: str | None
    born_on: date | None
    urgency: int
    red_flags: int
    flags: tuple[RaisedFlag, ...]
    newest: Newest | None
    status: str
    assigned_to: str | None
    due_on: date | None


@dataclass(frozen=True, slots=True)
class PostCount:
    """How many people in the queue a post has, and its village."""

    post_id: str
    name: str
    children: int
    village: str | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    """A page of the queue. Each count applies the other filters and not its own: it says how many choosing it would give.

    `by_status` has every one of STATUSES; `by_village` is code -> (name, people); `mine` counts those assigned to `me`.
    """

    rows: tuple[QueueRow, ...]
    total: int
    limit: int
    offset: int
    by_urgency: Mapping[int, int]
    by_rule: Mapping[str, int]
    by_post: tuple[PostCount, ...]
    by_status: Mapping[str, int] = field(default_factory=dict)
    by_village: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    mine: int = 0


# -- the queue ------------------------------------------------------------------------------------


def queue(
    session: Session,
    hub: AppContext,
    scope: Scope,
    chosen: Filter,
    *,
    today: date,
    me: str = "",
    limit: int = 50,
    offset: int = 0,
) -> Queue:
    """Load a page of the queue, most urgent first.

    Parameters
    ----------
    today : decides ages and what is overdue
    me : the author ("account:<id>") whose assigned people are counted
    limit, offset : rows to load and to skip
    """
    by_urgency: Counter[int] = Counter()
    by_post: Counter[tuple[str, str, str | None]] = Counter()
    by_village: Counter[tuple[str, str]] = Counter()
    total = 0
    everywhere = replace(chosen, post_id=None, village=None, urgency=None)
    for cell in _count_cells(session, hub, scope, everywhere, today):
        here = chosen.post_id in (None, cell.post_id)
        in_village = chosen.village in (None, cell.village_code)
        if here and in_village:
            by_urgency[cell.urgency] += cell.people
        if chosen.urgency in (None, cell.urgency):
            total += cell.people if here and in_village else 0
            if in_village:
                by_post[cell.name, cell.post_id, cell.village_code] += cell.people
            if here and cell.village_code:
                by_village[cell.village or cell.village_code, cell.village_code] += cell.people
    by_status, mine = _count_statuses(session, hub, scope, chosen, today, me)
    return Queue(
        _page(session, hub, scope, chosen, today, limit, offset),
        total,
        limit,
        offset,
        dict(sorted(by_urgency.items())),
        _count_rules(session, hub, scope, replace(chosen, rule=None), today),
        tuple(
            PostCount(post, name, n, village)
            for (name, post, village), n in sorted(by_post.items(), key=_name_and_id)
        ),
        by_status,
        {code: (name, n) for (name, code), n in sorted(by_village.items())},
        mine,
    )


def _name_and_id(item: tuple[tuple[str, str, str | None], int]) -> tuple[str, str]:
    return item[0][:2]


def _conditions(hub: AppContext, scope: Scope, chosen: Filter, today: date) -> list[ColumnElement[bool]]:
    """Give the conditions on Attention of a filter and a scope; an unknown scope contains nobody."""
    where = [queue_within(hub, scope)]
    if chosen.post_id:
        where.append(Attention.post_id == chosen.post_id)
    if chosen.village:
        there = HealthPost.district == hub.district, HealthPost.village_code == chosen.village
        where.append(Attention.post_id.in_(select(HealthPost.id).where(*there)))
    if chosen.urgency:
        where.append(Attention.urgency == chosen.urgency)
    if chosen.rule:
        where.append(Attention.rules.contains(rules_text([chosen.rule]), autoescape=True))
    if chosen.age:
        where += _of_age(chosen.age, today)
    if chosen.assigned_to:
        where.append(Attention.assigned_to == chosen.assigned_to)
    return [*where, *_of_status(chosen.status, today)]


def _of_age(band: str, today: date) -> list[ColumnElement[bool]]:
    """Select by age in completed months: born early enough to be old enough, and late enough not to be too old."""
    low, high = AGES[band]
    return [Attention.born_on <= _months_before(today, low), Attention.born_on > _months_before(today, high)]


def _months_before(today: date, months: int) -> date:
    """Give the latest birth date of those who have completed so many months."""
    first, following = months_back(today, months), months_back(today, months - 1)
    return min(first + timedelta(days=today.day - 1), following - timedelta(days=1))


def _of_status(status: str, today: date) -> list[ColumnElement[bool]]:
    if status == ALL:
        return []
    if status == OPEN:
        return [Attention.status != CLOSED]
    if status == OVERDUE:
        return [Attention.status.in_((TAKEN, WAITING)), Attention.due_on < today]
    return [Attention.status == status]


def _count_cells(
    session: Session, hub: AppContext, scope: Scope, chosen: Filter, today: date
) -> Sequence[Any]:
    """Count by post and urgency: at most five rows a post, each with the post's village."""
    counted = (
        select(Attention.post_id, Attention.urgency, func.count().label("people"))
        .where(*_conditions(hub, scope, chosen, today))
        .group_by(Attention.post_id, Attention.urgency)
        .subquery()
    )
    return session.execute(
        select(
            counted.c.post_id,
            counted.c.urgency,
            counted.c.people,
            HealthPost.name,
            HealthPost.village_code,
            Region.name.label("village"),
        )
        .join(HealthPost, and_(HealthPost.district == hub.district, HealthPost.id == counted.c.post_id))
        .outerjoin(
            Region, and_(Region.district == HealthPost.district, Region.code == HealthPost.village_code)
        )
    ).all()


def _count_rules(
    session: Session, hub: AppContext, scope: Scope, chosen: Filter, today: date
) -> dict[str, int]:
    """Count people by rule. The database counts by set of rules, of which there are about a hundred."""
    sets = session.execute(
        select(Attention.rules, func.count())
        .where(*_conditions(hub, scope, chosen, today))
        .group_by(Attention.rules)
    )
    counts: Counter[str] = Counter()
    for rules, people in sets:
        for rule in rules.split():
            counts[rule] += people
    return dict(sorted(counts.items(), key=lambda item: RULE_ORDER[item[0]]))


def _count_statuses(
    session: Session, hub: AppContext, scope: Scope, chosen: Filter, today: date, me: str
) -> tuple[dict[str, int], int]:
    """Count by STATUSES, and those assigned to `me` whose case is not closed."""
    late = (Attention.due_on < today).label("late")
    anybody = replace(chosen, status=ALL, assigned_to=None)
    rows = session.execute(
        select(Attention.status, Attention.assigned_to, late, func.count())
        .where(*_conditions(hub, scope, anybody, today))
        .group_by(Attention.status, Attention.assigned_to, "late")
    )
    by_status, mine = dict.fromkeys(STATUSES, 0), 0
    for status, assigned_to, is_late, count in rows:
        mine += count if me and assigned_to == me and status != CLOSED else 0
        if chosen.assigned_to not in (None, assigned_to):
            continue
        matching = [status, ALL]
        matching += [OPEN] if status != CLOSED else []
        matching += [OVERDUE] if is_late and status in (TAKEN, WAITING) else []
        for each in matching:
            by_status[each] += count
    return by_status, mine


def _page(
    session: Session, hub: AppContext, scope: Scope, chosen: Filter, today: date, limit: int, offset: int
) -> tuple[QueueRow, ...]:
    found = session.execute(_in_order(hub, scope, chosen, today).limit(limit).offset(offset)).all()
    ids = [row.child_id for row in found]
    raised = flags_of(session, hub, ids)
    newest = _newest_of(session, hub, {row.child_id: row.born_on for row in found})
    rows = [
        QueueRow(
            row.child_id,
            row.post_id,
            row.post_name,
            name_of(hub, row) if scope.shows_names else None,
            row.sex,
            row.born_on,
            row.urgency,
            row.red_flags,
            tuple(raised.get(row.child_id, ())),
            newest.get(row.child_id),
            row.status,
            row.assigned_to,
            row.due_on,
        )
        for row in found
    ]
    # the database cannot sort by an encrypted name, so ties are sorted here, within the page
    place = {row.child_id: row.sort_key for row in found}
    return tuple(sorted(rows, key=lambda row: (place[row.child_id], row.post_name, row.name or "~")))


def _in_order(hub: AppContext, scope: Scope, chosen: Filter, today: date) -> Select[*tuple[Any, ...]]:
    return (
        select(
            Attention.child_id,
            Attention.post_id,
            Attention.urgency,
            Attention.red_flags,
            Attention.sort_key,
            Attention.status,
            Attention.assigned_to,
            Attention.due_on,
            HealthPost.name.label("post_name"),
            Child.sex,
            Child.born_on,
            Child.state,
            Child.wrapped_key,
            Child.key_version,
        )
        .join(HealthPost, and_(HealthPost.district == hub.district, HealthPost.id == Attention.post_id))
        .join(Child, and_(Child.district == hub.district, Child.id == Attention.child_id))
        .where(*_conditions(hub, scope, chosen, today))
        .order_by(Attention.sort_key, Attention.child_id)
    )


def _newest_of(session: Session, hub: AppContext, born: Mapping[str, date | None]) -> dict[str, Newest]:
    """Load the newest assessment of each child; of two on one day the staff's, which checks the cadre's."""
    other = aliased(Assessment)
    last = (
        select(func.max(other.measured_on))
        .where(other.district == Assessment.district, other.child_id == Assessment.child_id)
        .correlate(Assessment)
        .scalar_subquery()
    )
    rows = session.execute(
        select(
            Assessment.child_id,
            Assessment.measured_on,
            Assessment.source,
            Assessment.haz,
            Assessment.waz,
            Assessment.whz,
            Assessment.gain_code,
        )
        .where(
            Assessment.district == hub.district,
            Assessment.child_id.in_(list(born)),
            Assessment.measured_on == last,
        )
        .order_by(Assessment.child_id, Assessment.source)
    ).all()
    codes = {row.child_id: row.gain_code for row in rows if row.gain_code}
    return {
        row.child_id: Newest(
            row.measured_on,
            row.source,
            age_in_months(born[row.child_id], row.measured_on),
            row.haz,
            row.waz,
            row.whz,
            codes.get(row.child_id),
        )
        for row in rows
    }


# -- the queue as plain rows ----------------------------------------------------------------------

FLAGGED_COLUMNS: Final = (
    *("urgency", "child_id", "name", "sex", "born_on", "post", "rules"),
    *("measured_on", "age_months", "haz", "waz", "whz", "gain"),
    *("status", "due_on"),
)


def flagged_rows(
    session: Session, hub: AppContext, scope: Scope, chosen: Filter, *, today: date
) -> Iterator[dict[str, Any]]:
    """Give the whole queue as rows of FLAGGED_COLUMNS, in the queue's order.

    Returns
    -------
    iterator of dict : text, ISO dates, integers, z-scores as float; None where unknown. `rules` are joined by a space
    """
    offset = 0
    while True:
        page = _page(session, hub, scope, chosen, today, PAGE_ROWS, offset)
        for row in page:
            yield _plain(row)
        if len(page) < PAGE_ROWS:
            return
        offset += PAGE_ROWS


def _plain(row: QueueRow) -> dict[str, Any]:
    newest = row.newest
    return {
        "urgency": row.urgency,
        "child_id": row.child_id,
        "name": row.name,
        "sex": row.sex,
        "born_on": row.born_on.isoformat() if row.born_on else None,
        "post": row.post_name,
        "rules": " ".join(dict.fromkeys(raised.rule for raised in row.flags)),
        "measured_on": newest.measured_on.isoformat() if newest else None,
        "age_months": newest.age_months if newest else None,
        "haz": newest.haz if newest else None,
        "waz": newest.waz if newest else None,
        "whz": newest.whz if newest else None,
        "gain": newest.gain_code if newest else None,
        "status": row.status,
        "due_on": row.due_on.isoformat() if row.due_on else None,
    }


def flagged_csv(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Write rows of `flagged_rows` as lines of CSV, header first; spreadsheets do not read any text as a formula."""
    yield csv_line(FLAGGED_COLUMNS)
    for row in rows:
        yield csv_line([row[name] for name in FLAGGED_COLUMNS])


def flagged_text(
    hub: AppContext,
    form: str,
    *,
    post_id: str | None = None,
    urgency: int | None = None,
    limit: int | None = None,
    now: datetime,
) -> str:
    """Write the district's queue for the operator, and log the export.

    Parameters
    ----------
    form : csv, json, or table (without ids)
    limit : the largest number of children; None for all
    now : for the log
    """
    scope, chosen = Scope.whole_district(hub, shows_names=True), Filter(post_id=post_id, urgency=urgency)
    with hub.database.reading() as session:
        rows = list(islice(flagged_rows(session, hub, scope, chosen, today=hub.settings.today(now)), limit))
    with hub.database.transaction() as session:
        details = {"children": len(rows), "form": form, "names": True}
        audit.append(
            session, hub.district, audit.OFFICE, "queue.exported", actor="operator", now=now, details=details
        )
    if form == "csv":
        return "".join(flagged_csv(rows))
    if form == "json":
        return orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode()
    return _as_table(rows)


def _as_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write rows as a text table; the rules come last, because they are long."""
    names = [name for name in FLAGGED_COLUMNS if name not in ("child_id", "rules")] + ["rules"]
    return text_table(names, rows, cell=_cell)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return printable(f"{value:.2f}" if isinstance(value, float) else value)


# -- who looked -----------------------------------------------------------------------------------


def log_queue_viewed(session: Session, hub: AppContext, person: Person, shown: Queue, now: datetime) -> None:
    """Log that somebody was shown a page of the queue, and whether with names."""
    details = {
        "children": len(shown.rows),
        "offset": shown.offset,
        "names": Scope.of(person).shows_names,
        "page": digest([row.child_id for row in shown.rows])[:8],  # tells the same page again from another
    }
    actor = f"account:{person.account_id}"
    audit.append(session, hub.district, audit.OFFICE, "queue.viewed", actor=actor, now=now, details=details)


def log_queue_exported(session: Session, hub: AppContext, person: Person, rows: int, now: datetime) -> None:
    """Log that somebody downloaded the queue as a file."""
    details = {"children": rows, "form": "csv", "names": Scope.of(person).shows_names}
    actor = f"account:{person.account_id}"
    audit.append(session, hub.district, audit.OFFICE, "queue.exported", actor=actor, now=now, details=details)
