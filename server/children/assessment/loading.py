"""Builds timelines: the measurements of each person from the tables, and the candidates of those in conflict.

Hides where a value in conflict is kept (the merged state, partly encrypted under the child's key), and that linked children
(`same_as`) are one person: their measurements become one timeline under the canonical record. Where several of them have a
measurement of the same day and source, their values are read as siblings of one measurement.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
from sqlalchemy.orm import Session

from server.children import ledger
from server.children.assessment.candidates import (
    MOST_CANDIDATES,
    Candidate,
    combine,
    has_oedema,
    measured_combinations,
    numbers,
    position_codes,
    put_candidates,
)
from server.children.assessment.queries import (
    ChildFacts,
    MeasurementFacts,
    PendingRows,
    StateFacts,
    read_children,
    read_measurements,
    read_states,
    read_stored_inputs,
)
from server.children.assessment.timeline import SEX, Rows, Timelines
from server.context import AppContext
from sync_protocol import RecordState, canonical, measurement_id

States = Mapping[tuple[str, str, str], StateFacts]
"""Whole states of measurements, by child, day and source."""
Origin = tuple[Any, Any]
"""A child and one of its measurements, as stored: linked children keep theirs under their own ids and keys."""

_REMOVED: Final = MeasurementFacts._fields.index("removed")
"""Read by place: looking up a name in each of thousands of rows is slow."""


class OrphanedAssessment(NamedTuple):
    """The key of a stored assessment whose measurement no longer belongs to the child."""

    child_id: str
    measured_on: str
    source: str


def load(session: Session, hub: AppContext, child_ids: Sequence[str], pending: PendingRows) -> Timelines:
    """Load the children's merged measurements, and the candidates of those in conflict.

    Parameters
    ----------
    child_ids : sorted; whole groups of linked children
    pending : rows that take the place of stored ones
    """
    children = read_children(session, hub, child_ids, pending)
    rows = read_measurements(session, hub, child_ids, pending)
    removed = [row for row in rows if row[_REMOVED]]
    found = [row for row in rows if not row[_REMOVED]] if removed else rows
    removed = [row for row in removed if row.inputs is not None]
    if pending.regrouped or any(child.person_id != child.id for child in children):
        return _linked_timelines(session, hub, children, found, pending)
    return _timelines(session, hub, children, found, removed, pending)


# -- linked children ------------------------------------------------------------------------------


def _linked_timelines(
    session: Session, hub: AppContext, children: Sequence[Any], found: Sequence[Any], pending: PendingRows
) -> Timelines:
    """Build one timeline for each group of linked children."""
    by_id = {child.id: child for child in children}
    shared: dict[tuple[str, str, str], list[Origin]] = {}
    for row in found:
        owner = by_id[row.child_id]
        shared.setdefault((owner.person_id, row.measured_on, row.source), []).append((owner, row))
    keys = sorted(shared)
    stored = read_stored_inputs(session, hub, list(by_id))
    several = {_key(row) for origins in shared.values() if len(origins) > 1 for _, row in origins}
    states = read_states(session, hub, several, pending)
    rows = [
        _one_measurement(hub, shared[key], states)._replace(child_id=key[0], inputs=stored.get(key))
        for key in keys
    ]
    orphaned = [OrphanedAssessment(*key) for key in sorted(stored.keys() - shared.keys())]
    groups: dict[str, list[Any]] = {}
    for child in children:
        groups.setdefault(child.person_id, []).append(child)
    persons = [_person(by_id[person_id], groups[person_id]) for person_id in sorted(groups)]
    origins = {number: shared[key] for number, key in enumerate(keys)}
    timelines = _timelines(session, hub, persons, rows, orphaned, pending, origins)
    members = {child.id: timelines.members[child.person_id] for child in children}
    return replace(timelines, members=members, regrouped=pending.regrouped)


def _one_measurement(hub: AppContext, origins: Sequence[Origin], states: States) -> MeasurementFacts:
    """Join the measurements that several children of one person have of the same day and source."""
    first = MeasurementFacts(*origins[0][1])
    if len(origins) == 1:
        return first
    live = _live_values(hub, origins, states)
    differing = sorted(register for register, values in live.items() if len(values) > 1)
    marks = {mark for _, row in origins for mark in row.conflicts.split()} & {"removed", "incomplete"}
    weight_g, oedema, length_mm, position, muac_mm, head_mm = measured_combinations(live)[0]
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


def _person(canonical: Any, group: Sequence[Any]) -> ChildFacts:
    """Return the facts of a person: the canonical record's own, with the conflicts of all its group but "identity", and the
    earliest `first_seen_at`."""
    marks = dict.fromkeys(canonical.conflicts.split())
    for child in group:
        marks |= {mark: None for mark in child.conflicts.split() if mark != "identity"}
    return ChildFacts(*canonical)._replace(
        conflicts=" ".join(marks), first_seen_at=min(child.first_seen_at for child in group)
    )


# -- arrays ---------------------------------------------------------------------------------------


def _timelines(
    session: Session,
    hub: AppContext,
    children: Sequence[Any],
    found: Sequence[Any],
    removed: Sequence[Any],
    pending: PendingRows,
    origins: Mapping[int, Sequence[Origin]] | None = None,
) -> Timelines:
    """Build the arrays, one element for each candidate."""
    index = {row.id: number for number, row in enumerate(children)}
    columns = _columns(found)
    rows = Rows(
        np.array([index[child_id] for child_id in columns.child_id], np.int64),
        np.array(columns.measured_on, "datetime64[D]"),
        columns.source,
        columns.conflicts,
        columns.inputs,
        np.array(columns.clock_days, np.int64),
    )
    several = _candidates(session, hub, children, rows, found, pending, origins or {})
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
        weight_g=numbers(columns.weight_g)[measurement],
        oedema=has_oedema(columns.oedema)[measurement],
        length_mm=numbers(columns.length_mm)[measurement],
        position=position_codes(columns.length_position)[measurement],
        muac_mm=numbers(columns.muac_mm)[measurement],
        head_mm=numbers(columns.head_mm)[measurement],
        members=index,
    )
    for number, candidates in several.items():
        start = int(measurement.searchsorted(number))
        put_candidates(timelines, slice(start, start + len(candidates)), candidates)
    return timelines


def _columns(found: Sequence[Any]) -> Any:
    """Return the columns of measurements, each under its name in MeasurementFacts."""
    columns = zip(*found, strict=True) if found else [()] * len(MeasurementFacts._fields)
    return MeasurementFacts._make(columns)


def _candidates(
    session: Session,
    hub: AppContext,
    children: Sequence[Any],
    rows: Rows,
    found: Sequence[Any],
    pending: PendingRows,
    origins: Mapping[int, Sequence[Origin]],
) -> dict[int, list[Candidate]]:
    """Return the candidates of each measurement with a conflict of its own or of its child's identity, by row."""
    identities = {
        number: _live_identities(hub, child)
        for number, child in enumerate(children)
        if "identity" in child.conflicts
    }
    disputed = {
        number: origins.get(number, [(children[rows.child[number]], found[number])])
        for number, marks in enumerate(rows.conflicts)
        if marks
    }
    wanted = {_key(row) for shared in disputed.values() for _, row in shared}
    states = read_states(session, hub, wanted, pending) if wanted else {}
    several = {}
    for number, child_number in enumerate(rows.child.tolist()):
        if rows.conflicts[number] or child_number in identities:
            child, f = children[child_number], found[number]
            values = [(f.weight_g, f.oedema, f.length_mm, f.length_position, f.muac_mm, f.head_mm)]
            if number in disputed:
                values = measured_combinations(_live_values(hub, disputed[number], states))
            whose = identities.get(child_number, [(child.sex, child.born_on)])
            several[number] = [
                (*who, *value) for who, value in combine([whose[:MOST_CANDIDATES], values[:MOST_CANDIDATES]])
            ]
    return several


