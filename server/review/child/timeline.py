"""The timeline of a child, newest first: changes, quarantined changes, decisions, moves, flags and views.

Rules kept here:
- The order is by the server's clock; the tablet's clock is shown beside it, and orders only what arrived together.
- A replaced value is shown only to those who may see names; a NIK is always masked.
- Views are summed up by person and day.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cache
from typing import Any, Final

import orjson
from sqlalchemy import Select, bindparam, or_, select
from sqlalchemy.orm import Session

from server import audit
from server.children import ledger
from server.children.ledger import Subject
from server.context import AppContext
from server.database.engine import among
from server.database.models import AuditEntry, HealthPost, table
from server.review import quarantine
from server.review.authors import people
from server.review.child.history import Held
from server.review.child.visits import FREE_TEXT, Visit
from server.review.scope import RaisedFlag
from sync_protocol import Change, Dot, History, Json, Outcome, fold

MEASURED, RECORD, DIFFERENCE, MOVED, CARE, FLAG, LOOKED = KINDS = (
    *("measured", "record", "difference", "moved", "care"),
    *("flag", "looked"),
)
"""Kinds of events: a measurement; the child's own data; conflicts, quarantined changes and decisions about them; a move or a
link; follow-ups; present flags; views."""

SETTLED: Final = "conflict.settled"
RELEASED: Final = "quarantine.released"
UNDONE: Final = "quarantine.undone"
LOOKS: Final = ("child.viewed", "nik.unmasked", "conflict.viewed", "quarantine.viewed", "duplicate.viewed")
DEEDS: Final = (
    *(SETTLED, RELEASED, UNDONE),
    *("child.moved", "duplicate.different", "duplicate.linked", "duplicate.unlinked"),
)
"""Log entries that the timeline shows: views, and decisions of the health centre."""
NAMELESS: Final = frozenset(
    {"identity", "birth", "books", "family", "consent", "post", "same_as", "book_doses"}
)
"""Registers of a child that a reader who may not see names is shown, without the fields in HIDDEN."""
HIDDEN: Final = frozenset({"name", "by"})


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Parameters
    ----------
    kind : one of KINDS
    what : within the kind: "registered", "edited", "measured", "removed", "moved", "linked", "unlinked", "task", "result",
        "set_aside", "different", a flag's rule, or the log action of a view
    at : when by the server's clock; `told_at` : by the tablet's, None if it was made on the server
    by : the author's name, or the author as in the change; None for a flag
    tablet : its name; None at the health centre
    outcome : the outcome of a change when it arrived
    values : the values written, by register; None for one that is not shown
    standing : the registers whose value is still live
    measured_on, source, visit : of a measurement; the visit only while a value of this change is live
    deed : the log action of a decision of the health centre ("conflict.settled"); `reason` : the code given with it
    details : more, by kind: ids, codes and counts
    """

    kind: str
    what: str
    at: datetime
    by: str | None = None
    told_at: datetime | None = None
    tablet: str | None = None
    outcome: str | None = None
    child_id: str = ""
    values: Mapping[str, Json | None] = field(default_factory=dict)
    standing: frozenset[str] = frozenset()
    measured_on: date | None = None
    source: str | None = None
    visit: Visit | None = None
    deed: str | None = None
    reason: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def disputed(self) -> bool:
        """Say whether this is or was about a conflict or a quarantined change."""
        return (
            self.kind == DIFFERENCE
            or self.outcome == Outcome.CONFLICT.value
            or self.deed in (SETTLED, RELEASED, UNDONE)
        )

    def is_of(self, kind: str) -> bool:
        """Say whether this belongs to a kind that the reader chose; "" is everything but views."""
        if not kind:
            return self.kind != LOOKED
        return self.kind == kind or (kind == DIFFERENCE and self.disputed)


@dataclass(frozen=True, slots=True)
class TimelineSource:
    """What the timeline is made from.

    Parameters
    ----------
    subjects : the person's records, by child id
    held : all their changes
    visits, flags : as the page shows them
    """

    subjects: Mapping[str, Subject]
    held: Held
    visits: Sequence[Visit]
    flags: Sequence[RaisedFlag]
    shows_names: bool


