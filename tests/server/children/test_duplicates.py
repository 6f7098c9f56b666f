"""The same child registered twice: what is found and what is not, and what a link does, undoes and leaves alone."""

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient
from hypothesis import given, settings, strategies as st
from rapidfuzz.fuzz import token_sort_ratio
from sqlalchemy import insert, select

from server import audit, review
from server.audit import OFFICE
from server.children.name_similarity import likeness, words_of
from server.cli import main
from server.database.models import (
    Assessment,
    Attention,
    DuplicatePair,
    Flag,
    HealthPost,
    NikIndex,
    table,
)
from server.errors import Problem
from server.review import Scope, duplicate_pairs
from server.sync import upload
from tests.conftest import SEARCHED
from tests.server._district import DISTRICT, Databases, District, identity
from tests.server.children._pairs import MOTHER, decide, open_pairs, persons, registered
from tests.server.web._clinic import Clinic, sign_in

FEBRUARY, MARCH = "2026-02-05", "2026-03-05"
NIK, OTHER_NIK = "6402061001250001", "6402061001250002"
THIN: dict[str, Any] = {"weight_g": 6900, "length_mm": 750}
WELL: dict[str, Any] = {"weight_g": 9600, "length_mm": 775}


def derived(district: District) -> list[Any]:
    """Give everything that is derived: assessments, flags (but for when they were raised), pairs, persons, the queue."""
    flags = select(Flag.child_id, Flag.rule, Flag.subject, Flag.urgency, Flag.details)
    pairs = select(DuplicatePair.child_id, DuplicatePair.other_id, DuplicatePair.score, DuplicatePair.status)
    whole = select(Assessment.__table__), select(Attention.__table__)
    tables = [district.rows(statement) for statement in (*whole, flags, pairs)]
    return [*(sorted(map(repr, rows)) for rows in tables), persons(district)]


# -- names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Muh. Fauzi Contoh", "M Fauzi Contoh"),
        ("Muhammad Fauzi", "Fauzi"),
        ("Djoko Soesilo", "Joko Susilo"),
        ("Siti Aisyah", "Aisjah"),
        ("Contoh Bunga", "Bunga Contoh"),
        ("Noor Halimah", "Nur Halima"),
        ("Ahmad Rizki", "Akhmad  rizki"),
    ],
)
def test_names_are_alike_when_only_the_spelling_differs(one: str, other: str) -> None:
    assert likeness(words_of(one), words_of(other)) >= 95


PARTS = st.text("abimnsu", min_size=1, max_size=6)
SAME_NUMBER_OF_PARTS = st.integers(1, 4).flatmap(lambda count: st.tuples(*[st.tuples(*[PARTS] * count)] * 2))


@given(SAME_NUMBER_OF_PARTS)
def test_names_are_as_alike_as_their_parts_put_in_order(
    names: tuple[tuple[str, ...], tuple[str, ...]],
) -> None:
    one, other = names
    assert likeness(one, other) == round(token_sort_ratio(" ".join(one), " ".join(other)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Siti Aisyah", "Siti Aminah"),
        ("Muhammad Fauzi", "Muhammad Fadli"),
        ("Rina", "Rini"),
        ("Hasan", "Husein"),
        ("Anak Contoh 002", "Anak Contoh 033"),
        ("", "Rina"),
    ],
)
def test_names_are_not_alike_when_only_the_common_part_is(one: str, other: str) -> None:
    assert likeness(words_of(one), words_of(other)) < 80


# -- finding ----------------------------------------------------------------------------------------


def test_pair_is_found_and_both_are_flagged_when_two_posts_register_one_child(installed: District) -> None:
    first = registered(installed.tablet(), "Bunga Contoh Satu")
    second = registered(installed.tablet(1), "Contoh Bunga Satoe")
    assert list(open_pairs(installed)) == [(first, second)]
    assert "possible_duplicate" in installed.flags(first)
    assert "possible_duplicate" in installed.flags(second)
    assert installed.broken_log() == []


ALIKE: dict[str, dict[str, Any]] = {
    "day and month swapped": {"born_on": "2025-10-01"},
    "a month apart": {"born_on": "2025-02-10"},
    "sex unknown": {"sex": None},
    "a short name": {"name": "Bunga"},
    "the mother's name for a newborn": {"name": "By. Ny. Contoh Melati"},
}


