"""A child's whole timeline -> everything derived from it, saved. Calls growth; never patches one row.

Rules kept here:
- Every measurement is scored with **every candidate**: each live value of the child's identity, weight, length, arm and
  head. Where the candidates' scores differ, the measurement's score is None (reason `conflict`) and the candidates are kept
  beside it; the child is flagged if **any** of them is red.
- Flags about growth speak of the newest value of each index, flags about data quality of the newest measurement.
- Children who were linked (`same_as`) are one person: their measurements are one timeline, and what is derived from it is
  saved under their head (`person_id`). Where two of them hold one day and source, the values are read as siblings.
- What is saved carries the engine's version and a hash of its inputs, and is written only where that differs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cache
from itertools import product
from math import prod
from operator import itemgetter
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
from sqlalchemy import Select, Text, and_, bindparam, cast, select, union, update
from sqlalchemy.orm import Session

from server.children import ledger, record_linkage, review_queue
from server.children.flags import RULES, Finding
from server.context import AppContext
from server.crypto.vault import sha256
from server.database.engine import Writes, among
from server.database.models import Assessment, Child, DuplicatePair, Flag, HealthPost, Measurement, table
from server.growth import ENGINE_VERSION, KBM_VERSION
from server.growth.status import length_for_age_status, muac_status, wasting_status, weight_for_age_status
from server.growth.weight_gain import (
    CODE_NAMES,
    NO_GAIN,
    GainCode,
    GainReason,
    WeightGain,
    months_completed,
    weight_gain,
)
from server.growth.zscores import FIRST_STANDING_DAY, Reason, ZScores, zscores
from sync_protocol import RecordState, measurement_id

ENGINE: Final = f"{ENGINE_VERSION} {KBM_VERSION} flags-1"
INDICES: Final = ("haz", "waz", "whz", "baz", "hcz", "acz")
SEX: Final = {"M": 1, "F": 2, None: 0}
POSITION: Final = {"lying": 1, "standing": 2, None: 0}
MOST_CANDIDATES: Final = 64
"""Combinations of live values that one measurement is assessed with; a client gone wrong must not exhaust the server."""
UNKNOWN: Final = -1
"""Stands for a missing whole number: no weight, length or circumference is negative."""

REASON_WORDS: Final = {
    int(r): r.name.lower() for r in Reason if r not in (Reason.DEFINED, Reason.VALUE_MISSING)
}
GAIN_WORDS: Final = {
    int(r): r.name.lower() for r in GainReason if r not in (GainReason.COMPARED, GainReason.FIRST_WEIGHING)
}

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Days = npt.NDArray[np.datetime64]
Truths = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rows:
    """Measurements as stored, column by column: thousands of them are looked at to change a few.

    `clock_days` is what a wrong clock may have taken from the day of measuring.
    """

    child: Integers
    measured_on: Days
    source: Sequence[str]
    conflicts: Sequence[str]
    inputs: Sequence[int | None]
    clock_days: Integers

    def __len__(self) -> int:
        return len(self.source)

    def day(self, number: int) -> date:
        """Give a measurement's day."""
        day: date = self.measured_on[number].item()
        return day

    def subject(self, number: int) -> str:
        """Name a measurement within its child: "2026-11-03/cadre"."""
        return f"{self.day(number)}/{self.source[number]}"


@dataclass(frozen=True, slots=True)
class Timelines:
    """Candidates of all measurements of some children, in order of child, day and source ("staff" last).

    Every array has one element a candidate; `measurement` says to which of `rows` it belongs. Nearly always there is one.
    `removed` are measurements that were taken out, or went to another child of the same person, but still have an
    assessment. `children` are persons: of linked children the head stands for all, and `members` says for everybody who was
    looked at which of them that is, by place. `regrouped` are members whose company changed just now.
    """

    child_ids: Sequence[str]
    children: Sequence[Any]
    rows: Rows
    removed: Sequence[Any]
    measurement: Integers
    child: Integers
    sex: Integers
    born_on: Days
    measured_on: Days
    weight_g: Integers
    oedema: Truths
    length_mm: Integers
    position: Integers
    muac_mm: Integers
    head_mm: Integers
    members: Mapping[str, int]
    regrouped: frozenset[str] = frozenset()


class ChildFacts(NamedTuple):
    """What of a child's row its assessment depends on."""

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
    """What of a measurement's row its assessment depends on, and what the stored assessment was made from.

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


_REMOVED: Final = MeasurementFacts._fields.index(
    "removed"
)  # by place: names of thousands of rows are slow to look up


class StateFacts(NamedTuple):
    """A measurement's whole state, as stored."""

    state: bytes
    sealed: int


@dataclass(frozen=True, slots=True)
class PendingRows:
    """Rows that are worked out and not written yet: they stand for the stored ones of the same key. `children` may hold
    rows as they are stored, too, which are then not read again.

    `replacing` says whether any of the measurements is stored already; nearly always all of them are new. `regrouped` are
    children who are linked to others than is stored. `follow_ups` are theirs, by child and task. `pairs` are the open pairs
    of possible duplicates of all the children, with their scores; None to ask the database.
    """

    children: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    measurements: Mapping[tuple[str, str, str], Mapping[str, Any]] = field(default_factory=dict)
    replacing: bool = False
    regrouped: frozenset[str] = frozenset()
    pairs: Mapping[tuple[str, str], int] | None = None
    follow_ups: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)


def assess(session: Session, hub: AppContext, child_ids: Sequence[str], now: datetime) -> None:
    """Derive everything of some children anew and save what differs, in a writing transaction.

    The children's posts are locked and their streams moved on, so that an upload that was worked out meanwhile from what
    is changed here finds out and is worked out again.

    Parameters
    ----------
    child_ids : whose figures are to be looked at again, with all who are linked to them
    now : when a new flag was raised
    """
    if not child_ids:
        return
    child_ids = record_linkage.group_of(session, hub.district, child_ids)
    child, post = table(Child).c, table(HealthPost).c
    theirs = select(child.post_id).where(child.district == hub.district, among(child.id))
    given = {"among": list(child_ids)}
    concerned = select(post.id).where(post.district == hub.district, post.id.in_(theirs)).order_by(post.id)
    posts: set[str] = set()
    while not posts.issuperset(
        session.scalars(theirs, given)
    ):  # again if one moved while we waited for its post
        posts.update(session.scalars(concerned.with_for_update(key_share=True), given))
    session.execute(
        update(table(HealthPost))
        .where(post.district == hub.district, post.id.in_(posts))
        .values(head_position=post.head_position + 1)
    )
    writes = Writes()
    derive(session, hub, child_ids, now, writes)
    writes.apply(session)


