"""Completeness of a month by village and subdistrict: which posts reported, what they say they have, what is held."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from server.context import AppContext
from server.csv_writer import csv_line
from server.database.models import Region
from server.review import Scope
from server.supervision import months
from server.supervision.completeness import DayCounts
from server.supervision.months import PostMonthReport

COLUMNS: Final = (
    *("level", "code", "name", "posts", "reported", "children", "weighed", "stored", "in_quarantine"),
    *("not_arrived", "changes_missing", "receipts_agree"),
)
SUBDISTRICT_PARTS: Final = 3
"""Parts of a subdistrict's Kemendagri code: 64.02.06."""


@dataclass(slots=True)
class AreaCompleteness:
    """A subdistrict or a village.

    A post has `reported` if one of its tablets reported a measurement in the month; the others are `silent`, or their report
    has `failed`.

    Parameters
    ----------
    missing : changes that were announced and are not held
    parts : the villages of a subdistrict
    """

    code: str
    name: str
    posts: list[PostMonthReport] = field(default_factory=list)
    silent: list[PostMonthReport] = field(default_factory=list)
    failed: list[PostMonthReport] = field(default_factory=list)
    day: DayCounts = field(default_factory=DayCounts)
    parts: list["AreaCompleteness"] = field(default_factory=list)

    @property
    def reported(self) -> int:
        return len(self.posts) - len(self.silent) - len(self.failed)

    @property
    def children(self) -> int:
        return sum(post.children for post in self.posts)

    @property
    def missing(self) -> int:
        return sum(post.missing for post in self.posts)

    @property
    def agrees(self) -> bool:
        """Whether receipts and ledger agree for all tablets."""
        return all(post.agrees for post in self.posts)

    @property
    def is_complete(self) -> bool:
        return (
            not self.silent
            and not self.failed
            and not self.day.not_arrived
            and not self.missing
            and self.agrees
        )

    def takes(self, post: PostMonthReport) -> None:
        self.posts.append(post)
        self.day += post.day
        if post.failed:
            self.failed.append(post)
        elif not post.day.weighed:
            self.silent.append(post)


def areas(session: Session, hub: AppContext, scope: Scope, month: date) -> tuple[AreaCompleteness, ...]:
    """Return the subdistricts in scope, each with its villages; posts without a known village come under ""."""
    found: dict[str, AreaCompleteness] = {}
    parts: dict[str, AreaCompleteness] = {}
    for post in months.post_month_reports(session, hub, scope, month):
        code = ".".join(post.village.split(".")[:SUBDISTRICT_PARTS])
        whole = found.setdefault(code, AreaCompleteness(code, ""))
        if post.village not in parts:
            parts[post.village] = AreaCompleteness(post.village, "")
            whole.parts.append(parts[post.village])
        whole.takes(post)
        parts[post.village].takes(post)
    _name(session, hub, found.values())
    for whole in found.values():
        whole.parts.sort(key=lambda part: (part.name, part.code))
    return tuple(sorted(found.values(), key=lambda whole: (whole.name == "", whole.name, whole.code)))


def _name(session: Session, hub: AppContext, found: Iterable[AreaCompleteness]) -> None:
    named = [area for whole in found for area in (whole, *whole.parts)]
    rows = session.execute(
        select(Region.code, Region.name).where(
            Region.district == hub.district, Region.code.in_(sorted({area.code for area in named}))
        )
    )
    names = {row.code: row.name for row in rows}
    for area in named:
        area.name = names.get(area.code, "")


def as_csv(found: Sequence[AreaCompleteness]) -> Iterator[str]:
    """Write areas as CSV, header first; safe for spreadsheets."""
    yield csv_line(COLUMNS)
    for whole in found:
        for level, area in (("subdistrict", whole), *(("village", part) for part in whole.parts)):
            day = area.day
            row = [
                *(level, area.code, area.name, len(area.posts), area.reported, area.children, day.weighed),
                *(day.stored, day.in_quarantine, day.not_arrived, area.missing),
                "yes" if area.agrees else "no",
            ]
            yield csv_line(row)
