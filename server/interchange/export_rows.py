"""The rows of all exports: the children in a scope with their measurements and scores, one post after another.

Rules kept here:
- Scope is a condition of the query. Names are exported only for users who may see them, complete NIKs only if asked for.
- Every export is logged before its first row is read (`log_export`): format, area, days, with or without names and NIKs.
- If a cadre and the health centre measured a child on the same day, the health centre's measurement is exported. Values in
  conflict are left out.
- Only one post at a time is in memory.
- A child of whom something cannot be read is left out, named in `ExportQuery.left_out`; the others are exported.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from typing import Any, Final, TypeVar

import orjson
from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from server import audit, isolation
from server.children import ledger
from server.context import AppContext
from server.database.models import (
    Assessment,
    Child,
    FollowUp,
    HealthCentre,
    HealthPost,
    Measurement,
    Region,
)
from server.review import Scope
from server.review.scope import in_use, posts_within, state_of
from sync_protocol import RecordState, follow_up_id, measurement_id

Row = TypeVar("Row")

INDICES: Final = ("waz", "haz", "whz", "baz", "hcz", "acz")


@dataclass(frozen=True, slots=True)
class ExportQuery:
    """What to export.

    Parameters
    ----------
    scope : posts whose children are exported, and whether names are
    first, last : dates of measurement, both included
    full_nik : NIKs are complete, not masked
    area : only posts that are in this area as well; None for all in scope
    left_out : filled while rows are given: the class of the error by child that could not be read
    """

    scope: Scope
    first: date
    last: date
    full_nik: bool = False
    area: Scope | None = None
    left_out: dict[str, str] = field(default_factory=dict, compare=False)

    def readable(self, child_id: str, read: Callable[[], Row]) -> Row | None:
        """Read something of a child; None if that fails, and the child is left out."""
        found, error = isolation.attempt(read, "export")
        if error:
            self.left_out[child_id] = error
        return found

    def posts(self, hub: AppContext) -> ColumnElement[bool]:
        """Give the SQL condition on HealthPost for the exported posts."""
        own = posts_within(hub, self.scope)
        return and_(own, posts_within(hub, self.area)) if self.area else own


@dataclass(frozen=True, slots=True)
class PostPlace:
    """A post with its health centre and regions."""

    id: str
    name: str
    centre_id: str
    centre: str
    village_code: str
    village: str
    subdistrict: str
    regency: str
    province: str


@dataclass(frozen=True, slots=True)
class ExportChild:
    """An exported child; `registers` by name, without those in conflict."""

    id: str
    person_id: str
    place: PostPlace
    sex: str | None
    born_on: date | None
    registers: Mapping[str, Mapping[str, Any]]
    full_nik: bool
    shows_names: bool

    def get(self, register: str, name: str) -> Any:
        """Give a field of a register; None if it is not known."""
        return self.registers.get(register, {}).get(name)

    @property
    def name(self) -> str:
        """The name; "" for users who may not see names."""
        return str(self.get("identity", "name") or "") if self.shows_names else ""

    @property
    def nik(self) -> str:
        """The NIK; masked as in the ministry's export unless it may be complete."""
        nik = str(self.get("nik", "nik") or "")
        return nik if self.full_nik and self.shows_names else f"{nik[:6]}{'*' * 10}" if nik else ""


@dataclass(frozen=True, slots=True)
class ExportVisit:
    """An exported measurement.

    Parameters
    ----------
    z : z-scores in SD by index; None if there is none
    gain : N, T, O, B or ""; `gain_g` : grams since the last month
    implausible : indices whose score is outside WHO's limits
    doses : codes of the vaccines given that day
    """

    child: ExportChild
    measured_on: date
    source: str
    weight_g: int | None
    oedema: str | None
    length_mm: int | None
    position: str | None
    muac_mm: int | None
    head_mm: int | None
    services: Mapping[str, Any]
    age_days: int | None
    z: Mapping[str, float | None]
    gain: str
    gain_g: int | None
    implausible: frozenset[str] = field(default_factory=frozenset)
    doses: tuple[str, ...] = ()


LIMITS: Final = {
    "haz": (-6, 6),
    "waz": (-6, 5),
    "whz": (-5, 5),
    "baz": (-5, 5),
    "hcz": (-5, 5),
    "acz": (-5, 5),
}
"""WHO's limits: a score outside is implausible (domain.md section 1.5)."""


