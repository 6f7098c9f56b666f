"""The line says what it knows of a lost request, and takes nothing that is broken or without end."""

import gzip
import random
import re
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from sync_protocol import LocalProtocolError
from sync_protocol.client import Line, LineLost
from sync_protocol.client.line import MOST_BYTES

Talk = Callable[[socket.socket], object]


@contextmanager
def peer(talk: Talk) -> Iterator[str]:
    """Give the address of somebody who talks so on the one connection that comes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                talk(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/di/bawah"
        thread.join(10)


def request_of(connection: socket.socket) -> bytes:
    """Read one request with its body."""
    raw = b""
    while b"\r\n\r\n" not in raw:
        raw += connection.recv(65536)
    head, _, body = raw.partition(b"\r\n\r\n")
    length = int(re.findall(rb"content-length: (\d+)", head.lower())[0])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def answering(body: bytes, *headers: str, length: int | None = None) -> Talk:
    """Read a request and answer so."""

    def talk(connection: socket.socket) -> None:
        request_of(connection)
        fields = ["HTTP/1.1 200 OK", f"Content-Length: {len(body) if length is None else length}", *headers]
        try:
            connection.sendall("\r\n".join([*fields, "", ""]).encode() + body)
        except OSError:
            return  # who asked has heard enough

    return talk


def test_a_request_travels_as_gzip_below_the_servers_path_and_an_answer_is_unpacked() -> None:
    heard: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        heard.append(request_of(connection))
        body = gzip.compress(b'{"ok":1}')
        head = f"HTTP/1.1 429 No\r\nContent-Encoding: gzip\r\nRetry-After: 3\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)

    with peer(talk) as url, Line(url) as line:
        answer = line.post("/api/v1/sync", b'{"a":1}')
    assert (answer.status, answer.json(), answer.headers["retry-after"]) == (429, {"ok": 1}, "3")
    head, _, body = heard[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /di/bawah/api/v1/sync HTTP/1.1")
    assert gzip.decompress(body) == b'{"a":1}'
    assert b"prefer" not in head.lower()


def test_what_is_preferred_is_said_with_every_request() -> None:
    heard: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        heard.append(request_of(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with peer(talk) as url, Line(url, prefer="pull-bytes=65536") as line:
        line.post("/api/v1/sync", b"{}")
    assert b"\r\nPrefer: pull-bytes=65536\r\n" in heard[0]


@pytest.mark.parametrize(
    "talk",
    [
        request_of,
        answering(b"half", length=8),
        answering(b"no gzip", "Content-Encoding: gzip"),
        answering(gzip.compress(b"unfinished")[:-9], "Content-Encoding: gzip"),
        answering(b"x", length=MOST_BYTES * 2),
        answering(bytes(MOST_BYTES + 2)),
        answering(zlib.compress(bytes(MOST_BYTES + 1), wbits=31), "Content-Encoding: gzip"),
    ],
    ids=["no answer", "half an answer", "no gzip", "half a gzip", "too short by far", "too long", "a bomb"],
)
def test_a_request_may_have_arrived_when_its_answer_did_not(talk: Talk) -> None:
    with peer(talk) as url, Line(url) as line, pytest.raises(LineLost) as caught:
        line.post("/api/v1/sync", b"{}")
    assert caught.value.sent


def test_a_request_did_not_arrive_when_the_line_broke_within_it() -> None:
    def hang_up(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    noise = random.Random(1).randbytes(4_000_000)  # which gzip cannot make small
    with peer(hang_up) as url, Line(url) as line, pytest.raises(LineLost) as caught:
        line.post("/api/v1/sync", noise)
    assert not caught.value.sent


def test_a_request_did_not_arrive_when_nobody_is_there() -> None:
    with Line("http://127.0.0.1:1") as line, pytest.raises(LineLost) as caught:
        line.post("/api/v1/sync", b"{}")
    assert not caught.value.sent


def test_a_line_does_not_wait_for_ever() -> None:
    silent = threading.Event()
    with (
        peer(lambda _connection: silent.wait(10)) as url,
        Line(url, answer_seconds=0.2) as line,
    ):
        with pytest.raises(LineLost, match="timed out"):
            line.post("/api/v1/sync", b"{}")
        silent.set()


def self_signed(directory: Path) -> Path:
    """Make a certificate for 127.0.0.1, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "contoh")])
    alternative = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    certificate = builder.add_extension(alternative, critical=False).sign(key, SHA256())
    file = directory / "contoh.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    return file


def test_a_private_authority_is_trusted_only_when_it_is_given(tmp_path: Path) -> None:
    file = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)

    def talk(connection: socket.socket) -> None:
        try:
            with context.wrap_socket(connection, server_side=True) as private:
                answering(b"{}")(private)
        except ssl.SSLError:
            return

    with peer(talk) as url, Line(url.replace("http:", "https:")) as line:
        with pytest.raises(LineLost, match="certificate") as caught:
            line.post("/", b"{}")
        assert not caught.value.sent
    trusting = ssl.create_default_context(cafile=str(file))
    with peer(talk) as url, Line(url.replace("http:", "https:"), tls=trusting) as line:
        assert line.post("/", b"{}").json() == {}


def test_a_connection_is_kept_for_the_next_request() -> None:
    def talk(connection: socket.socket) -> None:
        for _ in range(2):
            answering(b"{}")(connection)

    with peer(talk) as url, Line(url) as line:
        assert [line.post("/", b"{}").status for _ in range(2)] == [200, 200]


def test_a_page_is_asked_for_without_a_body() -> None:
    heard: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        heard.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 204 None\r\n\r\n")

    with peer(talk) as url, Line(url) as line:
        assert line.get("/readyz").status == 204
    assert heard[0].startswith(b"GET /di/bawah/readyz HTTP/1.1\r\n")
    assert b"ontent-" not in heard[0]


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://contoh.invalid", "http://", "http://contoh:port"])
def test_an_address_is_refused_when_it_is_none(url: str) -> None:
    with pytest.raises(LocalProtocolError, match="address-unusable"):
        Line(url)
