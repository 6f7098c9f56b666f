"""Chunks as they arrive, in whatever pieces; and what is no chunk."""

from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from server.errors import Problem
from server.web.connections.chunked import MOST_SIZE_LINE, MOST_TRAILERS, Chunked


def decoded(*pieces: bytes) -> tuple[bytes, bool, bytes]:
    """Feed pieces; give the body, whether its end came, and what follows."""
    chunked = Chunked()
    body = b"".join(chunked.feed(piece) for piece in pieces)
    return body, chunked.done, chunked.rest if chunked.done else b""


@given(chunks=st.lists(st.binary(min_size=1, max_size=40), max_size=5), cuts=st.lists(st.integers(0, 300)))
def test_body_is_the_same_however_it_is_cut(chunks: list[bytes], cuts: list[int]) -> None:
    wire = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\nGET /"
    at = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    pieces = [wire[begin:end] for begin, end in pairwise(at)]
    assert decoded(*pieces) == (b"".join(chunks), True, b"GET /")


@pytest.mark.parametrize("line", [b"3;name=value", b'3; name="quoted"', b"003", b"3 ;x"])
def test_size_is_read_with_extensions_and_zeros(line: bytes) -> None:
    assert decoded(line + b"\r\nabc\r\n0\r\n\r\n") == (b"abc", True, b"")


def test_trailers_are_read_and_ignored() -> None:
    assert decoded(b"1\r\na\r\n0\r\nX-Sum: 1\r\nOther:\r\n\r\nnext") == (b"a", True, b"next")


def test_body_is_not_done_before_its_end() -> None:
    for wire in (b"", b"3", b"3\r\nab", b"3\r\nabc", b"3\r\nabc\r\n", b"0\r\n", b"0\r\nX: 1\r\n"):
        assert not decoded(wire)[1]


@pytest.mark.parametrize(
    "wire",
    [
        b"zz\r\n{}\r\n0\r\n\r\n",
        b"-5\r\nabcde\r\n0\r\n\r\n",
        b"+5\r\nabcde\r\n0\r\n\r\n",
        b"0x5\r\nabcde\r\n",
        b"\r\nabc",
        b"123456789\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"3\nabc\r\n0\r\n\r\n",
        b"0\r\njunk\r\n\r\n",
        b"0\r\n: x\r\n\r\n",
        b"1" * (MOST_SIZE_LINE + 2),
        b"0\r\nX: " + b"a" * MOST_TRAILERS + b"\r\n\r\n",
        b"0\r\n" + b"X: a\r\n" * MOST_TRAILERS,
    ],
)
def test_what_is_no_chunk_is_refused(wire: bytes) -> None:
    with pytest.raises(Problem) as caught:
        decoded(wire)
    assert caught.value.code == "request-malformed"
    with pytest.raises(Problem):
        decoded(*(wire[at : at + 1] for at in range(len(wire))))
