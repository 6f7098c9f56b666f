"""Who needs aid and has none, where aid overlaps, and which commitment could cover which gap. A person decides.

Rules kept here:
- Needed is aid by whoever is flagged now as stunted, wasted (MUAC and oedema too) or 2T, or whose family is at risk (KRS). A
  person counts once, under the gravest reason; linked records are one person.
- Aid stands while it lasts: until `ends_on`; without one, 30 days from the day it was given, for ever if it was built (a
  latrine, water, a house). What is promised and not brought yet is told apart. What was found not received is none.
- A proposal goes by need, then place, then menu: those in greatest need first; for each the commitment for the narrowest
  place that holds it; of those the one whose menu helps that need best; then the one that began first. So a commitment for
  one village is not used up elsewhere. That is greedy on purpose: every step can be told in a sentence.
- Proposals are of a commitment, a village and a need, with how many it reaches. Assigning one writes promised deliveries of
  exactly the children it counted, whom nobody but the health service and the cadres sees.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from sqlalchemy import ColumnElement, Text, and_, cast, literal_column, or_, select
from sqlalchemy.orm import Session, defer

from server import audit, office
from server.aid.area import Area
from server.aid.register import Promise, promises
from server.aid.rules import rules
from server.aid.sheets import DELIVERY_KNOWN, REPORTED_TWICE
from server.aid.words import FOR_STUNTING, NEEDS, STATE
from server.attention import NO_FLAG
from server.db import strung
from server.errors import Problem
from server.hub import Hub
from server.models import AidActivity, Attention, Child, Delivery, Donor, FollowUp, HealthPost
from server.office import Edit
from server.places import new_id
from server.review.scope import queue_within, rows_within, within

NEED_OF: Final = {
    "severely_stunted": "stunted",
    "stunted": "stunted",
    "oedema": "wasted",
    "severely_wasted": "wasted",
    "wasted": "wasted",
    "muac_severe": "wasted",
    "muac_moderate": "wasted",
    "two_t": "two_t",
}
"""The flags that call for aid, and the need that each is."""
BUILT: Final = frozenset({"latrine", "water", "housing"})
ONCE: Final = timedelta(30)
OLDEST: Final = timedelta(1826)
FIRST_DAY, LAST_DAY = date.min.isoformat(), date.max.isoformat()
ID: Final = 36
"""How long an id is."""
_ORDER: Final = {need: rank for rank, need in enumerate(NEEDS)}


Ids = np.ndarray[Any, np.dtype[np.bytes_]]
Numbers = np.ndarray[Any, np.dtype[np.intp]]


@dataclass(slots=True)
class Needing:
    """Who needs aid, in columns: a regency has 25,000.

    Parameters
    ----------
    villages : their codes, "" for none; everything else names one by its place here
    helped, promised : by village, to how many aid was brought that lasts, and to how many it was not brought yet
    lacking : everybody else by need, in greatest need first: who, and in which village
    """

    villages: list[str]
    helped: Numbers
    promised: Numbers
    lacking: dict[str, tuple[Ids, Numbers]]


@dataclass(slots=True)
class Village:
    """What is needed and what is given in a village; `gap` counts by need those who have nothing."""

    code: str
    gap: Counter[str] = field(default_factory=Counter)
    promised: int = 0
    helped: int = 0
    value_rp: int = 0
    activities: int = 0

    @property
    def lacking(self) -> int:
        return self.gap.total()

    @property
    def needing(self) -> int:
        return self.lacking + self.promised + self.helped


@dataclass(frozen=True, slots=True)
class Twice:
    """One person who gets the same menu from several at once."""

    child_id: str
    village: str | None
    menu: str
    sources: tuple[str, ...]


@dataclass(slots=True, eq=False)
class Proposal:
    """A commitment that could cover a gap: so many of one need in one village. `seen` names exactly whom: those of `ids` at
    `places`."""

    promise: Promise
    village: str
    need: str
    near: str
    ids: Ids
    places: list[int]

    @property
    def count(self) -> int:
        return len(self.places)

    @property
    def children(self) -> list[str]:
        return sorted(self.ids[place].decode() for place in self.places)

    @property
    def seen(self) -> str:
        text = "/".join((self.promise.id, self.village, self.need, *self.children))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Standing:
    """Gap and overlap of an area in a period.

    Parameters
    ----------
    gap : by need those who have nothing
    villages : those where somebody needs aid or something was given, the widest gap first
    nobody_there : those where aid for stunting goes and nobody needs it
    reported : activities that double another report or a delivery
    authorities : companies that several authorities claim: name, and which
    relief, other : activities that are not for stunting: how many, and Rp
    """

    gap: Counter[str]
    villages: tuple[Village, ...]
    nobody_there: tuple[Village, ...]
    twice: tuple[Twice, ...]
    reported: tuple[AidActivity, ...]
    authorities: tuple[tuple[str, tuple[str, ...]], ...]
    relief: tuple[int, int]
    other: tuple[int, int]
    proposals: tuple[Proposal, ...]

    @property
    def lacking(self) -> int:
        return self.gap.total()

    @property
    def lacking_places(self) -> int:
        return sum(village.lacking > 0 for village in self.villages)


def standing(session: Session, hub: Hub, area: Area, first: date, last: date, today: date) -> Standing:
    """Work out gap, overlap and proposals of an area.

    Parameters
    ----------
    first, last : the period in which aid counts as standing and activities are counted
    """
    village = _village_of_post(session, hub)
    lasting = _deliveries(session, hub, area, village, first, last, today)
    needing = _needing(session, hub, area, village, lasting, first, last, today)
    activities = _activities(session, hub, area, first, last)
    villages = _villages(needing, lasting, activities, first, last)
    ordered = sorted(villages.values(), key=lambda v: (-v.lacking, v.code))
    for_stunting = [v for v in ordered if v.value_rp or v.activities]
    reported = _reported(session, hub, area, first, last)
    counted = [a for a in activities if a.same_as is None and a.status == "taken"]
    return Standing(
        Counter({need: len(ids) for need, (ids, _) in needing.lacking.items() if len(ids)}),
        tuple(ordered),
        tuple(v for v in for_stunting if not v.needing),
        tuple(_twice(lasting, first, last)),
        tuple(reported),
        tuple(_authorities(session, hub, activities)),
        _sum(counted, "disaster"),
        _sum(counted, "other"),
        tuple(_proposals(needing, promises(session, hub))),
    )


def log_viewed(session: Session, hub: Hub, shown: Standing, actor: str, now: datetime) -> None:
    """Log that somebody looked at the gap, and how wide it was."""
    details = {"lacking": shown.lacking, "villages": shown.lacking_places}
    audit.append(session, hub.district, audit.OFFICE, "aid.gap_viewed", actor=actor, now=now, details=details)


def assign(
    session: Session,
    hub: Hub,
    area: Area,
    commitment_id: str,
    village: str,
    need: str,
    seen: str,
    *,
    author: str,
    now: datetime,
) -> int:
    """Promise a commitment to the children of a proposal, as it was on the screen.

    Returns
    -------
    int : how many

    Raises
    ------
    Problem
        `aid-moved-on`: the gap or the commitment is not what it was; look again.
    """
    today = hub.settings.today(now)
    villages = _village_of_post(session, hub)
    lasting = _deliveries(session, hub, area, villages, today, today, today)
    needing = _needing(session, hub, area, villages, lasting, today, today, today)
    proposals = _proposals(needing, promises(session, hub))
    wanted = (commitment_id, village, need, seen)
    found = next((p for p in proposals if (p.promise.id, p.village, p.need, p.seen) == wanted), None)
    if found is None:
        raise Problem("aid-moved-on")
    promise = found.promise
    starts = max(today, promise.starts_on)
    aid = {
        "menu": promise.menu,
        "funds": promise.funds,
        "reaches": "child" if promise.menu == "food" else "family",
        "starts_on": starts.isoformat(),
        "ends_on": months_on(starts, promise.months).isoformat(),
        "donor": promise.donor_id,
        "commitment": promise.id,
    }
    edits = [Edit.of_delivery(child_id, new_id(), {"aid": aid}) for child_id in found.children]
    details = {"commitment": promise.id, "village": village, "need": need}
    office.write(session, hub, edits, "aid.assigned", author=author, now=now, details=details)
    return len(edits)


def months_on(day: date, months: int) -> date:
    """Give the last day of so many months from a day on."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    for back in range(4):
        try:
            return date(year, month + 1, day.day - back) - timedelta(1)
        except ValueError:
            continue
    raise AssertionError("every month has a 28th")  # pragma: no cover


