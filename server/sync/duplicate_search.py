"""Finds children registered twice, as records arrive; the same way for uploads and for the server's own changes.

Rules kept here:
- A NIK is looked for in the whole district; a name within the village for birth dates up to 31 days apart, and in the rest
  of the sub-district for the same date or one with day and month swapped. A name is decrypted only if date and sex fit.
- A pair that a person has decided to be different children is never found again. An open pair is compared again whenever one
  of the two changes, and removed when nothing indicates a duplicate any more. A pair that is linked, by whomever, has the
  status "linked", and is open again when the link is undone.
- Both children are flagged, so the other child's post is read (and locked, and its stream advanced) as well.
- A child has at most MOST_PAIRS pairs at once, the most alike; its pairs say how many were left out (`likely_pairs`).
- A search reads children of posts that its plan does not lock, so equal heads do not show that it would still find the same.
  What it read is part of the plan's basis (`SearchBasis`) and is read again under the locks; and whoever changes what a
  search looks at holds `lock_registrations`. So of two posts that register one child at one moment the second finds it.
- The row of a pair holds codes and percentages, never the values that were compared.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cache, partial
from operator import itemgetter
from typing import Any, Final

import orjson
from sqlalchemy import bindparam, func, or_, select, union_all
from sqlalchemy.orm import Session

from server import isolation
from server.children import ledger, linked_records
from server.children.assessment import PendingRows, open_pairs
from server.children.likely_pairs import MORE, Pair, compared, most_alike
from server.children.name_similarity import WINDOW_DAYS, Likeness, Registration, swapped
from server.context import AppContext
from server.database.engine import among
from server.database.models import (
    ChangeRow,
    Child,
    DuplicatePair,
    HealthPost,
    Installation,
    NikIndex,
    table,
)
from server.database.writes import Writes
from server.sync.judging import JudgedChange
from server.sync.loading import LoadedRecords
from server.sync.streams import heads_of
from sync_protocol import Outcome

OPEN, LINKED, DIFFERENT = "open", "linked", "different"
IDENTIFYING: Final = frozenset({"identity", "nik", "parents", "post", "removed"})
"""Registers that say who a child is, and which children it must be compared with."""
SUBDISTRICT_LETTERS: Final = 8
"""Leading characters of a village's code that name the sub-district: 64.02.06 of 64.02.06.1001."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What the search adds to a plan.

    Parameters
    ----------
    pending : as given, with the open pairs
    others : further children who must be assessed again, with all who are linked to them
    heads : heads of the streams of their posts, as they were
    basis : what was read of children beyond the plan's; None if nothing was searched
    """

    pending: PendingRows
    others: Sequence[str]
    heads: Mapping[str, int]
    basis: "SearchBasis | None" = None


@dataclass(frozen=True, slots=True)
class SearchBasis:
    """What a search read of children beyond those of its plan.

    Parameters
    ----------
    own : the registrations that were searched with
    holders : the children of `own` who have a NIK, by its blind index
    near : the pairs that were found near, compared or not
    positions : of the other children who were compared, the position of each as it was read
    """

    own: Sequence[Registration]
    holders: Mapping[bytes, Collection[str]]
    near: Collection[Pair]
    positions: Mapping[str, int]

    def still_stands(self, session: Session, district: str) -> bool:
        """Say whether a search would read the same now; the caller holds `lock_registrations`."""
        given = {"district": district, "among": sorted(self.positions)}
        rows = session.connection().execute(_positions(), given) if self.positions else ()
        if {row.id: row.position for row in rows} != self.positions:
            return False
        return _near(session, district, self.own, self.holders) == self.near


def identifies(kind: str, registers: Iterable[str]) -> bool:
    """Say whether a change can make or end a pair, by the registers that it sets."""
    return kind == "child" and not IDENTIFYING.isdisjoint(registers)


def lock_registrations(session: Session, district: str) -> None:
    """Let no other transaction write what searches look at, until this one ends. SQLite has one writer anyway.

    To be taken before the locks of posts, so that no two wait for each other.
    """
    i = table(Installation).c
    session.execute(select(i.district).where(i.district == district).with_for_update(key_share=True))


def pair_of(one: str, other: str) -> Pair:
    """Return the pair of two children."""
    return (one, other) if one < other else (other, one)


def search(
    session: Session,
    hub: AppContext,
    writes: Writes,
    loaded: LoadedRecords,
    judged: Sequence[JudgedChange],
    pending: PendingRows,
    now: datetime,
    *,
    lock: bool,
) -> SearchResult:
    """Find possible duplicates of the loaded children, and compare known pairs again; after `save` has grouped the records.

    Parameters
    ----------
    judged : the changes with their outcomes. A child is compared with the children near it if one of these changes sets an
        IDENTIFYING register of it and was not quarantined, and if its record is not removed
    lock : lock the posts of the other children, too
    """
    changes = [one.change for one in judged if one.change is not None]
    edited = {change.record_id for change in changes if identifies(change.kind, change.registers)}
    held = _pairs_of(session, hub.district, loaded.subjects)
    if not held and not edited:
        return SearchResult(replace(pending, pairs={}), (), {})
    likely, basis, unread = _compared(session, hub, loaded, edited, held)
    wanted = _wanted(loaded, held, likely)
    wanted |= {p: (row.status, row.score, row.why) for p, row in held.items() if not unread.isdisjoint(p)}
    _write(writes, hub.district, held, wanted, now)
    before = {pair: row.score for pair, row in held.items() if row.status == OPEN}
    after = {pair: score for pair, (status, score, _) in wanted.items() if status == OPEN}
    changed = {child_id for pair in before.keys() ^ after.keys() for child_id in pair}
    changed |= {
        child_id for pair in before.keys() & after.keys() if before[pair] != after[pair] for child_id in pair
    }
    not_loaded = changed - loaded.subjects.keys()
    if not not_loaded:
        return SearchResult(replace(pending, pairs=after), (), {}, basis)
    others = linked_records.group_of(session, hub.district, not_loaded)
    elsewhere = {pair: score for pair, score in open_pairs(session, hub, others).items() if pair not in held}
    heads = _advance(session, hub.district, loaded, others, lock=lock)
    return SearchResult(replace(pending, pairs=after | elsewhere), others, heads, basis)


# -- comparing ------------------------------------------------------------------------------------


def _pairs_of(session: Session, district: str, child_ids: Iterable[str]) -> dict[Pair, Any]:
    given = {"district": district, "among": list(child_ids)}
    rows = session.connection().execute(_known_pairs(), given)
    return {(row.child_id, row.other_id): row for row in rows}


@cache
def _known_pairs() -> Any:
    c = table(DuplicatePair).c
    pairs = select(
        c.child_id, c.other_id, c.why, c.score, c.status, c.found_at, c.decided_by, c.decided_at
    ).where(c.district == bindparam("district"))
    return union_all(pairs.where(among(c.child_id)), pairs.where(among(c.other_id)))


def _compared(
    session: Session,
    hub: AppContext,
    loaded: LoadedRecords,
    edited: Collection[str],
    held: Mapping[Pair, Any],
) -> tuple[dict[Pair, Likeness], SearchBasis | None, set[str]]:
    """Compare the edited children with those near them, and the known pairs; return the pairs that may be one child, what
    was read for that beyond the plan's children, and the children who cannot be read: their pairs stay as they are."""
    crowded = {child_id for pair, row in held.items() if MORE in orjson.loads(row.why) for child_id in pair}
    own, _, unread = _registrations(session, hub, loaded, {*edited, *(crowded & loaded.subjects.keys())})
    holders = _holders(hub, own.values())
    near = _near(session, hub.district, own.values(), holders) if own else set()
    pairs = (near | held.keys()) - {pair for pair, row in held.items() if row.status == DIFFERENT}
    wanted = {child_id for pair in pairs for child_id in pair} - own.keys()
    others, positions, also_unread = _registrations(session, hub, loaded, wanted)
    likely = compared(pairs, own | others)
    together = _measured_together(session, hub.district, loaded, likely)
    likely = {pair: like for pair, like in likely.items() if pair not in together or "nik" in like.why}
    linked = {p: likely.pop(p) for p, row in held.items() if row.status == LINKED and p in likely}
    basis = SearchBasis(list(own.values()), holders, near, positions) if edited else None
    return linked | most_alike(likely, held, own), basis, unread | also_unread


