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
from functools import cache
from typing import Any, Final

import numpy as np
from sqlalchemy import ColumnElement, Text, case, cast, func, literal, literal_column, or_, select, union_all
from sqlalchemy.orm import Session, defer

from server import audit
from server.aid.area import AidArea
from server.aid.register import Promise, promises
from server.aid.rules import rules
from server.aid.sheets import DELIVERY_KNOWN, REPORTED_TWICE
from server.aid.words import FOR_STUNTING, NEEDS, STATE
from server.children.review_queue import NO_FLAG
from server.context import AppContext
from server.database.engine import column_texts
from server.database.ids import new_id
from server.database.models import (
    AidActivity,
    Attention,
    CalendarDay,
    Child,
    Delivery,
    Donor,
    FollowUp,
    HealthPost,
)
from server.errors import Problem
from server.review.scope import queue_within, rows_within, within
from server.sync import server_edits
from server.sync.server_edits import Edit

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
ID, DAY = 36, 10
"""How long an id and a day are, as text."""
_ORDER: Final = {need: rank for rank, need in enumerate(NEEDS)}


Ids = np.ndarray[Any, np.dtype[np.bytes_]]
Numbers = np.ndarray[Any, np.dtype[np.intp]]
Truths = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True)
class Places:
    """The villages of a district's posts: `codes`, "" for none; whatever else is told names a village by its place there."""

    codes: list[str]
    posts: Ids
    of_post: Numbers

    def of(self, posts: Ids) -> Numbers:
        """Give the village of each of some posts."""
        return self.of_post[np.searchsorted(self.posts, posts)]

    def count(self, villages: Numbers, weights: Numbers | None = None) -> Numbers:
        """Give by village how many there are of it, or the sum of their weights."""
        return np.bincount(villages, weights, len(self.codes)).astype(np.intp)


@dataclass(frozen=True, slots=True)
class PeriodAid:
    """What aid stands in a period, and what was given in it.

    Parameters
    ----------
    people : who has some, or was promised some that was not brought yet; in order
    brought : of each of them, whether it was brought
    value_rp : what was given, by village
    """

    people: Ids
    brought: Truths
    value_rp: Numbers
    twice: list["Twice"]


@dataclass(frozen=True, slots=True)
class Needing:
    """Who needs aid, in columns: a regency has 25,000.

    Parameters
    ----------
    helped, promised : by village, to how many aid was brought that lasts, and to how many it was not brought yet
    lacking : everybody else by need, in greatest need first: who, and in which village
    """

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
        return [child_id.decode() for child_id in self._in_order().tolist()]

    @property
    def seen(self) -> str:
        text = f"{self.promise.id}/{self.village}/{self.need}/".encode() + self._in_order().tobytes()
        return hashlib.sha256(text).hexdigest()[:16]

    def _in_order(self) -> Ids:
        return np.sort(self.ids[self.places])


@dataclass(frozen=True, slots=True)
class NeedSummary:
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


def standing(
    session: Session, hub: AppContext, area: AidArea, first: date, last: date, today: date
) -> NeedSummary:
    """Work out gap, overlap and proposals of an area.

    Parameters
    ----------
    first, last : the period in which aid counts as standing and activities are counted
    """
    places = _places(session, hub)
    aid = _aid(session, hub, area, places, first, last, today)
    needing = _needing(session, hub, area, places, aid, today)
    activities = _activities(session, hub, area, first, last)
    villages = _villages(places, needing, aid, activities)
    ordered = sorted(villages.values(), key=lambda v: (-v.lacking, v.code))
    for_stunting = [v for v in ordered if v.value_rp or v.activities]
    return NeedSummary(
        Counter({need: len(ids) for need, (ids, _) in needing.lacking.items() if len(ids)}),
        tuple(ordered),
        tuple(v for v in for_stunting if not v.needing),
        tuple(aid.twice),
        tuple(_reported(session, hub, area, first, last)),
        tuple(_authorities(session, hub, area, first, last)),
        _sum(activities, "disaster"),
        _sum(activities, "other"),
        tuple(_proposals(places, needing, promises(session, hub))),
    )


