"""Eight stories of what is to be done for a child: the health centre asks, a posyandu answers, days apart.

Each story ends with `settle`: ledger, tables and every screen are the same, byte for byte, the queue's row last of all.
"""

import threading
from typing import Any

from sqlalchemy import select

from server.children.review_queue import CLOSED, NEW, TAKEN, WAITING, flag_seen
from server.database.models import Flag, FollowUp, table
from server.sync import server_edits
from server.sync.server_edits import Edit
from tests.scenarios._office import move, open_page, state_of
from tests.server._district import District, FakeTablet, to_do, what_came

ON = "2026-03-05"


def tablet_and_thin_child(district: District) -> tuple[FakeTablet, str]:
    """Give a tablet of the first post, and a child who is far too thin."""
    tablet = district.tablet()
    child = tablet.register_child()
    tablet.measure(child, ON, weight_g=6100, length_mm=750)
    district.settle(tablet)
    return tablet, child


def ask(district: District, child: str, action: str, /, **fields: Any) -> str:
    """Set a task at the health centre; give its id."""
    task = district.new_id()
    open_page(district, child, task=task).save(task=to_do(action, **fields))
    return task


def on_screen(district: District, child: str) -> list[str]:
    c = table(Flag).c
    found = district.rows(select(c.rule, c.subject, c.details).where(c.child_id == child).order_by(c.rule))
    return [flag_seen(*row) for row in found]


def test_story_a_visit_is_asked_for_and_told_of_weeks_later(installed: District) -> None:
    tablet, child = tablet_and_thin_child(installed)
    task = ask(installed, child, "home_visit", due_on="2026-03-12", assigned_to="kader-contoh")
    assert installed.attention(child).status == WAITING
    installed.settle(tablet)
    installed.clock.advance(days=16)
    tablet.set_result(child, task, "not_reached", done_on="2026-03-11")
    tablet.set_result(child, task, "done", done_on="2026-03-20")
    installed.settle(tablet)
    assert tablet.outcomes()[-2:] == ["applied", "applied"]
    state = state_of(installed, child, task=task)
    assert state is not None
    assert state.value("result") == what_came("done", done_on="2026-03-20")
    assert installed.attention(child).status == NEW


def test_story_two_people_take_one_child_at_the_same_moment(installed: District) -> None:
    tablet, child = tablet_and_thin_child(installed)
    names = ["account:satu", "account:dua"]
    at_once(installed, [take(installed, child, name) for name in names])
    installed.settle(tablet)
    held = installed.rows(select(FollowUp.assigned_to).where(FollowUp.child_id == child))
    assert sorted(row.assigned_to for row in held) == sorted(names)
    assert installed.attention(child).status == TAKEN
    assert installed.attention(child).assigned_to in names


def test_story_two_people_close_one_case_at_the_same_moment(installed: District) -> None:
    tablet, child = tablet_and_thin_child(installed)
    task = ask(installed, child, "take", assigned_to="account:satu")
    context, covers = open_page(installed, child, task=task).context, on_screen(installed, child)
    outcomes = ["followed_elsewhere", "recovered"]
    edits = [
        Edit.of_follow_up(child, task, {"result": what_came(outcome, covers=covers)}, context)
        for outcome in outcomes
    ]
    at_once(installed, edits)
    installed.settle(tablet)
    state = tablet.follow_up(child, task)
    assert sorted(s.value["outcome"] for s in state.registers["result"]) == outcomes
    assert installed.attention(child).status == CLOSED


def test_story_one_closes_the_case_while_another_refers_the_child(installed: District) -> None:
    tablet, child = tablet_and_thin_child(installed)
    charge = ask(installed, child, "take", assigned_to="account:satu")
    closing, covers = open_page(installed, child, task=charge), on_screen(installed, child)
    ask(installed, child, "refer_hospital", due_on=ON)
    closing.save(result=what_came("not_needed", covers=covers))
    installed.settle(tablet)
    assert installed.attention(child).status == WAITING


def test_story_a_measurement_arrives_while_the_case_is_being_closed(installed: District) -> None:
    tablet, child = tablet_and_thin_child(installed)
    charge = ask(installed, child, "take", assigned_to="account:satu")
    closing, covers = open_page(installed, child, task=charge), on_screen(installed, child)
    tablet.measure(child, ON, muac_mm=108)
    tablet.sync_until_quiet()
    assert closing.save(result=what_came("recovered", covers=covers)) == "applied"
    installed.settle(tablet)
    assert installed.attention(child).status == NEW
    assert "muac_severe" in installed.flags(child)


def test_story_a_child_moves_between_the_task_and_its_result(installed: District) -> None:
    (old, child), new = tablet_and_thin_child(installed), installed.tablet(1)
    task = ask(installed, child, "remeasure")
    installed.settle(old, new)
    old.set_result(child, task, "confirmed")
    old.measure(child, ON, source="staff", weight_g=6150)
    move(installed, child, 1)
    installed.settle(old, new)
    assert old.shown() == {}
    assert new.follow_up(child, task).value("result") == what_came("confirmed")
    assert installed.attention(child).post_id == installed.posts[1]


def test_story_a_visit_is_called_off_while_the_cadre_is_on_her_way(installed: District) -> None:
    tablet, child = tablet_and_thin_child(installed)
    task = ask(installed, child, "home_visit")
    installed.settle(tablet)
    open_page(installed, child, task=task).save(removed={"reason": "tertulis dua kali"})
    assert installed.attention(child).status == NEW
    tablet.set_result(child, task)
    installed.settle(tablet)
    state = tablet.follow_up(child, task)
    assert (state.removed, state.removal_contested) == (False, True)
    assert state.value("result") == what_came()


def test_story_the_server_is_restored_between_task_and_result(installed: District) -> None:
    tablet, child = tablet_and_thin_child(installed)
    before = installed.back_up()
    task = ask(installed, child, "home_visit", due_on="2026-03-12")
    installed.settle(tablet)
    tablet.set_result(child, task)
    installed.settle(tablet)
    installed.restore(before)
    installed.settle(tablet)
    state = tablet.follow_up(child, task)
    assert state.value("result") == what_came()
    assert state.incomplete  # what was to be done, only the office knew: it is asked again
    assert state.value("task") is None


def take(district: District, child: str, name: str) -> Edit:
    return Edit.of_follow_up(child, district.new_id(), {"task": to_do("take", assigned_to=name)})


def at_once(district: District, edits: list[Edit]) -> None:
    """Let several people at the health centre save at the same moment, each in a thread."""
    start, failures = threading.Barrier(len(edits)), list[BaseException]()

    def save(edit: Edit) -> None:
        start.wait()
        try:
            server_edits.decide(
                district.hub,
                lambda session: server_edits.write(
                    session,
                    district.hub,
                    [edit],
                    "task.made",
                    author="account:uji",
                    now=district.clock.now,
                ),
            )
        except Exception as failure:  # noqa: BLE001  # raised below
            failures.append(failure)

    threads = [threading.Thread(target=save, args=(edit,)) for edit in edits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
