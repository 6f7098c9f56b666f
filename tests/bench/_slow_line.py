"""A tablet's line as villages have it, shaped in the client: slow both ways, late, and cut now and then.

Hides sockets. `own_seconds` is what the line itself took, so that whatever else a tablet waits is the server's doing.
"""

import random
import socket
import time
from dataclasses import dataclass
from typing import Any, Final

from sync_protocol.client import Answer, Line

PIECE: Final = 1400
"""Bytes of a packet."""
RECEIVE_BUFFER: Final = 4096
"""The kernel keeps few bytes for a tablet that has not read them, as a slow line would."""
HEAD_BYTES: Final = 400


@dataclass(slots=True)
class Signal:
    """What a tablet has of a signal.

    Parameters
    ----------
    bits_a_second, latency : of each way; seconds of a round trip
    left : bytes until it is lost; None: it is not
    own_seconds : what it took so far
    """

    bits_a_second: float
    latency: float
    left: int | None = None
    own_seconds: float = 0.0

    def spend(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)
        self.own_seconds += seconds

    def carry(self, size: int) -> None:
        """Let bytes pass, or fail."""
        if self.left is not None:
            self.left -= size
            if self.left < 0:
                raise ConnectionResetError("the signal was lost")
        self.spend(size * 8 / self.bits_a_second)


class _Socket(socket.socket):
    """A socket that is no quicker than a signal."""

    signal: Signal
    _asked = False

    def sendall(self, data: Any, flags: int = 0) -> None:
        self._asked = True
        view = memoryview(data)
        for at in range(0, len(view), PIECE):
            self.signal.carry(len(view[at : at + PIECE]))
            super().sendall(view[at : at + PIECE], flags)

    def recv_into(self, buffer: Any, _nbytes: int = 0, flags: int = 0) -> int:
        if self._asked:
            self._asked = False
            self.signal.spend(self.signal.latency)
        size = super().recv_into(memoryview(buffer)[:PIECE], 0, flags)
        self.signal.carry(size)
        return size


class SlowLine(Line):
    """The reference client's line over a bad signal.

    Parameters
    ----------
    url : of the server
    signal : what there is of it
    cut : the share of requests that are cut somewhere
    rng : decides where
    """

    def __init__(self, url: str, signal: Signal, cut: float, rng: random.Random) -> None:
        super().__init__(url)
        self.signal, self._cut, self._rng = signal, cut, rng
        self.cuts = 0
        self.was_cut = False
        self.connection._create_connection = self._connect  # type: ignore[attr-defined]  # where http.client lets one in

    def _connect(self, address: tuple[str, int], timeout: float, _source: object = None) -> socket.socket:
        line = _Socket()
        line.signal = self.signal
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        line.settimeout(timeout)
        line.connect(address)
        self.signal.spend(self.signal.latency)
        return line

    def post(self, path: str, body: bytes) -> Answer:
        """Send and receive as the line allows."""
        self.was_cut = self._rng.random() < self._cut
        self.cuts += self.was_cut
        self.signal.left = self._rng.randrange(HEAD_BYTES + len(body) // 2) if self.was_cut else None
        return super().post(path, body)