# -- who needs aid --------------------------------------------------------------------------------


class Lasting(NamedTuple):
    """A delivery with the days on which it stands. Days are ISO text: there are thousands."""

    person_id: str
    village: str
    menu: str
    source: str
    starts: str
    ends: str
    given: bool
    refused: bool
    value_rp: int
    given_on: str | None


def _village_of_post(session: Session, hub: Hub) -> dict[str, str]:
    """Give the village of every post, "" where none is known: in dicts, for joined to them a district's children are walked
    post by post."""
    rows = session.execute(
        select(HealthPost.id, HealthPost.village_code).where(HealthPost.district == hub.district)
    )
    return {row.id: row.village_code or "" for row in rows}


def _person_of(session: Session, hub: Hub) -> dict[str, str]:
    """Give who they are of the children who were linked to another; everybody else is one's own person."""
    rows = session.execute(
        select(Child.id, Child.person_id).where(Child.district == hub.district, Child.person_id != Child.id)
    )
    return {row.id: row.person_id for row in rows}


def _deliveries(
    session: Session, hub: Hub, area: Area, village: Mapping[str, str], first: date, last: date, today: date
) -> list[Lasting]:
    """Give what stands in a period or later, and what was given in it; `village` by post."""
    person, d, since = _person_of(session, hub), Delivery, min(first, today)
    once = or_(d.menu.in_(sorted(BUILT)), d.given_on >= since - ONCE, d.starts_on >= since - ONCE)
    lasts = or_(d.ends_on >= since, and_(d.ends_on.is_(None), once))
    query = select(
        *(d.child_id, d.post_id, d.menu, d.funds, d.donor_id, d.given, d.outcome, d.value_rp),
        *(cast(day, Text()).label(day.key) for day in (d.starts_on, d.ends_on, d.given_on)),
    ).where(
        *(rows_within(hub, area.scope, d), ~d.removed),
        or_(lasts, d.given_on.between(first, last)),
        or_(d.starts_on.is_not(None), d.given_on.is_not(None)),
    )
    rows = session.connection().execute(query).all()  # at once: row by row, each would be asked for by itself
    lasting = [
        _lasting(person.get(child_id, child_id), village[post_id], *told) for child_id, post_id, *told in rows
    ]
    courses = session.connection().execute(
        select(FollowUp.child_id, FollowUp.post_id).where(
            # a constant: the index of what is not done yet is for that alone
            *(rows_within(hub, area.scope, FollowUp), FollowUp.resulted == literal_column("0")),
            *(FollowUp.action == "pmt", ~FollowUp.removed),
        )
    )
    # a PMT course of the state that runs is food, too: until somebody tells how it ended
    lasting += [
        Lasting(
            person.get(row.child_id, row.child_id),
            village[row.post_id],
            menu="food",
            source="pmt",
            starts=FIRST_DAY,
            ends=LAST_DAY,
            given=True,
            refused=False,
            value_rp=0,
            given_on=None,
        )
        for row in courses
    ]
    return lasting


