"""What is decided about a child: charge, tasks, courses, second measurements, closing; also by two people at once."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from server import review
from server.accounts import Person
from server.errors import Problem
from server.review import Filter, Scope, follow_ups
from server.review.guideline import SHIPPED, guideline
from server.sync import server_edits
from tests.server._district import District
from tests.server.web._clinic import Clinic, at

TODAY = date(2026, 3, 5)


@pytest.fixture
def clinic(installed: District) -> Clinic:
    return Clinic.opened(installed)


@pytest.fixture
def stunted(clinic: Clinic) -> str:
    return clinic.child("Anak Pendek Contoh", haz=-2.4, waz=-1)


def own(clinic: Clinic) -> Scope:
    return Scope("health_centre", clinic.centre, True)


def do(
    clinic: Clinic, work: Callable[..., follow_ups.Decided], child_id: str, *args: Any, **asked: Any
) -> follow_ups.Decided:
    """Decide as somebody of the first health centre."""
    hub, now, author = clinic.district.hub, clinic.district.clock.now, asked.pop("author", "account:petugas")
    return server_edits.decide(
        hub, lambda s: work(s, hub, own(clinic), child_id, *args, asked, author=author, now=now)
    )


def work(clinic: Clinic, child_id: str) -> tuple[follow_ups.Work, ...]:
    hub = clinic.district.hub
    with hub.database.reading() as session:
        subject = follow_ups.find(session, hub, own(clinic), child_id)
        return follow_ups.work_of(session, hub, own(clinic), subject.group)


def covers(clinic: Clinic, child_id: str) -> list[str]:
    hub = clinic.district.hub
    with hub.database.reading() as session:
        return follow_ups.flags_seen(
            session, hub, follow_ups.find(session, hub, own(clinic), child_id).person_id
        )


def status(clinic: Clinic, child_id: str) -> str | None:
    hub = clinic.district.hub
    with hub.database.reading() as session:
        shown = review.queue(session, hub, own(clinic), Filter(status="all"), today=TODAY)
    return next((row.status for row in shown.rows if row.child_id == child_id), None)


def reasons(refused: pytest.ExceptionInfo[Problem]) -> set[tuple[str, str]]:
    return {(each["path"], each["code"]) for each in refused.value.details["reasons"]}


# -- charge and tasks -----------------------------------------------------------------------------


def test_taking_charge_is_seen_in_the_queue_and_logged_at_the_post(clinic: Clinic, stunted: str) -> None:
    do(clinic, follow_ups.take, stunted, due_on="2026-03-12", reason="stunted")
    (found,) = work(clinic, stunted)
    assert (found.action, found.assigned_to, found.due_on) == ("take", "account:petugas", date(2026, 3, 12))
    assert status(clinic, stunted) == "taken"
    assert clinic.district.actions(f"post/{clinic.district.posts[0]}")[-1] == "task.take"


def test_a_form_sent_twice_is_one_task(clinic: Clinic, stunted: str) -> None:
    task = clinic.district.new_id()
    for _ in range(2):
        do(
            clinic,
            follow_ups.plan,
            stunted,
            task=task,
            action="home_visit",
            due_on="2026-03-12",
            note="Rumah biru",
        )
    (found,) = work(clinic, stunted)
    assert (found.task, found.action, [text for text, _ in found.notes]) == (
        task,
        "home_visit",
        ["Rumah biru"],
    )


def test_a_task_reaches_the_tablet_and_its_result_comes_back(clinic: Clinic, stunted: str) -> None:
    task = do(
        clinic, follow_ups.plan, stunted, action="counsel", assigned_to="cadre", due_on="2026-03-12"
    ).task
    assert status(clinic, stunted) == "waiting"
    clinic.first.sync_until_quiet()
    form = clinic.first.replica.open_follow_up(stunted, task)
    clinic.first.write(form, {"result": {"done_on": "2026-03-05", "outcome": "done"}})
    clinic.first.sync_until_quiet()
    (found,) = work(clinic, stunted)
    assert [(told.outcome, told.by[0].tablet_name) for told in found.results] == [("done", "Tablet A")]
    assert status(clinic, stunted) == "new"
    clinic.district.check_agreement(clinic.first)


def test_an_unplanned_action_is_refused_with_the_choices(clinic: Clinic, stunted: str) -> None:
    with pytest.raises(Problem) as refused:
        do(clinic, follow_ups.plan, stunted, action="pmt")
    assert reasons(refused) == {("action", "not-choice")}
    assert "home_visit" in refused.value.details["reasons"][0]["en"]


def test_a_child_of_another_health_centre_is_not_found(clinic: Clinic) -> None:
    child = clinic.child("Anak Lain", haz=-2.4, tablet=clinic.elsewhere)
    for works in (
        follow_ups.take,
        follow_ups.plan,
        follow_ups.course,
        follow_ups.close,
        follow_ups.remeasure,
    ):
        with pytest.raises(Problem) as refused:
            do(clinic, works, child, action="counsel", outcome="recovered", covers=[], weeks=2)
        assert refused.value.code == "record-unknown"


def test_a_due_date_that_is_none_is_refused_by_its_field(clinic: Clinic, stunted: str) -> None:
    with pytest.raises(Problem) as refused:
        do(clinic, follow_ups.plan, stunted, action="counsel", due_on="besok")
    assert ("set.task.due_on", "not-date") in reasons(refused)
    assert work(clinic, stunted) == ()


# -- results --------------------------------------------------------------------------------------


def test_an_outcome_that_does_not_fit_is_refused(clinic: Clinic, stunted: str) -> None:
    task = do(clinic, follow_ups.plan, stunted, action="counsel", due_on="2026-03-12").task
    with pytest.raises(Problem) as refused:
        do(clinic, follow_ups.answer, stunted, task, outcome="recovered")
    assert reasons(refused) == {("outcome", "not-choice")}


def test_two_who_answer_at_once_are_both_kept_and_a_third_settles(clinic: Clinic, stunted: str) -> None:
    task = do(clinic, follow_ups.plan, stunted, action="home_visit", due_on="2026-03-12").task
    shown = wire(work(clinic, stunted)[0])
    for outcome, author in (("better", "account:satu"), ("not_reached", "account:dua")):
        do(clinic, follow_ups.answer, stunted, task, outcome=outcome, context=shown, author=author)
    (found,) = work(clinic, stunted)
    assert {told.outcome for told in found.results} == {"better", "not_reached"}
    do(clinic, follow_ups.answer, stunted, task, outcome="better", context=wire(found))
    assert [told.outcome for told in work(clinic, stunted)[0].results] == ["better"]


def test_a_context_that_was_on_no_screen_is_refused(clinic: Clinic, stunted: str) -> None:
    task = do(clinic, follow_ups.plan, stunted, action="counsel", due_on="2026-03-12").task
    with pytest.raises(Problem) as refused:
        do(
            clinic,
            follow_ups.answer,
            stunted,
            task,
            outcome="done",
            context={clinic.first.id: [99, "A" * 16]},
        )
    assert reasons(refused) == {("context", "not-on-screen")}


@pytest.mark.parametrize("context", ["x", [1], {"a": 1}, {"a": ["x", "y"]}, 7])
def test_a_context_that_is_none_is_refused(clinic: Clinic, stunted: str, context: Any) -> None:
    task = do(clinic, follow_ups.plan, stunted, action="counsel", due_on="2026-03-12").task
    with pytest.raises(Problem) as refused:
        do(clinic, follow_ups.answer, stunted, task, outcome="done", context=context)
    assert refused.value.code == "change-invalid"


def test_a_conflict_blocks_no_decision(clinic: Clinic) -> None:
    child = clinic.disputed_child()
    do(clinic, follow_ups.plan, child, action="refer_puskesmas", due_on="2026-03-06")
    assert [found.action for found in work(clinic, child)] == ["refer_puskesmas"]


# -- PMT ------------------------------------------------------------------------------------------


def course(clinic: Clinic, child: str, weeks: Any = 8) -> str:
    return do(
        clinic, follow_ups.course, child, starts_on="2026-03-05", weeks=weeks, reason="wasted", funds="dak"
    ).task


def test_a_course_has_a_check_for_each_week(clinic: Clinic, stunted: str) -> None:
    task = course(clinic, stunted)
    whole, *_ = [found for found in work(clinic, stunted) if found.action == "pmt"]
    weeks = [found for found in work(clinic, stunted) if found.action == "pmt_week"]
    assert (whole.task, whole.due_on, whole.funds) == (task, date(2026, 4, 29), "dak")
    assert [found.week for found in weeks] == list(range(1, 9))
    assert weeks[0].due_on == date(2026, 3, 11)
    assert {found.course for found in weeks} == {task}


def test_a_week_that_ends_the_course_ends_all_of_it(clinic: Clinic, stunted: str) -> None:
    course(clinic, stunted, weeks=3)
    first = next(found for found in work(clinic, stunted) if found.week == 1)
    do(clinic, follow_ups.answer, stunted, first.task, outcome="finished", days_eaten=7, context=wire(first))
    told = {(found.action, found.week): found.results[0].outcome for found in work(clinic, stunted)}
    assert told == {("pmt", None): "finished", ("pmt_week", 1): "finished"} | {
        ("pmt_week", week): "cancelled" for week in (2, 3)
    }


def test_a_week_that_goes_on_leaves_the_others_open(clinic: Clinic, stunted: str) -> None:
    course(clinic, stunted, weeks=2)
    first = next(found for found in work(clinic, stunted) if found.week == 1)
    do(clinic, follow_ups.answer, stunted, first.task, outcome="continue", days_eaten=5, context=wire(first))
    assert sum(found.open for found in work(clinic, stunted)) == 2


@pytest.mark.parametrize("weeks", [0, 27, "x", None, True, 2.5])
def test_a_course_of_no_length_is_refused(clinic: Clinic, stunted: str, weeks: Any) -> None:
    with pytest.raises(Problem) as refused:
        course(clinic, stunted, weeks=weeks)
    assert {path for path, _ in reasons(refused)} == {"weeks"}


# -- a second measurement -------------------------------------------------------------------------


def measured(haz: float, waz: float = -1) -> dict[str, Any]:
    age = (TODAY - date(2025, 1, 10)).days
    return {
        "weight": {"weight_g": round(at("waz", "M", age, waz) * 1000), "oedema": "n"},
        "length": {"length_mm": round(at("haz", "M", age, haz) * 10), "position": "lying"},
    }


def remeasure(clinic: Clinic, child: str, haz: float) -> follow_ups.Decided:
    return do(clinic, follow_ups.remeasure, child, measured_on=TODAY.isoformat(), set=measured(haz))


def test_a_second_measurement_confirms_and_answers_the_task(clinic: Clinic, stunted: str) -> None:
    do(clinic, follow_ups.plan, stunted, action="remeasure", due_on="2026-03-06")
    assert remeasure(clinic, stunted, -2.5).found == "confirmed"
    assert [told.outcome for found in work(clinic, stunted) for told in found.results] == ["confirmed"]
    assert clinic.district.flags(stunted)["stunted"] == "2026-03-05/staff"


def test_a_second_measurement_clears_what_it_does_not_find(clinic: Clinic, stunted: str) -> None:
    do(clinic, follow_ups.plan, stunted, action="remeasure", due_on="2026-03-06")
    assert remeasure(clinic, stunted, -1.0).found == "cleared"
    assert "stunted" not in clinic.district.flags(stunted)
    assert [told.outcome for found in work(clinic, stunted) for told in found.results] == ["cleared"]


def test_a_second_measurement_without_a_flag_is_just_done(clinic: Clinic) -> None:
    child = clinic.child("Anak Sehat Contoh")
    assert remeasure(clinic, child, 0).found == "done"


def test_a_second_measurement_of_nothing_is_refused(clinic: Clinic, stunted: str) -> None:
    with pytest.raises(Problem) as refused:
        do(clinic, follow_ups.remeasure, stunted, measured_on="2026-03-05", set={})
    assert reasons(refused) == {("set", "missing")}
    with pytest.raises(Problem) as refused:
        do(clinic, follow_ups.remeasure, stunted, measured_on="2026-03-06", set=measured(0))
    assert ("key.measured_on", "date-in-future") in reasons(refused)


# -- closing --------------------------------------------------------------------------------------


def test_a_closed_case_leaves_the_queue_until_a_new_reason_comes(clinic: Clinic, stunted: str) -> None:
    seen = covers(clinic, stunted)
    do(clinic, follow_ups.close, stunted, outcome="followed_elsewhere", covers=seen)
    assert status(clinic, stunted) == "closed"
    clinic.district.clock.now += timedelta(days=31)
    clinic.first.measure(stunted, "2026-04-05", weight_g=8000, length_mm=730)
    clinic.first.sync_until_quiet()
    assert status(clinic, stunted) == "new"


def test_closing_ends_the_charge_that_was_on_the_screen(clinic: Clinic, stunted: str) -> None:
    do(clinic, follow_ups.take, stunted)
    (charge,) = work(clinic, stunted)
    contexts = {charge.task: wire(charge)}
    do(
        clinic,
        follow_ups.close,
        stunted,
        outcome="recovered",
        covers=covers(clinic, stunted),
        contexts=contexts,
    )
    assert status(clinic, stunted) == "closed"
    assert [told.outcome for told in work(clinic, stunted)[0].results] == ["recovered"]


def test_a_charge_that_was_taken_meanwhile_stays(clinic: Clinic, stunted: str) -> None:
    seen = covers(clinic, stunted)
    do(clinic, follow_ups.take, stunted, author="account:lain")
    do(clinic, follow_ups.close, stunted, outcome="recovered", covers=seen, contexts={})
    assert status(clinic, stunted) == "taken"


def test_a_flag_that_was_not_on_the_screen_keeps_the_case_open(clinic: Clinic, stunted: str) -> None:
    seen = covers(clinic, stunted)
    assert len(seen) > 0
    do(clinic, follow_ups.close, stunted, outcome="recovered", covers=seen[1:])
    assert status(clinic, stunted) == "new"


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ({"outcome": "done", "covers": []}, "outcome"),
        ({"covers": []}, "outcome"),
        ({"outcome": "died"}, "covers"),
        ({"outcome": "died", "covers": "x"}, "covers"),
        ({"outcome": "died", "covers": [], "contexts": []}, "contexts"),
        ({"outcome": "died", "covers": ["Budi"]}, "set.result.covers.0"),
    ],
)
def test_a_closing_that_says_too_little_is_refused(
    clinic: Clinic, stunted: str, asked: dict[str, Any], path: str
) -> None:
    with pytest.raises(Problem) as refused:
        do(clinic, follow_ups.close, stunted, **asked)
    assert path in {where for where, _ in reasons(refused)}


def test_two_who_close_at_once_have_closed_it(clinic: Clinic, stunted: str) -> None:
    do(clinic, follow_ups.take, stunted)
    (charge,) = work(clinic, stunted)
    seen, contexts = covers(clinic, stunted), {charge.task: wire(charge)}
    for outcome, author in (("recovered", "account:satu"), ("moved_away", "account:dua")):
        do(clinic, follow_ups.close, stunted, outcome=outcome, covers=seen, contexts=contexts, author=author)
    assert status(clinic, stunted) == "closed"
    assert len(work(clinic, stunted)[0].results) == 2


# -- the guideline --------------------------------------------------------------------------------


def test_guideline_proposes_by_urgency() -> None:
    line = guideline()
    assert line.due_on("refer_puskesmas", 1, TODAY) == TODAY
    assert line.due_on("refer_puskesmas", 2, TODAY) == TODAY + timedelta(days=7)
    assert line.due_on("remeasure", 5, TODAY) == line.due_on("remeasure", 4, TODAY)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (["stunted"], None),
        (["not_gaining"], ("not_gaining", 2)),
        (["underweight", "two_t"], ("underweight", 4)),
        (["underweight", "wasted"], ("wasted", 8)),
        (["underweight", "severely_wasted"], None),
        (["wasted", "oedema"], None),
    ],
)
def test_guideline_proposes_the_longest_course(rules: list[str], expected: tuple[str, int] | None) -> None:
    assert guideline().course_for(rules) == expected


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ('version = "2026-1"', "version = 7", "version is 7"),
        ("wasted = 8", "wasted = 99", "pmt_weeks.wasted is 99"),
        ("[due_days.take]\n1 = 0", "[due_days.take]\n1 = -1", "due_days.take.1 is -1"),
        ("[due_days.ask]", "[due_days.asked]", "lacks 'ask'"),
        ("[pmt_weeks]", "[pmt_weeks", "is not TOML"),
        ("[due_days.take]", "[due_days]\ntake = 3\n[other]", "is not of the form"),
    ],
)
def test_a_guideline_that_is_wrong_says_where(tmp_path: Path, was: str, becomes: str, told: str) -> None:
    text = SHIPPED.read_text("utf-8")
    assert was in text
    path = tmp_path / "guideline.toml"
    path.write_text(text.replace(was, becomes), "utf-8")
    with pytest.raises(ValueError, match="guideline") as refused:
        guideline(path)
    assert told in str(refused.value)


def test_a_guideline_that_is_missing_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        guideline(tmp_path / "none.toml")


def test_every_action_and_outcome_has_words_and_fits_somewhere() -> None:
    from schemas.records import ACTIONS, OUTCOMES

    assert set(follow_ups.ACTIONS) == set(ACTIONS) == set(follow_ups.FITTING)
    assert set(follow_ups.OUTCOMES) == set(OUTCOMES)
    assert {outcome for some in follow_ups.FITTING.values() for outcome in some} | {"cancelled"} == set(
        OUTCOMES
    )


# -- who may be charged ---------------------------------------------------------------------------


def test_only_staff_whose_area_holds_the_post_may_be_charged(clinic: Clinic) -> None:
    mine, theirs = clinic.person(), clinic.person(scope=clinic.other_centre)
    clinic.person("supervisor", "district", "64.02")
    hub = clinic.district.hub
    with hub.database.reading() as session:
        found = [account for account, _ in follow_ups.staff_of(session, hub, clinic.district.posts[0])]
    assert found == [f"account:{mine.account_id}"]
    assert isinstance(theirs, Person)


def wire(found: follow_ups.Work) -> Any:
    return found.wire()["context"]


def test_work_tells_who_planned_and_who_is_charged(clinic: Clinic, stunted: str) -> None:
    person = clinic.person()
    author = f"account:{person.account_id}"
    do(clinic, follow_ups.take, stunted, author=author)
    (found,) = work(clinic, stunted)
    assert (found.assigned_name, found.planned[0].author_name) == ("Petugas Contoh", "Petugas Contoh")
    assert not found.overdue(TODAY)
