"""The pull: what follows a tablet's cursor in the stream of its post.

Rules kept here: an answer has at most `max_pull_bytes`; of a child who left the post, was erased or is restricted only the
id is sent, in `left` (of an erased child in `erased` as well), and none of its records.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import orjson
from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from server.children import ledger
from server.context import AppContext
from server.crypto.vault import ChildKey
from server.database.engine import among
from server.database.models import Base, Child, Delivery, FollowUp, Measurement, PostExit, table
from sync_protocol import delivery_id, follow_up_id, measurement_id

PULL_ROWS: Final = 6000
"""Most rows read for one answer; nearly always the byte limit ends it sooner."""
_ROOM_PER_ROW: Final = 48
"""Bytes of an answer for each row beside the row itself."""
_DRAWERS: Final = {"measurement": "measurements", "follow_up": "follow_ups", "delivery": "deliveries"}
"""The part of a page that holds the records of each kind, by child."""

StreamItem = tuple[int, str, str, bytes]
"""(position, kind, child id, JSON); kind "left" or "erased" where the child is not for tablets any more."""


def empty_page(cursor: int) -> dict[str, Any]:
    """Return the pull of a tablet that may see nothing (it was revoked)."""
    return {
        "cursor": cursor,
        "more": False,
        "children": [],
        "measurements": {},
        "follow_ups": {},
        "deliveries": {},
        "left": [],
    }


def page_after(session: Session, hub: AppContext, post_id: str, cursor: int) -> dict[str, Any]:
    """Return what changed at a post since a position, at most `max_pull_bytes`.

    Parameters
    ----------
    cursor : the position up to which the tablet has pulled; 0 for everything

    Returns
    -------
    dict : `children`, `measurements`, `follow_ups` and `deliveries` (these by child) as wire fragments, ids of children
        that `left`, those of them that were `erased` (absent if none), the next `cursor`, and whether there is `more`
    """
    found = _stream_after(session, hub, post_id, cursor)
    page: dict[str, Any] = empty_page(cursor)
    room = hub.settings.max_pull_bytes
    for index, (position, kind, child_id, fragment) in enumerate(found):
        room -= len(fragment) + _ROOM_PER_ROW
        if room < 0 and index:
            page["more"] = True
            break
        page["cursor"] = position
        if kind == "child":
            page["children"].append(orjson.Fragment(fragment))
        elif kind in ("left", "erased"):
            page["left"].append(child_id)
            if kind == "erased":
                page.setdefault("erased", []).append(child_id)
        else:
            page[_DRAWERS[kind]].setdefault(child_id, []).append(orjson.Fragment(fragment))
    else:
        page["more"] = len(found) >= PULL_ROWS
    return page


def _stream_after(session: Session, hub: AppContext, post_id: str, cursor: int) -> list[StreamItem]:
    """Return what follows a position in a post's stream, in order."""
    district = hub.district
    given = {"district": district, "post": post_id, "cursor": cursor}

    def following(model: type[Base], *names: str) -> Sequence[Any]:
        return session.connection().execute(_following(model, *names), given).all()

    found: list[StreamItem] = []
    keys: dict[str, ChildKey] = {}
    for row in following(Child, "id", "state", "wrapped_key", "key_version", "restricted_at"):
        if row.wrapped_key is None or row.restricted_at is not None:
            found.append((row.position, "erased" if row.wrapped_key is None else "left", row.id, b""))
        elif row.state is not None:
            keys[row.id] = hub.vault.child_key(row.id, row.wrapped_key, row.key_version)
            wire = ledger.read_child(district, row.id, row.state, keys[row.id])
            found.append((row.position, "child", row.id, wire))
    measured = following(Measurement, "child_id", "measured_on", "source", "state", "sealed")
    followed = following(FollowUp, "child_id", "task", "state", "sealed")
    aided = following(Delivery, "child_id", "delivery", "state", "sealed")
    missing = {row.child_id for row in (*measured, *followed, *aided) if row.sealed} - keys.keys()
    if missing:
        keys.update(
            {s.id: s.key for s in ledger.subjects(session, hub.vault, district, sorted(missing)).values()}
        )
    for row in measured:
        wire = row.state
        if row.sealed:
            record_id = measurement_id(row.child_id, row.measured_on.isoformat(), row.source)
            wire = ledger.read_measurement(district, record_id, row, keys[row.child_id])
        found.append((row.position, "measurement", row.child_id, wire))
    for row in followed:
        wire = row.state
        if row.sealed:
            record_id = follow_up_id(row.child_id, row.task)
            wire = ledger.read_keyed(district, "follow_up", record_id, row, keys[row.child_id])
        found.append((row.position, "follow_up", row.child_id, wire))
    for row in aided:
        wire = row.state
        if row.sealed:
            record_id = delivery_id(row.child_id, row.delivery)
            wire = ledger.read_keyed(district, "delivery", record_id, row, keys[row.child_id])
        found.append((row.position, "delivery", row.child_id, wire))
    exits = following(PostExit, "child_id")
    erased = _erased(session, district, [row.child_id for row in exits])
    found += [
        (row.position, "erased" if row.child_id in erased else "left", row.child_id, b"") for row in exits
    ]
    found.sort(key=lambda item: item[0])
    return found[:PULL_ROWS]


def _erased(session: Session, district: str, child_ids: Sequence[str]) -> set[str]:
    """Return those of some children whose personal data was erased."""
    if not child_ids:
        return set()
    given = {"district": district, "among": list(child_ids)}
    return set(session.connection().execute(_without_key(), given).scalars())


@cache
def _without_key() -> Select[*tuple[Any, ...]]:
    c = table(Child).c
    return select(c.id).where(c.district == bindparam("district"), among(c.id), c.wrapped_key.is_(None))


@cache
def _following(model: type[Base], *names: str) -> Select[*tuple[Any, ...]]:
    """Select the rows of one table that follow a position in a post's stream.

    Left out are measurements, follow-ups and deliveries of restricted children, and those whose content was erased. The rows
    of these children themselves (`Child`) are selected: the caller turns each into its id alone, as "left" or "erased".
    """
    c, child = table(model).c, table(Child).c
    shown: list[Any] = []
    if model in (Measurement, FollowUp, Delivery):
        hidden = select(child.id).where(
            child.district == bindparam("district"),
            child.post_id == bindparam("post"),
            child.restricted_at.is_not(None),
        )
        shown = [c.child_id.not_in(hidden), c.sealed != ledger.ERASED]
    return (
        select(c.position, *(c[name] for name in names))
        .where(
            c.district == bindparam("district"),
            c.post_id == bindparam("post"),
            c.position > bindparam("cursor"),
            *shown,
        )
        .order_by(c.position)
        .limit(PULL_ROWS)
    )
