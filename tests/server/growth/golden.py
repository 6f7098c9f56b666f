"""The golden cases: what the WHO's R package ``anthro`` 1.1.0 answers for 20,214 made-up children.

Inputs and expected cells of ``who_golden.csv.gz`` as arrays, blank = NaN. Rows of the case "quirk" hold
values that cannot be measured (weight 0, length 0, negative): the reference scores some of them, we refuse.
"""

import csv
import gzip
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

GOLDEN_FILE = Path(__file__).with_name("who_golden.csv.gz")
SCORE_COLUMNS = {"haz": "len", "waz": "wei", "whz": "wfl", "baz": "bmi", "hcz": "hc", "acz": "ac"}


@dataclass(frozen=True, slots=True)
class Golden:
    """`inputs` are the arguments of `zscores`; `expected` the numbers of each output column."""

    case: npt.NDArray[np.str_]
    inputs: dict[str, npt.NDArray[Any]]
    expected: dict[str, npt.NDArray[np.float64]]
    position: npt.NDArray[np.int8]

    def rows(self, chosen: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        return {name: column[chosen] for name, column in self.inputs.items()}


@cache
def golden() -> Golden:
    """Read the file once for all tests."""
    with gzip.open(GOLDEN_FILE, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    def numbers(column: str) -> npt.NDArray[np.float64]:
        return np.array([float(row[column]) if row[column] else np.nan for row in rows])

    def positions(column: str) -> npt.NDArray[np.int8]:
        return np.array([("", "l", "h").index(row[column]) for row in rows], dtype=np.int8)

    age, in_months = numbers("age"), np.array([row["age_unit"] == "m" for row in rows])
    columns = ["clenhei", "c9mo_flag", "cbmi"]
    columns += [kind + name for name in SCORE_COLUMNS.values() for kind in "zf"]
    return Golden(
        case=np.array([row["case"] for row in rows]),
        inputs={
            "sex": np.array([int(row["sex"] or 0) for row in rows], dtype=np.int8),
            "age_days": np.where(in_months, np.nan, age),
            "age_months": np.where(in_months, age, np.nan),
            "weight_kg": numbers("weight"),
            "lenhei_cm": numbers("lenhei"),
            "position": positions("measure"),
            "headc_cm": numbers("headc"),
            "armc_cm": numbers("armc"),
            "oedema": np.array([row["oedema"] == "y" for row in rows]),
        },
        expected={column: numbers(column) for column in columns},
        position=positions("cmeasure"),
    )
