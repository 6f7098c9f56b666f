"""A survey's CSV -> rows to type into tablets. Hides columns, units and arithmetic.

Weights become whole grams and lengths whole millimetres by decimal arithmetic, halves up. Rounding is recorded, so that a
score that differs for that reason is not taken for a wrong one. Values are not checked here: impossible ones are typed as
they are, and the server refuses them. Only text in place of a number stops the run.
"""

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, TypeVar

from sync_protocol import Json

REQUIRED: Final = ("site", "team", "measured_on", "sex", "weight_kg", "height_cm", "muac_mm", "oedema")
BIRTH: Final = ("date_of_birth", "age_days")
SCORES: Final = {"haz": "zlen", "waz": "zwei", "whz": "zwfl", "baz": "zbmi", "acz": "zac"}
"""Our index -> the survey's column of scores; the column of implausible ones begins with f in place of z."""
MISSING: Final = ("", "NA")
OEDEMA: Final = {"n": "n", "y": "1", "1": "1", "2": "2", "3": "3"}
"""A survey says yes or no; yes is typed as the lowest grade."""
LARGEST: Final = Decimal(10) ** 9
TWO_DECIMALS: Final = Decimal("0.01")

Value = TypeVar("Value")


class Unusable(Exception):  # named for what the caller shows: it is wrong use, not a defect
    """The file, the server or the two together cannot be used. The text gives reason and remedy."""


@dataclass(frozen=True, slots=True)
class Exact:
    """What was measured, as in the file: kilograms, centimetres, millimetres; None if not measured."""

    weight_kg: Decimal | None
    height_cm: Decimal | None
    muac_mm: Decimal | None


@dataclass(frozen=True, slots=True)
class SurveyRow:
    """One child measured once.

    Parameters
    ----------
    label : names the row for a reader, such as "A-0001"
    born_on : ISO date; None if unknown
    weight_g, length_mm, muac_mm : integers, None if not measured
    oedema : "n", "1", "2", "3" or None
    rounded : register -> what was rounded, in words; empty for nearly all rows
    scores : index -> the file's score at two decimals, None if the file scores the row but not this index; an index without
        information in the file is left out
    implausible : index -> the file's mark, likewise
    """

    label: str
    site: str
    team: str
    measured_on: str
    sex: str | None
    born_on: str | None
    weight_g: int | None
    length_mm: int | None
    muac_mm: int | None
    oedema: str | None
    exact: Exact
    rounded: Mapping[str, str]
    scores: Mapping[str, Decimal | None]
    implausible: Mapping[str, bool]

    @property
    def age_days(self) -> int | None:
        """Completed days at measurement; None without a birth date."""
        if self.born_on is None:
            return None
        return (date.fromisoformat(self.measured_on) - date.fromisoformat(self.born_on)).days

    @property
    def oddities(self) -> Iterator[str]:
        """What is unusual about this row, in words."""
        yield from self.rounded.values()
        if self.born_on is None:
            yield "birth date unknown: only weight-for-length is scored"
        if self.sex is None:
            yield "sex unknown: nothing is scored"
        measured = {"weight": self.weight_g, "length": self.length_mm, "MUAC": self.muac_mm}
        yield from (f"no {part}: not set" for part, value in measured.items() if value is None)

    def identity(self) -> dict[str, Any]:
        """Return the identity of the child, with a name that is clearly made up."""
        name = f"Anak survei {self.label}"
        return {"name": name, "sex": self.sex, "born_on": self.born_on, "birth_order": None}

    def registers(self) -> dict[str, Json]:
        """Return the registers of the measurement; what was not measured is not set, nor is lying or standing."""
        registers: dict[str, Json] = {}
        if self.weight_g is not None or self.oedema is not None:
            registers["weight"] = {"weight_g": self.weight_g, "oedema": self.oedema}
        if self.length_mm is not None:
            registers["length"] = {"length_mm": self.length_mm, "position": None}
        if self.muac_mm is not None:
            registers["muac"] = {"muac_mm": self.muac_mm}
        return registers