def derive(
    session: Session,
    hub: AppContext,
    child_ids: Sequence[str],
    now: datetime,
    writes: Writes,
    fresh: PendingRows | None = None,
) -> None:
    """Work out everything of some children anew; only reads, and adds what differs to `writes`.

    Parameters
    ----------
    child_ids : whose measurements or identity change, with all who are linked to them
    now : when a new flag was raised
    fresh : their rows that are not written yet
    """
    if not child_ids:
        return
    timelines = load(session, hub, sorted(child_ids), fresh or PendingRows())
    scores = score(timelines)
    gain = gains(timelines)
    _save_assessments(writes, hub.district, timelines, scores, gain)
    found = findings(timelines, scores, gain, hub.settings.today(now))
    pairs = fresh.pairs if fresh and fresh.pairs is not None else open_pairs(session, hub, child_ids)
    found += _about_duplicates(timelines, pairs)
    wanted = _save_flags(session, writes, hub.district, timelines, found, now)
    _save_attention(session, writes, hub.district, timelines, wanted, fresh)


# -- loading --------------------------------------------------------------------------------------


def load(session: Session, hub: AppContext, child_ids: Sequence[str], fresh: PendingRows) -> Timelines:
    """Load the children's merged measurements, and the candidates of those in conflict.

    Parameters
    ----------
    child_ids : sorted
    fresh : rows that stand for the stored ones
    """
    connection = session.connection()
    known = {id_: ChildFacts._make(_of_child(row)) for id_, row in fresh.children.items()}
    unread = [child_id for child_id in child_ids if child_id not in known]
    if unread:
        given = {"district": hub.district, "among": unread}
        known |= {row.id: row for row in connection.execute(_children(), given)}
    children = [known[child_id] for child_id in child_ids if child_id in known]
    given = {"district": hub.district, "among": child_ids}
    rows = _with_fresh(list(connection.execute(_measurements(), given).all()), fresh)
    removed = [row for row in rows if row[_REMOVED]]
    found = [row for row in rows if not row[_REMOVED]] if removed else rows
    removed = [row for row in removed if row.inputs is not None]
    if fresh.regrouped or any(child.person_id != child.id for child in children):
        return _persons(session, hub, children, found, fresh)
    return _timelines(session, hub, children, found, removed, fresh)


def _persons(
    session: Session, hub: AppContext, children: Sequence[Any], found: Sequence[Any], fresh: PendingRows
) -> Timelines:
    """Put the measurements of linked children together under their heads; a day and source that several hold once."""
    by_id = {child.id: child for child in children}
    joined: dict[tuple[str, str, str], list[Origin]] = {}
    for row in found:
        owner = by_id[row.child_id]
        joined.setdefault((owner.person_id, row.measured_on, row.source), []).append((owner, row))
    keys = sorted(joined)
    stored = _stored_inputs(session, hub, list(by_id))
    rows = [
        _joined(session, hub, joined[key], fresh)._replace(child_id=key[0], inputs=stored.get(key))
        for key in keys
    ]
    removed = [Stray(*key) for key in sorted(stored.keys() - joined.keys())]
    groups: dict[str, list[Any]] = {}
    for child in children:
        groups.setdefault(child.person_id, []).append(child)
    heads = [_head(by_id[person_id], groups[person_id]) for person_id in sorted(groups)]
    origins = {number: joined[key] for number, key in enumerate(keys)}
    timelines = _timelines(session, hub, heads, rows, removed, fresh, origins)
    members = {child.id: timelines.members[child.person_id] for child in children}
    return replace(timelines, members=members, regrouped=fresh.regrouped)


Origin = tuple[Any, Any]
"""A child and a measurement of it, as they are stored: linked children hold theirs under their own ids and keys."""


class Stray(NamedTuple):
    """An assessment whose measurement is not the child's any more."""

    child_id: str
    measured_on: str
    source: str


def _stored_inputs(
    session: Session, hub: AppContext, child_ids: Sequence[str]
) -> dict[tuple[str, str, str], int]:
    given = {"district": hub.district, "among": child_ids}
    return {
        (str(child_id), measured_on, source): inputs
        for child_id, measured_on, source, inputs in session.connection().execute(_assessments(), given)
    }


@cache
def _assessments() -> Select[*tuple[Any, ...]]:
    c = table(Assessment).c
    columns = (cast(c.child_id, Text()), cast(c.measured_on, Text()), c.source, c.inputs)
    return select(*columns).where(c.district == bindparam("district"), among(c.child_id))


def _joined(
    session: Session, hub: AppContext, origins: Sequence[Origin], fresh: PendingRows
) -> MeasurementFacts:
    """Read what several children of one person hold of one day and source as one measurement."""
    first = MeasurementFacts(*origins[0][1])
    if len(origins) == 1:
        return first
    live = _live(session, hub, origins, fresh)
    differing = sorted(register for register, values in live.items() if len(values) > 1)
    marks = {mark for _, row in origins for mark in row.conflicts.split()} & {"removed", "incomplete"}
    weight_g, oedema, length_mm, position, muac_mm, head_mm = _combinations(live)[0]
    return first._replace(
        weight_g=weight_g,
        oedema=oedema,
        length_mm=length_mm,
        length_position=position,
        muac_mm=muac_mm,
        head_mm=head_mm,
        conflicts=" ".join([*differing, *sorted(marks, reverse=True)]),
        clock_days=max((row.clock_days for _, row in origins), key=lambda days: (abs(days), days)),
    )


def _head(head: Any, group: Sequence[Any]) -> ChildFacts:
    """Give the child who speaks for a person: its own identity, what is in dispute of anybody's, the earliest sight."""
    marks = dict.fromkeys(head.conflicts.split())
    for child in group:
        marks |= {mark: None for mark in child.conflicts.split() if mark != "identity"}
    return ChildFacts(*head)._replace(
        conflicts=" ".join(marks), first_seen_at=min(child.first_seen_at for child in group)
    )


