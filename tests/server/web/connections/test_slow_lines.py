"""Slow, bad and many lines against a real server: pages are answered all the while, and every refusal is problem+json."""

import resource
import selectors
import socket
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import urlencode

import orjson
import pytest

from server import accounts
from server.operations.serve import THREADS, WORKERS
from server.web.connections.connection import LEAST_BYTES_A_SECOND
from server.web.connections.lanes import UPLOADS, WAITING
from server.web.connections.request import IN_MEMORY
from server.web.connections.worker import FRESH_SECONDS
from tests._speedups import passwords_in_earnest
from tests.faults._running import (
    START_SECONDS,
    HttpTablet,
    LineLost,
    Server,
    children,
    http_tablet,
    is_alive,
    limit_files,
    register,
    running,
    wait_until,
)
from tests.server._district import Databases, District

SLOW_SECONDS = 3
SYNC = b"POST /api/v1/sync HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
PASSWORD = "kata-sandi-uji-coba"
QUICK_SECONDS = 5.0
"""Far longer than a page takes on a busy machine, far shorter than a slow line holds."""


@pytest.fixture(scope="module")
def serving(sqlite_databases: Databases) -> Iterator[tuple[Server, District]]:
    with District.opened(sqlite_databases) as district:
        settings = replace(district.hub.settings, slow_seconds=SLOW_SECONDS)
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
    assert answer.headers["cache-control"] == "no-store"
    assert len(answer.headers["x-request-id"]) == 36


def test_refusal_has_the_headers_of_every_other_answer(server: Server) -> None:
    refused = asked(server, b"nonsense\r\n\r\n").headers
    page = asked(server, b"GET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").headers
    assert {name: page[name] for name in page if name.startswith(("content-security", "strict", "referrer"))}
    assert page.keys() - refused.keys() <= {"server", "date", "vary", "set-cookie"}
    for name in page.keys() & refused.keys() - {"content-length", "content-type", "x-request-id"}:
        assert refused[name] == page[name], name


def test_header_names_no_part_of_the_path(server: Server) -> None:
    """gunicorn takes SCRIPT_NAME from a header where the peer is a proxy on this machine."""
    wire = b"GET /healthz HTTP/1.1\r\nHost: x\r\nSCRIPT_NAME: %b\r\n\r\n"
    assert asked(server, wire % b"/none").status == 200
    assert asked(server, wire % b"/healthz").status == 200


@pytest.mark.parametrize(
    "name", [b"SCRIPT_NAME", b"Script-Name", b"PATH_INFO", b"X-Forwarded-Prefix", b"X-Script-Name"]
)
def test_header_leads_nobody_to_another_site(server: Server, name: bytes) -> None:
    """From this machine as well, where a proxy of the operator may stand."""
    wire = b"GET /antrean HTTP/1.1\r\nHost: evil.example\r\n%b: //evil.example\r\n\r\n"
    answer = asked(server, wire % name)
    assert (answer.status, answer.headers["location"]) == (302, "/masuk?next=/antrean")


def test_junk_after_a_request_is_a_bad_request_of_its_own(server: Server) -> None:
    wire = b"GET /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nzz\r\n\r\n"
    with line_to(server, wire) as line:
        received = b"".join(iter(lambda: line.recv(65536), b""))
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.count(b"HTTP/1.1 400 ") == received.count(b'"code":"request-malformed"') == 1


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


def test_body_without_room_on_the_disk_is_refused_for_now(serving: tuple[Server, District]) -> None:
    """A limit on the length of files stands for a full disk; no worker ends by it, and there is room again afterwards."""
    server, district = serving
    tablet = http_tablet(district)
    register(tablet)
    body = tablet.next_message()
    body += b" " * (IN_MEMORY + 2 - len(body))
    workers = [pid for pid in children(server.master) if is_alive(pid)]
    limit_files(workers, IN_MEMORY + 1)
    wire = SYNC + b"Content-Length: %d\r\n\r\n" % len(body) + body
    stalled = SYNC + b"Content-Length: %d\r\n\r\n" % (IN_MEMORY + 5) + b" " * (IN_MEMORY + 2)
    with ExitStack() as lines:
        stalling = opened(server, 2 * WORKERS, stalled, lines)
        assert {asked(server, wire).code for _ in range(WORKERS)} == {"server-busy"}
        assert {answer_on(line).code for line in stalling} <= {"server-busy", "request-too-slow"}
    limit_files(workers, resource.RLIM_INFINITY)
    took(tablet, asked(server, wire))
    assert tablet.outcomes() == ["applied"]
    assert [pid for pid in children(server.master) if is_alive(pid)] == workers


