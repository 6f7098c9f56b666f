"""What an assessment reads from the tables, and the rows of the present transaction that are not written yet.

Statements are built once, on tables and not on classes: cached statements compile faster, and rows of plain tables skip the
ORM's loading, which took a tenth of a batch's time.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cache
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Select, Text, and_, bindparam, cast, select, union
from sqlalchemy.orm import Session

from server.context import AppContext
from server.database.engine import among
from server.database.models import Assessment, Child, DuplicatePair, Flag, Measurement, table


class ChildFacts(NamedTuple):
    """The columns of a child's row that its assessment depends on."""

    id: str
    sex: str | None
    born_on: date | None
    conflicts: str
    registered: bool
    removed: bool
    state: bytes | None
    wrapped_key: bytes | None
    key_version: int
    first_seen_at: datetime
    clock_days: int
    person_id: str
    post_id: str


class MeasurementFacts(NamedTuple):
    """The columns of a measurement's row that its assessment depends on, and `inputs` of the stored assessment.

    `measured_on` is an ISO date: thousands of rows are read, and NumPy reads text thirty times as fast as dates.
    """

    child_id: str
    measured_on: str
    source: str
    weight_g: int | None
    oedema: str | None
    length_mm: int | None
    length_position: str | None
    muac_mm: int | None
    head_mm: int | None
    conflicts: str
    removed: bool
    inputs: int | None
    clock_days: int


class StateFacts(NamedTuple):
    """A measurement's whole state, as stored."""

    state: bytes
    sealed: int


@dataclass(frozen=True, slots=True)
class PendingRows:
    """Rows that are computed and not written yet: they take the place of the stored rows with the same key.

    Parameters
    ----------
    children : by id; may also hold rows as stored, which are then not read again
    measurements : by child, day and source
    replacing : whether any of the measurements is stored already; nearly always all are new
    regrouped : children whose group of linked records differs from the stored one
    pairs : open pairs of possible duplicates of all the children, with their scores; None: ask the database
    follow_ups : by child and task
    """

    children: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    measurements: Mapping[tuple[str, str, str], Mapping[str, Any]] = field(default_factory=dict)
    replacing: bool = False
    regrouped: frozenset[str] = frozenset()
    pairs: Mapping[tuple[str, str], int] | None = None
    follow_ups: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)

    def of(self, child_ids: Collection[str]) -> "PendingRows":
        """Return the rows of some of the children."""
        ids = set(child_ids)
        return replace(
            self,
            children={id_: row for id_, row in self.children.items() if id_ in ids},
            measurements={key: row for key, row in self.measurements.items() if key[0] in ids},
            regrouped=self.regrouped & ids,
            follow_ups={key: row for key, row in self.follow_ups.items() if key[0] in ids},
        )


_child_values = itemgetter(*ChildFacts._fields)
_measured_values = itemgetter(
    *("weight_g", "oedema", "length_mm", "length_position", "muac_mm", "head_mm", "conflicts", "removed")
)


def read_children(
    session: Session, hub: AppContext, child_ids: Sequence[str], pending: PendingRows
) -> list[ChildFacts]:
    """Load children in the order given; an id without a row is left out."""
    known = {id_: ChildFacts._make(_child_values(row)) for id_, row in pending.children.items()}
    unread = [child_id for child_id in child_ids if child_id not in known]
    if unread:
        given = {"district": hub.district, "among": unread}
        known |= {row.id: row for row in session.connection().execute(_children(), given)}
    return [known[child_id] for child_id in child_ids if child_id in known]


def read_measurements(
    session: Session, hub: AppContext, child_ids: Sequence[str], pending: PendingRows
) -> list[Any]:
    """Load all measurements of some children, removed ones included, ordered by child, day and source."""
    given = {"district": hub.district, "among": child_ids}
    rows = list(session.connection().execute(_measurements(), given).all())
    return _with_pending(rows, pending)


def _with_pending(rows: list[Any], pending: PendingRows) -> list[Any]:
    """Replace stored rows by pending ones of the same key, and add the others."""
    places = {row[:3]: number for number, row in enumerate(rows)} if pending.replacing else {}
    for key, row in pending.measurements.items():
        place = places.get(key)
        was = rows[place] if place is not None else None
        values = (*key, *_measured_values(row), was and was.inputs, row["clock_days"])
        facts = MeasurementFacts._make(values)
        if place is None:
            rows.append(facts)
        else:
            rows[place] = facts
    rows.sort(key=itemgetter(0, 1, 2))
    return rows


