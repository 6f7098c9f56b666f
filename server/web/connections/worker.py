"""The worker that gunicorn starts: an event loop that owns all connections, and lanes of threads that answer requests.

A connection belongs to the loop but while a lane answers its request. Rules kept here:
- Nothing that the loop does waits: no database, no file of ours, no sleep.
- Everything that a client can hold is bounded: the connections of a worker and of one address, the time for a head, the pace
  of a body and of an answer, the bytes of unfinished requests, the requests that wait for a lane. Beyond a bound the answer
  is immediate: 408, 413, 429 or 503 with Retry-After.
"""

import errno
import os
import queue
import resource
import selectors
import socket
import time
from collections import Counter
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, Final

import structlog
from gunicorn.http import wsgi  # type: ignore[import-untyped]  # the library has no types
from gunicorn.workers import base  # type: ignore[import-untyped]  # likewise

from server.config import Settings
from server.database.ids import new_id
from server.errors import Problem
from server.web.api.sync import taking_a_batch
from server.web.connections import lanes
from server.web.connections.connection import LEAST_BYTES_A_SECOND, Connection, Phase
from server.web.connections.refusals import answer_to, busy, retry_seconds
from server.web.connections.request import ArrivingRequest
from server.web.flood_guard import client_network
from server.web.health_metrics import OUTCOMES
from server.web.request_body import most_bytes
from server.web.security_headers import security_headers