def _with_fresh(rows: list[Any], fresh: PendingRows) -> list[Any]:
    """Put fresh rows in the places of the stored ones, or between them; in order of child, day and source."""
    places = {row[:3]: number for number, row in enumerate(rows)} if fresh.replacing else {}
    for key, row in fresh.measurements.items():
        place = places.get(key)
        was = rows[place] if place is not None else None
        values = (*key, *_measured(row), was and was.inputs, row["clock_days"])
        facts = MeasurementFacts._make(values)
        if place is None:
            rows.append(facts)
        else:
            rows[place] = facts
    rows.sort(key=itemgetter(0, 1, 2))
    return rows


_measured = itemgetter(
    *("weight_g", "oedema", "length_mm", "length_position", "muac_mm", "head_mm", "conflicts", "removed")
)
_of_child = itemgetter(*ChildFacts._fields)


# Statements are built once, of tables and not of classes: kept ones are compiled and cached faster, and rows of plain
# tables come without the ORM's loading, a tenth of a batch's time.


@cache
def _children() -> Select[*tuple[Any, ...]]:
    c = table(Child).c
    return (
        select(
            c.id,
            c.sex,
            c.born_on,
            c.conflicts,
            c.registered,
            c.removed,
            c.state,
            c.wrapped_key,
            c.key_version,
            c.first_seen_at,
            c.clock_days,
            c.person_id,
            c.post_id,
        )
        .where(c.district == bindparam("district"), among(c.id))
        .order_by(c.id)
    )


@cache
def _measurements() -> Select[*tuple[Any, ...]]:
    m, a = table(Measurement).c, table(Assessment).c
    same = and_(
        a.district == m.district,
        a.child_id == m.child_id,
        a.measured_on == m.measured_on,
        a.source == m.source,
    )
    return (
        select(
            cast(
                m.child_id, Text()
            ),  # text from the database: PostgreSQL's driver would make objects of both
            cast(m.measured_on, Text()),
            m.source,
            m.weight_g,
            m.oedema,
            m.length_mm,
            m.length_position,
            m.muac_mm,
            m.head_mm,
            m.conflicts,
            m.removed,
            a.inputs,
            m.clock_days,
        )
        .select_from(table(Measurement).outerjoin(table(Assessment), same))
        .where(m.district == bindparam("district"), among(m.child_id))
    )


def _timelines(
    session: Session,
    hub: AppContext,
    children: Sequence[Any],
    found: Sequence[Any],
    removed: Sequence[Any],
    fresh: PendingRows,
    origins: Mapping[int, Sequence[Origin]] | None = None,
) -> Timelines:
    index = {row.id: number for number, row in enumerate(children)}
    columns = list(zip(*found, strict=True)) or [()] * len(MeasurementFacts._fields)
    rows = Rows(
        np.array([index[child_id] for child_id in columns[0]], np.int64),
        np.array(columns[1], "datetime64[D]"),
        columns[2],
        columns[9],
        columns[11],
        np.array(columns[12], np.int64),
    )
    several = _candidates_of(session, hub, children, rows, found, fresh, origins or {})
    counts = np.ones(len(rows), np.int64)
    for number, candidates in several.items():
        counts[number] = len(candidates)
    measurement = np.repeat(np.arange(len(rows)), counts)
    child = rows.child[measurement]
    timelines = Timelines(
        [row.id for row in children],
        children,
        rows,
        removed,
        measurement=measurement,
        child=child,
        sex=np.array([SEX[row.sex] for row in children], np.int64)[child],
        born_on=np.array([row.born_on for row in children], "datetime64[D]")[child],
        measured_on=rows.measured_on[measurement],
        weight_g=_whole(columns[3])[measurement],
        oedema=_swollen(columns[4])[measurement],
        length_mm=_whole(columns[5])[measurement],
        position=_position(columns[6])[measurement],
        muac_mm=_whole(columns[7])[measurement],
        head_mm=_whole(columns[8])[measurement],
        members=index,
    )
    for number, candidates in several.items():
        start = int(measurement.searchsorted(number))
        _put(timelines, slice(start, start + len(candidates)), candidates)
    return timelines


Candidate = tuple[
    str | None, date | None, int | None, str | None, int | None, str | None, int | None, int | None
]
"""Sex, birth date, weight, oedema, length, position, arm, head: one combination of live values."""


def _candidates_of(
    session: Session,
    hub: AppContext,
    children: Sequence[Any],
    rows: Rows,
    found: Sequence[Any],
    fresh: PendingRows,
    origins: Mapping[int, Sequence[Origin]],
) -> dict[int, list[Candidate]]:
    """Give the candidates of each measurement that has several, by row."""
    disputed = {
        number: _identities(hub, child)
        for number, child in enumerate(children)
        if "identity" in child.conflicts
    }
    several = {}
    for number, whose_row in enumerate(rows.child.tolist()):
        if rows.conflicts[number] or whose_row in disputed:
            child, f = children[whose_row], found[number]
            plain = (f.weight_g, f.oedema, f.length_mm, f.length_position, f.muac_mm, f.head_mm)
            values = [plain]
            if f.conflicts:
                values = _combinations(_live(session, hub, origins.get(number, [(child, f)]), fresh))
            whose = disputed.get(whose_row, [(child.sex, child.born_on)])
            several[number] = [
                (*who, *value)
                for who, value in _combined([whose[:MOST_CANDIDATES], values[:MOST_CANDIDATES]])
            ]
    return several


def _combined(parts: Sequence[Sequence[tuple[Any, ...]]]) -> list[tuple[tuple[Any, ...], ...]]:
    """Combine the live values of several registers: each with each, while that stays within MOST_CANDIDATES; beyond it
    (nobody honest is in four-fold conflict with himself) the least and greatest of all together, and each value once."""
    if prod(len(part) for part in parts) <= MOST_CANDIDATES:
        return list(product(*parts))
    ordered = [
        sorted(part, key=lambda value: tuple((v is not None, str(v).zfill(9)) for v in value))
        for part in parts
    ]
    ends = [[part[0], part[-1]] for part in ordered]
    chosen = list(product(*ends))
    for place, part in enumerate(ordered):
        chosen += [(*chosen[0][:place], value, *chosen[0][place + 1 :]) for value in part]
    return list(dict.fromkeys(chosen))[:MOST_CANDIDATES]


def _put(timelines: Timelines, where: slice, candidates: Sequence[Candidate]) -> None:
    sexes, born, weights, oedemas, lengths, positions, arms, heads = zip(*candidates, strict=True)
    timelines.sex[where] = [SEX[sex] for sex in sexes]
    timelines.born_on[where] = np.array(born, "datetime64[D]")
    timelines.weight_g[where], timelines.oedema[where] = _whole(weights), _swollen(oedemas)
    timelines.length_mm[where], timelines.position[where] = _whole(lengths), _position(positions)
    timelines.muac_mm[where], timelines.head_mm[where] = _whole(arms), _whole(heads)


