"""Keep the figures current: which posts must be counted again, their rows, and the sums of areas by month.

A refresh has two halves, each in short transactions of its own, so that uploads hardly wait:

    posts   a post whose stream has advanced (or whose figures end with an earlier month) is counted on a snapshot; then its
            rows that differ are written, and in the same transaction their months become due
    months  for each due month the sums by village, kecamatan, kabupaten and puskesmas are made again, with the cells that
            are hidden outside the health service

If a refresh is interrupted, the rest stays due. A count from nothing is a refresh with every post and every month due.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from typing import Any, Final

import numpy as np
import orjson
from sqlalchemy import bindparam, delete, select
from sqlalchemy.orm import Session

from server import audit, isolation
from server.context import AppContext
from server.database.engine import among
from server.database.models import (
    Child,
    Figures,
    FiguresMonth,
    FiguresPost,
    HealthPost,
    Installation,
    table,
)
from server.database.writes import remove, upsert
from server.reports.counting import GROUPS, as_rows, count, month_number
from server.reports.loading import load, month_of
from server.reports.small_number_suppression import OB, hidden

CHUNK: Final = 20
"""Posts that are counted together, with about 1,500 children."""
MOST_MONTHS: Final = 120
POST, VILLAGE, SUBDISTRICT, DISTRICT, CENTRE = "post", "village", "subdistrict", "district", "health_centre"
KINDS: Final = (POST, VILLAGE, SUBDISTRICT, DISTRICT, CENTRE)
NOWHERE: Final = ""
"""The village, and the kecamatan, of posts whose village is unknown."""
NOT_CHILDREN: Final = ("posts", "posts.reporting", "sessions")
"""Numbers that do not count children and are never hidden."""
_GROUPED: Final = tuple(f".{group}" for group in GROUPS)

Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh did: posts counted, rows of posts written, months added up, rows of areas written (`sums`), and posts
    that were set aside because they cannot be counted (`failed`)."""

    posts: int = 0
    rows: int = 0
    months: int = 0
    sums: int = 0
    failed: int = 0


def refresh(
    hub: AppContext, now: datetime, *, actor: str, from_nothing: bool = False, most: int | None = None
) -> Refreshed:
    """Bring the figures up to date. A post that cannot be counted keeps its figures and stays due; the others go on.

    Parameters
    ----------
    actor : for the log
    most : the largest number of posts to count; the others stay due
    from_nothing : count every post and add up every month again
    """
    if from_nothing:
        _forget(hub, actor, now)
    posts = rows = months = sums = failed = 0
    for chunk in _chunks(due_posts(hub, now)[:most], hub):
        written_rows, wrong = isolation.halved(lambda some: _count(hub, some, actor, now), chunk, "figures")
        isolation.note(hub, isolation.FIGURES, chunk, wrong, actor=actor, now=now)
        posts, rows = posts + len(chunk) - len(wrong), rows + sum(written_rows)
        failed += len(wrong)
    for month in _due_months(hub):
        months, sums = months + 1, sums + add_up(hub, month, now, actor=actor)
    return Refreshed(posts, rows, months, sums, failed)


def due_posts(hub: AppContext, now: datetime) -> list[str]:
    """Give the posts that must be counted again: their streams advanced, or a new month began."""
    month = month_of(hub.settings.today(now))[0]
    post, done = table(HealthPost).c, table(FiguresPost).c
    query = (
        select(post.id, post.head_position, done.position, done.month)
        .select_from(
            table(HealthPost).outerjoin(
                table(FiguresPost), (done.district == post.district) & (done.post_id == post.id)
            )
        )
        .where(post.district == hub.district)
        .order_by(post.id)
    )
    with hub.database.reading() as session:
        rows = session.connection().execute(query).all()
    return [row.id for row in rows if row.position != row.head_position or row.month != month]


def _chunks(posts: Sequence[str], hub: AppContext) -> Iterable[list[str]]:
    """Give the posts in chunks, with the posts of the canonical records of their linked children: a measurement advances the
    stream of the linked record's post, and counts at the canonical record's post."""
    for start in range(0, len(posts), CHUNK):
        chunk = list(posts[start : start + CHUNK])
        child, head = table(Child).alias("member").c, table(Child).alias("head").c
        query = (
            select(head.post_id)
            .distinct()
            .where(
                child.district == bindparam("district"),
                among(child.post_id),
                child.person_id != child.id,
                head.district == child.district,
                head.id == child.person_id,
            )
        )
        with hub.database.reading() as session:
            heads = (
                session.connection()
                .execute(query, {"district": hub.district, "among": chunk})
                .scalars()
                .all()
            )
        yield sorted({*chunk, *heads})  # outside the session: no snapshot stays open while they are counted


