"""What a page, a sheet or a report shows of an area: a month, the months before it, the areas that it is made of.

What is hidden outside the health service is None here, for everybody who shows it; a share needs both its numbers.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from math import sqrt
from typing import Final

import orjson
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from server.context import AppContext
from server.database.models import Figures, FiguresPost, HealthPost, table
from server.reports.areas import Area, FigureReader
from server.reports.counting import GROUPS
from server.reports.measures import SHARES, MeasureShare
from server.reports.rollup import NOT_CHILDREN, is_of_children, number_of

FEWEST_SCORES: Final = 30
"""From here on a spread says something."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of an area and month; those in `hidden` are not for this reader."""

    counts: Mapping[str, int]
    hidden: frozenset[str]
    sees_small: bool

    def __getitem__(self, name: str) -> int | None:
        """Give a number; None if it is not told."""
        if name in self.hidden or not (self.sees_small or name in NOT_CHILDREN or is_of_children(name)):
            return None
        return number_of(self.counts, name)

    def over(self, share: MeasureShare) -> int | None:
        """Give the denominator of a share."""
        several = [self[name] for name in share.over]
        return None if None in several else sum(number for number in several if number is not None)

    def share(self, share: MeasureShare) -> float | None:
        """Give a share, 0 to 1; None if either number is not told, or there is nothing that it could be a share of."""
        part, over = self[share.part], self.over(share)
        return None if part is None or not over else part / over

    @property
    def groups(self) -> Sequence[tuple[str, Mapping[str, int]]]:
        """Give SKDN by sex and age, for the health service alone."""
        if not self.sees_small:
            return ()
        return [
            (group, {name: self.counts.get(f"{name}.{group}", 0) for name in "SKDNTOB"}) for group in GROUPS
        ]

    def spread(self, index: str) -> tuple[int, float, float] | None:
        """Give how many scores of cadres there are, their mean and standard deviation; None for too few."""
        n, total, squares = (
            self.counts.get(f"spread.{index}{ending}", 0) for ending in ("", ".sum", ".squares")
        )
        if n < FEWEST_SCORES:
            return None
        mean = total / n
        return n, mean / 100, sqrt(max(squares / n - mean**2, 0) * n / (n - 1)) / 100

    def change(self, index: str, months: int) -> float | None:
        """Give the mean change of a score so many months after aid, SD; None for who may not know, or too few."""
        name = f"after{months}.{index}"
        n = self[name]
        return self.counts.get(f"{name}.change", 0) / n / 100 if n and n >= 5 else None


@dataclass(frozen=True, slots=True)
class State:
    """How far the figures are: when the oldest of the posts was counted, and how many posts have news."""

    counted_at: datetime | None
    waiting: int


def trend(
    session: Session, hub: AppContext, reader: FigureReader, area: Area, last: date, months: int
) -> list[tuple[date, Numbers]]:
    """Give an area's months, oldest first, months without anything too.

    Parameters
    ----------
    last : first day of the last month; months : how many
    """
    first = back(last, months - 1)
    c = table(Figures).c
    rows = session.connection().execute(
        select(c.month, c.counts, c.hidden).where(
            c.district == hub.district,
            c.area_kind == area.kind,
            c.area == area.id,
            c.month.between(first, last),
        )
    )
    found = {row.month: _numbers(reader, row.counts, row.hidden) for row in rows}
    nothing = _numbers(reader, "{}", "")
    return [
        (month, found.get(month, nothing)) for month in (back(last, n) for n in range(months - 1, -1, -1))
    ]


def month(session: Session, hub: AppContext, reader: FigureReader, area: Area, at: date) -> Numbers:
    """Give an area's month."""
    return trend(session, hub, reader, area, at, 1)[0][1]


def comparison(
    session: Session, hub: AppContext, reader: FigureReader, areas: Sequence[Area], at: date
) -> list[tuple[Area, Numbers]]:
    """Give a month of several areas of one kind; those of which nothing was ever counted are left out."""
    if not areas:
        return []
    c = table(Figures).c
    rows = session.connection().execute(
        select(c.area, c.counts, c.hidden).where(
            c.district == hub.district, c.month == at, c.area_kind == areas[0].kind
        )
    )
    found = {row.area: row for row in rows}
    return [
        (area, _numbers(reader, found[area.id].counts, found[area.id].hidden))
        for area in areas
        if area.id in found
    ]


def _numbers(reader: FigureReader, counts: str, hide: str) -> Numbers:
    return Numbers(
        orjson.loads(counts), frozenset() if reader.sees_small else frozenset(hide.split()), reader.sees_small
    )


def total(months: Sequence[Numbers]) -> Numbers:
    """Add months up, for numbers that are of events; what is hidden in any month stays so."""
    counts: Counter[str] = Counter()
    for numbers in months:
        counts.update(numbers.counts)
    hide = frozenset(name for numbers in months for name in numbers.hidden)
    return Numbers(counts, hide, all(numbers.sees_small for numbers in months))


def state(session: Session, hub: AppContext) -> State:
    """Say how far the district's figures are."""
    post, done = table(HealthPost).c, table(FiguresPost).c
    joined = table(HealthPost).outerjoin(
        table(FiguresPost), (done.district == post.district) & (done.post_id == post.id)
    )
    behind = (done.position.is_(None)) | (done.position != post.head_position)
    row = session.execute(
        select(func.min(done.counted_at).label("at"), func.count().filter(behind).label("waiting"))
        .select_from(joined)
        .where(post.district == hub.district)
    ).one()
    return State(row.at, row.waiting)


def months_there_are(session: Session, hub: AppContext) -> tuple[date, date] | None:
    """Give the first and the last month of which there are figures; None if there are none."""
    row = session.execute(
        select(func.min(Figures.month).label("first"), func.max(Figures.month).label("last")).where(
            Figures.district == hub.district
        )
    ).one()
    return (row.first, row.last) if row.first is not None else None


def back(at: date, months: int) -> date:
    """Give the first day of the month so many months before."""
    year, number = divmod(at.year * 12 + at.month - 1 - months, 12)
    return date(year, number + 1, 1)


def rows_of(several: Sequence[tuple[str, Numbers]]) -> Iterator[tuple[str | int | float | None, ...]]:
    """Write numbers as rows of a sheet: what they are of, the plain numbers, then the shares in per cent."""
    for name, numbers in several:
        shares = (numbers.share(share) for share in SHARES.values())
        yield (
            name,
            *(numbers[number] for number in COLUMNS),
            *(None if share is None else round(share * 100, 1) for share in shares),
        )


COLUMNS: Final = tuple(
    dict.fromkeys(
        (
            *(
                "S",
                "K",
                "D",
                "N",
                "T",
                "O",
                "B",
                "OB",
                "undecided",
                "two_t",
                "krs",
                "posts",
                "posts.reporting",
                "sessions",
            ),
            *(name for share in SHARES.values() for name in (*share.over, share.part)),
            *(
                "funnel.flagged",
                "funnel.taken",
                "funnel.seen",
                "funnel.helped",
                "aid",
                "aid.food",
                "aid.other",
            ),
        )
    )
)
"""The plain numbers of a sheet, each once."""
HEADINGS: Final = (*COLUMNS, *(f"{code} %" for code in SHARES))
