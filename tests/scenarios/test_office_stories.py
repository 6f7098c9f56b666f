"""Sixteen stories of the office writing while tablets are far from a signal.

What a page showed is the context of what is saved from it; what had arrived meanwhile survives. Each story ends with
`settle`: ledger, tables and every screen are the same, byte for byte.
"""

from server.children import ledger
from server.database.models import ChangeRow
from sync_protocol import VersionVector
from tests.scenarios._office import Page, move, open_page, state_of
from tests.server._district import District, FakeTablet

ON = "2026-03-05"
NINE = {"weight_g": 9000, "oedema": None}


def test_story_the_office_writes_between_two_visits(installed: District) -> None:
    tablet, child = tablet_and_child(installed)
    assert open_page(installed, child).save(parents={"mother": "Ibu Contoh"}) == "applied"
    tablet.sync_until_quiet()
    tablet.edit_child(child, parents={"mother": "Ibu Contoh Dua"})
    installed.settle(tablet)
    assert tablet.outcomes()[-1] == "applied"
    assert tablet.state(child).value("parents") == {"mother": "Ibu Contoh Dua"}


def test_story_the_office_and_a_tablet_write_different_registers(installed: District) -> None:
    tablet, child = tablet_and_child(installed)
    tablet.edit_child(child, birth={"weight_g": 3100})
    open_page(installed, child).save(parents={"mother": "Ibu Contoh"})
    installed.settle(tablet)
    assert tablet.outcomes()[-1] == "merged"
    assert tablet.state(child).conflicts == ()


def test_story_the_office_and_a_tablet_write_one_register(installed: District) -> None:
    tablet, child = tablet_and_child(installed)
    tablet.edit_child(child, birth={"weight_g": 3100})
    open_page(installed, child).save(birth={"weight_g": 3200})
    installed.settle(tablet)
    assert tablet.outcomes()[-1] == "conflict"
    assert tablet.state(child).conflicts == ("birth",)
    assert "conflict" in installed.flags(child)


def test_story_the_office_settles_what_two_tablets_disagree_about(installed: District) -> None:
    one, two, child = disagreeing_tablets(installed)
    assert open_page(installed, child, ON).save(weight=NINE) == "applied"
    installed.settle(one, two)
    assert one.state(child, ON).value("weight") == NINE
    assert "conflict" not in installed.flags(child)


def test_story_a_third_value_arrives_while_the_page_is_open(installed: District) -> None:
    one, two, child = disagreeing_tablets(installed)
    three = installed.tablet()
    page = open_page(installed, child, ON)
    three.measure(child, weight_g=9600)
    three.sync_until_quiet()
    assert page.save(weight=NINE) == "conflict"
    installed.settle(one, two, three)
    assert weights(one, child) == [9000, 9600]


def test_story_two_people_settle_one_conflict_differently(installed: District) -> None:
    one, two, child = disagreeing_tablets(installed)
    first, second = open_page(installed, child, ON), open_page(installed, child, ON)
    first.save(weight=NINE)
    assert second.save(weight={"weight_g": 9400, "oedema": None}) == "conflict"
    installed.settle(one, two)
    assert weights(one, child) == [9000, 9400]


def test_story_a_page_stays_open_over_the_weekend(installed: District) -> None:
    tablet, child = tablet_and_child(installed)
    page = open_page(installed, child)
    tablet.edit_child(child, birth={"weight_g": 3100})
    installed.settle(tablet)
    installed.clock.advance(days=3)
    assert page.save(birth={"weight_g": 3200}) == "conflict"
    installed.settle(tablet)
    assert tablet.state(child).conflicts == ("birth",)


def test_story_an_answer_is_lost_and_the_office_writes_before_it_is_sent_again(installed: District) -> None:
    tablet, child = tablet_and_child(installed)
    tablet.measure(child, weight_g=9400)
    tablet.lose_answer()
    open_page(installed, child, ON).save(
        weight=NINE
    )  # over the 9,400, which the tablet still calls "waiting"
    installed.settle(tablet)
    assert tablet.outcomes()[-1] == "applied"
    assert tablet.state(child, ON).value("weight") == NINE


def test_story_the_office_writes_three_times_while_a_tablet_is_away(installed: District) -> None:
    tablet, child = tablet_and_child(installed)
    for grams in (3000, 3100, 3200):
        open_page(installed, child).save(birth={"weight_g": grams})
    tablet.measure(child, weight_g=9000)
    installed.settle(tablet)
    assert tablet.state(child).value("birth") == {"weight_g": 3200}


