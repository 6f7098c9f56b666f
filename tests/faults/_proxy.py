"""Bad lines between tablets and server, in one process with the test: one that is cut after so many bytes, and one that
repeats, delays and reorders whole requests.

Hides sockets and threads. Both speak just enough HTTP to know where a message ends (a head, and a body of the length that
the head names).
"""

import random
import socket
import struct
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

SECONDS = 60.0
"""After which a silent line is a failure."""


class Incomplete(Exception):
    """The other side went before its message was whole."""


def read_message(line: socket.socket) -> bytes:
    """Read a whole request or answer.

    Raises
    ------
    Incomplete
        the line ended before the message did
    """
    text = b""
    while b"\r\n\r\n" not in text:
        text += _more(line)
    head, _, body = text.partition(b"\r\n\r\n")
    fields = dict(field.lower().split(b":", 1) for field in head.split(b"\r\n")[1:])
    wanted = int(fields.get(b"content-length", b"0"))
    while len(body) < wanted:
        body += _more(line)
    return head + b"\r\n\r\n" + body


def head_bytes(message: bytes) -> int:
    """Give how long the head of a message is, the empty line at its end included."""
    return message.index(b"\r\n\r\n") + 4


def _more(line: socket.socket) -> bytes:
    try:
        found = line.recv(65536)
    except OSError as error:
        raise Incomplete from error
    if not found:
        raise Incomplete
    return found


def hang_up(line: socket.socket, *, rudely: bool) -> None:
    """Close a connection; rudely is with a reset, as after a crash."""
    if rudely:
        with suppress(OSError):
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()


class _Proxy(ABC):
    """Listens on a port of its own and serves each connection by a thread."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self.failures: list[BaseException] = []

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen until the block is left; whatever failed in a thread fails here."""
        keeper = threading.Thread(target=self._accept, daemon=True)
        keeper.start()
        try:
            yield
        finally:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # wakes the keeper
            self._listener.close()
            keeper.join(SECONDS)
            for thread in self._threads:
                thread.join(SECONDS)
        assert self.failures == []

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._guarded, args=(line,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _guarded(self, line: socket.socket) -> None:
        try:
            line.settimeout(SECONDS)
            self._serve(line)
        except BaseException as error:  # noqa: BLE001 - told when the proxy ends
            self.failures.append(error)
        finally:
            line.close()

    @abstractmethod
    def _serve(self, line: socket.socket) -> None:
        """Pass on what comes over one connection."""

    def _to_server(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._server_port), SECONDS)


class Cutter(_Proxy):
    """Cuts each connection once `up` bytes of the request, or `down` bytes of the answer, have passed (None: never).

    `request` is the last request, `answer` the last answer as the server gave it: also what the tablet did not see of it.
    """

    up: int | None = None
    down: int | None = None
    rudely = False
    request = b""
    answer = b""

    def _serve(self, line: socket.socket) -> None:
        self.answer = b""
        self.request = request = read_message(line)
        upstream = self._to_server()
        try:
            if self.up is not None and self.up <= len(request):
                upstream.sendall(request[: self.up])
                return
            upstream.sendall(request)
            self.answer = read_message(upstream)
            line.sendall(self.answer[: self.down])
        finally:
            hang_up(upstream, rudely=self.rudely)
            hang_up(line, rudely=self.rudely)


class Planned(_Proxy):
    """Cuts the next requests that a browser makes of one path, as planned; everything else passes whole.

    `cuts` are what is left of the plan: `("up", 0.5)` loses half of a request, `("down", 0.9)` the last tenth of an answer.
    `made` counts what was cut.
    """

    def __init__(self, server_port: int, path: str) -> None:
        super().__init__(server_port)
        self._path = f"{path} ".encode()
        self.cuts: list[tuple[str, float]] = []
        self.made = 0

    def _serve(self, line: socket.socket) -> None:
        with suppress(Incomplete):  # a browser opens connections that it never uses
            request = read_message(line)
            is_meant = request.split(b" ", 1)[1].startswith(self._path)
            where, part = self.cuts.pop(0) if is_meant and self.cuts else ("", 1.0)
            self.made += bool(where)
            upstream = self._to_server()
            try:
                upstream.sendall(request[: int(len(request) * part)] if where == "up" else request)
                answer = b"" if where == "up" else read_message(upstream)
                with suppress(OSError):  # the browser was killed meanwhile
                    line.sendall(answer[: int(len(answer) * part)])
            finally:
                hang_up(upstream, rudely=False)


