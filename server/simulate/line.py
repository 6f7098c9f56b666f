"""The line between a tablet and the server: real HTTP that can be cut where real lines are.

One connection, kept alive; gzip both ways. It knows nothing of batches. A line that fails says only that: whether the server
took what was sent, nobody at this end knows.
"""

import gzip
import json
from collections import Counter
from dataclasses import dataclass
from enum import Enum
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from server.simulate.survey import Unusable

SECONDS: Final = 60
"""Longer than a busy server takes for any answer."""


class Cut(Enum):
    """Where a connection breaks off."""

    NOWHERE = "nowhere"
    SENDING = "before the request was complete"
    UNREAD = "after the request, before the answer"
    MIDWAY = "within the answer"


class LineLost(Exception):
    """The connection broke. What was sent may have arrived or not."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body, unpacked."""

    status: int
    body: bytes

    def json(self) -> Any:
        """Give the decoded body; an answer that is no JSON is no answer of ours."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Unusable(f"the server answered {self.status} without JSON: is this its address?") from error


class Line:
    """A connection to one server; made when first used, and again after it broke.

    Parameters
    ----------
    server_url : http or https, with or without a path
    traffic : counts "requests" and, by `Cut.value`, the cuts

    Raises
    ------
    Unusable
        The address is none.
    """

    def __init__(self, server_url: str, traffic: Counter[str]) -> None:
        parts = urlsplit(server_url)
        try:
            port = parts.port
        except ValueError as error:
            raise Unusable(f"{server_url!r} has no usable port: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Unusable(f"{server_url!r} is no address: give one such as http://127.0.0.1:8000")
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._url = server_url
        self._connection = kind(parts.hostname, port, timeout=SECONDS)
        self._prefix = parts.path.rstrip("/")
        self._traffic = traffic

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def another(self) -> "Line":
        """Give a second connection to the same server."""
        return Line(self._url, self._traffic)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def get(self, path: str) -> Answer:
        """Ask for a page.

        Raises
        ------
        LineLost
        """
        try:
            self._traffic["requests"] += 1
            self._connection.request("GET", self._prefix + path, headers={"Accept-Encoding": "gzip"})
            return self._read()
        except (OSError, HTTPException) as error:
            raise self._lost(str(error)) from error

    def post(self, path: str, body: bytes, cut: Cut = Cut.NOWHERE) -> Answer:
        """Send JSON and read the answer.

        Parameters
        ----------
        body : JSON, plain; it travels as gzip
        cut : where to break the connection off

        Raises
        ------
        LineLost
            Always, where a cut was asked for.
        """
        self.send(path, body, cut)
        return self.receive()

    def send(self, path: str, body: bytes, cut: Cut = Cut.NOWHERE) -> None:
        """Send JSON and leave the answer for `receive`."""
        packed = gzip.compress(body, compresslevel=5, mtime=0)
        self._traffic["requests"] += 1
        try:
            connection = self._connection
            connection.putrequest("POST", self._prefix + path, skip_accept_encoding=True)
            connection.putheader("Content-Type", "application/json")
            connection.putheader("Content-Encoding", "gzip")
            connection.putheader("Accept-Encoding", "gzip")
            connection.putheader("Content-Length", str(len(packed)))
            connection.endheaders()
            connection.send(packed[: len(packed) // 2] if cut is Cut.SENDING else packed)
            if cut is Cut.MIDWAY:
                connection.sock.recv(64)
        except (OSError, HTTPException) as error:
            raise self._lost(str(error)) from error
        if cut is not Cut.NOWHERE:
            self._traffic[cut.value] += 1
            raise self._lost(cut.value)

    def receive(self) -> Answer:
        """Read the answer to what was sent."""
        try:
            return self._read()
        except (OSError, HTTPException) as error:
            raise self._lost(str(error)) from error

    def _read(self) -> Answer:
        response = self._connection.getresponse()
        body = response.read()
        if response.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        return Answer(response.status, body)

    def _lost(self, why: str) -> LineLost:
        self._connection.close()
        return LineLost(why)
