"""What is to be done for a child: down to the tablets of its post, and back with what came of it."""

from typing import Any

import pytest
from sqlalchemy import select

from server.database.models import FollowUp
from server.review import Scope, conflicts, quarantine
from server.sync import server_edits
from server.sync.server_edits import Edit
from sync_protocol import (
    NOTHING_SEEN,
    Outcome,
    Pulled,
    RecordState,
    VersionVector,
    follow_up_id,
    hub_actor,
)
from tests.server._district import District, FakeTablet, to_do, what_came

NOTE = "Ibu Contoh minta datang sore"


def tablet_and_child(district: District, post: int = 0) -> tuple[FakeTablet, str]:
    tablet = district.tablet(post)
    child = tablet.register_child()
    district.settle(tablet)
    return tablet, child


def wanted(
    district: District, child: str, task: str, context: VersionVector = NOTHING_SEEN, /, **registers: Any
) -> server_edits.HubChange:
    """Let somebody at the health centre write about a task; `action="…"` alone sets a new one."""
    edit = Edit.of_follow_up(child, task, registers, context)
    with district.hub.database.transaction() as session:
        (written,) = server_edits.write(
            session, district.hub, [edit], "task.made", author="account:uji", now=district.clock.now
        )
    return written


def row(district: District, task: str) -> Any:
    (found,) = district.rows(select(FollowUp).where(FollowUp.task == task))
    return found[0]


def held(district: District, child: str, task: str) -> RecordState:
    return district.stored()["follow_up", follow_up_id(child, task)][1]


def outcomes_of(state: RecordState) -> list[str]:
    return sorted(sibling.value["outcome"] for sibling in state.registers["result"])


def test_task_of_the_health_centre_comes_down_to_every_tablet_of_the_post(installed: District) -> None:
    (one, child), two, elsewhere = tablet_and_child(installed), installed.tablet(), installed.tablet(1)
    task = installed.new_id()
    written = wanted(installed, child, task, task=to_do("home_visit", due_on="2026-03-12"))
    assert written.dot == (hub_actor(follow_up_id(child, task)), 1)
    installed.settle(one, two, elsewhere)
    for tablet in (one, two):
        assert tablet.follow_up(child, task).value("task") == to_do("home_visit", due_on="2026-03-12")
    assert elsewhere.shown() == {}


def test_pull_names_the_task_beside_the_child(installed: District) -> None:
    tablet, child = tablet_and_child(installed)
    task = installed.new_id()
    wanted(installed, child, task, task=to_do("counsel"))
    pulled = tablet.sync()[-1]
    assert pulled == Pulled((("follow_up", follow_up_id(child, task)),), (), False)
    ((child_id, (published,)),) = tablet.answers[-1]["pull"]["follow_ups"].items()
    assert (child_id, published["task"]) == (child, task)
    assert published["set"] == {"task": to_do("counsel")}


def test_result_comes_back_as_an_ordinary_change(installed: District) -> None:
    tablet, child = tablet_and_child(installed)
    task = installed.new_id()
    wanted(installed, child, task, task=to_do("pmt_week", course=task, week=1, funds="village"))
    tablet.sync_until_quiet()
    tablet.set_result(child, task, "continue", days_eaten=6)
    installed.settle(tablet)
    assert tablet.outcomes()[-1] == "applied"
    state = held(installed, child, task)
    assert state.value("result") == what_came("continue", days_eaten=6)
    assert state.value("task") == to_do("pmt_week", course=task, week=1, funds="village")


def test_row_of_a_follow_up_has_what_the_queue_asks_for(installed: District) -> None:
    tablet, child = tablet_and_child(installed)
    task = tablet.set_task(
        child, action="pmt_week", due_on="2026-03-12", assigned_to="kader", course=child, week=2
    )
    tablet.sync_until_quiet()
    assert (row(installed, task).has_result, row(installed, task).outcome) == (0, None)
    tablet.set_result(child, task, "finished", covers=["wasted/2026-03-05/cadre", "not_seen/0a"])
    tablet.sync_until_quiet()
    stored = row(installed, task)
    assert (stored.action, stored.week, stored.course, stored.assigned_to) == ("pmt_week", 2, child, "kader")
    assert (str(stored.due_on), str(stored.done_on)) == ("2026-03-12", "2026-03-05")
    assert (stored.has_result, stored.outcome) == (1, "finished")
    assert stored.covers == '["not_seen/0a","wasted/2026-03-05/cadre"]'


def test_results_of_two_tablets_at_once_are_both_kept(installed: District) -> None:
    (one, child), two = tablet_and_child(installed), installed.tablet()
    task = installed.new_id()
    wanted(installed, child, task, task=to_do("home_visit"))
    installed.settle(one, two)
    one.set_result(child, task, "done")
    two.set_result(child, task, "not_reached")
    installed.settle(one, two)
    assert outcomes_of(held(installed, child, task)) == ["done", "not_reached"]
    assert (one.outcomes()[-1], two.outcomes()[-1]) == ("applied", "conflict")
    stored = row(installed, task)
    assert (stored.conflicts, stored.outcome, str(stored.done_on)) == ("result", None, "2026-03-05")
    assert stored.has_result == 1


