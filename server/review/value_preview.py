"""What each value in conflict would mean: the child's scores, status and gain if it were the true one, and why it is
unlikely compared with the measurements before and after it.

Scored by the same functions that flag children, on the same inputs without the other values, so this preview and the queue
cannot disagree.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

import numpy as np
from sqlalchemy.orm import Session

from server.children import ledger, linked_records
from server.children.assessment import POSITION, SEX, UNKNOWN, PendingRows, Timelines, load, oddities, score
from server.context import AppContext
from server.review.child import MonthlyGain, ScoredCandidate, Visit
from server.review.child.visits import assessed, measured
from server.review.conflicts import Conflict
from sync_protocol import Json

SCORED: Final = frozenset({"weight", "length", "muac", "head", "identity"})
"""Registers on which a score depends."""
_ARRAYS: Final = (
    *("measurement", "child", "sex", "born_on", "measured_on"),
    *("weight_g", "oedema", "length_mm", "position", "muac_mm", "head_mm"),
)
_PARTS: Final = {
    "weight_jumped": "weight_g",
    "length_shrank": "length_mm",
    "length_jumped": "length_mm",
    "head_jumped": "head_mm",
    "copied": "weight_g",
}
"""The value that a rule compares with the measurement before."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a value is unlikely: a rule of `flags` and its details (`index` and `z`; `change_g` or `change_mm`).

    `against`, `against_value`: the day of the measurement that it contradicts, and the value then (g or mm); None if the
    value is unlikely by itself.
    """

    rule: str
    details: Mapping[str, Any]
    against: date | None = None
    against_value: int | None = None


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one value would mean.

    Parameters
    ----------
    visit : the measurement with this value only (for an identity, the child's newest); None if there is no score
    doubts : reasons against the value
    """

    visit: Visit | None
    doubts: tuple[Doubt, ...]

    @property
    def candidates(self) -> tuple[ScoredCandidate, ...]:
        return self.visit.candidates if self.visit else ()

    @property
    def gain(self) -> MonthlyGain | None:
        return self.visit.gain if self.visit else None


@dataclass(frozen=True, slots=True)
class Meanings:
    """By register and value, in the order of the conflict's candidates. `visits` are the person's, newest first; `sex` and
    `born_on` are the child's, None if unknown or in conflict."""

    by_register: Mapping[str, tuple[Meaning, ...]]
    visits: tuple[Visit, ...]
    sex: str | None
    born_on: date | None


def meanings(session: Session, hub: AppContext, shown: Conflict) -> Meanings:
    """Work out what each value in conflict would mean."""
    group = sorted(linked_records.group_of(session, hub.district, [shown.record.child_id]))
    subjects = ledger.subjects(session, hub.vault, hub.district, group)
    visits = measured(session, hub, subjects, {}, shows_names=False)
    timelines = load(session, hub, group, PendingRows())
    row = (subjects[shown.record.child_id].row or {}) if shown.record.child_id in subjects else {}
    found = {
        register: tuple(_meaning(timelines, visits, shown, register, c.value) for c in several)
        for register, several in shown.candidates.items()
        if register in SCORED
    }
    return Meanings(found, visits, row.get("sex"), row.get("born_on"))


def _meaning(
    timelines: Timelines, visits: tuple[Visit, ...], shown: Conflict, register: str, value: Json
) -> Meaning:
    number = _row(timelines, shown)
    if number is None:
        return Meaning(None, ())
    chosen = _matching(timelines, register, value)
    if register != "identity":
        chosen |= timelines.measurement != number
    alone = replace(timelines, **{name: getattr(timelines, name)[chosen] for name in _ARRAYS})
    if len(np.unique(alone.measurement)) < len(timelines.rows):
        return Meaning(None, ())  # the identity of a linked record: the canonical record's is used
    key = timelines.rows.day(number), timelines.rows.source[number]
    candidates, gain, months = assessed(alone)[key]
    visit = next((v for v in visits if (v.measured_on, v.source) == key and not v.removed), None)
    if visit is not None:
        visit = replace(visit, candidates=candidates, gain=gain, age_months=months)
    return Meaning(visit, _doubts(alone, candidates, number))


def _row(timelines: Timelines, shown: Conflict) -> int | None:
    """Find the measurement to score: the one in conflict; for a child's own record, the newest."""
    rows, record = timelines.rows, shown.record
    if record.measured_on is None:
        return len(rows) - 1 if len(rows) else None
    return next(
        (n for n in range(len(rows)) if (rows.day(n), rows.source[n]) == (record.measured_on, record.source)),
        None,
    )


def _matching(timelines: Timelines, register: str, value: Json) -> Any:
    """Select the candidates that have a value."""

    def whole(name: str) -> int:
        given = value.get(name)
        return UNKNOWN if given is None else int(given)

    match register:
        case "weight":
            swollen = value.get("oedema") not in (None, "n")
            return (timelines.weight_g == whole("weight_g")) & (timelines.oedema == swollen)
        case "length":
            position = POSITION[value.get("position")]
            return (timelines.length_mm == whole("length_mm")) & (timelines.position == position)
        case "muac":
            return timelines.muac_mm == whole("muac_mm")
        case "head":
            return timelines.head_mm == whole("head_mm")
    born_on = value.get("born_on")
    born = timelines.born_on == np.datetime64(born_on) if born_on else np.isnat(timelines.born_on)
    return born & (timelines.sex == SEX[value.get("sex")])


def _doubts(alone: Timelines, candidates: tuple[ScoredCandidate, ...], number: int) -> tuple[Doubt, ...]:
    """Check a value against the WHO's plausibility limits, and against the measurements before and after it."""
    beyond = {
        index: scored.z
        for candidate in candidates
        for index, scored in candidate.scores.items()
        if scored.implausible
    }
    found = [Doubt("implausible", {"index": index, "z": z}) for index, z in beyond.items()]
    rows = alone.rows
    theirs = (rows.child == rows.child[number]) & (np.arange(len(rows)) >= number)
    after = {rows.subject(n): n for n in np.flatnonzero(theirs).tolist()}
    for finding in oddities(alone, score(alone), theirs):
        here = after[finding.subject]
        before = _before(alone, here, _PARTS.get(finding.rule))
        if here == number:
            neighbour = before
        elif before == number:
            neighbour = here
        else:
            continue
        found.append(_beside(alone, finding.rule, finding.details, neighbour))
    return tuple(
        sorted(found, key=lambda doubt: doubt.against is None)
    )  # comparisons first: the family can confirm them


def _before(alone: Timelines, row: int, part: str | None) -> int | None:
    """Find the last measurement before a row that has a value of `part`."""
    if part is None:
        return None
    has = getattr(alone, part)[np.searchsorted(alone.measurement, np.arange(len(alone.rows)))] != UNKNOWN
    earlier = np.flatnonzero(has[:row] & (alone.rows.child[:row] == alone.rows.child[row]))
    return int(earlier[-1]) if len(earlier) else None


def _beside(alone: Timelines, rule: str, details: Mapping[str, Any], neighbour: int | None) -> Doubt:
    if neighbour is None:
        return Doubt(rule, details)
    first = int(np.searchsorted(alone.measurement, neighbour))
    value = int(getattr(alone, _PARTS[rule])[first])
    return Doubt(rule, details, alone.rows.day(neighbour), value)
