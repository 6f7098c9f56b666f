"""Changes by the server's own users: ordinary changes of the actor `hub`, on behalf of a signed-in person.

The hub is one actor per record, `hub:<record id>`; it numbers and chains its changes under the lock of the child's post.
The context of a change is what was **on the screen**, never what is stored by now, so what arrived meanwhile survives.
Changes go through the same pipeline as a tablet's, and are logged at every post concerned.
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
from sqlalchemy.orm import Session

from schemas import check_change
from schemas.strict import MANY
from server import audit
from server.children import linked_records
from server.context import AppContext
from server.crypto.vault import base64url
from server.database.engine import among_pairs
from server.database.models import ChangeRow, Child, table
from server.errors import Problem
from server.sync.duplicate_search import identifies, lock_registrations
from server.sync.loading import Arrival
from server.sync.pipeline import ChangePlan, plan_changes, refuse_invalid
from server.sync.retrying import retrying
from server.sync.streams import heads_of
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

Decided = TypeVar("Decided")


@dataclass(frozen=True, slots=True)
class Edit:
    """One change that a person wants to make.

    Parameters
    ----------
    kind, record_id, key : the record, as in a change
    registers : those that are set, each whole
    context : the record's vector as it was on the screen
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
    new_at : the post of a child who is not there yet because the child's own change was quarantined; without it, such a
        child is unknown

    Raises
    ------
    Problem
        `record-unknown` for a child who is not there, `change-invalid` with every reason (among them those that only
        the stored state can give: a post that does not exist, a measurement before birth).
    """
    at = dict.fromkeys({edit.child_id for edit in edits}, new_at) if new_at is not None else {}
    planned = plan(session, hub, edits, author=author, now=now, new_at=at, lock=True)
    dots = [[w.dot.actor, w.dot.counter, w.hash] for w in planned.written]  # server.audit.anchors
    planned.carry_out(session, hub, action, {**(details or {}), "dots": dots}, author=author, now=now)
    return planned.written


@dataclass(frozen=True, slots=True)
class Planned:
    """Changes by the hub that are planned and not written yet."""

    changes: ChangePlan

    @property
    def written(self) -> list[HubChange]:
        """The changes, in the order of the edits."""
        return [HubChange(one.link.dot, one.link.hash, one.outcome) for one in self.changes.judged]

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
        """Write everything, and log it at every post concerned, with the children's ids or only their number."""
        self.changes.writes.apply(session)
        for post_id, ids in sorted(self.changes.children_by_post.items()):
            logged = {**details, "children": sorted(ids) if name_children else len(ids)}
            stream = audit.post_stream(post_id)
            audit.append(session, hub.district, stream, action, actor=author, now=now, details=logged)


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
    new_at : the posts of children who are not there yet, by child id
    lock : False on a snapshot: then `changes.still_stands` must be asked before the plan is carried out

    Raises
    ------
    Problem
        As for `write`.
    PlanStale
        A child changed its post or its links meanwhile.
    """
    district = hub.district
    children = sorted({edit.child_id for edit in edits})
    homes = {**new_at, **_homes(session, district, children)}
    if not homes.keys() >= set(children):
        raise Problem("record-unknown")
    linked = [edit.registers["same_as"]["child"] for edit in edits if "same_as" in edit.registers]
    related = linked_records.linked_ids(
        session, district, children, [child_id for child_id in linked if child_id]
    )
    posts = sorted(set(new_at.values()))
    if lock and any(identifies(edit.kind, edit.registers) for edit in edits):
        lock_registrations(session, district)
    # all posts at once, in order of id: locking more of them later could deadlock
    heads_of(session, {"district": district, "posts": posts, "children": [*children, *related]}, lock=lock)
    arrivals = _arrivals(hub, edits, _last_of(session, district, edits), author, now)
    refuse_invalid(arrivals)
    home = homes[children[0]]
    return Planned(
        plan_changes(session, hub, home, arrivals, now, batch_id=None, all_or_none=True, lock=lock)
    )


def decide(hub: AppContext, work: Callable[[Session], Decided]) -> Decided:
    """Do what a person decided in a writing transaction of its own; again if a tablet was faster and has just moved or made
    the child."""

    def attempt() -> Decided:
        with hub.database.transaction() as session:
            return work(session)

    return retrying(attempt)


def _arrivals(
    hub: AppContext, edits: Sequence[Edit], last: Mapping[str, tuple[int, str]], author: str, now: datetime
) -> list[Arrival]:
    """Make the changes of edits; `last` is counter and hash of the hub's newest change to a record, by actor. Every change
    by the hub is checked here, wherever its edit comes from."""
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
        arrivals.append(Arrival.of(link, check_change(wire, today=today, most_actors=MANY)))
    return arrivals


@cache
def _version() -> str:
    return version("posyandu-sync")


def _last_of(session: Session, district: str, edits: Sequence[Edit]) -> dict[str, tuple[int, str]]:
    """Return counter and hash of the hub's newest change to each record, by actor; one statement for all of them."""
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
