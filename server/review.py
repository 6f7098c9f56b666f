"""The queue of children who need a second look, and everything about one of them. Reads only; who opened what is logged by
the caller, with `log_queue_viewed` and `log_child_viewed`, before it is shown.

Rules kept here:
- Scope is part of every query: a child outside it is not found, and not counted.
- Names are unsealed for the page that is shown and only where the reader may see them; a NIK is masked always.
- The queue is ordered by urgency, then by how many red flags a child has, then by how far its worst score lies from the
  median, then by post and name. Oedema counts as furthest: it voids the scores that would say so.
- A value in conflict is shown with every candidate and who recorded it; none of them is preferred.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import Any, Final

import numpy as np
import orjson
from sqlalchemy import (
    CTE,
    JSON,
    ColumnElement,
    Float,
    Select,
    and_,
    case,
    cast,
    false,
    func,
    select,
)
from sqlalchemy.orm import Session, aliased

from server import audit, ledger
from server.accounts import Person
from server.assessment import INDICES, Gains, Timelines, gains, load, score
from server.errors import Problem
from server.flags import RULES
from server.growth.status import (
    LENGTH_FOR_AGE_CODES,
    MUAC_CODES,
    WASTING_CODES,
    WEIGHT_FOR_AGE_CODES,
    length_for_age_status,
    muac_status,
    wasting_status,
    weight_for_age_status,
)
from server.growth.weight_gain import CODE_NAMES, NO_GAIN, GainReason, months_completed
from server.growth.zscores import FIRST_STANDING_DAY, STANDING, Reason, ZScores
from server.hub import Hub
from server.models import Assessment, ChangeRow, Child, Flag, HealthCentre, HealthPost, Measurement, Tablet
from server.security import ChildKey
from sync_protocol import Dot, RecordState, measurement_id

RED: Final = 1
"""The urgency that wants the health centre today."""
OEDEMA_DISTANCE: Final = 99.0
"""Stands for the distance from the median of a child whose oedema voids its scores."""
PAGE_ROWS: Final = 500
"""Rows fetched at a time when the whole queue is asked for."""
_RULE_ORDER: Final = {name: number for number, name in enumerate(RULES)}


@dataclass(frozen=True, slots=True)
class Scope:
    """What somebody may see.

    Parameters
    ----------
    kind : post, health_centre or district
    id : the post's or health centre's id, or the district's code
    shows_names : whether the names of children are theirs to know
    """

    kind: str
    id: str
    shows_names: bool

    @classmethod
    def of(cls, person: Person) -> "Scope":
        """Give the scope of a person. An administrator keeps accounts and tablets, and needs no child's name for it."""
        return cls(person.scope_kind, person.scope, person.role in ("staff", "supervisor"))

    @classmethod
    def whole_district(cls, hub: Hub, *, shows_names: bool) -> "Scope":
        """Give the scope of who operates the installation."""
        return cls("district", hub.district, shows_names)


@dataclass(frozen=True, slots=True)
class RaisedFlag:
    """A reason to look: `subject` is the measurement ("2026-11-03/cadre") or "" for the child as a whole."""

    rule: str
    urgency: int
    subject: str
    details: Mapping[str, Any]
    raised_at: datetime


