"""Bodies: limits at the edge and beyond, and what tries to unfold, to nest or to stall. Read through a real request."""

import gzip
import json
import subprocess
import sys
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Request
from hypothesis import given, strategies as st
from werkzeug.test import EnvironBuilder

from server.config import Settings
from server.errors import Problem
from server.web.request_body import read_json

SETTINGS = Settings.for_data("unused", max_body_bytes=2000, max_inflated_bytes=8000, max_depth=12)
WIDE = Settings.for_data("unused")
ROOT = Path(__file__).resolve().parents[4]
JSON_TYPE = "application/json"


def read(
    body: bytes, headers: Mapping[str, str] | None = None, settings: Settings = SETTINGS
) -> tuple[Any, int]:
    """Read a body as the server reads it."""
    sent = {"Content-Type": JSON_TYPE, **(headers or {})}
    environ = EnvironBuilder(method="POST", data=body, headers=list(sent.items())).get_environ()
    return read_json(Request(environ), settings)


def refusal(body: bytes, headers: Mapping[str, str] | None = None, settings: Settings = SETTINGS) -> str:
    """Give the code with which a body is refused."""
    with pytest.raises(Problem) as caught:
        read(body, headers, settings)
    assert caught.value.body()["title_en"]  # every detail that its words need is there
    return caught.value.code


def packed(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)


GZIP = {"Content-Encoding": "gzip"}


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def text_of(size: int) -> bytes:
    """Give a JSON string of so many bytes."""
    return b'"' + b"a" * (size - 2) + b'"'


# -- what is read ---------------------------------------------------------------------------------


def test_body_is_read_with_the_size_that_it_came_with() -> None:
    body = b'{"a": [1, 2]}'
    assert read(body) == ({"a": [1, 2]}, len(body))
    assert read(packed(body), GZIP) == ({"a": [1, 2]}, len(packed(body)))


@pytest.mark.parametrize("encoding", ["GZIP", " gzip ", "identity", ""])
def test_encoding_is_read_whatever_its_case(encoding: str) -> None:
    body = packed(b"[1]") if "gzip" in encoding.lower() else b"[1]"
    assert read(body, {"Content-Encoding": encoding})[0] == [1]


def test_media_type_is_read_when_it_has_a_charset() -> None:
    assert read(b"[1]", {"Content-Type": "application/json; charset=utf-8"})[0] == [1]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""])
def test_body_is_refused_when_it_is_of_another_type(kind: str) -> None:
    assert refusal(b"[1]", {"Content-Type": kind}) == "media-type-unknown"


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd", "x"])
def test_body_is_refused_when_its_encoding_is_unknown(encoding: str) -> None:
    assert refusal(packed(b"[1]"), {"Content-Encoding": encoding}) == "media-type-unknown"


# -- bytes ----------------------------------------------------------------------------------------


def test_body_is_read_when_it_is_as_long_as_may_be() -> None:
    assert read(text_of(2000))[1] == 2000


def test_body_is_refused_when_it_is_one_byte_longer() -> None:
    assert refusal(text_of(2001)) == "batch-too-large"


def test_body_is_refused_when_it_is_longer_than_it_says() -> None:
    environ = EnvironBuilder(method="POST", data=text_of(2001), content_type=JSON_TYPE).get_environ()
    del environ["CONTENT_LENGTH"]
    environ["wsgi.input_terminated"] = True  # chunked, as gunicorn hands it over
    with pytest.raises(Problem, match="batch-too-large"):
        read_json(Request(environ), SETTINGS)


def test_body_is_refused_unread_when_its_length_says_enough() -> None:
    environ = EnvironBuilder(method="POST", data=b"[1]", content_type=JSON_TYPE).get_environ()
    environ["CONTENT_LENGTH"] = "2001"
    with pytest.raises(Problem, match="batch-too-large"):
        read_json(Request(environ), SETTINGS)
    assert environ["wsgi.input"].tell() == 0


def test_packed_body_is_read_when_it_unfolds_to_as_much_as_may_be() -> None:
    assert len(read(packed(text_of(8000)), GZIP)[0]) == 7998


def test_packed_body_is_refused_when_it_unfolds_to_one_byte_more() -> None:
    assert refusal(packed(text_of(8001)), GZIP) == "batch-too-large"


BOMB = """
import resource, time, zlib
from flask import Request
from werkzeug.test import EnvironBuilder
from server.config import Settings
from server.errors import Problem
from server.web.request_body import read_json

squeezer = zlib.compressobj(9, zlib.DEFLATED, 31)
head = squeezer.flush(zlib.Z_FULL_FLUSH)
mebibyte = squeezer.compress(bytes(1 << 20)) + squeezer.flush(zlib.Z_FULL_FLUSH)  # stands alone, so may be repeated
bomb = head + mebibyte * 1024 + squeezer.flush()
assert zlib.decompressobj(31).decompress(bomb, 4096) == bytes(4096)
headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
environ = EnvironBuilder(method="POST", data=bomb, headers=headers).get_environ()
settings = Settings.for_data("unused", max_body_bytes=2 * len(bomb))
before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
try:
    read_json(Request(environ), settings)
except Problem as problem:
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(problem.code, grown, time.perf_counter() - started)
"""


