"""Which numbers are too small to be told outside the health service, and which others must be hidden with them. Pure.

Of children, 1 to 4 are hidden: who knows a village knows whom they are. A hidden number must not follow from those that are
shown, so more is hidden until in every sum that a reader can make
- a shown total stands over no hidden part, or over at least two that make five or more together;
- a hidden total stands over at least one hidden part.
Sums are those of an area over its areas, for each number, and D = N + T + O + B, for each area. Of what may be hidden the
smallest goes first. Zeros are shown. The same cells are hidden wherever an area is shown: alone, and beside its neighbours.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

FEWEST: Final = 5
"""From here on a number of children may be told."""
EQUATIONS: Final[Mapping[str, tuple[str, ...]]] = {"D": ("N", "T", "O", "B")}
"""What adds up within one area."""
_MOST: Final = np.iinfo(np.int64).max

Integers = npt.NDArray[np.int64]
Truths = npt.NDArray[np.bool_]


def hidden(values: Integers, names: Sequence[str], parts: Mapping[int, Sequence[int]]) -> Truths:
    """Say which cells are hidden.

    Parameters
    ----------
    values : shape (areas, names), none negative; every area in `parts` is the sum of its parts
    parts : the rows that each area is the sum of; a tree
    """
    hide: Truths = (values > 0) & (values < FEWEST)
    groups = [(whole, np.array(of, np.int64)) for whole, of in parts.items() if of]
    column = {name: place for place, name in enumerate(names)}
    sums = [
        (column[total], np.array([column[part] for part in of], np.int64))
        for total, of in EQUATIONS.items()
        if total in column and all(part in column for part in of)
    ]
    changed = True
    while changed:
        changed = False
        for whole, of in groups:
            changed |= _cover(values[of], hide, (of[:, None], np.arange(values.shape[1])[None, :]), whole)
        for total, of in sums:
            turned = hide.T
            changed |= _cover(values.T[of], turned, (of[:, None], np.arange(values.shape[0])[None, :]), total)
    return hide


def _cover(parts: Integers, hide: Truths, place: tuple[Integers, Integers], whole: int) -> bool:
    """Hide more in one family of sums until none of them tells; `hide` is changed in place.

    Parameters
    ----------
    parts : shape (parts, sums)
    place : where in `hide` the parts stand; the totals are its row `whole`
    """
    changed = False
    while True:
        inner = hide[place]
        count, told = inner.sum(axis=0), np.where(inner, parts, 0).sum(axis=0)
        under_shown = ~hide[whole] & (count > 0) & ((count == 1) | (told < FEWEST))
        under_hidden = hide[whole] & (count == 0)
        wanting = np.flatnonzero(under_shown | under_hidden)
        open_ = np.where(~inner[:, wanting] & (parts[:, wanting] > 0), parts[:, wanting], _MOST)
        smallest = open_.argmin(axis=0)
        there = open_[smallest, np.arange(len(wanting))] < _MOST
        # nothing is left to hide among the parts: then the total must go, which a hidden one has done already
        total_too = wanting[~there & ~hide[whole, wanting]]
        if not there.any() and not len(total_too):
            return changed
        changed = True
        hide[place[0][smallest[there], 0], wanting[there]] = True
        hide[whole, total_too] = True
