"""Match people without aid to commitments that still have capacity: a greedy search in a fixed order."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from server.aid.need.model import Needing, Proposal
from server.aid.need.places import Places
from server.aid.register import Promise
from server.aid.rules import rules


def propose(places: Places, needing: Needing, commitments: Iterable[Promise]) -> list[Proposal]:
    """Give each child without aid, in order of need, to the best commitment that still has capacity."""
    by_region: defaultdict[str, list[_Capacity]] = defaultdict(list)
    for promise in sorted(commitments, key=lambda p: (p.starts_on, p.id)):
        if promise.left:
            by_region[promise.region_code].append(_Capacity(promise, promise.left))
    regions_of = [_enclosing_regions(code) for code in places.codes]
    found: list[Proposal] = []
    for need, (ids, villages) in needing.lacking.items():
        matching = {region: _matching_commitments(need, several) for region, several in by_region.items()}
        by_village = [
            _NearbyCommitments([(near, matching[code]) for near, code in regions if code in matching])
            for regions in regions_of
        ]
        for place, village in enumerate(villages.tolist()):
            nearby = by_village[village]
            current = nearby.current
            if current is None or not current.left:
                current = nearby.next() if nearby.choices else None
                if current is None:
                    continue
                nearby.places = []
                code = places.codes[village]
                found.append(Proposal(current.promise, code, need, nearby.near, ids, nearby.places))
            current.left -= 1
            nearby.places.append(place)
    return found


@dataclass(slots=True)
class _Capacity:
    """A commitment, and how many children it can still take."""

    promise: Promise
    left: int


@dataclass(slots=True)
class _NearbyCommitments:
    """The commitments that could help people with one need in a village.

    Parameters
    ----------
    choices : for each region that contains the village, the smallest first: its level, and its commitments, the best last.
        All villages of a region share its list; commitments without capacity are removed from it
    current, near, places : the commitment in use, the level of its region, and the indices of those it is given to here
    """

    choices: list[tuple[str, list[_Capacity]]]
    near: str = ""
    current: _Capacity | None = None
    places: list[int] = field(default_factory=list)

    def next(self) -> _Capacity | None:
        """Go on to the best commitment with capacity; None if there is none."""
        self.current = None
        while self.choices and self.current is None:
            self.near, commitments = self.choices[0]
            while commitments and not commitments[-1].left:
                commitments.pop()
            if commitments:
                self.current = commitments[-1]
            else:
                self.choices.pop(0)
        return self.current


def _matching_commitments(need: str, commitments: Iterable[_Capacity]) -> list[_Capacity]:
    """Give those commitments of a region that could help a need, the best last."""
    order = rules().fits[need]
    matching = [each for each in commitments if each.promise.menu in order]
    return sorted(matching, key=lambda each: order.index(each.promise.menu))[::-1]


def _enclosing_regions(village: str) -> list[tuple[str, str]]:
    """Give the regions that contain a village, the smallest first, each as (level, code); none for an unknown village."""
    if not village:
        return []
    subdistrict = village.rpartition(".")[0]
    return [("village", village), ("subdistrict", subdistrict), ("district", subdistrict.rpartition(".")[0])]
