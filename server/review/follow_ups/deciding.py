"""Plan, answer and close: each decision is checked and written as changes by the hub."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas.words import reason
from server.children import review_queue
from server.context import AppContext
from server.database.models import Flag
from server.errors import Problem
from server.review.follow_ups.loading import find, work_of
from server.review.follow_ups.model import CLOSINGS, FITTING, OUTCOMES, PLANNED, Decided, DecidedChild, Work
from server.review.follow_ups.registers import (
    invalid,
    missing_or,
    note_register,
    read_day,
    read_vector,
    result_register,
    shown_context,
    task_id,
    task_register,
)
from server.review.scope import Scope
from server.sync import server_edits
from server.sync.server_edits import Edit
from sync_protocol import Json, VersionVector, follow_up_id

GROWTH: Final = frozenset(
    {
        *("oedema", "severely_wasted", "wasted", "muac_severe", "muac_moderate"),
        *("below_red_line", "underweight", "severely_stunted", "stunted"),
        *("muac_for_age_severe", "muac_for_age_moderate"),
        *("head_very_large", "head_very_small", "head_large", "head_small"),
    }
)
"""Growth flags, which a second measurement confirms or clears."""

MOST_WEEKS: Final = 26


def take(
    session: Session,
    hub: AppContext,
    scope: Scope,
    child_id: str,
    request: Json,
    *,
    author: str,
    now: datetime,
) -> Decided:
    """Take charge of a child, or give somebody charge of it.

    Parameters
    ----------
    request : `task` (UUID, made with the form), `assigned_to` (left out: the author), `due_on`, `reason`, `note`
    """
    request = {"assigned_to": author, **request, "action": review_queue.TAKE}
    return _plan_task(session, hub, scope, child_id, request, author=author, now=now)


def plan(
    session: Session,
    hub: AppContext,
    scope: Scope,
    child_id: str,
    request: Json,
    *,
    author: str,
    now: datetime,
) -> Decided:
    """Plan a task for a child.

    Parameters
    ----------
    request : `task` (UUID), `action` (of PLANNED), `due_on`, `assigned_to` (an account, "cadre" or null), `reason`, `note`

    Raises
    ------
    Problem
        `record-unknown`, or `change-invalid` with every reason.
    """
    action = request.get("action")
    if action not in PLANNED:
        raise invalid(reason("action", missing_or(action), action, ", ".join(PLANNED)))
    return _plan_task(session, hub, scope, child_id, request, author=author, now=now)


def _plan_task(
    session: Session,
    hub: AppContext,
    scope: Scope,
    child_id: str,
    request: Json,
    *,
    author: str,
    now: datetime,
) -> Decided:
    subject = find(session, hub, scope, child_id)
    task = task_id(request)
    edit = Edit.of_follow_up(child_id, task, {"task": task_register(request)} | note_register(request))
    return _save(session, hub, subject, [edit], f"task.{request['action']}", task, author=author, now=now)


def course(
    session: Session,
    hub: AppContext,
    scope: Scope,
    child_id: str,
    request: Json,
    *,
    author: str,
    now: datetime,
) -> Decided:
    """Begin a PMT course: a follow-up for the course and one for each week's check.

    Parameters
    ----------
    request : `task` (UUID), `starts_on` (ISO date), `weeks` (1 to 26), `reason` (the flag it is for), `funds`,
        `assigned_to`, `note`
    """
    subject = find(session, hub, scope, child_id)
    task, weeks = task_id(request), request.get("weeks")
    if not isinstance(weeks, int) or isinstance(weeks, bool) or not 1 <= weeks <= MOST_WEEKS:
        raise invalid(reason("weeks", missing_or(weeks, "out-of-range"), weeks, "1", str(MOST_WEEKS)))
    starts_on = read_day(request.get("starts_on"), "starts_on")
    ends = [(starts_on + timedelta(days=7 * n - 1)).isoformat() for n in range(1, weeks + 1)]
    whole = {**request, "action": "pmt", "due_on": ends[-1]}
    edits = [Edit.of_follow_up(child_id, task, {"task": task_register(whole)} | note_register(request))]
    for week, due_on in enumerate(ends, 1):
        each = {**request, "action": "pmt_week", "due_on": due_on, "course": task, "week": week}
        week_id = _week_id(task, week)
        edits.append(Edit.of_follow_up(child_id, week_id, {"task": task_register(each)}))
    return _save(session, hub, subject, edits, "task.pmt", task, author=author, now=now)


def _week_id(task: str, week: int) -> str:
    """Make the id of a week of a course; it is the same if the form is sent again."""
    return follow_up_id(task, f"week/{week}")


def answer(
    session: Session,
    hub: AppContext,
    scope: Scope,
    child_id: str,
    task: str,
    request: Json,
    *,
    author: str,
    now: datetime,
) -> Decided:
    """Report the result of a task. If it ends a course, the course's open weeks end too.

    Parameters
    ----------
    request : `outcome` (of FITTING for the action, or "cancelled"), `done_on` (left out: today), `days_eaten` (of a PMT
        week), `note`, and `context` as the task was shown

    Raises
    ------
    Problem
        `record-unknown`; `change-invalid` with every reason: an outcome that does not fit the action, a future date, a
        context that was not shown here.
    """
    subject = find(session, hub, scope, child_id)
    shown = work_of(session, hub, scope, subject.group)
    found = next((work for work in shown if work.task == task), None)
    if found is None:
        raise Problem("record-unknown")
    outcome, fitting = request.get("outcome"), (*FITTING.get(found.action, OUTCOMES), "cancelled")
    if outcome not in fitting:
        raise invalid(reason("outcome", missing_or(outcome), outcome, ", ".join(fitting)))
    context = shown_context(request, session, hub, found)
    edits = [
        Edit.of_follow_up(
            found.child_id,
            task,
            {"result": result_register(request, hub, now)} | note_register(request),
            context,
        )
    ]
    edits += _end_course(found, shown, str(outcome), result_register(request, hub, now))
    return _save(session, hub, subject, edits, "task.answered", task, author=author, now=now)


def _end_course(found: Work, shown: Sequence[Work], outcome: str, result: Json) -> list[Edit]:
    """End what belongs to a course that ends: its open weeks; if a week's result ended it, the course itself too."""
    if outcome not in ("finished", "to_hospital", "cancelled"):
        return []
    if found.action not in ("pmt", "pmt_week") or (found.action == "pmt_week" and outcome == "cancelled"):
        return []
    whole = found.task if found.action == "pmt" else found.course
    edits = []
    for work in shown:
        if not work.open or work.task == found.task or whole not in (work.task, work.course):
            continue
        ended = {"done_on": result["done_on"], "outcome": outcome if work.action == "pmt" else "cancelled"}
        seen = VersionVector.from_wire(orjson.loads(work.context))
        edits.append(Edit.of_follow_up(work.child_id, work.task, {"result": ended}, seen))
    return edits


