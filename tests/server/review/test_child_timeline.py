"""What happened to a child: every kind of thing, by whom, from which tablet, in order; what is withheld; what it costs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from server import review
from server.review import ChildView, Scope, conflicts, duplicate_pairs, follow_ups, moves, quarantine
from server.review.child import Event, child_json, timeline_json
from server.sync import server_edits
from sync_protocol import VersionVector, measurement_id
from tests.server._district import NOW, District
from tests.server.web._clinic import DAYS, Clinic

AUTHOR = "account:01900000-0000-7000-8000-00000000beef"


@pytest.fixture
def clinic(on_sqlite: District) -> Clinic:
    return Clinic.opened(on_sqlite)


@pytest.fixture
def either(installed: District) -> Clinic:
    """Give a clinic on each kind of database."""
    return Clinic.opened(installed)


def look_at(clinic: Clinic, child_id: str, *, shows_names: bool = True) -> ChildView:
    scope = Scope("health_centre", clinic.centre, shows_names)
    with clinic.district.hub.database.reading() as session:
        return review.child_view(session, clinic.district.hub, scope, child_id, NOW.date())


def happened(view: ChildView, what: str) -> list[Event]:
    return [event for event in view.events if event.what == what]


def decide(clinic: Clinic, work: Callable[..., Any], *asked: Any, author: str = AUTHOR) -> Any:
    """Do what a person decides, in the scope of the first health centre."""
    hub, scope = clinic.district.hub, Scope("health_centre", clinic.centre, True)
    return server_edits.decide(
        hub, lambda s: work(s, hub, scope, *asked, author=author, now=clinic.district.clock.now)
    )


@contextmanager
def statements(clinic: Clinic) -> Iterator[list[str]]:
    """Collect the statements that are sent to the database."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    engine = clinic.district.hub.database.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


# -- what is told ---------------------------------------------------------------------------------


def test_registration_and_measurements_are_told_newest_first_with_both_clocks(either: Clinic) -> None:
    child = either.child("Anak Merah", haz=-3.5, waz=-4)
    view = look_at(either, child)
    measured = happened(view, "measured")
    assert [event.measured_on.isoformat() for event in measured if event.measured_on] == list(
        reversed(DAYS[-4:])
    )
    newest = measured[0]
    assert (newest.by, newest.tablet, newest.outcome) == ("kader-contoh", "Tablet A", "applied")
    assert (newest.told_at, newest.at) == (NOW, NOW)
    assert newest.visit is not None
    assert newest.visit.candidates[0].scores["haz"].status == "sangat_pendek"
    (registered,) = happened(view, "registered")
    assert (registered.values["identity"] or {})["name"] == "Anak Merah"
    assert {event.what for event in view.events if event.kind == "flag"} >= {"severely_stunted"}


def test_edit_names_its_registers_and_the_value_before_stands_no_more(clinic: Clinic) -> None:
    child = clinic.child("Anak Contoh", parents={"mother": "Ibu Lama"})
    clinic.district.clock.advance(days=1)
    clinic.first.edit_child(child, parents={"mother": "Ibu Baru"})
    clinic.first.sync_until_quiet()
    view = look_at(clinic, child)
    (edited,), (registered,) = happened(view, "edited"), happened(view, "registered")
    assert (list(edited.values), edited.standing) == (["parents"], frozenset({"parents"}))
    assert edited.at - registered.at == timedelta(days=1)
    assert (registered.values["parents"] or {})["mother"] == "Ibu Lama"
    assert registered.standing == {"identity"}


def test_superseded_values_and_names_are_withheld_from_who_may_not_know_names(clinic: Clinic) -> None:
    child = clinic.child("Anak Rahasia", parents={"mother": "Ibu Rahasia"}, nik={"nik": "6402065001250012"})
    clinic.first.measure(child, DAYS[-1], weight_g=8100, length_mm=740, note="Tetangga Rahasia")
    clinic.first.sync_until_quiet()
    view = look_at(clinic, child, shows_names=False)
    assert "Rahasia" not in repr(view)
    assert "640206" not in repr(view)
    overwritten = next(event for event in happened(view, "measured") if not event.standing)
    assert overwritten.values == {"weight": None, "length": None}
    assert "Rahasia" in repr(look_at(clinic, child))


def test_nik_is_masked_in_the_timeline_always(clinic: Clinic) -> None:
    child = clinic.child("Anak Contoh", nik={"nik": "6402065001250012"})
    scope = Scope("health_centre", clinic.centre, True)
    with clinic.district.hub.database.reading() as session:
        view = review.child_view(session, clinic.district.hub, scope, child, NOW.date(), whole_nik=True)
    assert view.values["nik"][0].fields == {"nik": "6402065001250012"}
    assert (happened(view, "registered")[0].values["nik"] or {}) == {"nik": "640206••••••••12"}


