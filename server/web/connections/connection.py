"""One connection: where it is in its life, and until when it may stay there."""

import socket
from enum import Enum, auto
from typing import Any, Final

from server.web.connections.answer import OutgoingAnswer
from server.web.connections.request import ArrivingRequest

LEAST_BYTES_A_SECOND: Final = 500
"""A body that arrives, or an answer that is read, more slowly is given up after a while."""
HEAD_SECONDS: Final = 30
"""For a whole head, from its first byte; and for that first byte on a new connection."""
CLOSING_SECONDS: Final = 30
SILENT_SECONDS: Final = 5
"""After an answer that is the last one, what the client still sends is read and dropped for so long in all, or until it has
been silent for so long: were the connection closed at once, the reset could overtake the answer (RFC 9112, section 9.6)."""


class Phase(Enum):
    """Where a connection is in its life."""

    IDLE = auto()
    """No byte of a request has arrived."""
    HEAD = auto()
    BODY = auto()
    WORKING = auto()
    """A lane has it; the event loop does not touch it."""
    SENDING = auto()
    """The rest of its answer is being sent."""
    CLOSING = auto()
    """The last answer was sent."""


class Connection:
    """A socket, the request that arrives on it, and the answer that leaves.

    Attributes
    ----------
    phase : see `Phase`
    address : whose place it takes among the connections of one address; None: nobody's
    request : the one that arrives, or is being answered
    keep : whether the connection stays open after the present answer
    lane : of the request that is being answered
    events : what the poller watches it for
    served : whether it has had an answer
    since : when its phase began
    """

    def __init__(self, line: socket.socket, peer: Any, request: ArrivingRequest, now: float) -> None:
        line.setblocking(False)
        self.line, self.peer, self.request = line, peer, request
        self.own = line.getsockname()
        self.answer = OutgoingAnswer(line)
        self.address: str | None = None
        self.keep = False
        self.lane = ""
        self.events = 0
        self.served = False
        self.enter(Phase.IDLE, now)

    def enter(self, phase: Phase, now: float) -> None:
        """Begin a phase; its time counts from now."""
        self.phase, self.since = phase, now
        self._mark, self._moved = now, 0

    def moved(self, size: int, now: float) -> None:
        """Count bytes that came or went."""
        self._moved += size
        if self.phase is Phase.CLOSING:
            self._mark = now

    def is_late(self, now: float, *, keepalive: float, slow: float) -> bool:
        """Say whether it has been in its phase for too long.

        Parameters
        ----------
        keepalive : seconds without a request after which a connection that has served one is closed
        slow : seconds for which fewer than LEAST_BYTES_A_SECOND may come or go
        """
        spent = now - self.since
        match self.phase:
            case Phase.IDLE:
                return spent > (keepalive if self.served else HEAD_SECONDS)
            case Phase.HEAD:
                return spent > min(HEAD_SECONDS, slow)
            case Phase.BODY | Phase.SENDING:
                return self._crawls(now, slow)
            case Phase.CLOSING:
                return spent > CLOSING_SECONDS or now - self._mark > SILENT_SECONDS
            case Phase.WORKING:
                return False

    def _crawls(self, now: float, slow: float) -> bool:
        """Say whether too little moved since the last look that was `slow` seconds ago."""
        if now - self._mark < slow:
            return False
        crawls = self._moved < LEAST_BYTES_A_SECOND * slow
        self._mark, self._moved = now, 0
        return crawls

    def close(self) -> None:
        """Close it, and give back what it holds."""
        self.request.close()
        self.answer.close()
        self.line.close()
