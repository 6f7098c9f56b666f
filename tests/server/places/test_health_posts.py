"""Districts, health centres and posts: made once, found again."""

import pytest
from sqlalchemy import select

from server import audit
from server.database.models import Installation, Region
from server.places import health_posts
from tests.server._district import CENTRE, DISTRICT, FIRST_POST, NOW, SECOND_POST, District


def test_district_is_installed_with_its_regions(installed: District) -> None:
    assert installed.rows(select(Installation.district, Installation.name)) == [
        ("64.02", "Kutai Kartanegara")
    ]
    levels = {row.level for row in installed.rows(select(Region.level))}
    assert {"regency", "district", "village"} <= levels or len(levels) >= 3
    assert all(row.code.startswith(("64.02", "64")) for row in installed.rows(select(Region.code)))


def test_installing_again_changes_nothing(installed: District) -> None:
    before = installed.counts()
    with installed.hub.database.transaction() as session:
        health_posts.install(session, installed.hub, NOW)
    assert installed.counts() == before


@pytest.mark.every_case
@pytest.mark.parametrize("wanted", [FIRST_POST, FIRST_POST.upper(), FIRST_POST.lower()])
def test_post_is_found_by_name_whatever_its_letter_case(installed: District, wanted: str) -> None:
    with installed.hub.database.reading() as session:
        found = health_posts.find_post(session, DISTRICT, wanted)
    assert found is not None
    assert found.id == installed.posts[0]


def test_post_is_found_by_id(installed: District) -> None:
    with installed.hub.database.reading() as session:
        found = health_posts.find_post(session, DISTRICT, installed.posts[1])
        assert found is not None
        assert found.name == SECOND_POST
        assert health_posts.find_post(session, "64.03", installed.posts[1]) is None
        assert health_posts.find_post(session, DISTRICT, "Melati") is None


def test_what_is_added_is_logged_where_it_belongs(installed: District) -> None:
    assert installed.actions(audit.OFFICE) == ["district.installed", "health-centre.added"]
    assert installed.actions(audit.post_stream(installed.posts[0])) == ["post.added"]
    assert CENTRE.startswith("Puskesmas")
