"""What people and Excel write in a cell, and what it means."""

from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given, strategies as st

from server.interchange import cells
from server.interchange.sheets import Cell
from server.interchange.sheets.excel_dates import moment_of

DAY = date(2026, 3, 5)


@pytest.mark.parametrize(
    ("cell", "whole", "note"),
    [
        ("9,5", 9500, ""),
        ("9.5", 9500, ""),
        (9.5, 9500, ""),
        ("9", 9000, ""),
        ("9.456", 9456, ""),
        (9.449999999999999, 9450, ""),
        ("9500", 9500, "read-as-grams"),
        (9500.0, 9500, "read-as-grams"),
        ("95", 95000, ""),
        ("300", 300_000, ""),
    ],
)
def test_weight_is_read_in_grams(cell: Cell, whole: int, note: str) -> None:
    assert cells.grams(cell) == cells.Number(whole, note)


@pytest.mark.parametrize(
    ("cell", "rule"),
    [
        (moment_of(46151), "excel-date"),
        ("09/05/2026", "excel-date"),
        ("9-Mei-26", "excel-date"),
        (time(9, 5), "excel-time"),
        ("9:05", "excel-time"),
        ("9,5 kg", "not-number"),
        ("1.234,5", "not-number"),
        ("sembilan", "not-number"),
        (float("nan"), "not-number"),
        ("#N/A", "not-number"),
    ],
)
def test_what_is_no_number_is_refused_by_its_rule(cell: Cell, rule: str) -> None:
    with pytest.raises(cells.CellError) as wrong:
        cells.grams(cell)
    assert wrong.value.rule == rule


@pytest.mark.parametrize("cell", ["", "-", " - ", "–", "'"])
def test_blank_is_no_number_no_day_and_no_text(cell: str) -> None:
    assert cells.is_blank(cell)
    assert cells.number(cell) is None
    assert cells.day(cell) is None
    assert cells.text(cell) == ""


@pytest.mark.parametrize(
    ("cell", "note"),
    [
        ("2026-03-05", ""),
        ("2026-03-05 00:00:00", ""),
        ("05/03/2026", ""),
        ("5-3-2026", ""),
        ("5.3.2026", ""),
        ("05 Maret 2026", ""),
        ("5-Mar-26", "two-digit-year"),
        ("05/03/26", "two-digit-year"),
        (moment_of(46086), ""),
        (46086.0, "date-from-serial"),
        ("46086", "date-from-serial"),
    ],
)
def test_date_is_read_however_it_is_written(cell: Cell, note: str) -> None:
    found = cells.day(cell)
    assert found is not None
    assert (found.day, found.note) == (DAY, note)


def test_date_with_the_month_first_is_read_where_it_can_be_nothing_else() -> None:
    assert cells.day("03/25/2026") == cells.CellDate(date(2026, 3, 25), "month-first")


@pytest.mark.parametrize(
    "cell", ["31/02/2026", "2026-13-01", "kemarin", "5/Foo/2026", 9500.0, 1e9, time(9, 5)]
)
def test_what_is_no_date_is_refused(cell: Cell) -> None:
    with pytest.raises(cells.CellError, match="not-date"):
        cells.day(cell)


@given(st.dates(date(1990, 1, 1), date(2099, 12, 31)))
def test_serial_number_is_the_day_that_excel_shows(day: date) -> None:
    serial = float((day - date(1899, 12, 30)).days)
    assert moment_of(serial) == datetime.combine(day, time())
    assert cells.day(serial).day == day  # type: ignore[union-attr]  # it is no blank


@given(st.dates(date(2010, 1, 1), date(2026, 1, 1)), st.integers(0, 1900))
def test_age_in_words_says_the_days_apart(born_on: date, days: int) -> None:
    on = born_on + timedelta(days=days)
    months, beyond = cells.age_on(born_on, on)
    assert months >= 0
    assert 0 <= beyond <= 31
    told = f"{months // 12} Tahun - {months % 12} Bulan - {beyond} Hari"
    assert cells.age(told) == (months, beyond)
