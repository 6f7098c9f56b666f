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
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, and_, literal_column, select
from sqlalchemy.orm import Session, defer

from server import audit, office
from server.aid.area import Area
from server.aid.register import Promise, promises
from server.aid.rules import rules
from server.aid.sheets import DELIVERY_KNOWN, REPORTED_TWICE
from server.aid.words import FOR_STUNTING, NEEDS, STATE
from server.attention import NO_FLAG
from server.errors import Problem
from server.hub import Hub
from server.models import AidActivity, Attention, Child, Delivery, Donor, FollowUp, HealthPost
from server.office import Edit
from server.places import new_id
from server.review.scope import queue_within, within

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
_ORDER: Final = {need: rank for rank, need in enumerate(NEEDS)}
_LAST_PLACE: Final = float("inf")


class Person(NamedTuple):
    """Somebody who needs aid. `stands`: aid was brought and lasts; `promised`: it was not brought yet."""

    id: str
    village: str | None
    need: str
    place: float
    stands: bool
    promised: bool


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
    villages : those where somebody needs aid or something was given, the widest gap first
    nobody_there : those where aid for stunting goes and nobody needs it
    reported : activities that double another report or a delivery
    authorities : companies that several authorities claim: name, and which
    relief, other : activities that are not for stunting: how many, and Rp
    """

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
        return sum(village.lacking for village in self.villages)

    @property
    def lacking_places(self) -> int:
        return sum(village.lacking > 0 for village in self.villages)

    @property
    def gap(self) -> Counter[str]:
        return sum((village.gap for village in self.villages), Counter())


def standing(session: Session, hub: Hub, area: Area, first: date, last: date, today: date) -> Standing:
    """Work out gap, overlap and proposals of an area.

    Parameters
    ----------
    first, last : the period in which aid counts as standing and activities are counted
    """
    lasting = _deliveries(session, hub, area)
    people = _people(session, hub, area, lasting, first, last, today)
    activities = _activities(session, hub, area, first, last)
    villages = _villages(people, lasting, activities, first, last)
    ordered = sorted(villages.values(), key=lambda v: (-v.lacking, v.code))
    for_stunting = [v for v in ordered if v.value_rp or v.activities]
    reported = [a for a in activities if a.same_by in (REPORTED_TWICE, DELIVERY_KNOWN) and a.same_as]
    counted = [a for a in activities if a.same_as is None and a.status == "taken"]
    return Standing(
        tuple(ordered),
        tuple(v for v in for_stunting if not v.needing),
        tuple(_twice(lasting, first, last)),
        tuple(reported),
        tuple(_authorities(session, hub, activities)),
        _sum(counted, "disaster"),
        _sum(counted, "other"),
        tuple(_proposals(people, promises(session, hub))),
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
    people = _people(session, hub, area, _deliveries(session, hub, area), today, today, today)
    proposals = _proposals(people, promises(session, hub))
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
    """A delivery with the days on which it stands."""

    person_id: str
    village: str | None
    menu: str
    source: str
    starts: date
    ends: date
    given: bool
    refused: bool
    value_rp: int
    given_on: date | None


def _village_of_post(session: Session, hub: Hub) -> dict[str, str | None]:
    """Give the village of every post: in dicts, for joined to them a district's children are walked post by post."""
    rows = session.execute(
        select(HealthPost.id, HealthPost.village_code).where(HealthPost.district == hub.district)
    )
    return {row.id: row.village_code for row in rows}


def _deliveries(session: Session, hub: Hub, area: Area) -> list[Lasting]:
    village = _village_of_post(session, hub)
    rows = session.connection().execute(
        select(
            *(Child.person_id, Child.post_id, Delivery.menu, Delivery.funds, Delivery.donor_id),
            *(Delivery.starts_on, Delivery.ends_on, Delivery.given, Delivery.given_on, Delivery.outcome),
            Delivery.value_rp,
        )
        .join(Child, and_(Child.district == Delivery.district, Child.id == Delivery.child_id))
        .where(Delivery.district == hub.district, ~Delivery.removed, within(hub, area.scope))
    )
    lasting = [_lasting(row, village[row.post_id]) for row in rows if row.starts_on or row.given_on]
    courses = session.connection().execute(
        select(Child.person_id, Child.post_id)
        .join(FollowUp, and_(Child.district == FollowUp.district, Child.id == FollowUp.child_id))
        .where(
            # a constant: the index of what is not done yet is for that alone
            *(FollowUp.district == hub.district, FollowUp.resulted == literal_column("0")),
            *(FollowUp.action == "pmt", ~FollowUp.removed, within(hub, area.scope)),
        )
    )
    # a PMT course of the state that runs is food, too: until somebody tells how it ended
    lasting += [
        Lasting(row.person_id, village[row.post_id], "food", "pmt", date.min, date.max, True, False, 0, None)
        for row in courses
    ]
    return lasting


def _lasting(row: Any, village: str | None) -> Lasting:
    starts = row.starts_on or row.given_on
    ends = row.ends_on or (date.max if row.menu in BUILT else (row.given_on or starts) + ONCE)
    source = "state" if row.funds in STATE else row.donor_id or row.funds or "?"
    return Lasting(
        *(
            row.person_id,
            village,
            row.menu or "other",
            source,
            min(starts, row.given_on or starts),
            ends,
        ),
        *(bool(row.given), row.outcome == "not_received", row.value_rp or 0, row.given_on),
    )


