"""Find a child that is decided about, load its follow-ups with their authors, and list who may be assigned."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import orjson
from sqlalchemy import Text, and_, cast, select
from sqlalchemy.orm import Session

from schemas import read_moment
from server import audit
from server.children import ledger, linked_records, review_queue
from server.context import AppContext
from server.database.ids import UUID_TEXT
from server.database.models import Account, ChangeRow, Child, Flag, FollowUp, HealthPost, Tablet
from server.errors import Problem
from server.review.authors import people
from server.review.follow_ups.model import Authorship, DecidedChild, TaskResult, Work
from server.review.scope import Scope, name_of, within
from sync_protocol import Dot, RecordState, follow_up_id


def find(session: Session, hub: AppContext, scope: Scope, child_id: str) -> DecidedChild:
    """Find a child in scope.

    Raises
    ------
    Problem
        `record-unknown`: there is no such child in scope, or it was erased.
    """
    if not UUID_TEXT.fullmatch(child_id):
        raise Problem("record-unknown")
    query = select(Child.id, Child.post_id, Child.person_id).where(
        Child.id == child_id, Child.wrapped_key.is_not(None), within(hub, scope)
    )
    row = session.execute(query).one_or_none()
    if row is None:
        raise Problem("record-unknown")
    return DecidedChild(
        child_id,
        row.post_id,
        row.person_id,
        tuple(linked_records.group_of(session, hub.district, [child_id])),
    )


def child_name(session: Session, hub: AppContext, scope: Scope, child_id: str) -> str | None:
    """Give a child's name for the title of a form; None where it is unknown, or the reader may not see it."""
    if not scope.shows_names:
        return None
    row = session.execute(
        select(Child.id.label("child_id"), Child.state, Child.wrapped_key, Child.key_version).where(
            Child.id == child_id, within(hub, scope)
        )
    ).one()
    return name_of(hub, row)


def work_of(session: Session, hub: AppContext, scope: Scope, child_ids: Sequence[str]) -> tuple[Work, ...]:
    """Load the follow-ups of linked children: open ones by due date, then answered ones, newest first.

    A reader who sees no names gets no notes.
    """
    rows = session.execute(
        select(FollowUp.child_id, FollowUp.task, FollowUp.state, FollowUp.sealed).where(
            FollowUp.district == hub.district, FollowUp.child_id.in_(child_ids), FollowUp.removed.is_(False)
        )
    ).all()
    if not rows:
        return ()
    subjects = ledger.subjects(session, hub.vault, hub.district, sorted({row.child_id for row in rows}))
    states = [
        _read_state(hub, subjects, row) for row in rows if subjects[row.child_id].wrapped_key is not None
    ]
    authors = _authors_of_changes(session, hub, states)
    names = _assignee_names(session, hub, states)
    shown = [_make_work(state, authors, names, scope.shows_names) for state in states]
    open_ = sorted((w for w in shown if w.open), key=lambda w: (w.due_on or date.max, w.task))
    done = sorted(
        (w for w in shown if not w.open), key=lambda w: (w.results[0].done_on, w.task), reverse=True
    )
    return (*open_, *done)


def _read_state(hub: AppContext, subjects: Mapping[str, ledger.Subject], row: Any) -> RecordState:
    key = {"child": row.child_id, "task": row.task}
    record_id = follow_up_id(row.child_id, row.task)
    stored = ledger.read_keyed(hub.district, "follow_up", record_id, row, subjects[row.child_id].key)
    return RecordState.from_wire("follow_up", record_id, key, orjson.loads(stored))


