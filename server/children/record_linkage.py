"""Which children are one person: those whose records were linked (`same_as`), and who of them speaks for all.

Rules kept here:
- A link is the one live value of a child's `same_as`. While that is in conflict it links nobody: a person settles it first.
- Links have no direction for reading: all who hang together, in chains, stars or rings, are one person.
- A link to a child who is not here yet begins to hold when that child arrives. One to who was erased links nobody.
- The head is the first of them by: not removed, registered, least id. `person_id` of all is the head's id, and one's own for
  a child who is linked to nobody. It is a function of the records as they stand, so no order of arrival matters.
"""

from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Select, bindparam, select, union
from sqlalchemy.orm import Session

from server.children import ledger
from server.context import AppContext
from server.database.engine import among
from server.database.models import Child, table
from sync_protocol import RecordState


class Node(NamedTuple):
    """What of a child decides whom it belongs with."""

    same_as: str | None
    registered: bool
    removed: bool


def canonical_ids(children: Mapping[str, Node]) -> dict[str, str]:
    """Give each child's head: `person_id`.

    Parameters
    ----------
    children : whole groups, by id; a link to who is not among them links nobody
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
    """Find all who are one person with some children, or would be, were those linked to `targets`; the children themselves
    left out. One statement where nobody is linked."""
    known, asked, found = set(child_ids), set(child_ids), set(targets)
    while asked:
        given = {"district": district, "among": sorted(asked)}
        found |= set(session.connection().execute(_linked(), given).scalars())
        asked = found - known
        known |= asked
    return known - set(child_ids)


@cache
def _linked() -> Any:
    """Find who shares a person with some children, and who names one of them."""
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
    """Give some children and all who are one person with any of them, in order of id."""
    return sorted({*child_ids, *linked_ids(session, district, child_ids)})


def claimed(session: Session, hub: AppContext, child_ids: Collection[str]) -> set[str]:
    """Give whom children name whose `same_as` is in conflict: any of them may be left when it is settled."""
    given = {"district": hub.district, "among": sorted(child_ids)}
    found: set[str] = set()
    for row in session.connection().execute(_disputing(), given):
        key = hub.vault.child_key(row.id, row.wrapped_key, row.key_version)
        wire = orjson.loads(ledger.read_child(hub.district, row.id, row.state, key))
        state = RecordState.from_wire("child", row.id, {}, wire)
        found |= {s.value["child"] for s in state.registers["same_as"] if s.value["child"]}
    return found


@cache
def _disputing() -> Select[*tuple[Any, ...]]:
    c = table(Child).c
    return select(c.id, c.state, c.wrapped_key, c.key_version).where(
        c.district == bindparam("district"),
        among(c.id),
        c.conflicts.contains("same_as"),
        c.wrapped_key.is_not(None),
    )
