"""The queue's rows: what follows from flags and follow-ups, however they came."""

import itertools
import random
from collections.abc import Iterator, Sequence
from datetime import date
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given, strategies as st
from sqlalchemy import create_engine, delete, insert, inspect, select

from schemas.records import Result, Task
from server import audit
from server.children import review_queue
from server.children.assessment import assess
from server.children.flags import RULES
from server.children.review_queue import CLOSED, NEW, NO_FLAG, TAKEN, WAITING, Raised, flag_seen
from server.database import migrations
from server.database.models import Attention, Base, Child, Flag, table
from tests.server._district import DISTRICT, Databases, District, FakeTablet, identity, to_do

ON, BEFORE = "2026-03-05", "2026-02-05"
THIN: dict[str, Any] = {"weight_g": 6100, "length_mm": 750}


def thin_child(district: District) -> tuple[FakeTablet, str]:
    """Give a tablet, and a child who is far too thin."""
    tablet = district.tablet()
    child = tablet.register_child()
    tablet.measure(child, **THIN)
    tablet.sync_until_quiet()
    return tablet, child


def well_child(district: District) -> tuple[FakeTablet, str]:
    tablet = district.tablet()
    child = tablet.register_child()
    tablet.measure(child, weight_g=9900, length_mm=780)
    tablet.sync_until_quiet()
    return tablet, child


def on_screen(district: District, child: str) -> list[str]:
    """Name the flags that a child has now, as whoever closes the case sees them."""
    c = table(Flag).c
    found = district.rows(select(c.rule, c.subject, c.details).where(c.child_id == child).order_by(c.rule))
    return [flag_seen(row.rule, row.subject, row.details) for row in found]


def close(tablet: FakeTablet, child: str, covers: Sequence[str], outcome: str = "followed_elsewhere") -> None:
    """Close a case: somebody takes it, and tells its end."""
    task = tablet.set_task(child, action="take", assigned_to="petugas")
    tablet.set_result(child, task, outcome, covers=list(covers))
    tablet.sync_until_quiet()


def status(district: District, child: str) -> str | None:
    row = district.attention(child)
    return row.status if row else None


# -- statuses -------------------------------------------------------------------------------------


def test_flagged_child_is_new(installed: District) -> None:
    _, child = thin_child(installed)
    row = installed.attention(child)
    assert (row.status, row.urgency, row.post_id) == (NEW, 1, installed.posts[0])
    assert (row.assigned_to, row.due_on) == (None, None)
    assert row.red_flags == len([rule for rule in installed.flags(child) if RULES[rule].urgency == 1])
    assert 1_000_000 < row.sort_key < 2_000_000


def test_well_child_has_no_row(installed: District) -> None:
    _, child = well_child(installed)
    assert installed.flags(child) == {}
    assert installed.attention(child) is None


def test_child_is_taken_while_somebody_has_charge(installed: District) -> None:
    tablet, child = thin_child(installed)
    tablet.set_task(child, action="take", assigned_to="petugas-satu", due_on="2026-03-07")
    tablet.sync_until_quiet()
    row = installed.attention(child)
    assert (row.status, row.assigned_to, row.due_on) == (TAKEN, "petugas-satu", date(2026, 3, 7))


def test_child_is_waiting_while_a_task_is_open(installed: District) -> None:
    tablet, child = thin_child(installed)
    tablet.set_task(child, action="take", assigned_to="petugas-satu", due_on="2026-03-06")
    first = tablet.set_task(child, action="home_visit", assigned_to="kader", due_on="2026-03-12")
    second = tablet.set_task(child, action="remeasure", due_on="2026-03-10")
    tablet.sync_until_quiet()
    row = installed.attention(child)
    assert (row.status, row.assigned_to, row.due_on) == (WAITING, "petugas-satu", date(2026, 3, 10))
    for task in (first, second):
        tablet.set_result(child, task)
    tablet.sync_until_quiet()
    assert status(installed, child) == TAKEN


def test_task_that_nobody_took_is_that_of_whom_it_was_given(installed: District) -> None:
    tablet, child = thin_child(installed)
    tablet.set_task(child, action="home_visit", assigned_to="kader")
    tablet.sync_until_quiet()
    assert installed.attention(child).assigned_to == "kader"


def test_child_is_closed_with_all_flags_on_the_screen(installed: District) -> None:
    tablet, child = thin_child(installed)
    close(tablet, child, on_screen(installed, child))
    row = installed.attention(child)
    assert (row.status, row.urgency, row.assigned_to) == (CLOSED, 1, None)


