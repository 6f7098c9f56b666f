"""Records on which tablets disagree, and children who move: who sees them, deciding, and what survives a decision."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, text

from server.database.models import AuditEntry, table
from server.errors import Problem
from server.review import Scope, conflicts, moves
from server.review.conflicts import Conflict, Disputed, Settlement
from server.review.moves import Move
from server.sync import server_edits
from sync_protocol import Outcome, measurement_id
from tests.server._district import District, FakeTablet, identity

ON = "2026-03-05"
WHY = "measured-again"
NAME = "Anak Rahasia Contoh"


def everybody(district: District) -> Scope:
    return Scope.whole_district(district.hub, shows_names=True)


def of_post(district: District, number: int) -> Scope:
    return Scope("post", district.posts[number], True)


def listed(district: District, scope: Scope | None = None, **chosen: Any) -> list[Disputed]:
    with district.hub.database.reading() as session:
        found, total = conflicts.conflicts(session, district.hub, scope or everybody(district), **chosen)
    assert total == len(found)
    return found


def read(district: District, kind: str, record_id: str, scope: Scope | None = None) -> Conflict:
    with district.hub.database.reading() as session:
        return conflicts.dispute(session, district.hub, scope or everybody(district), kind, record_id)


def settle(district: District, shown: Conflict, scope: Scope | None = None, /, **asked: Any) -> Settlement:
    record = shown.record
    given = {"context": shown.context.wire(), "reason": WHY, **asked}
    return server_edits.decide(
        district.hub,
        lambda session: conflicts.settle(
            session,
            district.hub,
            scope or everybody(district),
            record.kind,
            record.record_id,
            given,
            author="account:uji",
            now=district.clock.now,
        ),
    )


def move(district: District, child: str, scope: Scope | None = None, /, **asked: Any) -> Move:
    return server_edits.decide(
        district.hub,
        lambda session: moves.move(
            session,
            district.hub,
            scope or everybody(district),
            child,
            asked,
            author="account:uji",
            now=district.clock.now,
        ),
    )


def refusal(work: Callable[[], object]) -> Problem:
    with pytest.raises(Problem) as refused:
        work()
    return refused.value


def codes(problem: Problem) -> list[tuple[str, str]]:
    assert problem.code == "change-invalid"
    for told in problem.details["reasons"]:
        assert told["id"]
        assert told["en"]
    return [(told["path"], told["code"]) for told in problem.details["reasons"]]


def weighed_twice(district: District) -> tuple[FakeTablet, FakeTablet, str, Conflict]:
    """Give two tablets that weighed one child differently, the child, and the record as it is put before a person."""
    one, two = district.tablet(name="Tablet A"), district.tablet(name="Tablet B")
    child = one.register_child(identity=identity(name=NAME))
    district.settle(one, two)
    one.measure(child, weight_g=9000, muac_mm=140)
    two.measure(child, weight_g=9400, muac_mm=140)
    district.settle(one, two)
    return one, two, child, read(district, "measurement", measurement_id(child, ON, "cadre"))


def removed_and_edited(district: District) -> tuple[FakeTablet, FakeTablet, str, Conflict]:
    """Give a measurement that one tablet removed while the other edited it."""
    one, two = district.tablet(), district.tablet()
    child = one.register_child()
    one.measure(child, weight_g=9000)
    district.settle(one, two)
    one.remove(child, ON)
    two.measure(child, muac_mm=140)
    district.settle(one, two)
    return one, two, child, read(district, "measurement", measurement_id(child, ON, "cadre"))


def dots_of(shown: Conflict, register: str, **value: Any) -> list[list[Any]]:
    """Give the dots of the value that has these fields, as JSON has them."""
    (found,) = (c for c in shown.candidates[register] if dict(c.value).items() >= value.items())
    return [list(dot) for dot in found.dots]


# -- reading --------------------------------------------------------------------------------------


def test_conflict_is_listed_with_child_post_and_registers(installed: District) -> None:
    _, _, child, _ = weighed_twice(installed)
    (found,) = listed(installed)
    assert (found.kind, found.child_id, found.name, found.post_name) == (
        "measurement",
        child,
        NAME,
        "Melati 1",
    )
    assert (str(found.measured_on), found.source, found.registers) == (ON, "cadre", ("weight",))
    assert not found.incomplete
    assert listed(installed, of_post(installed, 1)) == []
    assert listed(installed, post_id=installed.posts[1]) == []


def test_conflict_shows_every_value_with_who_gave_it(installed: District) -> None:
    one, _, _, shown = weighed_twice(installed)
    weights = {c.value["weight_g"]: c for c in shown.candidates["weight"]}
    assert {g: c.recorded[0].tablet_name for g, c in weights.items()} == {9000: "Tablet A", 9400: "Tablet B"}
    assert weights[9000].dots == ((one.id, 2),)
    assert shown.settled == {"muac": {"muac_mm": 140}}
    assert set(shown.context) == {one.id, weights[9400].dots[0].actor}


def test_conflict_of_a_childs_own_record_is_listed_and_read(installed: District) -> None:
    one, two = installed.tablet(), installed.tablet()
    child = one.register_child()
    installed.settle(one, two)
    one.edit_child(child, nik={"nik": "6402061001250001"})
    two.edit_child(child, nik={"nik": "6402061001250003"})
    installed.settle(one, two)
    assert [(d.kind, d.record_id, d.registers) for d in listed(installed)] == [("child", child, ("nik",))]
    shown = read(installed, "child", child)
    assert len(shown.candidates["nik"]) == 2  # whole: masked, the two would look alike
    settle(installed, shown, set={"nik": {"dots": dots_of(shown, "nik", nik="6402061001250003")}})
    installed.settle(one, two)
    assert one.state(child).value("nik") == {"nik": "6402061001250003"}


def test_pages_of_any_size_give_the_whole_list_in_its_order(installed: District) -> None:
    one, two = installed.tablet(), installed.tablet()
    children = [one.register_child(identity=identity(name=f"Anak {number}")) for number in range(3)]
    installed.settle(one, two)
    for child in children:
        for tablet, nik, grams in ((one, "6402061001250001", 9000), (two, "6402061001250003", 9400)):
            tablet.edit_child(child, nik={"nik": nik})
            tablet.measure(child, weight_g=grams)
            tablet.measure(child, "2026-02-03", weight_g=grams)
    installed.settle(one, two)
    whole = [d.record_id for d in listed(installed)]
    assert len(whole) == 9
    by_child = [(d.child_id, str(d.measured_on or "")) for d in listed(installed)]
    assert by_child == sorted(by_child)
    with installed.hub.database.reading() as session:
        for size in (1, 2, 4, 9):
            pages = [
                conflicts.conflicts(session, installed.hub, everybody(installed), limit=size, offset=offset)
                for offset in range(0, 9, size)
            ]
            assert [d.record_id for found, _ in pages for d in found] == whole
            assert {total for _, total in pages} == {9}


def test_conflict_is_unknown_outside_the_scope_and_for_another_kind(installed: District) -> None:
    _, _, child, shown = weighed_twice(installed)
    record = shown.record.record_id
    far = of_post(installed, 1)
    for work in (
        lambda: read(installed, "measurement", record, far),
        lambda: settle(installed, shown, far, set={"weight": {"dots": [["x", 1]]}}),
        lambda: read(installed, "child", record),
        lambda: read(installed, "child", child),
        lambda: read(installed, "kind", record),
        lambda: read(installed, "child", "x" * 36),
    ):
        assert refusal(work).code == "conflict-unknown"
    hidden = Scope.whole_district(installed.hub, shows_names=False)
    assert refusal(lambda: read(installed, "measurement", record, hidden)).code == "not-allowed"
    assert listed(installed, hidden)[0].name is None


def test_incomplete_record_names_what_is_missing(installed: District) -> None:
    one, two = installed.tablet(name="Tablet A"), installed.tablet()
    child = one.register_child()
    installed.settle(one, two)
    backup = installed.back_up()
    one.measure(child, weight_g=9000)
    installed.settle(one, two)
    two.measure(child, muac_mm=140)
    installed.restore(backup)
    two.sync_until_quiet()
    (found,) = listed(installed)
    assert (found.incomplete, found.registers) == (True, ())
    assert read(installed, found.kind, found.record_id).missing == ((one.id, "Tablet A", 2),)
    installed.settle(one, two)
    assert listed(installed) == []


# -- settling -------------------------------------------------------------------------------------


def test_settling_takes_one_of_the_values(installed: District) -> None:
    one, two, child, shown = weighed_twice(installed)
    settled = settle(installed, shown, set={"weight": {"dots": dots_of(shown, "weight", weight_g=9400)}})
    assert (settled.outcome, settled.remaining) == (Outcome.APPLIED, ())
    installed.settle(one, two)
    assert one.state(child, ON).value("weight") == {"weight_g": 9400, "oedema": None}
    assert listed(installed) == []
    assert "conflict" not in installed.flags(child)


def test_settling_takes_a_new_value(installed: District) -> None:
    one, two, child, shown = weighed_twice(installed)
    settle(installed, shown, set={"weight": {"value": {"weight_g": 9200, "oedema": None}}})
    installed.settle(one, two)
    assert two.state(child, ON).value("weight") == {"weight_g": 9200, "oedema": None}


def test_value_that_arrived_meanwhile_survives(installed: District) -> None:
    one, two, child, shown = weighed_twice(installed)
    three = installed.tablet()
    three.measure(child, weight_g=9600)
    three.sync_until_quiet()
    settled = settle(installed, shown, set={"weight": {"dots": dots_of(shown, "weight", weight_g=9400)}})
    assert (settled.outcome, settled.remaining) == (Outcome.CONFLICT, ("weight",))
    installed.settle(one, two, three)
    assert sorted(s.value["weight_g"] for s in one.state(child, ON).registers["weight"]) == [9400, 9600]


def test_value_chosen_stands_though_its_author_replaced_it_meanwhile(installed: District) -> None:
    one, two, child, shown = weighed_twice(installed)
    three = installed.tablet()
    three.sync_until_quiet()
    three.measure(child, weight_g=9000)
    two.measure(child, weight_g=9410)
    installed.settle(one, two, three)
    settle(installed, shown, set={"weight": {"dots": dots_of(shown, "weight", weight_g=9400)}})
    installed.settle(one, two, three)
    weights = {s.value["weight_g"] for s in one.state(child, ON).registers["weight"]}
    assert weights >= {9400, 9410}


def test_two_who_settle_differently_are_a_conflict_again(installed: District) -> None:
    one, two, child, shown = weighed_twice(installed)
    start = threading.Barrier(2)
    outcomes: list[str] = []

    def work(weight_g: int) -> None:
        start.wait()
        try:
            chosen = dots_of(shown, "weight", weight_g=weight_g)
            outcomes.append(settle(installed, shown, set={"weight": {"dots": chosen}}).outcome.value)
        except Problem as problem:
            outcomes.append(problem.code)

    threads = [threading.Thread(target=work, args=(weight_g,)) for weight_g in (9000, 9400)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # the later one is told that it is settled, or, had both looked before either wrote, that they disagree
    assert sorted(outcomes) in (["applied", "conflict-unknown"], ["applied", "conflict"])
    installed.settle(one, two)
    assert len(one.state(child, ON).registers["weight"]) == outcomes.count("conflict") + 1


def test_history_keeps_what_was_not_chosen(installed: District) -> None:
    one, two, _, shown = weighed_twice(installed)
    assert [(past.value["weight_g"], past.standing) for past in shown.history["weight"]] == [
        (9000, True),
        (9400, True),
    ]
    settle(installed, shown, set={"weight": {"value": {"weight_g": 9200, "oedema": None}}})
    installed.settle(one, two)
    with installed.hub.database.reading() as session:
        after = conflicts.aftermath(
            session, installed.hub, everybody(installed), "measurement", shown.record.record_id
        )
    assert (after.name, str(after.measured_on), after.by.author) == (NAME, ON, "account:uji")
    assert after.decided == {"weight": {"weight_g": 9200, "oedema": None}}
    assert [(past.value["weight_g"], past.standing) for past in after.history["weight"]] == [
        (9000, False),
        (9400, False),
        (9200, True),
    ]


def test_aftermath_is_unknown_outside_the_scope_and_where_the_office_wrote_nothing(
    installed: District,
) -> None:
    _, _, child, shown = weighed_twice(installed)
    record = shown.record.record_id

    def look(scope: Scope, kind: str = "measurement", record: str = record) -> None:
        with installed.hub.database.reading() as session:
            conflicts.aftermath(session, installed.hub, scope, kind, record)

    assert refusal(lambda: look(everybody(installed))).code == "conflict-unknown"
    settle(installed, shown, set={"weight": {"dots": dots_of(shown, "weight", weight_g=9400)}})
    look(everybody(installed))
    for scope, kind in ((of_post(installed, 1), "measurement"), (everybody(installed), "child")):
        with pytest.raises(Problem, match="conflict-unknown"):
            look(scope, kind)
    assert refusal(lambda: look(everybody(installed), record=child)).code == "conflict-unknown"
    hidden = Scope.whole_district(installed.hub, shows_names=False)
    assert refusal(lambda: look(hidden)).code == "not-allowed"


def test_posts_with_records_in_conflict_are_counted(installed: District) -> None:
    weighed_twice(installed)
    with installed.hub.database.reading() as session:
        assert conflicts.posts(session, installed.hub, everybody(installed)) == [
            (installed.posts[0], "Melati 1", 1)
        ]
        assert conflicts.posts(session, installed.hub, of_post(installed, 1)) == []


@pytest.mark.every_case
@pytest.mark.parametrize(("removal", "removed"), [("keep", False), ("remove", True)])
def test_contested_removal_is_decided(installed: District, removal: str, removed: bool) -> None:
    one, two, child, shown = removed_and_edited(installed)
    assert (shown.removal_contested, list(shown.candidates)) == (True, ["removed"])
    assert settle(installed, shown, removal=removal).remaining == ()
    installed.settle(one, two)
    state = two.state(child, ON)
    assert (state.removed, state.removal_contested) == (removed, False)
    assert state.value("muac") == {"muac_mm": 140}


def test_removal_upheld_is_contested_again_by_an_edit_that_arrived_meanwhile(installed: District) -> None:
    one, two, child, shown = removed_and_edited(installed)
    two.measure(child, weight_g=9100)
    two.sync_until_quiet()
    assert settle(installed, shown, removal="remove").remaining == ("removed",)
    installed.settle(one, two)
    assert two.state(child, ON).removal_contested


def test_settling_is_logged_with_its_reason_and_without_values(installed: District) -> None:
    one, two = installed.tablet(), installed.tablet()
    child = one.register_child()
    installed.settle(one, two)
    for tablet, name in ((one, NAME), (two, f"{NAME} Kedua")):
        tablet.edit_child(child, identity=identity(name=name))
    installed.settle(one, two)
    shown = read(installed, "child", child)
    settle(installed, shown, set={"identity": {"value": identity(name=f"{NAME} Ketiga")}})
    (row,) = installed.rows(text("SELECT details FROM audit_entry WHERE action = 'conflict.settled'"))
    assert '"reason":"measured-again"' in row.details
    assert '"registers":["identity"]' in row.details
    assert NAME not in str(installed.rows(select(table(AuditEntry))))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ("set", "missing")),
        ({"set": []}, ("set", "not-object")),
        ({"set": {"berat": {"value": {}}}}, ("set.berat", "unknown-field")),
        ({"set": {"muac": {"value": {"muac_mm": 150}}}}, ("set.muac", "not-in-conflict")),
        ({"set": {"weight": 9000}}, ("set.weight", "not-one-of-them")),
        ({"set": {"weight": {"dots": [["tablet", 1]]}}}, ("set.weight.dots", "not-one-of-them")),
        ({"set": {"weight": {"dots": []}}}, ("set.weight.dots", "not-one-of-them")),
        ({"set": {"weight": {"dots": [[1, "x"], None]}}}, ("set.weight.dots", "not-one-of-them")),
        ({"set": {"weight": {"value": 5}}}, ("set.weight", "not-object")),
        (
            {"set": {"weight": {"value": {"weight_g": 9, "oedema": None}}}},
            ("set.weight.weight_g", "out-of-range"),
        ),
        ({"removal": "keep"}, ("removal", "not-in-conflict")),
        ({"removal": "hapus"}, ("removal", "not-choice")),
        ({"reason": NAME}, ("reason", "not-choice")),
        ({"reason": None}, ("reason", "missing")),
        ({"context": None}, ("context", "missing")),
        ({"context": {"x": 1}}, ("context.x", "not-actor")),
    ],
)
def test_settling_refuses_with_field_rule_and_remedy(
    on_sqlite: District, asked: dict[str, Any], expected: tuple[str, str]
) -> None:
    one, two, _, shown = weighed_twice(on_sqlite)
    found = codes(refusal(lambda: settle(on_sqlite, shown, **asked)))
    assert expected in found
    on_sqlite.check_agreement(one, two)


def test_settling_refuses_a_context_that_was_on_no_screen(installed: District) -> None:
    one, _, _, shown = weighed_twice(installed)
    context = {**shown.context.wire(), one.id: [2, "A" * 16]}
    chosen = {"weight": {"dots": dots_of(shown, "weight", weight_g=9000)}}
    problem = refusal(lambda: settle(installed, shown, context=context, set=chosen))
    assert codes(problem) == [(f"context.{one.id}", "not-on-screen")]
    assert problem.details["reasons"][0]["en"].endswith(
        "Open the record again and decide from what it shows."
    )


def test_settling_again_finds_nothing_to_settle(installed: District) -> None:
    one, two, _, shown = weighed_twice(installed)
    chosen = {"weight": {"dots": dots_of(shown, "weight", weight_g=9000)}}
    settle(installed, shown, set=chosen)
    assert refusal(lambda: settle(installed, shown, set=chosen)).code == "conflict-unknown"
    installed.settle(one, two)


# -- moving ---------------------------------------------------------------------------------------


def at_the_first_post(district: District) -> tuple[FakeTablet, FakeTablet, str]:
    old, new = district.tablet(0), district.tablet(1)
    child = old.register_child()
    old.measure(child, "2026-02-05", weight_g=8800)
    district.settle(old, new)
    return old, new, child


def test_story_the_office_moves_a_child_and_both_posts_are_told(installed: District) -> None:
    old, new, child = at_the_first_post(installed)
    first, second = installed.posts
    moved = move(installed, child, **{"from": first, "to": second})
    assert (moved.from_post, moved.to_post, moved.outcome) == (first, second, Outcome.APPLIED)
    installed.settle(old, new)
    assert (len(old.shown()), len(new.shown())) == (0, 2)
    for post in installed.posts:
        assert "child.moved" in installed.actions(f"post/{post}")


def test_story_edits_under_way_from_the_old_post_reach_the_new_one(installed: District) -> None:
    old, new, child = at_the_first_post(installed)
    first, second = installed.posts
    old.measure(child, ON, weight_g=9000)
    old.edit_child(child, books={"kia": True, "kms": False})
    move(installed, child, **{"from": first, "to": second})
    installed.settle(old, new)
    assert set(old.outcomes()) <= {"applied", "merged"}
    assert new.state(child, ON).value("weight") == {"weight_g": 9000, "oedema": None}
    assert new.state(child).value("books") == {"kia": True, "kms": False}
    assert old.shown() == {}


def test_story_a_cadre_and_the_office_move_a_child_apart(installed: District) -> None:
    old, new, child = at_the_first_post(installed)
    first, second = installed.posts
    old.edit_child(child, post={"post": first})
    move(installed, child, **{"from": first, "to": second})
    installed.settle(old, new)
    (found,) = listed(installed)
    assert found.registers == ("post",)
    problem = refusal(lambda: move(installed, child, **{"from": second, "to": first}))
    assert codes(problem) == [("post.post", "in-conflict")]
    shown = read(installed, "child", child)
    settle(installed, shown, set={"post": {"dots": dots_of(shown, "post", post=first)}})
    installed.settle(old, new)
    assert (len(old.shown()), len(new.shown())) == (2, 0)


def test_story_a_child_moves_away_and_back_while_the_old_tablet_is_away(installed: District) -> None:
    old, new, child = at_the_first_post(installed)
    first, second = installed.posts
    move(installed, child, **{"from": first, "to": second})
    move(installed, child, **{"from": second, "to": first})
    old.measure(child, ON, weight_g=9000)
    installed.settle(old, new)
    assert (len(old.shown()), len(new.shown())) == (3, 0)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, [("from", "missing"), ("to", "missing")]),
        ({"from": 0, "to": "Melati 1"}, [("to", "not-uuid")]),
        ({"from": 0, "to": 0}, [("to", "same-post")]),
        ({"from": 0, "to": "01900000-0000-7000-8000-00000000ffff"}, [("to", "post-unknown")]),
        ({"from": 1, "to": 1}, [("from", "moved-meanwhile")]),
    ],
)
def test_moving_refuses_with_field_rule_and_remedy(
    installed: District, asked: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    old, new, child = at_the_first_post(installed)
    given = {name: installed.posts[to] if isinstance(to, int) else to for name, to in asked.items()}
    assert codes(refusal(lambda: move(installed, child, **given))) == expected
    installed.check_agreement(old, new)


def test_moving_refuses_a_child_that_is_not_registered_or_not_in_scope(installed: District) -> None:
    old, _, child = at_the_first_post(installed)
    first, second = installed.posts
    unborn = installed.new_id()
    old.measure(unborn, weight_g=9000)
    old.sync_until_quiet()
    going = {"from": first, "to": second}
    assert codes(refusal(lambda: move(installed, unborn, **going))) == [("child", "not-registered")]
    for who, scope in ((child, of_post(installed, 1)), ("x", None), (installed.new_id(), None)):
        with pytest.raises(Problem, match="record-unknown"):
            move(installed, who, scope, **going)


def test_whoever_moved_a_child_out_of_their_area_may_move_it_back_into_it(installed: District) -> None:
    old, new, child = at_the_first_post(installed)
    first, second = installed.posts
    here = of_post(installed, 0)
    move(installed, child, here, **{"from": first, "to": second})
    with installed.hub.database.reading() as session:
        known = moves.whereabouts(session, installed.hub, here, child, "account:uji")
        assert (known.here.post_id, known.in_scope, known.name) == (second, False, None)
        with pytest.raises(Problem, match="record-unknown"):
            moves.whereabouts(session, installed.hub, here, child, "account:lain")
    with pytest.raises(Problem, match="record-unknown"):
        move(installed, child, here, **{"from": second, "to": second})
    assert move(installed, child, here, **{"from": second, "to": first}).to_post == first
    installed.settle(old, new)
    assert (len(old.shown()), len(new.shown())) == (2, 0)


def test_child_that_was_moved_on_is_out_of_reach_of_who_moved_it_first(installed: District) -> None:
    old, new, child = at_the_first_post(installed)
    first, second = installed.posts
    here = of_post(installed, 0)
    move(installed, child, here, **{"from": first, "to": second})
    installed.settle(old, new)
    new.edit_child(child, post={"post": second})
    installed.settle(old, new)
    with pytest.raises(Problem, match="record-unknown"):
        move(installed, child, here, **{"from": second, "to": first})


def test_places_are_found_by_name_village_and_health_centre(installed: District) -> None:
    def found(**chosen: Any) -> list[str]:
        with installed.hub.database.reading() as session:
            several, total = moves.places(session, installed.hub, **chosen)
        assert total >= len(several)
        return [place.post_name for place in several]

    assert found() == ["Anggrek 2", "Melati 1"]
    assert found(search="melati") == ["Melati 1"]
    assert found(search="CONTOH anggrek") == ["Anggrek 2"]
    assert found(search="100%") == []
    assert found(limit=1) == ["Anggrek 2"]
    assert found(centre_id=installed.new_id()) == []


def test_one_of_two_wins_when_both_move_a_child_at_once(installed: District) -> None:
    old, new, child = at_the_first_post(installed)
    first, second = installed.posts
    start, ended = threading.Barrier(2), []

    def work() -> None:
        start.wait()
        try:
            ended.append(move(installed, child, **{"from": first, "to": second}).outcome.value)
        except Problem as problem:
            ended.append(problem.code)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ended) == ["applied", "change-invalid"]
    installed.settle(old, new)
