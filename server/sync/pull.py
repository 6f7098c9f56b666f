"""The pull: what follows a tablet's cursor in the stream of its post.

Rules kept here: an answer has at most `max_pull_bytes`, and no more is decrypted than is sent; of a child who left the post,
was erased or is restricted only the id is sent, in `left` (of an erased child in `erased` as well), and none of its records.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache, partial
from operator import itemgetter
from typing import Any, Final

import orjson
from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from server import isolation
from server.children import ledger
from server.context import AppContext
from server.crypto.vault import ChildKey
from server.database.engine import among
from server.database.models import Base, Child, Delivery, FollowUp, Measurement, PostExit, table
from server.sync.writers import Dots, Place, dots_in_conflict, written
from sync_protocol import delivery_id, follow_up_id, measurement_id

CHUNK_ROWS: Final = 1000
"""Most rows of each table that are read at once."""
_ROOM_PER_ROW: Final = 48
"""Bytes of an answer for each row beside the row itself."""
_DRAWERS: Final = {"measurement": "measurements", "follow_up": "follow_ups", "delivery": "deliveries"}
"""The part of a page that holds the records of each kind, by child."""
_STREAM: Final = (Child, Measurement, FollowUp, Delivery, PostExit)

StreamItem = tuple[int, str, str, Any]
"""(position, kind, child id, row); "left" or "erased" and no row, where the child is not for tablets any more."""


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
        that `left`, those of them that were `erased` (absent if none), who wrote the values of conflicts (`written`, by
        child; absent if there are none), the next `cursor`, and whether there is `more`
    """
    if wanted.nothing:
        return empty_page(cursor, more=is_behind(session, hub, post_id, cursor))
    return fill_page(session, hub, post_id, cursor, wanted, room_for(hub, wanted))[0]


def room_for(hub: AppContext, wanted: Wanted) -> int:
    """Return how many bytes the pull of one answer may have."""
    return min(hub.settings.max_pull_bytes, wanted.max_bytes or hub.settings.max_pull_bytes)


def fill_page(
    session: Session, hub: AppContext, post_id: str, cursor: int, wanted: Wanted, room: int
) -> tuple[dict[str, Any], int]:
    """Return a page as `page_after` does, of at most `room` bytes or one record, and the room that is left."""
    page, states = empty_page(cursor), _States(session, hub)
    for position, kind, child_id, row in _stream_after(session, states, post_id, cursor, wanted.since):
        room -= _ROOM_PER_ROW + (len(row.state) if row is not None else 0)  # decrypted it is a little shorter
        if room < 0 and page["cursor"] != cursor:  # a record that is larger than an answer still goes, alone
            page["more"] = True
            break
        page["cursor"] = position
        if row is None:
            _tell_absence(page, kind, child_id)
        elif (fragment := states.fragment(kind, child_id, row)) is None:
            continue
        elif kind == "child":
            page["children"].append(fragment)
        else:
            page[_DRAWERS[kind]].setdefault(child_id, []).append(fragment)
    if told := written(session, hub.district, states.conflicts):
        page["written"] = told
    return page, max(room, 0)


def _tell_absence(page: dict[str, Any], kind: str, child_id: str) -> None:
    page["left"].append(child_id)
    if kind == "erased":
        page.setdefault("erased", []).append(child_id)


def is_behind(session: Session, hub: AppContext, post_id: str, cursor: int) -> bool:
    """Say whether something follows a position in a post's stream."""
    given = {"district": hub.district, "post": post_id, "cursor": cursor, "since": None}
    queries = (_following(model, of_days=False).limit(1) for model in _STREAM)
    return any(session.connection().execute(query, given).first() for query in queries)


def _stream_after(
    session: Session, states: "_States", post_id: str, cursor: int, since: date | None
) -> Iterator[StreamItem]:
    """Yield what follows a position in a post's stream, in order; read in chunks."""
    end: int | None = cursor
    while end is not None:
        items, end = _chunk_after(session, states, post_id, end, since)
        yield from items


