"""One post or child whose figures fail is set aside and told of; the others go on, and it comes back by itself."""

from datetime import date
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text, update
from sqlalchemy.exc import OperationalError

from server import isolation
from server.app import create_app
from server.crypto.vault import KeyUnusable
from server.database.models import (
    AuditEntry,
    ChangeRow,
    Child,
    Figures,
    FiguresPost,
    Measurement,
    Notice,
    PostMonth,
    table,
)
from server.errors import Problem
from server.interchange import measurements_csv
from server.interchange.export_rows import ExportQuery
from server.operations import scheduler
from server.operations.doctor import examine
from server.review import Scope
from tests.server._district import DISTRICT, District, behind_its_back, identity
from tests.server.web._clinic import Clinic, sign_in, visible

BROKEN_STATE = b'{"services"'
"""Begins like a measurement with services, and ends before anything can be read."""


@pytest.fixture
def clinic(installed: District) -> Clinic:
    return Clinic.opened(installed)


@pytest.fixture
def client(clinic: Clinic) -> FlaskClient:
    return create_app(clinic.district.hub.settings, clinic.district.hub).test_client()


def run(clinic: Clinic, name: str) -> dict[str, Any]:
    """Run a job; unlike `run_job`, this fails where the job does."""
    hub = clinic.district.hub
    return dict(scheduler.timetable(hub.settings)[name].task(hub, clinic.district.clock.now))


def set_state(clinic: Clinic, child: str, state: bytes | None) -> bytes:
    """Overwrite the stored state of a child's measurements, behind the server's back; give what was there.

    The post's stream advances, as it does with every write.
    """
    with behind_its_back(clinic.district) as connection:
        mine = Measurement.child_id == child
        was = connection.execute(table(Measurement).select().where(mine)).all()[0].state
        connection.execute(update(table(Measurement)).where(mine).values(state=state))
        connection.execute(text("UPDATE health_post SET head_position = head_position + 1"))
    return bytes(was)


def spoil_header(clinic: Clinic, child: str, header: bytes) -> None:
    """Overwrite the headers of a child's changes."""
    with behind_its_back(clinic.district) as connection:
        given = {"header": header, "child": child}
        connection.execute(text("UPDATE change SET header = :header WHERE child_id = :child"), given)
        connection.execute(text("UPDATE health_post SET head_position = head_position + 1"))


def noticed(clinic: Clinic) -> dict[tuple[str, str], str]:
    with clinic.district.hub.database.reading() as session:
        found = isolation.set_aside(session, clinic.district.hub)
    return {(one.kind, one.subject): one.error for one in found}


def told_by_doctor(clinic: Clinic, name: str = "set-aside") -> list[str]:
    hub = clinic.district.hub
    checks = examine(hub.settings, now=clinic.district.clock.now, quick=True, progress=lambda *_: None)
    return next(list(check.found) for check in checks if check.name == name)


def measured(client: FlaskClient, kind: str) -> str:
    lines = client.get("/metrics").text.splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f'posyandu_set_aside{{kind="{kind}"}}'))


def test_post_that_cannot_be_counted_is_set_aside_and_the_others_go_on(
    clinic: Clinic, client: FlaskClient
) -> None:
    district = clinic.district
    bad, good = clinic.child("Anak Satu"), clinic.child("Anak Dua", tablet=clinic.second)
    was = set_state(clinic, bad, BROKEN_STATE)
    result = run(clinic, "figures")
    assert result["failed"] == 1
    assert result["posts"] == 2
    assert noticed(clinic) == {(isolation.FIGURES, district.posts[0]): "JSONDecodeError"}
    counted = {row.area for row in district.rows(table(Figures).select()) if row.area_kind == "post"}
    assert district.posts[1] in counted
    assert district.posts[0] not in counted
    assert [district.posts[0] in line for line in told_by_doctor(clinic)] == [True]
    assert measured(client, isolation.FIGURES) == "1"
    sign_in(client, clinic.person("supervisor", "district", DISTRICT))
    shown = visible(client.get("/audit").text)
    assert "Melati 1 : angka" in shown
    assert "JSONDecodeError" in shown
    entries = len(district.rows(table(AuditEntry).select()))
    assert run(clinic, "figures")["posts"] == 0
    assert len(district.rows(table(AuditEntry).select())) == entries, (
        "a post that goes on failing fills no log"
    )
    set_state(clinic, bad, was)
    run(clinic, "figures")
    assert noticed(clinic) == {}
    assert told_by_doctor(clinic) == []
    assert measured(client, isolation.FIGURES) == "0"
    assert {row.post_id for row in district.rows(table(FiguresPost).select())} == set(district.posts)
    assert good


