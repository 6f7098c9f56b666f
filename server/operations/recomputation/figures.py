"""Figures: what each post is counted from, counted again; and the sums of areas, added up again.

What has news is not compared: a post whose stream has advanced since it was counted, and a month whose sums are due. A job
brings both up to date within minutes, and they are compared then.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from server import isolation
from server.context import AppContext
from server.database.engine import among
from server.database.models import (
    AuditEntry,
    Child,
    Figures,
    FiguresMonth,
    FiguresPost,
    HealthPost,
    table,
)
from server.operations.recomputation.difference import (
    EXTRA,
    MISSING,
    REFRESH,
    UNREADABLE,
    Difference,
    compared,
    differing,
)
from server.reports import rollup


def of_posts(session: Session, hub: AppContext, post_ids: Sequence[str], now: datetime) -> list[Difference]:
    """Count some posts again."""
    settled = _settled(session, hub, post_ids, now)
    done, failed = isolation.halved(
        lambda some: list(_of_posts(session, hub, some, now)), sorted(settled), "figures"
    )
    return [
        *_counted(session, hub, post_ids),
        *(one for part in done for one in part),
        *(Difference(post, "figures", post, "", UNREADABLE, stored=error) for post, error in failed.items()),
    ]


def _of_posts(session: Session, hub: AppContext, posts: list[str], now: datetime) -> Iterator[Difference]:
    wanted = rollup.counts_of_posts(session, hub, posts, now)
    stored = rollup.stored_counts(session, hub, posts)
    for post in posts:
        held = {at: text for (of, at), text in stored.items() if of == post}
        for at, text in wanted[post].items():
            if at not in held:
                yield Difference(post, "figures", f"{at}/post/{post}", "", MISSING, remedy=REFRESH)
            else:
                yield from counts_differing(post, f"{at}/post/{post}", held[at], text)
        for at in sorted(held.keys() - wanted[post].keys()):
            yield Difference(post, "figures", f"{at}/post/{post}", "", EXTRA, remedy=REFRESH)


def counts_differing(unit: str, record: str, stored: str, wanted: str) -> Iterator[Difference]:
    """Name each number that differs between two rows' counts (JSON)."""
    if stored == wanted:
        return
    try:
        was, right = orjson.loads(stored), orjson.loads(wanted)
        names = sorted(name for name in {*was, *right} if was.get(name) != right.get(name))
    except (ValueError, TypeError, AttributeError):
        was, right, names = {}, {}, []
    for name in names:
        yield differing(
            unit, "figures", record, f"counts {name}", was.get(name, 0), right.get(name, 0), REFRESH
        )
    if not names:
        yield differing(unit, "figures", record, "counts", stored, wanted, REFRESH)


def _counted(session: Session, hub: AppContext, posts: Sequence[str]) -> Iterator[Difference]:
    """Check how far posts are said to be counted: never beyond their streams, and when the log says that posts were."""
    done, post, logged = table(FiguresPost).c, table(HealthPost).c, table(AuditEntry).c
    entry = select(logged.number).where(logged.district == done.district, logged.at == done.counted_at)
    query = (
        select(
            done.post_id, done.position, post.head_position, done.counted_at, entry.exists().label("logged")
        )
        .select_from(
            table(FiguresPost).join(
                table(HealthPost), (post.district == done.district) & (post.id == done.post_id)
            )
        )
        .where(done.district == hub.district, among(done.post_id))
    )
    for row in session.connection().execute(query, {"among": list(posts)}):
        if row.position > row.head_position:
            yield differing(
                *(row.post_id, "figures_post", row.post_id, "position"),
                *(row.position, f"{row.head_position} at most", REFRESH),
            )
        if not row.logged:
            yield differing(
                *(row.post_id, "figures_post", row.post_id, "counted_at"),
                *(row.counted_at, "no entry of the log", REFRESH),
            )


def _settled(session: Session, hub: AppContext, posts: Sequence[str], now: datetime) -> set[str]:
    """Return those of some posts that are counted up to now: neither their streams nor those of the posts of their persons'
    linked children have advanced."""
    month = hub.settings.today(now).replace(day=1)
    post, done = table(HealthPost).c, table(FiguresPost).c
    current = (
        select(done.post_id)
        .join(table(HealthPost), (post.district == done.district) & (post.id == done.post_id))
        .where(done.district == hub.district, done.position == post.head_position, done.month == month)
    )
    counted = set(session.connection().execute(current).scalars())
    member, head = table(Child).alias("member").c, table(Child).alias("head").c
    linked = (
        select(head.post_id, member.post_id.label("other"))
        .distinct()
        .where(
            *(head.district == hub.district, among(head.post_id), member.district == head.district),
            *(member.person_id == head.id, member.id != member.person_id),
        )
    )
    waiting = {
        row.post_id
        for row in session.connection().execute(linked, {"among": list(posts)})
        if row.other not in counted
    }
    return (counted & set(posts)) - waiting


# -- sums of areas --------------------------------------------------------------------------------


def of_months(session: Session, hub: AppContext, months: Sequence[str], _now: datetime) -> list[Difference]:
    """Add up some months again from the rows of posts.

    Parameters
    ----------
    months : their first days
    """
    due = select(FiguresMonth.month).where(FiguresMonth.district == hub.district)
    waiting = set(session.scalars(due))
    places = rollup.places_of(session, hub)
    days = [day for day in map(date.fromisoformat, months) if day not in waiting]
    return [one for day in days for one in _of_month(session, hub, day, places)]


def _of_month(
    session: Session, hub: AppContext, month: date, places: Mapping[str, rollup.PostPlace]
) -> Iterator[Difference]:
    c = table(Figures).c
    rows = session.connection().execute(
        select(c.month, c.area_kind, c.area, c.counts, c.hidden).where(
            c.district == hub.district, c.month == month
        )
    )
    stored: list[Mapping[Any, Any]] = list(rows.mappings())
    of_posts, lost = {}, set()
    for row in stored:
        if row["area_kind"] == rollup.POST:
            if row["area"] in places:
                of_posts[row["area"]] = orjson.loads(row["counts"])
            else:
                lost.add(row["area"])
    wanted: list[dict[str, Any]] = [
        {"month": month, "area_kind": kind, "area": area, "counts": counts, "hidden": hide}
        for (kind, area), (counts, hide) in rollup.sums_of(of_posts, places).items()
    ]
    keys, unit = ("month", "area_kind", "area"), month.isoformat()
    yield from compared(unit, "figures", keys, stored, wanted, remedy=REFRESH, skipped=frozenset({"counts"}))
    held = {(row["area_kind"], row["area"]): row["counts"] for row in stored}
    for row in wanted:
        kind, area = row["area_kind"], row["area"]
        if (kind, area) in held and kind != rollup.POST:
            yield from counts_differing(unit, f"{unit}/{kind}/{area}", held[kind, area], row["counts"])