def test_one_task_made_on_two_tablets_is_one_record(installed: District) -> None:
    (one, child), two = tablet_and_child(installed), installed.tablet()
    two.sync_until_quiet()
    task = one.set_task(child, action="home_visit")
    two.set_task(child, task, action="home_visit")
    installed.settle(one, two)
    assert held(installed, child, task).value("task") == to_do("home_visit")
    assert installed.counts()["follow_up"] == 1


def test_result_and_new_due_date_at_once_merge(installed: District) -> None:
    tablet, child = tablet_and_child(installed)
    task = installed.new_id()
    wanted(installed, child, task, task=to_do("home_visit"))
    tablet.sync_until_quiet()
    tablet.set_result(child, task)
    seen = held(installed, child, task).vector
    wanted(installed, child, task, seen, task=to_do("home_visit", due_on="2026-03-20"))
    installed.settle(tablet)
    assert tablet.outcomes()[-1] == "merged"
    assert held(installed, child, task).conflicts == ()


def test_columns_say_what_all_live_values_agree_on(installed: District) -> None:
    (one, child), two = tablet_and_child(installed), installed.tablet()
    two.sync_until_quiet()
    task = one.set_task(child, action="take", assigned_to="kader-satu")
    two.set_task(child, task, action="take", assigned_to="kader-dua")
    one.set_result(child, task, "recovered", covers=["wasted/2026-03-05/cadre"])
    two.set_result(child, task, "not_needed", covers=["stunted/2026-03-05/cadre"])
    installed.settle(one, two)
    stored = row(installed, task)
    assert stored.conflicts.split() == ["result", "task"]
    assert (stored.action, stored.assigned_to, stored.outcome) == ("take", None, None)
    assert stored.covers == '["stunted/2026-03-05/cadre","wasted/2026-03-05/cadre"]'


def test_follow_ups_move_with_their_child(installed: District) -> None:
    (old, child), new = tablet_and_child(installed), installed.tablet(1)
    task = installed.new_id()
    wanted(installed, child, task, task=to_do("home_visit"))
    installed.settle(old, new)
    old.edit_child(child, post={"post": installed.posts[1]})
    installed.settle(old, new)
    assert old.shown() == {}
    assert new.follow_up(child, task).value("task") == to_do("home_visit")
    assert row(installed, task).post_id == installed.posts[1]


def test_result_from_the_old_post_reaches_the_new_one(installed: District) -> None:
    (old, child), new = tablet_and_child(installed), installed.tablet(1)
    task = old.set_task(child, action="home_visit")
    installed.settle(old, new)
    old.set_result(child, task)
    new.register_child()
    edit = Edit.of_child(child, {"post": {"post": installed.posts[1]}}, old.state(child).vector)
    with installed.hub.database.transaction() as session:
        server_edits.write(
            session, installed.hub, [edit], "child.moved", author="operator", now=installed.clock.now
        )
    installed.settle(old, new)
    assert new.follow_up(child, task).value("result") == what_came()
    assert ("follow_up", follow_up_id(child, task)) not in old.replica.base


def test_follow_up_that_came_before_its_child_waits_for_it(installed: District) -> None:
    one, two = installed.tablet(), installed.tablet()
    child = installed.new_id()
    task = one.set_task(child, action="home_visit")
    installed.settle(one, two)
    assert one.outcomes() == ["applied"]
    two.register_child(child)
    installed.settle(one, two)
    assert two.follow_up(child, task).value("task") == to_do("home_visit")


def test_note_of_a_follow_up_is_sealed_and_comes_down_whole(installed: District) -> None:
    (one, child), two = tablet_and_child(installed), installed.tablet()
    task = one.set_task(child, action="home_visit")
    one.sync_until_quiet()
    assert row(installed, task).sealed == 0
    one.write(one.replica.open_follow_up(child, task), {"note": {"text": NOTE}})
    installed.settle(one, two)
    assert row(installed, task).sealed == 1
    assert NOTE.encode() not in bytes(row(installed, task).state)
    assert two.follow_up(child, task).value("note") == {"text": NOTE}


def test_follow_up_that_was_removed_comes_back_when_that_is_taken_back(installed: District) -> None:
    tablet, child = tablet_and_child(installed)
    task = tablet.set_task(child, action="home_visit")
    for reason in ("tertulis dua kali", None):
        tablet.write(tablet.replica.open_follow_up(child, task), {"removed": {"reason": reason}})
        installed.settle(tablet)
        assert row(installed, task).removed == (reason is not None)


def test_page_of_a_pull_ends_between_any_two_records(
    installed: District, monkeypatch: pytest.MonkeyPatch
) -> None:
    tablet, child = tablet_and_child(installed)
    tablet.measure(child, weight_g=9000)
    tasks = [tablet.set_task(child, action="counsel") for _ in range(3)]
    tablet.sync_until_quiet()
    monkeypatch.setattr("server.sync.pull.CHUNK_ROWS", 2)
    object.__setattr__(installed.hub.settings, "max_pull_bytes", 500)
    other = installed.tablet()
    other.sync_until_quiet()
    assert len(other.answers) > 2
    installed.check_agreement(other)
    assert all(other.follow_up(child, task) for task in tasks)


