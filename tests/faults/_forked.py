"""Our commands in processes of their own, killed as any other, that need not import everything again.

They are forked from a process that has imported the commands and done nothing else, so a kill falls into the work of a
command and not into the second in which Python starts.
"""

import multiprocessing
import os
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")


def forked(environment: Mapping[str, str], said: Path, *arguments: str) -> BaseProcess:
    """Start a command; what it says on standard error goes to a file."""
    _FORKS.set_forkserver_preload(["server.backup", "server.privacy", "server.sync.server_edits", __name__])
    process = _FORKS.Process(target=_run, args=(dict(environment), str(said), arguments))
    process.start()
    return process


def _run(environment: Mapping[str, str], said: str, arguments: tuple[str, ...]) -> None:
    from server.cli import main

    os.environ.clear()
    os.environ.update(environment)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 2)
    main(list(arguments))