def read_stored_inputs(
    session: Session, hub: AppContext, child_ids: Sequence[str]
) -> dict[tuple[str, str, str], int]:
    """Load the input hashes of the stored assessments, by child, day and source."""
    given = {"district": hub.district, "among": child_ids}
    return {
        (str(child_id), measured_on, source): inputs
        for child_id, measured_on, source, inputs in session.connection().execute(_assessments(), given)
    }


def read_states(
    session: Session, hub: AppContext, wanted: Collection[tuple[str, str, str]], pending: PendingRows
) -> dict[tuple[str, str, str], StateFacts]:
    """Load whole states of measurements, by child, day and source: pending ones, else as stored, all in one query."""
    ready = {key: pending.measurements[key] for key in wanted if key in pending.measurements}
    states = {key: StateFacts(row["state"], row["sealed"]) for key, row in ready.items()}
    unread = [key for key in wanted if key not in states]
    if unread:
        given = {
            "district": hub.district,
            "among": sorted({child_id for child_id, _, _ in unread}),
            "days": sorted({date.fromisoformat(day) for _, day, _ in unread}),
        }
        for row in session.connection().execute(_states(), given):
            states[row.child_id, row.measured_on.isoformat(), row.source] = StateFacts(row.state, row.sealed)
    return states


@cache
def _states() -> Select[*tuple[Any, ...]]:
    m = table(Measurement).c
    return select(m.child_id, m.measured_on, m.source, m.state, m.sealed).where(
        m.district == bindparam("district"),
        among(m.child_id),
        m.measured_on.in_(bindparam("days", expanding=True)),
    )


def open_pairs(session: Session, hub: AppContext, child_ids: Sequence[str]) -> dict[tuple[str, str], int]:
    """Load the open pairs of possible duplicates that some children belong to, with their scores."""
    given = {"district": hub.district, "among": child_ids}
    rows = session.connection().execute(_open_pairs(), given)
    return {(row.child_id, row.other_id): row.score for row in rows}


def read_flags(
    session: Session, district: str, child_ids: Sequence[str]
) -> dict[tuple[str, str, str], tuple[str, datetime]]:
    """Load stored flags: details and date raised, by child, rule and subject."""
    stored = session.connection().execute(_flags(), {"district": district, "among": child_ids})
    return {(row.child_id, row.rule, row.subject): (row.details, row.raised_at) for row in stored}


@cache
def _children() -> Select[*tuple[Any, ...]]:
    c = table(Child).c
    columns = [c[name] for name in ChildFacts._fields]
    return select(*columns).where(c.district == bindparam("district"), among(c.id)).order_by(c.id)


@cache
def _measurements() -> Select[*tuple[Any, ...]]:
    m, a = table(Measurement).c, table(Assessment).c
    same = and_(
        a.district == m.district,
        a.child_id == m.child_id,
        a.measured_on == m.measured_on,
        a.source == m.source,
    )
    # cast to text in the database: PostgreSQL's driver would make an object of each id and date
    as_text = [cast(m.child_id, Text()), cast(m.measured_on, Text())]
    plain = [m[name] for name in MeasurementFacts._fields[2:] if name not in ("inputs", "clock_days")]
    return (
        select(*as_text, *plain, a.inputs, m.clock_days)
        .select_from(table(Measurement).outerjoin(table(Assessment), same))
        .where(m.district == bindparam("district"), among(m.child_id))
    )


@cache
def _assessments() -> Select[*tuple[Any, ...]]:
    c = table(Assessment).c
    columns = (cast(c.child_id, Text()), cast(c.measured_on, Text()), c.source, c.inputs)
    return select(*columns).where(c.district == bindparam("district"), among(c.child_id))


@cache
def _open_pairs() -> Any:
    c = table(DuplicatePair).c
    of_district = select(c.child_id, c.other_id, c.score).where(
        c.district == bindparam("district"), c.status == "open"
    )
    return union(of_district.where(among(c.child_id)), of_district.where(among(c.other_id)))


@cache
def _flags() -> Select[*tuple[Any, ...]]:
    c = table(Flag).c
    columns = (c.child_id, c.rule, c.subject, c.details, c.raised_at)
    return select(*columns).where(c.district == bindparam("district"), among(c.child_id))