def _live_identities(hub: AppContext, child: Any) -> list[tuple[str | None, date | None]]:
    """Return every live (sex, birth date) of a child whose identity is in conflict."""
    key = hub.vault.child_key(child.id, child.wrapped_key, child.key_version)
    wire = orjson.loads(ledger.read_child(hub.district, child.id, child.state, key))
    state = RecordState.from_wire("child", child.id, {}, wire)
    candidates = {(s.value.get("sex"), s.value.get("born_on")) for s in state.registers["identity"]}
    ordered = sorted(candidates, key=lambda c: (c[0] or "", c[1] or ""))
    return [(sex, date.fromisoformat(born_on) if born_on else None) for sex, born_on in ordered]


def _key(row: Any) -> tuple[str, str, str]:
    """Return what names a measurement's row."""
    return row.child_id, row.measured_on, row.source


def _live_values(
    hub: AppContext, origins: Sequence[Origin], states: States
) -> dict[str, list[Mapping[str, Any]]]:
    """Return the live values of one or several stored measurements together, by register, each value once."""
    live: dict[str, dict[bytes, Mapping[str, Any]]] = {}
    for child, found in origins:
        stored = states[_key(found)]
        key = hub.vault.child_key(child.id, child.wrapped_key, child.key_version)
        record_id = measurement_id(found.child_id, found.measured_on, found.source)
        wire = orjson.loads(ledger.read_measurement(hub.district, record_id, stored, key))
        state = RecordState.from_wire("measurement", record_id, {}, wire)
        for register, siblings in state.registers.items():
            live.setdefault(register, {}).update((canonical(s.value), s.value) for s in siblings)
    return {register: list(values.values()) for register, values in live.items()}