def _lasting(
    person_id: str,
    village: str,
    menu: str | None,
    funds: str | None,
    donor_id: str | None,
    given: int,
    outcome: str | None,
    value_rp: int | None,
    starts_on: str | None,
    ends_on: str | None,
    given_on: str | None,
) -> Lasting:
    begins = starts_on or given_on or LAST_DAY
    ends = ends_on or (LAST_DAY if menu in BUILT else _a_while_from(given_on or begins))
    source = "state" if funds in STATE else donor_id or funds or "?"
    if given_on and given_on < begins:
        begins = given_on
    refused = outcome == "not_received"
    return Lasting(
        *(person_id, village, menu or "other", source, begins, ends, bool(given), refused),
        *(value_rp or 0, given_on),
    )


@lru_cache(4096)
def _a_while_from(day: str) -> str:
    return (date.fromisoformat(day) + ONCE).isoformat()


def _needing(
    session: Session,
    hub: Hub,
    area: Area,
    village: Mapping[str, str],
    lasting: Iterable[Lasting],
    first: date,
    last: date,
    today: date,
) -> Needing:
    """Find everybody who needs aid; `village` by post."""
    stands: set[str] = set()
    promised: set[str] = set()
    begin, end, now = first.isoformat(), last.isoformat(), today.isoformat()
    for one in lasting:
        if one.refused or one.starts > end or one.ends < begin:
            if not one.given and not one.refused and one.ends >= now:
                promised.add(one.person_id)  # it begins later
            continue
        (stands if one.given else promised).add(one.person_id)
    codes = sorted(set(village.values()))
    posts, lies = _sorted(village), {code: place for place, code in enumerate(codes)}
    of_post = np.array([lies[code] for _, code in sorted(village.items())], np.intp)
    helped, promised_to = np.zeros(len(codes), np.intp), np.zeros(len(codes), np.intp)
    lacking, brought, pending = {}, _sorted(stands), _sorted(promised - stands)
    for need, ids, at in _in_need(session, hub, area, today):
        here = of_post[np.searchsorted(posts, at)]
        has, waits = _among(ids, brought), _among(ids, pending)
        helped += np.bincount(here[has], minlength=len(codes))
        promised_to += np.bincount(here[waits], minlength=len(codes))
        lacking[need] = ids[~(has | waits)], here[~(has | waits)]
    return Needing(codes, helped, promised_to, lacking)