def _chunk_after(
    session: Session, states: "_States", post_id: str, cursor: int, since: date | None
) -> tuple[list[StreamItem], int | None]:
    """Return the next items of a stream, and the position up to which these are all; None if nothing follows them."""
    given = {"district": states.hub.district, "post": post_id, "cursor": cursor, "since": since}

    def following(model: type[Base], *names: str) -> Sequence[Any]:
        query = _following(model, *names, of_days=since is not None)
        return session.connection().execute(query, given).all()

    children = following(Child, "id", "state", "wrapped_key", "key_version", "restricted_at")
    exits = following(PostExit, "child_id")
    records = {
        "measurement": following(Measurement, "child_id", "measured_on", "source", "state", "sealed"),
        "follow_up": following(FollowUp, "child_id", "task", "state", "sealed"),
        "delivery": following(Delivery, "child_id", "delivery", "state", "sealed"),
    }
    erased = _erased(session, states.hub.district, [row.child_id for row in exits])
    items = [item for row in children if (item := _of_child(row))]
    items += [(row.position, kind, row.child_id, row) for kind, rows in records.items() for row in rows]
    items += [
        (row.position, "erased" if row.child_id in erased else "left", row.child_id, None) for row in exits
    ]
    states.learn_keys(children, [row for rows in records.values() for row in rows])
    full = [rows[-1].position for rows in (children, exits, *records.values()) if len(rows) == CHUNK_ROWS]
    end = min(full, default=None)
    items.sort(key=itemgetter(0))
    if end is not None:
        del items[bisect_right(items, end, key=itemgetter(0)) :]
    return items, end


def _of_child(row: Any) -> StreamItem | None:
    """Return the item of a child's own row; None if it is not registered yet."""
    if row.wrapped_key is None or row.restricted_at is not None:
        return row.position, "erased" if row.wrapped_key is None else "left", row.id, None
    return (row.position, "child", row.id, row) if row.state is not None else None


@dataclass(slots=True)
class _States:
    """Decrypts stored states, and unwraps the keys for that, one by one as they are sent."""

    session: Session
    hub: AppContext
    wrapped: dict[str, Any] = field(default_factory=dict)
    opened: dict[str, ChildKey] = field(default_factory=dict)
    conflicts: dict[Place, Dots] = field(default_factory=dict)
    """The values in conflict of the records that were given."""

    def learn_keys(self, children: Iterable[Any], records: Iterable[Any]) -> None:
        """Load the wrapped keys for the rows of a chunk."""
        self.wrapped.update({row.id: row for row in children if row.wrapped_key is not None})
        missing = {row.child_id for row in records if row.sealed} - self.wrapped.keys()
        if missing:
            given = {"district": self.hub.district, "among": sorted(missing)}
            self.wrapped.update({row.id: row for row in self.session.connection().execute(_keys(), given)})

    def fragment(self, kind: str, child_id: str, row: Any) -> orjson.Fragment | None:
        """Return a record as JSON in wire form; None if it cannot be read: one damaged record must not keep all others
        from a post's tablets for ever. (If no key can be unwrapped this fails: then all are without theirs.)"""
        read = partial(self._state, kind, child_id, row)
        state, _ = isolation.attempt(read, "pull")
        if state is None and child_id in self.wrapped:
            ledger.key_is_damaged(self.session, self.hub.vault, self.hub.district, self.wrapped[child_id])
        if state is None:
            return None
        if dots := dots_in_conflict(state):
            self.conflicts[child_id, child_id if kind == "child" else _record_id(kind, row)] = dots
        return orjson.Fragment(state)

    def _state(self, kind: str, child_id: str, row: Any) -> bytes:
        state = row.state if kind != "child" and not row.sealed else self._decrypted(kind, child_id, row)
        orjson.loads(state)  # a fragment is sent as it is: damaged, it would spoil the whole page
        return bytes(state)

    def _decrypted(self, kind: str, child_id: str, row: Any) -> bytes:
        if kind == "child":
            return ledger.read_child(self.hub.district, row.id, row.state, self._key(child_id))
        return ledger.read_keyed(self.hub.district, kind, _record_id(kind, row), row, self._key(child_id))

    def _key(self, child_id: str) -> ChildKey:
        if child_id not in self.opened:
            row = self.wrapped[child_id]
            self.opened[child_id] = self.hub.vault.child_key(child_id, row.wrapped_key, row.key_version)
        return self.opened[child_id]


def _record_id(kind: str, row: Any) -> str:
    if kind == "measurement":
        return measurement_id(row.child_id, row.measured_on.isoformat(), row.source)
    return (
        follow_up_id(row.child_id, row.task)
        if kind == "follow_up"
        else delivery_id(row.child_id, row.delivery)
    )


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
def _keys() -> Select[*tuple[Any, ...]]:
    c = table(Child).c
    return select(c.id, c.wrapped_key, c.key_version).where(c.district == bindparam("district"), among(c.id))


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
        .limit(CHUNK_ROWS)
    )
