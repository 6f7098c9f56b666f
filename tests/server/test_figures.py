"""Figures kept up are the figures counted from nothing, whatever happened in between; what they mean; what is hidden."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import date, timedelta
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from sqlalchemy import delete, select

from server import audit, reports
from server.children import ledger
from server.database.models import Child, Figures, FiguresPost, table
from server.errors import Problem
from server.places import health_posts
from server.privacy import erasure, restriction
from server.reports import small_number_suppression
from server.sync import server_edits
from server.sync.server_edits import Edit
from sync_protocol import NOTHING_SEEN, VersionVector, fold, follow_up_id, measurement_id
from tests.conftest import SEARCHED
from tests.server._district import DISTRICT, Databases, District, identity, measured, to_do, what_came
from tests.server._recount import CALLED, SAYS, recount
from tests.server.test_duplicates import decide

COMPARED = (
    *("S", "D", "N", "T", "O", "B"),
    *(f"{says}.{name}" for says in SAYS.values() for name in (*CALLED, *CALLED.values())),
    *(f"{says}.severely_{called}" for says in SAYS.values() for called in CALLED.values()),
    *(f"{says}.{name}" for says in SAYS.values() for name in ("muac", "thin_arm", "very_thin_arm")),
)
OTHER_PLACES = (("Anggrek 3", "64.02.06.1002"), ("Anggrek 4", "64.02.12.2001"), ("Anggrek 5", None))
Cells = dict[tuple[str, str, str], tuple[dict[str, int], str]]


def cells(district: District) -> Cells:
    """Give all figures as they are stored."""
    return {
        (row.area_kind, row.area, row.month.isoformat()[:7]): (orjson.loads(row.counts), row.hidden)
        for row in district.rows(select(table(Figures)))
    }


def refresh(district: District, *, from_nothing: bool = False) -> reports.Refreshed:
    return reports.refresh(district.hub, district.clock.now, actor="test", from_nothing=from_nothing)


def counted_anew(district: District) -> Cells:
    """Throw every figure away and count from nothing."""
    with district.hub.database.transaction() as session:
        session.execute(delete(table(Figures)))
        session.execute(delete(table(FiguresPost)))
        audit.append(session, DISTRICT, audit.OFFICE, "test", actor="test", now=district.clock.now)
    refresh(district)
    return cells(district)


def plainly(found: Cells) -> dict[tuple[str, str, str], dict[str, int]]:
    """Keep what the oracle counts too, of areas where anybody is."""
    kept = {key: {n: c[n] for n in COMPARED if c.get(n)} for key, (c, _) in found.items()}
    return {key: counts for key, counts in kept.items() if counts}


def from_the_rows(district: District) -> dict[tuple[str, str, str], dict[str, int]]:
    with district.hub.database.reading() as session:
        found = recount(session, district.hub, district.clock.now)
    return {key: {name: count for name, count in counts.items() if count} for key, counts in found.items()}


class Scene:
    """A district with posts in four places, tablets that may be offline for long, and an office that edits everything."""

    def __init__(self, district: District) -> None:
        self.district, hub, now = district, district.hub, district.clock.now
        with hub.database.transaction() as session:
            other = health_posts.add_health_centre(
                session, hub, "Puskesmas Lain", "64.02.12", actor="test", now=now
            )
            more = [
                health_posts.add_post(session, hub, name, other, village, actor="test", now=now)
                for name, village in OTHER_PLACES
            ]
        self.posts = [*district.posts, *more]
        self.tablets = [district.tablet(0), district.tablet(1)]
        self.children: list[str] = []
        self.tasks: list[tuple[str, str]] = []
        self.edits = 0

    def act(self, act: str, a: int, b: int, c: int) -> None:
        """Do one thing; the numbers say with whom, when and how much."""
        self.edits += 1
        getattr(self, act)(a, b, c)

    # -- on tablets, which send when they send ----------------------------------------------------------

    def register(self, a: int, b: int, c: int) -> None:
        born_on = (date(2026, 3, 1) - timedelta(days=b * 7 + c)).isoformat() if c % 9 else None
        sex = (None, "M", "F", "M")[c % 4]
        named = identity(name=f"Contoh {len(self.children)}", sex=sex, born_on=born_on)
        more: dict[str, Any] = {}
        if b % 2:
            more["books"] = {"kia": bool(c % 2), "kms": False}
        if c % 3 == 0:
            more["family"] = {"krs": True} | ({"valid_until": self.day(b)} if b % 3 else {})
        self.children.append(self.tablets[a % 2].register_child(None, identity=named, **more))

    def measure(self, a: int, b: int, c: int) -> None:
        if self.children:
            values: dict[str, Any] = {"weight_g": 5000 + c * 90, "length_mm": 560 + c * 5}
            if c % 7 == 0:
                values["muac_mm"] = 100 + c
            if c % 31 == 0:
                values["oedema"] = "1"
            if c % 5 == 0:
                values.pop("weight_g" if c % 2 else "length_mm")
            services = {"vitamin_a": "blue" if c % 2 else None, "mbg": bool(b % 2), "kpsp": "SMP"[c % 3]}
            registers = measured(**values) | ({"services": services} if c % 4 == 0 else {})
            if c % 6 == 0:
                registers["note"] = {"text": "catatan contoh"}
            tablet = self.tablets[a % 2]
            child = self.children[a % len(self.children)]
            source = "staff" if c % 8 == 0 else "cadre"
            tablet.write(tablet.replica.open_measurement(child, self.day(b), source), registers)

    def send(self, a: int, _b: int, _c: int) -> None:
        self.tablets[a % 2].sync_until_quiet()

    # -- at the office ------------------------------------------------------------------------------------

    def correct(self, a: int, b: int, c: int) -> None:
        if child := self.known(a):
            registers = measured(weight_g=4000 + c * 100, length_mm=600 + c * 4)
            source = "staff" if c % 2 else "cadre"
            edit = Edit.of_measurement(child, self.day(b), source, registers, NOTHING_SEEN)
            seen = self.seen(child, edit.record_id) if c % 3 else NOTHING_SEEN
            self.write(Edit.of_measurement(child, self.day(b), source, registers, seen))

    def remove(self, a: int, b: int, c: int) -> None:
        if child := self.known(a):
            record = measurement_id(child, self.day(b), "cadre")
            gone = {"removed": {"reason": None if c % 4 == 0 else "salah anak"}}
            self.write(Edit.of_measurement(child, self.day(b), "cadre", gone, self.seen(child, record)))

    def name_anew(self, a: int, b: int, c: int) -> None:
        """Give another birth date or sex, having seen what there is or not: then that is in conflict."""
        if child := self.known(a):
            born_on = (date(2026, 2, 20) - timedelta(days=b * 9)).isoformat()
            named = {"identity": identity(sex="MF"[c % 2], born_on=born_on)}
            self.write(Edit.of_child(child, named, self.seen(child, child) if c % 3 else NOTHING_SEEN))

    def strike(self, a: int, _b: int, c: int) -> None:
        """Take a child off the register, or put it back."""
        if child := self.known(a):
            gone = {"removed": {"reason": "pindah" if c % 2 else None}}
            self.write(Edit.of_child(child, gone, self.seen(child, child)))

    def move(self, a: int, b: int, _c: int) -> None:
        if child := self.known(a):
            to = {"post": {"post": self.posts[b % len(self.posts)]}}
            self.write(Edit.of_child(child, to, self.seen(child, child)))

    def link(self, a: int, b: int, c: int) -> None:
        one, other = self.known(a), self.known(b)
        if one and other and one != other:
            to = {"same_as": {"child": other if c % 3 else None}}
            self.write(Edit.of_child(one, to, self.seen(one, one)))

    def plan(self, a: int, b: int, c: int) -> None:
        if child := self.known(a):
            task = self.district.new_id()
            self.tasks.append((child, task))
            action = ("take", "remeasure", "pmt", "refer_puskesmas")[c % 4]
            self.write(Edit.of_follow_up(child, task, {"task": to_do(action, due_on=self.day(b))}))

    def answer(self, a: int, b: int, c: int) -> None:
        if self.tasks:
            child, task = self.tasks[a % len(self.tasks)]
            came = {"result": what_came(("done", "confirmed", "cancelled")[c % 3], done_on=self.day(b))}
            seen = self.seen(child, follow_up_id(child, task))
            self.write(Edit.of_follow_up(child, task, came, seen))

    def give(self, a: int, b: int, c: int) -> None:
        """Bring aid, or somebody who goes to see and finds none."""
        if child := self.known(a):
            aid = {
                "menu": ("food", "latrine")[c % 2],
                "funds": ("genting", "dak", "csr")[c % 3],
                "reaches": "child",
                "starts_on": self.day(b),
                "ends_on": None,
            }
            registers: dict[str, Any] = {"aid": aid}
            if c % 5:
                registers["delivered"] = {"given_on": self.day(b)}
            if c % 7 == 0:
                registers["verified"] = {"verified_on": self.day(b), "outcome": "not_received"}
            self.write(Edit.of_delivery(child, self.district.new_id(), registers, NOTHING_SEEN))

    def pass_time(self, _a: int, _b: int, c: int) -> None:
        self.district.clock.advance(days=c % 20)

    def count(self, a: int, b: int, c: int) -> None:
        """Count; then edit one child, rather one who was linked to another, and count again: that must be seen."""
        refresh(self.district)
        linked = self.district.rows(select(Child.id).where(Child.person_id != Child.id).order_by(Child.id))
        child = str(linked[a % len(linked)].id) if linked else self.known(a)
        if child is None:
            return
        on, registers = self.day(b), measured(weight_g=4000 + c * 100, length_mm=600 + c * 4)
        seen = self.seen(child, measurement_id(child, on, "cadre"))
        self.write(Edit.of_measurement(child, on, "cadre", registers, seen))
        refresh(self.district)
        assert plainly(cells(self.district)) == from_the_rows(self.district)

    # -- what is needed for it ----------------------------------------------------------------------------

    def day(self, number: int) -> str:
        return (date(2026, 3, 4) - timedelta(days=number * 11)).isoformat()

    def known(self, number: int) -> str | None:
        here = self.district.rows(select(Child.id).order_by(Child.id))
        return str(here[number % len(here)].id) if here else None

    def seen(self, child: str, record: str) -> VersionVector:
        hub = self.district.hub
        with hub.database.reading() as session:
            subjects = ledger.subjects(session, hub.vault, DISTRICT, [child])
            held = ledger.histories(session, DISTRICT, subjects, {record: child}).get(record)
        return fold(held).vector if held and held.changes else NOTHING_SEEN

    def write(self, edit: Edit) -> None:
        hub, now = self.district.hub, self.district.clock.now
        with (
            suppress(Problem),  # a day before birth, say
            hub.database.transaction() as session,
        ):
            server_edits.write(session, hub, [edit], "test.edited", author="operator", now=now)


OFTEN = ("register", "measure", "measure", "measure", "measure", "correct", "correct", "send")
SELDOM = (
    *("remove", "name_anew", "strike", "plan", "answer", "give", "pass_time"),
    *("move", "link", "count", "move", "link"),
)
ACTS = st.tuples(
    st.sampled_from((*OFTEN, *SELDOM)), st.integers(0, 40), st.integers(0, 70), st.integers(0, 90)
)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def kind(request: pytest.FixtureRequest) -> Databases:
    """Give each kind of database; Hypothesis makes a district for every example on it."""
    made: Databases = request.getfixturevalue(f"{request.param}_databases")
    return made


@pytest.mark.uncounted
def test_figures_kept_up_equal_a_count_from_nothing_after_any_edits(kind: Databases) -> None:
    done = []
    stories = SEARCHED or (2 if kind.admin else 5)  # each costs five times as much on PostgreSQL

    @settings(
        max_examples=stories, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(st.lists(ACTS, min_size=220, max_size=320))
    def story(acts: Sequence[tuple[str, int, int, int]]) -> None:
        with District.opened(kind) as district:
            scene = Scene(district)
            for act in acts:
                scene.act(*act)
            for tablet in scene.tablets:
                tablet.sync_until_quiet()
            refresh(district)
            kept = cells(district)
            assert reports.due_posts(district.hub, district.clock.now) == []
            assert plainly(kept) == from_the_rows(district)
            assert counted_anew(district) == kept
            done.append(scene.edits)

    story()
    assert sum(done) >= 200 * stories


# -- what the numbers mean --------------------------------------------------------------------------------


def figures_of(district: District, post: int = 0, month: str = "2026-03") -> dict[str, int]:
    """Count, and give a post's numbers of a month."""
    refresh(district)
    return cells(district)["post", district.posts[post], month][0]


