"""The connection between a tablet and the server: the reference client's own, cut where real connections break.

It knows nothing of batches. A failure tells only whether everything had been handed over; whether the server took it is
unknown at this end.
"""

from collections import Counter
from enum import Enum
from typing import Final

from server.simulate.survey import Unusable
from sync_protocol import LocalProtocolError
from sync_protocol.client import Answer, Line as RealLine, LineLost

__all__ = ["Answer", "Cut", "CuttableLine", "LineLost"]

SECONDS: Final = 60.0
"""Longer than a busy server takes for any answer."""


class Cut(Enum):
    """Where a connection breaks off."""

    NOWHERE = "nowhere"
    SENDING = "before the request was complete"
    UNREAD = "after the request, before the answer"
    MIDWAY = "within the answer"


class CuttableLine(RealLine):
    """A connection to one server; opened at first use, and again after it broke.

    Parameters
    ----------
    server_url : http or https, with or without a path
    traffic : counts "requests" and, by `Cut.value`, the cuts

    Raises
    ------
    Unusable
        The URL is invalid.
    """

    def __init__(self, server_url: str, traffic: Counter[str]) -> None:
        try:
            super().__init__(server_url, answer_seconds=SECONDS)
        except LocalProtocolError as error:
            raise Unusable(error.message) from error
        self._url, self._traffic = server_url, traffic
        self._cut = Cut.NOWHERE

    def another(self) -> "CuttableLine":
        """Return a second connection to the same server."""
        return CuttableLine(self._url, self._traffic)

    def post(self, path: str, body: bytes, cut: Cut = Cut.NOWHERE) -> Answer:
        """Send JSON and read the answer; with a cut it always raises LineLost."""
        self._cut = cut
        try:
            return super().post(path, body)
        finally:
            self._cut = Cut.NOWHERE

    def send(self, method: str, path: str, body: bytes | None) -> None:
        """Send a request and leave the answer for `receive`."""
        self._traffic["requests"] += 1
        super().send(method, path, body)

    def hand_over(self, packed: bytes) -> None:
        """Write the body to the connection, or half of it."""
        if self._cut is Cut.SENDING:
            super().hand_over(packed[: len(packed) // 2])
            raise self._broken(sent=False)
        super().hand_over(packed)

    def receive(self) -> Answer:
        """Read the answer to what was sent, or only its first bytes, or none of it."""
        if self._cut is Cut.MIDWAY and self.connection.sock:
            self.connection.sock.recv(64)
        if self._cut is not Cut.NOWHERE:
            raise self._broken(sent=True)
        return super().receive()

    def _broken(self, *, sent: bool) -> LineLost:
        self._traffic[self._cut.value] += 1
        return self.lost(self._cut.value, sent=sent)
