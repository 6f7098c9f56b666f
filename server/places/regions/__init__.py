"""Administrative areas: the home ministry's codes and names, from regions.csv (origin: SOURCE.md).

Hides the file and its checks. Uses the standard library only.

- A parent comes before its children in the file.
- A code contains its level and parent; a row that contradicts its code is refused.
- Names are for people; data are joined by code only.
"""

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

__all__ = ["Kind", "Level", "Region", "read_regions", "regions"]

Level = Literal["province", "regency", "district", "village"]
Kind = Literal["provinsi", "kabupaten", "kota", "kecamatan", "desa", "kelurahan"]

COLUMNS = ("code", "parent_code", "level", "kind", "name", "posyandu_2024")
_CODE = re.compile(r"\d\d(\.\d\d(\.\d\d(\.\d{4})?)?)?", re.ASCII)
_VILLAGES: dict[str, tuple[Kind, ...]] = {"1": ("kelurahan",), "2": ("desa",)}
_LEVELS: tuple[Level, ...] = ("province", "regency", "district", "village")


@dataclass(frozen=True, slots=True)
class Region:
    """One administrative area.

    Attributes
    ----------
    code : ``PP``, ``PP.KK``, ``PP.KK.CC`` or ``PP.KK.CC.DDDD`` (Kepmendagri)
    parent_code : code of the area it lies in; None for a province
    level : here ``district`` is a kecamatan, as in official English; the ``district`` of keys and scopes is a
        kabupaten or kota, an area of level ``regency``
    kind : the Indonesian word; distinguishes desa from kelurahan and kabupaten from kota
    name : as in the list, without the kind
    posyandu_2024 : number of posyandu in 2024, of a kecamatan of Kukar; None where not published
    """

    code: str
    parent_code: str | None
    level: Level
    kind: Kind
    name: str
    posyandu_2024: int | None


@cache
def regions() -> tuple[Region, ...]:
    """Return Kalimantan Timur, Kutai Kartanegara and every area in it, in the order of their codes."""
    return read_regions(files(__name__).joinpath("regions.csv").read_text(encoding="utf-8").splitlines())


def read_regions(lines: Iterable[str]) -> tuple[Region, ...]:
    """Read areas from the lines of a CSV file with the columns of regions.csv.

    Parameters
    ----------
    lines : iterable of str, the header first

    Raises
    ------
    ValueError
        naming the row (the header is row 1) where a column is missing, a code is malformed or repeated,
        level, kind or parent contradict the code, the parent has not come before, a name is empty, or a count
        is not a whole number
    """
    reader = csv.DictReader(lines)
    missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise ValueError(f"row 1: missing column {', '.join(missing)}")
    found: dict[str, Region] = {}
    for number, row in enumerate(reader, start=2):
        try:
            region = _region(row)
            if region.code in found:
                raise ValueError(f"code {region.code} is there already")
            if region.parent_code is not None and region.parent_code not in found:
                raise ValueError(f"parent {region.parent_code} has not come before {region.code}")
        except ValueError as error:
            raise ValueError(f"row {number}: {error}") from None
        found[region.code] = region
    return tuple(found.values())


def _region(row: dict[str, str]) -> Region:
    """Check one row on its own."""
    code, name, count = row["code"] or "", (row["name"] or "").strip(), row["posyandu_2024"] or ""
    if not _CODE.fullmatch(code):
        raise ValueError(f"code {code!r} is not of the form PP.KK.CC.DDDD")
    level, parent_code = _LEVELS[code.count(".")], code.rpartition(".")[0]
    kind = next((k for k in _kinds(code) if k == row["kind"]), None)
    if kind is None or row["level"] != level or row["parent_code"] != parent_code:
        raise ValueError(f"level, kind or parent contradict the code {code}")
    if not name:
        raise ValueError(f"{code} has no name")
    if not re.fullmatch(r"\d*", count, re.ASCII):
        raise ValueError(f"posyandu_2024 {count!r} is not a whole number")
    return Region(code, parent_code or None, level, kind, name, int(count) if count else None)


def _kinds(code: str) -> tuple[Kind, ...]:
    """Return the kinds that a code can have: from 71 on a regency is a city; a village 1xxx is a kelurahan, 2xxx a desa."""
    *_, last = code.split(".")
    match code.count("."):
        case 0:
            return ("provinsi",)
        case 1:
            return ("kota",) if last >= "71" else ("kabupaten",)
        case 2:
            return ("kecamatan",)
        case _:
            return _VILLAGES.get(last[0], ())
