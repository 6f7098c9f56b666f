"""Who may see which child, and what the queue and a child's page both show of one.

The scope is a condition of the query, so a child outside it is neither found nor counted. In this package, names are
decrypted only here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any, Final, cast

import orjson
from sqlalchemy import ColumnElement, and_, false, select
from sqlalchemy.orm import Session

from server import isolation
from server.accounts import Person
from server.children import ledger
from server.children.flags import RULES
from server.context import AppContext
from server.database.models import Attention, Child, Delivery, Flag, FollowUp, HealthPost
from server.growth.weight_gain import months_completed
from sync_protocol import RecordState

RULE_ORDER: Final = {name: number for number, name in enumerate(RULES)}


@dataclass(frozen=True, slots=True)
class Scope:
    """What somebody may see.

    Parameters
    ----------
    kind : post, village, health_centre, subdistrict or district; anything else (such as "none") contains no child
    id : the post's or health centre's id, or the region's code
    shows_names : whether they may see the names of children
    """

    kind: str
    id: str
    shows_names: bool

    @classmethod
    def of(cls, person: Person) -> "Scope":
        """Give the scope of a person: empty for a role that sees no children, such as an administrator."""
        if not person.may("see_children"):
            return cls("none", "", False)
        return cls(person.scope_kind, person.scope, person.may("see_names"))

    @classmethod
    def whole_district(cls, hub: AppContext, *, shows_names: bool) -> "Scope":
        """Give the scope of the operator of the installation."""
        return cls("district", hub.district, shows_names)


@dataclass(frozen=True, slots=True)
class RaisedFlag:
    """A flag of a child: `subject` is the measurement ("2026-11-03/cadre"), or "" for the child as a whole."""

    rule: str
    urgency: int
    subject: str
    details: Mapping[str, Any]
    raised_at: datetime


def within(hub: AppContext, scope: Scope) -> ColumnElement[bool]:
    """Give the condition on Child for those in scope; an unknown scope contains nobody.

    Children whose processing is restricted are in no scope; only `server.privacy` sees them, which uses `reach`.
    """
    return and_(reach(hub, scope), Child.restricted_at.is_(None))


def reach(hub: AppContext, scope: Scope) -> ColumnElement[bool]:
    """Give the condition on Child for those in scope, restricted ones too."""
    own = Child.district == hub.district
    if scope.kind == "district" and scope.id == hub.district:
        return own
    if scope.kind == "post":
        return and_(own, Child.post_id == scope.id)
    return and_(own, Child.post_id.in_(select(HealthPost.id).where(posts_within(hub, scope))))


def queue_within(hub: AppContext, scope: Scope) -> ColumnElement[bool]:
    """Give the condition on Attention for those in scope; an unknown scope contains nobody."""
    return rows_within(hub, scope, Attention)


def rows_within(
    hub: AppContext, scope: Scope, model: type[Attention] | type[Delivery] | type[FollowUp]
) -> ColumnElement[bool]:
    """Give the same condition as `within` on a table that holds the child's post, so that it needs no join with Child."""
    own = and_(model.district == hub.district, not_restricted(hub, model.child_id))
    if scope.kind == "post":
        return and_(own, model.post_id == scope.id)
    if (scope.kind, scope.id) == ("district", hub.district):
        return own
    return and_(own, model.post_id.in_(select(HealthPost.id).where(posts_within(hub, scope))))


def in_use() -> ColumnElement[bool]:
    """Give the condition on Child for those who were not erased and whose processing is not restricted."""
    return and_(Child.wrapped_key.is_not(None), Child.restricted_at.is_(None))


def not_restricted(hub: AppContext, child_id: Any) -> ColumnElement[bool]:
    """Give the condition that a column of child ids holds none that is restricted, for a query without Child."""
    restricted = Child.district == hub.district, Child.restricted_at.is_not(None)
    return cast(ColumnElement[bool], child_id.not_in(select(Child.id).where(*restricted)))


def posts_within(hub: AppContext, scope: Scope) -> ColumnElement[bool]:
    """Give the condition on HealthPost for those in scope; an unknown scope contains none."""
    own = HealthPost.district == hub.district
    if scope.kind == "district" and scope.id == hub.district:
        return own
    if scope.kind == "post":
        return and_(own, HealthPost.id == scope.id)
    if scope.kind == "health_centre":
        return and_(own, HealthPost.health_centre_id == scope.id)
    if scope.kind == "village" and scope.id:
        return and_(own, HealthPost.village_code == scope.id)
    if scope.kind == "subdistrict" and scope.id:  # a village's code begins with its subdistrict's
        return and_(own, HealthPost.village_code.startswith(f"{scope.id}.", autoescape=True))
    return false()


def name_of(hub: AppContext, row: Any) -> str | None:
    """Decrypt a child's name: all values if it is in conflict; None if there is none, the child was erased, or it cannot be
    read (`doctor` tells of that)."""
    if row.state is None or row.wrapped_key is None:
        return None
    state, _ = isolation.attempt(partial(state_of, hub, row.child_id, row), "name")
    if state is None:
        return None
    names = [sibling.value["name"] for sibling in state.registers.get("identity", ())]
    return " / ".join(dict.fromkeys(names)) or None


def state_of(hub: AppContext, child_id: str, row: Any) -> RecordState:
    """Decrypt a child's state; `row` has `state`, `wrapped_key` and `key_version`."""
    key = hub.vault.child_key(child_id, row.wrapped_key, row.key_version)
    wire = orjson.loads(ledger.read_child(hub.district, child_id, row.state, key))
    return RecordState.from_wire("child", child_id, {}, wire)


def flags_of(session: Session, hub: AppContext, child_ids: Sequence[str]) -> dict[str, list[RaisedFlag]]:
    """Load the flags of some children, each child's most urgent first."""
    rows = session.execute(
        select(Flag.child_id, Flag.rule, Flag.urgency, Flag.subject, Flag.details, Flag.raised_at).where(
            Flag.district == hub.district, Flag.child_id.in_(child_ids)
        )
    )
    found: dict[str, list[RaisedFlag]] = {}
    for row in sorted(rows, key=lambda r: (r.urgency, RULE_ORDER.get(r.rule, len(RULES)), r.subject)):
        raised = RaisedFlag(row.rule, row.urgency, row.subject, orjson.loads(row.details), row.raised_at)
        found.setdefault(row.child_id, []).append(raised)
    return found


def age_in_months(born_on: date | None, measured_on: date) -> int | None:
    """Give the age in completed calendar months; None if the birth date is unknown or after the measurement."""
    if born_on is None or measured_on < born_on:
        return None
    return int(months_completed([born_on], [measured_on])[0])
