"""Who wrote the values of a conflict, and when: told beside the states of a pull, so that a tablet can ask a cadre which of
two values is right with names and hours.

Rules kept here: only values that stand beside another one are told of, and a time is never later than the server's own when
it received the change, whatever the tablet's clock said.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import orjson
from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from schemas.moments import read_moment
from server.database.engine import among_pairs
from server.database.models import ChangeRow, table

Dots = set[tuple[str, int]]
Place = tuple[str, str]
"""A child's id and that of one of its records."""

_DOTS: Final = b'"dots"'
"""Stands in every state that has two values of one register."""


def dots_in_conflict(state: bytes) -> Dots:
    """Return the dots of the values of a published state that stand beside others."""
    if _DOTS not in state:
        return set()
    held = orjson.loads(state)["set"].values()
    several = [values for values in held if isinstance(values, list) and len(values) > 1]
    return {(dot[0], dot[1]) for values in several for sibling in values for dot in sibling["dots"]}


def written(
    session: Session, district: str, conflicts: Mapping[Place, Dots]
) -> dict[str, list[dict[str, Any]]]:
    """Return who wrote these values, and when, by child: `dot`, `author` and `at`."""
    found: dict[str, list[dict[str, Any]]] = {}
    if not conflicts:
        return found
    given = {"district": district, "records": orjson.dumps(sorted(conflicts)).decode()}
    for row in session.connection().execute(_changes(), given):
        if (row.actor, row.counter) in conflicts[row.child_id, row.record_id]:
            found.setdefault(row.child_id, []).append(_told(row))
    return found


def _told(row: Any) -> dict[str, Any]:
    header = orjson.loads(row.header)
    at = min(read_moment(header["recorded_at"]), row.received_at).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"dot": [row.actor, row.counter], "author": header["author"], "at": at}


@cache
def _changes() -> Select[*tuple[Any, ...]]:
    c = table(ChangeRow).c
    columns = (c.child_id, c.record_id, c.actor, c.counter, c.header, c.received_at)
    return (
        select(*columns)
        .where(c.district == bindparam("district"), among_pairs(c.child_id, c.record_id, "records"))
        .order_by(c.actor, c.counter)
    )
