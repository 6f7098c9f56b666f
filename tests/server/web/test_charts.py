"""Growth charts as geometry: points lie where the tables say, every candidate is drawn, nothing flattens a chart."""

import re
from datetime import date
from typing import Any

import pytest

from server.growth.status import (
    LENGTH_FOR_AGE_CODES,
    WASTING_CODES,
    WEIGHT_FOR_AGE_CODES,
    length_for_age_status,
    wasting_status,
    weight_for_age_status,
)
from server.growth.zscores import DAYS_PER_MONTH, curve
from server.review import Scored, ScoredCandidate, Visit
from server.web.charts.growth import BOTTOM, LEFT, RIGHT, TOP, Chart, growth_charts

UNSCORED = Scored(None, "value_missing", None, implausible=False)


def candidate(age_days: int | None = 365, **values: Any) -> ScoredCandidate:
    """Give a boy's scored values: `weight_g`, `length_cm`, `bmi`, and `z` for all indices."""
    z = values.pop("z", 0.0)
    scores = dict.fromkeys(("haz", "waz", "whz", "baz"), Scored(z, None, None, implausible=False))
    fields: dict[str, Any] = {
        **dict.fromkeys(("weight_g", "length_mm", "muac_mm", "head_mm", "length_cm", "bmi", "muac_status")),
        "oedema": False,
        "on_height_table": (age_days or 0) >= 731,
    }
    return ScoredCandidate(**{**fields, "age_days": age_days, "scores": scores, **values})


def visit(*candidates: ScoredCandidate, on: str = "2026-03-05", source: str = "cadre") -> Visit:
    return Visit(date.fromisoformat(on), source, False, None, {}, candidates, None)


def chart(index: str, *visits: Visit, near: bool = False) -> Chart:
    return next(c for c in growth_charts("M", visits, near=near) if c.index == index)


