"""One request as it arrives: its head, parsed by gunicorn once it is whole, then its body, in memory or on the disk.

Bytes in; `complete` says when all has arrived. Sizes are bounded before anything is kept: the head by MOST_HEAD, a body by
what its address takes.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from tempfile import SpooledTemporaryFile
from typing import Any, Final
from urllib.parse import unquote

import structlog
from gunicorn.http.body import ChunkedReader, LengthReader  # type: ignore[import-untyped]  # the library has no types
from gunicorn.http.errors import NoMoreData, ParseException  # type: ignore[import-untyped]  # likewise
from gunicorn.http.message import Request  # type: ignore[import-untyped]  # likewise
from gunicorn.http.unreader import IterUnreader  # type: ignore[import-untyped]  # likewise

from server.errors import Problem
from server.web.connections.chunked import Chunked
from server.web.connections.refusals import busy, problem_of

MOST_HEAD: Final = 32 * 1024
IN_MEMORY: Final = 64 * 1024
"""Bytes of a body that are kept in memory; a longer one goes to a file without a name."""
_END: Final = b"\r\n\r\n"
_LONE_LF: Final = re.compile(rb"(?<!\r)\n")


class ArrivingRequest:
    """A request of which some bytes may have arrived.

    Parameters
    ----------
    configuration : gunicorn's
    peer : address and port of the other end
    most_body : the limit of a body in bytes, by the request's path

    Attributes
    ----------
    head : gunicorn's request once the head is complete; its body can be read once `complete`
    path : as the application reads it, however the client wrote it
    arrived : bytes of the body so far, decoded
    rest : what arrived after it: the next request
    """

    def __init__(self, configuration: Any, peer: Any, most_body: Callable[[str], int]) -> None:
        self._configuration, self._peer, self._most_body = configuration, peer, most_body
        self._received = bytearray()
        self.head: Any = None
        self.path = ""
        self.complete = False
        self.arrived = 0
        self.rest = b""
        self._most = 0
        self._length = 0
        self._chunked: Chunked | None = None
        self._body: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  # closed by `close`

    @property
    def awaits_continue(self) -> bool:
        """Whether the client waits for "100 Continue" before it sends the body (RFC 9110, section 10.1.1)."""
        return self.head is not None and self.head._expected_100_continue and not self.complete

    def feed(self, data: bytes) -> None:
        """Take bytes as they arrived.

        Raises
        ------
        Problem
            The request cannot be read, or is too large.
        """
        if self.head is None:
            data = self._feed_head(data)
        if self.head is not None:
            self._feed_body(data)

    def close(self) -> None:
        """Give back memory and disk."""
        self.arrived = 0
        with suppress(OSError):  # what is still to be written is dropped as well
            self._body.close()

    def _feed_head(self, data: bytes) -> bytes:
        """Take bytes of the head; return what follows it."""
        searched = max(len(self._received) - len(_END) + 1, 0)
        self._received += data
        end = self._received.find(_END, searched)
        if end < 0:
            self._refuse_endless(searched)
            return b""
        after = end + len(_END)
        if after > MOST_HEAD:
            raise Problem("headers-too-large", limit=f"{MOST_HEAD} bytes")
        head, rest = bytes(self._received[:after]), bytes(self._received[after:])
        self._received.clear()
        self._parse(head)
        return rest

    def _refuse_endless(self, searched: int) -> None:
        """Refuse a head that is too long, or has a line that does not end with CR LF and so would never be complete."""
        if _LONE_LF.search(self._received, searched):
            raise Problem("request-malformed", reason="a line of the head does not end with CR LF")
        most_line = self._configuration.limit_request_line
        if len(self._received) > most_line and self._received.find(b"\r\n", 0, most_line + 2) < 0:
            raise Problem("request-line-too-long", limit=f"{most_line} bytes")
        if len(self._received) > MOST_HEAD:
            raise Problem("headers-too-large", limit=f"{MOST_HEAD} bytes")

    def _parse(self, head: bytes) -> None:
        try:
            self.head = Request(self._configuration, IterUnreader([head]), self._peer)
        except (ParseException, NoMoreData) as error:
            raise problem_of(error) from error
        self.path = "/" + unquote(self.head.path).lstrip("/")
        self._most = self._most_body(self.path)
        reader = self.head.body.reader
        if isinstance(reader, ChunkedReader):
            self._chunked = Chunked()
        elif isinstance(reader, LengthReader):
            self._length = reader.length
        if self._length > self._most:
            raise self._too_large()
        self.head.body = self._body

    def _feed_body(self, data: bytes) -> None:
        if self._chunked is not None:
            part = self._chunked.feed(data)
            self.complete, self.rest = self._chunked.done, self._chunked.rest
        else:
            part, self.rest = data[: self._length - self.arrived], data[self._length - self.arrived :]
            self.complete = self.arrived + len(part) == self._length
        self.arrived += len(part)
        if self.arrived > self._most:
            raise self._too_large()
        self._keep(part)

    def _keep(self, part: bytes) -> None:
        """Add a part to the body; refuse the request for now where the disk has no room for it."""
        try:
            self._body.write(part)
            if self.complete:
                self._body.seek(0)
        except OSError as error:
            structlog.get_logger("posyandu.http").error("body not kept", error=error.strerror)
            raise busy() from error

    def _too_large(self) -> Problem:
        return Problem("batch-too-large", limit=f"{self._most} bytes")
