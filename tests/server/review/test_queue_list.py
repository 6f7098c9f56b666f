"""The queue as data: order, filters, counts, pages and scope, on both databases; and what the command line gets of it."""

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest
from sqlalchemy import event

from server import review
from server.accounts import Person
from server.review import ChildView, Filter, Queue, Scope, queue_list
from tests.server._district import DISTRICT, NOW, District, identity
from tests.server.web._clinic import DAYS, Clinic

TODAY = date(2026, 3, 5)


@pytest.fixture
def clinic(installed: District) -> Clinic:
    return Clinic.opened(installed)


def own(clinic: Clinic, *, shows_names: bool = True) -> Scope:
    return Scope("health_centre", clinic.centre, shows_names)


def see(
    clinic: Clinic,
    scope: Scope | None = None,
    *,
    limit: int = 50,
    offset: int = 0,
    me: str = "",
    **chosen: Any,
) -> Queue:
    with clinic.district.hub.database.reading() as session:
        return review.queue(
            session,
            clinic.district.hub,
            scope or own(clinic),
            Filter(**chosen),
            today=TODAY,
            limit=limit,
            offset=offset,
            me=me,
        )


def look_at(clinic: Clinic, child_id: str, scope: Scope | None = None) -> ChildView:
    with clinic.district.hub.database.reading() as session:
        return review.child_view(session, clinic.district.hub, scope or own(clinic), child_id, TODAY)


def names(shown: Queue) -> list[str | None]:
    return [row.name for row in shown.rows]


# -- order and contents ---------------------------------------------------------------------------


def test_queue_puts_the_most_urgent_first(clinic: Clinic) -> None:
    clinic.child("Anak Tidak Naik", gaining=False, days=DAYS[-2:])
    clinic.child("Anak Pendek", haz=-2.4, waz=-1)
    clinic.child("Anak Merah", haz=-1, waz=-3.5)
    clinic.child("Anak Sehat", days=DAYS[-1:])
    assert names(see(clinic)) == ["Anak Merah", "Anak Pendek", "Anak Tidak Naik"]


def test_queue_orders_reds_by_their_number_and_then_by_the_worst_score(clinic: Clinic) -> None:
    clinic.child("Anak Satu", haz=-3.4, waz=-1.9)
    clinic.child("Anak Tiga", haz=-3.5, waz=-4.6)
    clinic.child("Anak Dua Ringan", haz=-0.5, waz=-3.2)
    clinic.child("Anak Dua Berat", haz=-0.5, waz=-3.9)
    shown = see(clinic)
    assert names(shown) == ["Anak Tiga", "Anak Dua Berat", "Anak Dua Ringan", "Anak Satu"]
    assert [row.red_flags for row in shown.rows] == [3, 2, 2, 1]


def test_queue_puts_oedema_before_any_score_when_red_flags_are_equal(clinic: Clinic) -> None:
    clinic.child("Anak Pendek Sekali", haz=-4.5, waz=-2)
    swollen = clinic.child("Anak Bengkak", days=())
    clinic.first.measure(swollen, DAYS[-1], weight_g=9000, oedema="1", length_mm=780)
    clinic.first.sync_until_quiet()
    assert names(see(clinic)) == ["Anak Bengkak", "Anak Pendek Sekali"]


def test_queue_breaks_ties_by_post_and_name(clinic: Clinic) -> None:
    for name, tablet in (("Anak B", clinic.first), ("Anak A", clinic.first), ("Anak C", clinic.second)):
        clinic.child(name, haz=-2.4, waz=-1, tablet=tablet)
    assert names(see(clinic)) == ["Anak C", "Anak A", "Anak B"]  # Anggrek 2 before Melati 1


def test_queue_row_tells_the_newest_measurement(clinic: Clinic) -> None:
    clinic.child("Anak Merah", haz=-3.5, waz=-3.2)
    row = see(clinic).rows[0]
    assert row.newest is not None
    assert (row.newest.measured_on, row.newest.age_months) == (date(2026, 3, 5), 13)
    assert row.newest.haz == pytest.approx(-3.5, abs=0.06)
    assert row.newest.waz == pytest.approx(-3.2, abs=0.5)
    assert row.newest.gain_code in ("N", "T")
    assert [raised.urgency for raised in row.flags] == sorted(raised.urgency for raised in row.flags)


def test_queue_prefers_the_staff_measurement_of_a_day(clinic: Clinic) -> None:
    child = clinic.child("Anak Ukur Ulang", haz=-3.5, waz=-1)
    clinic.first.measure(child, DAYS[-1], source="staff", weight_g=8900, length_mm=730)
    clinic.first.sync_until_quiet()
    newest = see(clinic).rows[0].newest
    assert newest is not None
    assert newest.source == "staff"


