"""What gunicorn asks of us, worker by worker."""

import gc
from typing import Any

from prometheus_client import multiprocess

from server.config import metrics_directory


def post_worker_init(_worker: Any) -> None:
    """Keep the garbage collector off what a worker loads once, and let it look less often at what a batch makes."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def child_exit(_server: Any, worker: Any) -> None:
    """Tell the metrics that a worker is gone."""
    if metrics_directory():
        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]  # the library has no types here
