"""What the office writes: ordinary changes by the hub, with the context that was on the screen."""

import pytest

from server.errors import Problem
from server.sync.server_edits import Edit, HubChange, write
from sync_protocol import Outcome, VersionVector, hub_actor, measurement_id
from tests.server._district import District, FakeTablet, identity

ON = "2026-03-05"


def office(district: District, *edits: Edit) -> list[HubChange]:
    with district.hub.database.transaction() as session:
        return write(
            session, district.hub, edits, "office.edited", author="account:uji", now=district.clock.now
        )


def seen(tablet: FakeTablet, child: str, on: str | None = None) -> VersionVector:
    """Give the vector of a record as it stands on this tablet's screen."""
    return tablet.state(child, on).vector


def in_conflict(district: District) -> tuple[FakeTablet, FakeTablet, str]:
    one, two = district.tablet(), district.tablet()
    child = one.register_child()
    district.settle(one, two)
    one.measure(child, weight_g=9000)
    two.measure(child, weight_g=9400)
    district.settle(one, two)
    return one, two, child


def test_settlement_replaces_both_values(installed: District) -> None:
    one, two, child = in_conflict(installed)
    value = {"weight": {"weight_g": 9400, "oedema": None}}
    (written,) = office(installed, Edit.of_measurement(child, ON, "cadre", value, seen(one, child, ON)))
    assert written.outcome is Outcome.APPLIED
    assert written.dot == (hub_actor(measurement_id(child, ON, "cadre")), 1)
    installed.settle(one, two)
    assert two.state(child, ON).conflicts == ()
    assert "conflict" not in installed.flags(child)


def test_value_that_was_not_on_the_screen_survives(installed: District) -> None:
    one, two, child = in_conflict(installed)
    screen = seen(one, child, ON)
    three = installed.tablet()
    three.measure(child, weight_g=9600)
    three.sync_until_quiet()
    value = {"weight": {"weight_g": 9400, "oedema": None}}
    (written,) = office(installed, Edit.of_measurement(child, ON, "cadre", value, screen))
    assert written.outcome is Outcome.CONFLICT
    installed.settle(one, two, three)
    weights = [s.value["weight_g"] for s in one.state(child, ON).registers["weight"]]
    assert sorted(weights) == [9400, 9600]


def test_hub_counts_and_chains_its_changes_by_record(installed: District) -> None:
    tablet = installed.tablet()
    children = [tablet.register_child(), tablet.register_child()]
    tablet.sync_until_quiet()
    written: list[HubChange] = []
    for _ in range(2):
        edits = [Edit.of_child(c, {"books": {"kia": True, "kms": True}}, seen(tablet, c)) for c in children]
        written = office(installed, *edits)
        tablet.sync_until_quiet()
    assert [w.dot for w in written] == [(hub_actor(c), 2) for c in children]
    installed.settle(tablet)


def test_move_takes_the_child_to_its_new_post(installed: District) -> None:
    old, new = installed.tablet(0), installed.tablet(1)
    child = old.register_child()
    old.measure(child, weight_g=9000)
    old.sync_until_quiet()
    office(installed, Edit.of_child(child, {"post": {"post": installed.posts[1]}}, seen(old, child)))
    installed.settle(old, new)
    assert old.shown() == {}
    assert len(new.shown()) == 2
    for post in installed.posts:
        assert "office.edited" in installed.actions(f"post/{post}")


@pytest.mark.parametrize(
    ("registers", "code"),
    [
        ({"weight": {"weight_g": 9, "oedema": None}}, "out-of-range"),
        ({"identity": identity()}, "unknown-field"),
        ({}, "nothing-set"),
    ],
)
def test_edit_is_refused_with_its_reasons(
    installed: District, registers: dict[str, object], code: str
) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.sync_until_quiet()
    before = installed.counts()
    edit = Edit.of_measurement(child, ON, "cadre", registers, VersionVector({}))  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(Problem, match="change-invalid") as refused:
        office(installed, edit)
    assert [reason["code"] for reason in refused.value.details["reasons"]] == [code]
    assert installed.counts() == before


@pytest.mark.parametrize(
    ("kind", "registers", "code"),
    [
        ("measurement", {"note": {"text": "x"}}, "before-birth"),
        ("child", {"post": {"post": "01900000-0000-7000-8000-ffffffffffff"}}, "post-unknown"),
    ],
)
def test_edit_is_refused_when_what_is_stored_forbids_it(
    installed: District, kind: str, registers: dict[str, dict[str, str]], code: str
) -> None:
    tablet = installed.tablet()
    child = tablet.register_child(identity=identity(born_on="2026-03-01"))
    tablet.sync_until_quiet()
    edits = {
        "measurement": Edit.of_measurement(child, "2026-02-01", "staff", registers, VersionVector({})),
        "child": Edit.of_child(child, registers, VersionVector({})),
    }
    with pytest.raises(Problem, match="change-invalid") as refused:
        office(installed, edits[kind])
    assert [reason["code"] for reason in refused.value.details["reasons"]] == [code]


def test_all_or_none_of_several_edits_are_made(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.sync_until_quiet()
    good = Edit.of_child(child, {"books": {"kia": True, "kms": True}}, seen(tablet, child))
    bad = Edit.of_measurement(child, ON, "cadre", {"head": {"head_mm": 1}}, VersionVector({}))
    before = installed.counts()
    with pytest.raises(Problem, match="change-invalid"):
        office(installed, good, bad)
    assert installed.counts() == before


def test_edit_of_an_unknown_child_is_refused(installed: District) -> None:
    edit = Edit.of_child(installed.new_id(), {"books": {"kia": True, "kms": True}}, VersionVector({}))
    with pytest.raises(Problem, match="record-unknown"):
        office(installed, edit)