def test_conflict_and_its_settlement_are_told_with_who_and_why(either: Clinic) -> None:
    child = either.disputed_child()
    record = measurement_id(child, DAYS[-1], "cadre")
    hub, scope = either.district.hub, Scope("health_centre", either.centre, True)
    with hub.database.reading() as session:
        shown = conflicts.dispute(session, hub, scope, "measurement", record)
    chosen = next(c for c in shown.candidates["weight"] if c.value["weight_g"] == 9900)
    asked = {
        "context": shown.context.wire(),
        "reason": "measured-again",
        "set": {"weight": {"dots": [list(dot) for dot in chosen.dots]}},
    }
    person = either.person()
    either.district.clock.advance(hours=1)
    decide(either, conflicts.settle, "measurement", record, asked, author=f"account:{person.account_id}")
    view = look_at(either, child)
    newest = happened(view, "measured")[0]
    assert (newest.deed, newest.reason, newest.by) == ("conflict.settled", "measured-again", "Petugas Contoh")
    assert newest.tablet is None
    assert newest.disputed
    assert {event.outcome for event in view.events if event.is_of("difference")} >= {"conflict"}


def test_change_that_was_set_aside_is_told_with_its_reasons_and_what_became_of_it(either: Clinic) -> None:
    child = either.child("Anak Contoh", days=DAYS[-3:-1])
    either.first.measure(child, DAYS[-1], weight_g=90)
    either.first.sync_until_quiet()
    counter = either.first.replica.log[-1].change.dot.counter
    (aside,) = happened(look_at(either, child), "set_aside")
    assert (aside.tablet, aside.outcome, aside.details["state"]) == ("Tablet A", "quarantined", "open")
    assert aside.details["reasons"][0]["code"] == "out-of-range"
    decide(either, quarantine.dismiss, either.first.id, counter, {"reason": "practice"})
    (aside,) = happened(look_at(either, child), "set_aside")
    assert (aside.details["state"], aside.reason, aside.details["decided_by"]) == (
        "dismissed",
        "practice",
        AUTHOR,
    )


def test_change_that_the_tablet_sent_again_is_answered(clinic: Clinic) -> None:
    child = clinic.child("Anak Contoh", days=())
    clinic.first.measure(child, DAYS[-1], weight_g=90)
    clinic.first.sync_until_quiet()
    clinic.first.measure(child, DAYS[-1], weight_g=9000)
    clinic.first.sync_until_quiet()
    (aside,) = happened(look_at(clinic, child), "set_aside")
    assert aside.details["state"] == "answered"


def test_move_names_both_posts_and_the_log_follows_the_child(either: Clinic) -> None:
    child = either.child("Anak Contoh")
    first, second = either.district.posts[:2]
    hub, person = either.district.hub, either.person()
    with hub.database.transaction() as session:
        review.log_child_viewed(session, hub, person, look_at(either, child), NOW)
    decide(either, moves.move, child, {"from": first, "to": second})
    decide(either, moves.move, child, {"from": second, "to": first})
    view = look_at(either, child)
    back, away = happened(view, "moved")
    assert (away.details["from_name"], away.details["to_name"]) == ("Melati 1", "Anggrek 2")
    assert (back.details["from_name"], back.details["to_name"]) == ("Anggrek 2", "Melati 1")
    assert [event.by for event in happened(view, "child.viewed")] == ["Petugas Contoh"]


def test_link_its_undoing_and_the_opposite_are_told(clinic: Clinic) -> None:
    one, other, third = (clinic.child(name) for name in ("Anak Satu", "Anak Dua", "Anak Tiga"))
    hub, scope = clinic.district.hub, Scope("health_centre", clinic.centre, True)

    def contexts() -> dict[str, VersionVector]:
        with hub.database.reading() as session:
            shown = duplicate_pairs.pair(session, hub, scope, one, other)
        return {side.child_id: side.context for side in (shown.one, shown.other)}

    decide(clinic, duplicate_pairs.link, one, other, contexts())
    linked = look_at(clinic, one)
    assert linked.linked == (other,)
    assert len(happened(linked, "linked")) == 1
    assert len(happened(linked, "registered")) == 2
    decide(clinic, duplicate_pairs.unlink, one, other, contexts())
    decide(clinic, duplicate_pairs.different, one, third)
    apart = look_at(clinic, one)
    assert len(happened(apart, "unlinked")) == 1
    assert happened(apart, "different")[0].details["others"] == [third]


