"""Many changes of one record, in the shapes that cost most to merge."""

from collections.abc import Iterator

from sync_protocol import NOTHING_SEEN, Change, Json, VersionVector
from tests.builders import length, make_change, removal, weight

ACTORS = ("t1", "t2", "t3")


class Author:
    """Writes changes of one record, each chained to the one before it."""

    def __init__(self, actor: str) -> None:
        self.actor, self.written = actor, list[Change]()

    def write(self, context: VersionVector, registers: Json) -> Change:
        previous = self.written[-1].hash if self.written else ""
        number = len(self.written) + 1
        made = make_change(self.actor, number, context=context, registers=registers, previous=previous)
        self.written.append(made)
        return made


def blind(count: int) -> Iterator[Change]:
    """Give changes by three authors who have seen nothing, each with another value."""
    authors = [Author(actor) for actor in ACTORS]
    for number in range(count):
        yield authors[number % 3].write(NOTHING_SEEN, weight(3000 + number))


def blind_and_equal(count: int) -> Iterator[Change]:
    """Give changes by three authors who have seen nothing, all with one value."""
    authors = [Author(actor) for actor in ACTORS]
    for number in range(count):
        yield authors[number % 3].write(NOTHING_SEEN, weight(8200))


def knowing(count: int) -> Iterator[Change]:
    """Give changes each of whose authors had seen all before it."""
    authors, seen = [Author(actor) for actor in ACTORS], NOTHING_SEEN
    for number in range(count):
        change = authors[number % 3].write(seen, {**weight(3000 + number), **length(700)})
        seen = seen.seeing(change.dot.actor, change.entry)
        yield change


def backwards(count: int) -> Iterator[Change]:
    """Give the changes of `knowing` with the newest first."""
    yield from reversed(list(knowing(count)))


def removed(count: int) -> Iterator[Change]:
    """Give values that nobody has seen, then removals each of which has seen all of these."""
    author, remover, seen = Author("t1"), Author("t2"), NOTHING_SEEN
    for number in range(count // 2):
        change = author.write(NOTHING_SEEN, weight(3000 + number))
        seen = seen.seeing(change.dot.actor, change.entry)
        yield change
    for _ in range(count - count // 2):
        yield remover.write(seen, removal())
