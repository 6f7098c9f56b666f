"""What each of several values would mean: scored as if it were the only one, and held against the measurements around it."""

from typing import Any

import pytest

from server.review import Scope, conflicts
from server.review.value_preview import Doubt, Meanings, meanings
from sync_protocol import measurement_id
from tests.server._district import District, FakeTablet, identity

JANUARY, FEBRUARY, MARCH = "2026-01-05", "2026-02-05", "2026-03-05"
WELL: dict[str, Any] = {"weight_g": 9600, "length_mm": 770}


def two_tablets(district: District) -> tuple[FakeTablet, FakeTablet, str]:
    """Give two tablets of a post, and a child that both know and one measured in February."""
    one, two = district.tablet(), district.tablet()
    child = one.register_child()
    one.measure(child, FEBRUARY, **WELL)
    district.settle(one, two)
    return one, two, child


def meant(district: District, kind: str, record_id: str) -> Meanings:
    scope = Scope.whole_district(district.hub, shows_names=True)
    with district.hub.database.reading() as session:
        shown = conflicts.dispute(session, district.hub, scope, kind, record_id)
        return meanings(session, district.hub, shown)


def disputed(
    district: District, one: FakeTablet, two: FakeTablet, child: str, on: str, *values: dict[str, Any]
) -> Meanings:
    """Let two tablets measure a child differently on a day; give what either value would mean, in the order given."""
    for tablet, value in zip((one, two), values, strict=True):
        tablet.measure(child, on, **value)
        tablet.sync_until_quiet()
    return meant(district, "measurement", measurement_id(child, on, "cadre"))


def rules(doubts: tuple[Doubt, ...]) -> list[tuple[str, str | None]]:
    return [(doubt.rule, doubt.against.isoformat() if doubt.against else None) for doubt in doubts]


def test_each_weight_is_scored_as_if_it_were_the_only_one(installed: District) -> None:
    one, two, child = two_tablets(installed)
    found = disputed(installed, one, two, child, MARCH, {"weight_g": 9900}, {"weight_g": 6900})
    heavy, light = found.by_register["weight"]
    assert [c.weight_g for c in heavy.candidates] == [9900]
    assert heavy.candidates[0].scores["waz"].status == "bb_normal"
    assert light.candidates[0].scores["waz"].status == "bb_sangat_kurang"
    assert heavy.gain is not None
    assert light.gain is not None
    assert (heavy.gain.gain_g, light.gain.gain_g) == (300, -2700)
    assert found.sex == "M"


def test_weight_is_doubted_beside_the_month_before_and_the_month_after(installed: District) -> None:
    one, two, child = two_tablets(installed)
    found = disputed(installed, one, two, child, MARCH, {"weight_g": 9900}, {"weight_g": 6900})
    assert rules(found.by_register["weight"][0].doubts) == []
    assert ("weight_jumped", FEBRUARY) in rules(found.by_register["weight"][1].doubts)
    earlier = disputed(installed, one, two, child, JANUARY, {"weight_g": 9500}, {"weight_g": 12_500})
    (jumped,) = [d for d in earlier.by_register["weight"][1].doubts if d.rule == "weight_jumped"]
    assert (str(jumped.against), jumped.against_value) == (FEBRUARY, 9600)


def test_length_is_doubted_when_the_child_would_have_shrunk(installed: District) -> None:
    one, two, child = two_tablets(installed)
    found = disputed(installed, one, two, child, MARCH, {"length_mm": 780}, {"length_mm": 750})
    assert [rules(meaning.doubts) for meaning in found.by_register["length"]] == [
        [],
        [("length_shrank", FEBRUARY)],
    ]


def test_value_beyond_the_limits_of_the_who_is_doubted_by_itself(installed: District) -> None:
    one, two, child = two_tablets(installed)
    found = disputed(installed, one, two, child, MARCH, {"length_mm": 780}, {"length_mm": 1200})
    doubts = found.by_register["length"][1].doubts
    assert {d.details["index"] for d in doubts if d.rule == "implausible"} >= {"haz"}


def test_identity_is_told_by_what_the_newest_measurement_would_be(installed: District) -> None:
    one, two, child = two_tablets(installed)
    for tablet, born_on in ((one, "2024-01-10"), (two, "2025-01-10")):
        tablet.edit_child(child, identity=identity(born_on=born_on))
        tablet.sync_until_quiet()
    old, young = meant(installed, "child", child).by_register["identity"]
    assert old.candidates[0].scores["haz"].status == "sangat_pendek"
    assert young.candidates[0].scores["haz"].status == "normal"


@pytest.mark.parametrize("register", ["nik", "books"])
def test_register_on_which_no_score_depends_has_no_meaning(on_sqlite: District, register: str) -> None:
    one, two, child = two_tablets(on_sqlite)
    values: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "nik": ({"nik": "6402061001250001"}, {"nik": None}),
        "books": ({"kia": True, "kms": True}, {"kia": True, "kms": False}),
    }
    for tablet, value in zip((one, two), values[register], strict=True):
        tablet.edit_child(child, **{register: value})
        tablet.sync_until_quiet()
    assert meant(on_sqlite, "child", child).by_register == {}


def test_identity_of_a_child_who_was_never_measured_has_no_scores(on_sqlite: District) -> None:
    one, two = on_sqlite.tablet(), on_sqlite.tablet()
    child = one.register_child()
    on_sqlite.settle(one, two)
    for tablet, name in ((one, "Anak Contoh Satu"), (two, "Anak Contoh Dua")):
        tablet.edit_child(child, identity=identity(name=name))
        tablet.sync_until_quiet()
    found = meant(on_sqlite, "child", child).by_register["identity"]
    assert [(meaning.candidates, meaning.gain, meaning.doubts) for meaning in found] == [((), None, ())] * 2