def _registrations(
    session: Session, hub: AppContext, loaded: LoadedRecords, child_ids: Collection[str]
) -> tuple[dict[str, Registration], dict[str, int], set[str]]:
    """Read children who are not removed: as folded just now, else as stored, and then with their positions; and return who
    cannot be read."""
    found, positions, unread = {}, {}, set()
    for child_id in loaded.states.keys() & child_ids:
        if not loaded.states[child_id].removed:
            post_id = loaded.subjects[child_id].post_id
            found[child_id] = Registration.of(post_id, loaded.states[child_id])
    given = {"district": hub.district, "among": sorted(child_ids - loaded.states.keys())}
    for row in session.connection().execute(_stored(), given) if given["among"] else ():
        registration, _ = isolation.attempt(partial(_read, hub, row), "duplicates")
        if registration is not None:
            found[row.id] = registration
            positions[row.id] = row.position
        else:
            unread.add(row.id)
    return found, positions, unread


def _read(hub: AppContext, row: Any) -> Registration:
    key = hub.vault.child_key(row.id, row.wrapped_key, row.key_version)
    wire = orjson.loads(ledger.read_child(hub.district, row.id, row.state, key))
    return Registration.stored(row.id, row.post_id, wire)


@cache
def _stored() -> Any:
    """Select some children, without those removed or erased."""
    c = table(Child).c
    columns = (c.id, c.post_id, c.position, c.state, c.wrapped_key, c.key_version)
    return select(*columns).where(*_readable())


