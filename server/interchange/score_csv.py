"""Add WHO z-scores to a CSV file of any length, in bounded memory. Hides the format and the accepted spellings of cells.

Rules kept here:

- Columns are found by name, in any order and letter case; other columns are copied unchanged.
- A row with an invalid cell is **refused**: it is written with empty scores, counted, and reported cell by cell with the
  rule and the remedy. The other rows are scored.
- A missing value is not an error: blank or ``NA`` (as R writes it) leaves only the scores that need it empty.
- The output has one row for each row of the input, in the same order, and all rows have the same number of cells.

Columns and their meaning are those of the WHO's ``anthro`` package: see ``docs/growth.md``.
"""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from io import TextIOWrapper
from itertools import chain, islice
from typing import IO, Any, BinaryIO, TextIO, TypeAlias

import numpy as np
import numpy.typing as npt

from server.growth.zscores import INDICATORS, LYING, STANDING, Indicator, Reason, ZScores, zscores
from server.translations import T_, Text

FloatArray: TypeAlias = npt.NDArray[np.float64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
Cells: TypeAlias = Sequence[str]

REQUIRED_COLUMNS = ("sex", "age")
OPTIONAL_COLUMNS = ("age_unit", "weight", "lenhei", "measure", "headc", "armc", "oedema")
_SCORE_COLUMNS = {
    "haz": ("zlen", "flen"),
    "waz": ("zwei", "fwei"),
    "whz": ("zwfl", "fwfl"),
    "baz": ("zbmi", "fbmi"),
    "hcz": ("zhc", "fhc"),
    "acz": ("zac", "fac"),
}
OUTPUT_COLUMNS = ("clenhei", "cmeasure", "c9mo_flag", "cbmi", *chain.from_iterable(_SCORE_COLUMNS.values()))

_ROWS_AT_A_TIME = 10_000

_SEX = {"": 0, "NA": 0, "1": 1, "1.0": 1, "m": 1, "M": 1, "2": 2, "2.0": 2, "f": 2, "F": 2}
_POSITION = {"": 0, "NA": 0, "l": LYING, "L": LYING, "h": STANDING, "H": STANDING}
_OEDEMA = {"": 0, "NA": 0, "n": 0, "N": 0, "2": 0, "2.0": 0, "y": 1, "Y": 1, "1": 1, "1.0": 1}
_AGE_UNIT = {"": 0, "NA": 0, "d": 0, "D": 0, "m": 1, "M": 1}

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+", re.ASCII)
_NOT_A_FINITE_NUMBER = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
_NEVER_IN_NUMBERS = re.compile(r"[^0-9.eE+\-\n]")

# Rule -> what is wrong and what to do.
RULES: dict[str, Text] = {
    "not-a-number": T_(
        "not a number: write the number alone, without its unit; leave empty what was not measured",
        "score sheet",
    ),
    "decimal-comma": T_("decimal comma: use a point, such as 9.5"),
    "not-finite": T_("not a finite number: leave empty what was not measured"),
    "negative-age": T_("negative age: check the birth date and the date of measurement"),
    "not-above-zero": T_("must be above 0: measure again, or leave empty what was not measured"),
    "sex-code": T_("sex: 1 or m (male), 2 or f (female), empty where unknown"),
    "measure-code": T_("measure: l (lying), h (standing), empty where unknown"),
    "oedema-code": T_("oedema: y or 1 (yes), n or 2 (no), empty is read as no"),
    "age-unit-code": T_("age unit: d (days) or m (months), empty is read as days"),
    "cell-count": T_(
        "the number of cells differs from the header: check the commas and quotation marks of this row"
    ),
}


@dataclass(frozen=True, slots=True)
class CellProblem:
    """One reason why a row was refused.

    Parameters
    ----------
    row : int
        Row of the sheet, as a spreadsheet counts it: the header is row 1.
    column : str
        Name of the column; empty where the row as a whole is wrong.
    value : str
        Content of the cell; where the row as a whole is wrong, its number of cells.
    rule : str
        Key of `RULES`.
    """

    row: int
    column: str
    value: str
    rule: str

    @property
    def remedy_id(self) -> str:
        """What is wrong and what to do, in Indonesian."""
        return RULES[self.rule].id

    @property
    def remedy_en(self) -> str:
        """What is wrong and what to do, in English."""
        return RULES[self.rule].en

    def __str__(self) -> str:
        column = f", kolom {self.column}" if self.column else ""
        return f"baris {self.row}{column}: {self.value!r} [{self.rule}] {self.remedy_id} / {self.remedy_en}"


@dataclass(frozen=True, slots=True)
class ScoreSummary:
    """Counts of a scored file; rows = scored + refused.

    Parameters
    ----------
    rows, scored, refused : int
        Rows read, scored (as far as their values go) and refused.
    rules : mapping of str to int
        How often each rule of `RULES` was broken; a row can break several.
    undefined : mapping of str to mapping of str to int
        For each score column, how many scored rows have no score, by name of the `Reason`.
    """

    rows: int
    scored: int
    refused: int
    rules: Mapping[str, int]
    undefined: Mapping[str, Mapping[str, int]]


def score_csv(
    source: BinaryIO | TextIO,
    target: BinaryIO | TextIO,
    *,
    errors: Callable[[CellProblem], None],
    progress: Callable[[int], None] | None = None,
) -> ScoreSummary:
    """Copy a CSV file and add WHO z-scores to every row.

    Parameters
    ----------
    source : binary or text stream
        Comma-separated, UTF-8 with or without a byte order mark, one header row. Required columns: sex, age.
        Optional: age_unit (d days, m months), weight (kg), lenhei (cm), measure (l, h), headc, armc (cm),
        oedema. Prefer a binary stream: bytes that are not UTF-8 are then copied unchanged in other columns.
    target : binary or text stream
        Gets the input's columns and `OUTPUT_COLUMNS` (columns of these names in the input are replaced), with
        lines ending in LF. Neither stream is closed.
    errors : callable
        Called with each problem of a refused row, in the order of rows.
    progress : callable, optional
        Called with the number of rows done so far, after every 10,000 rows.

    Returns
    -------
    ScoreSummary
        Counts, for the exit code and a closing line.

    Raises
    ------
    ValueError
        If the file as a whole cannot be read: empty, a required column missing, a column named twice, or a
        quotation mark that is never closed.
    """
    tally = _Tally()
    with _text(source) as text, _text(target) as sink:
        # Remove a byte order mark before csv sees it, or a quoted first heading would keep its quotation marks.
        reader = csv.reader(chain([text.readline().removeprefix("\ufeff")], text))
        writer = csv.writer(sink, lineterminator="\n")
        rows = _numbered(reader)
        layout = _layout(next(rows, (1, []))[1])
        writer.writerow([*layout.passed(layout.header), *OUTPUT_COLUMNS])
        while chunk := list(islice(rows, _ROWS_AT_A_TIME)):
            columns, problems = _score_rows(chunk, layout, tally)
            writer.writerows(zip(*columns, strict=True))
            for problem in problems:
                errors(problem)
            if progress is not None:
                progress(tally.rows)
    return tally.summary()


@dataclass(slots=True)
class _Tally:
    """Running counts of a file."""

    rows: int = 0
    refused: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    undefined: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, problems: Iterable[CellProblem], refused: BoolArray, scores: ZScores) -> None:
        self.rows += refused.size
        self.refused += int(refused.sum())
        self.rules.update(problem.rule for problem in problems)
        for name in INDICATORS:
            indicator: Indicator = getattr(scores, name)
            counts = np.bincount(indicator.reason[~refused], minlength=len(Reason))
            known = self.undefined.setdefault(_SCORE_COLUMNS[name][0], Counter())
            known.update({reason.name: int(counts[reason]) for reason in Reason if reason and counts[reason]})

    def summary(self) -> ScoreSummary:
        scored = self.rows - self.refused
        undefined = {column: dict(counts) for column, counts in self.undefined.items()}
        return ScoreSummary(self.rows, scored, self.refused, dict(self.rules), undefined)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where our columns are in a row, and which cells are copied."""

    header: list[str]
    at: dict[str, int]
    kept: list[int] | None  # None: all of them

    def passed(self, row: Sequence[Any]) -> Sequence[Any]:
        return row if self.kept is None else [row[index] for index in self.kept]


def _layout(header: list[str]) -> _Layout:
    names = [name.strip().casefold() for name in header]
    if not any(names):
        raise ValueError(T_("the file is empty, without a header row").both())
    for name in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS):
        if names.count(name) > 1:
            raise ValueError(T_("the column {name} is there twice").format(name=name).both())
    missing = [name for name in REQUIRED_COLUMNS if name not in names]
    if missing:
        hint = ""
        if len(header) == 1 and re.search(r"[;\t]", header[0]):
            hint = "; pisahkan kolom dengan koma / separate the columns by commas"
        raise ValueError(
            f"kolom {', '.join(missing)} tidak ada / column {', '.join(missing)} is missing{hint}; "
            f"judul yang ada / the header has: {', '.join(header)}"
        )
    ours = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
    kept = [index for index, name in enumerate(names) if name not in OUTPUT_COLUMNS]
    return _Layout(
        header=header,
        at={name: names.index(name) for name in ours if name in names},
        kept=None if len(kept) == len(header) else kept,
    )


@contextmanager
def _text(stream: BinaryIO | TextIO) -> Iterator[IO[str]]:
    """Wrap a stream as text, and unwrap it afterwards; bytes that are not UTF-8 are kept."""
    if hasattr(stream, "encoding"):
        yield stream  # type: ignore[misc]  # a stream with an encoding is a text stream, temporary files included
        return
    wrapper = TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape", newline="")
    try:
        yield wrapper
    finally:
        wrapper.detach()


def _numbered(reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Number the rows as a spreadsheet does, leaving out blank lines."""
    number = 0
    try:
        for number, row in enumerate(reader, start=1):
            if row:
                yield number, row
    except csv.Error as error:
        raise ValueError(
            f"setelah baris {number}: tanda kutip tidak ditutup? / after row {number}: "
            f"a quotation mark that is never closed? ({error})"
        ) from error


