"""Which numbers are too small to be shown outside the health service, and which others must be hidden with them. Pure.

Numbers of 1 to 4 children are hidden: people who know a village could tell who they are. A hidden number must not be
computable from those that are shown, so more cells are hidden until, for every number and every area with parts,
- a shown total has no hidden part, or at least two that add up to five or more;
- a hidden total has at least one hidden part.
Within an area D = N + T + OB (O and B are shown together, because B is small nearly everywhere). If D is hidden, so is N; if
any of D, N, T and OB is hidden, so are T and OB. A hidden T can then be shifted by OB, and a hidden N or D by T, so no
equation reveals them.
Of the candidates the smallest is hidden first. Zeros are shown, unless hidden together with T. The same cells are hidden
wherever an area is shown: alone and beside its neighbours.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

FEWEST: Final = 5
"""The smallest number of children that may be shown (besides zero)."""
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
    parts : the row of an area -> the rows of its parts; a tree
    """
    hide: Truths = (values > 0) & (values < FEWEST)
    groups = [(whole, np.array(of, np.int64)) for whole, of in parts.items() if of]
    column = {name: number for number, name in enumerate(names)}
    weighed = [column[name] for name in ("D", "N", "T", OB) if name in column]
    while True:
        before = int(hide.sum())
        for whole, of in groups:
            _cover(values, hide, of, whole)
        if len(weighed) == 4:
            d, n, t, ob = weighed
            hide[:, n] |= hide[:, d]
            hide[:, t] |= hide[:, n] | hide[:, ob]
            hide[:, ob] |= hide[:, t]
        if int(hide.sum()) == before:
            return hide


def _cover(values: Integers, hide: Truths, of: Integers, whole: int) -> None:
    """Hide more of some parts, or their total, until no hidden cell can be computed; `hide` is changed in place."""
    parts = values[of]
    while True:
        inner = hide[of]
        count, hidden_sum = inner.sum(axis=0), np.where(inner, parts, 0).sum(axis=0)
        under_shown = ~hide[whole] & (count > 0) & ((count == 1) | (hidden_sum < FEWEST))
        under_hidden = hide[whole] & (count == 0) & (values[whole] > 0)
        wanting = np.flatnonzero(under_shown | under_hidden)
        open_ = np.where(~inner[:, wanting] & (parts[:, wanting] > 0), parts[:, wanting], _MOST)
        smallest = open_.argmin(axis=0)
        there = open_[smallest, np.arange(len(wanting))] < _MOST
        # if no part is left to hide, the total must be hidden, unless it is hidden already
        total_too = wanting[~there & ~hide[whole, wanting]]
        if not there.any() and not len(total_too):
            return
        hide[of[smallest[there]], wanting[there]] = True
        hide[whole, total_too] = True
