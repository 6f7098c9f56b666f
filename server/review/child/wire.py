"""A child's page as JSON: codes and values, and beside each code its text in both languages."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from server.children.flags import RULES
from server.children.labels import LABELS, SCREENING_NOTE, SENTENCES
from server.review import follow_ups
from server.review.child.confirmation import Confirmation, Run
from server.review.child.courses import Course
from server.review.child.history import Recorded, Value
from server.review.child.timeline import Event
from server.review.child.view import ChildView
from server.review.child.visits import Scored, ScoredCandidate, Visit
from server.review.scope import RaisedFlag
from server.translations import Text


def child_json(view: ChildView) -> dict[str, Any]:
    """Write a child as the answer of `GET /api/v1/children/<id>`: all that the page shows except the timeline."""
    return {
        "id": view.child_id,
        "name": view.name,
        "sex": view.sex,
        "born_on": _day(view.born_on),
        "age_months": view.age_months,
        "post": {"id": view.post_id, "name": view.post_name},
        "health_centre": view.health_centre_name,
        "registered": view.registered,
        "removed": view.removed,
        "linked": list(view.linked),
        "urgency": view.urgency,
        "flags": [_flag(raised) for raised in view.flags],
        "conflicts": list(view.conflicts),
        "confirmations": {index: _confirmation(found) for index, found in view.confirmations.items()},
        "low_since": {index: _run(found) for index, found in view.runs.items()},
        "record": {register: _values(values) for register, values in view.values.items()},
        "villages": dict(view.villages),
        "at_birth": list(view.at_birth),
        "consent_recorded": bool(view.values.get("consent")),
        "pmt": [_course(course) for course in view.courses],
        "follow_ups": [work.wire() for work in view.work],
        "measurements": [_visit(visit) for visit in view.visits],
        "screening_note": SCREENING_NOTE.wire(),
    }


def timeline_json(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Write events as the answer of `GET /api/v1/children/<id>/timeline`."""
    return [_event(event) for event in events]


def _flag(raised: RaisedFlag) -> dict[str, Any]:
    known = RULES.get(raised.rule)
    return {
        "rule": raised.rule,
        "urgency": raised.urgency,
        "subject": raised.subject,
        "details": dict(raised.details),
        "raised_at": _moment(raised.raised_at),
        **_maybe(known.text if known else None),
    }


def _confirmation(found: Confirmation) -> dict[str, Any]:
    return {
        "state": found.state,
        "confirmed": {"confirmed": True, "cleared": False}.get(found.state),
        "indicated_on": _day(found.indicated_on),
        "measured_on": _day(found.measured_on),
        "z": found.z,
        "severe": found.severe,
        "indicated_again": found.again,
    }


def _run(found: Run) -> dict[str, Any]:
    return {"since": found.since.isoformat(), "measurements": found.times}


def _values(values: Sequence[Value]) -> list[dict[str, Any]]:
    return [
        {"value": dict(value.fields), "recorded": [_recorded(by) for by in value.recorded]}
        for value in values
    ]


def _recorded(by: Recorded) -> dict[str, Any]:
    return {
        "author": by.author,
        "name": by.name,
        "tablet": by.tablet_name,
        "recorded_at": _moment(by.recorded_at),
        "received_at": _moment(by.received_at),
    }


def _course(course: Course) -> dict[str, Any]:
    return {
        "task": course.task,
        "reason": course.reason,
        "funds": course.funds,
        "ends_on": _day(course.ends_on),
        "weeks": course.weeks,
        "checked": course.checked,
        "days_eaten": course.days_eaten,
        "days_asked": course.days_asked,
        "open": course.open,
        "outcomes": [{"outcome": code, **_maybe(follow_ups.OUTCOMES.get(code))} for code in course.outcomes],
        "ended_on": _day(course.ended_on),
    }


def _visit(visit: Visit) -> dict[str, Any]:
    gain = visit.gain
    return {
        "measured_on": visit.measured_on.isoformat(),
        "source": visit.source,
        "removed": visit.removed,
        "age_months": visit.age_months,
        "values": {register: _values(values) for register, values in visit.values.items()},
        "candidates": [_candidate(candidate) for candidate in visit.candidates],
        "gain": {"code": gain.code, "gain_g": gain.gain_g, "reason": gain.reason, "two_t": gain.two_t}
        if gain
        else None,
    }


def _candidate(candidate: ScoredCandidate) -> dict[str, Any]:
    return {
        "weight_g": candidate.weight_g,
        "length_mm": candidate.length_mm,
        "muac_mm": candidate.muac_mm,
        "head_mm": candidate.head_mm,
        "oedema": candidate.oedema,
        "age_days": candidate.age_days,
        "length_cm": candidate.length_cm,
        "bmi": candidate.bmi,
        "scores": {index: _scored(index, scored) for index, scored in candidate.scores.items()},
        "muac_status": _status("muac", candidate.muac_status, candidate.muac_status),
    }


def _scored(index: str, scored: Scored) -> dict[str, Any]:
    return {
        "z": scored.z,
        "reason": scored.reason,
        "implausible": scored.implausible,
        "status": _status(index, scored.status, scored.sentence),
    }


def _status(index: str, code: str | None, sentence: str | None) -> dict[str, Any] | None:
    if code is None:
        return None
    text = SENTENCES.get(index, {}).get(sentence or "")
    return {"code": code, **LABELS[code].wire(), "sentence": text.wire() if text else None}


def _event(event: Event) -> dict[str, Any]:
    return {
        "kind": event.kind,
        "what": event.what,
        "at": _moment(event.at),
        "by": event.by,
        "told_at": _moment(event.told_at) if event.told_at else None,
        "tablet": event.tablet,
        "outcome": event.outcome,
        "child": event.child_id or None,
        "values": {name: None if value is None else dict(value) for name, value in event.values.items()},
        "standing": sorted(event.standing),
        "measured_on": _day(event.measured_on),
        "source": event.source,
        "deed": event.deed,
        "reason": event.reason,
        "details": {name: _plain(value) for name, value in event.details.items()},
    }


def _plain(value: Any) -> Any:
    return _moment(value) if isinstance(value, datetime) else value


def _maybe(text: Text | None) -> Mapping[str, str | None]:
    return text.wire() if text else {"id": None, "en": None}


def _day(value: date | None) -> str | None:
    return value.isoformat() if value else None


def _moment(value: datetime) -> str:
    return value.isoformat(timespec="seconds")
