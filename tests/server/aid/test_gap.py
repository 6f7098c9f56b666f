"""The gap of aid as the database gives it is the gap counted person by person, in any district."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from server import audit
from server.aid import need, register
from server.aid.area import AidArea
from server.aid.register import Promise
from server.aid.rules import rules
from server.aid.words import NEEDS, STATE
from server.children.flags import RULES
from server.database.models import Attention, Child, Delivery, FollowUp, HealthPost, table
from server.places import health_posts
from server.review import Scope
from tests.conftest import ENGINES
from tests.server._district import DISTRICT, District, random_uuid
from tests.server.aid._commitments import donor_of, promise

TODAY = date(2026, 3, 20)
MENUS = ("food", "latrine", "insurance", None)
CHILDREN = 150


@pytest.fixture(params=ENGINES, scope="module")
def regency(request: pytest.FixtureRequest) -> Iterator[District]:
    """Give a district with flags, risks and aid that were thrown like dice, some of it linked, moved and restricted."""
    with District.opened(request.getfixturevalue(f"{request.param}_databases")) as district:
        _fill(district, random.Random(6))
        yield district


def _fill(district: District, dice: random.Random) -> None:
    hub, now = district.hub, district.clock.now
    tablets = [district.tablet(0), district.tablet(1)]
    children = [tablets[number % 2].register_child() for number in range(CHILDREN)]
    for tablet in tablets:
        tablet.sync_until_quiet()
    donor = donor_of(district)
    with hub.database.transaction() as session:
        more = [
            health_posts.add_post(
                session, hub, f"Kenanga {n}", _centre(district), village, actor="test", now=now
            )
            for n, village in enumerate(("64.02.06.1003", "64.02.12.2001", None))
        ]
        posts = [*district.posts, *more]
        session.execute(delete(table(Attention)))
        for child in children:
            _throw(session, dice, child, posts, donor, now)
        for one, other in zip(children[:10:2], children[1:10:2], strict=True):
            same = update(table(Child)).where(Child.id == one).values(person_id=other)
            session.execute(same)
        audit.append(session, DISTRICT, audit.OFFICE, "test", actor="test", now=now)
    for region in (DISTRICT, "64.02.06", "64.02.06.1001", "64.02.06.1003", "64.02.12.2001"):
        for menu in ("food", "latrine", "counselling"):
            places_left = dice.randint(1, 3)
            began = f"2026-0{dice.randint(1, 3)}-01"
            promise(district, donor, region=region, menu=menu, places=places_left, starts_on=began)


def _centre(district: District) -> str:
    ids: list[Any] = district.rows(select(HealthPost.health_centre_id))
    return str(ids[0][0])


def _throw(session: Any, dice: random.Random, child: str, posts: list[str], donor: str, now: Any) -> None:
    """Put a child somewhere, with or without flags, risk and aid."""
    post, row = dice.choice(posts), dict[str, Any]()
    key: dict[str, Any] = {"district": DISTRICT, "child_id": child}
    values: dict[str, Any] = {"post_id": post}
    if dice.random() < 0.4:
        values["krs_until"] = dice.choice((TODAY - timedelta(1), TODAY, date.max))
    if dice.random() < 0.1:
        values["restricted_at"] = now
    if dice.random() < 0.2:
        values["born_on"] = dice.choice((None, TODAY - timedelta(1826), TODAY - timedelta(1825)))
    values["removed"] = dice.random() < 0.1
    session.execute(update(table(Child)).where(Child.id == child).values(**values))
    if dice.random() < 0.5:
        some = sorted(dice.sample(list(RULES), dice.randint(0, 3)))
        row = {
            **(key | {"post_id": post, "born_on": None, "red_flags": 0, "status": "new"}),
            **{"urgency": dice.randint(1, 5), "sort_key": round(dice.random() * 5, 1)},
            **{"rules": "".join(f" {rule}" for rule in some) + " ", "assigned_to": None, "due_on": None},
        }
        session.execute(insert(table(Attention)).values(row))
    place: dict[str, Any] = {"post_id": post, "position": 1, "conflicts": "", "state": b"{}", "sealed": 0}
    for _ in range(dice.choice((0, 0, 1, 2, 3))):
        day = [TODAY + timedelta(dice.randint(-80, 40)) for _ in range(3)]
        row = {
            **(key | place | {"delivery": random_uuid(dice), "removed": dice.random() < 0.1}),
            **{"menu": dice.choice(MENUS), "funds": dice.choice(("genting", "csr", "apbd", None))},
            **{"donor_id": dice.choice((donor, None)), "reaches": "child", "commitment_id": None},
            **{"starts_on": dice.choice((day[0], None)), "ends_on": dice.choice((day[1], None, None))},
            **{"given": dice.randint(0, 1), "given_on": dice.choice((day[2], None)), "quantity": None},
            **{"value_rp": dice.choice((450_000, None)), "outcome": dice.choice((None, "not_received"))},
        }
        session.execute(insert(table(Delivery)).values(row))
    if dice.random() < 0.15:
        row = {
            **(key | place | {"task": random_uuid(dice), "removed": dice.random() < 0.2}),
            **{"action": dice.choice(("pmt", "remeasure")), "has_result": dice.randint(0, 1)},
        }
        session.execute(insert(table(FollowUp)).values(row))


# -- counted plainly ------------------------------------------------------------------------------


def _rows(district: District, model: Any) -> list[Any]:
    return list(district.rows(select(*table(model).c)))


class Plain:
    """The gap of an area, child by child."""

    def __init__(self, district: District, codes: set[str | None], first: date, last: date) -> None:
        village = {row.id: row.village_code for row in _rows(district, HealthPost)}
        children = {row.id: row for row in _rows(district, Child)}
        here = {id_ for id_, c in children.items() if c.restricted_at is None and village[c.post_id] in codes}
        lasting = []
        self.value: Counter[str | None] = Counter()
        for d in _rows(district, Delivery):
            begins = [day for day in (d.starts_on, d.given_on) if day]
            if d.child_id not in here or d.removed or not begins:
                continue
            ends = d.ends_on or (
                date.max if d.menu in need.BUILT else (d.given_on or d.starts_on) + timedelta(30)
            )
            source = "state" if d.funds in STATE else d.donor_id or d.funds or "?"
            person, menu = children[d.child_id].person_id, d.menu or "other"
            refused = d.outcome == "not_received"
            lasting.append((person, menu, source, min(begins), ends, bool(d.given), refused))
            if d.given_on and first <= d.given_on <= last and not refused:
                self.value[village[children[d.child_id].post_id]] += d.value_rp or 0
        for f in _rows(district, FollowUp):
            if f.child_id in here and f.action == "pmt" and not f.has_result and not f.removed:
                person = children[f.child_id].person_id
                lasting.append((person, "food", "pmt", date.min, date.max, True, False))
        within = [one for one in lasting if not one[6] and one[3] <= last and one[4] >= first]
        stands = {one[0] for one in within if one[5]}
        promised = {one[0] for one in lasting if not one[5] and not one[6] and one[4] >= TODAY} | {
            one[0] for one in within if not one[5]
        }
        self.twice = {
            (one[0], one[1])
            for one in within
            for other in within
            if one[:2] == other[:2] and one[2] != other[2] and one[3] <= other[4] and other[3] <= one[4]
        }
        people: dict[str, tuple[Any, ...]] = {}
        flagged = [a for a in _rows(district, Attention) if a.child_id in here and a.urgency < 5]
        for a in sorted(flagged, key=lambda a: (a.sort_key, a.child_id)):
            needs = [need.NEED_OF[rule] for rule in a.rules.split() if rule in need.NEED_OF]
            if needs:
                grave = min(needs, key=list(NEEDS).index)
                people[a.child_id] = (list(NEEDS).index(grave), a.sort_key, grave, village[a.post_id])
        for c in sorted(children.values(), key=lambda c: (c.person_id, c.id)):
            young = c.born_on is None or c.born_on > TODAY - timedelta(1826)
            if c.id in here and not c.removed and young and c.krs_until and c.krs_until >= TODAY:
                people.setdefault(c.person_id, (len(NEEDS), 0, "krs", village[c.post_id]))
        self.gap: Counter[tuple[str, str | None]] = Counter()
        self.helped: Counter[str | None] = Counter()
        self.promised: Counter[str | None] = Counter()
        self.lacking: list[tuple[str, str, str | None]] = []
        for person, (_, _, grave, where) in sorted(people.items(), key=lambda one: (*one[1][:2], one[0])):
            if person in stands:
                self.helped[where] += 1
            elif person in promised:
                self.promised[where] += 1
            else:
                self.gap[grave, where] += 1
                self.lacking.append((person, grave, where))

    def proposals(self, commitments: list[Promise]) -> dict[tuple[str, str, str], set[str]]:
        """Give each to the commitment that fits best, looking through all of them for everybody."""
        left = {p.id: p.left for p in commitments}
        given: dict[tuple[str, str, str], set[str]] = {}
        for person, grave, where in self.lacking:
            order = rules().fits[grave]
            fitting = [
                (-p.region_code.count("."), order.index(p.menu), p.starts_on, p.id)
                for p in commitments
                if where and left[p.id] and p.menu in order
                if where == p.region_code or where.startswith(f"{p.region_code}.")
            ]
            if fitting:
                best = min(fitting)[-1]
                left[best] -= 1
                given.setdefault((best, str(where), grave), set()).add(person)
        return given


AREAS: dict[str, set[str | None]] = {
    "district": {"64.02.06.1001", "64.02.06.1003", "64.02.12.2001", None},
    "subdistrict": {"64.02.06.1001", "64.02.06.1003"},
    "village": {"64.02.06.1001"},
}


@pytest.mark.parametrize(
    ("kind", "code"), [("district", DISTRICT), ("subdistrict", "64.02.06"), ("village", "64.02.06.1001")]
)
@pytest.mark.parametrize("days", [0, 45, 400])
def test_gap_of_any_area_and_period_is_what_it_is_person_by_person(
    regency: District, kind: str, code: str, days: int
) -> None:
    hub, first = regency.hub, TODAY - timedelta(days)
    with hub.database.reading() as session:
        area = AidArea.within(session, hub, Scope(kind, code, shows_names=False), sees_children=True)
        found = need.standing(session, hub, area, first, TODAY, TODAY)
        commitments = register.promises(session, hub)
    plain = Plain(regency, AREAS[kind], first, TODAY)
    gap = Counter({(n, v.code or None): count for v in found.villages for n, count in v.gap.items()})
    assert gap == plain.gap
    assert found.gap == Counter(grave for _, grave, _ in plain.lacking)
    assert +Counter({v.code or None: v.helped for v in found.villages}) == plain.helped
    assert +Counter({v.code or None: v.promised for v in found.villages}) == plain.promised
    assert +Counter({v.code or None: v.value_rp for v in found.villages}) == +plain.value
    assert {(one.child_id, one.menu) for one in found.twice} == plain.twice
    proposed = {(p.promise.id, p.village, p.need): set(p.children) for p in found.proposals}
    assert proposed == plain.proposals(commitments)


def test_dice_have_thrown_some_of_everything(regency: District) -> None:
    plain = Plain(regency, AREAS["district"], TODAY - timedelta(45), TODAY)
    with regency.hub.database.reading() as session:
        commitments = register.promises(session, regency.hub)
    given = plain.proposals(commitments)
    assert {grave for _, grave, _ in plain.lacking} == set(NEEDS)
    assert all((plain.helped, plain.promised, plain.twice, plain.value))
    assert 0 < sum(map(len, given.values())) < len(plain.lacking)
    assert {p.region_code.count(".") for p in commitments if p.id in {key[0] for key in given}} == {1, 2, 3}
