"""Everything that happened to a child, newest first: what was written, set aside, decided, moved, flagged, looked at.

Rules kept here:
- The order is the server's: a tablet's clock is told beside it, and orders only what came at one moment.
- A value that stands no more is told to who may know names, and to nobody else; a NIK is always masked.
- Who looked is told by person and day, however often they came back.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

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
from server.review.child.history import Held, people
from server.review.child.visits import FREE_TEXT, Visit
from server.review.scope import RaisedFlag
from sync_protocol import Change, Dot, History, Json, Outcome, fold

MEASURED, RECORD, DIFFERENCE, MOVED, CARE, FLAG, LOOKED = KINDS = (
    *("measured", "record", "difference", "moved", "care"),
    *("flag", "looked"),
)
"""What happened: a measurement; the child's own data; a difference between tablets, what was set aside, and what came of
both; a move or a link; follow-up; what is flagged now; who looked."""

SETTLED: Final = "conflict.settled"
RELEASED: Final = "quarantine.released"
UNDONE: Final = "quarantine.undone"
LOOKS: Final = (
    *("child.viewed", "nik.unmasked", "conflict.viewed", "quarantine.viewed", "duplicate.viewed"),
)
DEEDS: Final = (
    *(
        SETTLED,
        "duplicate.different",
        RELEASED,
        UNDONE,
        "child.moved",
        "duplicate.linked",
        "duplicate.unlinked",
    ),
)
"""Entries of the log that are told: who looked, and under what name the health centre wrote a change."""
NAMELESS: Final = frozenset({"identity", "birth", "books", "family", "consent", "post", "same_as"})
"""Registers of a child that are shown, without the fields in HIDDEN, to who may not know its name."""
HIDDEN: Final = frozenset({"name", "by"})


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Parameters
    ----------
    kind : one of KINDS
    what : within it: "registered", "edited", "measured", "removed", "moved", "linked", "unlinked", "task", "result",
        "set_aside", "different", a flag's rule, or the log's word for who looked
    at : when by the server's clock; `told_at` by the tablet's, None where none was asked
    by : what people call whoever did it, or how the change names them; None for nobody (a flag)
    tablet : its name; None at the health centre
    outcome : what became of a change when it arrived
    values : by register what was written; None where that is withheld
    standing : the registers of which the value stands still
    measured_on, source, visit : of a measurement; the visit only while anything of this change stands
    deed : the log's word for a decision of the health centre ("conflict.settled"), and `reason` the code given with it
    details : what else there is to say, by kind; ids, codes and counts
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
        """Say whether this is, or was, about a difference between tablets."""
        return (
            self.kind == DIFFERENCE
            or self.outcome == Outcome.CONFLICT.value
            or self.deed in (SETTLED, RELEASED, UNDONE)
        )

    def is_of(self, kind: str) -> bool:
        """Say whether somebody who asks for a kind wants to see this; "" is everything but who looked."""
        if not kind:
            return self.kind != LOOKED
        return self.kind == kind or (kind == DIFFERENCE and self.disputed)


@dataclass(frozen=True, slots=True)
class TimelineSource:
    """What the timeline is told from.

    Parameters
    ----------
    subjects : the person's records, by child id
    held : every change of them
    visits, flags : as the page shows them
    """

    subjects: Mapping[str, Subject]
    held: Held
    visits: Sequence[Visit]
    flags: Sequence[RaisedFlag]
    shows_names: bool


def timeline(session: Session, hub: AppContext, story: TimelineSource) -> tuple[Event, ...]:
    """Tell everything that happened to a person, newest first."""
    changes = _changes(hub, story)
    logged = _log(session, hub, story, changes.values())
    names = people(session, hub, {*(entry.actor for entry in logged), *_deciders(story)})
    deeds = _deeds(logged)
    events = [
        *_written(story, changes, deeds),
        *_set_aside(hub, story, changes, names),
        *_apart(logged, names, story),
        *_flags(story),
        *_looks(hub, logged, names),
    ]
    posts = _post_names(session, hub, events)
    told = [_with_posts(event, posts) for event in _without_weeks(events)]
    told.sort(key=lambda event: (event.at, event.told_at or event.at))
    return tuple(told[::-1])  # and so, of one moment, what arrived last comes first


# -- what was written -----------------------------------------------------------------------------


def _changes(hub: AppContext, story: TimelineSource) -> dict[Dot, Change]:
    """Read every change that was taken as valid."""
    return {
        Dot(row.actor, row.counter): ledger.read_change(hub.district, row, story.subjects[row.child_id])
        for row in story.held.rows
        if row.kind is not None and story.subjects[row.child_id].wrapped_key is not None
    }


def _standing(story: TimelineSource, changes: Mapping[Dot, Change]) -> dict[Dot, frozenset[str]]:
    """Say of each change which of its registers stand."""
    histories: dict[str, list[Change]] = {}
    aside: dict[str, list[tuple[Dot, str]]] = {}
    for change in changes.values():
        histories.setdefault(change.record_id, []).append(change)
    for row in story.held.rows:
        if row.kind is None and row.record_id:
            aside.setdefault(row.record_id, []).append((Dot(row.actor, row.counter), row.hash[:16]))
    found: dict[Dot, set[str]] = {}
    for record_id, several in histories.items():
        state = fold(History(tuple(several), tuple(aside.get(record_id, ()))))
        for register, siblings in state.registers.items():
            for dot in (dot for sibling in siblings for dot in sibling.dots):
                found.setdefault(dot, set()).add(register)
    return {dot: frozenset(registers) for dot, registers in found.items()}


def _written(
    story: TimelineSource, changes: Mapping[Dot, Change], deeds: Mapping[Dot, "_Entry"]
) -> Iterable[Event]:
    standing = _standing(story, changes)
    visits = {(v.measured_on, v.source): v for v in story.visits if not v.removed}
    begun: set[str] = set()
    actions = {
        c.key["task"]: c.registers["task"]["action"] for c in changes.values() if "task" in c.registers
    }
    posts: dict[str, str] = {}
    for row in story.held.rows:
        dot = Dot(row.actor, row.counter)
        if dot not in changes:
            continue
        change, recorded = changes[dot], story.held.recorded[dot]
        stands = standing.get(dot, frozenset())
        deed = deeds.get(dot)
        kind, what = _kind(change, begun)
        event = {
            "at": row.received_at,
            "by": recorded.name or recorded.author,
            "told_at": recorded.recorded_at if recorded.tablet_name else None,
            "tablet": recorded.tablet_name,
            "outcome": row.outcome,
            "child_id": row.child_id,
            "values": _values(change, stands, shows_names=story.shows_names),
            "standing": stands,
            "deed": deed.action if deed else None,
            "reason": deed.details.get("reason") if deed else None,
            "details": {"clock_days": row.clock_days} if row.clock_days else {},
        }
        if change.kind == "measurement":
            day, source = date.fromisoformat(change.key["measured_on"]), change.key["source"]
            event |= {"measured_on": day, "source": source}
            event["visit"] = visits.get((day, source)) if stands and what == "measured" else None
        if change.kind == "follow_up":
            task = change.key["task"]
            event["details"] = {"task": task, "action": actions.get(task)}
        if "post" in change.registers:
            before = posts.get(row.child_id) or (deed.details.get("from") if deed else None)
            posts[row.child_id] = change.registers["post"]["post"]
            event["details"] = {**event["details"], "from": before, "to": posts[row.child_id]}
        yield Event(kind, what, **event)


def _kind(change: Change, begun: set[str]) -> tuple[str, str]:
    """Say what a change is called. `begun` are the children of whom something of their own was written before."""
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
    first = change.record_id not in begun
    begun.add(change.record_id)
    if "same_as" in names:
        return MOVED, "linked" if change.registers["same_as"]["child"] else "unlinked"
    if first:
        return RECORD, "registered"
    return (MOVED, "moved") if "post" in names else (RECORD, "edited")


def _values(change: Change, stands: frozenset[str], *, shows_names: bool) -> dict[str, Json | None]:
    """Give what a change wrote, as far as it may be told."""
    told: dict[str, Json | None] = {}
    for register, value in change.registers.items():
        if shows_names:
            told[register] = masked(value) if register == "nik" else value
        elif register not in stands or register in FREE_TEXT:
            told[register] = None
        elif change.kind == "child":
            open_ = register in NAMELESS
            told[register] = {k: v for k, v in value.items() if k not in HIDDEN} if open_ else None
        else:
            told[register] = value
    return told


def masked(value: Json) -> dict[str, Any]:
    """Give the register `nik` with its number masked."""
    return {**value, "nik": mask_nik(value.get("nik"))}


def mask_nik(nik: str | None) -> str | None:
    """Hide the middle of a NIK: its first six digits name a place, its last two tell neighbours apart."""
    return f"{nik[:6]}{'•' * (len(nik) - 8)}{nik[-2:]}" if nik else nik


def _without_weeks(events: Sequence[Event]) -> list[Event]:
    """Leave out that each week of a PMT course was planned: the course's own event tells how many there are."""
    weeks = Counter(
        task["course"] for event in events if (task := event.values.get("task")) and task.get("course")
    )
    kept = []
    for event in events:
        task = event.values.get("task")
        if event.what == "task" and task and task.get("course"):
            continue
        if event.what == "task" and (count := weeks[event.details["task"]]):
            kept.append(replace(event, details={**event.details, "weeks": count}))
        else:
            kept.append(event)
    return kept