@cache
def _positions() -> Any:
    c = table(Child).c
    return select(c.id, c.position).where(*_readable())


def _readable() -> tuple[Any, ...]:
    c = table(Child).c
    here = c.district == bindparam("district"), among(c.id)
    return *here, ~c.removed, c.state.is_not(None), c.wrapped_key.is_not(None)


def _measured_together(
    session: Session, district: str, loaded: LoadedRecords, pairs: Iterable[Pair]
) -> set[Pair]:
    """Return the pairs of which one tablet measured both on one day: its cadre saw two children."""
    pairs = list(pairs)
    ids = sorted({child_id for pair in pairs for child_id in pair})
    if not ids:
        return set()
    visits: dict[str, set[tuple[str, str]]] = {child_id: set() for child_id in ids}
    for row in session.connection().execute(_measuring(), {"district": district, "among": ids}):
        day = orjson.loads(row.header)["key"]["measured_on"]
        visits[row.child_id].add((row.actor, day))
    for record_id, child_id in loaded.records.items():
        for change in loaded.histories[record_id].changes if child_id in visits else ():
            if change.kind == "measurement":
                visits[child_id].add((change.dot.actor, change.key["measured_on"]))
    by_tablets = {
        child_id: {(actor, day) for actor, day in found if not actor.startswith("hub:")}
        for child_id, found in visits.items()
    }
    return {(one, other) for one, other in pairs if by_tablets[one] & by_tablets[other]}


@cache
def _measuring() -> Any:
    c = table(ChangeRow).c
    return select(c.child_id, c.actor, c.header).where(
        c.district == bindparam("district"),
        among(c.child_id),
        c.kind == "measurement",
        c.outcome != Outcome.QUARANTINED.value,
    )


