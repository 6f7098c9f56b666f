"""The rules of the standard for one child at a time, in plain Python: a second opinion for tests and benches.

Written from the rules, not from the engine: own tables from the files, own branches, no NumPy, no reasons.
"""

import csv
import math
from functools import cache
from pathlib import Path
from typing import TypeAlias

import server.growth

Row: TypeAlias = tuple[float, float, float]
TABLES = Path(server.growth.__file__).with_name("tables")


@cache
def read_table(file_name: str, steps_per_unit: int) -> dict[tuple[int, int], Row]:
    """Read a table file as (sex, day or 0.1 cm step) -> L, M, S."""
    with (TABLES / file_name).open(encoding="ascii", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return {
        (int(sex), round(float(x) * steps_per_unit)): (float(power), float(median), float(spread))
        for sex, x, power, median, spread in rows
    }


def value_at(z: float, row: Row) -> float:
    power, median, spread = row
    return float(median * (1 + power * spread * z) ** (1 / power))


def score(measured: float | None, row: Row | None, restricted: bool) -> float | None:
    if measured is None or row is None or measured <= 0:
        return None
    power, median, spread = row
    z = ((measured / median) ** power - 1) / (spread * power)
    if restricted and z > 3:
        z = 3 + (measured - value_at(3, row)) / (value_at(3, row) - value_at(2, row))
    elif restricted and z < -3:
        z = -3 + (measured - value_at(-3, row)) / (value_at(-2, row) - value_at(-3, row))
    return round(z, 2)


def length_row(sex: int, lenhei_cm: float, on_height_table: bool) -> Row | None:
    shortest, longest = (65, 120) if on_height_table else (45, 110)
    if not shortest <= lenhei_cm <= longest:
        return None
    table = read_table("wfh_0.1cm.csv" if on_height_table else "wfl_0.1cm.csv", 10)
    step = math.trunc(lenhei_cm * 10)
    fraction = (lenhei_cm - step / 10) / 0.1
    lower = table[sex, step]
    if fraction <= 0:
        return lower
    upper = table[sex, math.trunc(lenhei_cm * 10 + 1)]
    power, median, spread = (low + fraction * (high - low) for low, high in zip(lower, upper, strict=True))
    return power, median, spread


def plain_zscores(
    sex: int, age_days: float, weight_kg: float, lenhei_cm: float, position: int, oedema: bool
) -> dict[str, float | None]:
    """Score one child of known age in the four indices of Permenkes 2/2020; None where there is no score."""
    day = math.floor(age_days + 0.5)
    months = age_days / 30.4375
    if sex == 0 or not months < 60:
        return dict.fromkeys(("haz", "waz", "whz", "baz"))
    if position == 2 and months < 9:
        position = 0
    on_height_table = day >= 731
    if on_height_table and position == 1:
        lenhei_cm -= 0.7
    elif not on_height_table and position == 2:
        lenhei_cm += 0.7
    haz = score(lenhei_cm, read_table("lhfa_daily.csv", 1)[sex, day], restricted=False)
    if oedema:
        return {"haz": haz, "waz": None, "whz": None, "baz": None}
    bmi = weight_kg / (lenhei_cm / 100) ** 2
    return {
        "haz": haz,
        "waz": score(weight_kg, read_table("wfa_daily.csv", 1)[sex, day], restricted=True),
        "whz": score(weight_kg, length_row(sex, lenhei_cm, on_height_table), restricted=True),
        "baz": score(bmi, read_table("bfa_daily.csv", 1)[sex, day], restricted=True),
    }
