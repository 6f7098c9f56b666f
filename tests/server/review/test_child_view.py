"""A child's page as data: scope, scores, candidates, who wrote what, what is withheld, and that looking is logged."""

from datetime import date

import pytest
from sqlalchemy import update

from server import review
from server.accounts import Person
from server.database.models import Child, table
from server.errors import Problem
from server.review import ChildView, Scope
from tests.server._district import DISTRICT, NOW, District, identity
from tests.server.web._clinic import DAYS, Clinic

TODAY = date(2026, 3, 5)


@pytest.fixture
def clinic(on_sqlite: District) -> Clinic:
    return Clinic.opened(on_sqlite)


def own(clinic: Clinic, *, shows_names: bool = True) -> Scope:
    return Scope("health_centre", clinic.centre, shows_names)


def see(clinic: Clinic) -> review.Queue:
    with clinic.district.hub.database.reading() as session:
        return review.queue(session, clinic.district.hub, own(clinic), review.Filter(), today=TODAY)


def look_at(clinic: Clinic, child_id: str, scope: Scope | None = None) -> ChildView:
    with clinic.district.hub.database.reading() as session:
        return review.child_view(session, clinic.district.hub, scope or own(clinic), child_id, TODAY)


def names(shown: review.Queue) -> list[str | None]:
    return [row.name for row in shown.rows]


def test_child_is_unknown_outside_the_scope(clinic: Clinic) -> None:
    child = clinic.child("Anak Merah", waz=-3.5)
    for scope in (
        Scope("health_centre", clinic.other_centre, True),
        Scope("post", clinic.district.posts[1], True),
    ):
        with pytest.raises(Problem) as refused:
            look_at(clinic, child, scope)
        assert refused.value.code == "record-unknown"


@pytest.mark.parametrize(
    "child_id", ["x", "01900000-0000-7000-8000-00000000ffff", "not-a-uuid-but-of-the-same-length--x"]
)
def test_child_is_unknown_when_there_is_none(installed: District, child_id: str) -> None:
    clinic = Clinic.opened(installed)
    with pytest.raises(Problem, match="record-unknown"):
        look_at(clinic, child_id)


def test_child_is_unknown_when_the_person_was_erased(clinic: Clinic) -> None:
    child = clinic.child("Anak Merah", waz=-3.5)
    hub = clinic.district.hub
    with hub.database.transaction() as session:
        session.execute(update(table(Child)).where(Child.id == child).values(wrapped_key=None))
        person = Person("id", "nama", "Nama", "staff", "district", DISTRICT)
        review.log_queue_viewed(session, hub, person, see(clinic), NOW)  # every write needs an entry
    assert names(see(clinic)) == [None]
    with pytest.raises(Problem, match="record-unknown"):
        look_at(clinic, child)


# -- one child ------------------------------------------------------------------------------------


def test_child_view_has_measurements_newest_first_with_scores_and_status(installed: District) -> None:
    clinic = Clinic.opened(installed)
    child = clinic.child("Anak Merah", haz=-3.5, waz=-4)
    shown = look_at(clinic, child)
    assert (shown.name, shown.post_name, shown.age_months, shown.urgency) == ("Anak Merah", "Melati 1", 13, 1)
    assert [visit.measured_on.isoformat() for visit in shown.visits] == list(reversed(DAYS[-4:]))
    newest = shown.visits[0].candidates[0]
    assert newest.scores["haz"].status == "sangat_pendek"
    assert newest.scores["waz"].status == "bb_sangat_kurang"
    assert newest.scores["hcz"].reason == "value_missing"
    assert shown.visits[-1].gain is not None
    assert shown.visits[-1].gain.code == "B"


def test_child_view_agrees_with_what_is_saved(clinic: Clinic) -> None:
    child = clinic.child("Anak Merah", haz=-2.6, waz=-2.4, gaining=False)
    row, shown = see(clinic).rows[0], look_at(clinic, child)
    assert row.newest is not None
    scored = shown.visits[0].candidates[0].scores
    assert (scored["haz"].z, scored["waz"].z, scored["whz"].z) == (
        row.newest.haz,
        row.newest.waz,
        row.newest.whz,
    )
    assert shown.visits[0].gain is not None
    assert shown.visits[0].gain.code == row.newest.gain_code == "T"
    assert shown.flags == row.flags


