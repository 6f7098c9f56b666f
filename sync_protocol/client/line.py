"""The line to the server: one kept-alive HTTP connection, gzip both ways, bounded in time and in size.

It knows nothing of batches. A line that fails says one thing more than that it failed: whether the whole request had been
handed over. If not, the server cannot have taken it; if so, nobody at this end knows.
"""

import gzip
import json
import socket
import ssl
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from types import TracebackType
from typing import Any, Final, Protocol, Self
from urllib.parse import urlsplit

from sync_protocol._errors import LocalProtocolError

CONNECT_SECONDS: Final = 15.0
ANSWER_SECONDS: Final = 60.0
"""Longer than a busy server takes for any answer."""
MOST_BYTES: Final = 16 * 1024 * 1024
"""Of an answer, unpacked: far more than a server sends, so that a bomb never unfolds."""
_SEND_BUFFER_BYTES: Final = 16 * 1024
"""Small, so that what was handed over is nearly what has left: a batch that stuck half-way is known not to have arrived."""


class LineLost(Exception):
    """No answer came.

    Parameters
    ----------
    why : for the log
    sent : whether all of the request had been handed over; False: the server cannot have taken it
    """

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.why, self.sent = why, sent


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (names in lower case) and the body, unpacked."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """Give the decoded body; ValueError if it is no JSON."""
        return json.loads(self.body)


class Transport(Protocol):
    """What a client sends through. `Line` is one; a test, a proxy or a radio may be another."""

    def post(self, path: str, body: bytes) -> Answer:
        """Send JSON to a path of the server and give the answer, whatever its status; LineLost if none came."""
        ...


class Line:
    """A connection to one server; made when first used, and again after it broke.

    Parameters
    ----------
    url : http or https, with or without a path
    connect_seconds, answer_seconds : how long to wait for a connection, and for each piece of an answer
    tls : for a private certificate authority; else the system's
    clock : the device's, as RFC 3339 in UTC; told with every request, so that a wrong one is found

    Raises
    ------
    LocalProtocolError
        `address-unusable`
    """

    def __init__(
        self,
        url: str,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], str] | None = None,
    ) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError as error:
            raise LocalProtocolError("address-unusable", f"{url!r} has no usable port: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise LocalProtocolError(
                "address-unusable", f"{url!r} is no address: give one such as http://127.0.0.1:8000"
            )
        self.connection: HTTPConnection
        if parts.scheme == "https":
            context = tls or ssl.create_default_context()
            self.connection = HTTPSConnection(parts.hostname, port, timeout=connect_seconds, context=context)
        else:
            self.connection = HTTPConnection(parts.hostname, port, timeout=connect_seconds)
        self._prefix = parts.path.rstrip("/")
        self._answer_seconds = answer_seconds
        self._clock = clock

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self.connection.close()

    def get(self, path: str) -> Answer:
        """Ask for a page; LineLost if no answer came."""
        self.send("GET", path, None)
        return self.receive()

    def post(self, path: str, body: bytes) -> Answer:
        """Send JSON (plain; it travels as gzip) and read the answer; LineLost if none came."""
        self.send("POST", path, body)
        return self.receive()

    def send(self, method: str, path: str, body: bytes | None) -> None:
        """Send a request and leave the answer for `receive`."""
        packed = b"" if body is None else gzip.compress(body, compresslevel=6, mtime=0)
        try:
            connection = self._connected()
            connection.putrequest(method, self._prefix + path, skip_accept_encoding=True)
            connection.putheader("Accept-Encoding", "gzip")
            if self._clock is not None:
                connection.putheader("Tablet-Clock", self._clock())
            if body is not None:
                connection.putheader("Content-Type", "application/json")
                connection.putheader("Content-Encoding", "gzip")
                connection.putheader("Content-Length", str(len(packed)))
            connection.endheaders()
            self.hand_over(packed)
        except (OSError, HTTPException) as error:
            raise self.lost(str(error) or repr(error), sent=False) from error

    def hand_over(self, packed: bytes) -> None:
        """Give the body to the connection; all of it, if this returns."""
        if packed:
            self.connection.send(packed)

    def receive(self) -> Answer:
        """Read the answer to what was sent; LineLost if it does not come whole."""
        try:
            response = self.connection.getresponse()
            raw = response.read(MOST_BYTES + 1)
            if len(raw) > MOST_BYTES:
                raise self.lost("the answer is too long", sent=True)
            # read(amount) gives what there is of an answer that was cut, and says nothing
            if response.length:
                raise self.lost("the answer ends too early", sent=True)
            headers = {name.lower(): value for name, value in response.headers.items()}
            body = _inflated(raw) if headers.get("content-encoding") == "gzip" else raw
        except (OSError, HTTPException, ValueError) as error:
            raise self.lost(str(error) or repr(error), sent=True) from error
        return Answer(response.status, body, headers)

    def lost(self, why: str, *, sent: bool) -> LineLost:
        """Hang up, and give what to raise."""
        self.connection.close()
        return LineLost(why, sent=sent)

    def _connected(self) -> HTTPConnection:
        connection = self.connection
        is_open: bool = connection.sock is not None
        if not is_open:
            connection.connect()
            connection.sock.settimeout(self._answer_seconds)
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        return connection


def _inflated(raw: bytes) -> bytes:
    """Unpack gzip; ValueError if it is broken, unfinished or too long."""
    inflator = zlib.decompressobj(wbits=31)
    try:
        plain = inflator.decompress(raw, MOST_BYTES + 1)
    except zlib.error as error:
        raise ValueError(f"the answer is no gzip: {error}") from error
    if len(plain) > MOST_BYTES or not inflator.eof:
        raise ValueError("the answer is too long, or ends too early")
    return plain
