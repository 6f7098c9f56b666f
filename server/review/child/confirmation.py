"""Whether a low index is indicated by the cadres' measurements, or confirmed by the health centre's second one. Pure.

Rules kept here:
- *Terindikasi* (indicated) is the result of a cadre's newest measurement of an index; *terkonfirmasi* (confirmed) needs a
  second measurement by the health centre. Nothing else turns indicated into confirmed.
- A score is judged by its class (`growth.status`), so page, flags and this module agree: -2.00 is not below -2.
- Of values in conflict, any low candidate is enough for "indicated"; a second measurement confirms or clears only if all its
  candidates agree.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from server.review.child.visits import Visit

CONFIRMED, CLEARED, DISPUTED, INDICATED, FINE, UNKNOWN = (
    *("confirmed", "cleared", "disputed"),
    *("indicated", "fine", "unknown"),
)
JUDGED: Final = ("haz", "whz")
"""Stunting and wasting: the indices that need a second measurement."""
ABOUT: Final[Mapping[str, str]] = {
    **dict.fromkeys(("stunted", "severely_stunted"), "haz"),
    **dict.fromkeys(("wasted", "severely_wasted", "oedema"), "whz"),
}
"""Flags that a second measurement confirms or clears -> the index that decides."""
LOW: Final[Mapping[str, int]] = {
    **{"pendek": 1, "sangat_pendek": 2},
    **{"gizi_kurang": 1, "gizi_buruk": 2},
    **{"bb_kurang": 1, "bb_sangat_kurang": 2},
}
"""Classes below -2 and below -3; every other class is 0."""
CADRE, STAFF = "cadre", "staff"


@dataclass(frozen=True, slots=True)
class Run:
    """How long a child has been below -2 without a break: since when, and in how many measurements."""

    since: date
    times: int


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Whether an index below -2 was confirmed.

    Parameters
    ----------
    index : haz (stunting) or whz (wasting)
    state : "confirmed" or "cleared" by a second measurement, "disputed" while its values are in conflict; without one
        "indicated" or "fine" by a cadre's; "unknown" if the index was never scored
    indicated_on : day of the cadres' newest measurement, if that is below -2
    measured_on : day of the second measurement; None without one
    z : its score; None where oedema voids it or values are in conflict
    severe : the measurement that decides `state` is below -3
    again : the cadres' newest measurement is newer than the second one, and below -2
    """

    index: str
    state: str
    indicated_on: date | None
    measured_on: date | None
    z: float | None
    severe: bool
    again: bool

    @property
    def telling(self) -> bool:
        """Say whether there is anything to show: a child who never was below -2 needs no confirmation."""
        return self.state in (CONFIRMED, DISPUTED, INDICATED) or self.indicated_on is not None


def confirmation(index: str, visits: Iterable[Visit]) -> Confirmation:
    """Judge one index of a child.

    Parameters
    ----------
    index : haz or whz
    visits : of one child, in any order; removed ones have no candidates and do not count
    """
    having = _having(index, visits)
    cadre, staff = _newest(having, CADRE), _newest(having, STAFF)
    worst = max(_classes(index, cadre)) if cadre else 0
    indicated_on = cadre.measured_on if cadre and worst else None
    if staff is None:
        state = INDICATED if worst else FINE if cadre else UNKNOWN
        return Confirmation(index, state, indicated_on, None, None, severe=worst == 2, again=False)
    classes = _classes(index, staff)
    state = CONFIRMED if min(classes) else DISPUTED if max(classes) else CLEARED
    scores = {candidate.scores[index].z for candidate in staff.candidates}
    return Confirmation(
        index,
        state,
        indicated_on,
        staff.measured_on,
        scores.pop() if len(scores) == 1 else None,
        severe=min(classes) == 2,
        again=indicated_on is not None and indicated_on > staff.measured_on,
    )


def run(index: str, visits: Iterable[Visit]) -> Run | None:
    """Give since when, and in how many measurements up to the newest, an index has been below -2; None if it is not.

    Parameters
    ----------
    index : haz, waz or whz
    visits : of one child, in any order
    """
    since, times = None, 0
    for visit in reversed(_having(index, visits)):
        if not max(_classes(index, visit)):
            break
        since, times = visit.measured_on, times + 1
    return Run(since, times) if since else None


def _having(index: str, visits: Iterable[Visit]) -> list[Visit]:
    """Give the visits in which the index has a class, oldest first; on the same day the second measurement is last."""
    having = [visit for visit in visits if _classes(index, visit)]
    return sorted(having, key=lambda visit: (visit.measured_on, visit.source))


def _newest(having: Sequence[Visit], source: str) -> Visit | None:
    return next((visit for visit in reversed(having) if visit.source == source), None)


def _classes(index: str, visit: Visit) -> list[int]:
    """Give for each candidate that has a class how low it is (see LOW)."""
    found = (candidate.scores[index].status for candidate in visit.candidates)
    return [LOW.get(status, 0) for status in found if status is not None]