@dataclass(frozen=True, slots=True)
class Newest:
    """A child's newest assessment: z in SD, None where undefined or in conflict; age in completed calendar months."""

    measured_on: date
    source: str
    age_months: int | None
    haz: float | None
    waz: float | None
    whz: float | None
    gain_code: str | None


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A flagged child. `name` is None where the reader may not know it or nobody does; a disputed one has each candidate."""

    child_id: str
    post_id: str
    post_name: str
    name: str | None
    sex: str | None
    born_on: date | None
    urgency: int
    red_flags: int
    flags: tuple[RaisedFlag, ...]
    newest: Newest | None


@dataclass(frozen=True, slots=True)
class PostCount:
    """How many flagged children a post has."""

    post_id: str
    name: str
    children: int


@dataclass(frozen=True, slots=True)
class Queue:
    """A page of the queue. Each count heeds the other two filters, not its own: it says what choosing it gives."""

    rows: tuple[QueueRow, ...]
    total: int
    limit: int
    offset: int
    by_urgency: Mapping[int, int]
    by_rule: Mapping[str, int]
    by_post: tuple[PostCount, ...]


@dataclass(frozen=True, slots=True)
class _Filter:
    post_id: str | None = None
    rule: str | None = None
    urgency: int | None = None


# -- the queue ------------------------------------------------------------------------------------


def queue(
    session: Session,
    hub: Hub,
    scope: Scope,
    *,
    post_id: str | None = None,
    rule: str | None = None,
    urgency: int | None = None,
    limit: int = 50,
    offset: int = 0,
) -> Queue:
    """Give a page of flagged children, most urgent first.

    Parameters
    ----------
    post_id : only this post's children
    rule : only children with this flag, whatever else they have
    urgency : only children whose most urgent flag is this, 1 to 4
    limit, offset : rows to give and to skip
    """
    chosen = _Filter(post_id, rule, urgency)
    by_urgency = _count_urgencies(session, hub, scope, _Filter(post_id, rule, None))
    return Queue(
        _page(session, hub, scope, chosen, limit, offset),
        sum(by_urgency.values()) if urgency is None else by_urgency.get(urgency, 0),
        limit,
        offset,
        by_urgency,
        _count_rules(session, hub, scope, _Filter(post_id, None, urgency)),
        _count_posts(session, hub, scope, _Filter(None, rule, urgency)),
    )


def _within(hub: Hub, scope: Scope) -> ColumnElement[bool]:
    """Give the condition on Child that holds for those in scope; an unknown scope holds for nobody."""
    if scope.kind == "district" and scope.id == hub.district:
        return Child.district == hub.district
    if scope.kind == "post":
        return and_(Child.district == hub.district, Child.post_id == scope.id)
    if scope.kind == "health_centre":
        own = select(HealthPost.id).where(
            HealthPost.district == hub.district, HealthPost.health_centre_id == scope.id
        )
        return and_(Child.district == hub.district, Child.post_id.in_(own))
    return false()


def _flagged(hub: Hub, scope: Scope, chosen: _Filter, *more: ColumnElement[Any]) -> CTE:
    """Give the flagged children in scope: child_id, post_id, urgency, red_flags, and what more is asked of their flags."""
    statement = (
        select(
            Flag.child_id,
            Child.post_id,
            func.min(Flag.urgency).label("urgency"),
            func.sum(case((Flag.urgency == RED, 1), else_=0)).label("red_flags"),
            *more,
        )
        .join(Child, and_(Child.district == Flag.district, Child.id == Flag.child_id))
        .where(Flag.district == hub.district, _within(hub, scope))
        .group_by(Flag.child_id, Child.post_id)
    )
    if chosen.post_id is not None:
        statement = statement.where(Child.post_id == chosen.post_id)
    if chosen.rule is not None:
        statement = statement.having(func.max(case((Flag.rule == chosen.rule, 1), else_=0)) == 1)
    if chosen.urgency is not None:
        statement = statement.having(func.min(Flag.urgency) == chosen.urgency)
    return statement.cte("flagged")


def _distance(session: Session) -> ColumnElement[Any]:
    """Give how far a child's worst score lies from the median; NULL where no flag has a score."""
    if session.get_bind().dialect.name == "sqlite":
        z: ColumnElement[Any] = cast(func.json_extract(Flag.details, "$.z"), Float)
    else:
        z = cast(cast(Flag.details, JSON)["z"].as_string(), Float)
    return func.max(case((Flag.rule == "oedema", OEDEMA_DISTANCE), else_=func.abs(z))).label("distance")


def _count_urgencies(session: Session, hub: Hub, scope: Scope, chosen: _Filter) -> dict[int, int]:
    flagged = _flagged(hub, scope, chosen)
    rows = session.execute(select(flagged.c.urgency, func.count()).group_by(flagged.c.urgency))
    return dict(sorted((urgency, count) for urgency, count in rows))


def _count_rules(session: Session, hub: Hub, scope: Scope, chosen: _Filter) -> dict[str, int]:
    flagged = _flagged(hub, scope, chosen)
    rows = session.execute(
        select(Flag.rule, func.count(Flag.child_id.distinct()))
        .join(flagged, flagged.c.child_id == Flag.child_id)
        .where(Flag.district == hub.district)
        .group_by(Flag.rule)
    )
    return dict(sorted(((rule, count) for rule, count in rows), key=lambda item: _RULE_ORDER[item[0]]))


