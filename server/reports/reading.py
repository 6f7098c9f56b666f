"""The figures of an area as pages, sheets and reports show them: a month, a series of months, a comparison of areas.

A number that is hidden outside the health service is None, for every caller; a share needs both its numbers.
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
from server.reports.measures import FUNNEL, SHARES, MeasureShare
from server.reports.rollup import NOT_CHILDREN, is_of_children, number_of

FEWEST_SCORES: Final = 30
"""The fewest scores for which a mean and a standard deviation are given."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of an area and month; the reader may not see those in `hidden`."""

    counts: Mapping[str, int]
    hidden: frozenset[str]
    sees_small: bool

    def __getitem__(self, name: str) -> int | None:
        """Give a number; None if it is hidden."""
        if name in self.hidden or not (self.sees_small or name in NOT_CHILDREN or is_of_children(name)):
            return None
        return number_of(self.counts, name)

    def over(self, share: MeasureShare) -> int | None:
        """Give the denominator of a share; None if it is hidden."""
        several = [self[name] for name in share.over]
        return None if None in several else sum(number for number in several if number is not None)

    def share(self, share: MeasureShare) -> float | None:
        """Give a share, 0 to 1; None if either number is hidden, or the denominator is 0."""
        part, over = self[share.part], self.over(share)
        return None if part is None or not over else part / over

    @property
    def groups(self) -> Sequence[tuple[str, Mapping[str, int]]]:
        """Give SKDN by sex and age, for the health service only."""
        if not self.sees_small:
            return ()
        return [
            (group, {name: self.counts.get(f"{name}.{group}", 0) for name in "SKDNTOB"}) for group in GROUPS
        ]

    def spread(self, index: str) -> tuple[int, float, float] | None:
        """Give the number of cadres' scores, their mean and standard deviation (SD); None if there are too few."""
        n, total, squares = (
            self.counts.get(f"spread.{index}{ending}", 0) for ending in ("", ".sum", ".squares")
        )
        if n < FEWEST_SCORES:
            return None
        mean = total / n
        return n, mean / 100, sqrt(max(squares / n - mean**2, 0) * n / (n - 1)) / 100

    def change(self, index: str, months: int) -> float | None:
        """Give the mean change of a score some months after aid, SD; None if hidden or too few."""
        name = f"after{months}.{index}"
        n = self[name]
        return self.counts.get(f"{name}.change", 0) / n / 100 if n and n >= 5 else None


@dataclass(frozen=True, slots=True)
class State:
    """How current the figures are: the time of the oldest count of a post, and how many posts must be counted again."""

    counted_at: datetime | None
    waiting: int


def trend(
    session: Session, hub: AppContext, reader: FigureReader, area: Area, last: date, months: int
) -> list[tuple[date, Numbers]]:
    """Load an area's months, oldest first, including months without data.

    Parameters
    ----------
    last : first day of the last month; months : their number
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
    """Load an area's month."""
    return trend(session, hub, reader, area, at, 1)[0][1]


def comparison(
    session: Session, hub: AppContext, reader: FigureReader, areas: Sequence[Area], at: date
) -> list[tuple[Area, Numbers]]:
    """Load a month of several areas of one kind, without those that have no figures."""
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
    """Add up months, for numbers that count events; a number hidden in any month stays hidden."""
    counts: Counter[str] = Counter()
    for numbers in months:
        counts.update(numbers.counts)
    hide = frozenset(name for numbers in months for name in numbers.hidden)
    return Numbers(counts, hide, all(numbers.sees_small for numbers in months))


def state(session: Session, hub: AppContext) -> State:
    """Load how current the district's figures are."""
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
    """Give the first and the last month with figures; None if there are none."""
    row = session.execute(
        select(func.min(Figures.month).label("first"), func.max(Figures.month).label("last")).where(
            Figures.district == hub.district
        )
    ).one()
    return (row.first, row.last) if row.first is not None else None


def back(at: date, months: int) -> date:
    """Give the first day of the month some months earlier."""
    year, number = divmod(at.year * 12 + at.month - 1 - months, 12)
    return date(year, number + 1, 1)


def rows_of(several: Sequence[tuple[str, Numbers]]) -> Iterator[tuple[str | int | float | None, ...]]:
    """Write numbers as rows of a sheet: name, COLUMNS, then the shares in per cent."""
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
            *("S", "K", "D", "N", "T", "O", "B", "OB", "undecided", "two_t", "krs"),
            *("posts", "posts.reporting", "sessions"),
            *(name for share in SHARES.values() for name in (*share.over, share.part)),
            *FUNNEL,
            *("aid", "aid.food", "aid.other"),
        )
    )
)
"""The numbers of a sheet, each once."""
HEADINGS: Final = (*COLUMNS, *(f"{code} %" for code in SHARES))