# -- many lines ------------------------------------------------------------------------------------


def first_answers(lines: list[socket.socket], status: int, seconds: float = 5.0) -> list[Answer]:
    """Read an answer from each line that has one, and give those of a status; a line that has none yet is passed over."""
    selector = selectors.DefaultSelector()
    for line in lines:
        selector.register(line, selectors.EVENT_READ)
    found, until = [], time.monotonic() + seconds
    while selector.get_map() and time.monotonic() < until:
        for key, _ in selector.select(0.2):
            selector.unregister(key.fileobj)
            assert isinstance(key.fileobj, socket.socket)
            found.append(answer_on(key.fileobj))
    selector.close()
    return [answer for answer in found if answer.status == status]


def opened(server: Server, count: int, wire: bytes, lines: ExitStack) -> list[socket.socket]:
    """Open lines that all begin with the same bytes."""
    return [lines.enter_context(line_to(server, wire)) for _ in range(count)]


def test_pages_are_quick_beside_200_idle_connections(server: Server) -> None:
    with ExitStack() as lines:
        for _ in range(200):
            line = lines.enter_context(line_to(server, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"))
            assert answer_on(line).status == 200
        all_is_quick(server)


def test_pages_are_quick_beside_64_pulls_of_a_whole_post(serving: tuple[Server, District]) -> None:
    server, district = serving
    sender, fresh = http_tablet(district), http_tablet(district)
    sender.server = fresh.server = server
    for _ in range(100):
        register(sender)
    sender.sync_until_quiet()
    message = fresh.next_message()
    with ThreadPoolExecutor(64) as many:
        pulls = [many.submit(server.post, "/api/v1/sync", message) for _ in range(64)]
        all_is_quick(server, 10)
        told = [pull.result() for pull in pulls]
    refused = [headers for status, headers, _ in told if status == 503]  # where others were before them
    assert all("Retry-After" in headers for headers in refused)
    pulled = [answer for answer in told if answer[0] == 200]
    assert len(pulled) + len(refused) == 64
    assert {len(orjson.loads(body)["pull"]["children"]) for *_, body in pulled} == {
        len(fresh_children(pulled))
    }


def fresh_children(told: list[tuple[int, dict[str, str], bytes]]) -> list[object]:
    """Give the children of the first answer: a whole post."""
    children = orjson.loads(told[0][2])["pull"]["children"]
    assert len(children) >= 100
    return list(children)


def test_pages_are_quick_beside_50_sign_ins(serving: tuple[Server, District]) -> None:
    server, district = serving
    with passwords_in_earnest():
        chosen = accounts.new_password(PASSWORD, "petugas")
    with district.hub.database.transaction() as session:
        given = (
            session,
            district.hub,
            "petugas",
            "Petugas Contoh",
            "staff",
            "district",
            district.hub.district,
        )
        accounts.add_account(*given, chosen, actor="test", now=district.clock.now)
    _, headers, page = server.get("/masuk")
    token = page.decode().split('name="csrf_token" value="')[1].split('"')[0]
    form = urlencode({"csrf_token": token, "username": "petugas", "password": PASSWORD}).encode()
    head = (
        f"POST /masuk HTTP/1.1\r\nHost: x\r\nCookie: {headers['Set-Cookie'].partition(';')[0]}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n\r\n"
    )
    with ExitStack() as lines:
        asking = opened(server, 50, head.encode() + form, lines)
        all_is_quick(server, 10)
        assert [answer_on(line).status for line in asking] == [302] * 50


def test_full_server_says_so_at_once_and_pages_go_on(serving: tuple[Server, District]) -> None:
    """Nothing can be written while the test holds the lock, so batches pile up: what has no place is refused, and what has
    one is taken in the end."""
    server, district = serving
    tablets = [http_tablet(district) for _ in range(3)]
    for tablet in tablets:
        register(tablet)
    wires = []
    for tablet in tablets:
        body = tablet.next_message()
        wires.append(SYNC + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    places = WORKERS * (1 + WAITING[UPLOADS])
    with ExitStack() as lines:
        with district.hub.database.write_lock():
            asking = [line for wire in wires for line in opened(server, places // 2, wire, lines)]
            refused = first_answers(asking, 503, 3)
            all_is_quick(server, 10)
        assert len(refused) >= len(asking) - places
        assert {answer.code for answer in refused} == {"server-busy"}
        assert all(5 <= int(answer.headers["retry-after"]) <= 15 for answer in refused)
    for tablet in tablets:
        tablet.server = server
        wait_until(lambda: comes_through(tablet), "what waited is done")  # noqa: B023  # called at once
        assert tablet.outcomes() == ["applied"]


def comes_through(tablet: HttpTablet) -> bool:
    """Sync; say whether the server had a place for that."""
    try:
        tablet.sync_until_quiet()
    except LineLost:
        return False
    return True


# -- behind a proxy, and with few places -------------------------------------------------------------


FEW, OF_ONE = 20, 5
"""Connections of each worker, and of each address."""


@pytest.fixture(scope="module")
def narrow(sqlite_databases: Databases) -> Iterator[Server]:
    """Give a server behind a proxy that has few places."""
    with District.opened(sqlite_databases) as district:
        settings = replace(district.hub.settings, proxies=1, connections_per_address=OF_ONE)
        with running(settings, GUNICORN_CMD_ARGS=f"--worker-connections={FEW}") as server:
            yield server


def unfinished(address: str) -> bytes:
    """Give a head that a proxy passes on for an address, and one byte of the body."""
    return SYNC + f"X-Forwarded-For: 198.51.100.1, {address}\r\nContent-Length: 5000\r\n\r\n{{".encode()


def test_address_with_too_many_connections_is_told_so_at_once(on_sqlite: District) -> None:
    settings = replace(on_sqlite.hub.settings, connections_per_address=OF_ONE)
    with running(settings) as server, ExitStack() as lines:
        refused = first_answers(opened(server, OF_ONE * WORKERS + 20, b"GET / HT", lines), 429, 3)
        assert len(refused) >= 20
        assert {answer.code for answer in refused} == {"too-many-connections"}
        assert all(5 <= int(answer.headers["retry-after"]) <= 15 for answer in refused)


def test_address_that_is_refused_takes_no_place_from_others(on_sqlite: District) -> None:
    """A refused connection stays for a while, so that its client can read why, but not where another is to be served."""
    settings = replace(on_sqlite.hub.settings, connections_per_address=OF_ONE)
    with (
        running(settings, GUNICORN_CMD_ARGS=f"--worker-connections={FEW}") as server,
        ExitStack() as lines,
    ):
        opened(server, 4 * FEW * WORKERS, b"GET / HT", lines)
        for number in range(2 * WORKERS):
            line = lines.enter_context(closing(socket.socket()))
            line.settimeout(START_SECONDS)
            line.bind((f"127.0.0.{10 + number}", 0))
            line.connect(("127.0.0.1", server.port))
            line.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert answer_on(line).status == 200


def test_requests_are_counted_by_the_address_in_front_of_the_proxy(narrow: Server) -> None:
    with ExitStack() as lines:
        asking = opened(narrow, OF_ONE * WORKERS + 5, unfinished("203.0.113.7"), lines)
        refused = first_answers(asking, 429, 2)
        assert len(refused) >= 5
        other = opened(narrow, 1, unfinished("203.0.113.8"), lines)
        assert first_answers(other, 429, 1) == []


def test_idle_connections_make_room_when_all_places_are_taken(narrow: Server) -> None:
    with ExitStack() as lines:
        opened(narrow, FEW * WORKERS + 20, b"", lines)
        time.sleep(2 * FRESH_SECONDS)
        all_is_quick(narrow, 5)


def test_server_without_a_place_says_so(narrow: Server) -> None:
    with ExitStack() as lines:
        asking = opened(narrow, FEW * WORKERS + 20, b"GET / HT", lines)
        refused = first_answers(asking, 503, 3)
        assert len(refused) >= 20
        assert {answer.code for answer in refused} == {"server-busy"}
