"""Figures kept up are the figures counted from nothing, whatever happened in between; what they mean; what is hidden."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from sqlalchemy import delete

from server import audit, reports
from server.database.models import Figures, FiguresPost, table
from server.privacy import erasure, restriction
from server.reports import small_number_suppression
from server.sync.server_edits import Edit
from sync_protocol import NOTHING_SEEN
from tests.conftest import SEARCHED
from tests.server._district import DISTRICT, Databases, District
from tests.server.children._pairs import decide
from tests.server.reports._scene import OFTEN, Cells, Scene, cells, from_the_rows, plainly, refresh


def counted_anew(district: District) -> Cells:
    """Throw every figure away and count from nothing."""
    with district.hub.database.transaction() as session:
        session.execute(delete(table(Figures)))
        session.execute(delete(table(FiguresPost)))
        audit.append(session, DISTRICT, audit.OFFICE, "test", actor="test", now=district.clock.now)
    refresh(district)
    return cells(district)


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


def test_figures_kept_up_equal_a_count_from_nothing_after_any_edits(kind: Databases) -> None:
    done = []
    stories = SEARCHED or (1 if kind.admin else 3)  # make soak tells more

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
