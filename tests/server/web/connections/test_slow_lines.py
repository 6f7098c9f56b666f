"""Slow, bad and many lines against a real server: pages are answered all the while, and every refusal is problem+json."""

import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import orjson
import pytest

from server.operations.serve import THREADS, WORKERS
from server.web.connections.connection import LEAST_BYTES_A_SECOND
from tests.faults._running import START_SECONDS, HttpTablet, Server, http_tablet, register, running
from tests.server._district import Databases, District

SLOW_SECONDS = 3
MOST = 40
"""Connections of one address to each worker."""
SYNC = b"POST /api/v1/sync HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
QUICK_SECONDS = 5.0
"""Far longer than a page takes on a busy machine, far shorter than a slow line holds."""


@pytest.fixture(scope="module")
def serving(sqlite_databases: Databases) -> Iterator[tuple[Server, District]]:
    with District.opened(sqlite_databases) as district:
        settings = replace(district.hub.settings, slow_seconds=SLOW_SECONDS, connections_per_address=MOST)
        with running(settings) as server:
            district.clock.now = datetime.now(UTC)
            yield server, district


@pytest.fixture
def server(serving: tuple[Server, District]) -> Server:
    return serving[0]


@dataclass(frozen=True)
class Answer:
    """An answer as it came over a raw line."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The code of the problem that it is."""
        assert self.headers["content-type"] == "application/problem+json", self
        told = orjson.loads(self.body)
        assert told["status"] == self.status
        assert told["title"]
        assert told["title_en"]
        return str(told["code"])


@contextmanager
def line_to(server: Server, wire: bytes = b"") -> Iterator[socket.socket]:
    """Open a raw line and send some bytes."""
    with closing(socket.create_connection(("127.0.0.1", server.port), timeout=START_SECONDS)) as line:
        line.sendall(wire)
        yield line