def _in_need(session: Session, hub: Hub, area: Area, today: date) -> Iterator[tuple[str, Ids, Ids]]:
    """Give by need everybody who needs aid, in greatest need first: who, and at which post.

    For whom a flag calls for aid: a row of the queue has the rules of all flags, and needs no look at them. Then families at
    risk for whom none does; of one that has several children, the first.
    """
    a = Attention
    query = select(a.child_id, a.post_id, a.rules, a.place)
    query = query.where(queue_within(hub, area.scope), a.urgency < NO_FLAG)
    names = ("child_id", "post_id", "rules")
    flagged, posts, texts = strung(session, query, names, "place", "child_id")
    ids, at = _ids(flagged), _ids(posts)
    needs = np.fromiter(map(_need_of, texts.split(";")[:-1]), np.intp, len(ids))
    for place, need in enumerate(NEEDS):
        if need != "krs":
            yield need, ids[needs == place], at[needs == place]
    risks = select(Child.person_id, Child.post_id, Child.id).where(
        *(~Child.removed, within(hub, area.scope), Child.krs_until >= today),
        (Child.born_on.is_(None)) | (Child.born_on > today - OLDEST),
    )
    known = np.sort(ids[needs >= 0])
    ids, at = map(_ids, strung(session, risks, ("person_id", "post_id"), "person_id", "id"))
    wanted = ~_among(ids, known)
    wanted[1:] &= ids[1:] != ids[:-1]
    yield "krs", ids[wanted], at[wanted]


def _ids(text: str) -> Ids:
    """Read ids of a length, each ended by a sign."""
    rows = np.frombuffer(text.encode(), [("id", f"S{ID}"), ("end", "S1")])
    return np.ascontiguousarray(rows["id"])


