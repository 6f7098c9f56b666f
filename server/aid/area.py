"""The area whose aid somebody manages: a condition of every query here, as `review.scope` is for children.

TPPS sees no children but has an area: it gets counts by village, without anything that identifies a person.
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
    """Where somebody manages aid, and whether they may see children. `villages` are the codes of the area."""

    scope: Scope
    whole: bool
    villages: tuple[str, ...]
    sees_children: bool

    @classmethod
    def of(cls, session: Session, hub: AppContext, person: Person) -> "AidArea":
        """Give the area of somebody who may manage aid."""
        if not person.may("manage_aid"):
            raise Problem("not-allowed")
        scope = Scope(person.scope_kind, person.scope, person.may("see_names"))
        return cls.within(session, hub, scope, sees_children=person.may("see_children"))

    @classmethod
    def within(cls, session: Session, hub: AppContext, scope: Scope, *, sees_children: bool) -> "AidArea":
        """Give the area of a scope."""
        codes = session.scalars(
            select(Region.code)
            .where(Region.district == hub.district, Region.level == "village", _regions(hub, scope))
            .order_by(Region.code)
        )
        whole = (scope.kind, scope.id) == ("district", hub.district)
        return cls(scope, whole, tuple(codes), sees_children)

    def narrowed(self, hub: AppContext, code: str) -> "AidArea":
        """Give the part of it that lies in a village or subdistrict; the whole area if the code is not in it."""
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
        """Give the part of it with a code, as a program asks for; all of it without a code.

        Raises
        ------
        Problem
            `record-unknown`: the code is not a village or subdistrict of the area.
        """
        found = self.narrowed(hub, code)
        if found is self and code and not (self.whole and code == hub.district):
            raise Problem("record-unknown")
        return found

    def holds(self, village_code: str | None) -> bool:
        """Say whether a village is in it; without a village, whether the area is the whole district."""
        return self.whole or (village_code is not None and village_code in self.villages)

    def reaches(self, code: str) -> bool:
        """Say whether a region is one of its villages or contains one."""
        return self.whole or any(v == code or v.startswith(f"{code}.") for v in self.villages)

    def covers(self, code: str) -> bool:
        """Say whether the whole of a region lies in it."""
        return (
            self.whole or code in self.villages or (self.scope.kind, self.scope.id) == ("subdistrict", code)
        )

    def of_activities(self) -> ColumnElement[bool]:
        """Give the condition on AidActivity for those in the area."""
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
    """Load the name of every region by code; a village's with its subdistrict's, because several have the same name."""
    regions = session.execute(select(Region.code, Region.name).where(Region.district == hub.district)).all()
    names: dict[str, str] = {row.code: row.name for row in regions}
    return {
        code: f"{name}, {names[code.rpartition('.')[0]]}" if code.count(".") == 3 else name
        for code, name in names.items()
    }


def choices(names: dict[str, str], codes: Sequence[str]) -> list[tuple[str, str]]:
    """Give (code, name) of villages to choose from, by name."""
    return sorted(((code, names.get(code, code)) for code in codes), key=lambda choice: choice[1])


def text_of(typed: Any, most: int = 120) -> str:
    """Give typed text as one line of at most `most` printable characters."""
    line = " ".join(str(typed or "").split())
    return "".join(letter for letter in line if letter.isprintable())[:most]
