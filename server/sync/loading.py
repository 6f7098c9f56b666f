"""First step of the pipeline: what changes are about, loaded: posts first, then every child and record concerned."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from schemas import Reason
from server.children import ledger, linked_records
from server.context import AppContext
from server.database.ids import UUID_TEXT
from server.database.models import PostExit, table
from server.sync import clock_skew
from server.sync.streams import Positions, heads_of
from sync_protocol import Change, Dot, Json, Link, Merge, RecordState


@dataclass(frozen=True, slots=True)
class Arrival:
    """One change as it arrived, checked as far as it can be without looking at what is stored.

    Parameters
    ----------
    link : the change and its place in its author's chain
    reasons : why it cannot be applied; empty if it is valid
    change : None if it is not valid
    record_id, child_id : as the change names them, valid or not; None where it names none
    clock_days : days to add to the day that the change names to get the true one, if a wrong clock moved it (`clock_skew`)
    """

    link: Link
    reasons: Sequence[Reason]
    change: Change | None = None
    record_id: str | None = None
    child_id: str | None = None
    clock_days: int = 0

    @classmethod
    def of(cls, link: Link, reasons: Sequence[Reason]) -> "Arrival":
        """Parse a change, of which all reasons why it cannot be applied are known."""
        if reasons:
            return cls(link, reasons, None, *_named(link.wire))
        change = Change.from_wire(link.dot, link.wire, link.hash)
        return cls(link, reasons, change, change.record_id, change.key.get("child", change.record_id))


def _named(wire: Json) -> tuple[str | None, str | None]:
    """Return the record and the child that an invalid change names, as far as it names any."""
    key = wire.get("key")
    record_id = wire.get("id")
    child_id = key["child"] if isinstance(key, Mapping) and "child" in key else record_id
    return _uuid_or_none(record_id), _uuid_or_none(child_id)


def _uuid_or_none(value: object) -> str | None:
    return value if isinstance(value, str) and UUID_TEXT.fullmatch(value) else None


@dataclass(slots=True)
class LoadedRecords:
    """What some changes are about, as stored; `judge` then adds the changes to it.

    Parameters
    ----------
    subjects : by id, each child named by a change, as its record or as the child of its record (one without a row too, if a
        valid change names it); and all children in the link groups of these, as they are and as the changes may make them.
        "Subject" here is a child with its post and key (`ledger.Subject`); of a flag or a notice it is what that is about
    histories : all changes held of each record, merged
    posts : the streams of the posts concerned
    records : the child of each record that the changes name
    held_before : something was stored of at least one of the records
    unreadable : records with stored changes that cannot be read; they have no history here and are not folded
    keyless : children whose key is damaged: nothing personal of them can be stored
    states : the records folded again
    moved_from : the former post of each child that moves
    clock_days : by record, then by change, for each change whose day a wrong clock may have moved: as in `Arrival`
    scope : the posts of the tablet of staff that wrote the changes; None if they come from another
    out_of_scope : the children who are at no post of `scope` and have left none of them
    """

    subjects: dict[str, ledger.Subject]
    histories: dict[str, Merge]
    posts: Positions
    records: Mapping[str, str]
    held_before: bool
    unreadable: frozenset[str] = frozenset()
    keyless: frozenset[str] = frozenset()
    states: dict[str, RecordState] = field(default_factory=dict)
    moved_from: dict[str, str] = field(default_factory=dict)
    clock_days: dict[str, dict[Dot, int]] = field(default_factory=dict)
    scope: Collection[str] | None = None
    out_of_scope: Collection[str] = ()

    def clock_doubt(self, state: RecordState) -> int:
        """Return by how many days a wrong clock may have moved the date of a record."""
        days = self.clock_days.get(state.record_id)
        return clock_skew.doubt(state, self.histories[state.record_id].changes, days) if days else 0

    def children_by_post(self) -> dict[str, list[str]]:
        """Return the posts whose logs must have an entry, each with its children: where they are and where they were."""
        children: dict[str, list[str]] = {}
        for subject in self.subjects.values():
            for post_id in {subject.post_id, self.moved_from.get(subject.id, subject.post_id)}:
                children.setdefault(post_id, []).append(subject.id)
        return children


class PlanStale(Exception):
    """A child changed its post or its links while it was being read."""


def load(
    session: Session,
    hub: AppContext,
    post_id: str,
    arrivals: Sequence[Arrival],
    now: datetime,
    *,
    scope: Collection[str] | None = None,
    lock: bool,
) -> tuple[Mapping[str, int], LoadedRecords]:
    """Load what some changes are about; return it with the heads of the posts' streams.

    The heads are read **first**: whatever changes after that advances a stream, and is noticed by that.

    Parameters
    ----------
    post_id : where children belong who are not there yet
    now : when they were first seen
    scope : the posts of the tablet of staff that wrote them; None for others
    lock : lock the posts

    Raises
    ------
    PlanStale
        A child changed its post or its links meanwhile.
    """
    district = hub.district
    # a quarantined change counts as held too, so the record that it names is loaded and folded again
    records = {a.record_id: a.child_id for a in arrivals if a.record_id and a.child_id}
    records |= {a.change.record_id: a.child_id for a in arrivals if a.change and a.child_id}
    child_ids = sorted(set(records.values()))
    asked_for = {
        a.change.registers["post"]["post"] for a in arrivals if a.change and "post" in a.change.registers
    }
    linked = _linked(session, hub, child_ids, arrivals)
    given = {"district": district, "posts": [post_id, *asked_for], "children": [*child_ids, *linked]}
    heads = heads_of(session, given, lock=lock)
    if lock and linked != _linked(session, hub, child_ids, arrivals):
        raise PlanStale
    subjects = ledger.subjects(session, hub.vault, district, [*child_ids, *linked])
    if any(subject.post_id not in heads for subject in subjects.values()):
        raise PlanStale
    for child_id in sorted({a.child_id for a in arrivals if a.change and a.child_id} - subjects.keys()):
        subjects[child_id] = ledger.new_subject(hub.vault, child_id, post_id, now)
    outside = _outside(session, district, subjects, child_ids, scope) if scope is not None else ()
    histories, unreadable = ledger.readable_histories(session, district, subjects, records)
    held_before = bool(histories or unreadable)
    doubts = ledger.clock_doubts(session, district, records) if held_before else {}
    return heads, LoadedRecords(
        subjects,
        {record_id: Merge(history) for record_id, history in histories.items()},
        Positions(heads),
        records,
        held_before=held_before,
        unreadable=unreadable,
        keyless=_keyless(session, hub, subjects, arrivals),
        clock_days=doubts,
        scope=scope,
        out_of_scope=outside,
    )


def _keyless(
    session: Session, hub: AppContext, subjects: Mapping[str, ledger.Subject], arrivals: Sequence[Arrival]
) -> frozenset[str]:
    """Find the children whose key the changes need and who lost it by damage."""
    personal = {
        a.child_id
        for a in arrivals
        if a.change and a.child_id and ledger.is_personal(a.change.kind, a.change.registers)
    }
    needed = [subjects[child_id] for child_id in sorted(personal) if not subjects[child_id].erased]
    return frozenset(s.id for s in needed if ledger.key_is_damaged(session, hub.vault, hub.district, s))


def _outside(
    session: Session,
    district: str,
    subjects: Mapping[str, ledger.Subject],
    child_ids: Sequence[str],
    scope: Collection[str],
) -> set[str]:
    """Return the children who are at no post of a scope and have left none of them: a tablet may write about a child who
    left while it did not know."""
    elsewhere = {one for one in child_ids if one in subjects and subjects[one].post_id not in scope}
    if not elsewhere:
        return set()
    c = table(PostExit).c
    here = c.district == district, c.post_id.in_(sorted(scope)), c.child_id.in_(sorted(elsewhere))
    return elsewhere - set(session.scalars(select(c.child_id).where(*here)))


def _linked(
    session: Session, hub: AppContext, child_ids: Sequence[str], arrivals: Sequence[Arrival]
) -> list[str]:
    """Find who is, was or may become linked to the children: what is derived for one depends on all of them."""
    named = [
        a.change.registers["same_as"]["child"]
        for a in arrivals
        if a.change and "same_as" in a.change.registers
    ]
    targets = {child_id for child_id in named if child_id}
    edited = {a.child_id for a in arrivals if a.child_id and a.record_id == a.child_id}
    if edited:
        targets |= linked_records.disputed_links(session, hub, edited)
    return sorted(linked_records.linked_ids(session, hub.district, child_ids, targets))
