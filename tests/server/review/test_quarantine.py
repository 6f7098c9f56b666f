"""Changes that were set aside: who sees them, correcting and releasing, dismissing, and that each is decided once."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, text, update

from server import audit
from server.children import ledger
from server.database.models import AuditEntry, ChangeRow, Child, QuarantineDecision, table
from server.errors import Problem
from server.review import Scope, quarantine
from server.review.quarantine import CaseFile, Decision, QuarantinedChange, Release
from server.sync import server_edits
from sync_protocol import Outcome, hub_actor, measurement_id
from tests.server._district import DISTRICT, District, FakeTablet, identity

ON = "2026-03-05"
TOO_LIGHT = 90
NAME = "Anak Rahasia Contoh"
NIK = "6402061001250001"


def everybody(district: District) -> Scope:
    return Scope.whole_district(district.hub, shows_names=True)


def of_post(district: District, number: int) -> Scope:
    return Scope("post", district.posts[number], True)


def listed(district: District, scope: Scope | None = None, **chosen: Any) -> list[QuarantinedChange]:
    with district.hub.database.reading() as session:
        found, total = quarantine.cases(session, district.hub, scope or everybody(district), **chosen)
    assert total == len(found)
    return found


def read(district: District, case: QuarantinedChange, scope: Scope | None = None) -> CaseFile:
    with district.hub.database.reading() as session:
        return quarantine.case_file(
            session, district.hub, scope or everybody(district), case.tablet_id, case.counter
        )


def release(
    district: District,
    case: QuarantinedChange,
    scope: Scope | None = None,
    author: str = "account:uji",
    **asked: Any,
) -> Release:
    return server_edits.decide(
        district.hub,
        lambda session: quarantine.release(
            session,
            district.hub,
            scope or everybody(district),
            case.tablet_id,
            case.counter,
            asked,
            author=author,
            now=district.clock.now,
        ),
    )


def dismiss(
    district: District,
    case: QuarantinedChange,
    scope: Scope | None = None,
    author: str = "account:uji",
    why: object = "practice",
) -> Decision:
    return server_edits.decide(
        district.hub,
        lambda session: quarantine.dismiss(
            session,
            district.hub,
            scope or everybody(district),
            case.tablet_id,
            case.counter,
            {"reason": why},
            author=author,
            now=district.clock.now,
        ),
    )


def refusal(work: Callable[[], object]) -> Problem:
    with pytest.raises(Problem) as refused:
        work()
    return refused.value


def codes(problem: Problem) -> list[tuple[str, str]]:
    assert problem.code == "change-invalid"
    return [(reason["path"], reason["code"]) for reason in problem.details["reasons"]]


def weighed_wrong(district: District) -> tuple[FakeTablet, str, QuarantinedChange]:
    """Give a tablet whose weighing of a known child was set aside, the child and the case."""
    tablet = district.tablet()
    child = tablet.register_child(identity=identity(name=NAME))
    tablet.sync_until_quiet()
    tablet.measure(child, weight_g=TOO_LIGHT, length_mm=780)
    tablet.sync_until_quiet()
    (case,) = listed(district)
    return tablet, child, case


def corrected() -> dict[str, Any]:
    return {"weight": {"weight_g": 9000, "oedema": None}, "length": {"length_mm": 780, "position": "lying"}}


# -- reading --------------------------------------------------------------------------------------


def test_case_is_listed_with_post_tablet_child_and_reasons(installed: District) -> None:
    tablet, child, case = weighed_wrong(installed)
    assert (case.tablet_id, case.counter, case.tablet_name) == (tablet.id, 2, "Tablet Contoh")
    assert (case.post_id, case.post_name, case.child_id) == (installed.posts[0], "Melati 1", child)
    assert (case.kind, case.measured_on, case.source, case.name) == ("measurement", ON, "cadre", NAME)
    assert [(r["path"], r["code"], r["value"]) for r in case.reasons] == [
        ("set.weight.weight_g", "out-of-range", TOO_LIGHT)
    ]
    assert case.state == quarantine.OPEN
    assert installed.rows(select(QuarantineDecision)) == []


def test_case_has_no_name_for_who_may_not_know_it(installed: District) -> None:
    _, _, case = weighed_wrong(installed)
    hidden = Scope.whole_district(installed.hub, shows_names=False)
    assert [found.name for found in listed(installed, hidden)] == [None]
    assert refusal(lambda: read(installed, case, hidden)).code == "not-allowed"


def test_case_file_gives_the_change_as_it_came_and_its_record_as_it_stands(installed: District) -> None:
    tablet, child, case = weighed_wrong(installed)
    assert read(installed, case).record is None
    tablet.measure(child, weight_g=9000)
    tablet.sync_until_quiet()
    shown = read(installed, case)
    assert shown.change == tablet.replica.log[1].change.wire()
    assert shown.record is not None
    assert shown.record["set"]["weight"]["weight_g"] == 9000


@pytest.mark.parametrize(
    "set_", [{"identity": {"name": "", "sex": "M"}}, {"identity": {"name": [NAME]}}, {"nik": {"nik": "1"}}]
)
def test_case_file_of_a_child_is_read_whatever_was_sent(installed: District, set_: dict[str, Any]) -> None:
    tablet = installed.tablet()
    tablet.write(tablet.replica.open_child(installed.new_id()), set_)
    tablet.sync_until_quiet()
    (case,) = listed(installed)
    assert case.kind == "child"
    assert read(installed, case).change["set"] == set_


def test_case_is_nobodys_outside_the_scope(installed: District) -> None:
    _, _, case = weighed_wrong(installed)
    other = of_post(installed, 1)
    assert listed(installed, other) == []
    for work in (
        lambda: read(installed, case, other),
        lambda: release(installed, case, other, set=corrected()),
        lambda: dismiss(installed, case, other),
    ):
        assert refusal(work).code == "record-unknown"
    assert len(listed(installed, of_post(installed, 0))) == 1


def test_case_goes_with_the_child_that_moved(installed: District) -> None:
    tablet, child, _ = weighed_wrong(installed)
    tablet.edit_child(child, post={"post": installed.posts[1]})
    tablet.sync_until_quiet()
    assert listed(installed, of_post(installed, 0)) == []
    (case,) = listed(installed, of_post(installed, 1))
    release(installed, case, of_post(installed, 1), set=corrected())
    installed.check_agreement(tablet)


def test_case_is_nobodys_when_the_person_was_erased(installed: District) -> None:
    tablet, child, case = weighed_wrong(installed)
    tablet.edit_child(child, nik={"nik": NIK[:-1]})
    tablet.sync_until_quiet()
    with installed.hub.database.transaction() as session:
        session.execute(update(table(Child)).where(Child.id == child).values(wrapped_key=None))
        audit.append(
            session, DISTRICT, audit.OFFICE, "uji", actor="operator", now=installed.clock.now
        )  # no write without an entry
    assert listed(installed) == []
    assert refusal(lambda: read(installed, case)).code == "record-unknown"
    assert refusal(lambda: release(installed, case, set=corrected())).code == "record-unknown"


def test_cases_are_chosen_by_post_and_paged_longest_waiting_first(installed: District) -> None:
    one, two = installed.tablet(0), installed.tablet(1)
    for tablet in (two, one):
        child = tablet.register_child()
        for weight_g in (90, 91):
            tablet.measure(child, weight_g=weight_g)
        tablet.sync_until_quiet()
        installed.clock.advance(minutes=1)
    assert [c.tablet_id for c in listed(installed)] == [two.id, two.id, one.id, one.id]
    assert [c.counter for c in listed(installed, post_id=installed.posts[0])] == [2, 3]
    with installed.hub.database.reading() as session:
        page, total = quarantine.cases(session, installed.hub, everybody(installed), limit=1, offset=2)
    assert ([(c.tablet_id, c.counter) for c in page], total) == ([(one.id, 2)], 4)


def test_case_is_answered_when_the_tablet_corrects_it(installed: District) -> None:
    tablet, child, _ = weighed_wrong(installed)
    tablet.measure(child, weight_g=9000, length_mm=780)
    tablet.sync_until_quiet()
    assert listed(installed) == []
    assert [case.counter for case in listed(installed, state=quarantine.ANSWERED)] == [2]
    with installed.hub.database.reading() as session:
        assert quarantine.open_by_tablet(session, installed.hub)[tablet.id] == 0


def test_case_is_answered_when_the_tablet_removes_the_record(installed: District) -> None:
    tablet, child, _ = weighed_wrong(installed)
    tablet.remove(child, ON)
    tablet.sync_until_quiet()
    assert listed(installed) == []
    tablet.remove(child, ON, None)  # put back: the values are still missing
    tablet.sync_until_quiet()
    assert [case.counter for case in listed(installed)] == [2]


def test_case_stays_open_when_the_later_change_is_of_another_register(installed: District) -> None:
    tablet, child, _ = weighed_wrong(installed)
    tablet.measure(child, muac_mm=140)
    tablet.sync_until_quiet()
    assert [case.counter for case in listed(installed)] == [2]
    tablet.measure(child, weight_g=9000)  # the length that was set aside with it is still nowhere
    tablet.sync_until_quiet()
    assert [case.counter for case in listed(installed)] == [2]


def test_case_stays_open_when_another_tablet_writes_the_record(installed: District) -> None:
    _, child, _ = weighed_wrong(installed)
    other = installed.tablet()
    other.measure(child, weight_g=9000, length_mm=780)
    other.sync_until_quiet()
    assert [case.counter for case in listed(installed)] == [2]


# -- releasing ------------------------------------------------------------------------------------


def test_release_makes_a_hub_change_that_tablets_get(installed: District) -> None:
    tablet, child, case = weighed_wrong(installed)
    released = release(installed, case, set=corrected())
    assert released.dot == (hub_actor(measurement_id(child, ON, "cadre")), 1)
    assert (released.outcome, released.context) == (Outcome.APPLIED, "original")
    installed.settle(tablet)
    assert tablet.state(child, ON).value("weight") == {"weight_g": 9000, "oedema": None}
    (decided,) = listed(installed, state=quarantine.DECIDED)
    assert decided.decision is not None
    assert decided.decision.released == released.dot
    assert listed(installed) == []


def test_release_names_its_author_and_the_original_in_the_log(installed: District) -> None:
    tablet, _, case = weighed_wrong(installed)
    released = release(installed, case, set=corrected())
    (row,) = installed.rows(
        text("SELECT actor, details FROM audit_entry WHERE action = 'quarantine.released'")
    )
    assert row.actor == "account:uji"
    assert f'"original":["{tablet.id}",2]' in row.details
    assert released.dot.actor in row.details
    assert '"weight' not in row.details


def test_release_covers_what_the_cadre_had_seen_and_nothing_else(installed: District) -> None:
    tablet, other = installed.tablet(), installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, weight_g=8800)
    installed.settle(tablet, other)
    tablet.measure(child, weight_g=TOO_LIGHT)
    other.measure(child, weight_g=9400)
    installed.settle(tablet, other)
    (case,) = listed(installed)
    released = release(installed, case, set={"weight": {"weight_g": 9000, "oedema": None}})
    assert released.outcome is Outcome.CONFLICT
    installed.settle(tablet, other)
    weights = [s.value["weight_g"] for s in tablet.state(child, ON).registers["weight"]]
    assert sorted(weights) == [9000, 9400]  # 8800 was on the cadre's screen, 9400 was not


def test_release_as_it_is_when_only_the_tablet_was_in_question(installed: District) -> None:
    tablet, fresh = installed.tablet(), installed.tablet()
    child = tablet.register_child()
    tablet.sync_until_quiet()
    installed.revoke(tablet)
    tablet.measure(child, weight_g=9000)
    tablet.sync_until_quiet()
    (case,) = listed(installed)
    assert [r["code"] for r in case.reasons] == ["tablet-revoked"]
    assert release(installed, case).outcome is Outcome.APPLIED
    installed.settle(fresh)
    assert fresh.state(child, ON).value("weight") == {"weight_g": 9000, "oedema": None}


def test_release_of_a_registration_makes_the_child_at_the_tablets_post(installed: District) -> None:
    tablet, other = installed.tablet(1), installed.tablet(1)
    child = tablet.register_child(identity=identity(name=""))
    tablet.sync_until_quiet()
    (case,) = listed(installed, of_post(installed, 1))
    assert (case.child_id, case.post_id) == (child, installed.posts[1])
    release(installed, case, of_post(installed, 1), set={"identity": identity(name=NAME)})
    installed.settle(tablet, other)
    assert other.state(child).value("identity") == identity(name=NAME)


def test_release_of_a_measurement_before_its_child_waits_for_the_child(installed: District) -> None:
    early, late = installed.tablet(), installed.tablet()
    child = installed.new_id()
    early.measure(child, weight_g=TOO_LIGHT)
    early.sync_until_quiet()
    (case,) = listed(installed)
    release(installed, case, set={"weight": {"weight_g": 9000, "oedema": None}})
    late.register_child(child)
    installed.settle(early, late)
    assert late.state(child, ON).value("weight") == {"weight_g": 9000, "oedema": None}


def test_release_of_registration_and_measurement_in_either_order(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child(identity=identity(name=""))
    tablet.measure(child, weight_g=TOO_LIGHT)
    tablet.sync_until_quiet()
    registration, weighing = listed(installed)
    release(installed, weighing, set={"weight": {"weight_g": 9000, "oedema": None}})
    release(installed, registration, set={"identity": identity()})
    installed.settle(tablet)
    assert tablet.state(child).value("identity") == identity()
    assert tablet.state(child, ON).value("weight") == {"weight_g": 9000, "oedema": None}


def test_release_on_another_day_claims_to_have_seen_nothing(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.sync_until_quiet()
    tablet.measure(child, "2027-03-05", weight_g=9000)
    tablet.sync_until_quiet()
    (case,) = listed(installed)
    key = {"child": child, "measured_on": ON, "source": "cadre"}
    released = release(installed, case, key=key)
    assert (released.context, released.dot.actor) == ("empty", hub_actor(measurement_id(child, ON, "cadre")))
    installed.settle(tablet)
    assert tablet.state(child, ON).incomplete is False


def test_release_has_no_context_when_the_originals_cannot_be_read(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.sync_until_quiet()
    form = tablet.replica.open_measurement(child, ON)
    tablet.write(form, {"weight": {"weight_g": 9000, "oedema": None}})
    message = tablet.replica.next_batch(installed.new_id(), installed.clock.text())
    message["changes"][0]["context"] = {"not an actor": [0, "x"]}
    tablet.send(tablet.signed(message))
    (case,) = listed(installed)
    assert case.reasons[0]["path"].startswith("context")
    assert release(installed, case).context == "empty"
    installed.check_agreement()


def test_release_says_everything_that_is_still_wrong(installed: District) -> None:
    _, child, case = weighed_wrong(installed)
    assert codes(refusal(lambda: release(installed, case))) == [("set.weight.weight_g", "out-of-range")]
    early = {"child": child, "measured_on": "2024-12-31", "source": "cadre"}
    problem = refusal(lambda: release(installed, case, set=corrected(), key=early))
    assert codes(problem) == [("key.measured_on", "before-birth")]
    told = problem.details["reasons"][0]
    assert "2025-01-10" in told["id"]
    assert told["en"].endswith("Check the date of measuring and the date of birth.")
    assert len(listed(installed)) == 1
    installed.check_agreement()


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ({"set": 5}, "set"),
        ({"set": {}}, "set"),
        ({"set": {"berat": {}}}, "set.berat"),
        ({"key": []}, "key"),
        ({"key": {"child": "x", "measured_on": ON, "source": "cadre"}}, "key.child"),
        ({"set": {"weight": {"weight_g": 9000, "oedema": None, "nik": NIK}}}, "set.weight.nik"),
    ],
)
def test_release_refuses_what_is_no_correction(on_sqlite: District, asked: dict[str, Any], path: str) -> None:
    _, _, case = weighed_wrong(on_sqlite)
    problem = refusal(lambda: release(on_sqlite, case, **asked))
    assert path in [found for found, _ in codes(problem)]
    assert NIK not in str(problem.details)


def test_release_refuses_a_child_of_another_post(installed: District) -> None:
    far = installed.tablet(1)
    stranger = far.register_child()
    far.sync_until_quiet()
    _, _, case = weighed_wrong(installed)
    key = {"child": stranger, "measured_on": ON, "source": "cadre"}
    problem = refusal(lambda: release(installed, case, of_post(installed, 0), set=corrected(), key=key))
    assert problem.code == "record-unknown"
    installed.check_agreement(far)


# -- dismissing -----------------------------------------------------------------------------------


def test_dismissal_deletes_nothing_and_is_logged_at_the_post(installed: District) -> None:
    tablet, _, case = weighed_wrong(installed)
    dismiss(installed, case)
    (row,) = installed.rows(select(ChangeRow).where(ChangeRow.outcome == "quarantined"))
    wire = ledger.quarantined_change(DISTRICT, row[0], installed.hub.vault)
    assert wire == tablet.replica.log[1].change.wire()
    assert installed.actions(f"post/{installed.posts[0]}")[-1] == "quarantine.dismissed"
    (decided,) = listed(installed, state=quarantine.DECIDED)
    assert decided.decision is not None
    assert (decided.decision.decision, decided.decision.reason) == ("dismissed", "practice")
    installed.check_agreement(tablet)


@pytest.mark.parametrize(
    ("why", "code"), [(None, "missing"), (NAME, "not-choice"), (["practice"], "not-choice")]
)
def test_dismissal_wants_one_of_the_reasons(on_sqlite: District, why: object, code: str) -> None:
    _, _, case = weighed_wrong(on_sqlite)
    problem = refusal(lambda: dismiss(on_sqlite, case, why=why))
    assert codes(problem) == [("reason", code)]
    assert NAME not in str(problem.details)


# -- once -----------------------------------------------------------------------------------------


def test_same_decision_again_gets_the_same_answer(installed: District) -> None:
    _, _, case = weighed_wrong(installed)
    first = release(installed, case, set=corrected())
    assert release(installed, case, set=corrected()) == first
    assert installed.actions(f"post/{installed.posts[0]}").count("quarantine.released") == 1


def test_same_dismissal_again_gets_the_same_answer(installed: District) -> None:
    _, _, case = weighed_wrong(installed)
    first = dismiss(installed, case)
    installed.clock.advance(minutes=5)
    assert dismiss(installed, case) == first


def test_other_decision_is_told_who_was_first(installed: District) -> None:
    _, _, case = weighed_wrong(installed)
    release(installed, case, set=corrected())
    heavier = {**corrected(), "weight": {"weight_g": 9100, "oedema": None}}
    for work in (
        lambda: release(installed, case, set=heavier),
        lambda: release(installed, case, author="account:lain", set=corrected()),
        lambda: dismiss(installed, case),
    ):
        problem = refusal(work)
        assert (problem.code, problem.details["decided_by"]) == ("already-decided", "account:uji")
    installed.check_agreement()


def test_one_of_two_wins_when_both_decide_at_once(installed: District) -> None:
    tablet, child, case = weighed_wrong(installed)
    start, ended = threading.Barrier(2), []

    def work(author: str, weight_g: int) -> None:
        start.wait()
        registers = {**corrected(), "weight": {"weight_g": weight_g, "oedema": None}}
        try:
            release(installed, case, author=author, set=registers)
            ended.append("released")
        except Problem as problem:
            ended.append(problem.code)

    threads = [
        threading.Thread(target=work, args=each) for each in (("account:satu", 9000), ("account:dua", 9100))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ended) == ["already-decided", "released"]
    installed.settle(tablet)
    assert len(tablet.state(child, ON).registers["weight"]) == 1


# -- taking back ----------------------------------------------------------------------------------


def reopen(
    district: District, case: QuarantinedChange, what: str = "reopen", author: str = "account:uji"
) -> Decision:
    work = quarantine.reopen if what == "reopen" else quarantine.undo
    return server_edits.decide(
        district.hub,
        lambda session: work(
            session,
            district.hub,
            everybody(district),
            case.tablet_id,
            case.counter,
            author=author,
            now=district.clock.now,
        ),
    )


def undo(district: District, case: QuarantinedChange, author: str = "account:uji") -> Decision:
    return reopen(district, case, "undo", author)


def test_dismissed_case_waits_again_when_it_is_reopened(installed: District) -> None:
    tablet, _, case = weighed_wrong(installed)
    dismiss(installed, case)
    assert reopen(installed, case).reason == "dismissed"
    (again,) = listed(installed)
    assert (again.state, again.decision, again.reopened and again.reopened.by) == (
        "open",
        None,
        "account:uji",
    )
    assert listed(installed, state="decided") == []
    assert release(installed, again, set=corrected()).outcome is Outcome.APPLIED
    assert "quarantine.reopened" in installed.actions(f"post/{case.post_id}")
    installed.settle(tablet)


def test_reopening_answers_the_same_person_again_and_tells_others_there_is_nothing(
    installed: District,
) -> None:
    _, _, case = weighed_wrong(installed)
    assert refusal(lambda: reopen(installed, case)).code == "nothing-to-undo"
    dismiss(installed, case)
    assert reopen(installed, case) == reopen(installed, case)
    problem = refusal(lambda: reopen(installed, case, author="account:lain"))
    assert (problem.code, problem.details["decided_by"]) == ("nothing-to-undo", "account:uji")
    assert refusal(lambda: undo(installed, case)).code == "nothing-to-undo"


def test_record_is_removed_when_the_release_that_made_it_is_taken_back(installed: District) -> None:
    tablet, child, case = weighed_wrong(installed)
    release(installed, case, set=corrected())
    undo(installed, case)
    installed.settle(tablet)
    assert tablet.state(child, ON).removed
    assert [again.state for again in listed(installed)] == ["open"]
    assert undo(installed, case) == undo(installed, case)
    assert "quarantine.undone" in installed.actions(f"post/{case.post_id}")
    assert installed.broken_log() == []


def test_release_after_one_that_was_taken_back_stands_alone(installed: District) -> None:
    tablet, child, case = weighed_wrong(installed)
    release(installed, case, set=corrected())
    undo(installed, case)
    again = {**corrected(), "weight": {"weight_g": 9100, "oedema": None}}
    assert release(installed, case, set=again).outcome is Outcome.APPLIED
    assert release(installed, case, set=again).dot.counter == 3  # sent twice, made once
    installed.settle(tablet)
    state = tablet.state(child, ON)
    assert (state.removed, state.conflicts) == (False, ())
    assert state.value("weight") == {"weight_g": 9100, "oedema": None}
    undo(installed, case)
    installed.settle(tablet)
    assert tablet.state(child, ON).removed


def test_former_values_stand_again_when_a_release_is_taken_back(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, weight_g=8900, length_mm=780)
    tablet.sync_until_quiet()
    tablet.measure(child, weight_g=TOO_LIGHT)
    tablet.sync_until_quiet()
    (case,) = listed(installed)
    release(installed, case, set={"weight": {"weight_g": 9000, "oedema": None}})
    undo(installed, case)
    installed.settle(tablet)
    state = tablet.state(child, ON)
    assert (state.value("weight"), state.removed) == ({"weight_g": 8900, "oedema": None}, False)
    assert (
        release(installed, case, set={"weight": {"weight_g": 9000, "oedema": None}}).outcome
        is Outcome.APPLIED
    )


def test_value_beside_which_a_release_stood_stands_alone_when_it_is_taken_back(installed: District) -> None:
    tablet, rival = installed.tablet(), installed.tablet()
    child = tablet.register_child()
    installed.settle(tablet, rival)
    rival.measure(child, weight_g=9400)
    rival.sync_until_quiet()
    tablet.measure(child, weight_g=TOO_LIGHT)
    tablet.sync_until_quiet()
    (case,) = listed(installed)
    nine_kilos = {"weight": {"weight_g": 9000, "oedema": None}}
    assert release(installed, case, set=nine_kilos).outcome is Outcome.CONFLICT
    undo(installed, case)
    installed.settle(tablet, rival)
    assert tablet.state(child, ON).value("weight") == {"weight_g": 9400, "oedema": None}
    # nobody has decided between the two: a second release does not overwrite what the cadre had not seen
    assert release(installed, case, set=nine_kilos).outcome is Outcome.CONFLICT


def test_release_is_not_taken_back_when_somebody_edited_it_since(installed: District) -> None:
    tablet, child, case = weighed_wrong(installed)
    release(installed, case, set=corrected())
    tablet.sync_until_quiet()
    tablet.measure(child, weight_g=9050)
    tablet.sync_until_quiet()
    problem = refusal(lambda: undo(installed, case))
    assert (problem.code, problem.details["registers"]) == ("undo-refused", "weight")
    installed.settle(tablet)
    assert tablet.state(child, ON).value("weight") == {"weight_g": 9050, "oedema": None}


def test_release_is_emptied_when_the_record_has_been_changed_since(installed: District) -> None:
    tablet, child, case = weighed_wrong(installed)
    release(installed, case, set=corrected())
    tablet.sync_until_quiet()
    tablet.measure(child, muac_mm=140)
    tablet.sync_until_quiet()
    undo(installed, case)
    installed.settle(tablet)
    assert tablet.state(child, ON).value("weight") == {"weight_g": None, "oedema": None}


def test_release_is_not_taken_back_when_a_part_cannot_be_emptied(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child(identity=identity(name=""))
    tablet.sync_until_quiet()
    (case,) = listed(installed)
    release(installed, case, set={"identity": identity(name=NAME)})
    tablet.sync_until_quiet()
    tablet.edit_child(child, parents={"mother": "Ibu Contoh"})
    tablet.sync_until_quiet()
    assert refusal(lambda: undo(installed, case)).details["registers"] == "identity"


def test_registration_is_taken_back_while_nothing_hangs_on_the_child(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child(identity=identity(name=""))
    tablet.sync_until_quiet()
    (case,) = listed(installed)
    named = {"identity": identity(name=NAME)}
    release(installed, case, set=named)
    tablet.sync_until_quiet()
    tablet.measure(child, weight_g=9000)
    tablet.sync_until_quiet()
    assert refusal(lambda: undo(installed, case)).details["registers"] == "child"
    tablet.remove(child, ON)
    tablet.sync_until_quiet()
    undo(installed, case)
    installed.settle(tablet)
    assert tablet.state(child).removed
    release(installed, case, set=named)
    installed.settle(tablet)
    assert not tablet.state(child).removed


def test_case_that_was_reopened_counts_as_waiting(installed: District) -> None:
    tablet, _, case = weighed_wrong(installed)
    dismiss(installed, case)
    reopen(installed, case)
    with installed.hub.database.reading() as session:
        assert quarantine.open_by_tablet(session, installed.hub) == {tablet.id: 1}


def test_nothing_personal_lies_in_the_clear_after_deciding(installed: District) -> None:
    tablet = installed.tablet()
    for name in (NAME, f"{NAME} Kedua"):
        tablet.register_child(identity=identity(name=name), nik={"nik": NIK[:-1]})
    tablet.sync_until_quiet()
    first, second = listed(installed)
    release(installed, first, set={"identity": identity(name=NAME), "nik": {"nik": NIK}})
    dismiss(installed, second)
    models = (AuditEntry, QuarantineDecision, ChangeRow)
    kept = [installed.rows(select(table(model))) for model in models]
    assert NAME not in str(kept)
    assert NIK[:-1] not in str(kept)


def test_release_of_a_registration_stands_beside_a_tablet_that_makes_the_child_at_once(
    installed: District,
) -> None:
    tablet, rival = installed.tablet(0), installed.tablet(1)
    child = tablet.register_child(identity=identity(name=""))
    tablet.sync_until_quiet()
    (case,) = listed(installed)
    rival.register_child(child, identity=identity(name=f"{NAME} Kedua"))
    start, failed = threading.Barrier(2), []

    def at_once(work: Callable[[], object]) -> None:
        start.wait()
        try:
            work()
        except Exception as error:  # noqa: BLE001  # a thread's error would be lost
            failed.append(error)

    works = (lambda: release(installed, case, set={"identity": identity(name=NAME)}), rival.sync_until_quiet)
    threads = [threading.Thread(target=at_once, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    installed.settle(tablet, rival)
    (state,) = [state for _, state in installed.stored().values()]
    assert {s.value["name"] for s in state.registers["identity"]} == {NAME, f"{NAME} Kedua"}
