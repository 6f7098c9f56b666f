"""Posts at a glance and the list for a posyandu day, on both databases: who counts, in which order, and for whom."""

from datetime import date
from typing import Any

import pytest
from sqlalchemy import text

from server.accounts import Person
from server.errors import Problem
from server.review import Scope, posts
from server.review.posts import Roster
from tests.server._district import NOW, District, identity
from tests.server.review._weighings import counted, everybody, weigh_many

TODAY = date(2026, 3, 5)


def glance(district: District, today: date = TODAY, scope: Scope | None = None, **asked: Any) -> posts.Posts:
    with district.hub.database.reading() as session:
        return posts.posts(
            session, district.hub, scope or everybody(district), today, **{"limit": 50, **asked}
        )


def roster(district: District, day: date = TODAY, *, names: bool = True) -> Roster:
    scope = Scope.whole_district(district.hub, shows_names=names)
    with district.hub.database.reading() as session:
        return posts.roster(session, district.hub, scope, district.posts[0], day)


def test_a_post_is_seen_at_a_glance(installed: District) -> None:
    tablet = installed.tablet()
    weigh_many(tablet, 2, ("2026-02-05", "2026-03-04"))
    weigh_many(tablet, 1, ("2026-02-05",))
    (row, empty) = sorted(glance(installed).rows, key=lambda row: -row.children)
    assert (row.name, row.children, row.measured, row.last_day) == ("Melati 1", 3, 2, date(2026, 3, 4))
    assert (row.tablets, row.last_sync_at, row.village) == (1, NOW, "Jahab")
    assert (empty.name, empty.children, empty.measured, empty.flagged, empty.last_day) == (
        "Anggrek 2",
        0,
        0,
        {},
        None,
    )
    assert row.wire()["last_day"] == "2026-03-04"


