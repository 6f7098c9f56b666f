"""Finding the same child registered twice, as records arrive; the same way for a tablet's upload and the office's edit.

Rules kept here:
- Near posts first: a NIK is looked for everywhere, a name within its village for birth dates up to 31 days apart, and in the
  rest of its sub-district for the very day or one with day and month swapped. Nobody's name is unsealed who does not fit
  in date and sex.
- What a person has called different is never found again. An open pair is judged again whenever one of the two changes, and
  taken down when nothing speaks for it any more; linked by whomever, it is linked, and open again when the link is undone.
- Both are flagged, so the other one's post is looked at (and locked, and its stream moved on) as if it had been touched.
- A row of a pair holds codes and percents, never what they were made of.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cache
from operator import itemgetter
from typing import Any, Final

import orjson
from sqlalchemy import bindparam, func, or_, select, union_all
from sqlalchemy.orm import Session

from server.children import ledger, record_linkage
from server.children.assessment import PendingRows, open_pairs
from server.children.name_similarity import WINDOW_DAYS, Likeness, Registration, compare, swapped
from server.context import AppContext
from server.database.engine import Writes, among
from server.database.models import ChangeRow, Child, DuplicatePair, HealthPost, NikIndex, table
from server.sync.pipeline import Arrival, LoadedRecords, heads_of
from sync_protocol import Outcome

OPEN, LINKED, DIFFERENT = "open", "linked", "different"
TELLING: Final = frozenset({"identity", "nik", "parents", "post", "removed"})
"""Registers that say who a child is, and whom it is near."""
SUBDISTRICT_LETTERS: Final = 8
"""Of a village's code: 64.02.06 of 64.02.06.1001."""

Pair = tuple[str, str]
"""The ids of two children, the lesser one first."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What the search adds to what an upload or edit concerns.

    Parameters
    ----------
    fresh : as given, with the open pairs
    others : who must be assessed anew beside those touched, with all who are linked to them
    heads : ends of the streams of their posts, as they were
    """

    fresh: PendingRows
    others: Sequence[str]
    heads: Mapping[str, int]


def pair_of(one: str, other: str) -> Pair:
    """Name a pair."""
    return (one, other) if one < other else (other, one)


def search(
    session: Session,
    hub: AppContext,
    writes: Writes,
    touched: LoadedRecords,
    new: Sequence[Arrival],
    fresh: PendingRows,
    now: datetime,
    *,
    lock: bool,
) -> SearchResult:
    """Find who may be the same child as one of those touched, and judge known pairs again; after the records are folded
    and grouped into persons.

    Parameters
    ----------
    new : the changes, judged: children whose registers in TELLING they set are compared with those near them
    lock : whether the posts of others are to be locked, too
    """
    changes = [a.change for a in new if a.change is not None and a.change.kind == "child"]
    edited = {change.record_id for change in changes if not TELLING.isdisjoint(change.registers)}
    held = _pairs_of(session, hub.district, touched.subjects)
    if not held and not edited:
        return SearchResult(replace(fresh, pairs={}), (), {})
    judged = _judged(session, hub, touched, edited, held)
    wanted = _wanted(touched, held, judged)
    _write(writes, hub.district, held, wanted, now)
    before = {pair: row.score for pair, row in held.items() if row.status == OPEN}
    after = {pair: score for pair, (status, score, _) in wanted.items() if status == OPEN}
    changed = {child_id for pair in before.keys() ^ after.keys() for child_id in pair}
    changed |= {
        child_id for pair in before.keys() & after.keys() if before[pair] != after[pair] for child_id in pair
    }
    strangers = changed - touched.subjects.keys()
    if not strangers:
        return SearchResult(replace(fresh, pairs=after), (), {})
    others = record_linkage.group_of(session, hub.district, strangers)
    elsewhere = {pair: score for pair, score in open_pairs(session, hub, others).items() if pair not in held}
    heads = _move_on(session, writes, hub.district, touched, others, lock=lock)
    return SearchResult(replace(fresh, pairs=after | elsewhere), others, heads)


# -- judging --------------------------------------------------------------------------------------


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


def _judged(
    session: Session,
    hub: AppContext,
    touched: LoadedRecords,
    edited: Collection[str],
    held: Mapping[Pair, Any],
) -> dict[Pair, Likeness]:
    """Compare the edited children with whom they may be, and the pairs that are known; only what speaks for one child."""
    own = {
        child_id: Registration.of(touched.subjects[child_id].post_id, touched.states[child_id])
        for child_id in edited
        if not touched.states[child_id].removed
    }
    pairs = _near(session, hub.district, touched, own.values()) if own else set()
    pairs |= {pair for pair, row in held.items() if row.status != DIFFERENT}
    unread = {child_id for pair in pairs for child_id in pair} - own.keys()
    known = own | _registrations(session, hub, touched, unread)
    likely = {
        pair: like
        for pair in pairs
        if pair[0] in known and pair[1] in known and (like := compare(known[pair[0]], known[pair[1]]))
    }
    together = _measured_together(session, hub.district, touched, likely)
    return {pair: like for pair, like in likely.items() if pair not in together or "nik" in like.why}