def _swollen(grades: Iterable[str | None]) -> Truths:
    return np.array([grade is not None and grade != "n" for grade in grades], np.bool_)


def _position(positions: Iterable[str | None]) -> Integers:
    return np.array([POSITION[position] for position in positions], np.int64)


def _whole(values: Iterable[int | None]) -> Integers:
    return np.array([UNKNOWN if value is None else value for value in values], np.int64)


def _identities(hub: AppContext, child: Any) -> list[tuple[str | None, date | None]]:
    """Give every (sex, birth date) that a child whose identity is in conflict may have."""
    key = hub.vault.child_key(child.id, child.wrapped_key, child.key_version)
    wire = orjson.loads(ledger.read_child(hub.district, child.id, child.state, key))
    state = RecordState.from_wire("child", child.id, {}, wire)
    candidates = {(s.value.get("sex"), s.value.get("born_on")) for s in state.registers["identity"]}
    ordered = sorted(candidates, key=lambda c: (c[0] or "", c[1] or ""))
    return [(sex, date.fromisoformat(born_on) if born_on else None) for sex, born_on in ordered]


def _live(
    session: Session, hub: AppContext, origins: Sequence[Origin], fresh: PendingRows
) -> dict[str, list[Mapping[str, Any]]]:
    """Give every register's live values: those of one measurement, or of all that one person's children hold of a day."""
    live: dict[str, list[Mapping[str, Any]]] = {}
    for child, found in origins:
        row = fresh.measurements.get((found.child_id, found.measured_on, found.source))
        stored = StateFacts(row["state"], row["sealed"]) if row else _stored_state(session, hub, found)
        key = hub.vault.child_key(child.id, child.wrapped_key, child.key_version)
        record_id = measurement_id(found.child_id, found.measured_on, found.source)
        wire = orjson.loads(ledger.read_measurement(hub.district, record_id, stored, key))
        state = RecordState.from_wire("measurement", record_id, {}, wire)
        for register, siblings in state.registers.items():
            values = live.setdefault(register, [])
            values += [s.value for s in siblings if s.value not in values]
    return live


def _combinations(
    registers: Mapping[str, Sequence[Mapping[str, Any]]],
) -> list[tuple[int | None, str | None, int | None, str | None, int | None, int | None]]:
    """Give every combination of a measurement's live values, register by register."""

    def live(register: str, *fields: str) -> list[tuple[Any, ...]]:
        values = registers.get(register, ())
        return list(dict.fromkeys(tuple(v.get(f) for f in fields) for v in values)) or [(None,) * len(fields)]

    parts = [
        live("weight", "weight_g", "oedema"),
        live("length", "length_mm", "position"),
        live("muac", "muac_mm"),
        live("head", "head_mm"),
    ]
    return [(*weight, *length, *muac, *head) for weight, length, muac, head in _combined(parts)]


def _stored_state(session: Session, hub: AppContext, found: Any) -> Any:
    m = table(Measurement).c
    return session.execute(
        select(m.state, m.sealed).where(
            m.district == hub.district,
            m.child_id == found.child_id,
            m.measured_on == date.fromisoformat(found.measured_on),
            m.source == found.source,
        )
    ).one()


# -- deriving -------------------------------------------------------------------------------------


def score(timelines: Timelines) -> ZScores:
    """Score every candidate at once."""
    return zscores(
        sex=timelines.sex,
        age_days=age_days(timelines),
        weight_kg=_measure(timelines.weight_g, 1000),
        lenhei_cm=_measure(timelines.length_mm, 10),
        position=timelines.position,
        headc_cm=_measure(timelines.head_mm, 10),
        armc_cm=_measure(timelines.muac_mm, 10),
        oedema=timelines.oedema,
    )


def age_days(timelines: Timelines) -> Floats:
    """Give ages in days at measurement; NaN where the birth date is unknown or later."""
    days = (timelines.measured_on - timelines.born_on) / np.timedelta64(1, "D")
    return np.where(days < 0, np.nan, days)


def _measure(whole: Integers, unit: int) -> Floats:
    """Give whole grams or millimetres in the unit of the WHO's tables: the double nearest to the decimal."""
    return np.where(whole == UNKNOWN, np.nan, whole / unit)


@dataclass(frozen=True, slots=True)
class Gains:
    """Monthly weight gain of each measurement (by row, not by candidate); `disputed` where its candidates disagree."""

    code: npt.NDArray[np.int8]
    gain_g: Integers
    reason: npt.NDArray[np.int8]
    two_t: Truths
    disputed: Truths


def gains(timelines: Timelines) -> Gains:
    """Judge monthly gain: once with each measurement's first candidate, and if any has several, with its last, its lightest
    and its heaviest; where these disagree no code is given."""
    count = len(timelines.rows)
    first = _first_of_each(timelines.measurement, count)
    main = _gain(timelines, first)
    disputed = np.zeros(count, np.bool_)
    if len(timelines.measurement) > count:
        for chosen in _other_choices(timelines, count):
            other = _gain(timelines, chosen)
            disputed |= (
                (other.code != main.code) | (other.gain_g != main.gain_g) | (other.two_t != main.two_t)
            )
    code = np.where(disputed, np.int8(GainCode.NONE), main.code)
    return Gains(code, main.gain_g.astype(np.int64), main.reason, main.two_t & ~disputed, disputed)


def _first_of_each(measurement: Integers, count: int) -> Integers:
    return np.searchsorted(measurement, np.arange(count)).astype(np.int64)


def _other_choices(timelines: Timelines, count: int) -> Iterator[Integers]:
    """Choose each measurement's last candidate, its lightest, its heaviest, and by turns the lightest and the heaviest: of
    two neighbours' candidates the least and the greatest gain are then among what is judged."""
    last = np.searchsorted(timelines.measurement, np.arange(count), side="right") - 1
    yield last.astype(np.int64)
    first = _first_of_each(timelines.measurement, count)
    lightest, heaviest = (
        np.lexsort((sign * timelines.weight_g, timelines.measurement))[first] for sign in (1, -1)
    )
    odd = np.arange(count) % 2 == 1
    yield from (lightest, heaviest, np.where(odd, lightest, heaviest), np.where(odd, heaviest, lightest))