def answer_on(line: socket.socket) -> Answer:
    """Read one answer, whose connection is then closed by the server, or is kept."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += some_of(line)
    head, _, body = received.partition(b"\r\n\r\n")
    status, *fields = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    while len(body) < int(headers.get("content-length", 0)):
        body += some_of(line)
    return Answer(int(status.split()[1]), headers, body)


def some_of(line: socket.socket) -> bytes:
    found = line.recv(65536)
    assert found, "the line ended before the answer"
    return found


def asked(server: Server, wire: bytes) -> Answer:
    """Send bytes on a line of their own, and read the answer."""
    with line_to(server, wire) as line:
        return answer_on(line)


def took(tablet: HttpTablet, answer: Answer) -> None:
    """Give a tablet its answer."""
    tablet.answers.append(orjson.loads(answer.body))
    tablet.replica.receive(tablet.answers[-1], tablet.district.clock.text())


def all_is_quick(server: Server, times: int = 40) -> None:
    """Ask for pages and for health, one after the other, from whichever worker takes it."""
    spent = []
    for _ in range(times):
        for path in ("/masuk", "/healthz"):
            began = time.monotonic()
            assert server.get(path)[0] == 200
            spent.append(time.monotonic() - began)
    assert max(spent) < QUICK_SECONDS, statistics.quantiles(spent, n=20)


# -- what cannot be read ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wire", "status", "code"),
    [
        (SYNC + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", 400, "request-malformed"),
        (SYNC + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabcde\r\n0\r\n\r\n", 400, "request-malformed"),
        (SYNC + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}junk\r\n0\r\n\r\n", 400, "request-malformed"),
        (SYNC + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\njunk\r\n\r\n", 400, "request-malformed"),
        (SYNC + b"Transfer-Encoding: rot13\r\n\r\n{}", 501, "transfer-coding-unknown"),
        (SYNC + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}", 400, "request-malformed"),
        (SYNC + b"Content-Length: -5\r\n\r\n", 400, "request-malformed"),
        (SYNC + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400, "request-malformed"),
        (SYNC + b"Content-Length: 99999999\r\n\r\n", 413, "batch-too-large"),
        (SYNC + b"Expect: tea\r\nContent-Length: 2\r\n\r\n{}", 417, "expectation-unknown"),
        (b"GET / HTTP/9.9\r\n\r\n", 400, "request-malformed"),
        (b"nonsense\r\n\r\n", 400, "request-malformed"),
        (b"\r\n\r\nGET / HTTP/1.1\r\n\r\n", 400, "request-malformed"),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400, "request-malformed"),
        (b"GET / HTTP/1.1\r\nHost x\r\n\r\n", 400, "request-malformed"),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n", 414, "request-line-too-long"),
        (b"GET /" + b"a" * 50_000, 414, "request-line-too-long"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431, "headers-too-large"),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 9000 + b"\r\n\r\n", 431, "headers-too-large"),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 50_000, 431, "headers-too-large"),
    ],
)
def test_what_cannot_be_read_is_told_as_a_problem(
    server: Server, wire: bytes, status: int, code: str
) -> None:
    answer = asked(server, wire)
    assert (answer.status, answer.code) == (status, code)
    assert answer.headers["connection"] == "close"


def test_junk_after_a_request_is_a_bad_request_of_its_own(server: Server) -> None:
    wire = b"GET /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nzz\r\n\r\n"
    with line_to(server, wire) as line:
        assert answer_on(line).status == 200
        assert answer_on(line).code == "request-malformed"


# -- what can be read, however it comes --------------------------------------------------------------


def test_batch_is_taken_when_it_comes_in_chunks_or_byte_by_byte(serving: tuple[Server, District]) -> None:
    server, district = serving
    tablet = http_tablet(district)
    for pieces in (1, 10):
        register(tablet)
        body = tablet.next_message()
        cut = [body[at : at + len(body) // pieces + 1] for at in range(0, len(body), len(body) // pieces + 1)]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in cut) + b"0\r\n\r\n"
        answer = asked(server, SYNC + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
        assert answer.status == 200
        took(tablet, answer)
    register(tablet)
    body = tablet.next_message()
    wire = SYNC + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with line_to(server) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(wire)):
            line.sendall(wire[at : at + 1])
        took(tablet, answer_on(line))
    assert tablet.outcomes() == ["applied"] * 3


def test_requests_that_come_at_once_are_answered_in_turn(server: Server) -> None:
    with line_to(server, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 3) as line:
        line.sendall(b"GET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = b"".join(iter(lambda: line.recv(65536), b""))
    assert received.count(b"HTTP/1.1 200 OK") == 3
    assert received.count(b"HTTP/1.1 404") == 1


def test_body_is_asked_for_when_the_client_waits_for_that(server: Server) -> None:
    with line_to(server, SYNC + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n") as line:
        assert some_of(line) == b"HTTP/1.1 100 Continue\r\n\r\n"
        line.sendall(b"{}")
        assert answer_on(line).code == "batch-malformed"


# -- slow lines ------------------------------------------------------------------------------------


@pytest.mark.parametrize("wire", [b"GET / HT", SYNC, SYNC + b"Content-Length: 5000\r\n\r\n{"])
def test_line_that_stalls_is_let_go(server: Server, wire: bytes) -> None:
    began = time.monotonic()
    answer = asked(server, wire)
    assert (answer.status, answer.code) == (408, "request-too-slow")
    assert SLOW_SECONDS <= time.monotonic() - began < SLOW_SECONDS + 10


def test_body_that_keeps_the_pace_is_taken_however_long_it_takes(server: Server) -> None:
    size = LEAST_BYTES_A_SECOND * 3
    with line_to(server, SYNC + b"Content-Length: %d\r\n\r\n" % (4 * size)) as line:
        for _ in range(4):
            time.sleep(1.5)
            line.sendall(b" " * size)
        assert answer_on(line).code == "body-not-json"


def test_pages_are_quick_while_bodies_heads_and_idle_lines_wait(server: Server) -> None:
    """More slow lines than there are threads, of each kind."""
    many = WORKERS * THREADS + 1
    kinds = (SYNC + b"Content-Length: 5000\r\n\r\n{", b"GET /masuk HT", b"")
    with ExitStack() as lines:
        for wire in kinds * many:
            lines.enter_context(line_to(server, wire))
        all_is_quick(server)


def test_pages_are_quick_while_answers_are_not_read(server: Server) -> None:
    """Each line asks for more than the kernel keeps for it, and reads nothing."""
    many = WORKERS * THREADS + 1
    with ExitStack() as lines:
        for _ in range(many):
            line = lines.enter_context(closing(socket.socket()))
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.connect(("127.0.0.1", server.port))
            line.sendall(b"GET /tablet-app/growth.json HTTP/1.1\r\nHost: x\r\n\r\n" * 30)
        all_is_quick(server)


def test_slow_reader_gets_its_answer_whole(server: Server) -> None:
    whole = server.get("/tablet-app/growth.json")[2]
    with closing(socket.socket()) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.connect(("127.0.0.1", server.port))
        line.settimeout(START_SECONDS)
        line.sendall(b"GET /tablet-app/growth.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        time.sleep(1)
        received = b"".join(iter(lambda: line.recv(16384), b""))
    assert received.partition(b"\r\n\r\n")[2] == whole


# -- many lines ------------------------------------------------------------------------------------


def test_address_with_too_many_connections_is_told_so_at_once(server: Server) -> None:
    with ExitStack() as lines:
        opened = [lines.enter_context(line_to(server, b"GET / HT")) for _ in range(MOST * WORKERS + 20)]
        refused = 0
        for line in opened:
            line.settimeout(0.2)
            try:
                answer = answer_on(line)
            except TimeoutError:
                continue
            if answer.status == 429:
                assert answer.code == "too-many-connections"
                assert 5 <= int(answer.headers["retry-after"]) <= 15
                refused += 1
        assert refused >= 20