def test_queue_has_every_candidate_of_a_disputed_name(clinic: Clinic) -> None:
    child = clinic.child("Anak Lama")
    rival = clinic.district.tablet(0, "Tablet D")
    rival.sync_until_quiet()
    clinic.first.edit_child(child, identity=identity(name="Anak Baru"))
    rival.edit_child(child, identity=identity(name="Anak Lain"))
    for tablet in (clinic.first, rival):
        tablet.sync_until_quiet()
    (row,) = see(clinic).rows
    assert row.name is not None
    assert sorted(row.name.split(" / ")) == ["Anak Baru", "Anak Lain"]


def test_queue_shows_a_child_that_is_not_registered_yet(clinic: Clinic) -> None:
    clinic.first.measure(clinic.district.new_id(), DAYS[-1], weight_g=8000, length_mm=720)
    clinic.first.sync_until_quiet()
    (row,) = see(clinic).rows
    assert (row.name, row.sex, row.flags[0].rule) == (None, None, "not_registered")


# -- filters, counts, pages -----------------------------------------------------------------------


@pytest.fixture
def mixed(clinic: Clinic) -> Clinic:
    """Two reds and one amber at the first post, one amber at the second."""
    clinic.child("Anak Satu", haz=-1, waz=-3.5)
    clinic.child("Anak Dua", haz=-1, waz=-3.5)
    clinic.child("Anak Tiga", haz=-2.4, waz=-1)
    clinic.child("Anak Empat", haz=-2.4, waz=-1, tablet=clinic.second)
    return clinic


def test_counts_heed_the_other_filters_and_not_their_own(mixed: Clinic) -> None:
    first, second = mixed.district.posts[:2]
    shown = see(mixed, urgency=2)
    assert shown.total == 2
    assert shown.by_urgency == {1: 2, 2: 2}
    assert {post.post_id: post.children for post in shown.by_post} == {first: 1, second: 1}
    assert shown.by_rule["stunted"] == 2
    assert "below_red_line" not in shown.by_rule


def test_filters_by_post_and_rule_hold_together(mixed: Clinic) -> None:
    second = mixed.district.posts[1]
    assert names(see(mixed, post_id=second)) == ["Anak Empat"]
    assert see(mixed, post_id=second, rule="below_red_line").total == 0
    assert sorted(map(str, names(see(mixed, rule="stunted")))) == ["Anak Empat", "Anak Tiga"]


def test_pages_follow_each_other_without_gap_or_double(mixed: Clinic) -> None:
    pages = [see(mixed, limit=1, offset=offset) for offset in range(5)]
    assert sorted(str(row.name) for page in pages for row in page.rows) == sorted(map(str, names(see(mixed))))
    assert {page.total for page in pages} == {4}


@contextmanager
def counted(clinic: Clinic) -> Iterator[list[str]]:
    """Collect the statements that are sent to the database."""
    sent: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement != "BEGIN":
            sent.append(statement)

    engine = clinic.district.hub.database.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_queue_asks_as_many_statements_for_many_children_as_for_few(clinic: Clinic) -> None:
    clinic.child("Anak Pertama", haz=-2.5)
    with counted(clinic) as few:
        assert len(see(clinic).rows) == 1
    for number in range(60):
        child = clinic.first.register_child(identity=identity(name=f"Anak {number}"))
        clinic.first.measure(child, DAYS[-1], weight_g=6000, length_mm=700)
    clinic.first.sync_until_quiet()
    with counted(clinic) as many:
        assert len(see(clinic).rows) == 50
    assert len(many) == len(few) <= 6


def test_filter_by_village_takes_the_posts_of_that_village(mixed: Clinic) -> None:
    shown = see(mixed, village="64.02.06.1001")
    assert shown.total == 4
    assert shown.by_village == {"64.02.06.1001": ("Jahab", 4)}
    assert see(mixed, village="64.02.06.1002").total == 0


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("born_on", "band"),
    [("2025-09-06", "0-5"), ("2025-09-05", "6-11"), ("2025-03-06", "6-11"), ("2025-03-05", "12-23")],
)
def test_filter_by_age_counts_completed_months_to_the_day(clinic: Clinic, born_on: str, band: str) -> None:
    child = clinic.first.register_child(identity=identity(born_on=born_on))
    clinic.first.measure(child, "2026-03-01", weight_g=3000, length_mm=500)
    clinic.first.sync_until_quiet()
    assert [see(clinic, age=each).total for each in review.AGES] == [
        int(each == band) for each in review.AGES
    ]