def _people(
    session: Session, hub: Hub, area: Area, lasting: Iterable[Lasting], first: date, last: date, today: date
) -> list[Person]:
    """Give everybody who needs aid, in greatest need first."""
    stands: set[str] = set()
    promised: set[str] = set()
    for one in lasting:
        if one.refused or one.starts > last or one.ends < first:
            if not one.given and not one.refused and one.ends >= today:
                promised.add(one.person_id)  # it begins later
            continue
        (stands if one.given else promised).add(one.person_id)
    village, connection = _village_of_post(session, hub), session.connection()
    ordered: dict[str, list[Person]] = {need: [] for need in NEEDS}
    known: set[str] = set()
    for id_, post_id, rules_text, place in connection.execute(_flagged(hub, area)):
        if need := _need_of(rules_text):
            known.add(id_)
            here = village[post_id]
            ordered[need].append(Person(id_, here, need, place, id_ in stands, id_ in promised))
    for id_, post_id in connection.execute(_at_risk(hub, area, today)):
        if id_ not in known:
            known.add(id_)
            here = village[post_id]
            ordered["krs"].append(Person(id_, here, "krs", _LAST_PLACE, id_ in stands, id_ in promised))
    return [person for several in ordered.values() for person in several]


def _flagged(hub: Hub, area: Area) -> Select[str, str, str, float]:
    """Ask for everybody whom a flag stands for: a row of the queue has the rules of all flags, and needs no look at them."""
    rows = select(Attention.child_id, Attention.post_id, Attention.rules, Attention.place)
    inside = queue_within(hub, area.scope), Attention.urgency < NO_FLAG
    return rows.where(*inside).order_by(Attention.place, Attention.child_id)


def _at_risk(hub: Hub, area: Area, today: date) -> Select[str, str]:
    """Ask for the families at risk: a row for each child, and one family may have several."""
    return (
        select(Child.person_id, Child.post_id)
        .where(
            *(~Child.removed, within(hub, area.scope), Child.krs_until >= today),
            (Child.born_on.is_(None)) | (Child.born_on > today - OLDEST),
        )
        .order_by(Child.person_id, Child.id)
    )


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
    people: Sequence[Person],
    lasting: Sequence[Lasting],
    activities: Sequence[AidActivity],
    first: date,
    last: date,
) -> dict[str, Village]:
    found: defaultdict[str, Village] = defaultdict(lambda: Village(""))

    def at(code: str | None) -> Village:
        village = found[code or ""]
        village.code = code or ""
        return village

    for person in people:
        village = at(person.village)
        if person.stands:
            village.helped += 1
        elif person.promised:
            village.promised += 1
        else:
            village.gap[person.need] += 1
    for one in lasting:
        if one.given_on is not None and first <= one.given_on <= last and not one.refused:
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
    for one in lasting:
        if not one.refused and one.starts <= last and one.ends >= first:
            by[one.person_id, one.menu].append(one)
    found = []
    for (person_id, menu), several in sorted(by.items()):
        sources = {
            source
            for n, one in enumerate(several)
            for other in several[n + 1 :]
            if one.source != other.source and one.starts <= other.ends and other.starts <= one.ends
            for source in (one.source, other.source)
        }
        if sources:
            found.append(Twice(person_id, several[0].village, menu, tuple(sorted(sources))))
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


def _proposals(people: Sequence[Person], commitments: Sequence[Promise]) -> list[Proposal]:
    """Give each who has nothing, in order of need, to the commitment that fits best and has room left."""
    left = {promise.id: promise.left for promise in commitments}
    by_region: defaultdict[str, list[Promise]] = defaultdict(list)
    for promise in sorted(commitments, key=lambda p: (p.starts_on, p.id)):
        if promise.left:
            by_region[promise.region_code].append(promise)
    fitting: dict[tuple[str, str], Iterator[tuple[Promise, str]]] = {}
    best: dict[tuple[str, str], tuple[Promise, str] | None] = {}
    given: dict[tuple[str, str, str], tuple[Promise, str, list[str]]] = {}
    for person in people:
        if person.stands or person.promised or not person.village:
            continue
        where = person.village, person.need
        if where not in fitting:
            fitting[where] = _fitting(*where, by_region, left)
            best[where] = next(fitting[where], None)
        while (found := best[where]) and not left[found[0].id]:
            best[where] = next(fitting[where], None)
        if found:
            left[found[0].id] -= 1
            given.setdefault((found[0].id, *where), (*found, []))[2].append(person.id)
    return [
        Proposal(promise, village, need, tuple(sorted(ids)), near)
        for (_, village, need), (promise, near, ids) in given.items()
    ]


def _fitting(
    village: str, need: str, by_region: Mapping[str, Sequence[Promise]], left: Mapping[str, int]
) -> Iterator[tuple[Promise, str]]:
    """Give the commitments with room left that could help a need in a village, the best first, and how near each one's
    place is."""
    order = rules().fits[need]
    for near, code in _around(village):
        here = [promise for promise in by_region.get(code, ()) if left[promise.id] and promise.menu in order]
        for promise in sorted(here, key=lambda p: order.index(p.menu)):
            yield promise, near


def _around(village: str) -> list[tuple[str, str]]:
    """Give the regions that hold a village, the narrowest first, and what each is."""
    subdistrict = village.rpartition(".")[0]
    return [("village", village), ("subdistrict", subdistrict), ("district", subdistrict.rpartition(".")[0])]