def read_survey(file: Path) -> list[SurveyRow]:
    """Read a survey.

    Raises
    ------
    Unusable
        A column is missing, a value cannot be read, or there are no rows; with the line and the remedy.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as source:
            reader = csv.DictReader(source, strict=True)
            _check_columns(file, reader.fieldnames or ())
            rows = [_row(_Cells(file, reader.line_num, n, cells)) for n, cells in enumerate(reader, 1)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Unusable(f"{file} cannot be read as CSV in UTF-8: {error}") from error
    if not rows:
        raise Unusable(f"{file} has no rows below its header")
    return rows


def _check_columns(file: Path, present: Any) -> None:
    missing = [name for name in REQUIRED if name not in present]
    if missing:
        raise Unusable(f"{file} lacks the columns {', '.join(missing)}: the first line must name them")
    if not any(name in present for name in BIRTH):
        raise Unusable(f"{file} has neither date_of_birth nor age_days: give one of them")


@dataclass(frozen=True, slots=True)
class _Cells:
    """The cells of one line, and its position."""

    file: Path
    line: int
    number: int
    cells: Mapping[Any, Any]

    def text(self, name: str) -> str | None:
        found = (self.cells.get(name) or "").strip()
        return None if found in MISSING else found

    def read(self, name: str, as_what: Callable[[str], Value], example: str) -> Value | None:
        """Read a cell; None if it is empty."""
        found = self.text(name)
        if found is None:
            return None
        try:
            return as_what(found)
        except (ValueError, KeyError, InvalidOperation, OverflowError) as error:
            raise Unusable(
                f"{self.file}, line {self.line}: {name} is {found[:40]!r}: write {example}, or nothing"
            ) from error

    def needed(self, name: str) -> str:
        found = self.text(name)
        if found is None:
            raise Unusable(f"{self.file}, line {self.line}: {name} is empty: every row needs it")
        return found


def _row(cells: _Cells) -> SurveyRow:
    if None in cells.cells or None in cells.cells.values():
        raise Unusable(f"{cells.file}, line {cells.line}: not as many cells as the header has columns")
    cells.needed("measured_on")
    measured_on = cells.read("measured_on", date.fromisoformat, "a date such as 2023-12-04")
    exact = Exact(
        cells.read("weight_kg", _decimal, "kilograms such as 9.5"),
        cells.read("height_cm", _decimal, "centimetres such as 74.5"),
        cells.read("muac_mm", _decimal, "millimetres such as 142"),
    )
    rounded: dict[str, str] = {}
    scores = {
        index: cells.read(column, _decimal, "a score such as -1.25") for index, column in SCORES.items()
    }
    return SurveyRow(
        label=_label(cells),
        site=cells.needed("site"),
        team=cells.needed("team"),
        measured_on=str(measured_on),
        sex=cells.read("sex", lambda text: {"M": "M", "F": "F"}[text.upper()], "M or F"),
        born_on=_born_on(cells, measured_on or date.min),
        weight_g=_whole(exact.weight_kg, 1000, "kg", "g", "weight", rounded),
        length_mm=_whole(exact.height_cm, 10, "cm", "mm", "length", rounded),
        muac_mm=_whole(exact.muac_mm, 1, "mm", "mm", "muac", rounded),
        oedema=cells.read("oedema", lambda text: OEDEMA[text.lower()], "y, n, 1, 2 or 3"),
        exact=exact,
        rounded=rounded,
        scores=_given(cells, scores),
        implausible=_marks(cells),
    )


def _label(cells: _Cells) -> str:
    number = cells.text("row") or str(cells.number)
    survey = cells.text("survey")
    return f"{survey}-{number:0>4}" if survey else f"{number:0>4}"


def _decimal(text: str) -> Decimal:
    number = Decimal(text)
    if not number.is_finite() or abs(number) >= LARGEST:
        raise ValueError(text)
    return number


def _born_on(cells: _Cells, measured_on: date) -> str | None:
    born_on = cells.read("date_of_birth", date.fromisoformat, "a date such as 2021-06-03")
    age_days = cells.read("age_days", int, "whole days such as 913")
    if born_on is None and age_days is not None:
        born_on = cells.read("age_days", lambda text: measured_on - timedelta(days=int(text)), "whole days")
    return born_on.isoformat() if born_on else None


def _whole(
    exact: Decimal | None, factor: int, given: str, unit: str, register: str, rounded: dict[str, str]
) -> int | None:
    if exact is None:
        return None
    fine = exact * factor
    whole = fine.quantize(Decimal(1), ROUND_HALF_UP)
    if whole != fine:
        rounded[register] = (
            f"{register} {exact} {given} is finer than 1 {unit}: rounded half up to {whole} {unit}"
        )
    return int(whole)


def _given(cells: _Cells, scores: Mapping[str, Decimal | None]) -> dict[str, Decimal | None]:
    """Keep the scores about which the file has information: an empty one means "none" only in a row that was scored."""
    if all(score is None for score in scores.values()):
        return {}
    return {
        index: None if score is None else score.quantize(TWO_DECIMALS, ROUND_HALF_UP)
        for index, score in scores.items()
        if SCORES[index] in cells.cells
    }


def _marks(cells: _Cells) -> dict[str, bool]:
    marks = {
        index: cells.read(f"f{column[1:]}", lambda text: {"0": False, "1": True}[text], "0 or 1")
        for index, column in SCORES.items()
    }
    return {index: mark for index, mark in marks.items() if mark is not None}