def test_month_is_counted_by_skdn_and_codes_that_add_up(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    weights = {
        "N": (9000, 9300),
        "T": (9000, 9000),
        "O": (None, 9000),
        "B": (None, 9000),
        "absent": (9000, None),
    }
    for name, (february, march) in weights.items():
        child = tablet.register_child(None, books={"kia": name != "B", "kms": False})
        if name == "O":
            tablet.measure(child, "2026-01-05", weight_g=8800)
        for on, weight in (("2026-02-05", february), ("2026-03-05", march)):
            if weight:
                tablet.measure(child, on, weight_g=weight)
    tablet.sync_until_quiet()
    found = figures_of(on_sqlite)
    assert {name: found[name] for name in "SKDNTOB"} == {
        "S": 5,
        "K": 4,
        "D": 4,
        "N": 1,
        "T": 1,
        "O": 1,
        "B": 1,
    }
    assert found["D.M12-23"] == 4
    assert (found["posts.reporting"], found["sessions"], found["visits"]) == (1, 1, 4)


def test_weights_in_conflict_leave_d_the_sum_of_its_codes(installed: District) -> None:
    one, other = installed.tablet(), installed.tablet()
    child = one.register_child()
    one.measure(child, "2026-02-05", weight_g=9000)
    one.sync_until_quiet()
    other.sync_until_quiet()
    one.measure(child, weight_g=9800)
    other.measure(child, weight_g=9010)
    one.sync_until_quiet()
    other.sync_until_quiet()
    found = figures_of(installed)
    assert {name: found.get(name, 0) for name in "DNTOB"} == {"D": 1, "N": 0, "T": 0, "O": 1, "B": 0}
    assert found["undecided"] == 1


def test_indicated_and_confirmed_are_apart_and_implausible_values_in_neither(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    short, fine, impossible, swollen = (tablet.register_child() for _ in range(4))
    tablet.measure(short, weight_g=8500, length_mm=715)
    tablet.measure(short, "2026-03-05", "staff", weight_g=8500, length_mm=770)
    tablet.measure(fine, weight_g=9800, length_mm=790)
    tablet.measure(impossible, weight_g=9800, length_mm=560)
    tablet.measure(swollen, weight_g=9800, length_mm=790, oedema="1")
    tablet.sync_until_quiet()
    found = figures_of(on_sqlite)
    assert (found["indicated.haz"], found["indicated.stunted"]) == (3, 1)
    assert (found["confirmed.haz"], found.get("confirmed.stunted", 0)) == (1, 0)
    assert found["indicated.flagged"] == 1
    assert (found["indicated.wasted"], found["indicated.severely_wasted"]) == (1, 1)


def test_moved_child_takes_its_months_along_and_both_posts_are_counted(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, "2026-02-05", weight_g=9000)
    tablet.sync_until_quiet()
    assert figures_of(installed, month="2026-02")["D"] == 1
    tablet.edit_child(child, post={"post": installed.posts[1]})
    tablet.sync_until_quiet()
    assert len(reports.due_posts(installed.hub, installed.clock.now)) == 2
    assert figures_of(installed, 1, "2026-02")["D"] == 1
    assert ("post", installed.posts[0], "2026-02") not in cells(installed)
    assert cells(installed)["district", "", "2026-02"][0]["D"] == 1


def test_second_refresh_counts_nothing_and_a_new_month_everything(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    tablet.register_child()
    tablet.sync_until_quiet()
    assert refresh(on_sqlite).posts == 2
    assert refresh(on_sqlite) == reports.Refreshed()
    on_sqlite.clock.advance(days=30)
    assert refresh(on_sqlite).posts == 2
    assert cells(on_sqlite)["district", "", "2026-04"][0]["S"] == 1


def test_link_between_posts_counts_at_the_head_what_is_measured_of_the_other(installed: District) -> None:
    here, there = installed.tablet(0), installed.tablet(1)
    one, other = here.register_child(), there.register_child()
    for tablet in (here, there):
        tablet.sync_until_quiet()
    decide(installed, "link", one, other)
    refresh(installed)
    head, away = (0, there) if one < other else (1, here)
    away.sync_until_quiet()
    away.measure(other if away is there else one, weight_g=9000)
    away.sync_until_quiet()
    found = figures_of(installed, head)
    assert (found["S"], found["D"]) == (1, 1)
    assert cells(installed)["district", "", "2026-03"][0]["S"] == 1


def test_aid_that_came_counts_in_its_months_and_growth_after_it_is_compared(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child(None, family={"krs": True})
    for on, weight_g in (("2025-11-05", 7400), ("2026-02-05", 8900)):
        tablet.measure(child, on, weight_g=weight_g)
    tablet.sync_until_quiet()
    aid = {"menu": "food", "reaches": "child", "starts_on": "2025-11-10", "ends_on": "2026-01-20"}
    scene = Scene(installed)
    for funds in ("genting", "apbd"):
        registers = {"aid": {**aid, "funds": funds}, "delivered": {"given_on": "2025-11-10"}}
        scene.write(Edit.of_delivery(child, installed.new_id(), registers, NOTHING_SEEN))
    found = figures_of(installed, month="2025-11")
    assert (found["aid"], found["aid.food"], found["pmt"]) == (1, 1, 1)
    assert (found["aid.needing"], found["aid.reaching"]) == (1, 1)
    assert (found["after3.waz"], found["after3.waz.rose"]) == (1, 1)
    assert "aid" not in figures_of(installed, month="2026-02")


@pytest.mark.parametrize("right", ["restrict", "erase"])
def test_who_was_restricted_or_erased_is_in_no_figure(right: str, on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    child, other = tablet.register_child(), tablet.register_child()
    for each in (child, other):
        tablet.measure(each, weight_g=9000)
    tablet.sync_until_quiet()
    assert figures_of(on_sqlite)["D"] == 2
    hub, now = on_sqlite.hub, on_sqlite.clock.now
    with hub.database.transaction() as session:
        if right == "restrict":
            restriction.restrict(session, hub, child, actor="operator", now=now)
        else:
            erasure.erase(session, hub, child, proposed_by="a", agreed_by="b", now=now)
    found = figures_of(on_sqlite)
    assert (found["S"], found["D"]) == (1, 1)
    assert plainly(cells(on_sqlite)) == from_the_rows(on_sqlite)


# -- small numbers ----------------------------------------------------------------------------------------

TREE = {9: [6, 7, 8], 6: [0, 1, 2], 7: [3, 4], 8: [5]}
"""A district of three villages, with six posts in all."""
NAMES = ("D", "N", "OB", "T", "stunted")


def summed(of_posts: Sequence[Sequence[int]]) -> Any:
    """Add up numbers of posts (N, OB, T, stunted) by TREE; D is the sum of its codes."""
    leaves = np.array([(n + ob + t, n, ob, t, s) for n, ob, t, s in of_posts], np.int64)
    values = np.zeros((10, len(NAMES)), np.int64)
    values[:6] = leaves
    for whole in (6, 7, 8, 9):
        values[whole] = values[TREE[whole]].sum(axis=0)
    return values


def equations() -> Any:
    """Give everything that adds up as rows of coefficients over all cells."""
    width = len(NAMES)
    rows = []
    for whole, parts in TREE.items():
        for column in range(width):
            row = np.zeros(10 * width)
            row[whole * width + column] = -1
            row[[part * width + column for part in parts]] = 1
            rows.append(row)
    for area in range(10):
        row = np.zeros(10 * width)
        row[area * width + NAMES.index("D")] = -1
        row[[area * width + NAMES.index(code) for code in ("N", "T", "OB")]] = 1
        rows.append(row)
    return np.array(rows)


@given(st.lists(st.lists(st.integers(0, 12), min_size=4, max_size=4), min_size=6, max_size=6))
def test_no_hidden_number_follows_from_those_that_are_shown(of_posts: list[list[int]]) -> None:
    values = summed(of_posts)
    hide = small_number_suppression.hidden(values, NAMES, TREE)
    assert not ((values > 0) & (values < small_number_suppression.FEWEST) & ~hide).any()
    unknown = np.flatnonzero(hide.reshape(-1))
    if len(unknown):
        among = equations()[:, unknown]
        free = np.linalg.svd(among)[2][np.linalg.matrix_rank(among) :]
        assert (np.abs(free).max(axis=0, initial=0) > 1e-9).all()  # each can be another number
    for whole, parts in TREE.items():
        inner = np.where(hide[parts], values[parts], 0).sum(axis=0)
        shown = ~hide[whole] & hide[parts].any(axis=0)
        assert (inner[shown] >= small_number_suppression.FEWEST).all()


def test_nothing_is_hidden_where_all_numbers_are_large_or_none() -> None:
    values = summed([[20, 30, 10, 0]] * 6)
    assert not small_number_suppression.hidden(values, NAMES, TREE).any()