HEAD_START_SECONDS: Final = 0.004
"""A worker that is processing a batch leaves a new connection to another for so long."""
NO_FILES_SECONDS: Final = 0.1
"""No connection is taken for so long when the process may open no more files."""
TICK_SECONDS: Final = 1.0
IDLE_AT_STOP_SECONDS: Final = 2.0
"""A kept-alive connection stays so long after the worker was told to stop: its client may be sending a request already."""
FRESH_SECONDS: Final = 1.0
"""An idle connection is not closed in favour of another so soon: its request may be on its way."""
MOST_HELD_BYTES: Final = 64 * 1024 * 1024
"""Of the bodies of all requests that a worker has not answered yet, in memory and on the disk."""
BEYOND: Final = 100
"""Connections above the most that a worker keeps, only to be told that it is full."""
_PIECE: Final = 64 * 1024
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Worker(base.Worker):  # type: ignore[misc]  # the library has no types
    """A worker of gunicorn in which a slow line costs no thread."""

    def init_process(self) -> None:
        self._settings = Settings.from_env()
        self._poller = selectors.DefaultSelector()
        self._lanes = lanes.open_lanes(self.cfg.threads)
        self._answered: queue.SimpleQueue[tuple[Connection, Future[bool]]] = queue.SimpleQueue()
        self._connections: set[Connection] = set()
        self._by_address: Counter[str] = Counter()
        self._held_bytes = 0
        self._accepts = False
        self._accept_from = 0.0
        self._gave_head_start = False
        _allow_files(4 * self.cfg.worker_connections)
        super().init_process()

    # -- the loop -----------------------------------------------------------------------------------

    def run(self) -> None:
        self._poller.register(self.PIPE[0], READ, self._wake_up)
        swept = 0.0
        while self.alive and self.ppid == os.getppid():
            self.notify()
            self._listen(time.monotonic() >= self._accept_from)
            self._once()
            if time.monotonic() - swept >= TICK_SECONDS:
                swept = time.monotonic()
                self._sweep(swept, self.cfg.keepalive)
        self._finish()

    def _finish(self) -> None:
        """Take no new connection, and wait for those that have a request."""
        self._listen(False)
        for listener in self.sockets:
            listener.close()
        until = time.monotonic() + self.cfg.graceful_timeout
        idle_until = time.monotonic() + IDLE_AT_STOP_SECONDS
        while self._connections and time.monotonic() < until:
            self.notify()
            self._once()
            self._sweep(time.monotonic(), self.cfg.keepalive)
            for connection in list(self._connections) if time.monotonic() > idle_until else ():
                if connection.phase is Phase.IDLE:
                    self._close(connection)
        for connection in list(self._connections):
            self._close(connection)
        for lane in self._lanes.values():
            lane.stop()

    def _once(self) -> None:
        """Wait for events, and see to each."""
        wait = min(max(self._accept_from - time.monotonic(), 0.0) or TICK_SECONDS, TICK_SECONDS)
        for key, events in self._poller.select(wait if self.alive else 0.1):
            key.data(key.fileobj, events)
        while not self._answered.empty():
            self._take_back(*self._answered.get())

    def _wake_up(self, pipe: int, _events: int) -> None:
        """A signal came, or a lane has answered: empty the pipe."""
        with suppress(BlockingIOError):
            os.read(pipe, 4096)

    def _sweep(self, now: float, keepalive: float) -> None:
        """See to the connections that are late."""
        slow = self._settings.slow_seconds
        for connection in list(self._connections):
            if connection.is_late(now, keepalive=keepalive, slow=slow):
                if connection.phase in (Phase.HEAD, Phase.BODY):
                    self._refuse(
                        connection, Problem("request-too-slow", seconds=slow, least=LEAST_BYTES_A_SECOND)
                    )
                else:
                    self._close(connection)

    def handle_quit(self, sig: int, frame: Any) -> None:
        """Stop as on SIGTERM. Control-C reaches all processes, and requests that have begun are still to be answered."""
        self.handle_exit(sig, frame)

    # -- connections --------------------------------------------------------------------------------

    def _listen(self, accepts: bool) -> None:
        """Watch the listening sockets, or let them be."""
        if accepts == self._accepts:
            return
        self._accepts = accepts
        for listener in self.sockets:
            listener.setblocking(False)
            if accepts:
                self._poller.register(listener, READ, self._accept)
            else:
                self._poller.unregister(listener)

    def _accept(self, listener: Any, _events: int) -> None:
        """Take a connection, unless a batch is being processed here: then another worker may take it meanwhile."""
        now = time.monotonic()
        self._gave_head_start = taking_a_batch() and not self._gave_head_start
        if self._gave_head_start:
            self._accept_from = now + HEAD_START_SECONDS
            return
        try:
            line, peer = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._make_room()
                self._accept_from = now + NO_FILES_SECONDS
            return
        connection = Connection(line, peer, self._new_request(peer), now)
        self._connections.add(connection)
        self._watch(connection, READ)
        self._admit(connection)

    def _admit(self, connection: Connection) -> None:
        """Refuse a connection beyond the bounds."""
        if len(self._connections) > self.cfg.worker_connections + BEYOND:
            self._close(connection)
        elif not self._has_place():
            self._refuse(connection, busy())
        elif not self._settings.proxies:
            self._claim(connection, _network_of(connection.peer))

    def _has_place(self) -> bool:
        """Make room until no more than the bound are open; return whether that went."""
        while len(self._connections) > self.cfg.worker_connections:
            if not self._make_room():
                return False
        return True

    def _make_room(self) -> bool:
        """Close the oldest connection that has had its last answer, or else that is idle; return whether there was one.

        One that was refused counts for no address: the refused ones of one address could otherwise lock out all others.
        """
        fresh = time.monotonic() - FRESH_SECONDS
        closing = [one for one in self._connections if one.phase is Phase.CLOSING]
        idle = [one for one in self._connections if one.phase is Phase.IDLE and one.since < fresh]
        spare = closing or idle
        if spare:
            self._close(min(spare, key=lambda one: one.since))
        return bool(spare)

    def _claim(self, connection: Connection, address: str) -> bool:
        """Take a place for an address; refuse the connection if the address has no more."""
        if self._by_address[address] >= self._settings.connections_per_address:
            problem = Problem("too-many-connections", seconds=retry_seconds())
            self._refuse(connection, problem)
            return False
        self._by_address[address] += 1
        connection.address = address
        return True

    def _release(self, connection: Connection) -> None:
        address, connection.address = connection.address, None
        if address is not None:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]

    def _watch(self, connection: Connection, events: int) -> None:
        """Have the poller watch a connection for these events; 0 for none."""
        if events == connection.events:
            return
        see_to = partial(self._see_to, connection)
        if not connection.events:
            self._poller.register(connection.line, events, see_to)
        elif events:
            self._poller.modify(connection.line, events, see_to)
        else:
            self._poller.unregister(connection.line)
        connection.events = events

    def _close(self, connection: Connection) -> None:
        """Close a connection for good, unless a lane has it."""
        if connection.phase is Phase.WORKING:
            return
        self._watch(connection, 0)
        self._connections.discard(connection)
        self._forget_request(connection)
        self._release(connection)
        connection.close()

    def _forget_request(self, connection: Connection) -> None:
        self._held_bytes -= connection.request.arrived
        connection.request.close()

    # -- reading ------------------------------------------------------------------------------------

    def _see_to(self, connection: Connection, _line: Any, events: int) -> None:
        try:
            if events & WRITE:
                self._send_on(connection)
            elif events & READ:
                self._receive(connection)
        except OSError:
            self._close(connection)

    def _receive(self, connection: Connection) -> None:
        try:
            data = connection.line.recv(_PIECE)
        except (BlockingIOError, InterruptedError):
            return
        if not data:
            self._close(connection)
        elif connection.phase is Phase.CLOSING:
            connection.moved(len(data), time.monotonic())
        else:
            self._feed(connection, data)

    def _feed(self, connection: Connection, data: bytes) -> None:
        """Give bytes to the request that is arriving, and go on with it as far as it has come."""
        request, before, now = connection.request, connection.request.arrived, time.monotonic()
        if connection.phase is Phase.IDLE:
            connection.enter(Phase.HEAD, now)
        try:
            request.feed(data)
        except Problem as problem:
            self._held_bytes += request.arrived - before
            self._refuse(connection, problem)
            return
        self._held_bytes += request.arrived - before
        if connection.phase is Phase.HEAD and request.head is not None and not self._begin(connection, now):
            return
        connection.moved(len(data), now)
        if request.complete:
            self._hand_over(connection)
        elif self._held_bytes > MOST_HELD_BYTES:
            self._refuse(connection, busy())

    def _begin(self, connection: Connection, now: float) -> bool:
        """Decide by the head whether the body is to be sent; return whether the request goes on."""
        request = connection.request
        connection.enter(Phase.BODY, now)
        connection.lane = lanes.lane_of(request.head.method, request.path)
        if self._settings.proxies and not self._claim(connection, self._forwarded_for(connection)):
            return False
        if not request.complete and self._lanes[connection.lane].fills:
            self._refuse(connection, busy())
            return False
        if request.awaits_continue:
            connection.answer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.head._expected_100_continue = False  # otherwise gunicorn sends it before the answer
        return True

    def _forwarded_for(self, connection: Connection) -> str:
        """Return the address that the outermost of our own proxies saw (as ProxyFix does)."""
        named = [value for name, value in connection.request.head.headers if name == "X-FORWARDED-FOR"]
        hops = [hop.strip() for hop in ",".join(named).split(",") if hop.strip()]
        proxies = self._settings.proxies
        return client_network(hops[-proxies]) if len(hops) >= proxies else _network_of(connection.peer)

    def _new_request(self, peer: Any) -> ArrivingRequest:
        return ArrivingRequest(self.cfg, peer, partial(most_bytes, settings=self._settings))

    # -- answering ----------------------------------------------------------------------------------

    def _hand_over(self, connection: Connection) -> None:
        """Give a complete request to its lane.

        Where a batch is processed or waits here, the connection is closed after its answer: kept-alive ones do not spread
        evenly over the workers. (Two of four tablets on one worker, and another worker idle, cost a quarter of the
        throughput.)
        """
        lane = self._lanes[connection.lane]
        if lane.is_full:
            self._refuse(connection, busy())
            return
        if taking_a_batch() or self._lanes[lanes.UPLOADS].works:
            connection.request.head.force_close()
        self._watch(connection, 0)
        connection.enter(Phase.WORKING, time.monotonic())
        connection.answer.begun = False
        lane.submit(partial(self._answer, connection), partial(self._give_back, connection))

    def _answer(self, connection: Connection) -> bool:
        """Answer a request, in a thread of a lane; return whether the connection may be kept."""
        head = connection.request.head
        if not self.alive:
            head.force_close()
        self.cfg.pre_request(self, head)
        response, environ = wsgi.create(head, connection.answer, connection.peer, connection.own, self.cfg)
        environ["wsgi.multithread"] = True
        pieces = self.wsgi(environ, response.start_response)
        try:
            for piece in pieces:
                response.write(piece)
            response.close()
        finally:
            if hasattr(pieces, "close"):
                pieces.close()
        return not response.should_close()

    def _give_back(self, connection: Connection, answered: "Future[bool]") -> None:
        """Tell the loop, from the lane's thread, that a request was answered."""
        self._answered.put((connection, answered))
        with suppress(BlockingIOError):  # full: the loop wakes up anyway
            os.write(self.PIPE[1], b".")

    def _take_back(self, connection: Connection, answered: "Future[bool]") -> None:
        """Go on with a connection whose request was answered."""
        self._lanes[connection.lane].done()
        self._forget_request(connection)
        connection.served = True
        connection.enter(Phase.SENDING, time.monotonic())
        error = ConnectionAbortedError() if answered.cancelled() else answered.exception()
        if error is None:
            connection.keep = answered.result()
            self._see_to(connection, None, WRITE)
            return
        request_id = new_id()
        if not isinstance(error, OSError):  # otherwise the client is gone
            log = structlog.get_logger("posyandu.http")
            log.error("answer failed", request_id=request_id, exc_info=error)
        if connection.answer.begun:
            self._close(connection)
        else:
            self._refuse(connection, Problem("internal", request_id=request_id), request_id)

    def _send_on(self, connection: Connection) -> None:
        """Send what is left of an answer; then wait for the next request, or close."""
        now = time.monotonic()
        connection.moved(connection.answer.send_on(), now)
        if connection.answer.waits:
            self._watch(connection, WRITE)
        elif connection.keep and self.cfg.keepalive:
            self._await_next(connection, now)
        else:
            self._end(connection, now)

    def _await_next(self, connection: Connection, now: float) -> None:
        rest = connection.request.rest
        if self._settings.proxies:
            self._release(connection)
        connection.request = self._new_request(connection.peer)
        connection.enter(Phase.IDLE, now)
        self._watch(connection, READ)
        if rest:
            self._feed(connection, rest)

    def _end(self, connection: Connection, now: float) -> None:
        """Say that no more will be sent, and read what still comes until the client has read the answer."""
        connection.line.shutdown(socket.SHUT_WR)
        connection.enter(Phase.CLOSING, now)
        self._watch(connection, READ)

    def _refuse(self, connection: Connection, problem: Problem, request_id: str = "") -> None:
        """Answer a request that does not reach the application, and close."""
        request_id = request_id or new_id()
        OUTCOMES.labels(problem.code).inc()
        log = structlog.get_logger("posyandu.http")
        log.info("request refused", request_id=request_id, problem=problem.code)
        self._forget_request(connection)
        connection.keep = False
        connection.enter(Phase.SENDING, time.monotonic())
        try:
            connection.answer.sendall(
                answer_to(problem, {**security_headers(self._settings), "X-Request-ID": request_id})
            )
            self._send_on(connection)
        except OSError:
            self._close(connection)


def _network_of(peer: Any) -> str:
    """Return whose place a connection takes; "" for a Unix socket."""
    return client_network(peer[0]) if isinstance(peer, tuple) else ""


def _allow_files(wanted: int) -> None:
    """Let this process open as many files as its connections may need, if the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
