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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from operator import itemgetter
from typing import Any, Final, NamedTuple

from sqlalchemy import Text, and_, cast, literal_column, or_, select
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


@dataclass(frozen=True, slots=True)
class Needing:
    """Who needs aid. `helped`: how many by village whom aid was brought that lasts; `promised`: to whom it was not brought
    yet. `lacking`: everybody else by need, in greatest need first: who, and in which village ("" where none is known)."""

    helped: Counter[str] = field(default_factory=Counter)
    promised: Counter[str] = field(default_factory=Counter)
    lacking: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: {need: [] for need in NEEDS})


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


@dataclass(frozen=True, slots=True)
class Proposal:
    """A commitment that could cover a gap: so many of one need in one village. `seen` names exactly whom."""

    promise: Promise
    village: str
    need: str
    children: tuple[str, ...]
    near: str

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
    reported = [a for a in activities if a.same_by in (REPORTED_TWICE, DELIVERY_KNOWN) and a.same_as]
    counted = [a for a in activities if a.same_as is None and a.status == "taken"]
    return Standing(
        Counter({need: len(people) for need, people in needing.lacking.items() if people}),
        tuple(ordered),
        tuple(v for v in for_stunting if not v.needing),
        tuple(_twice(lasting, first, last)),
        tuple(reported),
        tuple(_authorities(session, hub, activities)),
        _sum(counted, "disaster"),
        _sum(counted, "other"),
        tuple(_proposals(needing.lacking, promises(session, hub))),
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
    proposals = _proposals(needing.lacking, promises(session, hub))
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
    rows = (
        session.connection()
        .execute(
            select(
                *(d.child_id, d.post_id, d.menu, d.funds, d.donor_id, d.given, d.outcome, d.value_rp),
                *(cast(day, Text()).label(day.key) for day in (d.starts_on, d.ends_on, d.given_on)),
            ).where(
                *(rows_within(hub, area.scope, d), ~d.removed),
                or_(lasts, d.given_on.between(first, last)),
                or_(d.starts_on.is_not(None), d.given_on.is_not(None)),
            )
        )
        .all()
    )  # not row by row: each would be asked for by itself
    lasting = [_lasting(row, person.get(row.child_id, row.child_id), village[row.post_id]) for row in rows]
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


def _lasting(row: Any, person_id: str, village: str) -> Lasting:
    starts, given_on = row.starts_on or row.given_on, row.given_on
    ends = row.ends_on or (LAST_DAY if row.menu in BUILT else _a_while_from(given_on or starts))
    source = "state" if row.funds in STATE else row.donor_id or row.funds or "?"
    if given_on and given_on < starts:
        starts = given_on
    refused, value_rp = row.outcome == "not_received", row.value_rp or 0
    return Lasting(
        person_id,
        village,
        row.menu or "other",
        source,
        starts,
        ends,
        bool(row.given),
        refused,
        value_rp,
        given_on,
    )


@cache
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
    aided, found = stands | promised, Needing()
    people = _flagged(session, hub, area)
    flagged = {id_ for several in people.values() for id_, _ in several}
    people["krs"] = [one for one in _at_risk(session, hub, area, today) if one[0] not in flagged]
    for need, several in people.items():
        found.lacking[need] = [(id_, village[post_id]) for id_, post_id in several if id_ not in aided]
        for id_, post_id in several if aided else ():
            if id_ in aided:
                (found.helped if id_ in stands else found.promised)[village[post_id]] += 1
    return found


def _flagged(session: Session, hub: Hub, area: Area) -> dict[str, list[tuple[str, str]]]:
    """Give by need everybody for whom a flag calls for aid, in greatest need first: who, and at which post. A row of the
    queue has the rules of all flags, and needs no look at them."""
    a = Attention
    query = select(a.child_id, a.post_id, a.rules, a.place)
    query = query.where(queue_within(hub, area.scope), a.urgency < NO_FLAG)
    found: dict[str | None, list[tuple[str, str]]] = {need: [] for need in (*NEEDS, None)}
    for row in strung(session, query, ("child_id", "post_id", "rules"), "place", "child_id"):
        found[_need_of(row[2 * ID :])].append((row[:ID], row[ID : 2 * ID]))
    return {need: people for need, people in found.items() if need is not None}


def _at_risk(session: Session, hub: Hub, area: Area, today: date) -> list[tuple[str, str]]:
    """Give the families at risk: who, and at which post. Of one family that has several children, the first."""
    query = select(Child.person_id, Child.post_id, Child.id).where(
        *(~Child.removed, within(hub, area.scope), Child.krs_until >= today),
        (Child.born_on.is_(None)) | (Child.born_on > today - OLDEST),
    )
    rows = strung(session, query, ("person_id", "post_id"), "person_id", "id")
    return list({row[:ID]: row[ID:] for row in reversed(rows)}.items())[::-1]


@cache
def _need_of(rules_text: str) -> str | None:
    """Give the first need of those that the rules of somebody's flags call for; there are few sets of rules."""
    needs = [NEED_OF[rule] for rule in rules_text.split() if rule in NEED_OF]
    return min(needs, key=lambda need: _ORDER[need]) if needs else None


# -- by village -----------------------------------------------------------------------------------


def _activities(session: Session, hub: Hub, area: Area, first: date, last: date) -> list[AidActivity]:
    query = select(AidActivity).where(
        AidActivity.district == hub.district,
        area.of_activities(),
        AidActivity.status.in_(("taken", "open")),
        AidActivity.starts_on <= last,
        AidActivity.ends_on >= first,
    )
    query = query.options(defer(AidActivity.sealed))  # the rows as they came: large, and not looked at here
    return list(session.scalars(query.order_by(AidActivity.starts_on, AidActivity.id)))


def _villages(
    needing: Needing,
    lasting: Sequence[Lasting],
    activities: Sequence[AidActivity],
    first: date,
    last: date,
) -> dict[str, Village]:
    found: defaultdict[str, Village] = defaultdict(lambda: Village(""))

    def at(code: str) -> Village:
        village = found[code]
        village.code = code
        return village

    for code, count in needing.helped.items():
        at(code).helped = count
    for code, count in needing.promised.items():
        at(code).promised = count
    for need, people in needing.lacking.items():
        for code, count in Counter(map(itemgetter(1), people)).items():
            at(code).gap[need] = count
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


def _sum(activities: Sequence[AidActivity], category: str) -> tuple[int, int]:
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


def _authorities(
    session: Session, hub: Hub, activities: Sequence[AidActivity]
) -> list[tuple[str, tuple[str, ...]]]:
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


def _proposals(
    lacking: Mapping[str, Sequence[tuple[str, str]]], commitments: Sequence[Promise]
) -> list[Proposal]:
    """Give each who has nothing, in order of need, to the commitment that fits best and has room left."""
    left = {promise.id: promise.left for promise in commitments}
    by_region: defaultdict[str, list[Promise]] = defaultdict(list)
    for promise in sorted(commitments, key=lambda p: (p.starts_on, p.id)):
        if promise.left:
            by_region[promise.region_code].append(promise)
    given: dict[tuple[str, str, str], tuple[Promise, str, list[str]]] = {}
    for need, people in lacking.items():
        fitting = {region: _fitting(need, promises) for region, promises in by_region.items()}
        around = {
            village: [(near, fitting[at]) for near, at in _around(village) if at in fitting]
            if village
            else []
            for village in {village for _, village in people}
        }
        for person_id, village in people:
            choices = around[village]
            while choices:
                near, choice = choices[0]
                while choice and not left[choice[-1].id]:
                    choice.pop()  # for all whom it is around
                if choice:
                    promise = choice[-1]
                    left[promise.id] -= 1
                    given.setdefault((promise.id, village, need), (promise, near, []))[2].append(person_id)
                    break
                choices.pop(0)
    return [
        Proposal(promise, village, need, tuple(sorted(ids)), near)
        for (_, village, need), (promise, near, ids) in given.items()
    ]


def _fitting(need: str, promises: Iterable[Promise]) -> list[Promise]:
    """Give the commitments for a region that could help a need, the best last."""
    order = rules().fits[need]
    return sorted((p for p in promises if p.menu in order), key=lambda p: order.index(p.menu))[::-1]


def _around(village: str) -> list[tuple[str, str]]:
    """Give the regions that hold a village, the narrowest first, and what each is."""
    subdistrict = village.rpartition(".")[0]
    return [("village", village), ("subdistrict", subdistrict), ("district", subdistrict.rpartition(".")[0])]
