"""The queue of children who need a second look: a page of it with counts, and all of it as plain rows.

Rules kept here:
- Ordered by urgency, then by how many red flags a child has, then by how far its worst score lies from the median, then by
  post. Oedema counts as furthest: it voids the scores that would say so. A page puts those who are equal in all of this in
  order of their names; across pages their order is fixed but not by name, for names are sealed.
- The number of statements does not depend on how many children there are, and only the names of the page shown are unsealed.
- A count of the whole queue is the database's; nothing is loaded to be counted.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import Any, Final

import orjson
from sqlalchemy import CTE, JSON, ColumnElement, Float, Select, and_, case, cast, func, select
from sqlalchemy.orm import Session, aliased

from server import audit
from server.accounts import Person
from server.hub import Hub
from server.models import Assessment, Child, Flag, HealthPost
from server.review.scope import RULE_ORDER, RaisedFlag, Scope, age_in_months, flags_of, name_of, within

RED: Final = 1
"""The urgency that wants the health centre today."""
OEDEMA_DISTANCE: Final = 99.0
"""Stands for the distance from the median of a child whose oedema voids its scores."""
PAGE_ROWS: Final = 500
"""Rows fetched at a time when the whole queue is asked for."""


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
    """A flagged child. `name` is None where the reader may not know it or nobody does; a disputed one has each candidate."""

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


@dataclass(frozen=True, slots=True)
class PostCount:
    """How many flagged children a post has."""

    post_id: str
    name: str
    children: int


@dataclass(frozen=True, slots=True)
class Queue:
    """A page of the queue. Each count heeds the other two filters, not its own: it says what choosing it gives."""

    rows: tuple[QueueRow, ...]
    total: int
    limit: int
    offset: int
    by_urgency: Mapping[int, int]
    by_rule: Mapping[str, int]
    by_post: tuple[PostCount, ...]


@dataclass(frozen=True, slots=True)
class _Filter:
    post_id: str | None = None
    rule: str | None = None
    urgency: int | None = None


# -- the queue ------------------------------------------------------------------------------------


def queue(
    session: Session,
    hub: Hub,
    scope: Scope,
    *,
    post_id: str | None = None,
    rule: str | None = None,
    urgency: int | None = None,
    limit: int = 50,
    offset: int = 0,
) -> Queue:
    """Give a page of flagged children, most urgent first.

    Parameters
    ----------
    post_id : only this post's children
    rule : only children with this flag, whatever else they have
    urgency : only children whose most urgent flag is this, 1 to 4
    limit, offset : rows to give and to skip
    """
    chosen = _Filter(post_id, rule, urgency)
    cells = _count_cells(session, hub, scope, rule)
    by_urgency: Counter[int] = Counter()
    by_post: Counter[tuple[str, str]] = Counter()
    for post, post_name, urgent, count in cells:
        if post_id in (None, post):
            by_urgency[urgent] += count
        if urgency in (None, urgent):
            by_post[post_name, post] += count
    return Queue(
        _page(session, hub, scope, chosen, limit, offset),
        by_urgency.total() if urgency is None else by_urgency[urgency],
        limit,
        offset,
        dict(sorted(by_urgency.items())),
        _count_rules(session, hub, scope, _Filter(post_id, None, urgency)),
        tuple(PostCount(post, name, count) for (name, post), count in sorted(by_post.items())),
    )


def _flagged(hub: Hub, scope: Scope, chosen: _Filter, *more: ColumnElement[Any]) -> CTE:
    """Give the flagged children in scope: child_id, post_id, urgency, red_flags, and what more is asked of their flags."""
    statement = (
        select(
            Flag.child_id,
            Child.post_id,
            func.min(Flag.urgency).label("urgency"),
            func.sum(case((Flag.urgency == RED, 1), else_=0)).label("red_flags"),
            *more,
        )
        .join(Child, and_(Child.district == Flag.district, Child.id == Flag.child_id))
        .where(Flag.district == hub.district, within(hub, scope))
        .group_by(Flag.child_id, Child.post_id)
    )
    if chosen.post_id is not None:
        statement = statement.where(Child.post_id == chosen.post_id)
    if chosen.rule is not None:
        statement = statement.having(func.max(case((Flag.rule == chosen.rule, 1), else_=0)) == 1)
    if chosen.urgency is not None:
        statement = statement.having(func.min(Flag.urgency) == chosen.urgency)
    return statement.cte("flagged")


def _distance(session: Session) -> ColumnElement[Any]:
    """Give how far a child's worst score lies from the median; NULL where no flag has a score."""
    if session.get_bind().dialect.name == "sqlite":
        z: ColumnElement[Any] = cast(func.json_extract(Flag.details, "$.z"), Float)
    else:
        z = cast(cast(Flag.details, JSON)["z"].as_string(), Float)
    return func.max(case((Flag.rule == "oedema", OEDEMA_DISTANCE), else_=func.abs(z))).label("distance")


