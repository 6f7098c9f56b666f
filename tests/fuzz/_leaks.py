"""Does a process hold more after each of the same requests? What it loads once and what it keeps up to a bound, it holds
after the first times; what it holds more after every further time, it never gives back.

Counted are the interpreter's blocks, after all garbage is collected, not the system's pages: those also move with SQLite's
page cache, with the heaps of threads, and with 64 MiB for each password, and hide a leak of kilobytes.
"""

import gc
import sys
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from tests.fuzz._routes import Answer, Line
from tests.server._district import FakeTablet

WARM: Final = 2
"""Times until everything is loaded that is loaded once."""
MOST_BLOCKS: Final = 0.9
"""That a request may leave behind: fewer than one object. Caches that are bounded but not yet full account for 0.2, and for
0.6 in a process that has run many other tests: those of statements, of patterns and of addresses turn over there."""

Asked = tuple[str, str, Mapping[str, str], bytes | None]


@dataclass
class Kept:
    """What requests left behind: blocks for each, and where they were made."""

    blocks: float
    asked: int
    where: Sequence[str] = ()

    @property
    def leaks(self) -> bool:
        return self.blocks > MOST_BLOCKS


@dataclass
class Recorder:
    """A line that remembers what was asked of it, for asking it again."""

    line: Line
    asked: list[Asked] = field(default_factory=list)

    def __call__(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        self.asked.append((method, path, headers, body))
        return self.line(method, path, headers, body)


def left_behind(
    line: Line,
    asked: Sequence[Asked],
    uploads: Sequence[Sequence[Asked]],
    tell: Callable[[str], object] = lambda _: None,
) -> Kept:
    """Ask the same again and again, each time with new uploads of the same kind, and count what stays.

    Parameters
    ----------
    uploads : those of each time; so many times it is asked, WARM of them before it counts
    tell : is told how far it has come, after each time
    """
    counts = []
    for number, new in enumerate(uploads):
        for one in (*asked, *new):
            line(*one)
        gc.collect()
        if number >= WARM - 1:
            counts.append(sys.getallocatedblocks())
        tell(f"leaks: asked {number + 1} of {len(uploads)} times, {sys.getallocatedblocks()} blocks live")
    each = len(asked) + len(uploads[-1])
    blocks = min(after - before for before, after in pairwise(counts)) / each  # a leak grows every time
    kept = Kept(blocks, each * len(uploads))
    return Kept(kept.blocks, kept.asked, where(line, asked)) if kept.leaks else kept


def where(line: Line, asked: Sequence[Asked]) -> list[str]:
    """Name the lines of source that made what the same requests leave behind, most first."""
    tracemalloc.start()
    try:
        gc.collect()
        before = tracemalloc.take_snapshot()
        for one in asked:
            line(*one)
        gc.collect()
        found = tracemalloc.take_snapshot().compare_to(before, "lineno")
    finally:
        tracemalloc.stop()
    return [str(one) for one in found if one.count_diff > 0][:12]


def carried(tablet: FakeTablet, path: str, times: int, each: int) -> list[list[Asked]]:
    """Write uploads ahead, of one weighing each, in order: carried batches, which need no token of an answer before."""
    children = [tablet.register_child() for _ in range(each)]
    tablet.sync_until_quiet()
    for number in range(times):
        for child in children:
            tablet.measure(child, f"2025-{2 + number:02d}-05", weight_g=6000 + 100 * number, length_mm=650)
    batches = tablet.replica.carried_batches(
        tablet.district.new_id, tablet.district.clock.text(), max_changes=1
    )
    headers: dict[str, Any] = {"Content-Type": "application/json"}
    asked: list[Asked] = [("POST", path, headers, tablet.signed(batch)) for batch in batches]
    return [asked[start : start + each] for start in range(0, len(asked), each)]
