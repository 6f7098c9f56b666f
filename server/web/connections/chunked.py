"""The chunked transfer coding (RFC 9112, section 7.1), decoded as it arrives. Pure: bytes in, bytes out."""

import re
from collections.abc import Callable
from typing import Final

from server.errors import Problem

MOST_SIZE_LINE: Final = 256
"""Bytes of a line with a chunk's size and its extensions, which are ignored."""
MOST_TRAILERS: Final = 4096
"""Bytes of all trailer fields, which are ignored."""
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_FIELD: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")
_END: Final = b"\r\n"


class Chunked:
    """A body that arrives in chunks; `done` once its end has arrived, and then `rest` is what follows it."""

    def __init__(self) -> None:
        self.done = False
        self._held = bytearray()
        self._left = 0  # bytes of the present chunk that have not arrived
        self._step: Callable[[bytearray], bool] = self._size
        self._trailers = 0

    @property
    def rest(self) -> bytes:
        """What arrived after the body: the next request."""
        return bytes(self._held)

    def feed(self, data: bytes) -> bytes:
        """Take bytes as they arrived, and return what they hold of the body.

        Raises
        ------
        Problem
            `request-malformed`
        """
        self._held += data
        decoded = bytearray()
        while not self.done and self._step(decoded):
            pass
        return bytes(decoded)

    def _size(self, _decoded: bytearray) -> bool:
        line = self._line(MOST_SIZE_LINE)
        if line is None:
            return False
        found = _SIZE.fullmatch(line)
        if found is None:
            raise malformed(f"a chunk's size is hexadecimal, such as 1f, not {line[:32]!r}")
        self._left = int(found[1], 16)
        self._step = self._data if self._left else self._trailer
        return True

    def _data(self, decoded: bytearray) -> bool:
        part = self._held[: self._left]
        del self._held[: self._left]
        decoded += part
        self._left -= len(part)
        if self._left == 0:
            self._step = self._data_end
        return self._left == 0

    def _data_end(self, _decoded: bytearray) -> bool:
        if len(self._held) < len(_END):
            return False
        if not self._held.startswith(_END):
            raise malformed(f"a chunk ends with CR LF, not {bytes(self._held[:2])!r}")
        del self._held[: len(_END)]
        self._step = self._size
        return True

    def _trailer(self, _decoded: bytearray) -> bool:
        line = self._line(MOST_TRAILERS - self._trailers)
        if line is None:
            return False
        self._trailers += len(line)
        if line and not _FIELD.fullmatch(line):
            raise malformed(f"after the last chunk come fields or an empty line, not {line[:32]!r}")
        self.done = not line
        return True

    def _line(self, most: int) -> bytes | None:
        """Take a line; None while its end has not arrived."""
        end = self._held.find(_END)
        if end > most or (end < 0 and len(self._held) > most):
            raise malformed(f"a line of a chunked body is longer than {most} bytes")
        if end < 0:
            return None
        line = bytes(self._held[:end])
        del self._held[: end + len(_END)]
        return line


def malformed(what: str) -> Problem:
    """Return the problem of a body whose chunks cannot be read."""
    return Problem("request-malformed", reason=f"Transfer-Encoding: chunked: {what}")