def test_child_view_tells_who_recorded_each_sibling(clinic: Clinic) -> None:
    shown = look_at(clinic, clinic.disputed_child())
    (dispute,) = shown.disputes
    assert dispute.register == "weight"
    by_weight = {value.fields["weight_g"]: value.recorded[0] for value in dispute.values}
    assert {g: by.tablet_name for g, by in by_weight.items()} == {9900: "Tablet A", 6900: "Tablet D"}
    assert by_weight[6900].author == "kader-contoh"
    assert by_weight[6900].recorded_at == NOW


def test_child_view_scores_every_candidate_of_a_conflict(clinic: Clinic) -> None:
    newest = look_at(clinic, clinic.disputed_child()).visits[0]
    statuses = {c.weight_g: c.scores["waz"].status for c in newest.candidates}
    assert statuses == {9900: "bb_normal", 6900: "bb_sangat_kurang"}
    assert newest.gain is not None
    assert (newest.gain.code, newest.gain.reason) == (None, "conflict")


def test_child_view_keeps_a_removed_measurement_in_sight_and_unscored(clinic: Clinic) -> None:
    child = clinic.child("Anak Contoh", days=DAYS[-2:])
    clinic.first.remove(child, DAYS[-1])
    clinic.first.sync_until_quiet()
    removed, kept = look_at(clinic, child).visits
    assert (removed.removed, removed.candidates) == (True, ())
    assert removed.values["removed"][0].fields["reason"] == "salah anak"
    assert len(kept.candidates) == 1


def test_child_view_says_why_there_is_no_score(clinic: Clinic) -> None:
    child = clinic.first.register_child(identity=identity(born_on=None))
    clinic.first.measure(child, DAYS[-1], weight_g=8000, length_mm=720)
    clinic.first.sync_until_quiet()
    shown = look_at(clinic, child)
    scores = shown.visits[0].candidates[0].scores
    assert shown.age_months is None
    assert (scores["haz"].z, scores["haz"].reason) == (None, "no_age")
    assert scores["whz"].z is not None


def test_child_view_shows_oedema_as_severe_without_a_score(clinic: Clinic) -> None:
    child = clinic.child("Anak Bengkak", days=())
    clinic.first.measure(child, DAYS[-1], weight_g=9000, oedema="2", length_mm=780)
    clinic.first.sync_until_quiet()
    whz = look_at(clinic, child).visits[0].candidates[0].scores["whz"]
    assert (whz.z, whz.reason, whz.status) == (None, "oedema", "gizi_buruk")


def test_child_view_masks_the_nik(clinic: Clinic) -> None:
    child = clinic.child("Anak Contoh", nik={"nik": "6402065001250012"})
    assert look_at(clinic, child).values["nik"][0].fields == {"nik": "640206••••••••12"}


def test_child_view_withholds_what_could_name_somebody_when_names_are_not_the_readers(clinic: Clinic) -> None:
    consent = {"given": True, "by": "Ibu Rahasia", "relation": "ibu", "on": "2026-01-05", "method": None}
    child = clinic.child("Anak Rahasia", parents={"mother": "Ibu Rahasia"}, consent=consent)
    clinic.first.measure(child, DAYS[-1], weight_g=8000, length_mm=720, note="Tetangga Rahasia")
    clinic.first.sync_until_quiet()
    shown = look_at(clinic, child, own(clinic, shows_names=False))
    assert "Rahasia" not in repr(shown)
    assert shown.values["consent"][0].fields["given"] is True


def test_child_view_works_before_the_registration_has_arrived(clinic: Clinic) -> None:
    child = clinic.district.new_id()
    clinic.first.measure(child, DAYS[-1], weight_g=8000, length_mm=720)
    clinic.first.sync_until_quiet()
    shown = look_at(clinic, child)
    assert (shown.registered, shown.name, shown.sex, shown.values) == (False, None, None, {})
    assert shown.visits[0].candidates[0].weight_g == 8000


# -- who looked -----------------------------------------------------------------------------------


def test_looking_is_logged_without_names(clinic: Clinic) -> None:
    hub, person = clinic.district.hub, clinic.person()
    child = clinic.child("Anak Rahasia", waz=-3.5)
    shown, page = look_at(clinic, child), see(clinic)
    with hub.database.transaction() as session:
        review.log_child_viewed(session, hub, person, shown, NOW)
        review.log_queue_viewed(session, hub, person, page, NOW)
    assert clinic.district.actions(f"post/{shown.post_id}")[-1] == "child.viewed"
    assert clinic.district.actions("office")[-1] == "queue.viewed"
    assert clinic.district.broken_log() == []
