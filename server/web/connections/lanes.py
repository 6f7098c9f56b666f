"""Which threads of a worker answer which requests, and how many requests may wait for them.

A batch is all computing and keeps a worker's interpreter busy, so one thread takes them all, one after the other, and never
one of those that serve pages. A sign-in is half a core for a moment, and a health check must be answered whatever else
waits: each has a thread of its own.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

UPLOADS, SIGN_INS, HEALTH, PAGES = "uploads", "sign-ins", "health", "pages"
_OF: Final = {
    ("POST", "/api/v1/sync"): UPLOADS,
    ("POST", "/masuk"): SIGN_INS,
    ("GET", "/healthz"): HEALTH,
    ("GET", "/readyz"): HEALTH,
    ("GET", "/metrics"): HEALTH,
}
WAITING: Final = {UPLOADS: 32, SIGN_INS: 64, HEALTH: 256, PAGES: 64}
"""How many complete requests may wait for each lane of a worker."""


def lane_of(method: str, path: str) -> str:
    """Return the lane that answers a request."""
    return _OF.get((method, path), PAGES)


class Lane:
    """Threads, and requests that wait for them in turn. Its methods are for the event loop alone.

    Parameters
    ----------
    threads : how many answer at once
    waiting : how many complete requests may wait
    """

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._threads, self._waiting = threads, waiting
        self._open = 0

    @property
    def is_full(self) -> bool:
        """Whether no further request may wait."""
        return self._open >= self._threads + self._waiting

    @property
    def fills(self) -> bool:
        """Whether a request whose body is still to come should not begin: half of the places are taken. The other half are
        for those whose body is on its way, so that a slow line does not send it for nothing."""
        return self._open >= self._threads + self._waiting // 2

    @property
    def works(self) -> bool:
        """Whether a request is being answered, or waits."""
        return self._open > 0

    def submit(self, work: Callable[[], bool], then: Callable[["Future[bool]"], Any]) -> None:
        """Have a request answered; `then` is called in that thread."""
        self._open += 1
        self._pool.submit(work).add_done_callback(then)

    def done(self) -> None:
        """Count a request that was answered."""
        self._open -= 1

    def stop(self) -> None:
        """Take no more, and drop what waits."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def open_lanes(pages: int) -> dict[str, Lane]:
    """Start the lanes; `pages` is the number of threads for pages."""
    threads = {PAGES: pages}
    return {name: Lane(name, threads.get(name, 1), waiting) for name, waiting in WAITING.items()}