def _count(hub: AppContext, posts: Sequence[str], actor: str, now: datetime) -> int:
    """Count some posts on a snapshot, then write the rows that differ; give their number."""
    month = month_of(hub.settings.today(now))[0]
    with hub.database.reading() as session:
        positions = _positions(session, hub, posts)
        wanted = counts_of_posts(session, hub, posts, now)
    with hub.database.transaction() as session:
        _lock(session, hub)
        done = table(FiguresPost).c
        known = session.connection().execute(
            select(done.post_id, done.position).where(
                done.district == bindparam("district"), among(done.post_id)
            ),
            {"district": hub.district, "among": list(posts)},
        )
        newer = {row.post_id for row in known if row.position > positions[row.post_id]}
        posts = [post for post in posts if post not in newer]  # another refresh has counted a later state
        stored = stored_counts(session, hub, posts)
        changed = [
            _row(hub, POST, post, at, text, "")
            for post in posts
            for at, text in wanted[post].items()
            if stored.get((post, at)) != text
        ]
        gone = [
            {"district": hub.district, "month": at, "area_kind": POST, "area": post}
            for post, at in stored
            if at not in wanted[post]
        ]
        upsert(session, table(Figures), changed)
        remove(session, table(Figures), gone)
        _make_due(session, hub, {row["month"] for row in (*changed, *gone)})
        upsert(
            session,
            table(FiguresPost),
            [
                {
                    "district": hub.district,
                    "post_id": post,
                    "position": positions[post],
                    "month": month,
                    "counted_at": now,
                }
                for post in posts
            ],
        )
        _log(
            session,
            hub,
            "figures.counted",
            actor,
            now,
            {"posts": len(posts), "rows": len(changed) + len(gone)},
        )
    return len(changed) + len(gone)


def _positions(session: Session, hub: AppContext, posts: Sequence[str]) -> dict[str, int]:
    c = table(HealthPost).c
    query = select(c.id, c.head_position).where(c.district == bindparam("district"), among(c.id))
    rows = session.connection().execute(query, {"district": hub.district, "among": list(posts)})
    return {row.id: row.head_position for row in rows}


def counts_of_posts(
    session: Session, hub: AppContext, posts: Sequence[str], now: datetime
) -> dict[str, dict[date, str]]:
    """Count some posts: by post and month, in the form that is stored."""
    last = int(month_number(np.datetime64(hub.settings.today(now))))
    loaded = load(session, hub, posts, now)
    first = min(max(loaded.earliest, last - MOST_MONTHS + 1), last)
    counted = count(
        len(posts),
        loaded.persons,
        loaded.visits,
        loaded.scores,
        loaded.helps,
        first_month=first,
        last_month=last,
    )
    found = as_rows(counted)
    return {
        post: {_first_day(month): written(numbers) for month, numbers in by_month.items()}
        for post, by_month in zip(posts, found, strict=True)
    }


