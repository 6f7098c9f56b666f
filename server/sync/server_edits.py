"""What the office writes: ordinary changes by the hub, on behalf of a signed-in person.

The hub is one actor a record, `hub:<record id>`; it counts and chains its changes there under the lock of the child's post.
Its contexts are what was **on the screen**, never what is stored by now, so what arrived meanwhile survives. Everything
goes the way of a tablet's change (`merging`), and is logged at every post that it concerns.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib.metadata import version
from typing import Any, Final, TypeVar

import orjson
from sqlalchemy import Select, bindparam, select
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from schemas import check_change
from server import audit
from server.children import record_linkage
from server.children.assessment import derive
from server.context import AppContext
from server.crypto.vault import base64url
from server.database.engine import Writes, among_pairs
from server.database.models import ChangeRow, Child, table
from server.errors import Problem
from server.sync import duplicate_search
from server.sync.pipeline import Arrival, PlanStale, heads_of, judge, load, save
from sync_protocol import (
    FIRST_PREVIOUS,
    NOTHING_SEEN,
    SCHEMA,
    Dot,
    Json,
    Link,
    Outcome,
    VersionVector,
    chain,
    delivery_id,
    follow_up_id,
    hub_actor,
    measurement_id,
)

NONCE_BYTES: Final = 16
ATTEMPTS: Final = 4

Decided = TypeVar("Decided")


@dataclass(frozen=True, slots=True)
class Edit:
    """One change that a person wants made.

    Parameters
    ----------
    kind, record_id, key : the record, as in a change
    registers : those that are set, each whole
    context : the record's vector as it stood on the screen
    """

    kind: str
    record_id: str
    key: Mapping[str, str]
    registers: Mapping[str, Json]
    context: VersionVector = field(default_factory=lambda: NOTHING_SEEN)

    @classmethod
    def of_child(cls, child_id: str, registers: Mapping[str, Json], context: VersionVector) -> "Edit":
        return cls("child", child_id, {}, registers, context)

    @classmethod
    def of_measurement(
        cls, child_id: str, on: str, source: str, registers: Mapping[str, Json], context: VersionVector
    ) -> "Edit":
        key = {"child": child_id, "measured_on": on, "source": source}
        return cls("measurement", measurement_id(child_id, on, source), key, registers, context)

    @classmethod
    def of_follow_up(
        cls, child_id: str, task: str, registers: Mapping[str, Json], context: VersionVector = NOTHING_SEEN
    ) -> "Edit":
        key = {"child": child_id, "task": task}
        return cls("follow_up", follow_up_id(child_id, task), key, registers, context)

    @classmethod
    def of_delivery(
        cls,
        child_id: str,
        delivery: str,
        registers: Mapping[str, Json],
        context: VersionVector = NOTHING_SEEN,
    ) -> "Edit":
        key = {"child": child_id, "delivery": delivery}
        return cls("delivery", delivery_id(child_id, delivery), key, registers, context)

    @property
    def child_id(self) -> str:
        return self.key.get("child", self.record_id)


@dataclass(frozen=True, slots=True)
class HubChange:
    """A change that the hub made, and what became of it."""

    dot: Dot
    hash: str
    outcome: Outcome


def write(
    session: Session,
    hub: AppContext,
    edits: Sequence[Edit],
    action: str,
    *,
    author: str,
    now: datetime,
    details: Mapping[str, Any] | None = None,
    new_at: str | None = None,
) -> list[HubChange]:
    """Make changes of known children, in a writing transaction: all of them or, if one is refused, none.

    Parameters
    ----------
    edits : of one record each
    action : dotted word for the log, such as "conflict.settled"
    author : "account:<id>" or "operator"
    details : for the log beside the changes' dots; no personal data
    new_at : the post of a child that is not there yet, whose own change had been set aside; else such a child is unknown

    Raises
    ------
    Problem
        `record-unknown` for a child that is not there, `change-invalid` with every reason (among them those that only
        the state can give: a post that does not exist, a measurement before birth).
    """
    at = dict.fromkeys({edit.child_id for edit in edits}, new_at) if new_at is not None else {}
    planned = plan(session, hub, edits, author=author, now=now, new_at=at, lock=True)
    dots = [[w.dot.actor, w.dot.counter, w.hash] for w in planned.written]  # server.audit.anchors
    planned.carry_out(session, hub, action, {**(details or {}), "dots": dots}, author=author, now=now)
    return planned.written


@dataclass(frozen=True, slots=True)
class Planned:
    """Changes that were worked out and are not written yet, and what that was worked out from.

    `heads` are the streams' ends of all posts concerned, `told` the children of each post whose log is to tell of it. As
    with a tablet's upload (`sync.Plan`), equal ends mean that nothing has changed since.
    """

    heads: Mapping[str, int]
    writes: Writes
    written: list[HubChange]
    told: Mapping[str, Sequence[str]]

    def still_stands(self, session: Session, hub: AppContext) -> bool:
        """Lock the posts, and say whether they are as they were."""
        given = {"district": hub.district, "posts": list(self.heads), "children": []}
        return heads_of(session, given, lock=True) == self.heads

    def carry_out(
        self,
        session: Session,
        hub: AppContext,
        action: str,
        details: Mapping[str, Any],
        *,
        author: str,
        now: datetime,
        name_children: bool = True,
    ) -> None:
        """Write everything, and log it at every post concerned, with the children's ids or only how many they are."""
        self.writes.apply(session)
        for post_id, ids in sorted(self.told.items()):
            told = {**details, "children": sorted(ids) if name_children else len(ids)}
            stream = audit.post_stream(post_id)
            audit.append(session, hub.district, stream, action, actor=author, now=now, details=told)


