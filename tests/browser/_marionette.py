"""Firefox's own remote protocol: commands of WebDriver as JSON over a socket, each message after its length.

Firefox speaks it itself, so no driver is installed beside it. Mozilla's Python client of it does not run on Python 3.13.
"""

import json
import socket
import time
from typing import Any, Final

ELEMENT: Final = "element-6066-11e4-a52e-4f735466cecf"
"""The member under which WebDriver gives the id of an element."""


class CommandFailed(Exception):
    """Firefox refused a command; its text says why."""


class Marionette:
    """A session with a Firefox that was started with `--marionette`."""

    def __init__(self, port: int, patience_seconds: float) -> None:
        self._socket = _connected(port, patience_seconds)
        self._socket.settimeout(patience_seconds)
        self._unread = b""
        self._number = 0
        self._message()  # it introduces itself
        self.command("WebDriver:NewSession", strictFileInteractability=True)

    def close(self) -> None:
        self._socket.close()

    def command(self, name: str, **parameters: Any) -> Any:
        """Carry out a command; give its value."""
        self._number += 1
        request = json.dumps([0, self._number, name, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(request), request))
        _, _, error, result = self._message()
        if error:
            raise CommandFailed(f"{name}: {error['error']}: {error['message']}")
        return result.get("value") if isinstance(result, dict) and "value" in result else result

    def find(self, selector: str) -> str:
        """Give the id of the first element that a CSS selector finds."""
        found = self.command("WebDriver:FindElement", using="css selector", value=selector)
        return str(found[ELEMENT])

    def _message(self) -> Any:
        while b":" not in self._unread:
            self._receive()
        length, _, self._unread = self._unread.partition(b":")
        while len(self._unread) < int(length):
            self._receive()
        message, self._unread = self._unread[: int(length)], self._unread[int(length) :]
        return json.loads(message)

    def _receive(self) -> None:
        came = self._socket.recv(65536)
        if not came:
            raise ConnectionError("Firefox has closed the connection")
        self._unread += came


def _connected(port: int, patience_seconds: float) -> socket.socket:
    """Connect as soon as Firefox listens."""
    end = time.monotonic() + patience_seconds
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=patience_seconds)
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