def test_flagged_children_are_counted_by_urgency(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child(identity=identity())
    tablet.measure(child, "2026-03-05", weight_g=5000, length_mm=760)
    tablet.sync_until_quiet()
    (row,) = glance(installed, name="MELATI").rows
    assert row.flagged == {1: 1}


def test_who_is_five_or_removed_does_not_count(installed: District) -> None:
    tablet = installed.tablet()
    for born_on in ("2021-03-05", "2021-03-06"):
        tablet.register_child(identity=identity(name="Anak Besar", born_on=born_on))
    gone = tablet.register_child(identity=identity(name="Anak Salah"))
    tablet.edit_child(gone, removed={"reason": "salah"})
    unknown = tablet.register_child(identity=identity(name="Anak Tanpa Tanggal", born_on=None))
    tablet.sync_until_quiet()
    (row,) = glance(installed, name="Melati").rows
    assert row.children == 2
    assert {child.child_id for child in (*roster(installed).flagged, *roster(installed).others)} >= {unknown}


def test_a_leap_day_is_a_day_like_any_other(on_sqlite: District) -> None:
    on_sqlite.clock.advance(days=730)
    weigh_many(on_sqlite.tablet(), 1, ("2028-02-29",))
    assert glance(on_sqlite, date(2028, 2, 29), name="Melati").rows[0].measured == 1


def test_posts_come_in_pages_and_by_name_and_health_centre(on_sqlite: District) -> None:
    found = glance(on_sqlite, limit=1, offset=1)
    assert ([row.name for row in found.rows], found.total, len(found.centres)) == (["Melati 1"], 2, 1)
    assert glance(on_sqlite, name="tidak ada").total == 0
    assert glance(on_sqlite, centre_id="01900000-0000-7000-8000-000000000001").total == 0
    assert glance(on_sqlite, name="%").total == 0


def test_posts_outside_the_scope_are_not_counted(on_sqlite: District) -> None:
    own = Scope("post", on_sqlite.posts[1], shows_names=True)
    assert [row.id for row in glance(on_sqlite, scope=own).rows] == [on_sqlite.posts[1]]
    with on_sqlite.hub.database.reading() as session, pytest.raises(Problem, match="record-unknown"):
        posts.post(session, on_sqlite.hub, own, on_sqlite.posts[0], TODAY)


def test_the_list_has_flagged_children_first_then_all_others_by_name(installed: District) -> None:
    tablet = installed.tablet()
    for name, weight in (
        ("Zahra Contoh", 9500),
        ("Ade Contoh", 9500),
        ("Merah Contoh", 5000),
        ("Kuning Contoh", 7800),
    ):
        child = tablet.register_child(identity=identity(name=name))
        tablet.measure(child, "2026-02-05", weight_g=weight, length_mm=775, muac_mm=140)
    tablet.sync_until_quiet()
    shown = roster(installed)
    assert [child.name for child in shown.flagged] == ["Merah Contoh", "Kuning Contoh"]
    assert [child.name for child in shown.others] == ["Ade Contoh", "Zahra Contoh"]
    red = shown.flagged[0]
    assert (red.urgency, red.age_months, red.flags[0].urgency) == (1, 13, 1)
    assert red.last is not None
    assert (red.last.weight_g, red.last.length_mm, red.last.muac_mm) == (5000, 775, 140)


def test_the_list_holds_no_name_when_they_are_not_the_readers_to_know(on_sqlite: District) -> None:
    weigh_many(on_sqlite.tablet(), 2, ("2026-03-05",))
    shown = roster(on_sqlite, names=False)
    assert [child.name for child in (*shown.flagged, *shown.others)] == [None, None]


def test_vitamin_a_is_due_in_february_and_august_by_age_and_only_once(installed: District) -> None:
    tablet = installed.tablet()
    ages = {
        "Bayi": "2025-09-01",
        "Biru": "2025-08-05",
        "Merah": "2025-02-05",
        "Sudah": "2024-02-05",
        "Entah": None,
    }
    ids = {name: tablet.register_child(identity=identity(name=name, born_on=on)) for name, on in ages.items()}
    form = tablet.replica.open_measurement(ids["Sudah"], "2026-02-03", "cadre")
    services = {"vitamin_a": "red", "exclusive_breastfeeding": None, "mbg": None}
    tablet.write(form, {"weight": {"weight_g": 11000, "oedema": None}, "services": services})
    tablet.sync_until_quiet()
    shown = roster(installed, date(2026, 2, 5))
    due = {child.name: (child.vitamin_a, child.given_on) for child in (*shown.flagged, *shown.others)}
    assert due == {
        "Bayi": (None, None),
        "Biru": ("blue", None),
        "Merah": ("red", None),
        "Sudah": ("red", date(2026, 2, 3)),
        "Entah": (None, None),
    }
    assert shown.vitamin_a_month
    assert not roster(installed).vitamin_a_month


def test_linked_children_stand_on_the_list_once(installed: District) -> None:
    tablet = installed.tablet()
    one, other = weigh_many(tablet, 2, ("2026-02-05",))
    tablet.edit_child(other, same_as={"child": one})
    tablet.measure(other, "2026-03-05", weight_g=8800)
    tablet.sync_until_quiet()
    shown = roster(installed)
    (child,) = (*shown.flagged, *shown.others)
    assert child.last is not None
    assert child.last.measured_on == TODAY
    assert glance(installed, name="Melati").rows[0].children == 1


def test_who_had_the_list_is_logged_without_a_name(on_sqlite: District) -> None:
    weigh_many(on_sqlite.tablet(), 1, ("2026-03-05",))
    who = Person(
        "01900000-0000-7000-8000-00000000000f", "petugas", "Petugas", "staff", "post", on_sqlite.posts[0]
    )
    with on_sqlite.hub.database.transaction() as session:
        posts.log_roster(session, on_sqlite.hub, who, roster(on_sqlite), NOW)
    (row,) = on_sqlite.rows(text("SELECT details FROM audit_entry WHERE action = 'post.list-viewed'"))
    assert row.details == '{"children":1,"day":"2026-03-05","names":true}'


def test_the_number_of_statements_does_not_grow_with_children(installed: District) -> None:
    weigh_many(installed.tablet(), 1, ("2026-02-05",))
    february = date(2026, 2, 28)
    with counted(installed) as few:
        glance(installed, february)
        roster(installed, february)
    weigh_many(installed.tablet(name="Tablet Lain"), 9, ("2026-02-04", "2026-02-05"))
    with counted(installed) as many:
        glance(installed, february)
        roster(installed, february)
    assert len(few) == len(many) <= 20
