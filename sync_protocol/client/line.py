"""The line to the server: one kept-alive HTTP connection, gzip both ways, with limits of time and size.

It knows nothing of batches. When it fails, it also tells whether the whole request had been handed over. If not, the server
cannot have taken it; if so, the client cannot know.
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
"""Of an answer after decompression: far more than a server sends, and a limit for a decompression bomb."""
_SEND_BUFFER_BYTES: Final = 16 * 1024
"""Small, so that nearly all that was handed over has left the device: a batch that stopped half-way has not arrived."""


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
    """Status, headers (names in lower case) and the decompressed body."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """Return the decoded body; ValueError if it is not JSON."""
        return json.loads(self.body)


class Transport(Protocol):
    """What a client sends requests through: `Line`, or something else in a test or behind a proxy."""

    def post(self, path: str, body: bytes) -> Answer:
        """Send JSON to a path of the server and return the answer, whatever its status; LineLost if none came."""
        ...


class Line:
    """A connection to one server; opened when first used, and again after it broke.

    Parameters
    ----------
    url : http or https, with or without a path
    connect_seconds, answer_seconds : how long to wait for a connection, and for each piece of an answer
    tls : for a private certificate authority; else the system's
    clock : the device's, as RFC 3339 in UTC; sent with every request, so that a wrong one is noticed
    prefer : what is wanted of the pull, such as "pull-bytes=65536"; with "pull=none" use `Client.exchange`, for
        `Client.sync` would wait for the pull to end

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
        prefer: str = "",
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
        self._clock, self._prefer = clock, prefer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def get(self, path: str) -> Answer:
        """Get a page; LineLost if no answer came."""
        self.send("GET", path, None)
        return self.receive()

    def post(self, path: str, body: bytes) -> Answer:
        """Send JSON, compressed, and read the answer; LineLost if none came."""
        self.send("POST", path, body)
        return self.receive()

    def send(self, method: str, path: str, body: bytes | None) -> None:
        """Send a request; the answer is read by `receive`."""
        packed = b"" if body is None else gzip.compress(body, compresslevel=6, mtime=0)
        try:
            connection = self._connected()
            connection.putrequest(method, self._prefix + path, skip_accept_encoding=True)
            connection.putheader("Accept-Encoding", "gzip")
            if self._clock is not None:
                connection.putheader("Tablet-Clock", self._clock())
            if self._prefer:
                connection.putheader("Prefer", self._prefer)
            if body is not None:
                connection.putheader("Content-Type", "application/json")
                connection.putheader("Content-Encoding", "gzip")
                connection.putheader("Content-Length", str(len(packed)))
            connection.endheaders()
            self.hand_over(packed)
        except (OSError, HTTPException) as error:
            raise self.lost(str(error) or repr(error), sent=False) from error

    def hand_over(self, packed: bytes) -> None:
        """Hand the body to the connection; if this returns, all of it."""
        if packed:
            self.connection.send(packed)

    def receive(self) -> Answer:
        """Read the answer to what was sent; LineLost if it is not complete."""
        try:
            response = self.connection.getresponse()
            raw = response.read(MOST_BYTES + 1)
            if len(raw) > MOST_BYTES:
                raise self.lost("the answer is too long", sent=True)
            # read(amount) returns what there is of an answer that was cut off, without an error
            if response.length:
                raise self.lost("the answer ends too early", sent=True)
            headers = {name.lower(): value for name, value in response.headers.items()}
            body = _inflated(raw) if headers.get("content-encoding") == "gzip" else raw
        except (OSError, HTTPException, ValueError) as error:
            raise self.lost(str(error) or repr(error), sent=True) from error
        return Answer(response.status, body, headers)

    def lost(self, why: str, *, sent: bool) -> LineLost:
        """Close the connection, and return what to raise."""
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
    """Decompress gzip; ValueError if it is damaged, incomplete or too long."""
    inflator = zlib.decompressobj(wbits=31)
    try:
        plain = inflator.decompress(raw, MOST_BYTES + 1)
    except zlib.error as error:
        raise ValueError(f"the answer is no gzip: {error}") from error
    if len(plain) > MOST_BYTES or not inflator.eof:
        raise ValueError("the answer is too long, or ends too early")
    return plain
