"""Posts are added, renamed, closed and opened again, within the area; nobody falls between when one is closed."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from server import accounts
from server.audit import post_stream
from server.database.models import Child, EnrolmentCode, HealthCentre, HealthPost
from server.errors import Problem
from server.places import health_posts
from server.review import Scope, manage_posts, moves, tablets
from server.sync.server_edits import decide
from tests.server._district import District

MELAYU = "64.02.06.1005"
ACTOR = "account:uji"


def whole(district: District) -> Scope:
    return Scope.whole_district(district.hub, shows_names=False)


def done(
    district: District, use_case: Callable[..., Any], *given: Any, scope: Scope | None = None, **more: Any
) -> Any:
    """Carry out a use case, as a page or command does."""
    told = {"actor": ACTOR, "now": district.clock.now, **more}
    hub = district.hub
    return decide(hub, lambda session: use_case(session, hub, scope or whole(district), *given, **told))


def refused(district: District, use_case: Callable[..., Any], *given: Any, **more: Any) -> Problem:
    """Give the problem with which a use case is refused, after which nothing is changed."""
    before = district.counts()
    with pytest.raises(Problem) as found:
        done(district, use_case, *given, **more)
    assert district.counts() == before
    return found.value


def post(district: District, post_id: str) -> Any:
    (row,) = district.rows(
        select(
            HealthPost.name, HealthPost.village_code, HealthPost.health_centre_id, HealthPost.closed_at
        ).where(HealthPost.id == post_id)
    )
    return row


def asked(name: str = "Melati 9", village: str = MELAYU, health_centre: str = "") -> dict[str, str]:
    return {"name": name, "village": village, "health_centre": health_centre}


def centres(district: District) -> dict[str, str]:
    return {row.name: row.id for row in district.rows(select(HealthCentre.name, HealthCentre.id))}


# -- adding and renaming --------------------------------------------------------------------------


@pytest.mark.parametrize("village", [MELAYU, "Melayu", " kelurahan  MELAYU", "kel. melayu"])
def test_post_is_added_to_a_village_by_code_or_name(installed: District, village: str) -> None:
    before = centres(installed)
    added = done(installed, manage_posts.add, asked(" Melati 9 ", village))
    found = post(installed, added)
    assert (found.name, found.village_code, found.closed_at) == ("Melati 9", MELAYU, None)
    assert installed.actions(post_stream(added)) == ["post.added"]
    assert found.health_centre_id in centres(installed).values()
    assert len(centres(installed)) - len(before) <= 1
    assert installed.broken_log() == []


def test_tablet_is_enrolled_at_an_added_post(on_sqlite: District) -> None:
    added = done(on_sqlite, manage_posts.add, asked())
    on_sqlite.posts = (added, on_sqlite.posts[1])
    tablet = on_sqlite.tablet()
    child = tablet.register_child()
    tablet.sync_until_quiet()
    assert [row.post_id for row in on_sqlite.rows(select(Child.post_id).where(Child.id == child))] == [added]


def test_village_of_several_places_is_told_with_the_candidates(on_sqlite: District) -> None:
    problem = refused(on_sqlite, manage_posts.add, asked(village="Sumber Sari"))
    assert problem.code == "village-unclear"
    for candidate in ("Sumber Sari (Loa Kulu) 64.02.02.2014", "64.02.07.2007", "64.02.19.2007"):
        assert candidate in problem.details["candidates"]
    assert refused(on_sqlite, manage_posts.add, asked(village="Atlantis")).code == "village-unknown"
    assert refused(on_sqlite, manage_posts.add, asked(village="64.02.06")).code == "village-unknown"
    assert refused(on_sqlite, manage_posts.add, asked(village="")).code == "village-unknown"


def test_health_centre_is_that_of_the_subdistrict_or_made_or_asked_for(on_sqlite: District) -> None:
    first = done(on_sqlite, manage_posts.add, asked(village="64.02.01.2001"))
    again = done(on_sqlite, manage_posts.add, asked(village="64.02.01.2002"))
    made = post(on_sqlite, first).health_centre_id
    assert centres(on_sqlite)["Puskesmas Muara Muntai"] == made == post(on_sqlite, again).health_centre_id
    with on_sqlite.hub.database.transaction() as session:
        now = on_sqlite.clock.now
        other = health_posts.add_health_centre(
            session, on_sqlite.hub, "Puskesmas Perian", "64.02.01", actor=ACTOR, now=now
        )
    problem = refused(on_sqlite, manage_posts.add, asked(village="64.02.01.2003"))
    assert problem.code == "health-centre-unclear"
    assert f"Puskesmas Perian {other}" in problem.details["candidates"]
    chosen = done(
        on_sqlite, manage_posts.add, asked(village="64.02.01.2003", health_centre="puskesmas perian")
    )
    assert post(on_sqlite, chosen).health_centre_id == other
    wrong = asked(village="64.02.01.2003", health_centre="Puskesmas Lain Lagi")
    assert refused(on_sqlite, manage_posts.add, wrong).code == "health-centre-unknown"


def test_name_is_taken_once_in_a_village(on_sqlite: District) -> None:
    first = done(on_sqlite, manage_posts.add, asked())
    other = done(on_sqlite, manage_posts.add, asked("Melati 10"))
    elsewhere = done(on_sqlite, manage_posts.add, asked(village="64.02.01.2001"))
    assert refused(on_sqlite, manage_posts.add, asked("MELATI 9")).code == "post-name-taken"
    assert refused(on_sqlite, manage_posts.rename, other, "Melati 9").code == "post-name-taken"
    done(on_sqlite, manage_posts.rename, elsewhere, "Melati 10")
    done(on_sqlite, manage_posts.close, first)
    again = done(on_sqlite, manage_posts.add, asked())
    assert refused(on_sqlite, manage_posts.reopen, first).code == "post-name-taken"
    assert again != first


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "Mel\nati", None])
def test_name_that_cannot_be_is_refused(on_sqlite: District, name: Any) -> None:
    problem = refused(on_sqlite, manage_posts.add, {**asked(), "name": name})
    assert problem.code == "change-invalid"
    assert [reason["path"] for reason in problem.details["reasons"]] == ["name"]
    assert refused(on_sqlite, manage_posts.rename, on_sqlite.posts[0], name).code == "change-invalid"


def test_post_is_renamed_and_both_names_are_in_the_log(installed: District) -> None:
    done(installed, manage_posts.rename, installed.posts[0], "Melati Baru")
    done(installed, manage_posts.rename, installed.posts[0], "Melati Baru")
    assert post(installed, installed.posts[0]).name == "Melati Baru"
    assert installed.actions(post_stream(installed.posts[0])) == ["post.added", "post.renamed"]


def test_area_is_the_limit(on_sqlite: District) -> None:
    centre = post(on_sqlite, on_sqlite.posts[0]).health_centre_id
    own = Scope("health_centre", centre, shows_names=False)
    added = done(on_sqlite, manage_posts.add, asked(village="64.02.01.2001"), scope=own)
    assert post(on_sqlite, added).health_centre_id == centre
    elsewhere = Scope("subdistrict", "64.02.01", shows_names=False)
    here = on_sqlite.posts[0]
    for use_case, given in (
        (manage_posts.add, (asked(),)),
        (manage_posts.rename, (here, "Lain")),
        (manage_posts.close, (here,)),
        (manage_posts.reopen, (here,)),
    ):
        assert refused(on_sqlite, use_case, *given, scope=elsewhere).code == "record-unknown"


# -- closing --------------------------------------------------------------------------------------


def children_at(district: District, post_id: str) -> set[str]:
    return {row.id for row in district.rows(select(Child.id).where(Child.post_id == post_id, ~Child.removed))}


def test_post_with_children_is_closed_only_when_they_move(installed: District) -> None:
    here, there = installed.posts
    tablet = installed.tablet()
    kept = {tablet.register_child() for _ in range(3)}
    gone = tablet.register_child()
    tablet.edit_child(gone, removed={"reason": "pindah"})
    tablet.sync_until_quiet()
    problem = refused(installed, manage_posts.close, here)
    assert (problem.code, problem.details["children"]) == ("post-has-children", 3)
    closed = done(installed, manage_posts.close, here, into=there)
    assert (closed.children, closed.tablets) == (3, 1)
    assert post(installed, here).closed_at == installed.clock.now
    assert (children_at(installed, here), children_at(installed, there)) == (set(), kept)
    assert installed.actions(post_stream(here))[-1] == "post.closed"
    assert installed.broken_log() == []
    other = installed.tablet(1)
    other.sync_until_quiet()
    assert all(other.state(child).value("post") == {"post": there} for child in kept)


def test_what_a_tablet_of_a_closed_post_still_sends_is_taken(installed: District) -> None:
    here, there = installed.posts
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.sync_until_quiet()
    done(installed, manage_posts.close, here, into=there)
    tablet.measure(child, weight_g=9000)
    late = tablet.register_child()
    tablet.sync_until_quiet()
    assert set(tablet.outcomes()) <= {"applied", "merged"}
    assert (children_at(installed, here), children_at(installed, there)) == ({late}, {child})
    with installed.hub.database.reading() as session:
        shown = manage_posts.closing(session, installed.hub, whole(installed), here, installed.clock.now)
        listed, _ = manage_posts.listed(session, installed.hub, whole(installed), installed.clock.now)
    assert (shown.children, shown.post.closed_at) == (1, installed.clock.now)
    assert {row.id: row.children for row in listed}[here] == 1


def test_closing_waits_for_children_that_cannot_move(on_sqlite: District) -> None:
    here, there = on_sqlite.posts
    one, two = on_sqlite.tablet(), on_sqlite.tablet()
    child = one.register_child()
    one.measure(child, weight_g=9000)
    waiting = one.register_child()
    on_sqlite.settle(one, two)
    third = on_sqlite.posts[1]
    one.edit_child(waiting, post={"post": here})
    two.edit_child(waiting, post={"post": third})
    on_sqlite.settle(one, two)
    before = children_at(on_sqlite, here)
    problem = refused(on_sqlite, manage_posts.close, here, into=there)
    assert (problem.code, problem.details["children"]) == ("post-children-stay", 1)
    assert children_at(on_sqlite, here) == before


def test_closed_post_takes_no_tablets_and_no_children_and_its_codes_end(installed: District) -> None:
    here, there = installed.posts
    hub, now = installed.hub, installed.clock.now
    tablet = installed.tablet(1)
    child = tablet.register_child()
    tablet.sync_until_quiet()
    with hub.database.transaction() as session:
        accounts.make_enrolment_code(session, hub, here, "Tablet Baru", actor=ACTOR, now=now)
    done(installed, manage_posts.close, here)
    unused = select(EnrolmentCode.expires_at).where(EnrolmentCode.used_at.is_(None))
    assert [row.expires_at < now for row in installed.rows(unused)] == [True]
    with hub.database.transaction() as session, pytest.raises(Problem) as found:
        accounts.make_enrolment_code(session, hub, here, "Tablet Baru", actor=ACTOR, now=now)
    assert found.value.code == "post-closed"
    request = {"from": there, "to": here}
    with pytest.raises(Problem) as moving:
        decide(hub, lambda s: moves.move(s, hub, whole(installed), child, request, author=ACTOR, now=now))
    assert [reason["code"] for reason in moving.value.details["reasons"]] == ["post-closed"]
    with hub.database.reading() as session:
        assert here not in {one.post_id for one in moves.places(session, hub)[0]}
        assert here not in {one[1] for one in tablets.known_posts(session, hub, whole(installed))}


def test_closing_is_undone_by_opening_again(installed: District) -> None:
    here = installed.posts[0]
    done(installed, manage_posts.close, here)
    again = done(installed, manage_posts.close, here)
    assert again.children == 0
    done(installed, manage_posts.reopen, here)
    done(installed, manage_posts.reopen, here)
    assert post(installed, here).closed_at is None
    assert installed.actions(post_stream(here))[-2:] == ["post.closed", "post.reopened"]
    assert installed.tablet().id


def test_children_go_to_another_open_post_only(on_sqlite: District) -> None:
    here, there = on_sqlite.posts
    assert refused(on_sqlite, manage_posts.close, here, into=here).code == "change-invalid"
    done(on_sqlite, manage_posts.close, there)
    assert refused(on_sqlite, manage_posts.close, here, into=there).code == "post-closed"
    nowhere = "01900000-0000-7000-8000-00000000ffff"
    assert refused(on_sqlite, manage_posts.close, here, into=nowhere).code == "record-unknown"
