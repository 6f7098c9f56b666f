"""Compare the z-scores of a file with ours: how many were compared, how far they differ, and where a category differs.

The file's scores are never stored as ours. Ours usually differ by 0.1 to 0.2 (domain.md section 3.1: the age rule of the
ministry's software is not published), so only differences above 0.3, or of the category, are reported.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from server.growth.status import length_for_age_status, wasting_status, weight_for_age_status
from server.growth.zscores import FEMALE, LYING, MALE, STANDING, ZScores, zscores
from server.interchange.sigizi import SigiziRow, plain

FAR: Final = 0.3
MOST_LISTED: Final = 20
INDICES: Final = ("waz", "haz", "whz")


@dataclass(slots=True)
class ScoreComparison:
    """The comparison of one index: rows `compared`; `far`, that differ by more than FAR; `categories` that differ;
    `outliers`, implausible in the file or here but not in both; and the `largest` differences: (theirs minus ours, row)."""

    compared: int = 0
    far: int = 0
    categories: int = 0
    outliers: int = 0
    largest: list[tuple[float, int]] = field(default_factory=list)

    def merge(self, other: "ScoreComparison") -> None:
        """Add the comparison of other rows."""
        self.compared += other.compared
        self.far += other.far
        self.categories += other.categories
        self.outliers += other.outliers
        self.keep_largest(other.largest)

    def keep_largest(self, found: Sequence[tuple[float, int]]) -> None:
        """Keep the largest differences."""
        ordered = sorted([*self.largest, *found], key=lambda one: (-abs(one[0]), one[1]))
        self.largest = ordered[:MOST_LISTED]

    def wire(self) -> dict[str, Any]:
        """Write it as JSON."""
        largest = [{"row": row, "difference": round(apart, 2)} for apart, row in self.largest]
        return {
            "compared": self.compared,
            "far": self.far,
            "categories": self.categories,
            "outliers": self.outliers,
            "largest": largest,
        }


def scored(rows: Sequence[SigiziRow]) -> ZScores:
    """Score the measurements of rows, all at once."""

    def value(row: SigiziRow, register: str, name: str, unit: int) -> float:
        whole = row.measured.get(register, {}).get(name)
        return np.nan if whole is None else whole / unit

    days = [
        (row.measured_on - row.born_on).days if row.measured_on and row.born_on else np.nan for row in rows
    ]
    positions = {"lying": LYING, "standing": STANDING}
    return zscores(
        sex=np.array([{"M": MALE, "F": FEMALE}.get(row.sex or "", 0) for row in rows], np.int64),
        age_days=np.array([day if day >= 0 else np.nan for day in days], np.float64),
        weight_kg=np.array([value(row, "weight", "weight_g", 1000) for row in rows]),
        lenhei_cm=np.array([value(row, "length", "length_mm", 10) for row in rows]),
        position=np.array(
            [positions.get(row.measured.get("length", {}).get("position") or "", 0) for row in rows], np.int64
        ),
        oedema=np.array(
            [(row.measured.get("weight", {}).get("oedema") or "n") != "n" for row in rows], np.bool_
        ),
    )


def compare(rows: Sequence[SigiziRow], comparisons: dict[str, ScoreComparison]) -> None:
    """Compare the scores of rows with ours; add to `comparisons`, and note the rows that differ."""
    rows = [row for row in rows if row.scores]
    if not rows:
        return
    ours = scored(rows)
    oedema = np.array(
        [(row.measured.get("weight", {}).get("oedema") or "n") != "n" for row in rows], np.bool_
    )
    statuses = {
        "waz": weight_for_age_status(ours.waz.z),
        "haz": length_for_age_status(ours.haz.z),
        "whz": wasting_status(ours.whz.z, oedema),
    }
    for index in INDICES:
        z, implausible = getattr(ours, index).z.tolist(), getattr(ours, index).implausible.tolist()
        found, differences = comparisons.setdefault(index, ScoreComparison()), list[tuple[float, int]]()
        for place, row in enumerate(rows):
            theirs = row.scores.get(index)
            if theirs is None or z[place] != z[place]:
                continue
            found.compared += 1
            if theirs == "outlier" or implausible[place] == 1:
                found.outliers += (theirs == "outlier") != (implausible[place] == 1)
                continue
            apart = float(theirs) - z[place]
            status = class_of(index, row.statuses.get(index, ""))
            other = status is not None and status != int(statuses[index][place])
            found.far += abs(apart) > FAR
            found.categories += other
            if abs(apart) > FAR or other:
                row.notes.append("score-differs")
                row.apart.append((index, float(theirs), round(z[place], 2)))
            differences.append((apart, row.number))
        found.keep_largest(differences)


_CLASSES: Final = {
    "waz": ("sangatkurang", "kurang", "normal", "risikolebih"),
    "haz": ("sangatpendek", "pendek", "normal", "tinggi"),
    "whz": ("buruk", "kurang", "baik", "risikolebih", "lebih", "obesitas"),
}
"""The ministry's labels without their optional words, in the order of the classes of `growth.status`."""


def class_of(index: str, text: str) -> int | None:
    """Give the class that a category label names; None for a blank or unknown label.

    Spelling differs from file to file ("Gizi kurang", "Gizi Kurang (Wasted)", "Kurang"), so optional words are removed.
    """
    word = plain(text.partition("(")[0])
    for optional in ("beratbadan", "gizi"):
        word = word.replace(optional, "")
    word = word.replace("berisiko", "risiko")
    return _CLASSES[index].index(word) if word in _CLASSES[index] else None
