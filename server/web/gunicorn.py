"""Hooks that gunicorn calls in each worker."""

import gc
import os
import signal
import time
from functools import partial
from typing import Any, Final

from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]  # the library has no types
from prometheus_client import multiprocess

from server import gc_tuning
from server.config import metrics_directory
from server.web.api.sync import taking_a_batch

HEAD_START_SECONDS: Final = 0.004


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
    """Unblock SIGTERM, and make the garbage collector run less often during a batch."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))
    gc_tuning.spare()


def pre_request(_worker: Any, request: Any) -> None:
    """Close a connection after this answer if its worker is busy with a batch: kept-alive connections do not spread evenly
    over the workers. (Two of four tablets on one worker, and another worker idle, cost a quarter of the throughput.)"""
    if taking_a_batch():
        request.force_close()


class Worker(ThreadWorker):  # type: ignore[misc]  # likewise
    """A gthread worker that, while busy with a batch, leaves new connections to an idle worker."""

    def accept(self, listener: Any) -> None:
        """Wait a moment if a batch is being processed here; another worker may accept the connection meanwhile."""
        if taking_a_batch():
            time.sleep(HEAD_START_SECONDS)
        super().accept(listener)


def child_exit(_server: Any, worker: Any) -> None:
    """Remove a worker that has ended from the metrics."""
    if metrics_directory():
        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]  # the library has no types here
