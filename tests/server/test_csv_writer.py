"""Rows as CSV and as text tables."""

from collections.abc import Mapping
from typing import Any

import pytest

from server.csv_writer import csv_line, csv_text, spreadsheet_safe, text_table

ROWS: list[Mapping[str, Any]] = [{"name": "Anak Contoh", "z": -3.21}, {"name": "=1+1", "z": None}]


@pytest.mark.parametrize(
    "text", ["=1+1", " =1", "+cmd|' /C calc'!A0", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\tAnak"]
)
def test_text_that_a_spreadsheet_would_run_has_an_apostrophe(text: str) -> None:
    assert spreadsheet_safe(text) == f"'{text}"


@pytest.mark.parametrize("value", ["-", "-2.31", "+62811000000", "-2,31", "Anak", " Anak", "", -3.21, None])
def test_value_that_cannot_be_run_stays_as_it_is(value: object) -> None:
    assert spreadsheet_safe(value) == value


def test_csv_has_a_header_and_no_formula() -> None:
    assert csv_text(["name", "z"], ROWS) == "name,z\nAnak Contoh,-3.21\n'=1+1,\n"
    assert csv_line(["a,b", "@x"]) == '"a,b",\'@x\r\n'


def test_text_table_is_as_wide_as_its_widest_cells_and_has_no_control_characters() -> None:
    rows = [*ROWS, {"name": "a\x1b[31m", "z": 1}]
    assert text_table(["name", "z"], rows).splitlines() == [
        "name         z",
        "Anak Contoh  -3.21",
        "=1+1         –",
        "a?[31m       1",
    ]


def test_text_table_without_rows_is_its_header() -> None:
    assert text_table(["name", "z"], []) == "name  z"