def _count_posts(session: Session, hub: Hub, scope: Scope, chosen: _Filter) -> tuple[PostCount, ...]:
    flagged = _flagged(hub, scope, chosen)
    rows = session.execute(
        select(flagged.c.post_id, HealthPost.name, func.count())
        .join(HealthPost, and_(HealthPost.district == hub.district, HealthPost.id == flagged.c.post_id))
        .group_by(flagged.c.post_id, HealthPost.name)
        .order_by(HealthPost.name, flagged.c.post_id)
    )
    return tuple(PostCount(*row) for row in rows)


def _page(
    session: Session, hub: Hub, scope: Scope, chosen: _Filter, limit: int, offset: int
) -> tuple[QueueRow, ...]:
    found = session.execute(_in_order(session, hub, scope, chosen).limit(limit).offset(offset)).all()
    ids = [row.child_id for row in found]
    raised = _flags_of(session, hub, ids)
    newest = _newest_of(session, hub, {row.child_id: row.born_on for row in found})
    rows = [
        QueueRow(
            row.child_id,
            row.post_id,
            row.post_name,
            _name(hub, row) if scope.shows_names else None,
            row.sex,
            row.born_on,
            row.urgency,
            row.red_flags,
            tuple(raised.get(row.child_id, ())),
            newest.get(row.child_id),
        )
        for row in found
    ]
    # the database cannot sort by a sealed name: ties are put in its order here, within the page
    order = {
        row.child_id: (row.urgency, -row.red_flags, -(row.distance or 0), row.post_name) for row in found
    }
    return tuple(sorted(rows, key=lambda row: (order[row.child_id], row.name or "~")))


def _in_order(session: Session, hub: Hub, scope: Scope, chosen: _Filter) -> Select[Any]:
    flagged = _flagged(hub, scope, chosen, _distance(session))
    distance = func.coalesce(flagged.c.distance, 0.0)
    return (
        select(
            flagged,
            HealthPost.name.label("post_name"),
            Child.sex,
            Child.born_on,
            Child.state,
            Child.wrapped_key,
            Child.key_version,
        )
        .join(HealthPost, and_(HealthPost.district == hub.district, HealthPost.id == flagged.c.post_id))
        .join(Child, and_(Child.district == hub.district, Child.id == flagged.c.child_id))
        .order_by(
            flagged.c.urgency,
            flagged.c.red_flags.desc(),
            distance.desc(),
            HealthPost.name,
            flagged.c.child_id,
        )
    )


def _name(hub: Hub, row: Any) -> str | None:
    """Unseal a child's name: every candidate where it is in conflict, None where there is none or the person was erased."""
    if row.state is None or row.wrapped_key is None:
        return None
    state = _child_state(hub, row.child_id, row)
    names = [sibling.value["name"] for sibling in state.registers.get("identity", ())]
    return " / ".join(dict.fromkeys(names)) or None


def _child_state(hub: Hub, child_id: str, row: Any) -> RecordState:
    key = hub.vault.child_key(child_id, row.wrapped_key, row.key_version)
    wire = orjson.loads(ledger.read_child(hub.district, child_id, row.state, key))
    return RecordState.from_wire("child", child_id, {}, wire)


def _flags_of(session: Session, hub: Hub, child_ids: Sequence[str]) -> dict[str, list[RaisedFlag]]:
    """Load the flags of some children, each child's most urgent first."""
    rows = session.execute(
        select(Flag.child_id, Flag.rule, Flag.urgency, Flag.subject, Flag.details, Flag.raised_at).where(
            Flag.district == hub.district, Flag.child_id.in_(child_ids)
        )
    )
    found: dict[str, list[RaisedFlag]] = {}
    for row in sorted(rows, key=lambda r: (r.urgency, _RULE_ORDER.get(r.rule, len(RULES)), r.subject)):
        raised = RaisedFlag(row.rule, row.urgency, row.subject, orjson.loads(row.details), row.raised_at)
        found.setdefault(row.child_id, []).append(raised)
    return found


