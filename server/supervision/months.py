"""Completeness and patterns of a post in a month, computed before a supervisor asks.

A district's month is some 50,000 records to compare with the ledger one by one, which takes seconds. A post's takes
milliseconds, and changes only with the post. So it is stored by post and month, with the **state** that it depends on:

- the stream positions of the post, of the posts where the children are now of whom its tablets wrote in the month, and of
  the posts of children who are one person with a child of its own (`health_post.head_position`; every write about a child
  moves its post's stream on, see `reports`);
- for its tablets: how far their chains are held, what they announced, whether they were revoked, closed or replaced;
- what they reported about days of the month, and how many batches came since the month began;
- decisions about their quarantined changes.

Rules kept here:
- A stored report is used only if its state equals the current one, on the same snapshot; otherwise it is computed on the
  spot. So no outdated report is ever shown; `refresh` only saves waiting.
- Rows and hashes altered outside the application change no state: `recomputed` compares stored reports with what they are
  computed from, and `completeness` (the command and the API), `doctor` and the verification of the log read everything.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from server import audit, isolation
from server.context import AppContext
from server.crypto.vault import sha256
from server.database.engine import among
from server.database.models import (
    Batch,
    Child,
    HealthPost,
    PostMonth,
    QuarantineDecision,
    Tablet,
    TabletDay,
    table,
)
from server.database.writes import upsert
from server.review import Scope
from server.review.scope import posts_within
from server.supervision.completeness import DayCounts, completeness, month_of
from server.supervision.patterns import Pattern, patterns
from server.supervision.syncs import moments

FORM: Final = 1
"""Raise it when reports of the same records change: stored ones are then computed again."""
CHUNK: Final = 20
"""Posts that are computed together."""
MONTHS: Final = 13
"""Months computed in advance: this one and a year of others."""


@dataclass(frozen=True, slots=True)
class PostMonthReport:
    """The report of a post in a month.

    Parameters
    ----------
    children : registered and not removed, linked ones counted as one
    day : the month's measurements
    missing : changes that its tablets announced and that are not held
    agrees : whether receipts and ledger agree for all of its tablets
    failed : its report cannot be worked out; the other fields say nothing
    """

    post_id: str
    post_name: str
    village: str
    children: int
    day: DayCounts
    missing: int
    agrees: bool
    patterns: tuple[Pattern, ...]
    failed: bool = False


@dataclass(frozen=True, slots=True)
class _Post:
    id: str
    name: str
    village: str


def post_month_reports(session: Session, hub: AppContext, scope: Scope, month: date) -> list[PostMonthReport]:
    """Report on every post in scope, by name.

    Parameters
    ----------
    month : any day of it
    """
    posts, states = _posts(session, hub, scope), _States(session, hub, month)
    kept = {
        row.post_id: row.told
        for row in _rows(session, hub, month)
        if row.state == states.of(row.post_id, orjson.loads(row.others))
    }
    stale = [post for post in posts if post not in kept]
    computed, failed = isolation.halved(
        lambda some: {post: text for post, _, text in _compute(session, hub, scope, some, month)},
        stale,
        "report of a post",
    )
    for texts in computed:
        kept |= texts
    names = _names(session, hub)
    return [
        _read(post, orjson.loads(kept[post.id]), names) if post.id not in failed else _failed(post)
        for post in posts.values()
    ]


def refresh(hub: AppContext, now: datetime, *, actor: str, months: int = MONTHS) -> int:
    """Recompute outdated reports of the last `months` months; return how many. A post whose reports cannot be worked out is
    set aside; the others go on.
    """
    due: dict[str, list[date]] = {}
    month = hub.settings.today(now).replace(day=1)
    for _ in range(months):
        for post in _stale(hub, month):
            due.setdefault(post, []).append(month)
        month = (month - timedelta(days=1)).replace(day=1)
    posts, done = sorted(due), 0
    for start in range(0, len(posts), CHUNK):
        chunk = posts[start : start + CHUNK]
        kept, failed = isolation.halved(
            lambda some: _keep(hub, {post: due[post] for post in some}, actor, now), chunk, "oversight"
        )
        isolation.note(hub, isolation.OVERSIGHT, chunk, failed, actor=actor, now=now)
        done += sum(kept)
    return done


def forget(hub: AppContext, now: datetime, *, actor: str) -> None:
    """Remove every stored report: all are computed again."""
    with hub.database.transaction() as session:
        session.execute(delete(table(PostMonth)).where(PostMonth.district == hub.district))
        audit.append(session, hub.district, audit.OFFICE, "oversight.forgotten", actor=actor, now=now)


def recomputed(
    session: Session, hub: AppContext, month: date, post_ids: Collection[str]
) -> Iterator[tuple[str, str, str, str]]:
    """Compute the current reports of some posts again, and yield what is stored otherwise: post, column, stored, computed.

    A report whose state is not the current one is not shown, and is left out.
    """
    states = _States(session, hub, month)
    kept = {
        row.post_id: row
        for row in _rows(session, hub, month)
        if row.post_id in post_ids and row.state == states.of(row.post_id, orjson.loads(row.others))
    }
    scope = Scope.whole_district(hub, shows_names=False)
    for post_id, others, text in _compute(session, hub, scope, list(kept), month):
        row = kept[post_id]
        for column, wanted in (("told", text), ("others", orjson.dumps(others).decode())):
            if getattr(row, column) != wanted:
                yield post_id, column, getattr(row, column), wanted


def _rows(session: Session, hub: AppContext, month: date) -> Iterable[Any]:
    c = table(PostMonth).c
    query = select(c.post_id, c.state, c.others, c.told).where(
        c.district == hub.district, c.month == month.replace(day=1)
    )
    return session.connection().execute(query).all()


def _stale(hub: AppContext, month: date) -> list[str]:
    """List the posts whose stored report is missing or outdated."""
    with hub.database.reading() as session:
        states = _States(session, hub, month)
        kept = {row.post_id: row for row in _rows(session, hub, month)}
        posts = _posts(session, hub, Scope.whole_district(hub, shows_names=False))
    return [
        post
        for post in posts
        if post not in kept or kept[post].state != states.of(post, orjson.loads(kept[post].others))
    ]


def _keep(hub: AppContext, due: Mapping[str, Sequence[date]], actor: str, now: datetime) -> int:
    """Compute reports of some posts on a snapshot, then store them; return how many. A concurrent run stores the same, or an
    outdated report, which is recognised as such.
    """
    scope, rows = Scope.whole_district(hub, shows_names=False), []
    with hub.database.reading() as session:
        for month in sorted({month for months in due.values() for month in months}):
            states = _States(session, hub, month)
            posts = [post for post, months in due.items() if month in months]
            for post, others, text in _compute(session, hub, scope, posts, month):
                key = {"district": hub.district, "month": month, "post_id": post}
                state = states.of(post, others)
                rows.append({**key, "state": state, "others": orjson.dumps(others).decode(), "told": text})
    with hub.database.transaction() as session:
        upsert(session, table(PostMonth), rows)
        details, action = {"posts": len(due), "rows": len(rows)}, "oversight.worked-out"
        audit.append(session, hub.district, audit.OFFICE, action, actor=actor, now=now, details=details)
    return len(rows)


# -- the state ------------------------------------------------------------------------------------


class _States:
    """The states of all posts of a district in a month, on one snapshot."""

    def __init__(self, session: Session, hub: AppContext, month: date) -> None:
        first, last = month_of(month)
        district, connection = hub.district, session.connection()
        heads = connection.execute(
            select(HealthPost.id, HealthPost.head_position).where(HealthPost.district == district)
        )
        self._common = f"{FORM}/{hub.settings.time_zone}"
        self._heads: Mapping[str, int] = dict(heads.all())
        days = connection.execute(
            select(
                *(TabletDay.tablet_id, func.count(), func.sum(TabletDay.measured)),
                func.max(TabletDay.reported_at),
            )
            .where(TabletDay.district == district, TabletDay.measured_on.between(first, last))
            .group_by(TabletDay.tablet_id)
        )
        batches = connection.execute(
            select(Batch.tablet_id, func.count(), func.max(Batch.received_at))
            .where(Batch.district == district, Batch.received_at >= moments(hub, first, last)[0])
            .group_by(Batch.tablet_id)
        )
        decisions = connection.execute(
            select(QuarantineDecision.actor, func.count(), func.max(QuarantineDecision.decided_at))
            .where(QuarantineDecision.district == district)
            .group_by(QuarantineDecision.actor)
        )
        facts: dict[str, list[Any]] = {}
        for found in (days, batches, decisions):
            for tablet, *values in found.all():
                facts.setdefault(tablet, []).append(values)
        self._tablets: dict[str, list[Any]] = {}
        rows = connection.execute(
            select(
                *(Tablet.id, Tablet.post_id, Tablet.replaces, Tablet.last_sync_at, Tablet.head_counter),
                *(Tablet.last_counter, Tablet.chain_hash, Tablet.revoked_at, Tablet.closed_at),
            )
            .where(Tablet.district == district)
            .order_by(Tablet.id)
        ).all()
        heard = {row.replaces for row in rows if row.last_sync_at is not None or row.head_counter}
        for row in rows:
            chain = row.id, row.head_counter, row.last_counter, row.chain_hash, row.id in heard
            closed = row.revoked_at is not None, row.closed_at is not None
            self._tablets.setdefault(row.post_id, []).append((*chain, *closed, facts.get(row.id, ())))

    def of(self, post_id: str, others: Iterable[str]) -> str:
        """Return the state of a post, given the other posts that it depends on."""
        heads = [self._heads.get(post) for post in (post_id, *others)]
        return sha256(repr((self._common, heads, self._tablets.get(post_id, ()))).encode()).hex()[:32]


# -- working out ----------------------------------------------------------------------------------


def _posts(session: Session, hub: AppContext, scope: Scope) -> dict[str, _Post]:
    rows = session.connection().execute(
        select(HealthPost.id, HealthPost.name, HealthPost.village_code)
        .where(posts_within(hub, scope))
        .order_by(HealthPost.name, HealthPost.id)
    )
    return {post_id: _Post(post_id, name, village or "") for post_id, name, village in rows.all()}


def _compute(
    session: Session, hub: AppContext, scope: Scope, posts: Collection[str], month: date
) -> Iterator[tuple[str, list[str], str]]:
    """Compute reports of some posts: yield for each its id, the other posts that it depends on, and the report as JSON."""
    if not posts:
        return
    first, last = month_of(month)
    report = completeness(session, hub, scope, first, last, only=posts)
    odd: dict[str, list[Pattern]] = {}
    for one in patterns(session, hub, scope, first, last, posts):
        odd.setdefault(one.post_id, []).append(one)
    linked_posts = _posts_of_linked(session, hub)
    for post in report.posts:
        days = [records for tablet in post.tablets for records in tablet.days.values()]
        others = linked_posts.get(post.id, set()).union(*(records.elsewhere for records in days))
        post_month_reports = {
            "children": post.children,
            "day": astuple(sum(report.days([post]).values(), DayCounts())),
            "missing": post.counters().missing,
            "agrees": not any(tablet.doubtful for tablet in post.tablets),
            "patterns": [
                (one.code, one.day, one.count, one.of, one.tablet_id, one.value)
                for one in odd.get(post.id, ())
            ],
        }
        yield post.id, sorted(others - {post.id}), orjson.dumps(post_month_reports).decode()


def _posts_of_linked(session: Session, hub: AppContext) -> dict[str, set[str]]:
    """Return, by post, the posts of children who are one person with a child of it: measurements of one count for all."""
    linked = session.connection().execute(
        select(Child.person_id, Child.post_id).where(
            Child.district == hub.district, Child.person_id != Child.id
        )
    )
    persons: dict[str, set[str]] = {}
    for person_id, post_id in linked.all():
        persons.setdefault(person_id, set()).add(post_id)
    c = table(Child).c
    heads = select(c.id, c.post_id).where(c.district == hub.district, among(c.id))
    for person_id, post_id in session.connection().execute(heads, {"among": list(persons)}).all():
        persons[person_id].add(post_id)
    found: dict[str, set[str]] = {}
    for posts in persons.values():
        for post in posts:
            found.setdefault(post, set()).update(posts)
    return found


def _names(session: Session, hub: AppContext) -> dict[str, str]:
    rows = session.connection().execute(select(Tablet.id, Tablet.name).where(Tablet.district == hub.district))
    return dict(rows.all())


def _failed(post: _Post) -> PostMonthReport:
    return PostMonthReport(post.id, post.name, post.village, 0, DayCounts(), 0, False, (), failed=True)


def _read(post: _Post, report: Mapping[str, Any], names: Mapping[str, str]) -> PostMonthReport:
    found = [
        Pattern(
            *(code, post.id, post.name, date.fromisoformat(day), count, of),
            *(tablet, names.get(tablet, ""), value),
        )
        for code, day, count, of, tablet, value in report["patterns"]
    ]
    return PostMonthReport(
        *(
            post.id,
            post.name,
            post.village,
            report["children"],
            DayCounts(*report["day"]),
        ),
        *(report["missing"], report["agrees"], tuple(found)),
    )
