"""A request as it arrives: in whatever pieces, within its limits, in memory and on the disk."""

import resource
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from gunicorn.config import Config  # type: ignore[import-untyped]  # the library has no types
from hypothesis import given, strategies as st

from server.config import Settings
from server.errors import Problem
from server.web.connections.request import IN_MEMORY, MOST_HEAD, ArrivingRequest
from server.web.request_body import MOST_BYTES, most_bytes

HEAD = b"POST /api/v1/sync HTTP/1.1\r\nHost: x\r\n"
WIRES = (
    HEAD + b"Content-Length: 5\r\n\r\nhello",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
)


@contextmanager
def arriving(*pieces: bytes, most: int = 1000) -> Iterator[ArrivingRequest]:
    """Give a request of which these pieces have arrived."""
    with closing(ArrivingRequest(Config(), ("127.0.0.1", 5), lambda _path: most)) as request:
        for piece in pieces:
            request.feed(piece)
        yield request


def refused(*pieces: bytes) -> str:
    """Give the code with which a request is refused."""
    with pytest.raises(Problem) as caught, arriving(*pieces):
        pass
    assert caught.value.body()["title_en"]
    return caught.value.code


@given(wire=st.sampled_from(WIRES), cuts=st.lists(st.integers(0, 200), max_size=8))
def test_request_is_the_same_however_it_is_cut(wire: bytes, cuts: list[int]) -> None:
    wire += b"GET / HTTP/1.1\r\n"
    at = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    rest = b""
    with arriving() as request:
        for begin, end in pairwise(at):
            if request.complete:
                rest += wire[begin:end]
            else:
                request.feed(wire[begin:end])
        assert request.head.method == "POST"
        assert request.head.body.read() == b"hello"
        assert request.arrived == 5
        assert request.rest + rest == b"GET / HTTP/1.1\r\n"


def test_request_without_a_body_is_complete_with_its_head() -> None:
    wire = b"GET /masuk HTTP/1.1\r\nHost: x\r\n"
    with arriving(wire) as request:
        assert request.head is None
    with arriving(wire, b"\r\n") as request:
        assert request.complete
        assert request.head.path == "/masuk"
        assert request.head.body.read() == b""


def test_client_that_waits_for_100_continue_is_seen() -> None:
    wire = HEAD + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n"
    with arriving(wire) as request:
        assert request.awaits_continue
    with arriving(wire, b"x") as request:
        assert not request.awaits_continue


def test_large_body_goes_to_the_disk_and_is_read_back_whole() -> None:
    head = HEAD + b"Content-Length: %d\r\n\r\n" % (IN_MEMORY + 1)
    with arriving(head, b"a" * IN_MEMORY, most=10 * IN_MEMORY) as request:
        assert not request._body._rolled  # type: ignore[attr-defined]  # what tells where it is
        request.feed(b"b")
        assert request._body._rolled  # type: ignore[attr-defined]  # likewise
        assert request.head.body.read() == b"a" * IN_MEMORY + b"b"


@contextmanager
def no_file_beyond(most_bytes: int) -> Iterator[None]:
    """Let this process write no more of any file, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("last", [100_000, 1])
def test_body_that_the_disk_has_no_room_for_is_refused_for_now(last: int) -> None:
    """Whether it is found when bytes are written, or when the last ones leave Python's buffer."""
    head = HEAD + b"Content-Length: %d\r\n\r\n" % (IN_MEMORY + 1 + last)
    with no_file_beyond(IN_MEMORY + 1), arriving(head, b"a" * (IN_MEMORY + 1), most=10**6) as request:
        with pytest.raises(Problem) as caught:
            request.feed(b"b" * last)
        assert caught.value.code == "server-busy"


def test_body_that_cannot_be_written_can_be_dropped() -> None:
    head = HEAD + b"Content-Length: %d\r\n\r\n" % (IN_MEMORY + 5)
    with no_file_beyond(IN_MEMORY + 1), arriving(head, b"a" * (IN_MEMORY + 1), most=10**6) as request:
        request.feed(b"b")
        request.close()
        assert request.arrived == 0


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/api/v1/sync?x=/y", "/api/v1/sync"),
        (b"/api/v1/s%79nc", "/api/v1/sync"),
        (b"//api/v1/sync", "/api/v1/sync"),
        (b"http://x/%2Fapi/v1/sync", "/api/v1/sync"),
        (b"http://x", "/"),
        (b"/%ff", "/\ufffd"),
    ],
)
def test_path_is_the_one_that_the_application_reads(target: bytes, path: str) -> None:
    seen: list[str] = []

    def most(of: str) -> int:
        seen.append(of)
        return 1000

    with closing(ArrivingRequest(Config(), ("127.0.0.1", 5), most)) as request:
        request.feed(b"POST " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert request.path == path
        assert seen == [path]


def test_limits_are_exact() -> None:
    with arriving(HEAD + b"Content-Length: 1000\r\n\r\n" + b"a" * 1000) as request:
        assert request.complete
    assert refused(HEAD + b"Content-Length: 1001\r\n\r\n") == "batch-too-large"
    chunk = b"3e8\r\n" + b"a" * 1000 + b"\r\n"
    assert refused(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", chunk, b"1\r\na\r\n") == "batch-too-large"


def endless(piece: bytes) -> Iterator[bytes]:
    """Give a head that never ends, up to twice what is taken."""
    yield b"GET / HTTP/1.1\r\n"
    for _ in range(2 * MOST_HEAD // len(piece)):
        yield piece


@pytest.mark.parametrize("piece", [b"X: y\r\n", b"y" * 100])
def test_head_without_an_end_is_refused(piece: bytes) -> None:
    assert refused(*endless(piece)) == "headers-too-large"
    assert refused(b"".join(endless(piece)) + b"\r\n\r\n") in ("headers-too-large", "request-malformed")
    assert refused(*[b"a" * 100] * 50) == "request-line-too-long"


@pytest.mark.parametrize("wire", [b"GET / HTTP/1.1\n\n", b"\n", b"GET / HTTP/1.1\r\nX: y\nZ"])
def test_line_that_does_not_end_with_cr_lf_is_refused_at_once(wire: bytes) -> None:
    assert refused(wire) == "request-malformed"
    assert refused(*(wire[at : at + 1] for at in range(len(wire)))) == "request-malformed"


def test_limit_of_a_body_is_that_of_its_address(tmp_path: Path) -> None:
    settings = Settings.for_data(tmp_path)
    assert most_bytes("/api/v1/sync", settings) == settings.max_body_bytes
    assert most_bytes("/api/v1/enrol/again", settings) == settings.max_body_bytes
    assert most_bytes("/api/v1/carried", settings) == settings.max_inflated_bytes
    assert most_bytes("/impor", settings) == MOST_BYTES