def _newest_of(session: Session, hub: Hub, born: Mapping[str, date | None]) -> dict[str, Newest]:
    """Load the newest assessment of some children; of two on one day the staff's, which is the later look."""
    other = aliased(Assessment)
    last = (
        select(func.max(other.measured_on))
        .where(other.district == Assessment.district, other.child_id == Assessment.child_id)
        .correlate(Assessment)
        .scalar_subquery()
    )
    rows = session.execute(
        select(
            Assessment.child_id,
            Assessment.measured_on,
            Assessment.source,
            Assessment.haz,
            Assessment.waz,
            Assessment.whz,
            Assessment.gain_code,
        )
        .where(
            Assessment.district == hub.district,
            Assessment.child_id.in_(list(born)),
            Assessment.measured_on == last,
        )
        .order_by(Assessment.child_id, Assessment.source)
    ).all()
    codes = {row.child_id: row.gain_code for row in rows if row.gain_code}
    return {
        row.child_id: Newest(
            row.measured_on,
            row.source,
            _months(born[row.child_id], row.measured_on),
            row.haz,
            row.waz,
            row.whz,
            codes.get(row.child_id),
        )
        for row in rows
    }


def _months(born_on: date | None, measured_on: date) -> int | None:
    """Give the age in completed calendar months, as people count it; None if unknown or measured before birth."""
    if born_on is None or measured_on < born_on:
        return None
    return int(months_completed([born_on], [measured_on])[0])


# -- the queue as plain rows ----------------------------------------------------------------------

FLAGGED_COLUMNS: Final = (
    *("urgency", "child_id", "name", "sex", "born_on", "post", "rules"),
    *("measured_on", "age_months", "haz", "waz", "whz", "gain"),
)


def flagged_rows(
    session: Session,
    hub: Hub,
    scope: Scope,
    *,
    post_id: str | None = None,
    rule: str | None = None,
    urgency: int | None = None,
) -> Iterator[dict[str, Any]]:
    """Give the whole queue as plain rows of FLAGGED_COLUMNS, in the queue's order.

    Returns
    -------
    iterator of dict : text, ISO dates, whole numbers, z as float; None where unknown. `rules` are joined by a space
    """
    chosen, offset = _Filter(post_id, rule, urgency), 0
    while True:
        page = _page(session, hub, scope, chosen, PAGE_ROWS, offset)
        for row in page:
            yield _plain(row)
        if len(page) < PAGE_ROWS:
            return
        offset += PAGE_ROWS


def _plain(row: QueueRow) -> dict[str, Any]:
    newest = row.newest
    return {
        "urgency": row.urgency,
        "child_id": row.child_id,
        "name": row.name,
        "sex": row.sex,
        "born_on": row.born_on.isoformat() if row.born_on else None,
        "post": row.post_name,
        "rules": " ".join(dict.fromkeys(raised.rule for raised in row.flags)),
        "measured_on": newest.measured_on.isoformat() if newest else None,
        "age_months": newest.age_months if newest else None,
        "haz": newest.haz if newest else None,
        "waz": newest.waz if newest else None,
        "whz": newest.whz if newest else None,
        "gain": newest.gain_code if newest else None,
    }