def points(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", path)]


def test_point_at_the_median_lies_on_the_median_line() -> None:
    days, ((median,),) = 365, curve("waz", 1, (0,))[1][:, [365]]
    drawn = chart("waz", visit(candidate(days, weight_g=round(median * 1000))))
    line = points(next(line.path for line in drawn.lines if line.z == 0))
    (mark,) = drawn.marks
    before = max(p for p in line if p[0] <= mark.x)
    after = min(p for p in line if p[0] >= mark.x)
    assert min(before[1], after[1]) - 0.6 <= mark.y <= max(before[1], after[1]) + 0.6


def test_point_is_placed_by_age_and_value() -> None:
    (mark,) = chart("waz", visit(candidate(round(12 * DAYS_PER_MONTH), weight_g=9000))).marks
    assert mark.x == pytest.approx((LEFT + RIGHT) / 2, abs=0.5)  # 12 of 24 months
    ticks = {t.value: t.at for t in chart("waz", visit(candidate(365, weight_g=9000))).y_ticks}
    assert mark.y == pytest.approx((ticks[8] + ticks[10]) / 2, abs=0.2)


def test_curves_rise_from_minus_three_to_plus_three() -> None:
    drawn = chart("haz", visit(candidate(365, length_cm=75.0)))
    assert [line.z for line in drawn.lines] == [-3, -2, 0, 2, 3]
    heights = [line.label_y for line in drawn.lines]
    assert heights == sorted(heights, reverse=True)
    assert all(
        TOP <= y <= BOTTOM and LEFT <= x <= RIGHT for line in drawn.lines for x, y in points(line.path)
    )


def test_length_curve_is_drawn_in_two_pieces_where_lying_becomes_standing() -> None:
    drawn = chart("haz", visit(candidate(1000, length_cm=90.0)))
    pieces = [points(piece) for piece in drawn.lines[2].path.split("M")[1:]]
    assert len(pieces) == 2
    (_, end_y), (_, start_y) = pieces[0][-1], pieces[1][0]
    assert start_y > end_y  # 0.7 cm lower, so further down


@pytest.mark.parametrize(("age_days", "months"), [(700, 24), (740, 60)])
def test_whole_chart_covers_two_years_or_five(age_days: int, months: int) -> None:
    drawn = chart("waz", visit(candidate(age_days, weight_g=11_000)))
    assert (drawn.x_ticks[0].value, drawn.x_ticks[-1].value) == (0, months)
    assert (drawn.x_ticks[0].at, drawn.x_ticks[-1].at) == (LEFT, RIGHT)


def test_near_chart_covers_the_childs_own_months() -> None:
    visits = [
        visit(candidate(months * 30 + 10, weight_g=9000), on=f"2026-0{months - 9}-05")
        for months in (10, 11, 12)
    ]
    drawn = chart("waz", *visits, near=True)
    assert drawn.x_ticks[0].value >= 9
    assert drawn.x_ticks[-1].value <= 16
    assert len(drawn.marks) == 3
    assert drawn.left_out == 0


def test_near_chart_of_a_newborn_and_of_the_oldest_stay_inside_the_tables() -> None:
    for age_days in (0, 1826):
        drawn = chart("waz", visit(candidate(age_days, weight_g=4000)), near=True)
        assert len(drawn.marks) == 1
        assert LEFT <= drawn.marks[0].x <= RIGHT


def test_every_candidate_is_drawn_and_joined_and_no_trail_runs_through_them() -> None:
    drawn = chart(
        "waz",
        visit(candidate(300, weight_g=8000), on="2026-01-05"),
        visit(candidate(330, weight_g=8300), on="2026-02-05"),
        visit(candidate(358, weight_g=8500), candidate(358, weight_g=6500)),
    )
    assert [mark.up for mark in drawn.marks] == [8, 8.3, 8.5, 6.5]
    assert [mark.disputed for mark in drawn.marks] == [False, False, True, True]
    assert drawn.joins == ((drawn.marks[2].x, drawn.marks[2].y, drawn.marks[3].x, drawn.marks[3].y),)
    assert len(points(drawn.trail)) == 2


def test_one_point_is_drawn_when_candidates_differ_in_something_else() -> None:
    both = visit(candidate(365, weight_g=9000, muac_mm=120), candidate(365, weight_g=9000, muac_mm=140))
    (mark,) = chart("waz", both).marks
    assert not mark.disputed


def test_disputed_birth_date_is_drawn_at_both_ages() -> None:
    drawn = chart("waz", visit(candidate(365, weight_g=9000), candidate(395, weight_g=9000)))
    assert len({mark.x for mark in drawn.marks}) == 2
    assert len(drawn.joins) == 1


def test_absurd_value_is_pinned_to_the_edge_and_does_not_flatten_the_chart() -> None:
    ordinary = chart("waz", visit(candidate(365, weight_g=9000)))
    drawn = chart("waz", visit(candidate(335, weight_g=9000)), visit(candidate(365, weight_g=39_000)))
    assert drawn.marks[1].pinned
    assert drawn.marks[1].y == TOP
    assert drawn.y_ticks == ordinary.y_ticks


def test_weight_for_length_follows_the_newest_table_and_keeps_earlier_scores() -> None:
    lying = visit(candidate(700, weight_g=11_000, length_cm=84.7, on_height_table=False), on="2026-02-05")
    standing = visit(candidate(740, weight_g=11_200, length_cm=85.0))
    assert chart("whz", lying).table == "wfl"
    drawn = chart("whz", lying, standing)
    assert (drawn.table, drawn.by_length) == ("wfh", True)
    assert [mark.across for mark in drawn.marks] == pytest.approx([84.0, 85.0])  # 0.7 cm off the first


@pytest.mark.parametrize("length_cm", [70.0, 84.7, 95.3])
def test_the_two_length_tables_are_the_same_but_for_7_millimetres(length_cm: float) -> None:
    lengths, by_length = curve("wfl", 1)
    heights, by_height = curve("wfh", 1)
    one, other = abs(lengths - length_cm).argmin(), abs(heights - (length_cm - 0.7)).argmin()
    assert by_length[:, one] == pytest.approx(by_height[:, other], abs=0.011)


def test_nothing_is_drawn_by_age_when_the_birth_date_is_unknown() -> None:
    unknown = visit(candidate(None, weight_g=9000, length_cm=75.0, length_mm=750, bmi=16.0))
    assert [c.index for c in growth_charts("M", [unknown], near=False)] == ["whz"]


def test_nothing_is_drawn_when_nothing_was_measured() -> None:
    assert growth_charts("F", [visit(candidate(365)), visit()], near=False) == ()


def test_removed_measurement_is_not_drawn() -> None:
    drawn = chart("waz", visit(on="2026-02-05"), visit(candidate(365, weight_g=9000)))
    assert len(drawn.marks) == 1


def test_axes_have_few_round_numbers_inside_the_plot() -> None:
    for drawn in growth_charts(
        "F", [visit(candidate(900, weight_g=12_000, length_cm=88.0, bmi=15.5))], near=True
    ):
        for ticks in (drawn.x_ticks, drawn.y_ticks):
            assert 3 <= len(ticks) <= 10
            assert all(tick.value == pytest.approx(round(tick.value, 1)) for tick in ticks)
        assert all(LEFT <= tick.at <= RIGHT for tick in drawn.x_ticks)
        assert all(TOP <= tick.at <= BOTTOM for tick in drawn.y_ticks)


def test_near_chart_of_a_child_with_a_long_past_shows_its_last_year() -> None:
    visits = [
        visit(candidate(months * 30, weight_g=9000), on=f"{2024 + months // 12}-{months % 12 + 1:02d}-05")
        for months in range(1, 30)
    ]
    drawn = chart("waz", *visits, near=True)
    assert drawn.x_ticks[0].value >= 15
    assert len(drawn.marks) + drawn.left_out == 29
    assert 12 <= len(drawn.marks) <= 14


# -- zones ----------------------------------------------------------------------------------------


def zoned(index: str, *visits: Visit, near: bool = False) -> Chart:
    return next(c for c in growth_charts("M", visits, near=near, zones=True) if c.index == index)


@pytest.mark.parametrize(
    ("index", "judge", "codes"),
    [
        ("haz", length_for_age_status, LENGTH_FOR_AGE_CODES),
        ("waz", weight_for_age_status, WEIGHT_FOR_AGE_CODES),
        ("whz", wasting_status, WASTING_CODES),
        ("baz", wasting_status, WASTING_CODES),
    ],
)
def test_zones_are_the_classes_that_scores_are_given(index: str, judge: Any, codes: tuple[str, ...]) -> None:
    drawn = zoned(index, visit(candidate(365, weight_g=9000, length_cm=75.0, bmi=16.0)))
    assert [zone.code for zone in drawn.zones] == list(codes)
    for zone in drawn.zones:
        inside = zone.above - 0.5 if zone.above is not None else (zone.below or 0) + 0.5
        assert codes[int(judge(inside))] == zone.code
    assert [z.below for z in drawn.zones[1:]] == [z.above for z in drawn.zones[:-1]]


def test_weight_zones_part_at_the_red_and_the_orange_line() -> None:
    drawn = zoned("waz", visit(candidate(365, weight_g=9000)))
    assert [line.z for line in drawn.lines] == [-3, -2, 0, 1]
    red, orange = (next(line for line in drawn.lines if line.z == z) for z in (-3, 1))
    assert points(red.path)[-1] in points(drawn.zones[0].path)
    assert points(orange.path)[-1] in points(drawn.zones[-1].path)


def test_zones_fill_the_plot_and_change_neither_points_nor_axes() -> None:
    child = visit(candidate(365, weight_g=9000))
    drawn, plain = zoned("waz", child), chart("waz", child)
    assert (drawn.marks, drawn.x_ticks, drawn.y_ticks) == (plain.marks, plain.x_ticks, plain.y_ticks)
    assert plain.zones == ()
    corners = {(round(x / 2), y) for zone in drawn.zones for x, y in points(zone.path)}
    assert {(LEFT / 2, TOP), (RIGHT / 2, TOP), (LEFT / 2, BOTTOM), (RIGHT / 2, BOTTOM)} <= corners


def test_name_of_a_zone_covers_no_point_of_the_child() -> None:
    visits = [
        visit(candidate(days, weight_g=6500 + days * 4), on=f"2026-0{days // 100}-05")
        for days in range(300, 700, 100)
    ]
    for zone in zoned("waz", *visits, near=True).zones:
        for mark in zoned("waz", *visits, near=True).marks:
            assert not (zone.legible and 0 < zone.label_x - mark.x < 60 and abs(zone.label_y - mark.y) < 10)