def log_export(
    session: Session, hub: AppContext, wanted: ExportQuery, form: str, *, actor: str, now: datetime
) -> None:
    """Log an export: the format, the area, the days, and whether it has names and complete NIKs."""
    details = {
        "form": form,
        "scope": f"{wanted.scope.kind} {wanted.scope.id}",
        "area": f"{wanted.area.kind} {wanted.area.id}" if wanted.area else None,
        "first": wanted.first.isoformat(),
        "last": wanted.last.isoformat(),
        "names": wanted.scope.shows_names,
        "niks": wanted.full_nik and wanted.scope.shows_names,
    }
    audit.append(session, hub.district, audit.OFFICE, "data.exported", actor=actor, now=now, details=details)


def places_of(session: Session, hub: AppContext, wanted: ExportQuery) -> list[PostPlace]:
    """Give the exported posts with the names of their health centre and regions."""
    names = {r.code: r.name for r in session.scalars(select(Region).where(Region.district == hub.district))}
    same = and_(HealthCentre.district == HealthPost.district, HealthCentre.id == HealthPost.health_centre_id)
    rows = session.execute(
        select(
            *(HealthPost.id, HealthPost.name, HealthPost.village_code, HealthPost.health_centre_id),
            HealthCentre.name.label("centre"),
        )
        .join(HealthCentre, same)
        .where(wanted.posts(hub))
        .order_by(HealthPost.village_code, HealthPost.name, HealthPost.id)
    )
    return [
        PostPlace(
            row.id,
            row.name,
            row.health_centre_id,
            row.centre,
            code := row.village_code or "",
            names.get(code, ""),
            names.get(code[:8], ""),
            names.get(hub.district, ""),
            names.get(hub.district[:2], ""),
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class ExportArea:
    """An area that can be chosen for an export: `kind` and `id` as in `Scope`; `under` is the area above it."""

    kind: str
    id: str
    name: str
    under: str


def areas(session: Session, hub: AppContext, scope: Scope) -> list[ExportArea]:
    """List the areas with posts within a scope: health centres, subdistricts, villages, posts."""
    places = places_of(session, hub, ExportQuery(scope, date.min, date.max))
    kinds = (
        [ExportArea("health_centre", place.centre_id, place.centre, "") for place in places],
        [ExportArea("subdistrict", place.village_code[:8], place.subdistrict, "") for place in places],
        [ExportArea("village", place.village_code, place.village, place.subdistrict) for place in places],
        [ExportArea("post", place.id, place.name, place.centre) for place in places],
    )
    found = [area for areas in kinds for area in dict.fromkeys(areas) if area.id]
    order = ("health_centre", "subdistrict", "village", "post")
    return sorted(found, key=lambda area: (order.index(area.kind), area.under, area.name, area.id))


def children_of(
    session: Session, hub: AppContext, wanted: ExportQuery, place: PostPlace
) -> list[ExportChild]:
    """Give the registered children of a post, in order of name."""
    rows = session.execute(
        select(
            *(Child.id.label("child_id"), Child.person_id, Child.sex, Child.born_on, Child.state),
            *(Child.wrapped_key, Child.key_version),
        ).where(
            Child.district == hub.district,
            Child.post_id == place.id,
            Child.registered,
            ~Child.removed,
            in_use(),
        )
    )
    read = (wanted.readable(row.child_id, partial(_child, hub, wanted, place, row)) for row in rows)
    found = [child for child in read if child is not None]
    return sorted(found, key=lambda child: (str(child.get("identity", "name") or "").casefold(), child.id))


def _child(hub: AppContext, wanted: ExportQuery, place: PostPlace, row: Any) -> ExportChild:
    registers = _values(state_of(hub, row.child_id, row))
    shown = wanted.scope.shows_names
    return ExportChild(
        row.child_id, row.person_id, place, row.sex, row.born_on, registers, wanted.full_nik, shown
    )


def _values(state: RecordState) -> dict[str, Mapping[str, Any]]:
    return {name: value for name in state.registers if (value := state.value(name)) is not None}


def visits(session: Session, hub: AppContext, wanted: ExportQuery) -> Iterator[ExportVisit]:
    """Give the measurements of the exported days, by post, child and day."""
    for place in places_of(session, hub, wanted):
        children = {child.id: child for child in children_of(session, hub, wanted, place)}
        by_child = _measured(session, hub, wanted, place, children)
        for child_id in children:
            if child_id not in wanted.left_out:
                yield from by_child.get(child_id, ())


def _measured(
    session: Session,
    hub: AppContext,
    wanted: ExportQuery,
    place: PostPlace,
    children: Mapping[str, ExportChild],
) -> dict[str, list[ExportVisit]]:
    m, a = Measurement, Assessment
    same = and_(
        a.district == Child.district,
        a.child_id == Child.person_id,
        a.measured_on == m.measured_on,
        a.source == m.source,
    )
    columns = (
        *(m.child_id, m.measured_on, m.source, m.weight_g, m.oedema, m.length_mm, m.length_position),
        *(m.muac_mm, m.head_mm, m.state, m.sealed, a.age_days, a.gain_code, a.gain_g),
        *(getattr(a, index) for index in INDICES),
    )
    rows = session.execute(
        select(*columns)
        .join(Child, and_(Child.district == m.district, Child.id == m.child_id))
        .outerjoin(a, same)
        .where(
            m.district == hub.district,
            m.post_id == place.id,
            m.measured_on.between(wanted.first, wanted.last),
            ~m.removed,
        )
        .order_by(m.child_id, m.measured_on, m.source)
    ).all()
    keys = _keys(session, hub, [row.child_id for row in rows if row.sealed])
    found: dict[str, list[ExportVisit]] = {}
    for row in rows:
        child = children.get(row.child_id)
        if child is None:
            continue
        visit = wanted.readable(row.child_id, partial(_visit, hub, child, row, keys))
        if visit is None:
            continue
        days = found.setdefault(row.child_id, [])
        if days and days[-1].measured_on == row.measured_on:
            days.pop()  # sorted by source: "cadre" before "staff"
        days.append(visit)
    return found


def _keys(session: Session, hub: AppContext, child_ids: Sequence[str]) -> dict[str, Any]:
    subjects = ledger.subjects(session, hub.vault, hub.district, sorted(set(child_ids)))
    return {subject.id: subject.key for subject in subjects.values() if subject.wrapped_key}


def _visit(hub: AppContext, child: ExportChild, row: Any, keys: Mapping[str, Any]) -> ExportVisit:
    z = {index: getattr(row, index) for index in INDICES}
    beyond = frozenset(
        index
        for index, value in z.items()
        if value is not None and not LIMITS[index][0] <= value <= LIMITS[index][1]
    )
    record_id = measurement_id(row.child_id, row.measured_on.isoformat(), row.source)
    wire = row.state
    if row.sealed:
        wire = ledger.read_measurement(hub.district, record_id, row, keys[row.child_id])
    state = RecordState.from_wire("measurement", record_id, {}, orjson.loads(wire))
    return ExportVisit(
        child,
        row.measured_on,
        row.source,
        *(row.weight_g, row.oedema, row.length_mm, row.length_position, row.muac_mm, row.head_mm),
        services=state.value("services") or {},
        age_days=row.age_days,
        z=z,
        gain=row.gain_code or "",
        gain_g=row.gain_g,
        implausible=beyond,
        doses=tuple(sorted((state.value("doses") or {}).get("given", ()))),
    )


@dataclass(frozen=True, slots=True)
class ExportWeek:
    """A week of a PMT (food supplement) course: its task and result, and the task of the course."""

    child: ExportChild
    course: Mapping[str, Any]
    task: Mapping[str, Any]
    result: Mapping[str, Any]


def weeks(session: Session, hub: AppContext, wanted: ExportQuery) -> Iterator[ExportWeek]:
    """Give the weeks of PMT courses that were checked on the exported days, by post and child."""
    for place in places_of(session, hub, wanted):
        children = {child.id: child for child in children_of(session, hub, wanted, place)}
        rows = session.execute(
            select(FollowUp.child_id, FollowUp.task, FollowUp.action, FollowUp.state, FollowUp.sealed)
            .where(
                FollowUp.district == hub.district,
                FollowUp.post_id == place.id,
                FollowUp.action.in_(("pmt", "pmt_week")),
                ~FollowUp.removed,
            )
            .order_by(FollowUp.child_id, FollowUp.course, FollowUp.week, FollowUp.task)
        ).all()
        keys = _keys(session, hub, [row.child_id for row in rows if row.sealed])
        follow_ups = {
            (row.child_id, row.task): registers
            for row in rows
            if row.child_id in children
            and (registers := wanted.readable(row.child_id, partial(_follow_up, hub, row, keys))) is not None
        }
        for (child_id, _), registers in follow_ups.items():
            task, result = registers.get("task", {}), registers.get("result", {})
            done = result.get("done_on", "")
            if task.get("action") != "pmt_week":
                continue
            if not wanted.first.isoformat() <= done <= wanted.last.isoformat():
                continue
            course = follow_ups.get((child_id, task.get("course") or ""), {}).get("task", {})
            yield ExportWeek(children[child_id], course, task, result)


def _follow_up(hub: AppContext, row: Any, keys: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    record_id = follow_up_id(row.child_id, row.task)
    wire = ledger.read_keyed(hub.district, "follow_up", record_id, row, keys.get(row.child_id))  # type: ignore[arg-type]  # a row that is not sealed needs no key
    return _values(RecordState.from_wire("follow_up", record_id, {}, orjson.loads(wire)))