# -- what cannot be applied -----------------------------------------------------------------------


def everybody(district: District) -> Scope:
    return Scope.whole_district(district.hub, shows_names=True)


def set_aside(district: District) -> tuple[FakeTablet, str, str, quarantine.QuarantinedChange]:
    """Give a tablet whose result of a task was set aside, the child, the task and the case."""
    tablet, child = tablet_and_child(district)
    task = tablet.set_task(child, action="pmt_week")
    tablet.set_result(child, task, "continue", days_eaten=8)
    tablet.sync_until_quiet()
    with district.hub.database.reading() as session:
        ((case,), _) = quarantine.cases(session, district.hub, everybody(district))
    return tablet, child, task, case


def test_invalid_result_is_set_aside_and_the_task_stays_open(installed: District) -> None:
    tablet, child, task, case = set_aside(installed)
    assert tablet.reasons(3) == ["out-of-range"]
    assert (case.kind, case.child_id, case.record_id) == ("follow_up", child, follow_up_id(child, task))
    assert row(installed, task).has_result == 0
    installed.settle(tablet)


def test_case_shows_the_follow_up_as_it_stands(installed: District) -> None:
    _, _, task, case = set_aside(installed)
    with installed.hub.database.reading() as session:
        shown = quarantine.case_file(
            session, installed.hub, everybody(installed), case.tablet_id, case.counter
        )
    assert shown.record is not None
    assert shown.record["task"] == task
    assert shown.record["set"] == {"task": to_do("pmt_week")}


def test_corrected_result_is_released_with_the_originals_context(installed: District) -> None:
    tablet, child, task, case = set_aside(installed)
    asked = {"set": {"result": what_came("continue", days_eaten=6)}}
    released = server_edits.decide(
        installed.hub,
        lambda session: quarantine.release(
            session,
            installed.hub,
            everybody(installed),
            case.tablet_id,
            case.counter,
            asked,
            author="account:uji",
            now=installed.clock.now,
        ),
    )
    assert released.outcome is Outcome.APPLIED
    installed.settle(tablet)
    assert tablet.follow_up(child, task).value("result") == what_came("continue", days_eaten=6)


def test_case_of_a_task_that_is_not_here_has_no_record(installed: District) -> None:
    tablet, child = tablet_and_child(installed)
    tablet.set_result(child, installed.new_id(), "done", days_eaten=8)
    tablet.sync_until_quiet()
    with installed.hub.database.reading() as session:
        ((case,), _) = quarantine.cases(session, installed.hub, everybody(installed))
        shown = quarantine.case_file(
            session, installed.hub, everybody(installed), case.tablet_id, case.counter
        )
    assert shown.record is None


# -- conflicts ------------------------------------------------------------------------------------


def test_two_results_are_listed_as_a_conflict_and_settled(installed: District) -> None:
    (one, child), two = tablet_and_child(installed), installed.tablet()
    task = one.set_task(child, action="home_visit")
    installed.settle(one, two)
    one.set_result(child, task, "done")
    two.set_result(child, task, "not_reached")
    installed.settle(one, two)
    scope, record_id = everybody(installed), follow_up_id(child, task)
    with installed.hub.database.reading() as session:
        ((listed,), total) = conflicts.conflicts(session, installed.hub, scope)
        shown = conflicts.dispute(session, installed.hub, scope, "follow_up", record_id)
    assert (total, listed.kind, listed.record_id, listed.task) == (1, "follow_up", record_id, task)
    assert (listed.registers, listed.wire()["task"]) == (("result",), task)
    asked = {
        "context": shown.context.wire(),
        "reason": "asked-the-cadres",
        "set": {"result": {"value": what_came("done")}},
    }
    settled = server_edits.decide(
        installed.hub,
        lambda session: conflicts.settle(
            session,
            installed.hub,
            scope,
            "follow_up",
            record_id,
            asked,
            author="account:uji",
            now=installed.clock.now,
        ),
    )
    assert settled.remaining == ()
    installed.settle(one, two)
    assert one.follow_up(child, task).value("result") == what_came("done")


def test_conflict_of_a_follow_up_is_hidden_from_another_post(installed: District) -> None:
    (one, child), two = tablet_and_child(installed), installed.tablet()
    two.sync_until_quiet()
    task = one.set_task(child, action="home_visit")
    two.set_task(child, task, action="counsel")
    installed.settle(one, two)
    for post, many in ((0, 1), (1, 0)):
        scope = Scope("post", installed.posts[post], True)
        with installed.hub.database.reading() as session:
            found, total = conflicts.conflicts(session, installed.hub, scope)
        assert len(found) == total == many
    with installed.hub.database.reading() as session:
        chosen, _ = conflicts.conflicts(
            session, installed.hub, everybody(installed), post_id=installed.posts[1]
        )
    assert chosen == []