def _score_rows(
    chunk: list[tuple[int, list[str]]], layout: _Layout, tally: _Tally
) -> tuple[list[Sequence[str]], list[CellProblem]]:
    """Score one chunk: the columns to write, and the problems by row."""
    faults = _Faults([number for number, _ in chunk])
    width = len(layout.header)
    rows = []
    for index, (_, row) in enumerate(chunk):
        if len(row) != width:
            faults.add(index, "", str(len(row)), "cell-count")
            # Cut or filled up, so that no reader of the output finds scores in another column.
            row = (row + [""] * width)[:width]
        rows.append(row)
    cells: list[Cells] = list(zip(*rows, strict=True))
    scores = zscores(**_inputs({name: cells[index] for name, index in layout.at.items()}, faults))
    refused = faults.refused()
    problems = faults.in_order()
    tally.add(problems, refused, scores)
    return [*layout.passed(cells), *_output(scores, refused)], problems


class _Faults:
    """Collects the problems of a chunk."""

    def __init__(self, row_numbers: list[int]) -> None:
        self._row_numbers = row_numbers
        self._found: dict[int, list[CellProblem]] = {}

    def add(self, index: int, column: str, value: str, rule: str) -> None:
        problem = CellProblem(self._row_numbers[index], column, value, rule)
        # In a row with too many or too few cells, values are in the wrong columns: report nothing else about it.
        known = self._found.setdefault(index, [])
        if not (known and known[0].rule == "cell-count"):
            known.append(problem)

    def add_all(self, wrong: BoolArray, column: str, cells: Cells, rule: str) -> None:
        for index in np.flatnonzero(wrong).tolist():
            self.add(index, column, cells[index], rule)

    def refused(self) -> BoolArray:
        refused = np.zeros(len(self._row_numbers), np.bool_)
        refused[list(self._found)] = True
        return refused

    def in_order(self) -> list[CellProblem]:
        return [problem for index in sorted(self._found) for problem in self._found[index]]


