"""Indicated or confirmed: what the cadres' figures say of a child, and what the health centre's second measurement made of
it. Pure.

Rules kept here:
- *Terindikasi* is what a cadre's newest figure of an index says, *terkonfirmasi* only what somebody of the health centre has
  measured again. Nothing else turns the one into the other.
- A score is judged by its class (`growth.status`), so page, flags and this cannot differ: -2.00 is not below -2.
- Where values are in conflict, any candidate indicates; but a second measurement confirms or clears only when all of its
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
"""Stunting and wasting: what a second measurement is asked for."""
ABOUT: Final[Mapping[str, str]] = {
    **dict.fromkeys(("stunted", "severely_stunted"), "haz"),
    **dict.fromkeys(("wasted", "severely_wasted", "oedema"), "whz"),
}
"""Flags that a second measurement confirms or clears, and the index that it does this by."""
LOW: Final[Mapping[str, int]] = {
    **{"pendek": 1, "sangat_pendek": 2},
    **{"gizi_kurang": 1, "gizi_buruk": 2},
    **{"bb_kurang": 1, "bb_sangat_kurang": 2},
}
"""Classes below -2 and below -3; every other class is 0."""
CADRE, STAFF = "cadre", "staff"


@dataclass(frozen=True, slots=True)
class Run:
    """How long a child has been below -2 without a break: the first day of it, and how often it was measured so."""

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
    indicated_on : day of the cadres' newest figure, if that lies below -2
    measured_on : day of the second measurement; None without one
    z : its score; None where oedema voids it or values are in conflict
    severe : what `state` rests on lies below -3
    again : the cadres' newest figure is newer than the second measurement, and lies below -2
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
        """Say whether there is anything to tell: a child who never was below -2 needs no confirmation."""
        return self.state in (CONFIRMED, DISPUTED, INDICATED) or self.indicated_on is not None


def confirmation(index: str, visits: Iterable[Visit]) -> Confirmation:
    """Judge one index of a child.

    Parameters
    ----------
    index : haz or whz
    visits : of one child, in any order; those that were removed have no candidates and count for nothing
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
    """Give since when, and how often in a row up to the newest measurement, an index has been below -2; None if it is not.

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
    """Give the visits of which the index has a class, oldest first; of one day the second measurement last."""
    having = [visit for visit in visits if _classes(index, visit)]
    return sorted(having, key=lambda visit: (visit.measured_on, visit.source))


def _newest(having: Sequence[Visit], source: str) -> Visit | None:
    return next((visit for visit in reversed(having) if visit.source == source), None)


def _classes(index: str, visit: Visit) -> list[int]:
    """Give how low each candidate lies, of those that have a class."""
    found = (candidate.scores[index].status for candidate in visit.candidates)
    return [LOW.get(status, 0) for status in found if status is not None]