def _gain(timelines: Timelines, chosen: Integers) -> WeightGain:
    return weight_gain(
        timelines.child[chosen],
        timelines.born_on[chosen],
        timelines.sex[chosen],
        timelines.measured_on[chosen],
        timelines.weight_g[chosen].clip(0),
    )


def findings(timelines: Timelines, scores: ZScores, gain: Gains, today: date) -> list[Finding]:
    """Find every reason to look at these children.

    Parameters
    ----------
    today : in the district, for who has not been seen

    Returns
    -------
    list of Finding : at most one for a rule, child and subject
    """
    found = [*_about_children(timelines), *_about_absence(timelines, today)]
    if len(timelines.rows):
        found += _about_growth(timelines, scores)
        found += _about_arms(timelines)
        found += _about_gain(timelines, gain)
        found += _about_quality(timelines, scores)
        found += _about_clocks(timelines, scores, gain)
    present = {number for number, child in enumerate(timelines.children) if not child.removed}
    return [finding for finding in found if finding.child in present]


def _about_children(timelines: Timelines) -> Iterator[Finding]:
    for number, child in enumerate(timelines.children):
        if child.conflicts:
            yield from _disputes(number, "", child.conflicts)
        if not child.registered:
            yield Finding(number, "not_registered", "", {})
        elif "identity" not in child.conflicts:
            if child.born_on is None:
                yield Finding(number, "birth_date_unknown", "", {})
            if child.sex is None:
                yield Finding(number, "sex_unknown", "", {})


def _disputes(number: int, subject: str, marks: str) -> Iterator[Finding]:
    """Read a record's marks: registers in conflict, "removed" for a contested removal, "incomplete"."""
    names = marks.split()
    registers = [name for name in names if name not in ("removed", "incomplete")]
    if registers:
        yield Finding(number, "conflict", subject, {"registers": registers})
    if "removed" in names:
        yield Finding(number, "removal_contested", subject, {})
    if "incomplete" in names:
        yield Finding(number, "incomplete", subject, {})


def open_pairs(session: Session, hub: AppContext, child_ids: Sequence[str]) -> dict[tuple[str, str], int]:
    """Load the open pairs of possible duplicates that some children belong to, with their scores."""
    given = {"district": hub.district, "among": child_ids}
    rows = session.connection().execute(_open_pairs(), given)
    return {(row.child_id, row.other_id): row.score for row in rows}


@cache
def _open_pairs() -> Any:
    c = table(DuplicatePair).c
    of_district = select(c.child_id, c.other_id, c.score).where(
        c.district == bindparam("district"), c.status == "open"
    )
    return union(of_district.where(among(c.child_id)), of_district.where(among(c.other_id)))


def _about_duplicates(timelines: Timelines, pairs: Mapping[tuple[str, str], int]) -> Iterator[Finding]:
    """Find persons who may be registered twice, both of a pair; a pair that is one person by now says nothing."""
    scores: dict[int, list[int]] = {}
    for (one, other), score_ in pairs.items():
        sides = [timelines.members.get(one), timelines.members.get(other)]
        here = {side for side in sides if side is not None} if sides[0] != sides[1] else set()
        for number in here:
            scores.setdefault(number, []).append(score_)
    for number, several in scores.items():
        if not timelines.children[number].removed:
            yield Finding(number, "possible_duplicate", "", {"pairs": len(several), "score": max(several)})


def _about_growth(timelines: Timelines, scores: ZScores) -> Iterator[Finding]:
    """Judge the newest value of each index by its worst candidate, both ways."""
    for index, rules in _GROWTH_RULES.items():
        indicator = getattr(scores, index)
        newest, lowest, highest, implausible = _newest(timelines, indicator.z, indicator.implausible == 1)
        upper = _UPPER_RULES.get(index)
        low = max((limit for _, limit in rules), default=-np.inf)
        high = upper[1] if upper else np.inf
        told = (newest >= 0) & ((lowest < low) | (highest > high) | implausible)
        numbers = np.flatnonzero(told)
        columns = (column[numbers].tolist() for column in (newest, lowest, highest, implausible))
        for number, row, least, most, marked in zip(numbers.tolist(), *columns, strict=True):
            subject = timelines.rows.subject(row)
            details = {"index": index, "z": _text(least)}
            rule = next((name for name, limit in rules if least < limit), None)
            if rule:
                yield Finding(number, rule, subject, details)
            if upper and most > high:
                yield Finding(number, upper[0], subject, {**details, "z": _text(most)})
            if marked:
                yield Finding(number, "implausible", f"{subject}/{index}", details)
    newest, *_ = _newest(timelines, np.where(timelines.oedema, 0.0, np.nan), timelines.oedema)
    latest, *_ = _newest(timelines, np.where(timelines.weight_g == UNKNOWN, np.nan, 0.0), timelines.oedema)
    for number in np.flatnonzero((newest >= 0) & (newest >= latest)).tolist():
        yield Finding(number, "oedema", timelines.rows.subject(newest[number]), {})


def _about_absence(timelines: Timelines, today: date) -> Iterator[Finding]:
    """Find registered children under five who were measured neither this calendar month nor last; one who was never
    measured has as long from when we first heard of them."""
    last = np.full(len(timelines.children), np.datetime64("NaT"), "datetime64[D]")
    last[timelines.rows.child] = timelines.rows.measured_on  # in order, so the newest stays
    since, five_years_ago = months_back(today, 1), months_back(today, 60)
    unseen = np.isnat(last).tolist()
    lately = (last >= np.datetime64(since)).tolist()
    for number, child in enumerate(timelines.children):
        if lately[number] or (unseen[number] and child.first_seen_at.date() >= since):
            continue
        if child.registered and child.born_on is not None and child.born_on > five_years_ago:
            # a child who was seen since and is missing again is another case: what was closed then does not close this
            yield Finding(number, "not_seen", "", {} if unseen[number] else {"last": str(last[number])})


def months_back(today: date, months: int) -> date:
    """Give the first day of the calendar month so many months before today's."""
    year, month = divmod(today.year * 12 + today.month - 1 - months, 12)
    return date(year, month + 1, 1)


_GROWTH_RULES: Final = {
    "haz": (("severely_stunted", -3), ("stunted", -2)),
    "waz": (("below_red_line", -3), ("underweight", -2)),
    "whz": (("severely_wasted", -3), ("wasted", -2)),
    "baz": (),
    "hcz": (),
    "acz": (),
}
_UPPER_RULES: Final = {"waz": ("above_orange_line", 1), "whz": ("overweight", 2)}