# -- near posts -----------------------------------------------------------------------------------


def _near(
    session: Session,
    district: str,
    own: Collection[Registration],
    holders: Mapping[bytes, Collection[str]],
) -> set[Pair]:
    """Return the pairs to compare: by NIK; and by date and sex, within the upload and with near posts. Pairs that both have
    a NIK are decided by NIK alone."""
    pairs = _by_nik(session, district, holders)
    births = [
        (born_on, child.child_id, sex, bool(child.niks))
        for child in own
        for _, sex, born_on, _ in child.identities
        if born_on
    ]
    births.sort(key=itemgetter(0))
    if not births:
        return pairs
    days = [born_on for born_on, *_ in births]
    by_day: dict[date, list[Birth]] = {}
    for birth in births:
        by_day.setdefault(birth[0], []).append(birth)

    def meet(child_id: str, sex: str | None, has_nik: bool, others: Iterable[Birth]) -> None:
        for _, other_id, its_sex, it_has in others:
            if (
                not (has_nik and it_has)
                and other_id != child_id
                and (sex == its_sex or sex is None or its_sex is None)
            ):
                pairs.add(pair_of(child_id, other_id))

    def turned(born_on: date) -> Sequence[Birth]:
        other = swapped(born_on)
        return by_day.get(other, ()) if other else ()

    def within(born_on: date) -> slice:
        low, high = born_on - timedelta(WINDOW_DAYS), born_on + timedelta(WINDOW_DAYS)
        return slice(bisect_left(days, low), bisect_right(days, high))

    for number, (born_on, child_id, sex, has_nik) in enumerate(births):
        meet(child_id, sex, has_nik, births[number + 1 : within(born_on).stop])
        meet(child_id, sex, has_nik, turned(born_on))
    mine = {child.child_id for child in own}
    given: dict[str, Any] = {"district": district, "posts": sorted({child.post_id for child in own})}
    for child_id, sex, born_on in session.connection().execute(_villagers(), given):
        if child_id not in mine:
            meet(child_id, sex, False, births[within(born_on)])
            meet(child_id, sex, False, turned(born_on))
    same_day = {day for born_on in by_day for day in (born_on, swapped(born_on)) if day}
    given["days"] = sorted(same_day)
    for child_id, sex, born_on in session.connection().execute(_neighbours(), given):
        if child_id not in mine:
            meet(child_id, sex, False, by_day.get(born_on, ()))
            meet(child_id, sex, False, turned(born_on))
    return pairs


Birth = tuple[date, str, str | None, bool]
"""One identity of a child of this upload: birth date, id, sex, and whether it has a NIK."""


@cache
def _villagers() -> Any:
    """Select the children of some posts and of the other posts in their villages. There is no condition on birth dates, for
    SQLite would then read a district's children by date instead of a village's by post."""
    c, p, own = table(Child).c, table(HealthPost).c, table(HealthPost).alias("own").c
    villages = select(own.village_code).where(own.district == bindparam("district"), among(own.id, "posts"))
    around = select(p.id).where(
        p.district == bindparam("district"), or_(among(p.id, "posts"), p.village_code.in_(villages))
    )
    return select(c.id, c.sex, c.born_on).where(
        c.district == bindparam("district"),
        c.post_id.in_(around),
        c.born_on.is_not(None),
        ~c.removed,
        c.registered,
    )


@cache
def _neighbours() -> Any:
    """Select the children born on some days in the sub-districts of some posts."""
    c, p, own = table(Child).c, table(HealthPost).c, table(HealthPost).alias("own").c
    prefix = func.substr(own.village_code, 1, SUBDISTRICT_LETTERS)
    subdistricts = select(prefix).where(own.district == bindparam("district"), among(own.id, "posts"))
    around = select(p.id).where(
        p.district == bindparam("district"),
        func.substr(p.village_code, 1, SUBDISTRICT_LETTERS).in_(subdistricts),
    )
    return select(c.id, c.sex, c.born_on).where(
        c.district == bindparam("district"),
        c.born_on.in_(bindparam("days", expanding=True)),
        c.post_id.in_(around),
        ~c.removed,
        c.registered,
    )


