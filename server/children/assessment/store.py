"""Compares what was derived with what is stored, and collects the rows that differ in `Writes`.

- An assessment is written only where the hash of its inputs differs from the stored one. ENGINE is an input: another version
  of the rules makes every assessment anew.
- A flag keeps the date on which it was first raised, also when it passes to another record of the same person.
- Where the candidates of a measurement differ in a score, that score is None with reason `conflict`, and every candidate is
  stored beside it.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson
from sqlalchemy.orm import Session

from server.children import review_queue
from server.children.assessment.queries import PendingRows, read_flags
from server.children.assessment.scoring import Gains
from server.children.assessment.timeline import INDICES, UNKNOWN, Integers, Timelines, first_candidates
from server.children.flags import RULES, Finding
from server.crypto.vault import sha256
from server.database.models import Assessment, Flag, table
from server.database.writes import Writes
from server.growth import ENGINE_VERSION, KBM_VERSION
from server.growth.weight_gain import CODE_NAMES, NO_GAIN, GainReason
from server.growth.zscores import Reason, ZScores

ENGINE: Final = f"{ENGINE_VERSION} {KBM_VERSION} flags-3"
_ENGINE_BITS: Final = int.from_bytes(sha256(ENGINE.encode())[:8])

REASON_WORDS: Final = {
    int(r): r.name.lower() for r in Reason if r not in (Reason.DEFINED, Reason.VALUE_MISSING)
}
GAIN_WORDS: Final = {
    int(r): r.name.lower() for r in GainReason if r not in (GainReason.COMPARED, GainReason.FIRST_WEIGHING)
}


# -- assessments ----------------------------------------------------------------------------------


def inputs_hash(timelines: Timelines, gain: Gains) -> Integers:
    """Hash what each measurement's assessment depends on: the engine, its candidates in order, and its weight gain.

    Returns
    -------
    array of int64, shape (measurements,) : 64 bits that change with any input; neither secret nor a signature
    """
    columns = (
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
    hashes = _hash_rows(columns)
    starts = first_candidates(timelines.measurement, len(timelines.rows))
    # candidates are ordered: each counts by its place, so that swapping two changes the hash
    place = np.arange(len(hashes), dtype=np.uint64) - np.repeat(
        starts, np.diff([*starts, len(hashes)])
    ).astype(np.uint64)
    weighted = hashes * (place * np.uint64(2) + np.uint64(1))
    joined = np.add.reduceat(weighted, starts) if len(starts) else hashes
    by_measurement = (
        joined.view(np.int64),
        gain.code.astype(np.int64),
        gain.gain_g,
        gain.two_t.astype(np.int64),
    )
    return _hash_rows(by_measurement, _ENGINE_BITS).view(np.int64)


def _hash_rows(columns: Sequence[Integers], start: int = 0) -> npt.NDArray[np.uint64]:
    """Hash each row of some columns to 64 bits (the finalizer of SplitMix64, Steele, Lea and Flood 2014)."""
    value = np.full(len(columns[0]), start, np.uint64)
    for column in columns:
        value = (value ^ column.view(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        value ^= value >> np.uint64(31)
    return value


def assessment_rows(
    district: str, timelines: Timelines, scores: ZScores, gain: Gains
) -> list[dict[str, Any]]:
    """Return the row of `assessment` of every measurement, whatever is stored."""
    every = list(range(len(timelines.rows)))
    hashes = inputs_hash(timelines, gain).tolist() if every else []
    return _assessment_rows(district, timelines, scores, gain, every, hashes) if every else []


def save_assessments(
    writes: Writes, district: str, timelines: Timelines, scores: ZScores, gain: Gains
) -> None:
    """Add the assessments that differ from the stored ones, and the removal of those without a measurement."""
    hashes, stored = inputs_hash(timelines, gain).tolist(), timelines.rows.inputs
    changed = [number for number, was in enumerate(stored) if was != hashes[number]]
    rows = _assessment_rows(district, timelines, scores, gain, changed, hashes)
    new = [row for number, row in zip(changed, rows, strict=True) if stored[number] is None]
    again = [row for number, row in zip(changed, rows, strict=True) if stored[number] is not None]
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


def _assessment_rows(
    district: str,
    timelines: Timelines,
    scores: ZScores,
    gain: Gains,
    changed: Sequence[int],
    hashes: Sequence[int],
) -> list[dict[str, Any]]:
    """Return the rows of `assessment` of some measurements."""
    measured = timelines.rows
    starts = first_candidates(timelines.measurement, len(measured))
    ends = np.append(starts[1:], len(timelines.measurement))
    lows, highs = starts[changed], ends[changed]
    spans = zip(lows.tolist(), highs.tolist(), strict=True)
    ages = scores.age_days[lows].tolist()
    codes, gained, why, disputed = (
        column[changed].tolist() for column in (gain.code, gain.gain_g, gain.reason, gain.disputed)
    )
    rows = []
    scored = zip(changed, spans, *_scores_and_reasons(scores, lows, highs), strict=True)
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
                "child_id": timelines.child_ids[measured.child[number]],
                "measured_on": measured.day(number),
                "source": measured.source[number],
                "age_days": None if ages[place] != ages[place] else int(ages[place]),
                **dict(zip(INDICES, z, strict=True)),
                "gain_code": CODE_NAMES[codes[place]] or None,
                "gain_g": None if gain_g == NO_GAIN else gain_g,
                "reasons": orjson.dumps(reasons).decode() if reasons else None,
                "candidates": _candidates_json(timelines, scores, low, high) if high - low > 1 else None,
                "inputs": hashes[number],
                "engine": ENGINE,
            }
        )
    return rows


def _scores_and_reasons(
    scores: ZScores, lows: Integers, highs: Integers
) -> tuple[list[tuple[float | None, ...]], list[tuple[str | None, ...]]]:
    """Return by measurement the score of each index, and a word for each that is in conflict, or undefined for another
    reason than a missing value.

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


