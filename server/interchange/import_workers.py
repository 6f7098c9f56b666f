"""Worker processes that share the chunks of an import. Hides how they are started, set up and ended."""

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from threading import Thread

from server import gc_tuning
from server.config import Settings
from server.context import AppContext

_CONTEXT: list[AppContext] = []


@contextmanager
def worker_pool(settings: Settings, workers: int) -> Iterator[ProcessPoolExecutor | None]:
    """Start worker processes, each with its own AppContext; None for fewer than two."""
    if workers < 2:
        yield None
        return
    # a forked process would share this process's database connections
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _set_up, (settings,)) as pool:
        for _ in range(workers):  # each task starts a process as long as none is idle
            pool.submit(int)
        yield pool


def worker_context() -> AppContext:
    """Return the AppContext of this worker process."""
    return _CONTEXT[0]


def _set_up(settings: Settings) -> None:
    Thread(target=_exit_with_parent, daemon=True).start()
    gc_tuning.spare(gc_tuning.OF_A_CHUNK)
    _CONTEXT.append(AppContext.open(settings))


def _exit_with_parent() -> None:
    """End this process when its parent ends: without it a worker of a killed parent would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
