"""What a client gone wrong, or a hostile one with a tablet's key, must not be able to do."""

import gzip
from datetime import date
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from server.app import create_app
from server.children.assessment import MOST_CANDIDATES
from server.crypto.vault import base64url
from server.database.models import Assessment, Child
from server.review import Scope
from server.review.child import child_view
from sync_protocol import measurement_id
from tests.server._district import District, FakeTablet, identity

FEBRUARY, MARCH = "2026-02-05", "2026-03-05"


def test_candidates_are_bounded_when_one_record_has_many_live_values(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    child = tablet.register_child()
    forms = [tablet.replica.open_measurement(child, MARCH) for _ in range(24)]
    for number, form in enumerate(forms):
        weight, length = (
            {"weight_g": 7000 + number, "oedema": "n"},
            {"length_mm": 700 + number, "position": None},
        )
        arms = {"muac": {"muac_mm": 130 + number}, "head": {"head_mm": 400 + number}}
        tablet.write(form, {"weight": weight, "length": length, **arms})
    tablet.sync_until_quiet()
    (stored,) = on_sqlite.rows(select(Assessment.candidates))
    assert 1 < len(orjson.loads(stored.candidates)) <= MOST_CANDIDATES
    assert "conflict" in on_sqlite.flags(child)


def test_both_ends_are_judged_when_the_live_values_are_too_many(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    child = tablet.register_child(identity=identity(sex="M", born_on="2025-03-05"))
    forms = [tablet.replica.open_measurement(child, MARCH) for _ in range(70)]
    for number, form in enumerate(forms):
        tablet.write(form, {"weight": {"weight_g": 9500 - 50 * number, "oedema": None}})
    tablet.sync_until_quiet()
    assert "below_red_line" in on_sqlite.flags(
        child
    )  # the lightest, 6,050 g at 12 months, is among those judged


def test_gain_is_disputed_when_only_crossed_values_disagree(on_sqlite: District) -> None:
    one, two = on_sqlite.tablet(), on_sqlite.tablet()
    child = one.register_child()
    on_sqlite.settle(one, two)
    for tablet, weights in ((one, (9000, 9200)), (two, (9500, 9700))):
        for day, weight_g in zip((FEBRUARY, MARCH), weights, strict=True):
            tablet.measure(child, day, weight_g=weight_g)
    on_sqlite.settle(one, two)
    march = on_sqlite.rows(select(Assessment).where(Assessment.source == "cadre"))[-1][0]
    assert (march.gain_code, march.gain_g) == (None, None)
    assert orjson.loads(march.reasons)["gain"] == "conflict"


def test_child_is_refused_when_its_id_is_made_as_a_measurements(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.register_child(measurement_id(child, MARCH, "cadre"))
    tablet.measure(child, MARCH, weight_g=9000)
    tablet.sync_until_quiet()
    assert tablet.outcomes() == ["applied", "quarantined", "applied"]
    assert tablet.state(child, MARCH).value("weight") == {"weight_g": 9000, "oedema": None}


def test_record_is_folded_again_when_what_its_context_names_comes_back_quarantined(
    installed: District,
) -> None:
    lost, other = installed.tablet(), installed.tablet()
    child = lost.register_child()
    lost.measure(child, MARCH, weight_g=9000)
    installed.settle(lost, other)
    backup = installed.back_up()
    lost.measure(child, MARCH, weight_g=9100)
    installed.settle(lost, other)
    installed.restore(backup)
    other.measure(child, MARCH, weight_g=9200)  # she had seen 9100, which this server does not hold
    other.sync_until_quiet()
    assert "incomplete" in installed.flags(child)
    installed.revoke(lost)
    lost.sync_until_quiet()
    assert "incomplete" not in installed.flags(child)
    for ref, state in installed.folded().items():
        assert installed.stored()[ref][1].canonical() == state.canonical()


def test_tablet_pulls_from_the_start_when_its_cursor_is_beyond_the_stream(installed: District) -> None:
    writer, reader = installed.tablet(), installed.tablet()
    writer.register_child()
    writer.sync_until_quiet()
    reader.replica.cursor = 1_000_000
    reader.sync_until_quiet()
    assert reader.shown() == writer.shown()


@pytest.mark.parametrize("claimed", ["x" * 36, "\x00" * 36, 36 * "é"])
def test_refusal_is_logged_when_the_tablet_it_claims_to_come_from_is_no_id(
    installed: District, claimed: str
) -> None:
    http = create_app(installed.hub.settings, installed.hub).test_client()
    body = gzip.compress(orjson.dumps({"batch": {"tablet": claimed}, "signature": ""}))
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = http.post("/api/v1/sync", data=body, headers=headers)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "batch-malformed")
    assert installed.actions("office")[-1] == "batch.refused"


def test_child_stays_where_it_is_when_a_tablet_that_never_saw_it_claims_it(installed: District) -> None:
    """The app names a child's post when it registers it. Whoever knows no more than the id cannot have seen that: both stay,
    and a person decides."""
    tablet, stranger = installed.tablet(), installed.tablet(1)
    child = tablet.register_child(post={"post": installed.posts[0]})
    tablet.sync_until_quiet()
    stranger.edit_child(child, post={"post": installed.posts[1]})
    stranger.sync_until_quiet()
    assert stranger.outcomes() == ["conflict"]
    assert all(answer["pull"]["children"] == [] for answer in stranger.answers)
    assert installed.rows(select(Child.post_id))[0][0] == installed.posts[0]
    assert "conflict" in installed.flags(child)


def test_child_whose_record_names_no_post_lies_with_who_sent_it_and_does_not_leave_unseen(
    installed: District,
) -> None:
    """Whoever names a post first is believed, as of every register. Its first post is told, and the log has who did it."""
    tablet, stranger = installed.tablet(), installed.tablet(1)
    child = tablet.register_child()
    tablet.sync_until_quiet()
    assert tablet.state(child).value("post") is None
    hub = installed.hub
    with hub.database.reading() as session:
        shown = child_view(
            session, hub, Scope("post", installed.posts[0], shows_names=True), child, date(2026, 3, 5)
        )
    assert shown.post_id == installed.posts[0]
    stranger.edit_child(child, post={"post": installed.posts[1]})
    stranger.sync_until_quiet()
    assert installed.rows(select(Child.post_id))[0][0] == installed.posts[1]
    assert installed.actions(f"post/{installed.posts[0]}")[-1] == "batch.elsewhere"
    tablet.sync_until_quiet()
    assert ("child", child) not in tablet.shown()


def test_measurement_may_come_before_its_child_from_another_post(installed: District) -> None:
    here, there = installed.tablet(), installed.tablet(1)
    child = installed.new_id()
    here.measure(child, weight_g=9000)
    here.sync_until_quiet()
    there.register_child(child, post={"post": installed.posts[1]})
    installed.settle(here, there)
    assert there.outcomes() == ["applied"]
    assert ("child", child) in there.shown()


def test_measurement_of_a_child_that_can_never_exist_is_set_aside(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    never = measurement_id(tablet.register_child(), MARCH, "cadre")
    tablet.measure(never, weight_g=9000)
    tablet.sync_until_quiet()
    assert tablet.outcomes() == ["applied", "quarantined"]
    assert tablet.reasons(2) == ["id-mismatch"]
    assert on_sqlite.counts()["child"] == 1


# -- in another's name ------------------------------------------------------------------------------


def verified(tablet: FakeTablet, child: str, author: str) -> None:
    """Let a cadre say, as somebody, that an aid was received."""
    form = tablet.replica.open_delivery(child, tablet.district.new_id())
    aid = {"menu": "food", "funds": "dak", "reaches": "child", "starts_on": "2026-03-01", "ends_on": None}
    found = {"verified_on": MARCH, "outcome": "received"}
    at, nonce = tablet.district.clock.text(), base64url(next(tablet.district.numbers).to_bytes(16, "big"))
    registers: dict[str, Any] = {"aid": aid, "verified": found}
    tablet.replica.write(form, registers, author=author, recorded_at=at, nonce=nonce)


SERVERS_OWN = (
    "account:01900000-0000-7000-8000-00000000beef",
    "operator",
    "carrier",
    "job:figures",
    "hub:01900000-0000-7000-8000-00000000beef",
    "tablet:01900000-0000-7000-8000-00000000beef",
)


@pytest.mark.parametrize("author", SERVERS_OWN)
def test_change_in_the_name_of_the_servers_people_is_set_aside(on_sqlite: District, author: str) -> None:
    tablet = on_sqlite.tablet()
    child = tablet.register_child()
    verified(tablet, child, author)
    verified(tablet, child, "kader.contoh")
    tablet.sync_until_quiet()
    assert tablet.outcomes() == ["applied", "quarantined", "applied"]
    assert tablet.reasons(2) == ["author-of-server"]
    on_sqlite.settle(tablet)


@pytest.mark.parametrize("author", ["kader:contoh", "accountant", "sri@contoh", "operator-2", "account"])
def test_cadre_may_have_any_other_name(on_sqlite: District, author: str) -> None:
    tablet = on_sqlite.tablet()
    verified(tablet, tablet.register_child(), author)
    tablet.sync_until_quiet()
    assert tablet.outcomes() == ["applied", "applied"]


def test_change_in_anothers_name_is_told_with_its_other_faults(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    child = tablet.register_child()
    form = tablet.replica.open_measurement(child, MARCH)
    registers = {"weight": {"weight_g": 9, "oedema": None}}
    at, nonce = on_sqlite.clock.text(), "n" * 22
    tablet.replica.write(form, registers, author="operator", recorded_at=at, nonce=nonce)
    tablet.sync_until_quiet()
    assert tablet.reasons(2) == ["author-of-server", "out-of-range"]
