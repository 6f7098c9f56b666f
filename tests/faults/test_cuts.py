"""A line that is cut after every number of bytes, of the request and of the answer: the tablet sends again, and the server
holds one copy, answered in the same words.

Each cut is of a new batch; every other one is a reset instead of a farewell. Cuts are CUT_STEP bytes apart, and at every
byte around the beginning, the end of the head and the end; `make soak` sets CUT_STEP=1 and meets every byte.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime

import click
import pytest

from tests.faults._promises import held, written
from tests.faults._proxy import Cutter, head_bytes
from tests.faults._running import (
    HttpTablet,
    LineLost,
    days_ago,
    http_tablet,
    receipt_bytes,
    register,
    running,
)
from tests.server._district import District

STEP = int(os.environ.get("CUT_STEP", "11"))
"""Odd, so that resets and farewells take turns."""
EDGE = 8
"""Bytes on each side of a boundary that are all met."""


def cuts(head: int, total: int) -> Iterator[int]:
    """Give where to cut a message: its head is so long, and all of it."""
    for at in range(total):
        if at % STEP == 0 or min(at, abs(at - head), total - at) <= EDGE:
            yield at


class Line:
    """A tablet, a server and the line between them."""

    def __init__(self, tablet: HttpTablet, cutter: Cutter) -> None:
        self.tablet, self.cutter = tablet, cutter
        tablet.port = cutter.port
        self.child = register(tablet)
        self.sync()
        self.count = 0

    def sync(self) -> None:
        """Sync over a line that is whole."""
        self.cutter.up = self.cutter.down = None
        self.tablet.sync()

    def write(self) -> None:
        """Save one change, another one every time."""
        self.count += 1
        self.tablet.measure(self.child, days_ago(1 + self.count % 60), weight_g=7000 + self.count)

    def cut(self, *, up: int | None = None, down: int | None = None) -> bool:
        """Send a new batch over a line that is cut; say whether the tablet missed the answer."""
        self.write()
        self.cutter.up, self.cutter.down, self.cutter.rudely = up, down, bool((up or down or 0) % 2)
        try:
            self.tablet.sync()
        except LineLost:
            return True
        return False

    def whole(self) -> tuple[bytes, bytes]:
        """Give a whole request and its answer, as bytes on the line."""
        self.write()
        self.sync()
        return self.cutter.request, self.cutter.answer

    def last_receipt(self) -> bytes:
        """Give the receipt that came last."""
        return list(self.tablet.receipts.values())[-1][1]


@pytest.fixture
def line(on_sqlite: District) -> Iterator[Line]:
    """Give a tablet behind a line that can be cut; in the end all must agree and nothing be there twice."""
    on_sqlite.clock.now = datetime.now(UTC)
    with running(on_sqlite.hub.settings) as server:
        tablet = http_tablet(on_sqlite)
        tablet.server = server
        cutter = Cutter(server.port)
        with cutter.listening():
            yield Line(tablet, cutter)
        tablet.port = None
        on_sqlite.settle(tablet)
        assert held(on_sqlite) == written(tablet)
        assert server.stop() == 0


def test_batch_is_taken_once_when_the_request_is_cut_at_any_byte(line: Line, on_sqlite: District) -> None:
    request, _ = line.whole()
    made = 0
    for at in cuts(head_bytes(request), len(request) + 2 * EDGE):  # bodies differ by some bytes
        before = len(held(on_sqlite))
        missed = line.cut(up=at)
        assert missed == (at <= len(line.cutter.request))
        if at < len(line.cutter.request):
            assert len(held(on_sqlite)) == before
        made += missed
        line.sync()
        assert line.tablet.replica.unanswered() == []
        assert len(held(on_sqlite)) == before + 1
    click.echo(f"requests cut: {made}, of {len(request)} bytes, {head_bytes(request)} in the head")
    assert made > len(request) / STEP


def test_receipt_is_the_same_when_the_answer_is_cut_at_any_byte(line: Line, on_sqlite: District) -> None:
    _, answer = line.whole()
    made = 0
    for at in cuts(head_bytes(answer), len(answer) + 2 * EDGE):
        before = len(held(on_sqlite))
        missed = line.cut(down=at)
        assert missed == (at < len(line.cutter.answer))
        made += missed
        unseen = receipt_bytes(line.cutter.answer)
        assert len(held(on_sqlite)) == before + 1
        line.sync()
        assert line.last_receipt() == unseen
        assert line.tablet.replica.unanswered() == []
        assert len(held(on_sqlite)) == before + 1
    click.echo(f"answers cut: {made}, of {len(answer)} bytes, {head_bytes(answer)} in the head")
    assert made > len(answer) / STEP