def _newest(timelines: Timelines, value: Floats, mark: Truths) -> tuple[Integers, Floats, Floats, Truths]:
    """Give by child: the newest measurement with a value, the lowest and highest of its candidates, and any mark.

    Parameters
    ----------
    value : by candidate, NaN where there is none
    mark : by candidate
    """
    count = len(timelines.children)
    newest = np.full(count, -1, np.int64)
    defined = np.flatnonzero(~np.isnan(value))
    np.maximum.at(newest, timelines.child[defined], timelines.measurement[defined])
    chosen = defined[timelines.measurement[defined] == newest[timelines.child[defined]]]
    lowest, highest = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(lowest, timelines.child[chosen], value[chosen])
    np.maximum.at(highest, timelines.child[chosen], value[chosen])
    marked = np.zeros(count, np.bool_)
    np.logical_or.at(marked, timelines.child[chosen], mark[chosen])
    return newest, lowest, highest, marked


def _about_arms(timelines: Timelines) -> Iterator[Finding]:
    months = months_completed(timelines.born_on, timelines.measured_on)
    months = np.where(np.isnat(timelines.born_on), _ASSUMED_MONTHS, months)
    status = muac_status(timelines.muac_mm, months)
    arm = np.where(status >= 0, timelines.muac_mm.astype(np.float64), np.nan)
    newest, lowest, *_ = _newest(timelines, arm, status == 0)
    for number in np.flatnonzero(newest >= 0).tolist():
        if lowest[number] < 125:
            rule = "muac_severe" if lowest[number] < 115 else "muac_moderate"
            yield Finding(
                number, rule, timelines.rows.subject(newest[number]), {"muac_mm": int(lowest[number])}
            )


_ASSUMED_MONTHS: Final = 12
"""A thin arm is flagged though the age is unknown: the classes hold from 6 to 59 months."""


def _about_gain(timelines: Timelines, gain: Gains) -> Iterator[Finding]:
    """Judge the child's newest weighing with a code."""
    coded = np.flatnonzero(gain.code != GainCode.NONE)
    newest = np.full(len(timelines.children), -1, np.int64)
    newest[timelines.rows.child[coded]] = coded  # rows are in order, so the last one stays
    told = (newest >= 0) & (gain.two_t | (gain.code == GainCode.T))[newest]
    for number in np.flatnonzero(told).tolist():
        row = int(newest[number])
        rule, details = "two_t" if gain.two_t[row] else "not_gaining", {"gain_g": int(gain.gain_g[row])}
        yield Finding(number, rule, timelines.rows.subject(row), details)


def _about_quality(timelines: Timelines, scores: ZScores) -> Iterator[Finding]:
    """Look at each child's newest measurement, and at the one before it that has the same part.

    A measurement in conflict is looked at through its first candidate: its conflict is a finding of its own.
    """
    rows = timelines.rows
    for measurement in [number for number, marks in enumerate(rows.conflicts) if marks]:
        marks = rows.conflicts[measurement]
        yield from _disputes(int(rows.child[measurement]), rows.subject(measurement), marks)
    last = np.full(len(timelines.children), -1, np.int64)
    last[rows.child] = np.arange(len(rows))
    yield from oddities(timelines, scores, last[rows.child] == np.arange(len(rows)))


def oddities(timelines: Timelines, scores: ZScores, newest: Truths) -> Iterator[Finding]:
    """Find what cannot well be true of some measurements (by row), by themselves or after the one before them that has the
    same part: dated before birth, an infant who stood, a length that shrank, a weight that jumped, a copy."""
    rows = timelines.rows
    place = _first_of_each(timelines.measurement, len(rows))
    early = timelines.measured_on[place] < timelines.born_on[place]
    alone = {"measured_before_birth": early, "position_unlikely": scores.standing_before_9_months[place]}
    for rule, holds in alone.items():
        for measurement in np.flatnonzero(newest & holds).tolist():
            yield Finding(int(rows.child[measurement]), rule, rows.subject(measurement), {})
    yield from _shrunk(timelines, scores, place, newest)
    yield from _jumped(timelines, scores, place, newest)


def _pairs(rows: Rows, has_part: Truths, newest: Truths) -> tuple[Integers, Integers]:
    """Give the children's newest measurements that have a part, and each one's predecessor on an earlier day."""
    having = np.flatnonzero(has_part)
    before, after = having[:-1], having[1:]
    fits = newest[after] & (rows.child[before] == rows.child[after])
    fits &= rows.measured_on[before] < rows.measured_on[after]
    return before[fits], after[fits]


def _shrunk(timelines: Timelines, scores: ZScores, place: Integers, newest: Truths) -> Iterator[Finding]:
    length = timelines.length_mm[place]
    before, after = _pairs(timelines.rows, length != UNKNOWN, newest)
    age, lenhei_cm = scores.age_days[place], scores.lenhei_cm[place]
    change = np.round((lenhei_cm[after] - lenhei_cm[before]) * 10)
    # 1 cm for two readings, and 0.7 cm more where lying turned into standing at 24 months
    allowed = np.where((age[before] < FIRST_STANDING_DAY) & (age[after] >= FIRST_STANDING_DAY), 17, 10)
    for at in np.flatnonzero(change < -allowed).tolist():
        number = int(after[at])
        details = {"change_mm": int(change[at])}
        yield Finding(
            int(timelines.rows.child[number]), "length_shrank", timelines.rows.subject(number), details
        )


def _jumped(timelines: Timelines, scores: ZScores, place: Integers, newest: Truths) -> Iterator[Finding]:
    rows, weight, length = timelines.rows, timelines.weight_g[place], timelines.length_mm[place]
    before, after = _pairs(rows, weight != UNKNOWN, newest)
    months = rows.measured_on.astype("datetime64[M]").astype(np.int64)
    apart = months[after] - months[before]
    change = weight[after] - weight[before]
    young = scores.age_days[place][after] < 183  # half a year: until then 2 kg a month is possible
    for at in np.flatnonzero((apart <= 1) & (np.abs(change) > 2000) & ~young).tolist():
        number, details = int(after[at]), {"change_g": int(change[at])}
        yield Finding(int(rows.child[number]), "weight_jumped", rows.subject(number), details)
    same_length = (length[after] == length[before]) & (length[after] != UNKNOWN)
    for at in np.flatnonzero((apart == 1) & (change == 0) & same_length).tolist():
        number = int(after[at])
        yield Finding(int(rows.child[number]), "copied", rows.subject(number), {})


