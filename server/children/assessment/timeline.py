"""The measurements of some children as arrays: what scoring and rules work on. Pure.

A measurement has one candidate for each combination of its live values; nearly always that is one. `Rows` has one element
for each measurement, `Timelines` one for each candidate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import numpy.typing as npt

INDICES: Final = ("haz", "waz", "whz", "baz", "hcz", "acz")
SEX: Final = {"M": 1, "F": 2, None: 0}
POSITION: Final = {"lying": 1, "standing": 2, None: 0}
UNKNOWN: Final = -1
"""Stands for a missing whole number: no weight, length or circumference is negative."""

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Days = npt.NDArray[np.datetime64]
Truths = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Rows:
    """Measurements as stored, one array or sequence per column, because thousands are read to change a few.

    Parameters
    ----------
    child : index into `Timelines.children`
    source : "cadre" or "staff"
    conflicts : the record's marks, separated by spaces: registers in conflict, "removed", "incomplete"
    inputs : hash of the inputs of the stored assessment; None without one
    clock_days : by how many days a wrong clock may have shifted the day of measuring
    """

    child: Integers
    measured_on: Days
    source: Sequence[str]
    conflicts: Sequence[str]
    inputs: Sequence[int | None]
    clock_days: Integers

    def __len__(self) -> int:
        return len(self.source)

    def day(self, number: int) -> date:
        """Return a measurement's day."""
        day: date = self.measured_on[number].item()
        return day

    def subject(self, number: int) -> str:
        """Return the name of a measurement within its child: "2026-11-03/cadre"."""
        return f"{self.day(number)}/{self.source[number]}"


@dataclass(frozen=True, slots=True)
class Timelines:
    """All candidates of the measurements of some children, ordered by child, day and source ("staff" last).

    Parameters
    ----------
    children, child_ids : one element a person: of linked children only the canonical record
    rows : the measurements
    removed : measurements that were removed, or now belong to another child of the same person, but still have a stored
        assessment
    measurement : by candidate: index into `rows`
    child : by candidate: index into `children`
    sex, born_on, … head_mm : by candidate; missing numbers are UNKNOWN, missing dates NaT
    members : index into `children` by the id of every child that was loaded
    regrouped : children whose group of linked records has just changed
    """

    child_ids: Sequence[str]
    children: Sequence[Any]
    rows: Rows
    removed: Sequence[Any]
    measurement: Integers
    child: Integers
    sex: Integers
    born_on: Days
    measured_on: Days
    weight_g: Integers
    oedema: Truths
    length_mm: Integers
    position: Integers
    muac_mm: Integers
    head_mm: Integers
    members: Mapping[str, int]
    regrouped: frozenset[str] = frozenset()


def first_candidates(measurement: Integers, count: int) -> Integers:
    """Return the place of each measurement's first candidate.

    Parameters
    ----------
    measurement : `Timelines.measurement`
    count : number of measurements
    """
    return np.searchsorted(measurement, np.arange(count)).astype(np.int64)
