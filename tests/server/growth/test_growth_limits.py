"""No child that grows as the WHO's fastest do is asked about; what no child grows is."""

import csv
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from server.growth.growth_limits import Measure, length_spread_mm, most_growth_mm
from server.growth.lms import LmsTable, table
from server.growth.zscores import zscores

DAYS_PER_MONTH = 30.4375
TABLES: dict[Measure, LmsTable] = {"length": table("lhfa"), "head": table("hcfa")}
SURVEY = Path(__file__).resolve().parents[2] / "fixtures" / "survey_sample.csv"


def increments() -> list[tuple[int, int, float]]:
    """Give the WHO's 3-month length increments at +3 SD: sex, month of the start, centimetres."""
    path = resources.files("server.growth") / "tables" / "length_velocity_3mo.csv"
    rows = list(csv.DictReader(path.read_text("ascii").splitlines()))
    found = []
    for row in rows:
        power, median, spread = (float(row[name]) for name in "lms")
        found.append(
            (int(row["sex"]), int(row["start_month"]), median * (1 + 3 * power * spread) ** (1 / power))
        )
    return found


def test_increment_of_three_months_at_3_sd_is_possible_at_every_age() -> None:
    for sex, month, cm in increments():
        before, after = round(month * DAYS_PER_MONTH), round((month + 3) * DAYS_PER_MONTH)
        assert cm * 10 < most_growth_mm("length", sex, before, after)


@pytest.mark.parametrize("days", [1, 7, 28, 35, 61, 91, 122, 183, 365])
def test_growth_along_a_line_is_possible_whatever_the_readings_add(days: int) -> None:
    age = np.arange(0, 1826 - days)
    for sex in (1, 2):
        for measure, lms in TABLES.items():
            line = lms.m[sex - 1] * (1 + 3 * lms.s[sex - 1]) * 10
            growth = line[age + days] - line[age] + 10
            assert (growth < most_growth_mm(measure, sex, age, age + days)).all()


@pytest.mark.parametrize(("days", "cm"), [(7, 6.5), (30, 6.5), (91, 9.5)])
def test_growth_of_so_many_centimetres_is_impossible_after_the_first_half_year(days: int, cm: float) -> None:
    age = np.arange(200, 1826 - days)
    assert (cm * 10 > most_growth_mm("length", 1, age, age + days)).all()


def test_height_of_a_child_that_stood_up_may_be_7_mm_off() -> None:
    assert most_growth_mm("length", 1, 725, 735) > 10 + 7 + length_spread_mm()[-1] - 7


def test_there_is_no_limit_where_the_standard_has_no_row() -> None:
    ages = [(np.nan, 100.0), (-3.0, 20.0), (1700.0, 1857.0), (100.0, 90.0), (np.nan, np.nan)]
    before, after = np.array(ages).T
    assert np.isnan(most_growth_mm("length", 1, before, after)).all()
    assert np.isnan(most_growth_mm("head", 1, before, after)).all()


def test_unknown_sex_has_a_boys_limit() -> None:
    assert most_growth_mm("length", 0, 100, 130) == most_growth_mm("length", 1, 100, 130)


def test_spread_is_the_published_one_and_falls_with_age() -> None:
    spread = length_spread_mm().tolist()
    assert spread[0] == 40  # boys 0 to 3 months: 15.4 - 11.4 cm
    assert spread[-1] == 29  # 21 to 24 months: 5.5 - 2.6 cm
    assert spread == sorted(spread, reverse=True)


@pytest.mark.parametrize("days", [14, 30, 61, 91, 183])
def test_surveyed_child_that_kept_its_line_is_not_asked_about(days: int) -> None:
    """Each child of the survey, and what it measured some days before by the same z-score, 1 cm too little."""
    with SURVEY.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["zlen"] and int(row["age_days"]) >= days]
    for row in rows:
        sex, age, z = ("MF".index(row["sex"]) + 1, int(row["age_days"]), float(row["zlen"]))
        lms = table("lhfa")
        before = lms.m[sex - 1, age - days] * (1 + z * lms.s[sex - 1, age - days]) - 1
        now = float(zscores(sex=sex, age_days=age, lenhei_cm=float(row["height_cm"])).lenhei_cm)
        assert (now - before) * 10 < most_growth_mm("length", sex, age - days, age)