def test_bomb_is_refused_at_once_and_in_little_memory() -> None:
    """1 GiB of zeros in 1 MB: more than the limit of a body, so the limit is raised for the bomb's sake."""
    done = subprocess.run([sys.executable, "-c", BOMB], cwd=ROOT, capture_output=True, text=True, check=False)
    code, grown_kib, seconds = done.stdout.split()
    assert code == "batch-too-large", done.stderr
    assert int(grown_kib) < 8 * 1024
    assert float(seconds) < 1


# -- gzip -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[1]",
        b"\x1f\x8b",
        packed(b"[1, 2, 3]")[:-1],
        packed(b"[1, 2, 3]")[:12],
        packed(b"[1, 2, 3]")[:-8] + bytes(8),
        packed(b"[1]") + packed(b"[2]"),
        packed(b"[1]") + b"x",
        zlib.compress(b"[1]"),
    ],
    ids=["empty", "plain", "head", "short", "middle", "checksum", "two", "tail", "zlib"],
)
def test_body_is_refused_when_it_is_no_whole_gzip(body: bytes) -> None:
    assert refusal(body, GZIP) == "body-not-gzip"


# -- depth ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [nested(12), b'{"a":' * 12 + b"1" + b"}" * 12, b"[{},[]," * 11 + b"1" + b"]" * 11]
)
def test_body_is_read_when_it_is_as_deep_as_may_be(body: bytes) -> None:
    assert read(body)[0] == json.loads(body)


@pytest.mark.parametrize(
    "body", [nested(13), b'{"a":' * 13 + b"1" + b"}" * 13, b"[1,[2]," + nested(12) + b"]"]
)
def test_body_is_refused_when_it_is_one_level_deeper(body: bytes) -> None:
    assert refusal(body) == "body-too-deep"


@pytest.mark.parametrize(
    "text",
    ["[" * 50, "]" * 50, "{" * 20 + "}" * 20, '\\"' + "[" * 30 + '\\"', "\\\\", 'a\\\\\\"[[[[[[[[[[[[[[['],
)
def test_brackets_do_not_count_when_they_are_within_a_text(text: str) -> None:
    body = f'{{"note": ["{text}"], "{text}": 1}}'.encode()
    assert read(body)[0] == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [b"[", b"]", b"[}", b"[[1]", b"[1]]", b"{" * 500, b"]" * 500, b"[" * 1500, b'["' + b"[" * 500, b"[1,]"],
)
def test_body_is_refused_as_no_json_when_its_brackets_do_not_pair(body: bytes) -> None:
    assert refusal(body) == "body-not-json"


def test_body_is_refused_when_it_would_exhaust_the_parser() -> None:
    assert refusal(nested(100_000), settings=WIDE) == "body-too-deep"
    assert refusal(packed(b"[" * 1_000_000), GZIP, WIDE) == "body-not-json"


@given(
    st.recursive(st.none() | st.text('[]{}"\\a'), lambda inner: st.lists(inner, max_size=3), max_leaves=20)
)
def test_depth_is_that_of_the_value_whatever_its_texts(value: Any) -> None:
    body = json.dumps(value).encode()
    deep = Settings.for_data("unused", max_depth=depth(value))
    assert read(body, settings=deep)[0] == value
    if depth(value) > 1:
        shallow = Settings.for_data("unused", max_depth=depth(value) - 1)
        assert refusal(body, settings=shallow) == "body-too-deep"


def depth(value: Any) -> int:
    """Give how deep lists lie in lists; at least 1."""
    return 1 + max((depth(item) for item in value if isinstance(item, list)), default=0) if value else 1


@pytest.mark.parametrize(
    "body",
    [b'"' + b'\\"' * 500_000, b'"' * 999_999, b'"\\' * 500_000, b'["' + b"a\\" * 400_000, b"[]" * 500_000],
    ids=["escaped quotes", "quotes", "quotes escaping", "endless text", "brackets"],
)
def test_body_is_refused_in_time_when_it_is_made_to_stall_the_reader(body: bytes) -> None:
    started = time.perf_counter()
    assert refusal(packed(body), GZIP, WIDE) in ("body-not-json", "body-too-deep")
    assert time.perf_counter() - started < 2


# -- JSON -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"nul",
        b"{'a': 1}",
        b"[NaN]",
        b"[Infinity]",
        b"[1] [2]",
        b'"\xff"',
        b'{"a": "\xed\xa0\x80"}',
        "[1]".encode("utf-16"),
        b"\xef\xbb\xbf[1]",
        b"[01]",
        b'"\x00"',
    ],
)
def test_body_is_refused_when_it_is_no_json(body: bytes) -> None:
    assert refusal(body) == "body-not-json"


def test_refusal_says_where_and_quotes_nothing() -> None:
    with pytest.raises(Problem) as caught:
        read(b'{"name":\n "Anak Contoh" 6402}')
    assert "line 2" in caught.value.details["reason"]
    assert "Anak" not in str(caught.value.body())
