"""Turn what a form sent into the registers and the context of a change, or refuse it with the reason."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas import Reason
from schemas.strict import FIRST_DAY, LAST_DAY, Day
from schemas.words import reason
from server.context import AppContext
from server.database.ids import UUID_TEXT, new_id
from server.database.models import ChangeRow
from server.errors import Problem
from server.review.follow_ups.model import Work
from sync_protocol import NOTHING_SEEN, TAG_LENGTH, Json, VersionVector, follow_up_id


def task_register(request: Json) -> dict[str, Any]:
    """Make the register `task`; missing values are null, and the schemas check it later."""
    made = {name: request.get(name) for name in ("action", "reason", "due_on", "assigned_to")}
    return made | {
        name: request[name] for name in ("course", "week", "funds") if request.get(name) is not None
    }


def result_register(request: Json, hub: AppContext, now: datetime) -> dict[str, Any]:
    """Make the register `result`; without a date it was done today."""
    made = {
        "done_on": request.get("done_on") or hub.settings.today(now).isoformat(),
        "outcome": request.get("outcome"),
    }
    return made | ({"days_eaten": request["days_eaten"]} if request.get("days_eaten") is not None else {})


def note_register(request: Json) -> dict[str, Any]:
    """Make the register `note` under its name; nothing without a note."""
    return {"note": {"text": request["note"]}} if request.get("note") else {}


def task_id(request: Json) -> str:
    """Give the task's id: the one made with the form, else a new one."""
    given = request.get("task")
    if given is None:
        return new_id()
    if not isinstance(given, str) or not UUID_TEXT.fullmatch(given):
        raise invalid(reason("task", "not-uuid", None))
    return given


def shown_context(request: Json, session: Session, hub: AppContext, work: Work) -> VersionVector:
    """Read the context that was shown; the server must hold every change that it names."""
    seen = read_vector(request.get("context"))
    record_id = follow_up_id(work.child_id, work.task)
    rows = session.execute(
        select(ChangeRow.actor, ChangeRow.counter, ChangeRow.hash).where(
            ChangeRow.district == hub.district,
            ChangeRow.child_id == work.child_id,
            ChangeRow.record_id == record_id,
        )
    )
    tags = {(row.actor, row.counter): row.hash[:TAG_LENGTH] for row in rows}
    if any(tags.get((actor, entry.counter)) != entry.tag for actor, entry in seen.items()):
        raise invalid(reason("context", "not-on-screen", None))
    return seen


def read_vector(given: object) -> VersionVector:
    """Read a context from JSON; None is the empty one."""
    if given is None:
        return NOTHING_SEEN
    try:
        wire = {str(actor): (int(n), str(tag)) for actor, (n, tag) in dict(given).items()}  # type: ignore[call-overload]
        return VersionVector.from_wire(wire)
    except (TypeError, ValueError):
        raise invalid(reason("context", "not-object", None)) from None


def read_day(given: object, name: str) -> date:
    """Read a day within the bounds of `schemas`, so that weeks can be counted from it."""
    text = str(given)
    if not Day.accepts(text):
        raise invalid(reason(name, missing_or(given, "not-date"), None))
    if not FIRST_DAY <= text <= LAST_DAY:
        code, limit = ("date-too-early", FIRST_DAY) if text < FIRST_DAY else ("date-too-late", LAST_DAY)
        raise invalid(reason(name, code, text, limit))
    return date.fromisoformat(text)


def missing_or(given: object, otherwise: str = "not-choice") -> str:
    """Give the code of what is wrong with a value: "missing" if there is none."""
    return "missing" if given in (None, "") else otherwise


def invalid(*reasons: Reason) -> Problem:
    return Problem("change-invalid", reasons=[each.wire() for each in reasons])