def flagged_csv(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Write rows of `flagged_rows` as lines of CSV, header first; no text of theirs is taken for a formula."""
    yield _csv_line(FLAGGED_COLUMNS)
    for row in rows:
        yield _csv_line([spreadsheet_safe(row[name]) for name in FLAGGED_COLUMNS])


def _csv_line(values: Sequence[Any]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(values)
    return line.getvalue()


def flagged_text(
    hub: Hub,
    form: str,
    *,
    post_id: str | None = None,
    urgency: int | None = None,
    limit: int | None = None,
    now: datetime,
) -> str:
    """Write the district's queue for who operates the installation, and log that they had it.

    Parameters
    ----------
    form : csv, json, or table (for reading: without ids)
    limit : at most so many children; None for all
    now : for the log
    """
    scope = Scope.whole_district(hub, shows_names=True)
    with hub.database.reading() as session:
        rows = list(islice(flagged_rows(session, hub, scope, post_id=post_id, urgency=urgency), limit))
    with hub.database.transaction() as session:
        details = {"children": len(rows), "form": form, "names": True}
        audit.append(
            session, hub.district, audit.OFFICE, "queue.exported", actor="operator", now=now, details=details
        )
    if form == "csv":
        return "".join(flagged_csv(rows))
    if form == "json":
        return orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode()
    return _as_table(rows)


def _as_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write rows in columns as wide as their widest cell; the rules come last, for they are long."""
    names = [name for name in FLAGGED_COLUMNS if name not in ("child_id", "rules")] + ["rules"]
    cells = [names, *([_cell(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    text = f"{value:.2f}" if isinstance(value, float) else str(value)
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def spreadsheet_safe(value: Any) -> Any:
    """Put an apostrophe before text that a spreadsheet would run as a formula (OWASP, CSV injection); numbers stay."""
    dangerous = isinstance(value, str) and value.lstrip().startswith(("=", "+", "-", "@", "\t", "\r"))
    return f"'{value}" if dangerous else value


# -- one child ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recorded:
    """Who recorded a value, on which tablet (None: at the health centre), when by the tablet's clock and by the server's."""

    author: str
    tablet_name: str | None
    recorded_at: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Value:
    """A live value of a register, and everybody who recorded it. Several values of one register are a conflict."""

    fields: Mapping[str, Any]
    recorded: tuple[Recorded, ...]


@dataclass(frozen=True, slots=True)
class Scored:
    """One index: z in SD or None with the reason (a name of growth's `Reason`, lower case), and its status code if any."""

    z: float | None
    reason: str | None
    status: str | None
    implausible: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """One combination of a measurement's live values, scored.

    Parameters
    ----------
    weight_g, length_mm, muac_mm, head_mm : as measured; None if not
    oedema : of both feet
    age_days : None while the birth date is unknown
    length_cm, bmi : after the 0.7 cm rule, as scored; None where missing
    on_height_table : scored by weight-for-height (standing) and not weight-for-length
    scores : by index, haz to acz
    muac_status : code, None outside 6 to 59 months
    """

    weight_g: int | None
    length_mm: int | None
    muac_mm: int | None
    head_mm: int | None
    oedema: bool
    age_days: int | None
    length_cm: float | None
    bmi: float | None
    on_height_table: bool
    scores: Mapping[str, Scored]
    muac_status: str | None


@dataclass(frozen=True, slots=True)
class MonthlyGain:
    """N, T, O or B of a weighing, the gain in grams, and why the code is what it is; `code` None if it has none."""

    code: str | None
    gain_g: int | None
    reason: str
    two_t: bool


@dataclass(frozen=True, slots=True)
class Visit:
    """A measurement of one day and source ("cadre", or "staff" who measured again). One removed has no candidates."""

    measured_on: date
    source: str
    removed: bool
    age_months: int | None
    values: Mapping[str, tuple[Value, ...]]
    candidates: tuple[Candidate, ...]
    gain: MonthlyGain | None


@dataclass(frozen=True, slots=True)
class ChildView:
    """Everything known of one child. `values` are its registers, without names where the reader may not know them."""

    child_id: str
    post_id: str
    post_name: str
    health_centre_name: str
    name: str | None
    sex: str | None
    born_on: date | None
    age_months: int | None
    registered: bool
    removed: bool
    conflicts: tuple[str, ...]
    values: Mapping[str, tuple[Value, ...]]
    visits: tuple[Visit, ...]
    flags: tuple[RaisedFlag, ...]

    @property
    def urgency(self) -> int | None:
        """Give the most urgent flag's urgency; None without flags."""
        return self.flags[0].urgency if self.flags else None


_NAMELESS: Final = frozenset({"identity", "birth", "books", "family", "consent", "post"})
"""Registers of a child that are shown, without the fields in _NAMES, to who may not know its name."""
_NAMES: Final = frozenset({"name", "by"})


def child_view(session: Session, hub: Hub, scope: Scope, child_id: str, today: date) -> ChildView:
    """Give everything about a child: its record, conflicts with who wrote what, measurements newest first, and flags.

    Raises
    ------
    Problem
        `record-unknown`: there is no such child in scope, or the person was erased.
    """
    row = _find_child(session, hub, scope, child_id)
    key = hub.vault.child_key(child_id, row.wrapped_key, row.key_version)
    state = _child_state(hub, child_id, row) if row.state is not None else None
    recorded = _recorded(session, hub, child_id)
    return ChildView(
        child_id,
        row.post_id,
        row.post_name,
        row.centre_name,
        _name(hub, row) if scope.shows_names else None,
        row.sex,
        row.born_on,
        _months(row.born_on, today),
        bool(row.registered),
        bool(row.removed),
        tuple(row.conflicts.split()),
        _child_values(state, recorded, scope.shows_names) if state else {},
        _visits(session, hub, child_id, key, recorded, scope.shows_names),
        tuple(_flags_of(session, hub, [child_id]).get(child_id, ())),
    )


def _find_child(session: Session, hub: Hub, scope: Scope, child_id: str) -> Any:
    if len(child_id) != 36:
        raise Problem("record-unknown")
    row = session.execute(
        select(
            Child.id.label("child_id"),
            Child.post_id,
            Child.registered,
            Child.removed,
            Child.conflicts,
            Child.sex,
            Child.born_on,
            Child.state,
            Child.wrapped_key,
            Child.key_version,
            HealthPost.name.label("post_name"),
            HealthCentre.name.label("centre_name"),
        )
        .join(HealthPost, and_(HealthPost.district == Child.district, HealthPost.id == Child.post_id))
        .join(
            HealthCentre,
            and_(HealthCentre.district == Child.district, HealthCentre.id == HealthPost.health_centre_id),
        )
        .where(Child.id == child_id, Child.wrapped_key.is_not(None), _within(hub, scope))
    ).one_or_none()
    if row is None:
        raise Problem("record-unknown")
    return row


def _recorded(session: Session, hub: Hub, child_id: str) -> dict[Dot, Recorded]:
    """Say of every change to a child and its measurements who recorded it; headers are plain, so nothing is unsealed."""
    rows = session.execute(
        select(ChangeRow.actor, ChangeRow.counter, ChangeRow.header, ChangeRow.received_at).where(
            ChangeRow.district == hub.district, ChangeRow.child_id == child_id, ChangeRow.kind.is_not(None)
        )
    ).all()
    names = dict(
        session.execute(
            select(Tablet.id, Tablet.name).where(
                Tablet.district == hub.district,
                Tablet.id.in_({row.actor for row in rows if not row.actor.startswith("hub:")}),
            )
        )
        .tuples()
        .all()
    )
    found = {}
    for row in rows:
        header = orjson.loads(row.header)
        recorded_at = datetime.fromisoformat(header["recorded_at"])
        found[Dot(row.actor, row.counter)] = Recorded(
            header["author"], names.get(row.actor), recorded_at, row.received_at
        )
    return found


def _values(state: RecordState, recorded: Mapping[Dot, Recorded]) -> dict[str, tuple[Value, ...]]:
    """Give every register's live values with who recorded each."""
    return {
        name: tuple(
            Value(sibling.value, tuple(recorded[dot] for dot in sibling.dots if dot in recorded))
            for sibling in siblings
        )
        for name, siblings in state.registers.items()
    }


def _child_values(
    state: RecordState, recorded: Mapping[Dot, Recorded], shows_names: bool
) -> dict[str, tuple[Value, ...]]:
    shown = {}
    for register, values in _values(state, recorded).items():
        if not shows_names and register not in _NAMELESS:
            continue
        hidden = frozenset() if shows_names else _NAMES
        shown[register] = tuple(
            Value(
                {k: mask_nik(v) if k == "nik" else v for k, v in value.fields.items() if k not in hidden},
                value.recorded,
            )
            for value in values
        )
    return shown


def mask_nik(nik: str | None) -> str | None:
    """Hide the middle of a NIK: its first six digits name a place, its last two tell neighbours apart."""
    return f"{nik[:6]}{'•' * (len(nik) - 8)}{nik[-2:]}" if nik else nik


def _visits(
    session: Session,
    hub: Hub,
    child_id: str,
    key: ChildKey,
    recorded: Mapping[Dot, Recorded],
    shows_names: bool,
) -> tuple[Visit, ...]:
    rows = session.execute(
        select(
            Measurement.measured_on,
            Measurement.source,
            Measurement.removed,
            Measurement.state,
            Measurement.sealed,
        )
        .where(Measurement.district == hub.district, Measurement.child_id == child_id)
        .order_by(Measurement.measured_on.desc(), Measurement.source.desc())
    ).all()
    assessed = _assessed(load(session, hub, [child_id]))
    visits = []
    for row in rows:
        record_id = measurement_id(child_id, row.measured_on.isoformat(), row.source)
        wire = orjson.loads(ledger.read_measurement(hub.district, record_id, row, key))
        values = _values(RecordState.from_wire("measurement", record_id, {}, wire), recorded)
        if not shows_names:
            values.pop("note", None)  # free text may name anybody
        candidates, gain, months = assessed.get((row.measured_on, row.source), ((), None, None))
        visits.append(Visit(row.measured_on, row.source, bool(row.removed), months, values, candidates, gain))
    return tuple(visits)


_Assessed = tuple[tuple[Candidate, ...], MonthlyGain, int | None]


def _assessed(timelines: Timelines) -> dict[tuple[date, str], _Assessed]:
    """Derive, by measurement, what is saved as its assessment, with every candidate's status: the same functions, the same
    inputs, nothing read from a score that an older engine may have left.
    """
    if not timelines.rows:
        return {}
    scores, gain = score(timelines), gains(timelines)
    months = months_completed(timelines.born_on, timelines.measured_on)
    statuses = _statuses(timelines, scores, months)
    found = {}
    for number, row in enumerate(timelines.rows):
        places = np.flatnonzero(timelines.measurement == number).tolist()
        candidates = tuple(_candidate(timelines, scores, statuses, place) for place in places)
        ages = {int(months[place]) for place in places}
        age = ages.pop() if len(ages) == 1 else -1
        found[row.measured_on, row.source] = (
            candidates,
            _monthly_gain(gain, number),
            age if age >= 0 else None,
        )
    return found


def _statuses(timelines: Timelines, scores: ZScores, months: Any) -> dict[str, list[str | None]]:
    """Give status codes by index and candidate; "muac" for the arm's class."""
    oedema = timelines.oedema
    status = {
        "haz": (length_for_age_status(scores.haz.z), LENGTH_FOR_AGE_CODES),
        "waz": (weight_for_age_status(scores.waz.z), WEIGHT_FOR_AGE_CODES),
        "whz": (wasting_status(scores.whz.z, oedema), WASTING_CODES),
        "baz": (wasting_status(scores.baz.z, oedema), WASTING_CODES),
        "muac": (muac_status(timelines.muac_mm, months), MUAC_CODES),
    }
    return {
        index: [codes[code] if code >= 0 else None for code in found.tolist()]
        for index, (found, codes) in status.items()
    }


def _candidate(
    timelines: Timelines, scores: ZScores, statuses: Mapping[str, Sequence[str | None]], place: int
) -> Candidate:
    scored = {}
    for index in INDICES:
        indicator = getattr(scores, index)
        z = _number(indicator.z[place])
        scored[index] = Scored(
            z,
            Reason(indicator.reason[place]).name.lower() if z is None else None,
            statuses[index][place] if index in statuses else None,
            bool(indicator.implausible[place] == 1),
        )
    age = _number(scores.age_days[place])
    return Candidate(
        weight_g=_whole(timelines.weight_g[place]),
        length_mm=_whole(timelines.length_mm[place]),
        muac_mm=_whole(timelines.muac_mm[place]),
        head_mm=_whole(timelines.head_mm[place]),
        oedema=bool(timelines.oedema[place]),
        age_days=None if age is None else int(age),
        length_cm=_number(scores.lenhei_cm[place]),
        bmi=_number(scores.bmi[place]),
        on_height_table=age >= FIRST_STANDING_DAY
        if age is not None
        else bool(scores.position[place] == STANDING),
        scores=scored,
        muac_status=statuses["muac"][place],
    )


def _number(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)


def _whole(value: Any) -> int | None:
    return None if value < 0 else int(value)


def _monthly_gain(gain: Gains, number: int) -> MonthlyGain:
    if gain.disputed[number]:
        return MonthlyGain(None, None, "conflict", two_t=False)
    gain_g = int(gain.gain_g[number])
    return MonthlyGain(
        CODE_NAMES[gain.code[number]] or None,
        None if gain_g == NO_GAIN else gain_g,
        GainReason(gain.reason[number]).name.lower(),
        bool(gain.two_t[number]),
    )


# -- who looked -----------------------------------------------------------------------------------


def log_queue_viewed(session: Session, hub: Hub, person: Person, shown: Queue, now: datetime) -> None:
    """Log that somebody was shown a page of the queue, names and all."""
    details = {"children": len(shown.rows), "offset": shown.offset, "names": Scope.of(person).shows_names}
    actor = f"account:{person.account_id}"
    audit.append(session, hub.district, audit.OFFICE, "queue.viewed", actor=actor, now=now, details=details)


def log_child_viewed(session: Session, hub: Hub, person: Person, shown: ChildView, now: datetime) -> None:
    """Log at the child's post that somebody opened its page."""
    details = {"child": shown.child_id, "names": Scope.of(person).shows_names}
    stream, actor = audit.post_stream(shown.post_id), f"account:{person.account_id}"
    audit.append(session, hub.district, stream, "child.viewed", actor=actor, now=now, details=details)
