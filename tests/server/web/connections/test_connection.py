"""When a connection is late, and an answer that its reader takes bit by bit."""

import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from gunicorn.config import Config  # type: ignore[import-untyped]  # the library has no types

from server.web.connections.answer import IN_MEMORY, OutgoingAnswer
from server.web.connections.connection import (
    CLOSING_SECONDS,
    HEAD_SECONDS,
    LEAST_BYTES_A_SECOND,
    SILENT_SECONDS,
    Connection,
    Phase,
)
from server.web.connections.lanes import Lane, lane_of
from server.web.connections.refusals import RETRY_SECONDS, answer_to, busy
from server.web.connections.request import ArrivingRequest
from server.web.flood_guard import client_network

SLOW, KEEPALIVE = 60, 15


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with closing(ours), closing(theirs):
        ours.setblocking(False)
        yield ours, theirs


@pytest.fixture
def connection(ends: tuple[socket.socket, socket.socket]) -> Iterator[Connection]:
    request = ArrivingRequest(Config(), "", lambda _path: 1000)
    with closing(Connection(ends[0], "", request, 100.0)) as made:
        yield made


def late(connection: Connection, now: float) -> bool:
    return connection.is_late(now, keepalive=KEEPALIVE, slow=SLOW)


def test_new_connection_has_as_long_as_a_head_and_a_kept_one_less(connection: Connection) -> None:
    assert not late(connection, 100.0 + HEAD_SECONDS)
    assert late(connection, 100.1 + HEAD_SECONDS)
    connection.served = True
    assert not late(connection, 100.0 + KEEPALIVE)
    assert late(connection, 100.1 + KEEPALIVE)


def test_head_has_its_time_however_many_bytes_come(connection: Connection) -> None:
    connection.enter(Phase.HEAD, 100.0)
    connection.moved(10_000, 120.0)
    assert not late(connection, 100.0 + HEAD_SECONDS)
    assert late(connection, 100.1 + HEAD_SECONDS)


@pytest.mark.parametrize("phase", [Phase.BODY, Phase.SENDING])
def test_pace_is_looked_at_again_and_again(connection: Connection, phase: Phase) -> None:
    connection.enter(phase, 100.0)
    for minute in range(3):
        now = 100.0 + SLOW * (minute + 1)
        connection.moved(LEAST_BYTES_A_SECOND * SLOW, now - 1)
        assert not late(connection, now - 0.1)
        assert not late(connection, now)
    connection.moved(LEAST_BYTES_A_SECOND * SLOW - 1, 300.0)
    assert late(connection, 100.0 + 4 * SLOW)


def test_closing_connection_stays_while_its_client_still_sends(connection: Connection) -> None:
    connection.enter(Phase.CLOSING, 100.0)
    assert not late(connection, 100.0 + SILENT_SECONDS)
    assert late(connection, 100.1 + SILENT_SECONDS)
    for second in range(CLOSING_SECONDS):
        connection.moved(1, 100.0 + second)
        assert not late(connection, 101.0 + second)
    assert late(connection, 100.1 + CLOSING_SECONDS)


def test_connection_that_a_lane_has_is_never_late(connection: Connection) -> None:
    connection.enter(Phase.WORKING, 100.0)
    assert not late(connection, 1e9)


# -- answers ----------------------------------------------------------------------------------------


def test_answer_is_sent_whole_to_a_reader_that_begins_late(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    answer, whole = OutgoingAnswer(ours), b"".join(b"%07d\n" % number for number in range(IN_MEMORY // 4))
    for at in range(0, len(whole), 10_000):
        answer.sendall(whole[at : at + 10_000])  # never waits, though nobody reads
    assert answer.begun
    assert answer.waits
    assert answer.send_on() == 0
    received = bytearray()
    reader = threading.Thread(target=lambda: received.extend(_read(theirs, len(whole))))
    reader.start()
    while answer.waits:
        answer.send_on()
    reader.join()
    assert received == whole
    assert answer.send_on() == 0


def _read(line: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        received += line.recv(65536)
    return bytes(received)


def test_small_answer_goes_out_at_once_and_the_next_begins_anew(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = ends
    answer = OutgoingAnswer(ours)
    assert answer.send(b"one") == 3
    assert not answer.waits
    answer.sendall(b"")
    answer.sendall(b"two")
    assert theirs.recv(100) == b"onetwo"


def test_answer_fails_when_the_reader_is_gone(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    answer = OutgoingAnswer(ours)
    answer.sendall(b"a" * 10_000_000)
    theirs.close()
    with pytest.raises(OSError, match=r"Broken pipe|reset"):
        answer.send_on()
    answer.close()
    assert not answer.waits


def test_answer_that_the_disk_has_no_room_for_can_be_dropped(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, _ = ends
    answer = OutgoingAnswer(ours)
    while not answer.waits:
        answer.sendall(b"a" * IN_MEMORY)
    answer.sendall(b"a" * IN_MEMORY)  # goes to the disk
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (IN_MEMORY, before[1]))
    try:
        answer.sendall(b"b" * 100)  # stays in Python's buffer
        with pytest.raises(OSError, match="too large"):
            answer.send_on()
        answer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not answer.waits


# -- lanes and refusals -----------------------------------------------------------------------------


def test_lane_is_full_when_all_its_places_are_taken() -> None:
    go, lane = threading.Event(), Lane("test", 1, 4)
    for taken in range(5):
        assert not lane.is_full
        assert lane.fills == (taken >= 3)
        assert lane.works == (taken > 0)
        lane.submit(go.wait, lambda _future: None)
    assert lane.is_full
    lane.done()
    assert not lane.is_full
    lane.stop()
    go.set()


def test_pages_batches_sign_ins_and_health_have_lanes_of_their_own() -> None:
    asked = [
        ("POST", "/api/v1/sync"),
        ("POST", "/masuk"),
        ("GET", "/healthz"),
        ("GET", "/masuk"),
        ("GET", "/"),
    ]
    assert [lane_of(*one) for one in asked] == ["uploads", "sign-ins", "health", "pages", "pages"]


def test_busy_server_does_not_tell_everybody_the_same_time() -> None:
    told = {busy().retry_after for _ in range(200)}
    assert told == set(range(RETRY_SECONDS[0], RETRY_SECONDS[1] + 1))
    assert b"\r\nRetry-After: " in answer_to(busy(), {})


def test_addresses_are_counted_by_network() -> None:
    assert client_network("203.0.113.7") == client_network("::ffff:203.0.113.7") == "203.0.113.7"
    assert client_network("2001:db8:1:2:3::4") == client_network("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert client_network("no address") == "no address"
