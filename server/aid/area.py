"""For which places somebody keeps aid: a condition of every query here, as `review.scope` is for children.

TPPS sees no child and yet has an area: counts of it, by village, without anything that names anybody.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select, true
from sqlalchemy.orm import Session

from server.accounts import Person
from server.context import AppContext
from server.database.models import AidActivity, HealthPost, Region
from server.errors import Problem
from server.review.scope import Scope, posts_within


@dataclass(frozen=True, slots=True)
class AidArea:
    """Where somebody works, and whether a child's name is theirs to know. `villages`: all their codes."""

    scope: Scope
    whole: bool
    villages: tuple[str, ...]
    sees_children: bool

    @classmethod
    def of(cls, session: Session, hub: AppContext, person: Person) -> "AidArea":
        """Give the area of somebody who may keep aid."""
        if not person.may("manage_aid"):
            raise Problem("not-allowed")
        scope = Scope(person.scope_kind, person.scope, person.may("see_names"))
        return cls.within(session, hub, scope, sees_children=person.may("see_children"))

    @classmethod
    def within(cls, session: Session, hub: AppContext, scope: Scope, *, sees_children: bool) -> "AidArea":
        codes = session.scalars(
            select(Region.code)
            .where(Region.district == hub.district, Region.level == "village", _regions(hub, scope))
            .order_by(Region.code)
        )
        whole = (scope.kind, scope.id) == ("district", hub.district)
        return cls(scope, whole, tuple(codes), sees_children)

    def narrowed(self, hub: AppContext, code: str) -> "AidArea":
        """Give the part of it that lies in a village or subdistrict; itself where the code is none of its own."""
        villages = tuple(v for v in self.villages if v == code or v.startswith(f"{code}."))
        if not code or not villages or code == hub.district:
            return self
        kind = "village" if code.count(".") == 3 else "subdistrict"
        inside = (
            self.scope
            if self.scope.kind in ("post", "health_centre")
            else Scope(kind, code, self.scope.shows_names)
        )
        return AidArea(inside, False, villages, self.sees_children)

    def part(self, hub: AppContext, code: str) -> "AidArea":
        """Give the part of it that a program named; all of it for no code.

        Raises
        ------
        Problem
            `record-unknown`: the code is no village or subdistrict of it.
        """
        found = self.narrowed(hub, code)
        if found is self and code and not (self.whole and code == hub.district):
            raise Problem("record-unknown")
        return found

    def holds(self, village_code: str | None) -> bool:
        """Say whether a village is in it; what has no village yet is everybody's who has the whole district."""
        return self.whole or (village_code is not None and village_code in self.villages)

    def reaches(self, code: str) -> bool:
        """Say whether a region is a village of it or holds one."""
        return self.whole or any(v == code or v.startswith(f"{code}.") for v in self.villages)

    def covers(self, code: str) -> bool:
        """Say whether a region lies in it as a whole."""
        return (
            self.whole or code in self.villages or (self.scope.kind, self.scope.id) == ("subdistrict", code)
        )

    def of_activities(self) -> ColumnElement[bool]:
        """Give the condition on AidActivity that holds for those in it."""
        return true() if self.whole else AidActivity.village_code.in_(self.villages)


def _regions(hub: AppContext, scope: Scope) -> ColumnElement[bool]:
    if scope.kind == "district" and scope.id == hub.district:
        return true()
    if scope.kind == "village" and scope.id:
        return Region.code == scope.id
    if scope.kind == "subdistrict" and scope.id:
        return Region.code.startswith(f"{scope.id}.", autoescape=True)
    return Region.code.in_(select(HealthPost.village_code).where(posts_within(hub, scope)))


def names_of(session: Session, hub: AppContext) -> dict[str, str]:
    """Give the name of every region by code; a village with its subdistrict, for several are called the same."""
    regions = session.execute(select(Region.code, Region.name).where(Region.district == hub.district)).all()
    names: dict[str, str] = {row.code: row.name for row in regions}
    return {
        code: f"{name}, {names[code.rpartition('.')[0]]}" if code.count(".") == 3 else name
        for code, name in names.items()
    }


def choices(names: dict[str, str], codes: Sequence[str]) -> list[tuple[str, str]]:
    """Give villages as a list to choose from, by name."""
    return sorted(((code, names.get(code, code)) for code in codes), key=lambda one: one[1])


def text_of(given: Any, most: int = 120) -> str:
    """Give what was typed into a field as one line, without what no database keeps."""
    line = " ".join(str(given or "").split())
    return "".join(letter for letter in line if letter.isprintable())[:most]