def _registrations(
    session: Session, hub: AppContext, touched: LoadedRecords, child_ids: Collection[str]
) -> dict[str, Registration]:
    """Read children who are not removed: as they were folded just now, else as they are stored."""
    found = {}
    for child_id in touched.states.keys() & child_ids:
        if not touched.states[child_id].removed:
            post_id = touched.subjects[child_id].post_id
            found[child_id] = Registration.of(post_id, touched.states[child_id])
    given = {"district": hub.district, "among": sorted(child_ids - touched.states.keys())}
    for row in session.connection().execute(_stored(), given) if given["among"] else ():
        key = hub.vault.child_key(row.id, row.wrapped_key, row.key_version)
        wire = orjson.loads(ledger.read_child(hub.district, row.id, row.state, key))
        found[row.id] = Registration.stored(row.id, row.post_id, wire)
    return found


@cache
def _stored() -> Any:
    """Find what is stored of some children, but for those who were removed or erased."""
    c = table(Child).c
    return select(c.id, c.post_id, c.state, c.wrapped_key, c.key_version).where(
        c.district == bindparam("district"),
        among(c.id),
        ~c.removed,
        c.state.is_not(None),
        c.wrapped_key.is_not(None),
    )


def _measured_together(
    session: Session, district: str, touched: LoadedRecords, pairs: Iterable[Pair]
) -> set[Pair]:
    """Find the pairs of whom one tablet measured both on one day: its cadre had two children before her."""
    pairs = list(pairs)
    ids = sorted({child_id for pair in pairs for child_id in pair})
    if not ids:
        return set()
    visits: dict[str, set[tuple[str, str]]] = {child_id: set() for child_id in ids}
    for row in session.connection().execute(_measuring(), {"district": district, "among": ids}):
        day = orjson.loads(row.header)["key"]["measured_on"]
        visits[row.child_id].add((row.actor, day))
    for record_id, child_id in touched.records.items():
        for change in touched.histories[record_id].changes if child_id in visits else ():
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
    session: Session, district: str, touched: LoadedRecords, own: Collection[Registration]
) -> set[Pair]:
    """Give who is to be compared: by NIK, and in one upload and with near posts by date and sex. Two of whom both have a
    NIK need no look at their dates: they have one, or are two."""
    pairs = _by_nik(session, district, touched, own)
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
"""When and as whom a child of this upload was born, by one of its identities: date, id, sex, and whether it has a NIK."""


@cache
def _villagers() -> Any:
    """Find the children of some posts and of the others in their villages. Nothing is asked of their birth dates: SQLite
    would rather read a district's children by date than a village's by post."""
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
    """Find the children born on some days in the sub-districts of some posts."""
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


def _by_nik(
    session: Session, district: str, touched: LoadedRecords, own: Iterable[Registration]
) -> set[Pair]:
    """Find who bears the same NIK, at whichever post of the district; in another district nobody is named."""
    bearers: dict[bytes, set[str]] = {}
    for child in own:
        vault = touched.subjects[child.child_id].vault
        for nik in child.niks:
            bearers.setdefault(vault.blind_index(nik), set()).add(child.child_id)
    if not bearers:
        return set()
    c = table(NikIndex).c
    rows = session.execute(
        select(c.blind, c.child_id).where(c.blind.in_(list(bearers)), c.district == district)
    )
    everybody = {blind: set(ids) for blind, ids in bearers.items()}
    for blind, child_id in rows:
        everybody[blind].add(child_id)
    return {
        pair_of(one, other)
        for blind, ids in bearers.items()
        if len(everybody[blind]) > 1
        for one in ids
        for other in everybody[blind]
        if other != one
    }


# -- writing --------------------------------------------------------------------------------------

Wanted = tuple[str, int, str]
"""A pair as it is to be stored: status, score, why."""


def _wanted(
    touched: LoadedRecords, held: Mapping[Pair, Any], judged: Mapping[Pair, Likeness]
) -> dict[Pair, Wanted]:
    """Say what is to be stored of every pair of the children touched; what is left out is taken down."""
    person = {child_id: subject.person_id for child_id, subject in touched.subjects.items()}
    wanted: dict[Pair, Wanted] = {}
    for pair in {*held, *judged}:
        row, like = held.get(pair), judged.get(pair)
        one = person.get(pair[0]) is not None and person.get(pair[0]) == person.get(pair[1])
        if row is not None and row.status == DIFFERENT:
            wanted[pair] = (DIFFERENT, row.score, row.why)
        elif one and row is not None:
            wanted[pair] = (LINKED, row.score, row.why)
        elif like is not None and not one:
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


def _move_on(
    session: Session,
    writes: Writes,
    district: str,
    touched: LoadedRecords,
    others: Sequence[str],
    *,
    lock: bool,
) -> dict[str, int]:
    """Look at (or lock) the posts of others whose flags change, and move their streams on."""
    heads = heads_of(session, {"district": district, "posts": [], "children": list(others)}, lock=lock)
    touched.posts.watch(heads)
    for post_id in heads:
        touched.posts.next(post_id)
    touched.posts.save(writes, district)
    return heads