def _candidates_json(timelines: Timelines, scores: ZScores, low: int, high: int) -> str:
    """Return every candidate of a measurement with its scores, as JSON."""
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


# -- flags and review queue -----------------------------------------------------------------------


FlagKey = tuple[str, str, str]
"""A child, a rule and a subject."""


def flag_details(timelines: Timelines, found: Sequence[Finding]) -> dict[FlagKey, str]:
    """Return the details (JSON) of the flags that apply."""
    return {
        (timelines.child_ids[f.child], f.rule, f.subject): orjson.dumps(f.details).decode() for f in found
    }


def flag_row(district: str, key: FlagKey, details: str) -> dict[str, Any]:
    """Return the row of a flag, but for when it was raised."""
    child_id, rule, subject = key
    return {
        "district": district,
        "child_id": child_id,
        "rule": rule,
        "subject": subject,
        "urgency": RULES[rule].urgency,
        "details": details,
    }


def save_flags(
    session: Session,
    writes: Writes,
    district: str,
    timelines: Timelines,
    found: Sequence[Finding],
    now: datetime,
) -> Mapping[FlagKey, str]:
    """Add the flags that are new or changed, and the removal of those that no longer apply.

    Returns
    -------
    details (JSON) of all flags that now apply, by child, rule and subject
    """
    wanted = flag_details(timelines, found)
    held = read_flags(session, district, list(timelines.members))
    # the date of a flag that passes to another record of the same person
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
        known, raised_at = held.get(key, (None, since.get(key[1:], now)))
        if known != details:
            row = {**flag_row(district, key, details), "raised_at": raised_at}
            (changed if key in held else new).append(row)
    writes.insert(table(Flag), new)
    writes.upsert(table(Flag), changed)
    return wanted


def save_queue(
    session: Session,
    writes: Writes,
    district: str,
    timelines: Timelines,
    flags: Mapping[FlagKey, str],
    pending: PendingRows,
) -> None:
    """Give each person's flags to the review queue, which adds its own rows.

    Parameters
    ----------
    flags : as `save_flags` returns them
    """
    persons, members = _queue_persons(timelines, flags), _queue_members(timelines)
    review_queue.derive(session, writes, district, persons, members, pending.follow_ups)


def queue_rows(
    session: Session, district: str, timelines: Timelines, flags: Mapping[FlagKey, str]
) -> list[dict[str, Any]]:
    """Return every row of the review queue of these children, whatever is stored."""
    wanted = review_queue.wanted(
        session, district, _queue_persons(timelines, flags), _queue_members(timelines), {}
    )
    return [review_queue.as_row(district, row) for row in wanted.values()]


def _queue_members(timelines: Timelines) -> dict[str, str]:
    """Return the canonical id of every child that was loaded."""
    return {member: timelines.child_ids[place] for member, place in timelines.members.items()}


def _queue_persons(timelines: Timelines, flags: Mapping[FlagKey, str]) -> dict[str, review_queue.QueuePerson]:
    ids = timelines.child_ids
    raised: dict[str, list[review_queue.Raised]] = {child_id: [] for child_id in ids}
    for (child_id, rule, subject), details in flags.items():
        raised[child_id].append(review_queue.Raised(rule, subject, details))
    return {
        child_id: review_queue.QueuePerson(child.post_id, child.born_on, raised[child_id])
        for child_id, child in zip(ids, timelines.children, strict=True)
        if not child.removed
    }
