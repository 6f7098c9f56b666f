"""What is derived from a child's timeline: scores, codes and every rule that raises a flag, on both sides of its edge.

The boy of these tests is born on 10 January 2025 and measured on 5 March 2026, 419 days old; the figures at the edges are
those of the WHO's tables for that day.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import event, select

from server.audit import OFFICE, append
from server.children.assessment import assess
from server.children.flags import RULES
from server.database.models import Assessment, Flag
from tests.server._district import DISTRICT, District, FakeTablet, identity

FEBRUARY, MARCH = "2026-02-05", "2026-03-05"
ORDINARY: dict[str, Any] = {"weight_g": 9600, "length_mm": 775, "muac_mm": 140}


def measured_child(district: District, *months: tuple[str, dict[str, Any]], **of_identity: Any) -> str:
    """Give a child with measurements, on the server."""
    tablet = district.tablet()
    child = tablet.register_child(None, **({"identity": identity(**of_identity)} if of_identity else {}))
    for on, values in months:
        tablet.measure(child, on, **values)
    tablet.sync_until_quiet()
    assert set(tablet.outcomes()) == {"applied"}
    return child


def assessed(district: District, child: str, on: str = MARCH, source: str = "cadre") -> Any:
    """Give the assessment of one measurement."""
    (row,) = [
        row
        for row in district.rows(select(Assessment.__table__).where(Assessment.child_id == child))
        if (row.measured_on.isoformat(), row.source) == (on, source)
    ]
    return row


def codes(district: District, child: str) -> str:
    """Give the code of each month, in order; "-" where there is none."""
    found = select(Assessment.gain_code).where(Assessment.child_id == child).order_by(Assessment.measured_on)
    return "".join(row.gain_code or "-" for row in district.rows(found))


# -- flags, both sides ------------------------------------------------------------------------------

BOTH_SIDES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "severely_wasted": ({"weight_g": 7480, "length_mm": 750}, {"weight_g": 7490, "length_mm": 750}),
    "wasted": ({"weight_g": 8080, "length_mm": 750}, {"weight_g": 8090, "length_mm": 750}),
    "overweight": ({"weight_g": 11280, "length_mm": 750}, {"weight_g": 11270, "length_mm": 750}),
    "below_red_line": ({"weight_g": 7200}, {"weight_g": 7210}),
    "underweight": ({"weight_g": 8050}, {"weight_g": 8060}),
    "above_orange_line": ({"weight_g": 11220}, {"weight_g": 11210}),
    "severely_stunted": ({"length_mm": 703}, {"length_mm": 704}),
    "stunted": ({"length_mm": 728}, {"length_mm": 729}),
    "muac_severe": ({"muac_mm": 114}, {"muac_mm": 115}),
    "muac_moderate": ({"muac_mm": 124}, {"muac_mm": 125}),
    "muac_for_age_severe": ({"muac_mm": 116}, {"muac_mm": 117}),
    "muac_for_age_moderate": ({"muac_mm": 125}, {"muac_mm": 126}),
    "head_very_small": ({"head_mm": 426}, {"head_mm": 427}),
    "head_small": ({"head_mm": 439}, {"head_mm": 440}),
    "head_large": ({"head_mm": 492}, {"head_mm": 491}),
    "head_very_large": ({"head_mm": 505}, {"head_mm": 504}),
    "implausible": ({"weight_g": 4650}, {"weight_g": 4660}),
    "oedema": ({"weight_g": 9600, "oedema": "1"}, {"weight_g": 9600, "oedema": "n"}),
}


@pytest.mark.parametrize("rule", BOTH_SIDES)
def test_rule_applies_on_one_side_of_its_edge_only(on_sqlite: District, rule: str) -> None:
    beyond, within = BOTH_SIDES[rule]
    found = on_sqlite.flags(measured_child(on_sqlite, (MARCH, beyond)))
    assert found[rule].startswith(f"{MARCH}/cadre")
    assert rule not in on_sqlite.flags(measured_child(on_sqlite, (MARCH, within)))


COMPARED: dict[str, tuple[dict[str, Any], ...]] = {
    "length_shrank": ({"length_mm": 750}, {"length_mm": 739}, {"length_mm": 740}),
    "length_jumped": ({"length_mm": 740}, {"length_mm": 797}, {"length_mm": 796}),
    "head_jumped": ({"head_mm": 455}, {"head_mm": 507}, {"head_mm": 506}),
    "weight_jumped": ({"weight_g": 9000}, {"weight_g": 11010}, {"weight_g": 11000}),
    "copied": (ORDINARY, ORDINARY, {**ORDINARY, "length_mm": 776}),
    "not_gaining": ({"weight_g": 9000}, {"weight_g": 9190}, {"weight_g": 9200}),
}


@pytest.mark.parametrize("rule", COMPARED)
def test_rule_compares_with_the_month_before(on_sqlite: District, rule: str) -> None:
    before, beyond, within = COMPARED[rule]
    found = on_sqlite.flags(measured_child(on_sqlite, (FEBRUARY, before), (MARCH, beyond)))
    assert found[rule] == f"{MARCH}/cadre"
    assert rule not in on_sqlite.flags(measured_child(on_sqlite, (FEBRUARY, before), (MARCH, within)))


def test_length_may_shrink_by_7_mm_more_when_lying_turns_into_standing(on_sqlite: District) -> None:
    lying = (FEBRUARY, {"length_mm": 850, "position": "lying"})
    for length_mm, flagged in ((832, True), (833, False)):
        standing = (MARCH, {"length_mm": length_mm, "position": "standing"})
        child = measured_child(on_sqlite, lying, standing, born_on="2024-03-01")
        assert ("length_shrank" in on_sqlite.flags(child)) is flagged


def test_weight_may_jump_when_the_child_is_under_six_months(on_sqlite: District) -> None:
    months = (FEBRUARY, {"weight_g": 4000}), (MARCH, {"weight_g": 6100})
    assert "weight_jumped" not in on_sqlite.flags(measured_child(on_sqlite, *months, born_on="2025-12-20"))


@pytest.mark.parametrize(("position", "flagged"), [("standing", True), ("lying", False), (None, False)])
def test_standing_infant_is_unlikely(on_sqlite: District, position: str | None, flagged: bool) -> None:
    measured = (MARCH, {"length_mm": 640, "position": position})
    child = measured_child(on_sqlite, measured, born_on="2025-10-10")
    assert ("position_unlikely" in on_sqlite.flags(child)) is flagged


def test_two_t_takes_the_place_of_t_when_it_comes_twice_running(on_sqlite: District) -> None:
    months = [(f"2026-0{month}-05", {"weight_g": 8900 + 100 * month}) for month in (1, 2, 3)]
    found = on_sqlite.flags(measured_child(on_sqlite, *months))
    assert found["two_t"] == f"{MARCH}/cadre"
    assert "not_gaining" not in found


@pytest.mark.parametrize(("last", "flagged"), [("2026-01-31", True), ("2026-02-01", False)])
def test_child_is_not_seen_when_neither_this_month_nor_last(
    on_sqlite: District, last: str, flagged: bool
) -> None:
    child = measured_child(on_sqlite, (last, ORDINARY))
    assert ("not_seen" in on_sqlite.flags(child)) is flagged


@pytest.mark.parametrize(("born_on", "flagged"), [("2021-02-28", False), ("2021-03-02", True)])
def test_child_over_five_is_not_missed(on_sqlite: District, born_on: str, flagged: bool) -> None:
    child = measured_child(on_sqlite, ("2026-01-31", ORDINARY), born_on=born_on)
    assert ("not_seen" in on_sqlite.flags(child)) is flagged


@pytest.mark.parametrize(("days", "flagged"), [(0, False), (30, False), (61, True)])
def test_child_never_measured_is_not_missed_before_its_second_month(
    on_sqlite: District, days: int, flagged: bool
) -> None:
    child = measured_child(on_sqlite)
    on_sqlite.clock.advance(days=days)
    with on_sqlite.hub.database.transaction() as session:
        assess(session, on_sqlite.hub, [child], on_sqlite.clock.now)
        append(session, DISTRICT, OFFICE, "children.assessed", actor="test", now=on_sqlite.clock.now)
    assert ("not_seen" in on_sqlite.flags(child)) is flagged


def test_thin_arm_is_flagged_when_the_birth_date_is_unknown(on_sqlite: District) -> None:
    child = measured_child(on_sqlite, (MARCH, {"muac_mm": 114}), born_on=None)
    assert {"muac_severe", "birth_date_unknown"} <= on_sqlite.flags(child).keys()


@pytest.mark.parametrize(("months", "flagged"), [(5, False), (6, True)])
def test_thin_arm_counts_from_six_months_on(on_sqlite: District, months: int, flagged: bool) -> None:
    born_on = {5: "2025-09-06", 6: "2025-09-05"}[months]
    child = measured_child(on_sqlite, (MARCH, {"muac_mm": 114}), born_on=born_on)
    assert ("muac_severe" in on_sqlite.flags(child)) is flagged


def test_only_length_decides_when_the_birth_date_is_unknown(on_sqlite: District) -> None:
    child = measured_child(on_sqlite, (MARCH, {"weight_g": 7480, "length_mm": 750}), born_on=None)
    row = assessed(on_sqlite, child)
    assert (row.haz, row.waz, row.whz, row.age_days) == (None, None, -3.01, None)
    assert orjson.loads(row.reasons)["waz"] == "no_age"
    assert {"severely_wasted", "birth_date_unknown"} <= on_sqlite.flags(child).keys()


def test_nothing_is_scored_when_the_sex_is_unknown(on_sqlite: District) -> None:
    child = measured_child(on_sqlite, (MARCH, ORDINARY), sex=None)
    row = assessed(on_sqlite, child)
    assert (row.haz, row.waz, row.whz) == (None, None, None)
    assert on_sqlite.flags(child) == {"sex_unknown": ""}


def test_ordinary_child_is_not_flagged(on_sqlite: District) -> None:
    child = measured_child(
        on_sqlite, (FEBRUARY, {**ORDINARY, "weight_g": 9300, "length_mm": 768}), (MARCH, ORDINARY)
    )
    assert on_sqlite.flags(child) == {}


def test_oedema_speaks_of_the_newest_weighing_only(on_sqlite: District) -> None:
    swollen, well = {"weight_g": 9600, "oedema": "2"}, {"weight_g": 9600, "oedema": "n"}
    assert "oedema" in on_sqlite.flags(measured_child(on_sqlite, (FEBRUARY, well), (MARCH, swollen)))
    assert "oedema" not in on_sqlite.flags(measured_child(on_sqlite, (FEBRUARY, swollen), (MARCH, well)))


def test_oedema_hides_the_scores_that_it_falsifies(on_sqlite: District) -> None:
    child = measured_child(on_sqlite, (MARCH, {**ORDINARY, "oedema": "2"}))
    row = assessed(on_sqlite, child)
    assert (row.waz, row.whz, row.haz) == (None, None, -0.12)
    assert orjson.loads(row.reasons)["whz"] == "oedema"


def test_growth_is_judged_by_the_newest_value_of_each_index(on_sqlite: District) -> None:
    child = measured_child(on_sqlite, (FEBRUARY, {"length_mm": 690}), (MARCH, {"weight_g": 9600}))
    assert on_sqlite.flags(child)["severely_stunted"] == f"{FEBRUARY}/cadre"


def test_re_measuring_by_the_health_centre_takes_the_flag_down(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    child = tablet.register_child()
    tablet.measure(child, weight_g=6900, length_mm=750)
    tablet.sync()
    assert "severely_wasted" in on_sqlite.flags(child)
    tablet.measure(child, weight_g=9600, length_mm=775, source="staff")
    tablet.sync()
    assert "severely_wasted" not in on_sqlite.flags(child)


def test_measurement_before_birth_is_found_when_the_birth_date_is_mended(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    child = tablet.register_child()
    tablet.measure(child, FEBRUARY, weight_g=9000)
    for born_on, flagged in ((FEBRUARY, False), ("2026-02-06", True)):
        tablet.edit_child(child, identity=identity(born_on=born_on))
        tablet.sync()
        assert ("measured_before_birth" in on_sqlite.flags(child)) is flagged


def test_head_is_flagged_once_and_more_urgently_beyond_3_sd() -> None:
    for moderate, severe in (("head_small", "head_very_small"), ("head_large", "head_very_large")):
        assert RULES[severe].urgency < RULES[moderate].urgency
    assert RULES["muac_for_age_severe"].urgency < RULES["muac_for_age_moderate"].urgency
    assert RULES["infant_not_gaining"].urgency == 1


@pytest.mark.parametrize(("age_days", "flagged"), [(90, False), (91, True), (180, True)])
def test_arm_for_age_is_scored_where_the_arm_alone_is_not(
    on_sqlite: District, age_days: int, flagged: bool
) -> None:
    born_on = (date.fromisoformat(MARCH) - timedelta(days=age_days)).isoformat()
    found = on_sqlite.flags(measured_child(on_sqlite, (MARCH, {"muac_mm": 95}), born_on=born_on))
    assert ("muac_for_age_severe" in found) is flagged
    assert "muac_severe" not in found


def test_every_rule_has_words_and_an_urgency() -> None:
    assert all(all(rule.text) and 1 <= rule.urgency <= 4 for rule in RULES.values())


# -- infants under six months -----------------------------------------------------------------------

INFANT: dict[str, Any] = {"born_on": "2025-12-05"}
"""Three months old on 5 March: the KBM is 800 g."""


@pytest.mark.parametrize(("weight_g", "flagged"), [(5799, True), (5800, False)])
@pytest.mark.parametrize("before", [FEBRUARY, "2026-01-05"])
@pytest.mark.parametrize("sex", ["M", "F", None])
def test_infant_is_urgent_today_when_it_gains_less_than_the_kbm(
    on_sqlite: District, weight_g: int, flagged: bool, before: str, sex: str | None
) -> None:
    """So also where a month was missed (O), and where the sex is unknown."""
    months = (before, {"weight_g": 5000}), (MARCH, {"weight_g": weight_g})
    found = on_sqlite.flags(measured_child(on_sqlite, *months, **INFANT, sex=sex))
    assert found.get("infant_not_gaining") == (f"{MARCH}/cadre" if flagged else None)
    assert "not_gaining" not in found


@pytest.mark.parametrize(
    ("born_on", "rule"), [("2025-09-06", "infant_not_gaining"), ("2025-09-05", "not_gaining")]
)
def test_infant_is_one_until_six_months(on_sqlite: District, born_on: str, rule: str) -> None:
    months = (FEBRUARY, {"weight_g": 7000}), (MARCH, {"weight_g": 7100})
    found = on_sqlite.flags(measured_child(on_sqlite, *months, born_on=born_on))
    assert {"infant_not_gaining", "not_gaining"} & found.keys() == {rule}


@pytest.mark.parametrize(
    "months",
    [
        [(MARCH, {"weight_g": 3000})],  # never weighed before
        [("2026-03-02", {"weight_g": 5000}), (MARCH, {"weight_g": 4900})],  # twice in a month
        [(FEBRUARY, {"weight_g": 5000}), (MARCH, {"length_mm": 600})],  # not weighed now
    ],
)
def test_infant_is_compared_with_an_earlier_month_only(
    on_sqlite: District, months: list[tuple[str, dict[str, Any]]]
) -> None:
    assert "infant_not_gaining" not in on_sqlite.flags(measured_child(on_sqlite, *months, **INFANT))


def test_newborn_has_no_gain_to_reach(on_sqlite: District) -> None:
    months = ("2026-02-20", {"weight_g": 3400}), (MARCH, {"weight_g": 3300})
    assert "infant_not_gaining" not in on_sqlite.flags(
        measured_child(on_sqlite, *months, born_on="2026-02-06")
    )


def test_infant_without_gain_two_months_running_has_both_flags(on_sqlite: District) -> None:
    months = [(f"2026-0{month}-05", {"weight_g": 4900 + 100 * month}) for month in (1, 2, 3)]
    found = on_sqlite.flags(measured_child(on_sqlite, *months, **INFANT))
    assert {"infant_not_gaining", "two_t"} <= found.keys()
    assert "not_gaining" not in found


def test_infant_is_urgent_when_any_candidate_of_its_weight_gains_too_little(on_sqlite: District) -> None:
    one, two = on_sqlite.tablet(), on_sqlite.tablet()
    child = one.register_child(identity=identity(**INFANT))
    one.measure(child, FEBRUARY, weight_g=5000)
    on_sqlite.settle(one, two)
    one.measure(child, MARCH, weight_g=5900)
    two.measure(child, MARCH, weight_g=5700)
    on_sqlite.settle(one, two)
    (flag,) = on_sqlite.rows(select(Flag.details, Flag.urgency).where(Flag.rule == "infant_not_gaining"))
    assert (orjson.loads(flag.details), flag.urgency) == ({"gain_g": 700}, 1)


# -- the whole timeline -----------------------------------------------------------------------------


def test_late_measurement_changes_the_code_of_the_month_after(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, FEBRUARY, weight_g=9000)
    tablet.measure(child, MARCH, weight_g=9300)
    tablet.sync()
    assert codes(installed, child) == "BN"
    tablet.measure(child, "2026-01-05", weight_g=8950)
    tablet.sync()
    assert codes(installed, child) == "BTN"


def test_correction_of_one_month_changes_the_next(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    child = tablet.register_child()
    tablet.measure(child, FEBRUARY, weight_g=9000)
    tablet.measure(child, MARCH, weight_g=9300)
    tablet.sync()
    tablet.measure(child, FEBRUARY, weight_g=9200)
    tablet.sync()
    assert codes(on_sqlite, child) == "BT"
    assert assessed(on_sqlite, child).gain_g == 100


def test_month_without_weighing_gives_o(on_sqlite: District) -> None:
    child = measured_child(on_sqlite, ("2026-01-05", {"weight_g": 9000}), (MARCH, {"weight_g": 9300}))
    assert codes(on_sqlite, child) == "BO"


def test_removed_measurement_loses_its_assessment_and_its_place(installed: District) -> None:
    tablet = installed.tablet()
    child = tablet.register_child()
    tablet.measure(child, FEBRUARY, weight_g=6900, length_mm=690)
    tablet.measure(child, MARCH, weight_g=9300)
    tablet.sync()
    assert "severely_stunted" in installed.flags(child)
    tablet.remove(child, FEBRUARY)
    tablet.sync()
    assert codes(installed, child) == "B"
    assert installed.flags(child) == {}


def test_measurement_is_assessed_again_when_its_removal_is_taken_back(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    child = tablet.register_child()
    tablet.measure(child, FEBRUARY, weight_g=9000)
    for reason in ("salah anak", None):
        tablet.remove(child, FEBRUARY, reason=reason)
        tablet.sync()
    assert codes(on_sqlite, child) == "B"


def test_removed_child_is_not_flagged(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    child = tablet.register_child()
    tablet.measure(child, weight_g=6900, length_mm=690)
    tablet.sync_until_quiet()
    tablet.edit_child(child, removed={"reason": "pindah ke luar kabupaten"})
    tablet.sync()
    assert on_sqlite.flags(child) == {}


def test_mended_birth_date_scores_every_month_anew(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    child = tablet.register_child()
    tablet.measure(child, FEBRUARY, **ORDINARY)
    tablet.measure(child, MARCH, **ORDINARY)
    tablet.sync()
    ages = [assessed(on_sqlite, child, on).age_days for on in (FEBRUARY, MARCH)]
    tablet.edit_child(child, identity=identity(born_on="2025-01-20"))
    tablet.sync()
    assert [assessed(on_sqlite, child, on).age_days for on in (FEBRUARY, MARCH)] == [age - 10 for age in ages]


# -- candidates -------------------------------------------------------------------------------------


def two_with_a_child(district: District) -> tuple[FakeTablet, FakeTablet, str]:
    one, two = district.tablet(), district.tablet()
    child = one.register_child()
    district.settle(one, two)
    return one, two, child


def test_child_is_flagged_when_any_candidate_of_a_weight_is_red(installed: District) -> None:
    one, two, child = two_with_a_child(installed)
    one.measure(child, weight_g=9600, length_mm=750)
    two.measure(child, weight_g=7400, length_mm=750)
    installed.settle(one, two)
    row = assessed(installed, child)
    assert (row.whz, row.waz, row.haz) == (None, None, -1.13)
    assert {"whz": "conflict", "waz": "conflict", "baz": "conflict"}.items() <= orjson.loads(
        row.reasons
    ).items()
    assert sorted(c["weight_g"] for c in orjson.loads(row.candidates)) == [7400, 9600]
    assert {"conflict", "severely_wasted"} <= installed.flags(child).keys()


def test_child_is_flagged_when_any_candidate_of_the_birth_date_is_red(installed: District) -> None:
    one, two, child = two_with_a_child(installed)
    one.measure(child, **ORDINARY)
    one.edit_child(child, identity=identity(born_on="2025-01-11"))
    two.edit_child(child, identity=identity(born_on="2023-01-11"))
    installed.settle(one, two)
    row = assessed(installed, child)
    assert row.haz is None
    assert sorted(c["age_days"] for c in orjson.loads(row.candidates)) == [418, 1149]
    assert {"conflict", "severely_stunted", "below_red_line"} <= installed.flags(child).keys()


def test_score_stands_when_all_candidates_agree_on_it(on_sqlite: District) -> None:
    one, two, child = two_with_a_child(on_sqlite)
    one.measure(child, weight_g=9600, length_mm=775, muac_mm=140)
    two.measure(child, weight_g=9600, length_mm=775, muac_mm=150)
    on_sqlite.settle(one, two)
    row = assessed(on_sqlite, child)
    assert (row.haz, row.waz, row.acz) == (-0.12, -0.41, None)


def test_gain_is_undecided_when_candidates_disagree_on_it(on_sqlite: District) -> None:
    one, two, child = two_with_a_child(on_sqlite)
    one.measure(child, FEBRUARY, weight_g=9000)
    on_sqlite.settle(one, two)
    one.measure(child, MARCH, weight_g=9100)
    two.measure(child, MARCH, weight_g=9400)
    on_sqlite.settle(one, two)
    row = assessed(on_sqlite, child)
    assert (row.gain_code, row.gain_g, orjson.loads(row.reasons)["gain"]) == (None, None, "conflict")


def test_conflict_is_flagged_when_it_is_about_what_is_not_scored(on_sqlite: District) -> None:
    one, two, child = two_with_a_child(on_sqlite)
    one.measure(child, weight_g=9600, note="batuk")
    two.measure(child, weight_g=9600, note="demam")
    on_sqlite.settle(one, two)
    assert on_sqlite.flags(child)["conflict"] == f"{MARCH}/cadre"


def test_contested_removal_of_a_measurement_is_flagged(on_sqlite: District) -> None:
    one, two, child = two_with_a_child(on_sqlite)
    one.measure(child, weight_g=9600)
    on_sqlite.settle(one, two)
    one.remove(child, MARCH)
    two.measure(child, weight_g=9700)
    on_sqlite.settle(one, two)
    assert on_sqlite.flags(child)["removal_contested"] == f"{MARCH}/cadre"


# -- saving -----------------------------------------------------------------------------------------


@contextmanager
def written(district: District, table: str) -> Iterator[list[str]]:
    """Collect the measurements whose row of a table is written."""
    rows: list[str] = []

    def watch(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        if statement.lstrip().startswith(f"INSERT INTO {table} "):
            rows.extend(str(each) for each in (parameters if many else [parameters]))

    event.listen(district.hub.database.engine, "before_cursor_execute", watch)
    yield rows
    event.remove(district.hub.database.engine, "before_cursor_execute", watch)


def test_only_what_changed_is_written(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    child = tablet.register_child()
    for month in (1, 2, 3):
        tablet.measure(child, f"2026-0{month}-05", weight_g=8700 + 300 * month)
    tablet.sync()
    tablet.measure(child, MARCH, weight_g=9650)
    with written(on_sqlite, "assessment") as rows:
        tablet.sync()
    assert len(rows) == 1
    assert MARCH in rows[0]


def test_nothing_is_written_when_nothing_derived_changed(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    child = tablet.register_child()
    tablet.measure(child, weight_g=6900, length_mm=690)
    tablet.sync()
    tablet.edit_child(child, parents={"mother": "Ibu Contoh"})
    with written(on_sqlite, "assessment") as assessments, written(on_sqlite, "flag") as flags:
        tablet.sync()
    assert (assessments, flags) == ([], [])


def test_flag_keeps_its_date_while_it_stands(on_sqlite: District) -> None:
    tablet = on_sqlite.tablet()
    child = tablet.register_child()
    tablet.measure(child, weight_g=6900, length_mm=750)
    tablet.sync()
    raised = on_sqlite.rows(select(Flag.raised_at).where(Flag.rule == "severely_wasted"))
    on_sqlite.clock.advance(days=1)
    tablet.measure(child, weight_g=6800, length_mm=750)
    tablet.sync()
    assert on_sqlite.rows(select(Flag.raised_at).where(Flag.rule == "severely_wasted")) == raised
