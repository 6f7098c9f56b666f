"""Due dates of tasks and lengths of PMT courses, read from a file that an installation can replace.

The file that comes with the server names its sources and where they disagree; POSYANDU_GUIDELINE names another of the same
format. It only proposes: whoever decides may set any date.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from server.children.review_queue import NO_FLAG, RED

SHIPPED: Final = Path(__file__).parent / "guideline.toml"
MOST_DAYS, MOST_WEEKS = 365, 52
URGENCIES: Final = range(RED, NO_FLAG)
PLANNED: Final = (
    *("take", "remeasure", "refer_puskesmas", "refer_hospital"),
    *("home_visit", "counsel", "ask"),
)
"""Actions with a due date in the guideline; a PMT course has weeks instead."""


@dataclass(frozen=True, slots=True)
class Guideline:
    """Due days by action and urgency, weeks of a PMT course by the flag it is for, and flags that exclude a course."""

    version: str
    sources: Sequence[str]
    due_days: Mapping[str, Mapping[int, int]]
    pmt_weeks: Mapping[str, int]
    pmt_excluded: Sequence[str]

    def due_on(self, action: str, urgency: int, today: date) -> date:
        """Propose a due date.

        Parameters
        ----------
        urgency : of the child's most urgent flag, 1 to 4; 5 (no flag) counts as 4
        """
        return today + timedelta(days=self.due_days[action][min(urgency, NO_FLAG - 1)])

    def course_for(self, rules: Sequence[str]) -> tuple[str, int] | None:
        """Propose a PMT course: the flag and the weeks of the longest that one of the child's flags calls for."""
        if not set(rules).isdisjoint(self.pmt_excluded):
            return None
        fitting = [(weeks, rule) for rule, weeks in self.pmt_weeks.items() if rule in rules]
        if not fitting:
            return None
        weeks, rule = max(fitting, key=lambda found: found[0])
        return rule, weeks


@cache
def guideline(path: Path = SHIPPED) -> Guideline:
    """Read a guideline.

    Raises
    ------
    ValueError
        The file cannot be used; the message says what is wrong and where.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        made = Guideline(
            _text(raw["version"], "version"),
            tuple(_text(each, "sources") for each in raw["sources"]),
            {action: _days(raw["due_days"][action], action) for action in PLANNED},
            {rule: _whole(n, f"pmt_weeks.{rule}", MOST_WEEKS, 1) for rule, n in raw["pmt_weeks"].items()},
            tuple(_text(each, "pmt_excluded") for each in raw["pmt_excluded"]),
        )
    except OSError as error:
        raise ValueError(f"the guideline {path} cannot be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"the guideline {path} is not TOML: {error}") from error
    except KeyError as error:
        raise ValueError(
            f"the guideline {path} lacks {error.args[0]!r}: compare it with {SHIPPED.name}"
        ) from error
    except (TypeError, AttributeError) as error:
        raise ValueError(f"the guideline {path} is not of the form of {SHIPPED.name}: {error}") from error
    return made


def _days(given: Mapping[str, Any], action: str) -> dict[int, int]:
    return {u: _whole(given[str(u)], f"due_days.{action}.{u}", MOST_DAYS, 0) for u in URGENCIES}


def _whole(value: object, where: str, most: int, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"{where} is {value!r} in the guideline: give a whole number from {least} to {most}")
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{where} is {value!r} in the guideline: give text")
    return value