def test_child_is_not_closed_when_one_flag_was_not_on_the_screen(installed: District) -> None:
    tablet, child = thin_child(installed)
    close(tablet, child, on_screen(installed, child)[1:])
    assert status(installed, child) == NEW


def test_result_of_a_task_closes_nothing(installed: District) -> None:
    tablet, child = thin_child(installed)
    task = tablet.set_task(child, action="home_visit")
    tablet.set_result(child, task, "done", covers=on_screen(installed, child))
    tablet.sync_until_quiet()
    assert status(installed, child) == NEW


def test_charge_that_was_given_back_closes_nothing(installed: District) -> None:
    tablet, child = thin_child(installed)
    close(tablet, child, (), "cancelled")
    assert status(installed, child) == NEW


def test_newer_flag_opens_a_closed_case_again(installed: District) -> None:
    tablet, child = thin_child(installed)
    close(tablet, child, on_screen(installed, child))
    tablet.measure(child, "2026-03-04", muac_mm=110)
    tablet.sync_until_quiet()
    assert "muac_severe" in installed.flags(child)
    assert status(installed, child) == NEW


def test_case_stays_closed_when_a_flag_goes(installed: District) -> None:
    tablet, child = thin_child(installed)
    tablet.measure(child, "2026-03-04", muac_mm=110)
    tablet.sync_until_quiet()
    close(tablet, child, on_screen(installed, child))
    tablet.measure(child, "2026-03-04", muac_mm=150)
    tablet.sync_until_quiet()
    assert "muac_severe" not in installed.flags(child)
    assert status(installed, child) == CLOSED


def test_child_who_is_missing_once_more_is_a_new_case(installed: District) -> None:
    tablet, child = well_child(installed)
    installed.clock.advance(days=70)
    tablet.edit_child(child, books={"kia": True, "kms": True})
    tablet.sync_until_quiet()
    assert "not_seen" in installed.flags(child)
    close(tablet, child, on_screen(installed, child))
    assert status(installed, child) == CLOSED
    tablet.measure(child, "2026-05-10", weight_g=10400, length_mm=790)
    tablet.sync_until_quiet()
    installed.clock.advance(days=70)
    tablet.edit_child(child, books={"kia": True, "kms": False})
    tablet.sync_until_quiet()
    assert "not_seen" in installed.flags(child)
    assert status(installed, child) == NEW


def test_case_that_two_people_close_at_once_is_closed(installed: District) -> None:
    one, child = thin_child(installed)
    two = installed.tablet()
    task = one.set_task(child, action="take", assigned_to="petugas")
    installed.settle(one, two)
    shown = on_screen(installed, child)
    one.set_result(child, task, "recovered", covers=shown)
    two.set_result(child, task, "followed_elsewhere", covers=shown)
    installed.settle(one, two)
    assert one.follow_up(child, task).conflicts == ("result",)
    assert status(installed, child) == CLOSED


def test_charge_that_two_people_change_at_once_is_still_a_charge(installed: District) -> None:
    one, child = thin_child(installed)
    two = installed.tablet()
    task = one.set_task(child, action="take", assigned_to="petugas")
    installed.settle(one, two)
    one.set_task(child, task, action="take", assigned_to="petugas-satu")
    two.set_task(child, task, action="take", assigned_to="petugas-dua")
    installed.settle(one, two)
    assert status(installed, child) == TAKEN


def test_follow_up_that_was_removed_counts_for_nothing(installed: District) -> None:
    tablet, child = thin_child(installed)
    task = tablet.set_task(child, action="home_visit")
    tablet.write(tablet.replica.open_follow_up(child, task), {"removed": {"reason": "tertulis dua kali"}})
    tablet.sync_until_quiet()
    assert status(installed, child) == NEW


def test_open_work_without_a_flag_comes_last(installed: District) -> None:
    tablet, child = well_child(installed)
    task = tablet.set_task(child, action="home_visit", due_on="2026-03-12")
    tablet.sync_until_quiet()
    row = installed.attention(child)
    assert (row.urgency, row.red_flags, row.sort_key, row.status) == (
        NO_FLAG,
        0,
        review_queue.sort_key([]),
        WAITING,
    )
    tablet.set_result(child, task)
    tablet.sync_until_quiet()
    assert installed.attention(child) is None


def test_oedema_goes_before_every_score(installed: District) -> None:
    tablet, child = well_child(installed)
    tablet.measure(child, "2026-03-04", weight_g=9800, oedema="1")
    tablet.measure(child, oedema="1", weight_g=9900)
    tablet.sync_until_quiet()
    assert installed.attention(child).sort_key % 1 == pytest.approx(0.99)


# -- whose row it is ------------------------------------------------------------------------------