def _sorted(ids: Iterable[str]) -> Ids:
    return np.sort(np.array(list(ids), f"S{ID}"))


def _among(ids: Ids, some: Ids) -> Any:
    """Say of each id whether it is among some, which are in order."""
    if not len(some):
        return np.zeros(len(ids), bool)
    places = np.minimum(np.searchsorted(some, ids), len(some) - 1)
    return some[places] == ids


@cache
def _need_of(rules_text: str) -> int:
    """Give the first need (its place) of those that the rules of somebody's flags call for, -1 for none; there are few sets
    of rules."""
    return min((_ORDER[NEED_OF[rule]] for rule in rules_text.split() if rule in NEED_OF), default=-1)


# -- by village -----------------------------------------------------------------------------------


def _activities(session: Session, hub: Hub, area: Area, first: date, last: date) -> Sequence[Any]:
    """Give what is counted of activities, each by its few columns: an object of each costs more than all that is done with
    them."""
    a = AidActivity
    columns = (a.status, a.category, a.value_rp, a.village_code, a.donor_id, a.reported_to, a.same_as)
    query = select(*columns).where(*_in_period(hub, area, first, last)).order_by(a.starts_on, a.id)
    return session.connection().execute(query).all()


def _reported(session: Session, hub: Hub, area: Area, first: date, last: date) -> list[AidActivity]:
    """Give the activities that double another report or a delivery."""
    a = AidActivity
    doubles = a.same_as.is_not(None), a.same_as != "", a.same_by.in_((REPORTED_TWICE, DELIVERY_KNOWN))
    query = select(a).where(*_in_period(hub, area, first, last), *doubles).order_by(a.starts_on, a.id)
    # the rows as they came are large, and not looked at here
    return list(session.scalars(query.options(defer(a.sealed))))


def _in_period(hub: Hub, area: Area, first: date, last: date) -> tuple[ColumnElement[bool], ...]:
    a = AidActivity
    mine = a.district == hub.district, area.of_activities(), a.status.in_(("taken", "open"))
    return (*mine, a.starts_on <= last, a.ends_on >= first)


def _villages(
    needing: Needing,
    lasting: Sequence[Lasting],
    activities: Iterable[Any],
    first: date,
    last: date,
) -> dict[str, Village]:
    found: defaultdict[str, Village] = defaultdict(lambda: Village(""))

    def at(code: str) -> Village:
        village = found[code]
        village.code = code
        return village

    counts = {
        need: np.bincount(at, minlength=len(needing.villages)) for need, (_, at) in needing.lacking.items()
    }
    for place, code in enumerate(needing.villages):
        gap = {need: int(several[place]) for need, several in counts.items() if several[place]}
        if gap or needing.helped[place] or needing.promised[place]:
            village = at(code)
            village.gap.update(gap)
            village.helped, village.promised = int(needing.helped[place]), int(needing.promised[place])
    begin, end = first.isoformat(), last.isoformat()
    for one in lasting:
        if one.given_on is not None and begin <= one.given_on <= end and not one.refused:
            at(one.village).value_rp += one.value_rp
    for activity in activities:
        if activity.same_as is None and activity.village_code and activity.category in FOR_STUNTING:
            village = at(activity.village_code)
            village.value_rp += activity.value_rp or 0
            village.activities += 1
    return found


def _sum(activities: Iterable[Any], category: str) -> tuple[int, int]:
    mine = [a for a in activities if a.category == category]
    return len(mine), sum(a.value_rp or 0 for a in mine)