def _count_cells(session: Session, hub: Hub, scope: Scope, rule: str | None) -> Sequence[Any]:
    """Count flagged children by post and urgency: (post id, post's name, urgency, children), at most four rows a post."""
    flagged = _flagged(hub, scope, _Filter(rule=rule))
    return session.execute(
        select(flagged.c.post_id, HealthPost.name, flagged.c.urgency, func.count())
        .join(HealthPost, and_(HealthPost.district == hub.district, HealthPost.id == flagged.c.post_id))
        .group_by(flagged.c.post_id, HealthPost.name, flagged.c.urgency)
    ).all()


def _count_rules(session: Session, hub: Hub, scope: Scope, chosen: _Filter) -> dict[str, int]:
    flagged = _flagged(hub, scope, chosen)
    rows = session.execute(
        select(Flag.rule, func.count(Flag.child_id.distinct()))
        .join(flagged, flagged.c.child_id == Flag.child_id)
        .where(Flag.district == hub.district)
        .group_by(Flag.rule)
    )
    return dict(sorted(((rule, count) for rule, count in rows), key=lambda item: RULE_ORDER[item[0]]))


def _page(
    session: Session, hub: Hub, scope: Scope, chosen: _Filter, limit: int, offset: int
) -> tuple[QueueRow, ...]:
    found = session.execute(_in_order(session, hub, scope, chosen).limit(limit).offset(offset)).all()
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
        )
        for row in found
    ]
    # the database cannot sort by a sealed name: ties are put in its order here, within the page
    order = {
        row.child_id: (row.urgency, -row.red_flags, -(row.distance or 0), row.post_name) for row in found
    }
    return tuple(sorted(rows, key=lambda row: (order[row.child_id], row.name or "~")))


def _in_order(session: Session, hub: Hub, scope: Scope, chosen: _Filter) -> Select[Any]:
    flagged = _flagged(hub, scope, chosen, _distance(session))
    distance = func.coalesce(flagged.c.distance, 0.0)
    return (
        select(
            flagged,
            HealthPost.name.label("post_name"),
            Child.sex,
            Child.born_on,
            Child.state,
            Child.wrapped_key,
            Child.key_version,
        )
        .join(HealthPost, and_(HealthPost.district == hub.district, HealthPost.id == flagged.c.post_id))
        .join(Child, and_(Child.district == hub.district, Child.id == flagged.c.child_id))
        .order_by(
            flagged.c.urgency,
            flagged.c.red_flags.desc(),
            distance.desc(),
            HealthPost.name,
            flagged.c.child_id,
        )
    )


def _newest_of(session: Session, hub: Hub, born: Mapping[str, date | None]) -> dict[str, Newest]:
    """Load the newest assessment of some children; of two on one day the staff's, which is the later look."""
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
)


def flagged_rows(
    session: Session,
    hub: Hub,
    scope: Scope,
    *,
    post_id: str | None = None,
    rule: str | None = None,
    urgency: int | None = None,
) -> Iterator[dict[str, Any]]:
    """Give the whole queue as plain rows of FLAGGED_COLUMNS, in the queue's order.

    Returns
    -------
    iterator of dict : text, ISO dates, whole numbers, z as float; None where unknown. `rules` are joined by a space
    """
    chosen, offset = _Filter(post_id, rule, urgency), 0
    while True:
        page = _page(session, hub, scope, chosen, PAGE_ROWS, offset)
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
    }


def flagged_csv(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Write rows of `flagged_rows` as lines of CSV, header first; no text of theirs is taken for a formula."""
    yield _csv_line(FLAGGED_COLUMNS)
    for row in rows:
        yield _csv_line([spreadsheet_safe(row[name]) for name in FLAGGED_COLUMNS])


def _csv_line(values: Sequence[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(values)
    return line.getvalue()


def flagged_text(
    hub: Hub,
    form: str,
    *,
    post_id: str | None = None,
    urgency: int | None = None,
    limit: int | None = None,
    now: datetime,
) -> str:
    """Write the district's queue for who operates the installation, and log that they had it.

    Parameters
    ----------
    form : csv, json, or table (for reading: without ids)
    limit : at most so many children; None for all
    now : for the log
    """
    scope = Scope.whole_district(hub, shows_names=True)
    with hub.database.reading() as session:
        rows = list(islice(flagged_rows(session, hub, scope, post_id=post_id, urgency=urgency), limit))
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
    """Write rows in columns as wide as their widest cell; the rules come last, for they are long."""
    names = [name for name in FLAGGED_COLUMNS if name not in ("child_id", "rules")] + ["rules"]
    cells = [names, *([_cell(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    text = f"{value:.2f}" if isinstance(value, float) else str(value)
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def spreadsheet_safe(value: Any) -> Any:
    """Put an apostrophe before text that a spreadsheet would run as a formula (OWASP, CSV injection); numbers stay."""
    dangerous = isinstance(value, str) and value.lstrip().startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if dangerous else value


# -- who looked -----------------------------------------------------------------------------------


def log_queue_viewed(session: Session, hub: Hub, person: Person, shown: Queue, now: datetime) -> None:
    """Log that somebody was shown a page of the queue, names and all."""
    details = {"children": len(shown.rows), "offset": shown.offset, "names": Scope.of(person).shows_names}
    actor = f"account:{person.account_id}"
    audit.append(session, hub.district, audit.OFFICE, "queue.viewed", actor=actor, now=now, details=details)
