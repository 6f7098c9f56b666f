"""Whatever is derived, computed again from its inputs and compared with what is stored.

Hides how each part is computed again. Three use it: `doctor` and `audit verify --figures` look at everything, a nightly job
at a slice, so that it has been round everything within a month.

    difference   a difference, and how rows are compared (pure)
    records      merged states against the fold of their changes
    children     assessments, flags, queue, index of NIKs
    figures      figures of posts and of areas
    reports      what supervisors are told of posts
    parts        these in order, and their units
    rounds       the nightly slice, and how far it has come
    mending      writes what is computed where it differs

Rules kept here:
- Compared is what is stored, never a stored hash of its inputs: whoever alters a score leaves the hash as it is.
- Each chunk is read on one snapshot, and what a job has yet to bring up to date is left out; so writes at the same time are
  never taken for alterations.
- Memory is bounded: a chunk of children or posts, or one month of areas, at a time.
- A difference is named by table, key, column and both values, never by anything personal.
"""

from collections.abc import Callable, Iterator
from datetime import datetime

from server.context import AppContext
from server.operations.recomputation.difference import Difference
from server.operations.recomputation.parts import PARTS, Part

__all__ = ["PARTS", "Difference", "Part", "differences"]


def differences(
    hub: AppContext,
    part: Part,
    now: datetime,
    *,
    most: int | None = None,
    progress: Callable[[str, int, int], None] = lambda *_: None,
    looked_at: Callable[[int], None] = lambda _: None,
) -> Iterator[Difference]:
    """Compute a part again and yield what is stored differently.

    Parameters
    ----------
    most : of its units; None for all
    progress : called with the part's name, units done, and units in all
    looked_at : called with the number of units of each chunk
    """
    with hub.database.reading() as session:
        units = part.list_units(session, hub, "", most)
    for start in range(0, len(units), part.chunk):
        progress(part.name, start, len(units))
        some = units[start : start + part.chunk]
        looked_at(len(some))
        with hub.database.reading() as session:
            found = part.look(session, hub, some, now)
        yield from found
