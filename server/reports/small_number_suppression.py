"""Which numbers are too small to be told outside the health service, and which others must be hidden with them. Pure.

Of children, 1 to 4 are hidden: who knows a village knows whom they are. A hidden number must not follow from those that are
shown, so more is hidden until
- a shown total stands over no hidden part, or over at least two that make five or more together;
- a hidden total stands over at least one hidden part.
That is asked of every number, area over areas. Within an area D = N + T + OB (O and B are told together, for B is small
nearly everywhere): whoever hides D hides N, and whoever hides any of D, N, T and OB hides T and OB. So what is hidden of T
can always be more or less by as much as OB, and what is hidden of N or D by as much as T: no equation tells.
Of what may be hidden the smallest goes first. Zeros are shown, unless one goes with T. The same cells are hidden wherever an
area is shown: alone, and beside its neighbours.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

FEWEST: Final = 5
"""From here on a number of children may be told."""
OB: Final = "OB"
"""O and B together."""
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
    told = [column[name] for name in ("D", "N", "T", OB) if name in column]
    while True:
        before = int(hide.sum())
        for whole, of in groups:
            _cover(values, hide, of, whole)
        if len(told) == 4:
            d, n, t, ob = told
            hide[:, n] |= hide[:, d]
            hide[:, t] |= hide[:, n] | hide[:, ob]
            hide[:, ob] |= hide[:, t]
        if int(hide.sum()) == before:
            return hide


def _cover(values: Integers, hide: Truths, of: Integers, whole: int) -> None:
    """Hide more of some parts, or of their total, until the one does not tell the other; `hide` is changed in place."""
    parts = values[of]
    while True:
        inner = hide[of]
        count, told = inner.sum(axis=0), np.where(inner, parts, 0).sum(axis=0)
        under_shown = ~hide[whole] & (count > 0) & ((count == 1) | (told < FEWEST))
        under_hidden = hide[whole] & (count == 0) & (values[whole] > 0)
        wanting = np.flatnonzero(under_shown | under_hidden)
        open_ = np.where(~inner[:, wanting] & (parts[:, wanting] > 0), parts[:, wanting], _MOST)
        smallest = open_.argmin(axis=0)
        there = open_[smallest, np.arange(len(wanting))] < _MOST
        # nothing is left to hide among the parts: then the total must go, which a hidden one has done already
        total_too = wanting[~there & ~hide[whole, wanting]]
        if not there.any() and not len(total_too):
            return
        hide[of[smallest[there]], wanting[there]] = True
        hide[whole, total_too] = True
