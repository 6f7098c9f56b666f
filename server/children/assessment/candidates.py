"""Combinations of the live values of registers in conflict, and how they are written into the arrays. Pure.

A measurement gets at most MOST_CANDIDATES combinations.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import product
from math import prod
from typing import Any, Final

import numpy as np

from server.children.assessment.timeline import POSITION, SEX, UNKNOWN, Integers, Timelines, Truths

MOST_CANDIDATES: Final = 64
"""Combinations of live values with which one measurement is scored: a faulty client must not exhaust the server."""

Candidate = tuple[
    str | None, date | None, int | None, str | None, int | None, str | None, int | None, int | None
]
"""Sex, birth date, weight, oedema, length, position, arm, head: one combination of live values."""


def combine(parts: Sequence[Sequence[tuple[Any, ...]]]) -> list[tuple[tuple[Any, ...], ...]]:
    """Combine the live values of several registers.

    Returns every combination, if there are at most MOST_CANDIDATES. Otherwise (four registers in conflict at once do not
    occur in honest use): all combinations of each register's lowest and highest value, and each other value once.
    """
    if prod(len(part) for part in parts) <= MOST_CANDIDATES:
        return list(product(*parts))
    ordered = [
        sorted(part, key=lambda value: tuple((v is not None, str(v).zfill(9)) for v in value))
        for part in parts
    ]
    ends = [[part[0], part[-1]] for part in ordered]
    chosen = list(product(*ends))
    for place, part in enumerate(ordered):
        chosen += [(*chosen[0][:place], value, *chosen[0][place + 1 :]) for value in part]
    return list(dict.fromkeys(chosen))[:MOST_CANDIDATES]


def measured_combinations(
    registers: Mapping[str, Sequence[Mapping[str, Any]]],
) -> list[tuple[int | None, str | None, int | None, str | None, int | None, int | None]]:
    """Return every combination of a measurement's live values: weight, oedema, length, position, arm, head."""

    def live(register: str, *fields: str) -> list[tuple[Any, ...]]:
        values = registers.get(register, ())
        return list(dict.fromkeys(tuple(v.get(f) for f in fields) for v in values)) or [(None,) * len(fields)]

    parts = [
        live("weight", "weight_g", "oedema"),
        live("length", "length_mm", "position"),
        live("muac", "muac_mm"),
        live("head", "head_mm"),
    ]
    return [(*weight, *length, *muac, *head) for weight, length, muac, head in combine(parts)]


def put_candidates(timelines: Timelines, where: slice, candidates: Sequence[Candidate]) -> None:
    """Write the candidates of one measurement into the arrays."""
    sexes, born, weights, oedemas, lengths, positions, arms, heads = zip(*candidates, strict=True)
    timelines.sex[where] = [SEX[sex] for sex in sexes]
    timelines.born_on[where] = np.array(born, "datetime64[D]")
    timelines.weight_g[where], timelines.oedema[where] = numbers(weights), has_oedema(oedemas)
    timelines.length_mm[where], timelines.position[where] = numbers(lengths), position_codes(positions)
    timelines.muac_mm[where], timelines.head_mm[where] = numbers(arms), numbers(heads)


def has_oedema(grades: Iterable[str | None]) -> Truths:
    """Say for each grade of oedema whether there is any; "n" is none."""
    return np.array([grade is not None and grade != "n" for grade in grades], np.bool_)


def position_codes(positions: Iterable[str | None]) -> Integers:
    """Return the codes of POSITION."""
    return np.array([POSITION[position] for position in positions], np.int64)


def numbers(values: Iterable[int | None]) -> Integers:
    """Return whole numbers, UNKNOWN for None."""
    return np.array([UNKNOWN if value is None else value for value in values], np.int64)