@pytest.mark.parametrize("how", ALIKE)
def test_pair_is_found_when_the_rest_fits(on_sqlite: District, how: str) -> None:
    registered(on_sqlite.tablet())
    changes = dict(ALIKE[how])
    registered(on_sqlite.tablet(1), changes.pop("name", "Bunga Contoh Satu"), **changes)
    assert len(open_pairs(on_sqlite)) == 1


UNLIKE: dict[str, dict[str, Any]] = {
    "another mother": {"parents": {**MOTHER, "mother": "Ibu Anggrek Lain"}},
    "another sex": {"sex": "F"},
    "another month": {"born_on": "2025-02-11"},
    "another name": {"name": "Kenanga Percobaan"},
    "a twin's place among siblings": {"birth_order": 2, "born_on": "2025-01-11"},
    "no parent and another day": {"parents": {**MOTHER, "mother": None}, "born_on": "2025-01-11"},
}


@pytest.mark.parametrize("how", UNLIKE)
def test_pair_is_not_found_when_something_speaks_against_it(on_sqlite: District, how: str) -> None:
    registered(on_sqlite.tablet())
    changes = dict(UNLIKE[how])
    registered(on_sqlite.tablet(1), changes.pop("name", "Bunga Contoh Satu"), **changes)
    assert open_pairs(on_sqlite) == {}


@pytest.mark.parametrize(
    ("niks", "pairs"),
    [((None, None), 1), ((NIK, None), 1), ((None, NIK), 1), ((NIK, NIK), 1), ((NIK, OTHER_NIK), 0)],
)
def test_pair_is_found_in_one_upload_when_a_cadre_registers_a_child_twice(
    on_sqlite: District, niks: tuple[str | None, str | None], pairs: int
) -> None:
    tablet = on_sqlite.tablet()
    for nik in niks:
        tablet.register_child(None, parents=MOTHER, **({"nik": {"nik": nik}} if nik else {}))
    tablet.sync_until_quiet()
    assert len(open_pairs(on_sqlite)) == pairs


def test_same_nik_is_certain_when_nothing_else_is_alike(installed: District) -> None:
    registered(installed.tablet(), nik=NIK)
    registered(installed.tablet(1), "Kenanga Percobaan", nik=NIK, sex="F", born_on="2023-05-06")
    assert list(open_pairs(installed).values()) == [100]


def test_bearer_of_a_nik_in_another_district_is_counted_and_not_shown(installed: District) -> None:
    first, second = (registered(installed.tablet(post), nik=NIK) for post in (0, 1))
    hub = installed.hub
    with hub.database.transaction() as session:
        row = {
            "blind_index": hub.vault.blind_index(NIK),
            "district": "64.03",
            "child_id": (stranger := installed.new_id()),
        }
        session.execute(insert(table(NikIndex)), [row])
        audit.append(session, DISTRICT, OFFICE, "nik.indexed", actor="test", now=installed.clock.now)
    with hub.database.reading() as session:
        scope = Scope.whole_district(hub, shows_names=True)
        shown = duplicate_pairs.pair(session, hub, scope, first, second)
    assert shown.other_districts == 1
    assert stranger not in orjson.dumps(shown.wire()).decode()


def test_two_niks_are_two_children_when_all_else_is_alike(on_sqlite: District) -> None:
    registered(on_sqlite.tablet(), nik=NIK)
    registered(on_sqlite.tablet(1), nik=OTHER_NIK)
    assert open_pairs(on_sqlite) == {}