HOLD_SECONDS: Final = 0.3
"""The longest that one waits for others to overtake it: perhaps there are none."""
MOST_OVERTAKE = 6


class Meddler(_Proxy):
    """Treats every request as a bad network does, as drawn from a seed; `fates` counts how.

    `passed`: as it came. `twice`: two copies at once, either's answer. `again`: a copy comes once more after later requests.
    `overtaken`: waits until others have passed. `answer overtaken`: likewise its answer. `late`: the tablet is cut off, and
    what it sent arrives after later requests, its own repeat among them.
    """

    def __init__(self, server_port: int, seed: int) -> None:
        super().__init__(server_port)
        self._luck = random.Random(seed)
        self._moved = threading.Condition()
        self._passed = 0
        self._late: list[tuple[int, bytes]] = []
        self.fates: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self._ways: dict[str, Callable[[socket.socket, bytes], None]] = {
            "passed": self._pass,
            "twice": self._twice,
            "again": self._again,
            "overtaken": self._overtaken,
            "answer overtaken": self._answer_overtaken,
            "late": self._deliver_late,
        }

    def _serve(self, line: socket.socket) -> None:
        request = read_message(line)
        with self._moved:
            fate = self._luck.choice(list(self._ways))
            self.fates[fate] += 1
        self._send_what_is_due()
        self._ways[fate](line, request)

    # -- ways -----------------------------------------------------------------------------------------

    def _pass(self, line: socket.socket, request: bytes) -> None:
        line.sendall(self._asked(request))

    def _twice(self, line: socket.socket, request: bytes) -> None:
        answers: list[bytes] = []
        other = threading.Thread(target=lambda: answers.append(self._asked(request)), daemon=True)
        other.start()
        answers.append(self._asked(request))
        other.join(SECONDS)
        line.sendall(answers[-1])

    def _again(self, line: socket.socket, request: bytes) -> None:
        self._keep(request)
        line.sendall(self._asked(request))

    def _overtaken(self, line: socket.socket, request: bytes) -> None:
        self._wait_for_others()
        line.sendall(self._asked(request))

    def _answer_overtaken(self, line: socket.socket, request: bytes) -> None:
        answer = self._asked(request)
        self._wait_for_others()
        line.sendall(answer)

    def _deliver_late(self, _line: socket.socket, request: bytes) -> None:
        self._keep(request)

    # -- steps ----------------------------------------------------------------------------------------

    def _asked(self, request: bytes) -> bytes:
        """Bring a request to the server and give its answer."""
        upstream = self._to_server()
        try:
            upstream.sendall(request)
            answer = read_message(upstream)
        finally:
            upstream.close()
        with self._moved:
            self.statuses[int(answer.split(b" ", 2)[1])] += 1
            self._passed += 1
            self._moved.notify_all()
        return answer

    def _wait_for_others(self) -> None:
        with self._moved:
            wanted = self._passed + self._luck.randint(1, MOST_OVERTAKE)
            self._moved.wait_for(lambda: self._passed >= wanted, HOLD_SECONDS)

    def _keep(self, request: bytes) -> None:
        with self._moved:
            self._late.append((self._passed + self._luck.randint(1, 5 * MOST_OVERTAKE), request))

    def _send_what_is_due(self, *, all_of_it: bool = False) -> None:
        with self._moved:
            due = [r for at, r in self._late if all_of_it or at <= self._passed]
            self._late = [] if all_of_it else [(at, r) for at, r in self._late if at > self._passed]
        for request in due:
            self._asked(request)

    def deliver_the_rest(self) -> None:
        """Bring the server whatever is still on the way."""
        self._send_what_is_due(all_of_it=True)
