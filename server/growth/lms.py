"""The WHO growth tables. Hides the files and how they are read.

Rules:

- the files under ``tables/`` are the tables as published, never smoothed, rounded or patched
  (``tables/SOURCE.md``);
- they are read once, on first use, into dense read-only arrays indexed ``[sex][row]``;
- a row that the standard does not have (arm circumference before day 91) is NaN, so a wrong look-up gives no
  number.
"""

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]
TableName: TypeAlias = Literal["lhfa", "wfa", "bfa", "hcfa", "acfa", "wfl", "wfh"]

TABLE_NAMES: tuple[TableName, ...] = ("lhfa", "wfa", "bfa", "hcfa", "acfa", "wfl", "wfh")
LAST_PUBLISHED_DAY = 1856

# First row of the two tables by length, in steps of 0.1 cm: a float such as 65.3 is not a safe key.
FIRST_LENGTH_STEP: dict[TableName, int] = {"wfl": 450, "wfh": 650}


@dataclass(frozen=True, slots=True)
class LmsTable:
    """One WHO table: power L, median M and coefficient of variation S, by sex and row.

    Parameters
    ----------
    x : array of float, shape (rows,)
        Completed days 0, 1, 2, ... 1856 for the tables by age; centimetres in steps of 0.1 for wfl and wfh.
    l, m, s : arrays of float, shape (2, rows)
        Row 0 of the first axis is sex 1 (male), row 1 is sex 2 (female). M is in cm (lhfa, hcfa, acfa),
        kg (wfa, wfl, wfh) or kg/m2 (bfa); L and S have no unit. NaN where WHO publishes no row.
    """

    x: FloatArray
    l: FloatArray  # noqa: E741 - the name the method has had since 1990
    m: FloatArray
    s: FloatArray


@cache
def table(name: TableName) -> LmsTable:
    """Return one WHO table, read from the package on its first use.

    Parameters
    ----------
    name : one of `TABLE_NAMES`
        Length/height, weight, BMI, head and arm circumference for age; weight for length and for height.

    Returns
    -------
    LmsTable
        Its arrays are read-only and shared by all callers.

    Raises
    ------
    KeyError
        If there is no table of that name.

    Notes
    -----
    Source: WHO 2006 and 2007, see ``tables/SOURCE.md``.
    """
    if name in FIRST_LENGTH_STEP:
        rows = _read(f"{name}_0.1cm.csv")
        key = np.rint(rows[:, 1] * 10).astype(np.intp) - FIRST_LENGTH_STEP[name]
        x = (np.arange(key.max() + 1) + FIRST_LENGTH_STEP[name]) / 10
    elif name in TABLE_NAMES:
        rows = _read(f"{name}_daily.csv")
        key = rows[:, 1].astype(np.intp)
        x = np.arange(LAST_PUBLISHED_DAY + 1, dtype=np.float64)
    else:
        raise KeyError(f"no growth table is called {name!r}; there are {', '.join(TABLE_NAMES)}")
    dense = np.full((3, 2, x.size), np.nan)
    dense[:, rows[:, 0].astype(np.intp) - 1, key] = rows[:, 2:5].T
    for array in (x, dense):
        array.flags.writeable = False
    return LmsTable(x, *dense)


def _read(file_name: str) -> FloatArray:
    """Return the rows of a table file: sex, age or length, L, M, S."""
    with (resources.files(__package__) / "tables" / file_name).open(encoding="ascii") as file:
        return np.loadtxt(file, delimiter=",", skiprows=1)


@dataclass(frozen=True, slots=True)
class LengthTables:
    """Weight-for-length and weight-for-height joined into one table, so that one look-up serves both.

    Parameters
    ----------
    power : array of float, shape (2,)
        L by sex: in these two tables L is the same in all rows of a sex (tested).
    median, spread : arrays of float, shape (2 * rows_per_sex,)
        M (kg) and S; male before female, and within a sex lying before standing.
    rows_per_sex : int
        Where the rows of the second sex begin.
    lying_offset, standing_offset : int
        What to add to a length in steps of 0.1 cm (653 for 65.3 cm) to find its row.
    """

    power: FloatArray
    median: FloatArray
    spread: FloatArray
    rows_per_sex: int
    lying_offset: int
    standing_offset: int


@cache
def length_tables() -> LengthTables:
    """Return wfl and wfh as one flat, read-only table; see `LengthTables`."""
    lying, standing = table("wfl"), table("wfh")
    median = np.concatenate((lying.m, standing.m), axis=1).ravel()
    spread = np.concatenate((lying.s, standing.s), axis=1).ravel()
    for array in (median, spread):
        array.flags.writeable = False
    return LengthTables(
        power=lying.l[:, 0],
        median=median,
        spread=spread,
        rows_per_sex=lying.x.size + standing.x.size,
        lying_offset=-FIRST_LENGTH_STEP["wfl"],
        standing_offset=lying.x.size - FIRST_LENGTH_STEP["wfh"],
    )
