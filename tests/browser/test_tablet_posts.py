"""A midwife's tablet with two posts, in Chromium: the children of each apart, offline too; moved; and a post taken away."""

from typing import Any

import pytest
from playwright.sync_api import Locator, expect
from sqlalchemy import text

from server import accounts
from tests.browser._tablets import HAND, Site, Tablet, held
from tests.server._district import FIRST_POST, SECOND_POST, FakeTablet, identity

pytestmark = pytest.mark.browser

HERE, THERE = "Anak Melati", "Anak Anggrek"


def staff_code(site: Site) -> str:
    first, second = site.district.posts
    with site.district.hub.database.transaction() as session:
        return accounts.make_enrolment_code(
            *(session, site.district.hub, first, "Tablet bidan"),
            actor="operator",
            now=site.district.clock.now,
            posts=[second],
        )


def registered(hand: FakeTablet, *names: str) -> list[str]:
    born_on = {"born_on": "2025-06-01"}
    found = [
        hand.register_child(identity=identity(name=name, **born_on), post={"post": hand.replica.post_id})
        for name in names
    ]
    hand.sync_until_quiet()
    return found


def chooser(tablet: Tablet) -> Locator:
    return tablet.page.get_by_role("combobox", name="Posyandu")


def choose(tablet: Tablet, post: str) -> None:
    tablet.go("hari-ini")
    option = chooser(tablet).locator("option", has_text=post)
    chooser(tablet).select_option(str(option.get_attribute("value")))
    expect(tablet.page.locator("header .where")).to_contain_text(post)


def listed(tablet: Tablet) -> Locator:
    """Give the rows of everybody on the list."""
    tablet.go("hari-ini")
    tablet.page.get_by_role("searchbox").fill("anak")
    return tablet.page.locator("ul.children > li")


def whole(site: Site) -> dict[str, Any]:
    return held(site.district, 0) | held(site.district, 1)


def test_a_midwife_works_at_two_posts_with_one_tablet(site: Site) -> None:
    district = site.district
    mate = district.tablet(1, "Tablet Anggrek")
    registered(site.hand, f"{HERE} 1", f"{HERE} 2")
    registered(mate, f"{THERE} 1")
    with site.tablet("midwife", enrolled=False) as tablet:
        tablet.enrol(staff_code(site))
        expect(chooser(tablet).locator("option")).to_have_text(
            [f"{FIRST_POST} · 2 anak", f"{SECOND_POST} · 1 anak"]
        )
        expect(listed(tablet)).to_have_count(2)
        tablet.page.get_by_role("searchbox").fill("")
        tablet.look("two-posts", [HAND])
        work_offline(tablet)
        tablet.sync()
        assert tablet.shown() == whole(site)
        move_a_child(tablet)
        tablet.sync()
        assert tablet.shown() == whole(site)
        choose(tablet, SECOND_POST)
        expect(listed(tablet)).to_have_count(3)
        lose_a_post(site, tablet)
    mate.sync_until_quiet()
    district.check_agreement(mate)


def work_offline(tablet: Tablet) -> None:
    """Measure at one post and register at the other, with the tablet shut down in between."""
    tablet.set_line(there=False)
    tablet.measure(f"{HERE} 1", "9,1")
    choose(tablet, SECOND_POST)
    expect(listed(tablet)).to_have_count(1)
    tablet.measure(f"{THERE} 1", "8,4")
    tablet.switch_off()
    tablet.switch_on(line=False)
    tablet.unlock()
    expect(tablet.page.locator("header .where")).to_contain_text(SECOND_POST)  # the choice is kept
    tablet.add_child(f"{THERE} Baru", "2026-01-10", boy=True, mother="Ibu Contoh")
    expect(listed(tablet)).to_have_count(2)
    tablet.set_line(there=True)


def move_a_child(tablet: Tablet) -> None:
    choose(tablet, FIRST_POST)
    tablet.open(f"{HERE} 2")
    tablet.page.locator("a[href^='#/ubah/']").click()
    tablet.page.get_by_text("Pindahkan ke posyandu lain").click()
    tablet.look("move-post", [HAND])
    tablet.page.get_by_role("button", name="Pindahkan", exact=True).click()
    tablet.expect_title("Hari ini")
    expect(listed(tablet)).to_have_count(1)  # at once, before it was sent


def lose_a_post(site: Site, tablet: Tablet) -> None:
    """The second post is taken from her while a measurement of a child there waits: it is wiped, and it alone."""
    district = site.district
    tablet.set_line(there=False)
    tablet.measure(f"{THERE} Baru", "6,9")
    with district.hub.database.transaction() as session:
        accounts.change_posts(
            session, district.hub, tablet.id, [district.posts[0]], actor="operator", now=district.clock.now
        )
    tablet.set_line(there=True)
    tablet.sync()
    tablet.go("hari-ini")
    expect(chooser(tablet)).to_have_count(0)
    expect(tablet.page.locator("header .where")).to_contain_text(FIRST_POST)
    expect(listed(tablet)).to_have_count(1)
    assert tablet.shown() == held(district, 0)
    assert len(tablet.raw()["held"]) == 1
    tablet.go("pertanyaan")
    tablet.expect_title("Perlu dijawab")
    expect(tablet.page.locator(".card")).to_have_count(0)  # it is for the health centre to judge
    (row,) = district.rows(text("SELECT reasons FROM change WHERE outcome = 'quarantined'"))
    assert "post-out-of-scope" in row.reasons
