"""Seconds to take many changes of one record, in batches of 200: each with its outcome, and the state after each batch.

Three shapes: nobody has seen anything (`blind`), everybody has seen everything before (`knowing`), and values that
many removals have all seen (`removed`). The baseline, in the same run and on as many changes as it can take,
is the definition of the merge: the record is folded anew for every change, each change against each.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence

from sync_protocol import Change, History, Merge
from tests.sync_protocol._definition import defined_outcome, defined_state
from tests.sync_protocol._many_changes import blind, knowing, removed

BATCH = 200


SHAPES: dict[str, Callable[[int], Iterator[Change]]] = {
    "blind": blind,
    "knowing": knowing,
    "removed": removed,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[200, 2_000])
    parser.add_argument(
        "--baseline", type=int, default=200, help="the most changes that the definition is given"
    )
    asked = parser.parse_args()
    for shape, make in SHAPES.items():
        for count in asked.counts:
            changes = list(make(count))
            line = f"{shape:8} {count:6} changes: {merged(changes):8.3f} s"
            if count <= asked.baseline:
                line += f", by the definition {by_definition(changes):8.3f} s"
            print(line)


def merged(changes: Sequence[Change]) -> float:
    start, merge = time.perf_counter(), Merge()
    for place, change in enumerate(changes, 1):
        merge.add(change)
        merge.outcome(change)
        if place % BATCH == 0:
            merge.state()
    return time.perf_counter() - start


def by_definition(changes: Sequence[Change]) -> float:
    start, history = time.perf_counter(), History(())
    for change in changes:
        history = history.with_change(change)
        defined_outcome(change, history)
    defined_state(history)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
