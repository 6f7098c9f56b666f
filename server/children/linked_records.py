"""Linked records (`same_as`), and the canonical record of each group: two records that are one child.

- A link is the only live value of a child's `same_as`. In conflict it links nothing, until a person decides.
- Links have no direction: all records that are connected, directly or through others, are one person.
- A link to a child that has not arrived yet takes effect when it arrives. A link to an erased child has no effect.
- A child is registered once a valid change of its own record (kind "child") was taken. Until then only other records name
  it, such as a measurement that arrived first. An erased child is not registered any more.
- The canonical record is the first by: not removed, registered, lowest id. Its id is the `person_id` of the whole group; a
  child without links has its own id. This follows from the records as they are, whatever the order in which they arrived.
"""

from collections.abc import Collection, Iterable, Mapping
from functools import cache, partial
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Select, bindparam, select, union
from sqlalchemy.orm import Session

from server import isolation
from server.children import ledger
from server.context import AppContext
from server.database.engine import among
from server.database.models import Child, table
from sync_protocol import RecordState


class Node(NamedTuple):
    """The columns of a child that decide its group."""

    same_as: str | None
    registered: bool
    removed: bool


def canonical_ids(children: Mapping[str, Node]) -> dict[str, str]:
    """Return the canonical id (`person_id`) of each child.

    Parameters
    ----------
    children : whole groups, by id; a link to a child that is not among them has no effect
    """
    root = {child_id: child_id for child_id in children}

    def find(child_id: str) -> str:
        while root[child_id] != child_id:
            child_id = root[child_id]
        return child_id

    for child_id, node in children.items():
        if node.same_as is not None and node.same_as in children:
            root[find(child_id)] = find(node.same_as)
    groups: dict[str, list[str]] = {}
    for child_id in children:
        groups.setdefault(find(child_id), []).append(child_id)
    return {
        child_id: min(group, key=lambda c: (children[c].removed, not children[c].registered, c))
        for group in groups.values()
        for child_id in group
    }


def linked_ids(
    session: Session, district: str, child_ids: Collection[str], targets: Iterable[str] = ()
) -> set[str]:
    """Find the other members of some children's groups.

    Takes one statement where no child is linked.

    Parameters
    ----------
    targets : children to whom a link is about to be made: their groups are included
    """
    known, asked, found = set(child_ids), set(child_ids), set(targets)
    while asked:
        given = {"district": district, "among": sorted(asked)}
        found |= set(session.connection().execute(_linked(), given).scalars())
        asked = found - known
        known |= asked
    return known - set(child_ids)


@cache
def _linked() -> Any:
    """Select the children with the same `person_id` as some children, and those whose `same_as` names one of them."""
    one, other = table(Child).alias("one").c, table(Child).alias("other").c
    sharing = select(other.id).where(
        one.district == bindparam("district"),
        among(one.id),
        other.district == one.district,
        other.person_id == one.person_id,
        other.id != one.id,
    )
    naming = select(one.id).where(one.district == bindparam("district"), among(one.same_as))
    return union(sharing, naming)


def group_of(session: Session, district: str, child_ids: Collection[str]) -> list[str]:
    """Return some children and the other members of their groups, sorted."""
    return sorted({*child_ids, *linked_ids(session, district, child_ids)})


def disputed_links(session: Session, hub: AppContext, child_ids: Collection[str]) -> set[str]:
    """Return every child named by a `same_as` in conflict of some children: any of them may be chosen when it is settled.

    Of a child whose state cannot be read it finds none: folding the record again mends the state, or sets the change aside.
    """
    given = {"district": hub.district, "among": sorted(child_ids)}
    found: set[str] = set()
    for row in session.connection().execute(_disputing(), given):
        named, _ = isolation.attempt(partial(_links_of, hub, row), "link")
        found |= named or set()
    return found


def _links_of(hub: AppContext, row: Any) -> set[str]:
    key = hub.vault.child_key(row.id, row.wrapped_key, row.key_version)
    wire = orjson.loads(ledger.read_child(hub.district, row.id, row.state, key))
    state = RecordState.from_wire("child", row.id, {}, wire)
    return {s.value["child"] for s in state.registers["same_as"] if s.value["child"]}


@cache
def _disputing() -> Select[*tuple[Any, ...]]:
    c = table(Child).c
    return select(c.id, c.state, c.wrapped_key, c.key_version).where(
        c.district == bindparam("district"),
        among(c.id),
        c.conflicts.contains("same_as"),
        c.wrapped_key.is_not(None),
    )
