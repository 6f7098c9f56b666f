"""What gunicorn asks of us: metrics of a worker that ended are folded in."""

from typing import Any

from prometheus_client import multiprocess

from server.config import metrics_directory


def child_exit(_server: Any, worker: Any) -> None:
    """Tell the metrics that a worker is gone."""
    if metrics_directory():
        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]  # the library has no types here
