"""Everything about one child: its record, every measurement, who wrote what, and what is derived from it.

Rules kept here:
- A value in conflict is shown with every candidate and who recorded it; none of them is preferred.
- Scores and statuses come from the functions that flag children, on the same inputs: page and queue cannot disagree.
- A NIK is masked always. Who may not know names gets no register that could hold one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import numpy as np
import orjson
from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from server import audit, ledger, persons
from server.accounts import Person
from server.assessment import INDICES, Fresh, Gains, Timelines, gains, load, score
from server.errors import Problem
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
from server.models import ChangeRow, Child, HealthCentre, HealthPost, Measurement, Tablet
from server.review.scope import RaisedFlag, Scope, age_in_months, flags_of, name_of, state_of, within
from sync_protocol import Dot, RecordState, measurement_id


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

    @property
    def recorded(self) -> tuple[Recorded, ...]:
        """Give everybody who recorded a value that still stands, in order of their tablets' clocks."""
        several = {by for values in self.values.values() for value in values for by in value.recorded}
        return tuple(sorted(several, key=lambda by: (by.recorded_at, by.author, by.tablet_name or "")))


@dataclass(frozen=True, slots=True)
class Dispute:
    """A register with more than one live value; `visit` is None for the child's own."""

    register: str
    visit: Visit | None
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class ChildView:
    """Everything known of one child. `values` are its registers, without names where the reader may not know them.

    `linked` are the other children who are one person with it (`same_as`): visits are those of all, flags the person's.
    """

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
    linked: tuple[str, ...] = ()

    @property
    def urgency(self) -> int | None:
        """Give the most urgent flag's urgency; None without flags."""
        return self.flags[0].urgency if self.flags else None

    @property
    def disputes(self) -> tuple[Dispute, ...]:
        """Give everything in conflict: the child's own registers, then its measurements', newest first."""
        own = [Dispute(register, None, values) for register, values in self.values.items()]
        measured = [
            Dispute(register, visit, values)
            for visit in self.visits
            if not visit.removed
            for register, values in visit.values.items()
        ]
        return tuple(dispute for dispute in (*own, *measured) if len(dispute.values) > 1)


_NAMELESS: Final = frozenset({"identity", "birth", "books", "family", "consent", "post"})
"""Registers of a child that are shown, without the fields in _NAMES, to who may not know its name."""
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAMES: Final = frozenset({"name", "by"})


def child_view(session: Session, hub: Hub, scope: Scope, child_id: str, today: date) -> ChildView:
    """Give everything about a child: its record, conflicts with who wrote what, measurements newest first, and flags.

    Raises
    ------
    Problem
        `record-unknown`: there is no such child in scope, or the person was erased.
    """
    row = _find_child(session, hub, scope, child_id)
    state = state_of(hub, child_id, row) if row.state is not None else None
    group = persons.group_of(session, hub.district, [child_id])
    recorded = {dot: by for one in group for dot, by in recorded_by(session, hub, one).items()}
    return ChildView(
        child_id,
        row.post_id,
        row.post_name,
        row.centre_name,
        name_of(hub, row) if scope.shows_names else None,
        row.sex,
        row.born_on,
        age_in_months(row.born_on, today),
        bool(row.registered),
        bool(row.removed),
        tuple(row.conflicts.split()),
        _child_values(state, recorded, scope.shows_names) if state else {},
        _visits(session, hub, group, recorded, scope.shows_names),
        tuple(flags_of(session, hub, [row.person_id]).get(row.person_id, ())),
        tuple(other for other in group if other != child_id),
    )


