"""Settings of gunicorn, and hooks that it calls in each worker."""

import gc
import os
import signal
import sys
from functools import partial
from typing import Any, Final

from prometheus_client import multiprocess

from server import gc_tuning
from server.config import metrics_directory

worker_connections: Final = 500
"""Connections that a worker keeps, most of them slow or idle; gunicorn reads this setting by its name."""

forwarder_headers: Final = ""
"""Header fields with an underscore that are taken from a proxy on this machine: none. SCRIPT_NAME would change the path."""

SWITCH_SECONDS: Final = 0.001
"""A page that waits for the interpreter beside a batch, after each statement, waits so long, not 5 ms."""


def on_starting(_server: Any) -> None:
    """Freeze loaded objects (gc.freeze) so that workers share their memory: `serve` has loaded all code before. Nothing is
    open yet: each worker opens its own database and keys."""
    gc.freeze()
    keep_stop_for_workers()


def keep_stop_for_workers() -> None:
    """Block SIGTERM in a worker just forked until it has its own handlers: the master's, which it has until then, would
    swallow the signal, and the worker would take requests until it is killed."""
    hold, release = (
        partial(signal.pthread_sigmask, how, (signal.SIGTERM,))
        for how in (signal.SIG_BLOCK, signal.SIG_UNBLOCK)
    )
    os.register_at_fork(before=hold, after_in_parent=release)


def post_worker_init(_worker: Any) -> None:
    """Unblock SIGTERM, let threads take turns more often, and make the garbage collector run less often during a batch."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))
    sys.setswitchinterval(SWITCH_SECONDS)
    gc_tuning.spare()


def child_exit(_server: Any, worker: Any) -> None:
    """Remove a worker that has ended from the metrics."""
    if metrics_directory():
        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]  # the library has no types here
