"""What gunicorn asks of us, worker by worker."""

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
    """Take what is loaded by now out of the garbage collector's sight, so that workers share its memory: `serve` has loaded
    all code before. Nothing is open yet: databases and keys are each worker's own."""
    gc.freeze()
    keep_stop_for_workers()


def keep_stop_for_workers() -> None:
    """Let a SIGTERM that meets a worker just forked wait until the worker heeds it: until then it has the master's handlers,
    which would swallow it, and a worker that was never told takes requests until it is killed."""
    hold, release = (
        partial(signal.pthread_sigmask, how, (signal.SIGTERM,))
        for how in (signal.SIG_BLOCK, signal.SIG_UNBLOCK)
    )
    os.register_at_fork(before=hold, after_in_parent=release)


def post_worker_init(_worker: Any) -> None:
    """Heed SIGTERM from here on, and let the garbage collector look less often at what a batch makes."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))
    gc_tuning.spare()


def pre_request(_worker: Any, request: Any) -> None:
    """Let a connection that finds its worker busy with a batch go after this answer: kept connections do not spread evenly
    over the workers. (Two of four tablets behind one worker, and another idle, cost a quarter of the throughput.)"""
    if taking_a_batch():
        request.force_close()


class Worker(ThreadWorker):  # type: ignore[misc]  # likewise
    """A gthread worker that lets an idle one go first when somebody connects."""

    def accept(self, listener: Any) -> None:
        """Wait a moment if a batch is being taken here; if another worker was quicker, there is nothing left to accept."""
        if taking_a_batch():
            time.sleep(HEAD_START_SECONDS)
        super().accept(listener)


def child_exit(_server: Any, worker: Any) -> None:
    """Tell the metrics that a worker is gone."""
    if metrics_directory():
        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]  # the library has no types here
