"""What a summary of need consists of: aid in a period, people in need, villages, overlaps and proposals."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from server.aid.need.columns import Ids, Numbers, Truths
from server.aid.register import Promise
from server.database.models import AidActivity


@dataclass(frozen=True, slots=True)
class PeriodAid:
    """Which aid lasts in a period, and what was given in it.

    Parameters
    ----------
    people : sorted ids of those who have aid, or were promised aid that was not delivered yet
    delivered : for each of them, whether it was delivered
    value_rp : what was given in the period, by village
    twice : people who get the same menu from several sources
    """

    people: Ids
    delivered: Truths
    value_rp: Numbers
    twice: list["Twice"]


@dataclass(frozen=True, slots=True)
class Needing:
    """Who needs aid, as columns: a regency has 25,000 of them.

    Parameters
    ----------
    helped, promised : by village, how many have aid that lasts, and how many were promised aid that was not delivered yet
    lacking : by need, everybody else, those in greatest need first: their ids and their villages
    """

    helped: Numbers
    promised: Numbers
    lacking: dict[str, tuple[Ids, Numbers]]


@dataclass(slots=True)
class Village:
    """Need and aid in a village; `gap` counts by need those who have no aid."""

    code: str
    gap: Counter[str] = field(default_factory=Counter)
    promised: int = 0
    helped: int = 0
    value_rp: int = 0
    activities: int = 0

    @property
    def lacking(self) -> int:
        return self.gap.total()

    @property
    def needing(self) -> int:
        return self.lacking + self.promised + self.helped


@dataclass(frozen=True, slots=True)
class Twice:
    """A person who gets the same menu from several sources at the same time."""

    child_id: str
    village: str | None
    menu: str
    sources: tuple[str, ...]


@dataclass(slots=True, eq=False)
class Proposal:
    """A commitment that could cover part of a gap: children with one need in one village.

    Parameters
    ----------
    near : the level of the commitment's region: village, subdistrict or district
    ids, places : the children are `ids[places]`; `seen` is a hash of the proposal and exactly these children
    """

    promise: Promise
    village: str
    need: str
    near: str
    ids: Ids
    places: list[int]

    @property
    def count(self) -> int:
        return len(self.places)

    @property
    def children(self) -> list[str]:
        """Give the ids of its children, sorted."""
        return [child_id.decode() for child_id in self._in_order().tolist()]

    @property
    def seen(self) -> str:
        """Give a hash that changes with the proposal or its children, to recognise what was shown."""
        text = f"{self.promise.id}/{self.village}/{self.need}/".encode() + self._in_order().tobytes()
        return hashlib.sha256(text).hexdigest()[:16]

    def _in_order(self) -> Ids:
        return np.sort(self.ids[self.places])


@dataclass(frozen=True, slots=True)
class NeedSummary:
    """Gap and overlap of an area in a period.

    Parameters
    ----------
    gap : by need, how many have no aid
    villages : those where somebody needs aid or something was given, the largest gap first
    nobody_there : those that get aid for stunting and where nobody needs it
    reported : activities that repeat another report or a delivery
    authorities : companies that several authorities claim: (name, authorities)
    relief, other : activities that are not for stunting: (number, Rp)
    """

    gap: Counter[str]
    villages: tuple[Village, ...]
    nobody_there: tuple[Village, ...]
    twice: tuple[Twice, ...]
    reported: tuple[AidActivity, ...]
    authorities: tuple[tuple[str, tuple[str, ...]], ...]
    relief: tuple[int, int]
    other: tuple[int, int]
    proposals: tuple[Proposal, ...]

    @property
    def lacking(self) -> int:
        return self.gap.total()

    @property
    def lacking_places(self) -> int:
        return sum(village.lacking > 0 for village in self.villages)