def test_last_birth_date_of_an_age_is_the_end_of_a_shorter_month() -> None:
    assert queue_list._months_before(date(2026, 3, 31), 1) == date(2026, 2, 28)
    assert queue_list._months_before(date(2026, 3, 31), 0) == date(2026, 3, 31)
    assert queue_list._months_before(date(2026, 1, 15), 24) == date(2024, 1, 15)


# -- scope ----------------------------------------------------------------------------------------


def test_another_health_centre_gets_neither_rows_nor_counts(mixed: Clinic) -> None:
    shown = see(mixed, Scope("health_centre", mixed.other_centre, True))
    assert (shown.rows, shown.total, shown.by_urgency, shown.by_rule, shown.by_post) == ((), 0, {}, {}, ())


def test_a_post_is_seen_alone_when_that_is_the_scope(mixed: Clinic) -> None:
    assert names(see(mixed, Scope("post", mixed.district.posts[1], True))) == ["Anak Empat"]


def test_the_district_is_seen_whole_only_by_its_own(mixed: Clinic) -> None:
    assert see(mixed, Scope("district", DISTRICT, True)).total == 4
    assert see(mixed, Scope("district", "64.03", True)).total == 0


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("kind", "code", "total"),
    [
        ("village", "64.02.06.1001", 4),
        ("village", "64.02.06.1002", 0),
        ("village", "", 0),
        ("subdistrict", "64.02.06", 4),
        ("subdistrict", "64.02.0", 0),
        ("subdistrict", "64.02", 4),
        ("subdistrict", "64.02.0_", 0),
        ("subdistrict", "%", 0),
        ("none", "", 0),
    ],
)
def test_area_of_a_region_holds_the_posts_of_its_code(
    mixed: Clinic, kind: str, code: str, total: int
) -> None:
    assert see(mixed, Scope(kind, code, True)).total == total


def test_an_unknown_kind_of_scope_sees_nobody(mixed: Clinic) -> None:
    assert see(mixed, Scope("planet", "64.02.06.1001", True)).total == 0


def test_a_filter_cannot_reach_beyond_the_scope(mixed: Clinic) -> None:
    first, second = mixed.district.posts[:2]
    assert see(mixed, Scope("post", second, True), post_id=first).total == 0


def test_names_stay_sealed_when_they_are_not_the_readers(mixed: Clinic) -> None:
    shown = see(mixed, own(mixed, shows_names=False))
    assert names(shown) == [None] * 4


@pytest.mark.parametrize(("role", "may"), [("staff", True), ("supervisor", True), ("administrator", False)])
def test_scope_shows_names_to_who_needs_them(role: str, may: bool) -> None:
    assert Scope.of(Person("id", "nama", "Nama", role, "district", DISTRICT)).shows_names is may


# -- for the command line -------------------------------------------------------------------------


def test_flagged_rows_are_the_whole_queue_in_its_order(
    mixed: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.review.queue_list.PAGE_ROWS", 3)  # a constant of ours: four rows cross a page
    hub = mixed.district.hub
    with hub.database.reading() as session:
        scope = Scope.whole_district(hub, shows_names=True)
        rows = list(review.flagged_rows(session, hub, scope, Filter(), today=TODAY))
    assert [row["urgency"] for row in rows] == [1, 1, 2, 2]
    assert {row["name"] for row in rows} == set(names(see(mixed)))
    assert set(rows[0]) == set(review.FLAGGED_COLUMNS)
    assert isinstance(rows[0]["waz"], float)


def test_flagged_csv_leaves_no_formula_and_no_number_changed(clinic: Clinic) -> None:
    clinic.child('=HYPERLINK("http://contoh")', haz=-3.5, waz=-3.5)
    text = review.flagged_text(clinic.district.hub, "csv", now=NOW)
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["name"].startswith("'=HYPERLINK")
    assert float(row["haz"]) < -3
    assert text.endswith("\r\n")


def test_flagged_json_is_what_the_queue_says_and_is_logged(mixed: Clinic) -> None:
    rows = json.loads(review.flagged_text(mixed.district.hub, "json", urgency=1, limit=1, now=NOW))
    assert [row["urgency"] for row in rows] == [1]
    assert mixed.district.actions("office")[-1] == "queue.exported"


def test_flagged_table_has_a_line_a_child_and_no_control_characters(clinic: Clinic) -> None:
    clinic.child("Anak Merah", waz=-3.5)
    header, line = review.flagged_text(clinic.district.hub, "table", now=NOW).splitlines()
    assert header.split()[:3] == ["urgency", "name", "sex"]
    assert line.startswith("1")
    assert "Anak Merah" in line