def test_pair_is_taken_down_when_one_tablet_measured_both_on_one_day(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    children = [registered(tablet) for _ in range(2)]
    assert len(open_pairs(on_sqlite)) == 1
    for child in children:
        tablet.measure(child, MARCH, **WELL)
        tablet.sync_until_quiet()
    assert open_pairs(on_sqlite) == {}
    assert [on_sqlite.flags(child) for child in children] == [{}, {}]


def test_pair_stays_when_one_tablet_has_something_to_do_for_both(installed: District) -> None:
    tablet, other = installed.tablet(), installed.tablet()
    one, two = registered(tablet), registered(other)
    assert len(open_pairs(installed)) == 1
    tablet.sync_until_quiet()
    for child in (one, two):
        tablet.edit_child(child, parents=MOTHER)
        tablet.set_result(child, tablet.set_task(child, action="home_visit"))
    tablet.sync_until_quiet()
    assert len(open_pairs(installed)) == 1


def test_pair_is_taken_down_when_the_name_is_mended(installed: District) -> None:
    first, tablet = registered(installed.tablet()), installed.tablet(1)
    second = registered(tablet)
    tablet.edit_child(second, identity=identity(name="Kenanga Percobaan"))
    tablet.sync_until_quiet()
    assert open_pairs(installed) == {}
    assert "possible_duplicate" not in installed.flags(first)


def test_pair_called_different_is_not_found_again_when_the_child_is_edited(installed: District) -> None:
    first, tablet = registered(installed.tablet()), installed.tablet(1)
    second = registered(tablet)
    assert decide(installed, "different", first, second).status == "different"
    assert "possible_duplicate" not in installed.flags(first) | installed.flags(second)
    tablet.edit_child(second, identity=identity(name="Bunga Contoh Satu", birth_order=None))
    tablet.sync_until_quiet()
    assert open_pairs(installed) == {}


def test_pair_called_different_waits_again_when_it_is_reopened(installed: District) -> None:
    first, second = registered(installed.tablet()), registered(installed.tablet(1))
    with pytest.raises(Problem, match="nothing-to-undo"):
        decide(installed, "reopen", first, second)
    decide(installed, "different", first, second)
    assert decide(installed, "reopen", second, first).status == "open"
    assert list(open_pairs(installed)) == [(first, second)]
    assert "possible_duplicate" in installed.flags(first)
    assert decide(installed, "link", first, second).status == "linked"
    for post in installed.posts:
        assert "duplicate.reopened" in installed.actions(f"post/{post}")


def test_pair_is_found_only_by_nik_when_the_posts_are_far_apart(on_sqlite: District) -> None:
    hub, posts = on_sqlite.hub, on_sqlite.posts
    with hub.database.transaction() as session:
        far = session.get_one(HealthPost, (DISTRICT, posts[1]))
        far.village_code = "64.02.05.2001"
        audit.append(session, DISTRICT, OFFICE, "post.moved", actor="test", now=on_sqlite.clock.now)
    registered(on_sqlite.tablet())
    tablet = on_sqlite.tablet(1)
    second = registered(tablet)
    assert open_pairs(on_sqlite) == {}
    tablet.edit_child(second, nik={"nik": NIK})
    tablet.sync_until_quiet()
    registered(on_sqlite.tablet(), "Kenanga Percobaan", nik=NIK)
    assert list(open_pairs(on_sqlite).values()) == [100]


def test_pairs_hold_no_name_nor_number_when_they_are_stored(on_sqlite: District) -> None:
    registered(on_sqlite.tablet(), nik=NIK)
    registered(on_sqlite.tablet(1), nik=NIK)
    (row,) = on_sqlite.rows(select(DuplicatePair.why))
    assert orjson.loads(row.why) == {"nik": 100}


# -- linking ----------------------------------------------------------------------------------------


def twice(district: District, first: dict[str, Any], second: dict[str, Any]) -> tuple[str, str]:
    """Give a child whom two posts registered and measured in March, differently or not."""
    children = []
    for post, values in enumerate((first, second)):
        tablet = district.tablet(post)
        children.append(registered(tablet))
        tablet.measure(children[-1], MARCH, **values)
        tablet.sync_until_quiet()
    return children[0], children[1]


def test_linked_children_are_one_timeline_when_each_post_measured_a_month(installed: District) -> None:
    one, other = installed.tablet(), installed.tablet(1)
    first, second = registered(one), registered(other)
    one.measure(first, FEBRUARY, weight_g=9000)
    one.sync_until_quiet()
    other.measure(second, MARCH, weight_g=9100)
    other.sync_until_quiet()
    assert "not_gaining" not in installed.flags(second)
    decide(installed, "link", second, first)
    assert persons(installed) == {first: first, second: first}
    assert installed.flags(first)["not_gaining"] == f"{MARCH}/cadre"
    assert installed.flags(second) == {}
    assert {row.child_id for row in installed.rows(select(Assessment.child_id))} == {first}
    one.sync_until_quiet()
    other.sync_until_quiet()
    installed.check_agreement(one, other)


def test_both_ids_go_on_working_when_children_are_linked(installed: District) -> None:
    one, other = installed.tablet(), installed.tablet(1)
    first, second = registered(one), registered(other)
    decide(installed, "link", second, first)
    other.sync_until_quiet()
    other.measure(second, MARCH, **THIN)
    other.sync_until_quiet()
    assert installed.flags(first)["severely_wasted"] == f"{MARCH}/cadre"
    one.measure(first, MARCH, source="staff", **WELL)
    one.sync_until_quiet()
    assert "severely_wasted" not in installed.flags(first)
    assert installed.flags(second) == {}


def test_one_day_of_two_ids_is_a_conflict_when_the_values_differ(installed: District) -> None:
    first, second = twice(installed, WELL, THIN)
    decide(installed, "link", second, first)
    found = installed.flags(first)
    assert {"conflict", "severely_wasted"} <= found.keys()
    (row,) = installed.rows(select(Assessment.whz, Assessment.candidates))
    assert row.whz is None
    assert len(orjson.loads(row.candidates)) == 4  # either weight with either length


def test_one_day_of_two_ids_is_one_value_when_both_are_equal(installed: District) -> None:
    first, second = twice(installed, WELL, WELL)
    before = installed.rows(select(Assessment.haz, Assessment.whz).where(Assessment.child_id == first))
    decide(installed, "link", second, first)
    assert installed.rows(select(Assessment.haz, Assessment.whz)) == before
    assert installed.flags(first) == {}


def test_queue_shows_a_person_once_when_linked(installed: District) -> None:
    first, second = twice(installed, THIN, THIN)
    scope = Scope.whole_district(installed.hub, shows_names=True)
    decide(installed, "link", second, first)
    today = installed.clock.now.date()
    with installed.hub.database.reading() as session:
        shown = review.queue(session, installed.hub, scope, review.Filter(), today=today)
        pages = [review.child_view(session, installed.hub, scope, child, today) for child in (first, second)]
    assert [row.child_id for row in shown.rows] == [first]
    assert [len(page.visits) for page in pages] == [1, 1]
    assert [len(page.visits[0].values["weight"][0].recorded) for page in pages] == [2, 2]
    assert pages[0].flags == pages[1].flags
    assert (pages[0].linked, pages[1].linked) == ((second,), (first,))


def test_tablets_link_counts_when_it_arrives_before_its_target(installed: District) -> None:
    one, other = installed.tablet(), installed.tablet(1)
    second = registered(other)
    first = installed.new_id()
    other.edit_child(second, same_as={"child": first})
    other.sync_until_quiet()
    assert persons(installed) == {second: second}
    one.register_child(first, parents=MOTHER)
    one.sync_until_quiet()
    assert persons(installed) == {first: second, second: second}
    assert open_pairs(installed) == {}


def test_conflicting_links_link_nobody_until_settled(installed: District) -> None:
    one, other = installed.tablet(), installed.tablet()
    first, second, third = registered(one), registered(one, "Kenanga Uji"), registered(one, "Dahlia Coba")
    other.sync_until_quiet()
    one.edit_child(third, same_as={"child": first})
    other.edit_child(third, same_as={"child": second})
    one.sync_until_quiet()
    assert persons(installed)[third] == first
    other.sync_until_quiet()
    assert persons(installed) == {child: child for child in (first, second, third)}
    assert "conflict" in installed.flags(third)
    other.edit_child(third, same_as={"child": second})
    other.sync_until_quiet()
    assert persons(installed)[third] == second


def test_link_counts_when_its_batch_brings_both_children(installed: District) -> None:
    tablet = installed.tablet()
    first, second = (
        tablet.register_child(identity=identity(name=name)) for name in ("Bunga Uji", "Kenanga Uji")
    )
    tablet.measure(first, FEBRUARY, weight_g=9000)
    tablet.measure(second, MARCH, weight_g=9100)
    tablet.edit_child(second, same_as={"child": first})
    tablet.sync()
    head = min(first, second)
    assert persons(installed) == {first: head, second: head}
    assert installed.flags(head)["not_gaining"] == f"{MARCH}/cadre"
    tablet.edit_child(second, same_as={"child": None})
    tablet.measure(first, MARCH, weight_g=9400)
    tablet.sync_until_quiet()
    assert persons(installed) == {first: first, second: second}
    assert all("not_gaining" not in installed.flags(child) for child in (first, second))
    installed.check_agreement(tablet)


def test_waiting_link_counts_when_its_child_comes_with_its_target(installed: District) -> None:
    one, other = installed.tablet(), installed.tablet(1)
    first, second = installed.new_id(), registered(one)
    one.edit_child(second, same_as={"child": first})
    one.sync_until_quiet()
    other.register_child(first)
    other.measure(second, MARCH, weight_g=9100)
    other.sync()
    assert set(persons(installed).values()) == {min(first, second)}


@pytest.mark.parametrize("links", [[(0, 1), (1, 2)], [(2, 1), (1, 0)], [(0, 1), (1, 2), (2, 0)]])
def test_chains_and_rings_are_one_person_in_whatever_order_they_come(
    sqlite_databases: Databases, links: Sequence[tuple[int, int]]
) -> None:
    for order in permutations(links):
        with District.opened(sqlite_databases) as district:
            tablet = district.tablet()
            names = ("Bunga Contoh", "Kenanga Uji", "Dahlia Coba")
            children = [registered(tablet, name) for name in names]
            for child, target in order:
                tablet.edit_child(children[child], same_as={"child": children[target]})
                tablet.sync_until_quiet()
            assert set(persons(district).values()) == {min(children)}


def test_chain_falls_apart_when_its_middle_is_unlinked(installed: District) -> None:
    tablet = installed.tablet()
    first, second, third = (registered(tablet, name) for name in ("Bunga Satu", "Kenanga Uji", "Dahlia Coba"))
    decide(installed, "link", third, second)
    decide(installed, "link", second, first)
    assert set(persons(installed).values()) == {first}
    with pytest.raises(Problem, match="not-linked"):
        decide(installed, "unlink", third, first)
    decide(installed, "unlink", second, first)
    assert persons(installed) == {first: first, second: second, third: second}


def test_link_by_the_office_is_a_conflict_when_a_tablet_linked_elsewhere_unseen(installed: District) -> None:
    tablet = installed.tablet()
    first, second, third = (registered(tablet, name) for name in ("Bunga Satu", "Kenanga Uji", "Dahlia Coba"))
    scope = Scope.whole_district(installed.hub, shows_names=True)
    with installed.hub.database.reading() as session:
        seen = duplicate_pairs.pair(session, installed.hub, scope, third, first)
    tablet.edit_child(third, home={"rt": "1", "rw": None, "address": None, "village": None})
    tablet.sync_until_quiet()
    assert decide(installed, "link", third, first, seen).status == "linked"
    tablet.edit_child(third, same_as={"child": second})  # from before the office's link was pulled
    tablet.sync_until_quiet()
    assert persons(installed)[third] == third
    assert "conflict" in installed.flags(third)


VALUES = st.sampled_from([WELL, THIN, {"weight_g": 9600}, {"length_mm": 775}, {"muac_mm": 114}])
VISITS = st.lists(
    st.tuples(
        st.integers(0, 2), st.sampled_from([FEBRUARY, MARCH]), st.sampled_from(["cadre", "staff"]), VALUES
    ),
    max_size=6,
    unique_by=lambda visit: visit[:3],
)


@settings(max_examples=max(SEARCHED, 12))
@given(visits=VISITS, links=st.permutations([(1, 0), (2, 1)]), count=st.integers(1, 2))
def test_link_then_unlink_is_identity(
    sqlite_databases: Databases, visits: list[Any], links: list[tuple[int, int]], count: int
) -> None:
    with District.opened(sqlite_databases) as district:
        tablets = [district.tablet(post) for post in (0, 1, 1)]
        children = [registered(tablet, sex=sex) for tablet, sex in zip(tablets, "MMF", strict=True)]
        for who, on, source, values in visits:
            tablets[who].measure(children[who], on, source=source, **values)
            tablets[who].sync_until_quiet()
        before, chosen = derived(district), [(children[a], children[b]) for a, b in links[:count]]
        for one, other in chosen:
            decide(district, "link", one, other)
        assert derived(district) != before
        for one, other in chosen:
            decide(district, "unlink", one, other)
        assert derived(district) == before


@settings(max_examples=max(SEARCHED, 20))
@given(visits=VISITS, data=st.data())
def test_flags_depend_on_the_final_state_only(
    sqlite_databases: Databases, visits: list[Any], data: st.DataObject
) -> None:
    steps: list[Any] = [*visits, "link"]
    results = []
    for order in (steps, data.draw(st.permutations(steps))):
        with District.opened(sqlite_databases) as district:
            tablets = [district.tablet(post) for post in (0, 1, 1)]
            children = [
                registered(tablet, name)
                for tablet, name in zip(tablets, ("Bunga Satu", "Kenanga Uji", "Dahlia Coba"), strict=True)
            ]
            for step in order:
                if step == "link":
                    decide(district, "link", children[1], children[0])
                    continue
                who, on, source, values = step
                tablets[who].measure(children[who], on, source=source, **values)
                tablets[who].sync_until_quiet()
            results.append(derived(district)[:2])
    assert results[0] == results[1]


def test_upload_is_worked_out_again_when_a_link_is_made_meanwhile(
    installed: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = installed.tablet(), installed.tablet(1)
    first, second = registered(one), registered(other)
    other.measure(second, MARCH, **THIN)
    take = upload._take

    def take_late(*planned: Any) -> Any:
        decide(installed, "link", first, second)
        monkeypatch.setattr(upload, "_take", take)
        return take(*planned)

    monkeypatch.setattr(upload, "_take", take_late)
    other.sync_until_quiet()
    assert "severely_wasted" in installed.flags(first)
    assert installed.flags(second) == {}


def test_flag_keeps_its_date_when_it_goes_over_to_the_head(installed: District) -> None:
    one, other = installed.tablet(), installed.tablet(1)
    first, second = registered(one), registered(other)
    other.measure(second, MARCH, **THIN)
    other.sync_until_quiet()
    raised = installed.rows(select(Flag.raised_at).where(Flag.rule == "severely_wasted"))
    installed.clock.advance(days=1)
    decide(installed, "link", second, first)
    assert installed.rows(select(Flag.raised_at).where(Flag.rule == "severely_wasted")) == raised


# -- who may, and the ways in -----------------------------------------------------------------------


def test_staff_of_either_post_see_and_link_a_pair_when_signed_in(
    client: FlaskClient, on_sqlite: District
) -> None:
    clinic = Clinic.opened(on_sqlite)
    first, second = registered(clinic.first), registered(clinic.second)
    sign_in(client, clinic.person("staff", "health_centre", clinic.centre))
    listed = client.get("/api/v1/duplicates").get_json()
    assert [child["child"] for child in listed["pairs"][0]["children"]] == [first, second]
    shown = client.get(f"/api/v1/duplicates/{first}/{second}").get_json()
    contexts = {child["child"]: child["context"] for child in shown["children"]}
    headers = {"X-CSRFToken": client.get("/api/v1/session").get_json()["csrf_token"]}
    path = f"/api/v1/duplicates/{first}/{second}"
    linked = client.post(f"{path}/link", json={"contexts": contexts}, headers=headers)
    assert (linked.status_code, linked.get_json()["status"]) == (200, "linked")
    again = client.post(f"{path}/link", json={"contexts": contexts}, headers=headers)
    assert (again.status_code, again.get_json()["code"]) == (409, "already-linked")
    assert {"duplicate.viewed", "duplicate.linked"} <= set(on_sqlite.actions(f"post/{on_sqlite.posts[1]}"))


def test_pair_is_unknown_when_neither_child_is_in_scope(client: FlaskClient, on_sqlite: District) -> None:
    clinic = Clinic.opened(on_sqlite)
    first, second = registered(clinic.first), registered(clinic.second)
    sign_in(client, clinic.person("staff", "health_centre", clinic.other_centre))
    assert client.get("/api/v1/duplicates").get_json()["total"] == 0
    assert client.get(f"/api/v1/duplicates/{first}/{second}").status_code == 404


def test_command_lists_links_unlinks_and_parts(installed: District, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = registered(installed.tablet()), registered(installed.tablet(1))
    monkeypatch.setenv("DATABASE_URL", installed.hub.settings.database_url)
    monkeypatch.setenv("POSYANDU_DATA", str(installed.databases.directory))
    monkeypatch.setenv("POSYANDU_KEY_FILE", str(installed.hub.settings.key_file))

    def run(*words: str) -> Any:
        result = CliRunner().invoke(main, ["duplicate", *words])
        assert result.exit_code == 0, result.output
        return orjson.loads(result.stdout)

    assert [pair["score"] for pair in run("list", "--format", "json")] == list(open_pairs(installed).values())
    assert run("show", first, second)["children"][0]["name"] == "Bunga Contoh Satu"
    assert run("link", second, first)["status"] == "linked"
    assert run("unlink", second, first)["status"] == "open"
    assert run("different", second, first)["status"] == "different"
    assert run("reopen", second, first)["status"] == "open"