def log_viewed(session: Session, hub: AppContext, shown: NeedSummary, actor: str, now: datetime) -> None:
    """Log that somebody looked at the gap, and how wide it was."""
    details = {"lacking": shown.lacking, "villages": shown.lacking_places}
    audit.append(session, hub.district, audit.OFFICE, "aid.gap_viewed", actor=actor, now=now, details=details)


def assign(
    session: Session,
    hub: AppContext,
    area: AidArea,
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
    places = _places(session, hub)
    standing_now = _aid(session, hub, area, places, today, today, today)
    needing = _needing(session, hub, area, places, standing_now, today)
    proposals = _proposals(places, needing, promises(session, hub))
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
    server_edits.write(session, hub, edits, "aid.assigned", author=author, now=now, details=details)
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


def _places(session: Session, hub: AppContext) -> Places:
    """Give the village of every post: joined to them, a district's children would be walked post by post."""
    rows = session.connection().execute(
        select(HealthPost.id, HealthPost.village_code).where(HealthPost.district == hub.district)
    )
    village = {post_id: code or "" for post_id, code in rows.all()}
    codes = sorted(set(village.values()))
    at, posts = {code: place for place, code in enumerate(codes)}, sorted(village)
    return Places(codes, np.array(posts, f"S{ID}"), np.array([at[village[post]] for post in posts], np.intp))


def _persons(session: Session, hub: AppContext, children: Ids) -> Ids:
    """Give who some children are: the head of those who were linked to another, everybody else oneself."""
    rows = session.connection().execute(
        select(Child.id, Child.person_id).where(Child.district == hub.district, Child.person_id != Child.id)
    )
    linked = np.array(sorted((child_id, head) for child_id, head in rows.all()), f"S{ID}")
    if not len(linked):
        return children
    at, found = _find(children, np.ascontiguousarray(linked[:, 0]))
    return np.where(found, linked[at, 1], children)


def _aid(
    session: Session, hub: AppContext, area: AidArea, places: Places, first: date, last: date, today: date
) -> PeriodAid:
    """Tell what aid stands in a period or begins later, and what was given in it."""
    told = _lasting(session, hub, area, first, last, today)
    people = _persons(session, hub, _fixed(told["child_id"], ID))
    villages = places.of(_fixed(told["post_id"], ID))
    # as text, days compare as days do
    begins, ends = _fixed(told["begins"], DAY), _fixed(told["ends"], DAY)
    given, once = _fixed(told["given"], 1) == b"1", _fixed(told["once"], 1) == b"1"

    def lasts(day: date) -> Any:
        return ends >= np.where(once, _iso(day - ONCE), _iso(day))

    stands = (begins <= _iso(last)) & lasts(first)
    later = ~stands & ~given & lasts(today)
    by_person = np.argsort(people, kind="stable")
    having = by_person[(stands | later)[by_person]]
    first_of = np.flatnonzero(_begins_anew(people[having]))
    return PeriodAid(
        people[having[first_of]],
        np.logical_or.reduceat((stands & given)[having], first_of) if len(first_of) else np.zeros(0, bool),
        places.count(villages, np.fromstring(told["value_rp"], np.int64, sep=";")),
        _twice(people, by_person[stands[by_person]], told, places.codes, villages),
    )


def _lasting(
    session: Session, hub: AppContext, area: AidArea, first: date, last: date, today: date
) -> dict[str, str]:
    """Give what stands in a period or later, and what was given in it, as columns: `once` is 1 where `ends` is the day on
    which something was given that lasts for ONCE. What was found not received is none."""
    d, f, since = Delivery, FollowUp, min(first, today) - ONCE
    built = d.menu.in_(sorted(BUILT))
    begins = case((d.given_on < d.starts_on, d.given_on), else_=func.coalesce(d.starts_on, d.given_on))
    ends = func.coalesce(d.ends_on, case((built, literal(date.max, CalendarDay()))), d.given_on, d.starts_on)
    donor = func.coalesce(cast(d.donor_id, Text()), d.funds, "?")
    in_period = d.given_on.between(first, last)
    given = select(
        *(d.child_id, d.post_id, func.coalesce(d.menu, "other").label("menu")),
        *(case((d.funds.in_(sorted(STATE)), "state"), else_=donor).label("source"), d.given),
        *(begins.label("begins"), ends.label("ends")),
        case((d.ends_on.is_not(None), 0), (built, 0), else_=1).label("once"),
        case((in_period, func.coalesce(d.value_rp, 0)), else_=0).label("value_rp"),
    ).where(
        *(rows_within(hub, area.scope, d), ~d.removed, func.coalesce(d.outcome, "") != "not_received"),
        *(or_(ends >= since, in_period), or_(d.starts_on.is_not(None), d.given_on.is_not(None))),
    )
    # a PMT course of the state that runs is food, too: until somebody tells how it ended
    courses = select(
        *(f.child_id, f.post_id, literal("food"), literal("pmt"), literal(1)),
        *(literal(date.min, CalendarDay()), literal(date.max, CalendarDay()), literal(0), literal(0)),
    ).where(
        # a constant: the index of what is not done yet is for that alone
        *(rows_within(hub, area.scope, f), f.resulted == literal_column("0")),
        *(f.action == "pmt", ~f.removed),
    )
    names = given.selected_columns.keys()
    return dict(zip(names, column_texts(session, union_all(given, courses), names), strict=True))


def _needing(
    session: Session, hub: AppContext, area: AidArea, places: Places, aid: PeriodAid, today: date
) -> Needing:
    """Find everybody who needs aid."""
    helped, promised = np.zeros(len(places.codes), np.intp), np.zeros(len(places.codes), np.intp)
    lacking = {}
    for need, ids, posts in _in_need(session, hub, area, today):
        here, (at, has) = places.of(posts), _find(ids, aid.people)
        brought = has.copy()
        brought[has] = aid.brought[at[has]]
        helped += places.count(here[brought])
        promised += places.count(here[has & ~brought])
        lacking[need] = ids[~has], here[~has]
    return Needing(helped, promised, lacking)


def _in_need(session: Session, hub: AppContext, area: AidArea, today: date) -> Iterator[tuple[str, Ids, Ids]]:
    """Give by need everybody who needs aid, in greatest need first: who, and at which post.

    For whom a flag calls for aid: a row of the queue has the rules of all flags, and needs no look at them. Then families at
    risk for whom none does; of one that has several children, the first.
    """
    a = Attention
    query = select(a.child_id, a.post_id, a.rules, a.place)
    query = query.where(queue_within(hub, area.scope), a.urgency < NO_FLAG)
    names = ("child_id", "post_id", "rules")
    flagged, posts, texts = column_texts(session, query, names, "place", "child_id")
    ids, at = _fixed(flagged, ID), _fixed(posts, ID)
    needs = np.fromiter(map(_need_of, _split(texts)), np.intp, len(ids))
    for place, need in enumerate(NEEDS):
        if need != "krs":
            yield need, ids[needs == place], at[needs == place]
    risks = select(Child.person_id, Child.post_id, Child.id).where(
        *(~Child.removed, within(hub, area.scope), Child.krs_until >= today),
        (Child.born_on.is_(None)) | (Child.born_on > today - OLDEST),
    )
    columns = column_texts(session, risks, ("person_id", "post_id"), "person_id", "id")
    people, at = (_fixed(column, ID) for column in columns)
    wanted = _begins_anew(people)
    people, at = people[wanted], at[wanted]
    where, found = _find(ids[needs >= 0], people)
    wanted = np.ones(len(people), bool)
    wanted[where[found]] = False
    yield "krs", people[wanted], at[wanted]


def _iso(day: date) -> bytes:
    return day.isoformat().encode()


def _fixed(text: str, size: int) -> Any:
    """Read texts of one size, each ended by a sign."""
    rows = np.frombuffer(text.encode(), [("text", f"S{size}"), ("end", "S1")])
    return np.ascontiguousarray(rows["text"])


def _split(text: str) -> list[str]:
    """Read texts of any size, each ended by a sign."""
    return text.split(";")[:-1]


def _find(ids: Ids, some: Ids) -> tuple[Numbers, Any]:
    """Give for each id its place among some, which are in order, and whether it is there."""
    if not len(some):
        return np.zeros(len(ids), np.intp), np.zeros(len(ids), bool)
    places = np.minimum(np.searchsorted(some, ids), len(some) - 1)
    return places, some[places] == ids


def _begins_anew(ids: Ids) -> Truths:
    """Say of each of some ids, in order, whether it is another than the one before."""
    anew = np.ones(len(ids), bool)
    anew[1:] = ids[1:] != ids[:-1]
    return anew


@cache
def _need_of(rules_text: str) -> int:
    """Give the first need (its place) of those that the rules of somebody's flags call for, -1 for none; there are few sets
    of rules."""
    return min((_ORDER[NEED_OF[rule]] for rule in rules_text.split() if rule in NEED_OF), default=-1)


# -- by village -----------------------------------------------------------------------------------


def _activities(session: Session, hub: AppContext, area: AidArea, first: date, last: date) -> Sequence[Any]:
    """Count the activities that double nothing, and their Rp, by village, category and status: a year has thousands."""
    a = AidActivity
    by = func.coalesce(a.village_code, "").label("village"), a.category, a.status
    query = select(
        *by, func.count().label("activities"), func.sum(func.coalesce(a.value_rp, 0)).label("value_rp")
    )
    query = query.where(*_in_period(hub, area, first, last), a.same_as.is_(None)).group_by(*by)
    return session.connection().execute(query).all()


def _reported(session: Session, hub: AppContext, area: AidArea, first: date, last: date) -> list[AidActivity]:
    """Give the activities that double another report or a delivery."""
    a = AidActivity
    doubled = a.same_as.is_not(None), a.same_by.in_((REPORTED_TWICE, DELIVERY_KNOWN))
    query = select(a).where(*_in_period(hub, area, first, last), *doubled).order_by(a.starts_on, a.id)
    # the rows as they came are large, and not looked at here
    return list(session.scalars(query.options(defer(a.sealed))))


def _in_period(hub: AppContext, area: AidArea, first: date, last: date) -> tuple[ColumnElement[bool], ...]:
    a = AidActivity
    mine = a.district == hub.district, area.of_activities(), a.status.in_(("taken", "open"))
    return (*mine, a.starts_on <= last, a.ends_on >= first)


def _villages(
    places: Places, needing: Needing, aid: PeriodAid, activities: Iterable[Any]
) -> dict[str, Village]:
    """Tell of each village where somebody needs aid or something was given."""
    counts = {need: places.count(villages).tolist() for need, (_, villages) in needing.lacking.items()}
    found: defaultdict[str, Village] = defaultdict(lambda: Village(""))
    of_people = zip(needing.helped.tolist(), needing.promised.tolist(), aid.value_rp.tolist(), strict=True)
    for place, (helped, promised, value_rp) in enumerate(of_people):
        gap = Counter({need: several[place] for need, several in counts.items() if several[place]})
        if gap or helped or promised or value_rp:
            code = places.codes[place]
            found[code] = Village(code, gap, promised, helped, value_rp)
    for several in activities:
        if several.village and several.category in FOR_STUNTING:
            village = found[several.village]
            village.code = several.village
            village.value_rp += int(several.value_rp)
            village.activities += several.activities
    return found


def _sum(activities: Iterable[Any], category: str) -> tuple[int, int]:
    mine = [several for several in activities if several.category == category and several.status == "taken"]
    return sum(several.activities for several in mine), sum(int(several.value_rp) for several in mine)


def _twice(
    people: Ids, standing: Numbers, told: Mapping[str, str], codes: Sequence[str], villages: Numbers
) -> list[Twice]:
    """Find who gets one menu from several at once.

    Parameters
    ----------
    people, villages : whose each row of `told` is, and where
    standing : the rows of what stands, by person
    """
    first = _begins_anew(people[standing])
    alone = first & np.append(first[1:], True)
    rows = standing[~alone].tolist()
    if not rows:
        return []
    columns = [_split(told[name]) for name in ("menu", "source", "begins", "ends", "once")]
    by: defaultdict[tuple[str, str], list[tuple[str, str, str, int]]] = defaultdict(list)
    for row in rows:
        menu, source, begins, ends, once = (column[row] for column in columns)
        ends = (date.fromisoformat(ends) + ONCE).isoformat() if once == "1" else ends
        by[people[row].decode(), menu].append((source, begins, ends, row))
    found = []
    for (person_id, menu), theirs in sorted(item for item in by.items() if len(item[1]) > 1):
        sources = {
            source
            for n, (one, begins, ends, _) in enumerate(theirs)
            for other, starts, stops, _ in theirs[n + 1 :]
            if one != other and begins <= stops and starts <= ends
            for source in (one, other)
        }
        if sources:
            village = codes[villages[theirs[0][-1]]]
            found.append(Twice(person_id, village or None, menu, tuple(sorted(sources))))
    return found


def _authorities(
    session: Session, hub: AppContext, area: AidArea, first: date, last: date
) -> list[tuple[str, tuple[str, ...]]]:
    """Find companies whose activities went to several authorities, or to another than supervises them."""
    a = AidActivity
    told = select(a.donor_id, a.reported_to).where(*_in_period(hub, area, first, last)).distinct().subquery()
    query = select(Donor.id, Donor.name, Donor.authority, told.c.reported_to)
    query = query.join(told, told.c.donor_id == Donor.id).where(Donor.district == hub.district)
    claimed: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for donor_id, name, *authorities in session.connection().execute(query).all():
        claimed[name, donor_id].update(filter(None, authorities))
    return [
        (name, tuple(sorted(several))) for (name, _), several in sorted(claimed.items()) if len(several) > 1
    ]


# -- proposals ------------------------------------------------------------------------------------


def _proposals(places: Places, needing: Needing, commitments: Iterable[Promise]) -> list[Proposal]:
    """Give each who has nothing, in order of need, to the commitment that fits best and has room left."""
    by_region: defaultdict[str, list[_Room]] = defaultdict(list)
    for promise in sorted(commitments, key=lambda p: (p.starts_on, p.id)):
        if promise.left:
            by_region[promise.region_code].append(_Room(promise, promise.left))
    around = [_around(code) for code in places.codes]
    found: list[Proposal] = []
    for need, (ids, villages) in needing.lacking.items():
        fitting = {region: _fitting(need, rooms) for region, rooms in by_region.items()}
        could = [
            _Around([(near, fitting[at]) for near, at in regions if at in fitting]) for regions in around
        ]
        for place, village in enumerate(villages.tolist()):
            here = could[village]
            room = here.room
            if room is None or not room.left:
                room = here.next() if here.choices else None
                if room is None:
                    continue
                here.places = []
                code = places.codes[village]
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
    """Give the regions that hold a village, the narrowest first, and what each is; none where it is not known."""
    if not village:
        return []
    subdistrict = village.rpartition(".")[0]
    return [("village", village), ("subdistrict", subdistrict), ("district", subdistrict.rpartition(".")[0])]