def test_follow_up_and_its_result_are_told_and_a_pmt_course_is_summed_up(either: Clinic) -> None:
    child = either.child("Anak Kurus", haz=0, waz=-2.6)
    course = either.district.new_id()
    begun = {"task": course, "starts_on": "2026-03-05", "weeks": 2, "reason": "wasted", "funds": "apbd"}
    decide(either, follow_ups.course, child, begun)
    hub, scope = either.district.hub, Scope("health_centre", either.centre, True)
    with hub.database.reading() as session:
        week = next(w for w in follow_ups.work_of(session, hub, scope, [child]) if w.week == 1)
    answer = {"outcome": "continue", "days_eaten": 6, "context": None, "done_on": "2026-03-05"}
    decide(either, follow_ups.answer, child, week.task, answer)
    view = look_at(either, child)
    (result,) = happened(view, "result")
    assert (result.kind, result.details["action"]) == ("care", "pmt_week")
    (planned,) = happened(view, "task")
    assert (planned.details["action"], planned.details["weeks"]) == ("pmt", 2)
    (summed,) = view.courses
    assert (summed.open, summed.weeks, summed.checked, summed.days_eaten, summed.days_asked) == (
        True,
        2,
        1,
        6,
        7,
    )
    assert (summed.reason, summed.funds, summed.outcomes) == ("wasted", "apbd", ())


def test_who_looked_is_told_once_a_day_and_person(clinic: Clinic) -> None:
    child = clinic.child("Anak Contoh")
    hub, person, other = clinic.district.hub, clinic.person(), clinic.person("supervisor")
    view = look_at(clinic, child)
    for who, days in ((person, 0), (person, 0), (person, 1), (other, 1)):
        with hub.database.transaction() as session:
            review.log_child_viewed(session, hub, who, view, NOW + timedelta(days=days))
    with hub.database.transaction() as session:
        review.child.log_nik_unmasked(session, hub, person, view, NOW + timedelta(days=1))
    looked = [event for event in look_at(clinic, child).events if event.kind == "looked"]
    assert sorted((event.what, event.details["times"]) for event in looked) == [
        ("child.viewed", 1),
        ("child.viewed", 1),
        ("child.viewed", 2),
        ("nik.unmasked", 1),
    ]
    assert all(not event.is_of("") and event.is_of("looked") for event in looked)


def test_other_children_of_the_post_are_not_in_it(clinic: Clinic) -> None:
    child, other = clinic.child("Anak Satu"), clinic.child("Anak Dua")
    hub, person = clinic.district.hub, clinic.person()
    with hub.database.transaction() as session:
        review.log_child_viewed(session, hub, person, look_at(clinic, other), NOW)
    assert happened(look_at(clinic, child), "child.viewed") == []
    assert len(happened(look_at(clinic, child), "registered")) == 1


def test_removed_measurement_is_told(clinic: Clinic) -> None:
    child = clinic.child("Anak Contoh", days=DAYS[-2:])
    clinic.first.remove(child, DAYS[-1])
    clinic.first.sync_until_quiet()
    (removed,) = happened(look_at(clinic, child), "removed")
    assert (removed.kind, removed.values["removed"]) == ("measured", {"reason": "salah anak"})


# -- as JSON, and what it costs -------------------------------------------------------------------


def test_json_has_words_in_both_languages_and_tells_indicated_from_confirmed(clinic: Clinic) -> None:
    child = clinic.child("Anak Merah", haz=-3.4, waz=-1)
    clinic.first.measure(child, DAYS[-1], source="staff", weight_g=9000, length_mm=700)
    clinic.first.sync_until_quiet()
    body = child_json(look_at(clinic, child))
    haz = body["confirmations"]["haz"]
    assert (haz["state"], haz["confirmed"], haz["measured_on"]) == ("confirmed", True, DAYS[-1])
    status = body["measurements"][1]["candidates"][0]["scores"]["haz"]["status"]
    assert (status["code"], status["id"], status["en"]) == (
        "sangat_pendek",
        "Sangat pendek",
        "severely stunted",
    )
    assert status["sentence"]["id"].startswith("Jauh lebih pendek")
    assert body["low_since"]["haz"]["measurements"] == 5
    assert not body["consent_recorded"]
    events = timeline_json(look_at(clinic, child).events)
    assert {"flag", "measured", "record"} <= {event["kind"] for event in events}


def test_page_asks_as_many_statements_for_five_years_as_for_a_month(either: Clinic) -> None:
    young = either.child("Anak Baru", days=DAYS[-1:])
    old = either.child("Anak Lama", days=DAYS)
    counts = []
    for child in (young, old):
        look_at(either, child)  # what is cached by a process is cached
        with statements(either) as sent:
            assert look_at(either, child).events
        counts.append(len(sent))
    assert counts[0] == counts[1]
    assert counts[0] <= 20