def test_row_goes_with_the_child_to_another_post(installed: District) -> None:
    tablet, child = thin_child(installed)
    tablet.edit_child(child, post={"post": installed.posts[1]})
    tablet.sync_until_quiet()
    assert installed.attention(child).post_id == installed.posts[1]


def test_removed_child_has_no_row_until_it_is_put_back(installed: District) -> None:
    tablet, child = thin_child(installed)
    tablet.set_task(child, action="home_visit")
    tablet.edit_child(child, removed={"reason": "tertulis dua kali"})
    tablet.sync_until_quiet()
    assert installed.attention(child) is None
    tablet.edit_child(child, removed={"reason": None})
    tablet.sync_until_quiet()
    assert status(installed, child) == WAITING


def test_linked_children_are_one_row_under_their_head(installed: District) -> None:
    tablet, child = thin_child(installed)
    other = tablet.register_child(identity=identity(name="Anak Contoh Lain"))
    tablet.set_task(other, action="home_visit", assigned_to="kader")
    tablet.sync_until_quiet()
    assert (status(installed, child), status(installed, other)) == (NEW, WAITING)
    tablet.edit_child(other, same_as={"child": child})
    tablet.sync_until_quiet()
    assert installed.attention(other) is None
    row = installed.attention(child)
    assert (row.status, row.assigned_to, row.urgency) == (WAITING, "kader", 1)
    tablet.edit_child(other, same_as={"child": None})
    tablet.sync_until_quiet()
    assert (status(installed, child), status(installed, other)) == (NEW, WAITING)


def test_closing_of_either_record_closes_the_case_of_a_person(installed: District) -> None:
    tablet, child = thin_child(installed)
    other = tablet.register_child(identity=identity(name="Anak Contoh Lain"), same_as={"child": child})
    tablet.sync_until_quiet()
    close(tablet, other, on_screen(installed, child))
    assert status(installed, child) == CLOSED


# -- the same from everywhere ---------------------------------------------------------------------


def all_rows(district: District) -> list[Any]:
    return sorted(map(tuple, district.rows(select(table(Attention)))), key=repr)


def test_assessing_anew_gives_the_rows_that_uploads_gave(installed: District) -> None:
    tablet, child = thin_child(installed)
    other = tablet.register_child(identity=identity(name="Anak Contoh Lain"))
    tablet.set_task(other, action="take", assigned_to="petugas")
    close(tablet, child, on_screen(installed, child))
    kept, hub, now = all_rows(installed), installed.hub, installed.clock.now
    assert len(kept) == 2
    with hub.database.transaction() as session:
        session.execute(delete(table(Attention)))
        assess(session, hub, sorted(session.scalars(select(Child.id))), now)
        audit.append(session, DISTRICT, audit.OFFICE, "derived.anew", actor="operator", now=now)
    assert all_rows(installed) == kept


def test_upload_that_changes_nothing_of_the_row_leaves_it(installed: District) -> None:
    tablet, child = thin_child(installed)
    before = all_rows(installed)
    tablet.edit_child(child, parents={"mother": "Ibu Contoh"})
    tablet.sync_until_quiet()
    assert all_rows(installed) == before


ORDERS = random.Random(4).sample(list(itertools.permutations(range(5))), 8)


@pytest.mark.parametrize("order", ORDERS)
def test_row_is_the_same_in_whatever_order_tablets_come(on_sqlite: District, order: Sequence[int]) -> None:
    """Five tablets with a registration, two measurements, a charge with its end, and a visit; as one is the truth."""
    child, take, visit = (on_sqlite.new_id() for _ in range(3))
    tablets = [on_sqlite.tablet() for _ in range(5)]
    tablets[0].register_child(child)
    tablets[1].measure(child, **THIN)
    tablets[2].measure(child, BEFORE, weight_g=6300, length_mm=740)
    tablets[3].set_task(child, take, action="take", assigned_to="petugas")
    tablets[4].set_task(child, visit, action="home_visit", due_on="2026-03-12", assigned_to="kader")
    tablets[4].set_result(child, take, "not_needed", covers=["severely_wasted/2026-03-05/cadre"])
    for place in order:
        tablets[place].sync_until_quiet()
    row = on_sqlite.attention(child)
    assert (row.status, row.urgency, row.assigned_to) == (WAITING, 1, "kader")
    assert row.red_flags == 2
    assert "severely_wasted" in on_sqlite.flags(child)


# -- pure -----------------------------------------------------------------------------------------