def _inputs(cells: Mapping[str, Cells], faults: _Faults) -> dict[str, Any]:
    """Turn text columns into the arguments of `zscores`; an invalid cell becomes missing, and a fault."""
    age = _numbers("age", cells["age"], faults)
    faults.add_all(age < 0, "age", cells["age"], "negative-age")
    in_months = _coded("age_unit", cells, _AGE_UNIT, "age-unit-code", faults) == 1
    measured = {}
    for column, argument in (
        ("weight", "weight_kg"),
        ("lenhei", "lenhei_cm"),
        ("headc", "headc_cm"),
        ("armc", "armc_cm"),
    ):
        if column in cells:
            measured[argument] = _numbers(column, cells[column], faults)
            faults.add_all(measured[argument] <= 0, column, cells[column], "not-above-zero")
    return measured | {
        "sex": _coded("sex", cells, _SEX, "sex-code", faults),
        "age_days": np.where(in_months, np.nan, age),
        "age_months": np.where(in_months, age, np.nan),
        "position": _coded("measure", cells, _POSITION, "measure-code", faults),
        "oedema": _coded("oedema", cells, _OEDEMA, "oedema-code", faults) == 1,
    }


def _coded(
    column: str, cells: Mapping[str, Cells], codes: Mapping[str, int], rule: str, faults: _Faults
) -> npt.NDArray[np.int8]:
    """Read a column of codes; if the column does not exist, all its values are missing."""
    if column not in cells:
        return np.zeros(len(cells["age"]), np.int8)
    read = np.array([codes.get(cell, -1) for cell in cells[column]], dtype=np.int8)
    for index in np.flatnonzero(read == -1).tolist():
        read[index] = codes.get(cells[column][index].strip(), -1)
    faults.add_all(read == -1, column, cells[column], rule)
    return np.maximum(read, 0)