def test_story_the_office_removes_what_a_cadre_is_correcting(installed: District) -> None:
    tablet, child = tablet_and_child(installed)
    tablet.measure(child, weight_g=9400)
    tablet.sync_until_quiet()
    tablet.measure(child, weight_g=9000)
    open_page(installed, child, ON).save(removed={"reason": "salah anak"})
    installed.settle(tablet)
    state = tablet.state(child, ON)
    assert (state.removed, state.removal_contested) == (False, True)
    assert state.value("weight") == NINE


def test_story_the_office_moves_a_child_with_edits_under_way(installed: District) -> None:
    (old, child), new = tablet_and_child(installed), installed.tablet(1)
    old.measure(child, "2026-02-05", weight_g=8800)
    move(installed, child, 1)
    old.measure(child, ON, weight_g=9000)
    installed.settle(old, new)
    assert old.outcomes() == ["applied", "applied", "applied"]
    assert old.shown() == {}
    assert new.state(child, ON).value("weight") == NINE
    assert "batch.elsewhere" in installed.actions(f"post/{installed.posts[1]}")


def test_story_the_office_and_a_cadre_move_a_child_to_the_same_post(installed: District) -> None:
    (old, child), new = tablet_and_child(installed), installed.tablet(1)
    old.edit_child(child, post={"post": installed.posts[1]})
    move(installed, child, 1)
    installed.settle(old, new)
    assert new.state(child).conflicts == ()
    assert len(new.shown()) == 1


def test_story_the_office_moves_a_child_and_the_new_post_sends_it_back(installed: District) -> None:
    (old, child), new = tablet_and_child(installed), installed.tablet(1)
    old.measure(child, "2026-02-05", weight_g=8800)
    installed.settle(old)
    move(installed, child, 1)
    installed.settle(old, new)
    new.measure(child, ON, weight_g=9000)
    new.edit_child(child, post={"post": installed.posts[0]})
    installed.settle(old, new)
    assert new.shown() == {}
    assert old.state(child, ON).value("weight") == NINE


def test_story_the_office_moves_a_child_there_and_back_before_anybody_syncs(installed: District) -> None:
    (old, child), new = tablet_and_child(installed), installed.tablet(1)
    old.measure(child, weight_g=9000)
    move(installed, child, 1)
    move(installed, child, 0)
    installed.settle(old, new)
    assert len(old.shown()) == 2
    assert new.shown() == {}


def test_story_the_office_releases_a_correction_of_what_was_set_aside(installed: District) -> None:
    tablet, child = tablet_and_child(installed)
    tablet.measure(child, weight_g=90000)
    tablet.sync_until_quiet()
    assert correct(installed, child).save(weight=NINE) == "applied"
    installed.settle(tablet)
    assert tablet.state(child, ON).value("weight") == NINE


def test_story_office_and_cadre_correct_the_same_slip(installed: District) -> None:
    tablet, child = tablet_and_child(installed)
    tablet.measure(child, weight_g=90000)
    tablet.sync_until_quiet()
    tablet.measure(child, weight_g=9100)
    correct(installed, child).save(weight=NINE)
    installed.settle(tablet)
    assert weights(tablet, child) == [9000, 9100]


def tablet_and_child(district: District) -> tuple[FakeTablet, str]:
    """Give a tablet of the first post with a child on its screen and on the server."""
    tablet = district.tablet()
    child = tablet.register_child()
    tablet.sync_until_quiet()
    return tablet, child


def disagreeing_tablets(district: District) -> tuple[FakeTablet, FakeTablet, str]:
    """Give two tablets that weighed one child on one day, and read 9,200 and 9,400 g."""
    (one, child), two = tablet_and_child(district), district.tablet()
    two.sync_until_quiet()
    one.measure(child, weight_g=9200)
    two.measure(child, weight_g=9400)
    district.settle(one, two)
    return one, two, child


def correct(district: District, child: str) -> Page:
    """Open the one change that was set aside, as somebody does who releases a corrected copy: with its own context."""
    with district.hub.database.reading() as session:
        row = session.query(ChangeRow).filter_by(outcome="quarantined").one()
        wire = ledger.quarantined_change(district.hub.district, row, district.hub.vault)
    assert state_of(district, child, ON) is None
    return Page(district, child, ON, VersionVector.from_wire(wire["context"]))


def weights(tablet: FakeTablet, child: str) -> list[int]:
    """Give the weights of the day that stand side by side."""
    return sorted(s.value["weight_g"] for s in tablet.state(child, ON).registers["weight"])
