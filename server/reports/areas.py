"""Areas of figures, and who may see which: posyandu, desa, kecamatan, kabupaten, puskesmas.

Rules kept here:
- The scope is a condition of the query. An area outside it is not found, and not named.
- Outside the health service nobody sees a puskesmas: its area crosses villages, and two ways of adding up the same children
  would reveal small numbers (`small_number_suppression`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, and_, false, select
from sqlalchemy.orm import Session

from server.accounts import Person
from server.context import AppContext
from server.database.ids import UUID_TEXT
from server.database.models import HealthCentre, HealthPost, Region
from server.errors import Problem
from server.reports.rollup import CENTRE, DISTRICT, NOWHERE, POST, SUBDISTRICT, VILLAGE

BELOW: Final = {DISTRICT: SUBDISTRICT, SUBDISTRICT: VILLAGE, VILLAGE: POST, CENTRE: POST}
"""Kind of area -> the kind of its parts, which a page compares."""


@dataclass(frozen=True, slots=True)
class Area:
    """An area: `kind` and `id` as in the figures; `code` as in URLs (where the district has a code too)."""

    kind: str
    id: str
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class FigureReader:
    """Somebody who reads figures.

    Parameters
    ----------
    kind, id : of the area that they may see, with all areas in it
    sees_small : True for the health service, which sees the children themselves; False hides small numbers
    """

    kind: str
    id: str
    sees_small: bool

    @classmethod
    def of(cls, person: Person) -> "FigureReader":
        return cls(person.scope_kind, person.scope, person.may("see_children"))

    @classmethod
    def operator(cls, hub: AppContext, *, sees_small: bool = True) -> "FigureReader":
        """Give the operator of the installation."""
        return cls(DISTRICT, hub.district, sees_small)


def own_area(session: Session, hub: AppContext, reader: FigureReader) -> Area:
    """Give the whole area that a reader may see.

    Raises
    ------
    Problem
        `record-unknown` for a reader without one.
    """
    return area(session, hub, reader, reader.kind, reader.id)


def area(session: Session, hub: AppContext, reader: FigureReader, kind: str, code: str) -> Area:
    """Find an area in a reader's scope.

    Raises
    ------
    Problem
        `record-unknown` outside it.
    """
    found = {each.code: each for each in _areas(session, hub, reader, kind, code=code)}
    if code not in found:
        raise Problem("record-unknown")
    return found[code]


def parts(session: Session, hub: AppContext, reader: FigureReader, whole: Area, kind: str) -> Sequence[Area]:
    """List the areas of a kind within an area in a reader's scope, by name."""
    return _areas(session, hub, reader, kind, whole=whole)


def above(session: Session, hub: AppContext, reader: FigureReader, part: Area) -> Sequence[Area]:
    """List the areas in a reader's scope that contain an area, the largest first."""
    codes = []
    village = part.code if part.kind == VILLAGE else None
    if part.kind == POST:
        query = select(HealthPost.village_code, HealthPost.health_centre_id).where(
            HealthPost.district == hub.district, HealthPost.id == part.id
        )
        village, centre = session.execute(query).one()
        if reader.kind == CENTRE:
            codes.append((CENTRE, centre))
        elif village:
            codes.append((VILLAGE, village))
    if village:
        codes.append((SUBDISTRICT, village.rpartition(".")[0]))
    if part.kind != DISTRICT:
        codes.append((DISTRICT, hub.district))
    found = []
    for kind, code in reversed(codes):
        found += [a for a in _areas(session, hub, reader, kind, code=code) if a.code == code]
    return found


def _areas(
    session: Session,
    hub: AppContext,
    reader: FigureReader,
    kind: str,
    *,
    code: str | None = None,
    whole: Area | None = None,
) -> list[Area]:
    within = _posts_of(hub, reader.kind, reader.id)
    if whole is not None:
        within = and_(within, _posts_of(hub, whole.kind, whole.code))
    if kind == POST:
        query = select(HealthPost.id, HealthPost.name).where(within)
        if code is not None:
            if not UUID_TEXT.fullmatch(code):
                return []
            query = query.where(HealthPost.id == code)
        return [
            Area(POST, r.id, r.id, r.name)
            for r in session.execute(query.order_by(HealthPost.name, HealthPost.id))
        ]
    if kind == CENTRE:
        if not reader.sees_small or (code is not None and not UUID_TEXT.fullmatch(code)):
            return []
        if reader.kind not in (DISTRICT, CENTRE):
            return []  # some of its posts may lie outside the reader's area
        with_posts = HealthCentre.id.in_(select(HealthPost.health_centre_id).where(within))
        centres = select(HealthCentre.id, HealthCentre.name).where(
            HealthCentre.district == hub.district, with_posts
        )
        if code is not None:
            centres = centres.where(HealthCentre.id == code)
        return [
            Area(CENTRE, r.id, r.id, r.name) for r in session.execute(centres.order_by(HealthCentre.name))
        ]
    return _regions(session, hub, reader, kind, code, whole)


_LEVELS: Final = (DISTRICT, SUBDISTRICT, VILLAGE)
_LEVEL_OF: Final = {SUBDISTRICT: "district", VILLAGE: "village"}
"""The levels of kecamatan and desa in the table of regions."""


def _regions(
    session: Session, hub: AppContext, reader: FigureReader, kind: str, code: str | None, whole: Area | None
) -> list[Area]:
    """Find regions, for readers whose area is a region at least as large."""
    if kind not in _LEVELS or reader.kind not in _LEVELS:
        return []
    if _LEVELS.index(kind) < _LEVELS.index(reader.kind):
        return []
    if kind == DISTRICT:
        name = session.scalar(
            select(Region.name).where(Region.district == hub.district, Region.code == hub.district)
        )
        return [Area(DISTRICT, "", hub.district, name or hub.district)]
    query = select(Region.code, Region.name).where(
        Region.district == hub.district, Region.level == _LEVEL_OF[kind], *_under(reader.id)
    )
    if whole is not None:
        query = query.where(*_under(whole.code))
    if code is not None:
        query = query.where(Region.code == code)
    found = [
        Area(kind, r.code, r.code, r.name) for r in session.execute(query.order_by(Region.name, Region.code))
    ]
    if kind == SUBDISTRICT and code is None:
        found.append(Area(SUBDISTRICT, NOWHERE, NOWHERE, "–"))
    return found


def _under(code: str) -> list[ColumnElement[bool]]:
    return [(Region.code == code) | Region.code.startswith(f"{code}.", autoescape=True)]


def _posts_of(hub: AppContext, kind: str, code: str) -> ColumnElement[bool]:
    """Give the condition on HealthPost for those in an area; an unknown kind contains none."""
    own = HealthPost.district == hub.district
    if kind == DISTRICT and code == hub.district:
        return own
    if kind == POST and code:
        return and_(own, HealthPost.id == code)
    if kind == CENTRE and code:
        return and_(own, HealthPost.health_centre_id == code)
    if kind == VILLAGE and code:
        return and_(own, HealthPost.village_code == code)
    if kind == SUBDISTRICT and code:
        return and_(own, HealthPost.village_code.startswith(f"{code}.", autoescape=True))
    return false()