def timeline(session: Session, hub: AppContext, story: TimelineSource) -> tuple[Event, ...]:
    """Load the timeline of a person, newest first."""
    changes = _changes(hub, story)
    logged = _log(session, hub, story, changes.values())
    names = people(session, hub, {*(entry.actor for entry in logged), *_deciders(story)})
    deeds = _deeds(logged)
    events = [
        *_written(story, changes, deeds),
        *_quarantined(hub, story, changes, names),
        *_marked_different(logged, names, story),
        *_flags(story),
        *_looks(hub, logged, names),
    ]
    posts = _post_names(session, hub, events)
    shown = [_with_posts(event, posts) for event in _without_weeks(events)]
    shown.sort(key=lambda event: (event.at, event.told_at or event.at))
    return tuple(shown[::-1])  # reversed, so that of the same moment the last to arrive comes first


# -- what was written -----------------------------------------------------------------------------


def _changes(hub: AppContext, story: TimelineSource) -> dict[Dot, Change]:
    """Read every change that was not quarantined."""
    return {
        Dot(row.actor, row.counter): ledger.read_change(hub.district, row, story.subjects[row.child_id])
        for row in story.held.rows
        if row.kind is not None and story.subjects[row.child_id].wrapped_key is not None
    }


def _live_registers(story: TimelineSource, changes: Mapping[Dot, Change]) -> dict[Dot, frozenset[str]]:
    """Give for each change the registers whose value is still live."""
    histories: dict[str, list[Change]] = {}
    quarantined: dict[str, list[tuple[Dot, str]]] = {}
    for change in changes.values():
        histories.setdefault(change.record_id, []).append(change)
    for row in story.held.rows:
        if row.kind is None and row.record_id:
            quarantined.setdefault(row.record_id, []).append((Dot(row.actor, row.counter), row.hash[:16]))
    found: dict[Dot, set[str]] = {}
    for record_id, several in histories.items():
        state = fold(History(tuple(several), tuple(quarantined.get(record_id, ()))))
        for register, siblings in state.registers.items():
            for dot in (dot for sibling in siblings for dot in sibling.dots):
                found.setdefault(dot, set()).add(register)
    return {dot: frozenset(registers) for dot, registers in found.items()}


def _written(
    story: TimelineSource, changes: Mapping[Dot, Change], deeds: Mapping[Dot, "_Entry"]
) -> Iterable[Event]:
    live = _live_registers(story, changes)
    visits = {(v.measured_on, v.source): v for v in story.visits if not v.removed}
    seen: set[str] = set()
    actions = {
        c.key["task"]: c.registers["task"]["action"] for c in changes.values() if "task" in c.registers
    }
    posts: dict[str, str] = {}
    for row in story.held.rows:
        dot = Dot(row.actor, row.counter)
        if dot not in changes:
            continue
        change, recorded = changes[dot], story.held.recorded[dot]
        standing = live.get(dot, frozenset())
        deed = deeds.get(dot)
        kind, what = _kind(change, seen)
        event = {
            "at": row.received_at,
            "by": recorded.name or recorded.author,
            "told_at": recorded.recorded_at if recorded.tablet_name else None,
            "tablet": recorded.tablet_name,
            "outcome": row.outcome,
            "child_id": row.child_id,
            "values": _values(change, standing, shows_names=story.shows_names),
            "standing": standing,
            "deed": deed.action if deed else None,
            "reason": deed.details.get("reason") if deed else None,
            "details": {"clock_days": row.clock_days} if row.clock_days else {},
        }
        if change.kind == "measurement":
            day, source = date.fromisoformat(change.key["measured_on"]), change.key["source"]
            event |= {"measured_on": day, "source": source}
            event["visit"] = visits.get((day, source)) if standing and what == "measured" else None
        if change.kind == "follow_up":
            task = change.key["task"]
            event["details"] = {"task": task, "action": actions.get(task)}
        if "post" in change.registers:
            before = posts.get(row.child_id) or (deed.details.get("from") if deed else None)
            posts[row.child_id] = change.registers["post"]["post"]
            event["details"] = {**event["details"], "from": before, "to": posts[row.child_id]}
        yield Event(kind, what, **event)


