"""The pull: what follows a tablet's cursor in the stream of its post.

Rules kept here: an answer has at most `max_pull_bytes`; of a child who left the post, was erased or is restricted only the
id is sent, in `left` (of an erased child in `erased` as well), and none of its records.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
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

_STREAM: Final = (Child, Measurement, FollowUp, Delivery, PostExit)

StreamItem = tuple[int, str, str, bytes]
"""(position, kind, child id, JSON); kind "left" or "erased" where the child is not for tablets any more."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a tablet wants of the pull; everything, unless it says otherwise.

    Parameters
    ----------
    nothing : the page is empty and the cursor stays; `more` says whether the stream goes on after it
    max_bytes : of the page; the server's limit holds too
    since : measurements of earlier days are left out
    """

    nothing: bool = False
    max_bytes: int | None = None
    since: date | None = None


EVERYTHING: Final = Wanted()


def empty_page(cursor: int, *, more: bool = False) -> dict[str, Any]:
    """Return the pull of a tablet that may see nothing (it was revoked, or only sends), or wants nothing."""
    return {
        "cursor": cursor,
        "more": more,
        "children": [],
        "measurements": {},
        "follow_ups": {},
        "deliveries": {},
        "left": [],
    }


def page_after(
    session: Session, hub: AppContext, post_id: str, cursor: int, wanted: Wanted = EVERYTHING
) -> dict[str, Any]:
    """Return what changed at a post since a position, at most `max_pull_bytes`.

    Parameters
    ----------
    cursor : the position up to which the tablet has pulled; 0 for everything

    Returns
    -------
    dict : `children`, `measurements`, `follow_ups` and `deliveries` (these by child) as wire fragments, ids of children
        that `left`, those of them that were `erased` (absent if none), the next `cursor`, and whether there is `more`
    """
    found = _stream_after(session, hub, post_id, cursor, wanted.since)
    page: dict[str, Any] = empty_page(cursor)
    room = min(hub.settings.max_pull_bytes, wanted.max_bytes or hub.settings.max_pull_bytes)
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


def is_behind(session: Session, hub: AppContext, post_id: str, cursor: int) -> bool:
    """Say whether something follows a position in a post's stream."""
    given = {"district": hub.district, "post": post_id, "cursor": cursor, "since": None}
    queries = (_following(model, of_days=False).limit(1) for model in _STREAM)
    return any(session.connection().execute(query, given).first() for query in queries)


def _stream_after(
    session: Session, hub: AppContext, post_id: str, cursor: int, since: date | None
) -> list[StreamItem]:
    """Return what follows a position in a post's stream, in order."""
    district = hub.district
    given = {"district": district, "post": post_id, "cursor": cursor, "since": since}

    def following(model: type[Base], *names: str) -> Sequence[Any]:
        query = _following(model, *names, of_days=since is not None)
        return session.connection().execute(query, given).all()

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
def _following(model: type[Base], *names: str, of_days: bool) -> Select[*tuple[Any, ...]]:
    """Select the rows of one table that follow a position in a post's stream.

    Left out are measurements, follow-ups and deliveries of restricted children, and those whose content was erased. The rows
    of these children themselves (`Child`) are selected: the caller turns each into its id alone, as "left" or "erased".
    With `of_days` measurements of days before `since` are left out.
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
    if of_days and model is Measurement:
        shown.append(c.measured_on >= bindparam("since"))
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
