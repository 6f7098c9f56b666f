"""Files that commands write: complete or not at all, and never in the place of a device or a pipe."""

import os
from pathlib import Path

from server.cli.installation import write_atomically


def test_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_atomically(pipe, [b"one", b"two"])
        assert pipe.is_fifo()
        assert os.read(reading, 100) == b"onetwo"
    finally:
        os.close(reading)


def test_file_is_replaced_by_the_new_one(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_bytes(b"old")
    write_atomically(file, [b"new"])
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]