WORK = st.builds(
    review_queue.FollowUpFacts,
    st.just("a"),
    st.uuids().map(str),
    st.just(False),
    st.sampled_from(["take", "home_visit", None]),
    st.none() | st.dates(),
    st.none() | st.sampled_from(["kader", "petugas"]),
    st.integers(0, 1),
    st.none() | st.just('["stunted/2026-03-05/cadre"]'),
)
FLAGS = st.lists(
    st.sampled_from(
        [
            Raised("stunted", "2026-03-05/cadre", '{"index":"haz","z":"-2.31"}'),
            Raised("oedema", "2026-03-05/cadre", "{}"),
            Raised("not_seen", "", '{"last":"2026-01-05"}'),
        ]
    ),
    unique=True,
)


@given(FLAGS, st.lists(WORK, max_size=4), st.randoms())
def test_order_of_flags_does_not_matter(flags: list[Raised], work: list[Any], rng: random.Random) -> None:
    shuffled = rng.sample(flags, len(flags))
    assert review_queue._row(flags, work) == review_queue._row(shuffled, work)


@given(FLAGS, st.lists(WORK, max_size=4))
def test_row_is_there_exactly_when_there_is_something_to_see_or_to_do(
    flags: list[Raised], work: list[Any]
) -> None:
    row = review_queue._row(flags, work)
    assert (row is not None) == bool(flags or any(not facts.has_result for facts in work))
    if row is not None:
        named = dict(zip(review_queue.COLUMNS[3:], row, strict=True))
        assert named["status"] in review_queue.STATUSES
        assert (named["urgency"] == NO_FLAG) == (not flags)


@pytest.mark.parametrize("rule", RULES)
def test_every_flag_has_a_name_that_a_result_can_cover(rule: str) -> None:
    for subject in ("", "2026-03-05/cadre", "2026-03-05/staff/haz"):
        seen = flag_seen(rule, subject, '{"pairs":2}')
        told = {"done_on": ON, "outcome": "not_needed", "covers": [seen]}
        assert Result().validate(told) == {}
    assert Task().validate(to_do(reason=rule)) == {}


def test_flag_without_a_measurement_is_named_by_what_it_says() -> None:
    one, other = (flag_seen("possible_duplicate", "", details) for details in ('{"pairs":1}', '{"pairs":2}'))
    assert one != other
    assert flag_seen("stunted", "2026-03-05/cadre", "{}") == "stunted/2026-03-05/cadre"


# -- the migration --------------------------------------------------------------------------------


@pytest.fixture
def at_0002(databases: Databases) -> Iterator[str]:
    """Give a database as the release before had it, without rows."""
    url = databases.empty()
    migrations.upgrade(url, "0002")
    yield url
    databases.drop(url)


def by_the_order_of_0003(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Give a row with the place that its gravest rule had in the release of the migration, which knew fewer rules."""
    columns = ["district", *review_queue.COLUMNS]
    rules = str(row[columns.index("rules")]).split()
    release = import_module("server.database.migrations.versions.0003_review_queue")
    gravest = min(rules, key=review_queue.RANKS.__getitem__)
    places = release._RULES.index(gravest) - review_queue.RANKS[gravest]
    at = columns.index("sort_key")
    return (*row[:at], round(row[at] + 100 * places, 2), *row[at + 1 :])


def test_migration_gives_every_flagged_child_the_row_that_assessing_gives(
    installed: District, at_0002: str
) -> None:
    """Flags and children of a district at work, put into a database of the release before."""
    tablet, _ = thin_child(installed)
    swollen = tablet.register_child(identity=identity(name="Anak Contoh Dua"))
    tablet.measure(swollen, oedema="1", weight_g=9900)
    tablet.register_child(identity=identity(name="Anak Contoh Tiga", sex=None))
    tablet.sync_until_quiet()
    wanted = all_rows(installed)
    assert len(wanted) == 3
    copied(installed, at_0002)
    migrations.migrate(at_0002)
    engine = create_engine(at_0002)
    with engine.connect() as connection:
        found = connection.execute(select(table(Attention))).all()
    engine.dispose()
    assert sorted(map(tuple, found), key=repr) == [by_the_order_of_0003(row) for row in wanted]


def copied(district: District, url: str) -> None:
    """Copy flags and what they refer to, in the columns that there were then."""
    needed = {"installation", "region", "health_centre", "health_post", "child", "flag"}
    engine = create_engine(url)
    with engine.begin() as connection:
        for one in Base.metadata.sorted_tables:
            if one.name in needed and (rows := district.rows(select(one))):
                then = {column["name"] for column in inspect(connection).get_columns(one.name)}
                kept = [{name: value for name, value in row._mapping.items() if name in then} for row in rows]
                connection.execute(insert(one), kept)
    engine.dispose()