def _kind(change: Change, seen: set[str]) -> tuple[str, str]:
    """Give (kind, what) of a change. `seen` are the records of children that had an earlier change; this one is added."""
    names = change.registers.keys()
    if "removed" in names:
        removed = change.registers["removed"].get("reason") is not None
        return (MEASURED if change.kind == "measurement" else RECORD), "removed" if removed else "put_back"
    if change.kind == "measurement":
        return MEASURED, "measured"
    if change.kind == "delivery":
        return CARE, next((name for name in ("verified", "delivered", "aid") if name in names), "note")
    if change.kind == "follow_up":
        return CARE, "result" if "result" in names else "task" if "task" in names else "note"
    first = change.record_id not in seen
    seen.add(change.record_id)
    if "same_as" in names:
        return MOVED, "linked" if change.registers["same_as"]["child"] else "unlinked"
    if first:
        return RECORD, "registered"
    return (MOVED, "moved") if "post" in names else (RECORD, "edited")


def _values(change: Change, standing: frozenset[str], *, shows_names: bool) -> dict[str, Json | None]:
    """Give the values that a change wrote, as far as the reader may see them."""
    shown: dict[str, Json | None] = {}
    for register, value in change.registers.items():
        if shows_names:
            shown[register] = masked(value) if register == "nik" else value
        elif register not in standing or register in FREE_TEXT:
            shown[register] = None
        elif change.kind == "child":
            open_ = register in NAMELESS
            shown[register] = {k: v for k, v in value.items() if k not in HIDDEN} if open_ else None
        else:
            shown[register] = value
    return shown


def masked(value: Json) -> dict[str, Any]:
    """Give the register `nik` with its number masked."""
    return {**value, "nik": mask_nik(value.get("nik"))}


def mask_nik(nik: str | None) -> str | None:
    """Hide the middle of a NIK. The first six digits name a place; the last two help to tell neighbours apart."""
    return f"{nik[:6]}{'•' * (len(nik) - 8)}{nik[-2:]}" if nik else nik


def _without_weeks(events: Sequence[Event]) -> list[Event]:
    """Leave out the planning of each week of a PMT course: the course's own event gives their number."""
    weeks = Counter(
        task["course"] for event in events if (task := event.values.get("task")) and task.get("course")
    )
    shown = []
    for event in events:
        task = event.values.get("task")
        if event.what == "task" and task and task.get("course"):
            continue
        if event.what == "task" and (count := weeks[event.details["task"]]):
            shown.append(replace(event, details={**event.details, "weeks": count}))
        else:
            shown.append(event)
    return shown


# -- quarantined changes and decisions ------------------------------------------------------------


def _deciders(story: TimelineSource) -> set[str]:
    return {row.decided_by for row in story.held.rows if row.decided_by}


def _quarantined(
    hub: AppContext, story: TimelineSource, changes: Mapping[Dot, Change], names: Mapping[str, str]
) -> Iterable[Event]:
    for row in story.held.rows:
        if row.kind is not None:
            continue
        later = [c for c in changes.values() if c.record_id == row.record_id]
        state = "open"
        if row.decision is not None:
            state = row.decision
        elif quarantine.is_answered(hub, row, later):
            state = "answered"
        details = {
            "actor": row.actor,
            "counter": row.counter,
            "state": state,
            "reasons": ledger.quarantine_reasons(hub.district, row, hub.vault),
        }
        if row.decision is not None:
            details |= {"decided_at": row.decided_at, "decided_by": names.get(row.decided_by, row.decided_by)}
        yield Event(
            DIFFERENCE,
            "set_aside",
            row.received_at,
            tablet=story.held.tablets.get(row.actor),
            outcome=row.outcome,
            child_id=row.child_id,
            reason=row.reason if row.decision != quarantine.REOPENED else None,
            details=details,
        )


