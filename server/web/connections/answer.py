"""The socket as a thread that answers sees it: writing never waits.

What the network does not take at once is kept, in memory or on the disk, and the event loop sends it on as the other end
reads. A thread writes while it answers, and the loop sends afterwards; never both at once.
"""

import socket
from contextlib import suppress
from tempfile import SpooledTemporaryFile
from typing import Final

IN_MEMORY: Final = 256 * 1024
"""Bytes of an answer that are kept in memory; what is longer goes to a file without a name."""
_PIECE: Final = 64 * 1024


class OutgoingAnswer:
    """Takes an answer's bytes in place of a socket (gunicorn's Response calls `sendall` and `send`)."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._kept: SpooledTemporaryFile[bytes] | None = None
        self._sent = 0  # of what is kept
        self.begun = False  # whether anything was written of the present answer

    @property
    def waits(self) -> bool:
        """Whether something is still to be sent."""
        return self._kept is not None

    def sendall(self, data: bytes) -> None:
        """Send what the network takes now, and keep the rest.

        Raises
        ------
        OSError
            The other end is gone.
        """
        self.begun = True
        if self._kept is None:
            data = data[self._try(data) :]
        if data:
            if self._kept is None:
                self._kept, self._sent = SpooledTemporaryFile(IN_MEMORY), 0  # noqa: SIM115  # closed by `close`
            self._kept.write(data)

    def send(self, data: bytes) -> int:
        """Send all of it, as `sendall`."""
        self.sendall(data)
        return len(data)

    def send_on(self) -> int:
        """Send what the network takes now of what is kept; return how many bytes.

        Raises
        ------
        OSError
            The other end is gone.
        """
        if self._kept is None:
            return 0
        self._kept.seek(self._sent)
        piece = self._kept.read(_PIECE)
        sent = self._try(piece)
        self._sent += sent
        if sent == len(piece) < _PIECE or not piece:
            self.close()
        return sent

    def close(self) -> None:
        """Drop what is kept."""
        if self._kept is not None:
            with suppress(OSError):  # what is still to be written is dropped as well
                self._kept.close()
            self._kept = None

    def _try(self, data: bytes) -> int:
        try:
            return self._line.send(data) if data else 0
        except (BlockingIOError, InterruptedError):
            return 0