def _find_child(session: Session, hub: Hub, scope: Scope, child_id: str) -> Any:
    if not _UUID.fullmatch(child_id):
        raise Problem("record-unknown")
    row = session.execute(
        select(
            Child.id.label("child_id"),
            Child.post_id,
            Child.person_id,
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
        .where(Child.id == child_id, Child.wrapped_key.is_not(None), within(hub, scope))
    ).one_or_none()
    if row is None:
        raise Problem("record-unknown")
    return row


def recorded_by(session: Session, hub: Hub, child_id: str) -> dict[Dot, Recorded]:
    """Say of every change to a child and its measurements who recorded it; headers are plain, so nothing is unsealed."""
    rows = session.execute(
        select(ChangeRow.actor, ChangeRow.counter, ChangeRow.header, ChangeRow.received_at).where(
            ChangeRow.district == hub.district, ChangeRow.child_id == child_id, ChangeRow.kind.is_not(None)
        )
    ).all()
    tablets = session.execute(
        select(Tablet.id, Tablet.name).where(
            Tablet.district == hub.district,
            Tablet.id.in_({row.actor for row in rows if not row.actor.startswith("hub:")}),
        )
    )
    names = {tablet.id: tablet.name for tablet in tablets}
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
    group: Sequence[str],
    recorded: Mapping[Dot, Recorded],
    shows_names: bool,
) -> tuple[Visit, ...]:
    """Give the visits of one person, newest first: what linked children hold of one day and source is one visit."""
    rows = session.execute(
        select(
            Measurement.child_id,
            Measurement.measured_on,
            Measurement.source,
            Measurement.removed,
            Measurement.state,
            Measurement.sealed,
        )
        .where(Measurement.district == hub.district, Measurement.child_id.in_(group))
        .order_by(Measurement.measured_on.desc(), Measurement.source.desc(), Measurement.child_id)
    ).all()
    assessed = _assessed(load(session, hub, group, Fresh()))
    subjects = ledger.subjects(session, hub.vault, hub.district, group)
    visits: dict[tuple[date, str, bool], Visit] = {}
    for row in rows:
        if row.sealed and subjects[row.child_id].wrapped_key is None:
            continue  # of one who was erased
        record_id = measurement_id(row.child_id, row.measured_on.isoformat(), row.source)
        wire = orjson.loads(ledger.read_measurement(hub.district, record_id, row, subjects[row.child_id].key))
        values = _values(RecordState.from_wire("measurement", record_id, {}, wire), recorded)
        if not shows_names:
            values.pop("note", None)  # free text may name anybody
        removed, found = bool(row.removed), ((), None, None)
        candidates, gain, months = (
            assessed.get((row.measured_on, row.source), found) if not removed else found
        )
        place = (row.measured_on, row.source, removed)
        if place in visits:
            values = _together(visits[place].values, values)
        visits[place] = Visit(row.measured_on, row.source, removed, months, values, candidates, gain)
    return tuple(visits.values())


def _together(
    one: Mapping[str, tuple[Value, ...]], other: Mapping[str, tuple[Value, ...]]
) -> dict[str, tuple[Value, ...]]:
    """Join the values of two records of one visit: equal ones are one value, recorded by both."""
    joined = dict(one)
    for register, values in other.items():
        known = list(joined.get(register, ()))
        for value in values:
            same = next((n for n, held in enumerate(known) if held.fields == value.fields), None)
            if same is None:
                known.append(value)
            else:
                known[same] = Value(value.fields, (*known[same].recorded, *value.recorded))
        joined[register] = tuple(known)
    return joined


_Assessed = tuple[tuple[Candidate, ...], MonthlyGain, int | None]


def _assessed(timelines: Timelines) -> dict[tuple[date, str], _Assessed]:
    """Derive, by measurement, what is saved as its assessment, with every candidate's status: the same functions, the same
    inputs, nothing read from a score that an older engine may have left.
    """
    rows = timelines.rows
    if not len(rows):
        return {}
    scores, gain = score(timelines), gains(timelines)
    months = months_completed(timelines.born_on, timelines.measured_on)
    statuses = _statuses(timelines, scores, months)
    found = {}
    for number in range(len(rows)):
        places = np.flatnonzero(timelines.measurement == number).tolist()
        candidates = tuple(_candidate(timelines, scores, statuses, place) for place in places)
        ages = {int(months[place]) for place in places}
        age = ages.pop() if len(ages) == 1 else -1
        found[rows.day(number), rows.source[number]] = (
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


def log_child_viewed(session: Session, hub: Hub, person: Person, shown: ChildView, now: datetime) -> None:
    """Log at the child's post that somebody opened its page."""
    details = {"child": shown.child_id, "names": Scope.of(person).shows_names}
    stream, actor = audit.post_stream(shown.post_id), f"account:{person.account_id}"
    audit.append(session, hub.district, stream, "child.viewed", actor=actor, now=now, details=details)