def _about_clocks(timelines: Timelines, scores: ZScores, gain: Gains) -> Iterator[Finding]:
    """Find measurements whose status could differ, had the clock of the tablet that gave their day, or the child's birth
    date, been right: all is scored a second time with those dates moved.

    A doubtful birth date concerns every measurement of the child; that is said of the newest alone. One that differs only
    because a neighbour's day is doubtful (a month's gain) is named too.
    """
    rows = timelines.rows
    of_child = np.array([child.clock_days for child in timelines.children], np.int64)
    if not (rows.clock_days.any() or of_child.any()):
        return
    moved = replace(
        timelines,
        born_on=timelines.born_on + of_child[timelines.child],
        measured_on=timelines.measured_on + rows.clock_days[timelines.measurement],
    )
    differs = _status_differences(timelines, scores, moved, score(moved))
    other = gains(moved)
    judged = np.isin(gain.code, (GainCode.N, GainCode.T)) | np.isin(other.code, (GainCode.N, GainCode.T))
    differs["gain"] = judged & ((gain.code != other.code) | (gain.two_t != other.two_t))
    any_differs = np.logical_or.reduce(list(differs.values()))
    newest = np.full(len(timelines.children), -1, np.int64)
    newest[rows.child[any_differs]] = np.flatnonzero(any_differs)  # rows are in order, so the last one stays
    told = rows.clock_days.astype(np.bool_) | differs["gain"] & (of_child[rows.child] == 0)
    told |= newest[rows.child] == np.arange(len(rows))
    for row in np.flatnonzero(any_differs & told).tolist():
        child = int(rows.child[row])
        of_row = int(rows.clock_days[row]) or int(of_child[child])
        days = of_row or _largest(rows.clock_days[rows.child == child].tolist())
        index = [name for name, there in differs.items() if there[row]]
        yield Finding(child, "date_doubtful", rows.subject(row), {"days": days, "index": index})


def _largest(days: Sequence[int]) -> int:
    return max(days, key=lambda d: (abs(d), d))


def _status_differences(
    one: Timelines, one_scores: ZScores, other: Timelines, other_scores: ZScores
) -> dict[str, Truths]:
    """Say by index which measurements have another status, or are implausible in one and not in the other, by row: any of a
    measurement's candidates counts."""
    first, second = _statuses(one, one_scores), _statuses(other, other_scores)
    differs = {name: np.zeros(len(one.rows), np.bool_) for name in first}
    for name, statuses in first.items():
        apart = np.any(statuses != second[name], axis=0)
        np.logical_or.at(differs[name], one.measurement, apart)
    return differs


def _statuses(timelines: Timelines, scores: ZScores) -> dict[str, npt.NDArray[np.int8]]:
    """Give each candidate's class (Permenkes 2/2020) and its mark of plausibility, by index; shape (2, candidates)."""
    months = months_completed(timelines.born_on, timelines.measured_on)
    months = np.where(np.isnat(timelines.born_on), _ASSUMED_MONTHS, months)
    classes = {
        "haz": length_for_age_status(scores.haz.z),
        "waz": weight_for_age_status(scores.waz.z),
        "whz": wasting_status(scores.whz.z, timelines.oedema),
        "baz": wasting_status(scores.baz.z, timelines.oedema),
        "muac": muac_status(timelines.muac_mm, months),
    }
    unclassed = np.zeros(len(timelines.measurement), np.int8)
    marks = {index: getattr(scores, index).implausible for index in INDICES}
    names = dict.fromkeys((*INDICES, *classes))
    return {
        name: np.stack((classes.get(name, unclassed), marks.get(name, unclassed))).astype(np.int8)
        for name in names
    }


def _text(z: float) -> str:
    """Write a score for the details, which hold no fractions."""
    return f"{z:.2f}"


# -- saving ---------------------------------------------------------------------------------------


def inputs_hash(timelines: Timelines, gain: Gains) -> Integers:
    """Hash what each measurement's assessment is made from: the engine, its candidates, in order, and its place among the
    weighings.

    Returns
    -------
    array of int64, shape (rows,) : 64 bits that change with any input; not a secret and not a signature
    """
    parts = (
        timelines.sex,
        timelines.born_on.astype(np.int64),
        timelines.measured_on.astype(np.int64),
        timelines.weight_g,
        timelines.oedema.astype(np.int64),
        timelines.length_mm,
        timelines.position,
        timelines.muac_mm,
        timelines.head_mm,
    )
    mixed = _mixed(parts)
    starts = _first_of_each(timelines.measurement, len(timelines.rows))
    # candidates stand in an order of their own: weigh each by its place, so that two swapped are not one
    place = np.arange(len(mixed), dtype=np.uint64) - np.repeat(starts, np.diff([*starts, len(mixed)])).astype(
        np.uint64
    )
    joined = np.add.reduceat(mixed * (place * np.uint64(2) + np.uint64(1)), starts) if len(starts) else mixed
    standing = (joined.view(np.int64), gain.code.astype(np.int64), gain.gain_g, gain.two_t.astype(np.int64))
    return _mixed(standing, _ENGINE_BITS).view(np.int64)


_ENGINE_BITS: Final = int.from_bytes(sha256(ENGINE.encode())[:8])