def _numbers(column: str, cells: Cells, faults: _Faults) -> FloatArray:
    """Read a column of numbers, NaN where blank or wrong.

    Python's `float` also reads "nan", "1_000" and digits of other scripts; a column with any other character than
    plain numbers need is therefore read cell by cell.
    """
    if not _NEVER_IN_NUMBERS.search("\n".join(cells)):
        try:
            read = np.array([float(cell) if cell else np.nan for cell in cells])
        except ValueError:
            pass
        else:
            faults.add_all(np.isinf(read), column, cells, "not-finite")
            return np.where(np.isinf(read), np.nan, read)
    read = np.full(len(cells), np.nan)
    for index, cell in enumerate(cells):
        rule, read[index] = _number(cell.strip())
        if rule:
            faults.add(index, column, cell, rule)
    return read


def _number(cell: str) -> tuple[str, float]:
    """Read one cell: the rule that it breaks, or "", and its number."""
    if cell in ("", "NA"):
        return "", np.nan
    if _NUMBER.fullmatch(cell):
        number = float(cell)
        return ("not-finite", np.nan) if np.isinf(number) else ("", number)
    if _NOT_A_FINITE_NUMBER.fullmatch(cell):
        return "not-finite", np.nan
    return ("decimal-comma" if _DECIMAL_COMMA.fullmatch(cell) else "not-a-number"), np.nan


def _output(scores: ZScores, refused: BoolArray) -> Iterator[list[str]]:
    """Write `OUTPUT_COLUMNS` as text, empty for refused rows."""
    yield _full_text(scores.lenhei_cm, refused)
    yield _coded_text(scores.position, ("", "l", "h"), refused)
    yield _coded_text(scores.standing_before_9_months.view(np.int8), ("0", "1", ""), refused)
    yield _full_text(scores.bmi, refused)
    for name in INDICATORS:
        indicator: Indicator = getattr(scores, name)
        yield _score_text(indicator.z, refused)
        yield _coded_text(indicator.implausible, ("0", "1", ""), refused)


def _coded_text(codes: npt.NDArray[np.int8], words: tuple[str, str, str], refused: BoolArray) -> list[str]:
    words_and_blank = np.array([*words, ""], dtype=object)
    text: list[str] = words_and_blank[np.where(refused, 3, codes % 3)].tolist()
    return text


def _full_text(values: FloatArray, refused: BoolArray) -> list[str]:
    """Write 15 significant digits: enough to compare with the reference to 1e-12."""
    shown = np.where(refused, np.nan, values)
    return [f"{value:.15g}" if value == value else "" for value in shown.tolist()]


def _score_text(z: FloatArray, refused: BoolArray) -> list[str]:
    """Write two decimals, with a table of texts: formatting six scores a row would take longer than computing them."""
    texts, limit = _two_decimals()
    shown = np.where(refused, np.nan, z)
    hundredths = np.clip(np.rint(shown * 100), -limit - 1, limit + 1)
    far = np.flatnonzero(np.abs(hundredths) > limit)
    at = np.where(np.isnan(hundredths), 2 * limit + 3, hundredths + limit + 1).astype(np.intp)
    text: list[str] = texts[at].tolist()
    for index in far.tolist():
        text[index] = f"{shown[index]:.2f}"
    return text


@cache
def _two_decimals() -> tuple[npt.NDArray[np.object_], int]:
    """Return the text of every hundredth from -limit - 1 to limit + 1, a blank after them, and the limit."""
    limit = 1_000
    hundredths = range(-limit - 1, limit + 2)
    return np.array([*(f"{value / 100:.2f}" for value in hundredths), ""], dtype=object), limit