def _twice(lasting: Sequence[Lasting], first: date, last: date) -> list[Twice]:
    """Find who gets one menu from several at once, in the period."""
    by: defaultdict[tuple[str, str], list[Lasting]] = defaultdict(list)
    begin, end = first.isoformat(), last.isoformat()
    for one in lasting:
        if not one.refused and one.starts <= end and one.ends >= begin:
            by[one.person_id, one.menu].append(one)
    found = []
    for (person_id, menu), several in sorted(item for item in by.items() if len(item[1]) > 1):
        sources = {
            source
            for n, one in enumerate(several)
            for other in several[n + 1 :]
            if one.source != other.source and one.starts <= other.ends and other.starts <= one.ends
            for source in (one.source, other.source)
        }
        if sources:
            found.append(Twice(person_id, several[0].village or None, menu, tuple(sorted(sources))))
    return found


def _authorities(session: Session, hub: Hub, activities: Iterable[Any]) -> list[tuple[str, tuple[str, ...]]]:
    """Find companies whose activities went to several authorities, or to another than supervises them."""
    claimed: defaultdict[str, set[str]] = defaultdict(set)
    for activity in activities:
        if activity.donor_id and activity.reported_to:
            claimed[activity.donor_id].add(activity.reported_to)
    rows = session.scalars(select(Donor).where(Donor.district == hub.district, Donor.id.in_(list(claimed))))
    found = []
    for donor in rows:
        theirs = claimed[donor.id] | ({donor.authority} if donor.authority else set())
        if len(theirs) > 1:
            found.append((donor.name, tuple(sorted(theirs))))
    return sorted(found)


# -- proposals ------------------------------------------------------------------------------------


def _proposals(needing: Needing, commitments: Iterable[Promise]) -> list[Proposal]:
    """Give each who has nothing, in order of need, to the commitment that fits best and has room left."""
    by_region: defaultdict[str, list[_Room]] = defaultdict(list)
    for promise in sorted(commitments, key=lambda p: (p.starts_on, p.id)):
        if promise.left:
            by_region[promise.region_code].append(_Room(promise, promise.left))
    found: list[Proposal] = []
    for need, (ids, villages) in needing.lacking.items():
        fitting = {region: _fitting(need, rooms) for region, rooms in by_region.items()}
        around = [
            _Around([(near, fitting[at]) for near, at in _around(code) if code and at in fitting])
            for code in needing.villages
        ]
        for place, village in enumerate(villages.tolist()):
            here = around[village]
            room = here.room
            if room is None or not room.left:
                room = here.next() if here.choices else None
                if room is None:
                    continue
                here.places = []
                code = needing.villages[village]
                found.append(Proposal(room.promise, code, need, here.near, ids, here.places))
            room.left -= 1
            here.places.append(place)
    return found


@dataclass(slots=True)
class _Room:
    """A commitment, and for how many it has room left."""

    promise: Promise
    left: int


@dataclass(slots=True)
class _Around:
    """What could help those of one need in a village.

    Parameters
    ----------
    choices : the commitments around it with how near their place is, the narrowest first, each place's best last. A place's
        are one list for all whom it holds; what has no room left goes off it
    near, room, places : the commitment that is used up now, and to whom it is given here
    """

    choices: list[tuple[str, list[_Room]]]
    near: str = ""
    room: _Room | None = None
    places: list[int] = field(default_factory=list)

    def next(self) -> _Room | None:
        """Go on to the best that has room; None if there is none."""
        self.room = None
        while self.choices and self.room is None:
            self.near, rooms = self.choices[0]
            while rooms and not rooms[-1].left:
                rooms.pop()
            if rooms:
                self.room = rooms[-1]
            else:
                self.choices.pop(0)
        return self.room


def _fitting(need: str, rooms: Iterable[_Room]) -> list[_Room]:
    """Give the commitments for a region that could help a need, the best last."""
    order = rules().fits[need]
    fit = [room for room in rooms if room.promise.menu in order]
    return sorted(fit, key=lambda room: order.index(room.promise.menu))[::-1]


def _around(village: str) -> list[tuple[str, str]]:
    """Give the regions that hold a village, the narrowest first, and what each is."""
    subdistrict = village.rpartition(".")[0]
    return [("village", village), ("subdistrict", subdistrict), ("district", subdistrict.rpartition(".")[0])]