def close(
    session: Session,
    hub: AppContext,
    scope: Scope,
    child_id: str,
    request: Json,
    *,
    author: str,
    now: datetime,
) -> Decided:
    """Close a child's case with a reason. It ends every charge of it; the flags that were shown no longer need attention.

    Parameters
    ----------
    request : `task` (UUID, used if nobody has charge), `outcome` (of CLOSINGS), `covers` (the flags that were shown, as
        `review_queue.flag_seen` names them), `contexts` (by task, of each charge that was shown open), `note`
    """
    subject = find(session, hub, scope, child_id)
    outcome = request.get("outcome")
    if outcome not in CLOSINGS:
        raise invalid(reason("outcome", missing_or(outcome), outcome, ", ".join(CLOSINGS)))
    covers = request.get("covers")
    if not isinstance(covers, list):
        raise invalid(reason("covers", missing_or(covers, "not-list"), None))
    result = {**result_register(request, hub, now), "covers": covers}
    contexts = request.get("contexts", {})
    if not isinstance(contexts, Mapping):
        raise invalid(reason("contexts", "not-object", None))
    shown = {work.task: work for work in work_of(session, hub, scope, subject.group)}
    edits = []
    for task, context in contexts.items():
        if task not in shown or shown[task].action != review_queue.TAKE:
            raise Problem("record-unknown")
        seen = shown_context({"context": context}, session, hub, shown[task])
        edits.append(
            Edit.of_follow_up(shown[task].child_id, task, {"result": result} | note_register(request), seen)
        )
    task = next(iter(contexts), None) or task_id(request)
    if not edits:
        taken = {"action": review_queue.TAKE, "assigned_to": author}
        registers = {"task": task_register(taken), "result": result} | note_register(request)
        edits.append(Edit.of_follow_up(child_id, task, registers))
    details = {"outcome": outcome, "flags": len(covers)}
    return _save(session, hub, subject, edits, "case.closed", task, author=author, now=now, details=details)