def _mixed(parts: Sequence[Integers], start: int = 0) -> npt.NDArray[np.uint64]:
    """Mix columns into 64 bits a row (the finalizer of SplitMix64, Steele, Lea and Flood 2014)."""
    value = np.full(len(parts[0]), start, np.uint64)
    for part in parts:
        value = (value ^ part.view(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        value ^= value >> np.uint64(31)
    return value


def _save_assessments(
    writes: Writes, district: str, timelines: Timelines, scores: ZScores, gain: Gains
) -> None:
    hashes = inputs_hash(timelines, gain).tolist()
    stored = timelines.rows
    changed = [number for number, was in enumerate(stored.inputs) if was != hashes[number]]
    starts = _first_of_each(timelines.measurement, len(stored))
    ends = np.append(starts[1:], len(timelines.measurement))
    lows, highs = starts[changed], ends[changed]
    spans = zip(lows.tolist(), highs.tolist(), strict=True)
    ages = scores.age_days[lows].tolist()
    codes, gained, why, disputed = (
        column[changed].tolist() for column in (gain.code, gain.gain_g, gain.reason, gain.disputed)
    )
    rows = []
    scored = zip(changed, spans, *_scores_of(scores, lows, highs), strict=True)
    for place, (number, (low, high), z, words) in enumerate(scored):
        reasons = {index: word for index, word in zip(INDICES, words, strict=True) if word}
        gain_g: int | None = gained[place]
        if disputed[place]:
            reasons["gain"], gain_g = "conflict", None
        elif why[place] in GAIN_WORDS:
            reasons["gain"] = GAIN_WORDS[why[place]]
        rows.append(
            {
                "district": district,
                "child_id": timelines.child_ids[stored.child[number]],
                "measured_on": stored.day(number),
                "source": stored.source[number],
                "age_days": None if ages[place] != ages[place] else int(ages[place]),
                **dict(zip(INDICES, z, strict=True)),
                "gain_code": CODE_NAMES[codes[place]] or None,
                "gain_g": None if gain_g == NO_GAIN else gain_g,
                "reasons": orjson.dumps(reasons).decode() if reasons else None,
                "candidates": _candidates(timelines, scores, low, high) if high - low > 1 else None,
                "inputs": hashes[number],
                "engine": ENGINE,
            }
        )
    new = [row for number, row in zip(changed, rows, strict=True) if stored.inputs[number] is None]
    again = [row for number, row in zip(changed, rows, strict=True) if stored.inputs[number] is not None]
    writes.insert(table(Assessment), new)
    writes.upsert(table(Assessment), again)
    gone = [
        {
            "district": district,
            "child_id": row.child_id,
            "measured_on": date.fromisoformat(row.measured_on),
            "source": row.source,
        }
        for row in timelines.removed
    ]
    writes.remove(table(Assessment), gone)


def _scores_of(
    scores: ZScores, lows: Integers, highs: Integers
) -> tuple[list[tuple[float | None, ...]], list[tuple[str | None, ...]]]:
    """Give the scores of measurements, by index, and a word for each that is undefined (but for want of a value) or in
    conflict.

    Parameters
    ----------
    lows, highs : where the candidates of each measurement begin and end
    """
    values, words = [], []
    several = np.flatnonzero(highs - lows > 1).tolist()
    for indicator in (getattr(scores, index) for index in INDICES):
        value = [None if z != z else z for z in indicator.z[lows].tolist()]  # NaN is not equal to itself
        word = [REASON_WORDS.get(reason) for reason in indicator.reason[lows].tolist()]
        for place in several:
            candidates = indicator.z[lows[place] : highs[place]].tolist()
            if len({None if z != z else z for z in candidates}) > 1:
                value[place], word[place] = None, "conflict"
        values.append(value)
        words.append(word)
    return list(zip(*values, strict=True)), list(zip(*words, strict=True))


def _candidates(timelines: Timelines, scores: ZScores, low: int, high: int) -> str:
    """Write every candidate of a measurement with its scores."""
    several = []
    for place in range(low, high):
        z = {index: float(getattr(scores, index).z[place]) for index in INDICES}
        measured = {
            "weight_g": int(timelines.weight_g[place]),
            "length_mm": int(timelines.length_mm[place]),
            "muac_mm": int(timelines.muac_mm[place]),
            "head_mm": int(timelines.head_mm[place]),
        }
        age = scores.age_days[place]
        several.append(
            {name: value for name, value in measured.items() if value != UNKNOWN}
            | {name: value for name, value in z.items() if not np.isnan(value)}
            | ({} if np.isnan(age) else {"age_days": int(age)})
        )
    return orjson.dumps(several).decode()


@cache
def _flags() -> Select[*tuple[Any, ...]]:
    c = table(Flag).c
    columns = (c.child_id, c.rule, c.subject, c.details, c.raised_at)
    return select(*columns).where(c.district == bindparam("district"), among(c.child_id))


def _save_flags(
    session: Session,
    writes: Writes,
    district: str,
    timelines: Timelines,
    found: Sequence[Finding],
    now: datetime,
) -> Mapping[tuple[str, str, str], str]:
    """Raise what is new, keep the date of what was raised before, and take down what no longer holds. Give the details of
    all that now stand, by child, rule and subject."""
    wanted = {
        (timelines.child_ids[f.child], f.rule, f.subject): orjson.dumps(f.details).decode() for f in found
    }
    stored = session.connection().execute(_flags(), {"district": district, "among": list(timelines.members)})
    held = {(row.child_id, row.rule, row.subject): (row.details, row.raised_at) for row in stored}
    # a flag that goes over to another of one person keeps its date
    since: dict[tuple[str, str], datetime] = {}
    for (child_id, rule, subject), (_, raised_at) in held.items():
        if child_id in timelines.regrouped:
            since[rule, subject] = min(raised_at, since.get((rule, subject), now))
    gone = [
        {"district": district, "child_id": child_id, "rule": rule, "subject": subject}
        for child_id, rule, subject in held.keys() - wanted.keys()
    ]
    writes.remove(table(Flag), gone)
    new: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    for key, details in wanted.items():
        child_id, rule, subject = key
        known, raised_at = held.get(key, (None, since.get((rule, subject), now)))
        if known != details:
            row = {
                "district": district,
                "child_id": child_id,
                "rule": rule,
                "subject": subject,
                "urgency": RULES[rule].urgency,
                "details": details,
                "raised_at": raised_at,
            }
            (changed if key in held else new).append(row)
    writes.insert(table(Flag), new)
    writes.upsert(table(Flag), changed)
    return wanted


def _save_attention(
    session: Session,
    writes: Writes,
    district: str,
    timelines: Timelines,
    wanted: Mapping[tuple[str, str, str], str],
    fresh: PendingRows | None,
) -> None:
    """Hand each person's flags on to the queue."""
    heads = timelines.child_ids
    flags: dict[str, list[review_queue.Raised]] = {head: [] for head in heads}
    for (head, rule, subject), details in wanted.items():
        flags[head].append(review_queue.Raised(rule, subject, details))
    review_queue.derive(
        session,
        writes,
        district,
        {
            head: review_queue.QueuePerson(child.post_id, child.born_on, flags[head])
            for head, child in zip(heads, timelines.children, strict=True)
            if not child.removed
        },
        {member: heads[place] for member, place in timelines.members.items()},
        fresh.follow_ups if fresh else {},
    )