def _holders(hub: AppContext, own: Iterable[Registration]) -> dict[bytes, set[str]]:
    holders: dict[bytes, set[str]] = {}
    for child in own:
        for nik in child.niks:
            holders.setdefault(hub.vault.blind_index(nik), set()).add(child.child_id)
    return holders


def _by_nik(session: Session, district: str, holders: Mapping[bytes, Collection[str]]) -> set[Pair]:
    """Return the pairs with the same NIK, at whichever post of the district; other districts are not looked at."""
    if not holders:
        return set()
    c = table(NikIndex).c
    rows = session.execute(
        select(c.blind_index, c.child_id).where(c.blind_index.in_(list(holders)), c.district == district)
    )
    all_holders = {blind: set(ids) for blind, ids in holders.items()}
    for blind, child_id in rows:
        all_holders[blind].add(child_id)
    return {
        pair_of(one, other)
        for blind, ids in holders.items()
        if len(all_holders[blind]) > 1
        for one in ids
        for other in all_holders[blind]
        if other != one
    }


# -- writing --------------------------------------------------------------------------------------

Wanted = tuple[str, int, str]
"""A pair as it is to be stored: status, score, why."""


def _wanted(
    loaded: LoadedRecords, held: Mapping[Pair, Any], likely: Mapping[Pair, Likeness]
) -> dict[Pair, Wanted]:
    """Return what is to be stored of every pair of the loaded children; pairs left out are removed."""
    person = {child_id: subject.person_id for child_id, subject in loaded.subjects.items()}
    wanted: dict[Pair, Wanted] = {}
    for pair in {*held, *likely}:
        row, like = held.get(pair), likely.get(pair)
        same = person.get(pair[0]) is not None and person.get(pair[0]) == person.get(pair[1])
        if row is not None and row.status == DIFFERENT:
            wanted[pair] = (DIFFERENT, row.score, row.why)
        elif same and row is not None:
            wanted[pair] = (LINKED, row.score, row.why)
        elif like is not None and not same:
            why = orjson.dumps(like.why, option=orjson.OPT_SORT_KEYS).decode()
            wanted[pair] = (OPEN, like.score, why)
    return wanted


def _write(
    writes: Writes, district: str, held: Mapping[Pair, Any], wanted: Mapping[Pair, Wanted], now: datetime
) -> None:
    rows = []
    for pair, (status, score, why) in sorted(wanted.items()):
        row = held.get(pair)
        if row is not None and (row.status, row.score, row.why) == (status, score, why):
            continue
        stays = row is not None and row.status == status
        rows.append(
            {
                **_key(district, pair),
                "why": why,
                "score": score,
                "status": status,
                "found_at": row.found_at if row else now,
                "decided_by": row.decided_by if row and stays else None,
                "decided_at": row.decided_at if row and stays else None,
            }
        )
    writes.upsert(table(DuplicatePair), rows)
    writes.remove(
        table(DuplicatePair), [_key(district, pair) for pair in sorted(held.keys() - wanted.keys())]
    )


def _key(district: str, pair: Pair) -> dict[str, Any]:
    return {"district": district, "child_id": pair[0], "other_id": pair[1]}


def _advance(
    session: Session, district: str, loaded: LoadedRecords, others: Sequence[str], *, lock: bool
) -> dict[str, int]:
    """Advance the streams of the posts of other children whose flags change; return their heads before that."""
    heads = heads_of(session, {"district": district, "posts": [], "children": list(others)}, lock=lock)
    loaded.posts.watch(heads)
    for post_id in heads:
        loaded.posts.next(post_id)
    return heads
