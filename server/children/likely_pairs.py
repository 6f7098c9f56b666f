"""Which of many pairs of children are proposed as one child: the most alike, a bounded number for each child. Pure.

Two hundred namesakes of one birth date are 19,900 pairs, and nobody decides so many. Each child gets MOST_PAIRS, and each of
its pairs says how many more there are (`more`); a child of whom pairs were left out is compared again with every change
about it, and gets others in place of those that were decided.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from heapq import nsmallest
from typing import Final

from server.children.name_similarity import Likeness, Registration, compare

Pair = tuple[str, str]
"""The ids of two children, the lesser one first."""

MOST_PAIRS: Final = 20
MORE: Final = "more"
"""Beside the evidence of a pair: how many pairs of one of its children were left out."""


def compared(pairs: Iterable[Pair], known: Mapping[str, Registration]) -> dict[Pair, Likeness]:
    """Return the pairs that may be one child. Registrations that read the same are compared once.

    Parameters
    ----------
    known : pairs with another child are left out
    """
    numbers: dict[object, int] = {}
    reading = {child_id: numbers.setdefault(one.content, len(numbers)) for child_id, one in known.items()}
    found: dict[tuple[int, int], Likeness | None] = {}
    likely: dict[Pair, Likeness] = {}
    for pair in pairs:
        if pair[0] not in reading or pair[1] not in reading:
            continue
        key = reading[pair[0]], reading[pair[1]]
        if key not in found:
            found[key] = compare(known[pair[0]], known[pair[1]])
        if (like := found[key]) is not None:
            likely[pair] = like
    return likely


def most_alike(
    likely: Mapping[Pair, Likeness], held: Collection[Pair], whose: Collection[str]
) -> dict[Pair, Likeness]:
    """Return the pairs to propose: those that are held already, and for each child the MOST_PAIRS most alike.

    Of equally alike pairs those with the nearest ids come first, so that not all children are paired with the same few.

    Parameters
    ----------
    whose : the children all of whose pairs are in `likely`, and for whom they are chosen
    """
    of_child: dict[str, list[Pair]] = {child_id: [] for child_id in whose}
    for pair in likely:
        for child_id in pair:
            if child_id in of_child:
                of_child[child_id].append(pair)
    if max(map(len, of_child.values()), default=0) <= MOST_PAIRS:
        return dict(likely)
    place = {child_id: number for number, child_id in enumerate(sorted({c for pair in likely for c in pair}))}

    def rank(pair: Pair) -> tuple[bool, int, int]:
        return pair not in held, -likely[pair].score, place[pair[1]] - place[pair[0]]

    best = (nsmallest(MOST_PAIRS, several, rank) for several in of_child.values())
    kept = sorted({pair for several in best for pair in several} | {pair for pair in likely if pair in held})
    left = Counter({child_id: len(several) for child_id, several in of_child.items()})
    left.subtract(child_id for pair in kept for child_id in pair)
    return {pair: _telling(likely[pair], max(left[pair[0]], left[pair[1]])) for pair in kept}


def _telling(like: Likeness, more: int) -> Likeness:
    return Likeness(like.score, {**like.why, MORE: more}) if more > 0 else like