def remeasure(
    session: Session,
    hub: AppContext,
    scope: Scope,
    child_id: str,
    request: Json,
    *,
    author: str,
    now: datetime,
) -> Decided:
    """Record a measurement by the health centre: it confirms or clears the flags of the cadre's measurements, and answers
    every open task to measure again.

    Parameters
    ----------
    request : `measured_on` (ISO date), `set` (registers of a measurement), `context` (of the staff's measurement of that
        day, as shown; left out if there was none), `note`

    Returns
    -------
    Decided : `found` is "confirmed" if growth flags remain, "cleared" if none remain, "done" if there were none before
    """
    subject = find(session, hub, scope, child_id)
    measured_on = read_day(request.get("measured_on"), "measured_on").isoformat()
    registers = request.get("set")
    if not isinstance(registers, Mapping) or not registers:
        raise invalid(reason("set", "missing", None))
    before = _growth_flags(session, hub, subject.person_id)
    seen = read_vector(request.get("context"))
    note = note_register(request)
    edit = Edit.of_measurement(child_id, measured_on, "staff", {**registers, **note}, seen)
    details = {"day": measured_on}
    (measured,) = server_edits.write(
        session, hub, [edit], "child.remeasured", author=author, now=now, details=details
    )
    after = _growth_flags(session, hub, subject.person_id)
    found = "done" if not before else "confirmed" if after else "cleared"
    result = {"done_on": measured_on, "outcome": found if before else "cleared"}
    edits = [
        Edit.of_follow_up(
            work.child_id,
            work.task,
            {"result": result},
            VersionVector.from_wire(orjson.loads(work.context)),
        )
        for work in work_of(session, hub, scope, subject.group)
        if work.open and work.action == "remeasure"
    ]
    written = [measured]
    if edits:
        written += server_edits.write(session, hub, edits, "task.answered", author=author, now=now)
    return Decided(measured_on, tuple(w.dot for w in written), tuple(w.outcome for w in written), found)


def _growth_flags(session: Session, hub: AppContext, person_id: str) -> frozenset[str]:
    """Load the growth flags of a person."""
    rules = session.scalars(
        select(Flag.rule).where(Flag.district == hub.district, Flag.child_id == person_id)
    )
    return GROWTH.intersection(rules)


def _save(
    session: Session,
    hub: AppContext,
    subject: DecidedChild,
    edits: Sequence[Edit],
    action: str,
    task: str,
    *,
    author: str,
    now: datetime,
    details: Mapping[str, Any] | None = None,
) -> Decided:
    logged = {"child": subject.child_id, "task": task, **(details or {})}
    written = server_edits.write(session, hub, edits, action, author=author, now=now, details=logged)
    return Decided(task, tuple(w.dot for w in written), tuple(w.outcome for w in written))