def test_post_whose_reports_fail_is_set_aside_and_named_on_its_pages(
    clinic: Clinic, client: FlaskClient
) -> None:
    district = clinic.district
    bad, _ = clinic.child("Anak Satu"), clinic.child("Anak Dua", tablet=clinic.second)
    spoil_header(clinic, bad, b"{")
    assert run(clinic, "oversight")["rows"] > 0
    assert noticed(clinic) == {(isolation.OVERSIGHT, district.posts[0]): "JSONDecodeError"}
    kept = {row.post_id for row in district.rows(table(PostMonth).select())}
    assert kept == set(district.posts[1:])
    sign_in(client, clinic.person("supervisor", "district", DISTRICT))
    for path in ("/audit/pola?bulan=2026-03", "/audit/kelengkapan?bulan=2026-03"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "Laporan 1 posyandu tidak dapat dihitung : Melati 1." in visible(answer.text)
    assert client.get("/audit/kelengkapan.csv?bulan=2026-03").status_code == 200


def test_child_who_cannot_be_assessed_at_night_is_set_aside(clinic: Clinic) -> None:
    district = clinic.district
    bad = clinic.child("Anak Satu", days=("2025-12-05",))
    good = clinic.child("Anak Dua", days=("2025-12-05",))
    with behind_its_back(district) as connection:
        broken = {"state": b"\0", "conflicts": "weight"}
        connection.execute(update(table(Measurement)).where(Measurement.child_id == bad).values(**broken))
        connection.execute(text("DELETE FROM flag"))
    run(clinic, "unmeasured-children")
    assert list(noticed(clinic)) == [(isolation.ABSENCE, bad)]
    flags = {row.child_id for row in district.rows(text("SELECT child_id FROM flag WHERE rule = 'not_seen'"))}
    assert flags == {good}


def spoil_weight(clinic: Clinic, child: str) -> list[Any]:
    """Let a child's stored measurements be in a conflict that cannot be read; give them as they were."""
    mine = Measurement.child_id == child
    with behind_its_back(clinic.district) as connection:
        was = list(connection.execute(table(Measurement).select().where(mine)))
        connection.execute(update(table(Measurement)).where(mine).values(state=b"\0", conflicts="weight"))
    return was


def mend(clinic: Clinic, was: list[Any]) -> None:
    with behind_its_back(clinic.district) as connection:
        for row in was:
            mine = (Measurement.child_id == row.child_id, Measurement.measured_on == row.measured_on)
            whole = {"state": row.state, "conflicts": row.conflicts}
            connection.execute(update(table(Measurement)).where(*mine).values(**whole))


def test_upload_is_taken_when_a_child_cannot_be_assessed(clinic: Clinic) -> None:
    district, tablet = clinic.district, clinic.first
    bad = clinic.child("Anak Satu", days=("2025-12-05", "2026-01-05"))
    good = clinic.child("Anak Dua")
    linked = clinic.child("Anak Tiga")
    was = spoil_weight(clinic, bad)
    for child in (bad, good):
        tablet.measure(child, "2026-03-04", weight_g=5000, length_mm=800)
    tablet.edit_child(linked, same_as={"child": good})
    tablet.sync()
    assert tablet.outcomes()[-3:] == ["applied"] * 3
    assert "weight_jumped" in district.flags(min(good, linked))
    assert list(noticed(clinic)) == [(isolation.ABSENCE, bad)]
    since = [row.raised_at for row in district.rows(table(Notice).select())]
    district.clock.advance(hours=1)
    tablet.measure(bad, "2026-03-05", weight_g=5000, length_mm=800)
    tablet.sync()
    assert [row.raised_at for row in district.rows(table(Notice).select())] == since
    mend(clinic, was)
    run(clinic, "unmeasured-children")
    assert noticed(clinic) == {}
    assert "severely_wasted" in district.flags(bad)
    tablet.sync_until_quiet()
    district.check_agreement(tablet)


def test_registration_is_taken_when_a_child_nearby_cannot_be_read(clinic: Clinic) -> None:
    bad = clinic.child("Anak Satu")
    known = clinic.child("Anak Satu", tablet=clinic.second)
    with behind_its_back(clinic.district) as connection:
        connection.execute(update(table(Child)).where(Child.id == bad).values(state=b"\0" * 40))
    clinic.second.edit_child(known, home={"rt": "007"}, parents={"mother": "Ibu Contoh"})
    clinic.second.sync()
    assert "possible_duplicate" in clinic.district.flags(known), "a pair that was found stays"
    one, other = (clinic.first.register_child(identity=identity(name="Anak Dua")) for _ in range(2))
    clinic.first.sync()
    assert clinic.first.outcomes()[-2:] == ["applied"] * 2
    assert "possible_duplicate" in clinic.district.flags(one)
    assert "possible_duplicate" in clinic.district.flags(other)


def test_record_that_cannot_be_decrypted_is_left_out_of_a_pull(clinic: Clinic) -> None:
    bad, good = clinic.child("Anak Satu"), clinic.child("Anak Dua")
    with behind_its_back(clinic.district) as connection:
        connection.execute(update(table(Child)).where(Child.id == bad).values(state=b"\0" * 40))
    new = clinic.district.tablet()
    new.sync_until_quiet()
    shown = {record_id for kind, record_id in new.shown() if kind == "child"}
    assert good in shown
    assert bad not in shown
    assert told_by_doctor(clinic, "sealed")


def test_child_whom_new_rules_cannot_assess_comes_back_by_itself(clinic: Clinic) -> None:
    bad, _ = clinic.child("Anak Satu"), clinic.child("Anak Dua")
    was = spoil_weight(clinic, bad)
    result = run(clinic, "new-rules")
    assert (result["children"], result["unreadable"]) == (1, 1)
    assert list(noticed(clinic)) == [(isolation.ABSENCE, bad)]
    mend(clinic, was)
    run(clinic, "unmeasured-children")
    assert noticed(clinic) == {}


def test_page_of_a_record_that_cannot_be_read_is_a_plain_sentence(
    clinic: Clinic, client: FlaskClient
) -> None:
    bad, elsewhere = clinic.child("Anak Satu"), clinic.child("Anak Lain", tablet=clinic.elsewhere)
    with behind_its_back(clinic.district) as connection:
        connection.execute(
            update(table(Child)).where(Child.id.in_([bad, elsewhere])).values(state=b"\0" * 40)
        )
    sign_in(client, clinic.person())
    for path in (f"/anak/{bad}", f"/anak/{bad}?cetak=1"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "Anak ini sekarang tidak dapat ditampilkan" in visible(answer.text)
        assert bad in answer.text
    assert client.get(f"/anak/{elsewhere}").status_code == 404, (
        "of another health centre's child nothing is told"
    )


def test_export_leaves_out_who_cannot_be_read_and_says_so(clinic: Clinic, tmp_path: Any) -> None:
    hub = clinic.district.hub
    bad, good = clinic.child("Anak Satu"), clinic.child("Anak Dua")
    set_state(clinic, bad, b"\0")
    wanted = ExportQuery(Scope.whole_district(hub, shows_names=True), date(2000, 1, 1), date(2099, 12, 31))
    with (tmp_path / "out.csv").open("wb") as target, hub.database.reading() as session:
        assert measurements_csv.write_data(target, session, hub, wanted) == 4
    assert wanted.left_out == {bad: "JSONDecodeError"}
    assert good


@pytest.mark.parametrize("error", [Problem("record-unknown"), OperationalError("", None, Exception("disk"))])
def test_error_that_is_no_matter_of_one_post_is_raised(error: Exception) -> None:
    def work(_: list[str]) -> None:
        raise error

    with pytest.raises(type(error)):
        isolation.halved(work, ["a", "b"], "test")


def test_halves_find_each_that_fails_and_keep_all_others() -> None:
    tried: list[list[str]] = []

    def work(some: list[str]) -> list[str]:
        tried.append(some)
        if "c" in some or "f" in some:
            raise ValueError
        return some

    results, failed = isolation.halved(work, list("abcdefgh"), "test")
    assert failed == {"c": "ValueError", "f": "ValueError"}
    assert sorted(letter for some in results for letter in some) == list("abdegh")
    assert len(tried) <= 13
    assert isolation.halved(work, [], "test") == ([], {})


@pytest.mark.parametrize("damage", ["change", "key"])
def test_damaged_record_sets_its_changes_aside_and_the_batch_goes_on(
    clinic: Clinic, client: FlaskClient, damage: str
) -> None:
    bad, good = clinic.child("Anak Satu"), clinic.child("Anak Dua")
    change = table(ChangeRow)
    mine = update(change).where(change.c.record_id == bad)
    with behind_its_back(clinic.district) as connection:
        was = connection.execute(change.select().where(change.c.record_id == bad)).all()[0].content
        if damage == "key":
            connection.execute(update(table(Child)).where(Child.id == bad).values(wrapped_key=b"\0" * 60))
        else:
            connection.execute(mine.values(content=b"\0" * 40))
    tablet = clinic.first
    tablet.edit_child(bad, home={"rt": "007"})
    tablet.edit_child(good, home={"rt": "008"})
    tablet.sync()
    assert tablet.outcomes()[-2:] == ["quarantined", "applied"]
    assert tablet.reasons(len(tablet.replica.log) + tablet.replica.forgotten - 1) == ["record-unreadable"]
    new = clinic.district.tablet()
    new.sync_until_quiet()
    assert good in {record_id for kind, record_id in new.shown() if kind == "child"}
    sign_in(client, clinic.person())
    assert "tidak dapat dibaca server" in visible(client.get("/karantina").text)
    assert client.get("/antrean").status_code == 200
    if damage == "change":
        with behind_its_back(clinic.district) as connection:
            connection.execute(mine.values(content=was))
        tablet.edit_child(bad, home={"rt": "009"})
        tablet.sync()
        assert tablet.outcomes()[-1] == "applied"


def test_wrong_key_file_sets_nothing_aside(clinic: Clinic) -> None:
    bad = clinic.child("Anak Satu")
    with behind_its_back(clinic.district) as connection:
        connection.execute(update(table(Child)).values(wrapped_key=b"\0" * 60))
    clinic.first.edit_child(bad, home={"rt": "007"})
    with pytest.raises(KeyUnusable):
        clinic.first.sync()


def test_plain_state_that_is_no_json_is_left_out_of_a_pull(clinic: Clinic) -> None:
    bad, good = clinic.child("Anak Satu"), clinic.child("Anak Dua")
    set_state(clinic, bad, BROKEN_STATE)
    new = clinic.district.tablet()
    new.sync_until_quiet()
    shown = new.shown()
    assert {record_id for kind, record_id in shown if kind == "child"} == {bad, good}
    measured = [kind for kind, _ in shown if kind == "measurement"]
    assert len(measured) == clinic.district.counts()["measurement"] // 2
