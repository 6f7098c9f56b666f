"""A child's measurements as its page shows them: every live value with who recorded it, every candidate scored.

Scores and statuses come from the same functions that flag children, on the same inputs, so page and queue cannot disagree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from server.children import ledger
from server.children.assessment import INDICES, Gains, PendingRows, Timelines, gains, load, score
from server.children.ledger import Subject
from server.context import AppContext
from server.database.models import Measurement
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
from server.review.child.history import Recorded, Value, values_of
from sync_protocol import Dot, RecordState, measurement_id

FREE_TEXT: Final = frozenset({"note", "extra", "removed"})
"""Registers of free text, which may contain names."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One index: z in SD, or None with the reason (a name of growth's `Reason`, lower case), and its status code if any."""

    z: float | None
    reason: str | None
    status: str | None
    implausible: bool

    @property
    def sentence(self) -> str | None:
        """Give the key of its sentence in `growth.status.SENTENCES`: "oedema" if the status is due to oedema."""
        return "oedema" if self.status and self.reason == "oedema" else self.status


@dataclass(frozen=True, slots=True)
class ScoredCandidate:
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
    """N, T, O or B of a weighing (None if it has none), the gain in grams, and the reason for the code."""

    code: str | None
    gain_g: int | None
    reason: str
    two_t: bool


@dataclass(frozen=True, slots=True)
class Visit:
    """A measurement of one day and source ("cadre", or "staff" for a second measurement); no candidates if removed."""

    measured_on: date
    source: str
    removed: bool
    age_months: int | None
    values: Mapping[str, tuple[Value, ...]]
    candidates: tuple[ScoredCandidate, ...]
    gain: MonthlyGain | None

    @property
    def recorded(self) -> tuple[Recorded, ...]:
        """Give everybody who recorded a value that is still live, in order of their tablets' clocks."""
        several = {by for values in self.values.values() for value in values for by in value.recorded}
        return tuple(sorted(several, key=lambda by: (by.recorded_at, by.author, by.tablet_name or "")))


def measured(
    session: Session,
    hub: AppContext,
    subjects: Mapping[str, Subject],
    recorded: Mapping[Dot, Recorded],
    *,
    shows_names: bool,
) -> tuple[Visit, ...]:
    """Load the visits of one person, newest first: measurements of linked records on one day by one source are one visit.

    Parameters
    ----------
    subjects : the person's records, by child id
    recorded : who made each change of any of them
    shows_names : False leaves out free text, which may contain names
    """
    group = sorted(subjects)
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
    derived = assessed(load(session, hub, group, PendingRows()))
    visits: dict[tuple[date, str, bool], Visit] = {}
    for row in rows:
        if row.sealed and subjects[row.child_id].wrapped_key is None:
            continue  # the child was erased
        record_id = measurement_id(row.child_id, row.measured_on.isoformat(), row.source)
        wire = orjson.loads(ledger.read_measurement(hub.district, record_id, row, subjects[row.child_id].key))
        state = RecordState.from_wire("measurement", record_id, {}, wire)
        values = values_of(state, recorded)
        if not shows_names:
            values = {name: value for name, value in values.items() if name not in FREE_TEXT}
        removed, unscored = bool(row.removed), ((), None, None)
        scored = unscored if removed else derived.get((row.measured_on, row.source), unscored)
        candidates, gain, months = scored
        key = (row.measured_on, row.source, removed)
        if key in visits:
            values = _join(visits[key].values, values)
        visits[key] = Visit(row.measured_on, row.source, removed, months, values, candidates, gain)
    return tuple(visits.values())


def _join(
    first: Mapping[str, tuple[Value, ...]], second: Mapping[str, tuple[Value, ...]]
) -> dict[str, tuple[Value, ...]]:
    """Join the values of two records of one visit: equal values become one, recorded by both."""
    joined = dict(first)
    for register, values in second.items():
        known = list(joined.get(register, ()))
        for value in values:
            same = next((n for n, each in enumerate(known) if each.fields == value.fields), None)
            if same is None:
                known.append(value)
            else:
                known[same] = Value(value.fields, (*known[same].recorded, *value.recorded))
        joined[register] = tuple(known)
    return joined


_Assessed = tuple[tuple[ScoredCandidate, ...], MonthlyGain, int | None]


def assessed(timelines: Timelines) -> dict[tuple[date, str], _Assessed]:
    """Score every candidate by measurement: (candidates, gain, age in months).

    It uses the functions and inputs that make the stored assessments, and does not read these: an older version of the
    scoring may have written them.
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
    """Give status codes by index ("muac" for the arm circumference) and candidate."""
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
) -> ScoredCandidate:
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
    return ScoredCandidate(
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