def _deeds(logged: Sequence["_Entry"]) -> dict[Dot, "_Entry"]:
    """Find the log entry of each change that the health centre made."""
    return {
        Dot(*dot[:2]): entry
        for entry in logged
        if entry.action in DEEDS
        for dot in entry.details.get("dots", ())
    }


def _marked_different(
    logged: Sequence["_Entry"], names: Mapping[str, str], story: TimelineSource
) -> Iterable[Event]:
    """Give the decisions that wrote no change: two records marked as different children."""
    for entry in logged:
        if entry.action == "duplicate.different":
            others = [child_id for child_id in entry.details["children"] if child_id not in story.subjects]
            by = names.get(entry.actor, entry.actor)
            yield Event(MOVED, "different", entry.at, by, details={"others": others})


def _flags(story: TimelineSource) -> Iterable[Event]:
    for raised in story.flags:
        details = {**raised.details, "urgency": raised.urgency, "subject": raised.subject}
        yield Event(FLAG, raised.rule, raised.raised_at, details=details)


# -- the log --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Entry:
    at: datetime
    actor: str
    action: str
    details: Mapping[str, Any]


def _log(session: Session, hub: AppContext, story: TimelineSource, changes: Iterable[Change]) -> list[_Entry]:
    """Load the log entries about a child from the streams of its present and past posts."""
    posts = {change.registers["post"]["post"] for change in changes if "post" in change.registers}
    posts |= {subject.post_id for subject in story.subjects.values()}
    group = sorted(story.subjects)
    rows = session.execute(
        _entries(len(group)),
        {
            "district": hub.district,
            "streams": [audit.post_stream(post_id) for post_id in sorted(posts)],
            **{f"child_{number}": child_id for number, child_id in enumerate(group)},
        },
    )
    return [_Entry(row.at, row.actor, row.action, orjson.loads(row.details)) for row in rows]


@cache
def _entries(children: int) -> Select[*tuple[Any, ...]]:
    c = table(AuditEntry).c
    named = (c.details.contains(bindparam(f"child_{number}")) for number in range(children))
    return (
        select(c.at, c.actor, c.action, c.details)
        .where(
            c.district == bindparam("district"),
            c.stream.in_(bindparam("streams", expanding=True)),
            c.action.in_((*LOOKS, *DEEDS)),
            or_(*named),
        )
        .order_by(c.at)
    )


def _looks(hub: AppContext, logged: Sequence[_Entry], names: Mapping[str, str]) -> Iterable[Event]:
    """Give the views, one event for each person, day and kind of view."""
    views: dict[tuple[date, str, str], list[_Entry]] = {}
    for entry in logged:
        if entry.action in LOOKS:
            day = hub.settings.today(entry.at)
            views.setdefault((day, entry.actor, entry.action), []).append(entry)
    for (_, actor, action), several in views.items():
        details = {"times": len(several)}
        yield Event(LOOKED, action, several[-1].at, names.get(actor, actor), details=details)


# -- names of posts -------------------------------------------------------------------------------


def _post_names(session: Session, hub: AppContext, events: Iterable[Event]) -> dict[str, str]:
    post_ids = {
        event.details.get(name)
        for event in events
        if event.kind in (MOVED, RECORD)
        for name in ("from", "to")
    }
    values = {"district": hub.district, "among": sorted(post_id for post_id in post_ids if post_id)}
    return {row.id: row.name for row in session.connection().execute(_posts(), values)}


@cache
def _posts() -> Select[*tuple[Any, ...]]:
    c = table(HealthPost).c
    return select(c.id, c.name).where(c.district == bindparam("district"), among(c.id))


def _with_posts(event: Event, posts: Mapping[str, str]) -> Event:
    if "to" not in event.details:
        return event
    names = {f"{name}_name": posts.get(event.details[name] or "") for name in ("from", "to")}
    return replace(event, details={**event.details, **names})