def _authors_of_changes(
    session: Session, hub: AppContext, states: Sequence[RecordState]
) -> dict[Dot, Authorship]:
    """Load who wrote each change of some follow-ups. Headers are not encrypted, so no key is needed."""
    rows = session.execute(
        select(ChangeRow.actor, ChangeRow.counter, ChangeRow.header, Tablet.name)
        .outerjoin(
            Tablet, and_(Tablet.district == ChangeRow.district, cast(Tablet.id, Text) == ChangeRow.actor)
        )
        .where(
            ChangeRow.district == hub.district,
            ChangeRow.child_id.in_({state.key["child"] for state in states}),
            ChangeRow.record_id.in_([state.record_id for state in states]),
            ChangeRow.kind.is_not(None),
        )
    ).all()
    headers = {Dot(row.actor, row.counter): (orjson.loads(row.header), row.name) for row in rows}
    names = people(session, hub, (header["author"] for header, _ in headers.values()))
    return {
        dot: Authorship(
            header["author"],
            names.get(header["author"]),
            tablet,
            read_moment(header["recorded_at"]),
        )
        for dot, (header, tablet) in headers.items()
    }


def _assignee_names(session: Session, hub: AppContext, states: Sequence[RecordState]) -> dict[str, str]:
    assignees = (sibling.value["assigned_to"] for s in states for sibling in s.registers.get("task", ()))
    return people(session, hub, assignees)


def _make_work(
    state: RecordState, authors: Mapping[Dot, Authorship], names: Mapping[str, str], shows_names: bool
) -> Work:
    def by(dots: Iterable[Dot]) -> tuple[Authorship, ...]:
        return tuple(authors[dot] for dot in dots if dot in authors)

    task = state.value("task") or {}
    assignee = task.get("assigned_to")
    return Work(
        state.key["child"],
        state.key["task"],
        task.get("action", ""),
        task.get("reason"),
        date.fromisoformat(task["due_on"]) if task.get("due_on") else None,
        assignee,
        names.get(assignee or ""),
        task.get("course"),
        task.get("week"),
        task.get("funds"),
        tuple(each for s in state.registers.get("task", ()) for each in by(s.dots)),
        tuple(
            TaskResult(s.value["done_on"], s.value["outcome"], s.value.get("days_eaten"), by(s.dots))
            for s in state.registers.get("result", ())
        ),
        tuple(
            (s.value["text"], by(s.dots))
            for s in state.registers.get("note", ())
            if shows_names and s.value["text"] is not None
        ),
        orjson.dumps(state.vector.wire()).decode(),
    )


def staff_of(session: Session, hub: AppContext, post_id: str) -> list[tuple[str, str]]:
    """List the staff who may be assigned a child of a post, whose scope contains it: ("account:<id>", name)."""
    post = session.get_one(HealthPost, (hub.district, post_id))
    village = post.village_code or ""
    scopes = {
        ("post", post_id),
        ("health_centre", post.health_centre_id),
        ("village", village),
        ("subdistrict", village.rpartition(".")[0]),
        ("district", hub.district),
    }
    rows = session.execute(
        select(Account.id, Account.display_name, Account.scope_kind, Account.scope)
        .where(Account.district == hub.district, Account.role == "staff", Account.disabled_at.is_(None))
        .order_by(Account.display_name, Account.id)
    )
    return [(f"account:{row.id}", row.display_name) for row in rows if (row.scope_kind, row.scope) in scopes]


def flags_seen(session: Session, hub: AppContext, person_id: str) -> list[str]:
    """Name the current flags of a person as they are shown; the names come back when the case is closed."""
    rows = session.execute(
        select(Flag.rule, Flag.subject, Flag.details)
        .where(Flag.district == hub.district, Flag.child_id == person_id)
        .order_by(Flag.rule, Flag.subject)
    )
    return [review_queue.flag_seen(*row) for row in rows]


def log_viewed(session: Session, hub: AppContext, actor: str, subject: DecidedChild, now: datetime) -> None:
    """Log at the post that somebody read a child's follow-ups with their notes."""
    stream, details = audit.post_stream(subject.post_id), {"child": subject.child_id}
    audit.append(session, hub.district, stream, "follow-ups.viewed", actor=actor, now=now, details=details)