def _first_day(month: int) -> date:
    return date(1970 + month // 12, month % 12 + 1, 1)


def written(numbers: Counts) -> str:
    """Write numbers in the form that is stored: JSON sorted by name, without zeros."""
    return orjson.dumps({name: numbers[name] for name in sorted(numbers) if numbers[name]}).decode()


def stored_counts(session: Session, hub: AppContext, posts: Sequence[str]) -> dict[tuple[str, date], str]:
    c = table(Figures).c
    query = select(c.area, c.month, c.counts).where(
        c.district == hub.district, c.area_kind == POST, c.area.in_(posts)
    )
    return {(row.area, row.month): row.counts for row in session.connection().execute(query)}


def _row(hub: AppContext, kind: str, area: str, month: date, counts: str, hide: str) -> dict[str, Any]:
    return {
        "district": hub.district,
        "month": month,
        "area_kind": kind,
        "area": area,
        "counts": counts,
        "hidden": hide,
    }


def _make_due(session: Session, hub: AppContext, months: Iterable[date]) -> None:
    upsert(session, table(FiguresMonth), [{"district": hub.district, "month": at} for at in sorted(months)])


def _lock(session: Session, hub: AppContext) -> None:
    """Let one refresh write at a time: sums made by two at once would each lack the other's rows."""
    c = table(Installation).c
    session.execute(select(c.district).where(c.district == hub.district).with_for_update(key_share=True))


def _log(
    session: Session, hub: AppContext, action: str, actor: str, now: datetime, details: Mapping[str, Any]
) -> None:
    audit.append(session, hub.district, audit.OFFICE, action, actor=actor, now=now, details=details)


def _forget(hub: AppContext, actor: str, now: datetime) -> None:
    """Make every post due, and every month with figures."""
    with hub.database.transaction() as session:
        _lock(session, hub)
        months = session.scalars(
            select(Figures.month).where(Figures.district == hub.district).distinct()
        ).all()
        _make_due(session, hub, months)
        session.execute(delete(table(FiguresPost)).where(FiguresPost.district == hub.district))
        _log(session, hub, "figures.due", actor, now, {"months": len(months)})


# -- sums of areas --------------------------------------------------------------------------------


def _due_months(hub: AppContext) -> list[date]:
    with hub.database.reading() as session:
        return sorted(
            session.scalars(select(FiguresMonth.month).where(FiguresMonth.district == hub.district))
        )


def add_up(hub: AppContext, month: date, now: datetime, *, actor: str) -> int:
    """Make a month's sums again and write the rows that differ; give their number."""
    with hub.database.transaction() as session:
        _lock(session, hub)
        places = places_of(session, hub)
        c = table(Figures).c
        rows = session.connection().execute(
            select(c.area_kind, c.area, c.counts, c.hidden).where(
                c.district == hub.district, c.month == month
            )
        )
        stored = {(row.area_kind, row.area): (row.counts, row.hidden) for row in rows}
        of_posts = {
            area: orjson.loads(text)
            for (kind, area), (text, _) in stored.items()
            if kind == POST and area in places  # what is of no post is removed below
        }
        wanted = sums_of(of_posts, places)
        changed = [
            _row(hub, kind, area, month, *cell)
            for (kind, area), cell in wanted.items()
            if stored.get((kind, area)) != cell
        ]
        gone = [
            {"district": hub.district, "month": month, "area_kind": kind, "area": area}
            for kind, area in stored.keys() - wanted.keys()
        ]
        upsert(session, table(Figures), changed)
        remove(session, table(Figures), gone)
        remove(session, table(FiguresMonth), [{"district": hub.district, "month": month}])
        details = {"month": month.isoformat()[:7], "rows": len(changed) + len(gone)}
        _log(session, hub, "figures.added-up", actor, now, details)
    return len(changed) + len(gone)


@dataclass(frozen=True, slots=True)
class PostPlace:
    """The areas that contain a post."""

    village: str
    subdistrict: str
    centre: str


def places_of(session: Session, hub: AppContext) -> dict[str, PostPlace]:
    c = table(HealthPost).c
    rows = session.connection().execute(
        select(c.id, c.village_code, c.health_centre_id).where(c.district == hub.district)
    )
    return {
        row.id: PostPlace(
            row.village_code or NOWHERE,
            row.village_code.rpartition(".")[0] if row.village_code else NOWHERE,
            row.health_centre_id,
        )
        for row in rows
    }


def sums_of(
    of_posts: Mapping[str, Counts], places: Mapping[str, PostPlace]
) -> dict[tuple[str, str], tuple[str, str]]:
    """Add up a month: for every area, posts included, the counts and the names of hidden numbers as they are stored."""
    sums: dict[tuple[str, str], Counter[str]] = {(POST, post): Counter(c) for post, c in of_posts.items()}
    parts: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for post, counts in of_posts.items():
        place = places[post]
        line = [(POST, post), (VILLAGE, place.village), (SUBDISTRICT, place.subdistrict), (DISTRICT, "")]
        for part, whole in pairwise(line):
            parts.setdefault(whole, set()).add(part)
        for area in (*line[1:], (CENTRE, place.centre)):
            sums.setdefault(area, Counter()).update(counts)
    hide = _hidden(sums, parts)
    return {area: (written(counts), hide.get(area, "")) for area, counts in sums.items()}


def _hidden(
    sums: Mapping[tuple[str, str], Counter[str]], parts: Mapping[tuple[str, str], set[tuple[str, str]]]
) -> dict[tuple[str, str], str]:
    """Give the names of the numbers hidden in each area outside the health service, where nobody sees puskesmas or groups by
    sex and age."""
    areas = sorted(area for area in sums if area[0] != CENTRE)
    names = sorted({OB, *(name for area in areas for name in sums[area] if is_of_children(name))})
    number = {area: place for place, area in enumerate(areas)}
    values = np.array([[number_of(sums[area], name) for name in names] for area in areas], np.int64).reshape(
        len(areas), len(names)
    )
    # sorted, because the result must not depend on the order of rows
    tree = {number[whole]: sorted(number[part] for part in parts[whole]) for whole in sorted(parts)}
    cells = hidden(values, names, tree)
    return {
        area: " ".join(name for name, hide in zip(names, row, strict=True) if hide)
        for area, row in zip(areas, cells.tolist(), strict=True)
        if any(row)
    }


def number_of(counts: Counts, name: str) -> int:
    """Give a counted number; OB is the sum of O and B."""
    return counts.get("O", 0) + counts.get("B", 0) if name == OB else counts.get(name, 0)


def is_of_children(name: str) -> bool:
    """Say whether a number counts children (or help for them) and may be shown outside the health service at all."""
    return (
        name not in (*NOT_CHILDREN, "O", "B")
        and not name.endswith(_GROUPED)
        and not name.startswith("spread.")
        and not name.endswith(".change")
    )