# -- what was set aside, and what people decided --------------------------------------------------


def _deciders(story: TimelineSource) -> set[str]:
    return {row.decided_by for row in story.held.rows if row.decided_by}


def _set_aside(
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
            "reasons": orjson.loads(row.reasons) if row.reasons else [],
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
    """Find for each change that the health centre made what the log says of it."""
    return {
        Dot(*dot[:2]): entry
        for entry in logged
        if entry.action in DEEDS
        for dot in entry.details.get("dots", ())
    }


def _apart(logged: Sequence["_Entry"], names: Mapping[str, str], story: TimelineSource) -> Iterable[Event]:
    """Tell what was decided without a change: that two records are of two children."""
    for entry in logged:
        if entry.action == "duplicate.different":
            others = [other for other in entry.details["children"] if other not in story.subjects]
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
    """Load what the streams of the child's posts, present and past, have about it."""
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
    """Tell who looked, once for a person, a day and a way of looking."""
    zone = ZoneInfo(hub.settings.time_zone)
    looked: dict[tuple[date, str, str], list[_Entry]] = {}
    for entry in logged:
        if entry.action in LOOKS:
            day = entry.at.astimezone(zone).date()
            looked.setdefault((day, entry.actor, entry.action), []).append(entry)
    for (_, actor, action), several in looked.items():
        details = {"times": len(several)}
        yield Event(LOOKED, action, several[-1].at, names.get(actor, actor), details=details)


# -- names of posts -------------------------------------------------------------------------------


def _post_names(session: Session, hub: AppContext, events: Iterable[Event]) -> dict[str, str]:
    asked = {
        event.details.get(name)
        for event in events
        if event.kind in (MOVED, RECORD)
        for name in ("from", "to")
    }
    given = {"district": hub.district, "among": sorted(post_id for post_id in asked if post_id)}
    return {row.id: row.name for row in session.connection().execute(_posts(), given)}


@cache
def _posts() -> Select[*tuple[Any, ...]]:
    c = table(HealthPost).c
    return select(c.id, c.name).where(c.district == bindparam("district"), among(c.id))


def _with_posts(event: Event, posts: Mapping[str, str]) -> Event:
    if "to" not in event.details:
        return event
    named = {f"{name}_name": posts.get(event.details[name] or "") for name in ("from", "to")}
    return replace(event, details={**event.details, **named})