def plan(
    session: Session,
    hub: AppContext,
    edits: Sequence[Edit],
    *,
    author: str,
    now: datetime,
    new_at: Mapping[str, str],
    lock: bool,
) -> Planned:
    """Work out what some edits come to; only reads (and, asked to, locks).

    Parameters
    ----------
    edits, author : as for `write`
    new_at : the posts of children that are not there yet, by id
    lock : False on a snapshot: then `still_stands` must be asked before it is carried out

    Raises
    ------
    Problem
        as `write`.
    Moved
        Without the lock: a child changed its post meanwhile.
    """
    district = hub.district
    children = sorted({edit.child_id for edit in edits})
    homes = {**new_at, **_homes(session, district, children)}
    if not homes.keys() >= set(children):
        raise Problem("record-unknown")
    linked = [edit.registers["same_as"]["child"] for edit in edits if "same_as" in edit.registers]
    kin = record_linkage.linked_ids(
        session, district, children, [child_id for child_id in linked if child_id]
    )
    posts = sorted(set(new_at.values()))
    # all at once, in order: what would be locked later could wait for one who waits for this
    heads_of(session, {"district": district, "posts": posts, "children": [*children, *kin]}, lock=lock)
    last = _last_of(session, district, edits)
    arrivals = _arrivals(hub, edits, last, author, now)
    _refuse(arrivals)
    heads, touched = load(session, hub, homes[children[0]], arrivals, now, lock=lock)
    judge(arrivals, touched)
    _refuse(arrivals)
    writes = Writes()
    fresh = save(session, writes, hub, None, arrivals, touched, now)
    found = duplicate_search.search(session, hub, writes, touched, arrivals, fresh, now, lock=lock)
    derive(session, hub, [*touched.subjects, *found.others], now, writes, found.fresh)
    written = [HubChange(a.link.dot, a.link.hash, a.outcome) for a in arrivals]
    return Planned({**heads, **found.heads}, writes, written, touched.posts_told())


def decide(hub: AppContext, work: Callable[[Session], Decided]) -> Decided:
    """Do what a person decided in a writing transaction of its own; again where a tablet was faster, which moved or made the
    child in that very moment."""
    for _ in range(ATTEMPTS - 1):
        try:
            with hub.database.transaction() as session:
                return work(session)
        except (IntegrityError, OperationalError, PlanStale):
            continue
    with hub.database.transaction() as session:
        return work(session)


def _arrivals(
    hub: AppContext, edits: Sequence[Edit], last: Mapping[str, tuple[int, str]], author: str, now: datetime
) -> list[Arrival]:
    """Make the changes of edits; `last` is counter and hash of the hub's newest change to a record, by actor. Every change
    of the office is checked here, whatever its edit was made from."""
    today, recorded_at = hub.settings.today(now), now.strftime("%Y-%m-%dT%H:%M:%SZ")
    arrivals = []
    for edit in edits:
        actor = hub_actor(edit.record_id)
        counter, previous = last.get(actor, (0, FIRST_PREVIOUS))
        wire = {
            "kind": edit.kind,
            "id": edit.record_id,
            "key": dict(edit.key),
            "context": edit.context.wire(),
            "set": dict(edit.registers),
            "author": author,
            "recorded_at": recorded_at,
            "nonce": base64url(secrets.token_bytes(NONCE_BYTES)),
            "app": f"posyandu-sync/{_version()}",
            "schema": SCHEMA,
        }
        link: Link = chain(actor, counter + 1, previous, [wire])[0]
        arrivals.append(Arrival.of(link, check_change(wire, today=today)))
    return arrivals


@cache
def _version() -> str:
    return version("posyandu-sync")


def _last_of(session: Session, district: str, edits: Sequence[Edit]) -> dict[str, tuple[int, str]]:
    """Give counter and hash of the hub's newest change to each record, by actor; one statement for all of them."""
    pairs = orjson.dumps([(edit.child_id, edit.record_id) for edit in edits]).decode()
    rows = session.connection().execute(_by_hub(), {"district": district, "records": pairs})
    return {row.actor: (row.counter, row.hash) for row in sorted(rows, key=lambda row: int(row.counter))}


@cache
def _by_hub() -> Select[*tuple[Any, ...]]:
    c = table(ChangeRow).c
    return select(c.actor, c.counter, c.hash).where(
        c.district == bindparam("district"),
        among_pairs(c.child_id, c.record_id, "records"),
        c.actor.startswith("hub:"),
    )


def _homes(session: Session, district: str, child_ids: Sequence[str]) -> dict[str, str]:
    rows = session.execute(
        select(Child.id, Child.post_id).where(Child.district == district, Child.id.in_(child_ids))
    )
    return {row.id: row.post_id for row in rows}


def _refuse(arrivals: Sequence[Arrival]) -> None:
    reasons = [reason.wire() for a in arrivals for reason in a.reasons]
    if reasons:
        raise Problem("change-invalid", reasons=reasons)
