"""The tables are the WHO's: what a slip of the pen, a lost row or a swapped file would break."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import server.growth
from server.growth import lms, weight_gain
from server.growth.lms import TableName

TABLES = Path(server.growth.__file__).with_name("tables")
SHA256 = {
    "acfa_daily.csv": "27ec054936961209560df72e1c6708f8a0b3e8f7dae2136b59b69470ccf43d7c",
    "bfa_daily.csv": "3b52c9f4affa8dc307002b94816954203bc60875bc4881111a24fc40306dc9b1",
    "hcfa_daily.csv": "1c023002b91d8c5e6f94fea715e29305334450ba247161c348b837d9e8602e3c",
    "length_velocity_3mo.csv": "20b2b41ca3ac100eec603c05567315308a97621d4ec3a70c1453f84c076239b5",
    "lhfa_daily.csv": "699a1ae3f18834cbbdbd6948af527887400258cea40bad60e69653fb243a15c0",
    "wfa_daily.csv": "26aa01a05f1d55bb8bd0394c43e8cd3a381ca53da08259c3fa2aba85959a8ad8",
    "wfh_0.1cm.csv": "c3ea94b87bdb7164b70d56e56ccfe9eb39b993ff9b5be8817c1d424757f731bc",
    "wfl_0.1cm.csv": "0e177613665152efddbfcf3ff31a9c097ec393931905bf44c4074d07123b5c27",
}
BY_AGE: tuple[TableName, ...] = ("lhfa", "wfa", "bfa", "hcfa", "acfa")
# Rows per sex where the medians fall instead of rising, as published.
FALLING: dict[TableName, list[int]] = {
    "lhfa": [731],
    "wfa": [1],
    "hcfa": [],
    "acfa": [],
    "wfl": [],
    "wfh": [],
}


def test_table_files_are_as_published_when_hashed() -> None:
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in TABLES.glob("*_*.csv")}
    assert found == SHA256


@pytest.mark.parametrize("name", BY_AGE)
def test_table_has_every_day_when_indexed_by_age(name: TableName) -> None:
    table = lms.table(name)
    first_day = 91 if name == "acfa" else 0
    assert table.m.shape == (2, 1857)
    assert np.array_equal(table.x, np.arange(1857))
    for part in (table.l, table.m, table.s):
        assert np.isnan(part[:, :first_day]).all()
        assert np.isfinite(part[:, first_day:]).all()


@pytest.mark.parametrize(
    ("name", "first_cm", "last_cm", "rows"), [("wfl", 45, 110, 651), ("wfh", 65, 120, 551)]
)
def test_table_has_every_step_when_indexed_by_length(
    name: TableName, first_cm: float, last_cm: float, rows: int
) -> None:
    table = lms.table(name)
    assert table.m.shape == (2, rows)
    assert (table.x[0], table.x[-1]) == (first_cm, last_cm)
    assert table.x[1] == pytest.approx(first_cm + 0.1)
    assert all(np.isfinite(part).all() for part in (table.l, table.m, table.s))


@pytest.mark.parametrize("name", FALLING)
def test_medians_rise_except_on_the_named_day_when_read_down_the_table(name: TableName) -> None:
    for medians in lms.table(name).m:
        falls = np.flatnonzero(np.diff(medians) <= 0) + 1
        assert falls.tolist() == FALLING[name]


def test_length_and_height_rows_differ_when_the_length_is_the_same() -> None:
    lying, standing = lms.table("wfl"), lms.table("wfh")
    shared = slice(200, 651)  # 65.0 to 110.0 cm
    for sex in (0, 1):
        same = (lying.m[sex, shared] == standing.m[sex, :451]) & (
            lying.s[sex, shared] == standing.s[sex, :451]
        )
        assert not same.any()


@pytest.mark.parametrize("name", ["wfl", "wfh"])
def test_power_is_one_number_for_each_sex_when_the_table_is_by_length(name: TableName) -> None:
    power = lms.table(name).l
    assert (power[0] == -0.3521).all()
    assert (power[1] == -0.3833).all()


@pytest.mark.parametrize("name", ["lhfa", "hcfa"])
def test_power_is_one_when_the_table_holds_a_length_or_a_head(name: TableName) -> None:
    assert (lms.table(name).l == 1).all()


def test_length_median_steps_down_when_lying_becomes_standing() -> None:
    medians = lms.table("lhfa").m
    assert medians[:, 730].tolist() == [87.8018, 86.4008]
    assert medians[:, 731].tolist() == [87.1303, 85.7299]


def test_length_tables_point_at_the_published_row_when_both_lie_end_to_end() -> None:
    joined = lms.length_tables()
    lying, standing = lms.table("wfl"), lms.table("wfh")
    assert joined.median[joined.rows_per_sex + joined.lying_offset + 653] == lying.m[1, 203]
    assert joined.median[joined.standing_offset + 653] == standing.m[0, 3]
    assert joined.spread[joined.rows_per_sex + joined.standing_offset + 1200] == standing.s[1, -1]


def test_tables_cannot_be_written_when_shared() -> None:
    for array in (lms.table("wfa").m, lms.table("wfa").x, lms.length_tables().median):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_table_says_which_there_are_when_the_name_is_unknown() -> None:
    with pytest.raises(KeyError, match="lhfa"):
        lms.table("tsfa")


@pytest.mark.parametrize(
    ("read", "given"),
    [(lms.table, ("wfl",)), (lms.table, ("wfa",)), (lms.length_tables, ()), (weight_gain._kbm_tables, ())],
)
def test_tables_are_the_same_when_they_are_read_anew(read: Any, given: tuple[str, ...]) -> None:
    held = read(*given)
    read.cache_clear()
    again = read(*given)  # counted here, whichever test read it first
    assert again is not held
    np.testing.assert_equal(told(again), told(held))


def told(found: Any) -> dict[str, Any]:
    """Give a table's arrays by name."""
    if isinstance(found, dict):
        return found
    return {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}
