"""Tablets for people: codes, what stands of each; and a lost one, whose children are told as exactly as the tables allow."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from server import accounts
from server.accounts import Person
from server.errors import Problem
from server.operations import jobs
from server.review import Scope, moves, tablets
from server.review.lost_tablet import LEFT, PRESENT, WRITTEN, Exposure, exposure, exposure_csv, log_exposure
from server.review.tablets import LONGEST_NAME, WARNINGS, make_code
from server.sync import server_edits
from tests.server._district import NOW, District, FakeTablet, identity, sqlite_connection
from tests.server.review._weighings import counted, everybody, weigh_many


def exposed(district: District, tablet: FakeTablet, scope: Scope | None = None) -> Exposure:
    scope = scope or Scope.whole_district(district.hub, shows_names=True)
    with district.hub.database.reading() as session:
        return exposure(session, district.hub, scope, tablet.id)


def whys(found: Exposure) -> dict[str, str]:
    return {child.child_id: child.why for child in found.children}


def register(tablet: FakeTablet, name: str = "Anak Contoh") -> str:
    child_id = tablet.register_child(identity=identity(name=name))
    tablet.sync_until_quiet()
    return child_id


def move(district: District, child_id: str, origin: int, to: int) -> None:
    asked = {"from": district.posts[origin], "to": district.posts[to]}
    scope = Scope.whole_district(district.hub, shows_names=True)
    now = district.clock.now
    server_edits.decide(
        district.hub,
        lambda s: moves.move(s, district.hub, scope, child_id, asked, author="operator", now=now),
    )


# -- whose data was on it -------------------------------------------------------------------------


def test_who_is_at_the_post_was_on_the_tablet_when_it_has_synced_since(installed: District) -> None:
    tablet, mate = installed.tablet(), installed.tablet(name="Tablet Lain")
    known = register(mate)
    installed.clock.advance(hours=1)
    tablet.sync_until_quiet()
    installed.clock.advance(hours=1)
    later = register(mate, "Anak Kemudian")
    found = exposed(installed, tablet)
    assert whys(found) == {known: PRESENT}
    installed.clock.advance(hours=1)
    tablet.sync_until_quiet()
    assert whys(exposed(installed, tablet)) == {known: PRESENT, later: PRESENT}
    assert (found.since, found.until) == (NOW, NOW + timedelta(hours=1))


def test_nobody_was_on_a_tablet_that_never_synced(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    register(on_sqlite.tablet(name="Tablet Lain"))
    found = exposed(on_sqlite, tablet)
    assert (found.children, found.until, found.wire()["total"]) == ((), None, 0)


def test_who_has_moved_away_since_was_on_it_and_may_still_be(installed: District) -> None:
    tablet = installed.tablet()
    child = register(tablet)
    installed.clock.advance(days=1)
    move(installed, child, 0, 1)
    (left,) = exposed(installed, tablet).children
    assert (left.why, left.left_at, left.told, left.post_name) == (
        LEFT,
        installed.clock.now,
        False,
        "Anggrek 2",
    )
    installed.clock.advance(days=1)
    tablet.sync_until_quiet()
    (left,) = exposed(installed, tablet).children
    assert (left.why, left.told) == (LEFT, True)


def test_who_had_left_before_it_was_enrolled_was_not_on_it(installed: District) -> None:
    child = register(installed.tablet(name="Tablet Lama"))
    installed.clock.advance(days=1)
    move(installed, child, 0, 1)
    installed.clock.advance(days=1)
    tablet = installed.tablet()
    tablet.sync_until_quiet()
    assert whys(exposed(installed, tablet)) == {}


def test_who_came_from_another_post_after_the_last_sync_was_not_on_it(installed: District) -> None:
    other = installed.tablet(1)
    child = register(other)
    tablet = installed.tablet()
    tablet.sync_until_quiet()
    installed.clock.advance(days=1)
    move(installed, child, 1, 0)
    assert whys(exposed(installed, tablet)) == {}
    installed.clock.advance(days=1)
    tablet.sync_until_quiet()
    assert whys(exposed(installed, tablet)) == {child: PRESENT}
    assert whys(exposed(installed, other)) == {child: LEFT}


def test_who_left_and_came_back_was_on_it(installed: District) -> None:
    tablet = installed.tablet()
    child = register(tablet)
    for origin, to in ((0, 1), (1, 0)):
        installed.clock.advance(days=1)
        move(installed, child, origin, to)
    assert whys(exposed(installed, tablet)) == {child: PRESENT}


def test_a_child_of_another_post_is_told_when_the_tablet_wrote_of_it(installed: District) -> None:
    other, tablet = installed.tablet(1), installed.tablet()
    child = register(other)
    tablet.measure(child, "2026-03-05", weight_g=8000)
    tablet.sync_until_quiet()
    assert whys(exposed(installed, tablet)) == {child: WRITTEN}


def test_what_came_after_it_was_revoked_was_not_on_it(on_sqlite: District) -> None:
    tablet, mate = on_sqlite.tablet(), on_sqlite.tablet(name="Tablet Lain")
    tablet.sync_until_quiet()
    on_sqlite.clock.advance(hours=1)
    on_sqlite.revoke(tablet)
    on_sqlite.clock.advance(hours=1)
    register(mate)
    tablet.sync()
    assert whys(exposed(on_sqlite, tablet)) == {}


def test_an_enrolment_that_goes_on_counts_from_the_first_of_its_device(installed: District) -> None:
    tablet = installed.tablet()
    child = register(tablet)
    copy = tablet.clone()
    copy.measure(child, weight_g=9100)
    copy.sync()  # so there is a reason to enrol again
    installed.clock.advance(days=1)
    move(installed, child, 0, 1)
    installed.clock.advance(days=1)
    tablet.clone().sync()
    tablet.sync()  # its token is old now: the enrolment is closed
    tablet.enrol_anew()
    tablet.sync_until_quiet()
    found = exposed(installed, tablet)
    assert (whys(found), found.since) == ({child: LEFT}, NOW)


def test_an_erased_person_stays_on_the_list_without_a_name(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    child = register(tablet)
    with sqlite_connection(on_sqlite) as connection:
        connection.execute("UPDATE child SET wrapped_key = NULL, state = NULL")
    connection.close()
    (found,) = exposed(on_sqlite, tablet).children
    assert (found.child_id, found.name) == (child, None)


def test_of_who_is_out_of_the_readers_scope_only_the_id_is_told(installed: District) -> None:
    tablet = installed.tablet()
    child = register(tablet)
    move(installed, child, 0, 1)
    (found,) = exposed(installed, tablet, Scope("post", installed.posts[0], shows_names=True)).children
    assert (found.child_id, found.name, found.sex, found.born_on) == (child, None, None, None)


@pytest.mark.parametrize("scope", [Scope("none", "", True), Scope("post", "x", True)])
def test_a_tablet_outside_the_scope_is_unknown(on_sqlite: District, scope: Scope) -> None:
    tablet = on_sqlite.tablet()
    with pytest.raises(Problem, match="record-unknown"):
        exposed(on_sqlite, tablet, scope)


def test_the_list_as_a_file_holds_no_formula(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    child = register(tablet, "=HYPERLINK(1)")
    (head, row) = csv.reader(io.StringIO("".join(exposure_csv(exposed(on_sqlite, tablet)))))
    assert head == ["child_id", "name", "sex", "born_on", "post", "why", "deleted_on_tablet"]
    assert row == [child, "'=HYPERLINK(1)", "M", "2025-01-10", "Melati 1", "present", "no"]


def test_who_looked_or_took_the_list_is_logged(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    register(tablet)
    who = Person(
        "01900000-0000-7000-8000-00000000000f", "petugas", "Petugas", "administrator", "district", "64.02"
    )
    for exported in (False, True):
        with on_sqlite.hub.database.transaction() as session:
            log_exposure(session, on_sqlite.hub, who, exposed(on_sqlite, tablet), NOW, exported=exported)
    stream = f"post/{on_sqlite.posts[0]}"
    assert on_sqlite.actions(stream)[-2:] == ["tablet.exposure-viewed", "tablet.exposure-exported"]
    (row, _) = on_sqlite.rows(text("SELECT details FROM audit_entry WHERE action LIKE 'tablet.exposure%'"))
    assert row.details == f'{{"children":1,"names":false,"tablet":"{tablet.id}"}}'


def test_the_number_of_statements_does_not_grow_with_children(installed: District) -> None:
    tablet = installed.tablet()
    register(tablet)
    with counted(installed) as few:
        exposed(installed, tablet)
    weigh_many(tablet, 8, ("2026-03-05",))
    with counted(installed) as many:
        exposed(installed, tablet)
    assert len(few) == len(many) <= 8


# -- codes and troubles ---------------------------------------------------------------------------


def asked_code(district: District, scope: Scope | None = None, **asked: Any) -> tablets.Code:
    with district.hub.database.transaction() as session:
        return make_code(
            session,
            district.hub,
            scope or everybody(district),
            asked,
            actor="operator",
            now=district.clock.now,
        )


def test_a_code_is_made_for_a_post_in_scope(installed: District) -> None:
    made = asked_code(installed, post=installed.posts[0], name=" Tablet 3 ")
    assert (made.post_name, made.tablet_name) == ("Melati 1", "Tablet 3")
    assert made.expires_at == NOW + timedelta(days=accounts.CODE_DAYS)
    assert installed.actions(f"post/{installed.posts[0]}")[-1] == "tablet.code-made"
    assert made.code not in str(installed.rows(text("SELECT * FROM enrolment_code")))


@pytest.mark.parametrize(
    ("asked", "wrong"),
    [
        ({}, {"post": "missing", "name": "missing"}),
        ({"post": "x", "name": " "}, {"post": "not-uuid", "name": "missing"}),
        ({"name": "x" * (LONGEST_NAME + 1)}, {"post": "missing", "name": "text-length"}),
        ({"name": "a\u200bb", "post": 7}, {"post": "not-uuid", "name": "invisible-character"}),
    ],
)
def test_a_code_is_refused_with_every_reason(on_sqlite: District, asked: Any, wrong: dict[str, str]) -> None:
    with pytest.raises(Problem) as refused:
        asked_code(on_sqlite, **asked)
    assert {each["path"]: each["code"] for each in refused.value.details["reasons"]} == wrong


def test_a_code_for_a_post_outside_the_scope_is_not_made(on_sqlite: District) -> None:
    own = Scope("post", on_sqlite.posts[1], shows_names=True)
    with pytest.raises(Problem, match="record-unknown"):
        asked_code(on_sqlite, own, post=on_sqlite.posts[0], name="Tablet 3")


def test_posts_to_choose_from_are_those_in_scope(on_sqlite: District) -> None:
    own = Scope("post", on_sqlite.posts[1], shows_names=True)
    with on_sqlite.hub.database.reading() as session:
        assert tablets.known_posts(session, on_sqlite.hub, own) == [
            ("Puskesmas Contoh", on_sqlite.posts[1], "Anggrek 2")
        ]


def test_troubles_of_a_tablet_stand_with_it_until_it_is_revoked(installed: District) -> None:
    tablet, other = installed.tablet(), installed.tablet(name="Tablet Lain")
    installed.clock.advance(days=15)
    now = installed.clock.now
    jobs.silent_tablets(installed.hub, now)
    other.sync()
    with installed.hub.database.reading() as session:
        found = tablets.tablets(session, installed.hub, everybody(installed), tablet_id=tablet.id)
    assert [dict(each.warnings) for each in found] == [{"tablet-silent": now}]
    assert set(WARNINGS) >= set(found[0].wire()["warnings"])
    installed.revoke(tablet)
    with installed.hub.database.reading() as session:
        mine = tablets.tablets(session, installed.hub, everybody(installed), post_id=installed.posts[0])
    assert [dict(each.warnings) for each in mine if each.id == tablet.id] == [{}]


def test_each_post_of_a_tablet_of_staff_counts_for_the_time_in_which_it_had_it(installed: District) -> None:
    first, second = installed.posts
    one, two, midwife = installed.tablet(0), installed.tablet(1), installed.staff_tablet(first)
    here, there = register(one), register(two)
    midwife.sync_until_quiet()
    assert whys(exposed(installed, midwife)) == {here: PRESENT}
    installed.clock.advance(hours=1)
    installed.give_posts(midwife, first, second)
    assert whys(exposed(installed, midwife)) == {here: PRESENT}  # it has not pulled it yet
    installed.clock.advance(hours=1)
    midwife.sync_until_quiet()
    assert whys(exposed(installed, midwife)) == {here: PRESENT, there: PRESENT}
    installed.clock.advance(hours=1)
    installed.give_posts(midwife, first)
    installed.clock.advance(hours=1)
    register(two, "Anak Kemudian")
    assert told(exposed(installed, midwife)) == {here: (PRESENT, False), there: (LEFT, False)}
    midwife.sync_until_quiet()
    assert told(exposed(installed, midwife)) == {here: (PRESENT, False), there: (LEFT, True)}


def told(found: Exposure) -> dict[str, tuple[str, bool]]:
    return {child.child_id: (child.why, child.told) for child in found.children}
